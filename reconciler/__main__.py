"""The command `reconciler`, also as `python -m reconciler`."""

from __future__ import annotations

import gc
from typing import NoReturn


def main() -> NoReturn:
    """The entry point of the command."""
    gc.set_threshold(100_000, 20, 20)  # before the imports: what a start makes is never garbage
    from reconciler.cli import main as command

    command()


if __name__ == "__main__":
    main()
