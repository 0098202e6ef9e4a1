"""The promise, tried out: every fault at every call and a kill at every point, for one object of each kind and each verb.

`make test` runs a sample of at least 20,000 cases, `make test-long` a million and more. RECONCILER_SEED draws another sample,
RECONCILER_CASES asks for another number of cases in the long suite; shards are chosen with `-k shard-17`.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from tests.crash.cases import Sweep, chunks, pairs, sweep
from tests.crash.harness import FAULTS, VERBS, WHENS, Case, Trial, run, workplace
from tests.scenarios.manifests import KINDS

SEED = os.environ.get("RECONCILER_SEED", "0")
QUICK = 20_000
LONG = int(os.environ.get("RECONCILER_CASES", "1000000"))
CHUNKS = chunks()
SHARDS = 200
EACH = -(-QUICK // len(CHUNKS))

Count = pytest.Item


def told(record_property: object, done: Sweep) -> None:
    """Leaves the number of cases for the last line of the report, and fails with one line for every case that failed."""
    record_property("cases", done.ran)  # type: ignore[operator]
    assert not done.failures, "\n".join([f"{len(done.failures)} of {done.ran} cases failed", *done.failures])


@pytest.mark.parametrize("chunk", CHUNKS, ids=str)
def test_killed_anywhere_with_any_answer_lost_there_is_exactly_one(chunk, record_property) -> None:
    with workplace() as folder:
        done = sweep(chunk, folder, budget=EACH, seed=SEED)
    told(record_property, done)
    assert done.ran >= EACH


def test_the_sample_is_as_large_as_promised() -> None:
    assert EACH * len(CHUNKS) >= QUICK
    tried = Counter((chunk.kind, chunk.verb) for chunk in CHUNKS)
    assert set(tried) == {(kind, verb) for kind in KINDS for verb, what in VERBS.items() if kind in what.kinds}


@pytest.mark.parametrize("part", range(8))
def test_several_objects_that_depend_on_each_other(part: int, record_property) -> None:
    done = Sweep()
    with workplace() as folder:
        for case in pairs(SEED)[part::8]:
            done.attempt(case, folder)
    told(record_property, done)
    assert done.ran > 50


@pytest.mark.long
@pytest.mark.parametrize("shard", range(SHARDS), ids=lambda shard: f"shard-{shard}")
def test_a_million_cases(shard: int, record_property) -> None:
    """Every shard goes through all chunks with a seed of its own; most of its cases have two faults and two kills."""
    budget = -(-LONG // (SHARDS * len(CHUNKS)))
    done = Sweep()
    with workplace() as folder:
        for chunk in CHUNKS:
            part = sweep(chunk, folder, budget=budget, seed=f"{SEED} {shard}", exhaustive=False)
            done.ran += part.ran
            done.failures += part.failures
    told(record_property, done)
    assert done.ran >= LONG // SHARDS


@pytest.mark.long
@pytest.mark.parametrize("chunk", CHUNKS, ids=str)
def test_every_single_fault_and_kill(chunk, record_property) -> None:
    with workplace() as folder:
        done = sweep(chunk, folder, budget=10**6, seed=SEED, endless=False)
    told(record_property, done)


# --- the suite itself -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    ["relay create - before 1 0", "clip replace late:70 after 2 9 world=lag then=500:after:1 again=5 gap=80"],
)
def test_a_case_is_a_line(line: str) -> None:
    assert str(Case.parse(line)) == line
    assert Case.parse(line).replay == f'python -m tests.crash.replay "{line}"'


def test_a_case_is_the_same_every_time(tmp_path: Path) -> None:
    def told_by(name: str) -> list[tuple[object, ...]]:
        folder = tmp_path / name
        folder.mkdir()
        trial = run(Case.parse("playlist replace reset after 2 14 gap=20"), folder)
        return [(call.at, call.action, call.status, call.effect) for call in trial.world.log]

    assert told_by("one") == told_by("two")


def test_every_fault_is_one_the_emulator_knows() -> None:
    trial = Trial(Path(), Case("relay", "create"))
    trial.world.faults.add([{"action": "*", "when": when, "fault": fault} for fault in FAULTS for when in WHENS])
    assert len(trial.world.faults.rules) == len(FAULTS) * len(WHENS)


def test_the_oracle_sees_a_second_object(tmp_path: Path) -> None:
    """A vendor that ignores signatures' ends, and a runner that does not wait for the horizon, make two: the suite must notice."""
    from datetime import timedelta

    from tests.crash.harness import KIND_OF

    kind = type(KIND_OF["RelayTask"])
    before, kind.settle = kind.settle, timedelta(seconds=1)
    try:
        with pytest.raises(AssertionError, match="two live objects of one identity"):
            run(Case.parse("relay create late:70 before 1 0 world=unfenced"), tmp_path)
    finally:
        kind.settle = before
