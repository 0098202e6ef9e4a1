"""A real `reconciler apply` against a real server: killed at its system calls, without disk, frozen while its lock is stolen, interrupted.

Every failure names its point; `tests.crash.ground.replay("relay create sendto 3", folder)` runs it again.
"""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.crash.ground import STRACE, VERBS, Ground, Point, below, ground, injected, killed, manifest, points, stopped
from tests.ledger.conftest import server  # noqa: F401 - a fixture
from tests.scenarios.manifests import KINDS

linux = pytest.mark.skipif(sys.platform != "linux", reason="SIGKILL at system calls, /proc")
needs_strace = pytest.mark.skipif(not STRACE, reason="strace is not installed: apt-get install strace")
pytestmark = linux

SAMPLE = """\
relay create sendto 4
relay create poll 11
relay update pwrite64 30
relay replace recvfrom 4
relay delete fdatasync 6
playlist create recvfrom 3
playlist update sendto 4
playlist replace fdatasync 8
playlist delete pwrite64 25
recording create fdatasync 14
recording update poll 7
recording replace sendto 6
recording delete recvfrom 2
segment create pwrite64 60
segment update recvfrom 3
segment replace poll 20
segment delete sendto 3
clip create sendto 4
clip update fdatasync 6
clip replace pwrite64 45
clip delete recvfrom 2
all create fcntl 60
""".splitlines()
"""One for each kind and verb: at the ledger's writes, and around the request and its answer."""
PIECES = ("recvfrom", "poll", "sendto")
"""How often these are called depends on the pieces in which an answer comes."""


# --- killed -----------------------------------------------------------------------------------------------------------


@needs_strace
@pytest.mark.parametrize("line", SAMPLE)
def test_killed_at_a_system_call(tmp_path: Path, line: str) -> None:
    point = Point.parse(line)
    struck = killed(tmp_path, point)
    assert struck or point.syscall in PIECES, f"{line} is never reached: choose an earlier one"


@pytest.mark.parametrize(("kind", "verb"), [("relay", "create"), ("recording", "replace"), ("clip", "create")])
def test_killed_at_an_instant(tmp_path: Path, kind: str, verb: str) -> None:
    killed_at_an_instant(tmp_path, kind, verb, 0.35)


def test_after_a_kill_the_command_line_alone_brings_it_to_its_end(tmp_path: Path) -> None:
    with ground(tmp_path) as field:
        field.prepare(Point("relay", "create", "", 0))
        late(field, "late:30")
        victim = field.start(field.command("create"))
        until(lambda: asked(field), "asked")
        victim.kill()
        victim.communicate()
        assert field.calls() == ["CreatePullToPushTask"], "it took effect, and nobody was told"
        field.advance(seconds=5)
        done = field.process(field.command("create"))
        assert done.returncode == 0, done.stderr
        done = field.process(field.quietly())
        assert (done.returncode, field.calls()) == (0, ["CreatePullToPushTask"]), done.stdout
        field.check("create")


@needs_strace
@pytest.mark.parametrize("line", ["relay create sendto 6", "recording replace sendto 12", "clip create recvfrom 12"])
def test_killed_with_the_ledger_in_postgres(tmp_path: Path, database: str, line: str) -> None:
    point = Point.parse(line)
    struck = killed(tmp_path, point, state=database)
    assert struck or point.syscall in PIECES, f"{line} is never reached: choose an earlier one"


def killed_at_an_instant(root: Path, kind: str, verb: str, seconds: float, *, state: str = ".reconciler/state.db") -> None:
    with ground(root, state=state) as field:
        field.prepare(Point(kind, verb, "", 0))
        victim = field.start(field.command(verb, parallelism=8))
        try:
            victim.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            victim.kill()
            victim.communicate()
        field.converge(verb)
        field.check(verb)


@pytest.mark.long
@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("kind", [*KINDS, "all"])
def test_a_hundred_kills(tmp_path: Path, kind: str, verb: str) -> None:
    """Of every system call its first, its last and a seeded choice; without strace a hundred seeded instants."""
    hundred_kills(tmp_path, kind, verb, count=90)


@pytest.mark.long
@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("kind", ["relay", "recording", "clip"])
def test_kills_with_the_ledger_in_postgres(tmp_path: Path, database_url: Callable[[], str], kind: str, verb: str) -> None:
    hundred_kills(tmp_path, kind, verb, count=20, state=database_url)


def hundred_kills(root: Path, kind: str, verb: str, *, count: int, state: str | Callable[[], str] = ".reconciler/state.db") -> None:
    chance = random.Random(f"{kind} {verb}")

    def place() -> str:
        return state if isinstance(state, str) else state()

    def folder() -> Path:
        made = root / f"{chance.randrange(1 << 60):x}"
        made.mkdir()
        return made

    if not STRACE:
        for _ in range(count):
            killed_at_an_instant(folder(), kind, verb, chance.uniform(0.05, 1.0), state=place())
        return
    every = points(folder(), kind, verb, state=place())
    chosen = set(chance.sample(every, min(count, len(every))))
    ends = {
        point
        for name, most in Counter(point.syscall for point in every).items()
        for point in every
        if point.syscall == name and point.nth in (1, most)
    }
    chosen = {*ends, *chance.sample(sorted(chosen - ends, key=str), max(0, min(count, len(every)) - len(ends)))}
    struck = sum(killed(folder(), point, state=place()) for point in sorted(chosen, key=str))
    print(f"{kind} {verb}: {struck} of {len(chosen)} points of {len(every)} struck, 0 wrong")
    assert struck >= len(chosen) * 0.8


# --- no room on the disk ----------------------------------------------------------------------------------------------


@needs_strace
@pytest.mark.parametrize(
    ("syscall", "error", "first"),
    [
        ("pwrite64", "ENOSPC", 1),
        ("pwrite64", "ENOSPC", 75),
        ("pwrite64", "ENOSPC", 80),
        ("pwrite64", "ENOSPC", 90),
        ("pwrite64", "EIO", 70),
        ("fdatasync", "ENOSPC", 12),
        ("fdatasync", "EIO", 13),
        ("fsync", "EIO", 1),
    ],
)
def test_without_room_for_the_journal_nothing_is_sent(tmp_path: Path, syscall: str, error: str, first: int) -> None:
    starved(tmp_path, "relay", syscall, error, first)


@pytest.mark.long
@needs_strace
@pytest.mark.parametrize("error", ["ENOSPC", "EIO", "EROFS"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_write_may_be_the_first_that_fails(tmp_path: Path, kind: str, error: str) -> None:
    (tmp_path / "all").mkdir()
    every = [point for point in points(tmp_path / "all", kind, "create") if point.syscall in ("pwrite64", "fdatasync", "ftruncate")]
    for number, point in enumerate(every[:: 1 if error == "ENOSPC" else 5]):
        folder = tmp_path / str(number)
        folder.mkdir()
        starved(folder, kind, point.syscall, error, point.nth)


def starved(root: Path, kind: str, syscall: str, error: str, first: int) -> None:
    """From the `first` such call on every one fails: what reached the vendor was in the journal before, and the words are clear."""
    with ground(root) as field:
        field.prepare(Point(kind, "create", "", 0))
        done = field.process(injected(field.command("create"), syscall, f"error={error}", f"{first}+"))
        assert "a fault of ours" not in done.stderr, (first, done.stderr)
        assert "Traceback" not in done.stderr, (first, done.stderr)
        if done.returncode:
            assert "the ledger" in done.stderr + done.stdout, (first, done.stderr)
        ledger = field.ledger() if (root / ".reconciler" / "state.db").exists() else None
        known = len(ledger.open_intents()) + len(ledger.entries()) if ledger else 0
        assert len(field.calls()) <= known, f"{syscall} {error} {first}: sent, and not in the journal"
        if ledger:
            ledger.close()
        field.converge("create")
        field.check("create")


# --- frozen -----------------------------------------------------------------------------------------------------------


@needs_strace
@pytest.mark.parametrize(
    "line",
    [
        "relay create poll 8",
        "relay create sendto 4",
        "relay create socket 3",
        "recording create sendto 3",
        "segment create connect 3",
        "clip create poll 16",
        "clip create sendto 5",
    ],
)
def test_a_frozen_holder_whose_lock_was_stolen_does_no_harm(tmp_path: Path, line: str) -> None:
    frozen(tmp_path, Point.parse(line))


@pytest.mark.long
@needs_strace
@pytest.mark.parametrize("kind", KINDS)
def test_frozen_anywhere(tmp_path: Path, kind: str) -> None:
    (tmp_path / "all").mkdir()
    every = [
        point for point in points(tmp_path / "all", kind, "create") if point.syscall in ("socket", "connect", "sendto", "recvfrom", "poll")
    ]
    for number, point in enumerate(every):
        (tmp_path / str(number)).mkdir()
        frozen(tmp_path / str(number), point)


def frozen(root: Path, point: Point) -> None:
    """Stopped at a point outside of a transaction (within one, nobody can take the lock); somebody takes the lock, waits until everything has settled, and finishes; then it wakes."""
    with ground(root) as field:
        field.prepare(point)
        moved = root / "ahead"
        moved.write_text("0")
        command = [word if word != "reconciler" else "tests.crash.runner" for word in field.command(point.verb)]
        sleeper = field.start(injected(command, point.syscall, "signal=SIGSTOP", str(point.nth)), TEST_CLOCK=str(moved))
        try:
            pid = until(lambda: below(sleeper.pid), "started")
            until(lambda: sleeper.poll() is not None or stopped(pid), "stopped")
            before = field.clock.monotonic()
            field.ledger().force_unlock()
            field.advance(seconds=180)
            field.converge(point.verb)
            field.advance(seconds=1)
            moved.write_text(str(field.clock.monotonic() - before))
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
            out, err = sleeper.communicate(timeout=60)
        finally:
            with suppress(OSError, IndexError):
                os.kill(below(sleeper.pid) or sleeper.pid, signal.SIGKILL)
            sleeper.kill()
            sleeper.communicate()
        assert "a fault of ours" not in err, f"{point}: {err}"
        assert field.once(point.verb) == 0, f"{point}: something is left to do"
        try:
            field.check(point.verb)
        except AssertionError as wrong:
            raise AssertionError(f"{point}: {wrong}; exit {sleeper.returncode}: {out[-300:]} {err[-600:]}") from None


def until(what: Callable[[], object], name: str, *, seconds: float = 30) -> int:
    """Looks again and again until something is so."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if found := what():
                return int(found)  # type: ignore[call-overload,no-any-return]
        except (OSError, IndexError):
            pass
        time.sleep(0.01)
    raise AssertionError(f"not {name} within {seconds:g} s")


# --- interrupted ------------------------------------------------------------------------------------------------------


def late(field: Ground, fault: str) -> None:
    field.world.faults.add([{"action": "CreatePullToPushTask", "when": "after", "fault": fault}])


def asked(field: Ground) -> bool:
    return any(call.effect for call in list(field.world.log))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_interrupt_waits_for_the_answer_and_sums_up(tmp_path: Path, number: signal.Signals, code: int) -> None:
    with ground(tmp_path) as field:
        field.write(manifest("relay", "first"))
        late(field, "late:1")
        run = field.start(field.command("create", parallelism=8))
        until(lambda: asked(field), "asked")
        run.send_signal(number)
        out, err = run.communicate(timeout=30)
        assert run.returncode == code, err
        assert "interrupted: nothing new is started" in err
        assert re.search(r"done +1 .*RelayTask/morning-news", out)
        ledger = field.ledger()
        assert (len(ledger.entries()), ledger.open_intents(), ledger.busy()) == (1, [], False)
        ledger.close()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_second_interrupt_leaves_at_once(tmp_path: Path, number: signal.Signals, code: int) -> None:
    with ground(tmp_path) as field:
        field.write(manifest("relay", "first"))
        late(field, "timeout")
        run = field.start(field.command("create", parallelism=8))
        until(lambda: asked(field), "asked")
        run.send_signal(number)
        assert run.stderr is not None
        told = ""
        while "once more to leave" not in told:
            told += run.stderr.readline()
        began = time.monotonic()
        run.send_signal(number)
        run.communicate(timeout=30)
        assert (run.returncode, time.monotonic() - began < 3) == (code, True)
        ledger = field.ledger()
        assert [intent.action for intent in ledger.open_intents()] == ["CreatePullToPushTask"], "the journal knows all the same"
        ledger.close()
        field.converge("create")
        field.check("create")


@pytest.mark.long
def test_an_answer_that_never_comes_is_waited_for_six_seconds(tmp_path: Path) -> None:
    with ground(tmp_path) as field:
        field.write(manifest("relay", "first"))
        late(field, "timeout")
        run = field.start(field.command("create", parallelism=8))
        until(lambda: asked(field), "asked")
        began = time.monotonic()
        run.send_signal(signal.SIGINT)
        out, _ = run.communicate(timeout=30)
        assert (run.returncode, time.monotonic() - began < 7.5) == (130, True)
        assert re.search(r"unknown +1 ", out)
        field.converge("create")
        field.check("create")


# --- PostgreSQL -------------------------------------------------------------------------------------------------------


@pytest.fixture
def database_url(server: str) -> Iterator[Callable[[], str]]:  # noqa: F811
    """Makes empty databases, and drops them at the end."""
    import psycopg

    made: list[str] = []

    def make() -> str:
        name = f"kills{len(made)}x{random.SystemRandom().randrange(1 << 40):x}"
        with psycopg.connect(server, autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {name}".encode())
        made.append(name)
        # reconciler.yaml takes no password, not even an empty one
        return server.replace("/postgres?", f"/{name}?").replace(":@", "@")

    yield make
    with psycopg.connect(server, autocommit=True) as admin:
        for name in made:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
def database(database_url: Callable[[], str]) -> str:
    return database_url()
