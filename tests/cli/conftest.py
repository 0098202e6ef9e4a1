"""The real command, in this process or as one of its own, against the emulator on loopback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli import run

NOW = "2026-11-20T13:40:00Z"

RELAY = """\
apiVersion: broadcast.reconciler/v1
kind: RelayTask
metadata: {{name: {name}}}
schedule: {{start: {start}, end: {end}}}
spec:
  title: {title}
  source: {{url: {source}}}
  destination: {{url: "rtmp://push.example.com/live/{name}?key=${{env:PUSH_KEY}}"}}
"""

SESSION = """\
apiVersion: broadcast.reconciler/v1
kind: SegmentSession
metadata: {name: mod}
spec:
  appId: 661e0000000000000000543c
  roomId: Room1
  taskId: mod
  storage: {tos: {accountId: "2100000990", region: cn-beijing, bucket: my-bucket}}
"""

SECRET = "sk-live-4711-xyz"


def relay(name: str, **more: str) -> str:
    facts = {"start": "2026-11-21T08:00:00+08:00", "end": "2026-11-21T10:00:00+08:00", "title": "早间新闻"}
    return RELAY.format(**(facts | {"name": name, "source": f"http://pull.example.com/live/{name}.flv"} | more))


@dataclass(frozen=True)
class Said:
    """What one command line came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


Command = Callable[..., Said]


@dataclass(frozen=True)
class Emulated:
    """The emulator, its clock begun at NOW."""

    url: str

    def tell(self, path: str, body: Any, method: str = "POST") -> Any:
        request = urllib.request.Request(f"{self.url}/_emulator/{path}", json.dumps(body).encode(), method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)


@pytest.fixture(scope="session")
def serving() -> Iterator[Emulated]:
    args = [sys.executable, "-m", "reconciler", "emulator", "--port", "0", "--clock", NOW]
    with subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        yield Emulated(process.stdout.readline().strip())
        process.terminate()


@pytest.fixture
def emulated(serving: Emulated, monkeypatch: pytest.MonkeyPatch) -> Emulated:
    """A fresh emulator, and an environment that leads to it."""
    serving.tell("reset", {})
    serving.tell("clock", {"now": NOW}, "PUT")
    for name, value in {
        "VOLCENGINE_ACCESS_KEY": "AKLTEMULATOR",
        "VOLCENGINE_SECRET_KEY": "emulator-secret",
        "LIVEPEER_API_KEY": "lp-emulator-key",
        "RECONCILER_LIVE_ENDPOINT": serving.url,
        "RECONCILER_RTC_ENDPOINT": serving.url,
        "RECONCILER_LIVEPEER_ENDPOINT": f"{serving.url}/api",
        "RECONCILER_NOW": NOW,
        "PUSH_KEY": SECRET,
    }.items():
        monkeypatch.setenv(name, value)
    return serving


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project, and the current folder."""
    folder = tmp_path / "sports"
    (folder / "manifests").mkdir(parents=True)
    (folder / "reconciler.yaml").write_text("workspace: sports\nmanifests: [manifests/]\nzone: Asia/Shanghai\n", encoding="utf-8")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in [*os.environ]:
        if name.startswith(("RECONCILER_", "VOLC", "LIVEPEER_", "GITHUB_")) or name in ("CI", "NO_COLOR", "FORCE_COLOR"):
            monkeypatch.delenv(name)
    return folder


@pytest.fixture
def relays(project: Path, emulated: Emulated) -> Path:
    """A project with one relay task, and vendors that know nothing of it yet."""
    (project / "manifests/a.yaml").write_text(relay("a"), encoding="utf-8")
    return project


@pytest.fixture
def reconciler(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    """`reconciler("plan", "-v", stdin="yes\\n")`, in this process."""
    import io

    before = signal.getsignal(signal.SIGTERM)

    def command(*args: str, stdin: str = "") -> Said:
        capfd.readouterr()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf-8"))
        code = run(args)
        sys.stdout.flush()
        sys.stderr.flush()
        told = capfd.readouterr()
        return Said(code, told.out, told.err)

    yield command
    signal.signal(signal.SIGTERM, before)


def process(*args: str, env: dict[str, str] | None = None, stdin: str = "") -> subprocess.CompletedProcess[bytes]:
    """The command as a process of its own, its bytes untouched."""
    return subprocess.run(
        [sys.executable, "-m", "reconciler", *args],
        input=stdin.encode(),
        capture_output=True,
        env={**os.environ, **(env or {})},
        timeout=60,
        check=False,
    )
