"""The one seam to the network: a request goes out at most once, a bounded answer comes back, and everything else is a `Broken`.

No redirects, no compression, no cookies, TLS always verified, proxies from the environment except for loopback.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import logging
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import httpx

from reconciler import __version__
from reconciler.errors import UsageError, VendorError
from reconciler.frozen import frozen
from reconciler.model import Call, Clock
from reconciler.vendors import outcome
from reconciler.vendors.redaction import readable, redact

LARGEST_ANSWER = 16 * 1024 * 1024
DEEPEST_JSON = 64
CONNECTIONS = 16  # httpx gets slower with a larger pool
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_SENDING = frozenset({"http11.send_request_headers.started", "http2.send_request_headers.started"})

for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)  # their debug logs print headers, Authorization among them


class Broken(Exception):
    """No usable answer. `name` is a code of the outcome table: the httpx exception's name, or one of ours."""

    def __init__(self, name: str, text: str = "", *, status: int = 0) -> None:
        super().__init__(f"{name}: {text}")
        self.name = name
        self.text = text
        self.status = status


@frozen
class Outgoing:
    """A request, ready for the socket: `url` and `content` are sent exactly as they stand.

    `secrets` are texts that no message and no log may repeat, should the answer do so.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(default=b"", repr=False)
    secrets: Collection[str] = field(default=(), repr=False)


@dataclass(frozen=True)
class Incoming:
    """An answer, read to its end. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @cached_property
    def json(self) -> Any:
        """The parsed body. Raises Broken (NotJSON, AnswerTooDeep)."""
        try:
            parsed = json.loads(self.content, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as cause:
            raise Broken("NotJSON", f"the answer is not JSON: {cause}", status=self.status) from None
        if self.content.count(b"{") + self.content.count(b"[") > DEEPEST_JSON and _deeper_than(parsed, DEEPEST_JSON):
            raise Broken("AnswerTooDeep", f"the answer is nested deeper than {DEEPEST_JSON} levels", status=self.status)
        if _SURROGATE.search(self.content):  # half a pair cannot be written anywhere; it becomes `?`
            parsed = json.loads(json.dumps(parsed, ensure_ascii=False).encode(errors="replace"))
        return parsed


@frozen
class Exchange:
    """One request and what came of it, with everything secret already hidden: for `-vv` and the debug log.

    `status` is 0 and `failure` names the exception when no answer came. `seconds` is the time it took.
    """

    call: str
    method: str
    url: str
    query: Mapping[str, Any] = field(default_factory=dict)
    request_headers: Mapping[str, Any] = field(default_factory=dict)
    request_body: Any = None
    status: int = 0
    response_headers: Mapping[str, Any] = field(default_factory=dict)
    response_body: Any = None
    failure: str = ""
    seconds: float = 0.0


OnExchange = Callable[[Exchange], None]


class Line:
    """A pool of connections to one endpoint. Thread safe; `close()` it when done.

    `endpoint` must be https unless it points to this machine; UsageError otherwise. A `client` that was passed in stays open.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        clock: Clock,
        timeout: float = 30.0,
        client: httpx.Client | None = None,
        on_exchange: OnExchange | None = None,
    ) -> None:
        self.endpoint = checked_endpoint(endpoint)
        self._clock = clock
        self._timeout = timeout
        self._on_exchange = on_exchange
        self._owned = client is None
        self._client = client or _client(self.endpoint)

    def close(self) -> None:
        if self._owned:
            self._client.close()

    def exchange(self, call: Call, request: Outgoing, *, fence: Callable[[], None] = lambda: None) -> Incoming:
        """Send once. Raises Broken and nothing else.

        `fence` is called last of all before the first byte leaves, after any wait for a connection; it may raise Broken.
        """
        began = self._clock.monotonic()
        answer: Incoming | None = None
        failure = ""
        try:
            answer = self._send(request, fence)
        except Broken as broken:
            failure = broken.name
            raise
        finally:
            self._note(call, request, answer, failure, self._clock.monotonic() - began)
        return answer

    def _send(self, request: Outgoing, fence: Callable[[], None]) -> Incoming:
        began = self._clock.monotonic()

        def at_the_socket(event: str, _: Any) -> None:
            nonlocal began
            if event in _SENDING:
                fence()
                began = self._clock.monotonic()

        fence()
        outgoing = self._prepared(request, at_the_socket)
        if self._client.is_closed:
            raise Broken("Closed", "the connections were closed already")
        try:
            answer = self._client.send(outgoing, stream=True, follow_redirects=False)
            try:
                return self._read(answer, until=began + 2 * self._timeout)
            finally:
                answer.close()
        except Broken:
            raise
        except Exception as cause:
            raise Broken(type(cause).__name__, str(cause)) from None  # the cause may quote a header

    def _prepared(self, request: Outgoing, trace: Callable[[str, Any], None]) -> httpx.Request:
        headers = {
            **request.headers,
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": f"reconciler/{__version__}",
        }
        if not all(value.isascii() and value.isprintable() for value in headers.values()):
            raise Broken("Unsendable", "a header holds characters that no header may have")
        try:
            return httpx.Request(
                request.method,
                request.url,
                headers=headers,
                content=request.content or None,
                extensions={"timeout": httpx.Timeout(self._timeout).as_dict(), "trace": trace},
            )
        except Exception as cause:
            raise Broken("Unsendable", f"its address or headers are refused: {type(cause).__name__}") from None

    def _read(self, answer: httpx.Response, *, until: float) -> Incoming:
        status = answer.status_code
        if 300 <= status < 400:
            to = urlsplit(answer.headers.get("location", "")).hostname or "another path"
            raise Broken("Redirected", f"redirected to {to}; redirects are not followed", status=status)
        if answer.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
            raise Broken("AnswerCompressed", "the answer is compressed, though it was asked not to be", status=status)
        content = bytearray()
        for piece in answer.iter_bytes():
            content += piece
            if len(content) > LARGEST_ANSWER:
                raise Broken("AnswerTooLarge", f"the answer is larger than {LARGEST_ANSWER >> 20} MiB", status=status)
            if self._clock.monotonic() > until:
                raise Broken("SlowAnswer", f"the answer did not end within {2 * self._timeout:g} s", status=status)
        return Incoming(status, {name.lower(): value for name, value in answer.headers.items()}, bytes(content))

    def _note(self, call: Call, request: Outgoing, answer: Incoming | None, failure: str, seconds: float) -> None:
        if not self._on_exchange:
            return
        hidden = request.secrets
        with contextlib.suppress(Exception):  # a broken log must not cost the answer of a write
            self._on_exchange(
                Exchange(
                    call=call.action,
                    method=request.method,
                    url=request.url.partition("?")[0],
                    query=redact(call.query, secrets=hidden),
                    request_headers=redact(request.headers, secrets=hidden),
                    request_body=redact(call.body, secrets=hidden),
                    status=answer.status if answer else 0,
                    response_headers=redact(answer.headers, secrets=hidden) if answer else {},
                    response_body=_shown(answer, hidden) if answer else None,
                    failure=failure,
                    seconds=seconds,
                )
            )


def unanswered(call: Call, broken: Broken, *, secrets: Collection[str]) -> VendorError:
    """What a call comes to that got no usable answer; its message repeats none of `secrets`."""
    text = readable(broken.text, secrets=secrets)
    failure = outcome.Failure(outcome.SOCKET, broken.name, status=broken.status, text=text)
    return outcome.error(failure, action=call.action, safe=call.safe)


def checked_endpoint(endpoint: str) -> str:
    """The endpoint without a trailing slash. Raises UsageError unless it is scheme, host and path, and https or on this machine."""
    try:
        parts = urlsplit(endpoint)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise UsageError("an endpoint is not a URL; write it like https://live.volcengineapi.com") from None
    if not host or parts.scheme not in ("http", "https") or parts.username is not None or parts.query or parts.fragment:
        raise UsageError("an endpoint is scheme, host and path only; write it like https://live.volcengineapi.com")
    if parts.scheme == "http" and not is_loopback(host):
        raise UsageError(f"endpoint http://{host} is not encrypted; only loopback hosts may be http, use https://{host}")
    return endpoint.rstrip("/")


def is_loopback(host: str) -> bool:
    """Whether a host name is this machine: localhost or a loopback address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def encoded(body: Any) -> bytes:
    """The bytes of a JSON body, compact UTF-8; empty for None."""
    return b"" if body is None else json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _client(endpoint: str) -> httpx.Client:
    limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
    parts = urlsplit(endpoint)
    tls = parts.scheme == "https"  # else there is nothing to verify, and to read the certificates takes 20 ms
    try:
        return httpx.Client(verify=tls, limits=limits, trust_env=not is_loopback(parts.hostname or ""), follow_redirects=False)
    except (ValueError, ImportError) as cause:
        raise UsageError(f"the proxy of this environment cannot be used: {type(cause).__name__}; check HTTPS_PROXY and ALL_PROXY") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _deeper_than(value: Any, depth: int) -> bool:
    level = [value]
    for _ in range(depth):
        level = [
            item
            for container in level
            if isinstance(container, dict | list)
            for item in (container.values() if isinstance(container, dict) else container)
        ]
        if not level:
            return False
    return any(isinstance(item, dict | list) for item in level)


def _shown(answer: Incoming, secrets: Collection[str]) -> Any:
    try:
        return redact(answer.json, secrets=secrets)
    except Broken:
        return f"({len(answer.content)} bytes that are not JSON)"
