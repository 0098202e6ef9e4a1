"""Real processes of the command line against a real server on loopback: killed at a system call, starved of disk, frozen, interrupted.

The emulator lives in this process, so its own ledger is at hand, and what must settle is settled here without waiting: its clock stands
still until somebody moves it, and RECONCILER_NOW starts the process's clock at the same instant.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from reconciler.emulator.server import running
from reconciler.errors import ReconcilerError
from reconciler.ledger import Ledger, open_ledger
from reconciler.model import Action
from reconciler.render.look import rfc3339
from tests.crash.harness import REPLACED
from tests.scenarios.manifests import EDITS, KINDS, ON_AIR, S3
from tests.scenarios.stage import ENV, Stage

REPOSITORY = Path(__file__).parents[2]
STRACE = shutil.which("strace") or ""
SYSCALLS = (
    "pwrite64", "pread64", "fdatasync", "fsync", "ftruncate", "unlink", "link", "mkdir", "fcntl",
    "socket", "connect", "sendto", "recvfrom", "poll", "write",
)  # fmt: skip
"""Those that touch the ledger, the network or the terminal. The rest only reads, or moves memory."""
VERBS = ("create", "update", "replace", "delete")
PATIENCE = 1800.0  # seconds of the emulator's clock within which everything must have settled
ROUND = 45.0


def manifest(kind: str, state: str) -> str:
    """The text that declares one object of a kind, or one of each (`all`), as first written or edited."""
    if kind == "all":
        return "---\n".join(manifest(one, state) for one in KINDS)
    text = KINDS[kind]
    if state == "update":
        return text.replace(*EDITS[kind])
    return text.replace(*REPLACED[kind]) if state == "replace" else text


@dataclass(frozen=True, slots=True)
class Point:
    """The `nth` time that a run of `verb` for `kind` makes `syscall`."""

    kind: str
    verb: str
    syscall: str
    nth: int

    def __str__(self) -> str:
        return f"{self.kind} {self.verb} {self.syscall} {self.nth}"

    @classmethod
    def parse(cls, line: str) -> Point:
        kind, verb, syscall, nth = line.split()
        return cls(kind, verb, syscall, int(nth))


class Ground(Stage):
    """A stage whose attacked runs are processes. `state` is the ledger's place as reconciler.yaml names it."""

    def __init__(self, root: Path, *, state: str = ".reconciler/state.db", url: str = "") -> None:
        super().__init__(root, env=S3)
        self.state = state
        self.url = url
        self.write(f"workspace: default\nstate: {state}\n", "reconciler.yaml")

    def ledger(self) -> Ledger:
        return open_ledger(self.state, root=self.root, workspace="default", clock=self.clock, create=True)

    def environment(self, **more: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "SYSTEMROOT", "TMPDIR")}
        return {
            **kept,
            **ENV,
            **S3,
            "RECONCILER_LIVE_ENDPOINT": self.url,
            "RECONCILER_RTC_ENDPOINT": self.url,
            "RECONCILER_LIVEPEER_ENDPOINT": f"{self.url}/api",
            "RECONCILER_NOW": rfc3339(self.clock.now()),
            "PYTHONPATH": str(REPOSITORY),
            "PYTHONDONTWRITEBYTECODE": "1",
            **more,
        }

    def command(self, verb: str, *, parallelism: int = 0) -> list[str]:
        """An apply of what is declared, or a destroy. By default in one thread: the tracer counts the calls of each for itself."""
        allowed = [word for address in ON_AIR for word in ("--allow-on-air", address)]
        # the emulator's clock stands still, and with it the making of a clip
        name = ["destroy"] if verb == "delete" else ["apply", "--no-wait"]
        return [
            sys.executable,
            "-m",
            "reconciler",
            "-C",
            str(self.root),
            *name,
            "--auto-approve",
            "--parallelism",
            str(parallelism),
            *allowed,
        ]

    def start(self, command: Sequence[str], **more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command, env=self.environment(**more), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def process(self, command: Sequence[str], *, timeout: float = 60, **more: str) -> subprocess.CompletedProcess[str]:
        """A process run to its end, or killed when it hangs (an AssertionError)."""
        running = self.start(command, **more)
        try:
            out, err = running.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            running.kill()
            running.communicate()
            raise AssertionError(f"hangs: {' '.join(command[-8:])}") from None
        return subprocess.CompletedProcess(command, running.returncode, out, err)

    def prepare(self, point: Point) -> None:
        """What there is before the attacked run."""
        self.write(manifest(point.kind, "first"))
        if point.verb != "create":
            self.converge("first")
            self.write(manifest(point.kind, point.verb))

    def converge(self, verb: str) -> int:
        """Runs again, in this process, until nothing is left to do; returns how many runs it took."""
        began = self.clock.monotonic()
        lives = 0
        while True:
            lives += 1
            if not self.once(verb):
                return lives
            assert self.clock.monotonic() - began < PATIENCE, f"not settled after {PATIENCE} s"
            self.world.clock.advance(ROUND)

    def once(self, verb: str) -> int:
        """One plan and its apply; returns how many changes there were."""
        options = {"allow_on_air": ON_AIR, "destroy": verb == "delete"}
        try:
            todo = [one for one in self.plan(**options).changes if one.action is not Action.NOOP]
            if todo:
                self.apply(**options)
            return len(todo)
        except ReconcilerError:
            return 1

    def quietly(self) -> list[str]:
        """A plan whose exit code tells whether anything is left to do."""
        return [sys.executable, "-m", "reconciler", "-C", str(self.root), "plan", "--detailed-exitcode"]

    def check(self, verb: str) -> None:
        """Never two of one identity at any event; in the end exactly what is declared, and nothing left over."""
        alive = [one for ids in self.world.ledger.living.values() for one in ids]
        wanted = 0 if verb == "delete" else len(self.loaded().desired)
        assert len(alive) == wanted, f"{len(alive)} live objects, wanted {wanted}: {sorted(alive)}"
        assert self.world.ledger.most() <= 1, "two live objects of one identity at one time"


@contextmanager
def ground(root: Path, *, state: str = ".reconciler/state.db") -> Iterator[Ground]:
    made = Ground(root, state=state)
    with running(made.world) as url:
        made.url = url
        try:
            yield made
        finally:
            made.http.close()


# --- strace -----------------------------------------------------------------------------------------------------------


def traced(command: Sequence[str], *options: str, output: str = "/dev/null") -> list[str]:
    return [STRACE, "-f", "-qq", "-o", output, *options, "--", *command]


def injected(command: Sequence[str], syscall: str, what: str, when: str) -> list[str]:
    """`what` is `signal=SIGKILL`, `error=ENOSPC` and the like; `when` is `3` or `3+`."""
    return traced(command, "-e", f"trace={syscall}", "-e", f"inject={syscall}:{what}:when={when}")


def points(root: Path, kind: str, verb: str, *, state: str = ".reconciler/state.db") -> list[Point]:
    """Every point of a run of one verb, by running it once under the tracer."""
    with ground(root, state=state) as field:
        field.prepare(Point(kind, verb, "", 0))
        written = root / "trace.txt"
        done = field.process(traced(field.command(verb), "-e", f"trace={','.join(SYSCALLS)}", output=str(written)))
        assert done.returncode == 0, done.stderr
        calls = Counter(re.findall(r"^(\d+) +(\w+)\(", written.read_text("utf-8", "replace"), re.MULTILINE))
    most = {name: max((count for (_, called), count in calls.items() if called == name), default=0) for name in SYSCALLS}
    return [Point(kind, verb, name, nth) for name in SYSCALLS for nth in range(1, most[name] + 1)]  # strace counts for each thread


def killed(root: Path, point: Point, *, state: str = ".reconciler/state.db") -> bool:
    """Kills a real run at a point, converges and checks. Returns whether the kill struck. Raises AssertionError, naming the point."""
    with ground(root, state=state) as field:
        try:
            field.prepare(point)
            done = field.process(injected(field.command(point.verb), point.syscall, "signal=SIGKILL", str(point.nth)))
            field.converge(point.verb)
            field.check(point.verb)
        except AssertionError as wrong:
            raise AssertionError(f"{point}: {wrong}") from None
    return done.returncode in (-9, 137)


def replay(line: str, root: Path) -> None:
    """Runs one point again, from the line that a failure printed."""
    killed(root, Point.parse(line))


def below(pid: int) -> int:
    """The process that a tracer started; 0 as long as there is none. The tracer tries things out with children of its own, first."""
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        if Path(f"/proc/{child}/cmdline").read_bytes().startswith(sys.executable.encode()):
            return int(child)
    return 0


def stopped(pid: int) -> bool:
    """Whether a process stands still and stays so: a tracer stops it for a moment at every system call."""

    def look() -> list[str]:
        return [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("State:") or "ctxt" in line]

    before = look()
    time.sleep(0.1)
    return before == look() and before[0].split()[1] in "tTZX"
