"""The command `reconciler`, also as `python -m reconciler`."""

from __future__ import annotations

import gc
import sys
from typing import NoReturn


def main() -> NoReturn:
    """The entry point of the command."""
    gc.set_threshold(100_000, 20, 20)  # before the imports: what a start makes is never garbage
    # a thread that asks for the next page waits this long for the one that reads manifests, several times a page; the usual 5 ms cost
    # a plan of 10,000 half a second
    sys.setswitchinterval(0.001)
    from reconciler.cli import main as command

    command()


if __name__ == "__main__":
    main()
