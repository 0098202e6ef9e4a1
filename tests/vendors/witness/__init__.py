"""Independent clients as witnesses: installed once into a cache folder, driven line by line through a small script each.

RECONCILER_WITNESS_DIR names the cache folder (default: `.witness` in the repository). A witness that cannot be had is
skipped with the reason; with RECONCILER_WITNESS=require that is a failure.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import venv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest

HERE = Path(__file__).resolve().parent
INSTALL_SECONDS = 300
ANSWER_SECONDS = 60
LIVEPEER_PYTHON = "livepeer==0.3.0"


def cache() -> Path:
    """The folder that keeps the installed clients."""
    named = os.environ.get("RECONCILER_WITNESS_DIR")
    return Path(named).resolve() if named else HERE.parents[2] / ".witness"


def missing(reason: str) -> NoReturn:
    """No witness: skip, or fail when witnesses are required."""
    if os.environ.get("RECONCILER_WITNESS") == "require":
        pytest.fail(f"a witness is required, but {reason}", pytrace=False)
    pytest.skip(reason)


def python_with(requirement: str) -> Path:
    """The Python of a virtual environment of its own that holds `requirement` (the client pins old libraries)."""
    home = cache() / f"python-{sys.version_info.major}.{sys.version_info.minor}-{requirement.replace('==', '-')}"
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    with _alone(home):
        if not (home / "complete").exists():
            shutil.rmtree(home, ignore_errors=True)
            venv.create(home, with_pip=True)
            _install([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement], home)
    return python


def node_modules() -> Path:
    """The folder in which node finds the packages of package.json."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        missing("node and npm are not there; install Node.js 18 or later")
    wanted = (HERE / "package.json").read_bytes()
    home = cache() / f"node-{hashlib.sha256(wanted).hexdigest()[:12]}"
    with _alone(home):
        if not (home / "complete").exists():
            shutil.rmtree(home, ignore_errors=True)
            home.mkdir(parents=True)
            (home / "package.json").write_bytes(wanted)
            quiet = ["--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--loglevel=error"]
            _install(["npm", "install", *quiet], home)
    return home / "node_modules"


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """One test process installs, the others wait for it."""
    home.parent.mkdir(parents=True, exist_ok=True)
    with home.with_name(home.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _install(command: Sequence[str], home: Path) -> None:
    try:
        done = subprocess.run(command, cwd=home, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        missing(f"{command[0]} did not finish within {INSTALL_SECONDS} s")
    if done.returncode:
        told = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["it said nothing"]
        missing(f"{' '.join(command[:4])} failed: {told[0]}")
    (home / "complete").touch()


class Witness:
    """A running client. `ask` sends one call and returns what the client made of the answer: `status`, and `body` as its
    models have it; or `raised`, the name of its exception, with `status` and `body` when the client tells them."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, call: str, *args: Any, **named: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"call": call, "args": args, "named": named}) + "\n")
        self._process.stdin.flush()
        watchdog = threading.Timer(ANSWER_SECONDS, self._process.kill)
        watchdog.start()
        line = self._process.stdout.readline()
        watchdog.cancel()
        if not line:
            raise AssertionError(f"the witness died on {call}")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def in_the_stand(command: Sequence[str | Path], settings: Mapping[str, Any], **env: str) -> Iterator[Witness]:
    """Run a driver; its settings go in as the first line. Proxies of this machine are kept out."""
    clean = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    process = subprocess.Popen(
        [str(each) for each in command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**clean, **env},
    )
    with process:
        assert process.stdin is not None
        process.stdin.write(json.dumps(settings) + "\n")
        process.stdin.flush()
        try:
            yield Witness(process)
        finally:
            process.stdin.close()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
