"""Each of the sixteen rules holds; each, switched off, turns something red."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.laws.laws import RULES, Law, Rule


@pytest.mark.parametrize("law", [pytest.param(law, id=f"{rule.number} {law.__name__}") for rule in RULES for law in rule.laws])
def test_the_rule_holds(law: Law, tmp_path: Path) -> None:
    law(tmp_path)


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_without_the_rule_something_goes_wrong(rule: Rule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rule.off(monkeypatch)
    red = []
    for number, law in enumerate(rule.laws):
        folder = tmp_path / str(number)
        folder.mkdir()
        try:
            law(folder)
        except (AssertionError, pytest.fail.Exception):  # anything else is a mistake in the switch, and proves nothing
            red.append(law.__name__)
    assert red, f"rule {rule.number} ({rule.name}) can be switched off unnoticed: {rule.how}"


def test_all_sixteen_are_there() -> None:
    assert [rule.number for rule in RULES] == list(range(1, 17))


def test_the_page_names_every_rule_and_switch() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reliability.md").read_text(encoding="utf-8")
    missing = [rule.how for rule in RULES if f"| {rule.number} | {rule.name} | {rule.how} |" not in page]
    assert not missing
