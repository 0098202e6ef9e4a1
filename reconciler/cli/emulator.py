"""`reconciler emulator`: the vendors' APIs on loopback, to try manifests on before they are real."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any

import click

from reconciler.errors import UsageError

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@click.command(short_help="The vendors' APIs on loopback.")
@click.option("--port", type=click.IntRange(0, 65535), metavar="PORT", default=8099, show_default=True, help="0 takes a free port.")
@click.option("--host", default="127.0.0.1", show_default=True, help="A loopback address; nothing else is allowed.")
@click.option("--data", type=click.Path(dir_okay=False, path_type=Path), help="Keep everything in FILE over restarts.")
@click.option(
    "--seed",
    multiple=True,
    metavar="NAME",
    default=("default",),
    show_default=True,
    help="Start with objects: default (a stream with sessions to clip), demo, corners, many-sessions, tasks-1000; or none. Repeatable.",
)
@click.option("--clock", metavar="TIME", help="Start the emulator's clock at TIME (RFC 3339); it runs on from there.")
@click.option("--switch", "switches", multiple=True, metavar="NAME=VALUE", help="How the vendor behaves. Repeatable.")
@click.option("--access-key", envvar="RECONCILER_EMULATOR_ACCESS_KEY", help="One more Volcengine access key.")
@click.option("--secret-key", envvar="RECONCILER_EMULATOR_SECRET_KEY", help="Its secret.")
@click.option("--livepeer-key", envvar="RECONCILER_EMULATOR_LIVEPEER_KEY", help="One more Livepeer API key.")
def emulator(
    port: int,
    host: str,
    data: Path | None,
    seed: tuple[str, ...],
    clock: str | None,
    switches: tuple[str, ...],
    access_key: str | None,
    secret_key: str | None,
    livepeer_key: str | None,
) -> None:
    """Run Volcengine Live, Volcengine RTC and Livepeer Studio on this machine.

    The first line on standard output is the address, for all three vendors. It checks signatures, limits, rates and
    life cycles as the vendors do; status follows its clock. Nothing leaves the machine, nothing is billed.

    \b
    Try it, in two terminals:
      reconciler emulator --port 8099 --seed demo
      curl -s http://127.0.0.1:8099/_emulator/state

    \b
    Point your project at it with these keys:
      Volcengine  AKLTEMULATOR / emulator-secret
      Livepeer    lp-emulator-key
    or with these, which may only read:
      Volcengine  AKLTREADONLY / emulator-readonly
      Livepeer    lp-readonly-key

    \b
    What nobody has documented is a switch; see them all with their values:
      curl -s http://127.0.0.1:8099/_emulator/switches
      reconciler emulator --switch live.update_semantics=merge

    \b
    Make the next create fail after it took effect, then move the clock:
      curl -X POST http://127.0.0.1:8099/_emulator/faults -d \\
        '[{"action": "CreatePullToPushTask", "when": "after", "fault": "reset"}]'
      curl -X PUT http://127.0.0.1:8099/_emulator/clock -d '{"advance": 3600}'

    It ends on Ctrl-C or SIGTERM; with --data everything is there again next time.
    """
    if host not in _LOOPBACK:
        raise click.UsageError(f"--host {host}: the emulator listens on loopback only; use 127.0.0.1 or ::1")
    if bool(access_key) != bool(secret_key):
        raise click.UsageError("--access-key and --secret-key go together")

    from reconciler.emulator import control
    from reconciler.emulator.core import Clock, World, instant_ms
    from reconciler.emulator.front import Emulator

    try:
        world = World(
            clock=Clock(start_ms=instant_ms(clock)) if clock else None,
            switches=_pairs(switches),
            data_file=data,
            extra_keys=_keys(access_key, secret_key, livepeer_key),
        )
        if data is None or not data.exists():
            for name in seed:
                if name != "none":
                    control.sow(world, name)
    except (ValueError, KeyError, OSError) as mistake:
        raise click.UsageError(str(mistake)) from None

    try:
        from reconciler.emulator import server
    except ImportError as missing:
        raise UsageError(f"the emulator needs a web server: {missing}", next_step="pip install 'broadcast-reconciler[emulator]'") from None

    try:
        bare = server.listen("127.0.0.1" if host == "localhost" else host, port)
    except OSError as mistake:
        raise click.ClickException(f"port {port} cannot be used ({mistake.strerror}); try --port 0") from None
    served = Emulator(world)
    serving = server.server(served)
    for each in (signal.SIGINT, signal.SIGTERM):  # uvicorn raises the signal again when it is done
        signal.signal(each, lambda *_: setattr(serving, "should_exit", True))
    click.echo(server.url_of(bare))
    sys.stdout.flush()
    try:
        serving.run(sockets=[bare])
    finally:
        served.close()


def _keys(access_key: str | None, secret_key: str | None, livepeer_key: str | None) -> dict[str, dict[str, Any]]:
    volcengine = {access_key: {"secret": secret_key, "account": "2100000001"}} if access_key else {}
    return {"volcengine": volcengine, "livepeer": {livepeer_key: {"name": "extra"}} if livepeer_key else {}}


def _pairs(switches: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for each in switches:
        name, equals, value = each.partition("=")
        if not equals or not name:
            raise click.UsageError(f"--switch {each}: write NAME=VALUE, such as live.update_semantics=merge")
        pairs[name] = value
    return pairs
