"""The decision tables of the planner, one row a cell: phase of the wanted window × stage of the live object -> action."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from reconciler import planner
from reconciler.model import (
    Action,
    Address,
    Change,
    Desired,
    Entry,
    Evidence,
    Intent,
    Kind,
    Late,
    Lifecycle,
    Match,
    Need,
    Observed,
    OnAirChange,
    Phase,
    Place,
    Presence,
    Scheduling,
    Sealed,
    Secret,
    Stage,
    Timing,
    Verb,
    Window,
)

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
HERE = Address("Thing", "one")


class Thing(Kind):
    name = "Thing"
    vendor = "nowhere"

    def __init__(self, scheduling: Scheduling) -> None:
        self.scheduling = scheduling  # type: ignore[misc]
        self.observable = timedelta(hours=72) if scheduling is Scheduling.RUNNER else None  # type: ignore[misc]

    def replaces(self, path: str, want: Desired, live: Observed) -> bool:
        return path == "spec.group"

    def interrupts(self, path: str) -> bool:
        return path != "spec.title"


VENDOR, RUNNER, RETRO = (Thing(scheduling) for scheduling in Scheduling)


def seal(secret: Secret) -> Sealed:
    return Sealed(secret.reveal(), secret.shown)


SETTING = planner.Setting(now=NOW, seal=seal)
WINDOWS = {
    Phase.BEYOND: Window(NOW + timedelta(days=20), NOW + timedelta(days=20, hours=1)),
    Phase.UPCOMING: Window(NOW + HOUR, NOW + 2 * HOUR),
    Phase.IMMINENT: Window(NOW + timedelta(minutes=5), NOW + HOUR),
    Phase.ON_AIR: Window(NOW - HOUR, NOW + HOUR),
    Phase.ENDED: Window(NOW - 2 * HOUR, NOW - HOUR),
}


def wanted(phase: Phase | None, *, values: dict | None = None, life: Lifecycle = Lifecycle(), late: Late = Late.JOIN) -> Desired:
    timing = Timing(WINDOWS[phase], late=late) if phase else None
    return Desired(HERE, values or {"title": "a", "enabled": True}, Place("m.yaml", 3), timing=timing, lifecycle=life)


def live(stage: Stage, *, window: Window | None = None, values: dict | None = None, match: Match = Match.LEDGER, **more) -> Observed:
    presence = Presence.ENDED if stage is Stage.ENDED else Presence.LIVE
    if stage is Stage.STOPPED and values is None:
        values = {"title": "a", "enabled": False}
    return Observed(
        HERE, presence, "id-1", values=values or {"title": "a", "enabled": True}, stage=stage, window=window, match=match, **more
    )


ABSENT = Observed(HERE, Presence.ABSENT)


def entry(window: Window | None = None, **more) -> Entry:
    return Entry(HERE, "default", "id-1", "identity", window=window, applied={"title": "a", "enabled": True}, **more)


def decide(kind: Kind, want: Desired | None, seen: Observed, known: Entry | None = None, *, allow: tuple[str, ...] = (), **setting):
    return planner.decide(planner.Case(HERE, kind, want, seen, known, None, replace(SETTING, allow_on_air=allow, **setting)))


DIFFERENT = {"title": "b", "enabled": True}
MOVED = {"title": "a", "enabled": True, "source": "new"}
OTHER_GROUP = {"title": "a", "enabled": True, "group": "g2"}


@pytest.mark.parametrize("kind", [VENDOR, RUNNER, RETRO], ids=lambda kind: kind.scheduling.value)
@pytest.mark.parametrize("phase", [None, *Phase])
@pytest.mark.parametrize("stage", list(Stage))
def test_what_is_at_rest_is_what_would_be_left_alone_without_a_word(kind: Thing, phase: Phase | None, stage: Stage) -> None:
    want = wanted(phase)
    sent = Intent("i-1", HERE, "default", Verb.UPDATE, "Update", "identity", 1, NOW, NOW + HOUR)
    seen_as = [
        Observed(HERE, presence, id, values, unread, window, stage, match, also, same_body, warnings=warnings)
        for presence in Presence
        for id, values, unread, match, also, same_body, warnings in [
            ("id-1", want.values, frozenset(), Match.LEDGER, (), False, ()),
            ("id-0", want.values, frozenset(), Match.LEDGER, (), False, ()),
            ("id-1", DIFFERENT, frozenset(), Match.LEDGER, (), False, ()),
            ("id-1", want.values, frozenset({"title"}), Match.LEDGER, (), False, ()),
            ("id-1", want.values, frozenset(), Match.MARK, (), False, ()),
            ("id-1", want.values, frozenset(), Match.TWIN, (), False, ()),
            ("id-1", want.values, frozenset(), Match.LEDGER, ("id-2",), True, ()),
            ("id-1", want.values, frozenset(), Match.LEDGER, ("id-2",), False, ()),
            ("id-1", want.values, frozenset(), Match.LEDGER, (), False, ("a warning",)),
        ]
        for window in {want.window, None, *WINDOWS.values()}
    ]
    known_as = [
        None,
        entry(want.window),
        entry(WINDOWS[Phase.UPCOMING]),
        entry(want.window, changed=NOW, protect=True),
        entry(want.window, former=replace(entry(), id="id-0")),
        replace(entry(want.window), account="other"),
        replace(entry(want.window), address=Address("Thing", "earlier")),
    ]
    resting = 0
    for seen, known, intent in itertools.product(seen_as, known_as, (None, sent)):
        case = planner.Case(HERE, kind, want, seen, known, intent, SETTING)
        if planner.at_rest(case):
            (change,) = planner.decisions([case])
            assert (change.action, change.warnings) == (Action.NOOP, ()), f"{seen} {known}"
            resting += 1
    calm = {Stage.WAITING: (Phase.BEYOND, Phase.UPCOMING, Phase.IMMINENT), Stage.ON_AIR: (Phase.ON_AIR,)}
    assert bool(resting) is (kind is VENDOR and phase in calm.get(stage, ()))


@pytest.mark.parametrize(
    ("phase", "stage", "values", "expected"),
    [
        # phase, live stage (None: no object), live values, action
        (Phase.BEYOND, None, None, Action.WAIT),
        (Phase.UPCOMING, None, None, Action.CREATE),
        (Phase.IMMINENT, None, None, Action.CREATE),
        (Phase.ON_AIR, None, None, Action.CREATE),
        (Phase.ENDED, None, None, Action.NOOP),
        (Phase.BEYOND, Stage.WAITING, None, Action.NOOP),
        (Phase.UPCOMING, Stage.WAITING, None, Action.NOOP),
        (Phase.IMMINENT, Stage.WAITING, None, Action.NOOP),
        (Phase.ON_AIR, Stage.WAITING, None, Action.NOOP),
        (Phase.ENDED, Stage.WAITING, None, Action.DELETE),
        (Phase.BEYOND, Stage.WAITING, DIFFERENT, Action.UPDATE),
        (Phase.UPCOMING, Stage.WAITING, DIFFERENT, Action.UPDATE),
        (Phase.IMMINENT, Stage.WAITING, DIFFERENT, Action.UPDATE),
        (Phase.ON_AIR, Stage.WAITING, DIFFERENT, Action.UPDATE),
        (Phase.ENDED, Stage.WAITING, DIFFERENT, Action.DELETE),
        (Phase.UPCOMING, Stage.WAITING, OTHER_GROUP, Action.REPLACE),
        (Phase.ON_AIR, Stage.ON_AIR, None, Action.NOOP),
        (Phase.ON_AIR, Stage.ON_AIR, DIFFERENT, Action.WAIT),
        (Phase.ON_AIR, Stage.ON_AIR, OTHER_GROUP, Action.WAIT),
        (Phase.ENDED, Stage.ON_AIR, None, Action.STOP),
        (Phase.ENDED, Stage.ON_AIR, DIFFERENT, Action.STOP),
        (Phase.BEYOND, Stage.STOPPED, None, Action.NOOP),
        (Phase.UPCOMING, Stage.STOPPED, None, Action.START),
        (Phase.IMMINENT, Stage.STOPPED, None, Action.START),
        (Phase.ON_AIR, Stage.STOPPED, None, Action.START),
        (Phase.ENDED, Stage.STOPPED, None, Action.NOOP),
        (Phase.BEYOND, Stage.ENDED, None, Action.WAIT),
        (Phase.UPCOMING, Stage.ENDED, None, Action.REPLACE),
        (Phase.IMMINENT, Stage.ENDED, None, Action.REPLACE),
        (Phase.ON_AIR, Stage.ENDED, None, Action.REPLACE),
        (Phase.ENDED, Stage.ENDED, None, Action.NOOP),
    ],
)
def test_vendor_scheduled(phase: Phase, stage: Stage | None, values: dict | None, expected: Action) -> None:
    window = WINDOWS[phase]
    if stage is Stage.ENDED:
        window = WINDOWS[Phase.ENDED]
    seen = live(stage, window=window, values=values) if stage else ABSENT
    assert decide(VENDOR, wanted(phase), seen, entry(window) if stage else None).action is expected


@pytest.mark.parametrize(
    ("phase", "stage", "expected"),
    [
        (Phase.BEYOND, None, Action.WAIT),
        (Phase.UPCOMING, None, Action.WAIT),
        (Phase.IMMINENT, None, Action.WAIT),
        (Phase.ON_AIR, None, Action.CREATE),
        (None, None, Action.CREATE),
        (Phase.ENDED, None, Action.NOOP),
        (Phase.UPCOMING, Stage.ON_AIR, Action.NOOP),
        (Phase.ON_AIR, Stage.ON_AIR, Action.NOOP),
        (None, Stage.WAITING, Action.NOOP),
        (Phase.ENDED, Stage.ON_AIR, Action.STOP),
        (Phase.ON_AIR, Stage.ENDED, Action.NOOP),
        (None, Stage.ENDED, Action.NOOP),
        (Phase.ENDED, Stage.ENDED, Action.NOOP),
    ],
)
def test_runner_scheduled(phase: Phase | None, stage: Stage | None, expected: Action) -> None:
    seen = live(stage) if stage else ABSENT
    assert decide(RUNNER, wanted(phase), seen, entry() if stage else None).action is expected


def test_an_ended_session_is_started_again_when_asked() -> None:
    change = decide(RUNNER, wanted(None, life=Lifecycle(restart_on_end=True)), live(Stage.ENDED, detail="IdleTimeOut"), entry())
    assert change.action is Action.START
    assert "IdleTimeOut" in change.reason


def test_an_ended_session_that_is_left_is_told_and_no_change() -> None:
    change = decide(RUNNER, wanted(Phase.ON_AIR), live(Stage.ENDED, detail="IdleTimeOut"), entry())
    assert (change.action, change.changes) == (Action.NOOP, False)
    assert change.warnings == ("ended (IdleTimeOut), not restarted: onEnd: leave",)


def test_an_ended_session_that_was_edited_is_started_anew() -> None:
    assert decide(RUNNER, wanted(None, values=MOVED), live(Stage.ENDED), entry()).action is Action.REPLACE


@pytest.mark.parametrize(
    ("want", "expected"),
    [(wanted(None), Action.NOOP), (wanted(Phase.ENDED), Action.STOP), (None, Action.BLOCKED)],
    ids=["kept", "stopped when its window is over", "removal needs a person"],
)
def test_a_session_older_than_the_reads_reach_is_never_taken_for_absent(want: Desired | None, expected: Action) -> None:
    known = entry(started=NOW - timedelta(hours=80))
    assert decide(RUNNER, want, ABSENT, known).action is expected


def test_a_running_session_takes_a_harmless_update_at_once_when_it_has_no_window() -> None:
    assert decide(RUNNER, wanted(None, values=DIFFERENT), live(Stage.ON_AIR), entry()).action is Action.UPDATE


@pytest.mark.parametrize(
    ("policy", "allow", "expected"),
    [
        (OnAirChange.DEFER, (), Action.BLOCKED),
        (OnAirChange.DEFER, ("Thing/one",), Action.BLOCKED),
        (OnAirChange.APPLY, (), Action.BLOCKED),
        (OnAirChange.APPLY, ("Thing/one",), Action.DELETE),
    ],
)
def test_removing_a_session_without_end_needs_policy_and_flag(policy: OnAirChange, allow: tuple[str, ...], expected: Action) -> None:
    change = decide(RUNNER, None, live(Stage.ON_AIR), entry(on_air_change=policy), allow=allow)
    assert change.action is expected


def test_a_change_on_air_without_end_needs_a_line_of_the_manifest_and_a_flag() -> None:
    change = decide(RUNNER, wanted(None, values=MOVED), live(Stage.ON_AIR), entry(), allow=ALLOWED)
    assert (change.action, change.wanted) == (Action.BLOCKED, Action.UPDATE)
    assert (change.needs.field, change.needs.text) == (
        "lifecycle.onAirChange",
        "lifecycle.onAirChange: apply, and --allow-on-air Thing/one",
    )


@pytest.mark.parametrize(
    ("policy", "values", "allow", "expected", "refused"),
    [
        (OnAirChange.DEFER, MOVED, (), Action.WAIT, False),
        (OnAirChange.DEFER, MOVED, ("Thing/one",), Action.UPDATE, False),
        (OnAirChange.APPLY, MOVED, (), Action.BLOCKED, False),
        (OnAirChange.APPLY, MOVED, ("Thing/one",), Action.UPDATE, False),
        (OnAirChange.APPLY, DIFFERENT, (), Action.UPDATE, False),
        (OnAirChange.REFUSE, DIFFERENT, (), Action.BLOCKED, True),
        (OnAirChange.APPLY, OTHER_GROUP, ("Thing/two",), Action.BLOCKED, False),
        (OnAirChange.APPLY, OTHER_GROUP, ("Thing/one",), Action.REPLACE, False),
    ],
)
def test_on_air_policies(policy: OnAirChange, values: dict, allow: tuple[str, ...], expected: Action, refused: bool) -> None:
    window = WINDOWS[Phase.ON_AIR]
    change = decide(
        VENDOR,
        wanted(Phase.ON_AIR, values=values, life=Lifecycle(on_air_change=policy)),
        live(Stage.ON_AIR, window=window),
        entry(window),
        allow=allow,
    )
    assert (change.action, change.refused) == (expected, refused)


@pytest.mark.parametrize(("late", "expected"), [(Late.JOIN, Action.CREATE), (Late.SKIP, Action.NOOP), (Late.FAIL, Action.BLOCKED)])
def test_late(late: Late, expected: Action) -> None:
    assert decide(VENDOR, wanted(Phase.ON_AIR, late=late), ABSENT).action is expected


@pytest.mark.parametrize(
    ("seconds", "reason"),
    [
        (-0.5, "new, begins in less than a second"),
        (-1, "new, begins in 1s"),
        (0, "its window has begun; joins less than a second late, ends as declared"),
        (0.9, "its window has begun; joins less than a second late, ends as declared"),
        (90, "its window has begun; joins 1m30s late, ends as declared"),
    ],
)
def test_how_late_is_told_in_whole_seconds(seconds: float, reason: str) -> None:
    late = replace(wanted(Phase.ON_AIR), timing=Timing(Window(NOW - timedelta(seconds=seconds), NOW + HOUR)))
    assert decide(VENDOR, late, ABSENT).reason == reason


@pytest.mark.parametrize(
    ("seen", "known", "expected"),
    [
        (ABSENT, entry(), Action.FORGET),
        (live(Stage.WAITING, window=WINDOWS[Phase.UPCOMING]), entry(WINDOWS[Phase.UPCOMING]), Action.DELETE),
        (live(Stage.ON_AIR, window=WINDOWS[Phase.ON_AIR]), entry(WINDOWS[Phase.ON_AIR]), Action.WAIT),
        (live(Stage.STOPPED, window=WINDOWS[Phase.ON_AIR]), entry(WINDOWS[Phase.ON_AIR]), Action.DELETE),
        (live(Stage.ENDED), entry(WINDOWS[Phase.ENDED]), Action.FORGET),
        (live(Stage.WAITING), entry(protect=True), Action.BLOCKED),
        (live(Stage.WAITING), entry(retain=True), Action.FORGET),
    ],
    ids=["gone", "not begun", "on air waits for its end", "stopped", "ended", "protected", "retained"],
)
def test_in_no_manifest(seen: Observed, known: Entry, expected: Action) -> None:
    assert decide(VENDOR, None, seen, known).action is expected


@pytest.mark.parametrize(
    ("window", "until"),
    [
        (WINDOWS[Phase.UPCOMING], NOW + HOUR),
        (WINDOWS[Phase.ON_AIR], NOW + HOUR),
        (WINDOWS[Phase.ENDED], None),
        (Window(NOW - HOUR), None),
        (None, None),
    ],
    ids=["goes on air", "its window ends", "over", "without end", "no window"],
)
def test_a_removal_holds_until_its_object_goes_on_air_or_ends(window: Window | None, until: datetime | None) -> None:
    assert decide(VENDOR, None, live(Stage.WAITING, window=window), entry(window)).boundary == until


@pytest.mark.parametrize("match", [Match.LEDGER, Match.MARK])
def test_what_has_the_name_of_ours_and_another_body_is_told_of_and_left(match: Match) -> None:
    seen = live(Stage.WAITING, window=WINDOWS[Phase.UPCOMING], match=match, also=("id-2", "id-3"))
    change = decide(VENDOR, wanted(Phase.UPCOMING), seen, entry() if match is Match.LEDGER else None)
    assert change.warnings == ("id-2, id-3: under the name of id-1, and not the same; nothing here touches it, delete it at the vendor",)
    same = decide(VENDOR, wanted(Phase.UPCOMING), replace(seen, same_body=True), entry())
    assert not same.warnings, "an exact copy is deleted"


@pytest.mark.parametrize(("left", "action"), [(60, Action.NOOP), (61, Action.REPLACE)])
def test_a_relay_that_ends_in_the_last_minute_of_its_window_is_left(left: int, action: Action) -> None:
    window = Window(NOW - HOUR, NOW + timedelta(seconds=left))
    want = replace(wanted(Phase.ON_AIR), timing=Timing(window))
    assert decide(VENDOR, want, live(Stage.ENDED, window=window), entry(window)).action is action


@pytest.mark.parametrize("protect", [False, True])
def test_what_ended_early_and_is_not_to_be_joined_late_is_left_also_where_it_is_protected(protect: bool) -> None:
    ended = live(Stage.ENDED, window=WINDOWS[Phase.ON_AIR])
    change = decide(VENDOR, wanted(Phase.ON_AIR, late=Late.SKIP, life=Lifecycle(protect=protect)), ended, entry(WINDOWS[Phase.ON_AIR]))
    assert change.action is Action.NOOP
    assert change.reason == "the vendor ended it early; late: skip"


def test_a_twin_blocks_with_the_command_that_adopts_it() -> None:
    change = decide(VENDOR, wanted(Phase.UPCOMING), live(Stage.WAITING, match=Match.TWIN))
    assert change.action is Action.BLOCKED
    assert change.needs == Need("adopt it: reconciler import Thing/one id-1", command="reconciler import Thing/one id-1")


def test_an_ended_twin_is_nobodys_business() -> None:
    assert decide(VENDOR, wanted(Phase.UPCOMING), live(Stage.ENDED, match=Match.TWIN)).action is Action.CREATE


def test_our_mark_without_a_ledger_is_adopted() -> None:
    seen = live(Stage.WAITING, match=Match.MARK, window=WINDOWS[Phase.UPCOMING])
    assert decide(VENDOR, wanted(Phase.UPCOMING), seen).action is Action.ADOPT


def test_an_unknown_result_blocks_its_address() -> None:
    intent = Intent("i", HERE, "default", Verb.CREATE, "CreateThing", "identity", 1, NOW, NOW + HOUR)
    change = planner.decide(planner.Case(HERE, VENDOR, wanted(Phase.UPCOMING), ABSENT, None, intent, SETTING))
    assert change.action is Action.BLOCKED
    assert change.unsettled
    assert change.needs == Need("reconciler refresh Thing/one", command="reconciler refresh Thing/one")


def test_a_window_cut_short_on_air_is_guarded_and_an_overrun_is_not() -> None:
    running = live(Stage.ON_AIR, window=WINDOWS[Phase.ON_AIR])
    cut = decide(VENDOR, wanted(Phase.ENDED), running, entry(WINDOWS[Phase.ON_AIR]))
    overrun = decide(VENDOR, wanted(Phase.ENDED), running, entry(WINDOWS[Phase.ENDED]))
    assert (cut.action, cut.wanted) == (Action.BLOCKED, Action.STOP)
    assert overrun.action is Action.STOP


def test_the_start_is_compared_until_it_has_begun() -> None:
    later = Window(NOW + 2 * HOUR, NOW + 3 * HOUR)
    waiting = decide(VENDOR, wanted(Phase.UPCOMING), live(Stage.WAITING, window=later), entry(later))
    assert [one.path for one in waiting.fields] == ["schedule.start", "schedule.end"]
    joined = Window(NOW - timedelta(minutes=10), NOW + HOUR)
    assert decide(VENDOR, wanted(Phase.ON_AIR), live(Stage.ON_AIR, window=joined), entry(joined)).action is Action.NOOP
    ahead = Window(NOW + timedelta(seconds=2), NOW + HOUR)  # another runner's clock let it join, and the vendor shows it on air
    change = decide(VENDOR, wanted(Phase.ON_AIR), live(Stage.ON_AIR, window=ahead), entry(ahead))
    assert (change.action, change.warnings) == (Action.NOOP, ())


def test_a_window_that_the_vendor_does_not_tell_is_compared_with_the_one_last_applied() -> None:
    now, longer = WINDOWS[Phase.UPCOMING], Window(WINDOWS[Phase.UPCOMING].start, NOW + 3 * HOUR)
    untold = live(Stage.WAITING)
    assert decide(VENDOR, wanted(Phase.UPCOMING), untold, entry(now)).action is Action.NOOP
    change = decide(VENDOR, wanted(Phase.UPCOMING), untold, entry(longer))
    assert (change.action, change.evidence) == (Action.UPDATE, Evidence.LEDGER)
    assert [(one.path, one.before, one.after) for one in change.fields] == [("schedule.end", longer.end, now.end)]
    assert decide(VENDOR, wanted(Phase.UPCOMING), untold).fields == (), "nothing is known of it"


EARLIER = Window(NOW - HOUR, NOW + timedelta(minutes=30))  # on air now; WINDOWS[UPCOMING] begins half an hour after its end


@pytest.mark.parametrize(
    ("policy", "allow", "expected"),
    [
        (OnAirChange.DEFER, (), Action.WAIT),
        (OnAirChange.REFUSE, (), Action.BLOCKED),
        (OnAirChange.APPLY, (), Action.BLOCKED),
        (OnAirChange.APPLY, (str(HERE),), Action.REPLACE),
    ],
)
def test_what_is_on_air_is_not_carried_on_into_a_later_window(policy: OnAirChange, allow: tuple[str, ...], expected: Action) -> None:
    want = wanted(Phase.UPCOMING, life=Lifecycle(on_air_change=policy))
    change = decide(VENDOR, want, live(Stage.ON_AIR, window=EARLIER), entry(EARLIER), allow=allow)
    assert change.action is expected
    assert [one.path for one in change.fields] == ["schedule.start", "schedule.end"]
    assert change.off_air == (0 if expected is Action.WAIT else 1800)


def test_a_window_moved_on_without_a_gap_is_an_extension() -> None:
    overlapping = Window(NOW - HOUR, WINDOWS[Phase.UPCOMING].start)
    change = decide(VENDOR, wanted(Phase.UPCOMING), live(Stage.ON_AIR, window=overlapping), entry(overlapping))
    assert (change.action, [one.path for one in change.fields]) == (Action.UPDATE, ["schedule.end"])


@pytest.mark.parametrize("phase", [Phase.BEYOND, Phase.UPCOMING, Phase.IMMINENT])
def test_what_was_stopped_goes_on_with_its_new_window_and_not_before(phase: Phase) -> None:
    change = decide(VENDOR, wanted(phase), live(Stage.STOPPED, window=EARLIER), entry(EARLIER))
    assert change.action is Action.UPDATE
    assert "schedule.start" in [one.path for one in change.fields]


@pytest.mark.parametrize(
    ("phase", "ran", "policy", "allow", "expected"),
    [
        (Phase.UPCOMING, EARLIER, OnAirChange.DEFER, (), Action.WAIT),
        (Phase.UPCOMING, EARLIER, OnAirChange.APPLY, (), Action.BLOCKED),
        (Phase.UPCOMING, EARLIER, OnAirChange.APPLY, (str(HERE),), Action.STOP),
        (Phase.UPCOMING, WINDOWS[Phase.ENDED], OnAirChange.DEFER, (), Action.STOP),
        (Phase.ENDED, EARLIER, OnAirChange.DEFER, (), Action.BLOCKED),
        (Phase.ENDED, EARLIER, OnAirChange.DEFER, (str(HERE),), Action.STOP),
        (Phase.ENDED, WINDOWS[Phase.ENDED], OnAirChange.DEFER, (), Action.STOP),
        (Phase.ON_AIR, WINDOWS[Phase.ENDED], OnAirChange.DEFER, (), Action.NOOP),
    ],
)
def test_a_session_that_runs_for_another_window(
    phase: Phase, ran: Window, policy: OnAirChange, allow: tuple[str, ...], expected: Action
) -> None:
    want = wanted(phase, life=Lifecycle(on_air_change=policy))
    assert decide(RUNNER, want, live(Stage.ON_AIR), entry(ran), allow=allow).action is expected


@pytest.mark.parametrize(
    ("seen", "known", "expected"),
    [
        (live(Stage.ENDED), entry(WINDOWS[Phase.ENDED], ended=True), Action.CREATE),
        (ABSENT, entry(WINDOWS[Phase.ENDED], ended=True), Action.CREATE),
        (live(Stage.ENDED, window=WINDOWS[Phase.ENDED]), entry(WINDOWS[Phase.UPCOMING], ended=True), Action.CREATE),
        (live(Stage.ENDED, window=Window(NOW - HOUR / 2, NOW)), entry(WINDOWS[Phase.ON_AIR], ended=True), Action.NOOP),
    ],
    ids=["its window was over", "too long ago to be read", "ended before this window began", "ended inside its window"],
)
def test_a_session_that_ended_with_another_window_is_started_in_this_one(seen: Observed, known: Entry, expected: Action) -> None:
    assert decide(RUNNER, wanted(Phase.ON_AIR), seen, known).action is expected
    if expected is Action.CREATE:
        assert decide(RUNNER, wanted(Phase.ON_AIR, late=Late.SKIP), seen, known).action is Action.NOOP


@pytest.mark.parametrize("end", [NOW + HOUR, NOW - timedelta(seconds=29)], ids=["future", "inside the margin"])
def test_a_clip_waits_for_its_end(end: datetime) -> None:
    want = Desired(HERE, {"start": end - HOUR, "end": end}, Place("m.yaml"))
    change = decide(RETRO, want, ABSENT)
    assert change.action is Action.WAIT
    assert change.boundary == end + timedelta(seconds=30)


@pytest.mark.parametrize(
    ("stage", "values", "expected"),
    [
        (Stage.READY, {"name": "x"}, Action.NOOP),
        (Stage.READY, {"name": "y"}, Action.UPDATE),
        (Stage.READY, {"name": "x", "group": "g"}, Action.REPLACE),
        (Stage.MAKING, {"name": "x"}, Action.UPDATE),
        (Stage.FAILED, {"name": "x"}, Action.REPLACE),
    ],
)
def test_clips(stage: Stage, values: dict, expected: Action) -> None:
    want = Desired(HERE, {"name": "x"}, Place("m.yaml"))
    assert decide(RETRO, want, live(stage, values=values), entry()).action is expected


REPLACING = replace(entry(), id="id-2", changed=NOW - HOUR, former=entry())


@pytest.mark.parametrize(
    ("stage", "id", "want", "expected"),
    [
        (Stage.READY, "id-2", DIFFERENT, Action.UPDATE),
        (Stage.MAKING, "id-2", DIFFERENT, Action.UPDATE),
        (Stage.FAILED, "id-2", DIFFERENT, Action.REPLACE),
        (Stage.READY, "id-2", OTHER_GROUP, Action.REPLACE),
        (Stage.READY, "id-1", DIFFERENT, Action.ADOPT),
        (Stage.READY, "id-1", OTHER_GROUP, Action.REPLACE),
        (Stage.READY, "id-2", None, Action.DELETE),
        (Stage.READY, "id-1", None, Action.DELETE),
    ],
    ids=[
        "ready, so the old one goes", "being made", "it failed", "another change", "the new one is gone", "the new one is gone, another change",
        "not wanted", "not wanted, and the new one is gone",
    ],
)  # fmt: skip
def test_a_clip_that_is_to_replace_another(stage: Stage, id: str, want: dict | None, expected: Action) -> None:
    declared = Desired(HERE, want, Place("m.yaml")) if want else None
    seen = replace(live(stage, values=DIFFERENT), id=id)
    change = decide(RETRO, declared, seen, REPLACING)
    assert change.action is expected
    assert change.entry is not None
    assert (change.entry.id, change.entry.former is not None) == (id, id == "id-2")
    just_made = replace(REPLACING, changed=NOW)
    waits = Action.WAIT if want else Action.BLOCKED
    assert decide(RETRO, declared, seen, just_made).action is (expected if id == "id-2" else waits), "a read that lags proves nothing"


def test_protect_blocks_a_replacement() -> None:
    window = WINDOWS[Phase.UPCOMING]
    change = decide(VENDOR, wanted(Phase.UPCOMING, values=OTHER_GROUP, life=Lifecycle(protect=True)), live(Stage.WAITING, window=window))
    assert (change.action, change.wanted) == (Action.BLOCKED, Action.REPLACE)


def test_duplicates_of_ours_are_deleted_and_others_are_not() -> None:
    def extra(match: Match, same: bool) -> list[str]:
        seen = live(Stage.WAITING, window=WINDOWS[Phase.UPCOMING], match=match, also=("id-2",), same_body=same)
        case = planner.Case(HERE, VENDOR, wanted(Phase.UPCOMING), seen, entry(WINDOWS[Phase.UPCOMING]), None, SETTING)
        return [change.observed.id for change in planner.decisions([case]) if change.action is Action.DELETE and change.observed]

    assert extra(Match.LEDGER, True) == ["id-2"]
    assert extra(Match.LEDGER, False) == []
    assert extra(Match.TWIN, True) == []


def test_a_rename_takes_the_old_names_entry_along() -> None:
    old = Address("Thing", "old")
    want = replace(wanted(Phase.UPCOMING), renamed_from="old")
    known = replace(entry(WINDOWS[Phase.UPCOMING]), address=old)
    found = list(planner.cases([want], {}, {old: known}, {}, lambda _: VENDOR, SETTING))
    assert [(case.address, case.entry) for case in found] == [(HERE, known)]


def test_drift_tells_what_changed_outside() -> None:
    known = entry(WINDOWS[Phase.UPCOMING])
    seen = live(Stage.WAITING, values=DIFFERENT, window=WINDOWS[Phase.UPCOMING])
    found = planner.drift(known, seen, seal=seal, now=NOW)
    assert found is not None
    assert [(one.path, one.before, one.after) for one in found] == [("spec.title", "a", "b")]
    assert planner.drift(known, ABSENT, seal=seal, now=NOW) == ()
    assert planner.drift(replace(known, ended=True), ABSENT, seal=seal, now=NOW) is None
    assert planner.drift(known, live(Stage.WAITING, window=WINDOWS[Phase.UPCOMING]), seal=seal, now=NOW) is None


@pytest.mark.parametrize(("hours", "expected"), [(71, ()), (73, None)], ids=["gone", "out of reach"])
def test_what_the_vendor_no_longer_tells_has_not_drifted(hours: int, expected: tuple | None) -> None:
    known = entry(started=NOW - hours * HOUR)
    assert planner.drift(known, ABSENT, seal=seal, now=NOW, reach=timedelta(hours=72)) == expected


UNREADABLE = Observed(HERE, Presence.UNKNOWN, "id-1", detail="its status is odd")


@pytest.mark.parametrize(
    ("want", "known", "expected"),
    [
        pytest.param(wanted(Phase.ON_AIR), entry(WINDOWS[Phase.ON_AIR]), Action.NOOP, id="as it was applied"),
        pytest.param(wanted(Phase.ON_AIR, values=DIFFERENT), entry(WINDOWS[Phase.ON_AIR]), Action.BLOCKED, id="edited since"),
        pytest.param(wanted(Phase.ON_AIR), None, Action.NOOP, id="in no ledger"),
        pytest.param(None, entry(WINDOWS[Phase.ON_AIR]), Action.WAIT, id="in no manifest, and it may be on air"),
    ],
)
def test_what_a_read_does_not_tell_for_certain_is_not_touched(want: Desired | None, known: Entry | None, expected: Action) -> None:
    change = decide(VENDOR, want, UNREADABLE, known)
    assert change.action is expected
    if want:
        assert "its status is odd" in change.reason


def test_several_twins_are_told_and_a_person_chooses() -> None:
    change = decide(VENDOR, wanted(Phase.UPCOMING), live(Stage.WAITING, match=Match.TWIN, also=("id-2",)))
    assert change.action is Action.BLOCKED
    assert change.needs == Need("adopt one of them: reconciler import Thing/one ID", command="reconciler import Thing/one")
    assert "id-1, id-2" in change.reason


def test_a_new_name_alone_reaches_the_ledger() -> None:
    window = WINDOWS[Phase.UPCOMING]
    known = replace(entry(window), address=Address("Thing", "old"))
    change = decide(VENDOR, wanted(Phase.UPCOMING), live(Stage.WAITING, window=window), known)
    assert (change.action, change.reason) == (Action.ADOPT, "renamed, was Thing/old")
    change = decide(VENDOR, wanted(Phase.UPCOMING), live(Stage.WAITING, window=window, values=DIFFERENT), known)
    assert (change.action, change.reason) == (Action.UPDATE, "renamed, was Thing/old; differs")


def test_a_difference_that_only_the_ledger_knows_says_so() -> None:
    seen = replace(live(Stage.WAITING, window=WINDOWS[Phase.UPCOMING]), unread=frozenset({"source"}))
    change = decide(VENDOR, wanted(Phase.UPCOMING, values=MOVED), seen, entry(WINDOWS[Phase.UPCOMING]))
    assert (change.action, change.evidence) == (Action.UPDATE, Evidence.LEDGER)


@pytest.mark.parametrize(
    ("known", "expected"), [(entry(), Evidence.LEDGER), (None, Evidence.NONE), (replace(entry(), applied=None), Evidence.NONE)]
)
def test_without_a_read_of_its_configuration_nothing_is_claimed_beyond_the_ledger(known: Entry | None, expected: Evidence) -> None:
    seen = replace(live(Stage.ON_AIR), unread=frozenset({""}))
    assert decide(RUNNER, wanted(None), seen, known).evidence is expected


PROTECTED = Lifecycle(protect=True)
ALLOWED = ("Thing/one",)
OFF = {"title": "a", "enabled": False}


@pytest.mark.parametrize(
    ("kind", "want", "seen", "known", "allow", "expected"),
    [
        pytest.param(
            VENDOR, wanted(Phase.ENDED, life=PROTECTED), live(Stage.WAITING, window=WINDOWS[Phase.ENDED]), entry(WINDOWS[Phase.ENDED]),
            (), (Action.BLOCKED, Action.DELETE), id="missed, and protected",
        ),
        pytest.param(
            VENDOR, wanted(Phase.UPCOMING, values=OTHER_GROUP), live(Stage.STOPPED, window=WINDOWS[Phase.UPCOMING]), entry(WINDOWS[Phase.UPCOMING]),
            (), (Action.REPLACE, None), id="stopped, and to be another",
        ),
        pytest.param(
            VENDOR, wanted(Phase.UPCOMING, values={**OFF, "title": "b"}), live(Stage.STOPPED, window=WINDOWS[Phase.UPCOMING]), entry(WINDOWS[Phase.UPCOMING]),
            (), (Action.UPDATE, None), id="stopped as wanted, and differs",
        ),
        pytest.param(
            VENDOR, wanted(Phase.UPCOMING, values=DIFFERENT), live(Stage.STOPPED, window=WINDOWS[Phase.UPCOMING]), entry(WINDOWS[Phase.UPCOMING]),
            (), (Action.UPDATE, None), id="stopped, to be continued, and differs",
        ),
        pytest.param(
            VENDOR, wanted(Phase.ON_AIR, values=OTHER_GROUP, life=PROTECTED), live(Stage.ON_AIR, window=WINDOWS[Phase.ON_AIR]), entry(WINDOWS[Phase.ON_AIR]),
            ALLOWED, (Action.BLOCKED, Action.REPLACE), id="on air, to be another, and protected",
        ),
        pytest.param(
            VENDOR, wanted(Phase.ON_AIR, values=OFF), live(Stage.ON_AIR, window=WINDOWS[Phase.ON_AIR]), entry(WINDOWS[Phase.ON_AIR]),
            ALLOWED, (Action.STOP, None), id="on air, and to be stopped",
        ),
        pytest.param(
            VENDOR, wanted(Phase.ON_AIR, values={**OFF, "title": "b"}), live(Stage.ON_AIR, window=WINDOWS[Phase.ON_AIR]), entry(WINDOWS[Phase.ON_AIR]),
            ALLOWED, (Action.UPDATE, None), id="on air, to be stopped, and differs",
        ),
        pytest.param(
            VENDOR, wanted(Phase.ON_AIR, life=PROTECTED), live(Stage.ENDED, window=WINDOWS[Phase.ENDED]), entry(WINDOWS[Phase.ENDED]),
            (), (Action.BLOCKED, Action.REPLACE), id="ended early, and protected",
        ),
        pytest.param(
            RUNNER, wanted(None), live(Stage.ON_AIR, match=Match.MARK), None, (), (Action.ADOPT, None), id="a session under our id, in no ledger",
        ),
        pytest.param(
            RUNNER, wanted(Phase.UPCOMING), live(Stage.ENDED), entry(), (), (Action.WAIT, Action.CREATE), id="a session ended, wanted again later",
        ),
        pytest.param(
            RETRO, Desired(HERE, {"title": "a", "enabled": True}, Place("m.yaml")), live(Stage.READY, match=Match.MARK), None,
            (), (Action.ADOPT, None), id="a clip with our mark, in no ledger",
        ),
    ],
)  # fmt: skip
def test_corners(
    kind: Kind, want: Desired, seen: Observed, known: Entry | None, allow: tuple[str, ...], expected: tuple[Action, Action | None]
) -> None:
    change = decide(kind, want, seen, known, allow=allow)
    assert (change.action, change.wanted) == expected


def test_a_kind_whose_names_have_no_numbers_keeps_the_name_that_is_spent() -> None:
    class Nameless(Thing):
        def identity(self, want: Desired) -> str:
            return "the only one"

    other = replace(entry(), address=Address("Thing", "before"), identity="the only one", ended=True)
    want = wanted(Phase.ON_AIR)
    kind = Nameless(Scheduling.RUNNER)
    (found, _) = planner.cases([want], {HERE: ABSENT}, {other.address: other}, {}, lambda _: kind, SETTING)
    assert found.want == want


def test_what_no_kind_stands_for_any_more_is_left_out() -> None:
    gone = Address("Gone", "one")
    known = replace(entry(), address=gone)
    assert list(planner.cases([], {}, {gone: known}, {}, lambda name: VENDOR if name == "Thing" else None, SETTING)) == []


@pytest.mark.parametrize(
    ("ago", "expected"),
    [(84, Action.WAIT), (86, Action.CREATE), (-2, Action.WAIT), (-86, Action.CREATE)],
    ids=["just now", "long ago", "by a clock ahead of ours", "our clock was set back"],
)
def test_what_was_confirmed_lately_and_is_not_shown_is_not_made_again(ago: int, expected: Action) -> None:
    known = entry(WINDOWS[Phase.UPCOMING], changed=NOW - timedelta(seconds=ago))
    assert decide(VENDOR, wanted(Phase.UPCOMING), ABSENT, known).action is expected


@pytest.mark.parametrize(
    ("seen", "known", "expected"),
    [
        (ABSENT, {}, Action.BLOCKED),
        (replace(live(Stage.WAITING, window=WINDOWS[Phase.UPCOMING]), id="id-2"), {}, Action.BLOCKED),
        (live(Stage.WAITING, window=WINDOWS[Phase.UPCOMING]), {}, Action.NOOP),
        (ABSENT, {"ended": True}, Action.CREATE),
        (ABSENT, {"window": WINDOWS[Phase.ENDED]}, Action.CREATE),
    ],
    ids=["not there", "another one there", "the account has a new name", "ended", "over"],
)
def test_what_lives_in_another_account_is_not_made_twice(seen: Observed, known: dict, expected: Action) -> None:
    want = replace(wanted(Phase.UPCOMING), account="second")
    assert decide(VENDOR, want, seen, entry(**{"window": WINDOWS[Phase.UPCOMING], **known})).action is expected


# --- what depends on what ---------------------------------------------------------------------------------------------


def needing(name: str, *needs: str, action: Action = Action.CREATE, **more) -> Change:
    want = Desired(Address("Thing", name), {}, Place("m.yaml", 1), depends_on=tuple(Address("Thing", need) for need in needs))
    return Change(want.address, action, "new", desired=want, **more)


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        (needing("a", action=Action.BLOCKED, wanted=Action.CREATE, needs="do it"), ["blocked", "blocked", "blocked", "create"]),
        (needing("a", action=Action.BLOCKED, wanted=Action.ADOPT, needs="do it"), ["blocked", "blocked", "blocked", "create"]),
        (
            needing("a", action=Action.BLOCKED, wanted=Action.DELETE, needs="do it", unsettled=True),
            ["blocked", "blocked", "blocked", "create"],
        ),
        (needing("a", action=Action.BLOCKED, wanted=Action.UPDATE, needs="do it"), ["blocked", "create", "create", "create"]),
        (needing("a"), ["create"] * 4),
    ],
    ids=["not there", "somebody else's", "unknown", "there, and merely not updated", "not blocked"],
)
def test_what_depends_on_something_that_is_not_there_is_blocked_with_it(first: Change, expected: list[str]) -> None:
    held = planner.held_back([first, needing("c", "b"), needing("b", "a"), needing("d")])
    assert [change.action.value for change in held] == expected
    if expected[1] == "blocked":
        assert [(change.wanted, change.reason, change.needs) for change in held[1:3]] == [
            (Action.CREATE, "Thing/b comes first, and is blocked", "do it"),
            (Action.CREATE, "Thing/a comes first, and is blocked", "do it"),
        ]


@pytest.mark.parametrize(
    ("before", "seen", "expected", "number"),
    [
        (entry(WINDOWS[Phase.ENDED]), live(Stage.ON_AIR, match=Match.TWIN), Action.CREATE, 2),
        (entry(WINDOWS[Phase.ENDED], ended=True), live(Stage.ENDED, match=Match.TWIN), Action.CREATE, 2),
        (entry(WINDOWS[Phase.ENDED], ended=True), live(Stage.ON_AIR, match=Match.TWIN), Action.BLOCKED, 2),
        (entry(EARLIER), live(Stage.ON_AIR, match=Match.TWIN), Action.BLOCKED, 1),
    ],
    ids=["to be stopped", "ended", "ended, and a stranger started it again", "still wanted there"],
)
def test_a_session_after_another_of_ours_with_the_same_names(before: Entry, seen: Observed, expected: Action, number: int) -> None:
    class Numbered(Thing):
        def identity(self, want: Desired) -> str:
            return "identity" if want.incarnation == 1 else f"identity.{want.incarnation}"

    kind = Numbered(Scheduling.RUNNER)
    other = Address(HERE.kind, "before")
    found = planner.cases([wanted(Phase.ON_AIR)], {HERE: seen}, {other: replace(before, address=other)}, {}, lambda _: kind, SETTING)
    case = next(one for one in found if one.address == HERE)
    assert planner.decide(case).action is expected
    assert case.want is not None
    assert case.want.incarnation == number
