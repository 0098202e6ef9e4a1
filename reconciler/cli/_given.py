"""The global options: accepted before or after the command, and from the environment. The nearer and the more explicit wins."""

from __future__ import annotations

import os
from typing import Any

import click
from click.core import ParameterSource


class Given:
    """The values of the global options. No dataclass: making one would be a tenth of `--help`."""

    directory: str = ""
    environment: str = ""
    output: str = "text"
    report: tuple[str, ...] = ()
    color: str = "auto"
    ascii: bool = False
    quiet: bool = False
    verbose: int = 0
    lang: str = "en"
    tz: str = ""
    no_input: bool = False
    lock_timeout: str = "0s"
    log_format: str = "text"

    def __init__(self) -> None:
        self._rank: dict[str, int] = {}

    def keep(self, name: str, value: Any, rank: int) -> None:
        if name == "report":
            self.report += tuple(value)
        elif rank >= self._rank.get(name, 0):
            self._rank[name] = rank
            setattr(self, name, value)


def given(ctx: click.Context) -> Given:
    """The one Given of a command line."""
    root = ctx.find_root()
    if not isinstance(root.obj, Given):
        root.obj = Given()
    return root.obj


def _keep(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    source = ctx.get_parameter_source(param.name or "")
    if source is ParameterSource.COMMANDLINE:
        given(ctx).keep(param.name or "", value, 3)
    elif source is ParameterSource.ENVIRONMENT:
        given(ctx).keep(param.name or "", value, 2 if ctx.parent else 1)
    return value


_OPTIONS: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
    (("-C", "--chdir", "directory"), {"metavar": "DIR", "help": "Work as if started in DIR."}),
    (("-e", "--env", "environment"), {"metavar": "ENV", "help": "An environment of reconciler.yaml."}),
    (("-o", "--output"), {"metavar": "FORMAT", "help": "text (default), json; plan and show take every report kind, too."}),
    (("--report",), {"metavar": "KIND[=PATH]", "multiple": True, "help": "Also write a report; repeatable. github, markdown, sarif ..."}),
    (("--color",), {"type": click.Choice(["auto", "always", "never"]), "help": "NO_COLOR and FORCE_COLOR are honoured."}),
    (("--ascii",), {"is_flag": True, "help": "Escape everything beyond ASCII."}),
    (("-q", "--quiet"), {"is_flag": True, "help": "Headlines and the summary only."}),
    (("-v", "--verbose"), {"count": True, "help": "All fields; -vv also what went over the wire, masked."}),
    (("--lang",), {"type": click.Choice(["en", "zh-CN"]), "help": "Language of texts; so far all texts are English."}),
    (("--tz",), {"metavar": "ZONE", "help": "Show times in this zone, like Asia/Shanghai."}),
    (("--no-input",), {"is_flag": True, "help": "Never ask; fail instead."}),
    (("--lock-timeout",), {"metavar": "TIME", "help": "Wait this long for the lock, like 30s."}),
    (("--log-format",), {"type": click.Choice(["text", "json"]), "help": "How the narration on standard error looks."}),
)


def add_global_options(command: click.Command, *, shown: bool = False) -> click.Command:
    """The command with the global options, once; below the top they are hidden from `--help`."""
    taken = {name for param in command.params for name in param.opts}
    for names, settings in _OPTIONS:
        if not taken & {name for name in names if name.startswith("-")}:
            command.params.append(click.Option(names, expose_value=False, callback=_keep, hidden=not shown, **settings))
    if isinstance(command, click.Group) and not shown:
        for child in command.commands.values():
            add_global_options(child)
    if not shown and command.epilog is None:
        command.epilog = "Global options, like -C, -e, -o, --tz and -v, stand before or after the command: reconciler --help."
    return command


def name_in_environment(command: click.Command, prefix: str) -> click.Command:
    """Names every flag in the environment as it is typed, like RECONCILER_APPLY_TARGET; click would name it as our code does, TARGETS."""
    for option in command.params:
        flag = next((name for name in option.opts if name.startswith("--")), "")
        if flag and option.envvar is None:
            option.envvar = _variable(prefix, flag[2:])
    if isinstance(command, click.Group) and prefix != "RECONCILER":
        for name, child in command.commands.items():
            name_in_environment(child, f"{prefix}_{name}")
    return command


def _variable(*words: str) -> str:
    return "_".join(words).upper().replace("-", "_")


class Negatable(click.Option):
    """`--prune/--no-prune`: RECONCILER_PLAN_PRUNE=0 and RECONCILER_PLAN_NO_PRUNE=1 mean the same."""

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        told = super().resolve_envvar_value(ctx)
        if told is not None:
            return told
        denied = os.environ.get(_variable(ctx.auto_envvar_prefix or "", self.secondary_opts[0][2:]))
        return str(not click.BOOL.convert(denied, self, ctx)) if denied else None
