"""What we own, what was last applied, which writes have no known result, and who may write: one contract, two stores.

A write to a vendor is journalled before it is sent and confirmed in one transaction with the entry. Secrets are kept as keyed
digests only. The lock is a lease with an epoch: whoever lost it can no longer write here, however late it wakes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from reconciler.errors import LedgerError, UsageError
from reconciler.frozen import frozen
from reconciler.ledger.holder import Held
from reconciler.model import Address, Clock, Entry, Intent, Sealed, Secret, Values

__all__ = ["Held", "Lease", "Ledger", "Tombstone", "open_ledger"]


@frozen
class Tombstone:
    """An object that was deleted. Until `until` a late request may still bring its like to life: what carries `identity` is swept."""

    address: Address
    account: str
    identity: str
    id: str
    until: datetime


class Lease:
    """The right to write. As a context manager it gives the lock back at the end, also when it was stolen meanwhile."""

    def __init__(
        self, held: Held, epoch: int, *, ends: float, clock: Clock, renew: Callable[[Lease], float], release: Callable[[Lease], None]
    ):
        self.held = held
        self.epoch = epoch
        self._ends = ends
        self._clock = clock
        self._renew = renew
        self._release = release

    @property
    def remaining(self) -> float:
        """Seconds of the lease that are left by the monotonic clock; negative when it has run out."""
        return self._ends - self._clock.monotonic()

    def renew(self) -> None:
        """A full lease from now on. Raises Stale when the lock was taken over."""
        self._ends = self._renew(self)

    def release(self) -> None:
        """Gives the lock back. Does nothing when it is no longer ours."""
        self._release(self)

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.release()


class Ledger(Protocol):
    """One workspace's memory. Thread safe. Every write is durable when the method returns.

    All methods raise LedgerError when the store cannot be read or written. `begin`, `confirm`, `reject` and `unknown` raise Stale when
    the lease was taken over. While an instance holds a lease, all its other writes are fenced by it too; without one, `put`, `remove`,
    `move` and `use_plan` raise LockHeld while somebody else holds the lock, and `settle`, `set_note` and `record` are allowed.

    Opened with `create=False` where there is nothing yet, a ledger is an empty view: every read answers, secrets are sealed with a key
    that lives as long as the view, `kept` is False, `lineage` is empty, `serial` 0, and every write raises LedgerError. So `plan` on a
    fresh clone leaves no trace; what must outlive the run (a saved plan under `key`) needs `create=True`.
    """

    @property
    def kept(self) -> bool:
        """Whether writes are possible: False for the empty view."""
        ...

    @property
    def lineage(self) -> str:
        """A UUID drawn when the workspace's ledger was made: two ledgers with one lineage are copies of one another."""
        ...

    @property
    def serial(self) -> int:
        """Grows with every change of entries and intents; locks, notes, history and used plans don't count."""
        ...

    @property
    def key(self) -> bytes:
        """32 random bytes drawn with the lineage, for keyed digests. Never shown, never logged."""
        ...

    # what is never written down in clear

    def seal(self, secret: Secret) -> Sealed:
        """A keyed digest (16 hex digits), and what may be shown. An unresolved secret has an empty digest."""
        ...

    def seal_values(self, values: Values) -> dict[str, Any]:
        """`values` as a JSON-able tree without secrets: {"$sealed": digest, "shown": ...}, {"$at": RFC 3339} for an instant."""
        ...

    def open_values(self, tree: Mapping[str, Any]) -> dict[str, Any]:
        """The inverse: canonical values whose secrets are Sealed. Values that are open already come back equal."""
        ...

    # what we own

    def entries(self) -> dict[Address, Entry]:
        """All of the workspace. `applied` is canonical values (secrets Sealed), parsed when first looked at."""
        ...

    def entry(self, address: Address) -> Entry | None: ...

    def put(self, entry: Entry) -> None:
        """Writes or overwrites. `applied` may be canonical values, Secrets included, or what `seal_values` made of them."""
        ...

    def remove(self, address: Address) -> None:
        """No entry is no error."""
        ...

    def move(self, old: Address, new: Address) -> None:
        """Renames an entry. Raises LedgerError when `old` has none, or `new` has one already; done already is no error."""
        ...

    # who may write

    def acquire(self, holder: str, *, timeout: float) -> Lease:
        """Takes the lock, waiting up to `timeout` seconds: raises the epoch by compare-and-swap in a durable write.

        The lock of a process of this machine that died is taken over at once, any other when its lease has run out.
        Raises LockHeld, naming the holder.
        """
        ...

    def busy(self) -> bool:
        """Whether another run holds the lock now."""
        ...

    def held(self) -> Held | None:
        """Who holds the lock, however long its lease has run out."""
        ...

    def force_unlock(self) -> Held | None:
        """Frees the lock and raises the epoch, so that its holder can write nothing more here. Returns who held it."""
        ...

    # writes on their way

    def new_id(self) -> str:
        """A name for an intent; later ones sort later."""
        ...

    def begin(self, lease: Lease, intent: Intent) -> None:
        """To be called before the request is sent. The same id again updates it (sent again, another horizon).

        Raises LedgerError when another intent of the address is open: its result must be settled first.
        """
        ...

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
        """The vendor said yes: in one transaction closes the intent, puts `entry` or removes the address's, and sets the tombstone.

        Also right for an intent that somebody settled meanwhile: the vendor's own answer is worth more than a look-up.
        """
        ...

    def reject(self, lease: Lease, intent_id: str, reason: str) -> None:
        """The vendor said no, nothing changed there: closes the intent."""
        ...

    def unknown(self, lease: Lease, intent_id: str, reason: str) -> None:
        """No answer tells what became of it: it stays open, with `reason` as its note."""
        ...

    def settle(
        self,
        intent_id: str,
        *,
        present: bool,
        entry: Entry | None = None,
        remove: bool = False,
        tombstone: Tombstone | None = None,
    ) -> bool:
        """Closes an open intent after a look-up, and puts `entry` or removes the address's.

        False, and nothing written, when it was closed already.
        """
        ...

    def open_intents(self) -> list[Intent]:
        """Those without a known result, oldest first. After a kill this is what may or may not have happened."""
        ...

    def tombstones(self) -> list[Tombstone]:
        """Those whose time is not over."""
        ...

    # plans, runs, notes

    def use_plan(self, plan_id: str) -> None:
        """Raises Stale when it was used before."""
        ...

    def record(self, run: Mapping[str, Any]) -> None:
        """Appends a run to the history, which nothing changes later. Leaves as in Values, and None."""
        ...

    def history(self, limit: int = 20) -> list[dict[str, Any]]:
        """The latest runs, newest first."""
        ...

    def note(self, key: str) -> Any:
        """A small fact kept by `set_note`, or None."""
        ...

    def set_note(self, key: str, value: Any) -> None:
        """Leaves as in Values; None forgets it."""
        ...

    def close(self) -> None:
        """May be called twice. An unreleased lease runs out by itself."""
        ...


def open_ledger(url_or_path: str, *, root: Path, workspace: str, clock: Clock, create: bool) -> Ledger:
    """The ledger of one workspace: a file (a path relative to `root`), or a database (`postgresql://user@host/database`).

    One store may hold many workspaces. Raises LedgerError when it is damaged, newer than this program, out of reach, or in a place that
    cannot be written; UsageError for a URL of another kind.
    """
    scheme, separator, _ = url_or_path.partition("://")
    if separator and scheme in ("postgresql", "postgres"):
        try:
            from reconciler.ledger.postgres import open_postgres
        except ImportError as missing:
            raise LedgerError(
                f"a ledger in PostgreSQL needs the driver psycopg: {missing}", next_step="pip install 'broadcast-reconciler[postgres]'"
            ) from None
        return open_postgres(url_or_path, workspace=workspace, clock=clock, create=create)
    if separator:
        raise UsageError(f"state: {scheme}:// is no place for a ledger; use a file's path or postgresql://user@host/database")
    from reconciler.ledger.sqlite import open_sqlite

    return open_sqlite(root / url_or_path, workspace=workspace, clock=clock, create=create)
