"""init, doctor, completion, version: before the first plan, and when something is odd."""

from __future__ import annotations

import platform
import shlex
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from reconciler import __version__
from reconciler.cli import _flags
from reconciler.cli._session import session
from reconciler.errors import ReconcilerError, UsageError
from reconciler.render.safe import clean, hanging, pad, width
from reconciler.scalars import counted


@click.command(short_help="Write a commented starter project.")
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(file_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Overwrite files that are there.")
def init(folder: Path, force: bool) -> int:
    """Write a starter project: reconciler.yaml, a first manifest, schemas and settings for editors, and a CI example.

    Files that are there already are kept.

    \b
      reconciler init demo
      cd demo
      reconciler validate
    """
    from reconciler.cli._context import RealClock
    from reconciler.cli._starter import starter

    run = session()
    run.formats()
    day = (RealClock(run.env.get("RECONCILER_NOW", "")).now() + timedelta(days=1)).date()
    written: list[str] = []
    kept: list[str] = []
    for name, text in starter(folder.resolve().name, day).items():
        path = folder / name
        if path.exists() and not force:
            kept.append(name)
            continue
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
        except OSError as wrong:
            raise UsageError(f"{path} cannot be written: {wrong.strerror}") from None
        written.append(name)
    if run.json:
        run.document({"folder": str(folder), "written": written, "kept": kept})
        return 0
    run.out([*(f"  + {name}" for name in written), *(f"  = {name}  (kept; --force overwrites it)" for name in kept)])
    there = "" if folder == Path() else f"cd {shlex.quote(str(folder))} && "
    run.out(run.look().next(f"{there}reconciler validate"))
    return 0


@click.command(short_help="Check credentials, reachability, clock and versions.")
@_flags.path
@click.option("--offline", is_flag=True, help="Call no vendor.")
def doctor(path: str, offline: bool) -> int:
    """Check what could be wrong outside the manifests: where credentials come from and whether they work, the way to each
    vendor, this machine's clock, versions. Every vendor that the manifests use is called once, with a read.

    \b
      reconciler doctor
      reconciler doctor --offline -o json
    """
    from reconciler import doctor as checks
    from reconciler.cli._context import Scene
    from reconciler.render.json import FORMAT_VERSION

    run = session()
    run.formats()
    found = list(checks.machine())
    scene: Scene | None = None
    try:
        scene = Scene(run, path)
        project = scene.project
        where = "reconciler.yaml" if project.file else "no reconciler.yaml, defaults hold"
        found.append(checks.Check("project", checks.Status.OK, f"{project.root} ({where}), workspace {project.workspace}"))
        broken = len(scene.loaded.errors)
        status = checks.Status.WARN if broken else checks.Status.OK
        said = f"{counted(len(scene.loaded.desired), 'resource')} in {counted(scene.loaded.files, 'file')}"
        said += f", {counted(broken, 'mistake')}" if broken else ""
        found.append(checks.Check("manifests", status, said, "reconciler validate" if broken else ""))
        ledger = scene.ledger(create=False)
        found.append(checks.Check("ledger", checks.Status.OK, f"{len(ledger.entries())} owned, {len(ledger.open_intents())} unsettled"))
    except ReconcilerError as wrong:
        found.append(checks.Check("project", checks.Status.FAIL, wrong.message, wrong.next_step, wrong.exit_code))
    if scene is not None and not offline:
        kinds = scene.kinds
        used = {(want.account, kind.vendor) for want in scene.loaded.desired if (kind := kinds.get(want.address.kind))}
        wanted = used or {("default", kind.vendor) for kind in kinds}
        found += checks.vendors(wanted, scene.accounts(), run.env, home=Path.home(), clock=scene.clock)
    code = checks.exit_code(found)
    if run.json:
        run.document(
            {
                "format_version": FORMAT_VERSION,
                "ok": code == 0,
                "exit_code": code,
                "checks": [{"name": one.name, "status": one.status.value, "detail": one.detail, "next": one.next_step} for one in found],
            }
        )
        return code
    look = run.look()
    color = {"ok": "green", "warn": "yellow", "fail": "red"}
    lines = []
    size = min(max(width(one.name) for one in found), 30 if look.width and look.width < 110 else 60)
    for one in found:
        head = look.paint(f"{one.status.value:<6}", color[one.status.value]) + pad(clean(one.name), size) + "  "
        if width(one.name) > size:
            lines.append(head.rstrip())
            head = " " * (size + 8)
        lines += hanging(head, clean(one.detail), look.width, indent=size + 8)
        if one.status is not checks.Status.OK and one.next_step:
            lines.append(f"      = help: {clean(one.next_step)}")
    run.out(lines)
    if code:
        run.next(next(one.next_step for one in found if one.status is checks.Status.FAIL))
    return code


@click.command(short_help="Print the completion script of a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> int:
    """Print the script that completes commands, flags and addresses in a shell.

    \b
      bash   reconciler completion bash \\
               > ~/.local/share/bash-completion/completions/reconciler
      zsh    reconciler completion zsh > "${fpath[1]}/_reconciler"
      fish   reconciler completion fish \\
               > ~/.config/fish/completions/reconciler.fish
    """
    from click.shell_completion import get_completion_class

    made = get_completion_class(shell)
    assert made is not None
    root = click.get_current_context().find_root().command
    session().out(made(root, {}, "reconciler", "_RECONCILER_COMPLETE").source())
    return 0


@click.command(short_help="Print versions.")
def version() -> int:
    """Print the version of this program, of Python, of its formats and of the time zone database.

    \b
      reconciler version
      reconciler version -o json
    """
    run = session()
    run.formats()
    if not run.json and not run.given.verbose:
        run.out(f"reconciler {__version__}")
        return 0
    facts = _versions()
    if run.json:
        run.document(facts)
    else:
        run.out([f"{pad(name, 16)} {value}" for name, value in facts.items()])
    return 0


def _versions() -> dict[str, Any]:
    from reconciler import schedule
    from reconciler.render.json import FORMAT_VERSION

    return {
        "reconciler": __version__,
        "format_version": FORMAT_VERSION,
        "api_version": "broadcast.reconciler/v1",
        "python": platform.python_version(),
        "platform": platform.system(),
        "tzdata": schedule.tzdata_version(),
    }
