"""The server: connections that break around a commit, passwords that must not show, and what a team's database refuses."""

from __future__ import annotations

import contextlib
import re
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler import crash
from reconciler.errors import LedgerError, LockHeld, Stale
from reconciler.ledger import open_ledger
from tests.ledger.conftest import HandClock, Where
from tests.ledger.runner import WallClock
from tests.ledger.things import MORNING, an_entry, an_intent

psycopg = pytest.importorskip("psycopg")
server_store = pytest.importorskip("reconciler.ledger.postgres")


class Wire:
    """A socket before the server that can break the connection at the next commit: before it arrives, or before its answer does."""

    def __init__(self, server_folder: str, folder: Path) -> None:
        self.cut = ""
        self.cuts = 0
        self.connections = 0
        self._target = f"{server_folder}/.s.PGSQL.5432"
        self._door = folder / ".s.PGSQL.5432"
        self._open: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._door))
        self._listener.listen()
        self._start(self._accept)

    def _start(self, work: Callable[..., None], *more: socket.socket) -> None:
        threading.Thread(target=work, args=more, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._target)
                self._open += [client, server]
                self._start(self._forward, client, server)
                self._start(self._return, server, client)

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        with _hung_up_after(client, server):
            while data := client.recv(65536):
                if self.cut and b"COMMIT" in data:
                    self.cuts += 1
                    before, self.cut = self.cut, "returning" if self.cut == "answer" else ""
                    if before == "request":
                        return
                server.sendall(data)

    def _return(self, server: socket.socket, client: socket.socket) -> None:
        with _hung_up_after(client, server):
            while data := server.recv(65536):
                if self.cut == "returning":
                    self.cut = ""
                    return
                client.sendall(data)

    def close(self) -> None:
        """Breaks every connection and takes no new one."""
        self._listener.close()
        self._door.unlink(missing_ok=True)
        with _hung_up_after(*self._open):
            self._open = []


@contextlib.contextmanager
def _hung_up_after(*sockets: socket.socket) -> Iterator[None]:
    try:
        with contextlib.suppress(OSError):
            yield
    finally:
        for one in sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


@pytest.fixture
def wire(postgres: Where, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Wire, Where]]:
    folder = tmp_path_factory.mktemp("w")
    found = re.search(r"host=([^&]*)", postgres.url)
    assert found
    between = Wire(found[1], folder)
    yield between, replace(postgres, url=postgres.url.replace(found[1], str(folder)))
    between.close()


def one_write(ledger: Any, name: str) -> tuple[Callable[[], object], Callable[[], object]]:
    """(the write, what tells that it happened exactly once)."""
    lease: Any = ledger.acquire("ada", timeout=0) if name not in ("acquire", "put") else None
    if name in ("confirm", "settle", "reject"):
        ledger.begin(lease, an_intent())
    match name:
        case "acquire":
            return lambda: ledger.acquire("ada", timeout=0), lambda: ledger.held().holder
        case "put":
            return lambda: ledger.put(an_entry()), ledger.entries
        case "begin":
            return lambda: ledger.begin(lease, an_intent()), lambda: len(ledger.open_intents())
        case "confirm":
            return lambda: ledger.confirm(lease, "i1", entry=an_entry()), lambda: (ledger.open_intents(), ledger.entries())
        case "settle":
            return lambda: ledger.settle("i1", present=True, entry=an_entry()), lambda: (ledger.open_intents(), ledger.entries())
        case "reject":
            return lambda: ledger.reject(lease, "i1", "no"), ledger.open_intents
        case "plan":
            return lambda: ledger.use_plan("p"), lambda: None
        case "record":
            return lambda: ledger.record({"run": "a"}), ledger.history
        case "renew":
            return lease.renew, lambda: ledger.held() == lease.held
        case _:
            return lease.release, ledger.held


WRITES = {
    "acquire": "ada",
    "put": {MORNING: an_entry()},
    "begin": 1,
    "confirm": ([], {MORNING: an_entry()}),
    "settle": ([], {MORNING: an_entry()}),
    "reject": [],
    "plan": None,
    "record": [{"run": "a"}],
    "renew": True,
    "release": None,
}


@pytest.mark.parametrize("lost", ["request", "answer"])
@pytest.mark.parametrize("name", WRITES)
def test_a_connection_lost_at_the_commit_loses_and_doubles_nothing(wire: tuple[Wire, Where], name: str, lost: str) -> None:
    between, place = wire
    ledger = place.open()
    write, told = one_write(ledger, name)
    between.cut = lost
    write()
    assert between.cuts == 1
    assert between.connections == 2
    assert told() == WRITES[name]
    if name == "plan":
        with pytest.raises(Stale):
            ledger.use_plan("p")
    if name == "acquire":
        assert place.sql("SELECT epoch FROM @workspaces") == [(1,)]


def test_a_backend_that_is_killed_is_replaced(postgres: Where) -> None:
    ledger = postgres.open()
    shots: list[Any] = []

    def shoot(name: str) -> None:
        if name == "ledger.begin.before" and not shots:
            shots.append(postgres.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'reconciler'"))

    with ledger.acquire("ada", timeout=0) as lease:
        crash.hook = shoot
        try:
            ledger.begin(lease, an_intent())
        finally:
            crash.hook = None
        assert shots == [[(True,)]]
        assert [intent.id for intent in ledger.open_intents()] == ["i1"]
        postgres.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'reconciler'")
        assert ledger.entries() == {}


def test_a_server_that_stays_away_is_an_error(wire: tuple[Wire, Where]) -> None:
    between, place = wire
    ledger = place.open()
    between.close()
    with pytest.raises(LedgerError, match="cannot be reached") as refusal:
        ledger.put(an_entry())
    assert refusal.value.next_step == "reconciler doctor"
    assert place.clock.slept == pytest.approx(3.5)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ada:hunter2@127.0.0.1:1/news",
        "postgresql://ada@127.0.0.1:1/news?password=hunter2",
        "postgresql://ada:hunter2@127.0.0.1:port/news",
        "postgresql://ada:x@hunter2@127.0.0.1:1/news",
        "postgresql://ada:x/hunter2@127.0.0.1:1/news",
        "postgresql://ada:%zzhunter2@127.0.0.1/news",
        "postgresql://ada:hunter2@127.0.0.1:1/news?nonsense=1",
    ],
    ids=["refused", "as a parameter", "a wrong port", "an unescaped @", "an unescaped /", "a wrong escape", "a wrong parameter"],
)
def test_no_error_shows_the_password(tmp_path: Path, clock: HandClock, url: str) -> None:
    with pytest.raises(LedgerError) as refusal:
        open_ledger(url, root=tmp_path, workspace="news", clock=clock, create=True)
    assert "hunter2" not in "".join(traceback.format_exception(refusal.value))
    assert "hunter2" not in refusal.value.next_step
    assert clock.slept == 0  # a first connection is not tried twice


def test_its_place_is_named_without_the_password(postgres: Where) -> None:
    ledger: Any = open_ledger(
        postgres.url.replace("postgres:@", "postgres:hunter2@"), root=postgres.root, workspace="w", clock=postgres.clock, create=True
    )
    ledger.close()
    with pytest.raises(LedgerError, match=r"postgresql://postgres@.*was closed") as refusal:
        ledger.entries()
    assert "hunter2" not in refusal.value.message


def test_a_replica_is_refused(postgres: Where) -> None:
    postgres.open().close()
    name = postgres.sql("SELECT current_database()")[0][0]
    postgres.sql(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    ledger = postgres.open()
    assert ledger.entries() == {}
    with pytest.raises(LedgerError, match=r"cannot be written: cannot execute .* in a read-only transaction") as refusal:
        ledger.acquire("ada", timeout=0)
    assert "primary" in refusal.value.message


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        pytest.param(psycopg.errors.DiskFull("no space"), "cannot be written: no space; free some space on the server", id="a full disk"),
        pytest.param(psycopg.errors.DataError("NUL"), "refused a statement: NUL", id="a statement"),
        pytest.param(psycopg.errors.LockNotAvailable("busy"), "is busy: busy; wait for the other run", id="a busy one"),
    ],
)
def test_what_the_server_says_in_our_words(postgres: Where, wrong: Exception, told: str) -> None:
    ledger: Any = postgres.open()

    def work(_: object) -> None:
        raise wrong

    with pytest.raises(LedgerError) as refusal:
        ledger._reading(work)
    assert told in f"{refusal.value.message}; {refusal.value.next_step}"


def test_of_two_who_make_it_at_once_the_second_finds_it_made(postgres: Where) -> None:
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    with ThreadPoolExecutor(2) as pool:
        with psycopg.connect(postgres.url) as first:
            first.execute("SELECT pg_advisory_xact_lock(%s)", (server_store._LAY_OUT_LOCK,))
            both = [pool.submit(postgres.open) for _ in range(2)]
            while postgres.sql(waiting) != [(2,)]:
                assert not any(one.done() for one in both)
        one, other = (opening.result(20) for opening in both)
    assert one.lineage == other.lineage
    one.put(an_entry())
    assert other.entries() == {MORNING: an_entry()}


def test_a_transaction_that_never_ends_is_waited_for_in_vain(postgres: Where) -> None:
    ledger: Any = postgres.open()
    ledger._connection().execute("SET lock_timeout = '50ms'")
    with psycopg.connect(postgres.url) as stuck:
        stuck.execute("SELECT 1 FROM reconciler.workspaces FOR UPDATE")
        with pytest.raises(LedgerError, match="is busy: canceling statement due to lock timeout"):
            ledger.put(an_entry())
        stuck.rollback()
    ledger.put(an_entry())


def test_a_commit_that_the_server_may_lose_is_no_journal(postgres: Where) -> None:
    name = postgres.sql("SELECT current_database()")[0][0]
    postgres.sql(f"ALTER DATABASE {name} SET synchronous_commit = off")
    ledger: Any = postgres.open()
    assert ledger._connection().execute("SHOW synchronous_commit").fetchone() == ("on",)


def test_a_role_without_rights_is_told_so(postgres: Where) -> None:
    postgres.sql("DROP ROLE IF EXISTS visitor")
    postgres.sql("CREATE ROLE visitor LOGIN")
    try:
        with pytest.raises(LedgerError, match="may not be used: permission denied") as refusal:
            replace(postgres, url=postgres.url.replace("postgres:@", "visitor@")).open()
        assert "grant the role" in refusal.value.message
    finally:
        postgres.sql("DROP ROLE visitor")


def test_history_cannot_be_truncated(postgres: Where) -> None:
    postgres.open().record({"run": "a"})
    with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
        postgres.sql("TRUNCATE reconciler.history")


def test_of_many_who_ask_at_once_one_gets_it(postgres: Where) -> None:
    ledgers = [postgres.open(clock=WallClock()) for _ in range(8)]

    def take(ledger: Any) -> int:
        try:
            return int(ledger.acquire("racer", timeout=0).epoch)
        except LockHeld:
            return 0

    with ThreadPoolExecutor(8) as pool:
        for turn in range(1, 11):
            epochs = list(pool.map(take, ledgers))
            assert sorted(epochs)[:-1] == [0] * 7
            assert max(epochs) == 2 * turn - 1
            ledgers[0].force_unlock()


def test_without_the_driver_it_says_what_to_install(tmp_path: Path, clock: HandClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "reconciler.ledger.postgres")
    monkeypatch.delattr("reconciler.ledger.postgres", raising=False)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(LedgerError, match="needs the driver psycopg") as refusal:
        open_ledger("postgresql://ada@127.0.0.1/news", root=tmp_path, workspace="news", clock=clock, create=True)
    assert "pip install" in f"{refusal.value.message}{refusal.value.next_step}"
