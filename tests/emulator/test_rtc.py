"""Recording and slicing tasks: what is accepted, how they run and end by the clock, and every undocumented behaviour."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from reconciler.emulator import rtc
from reconciler.emulator.core import World
from tests.emulator.volc import CUSTOM, IDENT, NOW, TOS, Volc, custom_layout, start, world_at_noon

SENTENCE = "The task has been started. Please do not call the startup task interface repeatedly"
GONE = "InvalidParameter.ErrorActiveTaskNotFound"
MS = NOW * 1000
KINDS = [("Record", "GetRecordTask", "RecordTask"), ("Segment", "GetSegmentTask", "SegmentTask")]


def volc(**switches: str) -> Volc:
    return Volc(world_at_noon(**switches), "rtc")


def task(api: Volc, kind: str = "Segment") -> dict[str, Any]:
    return dict(api.must(f"Get{kind}Task", IDENT)[f"{kind}Task"])


def rooms(world: World, **room: Any) -> None:
    rtc.fixtures(world, {"rooms": {"Room1": room}})


HOST = [{"UserId": "host", "StreamType": 0}]


# -- what StartRecord and StartSegment accept ------------------------------------------------------------------------------


def streams(*users: str, **more: Any) -> dict[str, Any]:
    return {"StreamList": [{"Index": number, "UserId": user, **more} for number, user in enumerate(users)]}


def changed(path: str, value: Any, **canvas: Any) -> dict[str, Any]:
    """A start body with a custom layout, one leaf of it changed (`Layout.CustomLayout.Regions.0.Alpha`)."""
    body: dict[str, Any] = copy.deepcopy(start(**custom_layout(**canvas)))
    holder: Any = body
    *steps, last = path.split(".")
    for step in steps:
        holder = holder[int(step)] if step.isdigit() else holder.setdefault(step, {})
    holder[last] = value
    return body


def two_alike() -> dict[str, Any]:
    """Index defaults to 0: without one, the regions of two streams cannot be told apart."""
    body = changed("TargetStreams", {"StreamList": [{"UserId": "a"}, {"UserId": "b"}]})
    for region in body["Layout"]["CustomLayout"]["Regions"]:
        region["StreamIndex"] = 0
    return body


REGION = "Layout.CustomLayout.Regions.0."
CANVAS = "Layout.CustomLayout.Canvas."

RECORDS = [
    ("least", start()),
    ("single mode", start(RecordMode=1, Control={"MaxSilenceSeconds": 60})),
    ("17 streams", start(TargetStreams=streams(*(f"u{n}" for n in range(17))))),
    ("streams without index", start(TargetStreams={"StreamList": [{"UserId": "a"}, {"UserId": "b"}]})),
    ("same user, screen and camera", start(TargetStreams=streams("a"), ExcludeStreams=None)),
    ("custom layout", start(**custom_layout(Background="#FFaa00", BackgroundImage="https://i.example/1.png"))),
    ("vertical layout", start(Layout={"LayoutMode": 1, "MainVideoStream": {"UserId": "a"}})),
    ("every format for sound", start(Control={"MediaType": 1}, FileFormatConfig={"FileFormat": ["MP3", "AAC", "M4A"]})),
    ("synchronous upload", start(Control={"EnableSyncUpload": True}, FileFormatConfig={"FileFormat": ["HLS"]})),
    ("VOD storage", start(StorageConfig={"Type": 1, "VodConfig": {"AccountId": "1", "Space": "s", "StorageClass": 2}})),
    ("own storage with a token", start(StorageConfig={"Type": 2, "CustomConfig": {**CUSTOM["CustomConfig"], "SecurityToken": "t"}})),
    ("storage type left out", start(StorageConfig={"TosConfig": TOS["TosConfig"]})),
    ("ids with every sign", start(RoomId="a_B@1-.", TaskId="x" * 128)),
    ("nulls are fields not sent", {**start(), "Encode": None, "Layout": None}),
    ("encode at its limits", start(Encode={"VideoWidth": 1920, "VideoHeight": 2, "VideoFps": 60, "VideoGop": 5,
                                           "AudioBitrate": 192, "AudioProfile": 2, "AudioSampleRate": 44100})),
    ("region at its limits", changed(REGION + "Alpha", 1)),
]  # fmt: skip

BAD_RECORDS = [
    ("empty body", b"", "InvalidParameter.BodyIsEmpty"),
    ("not JSON", b"{", "InvalidParameter.Unmarshal"),
    ("a list", b"[]", "InvalidParameter.Unmarshal"),
    ("text for a number, as a published sample has it", start(StorageConfig={"TosConfig": {**TOS["TosConfig"], "Region": "0"}}),
     "InvalidParameter.Unmarshal"),
    ("number for an id", start(RoomId=7), "InvalidParameter.Unmarshal"),
    ("no AppId", start(AppId=None), "InvalidParameter"),
    ("AppId with a slash", start(AppId="a/b"), "InvalidParameter.IllegalAppId"),
    ("room with a space", start(RoomId="a b"), "InvalidParameter.IllegalRoomID"),
    ("room with a newline at its end", start(RoomId="a\n"), "InvalidParameter.IllegalRoomID"),
    ("task id of 129", start(TaskId="x" * 129), "InvalidParameter"),
    ("no storage", start(StorageConfig=None), "InvalidParameter"),
    ("storage of another type", start(StorageConfig={**TOS, "Type": 1}), "InvalidParameter"),
    ("snapshot storage", start(StorageConfig={"Type": 3}), "InvalidParameter"),
    ("UserAccountId, as a published sample has it", start(StorageConfig={"TosConfig": {"UserAccountId": "1", "Bucket": "b"}}),
     "InvalidParameter.EmptyAccountId"),
    ("no bucket", start(StorageConfig={"TosConfig": {"AccountId": "1"}}), "InvalidParameter"),
    ("own storage without secret", start(StorageConfig={"Type": 2, "CustomConfig": {"Bucket": "b", "AccessKey": "a"}}),
     "InvalidParameter"),
    ("18 streams", start(TargetStreams=streams(*(f"u{n}" for n in range(18)))), "InvalidParameter"),
    ("an index twice", start(TargetStreams={"StreamList": [{"UserId": "a", "Index": 1}, {"UserId": "b", "Index": 1}]}),
     "InvalidParameter"),
    ("a stream without user", start(TargetStreams={"StreamList": [{"Index": 1}]}), "InvalidParameter"),
    ("wanted and excluded", start(TargetStreams=streams("a"), ExcludeStreams=streams("a")), "InvalidParameter"),
    ("a screen excluded", start(ExcludeStreams=streams("a", StreamType=1)), "InvalidParameter"),
    ("layout in single mode", start(RecordMode=1, Layout={"LayoutMode": 0}), "InvalidParameter"),
    ("vertical layout without its main stream", start(Layout={"LayoutMode": 1}), "InvalidParameter"),
    ("custom layout without streams", start(Layout=custom_layout()["Layout"]), "InvalidParameter"),
    ("a region too few", changed("TargetStreams", streams("a", "b", "c")), "InvalidParameter"),
    ("streams without index in a custom layout", changed("TargetStreams", {"StreamList": [{"UserId": "a"}, {"UserId": "b"}]}),
     "InvalidParameter"),
    ("two regions for two streams of one index", two_alike(), "InvalidParameter"),
    ("region beside the canvas", changed(REGION + "LocationX", 1280), "InvalidParameter"),
    ("region below the canvas", changed(REGION + "LocationY", 720), "InvalidParameter"),
    ("region wider than the canvas", changed(REGION + "Width", 1281), "InvalidParameter"),
    ("region higher than the canvas", changed(REGION + "Height", 721), "InvalidParameter"),
    ("region without width", changed(REGION + "Width", 0), "InvalidParameter"),
    ("invisible region", changed(REGION + "Alpha", 0), "InvalidParameter"),
    ("ZOrder 101", changed(REGION + "ZOrder", 101), "InvalidParameter"),
    ("crop of everything", changed(REGION + "SourceCrop", {"LocationX": 1.0}), "InvalidParameter"),
    ("odd canvas", changed(CANVAS + "Width", 1281), "InvalidParameter"),
    ("canvas beyond the limit", changed(CANVAS + "Width", 1922), "InvalidParameter"),
    ("colour by name", changed(CANVAS + "Background", "red"), "InvalidParameter"),
    ("picture address of 1025 bytes", changed(CANVAS + "BackgroundImage", "é" * 512 + "a"), "InvalidParameter"),
    ("odd video", start(Encode={"VideoWidth": 641}), "InvalidParameter"),
    ("fps 61", start(Encode={"VideoFps": 61}), "InvalidParameter"),
    ("sample rate", start(Encode={"AudioSampleRate": 8000}), "InvalidParameter"),
    ("HE-AAC v2 in mono", start(Encode={"AudioProfile": 2, "AudioChannels": 1}), "InvalidParameter"),
    ("idle of 9 s", start(Control={"MaxIdleTime": 9}), "InvalidParameter"),
    ("silence in mixed mode", start(Control={"MaxSilenceSeconds": 60}), "InvalidParameter"),
    ("negative record time", start(Control={"MaxRecordTime": -1}), "InvalidParameter"),
    ("synchronous upload of MP4", start(Control={"EnableSyncUpload": True}), "InvalidParameter"),
    ("MP3 with video", start(FileFormatConfig={"FileFormat": ["MP3"]}), "InvalidParameter"),
    ("unknown format", start(FileFormatConfig={"FileFormat": ["AVI"]}), "InvalidParameter"),
    ("prefix with a slash", start(FileNameConfig={"Prefix": ["a/b"]}), "InvalidParameter"),
    ("prefix too long", start(FileNameConfig={"Prefix": ["a" * 64, "b" * 63]}), "InvalidParameter"),
]  # fmt: skip

SEGMENTS = [
    ("least", start()),
    ("all", start(MaxIdleTime=1, Duration=600, Identifier="audit-1", Handle=False, TargetStreams=streams("a", "b"),
                  Control={"Align": True, "Mixed": True, "IgnoreSilence": True, "RedundantDuration": 3})),
    ("own storage", start(StorageConfig=CUSTOM)),
    ("Control inside StorageConfig, as a published sample has it", start(StorageConfig={**TOS, "Control": {"Align": True}})),
]  # fmt: skip

BAD_SEGMENTS = [
    ("VOD storage", start(StorageConfig={"Type": 1, "VodConfig": {"AccountId": "1", "Space": "s"}}), "InvalidParameter"),
    ("duration 0", start(Duration=0), "InvalidParameter"),
    ("duration 601", start(Duration=601), "InvalidParameter"),
    ("idle of a day and a second", start(MaxIdleTime=86401), "InvalidParameter"),
    ("identifier with a slash", start(Identifier="a/b"), "InvalidParameter"),
    ("Handle as number", start(Handle=1), "InvalidParameter.Unmarshal"),
    ("18 streams", start(TargetStreams=streams(*(f"u{n}" for n in range(18)))), "InvalidParameter"),
]


@pytest.mark.parametrize("body", [each[1] for each in RECORDS], ids=[each[0] for each in RECORDS])
def test_records_that_start(body: dict[str, Any]) -> None:
    assert volc().must("StartRecord", body) == "ok"


@pytest.mark.parametrize("body", [each[1] for each in SEGMENTS], ids=[each[0] for each in SEGMENTS])
def test_segments_that_start(body: dict[str, Any]) -> None:
    assert volc().must("StartSegment", body) == "ok"


BAD = [("StartRecord", *each) for each in BAD_RECORDS] + [("StartSegment", *each) for each in BAD_SEGMENTS]


@pytest.mark.parametrize(("action", "body", "code"), [(a, b, c) for a, _, b, c in BAD], ids=[f"{a} {i}" for a, i, _, _ in BAD])
def test_starts_that_are_refused(action: str, body: Any, code: str) -> None:
    api = volc()
    api.call(action, body)
    assert (api.status, api.code) == (400, code)
    assert "Result" not in api.envelope
    assert api.world.ledger.events == []


def test_illegal_values_may_be_replaced_in_silence() -> None:
    api = volc(rtc__illegal_values="default")
    body = start(Duration=601, MaxIdleTime=0, TargetStreams={"StreamList": [{"UserId": "a", "StreamType": 9}]})
    assert api.must("StartSegment", body) == "ok"
    shown = task(api)
    assert (shown["Duration"], shown["MaxIdleTime"]) == (20, 180)
    assert shown["TargetStreams"]["StreamList"] == [{"Index": 0, "UserId": "a", "StreamType": 0}]
    api.call("StartSegment", start(RoomId="a b"))
    assert api.code == "InvalidParameter.IllegalRoomID"  # identities are never replaced


def test_mistakes_of_published_samples_are_counted() -> None:
    api = volc()
    api.must("StartSegment", start(StorageConfig={**TOS, "Control": {"Align": True}}))
    assert api.world.log[-1].unknown_keys == ["StorageConfig.Control"]
    assert task(api)["Control"]["Align"] is False


def test_log_masks_storage_keys() -> None:
    api = volc()
    api.must("StartSegment", start(StorageConfig=CUSTOM))
    assert "SKxyz" not in str(api.world.log[-1].as_dict())
    assert "AKxyz" not in str(api.world.log[-1].as_dict())


# -- life ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "get", "member"), KINDS)
def test_start_get_stop(kind: str, get: str, member: str) -> None:
    api = volc()
    api.must(f"Start{kind}", start())
    shown = api.must(get, IDENT)[member]
    assert (shown["StartTime"], shown["EndTime"], shown["Status"], shown["StopReason"]) == (MS, 0, 2, "")
    api.world.clock.advance(60)
    assert api.must(f"Stop{kind}", IDENT) == "ok"
    shown = api.must(get, IDENT)[member]
    assert (shown["EndTime"], shown["Status"], shown["StopReason"]) == (MS + 60_000, 3, "StopByAPI")
    api.call(f"Stop{kind}", IDENT)
    assert (api.status, api.code) == (400, GONE)


@pytest.mark.parametrize(
    ("switch", "status", "code", "said"),
    [
        ("result", 200, "", "Result"),
        ("error_code", 400, "InvalidParameter.TaskAlreadyExists", ""),
        ("error_message", 400, "InvalidParameter", "Message"),
    ],
)
def test_starting_what_runs_changes_nothing(switch: str, status: int, code: str, said: str) -> None:
    api = volc(rtc__already_started=switch)
    api.must("StartSegment", start(Duration=30))
    result = api.call("StartSegment", start(Duration=60))
    assert (api.status, api.code) == (status, code)
    if said == "Result":
        assert result == SENTENCE
    if said == "Message":
        assert api.envelope["ResponseMetadata"]["Error"]["Message"] == SENTENCE
    assert task(api)["Duration"] == 30
    assert api.world.ledger.most() == 1
    assert api.world.log[1].duplicate


def test_an_ended_task_id_starts_anew_and_get_shows_the_newest() -> None:
    api = volc()
    api.must("StartSegment", start(Duration=30))
    api.must("StopSegment", IDENT)
    api.world.clock.advance(10)
    assert api.must("StartSegment", start(Duration=60)) == "ok"
    assert (task(api)["StartTime"], task(api)["Duration"], task(api)["Status"]) == (MS + 10_000, 60, 2)


@pytest.mark.parametrize(("switch", "result"), [("no", "ok"), ("yes", SENTENCE)])
def test_name_space_of_task_ids(switch: str, result: str) -> None:
    api = volc(rtc__shared_task_ids=switch)
    api.must("StartRecord", start())
    assert api.must("StartSegment", start()) == result


@pytest.mark.parametrize("action", ["StopRecord", "StopSegment", "UpdateRecord", "UpdateSegment"])
def test_nothing_there_to_change(action: str) -> None:
    api = volc()
    api.call(action, IDENT)
    assert (api.status, api.code) == (400, GONE)


NOT_FOUND = [("error", None), ("null", {"T": None}), ("absent", {}),
             ("zero", {"T": {"StartTime": 0, "EndTime": 0, "Status": 0, "StopReason": ""}})]  # fmt: skip


@pytest.mark.parametrize(("kind", "get", "member"), KINDS)
@pytest.mark.parametrize(("switch", "answer"), NOT_FOUND)
def test_get_of_nothing(switch: str, answer: Any, kind: str, get: str, member: str) -> None:
    api = volc(rtc__get_not_found=switch)
    result = api.call(get, IDENT)
    if answer is None:
        assert (api.status, api.code) == (400, GONE)
    else:
        assert result == {member: answer["T"]} if answer else result == {}


@pytest.mark.parametrize(("hours", "readable"), [("72", False), ("forever", True), ("80", True)])
def test_get_reaches_back_72_hours_and_stop_further(hours: str, readable: bool) -> None:
    api = volc(rtc__window_hours=hours)
    api.must("StartSegment", start())
    api.world.clock.advance(72 * 3600)
    assert task(api)["Status"] == 2
    api.world.clock.advance(1)
    api.call("GetSegmentTask", IDENT)
    assert (api.code == "") is readable
    assert api.must("StartSegment", start()) == SENTENCE  # it still runs
    assert api.must("UpdateSegment", {**IDENT, "Duration": 5}) == "ok"
    assert api.must("StopSegment", IDENT) == "ok"


def test_get_lag_hides_the_newest() -> None:
    api = volc(rtc__get_lag="3")
    api.must("StartSegment", start())
    api.call("GetSegmentTask", IDENT)
    assert api.code == GONE
    api.world.clock.advance(3)
    assert task(api)["Status"] == 2


def test_drain_after_stop() -> None:
    api = volc(rtc__drain="5")
    api.must("StartSegment", start())
    api.must("StopSegment", IDENT)
    assert (task(api)["Status"], task(api)["EndTime"]) == (2, 0)
    assert api.must("StartSegment", start()) == SENTENCE
    api.call("StopSegment", IDENT)
    assert api.code == GONE
    api.world.clock.advance(5)
    assert (task(api)["Status"], task(api)["EndTime"], task(api)["StopReason"]) == (3, MS + 5000, "StopByAPI")
    assert api.must("StartSegment", start()) == "ok"


def test_start_delay_and_failure() -> None:
    api = volc(rtc__start_delay="5")
    api.must("StartRecord", start())
    assert task(api, "Record")["Status"] == 1
    api.world.clock.advance(5)
    assert task(api, "Record")["Status"] == 2
    api = volc(rtc__start_failure="on", rtc__start_delay="5")
    api.must("StartRecord", start())
    api.world.clock.advance(5)
    shown = task(api, "Record")
    assert (shown["Status"], shown["StopReason"], shown["RecordFileList"]) == (4, "StartTaskFailed", [])
    api.call("StopRecord", IDENT)
    assert api.code == GONE


@pytest.mark.parametrize(("switch", "status"), [("1", 1), ("2", 2)])
def test_status_before_anybody_publishes(switch: str, status: int) -> None:
    api = volc(rtc__status_before_stream=switch, rtc__unlisted_room="silent")
    api.must("StartRecord", start())
    assert task(api, "Record")["Status"] == status


@pytest.mark.parametrize(
    ("kind", "body", "idle"),
    [
        ("Record", start(), 180),
        ("Record", start(Control={"MaxIdleTime": 10}), 10),
        ("Segment", start(), 180),
        ("Segment", start(MaxIdleTime=1), 1),
    ],
)
def test_a_silent_room_ends_a_task(kind: str, body: dict[str, Any], idle: int) -> None:
    api = volc(rtc__unlisted_room="silent")
    api.must(f"Start{kind}", body)
    api.world.clock.advance(idle - 0.001)
    assert task(api, kind)["EndTime"] == 0
    api.world.clock.advance(500)
    shown = task(api, kind)
    assert (shown["Status"], shown["StopReason"], shown["EndTime"]) == (3, "IdleTimeOut", MS + idle * 1000)
    assert api.world.ledger.events[-1]["event"] == "ended"
    assert api.world.ledger.events[-1]["at"] == MS + idle * 1000


def test_idle_counts_from_the_last_subscribed_stream() -> None:
    api = volc()
    rooms(api.world, users=["host", "guest"], streams=[*HOST, {"UserId": "guest", "StreamType": 0}])
    api.must("StartSegment", start(TargetStreams=streams("host")))
    api.world.clock.advance(1000)
    rooms(api.world, streams=[{"UserId": "guest", "StreamType": 0}])  # the host stops, the guest is not subscribed
    api.world.clock.advance(170)
    assert task(api)["Status"] == 2
    rooms(api.world, streams=HOST)  # back in time
    api.world.clock.advance(1000)
    assert task(api)["Status"] == 2
    rooms(api.world, streams=[])
    api.world.clock.advance(180)
    assert (task(api)["EndTime"], task(api)["StopReason"]) == (MS + 2350_000, "IdleTimeOut")


def test_room_events_can_be_scripted_ahead() -> None:
    api = volc()
    rooms(api.world, streams=HOST)
    rooms(api.world, streams=[], at=MS + 60_000)
    api.must("StartRecord", start())
    api.world.clock.advance(3600)
    assert task(api, "Record")["EndTime"] == MS + 240_000


@pytest.mark.parametrize(("silence", "ended"), [(179, 0), (180, MS + 240_000)])
def test_a_silence_between_two_looks_counts(silence: int, ended: int) -> None:
    api = volc()
    rooms(api.world, streams=HOST)
    rooms(api.world, streams=[], at=MS + 60_000)
    rooms(api.world, streams=HOST, at=MS + 60_000 + silence * 1000)
    api.must("StartRecord", start())
    api.world.clock.advance(3600)
    assert task(api, "Record")["EndTime"] == ended


def test_excluded_streams_do_not_keep_a_task_alive() -> None:
    api = volc()
    rooms(api.world, streams=HOST)
    api.must("StartRecord", start(ExcludeStreams=streams("host")))
    api.world.clock.advance(180)
    assert task(api, "Record")["StopReason"] == "IdleTimeOut"


@pytest.mark.parametrize("reason", ["UnknownStopReason", "MaxRecordTime", ""])
def test_longest_time(reason: str) -> None:
    api = volc(rtc__max_time_reason=reason)
    api.must("StartRecord", start(Control={"MaxRecordTime": 100}))
    api.world.clock.advance(100)
    shown = task(api, "Record")
    assert (shown["Status"], shown["StopReason"], shown["EndTime"]) == (3, reason, MS + 100_000)


# -- update ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("switch", "duration", "handle", "same_identifier"), [("patch", 30, False, True), ("reset", 20, True, False)])
def test_fields_that_update_segment_leaves_out(switch: str, duration: int, handle: bool, same_identifier: bool) -> None:
    api = volc(rtc__update_semantics=switch)
    api.must("StartSegment", start(Duration=30, Handle=False, Identifier="mine"))
    assert api.must("UpdateSegment", IDENT) == "ok"
    shown = task(api)
    assert (shown["Duration"], shown["Handle"], shown["Identifier"] == "mine") == (duration, handle, same_identifier)


def test_update_segment_changes_three_things_and_closes_the_slice() -> None:
    api = volc()
    api.must("StartSegment", start())
    api.must("UpdateSegment", {**IDENT, "Duration": 60, "Identifier": "new", "Handle": False, "MaxIdleTime": 5})
    shown = task(api)
    assert (shown["Duration"], shown["Identifier"], shown["Handle"], shown["MaxIdleTime"]) == (60, "new", False, 180)
    assert api.world.log[-2].unknown_keys == ["MaxIdleTime"]
    (run,) = api.world.data["rtc"]["runs"]["segment/661e0000000000000000543c/Room1/Task1"]
    assert run["slices_closed"] == 1
    api.call("UpdateSegment", {**IDENT, "Duration": 601})
    assert api.code == "InvalidParameter"


def layout_of(api: Volc) -> dict[str, Any]:
    (run,) = api.world.data["rtc"]["runs"]["record/661e0000000000000000543c/Room1/Task1"]
    return dict(run["body"])


@pytest.mark.parametrize("body", [start(), start(RecordMode=1), start(Layout={"LayoutMode": 1, "MainVideoStream": {"UserId": "a"}})])
def test_update_record_needs_a_custom_layout(body: dict[str, Any]) -> None:
    api = volc()
    api.must("StartRecord", body)
    api.call("UpdateRecord", {**IDENT, **custom_layout()})
    assert (api.status, api.code) == (400, "InvalidParameter")


@pytest.mark.parametrize("semantics", ["patch", "reset"])
def test_update_record_with_everything(semantics: str) -> None:
    api = volc(rtc__update_semantics=semantics)
    api.must("StartRecord", start(**custom_layout(), Encode={"VideoFps": 25}))
    new = custom_layout(Background="#ff0000", BackgroundImage="https://i.example/1.png")
    new["Layout"]["CustomLayout"]["Regions"][0]["Alpha"] = 0.5
    api.must("UpdateRecord", {**IDENT, **new})
    body = layout_of(api)
    assert body["Layout"] == new["Layout"]
    assert body["Encode"] == {"VideoFps": 25}


@pytest.mark.parametrize(("switch", "background"), [("patch", "#00ff00"), ("reset", None)])
def test_what_update_record_leaves_out(switch: str, background: str | None) -> None:
    api = volc(rtc__update_semantics=switch)
    api.must("StartRecord", start(**custom_layout(Background="#00ff00")))
    api.must("UpdateRecord", {**IDENT, **custom_layout()})
    assert layout_of(api)["Layout"]["CustomLayout"]["Canvas"].get("Background") == background


def test_update_record_ignores_size_and_refuses_another_mode() -> None:
    api = volc()
    api.must("StartRecord", start(**custom_layout()))
    api.must("UpdateRecord", {**IDENT, **custom_layout(Width=1920, Height=1080)})
    assert layout_of(api)["Layout"]["CustomLayout"]["Canvas"]["Width"] == 1280
    api.call("UpdateRecord", {**IDENT, "Layout": {"LayoutMode": 0}})
    assert api.code == "InvalidParameter"
    before = layout_of(api)
    api.call("UpdateRecord", {**IDENT, "TargetStreams": streams("a")})  # regions no longer fit
    assert api.code == "InvalidParameter"
    assert layout_of(api) == before


def test_reset_measures_regions_on_the_canvas_it_was_sent() -> None:
    api = volc(rtc__update_semantics="reset")
    api.must("StartRecord", start(**custom_layout()))
    new = custom_layout()
    new["Layout"]["CustomLayout"]["Canvas"] = {}
    api.call("UpdateRecord", {**IDENT, **new})
    assert api.code == "InvalidParameter"


def test_an_empty_stream_list_in_update_cannot_fit_a_custom_layout() -> None:
    api = volc()
    api.must("StartRecord", start(**custom_layout()))
    api.call("UpdateRecord", {**IDENT, "TargetStreams": {"StreamList": []}})
    assert api.code == "InvalidParameter"


# -- what Get shows ----------------------------------------------------------------------------------------------------------


def test_record_shows_no_settings() -> None:
    api = volc()
    api.must("StartRecord", start(Encode={"VideoFps": 25}))
    assert set(task(api, "Record")) == {"StartTime", "EndTime", "Status", "StopReason", "RecordFileList"}


def test_segment_shows_its_settings_with_defaults() -> None:
    api = volc()
    api.must("StartSegment", start(TargetStreams={"StreamList": [{"UserId": "host"}]}, Identifier="mine"))
    assert task(api) == {
        "StartTime": MS, "EndTime": 0, "Status": 2, "StopReason": "", "MaxIdleTime": 180, "Duration": 20, "Handle": True,
        "Identifier": "mine", "TargetStreams": {"StreamList": [{"Index": 0, "UserId": "host", "StreamType": 0}]},
        "Control": {"Align": False, "Mixed": False, "IgnoreSilence": False, "RedundantDuration": 0}, "StorageConfig": TOS,
    }  # fmt: skip


@pytest.mark.parametrize(("switch", "key"), [("plain", "AKxyz"), ("masked", "****"), ("absent", "no key")])
def test_storage_keys_in_a_segment(switch: str, key: str) -> None:
    api = volc(rtc__segment_secrets=switch)
    api.must("StartSegment", start(StorageConfig=CUSTOM))
    custom = task(api)["StorageConfig"]["CustomConfig"]
    assert custom.get("AccessKey", "no key") == key
    assert custom["Bucket"] == "b"


def test_files_come_after_the_end() -> None:
    api = volc(rtc__file_delay="30")
    naming = {"Prefix": ["evening", "a"], "Pattern": "{TaskId}_{RoomId}_{StartTime}_{Duration}"}
    api.must("StartRecord", start(FileNameConfig=naming, FileFormatConfig={"FileFormat": ["MP4", "HLS"]}, TargetStreams=streams("host")))
    assert task(api, "Record")["RecordFileList"] == []
    api.world.clock.advance(457)
    api.must("StopRecord", IDENT)
    assert task(api, "Record")["RecordFileList"] == []
    api.world.clock.advance(30)
    first, second = task(api, "Record")["RecordFileList"]
    assert first["ObjectKey"].startswith(f"evening/a/Task1_Room1_{MS}_000457_")
    assert first["ObjectKey"].endswith(".mp4")
    assert second["ObjectKey"].endswith(".m3u8")
    assert (first["Duration"], first["StartTime"], first["Vid"]) == (457_000, MS, "")
    assert first["StreamList"] == [{"Index": 0, "UserId": "host", "StreamType": 0}]


def test_long_recordings_are_cut_and_single_mode_has_a_file_a_stream() -> None:
    api = volc()
    vod = {"Type": 1, "VodConfig": {"AccountId": "1", "Space": "s"}}
    api.must("StartRecord", start(RecordMode=1, TargetStreams=streams("a", "b"), StorageConfig=vod))
    api.world.clock.advance(5 * 3600)
    api.must("StopRecord", IDENT)
    found = task(api, "Record")["RecordFileList"]
    assert [(each["StreamList"][0]["UserId"], each["Duration"] // 1000) for each in found] == [
        ("a", 14400), ("a", 3600), ("b", 14400), ("b", 3600),
    ]  # fmt: skip
    assert all(each["Vid"] and not each["ObjectKey"] for each in found)


def test_synchronous_upload_shows_a_file_while_running() -> None:
    api = volc()
    api.must("StartRecord", start(Control={"EnableSyncUpload": True}, FileFormatConfig={"FileFormat": ["HLS", "MP4"]}))
    (only,) = task(api, "Record")["RecordFileList"]
    assert only["ObjectKey"].endswith(".m3u8")
    assert only["Duration"] == 0


@pytest.mark.parametrize(("switch", "result"), [("absent", "no key"), ("null", None), ("empty", ""), ("object", {})])
def test_result_beside_an_error(switch: str, result: Any) -> None:
    api = volc(rtc__failure_result=switch)
    api.call("StopRecord", IDENT)
    assert api.code == GONE
    assert api.envelope.get("Result", "no key") == result


def test_errors_may_come_in_http_200() -> None:
    api = volc(rtc__error_status="200")
    api.call("StopRecord", IDENT)
    assert (api.status, api.code) == (200, GONE)
    api.call("NoSuchAction", IDENT)
    assert api.status == 404  # the gateway keeps its statuses


# -- apps and rooms ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("app", "action", "status", "code"),
    [
        ({"account": "999"}, "StartRecord", 403, "AccessDenied.NoPermissionForApp"),
        ({"record_enabled": False}, "StartRecord", 403, "AccessDenied.RecordNotEnabled"),
        ({"record_enabled": False}, "StartSegment", 200, ""),
        ({"segment_enabled": False}, "StartSegment", 403, "AccessDenied.ServiceNotEnabled"),
        (None, "StartRecord", 400, "InvalidParameter.NotExistAppId"),
    ],
)
def test_apps(app: dict[str, Any] | None, action: str, status: int, code: str) -> None:
    api = volc(rtc__unknown_app="reject")
    if app is not None:
        rtc.fixtures(api.world, {"apps": {IDENT["AppId"]: app}})
    api.call(action, start())
    assert (api.status, api.code) == (status, code)


def test_who_is_in_the_room() -> None:
    api = volc()
    ask = {"AppId": IDENT["AppId"], "RoomId": "Room1"}
    assert api.must("GetRoomOnlineUsers", ask) == {"RoomExists": False}
    rooms(api.world, users=["a", "b"], invisible=["ghost"])
    assert api.must("GetRoomOnlineUsers", ask) == {
        "RoomExists": True, "TotalUser": 2, "VisibleUserList": ["a", "b"], "TotalInvisibleUser": 1, "InvisibleUserList": ["ghost"],
    }  # fmt: skip
    api.call("GetRoomOnlineUsers", {"AppId": IDENT["AppId"]})
    assert api.code == "InvalidParameter"


def test_tasks_that_somebody_else_started() -> None:
    api = volc()
    rtc.fixtures(api.world, {"tasks": [{"Kind": "record", **start(), "Started": "2025-12-28T12:00:00Z"}]})
    api.call("GetRecordTask", IDENT)
    assert api.code == GONE  # 96 hours ago
    assert api.must("StopRecord", IDENT) == "ok"


@pytest.mark.parametrize(("action", "pace"), [("StartRecord", 60), ("GetRecordTask", 60), ("StopSegment", 150), ("UpdateSegment", 150)])
def test_rates(action: str, pace: int) -> None:
    api = volc(rtc__rate_limits="on")
    codes = [api.send(action, start() if action == "StartRecord" else IDENT).error for _ in range(pace + 1)]
    assert codes.index("FlowLimitExceeded.QPSOverLimit") == pace


def test_ledger_of_a_replacement() -> None:
    api = volc()
    api.must("StartRecord", start())
    api.must("StopRecord", IDENT)
    api.must("StartRecord", start())
    assert [(each["event"], each["live_count"]) for each in api.world.ledger.events] == [
        ("created", 1), ("stopped", 0), ("created", 1),
    ]  # fmt: skip
