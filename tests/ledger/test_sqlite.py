"""The file: who may read it, what happens where it cannot be written, and that damage is refused."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from reconciler.errors import LedgerError, LockHeld, UsageError
from reconciler.ledger import Ledger, open_ledger
from reconciler.ledger import sqlite as file_store
from reconciler.model import Address
from tests.ledger.conftest import HandClock, Where
from tests.ledger.test_processes import REPOSITORY
from tests.ledger.things import FULL_ENTRY, MORNING, SERIES, an_entry, an_intent


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def path_of(sqlite: Where) -> Path:
    return sqlite.root / sqlite.url


def fill(ledger: Ledger, count: int = 20) -> None:
    for n in range(count):
        ledger.put(an_entry(Address("Clip", f"c{n}")))
    ledger.put(FULL_ENTRY)
    ledger.set_note("a", 1)
    ledger.record({"run": "a"})
    ledger.use_plan("p")
    with ledger.acquire("ada", timeout=0) as lease:
        ledger.begin(lease, an_intent())


# --- the place --------------------------------------------------------------------------------------------------------


def test_a_lock_that_is_renewed_for_an_hour_may_hang(sqlite: Where) -> None:
    here, there = sqlite.open(), sqlite.open()
    with here.acquire("ada", timeout=0) as lease:
        for _ in range(73):
            sqlite.clock.sleep(50)
            lease.renew()
        with pytest.raises(LockHeld, match="it may hang") as refusal:
            there.acquire("bob", timeout=0)
        assert (refusal.value.stuck, refusal.value.next_step) == (True, "reconciler force-unlock")


def test_only_its_owner_may_read_it(sqlite: Where) -> None:
    before = os.umask(0)
    try:
        fill(sqlite.open())
    finally:
        os.umask(before)
    folder = path_of(sqlite).parent
    assert mode(folder) == 0o700
    assert {file.name: mode(file) for file in folder.iterdir()} == dict.fromkeys(("state.db", "state.db-wal", "state.db-shm"), 0o600)


def test_a_file_that_others_may_read_is_closed_to_them(sqlite: Where) -> None:
    sqlite.open().close()
    path_of(sqlite).chmod(0o644)
    sqlite.open()
    assert mode(path_of(sqlite)) == 0o600


def test_a_folder_that_was_there_keeps_its_mode(tmp_path: Path, clock: HandClock) -> None:
    tmp_path.chmod(0o755)
    open_ledger("state.db", root=tmp_path, workspace="news", clock=clock, create=True).close()
    assert mode(tmp_path) == 0o755
    assert [file.name for file in tmp_path.iterdir()] == ["state.db"]


def test_commits_are_on_the_disk_when_they_return(sqlite: Where) -> None:
    ledger: Any = sqlite.open()
    assert ledger._db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert ledger._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_other_urls_are_refused(tmp_path: Path, clock: HandClock) -> None:
    with pytest.raises(UsageError, match="state: mysql:// is no place for a ledger"):
        open_ledger("mysql://user:secret@host/db", root=tmp_path, workspace="w", clock=clock, create=True)


def _parent_is_a_file(root: Path) -> str:
    (root / "file").write_text("x", "utf-8")
    return "file/state.db"


def _is_a_folder(root: Path) -> str:
    (root / "state.db").mkdir()
    return "state.db"


@pytest.mark.parametrize(
    ("prepare", "message"),
    [(_parent_is_a_file, "cannot be made: "), (_is_a_folder, "is a folder")],
    ids=["the parent is a file", "it is a folder"],
)
def test_a_place_that_cannot_be(tmp_path: Path, clock: HandClock, prepare: Callable[[Path], str], message: str) -> None:
    with pytest.raises(LedgerError, match=message) as refusal:
        open_ledger(prepare(tmp_path), root=tmp_path, workspace="w", clock=clock, create=True)
    assert "reconciler.yaml" in refusal.value.message


@pytest.fixture
def readable_only() -> Iterator[Path]:
    """A folder that this process may read and not write, even when it is root's."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    yield folder
    folder.chmod(0o700)
    shutil.rmtree(folder)


@pytest.fixture
def as_nobody() -> Iterator[Callable[[], None]]:
    root = os.geteuid() == 0
    yield lambda: os.seteuid(65534) if root else None
    if root:
        os.seteuid(0)


@pytest.mark.skipif(sys.platform == "win32", reason="modes")
def test_a_read_only_place(readable_only: Path, as_nobody: Callable[[], None], clock: HandClock) -> None:
    ledger = open_ledger("state.db", root=readable_only, workspace="w", clock=clock, create=True)
    ledger.put(an_entry())
    (readable_only / "state.db").chmod(0o444)
    for name in ("state.db-wal", "state.db-shm"):
        (readable_only / name).chmod(0o444)
    readable_only.chmod(0o555)
    as_nobody()
    for create in (True, False):
        with pytest.raises(LedgerError, match=r"cannot be (opened|written)") as refusal:
            open_ledger("state.db", root=readable_only, workspace="w", clock=clock, create=create).acquire("a", timeout=0)
        assert "give yourself the right to write" in refusal.value.message
    with pytest.raises(LedgerError, match="cannot be made: Permission denied"):
        open_ledger("new.db", root=readable_only, workspace="w", clock=clock, create=True)
    assert open_ledger("new.db", root=readable_only, workspace="w", clock=clock, create=False).entries() == {}


# --- a full disk ------------------------------------------------------------------------------------------------------


def test_on_a_full_disk_no_intent_is_begun(sqlite: Where) -> None:
    ledger: Any = sqlite.open()
    lease = ledger.acquire("ada", timeout=0)
    pages = ledger._db.execute("PRAGMA page_count").fetchone()[0]
    ledger._db.execute(f"PRAGMA max_page_count = {pages}")
    begun = []

    def journal() -> None:
        for n in range(1000):
            ledger.begin(lease, an_intent(f"i{n}", Address("Clip", f"c{n}")))
            begun.append(f"i{n}")

    with pytest.raises(LedgerError, match="cannot be written: the disk is full") as refusal:
        journal()
    assert "free some space" in refusal.value.message
    assert [intent.id for intent in sqlite.open().open_intents()] == sorted(begun)
    ledger._db.execute(f"PRAGMA max_page_count = {pages + 1000}")
    ledger.begin(lease, an_intent())  # once there is room it goes on


@pytest.mark.skipif(sys.platform == "win32", reason="limits")
def test_when_the_system_refuses_to_write(sqlite: Where) -> None:
    """A real refusal in the middle of a write: what was journalled before stays, what was not is not there."""
    sqlite.open().close()
    command = [sys.executable, "-m", "tests.ledger.runner", sqlite.url, str(sqlite.root), "fill", str(400_000)]
    output = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    sent, error, message, next_step = output.strip().split("|")
    assert error == "LedgerError"
    assert "cannot be" in message
    assert next_step
    assert 10 < int(sent) < 1000
    assert len(sqlite.open().open_intents()) == int(sent)


# --- damage -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "is damaged: it is empty"), (b"hello, world" * 500, "is damaged: it is no SQLite database"), (b"\x00" * 8192, "is damaged")],
    ids=["empty", "text", "zeroes"],
)
@pytest.mark.parametrize("create", [True, False])
def test_what_is_no_database_is_refused(sqlite: Where, content: bytes, message: str, create: bool) -> None:
    path_of(sqlite).parent.mkdir()
    path_of(sqlite).write_bytes(content)
    with pytest.raises(LedgerError, match=message) as refusal:
        sqlite.open(create=create)
    assert "restore" in refusal.value.message
    assert path_of(sqlite).read_bytes() == content


def test_the_database_of_something_else_is_refused(sqlite: Where) -> None:
    path_of(sqlite).parent.mkdir()
    other = sqlite3.connect(path_of(sqlite))
    other.execute("CREATE TABLE songs (title TEXT)")
    other.close()
    with pytest.raises(LedgerError, match=r"state\.db is no ledger of reconciler"):
        sqlite.open()


def everything(ledger: Ledger) -> Any:
    entries = {address: {**asdict(entry), "applied": dict(entry.applied or {})} for address, entry in ledger.entries().items()}
    intents = [{**asdict(intent), "desired": dict(intent.desired or {})} for intent in ledger.open_intents()]
    return ledger.lineage, ledger.key, entries, intents, ledger.note("a"), ledger.history(), ledger.tombstones()


@pytest.fixture
def sound(sqlite: Where) -> tuple[bytes, Any]:
    """The bytes of a file with something of everything in it, and what is in it."""
    ledger = sqlite.open()
    fill(ledger)
    kept = everything(ledger)
    ledger.close()
    return path_of(sqlite).read_bytes(), kept


def reads(sqlite: Where, content: bytes) -> Any:
    for leftover in path_of(sqlite).parent.iterdir():
        leftover.unlink()
    path_of(sqlite).write_bytes(content)
    path_of(sqlite).chmod(0o600)
    ledger = sqlite.open(create=False)
    try:
        return everything(ledger)
    finally:
        ledger.close()


def test_a_file_cut_short_is_refused(sqlite: Where, sound: tuple[bytes, Any]) -> None:
    content, _ = sound
    for size in [*range(0, 700, 50), *range(1024, len(content), 4096), *range(4096, len(content), 4096), len(content) - 1]:
        with pytest.raises(LedgerError, match="is damaged"):
            reads(sqlite, content[:size])


def test_a_schema_that_is_no_text_is_refused(sqlite: Where, sound: tuple[bytes, Any]) -> None:
    content, _ = sound
    with pytest.raises(LedgerError, match="its schema cannot be read"):
        reads(sqlite, content.replace(b"CREATE TABLE notes", b"CREATE TABL\xff notes"))


def test_a_flipped_bit_is_refused_or_harmless(sqlite: Where, sound: tuple[bytes, Any]) -> None:
    content, kept = sound
    chance = random.Random(7)
    refusals: list[LedgerError] = []
    for at in range(0, len(content), 131):
        flipped = bytearray(content)
        flipped[at] ^= 1 << chance.randrange(8)
        try:
            assert reads(sqlite, bytes(flipped)) == kept, f"byte {at} changed what the ledger says"
        except LedgerError as refusal:
            refusals.append(refusal)
    assert len(refusals) > 50
    assert all(refusal.next_step for refusal in refusals)


def test_a_used_plan_stays_used_in_a_damaged_file(sqlite: Where, sound: tuple[bytes, Any]) -> None:
    content, _ = sound
    at = content.index(b"newsp2026")  # workspace, plan and instant of a row of `plans`
    path_of(sqlite).write_bytes(content[: at + 4] + b"q" + content[at + 5 :])
    with pytest.raises(LedgerError, match=r"is damaged: .*index"):
        sqlite.open()


# --- making it --------------------------------------------------------------------------------------------------------


def test_a_crash_while_making_it_leaves_no_half_ledger(sqlite: Where, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(db: sqlite3.Connection) -> None:
        db.execute("CREATE TABLE schema_version (version BIGINT)")
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(file_store, "_lay_out", fail)
    with pytest.raises(LedgerError):
        sqlite.open()
    monkeypatch.undo()
    assert list(path_of(sqlite).parent.iterdir()) == []
    assert sqlite.open().serial == 0


def test_who_comes_second_takes_what_the_first_made(sqlite: Where) -> None:
    first = sqlite.open()
    first.put(an_entry())
    file_store._make(path_of(sqlite))  # as by a run that saw no file a moment ago
    assert sqlite.open().entries() == first.entries()
    assert sorted(file.name for file in path_of(sqlite).parent.iterdir()) == ["state.db", "state.db-shm", "state.db-wal"]


def test_no_run_has_to_switch_a_new_file_to_wal_mode(sqlite: Where) -> None:
    """Two who do it at once: SQLite refuses one of them without waiting, however long it may wait."""
    path_of(sqlite).parent.mkdir()
    file_store._make(path_of(sqlite))
    assert path_of(sqlite).read_bytes()[18:20] == b"\x02\x02"
    assert [file.name for file in path_of(sqlite).parent.iterdir()] == ["state.db"]


def no_links(_: Path, to: object) -> None:
    raise OSError(95, "Operation not supported")


def test_a_file_system_without_hard_links_will_do(sqlite: Where, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "hardlink_to", no_links)
    first = sqlite.open()
    first.put(an_entry())
    file_store._make(path_of(sqlite))
    assert sqlite.open().entries() == first.entries()


def test_a_folder_that_cannot_be_flushed_will_do(sqlite: Where, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = os.open

    def files_only(path: Any, flags: int, *mode: int) -> int:
        if Path(path).is_dir():
            raise PermissionError(13, "Permission denied")
        return whole(path, flags, *mode)

    monkeypatch.setattr(os, "open", files_only)
    assert sqlite.open().entries() == {}


def test_a_ledger_that_cannot_get_its_name_leaves_nothing_behind(sqlite: Where, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(_: Path, to: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "hardlink_to", no_links)
    monkeypatch.setattr(Path, "rename", no_room)
    with pytest.raises(LedgerError, match="cannot be made: No space left on device"):
        sqlite.open()
    assert list(path_of(sqlite).parent.iterdir()) == []


def test_everything_survives_a_kill(sqlite: Where) -> None:
    command = [sys.executable, "-m", "tests.ledger.runner", sqlite.url, str(sqlite.root), "die", "ledger.confirm.after"]
    assert subprocess.run(command, cwd=REPOSITORY).returncode == -signal.SIGKILL
    assert (path_of(sqlite).parent / "state.db-wal").stat().st_size > 0  # nobody had the time to tidy up
    ledger = sqlite.open()
    assert ledger.entries() == {MORNING: an_entry()}
    assert ledger.entry(SERIES) is None
