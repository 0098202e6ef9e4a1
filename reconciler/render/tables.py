"""Small tables: columns aligned by terminal cells, the last one free; where a terminal is too narrow, a row takes several lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from reconciler.render.look import Look
from reconciler.render.safe import clean, hanging, pad, width


def table(heads: Sequence[str], rows: Iterable[Sequence[object]], look: Look) -> list[str]:
    """Lines of a table with a head; every cell is neutralised. Empty columns are left out, and nothing else ever is."""
    body = [[clean(cell) for cell in row] for row in rows]
    kept = [index for index, _ in enumerate(heads) if any(row[index] for row in body)] if body else list(range(len(heads)))
    sizes = {index: max([width(heads[index]), *(width(row[index]) for row in body)]) for index in kept}
    groups = _groups(sizes, look.width)

    def lines(cells: Sequence[str]) -> list[str]:
        shown = []
        for number, group in enumerate(groups):
            text = "  ".join(pad(cells[index], sizes[index]) for index in group).rstrip()
            if text or not number:
                shown.append(f"{_FOLDED}{text}" if number else text)
        return shown

    return [*(look.paint(line, "bold") for line in lines(heads)), *(line for row in body for line in lines(row))]


_FOLDED = "    "


def _groups(sizes: Mapping[int, int], room: int | None) -> list[list[int]]:
    """Columns by the line they stand on."""
    groups: list[list[int]] = [[]]
    taken = 0
    for index, size in sizes.items():
        if room is not None and groups[-1] and taken + 2 + size > room:
            groups.append([])
            taken = len(_FOLDED)
        taken += size + (2 if groups[-1] else 0)
        groups[-1].append(index)
    return groups


def pairs(rows: Iterable[tuple[str, object]], look: Look) -> list[str]:
    """`label   value` lines, for one thing in detail."""
    shown = [(clean(label), clean(value)) for label, value in rows if value not in ("", None)]
    size = max((width(label) for label, _ in shown), default=0)
    return [line for label, value in shown for line in hanging(f"{pad(label, size)}  ", value, look.width, indent=size + 2)]
