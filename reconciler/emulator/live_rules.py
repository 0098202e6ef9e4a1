"""What a relay task may look like: decoding, the rules between fields, defaults, and where it pushes to."""

from __future__ import annotations

import base64
import binascii
import json
import struct
from collections.abc import Mapping
from typing import Any

from reconciler.emulator.core import Request, World
from reconciler.emulator.gateway import Refusal
from reconciler.emulator.specs import Action

LONGEST_WINDOW = 7 * 86400
IMAGE_BYTES = (100, 2 * 1024 * 1024)
IMAGE_PIXELS = 1080

DEFAULTS = {"Title": "", "CallbackURL": "", "CycleMode": 0, "PlayTimes": 0, "PreDownload": 1, "ContinueStrategy": 0}


def decode(request: Request, action: Action) -> tuple[dict[str, Any], list[str]]:
    """The body (or the query of a GET) without nulls, and the keys nobody knows. Wrong types are BindError, values
    outside the schema InvalidParam."""
    body = _query_body(request, action) if action.method == "GET" else _json_body(request)
    found = action.request.check(body, null_is_absent=True)
    if not found.ok:
        worst = next((each for each in found.violations if each.keyword == "type"), found.violations[0])
        code = "InvalidParam.BindError" if worst.keyword == "type" else "InvalidParam"
        raise Refusal(code, worst.message)
    return {name: value for name, value in body.items() if value is not None}, found.unknown_keys


def _json_body(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(request.body, parse_constant=_no_constant) if request.body.strip() else {}
    except ValueError:
        raise Refusal("InvalidParam.BindError", "body is not JSON") from None
    if not isinstance(body, dict):
        raise Refusal("InvalidParam.BindError", "body must be an object")
    return body


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _query_body(request: Request, action: Action) -> dict[str, Any]:
    """Query parameters as the schema types them; the gateway's own are left out."""
    known = action.request.raw.get("properties", {})
    body: dict[str, Any] = {}
    for name, value in request.query:
        if name in ("Action", "Version") or name.startswith("X-"):
            continue
        if action.request.resolve(known.get(name, {})).get("type") == "integer":
            try:
                body[name] = int(value)
            except ValueError:
                raise Refusal("InvalidParam.BindError", f"{name} must be integer") from None
        else:
            body[name] = value
    return body


def check_task(body: Mapping[str, Any], world: World, *, before: Mapping[str, Any] | None = None) -> None:
    """The rules between fields; `before` is the task as it is, for an update. Raises Refusal(InvalidParam)."""
    _check_window(body, world, before)
    _check_source(body)
    if not body.get("DstAddr") and not all(body.get(name) for name in ("Domain", "App", "Stream")):
        raise Refusal("InvalidParam", "DstAddr, or all of Domain, App and Stream, is required")
    if body.get("Watermark"):
        _check_picture(body["Watermark"]["Picture"])


def _check_window(body: Mapping[str, Any], world: World, before: Mapping[str, Any] | None) -> None:
    start, end, now = body["StartTime"], body["EndTime"], world.clock.now_s()
    kept = before is not None and before["EndTime"] == end
    if end <= start:
        raise Refusal("InvalidParam", "EndTime must be after StartTime")
    if end <= now and not kept:
        raise Refusal("InvalidParam", "EndTime must be later than now")
    if end - start > LONGEST_WINDOW:
        raise Refusal("InvalidParam", "a task lasts at most 7 days")
    moved = before is None or before["StartTime"] != start
    if start < now and moved and world.switch("live.past_start") == "reject":
        raise Refusal("InvalidParam", "StartTime must not be in the past")


def _check_source(body: Mapping[str, Any]) -> None:
    if body["Type"] == 0:
        if not body.get("SrcAddr"):
            raise Refusal("InvalidParam", "SrcAddr is required for Type 0")
        return
    files, legacy = body.get("VodSrcAddrs"), body.get("SrcAddrS")
    if files and (legacy or body.get("OffsetS")):
        raise Refusal("InvalidParam", "VodSrcAddrs must not be sent with SrcAddrS or OffsetS")
    if not files and not legacy:
        raise Refusal("InvalidParam", "VodSrcAddrs or SrcAddrS is required for Type 1")
    if any(not each for each in legacy or ()) or any(not each["SrcAddr"] for each in files or ()):
        raise Refusal("InvalidParam", "a source address is empty")
    if body.get("OffsetS") and len(body["OffsetS"]) != len(legacy or ()):
        raise Refusal("InvalidParam", "OffsetS must have as many entries as SrcAddrS")


def _check_picture(picture: str) -> None:
    try:
        image = base64.b64decode(picture.partition(";base64,")[2], validate=True)
    except (binascii.Error, ValueError):
        raise Refusal("InvalidParam", "Watermark.Picture is not base64") from None
    if not IMAGE_BYTES[0] <= len(image) <= IMAGE_BYTES[1]:
        raise Refusal("InvalidParam", "Watermark.Picture must have 100 bytes to 2 MB")
    if max(_image_size(image)) > IMAGE_PIXELS:
        raise Refusal("InvalidParam", "Watermark.Picture must be at most 1080 x 1080 pixels")


def _image_size(image: bytes) -> tuple[int, int]:
    """Width and height of a PNG or JPEG; (0, 0) when the header does not tell."""
    if image.startswith(b"\x89PNG\r\n\x1a\n") and len(image) >= 24:
        width, height = struct.unpack(">II", image[16:24])
        return width, height
    if image.startswith(b"\xff\xd8"):
        at = 2
        while at + 9 < len(image) and image[at] == 0xFF:
            if 0xC0 <= image[at + 1] <= 0xCF and image[at + 1] not in (0xC4, 0xC8, 0xCC):
                height, width = struct.unpack(">HH", image[at + 5 : at + 9])
                return width, height
            at += 2 + int(struct.unpack(">H", image[at + 2 : at + 4])[0])
    return 0, 0


def normal_form(body: Mapping[str, Any], world: World) -> dict[str, Any]:
    """The task as the server keeps it: defaults filled in, the group kept elsewhere."""
    kept = {name: value for name, value in body.items() if name not in ("TaskId", "GroupName")}
    task = {**DEFAULTS, **kept}
    task["DstAddrType"] = 1 if _host(destination(task)) in world.data["live"].get("domains", []) else 2
    return task


def destination(body: Mapping[str, Any]) -> str:
    """Where the task pushes to; Domain, App and Stream count only without DstAddr."""
    address: str = body.get("DstAddr") or ""
    return address or f"rtmp://{body.get('Domain', '')}/{body.get('App', '')}/{body.get('Stream', '')}"


def _host(url: str) -> str:
    authority = url.partition("://")[2].partition("/")[0].rpartition("@")[2]
    return authority.partition(":")[0].lower()
