"""Field declarations <-> request and response bodies: one generic walk each way, so no kind writes twin functions."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from reconciler.fields import HARMLESS, LENGTH, REPLACE, UNREADABLE, Doc, Wire
from reconciler.frozen import frozen
from reconciler.model import Secret, Values

ABSENT: Any = object()


@frozen
class Field:
    """One declared field. `path` is its manifest path below `spec`, list indices left out (`layout.regions.x`)."""

    key: str
    attribute: str
    path: str
    wire: Wire | None
    steps: tuple[str, ...]
    nested: Shape | None
    many: bool
    scalar: type | None
    default: Any
    required: bool
    replace: bool
    unreadable: bool
    harmless: bool
    length: bool
    doc: Doc | None
    description: str
    words: Mapping[int, str]
    also: tuple[tuple[tuple[str, ...], Any], ...] = ()

    @property
    def absent(self) -> Any:
        """What is read where the vendor says nothing."""
        return ABSENT if self.required else self.default


@frozen
class Shape:
    """A spec model as the walk needs it. `by_path` holds every field below it, at any depth, `unreadable` the paths of those so marked."""

    model: type[BaseModel]
    fields: tuple[Field, ...]
    by_path: Mapping[str, Field]
    unreadable: frozenset[str]

    def field(self, path: str) -> Field | None:
        """The field at a manifest path; `spec.` in front and list indices inside are ignored: `spec.files.0.url` -> `files.url`."""
        names = [part for part in path.removeprefix("spec.").split(".") if not part.isdigit()]
        return self.by_path.get(".".join(names))

    def marked(self, mark: str, path: str) -> bool:
        """Whether the field at `path`, or one around it, carries `replace` or `harmless`."""
        names = [part for part in path.removeprefix("spec.").split(".") if not part.isdigit()]
        around = (".".join(names[:depth]) for depth in range(1, len(names) + 1))
        return any(getattr(found, mark) for name in around if (found := self.by_path.get(name)))


@cache
def shape(model: type[BaseModel], path: str = "") -> Shape:
    """The compiled walk of a spec model."""
    model.model_rebuild()
    fields = tuple(_field(name, info, path) for name, info in model.model_fields.items())
    by_path: dict[str, Field] = {}
    for field in fields:
        by_path[field.path] = field
        if field.nested:
            by_path.update(field.nested.by_path)
    return Shape(model, fields, by_path, frozenset(name for name, field in by_path.items() if field.unreadable))


def _field(name: str, info: FieldInfo, path: str) -> Field:
    key = info.alias or name
    below = f"{path}.{key}" if path else key
    nested, many = _nested(info.annotation)
    wire = next((mark for mark in info.metadata if isinstance(mark, Wire)), None)
    doc = next((mark for mark in info.metadata if isinstance(mark, Doc)), None)
    default = None if info.is_required() else info.get_default(call_default_factory=True, validated_data={})
    if isinstance(default, BaseModel):
        default = canonical(default)
    elif isinstance(default, tuple | list):
        default = list(default)
    return Field(
        key=key,
        attribute=name,
        path=below,
        wire=wire,
        steps=tuple(wire.name.split(".")) if wire else (),
        nested=shape(nested, below) if nested else None,
        many=many,
        scalar=_scalar(info.annotation),
        default=default,
        required=info.is_required(),
        replace=any(mark is REPLACE for mark in info.metadata),
        unreadable=any(mark is UNREADABLE for mark in info.metadata),
        harmless=any(mark is HARMLESS for mark in info.metadata),
        length=LENGTH in info.metadata or _is_length(info.annotation),
        doc=doc,
        description=info.description or (doc.text if doc else ""),
        words={number: word for word, number in (wire.words or {}).items()} if wire else {},
        also=tuple((tuple(name.split(".")), constant) for name, constant in (wire.also or {}).items()) if wire else (),
    )


def _nested(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """The model inside an annotation, and whether it is a list of them."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _nested(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        for member in typing.get_args(annotation):
            found, many = _nested(member)
            if found:
                return found, many
    if origin in (list, tuple):
        found, _ = _nested(typing.get_args(annotation)[0])
        return found, found is not None
    return None, False


def _is_length(annotation: Any) -> bool:
    """Whether an annotation is a length of time, or one that may be absent."""
    if typing.get_origin(annotation) is typing.Annotated:
        return LENGTH in typing.get_args(annotation)
    return any(_is_length(member) for member in typing.get_args(annotation))


def _scalar(annotation: Any) -> type | None:
    """The one plain type of an annotation, whatever stands around it; None for a choice of them and for everything else."""
    if annotation in (bool, int, float, str):
        return typing.cast(type, annotation)
    origin = typing.get_origin(annotation)
    members = typing.get_args(annotation)[:1] if origin is typing.Annotated else typing.get_args(annotation)
    if origin in (typing.Annotated, typing.Union, types.UnionType):
        found = {_scalar(member) for member in members if member is not type(None)}
        return found.pop() if len(found) == 1 else None
    return None


@cache
def names(model: type[BaseModel]) -> frozenset[str]:
    """Every name that a body of this model may have at its top level."""
    found: set[str] = set()
    for field in shape(model).fields:
        found.update(steps[0] for steps in (field.steps, *(steps for steps, _ in field.also)) if steps)
        if field.nested and not field.steps:
            found |= names(field.nested.model)
    return frozenset(found)


def canonical(spec: BaseModel) -> dict[str, Any]:
    """A validated spec as canonical values: manifest keys, defaults filled in, absent optionals left out."""
    values: dict[str, Any] = {}
    for field in shape(type(spec)).fields:
        value = getattr(spec, field.attribute)
        if value is None:
            continue
        if field.nested:
            value = [canonical(item) for item in value] if field.many else canonical(value)
        elif isinstance(value, tuple):
            value = list(value)
        values[field.key] = value
    return values


# --- towards the vendor -----------------------------------------------------------------------------------------------


def encode(model: type[BaseModel], values: Values) -> dict[str, Any]:
    """Canonical values as a request body. Secrets are revealed here and nowhere else."""
    body: dict[str, Any] = {}
    _encode(shape(model), values, body)
    return body


def _encode(form: Shape, values: Values, body: dict[str, Any]) -> None:
    for field in form.fields:
        value = values.get(field.key, ABSENT)
        if value is ABSENT or value is None:
            continue
        for steps, constant in field.also:
            _put(body, steps, constant)
        if field.nested:
            if field.many:
                items: list[dict[str, Any]] = []
                for item in value:
                    _encode(field.nested, item, part := dict[str, Any]())
                    items.append(part)
                _put(body, field.steps, items)
            elif field.steps:
                _encode(field.nested, value, part := _get(body, field.steps) or {})
                _put(body, field.steps, part)
            else:
                _encode(field.nested, value, body)
        elif field.wire:
            _put(body, field.steps, _dump(field.wire, value))


def _dump(wire: Wire, value: Any) -> Any:
    if wire.dump:
        return wire.dump(value)
    if wire.words:
        return [wire.words[word] for word in value] if isinstance(value, list) else wire.words[value]
    return value.reveal() if isinstance(value, Secret) else value


def _put(body: dict[str, Any], steps: tuple[str, ...], value: Any) -> None:
    for step in steps[:-1]:
        body = body.setdefault(step, {})
    body[steps[-1]] = value


# --- from the vendor --------------------------------------------------------------------------------------------------


def decode(model: type[BaseModel], body: Mapping[str, Any]) -> dict[str, Any]:
    """A response object as canonical values. Absent, null and "" are alike: the declared default, or nothing.

    So are 30, 30.0 and "30", and 1 and true. An integer with no word for it becomes the text `unknown(7)`, never an exception: vendors
    add values.
    """
    return _decode(shape(model), body)


def _decode(form: Shape, body: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for field in form.fields:
        value = _read(field, body)
        if value is not ABSENT and value is not None:
            values[field.key] = value
    return values


def _read(field: Field, body: Mapping[str, Any]) -> Any:
    for steps, constant in field.also:
        if (number(_get(body, steps)) or 0) != constant:
            return ABSENT
    if field.nested and not field.steps:
        found = _decode(field.nested, body)
        return found if found or field.required else field.default
    if not field.wire:
        return field.absent
    raw = _get(body, field.steps)
    if raw is None or raw == "" or raw == []:
        return field.absent
    if field.nested:
        if field.many:
            return [_decode(field.nested, item) for item in raw if isinstance(item, Mapping)] if isinstance(raw, list) else ABSENT
        return _decode(field.nested, raw) if isinstance(raw, Mapping) else ABSENT
    if field.scalar and type(raw) is not field.scalar:
        raw = _spelled(raw, field.scalar)
    if field.wire.load:
        return field.wire.load(raw)
    if field.wire.words:
        return [_word(field, number) for number in raw] if isinstance(raw, list) else _word(field, raw)
    return raw


def _word(field: Field, raw: Any) -> str:
    told = number(raw)
    return (field.words.get(told) if isinstance(told, int) else None) or f"unknown({raw})"


_NUMBER = re.compile(r"[-+]?[0-9]{1,19}(\.[0-9]{1,19})?")
_TRUTH = {0: False, 1: True, "false": False, "true": True}


def number(raw: Any) -> Any:
    """A vendor's number, however it is spelled: 30.0 and "30" are 30. What is no number stays as it is."""
    if type(raw) is int:
        return raw
    if isinstance(raw, str) and (found := _NUMBER.fullmatch(raw)):
        raw = float(raw) if found[1] else int(raw)
    return int(raw) if isinstance(raw, float) and raw.is_integer() else raw


def _spelled(raw: Any, scalar: type) -> Any:
    """`raw` as a value of the declared type, where it is one."""
    if isinstance(raw, Mapping | list):
        return raw
    if scalar is str:
        return str(raw) if isinstance(raw, int | float) and not isinstance(raw, bool) else raw
    told = number(raw)
    return _TRUTH.get(told.lower() if isinstance(told, str) else told, raw) if scalar is bool else told


def _get(body: Mapping[str, Any], steps: tuple[str, ...]) -> Any:
    found: Any = body
    for step in steps:
        if type(found) is not dict and not isinstance(found, Mapping):
            return None
        found = found.get(step)
    return found
