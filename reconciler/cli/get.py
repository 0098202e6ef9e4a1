"""get: what is declared and live, with stage and countdown."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli import _flags
from reconciler.cli._session import Session, session
from reconciler.cli._wish import Wish, address_of
from reconciler.errors import UsageError
from reconciler.model import Address, Change, Phase, Presence, Stage
from reconciler.render import json
from reconciler.render.look import STATUS, Look, length, rfc3339, window_of
from reconciler.render.safe import clean
from reconciler.render.schemas import STATUS_KEYS
from reconciler.render.tables import pairs, table

if TYPE_CHECKING:
    from reconciler.cli._context import Scene


@click.command(short_help="Show what is declared and live, with stage and countdown.")
@click.argument("what", metavar="[KIND[/NAME]]", required=False, shell_complete=_flags.addresses)
@click.option("-w", "--watch", is_flag=True, help="Again and again, until Ctrl-C.")
@click.option("--interval", type=click.FloatRange(min=1), default=5.0, show_default=True, metavar="SECONDS", help="How often with --watch.")
def get(what: str | None, watch: bool, interval: float) -> int:
    """Show every object of a kind, or one: its stage at the vendor, when it is on air, and how long until then.

    \b
      reconciler get
      reconciler get RelayTask
      reconciler get RelayTask/morning-news -o json
      reconciler get RecordingSession --watch
    """
    from reconciler.cli._context import Scene

    run = session()
    run.formats("name")
    scene = Scene(run)
    kind, address = _asked(what, scene)
    engine = scene.engine(writes=False)
    wish = Wish(targets=(str(address),) if address else (), allow_on_air=("*",))  # a look touches nothing: no guard need stop it
    while True:
        made = scene.plan(engine, wish)
        rows = [one for one in made.changes if not kind or one.address.kind == kind]
        if address and not rows:
            raise UsageError(f"{address} is neither declared nor remembered", next_step=f"reconciler get {address.kind}")
        _show_status(run, rows, made.generated_at)
        if not watch:
            return 0
        run.out("")
        scene.clock.sleep(interval)


def _asked(what: str | None, scene: Scene) -> tuple[str, Address | None]:
    from reconciler.cli.manifests import known_kind

    if not what:
        return "", None
    name, slash, rest = what.partition("/")
    kind = str(known_kind(name, scene.kinds).name)
    return kind, address_of(f"{kind}/{rest}") if slash else None


def _show_status(run: Session, rows: list[Change], now: datetime) -> None:
    if run.json:
        run.document({"format_version": json.FORMAT_VERSION, "at": rfc3339(now), "objects": [_status_document(one, now) for one in rows]})
    elif run.given.output == "name":
        run.out([clean(one.address) for one in rows])
    else:
        look = run.look()
        if not rows:
            run.out("Nothing is declared, and nothing is remembered.")
        elif len(rows) == 1 and look.verbosity > 0:
            run.out(pairs(_detail(rows[0], now, look), look))
        else:
            heads = ("ADDRESS", "STAGE", "ON AIR", "COUNTDOWN", "STATUS", "ID")
            run.out(table(heads, (_row(one, now, look) for one in rows), look))


def _row(one: Change, now: datetime, look: Look) -> tuple[str, ...]:
    window = window_of(one)
    return (
        str(one.address),
        _stage(one),
        look.span(window) if window else "",
        _countdown(one, now),
        STATUS[one.action],
        one.observed.id if one.observed and one.observed.presence is not Presence.ABSENT else "",
    )


def _detail(one: Change, now: datetime, look: Look) -> list[tuple[str, object]]:
    heads = ("address", "stage", "on air", "countdown", "status", "id")
    rows: list[tuple[str, object]] = list(zip(heads, _row(one, now, look), strict=True))
    rows += [
        ("declared at", one.place or ""),
        ("account", one.account),
        ("reason", look.local(one.reason)),
        ("needs", look.local(str(one.needs or ""))),
    ]
    if one.observed and one.observed.detail:
        rows.append(("detail", one.observed.detail))
    return rows


def _stage(one: Change) -> str:
    if one.stage is Stage.ON_AIR:
        return "ON AIR"
    progress = one.observed.progress if one.observed else None
    if one.stage is Stage.MAKING and progress is not None:
        return f"making {progress:.0%}"
    if one.stage is not Stage.NONE:
        return one.stage.value
    return one.observed.presence.value if one.observed else "absent"


def _countdown(one: Change, now: datetime) -> str:
    window = window_of(one)
    if window is None:
        return ""
    if now < window.start:
        return f"begins in {length(window.start - now)}"
    if window.end is None:
        return f"since {length(now - window.start)}"
    return f"ends in {length(window.end - now)}" if now < window.end else f"over for {length(now - window.end)}"


def _status_document(one: Change, now: datetime) -> dict[str, Any]:
    window = window_of(one)
    ahead = window.start if window and now < window.start else window.end if window else None
    document = json.change(one)
    return {name: document[name] for name in STATUS_KEYS} | {
        "presence": one.observed.presence.value if one.observed else "absent",
        "status": STATUS[one.action],
        "progress": one.observed.progress if one.observed else None,
        "seconds_to_boundary": round((ahead - now).total_seconds(), 3) if ahead and ahead > now else None,
        "upcoming": one.phase in (Phase.UPCOMING, Phase.IMMINENT),
        "live": document["before"],
        "declared": document["after"],
    }
