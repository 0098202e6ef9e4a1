"""The same promise over both stores, and two runners that race for one: whoever comes second finds the lock, or that its plan is stale."""

from __future__ import annotations

import random
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconciler.engine import Engine, Options, Wanted
from reconciler.errors import Stale
from reconciler.ledger import open_ledger
from reconciler.vendors import Transports
from tests.crash.cases import Sweep, beyond, spoilt
from tests.crash.harness import ENV, HTTP, KIND_OF, VERBS, Case, Trial, check, declared, empty, run, workplace
from tests.ledger.conftest import server  # noqa: F401 - a fixture
from tests.scenarios.manifests import KINDS

Places = Callable[[], str]


@pytest.fixture(params=["sqlite", "postgres"])
def places(request: pytest.FixtureRequest) -> Iterator[Places]:
    """Gives the place of an empty ledger, again and again."""
    if request.param == "sqlite":
        yield lambda: ".reconciler/state.db"
        return
    import psycopg

    url = request.getfixturevalue("server")
    name = f"t{uuid.uuid4().hex}"
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
    mine = url.replace("/postgres?", f"/{name}?")

    def emptied() -> str:
        with psycopg.connect(mine, autocommit=True) as db:
            db.execute("DROP SCHEMA IF EXISTS reconciler CASCADE")
        return mine

    yield emptied
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def lines(kind: str, count: int) -> list[Case]:
    """Some cases of every verb of a kind, faults and kills mixed."""
    draw = random.Random(f"stores {kind}")
    verbs = [verb for verb, what in VERBS.items() if kind in what.kinds and not what.forgets]
    found = []
    for verb in verbs:
        plain = Case(kind, verb)
        found += [case for case, _ in zip(beyond([plain, *spoilt(plain, 2)], 16, draw), range(count // len(verbs) + 1), strict=False)]
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_a_sample_of_the_faults_over_each_store(kind: str, places: Places, record_property) -> None:
    done = Sweep()
    with workplace() as folder:
        for case in lines(kind, 12):
            done.attempt(case, folder, lambda case: run(case, folder, store=places()))
    record_property("cases", done.ran)
    assert not done.failures, "\n".join(done.failures)


@pytest.mark.parametrize("kind", ["relay", "playlist", "recording", "clip"])
@pytest.mark.parametrize("races", [25, pytest.param(2500, marks=pytest.mark.long)])
def test_two_runners_race_and_there_is_one(kind: str, races: int, places: Places, tmp_path: Path) -> None:
    """Both plan before either applies, then both apply at once, each with a connection of its own."""
    ended = []
    for _ in range(races):
        trial = Trial(tmp_path, Case(kind, "create"), store=places()).seeded()
        ended += race(trial, kind)
        trial.converge("first")
        check(trial)
        empty(tmp_path)
    assert set(ended) <= {"done", "stale"}
    assert ended.count("done") >= len(ended) // 2, "somebody gets through in every race"


def race(trial: Trial, kind: str) -> list[str]:
    start = threading.Barrier(2)
    ended: list[str] = []

    def runner() -> None:
        ledger = open_ledger(trial.store, root=trial.folder, workspace="default", clock=trial.clock, create=True)
        transports = Transports({}, ENV, home=trial.folder, clock=trial.clock, read_only=False, client=HTTP)
        desk = Engine(
            workspace="default", kinds=KIND_OF.get, ledger=ledger, transports=transports, clock=trial.clock,
            wanted=Wanted(declared(kind, "first"), "first", 1), parallelism=0,
        )  # fmt: skip
        try:
            plan = desk.plan()
            start.wait(20)
            desk.apply(plan, Options())
            ended.append("done")
        except Stale:
            ended.append("stale")
        except BaseException as wrong:
            ended.append(repr(wrong))
            raise
        finally:
            ledger.close()

    with trial._wired():
        threads = [threading.Thread(target=runner) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    return ended
