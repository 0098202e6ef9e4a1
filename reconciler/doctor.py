"""What could be wrong outside the manifests: credentials, endpoints, the way to the vendors, the clock, versions. Each check is a value.

Only the vendors asked for are called, once each, with a read that changes nothing.
"""

from __future__ import annotations

import enum
import importlib.metadata
import importlib.util
import platform
import shlex
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.errors import Denied, NotFound, ReconcilerError, Rejected, Throttled, VendorError
from reconciler.frozen import frozen
from reconciler.model import Call, Clock, mask_url
from reconciler.vendors import LIVE, LIVEPEER, RTC, Account, Endpoint, Transports, endpoint

if TYPE_CHECKING:
    import httpx

    from reconciler.vendors.http import Exchange

SKEW_WARNING = timedelta(seconds=30)
SKEW_FAILURE = timedelta(minutes=5)
PATIENCE = 10.0  # seconds; a person is waiting
LIBRARIES = ("click", "deepdiff", "httpx", "pydantic", "ruamel.yaml")

# A room that cannot exist: the vendor checks the signature before it looks for it.
_NOWHERE = {"AppId": "0" * 24, "RoomId": "reconciler-doctor", "TaskId": "reconciler-doctor"}
_OLDER = Call(LIVE, "ListPullToPushTask", method="GET", query={"Page": 1, "Size": 1}, safe=True)  # where the second version is not served
_PROBES = {
    LIVE: Call(LIVE, "ListPullToPushTaskV2", body={"Page": 1, "Size": 1}, safe=True),
    RTC: Call(RTC, "GetRecordTask", method="GET", query=_NOWHERE, safe=True),
    LIVEPEER: Call(LIVEPEER, "ListAssets", method="GET", path="/asset", query={"limit": 1}, safe=True),
}


_EXPORT = ("export VOLCENGINE_ACCESS_KEY=... VOLCENGINE_SECRET_KEY=...", "export LIVEPEER_API_KEY=...")
SET_CLOCK = "sudo timedatectl set-ntp true"


class Status(enum.StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@frozen
class Check:
    """One finding; `next_step` is a line for a shell.

    `exit_code` is the process's for a FAIL: 4 denied, 64 wrong settings, 69 unreachable, 1 otherwise; 0 for the rest.
    """

    name: str
    status: Status
    detail: str
    next_step: str = ""
    exit_code: int = 0


def machine() -> Iterator[Check]:
    """Python, libraries, the YAML parser and the time zone database: no network."""
    found = {name: _version(name) for name in LIBRARIES}
    missing = [name for name, version in found.items() if not version]
    versions = ", ".join(f"{name} {version}" for name, version in found.items() if version)
    yield Check("python", Status.OK, f"Python {platform.python_version()} on {platform.system()}")
    if missing:
        yield Check("libraries", Status.FAIL, f"{', '.join(missing)} missing; {versions}", "pip install broadcast-reconciler", 1)
    else:
        yield Check("libraries", Status.OK, versions)
    if importlib.util.find_spec("yaml") and importlib.util.find_spec("yaml._yaml"):
        yield Check("yaml parser", Status.OK, f"C parser, PyYAML {_version('PyYAML')}")
    else:
        yield Check("yaml parser", Status.FAIL, "PyYAML has no C parser here", "pip install --only-binary :all: PyYAML", 1)
    if version := _version("tzdata"):
        yield Check("time zones", Status.OK, f"tzdata {version}")
    else:
        yield Check("time zones", Status.WARN, "tzdata is not installed; the system's zones decide", "pip install tzdata")


def vendors(
    wanted: Iterable[tuple[str, str]],
    accounts: Mapping[str, Account],
    env: Mapping[str, str],
    *,
    home: Path,
    clock: Clock,
    client: httpx.Client | None = None,
) -> Iterator[Check]:
    """Endpoint, credentials, reachability and clock of every `(account, vendor)` wanted, in that order. Raises nothing."""
    seen: list[Exchange] = []
    with Transports(
        accounts,
        env,
        home=home,
        clock=clock,
        read_only=True,
        timeout=PATIENCE,
        client=client,
        on_exchange=seen.append,
    ) as transports:
        for account, vendor in sorted(set(wanted)):
            seen.clear()
            name = f"{account} {vendor}"
            settings = accounts.get(account, Account())
            where = endpoint(vendor, settings, env)
            yield Check(f"{name} endpoint", Status.OK, f"{mask_url(where.url)} ({where.source})")
            credentials = _credentials(name, vendor, settings, env, home)
            yield credentials
            if credentials.status is Status.FAIL:
                continue
            yield _reach(name, account, vendor, transports, where)
            if seen and seen[0].status:
                yield _skew(name, seen[0], clock)


def exit_code(checks: Iterable[Check]) -> int:
    """The process's exit code: that of the first failed check."""
    return next((check.exit_code for check in checks if check.status is Status.FAIL), 0)


def _credentials(name: str, vendor: str, account: Account, env: Mapping[str, str], home: Path) -> Check:
    from reconciler.vendors import credentials

    name = f"{name} credentials"
    try:
        if vendor == LIVEPEER:
            return Check(name, Status.OK, credentials.livepeer(env).source)
        source = credentials.volcengine(env, home, profile=account.profile).source
    except Denied as denied:
        return Check(name, Status.FAIL, denied.message, _EXPORT[vendor == LIVEPEER], denied.exit_code)
    if source.startswith("environment") and account.profile not in ("", "default"):
        detail = f"{source}, which hides profile {account.profile} of reconciler.yaml"
        return Check(name, Status.WARN, detail, "unset VOLCENGINE_ACCESS_KEY VOLC_ACCESSKEY")
    return Check(name, Status.OK, source)


def _reach(name: str, account: str, vendor: str, transports: Transports, where: Endpoint) -> Check:
    probe = _PROBES[vendor]
    name = f"{name} read"
    try:
        try:
            transports(account, vendor).send(probe)
        except Rejected as refused:
            if vendor != LIVE or refused.code != "InvalidActionOrVersion":
                raise
            probe = _OLDER
            transports(account, vendor).send(probe)
    except Throttled as throttled:
        return Check(name, Status.WARN, f"reachable, but busy: {throttled.message}", "reconciler doctor")
    except Denied as denied:
        if vendor == RTC and denied.code.startswith("AccessDenied."):
            # The service itself answered, about the application: the signature was right.
            return Check(name, Status.OK, f"reachable and signed in ({denied.code} for an application that does not exist)")
        if denied.code == "InvalidTimestamp":
            return Check(name, Status.FAIL, f"{denied.message}; set this machine's clock", SET_CLOCK, denied.exit_code)
        console = "Livepeer Studio" if vendor == LIVEPEER else "Volcengine"
        detail = f"{denied.message}; check the key and its permissions in the console of {console}"
        return Check(name, Status.FAIL, detail, _EXPORT[vendor == LIVEPEER], denied.exit_code)
    except Rejected as refused:
        if vendor == RTC and (isinstance(refused, NotFound) or refused.code.startswith("InvalidParameter")):
            return Check(name, Status.OK, f"reachable and signed in ({refused.code} for a task that does not exist)")
        return Check(name, Status.FAIL, f"{refused.message}; is the endpoint right?", _visit(where), refused.exit_code)
    except VendorError as failed:
        return Check(name, Status.FAIL, f"{failed.message}; check the network and the endpoint", _visit(where), failed.exit_code)
    except ReconcilerError as wrong:
        return Check(name, Status.FAIL, wrong.message, "reconciler doctor", wrong.exit_code)
    return Check(name, Status.OK, f"reachable and signed in ({probe.action})")


def _visit(where: Endpoint) -> str:
    return f"curl -sv -o /dev/null {shlex.quote(mask_url(where.url))}"


def _skew(name: str, exchange: Exchange, clock: Clock) -> Check:
    """This machine's clock against the Date of the first answer, which has whole seconds."""
    name = f"{name} clock"
    try:
        vendors = parsedate_to_datetime(str(exchange.response_headers.get("date", "")))
        skew = clock.now() - vendors
    except (ValueError, TypeError, OverflowError):
        return Check(name, Status.WARN, "the answer has no date to compare with")
    off = abs(skew)
    detail = f"this machine is {off.total_seconds():.0f} s {'ahead' if skew > timedelta() else 'behind'}"
    if off > SKEW_FAILURE:
        return Check(name, Status.FAIL, f"{detail}; set its clock", SET_CLOCK, 1)
    if off > SKEW_WARNING:
        return Check(name, Status.WARN, f"{detail}; set its clock", SET_CLOCK)
    return Check(name, Status.OK, f"within {max(1, round(off.total_seconds()))} s of the vendor's")


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""
