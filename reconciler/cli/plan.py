"""plan, drift, show: what would change, and why. None of them writes to a vendor."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler import schedule
from reconciler.cli import _flags
from reconciler.cli._session import REPORTS, Session, session
from reconciler.cli._wish import Wish
from reconciler.errors import ReconcilerError, UsageError
from reconciler.model import Action, Change, Plan
from reconciler.render import json, text
from reconciler.render.safe import clean
from reconciler.scalars import counted

if TYPE_CHECKING:
    from reconciler.cli._context import Scene
    from reconciler.cli._saved import Saved


@click.command(short_help="Compare manifests with what is live; changes nothing.")
@_flags.path
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Save the plan for apply.")
@_flags.detailed
@click.option("--destroy", is_flag=True, help="Plan to delete all that is owned.")
@click.option("--at", default="", metavar="TIME", help="Plan as if it were TIME (RFC 3339).")
@_flags.untrusted
@_flags.choosing
def plan(path: str, out: Path | None, detailed_exitcode: bool, untrusted: bool, allow_env: tuple[str, ...], **wish: Any) -> int:
    """Compare the manifests with what is live and say what would change, and why.

    Nothing is written to any vendor. The most dangerous comes first; the last line counts. What waits (beyond its
    horizon, or until an on-air window ends) is no change.

    \b
    Look first, then do exactly that:
      reconciler plan --out plan.json
      reconciler apply plan.json

    \b
    In CI, tell "nothing to do" (0) from "changes" (2):
      reconciler plan --detailed-exitcode --report markdown=comment.md

    \b
    For a pull request of somebody you don't know; what is live stays unread:
      reconciler plan --untrusted
    """
    from reconciler.cli._context import Scene

    run = session()
    run.formats(*REPORTS)
    if untrusted:
        given = [
            flag for flag, value in {"--out": out, "--detailed-exitcode": detailed_exitcode, "--allow-env": allow_env}.items() if value
        ]
        if given or wish["destroy"]:
            raise UsageError(f"--untrusted compares with nothing: it goes with no {given[0] if given else '--destroy'}")
        return _declared(run, Scene(run, path), Wish(path=path, **wish))
    asked = run.asked = Wish(path=path, allow_env=allow_env, **wish)
    scene = Scene(run, path, allow_env=allow_env)
    began = scene.clock.monotonic()
    if out is None and run.brief:
        made, document = planned(scene, asked), None
    else:
        made, document = documented(scene, asked, create=out is not None)
    if out is not None:
        from reconciler.cli._context import private

        private(out, json.dump(document) + "\n")
    show_plan(run, made, document, seconds=scene.clock.monotonic() - began)
    if out is not None:
        run.next(shlex.join(["reconciler", "apply", str(out)]), level="info")
    code = 2 if detailed_exitcode and any(one.changes for one in made.changes) else 0
    refused = [one for one in made.changes if one.refused]
    if refused:
        code = 5
    run.report(made, document=document, exit_code=code)
    if refused and run.given.output == "text":
        run.next(text.way_out(refused[0], "destroy" if wish["destroy"] else "apply"))
    return code


def _declared(run: Session, scene: Scene, wish: Wish) -> int:
    """What the manifests say, and nothing else: no ledger, no environment, no file they name, no vendor."""
    loaded = scene.loaded.require()
    scene.refuse_nothing(loaded)
    options = scene.options(wish)
    chosen = [want for want in loaded.desired if options.chooses(want.address, want.labels)]
    made = Plan(
        id="",
        workspace=scene.project.workspace,
        environment=scene.project.environment,
        generated_at=options.now or scene.clock.now(),
        valid_until=None,
        changes=tuple(
            Change(want.address, Action.NOOP, "declared; live is unread", account=want.account, place=want.place, desired=want)
            for want in chosen
        ),
        diagnostics=loaded.diagnostics,
        manifests_digest=loaded.digest,
        tzdata=schedule.tzdata_version(),
        files=loaded.files,
    )
    document = json.plan(made)
    if run.given.output == "text":
        look = run.look()
        for one in made.changes:
            span = f"  {look.span(one.desired.window)}" if one.desired and one.desired.window else ""
            run.out(f"  ? {clean(one.address)}  {clean(one.place)}  {one.reason}{span}")
        run.out(f"{counted(len(chosen), 'resource')} declared and valid.")
        run.out("Untrusted: live state, ledger, environment and file references were not read.")
    else:
        show_plan(run, made, document)
    run.report(made, document=document)
    return 0


def planned(scene: Scene, wish: Wish, *, create: bool = False, keep_unchanged: bool = False) -> Plan:
    """A plan; what needs nothing done is merely counted in it, unless `keep_unchanged`."""
    engine = scene.engine(writes=False, create=create, declared=not wish.destroy)
    return scene.plan(engine, wish, keep_unchanged=keep_unchanged)


def documented(scene: Scene, wish: Wish, *, create: bool) -> tuple[Plan, dict[str, Any]]:
    """A whole plan and its signed document. `create` makes the ledger, whose key signs, if there is none."""
    from reconciler.cli._saved import signed

    made = planned(scene, wish, create=create, keep_unchanged=True)
    return made, signed(json.plan(made, selection=wish.kept(scene.project)), scene.ledger(create=create).key)


def show_plan(run: Session, made: Plan, document: Any, *, seconds: float | None = None) -> None:
    """In the format that -o names."""
    if run.json:
        run.document(document)
    elif run.given.output == "text":
        run.out(text.plan(made, run.look(), seconds=seconds))
    else:
        run.out(run.rendered(run.given.output, made, document=document))


@click.command(short_help="Print a saved plan.")
@click.argument("file", metavar="PLAN", type=click.Path(dir_okay=False, path_type=Path))
def show(file: Path) -> int:
    """Print a saved plan in any format; calls no vendor, needs no project.

    Where the ledger is that sealed it, a plan that was changed since is not shown (exit 6); elsewhere a note says that nobody checked.

    \b
      reconciler show plan.json
      reconciler show plan.json -o markdown > comment.md
      reconciler show plan.json -v --tz Europe/London
    """
    from reconciler.cli import _saved

    run = session()
    run.formats(*REPORTS)
    saved = _saved.read(file)
    if saved is None:
        raise UsageError(f"{file} is no saved plan", next_step="reconciler plan --out plan.json")
    try:
        made = json.read_plan(saved.document)
    except ValueError as wrong:
        raise UsageError(f"{file} cannot be read: {wrong}") from None
    if not _believed(run, saved):
        run.note(f"note: nobody checked the seal of {clean(file)}: the ledger that sealed it is not here")
    run.workspace = made.workspace
    run.show_in(saved.zone)
    show_plan(run, made, saved.document)
    run.report(made, document=saved.document)
    return 0


def _believed(run: Session, saved: Saved) -> bool:
    """Whether the ledger that sealed a plan is here, and the seal whole. Raises Stale when it is broken."""
    from reconciler.cli._context import RealClock
    from reconciler.ledger import open_ledger
    from reconciler.project import find

    clock = RealClock(run.env.get("RECONCILER_NOW", ""))
    try:
        project = find(saved.home(run), environment=run.given.environment or saved.environment)
        ledger = open_ledger(project.state, root=project.root, workspace=project.workspace, clock=clock, create=False)
    except ReconcilerError:
        return False
    run.closing.callback(ledger.close)
    if saved.sealed(ledger) is None:
        return False
    saved.believed(ledger, project)
    return True


@click.command(short_help="Show what moved away outside of us.")
@_flags.path
@_flags.detailed
def drift(path: str, detailed_exitcode: bool) -> int:
    """Show only what somebody changed at the vendor since our last apply: changed, or gone.

    Fields that no manifest declares are never drift, and neither is an object that ended by itself.

    \b
    Every morning, in CI:
      reconciler drift --detailed-exitcode || echo "look at it"
    """
    from reconciler.cli._context import Scene

    run = session()
    run.formats(*REPORTS)
    asked = run.asked = Wish(path=path)
    scene = Scene(run, path)
    began = scene.clock.monotonic()
    made, document = (planned(scene, asked), None) if run.brief else documented(scene, asked, create=False)
    code = 2 if detailed_exitcode and made.drift else 0
    if run.given.output == "text":
        run.out(text.drift(made, run.look(), seconds=scene.clock.monotonic() - began))
    else:
        only = replace(made, changes=(), conflicts=(), diagnostics=(), strangers=(), unchanged=len(made.changes) + made.unchanged)
        show_plan(run, only, json.plan(only))
    run.report(made, document=document, exit_code=code)
    return code
