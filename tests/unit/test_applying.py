"""Carrying a plan out: what may start when, what failures mean for the rest, and what an interrupt leaves behind."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.applying import Crew
from reconciler.courier import Courier, Pacer
from reconciler.errors import OutcomeUnknown, Rejected
from reconciler.ledger import Ledger, open_ledger
from reconciler.model import (
    Action,
    Address,
    Call,
    Change,
    Created,
    Desired,
    Entry,
    Event,
    FieldChange,
    Kind,
    Lifecycle,
    Match,
    Observed,
    Outcome,
    Place,
    Presence,
    Reply,
    Result,
    Scheduling,
    Stage,
    Survey,
)
from reconciler.running import GRACE, carry_out
from tests.fakes import StillClock


class Thing(Kind):
    name = "Thing"
    vendor = "nowhere"
    scheduling = Scheduling.VENDOR

    def identity(self, want: Desired) -> str:
        return f"{want.address.name}.{want.incarnation}"

    def observe(self, ask):
        reply = yield self._call("Get", ask[0].address.name, safe=True)
        return Survey([replace(reply.body, address=lookup.address) for lookup in ask])

    def create(self, want):
        yield self._call("Create", want.address.name)
        yield Created(f"new-{want.address.name}")

    def update(self, want, live, fields):
        yield self._call("Update", live.id)

    def delete(self, live):
        yield self._call("Delete", live.id)

    def start(self, want, live):
        yield self._call("Start", live.id)

    def stop(self, live):
        yield self._call("Stop", live.id)

    def _call(self, action: str, of: str, *, safe: bool = False) -> Call:
        return Call("nowhere", action, body={"of": of}, safe=safe, repeatable=action != "Create", pace=1000)


class Session(Thing):
    name = "Session"
    scheduling = Scheduling.RUNNER


KINDS: dict[str, Kind] = {"Thing": Thing(), "Session": Session()}
Answer = Callable[[Call], Reply]


class Vendor:
    """Says yes, unless `answers` has something else for `Action of`. Remembers what came."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.answers: dict[str, Answer] = {}

    def send(self, call: Call) -> Reply:
        line = f"{call.action} {call.body['of']}"
        self.heard.append(line)
        answer = self.answers.get(line)
        return answer(call) if answer else Reply({}, request_id="r1")


def raising(error: Exception) -> Answer:
    def answer(call: Call) -> Reply:
        raise error

    return answer


class Scene:
    def __init__(self, folder: Path) -> None:
        self.clock = StillClock()
        self.vendor = Vendor()
        self.halt = threading.Event()
        self.events: list[Event] = []
        self.ledger: Ledger = open_ledger("state.db", root=folder, workspace="default", clock=self.clock, create=True)

    def apply(self, *changes: Change, parallelism: int = 0) -> list[Result]:
        pacer = Pacer(self.clock)
        crew = Crew(
            lambda name: KINDS[name], self.ledger, self.clock,
            lambda account, paused: Courier(account, lambda *_: self.vendor, self.clock, pacer, halted=self.halt.is_set),
            self.events.append, self.halt.is_set, parallelism,
        )  # fmt: skip
        with self.ledger.acquire("ada", timeout=0) as lease:
            return carry_out(changes, crew, lease)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    one = Scene(tmp_path)
    yield one
    one.ledger.close()


def change(action: Action, name: str = "a", *, kind: str = "Thing", needs: tuple[str, ...] = (), **more: object) -> Change:
    here = Address(kind, name)
    after = tuple(Address(kind, need) for need in needs)
    want = Desired(here, {"enabled": True}, Place("m.yaml"), depends_on=after, lifecycle=Lifecycle())
    entry = Entry(here, "default", f"id-{name}", f"{name}.1", applied={"enabled": True}, depends_on=after)
    live = Observed(here, Presence.LIVE, f"id-{name}", {"enabled": True}, stage=Stage.WAITING, match=Match.LEDGER, identity=f"{name}.1")
    there = action not in (Action.CREATE, Action.ADOPT)
    made = Change(
        here, action, "because", desired=None if action is Action.DELETE else want, entry=entry if there else None,
        observed=live if there else Observed(here, Presence.ABSENT),
    )  # fmt: skip
    return replace(made, **more)


def outcomes(results: list[Result]) -> list[Outcome]:
    return [one.outcome for one in results]


@pytest.mark.parametrize("parallelism", [0, 1, 4])
@pytest.mark.parametrize(
    ("changes", "order"),
    [
        pytest.param(
            [change(Action.CREATE, "b", needs=("a",)), change(Action.CREATE, "a")], ["Create a", "Create b"], id="what it needs comes first"
        ),
        pytest.param(
            [change(Action.DELETE, "a"), change(Action.DELETE, "b", needs=("a", "gone", "b"))], ["Delete id-b", "Delete id-a"], id="and goes last"
        ),
        pytest.param(
            [change(Action.CREATE, "a"), change(Action.CREATE, "c"), change(Action.DELETE, "b")], ["Delete id-b", "Create a", "Create c"],
            id="what frees something comes before what may take it",
        ),
        pytest.param([change(Action.CREATE, "a", needs=("a",))], ["Create a"], id="nothing waits for itself"),
    ],
)  # fmt: skip
def test_the_order(scene: Scene, changes: list[Change], order: list[str], parallelism: int) -> None:
    results = scene.apply(*changes, parallelism=parallelism)
    assert [one.change for one in results] == changes
    assert set(outcomes(results)) == {Outcome.DONE}
    heard = [line for line in scene.vendor.heard if not line.startswith("Get ")]
    assert (heard if parallelism < 2 or len(order) < 3 else [heard[0], *sorted(heard[1:])]) == order


@pytest.mark.parametrize("parallelism", [0, 1, 4])
def test_what_needs_a_failed_one_is_not_started_and_nor_is_what_needs_that(scene: Scene, parallelism: int) -> None:
    scene.vendor.answers["Create a"] = raising(Rejected("no", code="InvalidParam"))
    chain = [
        change(Action.CREATE, "a"), change(Action.CREATE, "b", needs=("a",)), change(Action.CREATE, "c", needs=("b", "a")), change(Action.CREATE, "d"),
    ]  # fmt: skip
    results = scene.apply(*chain, parallelism=parallelism)
    assert outcomes(results) == [Outcome.FAILED, Outcome.NOT_STARTED, Outcome.NOT_STARTED, Outcome.DONE]
    assert results[1].message == "Thing/a comes first and was not done"
    assert sorted(scene.vendor.heard) == ["Create a", "Create d"]


def test_a_dependent_is_deleted_first_but_its_failure_does_not_save_the_rest(scene: Scene) -> None:
    scene.vendor.answers["Delete id-b"] = raising(Rejected("no"))
    results = scene.apply(change(Action.DELETE, "a"), change(Action.DELETE, "b", needs=("a",)))
    assert outcomes(results) == [Outcome.DONE, Outcome.FAILED]


class Hurried(StillClock):
    """Half the grace goes by between two looks."""

    def monotonic(self) -> float:
        self.advance(GRACE / 2)
        return super().monotonic()


def test_an_answer_that_an_interrupt_does_not_wait_for_is_unknown(scene: Scene) -> None:
    let_go, arrived = threading.Event(), threading.Event()

    def stuck(call: Call) -> Reply:
        scene.halt.set()
        scene.clock.__class__ = Hurried
        arrived.set()
        let_go.wait(20)
        raise OutcomeUnknown("nobody listens")

    scene.vendor.answers["Create a"] = stuck
    scene.vendor.answers["Create b"] = raising(Rejected("never sent"))
    results = scene.apply(change(Action.CREATE, "a"), change(Action.CREATE, "b", needs=("a",)), parallelism=2)
    assert arrived.is_set()
    assert [(one.outcome, one.exit_code, one.next_step) for one in results] == [
        (Outcome.UNKNOWN, 7, "reconciler refresh Thing/a"),
        (Outcome.NOT_STARTED, 0, ""),
    ]
    assert [one.address.name for one in scene.ledger.open_intents()] == ["a"]
    let_go.set()
    for thread in threading.enumerate():
        if thread.name.startswith("apply"):
            thread.join(20)


def test_an_answer_that_comes_within_the_grace_counts(scene: Scene) -> None:
    def late(call: Call) -> Reply:
        scene.halt.set()
        return Reply({})

    scene.vendor.answers["Create a"] = late
    assert outcomes(scene.apply(change(Action.CREATE, "a"), parallelism=2)) == [Outcome.DONE]


def test_a_replacement_that_got_half_way_says_so(scene: Scene) -> None:
    scene.vendor.answers["Create a"] = raising(Rejected("no room"))
    (result,) = scene.apply(change(Action.REPLACE, "a"))
    assert (result.outcome, result.exit_code) == (Outcome.FAILED, 3)
    assert result.message == "the old one is deleted, the new one failed: no room"
    assert scene.ledger.entries() == {}


ENABLED = FieldChange("spec.enabled", False, True)
TITLE = FieldChange("spec.title", "a", "b")


@pytest.mark.parametrize(
    ("fields", "enabled", "sent"),
    [
        pytest.param((TITLE, ENABLED), True, ["Update id-a", "Start id-a"], id="changed, then started"),
        pytest.param((TITLE, ENABLED), False, ["Update id-a", "Stop id-a"], id="changed, then stopped"),
        pytest.param((ENABLED,), True, ["Start id-a"], id="started"),
        pytest.param((TITLE,), True, ["Update id-a"], id="changed"),
    ],
)
def test_an_update_that_also_turns_it_on_or_off(scene: Scene, fields: tuple[FieldChange, ...], enabled: bool, sent: list[str]) -> None:
    one = change(Action.UPDATE, fields=fields)
    assert one.desired is not None
    one = replace(one, desired=replace(one.desired, values={"enabled": enabled}))
    assert outcomes(scene.apply(one)) == [Outcome.DONE]
    assert scene.vendor.heard == sent
    entry = scene.ledger.entry(one.address)
    assert entry is not None
    assert dict(entry.applied or {}) == {"enabled": enabled}


def seen(values: dict[str, object], **more: object) -> Answer:
    there = Observed(Address("Session", "a"), Presence.LIVE, "id-a", values, stage=Stage.WAITING, match=Match.LEDGER, identity="a.1")
    return lambda call: Reply(replace(there, **more))


@pytest.mark.parametrize(
    ("first", "then", "outcome", "message"),
    [
        pytest.param(seen({"enabled": True}), seen({"enabled": True}), Outcome.DONE, "updated", id="it shows"),
        pytest.param(
            seen({"enabled": True}), seen({"enabled": 7}), Outcome.DONE, "updated; the vendor's read does not show it yet", id="it does not yet"
        ),
        pytest.param(seen({"enabled": True}), raising(Rejected("no")), Outcome.DONE, "updated", id="nothing is read back"),
        pytest.param(
            seen({"enabled": False}), seen({"enabled": True}), Outcome.FAILED, "Session/a was changed since it was planned", id="changed meanwhile"
        ),
    ],
)  # fmt: skip
def test_what_can_be_read_alone_is_read_before_and_after_an_update(
    scene: Scene, first: Answer, then: Answer, outcome: Outcome, message: str
) -> None:
    reads = [first, then]
    scene.vendor.answers["Get a"] = lambda call: reads.pop(0)(call)
    (result,) = scene.apply(change(Action.UPDATE, kind="Session", fields=(TITLE,)))
    assert (result.outcome, result.message) == (outcome, message)
    assert ("Update id-a" in scene.vendor.heard) is (outcome is Outcome.DONE)


def test_what_was_never_there_is_not_deleted(scene: Scene) -> None:
    one = replace(change(Action.DELETE), entry=None, observed=Observed(Address("Thing", "a"), Presence.ABSENT))
    assert outcomes(scene.apply(one)) == [Outcome.DONE]
    assert scene.vendor.heard == []
