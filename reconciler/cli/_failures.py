"""What people and machines are told when a command fails: the reason, what it carries, one `Next:` line, and the exit code."""

from __future__ import annotations

import shlex
import sys
from datetime import UTC, datetime

import click

from reconciler import __version__
from reconciler.cli._given import given
from reconciler.cli._session import REPORTS, Session, session
from reconciler.errors import InvalidManifests, LockHeld, ReconcilerError, Stopped, UsageError, VendorError
from reconciler.render import diagnostics, json
from reconciler.render.look import Look
from reconciler.render.safe import clean, hanging

PATIENCE = "5m"  # for a lock that somebody works under


def told(wrong: ReconcilerError, ctx: click.Context) -> int:
    """Tells a failure in the run's own format and returns its exit code."""
    if wrong.next_step == UsageError.usual_step and ctx.invoked_subcommand:
        wrong.next_step = f"reconciler {ctx.invoked_subcommand} --help"
    try:
        run = session(ctx)
    except ReconcilerError as worse:  # the session itself could not be made: a bad -C, --tz or --report
        if given(ctx).output in ("json", "jsonl"):
            document(worse, worse.exit_code, stream=_streams(ctx))
        else:
            sys.stderr.write(f"error: {clean(worse.message)}\n{Look().next(worse.next_step)}\n")
        return worse.exit_code
    if isinstance(wrong, LockHeld) and not wrong.stuck:
        wrong.next_step = _later(ctx)
    if run.json:
        if run.stream is not None:
            run.stream.failed(wrong)
            run.stream.summary(exit_code=wrong.exit_code)
        else:
            document(wrong, wrong.exit_code, stream=_streams(ctx), next_step=run.again(wrong.next_step))
    else:
        in_words(wrong, run)
    if isinstance(wrong, InvalidManifests):
        if run.given.output in REPORTS and not run.json:
            run.out(run.rendered(run.given.output, diagnostics=wrong.diagnostics, exit_code=wrong.exit_code))
        run.report(diagnostics=wrong.diagnostics, exit_code=wrong.exit_code)
    return wrong.exit_code


def _streams(ctx: click.Context) -> bool:
    return ctx.invoked_subcommand in ("apply", "destroy")


def _later(ctx: click.Context) -> str:
    """The command line once more, with patience for the lock."""
    words = list(ctx.meta["words"])
    for at, word in reversed(list(enumerate(words))):
        if word.partition("=")[0] == "--lock-timeout":
            del words[at : at + 1 + ("=" not in word)]
    return shlex.join(["reconciler", "--lock-timeout", PATIENCE, *words])


def interrupted(word: str, exit_code: int, ctx: click.Context) -> int:
    """Tells that a signal ended the run before anything was begun that has a summary of its own."""
    run, step = session(ctx), "reconciler plan"
    if run.json:
        document(word, exit_code, stream=_streams(ctx), next_step=run.again(step))
    else:
        run.error(f"error: {word}")
        run.next(step)
    return exit_code


def in_words(wrong: ReconcilerError, run: Session) -> None:
    """On standard error."""
    look = run.look(sys.stderr)
    if isinstance(wrong, InvalidManifests) and wrong.diagnostics:
        for line in diagnostics.diagnostics(wrong.diagnostics, look, source=run.source):
            run.error(line)
        run.next(wrong.next_step)
        return
    head = "stopped" if isinstance(wrong, Stopped) else "error"
    lines = hanging(f"{look.paint(head, 'red')}: ", clean(look.local(wrong.message)), look.width, indent=len(head) + 2)
    if isinstance(wrong, Stopped):
        for reason in wrong.reasons:
            if reason != wrong.message:
                lines += hanging("  - ", clean(look.local(reason)), look.width, indent=4)
    if isinstance(wrong, VendorError):
        facts = [f"{label} {clean(value)}" for label, value in _facts(wrong) if value and str(value) not in wrong.message]
        if facts:
            lines += hanging("  = ", ", ".join(facts), look.width, indent=4)
    for line in lines:
        run.error(line)
    run.next(wrong.next_step)


def _facts(wrong: VendorError) -> list[tuple[str, str]]:
    return [("action", wrong.action), ("code", wrong.code), ("request", wrong.request_id)]


def document(wrong: ReconcilerError | str, exit_code: int, *, stream: bool, next_step: str = "") -> None:
    """On standard output, so that every byte of it parses: one document, or the lines of a stream that ends with its summary."""
    if not stream:
        sys.stdout.write(json.dump(json.error(wrong, exit_code=exit_code, next_step=next_step)) + "\n")
        return

    def _line(text: str) -> None:
        sys.stdout.write(text + "\n")

    lines = json.ApplyStream(_line, lambda: datetime.now(UTC), program=__version__)
    lines.version()
    lines.failed(wrong, exit_code=exit_code, next_step=next_step)
    lines.summary(exit_code=exit_code)
