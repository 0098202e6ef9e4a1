"""The numbered places at which a run may be killed, so that tests can kill it at every one. In production nothing happens here."""

from __future__ import annotations

from collections.abc import Callable

POINTS = (
    "ledger.acquire.before",
    "ledger.acquire.after",
    "ledger.begin.before",
    "ledger.begin.after",
    "engine.create",
    "courier.sent",
    "courier.unknown",
    "courier.rejected",
    "courier.answered",
    "ledger.confirm.before",
    "ledger.confirm.after",
    "ledger.reject.before",
    "ledger.reject.after",
    "ledger.unknown.before",
    "ledger.unknown.after",
    "ledger.settle.before",
    "ledger.settle.after",
    "ledger.put.before",
    "ledger.put.after",
    "ledger.remove.before",
    "ledger.remove.after",
    "ledger.move.before",
    "ledger.move.after",
    "ledger.note.before",
    "ledger.note.after",
    "ledger.plan.before",
    "ledger.plan.after",
    "ledger.record.before",
    "ledger.record.after",
    "ledger.release.before",
    "ledger.release.after",
)
"""`before`: the transaction is complete but not committed; a kill here undoes it. `after`: it is durable."""

hook: Callable[[str], None] | None = None
"""What a test puts here is told the name of each point as it is passed; what it raises flies through."""


def point(name: str) -> None:
    """Raises LookupError, under a test's hook only, for a name that POINTS does not list."""
    if hook is None:
        return
    if name not in POINTS:
        raise LookupError(f"{name} is no crash point; add it to POINTS")
    hook(name)
