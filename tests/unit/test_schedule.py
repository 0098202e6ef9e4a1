"""The `schedule` block: which instants it means, and every way to get it wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler import schedule
from reconciler.model import Late, Severity, Timing, Window

START = {"start": "2026-12-01T08:00:00+08:00"}
LONDON = {"zone": "Europe/London"}


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def parsed(block: dict[str, Any]) -> Timing:
    timing, found = schedule.parse(block)
    assert not found
    assert timing is not None
    return timing


WINDOWS = [
    ("instants", {**START, "end": "2026-12-01T10:00:00+08:00"}, "2026-12-01T00:00", "2026-12-01T02:00"),
    ("two offsets", {**START, "end": "2026-12-01T10:00:00Z"}, "2026-12-01T00:00", "2026-12-01T10:00"),
    ("duration", {**START, "duration": "2h30m"}, "2026-12-01T00:00", "2026-12-01T02:30"),
    ("seconds", {**START, "duration": 90}, "2026-12-01T00:00", "2026-12-01T00:01:30"),
    ("local", {**LONDON, "start": "2026-07-01T12:30", "end": "2026-07-01T13:00"}, "2026-07-01T11:30", "2026-07-01T12:00"),
    ("local start, instant end", {**LONDON, "start": "2026-07-01T12:30", "end": "2026-07-01T13:00Z"}, "2026-07-01T11:30", "2026-07-01T13:00"),
    ("offset wins over the zone", {**LONDON, "start": "2026-07-01T12:30+08:00", "duration": "1h"}, "2026-07-01T04:30", "2026-07-01T05:30"),
    ("until", {**LONDON, "start": "2026-07-01T12:30", "until": "15:00"}, "2026-07-01T11:30", "2026-07-01T14:00"),
    ("until the next day", {**LONDON, "start": "2026-07-01T23:30", "until": "01:00:30"}, "2026-07-01T22:30", "2026-07-02T00:00:30"),
    ("until the same time", {**LONDON, "start": "2026-07-01T12:30", "until": "12:30"}, "2026-07-01T11:30", "2026-07-02T11:30"),
    ("until, of an instant", {**LONDON, "start": "2026-07-01T11:30Z", "until": "15:00"}, "2026-07-01T11:30", "2026-07-01T14:00"),
    ("gap goes forward", {**LONDON, "start": "2026-03-29T01:30", "duration": "1h"}, "2026-03-29T01:30", "2026-03-29T02:30"),
    ("fold comes first", {**LONDON, "start": "2026-10-25T01:30", "duration": "1h"}, "2026-10-25T00:30", "2026-10-25T01:30"),
    ("fold comes second", {**LONDON, "start": "2026-10-25T01:30", "duration": "1h", "dst": {"fold": "second"}}, "2026-10-25T01:30", "2026-10-25T02:30"),
    ("duration over the night of the gap is elapsed time", {**LONDON, "start": "2026-03-29T00:30", "duration": "2h"}, "2026-03-29T00:30", "2026-03-29T02:30"),
    ("until over the night of the gap is wall clock", {**LONDON, "start": "2026-03-29T00:30", "until": "03:30"}, "2026-03-29T00:30", "2026-03-29T02:30"),
    ("until over the night of the fold", {**LONDON, "start": "2026-10-25T00:30", "until": "03:30"}, "2026-10-24T23:30", "2026-10-25T03:30"),
    ("a zone with a half hour", {"zone": "Asia/Kolkata", "start": "2026-07-01T12:30", "duration": "1h"}, "2026-07-01T07:00", "2026-07-01T08:00"),
]  # fmt: skip


@pytest.mark.parametrize(("block", "start", "end"), [case[1:] for case in WINDOWS], ids=[case[0] for case in WINDOWS])
def test_a_block_means_one_window(block: dict[str, Any], start: str, end: str) -> None:
    assert parsed(block) == Timing(Window(utc(start), utc(end)))


def test_the_defaults_are_those_of_the_language() -> None:
    timing = parsed({**START, "duration": "1h"})
    assert (timing.horizon, timing.lead, timing.late) == (timedelta(days=14), timedelta(minutes=10), Late.JOIN)
    timing = parsed({**START, "duration": "1h", "horizon": "90d", "lead": 0, "late": "skip"})
    assert (timing.horizon, timing.lead, timing.late) == (timedelta(days=90), timedelta(0), Late.SKIP)


MISTAKES = [
    ("text", "daily", ["schedule RC012 schedule must be a block of fields, this is text"]),
    ("nothing", {}, ["schedule.start RC031 start is missing", "schedule RC032 the schedule does not say when the window ends"]),
    ("no end", START, ["schedule RC032 the schedule does not say when the window ends"]),
    ("two ends", {**START, "duration": "1h", "end": "2026-12-01T10:00:00Z"}, ["schedule.end RC032 duration and end both say when the window ends"]),
    ("no offset", {"start": "2026-12-01T08:00", "duration": "1h"},
     ["schedule.start RC031 '2026-12-01T08:00' has no offset; add one, like 2026-12-01T08:00+08:00"]),
    ("number", {"start": 1795219200, "duration": "1h"}, ["schedule.start RC031 start must be a date-time like 2026-12-01T08:00:00+08:00"]),
    ("date", {**LONDON, "start": "2026-12-01", "duration": "1h"},
     ["schedule.start RC031 '2026-12-01' is not a local date-time; write it like 2026-12-01T08:00"]),
    ("backwards", {**START, "end": "2026-12-01T07:00:00+08:00"}, ["schedule.end RC033 the window ends before it starts"]),
    ("empty", {**START, "end": "2026-12-01T00:00:00Z"}, ["schedule.end RC033 the window ends when it starts"]),
    ("no length", {**START, "duration": 0}, ["schedule.duration RC033 duration is zero"]),
    ("length", {**START, "duration": "1 hour"},
     ["schedule.duration RC021 '1 hour' is not a length of time; write 90s, 20m, 2h30m or 1d, units from large to small"]),
    ("endless", {**START, "duration": "9999999d"}, ["schedule.duration RC033 the window ends beyond the calendar"]),
    ("beyond everything", {**START, "duration": 10**30}, ["schedule.duration RC021 duration is beyond the calendar"]),
    ("zone", {"zone": "Europe/Londn", "start": "2026-12-01T08:00", "duration": "1h"}, ["schedule.zone RC034 'Europe/Londn' is no time zone of the IANA database"]),
    ("zone in other case", {"zone": "europe/london", **START, "duration": "1h"}, ["schedule.zone RC034 'europe/london' is no time zone of the IANA database"]),
    ("zone that is a path", {"zone": "../../etc/passwd", **START, "duration": "1h"}, ["schedule.zone RC034 '../../etc/passwd' is no time zone of the IANA database"]),
    ("zone that is a folder", {"zone": "Europe", **START, "duration": "1h"}, ["schedule.zone RC034 'Europe' is no time zone of the IANA database"]),
    ("zone that is a number", {"zone": 8, **START, "duration": "1h"}, ["schedule.zone RC012 zone must be text, this is a whole number"]),
    ("until without zone", {**START, "until": "15:00"}, ["schedule.until RC031 until is a time of day and needs a zone"]),
    ("until", {**LONDON, "start": "2026-12-01T08:00", "until": "25:00"}, ["schedule.until RC032 until is a time of day, like 15:00"]),
    ("until as a number", {**LONDON, "start": "2026-12-01T08:00", "until": 15}, ["schedule.until RC032 until is a time of day, like 15:00"]),
    ("gap that fails", {**LONDON, "start": "2026-03-29T01:30", "duration": "1h", "dst": {"gap": "fail"}},
     ["schedule.start RC035 2026-03-29T01:30 does not exist in Europe/London, clocks go forward there"]),
    ("fold that needs a series", {**LONDON, "start": "2026-10-25T01:30", "duration": "1h", "dst": {"fold": "both"}},
     ["schedule.dst.fold RC036 fold: both makes two windows, which needs repeat"]),
    ("policy", {**START, "duration": "1h", "dst": {"gap": "backward"}}, ["schedule.dst.gap RC013 gap cannot be 'backward', it is one of forward, skip, fail"]),
    ("policy's name", {**START, "duration": "1h", "dst": {"gaps": "skip"}}, ["schedule.dst.gaps RC010 'gaps' is no field of dst"]),
    ("policy as text", {**START, "duration": "1h", "dst": "skip"}, ["schedule.dst RC012 dst must be a block of fields, this is text"]),
    ("late", {**START, "duration": "1h", "late": True}, ["schedule.late RC012 late must be one of join, skip, fail, this is a boolean"]),
    ("horizon", {**START, "duration": "1h", "horizon": "91d"}, ["schedule.horizon RC037 horizon is 91d, it goes from 1s to 90d"]),
    ("no horizon", {**START, "duration": "1h", "horizon": 0}, ["schedule.horizon RC037 horizon is 0s, it goes from 1s to 90d"]),
    ("unknown", {**START, "duration": "1h", "timezone": "UTC"}, ["schedule.timezone RC010 'timezone' is no field of schedule"]),
    ("repeat", {**START, "duration": "1h", "repeat": {"freq": "daily"}}, ["schedule.repeat RC036 repeat is not supported yet: a schedule has one window"]),
    ("series", {**START, "repeat": {}, "except": [], "move": {}},
     [f"schedule.{key} RC036 {key} is not supported yet: a schedule has one window" for key in ("repeat", "except", "move")]),
    ("many at once", {"start": "x", "duration": "y", "late": "z", "lead": -1},
     ["schedule.start RC031 'x' is not a date-time; write it like 2026-12-01T08:00:00+08:00",
      "schedule.duration RC021 'y' is not a length of time; write 90s, 20m, 2h30m or 1d, units from large to small",
      "schedule.lead RC021 a length of time cannot be negative",
      "schedule.late RC013 late cannot be 'z', it is one of join, skip, fail"]),
]  # fmt: skip


@pytest.mark.parametrize(("block", "expected"), [case[1:] for case in MISTAKES], ids=[case[0] for case in MISTAKES])
def test_a_mistake_is_told_with_its_path(block: Any, expected: list[str]) -> None:
    _, found = schedule.parse(block)
    assert [f"{'.'.join(map(str, one.path))} {one.rule} {one.message}" for one in found] == expected


@pytest.mark.parametrize(
    ("block", "known"),
    [
        ({**START, "duration": "8d", "horizon": "91d"}, True),
        ({**START, "duration": "8d", "zoen": "x"}, True),
        ({**START, "duration": "8d", "repeat": {}}, True),
        ({**START, "duration": 0, "late": "x"}, False),
        ({**START, "duration": "soon"}, False),
        ({"zone": "Europe/London", "start": "2026-03-29T01:30", "duration": "1h", "dst": {"gap": "skip"}, "late": "x"}, False),
    ],
    ids=["horizon", "unknown key", "series", "empty", "no end", "dropped"],
)
def test_a_right_window_is_known_beside_mistakes_elsewhere(block: dict[str, Any], known: bool) -> None:
    timing, found = schedule.parse(block)
    assert found
    assert (timing is not None) is known


def test_an_unknown_zone_has_a_neighbour() -> None:
    _, (mistake,) = schedule.parse({"zone": "Asia/Shangai", **START, "duration": "1h"})
    assert mistake.help == "did you mean Asia/Shanghai?"


@pytest.mark.parametrize("key", ["start", "end"])
def test_a_skipped_time_drops_the_only_window_with_a_warning(key: str) -> None:
    times = {"start": "2026-03-29T00:10", "end": "2026-03-29T03:10", key: "2026-03-29T01:30"}
    timing, (mistake,) = schedule.parse({**LONDON, **times, "dst": {"gap": "skip"}})
    assert timing is None
    assert (mistake.rule, mistake.severity) == ("RC035", Severity.WARNING)


@pytest.mark.parametrize(
    ("local", "policy", "instants"),
    [
        ("2026-03-29T01:30", {}, ["2026-03-29T01:30"]),
        ("2026-03-29T01:30", {"gap": "skip"}, []),
        ("2026-03-29T00:59:59", {}, ["2026-03-29T00:59:59"]),
        ("2026-03-29T02:00", {}, ["2026-03-29T01:00"]),
        ("2026-10-25T01:00", {}, ["2026-10-25T00:00"]),
        ("2026-10-25T01:30", {"fold": "second"}, ["2026-10-25T01:30"]),
        ("2026-10-25T01:30", {"fold": "both"}, ["2026-10-25T00:30", "2026-10-25T01:30"]),
        ("2026-10-25T02:00", {"fold": "both"}, ["2026-10-25T02:00"]),
    ],
)
def test_a_local_time_resolves_by_policy(local: str, policy: dict[str, str], instants: list[str]) -> None:
    found = schedule.resolve(datetime.fromisoformat(local), schedule.zone("Europe/London"), **policy)
    assert found == tuple(map(utc, instants))


@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2037, 1, 1)),
    st.sampled_from(["Europe/London", "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Shanghai"]),
)
def test_an_existing_local_time_shows_itself_on_the_clock(naive: datetime, name: str) -> None:
    zone = schedule.zone(name)
    for instant in schedule.resolve(naive, zone, gap="skip", fold="both"):
        assert instant.astimezone(zone).replace(tzinfo=None) == naive


def test_the_calendar_has_an_end() -> None:
    with pytest.raises(ValueError, match="beyond the calendar"):
        schedule.resolve(datetime.max, schedule.zone("America/New_York"))
    _, (mistake,) = schedule.parse({"zone": "America/New_York", "start": "9999-12-31T22:00", "duration": "1h"})
    assert mistake.rule == "RC035"


def test_every_zone_of_the_database_can_be_loaded() -> None:
    for name in schedule.zone_names():
        assert schedule.zone(name).key == name
    assert schedule.tzdata_version()[:2] == "20"


VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.lists(st.integers(), max_size=2),
                   st.sampled_from(["2026-12-01T08:00", "2026-12-01T08:00Z", "9999-12-31T23:59Z", "0001-01-01T00:00", "1h", "15:00", "Asia/Shanghai", "both"]),
                   st.dictionaries(st.sampled_from(["gap", "fold"]), st.text(max_size=5)))  # fmt: skip


@given(st.dictionaries(st.sampled_from(schedule.KEYS), VALUES))
def test_no_block_crashes(block: dict[str, Any]) -> None:
    timing, found = schedule.parse(block)
    assert timing is not None or found
