"""Reports for forges and CI systems: bounded, escaped, honest about what they leave out."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from reconciler.model import Action, Diagnostic, FieldChange, Place, Severity
from reconciler.render import json as documents
from reconciler.render import markdown, reports
from tests.render.samples import HOSTILE, LOOK, SECRETS, change, plan

WRONG = Diagnostic(
    Severity.ERROR, "RC112", f"too long {HOSTILE}", Place("manifests/a,b:c.yaml", 8, 10, 4), "RelayTask/x", "spec.title", help="shorten"
)


def findings(**more: object) -> reports.Findings:
    return reports.Findings(plan=plan(), diagnostics=(WRONG,), workspace="sports", version="1", **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", reports.REPORTS)
def test_every_report_is_free_of_secrets_and_control_characters(kind: str) -> None:
    for found in (findings(), reports.Findings(plan=plan(), document=documents.plan(plan())), reports.Findings(diagnostics=(WRONG,))):
        shown = reports.REPORTS[kind](found, LOOK)
        assert not [secret for secret in SECRETS if secret in shown]
        assert all(line.isprintable() for line in shown.split("\n"))


# --- Markdown ---------------------------------------------------------------------------------------------------------


def huge(count: int, fields: int = 3) -> list[str]:
    many = [
        change(
            Action.UPDATE,
            f"relay-{index}",
            "differs",
            place=Place("m.yaml", index + 1),
            fields=tuple(FieldChange(f"spec.f{at}", "a" * 40, HOSTILE) for at in range(fields)),
        )
        for index in range(count)
    ]
    return markdown.plan(plan(*many), LOOK).split("\n")


def test_the_comment_begins_with_its_marker_and_the_table() -> None:
    lines = markdown.plan(replace(plan(), environment="prod"), LOOK).split("\n")
    assert lines[0] == "<!-- reconciler:plan workspace=sports env=prod -->"
    assert lines[1] == "### Plan for `prod`: 1 create, 1 update, 1 replace, 1 delete - **1 blocked**"
    assert "| | Resource | On air | What |" in lines
    assert any(
        line.startswith("| `-/+` | `RelayTask/cup-final` | **now**, 2026-11-20 Fri 20:00 - 23:30 +08:00 | **blocked**: replace")
        for line in lines
    )


def test_a_marker_cannot_be_closed_from_inside() -> None:
    assert markdown.marker("a --> <b>", "x--y").count("-->") == 1


@pytest.mark.parametrize(
    ("count", "left_out"),
    [
        pytest.param(1, "", id="small: everything"),
        pytest.param(200, "Left out for length: the details of", id="details go first"),
        pytest.param(3000, r"Left out for length: \d+ rows, and the details", id="then rows"),
        pytest.param(20000, r"Left out for length: \d+ rows", id="as many as you like"),
    ],
)
def test_a_comment_stays_below_the_limit_and_says_what_it_left_out(count: int, left_out: str) -> None:
    lines = huge(count)
    shown = "\n".join(lines)
    assert len(shown) < 65_536
    assert bool(re.search(left_out, shown)) if left_out else "Left out" not in shown
    outside = re.sub(r"(?ms)^(`{3,})$.*?^\1$", "", shown)
    assert outside.count("<details>") == outside.count("</details>")
    assert sum(bool(re.match(r"`{3,}$", line)) for line in lines) % 2 == 0


def test_long_messages_do_not_eat_the_limit() -> None:
    loud = tuple(replace(WRONG, severity=Severity.WARNING, message="x" * 9000) for _ in range(40))
    assert len(markdown.plan(replace(plan(), diagnostics=loud), LOOK)) < 30_000


def test_a_hostile_title_can_neither_mention_nor_close_the_fold() -> None:
    shown = "\n".join(huge(1))
    outside = re.sub(r"(?ms)^(`{3,})$.*?^\1$", "", shown)
    assert "<script" not in outside
    assert "@everyone" not in outside
    assert outside.count("</details>") == outside.count("<details>")


# --- GitHub -----------------------------------------------------------------------------------------------------------


def test_an_annotation_points_at_the_line_and_is_one_line() -> None:
    shown = reports.github(reports.Findings(diagnostics=(WRONG,)), LOOK)
    assert shown.startswith("::error file=manifests/a%2Cb%3Ac.yaml,line=8,col=10,endColumn=14,title=RC112 RelayTask/x::too long ")
    assert shown.count("\n") == 1
    assert "%250A" in shown  # the literal %0A of the title


def test_github_shows_ten_so_the_rest_is_counted() -> None:
    many = tuple(replace(WRONG, message=str(index)) for index in range(30))
    lines = reports.github(reports.Findings(diagnostics=many), LOOK).splitlines()
    assert len(lines) == 10
    assert lines[-1].endswith("::21 more, see the log")


def test_blocked_changes_are_warnings() -> None:
    shown = reports.github(reports.Findings(plan=plan()), LOOK)
    assert "::warning file=manifests/cup.yaml,line=40,col=1,title=blocked RelayTask/cup-final::" in shown


# --- the others -------------------------------------------------------------------------------------------------------


def test_gitlab_counts_a_replacement_twice() -> None:
    one = change(Action.REPLACE, "r", "differs")
    assert json.loads(reports.gitlab_terraform(reports.Findings(plan=plan(one)), LOOK)) == {"create": 3, "update": 1, "delete": 3}


def test_code_quality_fingerprints_are_unique_and_do_not_move_with_lines() -> None:
    moved = replace(WRONG, place=Place("manifests/a,b:c.yaml", 99))
    first = json.loads(reports.gitlab_codequality(reports.Findings(diagnostics=(WRONG, WRONG)), LOOK))
    second = json.loads(reports.gitlab_codequality(reports.Findings(diagnostics=(moved, moved)), LOOK))
    assert len({issue["fingerprint"] for issue in first}) == 2
    assert [issue["fingerprint"] for issue in first] == [issue["fingerprint"] for issue in second]
    assert {"description", "check_name", "fingerprint", "severity", "location"} == first[0].keys()


def test_sarif_has_its_rules_and_places() -> None:
    log = json.loads(reports.sarif(findings(), LOOK))
    run = log["runs"][0]
    assert log["version"] == "2.1.0"
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert all(rules[result["ruleIndex"]] == result["ruleId"] for result in run["results"])
    region = run["results"][0]["locations"][0]["physicalLocation"]["region"]
    assert (region["startLine"], region["startColumn"], region["endColumn"]) == (8, 10, 14)


def test_junit_is_xml_with_a_case_for_each_resource() -> None:
    root = ET.fromstring(reports.junit(findings(), LOOK))
    names = {case.get("name"): case for case in root.iter("testcase")}
    assert names["RelayTask/x"].find("failure") is not None
    assert names["RelayTask/cup-final"].find("skipped") is not None
    assert names["RelayTask/steady"].find("*") is None
    assert root.get("failures") == "1"


def test_the_page_holds_no_script_and_asks_for_nothing() -> None:
    seen: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            seen.append(tag)
            seen.extend(name for name, _ in attrs if name in ("src", "href"))

    shown = reports.html(findings(), LOOK)
    Reader().feed(shown)
    assert not {"script", "img", "link", "src", "href"} & set(seen)
    assert shown.isprintable() or all(line.isprintable() for line in shown.split("\n"))
