"""The published documents: in step with their schemas, free of secrets, and readable back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from reconciler.errors import InvalidManifests, OutcomeUnknown, Stopped
from reconciler.model import Action, Address, Change, Diagnostic, Event, Observed, Outcome, Place, Presence, Result, Severity, Url
from reconciler.render import json as documents
from reconciler.render import schemas, text
from tests.render.samples import HOSTILE, LOOK, NOW, SECRETS, change, plan, relay

SPECS = Path(__file__).parents[2] / "specs"


def valid(document: Any, schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(document)


@pytest.mark.parametrize("name", schemas.FILES)
def test_the_schema_files_are_in_step(name: str) -> None:
    assert (SPECS / name).read_text(encoding="utf-8") == schemas.text(schemas.FILES[name]), "run: make schemas"


@pytest.mark.parametrize("name", schemas.FILES)
def test_the_schemas_are_schemas(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schemas.FILES[name])


def test_a_plan_document_fits_its_schema_and_holds_no_secret() -> None:
    document = documents.plan(plan(), selection={"path": ".", "targets": ()})
    printed = documents.dump(document)
    valid(json.loads(printed), schemas.PLAN)
    assert not [secret for secret in SECRETS if secret in printed]
    assert printed.isascii()


def test_the_keys_of_the_contract() -> None:
    document = documents.plan(plan())
    assert {
        "format_version", "plan_id", "workspace", "environment", "generated_at", "valid_until", "live_digest", "tzdata", "changes",
        "drift", "conflicts", "summary", "diagnostics", "lineage", "serial", "manifests_digest", "selection",
    } <= document.keys()  # fmt: skip
    assert document["format_version"] == "1.0"
    one = document["changes"][0]
    assert {
        "address", "kind", "name", "occurrence", "source", "action", "reason", "on_air", "off_air_seconds", "before", "after",
        "changed_paths", "replace_paths", "sensitive_paths", "evidence",
    } <= one.keys()  # fmt: skip
    assert one["action"] == "blocked"
    assert one["wanted"] == "replace"
    assert one["changed_paths"] == ["spec.source", "spec.destination.url"]
    assert one["replace_paths"] == ["spec.source"]
    assert one["sensitive_paths"] == ["spec.destination.url"]
    assert one["before"]["spec"]["destination"]["url"] == "rtmp://***@push.example.com/live/one?key=***&expire=***"
    assert [field.get("before_key") for field in one["fields"]] == [None, "7f3a"]


def test_before_and_after_are_null_where_there_is_nothing() -> None:
    by_name = {one["name"]: one for one in documents.plan(plan())["changes"]}
    assert by_name["goal-78"]["before"] is None
    assert by_name["goal-78"]["after"]["spec"]["start"] == "2026-11-20T13:14:00Z"
    assert by_name["old-loop"]["after"] is None
    assert by_name["old-loop"]["before"]["spec"] == {"title": "old"}
    assert by_name["sport-final"]["after"]["schedule"] == {"start": "2026-11-20T12:00:00Z", "end": "2026-11-20T15:59:00Z"}


def test_a_live_url_hides_its_path_where_the_declared_one_does() -> None:
    want = relay("x", destination={"url": Url("rtmp://h/live/sk-live-91", reference="rtmp://h/live/${env:KEY}")})
    seen = Observed(want.address, Presence.LIVE, values={"destination": {"url": Url("rtmp://h/live/hunter2")}})
    one = documents.change(Change(want.address, Action.UPDATE, "differs", desired=want, observed=seen))
    assert one["before"]["spec"]["destination"]["url"] == "rtmp://h/***"
    assert one["after"]["spec"]["destination"]["url"] == "rtmp://h/live/${env:KEY}"


@pytest.mark.parametrize("verbosity", [0, 1, 2])
def test_a_saved_plan_reads_like_the_one_it_was_made_from(verbosity: int) -> None:
    look = replace(LOOK, verbosity=verbosity)
    back = documents.read_plan(json.loads(documents.dump(documents.plan(plan()))))
    assert text.plan(back, look) == text.plan(plan(), look)
    assert documents.plan(back)["summary"] == documents.plan(plan())["summary"]


@pytest.mark.parametrize(
    "document",
    [
        pytest.param({}, id="nothing in it"),
        pytest.param({"format_version": "2.0", "plan_id": "x"}, id="from the future"),
        pytest.param({**documents.plan(plan()), "changes": [{"action": "create"}]}, id="a change without an address"),
        pytest.param({**documents.plan(plan()), "changes": 7}, id="no list"),
        pytest.param({**documents.plan(plan()), "generated_at": "yesterday"}, id="no instant"),
    ],
)
def test_what_is_no_plan_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        documents.read_plan(document)


def test_validation_and_error_documents_fit_their_schemas() -> None:
    wrong = Diagnostic(
        Severity.ERROR, "RC112", "too long", Place("m.yaml", 8, 10, 48), "RelayTask/x", "spec.title", related=((Place("n.yaml"), "there"),)
    )
    valid(documents.validation([wrong], resources=1, files=1), schemas.VALIDATION)
    for failure in (InvalidManifests([wrong]), Stopped("no", reasons=["a", "b"]), OutcomeUnknown("?", code="X"), "plain words"):
        valid(documents.error(failure, exit_code=64), schemas.ERROR)
    assert documents.error(Stopped("no", reasons=["a", "b"]))["error"]["exit_code"] == 5


# --- the stream -------------------------------------------------------------------------------------------------------


def stream() -> tuple[documents.ApplyStream, list[dict[str, Any]]]:
    lines: list[dict[str, Any]] = []
    return documents.ApplyStream(lambda line: lines.append(json.loads(line)), lambda: NOW, program="0.0"), lines


def test_a_whole_stream_fits_its_schema() -> None:
    made, lines = stream()
    one = change(Action.CREATE, "a", HOSTILE)
    made.version()
    made.planned(plan(one))
    made.event(Event("apply_start", NOW, one.address, "create"))
    made.event(Event("apply_progress", NOW, one.address, "create", "waiting", 0.5))
    for type, outcome in (("apply_complete", Outcome.DONE), ("apply_errored", Outcome.FAILED), ("apply_unknown", Outcome.UNKNOWN)):
        made.event(Event(type, NOW, one.address, "create", "said", result=Result(one, outcome)))
    made.event(Event("diagnostic", NOW, message="by the way"))
    made.failed(InvalidManifests([Diagnostic(Severity.ERROR, "RC001", "broken")]))
    made.summary(exit_code=3, results=[Result(one, Outcome.DONE, seconds=1.5)])
    for line in lines:
        valid(line, schemas.APPLY_STREAM)
    assert [line["type"] for line in (lines[0], lines[-1])] == ["version", "change_summary"]
    assert lines[-1]["actions"] == {"create": 1}


def test_the_summary_comes_once() -> None:
    made, lines = stream()
    made.summary(exit_code=1)
    made.summary(exit_code=0)
    assert [line["exit_code"] for line in lines] == [1]


def test_what_was_begun_and_never_answered_is_unknown() -> None:
    made, lines = stream()
    made.event(Event("apply_start", NOW, Address("RelayTask", "a"), "create"))
    made.summary(exit_code=130, interrupted=True)
    assert (lines[-1]["unknown"], lines[-1]["interrupted"]) == (1, True)
