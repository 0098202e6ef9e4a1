"""The emulator without a socket: a handler for `httpx.MockTransport`. A file of its own: the core needs no httpx."""

from __future__ import annotations

from collections.abc import Callable

import httpx

from reconciler.emulator.core import Request
from reconciler.emulator.front import Emulator


def handler(emulator: Emulator, *, wait: Callable[[float], None] | None = None) -> Callable[[httpx.Request], httpx.Response]:
    """For `httpx.Client(transport=httpx.MockTransport(handler(emulator)))`. Spoilt answers raise what the real socket
    would: ReadError (reset), ReadTimeout (timeout), RemoteProtocolError (half a body). `wait` spends the seconds of a
    late answer, the read timeout at most; by default it advances the emulator's clock, if that is frozen."""

    def spend(seconds: float) -> None:
        if wait is not None:
            wait(seconds)
        elif emulator.world.clock.frozen:
            emulator.world.clock.advance(seconds)

    def answer(sent: httpx.Request) -> httpx.Response:
        limit = _read_timeout(sent)
        response = emulator.handle(_translate(sent))
        if response.delay:
            spend(min(response.delay, limit))
            if response.delay > limit:
                raise httpx.ReadTimeout("the emulator's answer came too late", request=sent)
            if response.ticket:
                response = emulator.collect(response.ticket)
        if response.spoil == "reset":
            raise httpx.ReadError("connection reset by the emulator", request=sent)
        if response.spoil == "timeout":
            spend(limit if limit != float("inf") else 60.0)
            raise httpx.ReadTimeout("no answer from the emulator", request=sent)
        if response.spoil == "halfBody":
            text = "peer closed connection without sending complete message body"
            raise httpx.RemoteProtocolError(text, request=sent)
        return httpx.Response(response.status, headers=response.headers, content=response.body, request=sent)

    return answer


def _read_timeout(sent: httpx.Request) -> float:
    seconds = sent.extensions.get("timeout", {}).get("read")
    return float("inf") if seconds is None else float(seconds)


def _translate(sent: httpx.Request) -> Request:
    return Request.of(
        sent.method,
        sent.url.raw_path.decode("ascii"),
        headers={name.lower(): value for name, value in sent.headers.items()},
        body=sent.read(),
    )
