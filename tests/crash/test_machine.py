"""A state machine over the whole engine: manifests are edited, runs are attacked, strangers interfere; then everything must come right.

After every calm spell: an empty plan, exactly one object for each declaration, and never two of one identity at any event before.
One clock, one seed: what Hypothesis prints replays.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from reconciler import crash
from reconciler.courier import Courier, Pacer
from reconciler.errors import LedgerError, ReconcilerError, VendorError
from reconciler.kinds import Registry
from reconciler.model import Action, Address, Call, Created, Lookup, Presence, Reply
from reconciler.vendors import Transports
from tests.crash.ground import PATIENCE, ROUND, manifest
from tests.crash.harness import Killed
from tests.scenarios.manifests import KINDS, ON_AIR, S3
from tests.scenarios.stage import ENV, Stage

FAULTS = ("reset", "timeout", "500", "502", "504", "commonErr", "halfBody", "notJson", "late:20", "late:55")
ADDRESSES = {
    "relay": Address("RelayTask", "morning-news"),
    "playlist": Address("RelayTask", "night-loop"),
    "recording": Address("RecordingSession", "town-hall"),
    "segment": Address("SegmentSession", "moderation"),
    "clip": Address("Clip", "goal-78"),
}
LIMIT = 3 * 3600.0  # seconds after which the day goes on without us: later, sessions end and relays begin by themselves
WRITES = ("*PullToPushTask", "Start*", "Update*", "Stop*", "POST /clip", "PATCH *", "DELETE *")


class Deaf:
    """The journal of somebody who keeps none."""

    def sending(self, call: Call) -> None: ...

    def done(self, call: Call, reply: Reply) -> None: ...

    def rejected(self, call: Call, why: VendorError) -> None: ...

    def unknown(self, call: Call, why: VendorError) -> None: ...

    def created(self, made: Created) -> None: ...


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.home = tempfile.TemporaryDirectory()
        self.stage = Stage(Path(self.home.name), env=S3)
        self.states: dict[str, str] = {}

    def teardown(self) -> None:
        crash.hook = None
        self.stage.http.close()
        self.home.cleanup()

    @property
    def early(self) -> bool:
        return self.stage.clock.monotonic() < LIMIT

    # what people do

    @initialize(kind=st.sampled_from(sorted(KINDS)))
    def begin(self, kind: str) -> None:
        self.edit(kind, "first")

    @rule(kind=st.sampled_from(sorted(KINDS)), state=st.sampled_from(["first", "update", "replace", ""]))
    def edit(self, kind: str, state: str) -> None:
        """Declares an object, in one of three forms, or no more; at least one is left, for no project may become empty."""
        after = {**self.states, kind: state}
        if not any(after.values()):
            return
        self.states = after
        self.stage.write("---\n".join(manifest(one, how) for one, how in self.states.items() if how))

    @rule()
    def apply(self) -> None:
        self.life()

    @rule(seconds=st.sampled_from([1, 20, 61, 76, 130]))
    def time_passes(self, seconds: int) -> None:
        if self.early:
            self.stage.world.clock.advance(seconds)

    # what goes wrong

    @precondition(lambda self: self.early)
    @rule(
        fault=st.sampled_from(["", *FAULTS]),
        when=st.sampled_from(["before", "after"]),
        nth=st.integers(1, 3),
        kill=st.integers(0, 40),
    )
    def attacked_apply(self, fault: str, when: str, nth: int, kill: int) -> None:
        """An answer of a write is spoilt, and the process dies at a point."""
        if fault:
            self.stage.world.faults.add([{"action": action, "when": when, "nth": nth, "fault": fault} for action in WRITES])
        self.life(at=kill)
        self.stage.world.faults.clear()

    @precondition(lambda self: self.early)
    @rule(point=st.integers(1, 40), seconds=st.sampled_from([0, 30, 180]))
    def stolen_lock(self, point: int, seconds: int) -> None:
        """A run freezes at a point; another one takes its lock, waits, and does all the work; then the first goes on."""

        def steal() -> None:
            ledger = self.stage.ledger()
            try:
                ledger.force_unlock()
            finally:
                ledger.close()
            self.stage.world.clock.advance(seconds)
            self.life()

        self.life(at=point, instead=steal)

    @precondition(lambda self: self.early)
    @rule(kind=st.sampled_from(["relay", "playlist", "clip"]))
    def deleted_by_a_stranger(self, kind: str) -> None:
        """Not a session: one that somebody stopped has ended, and `onEnd: leave` leaves it so."""
        self.strange(kind, "delete")

    @precondition(lambda self: self.early)
    @rule(kind=st.sampled_from(["relay", "playlist", "clip"]))
    def edited_by_a_stranger(self, kind: str) -> None:
        self.strange(kind, "update")

    @precondition(lambda self: self.early)
    @rule()
    def ledger_lost(self) -> None:
        """The state file is gone, and `state rebuild` makes another. Calm first: what was on its way out is known to nobody after it."""
        self.calm()
        for file in (self.stage.root / ".reconciler").glob("*"):
            file.unlink()
        self.stage.world.clock.advance(ROUND * 4)
        self.stage.run(lambda engine: engine.rebuild())

    @rule(seed=st.integers(0, 10_000))
    def bits_flipped(self, seed: int) -> None:
        """The file is damaged: a run refuses clearly, or does no harm; a backup is laid back."""
        file = self.stage.root / ".reconciler" / "state.db"
        if not file.exists():
            return
        chance = random.Random(seed)
        kept = {one: one.read_bytes() for one in file.parent.iterdir()}
        data = bytearray(kept[file])
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        file.write_bytes(data)
        with suppress(LedgerError):
            self.plan()
        for one in file.parent.iterdir():
            one.unlink()
        for one, content in kept.items():
            one.write_bytes(content)

    # what must be so

    @precondition(lambda self: self.early)
    @rule()
    def calm(self) -> None:
        """Runs again until nothing is left to do; then all is as declared."""
        began = self.stage.clock.monotonic()
        while self.life():
            assert self.stage.clock.monotonic() - began < PATIENCE, f"not settled after {PATIENCE} s: {self.plan()}"
            self.stage.world.clock.advance(ROUND)
        alive = sorted(one for ids in self.stage.world.ledger.living.values() for one in ids)
        wanted = sum(bool(state) for state in self.states.values())
        assert len(alive) == wanted, f"{len(alive)} live objects, {wanted} declared: {alive}"
        assert self.stage.world.ledger.most() <= 1, "two live objects of one identity at one time"

    # the ways

    def plan(self) -> list[str]:
        made = self.stage.plan(allow_on_air=ON_AIR, allow_delete=9)
        return [f"{one.action} {one.address}: {one.reason}" for one in made.changes if one.action is not Action.NOOP]

    def life(self, *, at: int = 0, instead: Callable[[], None] | None = None) -> int:
        """One run; returns how many changes it saw. It dies at the point with that number, or does something else there, once."""
        passed = 0
        dead = False

        def pass_point(_: str) -> None:
            nonlocal passed, dead
            passed += 1
            if dead or passed == at:
                if instead is None:
                    dead = True
                    raise Killed
                crash.hook = None
                instead()

        crash.hook = pass_point if at else None
        try:
            todo = self.plan()
            if todo:
                self.stage.apply(allow_on_air=ON_AIR, allow_delete=9)
            return len(todo)
        except (Killed, ReconcilerError):
            return 1
        finally:
            crash.hook = None

    def strange(self, kind: str, verb: str) -> None:
        """Somebody else changes or deletes what is live, with the vendor's own means."""
        address = ADDRESSES[kind]
        registry = Registry()
        found = registry.get(address.kind)
        assert found is not None
        want = next((one for one in self.stage.loaded().desired if one.address == address), None)
        ledger = self.stage.ledger()
        entry = ledger.entry(address)
        ledger.close()
        if want is None or entry is None:
            return
        clock = self.stage.clock
        transports = Transports({}, ENV, home=self.stage.root, clock=clock, read_only=False, client=self.stage.http)
        courier = Courier("default", transports, clock, Pacer(clock), side=1)
        with suppress(ReconcilerError):
            seen = courier.run(found.observe([Lookup(address, "default", want, entry, None)])).answers[0]
            if seen.presence is not Presence.LIVE:
                return
            if verb == "delete":
                courier.run(found.delete(seen), journal=Deaf(), deadline=30)
            else:
                path = {"relay": "spec.callbackUrl", "playlist": "spec.preload", "clip": "spec.creatorId"}[kind]
                courier.run(found.update(want, seen, [path]), journal=Deaf(), deadline=30)


def run(machine: type[Machine], *, examples: int, steps: int) -> None:
    how = settings(
        max_examples=examples, stateful_step_count=steps, derandomize=True, database=None, deadline=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    run_state_machine_as_test(machine, settings=how)


def test_a_few_hundred_steps() -> None:
    run(Machine, examples=25, steps=12)


@pytest.mark.long
@pytest.mark.parametrize("part", range(10))
def test_a_hundred_thousand_steps(part: int) -> None:
    """Ten parts of 10,000, each with a name of its own, from which Hypothesis derives what it tries."""
    run(type(f"Machine{part}", (Machine,), {}), examples=250, steps=40)
