"""`--report KIND`: what a run found, in the formats of forges and CI systems. Each is a function from findings to a file's text."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any

from reconciler.frozen import frozen
from reconciler.model import Action, Diagnostic, Plan, Severity
from reconciler.render import json, markdown, safe, text
from reconciler.render.look import Look


@frozen
class Findings:
    """What a run knows at its end: a plan, or only diagnostics; and how it ended. `checked` are the addresses a validation looked at."""

    plan: Plan | None = None
    diagnostics: tuple[Diagnostic, ...] = ()
    document: Mapping[str, Any] | None = None
    exit_code: int = 0
    workspace: str = ""
    environment: str = ""
    version: str = ""
    checked: tuple[str, ...] = ()

    @property
    def problems(self) -> tuple[Diagnostic, ...]:
        """Every diagnostic, and each blocked change and conflict as one; the worst first."""
        found = list(self.diagnostics)
        if self.plan:
            found += [one for one in self.plan.diagnostics if one not in found]
            found += [
                Diagnostic(Severity.WARNING, "blocked", f"blocked: {one.reason}", one.place, str(one.address), help=str(one.needs or ""))
                for one in self.plan.changes
                if one.action is Action.BLOCKED
            ]
            found += [
                Diagnostic(Severity.WARNING, f"conflict-{one.type}", one.message, next(iter(one.places), None), one.addresses[0])
                for one in self.plan.conflicts
            ]
        return tuple(sorted(found, key=lambda one: [Severity.ERROR, Severity.WARNING, Severity.NOTE].index(one.severity)))


SHOWN = 9
"""GitHub shows ten annotations of a type in a step, silently: nine, and one that says how many more there are."""


def github(found: Findings, look: Look) -> str:
    """Workflow commands: annotations at the lines of the files."""
    lines = []
    for severity, command in ((Severity.ERROR, "error"), (Severity.WARNING, "warning"), (Severity.NOTE, "notice")):
        mine = [one for one in found.problems if one.severity is severity]
        lines += [_annotation(command, one, look) for one in mine[: SHOWN if len(mine) > SHOWN + 1 else None]]
        if len(mine) > SHOWN + 1:
            lines.append(f"::{command} title=reconciler::{len(mine) - SHOWN} more, see the log")
    return "".join(f"{line}\n" for line in lines)


def _annotation(command: str, one: Diagnostic, look: Look) -> str:
    where = {}
    if one.place:
        where = {"file": one.place.file, "line": one.place.line, "col": one.place.column}
        if one.place.length > 1:
            where["endColumn"] = one.place.column + one.place.length
    properties = where | {"title": " ".join(part for part in (one.rule, one.address) if part) or "reconciler"}
    shown = ",".join(f"{name}={safe.workflow_property(value)}" for name, value in properties.items())
    message = look.local(one.message) + (f" ({look.local(one.help)})" if one.help else "")
    return f"::{command} {shown}::{safe.workflow_data(message)}"


def comment(found: Findings, look: Look) -> str:
    if found.plan and not any(one.severity is Severity.ERROR for one in found.diagnostics):
        return markdown.plan(found.plan, look)
    return markdown.diagnostics(found.problems, look, workspace=found.workspace, environment=found.environment)


def summary(found: Findings, look: Look) -> str:
    """For `$GITHUB_STEP_SUMMARY`: 1 MiB is the limit, above it the whole is dropped."""
    if found.plan and not any(one.severity is Severity.ERROR for one in found.diagnostics):
        return markdown.plan(found.plan, look, limit=250_000)
    return markdown.diagnostics(found.problems, look, workspace=found.workspace, environment=found.environment, limit=250_000)


def document(found: Findings, _: Look) -> str:
    if found.document is not None:
        return json.dump(found.document) + "\n"
    return json.dump(json.validation(found.diagnostics, resources=len(found.checked), files=0)) + "\n"


def gitlab_terraform(found: Findings, _: Look) -> str:
    """GitLab's merge request widget knows create, update and delete: a replacement is one of each."""
    count = found.plan.summary if found.plan else {}
    replaced = count.get("replace", 0)
    told = {"create": count.get("create", 0) + replaced, "update": count.get("update", 0), "delete": count.get("delete", 0) + replaced}
    return json.line(told) + "\n"


_GITLAB = {Severity.ERROR: "major", Severity.WARNING: "minor", Severity.NOTE: "info"}


def gitlab_codequality(found: Findings, look: Look) -> str:
    """A Code Climate subset: fingerprints are unique and do not move with the lines."""
    seen: dict[str, int] = {}
    issues = []
    for one in found.problems:
        file = one.place.file if one.place else "reconciler.yaml"
        basis = f"{one.rule}|{file}|{one.address}|{one.path}|{one.message}"
        seen[basis] = seen.get(basis, 0) + 1
        issues.append(
            {
                "description": safe.clean(look.local(one.message)),
                "check_name": safe.clean(one.rule),
                "fingerprint": hashlib.sha256(f"{basis}|{seen[basis]}".encode(errors="backslashreplace")).hexdigest(),
                "severity": _GITLAB[one.severity],
                "location": {"path": safe.clean(file), "lines": {"begin": one.place.line if one.place else 1}},
            }
        )
    return json.dump(issues) + "\n"


_SARIF = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}


def sarif(found: Findings, look: Look) -> str:
    """SARIF 2.1.0, for code scanning."""
    problems = found.problems[:5000]
    rules = sorted({one.rule or "reconciler" for one in problems})
    results = []
    for one in problems:
        result: dict[str, Any] = {
            "ruleId": one.rule or "reconciler",
            "ruleIndex": rules.index(one.rule or "reconciler"),
            "level": _SARIF[one.severity],
            "message": {"text": safe.clean(look.local(one.message))},
            "partialFingerprints": {
                "primary/v1": hashlib.sha256(
                    f"{one.rule}|{one.address}|{one.path}|{one.message}".encode(errors="backslashreplace")
                ).hexdigest()[:32]
            },
        }
        if one.place:
            end = one.place.column + max(1, one.place.length)
            region = {"startLine": one.place.line, "startColumn": one.place.column, "endColumn": end}
            uri = safe.clean(PurePosixPath(one.place.file).as_posix())
            result["locations"] = [{"physicalLocation": {"artifactLocation": {"uri": _uri(uri)}, "region": region}}]
        results.append(result)
    driver = {"name": "reconciler", "version": found.version or "0", "rules": [{"id": rule} for rule in rules]}
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return json.dump({"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}) + "\n"


def _uri(path: str) -> str:
    from urllib.parse import quote

    return quote(path)


def junit(found: Findings, look: Look) -> str:
    """One case a resource: failed with its errors, skipped while blocked or waiting."""
    by_address: dict[str, list[Diagnostic]] = {address: [] for address in found.checked}
    for change in found.plan.changes if found.plan else ():
        by_address.setdefault(str(change.address), [])
    for one in found.problems:
        by_address.setdefault(one.address or (one.place.file if one.place else "project"), []).append(one)
    blocked = {str(one.address): one for one in (found.plan.changes if found.plan else ()) if one.action in (Action.BLOCKED, Action.WAIT)}
    cases, failures, skipped = [], 0, 0
    for address, problems in by_address.items():
        errors = [one for one in problems if one.severity is Severity.ERROR]
        inner = ""
        if errors:
            failures += 1
            said = "; ".join(f"{one.place or ''} {one.rule} {look.local(one.message)}".strip() for one in errors)
            inner = f'<failure message="{safe.xml(look.local(errors[0].message))}">{safe.xml(said)}</failure>'
        elif address in blocked:
            skipped += 1
            inner = f'<skipped message="{safe.xml(look.local(blocked[address].reason))}"/>'
        kind = address.partition("/")[0]
        cases.append(f'  <testcase classname="{safe.xml(kind)}" name="{safe.xml(address)}">{inner}</testcase>')
    counts = f'tests="{len(cases)}" failures="{failures}" skipped="{skipped}" errors="0"'
    body = "\n".join([f'<testsuite name="reconciler" {counts}>', *cases, "</testsuite>"])
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites {counts}>\n{body}\n</testsuites>\n'


def html(found: Findings, look: Look) -> str:
    """One page without scripts or outside requests: the counts, a table, and each change's details folded."""
    made = found.plan
    rows: list[str] = []
    title = "Invalid manifests" if found.exit_code or not found.checked else "Valid manifests"
    if made:
        title = text.plan_summary(made, look)
        for one in made.changes:
            told = "\n".join(line.removeprefix(" " * 6) for line in text.details(one, look))
            details = f"<details><summary>details</summary><pre>{_block(told)}</pre></details>" if told else ""
            where = f"{one.place.file}:{one.place.line}" if one.place else ""
            verb = "unchanged" if one.action is Action.NOOP else one.action.value
            cells = (verb, str(one.address), where, text.phrase(one, made.generated_at, look))
            rows.append(f'<tr class="{one.action.value}"><td>{"</td><td>".join(map(safe.html, cells))}{details}</td></tr>')
    problems = "".join(
        f"<li><b>{one.severity.value}</b> <code>{safe.html(one.rule)}</code> "
        f"{safe.html(one.place or one.address)} {safe.html(look.local(one.message))}</li>"
        for one in found.problems
    )
    head = "<thead><tr><th>Action<th>Resource<th>File<th>What</tr></thead>"
    table = f"<table>{head}<tbody>{''.join(rows)}</tbody></table>" if rows else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>reconciler plan</title>'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><main><h1>Plan</h1><p>{safe.html(title)}</p>"
        f"{f'<ul>{problems}</ul>' if problems else ''}{table}</main></body></html>\n"
    )


def _block(lines: str) -> str:
    return "\n".join(safe.html(line) for line in lines.split("\n"))


_STYLE = (
    ":root{color-scheme:light dark}body{font:14px/1.5 system-ui,'Noto Sans CJK SC','PingFang SC','Microsoft YaHei',sans-serif;margin:2rem}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #8884;vertical-align:top}"
    "td:nth-child(n+2){overflow-wrap:anywhere}pre{white-space:pre-wrap}.blocked td,.delete td,.replace td{font-weight:600}"
)

REPORTS: Mapping[str, Callable[[Findings, Look], str]] = {
    "github": github,
    "github-summary": summary,
    "markdown": comment,
    "json": document,
    "gitlab-terraform": gitlab_terraform,
    "gitlab-codequality": gitlab_codequality,
    "sarif": sarif,
    "junit": junit,
    "html": html,
}

DEFAULT_PATH = {
    "markdown": "reconciler-plan.md",
    "json": "reconciler-plan.json",
    "gitlab-terraform": "reconciler-gitlab-plan.json",
    "gitlab-codequality": "gl-code-quality-report.json",
    "sarif": "reconciler.sarif",
    "junit": "reconciler-junit.xml",
    "html": "reconciler-plan.html",
}
"""Where a report goes when `--report KIND` names no path; `github` goes to standard error, `github-summary` to its variable's file."""
