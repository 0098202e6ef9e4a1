from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.bench import Bench
from tests.acceptance.fake import Fake


@pytest.fixture
def meet(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    """A project against vendors with these habits; the stream was on air for the last two hours."""
    fakes: list[Fake] = []

    def bench(**habits: Any) -> Bench:
        fake = Fake(**habits)
        fakes.append(fake)
        fake.session(time.time() - 7200, time.time() - 60)
        made = Bench(tmp_path / f"project{len(fakes)}", fake)
        made.project()
        return made

    yield bench
    for fake in fakes:
        fake.close()
