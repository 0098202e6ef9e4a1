"""A client of the emulated Livepeer Studio in one process, on a frozen clock: what the tests of this half talk through."""

from __future__ import annotations

import json
from typing import Any

from reconciler.emulator.core import Clock, Request, Response, World
from reconciler.emulator.front import Emulator

NOW = "2026-03-01T12:00:00Z"
NOW_MS = 1_772_366_400_000
PLAYBACK_ID = "eaw4nk06ts2d0mzb"
STREAM = "d1f0985e-b0a9-4d65-8d34-9fb6aac12556"
SESSION = "de7818e7-610a-4057-8f6f-b785dc1e6f88"
START = NOW_MS - 600_000
WINDOW = {"playbackId": PLAYBACK_ID, "sessionId": SESSION, "startTime": START, "endTime": START + 30_000}


class Studio:
    """`studio.get("/asset")` -> (status, JSON body); the whole answer of the last call is `studio.last`."""

    def __init__(self, *seeds: str, key: str = "lp-emulator-key", **switches: str) -> None:
        from reconciler.emulator.livepeer import seed

        self.world = World(clock=Clock.frozen_at(NOW), switches={f"livepeer.{name}": value for name, value in switches.items()})
        self.emulator = Emulator(self.world)
        self.key = key
        self.last = Response(0, {}, b"")
        for name in seeds or ("default",):
            seed(self.world, name)

    def send(self, method: str, path: str, body: Any = None, *, key: str | None = None, **headers: str) -> tuple[int, Any]:
        sent = {"authorization": f"Bearer {key or self.key}", "host": "127.0.0.1:8080"}
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        if body is not None:
            sent["content-type"] = "application/json"
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        self.last = self.emulator.handle(Request.of(method, f"/api{path}", headers=sent, body=data))
        return self.last.status, self.last.decoded()

    def get(self, path: str, **headers: str) -> tuple[int, Any]:
        return self.send("GET", path, **headers)

    def clip(self, **changes: Any) -> tuple[str, str]:
        """(asset id, task id) of a new clip of the default window; `changes` replace members of the body."""
        status, body = self.send("POST", "/clip", {**WINDOW, **changes})
        assert status == 200, body
        return body["asset"]["id"], body["task"]["id"]

    def wait(self, seconds: float) -> None:
        self.world.clock.advance(seconds)

    def asset(self, asset_id: str) -> Any:
        status, body = self.get(f"/asset/{asset_id}")
        assert status == 200, body
        return body

    def task(self, task_id: str) -> Any:
        status, body = self.get(f"/task/{task_id}")
        assert status == 200, body
        return body

    def living(self) -> dict[str, list[str]]:
        return self.world.ledger.living
