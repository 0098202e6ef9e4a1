"""A clip is replaced by one that is ready before the old one goes: whatever happens in between, there is one, and the ledger knows both."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler import crash
from reconciler.emulator.faults import FaultRule
from reconciler.engine import Engine, Options
from reconciler.model import Action, Address, Change, Outcome, Result
from tests.scenarios.manifests import CLIP
from tests.scenarios.stage import Stage

GOAL = "Clip/goal-78"
LONGER = CLIP.replace("21:14:35", "21:14:40")
LONGEST = CLIP.replace("21:14:35", "21:14:50")
NEVER_BROADCAST = CLIP.replace("2026-11-20T21:14", "2026-11-03T21:14")


class Died(BaseException):
    """The process is gone."""


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """A clip that is there."""
    made = Stage(tmp_path).write(CLIP)
    assert made.apply().exit_code == 0
    made.world.log.clear()
    return made


def living(stage: Stage) -> list[str]:
    """The ids of all clips that are not deleted, failed ones as well, the oldest first."""
    assets = stage.world.data["livepeer"]["asset"].values()
    clips = [one for one in assets if one["source"]["type"] == "clip" and not one.get("deleted")]
    return [one["id"] for one in sorted(clips, key=lambda one: one["createdAt"])]


def owned(stage: Stage) -> tuple[str, str]:
    """The ids that the ledger has: of the clip, and of the one it is to replace."""
    ledger = stage.ledger()
    try:
        (entry,) = ledger.entries().values()
    finally:
        ledger.close()
    return entry.id, entry.former.id if entry.former else ""


def result(stage: Stage, **options: object) -> Result:
    (one,) = stage.apply(**options).results
    return one


def planned(stage: Stage, **options: object) -> Change:
    (one,) = stage.plan(**options).changes
    return one


def settled(stage: Stage, *, runs: int = 8) -> None:
    """Runs until a plan is empty, with the ledger owning the one clip there is."""
    for _ in range(runs):
        if not stage.actions():
            break
        stage.apply()
        stage.advance(seconds=45)
    assert stage.actions() == {}
    assert stage.plan().drift == ()
    assert owned(stage) == (living(stage)[0], "")
    assert len(living(stage)) == 1


def end(stage: Stage) -> int:
    """The end, in Unix milliseconds, that the one clip was cut to."""
    (id,) = living(stage)
    (task,) = [one for one in stage.world.data["livepeer"]["task"].values() if one["outputAssetId"] == id]
    found: int = task["params"]["clip"]["clipStrategy"]["endTime"]
    return found


def dying(stage: Stage, at: str, nth: int = 1) -> None:
    """An apply that is killed the n-th time it passes a point."""
    passed = 0

    def hook(name: str) -> None:
        nonlocal passed
        passed += name == at
        if passed >= nth:
            raise Died(name)

    crash.hook = hook
    try:
        with pytest.raises(Died):
            stage.apply()
    finally:
        crash.hook = None
    stage.advance(seconds=65)  # here the process lives on: what it holds runs out


# --- the new one first ------------------------------------------------------------------------------------------------


def test_the_new_one_is_cut_first_and_the_old_one_deleted_when_it_is_ready(stage: Stage) -> None:
    (old,) = living(stage)
    stage.write(LONGER)
    change = planned(stage)
    assert (change.action, [one.path for one in change.fields if one.replace]) == (Action.REPLACE, ["spec.end"])
    assert "the new one is made first" in change.reason
    assert result(stage).message == "replaced"
    assert stage.calls() == ["POST /clip", "PATCH /asset/{id}", "DELETE /asset/{id}"]
    events = [(one["event"], one["id"] == old) for one in stage.world.ledger.events]
    assert events.index(("ready", False)) < events.index(("deleted", True))
    assert stage.actions() == {}
    assert living(stage) == [owned(stage)[0]] != [old]


@pytest.mark.parametrize("enough", [1, 3])
def test_one_replacement_after_the_other(stage: Stage, enough: int) -> None:
    for text in [LONGER, LONGEST, CLIP][:enough]:
        stage.write(text)
        assert result(stage).message == "replaced"
        assert stage.actions() == {}
        assert len(living(stage)) == 1


@pytest.mark.parametrize(
    ("text", "suspended", "says"),
    [(NEVER_BROADCAST, False, "the old one is kept: no session covers"), (LONGER, True, "the old one is kept: POST /clip found nothing")],
    ids=["no session", "refused"],
)
def test_what_cannot_be_cut_leaves_the_old_one_alone(stage: Stage, text: str, suspended: bool, says: str) -> None:
    old = living(stage)
    for stream in stage.world.data["livepeer"]["stream"].values():
        stream["suspended"] = suspended
    stage.write(text)
    got = result(stage)
    assert (got.outcome, got.exit_code) == (Outcome.FAILED, 1)
    assert got.message.startswith(says)
    assert stage.calls() == []
    assert (living(stage), owned(stage)) == (old, (old[0], ""))
    assert stage.actions() == {GOAL: "replace"}, "a plan that somebody sees, again and again"


@pytest.mark.parametrize("fault", ["500", "timeout"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_while_nobody_knows_whether_the_new_one_is_being_cut_the_old_one_stays(stage: Stage, fault: str, when: str) -> None:
    old = living(stage)
    stage.world.faults.rules.append(FaultRule("POST /clip", fault, when, 1))
    stage.write(LONGER)
    got = result(stage)
    assert (got.outcome, got.exit_code) == (Outcome.UNKNOWN, 7)
    assert owned(stage) == (old[0], "")
    assert stage.actions() == {GOAL: "blocked" if when == "before" else "update"}
    assert old[0] in living(stage)
    stage.advance(minutes=3)
    assert stage.actions() == {GOAL: "replace" if when == "before" else "update"}
    settled(stage)
    assert stage.calls().count("POST /clip") == 1


SESSION = r"eaw4nk06ts2d0mzb/[0-9a-f-]{36}/1795180445000-17951804(?:75|80|90)000"


@pytest.mark.parametrize("fault", ["", "timeout"], ids=["answered", "found again"])
def test_the_ledger_names_the_session_that_was_found(tmp_path: Path, fault: str) -> None:
    stage = Stage(tmp_path).write(CLIP)
    for text in (CLIP, LONGER, LONGEST):
        stage.write(text)
        if fault:
            stage.world.faults.rules.append(FaultRule("POST /clip", fault, "after", 1))
        stage.apply()
        settled(stage)
        (entry,) = stage.ledger().entries().values()
        assert re.fullmatch(SESSION, entry.identity)


# --- not ready yet, or never ------------------------------------------------------------------------------------------


def test_who_does_not_wait_has_both_until_a_later_run_finishes(stage: Stage) -> None:
    (old,) = living(stage)
    stage.write(LONGER)
    got = result(stage, wait=False)
    assert (got.outcome, got.message) == (Outcome.DONE, "created, not waited for; the old one is kept until it is ready")
    _, new = living(stage)
    assert owned(stage) == (new, old)
    plan = stage.plan()
    assert (plan.drift, plan.strangers) == ((), ())
    assert [one.reason for one in plan.changes] == [f"being made; then {old}, which it replaces, is deleted"]

    assert result(stage, wait=False).message == "being made, not waited for"
    assert (living(stage), owned(stage)) == ([old, new], (new, old))
    assert result(stage).message == "updated"
    assert (living(stage), owned(stage)) == ([new], (new, ""))
    assert stage.actions() == {}


def test_a_clip_that_is_ready_and_has_not_got_its_name_is_no_drift_and_is_finished(tmp_path: Path) -> None:
    stage = Stage(tmp_path).write(CLIP)
    assert result(stage, wait=False).message == "created, not waited for"
    assert planned(stage).reason == "being made"
    stage.advance(minutes=5)
    plan = stage.plan()
    assert plan.drift == ()
    assert [(one.action, one.reason) for one in plan.changes] == [(Action.UPDATE, "cut, and not named yet")]
    assert result(stage).message == "updated"
    assert stage.actions() == {}
    (asset,) = [one for one in stage.world.data["livepeer"]["asset"].values() if one["id"] == living(stage)[0]]
    assert (asset["name"], asset["creatorId"]["value"]) == ("Goal 78", "sports-desk")


def test_a_later_run_waits_for_what_an_earlier_one_began(tmp_path: Path) -> None:
    stage = Stage(tmp_path, switches={"livepeer.clip_seconds": "1200"}).write(CLIP)
    got = result(stage)
    assert (got.outcome, got.message.partition(":")[0]) == (Outcome.FAILED, "not ready in time")
    assert stage.plan().drift == ()
    assert stage.actions() == {GOAL: "update"}
    assert result(stage).message == "updated"
    assert stage.actions() == {}
    assert stage.calls().count("POST /clip") == 1


def test_what_takes_too_long_keeps_the_old_one_and_is_waited_for_again(stage: Stage) -> None:
    (old,) = living(stage)
    stage.world.set_switches({"livepeer.clip_seconds": "2000"})
    stage.write(LONGER)
    for _ in range(2):
        got = result(stage)
        assert (got.outcome, got.exit_code) == (Outcome.FAILED, 3)
        assert got.message.startswith("the old one is kept: not ready in time")
        assert old in living(stage)
        assert stage.actions() == {GOAL: "update"}
    assert result(stage).message == "updated"
    assert stage.actions() == {}
    assert stage.calls().count("POST /clip") == 1
    assert len(living(stage)) == 1


def test_a_clip_that_fails_is_deleted_and_the_old_one_stays(stage: Stage) -> None:
    old = living(stage)
    stage.world.set_switches({"livepeer.clip_outcome": "failed"})
    stage.write(LONGER)
    for attempt in range(1, 4):
        got = result(stage)
        assert (got.outcome, got.exit_code) == (Outcome.FAILED, 3)
        assert re.match(r"the old one is kept: clip \S+ could not be cut", got.message)
        assert (living(stage), owned(stage)) == (old, (old[0], ""))
        change = planned(stage)
        assert (change.action, [one.path for one in change.fields]) == (Action.REPLACE, ["spec.end"])
        assert stage.calls().count("POST /clip") == attempt
    stage.world.set_switches({"livepeer.clip_outcome": "ready"})
    settled(stage)
    assert living(stage) != old


def test_a_clip_that_fails_while_nobody_waits_is_put_right_by_the_next_run(stage: Stage) -> None:
    (old,) = living(stage)
    stage.world.set_switches({"livepeer.clip_outcome": "failed"})
    stage.write(LONGER)
    result(stage, wait=False)
    stage.advance(minutes=10)
    assert planned(stage).reason.startswith("its making failed")
    got = result(stage)
    assert got.message.startswith("the old one is kept")
    assert (living(stage), owned(stage)) == ([old], (old, ""))


# --- another change of mind -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [LONGEST, CLIP], ids=["another", "back again"])
def test_a_replacement_that_is_itself_replaced(stage: Stage, text: str) -> None:
    (old,) = living(stage)
    stage.write(LONGER)
    result(stage, wait=False)
    stage.write(text)
    assert planned(stage).action is Action.REPLACE
    said = result(stage, wait=False).message
    assert living(stage)[0] == old, "the only one that is ready"
    if text is CLIP:
        assert (said, living(stage)) == ("the old one is kept: it is what is wanted again", [old])
        assert stage.actions() == {}
    settled(stage)
    assert end(stage) % 60_000 == (50_000 if text is LONGEST else 35_000)


@pytest.mark.parametrize("minutes", [0, 5], ids=["being made", "ready"])
def test_destroy_in_the_middle_leaves_neither(stage: Stage, minutes: int) -> None:
    stage.write(LONGER)
    result(stage, wait=False)
    stage.advance(minutes=minutes)
    assert result(stage, destroy=True).outcome is Outcome.DONE
    assert living(stage) == []
    assert stage.ledger().entries() == {}


def test_a_new_name_in_the_middle_keeps_both_in_the_ledger(stage: Stage) -> None:
    (old,) = living(stage)
    stage.write(LONGER)
    result(stage, wait=False)
    stage.write(LONGER.replace("{name: goal-78}", "{name: equaliser, renamedFrom: goal-78}"))
    settled(stage)
    assert old not in living(stage)
    assert list(stage.ledger().entries()) == [Address("Clip", "equaliser")]


def test_when_somebody_deletes_the_new_one_the_old_one_is_what_there_is(stage: Stage) -> None:
    (old,) = living(stage)
    stage.write(LONGER)
    result(stage, wait=False)
    new = living(stage)[1]
    stage.world.data["livepeer"]["asset"][new]["deleted"] = True
    stage.world.data["livepeer"]["asset"][new]["status"]["phase"] = "deleting"
    assert stage.actions() == {GOAL: "wait"}, "a list that lags would look like this"
    stage.advance(minutes=3)
    assert stage.actions() == {GOAL: "replace"}
    stage.write(CLIP)
    assert stage.actions() == {GOAL: "adopt"}
    settled(stage)
    assert living(stage) == [old]


@pytest.mark.parametrize("text", [LONGER, LONGEST], ids=["to be finished", "to be replaced again"])
def test_when_the_new_one_is_deleted_after_the_plan_the_old_one_is_not(stage: Stage, text: str) -> None:
    (old,) = living(stage)
    stage.write(LONGER)
    dying(stage, "ledger.confirm.after", 2)  # ready and named
    stage.advance(minutes=3)
    stage.write(text)

    def overtaken(engine: Engine) -> object:
        plan = engine.plan(Options())
        new = stage.world.data["livepeer"]["asset"][living(stage)[1]]
        new.update(deleted=True, status={**new["status"], "phase": "deleting"})
        return engine.apply(plan, Options()).results[0].outcome

    assert stage.run(overtaken) is Outcome.FAILED
    assert living(stage) == [old]
    settled(stage)


# --- killed -----------------------------------------------------------------------------------------------------------

POINTS = [
    ("engine.create", 1),
    ("ledger.begin.after", 1),  # the creation is noted, and not sent
    ("courier.answered", 1),  # it took effect, and nobody noted it
    ("ledger.confirm.after", 1),  # the ledger has both
    ("courier.answered", 2),  # it is ready and has its name
    ("ledger.confirm.after", 2),
    ("ledger.begin.after", 3),  # the deletion of the old one is noted, and not sent
    ("courier.answered", 3),
    ("ledger.confirm.after", 3),
]


@pytest.mark.parametrize(("at", "nth"), POINTS, ids=lambda part: str(part))
def test_killed_in_between_the_next_run_knows_both_and_ends_with_one(stage: Stage, at: str, nth: int) -> None:
    (old,) = living(stage)
    stage.write(LONGER)
    dying(stage, at, nth)
    assert living(stage), "never none"
    settled(stage)
    assert old not in living(stage)
    assert stage.calls().count("POST /clip") == 1 or at in ("engine.create", "ledger.begin.after")


@pytest.mark.parametrize(("at", "nth"), [("courier.answered", 1), ("ledger.begin.after", 2), ("courier.answered", 2)], ids=str)
def test_killed_while_a_failed_one_is_put_away(stage: Stage, at: str, nth: int) -> None:
    (old,) = living(stage)
    stage.world.set_switches({"livepeer.clip_outcome": "failed"})
    stage.write(LONGER)
    dying(stage, at, nth)
    assert old in living(stage)
    stage.advance(minutes=5)
    for _ in range(4):
        stage.apply()
        stage.advance(minutes=3)
    assert (living(stage), owned(stage)) == ([old], (old, ""))
    stage.world.set_switches({"livepeer.clip_outcome": "ready"})
    settled(stage)


@pytest.mark.parametrize("at", ["ledger.put.after", "ledger.begin.after", "courier.answered", "ledger.confirm.after"])
def test_killed_while_a_clip_that_only_its_mark_tells_loses_its_mark(tmp_path: Path, at: str) -> None:
    stage = Stage(tmp_path).write(CLIP)
    stage.apply(wait=False)
    for path in (tmp_path / ".reconciler").iterdir():
        path.unlink()
    dying(stage, at)
    settled(stage)
    assert stage.calls().count("POST /clip") == 1


def test_a_lost_ledger_in_the_middle_lists_what_is_not_taken_in_again(stage: Stage) -> None:
    """The old one carries its own name, and nothing tells that it was ours: the exceptions in docs/reliability.md."""
    (old,) = living(stage)
    stage.write(LONGER)
    result(stage, wait=False)
    new = living(stage)[1]
    for path in (stage.root / ".reconciler").iterdir():
        path.unlink()
    take: Callable[[Engine], object] = lambda engine: engine.apply(engine.plan(Options()), Options())  # noqa: E731
    stage.run(take)
    assert owned(stage) == (new, "")
    assert [one.id for one in stage.plan().strangers] == [old]
