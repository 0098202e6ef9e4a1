"""The ledger over SQL rows: every rule of the contract, written once. A store below it only runs transactions and tells the time.

Statements are in the dialect that SQLite and PostgreSQL share; `?` is a parameter, `@` stands before a table's name. Each write
locks the workspace's row first, so that checks and effects are one step; each may be run twice, because a commit's answer can be lost.
"""

from __future__ import annotations

import os
import secrets
import threading
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

from reconciler.crash import point
from reconciler.errors import DamagedLedger, LedgerError, LockHeld, Stale
from reconciler.ledger import Lease, Tombstone, codec, holder
from reconciler.ledger.codec import Damaged
from reconciler.ledger.holder import Held
from reconciler.memory import uncollected
from reconciler.model import Address, Clock, Entry, Intent, Sealed, Secret, Values

T = TypeVar("T")

FORMAT = 1
LEASE = timedelta(seconds=60)
STUCK = timedelta(hours=1)  # whoever has renewed a lock for so long may hang
POLL = 0.25  # seconds between two looks at a lock that somebody holds
KEEP_CLOSED = timedelta(days=7)  # how long a closed intent stays for people to look at

TABLES = (
    "CREATE TABLE @schema_version (version BIGINT NOT NULL)",
    """CREATE TABLE @workspaces (
        name TEXT PRIMARY KEY, lineage TEXT NOT NULL, secret TEXT NOT NULL,
        serial BIGINT NOT NULL, epoch BIGINT NOT NULL, lease TEXT NOT NULL)""",
    """CREATE TABLE @entries (
        workspace TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, occurrence TEXT NOT NULL,
        body TEXT NOT NULL, sum BIGINT NOT NULL, applied TEXT NOT NULL, PRIMARY KEY (workspace, kind, name, occurrence))""",
    """CREATE TABLE @intents (
        workspace TEXT NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, occurrence TEXT NOT NULL,
        state TEXT NOT NULL, horizon TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (workspace, id))""",
    """CREATE UNIQUE INDEX one_open_intent ON @intents (workspace, kind, name, occurrence) WHERE state IN ('sent', 'unknown')""",
    """CREATE TABLE @tombstones (
        workspace TEXT NOT NULL, intent TEXT NOT NULL, until TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (workspace, intent))""",
    "CREATE TABLE @plans (workspace TEXT NOT NULL, id TEXT NOT NULL, used TEXT NOT NULL, PRIMARY KEY (workspace, id))",
    "CREATE TABLE @notes (workspace TEXT NOT NULL, name TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (workspace, name))",
    """CREATE TABLE @history (
        workspace TEXT NOT NULL, n BIGINT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (workspace, n), UNIQUE (workspace, id))""",
)
APPEND_ONLY = "the history is append-only"

_OPEN = ("sent", "unknown")
_READ_LOCK = "SELECT epoch, lease FROM @workspaces WHERE name = ?"
_PUT_ENTRY = """INSERT INTO @entries (workspace, kind, name, occurrence, body, sum, applied) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (workspace, kind, name, occurrence)
    DO UPDATE SET body = excluded.body, sum = excluded.sum, applied = excluded.applied"""
_PUT_INTENT = """INSERT INTO @intents (workspace, id, kind, name, occurrence, state, horizon, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (workspace, id) DO UPDATE SET state = excluded.state, horizon = excluded.horizon, body = excluded.body"""


class Rows(Protocol):
    """The result of one statement."""

    @property
    def rowcount(self) -> int: ...

    def fetchone(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...

    def __iter__(self) -> Iterator[Any]: ...


Run = Callable[..., Rows]
"""Runs one statement within a transaction: `run(sql, *parameters)`."""


class StoredLedger(ABC):
    """What both stores share; see the protocol `Ledger` for the contract."""

    def __init__(self, *, workspace: str, clock: Clock) -> None:
        self._workspace = workspace
        self._clock = clock
        self._guard = threading.RLock()
        self._lease: Lease | None = None
        self._lineage = ""
        self._key = b""

    # what a store provides

    @property
    @abstractmethod
    def _place(self) -> str:
        """Where the ledger is, for messages; without a password."""

    @abstractmethod
    def _reading(self, work: Callable[[Run], T]) -> T:
        """What `work` returns."""

    @abstractmethod
    def _writing(self, work: Callable[[Run], T]) -> T:
        """What `work` returns, once committed; rolled back when it raises. May run it again when nobody knows whether it was committed."""

    @abstractmethod
    def _now(self, run: Run) -> datetime:
        """The time by which leases run out: one clock for all who share the store."""

    @abstractmethod
    def close(self) -> None: ...

    lock_row: str = _READ_LOCK
    """Reads epoch and lease, and keeps others from the row until the transaction ends."""

    # the workspace

    def _introduce(self, *, create: bool) -> bool:
        """Reads the workspace's key and lineage, or makes them. False when there is none and none shall be made."""

        def read(run: Run) -> Any:
            return run("SELECT lineage, secret FROM @workspaces WHERE name = ?", self._workspace).fetchone()

        def make(run: Run) -> None:
            lineage = str(uuid.uuid4())
            secret = codec.checked(f"{self._workspace} {lineage} ", secrets.token_hex(32))
            run(
                """INSERT INTO @workspaces (name, lineage, secret, serial, epoch, lease) VALUES (?, ?, ?, 0, 0, '')
                   ON CONFLICT (name) DO NOTHING""",
                self._workspace,
                lineage,
                secret,
            )

        row = self._reading(read)
        if row is None and create:
            self._writing(make)
            row = self._reading(read)
        if row is None:
            return False
        with self._whole():
            self._lineage = row[0]
            self._key = bytes.fromhex(codec.unchecked(f"{self._workspace} {row[0]} ", row[1]))
        return True

    @property
    def kept(self) -> bool:
        return True

    @property
    def lineage(self) -> str:
        return self._lineage

    @property
    def key(self) -> bytes:
        return self._key

    @property
    def serial(self) -> int:
        return int(self._reading(lambda run: self._workspace_row(run, "SELECT serial FROM @workspaces WHERE name = ?"))[0])

    # sealing

    def seal(self, secret: Secret) -> Sealed:
        return Sealed(codec.digest(self._key, secret.reveal()) if secret.known else "", secret.shown)

    def seal_values(self, values: Values) -> dict[str, Any]:
        return codec.sealed_tree(values, self.seal)

    def open_values(self, tree: Mapping[str, Any]) -> dict[str, Any]:
        return dict(codec.opened(tree))

    # entries

    def entries(self) -> dict[Address, Entry]:
        def work(run: Run) -> dict[Address, Entry]:
            with self._whole(), uncollected():
                rows = run("SELECT body, sum, applied FROM @entries WHERE workspace = ?", self._workspace)
                return {entry.address: entry for row in rows for entry in (codec.entry_of(*row),)}

        return self._reading(work)

    def entry(self, address: Address) -> Entry | None:
        return self._reading(lambda run: self._entry(run, address))

    def put(self, entry: Entry) -> None:
        self._write("put", lambda run: self._put(run, entry), exclusive=True)

    def remove(self, address: Address) -> None:
        self._write("remove", lambda run: self._remove(run, address), exclusive=True)

    def move(self, old: Address, new: Address) -> None:
        def work(run: Run) -> None:
            before, after = self._entry(run, old), self._entry(run, new)
            if before is None and after is None:
                raise LedgerError(f"{old} is not in the ledger", next_step="reconciler state list")
            if before is None:
                return
            if after is not None:
                raise LedgerError(f"{new} is in the ledger already; {old} was not renamed", next_step=f"reconciler state show {new}")
            self._remove(run, old)
            self._put(run, replace(before, address=new))

        self._write("move", work, exclusive=True)

    def _entry(self, run: Run, address: Address) -> Entry | None:
        row = run(
            "SELECT body, sum, applied FROM @entries WHERE workspace = ? AND kind = ? AND name = ? AND occurrence = ?",
            self._workspace,
            *address,
        ).fetchone()
        with self._whole():
            entry = codec.entry_of(*row) if row else None
            if entry is not None and entry.address != address:
                raise Damaged(f"the entry of {address}")
            return entry

    def _put(self, run: Run, entry: Entry) -> None:
        run(_PUT_ENTRY, self._workspace, *entry.address, *codec.entry_cells(entry, self.seal))

    def _remove(self, run: Run, address: Address) -> None:
        run("DELETE FROM @entries WHERE workspace = ? AND kind = ? AND name = ? AND occurrence = ?", self._workspace, *address)

    # the lock

    def acquire(self, holder: str, *, timeout: float) -> Lease:
        token = secrets.token_hex(8)
        patience = self._clock.monotonic() + timeout
        while True:
            asked = self._clock.monotonic()
            taken = self._write("acquire", lambda run: self._take(run, holder, token), fenced=False, counts=False)
            held, epoch = taken
            if epoch is not None:
                ends = asked + LEASE.total_seconds()
                lease = Lease(held, epoch, ends=ends, clock=self._clock, renew=self._renew, release=self._release)
                self._lease = lease
                return lease
            left = patience - self._clock.monotonic()
            if left <= 0:
                raise self._locked(held)
            self._clock.sleep(min(POLL, left))

    def _take(self, run: Run, name: str, token: str) -> tuple[Held, int | None]:
        """(our hold, its epoch), or (somebody else's, None). What has had its time is swept on the way: the write that proves we can."""
        epoch, held = self._lock(run)
        now = self._now(run)
        if held is not None and held.token == token:
            return held, epoch
        if held is not None and held.expires > now and not held.dead:
            return held, None
        ours = Held(name, holder.host(), os.getpid(), now, now + LEASE, holder.machine(), holder.born(os.getpid()), token)
        self._set_lock(run, epoch, epoch + 1, ours)
        today = self._clock.now()
        run(
            "DELETE FROM @intents WHERE workspace = ? AND state NOT IN ('sent', 'unknown') AND horizon < ?",
            self._workspace,
            codec.instant(today - KEEP_CLOSED),
        )
        run("DELETE FROM @tombstones WHERE workspace = ? AND until < ?", self._workspace, codec.instant(today))
        return ours, epoch + 1

    def _locked(self, held: Held) -> LockHeld:
        stuck = held.expires - held.since > STUCK
        free = "it may hang" if stuck else f"it frees itself within {LEASE.total_seconds():.0f} s should its holder be gone"
        return LockHeld(f"workspace {self._workspace} is locked by {held}; {free}", stuck=stuck)

    def _renew(self, lease: Lease) -> float:
        def work(run: Run) -> Held:
            held = replace(lease.held, expires=self._now(run) + LEASE)
            self._set_lock(run, lease.epoch, lease.epoch, held)
            return held

        asked = self._clock.monotonic()
        lease.held = self._write("", work, lease=lease, counts=False)
        return asked + LEASE.total_seconds()

    def _release(self, lease: Lease) -> None:
        if self._lease is lease:
            self._lease = None
        try:
            self._write("release", lambda run: self._set_lock(run, lease.epoch, lease.epoch, None), lease=lease, counts=False)
        except (Stale, LedgerError):
            return  # no longer ours, or out of reach: then it runs out by itself

    def busy(self) -> bool:
        def work(run: Run) -> bool:
            _, held = self._lock(run, _READ_LOCK)
            if held is None or (self._lease is not None and held.token == self._lease.held.token):
                return False
            return held.expires > self._now(run) and not held.dead

        return self._reading(work)

    def held(self) -> Held | None:
        return self._reading(lambda run: self._lock(run, _READ_LOCK)[1])

    def force_unlock(self) -> Held | None:
        def work(run: Run) -> Held | None:
            epoch, held = self._lock(run)
            self._set_lock(run, epoch, epoch + 1, None)
            return held

        return self._write("", work, fenced=False, counts=False)

    def _lock(self, run: Run, sql: str = "") -> tuple[int, Held | None]:
        row = self._workspace_row(run, sql or self.lock_row)
        with self._whole():
            return int(row[0]), self._held_of(row[1]) if row[1] else None

    def _workspace_row(self, run: Run, sql: str) -> Sequence[Any]:
        row: Sequence[Any] | None = run(sql, self._workspace).fetchone()
        if row is None:
            raise LedgerError(f"workspace {self._workspace} is no longer in the ledger {self._place}; run reconciler state rebuild")
        return row

    def _held_of(self, cell: Any) -> Held:
        facts = codec.note_value(f"the lock of {self._workspace}", cell)
        return Held(**facts)

    def _set_lock(self, run: Run, epoch: int, new_epoch: int, held: Held | None) -> None:
        """Compare-and-swap on the epoch. Raises Stale when it moved."""
        cell = "" if held is None else codec.note_cell(f"the lock of {self._workspace}", _facts(held), self.seal)
        done = run("UPDATE @workspaces SET epoch = ?, lease = ? WHERE name = ? AND epoch = ?", new_epoch, cell, self._workspace, epoch)
        if done.rowcount != 1:
            raise self._stolen(None)

    def _stolen(self, by: Held | None) -> Stale:
        taker = f"taken over by {by}" if by else "taken away"
        return Stale(f"the lock of workspace {self._workspace} was {taker}; nothing more is written", next_step="reconciler plan")

    # intents

    def new_id(self) -> str:
        return f"{int(self._clock.now().timestamp() * 1000):011x}{secrets.token_hex(8)}"

    def begin(self, lease: Lease, intent: Intent) -> None:
        def work(run: Run) -> None:
            earlier = run(
                """SELECT id, state FROM @intents WHERE workspace = ? AND (id = ?
                   OR kind = ? AND name = ? AND occurrence = ? AND state IN ('sent', 'unknown'))""",
                self._workspace,
                intent.id,
                *intent.address,
            ).fetchall()
            for id, state in earlier:
                if id != intent.id:
                    raise LedgerError(
                        f"an earlier write to {intent.address} has no known result; nothing was sent",
                        next_step=f"reconciler refresh {intent.address}",
                    )
                if state not in _OPEN:
                    raise LedgerError(f"intent {id} of {intent.address} is closed ({state}); nothing was sent")
            self._put_intent(run, intent, "sent")

        self._write("begin", work, lease=lease)

    def confirm(
        self,
        lease: Lease,
        intent_id: str,
        *,
        entry: Entry | None,
        remove: bool = False,
        tombstone: Tombstone | None = None,
        request_id: str = "",
    ) -> None:
        def work(run: Run) -> None:
            _, intent = self._intent(run, intent_id)
            self._close_intent(run, intent, "confirmed", entry, remove, tombstone, request_id)

        self._write("confirm", work, lease=lease)

    def reject(self, lease: Lease, intent_id: str, reason: str) -> None:
        self._write("reject", lambda run: self._mark(run, intent_id, "rejected", reason), lease=lease)

    def unknown(self, lease: Lease, intent_id: str, reason: str) -> None:
        self._write("unknown", lambda run: self._mark(run, intent_id, "unknown", reason), lease=lease)

    def settle(
        self,
        intent_id: str,
        *,
        present: bool,
        entry: Entry | None = None,
        remove: bool = False,
        tombstone: Tombstone | None = None,
    ) -> bool:
        verdict = "present" if present else "absent"

        def work(run: Run) -> bool:
            state, intent = self._intent(run, intent_id)
            if state not in _OPEN:
                return False
            self._close_intent(run, intent, verdict, entry, remove, tombstone, "")
            return True

        return self._write("settle", work)

    def open_intents(self) -> list[Intent]:
        rows = self._reading(
            lambda run: run(
                """SELECT id, kind, name, occurrence, state, body FROM @intents WHERE workspace = ? AND state IN ('sent', 'unknown')""",
                self._workspace,
            ).fetchall()
        )
        with self._whole():
            found = [codec.intent_of(id, Address(*address), state, body) for id, *address, state, body in rows]
        return sorted(found, key=lambda intent: (intent.sent, intent.id))

    def tombstones(self) -> list[Tombstone]:
        rows = self._reading(
            lambda run: run(
                "SELECT intent, body FROM @tombstones WHERE workspace = ? AND until > ?", self._workspace, codec.instant(self._clock.now())
            ).fetchall()
        )
        with self._whole():
            found = [codec.note_value(f"tombstone {intent}", body) for intent, body in rows]
        stones = [Tombstone(Address(*facts.pop("address")), **facts) for facts in found]
        return sorted(stones, key=lambda stone: (stone.until, stone.address, stone.id))

    def _intent(self, run: Run, id: str) -> tuple[str, Intent]:
        row = run("SELECT kind, name, occurrence, state, body FROM @intents WHERE workspace = ? AND id = ?", self._workspace, id).fetchone()
        if row is None:
            raise LedgerError(f"the ledger knows no intent {id}")
        with self._whole():
            return row[3], codec.intent_of(id, Address(*row[:3]), row[3], row[4])

    def _put_intent(self, run: Run, intent: Intent, state: str, request_id: str = "") -> None:
        body = codec.intent_body(intent, state, self.seal, request_id=request_id)
        run(_PUT_INTENT, self._workspace, intent.id, *intent.address, state, codec.instant(intent.horizon), body)

    def _mark(self, run: Run, id: str, state: str, reason: str) -> None:
        _, intent = self._intent(run, id)
        self._put_intent(run, replace(intent, note=reason), state)

    def _close_intent(
        self, run: Run, intent: Intent, state: str, entry: Entry | None, remove: bool, tombstone: Tombstone | None, request_id: str
    ) -> None:
        self._put_intent(run, intent, state, request_id)
        if remove:
            self._remove(run, intent.address)
        if entry is not None:
            self._put(run, entry)
        if tombstone is not None:
            run(
                """INSERT INTO @tombstones (workspace, intent, until, body) VALUES (?, ?, ?, ?)
                   ON CONFLICT (workspace, intent) DO UPDATE SET until = excluded.until, body = excluded.body""",
                self._workspace,
                intent.id,
                codec.instant(tombstone.until),
                codec.note_cell(f"tombstone {intent.id}", _facts(tombstone), self.seal),
            )

    # plans, runs, notes

    def use_plan(self, plan_id: str) -> None:
        used = f"{codec.instant(self._clock.now())} {secrets.token_hex(8)}"

        def work(run: Run) -> None:
            run(
                "INSERT INTO @plans (workspace, id, used) VALUES (?, ?, ?) ON CONFLICT (workspace, id) DO NOTHING",
                self._workspace,
                plan_id,
                used,
            )
            row = run("SELECT used FROM @plans WHERE workspace = ? AND id = ?", self._workspace, plan_id).fetchone()
            if row[0] != used:
                raise Stale(f"plan {plan_id} was used already, at {row[0].split('.')[0]}Z", next_step="reconciler plan")

        self._write("plan", work, exclusive=True, counts=False)

    def record(self, run: Mapping[str, Any]) -> None:
        id = self.new_id()
        body = codec.note_cell(f"run {id}", run, self.seal)

        def work(do: Run) -> None:
            do(
                """INSERT INTO @history (workspace, n, id, body)
                   SELECT CAST(? AS TEXT), COALESCE(MAX(n), 0) + 1, CAST(? AS TEXT), CAST(? AS TEXT) FROM @history WHERE workspace = ?
                   ON CONFLICT (workspace, id) DO NOTHING""",
                self._workspace,
                id,
                body,
                self._workspace,
            )

        self._write("record", work, fenced=False, counts=False)  # also a run that lost its lock has a history

    def history(self, limit: int = 20) -> list[dict[str, Any]]:
        rows = self._reading(
            lambda run: run("SELECT id, body FROM @history WHERE workspace = ? ORDER BY n DESC LIMIT ?", self._workspace, limit).fetchall()
        )
        with self._whole():
            return [codec.note_value(f"run {id}", body) for id, body in rows]

    def note(self, key: str) -> Any:
        row = self._reading(lambda run: run("SELECT body FROM @notes WHERE workspace = ? AND name = ?", self._workspace, key).fetchone())
        with self._whole():
            return codec.note_value(f"note {key}", row[0]) if row else None

    def set_note(self, key: str, value: Any) -> None:
        def work(run: Run) -> None:
            if value is None:
                run("DELETE FROM @notes WHERE workspace = ? AND name = ?", self._workspace, key)
                return
            run(
                """INSERT INTO @notes (workspace, name, body) VALUES (?, ?, ?)
                   ON CONFLICT (workspace, name) DO UPDATE SET body = excluded.body""",
                self._workspace,
                key,
                codec.note_cell(f"note {key}", value, self.seal),
            )

        self._write("note", work, counts=False)

    # every write

    def _write(
        self,
        name: str,
        work: Callable[[Run], T],
        *,
        lease: Lease | None = None,
        fenced: bool = True,
        exclusive: bool = False,
        counts: bool = True,
    ) -> T:
        """One transaction between two crash points. `exclusive`: not while somebody else holds the lock. `counts`: raises the serial."""

        def whole(run: Run) -> T:
            if fenced:
                self._fence(run, lease or self._lease, exclusive)
            result = work(run)
            if counts:
                run("UPDATE @workspaces SET serial = serial + 1 WHERE name = ?", self._workspace)
            if name:
                point(f"ledger.{name}.before")
            return result

        with self._guard:
            result = self._writing(whole)
            if name:
                point(f"ledger.{name}.after")
            return result

    def _fence(self, run: Run, lease: Lease | None, exclusive: bool) -> None:
        epoch, held = self._lock(run)
        if lease is not None:
            if epoch != lease.epoch or held is None:
                raise self._stolen(held)
        elif exclusive and held is not None and held.expires > self._now(run) and not held.dead:
            raise self._locked(held)

    def _whole(self) -> _Whole:
        return _Whole(self._place)


class _Whole:
    """Within it, whatever a damaged row leads to is one clear error."""

    def __init__(self, place: str) -> None:
        self._place = place

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Damaged):
            raise damaged(self._place, error.message.partition(": ")[2]) from None
        if isinstance(error, ValueError | TypeError | KeyError | IndexError | AttributeError):
            raise damaged(self._place, f"a row cannot be read ({error})") from error


def damaged(place: str, what: str) -> DamagedLedger:
    return DamagedLedger(
        f"the ledger {place} is damaged: {what}; restore it from a backup, or run reconciler state rebuild, which sets it aside"
    )


def newer(place: str, version: int) -> LedgerError:
    return LedgerError(
        f"the ledger {place} has format {version}, this version of reconciler knows {FORMAT}",
        next_step="pip install --upgrade broadcast-reconciler",
    )


def unmade(place: str) -> LedgerError:
    return LedgerError(f"there is no ledger at {place} yet, and this command makes none", next_step="reconciler apply")


def _facts(record: Held | Tombstone) -> dict[str, Any]:
    """The fields of a record, by name."""
    return {name: getattr(record, name) for name in record.__dataclass_fields__}


def check_version(row: Sequence[Any] | None, place: str) -> None:
    """Raises LedgerError unless the one row of schema_version names the format of this program."""
    version = row[0] if row else None
    if not isinstance(version, int) or version < 1:
        raise damaged(place, "it names no format")
    if version > FORMAT:
        raise newer(place, version)
