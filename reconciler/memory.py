"""The cyclic collector stands still while large trees are built: it would walk over all of them again and again, and find nothing."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Within, nothing is collected: right while trees are built, which reference counting frees."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.freeze()  # what was built is old at once: else the next allocation would walk over all of it
            gc.unfreeze()
            gc.enable()
