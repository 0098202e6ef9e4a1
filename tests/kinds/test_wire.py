"""The generic walk: declared fields to bodies and back, on a model that uses every kind of declaration."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest

from reconciler import wire
from reconciler.fields import HARMLESS, REPLACE, UNREADABLE, Doc, SecretRef, Spec, Wire
from reconciler.model import Secret


class Point(Spec):
    x: Annotated[int, Wire("X")] = 0
    y: Annotated[int, Wire("Y"), UNREADABLE] = 0


class Spread(Spec):
    left: Annotated[str | None, Wire("Left", also={"Kind": 0})] = None
    right: Annotated[str | None, Wire("Right", also={"Kind": 1})] = None


class Body(Spec):
    title: Annotated[str | None, Wire("Title"), HARMLESS, Doc("its title", limit="20 characters")] = None
    mode: Annotated[Literal["slow", "fast"], Wire("Mode", words={"slow": 0, "fast": 1})] = "slow"
    modes: Annotated[list[Literal["slow", "fast"]] | None, Wire("Modes", words={"slow": 0, "fast": 1})] = None
    percent: Annotated[int | None, Wire("Deep.Er.Ratio", dump=lambda n: n / 100, load=lambda n: round(n * 100))] = None
    other: Annotated[int | None, Wire("Deep.Other")] = None
    spread: Annotated[Spread, Doc("no object of its own")]
    point: Annotated[Point | None, Wire("Point"), REPLACE] = None
    points: Annotated[list[Point] | None, Wire("Points")] = None
    key: Annotated[SecretRef | None, Wire("Key"), UNREADABLE] = None
    local: Annotated[bool, Doc("never sent")] = True
    on: Annotated[bool | None, Wire("On")] = None


WHOLE: dict[str, Any] = {
    "title": "t", "mode": "fast", "modes": ["fast", "slow"], "percent": 25, "other": 3, "spread": {"right": "r"},
    "point": {"x": 1, "y": 2}, "points": [{"x": 3, "y": 4}], "key": Secret("hush"), "local": True,
}  # fmt: skip
SENT = {
    "Title": "t", "Mode": 1, "Modes": [1, 0], "Deep": {"Er": {"Ratio": 0.25}, "Other": 3}, "Kind": 1, "Right": "r",
    "Point": {"X": 1, "Y": 2}, "Points": [{"X": 3, "Y": 4}], "Key": "hush",
}  # fmt: skip


def test_every_declaration_is_sent_in_its_place():
    assert wire.encode(Body, WHOLE) == SENT


def test_what_is_sent_reads_back():
    assert wire.decode(Body, SENT) == {**WHOLE, "key": "hush"}


def test_what_is_not_there_is_not_sent():
    assert wire.encode(Body, {"spread": {}, "title": None}) == {}


def test_canonical_fills_defaults_and_leaves_absent_optionals_out():
    spec = Body.model_validate({"spread": {"left": "l"}, "point": {"x": 1}})
    assert wire.canonical(spec) == {"mode": "slow", "spread": {"left": "l"}, "point": {"x": 1, "y": 0}, "local": True}


@pytest.mark.parametrize("empty", [None, "", ..., []], ids=["null", "empty text", "absent", "empty list"])
def test_absent_null_and_empty_are_the_default_or_nothing(empty):
    names = ("Title", "Mode", "Modes", "Point", "Points", "Right", "Key")
    body = {"Left": "l"} | ({} if empty is ... else dict.fromkeys(names, empty))
    assert wire.decode(Body, body) == {"mode": "slow", "spread": {"left": "l"}, "local": True}


def test_a_zero_discriminator_may_be_left_out():
    assert wire.decode(Body, {"Left": "l", "Right": "stale"})["spread"] == {"left": "l"}
    assert wire.decode(Body, {"Kind": None, "Left": "l"})["spread"] == {"left": "l"}
    assert wire.decode(Body, {"Kind": 1, "Left": "stale", "Right": "r"})["spread"] == {"right": "r"}


@pytest.mark.parametrize(
    ("name", "raw", "key", "value"),
    [
        ("Mode", "1", "mode", "fast"),
        ("Mode", 1.0, "mode", "fast"),
        ("Modes", ["1", 0.0], "modes", ["fast", "slow"]),
        ("Point", {"X": "3", "Y": 4.0}, "point", {"x": 3, "y": 4}),
        ("Point", {"X": "3.5", "Y": "-4"}, "point", {"x": 3.5, "y": -4}),
        ("Title", 7, "title", "7"),
        ("On", 0, "on", False),
        ("On", "0", "on", False),
        ("On", "False", "on", False),
        ("On", 1.0, "on", True),
        ("On", "perhaps", "on", "perhaps"),
    ],
)
def test_a_value_is_the_same_however_it_is_spelled(name, raw, key, value):
    read = wire.decode(Body, {"Left": "l", name: raw})[key]
    assert read == value
    assert not isinstance(value, bool | str | int) or type(read) is type(value)


def test_a_discriminator_is_the_same_however_it_is_spelled():
    assert wire.decode(Body, {"Kind": "0", "Left": "l", "Right": "stale"})["spread"] == {"left": "l"}
    assert wire.decode(Body, {"Kind": 1.0, "Left": "stale", "Right": "r"})["spread"] == {"right": "r"}


@pytest.mark.parametrize("raw", [7, "7", -1, {}, {"a": 1}], ids=str)
def test_a_value_the_vendor_added_is_a_word_that_says_so(raw):
    assert wire.decode(Body, {"Mode": raw})["mode"] == f"unknown({raw})"
    assert wire.decode(Body, {"Modes": [1, raw]})["modes"] == ["fast", f"unknown({raw})"]


@pytest.mark.parametrize(
    "body",
    [{"Point": 5}, {"Points": "x"}, {"Points": 5}, {"Points": [1, None, []]}, {"Deep": 5}, {"Deep": {"Er": []}}, {"Point": {"X": {}}}],
    ids=str,
)
def test_an_answer_of_another_shape_is_never_an_exception(body):
    wire.decode(Body, body)


def test_markers_hold_for_what_is_inside_and_ignore_indices():
    form = wire.shape(Body)
    assert form.marked("replace", "spec.point.x")
    assert not form.marked("replace", "spec.points.0.x")
    assert form.unreadable == {"point.y", "points.y", "key"}
    assert form.marked("harmless", "title")
    assert not form.marked("harmless", "spec.nothing.of.this")
    field = form.field("spec.points.0.x")
    assert field
    assert (field.path, field.steps, field.default) == ("points.x", ("X",), 0)
    title = form.field("title")
    assert title
    assert title.doc
    assert (title.description, title.doc.limit, title.required) == ("its title", "20 characters", False)
    assert form.field("spec.spread").required
