"""Asks the vendors where every declared or remembered object is: one conversation per account and kind, side by side.

What an account's list tells does not depend on what is asked, so a conversation may begin while the manifests are still being read.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from reconciler import planner, settling
from reconciler.courier import Courier
from reconciler.errors import ReconcilerError, Unavailable
from reconciler.ledger import Ledger, Tombstone
from reconciler.model import (
    Address,
    Desired,
    Entry,
    Intent,
    Kind,
    Lookup,
    Observed,
    Presence,
    Scheduling,
    Stage,
    Stranger,
    Survey,
    Verb,
)

GRACE = 2.0  # seconds in which a conversation that nobody needs any more may end by itself

Group = tuple[str, str]
"""An account and the name of a kind."""


class Opener(Protocol):
    """Opens the way to an account's vendors; once `abandoned`, nothing more is sent on it."""

    def __call__(self, account: str, *, abandoned: Callable[[], bool] = ...) -> Courier: ...


@dataclass(slots=True)
class World:
    """What the vendors' reads and the ledger said at one instant; settling corrects it in place."""

    seen: dict[Address, Observed]
    entries: Mapping[Address, Entry]
    intents: dict[Address, Intent]
    strangers: list[Stranger]
    counts: dict[str, int]
    settled: int = 0


class Observer:
    """The reading side of one workspace. `courier` gives the way to an account's vendors, until nobody waits for an answer any more.

    Without `threads` one is asked after the other.
    """

    def __init__(
        self,
        *,
        workspace: str,
        kinds: Callable[[str], Kind | None],
        ledger: Ledger,
        courier: Opener,
        threads: bool,
    ) -> None:
        self._workspace = workspace
        self._kinds = kinds
        self._ledger = ledger
        self._courier = courier
        self._threads = threads
        self._begun: dict[Group, _Conversation] = {}

    def begin(self, groups: Iterable[Group]) -> None:
        """Starts conversations whose questions follow with `observe`; whoever begins must `abandon` in the end."""
        for account, kind in groups if self._threads else ():
            if self._kinds(kind) is not None:
                self._begun[account, kind] = self._start(account, kind)

    def abandon(self) -> None:
        """Lets go of conversations that were begun, and never asked anything."""
        _part(self._begun.values())
        self._begun.clear()

    def observe(
        self,
        desired: Sequence[Desired],
        entries: Mapping[Address, Entry],
        *,
        now: datetime,
        chosen: Callable[[Address], bool] = lambda _: True,
    ) -> World:
        """Everything that is declared or remembered, where it is now.

        Of what is neither, only what is `chosen`: writes without a known result, and what was deleted and may come to life late.
        """
        known = {*entries, *(want.address for want in desired)}
        intents = {one.address: one for one in self._ledger.open_intents() if one.address in known or chosen(one.address)}
        buried = self._ledger.tombstones()
        asks = self._lookups(desired, entries, intents, now, {one.address: one for one in buried if not one.id})
        self._watch_graves([one for one in buried if one.address not in {*known, *intents} and chosen(one.address)], asks)
        gone = {(one.account, one.id) for one in buried if one.id}
        seen: dict[Address, Observed] = {}
        strangers: list[Stranger] = []
        counts: dict[str, int] = {}
        for (account, kind), survey in self._surveys(asks):
            vendor = self.kind(kind).vendor
            for answer in survey.answers:
                seen[answer.address] = _without(gone, account, answer)
            strangers.extend(replace(one, account=account) for one in survey.strangers if (account, one.id) not in gone)
            alive = sum(answer.presence is Presence.LIVE for answer in survey.answers)
            counts[vendor] = counts.get(vendor, 0) + alive + sum(one.stage is not Stage.ENDED for one in survey.strangers)
        return World(seen, entries, intents, strangers, counts)

    def kind(self, name: str) -> Kind:
        kind = self._kinds(name)
        if kind is None:
            raise ReconcilerError(f"no kind is called {name}")
        return kind

    # conversations

    def _surveys(self, asks: Mapping[Group, list[Lookup]]) -> Iterator[tuple[Group, Survey]]:
        if not self._threads or (len(asks) < 2 and not self._begun):
            for (account, kind), lookups in asks.items():
                yield (account, kind), self._courier(account).run(self.kind(kind).observe(lookups))
            return
        begun = {group: self._begun.pop(group) if group in self._begun else self._start(*group) for group in asks}
        self.abandon()
        try:
            for group, lookups in asks.items():
                begun[group].ask(lookups)
            for group in asks:
                yield group, begun[group].answer()
        finally:
            _part(begun.values())

    def _start(self, account: str, kind: str) -> _Conversation:
        ended = threading.Event()
        courier = self._courier(account, abandoned=ended.is_set)
        courier.prepare(self.kind(kind).vendor)
        return _Conversation(f"{kind} of {account}", lambda lookups: courier.run(self.kind(kind).observe(lookups)), ended)

    # what is asked

    def _lookups(
        self,
        desired: Sequence[Desired],
        entries: Mapping[Address, Entry],
        intents: Mapping[Address, Intent],
        now: datetime,
        refused: Mapping[Address, Tombstone],
    ) -> dict[Group, list[Lookup]]:
        asks: dict[Group, list[Lookup]] = {}
        asked: set[Address] = set()
        for want in desired:
            entry = entries.get(want.address) or _renamed(want, entries)
            asked.add(want.address)
            if entry:
                asked.add(entry.address)
            intent = intents.get(want.address)
            if intent is None and not planner.needs_read(want, entry, self.kind(want.address.kind), now):
                continue
            if intent is None and want.address in refused and (entry is None or want.incarnation > entry.incarnation):
                intent = _sought(refused[want.address], want)
            lookup = Lookup(want.address, self._workspace, want, entry, intent)
            asks.setdefault((want.account, want.address.kind), []).append(lookup)
        for address in sorted({*entries, *intents} - asked):
            if self._kinds(address.kind) is None:
                continue
            entry, intent = entries.get(address), intents.get(address)
            account = entry.account if entry else intent.account if intent else "default"
            asks.setdefault((account, address.kind), []).append(Lookup(address, self._workspace, None, entry, intent))
        return asks

    def _watch_graves(self, buried: Iterable[Tombstone], asks: dict[Group, list[Lookup]]) -> None:
        """Asks also for what must not be there: a request that came late may have made it again."""
        for one in buried:
            kind = self._kinds(one.address.kind)
            if kind is None:
                continue
            sought = _sought(one) if kind.scheduling is Scheduling.RUNNER else None  # no list tells of these
            asks.setdefault((one.account, kind.name), []).append(Lookup(one.address, self._workspace, intent=sought))


class _Conversation:
    """One kind asking one account's vendor, in a thread of its own. It begins at once; its question may come later."""

    def __init__(self, name: str, run: Callable[[Sequence[Lookup]], Survey], ended: threading.Event) -> None:
        self._ended = ended
        self._question = _Question(ended)
        self._answer: Survey | BaseException | None = None
        self._thread = threading.Thread(target=self._talk, args=(run,), name=f"observe {name}", daemon=True)
        self._thread.start()

    def _talk(self, run: Callable[[Sequence[Lookup]], Survey]) -> None:
        try:
            self._answer = run(self._question)
        except BaseException as wrong:  # carried over to whoever waits for the answer
            self._answer = wrong

    def ask(self, lookups: Sequence[Lookup]) -> None:
        self._question.put(lookups)

    def answer(self) -> Survey:
        """Raises what the conversation ended with."""
        while self._thread.is_alive():
            self._thread.join(timeout=1.0)  # in slices: a signal is heard in between
        assert self._answer is not None
        if isinstance(self._answer, BaseException):
            raise self._answer
        return self._answer

    def wait(self, seconds: float) -> None:
        self._thread.join(timeout=seconds)

    def end(self) -> None:
        """Nobody waits for an answer any more."""
        self._ended.set()
        self._question.wake()


def _part(conversations: Collection[_Conversation]) -> None:
    """Ends conversations, and waits a moment for answers on their way: what they travel by may be closed next."""
    for one in conversations:
        one.end()
    until = time.monotonic() + GRACE
    for one in conversations:
        one.wait(max(0.0, until - time.monotonic()))


class _Question(Sequence[Lookup]):
    """Lookups that may still be on their way: whoever looks at them first waits until they have come."""

    def __init__(self, ended: threading.Event) -> None:
        self._ended = ended
        self._come = threading.Event()
        self._lookups: Sequence[Lookup] = ()

    def put(self, lookups: Sequence[Lookup]) -> None:
        self._lookups = lookups
        self._come.set()

    def wake(self) -> None:
        self._come.set()

    def _awaited(self) -> Sequence[Lookup]:
        self._come.wait()
        if self._ended.is_set():
            raise Unavailable("nothing was asked after all")
        return self._lookups

    def __len__(self) -> int:
        return len(self._awaited())

    def __getitem__(self, at: Any) -> Any:
        return self._awaited()[at]

    def __iter__(self) -> Iterator[Lookup]:
        return iter(self._awaited())


def _sought(grave: Tombstone, want: Desired | None = None) -> Intent:
    """A create that was believed to have come to nothing, as a question: is there something by its identity all the same?"""
    number, window = (want.incarnation, want.window) if want else (1, None)
    began = grave.until - settling.LATEST
    return Intent("", grave.address, grave.account, Verb.CREATE, "", grave.identity, number, began, grave.until, window=window)


def _without(gone: Collection[tuple[str, str]], account: str, seen: Observed) -> Observed:
    """A list that lags still shows what we know to be deleted."""
    also = tuple(id for id in seen.also if (account, id) not in gone)
    if (account, seen.id) in gone and seen.presence is not Presence.ABSENT:
        return Observed(seen.address, Presence.ABSENT)
    return seen if also == seen.also else replace(seen, also=also)


def _renamed(want: Desired, entries: Mapping[Address, Entry]) -> Entry | None:
    return entries.get(Address(want.address.kind, want.renamed_from, want.address.occurrence)) if want.renamed_from else None
