"""A vendor that suddenly shows less than half of what we own is not believed without a person."""

from __future__ import annotations

import pytest

from reconciler.guards import Limits, shrunken
from reconciler.model import Action, Address, Change, Entry, Observed, Presence


def gone(number: int, *, kind: str = "RelayTask", ended: bool = False, presence: Presence = Presence.ABSENT) -> list[Change]:
    made = []
    for at in range(number):
        address = Address(kind, f"r{at}")
        entry = Entry(address, "default", "id", "identity", ended=ended)
        made.append(Change(address, Action.CREATE, "gone at the vendor", entry=entry, observed=Observed(address, presence)))
    return made


@pytest.mark.parametrize(
    ("changes", "owned", "stops"),
    [
        pytest.param(gone(6), {"RelayTask": 10}, True, id="more than half"),
        pytest.param(gone(5), {"RelayTask": 10}, False, id="half"),
        pytest.param(gone(9), {"RelayTask": 9}, False, id="too few to tell"),
        pytest.param(gone(20, ended=True), {"RelayTask": 20}, False, id="they had ended"),
        pytest.param(gone(20, presence=Presence.LIVE), {"RelayTask": 20}, False, id="they are there"),
        pytest.param(gone(6, kind="Clip"), {"RelayTask": 10, "Clip": 40}, False, id="kinds are told apart"),
    ],
)
def test_shrunken(changes: list[Change], owned: dict[str, int], stops: bool) -> None:
    assert bool(shrunken(changes, owned=owned, limits=Limits())) == stops


def test_it_says_how_to_go_on() -> None:
    (reason,) = shrunken(gone(8), owned={"RelayTask": 10}, limits=Limits())
    assert str(reason).startswith("the vendor shows only 2 of the 10 RelayTask objects")
    assert str(reason).endswith(reason.flags)
    assert reason.flags == "--allow-recreate"
