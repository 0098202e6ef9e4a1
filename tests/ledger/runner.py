"""A process of its own that works on a ledger, to be raced, frozen and killed: `python -m tests.ledger.runner URL ROOT WHAT`.

It prints a line when it has come to where it is wanted and then waits for its standard input.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from reconciler import crash
from reconciler.errors import ReconcilerError
from reconciler.ledger import open_ledger, store
from tests.ledger.things import an_entry, an_intent


class WallClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def here(text: str) -> None:
    print(text, flush=True)
    sys.stdin.readline()


def main(url: str, root: str, what: str, *more: str) -> None:
    store.POLL = 0.005
    ledger = open_ledger(url, root=Path(root), workspace="news", clock=WallClock(), create=True)
    match what:
        case "count":  # a lost update, and so a smaller sum, if two ever held the lock together
            for _ in range(int(more[0])):
                with ledger.acquire("counter", timeout=60):
                    value = ledger.note("sum") or 0
                    ledger.set_note("sum", value + 1)
        case "hold":
            with ledger.acquire("holder", timeout=0) as lease:
                here(f"holds {lease.epoch}")
                try:
                    ledger.begin(lease, an_intent())
                    here("began")
                except ReconcilerError as refused:
                    here(type(refused).__name__)
        case "die":
            crash.hook = lambda name: os.kill(os.getpid(), signal.SIGKILL) if name == more[0] else None
            with ledger.acquire("mortal", timeout=0) as lease:
                ledger.begin(lease, an_intent())
                ledger.confirm(lease, "i1", entry=an_entry())
        case "fill":  # the system refuses what makes a file larger than this
            import resource

            resource.setrlimit(resource.RLIMIT_FSIZE, (int(more[0]), int(more[0])))
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            sent = 0
            try:
                with ledger.acquire("filler", timeout=0) as lease:
                    for n in range(1000):
                        ledger.begin(lease, an_intent(f"i{n}", an_intent().address._replace(name=f"n{n}")))
                        sent += 1
            except ReconcilerError as refused:
                print(f"{sent}|{type(refused).__name__}|{refused.message}|{refused.next_step}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
