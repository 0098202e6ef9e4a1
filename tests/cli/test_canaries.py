"""Secrets with values of their own go through every command, format, report and failure; no byte that comes out may hold one.

Looked at: standard output, standard error, and every file below the project, the ledger's among them. A vendor that repeats all it was
sent in its error messages is part of it.
"""

from __future__ import annotations

import base64
import itertools
import json
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from reconciler.cli import _context
from reconciler.cli._session import REPORTS
from reconciler.emulator import livepeer
from reconciler.emulator.core import Clock, Request, Response, World
from reconciler.emulator.front import Emulator
from reconciler.emulator.server import listen, server, url_of
from tests.cli.conftest import Command, Said
from tests.scenarios.manifests import CLIP, ON_AIR, PLAYLIST, RECORDING
from tests.scenarios.stage import SharedClock

NOW = "2026-11-21T12:00:00Z"
CANARIES = {
    "VOLCENGINE_ACCESS_KEY": "AKLTcanary0access0001",
    "VOLCENGINE_SECRET_KEY": "canary1secret==/+0002",
    "VOLCENGINE_SESSION_TOKEN": "canary2session+/=0003",
    "LIVEPEER_API_KEY": "canary3-livepeer-0004",
    "PUSH_KEY": "canary4push%20&0005",
    "PATH_KEY": "canary5path0006",
    "PULL_KEY": "canary6pull0007",
    "HOOK_KEY": "canary7hook'\"0008",
    "S3_KEY": "canary8access0009",
    "S3_SECRET": "canary9secret/+ 0010\\",
}
IN_A_FILE = "canary10file0011"
STREAM_KEY = "canary11-stream-0012"
ROTATED = {name: f"{value}rotated" for name, value in CANARIES.items() if name in ("PUSH_KEY", "S3_SECRET", "PULL_KEY")}

RELAY = """\
apiVersion: broadcast.reconciler/v1
kind: RelayTask
metadata: {name: morning-news}
schedule: {start: 2026-11-22T08:00:00+08:00, duration: 2h}
spec:
  source: {url: "http://pull.example.com/live/a.flv?sign=${env:PULL_KEY}"}
  destination: {url: "rtmp://push.example.com/${env:PATH_KEY}/a?key=${env:PUSH_KEY}"}
  callbackUrl: "https://ops.example.com/relay?token=${env:HOOK_KEY}"
"""
SEGMENT = """\
apiVersion: broadcast.reconciler/v1
kind: SegmentSession
metadata: {name: moderation}
lifecycle: {onAirChange: apply}
spec:
  appId: 661e0000000000000000543c
  roomId: Room1
  streams: [{user: host, type: camera}]
  sliceDuration: 30s
  storage:
    custom: {vendor: amazonS3, region: us-east-1, bucket: b, accessKey: {fromEnv: S3_KEY}, secretKey: {fromEnv: S3_SECRET}}
"""
OTHER = """\
apiVersion: broadcast.reconciler/v1
kind: RecordingSession
metadata: {name: archive}
lifecycle: {onAirChange: apply}
spec:
  appId: 661e0000000000000000543c
  roomId: Room2
  streams: [{user: host, type: camera}]
  control: {maxDuration: 4h}
  storage:
    custom: {vendor: amazonS3, region: us-east-1, bucket: b, accessKey: {fromEnv: S3_KEY}, secretKey: {fromFile: keys/s3.txt}}
"""
MANIFESTS = "---\n".join([RELAY, PLAYLIST, RECORDING, SEGMENT, OTHER, CLIP])
ALLOWED = [word for address in (*ON_AIR, "RecordingSession/archive") for word in ("--allow-on-air", address)]
TELLING = ("500", "403", "429", "commonErr", "halfBody", "notJson", "html502", "reset")


class Parrot(Emulator):
    """A vendor that, when told to, refuses everything and repeats whatever it was sent: headers, query, body, in several spellings."""

    repeats: str = ""
    """"" or a part of an action's name; `*` repeats always."""

    def handle(self, request: Request) -> Response:
        action = request.param("Action") or request.path
        if not self.repeats or request.path.startswith("/_emulator") or (self.repeats != "*" and self.repeats not in action):
            return super().handle(request)
        body = request.body.decode("utf-8", "replace")
        said = f"{request.headers} {request.raw_query} {body} {_flat(body)} {quote(body)} {json.dumps(body)}"
        # a long one, and one for each thing in it: messages are cut
        parts = [said[at : at + 250] for at in range(0, len(said), 200)]
        text = random.Random(len(said)).choice(parts)
        if request.path.startswith("/api"):
            return Response.json(400, {"errors": [text, said]}, **{"x-request-id": text[:60].encode("ascii", "replace").decode()})
        error = {"Code": f"InvalidParameter.{text[:40]}", "Message": text}
        return Response.json(400, {"ResponseMetadata": {"RequestId": text, "Action": action, "Error": error}})


def _flat(body: str) -> str:
    """The leaves of a JSON body, one after the other."""

    def leaves(value: object) -> Iterator[str]:
        if isinstance(value, dict):
            for each in value.values():
                yield from leaves(each)
        elif isinstance(value, list):
            for each in value:
                yield from leaves(each)
        else:
            yield str(value)

    try:
        return " ".join(leaves(json.loads(body)))
    except ValueError:
        return ""


@contextmanager
def parrot() -> Iterator[tuple[Parrot, str]]:
    keys = {
        "volcengine": {
            CANARIES["VOLCENGINE_ACCESS_KEY"]: {
                "secret": CANARIES["VOLCENGINE_SECRET_KEY"], "account": "2100000001", "token": CANARIES["VOLCENGINE_SESSION_TOKEN"],
            }
        },
        "livepeer": {CANARIES["LIVEPEER_API_KEY"]: {"name": "canary"}},
    }  # fmt: skip
    world = World(clock=Clock.frozen_at(NOW), switches={"rate_limits": "off"}, extra_keys=keys)
    livepeer.seed(world, "default")
    for stream in world.data["livepeer"].get("stream", {}).values():
        stream["streamKey"] = STREAM_KEY
    bird = Parrot(world)
    bare = listen()
    serving = server(bird)
    thread = threading.Thread(target=serving.run, kwargs={"sockets": [bare]}, daemon=True)
    thread.start()
    try:
        yield bird, url_of(bare)
    finally:
        serving.should_exit = True
        thread.join(timeout=10)
        bare.close()


def spellings() -> dict[bytes, str]:
    """Every way in which a secret could show, and whose it is."""
    found = {}
    for name, value in [
        *CANARIES.items(),
        *((f"{name}, rotated", value) for name, value in ROTATED.items()),
        ("file", IN_A_FILE),
        ("stream", STREAM_KEY),
    ]:
        for text in {value, quote(value, safe=""), quote(value), quote_plus(value), json.dumps(value)[1:-1]}:
            found[text.encode()] = name
        for shift in range(3):
            found[base64.b64encode(b"x" * shift + value.encode())[4:-4]] = f"{name} in base64"
    return found


class Watch:
    """Counts what came out, and finds secrets in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.outputs = 0
        self.found: list[str] = []
        self.needles = spellings()
        self.seen: dict[Path, tuple[int, int]] = {}

    def look(self, where: str, data: bytes) -> None:
        self.outputs += 1
        self.found += [
            f"{name} in {where}: ...{data[max(0, data.find(text) - 60) :][:140]!r}" for text, name in self.needles.items() if text in data
        ]

    def over(self, args: Sequence[str], said: Said) -> None:
        line = f"{' '.join(args)} (exit {said.code})"
        if "a fault of ours" in said.err + said.out:
            self.found.append(f"{line}: {said.err[-500:]}")
        self.look(f"standard output of {line}", said.out.encode())
        self.look(f"standard error of {line}", said.err.encode())
        for file in sorted(self.folder.rglob("*")):
            if file.is_file() and file.name not in ("manifests.yaml", "reconciler.yaml", "s3.txt"):
                state = (file.stat().st_mtime_ns, file.stat().st_size)
                if self.seen.get(file) != state:
                    self.seen[file] = state
                    self.look(f"{file.relative_to(self.folder)} after {line}", file.read_bytes())


@pytest.fixture
def canaries(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Parrot, Path]]:
    for name, value in CANARIES.items():
        monkeypatch.setenv(name, value)
    (project / "manifests/manifests.yaml").write_text(MANIFESTS, encoding="utf-8")
    (project / "keys").mkdir()
    (project / "keys/s3.txt").write_text(IN_A_FILE + "\n", encoding="utf-8")
    with parrot() as (bird, url):
        monkeypatch.setattr(_context, "RealClock", lambda _: SharedClock(bird.world.clock))  # nobody waits for anything
        for name, value in {"LIVE": url, "RTC": url, "LIVEPEER": f"{url}/api"}.items():
            monkeypatch.setenv(f"RECONCILER_{name}_ENDPOINT", value)
        yield bird, project


READING = (
    ["validate"], ["render"], ["plan"], ["plan", "--out", "plan.json"], ["show", "plan.json"], ["drift"], ["get"], ["refresh"],
    ["state", "list"], ["state", "show", "RelayTask/morning-news"], ["state", "show", "SegmentSession/moderation"], ["history"], ["doctor"],
    ["plan", "--destroy"], ["import", "RelayTask/morning-news"], ["force-unlock", "--force"], ["version"], ["explain", "RC023"],
)  # fmt: skip
APPLY = ["apply", "--auto-approve", "--no-wait", *ALLOWED]
DESTROY = ["destroy", "--auto-approve", *ALLOWED]
LOUD = ([], ["-v"], ["-vv"], ["-o", "json"], ["-vv", "-o", "json"], ["-vv", "--log-format", "json"], ["-q"])


def walk(
    bird: Parrot, run: Callable[[Sequence[str]], Said], rotate: Callable[[], None], *, loud: Sequence[list[str]], chance: random.Random
) -> None:
    """A life of the project: everything that reads, then writes that fail in every way, then writes, a rotation of keys, and the end."""
    faults = bird.world.faults

    def reading() -> None:
        for command in READING:
            run([*command, *chance.choice(loud)])

    reading()
    for what in ("Create", "Start", "clip", "*"):
        bird.repeats = what
        run([*APPLY, *chance.choice(loud)])
        run(["doctor", *chance.choice(loud)])
    bird.repeats = ""
    for fault in TELLING:
        faults.clear()
        faults.add([{"action": "*", "when": chance.choice(["before", "after"]), "fault": fault, "nth": chance.randint(1, 9)}])
        run([*chance.choice([APPLY, ["plan"], ["refresh"]]), *chance.choice(loud)])
    faults.clear()
    bird.world.clock.advance(200)
    run([*APPLY, *chance.choice(loud)])
    reading()
    for report in REPORTS:
        run(["plan", "--report", f"{report}=out.{report}", *chance.choice(loud)])
        run(["plan", "-o", report])
        run(["show", "plan.json", "-o", report])
        run(["validate", "--report", f"{report}=check.{report}"])
    rotate()
    run(["plan", "-v"])
    run(["plan", "--out", "plan.json", *chance.choice(loud)])
    bird.repeats = "Update"
    run(["apply", "plan.json", *chance.choice(loud)])
    bird.repeats = ""
    run([*APPLY, "--report", "html=apply.html", "--report", "junit=apply.xml", *chance.choice(loud)])
    reading()
    bird.repeats = chance.choice(["Delete", "Stop", "task", "*"])
    run([*DESTROY, *chance.choice(loud)])
    bird.repeats = ""
    run([*DESTROY, *chance.choice(loud)])


def canary_walk(canaries: tuple[Parrot, Path], reconciler: Command, monkeypatch: pytest.MonkeyPatch, *, seed: int, watch: Watch) -> None:
    bird, _ = canaries

    def run(args: Sequence[str]) -> Said:
        said = reconciler(*args)
        watch.over(args, said)
        return said

    def rotate() -> None:
        for name, value in ROTATED.items():
            monkeypatch.setenv(name, value)

    walk(bird, run, rotate, loud=LOUD, chance=random.Random(seed))


def test_no_output_holds_a_secret(canaries: tuple[Parrot, Path], reconciler: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch(canaries[1])
    canary_walk(canaries, reconciler, monkeypatch, seed=1, watch=watch)
    assert not watch.found, "\n".join(watch.found[:20])
    assert watch.outputs > 200


def test_the_watch_finds_what_is_there(tmp_path: Path) -> None:
    watch = Watch(tmp_path)
    for value in CANARIES.values():
        before = len(watch.found)
        watch.look("here", f"x{quote(value, safe='')}y".encode())
        assert len(watch.found) > before


@pytest.mark.long
def test_ten_thousand_outputs(canaries: tuple[Parrot, Path], reconciler: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch(canaries[1])
    for seed in itertools.count(2):
        for name, value in CANARIES.items():
            monkeypatch.setenv(name, value)
        canary_walk(canaries, reconciler, monkeypatch, seed=seed, watch=watch)
        assert not watch.found, f"seed {seed}\n" + "\n".join(watch.found[:20])
        if watch.outputs >= 10_000:
            break
        canaries[0].world.reset()
        livepeer.seed(canaries[0].world, "default")
        for file in (canaries[1] / ".reconciler").glob("*"):
            file.unlink()
    print(f"{watch.outputs} outputs, 0 secrets")
