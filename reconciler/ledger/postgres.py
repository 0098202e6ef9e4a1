"""The ledger in PostgreSQL, for a team: rows under the schema `reconciler`, leases by the server's clock, no session state to rely on.

When the connection breaks, nobody knows whether the commit went through: the transaction is run again, and every one recognises its
own earlier success by an id it drew before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeVar

import psycopg
from psycopg import conninfo, errors

from reconciler.errors import LedgerError
from reconciler.ledger import store
from reconciler.ledger.sqlite import SqliteLedger, empty_view
from reconciler.ledger.store import Rows, Run, StoredLedger
from reconciler.model import Clock

T = TypeVar("T")

TRIES = 4  # a fail-over takes some seconds; the pauses between are 0.5, 1 and 2 s
_AGAIN = (errors.SerializationFailure, errors.DeadlockDetected)

_DEFAULTS: dict[str, Any] = {
    "application_name": "reconciler",
    "connect_timeout": 10,
    # a server that vanished without a word is noticed within half a minute
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30000,
}
_SESSION = (
    "SET statement_timeout = '30s'",
    "SET lock_timeout = '15s'",
    "SET idle_in_transaction_session_timeout = '60s'",
    # a commit that the server may still lose is no journal
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
)
_LAY_OUT = (
    "CREATE SCHEMA IF NOT EXISTS reconciler",
    *store.TABLES,
    f"""CREATE FUNCTION @no_change() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION '{store.APPEND_ONLY}'; END $$""",
    "CREATE TRIGGER history_no_change BEFORE UPDATE OR DELETE ON @history FOR EACH ROW EXECUTE FUNCTION @no_change()",
    "CREATE TRIGGER history_no_truncate BEFORE TRUNCATE ON @history FOR EACH STATEMENT EXECUTE FUNCTION @no_change()",
)
# by a query, for to_regclass may answer from a cache that is older than the advisory lock
_IS_THERE = "SELECT count(*) FROM pg_catalog.pg_tables WHERE schemaname = 'reconciler' AND tablename = 'schema_version'"
_LAY_OUT_LOCK = 0x5265636F6E63696C  # "Reconcil"


def open_postgres(url: str, *, workspace: str, clock: Clock, create: bool) -> PostgresLedger | SqliteLedger:
    """See `open_ledger`. The schema is made on first use, by one of those who come at the same time."""
    ledger = PostgresLedger(url, workspace=workspace, clock=clock)
    try:
        if ledger._has_schema(create=create) and ledger._introduce(create=create):
            return ledger
    except BaseException:
        ledger.close()
        raise
    ledger.close()
    return empty_view(ledger._place, workspace=workspace, clock=clock)


class PostgresLedger(StoredLedger):
    lock_row = "SELECT epoch, lease FROM @workspaces WHERE name = ? FOR UPDATE"

    def __init__(self, url: str, *, workspace: str, clock: Clock) -> None:
        """Connects when first used. Raises LedgerError for a URL that is none, without showing it."""
        super().__init__(workspace=workspace, clock=clock)
        self._target = {**_DEFAULTS, **_parts(url)}
        self._at = _shown(self._target)
        self._db: psycopg.Connection[Any] | None = None
        self._met = False
        self._closed = False

    @property
    def _place(self) -> str:
        return self._at

    def _has_schema(self, *, create: bool) -> bool:
        def read(run: Run) -> Any:
            if not run(_IS_THERE).fetchone()[0]:
                return None
            return run("SELECT version FROM @schema_version").fetchone()

        def make(run: Run) -> None:
            run("SELECT pg_advisory_xact_lock(?)", _LAY_OUT_LOCK)
            if not run(_IS_THERE).fetchone()[0]:
                for statement in _LAY_OUT:
                    run(statement)
                run("INSERT INTO @schema_version (version) VALUES (?)", store.FORMAT)

        version = self._reading(read)
        if version is None and create:
            self._writing(make)
            version = self._reading(read)
        if version is None:
            return False
        store.check_version(version, self._at)
        return True

    def _now(self, run: Run) -> datetime:
        now: datetime = run("SELECT clock_timestamp()").fetchone()[0]
        return now.astimezone(UTC)

    def _reading(self, work: Callable[[Run], T]) -> T:
        return self._persist(lambda db: work(_runner(db)))

    def _writing(self, work: Callable[[Run], T]) -> T:
        def whole(db: psycopg.Connection[Any]) -> T:
            with db.transaction():
                return work(_runner(db))

        return self._persist(whole)

    def _persist(self, work: Callable[[psycopg.Connection[Any]], T]) -> T:
        """Does `work`, on a new connection when the old one broke."""
        attempt = 0
        with self._guard, self._clear():
            while True:
                try:
                    return work(self._connection())
                except psycopg.Error as wrong:
                    lost = self._met and (self._db is None or self._db.broken or self._db.closed)
                    if attempt == TRIES - 1 or not (lost or isinstance(wrong, _AGAIN)):
                        raise
                    self._disconnect()
                    self._clock.sleep(0.5 * 2**attempt)
                    attempt += 1

    def _connection(self) -> psycopg.Connection[Any]:
        if self._closed:
            raise LedgerError(f"the ledger {self._at} was closed")
        if self._db is None:
            # a prepared statement lives in a session, and a pooler gives each transaction another one
            target = conninfo.make_conninfo(**{name: str(value) for name, value in self._target.items()})
            db = self._db = psycopg.connect(target, autocommit=True, prepare_threshold=None)
            self._met = True
            for statement in _SESSION:
                db.execute(statement)
        return self._db

    def _disconnect(self) -> None:
        if self._db is not None:
            with suppress(psycopg.Error):
                self._db.close()
            self._db = None

    def close(self) -> None:
        with self._guard:
            self._closed = True
            self._disconnect()

    @contextmanager
    def _clear(self) -> Iterator[None]:
        """Turns the driver's errors into LedgerErrors; they are cut off there, because a driver's text may quote the URL."""
        try:
            yield
        except psycopg.Error as wrong:
            meaning, remedy = _meaning(wrong)
            raise LedgerError(f"the ledger {self._at} {meaning}: {self._masked(wrong)}{remedy}") from None

    def _masked(self, wrong: psycopg.Error) -> str:
        text = " ".join((wrong.diag.message_primary or str(wrong) or type(wrong).__name__).split())
        for name, value in self._target.items():
            if "password" in name and value:
                text = text.replace(str(value), "***")
        return text


def _meaning(wrong: psycopg.Error) -> tuple[str, str]:
    match wrong:
        case errors.DiskFull():
            return "cannot be written", "; free some space on the server, then run it again"
        case errors.ReadOnlySqlTransaction():
            return "cannot be written", "; connect to the primary server, not to a replica"
        case errors.InsufficientPrivilege():
            return "may not be used", "; grant the role the right to create and use the schema reconciler"
        case errors.QueryCanceled() | errors.LockNotAvailable():
            return "is busy", "; wait for the other run, then run it again"
        case errors.RaiseException() | errors.IntegrityError() | errors.ProgrammingError() | errors.DataError():
            return "refused a statement", ""
        case _:
            return "cannot be reached", ""


def _runner(db: psycopg.Connection[Any]) -> Run:
    def run(sql: str, *parameters: Any) -> Rows:
        return db.execute(_translated(sql), parameters or None)

    return run


@lru_cache(maxsize=256)
def _translated(sql: str) -> bytes:
    return sql.replace("@", "reconciler.").replace("?", "%s").encode()


def _parts(url: str) -> dict[str, Any]:
    """The URL's parameters by name. Raises LedgerError, which shows nothing of it: a wrong URL shows its password in the wrong part."""
    with suppress(psycopg.Error):
        parts = conninfo.conninfo_to_dict(url)
        host, port, database = (str(parts.get(name) or "") for name in ("host", "port", "dbname"))
        if "@" not in host + database and (not port or port.replace(",", "").isdecimal()):
            return parts
    raise LedgerError(
        "state: is no valid PostgreSQL URL (not shown: it may hold a password); "
        "write it as postgresql://user@host/database; in a password, / is %2F and @ is %40"
    )


def _shown(target: dict[str, Any]) -> str:
    """The address without its password and parameters."""
    user = f"{target['user']}@" if target.get("user") else ""
    port = f":{target['port']}" if target.get("port") else ""
    return f"postgresql://{user}{target.get('host') or ''}{port}/{target.get('dbname') or ''}"
