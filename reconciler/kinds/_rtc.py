"""What recording and slicing sessions share: a task known by (AppId, RoomId, TaskId), begun by Start, ended by Stop, read by Get.

There is no list of tasks, a Get reaches back 72 hours, and a Start for a running task is answered with a sentence instead of an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, WithJsonSchema, field_validator, model_validator
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from reconciler import scalars, wire
from reconciler.errors import NotFound, NotReady, OutcomeUnknown, Rejected, VendorError
from reconciler.fields import REPLACE, UNREADABLE, Doc, SecretRef, Spec, Wire, fault, faults, readable
from reconciler.frozen import frozen
from reconciler.kinds._calls import Operation, mapping
from reconciler.model import (
    Batch,
    Created,
    Desired,
    Diagnostic,
    Entry,
    Kind,
    Lookup,
    Match,
    Observed,
    Pause,
    Place,
    Presence,
    Reply,
    Scheduling,
    Severity,
    Stage,
    Steps,
    Survey,
    Values,
    Verb,
    Window,
)

VENDOR = "volcengine-rtc"

# --- rules for one value ----------------------------------------------------------------------------------------------

ID_LIMIT = 128
_ID = re.compile(r"[a-zA-Z0-9_@\-.]{1,128}")
ID_SCHEMA = WithJsonSchema({"type": "string", "pattern": r"^[a-zA-Z0-9_@\-.]{1,128}$"})
ID_DOC = "1 to 128 of A-Z a-z 0-9 _ @ - ."


def identifier(value: str, rule: str, what: str) -> str:
    """`value`, when it follows the vendor's rule for ids."""
    if _ID.fullmatch(value):
        return value
    if len(value) > ID_LIMIT:
        raise fault(rule, "{what} has {count} characters, the vendor accepts at most 128", what=what, count=len(value), help="shorten it")
    raise fault(rule, "{what} may hold only A-Z a-z 0-9 _ @ - . and must not be empty", what=what, help=f"write {ID_DOC}")


@frozen
class Between:
    """A number within the vendor's range, ends included unless `above` or `below` leaves them out."""

    rule: str
    what: str
    low: float
    high: float | None = None
    unit: str = ""
    even: bool = False
    above: bool = False
    below: bool = False

    def check(self, value: Any) -> Any:
        if value is None:
            return value
        low = value > self.low if self.above else value >= self.low
        high = self.high is None or (value < self.high if self.below else value <= self.high)
        if not (low and high):
            raise fault(self.rule, f"{self.what} is {value:g}, the vendor accepts {self.range}", help=f"write {self.range}")
        if self.even and value % 2:
            raise fault(
                self.rule, f"{self.what} is {value}, the vendor accepts even numbers only", help=f"write {value - 1} or {value + 1}"
            )
        return value

    @property
    def range(self) -> str:
        """In words: `more than 0, at most 1`."""
        unit = f" {self.unit}" if self.unit else ""
        low = f"more than {self.low:g}" if self.above else f"{self.low:g}" if self.high is not None else f"{self.low:g} or more"
        if self.high is None:
            return low + unit
        high = f"less than {self.high:g}" if self.below else f"at most {self.high:g}" if self.above else f"{self.high:g}"
        return (f"{low}, {high}" if self.above else f"{low} to {high}") + unit

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        found = dict(handler(schema))
        found["exclusiveMinimum" if self.above else "minimum"] = self.low
        if self.high is not None:
            found["exclusiveMaximum" if self.below else "maximum"] = self.high
        if self.even:
            found["multipleOf"] = 2
        return found


# --- streams ----------------------------------------------------------------------------------------------------------

STREAM_LIMIT = 17


class Stream(Spec):
    """One stream of the room. FAMILY is the hundred of the kind's rule codes, in every model that two kinds share."""

    FAMILY: ClassVar[str] = "RC2"

    user: Annotated[str, ID_SCHEMA, Wire("UserId"), Doc("the user who publishes the stream", limit=ID_DOC)]
    type: Annotated[
        Literal["camera", "screen"],
        Wire("StreamType", words={"camera": 0, "screen": 1}),
        Doc("camera: the ordinary audio and video stream; screen: the shared screen", default="camera"),
    ] = "camera"
    index: Annotated[
        int | None,
        Field(json_schema_extra={"minimum": 0}),
        Wire("Index"),
        Doc("the number by which a region of a custom layout names the stream", limit="unique in the list", default="0"),
    ] = None

    @field_validator("user")
    @classmethod
    def _user(cls, value: str) -> str:
        return identifier(value, f"{cls.FAMILY}01", "a user id")

    @field_validator("index")
    @classmethod
    def _index(cls, value: int | None) -> int | None:
        if value is not None and not 0 <= value < 2**31:
            raise fault(f"{cls.FAMILY}03", "a stream's index is 0 or more")
        return value

    @property
    def key(self) -> tuple[str, str]:
        return self.user, self.type


def stream_faults(streams: Sequence[Stream], family: str, at: str) -> Iterator[PydanticCustomError]:
    """The mistakes of a stream list, whatever the layout; `at` is its manifest path."""
    if len(streams) > STREAM_LIMIT:
        yield fault(f"{family}02", f"{len(streams)} streams are listed, the vendor takes at most {STREAM_LIMIT}", at=at)
    seen: dict[int, int] = {}
    for place, stream in readable(streams, "index"):
        if stream.index is None:
            continue
        if stream.index in seen:
            yield fault(
                f"{family}03",
                f"streams {seen[stream.index] + 1} and {place + 1} both have the index {stream.index}",
                at=f"{at}.{place}.index",
                help="give every stream an index of its own",
            )
        seen.setdefault(stream.index, place)


def repeated(streams: Sequence[Stream], family: str, at: str) -> Iterator[PydanticCustomError]:
    """Streams listed twice."""
    seen: set[tuple[str, str]] = set()
    for place, stream in readable(streams, "user", "type"):
        if stream.key in seen:
            yield fault(f"{family}04", f"the {stream.type} stream of {stream.user} is listed twice", at=f"{at}.{place}", help="remove one")
        seen.add(stream.key)


def stream_set(streams: Any) -> list[dict[str, Any]]:
    """A stream list whose order and zero indices mean nothing, as canonical values: sorted by user and type."""
    return sorted(map(plain_stream, streams), key=lambda stream: (str(stream.get("user")), str(stream.get("type"))))


def plain_stream(stream: Mapping[str, Any]) -> dict[str, Any]:
    """An index of 0 is the vendor's default, so it says nothing."""
    return {key: value for key, value in stream.items() if key != "index" or value}


# --- storage ----------------------------------------------------------------------------------------------------------

# RTC's page "Region comparison table". A position is the vendor's integer.
TOS_REGIONS = {"cn-beijing": 0, "cn-guangzhou": 1, "cn-shanghai": 2, "ap-southeast-1": 3}
_S3 = (
    "us-east-1 us-east-2 us-west-1 us-west-2 eu-west-1 eu-west-2 eu-west-3 eu-central-1 ap-southeast-1 ap-southeast-2 ap-northeast-1 "
    "ap-northeast-2 sa-east-1 ca-central-1 ap-south-1 cn-north-1 cn-northwest-1 us-gov-east-1 ap-east-1 eu-south-1 ap-northeast-3 "
    "eu-north-1 me-south-1 us-gov-west-1 af-south-1"
)
_OSS = (
    "cn-hangzhou cn-shanghai cn-qingdao cn-beijing cn-zhangjiakou cn-huhehaote cn-wulanchabu cn-shenzhen cn-heyuan cn-guangzhou cn-chengdu "
    "cn-hongkong us-west-1 us-east-1 ap-southeast-1 ap-southeast-2 ap-southeast-3 ap-southeast-5 ap-northeast-1 ap-south-1 eu-central-1"
)
VENDORS = {"amazonS3": 0, "aliyunOss": 1, "huaweiObs": 2, "tencentCos": 3, "qiniuKodo": 4}
CUSTOM_REGIONS: dict[str, list[str]] = {"amazonS3": _S3.split(), "aliyunOss": _OSS.split()}
"""By store, in the order of the vendor's integers. The tables of the other stores are not public: they take the integer."""
UNSUPPORTED = {"amazonS3": {"eu-central-1", "ap-southeast-2", "us-gov-east-1", "us-gov-west-1"}}
"""Listed by the vendor, and marked there as not supported."""
_OPEN_ENDED = {"aliyunOss"}
"""The vendor's table goes on where our copy ends."""


def _nothing(_: Any) -> None:
    """A read never tells a secret: whether it comes plain, masked or not at all, it is not looked at."""


def _number_of(vendor: str, region: str | int) -> int:
    return region if isinstance(region, int) else CUSTOM_REGIONS[vendor].index(region)


def _region_of(vendor: Any, number: Any) -> Any:
    """The region's name, where the vendor's answer holds a number that has one."""
    names = CUSTOM_REGIONS.get(vendor, []) if isinstance(vendor, str) else []
    return names[number] if isinstance(number, int) and 0 <= number < len(names) else number


FILLED = Field(json_schema_extra={"pattern": r"\S"})


def filled_text(value: str, family: str, what: str) -> str:
    if not value.strip():
        raise fault(f"{family}07", f"{what} must not be empty")
    return value


class TosStorage(Spec):
    FAMILY: ClassVar[str] = "RC2"

    account_id: Annotated[str, FILLED, Wire("AccountId"), Doc("the main Volcengine account, never a sub-user's"), REPLACE]
    region: Annotated[
        Literal["cn-beijing", "cn-guangzhou", "cn-shanghai", "ap-southeast-1"],
        Wire("Region", words=TOS_REGIONS),
        Doc("where the bucket is", default="cn-beijing"),
        REPLACE,
    ] = "cn-beijing"
    bucket: Annotated[str, FILLED, Wire("Bucket"), Doc("the bucket's name"), REPLACE]

    @field_validator("account_id", "bucket")
    @classmethod
    def _filled(cls, value: str) -> str:
        return filled_text(value, cls.FAMILY, "a TOS account id or bucket")


class CustomStorage(Spec):
    FAMILY: ClassVar[str] = "RC2"

    vendor: Annotated[
        Literal["amazonS3", "aliyunOss", "huaweiObs", "tencentCos", "qiniuKodo"],
        Wire("Vendor", words=VENDORS),
        Doc("whose store it is", default="amazonS3"),
        REPLACE,
    ] = "amazonS3"
    region: Annotated[
        str | int | None,
        Wire("Region", load=wire.number),
        Doc(
            "the store's region by name (amazonS3, aliyunOss), or the vendor's integer for it (huaweiObs, tencentCos, qiniuKodo)",
            default="the vendor's 0: us-east-1, cn-hangzhou",
        ),
        REPLACE,
    ] = None
    bucket: Annotated[str, FILLED, Wire("Bucket"), Doc("the bucket's name"), REPLACE]
    access_key: Annotated[
        SecretRef, Wire("AccessKey", load=_nothing), Doc("key of an account that may write to the bucket"), REPLACE, UNREADABLE
    ]
    secret_key: Annotated[SecretRef, Wire("SecretKey", load=_nothing), Doc("the secret half of the key"), REPLACE, UNREADABLE]

    @field_validator("bucket")
    @classmethod
    def _filled(cls, value: str) -> str:
        return filled_text(value, cls.FAMILY, "a bucket")

    @model_validator(mode="after")
    def _known_region(self) -> Self:
        faults(self._region_faults())
        return self

    def _region_faults(self) -> Iterator[PydanticCustomError]:
        rule, names = f"{self.FAMILY}06", CUSTOM_REGIONS.get(self.vendor)
        region = self.region
        if isinstance(region, int):
            if names and not (self.vendor in _OPEN_ENDED and region >= len(names)):
                yield fault(rule, f"a region of {self.vendor} is written by its name", at="region", help=f"write one like {names[0]}")
            elif not 0 <= region < 2**31:
                yield fault(rule, "a region's integer is 0 or more, and below 2147483648", at="region")
        elif region is not None and not names:
            yield fault(
                rule,
                f"the vendor publishes no region names for {self.vendor}",
                at="region",
                help="write the integer that the vendor gives for the region",
            )
        elif region is not None and names and region not in names:
            yield fault(
                rule,
                "{region} is no region of {vendor} that the vendor knows",
                region=repr(region),
                vendor=self.vendor,
                at="region",
                help=", ".join(name for name in names if name not in UNSUPPORTED.get(self.vendor, ())),
            )
        elif region in UNSUPPORTED.get(self.vendor, ()):
            yield fault(rule, f"recordings cannot be stored in {region} of {self.vendor}: the vendor does not support it", at="region")


def exactly_one(storage: Spec, family: str) -> Iterator[PydanticCustomError]:
    """The mistake of a storage block that names no store, or several."""
    if len(storage.model_fields_set) != 1:
        named, choice = scalars.counted(len(storage.model_fields_set), "store"), ", ".join(type(storage).model_fields)
        yield fault(f"{family}05", f"storage names {named}, exactly one is needed", help=f"keep one of {choice}")


def name_region(values: dict[str, Any]) -> None:
    """Fills in, or turns into its name, the region of a third-party store."""
    store = values.get("storage", {}).get("custom")
    if store is not None and isinstance(store.get("region", 0), int):
        store["region"] = _region_of(store.get("vendor", "amazonS3"), store.get("region", 0))


def number_region(body: dict[str, Any]) -> None:
    """Turns the name of a third-party store's region into the vendor's integer."""
    store = body.get("StorageConfig", {}).get("CustomConfig")
    if store is not None:
        vendors = {number: word for word, number in VENDORS.items()}
        store["Region"] = _number_of(vendors[store["Vendor"]], store.get("Region", 0))


# --- identity ---------------------------------------------------------------------------------------------------------


class Identity(NamedTuple):
    """What a task is known by. Its text, `appId/roomId/taskId`, is the object's id: none of the three can hold a slash."""

    app: str
    room: str
    task: str

    def __str__(self) -> str:
        return "/".join(self)

    @classmethod
    def parse(cls, text: str) -> Identity | None:
        parts = text.split("/")
        return cls(*parts) if len(parts) == 3 and all(parts) else None

    @property
    def names(self) -> dict[str, str]:
        return {"AppId": self.app, "RoomId": self.room, "TaskId": self.task}


def task_id(base: str, occurrence: str, incarnation: int) -> str:
    """The TaskId of one start: as written, then the occurrence of a series, then `.2`, `.3` for what replaced or restarted it.

    A TaskId is never started again after its end, or a late read could not tell the two tasks apart. What would be longer than 128
    characters keeps its beginning and gets a digest of the whole.
    """
    suffix = _suffix(occurrence, incarnation)
    if len(base) + len(suffix) <= ID_LIMIT:
        return base + suffix
    digest = sha256(base.encode()).hexdigest()[:8]
    return f"{base[: ID_LIMIT - len(suffix) - len(digest) - 1]}-{digest}{suffix}"


def _suffix(occurrence: str, incarnation: int) -> str:
    when = "-" + occurrence.replace(":", "").replace("+", "_") if occurrence else ""
    return when + (f".{incarnation}" if incarnation > 1 else "")


# --- what a Get says --------------------------------------------------------------------------------------------------

_GONE = re.compile(r"InvalidParameter\.\w*TaskNotFound")
_SENTENCE = "has been started"
_SKEW = timedelta(seconds=60)
"""A signature is valid for 60 s, so a clock further off than this cannot have sent anything."""


def gone(error: VendorError) -> bool:
    """Whether the vendor says that it has no such task, or none that still runs."""
    return isinstance(error, NotFound) or (isinstance(error, Rejected) and bool(_GONE.fullmatch(error.code)))


@frozen
class Reading:
    """One task as a Get tells it. `task` is the vendor's object, empty when there is none."""

    presence: Presence
    stage: Stage = Stage.NONE
    started: datetime | None = None
    ended: datetime | None = None
    detail: str = ""
    task: Mapping[str, Any] = field(default_factory=dict)


_NO_TASK = Reading(Presence.ABSENT)


def read(answer: Reply | VendorError, key: str) -> Reading:
    """The vendor's five states as ours. A failed read is raised: it is never absence.

    No task: an error that says so, a missing, null or empty object, or one that is all zero.
    """
    if isinstance(answer, VendorError):
        if gone(answer):
            return _NO_TASK
        raise answer
    if answer.body and not isinstance(answer.body, Mapping):
        return Reading(Presence.UNKNOWN, detail="the vendor's answer is no task")
    raw = mapping(answer.body).get(key)
    if not raw:
        return _NO_TASK
    task = mapping(raw)
    status, began, over = (wire.number(task.get(name)) for name in ("Status", "StartTime", "EndTime"))
    started, ended = _instant(began), _instant(over)
    said = task.get("StopReason")
    reason = said if isinstance(said, str) else ""
    if not status and not began:
        return _NO_TASK
    if status == 4:
        return Reading(Presence.ENDED, Stage.FAILED, started, ended, reason or "failed", task)
    if status == 3 or (status in (1, 2) and over):
        return Reading(Presence.ENDED, Stage.ENDED, started, ended, reason or "ended", task)
    if status == 1:
        return Reading(Presence.LIVE, Stage.WAITING, started, None, "started, nothing is published yet", task)
    if status == 2:
        return Reading(Presence.LIVE, Stage.ON_AIR, started, None, "", task)
    return Reading(Presence.UNKNOWN, Stage.NONE, started, ended, f"the vendor says status {status!r:.20}, unknown or abnormal", task)


def _instant(raw: Any) -> datetime | None:
    """Unix milliseconds; 0 and what is no instant at all are None."""
    try:
        return scalars.unix_milliseconds(raw) if isinstance(raw, int) and raw else None
    except ValueError:
        return None


class _Candidate(NamedTuple):
    """One identity under which a lookup's object may be found, and how it would be tied to its address."""

    identity: Identity
    match: Match
    incarnation: int


_NEAREST = (Presence.LIVE, Presence.UNKNOWN, Presence.ENDED, Presence.ABSENT)

# --- the verbs --------------------------------------------------------------------------------------------------------

_LOOK = 1.0  # seconds between two looks at a task that begins or ends
_PATIENCE = 3  # looks at a task for which nothing is published: a start that fails does so within them


class Session(Kind):
    """What the two kinds do alike. A subclass names its operations and says what a Get tells of the configuration."""

    vendor = VENDOR
    scheduling = Scheduling.RUNNER
    schedule = "optional"
    observable = timedelta(hours=72)
    naming = ("spec.taskId", "metadata.name")

    begin: ClassVar[Operation]
    change: ClassVar[Operation]
    end: ClassVar[Operation]
    look: ClassVar[Operation]
    task_key: ClassVar[str]  # the member of the Get's Result

    # what is declared

    def identity(self, want: Desired) -> str:
        return str(self._wanted(want))

    def _wanted(self, want: Desired) -> Identity:
        values = want.values
        return Identity(values["appId"], values["roomId"], task_id(values["taskId"], want.address.occurrence, want.incarnation))

    def body(self, want: Desired) -> dict[str, Any]:
        """The body of Start."""
        body = wire.encode(self.spec, want.values)
        number_region(body)
        return {**body, **self._wanted(want).names}

    def interrupts(self, path: str) -> bool:
        """Never: what can be changed in place is changed while the task goes on."""
        return False

    # what is there

    def observe(self, ask: Sequence[Lookup]) -> Steps[Survey]:
        named = [self._candidates(lookup) for lookup in ask]
        calls = [self.look(query=one.identity.names) for candidates in named for one in candidates]
        answers = iter((yield Batch(tuple(calls)))) if calls else iter(())
        found = [[(one, read(next(answers), self.task_key)) for one in candidates] for candidates in named]
        return Survey([self._observed(lookup, readings) for lookup, readings in zip(ask, found, strict=True)])

    def _candidates(self, lookup: Lookup) -> list[_Candidate]:
        """Nearly always one: a create without a known result, then what the ledger holds, then what is wanted."""
        found: dict[Identity, _Candidate] = {}

        def add(text: str, match: Match, incarnation: int) -> None:
            identity = Identity.parse(text)
            if identity:
                found[identity] = _Candidate(identity, match, incarnation)

        if lookup.intent:
            create = lookup.intent.verb is Verb.CREATE
            add(lookup.intent.identity if create else lookup.intent.target or lookup.intent.identity, Match.MARK, lookup.intent.incarnation)
        if lookup.entry:
            add(lookup.entry.id or lookup.entry.identity, Match.LEDGER, lookup.entry.incarnation)
        elif not found and lookup.want:
            add(self.identity(lookup.want), Match.TWIN, lookup.want.incarnation)
        return list(found.values())

    def _observed(self, lookup: Lookup, readings: Sequence[tuple[_Candidate, Reading]]) -> Observed:
        entry = lookup.entry
        if not readings:
            return _unnamed(lookup)
        candidate, seen = min(readings, key=lambda reading: _NEAREST.index(reading[1].presence))
        if seen.presence is Presence.ABSENT:
            return Observed(
                lookup.address,
                Presence.ABSENT,
                id=entry.id if entry else "",
                started=entry.started if entry else None,
                detail="the vendor has no such task, or it was started more than 72 h ago" if entry else "",
            )
        values, unread = self._configuration(seen.task, candidate.identity, self._base(lookup, candidate), lookup)
        others = [str(one.identity) for one, other in readings if other.presence is Presence.LIVE and one is not candidate]
        return Observed(
            lookup.address,
            seen.presence,
            id=str(candidate.identity),
            values=values,
            unread=unread,
            window=Window(seen.started, seen.ended) if seen.started and seen.ended else None,
            stage=seen.stage,
            match=_tie(candidate, seen, lookup),
            also=tuple(others),
            detail=seen.detail,
            started=seen.started or _remembered(entry, candidate),
        )

    @staticmethod
    def _base(lookup: Lookup, candidate: _Candidate) -> str:
        """The TaskId as the manifest has it: without what `task_id` added."""
        occurrence, task = lookup.address.occurrence, candidate.identity.task
        if lookup.want and task == task_id(lookup.want.values["taskId"], occurrence, candidate.incarnation):
            return str(lookup.want.values["taskId"])
        return task.removesuffix(_suffix(occurrence, candidate.incarnation))

    def _configuration(self, task: Mapping[str, Any], identity: Identity, base: str, lookup: Lookup) -> tuple[Values, frozenset[str]]:
        """The values a Get told, and the spec paths that it did not."""
        raise NotImplementedError

    # what is done

    def create(self, want: Desired) -> Steps[str]:
        """Raises Rejected when a task with this id runs already: the vendor ignores the parameters and says so in a sentence."""
        identity = self._wanted(want)
        try:
            reply: Reply = yield self.begin(self.body(want))
        except Rejected as refused:
            if refused.code.endswith("TaskAlreadyExists") or _SENTENCE in refused.message.lower():
                raise self._taken(want, identity, refused.request_id) from refused
            raise
        if reply.body != "ok":
            if isinstance(reply.body, str) and _SENTENCE in reply.body.lower():
                raise self._taken(want, identity, reply.request_id)
            raise OutcomeUnknown(
                f"{self.begin.action} was answered with something else than ok",
                action=self.begin.action,
                request_id=reply.request_id,
                next_step=f"reconciler refresh {want.address}",
            )
        yield Created(str(identity))
        yield from self._begun(identity)
        return str(identity)

    def _taken(self, want: Desired, identity: Identity, request_id: str) -> Rejected:
        return Rejected(
            f"a task with the id {identity} is running already and kept its own parameters; adopt it, or choose another spec.taskId",
            code="TaskAlreadyStarted",
            action=self.begin.action,
            request_id=request_id,
            next_step=f"reconciler import {want.address} {identity}",
        )

    def _begun(self, identity: Identity) -> Steps[None]:
        """Start only means accepted: looks until the task runs, or waits for somebody to publish."""
        waiting = 0
        while True:
            seen = yield from self._look_at(identity)
            if seen.presence is Presence.ENDED:
                raise NotReady(
                    f"the task {identity} was started and ended at once: {seen.detail}", code=seen.detail, action=self.look.action
                )
            if seen.stage is Stage.ON_AIR:
                return
            if seen.stage is Stage.WAITING:
                waiting += 1
                if waiting == _PATIENCE:
                    yield Pause(0.0, note=seen.detail)
                    return
            yield Pause(_LOOK, note=seen.detail or "waiting for the task to begin")

    def stop(self, live: Observed) -> Steps[None]:
        """Also for a task that reads no longer reach: Stop does."""
        identity = _identity_of(live)
        business = live.values.get("businessId")
        try:
            yield self.end({**identity.names, **({"BusinessId": business} if business else {})})
        except Rejected as refused:
            if not gone(refused):
                raise
        while True:
            seen = yield from self._look_at(identity)
            if seen.presence in (Presence.ABSENT, Presence.ENDED) or seen.ended:
                return
            yield Pause(_LOOK, note="waiting for the task to end")

    def delete(self, live: Observed) -> Steps[None]:
        yield from self.stop(live)

    def _look_at(self, identity: Identity) -> Steps[Reading]:
        try:
            reply: Reply = yield self.look(query=identity.names)
        except Rejected as refused:
            return read(refused, self.task_key)
        return read(reply, self.task_key)


def _identity_of(live: Observed) -> Identity:
    identity = Identity.parse(live.id)
    if identity is None:
        raise Rejected(f"{live.id!r} is no id of a task; write appId/roomId/taskId")
    return identity


def _unnamed(lookup: Lookup) -> Observed:
    """Nothing to look for, or an id that is none."""
    text = lookup.entry.id if lookup.entry else lookup.intent.identity if lookup.intent else ""
    if not text:
        return Observed(lookup.address, Presence.ABSENT)
    return Observed(lookup.address, Presence.UNKNOWN, id=text, detail="its id is no appId/roomId/taskId")


def _tie(candidate: _Candidate, seen: Reading, lookup: Lookup) -> Match:
    """A task that began before we sent its Start is somebody else's: ours was ignored, or never arrived."""
    intent = lookup.intent
    if candidate.match is not Match.MARK or intent is None or intent.verb is not Verb.CREATE or seen.started is None:
        return candidate.match
    return Match.TWIN if seen.started < intent.sent - _SKEW else Match.MARK


def _remembered(entry: Entry | None, candidate: _Candidate) -> datetime | None:
    return entry.started if entry and entry.id == str(candidate.identity) else None


# --- warnings ---------------------------------------------------------------------------------------------------------


def warning(want: Desired, rule: str, path: str, message: str, *, help: str = "") -> Diagnostic:
    """A doubt about `spec.…` at `path`; its place is that of the nearest written value."""
    return Diagnostic(Severity.WARNING, rule, message, place=_place(want, path), address=str(want.address), path=path, help=help)


def _place(want: Desired, path: str) -> Place:
    while path:
        if path in want.places:
            return want.places[path]
        path = path.rpartition(".")[0]
    return want.place
