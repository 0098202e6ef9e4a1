"""What the READMEs tell a stranger to type is typed here, word for word; only the port is a free one."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def block(file: str, begin: str) -> str:
    """The fenced block that starts with the line `begin`."""
    return (ROOT / file).read_text(encoding="utf-8").split(f"```\n{begin}", 1)[1].split("```", 1)[0]


def typed(text: str, folder: Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """The lines as a shell takes them, one after the other, in an environment that knows nothing of ours."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        text = text.replace("8686", str(free.getsockname()[1]))
    head, _, tail = text.partition("&\n")  # the stranger reads the address before going on
    ready = f"until reconciler version >/dev/null && curl -s -o /dev/null {_url(text)}/_emulator/state; do sleep 0.2; done\n"
    env = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(folder)}
    script = f"set -em\n{head}&\ntrap 'kill $! 2>/dev/null' EXIT\n{ready}{tail}"
    return subprocess.run(
        ["bash", "-c", script], cwd=folder, env=env, input=stdin, capture_output=True, text=True, timeout=180, check=False
    )


def _url(text: str) -> str:
    return next(word.partition("=")[2] for word in text.split() if word.startswith("RECONCILER_LIVE_ENDPOINT="))


needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl tells when the emulator is there")


@needs_curl
def test_the_first_steps_of_the_readme(tmp_path: Path) -> None:
    done = typed(block("README.md", ". .venv/bin/activate\n"), tmp_path, stdin="yes\n")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "complete: 1 created." in done.stdout


@needs_curl
def test_every_story_is_applied_as_the_examples_readme_says(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    done = typed(block("examples/README.md", ". .venv/bin/activate\n"), tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" complete: ") == 6


def test_the_readme_of_the_examples_knows_every_story() -> None:
    told = (ROOT / "examples/README.md").read_text(encoding="utf-8")
    stories = {path.parent.name for path in (ROOT / "examples").glob("*/reconciler.yaml")}
    assert {name for name in stories if f"]({name})" not in told} == set()
