"""How the ledger writes things down: JSON text in which secrets are keyed digests and instants are UTC, each text under a checksum.

A database checks its structure, not what its cells say; the checksum makes a flipped bit an error instead of a wrong decision.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from zlib import crc32

from reconciler.errors import LedgerError
from reconciler.model import Address, Entry, Intent, OnAirChange, Seal, Sealed, Secret, Values, Verb, Window

_SUM = 8
_compact = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode
_loads = json.loads
_scan = json.JSONDecoder().raw_decode
_at = datetime.fromisoformat


# --- secrets and instants ---------------------------------------------------------------------------------------------


def digest(key: bytes, text: str) -> str:
    """First 16 hex digits of HMAC-SHA256."""
    return hmac.digest(key, text.encode("utf-8", "surrogatepass"), "sha256").hex()[:16]


class SealedTree(dict[str, Any]):
    """What `sealed_tree` made: JSON-able, holds no secret, and is not sealed a second time."""


class Remembered(Mapping[str, Any]):
    """Canonical values that are checked and parsed when somebody first looks at them: most entries of a plan are never looked at.

    Raises Damaged on that first look.
    """

    __slots__ = ("_sum", "_text", "_values")

    def __init__(self, text: str, sum: str) -> None:
        self._text = text
        self._sum = sum
        self._values: dict[str, Any] | None = None

    @property
    def text(self) -> str:
        if checksum(self._text) != self._sum:
            raise Damaged("what was applied")
        return self._text

    def _opened(self) -> dict[str, Any]:
        if self._values is None:
            self._values = opened(_loads(self.text))
        return self._values

    def __getitem__(self, key: str) -> Any:
        return self._opened()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._opened())

    def __len__(self) -> int:
        return len(self._opened())

    def __repr__(self) -> str:
        return repr(self._opened())


def sealed_tree(values: Values, seal: Seal) -> SealedTree:
    """`values` as JSON-able tree: a secret is {"$sealed": digest, "shown": ...}, an instant {"$at": RFC 3339}.

    Other keys that begin with `$` get a second one. Raises TypeError for what no manifest can hold, ValueError for a naive instant.
    """
    if isinstance(values, SealedTree):
        return values
    if isinstance(values, Remembered):
        return SealedTree(_loads(values.text))
    return SealedTree({_escaped(key): _sealed(item, seal) for key, item in values.items()})


def _sealed(value: Any, seal: Seal) -> Any:
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Secret):
        value = seal(value)
    if isinstance(value, Sealed):
        return {"$sealed": value.digest, "shown": value.shown}
    if isinstance(value, datetime):
        return {"$at": instant(value)}
    if isinstance(value, Mapping):
        return {_escaped(key): _sealed(item, seal) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_sealed(item, seal) for item in value]
    raise TypeError(f"the ledger cannot keep a {type(value).__name__}")


def opened(tree: Any) -> Any:
    """The inverse of `sealed_tree`, with Sealed where a secret was. What is open already stays as it is."""
    if isinstance(tree, Remembered | Sealed):
        return tree
    if isinstance(tree, Mapping):
        if "$sealed" in tree:
            return Sealed(tree["$sealed"], tree["shown"])
        if "$at" in tree:
            return _at(tree["$at"])
        return {(key[1:] if key.startswith("$$") else key): opened(item) for key, item in tree.items()}
    if isinstance(tree, list):
        return [opened(item) for item in tree]
    return tree


def _escaped(key: str) -> str:
    return "$" + key if key.startswith("$") else key


def instant(at: datetime) -> str:
    """RFC 3339 in UTC, to the microsecond; such texts sort by time."""
    if at.tzinfo is None:
        raise ValueError(f"{at} has no offset")
    return at.astimezone(UTC).isoformat(timespec="microseconds")


# --- checksums --------------------------------------------------------------------------------------------------------


def checksum(text: str) -> str:
    return f"{crc32(text.encode('utf-8', 'surrogatepass')):08x}"


def checked(place: str, text: str) -> str:
    """`text` under a checksum that also covers where it stands."""
    return checksum(place + text) + text


def unchecked(place: str, cell: Any) -> str:
    """The text within `cell`. Raises Damaged when it is not what was written at this place."""
    if not isinstance(cell, str) or cell[:_SUM] != checksum(place + cell[_SUM:]):
        raise Damaged(place)
    return cell[_SUM:]


class Damaged(LedgerError):
    """Something is not what was written."""

    def __init__(self, place: str) -> None:
        super().__init__(f"the ledger is damaged: {place} is not what was written; restore the ledger from a backup")


def note_cell(place: str, value: Any, seal: Seal) -> str:
    """Any value that a manifest could hold, as a checked cell."""
    return checked(place, _compact(_sealed(value, seal)))


def note_value(place: str, cell: Any) -> Any:
    """Raises Damaged."""
    return opened(_loads(unchecked(place, cell)))


# --- entries and intents ----------------------------------------------------------------------------------------------


def _values_text(values: Values, seal: Seal) -> str:
    return values.text if isinstance(values, Remembered) else _compact(sealed_tree(values, seal))


def entry_cells(entry: Entry, seal: Seal) -> tuple[str, int, str]:
    """(body, its checksum, applied). The body is a list, for a plan reads all of them; what most entries lack is named in the last item."""
    applied = _values_text(entry.applied, seal) if entry.applied is not None else ""
    rest: dict[str, Any] = {flag: True for flag in ("protect", "retain", "ended") if getattr(entry, flag)}
    if entry.incarnation != 1:
        rest["incarnation"] = entry.incarnation
    if entry.started is not None:
        rest["started"] = instant(entry.started)
    if entry.on_air_change is not OnAirChange.DEFER:
        rest["on_air_change"] = entry.on_air_change.value
    if entry.depends_on:
        rest["depends_on"] = [list(address) for address in entry.depends_on]
    if entry.former is not None:
        rest["former"] = entry_cells(entry.former, seal)
    body = [
        *entry.address,
        entry.account,
        entry.id,
        entry.identity,
        instant(entry.changed) if entry.changed else None,
        *(_window_pair(entry.window) if entry.window else (None, None)),
        checksum(applied) if applied else "",
        rest or 0,
    ]
    text = _compact(body)
    return text, crc32(text.encode()), applied


def entry_of(body: str, sum: int, applied: str) -> Entry:
    """Raises Damaged."""
    # a plan comes through here once for each of perhaps 100,000 entries
    if crc32(body.encode()) != sum or not isinstance(applied, str):
        raise Damaged("an entry")
    kind, name, occurrence, account, id, identity, changed, start, end, applied_sum, rest = _scan(body, 0)[0]
    entry = Entry(
        Address(kind, name, occurrence),
        account,
        id,
        identity,
        1,
        Remembered(applied, applied_sum) if applied_sum else None,
        Window(_at(start), _at(end) if end else None) if start else None,
        None,
        _at(changed) if changed else None,
    )
    return replace(entry, **_rest(rest)) if rest else entry


def _rest(rest: dict[str, Any]) -> dict[str, Any]:
    if "started" in rest:
        rest["started"] = _at(rest["started"])
    if "on_air_change" in rest:
        rest["on_air_change"] = OnAirChange(rest["on_air_change"])
    if "depends_on" in rest:
        rest["depends_on"] = tuple(Address(*names) for names in rest["depends_on"])
    if "former" in rest:
        rest["former"] = entry_of(*rest["former"])
    return rest


def intent_body(intent: Intent, state: str, seal: Seal, *, request_id: str = "") -> str:
    """A checked cell; `state` is the column beside it."""
    facts: dict[str, Any] = {
        "account": intent.account,
        "verb": intent.verb.value,
        "action": intent.action,
        "identity": intent.identity,
        "incarnation": intent.incarnation,
        "sent": instant(intent.sent),
        "horizon": instant(intent.horizon),
    }
    if intent.target:
        facts["target"] = intent.target
    if intent.desired is not None:
        facts["desired"] = _values_text(intent.desired, seal)
    if intent.window is not None:
        facts["window"] = _window_pair(intent.window)
    if intent.note:
        facts["note"] = intent.note
    if request_id:
        facts["requestId"] = request_id
    return checked(_intent_place(intent.id, intent.address, state), _compact(facts))


def intent_of(id: str, address: Address, state: str, body: Any) -> Intent:
    """Raises Damaged."""
    facts = _loads(unchecked(_intent_place(id, address, state), body))
    return Intent(
        id=id,
        address=address,
        account=facts["account"],
        verb=Verb(facts["verb"]),
        action=facts["action"],
        identity=facts["identity"],
        incarnation=facts["incarnation"],
        sent=_at(facts["sent"]),
        horizon=_at(facts["horizon"]),
        target=facts.get("target", ""),
        desired=Remembered(facts["desired"], checksum(facts["desired"])) if "desired" in facts else None,
        window=_window_of(facts["window"]) if "window" in facts else None,
        note=facts.get("note", ""),
    )


def _intent_place(id: str, address: Address, state: str) -> str:
    return f"intent {id} of {address}, {state}"


def _window_pair(window: Window) -> list[str | None]:
    return [instant(window.start), instant(window.end) if window.end else None]


def _window_of(pair: list[Any]) -> Window:
    return Window(_at(pair[0]), _at(pair[1]) if pair[1] else None)
