"""Livepeer Studio's database as its clients meet it: tables with a lagging read replica, and the list engine.

Lists filter, order and page the way the published server source does, quirks included: the filters are URI-decoded
twice, an unknown order field is ignored, a cursor `skip<N>` is an offset and any other one means "id greater than".
"""

from __future__ import annotations

import json
import math
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from reconciler.emulator.core import World

Row = dict[str, Any]
Test = Callable[[Row], bool]

TABLES = ("user", "project", "stream", "session", "asset", "task")
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


class DatabaseError(Exception):
    """The database refused a value: a 500 `Internal server error: error` for the caller."""


class FilterError(Exception):
    """The filters cannot be read; the text is what JavaScript would print, such as `URIError: URI malformed`."""


class Store:
    """The tables in `world.data["livepeer"]`. Rows are replaced, never changed; reads go to the replica unless asked
    otherwise, and the replica shows what was there `replica_lag_seconds` ago."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.data = world.data["livepeer"]
        for name in (*TABLES, "behind", "run", "identity", "purge", "playback"):
            self.data.setdefault(name, {})

    @property
    def now(self) -> int:
        return self._world.clock.now_ms()

    def get(self, table: str, row_id: str, *, replica: bool = True) -> Row | None:
        """The row, or None."""
        row: Row | None = self.data[table].get(row_id)
        return self._as_replicated(table, row_id, row) if replica else row

    def all(self, table: str, *, replica: bool = True) -> Iterator[Row]:
        """Every row, in the order of insertion."""
        for row_id, row in self.data[table].items():
            seen = self._as_replicated(table, row_id, row) if replica else row
            if seen is not None:
                yield seen

    def put(self, table: str, row: Row, *, at: int | None = None) -> Row:
        """Insert or replace; `at` is when it happened (ms), now if not given."""
        lag = self._lag_ms()
        written = self.now if at is None else at
        if lag:
            history = self.data["behind"].setdefault(table, {}).setdefault(row["id"], [])
            history[:] = [each for each in history if each[0] > self.now - lag]
            history.append([written, self.data[table].get(row["id"])])
        self.data[table][row["id"]] = row
        self._world.changed()
        return row

    def drop(self, table: str, row_id: str) -> None:
        del self.data[table][row_id]
        self._world.changed()

    def _lag_ms(self) -> float:
        return self._world.number("livepeer.replica_lag_seconds") * 1000

    def _as_replicated(self, table: str, row_id: str, row: Row | None) -> Row | None:
        behind = self.data["behind"].get(table)
        if not behind or row_id not in behind:
            return row
        horizon = self.now - self._lag_ms()
        return next((before for written, before in behind[row_id] if written > horizon), row)


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of one page, the number of rows in all pages, and the cursor of the next page (None: this was not full)."""

    rows: list[Row]
    total: int
    cursor: str | None


def page(
    rows: Iterable[Row],
    query: Mapping[str, str],
    *,
    fields: Mapping[str, Mapping[str, str]],
    order: str,
    joined: Mapping[str, str] | None = None,
) -> Page:
    """One page of `rows`, by `filters`, `order`, `limit` and `cursor` of the query. `joined` holds columns of the user
    (`@email`); None means that the query does not join the users. FilterError, DatabaseError."""
    tests = filters(query.get("filters", ""), fields, joined=joined)
    fitting = [row for row in rows if all(test(row) for test in tests)]
    skip = 0
    cursor = query.get("cursor", "")
    if "skip" in cursor:
        skip = _offset(cursor)
    elif cursor:
        fitting = [row for row in fitting if row["id"] > cursor]
    ordered = sort(fitting, query.get("order") or order, fields, joined=joined)
    limit = limit_of(query.get("limit"))
    chosen = ordered[skip : skip + limit]
    return Page(chosen, len(ordered), f"skip{skip + limit}" if len(chosen) == limit else None)


def limit_of(text: str | None) -> int:
    """20 for nothing, nonsense and anything below 1; at most 1000."""
    number = re.match(r"\s*[+-]?\d+", text or "")
    limit = int(number.group()) if number else 20
    return min(limit if limit >= 1 else 20, 1000)


def _offset(cursor: str) -> int:
    text = cursor.replace("skip", "", 1)
    if not re.fullmatch(r"\d+", text):
        raise DatabaseError(f"invalid offset {text!r}")
    return int(text)


def sort(
    rows: list[Row],
    order: str,
    fields: Mapping[str, Mapping[str, str]],
    *,
    joined: Mapping[str, str] | None = None,
) -> list[Row]:
    """By `field-true` (descending) or `field-false`, several with commas; text with missing values last, numbers and
    booleans with missing values as 0. Unknown fields are ignored; when none is left, by id."""
    named = [part.split("-") for part in order.split(",")]
    known = [(fields[part[0]], part[1] == "true") for part in named if len(part) == 2 and part[0] in fields]
    for field, descending in reversed(known or [({"path": "id", "kind": "text"}, False)]):
        rows = _sorted(rows, field, descending, joined)
    return rows


def _sorted(rows: list[Row], field: Mapping[str, str], descending: bool, joined: Mapping[str, str] | None) -> list[Row]:
    values = [(_value(row, field, joined), row) for row in rows]
    if field["kind"] not in ("text", "substring"):
        numbered = sorted(values, key=lambda each: float(each[0] or 0), reverse=descending)
        return [row for _, row in numbered]
    present = [(str(_text(value)), row) for value, row in values if value is not None]
    present.sort(key=lambda each: each[0], reverse=descending)
    return [row for _, row in present] + [row for value, row in values if value is None]


def filters(text: str, fields: Mapping[str, Mapping[str, str]], *, joined: Mapping[str, str] | None = None) -> list[Test]:
    """The tests that a row must pass, from the (once decoded) query parameter. FilterError, DatabaseError."""
    if not text:
        return []
    try:
        asked = json.loads(decode_uri_component(text))
    except json.JSONDecodeError as error:
        raise FilterError(f"SyntaxError: {syntax_error(error)}") from None
    if not isinstance(asked, list):
        raise FilterError("Error: must be an array")
    tests: list[Test] = []
    for each in asked:
        if not isinstance(each, dict):
            raise FilterError("TypeError: Cannot read properties of null (reading 'id')")
        name = str(each.get("id"))
        if "value" not in each:
            raise FilterError(f'Error: missing filter value for id "{name}"')
        if name not in fields:
            raise FilterError(f'Error: unknown field: "{name}"')
        tests.extend(_tests(name, fields[name], each["value"], joined))
    return tests


def equals(name: str, value: str, fields: Mapping[str, Mapping[str, str]]) -> list[Test]:
    """The test of the shorthand parameters (`phase=ready`)."""
    return _tests(name, fields[name], value, None)


def _tests(name: str, field: Mapping[str, str], wanted: Any, joined: Mapping[str, str] | None) -> list[Test]:
    kind = field["kind"]
    if kind == "substring":
        like = _ilike(f"%{_js_text(wanted)}%")
        return [lambda row: (found := _text(_value(row, field, joined))) is not None and bool(like.fullmatch(found))]
    if kind == "bool":
        if not isinstance(wanted, bool):
            raise FilterError(f'Error: expected boolean value for field "{name}", got: {json.dumps(wanted)}')
        return [lambda row: bool(_value(row, field, joined)) is wanted]
    if kind in ("int", "real"):
        if isinstance(wanted, dict):
            return [_comparison(field, key, bound) for key, bound in wanted.items()]
        number = _number(wanted)
        return [lambda row: _value(row, field, joined) == number]
    text = _text(wanted)
    return [lambda row: text is not None and _text(_value(row, field, joined)) == text]


def _comparison(field: Mapping[str, str], key: str, bound: Any) -> Test:
    if key not in _COMPARE:  # eq falls through to the same error in the vendor's switch statement
        raise FilterError(f'Error: unknown comparison: "{key}"')
    compare, number = _COMPARE[key], _number(bound)
    return lambda row: (found := _value(row, field, None)) is not None and compare(found, number)


def _value(row: Row, field: Mapping[str, str], joined: Mapping[str, str] | None) -> Any:
    path = field["path"]
    if path.startswith("@"):
        if joined is None:
            raise DatabaseError("the query does not join the users")
        return joined.get(path)
    found: Any = row
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _number(value: Any) -> float:
    if isinstance(value, bool) or value is None:
        return math.nan
    try:
        return value if isinstance(value, (int, float)) else float(json.loads(str(value)))
    except (ValueError, TypeError):
        raise DatabaseError(f"invalid number {value!r}") from None


def _text(value: Any) -> str | None:
    """As the database turns a JSON value into text."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value)


def _js_text(value: Any) -> str:
    if isinstance(value, (dict, list)):
        return "[object Object]" if isinstance(value, dict) else ",".join(_js_text(each) for each in value)
    return value if isinstance(value, str) else json.dumps(value)


def _ilike(pattern: str) -> re.Pattern[str]:
    parts = re.findall(r"\\.|.", pattern, flags=re.DOTALL)
    turned = {"%": ".*", "_": "."}
    regex = "".join(turned.get(part) or re.escape(part[-1]) for part in parts)
    return re.compile(regex, re.IGNORECASE | re.DOTALL)


def decode_uri_component(text: str) -> str:
    """JavaScript's decodeURIComponent. FilterError `URIError: URI malformed` for a `%` that starts no UTF-8 escape."""
    if re.search(r"%(?![0-9A-Fa-f]{2})", text):
        raise FilterError("URIError: URI malformed")
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise FilterError("URIError: URI malformed") from None


def syntax_error(error: json.JSONDecodeError) -> str:
    """The words of V8 for a JSON text that cannot be read."""
    if error.pos >= len(error.doc.rstrip()):
        return "Unexpected end of JSON input"
    return f"Unexpected token {error.doc[error.pos]} in JSON at position {error.pos}"
