"""What a look-up makes of a write whose result is unknown, one row a case."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.model import Address, Entry, Intent, Match, Observed, Presence, Sealed, Secret, Stage, Verb, Window
from reconciler.settling import settle

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
HERE = Address("Thing", "one")
ENTRY = Entry(HERE, "default", "id-1", "identity", applied={"a": 1})
ABSENT = Observed(HERE, Presence.ABSENT)
LIVE = Observed(HERE, Presence.LIVE, "id-1", {"a": 2}, stage=Stage.WAITING, match=Match.LEDGER)
MARKED = replace(LIVE, match=Match.MARK)
TWIN = replace(LIVE, match=Match.TWIN)
ENDED = replace(LIVE, presence=Presence.ENDED, stage=Stage.ENDED)
UNKNOWN = Observed(HERE, Presence.UNKNOWN)
WINDOW = Window(NOW, NOW + timedelta(hours=1))
LONGER = Window(NOW, NOW + timedelta(hours=2))


def seal(secret: Secret) -> Sealed:
    return Sealed(secret.reveal(), "***")


def intent(verb: Verb, **more) -> Intent:
    return Intent("i1", HERE, "default", verb, "Call", "identity", more.pop("incarnation", 1), NOW, NOW + timedelta(seconds=75), **more)


@pytest.mark.parametrize(
    ("what", "seen", "entry", "early", "late"),
    [
        # verb, what is seen, the entry, (known, present) before the horizon, and after it
        (intent(Verb.CREATE), MARKED, None, (True, True), (True, True)),
        (intent(Verb.CREATE), ABSENT, None, (False, False), (True, False)),
        (intent(Verb.CREATE), TWIN, None, (False, False), (True, False)),
        (intent(Verb.CREATE), UNKNOWN, None, (False, False), (False, False)),
        (intent(Verb.CREATE, incarnation=2), ENDED, ENTRY, (False, False), (True, False)),
        (intent(Verb.DELETE), ABSENT, ENTRY, (True, False), (True, False)),
        (intent(Verb.DELETE), LIVE, ENTRY, (False, False), (True, True)),
        (intent(Verb.DELETE, target="id-9"), LIVE, ENTRY, (True, True), (True, True)),
        (intent(Verb.DELETE, target="id-9"), replace(LIVE, also=("id-9",)), ENTRY, (False, False), (True, True)),
        (intent(Verb.STOP), ENDED, ENTRY, (True, True), (True, True)),
        (intent(Verb.STOP), LIVE, ENTRY, (False, False), (True, True)),
        (intent(Verb.UPDATE, desired={"a": 2}), LIVE, ENTRY, (True, True), (True, True)),
        (intent(Verb.UPDATE, desired={"a": 3}), LIVE, ENTRY, (False, False), (True, True)),
        (intent(Verb.UPDATE, desired={"a": 2}), replace(LIVE, unread=frozenset({""})), ENTRY, (False, False), (True, True)),
        (intent(Verb.UPDATE, desired={"a": 2}, window=LONGER), replace(LIVE, window=WINDOW), ENTRY, (False, False), (True, True)),
        (intent(Verb.UPDATE, desired={"a": 2}, window=LONGER), replace(LIVE, window=LONGER), ENTRY, (True, True), (True, True)),
    ],
    ids=[
        "create seen", "create not seen", "a twin is not ours", "nor does silence", "the older incarnation proves nothing",
        "delete seen", "delete not seen", "a duplicate is gone", "a duplicate is still there", "stop seen", "stop not seen", "update seen", "update not seen", "update cannot be seen",
        "a longer window is not seen", "a longer window is seen",
    ],
)  # fmt: skip
def test_settle(what: Intent, seen: Observed, entry: Entry | None, early: tuple[bool, bool], late: tuple[bool, bool]) -> None:
    for now, expected in ((NOW, early), (what.horizon, late)):
        verdict = settle(what, seen, entry=entry, want=None, desired=what.desired, seal=seal, now=now)
        assert (verdict.known, verdict.present) == expected


@pytest.mark.parametrize(("hours", "known"), [(71, True), (73, False)])
def test_that_no_read_shows_what_began_long_ago_proves_nothing(hours: int, known: bool) -> None:
    old = replace(ENTRY, started=NOW - timedelta(hours=hours))
    what = intent(Verb.DELETE)
    verdict = settle(what, ABSENT, entry=old, want=None, desired=None, seal=seal, now=NOW, reach=timedelta(hours=72))
    assert verdict.known is known


def test_a_create_that_took_effect_becomes_an_entry_with_what_was_asked_for() -> None:
    verdict = settle(intent(Verb.CREATE, desired={"a": 1}), MARKED, entry=None, want=None, desired={"a": 1}, seal=seal, now=NOW)
    assert verdict.entry is not None
    assert (verdict.entry.id, verdict.entry.applied, verdict.entry.identity) == ("id-1", {"a": 1}, "identity")


# --- a replacement that is made before the old one is deleted ---------------------------------------------------------

OLD = replace(ENTRY, id="id-0", identity="before")
BOTH = replace(ENTRY, incarnation=2, former=OLD)
SEEN_OLD = replace(LIVE, id="id-0")


@pytest.mark.parametrize("create_first", [True, False])
def test_what_was_made_first_keeps_the_old_one_in_the_ledger(create_first: bool) -> None:
    what = intent(Verb.CREATE, incarnation=2)
    verdict = settle(what, MARKED, entry=OLD, want=None, desired=None, seal=seal, now=NOW, create_first=create_first)
    assert verdict.entry is not None
    assert (verdict.entry.id, verdict.entry.former) == ("id-1", OLD if create_first else None)


def test_what_was_not_made_leaves_the_old_one() -> None:
    what = intent(Verb.CREATE, incarnation=2)
    for now, known in ((NOW, False), (what.horizon, True)):
        verdict = settle(what, SEEN_OLD, entry=OLD, want=None, desired=None, seal=seal, now=now, create_first=True)
        assert (verdict.known, verdict.present, verdict.entry) == (known, False, OLD)


@pytest.mark.parametrize(
    ("target", "seen", "early", "late"),
    [
        # whose deletion has no known result, what is seen, (known, the id the ledger then has, the one it is to replace)
        ("id-0", LIVE, (True, "id-1", "id-0"), (True, "id-1", "id-0")),
        ("id-0", SEEN_OLD, (True, "id-1", "id-0"), (True, "id-1", "id-0")),
        ("id-1", LIVE, (False, "id-1", "id-0"), (True, "id-1", "id-0")),
        ("id-1", SEEN_OLD, (True, "id-0", ""), (True, "id-0", "")),
        ("id-1", ABSENT, (True, "id-0", ""), (True, "id-0", "")),
        ("id-1", UNKNOWN, (False, "id-1", "id-0"), (True, "id-1", "id-0")),
    ],
    ids=["the old one's", "and it is seen", "the new one's", "and only the old one is seen", "and neither is seen", "and nothing is known"],
)
def test_a_deletion_while_the_ledger_has_two(
    target: str, seen: Observed, early: tuple[bool, str, str], late: tuple[bool, str, str]
) -> None:
    what = intent(Verb.DELETE, target=target)
    for now, expected in ((NOW, early), (what.horizon, late)):
        verdict = settle(what, seen, entry=BOTH, want=None, desired=None, seal=seal, now=now, create_first=True)
        assert verdict.entry is not None
        assert (verdict.known, verdict.entry.id, verdict.entry.former.id if verdict.entry.former else "") == expected
