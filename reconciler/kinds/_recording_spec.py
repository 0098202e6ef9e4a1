"""What a RecordingSession's manifest may say: how a room is recorded, mixed, encoded, and where the files go."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from reconciler.fields import REPLACE, UNREADABLE, Doc, Seconds, SecretRef, Spec, UrlField, Wire, fault, faults, readable
from reconciler.kinds._rtc_spec import (
    FILLED,
    ID_DOC,
    ID_SCHEMA,
    STREAM_LIMIT,
    Between,
    CustomStorage,
    Stores,
    Stream,
    TaskSpec,
    TosStorage,
    filled_text,
    repeated,
    stream_faults,
)
from reconciler.model import Url

RULES: dict[str, tuple[str, str]] = {
    "RC201": ("id with other characters", "appId, roomId, taskId, businessId and user take 1 to 128 of A-Z a-z 0-9 _ @ - . only."),
    "RC202": (
        "more than 17 streams",
        "The vendor records at most 17 streams in one task, and excludes at most 17. Split the session in two.",
    ),
    "RC203": (
        "stream index not unique",
        "Regions find their stream by its index, so no two streams of a list may have the same. Number them from 0.",
    ),
    "RC204": ("stream listed twice", "Outside a custom layout a stream is recorded once. Remove the second mention."),
    "RC205": ("not exactly one store", "Write exactly one of storage.tos, storage.vod and storage.custom."),
    "RC206": (
        "unknown region of a store",
        "amazonS3 and aliyunOss take the region's name, the other third-party stores the vendor's integer. The vendor does not support "
        "eu-central-1, ap-southeast-2, us-gov-east-1 and us-gov-west-1 of amazonS3.",
    ),
    "RC207": ("empty name in storage", "The account id, the bucket and the space must be written out."),
    "RC208": ("securityToken with Kodo", "Qiniu Kodo takes no security token. Remove it, or use a lasting key."),
    "RC210": (
        "picture size out of range",
        "Width and height are even numbers of pixels from 2 to 1920. The vendor announces 4K without a limit, so up to 4096 is a warning.",
    ),
    "RC211": ("video encoding out of range", "fps is 1 to 60, bitrate 0 to 10000 kbps (0 adapts), gop 1 to 5 seconds."),
    "RC212": (
        "audio encoding out of range",
        "The audio bitrate is 32 to 192 kbps, the sample rate 32000, 44100 or 48000 Hz, channels 1 or 2.",
    ),
    "RC213": ("HE-AAC v2 needs stereo", "The profile heAacV2 works with channels: 2 only."),
    "RC214": (
        "region outside its canvas",
        "A region begins inside the canvas and is not larger than it: x is 0 to the canvas's width - 1, width is 1 to the canvas's width; "
        "y and height follow the canvas's height.",
    ),
    "RC215": ("region value out of range", "zOrder is 0 to 100, alpha more than 0 and at most 1, cornerRadius 0 to 1."),
    "RC216": (
        "source crop out of range",
        "x and y are shares of the source from 0 to less than 1, width and height more than 0 and at most 1.",
    ),
    "RC217": ("not a colour", 'Write a colour as "#RRGGBB" in quotes, like "#1a2b3c".'),
    "RC218": (
        "not the URL of a picture",
        "A picture is an http or https URL of at most 1024 characters, or bytes for backgroundImage; the vendor reads JPG, JPEG and PNG.",
    ),
    "RC220": (
        "excluded screen stream",
        "Only ordinary streams can be excluded. Remove the entry, or list the wanted streams in streams instead.",
    ),
    "RC221": ("stream both wanted and excluded", "A stream stands in streams or in excludeStreams, not in both."),
    "RC222": ("layout without mixing", "Only mode: mixed has a picture to lay out. Remove the layout, or mix."),
    "RC223": ("vertical layout without a main stream", "layout.mode: vertical needs layout.mainStream."),
    "RC224": (
        "layout block that its mode does not use",
        "mainStream belongs to mode: vertical; canvas and regions belong to mode: custom.",
    ),
    "RC225": (
        "streams and regions do not correspond",
        "A custom layout needs a list of streams and exactly one region for each: a region's streamIndex is the stream's index.",
    ),
    "RC226": (
        "stream without an index",
        "With a custom layout and several streams each needs its own index; without one all of them would be number 0.",
    ),
    "RC230": (
        "idle or silence time out of range",
        "maxIdle is 10s to 24h, maxSilence 1m to 1h; maxDuration is any length, 0 for no limit.",
    ),
    "RC231": (
        "maxSilence with mixing",
        "The vendor heeds maxSilence in single mode only, so it is not sent for a mix. Remove it, or write mode: single.",
    ),
    "RC232": ("upload while recording without HLS", "Only HLS files are uploaded while recording. Add hls to files.formats."),
    "RC233": (
        "audio format for a video recording",
        "mp3, aac and m4a hold sound only. Write control.media: audio, or choose mp4, hls or flv.",
    ),
    "RC234": ("file name prefix", "A prefix is a list of letters and digits; joined with / it has at most 128 characters."),
    "RC235": ("file format listed twice", "Each format gives one file. Remove the second mention."),
    "RC250": (
        "picture larger than 1920",
        "The parameter tables end at 1920 pixels; only the change log speaks of 4K. Test it before it matters.",
    ),
    "RC251": ("region reaches over the canvas", "What lies beyond the canvas is not seen. Make the region smaller, or move it."),
    "RC252": (
        "encoding that this mode may not heed",
        "By the vendor's notes mixed mode takes size, fps, bitrate and audio, single mode fps, bitrate and audio: codec and gop may be "
        "ignored, and so may the size where the mode or layout sets it.",
    ),
    "RC253": ("maxSilence not below maxIdle", "The task ends by itself after maxIdle, so a longer maxSilence never takes effect."),
    "RC254": (
        "session becomes unobservable",
        "The vendor tells the state of a task for 72 hours after its start; a longer one can no longer be verified. "
        "Write maxDuration: 72h or less.",
    ),
    "RC255": ("misspelled variable in a file name", "Unknown variables stay in the name as they are."),
    "RC256": ("picture of another format", "The vendor reads JPG, JPEG and PNG."),
    "RC257": ("prefix without effect", "Video on demand ignores files.prefix; TOS and third-party stores heed it."),
    "RC258": ("audio bitrate above its profile", "heAac is capped at 128 kbps and heAacV2 at 64 kbps."),
    "RC259": ("main stream is a screen", "The vertical layout may not support a screen as its main stream."),
    "RC260": ("session ends before its window", "After maxDuration the vendor ends the recording, whatever the schedule says."),
    "RC261": ("duration variable in HLS names", "With uploadWhileRecording the Duration in the name of an HLS file is always 0."),
    "RC262": (
        "value without effect",
        "The vendor takes the value, and nothing comes of it: an adaptive layout fills no missing frames, and corners are not rounded when "
        "their radius is more than half the shorter side of the region.",
    ),
    "RC263": (
        "file name that is cut",
        "A file's name has at most 128 characters; of a longer one the vendor cuts the end, and with it what made it unique.",
    ),
}

# --- what is declared -------------------------------------------------------------------------------------------------

# one limit is in bytes and the other in characters, by the vendor's page
BackgroundUrl = Annotated[Url, UrlField(schemes=("http", "https"), byte_limit=1024, multibyte=True, rule="RC218", what="a picture")]
PictureUrl = Annotated[Url, UrlField(schemes=("http", "https"), limit=1024, multibyte=True, rule="RC218", what="a picture")]


def _size(what: str) -> Between:
    return Between("RC210", what, 2, 4096, "pixels", even=True)


class VideoEncode(Spec):
    width: Annotated[
        int | None,
        _size("the video's width"),
        Wire("VideoWidth"),
        Doc("width of the picture; a custom layout takes its canvas instead", unit="pixels", limit="2 to 1920, even", default="640"),
        REPLACE,
    ] = None
    height: Annotated[
        int | None,
        _size("the video's height"),
        Wire("VideoHeight"),
        Doc("height of the picture; a custom layout takes its canvas instead", unit="pixels", limit="2 to 1920, even", default="480"),
        REPLACE,
    ] = None
    fps: Annotated[
        int, Between("RC211", "fps", 1, 60), Wire("VideoFps"), Doc("frames a second", limit="1 to 60", default="15"), REPLACE
    ] = 15
    bitrate: Annotated[
        int,
        Between("RC211", "the video's bitrate", 0, 10000, "kbps"),
        Wire("VideoBitrate"),
        Doc("0 adapts to size and fps", unit="kbps", limit="0 to 10000", default="0"),
        REPLACE,
    ] = 0
    codec: Annotated[
        Literal["h264", "bytevc1"], Wire("VideoCodec", words={"h264": 0, "bytevc1": 1}), Doc("video codec", default="h264"), REPLACE
    ] = "h264"
    gop: Annotated[
        Seconds,
        Between("RC211", "gop", 1, 5, "seconds"),
        Wire("VideoGop"),
        Doc("distance of key frames", unit="s", limit="1 to 5", default="4"),
        REPLACE,
    ] = 4


class AudioEncode(Spec):
    codec: Annotated[Literal["aac"], Wire("AudioCodec", words={"aac": 0}), Doc("audio codec", default="aac"), REPLACE] = "aac"
    profile: Annotated[
        Literal["lc", "heAac", "heAacV2"],
        Wire("AudioProfile", words={"lc": 0, "heAac": 1, "heAacV2": 2}),
        Doc("AAC profile; heAacV2 is stereo only", default="lc"),
        REPLACE,
    ] = "lc"
    bitrate: Annotated[
        int,
        Between("RC212", "the audio bitrate", 32, 192, "kbps"),
        Wire("AudioBitrate"),
        Doc("heAac is capped at 128, heAacV2 at 64", unit="kbps", limit="32 to 192", default="64"),
        REPLACE,
    ] = 64
    sample_rate: Annotated[
        int,
        Field(json_schema_extra={"enum": [32000, 44100, 48000]}),
        Wire("AudioSampleRate"),
        Doc("sample rate", unit="Hz", limit="32000, 44100 or 48000", default="48000"),
        REPLACE,
    ] = 48000
    channels: Annotated[
        int, Field(json_schema_extra={"enum": [1, 2]}), Wire("AudioChannels"), Doc("1 mono, 2 stereo", limit="1 or 2", default="2"), REPLACE
    ] = 2

    @field_validator("sample_rate")
    @classmethod
    def _sample_rate(cls, value: int) -> int:
        if value not in (32000, 44100, 48000):
            raise fault("RC212", f"the sample rate is {value} Hz, the vendor accepts 32000, 44100 and 48000")
        return value

    @field_validator("channels")
    @classmethod
    def _channels(cls, value: int) -> int:
        if value not in (1, 2):
            raise fault("RC212", f"{value} channels are asked for, the vendor accepts 1 and 2")
        return value

    @model_validator(mode="after")
    def _stereo(self) -> Self:
        if self.profile == "heAacV2" and self.channels != 2:
            faults([fault("RC213", "the profile heAacV2 needs channels: 2", at="channels")])
        return self


class Encode(Spec):
    video: Annotated[VideoEncode, Doc("the picture's encoding"), REPLACE] = VideoEncode.model_construct()
    audio: Annotated[AudioEncode, Doc("the sound's encoding"), REPLACE] = AudioEncode.model_construct()


class Canvas(Spec):
    width: Annotated[
        int,
        _size("the canvas's width"),
        Wire("Width"),
        Doc("width of the picture", unit="pixels", limit="2 to 1920, even", default="640"),
        REPLACE,
    ] = 640
    height: Annotated[
        int,
        _size("the canvas's height"),
        Wire("Height"),
        Doc("height of the picture", unit="pixels", limit="2 to 1920, even", default="480"),
        REPLACE,
    ] = 480
    background: Annotated[
        str,
        Field(json_schema_extra={"pattern": "^#[0-9a-fA-F]{6}$"}),
        Wire("Background"),
        Doc("colour behind the regions", limit="#000000 to #ffffff", default="#000000"),
    ] = "#000000"
    background_image: Annotated[
        BackgroundUrl | None, Wire("BackgroundImage"), Doc("picture that hides the background colour; JPG, JPEG or PNG", limit="1024 bytes")
    ] = None

    @field_validator("background")
    @classmethod
    def _colour(cls, value: str) -> str:
        if not re.fullmatch(r"#[0-9a-fA-F]{6}", value):
            raise fault("RC217", "{value} is not a colour", value=repr(value), help='write it like "#1a2b3c"')
        return value.lower()


class SourceCrop(Spec):
    x: Annotated[
        float,
        Between("RC216", "the crop's x", 0, 1, below=True),
        Wire("LocationX"),
        Doc("left edge, as a share of the source's width", limit="0 to less than 1", default="0"),
    ] = 0.0
    y: Annotated[
        float,
        Between("RC216", "the crop's y", 0, 1, below=True),
        Wire("LocationY"),
        Doc("upper edge, as a share of the source's height", limit="0 to less than 1", default="0"),
    ] = 0.0
    width: Annotated[
        float,
        Between("RC216", "the crop's width", 0, 1, above=True),
        Wire("WidthProportion"),
        Doc("share of the source's width", limit="more than 0, at most 1", default="1"),
    ] = 1.0
    height: Annotated[
        float,
        Between("RC216", "the crop's height", 0, 1, above=True),
        Wire("HeightProportion"),
        Doc("share of the source's height", limit="more than 0, at most 1", default="1"),
    ] = 1.0


class Region(Spec):
    stream_index: Annotated[int, Wire("StreamIndex"), Doc("the index of the stream shown here")]
    x: Annotated[
        int, Wire("LocationX"), Doc("left edge on the canvas", unit="pixels", limit="0 to less than the canvas's width", default="0")
    ] = 0
    y: Annotated[
        int, Wire("LocationY"), Doc("upper edge on the canvas", unit="pixels", limit="0 to less than the canvas's height", default="0")
    ] = 0
    width: Annotated[int, Wire("Width"), Doc("width on the canvas", unit="pixels", limit="1 to the canvas's width")]
    height: Annotated[int, Wire("Height"), Doc("height on the canvas", unit="pixels", limit="1 to the canvas's height")]
    z_order: Annotated[int, Between("RC215", "zOrder", 0, 100), Wire("ZOrder"), Doc("layer, 0 lowest", limit="0 to 100", default="0")] = 0
    alpha: Annotated[
        float,
        Between("RC215", "alpha", 0, 1, above=True),
        Wire("Alpha"),
        Doc("opacity", limit="more than 0, at most 1", default="1"),
    ] = 1.0
    render_mode: Annotated[
        Literal["stretch", "fill", "fit"],
        Wire("RenderMode", words={"stretch": 3, "fill": 1, "fit": 2}),
        Doc("stretch to the region, crop to fill it, or fit inside it; the vendor's 0 is stretch too", default="stretch"),
    ] = "stretch"
    source_crop: Annotated[SourceCrop, Wire("SourceCrop"), Doc("the part of the source that is shown")] = SourceCrop.model_construct()
    alternate_image: Annotated[
        PictureUrl | None,
        Wire("AlternateImage"),
        Doc("picture shown while the stream is not published or its capture is paused; JPG, JPEG or PNG", limit="1024 characters"),
    ] = None
    alternate_image_fill: Annotated[
        Literal["videoRatio", "ownRatio"],
        Wire("AlternateImageFillMode", words={"videoRatio": 0, "ownRatio": 1}),
        Doc("whether that picture is scaled to the video's ratio or keeps its own", default="videoRatio"),
    ] = "videoRatio"
    corner_radius: Annotated[
        float,
        Between("RC215", "cornerRadius", 0, 1),
        Wire("CornerRadius"),
        Doc("radius of the corners, as a share of the canvas's width", limit="0 to 1", default="0"),
    ] = 0.0
    media: Annotated[
        Literal["audioVideo", "audio", "video"],
        Wire("MediaType", words={"audioVideo": 0, "audio": 1, "video": 2}),
        Doc("what of the stream enters the mix", default="audioVideo"),
    ] = "audioVideo"


class Layout(Spec):
    mode: Annotated[
        Literal["adaptive", "vertical", "custom", "sideBySide"],
        Wire("LayoutMode", words={"adaptive": 0, "vertical": 1, "custom": 2, "sideBySide": 3}),
        Doc("how the streams share the picture; only a custom layout can be changed while it is recorded", default="adaptive"),
        REPLACE,
    ] = "adaptive"
    main_stream: Annotated[Stream | None, Wire("MainVideoStream"), Doc("the large picture of a vertical layout"), REPLACE] = None
    canvas: Annotated[Canvas | None, Wire("CustomLayout.Canvas"), Doc("the whole picture of a custom layout")] = None
    regions: Annotated[
        list[Region] | None, Wire("CustomLayout.Regions"), Doc("where each stream stands in a custom layout, one for every stream")
    ] = None


class Control(Spec):
    media: Annotated[
        Literal["audioVideo", "audio"],
        Wire("MediaType", words={"audioVideo": 0, "audio": 1}),
        Doc("what is recorded", default="audioVideo"),
        REPLACE,
    ] = "audioVideo"
    frame_interpolation: Annotated[
        Literal["repeat", "black"],
        Wire("FrameInterpolationMode", words={"repeat": 0, "black": 1}),
        Doc("what fills missing frames: the last one, or black; no effect in an adaptive layout", default="repeat"),
        REPLACE,
    ] = "repeat"
    max_silence: Annotated[
        Seconds | None,
        Between("RC230", "maxSilence", 60, 3600, "seconds"),
        Wire("MaxSilenceSeconds"),
        Doc(
            "single mode: the longest interruption that is filled; a longer one opens a new file",
            unit="s",
            limit="60 to 3600",
            default="3600",
        ),
        REPLACE,
    ] = None
    max_idle: Annotated[
        Seconds,
        Between("RC230", "maxIdle", 10, 86400, "seconds"),
        Wire("MaxIdleTime"),
        Doc("the task ends by itself when nothing was published for so long", unit="s", limit="10 to 86400", default="180"),
        REPLACE,
    ] = 180
    max_duration: Annotated[
        Seconds,
        Between("RC230", "maxDuration", 0, 2**31 - 1, "seconds"),
        Wire("MaxRecordTime"),
        Doc("the task ends by itself after so long; 0 is no limit", unit="s", limit="72h or less stays observable", default="0"),
        REPLACE,
    ] = 0
    upload_while_recording: Annotated[
        bool, Wire("EnableSyncUpload"), Doc("upload HLS files while recording; files.formats must hold hls", default="false"), REPLACE
    ] = False


def _upper(formats: Sequence[str]) -> list[str]:
    return [one.upper() for one in formats]


class Files(Spec):
    formats: Annotated[
        list[Literal["mp4", "hls", "flv", "mp3", "aac", "m4a"]] | None,
        Field(json_schema_extra={"uniqueItems": True}),
        Wire("FileFormatConfig.FileFormat", dump=_upper),
        Doc("one file is made in each; mp3, aac and m4a for pure audio only", default="the vendor's choice"),
        REPLACE,
    ] = None
    prefix: Annotated[
        list[Annotated[str, Field(json_schema_extra={"pattern": "^[A-Za-z0-9]+$"})]] | None,
        Wire("FileNameConfig.Prefix"),
        Doc("folders before the file's name; ignored by video on demand", limit="letters and digits, 128 characters joined with /"),
        REPLACE,
    ] = None
    pattern: Annotated[
        str | None,
        Wire("FileNameConfig.Pattern"),
        Doc(
            "the file's name, of {TaskId} {RoomId} {UserId} {Type} {StartTime} {Duration} {Random}; you see to it that it is unique",
            limit="names above 128 characters are cut",
            default="{TaskId}_{RoomId}_{UserId}_{Type}_{StartTime}_{Duration}_{Random}",
        ),
        REPLACE,
    ] = None

    @model_validator(mode="after")
    def _agree(self) -> Self:
        faults(self._format_faults(), self._prefix_faults())
        return self

    def _format_faults(self) -> Iterator[PydanticCustomError]:
        formats = self.formats or []
        for place, name in enumerate(formats):
            if name in formats[:place]:
                yield fault("RC235", f"the file format {name} is listed twice", at=f"formats.{place}", help="remove one")

    def _prefix_faults(self) -> Iterator[PydanticCustomError]:
        for place, part in enumerate(self.prefix or ()):
            if not re.fullmatch(r"[A-Za-z0-9]+", part):
                message, help = "{part} in the prefix is not made of letters and digits", "write one list entry a folder"
                yield fault("RC234", message, part=repr(part), at=f"prefix.{place}", help=help)
        joined = sum(len(part) + 1 for part in self.prefix or ())
        if joined > 128:
            yield fault("RC234", f"the prefix has {joined} characters with its slashes, the vendor accepts at most 128", at="prefix")


class VodStorage(Spec):
    account_id: Annotated[str, FILLED, Wire("AccountId"), Doc("the main Volcengine account, never a sub-user's"), REPLACE]
    region: Annotated[
        Literal["cn-north-1", "ap-southeast-1"],
        Wire("Region", words={"cn-north-1": 0, "ap-southeast-1": 1}),
        Doc("where the space is", default="cn-north-1"),
        REPLACE,
    ] = "cn-north-1"
    space: Annotated[str, FILLED, Wire("Space"), Doc("the space's name"), REPLACE]
    storage_class: Annotated[
        Literal["standard", "archive", "infrequentAccess"],
        Wire("StorageClass", words={"standard": 1, "archive": 2, "infrequentAccess": 3}),
        Doc("how the files are kept", default="standard"),
        REPLACE,
    ] = "standard"
    auto_set_file_extension: Annotated[
        bool, Wire("AutoSetFileExtension"), Doc("set FileExtension from the file's suffix", default="false"), REPLACE
    ] = False

    @field_validator("account_id", "space")
    @classmethod
    def _filled(cls, value: str) -> str:
        return filled_text(value, "RC2", "an account id or space")


class RecordingCustomStorage(CustomStorage):
    security_token: Annotated[
        SecretRef | None,
        Wire("SecurityToken"),
        Doc("session token of temporary keys; must outlive the recording by an hour; not for qiniuKodo"),
        REPLACE,
        UNREADABLE,
    ] = None

    @model_validator(mode="after")
    def _no_token_for_kodo(self) -> Self:
        if self.security_token and self.vendor == "qiniuKodo":
            faults([fault("RC208", "qiniuKodo takes no securityToken", at="securityToken", help="remove it")])
        return self


class Storage(Stores):
    tos: Annotated[TosStorage | None, Wire("TosConfig", also={"Type": 0}), Doc("Volcengine object storage"), REPLACE] = None
    vod: Annotated[VodStorage | None, Wire("VodConfig", also={"Type": 1}), Doc("Volcengine video on demand"), REPLACE] = None
    custom: Annotated[RecordingCustomStorage | None, Wire("CustomConfig", also={"Type": 2}), Doc("a store of somebody else's"), REPLACE] = (
        None
    )


class RecordingSpec(TaskSpec):
    room_id: Annotated[str, ID_SCHEMA, Wire("RoomId"), Doc("the room that is recorded", limit=ID_DOC), REPLACE]
    mode: Annotated[
        Literal["mixed", "single"],
        Wire("RecordMode", words={"mixed": 0, "single": 1}),
        Doc("mixed: all streams in one file; single: one file a stream", default="mixed"),
        REPLACE,
    ] = "mixed"
    streams: Annotated[
        list[Stream] | None,
        Field(json_schema_extra={"maxItems": STREAM_LIMIT}),
        Wire("TargetStreams.StreamList"),
        Doc("what is recorded; can be changed while recording in a custom layout only", limit="17", default="every published stream"),
    ] = None
    exclude_streams: Annotated[
        list[Stream] | None,
        Field(json_schema_extra={"maxItems": STREAM_LIMIT}),
        Wire("ExcludeStreams.StreamList"),
        Doc("what is not recorded; ordinary streams only", limit="17"),
        REPLACE,
    ] = None
    encode: Annotated[Encode, Wire("Encode"), Doc("how it is encoded"), REPLACE] = Encode.model_construct()
    layout: Annotated[Layout | None, Wire("Layout"), Doc("how mixed streams share the picture")] = None
    control: Annotated[Control, Wire("Control"), Doc("what is subscribed to, and when it ends by itself"), REPLACE] = (
        Control.model_construct()
    )
    files: Annotated[Files | None, Doc("format and name of the files"), REPLACE] = None
    storage: Annotated[Storage, Wire("StorageConfig"), Doc("where the files go: exactly one of tos, vod, custom"), REPLACE]

    @model_validator(mode="after")
    def _agree(self) -> Self:
        faults(
            self._stream_faults(),
            self._repetition_faults(),
            self._exclusion_faults(),
            self._overlap_faults(),
            self._mode_faults(),
            self._main_stream_faults(),
            self._block_faults(),
            self._custom_faults(),
            self._region_faults(),
            self._upload_faults(),
            self._format_faults(),
        )
        return self

    @property
    def _layout_mode(self) -> str:
        return self.layout.mode if self.layout else "adaptive"

    def _stream_faults(self) -> Iterator[PydanticCustomError]:
        yield from stream_faults(self.streams or (), "RC2", "streams")

    def _repetition_faults(self) -> Iterator[PydanticCustomError]:
        if self._layout_mode != "custom":
            yield from repeated(self.streams or (), "RC2", "streams")

    def _exclusion_faults(self) -> Iterator[PydanticCustomError]:
        yield from stream_faults(self.exclude_streams or (), "RC2", "excludeStreams")
        yield from repeated(self.exclude_streams or (), "RC2", "excludeStreams")
        for place, stream in readable(self.exclude_streams, "type"):
            if stream.type == "screen":
                yield fault("RC220", "a screen cannot be excluded", at=f"excludeStreams.{place}.type", help="remove the entry")

    def _overlap_faults(self) -> Iterator[PydanticCustomError]:
        wanted = {stream.key for _, stream in readable(self.streams, "user", "type")}
        for place, stream in readable(self.exclude_streams, "user", "type"):
            if stream.key in wanted:
                message = f"the {stream.type} stream of {stream.user} is both recorded and excluded"
                yield fault("RC221", message, at=f"excludeStreams.{place}")

    def _mode_faults(self) -> Iterator[PydanticCustomError]:
        if self.layout is not None and self.mode == "single":
            yield fault("RC222", "a layout needs mode: mixed", at="layout", help="remove the layout")

    def _main_stream_faults(self) -> Iterator[PydanticCustomError]:
        if self.layout is None:
            return
        if self.layout.mode == "vertical" and "main_stream" not in self.layout.model_fields_set:
            yield fault("RC223", "a vertical layout needs its mainStream", at="layout", help="add mainStream: {user: NAME}")
        if self.layout.mode != "vertical" and "main_stream" in self.layout.model_fields_set:
            yield fault("RC224", f"mainStream has no meaning in layout.mode: {self.layout.mode}", at="layout.mainStream")

    def _block_faults(self) -> Iterator[PydanticCustomError]:
        if self.layout is None or self.layout.mode == "custom":
            return
        for name in ("canvas", "regions"):
            if name in self.layout.model_fields_set:
                message = f"{name} has no meaning in layout.mode: {self.layout.mode}"
                yield fault("RC224", message, at=f"layout.{name}", help="write layout.mode: custom")

    def _custom_faults(self) -> Iterator[PydanticCustomError]:
        if self.layout is None or self.layout.mode != "custom":
            return
        streams, regions = self.streams or [], self.layout.regions or []
        if not streams:
            yield fault("RC225", "a custom layout needs a list of streams", at="layout", help="add streams, one for every region")
        if not regions:
            yield fault("RC225", "a custom layout needs regions", at="layout", help="add regions, one for every stream")
        if len(streams) > 1:
            for place, stream in readable(streams, "index"):
                if stream.index is None:
                    help = "add index: and refer to it in a region"
                    yield fault("RC226", f"stream {place + 1} has no index", at=f"streams.{place}", help=help)
        indices = {stream.index or 0 for stream in streams}
        shown: set[int] = set()
        named = list(readable(regions, "stream_index"))
        for place, region in named:
            at = f"layout.regions.{place}.streamIndex"
            if streams and region.stream_index not in indices:
                yield fault("RC225", f"no stream has the index {region.stream_index}", at=at)
            if region.stream_index in shown:
                yield fault("RC225", f"stream {region.stream_index} has two regions", at=at)
            shown.add(region.stream_index)
        for place, stream in enumerate(streams if len(named) == len(regions) else ()):
            if regions and (stream.index or 0) not in shown and (stream.index is not None or len(streams) == 1):
                yield fault("RC225", f"stream {stream.index or 0} has no region", at=f"streams.{place}", help="add a region with its index")

    def _region_faults(self) -> Iterator[PydanticCustomError]:
        """Places and sizes against the canvas."""
        if self.layout is None or self.layout.mode != "custom":
            return
        canvas = self.layout.canvas or Canvas.model_construct()
        for side, start in (("width", "x"), ("height", "y")):
            if not hasattr(canvas, side):
                continue
            whole = getattr(canvas, side)
            for name, low, most in ((start, 0, whole - 1), (side, 1, whole)):
                for place, region in readable(self.layout.regions, name):
                    if not low <= (value := getattr(region, name)) <= most:
                        message = f"{name} is {value}, the canvas's {side} allows {low} to {most}"
                        yield fault("RC214", message, at=f"layout.regions.{place}.{name}")

    def _upload_faults(self) -> Iterator[PydanticCustomError]:
        if self.control.upload_while_recording and "hls" not in self._formats:
            yield fault(
                "RC232", "uploadWhileRecording needs the format hls", at="control.uploadWhileRecording", help="add hls to files.formats"
            )

    def _format_faults(self) -> Iterator[PydanticCustomError]:
        for place, name in enumerate(self._formats):
            if name in ("mp3", "aac", "m4a") and self.control.media != "audio":
                help = "write control.media: audio, or another format"
                yield fault("RC233", f"{name} is for pure audio", at=f"files.formats.{place}", help=help)

    @property
    def _formats(self) -> Sequence[str]:
        return self.files.formats or [] if self.files else []
