"""What can still be said of a spec with mistakes in it: the rules between its fields, and the values that are right.

pydantic asks the rules of a model only when each of its fields is right, so a reader would learn of them a run later. Here they are
asked of what is left; a rule that reads a wrong field says nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from reconciler import wire
from reconciler.mistakes import Mistake, Steps, broken_rule


class Sketch(NamedTuple):
    """`values` are canonical as far as they go: what is wrong is left out, at any depth. `mistakes` are those of rules between fields."""

    values: dict[str, Any]
    mistakes: list[Mistake]


def of(model: type[BaseModel], value: Any, wrong: Collection[Steps], base: Steps) -> Sketch:
    """What is left of `value`, which stands at `base`, once what stands at the paths in `wrong` is taken away."""
    if not isinstance(value, Mapping):
        return Sketch({}, [])
    found: list[Mistake] = []
    return Sketch(_values(_partial(model, value, wrong, base, found)), found)


def _partial(model: Any, value: Mapping[str, Any], wrong: Collection[Steps], base: Steps, found: list[Mistake]) -> BaseModel:
    """An instance that lacks the attributes that are wrong; `model_fields_set` still tells that they were written.

    Its rules were asked already when the whole of it is what is wrong.
    """
    made: BaseModel = model.model_construct({name for name, field in model.model_fields.items() if (field.alias or name) in value})
    fields = made.__dict__
    fields.clear()
    known = {field.alias or name for name, field in model.model_fields.items()}
    nested = {field.attribute: field for field in wire.shape(model).fields}
    for name, field in model.model_fields.items():
        key = field.alias or name
        below = [path[1:] for path in wrong if path[:1] == (key,)]
        if key not in value:
            if not field.is_required():
                fields[name] = field.get_default(call_default_factory=True)
        elif not below:
            try:
                fields[name] = _adapter(model, name).validate_python(value[key])
            except ValidationError:
                continue
        elif (inner := nested[name]).nested and isinstance(value[key], list) is inner.many:
            left = _inside(inner.nested.model, value[key], below, (*base, key), found)
            if left is not None:
                fields[name] = left
    if () not in wrong:
        unknown = any(path and path[0] in value and path[0] not in known for path in wrong)
        # what a block lacks may be what was misspelled in it
        found += [one for one in _asked(made, base) if not unknown or one.path != base]
    return made


def _inside(model: Any, value: Any, wrong: list[Steps], base: Steps, found: list[Mistake]) -> Any:
    """What is left of a block or a list of blocks; None when too little is."""
    if isinstance(value, Mapping):
        return _partial(model, value, wrong, base, found)
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        return None
    return [_partial(model, item, [path[1:] for path in wrong if path[:1] == (at,)], (*base, at), found) for at, item in enumerate(value)]


def _asked(made: BaseModel, base: Steps) -> list[Mistake]:
    """What the rules of a model say; a rule that asks for a field that is not there is left."""
    found: list[Mistake] = []
    for name, rule in type(made).__pydantic_decorators__.model_validators.items():
        if rule.info.mode == "after":
            try:
                getattr(made, name)()
            except PydanticCustomError as error:
                found += broken_rule(error.context or {}, base)
            except AttributeError:
                continue
    return found


def _values(made: Any) -> Any:
    if isinstance(made, BaseModel):
        names = {name: field.alias or name for name, field in type(made).model_fields.items()}
        return {key: _values(value) for name, key in names.items() if (value := made.__dict__.get(name)) is not None}
    return [_values(item) for item in made] if isinstance(made, list | tuple) else made


@cache
def _adapter(model: Any, name: str) -> TypeAdapter[Any]:
    info = model.model_fields[name]
    kept: Any = Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation
    return TypeAdapter(kept)
