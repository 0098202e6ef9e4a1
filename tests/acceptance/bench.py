"""A project on disk and the command line as its users start it: a subprocess, an environment, three streams."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.acceptance.fake import AK, PLAYBACK, SK, STREAM_KEY, TOKEN, Fake

PUSH_KEY = "push-key-very-secret"
SECRETS = (SK, TOKEN, STREAM_KEY, PUSH_KEY, "s3-secret-very-secret")


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]

    def __str__(self) -> str:
        return f"exit {self.code}\n--- out\n{self.out}\n--- err\n{self.err}"


class Bench:
    """One project folder against one fake."""

    def __init__(self, root: Path, fake: Fake) -> None:
        self.root, self.fake = root, fake
        self.home = root.parent / f"{root.name}-home"
        self.home.mkdir(parents=True, exist_ok=True)
        root.mkdir(parents=True, exist_ok=True)
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "RECONCILER_LIVE_ENDPOINT": fake.url,
            "RECONCILER_RTC_ENDPOINT": fake.url,
            "RECONCILER_LIVEPEER_ENDPOINT": f"{fake.url}/api",
            "VOLCENGINE_ACCESS_KEY": AK,
            "VOLCENGINE_SECRET_KEY": SK,
            "LIVEPEER_API_KEY": TOKEN,
            "PUSH_KEY": PUSH_KEY,
            "S3_KEY": "AKS3",
            "S3_SECRET": "s3-secret-very-secret",
        }

    def write(self, name: str, *documents: Any) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if len(documents) == 1 and isinstance(documents[0], str):
            path.write_text(documents[0], encoding="utf-8")
        else:
            # JSON is YAML: one document a block.
            path.write_text("\n---\n".join(json.dumps(one, ensure_ascii=False, indent=1) for one in documents) + "\n", encoding="utf-8")
        return path

    def project(self, **members: Any) -> Path:
        return self.write("reconciler.yaml", {"workspace": "accept", **members})

    def start(self, *args: str, env: dict[str, str] | None = None, cwd: Path | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "reconciler", *args],
            cwd=cwd or self.root, env={**self.env, **(env or {})}, text=True, encoding="utf-8", errors="surrogateescape",
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def __call__(self, *args: str, env: dict[str, str] | None = None, stdin: str = "", cwd: Path | None = None) -> Ran:
        running = self.start(*args, env=env, cwd=cwd)
        out, err = running.communicate(stdin, timeout=120)
        ran = Ran(running.returncode, out, err)
        for secret in SECRETS:
            assert secret not in out + err, f"{args} printed a secret\n{ran}"
        assert "Traceback" not in err + out, ran
        if "json" in args and args[args.index("json") - 1] == "-o":
            for text in out.splitlines() if "apply" in args or "destroy" in args else [out]:
                json.loads(text)
        return ran

    def apply(self, *args: str, code: int = 0, **more: Any) -> Ran:
        ran = self("apply", "--auto-approve", *args, **more)
        assert ran.code == code, ran
        return ran

    def plan(self, *args: str, code: int = 0, **more: Any) -> dict[str, Any]:
        ran = self("plan", "-o", "json", *args, **more)
        assert ran.code == code, ran
        made: dict[str, Any] = ran.json
        return made

    def changes(self, *args: str, code: int = 0) -> dict[str, str]:
        """Address -> action, for whatever the plan would not leave as it is."""
        return {one["address"]: one["action"] for one in self.plan(*args, code=code)["changes"] if one["action"] != "noop"}


def at(minutes: float, *, base: datetime | None = None) -> str:
    """The instant so many minutes from now, RFC 3339."""
    when = (base or datetime.now(UTC)) + timedelta(minutes=minutes)
    return when.replace(microsecond=0).isoformat()


def relay(
    called: str = "news", /, start: float = 60, end: float = 120, *, meta: Any = None, life: Any = None, **spec: Any
) -> dict[str, Any]:
    body: dict[str, Any] = {
        "apiVersion": "broadcast.reconciler/v1",
        "kind": "RelayTask",
        "metadata": {"name": called, **(meta or {})},
        "schedule": {"start": at(start), "end": at(end)},
        "spec": {
            "source": {"url": f"http://pull.example.com/live/{called}.flv"},
            "destination": {"url": f"rtmp://push.example.com/live/{called}?key=${{env:PUSH_KEY}}"},
            **spec,
        },
    }
    return body | ({"lifecycle": life} if life else {})


TOS = {"tos": {"accountId": "2100000990", "region": "cn-beijing", "bucket": "b"}}
APP = "661e0000000000000000543c"


def session(kind: str, called: str = "hall", /, *, schedule: Any = None, meta: Any = None, life: Any = None, **spec: Any) -> dict[str, Any]:
    body: dict[str, Any] = {
        "apiVersion": "broadcast.reconciler/v1",
        "kind": kind,
        "metadata": {"name": called, **(meta or {})},
        "spec": {"appId": APP, "roomId": "Room1", "storage": TOS, **spec},
    }
    return body | ({"schedule": schedule} if schedule else {}) | ({"lifecycle": life} if life else {})


def clip(
    called: str = "goal", /, start: float = -30, seconds: float = 20, *, meta: Any = None, life: Any = None, **spec: Any
) -> dict[str, Any]:
    base = datetime.now(UTC)
    body: dict[str, Any] = {
        "apiVersion": "broadcast.reconciler/v1",
        "kind": "Clip",
        "metadata": {"name": called, **(meta or {})},
        "spec": {"playbackId": PLAYBACK, "start": at(start, base=base), "end": at(start + seconds / 60, base=base), **spec},
    }
    return body | ({"lifecycle": life} if life else {})
