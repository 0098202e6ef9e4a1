"""Carries one change out through its verbs, every write journalled before it is sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from reconciler import diff
from reconciler.courier import Courier
from reconciler.crash import point
from reconciler.errors import NotReady, OutcomeUnknown, ReconcilerError, Stale, VendorError
from reconciler.frozen import frozen
from reconciler.ledger import Lease, Ledger, Tombstone
from reconciler.model import (
    Action,
    Call,
    Change,
    Clock,
    Created,
    Desired,
    Entry,
    Event,
    Intent,
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
    Values,
    Verb,
)
from reconciler.settling import LATEST, policy

MISMADE = ("Failed", "Gone")  # how a kind says that an object will never be ready
RENEW = 30.0  # seconds of the lease that must be left


@frozen
class Crew:
    """What carrying out needs: the kinds, the ledger, the clock, a courier for an account, and somebody to tell."""

    kind: Callable[[str], Kind]
    ledger: Ledger
    clock: Clock
    courier: Callable[[str, Callable[[Pause], None]], Courier]
    tell: Callable[[Event], None]
    halted: Callable[[], bool]
    parallelism: int = 8
    wait: bool = True


class Work:
    """One change on its way: the journal of its writes, and the entry that results."""

    def __init__(self, change: Change, crew: Crew, lease: Lease) -> None:
        self._change = change
        self._crew = crew
        self._lease = lease
        self._ledger = crew.ledger
        self._kind = crew.kind(change.address.kind)
        self._clock = crew.clock
        self._courier = crew.courier(change.account, self._paused)
        self._open: Intent | None = None
        self._call: Call | None = None
        self._verb = Verb.UPDATE
        self._want: Desired | None = change.desired
        self._entry: Entry | None = change.entry
        self._sealed: Values | None = None
        self._made = ""  # the id of what was created, once the vendor confirmed it
        self._doubted: datetime | None = None  # when a create was first sent that was then refused, by whomever
        self._target = change.observed.id if change.observed else ""  # whom the next write is for
        self._gone: Entry | None = None  # whom it deletes
        self._left: Entry | None = None  # what its success leaves in the ledger
        self.request_id = ""
        self.id = change.observed.id if change.observed else ""
        self.wrote = False  # whether the vendor carried out any write of it
        self.kept = False  # whether the object that is to be replaced is still there

    @property
    def bereft(self) -> bool:
        """Whether a replacement took the old object away and has not brought the new one."""
        return self._change.action is Action.REPLACE and self.wrote and self._entry is None

    def carry_out(self) -> str:
        """Returns a short text for people; raises ReconcilerError's subclasses."""
        address = self._change.address
        if self._entry is not None and self._entry.address != address:
            self._ledger.move(self._entry.address, address)
            self._entry = replace(self._entry, address=address)
        try:
            return self._carried_out()
        except NotReady as wrong:
            if wrong.code in MISMADE and self._entry is not None and self._entry.former is not None:
                self._put_back()
            raise

    def _carried_out(self) -> str:
        change = self._change
        match change.action:
            case Action.CREATE:
                return self._create()
            case Action.UPDATE:
                return self._update()
            case Action.REPLACE:
                return self._replace()
            case Action.DELETE:
                return self._delete()
            case Action.STOP:
                return self._stop()
            case Action.START:
                return self._start()
            case Action.ADOPT:
                self._ledger.put(self._adopted())
                return "adopted"
            case Action.FORGET:
                self._retire(self._entry)
                self._ledger.remove(change.address)
                return "forgotten"
        raise ReconcilerError(f"{change.action} is nothing to carry out")

    # the verbs

    def _create(self) -> str:
        want = self._numbered()
        if want.timing and self._kind.scheduling is Scheduling.VENDOR:
            want = self._kind.joined(want, self._clock.now().replace(microsecond=0))
        self._want, self._verb = want, Verb.CREATE
        self._sealed = self._ledger.seal_values(want.values)
        point("engine.create")
        ready = self._drive(self._kind.create(want))
        return "created" if ready else "created, not waited for"

    def _replace(self) -> str:
        """The old one goes first, or last: where the kind can have both, it is kept until the new one is ready."""
        if not self._kind.create_first:
            self._delete()
            return "replaced" if (said := self._create()) == "created" else said
        live, entry = self._change.observed, self._take_in()
        assert live is not None
        if entry.former is not None and live.stage is Stage.READY:
            self._check_unchanged()  # if it is gone by now, the former is all there is
            self._drop_former()
        elif entry.former is not None:
            self._put_back()
            if self._fits():
                return "the old one is kept: it is what is wanted again"
        elif live.stage is Stage.FAILED:
            self._delete()
        self.kept = self._entry is not None
        self._target = ""
        said = self._create()
        if not self.kept:
            return said
        if said != "created":
            return f"{said}; the old one is kept until it is ready"
        self._drop_former()
        return "replaced"

    def _update(self) -> str:
        self._check_unchanged()
        want, live = self._pair()
        making = live.stage is Stage.MAKING
        self.kept = self._take_in().former is not None
        enabled = [one for one in self._change.fields if one.path == "spec.enabled"]
        rest = [one.path for one in self._change.fields if one.path != "spec.enabled"]
        if want.timing and live.window and live.window.start > want.timing.window.start and live.window.start <= self._clock.now():
            want = self._want = self._kind.joined(want, live.window.start)
        self._sealed = self._ledger.seal_values(want.values)
        if (rest or making) and not self._drive(self._kind.update(want, live, rest), ready=making):
            return "being made, not waited for"
        if enabled:
            self._verb = Verb.START if want.values.get("enabled", True) else Verb.STOP
            self._drive(self._kind.start(want, live) if self._verb is Verb.START else self._kind.stop(live))
        self._entry = self._adopted()
        self._ledger.put(self._entry)
        self._drop_former()
        return "updated" if self._shows(want) else "updated; the vendor's read does not show it yet"

    def _start(self) -> str:
        want, live = self._pair()
        if live.presence is not Presence.LIVE:
            return "started" if (said := self._create()) == "created" else said
        self._verb = Verb.START
        self._sealed = self._ledger.seal_values(want.values)
        self._drive(self._kind.start(want, live))
        self._ledger.put(self._adopted())
        return "started"

    def _stop(self) -> str:
        _, live = self._pair()
        self._verb = Verb.STOP
        if self._entry:
            over = self._kind.scheduling is Scheduling.RUNNER
            kept = self._adopted() if self._change.desired and not over else self._entry
            self._left = replace(kept, ended=over or self._entry.ended)
        self._drive(self._kind.stop(live))
        if self._left is not None:  # it had ended before: the vendor refused, and that is as good
            self._ledger.put(self._left)
        return "stopped"

    def _delete(self) -> str:
        live = self._change.observed
        assert live is not None
        self._drop_former()
        self._retire(self._entry)
        if live.presence is not Presence.ABSENT or self._entry is not None:
            self._remove(live, self._entry, left=None)
        return "deleted"

    def _drop_former(self) -> None:
        """Deletes what the object has taken the place of, if there still is such a one."""
        entry = self._entry
        if entry is not None and entry.former is not None:
            self._retire(entry.former)
            self._remove(_known(entry.former), entry.former, left=replace(entry, former=None))
        self.kept = False

    def _put_back(self) -> None:
        """Deletes an object that could not take the place of another: that one is the address's again."""
        entry = self._entry
        assert entry is not None
        assert entry.former is not None
        self._retire(entry)
        self._remove(_known(entry), entry, left=replace(entry.former, address=entry.address))
        self.id, self.kept = entry.former.id, True

    def _remove(self, live: Observed, gone: Entry | None, *, left: Entry | None) -> None:
        """Deletes one object; the ledger then has `left` where it had `gone`, or nothing."""
        self._verb, self._target, self._gone, self._left = Verb.DELETE, live.id, gone, left
        self._drive(self._kind.delete(live))
        if gone is not None and self._entry is not left:  # it was gone before: the vendor refused, and that is as good
            self._ledger.put(left) if left else self._ledger.remove(gone.address)
            self._entry = left
        self._gone = self._left = None

    def _check_unchanged(self) -> None:
        """What can be read one by one is read again right before it is changed. A list was read for the plan just now."""
        live, now = self._change.observed, self._look()
        if live is None or now is None or now.unread != live.unread:
            return
        if (now.presence, now.id, now.values) != (live.presence, live.id, live.values):
            raise Stale(f"{self._change.address} was changed since it was planned", next_step="reconciler plan")

    def _shows(self, want: Desired) -> bool:
        """Read back: whether what was written is there. A read that lags, or does not tell, is no failure."""
        try:
            seen = self._look()
        except VendorError:
            return True
        if seen is None or seen.presence is not Presence.LIVE:
            return True
        return not diff.differences(want.values, seen.values, seal=self._ledger.seal, unread=seen.unread, applied=want.values)

    def _fits(self) -> bool:
        """Whether the address's object, as it is now, need not be replaced."""
        want, seen = self._change.desired, self._look()
        assert want is not None
        if seen is None or self._entry is None or (seen.presence, seen.id) != (Presence.LIVE, self._entry.id):
            return False
        found = diff.differences(want.values, seen.values, seal=self._ledger.seal, unread=seen.unread, applied=self._applied())
        return not any(self._kind.replaces(one.path, want, seen) for one in found)

    def _look(self, intent: Intent | None = None) -> Observed | None:
        """This one object, now. None where there is no reading one by one, unless an intent makes it worth a list."""
        want = self._want
        if want is None or (intent is None and self._kind.scheduling is Scheduling.VENDOR):
            return None
        lookup = Lookup(self._change.address, want.workspace, want, self._entry, intent)
        return self._courier.run(self._kind.observe([lookup])).answers[0]

    def _pair(self) -> tuple[Desired, Observed]:
        want, live = self._change.desired, self._change.observed
        assert want is not None
        assert live is not None
        return want, replace(live, values=diff.filled(live.values, unread=live.unread, applied=self._applied()))

    def _applied(self) -> Values | None:
        """The ledger's record of what was applied last, opened: it may be as `seal_values` made it."""
        return self._ledger.open_values(self._entry.applied) if self._entry and self._entry.applied is not None else None

    def _drive(self, steps: Steps[Any], *, ready: bool = False) -> bool:
        """Runs a verb's steps to their end; what a kind makes of an answer closes the intent of the call that got it.

        False when that end was not waited for. `ready` says that the steps wait for the object itself: to have no time is then a failure.
        """
        limit = (self._want.lifecycle.timeout if self._want else None) or self._kind.timeout
        try:
            self._courier.run(steps, journal=self, deadline=limit.total_seconds() if self._crew.wait else 0.0)
        except NotReady as late:
            self._close()
            if late.code == "Timeout" and (not self._crew.wait or (self._verb is not Verb.CREATE and not ready)):
                return False
            raise
        except VendorError as wrong:
            if isinstance(wrong, OutcomeUnknown):
                self._void(self._ledger.unknown, wrong)
            elif self._verb is Verb.CREATE:
                self._refused(wrong)
            else:
                self._close()
            raise
        self._close()
        return True

    def _void(self, how: Callable[[Lease, str, str], None], why: VendorError) -> None:
        """The open intent, if there still is one, came to nothing certain, or to nothing."""
        self.request_id = why.request_id or self.request_id
        if self._open:
            how(self._lease, self._open.id, f"{why.code} {why.message}".strip())
            self._open = None

    # the journal: called by the courier around every write

    def sending(self, call: Call) -> None:
        self._keep()
        call, now = replace(call, by=None), self._clock.now()
        if self._open is not None and self._call == call:
            self._open = replace(self._open, sent=now, horizon=now + self._kind.settle)
            self._ledger.begin(self._lease, self._open)
            return
        self._close()
        self._call = call
        change = self._change
        want, gone = self._want, self._gone
        if want is not None and self._verb is not Verb.DELETE:
            identity, incarnation = self._kind.identity(want), want.incarnation
        else:
            identity, incarnation = (gone.identity, gone.incarnation) if gone else ("", 1)
        intent = Intent(
            id=self._ledger.new_id(),
            address=change.address,
            account=change.account,
            verb=Verb.UPDATE if self._made and self._verb is Verb.CREATE else self._verb,  # what follows a confirmed creation makes nothing
            action=call.action,
            identity=identity,
            incarnation=incarnation,
            sent=now,
            horizon=now + self._kind.settle,
            target=self._target,
            desired=self._sealed,
            window=want.window if want else None,
        )
        self._ledger.begin(self._lease, intent)
        self._open = intent

    def done(self, call: Call, reply: Reply) -> None:
        self.request_id = reply.request_id

    def rejected(self, call: Call, why: VendorError) -> None:
        self._refused(why)

    def _refused(self, why: VendorError) -> None:
        if self._open is not None and self._open.verb is Verb.CREATE and self._doubted is not None:
            # a rate limit or a proxy may have refused what was done: should it be seen after all, it is known to be ours
            self.request_id = why.request_id or self.request_id
            grave = Tombstone(self._open.address, self._open.account, self._open.identity, "", self._doubted + LATEST)
            self._ledger.settle(self._open.id, present=False, tombstone=grave)
            self._open = None
            return
        self._void(self._ledger.reject, why)

    def unknown(self, call: Call, why: VendorError) -> None:
        self._void(self._ledger.unknown, why)

    def created(self, made: Created) -> None:
        self.id = self._made = self._target = made.id
        self.wrote = True
        assert self._want is not None
        started = made.started or (self._clock.now() if self._kind.scheduling is Scheduling.RUNNER else None)
        former = self._entry if self.kept else None
        entry = self._entry = self._owned(self._want, made.id, made.identity, applied=self._sealed, started=started, former=former)
        if self._open:
            self._ledger.confirm(self._lease, self._open.id, entry=entry, request_id=self.request_id)
            self._open = None
        else:
            self._ledger.put(entry)

    def happened(self, call: Call) -> bool:
        if self._open is None or self._open.verb is not Verb.CREATE:
            return False
        self._doubted = self._doubted or self._open.sent
        try:
            seen = self._look(self._open)
        except VendorError:
            return False
        return seen is not None and seen.presence is Presence.LIVE and seen.match is Match.MARK

    def _close(self) -> None:
        """The last write was answered: its intent is closed before the next one opens, or with the end of the work."""
        if self._open is None:
            return
        self.wrote = True
        if self._verb is Verb.DELETE and self._gone is not None:
            gone, left = self._gone, self._left
            grave = Tombstone(self._change.address, gone.account, gone.identity, gone.id, self._clock.now() + LATEST)
            self._ledger.confirm(self._lease, self._open.id, entry=left, remove=left is None, tombstone=grave, request_id=self.request_id)
            self._entry = left
        else:
            self._ledger.confirm(self._lease, self._open.id, entry=self._left, request_id=self.request_id)
        self._open = self._gone = self._left = None

    # entries

    def _numbered(self) -> Desired:
        """The wanted object with the number of its incarnation: one more than the address has used for this identity."""
        want = self._change.desired
        assert want is not None
        first = replace(want, incarnation=1)
        used = max(int(self._ledger.note(self._used_key(first)) or 0), want.incarnation - 1)
        entry = self._entry
        if entry is not None and self._follows(want, entry):
            used = max(used, entry.incarnation)
        return replace(want, incarnation=used + 1)

    def _follows(self, want: Desired, entry: Entry) -> bool:
        """Whether an object of `want` must not have the number of this one: they may both live, or have one identity."""
        return self._kind.create_first or self._kind.identity(replace(want, incarnation=entry.incarnation)) == entry.identity

    def _used_key(self, first: Desired) -> str:
        return f"incarnation/{first.address.kind}/{self._kind.identity(first)}"

    def _retire(self, entry: Entry | None) -> None:
        """Remembers that this incarnation was used, before its entry goes: its identity is never given to another object."""
        want = self._change.desired
        if entry is None:
            return
        self._ledger.set_note(f"incarnation/{entry.address.kind}/{_base(entry)}", str(entry.incarnation))
        if want is not None and self._follows(want, entry):
            self._ledger.set_note(self._used_key(replace(want, incarnation=1)), str(entry.incarnation))

    def _take_in(self) -> Entry:
        """The entry. What was found by our mark alone gets one first: the change may take the mark away."""
        if self._entry is None:
            assert self._change.observed is not None
            self._entry = replace(self._adopted(), applied=self._ledger.seal_values(self._change.observed.values))
            self._ledger.put(self._entry)
        return self._entry

    def _adopted(self) -> Entry:
        want, live = self._change.desired, self._change.observed
        assert want is not None
        assert live is not None
        started = live.started or (self._entry.started if self._entry else None)
        former = self._entry.former if self._entry else None
        return self._owned(want, live.id, live.identity, applied=self._ledger.seal_values(want.values), started=started, former=former)

    def _owned(
        self, want: Desired, id: str, identity: str, *, applied: Values | None, started: datetime | None, former: Entry | None
    ) -> Entry:
        return Entry(
            address=want.address,
            account=want.account,
            id=id,
            identity=identity or self._kind.identity(want),
            incarnation=want.incarnation,
            applied=applied,
            window=want.window,
            started=started,
            changed=self._clock.now(),
            former=former,
            **policy(want),
        )

    def _keep(self) -> None:
        """The lock lasts for a minute; whoever still works keeps it. Raises Stale when it was taken away."""
        if self._lease.remaining < RENEW:
            self._lease.renew()

    def _paused(self, pause: Pause) -> None:
        self._keep()
        change = self._change
        self._crew.tell(Event("apply_progress", self._clock.now(), change.address, change.action.value, pause.note, pause.progress))


def _known(entry: Entry) -> Observed:
    """An object as far as the ledger tells, for a kind that deletes by the id alone."""
    return Observed(entry.address, Presence.LIVE, id=entry.id)


def _base(entry: Entry) -> str:
    """The identity an object of this address would have had as its first incarnation, for kinds that append a number."""
    suffix = f".{entry.incarnation}"
    return entry.identity.removesuffix(suffix) if entry.incarnation > 1 else entry.identity
