"""The objects these tests write into ledgers."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from reconciler.model import Address, Entry, Intent, OnAirChange, Secret, Url, Verb, Window
from tests.ledger.conftest import NOON

MORNING = Address("RelayTask", "morning-news")
SERIES = Address("RelayTask", "weekly", "2026-12-05T12:30")

VALUES = {
    "title": "早间新闻",
    "source": {"url": Url("http://pull.example.com/live/a.flv?sign=CANARY-1")},
    "files": [{"startOffset": 30, "at": NOON}, {"loop": 1.5}],
    "storage": {"accessKey": Secret("CANARY-2", reference="env:S3_KEY")},
    "enabled": False,
}


def an_entry(address: Address = MORNING, **changes: Any) -> Entry:
    return replace(Entry(address, "default", "task-1", "default/早间新闻", applied={"title": "早间新闻"}, changed=NOON), **changes)


FULL_ENTRY = Entry(
    SERIES,
    account="sports",
    id="task-2",
    identity="grp/\x00 odd \ud800 text",
    incarnation=3,
    applied=VALUES,
    window=Window(NOON, NOON + timedelta(hours=2)),
    started=NOON + timedelta(microseconds=1),
    changed=NOON - timedelta(days=1),
    protect=True,
    retain=True,
    on_air_change=OnAirChange.REFUSE,
    depends_on=(MORNING, Address("Clip", "goal-78")),
    ended=True,
    former=an_entry(SERIES, id="task-1", former=an_entry(SERIES, id="task-0", applied=None)),
)


def an_intent(id: str = "i1", address: Address = MORNING, **changes: Any) -> Intent:
    intent = Intent(
        id,
        address,
        "default",
        Verb.CREATE,
        "CreatePullToPushTask",
        "default/早间新闻",
        1,
        sent=NOON,
        horizon=NOON + timedelta(seconds=85),
        target="",
        desired=VALUES,
        window=Window(NOON),
    )
    return replace(intent, **changes)
