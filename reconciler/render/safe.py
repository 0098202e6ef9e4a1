"""The boundary that every text from a vendor or a manifest passes before it is shown.

Behind it nothing can steer a terminal, a web page, a Markdown comment or a CI log. Widths are terminal cells: CJK takes two.
"""

from __future__ import annotations

import re
import unicodedata

_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # control characters, and with them every escape sequence
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u3164\uffa0"  # invisible, some of them letters
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # zero width, line separators, bidi overrides and isolates
    "\ud800-\udfff"  # lone surrogates: no encoding takes them
    "\U000e0000-\U000e0fff]"  # tags: text that nobody sees
    r"|##(?=\[)"  # `##[command]` anywhere in a line is an order to GitHub's runner
)
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "##": "\\x23#"}


def clean(text: object) -> str:
    """One line of harmless text: what could steer a display is written as an escape (`\\x1b`, `\\u202e`)."""
    return _UNSAFE.sub(_escaped, str(text))


def _escaped(found: re.Match[str]) -> str:
    what = found[0]
    if what in _NAMED:
        return _NAMED[what]
    code = ord(what)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"


# --- Markdown and HTML ------------------------------------------------------------------------------------------------

_MARKUP = re.compile(r"[\\`*_\[\]#|~]")


def code(text: object) -> str:
    """A Markdown code span, good inside a table cell: no markup, link or @mention works in it."""
    shown = clean(text).replace("|", "\\|")
    if not shown.strip():
        return f"` {shown or 'empty'} `"
    ticks = "`" * (max((len(run) for run in re.findall("`+", shown)), default=0) + 1)
    space = " " if "`" in (shown[0], shown[-1]) else ""
    return f"{ticks}{space}{shown}{space}{ticks}"


def markdown(text: object) -> str:
    """Markdown text for the middle of a line: nothing in it is markup, HTML, a mention, a reference or a link."""
    shown = clean(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    shown = _MARKUP.sub(lambda found: "\\" + found[0], shown)
    return shown.replace("@", "@&#8203;").replace("\\#", "\\#&#8203;").replace("://", ":&#8203;//").replace("www.", "www&#8203;.")


def fence(lines: list[str], language: str = "") -> list[str]:
    """A fenced block no line of which can close it."""
    shown = [clean(line) for line in lines]
    longest = max((len(run) for line in shown for run in re.findall("`+", line)), default=0)
    ticks = "`" * max(3, longest + 1)
    return [ticks + language, *shown, ticks]


def html(text: object) -> str:
    """Text for an HTML element or a quoted attribute."""
    from html import escape  # beside it stands a table of 2,231 named characters

    return escape(clean(text), quote=True)


def xml(text: object) -> str:
    """Text for an XML element or a quoted attribute; characters that XML 1.0 forbids are already escapes."""
    return html(text).replace("\ufffe", "\\ufffe").replace("\uffff", "\\uffff")


# --- GitHub workflow commands -----------------------------------------------------------------------------------------


def workflow_data(text: object) -> str:
    """The message of a `::error::` command."""
    return clean(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def workflow_property(text: object) -> str:
    """The value of a property such as `file=`."""
    return workflow_data(text).replace(":", "%3A").replace(",", "%2C")


# --- cells ------------------------------------------------------------------------------------------------------------


def width(text: str) -> int:
    """Terminal cells that `text` takes: wide and full-width characters two, combining marks none."""
    return len(text) if text.isascii() else sum(map(_cells, text))


def _cells(character: str) -> int:
    if character.isascii():
        return 1
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def pad(text: str, cells: int) -> str:
    return text + " " * (cells - width(text))


def cut(text: str, cells: int) -> str:
    """`text` in at most `cells` cells, its end replaced by `...` where it is too long."""
    if width(text) <= cells:
        return text
    room, kept = max(0, cells - 3), 0
    for index, character in enumerate(text):
        kept += _cells(character)
        if kept > room:
            return text[:index] + "..."[: max(0, cells)]
    return text


def tail(text: str, cells: int) -> str:
    """The end of `text` in at most `cells` cells."""
    kept = 0
    for index in range(len(text) - 1, -1, -1):
        kept += _cells(text[index])
        if kept > cells:
            return text[index + 1 :]
    return text


def wrap(text: str, cells: int) -> list[str]:
    """`text` broken at spaces into lines of at most `cells` cells; a longer word stands alone, uncut."""
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        if line and width(line) + 1 + width(word) > cells:
            lines.append(line.rstrip())
            line = word
        else:
            line = f"{line} {word}" if line else word
    return [*lines, line]


def hanging(head: str, text: str, cells: int | None, *, indent: int) -> list[str]:
    """`text` behind `head` (`indent` cells wide, its colours not counted), further lines below the first; None never breaks."""
    lines = [text] if cells is None else wrap(text, max(24, cells - indent))
    return [((" " * indent if index else head) + line).rstrip() for index, line in enumerate(lines)]
