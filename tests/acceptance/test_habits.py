"""Whatever the vendors' pages leave open, a plan after an apply is empty, an update stays an update, and nothing is left behind."""

from __future__ import annotations

import base64
import random
import struct
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from tests.acceptance.bench import Bench, clip, relay, session

HABITS: dict[str, dict[str, Any]] = {
    "absent, in UTC, masked, the older API": {
        "empty": "absent", "offset": "Z", "dst": "masked", "files": "both", "extra": True, "reverse": True, "nothing": "null",
        "get_missing": "error200", "secrets": "masked", "link": "none", "v2": False, "continue": False, "again": "error",
        "live_missing": (200, "CommonErr"), "delete_missing": 404, "shuffle": True, "empty_list": "absent", "numbers": "text",
    },
    "zeros, legacy play lists, pages of one": {
        "empty": "zero", "offset": "-03:30", "dst": "port", "files": "legacy", "watermark": "bare", "page_cap": 1, "update": "merge",
        "nothing": "text", "get_missing": "zero", "secrets": "absent", "link": "foreign", "numbers": "float",
    },
    "no totals, short pages, upper case": {
        "offset": "", "dst": "upper", "float32": True, "total": False, "page_cap": 2, "nothing": "object", "get_missing": "null",
        "empty_list": "null", "stop_missing": (404, "InvalidParameter.ErrorActiveTaskNotFound"),
        "omit": True, "watermark": "url",
    },
    "slow, nothing secret told": {
        "warming": 0.5, "drain": 0.6, "lag": 1.0, "ready": 1.0, "get_missing": "empty", "again": "message", "clamp": 5.0,
        "dst": "stripped", "watermark": "none",
    },
}  # fmt: skip


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _picture() -> str:
    """A PNG of 8 by 8 noisy pixels."""
    noise = random.Random(1)
    rows = b"".join(b"\0" + noise.randbytes(24) for _ in range(8))
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0))
    png = b"\x89PNG\r\n\x1a\n" + head + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(png).decode()


KEYS = {"accessKey": {"fromEnv": "S3_KEY"}, "secretKey": {"fromEnv": "S3_SECRET"}}
S3 = {"custom": {"vendor": "amazonS3", "region": "us-east-1", "bucket": "b", **KEYS}}


def everything() -> dict[str, dict[str, Any]]:
    streams = [{"user": "host", "type": "camera", "index": 0}, {"user": "host", "type": "screen", "index": 1}]
    regions = [{"streamIndex": 1, "width": 1280, "height": 720}, {"streamIndex": 0, "x": 960, "y": 540, "width": 320, "height": 180}]
    layout = {"mode": "custom", "canvas": {"width": 1280, "height": 720, "background": "#000000"}, "regions": regions}
    files = [{"url": "https://vod.example.com/a.mp4", "startOffset": 30}, {"url": "https://vod.example.com/b.mp4", "endOffset": "1m"}]
    mark = {"image": _picture(), "x": 0.1, "y": 0.07, "width": 0.12}
    return {
        "live": relay("live", title="早间新闻", callbackUrl="https://ops.example.com/relay", watermark=mark),
        "list": relay("list", source={"files": files, "loop": 3}, destination={"domain": "p.example.com", "app": "live", "stream": "s"}),
        "late": relay("late", -10, 50, source={"files": [{"url": "https://vod.example.com/c.mp4"}], "loop": "forever"}),
        "off": relay("off", enabled=False),
        "hall": session("RecordingSession", "hall", streams=streams, layout=layout, control={"maxDuration": "4h"}, storage=S3),
        "mod": session("SegmentSession", "mod", streams=streams[:1], sliceDuration="30s", identifier="audit", align=True, storage=S3),
        "goal": clip("goal", name="Goal 78", creatorId="desk"),
    }


def change(docs: dict[str, dict[str, Any]]) -> None:
    docs["live"]["spec"]["callbackUrl"] = "https://ops.example.com/two"
    docs["list"]["spec"]["source"]["loop"] = 5
    docs["off"]["spec"]["enabled"] = True
    docs["hall"]["spec"]["layout"]["canvas"]["background"] = "#112233"
    docs["mod"]["spec"]["active"] = False
    docs["goal"]["spec"] |= {"name": "Goal 79", "creatorId": "desk2"}


@pytest.mark.parametrize("habits", HABITS.values(), ids=HABITS)
def test_a_plan_after_an_apply_is_empty(meet: Callable[..., Bench], habits: dict[str, Any]) -> None:
    bench = meet(**habits)
    fake, docs = bench.fake, everything()
    on_air = [flag for name in ("RecordingSession/hall", "SegmentSession/mod", "RelayTask/late") for flag in ("--allow-on-air", name)]

    def settled() -> None:
        made = bench.plan()
        assert [(one["address"], one["changed_paths"]) for one in made["changes"] if one["action"] != "noop"] == []
        assert (made["drift"], made["conflicts"]) == ([], [])
        assert (len(fake.relays), len(fake.running()), len(fake.clips())) == (4, 2, 1)

    bench.write("m.yaml", *docs.values())
    bench.apply()
    settled()
    assert [task["stopped"] for task in fake.relays.values() if task.get("SrcAddr", "").endswith("off.flv")] == [True]

    change(docs)
    bench.write("m.yaml", *docs.values())
    since = len(fake.calls)
    bench.apply(*on_air)
    starts = ["ContinuePullToPushTask"] if fake.switch["continue"] else ["ContinuePullToPushTask", "RestartPullToPushTask"]
    updates = [*["UpdatePullToPushTask"] * 2, "UpdateRecord", "UpdateSegment", "PATCH /asset/*", *starts]
    assert sorted(fake.writes(since)) == sorted(updates)
    settled()

    gone = bench("destroy", "--auto-approve", *on_air)
    assert gone.code == 0, gone
    assert (fake.relays, fake.running(), fake.clips()) == ({}, [], [])
    assert all(call.signed for call in fake.calls)
