"""Shells complete commands, flags and declared addresses."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Command, process, relay


def completed(words: str, *, index: int) -> list[str]:
    done = process(env={"_RECONCILER_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(index)})
    return [line.partition(",")[2] for line in done.stdout.decode().splitlines() if line]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_script(shell: str, project: Path, reconciler: Command) -> None:
    said = reconciler("completion", shell)
    assert said.code == 0
    assert "_RECONCILER_COMPLETE" in said.out


@pytest.mark.parametrize(
    ("words", "index", "found"),
    [
        pytest.param("reconciler pl", 1, ["plan"], id="a command"),
        pytest.param("reconciler state ", 2, ["list", "mv", "rebuild", "rm", "show"], id="a subcommand"),
        pytest.param("reconciler plan --detailed", 2, ["--detailed-exitcode"], id="a flag"),
        pytest.param("reconciler plan --target RelayTask/e", 3, ["RelayTask/evening"], id="an address"),
        pytest.param("reconciler schema Cl", 2, ["Clip"], id="a kind"),
    ],
)
def test_completion(words: str, index: int, found: list[str], project: Path) -> None:
    (project / "manifests/a.yaml").write_text(relay("morning") + "---\n" + relay("evening", title="晚间新闻"), encoding="utf-8")
    assert completed(words, index=index) == found


def test_a_broken_project_completes_to_nothing_quietly(project: Path) -> None:
    (project / "reconciler.yaml").write_text("nonsense: [", encoding="utf-8")
    assert completed("reconciler plan --target R", index=3) == []
