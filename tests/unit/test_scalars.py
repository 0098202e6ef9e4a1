"""Lengths of time and instants as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler import scalars


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(0, 0), (90, 90), ("90s", 90), ("20m", 1200), ("2h30m", 9000), ("1d", 86400), ("1d2h3m4s", 93784), ("0s", 0), ("100m", 6000)],
    ids=str,
)
def test_a_length_of_time(value: object, seconds: int) -> None:
    assert scalars.seconds(value) == seconds


@pytest.mark.parametrize(
    "value", [-1, 1.5, True, None, "", "90", "5 m", "1h1d", "1m1m", "-5m", "1.5h", "PT1H", "1H", " 5m", "5m ", "5min", [], "٣s"], ids=repr
)
def test_no_length_of_time(value: object) -> None:
    with pytest.raises(ValueError, match="length of time"):
        scalars.seconds(value)


@given(st.integers(0, 10**9))
def test_the_shortest_text_of_a_length_is_read_back(seconds: int) -> None:
    assert scalars.seconds(scalars.duration_text(seconds)) == seconds


def test_a_length_of_many_units_is_written_shortest() -> None:
    assert scalars.duration_text(timedelta(hours=2, minutes=30)) == "2h30m"
    assert scalars.duration_text(0) == "0s"


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-12-01T08:00:00Z", datetime(2026, 12, 1, 8, tzinfo=UTC)),
        ("2026-12-01t08:00:00z", datetime(2026, 12, 1, 8, tzinfo=UTC)),
        ("2026-12-01T08:00+08:00", datetime(2026, 12, 1, 0, tzinfo=UTC)),
        ("2026-12-01T08:00:00.5-03:30", datetime(2026, 12, 1, 11, 30, 0, 500000, tzinfo=UTC)),
    ],
)
def test_an_instant(text: str, utc: datetime) -> None:
    assert scalars.instant(text) == utc


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2026-12-01T08:00:00", "has no offset"),
        ("2026-12-01", "is not a date-time"),
        ("2026-12-01 08:00:00Z", "is not a date-time"),
        ("2026-02-30T08:00:00Z", "is not a date-time"),
        ("2026-12-01T25:00:00Z", "is not a date-time"),
        ("2026-12-01T08:00:00+99:00", "is not a date-time"),
        ("0001-01-01T00:00:00+23:00", "is not a date-time"),
        ("2026-12-01T08:00:00 Z", "is not a date-time"),
    ],
)
def test_no_instant(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        scalars.instant(text)


def test_a_local_time_has_no_offset() -> None:
    assert scalars.local("2026-12-01T08:00") == datetime(2026, 12, 1, 8)
    with pytest.raises(ValueError, match="not a local date-time"):
        scalars.local("2026-12-01T08:00Z")


def test_unix_milliseconds_and_what_looks_like_seconds() -> None:
    when = datetime(2026, 11, 21, 0, 0, 0, 123000, tzinfo=UTC)
    assert scalars.unix_milliseconds(scalars.milliseconds(when)) == when
    with pytest.raises(ValueError, match="write 1795219200000"):
        scalars.unix_milliseconds(1795219200)
    with pytest.raises(ValueError, match="looks like Unix seconds"):
        scalars.unix_milliseconds(10**12 - 1)
    with pytest.raises(ValueError, match="before 1970"):
        scalars.unix_milliseconds(-1795219200000)
    assert scalars.unix_milliseconds(10**12) == datetime(2001, 9, 9, 1, 46, 40, tzinfo=UTC)
    with pytest.raises(ValueError, match="beyond the calendar"):
        scalars.unix_milliseconds(10**18)
