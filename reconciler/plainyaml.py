"""The plain part of YAML, read line by line: blocks of `key: value` on one line each, three times as fast as by the parser's events.

A value is a scalar, or a list of words like `[manifests/, shows/]`. Thousands of manifests that a program wrote look like this. What has
anything else in it, or anything wrong, is left to `yamltree` as a whole file: here nothing is refused and no place is told, so whatever is
read here reads the same there.
"""

from __future__ import annotations

import re
from typing import Any

from reconciler.yamltree import DEPTH, ODD_KEYS, BeyondNumbers, Document, plain, unfit

_WORD = "[^ :#]+"
_ITEM = "[A-Za-z_/][A-Za-z0-9_/.*@-]*"
_LINE = re.compile(
    r"(?P<indent> *)(?P<key>[A-Za-z][A-Za-z0-9_-]{0,62}):"
    rf"""(?: +(?:(?P<plain>(?![!"%&'()*,;<=>?@\[\\\]^`{{|}}~]|-(?: |$)){_WORD}(?:(?::+| +){_WORD})*)"""
    r"""|"(?P<double>[^"\\]*)"|'(?P<single>[^']*)'"""
    rf"|\[ *(?P<list>{_ITEM}(?: *, *{_ITEM})*) *\]))?(?: +#.*| *)"
)
_NOTHING = re.compile(r" *(?:#.*)?")
_MARKER, _SKIP = -1, -2  # instead of an indent
_BLOCK = object()  # instead of a value: a deeper block follows


def documents(data: bytes) -> list[Document] | None:
    """Every document of a text, as `yamltree.documents` would give them. None when there is more in it than can be read here."""
    if b"\t" in data or b"\r" in data or unfit(data):
        return None
    found: list[Document] = []
    known: dict[str, tuple[int, str, Any]] = {}
    block: dict[str, Any] = {}
    level = 0
    around: list[tuple[int, dict[str, Any]]] = []
    opened: dict[str, Any] | None = None  # the block whose first line comes next
    begun = False  # whether the present document has a line
    marked = False  # whether `---` began it
    for number, line in enumerate(data.decode().split("\n"), 1):
        if (read := known.get(line)) is None:
            if (read := _read(line)) is None:
                return None
            if type(read[2]) is not list:  # that is each line's own
                known[line] = read
            elif len(around) >= DEPTH - 3:  # this line may be a block deeper, and its list is one more
                return None
        indent, key, value = read
        if indent != level or opened is not None or not begun:
            if indent < 0:
                if indent == _MARKER:
                    if opened is not None or (marked and not begun):
                        return None  # a key or a document without a value
                    marked, begun = True, False
                continue
            if opened is not None:
                if indent <= level or len(around) >= DEPTH - 1:
                    return None
                around.append((level, block))
                level, block, opened = indent, opened, None
            elif not begun:
                if indent or (found and not marked):
                    return None
                begun, level, block = True, 0, {}
                around.clear()
                found.append(Document(len(found), block, number, 1))
            else:
                while indent < level:
                    level, block = around.pop()
                if indent != level:
                    return None
        if key in block:
            return None
        if value is _BLOCK:
            opened = block[key] = {}
        else:
            block[key] = value
    if opened is not None or (marked and not begun):
        return None
    return found


def _read(line: str) -> tuple[int, str, Any] | None:
    """Indent, key and value of a line."""
    found = _LINE.fullmatch(line)
    if found is None:
        if line.rstrip(" ") == "---":
            return _MARKER, "", None
        return (_SKIP, "", None) if _NOTHING.fullmatch(line) else None
    spaces, key, scalar, double, single, items = found.groups()
    if key in ODD_KEYS:
        return None
    if scalar is not None:
        try:
            value = plain(scalar)
        except BeyondNumbers:
            return None
        return None if value is None else (len(spaces), key, value)
    if items is not None:
        words = [plain(item.strip(" ")) for item in items.split(",")]
        return None if None in words else (len(spaces), key, words)
    value = double if double is not None else single
    return len(spaces), key, _BLOCK if value is None else value
