"""A ledger that was lost comes back from the manifests and from what is live."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Command, Emulated, relay


@pytest.fixture
def lost(project: Path, emulated: Emulated, reconciler: Command) -> Path:
    """Two relays are live, one of them under a title of ours alone, and the ledger is gone."""
    unmarked = relay("evening").replace("  title: 早间新闻\n", "")
    (project / "manifests/a.yaml").write_text(relay("morning") + "---\n" + unmarked, encoding="utf-8")
    assert reconciler("apply", "--auto-approve").code == 0
    shutil.rmtree(project / ".reconciler")
    return project


def test_everything_is_taken_in_again(lost: Path, reconciler: Command) -> None:
    said = reconciler("state", "rebuild")
    assert said.code == 0
    assert "= RelayTask/evening  id " in said.out
    assert "= RelayTask/morning  id " in said.out
    assert "2 objects taken in again; none to be changed." in said.out
    assert reconciler("plan", "--detailed-exitcode").code == 0
    assert "0 objects taken in again" in reconciler("state", "rebuild").out, "a second time there is nothing to do"


def test_what_differs_is_not_taken_on_trust(lost: Path, reconciler: Command) -> None:
    path = lost / "manifests/a.yaml"
    path.write_text(path.read_text("utf-8").replace("live/morning.flv", "live/another.flv"), encoding="utf-8")
    said = reconciler("state", "rebuild", "-o", "json").json
    assert [one["address"] for one in said["rebuilt"]] == ["RelayTask/evening"]
    assert said["differ"] == ["RelayTask/morning"]
