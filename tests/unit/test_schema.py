"""The schema that editors use agrees with the loader: on the language's own examples, and on mistakes."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from reconciler import schema, yamltree
from reconciler.kinds import Registry
from tests.manifest.world import HEAD, KINDS, pump, session

MADE = schema.of_manifests(KINDS)
REAL = schema.of_manifests(Registry())


def wrong(made: dict[str, Any], text: str) -> list[str]:
    (document,) = yamltree.documents(text.encode())
    return sorted(error.json_path for error in jsonschema.Draft7Validator(made).iter_errors(document.value))


RELAY = f"""{HEAD}kind: RelayTask
metadata: {{name: a, labels: {{team: news}}}}
schedule: {{start: 2026-12-01T08:00:00+08:00, duration: 2h}}
spec:
  title: 早间新闻
  source: {{url: http://pull.example.com/a}}
  destination: {{url: "rtmp://push.example.com/a?k=${{env:K}}"}}
  watermark: {{image: logo.png, x: 0.05, width: 0.12}}
"""

RIGHT = [
    ("pump", MADE, pump()),
    ("session without schedule", MADE, session()),
    ("variables in texts", MADE, pump(spec="  title: ${var:t}-longer than eight\n  group: ${var:GROUP}\n  layout: {mode: '${var:mode}'}\n")),
    ("either", MADE, pump(spec="  loop: forever\n")),
    ("relay", REAL, RELAY),
    ("files", REAL, RELAY.replace("{url: http://pull.example.com/a}", "{files: [{url: http://a/b.mp4, startOffset: 30s}], loop: forever, resume: elapsed}")),
]  # fmt: skip


@pytest.mark.parametrize(("made", "text"), [case[1:] for case in RIGHT], ids=[case[0] for case in RIGHT])
def test_what_is_right_is_accepted(made: dict[str, Any], text: str) -> None:
    assert wrong(made, text) == []


WRONG = [
    ("unknown key", MADE, pump(spec="  titel: a\n"), ["$.spec"]),
    ("unknown word", MADE, pump(spec="  layout: {mode: x}\n"), ["$.spec.layout.mode"]),
    ("number for text", MADE, pump(spec="  title: 12\n"), ["$.spec.title"]),
    ("null", MADE, pump().replace("{name: one}", "{name: 1}"), ["$.metadata.name"]),
    ("too large", MADE, pump(spec="  streams: [{user: a, index: 17}]\n"), ["$.spec.streams[0].index"]),
    ("missing", MADE, session().replace("room: r", ""), ["$.spec"]),
    ("schedule missing", MADE, HEAD + "kind: Pump\nmetadata: {name: a}\nspec: {url: http://a/b}\n", ["$"]),
    ("schedule where none belongs", MADE, HEAD + "kind: Cut\nmetadata: {name: a}\nschedule: {start: 2026-12-01T08:00Z, duration: 1}\nspec: {start: 2026-12-01T08:00:00Z}\n", ["$"]),
    ("two ends", MADE, pump().replace("duration: 1h", "duration: 1h, end: 2026-12-01T10:00Z"), ["$.schedule"]),
    ("series", MADE, pump().replace("duration: 1h", "duration: 1h, repeat: {freq: daily}"), ["$.schedule"]),
    ("kind", MADE, pump().replace("kind: Pump", "kind: Pumb"), ["$.kind"]),
    ("secret as text", MADE, pump(spec="  key: hunter2\n"), ["$.spec.key"]),
    ("lifecycle", MADE, pump(more="lifecycle: {onAirChange: never}\n"), ["$.lifecycle.onAirChange"]),
    ("relay URL", REAL, RELAY.replace("rtmp://", "file://"), ["$.spec.destination.url"]),
    ("relay title", REAL, RELAY.replace("早间新闻", "早" * 21), ["$.spec.title"]),
]  # fmt: skip


@pytest.mark.parametrize(("made", "text", "expected"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_what_is_wrong_is_refused_at_its_place(made: dict[str, Any], text: str, expected: list[str]) -> None:
    assert wrong(made, text) == expected


@pytest.mark.parametrize(
    "made", [MADE, REAL, schema.of_project(), *map(schema.of_kind, KINDS), *map(schema.of_kind, Registry())], ids=lambda made: made["title"]
)
def test_it_is_draft_07_and_every_reference_leads_somewhere(made: dict[str, Any]) -> None:
    jsonschema.Draft7Validator.check_schema(made)
    text = json.dumps(made)
    for newer in ("$defs", "prefixItems", "unevaluatedProperties", '"null"'):
        assert newer not in text
    for reference in set(_references(made)):
        assert reference.removeprefix("#/definitions/") in made["definitions"]


def _references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if "$ref" in node else []
        return [*own, *(found for value in node.values() for found in _references(value))]
    return [found for value in node for found in _references(value)] if isinstance(node, list) else []


def test_a_description_tells_what_people_need() -> None:
    spec = MADE["definitions"]["Pump.PumpSpec"]["properties"]
    assert spec["title"]["description"] == "The name. Range: 1 to 8 characters. Changes in place, also on air. Vendor's field: Title."
    assert spec["group"]["description"] == "The group. Default: default. A change makes a new object. Vendor's field: Group."
    assert spec["gap"]["description"] == "A pause. Unit: s. Changes in place. Vendor's field: Gap."


def test_one_kind_alone() -> None:
    made = schema.of_kind(KINDS.known["Pump"])
    assert wrong(made, pump()) == []
    assert wrong(made, session()) == ["$", "$.kind", "$.spec", "$.spec"]
    assert "schedule" not in schema.of_kind(KINDS.known["Cut"])["properties"]


def test_the_project_file() -> None:
    made = schema.of_project()
    assert (
        wrong(made, "workspace: a\nguards: {maxDelete: 30%, minLead: 60s}\nenvironments: {b: {zone: UTC}}\nvariables: {a: 1, b: c}\n") == []
    )
    assert wrong(made, "workspaec: a\nguards: {maxDelete: many}\nenvironments: {b: {environments: {}}}\n") == [
        "$",
        "$.environments.b",
        "$.guards.maxDelete",
    ]
