"""Clip: a piece cut out of a Livepeer stream's recording, between two instants that have passed.

A clip is an asset; its times stand only in the task that cut it, joined by `outputAssetId`. Nothing is idempotent and nothing carries
labels, so the name holds our fingerprint while the clip is being made. Vendor pages: Create clip, Retrieve assets, Update an asset.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from reconciler import scalars, wire
from reconciler.errors import Denied, NotFound, NotReady, OutcomeUnknown, Rejected, Throttled, Unavailable
from reconciler.fields import HARMLESS, REPLACE, Doc, Instant, Spec, Wire, fault, faults
from reconciler.frozen import frozen
from reconciler.kinds._calls import Operation, mapping, mappings, present
from reconciler.kinds._marks import fingerprint
from reconciler.model import (
    Created,
    Desired,
    Kind,
    Lookup,
    Match,
    Observed,
    Pause,
    Presence,
    Reply,
    Scheduling,
    Stage,
    Steps,
    Stranger,
    Survey,
    Values,
    Verb,
)

VENDOR = "livepeer"
CUT = Operation(VENDOR, "POST /clip", "POST", "/clip")  # three identical ones make three clips
ASSETS = Operation(VENDOR, "GET /asset", "GET", "/asset", safe=True)
ASSET = Operation(VENDOR, "GET /asset/{id}", "GET", "/asset/{id}", safe=True)
PATCH = Operation(VENDOR, "PATCH /asset/{id}", "PATCH", "/asset/{id}", repeatable=True)
DELETE = Operation(VENDOR, "DELETE /asset/{id}", "DELETE", "/asset/{id}", repeatable=True)
TASKS = Operation(VENDOR, "GET /task", "GET", "/task", safe=True)
TASK = Operation(VENDOR, "GET /task/{id}", "GET", "/task/{id}", safe=True)
SESSIONS = Operation(VENDOR, "GET /session", "GET", "/session", safe=True)
STREAMS = Operation(VENDOR, "GET /stream", "GET", "/stream", safe=True)
STREAM_PLAYED = Operation(VENDOR, "GET /stream/playback/{id}", "GET", "/stream/playback/{id}", safe=True)

PAGE = 1000  # the vendor's largest page
PAGES = 1000
LISTINGS = 5
NAME_LIMIT = 2000  # the vendor has no limit of its own below its 100 kB request; our mark must fit behind it
TOLERANCE = timedelta(seconds=30)  # a session is seen a little later than its first segment, and ends a little before its last
CLAMPED = timedelta(seconds=2)
WAITS = (2.0, 3.0, 5.0, 8.0, 12.0, 15.0)  # seconds between looks at a clip in the making; the last one again and again
ORPHAN_LOOK = 3.0  # an asset's task is written right after it, and read from a replica
REPLICA_LOOKS = 5  # reads go to a replica: a new clip may be missing there for some seconds

RULES: dict[str, tuple[str, str]] = {
    "RC400": (
        "clip playbackId",
        "`playbackId` names the stream to cut from, 16 letters and digits like eaw4nk06ts2d0mzb. An asset cannot be cut.",
    ),
    "RC401": (
        "clip sessionId",
        "`sessionId` names one broadcast of the stream. Leave it out: the one session that covers the window is found.",
    ),
    "RC402": (
        "clip times",
        "A clip needs `start` and `end`, and must end after it starts. The vendor accepts less, and fails the clip later.",
    ),
    "RC403": ("clip name", "A name has 1 to 2000 characters, no `%` (the vendor's filters choke on it) and no control characters."),
    "RC404": ("clip time precision", "The vendor counts whole milliseconds. Write at most three digits after the seconds."),
    "RC405": ("clip creatorId", "A creatorId has 1 to 2000 characters and no control characters."),
}

# --- what is declared -------------------------------------------------------------------------------------------------

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ID = re.compile(r"[A-Za-z0-9_-]+")


def _playback_id(value: str) -> str:
    if not _ID.fullmatch(value):
        raise fault("RC400", "playbackId {value!r} is not an id", value=value, help="copy it from the stream, like eaw4nk06ts2d0mzb")
    return value


def _session_id(value: str) -> str:
    if not _ID.fullmatch(value):
        raise fault("RC401", "sessionId {value!r} is not an id", value=value, help="leave it out to have the session found")
    return value


def _text(rule: str, what: str, *, banned: str = "") -> AfterValidator:
    def check(value: str) -> str:
        if not 1 <= len(value) <= NAME_LIMIT:
            raise fault(rule, f"{what} has {len(value)} characters, it may have 1 to {NAME_LIMIT}")
        bad = next((c for c in value if c in banned or ord(c) < 32 or c == "\x7f"), "")
        if bad:
            raise fault(rule, "{what} must not hold {bad!r}", what=what, bad=bad)
        return value

    return AfterValidator(check)


def _load_moment(raw: Any) -> datetime | None:
    """Unix milliseconds, however odd, as UTC; None for what is no instant."""
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        return None
    try:
        return _EPOCH + timedelta(milliseconds=raw)
    except (OverflowError, ValueError):
        return None


def _load_creator(raw: Any) -> str | None:
    """A creator id comes back as `{"type": "unverified", "value": ...}`; a blank one is none."""
    found = mapping(raw).get("value") if isinstance(raw, Mapping) else raw
    return found if isinstance(found, str) and found else None


class ClipSpec(Spec):
    """A piece of one session of a stream."""

    playback_id: Annotated[
        str,
        AfterValidator(_playback_id),
        Field(json_schema_extra={"pattern": f"^{_ID.pattern}$"}),
        Wire("playbackId"),
        REPLACE,
        Doc("the stream to cut from; its playback id, never an asset's"),
    ]
    session_id: Annotated[
        str | None,
        AfterValidator(lambda value: value if value is None else _session_id(value)),
        Wire("sessionId"),
        REPLACE,
        Doc("the broadcast to cut from", default="the one session that covers the window"),
    ] = None
    start: Annotated[
        Instant,
        Wire("startTime", dump=scalars.milliseconds, load=_load_moment),
        REPLACE,
        Doc("where it begins", unit="Unix ms at the vendor"),
    ]
    end: Annotated[
        Instant,
        Wire("endTime", dump=scalars.milliseconds, load=_load_moment),
        REPLACE,
        Doc("where it ends; the vendor calls it optional and fails a clip without it", unit="Unix ms at the vendor"),
    ]
    name: Annotated[
        str | None,
        _text("RC403", "clip name", banned="%"),
        Field(json_schema_extra={"minLength": 1, "maxLength": NAME_LIMIT, "pattern": "^[^%]*$"}),
        Wire("name"),
        HARMLESS,
        Doc("the asset's name", default="metadata.name"),
    ] = None
    creator_id: Annotated[
        str | None,
        _text("RC405", "creatorId"),
        Field(json_schema_extra={"minLength": 1, "maxLength": NAME_LIMIT}),
        Wire("creatorId", load=_load_creator),
        HARMLESS,
        Doc("whose clip it is, for the vendor's viewership figures; set once the clip is ready, can be blanked"),
    ] = None

    @model_validator(mode="after")
    def _agree(self) -> ClipSpec:
        faults(self._order_faults(), self._fraction_faults("start"), self._fraction_faults("end"))
        return self

    def _order_faults(self) -> Iterator[PydanticCustomError]:
        if self.end <= self.start:
            yield fault("RC402", "the clip must end after it starts", at="end")

    def _fraction_faults(self, name: str) -> Iterator[PydanticCustomError]:
        if getattr(self, name).microsecond % 1000:
            yield fault("RC404", f"{name} is finer than a millisecond", at=name, help="drop the digits after the third")


# --- what is listed ---------------------------------------------------------------------------------------------------

_STAGES = {
    "waiting": Stage.MAKING, "processing": Stage.MAKING, "uploading": Stage.MAKING,
    "ready": Stage.READY, "failed": Stage.FAILED,
}  # fmt: skip
_GONE = ("deleting", "deleted")
_ORDER = (Stage.READY, Stage.MAKING, Stage.FAILED, Stage.NONE)


@frozen
class Cut:
    """One clip: the asset, and from its task the times. `values` are canonical, and still know of no manifest."""

    id: str
    name: str
    stage: Stage
    phase: str
    progress: float | None
    message: str
    retries: int
    created: float
    seconds: float | None
    values: Values
    tasked: bool = True

    @property
    def orphaned(self) -> bool:
        """Whether nobody will ever make it: the vendor wrote the asset down, and fell over before the task."""
        return self.phase == "waiting" and not self.tasked

    @property
    def presence(self) -> Presence:
        return Presence.UNKNOWN if self.stage is Stage.NONE else Presence.LIVE

    @property
    def rank(self) -> tuple[int, float, str]:
        """Of several that look alike, the oldest ready one comes first."""
        return _ORDER.index(self.stage), self.created, self.id

    @property
    def short(self) -> str:
        """What the vendor left out, in words: an end past the recording is cut off silently."""
        start, end = self.values.get("start"), self.values.get("end")
        if self.stage is not Stage.READY or self.seconds is None or start is None or end is None:
            return ""
        asked = (end - start).total_seconds()
        if abs(self.seconds - asked) <= CLAMPED.total_seconds():
            return ""
        return f"the clip lasts {self.seconds:.1f} s, asked for were {asked:.1f} s: its window leaves the recording"

    @classmethod
    def read(cls, asset: Mapping[str, Any], task: Mapping[str, Any] | None) -> Cut:
        status, source = mapping(asset.get("status")), mapping(asset.get("source"))
        recipe = mapping(mapping(mapping(task).get("params")).get("clip"))
        strategy, work = mapping(recipe.get("clipStrategy")), mapping(mapping(task).get("status"))
        phase = _phase(asset)
        known = {
            "playbackId": source.get("playbackId") or strategy.get("playbackId"),  # clips of 2023 lack the first
            "sessionId": source.get("sessionId") or recipe.get("sessionId"),
            "startTime": strategy.get("startTime"),
            "endTime": strategy.get("endTime"),
            "name": asset.get("name"),
            "creatorId": asset.get("creatorId"),
        }
        return cls(
            id=str(asset.get("id")),
            name=str(asset.get("name") or ""),
            stage=_STAGES.get(phase, Stage.NONE),
            phase=phase,
            progress=_number(status.get("progress")),
            message=str(status.get("errorMessage") or work.get("errorMessage") or ""),
            retries=int(_number(work.get("retries")) or 0),
            created=_number(asset.get("createdAt")) or 0.0,
            seconds=_number(mapping(asset.get("videoSpec")).get("duration")),
            values=wire.decode(ClipSpec, known),
            tasked=task is not None,
        )


def _phase(asset: Mapping[str, Any]) -> str:
    return str(mapping(asset.get("status")).get("phase") or "").lower()


def _number(value: Any) -> float | None:
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if known else None


def _joined(assets: Sequence[Mapping[str, Any]], tasks: Sequence[Mapping[str, Any]]) -> dict[str, Cut]:
    by_asset = {str(task.get("outputAssetId")): task for task in tasks}
    return {
        str(asset["id"]): Cut.read(asset, by_asset.get(str(asset["id"])))
        for asset in assets
        if asset.get("id") and _phase(asset) not in _GONE
    }


def _listed(list_them: Operation, wanted: Sequence[Mapping[str, Any]], *, plain: Mapping[str, str | int] | None = None) -> Steps[list[Any]]:
    """All pages of a list, in the order of creation. Believed when it holds as many different ids as every page said there are."""
    for attempt in range(LISTINGS):
        if attempt:
            yield Pause(1.0, note=f"the answers to {list_them.action} changed while they were read")
        query: dict[str, str | int] = {"limit": PAGE, "count": "true", "order": "createdAt-false,id-false", **(plain or {})}
        if wanted:
            query["filters"] = json.dumps(wanted, separators=(",", ":"))
        rows: dict[Any, Mapping[str, Any]] = {}
        totals: set[int] = set()
        for _ in range(PAGES):
            reply: Reply = yield list_them(query=query)
            page = mappings(reply.body)
            rows.update((str(row.get("id")), row) for row in page)
            total = _header(reply, "x-total-count")
            if page and total.isdigit():
                totals.add(int(total))
            # only the cursor of the Link is taken: its address is plain http, and must never see the key
            cursor = re.search(r"[?&]cursor=(skip\d+)(?:&|>|$)", _header(reply, "link"))
            if not page or not cursor:  # a short page is no end: it may be shorter than it was asked for
                break
            query = {**query, "cursor": cursor[1]}
        if not totals or totals == {len(rows)}:
            return list(rows.values())
    raise Unavailable(f"the answers to {list_them.action} did not hold still in {LISTINGS} readings", action=list_them.action)


def _header(reply: Reply, name: str) -> str:
    return next((value for key, value in reply.headers.items() if key.lower() == name), "")


# --- sessions ---------------------------------------------------------------------------------------------------------


@frozen
class Session:
    """One broadcast of a stream, as far as it was seen."""

    id: str
    start: datetime
    end: datetime

    def covers(self, start: datetime, end: datetime, *, tolerance: timedelta) -> bool:
        return self.start - tolerance <= start and end <= self.end + tolerance

    def __str__(self) -> str:
        return f"{self.id} ({self.start:%Y-%m-%dT%H:%M:%SZ} to {self.end:%Y-%m-%dT%H:%M:%SZ})"


def _sessions(playback_id: str) -> Steps[list[Session]]:
    """The sessions of a stream. Raises Rejected when no stream has this playback id."""
    wanted = json.dumps([{"id": "playbackId", "value": playback_id}], separators=(",", ":"))
    reply: Reply = yield STREAMS(query={"streamsonly": 1, "filters": wanted})
    stream = next((row for row in mappings(reply.body) if row.get("playbackId") == playback_id), None)
    if stream is None:
        try:
            reply = yield STREAM_PLAYED(id=playback_id)
        except NotFound as missing:
            raise Rejected(
                f"no stream has the playbackId {playback_id}; an asset's playbackId cannot be cut", action=STREAM_PLAYED.action,
                status=missing.status, request_id=missing.request_id, next_step="reconciler explain Clip.spec.playbackId",
            ) from None  # fmt: skip
        stream = mapping(reply.body)
    rows = yield from _listed(SESSIONS, [], plain={"parentId": str(stream.get("id"))})
    found = []
    for row in rows:
        start, end = _load_moment(row.get("createdAt")), _load_moment(row.get("lastSeen"))
        if start and row.get("id"):
            found.append(Session(str(row["id"]), start, max(start, end or start)))
    return found


def _covering(sessions: Sequence[Session], want: Desired) -> str:
    """The id of the one session that covers the window. Raises Rejected that names the candidates."""
    start, end = want.values["start"], want.values["end"]
    for tolerance in (timedelta(), TOLERANCE):
        fitting = [session for session in sessions if session.covers(start, end, tolerance=tolerance)]
        if len(fitting) == 1:
            return fitting[0].id
        if fitting:
            break
    near = sorted(fitting or sessions, key=lambda session: abs(session.start - start))[:5]
    names = "; ".join(map(str, near)) or "it has none"
    how = f"{len(fitting)} sessions cover" if fitting else "no session covers"
    raise Rejected(
        f"{how} {start:%Y-%m-%dT%H:%M:%SZ} to {end:%Y-%m-%dT%H:%M:%SZ} of stream {want.values['playbackId']}: {names}; "
        "name one in spec.sessionId, or correct start and end",
        code="NoSession", action=SESSIONS.action, next_step="reconciler explain Clip.spec.sessionId",
    )  # fmt: skip


# --- whose is what ----------------------------------------------------------------------------------------------------


def working_name(want: Desired, *, incarnation: int | None = None) -> str:
    """The name while it is being made: the wanted one and our mark."""
    return f"{want.values['name']} {fingerprint(want.workspace, want.address, incarnation or want.incarnation)}"


def _key(values: Values) -> tuple[Any, ...]:
    return str(values.get("playbackId")), values.get("start"), values.get("end")  # an answer may hold anything


def _same_cut(values: Values, cut: Cut) -> bool:
    """The same piece of the same broadcast; a manifest that names no session takes any."""
    return _key(values) == _key(cut.values) and values.get("sessionId", cut.values.get("sessionId")) == cut.values.get("sessionId")


@dataclass(slots=True)
class Found:
    cut: Cut
    match: Match
    others: tuple[Cut, ...] = ()


class Search:
    """Ties lookups to clips; no clip is given to two of them."""

    def __init__(self, ask: Sequence[Lookup], clips: Mapping[str, Cut]) -> None:
        self.ask = ask
        self.free = {cut.id: cut for cut in sorted(clips.values(), key=lambda cut: cut.rank)}
        self.by_key: dict[tuple[Any, ...], list[Cut]] = {}
        self.by_mark: dict[str, list[Cut]] = {}
        for cut in self.free.values():
            self.by_key.setdefault(_key(cut.values), []).append(cut)
            self.by_mark.setdefault(cut.name.rpartition(" ")[2], []).append(cut)
        self.found: dict[int, Found] = {}

    def run(self) -> dict[int, Found]:
        for rule in (self._by_new_create, self._by_id, self._by_mark, self._by_intent, self._twin):
            for at, lookup in enumerate(self.ask):
                if at not in self.found:
                    rule(at, lookup)
        return self.found

    def _take(self, at: int, match: Match, clips: Sequence[Cut]) -> None:
        self.found[at] = Found(clips[0], match, tuple(clips[1:]))
        for cut in clips:
            self.free.pop(cut.id, None)

    def _marked(self, lookup: Lookup, *incarnations: int) -> list[Cut]:
        marks = [fingerprint(lookup.workspace, lookup.address, incarnation) for incarnation in incarnations]
        return [cut for mark in marks for cut in self.by_mark.get(mark, ()) if cut.id in self.free]

    def _by_new_create(self, at: int, lookup: Lookup) -> None:
        """A create that was begun while the ledger still knows the clip before it: the new one is what is asked for."""
        if lookup.intent and lookup.entry and lookup.intent.verb is Verb.CREATE:
            old = lookup.entry.id
            if new := [cut for cut in self._marked(lookup, lookup.intent.incarnation) if cut.id != old]:
                self._take(at, Match.MARK, new)
                self.free.pop(old, None)

    def _by_id(self, at: int, lookup: Lookup) -> None:
        """The one in the ledger or, while that cannot be seen, the one it is to replace."""
        known = [(self.free.pop(id, None), Match.LEDGER) for id in _remembered(lookup)]  # nobody else's, whichever of them it is
        if lookup.intent:
            known.append((self.free.get(lookup.intent.target), Match.MARK))
        for cut, match in known:
            if cut:
                copies = [other for other in self._marked(lookup, lookup.incarnation) if other is not cut]
                self._take(at, match, [cut, *(other for other in copies if _key(other.values) == _key(cut.values))])
                return

    def _by_mark(self, at: int, lookup: Lookup) -> None:
        first = lookup.intent.incarnation if lookup.intent else lookup.incarnation
        clips = self._marked(lookup, first)
        if not clips and not lookup.entry and not lookup.intent:
            clips = self._marked(lookup, *range(1, 9))  # the ledger was lost: any incarnation of the address is it
        if clips:
            self._take(at, Match.MARK, clips)

    def _by_intent(self, at: int, lookup: Lookup) -> None:
        """A lost answer to a create whose mark is gone already: the same piece is the proof."""
        intent = lookup.intent
        values = lookup.want.values if lookup.want else mapping(intent.desired) if intent else {}
        if intent and intent.verb is Verb.CREATE and values:
            clips = [cut for cut in self._alike(values) if cut.created >= scalars.milliseconds(intent.sent) - 60_000]
            if clips:
                self._take(at, Match.MARK, clips[:1])

    def _twin(self, at: int, lookup: Lookup) -> None:
        if lookup.want:
            clips = [cut for cut in self._alike(lookup.want.values) if cut.stage is not Stage.FAILED]
            if clips:
                self._take(at, Match.TWIN, clips)

    def _alike(self, values: Values) -> list[Cut]:
        return [cut for cut in self.by_key.get(_key(values), ()) if cut.id in self.free and _same_cut(values, cut)]


def _remembered(lookup: Lookup) -> tuple[str, ...]:
    """The ids that the ledger knows: the clip's and, while it is not ready, that of the one it is to replace."""
    entry = lookup.entry
    return () if entry is None else (entry.id, entry.former.id) if entry.former else (entry.id,)


# --- the kind ---------------------------------------------------------------------------------------------------------


class Clip(Kind):
    """A piece of a stream's recording, as an asset of its own. It stays when the recording goes."""

    name = "Clip"
    vendor = VENDOR
    spec = ClipSpec
    scheduling = Scheduling.RETROSPECTIVE
    schedule = "none"
    create_first = True  # what it is cut from may be gone by now
    naming = ("spec.start",)
    settle = timedelta(seconds=140)  # no signature ends these requests: 30 s of ours, 90 s in a proxy, 20 s until a replica shows it
    timeout = timedelta(minutes=15)  # the vendor never gives up on a stuck clip
    summary = "cut a piece out of a stream's recording (Livepeer Studio)"

    def canonical(self, spec: ClipSpec, *, name: str) -> Values:
        return {"name": name, **wire.canonical(spec)}

    def identity(self, want: Desired) -> str:
        """`playbackId/sessionId/start-end` in Unix milliseconds; `*` for a session that is still to be found."""
        return _identity(want.values, want.values.get("sessionId"))

    def replaces(self, path: str, want: Desired, live: Observed) -> bool:
        return wire.shape(ClipSpec).marked("replace", path)

    def interrupts(self, path: str) -> bool:
        return False  # a clip is never on air

    # what is done

    def observe(self, ask: Sequence[Lookup]) -> Steps[Survey]:
        streams = {lookup.want.values["playbackId"] if lookup.want else "" for lookup in ask}
        wanted = [{"id": "sourceType", "value": "clip"}]
        if len(streams) == 1 and "" not in streams:
            wanted.append({"id": "sourcePlaybackId", "value": streams.pop()})
        assets = yield from _listed(ASSETS, wanted)
        listed = {str(asset.get("id")) for asset in assets}
        missing = [id for lookup in ask for id in _remembered(lookup) if id not in listed]
        assets += [mapping(reply.body) for reply in (yield from present([ASSET(id=id) for id in missing]))]
        search = Search(ask, {})
        for look in range(2 if assets else 0):
            if look:
                yield Pause(ORPHAN_LOOK, note="a clip has no task yet")
            search = Search(ask, _joined(assets, (yield from _listed(TASKS, [{"id": "type", "value": "clip"}]))))
            if not any(one.cut.orphaned for one in search.run().values()):
                break
        found = search.found
        answers = []
        known: dict[str, list[Session] | str] = {}
        for at, lookup in enumerate(ask):
            answers.append(_observed(lookup, found[at]) if at in found else (yield from _absent(lookup, known)))
        marks = frozenset(fingerprint(lookup.workspace, lookup.address, incarnation) for lookup in ask for incarnation in range(1, 9))
        return Survey(answers, [_stranger(cut, marks) for cut in search.free.values()])

    def create(self, want: Desired) -> Steps[str]:
        values = want.values
        session = values.get("sessionId") or _covering((yield from _sessions(values["playbackId"])), want)
        body = wire.encode(ClipSpec, {**values, "sessionId": session, "name": working_name(want)})
        body.pop("creatorId", None)  # not a parameter of this call
        reply: Reply = yield CUT(body)
        answer = mapping(reply.body)
        id, task = mapping(answer.get("asset")).get("id"), mapping(answer.get("task")).get("id")
        if not isinstance(id, str) or not id:
            raise OutcomeUnknown(
                f"{CUT.action} answered without an asset", action=CUT.action, request_id=reply.request_id,
                next_step=f"reconciler refresh {want.address}",
            )  # fmt: skip
        yield Created(id, identity=_identity(values, session))
        yield from _until_ready(id, str(task or ""))
        yield PATCH(_patch(want.values), id=id)
        return id

    def update(self, want: Desired, live: Observed, fields: Sequence[str]) -> Steps[None]:
        """Name and creator id, together. The vendor takes them from a ready clip only."""
        if live.stage is Stage.MAKING:
            yield from _until_ready(live.id, "")
        yield PATCH({"creatorId": "", **_patch(want.values)} if "spec.creatorId" in fields else _patch(want.values), id=live.id)

    def delete(self, live: Observed) -> Steps[None]:
        try:
            yield DELETE(id=live.id)
        except NotFound:
            return
        except Throttled:
            raise
        except Rejected as refused:
            if "already deleted" not in refused.message:
                raise


def _identity(values: Values, session: str | None) -> str:
    return f"{values['playbackId']}/{session or '*'}/{scalars.milliseconds(values['start'])}-{scalars.milliseconds(values['end'])}"


def _patch(values: Values) -> dict[str, Any]:
    return {key: values[key] for key in ("name", "creatorId") if key in values}


def _until_ready(id: str, task: str) -> Steps[None]:
    """Looks at a clip in the making until it is ready. Raises NotReady, with the vendor's reason, when its making failed."""
    missing = 0
    for look in range(10**6):
        try:
            reply: Reply = yield ASSET(id=id)
        except NotFound as gone:
            missing += 1
            if missing > REPLICA_LOOKS:
                raise NotReady(f"clip {id} was deleted while it was being made", code="Gone", action=ASSET.action) from gone
            yield Pause(WAITS[min(look, len(WAITS) - 1)], note="the clip is not to be seen yet")
            continue
        cut = Cut.read(mapping(reply.body), None)
        if cut.stage is Stage.READY:
            return
        if cut.stage is Stage.FAILED:
            raise (yield from _failure(cut, task))
        note = "the clip is being cut" if cut.stage is Stage.MAKING else f"the clip's phase {cut.phase!r} is not one we know"
        yield Pause(WAITS[min(look, len(WAITS) - 1)], progress=cut.progress, note=note)


def _failure(cut: Cut, task: str) -> Steps[NotReady]:
    """Why the making failed, in the vendor's words; its task tells how often it was tried."""
    tried, message = "", cut.message
    if task:
        try:
            reply: Reply = yield TASK(id=task)
        except (Rejected, Denied, Unavailable):
            pass  # the asset said enough
        else:
            status = mapping(mapping(reply.body).get("status"))
            message = message or str(status.get("errorMessage") or "")
            retries = int(_number(status.get("retries")) or 0)
            tried = f", tried {retries + 1} times" if retries else ""
    return NotReady(
        f"clip {cut.id} could not be cut{tried}: {message or 'the vendor does not say why'}", code="Failed", action=ASSET.action,
        next_step="reconciler apply",
    )  # fmt: skip


def _observed(lookup: Lookup, found: Found) -> Observed:
    cut, want = found.cut, lookup.want
    values, unread = dict(cut.values), set[str]()
    declared = want.values if want else lookup.entry.applied if lookup.entry else None
    if declared is not None and "sessionId" not in declared:
        values.pop("sessionId", None)  # whichever it was cut from is right
    for name in ("start", "end"):
        if name not in values:
            unread.add(name)  # its task is gone, or was cut without an end
    stage = Stage.FAILED if cut.orphaned else cut.stage
    unnamed = cut.name.endswith(" " + fingerprint(lookup.workspace, lookup.address, lookup.incarnation))
    if stage is Stage.READY and unnamed:
        stage = Stage.MAKING  # our part of it is still to be done
    if stage is not Stage.READY:
        for name in ("name", "creatorId"):  # settled once it is ready: until then the name carries our mark
            values.pop(name, None)
            unread.add(name)
    tried = f" (tried {cut.retries + 1} times)" if cut.retries else ""
    why = "the vendor left it without a task" if cut.orphaned else cut.message or "the vendor does not say why"
    detail = {Stage.FAILED: why + tried, Stage.NONE: f"its phase {cut.phase!r} is not one we know"}
    if cut.stage is Stage.READY and unnamed:
        detail[Stage.MAKING] = "cut, and not named yet"
    return Observed(
        lookup.address,
        cut.presence,
        id=cut.id,
        values=values,
        unread=frozenset(unread),
        stage=stage,
        match=found.match,
        also=tuple(other.id for other in found.others),
        same_body=bool(found.others) and all(_same_cut(cut.values, other) for other in found.others),
        progress=cut.progress if cut.stage is Stage.MAKING else None,
        detail=detail.get(stage, ""),
        warnings=(cut.short,) if cut.short else (),
        identity=_identity(cut.values, cut.values.get("sessionId")) if {"playbackId", "start", "end"} <= cut.values.keys() else "",
    )


def _absent(lookup: Lookup, known: dict[str, list[Session] | str]) -> Steps[Observed]:
    """Nothing is there; says early what `create` would find wrong with the sessions. `known` holds them by stream, or why not."""
    want = lookup.want
    if want is None or "sessionId" in want.values:
        return Observed(lookup.address, Presence.ABSENT)
    stream = want.values["playbackId"]
    if stream not in known:
        try:
            known[stream] = yield from _sessions(stream)
        except Rejected as refused:
            known[stream] = refused.message
        except Denied:
            known[stream] = []  # a key that may only read clips: create will tell
    sessions = known[stream]
    warning = sessions if isinstance(sessions, str) else ""
    if not isinstance(sessions, str) and any(session.end >= want.values["end"] for session in sessions):  # else it may still be on air
        try:
            _covering(sessions, want)
        except Rejected as refused:
            warning = refused.message
    return Observed(lookup.address, Presence.ABSENT, warnings=(warning,) if warning else ())


def _stranger(cut: Cut, marks: frozenset[str]) -> Stranger:
    return Stranger(Clip.name, cut.id, cut.name, stage=cut.stage, ours=cut.name.rpartition(" ")[2] in marks, values=cut.values)


KIND = Clip()
