"""Three vendors on one loopback port, written from their documentation alone, with habits that can be switched.

It shares nothing with `reconciler.emulator`: what a reader of the vendors' pages may legitimately expect to meet (other key
orders, null for absent, another offset, masked echoes, short pages) is a switch, so that no client can be right by accident.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import struct
import threading
import time
import urllib.parse
import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

AK, SK, TOKEN = "AKLTaccept", "sk-accept-very-secret", "lp-accept-very-secret"
PLAYBACK, STREAM, STREAM_KEY = "eaw4nk06ts2d0mzb", "5eed5eed-0000-4000-8000-000000000001", "stream-key-very-secret"

SWITCHES: dict[str, Any] = {
    "extra": False,  # unknown members in every object
    "reverse": False,  # members in reverse order
    "empty": "null",  # members that do not apply: null | absent | zero
    "offset": "+08:00",  # of the live API's instants; or Z, or nothing, which is UTC
    "dst": "same",  # how DstAddr comes back: same | masked | stripped | port | upper
    "files": "vod",  # a play list comes back as: vod | legacy | both
    "watermark": "full",  # full | bare (no picture) | url | none
    "float32": False,
    "numbers": "same",  # of what is read: same | text | float
    "omit": False,  # zeros, false and what is empty left out of what is read
    "update": "replace",  # an omitted member of Update: replace | merge
    "live_missing": (400, "InvalidParam"),
    "page_cap": 500,  # no page is longer, whatever was asked
    "total": True,  # TotalCount, X-Total-Count
    "shuffle": False,  # another order on every page
    "v2": True,
    "continue": True,
    "nothing": "absent",  # Result where there is none: absent | null | text | object
    "empty_list": "list",  # list | null | absent
    "get_missing": "error",  # error | error200 | code404 | null | absent | zero | empty
    "stop_missing": (400, "InvalidParameter.ErrorActiveTaskNotFound"),
    "again": "result",  # Start of a running task: result | error | message
    "secrets": "plain",  # GetSegmentTask's keys: plain | masked | absent
    "warming": 0.0,  # seconds with Status 1
    "drain": 0.0,  # seconds a stopped session still reads as running
    "ready": 0.0,  # seconds until a clip is ready; negative: never
    "fail": "",  # a clip fails with this message
    "clamp": 0.0,  # seconds the made clip is shorter
    "delete_missing": 400,
    "lag": 0.0,  # seconds until a new asset or task is listed
    "link": "http",  # http | foreign | none
}


@dataclass(frozen=True)
class Seen:
    action: str
    body: dict[str, Any]
    status: int | str
    at: float
    signed: bool = True


@dataclass
class Fault:
    action: str
    kind: str  # reset | status | half | hang
    after: bool
    left: int
    status: int = 500
    body: str = "<html><body><h1>502 Bad Gateway</h1></body></html>"
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


class Wrong(Exception):
    def __init__(self, status: int, code: str, message: str = "no", **more: Any) -> None:
        self.status, self.code, self.message, self.more = status, code, message, more


class Fake:
    def __init__(self, **switches: Any) -> None:
        unknown = set(switches) - set(SWITCHES)
        assert not unknown, unknown
        self.switch = {**SWITCHES, **switches}
        self.calls: list[Seen] = []
        self.faults: list[Fault] = []
        self.lock = threading.RLock()
        self.relays: dict[str, dict[str, Any]] = {}
        self.runs: dict[tuple[str, str, str, str], list[dict[str, Any]]] = defaultdict(list)
        self.assets: dict[str, dict[str, Any]] = {}
        self.tasks: dict[str, dict[str, Any]] = {}
        self.sessions: dict[str, dict[str, Any]] = {}
        self.clock = 0.0
        self.turn = 0
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def now(self) -> float:
        return time.time() + self.clock

    def fault(self, action: str, kind: str = "reset", *, after: bool = False, times: int = 1, **more: Any) -> None:
        self.faults.append(Fault(action, kind, after, times, **more))

    def session(self, start: float, end: float) -> str:
        made = str(uuid.uuid4())
        self.sessions[made] = {
            "id": made, "parentId": STREAM, "playbackId": PLAYBACK, "name": "s", "createdAt": int(start * 1000),
            "lastSeen": int(end * 1000), "record": True, "recordingStatus": "ready",
            "sourceSegmentsDuration": end - start, "sourceSegments": 10,
        }  # fmt: skip
        return made

    # What the tests ask of it

    def writes(self, since: int = 0) -> list[str]:
        reads = re.compile(r"List|Get|GET ")
        return [call.action for call in self.calls[since:] if not reads.match(call.action)]

    def count(self, action: str) -> int:
        return sum(call.action == action for call in self.calls)

    def running(self, kind: str | None = None) -> list[tuple[str, str, str, str]]:
        return [key for key, runs in self.runs.items() for run in runs if not run["end"] and kind in (None, key[0])]

    def clips(self) -> list[dict[str, Any]]:
        return [asset for asset in self.assets.values() if not asset["deleted"]]

    # Live

    def live(self, action: str, body: dict[str, Any]) -> Any:
        at = self.now()
        if action == "CreatePullToPushTask":
            self.check_relay(body)
            made = uuid.uuid4().hex
            self.relays[made] = {"GroupName": "default", **body, "TaskId": made, "stopped": False}
            return {"TaskId": made}
        if action in ("ListPullToPushTaskV2", "ListPullToPushTask"):
            if action.endswith("V2") and not self.switch["v2"]:
                raise Wrong(404, "InvalidActionOrVersion", CodeN=100008)
            return self.list_relays(action, body)
        if action == "ContinuePullToPushTask" and not self.switch["continue"]:
            raise Wrong(404, "InvalidActionOrVersion", CodeN=100008)
        if action == "RestartPullToPushTask" and self.switch["continue"]:
            raise Wrong(404, "InvalidActionOrVersion", CodeN=100008)
        task = self.relays.get(body.get("TaskId", ""))
        if task is None:
            raise Wrong(*self.switch["live_missing"])
        if action == "DeletePullToPushTask":
            del self.relays[body["TaskId"]]
        elif action == "StopPullToPushTask":
            if task["stopped"] or at >= task["EndTime"]:
                raise Wrong(400, "InvalidParam", "task state")
            task["stopped"] = True
        elif action in ("ContinuePullToPushTask", "RestartPullToPushTask"):
            if not task["stopped"]:
                raise Wrong(400, "InvalidParam", "task state")
            task["stopped"] = False
        elif action == "UpdatePullToPushTask":
            self.check_relay(body, update=True)
            if body.get("GroupName", task["GroupName"]) != task["GroupName"]:
                raise Wrong(400, "InvalidParam", "GroupName")
            kept = {"TaskId": task["TaskId"], "GroupName": task["GroupName"], "stopped": task["stopped"]}
            base = task if self.switch["update"] == "merge" else {}
            self.relays[body["TaskId"]] = {**base, **body, **kept}
        else:
            raise Wrong(404, "InvalidActionOrVersion", CodeN=100008)
        return None

    def check_relay(self, body: dict[str, Any], update: bool = False) -> None:
        def need(holds: bool, name: str) -> None:
            if not holds:
                raise Wrong(400, "InvalidParam", name)

        for name in ("StartTime", "EndTime", "Type"):
            need(isinstance(body.get(name), int) and not isinstance(body.get(name), bool), name)
        need(body["StartTime"] < body["EndTime"], "EndTime")
        need(body["EndTime"] - body["StartTime"] <= 7 * 86400, "7 days")
        need(update or body["EndTime"] > self.now(), "EndTime is over")
        title = body.get("Title") or ""
        need(not title or re.fullmatch(r"[A-Za-z0-9一-鿿]{1,20}", title) is not None, "Title")
        if body["Type"] == 0:
            need(bool(body.get("SrcAddr")) and len(body["SrcAddr"]) <= 1000, "SrcAddr")
        else:
            vod, old = body.get("VodSrcAddrs"), body.get("SrcAddrS")
            need(bool(vod) != bool(old), "VodSrcAddrs")
            need(not (vod and body.get("OffsetS")), "OffsetS")
            need(1 <= len(vod or old or ()) <= 30, "30")
            need("CycleMode" in body, "CycleMode")
        need(bool(body.get("DstAddr")) or all(body.get(name) for name in ("Domain", "App", "Stream")), "DstAddr")
        need(len(body.get("CallbackURL") or "") <= 512, "CallbackURL")
        mark = body.get("Watermark")
        if mark:
            need({"Picture", "RelativePosX", "RelativePosY", "Ratio"} <= set(mark), "Watermark")
            need(mark["Picture"].startswith("data:image/"), "Picture")

    def list_relays(self, action: str, body: dict[str, Any]) -> Any:
        groups = body.get("GroupNames") or ([body["GroupName"]] if body.get("GroupName") else [])
        rows = [task for task in self.relays.values() if not groups or task["GroupName"] in groups]
        if body.get("Title"):
            rows = [task for task in rows if body["Title"].lower() in (task.get("Title") or "").lower()]
        self.turn += 1
        if self.switch["shuffle"] and self.turn % 2:
            rows.reverse()
        page, size = int(body.get("Page") or 1), min(int(body.get("Size") or 20), self.switch["page_cap"])
        cut = rows[(page - 1) * size : page * size]
        made: dict[str, Any] = {"List": [self.show_relay(task, action) for task in cut]}
        if not rows and self.switch["empty_list"] != "list":
            made = {"List": None} if self.switch["empty_list"] == "null" else {}
        pages: dict[str, int] = {"PageCur": page, "PageSize": size, "PageTotal": -(-len(rows) // size)}
        if self.switch["total"]:
            pages["TotalCount"] = len(rows)
        return {**made, "Pagination": pages}

    def show_relay(self, task: dict[str, Any], action: str) -> dict[str, Any]:
        at = self.now()
        state = "生效中" if task["StartTime"] <= at else "未开始"
        state = "已结束" if at >= task["EndTime"] else "停用" if task["stopped"] else state
        shown: dict[str, Any] = {
            "TaskId": task["TaskId"], "Title": task.get("Title", ""), "StartTime": self.instant(task["StartTime"]),
            "EndTime": self.instant(task["EndTime"]), "Type": task["Type"], "DstAddr": self.destination(task),
            "DstAddrType": 2, "Status": state, "CallbackURL": task.get("CallbackURL", ""),
        }  # fmt: skip
        if action.endswith("V2"):
            shown["GroupName"] = task["GroupName"]
        nothing: dict[str, Any] = {
            "SrcAddr": "", "SrcAddrS": [], "OffsetS": [], "VodSrcAddrs": [], "CycleMode": 0, "PlayTimes": 0,
            "PreDownload": 0, "ContinueStrategy": 0, "Watermark": {},
        }  # fmt: skip
        if task["Type"] == 0:
            shown["SrcAddr"] = task["SrcAddr"]
        else:
            vod = task.get("VodSrcAddrs") or [{"SrcAddr": one} for one in task["SrcAddrS"]]
            if self.switch["files"] in ("vod", "both"):
                zero = {"null": None, "zero": 0}
                blank = dict.fromkeys(("StartOffset", "EndOffset"), zero[style]) if (style := self.switch["empty"]) in zero else {}
                shown["VodSrcAddrs"] = [{**blank, **{k: self.number(v) for k, v in one.items() if v}} for one in vod]
            if self.switch["files"] in ("legacy", "both"):
                shown["SrcAddrS"] = [one["SrcAddr"] for one in vod]
                shown["OffsetS"] = [self.number(one.get("StartOffset", 0.0)) for one in vod]
            shown |= {"CycleMode": task.get("CycleMode", 0), "PlayTimes": task.get("PlayTimes", 0)}
            shown |= {"PreDownload": task.get("PreDownload", 1), "ContinueStrategy": task.get("ContinueStrategy", 0)}
        if task.get("Watermark") and self.switch["watermark"] != "none":
            mark = {key: self.number(value) for key, value in task["Watermark"].items()}
            if self.switch["watermark"] == "bare":
                del mark["Picture"]
            elif self.switch["watermark"] == "url":
                mark["Picture"] = "https://img.vendor.example/w/1.png"
            shown["Watermark"] = mark
        for name, blank in nothing.items():
            if name not in shown and self.switch["empty"] != "absent":
                shown[name] = None if self.switch["empty"] == "null" else blank
        return shown

    def instant(self, seconds: int) -> str:
        offset = self.switch["offset"]
        if offset in ("Z", ""):
            return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S") + offset
        sign = -1 if offset[0] == "-" else 1
        zone = timezone(sign * timedelta(hours=int(offset[1:3]), minutes=int(offset[4:6])))
        return datetime.fromtimestamp(seconds, zone).isoformat()

    def number(self, value: Any) -> Any:
        if isinstance(value, float) and self.switch["float32"]:
            return struct.unpack("f", struct.pack("f", value))[0]
        return value

    def destination(self, task: dict[str, Any]) -> str:
        whole = task.get("DstAddr") or f"rtmp://{task['Domain']}/{task['App']}/{task['Stream']}"
        url = urllib.parse.urlsplit(whole)
        how = self.switch["dst"]
        if how == "masked" and url.query:
            query = "&".join(f"{part.partition('=')[0]}=***" for part in url.query.split("&"))
            return urllib.parse.urlunsplit(url._replace(query=query))
        if how == "stripped":
            return urllib.parse.urlunsplit(url._replace(query=""))
        if how == "port" and url.port is None:
            port = {"rtmp": 1935, "rtmps": 443, "http": 80, "https": 443}.get(url.scheme, 1935)
            return urllib.parse.urlunsplit(url._replace(netloc=f"{url.netloc}:{port}"))
        if how == "upper":
            return urllib.parse.urlunsplit(url._replace(netloc=url.netloc.upper()))
        return whole

    def told(self, value: Any) -> Any:
        """What is read, as another JSON library might write it."""
        if isinstance(value, dict):
            parts = {name: self.told(part) for name, part in value.items()}
            return {name: part for name, part in parts.items() if part not in (0, "", "0", None, [], {})} if self.switch["omit"] else parts
        if isinstance(value, list):
            return [self.told(part) for part in value]
        if isinstance(value, bool) or not isinstance(value, int | float):
            return value
        return {"same": value, "text": str(value), "float": float(value)}[self.switch["numbers"]]

    # RTC

    def rtc(self, action: str, body: dict[str, Any]) -> Any:
        at = self.now()
        kind = "segment" if "Segment" in action else "record"
        key = (kind, str(body.get("AppId", "")), str(body.get("RoomId", "")), str(body.get("TaskId", "")))
        runs = self.runs[key]
        for run in runs:
            if run["stopping"] and not run["end"] and at >= run["stopping"] + self.switch["drain"]:
                run["end"], run["reason"] = run["stopping"] + self.switch["drain"], "StopByAPI"
        live = next((run for run in reversed(runs) if not run["end"]), None)
        if action in ("StartRecord", "StartSegment"):
            self.check_start(kind, body)
            if live is not None:
                said = "The task has been started. Please do not call the startup task interface repeatedly"
                if self.switch["again"] == "result":
                    return said
                raise Wrong(400, "InvalidParameter.TaskAlreadyExists" if self.switch["again"] == "error" else "Odd", said)
            runs.append({"body": body, "start": at, "end": 0.0, "reason": "", "stopping": 0.0})
            return "ok"
        if action in ("GetRecordTask", "GetSegmentTask"):
            newest = next((run for run in reversed(runs) if run["start"] > at - 72 * 3600), None)
            return self.show_run(kind, newest, at)
        if live is None or live["stopping"]:
            raise Wrong(*self.switch["stop_missing"])
        if action in ("StopRecord", "StopSegment"):
            live["stopping"] = at
            if not self.switch["drain"]:
                live["end"], live["reason"] = at, "StopByAPI"
            return "ok"
        if action == "UpdateRecord":
            if live["body"].get("RecordMode", 0) != 0 or live["body"].get("Layout", {}).get("LayoutMode") != 2:
                raise Wrong(400, "InvalidParameter", "not a custom layout")
            live["body"] = {**live["body"], "TargetStreams": body["TargetStreams"], "Layout": body["Layout"]}
            return "ok"
        if action == "UpdateSegment":
            fresh = {"Duration": 20, "Handle": True, "Identifier": str(uuid.uuid4())}
            base = live["body"] if self.switch["update"] == "merge" else {**live["body"], **fresh}
            sent = {name: body[name] for name in fresh if name in body}
            live["body"] = {**base, **sent}
            return "ok"
        raise Wrong(404, "InvalidActionOrVersion", CodeN=100008)

    def check_start(self, kind: str, body: dict[str, Any]) -> None:
        for name in ("RoomId", "TaskId"):
            if not re.fullmatch(r"[a-zA-Z0-9_@\-.]{1,128}", str(body.get(name, ""))):
                raise Wrong(400, "InvalidParameter", name)
        store = body.get("StorageConfig") or {}
        name = {0: "TosConfig", 1: "VodConfig", 2: "CustomConfig"}.get(store.get("Type", 0), "?")
        if name not in store or (kind == "segment" and name == "VodConfig"):
            raise Wrong(400, "InvalidParameter", "StorageConfig")
        if not isinstance(store[name].get("Region", 0), int):
            raise Wrong(400, "InvalidParameter.Unmarshal", "Region")
        if kind == "record" and body.get("Layout", {}).get("LayoutMode") == 2:
            streams = {one.get("Index", 0) for one in body.get("TargetStreams", {}).get("StreamList", [])}
            regions = {one["StreamIndex"] for one in body["Layout"]["CustomLayout"].get("Regions", [])}
            if streams != regions:
                raise Wrong(400, "InvalidParameter", "Regions")

    def show_run(self, kind: str, run: dict[str, Any] | None, at: float) -> Any:
        name = "RecordTask" if kind == "record" else "SegmentTask"
        if run is None:
            how = self.switch["get_missing"]
            if how in ("error", "error200", "code404"):
                code = "InvalidParameter.ErrorActiveTaskNotFound" if how != "code404" else "TaskNotFound"
                raise Wrong({"error": 400, "error200": 200, "code404": 404}[how], code)
            return {"null": {name: None}, "absent": {}, "empty": None, "zero": {name: {"StartTime": 0, "Status": 0}}}[how]
        status = 3 if run["end"] else 1 if at < run["start"] + self.switch["warming"] else 2
        shown = {
            "StartTime": int(run["start"] * 1000), "EndTime": int(run["end"] * 1000), "Status": status,
            "StopReason": run["reason"],
        }  # fmt: skip
        if kind == "record":
            shown["RecordFileList"] = None if self.switch["empty"] == "null" else []
            return {name: shown}
        body = run["body"]
        store = json.loads(json.dumps(body["StorageConfig"]))
        for member in ("AccessKey", "SecretKey"):
            if "CustomConfig" in store and self.switch["secrets"] == "masked":
                store["CustomConfig"][member] = "******"
            elif "CustomConfig" in store and self.switch["secrets"] == "absent":
                store["CustomConfig"].pop(member, None)
        store.setdefault("Type", 0)
        streams = [{"Index": 0, "StreamType": 0, **one} for one in body.get("TargetStreams", {}).get("StreamList", [])]
        none: Any = {"null": None, "zero": {"StreamList": []}}.get(self.switch["empty"])
        control = {"Align": False, "Mixed": False, "IgnoreSilence": False, "RedundantDuration": 0, **body.get("Control", {})}
        shown |= {
            "MaxIdleTime": body.get("MaxIdleTime", 180), "Duration": body.get("Duration", 20),
            "Handle": body.get("Handle", True), "Identifier": body.get("Identifier") or "5a5a5a5a-generated",
            "TargetStreams": {"StreamList": streams} if streams else none, "Control": control, "StorageConfig": store,
        }  # fmt: skip
        return {name: shown}

    # Livepeer

    def livepeer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any, dict[str, str]]:
        parts = path.strip("/").split("/")
        if method == "POST" and parts == ["clip"]:
            return self.make_clip(body)
        if method == "GET" and parts == ["user", "me"]:
            return 200, {"id": "u1", "email": "ops@example.com", "defaultProjectId": "p1"}, {}
        if method == "GET" and parts == ["asset"]:
            return self.rows(path, query, [self.show_asset(a) for a in self.clips() if self.seen(a["createdAt"])])
        if method == "GET" and parts == ["task"]:
            return self.rows(path, query, [self.show_task(t) for t in self.tasks.values() if self.seen(t["createdAt"])])
        if method == "GET" and parts == ["session"]:
            rows = [self.show_session(one) for one in self.sessions.values()]
            return self.rows(path, query, [row for row in rows if query.get("parentId", STREAM) == row["parentId"]])
        if method == "GET" and parts == ["stream"]:
            return self.rows(path, query, [self.stream()])
        if method == "GET" and len(parts) == 2 and parts[0] == "stream":
            return (200, self.stream(), {}) if parts[1] == STREAM else (404, {"errors": ["not found"]}, {})
        if method == "GET" and parts[:2] == ["stream", "playback"]:
            return (200, self.stream(), {}) if parts[2] == PLAYBACK else (404, {"errors": ["not found"]}, {})
        if method == "GET" and len(parts) == 3 and parts[0] == "stream" and parts[2] == "sessions":
            return 200, [self.show_session(one) for one in self.sessions.values()], {}
        if method == "GET" and len(parts) == 2 and parts[0] == "session":
            one = self.sessions.get(parts[1])
            return (200, self.show_session(one), {}) if one else (404, {"errors": ["not found"]}, {})
        if method == "GET" and len(parts) == 2 and parts[0] == "task":
            task = self.tasks.get(parts[1])
            return (200, self.show_task(task), {}) if task else (404, {"errors": ["not found"]}, {})
        if len(parts) == 2 and parts[0] == "asset":
            return self.one_asset(method, parts[1], body)
        return 404, {"errors": ["not found"]}, {}

    def stream(self) -> dict[str, Any]:
        return {
            "id": STREAM, "name": "main", "playbackId": PLAYBACK, "streamKey": STREAM_KEY, "isActive": False,
            "createdAt": 1700000000000, "suspended": False,
        }  # fmt: skip

    def show_session(self, one: dict[str, Any]) -> dict[str, Any]:
        return {**one, "parentStream": self.stream()}

    def seen(self, created: int) -> bool:
        return bool(self.now() * 1000 >= created + self.switch["lag"] * 1000)

    def phase(self, asset: dict[str, Any]) -> str:
        age = self.now() - asset["createdAt"] / 1000
        if self.switch["ready"] < 0 or age < self.switch["ready"] / 2:
            return "waiting"
        if age < self.switch["ready"]:
            return "processing"
        return "failed" if asset["fail"] else "ready"

    def make_clip(self, body: Any) -> tuple[int, Any, dict[str, str]]:
        for name, kind in (("playbackId", str), ("startTime", (int, float))):
            if not isinstance(body.get(name), kind):
                return 422, {"errors": [json.dumps({"message": f"must have required property '{name}'"})]}, {}
        if set(body) - {"playbackId", "startTime", "endTime", "name", "sessionId"}:
            return 422, {"errors": [json.dumps({"message": "must NOT have additional properties"})]}, {}
        if body["playbackId"] != PLAYBACK:
            return 404, {"errors": ["Content not found"]}, {}
        busy = [a for a in self.clips() if self.phase(a) in ("waiting", "processing")]
        if len(busy) >= 5:
            return 403, {"errors": ["Too many clips are being processed."]}, {}
        if body.get("sessionId") and body["sessionId"] not in self.sessions:
            return 404, {"errors": ["Session not found"]}, {}
        if not self.sessions:
            return 500, {"errors": ["Internal server error: Error"]}, {}
        session = body.get("sessionId") or list(self.sessions)[-1]
        if body.get("endTime") is not None and body["endTime"] <= body["startTime"]:
            return 422, {"errors": ["endTime must occur after startTime"]}, {}
        aid, tid, at = str(uuid.uuid4()), str(uuid.uuid4()), int(self.now() * 1000)
        span = (body.get("endTime", 0) - body["startTime"]) / 1000
        self.assets[aid] = {
            "id": aid, "playbackId": aid[:4] + "bdv6u1gxw1tw", "userId": "u1", "createdAt": at, "deleted": False,
            "name": body.get("name") or f"clip-{aid[:4]}bdv6u1gxw1tw", "projectId": "p1", "creatorId": None,
            "source": {"type": "clip", "playbackId": body["playbackId"], "sessionId": session},
            "seconds": span - self.switch["clamp"], "updatedAt": at, "fail": self.switch["fail"],
        }  # fmt: skip
        strategy = {"startTime": body["startTime"], "endTime": body.get("endTime"), "playbackId": body["playbackId"]}
        self.tasks[tid] = {
            "id": tid, "type": "clip", "createdAt": at, "scheduledAt": at, "outputAssetId": aid, "userId": "u1",
            "params": {"clip": {"url": "https://store/x.m3u8", "sessionId": session, "clipStrategy": strategy}},
        }  # fmt: skip
        return 200, {"task": {"id": tid}, "asset": self.show_asset(self.assets[aid])}, {}

    def show_asset(self, asset: dict[str, Any]) -> dict[str, Any]:
        phase = self.phase(asset)
        shown = {k: v for k, v in asset.items() if k not in ("deleted", "seconds", "updatedAt", "creatorId", "fail")}
        shown["status"] = {"phase": phase, "updatedAt": asset["updatedAt"]}
        if phase == "processing":
            shown["status"]["progress"] = 0.45
        if phase == "failed":
            shown["status"]["errorMessage"] = asset["fail"]
        if phase == "ready":
            shown |= {"playbackUrl": "https://play.example/x.m3u8", "downloadUrl": "https://play.example/x.mp4", "size": 9}
            shown["videoSpec"] = {"format": "mp4", "duration": asset["seconds"], "bitrate": 1.5}
        if asset["creatorId"] is not None:
            shown["creatorId"] = {"type": "unverified", "value": asset["creatorId"]}
        elif self.switch["empty"] == "null":
            shown |= {"creatorId": None, "playbackPolicy": None, "hash": None}
        elif self.switch["empty"] == "zero":
            shown |= {"creatorId": {"type": "unverified", "value": ""}, "playbackPolicy": {"type": "public"}}
        return shown

    def show_task(self, task: dict[str, Any]) -> dict[str, Any]:
        asset = self.assets[task["outputAssetId"]]
        phase = {"waiting": "waiting", "processing": "running", "ready": "completed"}.get(self.phase(asset), "failed")
        return {**task, "status": {"phase": phase, "retries": 0, "updatedAt": asset["updatedAt"]}}

    def one_asset(self, method: str, name: str, body: Any) -> tuple[int, Any, dict[str, str]]:
        asset = self.assets.get(name)
        if method == "DELETE":
            if asset is None:
                return 404, {"errors": ["Asset not found"]}, {}
            if asset["deleted"]:
                return self.switch["delete_missing"], {"errors": ["asset is already deleted"]}, {}
            asset["deleted"] = True
            return 204, None, {}
        if asset is None or asset["deleted"]:
            return 404, {"errors": ["Asset not found"]}, {}
        if method == "PATCH":
            if set(body) - {"name", "creatorId", "playbackPolicy", "storage"}:
                return 422, {"errors": [json.dumps({"message": "must NOT have additional properties"})]}, {}
            if self.phase(asset) != "ready":
                return 422, {"errors": ["asset is not ready"]}, {}
            if "name" in body:
                asset["name"] = body["name"]
            if "creatorId" in body:
                asset["creatorId"] = body["creatorId"]["value"] if isinstance(body["creatorId"], dict) else body["creatorId"]
            asset["updatedAt"] = int(self.now() * 1000)
        return 200, self.show_asset(asset), {}

    def rows(self, path: str, query: dict[str, str], rows: list[dict[str, Any]]) -> tuple[int, Any, dict[str, str]]:
        wanted = [(one["id"], one["value"]) for one in json.loads(query.get("filters") or "[]")]
        wanted += [(name, query[name]) for name in ("playbackId", "phase") if query.get(name)]
        for name, value in wanted:
            look = _FIELDS.get(name)
            if look is None:
                return 400, {"errors": [f'error parsing filters: Error: unknown field: "{name}"']}, {}
            if name == "name":
                rows = [row for row in rows if str(value).lower() in row.get("name", "").lower()]
            else:
                rows = [row for row in rows if look(row) == value]
        order = query.get("order") or "createdAt-true"
        for part in reversed(order.split(",")):
            name, _, down = part.partition("-")
            rows = sorted(rows, key=lambda row: str(row.get(name, "")), reverse=down == "true")
        asked = query.get("limit", "20")
        size = min(int(asked) if asked.isdigit() and int(asked) > 0 else 20, 1000, self.switch["page_cap"])
        skip = int(query.get("cursor", "skip0").removeprefix("skip") or 0) if "skip" in query.get("cursor", "skip0") else 10**9
        cut = rows[skip : skip + size]
        headers = {}
        if query.get("count") and cut and self.switch["total"]:
            headers["X-Total-Count"] = str(len(rows))
        host = "http://evil.example" if self.switch["link"] == "foreign" else self.url
        if self.switch["link"] != "none" and cut and (len(cut) == size or path.startswith("/task")):
            cursor = f"skip{skip + size}" if len(cut) == size else "undefined"
            headers["Link"] = f'<{host}/api{path}?limit={asked}&cursor={cursor}>; rel="next"'
        return 200, cut, headers


_FIELDS: dict[str, Any] = {
    **{name: (lambda row, name=name: row.get(name)) for name in ("id", "name", "playbackId", "projectId", "userId")},
    **{name: (lambda row, name=name: row.get(name)) for name in ("type", "outputAssetId", "parentId", "record")},
    "phase": lambda row: row["status"]["phase"],
    "creatorId": lambda row: (row.get("creatorId") or {}).get("value"),
    "sourceType": lambda row: row["source"]["type"],
    "sourcePlaybackId": lambda row: row["source"]["playbackId"],
    "sourceSessionId": lambda row: row["source"]["sessionId"],
}


def decorate(fake: Fake, value: Any, depth: int = 0) -> Any:
    """The same answer in other habits: members in reverse order, members that nobody documented."""
    if isinstance(value, list):
        return [decorate(fake, one, depth + 1) for one in value]
    if not isinstance(value, dict):
        return value
    items = [(name, decorate(fake, one, depth + 1)) for name, one in value.items()]
    if fake.switch["extra"]:
        items.append(("XNewThing", {"Nested": [1, None, "二"], "Flag": True}))
        items.insert(0, ("xLegacy", None))
    if fake.switch["reverse"]:
        items.reverse()
    return dict(items)


def signature_holds(method: str, path: str, headers: Any, body: bytes) -> bool:
    """The documented signature, over whatever the client says it signed."""
    found = re.match(r"HMAC-SHA256 Credential=([^,]+), ?SignedHeaders=([^,]+), ?Signature=(\w+)", headers["Authorization"] or "")
    if not found:
        return False
    who, scope = found[1].split("/", 1)
    day, region, service, _ = scope.split("/")
    query = urllib.parse.parse_qsl(urllib.parse.urlsplit(path).query, keep_blank_values=True)
    quote = [(urllib.parse.quote(k, safe="-_.~"), urllib.parse.quote(v, safe="-_.~")) for k, v in query]
    named = "".join(f"{name}:{(headers[name] or '').strip()}\n" for name in found[2].split(";"))
    digest = hashlib.sha256(body).hexdigest()
    canonical = "\n".join([method, "/", "&".join(f"{k}={v}" for k, v in sorted(quote)), named, found[2], digest])
    text = "\n".join(["HMAC-SHA256", headers["X-Date"], scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = SK.encode()
    for part in (day, region, service, "request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return who == AK and hmac.new(key, text.encode(), hashlib.sha256).hexdigest() == found[3]


def _handler(fake: Fake) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            return

        def handle_one(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            url = urllib.parse.urlsplit(self.path)
            query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
            body = json.loads(raw) if raw else {}
            if url.path.startswith("/api"):
                path = url.path.removeprefix("/api")
                parts = path.strip("/").split("/")
                known = len(parts) > 1 and parts[0] in ("asset", "task", "session", "stream")
                action = f"{self.command} /{parts[0]}" + ("/*" if known else "")
                signed = self.headers["Authorization"] == f"Bearer {TOKEN}"
            else:
                path, action = "", query.get("Action", "?")
                signed = signature_holds(self.command, self.path, self.headers, raw)
            fault = self.fault(action, after=False)
            if fault and self.play(fault, action, body):
                return
            status, answer, headers = self.answer(path, action, query, body, signed)
            fault = self.fault(action, after=True)
            if fault and self.play(fault, action, body):
                return
            fake.calls.append(Seen(action, body or query, status, fake.now(), signed))
            self.send(status, b"" if answer is None else json.dumps(decorate(fake, answer), ensure_ascii=False).encode(), headers)

        def fault(self, action: str, after: bool) -> Fault | None:
            with fake.lock:
                for fault in fake.faults:
                    if fault.after == after and fault.left and re.fullmatch(fault.action, action):
                        fault.left -= 1
                        return fault
            return None

        def play(self, fault: Fault, action: str, body: Any) -> bool:
            """True when the fault was the answer."""
            told = f"{fault.kind} {'after' if fault.after else 'before'}"
            if fault.kind == "hang":
                time.sleep(fault.seconds)
                return False
            fake.calls.append(Seen(action, body, told, fake.now()))
            if fault.kind == "reset":
                self.close_connection = True
                self.connection.shutdown(2)
            elif fault.kind == "half":
                self.close_connection = True
                self.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 900\r\nContent-Type: application/json\r\n\r\n{"Result":{"Ta')
            else:
                self.send(fault.status, fault.body.encode(), {"Content-Type": "text/html", **fault.headers})
            return True

        def answer(self, path: str, action: str, query: Any, body: Any, signed: bool) -> tuple[int, Any, dict[str, str]]:
            with fake.lock:
                if path:
                    if not signed:
                        sent = (self.headers["Authorization"] or "").removeprefix("Bearer ")
                        return 401, {"errors": [f"no token {sent} found"]}, {}
                    return fake.livepeer(self.command, path, query, body)
                service = {"2023-01-01": "live", "2023-11-01": "rtc"}.get(query.get("Version", ""), "?")
                meta: dict[str, Any] = {"RequestId": f"2026{uuid.uuid4().hex[:30]}", "Action": action}
                meta |= {"Version": "2020-08-01", "Service": service, "Region": "cn-north-1"}
                try:
                    if not signed:
                        raise Wrong(401, "SignatureDoesNotMatch", CodeN=100010)
                    reads = action.startswith("Get") or action == "ListPullToPushTask"
                    if (self.command == "GET") != reads:
                        raise Wrong(405, "MethodNotAllowed")
                    sent = query if reads else body
                    result = fake.live(action, sent) if service == "live" else fake.rtc(action, sent)
                except Wrong as wrong:
                    meta["Error"] = {"Code": wrong.code, "Message": wrong.message, **wrong.more}
                    return wrong.status, {"ResponseMetadata": meta}, {}
                if result is None:
                    nothing: dict[str, Any] = {"null": {"Result": None}, "text": {"Result": ""}, "object": {"Result": {}}}
                    return 200, {**nothing.get(fake.switch["nothing"], {}), "ResponseMetadata": meta}, {}
                told = fake.told(result) if action.startswith(("Get", "List")) else result
                return 200, {"Result": told, "ResponseMetadata": meta}, {}

        def send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            try:
                self.send_response(status)
                for name, value in {"Content-Type": "application/json; charset=utf-8", **headers}.items():
                    self.send_header(name, value)
                if status != 204:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except OSError:
                self.close_connection = True

        do_GET = do_POST = do_PATCH = do_DELETE = handle_one

    return Handler
