"""Drives a kind's steps: paces calls at the published rates, repeats what may be repeated, journals every write before it is sent.

What the network does is decided here once: a kind yields calls and gets replies, a vendor's client sends one request and names
its outcome. In between stand the pace, the retries, the deadline and the journal.
"""

from __future__ import annotations

import math
import random
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol, TypeVar

from reconciler.crash import point
from reconciler.errors import (
    Denied,
    Lapsed,
    NotFound,
    NotReady,
    OutcomeUnknown,
    ReconcilerError,
    Rejected,
    Throttled,
    Unavailable,
    VendorError,
)
from reconciler.model import Batch, Call, Clock, Created, Pause, Reply, Steps, Transport

T = TypeVar("T")

READ_TRIES = 4
WRITE_TRIES = 3
THROTTLE_TRIES = 8
THROTTLE_PATIENCE = 330.0  # a slot of Livepeer's clip throttle frees after five minutes at the latest
VALID = 60.0  # seconds after its entry in the journal in which a write may leave; every kind's horizon is longer
SLACK = 1.01  # calls are spaced this much wider than the published rate: the vendor counts when they come, and the way there varies
WINDOW = 1.008  # below SLACK: as many calls as a second may hold take at least this many seconds, also when some of them were late


class Journal(Protocol):
    """Where one change writes down what it is about to do, and what became of it. Every method is durable when it returns."""

    def sending(self, call: Call) -> None:
        """Called again, with the same call, before it is sent again."""

    def done(self, call: Call, reply: Reply) -> None: ...

    def rejected(self, call: Call, why: VendorError) -> None: ...

    def unknown(self, call: Call, why: VendorError) -> None: ...

    def created(self, made: Created) -> None: ...

    def happened(self, call: Call) -> bool:
        """Whether a look shows that a refused call took effect all the same. Asked before a refusal of an unrepeatable one is believed."""


@dataclass(slots=True)
class _Queue:
    """The calls of one account, vendor and action; all in monotonic seconds."""

    sent: deque[float]  # when the last calls left: as many as a second may hold
    free: float = -math.inf  # when the next one has its turn
    rests: float = -math.inf  # until when none leaves, because the vendor refused for the rate
    penalty: float | None = None  # how long the next rest is, while refusals go on


class Pacer:
    """One evenly spaced queue per account, vendor and action. A throttle pushes the queue back, doubling while it goes on.

    A call that this machine let go late does not bring those behind it too near: no second holds more than the published rate.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._queues: dict[tuple[str, str, str], _Queue] = {}

    def _queue(self, account: str, call: Call) -> _Queue:
        key = (account, call.vendor, call.action)
        if key not in self._queues:
            self._queues[key] = _Queue(deque(maxlen=max(1, int(call.pace))))
        return self._queues[key]

    def wait(self, account: str, call: Call) -> None:
        """Returns when it is `call`'s turn."""
        with self._lock:
            queue, now = self._queue(account, call), self._clock.monotonic()
            turn = max(now, queue.free)
            queue.free = turn + SLACK / call.pace
        if turn > now:
            self._clock.sleep(turn - now)

    def leave(self, account: str, call: Call) -> None:
        """To be called right before the first byte: returns at once, unless a late call is too near or the queue came to rest meanwhile."""
        while True:
            with self._lock:
                queue, now = self._queue(account, call), self._clock.monotonic()
                sent = queue.sent
                wait = max(sent[0] + WINDOW * len(sent) / call.pace - now if len(sent) == sent.maxlen else 0.0, queue.rests - now)
                if wait < 1e-6:
                    sent.append(now)
                    return
            self._clock.sleep(wait)

    def throttled(self, account: str, call: Call, retry_after: float | None) -> float:
        """Notes that the vendor refused for the rate; returns for how many seconds the queue now rests."""
        with self._lock:
            queue, now = self._queue(account, call), self._clock.monotonic()
            if retry_after is None and (left := queue.rests - now) > 0:
                return left  # it was on its way when the queue came to rest, and tells nothing new
            rest = queue.penalty or min(0.5, 2 / call.pace)  # the first time it was a call or two too near to others
            queue.penalty = min(max(rest * 2, 1.0), 30.0)
            rest = retry_after if retry_after is not None else rest * random.uniform(1.0, 1.25)  # noqa: S311
            queue.free = max(queue.free, now) + rest
            queue.rests = now + rest
            return rest

    def welcome(self, account: str, call: Call) -> None:
        """Notes that the vendor answered again."""
        with self._lock:
            self._queue(account, call).penalty = None


class _Doubt(NamedTuple):
    """A write that was refused after a sending without an answer: the steps look whether it is so."""

    journal: Journal
    call: Call
    lost: OutcomeUnknown

    def stands(self) -> OutcomeUnknown:
        """Nobody could see that it is so: what to raise, written down."""
        self.journal.unknown(self.call, self.lost)
        return self.lost


class Courier:
    """Carries one account's steps to the vendors and back. Thread safe; `side` is the width of a Batch.

    Once `halted`, nothing is tried again. Once `abandoned`, nobody waits for an answer: nothing more is sent.
    """

    def __init__(
        self,
        account: str,
        transports: Callable[[str, str], Transport],
        clock: Clock,
        pacer: Pacer,
        *,
        side: int = 8,
        halted: Callable[[], bool] = lambda: False,
        abandoned: Callable[[], bool] = lambda: False,
        on_pause: Callable[[Pause], None] | None = None,
    ) -> None:
        self._account = account
        self._transports = transports
        self._clock = clock
        self._pacer = pacer
        self._side = side
        self._halted = halted
        self._abandoned = abandoned
        self._on_pause = on_pause

    def prepare(self, vendor: str) -> None:
        """Makes the way to a vendor ready while nobody else needs the interpreter; what is wrong with it is told by the first call."""
        with suppress(ReconcilerError):
            self._transports(self._account, vendor)

    def run(self, steps: Steps[T], *, journal: Journal | None = None, deadline: float | None = None) -> T:
        """Drives `steps` to the end and returns its value.

        Without a journal only safe calls pass. `deadline` bounds the pauses, in seconds; past it NotReady is raised.
        Raises what the steps do not catch: VendorError's subclasses. A refusal that may be because of an earlier sending is the steps' to
        judge, which know what "already so" looks like; where they do not see that, the result is unknown.
        """
        give_up = None if deadline is None else self._clock.monotonic() + deadline
        answer: Any = None
        trouble: VendorError | None = None
        doubt: _Doubt | None = None
        while True:
            try:
                step = steps.throw(trouble) if trouble else steps.send(answer)
            except StopIteration as end:
                if doubt:
                    doubt.journal.done(doubt.call, Reply(None))
                value: T = end.value
                return value
            except VendorError as wrong:
                if doubt:
                    raise doubt.stands() from wrong
                raise
            if doubt and isinstance(step, Call) and not step.safe:
                raise doubt.stands()  # nothing else is written before that is settled
            answer, trouble = None, None
            try:
                answer = self._do(step, journal, give_up)
            except VendorError as wrong:
                trouble = wrong
                if journal is not None and isinstance(step, Call) and isinstance(wrong, Rejected) and wrong.doubt is not None:
                    doubt = _Doubt(journal, step, wrong.doubt)

    def _do(self, step: Any, journal: Journal | None, give_up: float | None) -> Any:
        match step:
            case Call():
                return self._send(step, journal)
            case Batch():
                return self._send_all(step.calls)
            case Pause():
                self._pause(step, give_up)
                return None
            case Created():
                if journal is None:
                    raise ReconcilerError("a read confirmed a creation: a fault of the kind")
                journal.created(step)
                return None
        raise ReconcilerError(f"a kind yielded {step!r}, which is no step")

    def _pause(self, pause: Pause, give_up: float | None) -> None:
        if self._on_pause:
            self._on_pause(pause)
        if self._halted():
            raise NotReady(f"interrupted while waiting{': ' + pause.note if pause.note else ''}")
        if give_up is not None and self._clock.monotonic() + pause.seconds > give_up:
            raise NotReady(f"not ready in time{': ' + pause.note if pause.note else ''}", code="Timeout")
        self._clock.sleep(pause.seconds)

    def _send_all(self, calls: Sequence[Call]) -> list[Reply | VendorError]:
        """Safe calls side by side; the width is bounded because the HTTP pool is."""

        def one(call: Call) -> Reply | VendorError:
            try:
                return self._send(call, None)
            except VendorError as wrong:
                return wrong

        if len(calls) < 2 or self._side < 2:
            return [one(call) for call in calls]
        with ThreadPoolExecutor(min(self._side, len(calls)), thread_name_prefix="reads") as pool:
            return list(pool.map(one, calls))

    def _send(self, call: Call, journal: Journal | None) -> Reply:
        if call.safe:
            return self._read(call)
        if journal is None:
            raise ReconcilerError(f"{call.action} is a write and no journal is open: a fault of ours, nothing was sent")
        return self._write(call, journal)

    def _read(self, call: Call) -> Reply:
        """A read may be asked again: nothing changes by it."""
        attempt = 0
        while True:
            attempt += 1
            try:
                return call.heard(self._once(call))
            except Unavailable:
                if attempt == READ_TRIES or self._halted() or self._abandoned():
                    raise
                self._clock.sleep(0.3 * 2**attempt)

    def _write(self, call: Call, journal: Journal) -> Reply:
        """Written down, then sent. Only a repeatable call is sent again after an unknown outcome, and never beyond doubt.

        A refused signing time changed nothing: it is sent once more, if the journal still takes it.
        """
        doubt: OutcomeUnknown | None = None
        lapsed = False
        attempt = 0
        while True:
            attempt += 1
            try:
                reply = self._once(call, journal)
            except OutcomeUnknown as unknown:
                point("courier.unknown")
                doubt = unknown
                if not call.repeatable or attempt == WRITE_TRIES or self._halted():
                    journal.unknown(call, unknown)
                    raise
                self._clock.sleep(0.3 * 2**attempt)
            except VendorError as wrong:
                point("courier.rejected")
                belied = self._belied(call, wrong, journal)
                if isinstance(wrong, Lapsed) and not belied and not lapsed and attempt < WRITE_TRIES:
                    lapsed = True
                    continue
                if belied:
                    doubt = OutcomeUnknown(
                        f"{wrong.message}; and yet it took effect", code=wrong.code, status=wrong.status, action=call.action,
                        request_id=wrong.request_id, next_step="reconciler refresh",
                    )  # fmt: skip
                if doubt is not None and not isinstance(wrong, NotFound):
                    # the first sending may have taken effect, and this refusal may be because of it
                    if type(wrong) is Rejected and call.repeatable:
                        wrong.doubt = doubt
                        raise
                    journal.unknown(call, doubt)
                    raise doubt from wrong
                journal.rejected(call, wrong)
                raise
            else:
                point("courier.answered")
                journal.done(call, reply)
                return reply

    def _belied(self, call: Call, refusal: VendorError, journal: Journal) -> bool:
        """A vendor may refuse in one place what was done in another: a rate limit or a proxy that counts answers, not requests."""
        return not call.repeatable and isinstance(refusal, Throttled | Denied) and journal.happened(call)

    def _once(self, call: Call, journal: Journal | None = None) -> Reply:
        """One request that the vendor did not refuse for its rate: a throttle changed nothing, so it waits and asks again.

        A write is written down after every wait: a runner that lost its lock meanwhile learns it there, and one that is held up
        between the journal and the socket is too late to send.
        """
        waited, attempt = 0.0, 0
        while True:
            attempt += 1
            if self._abandoned():
                raise Unavailable(f"{call.action} was not sent: nobody waits for its answer")
            self._pacer.wait(self._account, call)
            if journal is not None:
                call = replace(call, by=self._clock.monotonic() + VALID)
                journal.sending(call)
                point("courier.sent")
            self._pacer.leave(self._account, call)
            try:
                reply = self._transports(self._account, call.vendor).send(call)
            except Throttled as throttle:
                rest = self._pacer.throttled(self._account, call, throttle.retry_after)
                waited += rest
                if journal is not None and self._belied(call, throttle, journal):
                    raise
                if attempt == THROTTLE_TRIES or waited > THROTTLE_PATIENCE or self._halted():
                    raise
            else:
                self._pacer.welcome(self._account, call)
                return reply
