"""What every store of a ledger keeps to."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler import crash
from reconciler.errors import LedgerError, LockHeld, Stale
from reconciler.ledger import Lease, Ledger, Tombstone, codec, holder, store
from reconciler.model import Address, Sealed, Secret, Url, Verb
from tests.ledger.conftest import NOON, Killed, Where
from tests.ledger.things import FULL_ENTRY, MORNING, SERIES, VALUES, an_entry, an_intent

STONE = Tombstone(MORNING, "default", "default/早间新闻", "task-1", NOON + timedelta(seconds=85))


def opened(ledger: Ledger, values: Any) -> Any:
    return ledger.open_values(ledger.seal_values(values))


# --- opening ----------------------------------------------------------------------------------------------------------


def test_a_new_ledger_has_a_lineage_a_key_and_no_past(place: Where) -> None:
    ledger = place.open()
    assert uuid.UUID(ledger.lineage)
    assert len(ledger.key) == 32
    assert (ledger.kept, ledger.serial, ledger.entries(), ledger.open_intents(), ledger.history()) == (True, 0, {}, [], [])


def test_opened_again_it_is_the_same(place: Where) -> None:
    first = place.open()
    first.put(an_entry())
    first.close()
    again = place.open(create=False)
    assert (again.lineage, again.key, again.serial) == (first.lineage, first.key, 1)
    assert again.entries() == {MORNING: an_entry()}


def test_one_store_holds_many_workspaces(place: Where) -> None:
    news, sport = place.open("news"), place.open("sport")
    news.put(an_entry())
    news.set_note("n", 1)
    news.use_plan("p")
    news.record({"run": "a"})
    with news.acquire("somebody", timeout=0) as lease:
        news.begin(lease, an_intent())
        assert not sport.busy()
        assert (sport.entries(), sport.note("n"), sport.history(), sport.open_intents(), sport.serial) == ({}, None, [], [], 0)
        sport.use_plan("p")
    assert news.lineage != sport.lineage
    assert news.seal(Secret("x")).digest != sport.seal(Secret("x")).digest


def test_where_nothing_was_made_reading_makes_nothing(place: Where) -> None:
    view = place.open(create=False)
    assert (view.kept, view.lineage, view.serial, view.entries(), view.note("x"), view.busy()) == (False, "", 0, {}, None, False)
    assert view.seal(Secret("a")) == view.seal(Secret("a"))
    writes: list[Callable[[], object]] = [
        lambda: view.put(an_entry()),
        lambda: view.acquire("somebody", timeout=0),
        lambda: view.set_note("a", 1),
        lambda: view.record({}),
        lambda: view.use_plan("p"),
    ]
    for write in writes:
        with pytest.raises(LedgerError, match=r"there is no ledger at .* yet"):
            write()
    assert not place.open(create=False).kept
    assert not any(place.root.iterdir())


def test_a_workspace_without_a_past_is_an_empty_view_too(place: Where) -> None:
    place.open("news")
    assert not place.open("sport", create=False).kept


def test_a_newer_format_is_refused(place: Where) -> None:
    place.open().close()
    place.sql("UPDATE @schema_version SET version = 99")
    with pytest.raises(LedgerError, match="has format 99, this version of reconciler knows 1") as refusal:
        place.open()
    assert "upgrade" in refusal.value.next_step


def test_a_closed_ledger_says_so(place: Where) -> None:
    ledger = place.open()
    ledger.close()
    ledger.close()
    with pytest.raises(LedgerError, match="was closed"):
        ledger.entries()


# --- entries ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("entry", [an_entry(), FULL_ENTRY, an_entry(applied=None, changed=None)], ids=["plain", "everything", "nothing"])
def test_an_entry_comes_back_as_it_went(place: Where, entry: Any) -> None:
    ledger = place.open()
    ledger.put(entry)
    want = replace(entry, applied=opened(ledger, entry.applied)) if entry.applied else entry
    assert ledger.entry(entry.address) == want
    assert ledger.entries() == {entry.address: want}


def test_what_was_applied_may_be_sealed_before_and_written_again(place: Where) -> None:
    ledger = place.open()
    ledger.put(an_entry(applied=ledger.seal_values(VALUES)))
    first = ledger.entries()[MORNING]
    ledger.put(replace(first, ended=True))
    second = ledger.entries()[MORNING]
    assert second.applied == first.applied == opened(ledger, VALUES)
    assert second.applied is not None
    assert isinstance(second.applied["storage"]["accessKey"], Sealed)
    assert ledger.open_values(second.applied) == second.applied
    ledger.put(replace(second, applied=ledger.seal_values(second.applied)))
    assert ledger.entries()[MORNING] == second


def test_put_overwrites_remove_forgets(place: Where) -> None:
    ledger = place.open()
    ledger.put(an_entry())
    ledger.put(an_entry(id="task-9"))
    assert [entry.id for entry in ledger.entries().values()] == ["task-9"]
    ledger.remove(MORNING)
    ledger.remove(MORNING)
    assert ledger.entry(MORNING) is None


def test_move_renames(place: Where) -> None:
    ledger = place.open()
    ledger.put(an_entry())
    ledger.move(MORNING, SERIES)
    assert ledger.entries() == {SERIES: an_entry(SERIES)}
    ledger.move(MORNING, SERIES)  # done already
    ledger.put(an_entry())
    with pytest.raises(LedgerError, match="is in the ledger already"):
        ledger.move(MORNING, SERIES)
    with pytest.raises(LedgerError, match="Clip/a is not in the ledger"):
        ledger.move(Address("Clip", "a"), Address("Clip", "b"))


def test_the_serial_counts_changes_and_nothing_else(place: Where) -> None:
    ledger = place.open()

    def serial_after(*steps: Callable[[], object]) -> int:
        for step in steps:
            step()
        return ledger.serial

    assert serial_after(lambda: ledger.put(an_entry()), lambda: ledger.remove(SERIES)) == 2
    with ledger.acquire("somebody", timeout=0) as lease:
        lease.renew()
        quiet = (lambda: ledger.set_note("a", 1), lambda: ledger.record({}), lambda: ledger.use_plan("p"))
        assert serial_after(*quiet) == 2
        assert serial_after(lambda: ledger.begin(lease, an_intent()), lambda: ledger.unknown(lease, "i1", "timeout")) == 4
        assert serial_after(lambda: ledger.settle("i1", present=False)) == 5
    assert ledger.serial == 5


# --- secrets ----------------------------------------------------------------------------------------------------------


def test_no_secret_is_ever_written(place: Where) -> None:
    ledger = place.open()
    ledger.put(an_entry(applied=VALUES))
    with ledger.acquire("somebody", timeout=0) as lease:
        ledger.begin(lease, an_intent())
        ledger.confirm(lease, "i1", entry=FULL_ENTRY)
    ledger.record({"run": "a", "values": VALUES})
    ledger.set_note("n", VALUES)
    kept = place.dump()
    assert b"CANARY" not in kept
    assert ledger.seal(Secret("CANARY-2")).digest.encode() in kept


def test_a_seal_tells_change_and_hides_the_text(place: Where) -> None:
    ledger = place.open()
    one = ledger.seal(Secret("hunter2", reference="env:PASSWORD"))
    assert one.shown == "(env:PASSWORD)"
    assert len(one.digest) == 16
    assert one.digest == ledger.seal(Url("hunter2")).digest != ledger.seal(Secret("hunter3")).digest
    assert ledger.seal(Secret(None, reference="env:PASSWORD")) == Sealed("", "(env:PASSWORD)")


# --- the lock ---------------------------------------------------------------------------------------------------------


def test_one_holder_at_a_time(place: Where) -> None:
    here, there = place.open(), place.open()
    with here.acquire("ada (apply)", timeout=0) as lease:
        assert not here.busy()
        assert there.busy()
        with pytest.raises(LockHeld, match=r"workspace news is locked by ada \(apply\) on .*, pid \d+, since 20") as refusal:
            there.acquire("bob", timeout=0)
        assert "frees itself within 60 s should its holder be gone" in refusal.value.message
        assert (refusal.value.exit_code, refusal.value.stuck) == (6, False)
        assert lease.epoch == 1
    assert here.held() is None
    with there.acquire("bob", timeout=0) as lease:
        assert lease.epoch == 2


def test_acquire_waits_no_longer_than_it_may(place: Where) -> None:
    held = place.open().acquire("ada", timeout=0)
    with pytest.raises(LockHeld):
        place.open().acquire("bob", timeout=7)
    assert place.clock.slept == pytest.approx(7)
    held.release()


def test_acquire_gets_the_lock_as_soon_as_it_is_free(place: Where) -> None:
    held = place.open().acquire("ada", timeout=0)
    waited = []

    class Freeing(type(place.clock)):  # type: ignore[misc]
        def sleep(self, seconds: float) -> None:
            waited.append(seconds)
            held.release()

    with place.open(clock=Freeing()).acquire("bob", timeout=7) as lease:
        assert lease.epoch == 2
    assert len(waited) == 1


def test_the_lock_is_given_back_also_after_a_failure(place: Where) -> None:
    ledger = place.open()
    with pytest.raises(ZeroDivisionError), ledger.acquire("ada", timeout=0):
        raise ZeroDivisionError
    assert ledger.held() is None


def test_a_lease_that_ran_out_is_taken_over_and_fences_its_holder(place: Where, monkeypatch: pytest.MonkeyPatch) -> None:
    frozen, other = place.open(), place.open()
    monkeypatch.setattr(store, "LEASE", timedelta(0))
    old = frozen.acquire("frozen", timeout=0)
    monkeypatch.undo()
    with other.acquire("other", timeout=0) as new:
        assert new.epoch == old.epoch + 1
        with pytest.raises(Stale, match="was taken over by other on"):
            frozen.begin(old, an_intent())
        assert other.open_intents() == []
        old.release()
        assert other.held() == new.held


def test_a_renewed_lease_lasts(place: Where, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = place.open()
    monkeypatch.setattr(store, "LEASE", timedelta(0))
    lease = ledger.acquire("ada", timeout=0)
    assert lease.remaining == 0
    monkeypatch.undo()
    lease.renew()
    assert lease.remaining == 60
    place.clock.sleep(15)
    assert lease.remaining == 45
    assert place.open().busy()
    lease.release()


def _writes(ledger: Ledger, lease: Lease) -> dict[str, Callable[[], object]]:
    return {
        "begin": lambda: ledger.begin(lease, an_intent("i2", SERIES)),
        "confirm": lambda: ledger.confirm(lease, "i1", entry=an_entry()),
        "reject": lambda: ledger.reject(lease, "i1", "no"),
        "unknown": lambda: ledger.unknown(lease, "i1", "timeout"),
        "settle": lambda: ledger.settle("i1", present=True, entry=an_entry()),
        "put": lambda: ledger.put(an_entry()),
        "remove": lambda: ledger.remove(MORNING),
        "move": lambda: ledger.move(MORNING, SERIES),
        "use_plan": lambda: ledger.use_plan("p"),
        "set_note": lambda: ledger.set_note("a", 2),
        "renew": lease.renew,
    }


@pytest.mark.parametrize("thief", ["unlocked", "taken over", "released"])
@pytest.mark.parametrize("write", ["begin", "confirm", "reject", "unknown", "renew"])
def test_a_stale_lease_journals_nothing(place: Where, write: str, thief: str) -> None:
    ledger, other = place.open(), place.open()
    lease = ledger.acquire("ada", timeout=0)
    ledger.begin(lease, an_intent())
    if thief == "released":
        lease.release()
    else:
        other.force_unlock()
    if thief == "taken over":
        other.acquire("bob", timeout=0)
    before = (other.serial, other.entries(), other.open_intents(), other.held())
    with pytest.raises(Stale, match="the lock of workspace news was taken"):
        _writes(ledger, lease)[write]()
    assert (other.serial, other.entries(), other.open_intents(), other.held()) == before


@pytest.mark.parametrize("write", ["settle", "put", "remove", "move", "use_plan", "set_note"])
def test_who_lost_the_lock_writes_nothing_else_either(place: Where, write: str) -> None:
    ledger, other = place.open(), place.open()
    lease = ledger.acquire("ada", timeout=0)
    ledger.begin(lease, an_intent())
    ledger.put(an_entry())
    other.force_unlock()
    before = (other.serial, other.entries(), other.open_intents(), other.note("a"))
    with pytest.raises(Stale):
        _writes(ledger, lease)[write]()
    assert (other.serial, other.entries(), other.open_intents(), other.note("a")) == before
    ledger.record({"run": "still told"})
    assert other.history() == [{"run": "still told"}]


@pytest.mark.parametrize("write", ["put", "remove", "move", "use_plan"])
def test_without_a_lease_nothing_is_changed_under_the_holder(place: Where, write: str) -> None:
    holder_, other = place.open(), place.open()
    with holder_.acquire("ada", timeout=0) as lease:
        with pytest.raises(LockHeld):
            _writes(other, lease)[write]()
        other.set_note("a", 1)
        other.record({"run": "b"})
        holder_.begin(lease, an_intent())
        assert other.settle("i1", present=False)
    other.put(an_entry())


def test_force_unlock_names_who_held_it(place: Where) -> None:
    ledger, other = place.open(), place.open()
    assert other.force_unlock() is None
    lease = ledger.acquire("ada", timeout=0)
    was = other.force_unlock()
    assert was == lease.held
    assert was.holder == "ada"
    with other.acquire("bob", timeout=0) as new:
        assert new.epoch > lease.epoch


def test_the_lock_of_another_machine_is_respected(place: Where, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holder, "machine", lambda: "another boot pid:[1]")
    monkeypatch.setattr("os.getpid", lambda: 2**22 + 1)  # a number that no process has
    place.open().acquire("far away", timeout=0)
    monkeypatch.undo()
    with pytest.raises(LockHeld):
        place.open().acquire("here", timeout=0)


# --- intents ----------------------------------------------------------------------------------------------------------


def test_an_intent_is_open_until_its_result_is_known(place: Where) -> None:
    ledger = place.open()
    with ledger.acquire("ada", timeout=0) as lease:
        ledger.begin(lease, an_intent(sent=NOON + timedelta(seconds=1)))
        ledger.begin(lease, an_intent("i2", SERIES, target="task-7", verb=Verb.STOP, desired=None, window=None))
    found = place.open(create=False).open_intents()
    assert [intent.id for intent in found] == ["i2", "i1"]
    assert found[0] == an_intent("i2", SERIES, target="task-7", verb=Verb.STOP, desired=None, window=None)
    assert found[1] == an_intent(sent=NOON + timedelta(seconds=1), desired=opened(ledger, VALUES))


def test_an_address_has_one_open_intent(place: Where) -> None:
    ledger = place.open()
    with ledger.acquire("ada", timeout=0) as lease:
        ledger.begin(lease, an_intent())
        with pytest.raises(LedgerError, match="earlier write to RelayTask/morning-news has no known result; nothing was sent") as refusal:
            ledger.begin(lease, an_intent("i2"))
        assert refusal.value.next_step == "reconciler refresh RelayTask/morning-news"
        ledger.begin(lease, an_intent("i3", SERIES))
        ledger.reject(lease, "i1", "no")
        ledger.begin(lease, an_intent("i2"))
        with pytest.raises(LedgerError, match=r"is closed \(rejected\)"):
            ledger.begin(lease, an_intent("i1", Address("Clip", "a")))
    assert {intent.id for intent in ledger.open_intents()} == {"i2", "i3"}


def test_sent_again_the_intent_has_a_later_horizon(place: Where) -> None:
    ledger = place.open()
    later = NOON + timedelta(minutes=5)
    with ledger.acquire("ada", timeout=0) as lease:
        ledger.begin(lease, an_intent())
        ledger.unknown(lease, "i1", "ReadTimeout")
        ledger.begin(lease, an_intent(horizon=later))
    assert [(intent.horizon, intent.note) for intent in ledger.open_intents()] == [(later, "")]


def test_confirm_closes_and_remembers_at_once(place: Where) -> None:
    ledger = place.open()
    with ledger.acquire("ada", timeout=0) as lease:
        ledger.begin(lease, an_intent())
        ledger.confirm(lease, "i1", entry=an_entry(id="task-5"), request_id="req-1")
        ledger.begin(lease, an_intent("i2", verb=Verb.DELETE))
        assert ledger.entries() == {MORNING: an_entry(id="task-5")}
        ledger.confirm(lease, "i2", entry=None, remove=True, tombstone=STONE)
    assert (ledger.open_intents(), ledger.entries(), ledger.tombstones()) == ([], {}, [STONE])
    place.clock.sleep(84)
    assert ledger.tombstones() == [STONE]
    place.clock.sleep(1)
    assert ledger.tombstones() == []


def test_confirm_without_an_entry_leaves_the_entry(place: Where) -> None:
    ledger = place.open()
    ledger.put(an_entry())
    with ledger.acquire("ada", timeout=0) as lease:
        ledger.begin(lease, an_intent(verb=Verb.UPDATE))
        ledger.confirm(lease, "i1", entry=None)
    assert (ledger.open_intents(), ledger.entries()) == ([], {MORNING: an_entry()})


def test_unknown_stays_open_and_says_why(place: Where) -> None:
    ledger = place.open()
    with ledger.acquire("ada", timeout=0) as lease:
        ledger.begin(lease, an_intent())
        ledger.unknown(lease, "i1", "ReadTimeout after 30 s")
    assert [intent.note for intent in ledger.open_intents()] == ["ReadTimeout after 30 s"]


@pytest.mark.parametrize(
    ("verdict", "entries"),
    [
        ({"present": True, "entry": an_entry(id="found")}, {MORNING: an_entry(id="found")}),
        ({"present": False}, {MORNING: an_entry()}),
        ({"present": False, "remove": True}, {}),
        ({"present": True, "entry": None}, {MORNING: an_entry()}),
    ],
    ids=["found", "absent, entry kept", "deleted", "there, entry kept"],
)
def test_settling_closes_once(place: Where, verdict: Any, entries: Any) -> None:
    ledger = place.open()
    ledger.put(an_entry())
    with ledger.acquire("ada", timeout=0) as lease:
        ledger.begin(lease, an_intent())
    assert ledger.settle("i1", **verdict) is True
    assert (ledger.open_intents(), ledger.entries()) == ([], entries)
    assert ledger.settle("i1", present=True, entry=an_entry(id="late")) is False
    assert ledger.entries() == entries


def test_the_vendors_answer_outweighs_a_look_up(place: Where) -> None:
    ledger, onlooker = place.open(), place.open()
    with ledger.acquire("ada", timeout=0) as lease:
        ledger.begin(lease, an_intent())
        onlooker.settle("i1", present=False)
        ledger.confirm(lease, "i1", entry=an_entry(id="from the answer"))
    assert ledger.entries()[MORNING].id == "from the answer"
    assert ledger.open_intents() == []


def test_an_intent_nobody_began_is_an_error(place: Where) -> None:
    ledger = place.open()
    with ledger.acquire("ada", timeout=0) as lease, pytest.raises(LedgerError, match="knows no intent i9"):
        ledger.confirm(lease, "i9", entry=an_entry())
    assert ledger.entries() == {}


def test_what_is_long_closed_is_swept_and_what_is_open_never(place: Where) -> None:
    ledger = place.open()
    with ledger.acquire("ada", timeout=0) as lease:
        ledger.begin(lease, an_intent())
        ledger.begin(lease, an_intent("i2", SERIES))
        ledger.confirm(lease, "i1", entry=None, tombstone=STONE)
    place.clock.sleep(8 * 86400)
    place.open().force_unlock()
    with ledger.acquire("ada", timeout=0):
        pass
    assert place.sql("SELECT id FROM @intents") == [("i2",)]
    assert place.sql("SELECT count(*) FROM @tombstones") == [(0,)]


def test_ids_sort_by_time(place: Where) -> None:
    ledger = place.open()
    early = ledger.new_id()
    place.clock.sleep(1)
    late = ledger.new_id()
    assert early < late
    assert len({ledger.new_id() for _ in range(100)}) == 100


# --- plans, runs, notes -----------------------------------------------------------------------------------------------


def test_a_plan_is_used_once(place: Where) -> None:
    place.open().use_plan("5c1e9a")
    with pytest.raises(Stale, match="plan 5c1e9a was used already, at 2026-12-01T12:00:00Z"):
        place.open().use_plan("5c1e9a")


def test_history_is_appended_and_never_changed(place: Where) -> None:
    ledger = place.open()
    runs = [{"run": str(n), "who": "ada", "at": NOON, "exit": 0, "results": [{"id": None, "request_id": "r"}]} for n in range(5)]
    for run in runs:
        ledger.record(run)
    assert ledger.history(3) == [runs[4], runs[3], runs[2]]
    assert len(ledger.history()) == 5
    for statement in ("UPDATE @history SET body = 'x'", "DELETE FROM @history"):
        with pytest.raises(Exception, match="the history is append-only"):
            place.sql(statement)
    assert ledger.history() == runs[::-1]


def test_notes(place: Where) -> None:
    ledger = place.open()
    assert ledger.note("list size") is None
    ledger.set_note("list size", {"relay": 12, "at": NOON})
    ledger.set_note("list size", {"relay": 13, "at": NOON})
    assert place.open().note("list size") == {"relay": 13, "at": NOON}
    ledger.set_note("list size", None)
    assert ledger.note("list size") is None


# --- crashes and threads ----------------------------------------------------------------------------------------------


def _a_run(ledger: Ledger) -> None:
    with ledger.acquire("ada", timeout=0) as lease:
        ledger.use_plan("p")
        ledger.begin(lease, an_intent())
        ledger.confirm(lease, "i1", entry=an_entry())
        ledger.begin(lease, an_intent("i2", SERIES))
        ledger.unknown(lease, "i2", "timeout")
        ledger.settle("i2", present=True, entry=an_entry(SERIES))
        ledger.begin(lease, an_intent("i3", SERIES))
        ledger.reject(lease, "i3", "no")
        ledger.move(SERIES, Address("Clip", "x"))
        ledger.put(an_entry(SERIES))
        ledger.remove(SERIES)
        ledger.set_note("a", 1)
        ledger.record({"run": "a"})


def _state(ledger: Ledger) -> tuple[Any, ...]:
    intents = [(intent.id, intent.note) for intent in ledger.open_intents()]
    return (ledger.serial, ledger.entries(), intents, ledger.note("a"), ledger.history())


@pytest.mark.parametrize("name", sorted({point.rpartition(".")[0] for point in crash.POINTS if point.startswith("ledger.")}))
def test_a_kill_leaves_all_of_a_write_or_nothing(place: Where, kill_at: Callable[[str], None], name: str) -> None:
    """Killed before its commit, the write never was; killed after it, it is whole. The states on both sides differ by one write."""
    left: dict[str, Any] = {}
    for side in ("before", "after"):
        ledger = place.open(workspace=side)
        kill_at(f"{name}.{side}")
        with pytest.raises(Killed):
            _a_run(ledger)
        left[side] = (*_state(place.open(workspace=side)), place.sql("SELECT epoch FROM @workspaces WHERE name = ?", side))
    place.open(workspace="after")
    quiet = name in ("ledger.plan", "ledger.release")
    assert (left["before"] == left["after"]) == quiet
    assert left["after"][0] - left["before"][0] == (
        name not in ("ledger.acquire", "ledger.plan", "ledger.note", "ledger.record", "ledger.release")
    )


def test_every_point_of_the_ledger_is_passed(place: Where) -> None:
    passed: list[str] = []
    crash.hook = passed.append
    try:
        _a_run(place.open())
    finally:
        crash.hook = None
    assert set(passed) == {point for point in crash.POINTS if point.startswith("ledger.")}


def test_many_threads_share_one_ledger(place: Where) -> None:
    ledger = place.open()
    with ledger.acquire("ada", timeout=0) as lease, ThreadPoolExecutor(8) as pool:

        def one(n: int) -> None:
            address = Address("Clip", f"c{n}")
            ledger.begin(lease, an_intent(f"i{n}", address))
            assert ledger.entry(address) is None
            ledger.confirm(lease, f"i{n}", entry=an_entry(address))

        list(pool.map(one, range(80)))
    assert (len(ledger.entries()), ledger.open_intents(), ledger.serial) == (80, [], 160)


def test_an_old_lease_that_is_given_back_frees_nothing(place: Where, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = place.open()
    monkeypatch.setattr(store, "LEASE", timedelta(0))
    old = ledger.acquire("ada", timeout=0)
    monkeypatch.undo()
    new = ledger.acquire("ada", timeout=0)
    old.release()
    assert ledger.held() == new.held
    ledger.begin(new, an_intent())


@pytest.mark.parametrize("read", ["serial", "lock", "write"])
def test_a_workspace_that_vanished_is_an_error_of_ours(place: Where, read: str) -> None:
    ledger = place.open()
    place.sql("DELETE FROM @workspaces")
    reads: dict[str, Callable[[], object]] = {"serial": lambda: ledger.serial, "lock": ledger.held, "write": lambda: ledger.put(an_entry())}
    with pytest.raises(LedgerError, match="news is no longer in the ledger"):
        reads[read]()


def test_an_entry_under_the_name_of_another_is_refused(place: Where) -> None:
    ledger = place.open()
    ledger.put(an_entry())
    place.sql("UPDATE @entries SET name = 'other'")
    with pytest.raises(LedgerError, match="is damaged"):
        ledger.entry(MORNING._replace(name="other"))


def test_a_row_of_another_shape_is_refused(place: Where) -> None:
    """Whole, and yet nothing this program wrote: another program's, or its own a few versions on."""
    ledger = place.open()
    place.sql("UPDATE @workspaces SET lease = ?", codec.note_cell("the lock of news", {"holder": "ada", "room": 7}, ledger.seal))
    with pytest.raises(LedgerError, match="is damaged: a row cannot be read"):
        ledger.held()


def test_a_format_that_is_none_is_damage(place: Where) -> None:
    place.open()
    place.sql("UPDATE @schema_version SET version = 0")
    with pytest.raises(LedgerError, match="it names no format"):
        place.open()


@pytest.mark.parametrize("table", ["entries", "notes", "history", "intents", "workspaces"])
def test_a_row_that_was_tampered_with_is_refused(place: Where, table: str) -> None:
    ledger = place.open()
    ledger.put(an_entry())
    ledger.set_note("a", "12")
    lease = ledger.acquire("ada", timeout=0)
    ledger.begin(lease, an_intent())
    lease.release()
    if table == "history":
        body = codec.note_cell("run other", {"run": "12"}, ledger.seal)
        place.sql("INSERT INTO @history (workspace, n, id, body) VALUES ('news', 9, 'mine', ?)", body)
    else:
        column, old, new = {"workspaces": ("lineage", "-", "_")}.get(table, ("body", "1", "7"))
        place.sql(f"UPDATE @{table} SET {column} = replace({column}, '{old}', '{new}')")
    reads: dict[str, Callable[[], object]] = {
        "entries": ledger.entries,
        "notes": lambda: ledger.note("a"),
        "history": ledger.history,
        "intents": ledger.open_intents,
        "workspaces": place.open,
    }
    with pytest.raises(LedgerError, match=r"is damaged: .*is not what was written") as refusal:
        reads[table]()
    assert "backup" in refusal.value.message
