"""The command line in a process whose clocks, both of them, can be moved while it stands still: `python -m tests.crash.runner ARGUMENTS`.

The file that TEST_CLOCK names holds the seconds by which they are ahead.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path

from reconciler.cli import _context, main

AHEAD = Path(os.environ["TEST_CLOCK"])


class MovedClock(_context.RealClock):
    def now(self) -> datetime:
        return super().now() + timedelta(seconds=float(AHEAD.read_text()))

    def monotonic(self) -> float:
        return super().monotonic() + float(AHEAD.read_text())


if __name__ == "__main__":
    _context.RealClock = MovedClock  # type: ignore[misc]
    main()
