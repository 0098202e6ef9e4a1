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
        pytest.param({"a": 1}, {"a": 1}, [], id="the same"),
        pytest.param({"a": 1}, {"a": 2}, ["spec.a"], id="another value"),
        pytest.param({"a": 1}, {}, ["spec.a"], id="not there yet"),
        pytest.param({}, {"a": 1}, ["spec.a"], id="no longer declared"),
        pytest.param({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, ["spec.a.c"], id="inside a block"),
        pytest.param({"a": {"b": 1}}, {"a": 1}, ["spec.a"], id="a block and no block"),
        pytest.param({"a": 1}, {"a": {"b": 1}}, ["spec.a"], id="no block and a block"),
        pytest.param({"a": [1, 2]}, {"a": [2, 1]}, ["spec.a"], id="another order"),
        pytest.param({"a": [1]}, {"a": [1, 2]}, ["spec.a"], id="a longer list"),
        pytest.param({"a": [1]}, {"a": 1}, ["spec.a"], id="a list and no list"),
        pytest.param({"a": 1}, {"a": [1]}, ["spec.a"], id="no list and a list"),
        pytest.param({"a": [{"x": 0.1}]}, {"a": [{"x": 0.10000000149}]}, [], id="float32 inside a list"),
        pytest.param({"a": [{"x": 1}]}, {"a": [{"x": 2}]}, ["spec.a"], id="another value inside a list"),
        pytest.param({"a": [{"x": 1}]}, {"a": [{"x": 1, "y": 2}]}, ["spec.a"], id="one more key inside a list"),
        pytest.param({"a": [{"x": 1}]}, {"a": [1]}, ["spec.a"], id="a block and no block inside a list"),
        pytest.param({"a": [1]}, {"a": [{"x": 1}]}, ["spec.a"], id="no block and a block inside a list"),
        pytest.param({"a": 0.1}, {"a": 0.11}, ["spec.a"], id="another float"),
        pytest.param({"a": 1.0}, {"a": 1}, [], id="a float and an integer"),
        pytest.param({"a": 1}, {"a": 1.0000001}, [], id="an integer and a float"),
        pytest.param({"a": 1.0000001}, {"a": 1}, [], id="a float that is nearly an integer"),
        pytest.param({"a": 0.5}, {"a": "0.5"}, ["spec.a"], id="a float and text"),
        pytest.param({"a": "0.5"}, {"a": 0.5}, ["spec.a"], id="text and a float"),
        pytest.param({"a": True}, {"a": False}, ["spec.a"], id="true and false"),
        pytest.param({"u": Url("rtmp://h/a/s?k=1")}, {"u": Url("rtmp://h/a/s?k=1")}, [], id="the same URL"),
        pytest.param({"u": Url("rtmp://h/a/s?k=1")}, {"u": Url("rtmp://h/a/s?k=2")}, ["spec.u"], id="another key in a URL"),
        pytest.param({"k": Secret("x")}, {"k": Sealed("digest:x", "***")}, [], id="a secret and its digest"),
        pytest.param({"k": Sealed("digest:x", "***")}, {"k": Secret("x")}, [], id="a digest and its secret"),
        pytest.param({"k": Sealed("digest:y", "***")}, {"k": Secret("x")}, ["spec.k"], id="a digest and another secret"),
        pytest.param({"k": Secret("x")}, {"k": "x"}, ["spec.k"], id="a secret and text"),
        pytest.param({"k": "x"}, {"k": Secret("x")}, ["spec.k"], id="text and a secret"),
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


def test_a_block_that_reads_the_same_may_differ_in_what_is_not_read() -> None:
    block = {"d": {"x": 1}}
    assert paths(block, block, unread={"d.key"}, applied={"d": {"x": 1, "key": 2}}) == ["spec.d.key"]


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


@pytest.mark.parametrize(
    ("want", "live", "before", "after"),
    [
        pytest.param({}, {"u": Url("rtmp://h/live/a?k=hush")}, "rtmp://h/live/a?k=***", None, id="taken away"),
        pytest.param({"u": Url("rtmp://h/b", reference="rtmp://h/${env:NEW}")}, {"u": Url(None, reference="rtmp://h/${env:OLD}")}, "rtmp://h/${env:OLD}",
            "rtmp://h/${env:NEW}", id="never resolved"),
    ],
)  # fmt: skip
def test_what_is_shown_of_a_url(want: dict, live: dict, before: str, after: str | None) -> None:
    (change,) = diff.differences(want, live, seal=lambda secret: Sealed("digest", secret.shown))
    assert (change.before.shown, change.after and change.after.shown) == (before, after)


def test_filled_completes_the_read_from_the_record() -> None:
    live, applied = {"a": 1, "d": {"x": 1}}, {"a": 9, "b": 2, "d": {"x": 9, "y": 3}}
    assert diff.filled(live, unread={"b", "d.y"}, applied=applied) == {"a": 1, "b": 2, "d": {"x": 1, "y": 3}}
    for path in ("e.z", "d.z"):
        assert diff.filled(live, unread={path}, applied=applied) == live, "nothing is made up for what the record does not hold either"
    assert diff.filled({}, unread={""}, applied=applied) == applied
    assert diff.filled(live, unread={""}, applied=None) is live, "nothing is on record"
    assert diff.filled(live, unread=(), applied=applied) is live, "all of it was read"
