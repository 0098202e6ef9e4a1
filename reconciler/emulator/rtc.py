"""Volcengine RTC's recording and slicing tasks, as of API version 2023-11-01.

A task is a list of runs under (kind, AppId, RoomId, TaskId); Get shows the newest. What happens by itself (idle
timeout, longest time, drain after Stop) happens in `tick`, in the order of the clock.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from reconciler.emulator import gateway
from reconciler.emulator.core import Request, Response, World, instant_ms
from reconciler.emulator.gateway import NO_RESULT, Caller, Refusal
from reconciler.emulator.rtc_rooms import ends_by_itself, publish, room_of, users_online
from reconciler.emulator.rtc_rules import (
    CUSTOM_LAYOUT,
    check_layout,
    check_record,
    check_segment,
    decode,
    streams,
    unique_indexes,
)
from reconciler.emulator.rtc_view import FAILED, nothing_found, record_reply, segment_reply
from reconciler.emulator.specs import Action

SEEDS = ("demo",)
ENDED = 3

Body = dict[str, Any]
Run = dict[str, Any]
fault_answer = gateway.fault_answer


def handle(request: Request, world: World) -> Response:
    """One signed OpenAPI request."""
    try:
        action, caller = gateway.admit(request, world, "rtc")
    except Refusal as refusal:
        return gateway.refuse(request, world, "rtc", refusal)
    try:
        body, unknown = decode(request, action, world)
        world.note(body=action.request.masked(body), unknown_keys=unknown)
        _check_app(body, action, caller, world)
        return gateway.succeed(request, world, "rtc", _ACTIONS[action.name](body, world, caller))
    except Refusal as refusal:
        result = {"absent": NO_RESULT, "null": None, "empty": "", "object": {}}[world.switch("rtc.failure_result")]
        known = world.spec("rtc").errors.get(refusal.code)
        status = known.status if known is not None else refusal.status
        if world.switch("rtc.error_status") == "200":
            status = 200
        return gateway.refuse(request, world, "rtc", refusal, result=result, status=status)


def _check_app(body: Body, action: Action, caller: Caller, world: World) -> None:
    app = world.data["rtc"].get("apps", {}).get(body["AppId"])
    if app is None:
        if world.switch("rtc.unknown_app") == "reject":
            raise Refusal("InvalidParameter.NotExistAppId", "AppId does not exist")
        return
    if app.get("account", caller.account) != caller.account:
        raise Refusal("AccessDenied.NoPermissionForApp", "the AppId belongs to another account")
    if action.raw.get("kind") == "record" and not app.get("record_enabled", True):
        raise Refusal("AccessDenied.RecordNotEnabled", "recording is not enabled in the console")
    if action.raw.get("kind") == "segment" and not app.get("segment_enabled", True):
        raise Refusal("AccessDenied.ServiceNotEnabled", "slicing is not enabled in the console")


# -- start, update, stop -----------------------------------------------------------------------------------------------


def start_record(body: Body, world: World, caller: Caller) -> object:
    check_record(body)
    return _start("record", body, world, caller)


def start_segment(body: Body, world: World, caller: Caller) -> object:
    check_segment(body)
    return _start("segment", body, world, caller)


def _start(kind: str, body: Body, world: World, caller: Caller) -> object:
    kinds = ("record", "segment") if world.switch("rtc.shared_task_ids") == "yes" else (kind,)
    if any(_active(each, body, world) is not None for each in kinds):
        world.note(duplicate=True)
        sentence = str(world.spec("rtc").raw["already_started_result"])
        how = world.switch("rtc.already_started")
        if how == "error_code":
            raise Refusal("InvalidParameter.TaskAlreadyExists", "task already exists")
        if how == "error_message":
            raise Refusal("InvalidParameter", sentence)
        return sentence
    run = begin(kind, body, world, account=caller.account, started=world.clock.now_ms())
    world.note(effect=f"created {run['id']}", duplicate=False)
    return "ok"


def begin(kind: str, body: Body, world: World, *, account: str, started: int) -> Run:
    """A new run, whatever ran before under its identity. `started` in ms."""
    run: Run = {
        "id": world.new_id(kind),
        "kind": kind,
        "account": account,
        "started": started,
        "ended": 0,
        "status": 0,
        "reason": "",
        "stopping": 0,
        "fails": world.switch("rtc.start_failure") == "on" or bool(room_of(world, body).get("fail")),
        "body": copy.deepcopy(body),
        "slices_closed": 0,
    }
    if kind == "segment":
        run["body"].setdefault("Identifier", world.new_uuid("identifier"))
    _runs(world).setdefault(key_of(kind, body), []).append(run)
    world.cache.pop("rtc", None)
    world.ledger.born(identity_of(run), run["id"], at=started)
    return run


def update_record(body: Body, world: World, _: Caller) -> object:
    run = _must_be_active("record", body, world)
    old = run["body"]
    if old.get("RecordMode", 0) != 0 or (old.get("Layout") or {}).get("LayoutMode", 0) != CUSTOM_LAYOUT:
        raise Refusal("InvalidParameter", "UpdateRecord needs a task with RecordMode 0 and LayoutMode 2")
    new = copy.deepcopy(old)
    reset = world.switch("rtc.update_semantics") == "reset"
    layout = body.get("Layout") or {}
    if layout.get("LayoutMode", 0 if reset and layout else CUSTOM_LAYOUT) != CUSTOM_LAYOUT:
        raise Refusal("InvalidParameter", "Layout.LayoutMode cannot be changed")
    if "TargetStreams" in body or reset:
        new["TargetStreams"] = body.get("TargetStreams") or {}
    custom = new["Layout"].setdefault("CustomLayout", {})
    canvas, sent = custom.setdefault("Canvas", {}), layout.get("CustomLayout") or {}
    for name in ("Background", "BackgroundImage"):
        if name in (sent.get("Canvas") or {}):
            canvas[name] = sent["Canvas"][name]
        elif reset:
            canvas.pop(name, None)
    if "Regions" in sent or reset:
        custom["Regions"] = sent.get("Regions") or []
    unique_indexes(streams(new, "TargetStreams"), "TargetStreams")
    checked = copy.deepcopy(new["Layout"])
    if reset:  # regions are measured on the canvas as sent, 640 x 480 when it was not
        checked["CustomLayout"]["Canvas"] = sent.get("Canvas") or {}
    check_layout(checked, streams(new, "TargetStreams"))
    run["body"] = new
    return _changed(run, world)


def update_segment(body: Body, world: World, _: Caller) -> object:
    run = _must_be_active("segment", body, world)
    new = run["body"]
    if "Duration" in body:  # restarts the timer: the current slice is closed at once
        run["slices_closed"] += 1
    for name in ("Duration", "Identifier", "Handle"):
        if name in body:
            new[name] = body[name]
        elif world.switch("rtc.update_semantics") == "reset":
            new.pop(name, None)
    new.setdefault("Identifier", world.new_uuid("identifier"))
    return _changed(run, world)


def _changed(run: Run, world: World) -> object:
    world.cache.pop("rtc", None)
    world.ledger.touched(identity_of(run), run["id"], at=world.clock.now_ms())
    world.note(effect=f"updated {run['id']}")
    return "ok"


def stop_record(body: Body, world: World, _: Caller) -> object:
    return _stop("record", body, world)


def stop_segment(body: Body, world: World, _: Caller) -> object:
    return _stop("segment", body, world)


def _stop(kind: str, body: Body, world: World) -> object:
    run = _must_be_active(kind, body, world)
    drain = round(world.number("rtc.drain") * 1000)
    run["stopping"] = world.clock.now_ms() + drain
    world.cache.pop("rtc", None)
    world.note(effect=f"stopped {run['id']}")
    if not drain:
        _end(run, world, at=run["stopping"], status=ENDED, reason="StopByAPI")
    return "ok"


def _must_be_active(kind: str, body: Body, world: World) -> Run:
    run = _active(kind, body, world)
    if run is None or run["stopping"]:
        raise Refusal("InvalidParameter.ErrorActiveTaskNotFound", "task does not exist or has stopped")
    return run


# -- reading -----------------------------------------------------------------------------------------------------------


def get_record(body: Body, world: World, _: Caller) -> object:
    run = _readable("record", body, world)
    return record_reply(run, world) if run is not None else nothing_found("RecordTask", world)


def get_segment(body: Body, world: World, _: Caller) -> object:
    run = _readable("segment", body, world)
    return segment_reply(run, world) if run is not None else nothing_found("SegmentTask", world)


def _readable(kind: str, body: Body, world: World) -> Run | None:
    """The newest run that Get can see."""
    now = world.clock.now_ms()
    lag, window = world.number("rtc.get_lag") * 1000, world.number("rtc.window_hours") * 3_600_000
    known = [run for run in _runs(world).get(key_of(kind, body), []) if run["started"] + lag <= now]
    return known[-1] if known and known[-1]["started"] >= now - window else None


def online_users(body: Body, world: World, _: Caller) -> object:
    return users_online(world, body)


# -- what happens by itself --------------------------------------------------------------------------------------------


def tick(world: World) -> None:
    """End the runs whose time has come."""
    now = world.clock.now_ms()
    while True:
        schedule = world.cache.get("rtc")
        if schedule is None:
            schedule = world.cache["rtc"] = sorted(_coming(world), key=lambda each: each[:2])
        if not schedule or schedule[0][0] > now:
            return
        at, _, run, status, reason = schedule.pop(0)
        _end(run, world, at=at, status=status, reason=reason)


def _coming(world: World) -> list[tuple[int, str, Run, int, str]]:
    coming = []
    for runs in _runs(world).values():
        run = runs[-1]
        if run["ended"]:
            continue
        if run["stopping"]:
            coming.append((run["stopping"], run["id"], run, ENDED, "StopByAPI"))
        elif run["fails"]:
            at = run["started"] + round(world.number("rtc.start_delay") * 1000)
            coming.append((at, run["id"], run, FAILED, "StartTaskFailed"))
        elif (end := ends_by_itself(run, world)) is not None:
            coming.append((end[0], run["id"], run, ENDED, end[1]))
    return coming


def _end(run: Run, world: World, *, at: int, status: int, reason: str) -> None:
    run["ended"], run["status"], run["reason"] = max(at, run["started"] + 1), status, reason
    event = "stopped" if reason == "StopByAPI" else "ended"
    world.ledger.died(identity_of(run), run["id"], at=at, event=event)
    world.changed()


# -- where things are ------------------------------------------------------------------------------------------------


def key_of(kind: str, body: Mapping[str, Any]) -> str:
    return f"{kind}/{body['AppId']}/{body['RoomId']}/{body['TaskId']}"


def identity_of(run: Run) -> str:
    return f"rtc/{key_of(run['kind'], run['body'])}"


def _runs(world: World) -> dict[str, list[Run]]:
    runs: dict[str, list[Run]] = world.data["rtc"].setdefault("runs", {})
    return runs


def _active(kind: str, body: Mapping[str, Any], world: World) -> Run | None:
    runs = _runs(world).get(key_of(kind, body))
    return runs[-1] if runs and not runs[-1]["ended"] else None


# -- fixtures ----------------------------------------------------------------------------------------------------------


def fixtures(world: World, patch: Mapping[str, Any]) -> None:
    """`rooms`: {RoomId or AppId/RoomId: {"users": [...], "invisible": [...], "streams": [{"UserId", "StreamType"}],
    "at": when the streams change, "fail": true}} (null: not listed any more); `apps`: {AppId: {"account",
    "record_enabled", "segment_enabled"}}; `tasks`: start bodies with `Kind` (record, segment), `Started`, `Account`."""
    for name, room in (patch.get("rooms") or {}).items():
        publish(world, name, room)
    world.data["rtc"].setdefault("apps", {}).update(patch.get("apps") or {})
    for each in patch.get("tasks") or []:
        body = dict(each)
        kind, account = str(body.pop("Kind")), str(body.pop("Account", "2100000001"))
        begin(kind, body, world, account=account, started=instant_ms(body.pop("Started", world.clock.now_ms())))
    world.cache.pop("rtc", None)


def seed(world: World, _: str) -> None:
    """`demo`: a room with a host who publishes, and a slicing task that somebody else started there."""
    stream = {"UserId": "host", "StreamType": 0}
    storage = {"Type": 0, "TosConfig": {"AccountId": "2100000001", "Region": 0, "Bucket": "demo"}}
    ids = {"AppId": "661e0000000000000000543c", "RoomId": "Room1"}
    fixtures(world, {"rooms": {"Room1": {"users": ["host"], "streams": [stream]}}})
    fixtures(world, {"tasks": [{"Kind": "segment", **ids, "TaskId": "madebyhand", "StorageConfig": storage}]})


_ACTIONS: dict[str, Callable[[Body, World, Caller], object]] = {
    "StartRecord": start_record,
    "UpdateRecord": update_record,
    "StopRecord": stop_record,
    "GetRecordTask": get_record,
    "StartSegment": start_segment,
    "UpdateSegment": update_segment,
    "StopSegment": stop_segment,
    "GetSegmentTask": get_segment,
    "GetRoomOnlineUsers": online_users,
}
