"""Create, settle, change, remove: every kind through the whole loop, under every value of every switch of the emulator."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.emulator.core import World
from reconciler.errors import Rejected
from tests.scenarios.manifests import EDITS, KINDS, ON_AIR, RECORDING, S3
from tests.scenarios.stage import Stage


def switch_values() -> list[tuple[str, str]]:
    """Every switch of the vendors' unknowns with every value, once."""
    quiet = {"rate_limits"}
    return [
        (name, value)
        for name, switch in World().known_switches().items()
        for value in switch.values
        if name.split(".", 1)[1] not in quiet and (name, value) != ("rtc.unknown_app", "reject")
    ]


@pytest.mark.parametrize("name", KINDS)
def test_one_kind_through_the_whole_loop(tmp_path: Path, name: str) -> None:
    stage = Stage(tmp_path, env=S3).write(KINDS[name])
    assert list(stage.actions().values()) == ["create"]
    assert stage.apply().exit_code == 0
    assert stage.actions() == {}

    before, after = EDITS[name]
    stage.write(KINDS[name].replace(before, after))
    assert list(stage.actions().values()) == ["update"]
    assert stage.apply().exit_code == 0
    assert stage.actions() == {}

    report = stage.apply(destroy=True, allow_on_air=ON_AIR)
    assert report.exit_code == 0
    assert stage.ledger().entries() == {}
    assert stage.apply().exit_code == 0, "what was removed can be made again"


NEVER_READY = {  # here the vendor refuses, or never finishes, so something rightly stays to be done
    ("livepeer.clip_outcome", "failed"): {"Clip/goal-78": "replace"},
    ("livepeer.clip_outcome", "stuck-waiting"): {"Clip/goal-78": "update"},
    ("livepeer.clip_outcome", "stuck-processing"): {"Clip/goal-78": "update"},
    ("livepeer.create_crash", "enqueue"): {"Clip/goal-78": "replace"},
    ("livepeer.create_crash", "before-task"): {"Clip/goal-78": "replace"},
}


@pytest.mark.parametrize(("switch", "value"), switch_values(), ids=lambda part: str(part))
def test_after_apply_the_plan_is_empty_whatever_the_vendors_turn_out_to_do(tmp_path: Path, switch: str, value: str) -> None:
    stage = Stage(tmp_path, env=S3, switches={switch: value})
    stage.write("---\n".join(KINDS.values()))
    stage.apply()
    stage.advance(minutes=3)
    stage.apply()
    assert stage.actions() == NEVER_READY.get((switch, value), {})


def test_an_app_that_is_not_there_fails_the_plan_and_is_named(tmp_path: Path) -> None:
    stage = Stage(tmp_path, env=S3, switches={"rtc.unknown_app": "reject"}).write(RECORDING)
    with pytest.raises(Rejected, match="AppId does not exist"):
        stage.plan()
