"""Push URLs taken apart, so that two of them can be told to mean one place: scheme class, host, port, app/stream, without the signature."""

from __future__ import annotations

import re
from typing import NamedTuple

PORTS = {"rtmp": "1935", "rtmps": "443", "http": "80", "https": "443", "rtsp": "554"}
_CLASSES = {"rtmps": "rtmp", "https": "http"}
_PARTS = re.compile(r"([^/?#]*)([^?#]*)(.*)", re.DOTALL)
_COMMON = re.compile(r"(rtmps?|https?)://([a-z0-9.-]+)(/[^?#]*)")  # nearly all of them
_STREAM_ID = re.compile(r"[?&]streamid=([^&]*)", re.IGNORECASE)


class Ingest(NamedTuple):
    """A push URL taken apart; two with one `key` push to the same place. `query` holds the signature, if any."""

    scheme: str
    host: str
    port: str
    path: str
    query: str

    @property
    def key(self) -> str:
        """`rtmp://push.example.com/live/stream-1`: the scheme's class, then the place."""
        return f"{_CLASSES.get(self.scheme, self.scheme)}://{self.place}"

    @property
    def place(self) -> str:
        """`push.example.com/live/stream-1`: lower-case host, a port that is not the default, app/stream."""
        port = "" if self.port == PORTS.get(self.scheme, "") else f":{self.port}"
        return f"{self.host}{port}{self.path}"

    @classmethod
    def of(cls, url: str) -> Ingest:
        if common := _COMMON.fullmatch(url):
            return cls(common[1], common[2], PORTS[common[1]], common[3].rstrip("/"), "")
        scheme, _, rest = url.partition("://")
        scheme = scheme.lower()
        authority, path, query = _cut(rest)
        host, _, port = authority.rpartition("@")[2].partition(":") if "[" not in authority else (authority, "", "")
        if scheme == "srt" and not path:
            found = _STREAM_ID.search(query)  # SRT names the stream in its stream id: `#!::r=live/stream-1,m=publish`, or plainly
            name = found[1] if found else ""
            fields = dict(pair.partition("=")[::2] for pair in name.removeprefix("#!::").split(","))
            path = "/" + fields.get("r", name.partition("?")[0].partition(",")[0])
        return cls(scheme, host.lower(), port or PORTS.get(scheme, ""), path.rstrip("/"), query)


def _cut(rest: str) -> tuple[str, str, str]:
    """Authority, path and query of what follows `://`."""
    found = _PARTS.fullmatch(rest)
    assert found
    return found[1], found[2], found[3]
