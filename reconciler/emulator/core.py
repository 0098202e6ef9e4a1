"""The world behind the emulated APIs: request, response, clock, switches, stored objects, call log, the oracle's ledger.

Nothing here knows HTTP servers or a vendor: a vendor module offers `handle(request, world) -> Response`, and may offer
`tick(world)`, `SEEDS` with `seed(world, name)`, `fixtures(world, patch)` (otherwise fixtures are merged into its data),
`state(world)` and `fault_answer(world, request, fault)` (otherwise `{"errors": [...]}`).
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

from reconciler.emulator import specs
from reconciler.emulator.faults import FaultScript
from reconciler.emulator.specs import Spec, Switch, UnknownSwitch

VENDORS = ("live", "rtc", "livepeer")
LOG_LIMIT = 100_000

DEFAULT_KEYS: dict[str, dict[str, dict[str, Any]]] = {
    "volcengine": {
        "AKLTEMULATOR": {"secret": "emulator-secret", "account": "2100000001"},
        "AKLTREADONLY": {"secret": "emulator-readonly", "account": "2100000001", "readonly": True},
        "AKTPEMULATOR": {"secret": "emulator-sts", "account": "2100000001", "token": "STSemulator"},
    },
    "livepeer": {
        "lp-emulator-key": {"name": "reconciler"},
        "lp-readonly-key": {"name": "readonly", "readonly": True},
    },
}


@dataclass(slots=True)
class Request:
    """One HTTP request. `query` is decoded ('+' is a space), header names are lower case, `client` is the peer's IP."""

    method: str
    path: str
    query: list[tuple[str, str]] = field(default_factory=list)
    raw_query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    client: str = "127.0.0.1"

    @classmethod
    def of(cls, method: str, target: str, *, headers: Mapping[str, str] | None = None, body: bytes = b"", client: str = "") -> Request:
        """From a request target such as `/?Action=X&Version=Y`."""
        path, _, raw_query = target.partition("?")
        lower = {name.lower(): value for name, value in (headers or {}).items()}
        return cls(method.upper(), path or "/", parse_query(raw_query), raw_query, lower, body, client or "127.0.0.1")

    def param(self, name: str, default: str = "") -> str:
        """The first query parameter with this name."""
        return next((value for key, value in self.query if key == name), default)

    def json(self) -> Any:
        """The decoded body; None when it is empty. ValueError when it is not JSON."""
        return json.loads(self.body) if self.body.strip() else None


def parse_query(raw: str) -> list[tuple[str, str]]:
    """Pairs in the order sent, blanks kept, both `+` and `%20` as space."""
    pairs = (part.partition("=") for part in raw.split("&") if part)
    return [(unquote_plus(name), unquote_plus(value)) for name, _, value in pairs]


@dataclass(slots=True)
class Response:
    """One HTTP answer. `error` is the vendor's error code for the log. The doors obey the last three: `spoil` is '',
    'reset', 'timeout' or 'halfBody'; `delay` counts seconds before the answer; `ticket` names a request that runs only
    after the delay (fetch its real answer with `Emulator.collect`)."""

    status: int
    headers: dict[str, str]
    body: bytes
    error: str = ""
    spoil: str = ""
    delay: float = 0.0
    ticket: int = 0

    @classmethod
    def json(cls, status: int, obj: object, *, error: str = "", **headers: str) -> Response:
        """A JSON answer; header names are given with `_` for `-`."""
        body = json.dumps(obj, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
        named = {name.replace("_", "-").lower(): value for name, value in headers.items()}
        return cls(status, {"content-type": "application/json; charset=utf-8", **named}, body, error)

    @classmethod
    def text(cls, status: int, text: str, *, content_type: str = "text/plain; charset=utf-8") -> Response:
        return cls(status, {"content-type": content_type}, text.encode())

    def decoded(self) -> Any:
        """The JSON body, decoded; None when there is none."""
        return json.loads(self.body) if self.body else None


def _real_ms() -> int:
    return time.time_ns() // 1_000_000


class Clock:
    """The only time the emulator knows: real time plus an offset, or frozen at an instant. Unit: milliseconds."""

    def __init__(self, *, start_ms: int | None = None, offset_ms: int = 0, real_ms: Callable[[], int] = _real_ms) -> None:
        self._real_ms = real_ms
        self._frozen_at: int | None = None
        self.offset = offset_ms
        if start_ms is not None:
            self.set(start_ms)

    @classmethod
    def frozen_at(cls, instant: str | int) -> Clock:
        """A standing clock, from RFC 3339 text or milliseconds."""
        clock = cls()
        clock.freeze()
        clock.set(instant_ms(instant))  # set while it stands: no real time can slip in between
        return clock

    @property
    def frozen(self) -> bool:
        return self._frozen_at is not None

    def now_ms(self) -> int:
        return self._frozen_at if self._frozen_at is not None else self._real_ms() + self.offset

    def now_s(self) -> int:
        return self.now_ms() // 1000

    def set(self, now_ms: int) -> None:
        if self._frozen_at is not None:
            self._frozen_at = now_ms
        else:
            self.offset = now_ms - self._real_ms()

    def advance(self, seconds: float) -> None:
        if self._frozen_at is not None:
            self._frozen_at += round(seconds * 1000)
        else:
            self.offset += round(seconds * 1000)

    def freeze(self) -> None:
        self._frozen_at = self.now_ms()

    def thaw(self) -> None:
        now, self._frozen_at = self.now_ms(), None
        self.set(now)


def instant_ms(instant: str | int | float) -> int:
    """Milliseconds since the epoch, from milliseconds or RFC 3339 text (no offset: UTC). ValueError otherwise."""
    if isinstance(instant, (int, float)) and not isinstance(instant, bool):
        return round(instant)
    text = str(instant).strip()
    if text.isdigit():
        return int(text)
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


@dataclass(slots=True)
class Call:
    """One line of the call log. `at` is in ms; `body` has secrets masked; `effect` like `created 3f2a`; `duplicate`
    marks a create whose identity was alive already; `fault` names the scripted fault that hit the call."""

    seq: int
    at: int
    vendor: str
    action: str
    method: str
    status: int = 0
    error: str = ""
    body: Any = None
    effect: str = ""
    duplicate: bool = False
    unknown_keys: list[str] = field(default_factory=list)
    fault: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {each.name: getattr(self, each.name) for each in fields(self)}


class Ledger:
    """The oracle: which objects live under which identity, and how many, at every event that ever happened."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.living: dict[str, list[str]] = {}

    def born(self, identity: str, object_id: str, *, at: int, event: str = "created") -> bool:
        """An object appears. True when another one with the same identity lives already."""
        siblings = self.living.setdefault(identity, [])
        duplicate = bool(siblings)
        siblings.append(object_id)
        self._write(at, event, identity, object_id)
        return duplicate

    def died(self, identity: str, object_id: str, *, at: int, event: str = "deleted") -> None:
        """An object is gone (or ended by itself, which the event's name tells)."""
        siblings = self.living.get(identity, [])
        if object_id in siblings:
            siblings.remove(object_id)
        if not siblings:
            self.living.pop(identity, None)
        self._write(at, event, identity, object_id)

    def touched(self, identity: str, object_id: str, *, at: int, event: str = "updated") -> None:
        self._write(at, event, identity, object_id)

    def renamed(self, old: str, new: str, object_id: str, *, at: int) -> None:
        """An update gave the object another identity."""
        if old != new:
            self.died(old, object_id, at=at, event="renamed-from")
            self.born(new, object_id, at=at, event="renamed-to")

    def most(self, prefix: str = "") -> int:
        """The largest number of objects that ever lived at once under one identity that starts with `prefix`."""
        return max((each["live_count"] for each in self.events if each["identity"].startswith(prefix)), default=0)

    def _write(self, at: int, event: str, identity: str, object_id: str) -> None:
        count = len(self.living.get(identity, ()))
        self.events.append(
            {
                "seq": len(self.events) + 1,
                "at": at,
                "event": event,
                "identity": identity,
                "id": object_id,
                "live_count": count,
            }
        )


class World:
    """Everything the emulated vendors know. `data[vendor]` is JSON-able and belongs to that vendor's module; `cache` is
    never saved. Switch names carry the vendor (`live.update_semantics`); a bare name sets it for all that have it.
    `extra_keys` ({"volcengine": {AK: {"secret", "account"}}, "livepeer": {key: {...}}}) outlive a reset."""

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        switches: Mapping[str, str] | None = None,
        data_file: Path | None = None,
        id_seed: str = "reconciler",
        extra_keys: Mapping[str, Mapping[str, dict[str, Any]]] | None = None,
    ) -> None:
        self.lock = threading.RLock()
        self.clock = clock or Clock()
        self._clock_given = clock is not None
        self._extra_keys = extra_keys or {}
        self.id_seed = id_seed
        self.data_file = data_file
        self.switches: dict[str, str] = {}
        self.cache: dict[str, Any] = {}
        self._switch_values: dict[str, str] = {}
        self._save_cost = 0.0
        self._saved_at = 0.0
        self._unsaved = False
        self._clear()
        self.set_switches(switches or {})
        if data_file is not None and data_file.exists():
            self.load()
            self.set_switches(switches or {})

    def _clear(self) -> None:
        self.data: dict[str, Any] = {vendor: {} for vendor in VENDORS}
        self.data["keys"] = json.loads(json.dumps(DEFAULT_KEYS))
        self._add_keys()
        self.log: deque[Call] = deque(maxlen=LOG_LIMIT)
        self.ledger = Ledger()
        self.faults = FaultScript()
        self.seq = 0
        self._ids = 0
        self.call: Call | None = None
        self.in_flight: dict[int, tuple[int, Request]] = {}  # late requests: ticket -> when due (ms), request
        self.landed: dict[int, Response] = {}
        self._paces: dict[tuple[str, str, str], deque[int]] = {}
        self.cache.clear()

    def _add_keys(self) -> None:
        for vendor, keys in self._extra_keys.items():
            self.data["keys"].setdefault(vendor, {}).update(keys)

    def reset(self) -> None:
        """Forget every object, call and fault. Clock and switches stay."""
        self._clear()
        self.changed()

    # -- facts ---------------------------------------------------------------------------------------------------

    def spec(self, vendor: str) -> Spec:
        """The vendor's contract. FileNotFoundError when its file is missing."""
        return specs.load(vendor)

    def known_switches(self) -> dict[str, Switch]:
        """Every switch of every spec that is there, by full name."""
        found: dict[str, Switch] = {}
        for vendor in VENDORS:
            try:
                found.update(self.spec(vendor).switches)
            except FileNotFoundError:
                continue
        return found

    def switch(self, name: str) -> str:
        """The value of a switch, by full name (`rtc.get_not_found`)."""
        value = self._switch_values.get(name)
        if value is None:
            vendor = name.partition(".")[0]
            value = self.switches.get(name, self.spec(vendor).switches[name].default)
            self._switch_values[name] = value
        return value

    def number(self, name: str) -> float:
        """The value of a numeric switch; a word such as `forever` or `off` is infinity or 0."""
        value = self.switch(name)
        try:
            return float(value)
        except ValueError:
            return float("inf") if value in {"forever", "unlimited"} else 0.0

    def set_switches(self, values: Mapping[str, object]) -> None:
        """Set switches; all or nothing. UnknownSwitch names the choices."""
        if not values:
            return
        known = self.known_switches()
        accepted: dict[str, str] = {}
        for name, value in values.items():
            full = [name] if name in known else [each for each in known if each.partition(".")[2] == name]
            if not full:
                near = get_close_matches(name, known, n=3, cutoff=0.5) or sorted(known)[:3]
                raise UnknownSwitch(f"switch {name!r} is not known; did you mean {', '.join(near)}?")
            accepted |= {each: known[each].accept(value) for each in full}
        self.switches |= accepted
        self._switch_values.clear()
        self.cache.clear()
        self.changed()

    def allowed(self, vendor: str, account: str, action: str) -> bool:
        """Count a call against the spec's pace for this account and action, over the last second of the clock.
        The switch `<vendor>.rate_limits` turns it off or scales the pace."""
        setting = self.switch(f"{vendor}.rate_limits")
        pace = self.spec(vendor).actions[action].pace
        if setting == "off" or pace is None:
            return True
        limit = pace * (1.0 if setting == "on" else float(setting))
        recent: deque[int] = self._paces.setdefault((vendor, account, action), deque())
        now = self.clock.now_ms()
        while recent and not now - 1000 < recent[0] <= now:
            recent.popleft()
        if len(recent) >= limit:
            return False
        recent.append(now)
        return True

    # -- ids, log and oracle ---------------------------------------------------------------------------------------

    def new_id(self, kind: str) -> str:
        """32 hexadecimal characters; the same run makes the same ids."""
        self._ids += 1
        return hashlib.sha256(f"{self.id_seed}/{kind}/{self._ids}".encode()).hexdigest()[:32]

    def new_uuid(self, kind: str) -> str:
        """The same in the shape of a version 4 UUID."""
        raw = self.new_id(kind)
        return f"{raw[:8]}-{raw[8:12]}-4{raw[13:16]}-8{raw[17:20]}-{raw[20:32]}"

    def note(
        self,
        *,
        effect: str | None = None,
        duplicate: bool | None = None,
        unknown_keys: list[str] | None = None,
        body: Any = None,
    ) -> None:
        """Write down, on the call being served, what it did. Outside a call nothing happens."""
        if self.call is None:
            return
        if effect is not None:
            self.call.effect = effect
        if duplicate is not None:
            self.call.duplicate = duplicate
        if unknown_keys is not None:
            self.call.unknown_keys = unknown_keys
        if body is not None:
            self.call.body = body

    def next_seq(self) -> int:
        self.seq += 1
        return self.seq

    # -- the --data file -------------------------------------------------------------------------------------------

    def changed(self) -> None:
        """Something that belongs in the data file changed."""
        self._unsaved = True

    def settle(self, *, force: bool = False) -> None:
        """Save what changed. A big world costs a while to write, so saving takes at most a tenth of the time, and
        the rest waits for the next call or for `force` (at the end)."""
        if not self._unsaved or self.data_file is None:
            return
        started = time.monotonic()
        if force or started - self._saved_at >= 10 * self._save_cost or self._save_cost < 0.02:
            self.save()
            self._saved_at = time.monotonic()
            self._save_cost = self._saved_at - started

    def save(self) -> None:
        """Write the data file: a temporary file beside it, flushed to the disk, then renamed over it."""
        if self.data_file is None:
            return
        document = {
            "format": 1,
            "clock": {"now": self.clock.now_ms(), "frozen": self.clock.frozen, "offset": self.clock.offset},
            "seq": self.seq,
            "ids": self._ids,
            "switches": self.switches,
            "data": self.data,
            "ledger": {"events": self.ledger.events, "living": self.ledger.living},
        }
        temporary = self.data_file.with_name(self.data_file.name + ".tmp")
        with temporary.open("w", encoding="utf-8") as stream:
            json.dump(document, stream, ensure_ascii=False, separators=(",", ":"))
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(self.data_file)
        self._unsaved = False

    def load(self) -> None:
        """Read the data file. Its clock is taken over unless one was given. ValueError when it is not ours."""
        assert self.data_file is not None
        document = json.loads(self.data_file.read_text(encoding="utf-8"))
        if not isinstance(document, dict) or document.get("format") != 1:
            raise ValueError(f"{self.data_file} is not a data file of this emulator; choose another name")
        if not self._clock_given:
            saved = document["clock"]
            self.clock = Clock.frozen_at(saved["now"]) if saved["frozen"] else Clock(offset_ms=saved["offset"])
        self.seq, self._ids = document["seq"], document["ids"]
        self.switches |= document["switches"]
        self.data = document["data"]
        self._add_keys()
        self.ledger.events = document["ledger"]["events"]
        self.ledger.living = document["ledger"]["living"]
        self._switch_values.clear()
        self.cache.clear()
        self._unsaved = False
