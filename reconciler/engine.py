"""The use cases: observe, plan, apply, refresh, adopt. A thin shell around planner (decides), courier (sends) and ledger (remembers).

Every write follows one order: intent durable in the ledger, then the request, then result and entry in one transaction.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import field, replace
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

from reconciler import diff, guards, planner, settling, timeline
from reconciler.applying import Crew
from reconciler.clocks import Compared
from reconciler.courier import Courier, Pacer
from reconciler.errors import Stale, Stopped, Unsettled, UsageError
from reconciler.frozen import frozen
from reconciler.ledger import Lease, Ledger, Tombstone
from reconciler.memory import uncollected
from reconciler.mistakes import did_you_mean
from reconciler.model import (
    Action,
    Address,
    Change,
    Clock,
    Conflict,
    Desired,
    Diagnostic,
    Entry,
    Event,
    Kind,
    Match,
    Need,
    Observed,
    Outcome,
    Pause,
    Phase,
    Plan,
    Presence,
    Result,
    Scheduling,
    Severity,
    Stage,
    Stranger,
    Transport,
    Values,
)
from reconciler.observing import Observer, World
from reconciler.running import carry_out
from reconciler.scalars import instant_text

MAX_AGE = timedelta(hours=24)  # no plan is worth more than a day


@frozen
class Options:
    """What a run was asked for. `whole` is false when PATH named a part of the project: nothing outside of it is then deleted."""

    targets: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    selector: Mapping[str, str] = field(default_factory=dict)
    whole: bool = True
    prune: bool = True
    destroy: bool = False
    now: datetime | None = None
    allow_on_air: tuple[str, ...] = ()
    allow_delete: int | None = None
    allow_recreate: bool = False
    keep_unchanged: bool = True
    wait: bool = True

    def chooses(self, address: Address, labels: Mapping[str, str]) -> bool:
        name, series = str(address), f"{address.kind}/{address.name}"
        if self.targets and not {name, series} & set(self.targets):
            return False
        if {name, series} & set(self.excludes):
            return False
        return all(labels.get(key) == value for key, value in self.selector.items())

    @property
    def selective(self) -> bool:
        """Whether some of what is declared may be left out: then what is in no manifest is deleted only when it was named."""
        return bool(self.excludes or self.selector or self.targets or not self.whole)


@frozen
class Wanted:
    """The declared side of a run, as the manifest layer read it. `resolve` fills in secrets; called only for what is looked at."""

    desired: Sequence[Desired]
    digest: str = ""
    files: int = 0
    diagnostics: tuple[Diagnostic, ...] = ()
    resolve: Callable[[Sequence[Desired]], Sequence[Desired]] = lambda desired: desired


@frozen
class Report:
    """What became of every change of an apply, in the order of the plan."""

    run: str
    plan: str
    results: tuple[Result, ...]
    exit_code: int
    interrupted: bool = False

    def of(self, outcome: Outcome) -> tuple[Result, ...]:
        return tuple(result for result in self.results if result.outcome is outcome)


class Engine:
    """One workspace: what is declared, what is remembered, and the way to the vendors.

    `told_now`: the operator says what time it is; no vendor's clock is held against that.
    """

    def __init__(
        self,
        *,
        workspace: str,
        environment: str = "",
        kinds: Callable[[str], Kind | None],
        ledger: Ledger,
        transports: Callable[[str, str], Transport],
        clock: Clock,
        told_now: bool = False,
        wanted: Wanted | Callable[[], Wanted],
        limits: guards.Limits | None = None,
        min_lead: timedelta = timedelta(seconds=60),
        tzdata: str = "",
        parallelism: int = 8,
        lock_timeout: float = 0.0,
        on_event: Callable[[Event], None] = lambda _: None,
    ) -> None:
        self._workspace = workspace
        self._environment = environment
        self._kinds = kinds
        self._ledger = ledger
        self._transports = Compared(transports, None if told_now else clock)
        self._clock = clock
        self._wanted = wanted
        self._limits = limits or guards.Limits()
        self._min_lead = min_lead
        self._tzdata = tzdata
        self._parallelism = parallelism
        self._lock_timeout = lock_timeout
        self._emit = on_event
        self._pacer = Pacer(clock)
        self._halt = threading.Event()
        self._side = 1 if parallelism <= 1 else 8
        self._observer = Observer(workspace=workspace, kinds=kinds, ledger=ledger, courier=self._courier, threads=self._side > 1)

    def halt(self) -> None:
        """Start nothing new. Safe to call from a signal handler."""
        self._halt.set()

    @property
    def wanted(self) -> Wanted:
        if not isinstance(self._wanted, Wanted):
            self._wanted = self._wanted()
        return self._wanted

    def _kind(self, name: str) -> Kind:
        return self._observer.kind(name)

    def _courier(
        self, account: str, on_pause: Callable[[Pause], None] | None = None, abandoned: Callable[[], bool] = lambda: False
    ) -> Courier:
        return Courier(
            account,
            self._transports,
            self._clock,
            self._pacer,
            side=self._side,
            halted=self._halt.is_set,
            abandoned=abandoned,
            on_pause=on_pause,
        )

    # --- plan ---------------------------------------------------------------------------------------------------------

    def plan(self, options: Options = Options()) -> Plan:
        """Compares and decides; writes nothing to a vendor, and to the ledger only what it settled.

        Raises Stopped (exit 5) when the last manifest is gone. What `onAirChange: refuse` forbids is in the plan, marked `refused`.
        """
        with uncollected():
            try:
                return self._plan(options, options.now or self._clock.now())
            finally:
                self._observer.abandon()

    def _plan(self, options: Options, now: datetime) -> Plan:
        asked, serial = min(now, self._clock.now()), self._ledger.serial
        entries: Mapping[Address, Entry] = self._ledger.entries()
        if not options.selective:  # meanwhile the manifests are read
            self._observer.begin(sorted({(entry.account, address.kind) for address, entry in entries.items()}))
        wanted = self.wanted
        self._refuse_vanished(wanted, entries, options)
        self._refuse_unknown(wanted, entries, options)
        desired = [] if options.destroy else self._chosen(wanted, entries, options)
        owned = {(address.kind, entry.id) for address, entry in entries.items()}
        entries = self._entries_in_question(entries, desired, options)
        chosen: Callable[[Address], bool] = lambda address: not options.selective or str(address) in options.targets  # noqa: E731
        world = self._observer.observe(desired, entries, now=now, chosen=chosen)
        world.strangers = [one for one in world.strangers if (one.kind, one.id) not in owned]  # outside of a selection
        if world.intents:
            self._settle(world, desired, asked)
        plan = self._decide(world, desired, options, now)
        return replace(plan, serial=serial + world.settled)  # what somebody else wrote meanwhile makes the plan stale

    def _chosen(self, wanted: Wanted, entries: Mapping[Address, Entry], options: Options) -> list[Desired]:
        chosen = wanted.desired
        if options.targets or options.excludes or options.selector:
            chosen = [want for want in chosen if options.chooses(want.address, want.labels)]
        resolved = list(wanted.resolve(chosen))
        refused = {one.address: one for one in self._ledger.tombstones() if not one.id}
        if refused:
            resolved = [self._numbered(want, refused[want.address]) if want.address in refused else want for want in resolved]
        if not entries:
            return resolved
        return [self._in_place(want, entries.get(want.address), tried=want.address in refused) for want in resolved]

    def _numbered(self, want: Desired, grave: Tombstone) -> Desired:
        """`want` in the incarnation that a create was sent for, and refused."""
        return planner.numbered(want, grave.identity, self._kind(want.address.kind))

    def _in_place(self, want: Desired, entry: Entry | None, *, tried: bool) -> Desired:
        """`want` in the incarnation that the ledger knows, or in a later one that was tried."""
        if entry is None or want.incarnation == entry.incarnation or (tried and want.incarnation > entry.incarnation):
            return want
        return replace(want, incarnation=entry.incarnation)

    def _entries_in_question(
        self, entries: Mapping[Address, Entry], desired: Sequence[Desired], options: Options
    ) -> Mapping[Address, Entry]:
        """All entries, less those outside a selection: what was not named is neither looked at nor deleted."""
        if options.prune and not options.selective:
            return entries
        declared = {want.address for want in self.wanted.desired}
        mine = {want.address for want in desired} | {
            Address(want.address.kind, want.renamed_from, want.address.occurrence) for want in desired if want.renamed_from
        }
        named = set(options.targets) - {str(address) for address in declared}

        def stays(address: Address) -> bool:
            if address in mine:
                return True
            if options.destroy:
                return options.chooses(address, {})
            return options.prune and (str(address) in named or f"{address.kind}/{address.name}" in named)

        return {address: entry for address, entry in entries.items() if stays(address)}

    def _refuse_vanished(self, wanted: Wanted, entries: Mapping[Address, Entry], options: Options) -> None:
        if options.destroy or options.selective or not options.prune:
            return
        owned = sum(not entry.ended for entry in entries.values())
        found = guards.vanished(wanted=len(wanted.desired), owned=owned, files=wanted.files)
        if found:
            raise _stopped(found)

    def _refuse_unknown(self, wanted: Wanted, entries: Mapping[Address, Entry], options: Options) -> None:
        """A misspelt --exclude would let through what it is to hold back, and a misspelt --target pass for "no changes"."""
        asked = (*options.targets, *(options.excludes if options.whole else ()))
        if not asked:
            return
        addresses = {*(want.address for want in wanted.desired), *entries, *(one.address for one in self._ledger.open_intents())}
        known = {name for one in addresses for name in (str(one), f"{one.kind}/{one.name}")}
        for name in asked:
            if name not in known:
                near = did_you_mean(name, sorted(known))
                unknown = "not owned" if options.destroy else "neither declared nor owned"
                raise UsageError(f"{name} is {unknown}{f'; {near}' if near else ''}", next_step="reconciler get")

    def _decide(self, world: World, desired: Sequence[Desired], options: Options, now: datetime) -> Plan:
        setting = planner.Setting(
            now=now, seal=self._ledger.seal, allow_on_air=options.allow_on_air, destroy=options.destroy, min_lead=self._min_lead
        )
        cases = list(planner.cases(desired, world.seen, world.entries, world.intents, self._kinds, setting))
        restless = cases if options.keep_unchanged else [case for case in cases if not planner.at_rest(case)]
        kept, unchanged = [], len(cases) - len(restless)
        for change in planner.decisions(restless):
            if change.action is Action.NOOP and not options.keep_unchanged and not change.warnings:
                unchanged += 1
            else:
                kept.append(self._fingerprinted(change) if change.action is not Action.NOOP else change)
        kept = planner.held_back(kept)
        kept.sort(key=planner.danger)
        known = {(address.kind, seen.id) for address, seen in world.seen.items()}
        strangers = [one for one in world.strangers if (one.kind, one.id) not in known]  # two names may be one account of the vendor's
        conflicts = self._conflicts(desired, strangers, now)
        wanted = self.wanted
        diagnostics = [
            *wanted.diagnostics,
            *_warnings(kept),
            *self._guard_warnings(kept, world.entries, options),
            *self._transports.warnings(),
        ]
        plan = Plan(
            id="",
            workspace=self._workspace,
            environment=self._environment,
            generated_at=now,
            valid_until=_valid_until(kept, now),
            changes=tuple(kept),
            drift=tuple(self._drift(world, desired, now)),
            conflicts=tuple(conflicts),
            diagnostics=tuple(diagnostics),
            strangers=tuple(strangers),
            live_counts=world.counts,
            live_digest=_digest(sorted(change.fingerprint for change in kept if change.writes)),
            manifests_digest=wanted.digest,
            tzdata=self._tzdata,
            lineage=self._ledger.lineage,
            serial=self._ledger.serial,
            files=wanted.files,
            unchanged=unchanged,
        )
        return replace(plan, id=_digest([plan.lineage, plan.serial, plan.live_digest, wanted.digest, now.isoformat()])[:12])

    def _fingerprinted(self, change: Change) -> Change:
        seen = change.observed
        if seen is None:
            return change
        values = self._ledger.seal_values(seen.values)
        window = seen.window and [seen.window.start.isoformat(), seen.window.end and seen.window.end.isoformat()]
        return replace(change, fingerprint=_digest([seen.presence, seen.id, seen.stage, window, values])[:16])

    def _conflicts(self, desired: Sequence[Desired], strangers: Sequence[Stranger], now: datetime) -> list[Conflict]:
        """Live foreign tasks on a declared destination, and tight or shadowed windows; hard ones never get past validation."""
        declared = (
            (thing, want)
            for want in desired
            if want.window and (want.window.end is None or want.window.end > now)
            for thing in self._kind(want.address.kind).claims(want)
        )
        foreign = ((thing, one) for one in strangers if one.window and one.stage is not Stage.ENDED for thing in one.claims)
        holdings: Iterator[tuple[str, Desired | Stranger]] = chain(declared, foreign)
        return timeline.conflicts(_claim(thing, holder) for thing, holder in timeline.contested(holdings))

    def _drift(self, world: World, desired: Sequence[Desired], now: datetime) -> Iterator[Change]:
        wanted = {want.address: want for want in desired}
        for address, newest in world.entries.items():
            seen, want = world.seen.get(address), wanted.get(address)
            if seen is None or address in world.intents:
                continue
            if want and not seen.unread and seen.window == want.window and seen.values == want.values:
                continue  # just as the manifests want it now, whatever was applied before
            if want and want.account != newest.account:
                continue  # it was not looked for where it lives
            if planner.lags(newest, seen, self._kind(address.kind), now):
                continue
            entry = planner.current(newest, seen)
            fields = planner.drift(entry, seen, seal=self._ledger.seal, now=now, reach=self._kind(address.kind).observable)
            if fields is not None:
                reason = "changed outside of us" if fields else "gone at the vendor"
                yield Change(
                    address,
                    Action.UPDATE if fields else Action.CREATE,
                    reason,
                    account=entry.account,
                    stage=seen.stage,
                    fields=fields,
                    observed=seen,
                    entry=entry,
                )

    def _guard_warnings(self, changes: Sequence[Change], entries: Mapping[Address, Entry], options: Options) -> Iterator[Diagnostic]:
        for reason in self._guard_reasons(changes, entries, options):
            yield Diagnostic(Severity.WARNING, "RC701", f"apply will stop: {reason}")

    def _guard_reasons(self, changes: Sequence[Change], entries: Mapping[Address, Entry], options: Options) -> list[Need]:
        owned = sum(not entry.ended for entry in entries.values())
        changes = [one for one in changes if one.action is not Action.DELETE or one.entry]  # a duplicate, or what came late, is no loss
        found = guards.reasons(changes, owned=owned, limits=self._limits, allow_delete=options.allow_delete, destroy=options.destroy)
        if not options.allow_recreate and not options.destroy:
            alive = Counter(address.kind for address, entry in entries.items() if not entry.ended)
            found += guards.shrunken(changes, owned=alive, limits=self._limits)
        return found

    # --- settling what is unknown -------------------------------------------------------------------------------------

    def _settle(self, world: World, desired: Sequence[Desired], now: datetime) -> list[settling.Settlement]:
        """Closes the intents whose result a look-up shows. `world.intents` keeps those that are still open."""
        if self._ledger.busy():
            return []
        entries, ledger = dict(world.entries), self._ledger
        by_address = {want.address: want for want in desired}
        judged = []
        for address, intent in list(world.intents.items()):
            seen = world.seen.get(address) or Observed(address, Presence.UNKNOWN)
            asked = ledger.open_values(intent.desired) if intent.desired is not None else None
            kind = self._kinds(address.kind)
            verdict = settling.settle(
                intent, seen, entry=entries.get(address), want=by_address.get(address), desired=asked, seal=ledger.seal, now=now,
                reach=kind.observable if kind else None, create_first=kind.create_first if kind else False,
            )  # fmt: skip
            judged.append(verdict)
            if not verdict.known:
                continue
            grave = Tombstone(address, intent.account, verdict.gone, intent.target, now + settling.LATEST) if verdict.gone else None
            world.settled += ledger.settle(
                intent.id, present=verdict.present, entry=verdict.entry, remove=bool(verdict.gone) and not verdict.entry, tombstone=grave
            )
            del world.intents[address]
            if verdict.entry is None:
                entries.pop(address, None)
                world.seen[address] = Observed(address, Presence.ABSENT)
                continue
            entries[address] = verdict.entry
            if seen.match is Match.MARK:
                world.seen[address] = replace(seen, match=Match.LEDGER)
        world.entries = entries
        return judged

    def refresh(self, addresses: Iterable[Address] = ()) -> tuple[list[settling.Settlement], list[Change]]:
        """Re-reads live state and settles unknown results; returns what was settled and where everything stands."""
        names = tuple(str(address) for address in addresses)
        now = self._clock.now()
        wanted = self.wanted
        options = Options(targets=names)
        entries = self._ledger.entries()
        self._refuse_unknown(wanted, entries, options)
        desired = self._chosen(wanted, entries, options)
        chosen = {address: entry for address, entry in entries.items() if not names or options.chooses(address, {})}
        world = self._observer.observe(desired, chosen, now=now)
        if names:
            for address in [address for address in world.intents if not options.chooses(address, {})]:
                del world.intents[address]
        settled = self._settle(world, desired, now)
        self._note_ended(world)
        return settled, list(self._decide(world, desired, options, now).changes)

    def _note_ended(self, world: World) -> None:
        if self._ledger.busy():
            return
        for address, entry in world.entries.items():
            seen = world.seen.get(address)
            if seen and seen.presence is Presence.ENDED and not entry.ended:
                self._ledger.put(replace(entry, ended=True))

    # --- adopt --------------------------------------------------------------------------------------------------------

    def adopt(self, address: Address, id: str = "") -> Entry:
        """Takes a live object into the ledger under a declared address. Without an id the only look-alike is taken.

        Raises UsageError when nothing, or more than one thing, fits.
        """
        now = self._clock.now()
        want = next((want for want in self.wanted.desired if want.address == address), None)
        if want is None:
            raise UsageError(f"{address} is in no manifest", next_step="reconciler validate")
        want = planner.numbered(next(iter(self.wanted.resolve([want]))), id, self._kind(address.kind))
        world = self._observer.observe([want], {address: _claimed(want, id)} if id else {}, now=now)
        seen = world.seen.get(address) or Observed(address, Presence.ABSENT)
        if seen.presence is not Presence.LIVE or (id and seen.id != id):
            raise UsageError(f"no live object fits {address}{f' with id {id}' if id else ''}", next_step=f"reconciler get {address}")
        if seen.also and not id:
            raise UsageError(f"several live objects fit {address}: {', '.join((seen.id, *seen.also))}; name one of them")
        entry = self._entry_of(want, seen, now)
        with self.lock():
            refuse_unsettled(self._ledger, address)
            self._ledger.put(entry)
        return entry

    def move(self, old: Address, new: Address) -> None:
        """Remembers an object under another address. Raises Unsettled while a write to either has no known result."""
        with self.lock():
            refuse_unsettled(self._ledger, old, new)
            self._ledger.move(old, new)

    def forget(self, addresses: Iterable[Address]) -> None:
        """Takes objects out of the ledger; at the vendor they stay. Raises Unsettled while a write to one of them has no known result."""
        names = tuple(addresses)
        with self.lock():
            refuse_unsettled(self._ledger, *names)
            for address in names:
                self._ledger.remove(address)

    def _taken(self, seen: Observed, want: Desired) -> Values | None:
        """What an adopted object is taken to be: what the read tells and, of what no read ever tells, what the manifest says."""
        if "" in seen.unread:
            return None
        return self._ledger.seal_values(diff.filled(seen.values, unread=seen.unread, applied=want.values))

    def rebuild(self) -> tuple[list[Entry], list[Change]]:
        """Derives a lost ledger from manifests and live: what carries our mark, or is what is declared to the letter, is taken in again.

        Returns the entries made, and where everything declared stands then. Entries that are there stay as they are.
        """
        now = self._clock.now()
        desired = list(self.wanted.resolve(list(self.wanted.desired)))
        with self.lock():
            entries = self._ledger.entries()
            made = list(self._found([want for want in desired if want.address not in entries], now))
            for entry in made:
                self._ledger.put(entry)
        entries = self._ledger.entries()
        world = self._observer.observe(self._chosen(self.wanted, entries, Options()), entries, now=now)
        return made, list(self._decide(world, desired, Options(), now).changes)

    def _found(self, lost: Sequence[Desired], now: datetime) -> Iterator[Entry]:
        world = self._observer.observe(lost, {}, now=now, chosen=lambda _: False)
        for case in planner.cases(lost, world.seen, {}, {}, self._kinds, planner.Setting(now=now, seal=self._ledger.seal)):
            want, seen = case.want, case.seen
            if want is None or seen.also:
                continue
            if seen.presence is Presence.LIVE and planner.is_ours(case):
                yield self._entry_of(want, seen, now)
            elif seen.presence is Presence.ENDED and case.kind.scheduling is Scheduling.RUNNER:
                yield replace(self._entry_of(want, seen, now), ended=True)

    def _entry_of(self, want: Desired, seen: Observed, now: datetime) -> Entry:
        kind, window = self._kind(want.address.kind), seen.window
        if kind.scheduling is Scheduling.RUNNER and want.window and (window is None or window.overlaps(want.window)):
            window = want.window  # what it was started for; the vendor tells only how long it ran
        return Entry(
            address=want.address,
            account=want.account,
            id=seen.id,
            identity=seen.identity or kind.identity(want),
            incarnation=want.incarnation,
            applied=self._taken(seen, want),
            window=window,
            started=seen.started,
            changed=now,
            **settling.policy(want),
        )

    # --- apply --------------------------------------------------------------------------------------------------------

    def await_lock(self) -> None:
        """Lets whoever is at work finish, as long as --lock-timeout allows: a plan made meanwhile would be stale at once."""
        until = self._clock.monotonic() + self._lock_timeout
        while self._clock.monotonic() < until and not self._halt.is_set() and self._ledger.busy():
            self._clock.sleep(0.2)

    def lock(self) -> Lease:
        """The right to write, awaited as long as --lock-timeout allows; nobody overtakes what is planned under it. Raises LockHeld."""
        return self._ledger.acquire(_user(), timeout=self._lock_timeout)

    def apply(self, plan: Plan, options: Options = Options(), *, saved: bool = False, lease: Lease | None = None) -> Report:
        """Carries a plan out, dependencies first, side by side where nothing forbids it; under `lease`, or else under its own lock.

        Raises Stopped before anything is written when a guard wants a person, Stale when the ledger or the clock moved on too far.
        """
        stop = guards.refusals(plan.changes) or self._guard_reasons(plan.changes, self._ledger.entries(), options)
        if stop:
            raise _stopped(stop, "destroy" if options.destroy else "apply")
        with nullcontext(lease) if lease else self.lock() as held:
            if lease is not None:
                lease.renew()  # the plan may have taken its time
            if self._ledger.serial != plan.serial:
                raise Stale("the ledger changed since this plan was made", next_step="reconciler plan")
            if plan.valid_until is not None and self._clock.now() >= plan.valid_until:
                raise Stale(f"this plan was valid until {instant_text(plan.valid_until)}", next_step="reconciler plan")
            if saved:
                self._ledger.use_plan(plan.id)
            run = _digest([plan.id, self._clock.now().isoformat(), os.getpid()])[:6]
            crew = Crew(
                self._kind, self._ledger, self._clock, self._courier, self._emit, self._halt.is_set, self._parallelism, options.wait
            )
            results = carry_out(plan.changes, crew, held)
            self._remember_policies(plan)
            report = Report(run, plan.id, tuple(results), self._exit_code(plan, results, options), interrupted=self._halt.is_set())
            self._ledger.record(self._history(plan, report))
        return report

    def _exit_code(self, plan: Plan, results: Sequence[Result], options: Options) -> int:
        failed = [result for result in results if result.outcome is Outcome.FAILED]
        if any(result.outcome is Outcome.UNKNOWN for result in results) or any(change.unsettled for change in plan.changes):
            return 7
        if failed:
            changed = any(result.outcome is Outcome.DONE or result.exit_code == 3 for result in results)
            return 3 if changed else failed[0].exit_code or 1
        held = (Action.BLOCKED, Action.WAIT) if options.destroy else (Action.BLOCKED,)  # a destroy is not done while something lives on
        return 5 if any(change.action in held for change in plan.changes) else 0

    def _history(self, plan: Plan, report: Report) -> dict[str, Any]:
        return {
            "run": report.run,
            "at": self._clock.now().isoformat(),
            "who": f"{_user()}@{socket.gethostname()} pid {os.getpid()}",
            "plan": plan.id,
            "exit": report.exit_code,
            "results": [
                {
                    "address": str(result.change.address),
                    "action": result.change.action.value,
                    "outcome": result.outcome.value,
                    "message": result.message,
                    "id": result.id,
                    "request_id": result.request_id,
                }
                for result in report.results
            ],
        }

    def _remember_policies(self, plan: Plan) -> None:
        """Protection, deletion policy and the like are remembered even where nothing is to be done at the vendor."""
        entries = self._ledger.entries()
        for change in plan.changes:
            want, entry = change.desired, entries.get(change.address)
            if want is None or entry is None:
                continue
            presence = change.observed.presence if change.observed and change.action is Action.NOOP else None
            ended = entry.ended or presence is Presence.ENDED
            # nobody else remembers the window of a session: an edit that changes nothing at the vendor is kept here
            window = want.window if presence is Presence.LIVE and change.phase is Phase.ON_AIR else entry.window
            kept = replace(entry, ended=ended, window=window, **settling.policy(want))
            if kept != entry:
                self._ledger.put(kept)


# --- small things -----------------------------------------------------------------------------------------------------


def refuse_unsettled(ledger: Ledger, *addresses: Address) -> None:
    """What is moved or forgotten under an open intent would be looked for where it is not, and made a second time."""
    for intent in ledger.open_intents():
        if intent.address in addresses:
            message = (
                f"the result of {intent.action} for {intent.address}, sent at {instant_text(intent.sent)}, is unknown; nothing was changed"
            )
            raise Unsettled(message, next_step=f"reconciler refresh {intent.address}")


def _stopped(reasons: Sequence[Need], verb: str = "apply") -> Stopped:
    return Stopped(str(reasons[0]), reasons=list(map(str, reasons)), next_step=guards.remedy(reasons, verb))


def _claim(thing: str, holder: Desired | Stranger) -> timeline.Claim:
    assert holder.window is not None
    if isinstance(holder, Stranger):
        return timeline.Claim(thing, holder.window, f"{holder.kind} {holder.title or holder.id}", foreign=True)
    return timeline.Claim(thing, holder.window, str(holder.address), holder.place)


def _claimed(want: Desired, id: str) -> Entry:
    return Entry(address=want.address, account=want.account, id=id, identity="", incarnation=want.incarnation)


def _valid_until(changes: Sequence[Change], now: datetime) -> datetime:
    touched = (change.boundary for change in changes if change.action not in (Action.NOOP, Action.WAIT, Action.FORGET))
    return min((now + MAX_AGE, *(when for when in touched if when is not None and when > now)))


def _warnings(changes: Iterable[Change]) -> Iterator[Diagnostic]:
    for change in changes:
        for text in change.warnings:
            yield Diagnostic(Severity.WARNING, "RC700", text, place=change.place, address=str(change.address))


def _digest(parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str, ensure_ascii=False).encode()).hexdigest()


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
