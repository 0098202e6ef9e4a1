"""The vocabulary in which a kind declares its spec: markers for the wire and the planner, and the types of fields.

    url: Annotated[Url | None, Wire("SrcAddr"), Doc("a live source", limit="1000 characters")] = None

One declaration drives validation, the JSON Schema, `explain`, requests, responses and comparison.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import cache
from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from reconciler import scalars
from reconciler.frozen import frozen
from reconciler.model import Secret, Url

S = TypeVar("S", bound="Spec")

# --- markers ----------------------------------------------------------------------------------------------------------


@frozen
class Wire:
    """Where a field lives in the vendor's body: a dotted path relative to its model's own object.

    `words` maps manifest words to the vendor's integers. `dump` and `load` convert anything else (value -> wire, wire -> value).
    `also` are constants sent along when the field is present (a discriminator such as `{"Type": 0}`).
    A nested model without a Wire is spread into its parent's object; one with a Wire gets an object of its own.
    """

    name: str
    words: Mapping[str, int] | None = None
    dump: Callable[[Any], Any] | None = None
    load: Callable[[Any], Any] | None = None
    also: Mapping[str, Any] | None = None


@frozen
class Doc:
    """What people should know of a field: meaning, then unit, limit and default in the vendor's terms. Feeds schema and `explain`."""

    text: str
    unit: str = ""
    limit: str = ""
    default: str = ""


class _Mark:
    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


REPLACE = _Mark("REPLACE")
"""Cannot change in place: a difference here means a new object."""
UNREADABLE = _Mark("UNREADABLE")
"""The vendor's reads never tell it: compare with the ledger."""
HARMLESS = _Mark("HARMLESS")
"""Changing it in place never interrupts output that is on air."""


# --- models -----------------------------------------------------------------------------------------------------------


class Spec(BaseModel):
    """Base of every spec model: camelCase keys, unknown keys refused, immutable."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, strict=True, populate_by_name=False, defer_build=True)


def fault(rule: str, message: str, *, at: str = "", help: str = "", **context: Any) -> PydanticCustomError:
    """A mistake with a rule code, to be raised in a validator.

    `message` may hold {placeholders} filled from `context`. `at` is the manifest path below the model (`regions.1.width`) when the
    wrong value is not the one being validated; the manifest layer turns it into a place. `help` says what to write instead.
    A mistake raised by `faults` holds further ones in `ctx["more"]`: a list of contexts with the same four keys.
    """
    return PydanticCustomError("rule", "{message}", {"rule": rule, "message": message.format(**context), "at": at, "help": help})


def faults(*found: Iterable[PydanticCustomError]) -> None:
    """Raises every mistake a model's validator gathered, or returns when there is none.

    pydantic takes one error a validator: the first one travels with the others' contexts (rule, message, at, help) as `ctx["more"]`.
    Each iterable is a rule of its own: one that meets a field that could not be read ends there, and the others go on.
    """
    contexts: list[dict[str, Any]] = []
    unread: AttributeError | None = None
    for rule in found:
        try:
            for one in rule:
                contexts.append(dict(one.context or {}))  # what came before the unread field counts
        except AttributeError as missing:
            unread = missing
    if contexts:
        raise PydanticCustomError("rule", "{message}", {**contexts[0], "more": contexts[1:]})
    if unread:
        raise unread


def readable(items: Iterable[S] | None, *names: str) -> Iterator[tuple[int, S]]:
    """The items of a list, numbered, whose fields `names` could be read: a rule between items goes on beside one that is wrong."""
    return ((place, item) for place, item in enumerate(items or ()) if all(hasattr(item, name) for name in names))


# --- types ------------------------------------------------------------------------------------------------------------


def _seconds(value: Any) -> int:
    try:
        return scalars.seconds(value)
    except ValueError as wrong:
        raise fault("RC021", str(wrong).replace("{", "{{").replace("}", "}}")) from None


def _instant(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value
    try:
        if isinstance(value, int) and not isinstance(value, bool):
            return scalars.unix_milliseconds(value)
        if isinstance(value, str):
            return scalars.instant(value)
    except ValueError as wrong:
        raise fault("RC022", str(wrong).replace("{", "{{").replace("}", "}}")) from None
    raise fault("RC022", "an instant is a date-time with an offset, like 2026-12-01T08:00:00+08:00, or Unix milliseconds")


LENGTH = _Mark("LENGTH")
"""A length of time: people are shown `1m30s`, machines seconds."""

Seconds = Annotated[
    int,
    LENGTH,
    BeforeValidator(_seconds),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^([0-9]+[dhms])+$"}]}),
]
"""A length of time, in whole seconds."""

Instant = Annotated[
    datetime,
    BeforeValidator(_instant),
    WithJsonSchema({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "integer", "minimum": 10**12}]}),
]
"""An instant, in UTC; written as RFC 3339 with an offset, or as Unix milliseconds."""

ENV_REFERENCE = re.compile(r"\$\{env:([^}]*)\}")
ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_UNPRINTED = re.compile(r"[\x00-\x20\x7f]")


def _secret(value: Any) -> Secret:
    if isinstance(value, Secret):
        return value
    if isinstance(value, Mapping) and len(value) == 1:
        (source, name), *_ = value.items()
        if source == "fromEnv" and isinstance(name, str) and ENV_NAME.fullmatch(name):
            return Secret(None, reference=f"env:{name}")
        if source == "fromFile" and isinstance(name, str) and name:
            return Secret(None, reference=f"file:{name}")
    raise fault(
        "RC023",
        "a secret is written as a reference, never as its text",
        help="write {fromEnv: NAME} or {fromFile: path/in/the/project}",
    )


SecretRef = Annotated[
    Secret,
    PlainValidator(_secret),
    WithJsonSchema(
        {
            "type": "object",
            "properties": {"fromEnv": {"type": "string"}, "fromFile": {"type": "string"}},
            "additionalProperties": False,
            "minProperties": 1,
            "maxProperties": 1,
        }
    ),
    PlainSerializer(str),
]
"""A secret by reference: `{fromEnv: NAME}` or `{fromFile: path}`."""


@cache
def _common_url(schemes: tuple[str, ...], limit: int | None) -> Callable[[str], object]:
    """Recognises nearly every good URL at one go; what it does not recognise may be good all the same."""
    within = f"(?=.{{1,{limit}}}$)" if limit else ""
    return re.compile(rf"{within}(?:{'|'.join(schemes)})://[A-Za-z0-9.-]+(?::[0-9]+)?(?:[/?][!#%-z~]*)?").fullmatch


@frozen
class UrlField:
    """Makes Url the type of a field: `PullUrl = Annotated[Url, UrlField(schemes=("http", "rtmp"), limit=1000, rule="RC115", what="...")]`.

    `schemes` accepted, at most `limit` characters or `byte_limit` bytes, ASCII only unless `multibyte`; may hold `${env:NAME}` in path and
    query. A mistake is the fault `rule`.
    """

    schemes: tuple[str, ...]
    rule: str
    what: str
    limit: int | None = None
    byte_limit: int | None = None
    multibyte: bool = False

    def check(self, value: Any) -> Url:
        if type(value) is str and _common_url(self.schemes, self.limit or self.byte_limit)(value):
            return Url(value)
        if isinstance(value, Url):
            return value
        if not isinstance(value, str):
            raise fault(self.rule, f"{self.what} is a URL, written as text")
        scheme, colon, rest = value.partition("://")
        authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
        if not colon or scheme.lower() not in self.schemes or not authority or authority.startswith(":"):
            raise fault(
                self.rule,
                f"{self.what} must be a URL that begins with " + " or ".join(f"{s}://" for s in self.schemes),
                help=f"write it like {self.schemes[0]}://host/path",
            )
        if "${env:" in authority:
            raise fault("RC024", f"{self.what} may take ${{{{env:NAME}}}} in its path and query only, not in its host")
        if _UNPRINTED.search(value):
            raise fault(self.rule, f"{self.what} must not hold spaces or control characters", help="percent-encode them")
        if not self.multibyte and not value.isascii():
            raise fault(self.rule, f"{self.what} must be ASCII", help="percent-encode its other characters")
        names = ENV_REFERENCE.findall(value)
        for name in names:
            if not ENV_NAME.fullmatch(name):
                message, help = "{what}: {name!r} is not the name of an environment variable", "use letters, digits and _ in its name"
                raise fault("RC024", message, what=self.what, name=name, help=help)
        for size, unit, most in (
            (len(value), "characters", self.limit),
            (len(value.encode(errors="surrogatepass")), "bytes", self.byte_limit),
        ):
            if most is not None and not names and size > most:
                raise fault(self.rule, f"{self.what} has {size} {unit}, the vendor accepts at most {most}", help="shorten it")
        return Url(None, reference=value) if names else Url(value)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.check, serialization=core_schema.to_string_ser_schema())

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        found: dict[str, Any] = {
            "type": "string",
            "pattern": "^(" + "|".join(self.schemes) + ")://" + (r"\S+$" if self.multibyte else "[!-~]+$"),
        }
        if most := self.limit or self.byte_limit:
            found["maxLength"] = most
        return found
