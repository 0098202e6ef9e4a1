"""A small signing client for the tests, written from the signing rules and sharing nothing with the emulator's verifier."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from reconciler.emulator.core import Clock, Request, Response, World
from reconciler.emulator.front import Emulator

NOON = "2026-01-01T12:00:00Z"
NOW = 1767268800
VERSIONS = {"live": "2023-01-01", "rtc": "2023-11-01"}
HOSTS = {"live": "live.volcengineapi.com", "rtc": "rtc.volcengineapi.com"}


def world_at_noon(**switches: str) -> World:
    """A frozen world; switches are given with `__` for the dot and no rate limits."""
    named = {name.replace("__", "."): value for name, value in switches.items()}
    return World(clock=Clock.frozen_at(NOON), switches={"rate_limits": "off", **named})


class Volc:
    """Calls one service of a world in process, signed; remembers the last HTTP status and envelope."""

    def __init__(self, world: World, service: str = "live", *, key: str = "AKLTEMULATOR", secret: str = "") -> None:
        secrets = {"AKLTEMULATOR": "emulator-secret", "AKLTREADONLY": "emulator-readonly", "AKTPEMULATOR": "emulator-sts"}
        self.world, self.service = world, service
        self.key, self.secret = key, secret or secrets.get(key, "?")
        self.token = "STSemulator" if key.startswith("AKTP") else ""
        self.emulator = Emulator(world)
        self.status = 0
        self.envelope: dict[str, Any] = {}

    def send(self, action: str, body: Any = None, **options: Any) -> Response:
        return self.emulator.handle(self.request(action, body, **options))

    def request(
        self,
        action: str,
        body: Any = None,
        *,
        method: str = "",
        version: str = "",
        query: dict[str, str] | None = None,
        at: int | None = None,
        drop: str = "",
        extra: dict[str, str] | None = None,
        region: str = "cn-north-1",
    ) -> Request:
        reads = action.startswith("Get") or action == "ListPullToPushTask"
        method = method or ("GET" if reads else "POST")
        pairs = {"Action": action, "Version": version or VERSIONS[self.service], **(query or {})}
        raw = b""
        if method == "GET":
            pairs |= {name: str(value) for name, value in (body or {}).items()}
        else:
            raw = body if isinstance(body, bytes) else json.dumps(body if body is not None else {}).encode()
        moment = datetime.fromtimestamp(self.world.clock.now_s() if at is None else at, UTC)
        headers = {
            "host": HOSTS[self.service],
            "x-date": f"{moment:%Y%m%dT%H%M%SZ}",
            "x-content-sha256": hashlib.sha256(raw).hexdigest(),
            **({"content-type": "application/json"} if raw else {}),
            **({"x-security-token": self.token} if self.token else {}),
            **(extra or {}),
        }
        headers.pop(drop, None)
        signed = sorted(name for name in headers if name not in ("x-unsigned", "user-agent"))
        canonical = "\n".join(
            [
                method,
                "/",
                "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in sorted(pairs.items())),
                "".join(f"{name}:{headers[name]}\n" for name in signed),
                ";".join(signed),
                hashlib.sha256(raw).hexdigest(),
            ]
        )
        date = headers.get("x-date", f"{moment:%Y%m%dT%H%M%SZ}")
        scope = f"{date[:8]}/{region}/{self.service}/request"
        text = f"HMAC-SHA256\n{date}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        key = self.secret.encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.digest(key, text.encode(), "sha256").hex()
        credential = f"HMAC-SHA256 Credential={self.key}/{scope}"
        headers["authorization"] = f"{credential}, SignedHeaders={';'.join(signed)}, Signature={signature}"
        target = "/?" + "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs.items())
        return Request.of(method, target, headers=headers, body=raw)

    def call(self, action: str, body: Any = None, **options: Any) -> Any:
        """The Result; `ok`, `code` and `status` tell how it went."""
        response = self.send(action, body, **options)
        self.status, self.envelope = response.status, response.decoded()
        return self.envelope.get("Result")

    @property
    def code(self) -> str:
        """The error code of the last call, '' after success."""
        return str(self.envelope["ResponseMetadata"].get("Error", {}).get("Code", ""))

    def must(self, action: str, body: Any = None, **options: Any) -> Any:
        result = self.call(action, body, **options)
        assert self.code == "", self.envelope
        assert self.status == 200
        return result


def relay(**changes: Any) -> dict[str, Any]:
    """A legal create body: a live source, from now for an hour. A change to None leaves the field out."""
    body = {
        "Title": "task001",
        "StartTime": NOW,
        "EndTime": NOW + 3600,
        "Type": 0,
        "SrcAddr": "http://pull.example.com/live/stream-1.flv",
        "DstAddr": "rtmp://push.example.com/live/stream-1",
        **changes,
    }
    return {name: value for name, value in body.items() if value is not None}


def files(**changes: Any) -> dict[str, Any]:
    """The same from VOD files."""
    vod = [{"SrcAddr": "https://vod.example.com/a.mp4", "StartOffset": 1.1}, {"SrcAddr": "https://vod.example.com/b.mp4"}]
    return relay(**{"Type": 1, "SrcAddr": None, "VodSrcAddrs": vod, "CycleMode": 2, **changes})


def listed(volc: Volc, **asked: Any) -> list[dict[str, Any]]:
    """One page of ListPullToPushTaskV2, 500 items at most."""
    page = volc.must("ListPullToPushTaskV2", {"Page": 1, "Size": 500, **asked})
    return list(page.get("List") or [])


IDENT = {"AppId": "661e0000000000000000543c", "RoomId": "Room1", "TaskId": "Task1"}
TOS: dict[str, Any] = {"Type": 0, "TosConfig": {"AccountId": "2100000001", "Region": 0, "Bucket": "bucket"}}
CUSTOM: dict[str, Any] = {"Type": 2, "CustomConfig": {"Vendor": 1, "Region": 2, "Bucket": "b", "AccessKey": "AKxyz", "SecretKey": "SKxyz"}}


def start(**changes: Any) -> dict[str, Any]:
    """A legal start body, for a record or a segment."""
    body = {**IDENT, "StorageConfig": TOS, **changes}
    return {name: value for name, value in body.items() if value is not None}


def custom_layout(**canvas: Any) -> dict[str, Any]:
    """TargetStreams and Layout of a mixed recording that UpdateRecord can change."""
    return {
        "TargetStreams": {"StreamList": [{"Index": 0, "UserId": "host"}, {"Index": 1, "UserId": "host", "StreamType": 1}]},
        "Layout": {
            "LayoutMode": 2,
            "CustomLayout": {
                "Canvas": {"Width": 1280, "Height": 720, **canvas},
                "Regions": [
                    {"StreamIndex": 1, "Width": 1280, "Height": 720},
                    {"StreamIndex": 0, "LocationX": 960, "LocationY": 540, "Width": 320, "Height": 180, "ZOrder": 1},
                ],
            },
        },
    }
