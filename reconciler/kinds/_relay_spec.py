"""What a RelayTask's manifest may say, and what follows from it alone: its title, its claim, its form when joined late."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from reconciler import scalars
from reconciler.fields import ENV_REFERENCE, HARMLESS, REPLACE, Doc, Seconds, Spec, UrlField, Wire, fault, faults
from reconciler.kinds._ingest import Ingest
from reconciler.kinds._marks import LENGTH, fingerprint
from reconciler.kinds._pictures import image_fault
from reconciler.model import Address, Desired, Url, Values, Window

TITLE_LIMIT = 20
FILES_LIMIT = 30
SCHEMES = ("rtmp", "rtmps", "http", "https", "srt", "rtsp")

RULES: dict[str, tuple[str, str]] = {
    "RC100": (
        "relay without an end",
        "The vendor must know when a relay task ends. Give the schedule an `end`, a `duration` or an `until`.",
    ),
    "RC101": (
        "relay longer than 7 days",
        "The vendor runs a task for at most 7 days. Shorten the window, or write a schedule that repeats.",
    ),
    "RC102": ("relay beyond 2038", "The vendor keeps times as 32-bit Unix seconds, which end on 2038-01-19. Choose an earlier end."),
    "RC103": ("relay time with a fraction", "The vendor counts whole seconds. Write start and end without a fraction."),
    "RC110": ("relay source", "A relay pulls either one live `url` or a play list of `files`. Write exactly one of them."),
    "RC111": ("relay play list size", "A play list holds 1 to 30 files."),
    "RC112": (
        "relay title",
        "A title has 1 to 20 characters: Chinese, A-Z, a-z and 0-9. Without one, a title is derived from metadata.name.",
    ),
    "RC113": (
        "play list options",
        "`loop`, `resume` and `preload` mean something only for a play list. Remove them beside `url`, or list `files`.",
    ),
    "RC114": (
        "relay loop",
        "`loop` is how often the play list is played: a whole number from 1, or `forever` until the end of the window.",
    ),
    "RC115": ("relay source URL", "A source is an http, https, rtmp, rtmps, srt or rtsp URL in ASCII, of at most 1000 characters."),
    "RC116": ("relay destination", "A relay pushes to one place. Write either its `url`, or `domain`, `app` and `stream` together."),
    "RC117": ("relay destination URL", "A destination is an rtmp, rtmps, http, https, srt or rtsp URL in ASCII."),
    "RC118": ("relay push point", "`domain` is a host name; `app` and `stream` are ASCII without spaces, `/`, `?` and `#`."),
    "RC119": ("relay callback URL", "A callback is an http or https URL of at most 512 characters."),
    "RC120": (
        "watermark image",
        "The image is a PNG or JPEG file beside the manifest, or a data URL: 100 bytes to 2 MB, at most 1080 x 1080 pixels.",
    ),
    "RC121": ("watermark position", "`x` and `y` are fractions of the video's width and height: from 0 to below 1."),
    "RC122": ("watermark width", "`width` is a fraction of the video's width: above 0, at most 1, with at most two decimals."),
    "RC123": ("relay group", "A group has 1 to 20 characters: Chinese, letters and digits."),
}

# --- what is declared -------------------------------------------------------------------------------------------------

_TITLE_SCHEMA: JsonDict = {"pattern": "^[A-Za-z0-9\\u4e00-\\u9fff]+$", "maxLength": TITLE_LIMIT}
_HOST = re.compile(r"(?=.{1,253}$)[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*(?::\d{1,5})?")
_SEGMENT = re.compile(r"[!-~]+")
_SEGMENT_SCHEMA = Field(json_schema_extra={"pattern": "^[!-~]+$"})


def _of_title(text: str) -> bool:
    """Whether it holds only what titles and groups may: Chinese characters, A-Z, a-z and 0-9."""
    return text.isalnum() if text.isascii() else all("\u4e00" <= c <= "\u9fff" or (c.isascii() and c.isalnum()) for c in text)


def _title(value: str) -> str:
    if not 1 <= len(value) <= TITLE_LIMIT:
        raise fault(
            "RC112",
            f"relay title has {len(value)} characters, the vendor accepts 1 to {TITLE_LIMIT}",
            help="shorten it; long text fits in metadata.labels" if value else "leave it out: a title is derived from metadata.name",
        )
    if not _of_title(value):
        bad = next(c for c in value if not _of_title(c))
        raise fault("RC112", "relay title holds {bad!r}, the vendor accepts Chinese, A-Z, a-z and 0-9 only", bad=bad)
    return value


def _group(value: str) -> str:
    if not 1 <= len(value) <= TITLE_LIMIT or not _of_title(value):
        raise fault("RC123", "relay group {value!r} must have 1 to 20 Chinese characters, letters and digits", value=value)
    return value


def _loop(value: Any) -> int | str:
    if value == "forever" or (isinstance(value, int) and not isinstance(value, bool) and 1 <= value < 2**31):
        found: int | str = value
        return found
    raise fault("RC114", "loop must be a whole number from 1, or forever, not {value!r}", value=value)


def _domain(value: str) -> str:
    if not _HOST.fullmatch(value):
        raise fault("RC118", "destination domain {value!r} is not a host name", value=value, help="write it like push.example.com")
    return value


def _segment(value: str) -> str:
    if not _SEGMENT.fullmatch(value) or any(c in value for c in "/?#"):
        raise fault("RC118", "{value!r} must be ASCII without spaces, /, ? and #", value=value)
    return value


def _image(value: str) -> str:
    if not value:
        raise fault("RC120", "watermark image is empty", help="name a PNG or JPEG file beside the manifest")
    if value.startswith("data:"):
        wrong = image_fault(value)
        if wrong:
            raise fault("RC120", "watermark image {wrong}", wrong=wrong)
    elif "://" in value:
        raise fault(
            "RC120", "watermark image is a file or a data URL, not a web address", help="save it beside the manifest and name the file"
        )
    elif not value.lower().endswith((".png", ".jpg", ".jpeg")):
        raise fault("RC120", "watermark image {value!r} is neither PNG nor JPEG", value=value)
    return value


def _position(value: float) -> float:
    if not 0 <= value < 1:
        raise fault("RC121", f"watermark position {value:g} is not from 0 to below 1")
    return value


def _width(value: float) -> float:
    if not 0 < value <= 1 or abs(value - round(value, 2)) > 1e-9:
        raise fault("RC122", f"watermark width {value:g} is not above 0, at most 1, with at most two decimals")
    return value


def _load_url(raw: Any) -> Url | None:
    return Url(raw) if isinstance(raw, str) else None


def _load_number(raw: Any) -> float | int | None:
    """A vendor's number."""
    return None if isinstance(raw, bool) or not isinstance(raw, int | float) else raw


def _load_ratio(raw: Any) -> float | None:
    found = _load_number(raw)
    return None if found is None else round(float(found), 2)  # two decimals is all the vendor keeps


PullUrl = Annotated[Url, UrlField(schemes=SCHEMES, limit=1000, rule="RC115", what="relay source")]
PushUrl = Annotated[Url, UrlField(schemes=SCHEMES, rule="RC117", what="relay destination")]
CallbackUrl = Annotated[Url, UrlField(schemes=("http", "https"), limit=512, rule="RC119", what="callbackUrl")]
Loop = Annotated[
    int | str,
    BeforeValidator(_loop),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1, "maximum": 2**31 - 1}, {"const": "forever"}]}),
]
Position = Annotated[float, AfterValidator(_position), Field(json_schema_extra={"minimum": 0, "exclusiveMaximum": 1})]


class File(Spec):
    """One file of a play list."""

    url: Annotated[PullUrl, Wire("SrcAddr", load=_load_url), Doc("where the file is fetched", limit="1000 characters")]
    start_offset: Annotated[
        Seconds, Wire("StartOffset", dump=float, load=_load_number), Doc("where in the file playing begins", unit="s", default="0")
    ] = 0
    end_offset: Annotated[
        Seconds, Wire("EndOffset", dump=float, load=_load_number), Doc("where in the file playing ends", unit="s", default="0: its end")
    ] = 0


class Source(Spec):
    """What is pulled: a live stream (`url`) or a play list (`files`)."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["url"]}, {"required": ["files"]}]})

    url: Annotated[PullUrl | None, Wire("SrcAddr", load=_load_url, also={"Type": 0}), Doc("a live stream", limit="1000 characters")] = None
    files: Annotated[
        list[File] | None,
        Field(json_schema_extra={"minItems": 1, "maxItems": FILES_LIMIT}),
        Wire("VodSrcAddrs", also={"Type": 1}),
        Doc("a play list, in playing order", limit="1 to 30 files"),
    ] = None
    loop: Annotated[
        Loop | None,
        # the only form on which all of the vendor's documents agree: CycleMode counts, PlayTimes is 0
        Wire("CycleMode", dump=lambda n: -1 if n == "forever" else n, load=lambda n: "forever" if n == -1 else n, also={"PlayTimes": 0}),
        Doc("how often the play list is played; `forever`: until the end of the window", limit="1 or more, or forever", default="1"),
    ] = None
    resume: Annotated[
        Literal["breakPoint", "elapsed"] | None,
        Wire("ContinueStrategy", words={"breakPoint": 0, "elapsed": 1}),
        Doc("where playing goes on after an interruption: where it broke, or there plus the time lost", default="breakPoint"),
    ] = None
    preload: Annotated[
        bool | None, Wire("PreDownload", dump=int), Doc("fetch the files to the edge before they are played", default="true")
    ] = None

    @model_validator(mode="after")
    def _agree(self) -> Source:
        faults(self._choice_faults(), self._list_faults())
        return self

    def _choice_faults(self) -> Iterator[PydanticCustomError]:
        if len(self.model_fields_set & {"url", "files"}) != 1:
            yield fault("RC110", "a relay source is exactly one of url and files", help="keep one of them")

    def _list_faults(self) -> Iterator[PydanticCustomError]:
        if self.files is None:
            for name in ("loop", "resume", "preload"):
                if getattr(self, name) is not None:
                    yield fault("RC113", f"{name} is for a play list (files), a live source has none", at=name, help="remove it")
        elif not 1 <= len(self.files) <= FILES_LIMIT:
            yield fault("RC111", f"the play list has {len(self.files)} files, the vendor accepts 1 to {FILES_LIMIT}", at="files")


class Destination(Spec):
    """Where it is pushed: a `url`, or a push point of this account's own `domain`."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["url"]}, {"required": ["domain", "app", "stream"]}]})

    url: Annotated[PushUrl | None, Wire("DstAddr", load=_load_url), Doc("the push URL with its stream key")] = None
    domain: Annotated[
        str | None,
        AfterValidator(_domain),
        Field(json_schema_extra={"pattern": "^[A-Za-z0-9.:-]+$"}),
        Wire("Domain"),
        Doc("the push domain"),
    ] = None
    app: Annotated[str | None, AfterValidator(_segment), _SEGMENT_SCHEMA, Wire("App"), Doc("the application name")] = None
    stream: Annotated[str | None, AfterValidator(_segment), _SEGMENT_SCHEMA, Wire("Stream"), Doc("the stream name")] = None

    @model_validator(mode="after")
    def _agree(self) -> Destination:
        parts = ("domain", "app", "stream")
        given = [name for name in parts if name in self.model_fields_set]
        if "url" in self.model_fields_set:
            faults([fault("RC116", f"{name} means nothing beside url", at=name, help="keep one form") for name in given])
        elif len(given) < len(parts):
            missing = " and ".join(name for name in parts if name not in given)
            raise fault("RC116", f"destination lacks {missing if given else 'a url'}", help="write url, or domain, app and stream")
        return self


class Watermark(Spec):
    """A picture laid over the video."""

    image: Annotated[
        str,
        AfterValidator(_image),
        Wire("Picture"),
        Doc("a file beside the manifest, or a data URL", limit="PNG or JPEG, 100 bytes to 2 MB"),
    ]
    x: Annotated[
        Position, Wire("RelativePosX", load=_load_number), Doc("left edge, as a fraction of the video's width", limit="[0, 1)")
    ] = 0.0
    y: Annotated[
        Position, Wire("RelativePosY", load=_load_number), Doc("top edge, as a fraction of the video's height", limit="[0, 1)")
    ] = 0.0
    width: Annotated[
        float,
        AfterValidator(_width),
        Field(json_schema_extra={"exclusiveMinimum": 0, "maximum": 1}),
        Wire("Ratio", load=_load_ratio),
        Doc("width, as a fraction of the video's width", limit="(0, 1], two decimals"),
    ]


class RelaySpec(Spec):
    """A relay of one stream or play list to one destination."""

    title: Annotated[
        str | None,
        AfterValidator(_title),
        Field(json_schema_extra=_TITLE_SCHEMA),
        Wire("Title"),
        HARMLESS,
        Doc(
            "the name shown in the vendor's console",
            limit="1 to 20 Chinese characters, letters, digits",
            default="derived from metadata.name",
        ),
    ] = None
    group: Annotated[
        str,
        AfterValidator(_group),
        Field(json_schema_extra=_TITLE_SCHEMA),
        Wire("GroupName"),
        REPLACE,
        Doc("the task group, which binds it to an IAM project", default="default"),
    ] = "default"
    source: Annotated[Source, Doc("what is pulled")]
    destination: Annotated[Destination, Doc("where it is pushed")]
    callback_url: Annotated[
        CallbackUrl | None, Wire("CallbackURL", load=_load_url), HARMLESS, Doc("told of the task's state", limit="512 characters")
    ] = None
    watermark: Annotated[Watermark | None, Wire("Watermark"), Doc("a picture laid over the video; removing it makes a new task")] = None
    enabled: Annotated[bool, Doc("false stops the task, true continues it", default="true")] = True


# --- what follows from it -------------------------------------------------------------------------------------------


def with_defaults(source: Values) -> dict[str, Any]:
    if "files" not in source:
        return dict(source)
    return {"files": source["files"], "loop": 1, "resume": "breakPoint", "preload": True, **source}


def derived_title(workspace: str, address: Address, incarnation: int) -> str:
    """Up to 12 letters and digits of the name, then the fingerprint: 20 characters at most."""
    return prefix(address) + fingerprint(workspace, address, incarnation)


def prefix(address: Address) -> str:
    return address.name.replace("-", "")[: TITLE_LIMIT - LENGTH]


def title_of(want: Desired) -> str:
    found = want.values.get("title")
    return found if isinstance(found, str) else derived_title(want.workspace, want.address, want.incarnation)


def push_point(destination: Values) -> Ingest:
    return Ingest.of("rtmp://{domain}/{app}/{stream}".format(**destination))


def claim(destination: Values) -> str:
    """The claim of a declared destination. A path out of the environment is a stream key: only a digest of it appears."""
    url = destination.get("url")
    if not isinstance(url, Url):
        return push_point(destination).key
    text = url.reveal() if url.known else url.reference
    ingest = Ingest.of(text)
    if url.reference and ENV_REFERENCE.search(Ingest.of(url.reference).path):
        return ingest._replace(path=f"/***{hashlib.sha256(ingest.path.encode()).hexdigest()[:LENGTH]}").key
    return ingest.key


def joined(want: Desired, at: datetime) -> Desired:
    """`want` as it is created when its window began before `at`: a play list goes on where it would be by now."""
    if want.timing is None or at <= want.timing.window.start:
        return want
    late = replace(want, timing=replace(want.timing, window=Window(at, want.timing.window.end)))
    if "files" not in want.values["source"]:
        return late
    source = want.values["source"]
    lost = scalars.unix_seconds(at) - scalars.unix_seconds(want.timing.window.start)
    files = _gone_on(source["files"], lost, again=source["loop"] != 1)
    return replace(late, values={**want.values, "source": {**source, "files": files}})


def _gone_on(files: Sequence[Values], lost: float, *, again: bool) -> list[Values]:
    """The play list after `lost` seconds. A file's length is known where its end is written; one that has played comes `again`, last."""
    lengths = [file["endOffset"] - file["startOffset"] for file in files]
    if again and min(lengths) > 0:
        lost %= sum(lengths)
    left = list(zip(files, lengths, strict=True))
    while 0 < left[0][1] <= lost and (again or len(left) > 1):
        played = left.pop(0)
        lost -= played[1]
        left += [played] if again else []
    (first, _), *rest = left
    return [{**first, "startOffset": first["startOffset"] + lost}, *(file for file, _ in rest)]
