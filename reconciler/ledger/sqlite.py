"""The ledger in one SQLite file, readable by its owner only. A commit is on the disk when it returns; damage is refused, not guessed at."""

from __future__ import annotations

import itertools
import os
import secrets
import shlex
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from reconciler.errors import LedgerError
from reconciler.ledger import store
from reconciler.ledger.store import Rows, Run, StoredLedger
from reconciler.model import Clock

T = TypeVar("T")

PATIENCE = 10.0  # seconds to wait for another process's transaction
CHECK_WHOLE = 8 << 20  # bytes; up to here every open checks content against indexes
CHECK_QUICK = 128 << 20  # bytes; up to here an open for writing checks the structure

_APPEND_ONLY = tuple(
    f"""CREATE TRIGGER history_no_{verb.lower()} BEFORE {verb} ON history
        BEGIN SELECT RAISE(ABORT, '{store.APPEND_ONLY}'); END"""
    for verb in ("UPDATE", "DELETE")
)


def open_sqlite(path: Path, *, workspace: str, clock: Clock, create: bool) -> SqliteLedger:
    """See `open_ledger`. The file is made 0600, a folder that has to be made 0700."""
    if path.is_dir():
        raise LedgerError(f"the ledger {path} is a folder; set state: in reconciler.yaml to a file")
    if path.is_symlink() and not path.exists():
        raise LedgerError(f"the ledger {path} is a link that leads nowhere; set state: in reconciler.yaml to the file that is meant")
    if not path.exists():
        if not create:
            return empty_view(str(path), workspace=workspace, clock=clock)
        _make(path)
    ledger = SqliteLedger(_connected(path, writing=create), str(path), workspace=workspace, clock=clock)
    if ledger._introduce(create=create):
        return ledger
    ledger.close()
    return empty_view(str(path), workspace=workspace, clock=clock)


def empty_view(place: str, *, workspace: str, clock: Clock) -> SqliteLedger:
    """A ledger that holds nothing and keeps nothing, for a place where none was made yet."""
    db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    _lay_out(db)
    view = _EmptyView(db, place, workspace=workspace, clock=clock)
    view._introduce(create=True)
    view.sealed_off = True
    return view


class SqliteLedger(StoredLedger):
    def __init__(self, db: sqlite3.Connection, place: str, *, workspace: str, clock: Clock) -> None:
        super().__init__(workspace=workspace, clock=clock)
        self._db = db
        self._at = place

    @property
    def _place(self) -> str:
        return self._at

    def _run(self, sql: str, *parameters: Any) -> Rows:
        return self._db.execute(sql.replace("@", ""), parameters)

    def _reading(self, work: Callable[[Run], T]) -> T:
        with self._guard, _clear(self._at):
            return work(self._run)

    def _writing(self, work: Callable[[Run], T]) -> T:
        with self._guard, _clear(self._at):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                result = work(self._run)
                self._db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    if self._db.in_transaction:
                        self._db.execute("ROLLBACK")
                raise
            return result

    def _now(self, run: Run) -> datetime:
        return self._clock.now()

    def close(self) -> None:
        with self._guard, suppress(sqlite3.Error):
            self._db.close()


class _EmptyView(SqliteLedger):
    sealed_off = False

    @property
    def kept(self) -> bool:
        return False

    @property
    def lineage(self) -> str:
        return ""

    def _writing(self, work: Callable[[Run], T]) -> T:
        if self.sealed_off:
            raise store.unmade(self._at)
        return super()._writing(work)


# --- the file ---------------------------------------------------------------------------------------------------------


def _make(path: Path) -> None:
    """A complete ledger appears under its name at once: a file that is half there is damage, never a beginning."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
    try:
        if not path.parent.is_dir():
            path.parent.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                path.parent.mkdir(mode=0o700)
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except OSError as wrong:
        raise LedgerError(
            f"the ledger {path} cannot be made: {wrong.strerror or wrong}; set state: in reconciler.yaml to a place you can write"
        ) from wrong
    try:
        with _clear(str(path)):
            db = sqlite3.connect(draft, isolation_level=None)
            try:
                # WAL mode comes after: in it, what a full disk keeps out of the file itself is lost at close without a word
                db.execute("PRAGMA synchronous = FULL")
                db.execute("BEGIN")
                _lay_out(db)
                db.execute("COMMIT")
                db.execute("PRAGMA journal_mode = WAL")  # of two who switch it at once, SQLite lets one wait for nothing
            finally:
                db.close()
        _publish(draft, path)
    except OSError as wrong:
        raise LedgerError(f"the ledger {path} cannot be made: {wrong.strerror or wrong}; look at {path.parent}") from wrong
    finally:
        for name in (draft, draft.with_name(draft.name + "-wal"), draft.with_name(draft.name + "-shm")):
            name.unlink(missing_ok=True)


def set_aside(path: Path) -> Path:
    """Gives a damaged file, with what SQLite keeps beside it, a name under which nobody looks for a ledger. Returns that."""
    names = (path.with_name(f"{path.name}.damaged-{number}") for number in itertools.count(1))
    aside = next(name for name in names if not name.exists())
    for end in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + end).rename(aside.with_name(aside.name + end))
    return aside


def _publish(draft: Path, path: Path) -> None:
    """Gives the draft its name, unless another run was faster."""
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        return
    except OSError:  # a file system without hard links
        if not path.exists():
            draft.rename(path)
    with suppress(OSError):  # not every system lets a folder be opened
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _lay_out(db: sqlite3.Connection) -> None:
    for statement in (*store.TABLES, *_APPEND_ONLY):
        db.execute(statement.replace("@", ""))
    db.execute("INSERT INTO schema_version (version) VALUES (?)", (store.FORMAT,))


def _connected(path: Path, *, writing: bool) -> sqlite3.Connection:
    place = str(path)
    size = path.stat().st_size
    if size == 0:
        raise store.damaged(place, "it is empty")
    with suppress(OSError):
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
    with _clear(place):
        db = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, check_same_thread=False, timeout=PATIENCE
        )
    try:
        with _clear(place):
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "cell_size_check = ON", "trusted_schema = OFF"):
                db.execute(f"PRAGMA {pragma}")
            if not db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'schema_version'").fetchone()[0]:
                raise LedgerError(f"{path} is no ledger of reconciler; set state: in reconciler.yaml to another file")
            store.check_version(db.execute("SELECT version FROM schema_version").fetchone(), place)
            check = "integrity_check" if size <= CHECK_WHOLE else "quick_check" if writing and size <= CHECK_QUICK else ""
            verdict = db.execute(f"PRAGMA {check}(1)").fetchone()[0] if check else "ok"
            if verdict != "ok":
                raise store.damaged(place, verdict)
    except BaseException:
        db.close()
        raise
    return db


_MEANINGS = (
    # (what SQLite calls it, what it means, what to do, what shows it of the ledger's folder)
    ("SQLITE_FULL", "cannot be written: the disk is full", "free some space, then run it again", "df -h"),
    ("SQLITE_READONLY", "cannot be written: it is read-only", "give yourself the right to write it and its folder", "ls -la"),
    ("SQLITE_PERM", "may not be opened", "give yourself the right to write it and its folder", "ls -la"),
    ("SQLITE_CANTOPEN", "cannot be opened", "give yourself the right to write it and its folder", "ls -la"),
    ("SQLITE_BUSY", "is busy: another run has been writing for a long time", "wait for the other run, then run it again", ""),
    ("SQLITE_LOCKED", "is busy: another run has been writing for a long time", "wait for the other run, then run it again", ""),
    ("SQLITE_IOERR", "cannot be read or written: the disk is full, or reports an error", "look at its disk", "df -h"),
)


@contextmanager
def _clear(place: str) -> Iterator[None]:
    """Turns SQLite's errors into LedgerErrors that say what to do."""
    try:
        yield
    except sqlite3.Error as wrong:
        name = getattr(wrong, "sqlite_errorname", "")
        for code, meaning, remedy, shows in _MEANINGS:
            if name.startswith(code):
                next_step = f"{shows} {shlex.quote(str(Path(place).parent))}" if shows else ""
                raise LedgerError(f"the ledger {place} {meaning} ({wrong}); {remedy}", next_step=next_step) from wrong
        if name == "SQLITE_NOTADB":
            raise store.damaged(place, "it is no SQLite database") from wrong
        if isinstance(wrong, sqlite3.ProgrammingError) and "closed" in str(wrong):
            raise LedgerError(f"the ledger {place} was closed") from wrong
        raise store.damaged(place, str(wrong)) from wrong
    except UnicodeDecodeError as wrong:  # SQLite quotes the damaged schema in its message
        raise store.damaged(place, "its schema cannot be read") from wrong
