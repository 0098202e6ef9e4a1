"""(desired, observed, ledger, now) -> changes. Pure: one decision an address, read off the table in `_DECIDE`.

Objects begin and end by themselves, so every decision is about a phase of the wanted window and the stage of the live object.
"Ended is satisfied": what is over is never drift, never an orphan and never made again.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime, timedelta

from reconciler import diff
from reconciler.frozen import frozen
from reconciler.model import (
    TAKING,
    Action,
    Address,
    Change,
    Desired,
    Entry,
    Evidence,
    FieldChange,
    Intent,
    Kind,
    Late,
    Match,
    Need,
    Observed,
    OnAirChange,
    Phase,
    Presence,
    Scheduling,
    Seal,
    Stage,
    Verb,
    Window,
)
from reconciler.scalars import duration_text, instant_text

CLIP_MARGIN = timedelta(seconds=30)  # a clip asked for before its source is written out comes back too short
INTERRUPTION = 2.0  # seconds of air an in-place update of a running object may cost: the vendors do not say, this is our estimate
CLOSE = 60.0  # seconds before the end of its window in which a relay that ended is left: the vendor's clock may be that much ahead
REPLACEMENT = 5.0  # seconds between the stop of the old object and the first frame of the new one, our estimate


@frozen
class Setting:
    """What every decision may look at. `allow_on_air` holds addresses a person named, or `*`; `destroy` wants nothing at all."""

    now: datetime
    seal: Seal
    allow_on_air: Collection[str] = ()
    destroy: bool = False
    min_lead: timedelta = timedelta(seconds=60)

    def allowed(self, address: Address) -> bool:
        return str(address) in self.allow_on_air or "*" in self.allow_on_air


@frozen
class Case:
    """Everything known about one address."""

    address: Address
    kind: Kind
    want: Desired | None
    seen: Observed
    entry: Entry | None
    intent: Intent | None
    setting: Setting
    phase: Phase | None = None
    fields: tuple[FieldChange, ...] = field(default=())

    @property
    def now(self) -> datetime:
        return self.setting.now

    @property
    def running(self) -> bool:
        return self.seen.presence is Presence.LIVE and self.seen.stage is Stage.ON_AIR

    @property
    def evidence(self) -> Evidence:
        """What the comparison rests on: of the differences the weakest, without any the read, if it told the configuration at all."""
        if any(one.evidence is Evidence.LEDGER for one in self.fields):
            return Evidence.LEDGER
        if self.fields or "" not in self.seen.unread:
            return Evidence.LIVE
        return Evidence.LEDGER if self.entry is not None and self.entry.applied is not None else Evidence.NONE


def decisions(cases: Iterable[Case]) -> Iterator[Change]:
    """One change an address, and one more for every duplicate."""
    for case in cases:
        yield decide(case)
        yield from _duplicates(case)


def at_rest(case: Case) -> bool:
    """Whether ours lives to the letter as it is wanted, not yet begun or on air in its very window: `decide` has nothing to say of it.

    Most of most plans is like this, and is then spared the decision. Sessions never are: no read tells all of them.
    """
    want, seen, entry = case.want, case.seen, case.entry
    if want is None or entry is None or case.intent is not None or seen.values is not want.values:
        return False
    if case.kind.scheduling is not Scheduling.VENDOR:
        return False
    if seen.presence is not Presence.LIVE or seen.match is not Match.LEDGER:
        return False
    window = want.window
    if window is None or window.end is None or window != seen.window or case.now >= window.end:
        return False
    if seen.stage is not (Stage.ON_AIR if case.now >= window.start else Stage.WAITING):
        return False
    settled = entry.former is None and entry.address == want.address and entry.account == want.account
    return settled and not (seen.unread or seen.also or seen.warnings)


def held_back(changes: Sequence[Change]) -> list[Change]:
    """What depends on an object that is blocked and not there, or of which nothing certain is known, is blocked with it."""
    stuck = (one for one in changes if one.action is Action.BLOCKED and (one.unsettled or one.wanted in (Action.CREATE, Action.ADOPT)))
    held = {one.address: one for one in stuck}
    late = [one for one in changes if one.action in TAKING and one.desired and one.desired.depends_on] if held else []
    found = True
    while found:
        found = False
        for change in late:
            first = next((held[need] for need in change.desired.depends_on if need in held), None) if change.desired else None
            if first is not None and change.address not in held:
                reason = f"{first.address} comes first, and is blocked"
                held[change.address] = replace(
                    change, action=Action.BLOCKED, wanted=change.action, reason=reason, needs=first.needs, boundary=first.boundary
                )
                found = True
    return [held.get(one.address, one) if one.action in TAKING else one for one in changes]


def decide(case: Case) -> Change:
    """What is to be done about one address now."""
    if case.intent is not None:
        return _unsettled(case)
    newer = case.entry
    if newer is not None and newer.former is not None and not _unseen_yet(case):
        case = replace(case, entry=current(newer, case.seen))
    if case.want is None:
        return _unwanted(case)
    if _elsewhere(case):
        return _left_behind(case)
    case = _seen_in_time(case)
    change = _renaming(case, _decided(case))
    if newer is not None and newer is not case.entry and change.action is Action.NOOP:
        return replace(change, action=Action.ADOPT, reason=f"kept: {newer.id}, which was to replace it, is gone")
    return change


def _elsewhere(case: Case) -> bool:
    """Whether ours still lives in the account that it was made in, and not in the one that is declared now.

    An account that shows the same object only has another name.
    """
    want, entry, seen = case.want, case.entry, case.seen
    assert want is not None
    if entry is None or entry.ended or entry.account == want.account:
        return False
    return not _over(entry, case.now) and not (seen.presence is not Presence.ABSENT and seen.id == entry.id)


def _over(entry: Entry, now: datetime) -> bool:
    """Whether the window that was last applied has ended."""
    return entry.window is not None and entry.window.end is not None and entry.window.end <= now


def _left_behind(case: Case) -> Change:
    """Made in the new account, it would run twice: nothing reads or deletes the old one any more."""
    assert case.want is not None
    assert case.entry is not None
    old, new = case.entry.account, case.want.account
    needs = Need(f"set metadata.account: {old}; to move it, remove its manifest, apply, and declare it again", field="metadata.account")
    return _change(
        case, Action.BLOCKED, f"it lives in account {old}, and account {new} does not show it", wanted=Action.REPLACE, needs=needs
    )


def _decided(case: Case) -> Change:
    if _unseen_yet(case):
        return _change(case, Action.WAIT, _unseen_text(case), wanted=Action.CREATE, boundary=_believed_gone(case))
    if case.seen.presence is Presence.UNKNOWN:
        return _unreadable(case)
    if case.seen.match is Match.TWIN and case.seen.presence is Presence.LIVE:
        return _twin(case)
    if case.seen.match is Match.TWIN:
        case = replace(case, want=_after(case), seen=Observed(case.address, Presence.ABSENT))
    return _DECIDE[case.kind.scheduling](case)


# --- what time makes of a case ----------------------------------------------------------------------------------------


def phase_of(want: Desired, now: datetime) -> Phase:
    """Where `now` stands in the wanted window; an object without a window is always wanted on air."""
    timing = want.timing
    if timing is None:
        return Phase.ON_AIR
    if timing.window.end is not None and now >= timing.window.end:
        return Phase.ENDED
    if now >= timing.window.start:
        return Phase.ON_AIR
    if timing.window.start <= now + timing.lead:
        return Phase.IMMINENT
    return Phase.UPCOMING if timing.window.start <= now + timing.horizon else Phase.BEYOND


def boundary_of(want: Desired, now: datetime) -> datetime | None:
    """The next instant at which the phase changes."""
    timing = want.timing
    if timing is None:
        return None
    start, end = timing.window.start, timing.window.end
    return min([one for one in (start - timing.horizon, start - timing.lead, start, end) if one is not None and one > now], default=None)


def _seen_in_time(case: Case) -> Case:
    """Adds the phase and the differences; a window that began is compared as it was joined."""
    want, seen = case.want, case.seen
    assert want is not None
    phase, live = phase_of(want, case.now), seen.window
    come = live is not None and live.start <= case.now
    # What the vendor shows on air has begun, although the clock of the runner that let it join was a little ahead of ours.
    begun = seen.stage is Stage.ON_AIR or seen.presence is Presence.ENDED or (seen.stage is Stage.STOPPED and come)
    if _later(want.window, live, case.now) or (seen.stage is Stage.STOPPED and phase is not Phase.ON_AIR):
        begun = False  # not what is wanted: that is still to begin
    if want.timing and live and live.start > want.timing.window.start and (begun or come):
        want = case.kind.joined(want, live.start)
    fields: list[FieldChange] = []
    if seen.presence is not Presence.ABSENT:
        applied = case.entry.applied if case.entry else None
        unread = frozenset({""}) if seen.presence is Presence.UNKNOWN else seen.unread
        fields = diff.differences(want.values, seen.values, seal=case.setting.seal, unread=unread, applied=applied)
        if case.kind.scheduling is Scheduling.VENDOR:
            told = _window_differences(want.window, live or _applied_window(case), compare_start=not begun, now=case.now)
            fields += told if live else [replace(one, evidence=Evidence.LEDGER) for one in told]
        if fields:
            known = replace(seen, values=diff.filled(seen.values, unread=seen.unread, applied=applied))
            fields = [replace(one, replace=case.kind.replaces(one.path, want, known) or _restarts(one, seen)) for one in fields]
    return Case(case.address, case.kind, case.want, seen, case.entry, case.intent, case.setting, phase, tuple(fields))


def _later(want: Window | None, live: Window | None, now: datetime) -> bool:
    """Whether the wanted window is still to come, and the live one ends before it: in between, nothing may be on air."""
    return want is not None and live is not None and live.end is not None and want.start > max(now, live.end)


def _restarts(change: FieldChange, seen: Observed) -> bool:
    """What is on air cannot begin again: a start is compared there only when the wanted window is a later one."""
    return change.path == "schedule.start" and seen.stage is Stage.ON_AIR


def _applied_window(case: Case) -> Window | None:
    return case.entry.window if case.entry else None


def _window_differences(want: Window | None, live: Window | None, *, compare_start: bool, now: datetime) -> list[FieldChange]:
    if want is None or live is None:
        return []
    found = []
    late_but_due = live.start <= now and want.start <= now  # the vendor is late: there is nothing to move
    if compare_start and want.start != live.start and not late_but_due:
        found.append(FieldChange("schedule.start", live.start, want.start))
    if want.end != live.end:
        found.append(FieldChange("schedule.end", live.end, want.end))
    return found


# --- what is not, or not reliably, known ------------------------------------------------------------------------------


def _unsettled(case: Case) -> Change:
    intent = case.intent
    assert intent is not None
    wanted = {Verb.CREATE: Action.CREATE, Verb.DELETE: Action.DELETE, Verb.STOP: Action.STOP, Verb.START: Action.START}
    return _change(
        case,
        Action.BLOCKED,
        f"the result of {intent.action} sent at {instant_text(intent.sent)} is unknown; "
        f"what is not seen by {instant_text(intent.horizon)} was not done",
        wanted=wanted.get(intent.verb, Action.UPDATE),
        needs=_refreshed(case),
        unsettled=True,
        boundary=intent.horizon,
    )


def _refreshed(case: Case) -> Need:
    command = f"reconciler refresh {case.address}"
    return Need(command, command=command)


def _unreadable(case: Case) -> Change:
    detail = case.seen.detail or "the vendor's answer says nothing certain"
    if not case.fields:
        return _change(case, Action.NOOP, f"kept as it is: {detail}", warnings=(f"cannot be verified: {detail}",))
    needs = Need("look at it in the vendor's console")
    return _change(case, Action.BLOCKED, f"cannot be verified: {detail}", wanted=Action.UPDATE, needs=needs)


def _twin(case: Case) -> Change:
    command = f"reconciler import {case.address}"
    if case.seen.also:
        ids = ", ".join((case.seen.id, *case.seen.also))
        return _change(
            case,
            Action.BLOCKED,
            f"ambiguous: several live objects look like it, and none is in the ledger: {ids}",
            wanted=Action.ADOPT,
            needs=Need(f"adopt one of them: {command} ID", command=command),
        )
    command += f" {shlex.quote(case.seen.id)}"
    return _change(
        case,
        Action.BLOCKED,
        f"a live twin that is not ours exists: {case.seen.id}",
        wanted=Action.ADOPT,
        needs=Need(f"adopt it: {command}", command=command),
    )


def _after(case: Case) -> Desired | None:
    """What is wanted, with the next number where the vendor shows that this one's identity has been used: it is never used again."""
    want, seen, kind = case.want, case.seen, case.kind
    used = want is not None and kind.scheduling is Scheduling.RUNNER and seen.presence is Presence.ENDED and seen.id == kind.identity(want)
    return replace(want, incarnation=want.incarnation + 1) if want and used else want


def numbered(want: Desired, identity: str, kind: Kind) -> Desired:
    """`want` in the incarnation that has this identity; as it is where none has."""
    tried = (replace(want, incarnation=number) for number in range(want.incarnation, 100))
    return next((one for one in tried if kind.identity(one) == identity), want)


def is_ours(case: Case) -> bool:
    """Whether what was seen, and stands in no ledger, is proven ours: by our mark, or because it is what is declared to the letter."""
    assert case.want is not None
    return case.seen.match is Match.MARK or (case.seen.match is Match.TWIN and not _seen_in_time(case).fields)


def _unseen_yet(case: Case) -> bool:
    return case.entry is not None and lags(case.entry, case.seen, case.kind, case.now)


def lags(entry: Entry, seen: Observed, kind: Kind, now: datetime) -> bool:
    """The vendor confirmed it so lately that a read which does not show it may only lag."""
    shown = seen.presence is not Presence.ABSENT and current(entry, seen) is entry
    if shown or entry.ended or entry.changed is None:
        return False
    return abs(now - entry.changed) < kind.settle  # also before it: another runner's clock, which wrote that, may be ahead of ours


def current(entry: Entry, seen: Observed) -> Entry:
    """The entry of the object that was seen: where the new one of a replacement is gone, that is the one it was to replace."""
    former = entry.former
    return replace(former, address=entry.address) if former is not None and seen.id == former.id else entry


def _believed_gone(case: Case) -> datetime:
    assert case.entry is not None
    assert case.entry.changed is not None
    return case.entry.changed + case.kind.settle


def _unseen_text(case: Case) -> str:
    assert case.entry is not None
    return f"confirmed by the vendor as {case.entry.id} and not visible yet; believed gone from {instant_text(_believed_gone(case))} on"


def _renaming(case: Case, change: Change) -> Change:
    """A new name alone changes nothing at the vendor, and must reach the ledger all the same."""
    if case.entry is None or case.entry.address == case.address:
        return change
    was = f"renamed, was {case.entry.address}"
    if change.action is Action.NOOP:
        return replace(change, action=Action.ADOPT, reason=was) if case.seen.presence is Presence.LIVE else change
    return replace(change, reason=f"{was}; {change.reason}")


# --- in no manifest ---------------------------------------------------------------------------------------------------


def _unwanted(case: Case) -> Change:
    """Ours by the ledger, in no manifest (or everything, when destroying)."""
    seen, entry = case.seen, case.entry
    why = "destroy" if case.setting.destroy else "in no manifest"
    if entry is None and seen.presence is Presence.LIVE and seen.match is Match.MARK:
        return _change(case, Action.DELETE, "came to life late, when it was believed gone", on_air=False)
    if _unseen_yet(case):
        return _change(
            case, Action.BLOCKED, f"{why}, {_unseen_text(case)}", wanted=Action.DELETE, needs=_refreshed(case),
            unsettled=True, boundary=_believed_gone(case),
        )  # fmt: skip
    if entry is None or (seen.presence is Presence.ABSENT and not _unverifiable(case)):
        return _change(case, Action.FORGET, f"{why}, and gone at the vendor")
    over = _over(entry, case.now)
    if seen.presence is Presence.ENDED or entry.ended or (over and not case.running and seen.stage is not Stage.WAITING):
        return _change(case, Action.FORGET, f"{why}, and over")
    if entry.retain:
        return _change(case, Action.FORGET, f"{why}; deletionPolicy: retain")
    if entry.protect:
        return _protected(case, Action.DELETE)
    if not case.running and not _unverifiable(case):
        return _change(case, Action.DELETE, f"{why}, {_stage_text(seen)}")
    return _guarded(case, Action.DELETE, f"{why}, ON AIR", policy=entry.on_air_change, window=entry.window, cost=_rest_of_air(case))


def _unverifiable(case: Case) -> bool:
    """Started so long ago that the vendor's reads no longer reach it: it may still run."""
    reach = case.kind.observable
    started = case.seen.started or (case.entry.started if case.entry else None)
    if case.seen.presence is Presence.UNKNOWN:
        return True
    ended = case.entry is not None and case.entry.ended
    return bool(reach and started and not ended and case.seen.presence is Presence.ABSENT and case.now - started > reach)


# --- one class of kind each -------------------------------------------------------------------------------------------


def _relay(case: Case) -> Change:
    """Vendor-scheduled: created ahead, begun and ended by the vendor."""
    phase, seen = case.phase, case.seen
    if seen.match is Match.MARK and case.entry is None and seen.presence is Presence.LIVE and not case.fields:
        return _change(case, Action.ADOPT, "found by our mark, and in no ledger")
    if seen.presence is Presence.ABSENT:
        return _relay_absent(case)
    if seen.presence is Presence.ENDED:
        if phase is Phase.ENDED:
            return _satisfied(case)
        if phase is Phase.BEYOND:
            return _wait_for_horizon(case, Action.REPLACE)
        if phase is Phase.ON_AIR:
            if case.want and case.want.window and _rest_of(case.want.window, case.now) <= CLOSE:
                return _noop(case, "it ended a moment before its window does, perhaps by another clock", warn=True)
            over = case.entry is not None and _over(case.entry, case.now)
            return _late(case, Action.REPLACE, "it ended with an earlier window" if over else "the vendor ended it early")
        return _replacing(case, "it ended, and is wanted again")
    if phase is Phase.ENDED:
        return _relay_over(case)
    if case.running:
        return _on_air(case)
    if seen.stage is Stage.STOPPED:
        return _stopped(case)
    if not case.fields:
        if phase is Phase.ON_AIR:
            return _noop(case, "the vendor is late: it should be on air and has not begun", warn=True)
        return _noop(case, "up to date")
    return _changing(case, "differs")


def _relay_absent(case: Case) -> Change:
    want, entry = case.want, case.entry
    assert want is not None
    assert want.timing is not None
    gone = "it was there and is gone" if entry and not entry.ended else ""
    match case.phase:
        case Phase.ENDED:
            return _satisfied(case)
        case Phase.BEYOND:
            return _wait_for_horizon(case, Action.CREATE)
        case Phase.ON_AIR:
            return _late(case, Action.CREATE, gone or "its window has begun")
        case Phase.IMMINENT:
            soon = _length(want.timing.window.start - case.now)
            warnings = (f"begins in {soon}",) if want.timing.window.start - case.now < case.setting.min_lead else ()
            return _change(case, Action.CREATE, gone or f"new, begins in {soon}", warnings=warnings)
        case _:
            return _change(case, Action.CREATE, gone or "new")


def _relay_over(case: Case) -> Change:
    """The wanted window is over and the live object is not."""
    if case.running:
        return _cut_short(case) or _change(case, Action.STOP, "overrun: its window is over and it is still on air")
    if case.seen.stage is Stage.WAITING:
        if case.want and case.want.lifecycle.protect:
            return _protected(case, Action.DELETE)
        return _change(case, Action.DELETE, "missed: its window is over and it never began")
    return _satisfied(case)


def _cut_short(case: Case) -> Change | None:
    """The stop of what is on air until later by the window that was last applied; None when that one is over, too."""
    entry = case.entry
    if entry is None or entry.window is None or entry.window.end is None or _over(entry, case.now):
        return None
    return _stopping_early(case, entry.window, "its window was cut short, ON AIR", OnAirChange.APPLY)


def _stopping_early(case: Case, planned: Window, reason: str, policy: OnAirChange) -> Change:
    """A stop before the end of the window that was last applied."""
    return _guarded(case, Action.STOP, reason, policy=policy, window=planned, cost=_rest_of(planned, case.now))


def _stopped(case: Case) -> Change:
    wanted = _enabled(case)
    fields = case.fields
    if any(one.replace for one in fields):
        return _replacing(case, "differs")
    if not wanted or case.phase is Phase.BEYOND:
        rest = tuple(one for one in fields if one.path != "spec.enabled")
        if rest:
            return _change(case, Action.UPDATE, "differs; it stays stopped", fields=rest)
        return _noop(case, "stopped, as wanted" if not wanted else "stopped; continued when it comes within the horizon")
    if [one.path for one in fields] in ([], ["spec.enabled"]):
        loud = ("it is stopped and should be on air",) if case.phase is Phase.ON_AIR else ()
        return _change(case, Action.START, "stopped, and wanted enabled", warnings=loud)
    return _change(case, Action.UPDATE, "differs; continued afterwards")


def _session(case: Case) -> Change:
    """Runner-scheduled: somebody calls Start at the start of the window and Stop at its end."""
    phase, seen = case.phase, case.seen
    if _unverifiable(case):
        if phase is Phase.ENDED and case.want and case.want.window:
            return _change(case, Action.STOP, "its window is over; started too long ago to be read, so it is stopped to be sure")
        reach = case.kind.observable or timedelta()
        return _noop(case, f"unverifiable: started over {reach.total_seconds() / 3600:.0f} h ago, the vendor no longer tells", warn=True)
    if seen.presence is Presence.LIVE:
        if seen.match is Match.MARK and (case.entry is None or case.entry.id != seen.id) and not case.fields:
            return _change(case, Action.ADOPT, "running under our id, and in no ledger")
        if phase is Phase.ENDED:
            return _cut_short(case) or _change(case, Action.STOP, "its window is over")
        return _moved(case) or _on_air(case)
    if phase is Phase.ENDED:
        return _satisfied(case)
    if seen.presence is Presence.ENDED or (case.entry and case.entry.ended):
        if phase is Phase.ON_AIR:
            return _session_ended(case)
    elif phase is Phase.ON_AIR:
        gone = "it was running and is gone" if case.entry else ""
        return _late(case, Action.CREATE, gone or ("its window has begun" if case.want and case.want.window else "new"))
    assert case.want is not None
    assert case.want.window is not None
    return _change(
        case,
        Action.WAIT,
        f"a runner must start it at {instant_text(case.want.window.start)}",
        wanted=Action.CREATE,
        boundary=case.want.window.start,
    )


def _moved(case: Case) -> Change | None:
    """The stop of a session that runs for the window that was last applied, where the wanted one comes later."""
    entry, want = case.entry, case.want
    assert want is not None
    if entry is None or entry.window is None or not _later(want.window, entry.window, case.now):
        return None
    if _over(entry, case.now):
        return _change(case, Action.STOP, "the window it runs for is over, the next is still to come")
    return _stopping_early(case, entry.window, "its window was moved, ON AIR", want.lifecycle.on_air_change)


def _served_another(case: Case) -> bool:
    """Whether a session ended with, or before, another window than the wanted one: no vendor ended it inside of that."""
    want, ran = case.want, case.seen.window
    if want is None or want.window is None:
        return False
    return (case.entry is not None and _over(case.entry, case.now)) or bool(ran and ran.end and ran.end <= want.window.start)


def _session_ended(case: Case) -> Change:
    detail = f" ({case.seen.detail})" if case.seen.detail else ""
    assert case.want is not None
    if _served_another(case):
        return _late(case, Action.CREATE, "it ran for an earlier window, and the next has begun")
    if case.fields:
        return _change(case, Action.REPLACE, f"ended{detail}, and differs: started anew", on_air=False)
    if case.want.lifecycle.restart_on_end:
        return _change(case, Action.START, f"ended{detail}, started again: onEnd: restart")
    return _noop(case, f"ended{detail}, not restarted: onEnd: leave", warn=True)


def _clip(case: Case) -> Change:
    """Retrospective: cut after its end plus a margin, and replaced by one that is ready before the old one goes."""
    seen, want = case.seen, case.want
    assert want is not None
    if seen.match is Match.MARK and case.entry is None and seen.presence is Presence.LIVE and not case.fields and seen.stage is Stage.READY:
        return _change(case, Action.ADOPT, "found by our mark, and in no ledger")
    if seen.presence in (Presence.ABSENT, Presence.ENDED):
        end = want.values.get("end")
        if isinstance(end, datetime) and case.now < end + CLIP_MARGIN:
            return _change(
                case,
                Action.WAIT,
                f"cut after its end, at {instant_text(end + CLIP_MARGIN)}",
                wanted=Action.CREATE,
                boundary=end + CLIP_MARGIN,
            )
        return _change(case, Action.CREATE, "it was there and is gone" if case.entry else "new")
    former = case.entry.former if case.entry else None
    if seen.stage is Stage.FAILED:
        return _replacing(case, f"its making failed: {seen.detail or 'the vendor does not say why'}")
    if any(one.replace for one in case.fields):
        return _replacing(case, "differs; the new one is made first, then this one is deleted")
    then = f"; then {former.id}, which it replaces, is deleted" if former else ""
    if seen.stage is Stage.MAKING:
        done = f", {seen.progress:.0%} done" if seen.progress is not None else ""
        return _change(case, Action.UPDATE, f"{seen.detail or 'being made'}{done}{then}")
    if former:
        return _change(case, Action.UPDATE, f"ready{then}")
    return _changing(case, "differs") if case.fields else _noop(case, "up to date")


_DECIDE: dict[Scheduling, Callable[[Case], Change]] = {
    Scheduling.VENDOR: _relay,
    Scheduling.RUNNER: _session,
    Scheduling.RETROSPECTIVE: _clip,
}


# --- on air -----------------------------------------------------------------------------------------------------------


def _on_air(case: Case) -> Change:
    """A running object that is wanted: nothing touches it but by its policy."""
    want, fields = case.want, case.fields
    assert want is not None
    if not fields:
        early = case.phase is not Phase.ON_AIR
        return _noop(case, "on air before its window" if early else "up to date", warn=early)
    replacing = any(one.replace for one in fields)
    interrupting = [one for one in fields if one.path != "schedule.end" and case.kind.interrupts(one.path)]
    if replacing:
        if want.lifecycle.protect:
            return _protected(case, Action.REPLACE)
        action, cost = Action.REPLACE, _rest_of_air(case) if any(one.path == "schedule.start" for one in fields) else REPLACEMENT
    elif not _enabled(case) and any(one.path == "spec.enabled" for one in fields):
        action, cost = (Action.STOP if len(fields) == 1 else Action.UPDATE), _rest_of_air(case)
    else:
        action, cost = Action.UPDATE, INTERRUPTION if interrupting else 0.0
    if action is Action.UPDATE and not cost and _may_touch(case):
        return _change(case, action, "differs; does not interrupt output")
    return _guarded(case, action, "differs, ON AIR", policy=want.lifecycle.on_air_change, window=case.seen.window or want.window, cost=cost)


def _may_touch(case: Case) -> bool:
    """Whether a change that interrupts nothing may be made now.

    By policy; or because there is no end of a window to wait for; or because it only gives more air time, which waiting would cut off.
    """
    want = case.want
    assert want is not None
    if want.lifecycle.on_air_change is OnAirChange.APPLY or want.window is None:
        return True
    longer = [one for one in case.fields if one.path == "schedule.end" and one.before and one.after and one.after > one.before]
    return want.lifecycle.on_air_change is OnAirChange.DEFER and len(longer) == len(case.fields)


def _guarded(case: Case, action: Action, reason: str, *, policy: OnAirChange, window: Window | None, cost: float) -> Change:
    """The guard of `time.md`: needs a flag that names the address, or else waits for the end of the window, or refuses."""
    flag = f"--allow-on-air {case.address}"
    named = Need(flag, flag)
    end = window.end if window else None
    endless = end is None or end <= case.now
    if case.setting.allowed(case.address) and not (endless and policy is not OnAirChange.APPLY and not case.setting.destroy):
        return _change(case, action, reason, on_air=True, off_air=cost)
    if policy is OnAirChange.REFUSE:
        return _change(
            case, Action.BLOCKED, f"{reason}; onAirChange: refuse", wanted=action, needs=named, on_air=True, off_air=cost, refused=True
        )
    if endless:
        if policy is OnAirChange.APPLY or case.setting.destroy:
            needs = named
        elif case.want is None:  # no manifest is left to say so
            command = f"reconciler destroy --target {case.address} {flag}"
            needs = Need(command, command=command)
        else:
            needs = Need(f"lifecycle.onAirChange: apply, and {flag}", field="lifecycle.onAirChange")
        return _change(case, Action.BLOCKED, f"{reason}, with no end in sight", wanted=action, needs=needs, on_air=True, off_air=cost)
    assert end is not None
    needs = Need(f"{flag}, or {'destroy' if case.setting.destroy else 'apply'} after {instant_text(end)}", flag)
    if policy is OnAirChange.APPLY:
        until = f"{reason} until {instant_text(end)}"
        return _change(case, Action.BLOCKED, until, wanted=action, needs=needs, on_air=True, off_air=cost, boundary=end)
    until = f"{reason}; deferred until its window ends at {instant_text(end)}"
    return _change(case, Action.WAIT, until, wanted=action, needs=needs, on_air=True, boundary=end)


def _rest_of_air(case: Case) -> float:
    """Seconds of air that are lost when it stops now."""
    window = case.seen.window or (case.want.window if case.want else None) or (case.entry.window if case.entry else None)
    return _rest_of(window, case.now)


def _rest_of(window: Window | None, now: datetime) -> float:
    return max(0.0, (window.end - now).total_seconds()) if window is not None and window.end is not None else 0.0


# --- small decisions --------------------------------------------------------------------------------------------------


def _late(case: Case, action: Action, reason: str) -> Change:
    """The window has begun and the object is missing."""
    timing = case.want.timing if case.want else None
    if timing is None:
        return _change(case, action, reason)
    if timing.late is Late.SKIP:
        return _noop(case, f"{reason}; late: skip", warn=True)
    if action is Action.REPLACE and case.want and case.want.lifecycle.protect:
        return _protected(case, action)
    missed = _length(case.now - timing.window.start)
    if timing.late is Late.FAIL:
        return _change(
            case,
            Action.BLOCKED,
            f"{reason}; {missed} late, and late: fail",
            wanted=action,
            needs=Need("move its start, or set schedule.late: join", field="schedule.late"),
        )
    return _change(case, action, f"{reason}; joins {missed} late, ends as declared")


def _changing(case: Case, reason: str) -> Change:
    """A difference on an object that is not on air."""
    if any(one.replace for one in case.fields):
        return _replacing(case, reason)
    if [one.path for one in case.fields] == ["spec.enabled"]:
        return _change(case, Action.START if _enabled(case) else Action.STOP, "enabled changed")
    if case.phase is Phase.IMMINENT and case.want and case.want.timing:
        soon = _length(case.want.timing.window.start - case.now)
        return _change(case, Action.UPDATE, reason, warnings=(f"it begins in {soon}",))
    return _change(case, Action.UPDATE, reason)


def _replacing(case: Case, reason: str) -> Change:
    assert case.want is not None
    if case.want.lifecycle.protect:
        return _protected(case, Action.REPLACE)
    return _change(case, Action.REPLACE, reason)


def _protected(case: Case, wanted: Action) -> Change:
    return _change(
        case,
        Action.BLOCKED,
        f"lifecycle.protect forbids to {wanted} it",
        wanted=wanted,
        needs=Need("set lifecycle.protect: false and apply that first", field="lifecycle.protect"),
        on_air=case.running,
    )


def _wait_for_horizon(case: Case, wanted: Action) -> Change:
    assert case.want is not None
    assert case.want.timing is not None
    when = case.want.timing.window.start - case.want.timing.horizon
    return _change(case, Action.WAIT, f"beyond the horizon, made from {instant_text(when)} on", wanted=wanted, boundary=when)


def _satisfied(case: Case) -> Change:
    return _noop(case, "its window is over: satisfied")


def _noop(case: Case, reason: str, *, warn: bool = False) -> Change:
    return _change(case, Action.NOOP, reason, fields=(), warnings=(reason,) if warn else ())


def _enabled(case: Case) -> bool:
    return case.want is None or bool(case.want.values.get("enabled", True))


def _duplicates(case: Case) -> list[Change]:
    """Further live objects with the same identity and the same body as one of ours: exactly one may stay."""
    if case.seen.match not in (Match.LEDGER, Match.MARK) or not case.seen.same_body or case.intent is not None:
        return []
    return [
        replace(
            _change(case, Action.DELETE, f"duplicate of {case.seen.id}: same identity, same body", fields=(), on_air=False),
            desired=None,
            observed=replace(case.seen, id=extra, also=(), match=Match.MARK),
            entry=None,
        )
        for extra in case.seen.also
    ]


def _namesakes(case: Case) -> tuple[str, ...]:
    """What has the identity of one of ours and another body is told of, and never deleted: somebody may have copied ours, and gone on."""
    seen = case.seen
    if not seen.also or seen.same_body or case.intent is not None or seen.match not in (Match.LEDGER, Match.MARK):
        return ()
    names = ", ".join(seen.also)
    return (f"{names}: under the name of {seen.id}, and not the same; nothing here touches it, delete it at the vendor",)


def _change(
    case: Case,
    action: Action,
    reason: str,
    *,
    wanted: Action | None = None,
    needs: Need | None = None,
    fields: tuple[FieldChange, ...] | None = None,
    warnings: tuple[str, ...] = (),
    on_air: bool | None = None,
    off_air: float = 0.0,
    boundary: datetime | None = None,
    unsettled: bool = False,
    refused: bool = False,
) -> Change:
    return Change(
        address=case.address,
        action=action,
        reason=reason,
        wanted=wanted,
        account=case.want.account if case.want else case.entry.account if case.entry else "default",
        place=case.want.place if case.want else None,
        phase=case.phase,
        stage=case.seen.stage,
        on_air=case.running if on_air is None else on_air,
        off_air=off_air,
        fields=case.fields if fields is None else fields,
        evidence=case.evidence,
        needs=needs,
        warnings=(*warnings, *case.seen.warnings, *_namesakes(case)),
        boundary=boundary or _boundary(case),
        desired=case.want,
        observed=case.seen,
        entry=case.entry,
        unsettled=unsettled,
        refused=refused,
    )


def _boundary(case: Case) -> datetime | None:
    """When the decision changes by itself; of what is in no manifest, when it goes on air or its window ends."""
    if case.want:
        return boundary_of(case.want, case.now)
    window = case.seen.window or (case.entry.window if case.entry else None)
    return min([one for one in (window.start, window.end) if one is not None and one > case.now], default=None) if window else None


def _stage_text(seen: Observed) -> str:
    return {Stage.ON_AIR: "ON AIR", Stage.WAITING: "not begun", Stage.NONE: "idle"}.get(seen.stage, seen.stage.value)


def _length(length: timedelta) -> str:
    return duration_text(length) if length >= timedelta(seconds=1) else "less than a second"


_ORDER = {
    Action.BLOCKED: 0,
    Action.REPLACE: 1,
    Action.DELETE: 2,
    Action.STOP: 3,
    Action.UPDATE: 4,
    Action.START: 5,
    Action.CREATE: 6,
    Action.ADOPT: 7,
    Action.FORGET: 8,
    Action.WAIT: 9,
    Action.NOOP: 10,
}


def danger(change: Change) -> tuple[int, bool, Address]:
    """Sorts changes into the order in which people should read them: the most dangerous first."""
    return (_ORDER[change.action], not change.on_air, change.address)


# --- drift ------------------------------------------------------------------------------------------------------------


def drift(entry: Entry, seen: Observed, *, seal: Seal, now: datetime, reach: timedelta | None = None) -> tuple[FieldChange, ...] | None:
    """What moved away from what was last applied, outside of us: None when nothing did, () when the object vanished.

    An ended object has not drifted. What started longer ago than the vendor's reads `reach` is not seen, and not gone.
    """
    if entry.ended or _over(entry, now) or seen.presence in (Presence.ENDED, Presence.UNKNOWN):
        return None
    if seen.presence is Presence.ABSENT:
        return None if reach and entry.started and now - entry.started > reach else ()
    if entry.applied is None or "" in seen.unread:
        return None
    found = diff.differences(entry.applied, seen.values, seal=seal, unread=seen.unread, applied=entry.applied)
    begun = seen.stage is not Stage.WAITING
    if entry.window and seen.window:
        found += _window_differences(entry.window, seen.window, compare_start=not begun, now=now)
    return tuple(replace(one, before=one.after, after=one.before) for one in found) or None


def needs_read(want: Desired | None, entry: Entry | None, kind: Kind, now: datetime) -> bool:
    """Whether the decision about an address looks at the live object at all; saves calls where every read is one object."""
    if want is None or kind.scheduling is not Scheduling.RUNNER:
        return True
    if entry is None:
        return phase_of(want, now) is Phase.ON_AIR
    return not (entry.ended and phase_of(want, now) is Phase.ENDED)


def cases(
    wanted: Iterable[Desired],
    seen: Mapping[Address, Observed],
    entries: Mapping[Address, Entry],
    intents: Mapping[Address, Intent],
    kind_of: Callable[[str], Kind | None],
    setting: Setting,
) -> Iterable[Case]:
    """Joins what is wanted, seen and remembered by address; a wanted address under an earlier name takes that name's entry."""
    taken: set[Address] = set()
    spent = _spent(entries.values(), kind_of, setting.now)
    for want in wanted:
        kind = kind_of(want.address.kind)
        assert kind is not None
        entry = entries.get(want.address)
        if entry is None and want.renamed_from:
            entry = entries.get(Address(want.address.kind, want.renamed_from, want.address.occurrence))
        taken.add(want.address)
        if entry:
            taken.add(entry.address)
        here = seen.get(want.address) or Observed(want.address, Presence.ABSENT)
        meant, here = _following(want, here, kind, spent) if entry is None and spent else (want, here)
        if entry is None and here.match is Match.TWIN and kind.scheduling is Scheduling.RUNNER:
            meant = numbered(meant, here.id, kind)  # the ledger was lost, and it had been started again
        yield Case(want.address, kind, meant, here, entry, intents.get(want.address), setting)
    alive = {address for address, one in seen.items() if one.presence is Presence.LIVE}
    for address in sorted({*entries, *intents, *alive} - taken):
        kind = kind_of(address.kind)
        if kind is not None:
            here = seen.get(address) or Observed(address, Presence.ABSENT)
            yield Case(address, kind, None, here, entries.get(address), intents.get(address), setting)


_Spent = Mapping[tuple[str, str, str], Entry]


def _spent(entries: Iterable[Entry], kind_of: Callable[[str], Kind | None], now: datetime) -> _Spent:
    """Sessions of ours that ended, or should have, by kind, account and identity: whoever shares their names is another session."""
    over = (entry for entry in entries if entry.ended or _over(entry, now))
    return {
        (entry.address.kind, entry.account, entry.identity): entry
        for entry in over
        if (kind := kind_of(entry.address.kind)) is not None and kind.scheduling is Scheduling.RUNNER
    }


def _following(want: Desired, here: Observed, kind: Kind, spent: _Spent) -> tuple[Desired, Observed]:
    """A session after another of ours with the same names gets the next number; that one, not stopped yet, is no stranger's twin."""
    while (before := spent.get((kind.name, want.account, kind.identity(want)))) is not None:
        if here.match is Match.TWIN and here.id == before.id and not before.ended:
            here = Observed(want.address, Presence.ABSENT)
        following = replace(want, incarnation=want.incarnation + 1)
        if kind.identity(following) == before.identity:
            break  # a kind without numbers
        want = following
    return want, here
