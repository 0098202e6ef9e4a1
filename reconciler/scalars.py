"""Lengths of time, instants and counts as people write them. Pure; what reads raises ValueError with a sentence that says what to write."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_PART = re.compile(r"([0-9]+)([dhms])")
_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?(Z|z|[+-]\d{2}:\d{2})?", re.ASCII)


def seconds(value: object) -> int:
    """An integer number of seconds, or a text such as `90s`, `20m`, `2h30m`, `1d`."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("a length of time is a whole number of seconds or a text such as 90s, 20m, 2h30m or 1d")
    if isinstance(value, int):
        if value < 0:
            raise ValueError("a length of time cannot be negative")
        return value
    return _seconds_of(value)


def length(value: object) -> timedelta:
    """The same as a timedelta. Raises OverflowError, too."""
    return _length(seconds(value))


_length = lru_cache(maxsize=256)(lambda seconds: timedelta(seconds=seconds))


@lru_cache(maxsize=256)
def _seconds_of(value: str) -> int:
    parts = _PART.findall(value)
    units = [unit for _, unit in parts]
    if not parts or "".join(n + u for n, u in parts) != value or units != sorted(set(units), key="dhms".index):
        raise ValueError(f"{value!r} is not a length of time; write 90s, 20m, 2h30m or 1d, units from large to small")
    return sum(int(n) * _UNITS[u] for n, u in parts)


def duration_text(value: int | timedelta) -> str:
    """`9000` -> `2h30m`; the shortest form that `seconds` reads back."""
    left = int(value.total_seconds()) if isinstance(value, timedelta) else value
    text = ""
    for unit, size in _UNITS.items():
        count, left = divmod(left, size)
        if count:
            text += f"{count}{unit}"
    return text or "0s"


@lru_cache(maxsize=4096)  # where one window ends another begins
def instant(text: str) -> datetime:
    """An RFC 3339 date-time with an offset, as UTC."""
    found = _INSTANT.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is not a date-time; write it like 2026-12-01T08:00:00+08:00")
    if not found[1]:
        raise ValueError(f"{text!r} has no offset; add one, like {text}+08:00")
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as wrong:
        raise ValueError(f"{text!r} is not a date-time: {wrong}") from None


def instant_text(when: datetime) -> str:
    """`2026-12-01T00:00:00Z`: an instant as sentences tell it, in UTC and whole seconds; what shows them puts it into the display zone."""
    return f"{when:%Y-%m-%dT%H:%M:%SZ}"


def local(text: str) -> datetime:
    """A local date-time without an offset, naive."""
    found = _INSTANT.fullmatch(text)
    if not found or found[1]:
        raise ValueError(f"{text!r} is not a local date-time; write it like 2026-12-01T08:00")
    try:
        return datetime.fromisoformat(text.upper())
    except ValueError as wrong:
        raise ValueError(f"{text!r} is not a date-time: {wrong}") from None


def has_offset(text: str) -> bool:
    found = _INSTANT.fullmatch(text)
    return bool(found and found[1])


def unix_milliseconds(value: int) -> datetime:
    """Unix milliseconds as UTC; a number that looks like seconds is refused by name."""
    if value < 0:
        raise ValueError(f"{value} is before 1970, this field takes Unix milliseconds")
    if value < _FIRST_MILLISECONDS:
        raise ValueError(f"{value} looks like Unix seconds, this field takes Unix milliseconds: write {value * 1000}")
    try:
        return datetime.fromtimestamp(value // 1000, UTC) + timedelta(milliseconds=value % 1000)
    except (ValueError, OverflowError):
        raise ValueError(f"{value} is beyond the calendar") from None


def milliseconds(when: datetime) -> int:
    """The instant as Unix milliseconds, exact."""
    return (when - _EPOCH) // timedelta(milliseconds=1)


def unix_seconds(when: datetime) -> int:
    return (when - _EPOCH) // timedelta(seconds=1)


_FIRST_MILLISECONDS = 10**12  # 2001-09-09; before it nothing was streamed, and so many seconds are the year 33658
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def counted(number: int, noun: str) -> str:
    """`1 file`, `2 files`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
