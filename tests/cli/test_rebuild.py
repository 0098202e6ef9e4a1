"""A ledger that was lost comes back from the manifests and from what is live."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
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


def damaged(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def unformatted(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("DELETE FROM schema_version")
        db.commit()


def misspelt(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE entries SET body = replace(body, 'default', 'defaults')")
        db.commit()


@pytest.mark.parametrize("harm", [damaged, emptied, unformatted, misspelt])
def test_the_next_step_after_damage_does_what_it_says(harm: Callable[[Path], None], relays: Path, reconciler: Command) -> None:
    assert reconciler("apply", "--auto-approve").code == 0
    state = relays / ".reconciler/state.db"
    harm(state)
    harmed = state.read_bytes()
    refused = reconciler("plan")
    assert (refused.code, refused.err.splitlines()[-1]) == (1, "Next: reconciler state rebuild")
    said = reconciler("state", "rebuild")
    assert (said.code, said.out.splitlines()[0][:15]) == (0, "= RelayTask/a  ")
    assert f"the damaged ledger is kept as {state}.damaged-1" in said.err
    assert (relays / ".reconciler/state.db.damaged-1").read_bytes() == harmed
    assert reconciler("plan", "--detailed-exitcode").code == 0


def test_wrong_manifests_are_told_of_before_a_damaged_ledger_is_set_aside(relays: Path, reconciler: Command) -> None:
    assert reconciler("apply", "--auto-approve").code == 0
    emptied(relays / ".reconciler/state.db")
    (relays / "manifests/a.yaml").write_text("kind: Nothing\n", encoding="utf-8")
    assert reconciler("state", "rebuild").code == 65
    assert [path.name for path in (relays / ".reconciler").glob("state.db*")] == ["state.db"]


def test_a_link_that_leads_nowhere_is_no_fault_of_ours(relays: Path, reconciler: Command) -> None:
    (relays / ".reconciler").mkdir()
    (relays / ".reconciler/state.db").symlink_to("elsewhere/state.db")
    said = reconciler("apply", "--auto-approve")
    assert (said.code, said.err.splitlines()[0][-55:]) == (1, "set state: in reconciler.yaml to the file that is meant")
