"""What becomes of a clip after POST /clip: only the world's clock decides, and the switches stand for what nobody knows."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.emulator.core import Request

from .studio import NOW_MS, SESSION, START, STREAM, WINDOW, Studio

DAY_MS = 86_400_000
INTERNAL = "internal error processing file"
UNREACHABLE = "file could not be imported from URL because it was not accessible"


def phases(studio: Studio, asset_id: str, task_id: str) -> tuple[dict[str, Any], dict[str, Any]]:
    return studio.asset(asset_id)["status"], studio.task(task_id)["status"]


# seconds after POST, asset status, task status; both without updatedAt
COURSE: list[tuple[float, dict[str, Any], dict[str, Any]]] = [
    (0, {"phase": "waiting"}, {"phase": "waiting", "retries": 0}),
    (1.999, {"phase": "waiting"}, {"phase": "waiting", "retries": 0}),
    (2, {"phase": "processing", "progress": 0}, {"phase": "running", "retries": 0, "progress": 0}),
    (7, {"phase": "processing", "progress": 0.225}, {"phase": "running", "retries": 0, "progress": 0.225}),
    (12, {"phase": "processing", "progress": 0.45}, {"phase": "running", "retries": 0, "progress": 0.45}),
    (21.999, {"phase": "processing", "progress": 0.675}, {"phase": "running", "retries": 0, "progress": 0.675}),
    (22, {"phase": "ready"}, {"phase": "completed"}),
    (9_999, {"phase": "ready"}, {"phase": "completed"}),
]


@pytest.mark.parametrize(("seconds", "asset", "task"), COURSE, ids=[f"{each[0]} s" for each in COURSE])
def test_the_course_of_a_good_clip(seconds: float, asset: dict[str, Any], task: dict[str, Any]) -> None:
    studio = Studio()
    ids = studio.clip()
    studio.wait(seconds)
    asset_status, task_status = phases(studio, *ids)
    assert {name: value for name, value in asset_status.items() if name != "updatedAt"} == asset
    assert {name: value for name, value in task_status.items() if name != "updatedAt"} == task


def test_the_way_there_does_not_matter() -> None:
    """Looking every second and looking once at the end see the same world."""
    often, once = Studio(), Studio()
    ids = often.clip()
    assert once.clip() == ids
    for _ in range(30):
        often.wait(1)
        often.asset(ids[0])
    once.wait(30)
    assert often.asset(ids[0]) == once.asset(ids[0])
    assert often.task(ids[1]) == once.task(ids[1])


def test_a_clip_can_be_played_before_it_is_ready() -> None:
    studio = Studio()
    asset_id, _ = studio.clip()
    studio.wait(12)
    early = studio.asset(asset_id)
    assert early["status"]["phase"] == "processing"
    assert early["playbackUrl"].endswith("/output.m3u8")
    assert "downloadUrl" not in early
    studio.wait(60)
    assert studio.get(f"/playback/{early['playbackId']}")[0] == 200


def test_without_early_playback() -> None:
    studio = Studio(source_playback="off")
    asset_id, _ = studio.clip()
    studio.wait(21)
    assert "playbackUrl" not in studio.asset(asset_id)


# -- clamping ----------------------------------------------------------------------------------------------------------

DURATIONS: dict[str, tuple[int, int, float]] = {
    "inside": (START, START + 30_000, 30.0),
    "the end is beyond what is recorded when the worker cuts": (NOW_MS - 20_000, NOW_MS + 60_000, 17.0),
    "the start is before the session": (NOW_MS - 7 * DAY_MS - 60_000, NOW_MS - 7 * DAY_MS + 10_000, 10.0),
    "all of it before the session: the first segment": (NOW_MS - 8 * DAY_MS, NOW_MS - 8 * DAY_MS + 9_000, 2.0),
}


@pytest.mark.parametrize(("start", "end", "duration"), DURATIONS.values(), ids=DURATIONS.keys())
def test_a_window_is_clamped_silently(start: int, end: int, duration: float) -> None:
    studio = Studio()
    asset_id, _ = studio.clip(startTime=start, endTime=end)
    studio.wait(60)
    asset = studio.asset(asset_id)
    assert (asset["status"]["phase"], asset["videoSpec"]["duration"]) == ("ready", duration)


def test_a_clip_that_starts_soon_waits_for_the_recording() -> None:
    studio = Studio()
    asset_id, _ = studio.clip(startTime=NOW_MS + 20_000, endTime=NOW_MS + 25_000)
    studio.wait(26.9)
    assert studio.asset(asset_id)["status"] == {"phase": "processing", "progress": 0, "updatedAt": NOW_MS + 2_000}
    studio.wait(30)
    assert studio.asset(asset_id)["status"]["phase"] == "ready"


# -- failures ----------------------------------------------------------------------------------------------------------


def bad_window(**changes: Any) -> dict[str, Any]:
    return {**WINDOW, **changes}


def refused(detail: str) -> str:
    inner = '{\\"error\\":\\"Invalid Clipping Request\\",\\"error_detail\\":\\"' + detail + '\\"}\\n'
    return f'input error on catalyst request: http status 400 Bad Request: "{inner}"'


BAD_WINDOWS: dict[str, tuple[dict[str, Any], str]] = {
    "no end": (
        {name: value for name, value in WINDOW.items() if name != "endTime"},
        refused(f"clip start time {START} should be after end time 0"),
    ),
    "a negative start": (
        bad_window(startTime=-1),
        refused("clip start time -1 cannot be less than 0"),
    ),
    "seconds": (
        bad_window(startTime=1_772_366_400, endTime=1_772_366_430),
        refused("clip start time 1772366400 is in unix seconds, but should be milliseconds"),
    ),
    "an end in seconds": (
        bad_window(startTime=5, endTime=1_772_366_430),
        refused("clip end time 1772366430 is in unix seconds, but should be milliseconds"),
    ),
}


@pytest.mark.parametrize(("body", "message"), BAD_WINDOWS.values(), ids=BAD_WINDOWS.keys())
def test_a_bad_window_fails_later_and_at_once(body: dict[str, Any], message: str) -> None:
    studio = Studio()
    status, made = studio.send("POST", "/clip", body)
    assert status == 200
    studio.wait(12)
    at = NOW_MS + 12_000
    asset, task = phases(studio, made["asset"]["id"], made["task"]["id"])
    assert asset == {"phase": "failed", "updatedAt": at, "errorMessage": message}
    assert task == {"phase": "failed", "updatedAt": at, "errorMessage": message, "retries": 0}
    assert studio.living() == {}


def test_a_missing_end_stays_missing_in_the_task() -> None:
    studio = Studio()
    _, made = studio.send("POST", "/clip", {name: value for name, value in WINDOW.items() if name != "endTime"})
    strategy = studio.task(made["task"]["id"])["params"]["clip"]["clipStrategy"]
    assert strategy == {"startTime": START, "playbackId": WINDOW["playbackId"]}


def test_a_start_that_is_never_recorded_fails_after_six_minutes() -> None:
    studio = Studio()
    ids = studio.clip(startTime=NOW_MS + DAY_MS, endTime=NOW_MS + DAY_MS + 1_000)
    studio.wait(52)
    first = {"phase": "waiting", "retries": 1, "errorMessage": INTERNAL, "updatedAt": NOW_MS + 52_000}
    assert phases(studio, *ids)[0]["phase"] == "processing"  # the asset shows nothing of the retry
    assert phases(studio, *ids)[1] == first
    studio.wait(30)
    assert phases(studio, *ids)[1] == {"phase": "waiting", "retries": 1, "updatedAt": NOW_MS + 82_000}
    studio.wait(2)
    assert phases(studio, *ids)[1]["phase"] == "running"
    studio.wait(281)
    assert phases(studio, *ids)[1]["phase"] == "running"
    studio.wait(1)
    asset, task = phases(studio, *ids)
    assert asset == {"phase": "failed", "updatedAt": NOW_MS + 366_000, "errorMessage": INTERNAL}
    assert task == {**asset, "retries": 2}


@pytest.mark.parametrize(
    ("playback_id", "url_is_null", "message", "seconds"),
    [("goneystream00000", True, UNREACHABLE, 12), ("nodatestream0000", False, INTERNAL, 246)],
    ids=["the recording is gone: at once", "no program date time: after three attempts"],
)
def test_a_source_that_cannot_be_cut(playback_id: str, url_is_null: bool, message: str, seconds: float) -> None:
    studio = Studio("corners")
    ids = studio.clip(playbackId=playback_id, sessionId="", startTime=NOW_MS - DAY_MS + 1_000, endTime=NOW_MS - DAY_MS + 9_000)
    assert (studio.task(ids[1])["params"]["clip"]["url"] is None) is url_is_null
    studio.wait(seconds - 0.001)
    assert phases(studio, *ids)[0]["phase"] == "processing"
    studio.wait(0.001)
    assert phases(studio, *ids)[0] == {
        "phase": "failed",
        "updatedAt": round(NOW_MS + seconds * 1000),
        "errorMessage": message,
    }


# -- the switches ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("switches", "changes", "asset", "task"),
    [
        ({"clip_outcome": "stuck-waiting"}, {}, "waiting", "waiting"),
        ({"clip_outcome": "stuck-processing"}, {}, "processing", "running"),
        ({"clip_outcome": "failed"}, {}, "failed", "failed"),
        ({"fractional_ms": "stuck"}, {"startTime": START + 0.5}, "waiting", "waiting"),
        ({"fractional_ms": "failed"}, {"startTime": START + 0.5}, "failed", "failed"),
        ({"window_before_session": "failed"}, {"startTime": 10**12, "endTime": 10**12 + 1}, "failed", "failed"),
    ],
    ids=lambda each: "-".join(each.values()) if isinstance(each, dict) and each and isinstance(next(iter(each.values())), str) else "",
)
def test_what_a_switch_makes_of_a_clip(switches: dict[str, str], changes: dict[str, Any], asset: str, task: str) -> None:
    studio = Studio(**switches)
    ids = studio.clip(**changes)
    studio.wait(30 * 86_400)
    found = phases(studio, *ids)
    assert (found[0]["phase"], found[1]["phase"]) == (asset, task)


def test_a_stuck_clip_stays_at_85_percent() -> None:
    studio = Studio(clip_outcome="stuck-processing")
    asset_id, _ = studio.clip()
    studio.wait(3600)
    assert studio.asset(asset_id)["status"]["progress"] == 0.85


def test_durations_are_switches() -> None:
    studio = Studio(queue_seconds="0", clip_seconds="1.5")
    asset_id, _ = studio.clip()
    studio.wait(1.499)
    assert studio.asset(asset_id)["status"]["phase"] == "processing"
    studio.wait(0.001)
    assert studio.asset(asset_id)["status"]["phase"] == "ready"


@pytest.mark.parametrize(("value", "hash_"), [("null", None), ("absent", "absent"), ("present", list)])
def test_the_hash_of_a_ready_clip(value: str, hash_: Any) -> None:
    studio = Studio(ready_hash=value)
    asset_id, _ = studio.clip()
    studio.wait(60)
    found = studio.asset(asset_id).get("hash", "absent")
    assert found == hash_ or (hash_ is list and isinstance(found, list))


def test_a_crash_while_queueing_leaves_a_failed_clip() -> None:
    studio = Studio(create_crash="enqueue")
    assert studio.send("POST", "/clip", WINDOW) == (500, {"errors": ["Internal server error: Error"]})
    _, (asset,) = studio.get("/asset")
    _, (task,) = studio.get("/task")
    assert asset["status"] == {"phase": "failed", "updatedAt": NOW_MS, "errorMessage": "Failed to enqueue task"}
    assert (task["outputAssetId"], task["status"]["phase"]) == (asset["id"], "failed")
    assert studio.living() == {}


def test_a_crash_before_the_task_leaves_an_asset_that_waits_for_good() -> None:
    studio = Studio(create_crash="before-task")
    assert studio.send("POST", "/clip", {**WINDOW, "name": "orphan"})[0] == 500
    studio.wait(30 * 86_400)
    _, (asset,) = studio.get("/asset")
    assert (asset["name"], asset["status"]["phase"]) == ("orphan", "waiting")
    assert studio.get("/task") == (200, [])
    assert sum(len(ids) for ids in studio.living().values()) == 1


def test_a_replica_shows_the_past() -> None:
    studio = Studio(replica_lag_seconds="3")
    asset_id, task_id = studio.clip()
    studio.wait(2.999)
    assert studio.get(f"/asset/{asset_id}") == (404, {"errors": ["Asset not found"]})
    assert studio.get(f"/task/{task_id}")[0] == 404
    assert studio.get("/asset") == (200, [])
    assert studio.send("DELETE", f"/asset/{asset_id}")[0] == 404  # writes look at the replica first, too
    studio.wait(0.001)
    assert studio.asset(asset_id)["status"]["phase"] == "waiting"
    studio.wait(57)
    status, patched = studio.send("PATCH", f"/asset/{asset_id}", {"name": "new"})
    assert (status, patched["name"]) == (200, "new")  # read from the primary
    assert studio.asset(asset_id)["name"] != "new"
    studio.wait(3)
    assert studio.asset(asset_id)["name"] == "new"


def test_a_replica_that_lags_lets_more_than_five_clips_through() -> None:
    studio = Studio(replica_lag_seconds="3")
    for _ in range(9):
        studio.clip()
    studio.wait(3)
    assert studio.send("POST", "/clip", WINDOW)[0] == 403


def test_a_deleted_asset_is_purged_after_a_week() -> None:
    studio = Studio()
    asset_id, _ = studio.clip()
    studio.send("DELETE", f"/asset/{asset_id}")
    studio.wait(7 * 86_400)
    state = studio.emulator.handle(Request.of("GET", "/_emulator/state")).decoded()["livepeer"]
    assert state["assets"][asset_id]["status"]["phase"] == "deleted"


def test_tasks_may_be_forgotten() -> None:
    studio = Studio(task_retention_days="1")
    asset_id, task_id = studio.clip()
    studio.wait(2 * 86_400)
    assert studio.get(f"/task/{task_id}")[0] == 404
    assert studio.asset(asset_id)["status"]["phase"] == "ready"


# -- faults ------------------------------------------------------------------------------------------------------------


def strike(studio: Studio, **rule: Any) -> None:
    studio.world.faults.add([{"action": "POST /clip", **rule}])


@pytest.mark.parametrize(
    ("fault", "status", "body"),
    [
        ("500", 500, b'{"errors":["Internal server error: Error"]}'),
        ("403", 403, b'{"errors":["Too many clips are being processed."]}'),
        ("502", 502, b"<html><body><h1>502 Bad Gateway</h1></body></html>"),
        ("504", 504, b"<html><body><h1>504 Gateway Time-out</h1></body></html>"),
    ],
)
@pytest.mark.parametrize(("when", "made"), [("before", 0), ("after", 1)])
def test_a_fault_before_and_after_the_effect(fault: str, status: int, body: bytes, when: str, made: int) -> None:
    studio = Studio()
    strike(studio, when=when, fault=fault)
    sent = {"authorization": "Bearer lp-emulator-key", "content-type": "application/json"}
    data = str(WINDOW).replace("'", '"').encode()
    answer = studio.emulator.handle(Request.of("POST", "/api/clip", headers=sent, body=data))
    assert (answer.status, answer.body) == (status, body)
    assert len(studio.get("/asset")[1]) == made


def test_a_reset_after_the_effect_leaves_the_clip() -> None:
    studio = Studio()
    strike(studio, when="after", fault="reset")
    studio.send("POST", "/clip", WINDOW)
    assert studio.last.spoil == "reset"
    assert len(studio.get(f"/session/{SESSION}/clips")[1]) == 1
    assert studio.get(f"/asset?filters=%5B%7B%22id%22%3A%22sourcePlaybackId%22%2C%22value%22%3A%22{STREAM}%22%7D%5D") == (200, [])
