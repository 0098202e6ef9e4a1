"""`--untrusted`: a stranger's change is checked and shown, and nothing of ours is within its reach."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.conftest import Command, relay

HOSTILE = """\
apiVersion: broadcast.reconciler/v1
kind: SegmentSession
metadata: {name: moderation}
spec:
  appId: 661e0000000000000000543c
  roomId: Room1
  streams: [{user: host, type: camera}]
  storage:
    custom: {vendor: amazonS3, region: us-east-1, bucket: b, accessKey: {fromEnv: AWS_ACCESS_KEY}, secretKey: {fromFile: fifo}}
"""
CANARY = "canary-of-the-operator"


@pytest.fixture
def hostile(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every reference leads to something that must not be touched: a variable of the operator's, a pipe that would hang a reader."""
    (project / "manifests/a.yaml").write_text(relay("a"), encoding="utf-8")
    (project / "manifests/b.yaml").write_text(HOSTILE, encoding="utf-8")
    os.mkfifo(project / "fifo")
    for name in ("PUSH_KEY", "AWS_ACCESS_KEY", "VOLCENGINE_ACCESS_KEY", "VOLCENGINE_SECRET_KEY", "LIVEPEER_API_KEY"):
        monkeypatch.setenv(name, CANARY)
    monkeypatch.setenv("RECONCILER_LIVE_ENDPOINT", "http://127.0.0.1:1")
    return project


@pytest.mark.parametrize("command", ["validate", "plan"])
@pytest.mark.parametrize("output", ["text", "json", "markdown", "html"])
def test_nothing_of_the_operators_is_read(hostile: Path, reconciler: Command, command: str, output: str) -> None:
    said = reconciler(command, "--untrusted", "-vv", "-o", output)
    assert said.code == 0, said.err
    assert CANARY not in said.out + said.err
    assert not (hostile / ".reconciler").exists(), "no ledger"


def test_plan_shows_the_declared_side_and_says_that_live_is_unread(hostile: Path, reconciler: Command) -> None:
    said = reconciler("plan", "--untrusted")
    assert said.out.splitlines()[0].startswith("  ? RelayTask/a  manifests/a.yaml:1")
    assert "live is unread" in said.out
    assert said.out.splitlines()[-2:] == [
        "2 resources declared and valid.",
        "Untrusted: live state, ledger, environment and file references were not read.",
    ]


def test_mistakes_are_still_mistakes(hostile: Path, reconciler: Command) -> None:
    (hostile / "manifests/a.yaml").write_text(relay("a", end="2026-11-21T07:00:00+08:00"), encoding="utf-8")
    assert reconciler("plan", "--untrusted").code == 65


@pytest.mark.parametrize("more", [["--out", "p.json"], ["--detailed-exitcode"], ["--allow-env", "*"], ["--destroy"]])
def test_what_needs_trust_is_refused(hostile: Path, reconciler: Command, more: list[str]) -> None:
    said = reconciler("plan", "--untrusted", *more)
    assert (said.code, more[0] in said.err) == (64, True)
