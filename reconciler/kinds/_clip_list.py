"""Clips and sessions as the vendor lists them: read whole, joined with the tasks that cut them, tied to the addresses asked about.

Vendor pages: Retrieve assets, Retrieve tasks, Retrieve sessions, Retrieve streams.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from reconciler import scalars, wire
from reconciler.errors import NotFound, Rejected, Unavailable
from reconciler.frozen import frozen
from reconciler.kinds._calls import Operation, mapping, mappings
from reconciler.kinds._clip_spec import ClipSpec, load_moment
from reconciler.kinds._marks import fingerprint
from reconciler.model import Desired, Lookup, Match, Pause, Presence, Reply, Stage, Steps, Values, Verb
from reconciler.scalars import instant_text

VENDOR = "livepeer"
ASSETS = Operation(VENDOR, "GET /asset", "GET", "/asset", safe=True)
TASKS = Operation(VENDOR, "GET /task", "GET", "/task", safe=True)
SESSIONS = Operation(VENDOR, "GET /session", "GET", "/session", safe=True)
STREAMS = Operation(VENDOR, "GET /stream", "GET", "/stream", safe=True)
STREAM_PLAYED = Operation(VENDOR, "GET /stream/playback/{id}", "GET", "/stream/playback/{id}", safe=True)

PAGE = 1000  # the vendor's largest page
PAGES = 1000
LISTINGS = 5
TOLERANCE = timedelta(seconds=30)  # a session is seen a little later than its first segment, and ends a little before its last
CLAMPED = timedelta(seconds=2)

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
            "startTime": wire.number(strategy.get("startTime")),
            "endTime": wire.number(strategy.get("endTime")),
            "name": asset.get("name"),
            "creatorId": asset.get("creatorId"),
        }
        return cls(
            id=str(asset.get("id")),
            name=str(asset.get("name") or ""),
            stage=_STAGES.get(phase, Stage.NONE),
            phase=phase,
            progress=finite(status.get("progress")),
            message=str(status.get("errorMessage") or work.get("errorMessage") or ""),
            retries=int(finite(work.get("retries")) or 0),
            created=finite(asset.get("createdAt")) or 0.0,
            seconds=finite(mapping(asset.get("videoSpec")).get("duration")),
            values=wire.decode(ClipSpec, known),
            tasked=task is not None,
        )


def _phase(asset: Mapping[str, Any]) -> str:
    return str(mapping(asset.get("status")).get("phase") or "").lower()


def finite(value: Any) -> float | None:
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if known else None


def cuts_of(assets: Sequence[Mapping[str, Any]], tasks: Sequence[Mapping[str, Any]]) -> dict[str, Cut]:
    by_asset = {str(task.get("outputAssetId")): task for task in tasks}
    return {
        str(asset["id"]): Cut.read(asset, by_asset.get(str(asset["id"])))
        for asset in assets
        if asset.get("id") and _phase(asset) not in _GONE
    }


def listing(list_them: Operation, wanted: Sequence[Mapping[str, Any]], *, plain: Mapping[str, str | int] | None = None) -> Steps[list[Any]]:
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
            if not isinstance(reply.body, list):
                raise Unavailable(f"the answer to {list_them.action} is no list; try again in a minute", action=list_them.action)
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
        return f"{self.id} ({_span(self.start, self.end)})"


def sessions_of(playback_id: str) -> Steps[list[Session]]:
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
    rows = yield from listing(SESSIONS, [], plain={"parentId": str(stream.get("id"))})
    found = []
    for row in rows:
        start, end = load_moment(row.get("createdAt")), load_moment(row.get("lastSeen"))
        if start and row.get("id"):
            found.append(Session(str(row["id"]), start, max(start, end or start)))
    return found


def _span(start: datetime, end: datetime) -> str:
    return f"{instant_text(start)} to {instant_text(end)}"


def doubt(sessions: Sequence[Session], want: Desired) -> str:
    """What is wrong with the window for certain, in words; "" while a session that may still be on air could make it right."""
    start, end, id = want.values["start"], want.values["end"], want.values.get("sessionId")
    if not sessions or (id is None and all(session.end < end for session in sessions)):
        return ""
    if id is None:
        try:
            covering(sessions, want)
        except Rejected as refused:
            return refused.message
        return ""
    named = next((session for session in sessions if session.id == id), None)
    if named is None:
        return f"stream {want.values['playbackId']} has no session {id}: {_nearest(sessions, start)}"
    over = any(end <= session.end or (session is not named and named.end <= session.start) for session in sessions)
    if named.covers(start, end if over else named.end, tolerance=TOLERANCE):
        return ""
    return f"{_span(start, end)} leaves session {named}: the vendor cuts what is there, and says nothing"


def _nearest(sessions: Sequence[Session], when: datetime) -> str:
    return "; ".join(map(str, sorted(sessions, key=lambda session: abs(session.start - when))[:5])) or "it has none"


def covering(sessions: Sequence[Session], want: Desired) -> str:
    """The id of the one session that covers the window. Raises Rejected that names the candidates."""
    start, end = want.values["start"], want.values["end"]
    for tolerance in (timedelta(), TOLERANCE):
        fitting = [session for session in sessions if session.covers(start, end, tolerance=tolerance)]
        if len(fitting) == 1:
            return fitting[0].id
        if fitting:
            break
    how = f"{len(fitting)} sessions cover" if fitting else "no session covers"
    raise Rejected(
        f"{how} {_span(start, end)} of stream {want.values['playbackId']}: {_nearest(fitting or sessions, start)}; "
        "name one in spec.sessionId, or correct start and end",
        code="NoSession", action=SESSIONS.action, next_step="reconciler explain Clip.spec.sessionId",
    )  # fmt: skip


# --- whose is what ----------------------------------------------------------------------------------------------------


def working_name(want: Desired) -> str:
    """The name while it is being made: the wanted one and our mark."""
    return f"{want.values['name']} {fingerprint(want.workspace, want.address, want.incarnation)}"


def _key(values: Values) -> tuple[Any, ...]:
    return str(values.get("playbackId")), values.get("start"), values.get("end")  # an answer may hold anything


def same_cut(values: Values, cut: Cut) -> bool:
    """The same piece of the same broadcast; a manifest that names no session takes any."""
    return _key(values) == _key(cut.values) and values.get("sessionId", cut.values.get("sessionId")) == cut.values.get("sessionId")


@dataclass(slots=True)
class Found:
    """The clip of one lookup, how it was tied, and what else has its identity."""

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
        known = [(self.free.pop(id, None), Match.LEDGER) for id in remembered(lookup)]  # nobody else's, whichever of them it is
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
        return [cut for cut in self.by_key.get(_key(values), ()) if cut.id in self.free and same_cut(values, cut)]


def remembered(lookup: Lookup) -> tuple[str, ...]:
    """The ids that the ledger knows: the clip's and, while it is not ready, that of the one it is to replace."""
    entry = lookup.entry
    return () if entry is None else (entry.id, entry.former.id) if entry.former else (entry.id,)
