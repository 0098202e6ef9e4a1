"""Promises of the command line that a user would notice broken, each against vendors that are no friends of ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.acceptance.bench import Bench, clip, relay, session

Meet = Callable[..., Bench]

CREATES = [
    pytest.param(relay(), "CreatePullToPushTask", id="relay"),
    pytest.param(relay(title="标题"), "CreatePullToPushTask", id="relay with a title of its own"),
    pytest.param(session("RecordingSession"), "StartRecord", id="recording"),
    pytest.param(session("SegmentSession"), "StartSegment", id="segments"),
    pytest.param(clip(), "POST /clip", id="clip"),
]


@pytest.mark.parametrize(("declared", "create"), CREATES)
def test_a_lost_answer_ends_with_one_object(meet: Meet, declared: dict[str, Any], create: str) -> None:
    bench = meet()
    bench.write("m.yaml", declared)
    bench.fake.fault(create, "reset", after=True)
    lost = bench.apply(code=7)
    assert f"Next: reconciler refresh {declared['kind']}/" in lost.out
    bench.apply()
    assert bench.changes() == {}
    assert bench.fake.count(create) == 1


def test_a_create_that_never_arrived_is_not_repeated_before_its_horizon(meet: Meet) -> None:
    bench = meet()
    bench.write("m.yaml", relay())
    bench.fake.fault("CreatePullToPushTask", "reset")
    bench.apply(code=7)
    assert bench("refresh").code == 7
    assert bench.apply(code=7)
    assert bench.fake.relays == {}


def test_a_read_that_lags_behind_a_create_is_no_drift(meet: Meet) -> None:
    bench = meet()
    bench.write("m.yaml", relay(), session("SegmentSession"))
    bench.apply()
    bench.fake.relays.clear()
    bench.fake.runs.clear()
    assert bench("drift", "--detailed-exitcode").code == 0
    made = bench.plan()
    assert {one["action"] for one in made["changes"]} == {"wait"}, "absence is believed only after the horizon"


def test_a_second_apply_waits_for_the_lock_and_then_looks_afresh(meet: Meet) -> None:
    bench = meet()
    bench.write("m.yaml", relay())
    bench.fake.fault("CreatePullToPushTask", "hang", seconds=2.5)
    first = bench.start("apply", "--auto-approve")
    while bench.fake.faults[0].left:
        assert first.poll() is None
    bench.apply(code=6)
    bench.apply("--lock-timeout", "20s")
    assert first.wait() == 0
    first.communicate()
    assert bench.fake.count("CreatePullToPushTask") == 1


@pytest.mark.parametrize("flag", ["--target", "--exclude"])
def test_a_misspelt_name_is_refused(meet: Meet, flag: str) -> None:
    bench = meet()
    bench.write("m.yaml", relay("cup-final"))
    bench.apply(flag, "RelayTask/cup-finl", code=64)
    assert bench.fake.relays == {}


def test_a_report_that_cannot_be_written_is_refused_before_anything_is_done(meet: Meet) -> None:
    bench = meet()
    bench.write("m.yaml", relay())
    said = bench.apply("-o", "json", "--report", "junit=nowhere/x.xml", code=64)
    assert said.lines[-1]["type"] == "change_summary"
    assert bench.fake.relays == {}


def test_a_valid_project_is_not_reported_as_invalid(meet: Meet) -> None:
    bench = meet()
    bench.write("m.yaml", relay())
    assert bench("validate", "--report", "markdown=valid.md", "--report", "html=valid.html").code == 0
    for name in ("valid.md", "valid.html"):
        assert "Invalid" not in (bench.root / name).read_text(encoding="utf-8")


def test_an_empty_variable_is_not_suggested_for_itself(meet: Meet) -> None:
    bench = meet()
    bench.write("m.yaml", relay())
    said = bench("plan", env={"PUSH_KEY": ""})
    assert said.code == 65
    assert "PUSH_KEY is empty" in said.err
    assert "did you mean PUSH_KEY" not in said.err


REFUSAL = '{"ResponseMetadata":{"RequestId":"r","Error":{"Code":"InvalidParam","Message":"no"}}}'


@pytest.mark.parametrize("broken", ["CreatePullToPushTask", "StopPullToPushTask"], ids=["after the delete", "after the create"])
def test_a_change_that_fails_half_way_is_never_told_as_nothing_changed(meet: Meet, broken: str) -> None:
    bench = meet()
    declared = relay(enabled=broken.startswith("Create"))
    if declared["spec"]["enabled"]:
        bench.write("m.yaml", declared)
        bench.apply()
        declared["spec"]["group"] = "another"
    bench.write("m.yaml", declared)
    bench.fake.fault(broken, "status", status=400, body=REFUSAL, headers={"Content-Type": "application/json"})
    said = bench.apply(code=3)
    assert ("the old one is deleted" in said.out) == declared["spec"]["enabled"]
    bench.apply()
    assert bench.changes() == {}
    assert len(bench.fake.relays) == 1


def test_protection_outlives_the_manifest(meet: Meet) -> None:
    bench = meet()
    keep, other = relay("keep", life={"protect": True}), relay("other")
    bench.write("m.yaml", keep, other)
    bench.apply()
    bench.write("m.yaml", other)
    bench.apply(code=5)
    assert len(bench.fake.relays) == 2


def test_a_selection_deletes_nothing_outside_of_it(meet: Meet) -> None:
    bench = meet()
    mine = relay("mine", meta={"labels": {"team": "x"}})
    bench.write("a.yaml", mine)
    bench.write("b.yaml", relay("gone"))
    bench.apply()
    (bench.root / "b.yaml").unlink()
    mine["spec"]["callbackUrl"] = "https://ops.example.com/"
    bench.write("a.yaml", mine)
    for chosen in (["-l", "team=x"], ["a.yaml"]):
        assert bench.changes(*chosen) == {"RelayTask/mine": "update"}, chosen
    bench.apply("--target", "RelayTask/mine")
    assert len(bench.fake.relays) == 2
    assert bench.changes() == {"RelayTask/gone": "delete"}


def test_no_secret_is_kept_in_the_project(meet: Meet) -> None:
    bench = meet()
    keys = {"accessKey": {"fromEnv": "S3_KEY"}, "secretKey": {"fromEnv": "S3_SECRET"}}
    bench.write(
        "m.yaml",
        relay(),
        session("SegmentSession", storage={"custom": {"vendor": "amazonS3", "region": "us-east-1", "bucket": "b", **keys}}),
    )
    bench.plan("--out", "p.json")
    bench.apply("-vv")
    kept = {path: path.read_bytes() for path in bench.root.rglob("*") if path.is_file()}
    assert kept
    for secret in (b"push-key-very-secret", b"s3-secret-very-secret"):
        assert [path for path, raw in kept.items() if secret in raw] == []
    changed = bench("plan", env={"PUSH_KEY": "another-very-secret"})
    assert "[key " in changed.out
    assert "another-very-secret" not in changed.out


@pytest.mark.parametrize("encoding", ["gbk"])
def test_a_narrow_stream_does_not_kill_a_run(meet: Meet, encoding: str) -> None:
    bench = meet()
    bench.write("m.yaml", relay(title="早间新闻"), clip(name="球进了 ✓ 🎉"))
    assert bench("plan", "-v", env={"PYTHONIOENCODING": encoding}).code == 0
    bench.apply(env={"PYTHONIOENCODING": encoding})
