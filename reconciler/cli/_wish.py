"""What a run was asked for: read from the flags, kept in a saved plan, and typed again in the command to run next."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reconciler import scalars
from reconciler.errors import UsageError
from reconciler.frozen import frozen
from reconciler.model import Address

if TYPE_CHECKING:
    from reconciler.engine import Options
    from reconciler.project import Project

_ALONE = frozenset({"--allow-delete"})  # given twice, the last one counts


@frozen
class Wish:
    """What the flags of plan, apply and their relatives ask for, as they were given."""

    path: str = "."
    targets: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    selector: tuple[str, ...] = ()
    destroy: bool = False
    prune: bool = True
    at: str = ""
    allow_on_air: tuple[str, ...] = ()
    allow_delete: int | None = None
    allow_recreate: bool = False
    allow_env: tuple[str, ...] = ()
    wait: bool = True

    def options(self, *, whole: bool, keep_unchanged: bool = True) -> Options:
        """Raises UsageError for what cannot be read."""
        from reconciler.engine import Options

        for text in (*self.targets, *self.excludes, *(name for name in self.allow_on_air if name != "*")):
            address_of(text)
        return Options(
            targets=self.targets,
            excludes=self.excludes,
            selector=dict(map(_pair, (part for text in self.selector for part in text.split(",")))),
            whole=whole,
            prune=self.prune,
            destroy=self.destroy,
            now=_instant(self.at) if self.at else None,
            allow_on_air=self.allow_on_air,
            allow_delete=self.allow_delete,
            allow_recreate=self.allow_recreate,
            keep_unchanged=keep_unchanged,
            wait=self.wait,
        )

    # in a saved plan

    def kept(self, project: Project) -> dict[str, Any]:
        """As the plan document has it: where the project lies from here, and the path in it."""
        from reconciler.project import followed

        return {
            "project": os.path.relpath(project.root),
            "path": self.path if self.path == "-" else os.path.relpath(followed(self.path), project.root),
            "targets": list(self.targets),
            "excludes": list(self.excludes),
            "selector": list(self.selector),
            "destroy": self.destroy,
            "prune": self.prune,
            "allow_on_air": list(self.allow_on_air),
            "allow_delete": self.allow_delete,
            "allow_recreate": self.allow_recreate,
            "zone": project.zone,
        }

    @classmethod
    def read(cls, kept: Mapping[str, Any], root: Path, flags: Wish) -> Wish:
        """What a plan of the project at `root` was asked for, and what apply's flags allow besides. Raises AttributeError, TypeError."""
        path = str(kept.get("path", "."))
        return cls(
            path=path if path == "-" else os.path.relpath(root / path),
            targets=tuple(map(str, kept.get("targets", ()))),
            excludes=tuple(map(str, kept.get("excludes", ()))),
            selector=tuple(map(str, kept.get("selector", ()))),
            destroy=bool(kept.get("destroy", False)),
            prune=bool(kept.get("prune", True)),
            allow_on_air=(*map(str, kept.get("allow_on_air", ())), *flags.allow_on_air),
            allow_delete=flags.allow_delete if flags.allow_delete is not None else kept.get("allow_delete"),
            allow_recreate=flags.allow_recreate or bool(kept.get("allow_recreate", False)),
            allow_env=flags.allow_env,
            wait=flags.wait,
        )

    # in the next command

    def words(self, verb: str, own: list[str], path: str) -> Iterator[str]:
        """What `verb`, typed with words of its `own`, needs besides to touch the same; `path`: PATH as it is written there, "" for none."""
        if verb in ("plan", "apply", "destroy", "drift") and path:
            yield path
        if verb == "plan" and self.destroy and "--destroy" not in own:
            yield "--destroy"
        if verb == "refresh":
            yield from self.targets
        if "--target" in own or verb not in ("plan", "apply", "destroy"):
            return
        given = [(own[at], *own[at + 1 : at + 2]) for at in range(len(own))]
        for words in self._flags(destroy=verb == "destroy"):
            if words not in given and not (words[0] in _ALONE and words[0] in own):
                yield from words

    def _flags(self, *, destroy: bool) -> Iterator[tuple[str, ...]]:
        """Every flag that decides what is touched, as it is typed; those that destroy has not are left out for it."""
        yield from (("--target", one) for one in self.targets)
        yield from (("--exclude", one) for one in self.excludes)
        yield from (("--allow-on-air", one) for one in self.allow_on_air)
        if destroy:
            return
        yield from (("-l", one) for one in self.selector)
        if not self.prune:
            yield ("--no-prune",)
        if self.allow_delete is not None:
            yield ("--allow-delete", str(self.allow_delete))
        if self.allow_recreate:
            yield ("--allow-recreate",)
        yield from (("--allow-env", one) for one in self.allow_env)


def address_of(text: str) -> Address:
    """Raises UsageError."""
    try:
        return Address.parse(text)
    except ValueError as wrong:
        raise UsageError(str(wrong)) from None


def _instant(text: str) -> datetime:
    try:
        return scalars.instant(text)
    except ValueError as wrong:
        raise UsageError(f"--at: {wrong}") from None


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise UsageError(f"-l {text}: a selector is written label=value, several joined with commas")
    return key.strip(), value.removeprefix("=").strip()
