"""What the task lists show: status by the clock, the forms of a read, filters, and pages quick at 100,000 tasks.

Items are serialised once and kept without their Status, which is put in when a page is served.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from itertools import islice
from typing import Any
from urllib.parse import quote

from reconciler.emulator import gateway
from reconciler.emulator.core import Request, Response, World
from reconciler.emulator.live_rules import destination

Record = dict[str, Any]
HISTORY_LIMIT = 8
DELETED_LIMIT = 1000
_BEIJING = timezone(timedelta(hours=8))
_LEGACY_STATUS = {"停用": 0, "未开始": 1, "生效中": 2, "已结束": 3}


def status(record: Mapping[str, Any], now: int, world: World) -> str:
    """停用 (stopped), 未开始 (to come), 生效中 (pushing) or 已结束 (over), at `now` in Unix seconds."""
    body = record["body"]
    over = body["EndTime"] <= now or record.get("finished", False)
    if record["stopped"] and not (over and world.switch("live.stopped_after_end") == "ended"):
        return "停用"
    if over:
        return "已结束"
    return "未开始" if now < body["StartTime"] else "生效中"


class Register:
    """The tasks in order of creation, by account and by group, with their serialised forms."""

    def __init__(self, tasks: dict[str, Record]) -> None:
        self.tasks = tasks
        self._accounts: dict[str, dict[str, None]] = {}
        self._groups: dict[tuple[str, str], dict[str, None]] = {}
        self._rendered: dict[tuple[str, int], str] = {}
        self.reads = 0
        for record in tasks.values():
            self.add(record)

    def add(self, record: Record) -> None:
        self._accounts.setdefault(record["account"], {})[record["id"]] = None
        self._groups.setdefault((record["account"], record["group"]), {})[record["id"]] = None

    def remove(self, record: Record) -> None:
        self.tasks.pop(record["id"], None)
        self._accounts[record["account"]].pop(record["id"], None)
        self._groups[record["account"], record["group"]].pop(record["id"], None)
        self.refresh(record)

    def refresh(self, record: Record) -> None:
        """The task changed: forget its serialised forms."""
        for version in (1, 2):
            self._rendered.pop((record["id"], version), None)

    def of_account(self, account: str) -> dict[str, None]:
        return self._accounts.get(account, {})

    def of_group(self, account: str, group: str) -> dict[str, None]:
        return self._groups.get((account, group), {})

    def rendered(self, record: Record, version: int, world: World) -> str:
        """The item as JSON without the closing brace and the Status."""
        key = (record["id"], version)
        text = self._rendered.get(key)
        if text is None:
            text = self._rendered[key] = _open_item(record, version, world)
        return text


def register(world: World) -> Register:
    """The world's register, built again whenever switches or fixtures emptied the cache."""
    found: Register | None = world.cache.get("live")
    if found is None:
        found = world.cache["live"] = Register(world.data["live"].setdefault("tasks", {}))
    return found


def page(request: Request, world: World, account: str, asked: Mapping[str, Any], *, version: int) -> Response:
    """One page of ListPullToPushTask (version 1) or ListPullToPushTaskV2 (version 2)."""
    book = register(world)
    book.reads += 1
    number, size = asked.get("Page", 1), asked.get("Size", 20)
    groups = asked.get("GroupNames") or ([asked["GroupName"]] if asked.get("GroupName") else [])
    start = min((number - 1) * size, len(book.tasks))
    if number > 1:
        start += {"off": 0, "repeat": -1, "skip": 1}[world.switch("live.shifting_pages")]
    if _plain(world) and not asked.get("Title") and len(groups) <= 1:
        ids = book.of_group(account, groups[0]) if groups else book.of_account(account)
        ordered = reversed(ids) if world.switch("live.list_order") == "newest" else iter(ids)
        total, chosen = len(ids), [book.tasks[each] for each in islice(ordered, start, start + size)]
        items = [_close_item(book.rendered(each, version, world), each, world) for each in chosen]
    else:
        found = list(_filtered(world, book, account, groups, str(asked.get("Title", ""))))
        total, chosen = len(found), found[start : start + size]
        items = [_close_item(_open_item(each, version, world), each, world) for each in chosen]
    return _envelope(request, world, items, number=number, size=size, total=total)


def _plain(world: World) -> bool:
    """Whether the list is simply all tasks in order of creation."""
    return (
        world.switch("live.list_order") in ("newest", "oldest")
        and world.number("live.list_lag") == 0
        and world.switch("live.replica") == "off"
        and world.switch("live.ended_retention") == "forever"
    )


def _filtered(world: World, book: Register, account: str, groups: list[str], title: str) -> Iterator[Record]:
    now = world.clock.now_ms()
    visible: Iterable[Record] = book.tasks.values()
    replica = world.switch("live.replica")
    if replica == "lagging" or (replica == "alternating" and book.reads % 2 == 0):
        visible = _as_of(world, book, now - round(world.number("live.replica_lag") * 1000))
    lag, keep = world.number("live.list_lag") * 1000, world.number("live.ended_retention")
    found = [
        record
        for record in visible
        if record["account"] == account
        and (not groups or record["group"] in groups)
        and (not title or title.lower() in record["body"]["Title"].lower())
        and record["created"] + lag <= now
        and record["body"]["EndTime"] + keep > now / 1000
    ]
    order = world.switch("live.list_order")
    if order == "newest":
        found.reverse()
    elif order == "title":
        found.sort(key=lambda record: record["body"]["Title"])
    elif order == "start":
        found.sort(key=lambda record: record["body"]["StartTime"])
    return iter(found)


def _as_of(world: World, book: Register, then: int) -> Iterator[Record]:
    """The tasks as they were at `then` (ms), also those deleted since."""
    for record in (*world.data["live"].get("deleted", []), *book.tasks.values()):
        if record["created"] > then or record.get("deleted", then + 1) <= then:
            continue
        old = next((state for until, state in record.get("history", []) if then < until), None)
        yield {**record, **old} if old is not None else record


# -- one item --------------------------------------------------------------------------------------------------------


def _open_item(record: Record, version: int, world: World) -> str:
    return json.dumps(item(record, version, world), ensure_ascii=False, separators=(",", ":"))[:-1]


def _close_item(text: str, record: Record, world: World) -> str:
    state = status(record, world.clock.now_s(), world)
    old = f',"TaskStatus":{_LEGACY_STATUS[state]}' if world.switch("live.extra_fields") == "on" else ""
    return f'{text},"Status":"{state}"{old}}}'


def item(record: Mapping[str, Any], version: int, world: World) -> dict[str, Any]:
    """The list item without its Status, in the forms the switches ask for."""
    body = record["body"]
    style = world.switch("live.null_style")
    shown: dict[str, Any] = {"Title": body["Title"], "TaskId": record["id"]}
    if version == 2 or world.switch("live.v1_group_name") == "yes":
        shown["GroupName"] = record["group"]
    shown["StartTime"] = _time(body["StartTime"], world)
    shown["EndTime"] = _time(body["EndTime"], world)
    shown["CallbackURL"] = body["CallbackURL"]
    shown["Type"] = body["Type"]
    shown["CycleMode"], shown["PlayTimes"] = _cycle(body, world)
    shown["DstAddr"] = _destination(body, world)
    shown["DstAddrType"] = body["DstAddrType"]
    shown |= _sources(body, style, world)
    shown["PreDownload"], shown["ContinueStrategy"] = body["PreDownload"], body["ContinueStrategy"]
    if body.get("Watermark"):
        shown["Watermark"] = _watermark(body["Watermark"], world)
    elif style == "zero":
        shown["Watermark"] = {"Picture": "", "RelativePosX": 0, "RelativePosY": 0, "Ratio": 0}
    if style == "absent":
        shown = {name: value for name, value in shown.items() if value not in ("", None) and value != []}
    if style == "omitted":
        shown = {name: value for name, value in shown.items() if value}
    if world.switch("live.extra_fields") == "on":
        shown["Owner"] = {"Kind": "emulator"}
    return shown


def _sources(body: Mapping[str, Any], style: str, world: World) -> dict[str, Any]:
    none: dict[str, Any] = {"SrcAddr": None, "SrcAddrS": None, "OffsetS": None, "VodSrcAddrs": None}
    if style == "zero":
        none = {"SrcAddr": "", "SrcAddrS": [], "OffsetS": [], "VodSrcAddrs": []}
    if body["Type"] == 0:
        return {**none, "SrcAddr": body.get("SrcAddr", "")}
    files = body.get("VodSrcAddrs") or [
        {"SrcAddr": address, **({"StartOffset": body["OffsetS"][index]} if body.get("OffsetS") else {})}
        for index, address in enumerate(body.get("SrcAddrS") or [])
    ]
    echo = world.switch("live.vod_echo")
    if echo == "sent":
        echo = "vod" if body.get("VodSrcAddrs") else "legacy"
    shown = dict(none)
    if echo in ("vod", "both"):
        shown["VodSrcAddrs"] = [_file(each, style, world) for each in files]
    if echo in ("legacy", "both"):
        shown["SrcAddrS"] = [each["SrcAddr"] for each in files]
        if any(each.get("StartOffset") for each in files):
            shown["OffsetS"] = [_float(each.get("StartOffset") or 0, world) for each in files]
    return shown


def _file(each: Mapping[str, Any], style: str, world: World) -> dict[str, Any]:
    shown: dict[str, Any] = {"SrcAddr": each["SrcAddr"]}
    for name in ("StartOffset", "EndOffset"):
        if each.get(name) is not None:
            shown[name] = _float(each[name], world)
        elif style not in ("absent", "omitted"):
            shown[name] = 0 if style == "zero" else None
    return shown


def _cycle(body: Mapping[str, Any], world: World) -> tuple[int, int]:
    mode, times = body["CycleMode"], body["PlayTimes"]
    echo = world.switch("live.cycle_echo")
    if echo == "sent" or body["Type"] == 0 or mode == -1:
        return mode, times
    count = times or mode
    return (count, 0) if echo == "cycle" else (0, count)


def _destination(body: Mapping[str, Any], world: World) -> str:
    address = destination(body)
    if not body.get("DstAddr") and world.switch("live.dst_echo") == "query":
        address += "?volcSecret=0f1e2d3c&volcTime=1767225600"
    head, mark, query = address.partition("?")
    if mark and world.switch("live.dst_query") == "masked":
        return f"{head}?***"
    return f"{head}?{quote(query, safe='=&%')}" if mark and world.switch("live.dst_query") == "quoted" else address


def _watermark(sent: Mapping[str, Any], world: World) -> dict[str, Any]:
    shown = {name: _float(value, world) if name != "Picture" else value for name, value in sent.items()}
    echo = world.switch("live.echo_watermark")
    if echo == "absent":
        shown.pop("Picture", None)
    elif echo == "hosted":
        shown["Picture"] = "https://live-watermark.example.com/picture.png"
    return shown


def _float(value: float, world: World) -> float:
    if world.switch("live.float32") == "off":
        return value
    try:
        rounded: float = struct.unpack("f", struct.pack("f", value))[0]
    except OverflowError:
        return value
    return int(rounded) if rounded == int(rounded) else rounded


def _time(seconds: int, world: World) -> str:
    if world.switch("live.time_style") == "untold":
        return ""
    if world.switch("live.time_style") == "Z":
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}Z"
    return f"{datetime.fromtimestamp(seconds, _BEIJING):%Y-%m-%dT%H:%M:%S}+08:00"


def _envelope(request: Request, world: World, items: list[str], *, number: int, size: int, total: int) -> Response:
    meta = gateway.metadata(request, world, "live")
    listing = f'"List":[{",".join(items)}],'
    if not items and world.switch("live.list_empty") != "array":
        listing = '"List":null,' if world.switch("live.list_empty") == "null" else ""
    paging = {"PageCur": number, "PageSize": size, "PageTotal": -(-total // size), "TotalCount": total}
    text = f'{{"ResponseMetadata":{json.dumps(meta)},"Result":{{{listing}"Pagination":{json.dumps(paging)}}}}}'
    headers = {"content-type": "application/json; charset=utf-8", "x-tt-logid": meta["RequestId"]}
    return Response(200, headers, text.encode())
