"""What a Clip's manifest may say: which piece of which stream, and what it is called."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from reconciler import scalars
from reconciler.fields import HARMLESS, REPLACE, Doc, Instant, Spec, Wire, fault, faults
from reconciler.kinds._calls import mapping

NAME_LIMIT = 2000  # the vendor has no limit of its own below its 100 kB request; our mark must fit behind it

RULES: dict[str, tuple[str, str]] = {
    "RC400": (
        "clip playbackId",
        "`playbackId` names the stream to cut from, 16 letters and digits like eaw4nk06ts2d0mzb. An asset cannot be cut.",
    ),
    "RC401": (
        "clip sessionId",
        "`sessionId` names one broadcast of the stream. Leave it out: the one session that covers the window is found.",
    ),
    "RC402": (
        "clip times",
        "A clip needs `start` and `end`, and must end after it starts. The vendor accepts less, and fails the clip later.",
    ),
    "RC403": ("clip name", "A name has 1 to 2000 characters, no `%` (the vendor's filters choke on it) and no control characters."),
    "RC404": ("clip time precision", "The vendor counts whole milliseconds. Write at most three digits after the seconds."),
    "RC405": ("clip creatorId", "A creatorId has 1 to 2000 characters and no control characters."),
}

# --- what is declared -------------------------------------------------------------------------------------------------

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ID = re.compile(r"[A-Za-z0-9_-]+")


def _playback_id(value: str) -> str:
    if not _ID.fullmatch(value):
        raise fault("RC400", "playbackId {value!r} is not an id", value=value, help="copy it from the stream, like eaw4nk06ts2d0mzb")
    return value


def _session_id(value: str) -> str:
    if not _ID.fullmatch(value):
        raise fault("RC401", "sessionId {value!r} is not an id", value=value, help="leave it out to have the session found")
    return value


def _text(rule: str, what: str, *, banned: str = "") -> AfterValidator:
    def check(value: str) -> str:
        if not 1 <= len(value) <= NAME_LIMIT:
            raise fault(rule, f"{what} has {len(value)} characters, it may have 1 to {NAME_LIMIT}")
        bad = next((c for c in value if c in banned or ord(c) < 32 or c == "\x7f"), "")
        if bad:
            raise fault(rule, "{what} must not hold {bad!r}", what=what, bad=bad)
        return value

    return AfterValidator(check)


def load_moment(raw: Any) -> datetime | None:
    """Unix milliseconds, however odd, as UTC; None for what is no instant."""
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        return None
    try:
        return _EPOCH + timedelta(milliseconds=raw)
    except (OverflowError, ValueError):
        return None


def _load_creator(raw: Any) -> str | None:
    """A creator id comes back as `{"type": "unverified", "value": ...}`; a blank one is none."""
    found = mapping(raw).get("value") if isinstance(raw, Mapping) else raw
    return found if isinstance(found, str) and found else None


class ClipSpec(Spec):
    """A piece of one session of a stream."""

    playback_id: Annotated[
        str,
        AfterValidator(_playback_id),
        Field(json_schema_extra={"pattern": f"^{_ID.pattern}$"}),
        Wire("playbackId"),
        REPLACE,
        Doc("the stream to cut from; its playback id, never an asset's"),
    ]
    session_id: Annotated[
        str | None,
        AfterValidator(lambda value: value if value is None else _session_id(value)),
        Wire("sessionId"),
        REPLACE,
        Doc("the broadcast to cut from", default="the one session that covers the window"),
    ] = None
    start: Annotated[
        Instant,
        Wire("startTime", dump=scalars.milliseconds, load=load_moment),
        REPLACE,
        Doc("where it begins", unit="Unix ms at the vendor"),
    ]
    end: Annotated[
        Instant,
        Wire("endTime", dump=scalars.milliseconds, load=load_moment),
        REPLACE,
        Doc("where it ends; the vendor calls it optional and fails a clip without it", unit="Unix ms at the vendor"),
    ]
    name: Annotated[
        str | None,
        _text("RC403", "clip name", banned="%"),
        Field(json_schema_extra={"minLength": 1, "maxLength": NAME_LIMIT, "pattern": "^[^%]*$"}),
        Wire("name"),
        HARMLESS,
        Doc("the asset's name", default="metadata.name"),
    ] = None
    creator_id: Annotated[
        str | None,
        _text("RC405", "creatorId"),
        Field(json_schema_extra={"minLength": 1, "maxLength": NAME_LIMIT}),
        Wire("creatorId", load=_load_creator),
        HARMLESS,
        Doc("whose clip it is, for the vendor's viewership figures; set once the clip is ready, can be blanked"),
    ] = None

    @model_validator(mode="after")
    def _agree(self) -> ClipSpec:
        faults(self._order_faults(), self._fraction_faults("start"), self._fraction_faults("end"))
        return self

    def _order_faults(self) -> Iterator[PydanticCustomError]:
        if self.end <= self.start:
            yield fault("RC402", "the clip must end after it starts", at="end")

    def _fraction_faults(self, name: str) -> Iterator[PydanticCustomError]:
        if getattr(self, name).microsecond % 1000:
            yield fault("RC404", f"{name} is finer than a millisecond", at=name, help="drop the digits after the third")
