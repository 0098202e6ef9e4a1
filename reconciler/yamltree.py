"""YAML text -> plain values by YAML 1.2's core schema, one document at a time, and where in the text each of them stands.

Values carry no positions, which keeps 100,000 documents small; `marks` walks a text a second time when somebody asks for them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import field
from typing import Any, NamedTuple

from reconciler.frozen import frozen

LIMIT = 1024 * 1024
"""Bytes a file may have."""
DEPTH = 32
"""Collections one inside another."""
EXPANSION = 10_000
"""Nodes that the aliases of one file may add to those written out; each hundred characters of text count as one more."""
UNPARSED = 20
"""Documents of one file that cannot be parsed and after which it is read on: each costs looking through the text."""


class Mark(NamedTuple):
    """A spot in a text: line and column counted from 1, length in characters."""

    line: int
    column: int
    length: int = 1


class Problem(NamedTuple):
    """Something refused. `related` names a second spot, such as a key's first place."""

    rule: str
    message: str
    mark: Mark
    help: str = ""
    related: tuple[tuple[Mark, str], ...] = ()


@frozen
class Document:
    """One document: dicts with text keys, lists, str, int, float, bool. A document with problems may lack what was refused.

    `value` is None for an empty document, and where the text could not be read on. `index` counts all documents of the text.
    """

    index: int
    value: Any
    line: int
    column: int
    problems: list[Problem] = field(default_factory=list)


class Marks(NamedTuple):
    """Where a node stands: its key (None for the root and in a sequence), and its value, or the key again when the value has many lines."""

    key: Mark | None
    value: Mark


# --- reading ----------------------------------------------------------------------------------------------------------


def documents(data: bytes) -> Iterator[Document]:
    """Every document of a text, in order. One that cannot be parsed tells why, and reading goes on with the next `---`."""
    if problem := unfit(data):
        yield Document(0, None, problem.mark.line, problem.mark.column, [problem])
        return
    from reconciler import yamlevents  # with libyaml behind it, a twentieth of a start

    yield from yamlevents.documents(data)


def marks(data: bytes) -> list[dict[str, Marks]]:
    """For each document of a text: dotted path -> where it stands. Stops quietly where the text cannot be read."""
    if unfit(data):
        return []
    from reconciler import yamlevents

    return yamlevents.marks(data)


def dotted(path: tuple[str | int, ...]) -> str:
    """`("spec", "files", 0, "url")` -> `spec.files.0.url`; the root is ""."""
    return ".".join(map(str, path))


_PRINTABLE = bytes([9, 10, 13, *range(0x20, 0x7F), *range(0x80, 0x100)])
# as UTF-8: C1 controls, the byte order mark, and U+0085, U+2028, U+2029, where the parser would count a line and an editor would not
_ODD = re.compile(rb"\xc2[\x80-\x9f]|\xe2\x80[\xa8\xa9]|\xef\xbb\xbf|\xef\xbf[\xbe\xbf]")


def unfit(data: bytes) -> Problem | None:
    """Why these bytes are no text for us."""
    if len(data) > LIMIT:
        return Problem("RC002", f"file has {len(data)} bytes, the limit is {LIMIT}", Mark(1, 1), help="split it into several files")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return Problem("RC002", "file is UTF-16", Mark(1, 1), help="save it as UTF-8")
    if data.startswith(b"\xef\xbb\xbf"):
        return Problem("RC002", "file begins with a byte order mark", Mark(1, 1), help="save it as UTF-8 without a byte order mark")
    try:
        text = data.decode()
    except UnicodeDecodeError as wrong:
        return Problem("RC002", "file is not UTF-8", _spot(data, wrong.start), help="save it as UTF-8")
    if data.translate(None, _PRINTABLE) or (not text.isascii() and _ODD.search(data)):
        at, character = next((at, c) for at, c in enumerate(text) if odd(c))
        mark = _spot(data, len(text[:at].encode()))
        return Problem(
            "RC002",
            f"file holds the character U+{ord(character):04X}, which cannot be seen",
            mark,
            help="remove it, or write it as an escape in double quotes",
        )
    return None


def odd(character: str) -> bool:
    """Whether it cannot be seen, or ends a line for some and not for others."""
    return character not in "\t\n\r" and (character < " " or "\x7f" <= character <= "\x9f" or character in "\u2028\u2029\ufeff\ufffe\uffff")


def _spot(data: bytes, at: int) -> Mark:
    before = data[:at].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    line_start = before.rfind(b"\n") + 1
    return Mark(before.count(b"\n") + 1, len(before[line_start:].decode(errors="replace")) + 1)


# --- scalars ----------------------------------------------------------------------------------------------------------

WORDS: dict[str, Any] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
ODD_KEYS = frozenset(WORDS) | {"<<"}
NUMBER_START = frozenset("+-.0123456789")
_NUMBER = re.compile(
    r"(?P<whole>[-+]?[0-9]+)"
    r"|(?P<float>[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)"
    r"|(?P<based>0o[0-7]+|0x[0-9a-fA-F]+)"
    r"|(?P<none>[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))"
)


def plain(text: str) -> Any:
    """A plain scalar's value by the core schema; text that is no null, boolean or number stays as it is."""
    if text[:1] not in NUMBER_START:
        return WORDS.get(text, text)
    number = _NUMBER.fullmatch(text)
    if number is None:
        return text
    form = number.lastgroup
    if len(text) <= 24:
        if form == "whole":
            return int(text)
        if form == "based":
            return int(text, 0)
    if form == "float" and abs(value := float(text)) < math.inf:
        return value
    raise BeyondNumbers(f"{short(text)} is not a number that can be kept")


class BeyondNumbers(ValueError):
    pass


def short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."
