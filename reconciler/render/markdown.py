"""A plan as a comment on a pull request: table first, details folded, always below the forge's limit, saying what it left out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from reconciler.model import Action, Change, Diagnostic, Plan, Severity
from reconciler.render import text
from reconciler.render.look import SYMBOL, Look, window_of
from reconciler.render.safe import clean, code, cut, fence, html, markdown
from reconciler.scalars import counted

LIMIT = 65_000
"""GitHub takes 65,536 characters; the rest is room for what a script puts around it."""


def plan(made: Plan, look: Look, *, limit: int = LIMIT) -> str:
    """The comment. What does not fit is left out in this order, and said: unchanged resources, details of changes, rows."""
    look = replace(look, width=None, color=False, verbosity=0)
    changes = [one for one in made.changes if one.action is not Action.NOOP]
    head = [marker(made.workspace, made.environment), _title(made), "", *_problems(made, look)]
    foot = markdown(text.plan_summary(made, look))
    room = limit - len("\n".join([*head, foot])) - 300  # for the head of the table and the words on what is left out
    rows = _fitting((_row(one, made, look) for one in changes), room)
    room -= _size(rows)
    details: list[str] = []
    bare = 0
    for one in changes if len(rows) == len(changes) else ():
        block = "\n".join(_details(one, look))
        if bare or len(block) + 1 > room:
            bare += bool(block)
        elif block:
            details.append(block)
            room -= len(block) + 1
    unchanged = [] if bare or len(rows) < len(changes) else _unchanged(made)
    if _size(unchanged) > room:
        unchanged = []
    table = ["| | Resource | On air | What |", "| --- | --- | --- | --- |", *rows, ""] if rows else []
    return "\n".join([*head, *table, *details, *unchanged, *_left_out(len(changes) - len(rows), bare), foot]) + "\n"


def _fitting(lines: Iterable[str], room: int) -> list[str]:
    """The first lines, as many as fit."""
    kept = []
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            break
        kept.append(line)
    return kept


def _size(lines: Sequence[str]) -> int:
    return sum(len(line) + 1 for line in lines)


def _left_out(rows: int, bare: int) -> list[str]:
    if not rows and not bare:
        return []
    what = f"{counted(rows, 'row')}, and the details of all changes" if rows else f"the details of {counted(bare, 'change')}"
    return [f"Left out for length: {what}. `reconciler show PLAN` prints everything.", ""]


def marker(workspace: str, environment: str) -> str:
    """The invisible first line by which a script finds the comment to replace."""
    return f"<!-- reconciler:plan workspace={_word(workspace)} env={_word(environment)} -->"


def _word(value: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "_." else "-" for letter in value).replace("--", "-") or "default"


def _title(made: Plan) -> str:
    environment = f" for {code(made.environment)}" if made.environment else ""
    return f"### Plan{environment}: {_counts(made)}"


def _unchanged(made: Plan) -> list[str]:
    names = [f"- {code(one.address)}" for one in made.changes if one.action is Action.NOOP]
    return [f"<details><summary>{len(names)} unchanged</summary>", "", *names, "", "</details>", ""] if names else []


def _counts(made: Plan) -> str:
    count = made.summary
    said = [f"{count[name]} {name}" for name in ("create", "update", "replace", "delete", "forget", "adopt") if count[name]]
    told = ", ".join(said) or "no changes"
    return f"{told} - **{count['blocked']} blocked**" if count["blocked"] else told


def _row(one: Change, made: Plan, look: Look) -> str:
    symbol = SYMBOL[one.wanted] if one.action is Action.BLOCKED and one.wanted else SYMBOL[one.action]
    window = window_of(one)
    on_air = ("**now**, " if one.on_air else "") + (markdown(look.span(window)) if window else "")
    what = markdown(text.phrase(one, made.generated_at, look))
    if one.action is Action.BLOCKED:
        what = f"**blocked**: {what}"
    return f"| {code(symbol)} | {code(one.address)} | {on_air.rstrip(', ')} | {what} |"


def _details(one: Change, look: Look) -> list[str]:
    lines = [line.removeprefix(" " * 6) for line in text.details(one, look)]
    if not lines:
        return []
    names = [str(one.address), *([f"{one.place.file}:{one.place.line}"] if one.place else [])]
    head = " ".join(f"<code>{html(name)}</code>" for name in names)  # an HTML block: Markdown does not hold in it
    return [f"<details><summary>{head}</summary>", "", *fence(lines), "", "</details>", ""]


def _problems(made: Plan, look: Look) -> list[str]:
    lines = [f"- **{one.type} conflict**: {markdown(cut(clean(look.local(one.message)), 500))}" for one in made.conflicts[:20]]
    lines += [f"- **drift**: {code(one.address)} {markdown(look.local(one.reason))}" for one in made.drift[:20]]
    lines += [_problem(one, look) for one in made.diagnostics[:20]]
    more = sum(max(0, len(found) - 20) for found in (made.conflicts, made.drift, made.diagnostics))
    if more:
        lines.append(f"- and {more} more")
    return [*lines, ""] if lines else []


def _problem(one: Diagnostic, look: Look) -> str:
    where = f" {code(f'{one.place.file}:{one.place.line}')}" if one.place else ""
    return f"- **{one.severity.value}** {code(one.rule)}{where} {markdown(cut(clean(look.local(one.message)), 500))}"


def diagnostics(found: Sequence[Diagnostic], look: Look, *, workspace: str = "", environment: str = "", limit: int = LIMIT) -> str:
    """The comment of a project that did not get as far as a plan."""
    errors = sum(one.severity is Severity.ERROR for one in found)
    title = f"Invalid manifests: {counted(errors, 'error')}" if errors else "Valid manifests"
    head = [marker(workspace, environment), f"### {title}", ""]
    lines = [_problem(one, look) for one in found]
    while len("\n".join([*head, *lines])) > limit - 60:
        lines = lines[: len(lines) // 2]
    if len(lines) < len(found):
        lines += ["", f"Left out for length: {counted(len(found) - len(lines), 'diagnostic')}. `reconciler validate` prints everything."]
    return "\n".join([*head, *lines]) + "\n"
