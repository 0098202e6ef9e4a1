"""Relay tasks over their life: states by the clock, updates, lists and pages, groups, and every undocumented behaviour."""

from __future__ import annotations

import time
from typing import Any

import pytest

from reconciler.emulator import control
from tests.emulator.test_live_rules import mark
from tests.emulator.volc import NOW, Volc, files, listed, relay, world_at_noon


def created(volc: Volc, **changes: Any) -> str:
    return str(volc.must("CreatePullToPushTask", relay(**changes))["TaskId"])


def shown(volc: Volc, action: str = "ListPullToPushTaskV2") -> dict[str, Any]:
    """The only task there is."""
    (item,) = volc.must(action, {})["List"]
    return dict(item)


def state(volc: Volc) -> str:
    return str(shown(volc)["Status"])


# -- life cycle ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "status"),
    [(-1, "未开始"), (0, "生效中"), (3599, "生效中"), (3600, "已结束")],
    ids=["a second before", "at the start", "the last second", "at the end"],
)
def test_status_follows_the_clock(at: int, status: str) -> None:
    volc = Volc(world_at_noon())
    created(volc, StartTime=NOW + 7200, EndTime=NOW + 10800)
    volc.world.clock.advance(7200 + at)
    assert state(volc) == status


@pytest.mark.parametrize("again", ["ContinuePullToPushTask", "RestartPullToPushTask", "RelaunchPullToPushTask"])
def test_stop_and_start_again(again: str) -> None:
    volc = Volc(world_at_noon())
    task = {"TaskId": created(volc)}
    assert volc.must("StopPullToPushTask", task) is None
    assert "Result" not in volc.envelope
    assert state(volc) == "停用"
    volc.must(again, task)
    assert state(volc) == "生效中"


WRONG_STATES = [
    ("stop a stopped task", ["Stop"], 0, "Stop"),
    ("stop an ended task", [], 3600, "Stop"),
    ("continue a running task", [], 0, "Continue"),
    ("continue an ended task", [], 3600, "Continue"),
    ("restart a running task", [], 0, "Restart"),
    ("relaunch a running task", [], 0, "Relaunch"),
]


@pytest.mark.parametrize(("before", "wait", "action"), [each[1:] for each in WRONG_STATES], ids=[each[0] for each in WRONG_STATES])
@pytest.mark.parametrize(("switch", "status", "code"), [("400", 400, "InvalidParam"), ("200-commonerr", 200, "CommonErr"), ("ok", 200, "")])
def test_wrong_states(before: list[str], wait: int, action: str, switch: str, status: int, code: str) -> None:
    volc = Volc(world_at_noon(live__wrong_state=switch))
    task = {"TaskId": created(volc)}
    for each in before:
        volc.must(f"{each}PullToPushTask", task)
    volc.world.clock.advance(wait)
    was = state(volc)
    volc.call(f"{action}PullToPushTask", task)
    assert (volc.status, volc.code) == (status, code)
    assert state(volc) == was


def test_relaunch_of_a_running_task_can_be_allowed() -> None:
    volc = Volc(world_at_noon(live__relaunch_running="accept"))
    volc.must("RelaunchPullToPushTask", {"TaskId": created(volc)})


@pytest.mark.parametrize(("switch", "status"), [("stopped", "停用"), ("ended", "已结束")])
def test_a_stopped_task_after_its_window(switch: str, status: str) -> None:
    volc = Volc(world_at_noon(live__stopped_after_end=switch))
    volc.must("StopPullToPushTask", {"TaskId": created(volc)})
    volc.world.clock.advance(3600)
    assert state(volc) == status


@pytest.mark.parametrize(("switch", "code"), [("accept", ""), ("refuse", "InvalidParam")])
def test_deleting_a_running_task(switch: str, code: str) -> None:
    volc = Volc(world_at_noon(live__delete_running=switch))
    volc.call("DeletePullToPushTask", {"TaskId": created(volc)})
    assert volc.code == code
    assert len(listed(volc)) == (0 if code == "" else 1)


@pytest.mark.parametrize("action", ["Update", "Delete", "Stop", "Continue", "Restart", "Relaunch"])
@pytest.mark.parametrize(("switch", "status", "code"), [("400", 400, "InvalidParam"), ("200-commonerr", 200, "CommonErr")])
def test_unknown_task(action: str, switch: str, status: int, code: str) -> None:
    volc = Volc(world_at_noon(live__not_found=switch))
    volc.call(f"{action}PullToPushTask", {"TaskId": "f" * 32, **(relay() if action == "Update" else {})})
    assert (volc.status, volc.code) == (status, code)


@pytest.mark.parametrize(
    ("switch", "value", "action"),
    [
        ("v2_present", "no", "ListPullToPushTaskV2"),
        ("restart_present", "no", "RestartPullToPushTask"),
        ("continue_present", "no", "ContinuePullToPushTask"),
        ("continue_present", "no", "RelaunchPullToPushTask"),
    ],
)
def test_actions_that_may_not_be_there(switch: str, value: str, action: str) -> None:
    volc = Volc(world_at_noon(**{f"live__{switch}": value}))
    volc.call(action, {"TaskId": "a"})
    assert (volc.status, volc.code) == (404, "InvalidActionOrVersion")
    assert volc.envelope["ResponseMetadata"]["Error"]["CodeN"] == 100008


@pytest.mark.parametrize(("switch", "result"), [("absent", "no key"), ("null", None), ("empty", ""), ("object", {})])
def test_result_of_actions_that_return_nothing(switch: str, result: Any) -> None:
    volc = Volc(world_at_noon(live__result_style=switch))
    volc.must("StopPullToPushTask", {"TaskId": created(volc)})
    assert volc.envelope.get("Result", "no key") == result


def test_echoed_version_may_be_another() -> None:
    volc = Volc(world_at_noon(live__echo_version="2020-08-01"))
    volc.must("ListPullToPushTaskV2")
    assert volc.envelope["ResponseMetadata"]["Version"] == "2020-08-01"


# -- update --------------------------------------------------------------------------------------------------------------

RICH = {"CallbackURL": "http://cb.example.com", "Watermark": mark()}


@pytest.mark.parametrize(("switch", "callback", "watermark"), [("replace", "", False), ("merge", RICH["CallbackURL"], True)])
def test_fields_an_update_leaves_out(switch: str, callback: str, watermark: bool) -> None:
    volc = Volc(world_at_noon(live__update_semantics=switch))
    task_id = created(volc, **RICH)
    volc.must("UpdatePullToPushTask", {"TaskId": task_id, **relay(Title="renamed")})
    item = shown(volc)
    assert (item["Title"], item["CallbackURL"], "Watermark" in item) == ("renamed", callback, watermark)


@pytest.mark.parametrize(("switch", "title"), [("yes", ""), ("no", "task001")])
@pytest.mark.parametrize("semantics", ["replace", "merge"])
def test_an_empty_title_in_an_update(switch: str, title: str, semantics: str) -> None:
    volc = Volc(world_at_noon(live__empty_clears=switch, live__update_semantics=semantics))
    volc.must("UpdatePullToPushTask", {"TaskId": created(volc), **relay(Title="")})
    assert shown(volc)["Title"] == title


def test_merge_replaces_the_other_spelling_of_source_and_destination() -> None:
    volc = Volc(world_at_noon(live__update_semantics="merge"))
    old = ["https://vod.example.com/old.mp4"]
    task_id = volc.must("CreatePullToPushTask", files(VodSrcAddrs=None, SrcAddrS=old, OffsetS=[3]))["TaskId"]
    volc.must("UpdatePullToPushTask", {"TaskId": task_id, **files(DstAddr=None, Domain="d.example.com", App="a", Stream="s")})
    item = shown(volc)
    assert item["SrcAddrS"] is None
    assert next(each["SrcAddr"] for each in item["VodSrcAddrs"]).endswith("a.mp4")
    assert item["DstAddr"] == "rtmp://d.example.com/a/s"
    volc.must("UpdatePullToPushTask", {"TaskId": task_id, **files(VodSrcAddrs=None, SrcAddrS=old)})
    assert shown(volc)["SrcAddrS"] == old
    assert shown(volc)["VodSrcAddrs"] is None


UPDATE_STATES = [
    ("any", "生效中", ""), ("any", "已结束", ""), ("any", "停用", ""),
    ("not-ended", "生效中", ""), ("not-ended", "已结束", "InvalidParam"),
    ("not-running", "生效中", "InvalidParam"), ("not-running", "停用", ""), ("not-running", "未开始", ""),
]  # fmt: skip


@pytest.mark.parametrize(("switch", "status", "code"), UPDATE_STATES)
def test_states_that_accept_update(switch: str, status: str, code: str) -> None:
    volc = Volc(world_at_noon(live__update_states=switch))
    window = {"StartTime": NOW + 60, "EndTime": NOW + 120}
    task_id = created(volc, **window)
    volc.world.clock.advance({"未开始": 0, "生效中": 60, "已结束": 120, "停用": 60}[status])
    if status == "停用":
        volc.must("StopPullToPushTask", {"TaskId": task_id})
    assert state(volc) == status
    volc.call("UpdatePullToPushTask", {"TaskId": task_id, **relay(**window, Title="new")})
    assert volc.code == code


@pytest.mark.parametrize(("switch", "status"), [("yes", "未开始"), ("no", "已结束")])
def test_a_later_window_for_an_ended_task(switch: str, status: str) -> None:
    volc = Volc(world_at_noon(live__update_revives_ended=switch))
    task_id = created(volc)
    volc.world.clock.advance(3600)
    volc.must("UpdatePullToPushTask", {"TaskId": task_id, **relay(StartTime=NOW + 7200, EndTime=NOW + 9000)})
    assert state(volc) == status


@pytest.mark.parametrize(("switch", "code"), [("accept", ""), ("reject", "InvalidParam")])
def test_type_changed_in_place(switch: str, code: str) -> None:
    volc = Volc(world_at_noon(live__type_change=switch))
    volc.call("UpdatePullToPushTask", {"TaskId": created(volc), **files()})
    assert volc.code == code


def test_group_is_checked_and_never_changed() -> None:
    volc = Volc(world_at_noon())
    task_id = created(volc, GroupName="news")
    volc.call("UpdatePullToPushTask", {"TaskId": task_id, **relay(GroupName="sport")})
    assert volc.code == "InvalidParam"
    volc.must("UpdatePullToPushTask", {"TaskId": task_id, **relay(GroupName="news")})
    assert shown(volc)["GroupName"] == "news"


# -- what a list shows -----------------------------------------------------------------------------------------------------


def test_the_published_sample_item() -> None:
    volc = Volc(world_at_noon())
    task_id = created(volc, StartTime=NOW + 60)
    assert shown(volc) == {
        "Title": "task001", "TaskId": task_id, "GroupName": "default", "StartTime": "2026-01-01T20:01:00+08:00",
        "EndTime": "2026-01-01T21:00:00+08:00", "CallbackURL": "", "Type": 0, "CycleMode": 0, "PlayTimes": 0,
        "DstAddr": "rtmp://push.example.com/live/stream-1", "DstAddrType": 2, "SrcAddr": "http://pull.example.com/live/stream-1.flv",
        "SrcAddrS": None, "OffsetS": None, "VodSrcAddrs": None, "Status": "未开始", "PreDownload": 1, "ContinueStrategy": 0,
    }  # fmt: skip


ECHO: list[Any] = [
    ("time_style", "+08:00", relay(), "StartTime", "2026-01-01T20:00:00+08:00"),
    ("time_style", "Z", relay(), "StartTime", "2026-01-01T12:00:00Z"),
    ("time_style", "untold", relay(), "EndTime", ""),
    ("null_style", "null", relay(), "VodSrcAddrs", None),
    ("null_style", "omitted", files(PreDownload=0), "PreDownload", "no key"),
    ("null_style", "omitted", files(PreDownload=1), "PreDownload", 1),
    ("null_style", "absent", relay(), "VodSrcAddrs", "no key"),
    ("null_style", "absent", relay(), "CallbackURL", "no key"),
    ("null_style", "absent", relay(), "Type", 0),
    ("null_style", "zero", relay(), "SrcAddrS", []),
    ("null_style", "zero", files(), "SrcAddr", ""),
    ("null_style", "null", relay(), "Watermark", "no key"),
    ("null_style", "zero", relay(), "Watermark", {"Picture": "", "RelativePosX": 0, "RelativePosY": 0, "Ratio": 0}),
    ("echo_watermark", "full", relay(Watermark=mark(Ratio=0.5)), "Watermark", mark(RelativePosX=0.10000000149011612,
     RelativePosY=0.10000000149011612, Ratio=0.5)),
    ("echo_watermark", "absent", relay(Watermark={**mark(), "RelativePosX": 0, "RelativePosY": 0, "Ratio": 1}), "Watermark",
     {"RelativePosX": 0, "RelativePosY": 0, "Ratio": 1}),
    ("float32", "off", files(), "VodSrcAddrs", [
        {"SrcAddr": "https://vod.example.com/a.mp4", "StartOffset": 1.1, "EndOffset": None},
        {"SrcAddr": "https://vod.example.com/b.mp4", "StartOffset": None, "EndOffset": None}]),
    ("float32", "on", files(VodSrcAddrs=None, SrcAddrS=["http://a.example/1"], OffsetS=[1.1]), "OffsetS", [1.100000023841858]),
    ("vod_echo", "sent", files(), "SrcAddrS", None),
    ("vod_echo", "sent", files(VodSrcAddrs=None, SrcAddrS=["http://a.example/1"]), "VodSrcAddrs", None),
    ("vod_echo", "vod", files(VodSrcAddrs=None, SrcAddrS=["http://a.example/1"], OffsetS=[2]), "VodSrcAddrs",
     [{"SrcAddr": "http://a.example/1", "StartOffset": 2, "EndOffset": None}]),
    ("vod_echo", "legacy", files(), "SrcAddrS", ["https://vod.example.com/a.mp4", "https://vod.example.com/b.mp4"]),
    ("vod_echo", "legacy", files(), "OffsetS", [1.100000023841858, 0]),
    ("vod_echo", "both", files(VodSrcAddrs=None, SrcAddrS=["http://a.example/1"]), "VodSrcAddrs",
     [{"SrcAddr": "http://a.example/1", "StartOffset": None, "EndOffset": None}]),
    ("cycle_echo", "sent", files(CycleMode=2, PlayTimes=3), "CycleMode", 2),
    ("cycle_echo", "cycle", files(CycleMode=0, PlayTimes=3), "CycleMode", 3),
    ("cycle_echo", "play", files(CycleMode=2, PlayTimes=0), "PlayTimes", 2),
    ("cycle_echo", "play", files(CycleMode=-1, PlayTimes=0), "CycleMode", -1),
    ("dst_echo", "plain", relay(DstAddr=None, Domain="d.example", App="a", Stream="s"), "DstAddr", "rtmp://d.example/a/s"),
    ("dst_echo", "query", relay(DstAddr=None, Domain="d.example", App="a", Stream="s"), "DstAddr",
     "rtmp://d.example/a/s?volcSecret=0f1e2d3c&volcTime=1767225600"),
    ("dst_query", "kept", relay(DstAddr="rtmp://d.example/a/s?key=1"), "DstAddr", "rtmp://d.example/a/s?key=1"),
    ("dst_query", "quoted", relay(DstAddr="rtmp://d.example/a/s?key=1/2&t=3"), "DstAddr", "rtmp://d.example/a/s?key=1%2F2&t=3"),
    ("dst_query", "masked", relay(DstAddr="rtmp://d.example/a/s?key=1"), "DstAddr", "rtmp://d.example/a/s?***"),
    ("extra_fields", "on", relay(), "TaskStatus", 2),
    ("extra_fields", "off", relay(), "TaskStatus", "no key"),
]  # fmt: skip


@pytest.mark.parametrize(("switch", "value", "body", "field", "expected"), ECHO)
def test_forms_of_a_read(switch: str, value: str, body: dict[str, Any], field: str, expected: Any) -> None:
    volc = Volc(world_at_noon(**{f"live__{switch}": value}))
    volc.must("CreatePullToPushTask", body)
    assert shown(volc).get(field, "no key") == expected


def test_hosted_watermark_is_another_picture() -> None:
    volc = Volc(world_at_noon(live__echo_watermark="hosted"))
    created(volc, Watermark=mark())
    assert shown(volc)["Watermark"]["Picture"].startswith("https://")


@pytest.mark.parametrize("unread", ["Domain", "App", "Stream", "Offset"])
def test_fields_no_list_returns(unread: str) -> None:
    volc = Volc(world_at_noon())
    body = files(VodSrcAddrs=None, SrcAddrS=["http://a.example/1"], Offset=3, DstAddr=None, Domain="d", App="a", Stream="s")
    volc.must("CreatePullToPushTask", body)
    assert unread not in shown(volc)


@pytest.mark.parametrize(("switch", "present"), [("yes", True), ("no", False)])
def test_group_name_in_the_first_list(switch: str, present: bool) -> None:
    volc = Volc(world_at_noon(live__v1_group_name=switch))
    created(volc)
    assert ("GroupName" in shown(volc, "ListPullToPushTask")) is present
    assert "GroupName" in shown(volc)


def test_own_push_domain_is_recognised() -> None:
    world = world_at_noon()
    control.merge(world.data, {"live": {"domains": ["push.example.com"]}})
    volc = Volc(world)
    created(volc)
    assert shown(volc)["DstAddrType"] == 1
    volc.must("UpdatePullToPushTask", {"TaskId": shown(volc)["TaskId"], **relay(DstAddr="rtmp://else.example.com/a")})
    assert shown(volc)["DstAddrType"] == 2


@pytest.mark.parametrize(("switch", "result"), [("array", []), ("null", None), ("absent", "no key")])
def test_an_empty_list(switch: str, result: Any) -> None:
    volc = Volc(world_at_noon(live__list_empty=switch))
    page = volc.must("ListPullToPushTaskV2")
    assert page.get("List", "no key") == result
    assert page["Pagination"] == {"PageCur": 1, "PageSize": 20, "PageTotal": 0, "TotalCount": 0}


# -- pages and filters -----------------------------------------------------------------------------------------------------


def many(volc: Volc, count: int, **changes: Any) -> None:
    for number in range(count):
        created(volc, **{"Title": f"t{number:03d}", "StartTime": NOW + number, **changes})


def titles(page: dict[str, Any]) -> list[str]:
    return [each["Title"] for each in page["List"]]


@pytest.mark.parametrize("action", ["ListPullToPushTask", "ListPullToPushTaskV2"])
def test_pages_cover_everything_once(action: str) -> None:
    volc = Volc(world_at_noon())
    many(volc, 45)
    pages = [volc.must(action, {"Page": number, "Size": 20}) for number in (1, 2, 3, 4)]
    assert [len(each["List"]) for each in pages] == [20, 20, 5, 0]
    assert sorted(title for page in pages for title in titles(page)) == [f"t{number:03d}" for number in range(45)]
    assert pages[1]["Pagination"] == {"PageCur": 2, "PageSize": 20, "PageTotal": 3, "TotalCount": 45}


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"Size": 500}, ""), ({"Size": 501}, "InvalidParam"), ({"Size": 0}, "InvalidParam"), ({"Page": 0}, "InvalidParam"),
        ({"Page": "x"}, "InvalidParam.BindError"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("action", ["ListPullToPushTask", "ListPullToPushTaskV2"])
def test_page_limits(asked: dict[str, Any], code: str, action: str) -> None:
    volc = Volc(world_at_noon())
    volc.call(action, asked)
    assert volc.code == code


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, ["Morning1", "EveningNEWS", "morning2"]),
        ({"Title": "morning"}, ["Morning1", "morning2"]),
        ({"Title": "NING"}, ["Morning1", "EveningNEWS", "morning2"]),
        ({"Title": "news"}, ["EveningNEWS"]),
        ({"Title": "nothing"}, []),
        ({"GroupNames": ["a"]}, ["Morning1", "EveningNEWS"]),
        ({"GroupNames": ["a", "b"]}, ["Morning1", "EveningNEWS", "morning2"]),
        ({"GroupNames": []}, ["Morning1", "EveningNEWS", "morning2"]),
        ({"GroupNames": ["b"], "Title": "m"}, ["morning2"]),
        ({"GroupNames": ["c"]}, []),
    ],
)
def test_filters(asked: dict[str, Any], expected: list[str]) -> None:
    volc = Volc(world_at_noon(live__list_order="oldest"))
    for title, group in (("Morning1", "a"), ("EveningNEWS", "a"), ("morning2", "b")):
        created(volc, Title=title, GroupName=group)
    assert [each["Title"] for each in listed(volc, **asked)] == expected


def test_first_list_filters_by_one_group() -> None:
    volc = Volc(world_at_noon())
    created(volc, Title="a", GroupName="one")
    created(volc, Title="b", GroupName="two")
    assert titles(volc.must("ListPullToPushTask", {"GroupName": "two"})) == ["b"]


@pytest.mark.parametrize(
    ("order", "expected"),
    [("newest", ["c", "a", "b"]), ("oldest", ["b", "a", "c"]), ("title", ["a", "b", "c"]), ("start", ["c", "b", "a"])],
)
def test_order(order: str, expected: list[str]) -> None:
    volc = Volc(world_at_noon(live__list_order=order))
    for title, start in (("b", 20), ("a", 30), ("c", 10)):
        created(volc, Title=title, StartTime=NOW + start)
    assert [each["Title"] for each in listed(volc)] == expected


@pytest.mark.parametrize(("switch", "twice", "never"), [("off", 0, 0), ("repeat", 1, 1), ("skip", 0, 1)])
def test_pages_that_shift_while_one_reads(switch: str, twice: int, never: int) -> None:
    volc = Volc(world_at_noon(live__shifting_pages=switch))
    many(volc, 20)
    seen = [each for page in (1, 2) for each in titles(volc.must("ListPullToPushTaskV2", {"Page": page, "Size": 10}))]
    assert len(seen) - len(set(seen)) == twice
    assert 20 - len(set(seen)) == never


def test_list_lag_hides_the_newest() -> None:
    volc = Volc(world_at_noon(live__list_lag="5"))
    created(volc)
    volc.world.clock.advance(4)
    assert listed(volc) == []
    volc.world.clock.advance(1)
    assert len(listed(volc)) == 1


def test_a_lagging_replica_answers_from_the_past() -> None:
    volc = Volc(world_at_noon(live__replica="lagging", live__replica_lag="10"))
    task_id = created(volc)
    assert listed(volc) == []
    volc.world.clock.advance(10)
    assert [each["Title"] for each in listed(volc)] == ["task001"]
    volc.must("UpdatePullToPushTask", {"TaskId": task_id, **relay(Title="renamed")})
    volc.world.clock.advance(5)
    volc.must("DeletePullToPushTask", {"TaskId": task_id})
    assert [each["Title"] for each in listed(volc)] == ["task001"]
    volc.world.clock.advance(5)
    assert [each["Title"] for each in listed(volc)] == ["renamed"]
    volc.world.clock.advance(5)
    assert listed(volc) == []


def test_an_alternating_replica_contradicts_itself() -> None:
    volc = Volc(world_at_noon(live__replica="alternating", live__replica_lag="10"))
    created(volc)
    assert [len(listed(volc)) for _ in range(4)] == [1, 0, 1, 0]


@pytest.mark.parametrize(("keep", "listed_after"), [("forever", 1), ("3600", 0)])
def test_ended_tasks_may_leave_the_list(keep: str, listed_after: int) -> None:
    volc = Volc(world_at_noon(live__ended_retention=keep))
    created(volc)
    volc.world.clock.advance(7199)
    assert len(listed(volc)) == 1
    volc.world.clock.advance(1)
    assert len(listed(volc)) == listed_after


@pytest.mark.long
def test_a_page_of_500_out_of_100_000_takes_milliseconds() -> None:
    world = world_at_noon()
    control.sow(world, "tasks-100000")
    volc = Volc(world)
    request = volc.request("ListPullToPushTaskV2", {"Page": 100, "Size": 500})
    volc.emulator.handle(request)
    best = 1.0
    for _ in range(5):
        began = time.perf_counter()
        answer = volc.emulator.handle(request)
        best = min(best, time.perf_counter() - began)
    assert len(answer.decoded()["Result"]["List"]) == 500
    assert best < 0.02


# -- groups ----------------------------------------------------------------------------------------------------------------


def groups(volc: Volc, **asked: Any) -> list[dict[str, Any]]:
    return list(volc.must("ListPullToPushGroup", {"PageNum": 1, "PageSize": 100, **asked})["List"])


def test_groups_from_creation_to_deletion() -> None:
    volc = Volc(world_at_noon())
    volc.must("CreatePullToPushGroup", {"Name": "news", "ProjectName": "p", "Tags": [{"Key": "a", "Value": "1"}]})
    tag = {"Category": "Custom", "Key": "a", "Value": "1"}
    assert groups(volc) == [{"Name": "news", "ProjectName": "p", "Status": 0, "Tags": [tag]}]
    volc.must("UpdatePullToPushGroup", {"Name": "news", "Tags": [{**tag, "Value": "2"}]})
    assert groups(volc)[0]["Tags"] == [{**tag, "Value": "2"}]
    volc.must("DeletePullToPushGroup", {"Name": "news"})
    assert groups(volc) == []
    assert [each["Name"] for each in groups(volc, StatusList=[1])] == ["news"]
    volc.must("CreatePullToPushGroup", {"Name": "news", "ProjectName": "p"})
    assert groups(volc)[0]["Tags"] == []


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("CreatePullToPushGroup", {"Name": "news", "ProjectName": "p"}),
        ("CreatePullToPushGroup", {"Name": "no-hyphen", "ProjectName": "p"}),
        ("CreatePullToPushGroup", {"Name": "a" * 21, "ProjectName": "p"}),
        ("CreatePullToPushGroup", {"Name": "other"}),
        ("CreatePullToPushGroup", {"ProjectName": "p"}),
        ("UpdatePullToPushGroup", {"Name": "unknown"}),
        ("UpdatePullToPushGroup", {"Name": "news", "Tags": [{"Key": "a", "Value": "b"}]}),
        ("DeletePullToPushGroup", {"Name": "unknown"}),
        ("DeletePullToPushGroup", {"Name": "default"}),
        ("ListPullToPushGroup", {}),
        ("ListPullToPushGroup", {"PageNum": 1, "PageSize": 1001}),
        ("ListPullToPushGroup", {"PageNum": 0, "PageSize": 10}),
    ],
)
def test_group_mistakes(action: str, body: dict[str, Any]) -> None:
    volc = Volc(world_at_noon())
    volc.must("CreatePullToPushGroup", {"Name": "news", "ProjectName": "p"})
    volc.call(action, body)
    assert (volc.status, volc.code) == (400, "InvalidParam")


def test_tasks_make_the_default_group() -> None:
    volc = Volc(world_at_noon())
    assert groups(volc) == []
    created(volc)
    assert groups(volc) == [{"Name": "default", "ProjectName": "default", "Status": 0, "Tags": []}]


@pytest.mark.parametrize(("switch", "code"), [("create", ""), ("reject", "InvalidParam")])
def test_tasks_in_a_group_that_is_not_there(switch: str, code: str) -> None:
    volc = Volc(world_at_noon(live__unknown_group=switch))
    volc.call("CreatePullToPushTask", relay(GroupName="news"))
    assert volc.code == code


@pytest.mark.parametrize(("switch", "code"), [("refuse", "InvalidParam"), ("accept", "")])
def test_deleting_a_group_with_tasks(switch: str, code: str) -> None:
    volc = Volc(world_at_noon(live__group_delete_nonempty=switch))
    created(volc, GroupName="news")
    volc.call("DeletePullToPushGroup", {"Name": "news"})
    assert volc.code == code


# -- the oracle --------------------------------------------------------------------------------------------------------------


def test_ledger_counts_the_living_under_each_identity() -> None:
    volc = Volc(world_at_noon())
    first = created(volc)
    second = created(volc)
    assert [call.duplicate for call in volc.world.log] == [False, True]
    volc.must("UpdatePullToPushTask", {"TaskId": second, **relay(Title="other")})
    volc.must("DeletePullToPushTask", {"TaskId": first})
    one, other = "live/2100000001/default/task001", "live/2100000001/default/other"
    assert [(each["event"], each["identity"], each["live_count"]) for each in volc.world.ledger.events] == [
        ("created", one, 1),
        ("created", one, 2),
        ("renamed-from", one, 1),
        ("renamed-to", other, 1),
        ("deleted", one, 0),
    ]
    assert volc.world.ledger.most(one) == 2
    assert volc.world.ledger.living == {other: [second]}


def test_log_masks_keys_in_addresses_and_names_unknown_members() -> None:
    volc = Volc(world_at_noon())
    volc.call("CreatePullToPushTask", relay(DstAddr="rtmp://u:pw@d.example/a/s?key=topsecret", Color="red"))
    (call,) = volc.world.log
    assert call.body["DstAddr"] == "rtmp://***@d.example/a/s?***"
    assert call.unknown_keys == ["Color"]
    assert "topsecret" not in str(call.as_dict())
