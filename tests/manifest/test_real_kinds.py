"""The examples of the manifest language are read by the real kinds, and no single edit of them crashes the loader."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler import manifest, project, schema, yamltree
from reconciler.kinds import Registry
from reconciler.render.manifests import rendered

KINDS = Registry()
SCHEMA = jsonschema.Draft7Validator(schema.of_manifests(KINDS))

RELAY = """\
apiVersion: broadcast.reconciler/v1
kind: RelayTask
metadata: {name: morning-news, labels: {team: news}}
schedule: {start: 2026-12-01T08:00:00+08:00, end: 2026-12-01T10:00:00+08:00}
spec:
  title: 早间新闻
  group: default
  source:
    url: http://pull.example.com/live/stream-1.flv
  destination:
    url: rtmp://push.example.com/live/stream-1?key=${env:PUSH_KEY}
  callbackUrl: https://ops.example.com/relay
  watermark: {image: logo.png, x: 0.05, y: 0.05, width: 0.12}
  enabled: true
"""

PLAYLIST = """\
apiVersion: broadcast.reconciler/v1
kind: RelayTask
metadata: {name: loop}
schedule: {zone: Europe/London, start: 2026-12-05T12:30, duration: 2h30m, dst: {gap: forward, fold: first}, horizon: 14d, lead: 10m, late: join}
lifecycle: {protect: true, onAirChange: refuse, onEnd: leave, deletionPolicy: retain, timeout: 5m}
spec:
  source:
    files:
    - {url: https://vod.example.com/a.mp4, startOffset: 30s, endOffset: 0s}
    loop: forever
    resume: elapsed
    preload: true
  destination: {domain: push.example.com, app: live, stream: stream-2}
"""

RECORDING = """\
apiVersion: broadcast.reconciler/v1
kind: RecordingSession
metadata: {name: town-hall}
schedule: {zone: Asia/Shanghai, start: 2026-12-01T19:00, duration: 2h}
spec:
  appId: 661e0000000000000000543c
  roomId: Room1
  taskId: town-hall
  businessId: B1
  mode: mixed
  streams:
    - {user: host, type: camera, index: 0}
    - {user: host, type: screen, index: 1}
  excludeStreams: [{user: bot}]
  encode:
    video: {width: 1280, height: 720, fps: 25, bitrate: 2500, codec: h264, gop: 4}
    audio: {codec: aac, profile: lc, bitrate: 96, sampleRate: 48000, channels: 2}
  layout: {mode: adaptive}
  control: {media: audioVideo, frameInterpolation: repeat, maxIdle: 3m, maxDuration: 4h, uploadWhileRecording: false}
  files: {formats: [mp4], prefix: [evening, news], pattern: "{TaskId}_{RoomId}_{StartTime}_{Duration}_{Random}"}
  storage:
    custom: {vendor: amazonS3, region: us-east-1, bucket: b, accessKey: {fromEnv: S3_KEY}, secretKey: {fromEnv: S3_SECRET}}
"""

SEGMENT = """\
apiVersion: broadcast.reconciler/v1
kind: SegmentSession
metadata: {name: moderation}
spec:
  appId: 661e0000000000000000543c
  roomId: Room1
  taskId: moderation
  businessId: B1
  streams: [{user: host, type: camera}]
  sliceDuration: 30s
  maxIdle: 5m
  identifier: audit-2026w49
  active: true
  align: true
  mixed: false
  ignoreSilence: true
  redundantDuration: 2
  storage:
    tos: {accountId: "2100000990", region: cn-beijing, bucket: my-bucket}
"""

CLIP = """\
apiVersion: broadcast.reconciler/v1
kind: Clip
metadata: {name: goal-78}
spec:
  playbackId: eaw4nk06ts2d0mzb
  sessionId: de7818e7-610a-4057-8f6f-b785dc1e6f88
  start: 2026-11-20T21:14:05+08:00
  end: 2026-11-20T21:14:35+08:00
  name: Goal 78
  creatorId: sports-desk
"""

EXAMPLES = {"relay": RELAY, "playlist": PLAYLIST, "recording": RECORDING, "segment": SEGMENT, "clip": CLIP}
PARSED = {name: next(yamltree.documents(text.encode())).value for name, text in EXAMPLES.items()}


def load(root: Path, text: str) -> manifest.Loaded:
    (root / "a.yaml").write_text(text)
    found = project.find(root)
    return manifest.load(project.files(found, root), project=found, kinds=KINDS)


@pytest.mark.parametrize("text", EXAMPLES.values(), ids=EXAMPLES)
def test_an_example_is_right(tmp_path: Path, text: str) -> None:
    loaded = load(tmp_path, text)
    assert loaded.diagnostics == ()
    assert len(loaded.desired) == 1


@pytest.mark.parametrize("document", PARSED.values(), ids=PARSED)
def test_an_example_fits_the_schema(document: dict[str, Any]) -> None:
    assert list(SCHEMA.iter_errors(document)) == []


@pytest.mark.parametrize("text", EXAMPLES.values(), ids=EXAMPLES)
def test_what_is_rendered_is_read_back_as_the_same(tmp_path: Path, text: str) -> None:
    (want,) = load(tmp_path, text).desired
    (again,) = load(tmp_path, json.dumps(rendered(want))).require().desired
    assert (again.address, again.values, again.timing, again.lifecycle) == (want.address, want.values, want.timing, want.lifecycle)


def edited(text: str, *edits: tuple[str, str]) -> str:
    for old, new in edits:
        assert text.count(old) == 1
        text = text.replace(old, new)
    return text


PLACED = [
    ("title and window", edited(RELAY, ("早间新闻", "a-b"), ("end: 2026-12-01T10:00:00+08:00", "duration: 8d")), ["4:56 RC101", "6:10 RC112"]),
    ("source URL and loop", edited(RELAY, ("url: http://pull.example.com/live/stream-1.flv", "{url: ftp://h/s, loop: 3}")), ["9:11 RC115", "9:28 RC113"]),
    ("picture and title", edited(RELAY, ("早间新闻", "a-b"), ("width: 0.12", "width: 0")), ["6:10 RC112", "13:57 RC122"]),
    ("clip", edited(CLIP, ("eaw4nk06ts2d0mzb", "a b"), ("21:14:35", "21:14:05"), ("Goal 78", "100%")), ["5:15 RC400", "8:8 RC402", "9:9 RC403"]),
    ("clip in seconds", edited(CLIP, ("2026-11-20T21:14:05+08:00", "999999999999")), ["7:10 RC022"]),
    ("recording",
     edited(RECORDING, ("Room1", "a b"), ("mode: mixed", "mode: single"), ("width: 1280", "width: 3"), ("[mp4]", "[mp3]"), ("[evening, news]", "[a-b]"), ("bot}", "bot, type: screen}")),
     ["7:11 RC201", "14:38 RC220", "16:20 RC210", "18:11 RC222", "20:21 RC233", "20:36 RC234"]),
    ("segment", edited(SEGMENT, ("sliceDuration: 30s", "sliceDuration: 0"), ("mixed: false", "mixed: true"), ("user: host", "user: mixed")), ["9:20 RC313", "10:18 RC310"]),
    ("sessions of one name", SEGMENT + "---\n" + edited(SEGMENT, ("name: moderation", "name: other")), ["27:11 RC045"]),
    ("sessions of one name, derived", edited(SEGMENT, ("  taskId: moderation\n", "")) + "---\n" + edited(SEGMENT, ("name: moderation", "name: other")), ["26:11 RC045"]),
    ("relays of one title", edited(RELAY, ("morning-news", "a")) + "---\n" + edited(RELAY, ("/stream-1?", "/stream-2?")), ["21:10 RC045"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), [case[1:] for case in PLACED], ids=[case[0] for case in PLACED])
def test_mistakes_of_a_manifest_are_told_together_each_at_its_field(tmp_path: Path, text: str, expected: list[str]) -> None:
    found = [one for one in load(tmp_path, text).errors if one.place]
    assert [f"{one.place.line}:{one.place.column} {one.rule}" for one in found if one.place] == expected
    assert all(one.help for one in found)


ODD = st.sampled_from(
    [None, True, -1, 0, 1, 17, 1.5, 10**9, 10**30, "", "x", "早", "a" * 3000, "${env:A}", "${var:b}", "http://h/p", "1h", "1795219200", 1795219200,
     "2026-12-01T08:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", [], [None], ["x"], [[]], [{}], {}, {"x": 1}, {"url": "http://h/p"},
     {"fromEnv": "A"}, {"fromEnv": 1}, [{"user": "host"}] * 3]
)  # fmt: skip


@given(
    st.sampled_from(sorted(PARSED)),
    st.lists(st.tuples(st.integers(0, 10**6), ODD, st.sampled_from(["set", "drop", "add"])), min_size=1, max_size=3),
)
@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_edit_crashes_a_kind(tmp_path: Path, name: str, edits: list[tuple[int, Any, str]]) -> None:
    document = copy.deepcopy(PARSED[name])
    for at, odd, how in edits:
        value = copy.deepcopy(odd)
        paths = [path for path in _paths(document) if path and path[0] not in ("apiVersion", "kind")]
        if not paths:
            continue
        *above, last = paths[at % len(paths)]
        block = document
        for step in above:
            block = block[step]
        if how == "drop":
            del block[last]
        elif how == "add" and isinstance(block, dict):
            block["extra"] = value
        else:
            block[last] = value
    loaded = load(tmp_path, json.dumps(document))
    for one in loaded.diagnostics:
        assert one.place is not None
        assert one.message == one.message.strip() != ""
        assert "\n" not in one.message + one.help
        assert "Error" not in one.message
    if not loaded.errors and loaded.desired:
        rendered(loaded.desired[0])
        assert list(SCHEMA.iter_errors(document)) == [], "an editor is never stricter than validate"


def _paths(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path] + [inner for key, item in pairs for inner in _paths(item, (*path, key))]
