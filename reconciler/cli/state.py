"""state, import, history, force-unlock: what the ledger remembers, and what it is made to remember."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli import _flags
from reconciler.cli._session import Session, session
from reconciler.cli._wish import address_of
from reconciler.errors import DamagedLedger, ReconcilerError, UsageError
from reconciler.mistakes import did_you_mean
from reconciler.model import Address, Entry
from reconciler.render import json
from reconciler.render.look import Look, rfc3339
from reconciler.render.safe import clean, hanging
from reconciler.render.tables import pairs, table
from reconciler.scalars import counted

if TYPE_CHECKING:
    from reconciler.cli._context import Scene
    from reconciler.ledger import Ledger


def _opened(*, create: bool = False) -> tuple[Session, Scene, Ledger]:
    from reconciler.cli._context import Scene

    run = session()
    run.formats()
    scene = Scene(run)
    return run, scene, scene.ledger(create=create)


@click.group(short_help="List, show, move and forget what the ledger remembers.")
def state() -> None:
    """What this workspace owns, as the ledger remembers it. Only rebuild calls a vendor.

    \b
      reconciler state list
      reconciler state show RelayTask/morning-news
      reconciler state mv RelayTask/morning RelayTask/morning-news
      reconciler state rm RelayTask/handed-over
      reconciler state rebuild
    """


@state.command("list", short_help="Every object this workspace owns.")
def state_list() -> int:
    """List every object this workspace owns, and every write whose result is unknown.

    \b
      reconciler state list
      reconciler state list -o json
    """
    run, _, ledger = _opened()
    entries = [entry for _, entry in sorted(ledger.entries().items())]
    intents = ledger.open_intents()
    if run.json:
        run.document(
            {
                "format_version": json.FORMAT_VERSION,
                "workspace": run.workspace,
                "lineage": ledger.lineage,
                "serial": ledger.serial,
                "entries": [_document(entry) for entry in entries],
                "unsettled": [
                    {"address": str(one.address), "action": one.action, "sent": rfc3339(one.sent), "horizon": rfc3339(one.horizon)}
                    for one in intents
                ],
            }
        )
        return 0
    look = run.look()
    if not entries and not intents:
        run.out(f"Workspace {clean(run.workspace)} owns nothing.")
        return 0
    rows = [(entry.address, entry.id, entry.account, _when(entry, look), _marks(entry)) for entry in entries]
    if rows:
        run.out(table(("ADDRESS", "ID", "ACCOUNT", "ON AIR", "MARKS"), rows, look))
    for one in intents:
        run.out(f"! {clean(one.address)}  {clean(one.action)} sent {look.instant(one.sent)}, result unknown")
    run.out(f"{len(entries)} owned by workspace {clean(run.workspace)}, serial {ledger.serial}.")
    return 0


@state.command("show", short_help="One object, in full.")
@click.argument("address", metavar="ADDR", shell_complete=_flags.addresses)
def state_show(address: str) -> int:
    """Show all that is remembered of one object; secrets as fingerprints.

    \b
      reconciler state show RelayTask/morning-news
    """
    where = address_of(address)
    run, _, ledger = _opened()
    entry = _entry(ledger, where)
    if run.json:
        run.document({"format_version": json.FORMAT_VERSION, **_document(entry)})
        return 0
    look = run.look()
    rows: list[tuple[str, object]] = [
        ("address", entry.address),
        ("id", entry.id),
        ("account", entry.account),
        ("identity", entry.identity),
        ("incarnation", entry.incarnation),
        ("replaces", entry.former.id if entry.former else ""),
        ("on air", _when(entry, look)),
        ("changed", look.instant(entry.changed) if entry.changed else ""),
        ("marks", _marks(entry)),
        ("depends on", ", ".join(map(str, entry.depends_on))),
    ]
    lines = pairs(rows, look)
    for key, value in look.told(entry.applied or {}, where.kind, "spec").items():
        lines += hanging(f"  {clean(key)}: ", look.value(value), look.width, indent=6)
    run.out(lines)
    return 0


@state.command("mv", short_help="Remember an object under another address.")
@click.argument("old", metavar="ADDR", shell_complete=_flags.addresses)
@click.argument("new", metavar="NEW")
def state_mv(old: str, new: str) -> int:
    """Remember an object under another address; nothing happens to the object. In manifests, metadata.renamedFrom does it.

    \b
      reconciler state mv RelayTask/morning RelayTask/morning-news
    """
    here, there = address_of(old), address_of(new)
    if here.kind != there.kind:
        raise UsageError(f"{here} cannot become {there}: the kind stays")
    run, scene, ledger = _opened(create=True)
    _settled_entry(ledger, here)
    scene.engine(writes=False, create=True, declared=False).move(here, there)
    return _said(run, f"{here} is now {there}.", moved=str(here), to=str(there))


@state.command("rm", short_help="Forget an object; it stays at the vendor.")
@click.argument("addresses", metavar="ADDR...", nargs=-1, required=True, shell_complete=_flags.addresses)
def state_rm(addresses: tuple[str, ...]) -> int:
    """Forget objects. They stay live at the vendor and are no longer ours: no plan will touch them.

    \b
      reconciler state rm RelayTask/handed-over
    """
    names = [address_of(one) for one in addresses]
    run, scene, ledger = _opened(create=True)
    for name in names:
        _settled_entry(ledger, name)
    scene.engine(writes=False, create=True, declared=False).forget(names)
    return _said(run, f"Forgotten: {', '.join(map(str, names))}. Nothing was deleted.", forgotten=[str(name) for name in names])


@state.command("rebuild", short_help="Derive a lost ledger from manifests and live.")
@_flags.allow_env
def state_rebuild(allow_env: tuple[str, ...]) -> int:
    """Derive a ledger that was lost: what carries our mark, or is to the letter what a manifest declares, is ours again.

    Nothing changes at the vendors, and what the ledger still knows stays as it is. A damaged one is set aside first, under another
    name. The only command here that calls a vendor.

    \b
      reconciler state rebuild
      reconciler plan
    """
    from reconciler.cli._context import Scene

    run = session()
    run.formats()
    scene = Scene(run, allow_env=allow_env)
    try:
        made, changes = scene.engine(writes=False, create=True).rebuild()
    except DamagedLedger as damaged:
        _set_aside(run, scene, damaged)
        made, changes = Scene(run, allow_env=allow_env).engine(writes=False, create=True).rebuild()
    differ = [str(one.address) for one in changes if one.changes]
    if run.json:
        run.document({"format_version": json.FORMAT_VERSION, "rebuilt": [_document(entry) for entry in made], "differ": differ})
        return 0
    run.out([f"= {clean(entry.address)}  id {clean(entry.id)}{', over' if entry.ended else ''}" for entry in made])
    run.out(f"{counted(len(made), 'object')} taken in again; {len(differ) or 'none'} to be changed{' or not found' if differ else ''}.")
    run.next("reconciler plan", level="info")
    return 0


def _set_aside(run: Session, scene: Scene, damaged: DamagedLedger) -> None:
    """Makes room for a new ledger, when there are manifests to derive it from. Raises `damaged` for what is no file."""
    if "://" in scene.project.state:
        damaged.next_step = "reconciler doctor"
        raise damaged
    from reconciler.ledger.sqlite import set_aside

    _ = scene.wanted  # wrong manifests are told of first
    run.note(f"the damaged ledger is kept as {set_aside(scene.project.root / scene.project.state)}")


def _entry(ledger: Ledger, address: Address) -> Entry:
    entry = ledger.entry(address)
    if entry is None:
        near = did_you_mean(str(address), map(str, ledger.entries()))
        raise NotRemembered(f"{address} is not in the ledger{f'; {near}' if near else ''}", next_step="reconciler state list")
    return entry


def _settled_entry(ledger: Ledger, address: Address) -> Entry:
    from reconciler.engine import refuse_unsettled

    refuse_unsettled(ledger, address)  # it may be one that no entry tells of yet
    return _entry(ledger, address)


class NotRemembered(ReconcilerError):
    exit_code = 1


def _said(run: Session, text: str, **facts: Any) -> int:
    if run.json:
        run.document({"format_version": json.FORMAT_VERSION, **facts})
    else:
        run.out(clean(text))
    return 0


def _when(entry: Entry, look: Look) -> str:
    return look.span(entry.window) if entry.window else ""


def _marks(entry: Entry) -> str:
    marks = (("ended", entry.ended), ("protect", entry.protect), ("retain", entry.retain))
    return ", ".join(name for name, set_ in marks if set_)


def _document(entry: Entry) -> dict[str, Any]:
    """An entry of the ledger as JSON."""
    return {
        "address": str(entry.address),
        "account": entry.account,
        "id": entry.id,
        "identity": entry.identity,
        "incarnation": entry.incarnation,
        "replaces": entry.former.id if entry.former else None,
        "window": json.window(entry.window),
        "started": rfc3339(entry.started) if entry.started else None,
        "changed": rfc3339(entry.changed) if entry.changed else None,
        "ended": entry.ended,
        "protect": entry.protect,
        "retain": entry.retain,
        "on_air_change": entry.on_air_change.value,
        "depends_on": [str(one) for one in entry.depends_on],
        "applied": json.plain(entry.applied) if entry.applied is not None else None,
    }


@click.command("import", short_help="Adopt a live object under a declared address.")
@click.argument("address", metavar="ADDR", shell_complete=_flags.addresses)
@click.argument("id", metavar="[ID]", default="", required=False)
@_flags.allow_env
def import_(address: str, id: str, allow_env: tuple[str, ...]) -> int:
    """Adopt a live object: it goes into the ledger under ADDR, which must be declared. Nothing changes at the vendor.

    Without ID the only object that looks like the declared one is taken. The next plan shows what differs.

    \b
      reconciler import RelayTask/morning-news
      reconciler import RelayTask/morning-news 4f2c8f0e
      reconciler plan
    """
    from reconciler.cli._context import Scene

    run = session()
    run.formats()
    scene = Scene(run, allow_env=allow_env)
    where = address_of(address)
    entry = scene.engine(writes=False, create=True).adopt(where, id)
    if run.json:
        run.document({"format_version": json.FORMAT_VERSION, "adopted": _document(entry)})
    else:
        run.out(f"= {clean(entry.address)}  adopted, id {clean(entry.id)}")
        run.next("reconciler plan", level="info")
    return 0


@click.command(short_help="Show past applies.")
@click.argument("which", metavar="[RUN | PLAN]", required=False)
@click.option("-n", "--limit", type=click.IntRange(1, 1000), metavar="N", default=20, show_default=True, help="How many.")
def history(which: str | None, limit: int) -> int:
    """Show past applies, newest first: when, who, and what became of them; or one of them in full.

    \b
      reconciler history
      reconciler history 77d0b2
    """
    run, _, ledger = _opened()
    runs = ledger.history(1000 if which else limit)
    if which:
        runs = [one for one in runs if str(one.get("run", "")).startswith(which) or str(one.get("plan", "")).startswith(which)]
        if not runs:
            raise NotRemembered(f"no apply {which} is in the history", next_step="reconciler history")
    if run.json:
        run.document({"format_version": json.FORMAT_VERSION, "runs": json.plain(runs)})
        return 0
    look = run.look()
    if not runs:
        run.out("Nothing was applied yet.")
        return 0
    rows = [
        (_at(one, look), one.get("run", ""), str(one.get("plan", ""))[:6], one.get("who", ""), one.get("exit", ""), _results(one))
        for one in runs
    ]
    run.out(table(("WHEN", "RUN", "PLAN", "WHO", "EXIT", "RESULTS"), rows, look))
    if which:
        told = [
            (
                item.get("outcome", ""),
                item.get("action", ""),
                item.get("address", ""),
                item.get("request_id", ""),
                item.get("message", ""),
            )
            for one in runs
            for item in one.get("results", ())
        ]
        if told:
            run.out(["", *table(("OUTCOME", "ACTION", "ADDRESS", "REQUEST", "MESSAGE"), told, look)])
    return 0


def _at(run: dict[str, Any], look: Look) -> str:
    when = run.get("at", "")
    try:
        return look.instant(when if isinstance(when, datetime) else datetime.fromisoformat(str(when)))
    except ValueError:
        return str(when)


def _results(run: dict[str, Any]) -> str:
    count: dict[str, int] = {}
    for one in run.get("results", ()):
        count[one.get("outcome", "")] = count.get(one.get("outcome", ""), 0) + 1
    return ", ".join(f"{number} {name}" for name, number in count.items()) or "nothing to do"


@click.command("force-unlock", short_help="Free the lock of a run that died elsewhere.")
@_flags.auto_approve
def force_unlock(auto_approve: bool) -> int:
    """Free the workspace's lock. Whoever held it can no longer write here, but a request on its way still may arrive.

    The lock of a process that died on this machine frees itself; so does any other when its lease runs out.

    \b
      reconciler force-unlock
    """
    run, _, ledger = _opened(create=True)
    held = ledger.held()
    if held is None:
        return _said(run, "Nobody holds the lock.", held=None)
    run.note(f"The lock is held by {clean(held)}")
    if ledger.busy():
        run.note("Its holder was at work within the last minute. Unless you know that it is gone, wait: --lock-timeout 5m.")
    if not auto_approve and not run.confirmed("Take it away? Only 'yes' does:", "yes"):
        run.error("Nothing was changed.")
        run.next("reconciler force-unlock")
        return 1
    gone = ledger.force_unlock()
    _said(run, f"Freed: {gone or held}.", held=str(gone or held))
    run.next("reconciler refresh", level="info")
    return 0
