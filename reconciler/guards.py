"""Is this plan too dangerous to carry out without a person? Pure: returns the reasons, each with the flags that allow it; none means go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from reconciler.frozen import frozen
from reconciler.model import Action, Change, Need, Presence
from reconciler.scalars import counted


@frozen
class Limits:
    """`max_delete` is a share (float) of what is owned, in force from `floor` objects on, or a number of objects (int).

    `max_off_air` is in seconds; None is no limit.
    """

    max_delete: float | int = 0.3
    floor: int = 10
    max_off_air: float | None = None


def reasons(changes: Sequence[Change], *, owned: int, limits: Limits, allow_delete: int | None = None, destroy: bool = False) -> list[Need]:
    """Why a person must decide first. `owned` counts the workspace's live objects; `allow_delete` is what the person allowed."""
    found = []
    deletions = sum(change.action is Action.DELETE for change in changes)
    if not destroy:
        allowed = allow_delete if allow_delete is not None else _most(owned, limits)
        if deletions > allowed:
            share = f"{deletions} of the {counted(owned, 'object')} this workspace owns"
            flags = f"--allow-delete {deletions}"
            found.append(Need(f"it would delete {share}, more than {allowed}; allow it with {flags}", flags))
    if limits.max_off_air is not None:
        lost = sum(change.off_air for change in changes if change.writes)
        if lost > limits.max_off_air:
            found.append(Need(f"it would cost {lost:.0f} s of air, more than guards.maxOffAir of {limits.max_off_air:.0f} s"))
    return found


def _most(owned: int, limits: Limits) -> int:
    if isinstance(limits.max_delete, int):
        return limits.max_delete
    return int(owned * limits.max_delete) if owned >= limits.floor else owned


def refusals(changes: Sequence[Change]) -> list[Need]:
    """Changes whose manifests say that touching them on air fails the whole plan."""
    needs = ((change, change.needs or Need("a person who decides")) for change in changes if change.refused)
    return [need._replace(text=f"{change.address}: {change.reason}; needs {need}") for change, need in needs]


_RECREATE = "--allow-recreate"


def shrunken(changes: Sequence[Change], *, owned: Mapping[str, int], limits: Limits) -> list[Need]:
    """A vendor that no longer shows half of what we own has cut its list short, or it is another account: nothing is made again then.

    `owned` counts the live objects that the ledger knows, by kind; kinds with fewer than `limits.floor` are not looked at.
    """
    gone = Counter(
        change.address.kind
        for change in changes
        if change.entry and not change.entry.ended and change.observed and change.observed.presence is Presence.ABSENT
    )
    return [
        Need(
            f"the vendor shows only {owned[kind] - count} of the {owned[kind]} {kind} objects that this workspace owns; "
            f"if the others are really gone, allow it with {_RECREATE}",
            _RECREATE,
        )
        for kind, count in sorted(gone.items())
        if owned.get(kind, 0) >= limits.floor and count * 2 > owned[kind]
    ]


def vanished(*, wanted: int, owned: int, files: int) -> list[Need]:
    """A project whose last manifest is gone is a mistake far more often than a wish."""
    if wanted or not owned or not files:
        return []
    text = f"no manifest declares anything and this workspace owns {counted(owned, 'object')}; to delete them all, use reconciler destroy"
    return [Need(text, command="reconciler plan --destroy")]


def remedy(needs: Iterable[Need], verb: str = "apply") -> str:
    """The command that does what the reasons of a guard, or blocked changes, ask for; "" where it takes an edit.

    `verb` is what was stopped: after a destroy, an apply would make everything again.
    """
    flags: dict[str, None] = {}
    for need in needs:
        if need.command:
            return need.command
        flags |= dict.fromkeys([need.flags] if need.flags else [])
    return f"reconciler {verb} {' '.join(flags)}" if flags else ""
