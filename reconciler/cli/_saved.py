"""Saved plans: signed with the ledger's key when written, and checked against a new look at the vendors before they are applied.

Whose ledger must have signed it is said by where the operator stands, or by -C. Only where that is no project is the plan asked.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import shlex
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from reconciler.cli._context import Scene
from reconciler.cli._session import Session
from reconciler.cli._wish import Wish
from reconciler.engine import Engine
from reconciler.errors import Stale, UsageError
from reconciler.ledger import Ledger
from reconciler.model import ACTING, Action, Plan
from reconciler.project import FOLDER, NAME, Project, root_of
from reconciler.render import json as documents
from reconciler.render.look import rfc3339

LIMIT = 64 * 1024 * 1024


def signed(document: Mapping[str, Any], key: bytes) -> dict[str, Any]:
    """The document with a keyed digest of everything in it."""
    return {**document, "signature": _signature(document, key)}


def _signature(document: Mapping[str, Any], key: bytes) -> str:
    body = {name: value for name, value in document.items() if name != "signature"}
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def read(path: Path) -> Saved | None:
    """The plan in a file; None when the file is something else, such as a manifest. Raises UsageError for one never written, or in part."""
    try:
        if not path.is_file() or path.stat().st_size > LIMIT:
            return None
        if path.suffix == ".json" and not path.stat().st_size:
            raise UsageError(f"{path} is empty: no plan was saved there", next_step="reconciler plan --out plan.json")
        with path.open("rb") as file:
            if not file.read(64).lstrip().startswith(b"{"):
                return None
            file.seek(0)
            found = json.load(file)
    except (OSError, ValueError, RecursionError) as wrong:
        if path.suffix == ".json" and isinstance(wrong, json.JSONDecodeError):
            raise UsageError(
                f"{path} is no whole plan: it was cut short, or changed", next_step="reconciler plan --out plan.json"
            ) from None
        return None
    return Saved(path, found) if isinstance(found, dict) and "format_version" in found and "plan_id" in found else None


class Saved:
    """A plan as it stands in its file: nothing of it is believed before its seal was checked."""

    def __init__(self, path: Path, document: dict[str, Any]) -> None:
        self.path = path
        self.document = document

    @property
    def environment(self) -> str:
        return str(self.document.get("environment", ""))

    @property
    def zone(self) -> str:
        """The display zone of its project."""
        return str((self.document.get("selection") or {}).get("zone") or "UTC")

    def home(self, run: Session) -> str:
        """The operator's project: a plan must not bring its own. Who stands in none takes the one that the plan was made for."""
        here = root_of(Path())
        if run.given.directory or (here / NAME).exists() or (here / FOLDER).exists():
            return "."
        told = str((self.document.get("selection") or {}).get("project") or ".")
        return told if Path(told).is_dir() else "."

    def scene(self, run: Session, *, allow_env: tuple[str, ...]) -> Scene:
        """The operator's project, in the plan's environment unless -e names one. Raises Stale where there is no such environment."""
        named = run.given.environment
        run.given.environment = named or self.environment
        try:
            return Scene(run, self.home(run), allow_env=allow_env)
        except UsageError as wrong:
            if named:
                raise
            raise self.stale(f"{wrong.message}; -C DIR names another project") from None

    def wish(self, root: Path, flags: Wish) -> Wish:
        """What the plan was asked for in the project at `root`, and what apply's own flags allow besides. Raises Stale."""
        try:
            return Wish.read(self.document.get("selection") or {}, root, flags)
        except (AttributeError, TypeError):
            raise self.stale("its selection cannot be read") from None

    def sealed(self, ledger: Ledger) -> bool | None:
        """Whether everything in it is as it was saved; None where `ledger` is not the one that sealed it."""
        if not ledger.lineage or self.document.get("lineage") != ledger.lineage:
            return None
        told = str(self.document.get("signature", "")).encode(errors="replace")
        return hmac.compare_digest(told, _signature(self.document, ledger.key).encode())

    def believed(self, ledger: Ledger, project: Project) -> None:
        """Raises Stale unless it is, to the letter, what was saved with the ledger of the project that the operator named."""
        sealed = self.sealed(ledger)
        if sealed is None or self.document.get("workspace") != project.workspace:
            raise self.stale(
                f'the ledger of {project.root}, workspace "{project.workspace}", did not seal it; -C DIR names another project'
            )
        if not sealed:
            raise self.stale("it was changed after it was saved, or was never saved with --out or -o json")

    def checked(self, scene: Scene, engine: Engine, wish: Wish) -> Plan:
        """The plan to carry out: made anew, and equal in everything it touches to the one that was saved. Raises Stale."""
        ledger = scene.ledger(create=True)
        self.believed(ledger, scene.project)
        try:
            saved = documents.read_plan(self.document)
        except ValueError as wrong:
            raise self.stale(str(wrong)) from None
        if any(run.get("plan") == saved.id for run in ledger.history(1000)):
            raise self.stale("it was used already; see reconciler history")
        if saved.valid_until and scene.clock.now() >= saved.valid_until:
            raise self.stale(_crossed(saved, scene.clock.now()))
        if saved.environment != scene.project.environment:
            made_for, here = saved.environment or "(none)", scene.project.environment or "(none)"
            raise self.stale(f"it was made for environment {made_for}, this is {here}")
        if saved.manifests_digest != engine.wanted.digest:
            raise self.stale("the manifests changed since")
        fresh = scene.plan(engine, wish)
        now = {(str(one.address), one.observed.id if one.observed else ""): one for one in fresh.changes}
        kept = []
        for before in self.document["changes"]:
            if before["action"] not in ACTING:
                continue
            after = now.get((before["address"], before["id"]))
            if after is None or _meaning(documents.change(after)) != _meaning(before):
                raise self.stale(f"what is live of {before['address']} changed since")
            kept.append(after)
        held = {one["address"] for one in self.document["changes"] if one["action"] == "blocked"}
        blocked = [one for one in fresh.changes if one.action is Action.BLOCKED and str(one.address) in held]
        return replace(fresh, id=saved.id, changes=(*blocked, *kept), valid_until=saved.valid_until)

    def stale(self, why: str) -> Stale:
        return Stale(f"this plan is stale: {why}", next_step=f"reconciler plan --out {shlex.quote(str(self.path))}")


def _meaning(change: Mapping[str, Any]) -> tuple[Any, ...]:
    """What must be the same: the live state that is touched, and what will be done to it."""
    return tuple(change[name] for name in ("action", "account", "fingerprint", "window", "fields", "after"))


def _crossed(saved: Plan, now: datetime) -> str:
    crossed = [one for one in saved.changes if one.boundary and one.boundary <= now and one.changes]
    names = ", ".join(str(one.address) for one in crossed[:3])
    until = rfc3339(saved.valid_until) if saved.valid_until else ""
    return f"it was valid until {until}" + (f"; since then a time of {names} has come" if names else "")
