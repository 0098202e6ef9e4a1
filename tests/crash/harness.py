"""Faults and kills: one change is carried out while an answer is spoilt and the process dies at a numbered point; then it is run again.

The oracle is the emulator's own ledger of live objects per identity at every event: never two, and in the end exactly what is declared.
A case is a line of text; `replay("line")` runs it again.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from reconciler import crash, manifest, project, references
from reconciler.emulator import livepeer
from reconciler.emulator.core import Clock as EmulatorClock
from reconciler.emulator.core import World
from reconciler.emulator.front import Emulator
from reconciler.emulator.in_process import handler
from reconciler.engine import Engine, Options, Wanted
from reconciler.errors import ReconcilerError
from reconciler.kinds import Registry
from reconciler.ledger import open_ledger
from reconciler.model import Action, Desired
from reconciler.vendors import Transports
from tests.scenarios.stage import ENV, NOW, SharedClock
from tests.scenarios.test_whole_loop import EDITS, KINDS, ON_AIR, S3

FAULTS = ("reset", "timeout", "500", "502", "504", "commonErr", "halfBody", "notJson", "late:20", "late:70", "429", "403")
WHENS = ("before", "after")
VERBS = ("create", "update", "replace", "delete")
REPLACED = {
    "relay": ("spec:\n", "spec:\n  group: other\n"),
    "playlist": ("  title: 夜间循环\n", "  title: 夜间循环\n  group: other\n"),
    "recording": ("maxDuration: 4h", "maxDuration: 5h"),
    "segment": ("bucket: b,", "bucket: c,"),
    "clip": ("21:14:35", "21:14:40"),
}
PATIENCE = 900.0  # seconds of the shared clock within which everything must have settled
ROUND = 45.0


class Killed(BaseException):
    """The process is gone: nothing of it runs any more, not even its clean-up."""


@dataclass(frozen=True, slots=True)
class Case:
    """`call` counts the writes of the attacked run from 1; `kill` counts the points it passes, 0 lets it live."""

    kind: str
    verb: str
    fault: str = ""
    when: str = "before"
    call: int = 1
    kill: int = 0

    def __str__(self) -> str:
        return f"{self.kind} {self.verb} {self.fault or '-'} {self.when} {self.call} {self.kill}"

    @classmethod
    def parse(cls, line: str) -> Case:
        kind, verb, fault, when, call, kill = line.split()
        return cls(kind, verb, "" if fault == "-" else fault, when, int(call), int(kill))


_DECLARED: dict[tuple[str, str], list[Desired]] = {}
_REGISTRY = Registry()


def declared(kind: str, state: str) -> list[Desired]:
    """What the manifests say in one state (`first`, `update`, `replace`, `delete`), read once."""
    found = _DECLARED.get((kind, state))
    if found is None:
        text = KINDS[kind]
        if state == "update":
            text = text.replace(*EDITS[kind])
        elif state == "replace":
            text = text.replace(*REPLACED[kind])
        folder = Path(tempfile.mkdtemp())
        try:
            (folder / "m.yaml").write_text(text, encoding="utf-8")
            where = project.find(folder)
            loaded = manifest.load(project.files(where, folder), project=where, kinds=_REGISTRY).require()
            found = references.resolve(loaded.desired, project=where, kinds=_REGISTRY, env={**ENV, **S3})
        finally:
            shutil.rmtree(folder)
        _DECLARED[kind, state] = found = [] if state == "delete" else found
    return found


class Trial:
    """One case being run: a world, a ledger file, and as many lives of the process as it takes."""

    def __init__(self, folder: Path, case: Case) -> None:
        self.folder = folder
        self.case = case
        self.world = World(clock=EmulatorClock.frozen_at(NOW.isoformat()), switches={"rate_limits": "off"})
        self.emulator = Emulator(self.world)
        livepeer.seed(self.world, "default")
        self.clock = SharedClock(self.world.clock)
        self.http = httpx.Client(transport=httpx.MockTransport(handler(self.emulator)))
        self.passed = 0

    def live(self, state: str) -> tuple[int, int]:
        """One life: plan and apply. Returns (exit code, changes left to do). Raises Killed."""
        ledger = open_ledger(".reconciler/state.db", root=self.folder, workspace="default", clock=self.clock, create=True)
        transports = Transports({}, ENV, home=self.folder, clock=self.clock, read_only=False, client=self.http)
        desired = declared(self.case.kind, state)
        try:
            engine = Engine(
                workspace="default", kinds=_REGISTRY.get, ledger=ledger, transports=transports, clock=self.clock,
                wanted=Wanted(desired, state, 1 if desired else 0), parallelism=1,
            )
            options = Options(allow_on_air=ON_AIR)
            try:
                plan = engine.plan(options)
                todo = [one for one in plan.changes if one.action not in (Action.NOOP,)]
                if not todo:
                    return 0, 0
                return engine.apply(plan, options).exit_code, len(todo)
            except ReconcilerError as wrong:
                return wrong.exit_code, 1
        finally:
            ledger.close()

    def attacked(self, state: str) -> None:
        """The life that is attacked: an answer spoilt, and the process killed at a point."""
        case = self.case
        if case.fault:
            self.world.faults.add([{"action": action, "when": case.when, "nth": case.call, "fault": case.fault} for action in _writes(case)])

        dead = False

        def pass_point(name: str) -> None:
            nonlocal dead
            self.passed += 1
            if dead or self.passed == case.kill:
                dead = True
                raise Killed

        crash.hook = pass_point
        try:
            self.live(state)
        except Killed:
            pass
        finally:
            crash.hook = None
            self.world.faults.clear()

    def converge(self, state: str) -> int:
        """Runs again until nothing is left to do; returns how many lives it took. Raises AssertionError past the patience."""
        began = self.clock.monotonic()
        lives = 0
        while True:
            lives += 1
            _, todo = self.live(state)
            if not todo:
                return lives
            assert self.clock.monotonic() - began < PATIENCE, f"not settled after {PATIENCE} s: {self.case}"
            self.world.clock.advance(ROUND)

    def close(self) -> None:
        self.http.close()


def _writes(case: Case) -> list[str]:
    return {
        "relay": ["*PullToPushTask"],
        "playlist": ["*PullToPushTask"],
        "recording": ["StartRecord", "UpdateRecord", "StopRecord"],
        "segment": ["StartSegment", "UpdateSegment", "StopSegment"],
        "clip": ["POST /clip", "PATCH *", "DELETE *"],
    }[case.kind]


def run(case: Case, folder: Path) -> int:
    """Runs one case in an empty folder; returns the number of crash points the attacked life passed. Raises AssertionError."""
    trial = Trial(folder, case)
    try:
        if case.verb != "create":
            trial.converge("first")
        state = "first" if case.verb == "create" else case.verb
        trial.attacked(state)
        trial.converge(state)
        check(trial, state)
        return trial.passed
    finally:
        trial.close()


def check(trial: Trial, state: str) -> None:
    """Never two of one identity at any event; in the end exactly what is declared, and nothing left over."""
    alive = [one for ids in trial.world.ledger.living.values() for one in ids]
    wanted = 0 if state == "delete" else 1
    assert len(alive) == wanted, f"{trial.case}: {len(alive)} live objects, wanted {wanted}: {sorted(alive)}"
    assert trial.world.ledger.most() <= 1, f"{trial.case}: two live objects of one identity at one time"


def cases(kinds: tuple[str, ...] = tuple(KINDS), *, calls: int = 2) -> Iterator[Case]:
    """Every kind, verb, fault, moment and attacked call, without kills; `with_kills` adds those."""
    for kind in kinds:
        for verb in VERBS:
            yield Case(kind, verb)
            for fault in FAULTS:
                for when in WHENS:
                    for call in range(1, calls + 1):
                        yield Case(kind, verb, fault, when, call)
