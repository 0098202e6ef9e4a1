"""Shortcuts that spare work must change nothing but the work: each is held against the long way, or against what it must not hide."""

from __future__ import annotations

import gc
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from reconciler import model, yamltree
from reconciler.kinds import Registry
from reconciler.memory import uncollected
from tests.scenarios.manifests import CUP
from tests.scenarios.stage import Stage

# --- what is shown ----------------------------------------------------------------------------------------------------

SHOWN = [
    # (a URL, what may be shown of it)
    ("rtmp://push.example.com/live/stream-1", "rtmp://push.example.com/live/stream-1"),
    ("http://pull.example.com:8080/a.flv", "http://pull.example.com:8080/a.flv"),
    ("https://host", "https://host"),
    ("rtmp://push.example.com/live/s?key=secret", "rtmp://push.example.com/live/s?key=***"),
    ("rtmp://user:word@push.example.com/live/s", "rtmp://***@push.example.com/live/s"),
    ("https://host/a#part", "https://host/a#***"),
    ("HTTP://Host/a", "http://Host/a"),
    ("http://[::1]/a", "http://[::1]/a"),
    ("http://host/a\n?key=1", "http://host/a?key=***"),
]


@pytest.mark.parametrize(("url", "shown"), SHOWN, ids=[url for url, _ in SHOWN])
def test_a_url_with_nothing_to_hide_is_shown_as_the_long_way_shows_it(url: str, shown: str) -> None:
    assert model.mask_url(url) == shown
    if model._NOTHING_TO_HIDE.fullmatch(url):
        parts = urlsplit(url)
        assert (parts.query, parts.fragment, parts.username) == ("", "", None)
        assert parts.geturl() == url


# --- what is read -----------------------------------------------------------------------------------------------------


def test_what_a_file_repeats_means_the_same_every_time() -> None:
    text = b"a: 14d\nb: 14d\nc: 0\nd: 0\ne: no\nf: no\ng: true\nh: true\ni: ''\nj: '0'\nk: 1e999\nl: 1e999\n---\na: 14d\nm: 1e999\n"
    first, second = yamltree.documents(text)
    assert first.value == {
        "a": "14d", "b": "14d", "c": 0, "d": 0, "e": "no", "f": "no", "g": True, "h": True, "i": "", "j": "0", "k": "1e999", "l": "1e999"
    }  # fmt: skip
    assert [problem.mark.line for problem in first.problems] == [11, 12], "each is told, at its own place"
    assert [problem.mark.line for problem in second.problems] == [15]


def test_a_missing_value_is_told_each_time() -> None:
    (document,) = yamltree.documents(b"a:\nb:\nc: ~\n")
    assert [(problem.rule, problem.mark.line) for problem in document.problems] == [("RC019", 1), ("RC019", 2), ("RC019", 3)]


def test_kinds_are_looked_up_once() -> None:
    kinds = Registry()
    assert kinds.get("RelayTask") is kinds.get("RelayTask") is not None
    assert kinds.get("Nothing") is None


@pytest.mark.parametrize("before", [True, False])
def test_the_collector_stands_still_and_goes_on_as_before(before: bool) -> None:
    was = gc.isenabled()
    try:
        gc.enable() if before else gc.disable()
        with uncollected():
            assert not gc.isenabled()
        assert gc.isenabled() is before
    finally:
        gc.unfreeze()
        gc.enable() if was else gc.disable()


# --- drift ------------------------------------------------------------------------------------------------------------


def test_what_is_live_just_as_declared_is_no_drift_and_everything_else_is(tmp_path: Path) -> None:
    stage = Stage(tmp_path).write(CUP)
    stage.apply()
    (task,) = stage.world.data["live"]["tasks"].values()
    task["body"]["SrcAddr"] = "http://pull.example.com/live/other.flv"
    stage.world.cache.clear()
    assert [one.path for change in stage.plan().drift for one in change.fields] == ["spec.source.url"]
    stage.write(CUP.replace("cup.flv", "other.flv"))  # the manifest has caught up: nothing moved away from it
    plan = stage.plan()
    assert plan.drift == ()
    assert [change.action.value for change in plan.changes] == ["noop"]
    task["body"]["EndTime"] += 60
    stage.world.cache.clear()
    assert stage.plan().drift != ()
