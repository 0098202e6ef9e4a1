"""Every code that can be printed is in the register."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import reconciler
from reconciler import rules
from reconciler.kinds import Registry

FOLDER = Path(reconciler.__file__).parent
SOURCES = [*FOLDER.glob("*.py"), *(FOLDER / "kinds").glob("*.py")]
CODES = sorted({code for path in SOURCES if path.name != "rules.py" for code in re.findall(r'"(RC\d{3})"', path.read_text())})


def test_a_code_is_found_in_any_case() -> None:
    found = rules.find("rc004", Registry())
    assert found is not None
    assert (found.code, found.title, found.kind) == ("RC004", "key written twice", "")
    assert rules.find("RC999", Registry()) is None
    assert rules.is_code("rc004")
    assert not rules.is_code("RelayTask")


def test_kinds_bring_their_own() -> None:
    found = rules.find("RC112", Registry())
    assert found is not None
    assert found.kind == "RelayTask"
    assert "20 characters" in found.explanation


@pytest.mark.parametrize("code", CODES)
def test_every_code_in_the_sources_is_explained(code: str) -> None:
    rule = rules.find(code, Registry())
    assert rule is not None, f"{code} is used and not in the register"
    assert rule.title
    assert rule.explanation.endswith((".", "!"))


def test_no_code_of_ours_is_there_for_nothing() -> None:
    assert sorted(rules.RULES) == [code for code in CODES if code in rules.RULES]


def test_codes_are_told_apart() -> None:
    ours = set(rules.RULES)
    seen: dict[str, str] = {}
    for kind in Registry():
        theirs = {code for code, rule in rules.every([kind]).items() if rule.kind == kind.name}
        assert not theirs & ours
        for code in theirs:
            assert seen.setdefault(code, kind.name) == kind.name
