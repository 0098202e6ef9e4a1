"""This machine's clock beside the vendors'."""

from __future__ import annotations

import pytest

from reconciler.clocks import Compared
from reconciler.model import Call, Reply
from tests.fakes import ScriptedTransport, StillClock

AT = "Sat, 21 Nov 2026 {} GMT"


@pytest.mark.parametrize(
    ("date", "said"),
    [
        pytest.param(AT.format("11:00:00"), "1h ahead of v's", id="ahead"),
        pytest.param(AT.format("12:05:00"), "5m behind v's", id="behind"),
        pytest.param(AT.format("12:00:59"), "", id="nearly right"),
        pytest.param("yesterday", "", id="no date"),
        pytest.param("", "", id="nothing told"),
    ],
)
def test_a_clock_that_is_wrong_is_told_of(date: str, said: str) -> None:
    clock = StillClock()
    compared = Compared(lambda account, vendor: ScriptedTransport(clock, [Reply(headers={"Date": date})]), clock)
    assert compared("default", "v").send(Call("v", "List", safe=True)).headers == {"Date": date}
    texts = [one.message for one in compared.warnings()]
    assert texts == (
        [f"this machine's clock is {said}, and windows are judged by it: set it right (NTP) before anything is applied"] if said else []
    )
