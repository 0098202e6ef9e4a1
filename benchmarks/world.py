"""The data of one benchmark: N relay tasks as manifests, as live tasks in the emulator's data file, and as entries of the ledger.

    python benchmarks/world.py FOLDER N [--new]

A folder holds `project/` (reconciler.yaml, manifests, ledger), `emulator.json`, and `octodns/` (the same number of DNS records, twice).
The same day gives the same bytes: windows lie in the ten days after tomorrow, so that no run sees one begin. With `--new` nothing is live
and nothing is owned: what `apply` starts from. `--rtc` declares N recording sessions that run now instead.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

ACCOUNT = "2100000001"  # the emulator's
DOCUMENTS = 1000  # in one file of manifests: 0.7 MB
BEIJING = timedelta(hours=8)

RELAY = """---
apiVersion: broadcast.reconciler/v1
kind: RelayTask
metadata:
  name: relay-{n:06d}
  labels:
    team: news
    desk: desk-{desk:02d}
    tier: gold
    owner: night-shift@example.com
    bulletin: europe-{desk:02d}-morning-and-evening
lifecycle:
  protect: false
  onAirChange: defer
  deletionPolicy: delete
  timeout: 2m
schedule:
  start: {start}+08:00
  end: {end}+08:00
  horizon: 14d
  lead: 10m
  late: join
spec:
  title: News{n:06d}
  group: default
  source:
    url: http://pull.example.com/live/stream-{n:06d}.flv
  destination:
    url: rtmp://push.example.com/live/stream-{n:06d}
  callbackUrl: https://ops.example.com/relay/{n:06d}
  enabled: true
"""

RECORDING = """---
apiVersion: broadcast.reconciler/v1
kind: RecordingSession
metadata: {{name: recording-{n:06d}}}
spec:
  appId: 661e0000000000000000543c
  roomId: Room{n:06d}
  storage:
    tos: {{accountId: "{account}", region: cn-beijing, bucket: my-bucket}}
"""

PROJECT = "workspace: benchmark\nmanifests: [manifests/]\n"

OCTODNS = """---
providers:
  declared: {class: octodns.provider.yaml.YamlProvider, directory: declared, default_ttl: 300, enforce_order: false}
  live: {class: octodns.provider.yaml.YamlProvider, directory: live, default_ttl: 300, enforce_order: false}
zones:
  example.com.: {sources: [declared], targets: [live]}
"""


def window(n: int, day: datetime) -> tuple[datetime, datetime]:
    start = day + timedelta(days=2, minutes=n % 14_400)
    return start, start + timedelta(hours=2)


def task_id(n: int) -> str:
    return hashlib.sha256(f"task {n}".encode()).hexdigest()[:32]


def write_manifests(folder: Path, count: int, day: datetime, *, rtc: bool) -> None:
    (folder / "manifests").mkdir(parents=True)
    (folder / "reconciler.yaml").write_text(PROJECT)
    for first in range(0, count, DOCUMENTS):
        texts = []
        for n in range(first, min(first + DOCUMENTS, count)):
            start, end = ((at + BEIJING).strftime("%Y-%m-%dT%H:%M:%S") for at in window(n, day))
            texts.append((RECORDING if rtc else RELAY).format(n=n, desk=n % 40, start=start, end=end, account=ACCOUNT))
        (folder / "manifests" / f"part-{first // DOCUMENTS:03d}.yaml").write_text("".join(texts))


def write_live(file: Path, count: int, day: datetime) -> None:
    """What an apply would have left at the vendor."""
    from reconciler.emulator import live
    from reconciler.emulator.core import World

    tasks = []
    for n in range(count):
        start, end = window(n, day)
        tasks.append(
            {
                "TaskId": task_id(n), "Title": f"News{n:06d}", "GroupName": "default",
                "StartTime": int(start.timestamp()), "EndTime": int(end.timestamp()), "Type": 0,
                "SrcAddr": f"http://pull.example.com/live/stream-{n:06d}.flv",
                "DstAddr": f"rtmp://push.example.com/live/stream-{n:06d}",
                "CallbackURL": f"https://ops.example.com/relay/{n:06d}",
            }
        )  # fmt: skip
    world = World(data_file=file)
    live.fixtures(world, {"tasks": tasks})
    world.save()


def write_ledger(folder: Path) -> None:
    """What an apply would have left in the ledger."""
    from reconciler.cli._context import RealClock
    from reconciler.kinds import Registry
    from reconciler.ledger import open_ledger
    from reconciler.manifest import load
    from reconciler.model import Entry
    from reconciler.project import files, find
    from reconciler.settling import policy

    project, kinds, clock = find(str(folder)), Registry(), RealClock()
    declared = load(files(project, str(folder)), project=project, kinds=kinds).require().desired
    ledger = open_ledger(project.state, root=folder, workspace=project.workspace, clock=clock, create=True)
    for want in declared:
        kind = kinds.get(want.address.kind)
        assert kind is not None
        ledger.put(
            Entry(
                want.address, want.account, task_id(int(want.address.name[-6:])), kind.identity(want),
                applied=ledger.seal_values(want.values), window=want.window, changed=clock.now(), **policy(want),
            )
        )  # fmt: skip
    ledger.close()


def write_octodns(folder: Path, count: int) -> None:
    text = "---\n" + "".join(f"r{n:06d}:\n  ttl: 300\n  type: A\n  value: 10.{n >> 16}.{n >> 8 & 255}.{n & 255}\n" for n in range(count))
    for side in ("declared", "live"):
        (folder / side).mkdir(parents=True)
        (folder / side / "example.com.yaml").write_text(text)
    (folder / "config.yaml").write_text(OCTODNS)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("count", type=int)
    parser.add_argument("--new", action="store_true")
    parser.add_argument("--rtc", action="store_true")
    asked = parser.parse_args()
    folder, count = asked.folder.resolve(), asked.count
    day = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    made = {"day": day.isoformat(), "count": count, "new": asked.new, "rtc": asked.rtc, "generator": digest()}
    stamp = folder / "made.json"
    if not asked.new and stamp.exists() and json.loads(stamp.read_text()) == made:
        return
    shutil.rmtree(folder, ignore_errors=True)
    began = time.monotonic()
    write_manifests(folder / "project", count, day, rtc=asked.rtc)
    if not asked.new:
        write_live(folder / "emulator.json", count, day)
        write_ledger(folder / "project")
        write_octodns(folder / "octodns", count)
    stamp.write_text(json.dumps(made))
    print(f"made {count} resources in {time.monotonic() - began:.0f} s")


def digest() -> str:
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:16]


if __name__ == "__main__":
    main()
