"""A scripted HTTP server on loopback that can also misbehave, and a clock that only moves when told. No answer is improvised."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from reconciler.model import Secret
from reconciler.vendors.credentials import LivepeerKey, VolcengineKey

START = datetime(2026, 1, 1, tzinfo=UTC)
ACCESS, SECRET, TOKEN = "AKLTexampleexampleexample", "exampleSecretKeyexampleSecretKey", "STS2exampletoken"
API_KEY = "lp-0123456789-secret"


def volcengine_key(token: str = "") -> VolcengineKey:
    return VolcengineKey(Secret(ACCESS), Secret(SECRET), Secret(token) if token else None, "test")


def livepeer_key() -> LivepeerKey:
    return LivepeerKey(Secret(API_KEY), "test")


@dataclass
class StillClock:
    """A Clock that stands still; `pass_by` and `sleep` move it."""

    instant: datetime = START
    ticks: float = 1000.0

    def now(self) -> datetime:
        return self.instant

    def monotonic(self) -> float:
        return self.ticks

    def sleep(self, seconds: float) -> None:
        self.pass_by(seconds)

    def pass_by(self, seconds: float) -> None:
        self.ticks += seconds
        self.instant += timedelta(seconds=seconds)


@dataclass(frozen=True)
class Seen:
    """A request as the server read it."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))


Act = Callable[[socket.socket], None]


def respond(status: int = 200, body: Any = None, *, headers: Mapping[str, str] | None = None, raw: bytes | None = None) -> Act:
    """A whole, honest answer: `raw`, or `body` as JSON."""
    content = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} X", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if status != 204:
        lines.append(f"Content-Length: {len(content)}")
    return send("\r\n".join(lines).encode() + b"\r\n\r\n" + content)


def send(data: bytes) -> Act:
    """These bytes, then the end of the connection."""

    def act(connection: socket.socket) -> None:
        connection.sendall(data)

    return act


def hang_up(connection: socket.socket) -> None:
    """The end of the connection without a byte."""


def reset(connection: socket.socket) -> None:
    """RST instead of an answer."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def stay_silent(connection: socket.socket) -> None:
    """No answer until the client goes away."""
    connection.recv(1)


@dataclass
class Server:
    """Answers one request per connection, in the order of `script`. `seen` holds the requests, `connections` counts accepts.

    A `greeting` is sent before the request is read.
    """

    script: Sequence[Act]
    tls: ssl.SSLContext | None = None
    greeting: bytes = b""
    seen: list[Seen] = field(default_factory=list)
    connections: int = 0

    def __enter__(self) -> Server:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _serve(self) -> None:
        script = iter(self.script)
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            with connection:
                try:
                    if self.tls:
                        connection = self.tls.wrap_socket(connection, server_side=True)
                    connection.sendall(self.greeting)
                    seen = self._read(connection)
                    if seen is None:
                        continue
                    self.seen.append(seen)
                    next(script)(connection)
                except (OSError, StopIteration):
                    continue
                finally:
                    connection.close()

    def _read(self, connection: socket.socket) -> Seen | None:
        data = b""
        while b"\r\n\r\n" not in data:
            piece = connection.recv(65536)
            if not piece:
                return None
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        first, *rest = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
        while len(body) < int(headers.get("content-length", "0")):
            body += connection.recv(65536)
        return Seen(method, target, headers, body)


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


def envelope(result: Any = ..., *, error: Mapping[str, Any] | None = None, request_id: str = "20260101000000A001") -> dict[str, Any]:
    """A Volcengine answer; without `result` it has no Result key."""
    metadata: dict[str, Any] = {"RequestId": request_id, "Action": "A", "Version": "2023-01-01", "Service": "live", "Region": "cn-north-1"}
    if error is not None:
        metadata["Error"] = error
    body: dict[str, Any] = {"ResponseMetadata": metadata}
    if result is not ...:
        body["Result"] = result
    return body
