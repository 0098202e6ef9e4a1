"""A fifth kind is one new module and nothing else: no file of ours is touched, and the whole loop knows it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from reconciler import kinds, manifest, project, schema
from reconciler.engine import Engine, Wanted
from reconciler.kinds import Registry
from reconciler.ledger import open_ledger
from reconciler.model import Action, Call, Reply
from tests.fakes import ScriptedTransport, StillClock

MODULE = """
from typing import Annotated, ClassVar

from reconciler import wire
from reconciler.fields import REPLACE, Doc, Spec, Wire, fault
from reconciler.model import Call, Created, Kind, Match, Observed, Presence, Scheduling, Stage, Survey

RULES = {"RC900": ("lantern colour", "a lantern is red or green")}


class LanternSpec(Spec):
    colour: Annotated[str, Wire("Colour"), Doc("what it shines")]
    post: Annotated[int, Wire("Post"), REPLACE] = 1


class Lantern(Kind):
    name = "Lantern"
    vendor = "harbour"
    spec = LanternSpec
    scheduling = Scheduling.RETROSPECTIVE
    summary = "a light on a post"

    def canonical(self, spec, *, name):
        return wire.canonical(spec)

    def identity(self, want):
        return f"{want.address.name}.{want.incarnation}"

    def replaces(self, path, want, live):
        return wire.shape(LanternSpec).marked("replace", path)

    def observe(self, ask):
        reply = yield Call("harbour", "ListLanterns", "GET", safe=True, pace=100)
        lit = {one["Id"]: one for one in reply.body}
        answers = []
        for lookup in ask:
            found = lookup.entry and lit.get(lookup.entry.id)
            if not found:
                answers.append(Observed(lookup.address, Presence.ABSENT))
                continue
            values = wire.decode(LanternSpec, found)
            answers.append(Observed(lookup.address, Presence.LIVE, found["Id"], values, stage=Stage.READY, match=Match.LEDGER))
        return Survey(answers)

    def create(self, want):
        reply = yield Call("harbour", "LightLantern", body=wire.encode(LanternSpec, want.values), pace=100)
        yield Created(reply.body["Id"])
        return reply.body["Id"]

    def update(self, want, live, fields):
        body = {"Id": live.id, **wire.encode(LanternSpec, want.values)}
        yield Call("harbour", "ChangeLantern", body=body, repeatable=True, pace=100)

    def delete(self, live):
        yield Call("harbour", "DouseLantern", body={"Id": live.id}, repeatable=True, pace=100)


KIND = Lantern()
"""


class Harbour:
    """The vendor: lanterns by id."""

    def __init__(self) -> None:
        self.lit: dict[str, dict] = {}
        self.count = 0

    def __call__(self, call: Call) -> Reply:
        match call.action:
            case "ListLanterns":
                return Reply([{"Id": id, **body} for id, body in self.lit.items()])
            case "LightLantern":
                self.count += 1
                self.lit[f"l{self.count}"] = dict(call.body)
                return Reply({"Id": f"l{self.count}"})
            case "ChangeLantern":
                self.lit[call.body["Id"]] = {key: value for key, value in call.body.items() if key != "Id"}
            case "DouseLantern":
                del self.lit[call.body["Id"]]
        return Reply()


@pytest.fixture
def fifth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "kinds").mkdir()
    (tmp_path / "kinds" / "lantern.py").write_text(MODULE)
    monkeypatch.setattr(kinds, "__path__", [*kinds.__path__, str(tmp_path / "kinds")])
    yield
    kinds._load.cache_clear()
    sys.modules.pop("reconciler.kinds.lantern", None)


def test_the_whole_loop_knows_it(fifth: None, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    clock, harbour = StillClock(), Harbour()
    transport = ScriptedTransport(clock, harbour)

    def run(text: str) -> list[Action]:
        (folder / "m.yaml").write_text(text)
        where = project.find(folder)
        loaded = manifest.load(project.files(where, folder), project=where, kinds=Registry()).require()
        ledger = open_ledger(".reconciler/state.db", root=folder, workspace="default", clock=clock, create=True)
        try:
            engine = Engine(
                workspace="default",
                kinds=Registry().get,
                ledger=ledger,
                transports=lambda account, vendor: transport,
                clock=clock,
                wanted=Wanted(loaded.desired, loaded.digest, loaded.files),
                parallelism=0,
            )
            plan = engine.plan()
            assert engine.apply(plan).exit_code == 0
            return [change.action for change in plan.changes]
        finally:
            ledger.close()

    text = "apiVersion: broadcast.reconciler/v1\nkind: Lantern\nmetadata: {name: pier}\nspec: {colour: red}\n"
    assert run(text) == [Action.CREATE]
    assert run(text) == [Action.NOOP]
    assert run(text.replace("red", "green")) == [Action.UPDATE]
    assert harbour.lit == {"l1": {"Colour": "green", "Post": 1}}
    assert run(text.replace("red", "green, post: 2")) == [Action.REPLACE]
    assert harbour.lit == {"l2": {"Colour": "green", "Post": 2}}


def test_editors_and_mistakes_know_it(fifth: None, tmp_path: Path) -> None:
    assert "Lantern" in str(schema.of_manifests(Registry()))
    (tmp_path / "m.yaml").write_text("apiVersion: broadcast.reconciler/v1\nkind: Lantern\nmetadata: {name: pier}\nspec: {color: red}\n")
    where = project.find(tmp_path)
    found = manifest.load([tmp_path / "m.yaml"], project=where, kinds=Registry()).diagnostics
    assert any("colour" in f"{one.message} {one.help}" for one in found)
