"""JSON Schemas (draft 2020-12) of what `-o json` prints, as data. `python -m reconciler.render.schemas specs/` writes them down.

Consumers must ignore keys that they don't know: a minor `format_version` only adds.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from reconciler.model import Action, Evidence, OnAirChange, Outcome, Phase, Presence, Severity, Stage
from reconciler.render.look import STATUS

Schema = dict[str, Any]

_DRAFT = "https://json-schema.org/draft/2020-12/schema"


def _text(description: str = "") -> Schema:
    return {"type": "string"} | ({"description": description} if description else {})


def _words(values: Any, description: str = "") -> Schema:
    return {"enum": [one.value for one in values]} | ({"description": description} if description else {})


def _list(items: Schema, description: str = "") -> Schema:
    return {"type": "array", "items": items} | ({"description": description} if description else {})


def _object(properties: dict[str, Schema], description: str = "", *, optional: tuple[str, ...] = ()) -> Schema:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required} | ({"description": description} if description else {})


def _or_null(schema: Schema, description: str = "") -> Schema:
    return {"anyOf": [schema, {"type": "null"}]} | ({"description": description} if description else {})


_INSTANT: Schema = {"type": "string", "format": "date-time", "pattern": "Z$"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_SECONDS: Schema = {"type": "number", "minimum": 0}
_FLAG: Schema = {"type": "boolean"}
_WINDOW = _object({"start": _INSTANT, "end": _or_null(_INSTANT)}, "half open: [start, end); an end of null is open")
_PLACE = _object(
    {
        "file": _text("relative to the project"),
        "line": {"type": "integer", "minimum": 1},
        "column": {"type": "integer", "minimum": 1},
        "length": {"type": "integer", "minimum": 0},
    }
)
_ADDRESS = {
    "type": "string",
    "pattern": "^[A-Z][A-Za-z0-9]*/[a-z0-9]([-a-z0-9]*[a-z0-9])?(@[0-9T:.+-]+)?$",
    "description": "Kind/name, or Kind/name@2026-12-01T08:00 for one occurrence of a series",
}
_TREE = _object(
    {"spec": {"type": "object"}, "schedule": _WINDOW},
    "canonical values under manifest names; a secret is what may be shown of it, a picture `sha256:<hex> (<n> bytes)`",
    optional=("schedule",),
)
_DIAGNOSTIC = _object(
    {
        "severity": _words(Severity),
        "code": _text("a rule that `reconciler explain` knows"),
        "message": _text(),
        "address": _text(),
        "path": _text("manifest path, like spec.title"),
        "place": _or_null({"$ref": "#/$defs/place"}),
        "help": _text(),
        "related": _list(_object({"place": _or_null({"$ref": "#/$defs/place"}), "message": _text()})),
    }
)
_FIELD = _object(
    {
        "path": _text("manifest path, like spec.callbackUrl or schedule.end"),
        "before": {"description": "null where absent; a secret as what may be shown of it"},
        "after": {},
        "before_key": _text("fingerprint of a secret: the first hex digits of its keyed digest"),
        "after_key": _text(),
        "replace": {"type": "boolean", "description": "cannot be changed in place"},
        "evidence": _words(Evidence),
    },
    optional=("before_key", "after_key"),
)
_CHANGE = _object(
    {
        "address": _ADDRESS,
        "kind": _text(),
        "name": _text(),
        "occurrence": _text("original local start of an occurrence; empty for a single object"),
        "source": _or_null(_object({"file": _text(), "line": {"type": "integer", "minimum": 1}}), "null: in no manifest"),
        "action": _words(Action),
        "wanted": _or_null(_words(Action), "the action behind a blocked or waiting change"),
        "reason": _text(),
        "needs": _text("what a person must do about a blocked change"),
        "account": _text(),
        "id": _text("the vendor's id of the live object; empty where there is none"),
        "phase": _or_null(_words(Phase)),
        "stage": _words(Stage),
        "window": _or_null(_WINDOW, "when it is wanted"),
        "live_window": _or_null(_WINDOW, "what the vendor says"),
        "boundary": _or_null(_INSTANT, "the next instant at which this decision changes by itself"),
        "on_air": _FLAG,
        "off_air_seconds": _SECONDS,
        "before": _or_null(_TREE, "null for a create"),
        "after": _or_null(_TREE, "null for a delete"),
        "changed_paths": _list(_text()),
        "replace_paths": _list(_text()),
        "sensitive_paths": _list(_text()),
        "fields": _list(_FIELD),
        "evidence": _words(Evidence, "the weakest thing the comparison rests on"),
        "warnings": _list(_text()),
        "unsettled": {"type": "boolean", "description": "the result of an earlier write is unknown"},
        "refused": {"type": "boolean", "description": "blocked by onAirChange: refuse"},
        "fingerprint": _text("of the live state that this change touches"),
    }
)
STATUS_KEYS = (
    *("address", "kind", "name", "occurrence", "source", "account", "id"),
    *("phase", "stage", "window", "live_window", "on_air", "reason"),
)
"""What `get` tells of an object as a plan does."""
_SUMMARY = _object(dict.fromkeys(("create", "update", "replace", "delete", "forget", "adopt", "unchanged", "blocked", "waiting"), _COUNT))
_ERROR = _object(
    {
        "type": _text(),
        "message": _text(),
        "reasons": _list(_text()),
        "code": _text("the vendor's code"),
        "request_id": _text(),
        "next": _text("the command that helps"),
        "exit_code": {"type": "integer"},
    }
)
_RESULT = {
    "address": _ADDRESS,
    "action": _words(Action),
    "outcome": _words(Outcome),
    "message": _text(),
    "code": _text("the vendor's code"),
    "request_id": _text(),
    "id": _text("the vendor's id of the object"),
    "seconds": _SECONDS,
    "next": _text(),
}
_DEFS = {"place": _PLACE, "diagnostic": _DIAGNOSTIC}
_VERSION = {"type": "string", "pattern": r"^1\.[0-9]+$"}

PLAN: Schema = {
    "$schema": _DRAFT,
    "$id": "https://broadcast.reconciler/schemas/plan.schema.json",
    "title": "Plan",
    **_object(
        {
            "format_version": _VERSION,
            "plan_id": _text(),
            "workspace": _text(),
            "environment": _text(),
            "generated_at": _INSTANT,
            "valid_until": _or_null(_INSTANT),
            "lineage": _text("of the ledger the plan was made with"),
            "serial": _COUNT,
            "live_digest": _text(),
            "manifests_digest": _text(),
            "tzdata": _text("version of the time zone database"),
            "selection": {"type": "object", "description": "what the run was asked for"},
            "files": _COUNT,
            "live_counts": {"type": "object", "additionalProperties": _COUNT},
            "changes": _list({"$ref": "#/$defs/change"}, "in the order of danger"),
            "drift": _list({"$ref": "#/$defs/change"}),
            "conflicts": _list(
                _object(
                    {
                        "type": {"enum": ["hard", "tight", "shadow", "foreign"]},
                        "claim": _text(),
                        "addresses": _list(_text()),
                        "message": _text(),
                        "places": _list({"$ref": "#/$defs/place"}),
                        "window": _or_null(_WINDOW),
                    }
                )
            ),
            "strangers": _list(
                _object(
                    {
                        "kind": _text(),
                        "id": _text(),
                        "title": _text(),
                        "account": _text(),
                        "stage": _words(Stage),
                        "window": _or_null(_WINDOW),
                        "ours": {
                            "type": "boolean",
                            "description": "carries our mark; a mark whose name is lost with manifest and ledger cannot be told",
                        },
                    }
                ),
                "live objects of nobody declared here",
            ),
            "summary": _SUMMARY,
            "diagnostics": _list({"$ref": "#/$defs/diagnostic"}),
            "signature": _text("keyed digest of everything else, where the plan was saved for apply"),
        },
        optional=("signature",),
    ),
    "$defs": _DEFS | {"change": _CHANGE},
}


def _line(type: str, properties: dict[str, Schema], *, optional: tuple[str, ...] = ()) -> Schema:
    return _object({"type": {"const": type}, "at": _INSTANT, **properties}, optional=optional)


_EVENT = {"address": _or_null(_ADDRESS), "action": _text(), "message": _text()}
_ENDED = {name: schema for name, schema in _RESULT.items() if name not in _EVENT}

APPLY_STREAM: Schema = {
    "$schema": _DRAFT,
    "$id": "https://broadcast.reconciler/schemas/apply-stream.schema.json",
    "title": "One line of `apply -o json`",
    "description": "The first line is `version`, the last one always `change_summary`.",
    "oneOf": [
        _line("version", {"format_version": _VERSION, "reconciler": _text()}),
        _line("planned_change", {"plan_id": _text(), "change": {"$ref": "#/$defs/change"}}),
        _line("apply_start", _EVENT),
        _line("apply_progress", _EVENT | {"progress": _or_null({"type": "number", "minimum": 0, "maximum": 1})}),
        _line("apply_complete", _EVENT | _ENDED),
        _line("apply_errored", _EVENT | _ENDED),
        _line("apply_unknown", _EVENT | _ENDED),
        _object({"type": {"const": "diagnostic"}, "at": _INSTANT, "severity": _words(Severity), "code": _text(), "message": _text()}),
        _line(
            "change_summary",
            {
                "plan_id": _or_null(_text()),
                "run_id": _or_null(_text()),
                "done": _COUNT,
                "failed": _COUNT,
                "unknown": _COUNT,
                "not_started": _COUNT,
                "blocked": _COUNT,
                "waiting": _COUNT,
                "actions": {"type": "object", "additionalProperties": _COUNT},
                "results": _list(_object(_RESULT)),
                "interrupted": _FLAG,
                "seconds": _SECONDS,
                "exit_code": {"type": "integer"},
            },
        ),
    ],
    "$defs": _DEFS | {"change": _CHANGE},
}

VALIDATION: Schema = {
    "$schema": _DRAFT,
    "$id": "https://broadcast.reconciler/schemas/validation.schema.json",
    "title": "What `validate -o json` prints",
    **_object(
        {
            "format_version": _VERSION,
            "valid": _FLAG,
            "resources": _COUNT,
            "files": _COUNT,
            "errors": _COUNT,
            "warnings": _COUNT,
            "diagnostics": _list({"$ref": "#/$defs/diagnostic"}),
        }
    ),
    "$defs": _DEFS,
}

ERROR: Schema = {
    "$schema": _DRAFT,
    "$id": "https://broadcast.reconciler/schemas/error.schema.json",
    "title": "What a failed command prints in JSON mode",
    **_object({"format_version": _VERSION, "error": _ERROR, "diagnostics": _list({"$ref": "#/$defs/diagnostic"})}),
    "$defs": _DEFS,
}

_ENTRY = {
    "address": _ADDRESS,
    "account": _text(),
    "id": _text("the vendor's"),
    "identity": _text("by which the object is found again without its id"),
    "incarnation": {"type": "integer", "minimum": 1, "description": "counts the objects that the address has had"},
    "replaces": _or_null(_text(), "the id of the object that is kept until this one is ready"),
    "window": _or_null(_WINDOW),
    "started": _or_null(_INSTANT),
    "changed": _or_null(_INSTANT, "when the vendor last confirmed it"),
    "ended": _FLAG,
    "protect": _FLAG,
    "retain": _FLAG,
    "on_air_change": _words(OnAirChange),
    "depends_on": _list(_ADDRESS),
    "applied": _or_null(
        {"type": "object"}, "what was last applied, canonical values under manifest names; a secret as what may be shown of it"
    ),
}


def _printed(name: str, title: str, properties: dict[str, Schema], *, defs: Schema | None = None) -> Schema:
    return {
        "$schema": _DRAFT,
        "$id": f"https://broadcast.reconciler/schemas/{name}.schema.json",
        "title": f"What `{title} -o json` prints",
        **_object({"format_version": _VERSION, **properties}),
    } | ({"$defs": defs} if defs else {})


STATUS_OF_ALL = _printed(
    "get",
    "get",
    {
        "at": _INSTANT,
        "objects": _list(
            _object(
                {name: _CHANGE["properties"][name] for name in STATUS_KEYS}
                | {
                    "presence": _words(Presence),
                    "status": {"enum": sorted(set(STATUS.values()))},
                    "progress": _or_null({"type": "number", "minimum": 0, "maximum": 1}, "of what is being made"),
                    "seconds_to_boundary": _or_null(_SECONDS, "until the window begins or, once it has, until it ends"),
                    "upcoming": _FLAG,
                    "live": _or_null(_TREE, "null where nothing is live"),
                    "declared": _or_null(_TREE, "null where nothing is declared"),
                }
            )
        ),
    },
)

REFRESH = _printed(
    "refresh",
    "refresh",
    {
        "settled": _list(
            _object({"address": _ADDRESS, "known": _FLAG, "message": _text()}), "what became of writes whose result was unknown"
        ),
        "changes": _list({"$ref": "#/$defs/change"}, "where everything stands, in the order of danger"),
    },
    defs={"change": _CHANGE},
)

STATE = _printed(
    "state",
    "state list",
    {
        "workspace": _text(),
        "lineage": _text("of the ledger; empty where there is none yet"),
        "serial": _COUNT,
        "entries": _list(_object(_ENTRY)),
        "unsettled": _list(
            _object({"address": _ADDRESS, "action": _text("the vendor's"), "sent": _INSTANT, "horizon": _INSTANT}),
            "writes whose result is unknown; what is not seen by `horizon` was not done",
        ),
    },
)

ENTRY = _printed("state-entry", "state show", _ENTRY)

HISTORY = _printed(
    "history",
    "history",
    {
        "runs": _list(
            _object(
                {
                    "run": _text(),
                    "at": {"type": "string", "format": "date-time"},
                    "who": _text("user, machine and process"),
                    "plan": _text("its plan_id"),
                    "exit": {"type": "integer"},
                    "results": _list(
                        _object({name: _RESULT[name] for name in ("address", "action", "outcome", "message", "id", "request_id")})
                    ),
                }
            ),
            "newest first",
        )
    },
)

DOCTOR = _printed(
    "doctor",
    "doctor",
    {
        "ok": _FLAG,
        "exit_code": {"type": "integer"},
        "checks": _list(
            _object(
                {
                    "name": _text(),
                    "status": {"enum": ["ok", "warn", "fail"]},
                    "detail": _text(),
                    "next": _text("a line for a shell; empty where there is nothing to do"),
                }
            )
        ),
    },
)

FILES = {
    "plan.schema.json": PLAN,
    "apply-stream.schema.json": APPLY_STREAM,
    "validation.schema.json": VALIDATION,
    "error.schema.json": ERROR,
    "get.schema.json": STATUS_OF_ALL,
    "refresh.schema.json": REFRESH,
    "state.schema.json": STATE,
    "state-entry.schema.json": ENTRY,
    "history.schema.json": HISTORY,
    "doctor.schema.json": DOCTOR,
}


_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


def misfit(value: Any, schema: Schema, defs: Schema, path: str = "") -> str:
    """The path at which a document is of another type than its schema says, or names another word; "" when it fits.

    Missing keys, bounds and patterns are not looked at.
    """
    schema = defs[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    if "anyOf" in schema:
        found = [misfit(value, one, defs, path) for one in schema["anyOf"]]
        return "" if "" in found else max(found, key=len)
    expected = schema.get("type")
    if expected and (not isinstance(value, _TYPES[expected]) or (isinstance(value, bool) and expected != "boolean")):
        return path or "the whole"
    if "enum" in schema and (not isinstance(value, str) or value not in schema["enum"]):
        return path
    if isinstance(value, list) and "items" in schema:
        return next(filter(None, (misfit(one, schema["items"], defs, f"{path}[{at}]") for at, one in enumerate(value))), "")
    if isinstance(value, dict):
        known, rest = schema.get("properties", {}), schema.get("additionalProperties", {})
        inside = (misfit(one, known.get(key, rest), defs, f"{path}.{key}".lstrip(".")) for key, one in value.items())
        return next(filter(None, inside), "")
    return ""


def text(schema: Schema) -> str:
    """The file of a schema."""
    return json.dumps(schema, indent=2, ensure_ascii=True) + "\n"


def write(folder: Path) -> None:
    for name, schema in FILES.items():
        (folder / name).write_text(text(schema), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
