"""How things look: the display zone, the room on a line, colour; and the words for instants, windows, lengths of time and values."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from reconciler.frozen import frozen
from reconciler.model import Action, Change, FieldChange, Presence, Sealed, Secret, Url, Values, Window
from reconciler.render.safe import clean, cut, width, wrap
from reconciler.scalars import counted, duration_text

SYMBOL = {
    Action.CREATE: "+",
    Action.UPDATE: "~",
    Action.REPLACE: "-/+",
    Action.DELETE: "-",
    Action.FORGET: "-",
    Action.ADOPT: "=",
    Action.START: "~",
    Action.STOP: "~",
    Action.WAIT: "=",
    Action.BLOCKED: "!",
    Action.NOOP: "=",
}

STATUS = {
    Action.NOOP: "ok",
    Action.CREATE: "missing",
    Action.UPDATE: "differs",
    Action.REPLACE: "differs",
    Action.DELETE: "not declared",
    Action.FORGET: "gone",
    Action.ADOPT: "not adopted",
    Action.START: "not running",
    Action.STOP: "should stop",
    Action.WAIT: "waiting",
    Action.BLOCKED: "blocked",
}
"""What `get` calls the state that a decision is made of."""

_PAINT = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}

COLOR = {
    Action.CREATE: "green",
    Action.UPDATE: "yellow",
    Action.REPLACE: "red",
    Action.DELETE: "red",
    Action.START: "yellow",
    Action.STOP: "yellow",
    Action.BLOCKED: "red",
}

_ENV = re.compile(r"\$\{env:[^}]*\}")
_INSTANT = re.compile(r"\b\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z")


@frozen
class Look:
    """`width`: cells after which long values are cut; None (no terminal) never cuts. `verbosity`: -1 quiet, 0, 1 (-v), 2 (-vv).

    `again` makes a suggested command mean what the run was asked for: its project, environment, path and selection.
    `lengths` says whether a manifest path, of a kind, is a length of time.
    """

    zone: tzinfo = UTC
    width: int | None = None
    color: bool = False
    verbosity: int = 0
    again: Callable[[str], str] = str
    lengths: Callable[[str, str], bool] = lambda *_: False

    def next(self, command: str) -> str:
        """The one line that a failure ends with; a shell takes what follows `Next: ` as it is."""
        return f"Next: {clean(self.again(command))}"

    def paint(self, text: str, style: str) -> str:
        return f"\x1b[{_PAINT[style]}m{text}\x1b[0m" if self.color and style and text else text

    def lines(self, text: str, style: str = "") -> list[str]:
        """A sentence of ours, broken at spaces where a terminal ends."""
        return [self.paint(line, style) for line in ([text] if self.width is None else wrap(text, max(24, self.width)))]

    # instants

    def instant(self, when: datetime, *, exact: bool = False) -> str:
        """`2026-11-20 Fri 23:30 +08:00`; seconds only where they are not zero, fractions only when `exact`."""
        there = when.astimezone(self.zone) if exact else when.astimezone(self.zone).replace(microsecond=0)
        return f"{_day(there)} {_time(there)} {_offset(there)}"

    def short(self, when: datetime, now: datetime) -> str:
        """`23:30` on the day of `now`, else with its day."""
        there = when.astimezone(self.zone).replace(microsecond=0)
        return _time(there) if there.date() == now.astimezone(self.zone).date() else f"{_day(there)} {_time(there)}"

    def span(self, window: Window) -> str:
        """`2026-11-21 Sat 08:00 - 09:00 +08:00`."""
        start = window.start.astimezone(self.zone)
        if window.end is None:
            return f"from {self.instant(window.start)}"
        end = window.end.astimezone(self.zone)
        if _offset(start) != _offset(end):
            return f"{self.instant(window.start)} - {self.instant(window.end)}"
        until = _time(end) if end.date() == start.date() else f"{_day(end)} {_time(end)}"
        return f"{_day(start)} {_time(start)} - {until} {_offset(end)}"

    def move(self, before: datetime, after: datetime) -> str:
        """`2026-11-20 Fri 23:30 -> 23:59 +08:00  (+29 min)`."""
        delta = after - before
        sign = "+" if delta >= timedelta(0) else "-"
        return f"{self.span(Window(before, after)).replace(' - ', ' -> ')}  ({sign}{length(abs(delta))})"

    def local(self, text: str, now: datetime | None = None) -> str:
        """A sentence with its RFC 3339 instants told in the display zone; on the day of `now` by their time alone."""

        def told(found: re.Match[str]) -> str:
            try:
                when = datetime.fromisoformat(found[0])
            except ValueError:  # somebody's text, not an instant of ours
                return found[0]
            return self.short(when, now) if now else self.instant(when)

        return _INSTANT.sub(told, text)

    # values

    def told(self, value: Any, kind: str, path: str) -> Any:
        """A value as people write it: a length of time at manifest path `path` as `1m30s`, and so all that stand below it."""
        if isinstance(value, Mapping):
            return {key: self.told(item, kind, f"{path}.{key}") for key, item in value.items()}
        if isinstance(value, list):
            return [self.told(item, kind, path) for item in value]
        if isinstance(value, int) and not isinstance(value, bool) and self.lengths(kind, path):
            return duration_text(value)
        return value

    def value(self, value: Any) -> str:
        """One value on one line, neutralised; a secret as what may be shown of it."""
        if value is None:
            return "(none)"
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, datetime):
            return self.instant(value, exact=True)
        if isinstance(value, Sealed | Secret):
            return clean(value.shown)
        if isinstance(value, Mapping):
            return "{" + ", ".join(f"{clean(key)}: {self.value(item)}" for key, item in value.items()) + "}"
        if isinstance(value, list | tuple):
            return "[" + ", ".join(self.value(item) for item in value) + "]"
        text = clean(brief(value) if isinstance(value, str) else value)
        if found := _DIGEST.fullmatch(text):
            return text if self.verbosity > 1 else f"{found[1]}... {found[2]}"
        if isinstance(value, str) and (not text or " " in text):
            return f'"{text}"'
        return text

    def change(self, field: FieldChange, room: int | None = None) -> str:
        """`before -> after` of one field, in at most `room` cells; a changed secret by its fingerprints."""
        before, after = field.before, field.after
        if isinstance(before, datetime) and isinstance(after, datetime):
            return self.move(before, after)
        if isinstance(before, Sealed) and isinstance(after, Sealed):
            return self._secrets(before, after, room)
        if isinstance(before, list) and isinstance(after, list):
            return self._lists(before, after, room)
        return " -> ".join(_fitted(self.value(before), self.value(after), room))

    def _secrets(self, before: Sealed, after: Sealed, room: int | None) -> str:
        """URLs as they may be shown, one of them where only hidden parts differ; and the fingerprints of what is hidden."""
        keys = f"[key {fingerprint(before)} -> {fingerprint(after)}]"
        old, new = clean(before.shown), clean(after.shown)
        if "://" not in old and "://" not in new:
            return keys
        if _ENV.sub("***", old) == _ENV.sub("***", new):
            return f"{new if room is None else cut(new, max(16, room - width(keys) - 2))}  {keys}"
        if "***" in _ENV.sub("***", old + new):
            return f"{' -> '.join(_fitted(old, new, None if room is None else room - width(keys) - 2))}  {keys}"
        return " -> ".join(_fitted(old, new, room))

    def _lists(self, before: list[Any], after: list[Any], room: int | None) -> str:
        text = f"{self.value(before)} -> {self.value(after)}"
        if width(text) <= min(room or 76, 76):
            return text
        if len(before) == len(after):
            changed = sum(one != other for one, other in zip(before, after, strict=True))
            return f"{counted(len(after), 'item')}, {changed} of them changed"
        return f"{counted(len(before), 'item')} -> {counted(len(after), 'item')}"


def _fitted(before: str, after: str, room: int | None) -> tuple[str, str]:
    """Both sides within `room`; the side that needs less leaves its rest to the other."""
    if room is None or width(before) + width(after) + 4 <= room:
        return before, after
    half = max(8, (room - 4) // 2)
    left = min(width(before), max(half, room - 4 - width(after)))
    return cut(before, left), cut(after, max(8, room - 4 - left))


_DATA = re.compile(r"data:[a-z]+/[a-z0-9.+-]+;base64,")
_DIGEST = re.compile(r"(sha256:[0-9a-f]{12})[0-9a-f]{52} (\([0-9]+ bytes?\))")


def brief(text: str) -> str:
    """A picture inside a value as the digest of its bytes and their number; any other text as it is."""
    if not (found := _DATA.match(text)):
        return text
    import base64
    import hashlib

    try:
        data = base64.b64decode(text[found.end() :])
    except ValueError:  # no base64 after all
        data = text.encode(errors="backslashreplace")
    return f"sha256:{hashlib.sha256(data).hexdigest()} ({counted(len(data), 'byte')})"


def fingerprint(sealed: Sealed) -> str:
    """The first four hex digits of a keyed digest."""
    return clean(sealed.digest.rpartition(":")[2][:4] or "none")


def _day(when: datetime) -> str:
    return f"{when:%Y-%m-%d} {('Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun')[when.weekday()]}"


def _time(when: datetime) -> str:
    if when.microsecond:
        return f"{when:%H:%M:%S}.{when.microsecond // 1000:03d}"
    return f"{when:%H:%M:%S}" if when.second else f"{when:%H:%M}"


def _offset(when: datetime) -> str:
    return when.isoformat(timespec="minutes")[-6:]


def length(delta: timedelta | float) -> str:
    """`29 min`, `1 h 30 min`, `4 s`, `2.4 s`: at most two units."""
    left = delta.total_seconds() if isinstance(delta, timedelta) else delta
    if left < 60:
        return f"{left:.3g} s"
    parts = []
    whole = round(left)
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, whole = divmod(whole, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])


def window_of(change: Change) -> Window | None:
    """The window that matters to people: the live one while on air, else the wanted one, else the remembered one."""
    live = change.observed.window if change.observed else None
    wanted = change.desired.window if change.desired else None
    remembered = change.entry.window if change.entry else None
    return (live or wanted or remembered) if change.on_air else (wanted or live or remembered)


def masked(value: Any, likes: Sequence[Any]) -> Any:
    """A live tree whose URLs are shown as their declared or remembered form allows: where that hides the path, so does this."""
    if isinstance(value, Url) and value.known:
        for like in likes:
            if isinstance(like, Url):
                return value.masked_like(like)
            if isinstance(like, Sealed) and "${env:" in like.shown.split("?", 1)[0]:
                return value.masked_like(Url(None, reference=like.shown))
    if isinstance(value, Mapping):
        trees = [like for like in likes if isinstance(like, Mapping)]
        return {key: masked(item, [tree[key] for tree in trees if key in tree]) for key, item in value.items()}
    if isinstance(value, list):
        lists = [like for like in likes if isinstance(like, list)]
        return [masked(item, [each[index] for each in lists if index < len(each)]) for index, item in enumerate(value)]
    return value


def live_values(change: Change) -> Values:
    """What is known of the live object, fit to be shown: the vendor's read, or else the ledger's record."""
    seen, entry = change.observed, change.entry
    if seen is None or seen.presence is Presence.ABSENT:
        return {}
    likes = [side for side in (change.desired.values if change.desired else None, entry.applied if entry else None) if side is not None]
    shown: Values = masked(seen.values or (entry.applied if entry and entry.applied is not None else {}), likes)
    return shown


def rfc3339(when: datetime) -> str:
    """UTC with `Z`, as every JSON document of ours has it."""
    there = when.astimezone(UTC)
    return there.isoformat(timespec="milliseconds" if there.microsecond else "seconds").replace("+00:00", "Z")
