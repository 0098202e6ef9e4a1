"""SegmentSession: audio of an RTC room cut into slices (Volcengine RTC StartSegment, UpdateSegment, StopSegment, GetSegmentTask).

GetSegmentTask echoes the configuration, all but the BusinessId and, we assume, the secrets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from reconciler import wire
from reconciler.fields import HARMLESS, REPLACE, Doc, Seconds, Wire, fault, faults, readable
from reconciler.kinds._calls import Operation, mapping
from reconciler.kinds._rtc import VENDOR, Identity, Session
from reconciler.kinds._rtc_spec import (
    ID_DOC,
    ID_SCHEMA,
    STREAM_LIMIT,
    Between,
    CustomStorage,
    Stores,
    Stream,
    TaskSpec,
    TosStorage,
    identifier,
    name_region,
    repeated,
    stream_faults,
    stream_set,
)
from reconciler.model import Desired, Lookup, Observed, Reply, Steps, Values

RULES: dict[str, tuple[str, str]] = {
    "RC301": (
        "id with other characters",
        "appId, roomId, taskId, businessId, identifier and user take 1 to 128 of A-Z a-z 0-9 _ @ - . only.",
    ),
    "RC302": ("more than 17 streams", "The vendor slices at most 17 streams in one task. Split the session in two."),
    "RC303": ("stream index not unique", "No two streams of a list may have the same index; slicing needs none at all."),
    "RC304": ("stream listed twice", "A stream is sliced once. Remove the second mention."),
    "RC305": ("not exactly one store", "Write exactly one of storage.tos and storage.custom; slices cannot go to video on demand."),
    "RC306": (
        "unknown region of a store",
        "amazonS3 and aliyunOss take the region's name, the other third-party stores the vendor's integer. The vendor does not support "
        "eu-central-1, ap-southeast-2, us-gov-east-1 and us-gov-west-1 of amazonS3.",
    ),
    "RC307": ("empty name in storage", "The account id and the bucket must be written out."),
    "RC310": ("slice length out of range", "sliceDuration is 1s to 10m."),
    "RC311": ("idle time out of range", "maxIdle is 1s to 24h."),
    "RC312": ("redundantDuration out of range", "redundantDuration is 0 or more; whether it counts seconds or milliseconds is disputed."),
    "RC313": ("reserved user name", "With mixed: true the mix is delivered under the user name `mixed`, so no user may be called so."),
}

START = Operation(VENDOR, "StartSegment", pace=60)
UPDATE = Operation(VENDOR, "UpdateSegment", pace=150, repeatable=True)
STOP = Operation(VENDOR, "StopSegment", pace=150, repeatable=True)
GET = Operation(VENDOR, "GetSegmentTask", method="GET", pace=60, safe=True)


# --- spec -------------------------------------------------------------------------------------------------------------


class SegmentStream(Stream):
    FAMILY: ClassVar[str] = "RC3"


class SegmentTosStorage(TosStorage):
    FAMILY: ClassVar[str] = "RC3"


class SegmentCustomStorage(CustomStorage):
    FAMILY: ClassVar[str] = "RC3"


class Storage(Stores):
    FAMILY: ClassVar[str] = "RC3"

    tos: Annotated[SegmentTosStorage | None, Wire("TosConfig", also={"Type": 0}), Doc("Volcengine object storage"), REPLACE] = None
    custom: Annotated[SegmentCustomStorage | None, Wire("CustomConfig", also={"Type": 2}), Doc("a store of somebody else's"), REPLACE] = (
        None
    )


class SegmentSpec(TaskSpec):
    FAMILY: ClassVar[str] = "RC3"

    room_id: Annotated[str, ID_SCHEMA, Wire("RoomId"), Doc("the room whose audio is sliced", limit=ID_DOC), REPLACE]
    streams: Annotated[
        list[SegmentStream] | None,
        Field(json_schema_extra={"maxItems": STREAM_LIMIT}),
        Wire("TargetStreams.StreamList"),
        Doc("what is sliced; a user's screen is an entry of its own", limit="17", default="every published audio stream"),
        REPLACE,
    ] = None
    slice_duration: Annotated[
        Seconds,
        Between("RC310", "sliceDuration", 1, 600, "seconds"),
        Wire("Duration"),
        Doc("length of a slice; changing it closes the present slice at once", unit="s", limit="1 to 600", default="20"),
        HARMLESS,
    ] = 20
    max_idle: Annotated[
        Seconds,
        Between("RC311", "maxIdle", 1, 86400, "seconds"),
        Wire("MaxIdleTime"),
        Doc("the task ends by itself when nothing was published for so long", unit="s", limit="1 to 86400", default="180"),
        REPLACE,
    ] = 180
    identifier: Annotated[
        str | None,
        ID_SCHEMA,
        Wire("Identifier"),
        Doc("begins every file's name; unique, or files overwrite each other", limit=ID_DOC, default="a random UUID, kept as it is"),
        HARMLESS,
    ] = None
    active: Annotated[bool, Wire("Handle"), Doc("cut slices; false starts the task warm, or pauses it", default="true"), HARMLESS] = True
    align: Annotated[
        bool, Wire("Control.Align"), Doc("slices of equal length with a common start, padded with silence", default="false"), REPLACE
    ] = False
    mixed: Annotated[bool, Wire("Control.Mixed"), Doc("also a mix of all, under the user name mixed", default="false"), REPLACE] = False
    ignore_silence: Annotated[bool, Wire("Control.IgnoreSilence"), Doc("make no silent slices", default="false"), REPLACE] = False
    redundant_duration: Annotated[
        int | None,
        Between("RC312", "redundantDuration", 0, 2**31 - 1),
        Wire("Control.RedundantDuration"),
        Doc(
            "how much of a slice's end the next one repeats; the vendor says milliseconds, its example counts seconds",
            default="the vendor's choice",
        ),
        REPLACE,
    ] = None
    storage: Annotated[Storage, Wire("StorageConfig"), Doc("where the slices go: exactly one of tos, custom"), REPLACE]

    @field_validator("identifier")
    @classmethod
    def _identifier(cls, value: str | None) -> str | None:
        return identifier(value, "RC301", "an id") if value is not None else None

    @model_validator(mode="after")
    def _agree(self) -> Self:
        faults(self._stream_faults(), self._name_faults())
        return self

    def _stream_faults(self) -> Iterator[PydanticCustomError]:
        yield from stream_faults(self.streams or (), "RC3", "streams")
        yield from repeated(self.streams or (), "RC3", "streams")

    def _name_faults(self) -> Iterator[PydanticCustomError]:
        for place, stream in readable(self.streams, "user"):
            if self.mixed and stream.user == "mixed":
                yield fault(
                    "RC313", "the user name mixed is taken by the mix itself", at=f"streams.{place}.user", help="write mixed: false"
                )


# --- the kind ---------------------------------------------------------------------------------------------------------

_ADJUSTABLE = {"identifier", "sliceDuration", "active"}
_ECHOED = {
    "streams": ("TargetStreams", "StreamList"),
    "identifier": ("Identifier",),
    "sliceDuration": ("Duration",),
    "maxIdle": ("MaxIdleTime",),
    "active": ("Handle",),
    "align": ("Control", "Align"),
    "mixed": ("Control", "Mixed"),
    "ignoreSilence": ("Control", "IgnoreSilence"),
    "storage": ("StorageConfig",),
}
"""What an echo should tell. Where it is missing, nothing is known; the vendor's default would be a guess."""


class SegmentSession(Session):
    name = "SegmentSession"
    spec: ClassVar[type[SegmentSpec]] = SegmentSpec
    summary = "the audio of an RTC room, cut into slices"

    begin, change, end, look = START, UPDATE, STOP, GET
    task_key = "SegmentTask"

    def canonical(self, spec: SegmentSpec, *, name: str) -> Values:
        values = wire.canonical(spec)
        values.setdefault("taskId", name)
        return _tidy(values)

    def replaces(self, path: str, want: Desired, live: Observed) -> bool:
        return not path.startswith("schedule.") and path.removeprefix("spec.") not in _ADJUSTABLE

    def update(self, want: Desired, live: Observed, fields: Sequence[str]) -> Steps[None]:
        """Sends Identifier, Handle and Duration, whichever differs: the page repeats their defaults, so an omitted one may be reset."""
        if fields and all(path.startswith("schedule.") for path in fields):
            return
        identity = Identity.parse(live.id) or self._wanted(want)
        body = self.body(want)
        if "Identifier" not in body:
            reply: Reply = yield self.look(query=identity.names)
            generated = mapping(mapping(reply.body).get(self.task_key)).get("Identifier")
            if generated:
                body["Identifier"] = generated
        sent = {key: body[key] for key in ("BusinessId", "Identifier", "Handle", "Duration") if key in body}
        yield self.change({**identity.names, **sent})

    def _configuration(self, task: Mapping[str, Any], identity: Identity, base: str, lookup: Lookup) -> tuple[Values, frozenset[str]]:
        """What the vendor chooses by itself (identifier, redundantDuration) is compared only when a manifest named it."""
        values = _tidy(wire.decode(SegmentSpec, task))
        values.update(appId=identity.app, roomId=identity.room, taskId=base)
        untold = {path for path, steps in _ECHOED.items() if _missing(task, steps)}
        if not _told_store(values):
            untold.add("storage")
        applied = lookup.entry.applied if lookup.entry else None
        declared = lookup.want.values if lookup.want else applied
        echoed = mapping(task.get("Control")).get("RedundantDuration")
        if echoed is None or (declared is not None and "redundantDuration" not in declared):
            untold.add("redundantDuration")
        if declared is not None and "identifier" not in {**(applied or {}), **declared}:
            values.pop("identifier", None)
        if declared is not None and values.get("streams") != declared.get("streams") and _streams(values) == _streams(declared):
            untold.add("streams")  # an index means nothing here: a vendor may count anew
        for path in untold:
            values.pop(path, None)
        return values, wire.shape(SegmentSpec).unreadable | untold


def _streams(values: Values) -> list[Any]:
    """Users and types, which are what a stream is; the index is for the layouts of recordings."""
    return [(one.get("user"), one.get("type")) for one in values.get("streams", ())]


def _missing(task: Mapping[str, Any], steps: tuple[str, ...]) -> bool:
    found: Any = task
    for step in steps:
        found = mapping(found).get(step)
    return found in (None, "") or (found == 0 and found is not False)


def _told_store(values: Values) -> bool:
    """Whether the echo named a store of ours, with its contents."""
    store = mapping(values.get("storage"))
    return bool(store) and all(isinstance(one, Mapping) and "bucket" in one for one in store.values())


def _tidy(values: dict[str, Any]) -> dict[str, Any]:
    streams = stream_set(values.pop("streams", None) or [])
    if streams:
        values["streams"] = streams
    name_region(values)
    return values


KIND = SegmentSession()
