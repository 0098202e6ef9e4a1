"""Streams that do not raise, colour that is decided once, and the narration of an apply."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.model import Action, Address, Change, Event, Outcome, Result
from reconciler.render.tables import pairs, table
from reconciler.render.terminal import Progress, tolerant, wants_color
from tests.render.samples import HOSTILE, LOOK, NOW

A = Address("RelayTask", "a")


@pytest.mark.parametrize("encoding", ["gbk", "cp437", "ascii"])
@pytest.mark.parametrize("ascii_only", [False, True])
def test_no_character_kills_a_stream(encoding: str, ascii_only: bool) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    tolerant(stream, ascii_only=ascii_only)
    stream.write("✓ 早间 é \U0001f600 plain")
    stream.flush()
    shown = raw.getvalue()
    assert shown.endswith(b"plain")
    assert not ascii_only or shown.isascii()


@pytest.mark.parametrize(
    ("choice", "env", "terminal", "color"),
    [
        ("auto", {}, True, True),
        ("auto", {}, False, False),
        ("auto", {"NO_COLOR": "1"}, True, False),
        ("auto", {"NO_COLOR": ""}, True, True),
        ("auto", {"FORCE_COLOR": "1"}, False, True),
        ("auto", {"FORCE_COLOR": "0"}, False, False),
        ("auto", {"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
        ("auto", {"TERM": "dumb"}, True, False),
        ("always", {"NO_COLOR": "1"}, False, True),
        ("never", {"FORCE_COLOR": "1"}, True, False),
    ],
)
def test_colour(choice: str, env: dict[str, str], terminal: bool, color: bool) -> None:
    assert wants_color(choice, env, terminal=terminal) is color


def events() -> list[Event]:
    change = Change(A, Action.CREATE, "new")
    later = NOW + timedelta(seconds=38)
    return [
        Event("apply_start", NOW, A, "create"),
        Event("apply_progress", NOW + timedelta(seconds=10), A, "create", "processing", 0.62),
        Event("apply_progress", NOW + timedelta(seconds=11), A, "create", "processing", 0.63),
        Event("apply_complete", later, A, "create", "created", result=Result(change, Outcome.DONE, seconds=38, request_id="q1")),
    ]


def test_in_ci_there_is_a_line_for_each_event_that_says_something_new() -> None:
    out = io.StringIO()
    progress = Progress(out, LOOK, live=False)
    for event in events():
        progress.event(event)
    assert out.getvalue() == (
        "21:40:00 start     + RelayTask/a\n"
        "21:40:10 wait      + RelayTask/a  10 s  62%  processing\n"
        "21:40:38 done      + RelayTask/a  38 s  created\n"
    )


def test_on_a_terminal_the_block_is_redrawn_and_taken_away() -> None:
    out = io.StringIO()
    progress = Progress(out, replace(LOOK, width=60), live=True, total=1)
    for event in events():
        progress.event(event)
    progress.close()
    screen = played(out.getvalue())
    assert screen == ["done      + RelayTask/a  38 s  created", ""]


def test_while_it_runs_the_block_tells_what_and_how_far() -> None:
    out = io.StringIO()
    progress = Progress(out, replace(LOOK, width=60), live=True, total=1)
    for event in events()[:2]:
        progress.event(event)
    assert played(out.getvalue()) == ["running   + RelayTask/a  10 s  62%  processing", "[0/1 done, 0 failed]", ""]


def test_the_block_never_grows_beyond_the_screen() -> None:
    out = io.StringIO()
    progress = Progress(out, replace(LOOK, width=60), live=True, height=10)
    for index in range(50):
        progress.event(Event("apply_start", NOW, Address("RelayTask", f"r{index}"), "create", HOSTILE))
    screen = played(out.getvalue())
    assert len(screen) <= 10
    assert "        and 44 more" in screen


def played(written: str) -> list[str]:
    """What a terminal shows after the cursor moves of `written`; knows `up N lines` and `clear below` only."""
    import re

    lines = [""]
    for part in re.split(r"(\x1b\[\d+F\x1b\[J)", written):
        if found := re.fullmatch(r"\x1b\[(\d+)F\x1b\[J", part):
            del lines[len(lines) - 1 - int(found[1]) :]
            lines.append("")
            continue
        first, *rest = part.split("\n")
        lines[-1] += first
        lines += rest
    return lines


def test_tables_align_by_cells_and_leave_out_empty_columns() -> None:
    shown = table(("NAME", "EMPTY", "ID"), [("早间", "", "1"), ("ab", "", HOSTILE)], LOOK)
    assert shown[0] == "NAME  ID"
    assert shown[1] == "早间  1"
    assert all(line.isprintable() for line in shown)


def test_pairs_leave_out_what_is_not_known() -> None:
    assert pairs([("address", "x"), ("id", ""), ("n", 3)], LOOK) == ["address  x", "n        3"]
