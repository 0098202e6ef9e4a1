"""Who holds a workspace's lock, and whether that process still lives: a killed run's lock is free at once, not after its lease.

Liveness is judged only where a process number means the same to both: one boot of one machine, one process namespace.
"""

from __future__ import annotations

import os
import sys
from datetime import datetime
from functools import cache
from pathlib import Path

from reconciler.frozen import frozen
from reconciler.scalars import instant_text

PROC = Path("/proc")
POSIX = os.name == "posix"


@frozen
class Held:
    """One taking of the lock. `machine` is empty where liveness cannot be judged; `born` tells a process from a later one of its number."""

    holder: str
    host: str
    pid: int
    since: datetime
    expires: datetime
    machine: str = ""
    born: str = ""
    token: str = ""

    def __str__(self) -> str:
        return f"{self.holder} on {self.host}, pid {self.pid}, since {instant_text(self.since)}"

    @property
    def dead(self) -> bool:
        """Surely dead; False also means unknown."""
        return bool(self.machine) and self.machine == machine() and _gone(self.pid, self.born)


def host() -> str:
    import platform

    return platform.node() or "this machine"


@cache
def machine() -> str:
    """One boot of one machine and one process namespace; empty where the system does not tell."""
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot} {(PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return f"{host()} {sys.platform}" if POSIX else ""


def born(pid: int) -> str:
    """When the process began, in the kernel's ticks since boot; empty when it is gone, or the system does not tell."""
    state, ticks = _stat(pid)
    return "" if state in ("Z", "X") else ticks


def _gone(pid: int, began: str) -> bool:
    if not POSIX:
        return False
    try:
        os.kill(pid, 0)  # asks, sends nothing
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    state, ticks = _stat(pid)
    return state in ("Z", "X") or bool(began and ticks and ticks != began)


def _stat(pid: int) -> tuple[str, str]:
    try:
        text = (PROC / f"{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return "", ""
    fields = text.rpartition(")")[2].split()  # the name before it may hold anything
    return (fields[0], fields[19]) if len(fields) > 19 else ("", "")
