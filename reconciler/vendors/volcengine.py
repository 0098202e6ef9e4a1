"""Volcengine OpenAPI (Live and RTC): the URL, the signature, the envelope. Errors inside HTTP 200 are errors.

A signed request is valid for X-Expires seconds: that is the fence which keeps a late request from taking effect.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from reconciler.errors import ReconcilerError, UsageError
from reconciler.frozen import frozen
from reconciler.model import Call, Clock, Reply
from reconciler.vendors import outcome
from reconciler.vendors.credentials import VolcengineKey
from reconciler.vendors.http import Broken, Incoming, Line, OnExchange, Outgoing, encoded, unanswered
from reconciler.vendors.redaction import readable, request_id, secrets_in
from reconciler.vendors.signing import Signer, canonical_query, signed_host

if TYPE_CHECKING:
    import httpx

REGION = "cn-north-1"
TOLERANCE = timedelta(seconds=5)  # the horizon allows for so much
SHORTEST_VALIDITY = 1  # seconds that a signature must still have when the first byte leaves


@frozen
class Service:
    """One API behind the gateway: its name in the signature, its version, and where it is by default."""

    name: str
    version: str
    endpoint: str


SERVICES = {
    "volcengine-live": Service("live", "2023-01-01", "https://live.volcengineapi.com"),
    "volcengine-rtc": Service("rtc", "2023-11-01", "https://rtc.volcengineapi.com"),
}


class Volcengine:
    """Sends calls to one service with one key. Thread safe; `close()` it when done.

    `expires`: seconds a signature is valid (X-Expires); None leaves the vendor's 900 s and sends no parameter.
    """

    def __init__(
        self,
        endpoint: str,
        key: VolcengineKey,
        *,
        clock: Clock,
        read_only: bool,
        region: str = REGION,
        expires: int | None = 60,
        timeout: float = 30.0,
        client: httpx.Client | None = None,
        on_exchange: OnExchange | None = None,
    ) -> None:
        self._line = Line(endpoint, clock=clock, timeout=timeout, client=client, on_exchange=on_exchange)
        if urlsplit(self._line.endpoint).path:
            raise UsageError(f"endpoint {self._line.endpoint} has a path; Volcengine's API answers at / only")
        self._clock = clock
        self._key = key
        self._region = region
        self._read_only = read_only
        self._expires = expires
        self._offset = timedelta()
        """What must be added to this machine's clock to get the vendor's; learned from a refused signing time."""

    def close(self) -> None:
        self._line.close()

    def send(self, call: Call) -> Reply:
        service = SERVICES.get(call.vendor)
        if not service:
            raise ReconcilerError(f"{call.action} is for {call.vendor}, not for Volcengine")
        if self._read_only and not call.safe:
            raise ReconcilerError(f"{call.action} writes, and this run only reads")
        content = _body(call)
        ends = [call.by] if call.by is not None else []
        lapses = min(ends if self._expires is None else [*ends, self._clock.monotonic() + self._expires], default=None)
        try:
            answer = self._signed(call, service, content, lapses)
            self._keep_time(answer)
            failure = self._failure(call, answer)
            lapsed = failure is not None and outcome.judge(failure)[0] is outcome.Verdict.CLOCK
            if lapsed and self._learn_offset(answer) and call.safe:
                # A write goes back to be written down again: perhaps this process slept, and somebody else has its lock.
                answer = self._signed(call, service, content, lapses)
                failure = self._failure(call, answer)
            if failure:
                raise outcome.error(failure, action=call.action, safe=call.safe)
            return _reply(answer)
        except Broken as broken:
            raise unanswered(call, broken, secrets=self._secrets(call)) from None

    def _signed(self, call: Call, service: Service, content: bytes, lapses: float | None) -> Incoming:
        def fence() -> None:
            if lapses is not None and lapses - self._clock.monotonic() < SHORTEST_VALIDITY:
                raise Broken("SignatureLapsed", "too much time had passed since it was written down and signed")

        fence()
        parameters: dict[str, str | int] = {**call.query, "Action": call.action, "Version": service.version}
        if lapses is not None:
            parameters["X-Expires"] = round(lapses - self._clock.monotonic())
        try:
            query = canonical_query(parameters)
        except ValueError as cause:
            raise ReconcilerError(f"{call.action} has a parameter that cannot be sent: {type(cause).__name__}") from None
        headers = {"Host": signed_host(urlsplit(self._line.endpoint).netloc)}
        if call.method == "POST":
            headers["Content-Type"] = "application/json"
        signer = Signer(
            self._key.access_key.reveal(),
            self._key.secret_key.reveal(),
            self._region,
            service.name,
            self._key.session_token.reveal() if self._key.session_token else "",
        )
        signed = signer.sign(call.method, "/", query=query, headers=headers, body=content, at=self._clock.now() + self._offset)
        url = f"{self._line.endpoint}/?{query}"
        return self._line.exchange(call, Outgoing(call.method, url, signed, content, self._secrets(call)), fence=fence)

    def _failure(self, call: Call, answer: Incoming) -> outcome.Failure | None:
        """None for success. Raises Broken when a successful status carries no envelope."""
        good = 200 <= answer.status < 300
        try:
            body = answer.json
        except Broken:
            if good:
                raise
            body = None
        metadata = body.get("ResponseMetadata") if isinstance(body, Mapping) else None
        wrong = metadata.get("Error") if isinstance(metadata, Mapping) else None
        if good and wrong is None:
            # Actions with nothing to return answer with ResponseMetadata alone.
            if isinstance(metadata, Mapping) or (isinstance(body, Mapping) and "Result" in body):
                return None
            raise Broken("NoEnvelope", "the answer has neither ResponseMetadata nor Result", status=answer.status)
        wrong = wrong if isinstance(wrong, Mapping) else {}
        return outcome.Failure(
            outcome.VOLCENGINE,
            readable(str(wrong.get("Code") or ""), secrets=self._secrets(call)),
            status=answer.status,
            text=readable(str(wrong.get("Message") or ""), secrets=self._secrets(call)),
            own=bool(wrong),
            request_id=_request_id(answer, metadata),
            retry_after=outcome.retry_after(answer.headers.get("retry-after", "")),
        )

    def _secrets(self, call: Call) -> list[str]:
        keys = (self._key.access_key, self._key.secret_key, self._key.session_token)
        return [key.reveal() for key in keys if key] + list(secrets_in(call.body))

    def _keep_time(self, answer: Incoming) -> None:
        """A clock that goes ahead of the vendor's makes signatures valid for longer than they are meant to be: the fence would leak."""
        vendors = date_of(answer.headers)
        if vendors is not None and abs(vendors - self._clock.now() - self._offset) > TOLERANCE:
            self._learn_offset(answer)

    def _learn_offset(self, answer: Incoming) -> bool:
        """Take the vendor's time from the Date header; False when it names none."""
        vendors = date_of(answer.headers)
        if vendors is None:
            return False
        self._offset = vendors - self._clock.now()
        return True


def date_of(headers: Mapping[str, str]) -> datetime | None:
    """The instant of a Date header, which has whole seconds."""
    try:
        found = parsedate_to_datetime(headers.get("date", ""))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _body(call: Call) -> bytes:
    if call.method == "GET":
        return b""
    try:
        return encoded({} if call.body is None else call.body)
    except (TypeError, ValueError) as cause:
        raise ReconcilerError(f"{call.action} has a body that cannot be sent: {type(cause).__name__}") from None


def _reply(answer: Incoming) -> Reply:
    body: Any = answer.json
    return Reply(body.get("Result"), answer.status, answer.headers, _request_id(answer, body.get("ResponseMetadata")))


def _request_id(answer: Incoming, metadata: Any) -> str:
    """X-Tt-Logid and ResponseMetadata.RequestId carry the same id; some answers have only one of them."""
    inside = metadata.get("RequestId") if isinstance(metadata, Mapping) else ""
    return request_id(inside or answer.headers.get("x-tt-logid", ""))
