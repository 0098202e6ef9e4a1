"""The JSON Schema of manifests in specs/ is what `reconciler schema` prints today; `make schemas` writes it."""

from __future__ import annotations

import json
from pathlib import Path

from reconciler import schema
from reconciler.kinds import Registry

PUBLISHED = Path(__file__).parents[2] / "specs" / "manifest.schema.json"


def test_the_published_schema_is_in_step() -> None:
    assert json.loads(PUBLISHED.read_text(encoding="utf-8")) == json.loads(json.dumps(schema.of_manifests(Registry())))
