"""Nothing that a vendor or a manifest wrote steers a display."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.render import safe
from tests.render.samples import HOSTILE


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("早间新闻 ok", "早间新闻 ok", id="ordinary text stays"),
        pytest.param("a\nb\r\tc", "a\\nb\\r\\tc", id="line breaks would forge lines"),
        pytest.param("\x1b[31mred", "\\x1b[31mred", id="ANSI escape"),
        pytest.param("\x9b31m", "\\x9b31m", id="8-bit control sequence"),
        pytest.param("a\u202etxt.exe", "a\\u202etxt.exe", id="bidi override"),
        pytest.param("a\u2066b", "a\\u2066b", id="bidi isolate"),
        pytest.param("a\u200bb", "a\\u200bb", id="zero width space"),
        pytest.param("a\u2028b", "a\\u2028b", id="line separator"),
        pytest.param("\ud800", "\\ud800", id="lone surrogate cannot be encoded"),
        pytest.param("\U000e0041", "\\U000e0041", id="tag characters are invisible text"),
        pytest.param("##[error]x", "\\x23#[error]x", id="GitHub's older workflow commands hold anywhere in a line"),
        pytest.param("## [x]", "## [x]", id="a Markdown heading stays"),
    ],
)
def test_clean(text: str, shown: str) -> None:
    assert safe.clean(text) == shown


@given(st.text())
def test_what_is_clean_is_one_printable_line_and_stays_clean(text: str) -> None:
    shown = safe.clean(text)
    assert len(shown.splitlines()) <= 1
    assert safe.clean(shown) == shown
    shown.encode()


@given(st.text(alphabet="`|\\ab @#<>\n", max_size=40))
def test_a_code_span_is_closed_and_holds_its_cell(text: str) -> None:
    span = safe.code(text)
    ticks = re.match("`+", span)
    assert ticks is not None
    inner = span[len(ticks[0]) : -len(ticks[0])]
    assert span.endswith(ticks[0])
    assert len(ticks[0]) not in [len(run) for run in re.findall("`+", inner)]
    assert not re.search(r"(?<!\\)\|", span)


@given(st.lists(st.text(alphabet="`~ab\n", max_size=20), max_size=5))
def test_a_fence_is_longer_than_every_run_inside(lines: list[str]) -> None:
    first, *body, last = safe.fence(lines)
    assert first == last
    assert all(not line.lstrip().startswith(first) for line in body)


def test_markdown_text_has_no_live_mention_html_or_link() -> None:
    shown = safe.markdown(HOSTILE)
    assert "<" not in shown
    assert "@everyone" not in shown
    assert "](" not in shown.replace("\\](", "")
    assert "http://" not in shown
    assert "\n" not in shown


@given(st.text())
def test_html_text_is_text(text: str) -> None:
    shown = safe.html(text)
    assert not set(shown) & set("<>\"'")
    assert html.unescape(shown) == safe.clean(text)


@given(st.text())
def test_workflow_commands_cannot_be_forged(text: str) -> None:
    assert not set(safe.workflow_data(text)) & set("\r\n")
    assert not set(safe.workflow_property(text)) & set("\r\n:,")
    back = safe.workflow_property(text).replace("%2C", ",").replace("%3A", ":").replace("%0A", "\n").replace("%25", "%")
    assert back == safe.clean(text)


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        pytest.param("abc", 3, id="ASCII"),
        pytest.param("早间", 4, id="CJK is two cells"),
        pytest.param("ａ", 2, id="full-width letter"),
        pytest.param("e\u0301", 1, id="combining mark"),
        pytest.param("ｱ", 1, id="half-width katakana"),
    ],
)
def test_width(text: str, cells: int) -> None:
    assert safe.width(text) == cells


@given(st.text(alphabet="ab早é", max_size=30), st.integers(4, 20))
def test_cut_text_fits(text: str, cells: int) -> None:
    shown = safe.cut(safe.clean(text), cells)
    assert safe.width(shown) <= cells
    assert shown == text or shown.endswith("...")


@given(st.text(alphabet="ab 早", max_size=60), st.integers(4, 20))
def test_wrapping_loses_no_word(text: str, cells: int) -> None:
    assert " ".join(safe.wrap(text, cells)).split() == text.split()
