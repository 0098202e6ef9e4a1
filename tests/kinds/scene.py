"""One kind against one emulated vendor: the real client and the real courier, on a frozen clock that a pause moves."""

from __future__ import annotations

from typing import Any

import httpx

from reconciler.courier import Courier, Pacer
from reconciler.emulator.core import Clock as EmulatedClock
from reconciler.emulator.core import World
from reconciler.emulator.front import Emulator
from reconciler.emulator.in_process import handler
from reconciler.emulator.livepeer import seed as seed_livepeer
from reconciler.model import Call, Created, Reply, Secret
from reconciler.vendors.credentials import LivepeerKey, VolcengineKey
from reconciler.vendors.livepeer import Livepeer
from reconciler.vendors.volcengine import Volcengine
from tests.scenarios.stage import SharedClock


class Notes:
    """A journal that keeps only the ids."""

    def __init__(self) -> None:
        self.ids: list[str] = []

    def created(self, made: Created) -> None:
        self.ids.append(made.id)

    def sending(self, call: Call) -> None: ...

    def done(self, call: Call, reply: Reply) -> None: ...

    def rejected(self, call: Call, why: Exception) -> None: ...

    def unknown(self, call: Call, why: Exception) -> None: ...

    def happened(self, call: Call) -> bool:
        return False


class Scene:
    """`vendor` is live, rtc or livepeer; `switches` are those of its emulator."""

    deadline = 900.0

    def __init__(self, kind: Any, vendor: str, at: str, **switches: str) -> None:
        self.world = World(clock=EmulatedClock.frozen_at(at), switches={f"{vendor}.{name}": value for name, value in switches.items()})
        self.kind, self.clock, self.notes = kind, SharedClock(self.world.clock), Notes()
        self.vendor = self._client(vendor)
        self.courier = Courier("default", lambda account, name: self.vendor, self.clock, Pacer(self.clock), side=1)

    def _client(self, vendor: str) -> Volcengine | Livepeer:
        http = httpx.Client(transport=httpx.MockTransport(handler(Emulator(self.world))))
        if vendor == "livepeer":
            seed_livepeer(self.world, "default")
            token = LivepeerKey(Secret("lp-emulator-key"), "test")
            return Livepeer("https://livepeer.studio/api", token, clock=self.clock, read_only=False, client=http)
        key = VolcengineKey(Secret("AKLTEMULATOR"), Secret("emulator-secret"), None, "test")
        return Volcengine(f"https://{vendor}.volcengineapi.com", key, clock=self.clock, read_only=False, client=http)

    def do(self, steps: Any) -> Any:
        return self.courier.run(steps, journal=self.notes, deadline=self.deadline)
