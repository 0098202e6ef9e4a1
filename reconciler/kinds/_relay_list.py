"""The account's relay tasks as the vendor lists them: read whole, tied to the addresses asked about, made comparable with manifests.

Tasks have no labels and cannot be read by id. Vendor page: ListPullToPushTaskV2.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import zip_longest
from math import isclose
from typing import Any
from urllib.parse import unquote

from reconciler import wire
from reconciler.errors import Unavailable, VendorError
from reconciler.kinds._calls import Operation, mapping, mappings, together
from reconciler.kinds._ingest import Ingest
from reconciler.kinds._marks import LENGTH, fingerprint
from reconciler.kinds._pictures import image_bytes
from reconciler.kinds._relay_spec import RelaySpec, derived_title, joined, prefix, push_point, title_of, with_defaults
from reconciler.model import Call, Desired, Lookup, Match, Pause, Presence, Reply, Stage, Steps, Url, Values, Verb, Window

VENDOR = "volcengine-live"
NOT_SERVED = "InvalidActionOrVersion"

PAGE = 500  # the vendor's largest page
PAGES = 1000
LISTINGS = 5

# --- what is listed ---------------------------------------------------------------------------------------------------

_STAGES: dict[str | int, Stage] = {
    "停用": Stage.STOPPED, 0: Stage.STOPPED,
    "未开始": Stage.WAITING, 1: Stage.WAITING,
    "生效中": Stage.ON_AIR, 2: Stage.ON_AIR,
    "已结束": Stage.ENDED, 3: Stage.ENDED,
}  # fmt: skip
_ORDER = (Stage.ON_AIR, Stage.WAITING, Stage.STOPPED, Stage.NONE, Stage.ENDED)


@dataclass(slots=True, eq=False)
class Task:
    """One task of the list. `group` is None where the list does not tell. Its `values` are read out of the row when they are asked for."""

    id: str
    title: str
    group: str | None
    stage: Stage
    status: str
    window: Window | None
    row: Mapping[str, Any]
    _values: Values | None = None

    @property
    def presence(self) -> Presence:
        if self.stage is Stage.NONE:
            return Presence.UNKNOWN
        return Presence.ENDED if self.stage is Stage.ENDED else Presence.LIVE

    @property
    def rank(self) -> tuple[int, str]:
        """Of several that look alike, the one nearest to the air comes first."""
        return _ORDER.index(self.stage), self.id

    def stands_under(self, group: str, title: str) -> bool:
        return self.title == title and self.group in (None, group)

    def is_copy_of(self, other: Task) -> bool:
        return (self.group, self.window, self.values) == (other.group, other.window, other.values)

    @property
    def values(self) -> Values:
        """What the list tells of it, in canonical form; it still knows of no manifest."""
        if self._values is None:
            self._values = self._read()
        return self._values

    def _read(self) -> Values:
        values = wire.decode(RelaySpec, _plain(self.row))
        values["source"] = with_defaults(mapping(values.get("source")))
        if self.row.get("PreDownload") is None:
            values["source"].pop("preload", None)  # left out, it may be false as well as the vendor's default
        if not mappings(self.row.get("VodSrcAddrs")):
            for file in values["source"].get("files", ()):
                del file["endOffset"]  # nothing in the legacy form tells it
        values.pop("enabled", None)
        if self.stage is not Stage.NONE:
            values["enabled"] = self.stage is not Stage.STOPPED
        if self.group is None:
            values.pop("group", None)
        return values

    def is_as_sent(self, want: Desired) -> bool:
        """Whether the row is, letter for letter, what creating `want` would send, and tells of nothing else. Most rows are."""
        if want.values["enabled"] is not (self.stage is not Stage.STOPPED) or self.stage is Stage.NONE:
            return False
        try:
            sent = wire.encode(RelaySpec, want.values)
        except LookupError:  # a secret that was not resolved
            return False
        sent["Title"] = title_of(want)
        told = self.row.get
        for name, value in sent.items():
            if told(name) != value:
                return False
        return not any(told(name) for name in (_TOLD if "VodSrcAddrs" in sent else _TOLD_OF_STREAMS) if name not in sent)

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Task:
        status, number = row.get("Status"), row.get("TaskStatus")  # the number is the 2020 version's: welcome, never needed
        stages = (_STAGES[known] for known in (status, wire.number(number)) if isinstance(known, str | int) and known in _STAGES)
        group = row.get("GroupName")
        start, end = _moment(row.get("StartTime")), _moment(row.get("EndTime"))
        return cls(
            id=str(row["TaskId"]),
            title=str(row.get("Title") or ""),
            group=(group or "default") if isinstance(group, str) else None,
            stage=next(stages, Stage.NONE),
            status=str(status or ""),
            window=Window(start, end) if start else None,
            row=row,
        )


_OF_LISTS = ("CycleMode", "PlayTimes", "PreDownload", "ContinueStrategy")  # mean nothing for a live source
_TOLD = wire.names(RelaySpec) | {"SrcAddrS", "OffsetS"}
_TOLD_OF_STREAMS = _TOLD.difference(_OF_LISTS)


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """A listed task in one spelling: of the legacy and the current form of a play list, and of the two ways to count its loops."""
    plain = {**row}
    urls = _items(plain.get("SrcAddrS"))
    if plain.get("Type") is None:  # a member that is left out may be any
        plain["Type"] = int(not plain.get("SrcAddr") and bool(urls or mappings(plain.get("VodSrcAddrs"))))
    if wire.number(plain["Type"]) == 1:
        if not mappings(plain.get("VodSrcAddrs")):
            offsets = _items(plain.get("OffsetS"))
            plain["VodSrcAddrs"] = [{"SrcAddr": url, "StartOffset": offset} for url, offset in zip_longest(urls, offsets[: len(urls)])]
        cycles, times = _whole(plain.get("CycleMode")), _whole(plain.get("PlayTimes"))
        plain["CycleMode"] = -1 if cycles < 0 else times or cycles or 1
        plain["PlayTimes"] = 0
    else:
        for name in _OF_LISTS:
            plain.pop(name, None)
    mark = mapping(plain.get("Watermark"))
    if not mark.get("Picture") and not wire.number(mark.get("Ratio")):
        plain.pop("Watermark", None)
    return plain


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _whole(value: Any) -> int:
    told = wire.number(value)
    return told if isinstance(told, int) else 0


def _moment(raw: Any) -> datetime | None:
    """RFC 3339 with any offset, or with none, which is UTC by the vendor's page, or Unix seconds; None for no instant, or 0001-01-01."""
    told = wire.number(raw)
    try:
        if isinstance(told, str):
            read = datetime.fromisoformat(told.upper())
            found = read.astimezone(UTC) if read.tzinfo else read.replace(tzinfo=UTC)
        else:
            found = datetime.fromtimestamp(told if isinstance(told, int) else 0, UTC)
        return found if found.timestamp() > 0 else None
    except (ValueError, OverflowError, OSError):
        return None


@dataclass(slots=True)
class Page:
    """One page of the list: its tasks, how many rows it showed, and how many tasks it says there are, if it does.

    One that is not `told` was answered with something else than a list.
    """

    tasks: list[Task]
    shown: int
    total: int | None
    told: bool

    @classmethod
    def of(cls, body: Any) -> Page:
        rows = mappings(mapping(body).get("List"))
        total = wire.number(mapping(mapping(body).get("Pagination")).get("TotalCount"))
        tasks = [Task.of(row) for row in rows if isinstance(row.get("TaskId"), str | int)]
        return cls(tasks, len(rows), total if isinstance(total, int) else None, told=body is None or isinstance(body, Mapping))


LIST = Operation(VENDOR, "ListPullToPushTaskV2", pace=15, safe=True, read=Page.of)
LIST_V1 = Operation(VENDOR, "ListPullToPushTask", method="GET", pace=15, safe=True, read=Page.of)


def listed_tasks() -> Steps[list[Task]]:
    """Every task of the account. A list is believed when it holds as many different ids as every page said there are, or, where no
    page says, when two readings in a row show the same ones."""
    before: set[str] | None = None
    for attempt in range(LISTINGS):
        if attempt:
            yield Pause(1.0, note="the list of relay tasks changed while it was read")
        pages = yield from _pages()
        if not all(page.told for page in pages):
            raise Unavailable("the answer is no list of relay tasks; try again in a minute", action=LIST.action)
        tasks = {task.id: task for page in pages for task in page.tasks}
        totals = {page.total for page in pages}
        if totals == {len(tasks)} or (totals == {None} and tasks.keys() == before):
            return list(tasks.values())
        before = set(tasks)
    raise Unavailable(f"the list of relay tasks did not hold still in {LISTINGS} readings; try again in a minute", action=LIST.action)


def twice_listed(tasks: list[Task]) -> Steps[list[Task]]:
    """What proves that a task is absent: pages are read one after the other, so two readings in a row must show the same ids.

    One page is read at one instant and needs no second look.
    """
    for _ in range(LISTINGS):
        if len(tasks) <= PAGE:
            return tasks
        again = yield from listed_tasks()
        if {task.id for task in again} == {task.id for task in tasks}:
            return again
        tasks = again
    raise Unavailable(f"the list of relay tasks changed in {LISTINGS} readings; try again in a minute", action=LIST.action)


def _pages() -> Steps[list[Page]]:
    ask: Callable[[int], Call] = _page
    try:
        reply: Reply = yield ask(1)
    except VendorError as error:
        if error.code != NOT_SERVED:
            raise
        ask = _page_v1
        reply = yield ask(1)
    first: Page = reply.body
    if first.total is None:
        return (yield from _pages_to_the_end(first, ask))
    count = -(-first.total // min(PAGE, first.shown or PAGE))  # a vendor may serve shorter pages than it was asked for
    if count > PAGES:
        raise Unavailable(f"the list of relay tasks claims {first.total} tasks, which is past belief", action=LIST.action)
    rest = yield from together([ask(number) for number in range(2, count + 1)])
    return [first, *(reply.body for reply in rest)]


def _pages_to_the_end(page: Page, ask: Callable[[int], Call]) -> Steps[list[Page]]:
    """Where nothing tells how many there are: page after page, until one is empty."""
    pages = [page]
    while pages[-1].shown:
        if len(pages) == PAGES:
            raise Unavailable("the list of relay tasks has no end", action=LIST.action)
        reply: Reply = yield ask(len(pages) + 1)
        pages.append(reply.body)
    return pages


def _page(number: int) -> Call:
    return LIST({"Page": number, "Size": PAGE})


def _page_v1(number: int) -> Call:
    return LIST_V1(query={"Page": number, "Size": PAGE})


# --- whose is what ----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Found:
    """The task of one lookup, how it was tied, and what else has its identity."""

    task: Task
    match: Match
    others: tuple[Task, ...] = ()


class Search:
    """Ties lookups to tasks; no task is given to two of them."""

    def __init__(self, ask: Sequence[Lookup], tasks: Sequence[Task]) -> None:
        self.ask = ask
        self.free = {task.id: task for task in sorted(tasks, key=lambda task: task.rank)}
        self.by_title: dict[str, list[Task]] = {}
        for task in self.free.values():
            self.by_title.setdefault(task.title, []).append(task)
        self.found: dict[int, Found] = {}
        self._owned = {lookup.entry.id for lookup in ask if lookup.entry}
        self._titles = Counter(lookup.want.values.get("title", "") for lookup in ask if lookup.want)
        self._marks: dict[str, dict[str, int]] = {}
        self._named: dict[str, list[int]] = {}
        for at, lookup in enumerate(ask):
            self._named.setdefault(prefix(lookup.address), []).append(at)

    def run(self) -> dict[int, Found]:
        for rule in (self._by_new_create, self._by_id, self._by_mark, self._by_intent):
            for at, lookup in enumerate(self.ask):
                if at not in self.found:
                    rule(at, lookup)
        self._by_older_mark()
        for rule in (self._twin_in_body, self._twin_in_title):
            for at, lookup in enumerate(self.ask):
                if at not in self.found and lookup.want:
                    rule(at, lookup)
        return self.found

    def owner(self, task: Task) -> int | None:
        """The lookup whose fingerprint, of any incarnation, the title ends with."""
        name, mark = task.title[:-LENGTH], task.title[-LENGTH:]
        if name not in self._named:
            return None
        if name not in self._marks:
            self._marks[name] = {
                fingerprint(self.ask[at].workspace, self.ask[at].address, incarnation): at
                for at in self._named[name]
                for incarnation in range(1, max(8, self.ask[at].incarnation + 2))
            }
        return self._marks[name].get(mark)

    def _take(self, at: int, match: Match, tasks: Sequence[Task]) -> None:
        first, *others = tasks
        live = tuple(task for task in others if task.stage is not Stage.ENDED)
        self.found[at] = Found(first, match, live)
        for task in (first, *live):
            self.free.pop(task.id, None)

    def _under(self, group: str, title: str) -> list[Task]:
        return [task for task in self.by_title.get(title, ()) if task.id in self.free and task.stands_under(group, title)]

    def _marked(self, lookup: Lookup, incarnation: int) -> list[Task]:
        title = derived_title(lookup.workspace, lookup.address, incarnation)
        return [task for task in self.by_title.get(title, ()) if task.id in self.free]

    def _by_new_create(self, at: int, lookup: Lookup) -> None:
        """A create that was begun while the ledger still knows the task before it: the new one is what is asked for."""
        if lookup.intent and lookup.entry and lookup.intent.verb is Verb.CREATE:
            old = lookup.entry.id
            tasks = self._marked(lookup, lookup.intent.incarnation) or self._proved(lookup)
            if new := [task for task in tasks if task.id != old]:
                self._take(at, Match.MARK, new)

    def _by_id(self, at: int, lookup: Lookup) -> None:
        known = ((lookup.entry.id, Match.LEDGER) if lookup.entry else None, (lookup.intent.target, Match.MARK) if lookup.intent else None)
        for id, match in filter(None, known):
            task = self.free.get(id)
            if task:
                self._take(at, match, [task, *self._copies(lookup, task)])
                return

    def _copies(self, lookup: Lookup, task: Task) -> list[Task]:
        """What else has its identity: our mark, or under an explicit title the very same body and times."""
        free = (other for other in self.by_title[task.title] if other.id in self.free and other.id not in self._owned)
        titled = [other for other in free if other is not task]
        if not titled or task.title == derived_title(lookup.workspace, lookup.address, lookup.incarnation):
            return titled
        return [other for other in titled if other.is_copy_of(task)]

    def _by_mark(self, at: int, lookup: Lookup) -> None:
        tasks = self._marked(lookup, lookup.intent.incarnation if lookup.intent else lookup.incarnation)
        if tasks:
            self._take(at, Match.MARK, tasks)

    def _by_intent(self, at: int, lookup: Lookup) -> None:
        tasks = self._proved(lookup)
        if tasks:
            self._take(at, Match.MARK, tasks)

    def _proved(self, lookup: Lookup) -> list[Task]:
        """A lost answer to a create with an explicit title: the same title and body, or the very window sent, are the proof."""
        intent, want = lookup.intent, lookup.want
        if not intent or intent.verb is not Verb.CREATE:
            return []
        group, _, title = intent.identity.partition("/")
        return [task for task in self._under(group, title) if _alike(want, task) or (task.window and task.window == intent.window)]

    def _by_older_mark(self) -> None:
        """The ledger was lost: the live object may be any incarnation of its address."""
        for task in list(self.free.values()):
            at = self.owner(task)
            if at is None or at in self.found or self.ask[at].entry or self.ask[at].intent or task.stage is Stage.ENDED:
                continue
            self._take(at, Match.MARK, [task])

    def _twin_in_body(self, at: int, lookup: Lookup) -> None:
        want = lookup.want
        assert want
        tasks = [task for task in self._under(want.values["group"], title_of(want)) if _alike(want, task)]
        if tasks:
            self._take(at, Match.TWIN, [*tasks, *self._lookalikes(want, tasks)])

    def _twin_in_title(self, at: int, lookup: Lookup) -> None:
        want = lookup.want
        assert want
        tasks = [] if lookup.entry else self._lookalikes(want, ())  # one of ours is gone; this other one we knew and lived with
        if tasks:
            self._take(at, Match.TWIN, tasks)

    def _lookalikes(self, want: Desired, but: Sequence[Task]) -> list[Task]:
        """Tasks under an explicit title that are not over. Titles may repeat while windows differ: a sibling's slot is not ours."""
        shared = self._titles[want.values.get("title", "")] > 1
        return [
            task
            for task in self._under(want.values["group"], title_of(want))
            if task not in but
            and task.stage is not Stage.ENDED
            and not (shared and task.window and want.window and not task.window.overlaps(want.window))
        ]


def _alike(want: Desired | None, task: Task) -> bool:
    """Same source, same place, same times: what a task of ours looks like that nobody wrote down."""
    if want is None or want.window is None or task.window is None or task.window.end != want.window.end:
        return False
    if task.window.start < want.window.start:
        return False
    as_joined = joined(want, task.window.start)
    seen, unread = seen_by(as_joined.values, task)
    return all(
        part in unread or any(path.startswith(part + ".") for path in unread) or seen.get(part) == as_joined.values.get(part)
        for part in ("source", "destination")
    ) and _same_place(want, task)


def _same_place(want: Desired, task: Task) -> bool:
    """Where the URL cannot be compared in full, at least the place it pushes to must be the same."""
    live, url = mapping(task.values.get("destination")).get("url"), want.values["destination"].get("url")
    if not isinstance(live, Url) or (isinstance(url, Url) and not url.known):
        return True
    here = Ingest.of(url.reveal()) if isinstance(url, Url) else push_point(want.values["destination"])
    return here.place == Ingest.of(live.reveal()).place


# --- what is compared -------------------------------------------------------------------------------------------------


def seen_by(declared: Values, task: Task) -> tuple[dict[str, Any], set[str]]:
    """The task's values as they compare with declared ones, and the spec paths that the list does not tell."""
    values, unread = dict(task.values), set[str]()
    if "group" not in values:
        unread.add("group")
    if "enabled" not in values:
        unread.add("enabled")
    for compare in (_compare_source, _compare_destination, _compare_callback, _compare_watermark):
        compare(values, declared, unread)
    return values, unread


def _masked(url: Url) -> bool:
    """Whether the vendor hid parts of a URL that it returned."""
    text = url.reveal()
    return "***" in text or ("%2" in text and "%2A%2A%2A" in text.upper())


def _hidden(declared: object, live: object) -> bool:
    """Whether a URL cannot be compared: ours was not resolved, or the vendor masked theirs, left its query out or spells it otherwise."""
    if not isinstance(live, Url) or declared is None:
        return False
    if isinstance(declared, Url) and not declared.known:
        return True
    return _masked(live) or (isinstance(declared, Url) and _respelt(declared.reveal(), live.reveal()))


def _respelt(ours: str, theirs: str) -> bool:
    """Whether theirs is ours with other percent signs, another case of the host, the default port, or without its query."""
    if ours == theirs:
        return False
    here, there = _spelt(ours), _spelt(theirs)
    return here == there or (not there[-1] and here[:-1] == there[:-1])


def _spelt(url: str) -> tuple[str, ...]:
    plain = unquote(url)
    return plain.partition("://")[2].partition("/")[0].rpartition("@")[0], *Ingest.of(plain)


def _compare_source(values: dict[str, Any], declared: Values, unread: set[str]) -> None:
    live = values["source"] = dict(values["source"])
    ours = mapping(declared.get("source"))
    if "files" in live and "preload" not in live:
        unread.add("source.preload")
    if _hidden(ours.get("url"), live.get("url")):
        del live["url"]
        unread.add("source.url")
    theirs, files = live.get("files"), ours.get("files")
    if isinstance(theirs, list) and isinstance(files, list) and len(theirs) == len(files):
        shown = [
            {**their, "url": mine["url"]} if _hidden(mine.get("url"), their.get("url")) else their
            for mine, their in zip(files, theirs, strict=True)
        ]
        # the legacy form has no end offsets, and a URL may be hidden; where all the rest is the same, the ledger knows those
        if (shown != theirs or any("endOffset" not in their for their in theirs)) and all(map(_fits, files, shown)):
            del live["files"]
            unread.add("source.files")
        else:
            live["files"] = shown


def _fits(mine: Values, their: Values) -> bool:
    """Whether what is told of a file is what was declared of it; vendors keep float32."""
    return all(
        mine.get(key) == told or (isinstance(told, float) and isclose(mine.get(key, 0.0), told, abs_tol=1e-3))
        for key, told in their.items()
    )


def _compare_destination(values: dict[str, Any], declared: Values, unread: set[str]) -> None:
    ours = mapping(declared.get("destination"))
    live = mapping(values.get("destination")).get("url")
    values["destination"] = {}
    if not isinstance(live, Url):
        unread.add("destination")
        return
    url = ours.get("url")
    if isinstance(url, Url) and url.known and url == live and not _masked(live):
        values["destination"] = {"url": url}
        return
    there = Ingest.of(live.reveal())
    if "domain" in ours:
        # sent as domain, app and stream, returned as a URL the vendor made: only these three say anything
        values["destination"] = dict(ours) if push_point(ours).place == there.place else _taken_apart(there)
    elif isinstance(url, Url) and not url.known:
        unread.add("destination.url")
    elif isinstance(url, Url):
        here = Ingest.of(url.reveal())
        if _respelt(url.reveal(), live.reveal()):
            unread.add("destination.url")
        elif (here.scheme, here.key) != (there.scheme, there.key):
            values["destination"] = {"url": live}
        elif here.query and (not there.query or _masked(live)):
            unread.add("destination.url")  # the same place, its key not returned: the ledger knows which key was sent
        else:
            values["destination"] = {"url": url if here.query == there.query else live}
    elif url is not None and (_masked(live) or not there.query):
        unread.add("destination.url")
    else:
        values["destination"] = {"url": live}


def _taken_apart(ingest: Ingest) -> dict[str, str]:
    app, _, stream = ingest.path.strip("/").rpartition("/")
    return {"domain": ingest.place.partition("/")[0], "app": app, "stream": stream}


def _compare_callback(values: dict[str, Any], declared: Values, unread: set[str]) -> None:
    if _hidden(declared.get("callbackUrl"), values.get("callbackUrl")):
        del values["callbackUrl"]
        unread.add("callbackUrl")


def _compare_watermark(values: dict[str, Any], declared: Values, unread: set[str]) -> None:
    if "watermark" not in values:
        return
    live = values["watermark"] = dict(values["watermark"])
    ours = mapping(declared.get("watermark")).get("image")
    mine, theirs = image_bytes(ours), image_bytes(live.get("image"))
    if theirs is None or (ours is not None and mine is None):
        live.pop("image", None)
        unread.add("watermark.image")
    elif mine is not None and hashlib.sha256(mine).digest() == hashlib.sha256(theirs).digest():
        live["image"] = ours
