"""Conversations with the vendors may begin while the manifests are still read, and end when nobody needs them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler import manifest, project
from reconciler.engine import Engine, Wanted
from reconciler.errors import InvalidManifests, Unavailable
from reconciler.kinds import Registry
from reconciler.ledger import Ledger, open_ledger
from reconciler.model import Action, Address, Call, Entry, Reply
from tests.fakes import StillClock
from tests.scenarios.manifests import CUP

PATIENCE = 60.0  # seconds; only a broken program needs them
HOME = Address("RelayTask", "cup")


class Vendor:
    """An account whose list claims 20 pages. It answers the first, and the rest when it is told to."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.go_on = threading.Event()
        self.calls: list[Call] = []

    def send(self, call: Call) -> Reply:
        self.calls.append(call)
        self.asked.set()
        if call.body["Page"] > 1:
            assert self.go_on.wait(PATIENCE)
        row = {"TaskId": f"t{call.body['Page']}", "Title": f"Task{call.body['Page']}", "Status": "未开始"}
        return Reply({"List": [row], "Pagination": {"TotalCount": 20}})


@pytest.fixture
def ledger(tmp_path: Path):
    with_one = open_ledger("state.db", root=tmp_path, workspace="default", clock=StillClock(), create=True)
    with_one.put(Entry(HOME, "default", "t1", "default/cup"))
    yield with_one
    with_one.close()


def engine(ledger: Ledger, vendor: Vendor, wanted: object, *, making: Callable[[], object] = lambda: None) -> Engine:
    """`making` is called whenever somebody asks for the way to the vendor."""

    def transports(account: str, name: str) -> Vendor:
        making()
        return vendor

    return Engine(
        workspace="default", kinds=Registry().get, ledger=ledger, transports=transports, clock=StillClock(),
        wanted=wanted, parallelism=4,  # type: ignore[arg-type]
    )  # fmt: skip


def declared(root: Path) -> Wanted:
    (root / "cup.yaml").write_text(CUP)
    found = project.find(root)
    return Wanted(manifest.load(project.files(found, root), project=found, kinds=Registry()).require().desired, files=1)


def test_the_account_is_listed_while_the_manifests_are_read(tmp_path: Path, ledger: Ledger) -> None:
    vendor = Vendor()

    def read() -> Wanted:
        assert vendor.asked.wait(PATIENCE), "nothing was asked before the manifests were read"
        vendor.go_on.set()
        return declared(tmp_path)

    plan = engine(ledger, vendor, read).plan()
    assert [(str(change.address), change.action) for change in plan.changes] == [("RelayTask/cup", Action.UPDATE)]
    assert sorted(call.body["Page"] for call in vendor.calls) == list(range(1, 21))


def test_the_way_to_a_vendor_is_ready_before_the_manifests_are_read(tmp_path: Path, ledger: Ledger) -> None:
    vendor, made_in = Vendor(), []
    vendor.go_on.set()

    engine(ledger, vendor, lambda: declared(tmp_path), making=lambda: made_in.append(threading.current_thread())).plan()
    assert made_in[0] is threading.main_thread(), "what it imports would compete with the reading of manifests"


def test_mistakes_in_the_manifests_end_the_listing(ledger: Ledger) -> None:
    vendor = Vendor()

    def wrong() -> Wanted:
        assert vendor.asked.wait(PATIENCE)
        raise InvalidManifests((), "a mistake")

    with pytest.raises(InvalidManifests):
        engine(ledger, vendor, wrong).plan()
    vendor.go_on.set()
    for thread in threading.enumerate():
        if thread.name.startswith("observe"):
            thread.join(PATIENCE)
    assert len(vendor.calls) <= 9, "what was on its way came to its end, and nothing more was sent"


def test_a_vendor_that_is_away_is_told_after_the_mistakes(tmp_path: Path, ledger: Ledger) -> None:
    class Away:
        def send(self, call: Call) -> Reply:
            raise Unavailable("nobody there", action=call.action)

    with pytest.raises(Unavailable, match="nobody there"):
        engine(ledger, Away(), lambda: declared(tmp_path)).plan()  # type: ignore[arg-type]
