"""What CreatePullToPushTask and its sisters accept, field by field, with the vendor's error code for the rest."""

from __future__ import annotations

import base64
import struct
from typing import Any

import pytest

from tests.emulator.volc import NOW, Volc, files, listed, relay, world_at_noon


def picture(size: int = 200, *, width: int = 100, height: int = 100, kind: str = "png") -> str:
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height)
    return f"data:image/{kind};base64," + base64.b64encode(head + b"\0" * (size - len(head))).decode()


def jpeg(width: int, height: int) -> str:
    app0 = b"\xff\xe0" + struct.pack(">H", 16) + b"\0" * 14
    sof = b"\xff\xc0" + struct.pack(">HBHH", 17, 8, height, width) + b"\0" * 10
    return "data:image/jpeg;base64," + base64.b64encode(b"\xff\xd8" + app0 + sof + b"\0" * 100).decode()


def mark(**changes: Any) -> dict[str, Any]:
    return {"Picture": picture(), "RelativePosX": 0.1, "RelativePosY": 0.1, "Ratio": 0.1, **changes}


LONG_URL = "http://pull.example.com/" + "a" * 976  # 1000 characters
THIRTY = [{"SrcAddr": f"https://vod.example.com/{number}.mp4"} for number in range(30)]
OLD = ["https://vod.example.com/a.mp4", "https://vod.example.com/b.mp4"]

ACCEPTED = [
    ("as short as can be", relay(Title=None)),
    ("empty title", relay(Title="")),
    ("20 Chinese characters", relay(Title="早间新闻直播早间新闻直播早间新闻直播早间")),
    ("a null is a field not sent", {**relay(), "CallbackURL": None, "Watermark": None}),
    ("source URL of 1000 characters", relay(SrcAddr=LONG_URL)),
    ("callback of 512 characters", relay(CallbackURL="http://c.example.com/" + "a" * 491)),
    ("7 days", relay(EndTime=NOW + 604800)),
    ("start in the past", relay(StartTime=NOW - 60)),
    ("each protocol", relay(SrcAddr="rtsp://cam.example.com/1", DstAddr="srt://push.example.com:9000?streamid=1")),
    ("destination in three parts", relay(DstAddr=None, Domain="push.example.com", App="live", Stream="s1")),
    ("a destination wins over its parts", relay(Domain="x")),
    ("30 files", files(VodSrcAddrs=THIRTY)),
    ("files the old way", files(VodSrcAddrs=None, SrcAddrS=OLD, OffsetS=[1, 2.5])),
    ("one offset for one file", files(VodSrcAddrs=None, SrcAddrS=OLD[:1], Offset=30)),
    ("endless loop", files(CycleMode=-1)),
    ("loop mode left out", files(CycleMode=None)),
    ("watermark", relay(Watermark=mark())),
    ("watermark in JPEG", relay(Watermark=mark(Picture=jpeg(1080, 1080)))),
    ("watermark at the edges", relay(Watermark=mark(RelativePosX=0, RelativePosY=0.999, Ratio=1))),
    ("unknown members are ignored", relay(Nonsense={"a": 1})),
    ("file lists are ignored for a live source", relay(OffsetS=[1, 2, 3])),
]

REFUSED = [
    ("no StartTime", relay(StartTime=None), "InvalidParam"),
    ("no EndTime", relay(EndTime=None), "InvalidParam"),
    ("no Type", relay(Type=None), "InvalidParam"),
    ("Type 2", relay(Type=2), "InvalidParam"),
    ("title with a hyphen", relay(Title="task-1"), "InvalidParam"),
    ("title with a space", relay(Title="task 1"), "InvalidParam"),
    ("title with a newline at its end", relay(Title="task1\n"), "InvalidParam"),
    ("title of 21", relay(Title="a" * 21), "InvalidParam"),
    ("times as text", relay(StartTime="2026-01-01T00:00:00Z"), "InvalidParam.BindError"),
    ("time as a fraction", relay(StartTime=NOW + 0.5), "InvalidParam.BindError"),
    ("Type as a truth value", relay(Type=True), "InvalidParam.BindError"),
    ("time beyond 32 bits", relay(EndTime=2**31), "InvalidParam"),
    ("end before start", relay(EndTime=NOW - 10, StartTime=NOW), "InvalidParam"),
    ("end equals start", relay(EndTime=NOW), "InvalidParam"),
    ("all in the past", relay(StartTime=NOW - 100, EndTime=NOW - 50), "InvalidParam"),
    ("7 days and a second", relay(EndTime=NOW + 604801), "InvalidParam"),
    ("live without a source", relay(SrcAddr=None), "InvalidParam"),
    ("live with an empty source", relay(SrcAddr=""), "InvalidParam"),
    ("source of 1001 characters", relay(SrcAddr=LONG_URL + "a"), "InvalidParam"),
    ("source with Chinese in it", relay(SrcAddr="http://a.example/新闻"), "InvalidParam"),
    ("source with another protocol", relay(SrcAddr="file:///etc/passwd"), "InvalidParam"),
    ("callback of 513 characters", relay(CallbackURL="http://c.example.com/" + "a" * 492), "InvalidParam"),
    ("files without any", files(VodSrcAddrs=None), "InvalidParam"),
    ("files both ways", files(SrcAddrS=OLD), "InvalidParam"),
    ("new files with old offsets", files(OffsetS=[1, 2]), "InvalidParam"),
    ("31 files", files(VodSrcAddrs=[*THIRTY, THIRTY[0]]), "InvalidParam"),
    ("31 files the old way", files(VodSrcAddrs=None, SrcAddrS=OLD * 15 + OLD[:1]), "InvalidParam"),
    ("too few offsets", files(VodSrcAddrs=None, SrcAddrS=OLD, OffsetS=[1]), "InvalidParam"),
    ("a file without address", files(VodSrcAddrs=[{"StartOffset": 1}]), "InvalidParam"),
    ("a file with an empty address", files(VodSrcAddrs=[{"SrcAddr": ""}]), "InvalidParam"),
    ("an empty old file", files(VodSrcAddrs=None, SrcAddrS=[""]), "InvalidParam"),
    ("a list where a text is due", relay(SrcAddr=["a"]), "InvalidParam.BindError"),
    ("loop mode -2", files(CycleMode=-2), "InvalidParam"),
    ("play times -1", files(PlayTimes=-1), "InvalidParam"),
    ("PreDownload 2", files(PreDownload=2), "InvalidParam"),
    ("ContinueStrategy 9, as a published sample has it", files(ContinueStrategy=9), "InvalidParam"),
    ("no destination", relay(DstAddr=None), "InvalidParam"),
    ("a destination in two parts", relay(DstAddr=None, Domain="push.example.com", App="live"), "InvalidParam"),
    ("watermark without ratio", relay(Watermark={"Picture": picture(), "RelativePosX": 0, "RelativePosY": 0}), "InvalidParam"),
    ("watermark at 1", relay(Watermark=mark(RelativePosX=1)), "InvalidParam"),
    ("watermark of no width", relay(Watermark=mark(Ratio=0)), "InvalidParam"),
    ("watermark wider than the video", relay(Watermark=mark(Ratio=1.01)), "InvalidParam"),
    ("watermark as GIF", relay(Watermark=mark(Picture=picture(kind="gif"))), "InvalidParam"),
    ("watermark of 99 bytes", relay(Watermark=mark(Picture=picture(99))), "InvalidParam"),
    ("watermark over 2 MB", relay(Watermark=mark(Picture=picture(2 * 1024 * 1024 + 1))), "InvalidParam"),
    ("watermark of 1081 pixels", relay(Watermark=mark(Picture=picture(width=1081))), "InvalidParam"),
    ("JPEG watermark of 1081 pixels", relay(Watermark=mark(Picture=jpeg(100, 1081))), "InvalidParam"),
    ("watermark that is not base64", relay(Watermark=mark(Picture="data:image/png;base64,###")), "InvalidParam"),
    ("group name of 21", relay(GroupName="g" * 21), "InvalidParam"),
    ("not JSON", b"{", "InvalidParam.BindError"),
    ("a JSON list", b"[]", "InvalidParam.BindError"),
    ("JSON with NaN", b'{"StartTime": NaN}', "InvalidParam.BindError"),
    ("no body", b"", "InvalidParam"),
]


@pytest.mark.parametrize("body", [each[1] for each in ACCEPTED], ids=[each[0] for each in ACCEPTED])
def test_create_accepts(body: dict[str, Any]) -> None:
    volc = Volc(world_at_noon())
    task_id = volc.must("CreatePullToPushTask", body)["TaskId"]
    assert [each["TaskId"] for each in listed(volc)] == [task_id]


@pytest.mark.parametrize(("body", "code"), [each[1:] for each in REFUSED], ids=[each[0] for each in REFUSED])
def test_create_refuses(body: Any, code: str) -> None:
    volc = Volc(world_at_noon())
    volc.call("CreatePullToPushTask", body)
    assert (volc.status, volc.code) == (400, code)
    assert listed(volc) == []
    assert volc.world.ledger.events == []


@pytest.mark.parametrize(("body", "code"), [each[1:] for each in REFUSED], ids=[each[0] for each in REFUSED])
def test_update_refuses_the_same_and_leaves_the_task_alone(body: Any, code: str) -> None:
    volc = Volc(world_at_noon())
    task_id = volc.must("CreatePullToPushTask", relay())["TaskId"]
    before = listed(volc)
    sent = {"TaskId": task_id, **body} if isinstance(body, dict) else body
    volc.call("UpdatePullToPushTask", sent)
    assert (volc.status, volc.code) == (400, code)
    assert listed(volc) == before


def test_past_start_can_be_refused_but_not_on_a_task_that_keeps_it() -> None:
    volc = Volc(world_at_noon(live__past_start="reject"))
    volc.call("CreatePullToPushTask", relay(StartTime=NOW - 1))
    assert volc.code == "InvalidParam"
    task_id = volc.must("CreatePullToPushTask", relay())["TaskId"]
    volc.world.clock.advance(600)
    volc.must("UpdatePullToPushTask", {"TaskId": task_id, **relay(Title="other")})
    volc.call("UpdatePullToPushTask", {"TaskId": task_id, **relay(StartTime=NOW + 300)})
    assert volc.code == "InvalidParam"


@pytest.mark.parametrize(
    ("switch", "second"), [("title_unique", {"DstAddr": "rtmp://other.example/a"}), ("dst_unique", {"Title": "other"})]
)
def test_twins_can_be_refused(switch: str, second: dict[str, Any]) -> None:
    free = Volc(world_at_noon())
    free.must("CreatePullToPushTask", relay())
    free.must("CreatePullToPushTask", relay(**second))
    strict = Volc(world_at_noon(**{f"live__{switch}": "yes"}))
    task_id = strict.must("CreatePullToPushTask", relay())["TaskId"]
    strict.call("CreatePullToPushTask", relay(**second))
    assert strict.code == "InvalidParam"
    strict.must("UpdatePullToPushTask", {"TaskId": task_id, **relay()})  # a task is not its own twin


def test_sub_accounts_must_name_their_group() -> None:
    world = world_at_noon()
    world.data["keys"]["volcengine"]["AKLTSUB"] = {"secret": "s", "account": "2100000001", "sub_account": True}
    sub = Volc(world, key="AKLTSUB", secret="s")
    sub.call("CreatePullToPushTask", relay())
    assert (sub.status, sub.code) == (403, "RequestForbidden.AccountIDNotAllow")
    task_id = sub.must("CreatePullToPushTask", relay(GroupName="news"))["TaskId"]
    sub.call("StopPullToPushTask", {"TaskId": task_id})
    assert sub.code == "RequestForbidden.AccountIDNotAllow"
    sub.must("StopPullToPushTask", {"TaskId": task_id, "GroupName": "news"})


def test_other_accounts_see_and_touch_nothing() -> None:
    world = world_at_noon()
    world.data["keys"]["volcengine"]["AKLTOTHER"] = {"secret": "s", "account": "999"}
    task_id = Volc(world).must("CreatePullToPushTask", relay())["TaskId"]
    other = Volc(world, key="AKLTOTHER", secret="s")
    assert listed(other) == []
    other.call("DeletePullToPushTask", {"TaskId": task_id})
    assert (other.status, other.code) == (403, "RequestForbidden")
