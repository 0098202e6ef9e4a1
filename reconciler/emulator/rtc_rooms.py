"""Rooms: who is in, who publishes since when, and when that ends a task.

A room's `events` are `[ms, streams]`, sorted: from that instant on these streams are published. Rooms that no fixture
names publish everything, or nothing (switch rtc.unlisted_room).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.emulator.core import World, instant_ms
from reconciler.emulator.rtc_rules import streams

DEFAULT_IDLE_SECONDS = 180
Streams = list[dict[str, Any]] | None  # None: whatever anybody could subscribe to is published


def room_of(world: World, ids: Mapping[str, Any]) -> dict[str, Any]:
    """The room's fixture, by `AppId/RoomId` or by `RoomId`; empty when there is none."""
    rooms = world.data["rtc"].get("rooms", {})
    found: dict[str, Any] = rooms.get(f"{ids['AppId']}/{ids['RoomId']}") or rooms.get(ids["RoomId"]) or {}
    return found


def publish(world: World, name: str, room: Mapping[str, Any] | None) -> None:
    """Change a room: members that are given, and from `at` (default now) on its streams."""
    rooms = world.data["rtc"].setdefault("rooms", {})
    if room is None:
        rooms.pop(name, None)
        return
    known = rooms.setdefault(name, {"users": [], "invisible": [], "events": []})
    known.update({key: value for key, value in room.items() if key not in ("streams", "at", "events")})
    if "streams" in room or not known["events"]:
        at = instant_ms(room.get("at", world.clock.now_ms()))
        event = [at, list(room.get("streams") or [])]
        known["events"] = sorted([*known["events"], event], key=lambda each: int(each[0]))


def users_online(world: World, ids: Mapping[str, Any]) -> dict[str, Any]:
    """The answer of GetRoomOnlineUsers."""
    room = room_of(world, ids)
    if not room or room.get("exists") is False:
        return {"RoomExists": False}
    users, invisible = list(room.get("users", [])), list(room.get("invisible", []))
    return {
        "RoomExists": True,
        "TotalUser": len(users),
        "VisibleUserList": users,
        "TotalInvisibleUser": len(invisible),
        "InvisibleUserList": invisible[:10_000],
    }


def ends_by_itself(run: Mapping[str, Any], world: World) -> tuple[int, str] | None:
    """`(ms, reason)` of the end that comes if nobody interferes, None when there is none."""
    body = run["body"]
    control = body.get("Control") or {}
    source = control if run["kind"] == "record" else body
    idle_ms = int(source.get("MaxIdleTime", DEFAULT_IDLE_SECONDS)) * 1000
    ends = []
    if run["kind"] == "record" and control.get("MaxRecordTime"):
        ends.append((run["started"] + control["MaxRecordTime"] * 1000, world.switch("rtc.max_time_reason")))
    for since, until, heard in _stretches(run, world):
        if not heard and (until is None or until - since >= idle_ms):
            ends.append((since + idle_ms, "IdleTimeOut"))
            break
    return min(ends) if ends else None


def heard_before(run: Mapping[str, Any], world: World, now: int) -> bool:
    """Whether a subscribed stream was published at any time since the start."""
    return any(heard and since <= now for since, _, heard in _stretches(run, world))


def _stretches(run: Mapping[str, Any], world: World) -> Iterator[tuple[int, int | None, bool]]:
    """`(from, to, whether something subscribed is published)` since the start; the last `to` is None."""
    unlisted: Streams = None if world.switch("rtc.unlisted_room") == "publishing" else []
    current = unlisted
    marks: list[tuple[int, bool]] = []
    for at, published in room_of(world, run["body"]).get("events", []):
        if at <= run["started"]:
            current = published
        else:
            marks.append((at, _hears(run, published)))
    marks.insert(0, (run["started"], _hears(run, current)))
    merged: list[tuple[int, bool]] = []
    for at, heard in marks:
        if not merged or merged[-1][1] != heard:
            merged.append((at, heard))
    for index, (at, heard) in enumerate(merged):
        yield at, merged[index + 1][0] if index + 1 < len(merged) else None, heard


def _hears(run: Mapping[str, Any], published: Streams) -> bool:
    if published is None:
        return True
    wanted = {(each["UserId"], each.get("StreamType", 0)) for each in streams(run["body"], "TargetStreams")}
    barred = {(each["UserId"], each.get("StreamType", 0)) for each in streams(run["body"], "ExcludeStreams")}
    offered = {(each["UserId"], each.get("StreamType", 0)) for each in published}
    return bool((offered & wanted if wanted else offered) - barred)
