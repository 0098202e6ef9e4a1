"""The words of ajv 8, the JSON Schema checker behind Livepeer Studio: the same errors, in the same order, as JSON text.

ajv stops at the first error, so one string is the rule; `oneOf` adds the errors of every branch that it tried.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reconciler.emulator.schema import Schema

_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "number": (int, float),
    "boolean": bool,
    "object": dict,
    "array": list,
    "null": type(None),
}


def errors(schema: Schema, value: object) -> list[str]:
    """One JSON text an error; empty when the value fits. The order of keywords is ajv's: type, enum and oneOf, items,
    then required, additionalProperties, properties."""
    found = list(_walk(schema, schema.raw, value, "", "#"))
    return [json.dumps(each, separators=(",", ":"), ensure_ascii=False) for each in found]


def _walk(schema: Schema, raw: Mapping[str, Any], value: Any, at: str, where: str) -> Iterator[dict[str, Any]]:
    raw = schema.resolve(raw)
    expected = raw.get("type")
    if expected is not None and not _is_a(expected, value):
        names = expected if isinstance(expected, str) else ",".join(expected)
        yield _error(at, where, "type", {"type": expected}, f"must be {names}")
        return
    for rule in (_enum, _one_of, _items, _required, _additional, _properties):
        broken = list(rule(schema, raw, value, at, where))
        if broken:
            yield from broken
            return


def _is_a(expected: str | Sequence[str], value: object) -> bool:
    if not isinstance(expected, str):
        return any(_is_a(each, value) for each in expected)
    if isinstance(value, bool):
        return expected == "boolean"
    return isinstance(value, _TYPES[expected])


def _error(at: str, where: str, keyword: str, params: dict[str, Any], message: str) -> dict[str, Any]:
    return {
        "instancePath": at,
        "schemaPath": f"{where}/{keyword}",
        "keyword": keyword,
        "params": params,
        "message": message,
    }


def _enum(_schema: Schema, raw: Mapping[str, Any], value: Any, at: str, where: str) -> Iterator[dict[str, Any]]:
    if "enum" in raw and value not in raw["enum"]:
        allowed = {"allowedValues": list(raw["enum"])}
        yield _error(at, where, "enum", allowed, "must be equal to one of the allowed values")


def _one_of(schema: Schema, raw: Mapping[str, Any], value: Any, at: str, where: str) -> Iterator[dict[str, Any]]:
    if "oneOf" not in raw:
        return
    tried = [list(_walk(schema, each, value, at, f"{where}/oneOf/{n}")) for n, each in enumerate(raw["oneOf"])]
    fitting = [n for n, broken in enumerate(tried) if not broken]
    if len(fitting) == 1:
        return
    if not fitting:
        for broken in tried:
            yield from broken
    passing = {"passingSchemas": fitting[:2] or None}
    yield _error(at, where, "oneOf", passing, "must match exactly one schema in oneOf")


def _items(schema: Schema, raw: Mapping[str, Any], value: Any, at: str, where: str) -> Iterator[dict[str, Any]]:
    if isinstance(value, list) and "items" in raw:
        for index, each in enumerate(value):
            broken = list(_walk(schema, raw["items"], each, f"{at}/{index}", f"{where}/items"))
            if broken:
                yield from broken
                return


def _required(_schema: Schema, raw: Mapping[str, Any], value: Any, at: str, where: str) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        for name in raw.get("required", ()):
            if name not in value:
                yield _error(at, where, "required", {"missingProperty": name}, f"must have required property '{name}'")
                return


def _additional(_schema: Schema, raw: Mapping[str, Any], value: Any, at: str, where: str) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict) and raw.get("additionalProperties") is False:
        for name in value:
            if name not in raw.get("properties", {}):
                additional = {"additionalProperty": name}
                yield _error(at, where, "additionalProperties", additional, "must NOT have additional properties")
                return


def _properties(schema: Schema, raw: Mapping[str, Any], value: Any, at: str, where: str) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        for name, each in raw.get("properties", {}).items():
            if name in value:
                broken = list(_walk(schema, each, value[name], f"{at}/{name}", f"{where}/properties/{name}"))
                if broken:
                    yield from broken
                    return
