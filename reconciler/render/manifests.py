"""Manifests after variables, environment and defaults, as plain data for YAML or JSON."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from reconciler import scalars
from reconciler.manifest import API_VERSION
from reconciler.model import Desired, Secret, Url


def rendered(want: Desired) -> dict[str, Any]:
    """One manifest; secrets as references, URLs masked."""
    metadata: dict[str, Any] = {"name": want.address.name, "account": want.account}
    if want.labels:
        metadata["labels"] = dict(want.labels)
    if want.depends_on:
        metadata["dependsOn"] = [str(address) for address in want.depends_on]
    if want.renamed_from:
        metadata["renamedFrom"] = want.renamed_from
    document: dict[str, Any] = {"apiVersion": API_VERSION, "kind": want.address.kind, "metadata": metadata}
    if timing := want.timing:
        document["schedule"] = {
            "start": _instant(timing.window.start),
            **({"end": _instant(timing.window.end)} if timing.window.end else {}),
            "horizon": scalars.duration_text(timing.horizon),
            "lead": scalars.duration_text(timing.lead),
            "late": timing.late.value,
        }
    lifecycle = want.lifecycle
    document["lifecycle"] = {
        "protect": lifecycle.protect,
        "onAirChange": lifecycle.on_air_change.value,
        "onEnd": "restart" if lifecycle.restart_on_end else "leave",
        "deletionPolicy": "retain" if lifecycle.retain else "delete",
        **({"timeout": scalars.duration_text(lifecycle.timeout)} if lifecycle.timeout is not None else {}),
    }
    document["spec"] = _rendered(want.values)
    return document


def _rendered(value: Any) -> Any:
    if isinstance(value, Url):
        return value.shown
    if isinstance(value, Secret):
        source, _, name = value.reference.partition(":")
        return {"fromFile" if source == "file" else "fromEnv": name}
    if isinstance(value, datetime):
        return _instant(value)
    if isinstance(value, Mapping):
        return {key: _rendered(item) for key, item in value.items()}
    return [_rendered(item) for item in value] if isinstance(value, list | tuple) else value


def _instant(when: datetime) -> str:
    return when.isoformat().replace("+00:00", "Z")
