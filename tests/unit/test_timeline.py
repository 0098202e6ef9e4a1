"""Conflicts between windows on one destination."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.model import Window
from reconciler.timeline import Claim, conflicts, contested

T0 = datetime(2026, 12, 1, tzinfo=UTC)


def claim(holder: str, start: float, end: float | None, thing: str = "rtmp://h/live/s", *, foreign: bool = False) -> Claim:
    stop = None if end is None else T0 + timedelta(seconds=end)
    return Claim(thing, Window(T0 + timedelta(seconds=start), stop), holder, foreign=foreign)


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        pytest.param([claim("a", 0, 10), claim("b", 5, 20)], ["hard"], id="they overlap"),
        pytest.param([claim("a", 0, 10), claim("b", 10, 20)], [], id="they touch"),
        pytest.param([claim("a", 0, 10), claim("b", 13, 20)], ["tight"], id="three seconds between"),
        pytest.param([claim("a", 0, 10), claim("b", 15, 20)], [], id="five seconds between"),
        pytest.param([claim("a", 0, 10), claim("b", 5, 20, "srt://h/live/s")], ["shadow"], id="one ingest, two schemes"),
        pytest.param([claim("a", 0, 10), claim("b", 13, 20, "srt://h/live/s")], [], id="two schemes, one after the other"),
        pytest.param([claim("a", 0, 10), claim("b", 5, 20, "rtmp://h/live/other")], [], id="two streams"),
        pytest.param([claim("a", 0, 10, "slot-1"), claim("b", 5, 20, "slot-2")], [], id="two things that are no URLs"),
        pytest.param([claim("a", 0, 10), claim("theirs", 5, 20, foreign=True)], ["foreign"], id="theirs comes later"),
        pytest.param([claim("theirs", 0, 10, foreign=True), claim("a", 5, 20)], ["foreign"], id="theirs was first"),
        pytest.param([claim("theirs", 0, 10, foreign=True), claim("a", 13, 20)], [], id="theirs is over"),
        pytest.param([claim("x", 0, 10, foreign=True), claim("y", 5, 20, foreign=True)], [], id="both are theirs"),
        pytest.param([claim("a", 0, None), claim("b", 1000, 2000)], ["hard"], id="one without an end"),
        pytest.param([claim("a", 0, 100), claim("b", 10, 20), claim("c", 30, 40)], ["hard", "hard"], id="two within a long one"),
        pytest.param([claim("a", 0, 10), claim("a", 5, 20)], [], id="one holder"),
    ],
)
def test_conflicts(claims: list[Claim], expected: list[str]) -> None:
    assert [found.type for found in conflicts(claims)] == expected


@pytest.mark.parametrize(
    ("second", "message", "window"),
    [
        pytest.param(claim("b", 5, 20), "b and a push to rtmp://h/live/s at the same time", (5, 10), id="hard"),
        pytest.param(claim("b", 13, 20), "b begins 3 s after a ends on rtmp://h/live/s", (13, 13), id="tight"),
        pytest.param(
            claim("b", 5, 20, "srt://h/live/s"), "b and a push to one ingest at the same time, as srt://h/live/s and rtmp://h/live/s", (5, 10), id="shadow"
        ),
        pytest.param(
            claim("theirs", -5, 8, foreign=True), "a would push to rtmp://h/live/s while theirs, which is not ours, does", (0, 8), id="foreign"
        ),
    ],
)  # fmt: skip
def test_what_is_said_of_a_conflict(second: Claim, message: str, window: tuple[float, float]) -> None:
    (found,) = conflicts([claim("a", 0, 10), second])
    assert found.message == message
    assert found.window is not None
    assert found.window.end is not None
    assert tuple((edge - T0).total_seconds() for edge in (found.window.start, found.window.end)) == window


def test_the_order_of_claims_does_not_matter() -> None:
    claims = [claim("a", 0, 100), claim("b", 10, 20), claim("c", 30, 40, "srt://h/live/s"), claim("d", 101, 120)]
    assert conflicts(claims) == conflicts(claims[::-1])


def test_thousands_on_one_destination_are_told_in_linear_time() -> None:
    crowd = [claim(f"t{number:05}", number, 10_000) for number in range(3_000)]
    assert len(conflicts(crowd)) <= 16 * len(crowd)


@pytest.mark.parametrize("seed", range(20))
def test_what_nobody_contests_takes_part_in_no_conflict(seed: int) -> None:
    draw = random.Random(seed)
    things = [f"{scheme}://h/live/{letter}" for scheme in ("rtmp", "srt") for letter in "abcdefgh"]
    claims = [claim(f"t{number}", draw.randrange(50), 60, draw.choice(things)) for number in range(draw.randrange(12))]
    left = [one for _, one in contested((one.thing, one) for one in claims)]
    assert conflicts(left) == conflicts(claims)
    assert all(sum(other.thing.partition("://")[2] == one.thing.partition("://")[2] for other in claims) > 1 for one in left)
