"""What may be shown of a request or an answer: secrets hidden by their names and by URL part, foreign text made harmless."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from reconciler.model import mask_url

HIDDEN = "***"
LONGEST_MESSAGE = 300

_SECRET_NAMES = frozenset({"authorization", "proxyauthorization", "cookie", "setcookie", "signature", "xsignature", "token", "jwt"})
_SECRET_ENDINGS = (
    "accesskey",
    "accesskeyid",
    "secretkey",
    "secret",
    "securitytoken",
    "sessiontoken",
    "accesstoken",
    "streamkey",
    "apikey",
    "password",
)
# Their paths may hold `${env:NAME}` too, and the wire no longer tells which part did.
_ADDRESSES = frozenset({"srcaddr", "srcaddrs", "dstaddr", "callbackurl"})
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s\"'<>\\]+")
_SHORTEST_SECRET = 6  # shorter ones would hide half of every message


def is_secret(name: str) -> bool:
    """Whether what stands under this key, header or parameter must never be shown. Case, `-` and `_` don't matter."""
    plain = _plain(name)
    return plain in _SECRET_NAMES or plain.endswith(_SECRET_ENDINGS)


def redact(value: Any, *, name: str = "", secrets: Collection[str] = ()) -> Any:
    """A copy of parsed JSON, headers or parameters in which nothing secret is left, at any depth; nor any of `secrets`, wherever."""
    if isinstance(value, Mapping):
        return {key: HIDDEN if is_secret(str(key)) else redact(item, name=str(key), secrets=secrets) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact(item, name=name, secrets=secrets) for item in value]
    if isinstance(value, str):
        if _plain(name) in _ADDRESSES:
            return _only_host(value)
        value = _without(value, secrets)
        return _URL.sub(lambda found: mask_url(found[0]), value) if "://" in value else value
    return value


def secrets_in(value: Any, *, name: str = "") -> Iterator[str]:
    """The secret texts inside a request body, whole and as parts of URLs: what a vendor's message must not repeat."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if is_secret(str(key)) and isinstance(item, str):
                yield item
            else:
                yield from secrets_in(item, name=str(key))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from secrets_in(item, name=name)
    elif isinstance(value, str) and _plain(name) in _ADDRESSES:
        yield from _parts_of_url(value)


def readable(text: str, *, secrets: Collection[str] = ()) -> str:
    """A vendor's text as one harmless line: no control or bidi characters, no known secret, URLs as scheme and host, 300 characters."""
    text = _without(text, secrets)
    text = _URL.sub(lambda found: _only_host(found[0]), text)
    text = "".join(" " if unicodedata.category(letter)[0] in "CZ" else letter for letter in text[: 4 * LONGEST_MESSAGE])
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_MESSAGE else text[: LONGEST_MESSAGE - 3] + "..."


_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,80}")


def request_id(text: object) -> str:
    """A vendor's id of a request; "" for anything that does not look like one."""
    found = str(text or "").strip()
    return found if _REQUEST_ID.fullmatch(found) else ""


def _without(text: str, secrets: Collection[str]) -> str:
    for secret in sorted(set(secrets), key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            for spelling in (secret, quote(secret, safe="", errors="replace")):
                text = text.replace(spelling, HIDDEN)
    return text


def _plain(name: str) -> str:
    return name.replace("-", "").replace("_", "").lower()


def _only_host(url: str) -> str:
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return HIDDEN
    return f"{parts.scheme}://{host}/{HIDDEN}" if parts.scheme and host else HIDDEN


def _parts_of_url(url: str) -> Iterator[str]:
    try:
        parts = urlsplit(url)
    except ValueError:
        yield url
        return
    yield url
    tail = url.partition(parts.netloc)[2] if parts.netloc else ""
    if len(tail) > 1:
        yield tail
    yield parts.netloc.rpartition("@")[0]
    for _, value in parse_qsl(parts.query):
        yield value
    yield from re.split(r"[/?&=#;]", tail)  # as they were written: a vendor's message may break off anywhere
