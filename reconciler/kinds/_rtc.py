"""What recording and slicing sessions share: a task known by (AppId, RoomId, TaskId), begun by Start, ended by Stop, read by Get.

There is no list of tasks, a Get reaches back 72 hours, and a Start for a running task is answered with a sentence instead of an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, ClassVar, NamedTuple

from reconciler import scalars, wire
from reconciler.errors import NotFound, NotReady, OutcomeUnknown, Rejected, VendorError
from reconciler.frozen import frozen
from reconciler.kinds._calls import Operation, mapping
from reconciler.kinds._rtc_spec import ID_LIMIT, number_region
from reconciler.model import (
    Batch,
    Created,
    Desired,
    Entry,
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
    Survey,
    Values,
    Verb,
    Window,
)

VENDOR = "volcengine-rtc"
OBSERVABLE = timedelta(hours=72)

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
    if answer.body not in (None, "") and not isinstance(answer.body, Mapping):
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
    if status == 3 or (status in (1, 2) and ended):
        return Reading(Presence.ENDED, Stage.ENDED, started, ended, reason or "ended", task)
    if status == 1:
        return Reading(Presence.LIVE, Stage.WAITING, started, None, "started, nothing is published yet", task)
    if status == 2:
        return Reading(Presence.LIVE, Stage.ON_AIR, started, None, "", task)
    return Reading(Presence.UNKNOWN, Stage.NONE, started, ended, f"the vendor says status {status!r:.20}, unknown or abnormal", task)


def _instant(raw: Any) -> datetime | None:
    """Unix milliseconds; 0, what is before 1970 (an unset time of some servers) and what is no instant at all are None."""
    try:
        return scalars.unix_milliseconds(raw) if isinstance(raw, int) and raw > 0 else None
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
    observable = OBSERVABLE
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
        for lookup, readings in zip(ask, found, strict=True):
            if lookup.want and [(one.match, seen.presence) for one, seen in readings] == [(Match.TWIN, Presence.ENDED)]:
                readings[:] = [(yield from self._latest(lookup.want, readings[0]))]
        return Survey([self._observed(lookup, readings) for lookup, readings in zip(ask, found, strict=True)])

    def _latest(self, want: Desired, ended: tuple[_Candidate, Reading]) -> Steps[tuple[_Candidate, Reading]]:
        """The ledger knows nothing of a task that ended: it may have been started again, under the next number."""
        while True:
            want = replace(want, incarnation=want.incarnation + 1)
            identity = self._wanted(want)
            seen = yield from self._look_at(identity)
            if seen.presence is Presence.ABSENT:
                return ended
            ended = _Candidate(identity, Match.TWIN, want.incarnation), seen
            if seen.presence is not Presence.ENDED:
                return ended

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
