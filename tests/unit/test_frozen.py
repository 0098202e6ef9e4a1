"""What `@frozen` makes is in every way what `@dataclass(frozen=True, slots=True)` makes."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Mapping
from dataclasses import FrozenInstanceError, asdict, dataclass, field, fields, is_dataclass, replace
from typing import Any

import pytest

from reconciler.frozen import frozen


@dataclass(frozen=True, slots=True)
class Slow:
    name: str
    end: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    token: str = field(default="", repr=False)

    @property
    def loud(self) -> str:
        return self.name.upper()


@frozen
class Quick:
    name: str
    end: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    token: str = field(default="", repr=False)

    @property
    def loud(self) -> str:
        return self.name.upper()


@frozen
class Alone:
    one: Any


@frozen
class Odd:
    name: str

    def __eq__(self, other: object) -> bool:
        return True

    def __repr__(self) -> str:
        return "odd"


BOTH = pytest.mark.parametrize("make", [Slow, Quick])


@BOTH
def test_equal_by_fields_and_class(make: Any) -> None:
    assert make("a", 1) == make("a", end=1)
    assert make("a", 1) != make("a", 2)
    assert make("a") != ("a", None, {}, "")
    assert Slow("a") != Quick("a")
    assert Alone([1]) == Alone([1]) != Alone([2])


@BOTH
def test_hashed_by_fields(make: Any) -> None:
    assert len({make("a", 1, ()), make("a", 1, ()), make("b", 1, ())}) == 2
    with pytest.raises(TypeError, match="unhashable"):
        hash(make("a"))


@BOTH
def test_shown_with_its_fields_but_those_kept_back(make: Any) -> None:
    assert repr(make("a", token="hush")) == f"{make.__name__}(name='a', end=None, labels={{}})"


@BOTH
def test_never_changed(make: Any) -> None:
    one = make("a")
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'name'"):
        one.name = "b"
    with pytest.raises(FrozenInstanceError, match="cannot delete field 'name'"):
        del one.name
    with pytest.raises((FrozenInstanceError, AttributeError, TypeError)):
        one.other = 1
    assert not hasattr(one, "__dict__")


@BOTH
def test_a_made_default_is_each_object_s_own(make: Any) -> None:
    assert make("a").labels == {}
    assert make("a").labels is not make("b").labels
    assert make("a", labels=None).labels is None


@BOTH
def test_known_to_dataclasses(make: Any) -> None:
    one = make("a", 1)
    assert is_dataclass(make)
    assert [each.name for each in fields(make)] == ["name", "end", "labels", "token"]
    assert replace(one, end=2) == make("a", 2)
    assert asdict(one) == {"name": "a", "end": 1, "labels": {}, "token": ""}
    with pytest.raises(TypeError):
        replace(one, start=1)


@BOTH
def test_copied_and_pickled(make: Any) -> None:
    one = make("a", 1, {"team": "news"}, "hush")
    assert copy.copy(one) == copy.deepcopy(one) == pickle.loads(pickle.dumps(one)) == one


@BOTH
def test_matched_by_position(make: Any) -> None:
    match make("a", 1):
        case Slow(name, end) | Quick(name, end):
            assert (name, end) == ("a", 1)
        case _:
            pytest.fail("not matched")


@BOTH
@pytest.mark.parametrize(("args", "named"), [((), {}), (("a", 1, {}, "", 5), {}), (("a",), {"start": 1})])
def test_a_wrong_call_names_the_class(make: Any, args: tuple[Any, ...], named: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=rf"{make.__name__}\.__init__\(\)"):
        make(*args, **named)


@BOTH
def test_properties_work(make: Any) -> None:
    assert make("a").loud == "A"


def test_methods_of_its_own_stay() -> None:
    assert Odd("a") == Odd("b")
    assert repr(Odd("a")) == "odd"
