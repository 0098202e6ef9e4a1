"""A whole run without a socket: real manifests, kinds, vendors' clients, ledger and engine, against the emulator in process.

One clock drives both sides, so sleeping is instant and every run is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from reconciler import manifest, project, references
from reconciler.emulator.core import Clock as EmulatorClock
from reconciler.emulator.core import World
from reconciler.emulator.front import Emulator
from reconciler.emulator.in_process import handler
from reconciler.engine import Engine, Options, Report, Wanted
from reconciler.kinds import Registry
from reconciler.ledger import Ledger, open_ledger
from reconciler.model import Action, Plan
from reconciler.vendors import Transports

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ENV = {
    "RECONCILER_LIVE_ENDPOINT": "http://127.0.0.1:18080",
    "RECONCILER_RTC_ENDPOINT": "http://127.0.0.1:18080",
    "RECONCILER_LIVEPEER_ENDPOINT": "http://127.0.0.1:18080/api",
    "VOLCENGINE_ACCESS_KEY": "AKLTEMULATOR",
    "VOLCENGINE_SECRET_KEY": "emulator-secret",
    "LIVEPEER_API_KEY": "lp-emulator-key",
}


class SharedClock:
    """The product's clock, told by the emulator's frozen one."""

    def __init__(self, clock: EmulatorClock) -> None:
        self._clock = clock
        self._began = clock.now_ms()

    def now(self) -> datetime:
        return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=self._clock.now_ms())

    def monotonic(self) -> float:
        return (self._clock.now_ms() - self._began) / 1000

    def sleep(self, seconds: float) -> None:
        self._clock.advance(max(seconds, 0.001))


class Stage:
    """A project folder, an emulated world and a ledger; every method is one run of the command line's use case."""

    def __init__(
        self, root: Path, *, switches: Mapping[str, str] | None = None, seed: str = "default", env: Mapping[str, str] | None = None
    ):
        self.root = root
        self.world = World(clock=EmulatorClock.frozen_at(NOW.isoformat()), switches={"rate_limits": "off", **(switches or {})})
        self.emulator = Emulator(self.world)
        if seed:
            from reconciler.emulator import livepeer

            livepeer.seed(self.world, seed)
        self.clock = SharedClock(self.world.clock)
        self.env = {**ENV, **(env or {})}
        self.http = httpx.Client(transport=httpx.MockTransport(handler(self.emulator)))

    def write(self, text: str, name: str = "manifests.yaml") -> Stage:
        (self.root / name).write_text(text, encoding="utf-8")
        return self

    def loaded(self) -> manifest.Loaded:
        found = project.find(self.root)
        return manifest.load(project.files(found, self.root), project=found, kinds=Registry()).require()

    def ledger(self) -> Ledger:
        return open_ledger(".reconciler/state.db", root=self.root, workspace="default", clock=self.clock, create=True)

    def run(self, work: Callable[[Engine], object], *, read_only: bool = False) -> object:
        found = project.find(self.root)
        loaded = self.loaded()
        ledger = self.ledger()
        transports = Transports({}, self.env, home=self.root, clock=self.clock, read_only=read_only, client=self.http)
        try:
            engine = Engine(
                workspace=found.workspace,
                kinds=Registry().get,
                ledger=ledger,
                transports=transports,
                clock=self.clock,
                wanted=Wanted(
                    loaded.desired,
                    loaded.digest,
                    loaded.files,
                    loaded.diagnostics,
                    resolve=lambda desired: references.resolve(desired, project=found, env=self.env, kinds=Registry()),
                ),
                parallelism=0,
            )
            return work(engine)
        finally:
            transports.close()
            ledger.close()

    def plan(self, **options: object) -> Plan:
        plan = self.run(lambda engine: engine.plan(Options(**options)), read_only=True)  # type: ignore[arg-type]
        assert isinstance(plan, Plan)
        return plan

    def apply(self, **options: object) -> Report:
        def work(engine: Engine) -> Report:
            chosen = Options(**options)  # type: ignore[arg-type]
            return engine.apply(engine.plan(chosen), chosen)

        report = self.run(work)
        assert isinstance(report, Report)
        return report

    def advance(self, **delta: float) -> None:
        self.world.clock.advance(timedelta(**delta).total_seconds())

    def actions(self, **options: object) -> dict[str, str]:
        """What a plan would do, by address; what needs nothing is left out."""
        return {str(change.address): change.action.value for change in self.plan(**options).changes if change.action is not Action.NOOP}

    def calls(self) -> list[str]:
        """The writes the emulator saw, in order."""
        return [call.action for call in self.world.log if call.effect]
