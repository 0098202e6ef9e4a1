"""Every failure ends with exactly one `Next:` line, and what stands behind it is a command line, never advice."""

from __future__ import annotations

import ast
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

import reconciler
from reconciler import errors, guards
from reconciler.cli import cli
from reconciler.errors import ReconcilerError
from reconciler.model import Action, Address, Change, Need
from reconciler.render.text import way_out
from tests.cli.conftest import NOW, SESSION, Command, Emulated, Said, relay

ROOT = Path(reconciler.__file__).parent
PROGRAMS = ("cd", "curl", "export", "pip", "python", "reconciler", "sudo", "unset")
CALLED = ("Check",)
"""What takes a next step as its fourth argument."""


def literals() -> Iterator[tuple[str, str]]:
    """(place, text) of every next step that stands in the code; what is put in at run time is `X`."""
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                found = [one.value for one in node.keywords if one.arg == "next_step"]
                if isinstance(node.func, ast.Attribute) and node.func.attr == "next" and node.args:
                    found.append(node.args[0])
                if isinstance(node.func, ast.Name) and node.func.id in CALLED and len(node.args) > 3:
                    found.append(node.args[3])
                for one in found:
                    for text in _texts(one):
                        yield f"{path.relative_to(ROOT)}:{one.lineno}", text


def _texts(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value:
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
    elif isinstance(node, ast.IfExp):
        yield from _texts(node.body)
        yield from _texts(node.orelse)


USUAL = [(name, kind.usual_step) for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, ReconcilerError)]


def test_every_next_step_in_the_code_begins_with_a_program() -> None:
    found = [*literals(), *USUAL]
    assert len(found) > 40
    assert [(place, text) for place, text in found if text.split()[0] not in PROGRAMS and not text.startswith("X")] == []


@pytest.mark.parametrize(("name", "step"), USUAL, ids=[name for name, _ in USUAL])
def test_the_usual_step_of_each_failure_is_a_line_that_click_takes(name: str, step: str) -> None:
    taken(step)


def taken(step: str) -> None:
    """Raises UsageError unless the command line is one of ours, with every argument in its place; carries nothing out."""
    program, *args = shlex.split(step)
    assert program == "reconciler", step
    with cli.make_context("reconciler", args, resilient_parsing="--help" in args) as top:
        rest: list[str] = [*top._protected_args, *top.args]
        command, context = cli.get_command(top, rest[0]) if rest else cli, top
        assert command is not None, step
        if rest and "--help" not in rest:
            context = command.make_context(rest[0], rest[1:], parent=top)
            if isinstance(command, click.Group):
                assert command.get_command(context, [*context._protected_args, *context.args][0]), step


@pytest.mark.parametrize(
    ("needs", "command"),
    [
        pytest.param(Need("x", flags="--allow-on-air RelayTask/a"), "reconciler apply --allow-on-air RelayTask/a", id="a flag"),
        pytest.param(Need("x", field="lifecycle.protect"), "reconciler explain RelayTask.lifecycle.protect", id="a field"),
        pytest.param(Need("x", field="metadata.account"), "reconciler explain RelayTask.metadata.account", id="another field"),
        pytest.param(Need("x", command="reconciler import RelayTask/a 'x y'"), "reconciler import RelayTask/a 'x y'", id="a command"),
        pytest.param(Need("--allow-on-air X: ask reconciler destroy"), "reconciler get RelayTask/a -v", id="prose is never read"),
        pytest.param(None, "reconciler get RelayTask/a -v", id="nothing is known"),
    ],
)
def test_the_way_out_of_a_blocked_change(needs: Need | None, command: str) -> None:
    assert way_out(Change(Address("RelayTask", "a"), Action.BLOCKED, "why", needs=needs)) == command
    taken(command)


def test_the_remedy_of_several_guards_names_them_all() -> None:
    air = Need("too much air is lost: no --allow-on-air X, no reconciler command helps")
    reasons = [Need("it would delete 9", "--allow-delete 9"), Need("gone", "--allow-recreate"), air]
    assert guards.remedy(reasons) == "reconciler apply --allow-delete 9 --allow-recreate"
    assert guards.remedy([air]) == ""


def test_after_a_destroy_nothing_says_apply() -> None:
    """It would make again what was just deleted."""
    held = Change(Address("RelayTask", "a"), Action.BLOCKED, "why", needs=Need("x", "--allow-on-air RelayTask/a"))
    assert way_out(held, "destroy") == "reconciler destroy --allow-on-air RelayTask/a"


# --- each failure that a person can cause -----------------------------------------------------------------------------


def invalid(project: Path, reconciler: Command, emulated: Emulated) -> None:
    (project / "manifests/a.yaml").write_text(relay("a", title="一" * 24), encoding="utf-8")


def empty(project: Path, reconciler: Command, emulated: Emulated) -> None:
    (project / "manifests/a.yaml").unlink()


def vanished(project: Path, reconciler: Command, emulated: Emulated) -> None:
    reconciler("apply", "--auto-approve")
    (project / "manifests/a.yaml").write_text("# nothing left\n")


def guarded(project: Path, reconciler: Command, emulated: Emulated) -> None:
    (project / "reconciler.yaml").write_text("workspace: sports\nmanifests: [manifests/]\nguards: {maxDelete: 0, maxDeleteFloor: 0}\n")
    (project / "manifests/b.yaml").write_text(relay("b", title="b"), encoding="utf-8")
    reconciler("apply", "--auto-approve")
    (project / "manifests/b.yaml").unlink()


def refusing(project: Path, reconciler: Command, emulated: Emulated) -> None:
    air = {"start": "2026-11-20T20:00:00+08:00", "end": "2026-11-20T23:30:00+08:00"}
    path = project / "manifests/a.yaml"
    path.write_text(relay("a", **air), encoding="utf-8")
    reconciler("apply", "--auto-approve")
    changed = relay("a", source="http://pull.example.com/live/other.flv", **air)
    path.write_text(changed.replace("spec:", "lifecycle: {onAirChange: refuse}\nspec:"), encoding="utf-8")
    emulated.tell("clock", {"advance": 60}, "PUT")


def removed_on_air(project: Path, reconciler: Command, emulated: Emulated) -> None:
    path = project / "manifests/session.yaml"
    path.write_text(SESSION)
    assert reconciler("apply", "--auto-approve").code == 0
    path.unlink()


def foreign(project: Path, reconciler: Command, emulated: Emulated) -> None:
    reconciler("apply", "--auto-approve")
    reconciler("state", "rm", "RelayTask/a")
    text = (project / "manifests/a.yaml").read_text(encoding="utf-8")
    (project / "manifests/a.yaml").write_text(text.replace("live/a.flv", "live/other.flv"), encoding="utf-8")


def failing(project: Path, reconciler: Command, emulated: Emulated) -> None:
    emulated.tell("faults", [{"action": "CreatePullToPushTask", "when": "before", "fault": "403"}])


def lost(project: Path, reconciler: Command, emulated: Emulated) -> None:
    emulated.tell("faults", [{"action": "CreatePullToPushTask", "when": "after", "fault": "reset"}])


def damaged(project: Path, reconciler: Command, emulated: Emulated) -> None:
    (project / ".reconciler").mkdir()
    (project / ".reconciler/state.db").write_bytes(b"no database at all, not even nearly")


def applied(project: Path, reconciler: Command, emulated: Emulated) -> None:
    reconciler("apply", "--auto-approve")


def nothing(project: Path, reconciler: Command, emulated: Emulated) -> None:
    return


Scene = Callable[[Path, Command, Emulated], None]


@pytest.mark.parametrize(
    ("scene", "args", "code", "step"),
    [
        pytest.param(nothing, "plan --bogus", 64, "reconciler plan --help", id="unknown option"),
        pytest.param(nothing, "pln", 64, "reconciler --help", id="unknown command"),
        pytest.param(nothing, "fmt", 64, "reconciler --help", id="a command of a later version"),
        pytest.param(nothing, "state nonsense", 64, "reconciler state --help", id="unknown subcommand"),
        pytest.param(nothing, "plan -l team", 64, "reconciler plan --help", id="no selector"),
        pytest.param(nothing, "-e prod plan", 64, "reconciler plan --help", id="unknown environment"),
        pytest.param(nothing, "show reconciler.yaml", 64, "reconciler plan --out plan.json", id="no plan"),
        pytest.param(nothing, "apply", 1, "reconciler plan", id="nobody said yes"),
        pytest.param(applied, "destroy", 1, "reconciler plan --destroy", id="nobody named the workspace"),
        pytest.param(nothing, "state show RelayTask/b", 1, "reconciler state list", id="not remembered"),
        pytest.param(nothing, "history 123456", 1, "reconciler history", id="no such run"),
        pytest.param(nothing, "import RelayTask/a", 64, "reconciler get RelayTask/a", id="nothing to adopt"),
        pytest.param(invalid, "plan", 65, "reconciler explain RC112", id="invalid, plan"),
        pytest.param(invalid, "validate", 65, "reconciler explain RC112", id="invalid, validate"),
        pytest.param(empty, "plan", 65, "reconciler init", id="no manifests"),
        pytest.param(empty, "plan ..", 65, "reconciler -C . plan", id="projects below PATH"),
        pytest.param(vanished, "plan", 5, "reconciler plan --destroy", id="the last manifest is gone"),
        pytest.param(guarded, "apply --auto-approve", 5, "reconciler apply --allow-delete 1", id="too many deletions"),
        pytest.param(refusing, "plan", 5, "reconciler apply --allow-on-air RelayTask/a", id="refused on air, plan"),
        pytest.param(refusing, "apply --auto-approve", 5, "reconciler apply --allow-on-air RelayTask/a", id="refused on air, apply"),
        pytest.param(
            removed_on_air,
            "apply --auto-approve",
            5,
            "reconciler destroy --target SegmentSession/mod --allow-on-air SegmentSession/mod",
            id="an unscheduled session was removed",
        ),
        pytest.param(foreign, "apply --auto-approve", 5, "reconciler import RelayTask/a", id="somebody else's twin"),
        pytest.param(failing, "apply --auto-approve", 4, "reconciler doctor", id="denied"),
        pytest.param(lost, "apply --auto-approve", 7, "reconciler refresh RelayTask/a", id="unknown"),
        pytest.param(damaged, "plan", 1, "reconciler state rebuild", id="a damaged ledger"),
    ],
)
def test_each_failure_ends_with_one_line_to_paste(
    scene: Scene, args: str, code: int, step: str, project: Path, reconciler: Command, emulated: Emulated
) -> None:
    (project / "manifests/a.yaml").write_text(relay("a"), encoding="utf-8")
    scene(project, reconciler, emulated)
    said = reconciler(*args.split())
    assert said.code == code
    assert next_of(said).startswith(step)
    taken(next_of(said))


def next_of(said: Said) -> str:
    lines = [line for text in (said.out, said.err) for line in text.splitlines() if line.startswith("Next: ")]
    assert len(lines) == 1, said
    assert lines[0] in (said.err.splitlines()[-1:] or said.out.splitlines()[-1:]) or lines[0] == said.out.splitlines()[-1]
    return lines[0].removeprefix("Next: ")


def test_what_the_removed_session_is_told_works(project: Path, reconciler: Command, emulated: Emulated) -> None:
    (project / "manifests/a.yaml").write_text(relay("a"), encoding="utf-8")
    removed_on_air(project, reconciler, emulated)
    step = next_of(reconciler("apply", "--auto-approve"))
    assert reconciler(*shlex.split(step)[1:], "--auto-approve").code == 0
    assert reconciler("plan", "--detailed-exitcode").code == 0


@pytest.mark.parametrize("output", ["json", "text"])
def test_doctor_ends_with_one_line_too(
    output: str, project: Path, reconciler: Command, emulated: Emulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "manifests/a.yaml").write_text(relay("a"), encoding="utf-8")
    monkeypatch.setenv("RECONCILER_LIVE_ENDPOINT", "http://127.0.0.1:9")
    said = reconciler("doctor", "-o", output)
    assert said.code == 69
    if output == "text":
        assert next_of(said) == "curl -sv -o /dev/null http://127.0.0.1:9"
    else:
        assert [one["next"] for one in said.json["checks"] if one["status"] == "fail"] == ["curl -sv -o /dev/null http://127.0.0.1:9"]


@pytest.mark.parametrize(
    ("args", "step"),
    [
        pytest.param(["-C", "sports", "apply"], "reconciler -C sports plan", id="-C"),
        pytest.param(["apply", "sports"], "reconciler -C sports plan", id="the path of another project"),
        pytest.param(["-C", "sports", "-e", "prod", "apply"], "reconciler -C sports -e prod plan", id="an environment"),
        pytest.param(
            ["-C", "sports", "plan", "--out", "p q.json"], "reconciler -C sports apply 'p q.json'", id="a plan lies where it was written"
        ),
        pytest.param(
            ["plan", "sports", "--out", "p q.json"], "reconciler -C sports apply '../p q.json'", id="a plan is applied in its project"
        ),
    ],
)
def test_the_line_means_the_same_project_and_environment(
    args: list[str], step: str, project: Path, reconciler: Command, emulated: Emulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "manifests/a.yaml").write_text(relay("a"), encoding="utf-8")
    with (project / "reconciler.yaml").open("a") as file:
        file.write("environments: {prod: {workspace: sports-prod}}\n")
    monkeypatch.chdir(project.parent)
    assert next_of(reconciler(*args)) == step


def two_refusing(project: Path, reconciler: Command, emulated: Emulated) -> None:
    (project / "manifests/z.yaml").write_text(relay("z", title="z"), encoding="utf-8")
    refusing(project, reconciler, emulated)


def removed_and_chosen(project: Path, reconciler: Command, emulated: Emulated) -> None:
    removed_on_air(project, reconciler, emulated)
    (project / "manifests/a.yaml").write_text(relay("a", title="a"), encoding="utf-8")


@pytest.mark.parametrize(
    ("scene", "args", "step"),
    [
        pytest.param(
            refusing,
            "plan manifests --target RelayTask/a -v --tz UTC --report json=report.json",
            "reconciler apply manifests --target RelayTask/a --allow-on-air RelayTask/a",
            id="PATH and target, not how it looks",
        ),
        pytest.param(
            two_refusing,
            "apply --auto-approve --no-wait --parallelism 2 --exclude RelayTask/z --no-prune --allow-delete 3 --allow-env PUSH_*",
            "reconciler apply --exclude RelayTask/z --no-prune --allow-delete 3 --allow-env 'PUSH_*' --allow-on-air RelayTask/a",
            id="every flag that decides, quoted",
        ),
        pytest.param(nothing, "apply manifests/a.yaml", "reconciler plan manifests/a.yaml", id="one file"),
        pytest.param(nothing, "apply --target RelayTask/a", "reconciler plan --target RelayTask/a", id="declined"),
        pytest.param(
            applied, "destroy manifests --target RelayTask/a", "reconciler plan manifests --destroy --target RelayTask/a", id="destroy"
        ),
        pytest.param(guarded, "apply . --auto-approve --allow-delete 0", "reconciler apply --allow-delete 1", id="a flag once"),
        pytest.param(
            removed_and_chosen,
            "apply --auto-approve --target RelayTask/a --target SegmentSession/mod",
            "reconciler destroy --target SegmentSession/mod --allow-on-air SegmentSession/mod",
            id="a command that names its own objects keeps to them",
        ),
        pytest.param(
            lost, "apply manifests --auto-approve --target RelayTask/a", "reconciler refresh RelayTask/a", id="refresh takes addresses"
        ),
    ],
)
def test_the_line_touches_what_the_run_would_have_touched(
    scene: Scene, args: str, step: str, project: Path, reconciler: Command, emulated: Emulated
) -> None:
    (project / "manifests/a.yaml").write_text(relay("a"), encoding="utf-8")
    scene(project, reconciler, emulated)
    said = reconciler(*args.split())
    assert said.code != 0
    assert next_of(said) == step
    taken(step)


def test_json_names_the_same_line(project: Path, reconciler: Command, emulated: Emulated) -> None:
    (project / "manifests/a.yaml").write_text(relay("a"), encoding="utf-8")
    refusing(project, reconciler, emulated)
    said = reconciler("apply", "manifests", "--auto-approve", "-o", "json")
    assert said.lines[-2]["next"] == "reconciler apply manifests --allow-on-air RelayTask/a"
    said = reconciler("plan", "manifests", "--at", "tomorrow", "-o", "json")
    assert said.json["error"]["next"] == "reconciler plan --help"


@pytest.mark.parametrize(
    ("inside", "args", "step"),
    [
        pytest.param(".", "plan prod", "reconciler apply prod", id="a folder"),
        pytest.param("prod", "plan", "reconciler apply", id="the current folder"),
        pytest.param(".", "-C prod plan", "reconciler apply prod", id="-C to a folder of the project"),
        pytest.param("..", "-C sports plan prod", "reconciler -C sports apply prod", id="-C to the project"),
        pytest.param("..", "plan sports/prod", "reconciler -C sports apply prod", id="a folder of another project"),
        pytest.param("prod", "-e live plan ../prod/a.yaml", "reconciler -e live apply ../prod/a.yaml", id="a file, in an environment"),
    ],
)
def test_a_path_is_written_as_it_reads_where_the_line_is_pasted(
    inside: str, args: str, step: str, project: Path, reconciler: Command, emulated: Emulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "manifests").rename(project / "prod")
    (project / "reconciler.yaml").write_text("workspace: sports\nenvironments: {live: {}}\n")
    air = {"start": "2026-11-20T20:00:00+08:00", "end": "2026-11-20T23:30:00+08:00"}
    (project / "prod/a.yaml").write_text(relay("a", **air), encoding="utf-8")
    (project / "other.yaml").write_text(relay("b", title="b"), encoding="utf-8")
    reconciler("apply", "--auto-approve")
    changed = relay("a", source="http://pull.example.com/live/other.flv", **air)
    (project / "prod/a.yaml").write_text(changed.replace("spec:", "lifecycle: {onAirChange: refuse}\nspec:"), encoding="utf-8")
    emulated.tell("clock", {"advance": 60}, "PUT")
    monkeypatch.chdir(project / inside)
    said = reconciler(*args.split())
    assert said.code == 5
    assert next_of(said) == f"{step} --allow-on-air RelayTask/a"
    monkeypatch.chdir(project / inside)  # -C went elsewhere
    said = reconciler(*shlex.split(next_of(said))[1:], "--auto-approve")
    assert (said.code, "1 updated" in said.out) == (0, True)


@pytest.mark.parametrize(
    ("spoil", "step"),
    [
        pytest.param("manifests", "reconciler plan manifests --target RelayTask/a --out 'p q.json'", id="stale: the same plan anew"),
        pytest.param("plan", "reconciler plan --out 'p q.json'", id="changed: what it asks for decides nothing"),
    ],
)
def test_a_saved_plan_that_is_refused(spoil: str, step: str, project: Path, reconciler: Command, emulated: Emulated) -> None:
    (project / "manifests/a.yaml").write_text(relay("a"), encoding="utf-8")
    assert reconciler("plan", "manifests", "--target", "RelayTask/a", "--out", "p q.json").code == 0
    if spoil == "plan":
        Path("p q.json").write_text(Path("p q.json").read_text().replace("pull.example.com", "evil.example.com"))
    else:
        (project / "manifests/b.yaml").write_text(relay("b", title="b"), encoding="utf-8")
    said = reconciler("apply", "p q.json")
    assert said.code == 6
    assert next_of(said) == step
    taken(step)


@pytest.fixture
def held(project: Path) -> Iterator[None]:
    """Somebody else is at work in the workspace."""
    from reconciler.cli._context import RealClock
    from reconciler.ledger import open_ledger

    ledger = open_ledger(".reconciler/state.db", root=project, workspace="sports", clock=RealClock(NOW), create=True)
    with ledger.acquire("ada", timeout=0):
        yield
    ledger.close()


@pytest.mark.parametrize(
    ("args", "step"),
    [
        pytest.param(
            "apply --auto-approve --lock-timeout 1s manifests --target RelayTask/a",
            "reconciler --lock-timeout 5m apply --auto-approve manifests --target RelayTask/a",
            id="the same line, with patience",
        ),
        pytest.param(
            "-e prod --lock-timeout=0s destroy --auto-approve", "reconciler --lock-timeout 5m -e prod destroy --auto-approve", id="destroy"
        ),
        pytest.param("state rebuild", "reconciler --lock-timeout 5m state rebuild", id="state rebuild"),
    ],
)
@pytest.mark.parametrize("output", ["text", "json"])
def test_a_held_lock_is_waited_for(
    args: str, step: str, output: str, project: Path, reconciler: Command, emulated: Emulated, held: None
) -> None:
    """It is alive as long as it is held: to take it away is for one that hangs."""
    with (project / "reconciler.yaml").open("a") as file:
        file.write("environments: {prod: {}}\n")
    (project / "manifests/a.yaml").write_text(relay("a"), encoding="utf-8")
    more = ["-o", "json"] if output == "json" else []
    said = reconciler(*args.split(), *more)
    assert said.code == 6
    if output == "text":
        assert next_of(said) == step
        taken(step)
    else:
        told = said.lines[-2] if said.out.startswith('{"type"') else said.json["error"]
        assert told["next"] == f"{step} -o json"


def test_force_unlock_says_that_the_holder_is_at_work(project: Path, reconciler: Command, emulated: Emulated, held: None) -> None:
    said = reconciler("force-unlock", stdin="no\n")
    assert said.code == 1
    assert "The lock is held by ada on" in said.err
    assert "wait: --lock-timeout 5m" in said.err


@pytest.mark.parametrize(
    ("args", "spoil", "why", "step"),
    [
        pytest.param(
            "-C sports apply ../later.json",
            "manifests",
            "the manifests changed since",
            "reconciler -C sports -e prod plan manifests --out ../later.json",
            id="stale: the same plan anew",
        ),
        pytest.param(
            "-C sports apply ../later.json",
            "plan",
            "it was changed after it was saved",
            "reconciler -C sports -e prod plan --out ../later.json",
            id="changed: what it asks for decides nothing",
        ),
        pytest.param(
            "apply later.json", "project", "-C DIR names another", "reconciler -e prod plan --out later.json", id="standing in another"
        ),
    ],
)
def test_a_saved_plan_of_a_project_elsewhere(
    args: str,
    spoil: str,
    why: str,
    step: str,
    project: Path,
    reconciler: Command,
    emulated: Emulated,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (project / "manifests/a.yaml").write_text(relay("a"), encoding="utf-8")
    with (project / "reconciler.yaml").open("a") as file:
        file.write("environments: {prod: {workspace: sports-prod}}\n")
    monkeypatch.chdir(project.parent)
    assert reconciler("plan", "sports/manifests", "-e", "prod", "--out", "later.json").code == 0
    if spoil == "plan":
        Path("later.json").write_text(Path("later.json").read_text().replace("pull.example.com", "evil.example.com"))
    elif spoil == "project":
        Path("reconciler.yaml").write_text("environments: {prod: {}}\n", encoding="utf-8")
    else:
        (project / "manifests/b.yaml").write_text(relay("b", title="b"), encoding="utf-8")
    said = reconciler(*args.split())
    assert (said.code, why in said.err, next_of(said)) == (6, True, step), said.err


@pytest.mark.parametrize("file", ["sports/reconciler.yaml", ""], ids=["with a project file", "without one"])
def test_a_saved_plan_is_applied_where_it_was_made(
    file: str, project: Path, reconciler: Command, emulated: Emulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Standing above the project, in none: nothing but the plan can say which one is meant."""
    (project / "manifests/a.yaml").write_text(relay("a"), encoding="utf-8")
    monkeypatch.chdir(project.parent)
    if not file:
        Path("sports/reconciler.yaml").unlink()
    assert reconciler("plan", "sports/manifests", "--out", "later.json").code == 0
    said = reconciler("apply", "later.json")
    assert (said.code, "1 created" in said.out) == (0, True), said
    assert reconciler("show", "later.json").err == "", "its seal was checked"


def test_an_interrupt_names_the_run_too(project: Path, reconciler: Command, emulated: Emulated, monkeypatch: pytest.MonkeyPatch) -> None:
    from reconciler.engine import Engine

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    (project / "manifests/a.yaml").write_text(relay("a"), encoding="utf-8")
    monkeypatch.setattr(Engine, "plan", interrupted)
    monkeypatch.setattr(Engine, "refresh", interrupted)
    for args in ("plan manifests --target RelayTask/a", "apply manifests --target RelayTask/a"):
        said = reconciler(*args.split())
        assert said.code == 130
        assert next_of(said) == "reconciler plan manifests --target RelayTask/a"
    assert next_of(reconciler("refresh", "RelayTask/a")) == "reconciler plan --target RelayTask/a"
    assert reconciler("plan", "manifests", "-o", "json").json["error"]["next"] == "reconciler plan manifests"
