"""What a recording or a slicing task may look like: decoding, silent correction, and the rules between fields."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping
from typing import Any

from reconciler.emulator.core import Request, World
from reconciler.emulator.gateway import Refusal
from reconciler.emulator.schema import Schema, Violation
from reconciler.emulator.specs import Action

Body = dict[str, Any]
MIXED, CUSTOM_LAYOUT = 0, 2


def decode(request: Request, action: Action, world: World) -> tuple[Body, list[str]]:
    """The body (or the query of a GET), nulls dropped, and the keys nobody knows. The order of checks is the vendor's:
    empty body, JSON and types, AppId, other ids, values."""
    if action.method == "GET":
        sent = {name: value for name, value in request.query if name not in ("Action", "Version") and name[:2] != "X-"}
    else:
        sent = _json(request)
    found = action.request.check(sent, null_is_absent=True)
    for broken in sorted(found.violations, key=_urgency):
        if broken.keyword == "type":
            raise Refusal("InvalidParameter.Unmarshal", broken.message)
        if broken.path in ("AppId", "RoomId", "TaskId", "StorageConfig") or broken.keyword == "required":
            raise _refusal(broken)
        if world.switch("rtc.illegal_values") == "reject":
            raise _refusal(broken)
    body: Body = without_nulls(sent)
    if found.violations:
        body = _corrected(body, action.request)
    return body, found.unknown_keys


def _json(request: Request) -> Body:
    if not request.body.strip():
        raise Refusal("InvalidParameter.BodyIsEmpty", "body is empty")
    try:
        sent = json.loads(request.body, parse_constant=_no_constant)
    except ValueError:
        raise Refusal("InvalidParameter.Unmarshal", "body is not JSON") from None
    if not isinstance(sent, dict):
        raise Refusal("InvalidParameter.Unmarshal", "body must be an object")
    return sent


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _urgency(broken: Violation) -> int:
    if broken.keyword == "type":
        return 0
    return {"AppId": 1, "RoomId": 2, "TaskId": 2, "BusinessId": 2}.get(broken.path, 3)


def _refusal(broken: Violation) -> Refusal:
    special = {"AppId": "InvalidParameter.IllegalAppId", "RoomId": "InvalidParameter.IllegalRoomID"}
    code = special.get(broken.path, "InvalidParameter") if broken.keyword != "required" else "InvalidParameter"
    return Refusal(code, broken.message)


def without_nulls(value: Any) -> Any:
    """A copy without null members, at any depth."""
    if isinstance(value, dict):
        return {name: without_nulls(each) for name, each in value.items() if each is not None}
    return [without_nulls(each) for each in value] if isinstance(value, list) else value


def _corrected(body: Body, schema: Schema) -> Body:
    """Illegal optional values dropped, so that the default takes their place, as older versions of the API did."""
    fixed = copy.deepcopy(body)
    while (found := schema.check(fixed, null_is_absent=True)).violations:
        broken = found.violations[0]
        if broken.keyword == "required" or not _drop(fixed, broken.path):
            raise _refusal(broken)
    return fixed


def _drop(body: Body, path: str) -> bool:
    steps = path.replace("[", ".[").split(".")
    holder: Any = body
    for step in steps[:-1]:
        holder = holder[int(step[1:-1])] if step.startswith("[") else holder[step]
    last = steps[-1]
    if last.startswith("["):
        del holder[int(last[1:-1])]
        return True
    return holder.pop(last, None) is not None


def check_record(body: Mapping[str, Any]) -> None:
    """The rules of StartRecord that a schema cannot say. Raises Refusal."""
    mode = body.get("RecordMode", MIXED)
    targets, excluded = streams(body, "TargetStreams"), streams(body, "ExcludeStreams")
    unique_indexes(targets, "TargetStreams")
    unique_indexes(excluded, "ExcludeStreams")
    if {_key(each) for each in targets} & {_key(each) for each in excluded}:
        raise Refusal("InvalidParameter", "TargetStreams and ExcludeStreams share a stream")
    if body.get("Layout"):
        if mode != MIXED:
            raise Refusal("InvalidParameter", "Layout needs RecordMode 0")
        check_layout(body["Layout"], targets)
    encode, control = body.get("Encode") or {}, body.get("Control") or {}
    if encode.get("AudioProfile") == 2 and encode.get("AudioChannels", 2) != 2:
        raise Refusal("InvalidParameter", "Encode.AudioProfile 2 needs AudioChannels 2")
    formats = (body.get("FileFormatConfig") or {}).get("FileFormat") or []
    if control.get("EnableSyncUpload") and "HLS" not in formats:
        raise Refusal("InvalidParameter", "Control.EnableSyncUpload needs HLS in FileFormat")
    if {"MP3", "AAC", "M4A"} & set(formats) and control.get("MediaType", 0) != 1:
        raise Refusal("InvalidParameter", "MP3, AAC and M4A need Control.MediaType 1")
    if "MaxSilenceSeconds" in control and mode == MIXED:
        raise Refusal("InvalidParameter", "Control.MaxSilenceSeconds needs RecordMode 1")
    prefix = (body.get("FileNameConfig") or {}).get("Prefix") or []
    if prefix and len("/".join(prefix) + "/") > 128:
        raise Refusal("InvalidParameter", "FileNameConfig.Prefix is longer than 128 characters")
    check_storage(body["StorageConfig"])


def check_segment(body: Mapping[str, Any]) -> None:
    """The rules of StartSegment that a schema cannot say. Raises Refusal."""
    unique_indexes(streams(body, "TargetStreams"), "TargetStreams")
    check_storage(body["StorageConfig"])


def check_layout(layout: Mapping[str, Any], targets: list[Body]) -> None:
    """Layout against the streams it arranges."""
    mode = layout.get("LayoutMode", 0)
    if mode == 1 and not layout.get("MainVideoStream"):
        raise Refusal("InvalidParameter", "LayoutMode 1 needs MainVideoStream")
    if mode != CUSTOM_LAYOUT:
        return
    custom = layout.get("CustomLayout") or {}
    canvas, regions = custom.get("Canvas") or {}, custom.get("Regions") or []
    wanted = sorted(each.get("Index", 0) for each in targets)
    if len(wanted) != len(set(wanted)):
        raise Refusal("InvalidParameter", "a custom layout needs an Index of its own for every stream")
    if not regions or sorted(each["StreamIndex"] for each in regions) != wanted:
        raise Refusal("InvalidParameter", "Regions and TargetStreams.StreamList must correspond one to one")
    width, height = canvas.get("Width", 640), canvas.get("Height", 480)
    for region in regions:
        if region.get("LocationX", 0) >= width or region["Width"] > width:
            raise Refusal("InvalidParameter", "a region is wider than the canvas or outside it")
        if region.get("LocationY", 0) >= height or region["Height"] > height:
            raise Refusal("InvalidParameter", "a region is higher than the canvas or outside it")


def check_storage(storage: Mapping[str, Any]) -> None:
    """Exactly the sub-configuration of the type must be there and complete."""
    kind = storage.get("Type", 0)
    name, needed = {
        0: ("TosConfig", ("AccountId", "Bucket")),
        1: ("VodConfig", ("AccountId", "Space")),
        2: ("CustomConfig", ("Bucket", "AccessKey", "SecretKey")),
    }[kind]
    given = storage.get(name)
    if not given:
        raise Refusal("InvalidParameter", f"StorageConfig.{name} is required for Type {kind}")
    for member in needed:
        if not given.get(member):
            code = "InvalidParameter.EmptyAccountId" if member == "AccountId" else "InvalidParameter"
            raise Refusal(code, f"StorageConfig.{name}.{member} is required")


def streams(body: Mapping[str, Any], name: str) -> list[Body]:
    """The StreamList of a member; empty when it is missing."""
    return list((body.get(name) or {}).get("StreamList") or [])


def unique_indexes(listed: Iterable[Body], name: str) -> None:
    """Index defaults to 0, so two entries without one collide only where a layout refers to them."""
    given = [each["Index"] for each in listed if "Index" in each]
    if len(given) != len(set(given)):
        raise Refusal("InvalidParameter", f"{name}.StreamList has an Index twice")


def _key(stream: Mapping[str, Any]) -> tuple[str, int]:
    return stream["UserId"], stream.get("StreamType", 0)
