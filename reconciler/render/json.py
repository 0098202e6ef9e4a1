"""Plans, apply streams and results as JSON documents: the published contract, `specs/*.schema.json`.

Keys are added, never renamed, within one major `format_version`. No secret passes: a secret leaf is what may be shown of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from enum import Enum
from typing import Any

from reconciler.errors import InvalidManifests, ReconcilerError, Stopped, VendorError
from reconciler.model import (
    Action,
    Address,
    Change,
    Conflict,
    Desired,
    Diagnostic,
    Entry,
    Event,
    Evidence,
    FieldChange,
    Need,
    Observed,
    Outcome,
    Phase,
    Place,
    Plan,
    Presence,
    Result,
    Sealed,
    Secret,
    Severity,
    Stage,
    Stranger,
    Timing,
    Values,
    Window,
)
from reconciler.render.look import brief, fingerprint, live_values, rfc3339

FORMAT_VERSION = "1.0"

Json = dict[str, Any]


def dump(document: Any) -> str:
    """A document for a file or a pipe, indented; ASCII only, so that no stream's encoding can spoil it."""
    return json.dumps(document, ensure_ascii=True, indent=2, allow_nan=False)


def line(document: Any) -> str:
    """The same on one line, for streams."""
    return json.dumps(document, ensure_ascii=True, separators=(",", ":"), allow_nan=False)


# --- plan -------------------------------------------------------------------------------------------------------------


def plan(made: Plan, *, selection: Mapping[str, Any] | None = None) -> Json:
    """The plan document: what `plan -o json` prints and `--out` saves. `selection` is what the run was asked for."""
    return {
        "format_version": FORMAT_VERSION,
        "plan_id": made.id,
        "workspace": made.workspace,
        "environment": made.environment,
        "generated_at": rfc3339(made.generated_at),
        "valid_until": _instant(made.valid_until),
        "lineage": made.lineage,
        "serial": made.serial,
        "live_digest": made.live_digest,
        "manifests_digest": made.manifests_digest,
        "tzdata": made.tzdata,
        "selection": plain(selection or {}),
        "files": made.files,
        "live_counts": dict(made.live_counts),
        "changes": [change(one) for one in made.changes],
        "drift": [change(one) for one in made.drift],
        "conflicts": [conflict(one) for one in made.conflicts],
        "strangers": [stranger(one) for one in made.strangers],
        "summary": made.summary,
        "diagnostics": [diagnostic(one) for one in made.diagnostics],
    }


def change(one: Change) -> Json:
    """One change. `before` is null for a create, `after` for a delete; both are trees under manifest names."""
    verb = one.wanted or one.action
    before = None if verb is Action.CREATE else _before(one)
    after = None if verb in (Action.DELETE, Action.FORGET) or one.desired is None else _side(one.desired.values, one.desired.window)
    document: Json = {
        "address": str(one.address),
        "kind": one.address.kind,
        "name": one.address.name,
        "occurrence": one.address.occurrence,
        "source": {"file": one.place.file, "line": one.place.line} if one.place else None,
        "action": one.action.value,
        "wanted": one.wanted.value if one.wanted else None,
        "reason": one.reason,
        "needs": str(one.needs or ""),
        "account": one.account,
        "id": one.observed.id if one.observed else "",
        "phase": one.phase.value if one.phase else None,
        "stage": one.stage.value,
        "window": window(one.desired.window if one.desired else one.entry.window if one.entry else None),
        "live_window": window(one.observed.window if one.observed else None),
        "boundary": _instant(one.boundary),
        "on_air": one.on_air,
        "off_air_seconds": one.off_air,
        "before": before,
        "after": after,
        "changed_paths": [field.path for field in one.fields],
        "replace_paths": [field.path for field in one.fields if field.replace],
        "sensitive_paths": _sensitive(one),
        "fields": [_field(field) for field in one.fields],
        "evidence": one.evidence.value,
        "warnings": list(one.warnings),
        "unsettled": one.unsettled,
        "refused": one.refused,
        "fingerprint": one.fingerprint,
    }
    return document


def _before(one: Change) -> Json | None:
    seen = one.observed
    if seen is None or seen.presence is Presence.ABSENT:
        return None
    return _side(live_values(one), seen.window or (one.entry.window if one.entry else None))


def _side(values: Values, span: Window | None) -> Json:
    tree: Json = {"spec": plain(values)}
    if span:
        tree["schedule"] = window(span)
    return tree


def _field(one: FieldChange) -> Json:
    document = {
        "path": one.path,
        "before": plain(one.before),
        "after": plain(one.after),
        "replace": one.replace,
        "evidence": one.evidence.value,
    }
    keys = {side: _keys(value) for side, value in (("before_key", one.before), ("after_key", one.after))}
    return document | {side: key for side, key in keys.items() if key is not None}


def _keys(value: Any) -> Any:
    """The fingerprint of a secret leaf: four hex digits of its keyed digest."""
    return fingerprint(value) if isinstance(value, Sealed) else None


def _sensitive(one: Change) -> list[str]:
    found = [field.path for field in one.fields if isinstance(field.before, Sealed | Secret) or isinstance(field.after, Sealed | Secret)]
    for values in (one.desired.values if one.desired else {}, one.observed.values if one.observed else {}):
        _secret_paths(values, "spec", found)
    return sorted(set(found))


def _secret_paths(value: Any, path: str, found: list[str]) -> None:
    if isinstance(value, Secret | Sealed):
        found.append(path)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            _secret_paths(item, f"{path}.{key}", found)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _secret_paths(item, f"{path}.{index}", found)


def conflict(one: Conflict) -> Json:
    return {
        "type": one.type,
        "claim": one.claim,
        "addresses": list(one.addresses),
        "message": one.message,
        "places": [place(where) for where in one.places],
        "window": window(one.window),
    }


def stranger(one: Stranger) -> Json:
    return {
        "kind": one.kind,
        "id": one.id,
        "title": one.title,
        "account": one.account,
        "stage": one.stage.value,
        "window": window(one.window),
        "ours": one.ours,
    }


def diagnostic(one: Diagnostic) -> Json:
    """The one shape of a diagnostic, in every document."""
    return {
        "severity": one.severity.value,
        "code": one.rule,
        "message": one.message,
        "address": one.address,
        "path": one.path,
        "place": place(one.place),
        "help": one.help,
        "related": [{"place": place(where), "message": text} for where, text in one.related],
    }


def place(where: Place | None) -> Json | None:
    return {"file": where.file, "line": where.line, "column": where.column, "length": where.length} if where else None


def window(span: Window | None) -> Json | None:
    return {"start": rfc3339(span.start), "end": _instant(span.end)} if span else None


def _instant(when: datetime | None) -> str | None:
    return rfc3339(when) if when else None


def plain(value: Any) -> Any:
    """A tree of JSON values; instants in RFC 3339, a secret as what may be shown of it, a picture as its digest."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str):
        return brief(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, Sealed | Secret):
        return value.shown
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return str(value)


# --- the way back, for `show` -----------------------------------------------------------------------------------------


def read_plan(document: Mapping[str, Any]) -> Plan:
    """A saved plan as a value that renders like the one it was made from. Raises ValueError when it is no plan of ours."""
    from reconciler.render import schemas

    try:
        if str(document["format_version"]).partition(".")[0] != FORMAT_VERSION.partition(".")[0]:
            raise ValueError(f"its format_version is {document['format_version']}, this program reads {FORMAT_VERSION}")
        if wrong := schemas.misfit(document, schemas.PLAN, schemas.PLAN["$defs"]):
            raise ValueError(f"{wrong} is not what belongs there")
        return Plan(
            id=str(document["plan_id"]),
            workspace=str(document["workspace"]),
            environment=str(document["environment"]),
            generated_at=_when(document["generated_at"]),
            valid_until=_when(document["valid_until"]) if document["valid_until"] else None,
            changes=tuple(_read_change(one) for one in document["changes"]),
            drift=tuple(_read_change(one) for one in document["drift"]),
            conflicts=tuple(
                Conflict(
                    type=one["type"],
                    claim=one["claim"],
                    addresses=tuple(one["addresses"]),
                    message=one["message"],
                    places=tuple(Place(**where) for where in one["places"]),
                    window=_read_window(one["window"]),
                )
                for one in document["conflicts"]
            ),
            diagnostics=tuple(read_diagnostic(one) for one in document["diagnostics"]),
            strangers=tuple(
                Stranger(
                    kind=one["kind"],
                    id=one["id"],
                    title=one["title"],
                    account=one["account"],
                    window=_read_window(one["window"]),
                    stage=Stage(one["stage"]),
                    ours=one["ours"],
                )
                for one in document.get("strangers", ())
            ),
            live_counts={str(key): int(value) for key, value in document.get("live_counts", {}).items()},
            live_digest=str(document["live_digest"]),
            manifests_digest=str(document.get("manifests_digest", "")),
            tzdata=str(document["tzdata"]),
            lineage=str(document.get("lineage", "")),
            serial=int(document.get("serial", 0)),
            files=int(document.get("files", 0)),
            unchanged=int(document["summary"]["unchanged"]) - sum(one["action"] == "noop" for one in document["changes"]),
        )
    except (KeyError, TypeError, AttributeError, OverflowError) as wrong:
        raise ValueError(f"it lacks, or has badly, {wrong}") from None


def read_diagnostic(one: Mapping[str, Any]) -> Diagnostic:
    return Diagnostic(
        severity=Severity(one["severity"]),
        rule=one["code"],
        message=one["message"],
        place=Place(**one["place"]) if one["place"] else None,
        address=one["address"],
        path=one["path"],
        help=one["help"],
        related=tuple((Place(**item["place"]), item["message"]) for item in one["related"] if item["place"]),
    )


def _read_change(one: Mapping[str, Any]) -> Change:
    address = Address(one["kind"], one["name"], one["occurrence"])
    where = Place(one["source"]["file"], one["source"]["line"]) if one["source"] else None
    wanted, live = _read_window(one["window"]), _read_window(one["live_window"])
    after, before = one["after"], one["before"]
    desired = None
    if where or after:
        values = _dated(after["spec"]) if after else {}
        desired = Desired(address, values, where or Place(""), timing=Timing(wanted) if wanted else None)
    return Change(
        address=address,
        action=Action(one["action"]),
        reason=one["reason"],
        wanted=Action(one["wanted"]) if one["wanted"] else None,
        account=one["account"],
        place=where,
        phase=Phase(one["phase"]) if one["phase"] else None,
        stage=Stage(one["stage"]),
        on_air=one["on_air"],
        off_air=float(one["off_air_seconds"]),
        fields=tuple(_read_field(field) for field in one["fields"]),
        evidence=Evidence(one["evidence"]),
        needs=Need(one["needs"]) if one["needs"] else None,
        warnings=tuple(one["warnings"]),
        boundary=_when(one["boundary"]) if one["boundary"] else None,
        fingerprint=one["fingerprint"],
        desired=desired,
        observed=Observed(
            address,
            Presence.LIVE if before else Presence.ABSENT,
            id=one["id"],
            values=_dated(before["spec"]) if before else {},
            window=live,
            stage=Stage(one["stage"]),
        ),
        entry=Entry(address, one["account"], one["id"], "", window=wanted) if wanted and desired is None else None,
        unsettled=one["unsettled"],
        refused=one["refused"],
    )


def _read_field(one: Mapping[str, Any]) -> FieldChange:
    before, after = _dated(one["before"]), _dated(one["after"])
    if "before_key" in one:
        before = Sealed(one["before_key"], str(before))
    if "after_key" in one:
        after = Sealed(one["after_key"], str(after))
    return FieldChange(one["path"], before, after, replace=one["replace"], evidence=Evidence(one["evidence"]))


def _read_window(one: Mapping[str, Any] | None) -> Window | None:
    return Window(_when(one["start"]), _when(one["end"]) if one["end"] else None) if one else None


def _when(text: str) -> datetime:
    when = datetime.fromisoformat(text)
    if when.tzinfo is None:
        raise ValueError(f"{text} names no offset")
    return when


def _dated(value: Any) -> Any:
    """Texts that are instants of ours become instants again."""
    if isinstance(value, str) and len(value) in (20, 24) and value[4:5] == "-" and value[10:11] == "T" and value[-1] == "Z":
        try:
            return _when(value)
        except ValueError:
            return value
    if isinstance(value, dict):
        return {key: _dated(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_dated(item) for item in value]
    return value


# --- validate, errors -------------------------------------------------------------------------------------------------


def validation(diagnostics: Sequence[Diagnostic], *, resources: int, files: int) -> Json:
    """What `validate -o json` prints."""
    errors = sum(one.severity is Severity.ERROR for one in diagnostics)
    return {
        "format_version": FORMAT_VERSION,
        "valid": errors == 0,
        "resources": resources,
        "files": files,
        "errors": errors,
        "warnings": sum(one.severity is Severity.WARNING for one in diagnostics),
        "diagnostics": [diagnostic(one) for one in diagnostics],
    }


def error(wrong: ReconcilerError | str, *, exit_code: int | None = None, next_step: str = "") -> Json:
    """What a failed command prints in JSON mode."""
    return {"format_version": FORMAT_VERSION, "error": _error(wrong, exit_code, next_step), "diagnostics": _carried(wrong)}


def _error(wrong: ReconcilerError | str, exit_code: int | None, next_step: str) -> Json:
    known = isinstance(wrong, ReconcilerError)
    return {
        "type": type(wrong).__name__ if known else "Error",
        "message": wrong.message if isinstance(wrong, ReconcilerError) else wrong,
        "reasons": list(wrong.reasons) if isinstance(wrong, Stopped) else [],
        "code": wrong.code if isinstance(wrong, VendorError) else "",
        "request_id": wrong.request_id if isinstance(wrong, VendorError) else "",
        "next": next_step or (wrong.next_step if isinstance(wrong, ReconcilerError) else ""),
        "exit_code": wrong.exit_code if exit_code is None and isinstance(wrong, ReconcilerError) else (exit_code or 70),
    }


def _carried(wrong: ReconcilerError | str) -> list[Json]:
    return [diagnostic(one) for one in wrong.diagnostics] if isinstance(wrong, InvalidManifests) else []


# --- apply stream -----------------------------------------------------------------------------------------------------


class ApplyStream:
    """The JSON lines of an apply: `version` first, `change_summary` last and always, whatever happens in between.

    `again` completes the command that a failure suggests.
    """

    def __init__(
        self, write: Callable[[str], None], now: Callable[[], datetime], *, program: str, again: Callable[[str], str] = str
    ) -> None:
        self._write = write
        self._now = now
        self._program = program
        self._again = again
        self._planned: Plan | None = None
        self._results: dict[Address, Result] = {}
        self._begun: dict[Address, str] = {}
        self._closed = False

    def _say(self, type: str, at: datetime | None = None, **fields: Any) -> None:
        self._write(line({"type": type, "at": rfc3339(at or self._now())} | fields))

    def version(self) -> None:
        self._say("version", format_version=FORMAT_VERSION, reconciler=self._program)

    def planned(self, made: Plan) -> None:
        """One line for each change that would do anything."""
        self._planned = made
        for one in made.changes:
            if one.action is not Action.NOOP:
                self._say("planned_change", plan_id=made.id, change=change(one))
        for each in made.diagnostics:
            self.diagnostic(each)

    def event(self, event: Event) -> None:
        address = str(event.address) if event.address else None
        fields: Json = {"address": address, "action": event.action, "message": event.message}
        if event.type == "diagnostic":
            self._say("diagnostic", event.at, severity="note", code="", **fields)
            return
        if event.address and event.type == "apply_start":
            self._begun[event.address] = event.action
        if event.type == "apply_progress":
            fields["progress"] = event.progress
        if event.result:
            self._results[event.result.change.address] = event.result
            fields |= {key: value for key, value in self._result(event.result).items() if key not in fields}
        self._say(event.type, event.at, **fields)

    def diagnostic(self, one: Diagnostic) -> None:
        self._say("diagnostic", **diagnostic(one))

    def _result(self, one: Result) -> Json:
        return result(replace(one, next_step=self._again(one.next_step)))

    def failed(self, wrong: ReconcilerError | str, *, exit_code: int | None = None, next_step: str = "") -> None:
        """The failure as a diagnostic line; what an InvalidManifests carries comes first."""
        if isinstance(wrong, InvalidManifests):
            for one in wrong.diagnostics:
                self.diagnostic(one)
        told = _error(wrong, exit_code, next_step)
        told["next"] = self._again(told["next"])
        told["error"] = told.pop("type")
        self._say("diagnostic", severity="error", address="", path="", place=None, help="", related=[], **told)

    def summary(
        self, *, exit_code: int, results: Sequence[Result] | None = None, interrupted: bool = False, run: str = "", seconds: float = 0.0
    ) -> None:
        """The last line. Without `results` it counts what the events told: begun and unanswered is unknown."""
        if self._closed:
            return
        self._closed = True
        told = list(results) if results is not None else list(self._results.values())
        count = {outcome.value: sum(one.outcome is outcome for one in told) for outcome in Outcome}
        if results is None:
            count[Outcome.UNKNOWN.value] += sum(address not in self._results for address in self._begun)
        done: dict[str, int] = {}
        for one in told:
            if one.outcome is Outcome.DONE:
                done[one.change.action.value] = done.get(one.change.action.value, 0) + 1
        self._say(
            "change_summary",
            plan_id=self._planned.id if self._planned else None,
            run_id=run or None,
            done=count["done"],
            failed=count["failed"],
            unknown=count["unknown"],
            not_started=count["notStarted"],
            blocked=self._planned.summary["blocked"] if self._planned else 0,
            waiting=self._planned.summary["waiting"] if self._planned else 0,
            actions=done,
            results=[self._result(one) for one in told],
            interrupted=interrupted,
            seconds=round(seconds, 3),
            exit_code=exit_code,
        )


def result(one: Result) -> Json:
    return {
        "address": str(one.change.address),
        "action": one.change.action.value,
        "outcome": one.outcome.value,
        "message": one.message,
        "code": one.code,
        "request_id": one.request_id,
        "id": one.id,
        "seconds": round(one.seconds, 3),
        "next": one.next_step,
    }
