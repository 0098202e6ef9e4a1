"""Which cases are run: every fault at every call and every kill for one object, two faults and two kills beyond that, pairs for several."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from tests.crash.harness import CLIPS, FAULTS, RELAYS, SESSIONS, SHIFTING, VERBS, WHENS, WORLDS, Case, Trial, aftermaths, empty, run
from tests.scenarios.manifests import KINDS

AFTERMATHS = 8  # continuations of one first attack in the long suite
GAPS = (0, 20, 45, 80, 100)  # seconds until somebody runs it again: at once, within the horizon, beyond it
WORLDS_OF: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(RELAYS, ("", "lag", "replica", "repeat", "skip", "ahead", "behind", "slow", "elsewhere")),
    **dict.fromkeys(SESSIONS, ("", "lag", "ahead", "behind", "slow", "elsewhere")),
    **dict.fromkeys(CLIPS, ("", "lag", "barren", "elsewhere")),
}


class Chunk(NamedTuple):
    """Cases of one kind, verb and world: one test."""

    kind: str
    verb: str
    world: str = ""

    def __str__(self) -> str:
        return "-".join(part for part in self if part)


def chunks() -> list[Chunk]:
    """All of them, the plain world first."""
    found = [Chunk(kind, verb, world) for kind in KINDS for verb, what in VERBS.items() if kind in what.kinds for world in WORLDS_OF[kind]]
    return sorted(found, key=lambda chunk: (bool(chunk.world), chunk))


@dataclass(slots=True)
class Sweep:
    """What came of a chunk."""

    ran: int = 0
    failures: list[str] = field(default_factory=list)

    def attempt(self, case: Case, folder: Path, tried: Callable[[Case], Trial] | None = None) -> tuple[int, int]:
        """Runs one case, and writes down the line that replays it if it fails. Returns (points, writes) of the attacked life."""
        self.ran += 1
        try:
            trial = tried(case) if tried else run(case, folder)
            return trial.points, trial.writes
        except Exception as wrong:  # whatever it is, the case failed
            text = str(wrong) or type(wrong).__name__
            self.failures.append(text if case.replay in text else f"{type(wrong).__name__}: {text[:300]}: {case.replay}")
            return 0, 0
        finally:
            empty(folder)


def sweep(
    chunk: Chunk, folder: Path, *, budget: int, seed: str = "0", exhaustive: bool = True, endless: bool = True, patience: int = 20
) -> Sweep:
    """Up to `budget` cases: single faults, then kills at any point of those and, once that is used up, two faults and two kills.

    Not `exhaustive`: drawn from everything at once. Not `endless`: the product only, whatever the budget.
    """
    done = Sweep()
    draw = random.Random(f"{seed} {chunk}")
    plain = Case(chunk.kind, chunk.verb, world=chunk.world)
    points = {}
    points[plain], writes = done.attempt(plain, folder)
    singles = list(spoilt(plain, writes))
    if not exhaustive:
        mixed = beyond([plain, *singles], max(points.values()), draw)
        while done.ran < budget and len(done.failures) < patience:
            first, tried = next(mixed), aftermaths(folder)
            for one in (first, *itertools.islice(mixed, AFTERMATHS - 1)):
                done.attempt(replace(first, then=one.then, again=one.again, gap=one.gap), folder, tried)
        return done
    if endless and len(singles) > budget // 3:  # a small sample still has room for kills
        singles = draw.sample(singles, budget // 3)
    for base in singles:
        points[base], _ = done.attempt(base, folder)
    kills = [replace(base, kill=kill) for base, passed in points.items() for kill in range(1, passed + 1)]
    draw.shuffle(kills)
    for case in itertools.chain(kills, beyond(list(points), max(points.values()), draw) if endless else ()):
        if done.ran >= budget or len(done.failures) >= patience:
            return done
        done.attempt(case, folder)
    return done


def spoilt(plain: Case, writes: int) -> Iterator[Case]:
    """Every fault, before and after every write, without a kill."""
    for fault in FAULTS:
        for when in WHENS:
            for call in range(1, writes + 1):
                yield replace(plain, fault=fault, when=when, call=call)


def beyond(plain: Sequence[Case], points: int, draw: random.Random) -> Iterator[Case]:
    """Two faults and two kills, without end."""
    while plain:
        second = f"{draw.choice(FAULTS)}:{draw.choice(WHENS)}:{draw.randint(1, 2)}" if draw.random() < 0.7 else ""
        yield replace(
            draw.choice(plain),
            kill=draw.randint(0, points + 1),
            then=second,
            again=draw.randint(0, points) if draw.random() < 0.6 else 0,
            gap=draw.choice(GAPS),
        )


TOGETHER = ("relay+playlist", "relay+clip", "recording+segment", "clip+relay+segment", "playlist+recording+clip+relay")


def pairs(seed: str = "0") -> list[Case]:
    """Several objects that depend on each other: every two values of any two dimensions occur together in some case."""
    shared = [verb for verb, what in VERBS.items() if set(what.kinds) >= {*RELAYS, *SESSIONS, *CLIPS} and not what.forgets]
    dimensions: dict[str, Sequence[Any]] = {
        "kind": TOGETHER,
        "verb": shared,
        "fault": ("", *FAULTS),
        "when": WHENS,
        "call": tuple(range(1, 9)),
        "kill": (0, *range(1, 61, 2)),
        "world": tuple(world for world in WORLDS if world not in (*SHIFTING, "barren", "unfenced")),
        "then": ("", *(f"{fault}:{when}:1" for fault in FAULTS for when in WHENS)),
        "again": (0, 3, 6, 9, 14, 20),
        "gap": GAPS,
    }
    draw = random.Random(f"pairs {seed}")
    names = list(dimensions)
    missing = {((one, a), (two, b)) for one, two in itertools.combinations(names, 2) for a in dimensions[one] for b in dimensions[two]}
    found = []
    while missing:
        (one, a), (two, b) = next(iter(sorted(missing, key=repr))) if len(missing) < 50 else draw.choice(sorted(missing, key=repr))
        best, most = None, -1
        for _ in range(12):
            row = {name: draw.choice(values) for name, values in dimensions.items()} | {one: a, two: b}
            new = sum(((x, row[x]), (y, row[y])) in missing for x, y in itertools.combinations(names, 2))
            if new > most:
                best, most = row, new
        assert best is not None
        missing -= {((x, best[x]), (y, best[y])) for x, y in itertools.combinations(names, 2)}
        found.append(Case(**best))
    return found
