"""One run of a command: where its words go, how they look, which reports it owes, and what to close at its end."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from reconciler import __version__
from reconciler.cli import columns
from reconciler.cli._given import Given, given
from reconciler.errors import UsageError
from reconciler.model import Diagnostic, Place, Plan
from reconciler.render import json
from reconciler.render.look import Look, rfc3339
from reconciler.render.terminal import tolerant, wants_color

if TYPE_CHECKING:
    from reconciler.cli._wish import Wish

REPORTS = ("github", "github-summary", "markdown", "json", "gitlab-terraform", "gitlab-codequality", "sarif", "junit", "html")


class Session:
    """stdout is the result, stderr the narration."""

    def __init__(self, options: Given) -> None:
        self.given = options
        self.closing = ExitStack()
        self.env: Mapping[str, str] = os.environ
        self.stream: json.ApplyStream | None = None
        self.source: Callable[[Place], str | None] = lambda _: None
        self.workspace = ""
        self.root: Path | None = None
        self.asked: Wish | None = None
        self.checked: tuple[str, ...] = ()
        self.began = Path.cwd()
        if options.directory:
            self._go(options.directory)
        for stream in (sys.stdout, sys.stderr):
            tolerant(stream, ascii_only=options.ascii)
        self.reports = [self._report(text) for text in options.report]
        self.zone: tzinfo = UTC
        if options.tz:
            self.show_in(options.tz)
        self._mute: dict[TextIO, OSError] = {}
        if options.lang != "en":
            self.note(f"note: texts are in English so far; --lang {options.lang} changes nothing yet")

    @staticmethod
    def _go(directory: str) -> None:
        try:
            os.chdir(directory)
        except OSError as wrong:
            raise UsageError(f"-C {directory}: {wrong.strerror}") from None

    def _report(self, text: str) -> tuple[str, str]:
        """A report that cannot be written is refused here, before anything is done."""
        kind, _, path = text.partition("=")
        if kind not in REPORTS:
            raise UsageError(f"there is no report {kind!r}; there are {', '.join(REPORTS)}")
        if kind == "github-summary" and not path:
            path = self.env.get("GITHUB_STEP_SUMMARY", "")
            if not path:
                raise UsageError("--report github-summary: GITHUB_STEP_SUMMARY is not set; write --report github-summary=PATH")
        if path and (Path(path).is_dir() or not Path(path).parent.is_dir()):
            raise UsageError(f"--report {kind}={path}: no file can be written there")
        return kind, path

    # how it looks

    def show_in(self, zone: str) -> None:
        """Times are shown in this zone from now on, unless --tz named one."""
        if (name := self.given.tz or zone) == "UTC":
            self.zone = UTC
            return
        from reconciler import schedule

        try:
            self.zone = schedule.zone(name)
        except ValueError as wrong:
            raise UsageError(f"--tz: {wrong}") from None

    @property
    def json(self) -> bool:
        return self.given.output in ("json", "jsonl")

    @property
    def brief(self) -> bool:
        """Whether what needs nothing done is merely counted: text without -v, and no report that would list it."""
        return self.given.output == "text" and not self.given.verbose and not self.reports

    def look(self, stream: TextIO | None = None) -> Look:
        """How things look on a stream, standard output unless said otherwise."""
        stream = stream or sys.stdout
        terminal = _is_terminal(stream)
        return Look(
            zone=self.zone,
            width=columns() if terminal else None,
            color=wants_color(self.given.color, self.env, terminal=terminal),
            verbosity=-1 if self.given.quiet else self.given.verbose,
            again=self.again,
            lengths=self._is_length,
        )

    def _is_length(self, kind: str, path: str) -> bool:
        from reconciler.kinds import Registry
        from reconciler.wire import shape

        found = Registry().get(kind)
        field = shape(found.spec).field(path) if found else None
        return field is not None and field.length

    def again(self, command: str) -> str:
        """A suggested command, made to mean this run's project, environment, path and selection: whoever pastes it touches the same.

        One that names its own objects or file keeps to those; a whole command line, what is no command of ours, or only explains, stays
        as it is.
        """
        if not command.startswith("reconciler ") or command.endswith("--help"):
            return command
        program, verb, *own = shlex.split(command)
        if verb == "explain" or verb.startswith("-"):
            return command
        if "--out" in own:
            own[own.index("--out") + 1] = self._placed(own[own.index("--out") + 1])
        if verb == "apply" and own and not own[0].startswith("-"):  # a saved plan
            own[0] = self._placed(own[0])
        asked: list[str] = []
        if self.asked is not None and (not own or own[0].startswith("-")):
            path = self.asked.path if self.asked.path == "-" else self._placed(self.asked.path)
            asked = list(self.asked.words(verb, own, "" if os.path.normpath(path) == "." else path))
        return shlex.join([program, *self.options(self.root), verb, *asked, *own])

    def _placed(self, path: str) -> str:
        """A path as it is written where a suggested command will run."""
        here, there = Path.cwd(), self.starts_in
        return path if there == here else os.path.relpath(here / path, there)

    def options(self, root: Path | None = None) -> list[str]:
        """The global options that make a suggested command mean this environment, and this project where it lies elsewhere."""
        words = []
        if root is not None and not self._began_in(root):
            words += ["-C", min(os.path.relpath(root, self.began), str(root), key=len)]
        elif self.given.directory and root is None:
            words += ["-C", self.given.directory]
        if self.given.environment and root is not None:
            words += ["-e", self.given.environment]
        return words

    @property
    def starts_in(self) -> Path:
        """Where a suggested command with these options works."""
        if self.root is None:
            return Path.cwd()
        return self.began if self._began_in(self.root) else self.root

    def _began_in(self, root: Path) -> bool:
        from reconciler.project import root_of

        return root_of(self.began) == root

    def formats(self, *more: str) -> None:
        """Refuses an -o that the command does not have."""
        known = tuple(dict.fromkeys(("text", "json", *more)))
        if self.given.output not in known and not (self.given.output == "jsonl" and "json" in known):
            raise UsageError(f"-o {self.given.output}: this command prints {', '.join(known)}")

    # where words go

    def out(self, lines: Iterable[str] | str) -> None:
        """The result."""
        text = lines if isinstance(lines, str) else "\n".join(lines)
        sys.stdout.write(text if text.endswith("\n") else text + "\n")

    def document(self, document: Any) -> None:
        self.out(json.dump(document))

    def note(self, line: str, *, level: str = "info") -> None:
        """The narration; nothing of it with -q, but errors."""
        if self.given.quiet and level == "info":
            return
        self.tell(json.line({"at": _now(), "level": level, "message": line}) if self.given.log_format == "json" else line)

    def tell(self, line: str, stream: TextIO | None = None) -> None:
        """One line that must not fail: a reader that went away does not stop the work."""
        stream = stream or sys.stderr
        if stream in self._mute:
            return
        try:
            stream.write(line + "\n")
            stream.flush()
        except OSError as wrong:
            self._mute[stream] = wrong

    def told(self) -> None:
        """Raises OSError when anything of the result so far could not be written."""
        sys.stdout.flush()
        if sys.stdout in self._mute:
            raise self._mute[sys.stdout]

    def error(self, line: str) -> None:
        self.note(line, level="error")

    def next(self, command: str, *, level: str = "error") -> None:
        """What to type now: the last line of every failure."""
        with suppress(OSError):
            sys.stdout.flush()  # the result stands above it, also where both streams are one
        self.note(self.look(sys.stderr).next(command), level=level)

    @property
    def live(self) -> bool:
        """Whether standard error is a terminal that can show a live block."""
        return _is_terminal(sys.stderr) and self.env.get("TERM") != "dumb" and not self.env.get("CI") and self.given.log_format == "text"

    # asking

    def confirmed(self, question: str, answer: str, *, flag: str = "--auto-approve") -> bool:
        """Whether the next line of standard input is `answer`. Never asks with --no-input."""
        if self.given.no_input:
            raise UsageError(f"this needs an answer, and --no-input forbids to ask; add {flag}")
        sys.stderr.write(f"{question} ")
        sys.stderr.flush()
        said = sys.stdin.readline() if sys.stdin else ""
        if not _is_terminal(sys.stdin):
            sys.stderr.write("\n")
        if said.strip() == answer:
            return True
        if not said:
            self.error(f"no answer on standard input; without a terminal add {flag}")
        return False

    # reports

    def report(self, plan: Plan | None = None, *, diagnostics: Sequence[Diagnostic] = (), document: Any = None, exit_code: int = 0) -> None:
        """Writes every report that was asked for."""
        for kind, path in self.reports:
            self._write_report(kind, path, self.rendered(kind, plan, diagnostics=diagnostics, document=document, exit_code=exit_code))

    def rendered(
        self, kind: str, plan: Plan | None = None, *, diagnostics: Sequence[Diagnostic] = (), document: Any = None, exit_code: int = 0
    ) -> str:
        """The text of one report."""
        from reconciler.render import reports

        found = reports.Findings(
            plan,
            tuple(diagnostics),
            document,
            exit_code=exit_code,
            workspace=self.workspace,
            environment=self.given.environment,
            version=__version__,
            checked=self.checked,
        )
        return reports.REPORTS[kind](found, replace(self.look(), width=None, color=False))

    def _write_report(self, kind: str, path: str, text: str) -> None:
        from reconciler.render import reports

        if kind == "github" and not path:
            self.tell(text.removesuffix("\n"))
            return
        path = path or reports.DEFAULT_PATH[kind]
        try:
            with Path(path).open("a" if kind == "github-summary" else "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
        except OSError as wrong:
            self.error(f"error: --report {kind}={path}: {wrong.strerror}")  # what was done is done: its exit code stays


def session(ctx: click.Context | None = None) -> Session:
    """The session of the running command, made when first asked for."""
    ctx = (ctx or click.get_current_context()).find_root()
    if "session" not in ctx.meta:
        made = ctx.meta["session"] = Session(given(ctx))
        ctx.call_on_close(made.closing.close)
    found: Session = ctx.meta["session"]
    return found


def _is_terminal(stream: Any) -> bool:
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):
        return False


def _now() -> str:
    return rfc3339(datetime.now(UTC))
