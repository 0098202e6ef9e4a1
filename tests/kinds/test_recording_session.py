"""RecordingSession: manifests to request bodies, mistakes and doubts to codes and places, changes to updates or replacements."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from reconciler import wire
from reconciler.kinds._recording_spec import RecordingSpec
from reconciler.kinds.recording_session import KIND
from reconciler.model import (
    EVERYTHING,
    Address,
    Desired,
    Entry,
    Lookup,
    Observed,
    Place,
    Presence,
    Secret,
    Severity,
    Timing,
    Values,
    Window,
)
from tests.kinds.drive import calls, drive

APP = "661e0000000000000000543c"
TOS = {"tos": {"accountId": "2100000990", "region": "cn-beijing", "bucket": "my-bucket"}}
STREAMS = [{"user": "host", "type": "camera", "index": 0}, {"user": "host", "type": "screen", "index": 1}]
SMALL = {"streamIndex": 0, "width": 320, "height": 180}
LARGE = {"streamIndex": 1, "width": 640, "height": 480}


def spec(**more: Any) -> dict[str, Any]:
    return {"appId": APP, "roomId": "Room1", "storage": TOS, **more}


def custom(**layout: Any) -> dict[str, Any]:
    return spec(streams=STREAMS, layout={"mode": "custom", "regions": [LARGE, SMALL], **layout})


def canonical(manifest: dict[str, Any]) -> Values:
    return KIND.canonical(RecordingSpec.model_validate(manifest), name="town-hall")


def wanted(manifest: dict[str, Any], *, timing: Timing | None = None, incarnation: int = 1, **places: Place) -> Desired:
    address = Address("RecordingSession", "town-hall")
    return Desired(address, canonical(manifest), Place("a.yaml", 1), timing=timing, incarnation=incarnation, places=places)


def live(values: Values, id: str = f"{APP}/Room1/town-hall") -> Observed:
    return Observed(Address("RecordingSession", "town-hall"), Presence.LIVE, id=id, values=values, unread=EVERYTHING)


def started(manifest: dict[str, Any], **more: Any) -> Any:
    """The body of the StartRecord that `manifest` leads to."""
    work = KIND.create(wanted(manifest, **more))
    call = work.send(None)
    assert call.action == "StartRecord"
    return call.body


# --- bodies -----------------------------------------------------------------------------------------------------------

AUDIO = {"AudioCodec": 0, "AudioProfile": 0, "AudioBitrate": 64, "AudioSampleRate": 48000, "AudioChannels": 2}
VIDEO = {"VideoFps": 15, "VideoBitrate": 0, "VideoCodec": 0, "VideoGop": 4}
CONTROL = {"MediaType": 0, "FrameInterpolationMode": 0, "MaxIdleTime": 180, "MaxRecordTime": 0, "EnableSyncUpload": False}
TOS_BODY = {"Type": 0, "TosConfig": {"AccountId": "2100000990", "Region": 0, "Bucket": "my-bucket"}}
IDS = {"AppId": APP, "RoomId": "Room1", "TaskId": "town-hall"}

FULL = spec(
    taskId="Task@1",
    businessId="B1",
    mode="mixed",
    streams=[STREAMS[1], STREAMS[0]],
    excludeStreams=[{"user": "bot"}, {"user": "ad", "type": "camera", "index": 3}],
    encode={
        "video": {"width": 1280, "height": 720, "fps": 25, "bitrate": 2500, "codec": "bytevc1", "gop": "2s"},
        "audio": {"codec": "aac", "profile": "heAacV2", "bitrate": 48, "sampleRate": 44100, "channels": 2},
    },
    layout={
        "mode": "custom",
        "canvas": {"width": 1280, "height": 720, "background": "#1A2b3C", "backgroundImage": "https://img.example.com/bg.png"},
        "regions": [
            {
                "streamIndex": 1, "x": 0, "y": 2, "width": 1280, "height": 718, "zOrder": 1, "alpha": 0.5, "renderMode": "fit",
                "sourceCrop": {"x": 0.1, "y": 0.2, "width": 0.9, "height": 0.8}, "alternateImage": "https://img.example.com/off.png",
                "alternateImageFill": "ownRatio", "cornerRadius": 0.1, "media": "video",
            },
            {"streamIndex": 0, "width": 320, "height": 180, "renderMode": "fill", "media": "audio"},
        ],
    },
    control={
        "media": "audioVideo", "frameInterpolation": "black", "maxIdle": "10m", "maxDuration": "4h", "uploadWhileRecording": True,
    },
    files={"formats": ["mp4", "hls", "flv"], "prefix": ["evening", "news"], "pattern": "{TaskId}_{Random}"},
)  # fmt: skip

BODIES = [
    pytest.param(
        spec(),
        {
            **IDS,
            "RecordMode": 0,
            "Encode": {"VideoWidth": 640, "VideoHeight": 480, **VIDEO, **AUDIO},
            "Layout": {"LayoutMode": 0},
            "Control": CONTROL,
            "StorageConfig": TOS_BODY,
        },
        id="least: every default is sent, so that what is compared is what was sent",
    ),
    pytest.param(
        FULL,
        {
            **IDS,
            "TaskId": "Task@1",
            "BusinessId": "B1",
            "RecordMode": 0,
            "TargetStreams": {
                "StreamList": [{"UserId": "host", "StreamType": 0, "Index": 0}, {"UserId": "host", "StreamType": 1, "Index": 1}]
            },
            "ExcludeStreams": {"StreamList": [{"UserId": "ad", "StreamType": 0, "Index": 3}, {"UserId": "bot", "StreamType": 0}]},
            "Encode": {
                "VideoWidth": 1280, "VideoHeight": 720, "VideoFps": 25, "VideoBitrate": 2500, "VideoCodec": 1, "VideoGop": 2,
                "AudioCodec": 0, "AudioProfile": 2, "AudioBitrate": 48, "AudioSampleRate": 44100, "AudioChannels": 2,
            },
            "Layout": {
                "LayoutMode": 2,
                "CustomLayout": {
                    "Canvas": {"Width": 1280, "Height": 720, "Background": "#1a2b3c", "BackgroundImage": "https://img.example.com/bg.png"},
                    "Regions": [
                        {
                            "StreamIndex": 1, "LocationX": 0, "LocationY": 2, "Width": 1280, "Height": 718, "ZOrder": 1, "Alpha": 0.5,
                            "RenderMode": 2,
                            "SourceCrop": {"LocationX": 0.1, "LocationY": 0.2, "WidthProportion": 0.9, "HeightProportion": 0.8},
                            "AlternateImage": "https://img.example.com/off.png", "AlternateImageFillMode": 1, "CornerRadius": 0.1,
                            "MediaType": 2,
                        },
                        {
                            "StreamIndex": 0, "LocationX": 0, "LocationY": 0, "Width": 320, "Height": 180, "ZOrder": 0, "Alpha": 1.0,
                            "RenderMode": 1,
                            "SourceCrop": {"LocationX": 0.0, "LocationY": 0.0, "WidthProportion": 1.0, "HeightProportion": 1.0},
                            "AlternateImageFillMode": 0, "CornerRadius": 0.0, "MediaType": 1,
                        },
                    ],
                },
            },
            "Control": {
                "MediaType": 0, "FrameInterpolationMode": 1, "MaxIdleTime": 600, "MaxRecordTime": 14400, "EnableSyncUpload": True,
            },
            "FileFormatConfig": {"FileFormat": ["MP4", "HLS", "FLV"]},
            "FileNameConfig": {"Prefix": ["evening", "news"], "Pattern": "{TaskId}_{Random}"},
            "StorageConfig": TOS_BODY,
        },
        id="custom layout with everything",
    ),
    pytest.param(
        spec(
            mode="single",
            streams=[{"user": "host"}],
            control={"media": "audio", "maxSilence": "2m"},
            files={"formats": ["mp3", "aac", "m4a"]},
        ),
        {
            **IDS,
            "RecordMode": 1,
            "TargetStreams": {"StreamList": [{"UserId": "host", "StreamType": 0}]},
            "Encode": {**VIDEO, **AUDIO},
            "Control": {**CONTROL, "MediaType": 1, "MaxSilenceSeconds": 120},
            "FileFormatConfig": {"FileFormat": ["MP3", "AAC", "M4A"]},
            "StorageConfig": TOS_BODY,
        },
        id="single: no layout, and the resolution follows the source",
    ),
    pytest.param(
        spec(
            layout={"mode": "vertical", "mainStream": {"user": "host", "type": "camera", "index": 2}},
            storage={
                "vod": {
                    "accountId": "2100000990", "region": "ap-southeast-1", "space": "Storagespace", "storageClass": "infrequentAccess",
                    "autoSetFileExtension": True,
                }
            },
        ),
        {
            **IDS,
            "RecordMode": 0,
            "Encode": {"VideoWidth": 640, "VideoHeight": 480, **VIDEO, **AUDIO},
            "Layout": {"LayoutMode": 1, "MainVideoStream": {"UserId": "host", "StreamType": 0, "Index": 2}},
            "Control": CONTROL,
            "StorageConfig": {
                "Type": 1,
                "VodConfig": {
                    "AccountId": "2100000990", "Region": 1, "Space": "Storagespace", "StorageClass": 3, "AutoSetFileExtension": True,
                },
            },
        },
        id="vertical, to video on demand",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("manifest", "body"), BODIES)
def test_bodies(manifest, body):
    assert started(manifest) == body


@pytest.mark.parametrize(("mode", "number"), [("adaptive", 0), ("sideBySide", 3)], ids=["adaptive", "sideBySide"])
def test_layout_modes(mode, number):
    assert started(spec(layout={"mode": mode}))["Layout"] == {"LayoutMode": number}


WORDS = [
    ("regions.0.renderMode", {"stretch": 3, "fill": 1, "fit": 2}, "RenderMode"),
    ("regions.0.alternateImageFill", {"videoRatio": 0, "ownRatio": 1}, "AlternateImageFillMode"),
    ("regions.0.media", {"audioVideo": 0, "audio": 1, "video": 2}, "MediaType"),
    ("encode.audio.profile", {"lc": 0, "heAac": 1, "heAacV2": 2}, "AudioProfile"),
    ("encode.video.codec", {"h264": 0, "bytevc1": 1}, "VideoCodec"),
    ("control.media", {"audioVideo": 0, "audio": 1}, "MediaType"),
    ("control.frameInterpolation", {"repeat": 0, "black": 1}, "FrameInterpolationMode"),
    ("storage.vod.storageClass", {"standard": 1, "archive": 2, "infrequentAccess": 3}, "StorageClass"),
    ("storage.tos.region", {"cn-beijing": 0, "cn-guangzhou": 1, "cn-shanghai": 2, "ap-southeast-1": 3}, "Region"),
    ("storage.vod.region", {"cn-north-1": 0, "ap-southeast-1": 1}, "Region"),
]


@pytest.mark.parametrize(("path", "words", "name"), WORDS, ids=[path for path, _, _ in WORDS])
def test_words_become_the_vendors_integers(path, words, name):
    for word, number in words.items():
        match path.split("."):
            case ["regions", _, key]:
                body = started(custom(regions=[LARGE, {**SMALL, key: word}]))["Layout"]["CustomLayout"]["Regions"][1]
            case ["encode", block, key]:
                body = started(spec(encode={block: {key: word}}))["Encode"]
            case ["control", key]:
                body = started(spec(control={key: word}))["Control"]
            case ["storage", "tos", key]:
                body = started(spec(storage={"tos": {"accountId": "1", "bucket": "b", key: word}}))["StorageConfig"]["TosConfig"]
            case ["storage", _, key]:
                body = started(spec(storage={"vod": {"accountId": "1", "space": "s", key: word}}))["StorageConfig"]["VodConfig"]
        assert body[name] == number


@pytest.mark.parametrize(
    ("store", "vendor", "region"),
    [
        ({"vendor": "amazonS3", "region": "us-east-1"}, 0, 0),
        ({"vendor": "amazonS3", "region": "af-south-1"}, 0, 24),
        ({"vendor": "amazonS3", "region": "cn-north-1"}, 0, 15),
        ({}, 0, 0),
        ({"vendor": "aliyunOss", "region": "us-east-1"}, 1, 13),
        ({"vendor": "aliyunOss", "region": 21}, 1, 21),
        ({"vendor": "aliyunOss"}, 1, 0),
        ({"vendor": "huaweiObs", "region": 4}, 2, 4),
        ({"vendor": "tencentCos", "region": 0}, 3, 0),
        ({"vendor": "qiniuKodo"}, 4, 0),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_third_party_stores(store, vendor, region):
    keys = {"bucket": "b", "accessKey": Secret("AK"), "secretKey": Secret("SK")}
    assert started(spec(storage={"custom": {**keys, **store}}))["StorageConfig"] == {
        "Type": 2,
        "CustomConfig": {"Vendor": vendor, "Region": region, "Bucket": "b", "AccessKey": "AK", "SecretKey": "SK"},
    }


def test_secrets_stay_references_until_they_are_sent():
    keys = {"accessKey": {"fromEnv": "S3_KEY"}, "secretKey": {"fromFile": "keys/s3"}, "securityToken": {"fromEnv": "S3_TOKEN"}}
    values = canonical(spec(storage={"custom": {"bucket": "b", **keys}}))
    store = values["storage"]["custom"]
    assert {key: store[key].reference for key in keys} == {
        "accessKey": "env:S3_KEY",
        "secretKey": "file:keys/s3",
        "securityToken": "env:S3_TOKEN",
    }
    resolved = {**values, "storage": {"custom": {**store, **{key: store[key].resolved(key) for key in keys}}}}
    body = KIND.create(Desired(Address("RecordingSession", "town-hall"), resolved, Place("a.yaml"))).send(None).body
    assert body["StorageConfig"]["CustomConfig"] == {
        "Vendor": 0, "Region": 0, "Bucket": "b", "AccessKey": "accessKey", "SecretKey": "secretKey", "SecurityToken": "securityToken",
    }  # fmt: skip


def test_a_later_incarnation_starts_under_another_task_id():
    assert started(spec(), incarnation=3)["TaskId"] == "town-hall.3"


# --- canonical form ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (spec(), spec(mode="mixed", layout={"mode": "adaptive"}, control={"maxIdle": "3m"}, encode={"video": {"width": 640, "fps": 15}})),
        (spec(), spec(streams=[], excludeStreams=[], files={"prefix": [], "formats": []}, taskId="town-hall")),
        (spec(), spec(files={"pattern": ""})),
        (spec(streams=[{"user": "a"}, {"user": "b"}]), spec(streams=[{"user": "b", "type": "camera"}, {"user": "a", "index": 0}])),
        (custom(canvas={"background": "#ABCDEF"}), custom(canvas={"background": "#abcdef", "width": 640, "height": 480})),
        (custom(), custom(canvas={})),
        (custom(), {**custom(), "streams": STREAMS[::-1]}),
        (spec(files={"formats": ["mp4", "hls"]}), spec(files={"formats": ["hls", "mp4"]})),
        (spec(control={"maxDuration": 7200}), spec(control={"maxDuration": "2h"})),
    ],
    ids=[
        "defaults",
        "empty lists",
        "empty pattern",
        "order of streams",
        "colour",
        "canvas",
        "order of indexed streams",
        "formats",
        "lengths",
    ],
)
def test_what_means_the_same_is_the_same(one, other):
    assert canonical(one) == canonical(other)


def test_regions_keep_their_order_and_streams_of_a_custom_layout_their_indices():
    values = canonical(custom())
    assert [region["streamIndex"] for region in values["layout"]["regions"]] == [1, 0]
    assert [stream["index"] for stream in values["streams"]] == [0, 1]
    single = canonical(spec(streams=[{"user": "host"}], layout={"mode": "custom", "regions": [SMALL]}))
    assert single["streams"] == [{"index": 0, "user": "host", "type": "camera"}]


# --- mistakes ---------------------------------------------------------------------------------------------------------


def mistakes(manifest: dict[str, Any]) -> list[tuple[str, str]]:
    """Every (rule, path) that validation finds."""
    with pytest.raises(ValidationError) as wrong:
        RecordingSpec.model_validate(manifest)
    found = []
    for error in wrong.value.errors():
        context = error.get("ctx", {})
        above = [str(part) for part in error["loc"]]
        for one in [context, *context.get("more", [])] if "rule" in context else [{"rule": error["type"], "at": ""}]:
            found.append((one["rule"], ".".join([*above, *([one["at"]] if one["at"] else [])])))
    return found


def other(**store: Any) -> dict[str, Any]:
    return spec(storage={"custom": {"bucket": "b", "accessKey": {"fromEnv": "A"}, "secretKey": {"fromEnv": "B"}, **store}})


def video(**values: Any) -> dict[str, Any]:
    return spec(encode={"video": values})


def audio(**values: Any) -> dict[str, Any]:
    return spec(encode={"audio": values})


def region(**values: Any) -> dict[str, Any]:
    return custom(regions=[LARGE, {**SMALL, **values}])


MISTAKES = [
    (spec(appId=""), [("RC201", "appId")], "empty id"),
    (spec(roomId="Room 1"), [("RC201", "roomId")], "space in an id"),
    (spec(taskId="t" * 129), [("RC201", "taskId")], "id too long"),
    (spec(businessId="业务"), [("RC201", "businessId")], "other letters in an id"),
    (spec(roomId="Room1\n"), [("RC201", "roomId")], "the pattern is anchored"),
    (spec(streams=[{"user": "a/b"}]), [("RC201", "streams.0.user")], "user id"),
    (spec(streams=[{"user": f"u{n}"} for n in range(18)]), [("RC202", "streams")], "18 streams"),
    (spec(excludeStreams=[{"user": f"u{n}"} for n in range(18)]), [("RC202", "excludeStreams")], "18 excluded streams"),
    (spec(streams=[{"user": "a", "index": 4}, {"user": "b", "index": 4}]), [("RC203", "streams.1.index")], "one index twice"),
    (spec(streams=[{"user": "a", "index": -1}]), [("RC203", "streams.0.index")], "negative index"),
    (spec(streams=[{"user": "a"}, {"user": "a"}]), [("RC204", "streams.1")], "one stream twice"),
    (spec(storage={}), [("RC205", "storage")], "no store"),
    (spec(storage={**TOS, **other()["storage"]}), [("RC205", "storage")], "two stores"),
    (other(region="eu-central-1"), [("RC206", "storage.custom.region")], "unsupported region"),
    (other(region="moon-1"), [("RC206", "storage.custom.region")], "no such region"),
    (other(region=3), [("RC206", "storage.custom.region")], "integer where names are known"),
    (other(vendor="aliyunOss", region=20), [("RC206", "storage.custom.region")], "integer of a known name"),
    (other(vendor="tencentCos", region="ap-guangzhou"), [("RC206", "storage.custom.region")], "name where the table is unknown"),
    (other(vendor="huaweiObs", region=-1), [("RC206", "storage.custom.region")], "negative region"),
    (spec(storage={"tos": {"accountId": "1", "bucket": "b", "region": "cn-north-1"}}),
     [("literal_error", "storage.tos.region")], "no TOS region"),
    (spec(storage={"tos": {"accountId": "", "bucket": " "}}),
     [("RC207", "storage.tos.accountId"), ("RC207", "storage.tos.bucket")], "empty"),
    (spec(storage={"tos": {"UserAccountId": "1", "bucket": "b"}}),
     [("missing", "storage.tos.accountId"), ("extra_forbidden", "storage.tos.UserAccountId")], "the older version's name"),
    (spec(storage={"vod": {"accountId": "1", "space": ""}}), [("RC207", "storage.vod.space")], "empty space"),
    (other(vendor="qiniuKodo", securityToken={"fromEnv": "T"}), [("RC208", "storage.custom.securityToken")], "token for Kodo"),
    (other(accessKey="AKLTMzV"), [("RC023", "storage.custom.accessKey")], "literal secret"),
    (video(width=0), [("RC210", "encode.video.width")], "width 0"),
    (video(width=641, height=4098), [("RC210", "encode.video.width"), ("RC210", "encode.video.height")], "odd, and above 4K"),
    (custom(canvas={"width": 7}), [("RC210", "layout.canvas.width")], "odd canvas"),
    (video(fps=0, bitrate=10001, gop="6s"),
     [("RC211", "encode.video.fps"), ("RC211", "encode.video.bitrate"), ("RC211", "encode.video.gop")], "video out of range"),
    (video(fps=61, bitrate=-1, gop=0),
     [("RC211", "encode.video.fps"), ("RC211", "encode.video.bitrate"), ("RC211", "encode.video.gop")], "video out of range, other ends"),
    (audio(bitrate=31, sampleRate=16000, channels=3),
     [("RC212", "encode.audio.bitrate"), ("RC212", "encode.audio.sampleRate"), ("RC212", "encode.audio.channels")], "audio out of range"),
    (audio(bitrate=193), [("RC212", "encode.audio.bitrate")], "audio bitrate too high"),
    (audio(profile="heAacV2", channels=1), [("RC213", "encode.audio.channels")], "heAacV2 in mono"),
    (video(codec="av1"), [("literal_error", "encode.video.codec")], "no such codec"),
    (region(x=640, y=-1), [("RC214", "layout.regions.1.x"), ("RC214", "layout.regions.1.y")], "region begins outside"),
    (region(width=642, height=0),
     [("RC214", "layout.regions.1.width"), ("RC214", "layout.regions.1.height")], "region too large, too small"),
    (region(zOrder=101, alpha=0.0, cornerRadius=1.5),
     [("RC215", "layout.regions.1.zOrder"), ("RC215", "layout.regions.1.alpha"), ("RC215", "layout.regions.1.cornerRadius")],
     "region values"),
    (region(alpha=1.01), [("RC215", "layout.regions.1.alpha")], "alpha above 1"),
    (region(sourceCrop={"x": 1.0, "y": -0.1, "width": 0.0, "height": 1.1}),
     [("RC216", f"layout.regions.1.sourceCrop.{name}") for name in ("x", "y", "width", "height")], "crop"),
    (custom(canvas={"background": "black"}), [("RC217", "layout.canvas.background")], "colour by name"),
    (custom(canvas={"background": "#fff"}), [("RC217", "layout.canvas.background")], "short colour"),
    (custom(canvas={"backgroundImage": "ftp://x/y.png"}), [("RC218", "layout.canvas.backgroundImage")], "picture by ftp"),
    (region(alternateImage="https://x/" + "y" * 1024), [("RC218", "layout.regions.1.alternateImage")], "picture's URL too long"),
    (region(alternateImage="https://x/" + "图" * 1015), [("RC218", "layout.regions.1.alternateImage")], "1025 characters"),
    (custom(canvas={"backgroundImage": "https://x/" + "图" * 338 + "y"}), [("RC218", "layout.canvas.backgroundImage")], "1025 bytes"),
    (spec(excludeStreams=[{"user": "a", "type": "screen"}]), [("RC220", "excludeStreams.0.type")], "excluded screen"),
    (spec(streams=[{"user": "a"}], excludeStreams=[{"user": "a"}]), [("RC221", "excludeStreams.0")], "wanted and excluded"),
    (spec(mode="single", layout={"mode": "adaptive"}), [("RC222", "layout")], "layout of single streams"),
    (spec(layout={"mode": "vertical"}), [("RC223", "layout")], "vertical without main stream"),
    (spec(layout={"mainStream": {"user": "a"}}), [("RC224", "layout.mainStream")], "main stream unused"),
    (spec(layout={"canvas": {}, "regions": []}), [("RC224", "layout.canvas"), ("RC224", "layout.regions")], "custom parts, other mode"),
    (spec(layout={"mode": "custom", "regions": [SMALL]}), [("RC225", "layout")], "custom without streams"),
    (spec(streams=STREAMS, layout={"mode": "custom"}), [("RC225", "layout")], "custom without regions"),
    (custom(regions=[SMALL]), [("RC225", "streams.1")], "stream without region"),
    (custom(regions=[SMALL, LARGE, LARGE]), [("RC225", "layout.regions.2.streamIndex")], "two regions of one stream"),
    (custom(regions=[SMALL, LARGE, {**SMALL, "streamIndex": 5}]), [("RC225", "layout.regions.2.streamIndex")], "region without stream"),
    (spec(streams=[{"user": "a"}, {"user": "b", "index": 1}], layout={"mode": "custom", "regions": [SMALL, LARGE]}),
     [("RC226", "streams.0")], "custom stream without index"),
    (spec(control={"maxIdle": 9, "maxSilence": "61m"}),
     [("RC230", "control.maxSilence"), ("RC230", "control.maxIdle")], "times out of range"),
    (spec(control={"maxIdle": 86401}, mode="single"), [("RC230", "control.maxIdle")], "idle too long"),
    (spec(control={"uploadWhileRecording": True}, files={"formats": ["mp4"]}),
     [("RC232", "control.uploadWhileRecording")], "upload without hls"),
    (spec(files={"formats": ["mp4", "mp3"]}), [("RC233", "files.formats.1")], "sound format of a video"),
    (spec(files={"formats": ["mp4", "MP4"]}), [("literal_error", "files.formats.1")], "upper case"),
    (spec(files={"prefix": ["a-b", "c", ""]}), [("RC234", "files.prefix.0"), ("RC234", "files.prefix.2")], "prefix"),
    (spec(files={"prefix": ["a" * 64, "b" * 63]}), [("RC234", "files.prefix")], "prefix too long"),
    (spec(files={"formats": ["mp4", "mp4"]}), [("RC235", "files.formats.1")], "one format twice"),
    (spec(recordMode=0), [("extra_forbidden", "recordMode")], "the vendor's name"),
    (spec(mode=0), [("literal_error", "mode")], "the vendor's integer"),
    (spec(control={"maxIdle": "3 minutes"}), [("RC021", "control.maxIdle")], "no length of time"),
    (spec(mode="single", streams=[{"user": "a"}, {"user": "a"}], layout={}, files={"formats": ["aac"]},
          control={"uploadWhileRecording": True}),
     [("RC204", "streams.1"), ("RC222", "layout"), ("RC232", "control.uploadWhileRecording"), ("RC233", "files.formats.0")],
     "several at once"),
]  # fmt: skip


@pytest.mark.parametrize(("manifest", "expected"), [pytest.param(*case[:2], id=case[2]) for case in MISTAKES])
def test_mistakes(manifest, expected):
    assert mistakes(manifest) == expected


@pytest.mark.parametrize(
    "manifest",
    [
        spec(taskId="t" * 128, businessId="aZ9_@-."),
        spec(streams=[{"user": f"u{n}"} for n in range(17)]),
        spec(streams=[{"user": "a"}, {"user": "a", "type": "screen"}]),
        video(width=2, height=1920, fps=60, bitrate=10000, gop=1),
        audio(bitrate=192, sampleRate=32000, channels=1, profile="heAac"),
        spec(control={"maxSilence": 60}),
        region(x=638, y=478, width=640, height=480, zOrder=100, alpha=0.01, cornerRadius=1),
        region(sourceCrop={"x": 0.999, "y": 0, "width": 1, "height": 0.001}),
        spec(control={"maxIdle": 10, "maxDuration": 0}),
        spec(mode="single", control={"maxIdle": "24h", "maxSilence": "1h"}),
        spec(files={"prefix": ["a" * 63, "b" * 63]}),
        custom(canvas={"background": "#FFffFF", "backgroundImage": "http://x/" + "y" * 1015}),
        custom(canvas={"backgroundImage": "https://x/" + "图" * 338}),
        region(alternateImage="https://x/" + "图" * 1014),
        {**custom(), "streams": [STREAMS[0], {**STREAMS[0], "index": 1}]},
    ],
    ids=[
        "ids",
        "17 streams",
        "camera and screen",
        "video",
        "audio",
        "silence of a mix",
        "region",
        "crop",
        "control",
        "single",
        "prefix",
        "canvas",
        "1024 bytes",
        "1024 characters",
        "one stream, two regions",
    ],
)
def test_limits_themselves_are_accepted(manifest):
    RecordingSpec.model_validate(manifest)


def test_a_mistake_tells_value_limit_and_what_to_write():
    with pytest.raises(ValidationError) as wrong:
        RecordingSpec.model_validate(video(fps=75))
    [error] = wrong.value.errors()
    assert (error["msg"], error["ctx"]["help"]) == ("fps is 75, the vendor accepts 1 to 60", "write 1 to 60")


# --- doubts -----------------------------------------------------------------------------------------------------------

SHORT = {"maxDuration": "4h"}


def doubts(manifest: dict[str, Any], **more: Any) -> list[tuple[str, str]]:
    found = list(KIND.vet(wanted(manifest, **more)))
    assert all(one.severity is Severity.WARNING and one.address == "RecordingSession/town-hall" and one.place for one in found)
    return [(one.rule, one.path) for one in found]


DOUBTS = [
    (spec(), [("RC254", "spec.control.maxDuration")], "no maxDuration"),
    (spec(control={"maxDuration": "72h1s"}), [("RC254", "spec.control.maxDuration")], "above 72 h"),
    (spec(control={"maxDuration": "72h"}), [], "72 h"),
    (spec(encode={"video": {"width": 3840, "height": 2160}}, control=SHORT),
     [("RC250", "spec.encode.video.width"), ("RC250", "spec.encode.video.height")], "4K"),
    ({**custom(canvas={"width": 1922, "height": 480}), "control": SHORT}, [("RC250", "spec.layout.canvas.width")], "wide canvas"),
    ({**region(x=400, y=301), "control": SHORT},
     [("RC251", "spec.layout.regions.1.width"), ("RC251", "spec.layout.regions.1.height")], "over the canvas"),
    ({**video(codec="bytevc1", gop=2), "control": SHORT},
     [("RC252", "spec.encode.video.codec"), ("RC252", "spec.encode.video.gop")], "codec and gop"),
    ({**video(width=320), "mode": "single", "control": SHORT}, [("RC252", "spec.encode.video.width")], "size of single streams"),
    ({**custom(), "encode": {"video": {"width": 320, "height": 480}}, "control": SHORT},
     [("RC252", "spec.encode.video.width")], "size beside a canvas"),
    (spec(mode="single", control={**SHORT, "maxSilence": "1h"}), [("RC253", "spec.control.maxSilence")], "silence above idle"),
    (spec(control={**SHORT, "maxSilence": "1h"}), [("RC231", "spec.control.maxSilence")], "silence of a mix"),
    (spec(mode="single", control=SHORT), [], "silence by default"),
    (spec(control={**SHORT, "frameInterpolation": "black"}), [("RC262", "spec.control.frameInterpolation")], "adaptive frames"),
    (spec(mode="single", control={**SHORT, "frameInterpolation": "black"}), [], "frames of single streams"),
    ({**region(width=200, height=100, cornerRadius=0.08), "control": SHORT},
     [("RC262", "spec.layout.regions.1.cornerRadius")], "corners above half a side"),
    ({**region(width=200, height=100, cornerRadius=0.078125), "control": SHORT}, [], "corners of half a side"),
    (spec(files={"pattern": "{taskid}_{RomId}_{Ramdom}_{x}"}, control=SHORT),
     [("RC255", "spec.files.pattern")] * 3, "misspelled variables"),
    (spec(files={"pattern": "{TaskId}_{RoomId}_{StartTime}_" + "x" * 99}, control=SHORT), [("RC263", "spec.files.pattern")], "129 characters"),
    (spec(files={"pattern": "{TaskId}_{RoomId}_{StartTime}_" + "x" * 98}, control=SHORT), [], "128 characters"),
    ({**region(alternateImage="https://x/a.GIF?b=.png"), "control": SHORT}, [("RC256", "spec.layout.regions.1.alternateImage")], "gif"),
    ({**custom(canvas={"backgroundImage": "https://x/a.webp"}), "control": SHORT},
     [("RC256", "spec.layout.canvas.backgroundImage")], "webp"),
    ({**custom(canvas={"backgroundImage": "https://x.example/a"}), "control": SHORT}, [], "picture without a suffix"),
    (spec(files={"prefix": ["a"]}, storage={"vod": {"accountId": "1", "space": "s"}}, control=SHORT),
     [("RC257", "spec.files.prefix")], "vod"),
    ({**audio(profile="heAac", bitrate=129), "control": SHORT}, [("RC258", "spec.encode.audio.bitrate")], "capped"),
    (spec(layout={"mode": "vertical", "mainStream": {"user": "a", "type": "screen"}}, control=SHORT),
     [("RC259", "spec.layout.mainStream.type")], "screen as main stream"),
    (spec(files={"formats": ["hls"], "pattern": "{Duration}"}, control={**SHORT, "uploadWhileRecording": True}),
     [("RC261", "spec.files.pattern")], "duration of hls"),
]  # fmt: skip


@pytest.mark.parametrize(("manifest", "expected"), [pytest.param(*case[:2], id=case[2]) for case in DOUBTS])
def test_doubts(manifest, expected):
    assert doubts(manifest) == expected


def test_a_window_longer_than_the_recording_is_a_doubt():
    start = datetime(2026, 12, 1, 11, tzinfo=UTC)
    timing = Timing(Window(start, start + timedelta(hours=5)))
    assert doubts(spec(control=SHORT), timing=timing) == [("RC260", "spec.control.maxDuration")]
    assert doubts(spec(control={"maxDuration": "5h"}), timing=timing) == []


def test_a_doubt_stands_at_the_nearest_written_value():
    at, hints = Place("a.yaml", 9, 3), {"spec.control": Place("a.yaml", 9, 3)}
    [found] = KIND.vet(wanted(spec(control={"maxDuration": "80h"}), **hints))
    assert (found.place, found.message) == (at, "the session may last 3d8h and becomes unobservable 72 hours after its start")
    misspelled = list(KIND.vet(wanted(spec(control=SHORT, files={"pattern": "{Ramdom}"}))))
    assert misspelled[0].help == "did you mean {Random}?"


# --- in place or anew -------------------------------------------------------------------------------------------------

CUSTOM, ADAPTIVE, SINGLE = custom(), spec(streams=STREAMS), spec(mode="single")


@pytest.mark.parametrize(
    ("path", "want", "now", "anew"),
    [
        ("spec.streams", CUSTOM, CUSTOM, False),
        ("spec.streams.0.user", CUSTOM, CUSTOM, False),
        ("spec.layout.regions", CUSTOM, CUSTOM, False),
        ("spec.layout.regions.1.x", CUSTOM, CUSTOM, False),
        ("spec.layout.canvas.background", CUSTOM, CUSTOM, False),
        ("spec.layout.canvas.backgroundImage", CUSTOM, CUSTOM, False),
        ("spec.layout.canvas.width", CUSTOM, CUSTOM, True),
        ("spec.layout.canvas", CUSTOM, CUSTOM, True),
        ("spec.layout.mode", CUSTOM, ADAPTIVE, True),
        ("spec.streams", CUSTOM, ADAPTIVE, True),
        ("spec.streams", ADAPTIVE, CUSTOM, True),
        ("spec.streams", ADAPTIVE, ADAPTIVE, True),
        ("spec.streams", CUSTOM, None, True),
        ("spec.encode.video.fps", CUSTOM, CUSTOM, True),
        ("spec.excludeStreams", CUSTOM, CUSTOM, True),
        ("spec.businessId", CUSTOM, CUSTOM, True),
        ("spec.storage.custom.secretKey", CUSTOM, CUSTOM, True),
        ("spec.taskId", CUSTOM, CUSTOM, True),
        ("schedule.end", CUSTOM, CUSTOM, False),
        ("spec.control.maxSilence", ADAPTIVE, ADAPTIVE, False),
        ("spec.control.maxSilence", SINGLE, SINGLE, True),
        ("spec.control.maxSilence", SINGLE, ADAPTIVE, True),
        ("spec.encode.video.width", CUSTOM, CUSTOM, False),
        ("spec.encode.video.height", ADAPTIVE, ADAPTIVE, True),
        ("spec.encode.video.height", ADAPTIVE, CUSTOM, True),
    ],
)
def test_what_replaces(path, want, now, anew):
    assert KIND.replaces(path, wanted(want), live(canonical(now) if now else {})) is anew
    assert not KIND.interrupts(path)


def test_update_sends_all_that_it_takes_to_the_task_that_runs():
    want = wanted({**custom(canvas={"width": 1280, "height": 720, "background": "#010203"}), "businessId": "B1"}, incarnation=2)
    _, steps = drive(KIND.update(want, live({}, f"{APP}/Room1/town-hall.2"), ["spec.layout.canvas.background"]), ["ok"])
    [call] = calls(steps)
    whole = started({**custom(canvas={"width": 1280, "height": 720, "background": "#010203"}), "businessId": "B1"})
    assert call.action == "UpdateRecord"
    assert call.body == {
        **IDS,
        "TaskId": "town-hall.2",
        "BusinessId": "B1",
        "TargetStreams": whole["TargetStreams"],
        "Layout": {
            "LayoutMode": 2,
            "CustomLayout": {
                "Canvas": {"Width": 1280, "Height": 720, "Background": "#010203", "BackgroundImage": ""},
                "Regions": whole["Layout"]["CustomLayout"]["Regions"],
            },
        },
    }


@pytest.mark.parametrize(
    ("manifest", "fields"),
    [
        (CUSTOM, ["schedule.end"]),
        (spec(control={"maxSilence": "2m"}), ["spec.control.maxSilence"]),
        (CUSTOM, ["spec.encode.video.width", "spec.encode.video.height", "schedule.end"]),
    ],
    ids=["schedule", "silence of a mix", "size beside a canvas"],
)
def test_an_update_of_what_the_vendor_heeds_not_sends_nothing(manifest, fields):
    _, steps = drive(KIND.update(wanted(manifest), live(canonical(manifest)), fields), [])
    assert steps == []


# --- reading ----------------------------------------------------------------------------------------------------------


def test_the_configuration_is_never_read():
    reply = {"RecordTask": {"StartTime": 1698800000000, "EndTime": 0, "Status": 2, "StopReason": "", "RecordFileList": []}}
    address = Address("RecordingSession", "town-hall")
    entry = Entry(address, "default", f"{APP}/Room1/town-hall", "", applied=canonical(spec()))
    survey, _ = drive(KIND.observe([Lookup(address, "ws", wanted(spec()), entry)]), [reply])
    [found] = survey.answers
    assert (found.values, found.unread, found.started) == ({}, EVERYTHING, datetime(2023, 11, 1, 0, 53, 20, tzinfo=UTC))


# --- what editors get -------------------------------------------------------------------------------------------------


def test_every_field_is_described_and_the_schema_knows_the_ranges():
    form = wire.shape(RecordingSpec)
    assert [path for path, field in form.by_path.items() if not field.doc] == []
    schema = RecordingSpec.model_json_schema()["$defs"]
    assert (schema["VideoEncode"]["properties"]["fps"]["minimum"], schema["VideoEncode"]["properties"]["fps"]["maximum"]) == (1, 60)
    assert schema["Region"]["properties"]["alpha"]["exclusiveMinimum"] == 0
    assert schema["TosStorage"]["properties"]["region"]["enum"] == ["cn-beijing", "cn-guangzhou", "cn-shanghai", "ap-southeast-1"]
