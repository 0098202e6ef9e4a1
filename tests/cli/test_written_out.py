"""Secrets written out in URLs are warned of; references, plain hosts and ordinary names are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler import writtenout
from tests.cli.conftest import Command, relay


def doubts(url: str) -> list[str]:
    found = ["password"] if writtenout.password(url) else []
    return [*found, *writtenout.query_values(url), *(["stream key"] if writtenout.stream_key(url) else [])]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("rtmp://bob:hunter2@push.example.com/live/news", ["password"]),
        ("http://pull.example.com/live/a.flv?auth_key=1795219200-0-0-9f86d081", ["auth_key"]),
        ("rtmp://push.example.com/live/news?volcTime=1795219200&volcSecret=9f86d0", ["volcSecret"]),
        ("https://ops.example.com/relay?Access-Token=abc&key=${env:KEY}", ["Access-Token"]),
        ("rtmp://a.rtmp.youtube.com/live2/a1b2-c3d4-e5f6-g7h8-i9j0", ["stream key"]),
        ("rtmp://fra05.contribute.live-video.net/app/short", ["stream key"]),
        ("rtmp://ingest.example.com/app/live_123456789_AbCdEfGhIjKlMnOpQrSt", ["stream key"]),
        ("rtmps://ingest.example.com:443/rtmp/FB-1234567890-0-AbxYz12", ["stream key"]),
        ("rtmps://x.example.com:443/app/sk_us-west-2_AbCdEfGh1234", ["stream key"]),
        ("rtmp://push.example.com/live/9f86d081884c7d659a2feaa0c55ad015", ["stream key"]),
        ("rtmp://bob:p@push.example.com/live/a1b2-c3d4-e5f6-g7h8?token=x", ["password", "token", "stream key"]),
    ],
    ids=[
        "user info",
        "query",
        "among others",
        "beside a reference",
        "youtube",
        "twitch's host",
        "twitch",
        "facebook",
        "ivs",
        "random",
        "all",
    ],
)
def test_what_is_written_out(url: str, expected: list[str]) -> None:
    assert doubts(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "rtmp://push.example.com/live/news",
        "rtmp://push.example.com:1935/live/news?key=${env:PUSH_KEY}",
        "rtmp://push.example.com/live/${env:STREAM_KEY}",
        "rtmp://a.rtmp.youtube.com/live2/${env:YOUTUBE_KEY}",
        "rtmp://a.rtmp.youtube.com/live2",
        "rtmp://push.example.com/live/news?key=",
        "rtmp://push.example.com/live/news?volcTime=1795219200&expire=9&line=key",
        "rtmp://push.example.com/live/morning-news-2026-12-01-evening",
        "rtmp://push.example.com/live/stream20261201080000backup",
        "rtmp://push.example.com/live/news-east-main-hall",
        "rtmp://push.example.com/live/channel1720p30fps",
        "rtmp://push.example.com/live/0d8f8c2e-0000-4000-8000-eafe0815eafe",
        "rtmp://bob@push.example.com/live/news",
        "https://vod.example.com/9f86d081884c7d659a2feaa0c55ad015/index.m3u8",
        "http://[broken/live",
    ],
)
def test_no_false_alarm(url: str) -> None:
    assert doubts(url) == []
    assert writtenout.hidden(url) == url


def test_validate_warns_at_the_place_and_never_says_it(project: Path, reconciler: Command) -> None:
    path = project / "manifests/a.yaml"
    path.write_text(relay("a"), encoding="utf-8")
    said = reconciler("validate")
    assert (said.code, "warning" in said.out) == (0, False)
    path.write_text(
        relay("a", source="http://bob:hunter2@pull.example.com/live/a.flv").replace(
            "live/a?key=${env:PUSH_KEY}", "live/a1b2-c3d4-e5f6-g7h8?key=sesame"
        ),
        encoding="utf-8",
    )
    said = reconciler("validate")
    assert said.code == 0
    assert said.out.count("warning[RC023]") == 3
    assert " --> manifests/a.yaml:8:22   RelayTask/a  spec.destination.url" in said.out
    assert "= help: write ${env:NAME} in its place; if this was committed, change the secret" in said.out
    machines = reconciler("validate", "-o", "json")
    assert {one["path"] for one in machines.json["diagnostics"]} == {"spec.source.url", "spec.destination.url"}
    untrusted = reconciler("validate", "--untrusted")
    assert untrusted.out == said.out
    assert not [word for word in ("hunter2", "sesame", "g7h8") if word in said.out + machines.out]
    assert reconciler("validate", "--strict").code == 65
