"""Create, settle, change, remove: every kind through the whole loop, under every value of every switch of the emulator."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.emulator.core import World
from reconciler.errors import Rejected
from tests.scenarios.stage import Stage

RELAY = """\
apiVersion: broadcast.reconciler/v1
kind: RelayTask
metadata: {name: morning-news}
schedule: {start: 2026-11-22T08:00:00+08:00, duration: 2h}
spec:
  source: {url: "http://pull.example.com/live/a.flv"}
  destination: {url: "rtmp://push.example.com/live/a?key=abc"}
  callbackUrl: https://ops.example.com/relay
"""
PLAYLIST = """\
apiVersion: broadcast.reconciler/v1
kind: RelayTask
metadata: {name: night-loop}
schedule: {start: 2026-11-22T22:00:00+08:00, duration: 6h}
spec:
  title: 夜间循环
  source:
    files:
      - {url: "https://vod.example.com/1.mp4"}
      - {url: "https://vod.example.com/2.mp4", startOffset: 30s, endOffset: 90s}
    loop: 3
    resume: elapsed
    preload: false
  destination: {domain: push.example.com, app: live, stream: night}
"""
RECORDING = """\
apiVersion: broadcast.reconciler/v1
kind: RecordingSession
metadata: {name: town-hall}
lifecycle: {onAirChange: apply}
spec:
  appId: 661e0000000000000000543c
  roomId: Room1
  streams: [{user: host, type: camera, index: 0}, {user: host, type: screen, index: 1}]
  layout:
    mode: custom
    canvas: {width: 1280, height: 720}
    regions:
      - {streamIndex: 1, x: 0, y: 0, width: 1280, height: 720, renderMode: fit}
      - {streamIndex: 0, x: 960, y: 540, width: 320, height: 180, zOrder: 1, alpha: 0.9}
  control: {maxDuration: 4h}
  storage: {tos: {accountId: "2100000990", region: cn-beijing, bucket: b}}
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
CLIP = """\
apiVersion: broadcast.reconciler/v1
kind: Clip
metadata: {name: goal-78}
spec:
  playbackId: eaw4nk06ts2d0mzb
  start: 2026-11-20T21:14:05+08:00
  end: 2026-11-20T21:14:35+08:00
  name: Goal 78
  creatorId: sports-desk
"""
S3 = {"S3_KEY": "key-1", "S3_SECRET": "secret-1"}
KINDS = {"relay": RELAY, "playlist": PLAYLIST, "recording": RECORDING, "segment": SEGMENT, "clip": CLIP}
ON_AIR = ("RecordingSession/town-hall", "SegmentSession/moderation")
EDITS = {
    "relay": ("live/a.flv", "live/b.flv"),
    "playlist": ("loop: 3", "loop: forever"),
    "recording": ("alpha: 0.9", "alpha: 0.5"),
    "segment": ("sliceDuration: 30s", "sliceDuration: 20s"),
    "clip": ("name: Goal 78", "name: Goal seventy-eight"),
}


def switch_values() -> list[tuple[str, str]]:
    """Every switch of the vendors' unknowns with every value, once."""
    quiet = {"rate_limits"}
    return [
        (name, value)
        for name, switch in World().known_switches().items()
        for value in switch.values
        if name.split(".", 1)[1] not in quiet and (name, value) != ("rtc.unknown_app", "reject")
    ]


@pytest.mark.parametrize("name", KINDS)
def test_one_kind_through_the_whole_loop(tmp_path: Path, name: str) -> None:
    stage = Stage(tmp_path, env=S3).write(KINDS[name])
    assert list(stage.actions().values()) == ["create"]
    assert stage.apply().exit_code == 0
    assert stage.actions() == {}

    before, after = EDITS[name]
    stage.write(KINDS[name].replace(before, after))
    assert list(stage.actions().values()) == ["update"]
    assert stage.apply().exit_code == 0
    assert stage.actions() == {}

    report = stage.apply(destroy=True, allow_on_air=ON_AIR)
    assert report.exit_code == 0
    assert stage.ledger().entries() == {}
    assert stage.apply().exit_code == 0, "what was removed can be made again"


NEVER_READY = {  # here the vendor refuses, or never finishes, so something rightly stays to be done
    ("livepeer.clip_outcome", "failed"): {"Clip/goal-78": "replace"},
    ("livepeer.clip_outcome", "stuck-waiting"): {"Clip/goal-78": "update"},
    ("livepeer.clip_outcome", "stuck-processing"): {"Clip/goal-78": "update"},
    ("livepeer.create_crash", "enqueue"): {"Clip/goal-78": "replace"},
    ("livepeer.create_crash", "before-task"): {"Clip/goal-78": "replace"},
}


@pytest.mark.parametrize(("switch", "value"), switch_values(), ids=lambda part: str(part))
def test_after_apply_the_plan_is_empty_whatever_the_vendors_turn_out_to_do(tmp_path: Path, switch: str, value: str) -> None:
    stage = Stage(tmp_path, env=S3, switches={switch: value})
    stage.write("---\n".join(KINDS.values()))
    stage.apply()
    stage.advance(minutes=3)
    stage.apply()
    assert stage.actions() == NEVER_READY.get((switch, value), {})


def test_an_app_that_is_not_there_fails_the_plan_and_is_named(tmp_path: Path) -> None:
    stage = Stage(tmp_path, env=S3, switches={"rtc.unknown_app": "reject"}).write(RECORDING)
    with pytest.raises(Rejected, match="AppId does not exist"):
        stage.plan()
