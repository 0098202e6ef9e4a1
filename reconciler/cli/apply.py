"""apply, destroy, refresh: what writes to vendors, or settles what an earlier write came to."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler import __version__
from reconciler.cli import Terminated, _flags, unwritten
from reconciler.cli._session import Session, session
from reconciler.cli._wish import Wish, address_of
from reconciler.model import Event, Plan
from reconciler.render import json, text
from reconciler.render.safe import clean
from reconciler.render.terminal import Progress
from reconciler.scalars import counted

if TYPE_CHECKING:
    from reconciler.cli._context import Scene
    from reconciler.engine import Engine, Report
    from reconciler.ledger import Lease


@click.command(short_help="Carry out what the manifests, or a saved plan, ask for.")
@click.argument("path", default=".", metavar="[PLAN | PATH]")
@_flags.auto_approve
@_flags.parallelism
@_flags.wait
@_flags.choosing
def apply(path: str, auto_approve: bool, parallelism: int, allow_env: tuple[str, ...], **wish: Any) -> int:
    """Plan, show it, ask, and carry it out. A saved plan counts as approved, is good once, only while it still fits, and only
    with the ledger that sealed it: that of the project you stand in, or name with -C DIR.

    Every write is noted before it is sent: killed at any instant, apply is simply run again. What is blocked is left
    alone (exit 5), the rest is done. Ctrl-C starts nothing new and waits a moment for answers; a second one leaves.

    \b
      reconciler apply
      reconciler apply plan.json
      reconciler apply --auto-approve -o json manifests/news.yaml
      reconciler apply --allow-on-air RelayTask/cup-final
    """
    from reconciler.cli import _saved
    from reconciler.cli._context import Scene

    run = session()
    run.formats()
    saved = _saved.read(Path(path))
    if saved is None:
        asked = run.asked = Wish(path=path, allow_env=allow_env, **wish)
        scene = Scene(run, path, allow_env=allow_env)
        return Doing(run, scene, asked, parallelism=parallelism).all(
            lambda engine: scene.plan(engine, asked), question="Carry this out? Only 'yes' does:", answer="" if auto_approve else "yes"
        )
    scene = saved.scene(run, allow_env=allow_env)
    asked = saved.wish(scene.project.root, Wish(allow_env=allow_env, **wish))
    doing = Doing(run, scene, asked, parallelism=parallelism)
    saved.believed(scene.ledger(create=False), scene.project)
    run.asked, scene.path = asked, asked.path
    return doing.all(lambda engine: saved.checked(scene, engine, asked), saved=True)


@click.command(short_help="Delete everything this workspace owns.")
@_flags.path
@_flags.auto_approve
@_flags.parallelism
@_flags.target
@_flags.exclude
@_flags.allow_on_air
def destroy(path: str, auto_approve: bool, parallelism: int, **wish: Any) -> int:
    """Delete every live object that this workspace owns, and nothing else. Asks for the workspace's name.

    What is on air needs --allow-on-air ADDR or the end of its window; that, and what is protected, is left (exit 5).

    \b
      reconciler plan --destroy        look first
      reconciler destroy
    """
    from reconciler.cli._context import Scene

    run = session()
    run.formats()
    asked = run.asked = Wish(path=path, destroy=True, **wish)
    scene = Scene(run, path)
    workspace = scene.project.workspace
    question = f'Delete all of this? Type the name of the workspace, "{workspace}", to go on:'
    doing = Doing(run, scene, asked, parallelism=parallelism, verb="Destroy")
    return doing.all(lambda engine: scene.plan(engine, asked), question=question, answer="" if auto_approve else workspace)


class Doing:
    """One apply or destroy: the plan is shown, agreed to, carried out and summed up, in words or as a stream of JSON lines."""

    def __init__(self, run: Session, scene: Scene, wish: Wish, *, parallelism: int, verb: str = "Apply") -> None:
        self.run = run
        self.scene = scene
        self.wish = wish
        self.verb = verb
        self.parallelism = parallelism
        self.progress: Progress | None = None
        self.signal = 0
        if run.json:
            run.stream = json.ApplyStream(lambda line: run.tell(line, sys.stdout), scene.clock.now, program=__version__, again=run.again)
            run.stream.version()

    def all(self, make: Callable[[Engine], Plan], *, question: str = "", answer: str = "", saved: bool = False) -> int:
        began = self.scene.clock.monotonic()
        try:
            with self.halting(engine := self.engine()), nullcontext() if answer else engine.lock() as lease:
                if lease is None:
                    engine.await_lock()
                made = make(engine)
                self.show(made, seconds=self.scene.clock.monotonic() - began)
                ask = answer and any(one.acts for one in made.changes) and not any(one.refused for one in made.changes)
                if ask and not self.run.confirmed(question, answer):
                    return self.end(1, "Nothing was changed.")
                return self.carry_out(engine, made, saved=saved, lease=lease)
        except KeyboardInterrupt as stop:
            code = 143 if self.signal == signal.SIGTERM or isinstance(stop, Terminated) else 130
            return self.end(code, "interrupted; nothing was changed" if self.progress is None else "interrupted", interrupted=True)

    def engine(self) -> Engine:
        """For a destroy the manifests stay unread: broken ones must not keep anybody from deleting."""
        return self.scene.engine(writes=True, on_event=self.tell, parallelism=self.parallelism, declared=not self.wish.destroy)

    def show(self, made: Plan, *, seconds: float) -> None:
        if self.run.stream:
            self.run.stream.planned(made)
        else:
            self.run.out([*text.plan(made, self.run.look(), seconds=seconds), ""])
        self.run.told()

    def carry_out(self, engine: Engine, made: Plan, *, saved: bool, lease: Lease | None) -> int:
        import shutil

        size = shutil.get_terminal_size()
        todo = sum(one.acts for one in made.changes)
        self.progress = Progress(sys.stderr, self.run.look(sys.stderr), live=self.run.live, total=todo, height=size.lines)
        began = self.scene.clock.monotonic()
        try:
            report = engine.apply(made, self.scene.options(self.wish), saved=saved, lease=lease)
        finally:
            with suppress(OSError):
                self.progress.close()
        seconds = self.scene.clock.monotonic() - began
        code = (128 + self.signal if self.signal else 130) if report.interrupted else report.exit_code
        self.run.report(made, document=json.plan(made), exit_code=code)
        try:
            self.sum_up(made, report, code, seconds=seconds)
            self.run.told()
        except OSError as wrong:
            return unwritten(wrong, code, done=bool(report.results))
        return code

    def sum_up(self, made: Plan, report: Report, code: int, *, seconds: float) -> None:
        if self.run.stream:
            self.run.stream.summary(exit_code=code, results=report.results, interrupted=report.interrupted, run=report.run, seconds=seconds)
            return
        look = self.run.look()
        self.run.out(
            text.apply_summary(made, report.results, look, interrupted=report.interrupted, seconds=seconds, run=report.run, verb=self.verb)
        )

    def end(self, code: int, why: str, *, interrupted: bool = False) -> int:
        """The end of a run that has no results to sum up."""
        self.run.error(why)
        if self.run.stream:
            self.run.stream.summary(exit_code=code, interrupted=interrupted)
        else:
            self.run.next("reconciler plan")
        return code

    def tell(self, event: Event) -> None:
        if self.run.stream:
            self.run.stream.event(event)
        elif self.run.given.log_format == "json":
            self.run.note(f"{event.type} {event.action} {event.address} {event.message}".strip())
        elif self.progress and not self.run.given.quiet:
            with suppress(OSError):
                self.progress.event(event)

    @contextmanager
    def halting(self, engine: Engine) -> Iterator[None]:
        """While it is carried out, the first interrupt only starts nothing new; the second leaves at once."""

        def halt(number: int, frame: Any) -> None:
            if self.progress is None:
                previous = before[signal.Signals(number)]
                if callable(previous):
                    previous(number, frame)
                raise KeyboardInterrupt
            if self.signal:
                os._exit(128 + number)
            self.signal = number
            engine.halt()
            self.run.error("interrupted: nothing new is started, waiting for answers; once more to leave at once")

        before = {number: signal.signal(number, halt) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@click.command(short_help="Re-read live state and settle unknown results.")
@click.argument("addresses", nargs=-1, metavar="[ADDR]...", shell_complete=_flags.addresses)
def refresh(addresses: tuple[str, ...]) -> int:
    """Look at the vendors again and settle what earlier writes came to whose answers were lost.

    An object that is seen is adopted; one that is not is believed absent only when its horizon is over. Exit 7 while
    anything is still unknown.

    \b
      reconciler refresh
      reconciler refresh RelayTask/morning-news
    """
    from reconciler.cli._context import Scene

    run = session()
    run.formats()
    names = [address_of(one) for one in addresses]
    run.asked = Wish(targets=addresses)
    scene = Scene(run)
    engine = scene.engine(writes=False, create=True)
    settled, changes = engine.refresh(names)
    open_ones = [one for one in settled if not one.known]
    code = 7 if open_ones else 0
    if run.json:
        run.document(
            {
                "format_version": json.FORMAT_VERSION,
                "settled": [{"address": str(one.intent.address), "known": one.known, "message": one.text} for one in settled],
                "changes": [json.change(one) for one in changes],
            }
        )
        return code
    look = run.look()
    for one in settled:
        run.out(f"  {'settled' if one.known else 'unknown'}  {clean(one.intent.address)}  {clean(look.local(one.text))}")
    if open_ones:
        run.out(f"{counted(len(open_ones), 'result')} still unknown.")
        run.next(f"reconciler refresh {' '.join(str(one.intent.address) for one in open_ones[:8])}")
    else:
        differing = sum(one.changes for one in changes)
        run.out(f"Every result is known. {counted(len(changes), 'object')} looked at, {differing or 'none'} to be changed.")
    return code
