"""The closed table: one case a row at least, what no row names is unknown, and the vendors' contracts agree with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from reconciler.errors import Denied, Lapsed, NotFound, OutcomeUnknown, Rejected, Throttled, Unavailable, VendorError
from reconciler.vendors import outcome
from reconciler.vendors.outcome import LIVEPEER, SOCKET, TABLE, VOLCENGINE, Failure, Verdict

SPECS = Path(__file__).parents[2] / "specs"


def socket(code: str) -> Failure:
    return Failure(SOCKET, code)


def volc(status: int, code: str, text: str = "") -> Failure:
    return Failure(VOLCENGINE, code, status=status, text=text, own=bool(code))


def studio(status: int, text: str = "", *, own: bool = True) -> Failure:
    return Failure(LIVEPEER, f"HTTP{status}", status=status, text=text, own=own)


UNSENT = (Unavailable, Unavailable)
UNCLEAR = (Unavailable, OutcomeUnknown)
REFUSED = (Rejected, Rejected)
ABSENT = (NotFound, NotFound)
THROTTLED = (Throttled, Throttled)
DENIED = (Denied, Denied)
LAPSED = (Lapsed, Lapsed)

# (failure, (what a read ends with, what a write ends with))
CASES: list[tuple[Failure, tuple[type[VendorError], type[VendorError]]]] = [
    *((socket(name), UNSENT) for name in ("ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError", "UnsupportedProtocol")),
    *((socket(name), UNSENT) for name in ("Unsendable", "Closed", "SignatureLapsed")),
    *((socket(name), UNCLEAR) for name in ("RemoteProtocolError", "LocalProtocolError", "ReadError", "ReadTimeout")),
    *((socket(name), UNCLEAR) for name in ("WriteError", "WriteTimeout", "CloseError", "SlowAnswer", "Redirected")),
    *((socket(name), UNCLEAR) for name in ("AnswerTooLarge", "AnswerTooDeep", "AnswerCompressed", "NotJSON", "NoEnvelope")),
    *((volc(status, ""), UNCLEAR) for status in (500, 502, 503, 504, 599)),
    (volc(500, "InvalidParam"), UNCLEAR),  # a 5xx outweighs its code
    (volc(200, "SomeCode", "The task has been started. Please do not call the startup task interface repeatedly"), REFUSED),
    (volc(200, "CommonErr"), UNCLEAR),
    (volc(400, "CommonErr"), UNCLEAR),
    (volc(200, "InternalError"), UNCLEAR),
    (volc(200, "InternalError.GenerateTokenFailed"), UNCLEAR),
    (volc(200, "UndefinedError"), UNCLEAR),
    (volc(200, "FailToConnect"), UNCLEAR),
    (volc(200, "InternalServiceError"), UNCLEAR),
    (volc(200, "InternalServiceTimeout"), UNCLEAR),
    (volc(200, "ServiceUnavailableTemp"), UNCLEAR),
    (volc(429, "FlowLimitExceeded.TaskNumberOverLimit"), REFUSED),
    (volc(429, "FlowLimitExceeded"), THROTTLED),
    (volc(200, "FlowLimitExceeded.QPSOverLimit"), THROTTLED),
    (volc(429, "AccountFlowLimitExceeded"), THROTTLED),
    (volc(429, "RequestLimitExceeded"), THROTTLED),
    (volc(429, ""), THROTTLED),
    (volc(403, "InvalidTimestamp"), LAPSED),
    (volc(400, "InvalidTimestamp"), LAPSED),
    (volc(404, "ServiceNotFound"), REFUSED),  # not NotFound: it says nothing about any object
    (volc(404, "InvalidActionOrVersion"), REFUSED),
    (volc(405, "MethodNotAllowed"), REFUSED),
    (volc(400, "MissingParameter"), REFUSED),
    (volc(400, "MissingRequestInfo"), REFUSED),
    (volc(400, "InvalidParameter.ErrorActiveTaskNotFound"), ABSENT),
    (volc(200, "InvalidParameter.ErrorActiveTaskNotFound"), ABSENT),
    (volc(400, "InvalidParam.TaskNotFound"), ABSENT),
    (volc(404, "ResourceNotFound"), ABSENT),
    (volc(400, "InvalidParameter.AccountIdMismatch"), DENIED),
    (volc(400, "InvalidParameter.TaskAlreadyExists"), REFUSED),
    (volc(400, "TaskAlreadyExists"), REFUSED),
    (volc(400, "InvalidParameter"), REFUSED),
    (volc(400, "InvalidParameter.NotExistAppId"), REFUSED),
    (volc(400, "InvalidParam"), REFUSED),
    (volc(400, "InvalidParam.BindError"), REFUSED),
    (volc(401, "MissingAuthenticationToken"), DENIED),
    (volc(401, "MissingSignature"), DENIED),
    (volc(401, "InvalidAccessKey"), DENIED),
    (volc(401, "InvalidClientTokenId"), DENIED),
    (volc(401, "InvalidSecretToken"), DENIED),
    (volc(401, "SignatureDoesNotMatch"), DENIED),
    (volc(400, "InvalidAuthorization"), DENIED),
    (volc(400, "InvalidCredential"), DENIED),
    (volc(403, "LackPolicy"), DENIED),
    (volc(403, "LackProjectPolicy"), DENIED),
    (volc(403, "AccessDenied.RecordNotEnabled"), DENIED),
    (volc(403, "AccessDenied.ServiceNotEnabled"), DENIED),
    (volc(403, "AccessDenied"), DENIED),
    (volc(403, "AccessDenied.NoPermissionForApp"), DENIED),
    (volc(403, "RequestForbidden"), DENIED),
    (volc(403, "RequestForbidden.AccountIDNotAllow"), DENIED),
    (volc(401, "SomethingNew"), DENIED),
    (volc(403, ""), DENIED),
    *((studio(status), UNCLEAR) for status in (500, 501, 502, 503, 504)),
    (studio(403, "Too many clips are being processed."), THROTTLED),
    (studio(429, own=False), THROTTLED),
    (studio(400, "asset is already deleted"), ABSENT),
    (studio(400, "webhook x not found"), REFUSED),
    (studio(400, own=False), UNCLEAR),  # a proxy's page is no proof
    (studio(401, own=False), DENIED),
    (studio(403, "access forbidden for CORS-enabled API key with restricted access"), DENIED),
    (studio(403, "user is suspended"), DENIED),
    (studio(404, "The provided session id does not belong to this stream"), REFUSED),
    (studio(404, "Asset not found"), ABSENT),
    (studio(404, own=False), UNCLEAR),  # else a wrong endpoint would look like an empty world
    (studio(413, own=False), REFUSED),
    (studio(422, "asset is not ready"), REFUSED),
    (studio(422, own=False), UNCLEAR),
    (studio(418), UNCLEAR),
]


@pytest.mark.parametrize(
    ("failure", "ends"),
    CASES,
    ids=lambda case: f"{case.source} {case.status} {case.code} {case.text}"[:60] if isinstance(case, Failure) else "",
)
def test_rows(failure: Failure, ends: tuple[type[VendorError], type[VendorError]]) -> None:
    read = outcome.error(failure, action="DoIt", safe=True)
    write = outcome.error(failure, action="DoIt", safe=False)
    assert (type(read), type(write)) == ends
    assert (write.code, write.status, write.action) == (failure.code, failure.status, "DoIt")


def test_every_row_is_the_first_match_of_some_case() -> None:
    hit = {next((row for row in TABLE if row.matches(failure)), None) for failure, _ in CASES}
    assert [row for row in TABLE if row not in hit] == []


def test_a_failed_read_never_is_an_unknown_outcome() -> None:
    assert not any(isinstance(outcome.error(failure, action="A", safe=True), OutcomeUnknown) for failure, _ in CASES)


@given(
    st.sampled_from([VOLCENGINE, LIVEPEER, SOCKET]),
    st.sampled_from([0, 200, 302, 400, 402, 404, 405, 409, 410]),
    st.text("abcdefgXYZ", min_size=1),
)
def test_the_table_is_closed(source: str, status: int, code: str) -> None:
    failure = Failure(source, f"Brand{code}", status=status, text="whatever", own=source == VOLCENGINE)
    assert isinstance(outcome.error(failure, action="A", safe=False), OutcomeUnknown)
    assert isinstance(outcome.error(failure, action="A", safe=True), Unavailable)


def test_every_httpx_exception_is_named_in_the_table() -> None:
    def leaves(kind: type[Exception]) -> set[str]:
        below = [name for sub in kind.__subclasses__() for name in leaves(sub)]
        return set(below) or {kind.__name__}

    named = {row.code for row in TABLE if row.source == SOCKET}
    assert leaves(httpx.TransportError) - {"DecodingError"} <= named


@pytest.mark.parametrize(
    ("failure", "message", "next_step"),
    [
        (
            Failure(VOLCENGINE, "InvalidParam", status=400, text="bad title", own=True, request_id="R1"),
            "CreatePullToPushTask was refused: InvalidParam, HTTP 400: bad title (request R1)",
            "reconciler plan",
        ),
        (
            Failure(VOLCENGINE, "SignatureDoesNotMatch", status=401, own=True, request_id="R2"),
            "CreatePullToPushTask was denied: SignatureDoesNotMatch, HTTP 401; "
            "the secret key does not belong to the access key (request R2)",
            "reconciler doctor",
        ),
        (
            Failure(LIVEPEER, "HTTP422", status=422, text="asset is not ready", own=True),
            "CreatePullToPushTask was refused: HTTP422: asset is not ready",
            "reconciler plan",
        ),
        (Failure(SOCKET, "ReadTimeout"), "CreatePullToPushTask was sent, its outcome is unknown: ReadTimeout", "reconciler refresh"),
        (Failure(SOCKET, "ConnectError", text="refused"), "CreatePullToPushTask was not sent: ConnectError: refused", "reconciler doctor"),
    ],
)
def test_messages(failure: Failure, message: str, next_step: str) -> None:
    found = outcome.error(failure, action="CreatePullToPushTask", safe=False)
    assert (found.message, found.next_step, found.request_id) == (message, next_step, failure.request_id)


@pytest.mark.parametrize(
    ("header", "seconds"), [("3", 3.0), (" 1.5 ", 1.5), ("", None), ("Thu, 01 Jan 2026 00:00:00 GMT", None), ("-1", None), ("inf", None)]
)
def test_retry_after(header: str, seconds: float | None) -> None:
    assert outcome.retry_after(header) == seconds
    throttled = outcome.error(Failure(VOLCENGINE, "FlowLimitExceeded", status=429, retry_after=seconds), action="A", safe=True)
    assert isinstance(throttled, Throttled)
    assert throttled.retry_after == seconds


def _contract(file: str) -> list[tuple[str, int, str]]:
    spec: Any = YAML(typ="safe").load(SPECS / file)
    return [(str(name), error["status"], error["class"]) for name, error in spec["errors"].items()]


CLASSES = {
    "rejected": {Verdict.REFUSED},
    "not-found": {Verdict.ABSENT},
    "throttled": {Verdict.THROTTLED},
    "denied": {Verdict.DENIED, Verdict.CLOCK},
    "unknown": {Verdict.UNCLEAR},
}


@pytest.mark.parametrize("file", ["volcengine-live.yaml", "volcengine-rtc.yaml", "livepeer-studio.yaml"])
def test_the_table_agrees_with_the_contracts(file: str) -> None:
    wrong = []
    for name, status, kind in _contract(file):
        failure = studio(status, name) if file.startswith("livepeer") else volc(status, name)
        if outcome.judge(failure)[0] not in CLASSES[kind]:
            wrong.append((name, status, kind, outcome.judge(failure)[0]))
    assert wrong == []
