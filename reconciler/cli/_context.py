"""The composition root: from a command line to a project, its manifests, the ledger, the vendors and the engine."""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler import scalars, schedule
from reconciler.cli._session import Session
from reconciler.cli._wish import Wish
from reconciler.errors import InvalidManifests, UsageError
from reconciler.kinds import Registry
from reconciler.manifest import Loaded, load
from reconciler.model import Desired, Event, Place, Plan, Transport
from reconciler.project import Project, Selection, files, find, root_of, source_line

if TYPE_CHECKING:
    from reconciler.engine import Engine, Options, Wanted
    from reconciler.ledger import Ledger
    from reconciler.vendors import Account
    from reconciler.vendors.http import Exchange


_WITH_SLEEP: int | None = getattr(time, "CLOCK_BOOTTIME", None)
"""Linux: a laptop that slept must know it. Elsewhere time.monotonic is what there is."""


class RealClock:
    """The machine's clocks. RECONCILER_NOW sets where the wall clock begins; it runs on from there."""

    def __init__(self, begin: str = "") -> None:
        try:
            self._ahead = scalars.instant(begin) - datetime.now(UTC) if begin else timedelta()
        except ValueError as wrong:
            raise UsageError(f"RECONCILER_NOW: {wrong}") from None

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def monotonic(self) -> float:
        return time.monotonic() if _WITH_SLEEP is None else time.clock_gettime(_WITH_SLEEP)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class Scene:
    """One project as a command sees it. Everything is made when first asked for, and closed with the session."""

    def __init__(self, session: Session, path: str = ".", *, allow_env: Sequence[str] = ()) -> None:
        self.session = session
        self.path = path
        self.clock = RealClock(session.env.get("RECONCILER_NOW", ""))
        self.kinds = Registry()
        self._allow_env = tuple(allow_env)
        self._ledger: Ledger | None = None
        session.source = lambda place: source_line(place, Project(root=root_of(Path() if path == "-" else Path(path))), stdin=self.stdin)
        self.project = find(path, environment=session.given.environment)
        session.workspace, session.root = self.project.workspace, self.project.root
        session.source = self._line
        session.show_in(self.project.zone)

    def _line(self, place: Place) -> str | None:
        return source_line(place, self.project, stdin=self.stdin)

    # what is declared

    @cached_property
    def stdin(self) -> bytes | None:
        return sys.stdin.buffer.read() if self.path == "-" else None

    @cached_property
    def selected(self) -> Selection:
        """The files of manifests."""
        return files(self.project, self.path)

    @cached_property
    def loaded(self) -> Loaded:
        """The manifests; mistakes are in its diagnostics."""
        made = load(self.selected, project=self.project, kinds=self.kinds, stdin=self.stdin)
        self.session.checked = tuple(str(want.address) for want in made.desired)
        return made

    def resolve(self, desired: Sequence[Desired]) -> Sequence[Desired]:
        from reconciler.references import resolve

        return resolve(desired, project=self.project, kinds=self.kinds, env=self.session.env, allow_env=self._allow_env)

    @property
    def wanted(self) -> Wanted:
        """Raises InvalidManifests when anything is wrong, or no manifest was found at all."""
        loaded = self.loaded.require()
        self.refuse_nothing(loaded)
        from reconciler.engine import Wanted

        return Wanted(loaded.desired, loaded.digest, loaded.files, loaded.diagnostics, self.resolve)

    def refuse_nothing(self, loaded: Loaded) -> None:
        """A project without a single manifest is a wrong PATH, never a wish."""
        if not loaded.files:
            where = ", ".join(self.project.manifests) or str(self.path)
            others = [os.path.relpath(folder, self.session.began) for folder in self.selected.others]
            told = "looked for *.yaml, *.yml"
            if others:
                told = f"projects of their own below it: {', '.join(others[:5])}{f' and {len(others) - 5} more' if others[5:] else ''}"
            nothing = InvalidManifests((), f"no manifests found in {where} ({told})")
            nothing.next_step = shlex.join(["reconciler", "-C", others[0], "plan"]) if others else "reconciler init"
            raise nothing

    # what is remembered

    @property
    def remembers(self) -> bool:
        """Whether there is a ledger: then live state may be asked for while the manifests are read. None is made before they are right."""
        return "://" in self.project.state or (self.project.root / self.project.state).exists()

    def ledger(self, *, create: bool) -> Ledger:
        """Opened once; `create` only where the command may leave something behind."""
        if self._ledger is None:
            from reconciler.ledger import open_ledger

            self._ledger = open_ledger(
                self.project.state, root=self.project.root, workspace=self.project.workspace, clock=self.clock, create=create
            )
            self.session.closing.callback(self._ledger.close)
        return self._ledger

    # the vendors and the engine

    def accounts(self) -> dict[str, Account]:
        """The accounts of reconciler.yaml in the vendors' terms."""
        from reconciler.vendors import Account

        return {
            name: Account(
                region=one.volcengine.region,
                profile=one.volcengine.profile,
                live_endpoint=one.volcengine.live_endpoint,
                rtc_endpoint=one.volcengine.rtc_endpoint,
                livepeer_endpoint=one.livepeer.endpoint,
            )
            for name, one in self.project.accounts.items()
        }

    def transports(self, *, read_only: bool) -> Callable[[str, str], Transport]:
        from reconciler.vendors import Transports

        verbose = self.session.given.verbose > 1
        made = Transports(
            self.accounts(),
            self.session.env,
            home=Path.home(),
            clock=self.clock,
            read_only=read_only,
            on_exchange=self._exchange if verbose else None,
        )
        self.session.closing.callback(made.close)
        return made

    def _exchange(self, seen: Exchange) -> None:
        from reconciler.render.json import plain
        from reconciler.render.safe import clean

        came = str(seen.status) if seen.status else seen.failure
        lines = [f"{seen.call}  {seen.method} {seen.url}  {came}  {seen.seconds:.2f} s"]
        for label, body in (("query", seen.query), ("request", seen.request_body), ("answer", seen.response_body)):
            if body:
                lines.append(f"  {label}  {json.dumps(plain(body), ensure_ascii=False)}")
        for line in lines:
            self.session.note(clean(line), level="debug")

    def engine(
        self,
        *,
        writes: bool,
        on_event: Callable[[Event], None] = lambda _: None,
        parallelism: int = 8,
        create: bool | None = None,
        declared: bool = True,
    ) -> Engine:
        """The engine of this project. `declared` False leaves the manifests unread, for what only the ledger knows."""
        from reconciler.engine import Engine, Wanted
        from reconciler.guards import Limits

        wanted = Wanted(()) if not declared else (lambda: self.wanted) if self.remembers else self.wanted
        guards = self.project.guards
        return Engine(
            workspace=self.project.workspace,
            environment=self.project.environment,
            kinds=self.kinds.get,
            ledger=self.ledger(create=writes if create is None else create),
            transports=self.transports(read_only=not writes),
            clock=self.clock,
            told_now=bool(self.session.env.get("RECONCILER_NOW")),
            wanted=wanted,
            limits=Limits(
                max_delete=guards.max_delete,
                floor=guards.max_delete_floor,
                max_off_air=guards.max_off_air.total_seconds() if guards.max_off_air is not None else None,
            ),
            min_lead=guards.min_lead,
            tzdata=schedule.tzdata_version(),
            parallelism=parallelism,
            lock_timeout=_patience(self.session.given.lock_timeout),
            on_event=on_event,
        )

    def plan(self, engine: Engine, wish: Wish, *, keep_unchanged: bool = True) -> Plan:
        return engine.plan(self.options(wish, keep_unchanged=keep_unchanged))

    def options(self, wish: Wish, *, keep_unchanged: bool = True) -> Options:
        return wish.options(whole=wish.destroy or self.selected.whole, keep_unchanged=keep_unchanged)


def _patience(text: str) -> float:
    try:
        return float(scalars.seconds(int(text) if text.isdigit() else text))
    except ValueError as wrong:
        raise UsageError(f"--lock-timeout: {wrong}") from None


def private(path: Path, text: str) -> None:
    """Writes a file that only its owner may read, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        temporary.replace(path)
    except OSError as wrong:
        raise UsageError(f"{path} cannot be written: {wrong.strerror}") from None
