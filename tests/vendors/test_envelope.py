"""Volcengine's envelope over real HTTP: what is sent, what each answer becomes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from reconciler.errors import Denied, Lapsed, NotFound, OutcomeUnknown, ReconcilerError, Rejected, Throttled, Unavailable
from reconciler.model import Call
from reconciler.vendors.signing import Signer
from reconciler.vendors.volcengine import Volcengine

from .loopback import ACCESS, SECRET, START, Act, Seen, Server, StillClock, envelope, respond, volcengine_key

CREATE = Call(
    "volcengine-live", "CreatePullToPushTask", body={"Title": "晚间", "DstAddr": "rtmp://push.example.com/live/s?key=hunter2hunter2"}
)
LIST = Call("volcengine-live", "ListPullToPushTaskV2", body={"Page": 1, "Size": 500}, safe=True)
GET = Call("volcengine-rtc", "GetRecordTask", method="GET", query={"TaskId": "a b~c/d", "AppId": "x"}, safe=True)


def volcengine(server: Server, **options: Any) -> Volcengine:
    return Volcengine(server.url, volcengine_key(options.pop("token", "")), **{"clock": StillClock(), "read_only": False, **options})


def verified(seen: Seen, *, service: str, token: str = "") -> Mapping[str, str]:
    """The headers of a request whose signature is right for exactly the bytes that came over the wire."""
    sent = {name: value for name, value in seen.headers.items() if name in ("host", "content-type")}
    query = seen.target.partition("?")[2]
    again = Signer(ACCESS, SECRET, "cn-north-1", service, token).sign(seen.method, "/", query=query, headers=sent, body=seen.body, at=START)
    assert seen.headers["authorization"] == again["Authorization"]
    return seen.headers


def test_post() -> None:
    with Server([respond(200, envelope({"TaskId": "t1"}), headers={"X-Tt-Logid": "L1", "Date": "D"})]) as server:
        reply = volcengine(server).send(CREATE)
        [seen] = server.seen
    assert (reply.body, reply.status, reply.request_id) == ({"TaskId": "t1"}, 200, "20260101000000A001")
    assert reply.headers["x-tt-logid"] == "L1"
    assert seen.target == "/?Action=CreatePullToPushTask&Version=2023-01-01&X-Expires=60"
    headers = verified(seen, service="live")
    assert headers["host"] == f"127.0.0.1:{server.port}"
    assert headers["content-type"] == "application/json"
    assert json.loads(seen.body) == CREATE.body
    assert "晚间".encode() in seen.body, "UTF-8, no escapes"


def test_get() -> None:
    with Server([respond(200, envelope({"RecordTask": None}))]) as server:
        reply = volcengine(server, token="STS2exampletoken").send(GET)
        [seen] = server.seen
    assert reply.body == {"RecordTask": None}
    assert seen.target == "/?Action=GetRecordTask&AppId=x&TaskId=a%20b~c%2Fd&Version=2023-11-01&X-Expires=60"
    headers = verified(seen, service="rtc", token="STS2exampletoken")
    assert headers["x-security-token"] == "STS2exampletoken"
    assert "content-type" not in headers
    assert seen.body == b""


def test_expires_can_be_turned_off() -> None:
    with Server([respond(200, envelope({}))]) as server:
        volcengine(server, expires=None).send(LIST)
        assert "X-Expires" not in server.seen[0].query


def test_a_kind_cannot_override_action_or_version() -> None:
    call = Call("volcengine-live", "ListPullToPushTask", method="GET", query={"Action": "Evil", "Version": "1", "X-Expires": 9}, safe=True)
    with Server([respond(200, envelope({}))]) as server:
        volcengine(server).send(call)
        assert server.seen[0].query == {"Action": "ListPullToPushTask", "Version": "2023-01-01", "X-Expires": "60"}


@pytest.mark.parametrize(
    ("body", "result"),
    [
        (envelope(), None),
        (envelope(None), None),
        (envelope(""), ""),
        (envelope("ok"), "ok"),
        (
            envelope("The task has been started. Please do not call the startup task interface repeatedly"),
            "The task has been started. Please do not call the startup task interface repeatedly",
        ),
        (envelope({}), {}),
        (envelope(error=None), None),
        ({"ResponseMetadata": {"Error": None}, "Result": {"a": 1}}, {"a": 1}),
        ({"Result": "ok"}, "ok"),
    ],
    ids=["no Result", "null", "empty", "ok", "already started", "object", "no Error", "Error null", "no metadata"],
)
def test_success(body: object, result: object) -> None:
    with Server([respond(200, body)]) as server:
        assert volcengine(server).send(CREATE).body == result


@pytest.mark.parametrize(
    ("answer", "kind", "code", "status"),
    [
        (respond(400, envelope(error={"Code": "InvalidParam", "Message": "no"})), Rejected, "InvalidParam", 400),
        (respond(200, envelope(error={"Code": "InvalidParam", "Message": "no"})), Rejected, "InvalidParam", 200),
        (respond(200, envelope({}, error={"Code": "CommonErr", "Message": "no"})), OutcomeUnknown, "CommonErr", 200),
        (
            respond(200, envelope("", error={"Code": "InvalidParameter.ErrorActiveTaskNotFound"})),
            NotFound,
            "InvalidParameter.ErrorActiveTaskNotFound",
            200,
        ),
        (respond(404, envelope(error={"CodeN": 100008, "Code": "InvalidActionOrVersion"})), Rejected, "InvalidActionOrVersion", 404),
        (respond(429, envelope(error={"Code": "FlowLimitExceeded"}), headers={"Retry-After": "2"}), Throttled, "FlowLimitExceeded", 429),
        (respond(401, envelope(error={"Code": "InvalidAccessKey"})), Denied, "InvalidAccessKey", 401),
        (respond(500, envelope(error={"Code": "InternalError"})), OutcomeUnknown, "InternalError", 500),
        (respond(400, envelope(error={"Code": "NeverHeardOf"})), OutcomeUnknown, "NeverHeardOf", 400),
        (respond(200, envelope(error={})), OutcomeUnknown, "", 200),
        (respond(200, {"ResponseMetadata": {"Error": "text"}}), OutcomeUnknown, "", 200),
        (respond(502, raw=b"<html>bad gateway</html>"), OutcomeUnknown, "", 502),
        (respond(403, raw=b"<html>forbidden</html>"), Denied, "", 403),
        (respond(400, raw=b"<html>bad request</html>"), OutcomeUnknown, "", 400),
        (respond(200, raw=b"<html>welcome</html>"), OutcomeUnknown, "NotJSON", 200),
        (respond(200, raw=b""), OutcomeUnknown, "NotJSON", 200),
        (respond(204), OutcomeUnknown, "NotJSON", 204),
        (respond(200, raw=b'{"Result": NaN}'), OutcomeUnknown, "NotJSON", 200),
        (respond(200, raw=b'{"Result": ' + b"9" * 5000 + b"}"), OutcomeUnknown, "NotJSON", 200),
        (respond(200, raw=b'\xff\xfe"'), OutcomeUnknown, "NotJSON", 200),
        (respond(200, {}), OutcomeUnknown, "NoEnvelope", 200),
        (respond(200, []), OutcomeUnknown, "NoEnvelope", 200),
        (respond(200, {"hello": "world"}), OutcomeUnknown, "NoEnvelope", 200),
        (respond(200, {"ResponseMetadata": "x"}), OutcomeUnknown, "NoEnvelope", 200),
        (respond(302, headers={"Location": "https://evil.example.com/"}), OutcomeUnknown, "Redirected", 302),
    ],
)
def test_failure(answer: Act, kind: type[Exception], code: str, status: int) -> None:
    with Server([answer, answer]) as server:
        with pytest.raises(ReconcilerError) as write:
            volcengine(server).send(CREATE)
        with pytest.raises(ReconcilerError) as read:
            volcengine(server).send(LIST)
        assert len(server.seen) == 2, "sent once each, nothing is tried again"
    assert (type(write.value), write.value.code, write.value.status) == (kind, code, status)  # type: ignore[attr-defined]
    assert type(read.value) is (Unavailable if kind is OutcomeUnknown else kind)
    assert "\n" not in write.value.message
    assert write.value.message.startswith("CreatePullToPushTask ")


def test_request_id_comes_from_either_place() -> None:
    error = {"ResponseMetadata": {"Error": {"Code": "InvalidParam"}}}
    with Server([respond(400, error, headers={"X-Tt-Logid": "LOG7"}), respond(400, envelope(error={"Code": "InvalidParam"}))]) as server:
        for expected in ("LOG7", "20260101000000A001"):
            with pytest.raises(Rejected, match=rf"\(request {expected}\)") as refused:
                volcengine(server).send(CREATE)
            assert refused.value.request_id == expected


def test_retry_after_is_handed_on() -> None:
    with (
        Server([respond(429, envelope(error={"Code": "FlowLimitExceeded"}), headers={"Retry-After": "2"})]) as server,
        pytest.raises(Throttled) as throttled,
    ):
        volcengine(server).send(CREATE)
    assert throttled.value.retry_after == 2.0


STALE = envelope(error={"Code": "InvalidTimestamp", "CodeN": 100006, "Message": "expired"})


def dated(hours: float) -> dict[str, str]:
    return {"Date": format_datetime(START + timedelta(hours=hours), usegmt=True)}


def test_a_wrong_clock_is_corrected_once_and_remembered() -> None:
    with Server([respond(403, STALE, headers=dated(5)), respond(200, envelope({"TaskId": "t"})), respond(200, envelope())]) as server:
        transport = volcengine(server)
        assert transport.send(LIST).body == {"TaskId": "t"}
        transport.send(CREATE)
        assert [seen.headers["x-date"] for seen in server.seen] == ["20260101T000000Z", "20260101T050000Z", "20260101T050000Z"]


def test_a_clock_that_stays_wrong_is_denied_with_a_hint() -> None:
    with Server([respond(403, STALE, headers=dated(5))] * 3) as server:
        with pytest.raises(Denied, match="clock") as denied:
            volcengine(server).send(LIST)
        assert len(server.seen) == 2
    assert denied.value.next_step == "reconciler doctor"


def test_a_write_that_came_too_late_goes_back_to_the_journal_and_knows_the_time_then() -> None:
    with Server([respond(403, STALE, headers=dated(5)), respond(200, envelope())]) as server:
        transport = volcengine(server)
        with pytest.raises(Lapsed):
            transport.send(CREATE)
        assert len(server.seen) == 1
        transport.send(CREATE)
        assert server.seen[1].headers["x-date"] == "20260101T050000Z"


@pytest.mark.parametrize("headers", [{}, {"Date": "tomorrow"}, {"Date": ""}])
def test_without_a_date_there_is_no_second_try(headers: dict[str, str]) -> None:
    with Server([respond(403, STALE, headers=headers)] * 2) as server:
        with pytest.raises(Denied):
            volcengine(server).send(CREATE)
        assert len(server.seen) == 1


def test_the_second_signature_ends_when_the_first_would_have() -> None:
    clock = StillClock()

    def slow_refusal(connection: Any) -> None:
        clock.pass_by(20)
        respond(403, STALE, headers=dated(5))(connection)

    with Server([slow_refusal, respond(200, envelope())]) as server:
        volcengine(server, clock=clock).send(LIST)
        assert [seen.query["X-Expires"] for seen in server.seen] == ["60", "40"]


def test_read_only_refuses_writes_before_signing() -> None:
    with Server([]) as server:
        with pytest.raises(ReconcilerError) as fault:
            volcengine(server, read_only=True).send(CREATE)
        assert (type(fault.value), fault.value.exit_code, server.connections) == (ReconcilerError, 70, 0)


def test_read_only_reads() -> None:
    with Server([respond(200, envelope({"List": []}))]) as server:
        assert volcengine(server, read_only=True).send(LIST).body == {"List": []}


def test_a_call_for_another_vendor_is_our_fault() -> None:
    with Server([]) as server, pytest.raises(ReconcilerError, match="livepeer") as fault:
        volcengine(server).send(Call("livepeer", "ListAssets", safe=True))
    assert fault.value.exit_code == 70


@pytest.mark.parametrize(
    "call",
    [
        Call("volcengine-live", "A", body={"x": object()}),
        Call("volcengine-live", "A", body={"x": "\ud800"}),
        Call("volcengine-live", "A", body={"x": float("nan")}),
        Call("volcengine-live", "A", method="GET", query={"x": "\ud800"}),
    ],
)
def test_what_cannot_be_sent_is_our_fault(call: Call) -> None:
    with Server([]) as server:
        with pytest.raises(ReconcilerError) as fault:
            volcengine(server).send(call)
        assert (type(fault.value), server.connections) == (ReconcilerError, 0)
