"""Every row of the table of exit codes, by the real command; and that stdout parses in JSON mode whatever happens."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from reconciler.cli import run
from tests.cli.conftest import NOW, SESSION, Command, Emulated, relay

FINAL = "2026-11-20T23:30:00+08:00"  # on air at NOW


def write(project: Path, name: str, text: str) -> None:
    (project / "manifests" / f"{name}.yaml").write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    "args",
    [
        pytest.param(["plan", "--bogus"], id="unknown option"),
        pytest.param(["nonsense"], id="unknown command"),
        pytest.param(["plan", "-o", "yaml"], id="a format the command does not have"),
        pytest.param(["plan", "--report", "fax"], id="unknown report"),
        pytest.param(["plan", "/no/such/path"], id="no such path"),
        pytest.param(["plan", "--target", "relay"], id="no address"),
        pytest.param(["plan", "-l", "team"], id="no selector"),
        pytest.param(["plan", "--at", "tomorrow"], id="no instant"),
        pytest.param(["-C", "/no/such/path", "plan"], id="no such folder"),
        pytest.param(["--tz", "Mars/Base", "plan"], id="unknown zone"),
        pytest.param(["-e", "staging", "plan"], id="unknown environment"),
        pytest.param(["--lock-timeout", "soon", "plan"], id="no length of time"),
        pytest.param(["show", "reconciler.yaml"], id="no plan"),
        pytest.param(["schema", "Nonsense"], id="unknown kind"),
        pytest.param(["explain", "RC999"], id="unknown rule"),
        pytest.param(["explain", "RelayTask.spec.nonsense"], id="unknown field"),
        pytest.param(["state", "nonsense"], id="unknown subcommand"),
        pytest.param(["completion", "csh"], id="unknown shell"),
    ],
)
@pytest.mark.parametrize("output", [[], ["-o", "json"]], ids=["text", "json"])
def test_64_wrong_usage(args: list[str], output: list[str], project: Path, reconciler: Command, emulated: Emulated) -> None:
    write(project, "a", relay("a"))
    said = reconciler(*args[:1], *output, *args[1:]) if output and "-o" not in args else reconciler(*args)
    assert said.code == 64
    if output and "-o" not in args:
        assert said.json["error"]["exit_code"] == 64
    else:
        assert said.out == ""
        assert "rror: " in said.err


@pytest.mark.parametrize("command", ["plan", "apply", "validate", "drift", "get", "render", "refresh"])
def test_65_invalid_manifests(command: str, project: Path, reconciler: Command, emulated: Emulated) -> None:
    write(project, "a", relay("a", title="一" * 24))
    said = reconciler(command)
    assert said.code == 65
    shown = said.out if command == "validate" else said.err
    assert "error[RC112]" in shown
    assert "--> manifests/a.yaml:6:10" in shown


def test_65_no_manifest_at_all(project: Path, reconciler: Command, emulated: Emulated) -> None:
    said = reconciler("plan")
    assert said.code == 65
    assert "no manifests found in manifests/" in said.err
    assert "Next: reconciler init" in said.err


def test_0_and_2_with_detailed_exitcode(project: Path, reconciler: Command, emulated: Emulated) -> None:
    write(project, "a", relay("a"))
    assert reconciler("plan").code == 0
    assert reconciler("plan", "--detailed-exitcode").code == 2
    assert reconciler("apply", "--auto-approve").code == 0
    assert reconciler("plan", "--detailed-exitcode").code == 0
    assert reconciler("drift", "--detailed-exitcode").code == 0


def test_a_session_that_ended_early_and_is_left_is_one_line_and_no_change(
    project: Path, reconciler: Command, emulated: Emulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever looks at the plan sees that nothing is recorded any more; for a pipeline there is nothing to do."""
    text = "apiVersion: broadcast.reconciler/v1\nkind: RecordingSession\nmetadata: {name: hall}\nspec:\n"
    text += "  appId: 661e0000000000000000543c\n  roomId: Room1\n  control: {maxDuration: 10m}\n"
    text += '  storage: {tos: {accountId: "2100000990", region: cn-beijing, bucket: my-bucket}}\n'
    write(project, "hall", text)
    assert reconciler("apply", "--auto-approve").code == 0
    emulated.tell("clock", {"advance": 1200}, "PUT")
    monkeypatch.setenv("RECONCILER_NOW", "2026-11-20T14:00:00Z")
    for _ in range(2):
        said = reconciler("plan", "--detailed-exitcode")
        assert said.code == 0
        (line,) = [line for line in said.out.splitlines() if "RecordingSession/hall" in line]
        assert line.startswith("  ! RecordingSession/hall  ended")
        assert line.endswith("not restarted: onEnd: leave")
        assert "No changes." in said.out
        assert reconciler("apply", "--auto-approve").code == 0


def test_waiting_is_no_change(project: Path, reconciler: Command, emulated: Emulated) -> None:
    write(project, "a", relay("a", start="2027-03-01T08:00:00+08:00", end="2027-03-01T10:00:00+08:00"))
    said = reconciler("plan", "--detailed-exitcode")
    assert said.code == 0
    assert "WAITING" in said.out


@pytest.mark.parametrize(
    ("stdin", "code", "created"),
    [
        pytest.param("", 1, 0, id="the end of input"),
        pytest.param("no\n", 1, 0, id="no"),
        pytest.param("y\n", 1, 0, id="anything but yes"),
        pytest.param("yes\n", 0, 1, id="yes, also through a pipe"),
    ],
)
def test_apply_asks(stdin: str, code: int, created: int, project: Path, reconciler: Command, emulated: Emulated) -> None:
    write(project, "a", relay("a"))
    said = reconciler("apply", stdin=stdin)
    assert said.code == code
    assert ("Nothing was changed." in said.err) is not bool(created)
    assert ("--auto-approve" in said.err) is (stdin == "")
    assert len(reconciler("state", "list", "-o", "json").json["entries"]) == created


def test_5_a_destroy_that_leaves_what_is_on_air(project: Path, reconciler: Command, emulated: Emulated) -> None:
    """Nobody may take it for done: a person decides between waiting and the flag."""
    write(project, "a", relay("a", start="2026-11-20T20:00:00+08:00", end=FINAL))
    write(project, "b", relay("b", title="b"))
    assert reconciler("apply", "--auto-approve").code == 0
    emulated.tell("clock", {"advance": 60}, "PUT")
    said = reconciler("destroy", "--auto-approve")
    assert said.code == 5
    assert "leaves 1 object:" in said.out
    assert "done         1   - RelayTask/b" in said.out
    assert "= RelayTask/a   (--allow-on-air RelayTask/a, or destroy after 2026-11-20 Fri 23:30 +08:00)" in said.out
    assert said.out.splitlines()[-1] == "Next: reconciler destroy --allow-on-air RelayTask/a"
    said = reconciler("destroy", "--auto-approve", "-o", "json")
    assert (said.code, said.lines[-1]["exit_code"], said.lines[-1]["waiting"]) == (5, 5, 1)
    assert reconciler("destroy", "--auto-approve", "--allow-on-air", "RelayTask/a").code == 0


def test_no_input_refuses_at_once(project: Path, reconciler: Command, emulated: Emulated) -> None:
    write(project, "a", relay("a"))
    said = reconciler("apply", "--no-input", stdin="yes\n")
    assert said.code == 64
    assert "--auto-approve" in said.err


def test_destroy_wants_the_name_of_the_workspace(project: Path, reconciler: Command, emulated: Emulated) -> None:
    write(project, "a", relay("a"))
    reconciler("apply", "--auto-approve")
    assert reconciler("destroy", stdin="yes\n").code == 1
    assert reconciler("destroy", stdin="sports\n").code == 0
    assert reconciler("state", "list", "-o", "json").json["entries"] == []


def test_3_partly_applied(project: Path, reconciler: Command, emulated: Emulated) -> None:
    write(project, "a", relay("a"))
    write(project, "b", relay("b", title="晚间新闻"))
    emulated.tell("faults", [{"action": "CreatePullToPushTask", "when": "before", "fault": "403"}])
    said = reconciler("apply", "--auto-approve", "--parallelism", "1")
    assert said.code == 3
    assert "failed       1" in said.out
    assert said.out.splitlines()[-1].startswith("Next: ")


def test_4_not_authenticated(project: Path, reconciler: Command, emulated: Emulated, monkeypatch: pytest.MonkeyPatch) -> None:
    write(project, "a", relay("a"))
    monkeypatch.setenv("VOLCENGINE_SECRET_KEY", "wrong-secret-key")
    said = reconciler("plan")
    assert said.code == 4
    assert "wrong-secret-key" not in said.out + said.err
    monkeypatch.delenv("VOLCENGINE_SECRET_KEY")
    monkeypatch.delenv("VOLCENGINE_ACCESS_KEY")
    assert reconciler("plan").code == 4
    assert reconciler("doctor").code == 4


def test_5_blocked_is_left_and_the_rest_is_done(project: Path, reconciler: Command, emulated: Emulated) -> None:
    write(project, "a", relay("a", start="2026-11-20T20:00:00+08:00", end=FINAL))
    assert reconciler("apply", "--auto-approve").code == 0
    changed = relay("a", start="2026-11-20T20:00:00+08:00", end=FINAL, source="http://pull.example.com/live/other.flv")
    write(project, "a", changed.replace("spec:", "lifecycle: {onAirChange: apply}\nspec:"))
    write(project, "b", relay("b", title="晚间新闻"))
    emulated.tell("clock", {"advance": 60}, "PUT")
    said = reconciler("plan", "--detailed-exitcode", "-v")
    assert said.code == 2
    assert "BLOCKED" in said.out
    assert "--allow-on-air RelayTask/a, or apply after 2026-11-20 Fri 23:30 +08:00" in said.out
    said = reconciler("apply", "--auto-approve")
    assert said.code == 5
    assert "complete: 1 created." in said.out
    assert "1 blocked change is left: RelayTask/a." in said.out
    assert reconciler("apply", "--auto-approve", "--allow-on-air", "RelayTask/a").code == 0


def test_5_a_guard_stops_before_anything_is_written(project: Path, reconciler: Command, emulated: Emulated) -> None:
    write(project, "a", relay("a"))
    write(project, "b", relay("b", title="晚间新闻"))
    (project / "reconciler.yaml").write_text("workspace: sports\nmanifests: [manifests/]\nguards: {maxDelete: 0, maxDeleteFloor: 0}\n")
    assert reconciler("apply", "--auto-approve").code == 0
    (project / "manifests/b.yaml").unlink()
    said = reconciler("apply", "--auto-approve", "-o", "json")
    assert said.code == 5
    assert said.lines[-1]["type"] == "change_summary"
    assert said.lines[-1]["exit_code"] == 5
    assert "--allow-delete 1" in said.lines[-2]["message"]
    assert reconciler("apply", "--auto-approve", "--allow-delete", "1").code == 0


def test_65_a_folder_above_projects_names_them(project: Path, reconciler: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(project, project.parent / "more/news")
    monkeypatch.chdir(project.parent)
    for args in (["plan"], ["validate", "."], ["-C", "sports", "plan", ".."], ["-C", "more", "apply", ".."]):
        monkeypatch.chdir(project.parent)
        said = reconciler(*args)
        assert said.code == 65
        assert "(projects of their own below it: more/news, sports)\n" in said.err
        assert said.err.splitlines()[-1] == "Next: reconciler -C more/news plan"
    monkeypatch.chdir(project.parent)
    assert "no manifests found in manifests/ (looked for *.yaml, *.yml)" in reconciler("-C", "more/news", "plan").err


def test_6_a_used_an_edited_and_an_expired_plan(
    project: Path, reconciler: Command, emulated: Emulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(project, "a", relay("a"))
    assert reconciler("plan", "--out", "plan.json").code == 0
    text = Path("plan.json").read_text()
    Path("edited.json").write_text(text.replace("pull.example.com", "evil.example.com"))
    said = reconciler("apply", "edited.json")
    assert (said.code, "was changed after it was saved" in said.err) == (6, True)
    monkeypatch.setenv("RECONCILER_NOW", "2026-11-21T00:30:00Z")
    emulated.tell("clock", {"now": "2026-11-21T00:30:00Z"}, "PUT")
    said = reconciler("apply", "plan.json")
    assert (said.code, "a time of RelayTask/a has come" in said.err) == (6, True)
    monkeypatch.setenv("RECONCILER_NOW", NOW)
    emulated.tell("clock", {"now": NOW}, "PUT")
    assert reconciler("apply", "plan.json").code == 0
    said = reconciler("apply", "plan.json")
    assert (said.code, "it was used already" in said.err) == (6, True)


def test_6_a_plan_whose_manifests_or_objects_changed(project: Path, reconciler: Command, emulated: Emulated) -> None:
    write(project, "a", relay("a"))
    reconciler("plan", "--out", "plan.json")
    write(project, "b", relay("b", title="晚间新闻"))
    assert "the manifests changed" in reconciler("apply", "plan.json").err
    reconciler("plan", "--out", "plan.json")
    assert reconciler("apply", "--auto-approve", "--target", "RelayTask/a").code == 0
    said = reconciler("apply", "plan.json")
    assert (said.code, "what is live of RelayTask/a changed" in said.err) == (6, True)


def test_6_a_plan_that_brings_its_own_project(
    project: Path, reconciler: Command, emulated: Emulated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An artifact with manifests, a ledger and a plan that this ledger sealed is believed by nobody who works elsewhere."""
    write(project, "a", relay("a"))
    theirs = project / "artifact"
    shutil.copytree(project, theirs, ignore=shutil.ignore_patterns("artifact"))
    assert reconciler("plan", "artifact", "--out", "artifact/plan.json").code == 0
    text = (theirs / "plan.json").read_text()
    for path in (".", "artifact", str(theirs)):
        (theirs / "plan.json").write_text(text.replace('"path": "."', json.dumps({"path": path})[1:-1]))
        said = reconciler("apply", "artifact/plan.json")
        assert (said.code, f'the ledger of {project}, workspace "sports", did not seal it' in said.err) == (6, True)
        assert "the ledger that sealed it is not here" in reconciler("show", "artifact/plan.json").err
    assert not (project / ".reconciler").exists()
    assert emulated.tell("state", None, "GET")["live"]["tasks"] == []
    (theirs / "plan.json").write_text(text)
    assert reconciler("-C", "artifact", "apply", "plan.json").code == 0


@pytest.mark.parametrize(
    ("asked", "there"),
    [
        pytest.param("plan manifests/a.yaml --out plan.json", "manifests", id="a file, from below"),
        pytest.param("-C manifests plan --out ../plan.json", ".", id="a folder, from above"),
        pytest.param("plan --out plan.json", "manifests", id="all, from below"),
    ],
)
def test_a_plan_is_applied_from_anywhere_in_its_project(
    asked: str, there: str, project: Path, reconciler: Command, emulated: Emulated
) -> None:
    write(project, "a", relay("a"))
    assert reconciler(*asked.split()).code == 0
    said = reconciler("-C", f"{project / there}", "apply", f"{project}/plan.json")
    assert (said.code, "1 created" in said.out) == (0, True), said.err


def test_7_an_unknown_result_and_refresh(project: Path, reconciler: Command, emulated: Emulated) -> None:
    write(project, "a", relay("a"))
    emulated.tell("faults", [{"action": "CreatePullToPushTask", "when": "after", "fault": "reset"}])
    said = reconciler("apply", "--auto-approve")
    assert said.code == 7
    assert "unknown      1   + RelayTask/a" in said.out
    assert said.out.splitlines()[-1] == "Next: reconciler refresh RelayTask/a"
    said = reconciler("refresh", "RelayTask/a")
    assert said.code == 0
    assert "settled  RelayTask/a" in said.out
    assert reconciler("plan", "--detailed-exitcode").code == 0


@pytest.mark.parametrize("fault", ["reset", "500"])
@pytest.mark.parametrize(
    ("manifest", "action"),
    [
        pytest.param(relay("a"), "DeletePullToPushTask", id="relay"),
        pytest.param(SESSION, "StopSegment", id="session"),
    ],
)
def test_0_a_delete_whose_answer_was_lost_and_that_is_seen_to_be_done(
    manifest: str, action: str, fault: str, project: Path, reconciler: Command, emulated: Emulated
) -> None:
    """It is sent again, and refused: what is refused is gone."""
    write(project, "a", manifest)
    assert reconciler("apply", "--auto-approve").code == 0
    emulated.tell("faults", [{"action": action, "when": "after", "fault": fault}])
    said = reconciler("destroy", "--auto-approve", "--allow-on-air", "SegmentSession/mod")
    assert (said.code, "1 deleted" in said.out) == (0, True), said
    assert "owns nothing" in reconciler("state", "list").out
    assert reconciler("plan", "--destroy", "--detailed-exitcode").code == 0


@pytest.mark.parametrize("action", ["Create", "Update"])
@pytest.mark.parametrize(
    "args",
    [
        pytest.param(["state", "rm", "RelayTask/a"], id="rm"),
        pytest.param(["state", "mv", "RelayTask/a", "RelayTask/c"], id="mv"),
        pytest.param(["state", "mv", "RelayTask/b", "RelayTask/a"], id="mv onto it"),
        pytest.param(["import", "RelayTask/a"], id="import"),
    ],
)
def test_7_an_address_whose_last_write_is_unknown_stays_where_it_is(
    args: list[str], action: str, project: Path, reconciler: Command, emulated: Emulated
) -> None:
    """Moved or forgotten, it would be made a second time when the write is settled."""
    write(project, "b", relay("b", title="b"))
    if action == "Update":
        write(project, "a", relay("a"))
    assert reconciler("apply", "--auto-approve").code == 0
    write(project, "a", relay("a", source="http://pull.example.com/live/other.flv"))
    emulated.tell("faults", [{"action": f"{action}PullToPushTask", "when": "after", "fault": "reset", "every": True}])
    assert reconciler("apply", "--auto-approve").code == 7
    emulated.tell("faults", [])
    before = reconciler("state", "list").out
    said = reconciler(*args)
    assert said.code == 7
    assert f"the result of {action}PullToPushTask for RelayTask/a" in said.err
    assert said.err.splitlines()[-1] == "Next: reconciler refresh RelayTask/a"
    assert reconciler("state", "list").out == before
    assert reconciler("refresh", "RelayTask/a").code == 0
    assert reconciler("plan", "--detailed-exitcode").code == 0
    if args[0] == "state" and "b" not in args[2]:
        assert reconciler(*args).code == 0


def test_69_a_vendor_that_cannot_be_reached(
    project: Path, reconciler: Command, emulated: Emulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(project, "a", relay("a"))
    monkeypatch.setenv("RECONCILER_LIVE_ENDPOINT", "http://127.0.0.1:9")
    said = reconciler("plan", "-o", "json")
    assert said.code == 69
    assert said.json["error"]["next"] == "reconciler doctor"


def test_70_a_fault_of_ours_is_short_and_holds_no_value(project: Path, reconciler: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    import reconciler.cli.start as start

    def broken() -> None:
        raise RuntimeError("hunter2")

    monkeypatch.setattr(start.version, "callback", broken)
    said = reconciler("version")
    assert said.code == 70
    assert said.err.splitlines() == [
        "error: a fault of ours: RuntimeError; -vv shows where; report it, with what the next line prints",
        "Next: reconciler version -v",
    ]
    said = reconciler("version", "-vv")
    assert "in broken" in said.err
    assert "hunter2" not in said.err
    assert reconciler("version", "-o", "json").json["error"]["exit_code"] == 70


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(("number", "code", "output"), [(signal.SIGINT, 130, "text"), (signal.SIGTERM, 143, "json")])
def test_an_interrupt_prints_the_summary_all_the_same(
    number: int, code: int, output: str, workers: int, project: Path, emulated: Emulated
) -> None:
    """The answer of each worker is awaited for as long as the grace lasts, which is shorter than the vendor's silence."""
    write(project, "a", relay("a"))
    write(project, "b", relay("b", title="晚间新闻"))
    emulated.tell("faults", [{"action": "CreatePullToPushTask", "when": "before", "fault": "timeout", "every": True}])
    args = [sys.executable, "-m", "reconciler", "apply", "--auto-approve", "-o", output, "--parallelism", str(workers)]
    with subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        narration, begun = (running.stdout, '"apply_start"') if output == "json" else (running.stderr, " start ")
        started = 0
        while started < workers:
            started += begun in narration.readline()
        running.send_signal(number)
        out, _ = running.communicate(timeout=20)
    assert running.returncode == code
    if output == "json":
        last = json.loads(out.splitlines()[-1])
        assert (last["type"], last["interrupted"], last["exit_code"]) == ("change_summary", True, code)
        assert (last["unknown"], last["not_started"]) == (workers, 2 - workers)
    else:
        assert "interrupted:" in out
        assert f"unknown      {workers}" in out


def test_a_reader_that_goes_away_is_no_error(project: Path) -> None:
    with subprocess.Popen([sys.executable, "-m", "reconciler", "explain"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        shown = running.stderr.read()
    assert running.returncode in (0, 141)
    assert shown == b""


@pytest.mark.parametrize("buffered", ["", "1"], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize(
    "args",
    [
        pytest.param("--help", id="help"),
        pytest.param("plan --help", id="help of a command"),
        pytest.param("validate", id="validate"),
        pytest.param("plan", id="plan"),
        pytest.param("plan --detailed-exitcode -o json", id="plan, json"),
        pytest.param("apply --auto-approve", id="apply, the plan is lost"),
        pytest.param("apply --auto-approve -o json", id="apply, json, the plan is lost"),
    ],
)
def test_1_output_that_cannot_be_written(args: str, buffered: str, project: Path, emulated: Emulated) -> None:
    write(project, "a", relay("a"))
    said = lost(args, stdout="/dev/full", buffered=buffered)
    assert (said.returncode, said.stderr) == (1, "error: the output cannot be written: No space left on device\nNext: df -h\n")
    assert emulated.tell("state", None, "GET")["live"]["tasks"] == []


class Disk(io.RawIOBase):
    """Full from the first write on that has `last` in it."""

    def __init__(self, last: bytes) -> None:
        self.last = last
        self.full = False

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.full = self.full or self.last in bytes(data)
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return len(data)


@pytest.mark.parametrize("unbuffered", [False, True])
@pytest.mark.parametrize(
    ("output", "last"), [("text", b"1 created"), ("json", b"apply_start"), ("json", b"change_summary")], ids=["text", "start", "summary"]
)
def test_3_a_summary_that_cannot_be_written(
    output: str,
    last: bytes,
    unbuffered: bool,
    project: Path,
    emulated: Emulated,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The plan was told, and not what became of it: that is in the ledger."""
    write(project, "a", relay("a"))
    disk = Disk(last)
    stream = io.TextIOWrapper(cast(Any, disk) if unbuffered else io.BufferedWriter(disk), write_through=unbuffered)
    monkeypatch.setattr(sys, "stdout", stream)
    assert run(["apply", "--auto-approve", "-o", output, "-q"]) == 3
    assert capfd.readouterr().err.splitlines()[-2:] == [
        "error: the output cannot be written: No space left on device; what was done is in the ledger",
        "Next: reconciler history",
    ]
    assert len(emulated.tell("state", None, "GET")["live"]["tasks"]) == 1


def test_0_a_narration_that_cannot_be_written(project: Path, emulated: Emulated) -> None:
    write(project, "a", relay("a"))
    said = lost("apply --auto-approve", stderr="/dev/full")
    assert (said.returncode, "1 created" in said.stdout) == (0, True)


def lost(args: str, *, stdout: str = "", stderr: str = "", buffered: str = "") -> subprocess.CompletedProcess[str]:
    """The command with its streams elsewhere."""
    elsewhere = f"{f'>{stdout}' if stdout else ''} {f'2>{stderr}' if stderr else ''}"
    return subprocess.run(
        ["sh", "-c", f'"$0" -m reconciler {args} {elsewhere}', sys.executable],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": buffered},
        check=False,
    )
