"""One plan that holds every shape a plan can have, with secrets and hostile texts in it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from reconciler.model import (
    Action,
    Address,
    Change,
    Conflict,
    Desired,
    Diagnostic,
    Entry,
    FieldChange,
    Need,
    Observed,
    Phase,
    Place,
    Plan,
    Presence,
    Sealed,
    Secret,
    Severity,
    Stage,
    Stranger,
    Timing,
    Url,
    Window,
)
from reconciler.render.look import Look

NOW = datetime(2026, 11, 20, 13, 40, tzinfo=UTC)  # 21:40 in Shanghai
SHANGHAI = ZoneInfo("Asia/Shanghai")
LOOK = Look(zone=SHANGHAI)

SECRETS = ("sk-live-91", "hunter2", "tok3n")
"""Texts that must never come out of any renderer."""


def at(hour: int, minute: int = 0, day: int = 20) -> datetime:
    """An instant of November 2026, told in Shanghai's time."""
    return datetime(2026, 11, day, hour, minute, tzinfo=SHANGHAI).astimezone(UTC)


def push(key: str) -> Url:
    return Url(f"rtmp://user:hunter2@push.example.com/live/one?key={key}&expire=tok3n")


def relay(name: str, window: Window | None = None, **values: object) -> Desired:
    address = Address("RelayTask", name)
    return Desired(address, values, Place(f"manifests/{name}.yaml", 3), timing=Timing(window) if window else None)


def change(action: Action, name: str, reason: str, *, kind: str = "RelayTask", place: Place | None = None, **rest: object) -> Change:
    return Change(Address(kind, name), action, reason, place=place, **rest)  # type: ignore[arg-type]


def blocked() -> Change:
    want = relay("cup-final", Window(at(20), at(23, 30)), title="杯赛决赛", destination={"url": push("new")})
    return change(
        Action.BLOCKED,
        "cup-final",
        "differs, ON AIR until 2026-11-20T15:30:00Z",
        wanted=Action.REPLACE,
        place=Place("manifests/cup.yaml", 40),
        phase=Phase.ON_AIR,
        stage=Stage.ON_AIR,
        on_air=True,
        off_air=5.0,
        needs=Need("--allow-on-air RelayTask/cup-final, or apply after 2026-11-20T15:30:00Z", "--allow-on-air RelayTask/cup-final"),
        fields=(
            FieldChange("spec.source", "live", "files", replace=True),
            FieldChange("spec.destination.url", Sealed("7f3a" + "0" * 60, push("a").shown), Sealed("91c2" + "0" * 60, push("b").shown)),
        ),
        desired=want,
        observed=Observed(
            want.address,
            Presence.LIVE,
            id="task-1",
            window=Window(at(20), at(23, 30)),
            stage=Stage.ON_AIR,
            values={"title": "杯赛决赛", "destination": {"url": push("sk-live-91")}},
        ),
        fingerprint="f00d",
    )


def plan(*more: Change) -> Plan:
    old = Address("RelayTask", "old-loop")
    final = relay("sport-final", Window(at(20), at(23, 59)), callbackUrl=Url("https://ops.example.com/x?token=tok3n"))
    clip = Address("Clip", "goal-78")
    changes = (
        blocked(),
        Change(
            old,
            Action.DELETE,
            "in no manifest, not begun",
            stage=Stage.WAITING,
            entry=Entry(old, "default", "t-9", "x"),
            observed=Observed(old, Presence.LIVE, id="t-9", stage=Stage.WAITING, values={"title": "old"}),
        ),
        change(
            Action.UPDATE,
            "sport-final",
            "differs, ON AIR",
            place=Place("manifests/sport.yaml", 3),
            on_air=True,
            stage=Stage.ON_AIR,
            fields=(
                FieldChange("schedule.end", at(23, 30), at(23, 59)),
                FieldChange("spec.storage.custom.secretKey", Sealed("aaaa", "***"), Sealed("bbbb", "(env:S3_SECRET)")),
                FieldChange(
                    "spec.layout.regions", [{"x": 0, "streamIndex": 1}], [{"x": 10, "streamIndex": 1}, {"x": 20, "streamIndex": 2}]
                ),
                FieldChange("spec.title", "旧的 标题", None),
            ),
            desired=final,
            observed=Observed(
                final.address, Presence.LIVE, id="t-2", window=Window(at(20), at(23, 30)), stage=Stage.ON_AIR, values={"title": "x"}
            ),
        ),
        Change(
            clip,
            Action.CREATE,
            "new",
            place=Place("manifests/clips.yaml", 9),
            desired=Desired(
                clip,
                {"start": at(21, 14), "end": at(21, 14) + timedelta(seconds=30), "name": "第78分钟进球"},
                Place("manifests/clips.yaml", 9),
            ),
        ),
        change(
            Action.WAIT,
            "new-year",
            "beyond the horizon, made from 2026-12-18T00:00:00Z on",
            wanted=Action.CREATE,
            place=Place("manifests/ny.yaml", 1),
            phase=Phase.BEYOND,
        ),
        change(Action.NOOP, "steady", "up to date", place=Place("manifests/steady.yaml", 1)),
        change(Action.NOOP, "tardy", "late", place=Place("manifests/t.yaml", 1), warnings=("the vendor is late",)),
        *more,
    )
    return Plan(
        id="5c1e9a77aa00",
        workspace="sports",
        environment="",
        generated_at=NOW,
        valid_until=at(23, 30),
        changes=changes,
        drift=(
            change(
                Action.UPDATE,
                "drifter",
                "changed outside of us",
                fields=(FieldChange("schedule.end", at(23, 59), at(23, 30)),),
                entry=Entry(Address("RelayTask", "drifter"), "default", "t-3", "y"),
            ),
        ),
        conflicts=(
            Conflict(
                "foreign",
                "rtmp://push.example.com/live/one",
                ("RelayTask/cup-final", "RelayTask 别人"),
                "RelayTask/cup-final would push to rtmp://push.example.com/live/one while RelayTask 别人, which is not ours, does",
                (Place("manifests/cup.yaml", 40),),
                Window(at(20), at(21)),
            ),
        ),
        diagnostics=(Diagnostic(Severity.WARNING, "RC701", "apply will stop: it would delete 9 of the 20 objects"),),
        strangers=(Stranger("RelayTask", "t-77", "orphan", ours=True), Stranger("RelayTask", "t-78", "somebody's")),
        live_counts={"volcengine-live": 22, "volcengine-rtc": 10, "livepeer": 6},
        live_digest="d1",
        manifests_digest="m1",
        tzdata="2026b",
        lineage="l1",
        serial=7,
        files=14,
        unchanged=30,
    )


SEALED_SECRET = Secret("hunter2", reference="env:PASSWORD")

HOSTILE = (
    "\x1b[2J\x1b]0;owned\x07 a|b `c` <script>alert(1)</script> @everyone #1 "
    "[x](http://evil) \u202egnp.exe\r\n::error::x ##[error]y %0A</details>"
)
"""A title that attacks every kind of display."""
