"""Frames around mistakes: the caret stands under the wrong value, also after Chinese text."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.model import Diagnostic, Place, Severity
from reconciler.render import diagnostics
from reconciler.render.safe import width
from tests.render.samples import HOSTILE, LOOK

TITLE = "早间新闻直播" * 4
LINES = {8: f"  title: {TITLE}", 12: "  targes:", 3: "名: {早: x, wrong: 1}"}
WRONG = Diagnostic(
    Severity.ERROR, "RC112", "relay title has 24 characters, the vendor accepts 1 to 20", Place("manifests/news.yaml", 8, 10, 24),
    "RelayTask/morning", "spec.title", "shorten it; long text fits in metadata.labels",
)  # fmt: skip


def source(place: Place) -> str | None:
    return LINES.get(place.line)


def test_the_frame_of_the_contract() -> None:
    assert "\n".join(diagnostics.frame(WRONG, LOOK, source=source)) == (
        "error[RC112]: relay title has 24 characters, the vendor accepts 1 to 20\n"
        " --> manifests/news.yaml:8:10   RelayTask/morning  spec.title\n"
        "  |\n"
        f"8 |   title: {TITLE}\n"
        f"  |          {'^' * 48}\n"
        "  = help: shorten it; long text fits in metadata.labels"
    )


@pytest.mark.parametrize(
    ("place", "caret"),
    [
        pytest.param(Place("m", 12, 3, 6), "   |   ^^^^^^", id="two-digit line"),
        pytest.param(Place("m", 3, 11, 5), "  |             ^^^^^", id="Chinese text before it takes two cells a letter"),
        pytest.param(Place("m", 12, 3, 0), "   |   ^", id="an empty value has one caret"),
    ],
)
def test_carets(place: Place, caret: str) -> None:
    assert diagnostics.frame(replace(WRONG, place=place, help=""), LOOK, source=source)[-1] == caret


@pytest.mark.parametrize("place", [Place("gone", 99, 1), Place("m", 12, 400)])
def test_a_line_that_is_not_there_leaves_the_place(place: Place) -> None:
    shown = diagnostics.frame(replace(WRONG, place=place, help=""), LOOK, source=source)
    assert len(shown) == 2
    assert str(place) in shown[1]


def test_on_a_terminal_the_line_is_cut_and_the_caret_with_it() -> None:
    shown = diagnostics.frame(WRONG, replace(LOOK, width=40), source=source)
    assert [line for line in shown if width(line) > 40] == [" --> manifests/news.yaml:8:10   RelayTask/morning  spec.title"]


def test_on_a_terminal_words_are_broken_and_nothing_of_them_is_left_out() -> None:
    wrong = replace(WRONG, related=((Place("m", 12, 3, 6), "it was declared first where nobody would ever look for it"),))
    shown = diagnostics.frame(wrong, replace(LOOK, width=50), source=source)
    assert shown[:2] == ["error[RC112]: relay title has 24 characters, the", "              vendor accepts 1 to 20"]
    assert shown[-6:-4] == ["  = note: it was declared first where nobody would", "          ever look for it"]


@pytest.mark.parametrize("cells", [20, 40, 80])
@pytest.mark.parametrize("before", ["早" * 60, "a" * 120, "早a" * 40])
def test_on_a_terminal_a_caret_far_to_the_right_brings_its_text_along(cells: int, before: str) -> None:
    line = f"{before}wrong{before}"
    shown = diagnostics.frame(
        replace(WRONG, message="wrong", place=Place("m", 1, len(before) + 1, 5)), replace(LOOK, width=cells), source=lambda _: line
    )
    text, caret = shown[3], shown[4]
    assert max(width(text), width(caret)) <= cells
    assert width(text[: text.index("wro")]) == caret.index("^"), "the caret stands under the word"


def test_related_places_have_their_own_excerpt() -> None:
    both = replace(WRONG, related=((Place("m", 12, 3, 6), "the other is here"),))
    shown = diagnostics.frame(both, LOOK, source=source)
    assert shown[-5:-3] == ["  = note: the other is here", "  --> m:12:3"]


def test_hostile_lines_and_messages_are_harmless() -> None:
    bad = replace(WRONG, message=HOSTILE, help=HOSTILE, address=HOSTILE, path=HOSTILE, place=Place(HOSTILE, 1, 1, 3))
    assert all(line.isprintable() for line in diagnostics.frame(bad, LOOK, source=lambda _: HOSTILE))


@pytest.mark.parametrize(
    ("found", "said"),
    [
        pytest.param([], "Valid: 3 resources in 14 files.", id="nothing wrong"),
        pytest.param([WRONG, WRONG], "2 errors in 1 of 14 files. Nothing was changed at any vendor.", id="errors"),
        pytest.param([replace(WRONG, severity=Severity.WARNING)], "Valid: 3 resources in 14 files, 1 warning.", id="warnings only"),
    ],
)
def test_the_summary(found: list[Diagnostic], said: str) -> None:
    assert diagnostics.summary(found, resources=3, files=14) == said
