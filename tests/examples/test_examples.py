"""Every example is run as a reader would run it: the real command, real HTTP on loopback, the emulator for the vendors."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconciler.emulator import control
from reconciler.emulator.core import Clock, World, instant_ms
from reconciler.emulator.server import running

EXAMPLES = Path(__file__).parents[2] / "examples"
STORIES = sorted(path.parent.name for path in EXAMPLES.glob("*/reconciler.yaml"))
NOW = "2026-11-21T11:30:00Z"  # the day before the examples' broadcasts, half an hour into the webinar
SECRETS = {"PUSH_KEY": "k1", "S3_KEY": "AKIA1", "S3_SECRET": "s1"}

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def vendors() -> Iterator[str]:
    quick = {"livepeer.queue_seconds": "0", "livepeer.clip_seconds": "0"}
    world = World(clock=Clock(start_ms=instant_ms(NOW)), switches=quick)
    control.sow(world, "default")
    with running(world) as url:
        yield url


@pytest.fixture
def reconciler(vendors: str, tmp_path: Path) -> Command:
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "RECONCILER_NOW": NOW,
        "RECONCILER_LIVE_ENDPOINT": vendors,
        "RECONCILER_RTC_ENDPOINT": vendors,
        "RECONCILER_LIVEPEER_ENDPOINT": f"{vendors}/api",
        "VOLCENGINE_ACCESS_KEY": "AKLTEMULATOR",
        "VOLCENGINE_SECRET_KEY": "emulator-secret",
        "LIVEPEER_API_KEY": "lp-emulator-key",
        **SECRETS,
    }

    def run(*arguments: str, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "reconciler", *arguments]
        done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120, check=False)
        assert done.returncode == code, f"{arguments} exited {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    return run


@pytest.mark.parametrize("story", STORIES)
def test_the_story_runs_from_validate_to_destroy(story: str, reconciler: Command, tmp_path: Path) -> None:
    folder = tmp_path / story
    shutil.copytree(EXAMPLES / story, folder)
    reconciler("validate", cwd=folder)
    reconciler("plan", "--detailed-exitcode", cwd=folder, code=2)
    reconciler("apply", "--auto-approve", cwd=folder)
    again = json.loads(reconciler("plan", "-o", "json", "--detailed-exitcode", cwd=folder).stdout)
    assert again["summary"]["unchanged"] >= 1
    owned = reconciler("state", "list", cwd=folder).stdout
    for address in re.findall(r"[A-Z]\w+/[a-z0-9-]+", owned):
        assert address.split("/")[1] in "".join(path.read_text() for path in folder.glob("manifests/*.yaml"))
    protected = story == "relay"  # its cup final may not be deleted
    flags = [f"--allow-on-air={address}" for address in re.findall(r"\w+Session/[a-z0-9-]+", owned)]
    reconciler("destroy", "--auto-approve", *flags, cwd=folder, code=5 if protected else 0)
    if protected:
        manifest = folder / "manifests" / "cup.yaml"
        manifest.write_text(manifest.read_text().replace("protect: true", "protect: false"))
        reconciler("apply", "--auto-approve", cwd=folder)
        reconciler("destroy", "--auto-approve", cwd=folder)
    assert "owns nothing" in reconciler("state", "list", cwd=folder).stdout


def test_a_second_environment_is_another_workspace(reconciler: Command, tmp_path: Path) -> None:
    folder = tmp_path / "ci-preview"
    shutil.copytree(EXAMPLES / "ci-preview", folder)
    settings = folder / "reconciler.yaml"
    settings.write_text(re.sub(r"\n    state: postgresql.*", "", settings.read_text()))
    reconciler("apply", "--auto-approve", cwd=folder)
    plan = json.loads(reconciler("plan", "-e", "production", "-o", "json", cwd=folder).stdout)
    assert (plan["workspace"], plan["environment"]) == ("ci-production", "production")
    assert [change["action"] for change in plan["changes"]] == ["create"]
    assert "push.example.com" in json.dumps(plan["changes"][0]["after"])


def test_the_preview_makes_a_comment_annotations_and_a_plan_that_is_applied_once(reconciler: Command, tmp_path: Path) -> None:
    folder = tmp_path / "ci-preview"
    shutil.copytree(EXAMPLES / "ci-preview", folder)
    flags = ("--detailed-exitcode", "--out", "plan.json", "--report", "github", "--report", "markdown=plan.md")
    reconciler("plan", *flags, cwd=folder, code=2)
    comment = (folder / "plan.md").read_text()
    assert comment.startswith("<!--")
    assert "RelayTask/channel-one" in comment
    reconciler("apply", "plan.json", cwd=folder)
    refused = reconciler("apply", "plan.json", cwd=folder, code=6)
    assert "plan" in refused.stderr
