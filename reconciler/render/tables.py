"""Small tables: columns aligned by terminal cells, the last one free."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from reconciler.render.look import Look
from reconciler.render.safe import clean, cut, pad, width


def table(heads: Sequence[str], rows: Iterable[Sequence[object]], look: Look) -> list[str]:
    """Lines of a table with a head; every cell is neutralised. Empty columns are left out."""
    body = [[clean(cell) for cell in row] for row in rows]
    kept = [index for index, _ in enumerate(heads) if any(row[index] for row in body)] if body else list(range(len(heads)))
    columns = [max([width(heads[index]), *(width(row[index]) for row in body)]) for index in kept]

    def line(cells: Sequence[str]) -> str:
        *first, last = [cells[index] for index in kept]
        text = "  ".join([*(pad(cell, size) for cell, size in zip(first, columns, strict=False)), last]).rstrip()
        return text if look.width is None else cut(text, look.width)

    return [look.paint(line(heads), "bold"), *(line(row) for row in body)]


def pairs(rows: Iterable[tuple[str, object]]) -> list[str]:
    """`label   value` lines, for one thing in detail."""
    shown = [(clean(label), clean(value)) for label, value in rows if value not in ("", None)]
    size = max((width(label) for label, _ in shown), default=0)
    return [f"{pad(label, size)}  {value}" for label, value in shown]
