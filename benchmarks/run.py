"""Measures reconciler beside its peers, as whole processes, and prints the table of goals.

    make bench                                   every goal; about half an hour
    python benchmarks/run.py --quick             100 and 1,000 resources, one round
    python benchmarks/run.py --sizes 10000 --rounds 3 --only plan

Peers take turns within a round, so that a busy machine hits all of them; each figure is the median of the rounds. CPU is user + system
time of the process, memory its peak resident set. This program itself stays small, because a child's peak begins with its parent's size.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
DATA = HERE / "data"
PEERS = DATA / "peers" / "bin"
HOME = DATA / "ours" / "bin"
PYTHON, OURS = HOME / "python", HOME / "reconciler"
LATENCY = 0.1  # seconds there and back
RATE = 15  # list calls a second
PAGE = 500

KEYS = {"VOLCENGINE_ACCESS_KEY": "AKLTEMULATOR", "VOLCENGINE_SECRET_KEY": "emulator-secret"}
CLEAN = {name: os.environ[name] for name in ("HOME", "PATH", "LANG", "TMPDIR") if name in os.environ}
OUR_ENV = {**CLEAN, **KEYS, "XDG_CACHE_HOME": str(DATA / "home")}


# --- one process ------------------------------------------------------------------------------------------------------


class Cost(NamedTuple):
    """CPU and wall time in seconds, peak memory in MB."""

    cpu: float
    wall: float
    memory: float


def measured(command: Sequence[str | Path], *, says: str, folder: Path = HERE, env: dict[str, str] = OUR_ENV) -> Cost:
    """Runs a command that must succeed and print `says`."""
    with tempfile.TemporaryFile() as out:
        began = time.monotonic()
        process = subprocess.Popen([str(part) for part in command], cwd=folder, env=env, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        text = out.read().decode(errors="replace")
    if process.returncode or says not in text:
        sys.exit(f"{' '.join(map(str, command))} in {folder} ended with {process.returncode}, and should say {says!r}:\n{text[-2000:]}")
    return Cost(used.ru_utime + used.ru_stime, wall, used.ru_maxrss / 1024)


class Runner(NamedTuple):
    """One thing to measure."""

    name: str
    run: Callable[[], Cost]


def compared(runners: Sequence[Runner], rounds: int, *, warm_up: bool = True) -> dict[str, Cost]:
    """The median of each, taking turns."""
    seen: dict[str, list[Cost]] = {runner.name: [] for runner in runners}
    for number in range(-1 if warm_up else 0, rounds):
        for runner in runners:
            cost = runner.run()
            if number >= 0:
                seen[runner.name].append(cost)
    return {name: Cost(*(statistics.median(column) for column in zip(*costs, strict=True))) for name, costs in seen.items()}


# --- the table --------------------------------------------------------------------------------------------------------


class Table:
    """Figures as they come, and the goals at the end."""

    def __init__(self) -> None:
        self.goals: list[tuple[str, str, str, str]] = []

    def figures(self, title: str, costs: dict[str, Cost]) -> None:
        print(f"\n{title}\n| | CPU s | wall s | MB |\n| --- | --- | --- | --- |")
        for name, cost in costs.items():
            print(f"| {name} | {cost.cpu:.3f} | {cost.wall:.3f} | {cost.memory:.0f} |")
        sys.stdout.flush()

    def goal(self, work: str, value: float, limit: float, form: str = "{:.2f}") -> None:
        verdict = "yes" if value <= limit else "**no**"
        self.goals.append((work, form.format(value), form.format(limit), verdict))

    def show(self) -> None:
        print("\n| work | measured | goal, at most | reached |\n| --- | --- | --- | --- |")
        for row in self.goals:
            print(f"| {' | '.join(row)} |")


# --- what is needed ---------------------------------------------------------------------------------------------------


def prepare() -> None:
    """Both sides as their users have them: installed, each in an environment of its own, and nothing else there."""
    DATA.mkdir(exist_ok=True)
    product = f"{HERE.parent}[emulator]"
    for place, packages in ((PEERS, ["octodns", "volcengine", "PyYAML"]), (HOME, [product])):
        if not (place / "python").exists():
            subprocess.run([sys.executable, "-m", "venv", place.parent], check=True)
            subprocess.run([place / "pip", "install", "--quiet", *packages], check=True)
    again = ["--quiet", "--no-deps", "--force-reinstall", HERE.parent]  # as it stands now, and not to be changed while it is measured
    subprocess.run([HOME / "pip", "install", *again], check=True)
    subprocess.run([OURS, "--help"], check=True, stdout=subprocess.DEVNULL)


def world(count: int, *flags: str) -> Path:
    """The folder with the data for so many resources."""
    folder = DATA / "-".join([*(flag.strip("-") for flag in flags), str(count)])
    subprocess.run([PYTHON, HERE / "world.py", folder, str(count), *flags], env=OUR_ENV, check=True)
    return folder


@contextmanager
def emulator(folder: Path, *switches: str) -> Iterator[str]:
    """`HOST:PORT` of the vendors, holding a folder's live objects."""
    command = [OURS, "emulator", "--port", "0", *(part for switch in switches for part in ("--switch", switch))]
    if (folder / "emulator.json").exists():
        command += ["--data", folder / "emulator.json"]
    process = subprocess.Popen(command, env=OUR_ENV, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout
        yield process.stdout.readline().strip().removeprefix("http://")
    finally:
        process.send_signal(signal.SIGKILL)  # what it holds is made anew
        process.wait()


@contextmanager
def far_away(address: str) -> Iterator[str]:
    command = [sys.executable, HERE / "far_away.py", address, str(LATENCY)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()


def endpoints(address: str) -> dict[str, str]:
    return {**OUR_ENV, "RECONCILER_LIVE_ENDPOINT": f"http://{address}", "RECONCILER_RTC_ENDPOINT": f"http://{address}"}


def ours(folder: Path, *words: str, says: str, address: str = "127.0.0.1:9") -> Callable[[], Cost]:
    return lambda: measured([OURS, *words], says=says, folder=folder / "project", env=endpoints(address))


def script(folder: Path, address: str, count: int) -> Callable[[], Cost]:
    command = [PEERS / "python", HERE / "sdk_script.py", folder / "project" / "manifests", address]
    return lambda: measured(command, says=f"{count} declared, {count} live, 0 changes", env=CLEAN)


# --- what is measured -------------------------------------------------------------------------------------------------


def starting(table: Table, rounds: int) -> None:
    one = world(1)
    valid = DATA / "1" / "octodns" / "config.yaml"
    runners = [
        Runner("bare Python", lambda: measured([PYTHON, "-c", "print(1)"], says="1")),
        Runner("--help", lambda: measured([OURS, "--help"], says="Commands")),
        Runner("octodns-sync --help", lambda: measured([PEERS / "octodns-sync", "--help"], says="usage", env=CLEAN)),
        Runner("validate, one file", ours(one, "validate", says="Valid: 1 resource")),
        Runner(
            "octodns-validate, one record",
            lambda: measured([PEERS / "octodns-validate", "--config-file", valid.name], says="", folder=valid.parent, env=CLEAN),
        ),
    ]
    costs = compared(runners, 3 * rounds)
    table.figures("Starting", costs)
    table.goal("`--help`, CPU : octodns-sync --help", costs["--help"].cpu / costs["octodns-sync --help"].cpu, 0.6)
    table.goal("`--help`, CPU : bare Python", costs["--help"].cpu / costs["bare Python"].cpu, 4.5)
    peer = costs["octodns-validate, one record"]
    table.goal("`validate` of one file, CPU : octodns-validate", costs["validate, one file"].cpu / peer.cpu, 1.1)


def planning(table: Table, sizes: Sequence[int], rounds: int) -> None:
    """No-change plans against an emulator without rate limits, and validation."""
    cpu: dict[int, float] = {}
    for count in sizes:
        folder = world(count)
        times = max(1, rounds if count <= 10_000 else rounds // 2)
        with emulator(folder, "live.rate_limits=off") as address:
            plan = ours(folder, "plan", says=f"{count} unchanged", address=address)
            valid = ours(folder, "validate", says=f"Valid: {count} resources")
            runners = [
                Runner("validate", valid),
                Runner("plan", plan),
                Runner("SDK script", script(folder, address, count)),
                Runner(
                    "octoDNS",
                    lambda folder=folder: measured(  # type: ignore[misc]
                        [PEERS / "octodns-sync", "--config-file", "config.yaml"],
                        says="No changes", folder=folder / "octodns", env=CLEAN,
                    ),
                ),
            ]  # fmt: skip
            costs = compared(runners, times, warm_up=count <= 10_000)
        table.figures(f"{count:,} resources, nothing to change ({times} rounds)", costs)
        cpu[count] = costs["plan"].cpu
        if count < 10_000:
            continue
        peer, other = costs["SDK script"], costs["octoDNS"]
        title = f"plan of {count:,}"
        table.goal(f"{title}, CPU : SDK script", costs["plan"].cpu / peer.cpu, 1.0)
        table.goal(f"{title}, CPU : octoDNS", costs["plan"].cpu / other.cpu, 0.35 if count < 100_000 else 0.3)
        table.goal(f"{title}, the second time, CPU : SDK script", costs["plan"].cpu / peer.cpu, 0.25)
        table.goal(f"{title}, MB", costs["plan"].memory, 60 + count / 1000 + (10 if count < 100_000 else 0), "{:.0f}")
    if len(cpu) > 1 and max(cpu) >= 10_000:
        first, last = sorted(cpu)[-2:]
        if len(cpu) > 2:
            first = sorted(cpu)[-3]
        start = cpu[min(cpu)] if min(cpu) < first else 0.0
        slope = math.log((cpu[last] - start) / (cpu[first] - start)) / math.log(last / first)
        table.goal(f"growth of CPU from {first:,} to {last:,}, start-up left out: exponent", slope, 1.05)


def planning_from_afar(table: Table, sizes: Sequence[int], rounds: int) -> None:
    """With 100 ms there and back, and the vendor's 15 list calls a second."""
    for count in sizes:
        if count < 10_000:
            continue
        folder = world(count)
        floor = (math.ceil(count / PAGE) - 1) / RATE + LATENCY
        with emulator(folder, "live.rate_limits=on") as near:
            ours(folder, "plan", says=f"{count} unchanged", address=near)()  # wakes the emulator up
            with far_away(near) as address:
                plan = ours(folder, "plan", says=f"{count} unchanged", address=address)
                runners = [
                    Runner("plan", plan),
                    Runner("SDK script", script(folder, address, count)),
                ]
                costs = compared(runners, rounds if count < 100_000 else 1, warm_up=False)
        table.figures(f"{count:,} resources, 100 ms away, 15 calls/s; floor {floor:.2f} s", costs)
        wall, peer = costs["plan"].wall, costs["SDK script"].wall
        if count < 100_000:
            table.goal(f"plan of {count:,} from afar, wall s above the floor", wall - floor, 0.7)
        else:
            table.goal(f"plan of {count:,} from afar, wall : floor", wall / floor, 1.15)
        table.goal(f"plan of {count:,} from afar, wall : SDK script", wall / peer, 0.6 if count < 100_000 else 0.45)


def applying(table: Table, relays: int, sessions: int) -> None:
    """New objects at the vendors' write rates; the emulator's log is the witness."""
    for count, rate, action, flags in ((relays, 10, "CreatePullToPushTask", ()), (sessions, 60, "StartRecord", ("--rtc",))):
        folder = world(count, "--new", *flags)
        with emulator(folder, "live.rate_limits=on", "rtc.rate_limits=on") as address:
            says = f"complete: {count} "
            cost = ours(folder, "apply", "--auto-approve", "--no-wait", says=says, address=address)()
            with urllib.request.urlopen(f"http://{address}/_emulator/log") as answer:
                log = json.load(answer)
        calls = [call for call in log if call["action"] == action]
        instants = sorted(call["at"] for call in calls if call["status"] == 200)  # in milliseconds
        refused = sum(call["status"] != 200 for call in calls)
        assert len(instants) == count
        busiest = max(sum(later - first < 1000 for later in instants[at : at + 2 * rate]) for at, first in enumerate(instants))
        span, floor = (instants[-1] - instants[0]) / 1000, (count - 1) / rate
        table.figures(f"Apply of {count:,} {action} at {rate}/s; floor {floor:.1f} s, took {span:.2f} s", {"apply": cost})
        print(f"\n{refused} calls throttled; {busiest} calls in the busiest second; {1000 * cost.cpu / count:.1f} ms CPU a resource")
        table.goal(f"apply of {count:,} at {rate}/s, span of the calls : floor", span / floor, 1.02, "{:.4f}")
        table.goal(f"apply of {count:,} at {rate}/s, calls in the busiest second", busiest, rate, "{:.0f}")


JOURNAL = """
import statistics, sys, tempfile, time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from reconciler.cli._context import RealClock
from reconciler.ledger import open_ledger
from reconciler.model import Address, Entry, Intent, Url, Verb, Window

folder, now, took = Path(sys.argv[1]), datetime.now(UTC), []
values = {"source": {"url": Url("http://pull.example.com/live/a.flv")}, "destination": {"url": Url("rtmp://push.example.com/live/a")}}
ledger = open_ledger("state.db", root=folder, workspace="benchmark", clock=RealClock(), create=True)
with ledger.acquire("benchmark", timeout=0) as lease:
    for n in range(1000):
        address = Address("RelayTask", f"relay-{n}")
        applied = ledger.seal_values(values)
        intent = Intent(ledger.new_id(), address, "default", Verb.CREATE, "CreatePullToPushTask", "default/a", 1, now,
                        now + timedelta(seconds=75), desired=applied, window=Window(now, now))
        entry = Entry(address, "default", f"{n:032x}", "default/a", applied=applied, window=Window(now, now), changed=now)
        began = time.perf_counter()
        ledger.begin(lease, intent)
        ledger.confirm(lease, intent.id, entry=entry)
        took.append(1000 * (time.perf_counter() - began))
ledger.close()
took.sort()
print(statistics.median(took), took[990])
"""


def journalling(table: Table) -> None:
    """One write is two commits: the intent before it is sent, its outcome after."""
    with tempfile.TemporaryDirectory(dir=DATA) as folder:
        done = subprocess.run([PYTHON, "-c", JOURNAL, folder], env=OUR_ENV, check=True, capture_output=True, text=True)
    median, late = map(float, done.stdout.split())
    print(f"\nJournal: {median:.2f} ms a write in the median, {late:.2f} ms in the slowest hundredth")
    table.goal("journal, ms a write (two commits)", median, 2.0)


# --- the whole --------------------------------------------------------------------------------------------------------

PARTS = ("start", "plan", "far", "apply", "journal")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="", metavar="N,N", help="how many resources; 100,1000,10000,100000")
    parser.add_argument("--rounds", type=int, default=0, help="how often; 3")
    parser.add_argument("--quick", action="store_true", help="100 and 1,000 resources, one round, short applies")
    parser.add_argument("--only", default=",".join(PARTS), metavar="PART,PART", help=f"of {', '.join(PARTS)}")
    asked = parser.parse_args()
    sizes = [int(size) for size in (asked.sizes or ("100,1000" if asked.quick else "100,1000,10000,100000")).split(",")]
    rounds = asked.rounds or (1 if asked.quick else 3)
    parts: dict[str, Callable[[Table], Any]] = {
        "start": lambda table: starting(table, rounds),
        "plan": lambda table: planning(table, sizes, rounds),
        "far": lambda table: planning_from_afar(table, sizes, rounds),
        "apply": lambda table: applying(table, *((50, 120) if asked.quick else (1000, 300))),
        "journal": journalling,
    }
    prepare()
    table = Table()
    for name in asked.only.split(","):
        parts[name](table)
    table.show()


if __name__ == "__main__":
    main()
