"""The emulator as a real server on loopback: HTTP through uvicorn, and faults that really break the connection."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager, suppress
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from reconciler.emulator.core import Request, Response, World, parse_query
from reconciler.emulator.front import Emulator

LONGEST_HOLD_SECONDS = 60.0
_LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class App:
    """The ASGI side. It knows the open connections, because a reset has to go below HTTP."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.connections: dict[tuple[str, int], asyncio.Transport] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if not is_local(headers.get("host", "")):
            text = "the emulator serves 127.0.0.1, localhost and [::1] only"
            await _answer(send, Response.json(421, {"error": text}))
            return
        request = await _read(scope, headers, receive)
        response = self.emulator.handle(request)
        if response.delay:
            await asyncio.sleep(response.delay)
            if response.ticket:
                response = self.emulator.collect(response.ticket)
        await self._deliver(scope, receive, send, response)

    async def _deliver(self, scope: Scope, receive: Receive, send: Send, response: Response) -> None:
        if not response.spoil:
            await _answer(send, response)
            return
        connection = self.connections[tuple(scope["client"])]
        if response.spoil == "halfBody":
            await _answer(send, response, only=max(1, len(response.body) // 2))
            connection.close()
        elif response.spoil == "timeout":
            await _gone(receive)
            reset(connection)
        else:
            reset(connection)
        await _gone(receive)  # returning earlier, uvicorn would complain that the answer is not complete


def is_local(host: str) -> bool:
    """Whether a Host header names this machine, with any port. Keeps web pages from reaching in by a DNS name."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    return name.lower() in _LOCAL_HOSTS


def reset(connection: asyncio.Transport) -> None:
    """Close with RST: no answer, no farewell. Nothing to do where the client left first."""
    if connection.is_closing():
        return
    bare = connection.get_extra_info("socket")
    if bare is not None:
        bare.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.abort()


async def _read(scope: Scope, headers: dict[str, str], receive: Receive) -> Request:
    body = bytearray()
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message["type"] == "http.request" and message.get("more_body", False)
    raw_query = scope["query_string"].decode("latin-1")
    client = scope["client"][0] if scope.get("client") else "127.0.0.1"
    path = scope.get("raw_path", scope["path"].encode()).decode("latin-1").partition("?")[0]
    return Request(scope["method"], path, parse_query(raw_query), raw_query, headers, bytes(body), client)


async def _answer(send: Send, response: Response, *, only: int | None = None) -> None:
    """Send the answer; with `only`, promise all of the body and send that many bytes."""
    bodyless = response.status in (204, 304)
    length = [] if bodyless else [(b"content-length", str(len(response.body)).encode())]
    headers = [(name.encode(), value.encode("latin-1")) for name, value in response.headers.items()]
    await send({"type": "http.response.start", "status": response.status, "headers": headers + length})
    body = response.body if only is None else response.body[:only]
    await send({"type": "http.response.body", "body": b"" if bodyless else body, "more_body": only is not None})


async def _gone(receive: Receive) -> None:
    """Wait until the connection is gone, 60 s at most."""

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    with suppress(TimeoutError):
        await asyncio.wait_for(gone(), LONGEST_HOLD_SECONDS)


def _protocol(app: App) -> type[asyncio.Protocol]:
    """uvicorn's protocol, telling the app about its connections."""

    class Protocol(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if self.client is not None:
                app.connections[self.client] = transport

        def connection_lost(self, exc: Exception | None) -> None:
            if self.client is not None:
                app.connections.pop(self.client, None)
            super().connection_lost(exc)

    return Protocol


def listen(host: str = "127.0.0.1", port: int = 0) -> socket.socket:
    """A listening socket on loopback; port 0 takes a free one. OSError when the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bare = socket.socket(family, socket.SOCK_STREAM)
    bare.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bare.bind((host, port))
        bare.listen(256)
    except OSError:
        bare.close()
        raise
    return bare


def url_of(bare: socket.socket) -> str:
    host, port = bare.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def server(emulator: Emulator) -> uvicorn.Server:
    """A server to `run(sockets=[...])`; it ends on SIGTERM and SIGINT, or when `should_exit` is set."""
    app = App(emulator)
    config = uvicorn.Config(
        app,
        http=_protocol(app),
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=1,
        timeout_keep_alive=75,
    )
    return uvicorn.Server(config)


@contextmanager
def running(world: World, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """A server in a thread, for tests: yields its URL, `http://127.0.0.1:PORT`; writes the data file at the end."""
    emulator = Emulator(world)
    bare = listen(host, port)
    serving = server(emulator)
    thread = threading.Thread(target=serving.run, kwargs={"sockets": [bare]}, daemon=True)
    thread.start()
    try:
        yield url_of(bare)
    finally:
        serving.should_exit = True
        thread.join(timeout=10)
        bare.close()
        emulator.close()
