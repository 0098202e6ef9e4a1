"""The vendors' APIs: `Call` in, `Reply` or a VendorError out. Nothing else here, and nowhere else, speaks HTTP.

`Transports` is the door: it makes the transport of an account the first time it is asked for one.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from reconciler.errors import ReconcilerError, Unavailable, UsageError
from reconciler.frozen import frozen
from reconciler.model import Clock, Transport

if TYPE_CHECKING:
    import httpx

    from reconciler.vendors.http import Exchange
    from reconciler.vendors.livepeer import Livepeer
    from reconciler.vendors.volcengine import Volcengine

LIVE, RTC, LIVEPEER = "volcengine-live", "volcengine-rtc", "livepeer"
VENDORS = (LIVE, RTC, LIVEPEER)

_VARIABLES = {
    LIVE: "RECONCILER_LIVE_ENDPOINT",
    RTC: "RECONCILER_RTC_ENDPOINT",
    LIVEPEER: "RECONCILER_LIVEPEER_ENDPOINT",
}
_KEYS = {LIVE: "volcengine.liveEndpoint", RTC: "volcengine.rtcEndpoint", LIVEPEER: "livepeer.endpoint"}


@frozen
class Account:
    """What reconciler.yaml says about one account; "" where it says nothing."""

    region: str = ""
    profile: str = ""
    live_endpoint: str = ""
    rtc_endpoint: str = ""
    livepeer_endpoint: str = ""


class Endpoint(NamedTuple):
    """A URL and where it came from, in words for people."""

    url: str
    source: str


def endpoint(vendor: str, account: Account, env: Mapping[str, str]) -> Endpoint:
    """The environment's endpoint, else the project's, else the vendor's own."""
    from reconciler.vendors import livepeer, volcengine

    variable = _VARIABLES[vendor]
    if url := env.get(variable, "").strip():
        return Endpoint(url, f"environment {variable}")
    declared = {LIVE: account.live_endpoint, RTC: account.rtc_endpoint, LIVEPEER: account.livepeer_endpoint}[vendor]
    if declared:
        return Endpoint(declared, f"reconciler.yaml, {_KEYS[vendor]}")
    return Endpoint(livepeer.ENDPOINT if vendor == LIVEPEER else volcengine.SERVICES[vendor].endpoint, "default")


class Transports:
    """`transports(account, vendor)` is the transport of that account, made once and kept. Thread safe; a context manager that closes all.

    Raises UsageError for an unknown account or a bad endpoint, Denied when no credentials are found. `client` serves all of them
    when given, and stays open.
    """

    def __init__(
        self,
        accounts: Mapping[str, Account],
        env: Mapping[str, str],
        *,
        home: Path,
        clock: Clock,
        read_only: bool,
        expires: int | None = 60,
        timeout: float = 30.0,
        client: httpx.Client | None = None,
        on_exchange: Callable[[Exchange], None] | None = None,
    ) -> None:
        self._accounts = accounts
        self._env = env
        self._home = home
        self._clock = clock
        self._read_only = read_only
        self._expires = expires
        self._timeout = timeout
        self._client = client
        self._on_exchange = on_exchange
        self._made: dict[tuple[str, str], Volcengine | Livepeer] = {}
        self._closed = False
        self._lock = threading.Lock()

    def __call__(self, account: str, vendor: str) -> Transport:
        with self._lock:
            made = self._made.get((account, vendor))
            if self._closed:
                raise Unavailable(f"nothing more is sent to {vendor}: this run is over")
            if made is None:
                made = self._made[account, vendor] = self._make(account, vendor)
            return made

    def _make(self, name: str, vendor: str) -> Volcengine | Livepeer:
        from reconciler.vendors import credentials, livepeer, volcengine

        if vendor not in VENDORS:
            raise ReconcilerError(f"{vendor} is no vendor; there are {', '.join(VENDORS)}")
        account = self._accounts.get(name)
        if account is None and name != "default":
            raise UsageError(f"account {name} is not in reconciler.yaml; it has {', '.join(sorted(self._accounts)) or 'none'}")
        account = account or Account()
        url, source = endpoint(vendor, account, self._env)
        try:
            if vendor == LIVEPEER:
                return livepeer.Livepeer(
                    url,
                    credentials.livepeer(self._env),
                    clock=self._clock,
                    read_only=self._read_only,
                    timeout=self._timeout,
                    client=self._client,
                    on_exchange=self._on_exchange,
                )
            return volcengine.Volcengine(
                url,
                credentials.volcengine(self._env, self._home, profile=account.profile),
                clock=self._clock,
                read_only=self._read_only,
                region=account.region or volcengine.REGION,
                expires=self._expires,
                timeout=self._timeout,
                client=self._client,
                on_exchange=self._on_exchange,
            )
        except UsageError as wrong:
            raise UsageError(f"{wrong.message} (endpoint of {vendor}, from {source})") from None

    def close(self) -> None:
        with self._lock:
            made, self._made, self._closed = list(self._made.values()), {}, True
        for transport in made:
            with contextlib.suppress(Exception):
                transport.close()

    def __enter__(self) -> Transports:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
