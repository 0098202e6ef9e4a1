"""The signature against vectors that two official SDKs agree on, and against both SDKs themselves."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.vendors import signing
from reconciler.vendors.signing import Signer, canonical_query, signed_host

from .loopback import ACCESS, SECRET, START, TOKEN

LIVE = {"Version": "2023-01-01"}
CREATE = (
    b'{"Title":"task001","StartTime":1767225600,"EndTime":1767229200,"Type":0,'
    b'"SrcAddr":"http://pull.example.com/live/stream-1.flv","DstAddr":"rtmp://push.example.com/live/stream-1"}'
)
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Vector:
    name: str
    signature: str
    names: str
    parameters: dict[str, str | int]
    body: bytes = b""
    method: str = "POST"
    host: str = "live.volcengineapi.com"
    service: str = "live"
    token: str = ""
    headers: dict[str, str] = field(default_factory=lambda: dict(JSON))
    digest: str = ""


VECTORS = [
    Vector(
        "T1 GET, everything that must be percent-encoded",
        "3ad9e8853f3785bfbf819e41f0d3911705af191ad94a79f41d40d358667c7cba",
        "host;x-content-sha256;x-date",
        {"Action": "ListPullToPushTask", **LIVE, "Page": 1, "Size": 500, "Title": "晚间 a+b~c/d"},
        method="GET",
        headers={},
        digest="e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    ),
    Vector(
        "T2 POST",
        "e789fa6b7e7987c99b67de56ac341f62c3aeff543dbfe91eae28a45be66dbc6f",
        "content-type;host;x-content-sha256;x-date",
        {"Action": "CreatePullToPushTask", **LIVE},
        CREATE,
        digest="159658b7b27479aff0f3fcfabd633f8d1417f6daf756cc932d6f18a8076f8031",
    ),
    Vector(
        "T3 session token",
        "1906e69cf4f8ac413560cc76c3aa473b4bd4f603be6f21b5fbe684b9ce525aa9",
        "content-type;host;x-content-sha256;x-date;x-security-token",
        {"Action": "ListPullToPushTaskV2", **LIVE},
        b'{"Page":1,"Size":500}',
        token=TOKEN,
    ),
    Vector(
        "T4 a port that is kept",
        "efaa987be8b6b701c96a2fa5672fb2522c172feede72d2209093448e2939877d",
        "content-type;host;x-content-sha256;x-date",
        {"Action": "DeletePullToPushTask", **LIVE},
        b'{"TaskId":"0123456789abcdef0123456789abcdef"}',
        host="127.0.0.1:18431",
    ),
    Vector(
        "T5 the other service",
        "161fc2ef91c7695cd033639078bd5c6b7f13af4da434afeca5b303512709b895",
        "content-type;host;x-content-sha256;x-date",
        {"Action": "StartRecord", "Version": "2023-11-01"},
        b'{"AppId":"0123456789abcdef01234567","RoomId":"Room1","TaskId":"Task1"}',
        host="rtc.volcengineapi.com",
        service="rtc",
    ),
    Vector(
        "T6 UTF-8 body",
        "264b9279e93f2a115f68410a7410586736e7da1f9ec99f6ae30dc6fa1f19fcaf",
        "content-type;host;x-content-sha256;x-date",
        {"Action": "UpdatePullToPushTask", **LIVE},
        '{"TaskId":"t","Title":"晚间直播01"}'.encode(),
    ),
    Vector(
        "T7 further X- headers are signed",
        "1b1f0bda1fbc499693c3b66cca80aebe1e34048766e7f8419e223fc17e677e8a",
        "content-type;host;x-content-sha256;x-date;x-sdk-invocation-id;x-sdk-request",
        {"Action": "CreatePullToPushTask", **LIVE},
        CREATE,
        headers={
            **JSON,
            "X-Sdk-Invocation-Id": "00000000-0000-4000-8000-000000000000",
            "X-Sdk-Request": "attempt=1; max=4",
        },
    ),
]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)
def test_vectors(vector: Vector) -> None:
    signer = Signer(ACCESS, SECRET, "cn-north-1", vector.service, vector.token)
    headers = signer.sign(
        vector.method,
        "/",
        query=canonical_query(vector.parameters),
        headers={"Host": signed_host(vector.host), **vector.headers},
        body=vector.body,
        at=START,
    )
    assert headers["Authorization"] == (
        f"HMAC-SHA256 Credential={ACCESS}/20260101/cn-north-1/{vector.service}/request, "
        f"SignedHeaders={vector.names}, Signature={vector.signature}"
    )
    assert headers["X-Date"] == "20260101T000000Z"
    assert headers.get("X-Security-Token", "") == vector.token
    if vector.digest:
        assert headers["X-Content-Sha256"] == vector.digest


@pytest.mark.parametrize(
    ("service", "key"),
    [
        ("live", "b93fdf4fec38d6aa3fcf1fbc339edb590ea5c6ec4d0e08a3c19c1c993386c4a3"),
        ("rtc", "c10b07b6f8d7179566e9c137412f41ad54a83ec285348cc02381f239056c7ad3"),
    ],
)
def test_day_key(service: str, key: str) -> None:
    assert signing._day_key(SECRET, "20260101", "cn-north-1", service).hex() == key


def test_day_key_is_derived_once_a_day() -> None:
    signer = Signer(ACCESS, "a secret of this test only", "cn-north-1", "live")
    before = signing._day_key.cache_info().misses
    for hours in (0, 1, 23, 24, 25):
        signer.sign("GET", "/", query="", headers={"Host": "h"}, body=b"", at=START + timedelta(hours=hours))
    assert signing._day_key.cache_info().misses - before == 2, "two days, two keys"


def test_the_date_is_utc_wherever_the_clock_stands() -> None:
    signer = Signer(ACCESS, SECRET, "cn-north-1", "live")
    beijing = datetime(2026, 1, 1, 7, 30, tzinfo=timezone(timedelta(hours=8)))
    headers = signer.sign("GET", "/", query="", headers={"Host": "h"}, body=b"", at=beijing)
    assert headers["X-Date"] == "20251231T233000Z"
    assert "/20251231/" in headers["Authorization"]


def test_nothing_secret_in_repr() -> None:
    assert SECRET not in repr(Signer(ACCESS, SECRET, "r", "s", TOKEN))


def test_query_is_sorted_by_name_not_by_pair() -> None:
    # `-` sorts before `=`, so sorting whole pairs would put a-b first.
    assert canonical_query({"a-b": 2, "a": 1}) == "a=1&a-b=2"


@pytest.mark.parametrize(
    ("netloc", "host"),
    [("h:443", "h"), ("h:80", "h"), ("h:8443", "h:8443"), ("h:18080", "h:18080"), ("[::1]:80", "[::1]"), ("[::80]", "[::80]"), ("h", "h")],
)
def test_signed_host(netloc: str, host: str) -> None:
    assert signed_host(netloc) == host


# Names as the APIs have them; beyond those the SDKs sort by the bare name, the documentation by the encoded one.
NAMES = st.text("abcXYZ019-_.", min_size=1, max_size=8)


@given(st.dictionaries(NAMES, st.text(max_size=12), max_size=4), st.binary(max_size=40))
def test_the_official_signer_agrees(parameters: dict[str, str], body: bytes) -> None:
    from volcengine.auth.SignerV4 import SignerV4
    from volcengine.base.Request import Request
    from volcengine.Credentials import Credentials

    query = {"Action": "A", "Version": "2023-01-01", **parameters}
    ours = Signer(ACCESS, SECRET, "cn-north-1", "live", TOKEN).sign(
        "POST", "/", query=canonical_query(query), headers={"Host": "live.volcengineapi.com", **JSON}, body=body, at=START
    )
    theirs = Request()
    theirs.set_method("POST")
    theirs.set_host("live.volcengineapi.com")
    theirs.set_path("/")
    theirs.set_query(query)
    theirs.set_headers({**JSON, "Host": "live.volcengineapi.com"})
    theirs.set_body(body)
    theirs.headers["X-Date"] = ours["X-Date"]
    assert _official(SignerV4, theirs, Credentials(ACCESS, SECRET, "live", "cn-north-1", TOKEN)) == ours["Authorization"]


def _official(signer: Any, request: Any, credentials: object) -> str:
    """Their signature at our test's time: their signer reads the wall clock through one static method."""
    original = signer.get_current_format_date
    signer.get_current_format_date = staticmethod(lambda: "20260101T000000Z")
    try:
        signer.sign(request, credentials)
    finally:
        signer.get_current_format_date = original
    return str(request.headers["Authorization"])
