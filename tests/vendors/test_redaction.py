"""Nothing secret in a log, a message or a traceback, and nothing foreign that could act on a terminal."""

from __future__ import annotations

import traceback
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import VendorError
from reconciler.model import Call
from reconciler.vendors.http import Exchange
from reconciler.vendors.livepeer import Livepeer
from reconciler.vendors.redaction import is_secret, readable, redact, secrets_in
from reconciler.vendors.volcengine import Volcengine

from .loopback import ACCESS, API_KEY, SECRET, TOKEN, Act, Server, StillClock, envelope, hang_up, livepeer_key, respond, volcengine_key


@pytest.mark.parametrize(
    "name",
    [
        *("AccessKey", "SecretKey", "SecurityToken", "streamKey", "Authorization", "access-key", "secret_access_key", "access_key_id"),
        *("X-Security-Token", "session-token", "Set-Cookie", "Cookie", "apiKey", "password", "Proxy-Authorization", "X-Signature"),
    ],
)
def test_secret_names(name: str) -> None:
    assert is_secret(name)
    assert redact({"a": [{name: "canary"}]}) == {"a": [{name: "***"}]}
    assert redact({name: {"nested": "canary"}}) == {name: "***"}


@pytest.mark.parametrize("name", ["TaskId", "createdByTokenName", "playbackId", "Title", "AppId", "Bucket", "SignedHeaders"])
def test_other_names(name: str) -> None:
    assert not is_secret(name)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"SrcAddr": "http://u:p@h/live/key?a=b"}, {"SrcAddr": "http://h/***"}),
        ({"DstAddr": "rtmp://h:1935/live/key"}, {"DstAddr": "rtmp://h:1935/***"}),
        ({"CallbackURL": "https://h/x?t=1#f"}, {"CallbackURL": "https://h/***"}),
        ({"SrcAddrS": ["http://h/a?b=c", "nonsense"]}, {"SrcAddrS": ["http://h/***", "***"]}),
        ({"VodSrcAddrs": [{"SrcAddr": "http://h/a?b=c"}]}, {"VodSrcAddrs": [{"SrcAddr": "http://h/***"}]}),
        ({"url": "https://h/video.mp4?sig=abc"}, {"url": "https://h/video.mp4?sig=***"}),
        ({"note": "see https://u:p@h/x?y=z now"}, {"note": "see https://***@h/x?y=*** now"}),
        ({"n": 1, "b": True, "x": None, "f": 0.5}, {"n": 1, "b": True, "x": None, "f": 0.5}),
    ],
)
def test_urls(value: object, shown: object) -> None:
    assert redact(value) == shown


def test_redact_leaves_its_argument_alone() -> None:
    value = {"a": {"SecretKey": "k"}}
    redact(value)
    assert value == {"a": {"SecretKey": "k"}}


def test_secrets_in_a_body() -> None:
    body = {
        "StorageConfig": {"CustomConfig": {"AccessKey": "akak", "SecretKey": "sksk"}},
        "DstAddr": "rtmp://user:pass@h/live/path?token=qqqq",
        "Title": "no",
    }
    found = set(secrets_in(body))
    assert {"akak", "sksk", "qqqq", "/live/path?token=qqqq", "user:pass"} <= found
    assert "no" not in found


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("two\r\nlines\x1b[31m red\x07", "two lines [31m red"),
        ("bidi \u202eevil\u202c zero\u200bwidth \ufeff", "bidi evil zero width"),
        ("  many\t\tspaces\u3000\u00a0 ", "many spaces"),
        ("line\u2028sep\u0085nel\x00nul", "line sep nel nul"),
        ("lone \ud800 surrogate", "lone surrogate"),
        ("bad address rtmp://h/live/KEY?x=1, sorry", "bad address rtmp://h/*** sorry"),
        ("早间新闻 太长", "早间新闻 太长"),
        ("", ""),
    ],
)
def test_readable(text: str, shown: str) -> None:
    assert readable(text) == shown


def test_readable_is_bounded() -> None:
    assert len(readable("x" * 5_000_000)) == 300
    assert readable("y" * 300) == "y" * 300


def test_known_secrets_go_in_every_spelling() -> None:
    assert readable("no token a/b+c== found, nor a%2Fb%2Bc%3D%3D", secrets=["a/b+c==", "", "a"]) == "no token *** found, nor ***"


@given(st.text(max_size=600))
def test_readable_is_always_one_printable_line(text: str) -> None:
    shown = readable(text)
    assert len(shown) <= 300
    assert shown.isprintable()


# --- canaries through every failure path ------------------------------------------------------------------------------

CANARIES = [
    "CANARYstorageAK",
    "CANARYstorageSK",
    "CANARYstorageST",
    "CANARYpath",
    "CANARYquery",
    "CANARYuser",
    "CANARYpass",
    "CANARYstreamKey",
]
BODY = {
    "StorageConfig": {"CustomConfig": {"AccessKey": CANARIES[0], "SecretKey": CANARIES[1], "SecurityToken": CANARIES[2]}},
    "DstAddr": "rtmp://CANARYuser:CANARYpass@push.example.com/live/CANARYpath?sign=CANARYquery",
}
ECHO = (
    f"no token {API_KEY} found {ACCESS} {SECRET} {TOKEN} "
    + " ".join(CANARIES[:3])
    + f" {BODY['DstAddr']} /live/CANARYpath?sign=CANARYquery CANARYquery"
)
LEAKY = {
    "streamKey": CANARIES[7],
    "AccessKey": CANARIES[0],
    "DstAddr": BODY["DstAddr"],
    "deep": [{"parentStream": {"streamKey": CANARIES[7]}}],
}

ANSWERS: dict[str, Act] = {
    "200": respond(200, {**envelope(LEAKY)}, headers={"Set-Cookie": CANARIES[7]}),
    "error with echo": respond(400, {**envelope(error={"Code": "InvalidParam", "Message": ECHO}), "errors": [ECHO]}),
    "code with echo": respond(400, {**envelope(error={"Code": ECHO, "Message": ECHO}), "errors": [ECHO]}),
    "401": respond(401, {**envelope(error={"Code": "InvalidAccessKey", "Message": ECHO}), "errors": [f"no token {API_KEY} found"]}),
    "html": respond(502, raw=ECHO.encode()),
    "not JSON": respond(200, raw=b"{" + ECHO.encode()),
    "hang up": hang_up,
    "redirect": respond(302, headers={"Location": f"https://u:{API_KEY}@h/{SECRET}"}),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize("vendor", ["volcengine-rtc", "livepeer"])
def test_no_canary_survives(vendor: str, answer: Act) -> None:
    told: list[Exchange] = []
    options: dict[str, Any] = {"clock": StillClock(), "read_only": False, "on_exchange": told.append}
    with Server([answer]) as server:
        transport = (
            Livepeer(server.url, livepeer_key(), **options)
            if vendor == "livepeer"
            else Volcengine(server.url, volcengine_key(TOKEN), **options)
        )
        texts = []
        try:
            transport.send(Call(vendor, "StartRecord", path="/clip", body=BODY))
        except VendorError as wrong:
            texts = [wrong.message, wrong.code, wrong.next_step, "".join(traceback.format_exception(wrong))]
    assert len(told) == 1
    texts += [repr(told[0]), repr(transport)]
    for canary in [*CANARIES, *([API_KEY] if vendor == "livepeer" else [ACCESS, SECRET, TOKEN])]:
        assert not [text for text in texts if canary in text]


def test_a_key_that_no_header_takes_is_not_shown() -> None:
    from reconciler.model import Secret
    from reconciler.vendors.credentials import LivepeerKey

    key = LivepeerKey(Secret("CANARY\nkey"), "test")
    with Server([]) as server, pytest.raises(VendorError) as wrong:
        Livepeer(server.url, key, clock=StillClock(), read_only=False).send(Call("livepeer", "CreateClip", path="/clip", body={}))
    assert "CANARY" not in "".join(traceback.format_exception(wrong.value))
