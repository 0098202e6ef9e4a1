"""What is written down comes back, and no bit of it may change unnoticed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from reconciler.ledger import codec
from reconciler.model import Sealed, Secret, Url
from tests.ledger.conftest import NOON
from tests.ledger.things import VALUES, an_entry


def seal(secret: Secret) -> Sealed:
    return Sealed(codec.digest(b"key", secret.reveal()), secret.shown)


def with_seals(value: Any) -> Any:
    """What `opened(sealed_tree(value))` ought to be."""
    if isinstance(value, Secret):
        return seal(value)
    if isinstance(value, Mapping):
        return {key: with_seals(item) for key, item in value.items()}
    if isinstance(value, list):
        return [with_seals(item) for item in value]
    return value


TEXTS = some.text(some.characters(codec=None), max_size=20)  # lone surrogates and NUL included
KEYS = TEXTS | some.sampled_from(["$at", "$sealed", "$$at", "$", "shown"])
OFFSETS = some.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
INSTANTS = some.datetimes(datetime(1970, 1, 2), datetime(2999, 1, 1), timezones=OFFSETS)
LEAVES = TEXTS | some.integers() | some.floats(allow_nan=False) | some.booleans() | INSTANTS | TEXTS.map(Secret) | TEXTS.map(Url)
TREES = some.recursive(LEAVES, lambda inner: some.lists(inner, max_size=4) | some.dictionaries(KEYS, inner, max_size=4), max_leaves=20)


@given(some.dictionaries(KEYS, TREES, max_size=5))
def test_values_come_back(values: dict[str, Any]) -> None:
    tree = codec.sealed_tree(values, seal)
    assert codec.opened(json.loads(json.dumps(tree))) == with_seals(values)
    assert codec.sealed_tree(tree, seal) is tree
    entry = codec.entry_of(*codec.entry_cells(an_entry(applied=values), seal))
    assert entry == an_entry(applied=with_seals(values))
    assert codec.entry_cells(entry, seal) == codec.entry_cells(an_entry(applied=tree), seal)


def test_what_was_applied_is_a_mapping_like_any_other() -> None:
    applied = codec.entry_of(*codec.entry_cells(an_entry(applied={"a": 1, "b": [2]}), seal)).applied
    assert applied is not None
    assert (len(applied), list(applied), applied["b"], dict(applied)) == (2, ["a", "b"], [2], {"a": 1, "b": [2]})
    assert repr(applied) == "{'a': 1, 'b': [2]}"


def test_the_written_form() -> None:
    tree = codec.sealed_tree({"a": Secret("s", reference="env:A"), "b": datetime(2026, 12, 1, 8, tzinfo=UTC), "$c": [1]}, seal)
    digest = codec.digest(b"key", "s")
    assert tree == {"a": {"$sealed": digest, "shown": "(env:A)"}, "b": {"$at": "2026-12-01T08:00:00.000000+00:00"}, "$$c": [1]}


@pytest.mark.parametrize(("value", "error"), [(object(), TypeError), (b"x", TypeError), (NOON.replace(tzinfo=None), ValueError)])
def test_what_no_manifest_can_hold_is_refused(value: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        codec.sealed_tree({"a": [value]}, seal)


@given(some.data())
def test_a_flipped_bit_never_passes(data: some.DataObject) -> None:
    body, sum, applied = codec.entry_cells(an_entry(applied=VALUES), seal)
    whole = (body + applied).encode()
    bit = data.draw(some.integers(0, len(whole) * 8 - 1))
    flipped = bytearray(whole)
    flipped[bit // 8] ^= 1 << bit % 8
    text = flipped.decode("utf-8", "replace")
    with pytest.raises(codec.Damaged):
        dict(codec.entry_of(text[: len(body)], sum, text[len(body) :]).applied or {})


def test_a_damaged_record_is_not_written_again() -> None:
    body, sum, applied = codec.entry_cells(an_entry(applied=VALUES), seal)
    entry = codec.entry_of(body, sum, applied.replace("http", "hxxp"))
    with pytest.raises(codec.Damaged):
        codec.entry_cells(entry, seal)
