"""What happens over time, told as stories: the same plan and apply, minutes, hours and days apart."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.engine import Engine, Options
from reconciler.errors import Stopped, UsageError
from reconciler.model import Action, Address, Call, Outcome
from reconciler.scalars import unix_seconds
from reconciler.vendors import Transports
from tests.scenarios.manifests import RECORDING, RELAY
from tests.scenarios.stage import NOW, Stage

# the stage begins at 2026-11-21T12:00Z
LIVE = """\
apiVersion: broadcast.reconciler/v1
kind: RelayTask
metadata: {name: cup}
lifecycle: {onAirChange: POLICY}
schedule: {start: "START", end: "END"}
spec:
  source: {url: "http://pull.example.com/live/cup.flv"}
  destination: {url: "rtmp://push.example.com/live/cup"}
"""


def relay(start: str, end: str, *, policy: str = "defer", **edits: str) -> str:
    text = LIVE.replace("START", f"2026-11-21T{start}:00Z").replace("END", f"2026-11-21T{end}:00Z").replace("POLICY", policy)
    for old, new in edits.items():
        text = text.replace(old, new)
    return text


CUP = "RelayTask/cup"


def test_a_broadcast_is_made_ahead_runs_by_itself_and_is_satisfied_for_ever(tmp_path: Path) -> None:
    stage = Stage(tmp_path).write(relay("13:00", "14:00"))
    assert stage.apply().exit_code == 0
    for minutes in (30, 45, 40, 60 * 24, 60 * 24 * 30):
        stage.advance(minutes=minutes)
        assert stage.actions() == {}
    stage.write("# nothing is wanted any more\n")
    assert stage.calls().count("CreatePullToPushTask") == 1


def test_a_late_apply_joins_and_ends_as_declared(tmp_path: Path) -> None:
    stage = Stage(tmp_path).write(relay("11:00", "13:00"))
    assert stage.actions() == {CUP: "create"}
    stage.apply()
    assert stage.actions() == {}
    stage.advance(minutes=30)
    assert stage.actions() == {}


def test_a_change_on_air_waits_for_the_end_unless_somebody_names_it(tmp_path: Path) -> None:
    stage = Stage(tmp_path).write(relay("12:30", "14:00"))
    stage.apply()
    stage.advance(hours=1)
    stage.write(relay("12:30", "14:00", **{"live/cup.flv": "live/other.flv"}))
    assert stage.actions() == {CUP: "wait"}
    assert stage.apply().results == ()
    assert stage.actions(allow_on_air=(CUP,)) == {CUP: "update"}
    assert stage.apply(allow_on_air=(CUP,)).exit_code == 0
    assert stage.actions() == {}


def test_apply_is_blocked_until_named_and_refuse_stops_the_whole_plan(tmp_path: Path) -> None:
    stage = Stage(tmp_path).write(relay("12:30", "14:00", policy="apply"))
    stage.apply()
    stage.advance(hours=1)
    stage.write(relay("12:30", "14:00", policy="apply", **{"live/cup.flv": "live/other.flv"}))
    assert stage.actions() == {CUP: "blocked"}
    assert stage.apply().exit_code == 5
    stage.write(relay("12:30", "14:00", policy="refuse", **{"live/cup.flv": "live/other.flv"}))
    assert [change.refused for change in stage.plan().changes] == [True]
    with pytest.raises(Stopped, match="onAirChange: refuse"):
        stage.apply()
    assert "UpdatePullToPushTask" not in stage.calls()


@pytest.mark.parametrize(("policy", "expected"), [("apply", "update"), ("defer", "update"), ("refuse", "blocked")])
def test_more_air_time_is_given_at_once_because_waiting_would_cut_it_off(tmp_path: Path, policy: str, expected: str) -> None:
    stage = Stage(tmp_path).write(relay("12:30", "14:00", policy=policy))
    stage.apply()
    stage.advance(hours=1)
    stage.write(relay("12:30", "13:45", policy="defer"))
    assert stage.actions() == {CUP: "wait"}, "less air time is no such thing"
    stage.write(relay("12:30", "14:30", policy=policy))
    assert stage.actions() == {CUP: expected}
    if expected == "blocked":
        return
    stage.apply()
    assert stage.actions() == {}


def test_removing_what_is_on_air_waits_for_its_end_and_then_forgets(tmp_path: Path) -> None:
    stage = Stage(tmp_path).write(relay("12:30", "14:00"))
    stage.write(RELAY.replace("22T08", "28T08"), "other.yaml")
    stage.apply()
    stage.advance(hours=1)
    (tmp_path / "manifests.yaml").unlink()
    assert stage.actions() == {CUP: "wait"}
    stage.advance(hours=2)
    assert stage.actions() == {CUP: "forget"}
    stage.apply()
    assert stage.actions() == {}
    assert "DeletePullToPushTask" not in stage.calls()


def test_moving_an_ended_window_ahead_makes_it_again_once(tmp_path: Path) -> None:
    stage = Stage(tmp_path).write(relay("12:30", "13:00"))
    stage.apply()
    stage.advance(hours=2)
    stage.write(relay("15:00", "16:00"))
    assert stage.actions() == {CUP: "replace"}
    stage.apply()
    assert stage.actions() == {}


def test_a_window_beyond_the_horizon_waits(tmp_path: Path) -> None:
    stage = Stage(tmp_path).write(RELAY.replace("2026-11-22", "2026-12-22"))
    assert stage.actions() == {"RelayTask/morning-news": "wait"}
    stage.advance(days=20)
    assert stage.actions() == {"RelayTask/morning-news": "create"}


def test_a_disabled_relay_is_never_left_running(tmp_path: Path) -> None:
    stage = Stage(tmp_path).write(relay("13:00", "14:00") + "  enabled: false\n")
    stage.apply()
    assert stage.actions() == {}
    stage.write(relay("13:00", "14:00"))
    assert stage.actions() == {CUP: "start"}
    stage.apply()
    assert stage.actions() == {}
    stage.write(relay("13:00", "14:00") + "  enabled: false\n")
    assert stage.actions() == {CUP: "stop"}


def test_a_session_is_started_and_stopped_at_the_edges_of_its_window(tmp_path: Path) -> None:
    window = "schedule: {start: 2026-11-21T13:00:00Z, duration: 1h}\nlifecycle"
    stage = Stage(tmp_path).write(RECORDING.replace("lifecycle", window))
    name = "RecordingSession/town-hall"
    assert stage.actions() == {name: "wait"}
    stage.advance(minutes=61)
    assert stage.actions() == {name: "create"}
    stage.apply()
    assert stage.actions() == {}
    stage.advance(minutes=61)
    assert stage.actions() == {name: "stop"}
    stage.apply()
    assert stage.actions() == {}


def test_a_session_that_the_vendor_ended_is_left_or_started_again_under_a_new_id(tmp_path: Path) -> None:
    stage = Stage(tmp_path, switches={"rtc.unlisted_room": "silent"} if "rtc.unlisted_room" in known_switches() else {})
    stage.write(RECORDING.replace("maxDuration: 4h", "maxDuration: 10m"))
    stage.apply()
    stage.advance(minutes=20)
    assert stage.actions() == {}
    stage.write(RECORDING.replace("maxDuration: 4h", "maxDuration: 10m").replace("onAirChange: apply", "onEnd: restart"))
    assert stage.actions() == {"RecordingSession/town-hall": "start"}
    stage.apply()
    assert stage.actions() == {}
    assert [call.body["TaskId"] for call in stage.world.log if call.action == "StartRecord"] == ["town-hall", "town-hall.2"]


def known_switches() -> set[str]:
    from reconciler.emulator.core import World

    return set(World().known_switches())


def test_a_twin_blocks_and_import_adopts_it(tmp_path: Path) -> None:
    titled = relay("13:00", "14:00").replace("spec:\n", "spec:\n  title: cupfinal\n")
    stage = Stage(tmp_path).write(titled)
    stage.apply()
    forget_everything(stage)
    assert stage.actions() == {CUP: "blocked"}
    stage.run(lambda engine: engine.adopt(Address("RelayTask", "cup")))
    assert stage.actions() == {}


def test_import_refuses_what_is_not_there(tmp_path: Path) -> None:
    stage = Stage(tmp_path).write(relay("13:00", "14:00"))
    with pytest.raises(UsageError, match="no live object"):
        stage.run(lambda engine: engine.adopt(Address("RelayTask", "cup"), "0123"))


def test_a_lost_ledger_finds_our_own_marks_again(tmp_path: Path) -> None:
    stage = Stage(tmp_path).write(relay("13:00", "14:00"))
    stage.apply()
    forget_everything(stage)
    assert stage.actions() == {CUP: "adopt"}
    stage.apply()
    assert stage.actions() == {}
    assert stage.calls().count("CreatePullToPushTask") == 1


def forget_everything(stage: Stage) -> None:
    for path in (stage.root / ".reconciler").glob("state.db*"):
        path.unlink()


def test_a_rename_is_an_update_and_no_delete(tmp_path: Path) -> None:
    stage = Stage(tmp_path).write(relay("13:00", "14:00"))
    stage.apply()
    stage.write(relay("13:00", "14:00").replace("{name: cup}", "{name: final, renamedFrom: cup}"))
    assert stage.actions() == {"RelayTask/final": "update"}
    stage.apply()
    assert stage.actions() == {}
    assert [str(address) for address in stage.ledger().entries()] == ["RelayTask/final"]
    assert "DeletePullToPushTask" not in stage.calls()


def test_out_of_band_edits_are_drift_and_are_put_right(tmp_path: Path) -> None:
    stage = Stage(tmp_path).write(relay("13:00", "14:00"))
    stage.apply()
    (entry,) = stage.ledger().entries().values()
    assert entry.window is not None
    assert entry.window.end is not None
    body = {
        "TaskId": entry.id,
        "Type": 0,
        "Title": entry.identity.split("/")[1],
        "SrcAddr": "http://elsewhere.example.com/x.flv",
        "DstAddr": "rtmp://push.example.com/live/cup",
        "StartTime": unix_seconds(entry.window.start),
        "EndTime": unix_seconds(entry.window.end),
    }
    with Transports({}, stage.env, home=tmp_path, clock=stage.clock, read_only=False, client=stage.http) as console:
        console("default", "volcengine-live").send(Call("volcengine-live", "UpdatePullToPushTask", body=body))
    plan = stage.plan()
    assert [field.path for change in plan.drift for field in change.fields] == ["spec.source.url"]
    stage.apply()
    assert stage.actions() == {}


def test_what_comes_first_failing_keeps_its_dependents_from_starting(tmp_path: Path) -> None:
    second = relay("13:00", "14:00").replace("{name: cup}", "{name: studio, dependsOn: [RelayTask/cup]}").replace("live/cup", "live/two")
    stage = Stage(tmp_path).write(relay("13:00", "14:00") + "---\n" + second)
    stage.world.faults.add([{"action": "CreatePullToPushTask", "when": "before", "fault": "403"}])
    report = stage.apply()
    assert {str(result.change.address): result.outcome for result in report.results} == {
        "RelayTask/cup": Outcome.FAILED,
        "RelayTask/studio": Outcome.NOT_STARTED,
    }
    assert stage.apply().exit_code == 0


@pytest.mark.parametrize(("owned", "gone", "expected"), [(12, 3, 0), (12, 4, 5), (9, 8, 0)], ids=["30 %", "above it", "below the floor"])
def test_the_delete_guard(tmp_path: Path, owned: int, gone: int, expected: int) -> None:
    def many(count: int) -> str:
        one = relay("13:00", "14:00")
        return "---\n".join(one.replace("{name: cup}", f"{{name: cup-{n}}}").replace("live/cup", f"live/cup{n}") for n in range(count))

    stage = Stage(tmp_path).write(many(owned))
    stage.apply()
    stage.write(many(owned - gone))
    if expected:
        with pytest.raises(Stopped, match="--allow-delete 4"):
            stage.apply()
        assert stage.apply(allow_delete=4).exit_code == 0
    else:
        assert stage.apply().exit_code == 0


def test_a_plan_is_refused_when_another_run_came_between(tmp_path: Path) -> None:
    stage = Stage(tmp_path).write(relay("13:00", "14:00"))

    def work(engine: Engine) -> object:
        plan = engine.plan()
        stage.apply()
        with pytest.raises(Exception, match="ledger changed"):
            engine.apply(plan, Options())
        return plan

    stage.run(work)
    assert stage.calls().count("CreatePullToPushTask") == 1


def test_targets_leave_everything_else_alone(tmp_path: Path) -> None:
    stage = Stage(tmp_path).write(relay("13:00", "14:00"))
    stage.apply()
    stage.write(RELAY)
    assert stage.actions(targets=("RelayTask/morning-news",)) == {"RelayTask/morning-news": "create"}
    assert stage.actions(prune=False) == {"RelayTask/morning-news": "create"}
    assert stage.actions(whole=False) == {"RelayTask/morning-news": "create"}
    assert stage.actions(targets=(CUP,)) == {CUP: "delete"}
    assert stage.actions() == {CUP: "delete", "RelayTask/morning-news": "create"}


def test_protection_outlives_its_manifest(tmp_path: Path) -> None:
    stage = Stage(tmp_path).write(relay("13:00", "14:00", **{"onAirChange: defer": "protect: true"}))
    stage.write(RELAY, "other.yaml")
    stage.apply()
    (tmp_path / "manifests.yaml").unlink()
    blocked = [change for change in stage.plan().changes if change.action is Action.BLOCKED]
    assert [(str(change.address), change.wanted) for change in blocked] == [(CUP, Action.DELETE)]


def session(day: int, start: str, end: str) -> str:
    block = f'schedule: {{start: "2026-11-{day}T{start}:00Z", end: "2026-11-{day}T{end}:00Z"}}\n'
    return RECORDING.replace("lifecycle: {onAirChange: apply}\n", block)


def test_a_session_that_is_over_is_started_again_in_the_window_it_was_moved_to(tmp_path: Path) -> None:
    stage = Stage(tmp_path).write(session(21, "12:00", "13:00"))
    stage.apply()
    stage.advance(minutes=61)
    stage.apply()
    stage.write(session(22, "12:00", "13:00"))
    assert list(stage.actions().values()) == ["wait"]
    stage.advance(minutes=60 * 23)
    stage.apply()
    assert stage.actions() == {}
    assert stage.calls().count("StartRecord") == 2


def test_a_session_moved_while_it_runs_is_stopped_with_its_old_window_and_started_in_the_new_one(tmp_path: Path) -> None:
    stage = Stage(tmp_path).write(session(21, "12:00", "13:00"))
    stage.apply()
    stage.write(session(21, "15:00", "16:00"))
    assert list(stage.actions().values()) == ["wait"]
    for minutes, writes in ((61, ["StopRecord"]), (120, ["StartRecord"]), (60, ["StopRecord"])):
        before = len(stage.calls())
        stage.advance(minutes=minutes)
        stage.apply()
        assert stage.calls()[before:] == writes
        assert "stop" not in stage.actions().values()


def test_a_session_whose_window_was_extended_runs_until_its_new_end_and_then_stays_ended(tmp_path: Path) -> None:
    stage = Stage(tmp_path).write(session(21, "12:00", "12:30"))
    stage.apply()
    stage.write(session(21, "12:00", "14:00"))
    stage.apply()  # nothing changes at the vendor; the ledger learns the new end
    stage.advance(minutes=60)
    stage.world.data["rtc"]["runs"]["record/661e0000000000000000543c/Room1/town-hall"][0]["stopping"] = stage.world.clock.now_ms()
    stage.advance(minutes=1)
    assert stage.actions() == {}  # somebody stopped it inside its window, and onEnd says leave


def test_sessions_with_the_same_names_one_after_the_other(tmp_path: Path) -> None:
    later = session(21, "13:00", "14:00").replace("name: town-hall", "name: late-show") + "  taskId: town-hall\n"
    last = session(21, "14:00", "15:00").replace("name: town-hall", "name: night-show") + "  taskId: town-hall\n"
    stage = Stage(tmp_path).write("---\n".join([session(21, "12:00", "13:00"), later, last]))
    stage.apply()
    for expected in (["StopRecord", "StartRecord"], ["StopRecord", "StartRecord"], ["StopRecord"]):
        before = len(stage.calls())
        stage.advance(minutes=61 if before == 1 else 60)
        assert stage.apply().exit_code == 0
        assert stage.calls()[before:] == expected
        assert set(stage.actions().values()) <= {"wait"}
    assert sorted(key.rpartition("/")[2] for key in stage.world.data["rtc"]["runs"]) == ["town-hall", "town-hall.2", "town-hall.3"]


def starts(stage: Stage) -> list[int]:
    return [task["body"]["StartTime"] for task in stage.world.data["live"]["tasks"].values()]


def test_a_relay_moved_to_a_later_day_is_not_carried_on_until_then(tmp_path: Path) -> None:
    stage = Stage(tmp_path).write(relay("11:00", "13:00"))
    stage.apply()
    stage.write(relay("15:00", "16:00"))
    assert stage.actions() == {CUP: "wait"}
    stage.advance(minutes=61)
    assert stage.actions() == {CUP: "replace"}
    stage.apply()
    assert stage.actions() == {}
    assert starts(stage) == [unix_seconds(NOW) + 3 * 3600]


def test_a_stopped_relay_moved_to_a_later_window_does_not_go_on_air_before_it(tmp_path: Path) -> None:
    stage = Stage(tmp_path).write(relay("11:00", "13:00") + "  enabled: false\n")
    stage.apply()
    stage.write(relay("15:00", "16:00"))
    stage.apply()
    assert starts(stage) == [unix_seconds(NOW) + 3 * 3600]
    assert stage.actions() == {}


def test_no_plan_is_valid_for_more_than_a_day(tmp_path: Path) -> None:
    stage = Stage(tmp_path).write(relay("13:00", "14:00"))
    stage.apply()
    stage.write(relay("13:00", "14:00").replace("2026-11-21", "2026-12-21"))
    plan = stage.plan()
    assert plan.changes[0].action is Action.UPDATE
    assert plan.valid_until == plan.generated_at + timedelta(days=1)
