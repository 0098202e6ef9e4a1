"""import: a live object that is not ours becomes ours."""

from __future__ import annotations

import click

from reconciler.cli import _flags
from reconciler.cli._session import session
from reconciler.cli._wish import address_of
from reconciler.render import json
from reconciler.render.safe import clean


@click.command("import", short_help="Adopt a live object under a declared address.")
@click.argument("address", metavar="ADDR", shell_complete=_flags.addresses)
@click.argument("id", metavar="[ID]", default="", required=False)
@click.option("--allow-env", multiple=True, metavar="PATTERN", help="Manifests may read these variables only; repeatable.")
def import_(address: str, id: str, allow_env: tuple[str, ...]) -> int:
    """Adopt a live object: it goes into the ledger under ADDR, which must be declared. Nothing changes at the vendor.

    Without ID the only object that looks like the declared one is taken. The next plan shows what differs.

    \b
      reconciler import RelayTask/morning-news
      reconciler import RelayTask/morning-news 4f2c8f0e
      reconciler plan
    """
    from reconciler.cli._context import Scene
    from reconciler.cli.inspect import entry_document

    run = session()
    run.formats()
    scene = Scene(run, allow_env=allow_env)
    where = address_of(address)
    entry = scene.engine(writes=False, create=True).adopt(where, id)
    if run.json:
        run.document({"format_version": json.FORMAT_VERSION, "adopted": entry_document(entry)})
    else:
        run.out(f"= {clean(entry.address)}  adopted, id {clean(entry.id)}")
        run.next("reconciler plan", level="info")
    return 0
