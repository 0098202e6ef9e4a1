"""The pacer: no second holds more calls than the vendor publishes, no call waits longer than that takes, and a refusal rests the queue."""

from __future__ import annotations

import pytest

from reconciler.courier import SLACK, WINDOW, Pacer
from reconciler.model import Call
from tests.fakes import StillClock


class BusyMachine(StillClock):
    """Every seventh sleep lasts far too long, as when others take the processor."""

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds + (0.06 if len(self.slept) % 7 == 3 else 0.0))


@pytest.mark.parametrize("pace", [1, 10, 15, 60])
@pytest.mark.parametrize("clock", [StillClock, BusyMachine], ids=["an idle machine", "a busy machine"])
def test_no_second_holds_more_calls_than_published(clock: type[StillClock], pace: int) -> None:
    still = clock()
    pacer, call, sent = Pacer(still), Call("volcengine-live", "CreatePullToPushTask", pace=pace), []
    for _ in range(5 * pace + 1):
        pacer.wait("default", call)
        still.advance(0.002)  # the journal
        pacer.leave("default", call)
        sent.append(still.monotonic())
    assert all(later - first > 1 for first, later in zip(sent, sent[pace:], strict=False))


def test_an_idle_machine_waits_for_its_turn_only() -> None:
    clock = StillClock()
    pacer, call = Pacer(clock), Call("volcengine-live", "CreatePullToPushTask", pace=10)
    for _ in range(101):
        pacer.wait("default", call)
        pacer.leave("default", call)
    assert clock.monotonic() == pytest.approx(100 * SLACK / 10)
    assert 1 < WINDOW < SLACK <= 1.01


def test_calls_that_are_refused_together_rest_the_queue_once() -> None:
    clock = StillClock()
    pacer, call = Pacer(clock), Call("volcengine-rtc", "GetRecordTask", pace=60, safe=True)
    rests = [pacer.throttled("default", call, None) for _ in range(8)]
    assert len(set(rests)) == 1
    pacer.wait("default", call)
    pacer.leave("default", call)
    assert clock.monotonic() == pytest.approx(rests[0])
    again = pacer.throttled("default", call, None)
    assert again > rests[0], "refused after its rest: the next one is longer"
    assert pacer.throttled("default", call, 7.0) == 7.0, "what the vendor says counts in any case"


def test_a_call_that_waits_for_its_turn_rests_with_the_queue() -> None:
    clock = StillClock()
    pacer, call = Pacer(clock), Call("volcengine-rtc", "GetRecordTask", pace=60, safe=True)
    pacer.wait("default", call)
    rest = pacer.throttled("default", call, None)
    pacer.leave("default", call)
    assert clock.monotonic() == pytest.approx(rest)
