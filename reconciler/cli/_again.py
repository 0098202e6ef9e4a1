"""The command to type next, made to mean this run's project, environment, path and selection: whoever pastes it touches the same."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reconciler.cli._context import Wish
    from reconciler.cli._session import Session

_ALONE = frozenset({"--allow-delete"})  # given twice, the last one counts


def again(command: str, run: Session) -> str:
    """`reconciler apply` as `reconciler -e prod apply envs/prod --target RelayTask/a`: what decides what is touched, and nothing else.

    A command that names its own objects or file keeps to those; a whole command line, what is no command of ours, or only explains,
    stays as it is.
    """
    if not command.startswith("reconciler ") or command.endswith("--help"):
        return command
    program, verb, *own = shlex.split(command)
    if verb == "explain" or verb.startswith("-"):
        return command
    if "--out" in own:
        own[own.index("--out") + 1] = _placed(own[own.index("--out") + 1], run)
    if verb == "apply" and own and not own[0].startswith("-"):  # a saved plan
        own[0] = _placed(own[0], run)
    asked: list[str] = []
    if run.asked is not None and (not own or own[0].startswith("-")):
        asked = list(_asked(verb, own, run.asked, _path(run.asked.path, run)))
    return shlex.join([program, *run.options(run.root), verb, *asked, *own])


def _asked(verb: str, own: list[str], wish: Wish, path: str) -> Iterator[str]:
    if verb in ("plan", "apply", "destroy", "drift") and path:
        yield path
    if verb == "plan" and wish.destroy and "--destroy" not in own:
        yield "--destroy"
    if verb == "refresh":
        yield from wish.targets
    if "--target" in own or verb not in ("plan", "apply", "destroy"):
        return
    given = [(own[at], *own[at + 1 : at + 2]) for at in range(len(own))]
    for words in _flags(wish, destroy=verb == "destroy"):
        if words not in given and not (words[0] in _ALONE and words[0] in own):
            yield from words


def _flags(wish: Wish, *, destroy: bool) -> Iterator[tuple[str, ...]]:
    """Every flag that decides what is touched, as it is typed; those that destroy has not are left out for it."""
    yield from (("--target", one) for one in wish.targets)
    yield from (("--exclude", one) for one in wish.excludes)
    yield from (("--allow-on-air", one) for one in wish.allow_on_air)
    if destroy:
        return
    yield from (("-l", one) for one in wish.selector)
    if not wish.prune:
        yield ("--no-prune",)
    if wish.allow_delete is not None:
        yield ("--allow-delete", str(wish.allow_delete))
    if wish.allow_recreate:
        yield ("--allow-recreate",)
    yield from (("--allow-env", one) for one in wish.allow_env)


def _path(path: str, run: Session) -> str:
    """PATH as it is written where the command will run; "" where that is the default."""
    path = path if path == "-" else _placed(path, run)
    return "" if os.path.normpath(path) == "." else path


def _placed(path: str, run: Session) -> str:
    here, there = Path.cwd(), run.starts_in
    return path if there == here else os.path.relpath(here / path, there)
