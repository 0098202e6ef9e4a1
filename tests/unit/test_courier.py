"""Pacing, retries and the journal: what the courier does around a kind's calls, on a clock that only sleeping moves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.courier import VALID, Courier, Pacer
from reconciler.errors import (
    Denied,
    Lapsed,
    NotFound,
    NotReady,
    OutcomeUnknown,
    ReconcilerError,
    Rejected,
    Stale,
    Throttled,
    Unavailable,
    VendorError,
)
from reconciler.model import Batch, Call, Created, Pause, Reply
from tests.fakes import ScriptedTransport, StillClock

READ = Call("v", "List", safe=True, pace=15)
CREATE = Call("v", "Create", pace=10)
UPDATE = Call("v", "Update", pace=10, repeatable=True)
OK = Reply({"ok": True})
LOST = OutcomeUnknown("no answer", code="ReadTimeout")
NO = Rejected("no", code="InvalidParam")
LATE = Lapsed("too late", code="InvalidTimestamp")
DOWN = Unavailable("down")
THROTTLE = Throttled("slow down", status=429)
SENT = ["sending Create"]
TWICE = ["sending Update"] * 2


def no() -> Rejected:
    """One of its own: what is said of it is kept on it."""
    return Rejected("no", code="InvalidParam")


class Diary:
    """A journal that writes down what it was told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def sending(self, call: Call) -> None:
        self.lines.append(f"sending {call.action}")

    def done(self, call: Call, reply: Reply) -> None:
        self.lines.append(f"done {call.action}")

    def rejected(self, call: Call, why: VendorError) -> None:
        self.lines.append(f"rejected {call.action}")

    def unknown(self, call: Call, why: VendorError) -> None:
        self.lines.append(f"unknown {call.action}")

    def created(self, made: Created) -> None:
        self.lines.append(f"created {made.id}")

    def happened(self, call: Call) -> bool:
        return False


def courier(answers, clock: StillClock | None = None, **more) -> tuple[Courier, ScriptedTransport, StillClock]:
    clock = clock or StillClock()
    transport = ScriptedTransport(clock, answers)
    return Courier("default", lambda account, vendor: transport, clock, Pacer(clock), side=1, **more), transport, clock


def once(call: Call):
    reply = yield call
    return reply.body


@pytest.mark.parametrize(
    ("call", "answers", "sent", "diary", "raises"),
    [
        pytest.param(READ, [OK], 1, [], None, id="a read"),
        pytest.param(READ, [DOWN, DOWN, OK], 3, [], None, id="a failed read is asked again"),
        pytest.param(READ, [DOWN] * 4, 4, [], Unavailable, id="but not for ever"),
        pytest.param(READ, [NO], 1, [], Rejected, id="a refused read is not repeated"),
        pytest.param(CREATE, [OK], 1, ["sending Create", "done Create"], None, id="a write is journalled around"),
        pytest.param(CREATE, [LOST], 1, ["sending Create", "unknown Create"], OutcomeUnknown, id="a lost create is never sent twice"),
        pytest.param(CREATE, [NO], 1, ["sending Create", "rejected Create"], Rejected, id="a refusal closes the intent"),
        pytest.param(CREATE, [LATE, OK], 2, [*SENT * 2, "done Create"], None, id="a refused signing time: note it again and send it again"),
        pytest.param(CREATE, [LATE, LATE], 2, [*SENT * 2, "rejected Create"], Lapsed, id="once"),
        pytest.param(UPDATE, [LOST, LOST, LATE], 3, [*TWICE, TWICE[0], "unknown Update"], OutcomeUnknown, id="late"),
        pytest.param(CREATE, [DOWN], 1, ["sending Create", "rejected Create"], Unavailable, id="nothing left the machine"),
        pytest.param(
            CREATE, [THROTTLE, OK], 2, [*SENT * 2, "done Create"], None, id="a throttle changed nothing: note it again and ask again"
        ),
        pytest.param(UPDATE, [LOST, OK], 2, [*TWICE, "done Update"], None, id="a full update may be repeated"),
        pytest.param(UPDATE, [LOST] * 3, 3, [*TWICE, "sending Update", "unknown Update"], OutcomeUnknown, id="three times"),
        pytest.param(
            UPDATE,
            [LOST, no()],
            2,
            [*TWICE, "unknown Update"],
            OutcomeUnknown,
            id="a refusal after a lost answer may be because the lost one took effect",
        ),
        pytest.param(UPDATE, [LOST, NotFound("gone")], 2, [*TWICE, "rejected Update"], NotFound, id="not found is certain all the same"),
    ],
)
def test_outcomes(call: Call, answers: list, sent: int, diary: list[str], raises: type[Exception] | None) -> None:
    runner, transport, _ = courier(list(answers))
    journal = Diary()
    if raises:
        with pytest.raises(raises):
            runner.run(once(call), journal=journal)
    else:
        assert runner.run(once(call), journal=journal) == {"ok": True}
    assert (len(transport.calls), journal.lines) == (sent, diary)


def test_a_write_without_a_journal_is_not_sent() -> None:
    runner, transport, _ = courier([OK])
    with pytest.raises(ReconcilerError, match="no journal"):
        runner.run(once(CREATE))
    assert transport.calls == []


def test_a_kind_may_catch_what_it_knows_how_to_handle() -> None:
    def steps():
        try:
            yield CREATE
        except Rejected as refusal:
            return refusal.code
        return ""

    runner, _, _ = courier([NO])
    assert runner.run(steps(), journal=Diary()) == "InvalidParam"


@pytest.mark.parametrize(
    ("answers", "diary", "raises"),
    [
        pytest.param([LOST, no(), OK], [*TWICE, "done Update"], None, id="it is so"),
        pytest.param([LOST, no(), no()], [*TWICE, "unknown Update"], OutcomeUnknown, id="it is not so"),
        pytest.param([LOST, no(), *[DOWN] * 4], [*TWICE, "unknown Update"], OutcomeUnknown, id="nobody can say"),
        pytest.param([no(), OK], [TWICE[0], "rejected Update"], None, id="a plain refusal"),
        pytest.param([no(), no()], [TWICE[0], "rejected Update"], Rejected, id="a plain refusal, and it is not so"),
        pytest.param([LOST, THROTTLE, no(), OK], [*TWICE, TWICE[0], "done Update"], None, id="it was too fast in between"),
        pytest.param([LOST, Denied("no")], [*TWICE, "unknown Update"], OutcomeUnknown, id="denied: nothing for a kind to judge"),
    ],
)
def test_a_kind_judges_a_refusal_that_may_be_because_of_a_lost_sending(
    answers: list, diary: list[str], raises: type[Exception] | None
) -> None:
    def steps():
        try:
            yield UPDATE
        except Rejected:
            yield READ
        return "so"

    runner, _, _ = courier(list(answers))
    journal = Diary()
    if raises:
        with pytest.raises(raises):
            runner.run(steps(), journal=journal)
    else:
        assert runner.run(steps(), journal=journal) == "so"
    assert journal.lines == diary


def test_what_is_in_doubt_is_settled_before_anything_else_is_written() -> None:
    def steps():
        try:
            yield UPDATE
        except Rejected:
            yield READ
        yield CREATE

    runner, transport, _ = courier([LOST, no(), OK])
    journal = Diary()
    with pytest.raises(OutcomeUnknown):
        runner.run(steps(), journal=journal)
    assert journal.lines == [*TWICE, "unknown Update"]
    assert [call.action for call in transport.calls] == ["Update", "Update", "List"]


def test_calls_of_one_action_are_spaced_at_the_published_rate_and_no_tighter() -> None:
    def steps():
        for _ in range(21):
            yield CREATE

    runner, transport, clock = courier(lambda call: OK)
    runner.run(steps(), journal=Diary())
    gaps = [later - earlier for earlier, later in zip(transport.times, transport.times[1:], strict=False)]
    assert min(gaps) >= 1 / CREATE.pace
    assert clock.elapsed <= 20 / CREATE.pace * 1.01


def test_actions_have_queues_of_their_own() -> None:
    def steps():
        yield CREATE
        yield UPDATE

    runner, transport, _ = courier([OK, OK])
    runner.run(steps(), journal=Diary())
    assert transport.times == [0.0, 0.0]


def test_a_throttle_rests_the_queue_for_as_long_as_the_vendor_says() -> None:
    named = Throttled("slow down")
    named.retry_after = 7.0
    runner, transport, _ = courier([named, OK])
    runner.run(once(CREATE), journal=Diary())
    assert transport.times[1] - transport.times[0] >= 7.0


def test_pauses_sleep_report_and_end_at_the_deadline() -> None:
    told: list[float | None] = []

    def steps():
        yield CREATE
        yield Created("id-1")
        for done in range(10):
            yield Pause(2, done / 10, "making")

    runner, _, clock = courier([OK], on_pause=lambda pause: told.append(pause.progress))
    journal = Diary()
    with pytest.raises(NotReady, match="making"):
        runner.run(steps(), journal=journal, deadline=5)
    assert journal.lines == ["sending Create", "done Create", "created id-1"]
    assert told == [0.0, 0.1, 0.2]
    assert clock.elapsed == 4


def test_a_batch_answers_in_order_and_keeps_failures_in_their_place() -> None:
    def steps():
        answers = yield Batch([READ, READ])
        return answers

    runner, _, _ = courier([NO, OK])
    first, second = runner.run(steps())
    assert isinstance(first, Rejected)
    assert second == OK


@pytest.mark.parametrize("alone", [True, False], ids=["alone", "in a batch"])
def test_what_a_call_reads_out_of_the_body_is_the_answer(alone: bool) -> None:
    def steps():
        call = replace(READ, read=sorted)
        return [(yield call)] if alone else (yield Batch([call]))

    runner, _, _ = courier([Reply({"b": 1, "a": 2}, request_id="r-1")])
    assert runner.run(steps()) == [Reply(["a", "b"], request_id="r-1")]


def test_an_interrupt_ends_the_waiting_not_the_sending() -> None:
    def steps():
        yield CREATE
        yield Created("id-1")
        yield Pause(2, None, "making")

    runner, transport, _ = courier([OK], halted=lambda: True)
    with pytest.raises(NotReady, match="interrupted"):
        runner.run(steps(), journal=Diary())
    assert len(transport.calls) == 1


def test_a_write_must_leave_within_a_minute_of_its_last_entry_in_the_journal() -> None:
    named = Throttled("slow down")
    named.retry_after = 300.0
    runner, transport, _ = courier([named, OK])
    runner.run(once(CREATE), journal=Diary())
    assert [call.by - at for call, at in zip(transport.calls, transport.times, strict=True)] == [VALID, VALID]
    assert transport.times[1] > 300


def test_a_runner_that_lost_its_lock_while_it_waited_sends_nothing() -> None:
    class Robbed(Diary):
        def sending(self, call: Call) -> None:
            if self.lines:
                raise Stale("the lock was taken over")
            super().sending(call)

    runner, transport, _ = courier([THROTTLE, OK])
    with pytest.raises(Stale):
        runner.run(once(CREATE), journal=Robbed())
    assert len(transport.calls) == 1


def test_reads_side_by_side_answer_in_order() -> None:
    def steps():
        return (yield Batch([replace(READ, query={"n": n}) for n in range(20)]))

    clock = StillClock()
    transport = ScriptedTransport(clock, lambda call: Reply(dict(call.query)))
    runner = Courier("default", lambda account, vendor: transport, clock, Pacer(clock), side=4)
    assert [answer.body["n"] for answer in runner.run(steps())] == list(range(20))


@pytest.mark.parametrize(
    ("step", "complaint"),
    [
        pytest.param(Created("id-1"), "a read confirmed a creation", id="a read that creates"),
        pytest.param(7, "no step", id="no step at all"),
    ],
)
def test_a_faulty_kind_is_named_as_such(step: object, complaint: str) -> None:
    def steps():
        yield step

    runner, _, _ = courier([])
    with pytest.raises(ReconcilerError, match=complaint):
        runner.run(steps())


def test_once_nobody_waits_nothing_more_is_sent() -> None:
    runner, transport, _ = courier([OK], abandoned=lambda: True)
    journal = Diary()
    with pytest.raises(Unavailable, match="not sent"):
        runner.run(once(CREATE), journal=journal)
    assert (transport.calls, journal.lines) == ([], ["rejected Create"])


class Seeing(Diary):
    """A journal that finds what the vendor refused to have been done."""

    def happened(self, call: Call) -> bool:
        return True


@pytest.mark.parametrize("refusal", [THROTTLE, Denied("no", status=403), LATE], ids=["429", "403", "its signing time"])
def test_a_refused_create_that_is_there_after_all_is_not_sent_again(refusal: VendorError) -> None:
    runner, transport, _ = courier([refusal, OK])
    journal = Seeing()
    with pytest.raises(OutcomeUnknown, match="and yet it took effect"):
        runner.run(once(CREATE), journal=journal)
    assert (len(transport.calls), journal.lines) == (1, ["sending Create", "unknown Create"])


@pytest.mark.parametrize(
    ("rest", "sent"), [pytest.param(0.0, 8, id="eight times"), pytest.param(200.0, 2, id="or for as long as a slot needs to get free")]
)
def test_a_throttle_that_goes_on_is_an_answer(rest: float, sent: int) -> None:
    def refuse(call: Call) -> Reply:
        throttle = Throttled("slow down")
        throttle.retry_after = rest
        raise throttle

    runner, transport, _ = courier(refuse)
    with pytest.raises(Throttled):
        runner.run(once(READ))
    assert len(transport.calls) == sent


def test_a_call_that_was_on_its_way_when_the_queue_came_to_rest_tells_nothing_new() -> None:
    clock = StillClock()
    pacer = Pacer(clock)
    rest = pacer.throttled("a", CREATE, None)
    assert pacer.throttled("a", CREATE, None) == rest
    clock.sleep(rest)
    assert pacer.throttled("a", CREATE, None) > rest
