"""What every exception, HTTP status and error code means, in one closed table.

A row says what the answer proves about the vendor; whether the call only read decides the rest: a failed read is Unavailable,
a write nobody answered for is OutcomeUnknown. What no row names proves nothing.
"""

from __future__ import annotations

import enum
import re

from reconciler.errors import Denied, Lapsed, NotFound, OutcomeUnknown, Rejected, Throttled, Unavailable, VendorError
from reconciler.frozen import frozen


class Verdict(enum.Enum):
    """What an answer, or its absence, proves."""

    UNSENT = "no byte of the request left this machine"
    REFUSED = "the vendor said no, nothing changed there"
    ABSENT = "the vendor has no such object"
    THROTTLED = "too many requests, nothing changed there"
    DENIED = "credentials missing, wrong or not allowed, nothing changed there"
    CLOCK = "the signing time was refused, nothing changed there"
    UNCLEAR = "nobody knows whether it took effect"


@frozen
class Row:
    """One line of the table. An empty column matches everything.

    `status` is `403` or a class, `5xx`. `code` is exact; `Name.*` takes Name and all below it, `*Name` all that end so. `says` is a
    part of the vendor's message, in lower case. `own` asks for the vendor's own error body: a page from a proxy is no proof.
    `hint` is added to the message.
    """

    source: str
    verdict: Verdict
    status: str = ""
    code: str = ""
    says: str = ""
    own: bool = False
    hint: str = ""

    def matches(self, failure: Failure) -> bool:
        return (
            self.source == failure.source
            and (not self.status or _status_matches(self.status, failure.status))
            and (not self.code or _code_matches(self.code, failure.code))
            and self.says in failure.text.lower()
            and (failure.own or not self.own)
        )


SOCKET, VOLCENGINE, LIVEPEER = "socket", "volcengine", "livepeer"


@frozen
class Failure:
    """What went wrong, before it is judged. `source` is SOCKET (code: the exception's name), VOLCENGINE or LIVEPEER.

    `own` tells that the error came in the vendor's own error body.
    """

    source: str
    code: str
    status: int = 0
    text: str = ""
    own: bool = False
    request_id: str = ""
    retry_after: float | None = None


_CLOCK_HINT = "this machine's clock and the vendor's disagree: set it right (NTP)"

TABLE: tuple[Row, ...] = (
    # Raised before a byte of the request is written.
    Row(SOCKET, Verdict.UNSENT, code="ConnectError"),  # refused, DNS, TLS handshake
    Row(SOCKET, Verdict.UNSENT, code="ConnectTimeout"),
    Row(SOCKET, Verdict.UNSENT, code="PoolTimeout"),
    Row(SOCKET, Verdict.UNSENT, code="ProxyError"),  # the proxy refused to open the tunnel
    Row(SOCKET, Verdict.UNSENT, code="UnsupportedProtocol"),
    Row(SOCKET, Verdict.UNSENT, code="Unsendable"),
    Row(SOCKET, Verdict.UNSENT, code="Closed"),
    Row(SOCKET, Verdict.UNSENT, code="SignatureLapsed", hint="it waited too long for a free connection"),
    # Raised when the server closed before reading as well as after reading everything: cannot be told apart.
    Row(SOCKET, Verdict.UNCLEAR, code="RemoteProtocolError"),
    Row(SOCKET, Verdict.UNCLEAR, code="LocalProtocolError"),
    Row(SOCKET, Verdict.UNCLEAR, code="ReadError"),
    Row(SOCKET, Verdict.UNCLEAR, code="ReadTimeout"),
    Row(SOCKET, Verdict.UNCLEAR, code="WriteError"),
    Row(SOCKET, Verdict.UNCLEAR, code="WriteTimeout"),
    Row(SOCKET, Verdict.UNCLEAR, code="CloseError"),
    Row(SOCKET, Verdict.UNCLEAR, code="SlowAnswer"),
    Row(SOCKET, Verdict.UNCLEAR, code="Redirected"),
    # An answer came, and it cannot be read.
    Row(SOCKET, Verdict.UNCLEAR, code="AnswerTooLarge"),
    Row(SOCKET, Verdict.UNCLEAR, code="AnswerTooDeep"),
    Row(SOCKET, Verdict.UNCLEAR, code="AnswerCompressed"),
    Row(SOCKET, Verdict.UNCLEAR, code="NotJSON"),
    Row(SOCKET, Verdict.UNCLEAR, code="NoEnvelope"),
    # Volcengine: the service's own codes and the gateway's. Errors also come in HTTP 200; a 5xx outweighs its code.
    Row(VOLCENGINE, Verdict.UNCLEAR, status="5xx"),
    # RTC answers a Start for a running task with this sentence, in Result or in an error of any code.
    Row(VOLCENGINE, Verdict.REFUSED, says="task has been started"),
    Row(VOLCENGINE, Verdict.UNCLEAR, code="CommonErr"),
    Row(VOLCENGINE, Verdict.UNCLEAR, code="InternalError.*"),
    Row(VOLCENGINE, Verdict.UNCLEAR, code="UndefinedError"),
    Row(VOLCENGINE, Verdict.UNCLEAR, code="FailToConnect"),
    Row(VOLCENGINE, Verdict.UNCLEAR, code="InternalServiceError"),
    Row(VOLCENGINE, Verdict.UNCLEAR, code="InternalServiceTimeout"),
    Row(VOLCENGINE, Verdict.UNCLEAR, code="ServiceUnavailableTemp"),
    Row(VOLCENGINE, Verdict.REFUSED, code="FlowLimitExceeded.TaskNumberOverLimit", hint="too many tasks at once"),
    Row(VOLCENGINE, Verdict.THROTTLED, code="FlowLimitExceeded.*"),
    Row(VOLCENGINE, Verdict.THROTTLED, code="AccountFlowLimitExceeded.*"),
    Row(VOLCENGINE, Verdict.THROTTLED, code="RequestLimitExceeded.*"),
    Row(VOLCENGINE, Verdict.THROTTLED, status="429"),
    Row(VOLCENGINE, Verdict.CLOCK, code="InvalidTimestamp", hint=_CLOCK_HINT),
    Row(VOLCENGINE, Verdict.REFUSED, code="ServiceNotFound", hint="is the endpoint the right one?"),
    Row(VOLCENGINE, Verdict.REFUSED, code="InvalidActionOrVersion"),
    Row(VOLCENGINE, Verdict.REFUSED, code="MethodNotAllowed"),
    Row(VOLCENGINE, Verdict.REFUSED, code="MissingParameter.*"),
    Row(VOLCENGINE, Verdict.REFUSED, code="MissingRequestInfo"),
    Row(VOLCENGINE, Verdict.ABSENT, code="InvalidParameter.ErrorActiveTaskNotFound"),
    Row(VOLCENGINE, Verdict.ABSENT, code="*NotFound"),
    Row(VOLCENGINE, Verdict.DENIED, code="InvalidParameter.AccountIdMismatch"),
    Row(VOLCENGINE, Verdict.REFUSED, code="InvalidParameter.TaskAlreadyExists"),
    Row(VOLCENGINE, Verdict.REFUSED, code="TaskAlreadyExists"),
    Row(VOLCENGINE, Verdict.REFUSED, code="InvalidParameter.*"),
    Row(VOLCENGINE, Verdict.REFUSED, code="InvalidParam.*"),
    Row(VOLCENGINE, Verdict.DENIED, code="MissingAuthenticationToken"),
    Row(VOLCENGINE, Verdict.DENIED, code="MissingSignature"),
    Row(VOLCENGINE, Verdict.DENIED, code="InvalidAccessKey"),
    Row(VOLCENGINE, Verdict.DENIED, code="InvalidClientTokenId"),
    Row(VOLCENGINE, Verdict.DENIED, code="InvalidSecretToken", hint="the session token is wrong or has expired"),
    Row(
        VOLCENGINE,
        Verdict.DENIED,
        code="SignatureDoesNotMatch",
        hint="the secret key does not belong to the access key",
    ),
    Row(VOLCENGINE, Verdict.DENIED, code="InvalidAuthorization"),
    Row(VOLCENGINE, Verdict.DENIED, code="InvalidCredential"),
    Row(VOLCENGINE, Verdict.DENIED, code="LackPolicy.*"),
    Row(VOLCENGINE, Verdict.DENIED, code="LackProjectPolicy.*"),
    Row(
        VOLCENGINE,
        Verdict.DENIED,
        code="AccessDenied.RecordNotEnabled",
        hint="enable cloud recording in the RTC console",
    ),
    Row(VOLCENGINE, Verdict.DENIED, code="AccessDenied.ServiceNotEnabled", hint="enable the service in the RTC console"),
    Row(VOLCENGINE, Verdict.DENIED, code="AccessDenied.*"),
    Row(VOLCENGINE, Verdict.DENIED, code="RequestForbidden.*"),
    Row(VOLCENGINE, Verdict.DENIED, status="401"),
    Row(VOLCENGINE, Verdict.DENIED, status="403"),
    # Livepeer: no codes, only a status and sentences.
    Row(LIVEPEER, Verdict.UNCLEAR, status="5xx"),
    Row(LIVEPEER, Verdict.THROTTLED, status="403", says="too many clips"),  # 5 in work for one caller and stream
    Row(LIVEPEER, Verdict.THROTTLED, status="429"),
    Row(LIVEPEER, Verdict.ABSENT, status="400", says="already deleted", own=True),
    Row(LIVEPEER, Verdict.REFUSED, status="400", own=True),
    Row(LIVEPEER, Verdict.DENIED, status="401"),
    Row(
        LIVEPEER,
        Verdict.DENIED,
        status="403",
        says="cors",
        hint="this key is meant for browsers: make one without CORS access",
    ),
    Row(LIVEPEER, Verdict.DENIED, status="403"),
    Row(LIVEPEER, Verdict.REFUSED, status="404", says="does not belong to this stream", own=True),
    Row(LIVEPEER, Verdict.ABSENT, status="404", own=True),
    Row(LIVEPEER, Verdict.REFUSED, status="413"),
    Row(LIVEPEER, Verdict.REFUSED, status="422", own=True),
)


def judge(failure: Failure) -> tuple[Verdict, str]:
    """The verdict and hint of the first row that matches; UNCLEAR when none does."""
    for row in TABLE:
        if row.matches(failure):
            return row.verdict, row.hint
    return Verdict.UNCLEAR, ""


def error(failure: Failure, *, action: str, safe: bool) -> VendorError:
    """The exception a failed call ends with. `failure.text` must already be fit to be shown."""
    verdict, hint = judge(failure)
    kind, phrase = _ending(verdict, safe=safe)
    facts = [failure.code] if failure.code else []
    if failure.status and failure.code != f"HTTP{failure.status}":
        facts.append(f"HTTP {failure.status}")
    message = f"{action} {phrase}: {', '.join(facts)}"
    message += f": {failure.text}" if failure.text else ""
    message += f"; {hint}" if hint else ""
    message += f" (request {failure.request_id})" if failure.request_id else ""
    found = kind(
        message,
        code=failure.code,
        status=failure.status,
        action=action,
        request_id=failure.request_id,
    )
    if isinstance(found, Throttled):
        found.retry_after = failure.retry_after
    return found


def _ending(verdict: Verdict, *, safe: bool) -> tuple[type[VendorError], str]:
    """The class, and what the message says after the action's name."""
    match verdict:
        case Verdict.UNSENT:
            return Unavailable, "was not sent"
        case Verdict.REFUSED:
            return Rejected, "was refused"
        case Verdict.ABSENT:
            return NotFound, "found nothing"
        case Verdict.THROTTLED:
            return Throttled, "was throttled"
        case Verdict.DENIED:
            return Denied, "was denied"
        case Verdict.CLOCK:
            return Lapsed, "was denied"
        case Verdict.UNCLEAR if safe:
            return Unavailable, "failed"
        case Verdict.UNCLEAR:
            return OutcomeUnknown, "was sent, its outcome is unknown"


def _status_matches(wanted: str, status: int) -> bool:
    return status // 100 == int(wanted[0]) if wanted.endswith("xx") else str(status) == wanted


def _code_matches(wanted: str, code: str) -> bool:
    if wanted.startswith("*"):
        return code.endswith(wanted[1:])
    if wanted.endswith(".*"):
        return code == wanted[:-2] or code.startswith(wanted[:-1])
    return code == wanted


_RETRY_AFTER = re.compile(r"\d{1,6}(\.\d{1,6})?")


def retry_after(header: str) -> float | None:
    """The seconds of a Retry-After header; None when it is absent or a date."""
    return float(header) if _RETRY_AFTER.fullmatch(header.strip()) else None
