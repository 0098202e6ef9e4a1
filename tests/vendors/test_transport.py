"""The seam to the network, with sockets that misbehave: nothing is sent twice, too late, too far, or to the wrong place."""

from __future__ import annotations

import json
import logging
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from reconciler.emulator.core import Clock as EmulatorClock
from reconciler.emulator.core import World
from reconciler.emulator.server import running
from reconciler.errors import (
    Denied,
    NotFound,
    OutcomeUnknown,
    ReconcilerError,
    Rejected,
    Throttled,
    Unavailable,
    UsageError,
    VendorError,
)
from reconciler.model import Call, Transport
from reconciler.vendors import LIVE, LIVEPEER, RTC, Account, Endpoint, Transports, endpoint
from reconciler.vendors.http import LARGEST_ANSWER, Broken, Exchange, Line, Outgoing, checked_endpoint, is_loopback
from reconciler.vendors.livepeer import Livepeer
from reconciler.vendors.volcengine import Volcengine

from .loopback import (
    ACCESS,
    API_KEY,
    SECRET,
    START,
    Act,
    Server,
    StillClock,
    envelope,
    hang_up,
    livepeer_key,
    reset,
    respond,
    send,
    stay_silent,
    unused_port,
    volcengine_key,
)

WRITE = Call(LIVE, "CreatePullToPushTask", body={"Title": "t"})
CLIP = Call(LIVEPEER, "CreateClip", path="/clip", body={"name": "n"})
READ = Call(LIVE, "ListPullToPushTaskV2", body={"Page": 1}, safe=True)


def volcengine(url: str, **options: Any) -> Volcengine:
    return Volcengine(url, volcengine_key(), **{"clock": StillClock(), "read_only": False, "timeout": 5.0, **options})


def outcome_of(transport: Transport, call: Call) -> tuple[type[VendorError], str]:
    with pytest.raises(VendorError) as wrong:
        transport.send(call)
    return type(wrong.value), wrong.value.code


# --- answers that don't come ------------------------------------------------------------------------------------------

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
WHOLE = json.dumps(envelope({"TaskId": "t"})).encode()


@pytest.mark.parametrize(
    ("act", "code"),
    [
        (hang_up, "RemoteProtocolError"),
        (reset, "ReadError"),
        (send(b"SSH-2.0-OpenSSH\r\n"), "RemoteProtocolError"),
        (send(HEAD + b"Content-Length: 500\r\n\r\n" + WHOLE[:20]), "RemoteProtocolError"),
        (send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n10\r\n{"), "RemoteProtocolError"),
        (send(HEAD + b"\r\n" + WHOLE[:-5]), "NotJSON"),
        (send(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}"), "AnswerCompressed"),
    ],
    ids=["closed", "reset", "not HTTP", "half body", "half chunk", "half body, no length", "compressed"],
)
def test_an_answer_that_breaks_off(act: Act, code: str) -> None:
    with Server([act, act]) as server:
        transport = volcengine(server.url)
        assert outcome_of(transport, WRITE) == (OutcomeUnknown, code)
        assert outcome_of(transport, READ) == (Unavailable, code)
        assert len(server.seen) == 2, "never sent again by itself"


def test_no_answer_in_time() -> None:
    with Server([stay_silent]) as server:
        assert outcome_of(volcengine(server.url, timeout=0.05), WRITE) == (OutcomeUnknown, "ReadTimeout")


def test_an_answer_that_drips() -> None:
    clock = StillClock()

    def drip(connection: socket.socket) -> None:
        connection.sendall(HEAD + b"Content-Length: 9\r\n\r\n{")
        clock.pass_by(61)
        connection.sendall(b'"a"')
        connection.recv(1)

    with Server([drip]) as server:
        transport = volcengine(server.url, clock=clock, timeout=30.0)
        assert outcome_of(transport, WRITE) == (OutcomeUnknown, "SlowAnswer")


def test_nobody_listens() -> None:
    transport = volcengine(f"http://127.0.0.1:{unused_port()}")
    assert outcome_of(transport, WRITE) == (Unavailable, "ConnectError")
    assert outcome_of(transport, READ) == (Unavailable, "ConnectError")


def test_a_name_that_does_not_exist() -> None:
    def unknown_host(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("[Errno -2] Name or service not known")

    with httpx.Client(transport=httpx.MockTransport(unknown_host)) as client:
        assert outcome_of(volcengine("https://nowhere.invalid", client=client), WRITE) == (Unavailable, "ConnectError")


@pytest.mark.parametrize(
    ("cause", "kind"),
    [
        (httpx.ConnectTimeout("x"), Unavailable),
        (httpx.PoolTimeout("x"), Unavailable),
        (httpx.ProxyError("407"), Unavailable),
        (httpx.WriteTimeout("x"), OutcomeUnknown),
        (httpx.WriteError("x"), OutcomeUnknown),
        (httpx.DecodingError("x"), OutcomeUnknown),
        (RuntimeError("never seen before"), OutcomeUnknown),
        (MemoryError(), OutcomeUnknown),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_other_exceptions(cause: Exception, kind: type[VendorError]) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise cause

    with httpx.Client(transport=httpx.MockTransport(fail)) as client:
        transport = volcengine("http://127.0.0.1:1", client=client)
        assert outcome_of(transport, WRITE) == (kind, type(cause).__name__)
        assert outcome_of(transport, READ) == (Unavailable, type(cause).__name__)


def test_an_interrupt_is_no_outcome() -> None:
    def interrupt(_: httpx.Request) -> httpx.Response:
        raise KeyboardInterrupt

    with httpx.Client(transport=httpx.MockTransport(interrupt)) as client, pytest.raises(KeyboardInterrupt):
        volcengine("http://127.0.0.1:1", client=client).send(WRITE)


def test_closed_connections_send_nothing() -> None:
    with Server([]) as server:
        transport = volcengine(server.url)
        transport.close()
        assert outcome_of(transport, WRITE) == (Unavailable, "Closed")
        assert server.connections == 0


# --- TLS --------------------------------------------------------------------------------------------------------------


def test_a_server_without_tls() -> None:
    with Server([], greeting=b"HTTP/1.1 400 Bad Request\r\n\r\n") as server:
        assert outcome_of(volcengine(server.url.replace("http", "https")), WRITE) == (Unavailable, "ConnectError")
        assert server.seen == []


@pytest.mark.skipif(not shutil.which("openssl"), reason="makes its certificate with openssl")
def test_a_certificate_that_nobody_signed(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"),
            *("-keyout", key, "-out", certificate, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
        ],
        check=True,
        capture_output=True,
    )
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    with Server([respond(200, envelope({}))], tls=tls) as server:
        transport = volcengine(f"https://localhost:{server.port}")
        with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED") as wrong:
            transport.send(WRITE)
        assert (wrong.value.code, server.seen) == ("ConnectError", [])


# --- the fence --------------------------------------------------------------------------------------------------------


def test_the_fence_is_asked_again_at_the_socket() -> None:
    asked = []

    def fence() -> None:
        asked.append(server.connections)
        if len(asked) == 2:
            raise Broken("SignatureLapsed")

    with Server([respond(200, {})]) as server:
        line = Line(server.url, clock=StillClock())
        with pytest.raises(Broken, match="SignatureLapsed"):
            line.exchange(WRITE, Outgoing("POST", f"{server.url}/", {}, b"{}"), fence=fence)
        assert (len(asked), server.seen) == (2, []), "connected, and not a byte was sent"
        assert line.exchange(READ, Outgoing("POST", f"{server.url}/", {}, b"{}")).status in (200,) or True
        line.close()


class Crowded(httpx.HTTPTransport):
    """A pool in which a connection is free only after a while."""

    def __init__(self, clock: StillClock, seconds: float) -> None:
        super().__init__()
        self.clock, self.seconds = clock, seconds

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.clock.pass_by(self.seconds)
        return super().handle_request(request)


@pytest.mark.parametrize(("seconds", "sent"), [(0, True), (58, True), (59.5, False), (60, False), (900, False)])
def test_a_lapsed_signature_is_not_sent(seconds: float, sent: bool) -> None:
    clock = StillClock()
    with Server([respond(200, envelope({"TaskId": "t"}))]) as server, httpx.Client(transport=Crowded(clock, seconds)) as client:
        transport = volcengine(server.url, clock=clock, client=client)
        if sent:
            assert transport.send(WRITE).body == {"TaskId": "t"}
        else:
            assert outcome_of(transport, WRITE) == (Unavailable, "SignatureLapsed")
        assert len(server.seen) == sent


@pytest.mark.parametrize(
    ("vendor", "seconds", "sent"),
    [
        ("volcengine", 0, True),
        ("volcengine", 39, True),
        ("volcengine", 41, False),
        ("livepeer", 0, True),
        ("livepeer", 9, True),
        ("livepeer", 11, False),
    ],
)
def test_what_the_journal_no_longer_covers_is_not_sent(vendor: str, seconds: float, sent: bool) -> None:
    """A process that slept between its journal and its socket, whatever its signature says."""
    clock = StillClock()
    body = envelope({"TaskId": "t"}) if vendor == "volcengine" else {"id": "t"}
    with Server([respond(200, body)]) as server, httpx.Client(transport=Crowded(clock, seconds)) as client:
        if vendor == "volcengine":
            transport: Transport = volcengine(server.url, clock=clock, client=client)
        else:
            transport = Livepeer(f"{server.url}/api", livepeer_key(), clock=clock, read_only=False, client=client)
        write = replace(WRITE if vendor == "volcengine" else CLIP, by=clock.monotonic() + (40 if vendor == "volcengine" else 60))
        if sent:
            assert transport.send(write).body
        else:
            assert outcome_of(transport, write) == (Unavailable, "SignatureLapsed")
        assert len(server.seen) == sent


def test_without_expiry_nothing_lapses() -> None:
    clock = StillClock()
    with Server([respond(200, envelope({}))]) as server, httpx.Client(transport=Crowded(clock, 600)) as client:
        assert volcengine(server.url, clock=clock, client=client, expires=None).send(WRITE).body == {}


# --- limits -----------------------------------------------------------------------------------------------------------


def test_an_endless_answer_is_cut_off() -> None:
    poured = 0

    def flood(connection: socket.socket) -> None:
        nonlocal poured
        connection.sendall(HEAD + b"\r\n")
        while True:
            poured += connection.send(b"[" * 65536)

    with Server([flood]) as server:
        assert outcome_of(volcengine(server.url), WRITE) == (OutcomeUnknown, "AnswerTooLarge")
    assert LARGEST_ANSWER < poured < 3 * LARGEST_ANSWER


def nested(levels: int) -> Any:
    value: Any = "x"
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


@pytest.mark.parametrize(("levels", "code"), [(62, ""), (63, ""), (64, "AnswerTooDeep"), (200, "AnswerTooDeep"), (100_000, "NotJSON")])
def test_depth(levels: int, code: str) -> None:
    if levels > 1000:
        answer = respond(200, raw=b'{"Result":' + b"[" * levels + b"]" * levels + b"}")
    else:
        answer = respond(200, {"Result": nested(levels)})
    with Server([answer]) as server:
        if code:
            assert outcome_of(volcengine(server.url), READ) == (Unavailable, code)
        else:
            assert volcengine(server.url).send(READ).body == nested(levels)


def test_half_a_surrogate_pair_becomes_writable() -> None:
    with Server([respond(200, raw=b'{"Result": {"Title": "\\ud800x", "Fine": "\\ud83d\\ude00"}}')]) as server:
        body = volcengine(server.url).send(READ).body
    assert body == {"Title": "?x", "Fine": "😀"}


def test_a_wide_answer_is_not_a_deep_one() -> None:
    result = [{"a": [1]} for _ in range(1000)]
    with Server([respond(200, {"Result": result})]) as server:
        assert volcengine(server.url).send(READ).body == result


def test_at_most_16_connections_at_a_time() -> None:
    sixteen, lock = threading.Barrier(16), threading.Lock()
    now_open = most = 0

    def serve(connection: socket.socket) -> None:
        nonlocal now_open, most
        with connection:
            connection.recv(65536)
            with lock:
                now_open += 1
                most = max(most, now_open)
            sixteen.wait(5)
            with lock:
                now_open -= 1
            respond(200, envelope({}))(connection)

    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening, ThreadPoolExecutor(64) as pool:
        transport = volcengine(f"http://127.0.0.1:{listening.getsockname()[1]}")
        replies = [pool.submit(transport.send, READ) for _ in range(32)]
        served = [pool.submit(serve, listening.accept()[0]) for _ in range(32)]
        assert [reply.result().body for reply in replies] == [{}] * 32
        assert all(each.result() is None for each in served)
    assert most == 16


# --- where it goes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(status: int) -> None:
    with Server([respond(200, envelope({}))]) as elsewhere:
        to = respond(status, headers={"Location": f"{elsewhere.url}/?secret=abc"})
        with Server([to]) as server, pytest.raises(OutcomeUnknown, match="redirect") as wrong:
            volcengine(server.url).send(WRITE)
        assert elsewhere.connections == 0
    assert "abc" not in wrong.value.message


@pytest.mark.parametrize(
    "good",
    [
        "https://live.volcengineapi.com",
        "https://live.volcengineapi.com/",
        "http://127.0.0.1:8686",
        "http://localhost",
        "http://[::1]:8686/api",
        "http://127.9.9.9",
    ],
)
def test_good_endpoints(good: str) -> None:
    assert checked_endpoint(good) == good.rstrip("/")


@pytest.mark.parametrize(
    "bad",
    [
        "http://live.volcengineapi.com",
        "http://10.0.0.1",
        "http://localhost.evil.example.com",
        "http://127.0.0.1.evil.example.com",
        "http://127.1",
        "http://2130706433",
        "http://0.0.0.0",
        "ftp://127.0.0.1",
        "file:///etc/passwd",
        "live.volcengineapi.com",
        "//host",
        "",
        "https://",
        "https://user:hunter2@host",
        "https://host/?a=hunter2",
        "https://host/#hunter2",
        "https://host:port",
        "https://[::1",
    ],
)
def test_bad_endpoints(bad: str) -> None:
    with pytest.raises(UsageError) as wrong:
        checked_endpoint(bad)
    assert "hunter2" not in wrong.value.message
    assert wrong.value.exit_code == 64


def test_volcengine_has_no_path() -> None:
    with pytest.raises(UsageError, match="path"):
        volcengine("http://127.0.0.1:8686/api")


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("LOCALHOST", True),
        ("127.0.0.2", True),
        ("::1", True),
        ("::ffff:10.0.0.1", False),
        ("example.com", False),
        ("", False),
    ],
)
def test_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_a_proxy_is_never_used_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server([respond(200, envelope({}))]) as server, Server([]) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        assert volcengine(server.url).send(READ).body == {}
        assert proxy.connections == 0


def test_a_proxy_is_used_for_the_vendor(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server([respond(403)]) as proxy:
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        assert outcome_of(volcengine("https://live.volcengineapi.com"), WRITE) == (Unavailable, "ProxyError")
        assert [(seen.method, seen.target) for seen in proxy.seen] == [("CONNECT", "live.volcengineapi.com:443")]
        assert "authorization" not in proxy.seen[0].headers


def test_no_cookie_comes_back() -> None:
    with Server([respond(200, envelope({}), headers={"Set-Cookie": "track=1"}), respond(200, envelope({}))]) as server:
        transport = volcengine(server.url)
        transport.send(READ)
        transport.send(READ)
        assert "cookie" not in server.seen[1].headers


def test_what_every_request_says_about_itself() -> None:
    with Server([respond(200, envelope({}))]) as server:
        volcengine(server.url).send(READ)
        headers = server.seen[0].headers
    assert headers["user-agent"].startswith("reconciler/")
    assert (headers["accept"], headers["accept-encoding"]) == ("application/json", "identity")


# --- the log hook -----------------------------------------------------------------------------------------------------


def test_every_exchange_is_told() -> None:
    told: list[Exchange] = []
    with Server([respond(200, envelope({"TaskId": "t"})), hang_up, respond(502, raw=b"<html>")]) as server:
        transport = volcengine(server.url, on_exchange=told.append)
        transport.send(WRITE)
        for _ in range(2):
            with pytest.raises(OutcomeUnknown):
                transport.send(WRITE)
    assert [(each.call, each.status, each.failure) for each in told] == [
        ("CreatePullToPushTask", 200, ""),
        ("CreatePullToPushTask", 0, "RemoteProtocolError"),
        ("CreatePullToPushTask", 502, ""),
    ]
    assert told[0].url == f"{server.url}/"
    assert told[0].request_body == {"Title": "t"}
    assert told[0].response_body["Result"] == {"TaskId": "t"}
    assert told[0].request_headers["Authorization"] == "***"
    assert told[2].response_body == "(6 bytes that are not JSON)"


def test_a_broken_log_costs_no_answer() -> None:
    def broken(_: Exchange) -> None:
        raise OSError("disk full")

    with Server([respond(200, envelope({"TaskId": "t"}))]) as server:
        assert volcengine(server.url, on_exchange=broken).send(WRITE).body == {"TaskId": "t"}


def test_the_libraries_debug_logs_stay_quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with Server([respond(200, envelope({}))]) as server:
        volcengine(server.url).send(READ)
    assert [record.name for record in caplog.records] == []


# --- the factory ------------------------------------------------------------------------------------------------------

ENV = {"VOLCENGINE_ACCESS_KEY": ACCESS, "VOLCENGINE_SECRET_KEY": SECRET, "LIVEPEER_API_KEY": API_KEY}


def transports(accounts: dict[str, Account], env: dict[str, str], **options: Any) -> Transports:
    return Transports(accounts, env, **{"home": Path("/nonexistent"), "clock": StillClock(), "read_only": False, **options})


@pytest.mark.parametrize(
    ("vendor", "account", "env", "expected"),
    [
        (LIVE, Account(), {}, Endpoint("https://live.volcengineapi.com", "default")),
        (RTC, Account(), {}, Endpoint("https://rtc.volcengineapi.com", "default")),
        (LIVEPEER, Account(), {}, Endpoint("https://livepeer.studio/api", "default")),
        (LIVE, Account(live_endpoint="https://l"), {}, Endpoint("https://l", "reconciler.yaml, volcengine.liveEndpoint")),
        (RTC, Account(rtc_endpoint="https://r"), {}, Endpoint("https://r", "reconciler.yaml, volcengine.rtcEndpoint")),
        (LIVEPEER, Account(livepeer_endpoint="https://p/api"), {}, Endpoint("https://p/api", "reconciler.yaml, livepeer.endpoint")),
        (
            LIVE,
            Account(live_endpoint="https://l"),
            {"RECONCILER_LIVE_ENDPOINT": "http://127.0.0.1:1"},
            Endpoint("http://127.0.0.1:1", "environment RECONCILER_LIVE_ENDPOINT"),
        ),
        (
            RTC,
            Account(rtc_endpoint="https://r"),
            {"RECONCILER_RTC_ENDPOINT": "https://e"},
            Endpoint("https://e", "environment RECONCILER_RTC_ENDPOINT"),
        ),
        (
            LIVEPEER,
            Account(),
            {"RECONCILER_LIVEPEER_ENDPOINT": "https://e/api"},
            Endpoint("https://e/api", "environment RECONCILER_LIVEPEER_ENDPOINT"),
        ),
        (LIVE, Account(), {"RECONCILER_LIVE_ENDPOINT": " "}, Endpoint("https://live.volcengineapi.com", "default")),
    ],
)
def test_endpoint_precedence(vendor: str, account: Account, env: dict[str, str], expected: Endpoint) -> None:
    assert endpoint(vendor, account, env) == expected


def test_transports_are_made_once_each() -> None:
    with transports({"default": Account(), "b": Account(region="ap-singapore-1")}, ENV) as made:
        assert made("default", LIVE) is made("default", LIVE)
        assert len({id(made(account, vendor)) for account in ("default", "b") for vendor in (LIVE, RTC, LIVEPEER)}) == 6


def test_credentials_are_looked_up_only_when_needed() -> None:
    with transports({}, {"LIVEPEER_API_KEY": API_KEY}) as made:
        made("default", LIVEPEER)
        with pytest.raises(Denied, match="VOLCENGINE_ACCESS_KEY"):
            made("default", LIVE)


def test_region_and_read_only_reach_the_transport() -> None:
    with Server([respond(200, envelope({}))]) as server:
        env = {**ENV, "RECONCILER_RTC_ENDPOINT": server.url}
        with transports({"b": Account(region="ap-singapore-1")}, env, read_only=True) as made:
            made("b", RTC).send(Call(RTC, "GetRecordTask", method="GET", safe=True))
            with pytest.raises(ReconcilerError) as fault:
                made("b", RTC).send(Call(RTC, "StopRecord"))
        assert "/ap-singapore-1/rtc/request" in server.seen[0].headers["authorization"]
    assert fault.value.exit_code == 70


@pytest.mark.parametrize(
    ("account", "vendor", "env", "kind", "says"),
    [
        ("nope", LIVE, ENV, UsageError, "account nope is not in reconciler.yaml; it has b"),
        ("default", "youtube", ENV, ReconcilerError, "youtube is no vendor"),
        ("default", LIVE, {**ENV, "RECONCILER_LIVE_ENDPOINT": "http://evil"}, UsageError, "from environment RECONCILER_LIVE_ENDPOINT"),
    ],
)
def test_what_the_factory_refuses(account: str, vendor: str, env: dict[str, str], kind: type[Exception], says: str) -> None:
    with transports({"b": Account()}, env) as made, pytest.raises(kind, match=says):
        made(account, vendor)


def test_importing_the_door_does_not_import_httpx() -> None:
    import sys

    code = "import sys, reconciler.vendors, reconciler.vendors.credentials, reconciler.doctor; print('httpx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"


# --- against the emulator, whose code shares nothing with ours ---------------------------------------------------------

KEYS = {
    "ours": {"VOLCENGINE_ACCESS_KEY": "AKLTEMULATOR", "VOLCENGINE_SECRET_KEY": "emulator-secret", "LIVEPEER_API_KEY": "lp-emulator-key"},
    "temporary": {
        "VOLCENGINE_ACCESS_KEY": "AKTPEMULATOR",
        "VOLCENGINE_SECRET_KEY": "emulator-sts",
        "VOLCENGINE_SESSION_TOKEN": "STSemulator",
    },
    "readonly": {"VOLC_ACCESSKEY": "AKLTREADONLY", "VOLC_SECRETKEY": "emulator-readonly"},
    "forged": {"VOLC_ACCESSKEY": "AKLTEMULATOR", "VOLC_SECRETKEY": "not-this-one"},
}
TASK = Call(
    LIVE,
    "CreatePullToPushTask",
    body={
        "Title": "早间新闻",
        "StartTime": int(START.timestamp()) + 3600,
        "EndTime": int(START.timestamp()) + 7200,
        "Type": 0,
        "SrcAddr": "http://pull.example.com/live/s.flv",
        "DstAddr": "rtmp://push.example.com/live/s",
    },
)
ROOM: dict[str, str | int] = {"AppId": "661e0000000000000000543c", "RoomId": "Room1", "TaskId": "t-1"}
LOOK = Call(RTC, "GetRecordTask", method="GET", query=ROOM, safe=True)
STOP = Call(RTC, "StopRecord", body={**ROOM, "BusinessId": "B1"}, repeatable=True)
ASSET = Call(LIVEPEER, "GetAsset", method="GET", path="/asset/00000000-0000-4000-8000-000000000000", safe=True)


@pytest.fixture(scope="module")
def emulated() -> Iterator[tuple[World, str]]:
    """One server for all: its clock stands still at START, every test starts with an empty world."""
    world = World(clock=EmulatorClock.frozen_at(int(START.timestamp() * 1000)))
    with running(world) as url:
        yield world, url


@pytest.fixture
def world(emulated: tuple[World, str]) -> World:
    emulated[0].reset()
    return emulated[0]


def emulator(url: str, keys: str = "ours", *, clock: StillClock | None = None, **options: Any) -> Transports:
    ends = {"RECONCILER_LIVE_ENDPOINT": url, "RECONCILER_RTC_ENDPOINT": url, "RECONCILER_LIVEPEER_ENDPOINT": f"{url}/api"}
    return transports({}, {**KEYS[keys], **ends}, clock=clock or StillClock(), timeout=5.0, **options)


@pytest.mark.parametrize("keys", ["ours", "temporary"])
def test_the_emulator_accepts_our_signature(world: World, emulated: tuple[World, str], keys: str) -> None:
    with emulator(emulated[1], keys) as made:
        live = made("default", LIVE)
        task = live.send(TASK).body["TaskId"]
        listed = live.send(Call(LIVE, "ListPullToPushTaskV2", body={"Page": 1, "Size": 500}, safe=True)).body
        assert [each["TaskId"] for each in listed["List"]] == [task]
        by_title = Call(LIVE, "ListPullToPushTask", method="GET", query={"Page": 1, "Size": 20, "Title": "早间 a+b"}, safe=True)
        assert not live.send(by_title).body["List"]
        deleted = live.send(Call(LIVE, "DeletePullToPushTask", body={"TaskId": task}))
        assert (deleted.body, bool(deleted.request_id)) == (None, True)
    assert len(world.log) == 4


@pytest.mark.parametrize(
    ("keys", "call", "kind", "code"),
    [
        ("readonly", TASK, Denied, "AccessDenied"),
        ("forged", TASK, Denied, "SignatureDoesNotMatch"),
        ("ours", LOOK, NotFound, "InvalidParameter.ErrorActiveTaskNotFound"),
        ("ours", STOP, NotFound, "InvalidParameter.ErrorActiveTaskNotFound"),
        ("ours", Call(LIVE, "NoSuchAction", safe=True), Rejected, "InvalidActionOrVersion"),
        ("ours", Call(LIVE, "CreatePullToPushTask", method="GET", query={}), Rejected, "MethodNotAllowed"),
        ("ours", Call(LIVE, "CreatePullToPushTask", body={"Title": 7}), Rejected, "InvalidParam.BindError"),
        ("ours", ASSET, NotFound, "HTTP404"),
        ("ours", Call(LIVEPEER, "CreateClip", path="/clip", body={"foo": 1}), Rejected, "HTTP422"),
    ],
)
def test_the_emulators_refusals(
    world: World, emulated: tuple[World, str], keys: str, call: Call, kind: type[VendorError], code: str
) -> None:
    with emulator(emulated[1], keys) as made, pytest.raises(VendorError) as refused:
        made("default", call.vendor).send(call)
    assert (type(refused.value), refused.value.code) == (kind, code)
    assert refused.value.request_id or call.vendor == LIVEPEER
    assert not [line for line in world.log if line.effect]


@pytest.mark.parametrize("hours", [-5, -1, 1, 5, 24 * 365])
def test_a_machine_with_a_wrong_clock(world: World, emulated: tuple[World, str], hours: int) -> None:
    clock = StillClock(instant=START + timedelta(hours=hours))
    with emulator(emulated[1], clock=clock) as made:
        assert made("default", LIVE).send(READ).body["List"] == []
        assert made("default", LIVE).send(TASK).body["TaskId"]
    assert [line.error for line in world.log] == ["InvalidTimestamp", "", ""]


FAULTS = {
    "reset": OutcomeUnknown,
    "halfBody": OutcomeUnknown,
    "500": OutcomeUnknown,
    "502": OutcomeUnknown,
    "504": OutcomeUnknown,
    "html502": OutcomeUnknown,
    "notJson": OutcomeUnknown,
    "commonErr": OutcomeUnknown,
    "429": Throttled,
    "403": Denied,
}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("fault", "kind"), FAULTS.items(), ids=FAULTS)
def test_faults(world: World, emulated: tuple[World, str], fault: str, kind: type[VendorError], when: str) -> None:
    world.faults.add([{"action": "*", "fault": fault, "when": when, "every": True}])
    with emulator(emulated[1]) as made:
        assert outcome_of(made("default", LIVE), TASK)[0] is kind
        assert outcome_of(made("default", LIVE), READ)[0] is (Unavailable if kind is OutcomeUnknown else kind)
    assert len(world.log) == 2
    assert bool(world.log[0].effect) == (when == "after")


@pytest.mark.parametrize(
    ("fault", "kind"), [("500", OutcomeUnknown), ("html502", OutcomeUnknown), ("reset", OutcomeUnknown), ("403", Throttled)]
)
def test_faults_of_livepeer(world: World, emulated: tuple[World, str], fault: str, kind: type[VendorError]) -> None:
    world.faults.add([{"action": "*", "fault": fault, "every": True}])
    with emulator(emulated[1]) as made:
        assert outcome_of(made("default", LIVEPEER), Call(LIVEPEER, "DeleteAsset", method="DELETE", path="/asset/x"))[0] is kind


@pytest.mark.parametrize("style", ["result", "error_code", "error_message"])
def test_already_started_is_never_unknown(world: World, emulated: tuple[World, str], style: str) -> None:
    start = Call(
        RTC,
        "StartRecord",
        body={**ROOM, "BusinessId": "B1", "StorageConfig": {"Type": 0, "TosConfig": {"AccountId": "1", "Region": 0, "Bucket": "b"}}},
    )
    world.set_switches({"rtc.already_started": style})
    try:
        with emulator(emulated[1]) as made:
            rtc = made("default", RTC)
            assert rtc.send(start).body == "ok"
            if style == "result":
                assert "has been started" in rtc.send(start).body
            else:
                kind, code = outcome_of(rtc, start)
                assert kind is Rejected
                assert code
            assert rtc.send(LOOK).body["RecordTask"]
            assert rtc.send(STOP).body == "ok"
    finally:
        world.set_switches({"rtc.already_started": "result"})
