"""This machine's clock beside each vendor's, by the Date of its answers: windows are judged by the one, and kept by the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from email.utils import parsedate_to_datetime

from reconciler.frozen import frozen
from reconciler.model import Call, Clock, Diagnostic, Reply, Severity, Transport
from reconciler.scalars import duration_text

AMISS = 60.0  # seconds: a signature is valid for as long, and windows have minutes


class Compared:
    """Transports by account and vendor, whose answers tell the vendors' time. Without a clock nothing is compared."""

    def __init__(self, transports: Callable[[str, str], Transport], clock: Clock | None) -> None:
        self._transports = transports
        self._clock = clock
        self._ahead: dict[str, float] = {}  # this machine, in seconds, by vendor

    def __call__(self, account: str, vendor: str) -> Transport:
        return _Heard(self, self._transports(account, vendor))

    def hear(self, vendor: str, reply: Reply) -> None:
        if self._clock is None or vendor in self._ahead:
            return
        if date := next((text for name, text in reply.headers.items() if name.lower() == "date"), ""):
            with suppress(ValueError, TypeError):
                self._ahead[vendor] = self._clock.now().timestamp() - parsedate_to_datetime(date).timestamp()

    def warnings(self) -> Iterator[Diagnostic]:
        """One for every vendor whose clock is another."""
        for vendor, ahead in sorted(self._ahead.items()):
            if abs(ahead) > AMISS:
                off = f"{duration_text(int(abs(ahead)))} {'ahead of' if ahead > 0 else 'behind'} {vendor}'s"
                text = f"this machine's clock is {off}, and windows are judged by it: set it right (NTP) before anything is applied"
                yield Diagnostic(Severity.WARNING, "RC702", text)


@frozen
class _Heard:
    compared: Compared
    transport: Transport

    def send(self, call: Call) -> Reply:
        reply = self.transport.send(call)
        self.compared.hear(call.vendor, reply)
        return reply
