"""Livepeer Studio's API: a bearer key, JSON both ways, errors as a list of sentences. Nothing in it is idempotent."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from reconciler.errors import ReconcilerError
from reconciler.model import Call, Clock, Reply
from reconciler.vendors import outcome
from reconciler.vendors.credentials import LivepeerKey
from reconciler.vendors.http import Broken, Incoming, Line, OnExchange, Outgoing, encoded, unanswered
from reconciler.vendors.redaction import readable, request_id, secrets_in

if TYPE_CHECKING:
    import httpx

ENDPOINT = "https://livepeer.studio/api"
EARLY = 50.0  # seconds before its end that a write must leave: a clip's horizon has little room for more
_PATH = re.compile(r"(/[A-Za-z0-9._~%:@-]+)+")


class Livepeer:
    """Sends calls with one API key. Thread safe; `close()` it when done. `endpoint` includes the path, `/api`."""

    def __init__(
        self,
        endpoint: str,
        key: LivepeerKey,
        *,
        clock: Clock,
        read_only: bool,
        timeout: float = 30.0,
        client: httpx.Client | None = None,
        on_exchange: OnExchange | None = None,
    ) -> None:
        self._line = Line(endpoint, clock=clock, timeout=timeout, client=client, on_exchange=on_exchange)
        self._clock = clock
        self._key = key
        self._read_only = read_only

    def close(self) -> None:
        self._line.close()

    def send(self, call: Call) -> Reply:
        if call.vendor != "livepeer":
            raise ReconcilerError(f"{call.action} is for {call.vendor}, not for Livepeer")
        if self._read_only and not call.safe:
            raise ReconcilerError(f"{call.action} writes, and this run only reads")
        try:
            answer = self._line.exchange(call, self._request(call), fence=lambda: self._fence(call))
            failure = self._failure(call, answer)
            if failure:
                raise outcome.error(failure, action=call.action, safe=call.safe)
            body = None if answer.status == 204 else answer.json
            return Reply(body, answer.status, answer.headers, _request_id(answer))
        except Broken as broken:
            raise unanswered(call, broken, secrets=self._secrets(call)) from None

    def _fence(self, call: Call) -> None:
        """No signature ends here by itself: what did not leave at once must not leave at all."""
        if call.by is not None and self._clock.monotonic() > call.by - EARLY:
            raise Broken("SignatureLapsed", "too much time had passed since it was written down")

    def _request(self, call: Call) -> Outgoing:
        if not _PATH.fullmatch(call.path) or {".", ".."} & set(call.path.split("/")):
            raise ReconcilerError(f"{call.action} has a path that is not one: {readable(call.path)}")
        headers = {"Authorization": f"Bearer {self._key.api_key.reveal()}"}
        try:
            content = encoded(call.body)
            query = f"?{urlencode(call.query, quote_via=quote)}" if call.query else ""
        except (TypeError, ValueError) as cause:
            raise ReconcilerError(f"{call.action} has a body or query that cannot be sent: {type(cause).__name__}") from None
        if content:
            headers["Content-Type"] = "application/json"
        return Outgoing(call.method, f"{self._line.endpoint}{call.path}{query}", headers, content, self._secrets(call))

    def _failure(self, call: Call, answer: Incoming) -> outcome.Failure | None:
        """None for success. A DELETE is answered with 204 and nothing else: a 200 came from something in between."""
        if answer.status == 204 if call.method == "DELETE" else 200 <= answer.status < 300:
            return None
        try:
            body = answer.json
        except Broken:
            body = None
        sentences = body.get("errors") if isinstance(body, Mapping) else None
        own = isinstance(sentences, list) and bool(sentences)
        text = "; ".join(_sentence(item) for item in sentences) if own and sentences else ""
        return outcome.Failure(
            outcome.LIVEPEER,
            f"HTTP{answer.status}",
            status=answer.status,
            text=readable(text, secrets=self._secrets(call)),
            own=own,
            request_id=_request_id(answer),
            retry_after=outcome.retry_after(answer.headers.get("retry-after", "")),
        )

    def _secrets(self, call: Call) -> list[str]:
        # A 401 repeats the whole key: `no token <key> found`.
        return [self._key.api_key.reveal(), *secrets_in(call.body)]


def _sentence(item: Any) -> str:
    """One entry of `errors`. Schema errors are JSON inside a string; `/startTime must be number` is what people need of it."""
    text = str(item)
    if text.startswith("{"):
        try:
            detail = json.loads(text)
        except (ValueError, RecursionError):
            return text
        if isinstance(detail, Mapping) and "message" in detail:
            return f"{detail.get('instancePath') or ''} {detail['message']}".strip()
    return text


def _request_id(answer: Incoming) -> str:
    """The API sends none of its own; the edge in front of it does."""
    return request_id(answer.headers.get("x-request-id", "") or answer.headers.get("cf-ray", ""))
