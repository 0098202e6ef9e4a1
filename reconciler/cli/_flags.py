"""Flags that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from reconciler.cli._given import Negatable

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

F = TypeVar("F", bound=Callable[..., Any])


def addresses(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Declared addresses, for the shell's completion; quiet when the project cannot be read."""
    try:
        from click.shell_completion import CompletionItem

        from reconciler.cli._context import Scene
        from reconciler.cli._given import Given
        from reconciler.cli._session import Session

        found = Scene(Session(Given())).loaded.desired
        return [
            CompletionItem(str(want.address), help=f"{want.place.file}:{want.place.line}")
            for want in found
            if str(want.address).startswith(incomplete)
        ]
    except Exception:
        return []


def path(function: F) -> F:
    return click.argument("path", default=".", metavar="[PATH]")(function)


target = click.option("--target", "targets", multiple=True, metavar="ADDR", shell_complete=addresses, help="Only this one; repeatable.")
exclude = click.option("--exclude", "excludes", multiple=True, metavar="ADDR", shell_complete=addresses, help="All but this; repeatable.")
allow_on_air = click.option(
    "--allow-on-air", multiple=True, metavar="ADDR", shell_complete=addresses, help="May be touched while on air; repeatable."
)
allow_env = click.option("--allow-env", multiple=True, metavar="PATTERN", help="Manifests may read these variables only; repeatable.")


def choosing(function: F) -> F:
    """What is planned, and what may be touched, for plan and apply."""
    for option in (
        allow_env,
        click.option("--allow-recreate", is_flag=True, help="Most of a kind is gone at the vendor: make it again."),
        click.option("--allow-delete", type=click.IntRange(min=0), metavar="N", help="May delete up to N objects."),
        allow_on_air,
        click.option("--prune/--no-prune", cls=Negatable, default=True, help="Delete what is owned and in no manifest.  [default: prune]"),
        click.option("-l", "--selector", multiple=True, metavar="LABEL=VALUE", help="Only what carries these labels."),
        exclude,
        target,
    ):
        function = option(function)
    return function


auto_approve = click.option("--auto-approve", is_flag=True, help="Don't ask.")
parallelism = click.option(
    "--parallelism",
    type=click.IntRange(0, 64),
    default=8,
    show_default=True,
    metavar="N",
    help="Changes side by side. With 0 all is done in one thread, and an interrupt waits for the answer under way, however long.",
)
wait = click.option("--wait/--no-wait", cls=Negatable, default=True, help="Wait until new objects are ready.  [default: wait]")
untrusted = click.option(
    "--untrusted", is_flag=True, help="For a stranger's change: no environment, no file references, no credential, no network."
)
detailed = click.option("--detailed-exitcode", is_flag=True, help="Exit 2 when anything would change.")
