"""A plan as a comment on a pull request: table first, details folded, always below the forge's limit, saying what it left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reconciler.model import Action, Change, Diagnostic, Plan, Severity
from reconciler.render import text
from reconciler.render.look import SYMBOL, Look, window_of
from reconciler.render.safe import code, fence, html, markdown

LIMIT = 65_000
"""GitHub takes 65,536 characters; the rest is room for what a script puts around it."""


def plan(made: Plan, look: Look, *, limit: int = LIMIT) -> str:
    """The comment. Steps of shrinking: unchanged rows go, then the details of changes, then rows, then everything but the counts."""
    look = replace(look, width=None, color=False, verbosity=0)
    changes = [one for one in made.changes if one.action is not Action.NOOP]
    unchanged = [one for one in made.changes if one.action is Action.NOOP]
    count = len(changes)
    steps = [(count, count, unchanged), (count, count, [])]  # rows, rows with details, unchanged
    steps += [(count, count // share, []) for share in (2, 4, 8, 16)]
    steps += [(count // share, 0, []) for share in (1, 2, 4, 8, 16, 64, 256)]
    for rows, detailed, listed in steps:
        shown = _comment(made, look, changes[:rows], detailed, listed)
        if len(shown) <= limit:
            return shown
    return _comment(replace(made, diagnostics=(), conflicts=(), drift=()), look, [], 0, [])[:limit]


def marker(made: Plan) -> str:
    """The invisible first line by which a script finds the comment to replace."""
    return f"<!-- reconciler:plan workspace={_word(made.workspace)} env={_word(made.environment)} -->"


def _word(value: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "_." else "-" for letter in value).replace("--", "-") or "default"


def _comment(made: Plan, look: Look, rows: Sequence[Change], detailed: int, unchanged: Sequence[Change]) -> str:
    environment = f" for {code(made.environment)}" if made.environment else ""
    lines = [marker(made), f"### Plan{environment}: {_counts(made)}", ""]
    lines += _problems(made, look)
    if rows:
        lines += ["| | Resource | On air | What |", "| --- | --- | --- | --- |", *(_row(one, made, look) for one in rows), ""]
    changing = sum(one.action is not Action.NOOP for one in made.changes)
    left_out = []
    if len(rows) < changing:
        left_out.append(f"{changing - len(rows)} rows")
    for one in rows[:detailed]:
        lines += _details(one, look)
    bare = sum(bool(list(text.details(one, look))) for one in rows[detailed:])
    if bare:
        left_out.append(f"the details of {bare} changes")
    if unchanged:
        lines += ["<details><summary>" + f"{len(unchanged)} unchanged</summary>", "", *(f"- {code(one.address)}" for one in unchanged), ""]
        lines += ["</details>", ""]
    if left_out:
        lines += [f"Left out for length: {' and '.join(left_out)}. `reconciler show PLAN` prints everything.", ""]
    lines.append(markdown(text.plan_summary(made, look)))
    return "\n".join(lines) + "\n"


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
    lines = [f"- **{one.type} conflict**: {markdown(look.local(one.message))}" for one in made.conflicts[:20]]
    lines += [f"- **drift**: {code(one.address)} {markdown(one.reason)}" for one in made.drift[:20]]
    lines += [_problem(one, look) for one in made.diagnostics[:20]]
    more = sum(max(0, len(found) - 20) for found in (made.conflicts, made.drift, made.diagnostics))
    if more:
        lines.append(f"- and {more} more")
    return [*lines, ""] if lines else []


def _problem(one: Diagnostic, look: Look) -> str:
    where = f" {code(f'{one.place.file}:{one.place.line}')}" if one.place else ""
    return f"- **{one.severity.value}** {code(one.rule)}{where} {markdown(look.local(one.message))}"


def diagnostics(found: Sequence[Diagnostic], look: Look, *, workspace: str = "", limit: int = LIMIT) -> str:
    """The comment of a project that did not get as far as a plan."""
    errors = sum(one.severity is Severity.ERROR for one in found)
    head = [f"<!-- reconciler:plan workspace={_word(workspace)} env=default -->", f"### Invalid manifests: {errors} errors", ""]
    lines = [_problem(one, look) for one in found]
    while len("\n".join([*head, *lines])) > limit - 60:
        lines = lines[: len(lines) // 2]
    if len(lines) < len(found):
        lines += ["", f"Left out for length: {len(found) - len(lines)} diagnostics. `reconciler validate` prints everything."]
    return "\n".join([*head, *lines]) + "\n"
