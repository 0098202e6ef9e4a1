"""The sixteen rules as things that must hold: for each, what shows it, and how to switch it off. Tests only."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler import applying, courier, crash, engine, planner
from reconciler.errors import LockHeld, Rejected, Stale
from reconciler.kinds import _relay_list, relay_task
from reconciler.ledger import Ledger
from reconciler.ledger.holder import Held
from reconciler.ledger.store import StoredLedger
from reconciler.model import Action, Address, Intent, Outcome, Verb
from reconciler.vendors import Transports, outcome
from tests.crash.harness import ENV, HTTP, KIND_OF, ON_AIR, Case, Trial, run
from tests.scenarios.stage import NOW

Law = Callable[[Path], None]
Switch = Callable[[pytest.MonkeyPatch], None]
ALL = engine.Options(allow_on_air=(*ON_AIR, "*"))


@dataclass(frozen=True)
class Rule:
    """One rule: its name, the laws that show it, and `off`, which takes it out of the code, as `how` says in words."""

    number: int
    name: str
    laws: tuple[Law, ...]
    off: Switch
    how: str

    def __str__(self) -> str:
        return f"{self.number}-{self.name.replace(' ', '-')}"


def case(line: str) -> Law:
    """A case of the fault suite."""

    def law(folder: Path) -> None:
        run(Case.parse(line), folder)

    law.__name__ = line
    return law


class Desk(Trial):
    """A trial with an engine at hand, for laws that look closer than an exit code."""

    def __init__(self, folder: Path, kind: str = "relay", world: str = "", **switches: str) -> None:
        super().__init__(folder, Case(kind, "create", world=world))
        self.seeded()
        self.world.set_switches(switches)

    def with_engine(self, state: str, work: Callable[[engine.Engine, Ledger], Any]) -> Any:
        with self._wired():
            ledger = self.open()
            transports = Transports({}, ENV, home=self.folder, clock=self.clock, read_only=False, client=HTTP)
            try:
                return work(self.engine(ledger, transports, state), ledger)
            finally:
                ledger.close()

    def planned(self, state: str) -> Any:
        return self.with_engine(state, lambda desk, _: desk.plan(ALL))

    def effects(self) -> int:
        return sum(bool(call.effect) for call in self.world.log)

    def send(self, *calls: Any) -> None:
        """Somebody else's writes, out of band."""
        with self._wired():
            transports = Transports({}, ENV, home=self.folder, clock=self.clock, read_only=False, client=HTTP)
            for call in calls:
                transports("default", call.vendor).send(call)


# --- laws -------------------------------------------------------------------------------------------------------------


def one_runner_at_a_time(folder: Path) -> None:
    desk = Desk(folder)

    def work(_: engine.Engine, mine: Ledger) -> None:
        with mine.acquire("one", timeout=0):
            other = desk.open()
            try:
                with pytest.raises(LockHeld):
                    other.acquire("two", timeout=0)
            finally:
                other.close()

    desk.with_engine("first", work)


def whoever_lost_the_lock_writes_nothing_more(folder: Path) -> None:
    desk = Desk(folder)

    def work(_: engine.Engine, mine: Ledger) -> None:
        lease = mine.acquire("one", timeout=0)
        thief = desk.open()
        thief.force_unlock()
        thief.close()
        intent = Intent("i1", Address("RelayTask", "a"), "default", Verb.CREATE, "Create", "default/a", 1, NOW, NOW + timedelta(minutes=1))
        with pytest.raises(Stale):
            mine.begin(lease, intent)

    desk.with_engine("first", work)


def nothing_new_while_a_result_is_unknown(folder: Path) -> None:
    desk = Desk(folder)
    desk.attacked("first", fault="timeout", when="before", call=1, kill=0)
    (change,) = desk.planned("first").changes
    assert change.action is Action.BLOCKED
    assert change.unsettled


def frozen_before_the_socket_is_too_late(folder: Path) -> None:
    """Between the journal and the first byte 200 s pass: by then somebody else may have believed it absent, and made it."""
    for kind in ("relay", "recording", "clip"):
        place = folder / kind
        place.mkdir()
        desk = Desk(place, kind)

        def freeze(name: str, desk: Desk = desk) -> None:
            if name == "courier.sent":
                desk.world.clock.advance(200)

        def work(one: engine.Engine, _: Ledger, freeze: Callable[[str], None] = freeze) -> None:
            plan = one.plan(ALL)
            crash.hook = freeze
            one.apply(plan, ALL)

        desk.with_engine("first", work)
        assert desk.effects() == 0, f"{kind}: a request left 200 s after it was written down"


def an_update_looks_again_first(folder: Path) -> None:
    """Somebody changes a session between the plan and its apply."""
    from reconciler.kinds.segment_session import UPDATE

    desk = Desk(folder, "segment")
    desk.converge("first")
    names = {"AppId": "661e0000000000000000543c", "RoomId": "Room1", "TaskId": "moderation"}

    def work(one: engine.Engine, _: Ledger) -> Any:
        plan = one.plan(ALL)
        desk.send(UPDATE({**names, "Duration": 55}))
        return one.apply(plan, ALL)

    report = desk.with_engine("update", work)
    (result,) = report.results
    assert result.outcome is Outcome.FAILED
    assert "was changed since" in result.message
    desk.converge("update")


def what_was_deleted_is_not_adopted_from_a_late_list(folder: Path) -> None:
    desk = Desk(folder, **{"live.replica": "lagging", "live.replica_lag": "8"})
    desk.converge("first")
    desk.world.clock.advance(100)
    desk.live("delete")
    (change,) = desk.planned("first").changes
    assert change.action is Action.CREATE, f"{change.action}: {change.reason}"


def what_comes_to_life_late_is_swept(folder: Path) -> None:
    """The vendor breaks the bound: a create that was believed lost, and is no longer declared, runs ten minutes later."""
    desk = Desk(folder, **{"live.x_expires": "ignored"})
    desk.attacked("first", fault="late:600", when="before", call=1, kill=0)
    desk.world.clock.advance(120)
    desk.converge("delete")
    desk.world.clock.advance(600)
    desk.live("delete")
    assert not desk.world.ledger.living, "it still lives"


def what_carries_our_mark_is_named(folder: Path) -> None:
    desk = Desk(folder)
    desk.converge("first")
    title = _relay_list.derived_title("default", Address("RelayTask", "morning-news"), 3)
    start = int(NOW.timestamp()) + 400_000
    body = {"Title": title, "StartTime": start, "EndTime": start + 60, "Type": 0, "SrcAddr": "http://a.example.com/a.flv"}
    desk.send(relay_task.CREATE({**body, "DstAddr": "rtmp://b.example.com/a/b"}))
    (stranger,) = desk.planned("first").strangers
    assert stranger.ours


def a_list_that_misses_something_proves_nothing(folder: Path) -> None:
    from tests.crash.harness import crowd

    desk = Desk(folder)
    desk.converge("first")
    crowd(desk)
    desk.world.clock.advance(300)
    before = _relay_list.PAGE
    _relay_list.PAGE = 3
    try:
        desk.world.set_switches({"live.shifting_pages": "skip"})
        for order in ("newest", "oldest", "title", "start"):
            desk.world.set_switches({"live.list_order": order})
            desk.live("first")
            assert desk.world.ledger.most() == 1, f"{order}: believed gone, and made a second time"
    finally:
        _relay_list.PAGE = before


def two_readings_must_agree_before_absence_is_believed(folder: Path) -> None:
    """One task goes and another comes while the pages are read: the number is right, and one that was there all the time is missing."""
    rows = [{"TaskId": f"t{n}", "Title": f"t{n}", "Status": "未开始"} for n in range(_relay_list.PAGE + 2)]
    whole = [_relay_list.Task.of(row) for row in rows]
    missing = [*whole[1:], replace(whole[0], id="new")]
    readings = iter([whole, whole])
    before = _relay_list.listed_tasks
    _relay_list.listed_tasks = lambda: _given(next(readings))
    try:
        found: list[Any] = []

        def follow() -> Any:
            found.extend((yield from _relay_list.twice_listed(missing)))

        assert not list(follow()), "it asks for readings only"
        assert {task.id for task in found} == {task.id for task in whole}
    finally:
        _relay_list.listed_tasks = before


def _given(tasks: Any) -> Any:
    yield from ()
    return tasks


def a_lost_ledger_is_made_again(folder: Path) -> None:
    for kind in ("relay", "playlist", "recording", "segment", "clip"):
        place = folder / kind
        place.mkdir()
        desk = Desk(place, kind)
        desk.converge("first")
        desk.world.clock.advance(100)
        before = desk.with_engine("first", lambda _, ledger: ledger.entries())
        desk.lose_ledger()
        made, changes = desk.with_engine("first", lambda one, _: one.rebuild())
        assert [(entry.address, entry.id) for entry in made] == [(entry.address, entry.id) for entry in before.values()]
        assert [change.action for change in changes] == [Action.NOOP], f"{kind}: {changes[0].reason}"


def a_session_that_was_restarted_is_found_again(folder: Path) -> None:
    desk = Desk(folder, "recording")
    desk.converge("restart")
    desk.world.clock.advance(4.5 * 3600)
    desk.converge("restart")
    desk.lose_ledger()
    made, _ = desk.with_engine("restart", lambda one, _: one.rebuild())
    assert [(entry.id.rpartition("/")[2], entry.ended) for entry in made] == [("town-hall.2", False)]


def an_interrupted_run_starts_nothing_new(folder: Path) -> None:
    desk = Desk(folder)

    def work(one: engine.Engine, _: Ledger) -> Any:
        plan = one.plan(ALL)
        one.halt()
        return one.apply(plan, ALL)

    report = desk.with_engine("first", work)
    assert [result.outcome for result in report.results] == [Outcome.NOT_STARTED]
    assert report.interrupted
    assert desk.effects() == 0


# --- how each is switched off -----------------------------------------------------------------------------------------


def _no_lock(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Held, "dead", property(lambda _: True))
    patch.setattr(StoredLedger, "_fence", lambda *_: None)


def _no_settling(patch: pytest.MonkeyPatch) -> None:
    decide = planner.decide
    patch.setattr(planner, "decide", lambda case: decide(replace(case, intent=None)))


def _no_journal(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(StoredLedger, "begin", lambda *_: None)
    patch.setattr(StoredLedger, "reject", lambda *_: None)
    patch.setattr(StoredLedger, "unknown", lambda *_: None)

    def confirm(ledger: StoredLedger, _: Any, __: str, *, entry: Any, remove: bool = False, **more: Any) -> None:
        if entry is not None:
            ledger.put(entry)

    patch.setattr(StoredLedger, "confirm", confirm)


def _no_fence(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(courier, "VALID", 1e9)


def _unknown_is_failed(patch: pytest.MonkeyPatch) -> None:
    ending = outcome._ending

    def failed(verdict: outcome.Verdict, *, safe: bool) -> Any:
        return (Rejected, "failed") if verdict is outcome.Verdict.UNCLEAR and not safe else ending(verdict, safe=safe)

    patch.setattr(outcome, "_ending", failed)


def _two_transactions(patch: pytest.MonkeyPatch) -> None:
    confirm = StoredLedger.confirm

    def torn(ledger: StoredLedger, lease: Any, intent: str, *, entry: Any, **more: Any) -> None:
        confirm(ledger, lease, intent, entry=None, **more)
        if entry is not None:
            ledger.put(entry)

    patch.setattr(StoredLedger, "confirm", torn)


def _no_patience(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(planner, "_unseen_yet", lambda _: False)


def _no_horizon(patch: pytest.MonkeyPatch) -> None:
    for kind in KIND_OF.values():
        patch.setattr(type(kind), "settle", timedelta(0))


def _no_dedupe(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(planner, "_duplicates", lambda _: [])


def _no_second_look(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(applying.Work, "_check_unchanged", lambda _: None)


def _no_tombstones(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(StoredLedger, "tombstones", lambda _: [])


def _no_orphans(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_relay_list.Search, "owner", lambda *_: None)


def _no_reach(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(planner, "_unverifiable", lambda _: False)


def _any_list(patch: pytest.MonkeyPatch) -> None:
    def once() -> Any:
        pages = yield from _relay_list._pages()
        return [task for page in pages for task in page.tasks]

    patch.setattr(relay_task, "listed_tasks", once)
    patch.setattr(relay_task, "twice_listed", _given)
    patch.setattr(_relay_list, "twice_listed", _given)


def _no_rebuild(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(planner, "is_ours", lambda _: False)


def _deaf(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(engine.Engine, "halt", lambda _: None)


def _kills(line: str, points: Iterable[int]) -> tuple[Law, ...]:
    return tuple(case(line.format(point)) for point in points)


RULES = (
    Rule(1, "lock and epoch", (one_runner_at_a_time, whoever_lost_the_lock_writes_nothing_more), _no_lock,
         "every holder counts as dead, and no write looks at the epoch"),
    Rule(2, "settle first", (nothing_new_while_a_result_is_unknown,), _no_settling, "the planner does not see open intents"),
    Rule(3, "journal before send", (case("playlist create reset after 1 0"),), _no_journal, "intents are not written down"),
    Rule(4, "fence at the socket", (frozen_before_the_socket_is_too_late, case("relay create late:200 before 1 0 world=slow")), _no_fence,
         "a write may leave however late"),
    Rule(5, "unknown is not failed", (case("relay create reset after 1 0 world=lag"),), _unknown_is_failed,
         "an unclear outcome counts as a refusal"),
    Rule(6, "confirm atomically", _kills("playlist create - before 1 {}", range(6, 13)), _two_transactions,
         "the intent is closed in one transaction and the entry put in a second"),
    Rule(7, "horizon for what was confirmed", (case("relay create - before 1 0 world=lag"),), _no_patience,
         "what was confirmed and is not listed is gone"),
    Rule(8, "horizon for what is unknown", (case("relay create reset after 1 0 world=lag"),), _no_horizon, "the horizon is 0 s"),
    Rule(9, "dedupe", (case("playlist create 429 after 1 0 world=lag"),), _no_dedupe, "duplicates stay"),
    Rule(10, "re-read before an update", (an_update_looks_again_first,), _no_second_look, "the plan's reading is good enough"),
    Rule(11, "tombstones", (what_was_deleted_is_not_adopted_from_a_late_list, what_comes_to_life_late_is_swept), _no_tombstones,
         "nobody remembers what was deleted"),
    Rule(12, "orphans are listed", (what_carries_our_mark_is_named,), _no_orphans, "our own mark is not recognised"),
    Rule(13, "72 hours", (case("segment unread reset before 1 0"),), _no_reach, "what no read shows is gone, however old"),
    Rule(14, "partial lists prove nothing",
         (a_list_that_misses_something_proves_nothing, two_readings_must_agree_before_absence_is_believed), _any_list,
         "the first reading is believed, whatever its total says"),
    Rule(15, "the ledger can be lost", (a_lost_ledger_is_made_again, a_session_that_was_restarted_is_found_again), _no_rebuild,
         "nothing live is recognised as ours"),
    Rule(16, "interrupts", (an_interrupted_run_starts_nothing_new,), _deaf, "the signal is not heard"),
)  # fmt: skip
