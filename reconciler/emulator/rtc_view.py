"""What GetRecordTask and GetSegmentTask show: state and files of a recording, state and settings of a slicing."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from reconciler.emulator.core import World
from reconciler.emulator.gateway import Refusal
from reconciler.emulator.rtc_rooms import DEFAULT_IDLE_SECONDS, heard_before
from reconciler.emulator.rtc_rules import streams

LONGEST_FILE_MS = 4 * 3600 * 1000
NOT_STARTED, RUNNING, FAILED = 1, 2, 4


def nothing_found(member: str, world: World) -> dict[str, Any]:
    """The answer about an unknown identity, or the Refusal."""
    how = world.switch("rtc.get_not_found")
    if how == "error":
        raise Refusal("InvalidParameter.ErrorActiveTaskNotFound", "task does not exist")
    zero = {"StartTime": 0, "EndTime": 0, "Status": 0, "StopReason": ""}
    answers: dict[str, dict[str, Any]] = {"null": {member: None}, "zero": {member: zero}, "absent": {}}
    return answers[how]


def status_of(run: Mapping[str, Any], world: World) -> int:
    """0 unknown, 1 not started, 2 running, 3 ended, 4 failed."""
    if run["ended"]:
        return int(run["status"])
    now = world.clock.now_ms()
    if now < run["started"] + world.number("rtc.start_delay") * 1000:
        return NOT_STARTED
    return RUNNING if heard_before(run, world, now) else int(world.switch("rtc.status_before_stream"))


def record_reply(run: Mapping[str, Any], world: World) -> dict[str, Any]:
    return {"RecordTask": {**_state(run, world), "RecordFileList": _files(run, world)}}


def segment_reply(run: Mapping[str, Any], world: World) -> dict[str, Any]:
    body = run["body"]
    targets = [{"Index": 0, "StreamType": 0, **each} for each in streams(body, "TargetStreams")]
    control = {"Align": False, "Mixed": False, "IgnoreSilence": False, "RedundantDuration": 0}
    shown = {
        "MaxIdleTime": body.get("MaxIdleTime", DEFAULT_IDLE_SECONDS),
        "Duration": body.get("Duration", 20),
        "Handle": body.get("Handle", True),
        "Identifier": body["Identifier"],
        "TargetStreams": {"StreamList": targets},
        "Control": control | {name: each for name, each in (body.get("Control") or {}).items() if name in control},
        "StorageConfig": _storage(body["StorageConfig"], world),
    }
    return {"SegmentTask": {**_state(run, world), **shown}}


def _state(run: Mapping[str, Any], world: World) -> dict[str, Any]:
    return {
        "StartTime": run["started"],
        "EndTime": run["ended"],
        "Status": status_of(run, world),
        "StopReason": run["reason"],
    }


def _storage(sent: Mapping[str, Any], world: World) -> dict[str, Any]:
    """The storage with its defaults, its secrets as the switch says."""
    shown: dict[str, Any] = {"Type": sent.get("Type", 0)}
    if "TosConfig" in sent:
        tos = sent["TosConfig"]
        shown["TosConfig"] = {"AccountId": tos.get("AccountId", ""), "Region": tos.get("Region", 0)}
        shown["TosConfig"]["Bucket"] = tos.get("Bucket", "")
    if "CustomConfig" in sent:
        custom = sent["CustomConfig"]
        shown["CustomConfig"] = {"Vendor": custom.get("Vendor", 0), "Region": custom.get("Region", 0)}
        shown["CustomConfig"]["Bucket"] = custom.get("Bucket", "")
        how = world.switch("rtc.segment_secrets")
        for name in ("AccessKey", "SecretKey"):
            if how != "absent":
                shown["CustomConfig"][name] = custom.get(name, "") if how == "plain" else "****"
    return shown


def _files(run: Mapping[str, Any], world: World) -> list[dict[str, Any]]:
    """The files of a recording: none before the end, except a synchronously uploaded HLS; cut every four hours."""
    body, now = run["body"], world.clock.now_ms()
    formats = (body.get("FileFormatConfig") or {}).get("FileFormat") or ["MP4"]
    if run["status"] == FAILED or not heard_before(run, world, now):
        return []
    if not run["ended"]:
        sync = (body.get("Control") or {}).get("EnableSyncUpload") and "HLS" in formats
        return [_file(run, "HLS", run["started"], 0, _recorded(body))] if sync else []
    if now < run["ended"] + world.number("rtc.file_delay") * 1000:
        return []
    files = []
    groups = [[each] for each in _recorded(body)] if body.get("RecordMode") == 1 else [_recorded(body)]
    for listed in groups:
        for name in formats:
            start = run["started"]
            while start < run["ended"]:
                length = min(LONGEST_FILE_MS, run["ended"] - start)
                files.append(_file(run, name, start, length, listed))
                start += length
    return files


def _recorded(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    listed = [{"Index": 0, "StreamType": 0, **each} for each in streams(body, "TargetStreams")]
    return listed or [{"Index": 0, "UserId": "user1", "StreamType": 0}]


def _file(run: Mapping[str, Any], form: str, start: int, length: int, listed: list[dict[str, Any]]) -> dict[str, Any]:
    body = run["body"]
    naming = body.get("FileNameConfig") or {}
    pattern = naming.get("Pattern") or "{TaskId}_{RoomId}_{UserId}_{Type}_{StartTime}_{Duration}"
    values = {
        "TaskId": body["TaskId"],
        "RoomId": body["RoomId"],
        "UserId": listed[0]["UserId"],
        "Type": "S" if listed[0]["StreamType"] else "C",
        "StartTime": start,
        "Duration": f"{length // 1000:06d}",
    }
    suffix = hashlib.sha256(f"{run['id']}{start}{form}{listed[0]['UserId']}".encode()).hexdigest()[:8]
    name = pattern.replace("{Random}", suffix)
    for variable, value in values.items():
        name = name.replace(f"{{{variable}}}", str(value))
    extension = "m3u8" if form == "HLS" else form.lower()
    prefix = "".join(f"{part}/" for part in naming.get("Prefix") or [])
    on_vod = body["StorageConfig"].get("Type", 0) == 1
    canvas = ((body.get("Layout") or {}).get("CustomLayout") or {}).get("Canvas") or body.get("Encode") or {}
    return {
        "Vid": f"v0{suffix}" if on_vod else "",
        "ObjectKey": "" if on_vod else f"{prefix}{name}_{suffix}.{extension}",
        "Duration": length,
        "Size": length * 66,
        "StartTime": start,
        "StreamList": listed,
        "VideoCodec": "H264",
        "AudioCodec": "AAC",
        "VideoWidth": canvas.get("Width", canvas.get("VideoWidth", 640)),
        "VideoHeight": canvas.get("Height", canvas.get("VideoHeight", 480)),
    }
