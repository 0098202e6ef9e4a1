"""Saved plans: signed with the ledger's key when written, and checked against a new look at the vendors before they are applied."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from reconciler.cli._context import Scene, Wish
from reconciler.engine import Engine
from reconciler.errors import ReconcilerError, Stale
from reconciler.model import Action, Plan
from reconciler.render import json as documents
from reconciler.render.look import rfc3339

LIMIT = 64 * 1024 * 1024
_DONE_BY_APPLY = frozenset({"create", "update", "replace", "delete", "start", "stop", "adopt", "forget"})


def signed(document: Mapping[str, Any], key: bytes) -> dict[str, Any]:
    """The document with a keyed digest of everything in it."""
    return {**document, "signature": _signature(document, key)}


def _signature(document: Mapping[str, Any], key: bytes) -> str:
    body = {name: value for name, value in document.items() if name != "signature"}
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def read(path: Path) -> dict[str, Any] | None:
    """The plan document in a file; None when the file is something else, such as a manifest."""
    try:
        if not path.is_file() or path.stat().st_size > LIMIT:
            return None
        with path.open("rb") as file:
            if not file.read(64).lstrip().startswith(b"{"):
                return None
            file.seek(0)
            found = json.load(file)
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and "format_version" in found and "plan_id" in found else None


def wish_of(
    document: Mapping[str, Any], *, allow_on_air: tuple[str, ...], allow_delete: int | None, wait: bool, allow_recreate: bool = False
) -> Wish:
    """What the plan was asked for, and what apply's flags allow besides."""
    kept = document.get("selection") or {}
    try:
        return Wish(
            path=str(kept.get("path", ".")),
            targets=tuple(map(str, kept.get("targets", ()))),
            excludes=tuple(map(str, kept.get("excludes", ()))),
            selector=tuple(map(str, kept.get("selector", ()))),
            destroy=bool(kept.get("destroy", False)),
            prune=bool(kept.get("prune", True)),
            allow_on_air=(*map(str, kept.get("allow_on_air", ())), *allow_on_air),
            allow_delete=allow_delete if allow_delete is not None else kept.get("allow_delete"),
            allow_recreate=allow_recreate or bool(kept.get("allow_recreate", False)),
            wait=wait,
        )
    except (AttributeError, TypeError):
        raise _stale("its selection cannot be read") from None


def checked(document: Mapping[str, Any], scene: Scene, engine: Engine, wish: Wish) -> Plan:
    """The plan to carry out: made anew, and equal in everything it touches to the one that was saved. Raises Stale."""
    ledger = scene.ledger(create=True)
    if document.get("lineage") != ledger.lineage or document.get("workspace") != scene.project.workspace:
        raise _stale("it was made for another workspace, or with another ledger")
    if not hmac.compare_digest(str(document.get("signature", "")).encode(errors="replace"), _signature(document, ledger.key).encode()):
        raise _stale("it was changed after it was saved, or was never saved with --out or -o json")
    try:
        saved = documents.read_plan(document)
    except ValueError as wrong:
        raise _stale(str(wrong)) from None
    if any(run.get("plan") == saved.id for run in ledger.history(1000)):
        raise _stale("it was used already; see reconciler history")
    if saved.valid_until and scene.clock.now() >= saved.valid_until:
        raise _stale(_crossed(saved, scene.clock.now()))
    if saved.environment != scene.project.environment:
        raise _stale(f"it was made for environment {saved.environment or '(none)'}, this is {scene.project.environment or '(none)'}")
    if saved.manifests_digest != engine.wanted.digest:
        raise _stale("the manifests changed since")
    fresh = scene.plan(engine, wish)
    now = {(str(one.address), one.observed.id if one.observed else ""): one for one in fresh.changes}
    kept = []
    for before in document["changes"]:
        if before["action"] not in _DONE_BY_APPLY:
            continue
        after = now.get((before["address"], before["id"]))
        if after is None or _meaning(documents.change(after)) != _meaning(before):
            raise _stale(f"what is live of {before['address']} changed since")
        kept.append(after)
    blocked = [one for one in fresh.changes if one.action is Action.BLOCKED and str(one.address) in _blocked(document)]
    return replace(fresh, id=saved.id, changes=(*blocked, *kept), valid_until=saved.valid_until)


def _blocked(document: Mapping[str, Any]) -> set[str]:
    return {one["address"] for one in document["changes"] if one["action"] == "blocked"}


def _meaning(change: Mapping[str, Any]) -> tuple[Any, ...]:
    """What must be the same: the live state that is touched, and what will be done to it."""
    return tuple(change[name] for name in ("action", "account", "fingerprint", "window", "fields", "after"))


def _crossed(saved: Plan, now: datetime) -> str:
    crossed = [one for one in saved.changes if one.boundary and one.boundary <= now and one.changes]
    names = ", ".join(str(one.address) for one in crossed[:3])
    until = rfc3339(saved.valid_until) if saved.valid_until else ""
    return f"it was valid until {until}" + (f"; since then a time of {names} has come" if names else "")


def _stale(why: str) -> ReconcilerError:
    return Stale(f"this plan is stale: {why}", next_step="reconciler plan --out plan.json")
