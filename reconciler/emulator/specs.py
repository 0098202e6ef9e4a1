"""The vendors' contracts as data: reads specs/*.yaml once and answers questions about actions, errors and switches.

A spec file has `api`, `actions` (name -> method, path, pace in calls/s, safe, request schema, errors), `errors` (code
-> status, class, code_n), `switches` (name -> values and/or number, default, note), `$defs`, and a `mark` on each fact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from reconciler.emulator.schema import Schema

FILES = {"live": "volcengine-live.yaml", "rtc": "volcengine-rtc.yaml", "livepeer": "livepeer-studio.yaml"}


class UnknownSwitch(ValueError):
    """A switch or a value that no spec lists; the message names what there is."""


def specs_dir() -> Path:
    """The folder with the spec files: `specs/` beside the package in a checkout, `_specs/` inside it when installed."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "_specs"
    return installed if installed.is_dir() else package.parent / "specs"


@dataclass(frozen=True, slots=True)
class Action:
    """One call of an API. `pace`: calls per second and account (None: not limited); `safe`: it changes nothing."""

    name: str
    method: str
    path: str
    pace: float | None
    safe: bool
    request: Schema
    raw: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Fault:
    """An error code of the vendor: its HTTP status, the number some gateways add, and how a client should class it."""

    code: str
    status: int
    class_: str
    code_n: int | None


@dataclass(frozen=True, slots=True)
class Switch:
    """A behaviour nobody has documented: its possible `values`, or any number when `number` names a unit."""

    name: str
    values: tuple[str, ...]
    default: str
    number: str | None
    note: str

    def accept(self, value: object) -> str:
        """The value as text, or UnknownSwitch."""
        text = {True: "on", False: "off"}.get(value, str(value)) if isinstance(value, bool) else str(value)
        if text in self.values:
            return text
        if self.number is not None:
            try:
                if float(text) >= 0 or self.number.startswith("signed"):
                    return text
            except ValueError:
                pass
        known = [*self.values, *([f"<{self.number}>"] if self.number else [])]
        raise UnknownSwitch(f"switch {self.name}: {text!r} is not one of {', '.join(known)}")


class Spec:
    """One spec file, compiled."""

    def __init__(self, name: str, raw: Mapping[str, Any]) -> None:
        self.name = name
        self.raw = raw
        self.defs: Mapping[str, Any] = raw.get("$defs") or {}

    @cached_property
    def actions(self) -> dict[str, Action]:
        return {name: self._action(name, each) for name, each in (self.raw.get("actions") or {}).items()}

    def _action(self, name: str, raw: Mapping[str, Any]) -> Action:
        method, _, path = name.partition(" ") if " " in name else (raw.get("method", "POST"), "", raw.get("path", "/"))
        return Action(
            name=name,
            method=raw.get("method", method),
            path=raw.get("path", path),
            pace=raw.get("pace"),
            safe=bool(raw.get("safe", False)),
            request=Schema(raw.get("request") or {}, defs=self.defs),
            raw=raw,
        )

    @cached_property
    def errors(self) -> dict[str, Fault]:
        return {
            str(code): Fault(str(code), int(each["status"]), str(each.get("class", "unknown")), each.get("code_n"))
            for code, each in (self.raw.get("errors") or {}).items()
        }

    @cached_property
    def switches(self) -> dict[str, Switch]:
        return {f"{self.name}.{name}": self._switch(name, each) for name, each in self.raw.get("switches", {}).items()}

    def _switch(self, name: str, raw: Mapping[str, Any]) -> Switch:
        return Switch(
            name=f"{self.name}.{name}",
            values=tuple(_text(each) for each in raw.get("values") or ()),
            default=_text(raw["default"]),
            number=raw.get("number"),
            note=str(raw.get("note", "")),
        )

    def match(self, method: str, path: str) -> str | None:
        """The action whose method and path template (`/task/{id}`) fit, the most literal one first."""
        wanted = [part for part in path.split("/") if part]
        best: tuple[int, str] | None = None
        for action in self.actions.values():
            parts = [part for part in action.path.split("/") if part]
            if action.method != method or len(parts) != len(wanted):
                continue
            if all(a == b or a.startswith("{") for a, b in zip(parts, wanted, strict=True)):
                literal = sum(not part.startswith("{") for part in parts)
                if best is None or literal > best[0]:
                    best = (literal, action.name)
        return best[1] if best else None


def _text(value: object) -> str:
    return ("on" if value else "off") if isinstance(value, bool) else str(value)


@lru_cache(maxsize=8)
def load(name: str) -> Spec:
    """The spec `live`, `rtc` or `livepeer`; shared and never changed. FileNotFoundError when it is not there."""
    from ruamel.yaml import YAML

    with (specs_dir() / FILES[name]).open("rb") as stream:
        return Spec(name, YAML(typ="safe").load(stream))
