"""What the two RTC kinds share: identity, the vendor's states, and the verbs with their fallbacks."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.errors import Denied, NotFound, NotReady, OutcomeUnknown, Rejected, Throttled, Unavailable
from reconciler.kinds import _recording_doubts, _recording_spec, _rtc_spec, recording_session, segment_session
from reconciler.kinds._rtc import Identity, task_id
from reconciler.model import (
    Address,
    Created,
    Desired,
    Entry,
    Intent,
    Lookup,
    Match,
    Observed,
    Pause,
    Place,
    Presence,
    Reply,
    Scheduling,
    Stage,
    Values,
    Verb,
    Window,
)
from tests.kinds.drive import actions, calls, drive

RECORD, SEGMENT = recording_session.KIND, segment_session.KIND
KINDS = [pytest.param(RECORD, id="record"), pytest.param(SEGMENT, id="segment")]

T0 = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
MS = int(T0.timestamp() * 1000)
ID = "661e0000000000000000543c/Room1/town-hall"
NAMES = {"AppId": "661e0000000000000000543c", "RoomId": "Room1", "TaskId": "town-hall"}
SENTENCE = "The task has been started. Please do not call the startup task interface repeatedly"
GONE = NotFound("found nothing", code="InvalidParameter.ErrorActiveTaskNotFound", status=400)


def spec(**more):
    store = {"tos": {"accountId": "2100000990", "bucket": "my-bucket"}}
    return {"appId": "661e0000000000000000543c", "roomId": "Room1", "storage": store, **more}


def wanted(kind, *, name: str = "town-hall", occurrence: str = "", incarnation: int = 1, **more) -> Desired:
    values = kind.canonical(kind.spec.model_validate(spec(**more)), name=name)
    return Desired(Address(kind.name, name, occurrence), values, Place("a.yaml"), incarnation=incarnation)


def task(kind, *, status: int = 2, start: int = MS, end: int = 0, reason: str = "", **more):
    return {kind.task_key: {"StartTime": start, "EndTime": end, "Status": status, "StopReason": reason, **more}}


def entry(kind, *, id: str = ID, incarnation: int = 1, started: datetime | None = T0, applied: Values | None = None) -> Entry:
    return Entry(Address(kind.name, "town-hall"), "default", id, id, incarnation, applied, started=started)


def intent(kind, *, identity: str = ID, verb: Verb = Verb.CREATE, sent: datetime = T0, incarnation: int = 1, target: str = "") -> Intent:
    address = Address(kind.name, "town-hall")
    return Intent("i1", address, "default", verb, "Start", identity, incarnation, sent, sent + timedelta(seconds=75), target=target)


def live(kind, **more) -> Observed:
    return Observed(Address(kind.name, "town-hall"), Presence.LIVE, id=ID, stage=Stage.ON_AIR, **more)


def observe(kind, *lookups: Lookup, replies):
    survey, steps = drive(kind.observe(lookups), replies)
    return survey.answers, steps


def lookup(kind, **what) -> Lookup:
    return Lookup(Address(kind.name, "town-hall"), "ws", **what)


# --- what a kind is ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_session_is_started_and_stopped_by_us_and_seen_for_72_hours(kind):
    assert (kind.vendor, kind.scheduling, kind.schedule) == ("volcengine-rtc", Scheduling.RUNNER, "optional")
    assert kind.observable == timedelta(hours=72)
    assert kind.claims(wanted(kind)) == ()


@pytest.mark.parametrize(
    ("operation", "method", "pace", "safe", "repeatable"),
    [
        (recording_session.START, "POST", 60, False, False),
        (recording_session.UPDATE, "POST", 60, False, False),
        (recording_session.STOP, "POST", 60, False, True),
        (recording_session.GET, "GET", 60, True, True),
        (segment_session.START, "POST", 60, False, False),
        (segment_session.UPDATE, "POST", 150, False, True),
        (segment_session.STOP, "POST", 150, False, True),
        (segment_session.GET, "GET", 60, True, True),
    ],
    ids=lambda value: getattr(value, "action", str(value)),
)
def test_operations_keep_the_published_paces_and_a_start_is_never_repeated(operation, method, pace, safe, repeatable):
    call = operation({})
    assert (call.vendor, call.method, call.path, call.pace, call.safe, call.repeatable) == (
        "volcengine-rtc", method, "/", pace, safe, repeatable,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 2**31 - 1, "0 to 2147483647"), (0.1, 1, "0.1 to 1"), (1, None, "1 or more")],
)
def test_a_range_is_told_in_plain_numbers(low, high, expected):
    assert _rtc_spec.Between("RC200", "it", low, high).range == expected


@pytest.mark.parametrize(
    ("module", "family", "parts"),
    [(recording_session, "RC2", [_recording_spec, _recording_doubts]), (segment_session, "RC3", [segment_session])],
    ids=["record", "segment"],
)
def test_every_code_that_is_raised_is_explained_and_the_other_way_round(module, family, parts):
    text = "".join(Path(one.__file__).read_text() for one in parts)
    used = set(re.findall(rf'"({family}\d\d)"(?!:)', text))
    used |= {family + number for number in re.findall(r"(?i)family\}(\d\d)", Path(_rtc_spec.__file__).read_text())}
    assert used == set(module.RULES)
    assert all(title and text.endswith(".") for title, text in module.RULES.values())


# --- identity ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "occurrence", "incarnation", "expected"),
    [
        ("town-hall", "", 1, "town-hall"),
        ("town-hall", "", 2, "town-hall.2"),
        ("town-hall", "", 11, "town-hall.11"),
        ("news", "2026-12-01T08:00", 1, "news-2026-12-01T0800"),
        ("news", "2026-12-01T08:00", 3, "news-2026-12-01T0800.3"),
        ("news", "2026-10-25T01:30+01:00", 1, "news-2026-10-25T0130_0100"),
        ("t" * 128, "", 1, "t" * 128),
    ],
    ids=["as written", "replaced", "often replaced", "of a series", "of a series, replaced", "second of a fold", "longest"],
)
def test_task_id(base, occurrence, incarnation, expected):
    assert task_id(base, occurrence, incarnation) == expected


def test_a_task_id_that_has_no_room_left_is_shortened_and_stays_unique():
    one, other = task_id("t" * 127 + "a", "", 2), task_id("t" * 127 + "b", "", 2)
    assert one != other
    assert (len(one), one[-2:]) == (128, ".2")
    assert _rtc_spec.identifier(one, "RC201", "an id") == one


@pytest.mark.parametrize("kind", KINDS)
def test_identity_is_text_of_three_ids(kind):
    assert kind.identity(wanted(kind)) == ID
    assert kind.identity(wanted(kind, taskId="Task@1", incarnation=2)) == "661e0000000000000000543c/Room1/Task@1.2"
    assert Identity.parse(ID) == Identity("661e0000000000000000543c", "Room1", "town-hall")
    assert [Identity.parse(text) for text in ("", "a/b", "a//c", "a/b/c/d")] == [None] * 4


# --- observing --------------------------------------------------------------------------------------------------------

ZERO = {"StartTime": 0, "EndTime": 0, "Status": 0, "StopReason": ""}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("status", "end", "reason", "presence", "stage", "detail"),
    [
        (1, 0, "", Presence.LIVE, Stage.WAITING, "started, nothing is published yet"),
        (2, 0, "", Presence.LIVE, Stage.ON_AIR, ""),
        (2, MS + 60000, "StopByAPI", Presence.ENDED, Stage.ENDED, "StopByAPI"),
        (3, MS + 60000, "IdleTimeOut", Presence.ENDED, Stage.ENDED, "IdleTimeOut"),
        (3, 0, "", Presence.ENDED, Stage.ENDED, "ended"),
        (3, MS + 1, "SomethingNew", Presence.ENDED, Stage.ENDED, "SomethingNew"),
        (4, MS + 1, "StartTaskFailed", Presence.ENDED, Stage.FAILED, "StartTaskFailed"),
        (2.0, "0", "", Presence.LIVE, Stage.ON_AIR, ""),
        ("3", float(MS + 60000), "IdleTimeOut", Presence.ENDED, Stage.ENDED, "IdleTimeOut"),
        (2, -62135596800000, "", Presence.LIVE, Stage.ON_AIR, ""),
        (0, 0, "", Presence.UNKNOWN, Stage.NONE, "the vendor says status 0, unknown or abnormal"),
        (7, 0, "", Presence.UNKNOWN, Stage.NONE, "the vendor says status 7, unknown or abnormal"),
    ],
    ids=[
        "waiting",
        "running",
        "running but ended",
        "idle",
        "no reason told",
        "reason of tomorrow",
        "failed",
        "running, oddly spelled",
        "ended, oddly spelled",
        "running, its end unset as the year 1",
        "abnormal",
        "status of tomorrow",
    ],
)
def test_states(kind, status, end, reason, presence, stage, detail):
    [found], steps = observe(kind, lookup(kind, entry=entry(kind)), replies=[task(kind, status=status, end=end, reason=reason)])
    assert (found.presence, found.stage, found.detail) == (presence, stage, detail)
    assert (found.id, found.match, found.started) == (ID, Match.LEDGER, T0)
    assert calls(steps)[0].query == NAMES


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(GONE, id="error class"),
        pytest.param(Rejected("refused", code="InvalidParameter.ErrorActiveTaskNotFound"), id="code"),
        pytest.param(Rejected("refused", code="InvalidParameter.TaskNotFound"), id="other code"),
        pytest.param(Reply(None), id="no result"),
        pytest.param(Reply(""), id="empty result"),
        pytest.param(Reply({}), id="no member"),
        pytest.param("null", id="null member"),
        pytest.param("zero", id="all zero"),
        pytest.param("empty", id="empty object"),
    ],
)
def test_every_way_to_say_that_there_is_no_task_is_absence_and_keeps_the_start(kind, reply):
    shapes = {"null": Reply({kind.task_key: None}), "zero": Reply({kind.task_key: ZERO}), "empty": Reply({kind.task_key: {}})}
    answer = shapes.get(reply, reply) if isinstance(reply, str) else reply
    [found], _ = observe(kind, lookup(kind, entry=entry(kind)), replies=[answer])
    assert (found.presence, found.id, found.started) == (Presence.ABSENT, ID, T0)
    [found], _ = observe(kind, lookup(kind, want=wanted(kind)), replies=[answer])
    assert found == Observed(Address(kind.name, "town-hall"), Presence.ABSENT)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("body", [[], [{}], "what?", 0, False, 7], ids=str)
def test_an_answer_of_another_shape_is_no_absence(kind, body):
    [found], _ = observe(kind, lookup(kind, entry=entry(kind)), replies=[Reply(body)])
    assert (found.presence, found.detail) == (Presence.UNKNOWN, "the vendor's answer is no task")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "error",
    [
        Unavailable("timeout"),
        Denied("no", code="AccessDenied"),
        Throttled("slow down", code="FlowLimitExceeded.QPSOverLimit"),
        Rejected("no", code="InvalidParameter.NotExistAppId"),
        Rejected("no", code="ServiceNotFound", status=404),
    ],
    ids=lambda error: error.code or "Unavailable",
)
def test_a_failed_read_is_never_absence(kind, error):
    with pytest.raises(type(error)):
        drive(kind.observe([lookup(kind, want=wanted(kind))]), [error])


@pytest.mark.parametrize("kind", KINDS)
def test_one_get_a_lookup_and_answers_in_order(kind):
    other = Lookup(Address(kind.name, "other"), "ws", want=wanted(kind, name="other"))
    nobody = Lookup(Address(kind.name, "nobody"), "ws")
    found, steps = observe(kind, lookup(kind, entry=entry(kind)), nobody, other, replies=[task(kind), GONE])
    assert [one.address.name for one in found] == ["town-hall", "nobody", "other"]
    assert [one.presence for one in found] == [Presence.LIVE, Presence.ABSENT, Presence.ABSENT]
    assert [call.query["TaskId"] for call in calls(steps)] == ["town-hall", "other"]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_to_ask_asks_nothing(kind):
    survey, steps = drive(kind.observe([]), [])
    assert (survey.answers, steps) == ([], [])


@pytest.mark.parametrize("kind", KINDS)
def test_an_id_that_is_none_is_unknown_not_absent(kind):
    [found], _ = observe(kind, lookup(kind, entry=entry(kind, id="town-hall")), replies=[])
    assert (found.presence, found.detail) == (Presence.UNKNOWN, "its id is no appId/roomId/taskId")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("what", "match"),
    [
        (lambda kind: {"want": wanted(kind)}, Match.TWIN),
        (lambda kind: {"want": wanted(kind), "entry": entry(kind)}, Match.LEDGER),
        (lambda kind: {"want": wanted(kind), "intent": intent(kind, sent=T0 - timedelta(seconds=1))}, Match.MARK),
        (lambda kind: {"want": wanted(kind), "intent": intent(kind, sent=T0 + timedelta(seconds=30))}, Match.MARK),
        (lambda kind: {"want": wanted(kind), "intent": intent(kind, sent=T0 + timedelta(minutes=5))}, Match.TWIN),
        (lambda kind: {"intent": intent(kind, verb=Verb.STOP, sent=T0 + timedelta(hours=1), target=ID)}, Match.MARK),
        (lambda kind: {"entry": entry(kind), "intent": intent(kind)}, Match.LEDGER),
    ],
    ids=["runs already", "ours by the ledger", "our start", "our start, clocks differ", "began before our start", "our stop", "both"],
)
def test_how_a_running_task_is_tied_to_its_address(kind, what, match):
    [found], _ = observe(kind, lookup(kind, **what(kind)), replies=[task(kind)])
    assert (found.presence, found.match, found.id) == (Presence.LIVE, match, ID)


@pytest.mark.parametrize("kind", KINDS)
def test_a_replacement_in_doubt_looks_at_both_tasks(kind):
    doubt = lookup(kind, entry=entry(kind), intent=intent(kind, identity=f"{ID}.2", incarnation=2, sent=T0))
    [found], steps = observe(kind, doubt, replies=[GONE, task(kind, status=3, end=MS + 9, reason="StopByAPI")])
    assert [call.query["TaskId"] for call in calls(steps)] == ["town-hall.2", "town-hall"]
    assert (found.presence, found.id, found.window) == (Presence.ENDED, ID, Window(T0, T0 + timedelta(milliseconds=9)))
    [found], _ = observe(kind, doubt, replies=[task(kind), task(kind)])
    assert (found.id, found.match, found.also, found.same_body) == (f"{ID}.2", Match.MARK, (ID,), False)


# --- starting ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_create_writes_the_id_down_before_it_looks(kind):
    id, steps = drive(kind.create(wanted(kind)), ["ok", GONE, task(kind, status=1), task(kind)])
    assert id == ID
    assert actions(steps) == [
        kind.begin.action, "Created", kind.look.action, "Pause", kind.look.action, "Pause", kind.look.action,
    ]  # fmt: skip
    assert steps[1] == Created(ID)
    assert calls(steps)[1].query == NAMES


@pytest.mark.parametrize("kind", KINDS)
def test_a_session_that_nobody_publishes_for_is_started_and_says_so(kind):
    _, steps = drive(kind.create(wanted(kind)), ["ok", *[task(kind, status=1, start=0)] * 3])
    assert steps[-1] == Pause(0.0, note="started, nothing is published yet")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("end", "reason"), [({"status": 4}, "StartTaskFailed"), ({"status": 3, "end": MS + 1}, "UnknownStopReason")], ids=["failed", "ended"]
)
def test_a_start_that_comes_to_nothing_is_not_ready(kind, end, reason):
    with pytest.raises(NotReady, match=reason) as wrong:
        drive(kind.create(wanted(kind)), ["ok", task(kind, status=1), task(kind, reason=reason, **end)])
    assert wrong.value.code == reason
    assert Created(ID) in wrong.value.steps


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Reply(SENTENCE, request_id="R7"), id="sentence in the result"),
        pytest.param(Rejected("no", code="InvalidParameter.TaskAlreadyExists", request_id="R7"), id="code"),
        pytest.param(Rejected(f"StartX was refused: {SENTENCE}", code="InvalidParameter", request_id="R7"), id="sentence in an error"),
    ],
)
def test_a_running_task_that_ignored_our_parameters_is_never_success(kind, answer):
    with pytest.raises(Rejected, match="is running already and kept its own parameters") as wrong:
        drive(kind.create(wanted(kind)), [answer])
    assert not any(isinstance(step, Created) for step in wrong.value.steps)
    assert (wrong.value.request_id, wrong.value.next_step) == ("R7", f"reconciler import {kind.name}/town-hall {ID}")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("body", [None, "", {}, "OK?", 1], ids=repr)
def test_a_start_answered_with_anything_else_than_ok_is_unknown(kind, body):
    with pytest.raises(OutcomeUnknown):
        drive(kind.create(wanted(kind)), [Reply(body)])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "error", [OutcomeUnknown("lost"), Rejected("no", code="InvalidParameter"), Denied("no", code="AccessDenied.RecordNotEnabled")], ids=repr
)
def test_other_failures_of_a_start_pass_through(kind, error):
    with pytest.raises(type(error)) as wrong:
        drive(kind.create(wanted(kind)), [error])
    assert wrong.value is error


# --- stopping ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("verb", ["stop", "delete"])
@pytest.mark.parametrize(
    ("stopped", "looks", "pauses"),
    [
        ("ok", [lambda kind: task(kind, status=3, end=MS + 1)], 0),
        ("ok", [task, lambda kind: task(kind, end=MS + 1)], 1),
        ("ok", [lambda kind: task(kind, status=0), lambda kind: task(kind, status=0, end=MS + 1)], 1),
        ("ok", [lambda kind: task(kind, status=4)], 0),
        ("ok", [lambda kind: GONE], 0),
        (GONE, [lambda kind: GONE], 0),
        (Rejected("no", code="InvalidParameter.ErrorActiveTaskNotFound"), [task, lambda kind: {kind.task_key: None}], 1),
    ],
    ids=["ends at once", "drains", "drains, abnormal", "failed", "gone", "was gone", "was stopped and drains"],
)
def test_stop_waits_for_the_end_and_absence_is_success(kind, verb, stopped, looks, pauses):
    _, steps = drive(getattr(kind, verb)(live(kind)), [stopped, *[look(kind) for look in looks]])
    assert actions(steps) == [kind.end.action, kind.look.action, *["Pause", kind.look.action] * pauses]
    assert calls(steps)[0].body == NAMES


@pytest.mark.parametrize("kind", KINDS)
def test_stop_names_the_business_where_it_is_known(kind):
    _, steps = drive(kind.stop(live(kind, values={"businessId": "B1"})), ["ok", GONE])
    assert calls(steps)[0].body == {**NAMES, "BusinessId": "B1"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("error", [Rejected("no", code="InvalidParameter"), OutcomeUnknown("lost")], ids=repr)
def test_a_stop_that_failed_is_no_success(kind, error):
    with pytest.raises(type(error)):
        drive(kind.stop(live(kind)), [error])


@pytest.mark.parametrize("kind", KINDS)
def test_a_read_that_fails_while_stopping_is_no_success(kind):
    with pytest.raises(Rejected, match="illegal"):
        drive(kind.stop(live(kind)), ["ok", Rejected("illegal app", code="InvalidParameter.IllegalAppId")])
