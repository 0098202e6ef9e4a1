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
        (intent(Verb.CREATE), replace(MARKED, presence=Presence.UNKNOWN), None, (False, False), (False, False)),
        (intent(Verb.CREATE, incarnation=2), ENDED, ENTRY, (False, False), (True, False)),
        (intent(Verb.CREATE), LIVE, ENTRY, (True, True), (True, True)),
        (intent(Verb.DELETE), ABSENT, ENTRY, (True, False), (True, False)),
        (intent(Verb.DELETE), LIVE, ENTRY, (False, False), (True, True)),
        (intent(Verb.DELETE, target="id-9"), ABSENT, None, (True, False), (True, False)),
        (intent(Verb.DELETE, target="id-9"), LIVE, ENTRY, (True, True), (True, True)),
        (intent(Verb.DELETE, target="id-9"), replace(LIVE, also=("id-9",)), ENTRY, (False, False), (True, True)),
        (intent(Verb.STOP), ENDED, ENTRY, (True, True), (True, True)),
        (intent(Verb.STOP), LIVE, ENTRY, (False, False), (True, True)),
        (intent(Verb.UPDATE, desired={"a": 2}), LIVE, ENTRY, (True, True), (True, True)),
        (intent(Verb.UPDATE, desired={"a": 3}), LIVE, ENTRY, (False, False), (True, True)),
        (intent(Verb.UPDATE, desired={"a": 2}), replace(LIVE, unread=frozenset({""})), ENTRY, (False, False), (True, True)),
        (intent(Verb.UPDATE), LIVE, ENTRY, (False, False), (True, True)),
        (intent(Verb.UPDATE, desired={"a": 2}), LIVE, None, (False, False), (True, True)),
        (intent(Verb.UPDATE, desired={"a": 2}), replace(LIVE, window=WINDOW), ENTRY, (True, True), (True, True)),
        (intent(Verb.UPDATE, desired={"a": 2}, window=LONGER), LIVE, ENTRY, (True, True), (True, True)),
        (intent(Verb.UPDATE, desired={"a": 2}, window=LONGER), replace(LIVE, window=WINDOW), ENTRY, (False, False), (True, True)),
        (intent(Verb.UPDATE, desired={"a": 2}, window=LONGER), replace(LIVE, window=LONGER), ENTRY, (True, True), (True, True)),
    ],
    ids=[
        "create seen", "create not seen", "a twin is not ours", "nor does silence", "nor a mark that cannot be read",
        "the older incarnation proves nothing", "what the ledger has already", "delete seen", "delete not seen", "no entry to delete",
        "a duplicate is gone", "a duplicate is still there", "stop seen", "stop not seen", "update seen", "update not seen",
        "update cannot be seen", "nobody knows what was asked for", "nor whose it is", "no window was sent", "no window is told",
        "a longer window is not seen", "a longer window is seen",
    ],
)  # fmt: skip
def test_settle(what: Intent, seen: Observed, entry: Entry | None, early: tuple[bool, bool], late: tuple[bool, bool]) -> None:
    for now, expected in ((NOW, early), (what.horizon, late)):
        verdict = settle(what, seen, entry=entry, want=None, desired=what.desired, seal=seal, now=now)
        assert (verdict.known, verdict.present) == expected
        assert verdict.gone == ("identity" if expected == (True, False) else "")


@pytest.mark.parametrize(
    ("what", "seen", "entry", "left"),
    [
        # verb, what is seen, the entry, the entry that is left
        pytest.param(intent(Verb.STOP), ENDED, ENTRY, replace(ENTRY, ended=True), id="stopped for good"),
        pytest.param(intent(Verb.STOP), ABSENT, ENTRY, replace(ENTRY, ended=True), id="stopped, and gone"),
        pytest.param(intent(Verb.STOP), replace(LIVE, stage=Stage.STOPPED), ENTRY, ENTRY, id="stopped, to be continued"),
        pytest.param(intent(Verb.STOP), ENDED, None, None, id="stopped, and nobody's"),
        pytest.param(intent(Verb.UPDATE, desired={"a": 2}), LIVE, ENTRY, replace(ENTRY, applied={"a": 2}), id="updated"),
        pytest.param(
            intent(Verb.UPDATE, desired={"a": 2}, window=LONGER), LIVE, replace(ENTRY, window=WINDOW),
            replace(ENTRY, applied={"a": 2}, window=LONGER), id="moved",
        ),
        pytest.param(
            intent(Verb.UPDATE, desired={"a": 2}), LIVE, replace(ENTRY, window=WINDOW), replace(ENTRY, applied={"a": 2}, window=WINDOW), id="not moved"
        ),
    ],
)  # fmt: skip
def test_what_is_left_in_the_ledger(what: Intent, seen: Observed, entry: Entry | None, left: Entry | None) -> None:
    verdict = settle(what, seen, entry=entry, want=None, desired=what.desired, seal=seal, now=NOW)
    assert (verdict.known, verdict.entry) == (True, left)


@pytest.mark.parametrize(
    ("verb", "seen", "started", "reach", "known"),
    [
        pytest.param(Verb.DELETE, ABSENT, NOW - timedelta(hours=72), timedelta(hours=72), True, id="just within reach"),
        pytest.param(Verb.DELETE, ABSENT, NOW - timedelta(hours=73), timedelta(hours=72), False, id="beyond it"),
        pytest.param(Verb.DELETE, ABSENT, NOW - timedelta(hours=73), None, True, id="of a kind that is always read"),
        pytest.param(Verb.DELETE, ABSENT, None, timedelta(hours=72), True, id="nobody knows when it began"),
        pytest.param(Verb.STOP, ENDED, NOW - timedelta(hours=73), timedelta(hours=72), True, id="it is read all the same"),
    ],
)
def test_that_no_read_shows_what_began_long_ago_proves_nothing(
    verb: Verb, seen: Observed, started: datetime | None, reach: timedelta | None, known: bool
) -> None:
    old = replace(ENTRY, started=started)
    assert settle(intent(verb), seen, entry=old, want=None, desired=None, seal=seal, now=NOW, reach=reach).known is known


def test_a_create_that_took_effect_becomes_an_entry_with_what_was_asked_for() -> None:
    verdict = settle(intent(Verb.CREATE, desired={"a": 1}), MARKED, entry=None, want=None, desired={"a": 1}, seal=seal, now=NOW)
    assert verdict.entry is not None
    assert verdict.entry == Entry(HERE, "default", "id-1", "identity", applied={"a": 1}, started=NOW, changed=NOW)


def test_what_the_vendor_tells_of_a_create_outweighs_what_was_sent() -> None:
    told = replace(MARKED, identity="whole", window=LONGER, started=NOW + timedelta(seconds=3))
    sent = intent(Verb.CREATE, window=WINDOW)
    verdict = settle(sent, told, entry=None, want=None, desired=None, seal=seal, now=NOW, create_first=True)
    assert verdict.entry == Entry(HERE, "default", "id-1", "whole", window=LONGER, started=told.started, changed=NOW)
    over = settle(sent, replace(told, presence=Presence.ENDED), entry=None, want=None, desired=None, seal=seal, now=NOW)
    assert over.entry is not None
    assert over.entry.window == WINDOW, "what is over tells how long it ran, not what for"
    untold = settle(sent, MARKED, entry=None, want=None, desired=None, seal=seal, now=NOW)
    assert untold.entry is not None
    assert untold.entry.window == WINDOW


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


def test_what_the_ledger_has_already_replaces_nothing() -> None:
    verdict = settle(intent(Verb.CREATE), LIVE, entry=ENTRY, want=None, desired=None, seal=seal, now=NOW, create_first=True)
    assert verdict.entry is not None
    assert (verdict.entry.id, verdict.entry.former) == ("id-1", None)


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
        assert verdict.gone == ("identity" if verdict.entry == OLD else ""), "what comes to life late is swept"
