"""The protocol as a model: every crash point of the code is a transition of it, and a model checker goes through all its states."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from reconciler.crash import POINTS

MODEL = Path(__file__).parents[2] / "models" / "protocol.pml"
TWO = "two objects at one time"


def labels() -> list[str]:
    text = re.sub(r"/\*.*?\*/", "", MODEL.read_text("utf-8"), flags=re.DOTALL)
    return re.findall(r"^(\w+):", text, re.MULTILINE)


def test_every_crash_point_is_a_transition_of_the_model() -> None:
    found = labels()
    assert len(found) == len(set(found))
    assert {point.replace(".", "_") for point in POINTS} <= set(found)


def test_the_model_has_no_transition_of_a_point_that_is_gone() -> None:
    known = {point.replace(".", "_") for point in POINTS}
    assert {label for label in labels() if label.startswith(("ledger_", "courier_", "engine_"))} <= known


def checked(folder: Path, *settings: str) -> tuple[int, int]:
    """(errors, states) of an exhaustive search."""
    for tool in ("spin", "gcc"):
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not installed: apt-get install spin gcc")
    defines = [f"-D{setting}" for setting in settings]
    subprocess.run(["spin", *defines, "-a", str(MODEL)], cwd=folder, check=True, capture_output=True, timeout=60)
    subprocess.run(["gcc", "-O2", "-w", "-o", "pan", "pan.c"], cwd=folder, check=True, capture_output=True, timeout=120)
    said = subprocess.run(["./pan", "-a", "-m1000000"], cwd=folder, check=True, capture_output=True, text=True, timeout=600).stdout
    errors, states = re.search(r"errors: (\d+)", said), re.search(r"(\d+) states, stored", said)
    assert errors is not None, said
    assert states is not None, said
    assert "max search depth too small" not in said
    return int(errors[1]), int(states[1])


@pytest.mark.long
@pytest.mark.parametrize("settings", [(), ("KILLS=2", "THEFTS=2", "DROPS=2", "DELAYS=2")], ids=["one of each", "two of each"])
def test_never_two(tmp_path: Path, settings: tuple[str, ...]) -> None:
    errors, states = checked(tmp_path, *settings)
    assert errors == 0
    assert states > 1_000_000
    print(f"{states} states, never two")


@pytest.mark.long
@pytest.mark.parametrize("rule", ["FENCE", "HORIZON", "JOURNAL"])
def test_each_rule_is_needed(tmp_path: Path, rule: str) -> None:
    errors, _ = checked(tmp_path, f"{rule}=0")
    assert errors > 0, f"without {rule} there are still never {TWO}: the model proves nothing"
