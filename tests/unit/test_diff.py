"""What counts as a difference, and what never does."""

from __future__ import annotations

import pytest

from reconciler import diff
from reconciler.model import Evidence, Sealed, Secret, Url


def seal(secret: Secret) -> Sealed:
    return Sealed("digest:" + secret.reveal(), secret.shown)


def paths(want: dict, live: dict, **more) -> list[str]:
    return [one.path for one in diff.differences(want, live, seal=seal, **more)]


@pytest.mark.parametrize(
    ("want", "live", "expected"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, ["spec.a"]),
        ({"a": 1}, {}, ["spec.a"]),
        ({}, {"a": 1}, ["spec.a"]),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, ["spec.a.c"]),
        ({"a": [1, 2]}, {"a": [2, 1]}, ["spec.a"]),
        ({"a": [{"x": 0.1}]}, {"a": [{"x": 0.10000000149}]}, []),
        ({"a": 0.1}, {"a": 0.11}, ["spec.a"]),
        ({"a": 1.0}, {"a": 1}, []),
        ({"a": True}, {"a": False}, ["spec.a"]),
        ({"u": Url("rtmp://h/a/s?k=1")}, {"u": Url("rtmp://h/a/s?k=1")}, []),
        ({"u": Url("rtmp://h/a/s?k=1")}, {"u": Url("rtmp://h/a/s?k=2")}, ["spec.u"]),
    ],
)
def test_paths(want: dict, live: dict, expected: list[str]) -> None:
    assert paths(want, live) == expected


def test_unread_paths_are_compared_with_the_ledger() -> None:
    want = {"name": "x", "key": Secret("new"), "deep": {"picture": "p2", "x": 1}}
    live = {"name": "x", "deep": {"x": 1}}
    unread = {"key", "deep.picture"}
    applied = {"name": "y", "key": Sealed("digest:old", "***"), "deep": {"picture": "p1", "x": 2}}
    found = diff.differences(want, live, seal=seal, unread=unread, applied=applied)
    assert [(one.path, one.evidence) for one in found] == [("spec.key", Evidence.LEDGER), ("spec.deep.picture", Evidence.LEDGER)]
    assert paths(want, live, unread=unread, applied=None) == []


def test_a_removed_unread_field_is_noticed_through_the_ledger() -> None:
    assert paths({"a": 1}, {"a": 1}, unread={"b"}, applied={"a": 1, "b": 2}) == ["spec.b"]


def test_nothing_readable_means_the_ledger_alone_decides() -> None:
    assert paths({"a": 1}, {}, unread={""}, applied={"a": 2}) == ["spec.a"]
    assert paths({"a": 1}, {}, unread={""}, applied=None) == []


def test_secrets_never_leave_as_text() -> None:
    found = diff.differences({"k": Secret("hush"), "u": Url("rtmp://u:p@h/a?k=hush")}, {}, seal=seal)
    assert [one.after for one in found] == [Sealed("digest:hush", "***"), Sealed("digest:rtmp://u:p@h/a?k=hush", "rtmp://***@h/a?k=***")]


def test_a_live_path_is_hidden_where_the_declared_one_holds_a_secret() -> None:
    want = {"u": Url("rtmp://h/live/secretkey2", reference="rtmp://h/live/${env:KEY}")}
    (change,) = diff.differences(want, {"u": Url("rtmp://h/live/secretkey1")}, seal=seal)
    assert "secretkey" not in change.before.shown + change.after.shown


def test_filled_completes_the_read_from_the_record() -> None:
    live, applied = {"a": 1, "d": {"x": 1}}, {"a": 9, "b": 2, "d": {"x": 9, "y": 3}}
    assert diff.filled(live, unread={"b", "d.y"}, applied=applied) == {"a": 1, "b": 2, "d": {"x": 1, "y": 3}}
    assert diff.filled(live, unread={"e.z"}, applied=applied) == live, "no block is made up for what the record does not hold either"
    assert diff.filled({}, unread={""}, applied=applied) == applied
