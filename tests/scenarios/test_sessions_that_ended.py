"""Sessions that the vendor ended inside their window, once and again, with answers and ledgers that were lost on the way."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from reconciler.emulator import rtc
from reconciler.model import Address
from tests.scenarios.stage import Stage

SESSION = """\
apiVersion: broadcast.reconciler/v1
kind: {kind}
metadata: {{name: hall}}
{schedule}lifecycle: {{onEnd: {on_end}}}
spec:
  appId: 661e0000000000000000543c
  roomId: Room1
  storage: {{tos: {{accountId: "2100000990", region: cn-beijing, bucket: b}}}}
"""
WINDOW = 'schedule: {start: "2026-11-21T11:00:00Z", end: "2026-11-21T20:00:00Z"}\n'
STARTS = {"RecordingSession": "StartRecord", "SegmentSession": "StartSegment"}

kinds = pytest.mark.parametrize("kind", STARTS)
windows = pytest.mark.parametrize("schedule", [WINDOW, ""], ids=["within a window", "without one"])


def begun(root: Path, kind: str, on_end: str, schedule: str) -> Stage:
    stage = Stage(root).write(SESSION.format(kind=kind, on_end=on_end, schedule=schedule))
    _publish(stage, {"UserId": "host", "StreamType": 0})
    return stage


def _publish(stage: Stage, *streams: dict[str, object]) -> None:
    rtc.fixtures(stage.world, {"rooms": {"Room1": {"streams": list(streams)}}})


def fall_silent(stage: Stage) -> None:
    """Long enough for the vendor to end what runs there; then somebody publishes again."""
    _publish(stage)
    stage.advance(minutes=10)
    stage.world.changed()
    _publish(stage, {"UserId": "host", "StreamType": 0})


def lose_the_ledger(stage: Stage) -> None:
    shutil.rmtree(stage.root / ".reconciler")


def started(stage: Stage) -> list[str]:
    """The TaskIds of every start that the vendor carried out, in order."""
    return [call.body["TaskId"] for call in stage.world.log if call.action in STARTS.values() and call.effect]


@kinds
@windows
def test_a_lost_answer_does_not_make_it_start_again(tmp_path: Path, kind: str, schedule: str) -> None:
    stage = begun(tmp_path, kind, "leave", schedule)
    stage.world.faults.add([{"action": STARTS[kind], "when": "after", "fault": "reset"}])
    assert stage.apply().exit_code == 7
    fall_silent(stage)
    assert stage.actions() == {}
    stage.apply()
    assert stage.actions() == {}
    assert started(stage) == ["hall"]


@kinds
@windows
def test_a_ledger_made_again_knows_that_it_is_to_be_left(tmp_path: Path, kind: str, schedule: str) -> None:
    stage = begun(tmp_path, kind, "leave", schedule)
    stage.apply()
    fall_silent(stage)
    lose_the_ledger(stage)
    stage.run(lambda engine: engine.rebuild())
    assert stage.actions() == {}
    assert started(stage) == ["hall"]


@kinds
@windows
def test_an_id_is_never_started_again_not_even_when_the_ledger_is_lost(tmp_path: Path, kind: str, schedule: str) -> None:
    stage = begun(tmp_path, kind, "restart", schedule)
    for lost in (False, False, True, True):
        stage.apply()
        assert stage.actions() == {}
        fall_silent(stage)
        if lost:
            lose_the_ledger(stage)
    stage.apply()
    assert started(stage) == ["hall", "hall.2", "hall.3", "hall.4", "hall.5"]
    assert stage.world.ledger.most() == 1


@kinds
@pytest.mark.parametrize("how", ["import", "rebuild"])
def test_what_runs_under_a_later_number_is_seen_without_a_ledger(tmp_path: Path, kind: str, how: str) -> None:
    stage = begun(tmp_path, kind, "restart", WINDOW)
    stage.apply()
    fall_silent(stage)
    stage.apply()
    lose_the_ledger(stage)
    address = Address(kind, "hall")
    assert stage.actions() == {str(address): "blocked"}
    running = "661e0000000000000000543c/Room1/hall.2"
    stage.run(lambda engine: engine.adopt(address, running) if how == "import" else engine.rebuild())
    assert stage.actions() == {}
    fall_silent(stage)
    stage.apply()
    assert started(stage) == ["hall", "hall.2", "hall.3"]
