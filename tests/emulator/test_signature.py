"""Volcengine's gateway: published test vectors, and one refusal for each thing that can be wrong with a signature."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from reconciler.emulator.core import Clock, Request, World
from reconciler.emulator.front import Emulator
from reconciler.emulator.gateway import canonical_request, signing_key
from tests.emulator.volc import NOW, Volc, relay, world_at_noon

AK, SK = "AKLTexampleexampleexample", "exampleSecretKeyexampleSecretKey"
LIVE, RTC = "live.volcengineapi.com", "rtc.volcengineapi.com"
T2_BODY = (
    b'{"Title":"task001","StartTime":1767225600,"EndTime":1767229200,"Type":0,"SrcAddr":"http://pull.example.com/live/'
    b'stream-1.flv","DstAddr":"rtmp://push.example.com/live/stream-1"}'
)
LIST_QUERY = "&Page=1&Size=500&Title=%E6%99%9A%E9%97%B4%20a%2Bb~c%2Fd"

# id, method, host, action and version, rest of the query, body, extra headers, hash of the canonical request, signature
VECTORS = [
    ("T1-get", "GET", LIVE, "ListPullToPushTask", LIST_QUERY, b"", {},
     "70a46e418436b30f6959c1cd3eb951db268cf5aa5053a32a360ebc5c460555ed",
     "3ad9e8853f3785bfbf819e41f0d3911705af191ad94a79f41d40d358667c7cba"),
    ("T2-post", "POST", LIVE, "CreatePullToPushTask", "", T2_BODY, {},
     "67f180b9594f3a65b59825e694e71ed1e86e3ac944f62beb7d754705a42b17f7",
     "e789fa6b7e7987c99b67de56ac341f62c3aeff543dbfe91eae28a45be66dbc6f"),
    ("T3-session-token", "POST", LIVE, "ListPullToPushTaskV2", "", b'{"Page":1,"Size":500}',
     {"x-security-token": "STS2exampletoken"},
     "1ec1dffdd2785f038b807b91f1fbc7ec1b8ee81e2b5eef9ba9aca700e248af27",
     "1906e69cf4f8ac413560cc76c3aa473b4bd4f603be6f21b5fbe684b9ce525aa9"),
    ("T4-port-is-signed", "POST", "127.0.0.1:18431", "DeletePullToPushTask", "",
     b'{"TaskId":"0123456789abcdef0123456789abcdef"}', {},
     "f38935a94b4a5fa3a5ca1c06efa56607dd1248cc2005e1304f18f46e9851b28b",
     "efaa987be8b6b701c96a2fa5672fb2522c172feede72d2209093448e2939877d"),
    ("T5-rtc", "POST", RTC, "StartRecord", "", b'{"AppId":"0123456789abcdef01234567","RoomId":"Room1","TaskId":"Task1"}', {},
     "36e580bbe06e14775b84e4706181c7ee66da422ab5c9e0ca8afabae5557631ac",
     "161fc2ef91c7695cd033639078bd5c6b7f13af4da434afeca5b303512709b895"),
    ("T6-utf8-body", "POST", LIVE, "UpdatePullToPushTask", "", '{"TaskId":"t","Title":"晚间直播01"}'.encode(), {},
     "ccc1d56286f35af1f2aa7a0d3eb596eefb917c4a395d24516ff0edb94c4ecde2",
     "264b9279e93f2a115f68410a7410586736e7da1f9ec99f6ae30dc6fa1f19fcaf"),
    ("T7-sdk-headers", "POST", LIVE, "CreatePullToPushTask", "", T2_BODY,
     {"x-sdk-invocation-id": "00000000-0000-4000-8000-000000000000", "x-sdk-request": "attempt=1; max=4"},
     "2fb70029074de9563aad3a15b85d09792e7bed8c425dda5e834dd35cacb204c6",
     "1b1f0bda1fbc499693c3b66cca80aebe1e34048766e7f8419e223fc17e677e8a"),
]  # fmt: skip


def vector_request(
    method: str, host: str, action: str, rest: str, body: bytes, extra: dict[str, str], signature: str
) -> tuple[Request, list[str]]:
    service = "rtc" if host == RTC else "live"
    version = "2023-11-01" if service == "rtc" else "2023-01-01"
    headers = {
        "host": host,
        "x-date": "20260101T000000Z",
        "x-content-sha256": hashlib.sha256(body).hexdigest(),
        **({"content-type": "application/json"} if method == "POST" else {}),
        **extra,
    }
    signed = sorted(headers)
    scope = f"{AK}/20260101/cn-north-1/{service}/request"
    headers["authorization"] = f"HMAC-SHA256 Credential={scope}, SignedHeaders={';'.join(signed)}, Signature={signature}"
    headers["user-agent"] = "unsigned/1.0"
    return Request.of(method, f"/?Action={action}&Version={version}{rest}", headers=headers, body=body), signed


@pytest.mark.parametrize(
    ("method", "host", "action", "rest", "body", "extra", "canonical", "signature"),
    [vector[1:] for vector in VECTORS],
    ids=[vector[0] for vector in VECTORS],
)
def test_published_vectors_are_accepted_and_one_changed_digit_is_not(
    method: str, host: str, action: str, rest: str, body: bytes, extra: dict[str, str], canonical: str, signature: str
) -> None:
    world = World(clock=Clock.frozen_at("2026-01-01T00:00:00Z"))
    key: dict[str, Any] = {"secret": SK, "account": "1", "token": extra.get("x-security-token", "")}
    world.data["keys"]["volcengine"][AK] = key
    request, signed = vector_request(method, host, action, rest, body, extra, signature)
    assert hashlib.sha256(canonical_request(request, signed).encode()).hexdigest() == canonical

    answer = Emulator(world).handle(request).decoded()
    error = answer["ResponseMetadata"].get("Error", {}).get("Code", "")
    assert error in ("", "InvalidParam", "InvalidParameter"), "the signature holds; only the parameters may be wrong"

    wrong = ("0" if signature[0] != "0" else "1") + signature[1:]
    request, _ = vector_request(method, host, action, rest, body, extra, wrong)
    answer = Emulator(world).handle(request).decoded()
    assert answer["ResponseMetadata"]["Error"] == {
        "CodeN": 100010,
        "Code": "SignatureDoesNotMatch",
        "Message": answer["ResponseMetadata"]["Error"]["Message"],
    }


def test_signing_keys_are_the_published_ones() -> None:
    live = signing_key(SK, ("20260101", "cn-north-1", "live")).hex()
    rtc = signing_key(SK, ("20260101", "cn-north-1", "rtc")).hex()
    assert live == "b93fdf4fec38d6aa3fcf1fbc339edb590ea5c6ec4d0e08a3c19c1c993386c4a3"
    assert rtc == "c10b07b6f8d7179566e9c137412f41ad54a83ec285348cc02381f239056c7ad3"


def _without(request: Request, name: str) -> Request:
    request.headers.pop(name)
    return request


def _with(request: Request, **headers: str) -> Request:
    request.headers |= {name.replace("_", "-"): value for name, value in headers.items()}
    return request


def _auth(request: Request, old: str, new: str) -> Request:
    assert old in request.headers["authorization"]
    request.headers["authorization"] = request.headers["authorization"].replace(old, new)
    return request


REFUSALS = [
    ("no Authorization", lambda v: _without(v.request("ListPullToPushTaskV2"), "authorization"), 401,
     "MissingAuthenticationToken"),
    ("another algorithm", lambda v: _auth(v.request("ListPullToPushTaskV2"), "HMAC-SHA256 ", "AWS4-HMAC-SHA256 "), 400,
     "InvalidAuthorization"),
    ("no signature part", lambda v: _auth(v.request("ListPullToPushTaskV2"), ", Signature=", ", Sig="), 401, "MissingSignature"),
    ("no signed headers", lambda v: _auth(v.request("ListPullToPushTaskV2"), "SignedHeaders=", "Headers="), 400,
     "InvalidAuthorization"),
    ("x-date not signed", lambda v: _auth(v.request("ListPullToPushTaskV2"), ";x-date", ""), 400, "InvalidAuthorization"),
    ("no X-Date", lambda v: _without(v.request("ListPullToPushTaskV2"), "x-date"), 400, "MissingRequestInfo"),
    ("scope too short", lambda v: _auth(v.request("ListPullToPushTaskV2"), "/request", ""), 400, "InvalidCredential"),
    ("unknown region", lambda v: v.request("ListPullToPushTaskV2", region="mars-1"), 400, "InvalidCredential"),
    ("unknown service", lambda v: _auth(v.request("ListPullToPushTaskV2"), "/live/", "/ecs/"), 404, "ServiceNotFound"),
    ("day of scope is not of X-Date", lambda v: _with(v.request("ListPullToPushTaskV2"), x_date="20251231T235959Z"), 400,
     "InvalidCredential"),
    ("unknown key", lambda v: _auth(v.request("ListPullToPushTaskV2"), "AKLTEMULATOR", "AKLTNOBODY"), 401, "InvalidAccessKey"),
    ("X-Date is no date", lambda v: v.request("ListPullToPushTaskV2", extra={"x-date": "20260101T99"}), 403, "InvalidTimestamp"),
    ("901 s old", lambda v: v.request("ListPullToPushTaskV2", at=NOW - 901), 403, "InvalidTimestamp"),
    ("901 s in the future", lambda v: v.request("ListPullToPushTaskV2", at=NOW + 901), 403, "InvalidTimestamp"),
    ("body changed under way", lambda v: _body(v.request("ListPullToPushTaskV2", {"Page": 1}), b'{"Page": 2}'), 401,
     "SignatureDoesNotMatch"),
    ("host changed under way", lambda v: _with(v.request("ListPullToPushTaskV2"), host="evil.example.com"), 401,
     "SignatureDoesNotMatch"),
    ("query changed under way", lambda v: _query(v.request("ListPullToPushTask", {"Page": 1}), "Page", "2"), 401,
     "SignatureDoesNotMatch"),
    ("token on a plain key", lambda v: v.request("ListPullToPushTaskV2", extra={"x-security-token": "STSx"}), 401,
     "InvalidSecretToken"),
    ("no Action", lambda v: Request.of("POST", "/?Version=2023-01-01"), 400, "MissingParameter"),
    ("no Version", lambda v: Request.of("POST", "/?Action=ListPullToPushTaskV2"), 400, "MissingParameter"),
    ("unknown Action", lambda v: v.request("DescribeNothing"), 404, "InvalidActionOrVersion"),
    ("wrong Version", lambda v: v.request("ListPullToPushTaskV2", version="2020-08-01"), 404, "InvalidActionOrVersion"),
    ("GET where POST is due", lambda v: v.request("ListPullToPushTaskV2", method="GET"), 405, "MethodNotAllowed"),
    ("POST where GET is due", lambda v: v.request("ListPullToPushTask", method="POST"), 405, "MethodNotAllowed"),
]  # fmt: skip


def _body(request: Request, body: bytes) -> Request:
    request.body = body
    return request


def _query(request: Request, name: str, value: str) -> Request:
    request.query = [(key, value if key == name else each) for key, each in request.query]
    return request


@pytest.mark.parametrize(("build", "status", "code"), [each[1:] for each in REFUSALS], ids=[each[0] for each in REFUSALS])
def test_each_flaw_has_its_own_refusal(build: Any, status: int, code: str) -> None:
    volc = Volc(world_at_noon())
    answer = volc.emulator.handle(build(volc))
    assert (answer.status, answer.error) == (status, code)
    assert "Result" not in answer.decoded()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"at": NOW - 900}, "exactly as old as allowed"),
        ({"at": NOW + 900}, "exactly as far in the future as allowed"),
        ({"extra": {"x-unsigned": "1"}}, "a header that is not in the list does not count"),
        ({"drop": "x-content-sha256"}, "one SDK does not send the hash on GET"),
        ({"drop": "host"}, "one SDK does not sign the host"),
        ({"region": "ap-singapore-1"}, "the international twin's region"),
    ],
)
def test_what_official_clients_do_is_accepted(options: dict[str, Any], why: str) -> None:
    Volc(world_at_noon()).must("ListPullToPushTaskV2", {}, **options)


def test_host_can_be_demanded_among_the_signed_headers() -> None:
    volc = Volc(world_at_noon(live__signed_host="required"))
    volc.call("ListPullToPushTaskV2", {}, drop="host")
    assert volc.code == "InvalidAuthorization"
    volc.must("ListPullToPushTaskV2", {})


@pytest.mark.parametrize(
    ("setting", "age", "code"),
    [("enforced", 60, ""), ("enforced", 61, "InvalidTimestamp"), ("ignored", 61, ""), ("ignored", 901, "InvalidTimestamp")],
)
def test_x_expires_shortens_a_signature(setting: str, age: int, code: str) -> None:
    volc = Volc(world_at_noon(live__x_expires=setting))
    volc.call("ListPullToPushTaskV2", {}, query={"X-Expires": "60"}, at=NOW - age)
    assert volc.code == code


def test_server_clock_ahead_refuses_and_tells_its_date() -> None:
    volc = Volc(world_at_noon(live__clock_offset="1000"))
    answer = volc.send("ListPullToPushTaskV2", {})
    assert answer.error == "InvalidTimestamp"
    assert answer.headers["date"] == "Thu, 01 Jan 2026 12:16:40 GMT", "clients correct their own clock by it"
    volc.must("ListPullToPushTaskV2", {}, at=NOW + 1000)


def test_temporary_keys_need_their_token_signed() -> None:
    volc = Volc(world_at_noon(), key="AKTPEMULATOR")
    volc.must("ListPullToPushTaskV2", {})
    volc.token = "STSother"
    volc.call("ListPullToPushTaskV2", {})
    assert (volc.status, volc.code) == (401, "InvalidSecretToken")
    volc.token = ""
    volc.call("ListPullToPushTaskV2", {})
    assert volc.code == "InvalidSecretToken"
    volc.token = "STSemulator"
    unsigned = _auth(volc.request("ListPullToPushTaskV2"), ";x-security-token", "")
    assert volc.emulator.handle(unsigned).error == "InvalidAuthorization"


def test_read_only_keys_read_and_nothing_else() -> None:
    volc = Volc(world_at_noon(), key="AKLTREADONLY")
    volc.must("ListPullToPushTaskV2", {})
    volc.call("CreatePullToPushTask", relay())
    assert (volc.status, volc.code) == (403, "AccessDenied")
    assert volc.envelope["ResponseMetadata"]["Error"]["CodeN"] == 100013


@pytest.mark.parametrize("change", ["none", "parameter", "late"])
def test_presigned_get(change: str) -> None:
    world = world_at_noon()
    pairs = {
        "Action": "ListPullToPushTask", "Version": "2023-01-01", "Page": "1", "X-Date": "20260101T120000Z", "X-NotSignBody": "",
        "X-Credential": "AKLTEMULATOR/20260101/cn-north-1/live/request", "X-Algorithm": "HMAC-SHA256", "X-SignedHeaders": "",
        "X-SignedQueries": "Action;Page;Version;X-Algorithm;X-Credential;X-Date;X-NotSignBody;X-SignedHeaders;X-SignedQueries",
    }  # fmt: skip
    query = "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in sorted(pairs.items()))
    canonical = "\n".join(["GET", "/", query, "\n", "", hashlib.sha256(b"").hexdigest()])
    scope = "20260101/cn-north-1/live/request"
    text = f"HMAC-SHA256\n{pairs['X-Date']}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = signing_key("emulator-secret", ("20260101", "cn-north-1", "live"))
    pairs["X-Signature"] = hmac.digest(key, text.encode(), "sha256").hex()
    if change == "parameter":
        pairs["Page"] = "2"
    if change == "late":
        world.clock.advance(901)
    answer = Emulator(world).handle(Request.of("GET", "/?" + urlencode(pairs)))
    assert answer.error == {"none": "", "parameter": "SignatureDoesNotMatch", "late": "InvalidTimestamp"}[change]


def test_envelope_carries_one_request_id_in_body_and_header() -> None:
    volc = Volc(world_at_noon())
    first, second = volc.send("ListPullToPushTaskV2", {}), volc.send("ListPullToPushTaskV2", {})
    meta = first.decoded()["ResponseMetadata"]
    assert meta | {"RequestId": ""} == {
        "RequestId": "", "Action": "ListPullToPushTaskV2", "Version": "2023-01-01", "Service": "live", "Region": "cn-north-1",
    }  # fmt: skip
    assert meta["RequestId"].startswith("20260101200000")
    assert len(meta["RequestId"]) == 34
    assert first.headers["x-tt-logid"] == meta["RequestId"] != second.headers["x-tt-logid"]


def test_host_port_443_is_cut_off_and_others_stay() -> None:
    request = Request.of("GET", "/?Action=A", headers={"Host": "live.volcengineapi.com:443"})
    assert "host:live.volcengineapi.com\n" in canonical_request(request, ["host"])
    request = Request.of("GET", "/?Action=A", headers={"Host": "127.0.0.1:8099"})
    assert "host:127.0.0.1:8099\n" in canonical_request(request, ["host"])


def test_rates_are_per_account_action_and_second() -> None:
    world = World(clock=Clock.frozen_at("2026-01-01T12:00:00Z"))
    volc = Volc(world)
    codes = []
    for _ in range(12):
        volc.call("CreatePullToPushTask", relay())
        codes.append(volc.code)
    assert codes == [""] * 10 + ["FlowLimitExceeded"] * 2
    assert volc.status == 429
    volc.must("ListPullToPushTaskV2", {})  # another action has its own measure
    temporary = Volc(world, key="AKTPEMULATOR")
    temporary.call("CreatePullToPushTask", relay())
    assert temporary.code == "FlowLimitExceeded"  # another key of the same account shares it
    world.clock.advance(1)
    volc.must("CreatePullToPushTask", relay())


@pytest.mark.parametrize(("setting", "allowed"), [("off", 40), ("0.5", 5), ("2", 20)])
def test_rates_can_be_scaled(setting: str, allowed: int) -> None:
    volc = Volc(world_at_noon(live__rate_limits=setting))
    codes = [volc.send("CreatePullToPushTask", relay()).error for _ in range(40)]
    assert codes.count("") == allowed
