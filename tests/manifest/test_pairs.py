"""Any two mistakes of one manifest are told together: each is made alone, then beside every other."""

from __future__ import annotations

import copy
import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from tests.manifest.test_real_kinds import PARSED, load

DROP: Any = object()
Edit = tuple[str, Any, str, str]
"""Where, what is put there instead (or DROP), the rule that is broken, and where it is told, if not there."""

ENVELOPE: list[Edit] = [
    ("apiVersion", "broadcast.reconciler/v2", "RC016", ""),
    ("metadata.name", "Bad_Name", "RC018", ""),
    ("metadata.label", {}, "RC010", ""),
    ("metadata.labels", {"a b": "x"}, "RC047", "metadata.labels.a b"),
    ("metadata.account", "nobody", "RC046", ""),
    ("metadata.dependsOn", ["Clip/nowhere"], "RC042", "metadata.dependsOn.0"),
    ("lifecycle", {"onAirChange": "maybe"}, "RC013", "lifecycle.onAirChange"),
    ("extra", 1, "RC010", ""),
]
SCHEDULE: list[Edit] = [
    ("schedule.horizon", "91d", "RC037", ""),
    ("schedule.lead", "soon", "RC021", ""),
    ("schedule.late", "maybe", "RC013", ""),
    ("schedule.repeat", {"freq": "daily"}, "RC036", ""),
    ("schedule.dst", {"gap": "jump"}, "RC013", "schedule.dst.gap"),
    ("schedule.zoen", "UTC", "RC010", ""),
]
RELAY: list[Edit] = [
    *ENVELOPE,
    *SCHEDULE,
    ("schedule.end", "2026-12-09T10:00:00+08:00", "RC101", ""),
    ("spec.title", "a-b", "RC112", ""),
    ("spec.group", "g" * 21, "RC123", ""),
    ("spec.source.url", "http://h/" + "x" * 992, "RC115", ""),
    ("spec.source.files", [{"url": "http://h/a.mp4"}], "RC110", "spec.source"),
    ("spec.destination.url", "rtmp://h/早", "RC117", ""),
    ("spec.destination.app", "live", "RC116", ""),
    ("spec.callbackUrl", "http://h/" + "x" * 504, "RC119", ""),
    ("spec.watermark.image", "a.gif", "RC120", ""),
    ("spec.watermark.x", 1, "RC121", ""),
    ("spec.watermark.width", 0.125, "RC122", ""),
    ("spec.enabled", "yes", "RC012", ""),
    ("spec.enable", True, "RC010", ""),
]
PLAYLIST: list[Edit] = [
    ("schedule.duration", "169h", "RC101", ""),
    ("spec.source.files.0.startOffset", -1, "RC021", ""),
    ("spec.source.files.0.url", DROP, "RC011", ""),
    ("spec.source.files.0.length", 1, "RC010", ""),
    ("spec.source.loop", 0, "RC114", ""),
    ("spec.source.resume", "never", "RC013", ""),
    ("spec.source.preload", 1, "RC012", ""),
    ("spec.destination.domain", "a_b", "RC118", ""),
    ("spec.destination.stream", DROP, "RC116", "spec.destination"),
]
SESSION: list[Edit] = [
    *ENVELOPE,
    ("spec.appId", "", "RC201", ""),
    ("spec.roomId", "房间", "RC201", ""),
    ("spec.businessId", 12, "RC012", ""),
]
RECORDING: list[Edit] = [
    *SESSION,
    *SCHEDULE,
    ("spec.streams.0.user", DROP, "RC011", ""),
    ("spec.streams.1.index", 0, "RC203", ""),
    ("spec.excludeStreams", [{"user": "bot", "type": "screen"}], "RC220", "spec.excludeStreams.0.type"),
    ("spec.encode.video.width", 3, "RC210", ""),
    ("spec.encode.video.fps", 0, "RC211", ""),
    ("spec.encode.audio.sampleRate", 8000, "RC212", ""),
    ("spec.encode.audio", {"profile": "heAacV2", "channels": 1}, "RC213", "spec.encode.audio.channels"),
    ("spec.layout", {"mode": "vertical"}, "RC223", "spec.layout"),
    ("spec.control.maxIdle", 9, "RC230", ""),
    ("spec.control.uploadWhileRecording", True, "RC232", ""),
    ("spec.files.formats", ["mp4", "mp3", "mp4"], "RC235", "spec.files.formats.2"),
    ("spec.files.prefix", ["a-b"], "RC234", "spec.files.prefix.0"),
    ("spec.files.pattern", 12, "RC012", ""),
    ("spec.storage.custom.region", "eu-central-1", "RC206", ""),
    ("spec.storage.custom.bucket", " ", "RC207", ""),
    ("spec.storage.custom.accessKey", "AK", "RC023", ""),
    ("spec.storage.vod", {"accountId": "1", "space": "s"}, "RC205", "spec.storage"),
]
CUSTOM: list[Edit] = [
    ("spec.mode", "single", "RC222", "spec.layout"),
    ("spec.streams.0.user", "", "RC201", ""),
    ("spec.streams.2", {"user": "guest", "index": 2}, "RC225", ""),
    ("spec.layout.mainStream", {"user": "host"}, "RC224", ""),
    ("spec.layout.canvas.background", "red", "RC217", ""),
    ("spec.layout.canvas.height", 1, "RC210", ""),
    ("spec.layout.regions.0.x", 1280, "RC214", ""),
    ("spec.layout.regions.1.width", 0, "RC214", ""),
    ("spec.layout.regions.1.zOrder", 101, "RC215", ""),
    ("spec.layout.regions.1.sourceCrop", {"x": 1}, "RC216", "spec.layout.regions.1.sourceCrop.x"),
    ("spec.layout.regions.1.alternateImage", "ftp://h/a.png", "RC218", ""),
    ("spec.layout.regions.1.height", DROP, "RC011", ""),
    ("spec.control.maxSilence", 59, "RC230", ""),
]
SEGMENT: list[Edit] = [
    *ENVELOPE,
    ("spec.roomId", "a b", "RC301", ""),
    ("spec.streams.1", {"user": "host"}, "RC304", ""),
    ("spec.sliceDuration", 601, "RC310", ""),
    ("spec.maxIdle", 0, "RC311", ""),
    ("spec.redundantDuration", -1, "RC312", ""),
    ("spec.active", 1, "RC012", ""),
    ("spec.storage.tos.region", "us-east-1", "RC013", ""),
    ("spec.storage.custom", {"bucket": "b"}, "RC305", "spec.storage"),
]
CLIP: list[Edit] = [
    *ENVELOPE,
    ("schedule", {"start": "2026-12-01T08:00:00Z", "duration": "1h"}, "RC030", ""),
    ("spec.playbackId", "a b", "RC400", ""),
    ("spec.sessionId", "", "RC401", ""),
    ("spec.end", "2026-11-20T21:14:04+08:00", "RC402", ""),
    ("spec.name", "100%", "RC403", ""),
    ("spec.creatorId", "", "RC405", ""),
    ("spec.endTime", 1, "RC010", ""),
]

LAYOUT = {
    "mode": "custom",
    "canvas": {"width": 1280, "height": 720},
    "regions": [{"streamIndex": 0, "width": 320, "height": 180}, {"streamIndex": 1, "width": 640, "height": 480}],
}
MANIFESTS: dict[str, tuple[dict[str, Any], list[Edit]]] = {
    "relay": (PARSED["relay"], RELAY),
    "playlist": (PARSED["playlist"], PLAYLIST),
    "recording": (PARSED["recording"], RECORDING),
    "custom": ({**PARSED["recording"], "spec": {**PARSED["recording"]["spec"], "layout": LAYOUT}}, CUSTOM),
    "segment": (PARSED["segment"], SEGMENT),
    "clip": (PARSED["clip"], CLIP),
}


def changed(document: dict[str, Any], *edits: Edit) -> str:
    document = copy.deepcopy(document)
    for path, value, _, _ in edits:
        *above, last = path.split(".")
        block: Any = document
        for step in above:
            block = block[int(step)] if isinstance(block, list) else block.setdefault(step, {})
        if isinstance(block, list):
            block[int(last) : int(last) + 1] = [copy.deepcopy(value)]
        elif value is DROP:
            del block[last]
        else:
            block[last] = copy.deepcopy(value)
    return json.dumps(document)


def told(root: Path, text: str) -> set[tuple[str, str]]:
    return {(one.rule, one.path) for one in load(root, text).errors}


def apart(one: str, other: str) -> bool:
    return not f"{one}.".startswith(f"{other}.") and not f"{other}.".startswith(f"{one}.")


@pytest.mark.parametrize(("document", "edits"), MANIFESTS.values(), ids=MANIFESTS)
def test_any_two_mistakes_are_told_together(tmp_path: Path, document: dict[str, Any], edits: list[Edit]) -> None:
    for edit in edits:
        assert (edit[2], edit[3] or edit[0]) in told(tmp_path, changed(document, edit)), edit
    for one, other in itertools.combinations(edits, 2):
        if apart(one[0], other[0]):
            missing = {(edit[2], edit[3] or edit[0]) for edit in (one, other)} - told(tmp_path, changed(document, one, other))
            assert not missing, (one[:2], other[:2])
