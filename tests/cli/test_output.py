"""What comes out: streams, encodings, reports, secrets, and where words may stand."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from reconciler.render import schemas
from tests.cli.conftest import SECRET, SESSION, Command, Emulated, process, relay


def test_plan_is_text_on_stdout_and_nothing_else(relays: Path, reconciler: Command) -> None:
    said = reconciler("plan")
    assert said.err == ""
    assert said.out.splitlines()[2:] == [
        "CHANGES",
        "  + RelayTask/a  manifests/a.yaml:1   create, new",
        "      on air        2026-11-21 Sat 08:00 - 10:00 +08:00",
        "",
        said.out.splitlines()[-1],
    ]
    assert said.out.splitlines()[-1].endswith(": 1 to create, 0 unchanged. Valid until 2026-11-21 Sat 07:50 +08:00.")


def test_the_saved_plan_is_the_printed_one_and_private(relays: Path, reconciler: Command) -> None:
    said = reconciler("plan", "--out", "plan.json", "-o", "json")
    assert Path("plan.json").read_text() == said.out
    assert stat.S_IMODE(Path("plan.json").stat().st_mode) == 0o600
    jsonschema.Draft202012Validator(schemas.PLAN).validate(said.json)
    assert SECRET not in said.out


def test_plan_leaves_no_ledger_behind(relays: Path, reconciler: Command) -> None:
    assert reconciler("plan").code == 0
    assert not (relays / ".reconciler").exists()


def test_show_prints_the_same_plan_without_project_and_network(relays: Path, reconciler: Command, tmp_path: Path) -> None:
    planned = reconciler("plan", "--out", "plan.json").out
    shown = reconciler("-C", str(tmp_path), "show", "sports/plan.json").out
    assert shown.splitlines()[1:] == planned.splitlines()[1:]
    assert reconciler("show", "-o", "markdown", f"{relays}/plan.json").out.startswith("<!-- reconciler:plan workspace=sports")


@pytest.mark.parametrize("output", ["text", "json", "markdown"])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("pull.example.com", "evil.example.com", id="changed"),
        pytest.param('"signature"', '"signed"', id="the seal taken away"),
        pytest.param('"targets": []', '"targets": 7', id="a selection that cannot be read"),
    ],
)
def test_show_shows_nothing_of_a_plan_whose_seal_is_broken(before: str, after: str, output: str, relays: Path, reconciler: Command) -> None:
    assert reconciler("plan", "--out", "plan.json").code == 0
    said = reconciler("show", "plan.json", "-o", output)
    assert (said.code, said.err) == (0, "")
    text = Path("plan.json").read_text()
    assert before in text
    Path("plan.json").write_text(text.replace(before, after))
    said = reconciler("show", "plan.json", "-o", output)
    assert said.code == 6
    told = said.json["error"] if output == "json" else {"message": said.err, "next": said.err}
    assert "this plan is stale" in told["message"]
    assert "reconciler plan --out plan.json" in told["next"]
    assert "RelayTask/a" not in said.out
    assert "evil" not in said.out + said.err


def test_show_says_when_nobody_checked_the_seal(relays: Path, reconciler: Command, tmp_path: Path) -> None:
    """Nothing here can tell: the ledger is elsewhere, or was lost and begun anew."""
    reconciler("plan", "--out", "plan.json")
    note = "note: nobody checked the seal of {}: the ledger that sealed it is not here\n"
    said = reconciler("-C", str(tmp_path), "show", "sports/plan.json")
    assert (said.code, said.err) == (0, note.format("sports/plan.json"))
    assert not (tmp_path / ".reconciler").exists()
    os.chdir(relays)
    shutil.rmtree(".reconciler")
    reconciler("state", "list")
    reconciler("plan", "--out", "later.json")
    assert reconciler("show", "plan.json").err == note.format("plan.json")
    assert reconciler("show", "later.json").err == ""


def test_the_apply_stream_fits_its_schema_line_by_line(relays: Path, reconciler: Command) -> None:
    said = reconciler("apply", "--auto-approve", "-o", "json")
    for line in said.lines:
        jsonschema.Draft202012Validator(schemas.APPLY_STREAM).validate(line)
    assert [line["type"] for line in said.lines] == ["version", "planned_change", "apply_start", "apply_complete", "change_summary"]


@pytest.mark.parametrize(
    ("args", "name"),
    [
        pytest.param("get", "get", id="get"),
        pytest.param("get RelayTask/b", "get", id="get one that is not live"),
        pytest.param("refresh", "refresh", id="refresh"),
        pytest.param("state list", "state", id="state list"),
        pytest.param("state show RelayTask/a", "state-entry", id="state show"),
        pytest.param("history", "history", id="history"),
        pytest.param("doctor", "doctor", id="doctor"),
        pytest.param("plan --out plan.json", "plan", id="plan"),
        pytest.param("validate", "validation", id="validate"),
    ],
)
def test_every_document_fits_its_published_schema(args: str, name: str, relays: Path, reconciler: Command, emulated: Emulated) -> None:
    """Strictly: a key that the schema does not know is a key that was not published."""
    session = SESSION.replace("spec:", "lifecycle: {protect: true}\nspec:")
    (relays / "manifests/mod.yaml").write_text(session)
    assert reconciler("apply", "--auto-approve").code == 0
    (relays / "manifests/b.yaml").write_text(relay("b", title="b"), encoding="utf-8")
    emulated.tell("faults", [{"action": "CreatePullToPushTask", "when": "before", "fault": "reset"}])
    assert reconciler("apply", "--auto-approve").code == 7
    published = json.loads((Path(__file__).parents[2] / "specs" / f"{name}.schema.json").read_text())
    jsonschema.Draft202012Validator(closed(published)).validate(reconciler(*args.split(), "-o", "json").json)


def closed(schema: Any) -> Any:
    """A schema in which an object has no other keys than those that are named."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: closed(value) for key, value in schema.items()}
    return {"additionalProperties": False, **made} if isinstance(made.get("properties"), dict) and "type" in made else made


LENGTHS = (
    SESSION.replace("  storage:", "  sliceDuration: 30s\n  redundantDuration: 2\n  storage:")
    + """\
---
apiVersion: broadcast.reconciler/v1
kind: RelayTask
metadata: {name: loop}
schedule: {start: 2026-11-21T08:00:00+08:00, end: 2026-11-21T10:00:00+08:00}
spec:
  source:
    files:
      - {url: "http://vod.example.com/a.mp4", startOffset: 30}
      - {url: "http://vod.example.com/b.mp4"}
  destination: {url: "rtmp://push.example.com/live/loop"}
"""
)


def test_lengths_of_time_are_told_with_their_unit_and_written_in_seconds(project: Path, reconciler: Command, emulated: Emulated) -> None:
    manifest = project / "manifests/a.yaml"
    manifest.write_text(LENGTHS)
    created = reconciler("plan", "-v").out
    assert re.search(r"sliceDuration +30s\n", created)
    assert re.search(r"redundantDuration +2\n", created)
    assert reconciler("apply", "--auto-approve").code == 0
    assert "  sliceDuration: 30s" in reconciler("state", "show", "SegmentSession/mod").out
    manifest.write_text(LENGTHS.replace("sliceDuration: 30s", "sliceDuration: 90").replace("startOffset: 30", "startOffset: 2h"))
    assert reconciler("plan", "--out", "plan.json").code == 0
    for args in (["plan"], ["plan", "-v"], ["plan", "-o", "markdown"], ["show", "plan.json"], ["show", "plan.json", "-o", "markdown"]):
        said = reconciler(*args).out
        assert re.search(r"sliceDuration +30s -> 1m30s\n", said), args
    assert "~ [0].startOffset  30s -> 2h" in reconciler("plan", "-v").out
    fields = [field for one in reconciler("plan", "-o", "json").json["changes"] for field in one["fields"]]
    assert {field["path"]: (field["before"], field["after"]) for field in fields}["spec.sliceDuration"] == (30, 90)


def test_a_changed_secret_shows_by_its_fingerprints(relays: Path, reconciler: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    reconciler("apply", "--auto-approve")
    monkeypatch.setenv("PUSH_KEY", "another-key-4712")
    for args in (["plan"], ["plan", "-vv"], ["plan", "-o", "json"], ["plan", "-o", "markdown"], ["apply", "-vv", "--auto-approve"]):
        said = reconciler(*args)
        everything = said.out + said.err
        assert SECRET not in everything
        assert "another-key-4712" not in everything
        assert "emulator-secret" not in everything
        if args == ["plan"]:
            assert "rtmp://push.example.com/live/a?key=${env:PUSH_KEY}  [key " in said.out


def test_verbose_tells_what_went_over_the_wire(relays: Path, reconciler: Command) -> None:
    said = reconciler("apply", "--auto-approve", "-vv")
    assert "CreatePullToPushTask" in said.err
    assert "request  {" in said.err


@pytest.mark.parametrize(
    "args",
    [
        pytest.param(["--tz", "Europe/London", "plan", "-q"], id="before the command"),
        pytest.param(["plan", "--tz", "Europe/London", "-q"], id="after the command"),
        pytest.param(["--tz", "Asia/Tokyo", "plan", "--tz", "Europe/London", "-q"], id="the nearer wins"),
    ],
)
def test_global_options_stand_before_or_after(args: list[str], relays: Path, reconciler: Command) -> None:
    assert "Valid until 23:50 +00:00." in reconciler(*args).out


@pytest.mark.parametrize(
    ("variable", "args"),
    [
        ("RECONCILER_PLAN_OUTPUT", ["plan"]),
        ("RECONCILER_OUTPUT", ["plan"]),
        ("RECONCILER_STATE_LIST_OUTPUT", ["state", "list"]),
        ("RECONCILER_PLAN_OUTPUT", ["diff"]),
    ],
)
def test_flags_come_from_the_environment(
    variable: str, args: list[str], relays: Path, reconciler: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "json")
    assert reconciler(*args).json
    assert "{" not in reconciler("-o", "text", *args).out.partition("Plan")[0]


def test_flags_of_commands_come_from_the_environment(relays: Path, reconciler: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECONCILER_PLAN_OUT", "from-env.json")
    monkeypatch.setenv("RECONCILER_PLAN_DETAILED_EXITCODE", "1")
    assert reconciler("plan").code == 2
    assert Path("from-env.json").exists()


@pytest.mark.parametrize("encoding", ["gbk", "cp437", "ascii", "gbk:strict"])
@pytest.mark.parametrize("args", [["plan", "-v"], ["plan", "-o", "markdown"], ["render"], ["validate"], ["apply", "--auto-approve"]])
def test_no_encoding_raises(encoding: str, args: list[str], relays: Path) -> None:
    (relays / "manifests/a.yaml").write_text(relay("a", title="龘早间"), encoding="utf-8")  # the first letter is in no GBK
    done = process(*args, env={"PYTHONIOENCODING": encoding})
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr


def test_ascii_escapes_what_manifests_say(relays: Path) -> None:
    done = process("render", "--ascii", env={"PYTHONIOENCODING": "utf-8"})
    assert done.stdout.isascii()
    assert b"\\u65e9" in done.stdout


@pytest.mark.parametrize(
    ("args", "env", "painted"),
    [
        pytest.param(["plan"], {}, False, id="no terminal"),
        pytest.param(["plan", "--color", "always"], {}, True, id="always"),
        pytest.param(["plan"], {"FORCE_COLOR": "1"}, True, id="FORCE_COLOR"),
        pytest.param(["plan"], {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, id="NO_COLOR"),
        pytest.param(["plan", "--color", "never"], {"FORCE_COLOR": "1"}, False, id="never"),
        pytest.param(["plan", "--color", "always", "-o", "json"], {}, False, id="JSON is never painted"),
    ],
)
def test_colour(args: list[str], env: dict[str, str], painted: bool, relays: Path) -> None:
    assert (b"\x1b[" in process(*args, env=env).stdout) is painted


def test_reports_of_a_plan(relays: Path, reconciler: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    Path("summary.md").write_text("before\n")
    names = ("markdown=c.md", "github-summary", "json", "gitlab-terraform=t.json", "junit=j.xml", "sarif=s.json", "html=h.html", "github")
    said = reconciler("plan", *(f"--report={name}" for name in names))
    assert said.code == 0
    assert Path("c.md").read_text().startswith("<!-- reconciler:plan")
    assert Path("summary.md").read_text().startswith("before\n<!-- reconciler:plan")
    assert json.loads(Path("reconciler-plan.json").read_text())["plan_id"]
    assert json.loads(Path("t.json").read_text()) == {"create": 1, "update": 0, "delete": 0}


def test_reports_of_invalid_manifests_are_written_too(relays: Path, reconciler: Command) -> None:
    (relays / "manifests/a.yaml").write_text(relay("a", title="一" * 24), encoding="utf-8")
    for command in ("plan", "validate"):
        said = reconciler(command, "--report", "github", "--report", "markdown=c.md")
        assert said.code == 65
        assert "::error file=manifests/a.yaml,line=6,col=10" in said.err
        assert "Invalid manifests: 1 error\n" in Path("c.md").read_text()


@pytest.mark.parametrize("kind", ["sarif", "gitlab-codequality", "gitlab-terraform"])
def test_a_report_on_standard_output_parses_also_when_manifests_are_invalid(relays: Path, reconciler: Command, kind: str) -> None:
    (relays / "manifests/a.yaml").write_text(relay("a", title="一" * 24), encoding="utf-8")
    said = reconciler("plan", "-o", kind)
    assert said.code == 65
    assert json.loads(said.out)
    assert "RC112" in said.err


def test_a_summary_without_a_place_is_refused(relays: Path, reconciler: Command) -> None:
    assert reconciler("plan", "--report", "github-summary").code == 64


def test_narration_as_json_lines(relays: Path, reconciler: Command) -> None:
    said = reconciler("apply", "--auto-approve", "--log-format", "json")
    told = [json.loads(line) for line in said.err.splitlines()]
    assert [line["message"].split()[0] for line in told] == ["apply_start", "apply_complete"]


def test_validate_json_fits_its_schema(relays: Path, reconciler: Command) -> None:
    for title in ("早间", "一" * 24):
        (relays / "manifests/a.yaml").write_text(relay("a", title=title), encoding="utf-8")
        said = reconciler("validate", "-o", "json")
        jsonschema.Draft202012Validator(schemas.VALIDATION).validate(said.json)
        assert said.json["valid"] is (said.code == 0)


def test_a_manifest_from_standard_input(relays: Path, reconciler: Command) -> None:
    assert reconciler("validate", "-", stdin=relay("b")).out == "Valid: 1 resource in 1 file.\n"
    said = reconciler("validate", "-", stdin=relay("b", title="一" * 24))
    assert "<stdin>:6:10" in said.out


# --- the other commands -----------------------------------------------------------------------------------------------


def test_get_state_and_history_after_an_apply(relays: Path, reconciler: Command) -> None:
    reconciler("apply", "--auto-approve")
    row = reconciler("get", "relaytask").out.splitlines()[1]
    assert row.startswith("RelayTask/a  waiting  2026-11-21 Sat 08:00 - 10:00 +08:00  begins in 10 h")
    one = reconciler("get", "RelayTask/a", "-o", "json").json["objects"][0]
    assert (one["status"], one["stage"], one["presence"]) == ("ok", "waiting", "live")
    listed = reconciler("state", "list", "-o", "json").json
    assert [entry["address"] for entry in listed["entries"]] == ["RelayTask/a"]
    shown = reconciler("state", "show", "RelayTask/a").out
    assert SECRET not in shown
    assert one["id"] in shown
    runs = reconciler("history", "-o", "json").json["runs"]
    assert [run["exit"] for run in runs] == [0]
    assert "1 done" in reconciler("history").out
    assert "RelayTask/a" in reconciler("history", runs[0]["run"]).out
    assert reconciler("history", "ffffff").code == 1


def test_state_mv_and_rm_touch_only_the_ledger(relays: Path, reconciler: Command, emulated: Emulated) -> None:
    reconciler("apply", "--auto-approve")
    assert reconciler("state", "mv", "RelayTask/a", "RelayTask/b").code == 0
    assert reconciler("state", "show", "RelayTask/a").code == 1
    assert reconciler("state", "mv", "RelayTask/b", "Clip/b").code == 64
    assert reconciler("state", "rm", "RelayTask/b").out == "Forgotten: RelayTask/b. Nothing was deleted.\n"
    assert reconciler("state", "list").out == "Workspace sports owns nothing.\n"


def test_import_takes_the_object_back(relays: Path, reconciler: Command) -> None:
    reconciler("apply", "--auto-approve")
    reconciler("state", "rm", "RelayTask/a")
    said = reconciler("import", "RelayTask/a")
    assert said.code == 0
    assert said.out.startswith("= RelayTask/a  adopted, id ")
    assert reconciler("plan", "--detailed-exitcode").code == 0
    assert reconciler("import", "RelayTask/nowhere").code == 64


def test_drift_shows_what_somebody_changed(relays: Path, reconciler: Command, emulated: Emulated, monkeypatch: pytest.MonkeyPatch) -> None:
    reconciler("apply", "--auto-approve")
    assert reconciler("drift").out.startswith("No drift. 1 resource as last applied")
    emulated.tell("reset", {})
    assert reconciler("drift").out.startswith("No drift"), "a read so soon after may only lag"
    monkeypatch.setenv("RECONCILER_NOW", "2026-11-20T21:42:00+08:00")
    said = reconciler("drift", "--detailed-exitcode")
    assert said.code == 2
    assert "RelayTask/a" in said.out
    assert said.out.splitlines()[-1] == "Next: reconciler plan"


def test_force_unlock_without_a_lock(relays: Path, reconciler: Command) -> None:
    reconciler("apply", "--auto-approve")
    said = reconciler("force-unlock")
    assert (said.code, said.out) == (0, "Nobody holds the lock.\n")


def test_doctor_against_the_emulator(relays: Path, reconciler: Command) -> None:
    said = reconciler("doctor", "-o", "json")
    assert said.code == 0
    assert said.json["ok"]
    assert "emulator-secret" not in said.out
    assert reconciler("doctor", "--offline").code == 0


# --- the starter ------------------------------------------------------------------------------------------------------


def test_the_starter_validates_and_can_be_applied(project: Path, reconciler: Command, emulated: Emulated) -> None:
    assert reconciler("init", "demo").out.splitlines()[-1] == "Next: cd demo && reconciler validate"
    assert reconciler("-C", "demo", "validate", "--strict").code == 0
    assert reconciler("-C", str(project / "demo"), "apply", "--auto-approve").code == 0
    schema = json.loads((project / "demo/schemas/manifest.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)


def test_init_overwrites_nothing_without_force(project: Path, reconciler: Command) -> None:
    before = Path("reconciler.yaml").read_text()
    said = reconciler("init")
    assert said.code == 0
    assert "= reconciler.yaml  (kept; --force overwrites it)" in said.out
    assert Path("reconciler.yaml").read_text() == before
    reconciler("init", "--force")
    assert Path("reconciler.yaml").read_text() != before


@pytest.mark.parametrize("name", ["manifest.schema.json", "project.schema.json"])
def test_the_starter_fits_its_own_schemas(name: str, project: Path, reconciler: Command) -> None:
    from ruamel.yaml import YAML

    reconciler("init", "demo")
    schema = json.loads((project / "demo/schemas" / name).read_text())
    file = "manifests/news.yaml" if name.startswith("manifest") else "reconciler.yaml"
    reader = YAML(typ="safe", pure=True)
    reader.version = (1, 2)
    loaded = json.loads(json.dumps(reader.load((project / "demo" / file).read_text()), default=str))
    jsonschema.Draft7Validator(schema).validate(loaded)


def test_rules_kinds_and_fields_are_explained(reconciler: Command, project: Path) -> None:
    assert reconciler("explain", "rc112").out.startswith("RC112: relay title")
    assert "SrcAddr" in reconciler("explain", "RelayTask.spec.source.url").out
    assert "  cornerRadius" in reconciler("explain", "RecordingSession.spec.layout.regions").out
    listed = reconciler("explain", "-o", "json").json
    assert {kind["name"] for kind in listed["kinds"]} >= {"RelayTask", "Clip"}
    for rule in listed["rules"]:
        assert reconciler("explain", rule["code"]).code == 0


def test_schemas_are_schemas(reconciler: Command, project: Path) -> None:
    for args in ([], ["Clip"], ["--project"]):
        jsonschema.Draft7Validator.check_schema(reconciler("schema", *args).json)


def test_versions(reconciler: Command, project: Path) -> None:
    assert reconciler("version").out.startswith("reconciler ")
    assert reconciler("version", "-o", "json").json["format_version"] == "1.0"


def test_the_comment_of_broken_manifests_takes_the_place_of_the_plans(relays: Path, reconciler: Command) -> None:
    """A script finds it by its first line."""
    with (relays / "reconciler.yaml").open("a") as file:
        file.write("environments: {prod: {workspace: sports-prod}}\n")
    for environment in ([], ["-e", "prod"]):
        planned = reconciler(*environment, "plan", "-o", "markdown").out.splitlines()[0]
        (relays / "manifests/b.yaml").write_text("kind: [\n")
        said = reconciler(*environment, "plan", "-o", "markdown")
        assert (said.code, said.out.splitlines()[:2]) == (65, [planned, "### Invalid manifests: 1 error"])
        (relays / "manifests/b.yaml").unlink()
