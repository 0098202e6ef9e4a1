"""Secrets that somebody wrote out in a URL, told by where they stand and by the shape of a stream key; what they are is never said."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from urllib.parse import SplitResult, urlsplit

_QUERY = frozenset(
    {"accesskey", "accesstoken", "apikey", "auth", "authkey", "key", "pass", "passwd", "password", "pwd", "secret", "sign", "signature"}
    | {"streamkey", "token", "txsecret", "volcsecret", "wssecret"}
)
"""Names of query values that let somebody in, in small letters, without `-` and `_`."""
_KEYED = ("youtube.com", "twitch.tv", "live-video.net", "facebook.com", "mux.com", "livepeer.com", "livepeer.studio")
"""Where the last part of a push path is always a stream key."""
_SHORTEST = 16  # characters of a stream key


@cache
def _shapes() -> tuple[re.Pattern[str], ...]:
    """YouTube and Livepeer (xxxx-xxxx-xxxx-xxxx, digits in it), Twitch, Facebook, Amazon IVS."""
    groups = r"(?=(?:.*\d){2})[a-z0-9]{4}(?:-[a-z0-9]{4}){3,5}"
    return tuple(map(re.compile, (groups, r"live_\d{6,}_\w{20,}", r"FB-\d+-\d+-[\w-]+", r"sk_[a-z]+-[a-z]+-\d_\w{8,}")))


def password(url: str) -> bool:
    """Whether a password stands before the host."""
    parts = _split(url)
    return parts is not None and bool(parts.netloc.rpartition("@")[0].partition(":")[2])


def query_values(url: str) -> Iterator[str]:
    """The names of query values that hold a secret, and not a reference to one."""
    parts = _split(url)
    for pair in parts.query.split("&") if parts and parts.query else ():
        name, _, value = pair.partition("=")
        if value and "${env:" not in value and name.lower().replace("-", "").replace("_", "") in _QUERY:
            yield name


def stream_key(url: str) -> str:
    """The last part of a push URL's path, when it is, or looks like, a stream key; else ""."""
    parts = _split(url)
    if parts is None or parts.scheme.lower() not in ("rtmp", "rtmps"):
        return ""
    app, _, last = parts.path.rpartition("/")
    if not app or not last or "${env:" in last:
        return ""
    host = (parts.hostname or "").lower()
    if any(host == keyed or host.endswith(f".{keyed}") for keyed in _KEYED):
        return last
    return last if len(last) >= _SHORTEST and (any(shape.fullmatch(last) for shape in _shapes()) or _random(last)) else ""


def hidden(url: str) -> str:
    """A URL without its stream key, for people."""
    key = stream_key(url)
    return url.replace(key, "***") if key else url


def _random(text: str) -> bool:
    """Twenty letters and digits in a row that change places more often than names, dates and versions do."""
    return any(len(re.findall(r"[A-Za-z]+|\d+", run)) > 5 for run in re.findall(r"[A-Za-z0-9]{20,}", text))


def _split(url: str) -> SplitResult | None:
    try:
        return urlsplit(url)
    except ValueError:
        return None
