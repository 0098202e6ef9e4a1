"""JSON Schema of manifests and of reconciler.yaml, for editors: made from the spec models that also validate.

A subset of draft-07 that YAML language servers know: definitions, if/then on `kind`, no formats that they disagree on.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from reconciler import schedule
from reconciler.fields import HARMLESS, REPLACE, Doc, Wire
from reconciler.manifest import API_VERSION, LABEL, LABEL_VALUE, NAME
from reconciler.mistakes import models_in
from reconciler.model import Kind, OnAirChange

DRAFT = "http://json-schema.org/draft-07/schema#"
Schema = dict[str, Any]

_VARIABLE: Schema = {"type": "string", "pattern": r"\$\{var:[^}]+\}", "description": "a text with a variable in it"}
_NARROWED = frozenset({"enum", "const", "pattern", "format", "minLength", "maxLength"})
_LENGTH: Schema = {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^([0-9]+[dhms])+$"}]}


def of_manifests(kinds: Iterable[Kind]) -> Schema:
    """One schema for every kind of document."""
    chosen = list(kinds)
    definitions: dict[str, Schema] = {"variable": _VARIABLE}
    branches = []
    for kind in chosen:
        definitions.update(_definitions(kind.spec, kind.name))
        branches.append({"if": {"properties": {"kind": {"const": kind.name}}, "required": ["kind"]}, "then": _branch(kind)})
    return {
        "$schema": DRAFT,
        "title": "manifest of reconciler",
        "type": "object",
        "properties": {**_envelope(), "kind": {"enum": [kind.name for kind in chosen], "description": _kinds_text(chosen)}},
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "additionalProperties": False,
        "allOf": branches,
        "definitions": definitions,
    }


def of_kind(kind: Kind) -> Schema:
    """The schema of documents of one kind."""
    branch = _branch(kind)
    properties = {**_envelope(), "kind": {"const": kind.name, "description": kind.summary}, **branch.pop("properties")}
    if kind.schedule == "none":
        del properties["schedule"]
    return {
        "$schema": DRAFT,
        "title": kind.name,
        "description": kind.summary,
        "type": "object",
        "properties": properties,
        "required": ["apiVersion", "kind", "metadata", *branch.get("required", []), "spec"],
        "additionalProperties": False,
        "definitions": {"variable": _VARIABLE, **_definitions(kind.spec, kind.name)},
    }


def of_project() -> Schema:
    """The schema of reconciler.yaml."""
    from reconciler.project import ProjectFile

    definitions = _definitions(ProjectFile, "project", variables=False)
    return {"$schema": DRAFT, "title": "reconciler.yaml", **definitions.pop("project.ProjectFile"), "definitions": definitions}


# --- the envelope -----------------------------------------------------------------------------------------------------


def _branch(kind: Kind) -> Schema:
    branch: Schema = {"properties": {"spec": {"$ref": f"#/definitions/{kind.name}.{kind.spec.__name__}"}}}
    if kind.schedule == "required":
        branch["required"] = ["schedule"]
    elif kind.schedule == "none":
        branch["not"] = {"required": ["schedule"]}
    return branch


def _kinds_text(kinds: Iterable[Kind]) -> str:
    return "; ".join(f"{kind.name}: {kind.summary}" if kind.summary else kind.name for kind in kinds)


def _block(description: str, required: tuple[str, ...] = (), **properties: Schema) -> Schema:
    block: Schema = {"type": "object", "description": description, "properties": properties, "additionalProperties": False}
    return {**block, "required": list(required)} if required else block


def _words(words: Iterable[str], description: str) -> Schema:
    listed = list(words)
    return {"enum": listed, "description": f"{description} Default: {listed[0]}.", "default": listed[0]}


def _envelope() -> dict[str, Schema]:
    return {
        "apiVersion": {"const": API_VERSION},
        "kind": {"type": "string"},
        "metadata": _metadata(),
        "schedule": _schedule(),
        "lifecycle": _lifecycle(),
        "spec": {"type": "object"},
    }


def _metadata() -> Schema:
    name = {"type": "string", "pattern": f"^{NAME.pattern}$"}
    return _block(
        "What the object is called.",
        ("name",),
        name={**name, "description": "Unique per kind and workspace: 1 to 63 of a-z, 0-9 and -. Address: Kind/name."},
        account={"type": "string", "description": "An account of reconciler.yaml. Default: default.", "default": "default"},
        labels={
            "type": "object",
            "description": "For selection and policies: names and texts.",
            "propertyNames": {"pattern": f"^{LABEL.pattern}$"},
            "additionalProperties": {"type": "string", "maxLength": LABEL_VALUE},
        },
        dependsOn={
            "type": "array",
            "description": "Addresses, Kind/name, that must be ready before this one is made.",
            "items": {"type": "string", "pattern": r"^[A-Z][A-Za-z0-9]*/[a-z0-9][-a-z0-9]*(@[0-9T:.+-]+)?$"},
            "uniqueItems": True,
        },
        renamedFrom={**name, "description": "The earlier name, so that a rename is no delete."},
    )


def _schedule() -> Schema:
    moment = {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}"}
    block = _block(
        "When the object is wanted: a start and exactly one of duration, end and until.",
        ("start",),
        zone={
            "type": "string",
            "description": "An IANA time zone; with it, times without an offset are local.",
            "examples": ["Asia/Shanghai"],
        },
        start={**moment, "description": "An instant with an offset, or a local date-time when the block names a zone."},
        duration={**_LENGTH, "description": "Elapsed time: seconds, or a text such as 90s, 20m, 2h30m, 1d."},
        end={**moment, "description": "An instant with an offset, or a local date-time when the block names a zone."},
        until={
            "type": "string",
            "pattern": r"^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?$",
            "description": "A time of day in the zone, like 15:00.",
        },
        dst=_block(
            "What a local time means when clocks change.",
            gap=_words(schedule.GAPS, "For a time that is left out: keep the old offset, drop the window, or refuse it."),
            fold=_words(schedule.FOLDS[:2], "For a time that comes twice."),
        ),
        horizon={**_LENGTH, "description": "Created this far ahead. Range: 1s to 90d. Default: 14d.", "default": "14d"},
        lead={**_LENGTH, "description": "Must exist this long before it starts. Default: 10m.", "default": "10m"},
        late={
            "enum": list(schedule.LATE),
            "description": "When the window has already begun: join it, skip it, or fail. Default: join.",
            "default": "join",
        },
    )
    return {**block, "oneOf": [{"required": [key]} for key in ("duration", "end", "until")]}


def _lifecycle() -> Schema:
    return _block(
        "How the object may be changed and removed.",
        protect={
            "type": "boolean",
            "description": "Block any plan that would delete or replace it, also after the manifest is removed. Default: false.",
            "default": False,
        },
        onAirChange=_words(OnAirChange, "A change that would touch it while on air: wait until its end, do it now, or fail the plan."),
        onEnd=_words(("leave", "restart"), "A session that the vendor ended inside its window."),
        deletionPolicy=_words(("delete", "retain"), "When the manifest is removed: delete the live object, or only forget it."),
        timeout={
            "anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": "^(?=.*[1-9])([0-9]+[dhms])+$"}],
            "description": "How long apply waits for the object to become ready. Range: from 1s. Default: per kind.",
        },
    )


# --- spec models ------------------------------------------------------------------------------------------------------


def _definitions(model: Any, prefix: str, *, variables: bool = True) -> dict[str, Schema]:
    """A model and every model below it as definitions named `Prefix.Model`."""
    made = model.model_json_schema(by_alias=True, ref_template=f"#/definitions/{prefix}.{{model}}")
    below = made.pop("$defs", {})
    below[model.__name__] = made
    by_name = {one.__name__: one for one in models_within(model)}
    return {f"{prefix}.{name}": _cleaned(schema, by_name.get(name), variables) for name, schema in below.items()}


def models_within(model: Any) -> list[Any]:
    """A model and every model below it, each once."""
    found: list[Any] = []
    waiting = [model]
    while waiting:
        here = waiting.pop(0)
        if here not in found:
            here.model_rebuild()
            found.append(here)
            waiting.extend(inner for field in here.model_fields.values() for inner in models_in(field.annotation))
    return found


def _cleaned(schema: Schema, model: Any, variables: bool) -> Schema:
    kept: Schema = _plain(schema, variables)
    if "properties" in kept and model is not None:
        by_key = {field.alias or name: field for name, field in model.model_fields.items()}
        for key, property in kept["properties"].items():
            if text := description(by_key[key]):
                kept["properties"][key] = {**property, "description": text} if "$ref" not in property else _described(property, text)
    return kept


def _described(reference: Schema, text: str) -> Schema:
    return {"allOf": [reference], "description": text}  # draft-07 ignores what stands beside a $ref


def _plain(schema: Any, variables: bool) -> Any:
    """A schema without pydantic's titles and nulls: an absent field is left out here, never null."""
    if isinstance(schema, list):
        return [_plain(item, variables) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: value for key, value in schema.items() if key != "title" or isinstance(value, dict)}
    if kept.get("default", 0) is None:
        del kept["default"]
    if "properties" in kept:
        kept["properties"] = {key: _plain(value, variables) for key, value in kept["properties"].items()}
        return kept
    for word in ("anyOf", "oneOf"):
        if word in kept:
            kept[word] = [option for option in kept[word] if option != {"type": "null"}]
            if len(kept[word]) == 1:
                kept = {**kept.pop(word)[0], **kept}
    kept = {key: value if key in ("enum", "const", "default", "examples") else _plain(value, variables) for key, value in kept.items()}
    if variables and kept.get("type", "string") == "string" and kept.keys() & _NARROWED:
        outer = {key: kept.pop(key) for key in ("description", "default") if key in kept}
        return {"anyOf": [kept, {"$ref": "#/definitions/variable"}], **outer}
    return kept


def description(field: Any) -> str:
    """What people should know of a field: meaning, unit, range, default, whether it changes in place, the vendor's own name."""
    doc = next((mark for mark in field.metadata if isinstance(mark, Doc)), None)
    wire = next((mark for mark in field.metadata if isinstance(mark, Wire)), None)
    parts = [_sentence(doc.text if doc else field.description or "")]
    if doc:
        parts += [f"Unit: {doc.unit}." if doc.unit else "", f"Range: {doc.limit}." if doc.limit else ""]
        parts.append(f"Default: {doc.default}." if doc.default else "")
    if any(mark is REPLACE for mark in field.metadata):
        parts.append("A change makes a new object.")
    elif wire:
        harmless = any(mark is HARMLESS for mark in field.metadata)
        parts.append("Changes in place" + (", also on air." if harmless else "."))
    parts.append(f"Vendor's field: {wire.name}." if wire else "")
    return " ".join(part for part in parts if part)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." if text else ""


__all__ = ["description", "models_within", "of_kind", "of_manifests", "of_project"]
