"""Clips, assets and tasks of Livepeer Studio: every endpoint with its checks in the published order."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from reconciler.emulator import livepeer_worker
from reconciler.emulator.core import Request
from reconciler.emulator.livepeer_rows import (
    FilterError,
    Row,
    decode_uri_component,
    equals,
    page,
)
from reconciler.emulator.livepeer_views import (
    asset_by_any_id,
    clean,
    recording_url,
    session_now,
    stream_by_any_id,
    stream_by_playback_id,
    with_project,
)
from reconciler.emulator.livepeer_visit import Refusal, Visit, page_of, storable, validate

THROTTLE_WINDOW_MS = 5 * 60 * 1000
_SALT = "salt-of-the-emulator"


# -- clips -------------------------------------------------------------------------------------------------------------


def create_clip(visit: Visit) -> tuple[int, Any]:
    """Every check in the vendor's order; each success is a new asset, whatever was asked before."""
    validate(visit, "POST /clip")
    body, store = visit.body, visit.store
    playback_id = body["playbackId"]
    stream = stream_by_playback_id(store, playback_id)
    if stream is None:
        raise Refusal(404, "Content not found")
    if stream["userId"] != visit.user["id"]:
        raise Refusal(403, "You do not have permission to clip this stream")
    if stream.get("suspended"):
        raise Refusal(404, "Content not found")
    requester = _requester(visit.request, playback_id)
    if _in_flight(visit, requester) >= visit.world.number("livepeer.throttle_in_flight"):
        raise Refusal(403, "Too many clips are being processed.")
    session = _session_to_clip(visit, stream)
    if "endTime" in body and body["endTime"] <= body["startTime"]:
        raise Refusal(422, "endTime must occur after startTime")
    asset = _new_asset(visit, session)
    crash = visit.world.switch("livepeer.create_crash")
    store.put("asset", asset)
    identity = _identity(playback_id, session["id"], body["startTime"], body.get("endTime"))
    store.data["identity"][asset["id"]] = identity
    duplicate = visit.world.ledger.born(identity, asset["id"], at=visit.now)
    visit.world.note(effect=f"created asset {asset['id']}", duplicate=duplicate)
    if crash == "before-task":
        raise Refusal(500, "Internal server error: Error")
    task = _new_task(visit, asset, stream, session, requester)
    store.put("task", task)
    if crash == "enqueue":
        livepeer_worker.fail(visit.world, store, task, "Failed to enqueue task", visit.now)
        raise Refusal(500, "Internal server error: Error")
    livepeer_worker.schedule(visit.world, store, task, visit.now)
    return 200, {"task": {"id": task["id"]}, "asset": clean(asset)}


def _identity(playback_id: str, session_id: str, start: Any, end: Any) -> str:
    return f"clip/{playback_id}/{session_id}/{start}/{end}"


def _requester(request: Request, playback_id: str) -> str:
    """Who counts as one caller: the public address that the proxy reports, hashed, else all callers of the stream."""
    names = ("cf-connecting-ip", "true-client-ip", "x-forwarded-for")
    address = next((request.headers[name] for name in names if request.headers.get(name)), "")
    if not address:
        return f"UNKNOWN-{playback_id}"
    return hashlib.sha256(f"{address}{_SALT}{playback_id}".encode()).hexdigest()


def _in_flight(visit: Visit, requester: str) -> int:
    since = visit.now - THROTTLE_WINDOW_MS
    return sum(
        task["type"] == "clip"
        and task["userId"] == visit.user["id"]
        and task.get("requesterId") == requester
        and task["status"]["phase"] in ("pending", "waiting", "running")
        and task.get("scheduledAt", 0) > since
        for task in visit.store.all("task")
    )


def _session_to_clip(visit: Visit, stream: Row) -> Row:
    wanted = visit.body.get("sessionId")
    if not wanted:
        sessions = [each for each in visit.store.all("session") if each["parentId"] == stream["id"]]
        if not sessions:  # an unhandled error in the vendor's server: it stays until the stream goes live
            raise Refusal(500, "Internal server error: Error")
        return max(sessions, key=lambda each: int(each["createdAt"]))
    session = visit.store.get("session", wanted)
    if session is None:
        raise Refusal(404, "Session not found")
    if session["parentId"] != stream["id"]:
        raise Refusal(404, "The provided session id does not belong to this stream")
    return session


def _new_asset(visit: Visit, session: Row) -> Row:
    body, now = visit.body, visit.now
    asset_id = visit.world.new_uuid("asset")
    playback_id = asset_id[:4] + _base36(visit.world.new_id("playback"))[:12]
    asset: Row = {"id": asset_id, "playbackId": playback_id, "userId": visit.user["id"], "createdAt": now}
    if visit.me.key.get("name"):
        asset["createdByTokenName"] = visit.me.key["name"]
    asset |= {
        "status": {"phase": "waiting", "updatedAt": now},
        "name": storable(body.get("name") or f"clip-{playback_id}"),
        "source": {"type": "clip", "playbackId": body["playbackId"], "sessionId": session["id"]},
    }
    if visit.me.project_id:
        asset["projectId"] = visit.me.project_id
    return asset | {"objectStoreId": "vod-public-store"}


def _new_task(visit: Visit, asset: Row, stream: Row, session: Row, requester: str) -> Row:
    body, now = visit.body, visit.now
    window = {name: body[name] for name in ("startTime", "endTime") if name in body}
    clip = {
        "url": recording_url(session),
        "inputId": stream["id"],
        "sessionId": session["id"],
        "sourceObjectStoreId": "recordings-store",
        "clipStrategy": {**window, "playbackId": body["playbackId"]},
    }
    task: Row = {"id": visit.world.new_uuid("task"), "type": "clip", "createdAt": now, "scheduledAt": now}
    task["outputAssetId"] = asset["id"]
    project_id = asset.get("projectId") or visit.user.get("defaultProjectId")
    if project_id:
        task["projectId"] = project_id
    return task | {
        "userId": visit.user["id"],
        "requesterId": requester,
        "params": {"clip": clip},
        "status": {"phase": "waiting", "retries": 0, "updatedAt": now},
    }


def _base36(text: str) -> str:
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    number, turned = int(text, 16), ""
    while number:
        number, digit = divmod(number, 36)
        turned += digits[digit]
    return turned


# -- assets ------------------------------------------------------------------------------------------------------------


def list_assets(visit: Visit) -> tuple[int, Any]:
    fields = visit.world.spec("livepeer").raw["lists"]["asset"]["fields"]
    shorthand = [name for name in ("playbackId", "sourceUrl", "phase") if name in visit.query]
    try:
        named = {name: decode_uri_component(visit.query[name]) for name in shorthand}
    except FilterError:
        raise Refusal(500, "Internal server error: URIError") from None
    tests = [test for name, value in named.items() for test in equals(name, value, fields)]
    cid = visit.query.get("cid")
    rows = (
        row
        for row in visit.store.all("asset")
        if visit.me.sees(row)
        and "deleted" not in row  # a restored asset has deleted: false, and the vendor's lists look for no key at all
        and all(test(row) for test in tests)
        and (not cid or cid == row.get("storage", {}).get("ipfs", {}).get("cid") or row["source"].get("url") == f"ipfs://{cid}")
    )
    found = page_of(visit, rows, "asset")
    details = bool(visit.query.get("details"))
    return 200, [with_project(visit, clean(row, details=details)) for row in found.rows]


def get_asset(visit: Visit) -> tuple[int, Any]:
    asset = visit.store.get("asset", visit.arg)
    if asset is None or asset.get("deleted"):
        raise Refusal(404, "Asset not found")
    if not visit.me.sees(asset):
        raise Refusal(404, "not found")
    return 200, with_project(visit, clean(asset, details=bool(visit.query.get("details"))))


def patch_asset(visit: Visit) -> tuple[int, Any]:
    """Bound to the user but not to the project, and only for ready assets."""
    validate(visit, "PATCH /asset/{id}")
    asset = visit.store.get("asset", visit.arg)
    if asset is None or asset["userId"] != visit.user["id"]:
        raise Refusal(404, "asset not found")
    if asset["status"]["phase"] != "ready":
        raise Refusal(422, "asset is not ready")
    changed: Row = {}
    if "ipfs" in visit.body.get("storage", {}):
        changed["storage"] = _export(visit, asset, visit.body["storage"]["ipfs"])
    policy = visit.body.get("playbackPolicy")
    if policy:
        if _is_private(policy) != _is_private(asset.get("playbackPolicy")):
            raise Refusal(422, "cannot update playback policy from private to public or vice versa")
        if policy["type"] == "webhook":
            text = f"webhook {policy.get('webhookId')} not found"
            raise Refusal(400, text, code="webhook <id> not found")
    if "name" in visit.body:
        changed["name"] = storable(visit.body["name"])
    if "playbackPolicy" in visit.body:
        changed["playbackPolicy"] = policy
    if "creatorId" in visit.body:
        creator = visit.body["creatorId"]
        creator = {"type": "unverified", "value": creator} if isinstance(creator, str) else creator
        changed["creatorId"] = {**creator, "value": storable(creator["value"])}
    status = {**asset["status"], "updatedAt": visit.now}
    updated = visit.store.put("asset", {**asset, **changed, "status": status})
    visit.world.ledger.touched(visit.store.data["identity"].get(asset["id"], ""), asset["id"], at=visit.now)
    visit.world.note(effect=f"updated asset {asset['id']}")
    return 200, with_project(visit, clean(updated))


def _is_private(policy: Row | None) -> bool:
    return bool(policy) and policy is not None and policy["type"] != "public"


def _export(visit: Visit, asset: Row, wanted: Any) -> Any:
    """Storing on IPFS starts a task and is for good. The emulator leaves the export waiting."""
    spec = (wanted.get("spec", {}) if isinstance(wanted, dict) else {}) if wanted else None
    storage = asset.get("storage")
    if spec == ((storage or {}).get("ipfs") or {}).get("spec"):
        return storage
    if spec is None:
        raise Refusal(400, "Cannot remove asset from IPFS")
    now = visit.now
    task = {
        "id": visit.world.new_uuid("task"),
        "type": "export",
        "createdAt": now,
        "scheduledAt": now,
        "inputAssetId": asset["id"],
        **({"projectId": asset["projectId"]} if "projectId" in asset else {}),
        "userId": asset["userId"],
        "params": {"export": {"ipfs": spec}},
        "status": {"phase": "waiting", "retries": 0, "updatedAt": now},
    }
    visit.store.put("task", task)
    return {**(storage or {}), "ipfs": {"spec": spec}, "status": {"phase": "waiting", "tasks": {"pending": task["id"]}}}


def delete_asset(visit: Visit) -> tuple[int, Any]:
    asset = visit.store.get("asset", visit.arg)
    if asset is None:
        raise Refusal(404, "Asset not found")
    if asset["userId"] != visit.user["id"]:
        raise Refusal(403, "users may only delete their own assets")
    if asset["status"]["phase"] == "deleting" or asset.get("deleted"):
        raise Refusal(400, "asset is already deleted")
    gone = {"deleted": True, "deletedAt": visit.now, "status": {"phase": "deleting", "updatedAt": visit.now}}
    visit.store.put("asset", {**asset, **gone})
    visit.store.data["purge"][asset["id"]] = visit.now
    visit.world.ledger.died(visit.store.data["identity"].get(asset["id"], ""), asset["id"], at=visit.now)
    visit.world.note(effect=f"deleted asset {asset['id']}")
    return 204, None


def restore_asset(visit: Visit) -> tuple[int, Any]:
    """The phase becomes ready whatever it was, and `deleted` stays as false: lists never show the asset again."""
    asset = visit.store.get("asset", visit.arg)
    if asset is None:
        raise Refusal(404, "asset not found")
    if asset["userId"] != visit.user["id"]:
        raise Refusal(403, "users may only restore their own assets")
    if not asset.get("deleted"):
        raise Refusal(400, "asset is not deleted")
    if asset["status"]["phase"] != "deleting":
        raise Refusal(400, "asset is not in a restorable state")
    back = {"deleted": False, "deletedAt": None, "status": {"phase": "ready", "updatedAt": visit.now}}
    visit.store.put("asset", {**asset, **back})
    identity = visit.store.data["identity"].get(asset["id"], "")
    visit.world.ledger.born(identity, asset["id"], at=visit.now, event="restored")
    visit.world.note(effect=f"restored asset {asset['id']}")
    return 204, None


def retry_asset(visit: Visit) -> tuple[int, Any]:
    asset = visit.store.get("asset", visit.arg)
    if asset is None:  # the vendor's server reads a member of nothing here
        raise Refusal(500, "Internal server error: TypeError")
    if asset["userId"] != visit.user["id"]:
        raise Refusal(403, "users may only retry their own assets")
    if asset["status"]["phase"] != "failed":
        raise Refusal(400, "Asset is not failed")
    task = next((each for each in visit.store.all("task") if each.get("outputAssetId") == asset["id"]), None)
    if task is None:
        raise Refusal(404, "Task not found")
    _run_again(visit, task)
    return 204, None


# -- tasks -------------------------------------------------------------------------------------------------------------


def list_tasks(visit: Visit) -> tuple[int, Any]:
    found = page_of(visit, (row for row in visit.store.all("task") if visit.me.sees(row)), "task", always_next=True)
    return 200, found.rows


def get_task(visit: Visit) -> tuple[int, Any]:
    task = visit.store.get("task", visit.arg)
    if task is None:
        raise Refusal(404, "not found")
    if task["userId"] != visit.user["id"]:
        raise Refusal(403, "user can only request information on their own tasks")
    return 200, task


def retry_task(visit: Visit) -> tuple[int, Any]:
    task = visit.store.get("task", visit.arg, replica=False)
    if task is None:
        raise Refusal(404, "task not found")
    _must_be_retryable(task)
    if task["userId"] != visit.user["id"]:
        raise Refusal(403, "users may only retry their own tasks")
    _run_again(visit, task)
    return 200, {"id": task["id"]}


def _must_be_retryable(task: Row) -> None:
    if task["status"]["phase"] not in ("failed", "cancelled"):
        raise Refusal(400, "task is not in a retryable state")


def _run_again(visit: Visit, task: Row) -> None:
    """The asset stays failed, with its old message, until the new run has done something for it."""
    _must_be_retryable(task)
    waiting = {"phase": "waiting", "retries": 0, "updatedAt": visit.now}
    again = visit.store.put("task", {**task, "scheduledAt": visit.now, "status": waiting})
    livepeer_worker.schedule(visit.world, visit.store, again, visit.now)
    visit.world.note(effect=f"retried task {task['id']}")


# -- lists of clips ----------------------------------------------------------------------------------------------------


def clips_of_anything(visit: Visit) -> tuple[int, Any]:
    """The dashboard's route: the only list of clips in the clean form."""
    store, wanted = visit.store, visit.arg
    session = store.get("session", wanted)
    stream = None if session else stream_by_any_id(store, wanted)
    asset = None if session or stream else asset_by_any_id(store, wanted)
    if session is not None:
        found = _clips(visit, lambda source: source.get("sessionId") == session["id"])
    elif stream is not None:
        found = _clips_of_latest_sessions(visit, stream)
    elif asset is not None:
        found = _clips(visit, lambda source: source.get("assetId") == asset["id"])
    else:
        raise Refusal(404, "Content not found")
    details = bool(visit.query.get("details"))
    return 200, [clean(row, details=details) for row in found]


def clips_of_stream(visit: Visit) -> tuple[int, Any]:
    stream = stream_by_any_id(visit.store, visit.arg)
    if stream is None:
        raise Refusal(404, "Stream not found")
    return 200, _clips_of_latest_sessions(visit, stream)


def clips_of_session(visit: Visit) -> tuple[int, Any]:
    session = visit.store.get("session", visit.arg)
    if session is None:
        raise Refusal(404, "Session not found")
    return 200, _clips(visit, lambda source: source.get("sessionId") == session["id"])


def clips_of_asset(visit: Visit) -> tuple[int, Any]:
    asset = asset_by_any_id(visit.store, visit.arg)
    if asset is None:
        raise Refusal(404, "Asset not found")
    return 200, [clean(row) for row in _clips(visit, lambda source: source.get("assetId") == asset["id"])]


def _clips_of_latest_sessions(visit: Visit, stream: Row) -> list[Row]:
    """Loses clips, as the vendor does: twenty sessions at most, and the cursor of the clips skips sessions too."""
    fields = visit.world.spec("livepeer").raw["lists"]["session"]["fields"]
    sessions = [session_now(visit, each) for each in visit.store.all("session") if each["parentId"] == stream["id"]]
    narrowed = {"cursor": visit.query.get("cursor", "")}
    latest = page(sessions, narrowed, fields=fields, order="lastSeen-true").rows
    if not latest:
        return []
    ids = {each["id"] for each in latest}
    return _clips(visit, lambda source: source.get("sessionId") in ids)


def _clips(visit: Visit, of: Callable[[Row], bool]) -> list[Row]:
    rows = (
        row
        for row in visit.store.all("asset")
        if row["source"]["type"] == "clip" and of(row["source"]) and visit.me.sees(row) and "deleted" not in row
    )
    return page_of(visit, rows, "clips").rows
