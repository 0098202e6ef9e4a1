"""The command `reconciler`. Commands are listed here with their one-line helps, and imported when they are used."""

from __future__ import annotations

import gc
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from typing import IO, Any, NamedTuple, NoReturn

import click

from reconciler.cli._given import Given, add_global_options, name_in_environment


class Listed(NamedTuple):
    """Where a command lives: module below this package, name in it, one line of help, aliases."""

    module: str
    name: str
    help: str
    aliases: tuple[str, ...] = ()


COMMANDS = {
    "init": Listed("start", "init", "Write a commented starter project."),
    "validate": Listed("manifests", "validate", "Check manifests; no network."),
    "schema": Listed("manifests", "schema", "Print the JSON Schema of manifests, for editors."),
    "explain": Listed("manifests", "explain", "Explain a rule, a kind or a field."),
    "render": Listed("manifests", "render", "Print manifests after variables, defaults and recurrence."),
    "plan": Listed("plan", "plan", "Compare manifests with what is live; changes nothing.", ("diff",)),
    "show": Listed("plan", "show", "Print a saved plan."),
    "apply": Listed("apply", "apply", "Carry out what the manifests, or a saved plan, ask for.", ("sync",)),
    "destroy": Listed("apply", "destroy", "Delete everything this workspace owns."),
    "drift": Listed("plan", "drift", "Show what moved away outside of us."),
    "refresh": Listed("apply", "refresh", "Re-read live state and settle unknown results."),
    "import": Listed("state", "import_", "Adopt a live object under a declared address."),
    "get": Listed("get", "get", "Show what is declared and live, with stage and countdown."),
    "state": Listed("state", "state", "List, show, move and forget what the ledger remembers."),
    "history": Listed("state", "history", "Show past applies."),
    "force-unlock": Listed("state", "force_unlock", "Free the lock of a run that died elsewhere."),
    "emulator": Listed("emulator", "emulator", "Run the vendors' APIs on loopback."),
    "doctor": Listed("start", "doctor", "Check credentials, reachability, clock and versions.", ("ping",)),
    "completion": Listed("start", "completion", "Print the completion script of a shell."),
    "version": Listed("start", "version", "Print versions."),
}

WIDEST_HELP = 100  # columns

LATER = ("fmt", "export", "dump", "timeline", "simulate", "wait", "controller")
"""Designed, and not there yet: no spelling mistakes."""

_ALIASES = {alias: name for name, listed in COMMANDS.items() for alias in listed.aliases}


class LazyGroup(click.Group):
    """A group that knows its commands by name alone."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        name = _ALIASES.get(cmd_name, cmd_name)
        listed = COMMANDS.get(name)
        if listed is None:
            return None
        command: click.Command = getattr(importlib.import_module(f"{__name__}.{listed.module}"), listed.name)
        return name_in_environment(add_global_options(command), f"RECONCILER_{name}")

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args[:1] and args[0] in LATER:
            raise click.UsageError(f"{args[0]} is not in this version yet", ctx)
        if args[:1] and not args[0].startswith("-") and _ALIASES.get(args[0], args[0]) not in COMMANDS:
            from reconciler.mistakes import did_you_mean

            near = did_you_mean(args[0], [*COMMANDS, *_ALIASES])
            raise click.UsageError(f"there is no command {args[0]!r}{f'; {near}' if near else ''}", ctx)
        name, command, rest = super().resolve_command(ctx, args)
        return _ALIASES.get(name or "", name), command, rest

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = []
        for name, listed in COMMANDS.items():
            aliases = f" ({', '.join(listed.aliases)})" if listed.aliases else ""
            rows.append((name + aliases, listed.help))
        with formatter.section("Commands"):
            formatter.write_dl(rows)


@click.group(
    cls=LazyGroup,
    invoke_without_command=False,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "RECONCILER"},
    epilog="Every flag can come from the environment: RECONCILER_<COMMAND>_<FLAG>, like RECONCILER_PLAN_OUT.",
)
def cli() -> None:
    """Declare relay tasks, recordings, segment sessions and clips in YAML; plan and apply the difference.

    \b
    Begin here:
      reconciler init demo && cd demo      a commented project
      reconciler emulator --port 8099      the vendors' APIs, on this machine
      reconciler plan                      what would change
      reconciler apply                     change it
    """


name_in_environment(add_global_options(cli, shown=True), "RECONCILER")


class Terminated(KeyboardInterrupt):
    """SIGTERM: an interrupt with another exit code."""


def main() -> NoReturn:
    """One run of the command, as a process."""
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # no other package has a say in what is valid; looking for them takes time
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started us, as with `2>&-`
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115
        getattr(sys, name).reconfigure(errors="backslashreplace")  # a tick must not kill a run on a GBK terminal
    if "_RECONCILER_COMPLETE" in os.environ:
        cli.main(prog_name="reconciler")
    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except OSError as wrong:
        code = unwritten(wrong, code)
    try:
        sys.stderr.flush()
    except OSError:
        _silence(sys.stderr)  # narration, no result
    if code in (130, 143):
        os._exit(code)  # a request that nobody waits for any more must not keep the process
    gc.freeze()  # else the interpreter's end looks three times for garbage in all there is
    sys.exit(code)


def run(args: Sequence[str]) -> int:
    """Carries one command line out and returns the exit code; everything that can go wrong is told, nothing is raised."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        return _invoke(list(args))
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as wrong:
        return _usage(wrong, args)
    except OSError as wrong:
        if wrong.filename is not None or type(wrong) not in (OSError, BrokenPipeError):
            return _fault(wrong, args)
        return unwritten(wrong)  # a stream's: it has no name, and is nobody at the other end of a socket
    except (KeyboardInterrupt, click.Abort) as stop:
        return _tell(args, *_stopped(stop), "reconciler plan")
    except Exception as fault:
        return _fault(fault, args)


def _invoke(args: list[str]) -> int:
    with cli.make_context("reconciler", list(args), terminal_width=_width()) as ctx:
        ctx.meta["words"] = args
        try:
            code = cli.invoke(ctx)
            return code if isinstance(code, int) else 0
        except KeyboardInterrupt as stop:
            if "session" not in ctx.meta:
                raise
            from reconciler.cli._failures import interrupted

            return interrupted(*_stopped(stop), ctx)
        except Exception as wrong:
            from reconciler.errors import ReconcilerError

            if not isinstance(wrong, ReconcilerError):
                raise
            from reconciler.cli._failures import told

            return told(wrong, ctx)


def _stopped(stop: BaseException) -> tuple[str, int]:
    return ("terminated", 143) if isinstance(stop, Terminated) else ("interrupted", 130)


def columns() -> int:
    """The width of the terminal, as shutil finds it; behind shutil are archive formats, a twentieth of `--help`."""
    try:
        found = int(os.environ.get("COLUMNS", "0")) or os.get_terminal_size(sys.__stdout__.fileno()).columns  # type: ignore[union-attr]
    except (AttributeError, OSError, ValueError):
        found = 0
    return found or 80


def _width() -> int:
    """For helps."""
    return max(min(columns(), WIDEST_HELP) - 2, 50)


def _terminate(*_: Any) -> None:
    raise Terminated


def _usage(wrong: click.ClickException, args: Sequence[str]) -> int:
    """Exit 64: click's own 2 means changes here."""
    bare = isinstance(wrong, click.exceptions.NoArgsIsHelpError)
    if bare and not wants_json(args):
        wrong.show(sys.stderr)
    message = "a command is missing" if bare else wrong.format_message()
    asked = wrong.ctx.command_path if isinstance(wrong, click.UsageError) and wrong.ctx else "reconciler"
    return _tell(args, message[:1].lower() + message[1:].removesuffix("."), 64, f"{asked} --help")


def _tell(args: Sequence[str], message: str, code: int, next_step: str) -> int:
    """A failure outside of any command's own handling."""
    if wants_json(args):
        from reconciler.cli import _failures

        _failures.document(message, code, stream=_streams(args), next_step=next_step)
    else:
        _say(f"error: {message}")
        _say(f"Next: {next_step}")
    return code


def _fault(fault: Exception, args: Sequence[str]) -> int:
    """A fault of ours: short, without the values a traceback's last line may quote; with -vv the places, still without values."""
    name = type(fault).__name__
    if "-vv" in args or "-vvv" in args:
        import traceback

        for frame in traceback.extract_tb(fault.__traceback__):
            _say(f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}')
    return _tell(args, f"a fault of ours: {name}; -vv shows where; report it, with what the next line prints", 70, "reconciler version -v")


def unwritten(wrong: OSError, code: int = 0, *, done: bool = False) -> int:
    """The exit code where output was lost: a reader that went away knows it, all others are told. `done`: it told of what was done."""
    _silence(sys.stdout)
    if isinstance(wrong, BrokenPipeError):
        return code or 141
    _say(f"error: the output cannot be written: {wrong.strerror}{'; what was done is in the ledger' if done else ''}")
    _say(f"Next: {'reconciler history' if done else 'df -h'}")
    return code if code not in (0, 2) else 3 if done else 1


def _say(line: str) -> None:
    try:
        print(line, file=sys.stderr, flush=True)  # noqa: T201
    except OSError:
        _silence(sys.stderr)


def _silence(stream: IO[str]) -> None:
    """Nobody reads it any more: what is left goes nowhere, so that the interpreter does not complain at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, stream.fileno())
    except (OSError, ValueError):
        return


def wants_json(args: Sequence[str]) -> bool:
    """Whether the command line, or the environment, asks for JSON; told from the words, for when they could not be parsed."""
    for index, word in enumerate(args):
        if word == "--":
            break
        value = word.partition("=")[2] if word.startswith("--output=") else word[2:].lstrip("=") if word.startswith("-o") else ""
        if word in ("-o", "--output"):
            value = args[index + 1] if index + 1 < len(args) else ""
        if value:
            return value in ("json", "jsonl")
    command = next((_ALIASES.get(word, word) for word in args if word in COMMANDS or word in _ALIASES), "")
    variable = f"RECONCILER_{command.upper().replace('-', '_')}_OUTPUT"
    return os.environ.get(variable, os.environ.get("RECONCILER_OUTPUT", "")) in ("json", "jsonl")


def _streams(args: Sequence[str]) -> bool:
    return next((word for word in args if word in COMMANDS or word in _ALIASES), "") in ("apply", "sync", "destroy")


__all__ = ["COMMANDS", "Given", "cli", "main", "run"]
