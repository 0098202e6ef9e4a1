"""Carries a plan out: what may start when, what runs side by side, and what becomes of the rest after a failure or an interrupt."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime

from reconciler.applying import Crew, Work
from reconciler.errors import OutcomeUnknown, ReconcilerError, VendorError
from reconciler.ledger import Lease
from reconciler.model import TAKING, Action, Change, Event, Outcome, Result

GRACE = 6.0  # seconds after the first interrupt in which answers on the way are still awaited
_LAST = datetime.max.replace(tzinfo=UTC)


def carry_out(changes: Sequence[Change], crew: Crew, lease: Lease) -> list[Result]:
    """One result a change, in the given order; what an interrupt kept from starting is NOT_STARTED."""
    return _Run([change for change in changes if change.acts], crew, lease).all()


class _Run:
    """Which change may start, and what became of it."""

    def __init__(self, changes: Sequence[Change], crew: Crew, lease: Lease) -> None:
        self._changes = changes
        self._crew = crew
        self._lease = lease
        self._results: dict[int, Result] = {}
        self._queue = _Queue(changes)

    def all(self) -> list[Result]:
        if self._crew.parallelism == 0:
            self._inline()  # in the caller's thread, for tests: an interrupt then waits for the answer, however long it takes
        else:
            self._pooled(min(self._crew.parallelism, max(1, len(self._changes))))
        for index, change in enumerate(self._changes):
            self._results.setdefault(index, Result(change, Outcome.NOT_STARTED, "interrupted"))
        return [self._results[index] for index in range(len(self._changes))]

    def _inline(self) -> None:
        while not self._crew.halted() and (index := self._queue.take()) is not None:
            self._finish(index, self._attempt(index))

    def _pooled(self, workers: int) -> None:
        pool = ThreadPoolExecutor(workers, thread_name_prefix="apply")
        flying: dict[Future[Result], int] = {}
        try:
            while not self._crew.halted():
                while len(flying) < workers and (index := self._queue.take()) is not None:
                    flying[pool.submit(self._attempt, index)] = index
                if not flying:
                    return
                self._collect(flying, timeout=0.5)
            patience = self._crew.clock.monotonic() + GRACE
            while flying and self._crew.clock.monotonic() < patience:
                self._collect(flying, timeout=0.2)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        for index in flying.values():
            change = self._changes[index]
            next_step = f"reconciler refresh {change.address}"
            self._finish(index, Result(change, Outcome.UNKNOWN, "interrupted before an answer came", exit_code=7, next_step=next_step))

    def _collect(self, flying: dict[Future[Result], int], *, timeout: float) -> None:
        done, _ = wait(flying, timeout=timeout, return_when=FIRST_COMPLETED)
        for future in done:
            self._finish(flying.pop(future), future.result())

    def _attempt(self, index: int) -> Result:
        """Carries one change out; every failure we know of becomes a result."""
        change, clock = self._changes[index], self._crew.clock
        began = clock.monotonic()
        self._crew.tell(Event("apply_start", clock.now(), change.address, change.action.value))
        work = Work(change, self._crew, self._lease)
        wrong: ReconcilerError | None = None
        try:
            message, outcome = work.carry_out(), Outcome.DONE
        except OutcomeUnknown as unknown:
            outcome, wrong, message = Outcome.UNKNOWN, unknown, unknown.message
        except ReconcilerError as failure:
            outcome, wrong, message = Outcome.FAILED, failure, failure.message
            if work.bereft:
                message = f"the old one is deleted, the new one failed: {message}"
            elif work.kept:
                message = f"the old one is kept: {message}"
        exit_code = wrong.exit_code if wrong else 0
        if outcome is Outcome.FAILED and work.wrote:
            exit_code = 3  # never "nothing was changed": one of its writes was carried out
        next_step = wrong.next_step if wrong else ""
        if outcome is Outcome.UNKNOWN:
            next_step = f"reconciler refresh {change.address}"
        return Result(
            change,
            outcome,
            message,
            code=wrong.code if isinstance(wrong, VendorError) else "",
            request_id=(wrong.request_id if isinstance(wrong, VendorError) else "") or work.request_id,
            id=work.id,
            seconds=clock.monotonic() - began,
            exit_code=exit_code,
            next_step=next_step,
        )

    def _finish(self, index: int, result: Result) -> None:
        self._results[index] = result
        change = result.change
        kind = {Outcome.DONE: "apply_complete", Outcome.UNKNOWN: "apply_unknown"}.get(result.outcome, "apply_errored")
        self._crew.tell(Event(kind, self._crew.clock.now(), change.address, change.action.value, result.message, result=result))
        for skipped in self._queue.finished(index, done=result.outcome is Outcome.DONE):
            late = self._changes[skipped]
            self._results[skipped] = Result(late, Outcome.NOT_STARTED, f"{change.address} comes first and was not done")


class _Queue:
    """Hands out the changes in order: what frees something before what may take it, dependencies before dependents (deletes the other
    way round), and among those that may start, the one whose window begins first.
    """

    def __init__(self, changes: Sequence[Change]) -> None:
        self._changes = changes
        at = {change.address: index for index, change in enumerate(changes)}
        self._needs: list[set[int]] = [set() for _ in changes]
        self._after: list[set[int]] = [set() for _ in changes]
        self._dependents: list[list[int]] = [[] for _ in changes]
        self._freeing: dict[str, set[int]] = {}
        self._gated: dict[str, list[int]] = {}
        self._ready: list[tuple[datetime, int]] = []
        self._over: set[int] = set()
        for index, change in enumerate(changes):
            if change.action in (Action.DELETE, Action.STOP):
                self._freeing.setdefault(change.address.kind, set()).add(index)
        for index, change in enumerate(changes):
            if change.action in TAKING and change.desired:
                self._link(self._needs, index, (at[need] for need in change.desired.depends_on if need in at))
            if change.action is Action.DELETE and change.entry:
                for need in change.entry.depends_on:
                    if need in at and changes[at[need]].action is Action.DELETE:
                        self._link(self._after, at[need], [index])
        for index in range(len(changes)):
            self._offer(index)

    def _link(self, kind: list[set[int]], index: int, earlier: Iterable[int]) -> None:
        for other in earlier:
            if other != index:
                kind[index].add(other)
                self._dependents[other].append(index)

    def _offer(self, index: int) -> None:
        change = self._changes[index]
        if self._needs[index] or self._after[index]:
            return
        if change.action in TAKING and self._freeing.get(change.address.kind):
            self._gated.setdefault(change.address.kind, []).append(index)
            return
        window = change.desired.window if change.desired else None
        heapq.heappush(self._ready, (window.start if window else _LAST, index))

    def take(self) -> int | None:
        """The next change that may start now; None while all that is left waits for something."""
        while self._ready:
            _, index = heapq.heappop(self._ready)
            if index not in self._over:
                return index
        return None

    def finished(self, index: int, *, done: bool) -> list[int]:
        """Lets go what waited for `index`; returns the changes that can now never start because they needed it to succeed."""
        skipped: list[int] = []
        self._over.add(index)
        self._let_go(index, done, skipped)
        return skipped

    def _let_go(self, index: int, done: bool, skipped: list[int]) -> None:
        kind = self._changes[index].address.kind
        freeing = self._freeing.get(kind)
        if freeing and index in freeing:
            freeing.discard(index)
            if not freeing:
                for gated in self._gated.pop(kind, []):
                    self._offer(gated)
        for later in self._dependents[index]:
            if later in self._over:
                continue
            if index in self._needs[later] and not done:
                self._over.add(later)
                skipped.append(later)
                self._let_go(later, False, skipped)
                continue
            self._needs[later].discard(index)
            self._after[later].discard(index)
            self._offer(later)
