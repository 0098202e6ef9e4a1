"""Help is quick, complete, and the same for every command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

from reconciler.cli import COMMANDS, cli, run
from tests.cli.conftest import Command

HEAVY = ("pydantic", "httpx", "ruamel", "deepdiff", "starlette", "uvicorn", "sqlite3")


def commands() -> list[tuple[str, click.Command]]:
    context = click.Context(cli)
    found = []
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        found.append((name, command))
        if isinstance(command, click.Group):
            found += [(f"{name} {child}", command.commands[child]) for child in command.commands]
    return found


def imported(*args: str, folder: Path | None = None) -> set[str]:
    """Every module that a command line which succeeds has imported at its end, with the packages around it."""
    program = "import sys; from reconciler.cli import run; code = run(sys.argv[1:]); print(*sys.modules, file=sys.stderr); exit(code)"
    done = subprocess.run([sys.executable, "-c", program, *args], capture_output=True, text=True, timeout=60, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


@pytest.mark.parametrize("args", [["--help"], ["-h"], ["version"], ["plan", "--help"], ["apply", "--help"]])
def test_what_needs_no_heavy_library_imports_none(args: list[str]) -> None:
    assert not imported(*args) & set(HEAVY)


def test_the_help_needs_little_beyond_click() -> None:
    assert not imported("--help") & {"dataclasses", "hashlib", "json", "pathlib", "shutil", "zoneinfo", "reconciler.model"}


PLAIN = """\
apiVersion: broadcast.reconciler/v1
kind: RelayTask
metadata:
  name: morning-news
schedule:
  start: 2026-12-01T08:00:00+08:00
  end: 2026-12-01T10:00:00+08:00
spec:
  source:
    url: http://pull.example.com/live/a.flv
  destination:
    url: rtmp://push.example.com/live/a
"""


def test_manifests_that_are_plain_are_valid_without_vendors_ledger_or_a_yaml_library(tmp_path: Path) -> None:
    (tmp_path / "reconciler.yaml").write_text("workspace: news\nmanifests: [manifests/]\n")
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "news.yaml").write_text(PLAIN)
    seen = imported("validate", folder=tmp_path)
    assert {"reconciler.manifest", "reconciler.kinds.relay_task"} <= seen
    assert not seen & {"yaml", "httpx", "ssl", "asyncio", "sqlite3", "ruamel", "deepdiff", "html"}
    assert not {name for name in seen if name.startswith("reconciler.")} & {
        "reconciler.engine", "reconciler.planner", "reconciler.ledger", "reconciler.vendors", "reconciler.yamlevents", "reconciler.schema",
        "reconciler.render.reports", "reconciler.kinds.clip", "reconciler.kinds.recording_session", "reconciler.kinds.segment_session",
    }  # fmt: skip


def test_the_top_lists_every_command_without_importing_it() -> None:
    program = (
        "import sys; from reconciler.cli import run; run(['--help']); print([n for n in sys.modules if n.startswith('reconciler.cli.')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "['reconciler.cli._given']"
    assert all(f"  {name}" in done.stdout for name in COMMANDS)


@pytest.mark.parametrize(("name", "command"), commands(), ids=[name for name, _ in commands()])
def test_each_help_is_a_small_lesson(name: str, command: click.Command, reconciler: Command) -> None:
    shown = reconciler(*name.split(), "--help")
    assert shown.code == 0
    assert f"reconciler {name}" in shown.out.split("Options:")[0].split("\n", 2)[2], "it has an example"
    assert all(len(line) <= 100 for line in shown.out.splitlines())
    assert shown.out.isascii()


@pytest.mark.parametrize(("name", "command"), commands(), ids=[name for name, _ in commands()])
def test_global_options_are_taken_by_every_command_once(name: str, command: click.Command) -> None:
    taken = [option for param in command.params for option in param.opts if option.startswith("-")]
    assert len(taken) == len(set(taken))
    assert {"-C", "--report", "--color", "--ascii", "--tz", "--no-input"} <= set(taken)


@pytest.mark.parametrize(("name", "listed"), COMMANDS.items(), ids=list(COMMANDS))
def test_the_listed_help_is_the_command_s_own(name: str, listed: object) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    if name != "emulator":  # it speaks for itself
        assert command.short_help == COMMANDS[name].help


@pytest.mark.parametrize(("alias", "name"), [("diff", "plan"), ("sync", "apply"), ("ping", "doctor")])
def test_aliases(alias: str, name: str, reconciler: Command) -> None:
    assert f"Usage: reconciler {name}" in reconciler(alias, "--help").out


def test_without_a_command_it_is_wrong_usage() -> None:
    assert run([]) == 64


@pytest.mark.parametrize(("name", "command"), commands(), ids=[name for name, _ in commands()])
def test_no_help_is_wider_than_eighty_columns(name: str, command: click.Command) -> None:
    with click.Context(command, info_name=f"reconciler {name}", terminal_width=78) as context:
        assert [line for line in command.get_help(context).splitlines() if len(line) > 80] == []
