"""RelayTask: a Volcengine Live pull-to-push task. It pulls a stream or a play list and pushes it to one destination between two instants.

The vendor begins and ends it by itself. Tasks have no labels and cannot be read by id: the whole account is listed, and ours are told
by a fingerprint in the title. Vendor pages: CreatePullToPushTask, UpdatePullToPushTask, ListPullToPushTaskV2 (API version 2023-01-01).
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from reconciler import scalars, wire
from reconciler.errors import NotFound, OutcomeUnknown, Rejected, Throttled, Unavailable, VendorError
from reconciler.fields import ENV_REFERENCE, HARMLESS, REPLACE, Doc, Seconds, Spec, UrlField, Wire, fault, faults
from reconciler.kinds._calls import Operation, mapping, mappings, together
from reconciler.kinds._ingest import Ingest
from reconciler.kinds._marks import LENGTH, fingerprint
from reconciler.kinds._pictures import image_bytes, image_fault
from reconciler.model import (
    Address,
    Call,
    Created,
    Desired,
    Diagnostic,
    Kind,
    Lookup,
    Match,
    Observed,
    Pause,
    Presence,
    Reply,
    Scheduling,
    Severity,
    Stage,
    Steps,
    Stranger,
    Survey,
    Url,
    Values,
    Verb,
    Window,
)

VENDOR = "volcengine-live"
CREATE = Operation(VENDOR, "CreatePullToPushTask")  # no idempotency token: sent twice it makes two tasks
UPDATE = Operation(VENDOR, "UpdatePullToPushTask", repeatable=True)
DELETE = Operation(VENDOR, "DeletePullToPushTask", repeatable=True)
STOP = Operation(VENDOR, "StopPullToPushTask", repeatable=True)
CONTINUE = Operation(VENDOR, "ContinuePullToPushTask", repeatable=True)
RESTART = Operation(VENDOR, "RestartPullToPushTask", repeatable=True)  # what Continue was called until 2025
LIST = Operation(VENDOR, "ListPullToPushTaskV2", pace=15, safe=True)
LIST_V1 = Operation(VENDOR, "ListPullToPushTask", method="GET", pace=15, safe=True)
NOT_SERVED = "InvalidActionOrVersion"

PAGE = 500  # the vendor's largest page
PAGES = 1000
LISTINGS = 5
LONGEST = timedelta(days=7)
TITLE_LIMIT = 20
FILES_LIMIT = 30
SCHEMES = ("rtmp", "rtmps", "http", "https", "srt", "rtsp")

RULES: dict[str, tuple[str, str]] = {
    "RC100": (
        "relay without an end",
        "The vendor must know when a relay task ends. Give the schedule an `end`, a `duration` or an `until`.",
    ),
    "RC101": (
        "relay longer than 7 days",
        "The vendor runs a task for at most 7 days. Shorten the window, or write a schedule that repeats.",
    ),
    "RC102": ("relay beyond 2038", "The vendor keeps times as 32-bit Unix seconds, which end on 2038-01-19. Choose an earlier end."),
    "RC103": ("relay time with a fraction", "The vendor counts whole seconds. Write start and end without a fraction."),
    "RC110": ("relay source", "A relay pulls either one live `url` or a play list of `files`. Write exactly one of them."),
    "RC111": ("relay play list size", "A play list holds 1 to 30 files."),
    "RC112": (
        "relay title",
        "A title has 1 to 20 characters: Chinese, A-Z, a-z and 0-9. Without one, a title is derived from metadata.name.",
    ),
    "RC113": (
        "play list options",
        "`loop`, `resume` and `preload` mean something only for a play list. Remove them beside `url`, or list `files`.",
    ),
    "RC114": (
        "relay loop",
        "`loop` is how often the play list is played: a whole number from 1, or `forever` until the end of the window.",
    ),
    "RC115": ("relay source URL", "A source is an http, https, rtmp, rtmps, srt or rtsp URL in ASCII, of at most 1000 characters."),
    "RC116": ("relay destination", "A relay pushes to one place. Write either its `url`, or `domain`, `app` and `stream` together."),
    "RC117": ("relay destination URL", "A destination is an rtmp, rtmps, http, https, srt or rtsp URL in ASCII."),
    "RC118": ("relay push point", "`domain` is a host name; `app` and `stream` are ASCII without spaces, `/`, `?` and `#`."),
    "RC119": ("relay callback URL", "A callback is an http or https URL of at most 512 characters."),
    "RC120": (
        "watermark image",
        "The image is a PNG or JPEG file beside the manifest, or a data URL: 100 bytes to 2 MB, at most 1080 x 1080 pixels.",
    ),
    "RC121": ("watermark position", "`x` and `y` are fractions of the video's width and height: from 0 to below 1."),
    "RC122": ("watermark width", "`width` is a fraction of the video's width: above 0, at most 1, with at most two decimals."),
    "RC123": ("relay group", "A group has 1 to 20 characters: Chinese, letters and digits."),
}

# --- what is declared -------------------------------------------------------------------------------------------------

_TITLE = re.compile(r"[A-Za-z0-9\u4e00-\u9fff]*")
_HOST = re.compile(r"(?=.{1,253}$)[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*(?::\d{1,5})?")
_SEGMENT = re.compile(r"[!-~]+")


def _title(value: str) -> str:
    if not 1 <= len(value) <= TITLE_LIMIT:
        raise fault(
            "RC112",
            f"relay title has {len(value)} characters, the vendor accepts 1 to {TITLE_LIMIT}",
            help="shorten it; long text fits in metadata.labels" if value else "leave it out: a title is derived from metadata.name",
        )
    if not _TITLE.fullmatch(value):
        bad = next(c for c in value if not _TITLE.fullmatch(c))
        raise fault("RC112", "relay title holds {bad!r}, the vendor accepts Chinese, A-Z, a-z and 0-9 only", bad=bad)
    return value


def _group(value: str) -> str:
    if not 1 <= len(value) <= TITLE_LIMIT or not _TITLE.fullmatch(value):
        raise fault("RC123", "relay group {value!r} must have 1 to 20 Chinese characters, letters and digits", value=value)
    return value


def _loop(value: Any) -> int | str:
    if value == "forever" or (isinstance(value, int) and not isinstance(value, bool) and 1 <= value < 2**31):
        found: int | str = value
        return found
    raise fault("RC114", "loop must be a whole number from 1, or forever, not {value!r}", value=value)


def _domain(value: str) -> str:
    if not _HOST.fullmatch(value):
        raise fault("RC118", "destination domain {value!r} is not a host name", value=value, help="write it like push.example.com")
    return value


def _segment(value: str) -> str:
    if not _SEGMENT.fullmatch(value) or any(c in value for c in "/?#"):
        raise fault("RC118", "{value!r} must be ASCII without spaces, /, ? and #", value=value)
    return value


def _image(value: str) -> str:
    if not value:
        raise fault("RC120", "watermark image is empty", help="name a PNG or JPEG file beside the manifest")
    if value.startswith("data:"):
        wrong = image_fault(value)
        if wrong:
            raise fault("RC120", "watermark image {wrong}", wrong=wrong)
    elif "://" in value:
        raise fault(
            "RC120", "watermark image is a file or a data URL, not a web address", help="save it beside the manifest and name the file"
        )
    elif not value.lower().endswith((".png", ".jpg", ".jpeg")):
        raise fault("RC120", "watermark image {value!r} is neither PNG nor JPEG", value=value)
    return value


def _position(value: float) -> float:
    if not 0 <= value < 1:
        raise fault("RC121", f"watermark position {value:g} is not from 0 to below 1")
    return value


def _width(value: float) -> float:
    if not 0 < value <= 1 or abs(value - round(value, 2)) > 1e-9:
        raise fault("RC122", f"watermark width {value:g} is not above 0, at most 1, with at most two decimals")
    return value


def _load_url(raw: Any) -> Url | None:
    return Url(raw) if isinstance(raw, str) else None


def _load_number(raw: Any) -> float | int | None:
    """A vendor's float: whole ones as int, so that 30.0 is 30."""
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        return None
    return int(raw) if isinstance(raw, float) and raw.is_integer() else raw


def _load_ratio(raw: Any) -> float | None:
    found = _load_number(raw)
    return None if found is None else round(float(found), 2)  # two decimals is all the vendor keeps


PullUrl = Annotated[Url, UrlField(schemes=SCHEMES, limit=1000, rule="RC115", what="relay source")]
PushUrl = Annotated[Url, UrlField(schemes=SCHEMES, rule="RC117", what="relay destination")]
CallbackUrl = Annotated[Url, UrlField(schemes=("http", "https"), limit=512, rule="RC119", what="callbackUrl")]
Loop = Annotated[
    int | str,
    BeforeValidator(_loop),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, {"const": "forever"}]}),
]
Position = Annotated[float, AfterValidator(_position), Field(json_schema_extra={"minimum": 0, "exclusiveMaximum": 1})]


class File(Spec):
    """One file of a play list."""

    url: Annotated[PullUrl, Wire("SrcAddr", load=_load_url), Doc("where the file is fetched", limit="1000 characters")]
    start_offset: Annotated[
        Seconds, Wire("StartOffset", dump=float, load=_load_number), Doc("where in the file playing begins", unit="s", default="0")
    ] = 0
    end_offset: Annotated[
        Seconds, Wire("EndOffset", dump=float, load=_load_number), Doc("where in the file playing ends", unit="s", default="0: its end")
    ] = 0


class Source(Spec):
    """What is pulled: a live stream (`url`) or a play list (`files`)."""

    url: Annotated[PullUrl | None, Wire("SrcAddr", load=_load_url, also={"Type": 0}), Doc("a live stream", limit="1000 characters")] = None
    files: Annotated[
        list[File] | None,
        Field(json_schema_extra={"minItems": 1, "maxItems": FILES_LIMIT}),
        Wire("VodSrcAddrs", also={"Type": 1}),
        Doc("a play list, in playing order", limit="1 to 30 files"),
    ] = None
    loop: Annotated[
        Loop | None,
        # the only form on which all of the vendor's documents agree: CycleMode counts, PlayTimes is 0
        Wire("CycleMode", dump=lambda n: -1 if n == "forever" else n, load=lambda n: "forever" if n == -1 else n, also={"PlayTimes": 0}),
        Doc("how often the play list is played; `forever`: until the end of the window", limit="1 or more, or forever", default="1"),
    ] = None
    resume: Annotated[
        Literal["breakPoint", "elapsed"] | None,
        Wire("ContinueStrategy", words={"breakPoint": 0, "elapsed": 1}),
        Doc("where playing goes on after an interruption: where it broke, or there plus the time lost", default="breakPoint"),
    ] = None
    preload: Annotated[
        bool | None, Wire("PreDownload", dump=int, load=bool), Doc("fetch the files to the edge before they are played", default="true")
    ] = None

    @model_validator(mode="after")
    def _agree(self) -> Source:
        wrong = []
        if (self.url is None) == (self.files is None):
            wrong.append(fault("RC110", "a relay source is exactly one of url and files", help="keep one of them"))
        if self.files is not None and not 1 <= len(self.files) <= FILES_LIMIT:
            wrong.append(fault("RC111", f"the play list has {len(self.files)} files, the vendor accepts 1 to {FILES_LIMIT}", at="files"))
        if self.files is None:
            for name in ("loop", "resume", "preload"):
                if getattr(self, name) is not None:
                    wrong.append(fault("RC113", f"{name} is for a play list (files), a live source has none", at=name, help="remove it"))
        faults(wrong)
        return self


class Destination(Spec):
    """Where it is pushed: a `url`, or a push point of this account's own `domain`."""

    url: Annotated[PushUrl | None, Wire("DstAddr", load=_load_url), Doc("the push URL with its stream key")] = None
    domain: Annotated[str | None, AfterValidator(_domain), Wire("Domain"), Doc("the push domain")] = None
    app: Annotated[str | None, AfterValidator(_segment), Wire("App"), Doc("the application name")] = None
    stream: Annotated[str | None, AfterValidator(_segment), Wire("Stream"), Doc("the stream name")] = None

    @model_validator(mode="after")
    def _agree(self) -> Destination:
        parts = {"domain": self.domain, "app": self.app, "stream": self.stream}
        given = [name for name, value in parts.items() if value is not None]
        if self.url is not None:
            faults([fault("RC116", f"{name} means nothing beside url", at=name, help="keep one form") for name in given])
        elif len(given) < len(parts):
            missing = " and ".join(name for name in parts if name not in given)
            raise fault("RC116", f"destination lacks {missing if given else 'a url'}", help="write url, or domain, app and stream")
        return self


class Watermark(Spec):
    """A picture laid over the video."""

    image: Annotated[
        str,
        AfterValidator(_image),
        Wire("Picture"),
        Doc("a file beside the manifest, or a data URL", limit="PNG or JPEG, 100 bytes to 2 MB"),
    ]
    x: Annotated[
        Position, Wire("RelativePosX", load=_load_number), Doc("left edge, as a fraction of the video's width", limit="[0, 1)")
    ] = 0.0
    y: Annotated[
        Position, Wire("RelativePosY", load=_load_number), Doc("top edge, as a fraction of the video's height", limit="[0, 1)")
    ] = 0.0
    width: Annotated[
        float,
        AfterValidator(_width),
        Field(json_schema_extra={"exclusiveMinimum": 0, "maximum": 1}),
        Wire("Ratio", load=_load_ratio),
        Doc("width, as a fraction of the video's width", limit="(0, 1], two decimals"),
    ]


class RelaySpec(Spec):
    """A relay of one stream or play list to one destination."""

    title: Annotated[
        str | None,
        AfterValidator(_title),
        Field(json_schema_extra={"pattern": "^[A-Za-z0-9\\u4e00-\\u9fff]+$", "maxLength": TITLE_LIMIT}),
        Wire("Title"),
        HARMLESS,
        Doc(
            "the name shown in the vendor's console",
            limit="1 to 20 Chinese characters, letters, digits",
            default="derived from metadata.name",
        ),
    ] = None
    group: Annotated[
        str, AfterValidator(_group), Wire("GroupName"), REPLACE, Doc("the task group, which binds it to an IAM project", default="default")
    ] = "default"
    source: Annotated[Source, Doc("what is pulled")]
    destination: Annotated[Destination, Doc("where it is pushed")]
    callback_url: Annotated[
        CallbackUrl | None, Wire("CallbackURL", load=_load_url), HARMLESS, Doc("told of the task's state", limit="512 characters")
    ] = None
    watermark: Annotated[Watermark | None, Wire("Watermark"), Doc("a picture laid over the video; removing it makes a new task")] = None
    enabled: Annotated[bool, Doc("false stops the task, true continues it", default="true")] = True


# --- destinations ------------------------------------------------------------------------------------------------------


def _masked(url: Url) -> bool:
    """Whether the vendor hid parts of a URL that it returned."""
    return "***" in url.reveal() or "%2A%2A%2A" in url.reveal().upper()


def _push_point(destination: Values) -> Ingest:
    return Ingest.of("rtmp://{domain}/{app}/{stream}".format(**destination))


def _claim(destination: Values) -> str:
    """The claim of a declared destination. A path out of the environment is a stream key: only a digest of it appears."""
    url = destination.get("url")
    if not isinstance(url, Url):
        return _push_point(destination).key
    text = url.reveal() if url.known else url.reference
    ingest = Ingest.of(text)
    if ENV_REFERENCE.search(Ingest.of(url.reference).path):
        return ingest._replace(path=f"/***{hashlib.sha256(ingest.path.encode()).hexdigest()[:LENGTH]}").key
    return ingest.key


# --- what is listed ---------------------------------------------------------------------------------------------------

_STAGES: dict[str | int, Stage] = {
    "停用": Stage.STOPPED, 0: Stage.STOPPED,
    "未开始": Stage.WAITING, 1: Stage.WAITING,
    "生效中": Stage.ON_AIR, 2: Stage.ON_AIR,
    "已结束": Stage.ENDED, 3: Stage.ENDED,
}  # fmt: skip
_ORDER = (Stage.ON_AIR, Stage.WAITING, Stage.STOPPED, Stage.NONE, Stage.ENDED)


@dataclass(frozen=True, slots=True)
class Task:
    """One task of the list. `group` is None where the list does not tell; `values` are canonical, and still know of no manifest."""

    id: str
    title: str
    group: str | None
    stage: Stage
    status: str
    window: Window | None
    values: Values

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

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> Task:
        status, number = row.get("Status"), row.get("TaskStatus")  # the number is the 2020 version's: welcome, never needed
        stages = (_STAGES[known] for known in (status, number) if isinstance(known, str | int) and known in _STAGES)
        stage = next(stages, Stage.NONE)
        values = wire.decode(RelaySpec, _plain(row))
        values["source"] = _with_defaults(mapping(values.get("source")))
        if not mappings(row.get("VodSrcAddrs")):
            for file in values["source"].get("files", ()):
                del file["endOffset"]  # nothing in the legacy form tells it
        values.pop("enabled", None)
        if stage is not Stage.NONE:
            values["enabled"] = stage is not Stage.STOPPED
        group = row.get("GroupName")
        if not isinstance(group, str):
            values.pop("group", None)
        start, end = _moment(row.get("StartTime")), _moment(row.get("EndTime"))
        return cls(
            id=row["TaskId"],
            title=str(row.get("Title") or ""),
            group=(group or "default") if isinstance(group, str) else None,
            stage=stage,
            status=str(status or ""),
            window=Window(start, end) if start else None,
            values=values,
        )


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """A listed task in one spelling: of the legacy and the current form of a play list, and of the two ways to count its loops."""
    plain = {**row}
    if plain.get("Type") == 1:
        if not mappings(plain.get("VodSrcAddrs")):
            urls, offsets = _items(plain.get("SrcAddrS")), _items(plain.get("OffsetS"))
            plain["VodSrcAddrs"] = [{"SrcAddr": url, "StartOffset": offset} for url, offset in zip_longest(urls, offsets[: len(urls)])]
        cycles, times = _whole(plain.get("CycleMode")), _whole(plain.get("PlayTimes"))
        plain["CycleMode"] = -1 if cycles < 0 else times or cycles or 1
        plain["PlayTimes"] = 0
    else:
        for name in ("CycleMode", "PlayTimes", "PreDownload", "ContinueStrategy"):  # mean nothing for a live source
            plain.pop(name, None)
    mark = mapping(plain.get("Watermark"))
    if not mark.get("Picture") and not mark.get("Ratio"):
        plain.pop("Watermark", None)
    return plain


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _with_defaults(source: Values) -> dict[str, Any]:
    if "files" not in source:
        return dict(source)
    return {"files": source["files"], "loop": 1, "resume": "breakPoint", "preload": True, **source}


def _moment(raw: Any) -> datetime | None:
    """RFC 3339 with any offset, as UTC; None for what is no instant."""
    try:
        return scalars.instant(raw) if isinstance(raw, str) else datetime.fromtimestamp(raw, UTC) if isinstance(raw, int) and raw else None
    except (ValueError, OverflowError, OSError):
        return None


def _tasks() -> Steps[list[Task]]:
    """Every task of the account. A list is believed when it holds as many different ids as every page said there are."""
    for attempt in range(LISTINGS):
        if attempt:
            yield Pause(1.0, note="the list of relay tasks changed while it was read")
        pages = yield from _pages()
        rows = {row["TaskId"]: row for page in pages for row in mappings(page.get("List")) if isinstance(row.get("TaskId"), str)}
        if {_total(page) for page in pages} == {len(rows)}:
            return [Task.read(row) for row in rows.values()]
    raise Unavailable(
        f"the list of relay tasks did not hold still in {LISTINGS} readings", action=LIST.action, next_step="try again in a minute"
    )


def _pages() -> Steps[list[Mapping[str, Any]]]:
    ask: Callable[[int], Call] = _page
    try:
        first: Reply = yield ask(1)
    except VendorError as error:
        if error.code != NOT_SERVED:
            raise
        ask = _page_v1
        first = yield ask(1)
    total = _total(mapping(first.body))
    if total > PAGES * PAGE:
        raise Unavailable(f"the list of relay tasks claims {total} tasks, which is past belief", action=LIST.action)
    rest = yield from together([ask(number) for number in range(2, -(-total // PAGE) + 1)])
    return [mapping(reply.body) for reply in (first, *rest)]


def _page(number: int) -> Call:
    return LIST({"Page": number, "Size": PAGE})


def _page_v1(number: int) -> Call:
    return LIST_V1(query={"Page": number, "Size": PAGE})


def _total(page: Mapping[str, Any]) -> int:
    return _whole(mapping(page.get("Pagination")).get("TotalCount"))


# --- whose is what ----------------------------------------------------------------------------------------------------


def derived_title(workspace: str, address: Address, incarnation: int) -> str:
    """Up to 12 letters and digits of the name, then the fingerprint: 20 characters at most."""
    return _prefix(address) + fingerprint(workspace, address, incarnation)


def _prefix(address: Address) -> str:
    return address.name.replace("-", "")[: TITLE_LIMIT - LENGTH]


def _title_of(want: Desired) -> str:
    found = want.values.get("title")
    return found if isinstance(found, str) else derived_title(want.workspace, want.address, want.incarnation)


def _span(want: Desired) -> tuple[datetime, datetime]:
    assert want.window is not None
    assert want.window.end is not None, "vet() refuses a relay without an end"
    return want.window.start, want.window.end


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
        self._titles = Counter(lookup.want.values.get("title", "") for lookup in ask if lookup.want)
        self._marks: dict[str, dict[str, int]] = {}
        self._named: dict[str, list[int]] = {}
        for at, lookup in enumerate(ask):
            self._named.setdefault(_prefix(lookup.address), []).append(at)

    def run(self) -> dict[int, Found]:
        for rule in (self._by_new_mark, self._by_id, self._by_mark, self._by_intent):
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
        prefix, mark = task.title[:-LENGTH], task.title[-LENGTH:]
        if prefix not in self._named:
            return None
        if prefix not in self._marks:
            self._marks[prefix] = {
                fingerprint(self.ask[at].workspace, self.ask[at].address, incarnation): at
                for at in self._named[prefix]
                for incarnation in range(1, max(8, _incarnation(self.ask[at]) + 2))
            }
        return self._marks[prefix].get(mark)

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

    def _by_new_mark(self, at: int, lookup: Lookup) -> None:
        """A create that was begun while the ledger still knows the object before it: the new one is what is asked for."""
        intent, entry = lookup.intent, lookup.entry
        if intent and entry and intent.verb is Verb.CREATE and intent.incarnation != entry.incarnation:
            tasks = self._marked(lookup, intent.incarnation)
            if tasks:
                self._take(at, Match.MARK, tasks)

    def _by_id(self, at: int, lookup: Lookup) -> None:
        known = ((lookup.entry.id, Match.LEDGER) if lookup.entry else None, (lookup.intent.target, Match.MARK) if lookup.intent else None)
        for id, match in filter(None, known):
            task = self.free.get(id)
            if task:
                same = [other for other in self._marked(lookup, _incarnation(lookup)) if other is not task and other.title == task.title]
                self._take(at, match, [task, *same])
                return

    def _by_mark(self, at: int, lookup: Lookup) -> None:
        tasks = self._marked(lookup, lookup.intent.incarnation if lookup.intent else _incarnation(lookup))
        if tasks:
            self._take(at, Match.MARK, tasks)

    def _by_intent(self, at: int, lookup: Lookup) -> None:
        """A lost answer to a create with an explicit title: the same title and body are the proof."""
        intent, want = lookup.intent, lookup.want
        if not intent or intent.verb is not Verb.CREATE:
            return
        group, _, title = intent.identity.partition("/")
        tasks = [task for task in self._under(group, title) if _alike(want, task) or (task.window and task.window == intent.window)]
        if tasks:
            self._take(at, Match.MARK, tasks)

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
        tasks = [task for task in self._under(want.values["group"], _title_of(want)) if _alike(want, task)]
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
            for task in self._under(want.values["group"], _title_of(want))
            if task not in but
            and task.stage is not Stage.ENDED
            and not (shared and task.window and want.window and not task.window.overlaps(want.window))
        ]


def _incarnation(lookup: Lookup) -> int:
    return lookup.want.incarnation if lookup.want else lookup.entry.incarnation if lookup.entry else 1


def _alike(want: Desired | None, task: Task) -> bool:
    """Same source, same place, same times: what a task of ours looks like that nobody wrote down."""
    if want is None or want.window is None or task.window is None or task.window.end != want.window.end:
        return False
    if task.window.start < want.window.start:
        return False
    as_joined = KIND.joined(want, task.window.start)
    seen, unread = _seen_by(as_joined.values, task)
    return all(
        part in unread or any(path.startswith(part + ".") for path in unread) or seen.get(part) == as_joined.values.get(part)
        for part in ("source", "destination")
    ) and _same_place(want, task)


def _same_place(want: Desired, task: Task) -> bool:
    """Where the URL cannot be compared in full, at least the place it pushes to must be the same."""
    live, url = mapping(task.values.get("destination")).get("url"), want.values["destination"].get("url")
    if not isinstance(live, Url) or (isinstance(url, Url) and not url.known):
        return True
    here = Ingest.of(url.reveal()) if isinstance(url, Url) else _push_point(want.values["destination"])
    return here.place == Ingest.of(live.reveal()).place


# --- what is compared -------------------------------------------------------------------------------------------------


def _seen_by(declared: Values, task: Task) -> tuple[dict[str, Any], set[str]]:
    """The task's values as they compare with declared ones, and the spec paths that the list does not tell."""
    values, unread = dict(task.values), set[str]()
    if "group" not in values:
        unread.add("group")
    if "enabled" not in values:
        unread.add("enabled")
    for compare in (_compare_source, _compare_destination, _compare_callback, _compare_watermark):
        compare(values, declared, unread)
    return values, unread


def _hidden(declared: object, live: object) -> bool:
    """Whether a URL cannot be compared: ours was not resolved, or the vendor masked theirs."""
    return isinstance(live, Url) and ((isinstance(declared, Url) and not declared.known) or (declared is not None and _masked(live)))


def _compare_source(values: dict[str, Any], declared: Values, unread: set[str]) -> None:
    live = values["source"] = dict(values["source"])
    ours = mapping(declared.get("source"))
    if _hidden(ours.get("url"), live.get("url")):
        del live["url"]
        unread.add("source.url")
    theirs, files = live.get("files"), ours.get("files")
    if isinstance(theirs, list) and isinstance(files, list) and len(theirs) == len(files):
        pairs = list(zip(files, theirs, strict=True))
        hidden = any(_hidden(mine.get("url"), their.get("url")) for mine, their in pairs)
        # the legacy form has no end offsets; where it shows the same files, the ledger knows those
        cut = any("endOffset" not in their for their in theirs) and all({**mine, **their} == mine for mine, their in pairs)
        if hidden or cut:
            del live["files"]
            unread.add("source.files")


def _compare_destination(values: dict[str, Any], declared: Values, unread: set[str]) -> None:
    ours = mapping(declared.get("destination"))
    live = mapping(values.get("destination")).get("url")
    values["destination"] = {}
    if not isinstance(live, Url):
        unread.add("destination")
        return
    there, url = Ingest.of(live.reveal()), ours.get("url")
    if "domain" in ours:
        # sent as domain, app and stream, returned as a URL the vendor made: only these three say anything
        values["destination"] = dict(ours) if _push_point(ours).place == there.place else _taken_apart(there)
    elif isinstance(url, Url) and not url.known:
        unread.add("destination.url")
    elif isinstance(url, Url):
        here = Ingest.of(url.reveal())
        if (here.scheme, here.key) != (there.scheme, there.key):
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


# --- the kind ---------------------------------------------------------------------------------------------------------


class RelayTask(Kind):
    """A live stream or play list, pulled and pushed to one destination between two instants, by the vendor's own schedule."""

    name = "RelayTask"
    vendor = VENDOR
    spec = RelaySpec
    scheduling = Scheduling.VENDOR
    schedule = "required"
    summary = "relay a live stream or a play list to one destination (Volcengine Live pull-to-push)"
    images = ("watermark.image",)

    def canonical(self, spec: RelaySpec, *, name: str) -> Values:
        values = wire.canonical(spec)
        values["source"] = _with_defaults(values["source"])
        return values

    def identity(self, want: Desired) -> str:
        """`group/title`, as it stands in the vendor's list."""
        return f"{want.values['group']}/{_title_of(want)}"

    def claims(self, want: Desired) -> tuple[str, ...]:
        return (_claim(want.values["destination"]),)

    def files(self, values: Values) -> list[tuple[str, str]]:
        image = mapping(values.get("watermark")).get("image")
        return [("watermark.image", image)] if isinstance(image, str) and not image.startswith("data:") else []

    def joined(self, want: Desired, at: datetime) -> Desired:
        """A play list joined late goes on where it would be by now: its first file begins further in."""
        late = super().joined(want, at)
        if late is want or "files" not in want.values["source"]:
            return late
        assert want.window is not None
        first, *rest = want.values["source"]["files"]
        lost = scalars.unix_seconds(at) - scalars.unix_seconds(want.window.start)
        files = [{**first, "startOffset": first["startOffset"] + lost}, *rest]
        return replace(late, values={**want.values, "source": {**want.values["source"], "files": files}})

    def vet(self, want: Desired) -> Iterator[Diagnostic]:
        def wrong(rule: str, message: str, path: str, help: str = "") -> Diagnostic:
            place = want.places.get(path, want.place)
            return Diagnostic(Severity.ERROR, rule, message, place=place, address=str(want.address), path=path, help=help)

        window = want.window
        if window is None or window.end is None:
            yield wrong("RC100", "a relay needs an end", "schedule", "add end, duration or until")
        else:
            if window.end <= window.start:
                yield wrong("RC100", "a relay must end after it starts", "schedule.end")
            if window.end - window.start > LONGEST:
                long = scalars.duration_text(window.end - window.start)
                yield wrong(
                    "RC101", f"the relay lasts {long}, the vendor's limit is 7 days", "schedule.end", "shorten it, or let it repeat"
                )
            if scalars.unix_seconds(window.end) >= 2**31:
                yield wrong("RC102", "the relay ends after 2038-01-19, which the vendor cannot write down", "schedule.end")
            if window.start.microsecond or window.end.microsecond:
                yield wrong("RC103", "relay times are whole seconds", "schedule.start" if window.start.microsecond else "schedule.end")
        image = mapping(want.values.get("watermark")).get("image")
        if isinstance(image, str) and image.startswith("data:"):
            fault_in_image = image_fault(image)
            if fault_in_image:
                yield wrong("RC120", f"watermark image {fault_in_image}", "spec.watermark.image")

    def replaces(self, path: str, want: Desired, live: Observed) -> bool:
        if path.startswith("spec.source"):
            theirs, ours = mapping(live.values.get("source")), mapping(want.values.get("source"))
            return ("files" in theirs) != ("files" in ours) and bool(theirs.keys() & {"files", "url"})
        if path.startswith("spec.watermark"):
            return "watermark" not in want.values  # there is no documented way to take one away
        return wire.shape(RelaySpec).marked("replace", path)

    def interrupts(self, path: str) -> bool:
        return path != "schedule.end" and not wire.shape(RelaySpec).marked("harmless", path)

    # what is done

    def observe(self, ask: Sequence[Lookup]) -> Steps[Survey]:
        tasks = yield from _tasks()
        search = Search(ask, tasks)
        found = search.run()
        answers = [_observed(lookup, found.get(at)) for at, lookup in enumerate(ask)]
        shown = {  # a destination whose path is a secret is named alike wherever it turns up
            Ingest.of(url.reveal()).key: claim
            for lookup in ask
            if lookup.want and isinstance(url := lookup.want.values["destination"].get("url"), Url) and url.known
            for claim in self.claims(lookup.want)
        }
        strangers = [_stranger(task, shown, ours=search.owner(task) is not None) for task in search.free.values()]
        return Survey(answers, strangers)

    def create(self, want: Desired) -> Steps[str]:
        start, end = _span(want)
        reply: Reply = yield CREATE(
            {
                **wire.encode(RelaySpec, want.values),
                "Title": _title_of(want),
                "StartTime": scalars.unix_seconds(start),
                "EndTime": scalars.unix_seconds(end),
            }
        )
        id = mapping(reply.body).get("TaskId")
        if not isinstance(id, str) or not id:
            raise OutcomeUnknown(
                f"{CREATE.action} answered without a TaskId",
                action=CREATE.action,
                request_id=reply.request_id,
                next_step=f"reconciler refresh {want.address}",
            )
        yield Created(id)
        if not want.values.get("enabled", True):
            yield from _stop(id, want.values["group"])
        return id

    def update(self, want: Desired, live: Observed, fields: Sequence[str]) -> Steps[None]:
        """Every field is sent, cleared ones as "": whether the vendor reads an omission as "keep" or as "clear" is not documented."""
        if set(fields) != {"spec.enabled"}:
            start, end = _span(want)
            if live.window and "schedule.start" not in fields:
                start = live.window.start  # what has begun has begun
            desired = self.joined(want, start)
            yield UPDATE(
                {
                    "DstAddr": "",  # else a push URL set earlier would win over domain, app and stream
                    "CallbackURL": "",
                    **wire.encode(RelaySpec, desired.values),
                    "TaskId": live.id,
                    "Title": _title_of(want),
                    "StartTime": scalars.unix_seconds(start),
                    "EndTime": scalars.unix_seconds(end),
                }
            )
            if "callbackUrl" in live.values and "callbackUrl" not in want.values:
                yield from _cleared(live.id)
        enabled = want.values.get("enabled", True)
        if not enabled and live.stage is not Stage.STOPPED:
            yield from self.stop(live)
        elif enabled and live.stage is Stage.STOPPED:
            yield from self.start(want, live)

    def delete(self, live: Observed) -> Steps[None]:
        yield from _unless_so(DELETE(_names(live.id, live.values.get("group"))), live.id, lambda task: task is None)

    def stop(self, live: Observed) -> Steps[None]:
        yield from _stop(live.id, live.values.get("group"))

    def start(self, want: Desired, live: Observed) -> Steps[None]:
        names = _names(live.id, live.values.get("group", want.values["group"]))
        runs: Callable[[Task | None], bool] = lambda task: task is not None and task.stage in (Stage.WAITING, Stage.ON_AIR)  # noqa: E731
        try:
            yield from _unless_so(CONTINUE(names), live.id, runs)
        except VendorError as error:
            if error.code != NOT_SERVED:
                raise
            yield from _unless_so(RESTART(names), live.id, runs)


def _cleared(id: str) -> Steps[None]:
    """Whether an empty text clears a callback is not documented: reads back, so that nobody tries it again and again."""
    tasks = yield from _tasks()
    if any(task.id == id and "callbackUrl" in task.values for task in tasks):
        raise Rejected(
            f"the vendor keeps the old callbackUrl of task {id}, an update cannot clear it",
            code="NotCleared",
            action=UPDATE.action,
            next_step="write another callbackUrl, or give the manifest a new metadata.name to have the task made anew",
        )


def _names(id: str, group: Any) -> dict[str, str]:
    """The body of Delete, Stop and Continue; sub-accounts must name the group."""
    return {"TaskId": id, "GroupName": group} if isinstance(group, str) else {"TaskId": id}


def _stop(id: str, group: Any) -> Steps[None]:
    yield from _unless_so(STOP(_names(id, group)), id, lambda task: task is None or task.stage in (Stage.STOPPED, Stage.ENDED))


def _unless_so(call: Call, id: str, so: Callable[[Task | None], bool]) -> Steps[None]:
    """Sends `call`. The vendor has no code of its own for "no such task" or "already so": after a refusal the list decides."""
    try:
        yield call
    except Throttled:
        raise
    except Rejected as refused:
        if refused.code == NOT_SERVED:
            raise
        if isinstance(refused, NotFound) and so(None):
            return
        tasks = yield from _tasks()
        if not so(next((task for task in tasks if task.id == id), None)):
            raise refused from None


def _observed(lookup: Lookup, found: Found | None) -> Observed:
    if found is None:
        return Observed(lookup.address, Presence.ABSENT)
    task, want = found.task, lookup.want
    declared = want.values if want else mapping(lookup.entry.applied) if lookup.entry else {}
    values, unread = _seen_by(declared, task)
    if "title" not in declared and task.title == derived_title(lookup.workspace, lookup.address, _incarnation(lookup)):
        values.pop("title", None)  # nobody wrote it: it is our mark
    warnings = () if task.window else ("the vendor's list tells no time for it",)
    return Observed(
        lookup.address,
        task.presence,
        id=task.id,
        values=values,
        unread=frozenset(unread),
        window=task.window,
        stage=task.stage,
        match=found.match,
        also=tuple(other.id for other in found.others),
        same_body=bool(found.others) and all(other.window == task.window and other.values == task.values for other in found.others),
        detail="" if task.stage is not Stage.NONE else f"its status {task.status!r} is not one we know",
        started=task.window.start if task.window and task.stage is Stage.ON_AIR else None,
        warnings=warnings,
    )


def _stranger(task: Task, shown: Mapping[str, str], *, ours: bool) -> Stranger:
    url = mapping(task.values.get("destination")).get("url")
    key = Ingest.of(url.reveal()).key if isinstance(url, Url) else ""
    return Stranger(
        RelayTask.name,
        task.id,
        task.title,
        window=task.window,
        stage=task.stage,
        claims=(shown.get(key, key),) if key else (),
        ours=ours,
        values=task.values,
    )


KIND = RelayTask()
