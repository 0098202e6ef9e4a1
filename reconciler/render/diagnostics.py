"""Mistakes in manifests, each with its line and a caret under the wrong value; carets are as wide as the text is on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from reconciler.model import Diagnostic, Place, Severity
from reconciler.render.look import Look
from reconciler.render.safe import clean, cut, hanging, pad, tail, width
from reconciler.scalars import counted

Source = Callable[[Place], str | None]
"""The line that a place points into, fit to be shown; None when there is none."""

_COLOR = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}


def diagnostics(found: Sequence[Diagnostic], look: Look, *, source: Source, resources: int | None = None, files: int = 0) -> list[str]:
    """Every diagnostic as a frame, worst first within their order, and a summary line."""
    lines: list[str] = []
    for one in found:
        lines += [*frame(one, look, source=source), ""]
    return [*lines, *look.lines(summary(found, resources=resources, files=files), "bold")]


def frame(one: Diagnostic, look: Look, *, source: Source) -> list[str]:
    """`error[RC112]: ...`, the place, the source line, the caret, the help."""
    what = f"{one.severity.value}[{clean(one.rule)}]" if one.rule else one.severity.value
    lines = hanging(f"{look.paint(what, _COLOR[one.severity])}: ", clean(look.local(one.message)), look.width, indent=len(what) + 2)
    if one.place:
        about = "   ".join(clean(text) for text in (one.address, one.path) if text).replace("   ", "  ")
        lines += _excerpt(one.place, about, look, source)
    elif one.address:
        lines.append(f" --> {clean(one.address)}  {clean(one.path)}".rstrip())
    if one.help:
        lines += hanging("  = help: ", clean(one.help), look.width, indent=10)
    for where, text in one.related:
        lines += [*hanging("  = note: ", clean(look.local(text)), look.width, indent=10), *_excerpt(where, "", look, source)]
    return lines


def _excerpt(place: Place, about: str, look: Look, source: Source) -> list[str]:
    gutter = len(str(place.line))
    lines = [f"{' ' * gutter}--> {clean(place.file)}:{place.line}:{place.column}" + (f"   {about}" if about else "")]
    text = source(place)
    if text is None or place.column > len(text) + 1:
        return lines
    before, marked = clean(text[: place.column - 1]), clean(text[place.column - 1 : place.column - 1 + max(1, place.length)])
    shown = clean(text)
    if look.width is not None and width(shown) > (room := look.width - gutter - 3):
        if width(before) + min(width(marked), room // 3) > room - 3:  # a mark that would stand outside: the line begins before it
            kept = tail(before, room // 3)
            shown, before = "..." + kept + shown[len(before) :], "..." + kept
        shown = cut(shown, room)
        marked = cut(marked, max(1, room - width(before)))
    bar = f"{' ' * gutter} |"
    caret = look.paint("^" * max(1, width(marked)), "red")
    return [*lines, bar, f"{pad(str(place.line), gutter)} | {shown}", f"{bar} {' ' * width(before)}{caret}"]


def summary(found: Sequence[Diagnostic], *, resources: int | None = None, files: int = 0) -> str:
    """`2 errors, 1 warning in 1 of 14 files. Nothing was changed at any vendor.`"""
    errors = sum(one.severity is Severity.ERROR for one in found)
    warnings = sum(one.severity is Severity.WARNING for one in found)
    scope = "" if resources is None else f"{counted(resources, 'resource')} in {counted(files, 'file')}"
    if not errors and not warnings:
        return f"Valid: {scope}." if scope else "Valid."
    said = ", ".join(counted(number, word) for number, word in ((errors, "error"), (warnings, "warning")) if number)
    if not errors:
        return f"Valid: {scope}, {said}." if scope else f"Valid, {said}."
    broken = len({one.place.file for one in found if one.place and one.severity is Severity.ERROR})
    where = f" in {broken} of {counted(files, 'file')}" if files and broken else f" in {counted(broken, 'file')}" if broken else ""
    return f"{said}{where}. Nothing was changed at any vendor."
