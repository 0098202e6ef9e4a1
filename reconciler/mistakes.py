"""What is wrong with a block of YAML, as sentences of ours: every reader of manifests and of the project file speaks in Mistakes.

Pydantic's errors are translated here, so that nobody has to learn its vocabulary.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from reconciler.model import Severity

Steps = tuple[str | int, ...]


class Mistake(NamedTuple):
    """A rule broken at `path`, counted from the document's root. `at_key` points at the key instead of its value.

    `meant` is the field beside it that an unknown one was probably to be.
    """

    rule: str
    path: Steps
    message: str
    help: str = ""
    at_key: bool = False
    severity: Severity = Severity.ERROR
    meant: str = ""


MOST = 200
"""Mistakes of one block that are told; a block with more is something else than it was taken for."""


def did_you_mean(word: str, words: Iterable[str], *, otherwise: str = "") -> str:
    """`did you mean X?` for a near miss, else `otherwise`."""
    near = nearest(word, words)
    return f"did you mean {near}?" if near else otherwise


def nearest(word: str, words: Iterable[str]) -> str:
    """The one that `word` was probably to be; "" for none."""
    return _nearest(word.lower()[:80], tuple(words))


@lru_cache(maxsize=256)
def _nearest(word: str, words: tuple[str, ...]) -> str:
    import difflib

    known = {candidate.lower(): candidate for candidate in words}
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return known[near[0]] if near else ""


def at_most(found: Iterable[Mistake], path: Steps) -> Iterator[Mistake]:
    """The first mistakes of many, and a last one that says so."""
    for count, mistake in enumerate(found):
        if count == MOST:
            yield Mistake("RC020", path, f"there are more than {MOST} mistakes here; the others are not listed", at_key=True)
            return
        yield mistake


def quoted(text: str) -> str:
    """A text of the user's for a message: quoted, one line, at most 40 characters."""
    shown = text if len(text) <= 40 else text[:37] + "..."
    return repr(shown)


def noun(value: Any) -> str:
    """What a YAML value is, in words."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int):
        return "a whole number"
    if isinstance(value, float):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "a list" if isinstance(value, list) else "a block of fields"


def unknown_keys(block: Mapping[str, Any], known: Sequence[str], path: Steps) -> Iterator[Mistake]:
    """One mistake for each key that `known` lacks, placed at the key."""
    yield from at_most((_unknown_key(key, known, path) for key in block if key not in known), path)


def _unknown_key(key: str, known: Sequence[str], path: Steps) -> Mistake:
    where = f" of {_name(path)}" if path else " here"
    meant = nearest(key, known)
    help = f"did you mean {meant}?" if meant else "known here: " + ", ".join(known)
    return Mistake("RC010", (*path, key), f"{quoted(key)} is no field{where}", help, at_key=True, meant=meant)


def once(found: Sequence[Mistake]) -> list[Mistake]:
    """Each mistake once. A misspelt field is missing, too: what is said of it says which is meant."""
    meant = {(*one.path[:-1], one.meant) for one in found if one.meant}
    return [one for one in dict.fromkeys(found) if one.rule != "RC011" or one.path not in meant]


def wrong_type(key: str, expected: str, value: Any, path: Steps) -> Mistake:
    return Mistake("RC012", path, f"{key} must be {expected}, this is {noun(value)}", _how_to_write(expected, value))


def _how_to_write(expected: str, value: Any) -> str:
    if expected == "text" and isinstance(value, int | float):
        return "put it in quotes"
    if expected == "true or false" and isinstance(value, str) and value.lower() in ("yes", "no", "on", "off"):
        return f"in YAML 1.2 {value} is text: write {'true' if value.lower() in ('yes', 'on') else 'false'}"
    if "number" in expected and isinstance(value, str) and re.fullmatch(r"[-+]?\d+(\.\d+)?", value):
        return "remove the quotes"
    return ""


# --- pydantic ---------------------------------------------------------------------------------------------------------


def of_validation(errors: Iterable[Mapping[str, Any]], value: Any, base: Steps, *, model: Any) -> list[Mistake]:
    """Pydantic's error dicts about `value`, which stands at `base` and was validated by `model`, as mistakes.

    Several errors about one value come from the members of a union: they become one mistake that names all that is accepted.
    """
    by_path: dict[Steps, list[Mapping[str, Any]]] = {}
    for error in errors:
        by_path.setdefault(real_path(error, value), []).append(error)
    around = {path[:depth] for path in by_path for depth in range(len(path))}
    # where another member of a union got further, its mistakes say more
    kept = [path for path, group in by_path.items() if path not in around or not all(error["type"].endswith("_type") for error in group)]
    return list(at_most((mistake for path in kept for mistake in _of_group(by_path[path], path, value, base, model)), base))


def real_path(error: Mapping[str, Any], value: Any) -> Steps:
    """The error's `loc` without the names of union members and validators that pydantic puts between keys."""
    path: Steps = ()
    here = value
    for step in error["loc"]:
        in_list = isinstance(here, list) and isinstance(step, int) and 0 <= step < len(here)
        if in_list or (isinstance(here, Mapping) and step in here):
            here = here[step]
            path = (*path, step)
    if error["type"] == "missing":
        path = (*path, error["loc"][-1])
    return path


def _of_group(group: list[Mapping[str, Any]], path: Steps, value: Any, base: Steps, model: Any) -> Iterator[Mistake]:
    full = (*base, *path)
    key = _name(full)
    raw = value_at(value, path)
    rules = [error for error in group if error["type"] == "rule"]
    if isinstance(raw, str) and "${env:" in raw and "://" not in raw and not any(e["ctx"]["rule"] in ("RC023", "RC024") for e in rules):
        yield misplaced_environment(full)
    elif rules:
        for error in rules:
            yield from broken_rule(error["ctx"], full)
    elif len(group) > 1 and (expected := [phrase for error in group if (phrase := _expected(error))]):
        yield _not_accepted(key, expected, raw, full, [word for error in group for word in _words(error)])
    else:
        for error in group:
            yield _of_one(error, key, raw, full, model)


def broken_rule(context: Mapping[str, Any], path: Steps) -> Iterator[Mistake]:
    """The mistakes that a fault of the value at `path` carries: its own, and those gathered with it."""
    for one in (context, *context.get("more", ())):
        at = tuple(int(step) if step.isdigit() else step for step in one["at"].split(".")) if one["at"] else ()
        yield Mistake(one["rule"], (*path, *at), one["message"], one["help"])


def misplaced_environment(path: Steps) -> Mistake:
    return Mistake(
        "RC024", path, f"{_name(path)} cannot take ${{env:NAME}}: only the path and query of a URL can",
        "write the value, use ${var:NAME}, or {fromEnv: NAME} where a secret belongs",
    )  # fmt: skip


def _not_accepted(key: str, expected: list[str], raw: Any, path: Steps, words: list[str]) -> Mistake:
    *most, last = dict.fromkeys(expected)
    choice = f"{', '.join(most)} or {last}" if most else last
    if isinstance(raw, str) and words:
        return Mistake("RC013", path, f"{key} cannot be {quoted(raw)}, it is {choice}", did_you_mean(raw, words))
    return wrong_type(key, choice, raw, path)


def _of_one(error: Mapping[str, Any], key: str, raw: Any, path: Steps, model: Any) -> Mistake:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "missing":
        return Mistake("RC011", path, f"{key} is missing", _what_it_is(model, error["loc"]))
    if kind == "extra_forbidden":
        known = [field.alias or name for owner in _owners(model, error["loc"]) for name, field in owner.model_fields.items()]
        return _unknown_key(str(path[-1]), known, path[:-1])
    if kind in ("literal_error", "enum"):
        words = _words(error)
        if isinstance(raw, str):
            help = did_you_mean(raw, words, otherwise="write " + ", ".join(words))
            return Mistake("RC013", path, f"{key} cannot be {quoted(raw)}, it is one of {', '.join(words)}", help)
        return wrong_type(key, "one of " + ", ".join(words), raw, path)
    if expected := _expected(error):
        return wrong_type(key, expected, raw, path)
    if describe := _LIMITS.get(kind):
        return Mistake("RC014", path, describe(key, raw, context))
    if kind == "string_pattern_mismatch":
        return Mistake("RC015", path, f"{key} has not the form it needs", f"it must match {context['pattern']}")
    text = str(context.get("error") or error["msg"])
    return Mistake("RC020", path, f"{key}: {text[:1].lower()}{text[1:]}")


_EXPECTED = {
    "int_type": "a whole number", "int_from_float": "a whole number", "int_parsing": "a whole number",
    "float_type": "a number", "float_parsing": "a number", "finite_number": "a finite number", "string_type": "text",
    "bool_type": "true or false", "bool_parsing": "true or false", "list_type": "a list", "tuple_type": "a list", "set_type": "a list",
    "dict_type": "a block of fields", "mapping_type": "a block of fields", "model_type": "a block of fields",
    "model_attributes_type": "a block of fields", "dataclass_type": "a block of fields", "none_required": "left out",
}  # fmt: skip


def _expected(error: Mapping[str, Any]) -> str:
    words = _words(error)
    return " or ".join(words) if words else _EXPECTED.get(error["type"], "")


def _words(error: Mapping[str, Any]) -> list[str]:
    """The words of a literal or an enumeration, from pydantic's `'a', 'b' or 'c'`."""
    if error["type"] not in ("literal_error", "enum"):
        return []
    text = error["ctx"]["expected"]
    return re.findall(r"'([^']*)'", text) or [word.strip() for word in re.split(r",| or ", text)]


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _too(word: str, what: str) -> Callable[[str, Any, Mapping[str, Any]], str]:
    def describe(key: str, raw: Any, context: Mapping[str, Any]) -> str:
        limit = context["min_length" if word == "least" else "max_length"]
        return f"{key} has {len(raw)} {what}, the {word} is {limit}"

    return describe


_LIMITS: dict[str, Callable[[str, Any, Mapping[str, Any]], str]] = {
    "greater_than_equal": lambda key, raw, context: f"{key} is {_number(raw)}, the least is {_number(context['ge'])}",
    "less_than_equal": lambda key, raw, context: f"{key} is {_number(raw)}, the most is {_number(context['le'])}",
    "greater_than": lambda key, raw, context: f"{key} is {_number(raw)}, it must be above {_number(context['gt'])}",
    "less_than": lambda key, raw, context: f"{key} is {_number(raw)}, it must be below {_number(context['lt'])}",
    "multiple_of": lambda key, raw, context: f"{key} is {_number(raw)}, it must be a multiple of {_number(context['multiple_of'])}",
    "string_too_short": _too("least", "characters"),
    "string_too_long": _too("most", "characters"),
    "too_short": _too("least", "entries"),
    "too_long": _too("most", "entries"),
}


def _name(path: Steps) -> str:
    """How a message calls the value at a path: its key; an item of a list by its list and number."""
    if not path:
        return "this"
    return f"{path[-2]}.{path[-1]}" if isinstance(path[-1], int) and len(path) > 1 else str(path[-1])


def value_at(value: Any, path: Steps) -> Any:
    """What stands at a path; None for nothing."""
    for step in path:
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return value


# --- looking into models ----------------------------------------------------------------------------------------------


def _what_it_is(model: Any, loc: Sequence[str | int]) -> str:
    """The description of the missing field at `loc`."""
    for owner in _owners(model, loc):
        for name, field in owner.model_fields.items():
            if (field.alias or name) == loc[-1]:
                text = field.description or next((mark.text for mark in field.metadata if hasattr(mark, "text")), "")
                return f"{loc[-1]} is {text}" if text else ""
    return ""


def _owners(model: Any, loc: Sequence[str | int]) -> list[Any]:
    """The models that may own the field at `loc`: all that the keys before it lead to."""
    reached = [model]
    for step in loc[:-1]:
        reached = [inner for outer in reached for inner in _models_at(outer, step)] or reached
    return reached


def _models_at(model: Any, key: str | int) -> list[Any]:
    return [inner for name, field in model.model_fields.items() if (field.alias or name) == key for inner in models_in(field.annotation)]


def models_in(annotation: Any) -> list[Any]:
    """The spec models that a field's annotation names, whatever stands around them."""
    if hasattr(annotation, "model_fields"):
        return [annotation]
    return [inner for part in typing.get_args(annotation) for inner in models_in(part)]
