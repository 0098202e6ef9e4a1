"""Manifests against each other: names that clash, circles of dependencies, one destination wanted twice at one time."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from reconciler import timeline
from reconciler.frozen import frozen
from reconciler.mistakes import did_you_mean
from reconciler.model import Address, Desired, Diagnostic, Kind, Scheduling, Severity, Window
from reconciler.rules import Kinds
from reconciler.sources import nearest

CIRCLES = 100
"""Circles of dependencies that are told."""
EXACT = 1000
"""Mistakes that are shown at their very value; after so many, where the document begins. Each costs reading a file."""


@frozen
class Written:
    """All that was written down. `desired` is right, `sketches` are right in parts, `declared` holds every address with a name."""

    desired: Sequence[Desired]
    sketches: Sequence[Desired]
    declared: Collection[Address]
    kinds: Kinds

    def __iter__(self) -> Iterator[Desired]:
        yield from self.desired
        yield from self.sketches


def mistakes_between(written: Written, *, whole: bool) -> list[Diagnostic]:
    """What is wrong between documents. Unless `whole`, what is not found may be outside of what was read."""
    crossing = _Crossing(written, whole)
    crossing.renames()
    crossing.dependencies()
    crossing.identities()
    crossing.claims()
    return crossing.found


@dataclass(slots=True)
class _Crossing:
    written: Written
    whole: bool
    found: list[Diagnostic] = field(default_factory=list)

    def wrong(
        self,
        want: Desired,
        rule: str,
        path: str,
        message: str,
        *,
        help: str = "",
        other: tuple[Desired, str, str] | None = None,
        severity: Severity = Severity.ERROR,
    ) -> None:
        exact = len(self.found) < EXACT
        related = ((nearest(other[0], other[1]) if exact else other[0].place, other[2]),) if other else ()
        place = nearest(want, path) if exact else want.place
        self.found.append(Diagnostic(severity, rule, message, place, str(want.address), path, help, related))

    def renames(self) -> None:
        heirs: dict[Address, Desired] = {}
        for want in self.written:
            if not want.renamed_from:
                continue
            earlier = Address(want.address.kind, want.renamed_from)
            path = "metadata.renamedFrom"
            if earlier in self.written.declared:
                self.wrong(want, "RC041", path, f"{earlier} is still declared", help="remove it, or remove renamedFrom")
            elif (first := heirs.setdefault(earlier, want)) is not want:
                message = f"{first.address} was renamed from {earlier} too"
                self.wrong(want, "RC041", path, message, help="keep one of the two", other=(first, path, "here"))

    def dependencies(self) -> None:
        declared = self.written.declared
        depending = {want.address: want for want in self.written if want.depends_on}
        for want in depending.values():
            for at, target in enumerate(want.depends_on):
                if target in declared:
                    continue
                path = f"metadata.dependsOn.{at}"
                if self.whole:
                    # names are compared for the first few only: it is slow with very many of them
                    near = did_you_mean(str(target), map(str, declared)) if len(self.found) < 20 else ""
                    self.wrong(want, "RC042", path, f"{target} is declared nowhere", help=near or "declare it, or remove it here")
                else:
                    message = f"{target} is not in the files that were read; whether it is declared was not checked"
                    self.wrong(want, "RC042", path, message, severity=Severity.NOTE)
        for cycle in islice(_cycles({address: want.depends_on for address, want in depending.items()}), CIRCLES):
            want, after = depending[cycle[0]], depending[cycle[-1]]
            path = f"metadata.dependsOn.{want.depends_on.index(cycle[1 % len(cycle)])}"
            message = "these depend on each other: " + " -> ".join(map(str, (*cycle, cycle[0])))
            back = f"metadata.dependsOn.{after.depends_on.index(cycle[0])}"
            self.wrong(want, "RC043", path, message, help="remove one of them", other=(after, back, "the circle closes here"))

    def identities(self) -> None:
        """Two objects that could not be told apart afterwards."""
        groups: dict[tuple[str, str, str], list[Desired]] = {}
        right = len(self.written.desired)
        for at, want in enumerate(self.written):
            kind = self.written.kinds.get(want.address.kind)
            assert kind is not None
            if at >= right and want.timing is None and "schedule" in want.places:
                continue  # a sketch whose window is what is wrong
            try:
                identity = kind.identity(want)
            except (KeyError, TypeError):
                if at < right:
                    raise
                continue  # a sketch: what names it is what is wrong
            groups.setdefault((want.address.kind, want.account, identity), []).append(want)
        for (name, _, _), group in groups.items():
            if len(group) > 1:
                kind = self.written.kinds.get(name)
                assert kind is not None
                for first, second in _clashes(group, overlap=kind.scheduling is not Scheduling.VENDOR):
                    if first.address == second.address:
                        continue  # told already: declared twice
                    when = "in one window" if kind.scheduling is Scheduling.VENDOR else "at one time"
                    message = f"{second.address} and {first.address} have the same names at the vendor {when}: they could not be told apart"
                    other = (first, self.naming(first, kind), "the other one")
                    path = self.naming(second, kind)
                    self.wrong(second, "RC045", path, message, help="change what names one of them, or its window", other=other)

    def naming(self, want: Desired, kind: Kind) -> str:
        """The field that gives an object its name at the vendor, as far as it is written down."""
        if len(self.found) >= EXACT:
            return "spec"
        return next((path for path in kind.naming if path in want.places), "spec")

    def claims(self) -> None:
        """Exclusive things that two objects want at one time."""
        by_name: dict[str, Desired] = {}
        claims: list[timeline.Claim] = []
        for thing, want in timeline.contested(self.holdings()):
            assert want.timing is not None
            holder = str(want.address)
            by_name[holder] = want
            claims.append(timeline.Claim(thing, want.timing.window, holder))
        for conflict in timeline.conflicts(claims):
            first, second = (by_name[name] for name in conflict.addresses)
            severity = Severity.ERROR if conflict.type == "hard" else Severity.WARNING
            self.wrong(
                second,
                "RC044",
                "spec.destination",
                conflict.message,
                help="move one of the windows, or choose another destination",
                other=(first, "spec.destination", "the other one"),
                severity=severity,
            )

    def holdings(self) -> Iterator[tuple[str, Desired]]:
        """Every exclusive thing, and who wants it in its window."""
        right = len(self.written.desired)
        for at, want in enumerate(self.written):
            kind = self.written.kinds.get(want.address.kind)
            if kind is None or want.timing is None:
                continue
            try:
                things = kind.claims(want)
            except (KeyError, TypeError):
                if at < right:
                    raise
                continue  # a sketch: what it claims is what is wrong in it
            for thing in things:
                yield thing, want


def _clashes(group: list[Desired], *, overlap: bool) -> Iterator[tuple[Desired, Desired]]:
    """Pairs of one identity whose windows overlap, or, unless `overlap`, are the same. Each object is named once."""
    if not overlap:
        first: dict[Window | None, Desired] = {}
        for want in group:
            if (other := first.setdefault(want.window, want)) is not want:
                yield other, want
        return
    longest: Desired | None = None
    for want in sorted(group, key=lambda want: (want.window is not None, want.window.start if want.window else 0)):
        if longest and (longest.window is None or want.window is None or longest.window.overlaps(want.window)):
            yield longest, want
        if longest is None or (longest.window and want.window and _end(want.window) > _end(longest.window)):
            longest = want


def _end(window: Window) -> float:
    return window.end.timestamp() if window.end else float("inf")


def _cycles(graph: Mapping[Address, Sequence[Address]]) -> Iterator[list[Address]]:
    """Circles of a graph, each once, without recursion: a chain may be as long as there are manifests."""
    done: set[Address] = set()
    for root in graph:
        if root in done:
            continue
        trail: list[Address] = [root]
        on_trail = {root}
        waiting = [iter(graph[root])]
        while waiting:
            for target in waiting[-1]:
                if target in on_trail:
                    yield trail[trail.index(target) :]
                elif target in graph and target not in done:
                    trail.append(target)
                    on_trail.add(target)
                    waiting.append(iter(graph[target]))
                    break
            else:
                waiting.pop()
                left = trail.pop()
                on_trail.discard(left)
                done.add(left)
