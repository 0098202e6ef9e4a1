"""Hand-written stand-ins shared by the tests: a clock that only moves when told to, and a transport that answers from a script."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from reconciler.model import Call, Reply


class StillClock:
    """Time moves only by `sleep` and `advance`; thread safe."""

    def __init__(self, start: datetime = datetime(2026, 11, 21, 12, tzinfo=UTC)) -> None:
        self._start = start
        self._lock = threading.Lock()
        self.elapsed = 0.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.elapsed)

    def monotonic(self) -> float:
        return self.elapsed

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)
            self.elapsed += seconds

    def advance(self, seconds: float) -> None:
        with self._lock:
            self.elapsed += seconds


class ScriptedTransport:
    """Answers calls in order from `answers`: a Reply, or an exception to raise. Remembers calls with the time they arrived."""

    def __init__(self, clock: StillClock, answers: list[Reply | Exception] | Callable[[Call], Reply]) -> None:
        self._clock = clock
        self._answers = answers
        self.calls: list[Call] = []
        self.times: list[float] = []

    def send(self, call: Call) -> Reply:
        self.calls.append(call)
        self.times.append(self._clock.monotonic())
        if callable(self._answers):
            return self._answers(call)
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer
