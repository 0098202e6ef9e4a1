"""The nouns everything else speaks in: addresses, what is desired, what was observed, what the ledger remembers, and plans.

All of it is immutable and free of I/O. Instants are aware datetimes in UTC; a window is half open, `[start, end)`.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar, NamedTuple, Protocol, TypeVar
from urllib.parse import urlsplit, urlunsplit

from reconciler.frozen import frozen

T = TypeVar("T")

Values = Mapping[str, Any]
"""A canonical spec: nested dicts and lists under manifest names, defaults filled in, absent optionals left out.

Leaves are str, int, float, bool, datetime or Secret; never None.
"""


# --- names and places -------------------------------------------------------------------------------------------------


class Address(NamedTuple):
    """The name of one wanted object: `Kind/name`, or `Kind/name@2026-12-01T08:00` for one occurrence of a series."""

    kind: str
    name: str
    occurrence: str = ""

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}@{self.occurrence}" if self.occurrence else f"{self.kind}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> Address:
        """Raises ValueError when `text` is not an address."""
        found = re.fullmatch(r"([A-Z][A-Za-z0-9]*)/([a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)(?:@([0-9T:.+-]+))?", text)
        if not found:
            raise ValueError(f"{text!r} is not an address; write Kind/name, like RelayTask/morning-news")
        return cls(found[1], found[2], found[3] or "")


class Place(NamedTuple):
    """Where something stands in a file: path relative to the project, line and column counted from 1."""

    file: str
    line: int = 1
    column: int = 1
    length: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Severity(enum.StrEnum):
    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@frozen
class Diagnostic:
    """One thing wrong, or doubtful, in a manifest. `rule` is a code that `reconciler explain` knows; `path` is `spec.title`."""

    severity: Severity
    rule: str
    message: str
    place: Place | None = None
    address: str = ""
    path: str = ""
    help: str = ""
    related: tuple[tuple[Place, str], ...] = ()


# --- secrets ----------------------------------------------------------------------------------------------------------


class Secret:
    """A text that must never be shown. `str()` and `repr()` give `shown`; only `reveal()` gives the text.

    `reference` tells where the text comes from (`env:NAME`, `file:PATH`, or a template holding `${env:NAME}`); such a secret
    is unresolved until `resolved()` gives it its text. Two secrets are equal when their texts are (their references, while unresolved).
    """

    __slots__ = ("_shown", "_text", "reference")

    def __init__(self, text: str | None, *, reference: str = "", shown: str = "") -> None:
        self._text = text
        self.reference = reference
        self._shown = shown

    @property
    def known(self) -> bool:
        return self._text is not None

    @property
    def shown(self) -> str:
        return self._shown or (f"({self.reference})" if self.reference else "***")

    def reveal(self) -> str:
        if self._text is None:
            raise LookupError(f"{self.reference} was not resolved")
        return self._text

    def resolved(self, text: str) -> Secret:
        return type(self)(text, reference=self.reference, shown=self._shown)

    def __str__(self) -> str:
        return self.shown

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.shown})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        if self._text is None or other._text is None:
            return self._text is other._text and self.reference == other.reference
        return self._text == other._text

    def __hash__(self) -> int:
        return hash(self.reference if self._text is None else self._text)


_ENV_REFERENCE = re.compile(r"\$\{env:[^}]*\}")


class Url(Secret):
    """A URL: its user info, query and fragment are secret, and so is every part written as `${env:NAME}`.

    What is shown keeps scheme, host and path; a path that came from the environment is shown as its template.
    """

    __slots__ = ()

    @property
    def shown(self) -> str:
        if self._shown:
            return self._shown
        return mask_url(self.reference or self._text or "")

    def masked_like(self, declared: Url) -> str:
        """How a live URL may be shown beside a declared one: where the declared path holds a secret, the whole path is hidden."""
        path = declared.reference.split("?", 1)[0]
        if _ENV_REFERENCE.search(path):
            parts = urlsplit(self._text or "")
            return f"{parts.scheme}://{parts.hostname or ''}/***"
        return self.shown


_NOTHING_TO_HIDE = re.compile(r"[a-z]+://[A-Za-z0-9.:-]+(?:/[A-Za-z0-9._~/-]*)?")


def mask_url(text: str) -> str:
    """`text` with user info, query values and fragment hidden; `${env:NAME}` stays readable."""
    if _NOTHING_TO_HIDE.fullmatch(text):  # nearly all of them
        return text
    try:
        parts = urlsplit(text)
    except ValueError:
        return "***"
    host = parts.netloc.rpartition("@")
    netloc = f"***@{host[2]}" if host[1] else parts.netloc
    query = "&".join(_mask_pair(pair) for pair in parts.query.split("&")) if parts.query else ""
    return urlunsplit((parts.scheme, netloc, parts.path, query, "***" if parts.fragment else ""))


def _mask_pair(pair: str) -> str:
    name, equals, value = pair.partition("=")
    if not equals:
        return pair if _ENV_REFERENCE.fullmatch(pair) else "***"
    return f"{name}={value if _ENV_REFERENCE.fullmatch(value) else '***'}"


class Sealed(NamedTuple):
    """What the ledger keeps of a secret: a keyed digest, and what may be shown of it."""

    digest: str
    shown: str


Seal = Callable[[Secret], Sealed]


# --- time -------------------------------------------------------------------------------------------------------------


@frozen
class Window:
    """`[start, end)`; an end of None is open."""

    start: datetime
    end: datetime | None = None

    def __contains__(self, instant: object) -> bool:
        return isinstance(instant, datetime) and self.start <= instant and (self.end is None or instant < self.end)

    def overlaps(self, other: Window) -> bool:
        return (self.end is None or other.start < self.end) and (other.end is None or self.start < other.end)


class Late(enum.StrEnum):
    JOIN = "join"
    SKIP = "skip"
    FAIL = "fail"


@frozen
class Timing:
    """When an object is wanted and how early it is made. `horizon`: created this far ahead; `lead`: must exist this long before."""

    window: Window
    horizon: timedelta = timedelta(days=14)
    lead: timedelta = timedelta(minutes=10)
    late: Late = Late.JOIN


class Phase(enum.StrEnum):
    BEYOND = "beyond"
    UPCOMING = "upcoming"
    IMMINENT = "imminent"
    ON_AIR = "onAir"
    ENDED = "ended"


class Scheduling(enum.StrEnum):
    """Who begins and ends the object: the vendor at set times, somebody calling Start and Stop, or it is cut afterwards."""

    VENDOR = "vendor"
    RUNNER = "runner"
    RETROSPECTIVE = "retrospective"


# --- desired ----------------------------------------------------------------------------------------------------------


class OnAirChange(enum.StrEnum):
    DEFER = "defer"
    APPLY = "apply"
    REFUSE = "refuse"


@frozen
class Lifecycle:
    """What people say of an object's life: what may not happen to it, and what is left when it ends. `timeout` None is the kind's own."""

    protect: bool = False
    on_air_change: OnAirChange = OnAirChange.DEFER
    restart_on_end: bool = False
    retain: bool = False
    timeout: timedelta | None = None


@frozen
class Desired:
    """One object somebody declared. `incarnation` counts the objects this address has had; the engine sets it from the ledger."""

    address: Address
    values: Values
    place: Place
    account: str = "default"
    workspace: str = "default"
    timing: Timing | None = None
    lifecycle: Lifecycle = Lifecycle()
    labels: Mapping[str, str] = field(default_factory=dict)
    depends_on: tuple[Address, ...] = ()
    renamed_from: str = ""
    incarnation: int = 1
    places: Mapping[str, Place] = field(default_factory=dict)

    @property
    def window(self) -> Window | None:
        return self.timing.window if self.timing else None


# --- observed ---------------------------------------------------------------------------------------------------------


class Presence(enum.StrEnum):
    ABSENT = "absent"
    LIVE = "live"
    ENDED = "ended"
    UNKNOWN = "unknown"


class Stage(enum.StrEnum):
    """What a live object is doing, in our words."""

    NONE = ""
    WAITING = "waiting"  # exists, has not begun
    MAKING = "making"  # a clip being cut
    ON_AIR = "onAir"
    STOPPED = "stopped"
    READY = "ready"
    ENDED = "ended"
    FAILED = "failed"


class Match(enum.StrEnum):
    """How an observed object was tied to its address: by the ledger's id, by our own mark in it, or merely by looking the same."""

    NONE = ""
    LEDGER = "ledger"
    MARK = "mark"
    TWIN = "twin"


EVERYTHING = frozenset({""})
"""The `unread` of an object whose configuration cannot be read at all."""


@frozen
class Observed:
    """What the vendor's reads say about one address.

    `values` holds only what was read, in canonical form; `unread` names the spec paths the read does not tell (compare those with the
    ledger); "" in it means the whole spec. `also` lists the ids of further live objects with the same identity: `same_body`
    says whether they are true duplicates. `progress` is 0..1 while being made. `detail` is a short phrase for people.
    """

    address: Address
    presence: Presence
    id: str = ""
    values: Values = field(default_factory=dict)
    unread: frozenset[str] = frozenset()
    window: Window | None = None
    stage: Stage = Stage.NONE
    match: Match = Match.NONE
    also: tuple[str, ...] = ()
    same_body: bool = False
    progress: float | None = None
    detail: str = ""
    started: datetime | None = None
    warnings: tuple[str, ...] = ()
    identity: str = ""
    """The whole of it, where the manifest leaves a part to be found."""


@frozen
class Stranger:
    """A live object that is tied to no address asked for: foreign, or an orphan that carries our mark.

    `claims` are the exclusive things it holds (normalised destinations), for conflicts.
    """

    kind: str
    id: str
    title: str
    account: str = "default"
    window: Window | None = None
    stage: Stage = Stage.NONE
    claims: tuple[str, ...] = ()
    ours: bool = False
    values: Values = field(default_factory=dict)


@frozen
class Survey:
    """What `observe` returns: one answer for every address asked, in order, and what else the list showed."""

    answers: list[Observed]
    strangers: list[Stranger] = field(default_factory=list)


# --- remembered -------------------------------------------------------------------------------------------------------


@frozen
class Entry:
    """What the ledger remembers of an object we own. `applied` is the last applied spec as JSON, its secrets sealed.

    `former` is what the object takes the place of, where a kind makes the new one first: kept until the new one is ready.
    """

    address: Address
    account: str
    id: str
    identity: str
    incarnation: int = 1
    applied: Values | None = None
    window: Window | None = None
    started: datetime | None = None
    changed: datetime | None = None
    protect: bool = False
    retain: bool = False
    on_air_change: OnAirChange = OnAirChange.DEFER
    depends_on: tuple[Address, ...] = ()
    ended: bool = False
    former: Entry | None = None


class Verb(enum.StrEnum):
    CREATE = "create"
    UPDATE = "update"
    STOP = "stop"
    START = "start"
    DELETE = "delete"


@frozen
class Intent:
    """One write that was begun. Open until its result is known; absence is believed only after `horizon`."""

    id: str
    address: Address
    account: str
    verb: Verb
    action: str
    identity: str
    incarnation: int
    sent: datetime
    horizon: datetime
    target: str = ""
    desired: Values | None = None
    window: Window | None = None
    note: str = ""


@frozen
class Lookup:
    """The question `observe` answers: where is this address's object? `want` is None for what only the ledger or an intent knows."""

    address: Address
    workspace: str
    want: Desired | None = None
    entry: Entry | None = None
    intent: Intent | None = None

    @property
    def incarnation(self) -> int:
        """Which of the address's objects is asked about: the one that is wanted, or else the one remembered."""
        return self.want.incarnation if self.want else self.entry.incarnation if self.entry else 1


# --- calls ------------------------------------------------------------------------------------------------------------


@frozen
class Call:
    """One request to a vendor, before it is signed. `pace` is the published limit in calls a second for one account and action.

    `safe` calls only read. A call that is not `repeatable` must never be sent twice without looking first. `by` is the monotonic second
    after which it must not leave any more: what the journal says of a write ends there. `read` makes of the body of the answer to a safe
    call what the kind wants to have of it, where and when it comes in: of a Batch, side by side. It never raises.
    """

    vendor: str
    action: str
    method: str = "POST"
    path: str = "/"
    query: Mapping[str, str | int] = field(default_factory=dict)
    body: Any = None
    safe: bool = False
    repeatable: bool = False
    pace: float = 10.0
    by: float | None = None
    read: Callable[[Any], Any] | None = None

    def heard(self, reply: Reply) -> Reply:
        """The reply as the kind wants to have it."""
        return replace(reply, body=self.read(reply.body)) if self.read else reply


@frozen
class Reply:
    """A successful answer. `body` is parsed JSON: the `Result` of a Volcengine envelope, the whole body of a Livepeer answer, or None;
    or what the call's `read` made of it."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    request_id: str = ""


@frozen
class Batch:
    """Calls that may run side by side. The answer is a list in the same order; a failed call's place holds its VendorError."""

    calls: Sequence[Call]


@frozen
class Pause:
    """Wait this many seconds before going on; `progress` (0..1) and `note` are shown meanwhile."""

    seconds: float
    progress: float | None = None
    note: str = ""


@frozen
class Created:
    """The vendor confirmed a new object: write its id down before anything else happens. `started`: when it began, if it has.

    `identity` is the whole of it, where the manifest leaves a part to be found.
    """

    id: str
    started: datetime | None = None
    identity: str = ""


Step = Call | Batch | Pause | Created
Steps = Generator[Step, Any, T]
"""A kind's work: yields what it needs done, is sent a Reply (list for a Batch, None for Pause and Created), returns T.

VendorErrors are thrown into it at the yield; what it does not catch ends the work with that outcome.
"""


class Clock(Protocol):
    """The only source of time. `now` is an aware UTC datetime, `monotonic` seconds that never jump, `sleep` waits."""

    def now(self) -> datetime: ...

    def monotonic(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...


class Transport(Protocol):
    """One vendor, one account. Raises VendorError's subclasses and nothing else."""

    def send(self, call: Call) -> Reply: ...


# --- kinds ------------------------------------------------------------------------------------------------------------


class Kind:
    """One kind of resource: its spec (declared on fields) and its verbs (generators of calls).

    A kind is pure: it imports no HTTP library, reads no clock, environment or file, and knows no other kind.
    """

    name: ClassVar[str]
    vendor: ClassVar[str]  # the transport its calls travel by, e.g. "volcengine"
    spec: ClassVar[Any]  # the pydantic model of `spec:`
    scheduling: ClassVar[Scheduling]
    schedule: ClassVar[str] = "optional"  # "required" | "optional" | "none"
    timeout: ClassVar[timedelta] = timedelta(minutes=2)
    settle: ClassVar[timedelta] = timedelta(seconds=85)  # a lost create is absent only after this: 60 s to run, 5 s skew, 20 s unseen
    create_first: ClassVar[bool] = False  # a replacement is made, and ready, before the old one is deleted
    observable: ClassVar[timedelta | None] = None  # reads reach objects started at most this long ago
    summary: ClassVar[str] = ""  # one line for `explain` and `--help`
    naming: ClassVar[tuple[str, ...]] = ()  # manifest paths that make the identity; the first one written is where a clash is shown
    images: ClassVar[tuple[str, ...]] = ()  # spec paths that may name a picture beside the manifest; sent as a data URL

    # what is declared

    def canonical(self, spec: Any, *, name: str) -> Values:
        """The validated spec model as canonical values; `name` fills defaults that come from metadata.name."""
        raise NotImplementedError

    def identity(self, want: Desired) -> str:
        """The text by which the object can be found again without its id."""
        raise NotImplementedError

    def claims(self, want: Desired) -> tuple[str, ...]:
        """The exclusive things the object holds while on air, normalised; two objects with one claim at one time conflict."""
        return ()

    def joined(self, want: Desired, at: datetime) -> Desired:
        """`want` as it is asked for when its window began before `at`: begins at `at`, ends as declared."""
        if want.timing is None or at <= want.timing.window.start:
            return want
        return replace(want, timing=replace(want.timing, window=Window(at, want.timing.window.end)))

    def vet(self, want: Desired) -> Iterator[Diagnostic]:
        """Rules that need more than the spec (the window, the account), those of `vet_window` among them; errors and warnings, no I/O."""
        return self.vet_window(want)

    def vet_window(self, want: Desired) -> Iterator[Diagnostic]:
        """Rules of the window alone. Also asked when the spec has mistakes: `want.values` may hold anything."""
        return iter(())

    # how it is compared

    def replaces(self, path: str, want: Desired, live: Observed) -> bool:
        """Whether a difference at `path` (manifest path, `spec.…` or `schedule.…`) cannot be changed in place."""
        raise NotImplementedError

    def interrupts(self, path: str) -> bool:
        """Whether an in-place change at `path` may interrupt output that is on air."""
        return True

    # what is done

    def observe(self, ask: Sequence[Lookup]) -> Steps[Survey]:
        """Total: one answer for every lookup, all of one account.

        What is read whatever is asked, like a list, comes first: `ask` may still be on its way, and whoever looks at it waits.
        """
        raise NotImplementedError

    def create(self, want: Desired) -> Steps[str]:
        """Yields `Created(id)` as soon as the vendor confirmed it, then goes on until ready; returns the id."""
        raise NotImplementedError

    def update(self, want: Desired, live: Observed, fields: Sequence[str]) -> Steps[None]:
        """Sends the full desired body; `fields` are the manifest paths that differ."""
        raise NotImplementedError

    def delete(self, live: Observed) -> Steps[None]:
        """Absent is success."""
        raise NotImplementedError

    def stop(self, live: Observed) -> Steps[None]:
        raise NotImplementedError

    def start(self, want: Desired, live: Observed) -> Steps[None]:
        raise NotImplementedError


# --- plans ------------------------------------------------------------------------------------------------------------


class Action(enum.StrEnum):
    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"
    FORGET = "forget"
    ADOPT = "adopt"
    START = "start"
    STOP = "stop"
    WAIT = "wait"
    BLOCKED = "blocked"
    NOOP = "noop"


TAKING = (Action.CREATE, Action.REPLACE, Action.START, Action.UPDATE)
"""What waits for the objects that its own depends on, and may take what others free."""


class Evidence(enum.StrEnum):
    """What a comparison rests on: the vendor's read, our record of what was applied, or nothing."""

    LIVE = "live"
    LEDGER = "ledger"
    NONE = "none"


@frozen
class FieldChange:
    """One manifest path that differs. `before`/`after` are None where absent; secrets are Secret or Sealed, never text."""

    path: str
    before: Any = None
    after: Any = None
    replace: bool = False
    evidence: Evidence = Evidence.LIVE


class Need(NamedTuple):
    """What a person must do before something may be done: `text` says all of it, the rest what a command line can do about it.

    `flags` suffice, given to the command that was stopped; `command` stands by itself; `field` is the manifest field to edit first.
    """

    text: str
    flags: str = ""
    command: str = ""
    field: str = ""

    def __str__(self) -> str:
        return self.text


@frozen
class Change:
    """What is to be done about one address, and why.

    `wanted` is the action behind a BLOCKED or WAIT. `needs` says what a person must do about a blocked one.
    `off_air` is seconds of air lost. `boundary` is the next instant at which this decision would change by itself.
    """

    address: Address
    action: Action
    reason: str
    wanted: Action | None = None
    account: str = "default"
    place: Place | None = None
    phase: Phase | None = None
    stage: Stage = Stage.NONE
    on_air: bool = False
    off_air: float = 0.0
    fields: tuple[FieldChange, ...] = ()
    evidence: Evidence = Evidence.LIVE
    needs: Need | None = None
    warnings: tuple[str, ...] = ()
    boundary: datetime | None = None
    fingerprint: str = ""
    desired: Desired | None = None
    observed: Observed | None = None
    entry: Entry | None = None
    unsettled: bool = False
    """Blocked because the result of an earlier write is unknown."""
    refused: bool = False
    """Blocked by `onAirChange: refuse`: the whole plan stops."""

    @property
    def writes(self) -> bool:
        """Whether carrying it out sends a write to the vendor."""
        return self.action in _WRITES

    @property
    def acts(self) -> bool:
        """Whether an apply has anything to do for it, at the vendor or in the ledger."""
        return self.action in ACTING

    @property
    def changes(self) -> bool:
        """Whether anything would change now or once unblocked: what `--detailed-exitcode` counts."""
        return self.action not in (Action.NOOP, Action.WAIT)


_WRITES = frozenset({Action.CREATE, Action.UPDATE, Action.REPLACE, Action.DELETE, Action.START, Action.STOP})
ACTING = _WRITES | {Action.ADOPT, Action.FORGET}


@frozen
class Conflict:
    """Two things that want one exclusive thing at one time: `hard`, `tight`, `shadow` or `foreign`."""

    type: str
    claim: str
    addresses: tuple[str, ...]
    message: str
    places: tuple[Place, ...] = ()
    window: Window | None = None


@frozen
class Plan:
    """The difference between what is declared and what is live, at one instant. A value: showing and applying read the same one."""

    id: str
    workspace: str
    environment: str
    generated_at: datetime
    valid_until: datetime | None
    changes: tuple[Change, ...]
    drift: tuple[Change, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    strangers: tuple[Stranger, ...] = ()
    live_counts: Mapping[str, int] = field(default_factory=dict)
    live_digest: str = ""
    manifests_digest: str = ""
    tzdata: str = ""
    lineage: str = ""
    serial: int = 0
    files: int = 0
    unchanged: int = 0
    """Addresses with nothing to do, which `changes` leaves out when there are very many."""

    @property
    def summary(self) -> dict[str, int]:
        """The counts of the last line. Start and stop count as updates; what is blocked counts as such, and as what it would be."""
        count = dict.fromkeys(("create", "update", "replace", "delete", "forget", "adopt", "unchanged", "blocked", "waiting"), 0)
        for change in self.changes:
            count[_COUNTED_AS[change.action]] += 1
            if change.action is Action.BLOCKED and change.wanted:
                count[_COUNTED_AS[change.wanted]] += 1
        count["unchanged"] += self.unchanged
        return count


_COUNTED_AS = {
    Action.CREATE: "create",
    Action.UPDATE: "update",
    Action.START: "update",
    Action.STOP: "update",
    Action.REPLACE: "replace",
    Action.DELETE: "delete",
    Action.FORGET: "forget",
    Action.ADOPT: "adopt",
    Action.NOOP: "unchanged",
    Action.BLOCKED: "blocked",
    Action.WAIT: "waiting",
}


# --- events -----------------------------------------------------------------------------------------------------------


class Outcome(enum.StrEnum):
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    NOT_STARTED = "notStarted"


@frozen
class Result:
    """What became of one change in an apply."""

    change: Change
    outcome: Outcome
    message: str = ""
    code: str = ""
    request_id: str = ""
    id: str = ""
    seconds: float = 0.0
    exit_code: int = 0
    next_step: str = ""


@frozen
class Event:
    """One line of an apply stream. `type` is apply_start, apply_progress, apply_complete, apply_errored, apply_unknown or diagnostic."""

    type: str
    at: datetime
    address: Address | None = None
    action: str = ""
    message: str = ""
    progress: float | None = None
    result: Result | None = None
