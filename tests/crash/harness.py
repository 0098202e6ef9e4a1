"""Faults and kills: one change is carried out while answers are spoilt and the process dies at a numbered point; then it is run again.

The oracle is the emulator's own ledger of live objects per identity at every event: never two, and in the end exactly what is declared.
A case is one line of text; `python -m tests.crash.replay "relay create reset after 1 7"` runs it again.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from reconciler import crash, manifest, project, references
from reconciler.emulator import livepeer
from reconciler.emulator.core import Clock as EmulatorClock
from reconciler.emulator.core import Request, World
from reconciler.emulator.faults import FaultRule
from reconciler.emulator.front import Emulator
from reconciler.emulator.in_process import handler
from reconciler.engine import Engine, Options, Wanted
from reconciler.errors import ReconcilerError
from reconciler.kinds import Registry, _relay_list
from reconciler.ledger import Ledger, holder, open_ledger
from reconciler.ledger.sqlite import SqliteLedger, _lay_out
from reconciler.memory import uncollected
from reconciler.model import Action, Desired, Entry, Intent, Kind
from reconciler.vendors import Transports
from tests.scenarios.manifests import EDITS, KINDS, ON_AIR, S3
from tests.scenarios.stage import ENV, NOW, SharedClock

FAULTS = ("reset", "timeout", "500", "502", "504", "commonErr", "halfBody", "notJson", "late:20", "late:70", "429", "403")
WHENS = ("before", "after")
REPLACED = {
    "relay": ("spec:\n", "spec:\n  group: other\n"),
    "playlist": ("  title: 夜间循环\n", "  title: 夜间循环\n  group: other\n"),
    "recording": ("maxDuration: 4h", "maxDuration: 5h"),
    "segment": ("bucket: b,", "bucket: c,"),
    "clip": ("21:14:35", "21:14:40"),
}
RELAYS, SESSIONS, CLIPS = ("relay", "playlist"), ("recording", "segment"), ("clip",)
PATIENCE = 1800.0  # seconds of the shared clock within which everything must have settled
ROUND = 45.0
OPENS = NOW + timedelta(minutes=10)  # the window of a session that has one
WINDOW = timedelta(hours=1)


FILE = ".reconciler/state.db"
MEMORY = ":memory:"  # SQLite all the same, without the cost of opening and closing a file for every life


class Killed(BaseException):
    """The process is gone: nothing of it runs any more, not even its clean-up."""


# --- what is tried ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Verb:
    """A change of what is declared. `before` are the states lived through first, each after some seconds; `after` waits before the attack.

    `begun` is a state applied last of all, and not waited for. `alive` counts the objects that must live in the end. `forgets` loses the
    ledger before the attack.
    """

    state: str
    alive: int = 1
    before: tuple[str, ...] = ()
    begun: str = ""
    wait: float = 0.0
    after: float = 0.0
    forgets: bool = False
    kinds: tuple[str, ...] = (*RELAYS, *SESSIONS, *CLIPS)


VERBS: dict[str, Verb] = {
    "create": Verb("first"),
    "update": Verb("update", before=("first",)),
    "replace": Verb("replace", before=("first",)),
    "delete": Verb("delete", alive=0, before=("first",)),
    "finish": Verb("replace", before=("first",), begun="replace", kinds=CLIPS),
    "overtake": Verb("other", before=("first",), begun="replace", kinds=CLIPS),
    "return": Verb("first", before=("first",), begun="replace", kinds=CLIPS),
    "abandon": Verb("delete", alive=0, before=("first",), begun="replace", kinds=CLIPS),
    "stop": Verb("stopped", before=("first",), kinds=RELAYS),
    "start": Verb("first", before=("stopped",), kinds=RELAYS),
    "rename": Verb("renamed", before=("first",)),
    "adopt": Verb("first", before=("first",), forgets=True),
    "begin": Verb("window", wait=605.0, kinds=SESSIONS),
    "end": Verb("window", alive=0, before=("window",), wait=605.0, after=3600.0, kinds=SESSIONS),
    "restart": Verb("restart", before=("restart",), after=4.5 * 3600, kinds=("recording",)),
    "unread": Verb("delete", alive=0, before=("first",), after=73 * 3600.0, kinds=("segment",)),
}

WORLDS: dict[str, dict[str, str]] = {
    "": {},
    "lag": {"live.list_lag": "8", "rtc.get_lag": "8", "livepeer.replica_lag_seconds": "8"},
    "replica": {"live.replica": "alternating", "live.replica_lag": "8", "livepeer.replica_lag_seconds": "8"},
    "repeat": {"live.shifting_pages": "repeat"},
    "skip": {"live.shifting_pages": "skip"},
    "ahead": {"live.clock_offset": "400", "rtc.clock_offset": "400"},
    "behind": {"live.clock_offset": "-400", "rtc.clock_offset": "-400"},
    "slow": {"live.clock_offset": "-200", "rtc.clock_offset": "-200"},  # not far enough off to be refused
    "barren": {"livepeer.clip_outcome": "failed"},  # as long as it is attacked, no clip can be cut
    "elsewhere": {},  # the killed process ran on another machine: its lease must run out
    "unfenced": {"live.x_expires": "ignored", "rtc.x_expires": "ignored"},
}
SHIFTING = ("repeat", "skip")
PASSING = {"barren": ("livepeer.clip_outcome", "ready"), **dict.fromkeys(SHIFTING, ("live.shifting_pages", "off"))}
"""Worlds that are like this during the attack only, and how it ends."""


@dataclass(frozen=True, slots=True)
class Case:
    """`call` counts the writes of the attacked run from 1; `kill` counts the points it passes, 0 lets it live.

    `then` is a fault of the next life (`500:after:1`) and `again` the point at which that one is killed. `gap`: seconds between the two.
    """

    kind: str
    verb: str
    fault: str = ""
    when: str = "before"
    call: int = 1
    kill: int = 0
    world: str = ""
    then: str = ""
    again: int = 0
    gap: int = 0

    def __str__(self) -> str:
        more = "".join(f" {name}={value}" for name in ("world", "then", "again", "gap") if (value := getattr(self, name)))
        return f"{self.kind} {self.verb} {self.fault or '-'} {self.when} {self.call} {self.kill}{more}"

    @classmethod
    def parse(cls, line: str) -> Case:
        kind, verb, fault, when, call, kill, *more = line.split()
        given: dict[str, Any] = dict(part.split("=", 1) for part in more)
        for name in ("again", "gap"):
            given[name] = int(given.get(name, 0))
        return cls(kind, verb, "" if fault == "-" else fault, when, int(call), int(kill), **given)

    @property
    def belied(self) -> bool:
        """Whether the vendor refuses what it did and shows it late, or in an unbelievable list: then there may be two for a while.

        The one exception of the promise that the suite makes: in the end there must be one all the same.
        """
        refused = (self.fault in ("429", "403") and self.when == "after") or self.then.startswith(("429:after", "403:after"))
        return refused and self.world in ("lag", "replica", *SHIFTING)

    @property
    def replay(self) -> str:
        return f'python -m tests.crash.replay "{self}"'


# --- what is declared -------------------------------------------------------------------------------------------------

KIND_OF: dict[str, Kind] = {kind.name: kind for kind in Registry()}
_DECLARED: dict[tuple[str, str], list[Desired]] = {}


def text_of(kind: str, state: str) -> str:
    """The manifest of one kind in one state; several kinds are joined by `+`."""
    if "+" in kind:  # the later ones depend on the first
        first, *rest = (text_of(one, state) for one in kind.split("+"))
        needs = f"{first.partition('kind: ')[2].split()[0]}/{first.partition('name: ')[2].partition('}')[0].partition(',')[0]}"
        return "---\n".join([first, *(text.replace("metadata: {", f"metadata: {{dependsOn: [{needs}], ", 1) for text in rest)])
    text = KINDS[kind]
    if state == "update":
        return text.replace(*EDITS[kind])
    if state == "replace":
        return text.replace(*REPLACED[kind])
    if state == "other":
        return text.replace("21:14:35", "21:14:50")
    if state == "stopped":
        return text.replace("spec:\n", "spec:\n  enabled: false\n")
    if state == "renamed":
        name = text.partition("name: ")[2].partition("}")[0]
        return text.replace(f"{{name: {name}}}", f"{{name: new-{name}, renamedFrom: {name}}}")
    if state == "window":
        return text.replace("spec:\n", f"schedule: {{start: {OPENS.isoformat()}, duration: 1h}}\nspec:\n", 1)
    if state == "restart":
        return text.replace("onAirChange: apply", "onAirChange: apply, onEnd: restart")
    return text


def declared(kind: str, state: str) -> list[Desired]:
    """What the manifests say in one state, read once."""
    found = _DECLARED.get((kind, state))
    if found is None:
        folder = Path(tempfile.mkdtemp())
        try:
            (folder / "m.yaml").write_text(text_of(kind, state), encoding="utf-8")
            found = loaded(folder)
        finally:
            shutil.rmtree(folder)
        _DECLARED[kind, state] = found = [] if state == "delete" else found
    return found


def loaded(folder: Path) -> list[Desired]:
    registry = Registry()
    where = project.find(folder)
    read = manifest.load(project.files(where, folder), project=where, kinds=registry).require()
    return list(references.resolve(read.desired, project=where, kinds=registry, env={**ENV, **S3}))


# --- one case ---------------------------------------------------------------------------------------------------------


class WriteRule(FaultRule):
    """Hits the n-th write, whatever its name."""

    def hits(self, action: str) -> bool:
        if is_read(action):
            return False
        self.seen += 1
        return self.seen == self.nth


def is_read(action: str) -> bool:
    return action.startswith(("GET ", "List", "Get"))


class Direct(httpx.Client):
    """Gives a request to whoever answers now, without the hooks, cookies and redirects that nobody here uses."""

    def send(self, request: httpx.Request, **_: Any) -> httpx.Response:
        return _answering(request)


HTTP = Direct(transport=httpx.MockTransport(lambda sent: _answering(sent)))
_answering: Callable[[httpx.Request], httpx.Response]


@dataclass(slots=True)
class Life:
    """How one life of the process ended: its exit code, and how many changes were still to be made when it began.

    `kept` and `open` are the ledger's entries and open intents once nothing was left to do.
    """

    exit_code: int = 0
    todo: int = 0
    error: str = ""
    actions: dict[str, str] = field(default_factory=dict)
    kept: list[Entry] = field(default_factory=list)
    open: list[Intent] = field(default_factory=list)


_TICK = Request.of("GET", "/_emulator/state")


class Outliving(SqliteLedger):
    """A ledger in memory, which is there for the next life as a file would be."""

    def close(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")


class Trial:
    """One case being run: a world, a ledger, and as many lives of the process as it takes."""

    def __init__(self, folder: Path, case: Case, *, store: str = FILE) -> None:
        self.folder = folder
        self.case = case
        self.store = store
        self.verb = VERBS[case.verb]
        self.world = World(clock=EmulatorClock.frozen_at(NOW.isoformat()), switches={"rate_limits": "off", **WORLDS[case.world]})
        self.emulator = Emulator(self.world)
        self.clock = SharedClock(self.world.clock)
        self.http = HTTP
        self.passed = 0
        self.kill = 0
        self.dead = False
        self.sent = 0
        self.points = 0
        self.writes = 0
        self.lives = 0
        self.log: list[Life] = []
        self.onlooker: sqlite3.Connection | None = None
        self.db = sqlite3.connect(MEMORY, isolation_level=None, check_same_thread=False) if store == MEMORY else None

    def seeded(self) -> Trial:
        livepeer.seed(self.world, "default")
        return self

    def live(self, state: str, *, wait: bool = True) -> Life:
        """One life: plan and apply what `state` declares. Raises Killed."""
        self.lives += 1
        with self._wired():
            ledger = self.open()
            transports = Transports({}, ENV, home=self.folder, clock=self.clock, read_only=False, client=HTTP)
            life = Life()
            self.log.append(life)
            try:
                self._work(self.engine(ledger, transports, state), life, Options(allow_on_air=(*ON_AIR, "*"), wait=wait))
                if not life.todo:
                    life.kept, life.open = list(ledger.entries().values()), ledger.open_intents()
            except ReconcilerError as wrong:
                life.exit_code, life.todo, life.error = wrong.exit_code, 1, wrong.message
            finally:
                ledger.close()
        return life

    def open(self) -> Ledger:
        if self.db is not None:
            if not self.laid_out():
                _lay_out(self.db)
            outliving = Outliving(self.db, MEMORY, workspace="default", clock=self.clock)
            outliving._introduce(create=True)
            return outliving
        ledger = open_ledger(self.store, root=self.folder, workspace="default", clock=self.clock, create=True)
        path = self.folder / self.store
        if self.onlooker is None and path.exists():
            # somebody else reads the file as well: SQLite then keeps the log of a life for the next one, which saves a tenth of a case
            self.onlooker = sqlite3.connect(path)
            self.onlooker.execute("SELECT name FROM sqlite_master").fetchone()
        return ledger

    def laid_out(self) -> bool:
        return self.db is not None and self.db.execute("SELECT 1 FROM sqlite_master").fetchone() is not None

    def close(self) -> None:
        """Nobody has the ledger open any more: its file is whole, and what was in memory is gone."""
        for one in (self.onlooker, self.db):
            if one is not None:
                one.close()
        self.onlooker = None

    def engine(self, ledger: Ledger, transports: Transports, state: str) -> Engine:
        desired = declared(self.case.kind, state)
        return Engine(
            workspace="default", kinds=KIND_OF.get, ledger=ledger, transports=transports, clock=self.clock,
            wanted=Wanted(desired, state, 1 if desired else 0), parallelism=0,
        )  # fmt: skip

    def _work(self, engine: Engine, life: Life, options: Options) -> None:
        plan = engine.plan(options)
        if self.verb.forgets and self.case.kind != "relay":
            twins = [one.address for one in plan.changes if one.wanted is Action.ADOPT]
            for address in twins:  # a person, or `state rebuild`, says that it is ours
                engine.adopt(address)
            if twins:
                plan = engine.plan(options)
        life.actions = {str(one.address): one.action.value for one in plan.changes if one.action is not Action.NOOP}
        life.todo = len(life.actions)
        if life.todo:
            life.exit_code = engine.apply(plan, options).exit_code

    @contextmanager
    def _wired(self) -> Iterator[None]:
        """The one HTTP client leads to this trial's emulator; a life before this one is known to be dead, unless it ran elsewhere."""
        global _answering
        to_emulator = handler(self.emulator)

        def answer(sent: httpx.Request) -> httpx.Response:
            calls = len(self.world.log)
            try:
                return to_emulator(sent)
            finally:
                if len(self.world.log) > calls and not is_read(self.world.log[-1].action):
                    self.sent += 1
                    self._pass("the answer is on its way")

        own = f"life {self.lives}"
        before = holder.born, holder._gone
        _answering = answer
        holder.born = lambda _: own
        if self.case.world != "elsewhere":
            holder._gone = lambda _, began: began != own
        crash.hook = self._pass
        try:
            yield
        finally:
            crash.hook = None
            holder.born, holder._gone = before

    def _pass(self, name: str) -> None:
        self.passed += 1
        if self.dead or self.passed == self.kill:
            self.dead = True
            raise Killed(name)

    def attacked(self, state: str, *, fault: str, when: str, call: int, kill: int) -> int:
        """A life that is attacked: an answer spoilt, and the process killed at a point. Returns the number of points it passed."""
        if fault:
            self.world.faults.rules.append(WriteRule("*", fault, when, call))
        self.passed, self.sent, self.kill, self.dead = 0, 0, kill, False
        try:
            self.live(state)
        except Killed:
            pass
        finally:
            self.world.faults.clear()
            self.kill, self.dead = 0, False
        return self.passed

    def converge(self, state: str) -> int:
        """Runs again until nothing is left to do; returns how many lives it took. Raises AssertionError past the patience."""
        began = self.clock.monotonic()
        lives = 0
        while True:
            lives += 1
            life = self.live(state)
            if not life.todo:
                return lives
            spent = self.clock.monotonic() - began
            assert spent < PATIENCE, f"not settled after {PATIENCE:.0f} s ({life.error or life.actions}): {self.case.replay}"
            self.world.clock.advance(ROUND)

    def lose_ledger(self) -> None:
        self.close()
        if self.db is not None:
            self.db = sqlite3.connect(MEMORY, isolation_level=None, check_same_thread=False)
        else:
            shutil.rmtree(self.folder / ".reconciler")

    # a world that was lived in already is copied, not lived again

    def freeze(self) -> bytes:
        """The world and the ledger as bytes; the trial is over."""
        world = self.world
        path = self.folder / self.store
        kept = self.db.serialize() if self.db is not None and self.laid_out() else b""
        self.close()
        if path.exists():
            kept = path.read_bytes()
        facts = (
            world.clock.now_ms(), self.clock._began, world.data, world.seq, world._ids, world.ledger.events, world.ledger.living,
            world.in_flight, world.landed, self.lives, kept,
        )  # fmt: skip
        return pickle.dumps(facts, protocol=pickle.HIGHEST_PROTOCOL)

    def thaw(self, frozen: bytes) -> Trial:
        world = self.world
        (
            now, self.clock._began, world.data, world.seq, world._ids, events, living,
            world.in_flight, world.landed, self.lives, kept,
        ) = pickle.loads(frozen)  # fmt: skip
        world.clock.set(now)
        world.ledger.events, world.ledger.living = events, living
        world.cache.clear()
        if kept and self.db is not None:
            self.db.deserialize(kept)
        elif kept:
            path = self.folder / self.store
            path.parent.mkdir(mode=0o700, exist_ok=True)
            path.write_bytes(kept)
            path.chmod(0o600)
        return self


_FROZEN: dict[tuple[str, str, str, str], bytes] = {}


def prepared(folder: Path, case: Case, store: str = FILE) -> Trial:
    """A trial in the state before the attack."""
    key = case.kind, case.verb, case.world, store
    frozen = _FROZEN.get(key)
    if frozen is not None:
        return Trial(folder, case, store=store).thaw(frozen)
    calm = Trial(folder, replace(case, world="") if case.world in PASSING else case, store=store).seeded()
    if case.world in SHIFTING:
        crowd(calm)
    if calm.verb.before and calm.verb.wait:
        calm.world.clock.advance(calm.verb.wait)
    for state in calm.verb.before:
        calm.converge(state)
    if calm.verb.begun:
        calm.live(calm.verb.begun, wait=False)
    calm.world.clock.advance(calm.verb.after or (0.0 if calm.verb.before else calm.verb.wait))
    if calm.verb.forgets:
        calm.lose_ledger()
    calm.emulator.handle(_TICK)  # what ended by itself meanwhile has ended
    _FROZEN[key] = calm.freeze()
    empty(folder)
    return Trial(folder, case, store=store).thaw(_FROZEN[key])


def crowd(trial: Trial) -> None:
    """Relay tasks of somebody else, so that the list has pages."""
    calm = Trial(trial.folder, Case("relay", "create"))
    calm.world, calm.emulator, calm.clock = trial.world, trial.emulator, trial.clock
    with calm._wired():
        transports = Transports({}, ENV, home=trial.folder, clock=trial.clock, read_only=False, client=HTTP)
        from reconciler.kinds.relay_task import CREATE

        for number in range(5):
            start = int(NOW.timestamp()) + 86_400 * (3 + number)
            transports("default", "volcengine-live").send(
                CREATE(
                    {
                        "Title": f"foreign{number}", "StartTime": start, "EndTime": start + 3600, "Type": 0,
                        "SrcAddr": "http://pull.example.com/live/z.flv", "DstAddr": f"rtmp://push.example.com/live/z{number}",
                    }
                )
            )  # fmt: skip


def empty(folder: Path) -> None:
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def run(case: Case, folder: Path, *, store: str = FILE) -> Trial:
    """Runs one case in an empty folder and returns it, with the `points` and `writes` of the attacked life. Raises AssertionError."""
    with pages_of(case):
        return outlived(attacked(case, folder, store))


def attacked(case: Case, folder: Path, store: str = FILE) -> Trial:
    """The trial right after its first attack."""
    trial = prepared(folder, case, store) if store in (FILE, MEMORY) else fresh(folder, case, store)
    trial.points = trial.attacked(trial.verb.state, fault=case.fault, when=case.when, call=case.call, kill=case.kill)
    trial.writes = trial.sent
    return trial


def outlived(trial: Trial) -> Trial:
    """What comes after the first attack: a gap, perhaps a second one, and lives that are left in peace until all is settled."""
    case, state = trial.case, trial.verb.state
    try:
        if case.gap:
            trial.world.clock.advance(case.gap)
        if case.then or case.again:
            fault, when, call = case.then.rsplit(":", 2) if case.then else ("", "before", "1")
            trial.attacked(state, fault=fault, when=when, call=int(call), kill=case.again)
        if case.world in PASSING:
            trial.world.set_switches(dict([PASSING[case.world]]))
        trial.converge(state)
        check(trial)
        return trial
    finally:
        trial.close()


def aftermaths(folder: Path) -> Callable[[Case], Trial]:
    """Runs cases that differ only in what comes after the first attack: that is lived through once, and copied for each. Ledger in memory."""
    frozen = b""

    def run_one(case: Case) -> Trial:
        nonlocal frozen
        with pages_of(case):
            if not frozen:
                frozen = attacked(case, folder, MEMORY).freeze()
                empty(folder)
            return outlived(Trial(folder, case, store=MEMORY).thaw(frozen))

    return run_one


@contextmanager
def pages_of(case: Case) -> Iterator[None]:
    """Where pages shift, a list must have several."""
    page = _relay_list.PAGE
    if case.world in SHIFTING:
        _relay_list.PAGE = 3
    try:
        yield
    finally:
        _relay_list.PAGE = page


def fresh(folder: Path, case: Case, store: str) -> Trial:
    """A trial whose ledger is not a file: its past is lived, not copied."""
    trial = Trial(folder, case, store=store).seeded()
    if trial.verb.before and trial.verb.wait:
        trial.world.clock.advance(trial.verb.wait)
    for state in trial.verb.before:
        trial.converge(state)
    if trial.verb.begun:
        trial.live(trial.verb.begun, wait=False)
    trial.world.clock.advance(trial.verb.after or (0.0 if trial.verb.before else trial.verb.wait))
    return trial


def check(trial: Trial) -> None:
    """Never two of one identity at any event; in the end exactly what is declared, nothing left over, and the ledger says the same."""
    case, oracle = trial.case, trial.world.ledger
    alive = sorted(f"{identity} {one}" for identity, ids in oracle.living.items() for one in ids if "foreign" not in identity)
    wanted = trial.verb.alive * len(case.kind.split("+"))
    assert len(alive) == wanted, f"{len(alive)} live objects, wanted {wanted}: {alive}: {case.replay}"
    assert oracle.most() <= 1 or case.belied, f"two live objects of one identity at one time: {case.replay}"
    if "clip" in case.kind:
        check_clips(trial)
    if case.verb == "update" and "recording" in case.kind:  # no read tells, so look behind the curtain
        assert '"Alpha": 0.5' in json.dumps(trial.world.data["rtc"]["runs"]), f"the update was lost: {case.replay}"
    last, now = trial.log[-1], trial.clock.now()
    owned = [one for one in last.kept if not one.ended and not (one.window and one.window.end and one.window.end <= now)]
    assert len(owned) == wanted, f"the ledger owns {len(owned)} objects, wanted {wanted}: {case.replay}"
    assert not last.open, f"an intent is still open: {case.replay}"
    assert not any(one.former for one in owned), f"the ledger still knows what was replaced: {case.replay}"
    ids = {one.rpartition(" ")[2] for one in alive}
    strange = [entry.id for entry in owned if entry.id not in ids and not entry.address.kind.endswith("Session")]
    assert not strange, f"the ledger owns {strange}, alive are {alive}: {case.replay}"


def check_clips(trial: Trial) -> None:
    """A replacement gives a clip another identity, so they are counted together as well: from the first that is ready on there is always
    one as long as one is wanted, never more than the old one and the new one, and in the end not even the remains of one that failed.
    """
    case, wanted = trial.case, trial.verb.alive
    alive, ready, most = set[str](), set[str](), 0
    for event in trial.world.ledger.events:
        if not event["identity"].startswith("clip/"):
            continue
        name, one, had = event["event"], {event["id"]}, bool(ready)
        if name in ("deleted", "failed"):
            alive, ready = alive - one, ready - one
        elif name in ("created", "retried"):
            alive = alive | one
        elif name == "ready":
            ready = ready | one & alive
        most = max(most, len(alive))
        assert ready or not had or not wanted, f"for a while there was no clip: {case.replay}"
    assert most <= 2 or case.belied, f"{most} live clips at one time: {case.replay}"
    left = [
        row["id"] for row in trial.world.data["livepeer"]["asset"].values() if row["source"]["type"] == "clip" and not row.get("deleted")
    ]
    assert len(left) == wanted, f"{len(left)} clips are left over, wanted {wanted}: {case.replay}"


@contextmanager
def workplace() -> Iterator[Path]:
    """A folder in memory where there is one: a ledger's commits then cost no disk."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="faults", dir=memory if os.access(memory, os.W_OK) else None))
    try:
        with uncollected():  # a case leaves some 70 kB of cycles; to look for them all the time costs a tenth
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
