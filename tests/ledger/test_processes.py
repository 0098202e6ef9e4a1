"""The lock and the journal between real processes, which race, freeze and are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.errors import LockHeld
from reconciler.ledger import holder, store
from tests.ledger.conftest import Where
from tests.ledger.runner import WallClock
from tests.ledger.things import MORNING, an_entry

REPOSITORY = Path(__file__).parents[2]
Start = Callable[..., "subprocess.Popen[str]"]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals")


@pytest.fixture
def start(place: Where) -> Iterator[Start]:
    running = []

    def run(*what: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.ledger.runner", place.url, str(place.root), *what]
        process = subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        running.append(process)
        return process

    yield run
    for process in running:
        process.kill()
        process.communicate()


def told(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def go_on(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_racing_processes_hold_it_one_after_another(place: Where, start: Start) -> None:
    racers = [start("count", "15") for _ in range(3)]  # each makes the store if nobody did yet
    assert [racer.wait(60) for racer in racers] == [0, 0, 0]
    ledger = place.open(clock=WallClock())
    assert ledger.note("sum") == 45
    with ledger.acquire("me", timeout=0) as lease:
        assert lease.epoch == 46
    assert place.sql("SELECT count(*) FROM @workspaces") == [(1,)]


def test_the_lock_of_a_killed_process_is_free_at_once(place: Where, start: Start) -> None:
    holder = start("hold")
    assert told(holder) == "holds 1"
    ledger = place.open(clock=WallClock())
    with pytest.raises(LockHeld, match=f"holder on .*, pid {holder.pid}, since"):
        ledger.acquire("me", timeout=0)
    holder.kill()  # not waited for: a zombie counts as dead
    with ledger.acquire("me", timeout=5) as lease:
        assert lease.epoch == 2
    assert not ledger.busy()


def test_a_frozen_holder_that_wakes_is_fenced(place: Where, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    holder = start("hold")
    assert told(holder) == "holds 1"
    holder.send_signal(signal.SIGSTOP)
    ledger = place.open(clock=WallClock())
    with pytest.raises(LockHeld):
        ledger.acquire("me", timeout=0)
    ledger.force_unlock()
    with ledger.acquire("me", timeout=0) as lease:
        assert lease.epoch == 3
        holder.send_signal(signal.SIGCONT)
        go_on(holder)
        assert told(holder) == "Stale"
        assert ledger.open_intents() == []
        go_on(holder)
        assert holder.wait(30) == 0
        assert ledger.held() == lease.held  # it did not give back what was no longer its own


@pytest.mark.parametrize(
    ("point", "open_intents", "entries"),
    [
        ("ledger.acquire.before", [], {}),
        ("ledger.acquire.after", [], {}),
        ("ledger.begin.before", [], {}),
        ("ledger.begin.after", ["i1"], {}),
        ("ledger.confirm.before", ["i1"], {}),
        ("ledger.confirm.after", [], {MORNING: an_entry()}),
        ("ledger.release.before", [], {MORNING: an_entry()}),
        ("ledger.release.after", [], {MORNING: an_entry()}),
    ],
)
def test_a_kill_leaves_the_journal_as_it_was_committed(
    place: Where, start: Start, point: str, open_intents: list[str], entries: object
) -> None:
    assert start("die", point).wait(30) == -signal.SIGKILL
    ledger = place.open(clock=WallClock())
    assert ([intent.id for intent in ledger.open_intents()], ledger.entries()) == (open_intents, entries)
    with ledger.acquire("the next run", timeout=5):
        pass


def test_the_lease_is_a_minute() -> None:
    assert timedelta(seconds=60) == store.LEASE


@pytest.mark.parametrize(
    ("pid", "born", "gone"),
    [
        pytest.param(os.getpid(), holder.born(os.getpid()), False, id="this very process"),
        pytest.param(os.getpid(), "1", True, id="an earlier one of its number"),
        pytest.param(2**22 + 1, "", True, id="no number that the kernel gives"),
        pytest.param(10**30, "", False, id="no number at all: who knows"),
    ],
)
def test_whether_a_holder_is_gone(pid: int, born: str, gone: bool) -> None:
    assert holder._gone(pid, born) is gone


def test_where_a_process_number_proves_nothing_nobody_is_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holder, "POSIX", False)
    assert holder._gone(2**22 + 1, "") is False


@pytest.mark.parametrize(("posix", "told"), [(True, True), (False, False)], ids=["by its name", "not at all"])
def test_a_machine_without_proc_is_known(posix: bool, told: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holder, "PROC", tmp_path)
    monkeypatch.setattr(holder, "POSIX", posix)
    assert bool(holder.machine.__wrapped__()) is told
    assert holder.born(os.getpid()) == ""
