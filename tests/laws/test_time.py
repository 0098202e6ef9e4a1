"""What a plan means in time, as laws: any timetable, walked from boundary to boundary on the emulator's clock."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model import Action, Change, Desired, Plan
from reconciler.planner import boundary_of
from tests.scenarios.stage import NOW, Stage

SPECS = {
    "relay": (
        "RelayTask",
        'source: {{url: "http://pull.example.com/live/{n}.flv"}}\n  destination: {{url: "rtmp://push.example.com/live/{n}"}}',
    ),
    "list": (
        "RelayTask",
        'source: {{files: [{{url: "https://vod.example.com/{n}.mp4"}}], loop: forever}}\n  destination: {{url: "rtmp://push.example.com/list/{n}"}}',
    ),
    "recording": (
        "RecordingSession",
        "appId: 661e0000000000000000543c\n  roomId: Room1\n  streams: [{{user: host, type: camera}}]\n"
        '  storage: {{tos: {{accountId: "2100000990", region: cn-beijing, bucket: "b-{n}"}}}}',
    ),
    "segment": (
        "SegmentSession",
        "appId: 661e0000000000000000543c\n  roomId: Room1\n  streams: [{{user: host, type: camera}}]\n  sliceDuration: 30s\n"
        '  storage: {{tos: {{accountId: "2100000990", region: cn-beijing, bucket: "b-{n}"}}}}',
    ),
}
EXAMPLES = int(os.environ.get("RECONCILER_EXAMPLES", "12"))
EDITS = {"relay": ("pull.example.com", "backup.example.com"), "list": ("vod.example.com", "vod2.example.com"), "segment": ("30s", "20s")}


@dataclass(frozen=True)
class Slot:
    """One manifest: what it is, and when, in minutes from the beginning of the walk."""

    spec: str
    start: int
    length: int
    horizon: int
    lead: int
    late: str

    def text(self, n: int) -> str:
        kind, spec = SPECS[self.spec]
        start = NOW + timedelta(minutes=self.start)
        return (
            f"apiVersion: broadcast.reconciler/v1\nkind: {kind}\nmetadata: {{name: {self.spec}-{n}}}\n"
            f"schedule: {{start: {start:%Y-%m-%dT%H:%M:%SZ}, duration: {self.length}m, horizon: {self.horizon}h, lead: {self.lead}m, "
            f"late: {self.late}}}\nspec:\n  {spec.format(n=n)}\n"
        )


SLOTS = st.lists(
    st.builds(
        Slot,
        spec=st.sampled_from(sorted(SPECS)),
        start=st.integers(-300, 3 * 24 * 60),
        length=st.integers(2, 600),
        horizon=st.sampled_from([1, 12, 24, 14 * 24]),
        lead=st.sampled_from([0, 10, 90]),
        late=st.sampled_from(["join", "skip"]),
    ),
    min_size=1,
    max_size=4,
)


@contextmanager
def stage_with(slots: list[Slot]) -> Iterator[Stage]:
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(Path(folder))
        yield declare(stage, slots)
        stage.http.close()


def declare(stage: Stage, slots: list[Slot]) -> Stage:
    return stage.write("---\n".join(slot.text(n) for n, slot in enumerate(slots)))


def now(stage: Stage) -> datetime:
    return stage.clock.now()


def boundary(stage: Stage, wanted: list[Desired]) -> datetime | None:
    """The next instant at which any decision changes by itself."""
    return min((at for want in wanted if (at := boundary_of(want, now(stage)))), default=None)


def until(stage: Stage, instant: datetime) -> None:
    stage.advance(seconds=(instant - now(stage)).total_seconds())


def to_do(plan: Plan) -> list[str]:
    return [f"{change.action.value} {change.address}: {change.reason}" for change in plan.changes if change.changes]


def writes(plan: Plan) -> list[Change]:
    return [change for change in plan.changes if change.writes]


@given(SLOTS, st.floats(0.05, 0.95))
@settings(max_examples=EXAMPLES)
def test_1_and_2_after_apply_nothing_is_left_to_do_before_the_next_boundary_and_no_past_is_created(slots: list[Slot], part: float) -> None:
    with stage_with(slots) as stage:
        wanted = stage.loaded().desired
        for _ in range(20):
            plan = stage.plan()
            for change in plan.changes:
                if change.action is Action.CREATE:
                    end = change.desired.window.end if change.desired and change.desired.window else None
                    assert end is None or end > now(stage), f"{change.address} is over"
            assert stage.apply().exit_code == 0
            following = boundary(stage, wanted)
            if following is None:
                break
            assert to_do(stage.plan()) == []
            for instant in (now(stage) + (following - now(stage)) * part, following - timedelta(seconds=1)):
                if instant > now(stage):
                    until(stage, instant)
                assert to_do(stage.plan()) == [], f"at {now(stage)}, before {following}"
            until(stage, following)
        assert following is None, "every window was walked to its end"
        assert to_do(stage.plan()) == []
        made = [call for call in stage.world.log if call.action in ("CreatePullToPushTask", "StartRecord", "StartSegment") and call.effect]
        assert len(made) <= len(slots), "one object each, for its whole life"


@given(SLOTS, st.integers(0, 20), st.booleans())
@settings(max_examples=EXAMPLES)
def test_4_what_is_on_air_is_not_written_to_unless_it_is_named(slots: list[Slot], step: int, remove: bool) -> None:
    """Manifests are edited, or removed, at some boundary. Nobody names anything."""
    with stage_with(slots) as stage:
        wanted = stage.loaded().desired
        for number in range(24):
            if number == step:
                edit(stage, slots, remove=remove)
            plan = stage.plan()
            for change in writes(plan):
                over = change.entry and change.entry.window and change.entry.window.end and change.entry.window.end <= now(stage)
                assert not change.on_air or over, f"{change.action} {change.address} on air: {change.reason}"
            before = {id for id, body in relays(stage).items() if body["StartTime"] <= now(stage).timestamp() < body["EndTime"]}
            mark = len(stage.world.log)
            stage.apply(allow_delete=99)
            touched = {word for call in list(stage.world.log)[mark:] for word in call.effect.split()}
            assert not before & touched, "the vendor saw a write to a task that was on air"
            following = boundary(stage, wanted)
            if following is None:
                break
            until(stage, following)


WINDOW = st.tuples(st.integers(-60, 600), st.integers(2, 300))


@given(st.sampled_from(sorted(SPECS)), WINDOW, WINDOW, st.integers(1, 600))
@settings(max_examples=EXAMPLES)
def test_a_window_that_is_moved_is_on_air_as_it_stands_now(spec: str, first: tuple[int, int], second: tuple[int, int], moved: int) -> None:
    """Nothing but the rest of the window that had begun goes on beside it. Applied at each of its times, as a runner would."""
    with stage_with([Slot(spec, *first, 24, 0, "join")]) as stage:
        edges = {minute for start, length in (first, second) for minute in (start, start + length)}
        for minute in sorted({0, moved, *(edge for edge in edges if edge > 0)}):
            until(stage, NOW + timedelta(minutes=minute))
            if minute == moved:
                declare(stage, [Slot(spec, *second, 24, 0, "join")])
            cut_short = stage.apply().exit_code == 5
            rest = first[0] <= moved <= minute < sum(first)
            start, length = second if minute >= moved else first
            expected = {1} if start <= minute < start + length else {0, 1} if rest else {0}
            assert running(stage) in expected, f"after {minute} minutes"
            assert rest or not cut_short


def running(stage: Stage) -> int:
    """How many objects are on air."""
    at = now(stage).timestamp()
    tasks = stage.world.data["live"].get("tasks", {}).values()
    runs = [run for runs in stage.world.data["rtc"].get("runs", {}).values() for run in runs]
    relayed = sum(not task["stopped"] and task["body"]["StartTime"] <= at < task["body"]["EndTime"] for task in tasks)
    return relayed + sum(not run.get("ended") and not run.get("stopping") for run in runs)


def relays(stage: Stage) -> dict[str, dict[str, int]]:
    return {id: task["body"] for id, task in stage.world.data["live"].get("tasks", {}).items()}


def edit(stage: Stage, slots: list[Slot], *, remove: bool) -> None:
    file = stage.root / "manifests.yaml"
    text = file.read_text()
    for old, new in EDITS.values():
        text = text.replace(old, new)
    documents = text.split("---\n")
    file.write_text("---\n".join(documents[1:] if remove and len(documents) > 1 else documents))


@given(SLOTS, st.sampled_from([1, 6, 48]), st.sampled_from([72, 24 * 14]))
@settings(max_examples=EXAMPLES)
def test_6_a_short_horizon_and_then_a_long_one_end_where_the_long_one_ends(slots: list[Slot], short: int, long: int) -> None:
    def made(*horizons: int) -> list[tuple[object, ...]]:
        with stage_with(slots) as stage:
            for hours in horizons:
                declare(stage, [Slot(one.spec, one.start, one.length, hours, one.lead, one.late) for one in slots])
                stage.apply()
            return sorted((body["DstAddr"], body["EndTime"]) for body in relays(stage).values())

    assert made(short, long) == made(long)


@given(SLOTS, st.integers(0, 2**32))
@settings(max_examples=EXAMPLES)
def test_8_the_order_of_documents_and_files_does_not_change_the_plan(slots: list[Slot], seed: int) -> None:
    draw = random.Random(seed)
    documents = [slot.text(n) for n, slot in enumerate(slots)]
    with stage_with(slots) as stage:
        first = stage.plan(now=NOW)
        (stage.root / "manifests.yaml").unlink()
        draw.shuffle(documents)
        cut = draw.randint(0, len(documents))
        for name, part in (("z.yaml", documents[:cut]), ("a.yaml", documents[cut:])):
            stage.write("---\n".join(part) or "# nothing\n", name)
        second = stage.plan(now=NOW)
    told = [[(one.address, one.action, one.reason, one.fields, one.boundary) for one in plan.changes] for plan in (first, second)]
    assert told[0] == told[1]
    assert first.valid_until == second.valid_until
