"""Who holds which exclusive thing, and when: pure interval algebra over claims."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from reconciler.frozen import frozen
from reconciler.model import Conflict, Place, Window

T = TypeVar("T")
TIGHT = timedelta(seconds=5)
MOST = 16  # conflicts told of one claim: thousands on one destination are one mistake, not millions
_FOREVER = datetime.max.replace(tzinfo=UTC)


@frozen
class Claim:
    """`holder` holds `thing` (`scheme://host/app/stream`, normalised) during `window`. `foreign`: live, and in no manifest."""

    thing: str
    window: Window
    holder: str
    place: Place | None = None
    foreign: bool = False


def contested(holdings: Iterable[tuple[str, T]]) -> Iterator[tuple[str, T]]:
    """Of pairs of a thing and its holder those whose ingest another pair names too: nearly everything has one holder, and no conflict."""
    alone: dict[str, tuple[str, T] | None] = {}
    for pair in holdings:
        ingest = _ingest(pair[0])
        if ingest not in alone:
            alone[ingest] = pair
            continue
        if first := alone[ingest]:
            alone[ingest] = None
            yield first
        yield pair


def _ingest(thing: str) -> str:
    return thing.partition("://")[2] or thing


def conflicts(claims: Iterable[Claim]) -> list[Conflict]:
    """Pairs that want one thing at one time, earliest first.

    `hard`: declared windows overlap. `tight`: the gap between them is below five seconds. `shadow`: one ingest behind different URL
    schemes. `foreign`: a live task of somebody else overlaps. Touching windows are legal, hence tight at most.
    """
    by_ingest: dict[str, list[Claim]] = {}
    for claim in claims:
        by_ingest.setdefault(_ingest(claim.thing), []).append(claim)
    found: list[Conflict] = []
    for group in by_ingest.values():
        if len(group) > 1:
            found.extend(_sweep(sorted(group, key=lambda claim: (claim.window.start, claim.holder))))
    return sorted(found, key=lambda conflict: (conflict.window.start if conflict.window else _FOREVER, conflict.addresses))


def _sweep(group: list[Claim]) -> Iterable[Conflict]:
    """Windows in the order of their starts; `active` is a heap of those that may still touch the next one, by their ends."""
    active: list[tuple[datetime, int]] = []
    for at, claim in enumerate(group):
        while active and active[0][0] + TIGHT <= claim.window.start:
            heapq.heappop(active)
        for _, other in active[:MOST]:
            kind = _judge(group[other], claim)
            if kind:
                yield _conflict(kind, group[other], claim)
        heapq.heappush(active, (_end(claim), at))


def _judge(first: Claim, second: Claim) -> str:
    if first.holder == second.holder or (first.foreign and second.foreign):
        return ""
    overlap = first.window.overlaps(second.window)
    if first.foreign or second.foreign:
        return "foreign" if overlap else ""
    if overlap:
        return "hard" if first.thing == second.thing else "shadow"
    gap = second.window.start - _end(first)
    return "tight" if timedelta(0) < gap < TIGHT and first.thing == second.thing else ""


def _end(claim: Claim) -> datetime:
    return claim.window.end or _FOREVER - TIGHT


def _conflict(kind: str, first: Claim, second: Claim) -> Conflict:
    start = max(first.window.start, second.window.start)
    end = min(_end(first), _end(second))
    here, there = (second, first) if first.foreign else (first, second)
    match kind:
        case "hard":
            message = f"{second.holder} and {first.holder} push to {first.thing} at the same time"
        case "shadow":
            message = f"{second.holder} and {first.holder} push to one ingest at the same time, as {second.thing} and {first.thing}"
        case "tight":
            gap = (second.window.start - _end(first)).total_seconds()
            message = f"{second.holder} begins {gap:g} s after {first.holder} ends on {first.thing}"
        case _:
            message = f"{here.holder} would push to {here.thing} while {there.holder}, which is not ours, does"
    return Conflict(
        type=kind,
        claim=first.thing,
        addresses=(first.holder, second.holder),
        message=message,
        places=tuple(claim.place for claim in (first, second) if claim.place),
        window=Window(start, end) if start < end else Window(start, start),
    )
