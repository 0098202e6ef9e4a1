"""npm `@volcengine/openapi` 1.36.2, the vendor's own Node.js client, signs for and works with the emulated Live and RTC."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from reconciler.emulator import rtc
from reconciler.emulator.core import Clock, World
from reconciler.emulator.server import running

from .witness import HERE, Witness, in_the_stand, node_modules

pytestmark = pytest.mark.witness

NOW_MS = 1_772_366_400_000
NOW = NOW_MS // 1000
KEYS = {"accessKeyId": "AKLTEMULATOR", "secretKey": "emulator-secret"}
STS = {"accessKeyId": "AKTPEMULATOR", "secretKey": "emulator-sts", "sessionToken": "STSemulator"}
SERVICES = {"live": "2023-01-01", "rtc": "2023-11-01"}
RELAY = {
    "Type": 0,
    "Title": "新闻News",
    "SrcAddr": "http://pull.example.com/live/a.flv?token=a+b%20c",
    "DstAddr": "rtmp://push.example.com/live/a",
    "StartTime": NOW + 60,
    "EndTime": NOW + 3600,
}
TASK = {"AppId": "661e0000000000000000543c", "RoomId": "Room1", "TaskId": "Task1"}
STORAGE = {"Type": 0, "TosConfig": {"AccountId": "2100000001", "Region": 0, "Bucket": "demo"}}


@pytest.fixture
def world() -> World:
    planted = World(clock=Clock.frozen_at(NOW_MS))
    rtc.seed(planted, "demo")
    return planted


def talking_to(world: World, keys: dict[str, str], *, off_by_ms: int = 0) -> Iterator[Witness]:
    modules = node_modules()
    with running(world) as url:
        settings = {
            "host": url.removeprefix("http://"),
            "region": "cn-north-1",
            "now": NOW_MS + off_by_ms,
            "services": SERVICES,
            **keys,
        }
        with in_the_stand(["node", HERE / "volcengine_client.cjs"], settings, NODE_PATH=str(modules)) as witness:
            yield witness


@pytest.fixture
def client(world: World) -> Iterator[Witness]:
    yield from talking_to(world, KEYS)


def result(client: Witness, call: str, *args: Any, **named: Any) -> Any:
    body = client.ask(call, *args, **named)["body"]
    assert "Error" not in body["ResponseMetadata"], body
    assert body["ResponseMetadata"]["Action"] == call.partition(".")[2]
    return body.get("Result")


def error(client: Witness, call: str, *args: Any, **named: Any) -> str:
    code: str = client.ask(call, *args, **named)["body"]["ResponseMetadata"]["Error"]["Code"]
    return code


def listed(client: Witness) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = result(client, "live.ListPullToPushTaskV2", {"PageNum": 1, "PageSize": 20})["List"]
    return found


def test_the_life_of_a_relay_task(client: Witness) -> None:
    task_id = result(client, "live.CreatePullToPushTask", RELAY)["TaskId"]
    (task,) = listed(client)
    assert (task["TaskId"], task["Title"], task["SrcAddr"]) == (task_id, RELAY["Title"], RELAY["SrcAddr"])
    by_get = result(client, "live.ListPullToPushTask", query={"Title": RELAY["Title"], "Page": 1, "Size": 20})
    assert [each["TaskId"] for each in by_get["List"]] == [task_id]  # a query that is signed with Chinese letters

    result(client, "live.UpdatePullToPushTask", {**RELAY, "TaskId": task_id, "Title": "late"})
    assert [each["Title"] for each in listed(client)] == ["late"]

    result(client, "live.StopPullToPushTask", {"TaskId": task_id})
    assert [each["TaskId"] for each in listed(client)] == [task_id]
    result(client, "live.DeletePullToPushTask", {"TaskId": task_id})
    assert listed(client) == []


def test_a_relay_task_is_refused(world: World, client: Witness) -> None:
    assert error(client, "live.CreatePullToPushTask", {"Type": 0}) == "InvalidParam"
    assert error(client, "live.DeletePullToPushTask", {"TaskId": "nothing"}) == "InvalidParam"
    assert world.ledger.most("live") == 0


REGIONS = [{"StreamIndex": 1, "LocationX": 0, "LocationY": 0, "Width": 640, "Height": 480}]
CUSTOM: dict[str, Any] = {
    "LayoutMode": 2,
    "CustomLayout": {
        "Canvas": {"Width": 640, "Height": 480, "Background": "#000000"},
        "Regions": REGIONS,
    },
}
TARGETS = {"StreamList": [{"Index": 1, "UserId": "host", "StreamType": 0}]}
KINDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "Record": (
        {"RecordMode": 0, "TargetStreams": TARGETS, "Layout": CUSTOM},
        {"TargetStreams": TARGETS, "Layout": {**CUSTOM, "CustomLayout": {"Regions": REGIONS}}},
    ),
    "Segment": ({"Duration": 20}, {"Duration": 30}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_life_of_a_session(world: World, client: Witness, kind: str) -> None:
    body, change = KINDS[kind]
    start = {**TASK, "StorageConfig": STORAGE, **body}
    assert result(client, f"rtc.Start{kind}", start) == "ok"
    assert "started" in result(client, f"rtc.Start{kind}", start)  # the second start changes nothing
    world.clock.advance(10)
    task = result(client, f"rtc.Get{kind}Task", query=TASK)[f"{kind}Task"]
    assert (task["StartTime"], task["EndTime"]) == (NOW_MS, 0)

    assert result(client, f"rtc.Update{kind}", {**TASK, **change}) == "ok"
    if kind == "Segment":
        assert result(client, "rtc.GetSegmentTask", query=TASK)["SegmentTask"]["Duration"] == 30

    assert result(client, f"rtc.Stop{kind}", TASK) == "ok"
    world.clock.advance(10)
    ended = result(client, f"rtc.Get{kind}Task", query=TASK)[f"{kind}Task"]
    assert (ended["Status"], ended["StopReason"]) == (3, "StopByAPI")
    assert error(client, f"rtc.Stop{kind}", TASK) == "InvalidParameter.ErrorActiveTaskNotFound"


def test_who_is_in_the_room(client: Witness) -> None:
    users = result(client, "rtc.GetRoomOnlineUsers", query={"AppId": TASK["AppId"], "RoomId": TASK["RoomId"]})
    assert users["VisibleUserList"] == ["host"]


def test_temporary_keys_sign_too(world: World) -> None:
    for client in talking_to(world, STS):
        assert result(client, "live.CreatePullToPushTask", RELAY)["TaskId"]


def test_the_read_only_pair_writes_nothing(world: World) -> None:
    for client in talking_to(world, {"accessKeyId": "AKLTREADONLY", "secretKey": "emulator-readonly"}):
        assert listed(client) == []
        assert error(client, "live.CreatePullToPushTask", RELAY) == "AccessDenied"
    assert world.ledger.most("live") == 0


@pytest.mark.parametrize(
    ("keys", "off_by_ms", "code"),
    [
        ({**KEYS, "secretKey": "wrong"}, 0, "SignatureDoesNotMatch"),
        ({**KEYS, "accessKeyId": "AKLTnobody"}, 0, "InvalidAccessKey"),
        ({**STS, "sessionToken": "other"}, 0, "InvalidSecretToken"),
        (KEYS, -3_600_000, "InvalidTimestamp"),
    ],
    ids=["a wrong secret", "an unknown key", "a wrong token", "a clock an hour behind"],
)
def test_a_bad_signature_is_refused(world: World, keys: dict[str, str], off_by_ms: int, code: str) -> None:
    for client in talking_to(world, keys, off_by_ms=off_by_ms):
        assert error(client, "live.ListPullToPushTaskV2", {"PageNum": 1, "PageSize": 20}) == code
