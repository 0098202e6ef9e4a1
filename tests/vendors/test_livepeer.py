"""Livepeer Studio over real HTTP: what is sent, what each answer becomes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reconciler.errors import Denied, NotFound, OutcomeUnknown, ReconcilerError, Rejected, Throttled, Unavailable
from reconciler.model import Call
from reconciler.vendors.livepeer import Livepeer

from .loopback import API_KEY, Act, Server, StillClock, hang_up, livepeer_key, respond

CLIP = Call("livepeer", "CreateClip", path="/clip", body={"playbackId": "p", "startTime": 1, "endTime": 2, "name": "进球"})
LIST = Call(
    "livepeer",
    "ListAssets",
    method="GET",
    path="/asset",
    query={"limit": 100, "filters": '[{"id":"sourceType","value":"clip"}]'},
    safe=True,
)


def livepeer(server: Server, **options: Any) -> Livepeer:
    return Livepeer(f"{server.url}/api", livepeer_key(), **{"clock": StillClock(), "read_only": False, **options})


def errors(*sentences: str) -> dict[str, list[str]]:
    return {"errors": list(sentences)}


def test_post() -> None:
    with Server([respond(200, {"task": {"id": "t"}, "asset": {"id": "a"}}, headers={"CF-Ray": "ray1"})]) as server:
        reply = livepeer(server).send(CLIP)
        [seen] = server.seen
    assert (reply.body, reply.status, reply.request_id) == ({"task": {"id": "t"}, "asset": {"id": "a"}}, 200, "ray1")
    assert (seen.method, seen.target) == ("POST", "/api/clip")
    assert seen.headers["authorization"] == f"Bearer {API_KEY}"
    assert seen.headers["content-type"] == "application/json"
    assert json.loads(seen.body) == CLIP.body


def test_get_with_filters() -> None:
    link = '<http://host/api/asset?cursor=skip20>; rel="next"'
    with Server([respond(200, [], headers={"Link": link, "X-Total-Count": "41"})]) as server:
        reply = livepeer(server, read_only=True).send(LIST)
        [seen] = server.seen
    assert reply.body == []
    assert (reply.headers["link"], reply.headers["x-total-count"]) == (link, "41")
    assert seen.query == {"limit": "100", "filters": '[{"id":"sourceType","value":"clip"}]'}
    assert (seen.body, seen.headers.get("content-type")) == (b"", None)


def test_delete_answers_with_nothing() -> None:
    with Server([respond(204)]) as server:
        reply = livepeer(server).send(Call("livepeer", "DeleteAsset", method="DELETE", path="/asset/1-a"))
        assert (reply.body, reply.status, server.seen[0].method) == (None, 204, "DELETE")


AJV = json.dumps({"instancePath": "/startTime", "keyword": "type", "message": "must be number"})


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        (respond(422, errors(AJV)), Rejected, "CreateClip was refused: HTTP422: /startTime must be number"),
        (respond(422, errors("one", "two")), Rejected, "CreateClip was refused: HTTP422: one; two"),
        (respond(422, errors("{not json")), Rejected, "CreateClip was refused: HTTP422: {not json"),
        (respond(422, {"errors": [{"message": "odd"}, 7]}), Rejected, "CreateClip was refused: HTTP422: {'message': 'odd'}; 7"),
        (respond(404, errors("Content not found")), NotFound, "CreateClip found nothing: HTTP404: Content not found"),
        (respond(400, errors("asset is already deleted")), NotFound, "CreateClip found nothing: HTTP400: asset is already deleted"),
        (
            respond(403, errors("Too many clips are being processed.")),
            Throttled,
            "CreateClip was throttled: HTTP403: Too many clips are being processed.",
        ),
        (respond(403, errors("user is suspended")), Denied, "CreateClip was denied: HTTP403: user is suspended"),
        (respond(401, errors(f"no token {API_KEY} found")), Denied, "CreateClip was denied: HTTP401: no token *** found"),
        (respond(413, errors("request entity too large")), Rejected, "CreateClip was refused: HTTP413: request entity too large"),
        (
            respond(500, errors("Internal server error: Error")),
            OutcomeUnknown,
            "CreateClip was sent, its outcome is unknown: HTTP500: Internal server error: Error",
        ),
        (respond(502, raw=b"<html>"), OutcomeUnknown, "CreateClip was sent, its outcome is unknown: HTTP502"),
        (respond(404, raw=b"<html>"), OutcomeUnknown, "CreateClip was sent, its outcome is unknown: HTTP404"),
        (respond(404, {"errors": []}), OutcomeUnknown, "CreateClip was sent, its outcome is unknown: HTTP404"),
        (
            respond(200, raw=b"<html>"),
            OutcomeUnknown,
            "CreateClip was sent, its outcome is unknown: NotJSON, HTTP 200: the answer is not JSON",
        ),
        (respond(200, raw=b""), OutcomeUnknown, "CreateClip was sent, its outcome is unknown: NotJSON, HTTP 200"),
        (respond(304), OutcomeUnknown, "CreateClip was sent, its outcome is unknown: Redirected, HTTP 304"),
        (hang_up, OutcomeUnknown, "CreateClip was sent, its outcome is unknown: RemoteProtocolError"),
    ],
)
def test_failure(answer: Act, kind: type[Exception], says: str) -> None:
    with Server([answer, answer]) as server:
        with pytest.raises(ReconcilerError) as write:
            livepeer(server).send(CLIP)
        with pytest.raises(ReconcilerError) as read:
            livepeer(server).send(LIST)
        assert len(server.seen) == 2, "sent once each, nothing is tried again"
    assert type(write.value) is kind
    assert write.value.message.startswith(says)
    assert type(read.value) is (Unavailable if kind is OutcomeUnknown else kind)


@pytest.mark.parametrize(("headers", "seconds"), [({"Retry-After": "7"}, 7.0), ({}, None)])
def test_throttles_name_their_pause(headers: dict[str, str], seconds: float | None) -> None:
    with Server([respond(429, raw=b"slow down", headers=headers)]) as server, pytest.raises(Throttled) as throttled:
        livepeer(server).send(CLIP)
    assert throttled.value.retry_after == seconds


def test_read_only() -> None:
    with Server([]) as server:
        with pytest.raises(ReconcilerError) as fault:
            livepeer(server, read_only=True).send(CLIP)
        assert (fault.value.exit_code, server.connections) == (70, 0)


@pytest.mark.parametrize(
    "path",
    ["clip", "/asset/../user", "/asset/a?b=c", "/asset/a#b", "//evil.example.com/x", "/asset/a b", "/asset/", "", "/asset/é", "/a\r\nX: y"],
)
def test_a_path_must_be_one(path: str) -> None:
    with Server([]) as server:
        with pytest.raises(ReconcilerError) as fault:
            livepeer(server).send(Call("livepeer", "GetAsset", method="GET", path=path, safe=True))
        assert (type(fault.value), server.connections) == (ReconcilerError, 0)


@pytest.mark.parametrize(
    "call",
    [
        Call("livepeer", "A", path="/a", body={"x": object()}),
        Call("livepeer", "A", path="/a", query={"x": "\ud800"}),
        Call("volcengine-live", "A"),
    ],
)
def test_what_cannot_be_sent_is_our_fault(call: Call) -> None:
    with Server([]) as server:
        with pytest.raises(ReconcilerError) as fault:
            livepeer(server).send(call)
        assert (type(fault.value), server.connections) == (ReconcilerError, 0)
