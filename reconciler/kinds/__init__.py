"""The kinds of resource, found by looking into this folder: `relay_task.py` holds `KIND`, the kind RelayTask.

A module is imported only when its kind is asked for. Adding a kind adds a module here, its spec under `specs/`, and tests; no
existing file changes.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from functools import cache, cached_property

from reconciler.model import Kind


class Registry:
    """Kind by name; looks into the folder once, and loads a kind's module the first time it is asked for."""

    def __init__(self) -> None:
        self._found: dict[str, Kind | None] = {}

    def get(self, name: str) -> Kind | None:
        if name not in self._found:
            module = self._modules.get(name)
            self._found[name] = _load(module) if module else None
        return self._found[name]

    def names(self) -> list[str]:
        return sorted(self._modules)

    def __iter__(self) -> Iterator[Kind]:
        return (_load(module) for _, module in sorted(self._modules.items()))

    @cached_property
    def _modules(self) -> dict[str, str]:
        return _modules()


def _modules() -> dict[str, str]:
    """`RelayTask` -> `relay_task`, for every public module on this package's path."""
    found = (info.name for info in pkgutil.iter_modules(__path__) if not info.name.startswith("_"))
    return {"".join(part.capitalize() for part in name.split("_")): name for name in found}


@cache
def _load(module: str) -> Kind:
    kind: Kind = importlib.import_module(f"{__name__}.{module}").KIND
    return kind
