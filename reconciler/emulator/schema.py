"""The part of JSON Schema that the specs use, checked by hand: small, quick, and it says which keys nobody knows.

Differences to the letter of the standard, both on purpose: an unknown key is reported instead of refused, and with
`null_is_absent` a JSON null counts as a member that was not sent (as Go's decoder sees it).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
    "null": (type(None),),
}


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule: `path` like `Layout.Regions[0].Alpha`, `keyword` of JSON Schema that was broken, `message`."""

    path: str
    keyword: str
    message: str


@dataclass(slots=True)
class Finding:
    """What a check found: violations in document order, and the paths of keys that the schema does not know."""

    violations: list[Violation] = field(default_factory=list)
    unknown_keys: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.violations


class Schema:
    """A schema with its `$defs`; `check` walks a value, `defaults` and `secrets` read what the schema declares."""

    def __init__(self, raw: Mapping[str, Any], *, defs: Mapping[str, Any] | None = None) -> None:
        self.raw = raw
        self._defs = defs or {}

    def check(self, value: object, *, null_is_absent: bool = False) -> Finding:
        found = Finding()
        self._walk(self.raw, value, "", found, null_is_absent)
        return found

    def resolve(self, raw: Mapping[str, Any]) -> Mapping[str, Any]:
        """Follow `$ref` (only `#/$defs/NAME`); keys beside it win over the target's."""
        while "$ref" in raw:
            target = self._defs[str(raw["$ref"]).rpartition("/")[2]]
            raw = {**target, **{key: each for key, each in raw.items() if key != "$ref"}}
        return raw

    def defaults(self) -> dict[str, Any]:
        """`{member: default}` for the members of the top level that declare one."""
        properties = self.resolve(self.raw).get("properties", {})
        resolved = {name: self.resolve(each) for name, each in properties.items()}
        return {name: each["default"] for name, each in resolved.items() if "default" in each}

    def masked(self, value: object) -> object:
        """A copy with every `x-secret` member as `***` and every `x-secret-query` URL without its query."""
        return self._mask(self.raw, value)

    def _mask(self, raw: Mapping[str, Any], value: object) -> object:
        raw = self.resolve(raw)
        if raw.get("x-secret"):
            return "***" if value else value
        if raw.get("x-secret-query") and isinstance(value, str):
            head, mark, _ = value.partition("?")
            return re.sub(r"(://)[^/@]*@", r"\1***@", head) + ("?***" if mark else "")
        if isinstance(value, dict):
            known = raw.get("properties", {})
            return {key: self._mask(known.get(key, {}), each) for key, each in value.items()}
        if isinstance(value, list):
            return [self._mask(raw.get("items", {}), each) for each in value]
        return value

    def _walk(self, raw: Mapping[str, Any], value: object, path: str, found: Finding, lenient: bool) -> None:
        raw = self.resolve(raw)
        expected = raw.get("type")
        if expected is not None and not _is_a(expected, value):
            found.violations.append(Violation(path, "type", f"{path or 'body'} must be {_names(expected)}"))
            return
        found.violations.extend(_scalar(raw, value, path))
        if isinstance(value, dict):
            self._walk_object(raw, value, path, found, lenient)
        elif isinstance(value, list):
            for index, each in enumerate(value):
                self._walk(raw.get("items", {}), each, f"{path}[{index}]", found, lenient)

    def _walk_object(self, raw: Mapping[str, Any], value: dict[str, Any], at: str, found: Finding, lenient: bool) -> None:
        properties = raw.get("properties")
        prefix = f"{at}." if at else ""
        for name in raw.get("required", ()):
            if name not in value or (lenient and value[name] is None):
                found.violations.append(Violation(prefix + name, "required", f"{prefix}{name} is required"))
        if properties is None:
            return
        for name, each in value.items():
            if name not in properties:
                found.unknown_keys.append(prefix + name)
                if raw.get("additionalProperties") is False and raw.get("x-strict"):
                    text = f"{prefix}{name} is not known"
                    found.violations.append(Violation(prefix + name, "additionalProperties", text))
            elif not (lenient and each is None):
                self._walk(properties[name], each, prefix + name, found, lenient)


@lru_cache(maxsize=256)
def _pattern(ecma: str) -> re.Pattern[str]:
    """JSON Schema's `$` is the very end; Python's also fits before a last newline."""
    return re.compile(re.sub(r"(?<!\\)\$", r"\\Z", ecma))


def _is_a(expected: str | list[str], value: object) -> bool:
    if isinstance(expected, list):
        return any(_is_a(each, value) for each in expected)
    if isinstance(value, bool):
        return expected == "boolean"
    return isinstance(value, _TYPES[expected])


def _names(expected: str | list[str]) -> str:
    return expected if isinstance(expected, str) else " or ".join(expected)


def _scalar(raw: Mapping[str, Any], value: Any, path: str) -> Iterator[Violation]:
    where = path or "body"
    if "enum" in raw and value not in raw["enum"]:
        yield Violation(path, "enum", f"{where} must be one of {', '.join(str(each) for each in raw['enum'])}")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        yield from _number(raw, value, path, where)
    elif isinstance(value, str):
        if len(value) < raw.get("minLength", 0):
            yield Violation(path, "minLength", f"{where} must have at least {raw['minLength']} characters")
        if "maxLength" in raw and len(value) > raw["maxLength"]:
            yield Violation(path, "maxLength", f"{where} must have at most {raw['maxLength']} characters")
        if "x-max-bytes" in raw and len(value.encode()) > raw["x-max-bytes"]:
            yield Violation(path, "maxLength", f"{where} must have at most {raw['x-max-bytes']} bytes")
        if "pattern" in raw and not _pattern(raw["pattern"]).search(value):
            yield Violation(path, "pattern", f"{where} must match {raw['pattern']}")
    elif isinstance(value, list):
        if len(value) < raw.get("minItems", 0):
            yield Violation(path, "minItems", f"{where} must have at least {raw['minItems']} items")
        if "maxItems" in raw and len(value) > raw["maxItems"]:
            yield Violation(path, "maxItems", f"{where} must have at most {raw['maxItems']} items")


def _number(raw: Mapping[str, Any], value: float, path: str, where: str) -> Iterator[Violation]:
    if "minimum" in raw and value < raw["minimum"]:
        yield Violation(path, "minimum", f"{where} must be at least {raw['minimum']}")
    if "maximum" in raw and value > raw["maximum"]:
        yield Violation(path, "maximum", f"{where} must be at most {raw['maximum']}")
    if "exclusiveMinimum" in raw and value <= raw["exclusiveMinimum"]:
        yield Violation(path, "exclusiveMinimum", f"{where} must be more than {raw['exclusiveMinimum']}")
    if "exclusiveMaximum" in raw and value >= raw["exclusiveMaximum"]:
        yield Violation(path, "exclusiveMaximum", f"{where} must be less than {raw['exclusiveMaximum']}")
    if "multipleOf" in raw and value % raw["multipleOf"]:
        yield Violation(path, "multipleOf", f"{where} must be a multiple of {raw['multipleOf']}")
