"""Desired against observed: `==` first, then a walk over the declared fields. Lists are compared as wholes.

What the vendor's read does not tell is compared with what the ledger says was last applied.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from reconciler.model import Evidence, FieldChange, Seal, Sealed, Secret, Url, Values

_ABSENT: Any = object()


def differences(
    want: Values, live: Values, *, seal: Seal, unread: Collection[str] = (), applied: Values | None = None, root: str = "spec"
) -> list[FieldChange]:
    """Every manifest path at which `want` differs from what is known of the live object, in the order of `want`.

    Paths in `unread` are compared with `applied`, the ledger's record, and carry its evidence; without a record they count as equal.
    """
    if not unread and (want is live or want == live):
        return []
    found: list[FieldChange] = []
    if "" in unread:
        if applied is not None:
            _walk(root, want, applied, found, seal, Evidence.LEDGER, (), None)
        return found
    _walk(root, want, live, found, seal, Evidence.LIVE, frozenset(f"{root}.{path}" for path in unread), applied)
    return found


def _walk(
    path: str,
    want: Values,
    live: Values,
    found: list[FieldChange],
    seal: Seal,
    evidence: Evidence,
    unread: Collection[str],
    applied: Values | None,
) -> None:
    for key in [*want, *(key for key in live if key not in want), *_unread_below(path, unread, want, live)]:
        here = f"{path}.{key}"
        mine = want.get(key, _ABSENT)
        theirs = live.get(key, _ABSENT)
        record = _at(applied, key)
        weight = evidence
        if here in unread:
            if applied is None:
                continue
            theirs, weight = record, Evidence.LEDGER
        if isinstance(mine, Mapping) and isinstance(theirs, Mapping):
            if mine == theirs and not any(name.startswith(here + ".") for name in unread):
                continue
            _walk(here, mine, theirs, found, seal, weight, unread, record if isinstance(record, Mapping) else None)
        elif not same(mine, theirs, seal):
            found.append(FieldChange(here, *_shown(theirs, mine, seal), evidence=weight))


def _unread_below(path: str, unread: Collection[str], want: Values, live: Values) -> list[str]:
    """Unread keys of this level that neither side names: a removed field that only the ledger still knows."""
    prefix = path + "."
    names = {name[len(prefix) :].split(".", 1)[0] for name in unread if name.startswith(prefix)}
    return sorted(name for name in names if name not in want and name not in live)


def _at(tree: Values | None, key: str) -> Any:
    return tree.get(key, _ABSENT) if tree is not None else _ABSENT


def same(mine: Any, theirs: Any, seal: Seal) -> bool:
    """Equal for our purposes: floats within a millionth (vendors keep float32), secrets by text or by digest."""
    if mine is theirs:
        return True
    if isinstance(mine, Secret | Sealed) or isinstance(theirs, Secret | Sealed):
        if isinstance(mine, Secret) and isinstance(theirs, Secret):
            return mine == theirs
        return isinstance(mine, Secret | Sealed) and isinstance(theirs, Secret | Sealed) and _digest(mine, seal) == _digest(theirs, seal)
    if isinstance(mine, list) and isinstance(theirs, list):
        return len(mine) == len(theirs) and all(same(a, b, seal) for a, b in zip(mine, theirs, strict=True))
    if isinstance(mine, Mapping) and isinstance(theirs, Mapping):
        return mine.keys() == theirs.keys() and all(same(mine[key], theirs[key], seal) for key in mine)
    if isinstance(mine, float) or isinstance(theirs, float):
        if not isinstance(mine, int | float) or not isinstance(theirs, int | float):
            return False
        return math.isclose(mine, theirs, rel_tol=1e-6, abs_tol=1e-6)
    return bool(mine == theirs)


def _digest(secret: Secret | Sealed, seal: Seal) -> str:
    return secret.digest if isinstance(secret, Sealed) else seal(secret).digest


def _shown(before: Any, after: Any, seal: Seal) -> tuple[Any, Any]:
    """Both sides with every secret sealed, so that nothing behind this line can leak one."""
    if isinstance(before, Url) and isinstance(after, Url) and before.known:
        return Sealed(seal(before).digest, before.masked_like(after)), sealed(after, seal)
    return (None if before is _ABSENT else sealed(before, seal)), (None if after is _ABSENT else sealed(after, seal))


def sealed(value: Any, seal: Seal) -> Any:
    """`value` with every Secret replaced by its Sealed form."""
    if isinstance(value, Secret):
        return seal(value)
    if isinstance(value, Mapping):
        return {key: sealed(item, seal) for key, item in value.items()}
    if isinstance(value, list):
        return [sealed(item, seal) for item in value]
    return value


def filled(live: Values, *, unread: Collection[str], applied: Values | None) -> Values:
    """What is known of the live object: the read, completed at the unread paths from the ledger's record."""
    if applied is None or not unread:
        return live
    if "" in unread:
        return applied
    whole: dict[str, Any] = dict(live)
    for path in unread:
        *above, last = path.split(".")
        source: Any = applied
        for key in above:
            source = source.get(key) if isinstance(source, Mapping) else None
        if not isinstance(source, Mapping) or last not in source:
            continue
        target = whole
        for key in above:
            target[key] = dict(target.get(key) or {})
            target = target[key]
        target[last] = source[last]
    return whole
