"""What a person must decide first: too much deleted, too much air lost, a vendor that shows too little, a project that is empty."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.guards import Limits, reasons, refusals, remedy, shrunken, vanished
from reconciler.model import Action, Address, Change, Entry, Need, Observed, Presence


def changes(*actions: Action, off_air: float = 0.0) -> list[Change]:
    return [Change(Address("RelayTask", f"r{at}"), action, "because", off_air=off_air) for at, action in enumerate(actions)]


# --- deletions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("deleted", "owned", "limits", "allow", "most"),
    [
        # how many are deleted of how many, the most that is let pass; None where it passes
        pytest.param(3, 10, Limits(), None, None, id="just the share"),
        pytest.param(4, 10, Limits(), None, 3, id="more than the share"),
        pytest.param(4, 13, Limits(), None, 3, id="a share is rounded down"),
        pytest.param(9, 9, Limits(), None, None, id="of few, all may go"),
        pytest.param(9, 9, Limits(floor=9), None, 2, id="unless the floor is lower"),
        pytest.param(5, 100, Limits(max_delete=5), None, None, id="just the number"),
        pytest.param(6, 100, Limits(max_delete=5), None, 5, id="more than the number"),
        pytest.param(1, 1, Limits(max_delete=0), None, 0, id="a number holds for few, too"),
        pytest.param(4, 10, Limits(), 4, None, id="allowed"),
        pytest.param(5, 10, Limits(), 4, 4, id="more than was allowed"),
        pytest.param(1, 100, Limits(), 0, 0, id="allowed less than the share"),
    ],
)
def test_deletions(deleted: int, owned: int, limits: Limits, allow: int | None, most: int | None) -> None:
    found = reasons(changes(*[Action.DELETE] * deleted, Action.CREATE, Action.REPLACE), owned=owned, limits=limits, allow_delete=allow)
    assert [one.flags for one in found] == ([] if most is None else [f"--allow-delete {deleted}"])
    assert all(f"delete {deleted} of the {owned} object" in one.text and f"more than {most};" in one.text for one in found)
    assert reasons(changes(*[Action.DELETE] * deleted), owned=owned, limits=limits, allow_delete=allow, destroy=True) == []


# --- air --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("actions", "limit", "stops"),
    [
        pytest.param([Action.UPDATE, Action.REPLACE], 10.0, False, id="just the limit"),
        pytest.param([Action.UPDATE, Action.REPLACE], 9.0, True, id="more, together"),
        pytest.param([Action.UPDATE], 0.0, True, id="none at all"),
        pytest.param([Action.UPDATE, Action.BLOCKED, Action.WAIT], 5.0, False, id="what is not carried out costs nothing"),
        pytest.param([Action.UPDATE] * 100, None, False, id="no limit"),
    ],
)
@pytest.mark.parametrize("destroy", [False, True], ids=["apply", "destroy"])
def test_air(actions: list[Action], limit: float | None, stops: bool, destroy: bool) -> None:
    found = reasons(changes(*actions, off_air=5.0), owned=1000, limits=Limits(max_off_air=limit), destroy=destroy)
    assert [one.text.startswith(f"it would cost {5 * len(actions)} s of air") for one in found] == [True] * stops


def test_a_change_that_its_manifest_refuses_is_named() -> None:
    (one,) = changes(Action.BLOCKED)
    need = Need("--allow-on-air RelayTask/r0", "--allow-on-air RelayTask/r0")
    blocked = Change(one.address, one.action, "differs, ON AIR", needs=need)
    assert refusals([one, blocked]) == []
    (found,) = refusals([one, replace(blocked, refused=True)])
    assert found == need._replace(text="RelayTask/r0: differs, ON AIR; needs --allow-on-air RelayTask/r0")


def test_what_is_refused_stops_the_plan_also_where_nothing_is_known_that_helps() -> None:
    (found,) = refusals([Change(Address("RelayTask", "a"), Action.BLOCKED, "ON AIR", refused=True)])
    assert str(found) == "RelayTask/a: ON AIR; needs a person who decides"
    assert remedy([found]) == ""


# --- a project that is empty ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "owned", "files", "stops"),
    [
        pytest.param(0, 2, 1, True, id="the last manifest is gone"),
        pytest.param(1, 2, 1, False, id="one is left"),
        pytest.param(0, 0, 1, False, id="nothing is owned"),
        pytest.param(0, 2, 0, False, id="no file was read"),
    ],
)
def test_vanished(wanted: int, owned: int, files: int, stops: bool) -> None:
    assert [one.command for one in vanished(wanted=wanted, owned=owned, files=files)] == ["reconciler plan --destroy"] * stops


# --- a vendor that shows too little -----------------------------------------------------------------------------------


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
