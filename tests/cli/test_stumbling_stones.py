"""What a stranger stumbles over: misspelt names, narrow terminals, pictures in plans, two runs at once."""

from __future__ import annotations

import fcntl
import hashlib
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import termios
from contextlib import suppress
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from reconciler import emulator
from reconciler.cli._context import Scene
from reconciler.render import schemas
from reconciler.render.safe import width
from tests.cli.conftest import Command, Emulated, relay


@pytest.mark.parametrize(
    ("args", "code"),
    [
        pytest.param(["refresh", "RelayTask/aa"], 64, id="refresh"),
        pytest.param(["get", "RelayTask/aa"], 64, id="get"),
        pytest.param(["plan", "--target", "RelayTask/aa"], 64, id="--target"),
        pytest.param(["plan", "manifests/a.yaml", "--target", "RelayTask/aa"], 64, id="--target within a file"),
        pytest.param(["apply", "--auto-approve", "--exclude", "RelayTask/aa"], 64, id="--exclude"),
        pytest.param(["destroy", "--auto-approve", "--target", "RelayTask/aa"], 64, id="destroy"),
        pytest.param(["state", "show", "RelayTask/aa"], 1, id="state show"),
        pytest.param(["state", "rm", "RelayTask/aa"], 1, id="state rm"),
    ],
)
def test_an_address_that_is_nothing_is_refused_with_its_neighbour(args: list[str], code: int, relays: Path, reconciler: Command) -> None:
    reconciler("apply", "--auto-approve")
    said = reconciler(*args)
    assert said.code == code
    assert "did you mean RelayTask/a?" in said.err


@pytest.mark.parametrize("name", ["fmt", "export", "dump", "timeline", "simulate", "wait", "controller"])
def test_a_command_of_a_later_version_is_no_spelling_mistake(name: str, project: Path, reconciler: Command) -> None:
    said = reconciler(name, "whatever")
    assert (said.code, said.err.splitlines()[0]) == (64, f"error: {name} is not in this version yet")


def test_a_misspelt_command_is_told_its_neighbour(project: Path, reconciler: Command) -> None:
    assert "did you mean validate?" in reconciler("valdate").err


@pytest.mark.parametrize("told", [False, True], ids=["by its own clock", "RECONCILER_NOW"])
def test_a_clock_that_is_not_the_vendors_is_told_of_unless_it_was_set_by_hand(
    told: bool, relays: Path, reconciler: Command, emulated: Emulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not told:
        monkeypatch.delenv("RECONCILER_NOW")
    emulated.tell("clock", {"now": "2026-11-20T10:00:00Z"}, "PUT")  # hours before the one, some time away from the other
    assert ("RC702" in reconciler("plan").out) is not told


def test_chinese_texts_are_honestly_absent(relays: Path, reconciler: Command) -> None:
    said = reconciler("plan", "--lang", "zh-CN", "-o", "json")
    assert said.json["plan_id"]
    assert said.err == "note: texts are in English so far; --lang zh-CN changes nothing yet\n"
    assert reconciler("plan", "--lang", "en").err == ""


def test_a_destroy_counts_what_is_owned_not_files(relays: Path, reconciler: Command) -> None:
    reconciler("apply", "--auto-approve")
    for args in (["plan", "--destroy"], ["destroy", "--auto-approve"]):
        said = reconciler(*args).out
        assert said.startswith('1 resource owned by workspace "sports"; live: volcengine-live 1   (')
        assert "in no manifest" not in said


def test_a_warning_is_told_once(relays: Path, reconciler: Command, emulated: Emulated, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECONCILER_NOW", "2026-11-20T23:55:00Z")
    emulated.tell("clock", {"now": "2026-11-20T23:54:30Z"}, "PUT")
    reconciler("apply", "--auto-approve")
    path = relays / "manifests/a.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("10:00:00", "11:00:00"), encoding="utf-8")
    said = reconciler("plan")
    assert said.out.count("it begins in ") == 1
    assert [one["code"] for one in reconciler("plan", "-o", "json").json["diagnostics"]] == ["RC700"]


def test_pictures_are_digests_in_every_document(
    relays: Path, reconciler: Command, emulated: Emulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = (Path(__file__).parents[2] / "examples/relay/manifests/logo.png").read_bytes()
    (relays / "manifests/logo.png").write_bytes(picture)
    path = relays / "manifests/a.yaml"
    path.write_text(path.read_text(encoding="utf-8") + "  watermark: {image: logo.png, x: 0.1, y: 0.1, width: 0.1}\n", encoding="utf-8")
    told = f"sha256:{hashlib.sha256(picture).hexdigest()} ({len(picture)} bytes)"
    planned = reconciler("plan", "--out", "plan.json", "-o", "json")
    assert planned.json["changes"][0]["after"]["spec"]["watermark"]["image"] == told
    jsonschema.Draft202012Validator(schemas.PLAN).validate(planned.json)
    assert f"{told[:19]}... ({len(picture)} bytes)" in reconciler("show", "plan.json", "-v").out
    applied = reconciler("apply", "plan.json", "-vv")
    assert applied.code == 0, applied.err
    everything = [planned.out, applied.err, reconciler("state", "show", "RelayTask/a", "-o", "json").out, reconciler("plan", "-vv").out]
    assert not [text for text in everything if "base64" in text]
    other = picture + b"\0"
    (relays / "manifests/logo.png").write_bytes(other)
    (field,) = reconciler("plan", "-o", "json").json["changes"][0]["fields"]
    assert (field["before"], field["after"]) == (told, f"sha256:{hashlib.sha256(other).hexdigest()} ({len(other)} bytes)")


def test_two_names_of_one_account_are_no_strangers_to_each_other(project: Path, reconciler: Command, emulated: Emulated) -> None:
    with (project / "reconciler.yaml").open("a") as file:
        file.write("accounts: {default: {}, second: {}}\n")
    (project / "manifests/a.yaml").write_text(relay("a"), encoding="utf-8")
    (project / "manifests/b.yaml").write_text(relay("b", title="b").replace("{name: b}", "{name: b, account: second}"), encoding="utf-8")
    assert reconciler("apply", "--auto-approve").code == 0
    for args in ([], ["--target", "RelayTask/a"]):
        made = reconciler("plan", "-o", "json", *args).json
        assert (made["conflicts"], made["strangers"]) == ([], [])


def test_what_a_selection_leaves_out_is_no_stranger(relays: Path, reconciler: Command) -> None:
    (relays / "manifests/b.yaml").write_text(relay("b", title="b"), encoding="utf-8")
    reconciler("apply", "--auto-approve")
    assert reconciler("plan", "-o", "json", "--target", "RelayTask/a").json["strangers"] == []


def test_what_nothing_knows_any_more_is_listed_without_a_claim(relays: Path, reconciler: Command) -> None:
    (relays / "manifests/b.yaml").write_text(relay("b", title="b"), encoding="utf-8")
    reconciler("apply", "--auto-approve")
    shutil.rmtree(relays / ".reconciler")
    (relays / "manifests/b.yaml").unlink()
    listed = reconciler("plan", "-v").out.partition("NOT MANAGED HERE")[2]
    assert "in no manifest and no ledger, left alone" in listed
    assert "ours" not in listed


# --- two at once ------------------------------------------------------------------------------------------------------


def test_what_nobody_is_asked_about_is_planned_under_the_lock(relays: Path, reconciler: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    held = []
    plan = Scene.plan

    def watched(self: Scene, *args: Any, **more: Any) -> Any:
        held.append(self.ledger(create=True).held() is not None)
        return plan(self, *args, **more)

    monkeypatch.setattr(Scene, "plan", watched)
    assert reconciler("apply", "--auto-approve").code == 0
    assert reconciler("destroy", "--auto-approve").code == 0
    assert reconciler("apply", stdin="yes\n").code == 0
    assert held == [True, True, False]


def test_two_applies_at_once_wait_for_each_other(relays: Path, reconciler: Command, emulated: Emulated) -> None:
    args = [sys.executable, "-m", "reconciler", "apply", "--auto-approve", "--lock-timeout", "60s"]
    both = [subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    told = [one.communicate(timeout=60) for one in both]
    assert [one.returncode for one in both] == [0, 0], told
    assert sum("1 created" in out for out, _ in told) == 1
    assert len(reconciler("state", "list", "-o", "json").json["entries"]) == 1


# --- how wide it is ---------------------------------------------------------------------------------------------------


LONG = "the-final-of-the-cup-with-a-name-that-is-long"


@pytest.mark.parametrize("columns", [80, 200])
@pytest.mark.parametrize(
    "args",
    [
        *("doctor", "plan", "plan -v", "plan --destroy", "get", "get -v", "state list", f"state show RelayTask/{LONG}", "history", "drift"),
        *("refresh", "validate", "explain", "explain RC027", "explain RecordingSession.spec", "apply --help"),
    ],
)
def test_nothing_is_wider_than_the_terminal_and_nothing_is_left_out(columns: int, args: str, relays: Path, reconciler: Command) -> None:
    with (relays / "reconciler.yaml").open("a") as file:
        file.write("accounts: {an-account-with-a-long-name: {}}\n")
    text = relay("a", title="决赛").replace("{name: a}", f"{{name: {LONG}, account: an-account-with-a-long-name}}")
    (relays / "manifests/a.yaml").write_text(text, encoding="utf-8")
    reconciler("apply", "--auto-approve")
    shown = on_a_terminal(columns, *args.split())
    wide = [line for line in shown if width(line) > columns]
    assert [line for line in wide if str(relays) not in line] == []  # a path stays whole, to be copied
    if args in ("get", "get -v", "state list"):
        (entry,) = reconciler("state", "list", "-o", "json").json["entries"]
        assert entry["id"] in "\n".join(shown)
        assert f"RelayTask/{LONG}" in "\n".join(shown)


def on_a_terminal(columns: int, *args: str) -> list[str]:
    """The lines that a command writes to a terminal of that width, without their colours."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    with subprocess.Popen([sys.executable, "-m", "reconciler", *args], stdin=theirs, stdout=theirs, stderr=theirs) as running:
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # the other end is closed
            while piece := os.read(ours, 65536):
                shown += piece
    os.close(ours)
    assert running.returncode == 0, shown
    return [re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", line) for line in shown.decode().splitlines()]


# --- flags from the environment ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "planned"),
    [
        ("RECONCILER_PLAN_TARGET", "RelayTask/a", {"RelayTask/a"}),
        ("RECONCILER_PLAN_EXCLUDE", "RelayTask/a RelayTask/b", {"RelayTask/c"}),
        ("RECONCILER_PLAN_SELECTOR", "team=none", set()),
        ("RECONCILER_PLAN_TARGETS", "RelayTask/a", {"RelayTask/a"}),
    ],
)
def test_a_flag_is_named_in_the_environment_as_it_is_typed(
    name: str, value: str, planned: set[str], project: Path, emulated: Emulated, reconciler: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    for one in "abc":
        (project / f"manifests/{one}.yaml").write_text(relay(one, title=one), encoding="utf-8")
    monkeypatch.setenv(name, value)
    assert {change["address"] for change in reconciler("plan", "-o", "json").json["changes"]} == planned


@pytest.mark.parametrize(
    ("name", "value", "deletes"),
    [("NO_PRUNE", "1", 0), ("NO_PRUNE", "0", 1), ("PRUNE", "0", 0), ("PRUNE", "1", 1), ("NO_PRUNE", "", 1)],
)
def test_what_is_denied_with_no_can_be_denied_in_the_environment(
    name: str, value: str, deletes: int, project: Path, emulated: Emulated, reconciler: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    for one in "ab":
        (project / f"manifests/{one}.yaml").write_text(relay(one, title=one), encoding="utf-8")
    assert reconciler("apply", "--auto-approve").code == 0
    (project / "manifests/b.yaml").unlink()
    monkeypatch.setenv(f"RECONCILER_PLAN_{name}", value)
    assert reconciler("plan", "-o", "json").json["summary"]["delete"] == deletes


def test_the_environment_of_a_project_can_come_from_the_environment(
    project: Path, emulated: Emulated, reconciler: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "manifests/a.yaml").write_text(relay("a"), encoding="utf-8")
    for name in ("RECONCILER_ENV", "RECONCILER_PLAN_ENV"):
        with monkeypatch.context() as there:
            there.setenv(name, "nowhere")
            said = reconciler("plan")
            assert (said.code, "there is no environment 'nowhere'" in said.err) == (64, True)


def test_the_next_step_is_about_an_error_before_a_warning(project: Path, reconciler: Command) -> None:
    warned = """\
apiVersion: broadcast.reconciler/v1
kind: RecordingSession
metadata: {name: hall}
spec: {appId: 661e0000000000000000543c, roomId: Room1, storage: {tos: {accountId: "2100000990", region: cn-beijing, bucket: b}}}
"""
    (project / "manifests/a.yaml").write_text(warned, encoding="utf-8")
    (project / "manifests/b.yaml").write_text(relay("b", title="一" * 24), encoding="utf-8")
    said = reconciler("validate")
    assert "warning[RC254]" in said.out
    assert said.err == "Next: reconciler explain RC112\n"


def test_a_plan_that_was_cut_short_is_no_manifest(relays: Path, reconciler: Command) -> None:
    assert reconciler("plan", "--out", "plan.json").code == 0
    saved = (relays / "plan.json").read_text(encoding="utf-8")
    (relays / "plan.json").write_text(saved[: len(saved) // 2], encoding="utf-8")
    for args in (["apply", "plan.json"], ["show", "plan.json"]):
        said = reconciler(*args)
        assert (said.code, said.err.splitlines()[0]) == (64, "error: plan.json is no whole plan: it was cut short, or changed")
        assert said.err.splitlines()[-1] == "Next: reconciler plan --out plan.json"


def test_a_plan_that_was_never_written_is_no_empty_project(relays: Path, reconciler: Command) -> None:
    (relays / "plan.json").touch()
    for command in (("apply",), ("show",)):
        said = reconciler(*command, "plan.json")
        assert (said.code, said.err.splitlines()[-1]) == (64, "Next: reconciler plan --out plan.json")


def test_an_emulator_that_was_not_installed_says_how(reconciler: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "reconciler.emulator.server", raising=False)
    monkeypatch.delattr(emulator, "server", raising=False)  # another test of this process may have loaded it
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    said = reconciler("emulator", "--port", "0")
    assert (said.code, said.err.splitlines()[-1]) == (64, "Next: pip install 'broadcast-reconciler[emulator]'")


def test_the_doctor_of_a_damaged_ledger_does_not_send_to_the_doctor(relays: Path, reconciler: Command) -> None:
    (relays / ".reconciler").mkdir()
    (relays / ".reconciler/state.db").write_bytes(b"no database at all, not even nearly")
    assert reconciler("doctor").err == "Next: reconciler state rebuild\n"


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_streams_are_no_reason_to_fail(closed: str, relays: Path, emulated: Emulated) -> None:
    said = subprocess.run(
        ["sh", "-c", f'"$0" -m reconciler apply --auto-approve {closed}', sys.executable], capture_output=True, text=True, check=False
    )
    assert (said.returncode, "Traceback" in said.stderr) == (0, False)
    assert len(emulated.tell("state", None, "GET")["live"]["tasks"]) == 1
