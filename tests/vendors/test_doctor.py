"""The doctor's findings, over real HTTP: one harmless read a vendor, and only of the vendors asked for."""

from __future__ import annotations

import json
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from reconciler import doctor
from reconciler.doctor import Check, Status
from reconciler.vendors import LIVE, LIVEPEER, RTC, Account

from .loopback import ACCESS, API_KEY, SECRET, START, Act, Server, StillClock, envelope, hang_up, respond, unused_port

ENV = {"VOLCENGINE_ACCESS_KEY": ACCESS, "VOLCENGINE_SECRET_KEY": SECRET, "LIVEPEER_API_KEY": API_KEY}
VARIABLES = {LIVE: "RECONCILER_LIVE_ENDPOINT", RTC: "RECONCILER_RTC_ENDPOINT", LIVEPEER: "RECONCILER_LIVEPEER_ENDPOINT"}


def examine(vendor: str, url: str, *, env: dict[str, str] = ENV, account: Account | None = None) -> dict[str, Check]:
    """The checks of one vendor by the last word of their name."""
    checks = doctor.vendors(
        [("default", vendor)],
        {"default": account or Account()},
        {**env, VARIABLES[vendor]: url},
        home=Path("/nonexistent"),
        clock=StillClock(),
    )
    return {check.name.removeprefix(f"default {vendor} "): check for check in checks}


def dated(**off: float) -> dict[str, str]:
    return {"Date": format_datetime(START + timedelta(**off), usegmt=True)}


GOOD: dict[str, object] = {LIVE: envelope({"List": []}), RTC: envelope({"RecordTask": None}), LIVEPEER: []}


@pytest.mark.parametrize("vendor", [LIVE, RTC, LIVEPEER])
def test_all_is_well(vendor: str) -> None:
    with Server([respond(200, GOOD[vendor], headers=dated())]) as server:
        found = examine(vendor, server.url)
        [seen] = server.seen
    assert {name: check.status for name, check in found.items()} == dict.fromkeys(["endpoint", "credentials", "read", "clock"], Status.OK)
    assert found["endpoint"].detail == f"{server.url} (environment {VARIABLES[vendor]})"
    assert doctor.exit_code(found.values()) == 0
    if vendor == LIVE:
        assert (seen.query["Action"], json.loads(seen.body)) == ("ListPullToPushTaskV2", {"Page": 1, "Size": 1})
    elif vendor == RTC:
        assert (seen.method, seen.query["Action"]) == ("GET", "GetRecordTask")
    else:
        assert (seen.method, seen.target) == ("GET", "/asset?limit=1")


def failure(status: int, code: str) -> Act:
    return respond(status, {**envelope(error={"Code": code, "Message": "m"}), "errors": [code]}, headers=dated())


@pytest.mark.parametrize(
    ("vendor", "answer", "status", "exit_code", "says"),
    [
        (RTC, failure(400, "InvalidParameter.ErrorActiveTaskNotFound"), Status.OK, 0, "signed in"),
        (RTC, failure(400, "InvalidParameter.NotExistAppId"), Status.OK, 0, "signed in"),
        (RTC, failure(403, "AccessDenied.NoPermissionForApp"), Status.OK, 0, "signed in"),
        (RTC, failure(403, "AccessDenied"), Status.FAIL, 4, "denied"),
        (RTC, failure(404, "ServiceNotFound"), Status.FAIL, 1, "refused"),
        (LIVE, failure(401, "SignatureDoesNotMatch"), Status.FAIL, 4, "secret key"),
        (LIVE, failure(404, "ServiceNotFound"), Status.FAIL, 1, "refused"),
        (LIVE, failure(429, "FlowLimitExceeded"), Status.WARN, 0, "busy"),
        (LIVE, failure(500, "InternalError"), Status.FAIL, 69, "failed"),
        (LIVE, hang_up, Status.FAIL, 69, "RemoteProtocolError"),
        (LIVEPEER, failure(401, f"no token {API_KEY} found"), Status.FAIL, 4, "no token *** found"),
        (LIVEPEER, respond(404, raw=b"<html>"), Status.FAIL, 69, "HTTP404"),
    ],
)
def test_reading(vendor: str, answer: Act, status: Status, exit_code: int, says: str) -> None:
    with Server([answer]) as server:
        read = examine(vendor, server.url)["read"]
    assert (read.status, read.exit_code) == (status, exit_code)
    assert says in read.detail
    assert bool(read.next_step) == (status is not Status.OK)


def test_where_the_second_version_of_the_list_is_not_served_the_first_is_read() -> None:
    with Server([failure(404, "InvalidActionOrVersion"), respond(200, GOOD[LIVE], headers=dated())]) as server:
        read = examine(LIVE, server.url)["read"]
        asked = [(seen.method, seen.query["Action"]) for seen in server.seen]
    assert (read.status, asked) == (Status.OK, [("POST", "ListPullToPushTaskV2"), ("GET", "ListPullToPushTask")])


def test_nobody_there() -> None:
    found = examine(LIVE, f"http://127.0.0.1:{unused_port()}")
    assert (found["read"].status, found["read"].exit_code) == (Status.FAIL, 69)
    assert "clock" not in found


@pytest.mark.parametrize(
    ("off", "status"),
    [
        (0, Status.OK),
        (29, Status.OK),
        (-30, Status.OK),
        (31, Status.WARN),
        (-300, Status.WARN),
        (301, Status.FAIL),
        (-86400, Status.FAIL),
    ],
)
def test_clock(off: float, status: Status) -> None:
    with Server([respond(200, GOOD[LIVE], headers=dated(seconds=off))]) as server:
        clock = examine(LIVE, server.url)["clock"]
    assert clock.status is status
    if status is not Status.OK:
        assert ("behind" if off > 0 else "ahead") in clock.detail


def test_a_clock_that_the_vendor_refuses() -> None:
    refusal = respond(403, envelope(error={"Code": "InvalidTimestamp"}), headers=dated(hours=5))
    with Server([refusal, respond(200, GOOD[LIVE], headers=dated(hours=5))]) as server:
        found = examine(LIVE, server.url)
    assert found["read"].status is Status.OK, "calls correct the clock for themselves"
    assert (found["clock"].status, found["clock"].detail) == (Status.FAIL, "this machine is 18000 s behind; set its clock")


@pytest.mark.parametrize("date", ["", "yesterday", "Thu, 01 Jan 2026 00:00:00 -0000"])
def test_a_date_that_says_nothing(date: str) -> None:
    with Server([respond(200, GOOD[LIVE], headers={"Date": date} if date else {})]) as server:
        assert examine(LIVE, server.url)["clock"].status is not Status.FAIL


def test_no_credentials_no_call() -> None:
    with Server([]) as server:
        found = examine(LIVE, server.url, env={})
        assert server.connections == 0
    assert set(found) == {"endpoint", "credentials"}
    assert (found["credentials"].status, doctor.exit_code(found.values())) == (Status.FAIL, 4)
    assert found["credentials"].next_step.startswith("export VOLCENGINE_ACCESS_KEY")


def test_variables_that_hide_a_profile() -> None:
    with Server([respond(200, GOOD[LIVE], headers=dated())]) as server:
        found = examine(LIVE, server.url, account=Account(profile="sports"))
    assert found["credentials"].status is Status.WARN
    assert "hides profile sports" in found["credentials"].detail


@pytest.mark.parametrize("url", ["http://example.com", "https://user:hunter2@example.com"])
def test_a_bad_endpoint(url: str) -> None:
    found = examine(LIVE, url)
    assert (found["read"].status, found["read"].exit_code) == (Status.FAIL, 64)
    assert "hunter2" not in repr(found)


def test_only_the_vendors_in_use_are_called() -> None:
    with Server([respond(200, [], headers=dated())]) as studio, Server([]) as other:
        env = {**ENV, VARIABLES[LIVEPEER]: studio.url, VARIABLES[LIVE]: other.url, VARIABLES[RTC]: other.url}
        wanted = [("default", LIVEPEER), ("default", LIVEPEER)]
        checks = list(doctor.vendors(wanted, {}, env, home=Path("/nonexistent"), clock=StillClock()))
        assert (len(studio.seen), other.connections) == (1, 0)
    assert [check.status for check in checks] == [Status.OK] * 4


def test_machine() -> None:
    found = {check.name: check for check in doctor.machine()}
    assert set(found) == {"python", "libraries", "yaml parser", "time zones"}
    assert all(check.status is Status.OK for check in found.values())
    for name in doctor.LIBRARIES:
        assert name in found["libraries"].detail


@pytest.mark.parametrize(("vendor", "secrets"), [(LIVE, [ACCESS, SECRET]), (LIVEPEER, [API_KEY])])
def test_nothing_secret(vendor: str, secrets: list[str]) -> None:
    with Server([failure(401, f"no token {' '.join(secrets)} found")]) as server:
        shown = repr(examine(vendor, server.url))
    assert "no token ***" in shown or "denied" in shown
    assert not [secret for secret in secrets if secret in shown]
