"""What the manifests of recording and slicing sessions may say alike: the task's names, streams, stores, numbers in the vendor's ranges.

FAMILY, in a model of both, is the hundred of the kind's rule codes. A model's own docstring is published: editors show it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, WithJsonSchema, field_validator, model_validator
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from reconciler import scalars, wire
from reconciler.fields import REPLACE, UNREADABLE, Doc, SecretRef, Spec, Wire, fault, faults, readable
from reconciler.frozen import frozen

# --- rules for one value ----------------------------------------------------------------------------------------------

ID_LIMIT = 128
_ID = re.compile(r"[a-zA-Z0-9_@\-.]{1,128}")
ID_SCHEMA = WithJsonSchema({"type": "string", "pattern": r"^[a-zA-Z0-9_@\-.]{1,128}$"})
ID_DOC = "1 to 128 of A-Z a-z 0-9 _ @ - ."


def identifier(value: str, rule: str, what: str) -> str:
    """`value`, when it follows the vendor's rule for ids."""
    if _ID.fullmatch(value):
        return value
    if len(value) > ID_LIMIT:
        raise fault(rule, "{what} has {count} characters, the vendor accepts at most 128", what=what, count=len(value), help="shorten it")
    raise fault(rule, "{what} may hold only A-Z a-z 0-9 _ @ - . and must not be empty", what=what, help=f"write {ID_DOC}")


@frozen
class Between:
    """A number within the vendor's range, ends included unless `above` or `below` leaves them out."""

    rule: str
    what: str
    low: float
    high: float | None = None
    unit: str = ""
    even: bool = False
    above: bool = False
    below: bool = False

    def check(self, value: Any) -> Any:
        if value is None:
            return value
        low = value > self.low if self.above else value >= self.low
        high = self.high is None or (value < self.high if self.below else value <= self.high)
        if not (low and high):
            raise fault(self.rule, f"{self.what} is {value:.15g}, the vendor accepts {self.range}", help=f"write {self.range}")
        if self.even and value % 2:
            raise fault(
                self.rule, f"{self.what} is {value}, the vendor accepts even numbers only", help=f"write {value - 1} or {value + 1}"
            )
        return value

    @property
    def range(self) -> str:
        """In words: `more than 0, at most 1`."""
        unit = f" {self.unit}" if self.unit else ""
        low = f"more than {self.low:.15g}" if self.above else f"{self.low:.15g}" if self.high is not None else f"{self.low:.15g} or more"
        if self.high is None:
            return low + unit
        high = f"less than {self.high:.15g}" if self.below else f"at most {self.high:.15g}" if self.above else f"{self.high:.15g}"
        return (f"{low}, {high}" if self.above else f"{low} to {high}") + unit

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        found = dict(handler(schema))
        found["exclusiveMinimum" if self.above else "minimum"] = self.low
        if self.high is not None:
            found["exclusiveMaximum" if self.below else "maximum"] = self.high
        if self.even:
            found["multipleOf"] = 2
        return found


# --- the task's names -------------------------------------------------------------------------------------------------


class TaskSpec(Spec):
    """What names a task at the vendor."""

    FAMILY: ClassVar[str] = "RC2"

    app_id: Annotated[str, ID_SCHEMA, Wire("AppId"), Doc("the RTC application", limit=ID_DOC), REPLACE]
    room_id: Annotated[str, ID_SCHEMA, Wire("RoomId"), Doc("the room", limit=ID_DOC), REPLACE]
    task_id: Annotated[
        str | None,
        ID_SCHEMA,
        Wire("TaskId"),
        Doc("what the task is known by in its room; a series adds the occurrence, a restart .2", limit=ID_DOC, default="metadata.name"),
        REPLACE,
    ] = None
    business_id: Annotated[
        str | None,
        ID_SCHEMA,
        Wire("BusinessId"),
        Doc("label for the vendor's quality and usage figures", limit=ID_DOC),
        REPLACE,
        UNREADABLE,
    ] = None

    @field_validator("app_id", "room_id", "task_id", "business_id")
    @classmethod
    def _id(cls, value: str | None) -> str | None:
        return identifier(value, f"{cls.FAMILY}01", "an id") if value is not None else None


# --- streams ----------------------------------------------------------------------------------------------------------

STREAM_LIMIT = 17


class Stream(Spec):
    """One stream of the room."""

    FAMILY: ClassVar[str] = "RC2"

    user: Annotated[str, ID_SCHEMA, Wire("UserId"), Doc("the user who publishes the stream", limit=ID_DOC)]
    type: Annotated[
        Literal["camera", "screen"],
        Wire("StreamType", words={"camera": 0, "screen": 1}),
        Doc("camera: the ordinary audio and video stream; screen: the shared screen", default="camera"),
    ] = "camera"
    index: Annotated[
        int | None,
        Field(json_schema_extra={"minimum": 0}),
        Wire("Index"),
        Doc("the number by which a region of a custom layout names the stream", limit="unique in the list", default="0"),
    ] = None

    @field_validator("user")
    @classmethod
    def _user(cls, value: str) -> str:
        return identifier(value, f"{cls.FAMILY}01", "a user id")

    @field_validator("index")
    @classmethod
    def _index(cls, value: int | None) -> int | None:
        if value is not None and not 0 <= value < 2**31:
            raise fault(f"{cls.FAMILY}03", "a stream's index is 0 or more")
        return value

    @property
    def key(self) -> tuple[str, str]:
        return self.user, self.type


def stream_faults(streams: Sequence[Stream], family: str, at: str) -> Iterator[PydanticCustomError]:
    """The mistakes of a stream list, whatever the layout; `at` is its manifest path."""
    if len(streams) > STREAM_LIMIT:
        yield fault(f"{family}02", f"{len(streams)} streams are listed, the vendor takes at most {STREAM_LIMIT}", at=at)
    seen: dict[int, int] = {}
    for place, stream in readable(streams, "index"):
        if stream.index is None:
            continue
        if stream.index in seen:
            yield fault(
                f"{family}03",
                f"streams {seen[stream.index] + 1} and {place + 1} both have the index {stream.index}",
                at=f"{at}.{place}.index",
                help="give every stream an index of its own",
            )
        seen.setdefault(stream.index, place)


def repeated(streams: Sequence[Stream], family: str, at: str) -> Iterator[PydanticCustomError]:
    """Streams listed twice."""
    seen: set[tuple[str, str]] = set()
    for place, stream in readable(streams, "user", "type"):
        if stream.key in seen:
            yield fault(f"{family}04", f"the {stream.type} stream of {stream.user} is listed twice", at=f"{at}.{place}", help="remove one")
        seen.add(stream.key)


def stream_set(streams: Any) -> list[dict[str, Any]]:
    """A stream list whose order and zero indices mean nothing, as canonical values: sorted by user and type."""
    return sorted(map(plain_stream, streams), key=lambda stream: (str(stream.get("user")), str(stream.get("type"))))


def plain_stream(stream: Mapping[str, Any]) -> dict[str, Any]:
    """An index of 0 is the vendor's default, so it says nothing."""
    return {key: value for key, value in stream.items() if key != "index" or value}


# --- storage ----------------------------------------------------------------------------------------------------------

# RTC's page "Region comparison table". A position is the vendor's integer.
TOS_REGIONS = {"cn-beijing": 0, "cn-guangzhou": 1, "cn-shanghai": 2, "ap-southeast-1": 3}
_S3 = (
    "us-east-1 us-east-2 us-west-1 us-west-2 eu-west-1 eu-west-2 eu-west-3 eu-central-1 ap-southeast-1 ap-southeast-2 ap-northeast-1 "
    "ap-northeast-2 sa-east-1 ca-central-1 ap-south-1 cn-north-1 cn-northwest-1 us-gov-east-1 ap-east-1 eu-south-1 ap-northeast-3 "
    "eu-north-1 me-south-1 us-gov-west-1 af-south-1"
)
_OSS = (
    "cn-hangzhou cn-shanghai cn-qingdao cn-beijing cn-zhangjiakou cn-huhehaote cn-wulanchabu cn-shenzhen cn-heyuan cn-guangzhou cn-chengdu "
    "cn-hongkong us-west-1 us-east-1 ap-southeast-1 ap-southeast-2 ap-southeast-3 ap-southeast-5 ap-northeast-1 ap-south-1 eu-central-1"
)
VENDORS = {"amazonS3": 0, "aliyunOss": 1, "huaweiObs": 2, "tencentCos": 3, "qiniuKodo": 4}
CUSTOM_REGIONS: dict[str, list[str]] = {"amazonS3": _S3.split(), "aliyunOss": _OSS.split()}
"""By store, in the order of the vendor's integers. The tables of the other stores are not public: they take the integer."""
UNSUPPORTED = {"amazonS3": {"eu-central-1", "ap-southeast-2", "us-gov-east-1", "us-gov-west-1"}}
"""Listed by the vendor, and marked there as not supported."""
_OPEN_ENDED = {"aliyunOss"}
"""The vendor's table goes on where our copy ends."""


def _nothing(_: Any) -> None:
    """A read never tells a secret: whether it comes plain, masked or not at all, it is not looked at."""


def _number_of(vendor: str, region: str | int) -> int:
    return region if isinstance(region, int) else CUSTOM_REGIONS[vendor].index(region)


def _region_of(vendor: Any, number: Any) -> Any:
    """The region's name, where the vendor's answer holds a number that has one."""
    names = CUSTOM_REGIONS.get(vendor, []) if isinstance(vendor, str) else []
    return names[number] if isinstance(number, int) and 0 <= number < len(names) else number


FILLED = Field(json_schema_extra={"pattern": r"\S"})


def filled_text(value: str, family: str, what: str) -> str:
    if not value.strip():
        raise fault(f"{family}07", f"{what} must not be empty")
    return value


class TosStorage(Spec):
    FAMILY: ClassVar[str] = "RC2"

    account_id: Annotated[str, FILLED, Wire("AccountId"), Doc("the main Volcengine account, never a sub-user's"), REPLACE]
    region: Annotated[
        Literal["cn-beijing", "cn-guangzhou", "cn-shanghai", "ap-southeast-1"],
        Wire("Region", words=TOS_REGIONS),
        Doc("where the bucket is", default="cn-beijing"),
        REPLACE,
    ] = "cn-beijing"
    bucket: Annotated[str, FILLED, Wire("Bucket"), Doc("the bucket's name"), REPLACE]

    @field_validator("account_id", "bucket")
    @classmethod
    def _filled(cls, value: str) -> str:
        return filled_text(value, cls.FAMILY, "a TOS account id or bucket")


class CustomStorage(Spec):
    FAMILY: ClassVar[str] = "RC2"

    vendor: Annotated[
        Literal["amazonS3", "aliyunOss", "huaweiObs", "tencentCos", "qiniuKodo"],
        Wire("Vendor", words=VENDORS),
        Doc("whose store it is", default="amazonS3"),
        REPLACE,
    ] = "amazonS3"
    region: Annotated[
        str | int | None,
        Wire("Region", load=wire.number),
        Doc(
            "the store's region by name (amazonS3, aliyunOss), or the vendor's integer for it (huaweiObs, tencentCos, qiniuKodo)",
            default="the vendor's 0: us-east-1, cn-hangzhou",
        ),
        REPLACE,
    ] = None
    bucket: Annotated[str, FILLED, Wire("Bucket"), Doc("the bucket's name"), REPLACE]
    access_key: Annotated[
        SecretRef, Wire("AccessKey", load=_nothing), Doc("key of an account that may write to the bucket"), REPLACE, UNREADABLE
    ]
    secret_key: Annotated[SecretRef, Wire("SecretKey", load=_nothing), Doc("the secret half of the key"), REPLACE, UNREADABLE]

    @field_validator("bucket")
    @classmethod
    def _filled(cls, value: str) -> str:
        return filled_text(value, cls.FAMILY, "a bucket")

    @model_validator(mode="after")
    def _known_region(self) -> Self:
        faults(self._region_faults())
        return self

    def _region_faults(self) -> Iterator[PydanticCustomError]:
        rule, names = f"{self.FAMILY}06", CUSTOM_REGIONS.get(self.vendor)
        region = self.region
        if isinstance(region, int):
            if names and not (self.vendor in _OPEN_ENDED and region >= len(names)):
                yield fault(rule, f"a region of {self.vendor} is written by its name", at="region", help=f"write one like {names[0]}")
            elif not 0 <= region < 2**31:
                yield fault(rule, "a region's integer is 0 or more, and below 2147483648", at="region")
        elif region is not None and not names:
            yield fault(
                rule,
                f"the vendor publishes no region names for {self.vendor}",
                at="region",
                help="write the integer that the vendor gives for the region",
            )
        elif region is not None and names and region not in names:
            yield fault(
                rule,
                "{region} is no region of {vendor} that the vendor knows",
                region=repr(region),
                vendor=self.vendor,
                at="region",
                help=", ".join(name for name in names if name not in UNSUPPORTED.get(self.vendor, ())),
            )
        elif region in UNSUPPORTED.get(self.vendor, ()):
            yield fault(rule, f"recordings cannot be stored in {region} of {self.vendor}: the vendor does not support it", at="region")


class Stores(Spec):
    """A storage block: a field for each kind of store, of which exactly one is written."""

    FAMILY: ClassVar[str] = "RC2"
    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self.model_fields_set) != 1:
            named, choice = scalars.counted(len(self.model_fields_set), "store"), ", ".join(type(self).model_fields)
            faults([fault(f"{self.FAMILY}05", f"storage names {named}, exactly one is needed", help=f"keep one of {choice}")])
        return self


def name_region(values: dict[str, Any]) -> None:
    """Fills in, or turns into its name, the region of a third-party store."""
    store = values.get("storage", {}).get("custom")
    if store is not None and isinstance(store.get("region", 0), int):
        store["region"] = _region_of(store.get("vendor", "amazonS3"), store.get("region", 0))


def number_region(body: dict[str, Any]) -> None:
    """Turns the name of a third-party store's region into the vendor's integer."""
    store = body.get("StorageConfig", {}).get("CustomConfig")
    if store is not None:
        vendors = {number: word for word, number in VENDORS.items()}
        store["Region"] = _number_of(vendors[store["Vendor"]], store.get("Region", 0))
