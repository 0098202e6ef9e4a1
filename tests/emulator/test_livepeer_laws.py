"""Laws of the emulated Livepeer Studio that hold for every list, every window and every order of events."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from hypothesis import example, given, settings
from hypothesis import strategies as some

from reconciler.emulator import specs
from reconciler.emulator.livepeer_rows import page

from .studio import NOW_MS, START, Studio

FIELDS = specs.load("livepeer").raw["lists"]["asset"]["fields"]
DAY_MS = 86_400_000

rows = some.lists(
    some.fixed_dictionaries(
        {
            "id": some.text("0123456789abcdef", min_size=4, max_size=4),
            "createdAt": some.integers(0, 5),
            "name": some.sampled_from(["a", "b", "B", "a%", "_"]),
            "status": some.fixed_dictionaries({"updatedAt": some.integers(0, 3)}),
        },
        optional={"creatorId": some.fixed_dictionaries({"value": some.sampled_from(["x", "y"])})},
    ),
    max_size=30,
    unique_by=lambda row: row["id"],
)
orders = some.lists(some.sampled_from(["createdAt", "updatedAt", "name", "creatorId", "bogus"]), max_size=3).flatmap(
    lambda names: some.tuples(*(some.sampled_from([f"{name}-true", f"{name}-false"]) for name in names)).map(",".join)
)


@given(rows=rows, order=orders, limit=some.integers(1, 9))
def test_following_the_cursor_visits_every_row_once_in_order(rows: list[dict[str, Any]], order: str, limit: int) -> None:
    asked = {"order": order, "limit": str(limit)}
    visited: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        found = page(rows, {**asked, "cursor": cursor}, fields=FIELDS, order="updatedAt-true,createdAt-true")
        assert len(found.rows) <= limit
        assert (found.cursor is not None) is (len(found.rows) == limit)
        visited += found.rows
        cursor = found.cursor
    whole = page(rows, {**asked, "limit": "1000"}, fields=FIELDS, order="updatedAt-true,createdAt-true")
    assert visited == whole.rows
    assert whole.total == len(rows) == len({row["id"] for row in visited})


@given(rows=rows, name=some.text("abB%_\\", max_size=3))
def test_a_substring_filter_never_invents_rows(rows: list[dict[str, Any]], name: str) -> None:
    """What has the text as it stands is found, unless the text holds a character that ILIKE reads in its own way."""
    filters = quote(json.dumps([{"id": "name", "value": name}]), safe="")
    found = page(rows, {"filters": filters, "limit": "1000"}, fields=FIELDS, order="id-false").rows
    assert all(row in rows for row in found)
    literal = [row for row in rows if name.lower() in row["name"].lower()]
    if not set(name) & set("%_\\"):
        assert sorted(row["id"] for row in found) == sorted(row["id"] for row in literal)
    elif "\\" not in name:
        assert {row["id"] for row in literal} <= {row["id"] for row in found}


windows = some.tuples(
    some.one_of(some.integers(NOW_MS - 8 * DAY_MS, NOW_MS + 600_000), some.just(5), some.just(1_772_366_400), some.just(START + 0.5)),
    some.integers(1, 60_000),
)
outcomes = some.sampled_from(["ready", "failed", "stuck-waiting", "stuck-processing"])
steps = some.lists(some.floats(0.001, 200), min_size=1, max_size=12)
RANK = {"waiting": 0, "processing": 1, "ready": 2, "failed": 2}


@settings(max_examples=60, deadline=None)
@given(window=windows, outcome=outcomes, steps=steps)
@example(window=(NOW_MS + 300_000, 1_000), outcome="ready", steps=[100.0] * 5)
def test_time_only_counts_by_its_sum_and_never_runs_back(window: tuple[float, int], outcome: str, steps: list[float]) -> None:
    often, once = (Studio(clip_outcome=outcome) for _ in range(2))
    body = {"startTime": window[0], "endTime": window[0] + window[1]}
    ids = often.clip(**body)
    assert once.clip(**body) == ids
    before: dict[str, Any] = often.asset(ids[0])["status"]
    for step in steps:
        often.wait(step)
        status = often.asset(ids[0])["status"]
        assert RANK[status["phase"]] >= RANK[before["phase"]]
        assert status["updatedAt"] >= before["updatedAt"]
        if status["phase"] == "processing":
            assert 0 <= before.get("progress", 0) <= status["progress"] < 1
        before = status
    once.world.clock.set(often.world.clock.now_ms())
    assert often.asset(ids[0]) == once.asset(ids[0])
    assert often.task(ids[1]) == once.task(ids[1])


@settings(deadline=None)
@given(window=windows.filter(lambda each: each[0] > 10**12 and isinstance(each[0], int)))
def test_a_ready_clip_is_never_longer_than_its_window_unless_it_lies_before_the_session(window: tuple[int, int]) -> None:
    studio = Studio()
    start, end = window[0], window[0] + window[1]
    asset_id, _ = studio.clip(startTime=start, endTime=end)
    studio.wait(700)
    asset = studio.asset(asset_id)
    if asset["status"]["phase"] == "failed":
        assert start > NOW_MS  # it was still to come for six minutes
    elif end <= NOW_MS - 7 * DAY_MS:
        assert asset["videoSpec"]["duration"] == 2.0
    else:
        assert 0 <= asset["videoSpec"]["duration"] <= window[1] / 1000


deeds = some.lists(
    some.tuples(some.sampled_from(["clip", "delete", "restore", "retry", "patch", "wait", "fail"]), some.integers(0, 9)),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(deeds=deeds)
def test_the_oracle_counts_what_is_alive(deeds: list[tuple[str, int]]) -> None:
    """After any story: a clip is alive in the ledger exactly when it is neither failed nor deleted."""
    studio = Studio(throttle_in_flight="1000", failure_seconds="1")
    made: list[str] = []
    for deed, number in deeds:
        if deed in ("clip", "fail"):
            studio.world.set_switches({"livepeer.clip_outcome": "ready" if deed == "clip" else "failed"})
            made.append(studio.clip(startTime=START + number % 3)[0])
        elif deed == "wait":
            studio.wait(number * 30)
        elif made:
            path = f"/asset/{made[number % len(made)]}"
            method = {"delete": "DELETE", "patch": "PATCH"}.get(deed, "POST")
            suffix = f"/{deed}" if method == "POST" else ""
            studio.send(method, path + suffix, {"name": str(number)} if deed == "patch" else None)
        rows = studio.world.data["livepeer"]["asset"]
        alive = {
            asset_id
            for asset_id, row in rows.items()
            if not row.get("deleted") and row["status"]["phase"] in ("waiting", "processing", "ready")
        }
        assert {each for ids in studio.living().values() for each in ids} == alive
        shown = {row["id"] for row in studio.get("/asset?limit=1000")[1]}
        assert shown == {asset_id for asset_id, row in studio.world.data["livepeer"]["asset"].items() if "deleted" not in row}
