"""The `schedule` block of a manifest -> Timing. Pure: local times are resolved once, here, by an explicit policy.

Zones come from the tzdata package and not from the machine, so one version, which a plan names, decides everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from functools import cache, lru_cache
from importlib import import_module
from io import BytesIO
from pkgutil import get_data
from typing import TYPE_CHECKING, Any

from reconciler import scalars
from reconciler.mistakes import Mistake, Steps, did_you_mean, quoted, unknown_keys, wrong_type
from reconciler.model import Late, Severity, Timing, Window

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

HORIZON = timedelta(days=14)
LONGEST_HORIZON = timedelta(days=90)
LEAD = timedelta(minutes=10)
KEYS = ("zone", "start", "duration", "end", "until", "repeat", "except", "move", "dst", "horizon", "lead", "late")
GAPS = ("forward", "skip", "fail")
FOLDS = ("first", "second", "both")
LATE = tuple(late.value for late in Late)

_BASE: Steps = ("schedule",)
_ENDS = ("duration", "end", "until")
_SERIES = ("repeat", "except", "move")
_WALL_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?", re.ASCII)


# --- zones ------------------------------------------------------------------------------------------------------------


def tzdata_version() -> str:
    """The version of the time zone database that local times are resolved with, like `2026a`."""
    return str(import_module("tzdata").IANA_VERSION)


@lru_cache(maxsize=64)
def zone(name: str) -> ZoneInfo:
    """An IANA zone by its exact name. Raises ValueError for any other name: there is no fallback."""
    if name not in zone_names():
        raise ValueError(f"{quoted(name)} is no time zone of the IANA database")
    from zoneinfo import ZoneInfo

    return ZoneInfo.from_file(BytesIO(_tzdata(f"zoneinfo/{name}")), key=name)


@cache
def zone_names() -> frozenset[str]:
    return frozenset(_tzdata("zones").decode().split())


def _tzdata(file: str) -> bytes:
    data = get_data("tzdata", file)
    assert data is not None
    return data


def resolve(naive: datetime, zone: ZoneInfo, *, gap: str = "forward", fold: str = "first") -> tuple[datetime, ...]:
    """A local time as instants in UTC: usually one; none in a gap with `skip`; two in a fold with `both`.

    `forward` keeps the offset from before the gap. Raises ValueError in a gap with `fail`, or where the calendar ends.
    """
    try:
        first = naive.replace(tzinfo=zone, fold=0).astimezone(UTC)
        second = naive.replace(tzinfo=zone, fold=1).astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{naive.isoformat()} is beyond the calendar") from None
    if first == second:
        return (first,)
    if first.astimezone(zone).replace(tzinfo=None) != naive:
        if gap == "fail":
            raise ValueError(f"{_clock(naive)} does not exist in {zone.key}, clocks go forward there")
        return () if gap == "skip" else (first,)
    return {"first": (first,), "second": (second,), "both": (first, second)}[fold]


def _clock(naive: datetime) -> str:
    return naive.isoformat(timespec="seconds" if naive.second else "minutes")


# --- the block --------------------------------------------------------------------------------------------------------


def parse(block: Any) -> tuple[Timing | None, list[Mistake]]:
    """The timing of a `schedule` block, and every mistake in it; beside mistakes, a window that is right is known.

    None with no error means that `dst: {gap: skip}` dropped the only window there is.
    """
    if not isinstance(block, Mapping):
        return None, [wrong_type("schedule", "a block of fields", block, _BASE)]
    return _Block(block).timing()


class _Block:
    """One schedule block while it is read; what is wrong is noted, and reading goes on."""

    def __init__(self, block: Mapping[str, Any]) -> None:
        self.block = block
        self.mistakes: list[Mistake] = []
        self.zone: ZoneInfo | None = None
        self.gap = "forward"
        self.fold = "first"
        self.dropped = False

    def timing(self) -> tuple[Timing | None, list[Mistake]]:
        block = self.block
        if not block.keys() <= _KNOWN:
            self.mistakes += unknown_keys(block, KEYS, _BASE)
        for key in _SERIES:
            if key in block:
                self.wrong("RC036", key, f"{key} is not supported yet: a schedule has one window", "write one manifest for each window")
        if "zone" in block:
            self.zone = self.read_zone(block["zone"])
        if "dst" in block:
            self.read_dst(block["dst"])
        start = self.start()
        end = self.end(start)
        horizon = self.length("horizon", HORIZON)
        lead = self.length("lead", LEAD)
        if not timedelta(0) < horizon <= LONGEST_HORIZON:
            self.wrong("RC037", "horizon", f"horizon is {scalars.duration_text(horizon)}, it goes from 1s to 90d")
        late = self.word("late", LATE, block.get("late", "join"), (*_BASE, "late"))
        if start is not None and end is not None and end <= start:
            key = next(key for key in _ENDS if key in block)
            self.wrong("RC033", key, "the window ends before it starts" if end < start else "the window ends when it starts")
        if start is None or end is None or end <= start:
            return None, self.mistakes
        if self.mistakes:
            return None if self.dropped else Timing(Window(start, end)), self.mistakes
        if self.dropped:
            help = "choose another time, or dst: {gap: forward}"
            self.wrong("RC035", "start", "the window is dropped: its local time does not exist, and dst.gap is skip", help)
            return None, [mistake._replace(severity=Severity.WARNING) for mistake in self.mistakes]
        return Timing(Window(start, end), horizon=horizon, lead=lead, late=Late(late)), []

    # edges

    def start(self) -> datetime | None:
        if "start" not in self.block:
            help = "write start: 2026-12-01T08:00:00+08:00, or a local time with a zone"
            self.mistakes.append(Mistake("RC031", (*_BASE, "start"), "start is missing", help))
            return None
        return self.instant("start")

    def end(self, start: datetime | None) -> datetime | None:
        given = [key for key in _ENDS if key in self.block]
        if len(given) != 1:
            if given:
                self.wrong("RC032", given[1], f"{' and '.join(given)} both say when the window ends", "keep one of them")
            elif not any(key in self.block for key in _SERIES):
                help = "add duration: 2h, end: 2026-12-01T10:00:00+08:00 or until: 15:00"
                self.mistakes.append(Mistake("RC032", _BASE, "the schedule does not say when the window ends", help))
            return None
        if given == ["end"]:
            return self.instant("end")
        if given == ["until"]:
            return self.until(start)
        length = self.length("duration", _UNREADABLE)
        if length == timedelta(0):
            self.wrong("RC033", "duration", "duration is zero", "write how long the window is, like 2h")
        try:
            return start + length if start and length > timedelta(0) else None
        except OverflowError:
            self.wrong("RC033", "duration", "the window ends beyond the calendar")
            return None

    def until(self, start: datetime | None) -> datetime | None:
        """The first moment after the start at which a clock in the zone shows this time."""
        text = self.block["until"]
        found = _WALL_CLOCK.fullmatch(text) if isinstance(text, str) else None
        if not found:
            self.wrong("RC032", "until", "until is a time of day, like 15:00")
            return None
        if "zone" not in self.block:
            self.wrong("RC031", "until", "until is a time of day and needs a zone", "add zone: Asia/Shanghai, or write end:")
        if start is None or self.zone is None:
            return None
        clock = time(int(found[1]), int(found[2]), int(found[3] or 0))
        begin = start.astimezone(self.zone).replace(tzinfo=None)
        if (naive := datetime.combine(begin, clock)) <= begin:
            try:
                naive += timedelta(days=1)
            except OverflowError:
                self.wrong("RC033", "until", "the window ends beyond the calendar")
                return None
        return self.local("until", naive)

    def instant(self, key: str) -> datetime | None:
        """The instant at `key`: with an offset, or local to the block's zone."""
        text = self.block[key]
        if not isinstance(text, str):
            self.wrong("RC031", key, f"{key} must be a date-time like 2026-12-01T08:00:00+08:00")
            return None
        try:
            if "zone" not in self.block or scalars.has_offset(text):
                return scalars.instant(text)
            naive = scalars.local(text)
        except ValueError as wrong:
            self.wrong("RC031", key, str(wrong))
            return None
        return self.local(key, naive)

    def local(self, key: str, naive: datetime) -> datetime | None:
        if self.zone is None:
            return None
        try:
            instants = resolve(naive, self.zone, gap=self.gap, fold=self.fold)
        except ValueError as wrong:
            self.wrong("RC035", key, str(wrong), "choose another time, or dst: {gap: forward}")
            return None
        if not instants:
            self.dropped = True
            return resolve(naive, self.zone)[0]
        return instants[0]

    # small fields

    def read_zone(self, name: Any) -> ZoneInfo | None:
        if not isinstance(name, str):
            self.mistakes.append(wrong_type("zone", "text", name, (*_BASE, "zone")))
            return None
        try:
            return zone(name)
        except ValueError as wrong:
            self.wrong("RC034", "zone", str(wrong), did_you_mean(name, zone_names()))
            return None

    def read_dst(self, block: Any) -> None:
        path = (*_BASE, "dst")
        if not isinstance(block, Mapping):
            self.mistakes.append(wrong_type("dst", "a block of fields", block, path))
            return
        self.mistakes += unknown_keys(block, ("gap", "fold"), path)
        self.gap = self.word("gap", GAPS, block.get("gap", "forward"), (*path, "gap"))
        self.fold = self.word("fold", FOLDS, block.get("fold", "first"), (*path, "fold"))
        if self.fold == "both":
            message = "fold: both makes two windows, which needs repeat"
            self.mistakes.append(Mistake("RC036", (*path, "fold"), message, "choose first or second"))
            self.fold = "first"

    def word(self, key: str, words: tuple[str, ...], value: Any, path: Steps) -> str:
        if value in words:
            return str(value)
        choice = ", ".join(words)
        if isinstance(value, str):
            help = did_you_mean(value, words)
            self.mistakes.append(Mistake("RC013", path, f"{key} cannot be {quoted(value)}, it is one of {choice}", help))
        else:
            self.mistakes.append(wrong_type(key, "one of " + choice, value, path))
        return words[0]

    def length(self, key: str, default: timedelta) -> timedelta:
        if key not in self.block:
            return default
        try:
            return scalars.length(self.block[key])
        except ValueError as wrong:
            self.wrong("RC021", key, str(wrong))
        except OverflowError:
            self.wrong("RC021", key, f"{key} is beyond the calendar")
        return default

    def wrong(self, rule: str, key: str, message: str, help: str = "") -> None:
        self.mistakes.append(Mistake(rule, (*_BASE, key), message, help))


_KNOWN = frozenset(KEYS)
_UNREADABLE = timedelta(-1)
