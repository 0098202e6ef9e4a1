"""Two witnesses nobody here wrote: the vendor's own Python SDKs drive the emulator over plain HTTP, from create to delete."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.emulator.core import World
from reconciler.emulator.server import running

pytestmark = pytest.mark.witness

LIVE, RTC = "2023-01-01", "2023-11-01"
APP = {"AppId": "661e0000000000000000543c", "RoomId": "Room2", "TaskId": "Task1"}
TOS = {"Type": 0, "TosConfig": {"AccountId": "2100000001", "Region": 0, "Bucket": "b"}}
SENTENCE = "The task has been started. Please do not call the startup task interface repeatedly"

Caller = Callable[[str, dict[str, Any]], Any]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    """The SDKs sign with the machine's clock, so the world runs on it; no proxy, no credential file of this machine."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("VOLC_ACCESSKEY", "VOLC_SECRETKEY", "VOLCENGINE_ACCESS_KEY", "VOLCENGINE_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return World()


@pytest.fixture
def address(world: World) -> Iterator[str]:
    with running(world) as url:
        yield url.removeprefix("http://")


class CoreSdk:
    """volcenginesdk-core: returns Result, raises ApiException."""

    def __init__(
        self, address: str, *, key: str = "AKLTEMULATOR", secret: str = "emulator-secret", token: str = "", retries: int = 0
    ) -> None:
        reason = "volcenginesdk-core is not installed (pip install volcenginesdk-core)"
        self.sdk = pytest.importorskip("volcenginesdkcore", reason=reason)
        configuration = self.sdk.Configuration()
        configuration.ak, configuration.sk, configuration.region = key, secret, "cn-north-1"
        if token:
            configuration.session_token = token
        configuration.host, configuration.scheme, configuration.auto_retry = address, "http", retries > 0
        configuration.num_max_retries = retries
        self.api = self.sdk.UniversalApi(self.sdk.ApiClient(configuration))
        self.failure = pytest.importorskip("volcenginesdkcore.rest").ApiException

    def __call__(self, action: str, body: dict[str, Any]) -> Any:
        reads = action == "ListPullToPushTask" or action.startswith("Get")
        service, version = ("live", LIVE) if "PullToPush" in action else ("rtc", RTC)
        info = self.sdk.UniversalInfo(
            method="GET" if reads else "POST", service=service, version=version, action=action,
            content_type="text/plain" if reads else "application/json",
        )  # fmt: skip
        return self.api.do_call(info, dict(body))

    def refusal(self, action: str, body: dict[str, Any]) -> tuple[int, str]:
        """HTTP status and error code of a call that must fail."""
        with pytest.raises(self.failure) as caught:
            self(action, body)
        text = caught.value.body or ""
        return caught.value.status, json.loads(text)["ResponseMetadata"]["Error"]["Code"] if text else str(caught.value.reason)


class OlderSdk:
    """volcengine: typed methods for live, the generic base service for rtc. Non-200 raises a bare Exception with the body."""

    def __init__(self, address: str) -> None:
        reason = "volcengine is not installed (pip install volcengine)"
        live = pytest.importorskip("volcengine.live.v20230101.live_service", reason=reason)
        from volcengine.ApiInfo import ApiInfo
        from volcengine.base.Service import Service
        from volcengine.Credentials import Credentials
        from volcengine.ServiceInfo import ServiceInfo

        self.live = live.LiveService(address)
        self.live.set_scheme("http")
        self.live.set_ak("AKLTEMULATOR")
        self.live.set_sk("emulator-secret")
        names = ["Start", "Update", "Stop"]
        actions = [f"{verb}{kind}" for kind in ("Record", "Segment") for verb in names] + ["GetRecordTask", "GetSegmentTask"]
        credentials = Credentials("AKLTEMULATOR", "emulator-secret", "rtc", "cn-north-1")
        infos = {
            name: ApiInfo("GET" if name.startswith("Get") else "POST", "/", {"Action": name, "Version": RTC}, {}, {}) for name in actions
        }
        self.rtc = Service(ServiceInfo(address, {"Accept": "application/json"}, credentials, 5, 5, "http"), infos)

    METHODS = {
        "CreatePullToPushTask": "create_pull_to_push_task",
        "UpdatePullToPushTask": "update_pull_to_push_task",
        "DeletePullToPushTask": "delete_pull_to_push_task",
        "StopPullToPushTask": "stop_pull_to_push_task",
        "ContinuePullToPushTask": "continue_pull_to_push_task",
        "RelaunchPullToPushTask": "relaunch_pull_to_push_task",
        "ListPullToPushTask": "list_pull_to_push_task",
        "ListPullToPushTaskV2": "list_pull_to_push_task_v2",
        "CreatePullToPushGroup": "create_pull_to_push_group",
        "ListPullToPushGroup": "list_pull_to_push_group",
        "DeletePullToPushGroup": "delete_pull_to_push_group",
    }

    def __call__(self, action: str, body: dict[str, Any]) -> Any:
        if action in self.METHODS:
            answer = getattr(self.live, self.METHODS[action])(dict(body))
        elif action.startswith("Get"):
            answer = self.rtc.get(action, dict(body))
        else:
            answer = self.rtc.json(action, {}, json.dumps(body))
        decoded = json.loads(answer) if isinstance(answer, (str, bytes)) else answer
        assert "Error" not in decoded["ResponseMetadata"], decoded
        return decoded.get("Result")

    def refusal(self, action: str, body: dict[str, Any]) -> tuple[int, str]:
        """0 (this SDK hides the status) and the error code of a call that must fail."""
        with pytest.raises(Exception, match="ResponseMetadata") as caught:
            self(action, body)
        raw = caught.value.args[0]
        text = raw.decode() if isinstance(raw, bytes) else str(raw)
        return 0, json.loads(text)["ResponseMetadata"]["Error"]["Code"]


@pytest.fixture(params=[CoreSdk, OlderSdk], ids=["volcenginesdk-core", "volcengine"])
def sdk(request: pytest.FixtureRequest, address: str) -> Any:
    return request.param(address)


def relay(world: World, **changes: Any) -> dict[str, Any]:
    now = world.clock.now_s()
    return {
        "Title": "晚间task1", "StartTime": now + 600, "EndTime": now + 1200, "Type": 0,
        "SrcAddr": "http://pull.example.com/live/1.flv?a=1&b=2", "DstAddr": "rtmp://push.example.com/live/1", **changes,
    }  # fmt: skip


def test_relay_task_from_create_to_delete(sdk: Any, world: World) -> None:
    task_id = sdk("CreatePullToPushTask", relay(world))["TaskId"]
    (item,) = sdk("ListPullToPushTaskV2", {"Page": 1, "Size": 500})["List"]
    assert (item["TaskId"], item["Title"], item["Status"], item["GroupName"]) == (task_id, "晚间task1", "未开始", "default")
    (item,) = sdk("ListPullToPushTask", {"Page": 1, "Size": 20, "Title": "晚间T"})["List"]
    assert item["TaskId"] == task_id
    assert sdk("ListPullToPushTask", {"Page": 1, "Size": 20, "Title": "a+b~c/d e"})["List"] == []  # signed with odd signs
    assert not sdk("UpdatePullToPushTask", relay(world, TaskId=task_id, Title="new"))
    assert not sdk("StopPullToPushTask", {"TaskId": task_id})
    (item,) = sdk("ListPullToPushTaskV2", {})["List"]
    assert (item["Title"], item["Status"]) == ("new", "停用")
    assert not sdk("ContinuePullToPushTask", {"TaskId": task_id})
    assert sdk("ListPullToPushTaskV2", {})["List"][0]["Status"] == "未开始"
    assert not sdk("StopPullToPushTask", {"TaskId": task_id})
    assert not sdk("RelaunchPullToPushTask", {"TaskId": task_id})
    assert not sdk("DeletePullToPushTask", {"TaskId": task_id})
    assert sdk("ListPullToPushTaskV2", {"GroupNames": ["default"]})["List"] == []


def test_groups(sdk: Any) -> None:
    assert not sdk("CreatePullToPushGroup", {"Name": "news", "ProjectName": "default"})
    listing = sdk("ListPullToPushGroup", {"PageNum": 1, "PageSize": 10})
    assert (listing["Total"], listing["List"][0]["Name"]) == (1, "news")
    assert not sdk("DeletePullToPushGroup", {"Name": "news"})


@pytest.mark.parametrize(
    ("action", "changes", "code"),
    [
        ("CreatePullToPushTask", {"Title": "no-hyphen"}, "InvalidParam"),
        ("CreatePullToPushTask", {"StartTime": "soon"}, "InvalidParam.BindError"),
        ("DeletePullToPushTask", {"TaskId": "f" * 32}, "InvalidParam"),
        ("ContinuePullToPushTask", {"TaskId": "f" * 32}, "InvalidParam"),
    ],
)
def test_refusals_of_live(sdk: Any, world: World, action: str, changes: dict[str, Any], code: str) -> None:
    status, said = sdk.refusal(action, relay(world, **changes))
    assert said == code
    assert status in (0, 400)


@pytest.mark.parametrize("kind", ["Record", "Segment"])
def test_session_from_start_to_end(sdk: Any, kind: str) -> None:
    body = {**APP, "StorageConfig": TOS}
    assert sdk(f"Start{kind}", body) == "ok"
    assert sdk(f"Start{kind}", body) == SENTENCE
    assert sdk(f"Get{kind}Task", APP)[f"{kind}Task"]["Status"] == 2
    if kind == "Segment":
        assert sdk("UpdateSegment", {**APP, "Duration": 60, "Identifier": "x", "Handle": False}) == "ok"
        assert sdk("GetSegmentTask", APP)["SegmentTask"]["Duration"] == 60
    assert sdk(f"Stop{kind}", APP) == "ok"
    shown = sdk(f"Get{kind}Task", APP)[f"{kind}Task"]
    assert (shown["Status"], shown["StopReason"]) == (3, "StopByAPI")
    assert sdk.refusal(f"Stop{kind}", APP)[1] == "InvalidParameter.ErrorActiveTaskNotFound"
    assert sdk.refusal(f"Get{kind}Task", {**APP, "TaskId": "Other"})[1] == "InvalidParameter.ErrorActiveTaskNotFound"


def test_update_of_a_custom_layout(sdk: Any) -> None:
    region = {"StreamIndex": 0, "Width": 640, "Height": 480, "Alpha": 0.5}
    layout = {"LayoutMode": 2, "CustomLayout": {"Canvas": {"Width": 640, "Height": 480}, "Regions": [region]}}
    streams = {"StreamList": [{"Index": 0, "UserId": "host"}]}
    assert sdk("StartRecord", {**APP, "StorageConfig": TOS, "TargetStreams": streams, "Layout": layout}) == "ok"
    assert sdk("UpdateRecord", {**APP, "TargetStreams": streams, "Layout": layout}) == "ok"
    assert sdk.refusal("UpdateRecord", {**APP, "TargetStreams": {"StreamList": []}})[1] == "InvalidParameter"


def test_an_error_in_http_200_is_an_error_to_the_newer_sdk(address: str, world: World) -> None:
    world.set_switches({"live.not_found": "200-commonerr"})
    sdk = CoreSdk(address)
    with pytest.raises(sdk.failure) as caught:
        sdk("DeletePullToPushTask", {"TaskId": "f" * 32})
    assert caught.value.status == 200
    assert "CommonErr" in str(caught.value.reason)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"secret": "wrong"}, (401, "SignatureDoesNotMatch")),
        ({"key": "AKLTNOBODY"}, (401, "InvalidAccessKey")),
        ({"key": "AKTPEMULATOR", "secret": "emulator-sts"}, (401, "InvalidSecretToken")),
        ({"key": "AKTPEMULATOR", "secret": "emulator-sts", "token": "STSother"}, (401, "InvalidSecretToken")),
        ({"key": "AKLTREADONLY", "secret": "emulator-readonly"}, (403, "AccessDenied")),
    ],
)
def test_credentials(address: str, world: World, options: dict[str, Any], expected: tuple[int, str]) -> None:
    assert CoreSdk(address, **options).refusal("CreatePullToPushTask", relay(world)) == expected


def test_temporary_credentials_and_clock(address: str, world: World) -> None:
    sdk = CoreSdk(address, key="AKTPEMULATOR", secret="emulator-sts", token="STSemulator")
    assert sdk("CreatePullToPushTask", relay(world))["TaskId"]
    world.set_switches({"live.clock_offset": "1000"})
    assert sdk.refusal("ListPullToPushTaskV2", {}) == (403, "InvalidTimestamp")


def test_the_newer_sdk_repeats_a_create_whose_answer_was_lost(address: str, world: World) -> None:
    """Why a create must never be repeated blindly: two tasks, and the ledger saw both."""
    sdk = CoreSdk(address, retries=1)
    world.faults.add([{"action": "CreatePullToPushTask", "when": "after", "fault": "500"}])
    sdk("CreatePullToPushTask", relay(world))
    assert world.ledger.most("live/") == 2
    assert [call.duplicate for call in world.log] == [False, True]
