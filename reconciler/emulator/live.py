"""Volcengine Live's pull-to-push tasks and groups, as of API version 2023-01-01.

A task keeps the whole body as sent, with defaults; what a list shows of it is live_view's business, what may be sent is
live_rules'. Status is never stored: it follows from the clock and the stopped flag.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from reconciler.emulator import gateway
from reconciler.emulator.core import Request, Response, World
from reconciler.emulator.gateway import NO_RESULT, Caller, Refusal
from reconciler.emulator.live_rules import check_task, decode, destination, normal_form
from reconciler.emulator.live_view import DELETED_LIMIT, HISTORY_LIMIT, Register, page, register, status

SEEDS = ("demo",)
DEFAULT_GROUP = "default"

Body = dict[str, Any]
Record = dict[str, Any]
fault_answer = gateway.fault_answer


def handle(request: Request, world: World) -> Response:
    """One signed OpenAPI request."""
    try:
        action, caller = gateway.admit(request, world, "live", hidden=_hidden(world))
        body, unknown = decode(request, action)
        world.note(body=action.request.masked(body), unknown_keys=unknown)
        if (listing := _LISTS.get(action.name)) is not None:
            return page(request, world, caller.account, body, version=listing)
        result = _ACTIONS[action.name](body, world, caller)
        return gateway.succeed(request, world, "live", result)
    except Refusal as refusal:
        return gateway.refuse(request, world, "live", refusal)


def _hidden(world: World) -> list[str]:
    hidden = []
    if world.switch("live.v2_present") == "no":
        hidden.append("ListPullToPushTaskV2")
    if world.switch("live.restart_present") == "no":
        hidden.append("RestartPullToPushTask")
    if world.switch("live.continue_present") == "no":
        hidden += ["ContinuePullToPushTask", "RelaunchPullToPushTask"]
    return hidden


def _nothing(world: World) -> object:
    """The Result of an action that has none."""
    return {"absent": NO_RESULT, "null": None, "empty": "", "object": {}}[world.switch("live.result_style")]


def _soft(world: World, switch: str, message: str) -> Refusal:
    """A refusal whose form nobody documented: 400 InvalidParam, or CommonErr in HTTP 200."""
    if world.switch(switch) == "200-commonerr":
        return Refusal("CommonErr", message, status=200)
    return Refusal("InvalidParam", message)


# -- tasks -----------------------------------------------------------------------------------------------------------


def create_task(body: Body, world: World, caller: Caller) -> object:
    if caller.sub_account and not body.get("GroupName"):
        raise Refusal("RequestForbidden.AccountIDNotAllow", "sub-accounts must send GroupName", status=403)
    check_task(body, world)
    group = body.get("GroupName") or DEFAULT_GROUP
    _refuse_twins(world, caller.account, body)
    _ensure_group(world, caller.account, group)
    record = store(world, caller.account, group, body, task_id=world.new_id("task"), created=world.clock.now_ms())
    identity = identity_of(record)
    duplicate = world.ledger.born(identity, record["id"], at=record["created"])
    world.note(effect=f"created {record['id']}", duplicate=duplicate)
    return {"TaskId": record["id"]}


def store(world: World, account: str, group: str, body: Body, *, task_id: str, created: int) -> Record:
    """Put a task on the shelf, whatever it looks like."""
    record: Record = {"id": task_id, "account": account, "group": group, "created": created, "stopped": False}
    record["body"] = normal_form(body, world)
    _book(world).tasks[task_id] = record
    _book(world).add(record)
    return record


def update_task(body: Body, world: World, caller: Caller) -> object:
    record = _find(body, world, caller)
    old, now = record["body"], world.clock.now_s()
    state = status(record, now, world)
    allowed = {"any": True, "not-ended": state != "已结束", "not-running": state != "生效中"}
    if not allowed[world.switch("live.update_states")]:
        raise _soft(world, "live.wrong_state", f"task in state {state} cannot be updated")
    if body["Type"] != old["Type"] and world.switch("live.type_change") == "reject":
        raise Refusal("InvalidParam", "Type cannot be changed")
    new = _merged(old, body) if world.switch("live.update_semantics") == "merge" else dict(body)
    if world.switch("live.empty_clears") == "no":
        new |= {name: old[name] for name in ("Title", "CallbackURL") if body.get(name) == "" and old[name]}
    check_task(new, world, before=old)
    _refuse_twins(world, caller.account, {**new, "GroupName": record["group"]}, but=record["id"])
    before = identity_of(record)
    remember(record, world)
    record["body"] = normal_form(new, world)
    if state == "已结束" and world.switch("live.update_revives_ended") == "no":
        record["finished"] = True
    _book(world).refresh(record)
    after = identity_of(record)
    if before == after:
        world.ledger.touched(after, record["id"], at=world.clock.now_ms())
    else:
        world.ledger.renamed(before, after, record["id"], at=world.clock.now_ms())
    world.note(effect=f"updated {record['id']}")
    return _nothing(world)


def _merged(old: Mapping[str, Any], body: Body) -> Body:
    """Patch semantics: what is not sent stays. A new source or destination replaces the other spelling of it."""
    new = {**old, **body}
    if body.get("VodSrcAddrs"):
        for name in ("SrcAddrS", "OffsetS", "Offset"):
            new.pop(name, None)
    elif body.get("SrcAddrS"):
        new.pop("VodSrcAddrs", None)
        if "OffsetS" not in body:
            new.pop("OffsetS", None)
    if not body.get("DstAddr") and all(body.get(name) for name in ("Domain", "App", "Stream")):
        new.pop("DstAddr", None)
    return new


def delete_task(body: Body, world: World, caller: Caller) -> object:
    record = _find(body, world, caller)
    if status(record, world.clock.now_s(), world) == "生效中" and world.switch("live.delete_running") == "refuse":
        raise _soft(world, "live.wrong_state", "task is running, stop it first")
    _book(world).remove(record)
    record["deleted"] = world.clock.now_ms()
    graveyard = world.data["live"].setdefault("deleted", [])
    graveyard.append(record)
    del graveyard[:-DELETED_LIMIT]
    world.ledger.died(identity_of(record), record["id"], at=world.clock.now_ms())
    world.note(effect=f"deleted {record['id']}")
    return _nothing(world)


def stop_task(body: Body, world: World, caller: Caller) -> object:
    record = _find(body, world, caller)
    state = status(record, world.clock.now_s(), world)
    return _turn(record, world, stopped=True, legal=state in ("未开始", "生效中"), state=state, effect="stopped")


def continue_task(body: Body, world: World, caller: Caller) -> object:
    record = _find(body, world, caller)
    state = status(record, world.clock.now_s(), world)
    return _turn(record, world, stopped=False, legal=state == "停用", state=state, effect="continued")


def relaunch_task(body: Body, world: World, caller: Caller) -> object:
    record = _find(body, world, caller)
    state = status(record, world.clock.now_s(), world)
    running = state == "生效中" and world.switch("live.relaunch_running") == "accept"
    return _turn(record, world, stopped=False, legal=state == "停用" or running, state=state, effect="relaunched")


def _turn(record: Record, world: World, *, stopped: bool, legal: bool, state: str, effect: str) -> object:
    if not legal:
        if world.switch("live.wrong_state") == "ok":
            return _nothing(world)
        raise _soft(world, "live.wrong_state", f"task in state {state} does not allow this")
    remember(record, world)
    record["stopped"] = stopped
    world.ledger.touched(identity_of(record), record["id"], at=world.clock.now_ms(), event=effect)
    world.note(effect=f"{effect} {record['id']}")
    return _nothing(world)


def remember(record: Record, world: World) -> None:
    """Keep the state that ends now, for reads from a lagging replica."""
    history = record.setdefault("history", [])
    state = {key: record[key] for key in ("group", "body", "stopped", "finished") if key in record}
    history.append([world.clock.now_ms(), state])
    del history[:-HISTORY_LIMIT]


def identity_of(record: Record) -> str:
    """Account, group and title: what a client can find a task by without its id."""
    return f"live/{record['account']}/{record['group']}/{record['body'].get('Title', '')}"


def _find(body: Body, world: World, caller: Caller) -> Record:
    record: Record | None = _book(world).tasks.get(body["TaskId"])
    if record is None:
        raise _soft(world, "live.not_found", "task does not exist")
    if record["account"] != caller.account:
        raise Refusal("RequestForbidden", "the task does not belong to this account", status=403)
    if caller.sub_account and not body.get("GroupName"):
        raise Refusal("RequestForbidden.AccountIDNotAllow", "sub-accounts must send GroupName", status=403)
    if body.get("GroupName") and body["GroupName"] != record["group"]:
        raise Refusal("InvalidParam", "GroupName is not the group of the task")
    return record


def _refuse_twins(world: World, account: str, body: Body, *, but: str = "") -> None:
    title = body.get("Title") if world.switch("live.title_unique") == "yes" else None
    target = destination(body) if world.switch("live.dst_unique") == "yes" else None
    if not title and not target:
        return
    for record in _book(world).tasks.values():
        if record["account"] != account or record["id"] == but:
            continue
        if title and record["body"].get("Title") == title:
            raise Refusal("InvalidParam", "Title is taken by another task")
        if target and destination(record["body"]) == target:
            raise Refusal("InvalidParam", "DstAddr is taken by another task")


# -- groups ----------------------------------------------------------------------------------------------------------


def create_group(body: Body, world: World, caller: Caller) -> object:
    groups = _groups(world, caller.account)
    if groups.get(body["Name"], {}).get("Status") == 0:
        raise Refusal("InvalidParam", "group exists")
    tags = [{"Category": "Custom", **tag} for tag in body.get("Tags") or []]
    groups[body["Name"]] = {"Name": body["Name"], "ProjectName": body["ProjectName"], "Status": 0, "Tags": tags}
    world.note(effect=f"created group {body['Name']}")
    return _nothing(world)


def update_group(body: Body, world: World, caller: Caller) -> object:
    group = _usable_group(body, world, caller)
    if "Tags" in body:
        group["Tags"] = body["Tags"] or []
    world.note(effect=f"updated group {body['Name']}")
    return _nothing(world)


def delete_group(body: Body, world: World, caller: Caller) -> object:
    if body["Name"] == DEFAULT_GROUP:
        raise Refusal("InvalidParam", "the preset group default cannot be deleted")
    group = _usable_group(body, world, caller)
    if _book(world).of_group(caller.account, body["Name"]) and world.switch("live.group_delete_nonempty") == "refuse":
        raise Refusal("InvalidParam", "group has tasks")
    group["Status"] = 1
    world.note(effect=f"deleted group {body['Name']}")
    return _nothing(world)


def list_groups(body: Body, world: World, caller: Caller) -> object:
    wanted = body.get("StatusList") or [0]
    found = [each for each in _groups(world, caller.account).values() if each["Status"] in wanted]
    start = (body["PageNum"] - 1) * body["PageSize"]
    return {"List": found[start : start + body["PageSize"]], "Total": len(found)}


def _usable_group(body: Body, world: World, caller: Caller) -> Record:
    group: Record | None = _groups(world, caller.account).get(body["Name"])
    if group is None or group["Status"] != 0:
        raise _soft(world, "live.not_found", "group does not exist")
    return group


def _groups(world: World, account: str) -> dict[str, Record]:
    groups: dict[str, Record] = world.data["live"].setdefault("groups", {}).setdefault(account, {})
    return groups


def _ensure_group(world: World, account: str, name: str) -> None:
    groups = _groups(world, account)
    if groups.get(name, {}).get("Status") == 0:
        return
    if name != DEFAULT_GROUP and world.switch("live.unknown_group") == "reject":
        raise Refusal("InvalidParam", "GroupName does not exist")
    groups[name] = {"Name": name, "ProjectName": "default", "Status": 0, "Tags": []}


# -- fixtures ----------------------------------------------------------------------------------------------------------


def fixtures(world: World, patch: Mapping[str, Any]) -> None:
    """`tasks`: create bodies that need not be legal, with `TaskId`, `Account`, `Stopped` if wanted; `domains`: the
    account's push domains; `groups`: {account: {name: {...}}}."""
    for each in patch.get("tasks") or []:
        body = dict(each)
        account, stopped = str(body.pop("Account", "2100000001")), bool(body.pop("Stopped", False))
        task_id = str(body.pop("TaskId", "") or world.new_id("task"))
        group = body.pop("GroupName", None) or DEFAULT_GROUP
        _ensure_group(world, account, group)
        record = store(world, account, group, body, task_id=task_id, created=world.clock.now_ms())
        record["stopped"] = stopped
        world.ledger.born(identity_of(record), task_id, at=record["created"], event="seeded")
    if "domains" in patch:
        world.data["live"]["domains"] = list(patch["domains"] or [])
    for account, groups in (patch.get("groups") or {}).items():
        for name, group in groups.items():
            _groups(world, account)[name] = {"Name": name, "ProjectName": "default", "Status": 0, "Tags": [], **group}


def seed(world: World, name: str) -> None:
    """`demo`: three tasks, one running, one to come, one that somebody made by hand; `tasks-N`: N tasks to come."""
    now = world.clock.now_s()
    if name == "demo":
        live = {"Type": 0, "SrcAddr": "http://pull.example.com/live/stream-1.flv"}
        vod = {"Type": 1, "VodSrcAddrs": [{"SrcAddr": "https://vod.example.com/a.mp4"}], "CycleMode": -1}
        push = "rtmp://push.example.com/live/"
        hour = {"StartTime": now - 1800, "EndTime": now + 1800}
        later = {"StartTime": now + 7200, "EndTime": now + 10800}
        tasks = [
            {**live, **hour, "Title": "morningnews", "DstAddr": push + "news"},
            {**vod, **later, "Title": "eveningloop", "DstAddr": push + "loop"},
            {**live, **later, "Title": "madebyhand", "DstAddr": push + "hand", "GroupName": "default"},
        ]
    else:
        count = int(name.rpartition("-")[2])
        tasks = [
            {
                "Title": f"bulk{number:06d}",
                "StartTime": now + 86400,
                "EndTime": now + 90000,
                "Type": 0,
                "SrcAddr": f"http://pull.example.com/live/{number}.flv",
                "DstAddr": f"rtmp://push.example.com/live/{number}",
            }
            for number in range(count)
        ]
    fixtures(world, {"tasks": tasks})


def state(world: World) -> Any:
    """Tasks with their status, and groups."""
    data, now = world.data["live"], world.clock.now_s()
    tasks = [{**each, "status": status(each, now, world)} for each in _book(world).tasks.values()]
    return {"tasks": tasks, "groups": data.get("groups", {}), "domains": data.get("domains", [])}


def _book(world: World) -> Register:
    return register(world)


_LISTS = {"ListPullToPushTask": 1, "ListPullToPushTaskV2": 2}
_ACTIONS: dict[str, Callable[[Body, World, Caller], object]] = {
    "CreatePullToPushTask": create_task,
    "UpdatePullToPushTask": update_task,
    "DeletePullToPushTask": delete_task,
    "StopPullToPushTask": stop_task,
    "ContinuePullToPushTask": continue_task,
    "RestartPullToPushTask": continue_task,
    "RelaunchPullToPushTask": relaunch_task,
    "CreatePullToPushGroup": create_group,
    "UpdatePullToPushGroup": update_group,
    "DeletePullToPushGroup": delete_group,
    "ListPullToPushGroup": list_groups,
}
