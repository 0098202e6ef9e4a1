"""RelayTask: manifests in, wire bodies out; vendor's lists in, observations out; every verb against a small hand-written vendor."""

from __future__ import annotations

import base64
import itertools
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from reconciler import wire
from reconciler.diff import differences
from reconciler.errors import Denied, NotFound, OutcomeUnknown, Rejected, Throttled, Unavailable
from reconciler.kinds import _relay_list, _relay_spec, relay_task
from reconciler.kinds._calls import Operation
from reconciler.kinds._ingest import Ingest
from reconciler.kinds._marks import fingerprint
from reconciler.kinds._pictures import image_bytes, image_fault
from reconciler.kinds._relay_list import Task
from reconciler.kinds._relay_spec import RelaySpec, derived_title
from reconciler.kinds.relay_task import KIND, RULES
from reconciler.model import (
    Address,
    Batch,
    Call,
    Created,
    Desired,
    Entry,
    Intent,
    Lookup,
    Match,
    Observed,
    Pause,
    Place,
    Presence,
    Reply,
    Sealed,
    Secret,
    Stage,
    Stranger,
    Survey,
    Timing,
    Url,
    Verb,
    Window,
)

from .drive import actions, calls, drive

START = datetime(2026, 12, 1, 0, 0, tzinfo=UTC)
END = START + timedelta(hours=2)
NOT_SERVED = Rejected("no such action", code="InvalidActionOrVersion", status=404)
PNG = b"\x89PNG\r\n\x1a\n" + b"\x00\x00\x00\x0dIHDR" + (64).to_bytes(4) + (32).to_bytes(4) + bytes(100)
JPEG = b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc0\x00\x0b\x08" + (480).to_bytes(2) + (640).to_bytes(2) + bytes(120)


def data_url(data: bytes, kind: str = "png") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


LIVE = {"source": {"url": "http://pull.example.com/live/s.flv"}, "destination": {"url": "rtmp://push.example.com/live/s?key=K1"}}
VOD = {
    "title": "早间新闻",
    "group": "news",
    "source": {
        "files": [{"url": "https://vod.example.com/a.mp4", "startOffset": "30s"}, {"url": "https://vod.example.com/b.mp4", "endOffset": 5}],
        "loop": 3,
        "resume": "elapsed",
        "preload": False,
    },
    "destination": {"domain": "push.example.com", "app": "live", "stream": "s"},
    "callbackUrl": "https://ops.example.com/relay",
    "watermark": {"image": data_url(PNG), "x": 0.05, "y": 0.1, "width": 0.12},
    "enabled": True,
}


def seal(secret: Secret) -> Sealed:
    return Sealed("digest of " + secret.reveal(), "***")


def desired(spec: dict[str, Any], name: str = "morning-news", **more: Any) -> Desired:
    values = KIND.canonical(RelaySpec.model_validate(spec), name=name)
    timing = more.pop("timing", Timing(Window(START, END)))
    return Desired(Address("RelayTask", name), values, Place("a.yaml"), timing=timing, **more)


def ask(want: Desired | None, **more: Any) -> Lookup:
    address = more.pop("address", None) or (want.address if want else Address("RelayTask", "morning-news"))
    return Lookup(address, "default", want, **more)


def entry(want: Desired, id: str, **more: Any) -> Entry:
    return Entry(want.address, "default", id, KIND.identity(want), window=want.window, **more)


def intent(want: Desired, verb: Verb = Verb.CREATE, **more: Any) -> Intent:
    known: dict[str, Any] = {
        "id": "i1", "address": want.address, "account": "default", "verb": verb, "action": "CreatePullToPushTask",
        "identity": KIND.identity(want), "incarnation": want.incarnation, "sent": START, "horizon": START, "window": want.window,
    }  # fmt: skip
    return Intent(**{**known, **more})


def row(want: Desired, id: str = "t1", status: str = "未开始", **more: Any) -> dict[str, Any]:
    """The list's row of a task made as `want`, as the plainest vendor would show it."""
    return {**listed({**sent(want), "TaskId": id}, status), **more}


def listed(body: dict[str, Any], status: str) -> dict[str, Any]:
    shown = {key: value for key, value in body.items() if key not in ("Domain", "App", "Stream")}
    if not shown.get("DstAddr"):
        shown["DstAddr"] = f"rtmp://{body['Domain']}/{body['App']}/{body['Stream']}"
    for name in ("StartTime", "EndTime"):
        shown[name] = datetime.fromtimestamp(body[name], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {**shown, "Status": status, "DstAddrType": 2}


def sent(want: Desired) -> dict[str, Any]:
    _, steps = drive(KIND.create(want), lambda call: {"TaskId": "t1"})
    return dict(calls(steps)[0].body)


def page(*rows: dict[str, Any], total: int | None = None) -> dict[str, Any]:
    count = len(rows) if total is None else total
    return {"List": list(rows) or None, "Pagination": {"PageCur": 1, "PageSize": 500, "PageTotal": 1, "TotalCount": count}}


def observe(rows: list[dict[str, Any]], *ask: Lookup) -> Survey:
    survey, _ = drive(KIND.observe(ask), [page(*rows)])
    assert [answer.address for answer in survey.answers] == [lookup.address for lookup in ask]
    return survey


def seen(rows: list[dict[str, Any]], want: Desired, **more: Any) -> Observed:
    return observe(rows, ask(want, **more)).answers[0]


def changes(want: Desired, live: Observed, applied: Any = None) -> list[str]:
    return [one.path for one in differences(want.values, live.values, seal=seal, unread=live.unread, applied=applied)]


# --- (1) what is sent -------------------------------------------------------------------------------------------------


def test_a_live_source_is_sent_with_type_0_and_nothing_of_a_play_list():
    want = desired(LIVE)
    assert sent(want) == {
        "Title": "morningnews" + fingerprint("default", want.address, 1),
        "GroupName": "default",
        "Type": 0,
        "SrcAddr": "http://pull.example.com/live/s.flv",
        "DstAddr": "rtmp://push.example.com/live/s?key=K1",
        "StartTime": 1796083200,
        "EndTime": 1796090400,
    }


def test_every_other_parameter_of_create_in_name_type_and_value():
    assert sent(desired(VOD)) == {
        "Title": "早间新闻",
        "GroupName": "news",
        "Type": 1,
        "VodSrcAddrs": [
            {"SrcAddr": "https://vod.example.com/a.mp4", "StartOffset": 30.0, "EndOffset": 0.0},
            {"SrcAddr": "https://vod.example.com/b.mp4", "StartOffset": 0.0, "EndOffset": 5.0},
        ],
        "CycleMode": 3,
        "PlayTimes": 0,
        "ContinueStrategy": 1,
        "PreDownload": 0,
        "Domain": "push.example.com",
        "App": "live",
        "Stream": "s",
        "CallbackURL": "https://ops.example.com/relay",
        "Watermark": {"Picture": data_url(PNG), "RelativePosX": 0.05, "RelativePosY": 0.1, "Ratio": 0.12},
        "StartTime": 1796083200,
        "EndTime": 1796090400,
    }


@pytest.mark.parametrize(
    ("loop", "cycles"),
    [(1, 1), (3, 3), ("forever", -1), (None, 1)],
    ids=["once", "three times", "forever", "the default is once"],
)
def test_loops_are_sent_in_the_one_form_all_documents_agree_on(loop, cycles):
    source = {"files": [{"url": "https://v/a.mp4"}]} | ({"loop": loop} if loop else {})
    body = sent(desired({**LIVE, "source": source}))
    assert (body["CycleMode"], body["PlayTimes"], body["ContinueStrategy"], body["PreDownload"]) == (cycles, 0, 0, 1)


def test_a_secret_is_revealed_in_the_body_and_shown_nowhere():
    spec = {**LIVE, "destination": {"url": "rtmp://push.example.com/live/s?key=${env:PUSH_KEY}"}}
    want = desired(spec)
    url = want.values["destination"]["url"]
    known = replace(want, values={**want.values, "destination": {"url": url.resolved("rtmp://push.example.com/live/s?key=HUSH")}})
    assert sent(known)["DstAddr"].endswith("key=HUSH")
    assert "HUSH" not in repr(known) + str(KIND.claims(known)) + KIND.identity(known)


def test_the_picture_is_the_one_field_that_may_name_a_file():
    assert KIND.images == ("watermark.image",)
    assert desired({**VOD, "watermark": {"image": "logo.png", "width": 0.1}}).values["watermark"]["image"] == "logo.png"


# --- (2) what is refused ----------------------------------------------------------------------------------------------


def mistakes(spec: dict[str, Any]) -> list[tuple[str, str]]:
    """(rule, path) of every mistake."""
    try:
        RelaySpec.model_validate(spec)
    except ValidationError as wrong:
        found = []
        for one in wrong.errors():
            context = one.get("ctx", {})
            for each in (context, *context.get("more", ())):
                path = [str(part) for part in one["loc"]] + ([each["at"]] if each.get("at") else [])
                found.append((each.get("rule", one["type"]), ".".join(path)))
        return found
    return []


FILES = {"files": [{"url": "https://v/a.mp4"}]}
MARK = {"image": "logo.png", "x": 0, "y": 0, "width": 0.5}

MISTAKES = [
    ("title too long", {"title": "早间新闻直播" * 4}, [("RC112", "title")]),
    ("title empty", {"title": ""}, [("RC112", "title")]),
    ("title with a hyphen", {"title": "morning-news"}, [("RC112", "title")]),
    ("group with a space", {"group": "a b"}, [("RC123", "group")]),
    ("no source at all", {"source": {}}, [("RC110", "source")]),
    ("two sources", {"source": {"url": "http://p/s", **FILES}}, [("RC110", "source")]),
    ("no files", {"source": {"files": []}}, [("RC111", "source.files")]),
    ("31 files", {"source": {"files": FILES["files"] * 31}}, [("RC111", "source.files")]),
    (
        "options of a play list beside a live source, all told at once",
        {"source": {"url": "http://p/s", "loop": 2, "resume": "elapsed", "preload": True}},
        [("RC113", "source.loop"), ("RC113", "source.resume"), ("RC113", "source.preload")],
    ),
    ("loop 0", {"source": {**FILES, "loop": 0}}, [("RC114", "source.loop")]),
    ("loop true is no number", {"source": {**FILES, "loop": True}}, [("RC114", "source.loop")]),
    ("loop in other words", {"source": {**FILES, "loop": "always"}}, [("RC114", "source.loop")]),
    ("resume in the vendor's number", {"source": {**FILES, "resume": 1}}, [("literal_error", "source.resume")]),
    ("a source scheme the vendor cannot pull", {"source": {"url": "ftp://p/s"}}, [("RC115", "source.url")]),
    ("a source over 1000 characters", {"source": {"url": "http://p/" + "s" * 1000}}, [("RC115", "source.url")]),
    ("a source in Chinese", {"source": {"url": "http://p/新闻"}}, [("RC115", "source.url")]),
    ("a file without a scheme", {"source": {"files": [{"url": "a.mp4"}]}}, [("RC115", "source.files.0.url")]),
    ("a negative offset", {"source": {"files": [{"url": "http://v/a", "startOffset": -1}]}}, [("RC021", "source.files.0.startOffset")]),
    ("no destination", {"destination": {}}, [("RC116", "destination")]),
    ("half a push point", {"destination": {"domain": "p.example.com", "app": "live"}}, [("RC116", "destination")]),
    ("both forms", {"destination": {"url": "rtmp://p/a/s", "app": "live"}}, [("RC116", "destination.app")]),
    ("a destination without a host", {"destination": {"url": "rtmp:///live"}}, [("RC117", "destination.url")]),
    ("a secret host", {"destination": {"url": "rtmp://${env:HOST}/live"}}, [("RC024", "destination.url")]),
    ("a domain with a path", {"destination": {"domain": "p/x", "app": "a", "stream": "s"}}, [("RC118", "destination.domain")]),
    ("a stream with a query", {"destination": {"domain": "p", "app": "a", "stream": "s?k=1"}}, [("RC118", "destination.stream")]),
    ("a callback over 512 characters", {"callbackUrl": "https://o/" + "x" * 512}, [("RC119", "callbackUrl")]),
    ("a watermark from the web", {"watermark": {**MARK, "image": "https://i/logo.png"}}, [("RC120", "watermark.image")]),
    ("a watermark without a name", {"watermark": {**MARK, "image": ""}}, [("RC120", "watermark.image")]),
    ("a watermark of another type", {"watermark": {**MARK, "image": "logo.gif"}}, [("RC120", "watermark.image")]),
    ("a watermark below 100 bytes", {"watermark": {**MARK, "image": data_url(b"tiny")}}, [("RC120", "watermark.image")]),
    ("a watermark that is no picture", {"watermark": {**MARK, "image": data_url(bytes(200))}}, [("RC120", "watermark.image")]),
    ("x at 1", {"watermark": {**MARK, "x": 1.0}}, [("RC121", "watermark.x")]),
    ("y below 0", {"watermark": {**MARK, "y": -0.1}}, [("RC121", "watermark.y")]),
    ("width 0", {"watermark": {**MARK, "width": 0.0}}, [("RC122", "watermark.width")]),
    ("width with three decimals", {"watermark": {**MARK, "width": 0.125}}, [("RC122", "watermark.width")]),
    ("an unknown key", {"colour": "red"}, [("extra_forbidden", "colour")]),
    (
        "mistakes in several places, all at once",
        {"title": "a b", "callbackUrl": "x", "watermark": {**MARK, "width": 2.0}},
        [("RC112", "title"), ("RC119", "callbackUrl"), ("RC122", "watermark.width")],
    ),
]


@pytest.mark.parametrize(("spec", "expected"), [case[1:] for case in MISTAKES], ids=[case[0] for case in MISTAKES])
def test_mistakes_name_their_rule_and_path(spec, expected):
    assert mistakes({**LIVE, **spec}) == expected


def test_the_message_of_a_long_title_is_the_one_people_know():
    with pytest.raises(ValidationError) as wrong:
        RelaySpec.model_validate({**LIVE, "title": "早间新闻直播" * 4})
    assert wrong.value.errors()[0]["msg"] == "relay title has 24 characters, the vendor accepts 1 to 20"


VETTED = [
    ("exactly 7 days", Window(START, START + timedelta(days=7)), []),
    ("7 days and a second", Window(START, START + timedelta(days=7, seconds=1)), ["RC101"]),
    ("no end", Window(START), ["RC100"]),
    ("ends before it starts", Window(END, START), ["RC100"]),
    ("a fraction of a second", Window(START, END + timedelta(milliseconds=500)), ["RC103"]),
    ("past the vendor's calendar", Window(datetime(2038, 1, 19, 3, tzinfo=UTC), datetime(2038, 1, 19, 4, tzinfo=UTC)), ["RC102"]),
]


@pytest.mark.parametrize(("window", "rules"), [case[1:] for case in VETTED], ids=[case[0] for case in VETTED])
def test_windows_are_vetted(window, rules):
    found = list(KIND.vet(desired(LIVE, timing=Timing(window))))
    assert [one.rule for one in found] == rules
    assert all(one.address == "RelayTask/morning-news" and one.path.startswith("schedule") for one in found)


def test_the_limit_of_7_days_is_named():
    (found,) = KIND.vet(desired(LIVE, timing=Timing(Window(START, START + timedelta(days=8)))))
    assert "7 days" in found.message


def test_a_picture_read_from_a_file_is_vetted_too():
    want = desired({**LIVE, "watermark": MARK})
    huge = PNG[:16] + (2000).to_bytes(4) + (32).to_bytes(4) + bytes(100)
    resolved = replace(want, values={**want.values, "watermark": {**want.values["watermark"], "image": data_url(huge)}})
    assert [one.rule for one in KIND.vet(want)] == []
    assert [(one.rule, one.path) for one in KIND.vet(resolved)] == [("RC120", "spec.watermark.image")]


def test_pictures_are_measured():
    assert image_fault(data_url(JPEG, "jpeg")) == ""
    assert "1081 x 480" in image_fault(data_url(JPEG.replace((640).to_bytes(2), (1081).to_bytes(2)), "jpg"))
    assert image_bytes(data_url(PNG)) == PNG
    assert image_bytes("logo.png") is None
    assert image_bytes("data:image/png;base64,AAA") is None
    assert "is not a data URL" in image_fault("data:image/gif;base64,AAAA")


def test_every_rule_that_is_used_is_explained():
    declared, verbs = (Path(module.__file__).read_text(encoding="utf-8") for module in (_relay_spec, relay_task))
    used = set(re.findall(r'"(RC1\d\d)"', verbs + declared.split("# --- what is declared")[1]))
    assert used == set(RULES)
    assert all(title and text.endswith(".") for title, text in RULES.values())


# --- claims -----------------------------------------------------------------------------------------------------------

CLAIMS = [
    ("plain", {"url": "rtmp://push.example.com/live/s"}, "rtmp://push.example.com/live/s"),
    ("host in capitals, default port, key", {"url": "RTMP://Push.Example.com:1935/live/s?key=1#x"}, "rtmp://push.example.com/live/s"),
    ("rtmps on its default port is the same place", {"url": "rtmps://push.example.com:443/live/s/"}, "rtmp://push.example.com/live/s"),
    ("another port is another place", {"url": "rtmp://push.example.com:1936/live/s"}, "rtmp://push.example.com:1936/live/s"),
    ("user info is no part of it", {"url": "rtmp://u:p@push.example.com/live/s"}, "rtmp://push.example.com/live/s"),
    ("a push point", {"domain": "Push.example.com", "app": "live", "stream": "s"}, "rtmp://push.example.com/live/s"),
    (
        "srt names the stream in its id",
        {"url": "srt://h.example.com:9000?streamid=#!::r=live/s,m=publish"},
        "srt://h.example.com:9000/live/s",
    ),
    ("a secret query is not in it", {"url": "rtmp://h/live/s?key=${env:K}"}, "rtmp://h/live/s"),
]


@pytest.mark.parametrize(("destination", "claim"), [case[1:] for case in CLAIMS], ids=[case[0] for case in CLAIMS])
def test_a_destination_is_claimed_in_one_spelling(destination, claim):
    assert KIND.claims(desired({**LIVE, "destination": destination})) == (claim,)


def test_a_stream_key_in_the_path_is_claimed_by_its_digest_on_both_sides():
    want = desired({**LIVE, "destination": {"url": "rtmp://a.example.com/live2/${env:KEY}"}})
    url = want.values["destination"]["url"].resolved("rtmp://a.example.com/live2/TOPSECRET")
    want = replace(want, values={**want.values, "destination": {"url": url}})
    (claim,) = KIND.claims(want)
    assert "TOPSECRET" not in claim
    foreign = row(desired(LIVE, name="other"), id="x", DstAddr="rtmp://a.example.com/live2/TOPSECRET?sig=1")
    survey = observe([foreign], ask(want))
    assert survey.strangers[0].claims == (claim,)


# --- (3) what is read: the vendor's unknowns --------------------------------------------------------------------------

EMPTIES: dict[str, Any] = {"null": None, "zero": 0, "absent": ...}


def variant(
    body: dict[str, Any], *, empty: str, offset: str, legacy: str, group: bool, query: str, picture: str, status: Any
) -> dict[str, Any]:
    """The list's row under one choice of everything the vendor's documents leave open."""
    shown = listed(body, "未开始")
    if offset != "Z":
        for name in ("StartTime", "EndTime"):
            moment = datetime.fromisoformat(shown[name]).astimezone(timezone(timedelta(hours=8)))
            shown[name] = moment.isoformat(timespec="seconds")
    blank = EMPTIES[empty]
    nothing, no_list = ("", []) if blank == 0 else (blank, blank)
    fill = {"CallbackURL": nothing, "Title": "", "Watermark": {"Picture": "", "Ratio": 0} if blank == 0 else blank}
    if body["Type"] == 0:
        fill |= dict.fromkeys(("CycleMode", "PlayTimes", "PreDownload", "ContinueStrategy"), blank)
        fill |= dict.fromkeys(("SrcAddrS", "OffsetS", "VodSrcAddrs"), no_list)
    else:
        fill |= {"SrcAddr": nothing}
    shown = {**{key: value for key, value in fill.items() if value is not ...}, **shown}
    if body["Type"] == 0 and empty == "absent":
        del shown["Type"]  # a zero may be left out, too
    if body["Type"] == 1:
        if legacy != "vod":
            shown["SrcAddrS"] = [item["SrcAddr"] for item in shown["VodSrcAddrs"]]
            shown["OffsetS"] = [item["StartOffset"] for item in shown["VodSrcAddrs"]]
        if legacy == "swapped":
            shown["CycleMode"], shown["PlayTimes"] = 0, shown["CycleMode"]
        for item in shown["VodSrcAddrs"]:
            for name in ("StartOffset", "EndOffset"):
                if item[name] == 0 and blank is not ...:
                    item[name] = blank
                elif item[name] == 0:
                    del item[name]
    if not group:
        del shown["GroupName"]
    if query == "masked":
        shown["DstAddr"] = shown["DstAddr"].replace("key=K1", "key=***")
    elif query == "dropped":
        shown["DstAddr"] = shown["DstAddr"].partition("?")[0]
    if "Watermark" in body:
        mark = shown["Watermark"] = {k: 0.10000000149011612 if v == 0.1 else v for k, v in body["Watermark"].items()}  # float32
        if picture == "absent":
            del mark["Picture"]
        elif picture == "rehosted":
            mark["Picture"] = "https://cdn.example.com/1.png"
        elif picture == "respelt":
            mark["Picture"] = mark["Picture"].replace("image/png", "image/jpeg")
    if isinstance(status, int):
        del shown["Status"]
        shown["TaskStatus"] = status
    return shown


@pytest.mark.parametrize("spec", [LIVE, VOD, {**LIVE, "source": VOD["source"]}], ids=["live source", "everything", "play list, url"])
def test_after_a_create_nothing_differs_whatever_the_vendor_left_open(spec):
    want = desired(spec)
    body = {**sent(want), "TaskId": "t1"}
    choices = itertools.product(
        EMPTIES, ["Z", "+08:00"], ["vod", "both", "swapped"], [True, False], ["echo", "masked", "dropped"],
        ["echo", "absent", "rehosted", "respelt"], ["未开始", 1],
    )  # fmt: skip
    for empty, offset, legacy, group, query, picture, status in choices:
        copy = {key: [dict(item) for item in value] if key == "VodSrcAddrs" else value for key, value in body.items()}
        shown = variant(copy, empty=empty, offset=offset, legacy=legacy, group=group, query=query, picture=picture, status=status)
        live = seen([shown], want, entry=entry(want, "t1"))
        assert changes(want, live, want.values) == [], shown
        assert (live.presence, live.stage, live.match, live.window) == (Presence.LIVE, Stage.WAITING, Match.LEDGER, want.window)


def test_a_play_list_returned_in_the_legacy_form_only_is_the_same_play_list():
    want = desired({**LIVE, "source": {"files": [{"url": "https://v/a.mp4", "startOffset": 30}, {"url": "https://v/b.mp4"}]}})
    legacy = row(want, VodSrcAddrs=None, SrcAddrS=["https://v/a.mp4", "https://v/b.mp4"], OffsetS=[30.0])
    assert changes(want, seen([legacy], want)) == []


SPELLINGS = [
    ("numbers as text", {"Type": "1", "CycleMode": "3", "PlayTimes": "0", "PreDownload": "0", "ContinueStrategy": "1"}),
    ("numbers as floats", {"Type": 1.0, "CycleMode": 3.0, "PlayTimes": 0.0, "PreDownload": 0.0, "ContinueStrategy": 1.0}),
    ("booleans", {"PreDownload": False, "ContinueStrategy": True}),
    ("type left out", {"Type": None}),
    ("instants in Unix seconds", {"StartTime": int(START.timestamp()), "EndTime": str(int(END.timestamp()))}),
    ("instants without an offset are UTC", {"StartTime": "2026-12-01T00:00:00", "EndTime": "2026-12-01 02:00:00"}),
    ("instants of another spelling", {"StartTime": "2026-12-01T08:00:00.000000000+0800", "EndTime": "2026-12-01 10:00:00+08"}),
    ("members of tomorrow", {"Tags": [{"Key": "k"}], "CreateTime": "2026-11-01T00:00:00Z", "DstAddrType": 2}),
]


@pytest.mark.parametrize("more", [case[1] for case in SPELLINGS], ids=[case[0] for case in SPELLINGS])
def test_a_row_means_the_same_however_it_is_spelled(more):
    source = {**VOD["source"], "loop": 3, "resume": "elapsed", "preload": False}
    want = desired({**VOD, "source": source})
    offsets = {"VodSrcAddrs": [{**file, "StartOffset": str(file["StartOffset"])} for file in sent(want)["VodSrcAddrs"]]}
    live = seen([row(want, **offsets, **more)], want, entry=entry(want, "t1"))
    assert changes(want, live, want.values) == []
    assert live.window == want.window


@pytest.mark.parametrize(
    "more",
    [{"Type": None, "SrcAddrS": [""]}, {"Watermark": {"Picture": "", "Ratio": "0"}}, {"Type": "0", "CycleMode": "0", "PreDownload": "1"}],
    ids=["type left out", "zero watermark as text", "numbers of a play list"],
)
def test_what_means_nothing_for_a_live_source_is_nothing(more):
    want = desired(LIVE)
    assert changes(want, seen([row(want, **more)], want)) == []


def test_a_watermark_that_the_list_never_tells_is_left_to_the_ledger():
    want, bare = desired(VOD), desired({key: value for key, value in VOD.items() if key != "watermark"})
    silent = {**row(want), "Watermark": None}
    known = seen([silent], want, entry=entry(want, "t1", applied=want.values))
    assert changes(want, known, want.values) == []
    assert changes(want, seen([silent], want, entry=entry(want, "t1", applied=bare.values)), bare.values) == ["spec.watermark"]
    assert changes(bare, seen([silent], bare, entry=entry(want, "t1", applied=want.values)), want.values) == ["spec.watermark"]


@pytest.mark.parametrize(
    ("cycles", "times", "loop"),
    [(-1, 0, "forever"), (-1, 5, "forever"), (0, 3, 3), (3, 0, 3), (1, 3, 3), (0, 0, 1), (None, None, 1)],
)
def test_loops_are_read_by_one_rule(cycles, times, loop):
    live = seen([row(desired(VOD), CycleMode=cycles, PlayTimes=times)], desired(VOD))
    assert live.values["source"]["loop"] == loop


STATUSES = [
    ("停用", Presence.LIVE, Stage.STOPPED, False),
    ("未开始", Presence.LIVE, Stage.WAITING, True),
    ("生效中", Presence.LIVE, Stage.ON_AIR, True),
    ("已结束", Presence.ENDED, Stage.ENDED, True),
    (0, Presence.LIVE, Stage.STOPPED, False),
    (2, Presence.LIVE, Stage.ON_AIR, True),
    (3, Presence.ENDED, Stage.ENDED, True),
    ("暂停中", Presence.UNKNOWN, Stage.NONE, None),
    (None, Presence.UNKNOWN, Stage.NONE, None),
]


@pytest.mark.parametrize(("status", "presence", "stage", "enabled"), STATUSES)
def test_status_becomes_presence_and_stage(status, presence, stage, enabled):
    want = desired(LIVE)
    shown = row(want)
    del shown["Status"]
    live = seen([{**shown, "TaskStatus" if isinstance(status, int) else "Status": status}], want)
    assert (live.presence, live.stage, live.values.get("enabled")) == (presence, stage, enabled)
    assert ("enabled" in live.unread) == (enabled is None)
    assert bool(live.detail) == (presence is Presence.UNKNOWN)


def test_an_unknown_status_is_derived_from_the_number_beside_it():
    want = desired(LIVE)
    assert seen([row(want, Status="rolling", TaskStatus=2)], want).stage is Stage.ON_AIR


def test_rows_that_make_no_sense_are_never_an_exception():
    want = desired(VOD)
    odd = [
        {"TaskId": "a"},
        {"TaskId": "b", "Type": 1, "SrcAddrS": "x", "OffsetS": {}, "CycleMode": "y", "VodSrcAddrs": [1, None], "Status": ["z"]},
        {"TaskId": "c", "Type": "0", "StartTime": "yesterday", "EndTime": True, "Watermark": [], "ContinueStrategy": {}, "GroupName": 7},
        {"TaskId": "d", "StartTime": 1796083200, "DstAddr": "not a url", "SrcAddr": 5, "CallbackURL": {}, "PreDownload": "x", "Type": 9},
    ]
    survey = observe(odd, ask(want))
    assert [stranger.id for stranger in survey.strangers] == ["a", "b", "c", "d"]


# --- what differs -----------------------------------------------------------------------------------------------------

DRIFT = [
    ("another source", {"SrcAddr": "http://pull.example.com/other.flv"}, ["spec.source.url"]),
    ("another place", {"DstAddr": "rtmp://push.example.com/live/other?key=K1"}, ["spec.destination.url"]),
    ("another key, in the echo", {"DstAddr": "rtmp://push.example.com/live/s?key=K2"}, ["spec.destination.url"]),
    ("rtmps instead", {"DstAddr": "rtmps://push.example.com/live/s?key=K1"}, ["spec.destination.url"]),
    ("only spelt otherwise", {"DstAddr": "rtmp://PUSH.example.com:1935/live/s?key=K1"}, []),
    ("a callback nobody declared", {"CallbackURL": "https://x.example.com/"}, ["spec.callbackUrl"]),
    ("a watermark nobody declared", {"Watermark": {"Picture": data_url(PNG), "Ratio": 0.5}}, ["spec.watermark"]),
    ("stopped by hand", {"Status": "停用"}, ["spec.enabled"]),
]


@pytest.mark.parametrize(("more", "paths"), [case[1:] for case in DRIFT], ids=[case[0] for case in DRIFT])
def test_drift_is_seen(more, paths):
    want = desired(LIVE)
    live = seen([row(want, **more)], want)
    assert changes(want, live) == paths


def test_a_changed_stream_key_that_the_echo_hides_shows_through_the_ledger():
    old = desired(LIVE)
    new = desired({**LIVE, "destination": {"url": "rtmp://push.example.com/live/s?key=K2"}})
    live = seen([row(old, DstAddr="rtmp://push.example.com/live/s")], new, entry=entry(old, "t1"))
    assert live.unread == {"destination.url"}
    assert changes(new, live, old.values) == ["spec.destination.url"]
    assert changes(new, live, new.values) == []


def test_a_push_point_differs_by_its_own_parts():
    want = desired(VOD)
    live = seen([row(want, DstAddr="rtmp://push.example.com/live/other?sig=1")], want)
    assert changes(want, live) == ["spec.destination.stream"]
    assert live.values["destination"] == {"domain": "push.example.com", "app": "live", "stream": "other"}


def test_a_masked_or_unresolved_source_is_left_to_the_ledger():
    spec = {**LIVE, "source": {"url": "http://pull.example.com/s.flv?token=${env:T}"}}
    want = desired(spec)  # not resolved, as in `plan --untrusted`
    shown = row(desired(LIVE), SrcAddr="http://pull.example.com/s.flv?token=***", Title="t")
    live = seen([shown], want, entry=entry(desired(LIVE), "t1"))
    assert "source.url" in live.unread
    assert "url" not in live.values["source"]


@pytest.mark.parametrize(
    ("path", "ours", "theirs"),
    [
        ("source.url", "http://pull.example.com/live/s.flv?t=a/b", "http://pull.example.com/live/s.flv?t=a%2Fb"),
        ("source.url", "http://pull.example.com/live/a%20b.flv", "http://pull.example.com/live/a b.flv"),
        ("source.url", "http://pull.example.com/live/s.flv", "http://PULL.example.com:80/live/s.flv"),
        ("source.url", "http://pull.example.com/live/s.flv?t=1", "http://pull.example.com/live/s.flv"),
        ("destination.url", "rtmp://push.example.com/live/s?k=a+b/c=", "rtmp://push.example.com/live/s?k=a%2Bb%2Fc%3D"),
        ("destination.url", "rtmp://push.example.com/live/a%20b", "rtmp://push.example.com/live/a b"),
        ("callbackUrl", "https://ops.example.com/cb?u=a/b", "https://ops.example.com/cb?u=a%2Fb"),
    ],
)
def test_a_url_that_comes_back_in_another_spelling_is_left_to_the_ledger(path, ours, theirs):
    part, _, key = path.partition(".")
    spelt = lambda url: desired({**LIVE, part: {key: url} if key else url})  # noqa: E731
    wire_name = {"source.url": "SrcAddr", "destination.url": "DstAddr", "callbackUrl": "CallbackURL"}[path]
    want, edited = spelt(ours), spelt(ours + "9")
    shown = row(want, **{wire_name: theirs})
    assert changes(want, seen([shown], want, entry=entry(want, "t1")), want.values) == []
    assert changes(edited, seen([shown], edited, entry=entry(want, "t1")), want.values) == [f"spec.{path}"]
    elsewhere = seen([{**shown, wire_name: theirs.replace("example", "elsewhere")}], want, entry=entry(want, "t1"))
    assert changes(want, elsewhere, want.values) == [f"spec.{path}"]


def test_a_file_whose_url_is_hidden_hides_nothing_else():
    want = desired(VOD)
    told = [{**file, "SrcAddr": file["SrcAddr"] + "?t=***"} for file in sent(want)["VodSrcAddrs"]]
    shown = row(want, VodSrcAddrs=told)
    live = seen([shown], want, entry=entry(want, "t1"))
    assert (changes(want, live, want.values), "source.files" in live.unread) == ([], True)
    edited = desired({**VOD, "source": {**VOD["source"], "files": [{"url": "https://vod.example.com/z.mp4"}, VOD["source"]["files"][1]]}})
    assert changes(edited, seen([shown], edited, entry=entry(want, "t1")), want.values) == ["spec.source.files"]
    moved = row(want, VodSrcAddrs=[{**told[0], "StartOffset": 31.0}, told[1]])
    assert changes(want, seen([moved], want, entry=entry(want, "t1")), want.values) == ["spec.source.files"], "changed outside"
    other = row(want, VodSrcAddrs=[{**told[0], "SrcAddr": "https://vod.example.com/a%2Emp4"}, {"SrcAddr": "https://other.example.com/"}])
    assert changes(want, seen([other], want, entry=entry(want, "t1")), want.values) == ["spec.source.files"], "changed outside"


def test_somebody_elses_user_name_in_a_source_is_no_other_spelling():
    want = desired({**LIVE, "source": {"url": "http://me:1@pull.example.com/live/s.flv"}})
    shown = row(want, SrcAddr="http://me:2@pull.example.com/live/s.flv")
    assert changes(want, seen([shown], want, entry=entry(want, "t1")), want.values) == ["spec.source.url"]


@pytest.mark.parametrize("preload", [True, False])
@pytest.mark.parametrize("told", ["null", "left out"])
def test_a_preload_that_is_not_told_may_be_either(preload, told):
    want = desired({**VOD, "source": {**VOD["source"], "preload": preload}})
    edited = desired({**VOD, "source": {**VOD["source"], "preload": not preload}})
    shown = {**row(want), "PreDownload": None}
    if told == "left out":
        del shown["PreDownload"]
    assert changes(want, seen([shown], want, entry=entry(want, "t1")), want.values) == []
    assert changes(edited, seen([shown], edited, entry=entry(want, "t1")), want.values) == ["spec.source.preload"]


@pytest.mark.parametrize("told", ["0001-01-01T00:00:00Z", "1970-01-01T08:00:00+08:00", "", None, 0, "0", "soon"])
def test_what_is_no_time_is_no_window(told):
    want = desired(LIVE)
    live = seen([row(want, StartTime=told, EndTime=told)], want)
    assert (live.window, live.warnings) == (None, ("the vendor's list tells no time for it",))


def test_small_letters_are_a_time_too():
    want = desired(LIVE)
    assert seen([row(want, StartTime="2026-12-01t00:00:00z")], want).window == want.window


def test_an_id_may_be_a_number():
    want = desired(LIVE)
    id, _ = drive(KIND.create(want), lambda call: {"TaskId": 7300000000000000001})
    assert id == "7300000000000000001"
    assert seen([row(want, id=7300000000000000001)], want).id == id


def test_what_the_list_does_not_tell_is_left_to_the_ledger():
    spec = {
        "source": LIVE["source"], "destination": {"url": "rtmp://push.example.com/live/s?key=${env:K}"}, "callbackUrl": "https://o/?t=${env:T}",
    }  # fmt: skip
    want = desired(spec)  # unresolved
    shown = row(desired({**LIVE, "callbackUrl": "https://o/?t=1"}))
    assert seen([shown], want, entry=entry(want, "t1")).unread == {"destination.url", "callbackUrl"}
    live = seen([{**shown, "DstAddr": None}], want, entry=entry(want, "t1"))
    assert (live.unread, live.values["destination"]) == ({"destination", "callbackUrl"}, {})
    record = {"destination": {"url": Sealed("d", "rtmp://push.example.com/***")}}
    gone = observe([row(desired(LIVE), DstAddr="rtmp://push.example.com/live/s")], ask(None, entry=entry(want, "t1", applied=record)))
    assert gone.answers[0].unread == {"destination.url"}


def test_pictures_compare_by_their_bytes():
    want = desired(VOD)
    other = {**sent(want)["Watermark"], "Picture": data_url(PNG + b"!")}
    assert changes(want, seen([row(want, Watermark=other)], want)) == ["spec.watermark.image"]


def test_the_group_is_unread_where_the_list_does_not_tell_it():
    want = desired({**LIVE, "group": "news"})
    shown = row(want)
    del shown["GroupName"]
    live = seen([shown], want)
    assert live.match is Match.MARK
    assert live.unread == {"group"}


def test_our_derived_title_is_nobodys_field_and_a_foreign_one_is_drift():
    want = desired(LIVE)
    assert "title" not in seen([row(want)], want).values
    renamed = seen([row(want, Title="byhand")], want, entry=entry(want, "t1"))
    assert changes(want, renamed) == ["spec.title"]


def test_a_joined_play_list_compares_as_it_was_joined():
    want = desired(VOD)
    late = KIND.joined(want, START + timedelta(minutes=10))
    assert late.window == Window(START + timedelta(minutes=10), END)
    assert [file["startOffset"] for file in late.values["source"]["files"]] == [630, 0]
    live = seen([row(late, status="生效中")], want, entry=entry(want, "t1"))
    assert live.window == late.window
    assert changes(late, live) == []
    assert KIND.joined(want, START) is want
    assert KIND.joined(desired(LIVE), START + timedelta(minutes=1)).values == desired(LIVE).values


def length(seconds: int, name: str = "a", start: int = 0) -> dict:
    return {"url": f"https://vod.example.com/{name}.mp4", "startOffset": start, "endOffset": start + seconds if seconds else 0}


@pytest.mark.parametrize(
    ("files", "loop", "minutes", "expected"),
    [
        ([length(300, "a", 30), length(0, "b")], 1, 4, [("a", 270), ("b", 0)]),
        ([length(300, "a", 30), length(0, "b")], 1, 5, [("b", 0)]),
        ([length(300, "a", 30), length(0, "b")], 1, 10, [("b", 300)]),
        ([length(300, "a", 30), length(0, "b")], 3, 10, [("b", 300), ("a", 30)]),
        ([length(300, "a"), length(120, "b"), length(60, "c")], "forever", 6, [("b", 60), ("c", 0), ("a", 0)]),
        ([length(300, "a"), length(120, "b"), length(60, "c")], "forever", 31, [("c", 0), ("a", 0), ("b", 0)]),
        ([length(300, "a")], "forever", 12, [("a", 120)]),
        ([length(300, "a")], 1, 12, [("a", 720)]),
    ],
    ids=["within", "at its end", "in the next", "the first comes again", "one round", "rounds", "one file", "nothing is left"],
)
def test_a_late_play_list_goes_on_in_the_file_it_has_come_to(files: list[dict], loop: object, minutes: int, expected: list) -> None:
    late = KIND.joined(desired({**VOD, "source": {"files": files, "loop": loop}}), START + timedelta(minutes=minutes))
    found = late.values["source"]["files"]
    assert [(file["url"].reveal()[24:-4], file["startOffset"]) for file in found] == expected


REPLACED = [
    ("group", {**LIVE, "group": "b"}, "spec.group", True),
    ("live source to play list", {**LIVE, "source": FILES}, "spec.source.files", True),
    ("live source to play list, its options", {**LIVE, "source": FILES}, "spec.source.loop", True),
    ("another live source", {**LIVE, "source": {"url": "http://p/2"}}, "spec.source.url", False),
    ("destination", LIVE, "spec.destination.url", False),
    ("a watermark added", {**LIVE, "watermark": MARK}, "spec.watermark", False),
    ("a watermark removed", LIVE, "spec.watermark", True),
    ("a callback removed", LIVE, "spec.callbackUrl", False),
    ("end", LIVE, "schedule.end", False),
]


@pytest.mark.parametrize(("spec", "path", "expected"), [case[1:] for case in REPLACED], ids=[case[0] for case in REPLACED])
def test_what_cannot_change_in_place(spec, path, expected):
    live = seen([row(desired(LIVE))], desired(LIVE))
    assert KIND.replaces(path, desired(spec), live) is expected


def test_what_may_interrupt_output():
    for path in ("spec.title", "spec.callbackUrl", "schedule.end"):
        assert not KIND.interrupts(path)
    for path in ("spec.source.url", "spec.destination.url", "spec.watermark", "spec.enabled"):
        assert KIND.interrupts(path)


# --- whose is what ----------------------------------------------------------------------------------------------------


def test_a_derived_title_is_name_and_fingerprint_in_20_characters():
    title = derived_title("default", Address("RelayTask", "a-very-long-name-indeed"), 1)
    assert (len(title), title[:12]) == (20, "averylongnam")
    assert derived_title("default", Address("RelayTask", "x"), 1)[0] == "x"
    others = {
        derived_title(workspace, Address("RelayTask", "x", occurrence), incarnation)
        for workspace, occurrence, incarnation in itertools.product("ab", ["", "2026-12-01T08:00"], [1, 2])
    }
    assert len(others) == 8


def test_the_fingerprint_never_changes():
    assert fingerprint("default", Address("RelayTask", "morning-news"), 1) == "cvj6nypa"


def test_found_by_the_ledgers_id_even_when_renamed():
    want = desired(LIVE)
    live = seen([row(want, Title="x"), row(want, id="t2", Title="y")], want, entry=entry(want, "t2"))
    assert (live.id, live.match, live.also) == ("t2", Match.LEDGER, ())


def test_duplicates_under_our_mark_are_told_with_their_bodies():
    want = desired(LIVE)
    live = seen([row(want, id="t1"), row(want, id="t2")], want, entry=entry(want, "t2"))
    assert (live.id, live.also, live.same_body) == ("t2", ("t1",), True)
    live = seen([row(want, id="t1"), row(want, id="t2", SrcAddr="http://other/")], want)
    assert (live.id, live.match, live.also, live.same_body) == ("t1", Match.MARK, ("t2",), False)


def test_of_duplicates_the_one_on_air_counts_and_ended_ones_do_not():
    want = desired(LIVE)
    live = seen([row(want, "t1"), row(want, "t2", "生效中"), row(want, "t0", "已结束")], want)
    assert (live.id, live.also) == ("t2", ("t1",))


def test_an_ended_task_of_ours_is_ended_not_absent():
    want = desired(LIVE)
    assert seen([row(want, status="已结束")], want).presence is Presence.ENDED


def test_another_title_in_other_letters_is_not_ours():
    want = desired(LIVE)
    shown = row(want)
    assert seen([{**shown, "Title": shown["Title"].upper()}], want).presence is Presence.ABSENT


def test_the_ledger_may_be_lost_at_any_incarnation():
    want = desired(LIVE)
    third = replace(want, incarnation=3)
    live = seen([row(third)], want)
    assert (live.id, live.match) == ("t1", Match.MARK)


def test_an_older_incarnation_beside_a_known_one_is_a_stranger_that_is_ours():
    want = replace(desired(LIVE), incarnation=2)
    survey = observe([row(desired(LIVE), "old"), row(want, "new")], ask(want, entry=entry(want, "new", incarnation=2)))
    assert survey.answers[0].id == "new"
    assert [(stranger.id, stranger.ours) for stranger in survey.strangers] == [("old", True)]


def test_a_replacement_in_flight_is_found_before_what_it_replaces():
    old, new = desired(LIVE), replace(desired(LIVE), incarnation=2)
    known = entry(old, "old")
    live = seen([row(old, "old"), row(new, "new")], new, entry=known, intent=intent(new))
    assert (live.id, live.match) == ("new", Match.MARK)
    live = seen([row(old, "old")], new, entry=known, intent=intent(new))
    assert (live.id, live.match) == ("old", Match.LEDGER)
    old, new = desired(TITLED), desired({**TITLED, "source": FILES})  # an explicit title is the same for both
    live = seen([row(old, "old"), row(new, "new")], new, entry=entry(old, "old"), intent=intent(new))
    assert (live.id, live.match) == ("new", Match.MARK)


TITLED = {**LIVE, "title": "evening"}


def test_an_explicit_title_alone_proves_nothing():
    want = desired(TITLED)
    live = seen([row(want)], want)
    assert (live.id, live.match) == ("t1", Match.TWIN)
    assert changes(want, live) == []


def test_an_explicit_title_with_another_body_is_a_twin_too():
    want = desired(TITLED)
    live = seen([row(want, SrcAddr="http://else/")], want)
    assert (live.match, changes(want, live)) == (Match.TWIN, ["spec.source.url"])


def test_several_under_one_explicit_title_are_all_named():
    want = desired(TITLED)
    live = seen([row(want, "t1"), row(want, "t2", SrcAddr="http://else/")], want)
    assert (live.id, live.match, live.also, live.same_body) == ("t1", Match.TWIN, ("t2",), False)
    pinned = observe([row(want, "t1"), row(want, "t2")], ask(want, entry=entry(want, "t1")))
    assert (pinned.answers[0].also, pinned.answers[0].same_body) == (("t2",), True), "once one is pinned, its very copy is a duplicate"
    other = observe([row(want, "t1"), row(want, "t2", SrcAddr="http://else/")], ask(want, entry=entry(want, "t1")))
    assert other.answers[0].also == (), "another body is somebody's own business"
    assert [stranger.id for stranger in other.strangers] == ["t2"]


def test_an_ended_namesake_of_another_time_is_no_twin():
    want = desired(TITLED)
    past = Timing(Window(START - timedelta(days=7), END - timedelta(days=7)))
    survey = observe([row(desired(TITLED, timing=past), status="已结束")], ask(want))
    assert survey.answers[0].presence is Presence.ABSENT
    assert survey.strangers[0].stage is Stage.ENDED


def test_siblings_of_a_series_share_a_title_and_not_a_task():
    first = replace(desired(TITLED), address=Address("RelayTask", "morning-news", "2026-12-01T08:00"))
    later = Timing(Window(START + timedelta(days=1), END + timedelta(days=1)))
    second = replace(desired(TITLED, timing=later), address=Address("RelayTask", "morning-news", "2026-12-02T08:00"))
    survey = observe([row(second, "t2")], ask(first), ask(second))
    assert [(answer.presence, answer.id) for answer in survey.answers] == [(Presence.ABSENT, ""), (Presence.LIVE, "t2")]


def test_an_open_intent_makes_an_explicit_title_ours():
    want = desired(TITLED)
    live = seen([row(want)], want, intent=intent(want))
    assert (live.match, live.also) == (Match.MARK, ())
    gone = observe([row(want)], ask(None, intent=intent(want)))  # since removed from the manifest
    assert (gone.answers[0].id, gone.answers[0].match) == ("t1", Match.MARK)
    longer = replace(want, timing=Timing(Window(START, END + timedelta(hours=1))))
    other = seen([row(want, SrcAddr="http://else/")], longer, intent=intent(want))
    assert other.match is Match.MARK, "the manifest moved on; the intent knows the window it was sent with"


def test_an_intent_on_a_known_task_finds_it_by_its_id():
    want = desired(TITLED)
    live = observe([row(want)], ask(None, intent=intent(want, Verb.DELETE, target="t1"))).answers[0]
    assert (live.id, live.match) == ("t1", Match.MARK)


def test_one_task_answers_one_lookup():
    want = desired(TITLED)
    other = replace(want, address=Address("RelayTask", "other"))
    survey = observe([row(want)], ask(want), ask(other))
    assert [answer.presence for answer in survey.answers] == [Presence.LIVE, Presence.ABSENT]


def test_strangers_are_told_with_what_they_hold():
    foreign = row(desired(TITLED), "x", "生效中")
    (stranger,) = observe([foreign], ask(desired(LIVE))).strangers
    assert stranger == Stranger(
        "RelayTask", "x", "evening", window=Window(START, END), stage=Stage.ON_AIR, claims=("rtmp://push.example.com/live/s",),
        values=stranger.values,
    )  # fmt: skip
    assert stranger.values["title"] == "evening"
    assert observe([]).strangers == []


# --- listing ----------------------------------------------------------------------------------------------------------


def many(count: int) -> list[dict[str, Any]]:
    return [{"TaskId": f"t{number}", "Title": "x", "Status": "未开始"} for number in range(count)]


class Pages:
    """A list in pages, of a vendor that may serve only one of its two actions."""

    def __init__(self, *lists: list[dict[str, Any]], v2: bool = True) -> None:
        self.lists, self.v2, self.served = list(lists), v2, 0

    def __call__(self, call: Call) -> Any:
        if call.action == "ListPullToPushTaskV2" and not self.v2:
            return NOT_SERVED
        ask = call.body if call.action.endswith("V2") else call.query
        assert set(ask) == {"Page", "Size"}, "never filtered at the server"
        rows = self.lists[0]
        number, size = ask["Page"], ask["Size"]
        answer = page(*rows[(number - 1) * size : number * size], total=len(rows))
        if number * size >= len(rows) and len(self.lists) > 1:
            self.lists.pop(0)
        return answer


def test_pages_after_the_first_are_asked_for_side_by_side():
    steps = KIND.observe([])
    first = next(steps)
    assert isinstance(first, Call)
    assert (first.action, first.method, first.body) == ("ListPullToPushTaskV2", "POST", {"Page": 1, "Size": 500})
    assert first.safe
    rows = many(1001)
    batch = steps.send(first.heard(Reply(page(*rows[:500], total=1001))))
    assert isinstance(batch, Batch)
    assert [call.body["Page"] for call in batch.calls] == [2, 3]
    pages = (rows[500:1000], rows[1000:])
    replies = [call.heard(Reply(page(*some, total=1001))) for call, some in zip(batch.calls, pages, strict=True)]
    with pytest.raises(StopIteration) as done:
        steps.send(replies)
    assert len(done.value.value.strangers) == 1001


@pytest.mark.parametrize("count", [0, 1, 499, 500, 501, 1000, 1500])
def test_every_size_of_list_is_read_whole(count):
    survey, steps = drive(KIND.observe([]), Pages(many(count)))
    assert len(survey.strangers) == count
    assert len(steps) == max(1, -(-count // 500))


@pytest.mark.parametrize("code", [Rejected, NotFound], ids=["rejected", "404"])
def test_the_old_list_is_asked_when_the_new_one_is_not_served(code):
    refused = code("no such action", code="InvalidActionOrVersion", status=404)
    want = desired({**LIVE, "group": "news"})
    shown = row(want)
    del shown["GroupName"]
    survey, steps = drive(KIND.observe([ask(want)]), [refused, page(shown)])
    assert survey.answers[0].match is Match.MARK
    old = calls(steps)[1]
    assert (old.action, old.method, old.query, old.body) == ("ListPullToPushTask", "GET", {"Page": 1, "Size": 500}, None)


def test_a_list_that_changes_while_it_is_read_is_read_again():
    survey, steps = drive(KIND.observe([]), Pages(many(600), many(600)))
    assert len(survey.strangers) == 600
    moving = [page(*many(500), total=600), page(*many(600)[500:599], total=599), page(*many(3))]
    survey, steps = drive(KIND.observe([]), moving)
    assert (len(survey.strangers), actions(steps).count("Pause")) == (3, 1)


@pytest.mark.parametrize(
    "answer",
    [page(*many(2), total=3), page(*many(2), *many(2)), page(*many(1), total=0)],
    ids=["one is missing", "one is there twice", "more than the total"],
)
def test_absence_is_believed_only_when_ids_and_total_agree(answer):
    with pytest.raises(Unavailable) as failed:
        drive(KIND.observe([ask(desired(LIVE))]), lambda call: answer)
    assert sum(isinstance(step, Pause) for step in failed.value.steps) == 4


@pytest.mark.parametrize("answer", [None, {}, {"List": None}], ids=["no body", "nothing at all", "an empty list"])
def test_an_empty_list_without_a_total_is_read_twice(answer):
    survey, steps = drive(KIND.observe([]), [answer, answer])
    assert (survey.strangers, actions(steps).count("Pause")) == ([], 1)


def test_without_a_total_two_equal_readings_to_the_end_are_needed():
    full, cut, end = {"List": many(2)}, {"List": many(1)}, {"List": []}
    survey, _ = drive(KIND.observe([]), [cut, end, full, end, full, end])
    assert len(survey.strangers) == 2


def test_pages_shorter_than_asked_are_read_to_the_end():
    rows = many(5)
    shown = {1: rows[:2], 2: rows[2:4], 3: rows[4:]}
    survey, steps = drive(KIND.observe([]), lambda call: page(*shown[call.body["Page"]], total=5))
    assert (len(survey.strangers), len(steps)) == (5, 3)


def test_a_failed_read_is_never_absence():
    for failure in (Unavailable("down"), Denied("who are you"), Throttled("slow down")):
        with pytest.raises(type(failure)):
            drive(KIND.observe([ask(desired(LIVE))]), [failure])
        with pytest.raises(type(failure)):
            drive(KIND.observe([ask(desired(LIVE))]), [page(*many(500), total=1001), page(*many(500), total=1001), failure])


def test_an_absurd_total_is_not_followed():
    with pytest.raises(Unavailable):
        drive(KIND.observe([]), [page(*many(1), total=10**9)])


# --- verbs ------------------------------------------------------------------------------------------------------------

REFUSED = Rejected("invalid", code="InvalidParam", status=400)


def test_create_confirms_its_id_at_once_and_is_never_sent_twice():
    id, steps = drive(KIND.create(desired(LIVE)), [{"TaskId": "t9"}])
    assert (id, actions(steps)) == ("t9", ["CreatePullToPushTask", "Created"])
    assert steps[1] == Created("t9")
    assert (steps[0].repeatable, steps[0].safe, steps[0].vendor) == (False, False, "volcengine-live")


def test_a_task_that_is_not_enabled_is_created_and_stopped():
    _, steps = drive(KIND.create(desired({**LIVE, "enabled": False})), [{"TaskId": "t9"}, None])
    assert actions(steps) == ["CreatePullToPushTask", "Created", "StopPullToPushTask"]
    assert calls(steps)[1].body == {"TaskId": "t9", "GroupName": "default"}


@pytest.mark.parametrize("answer", [None, {}, {"TaskId": ""}, {"TaskId": 0}, {"TaskId": ["t1"]}])
def test_a_create_without_an_id_is_of_unknown_outcome(answer):
    with pytest.raises(OutcomeUnknown):
        drive(KIND.create(desired(LIVE)), [answer])


def test_an_unknown_outcome_is_left_to_others():
    with pytest.raises(OutcomeUnknown) as lost:
        drive(KIND.create(desired(LIVE)), [OutcomeUnknown("no answer")])
    assert len(lost.value.steps) == 1


def update(want: Desired, live: Observed, *fields: str, answers: Any = None) -> list[Call]:
    _, steps = drive(KIND.update(want, live, fields), answers or (lambda call: None))
    return calls(steps)


def test_an_update_sends_everything_and_clears_by_empty_texts():
    want = desired(LIVE)
    live = seen([row(want, CallbackURL="https://x.example.com/")], want)
    call, *after = update(want, live, "spec.callbackUrl", answers=[None, page()])
    assert call.body == {**sent(want), "TaskId": "t1", "CallbackURL": ""}
    assert call.repeatable
    assert [one.action for one in after] == ["ListPullToPushTaskV2"], "a cleared text is read back"


def test_an_update_to_a_push_point_takes_the_old_url_away():
    want = desired(VOD)
    live = seen([row(want, DstAddr="rtmp://old.example.com/a/b")], want)
    (call,) = update(want, live, "spec.destination.domain")
    assert call.body == {**sent(want), "TaskId": "t1", "DstAddr": ""}


def test_what_has_begun_keeps_its_start_and_its_place_in_the_play_list():
    want = desired(VOD)
    late = KIND.joined(want, START + timedelta(minutes=10))
    live = seen([row(late, status="生效中")], want, entry=entry(want, "t1"))
    (call,) = update(want, live, "spec.callbackUrl")
    assert call.body["StartTime"] == 1796083200 + 600
    assert call.body["VodSrcAddrs"][0]["StartOffset"] == 630.0
    (call,) = update(want, live, "schedule.start")
    assert call.body["StartTime"] == 1796083200


def test_an_update_takes_the_switch_along():
    off, on = desired({**LIVE, "enabled": False}), desired(LIVE)
    running, stopped = seen([row(on)], on), seen([row(on, status="停用")], on)
    assert actions(update(off, running, "spec.enabled")) == ["StopPullToPushTask"]
    assert actions(update(on, stopped, "spec.enabled")) == ["ContinuePullToPushTask"]
    assert actions(update(off, running, "spec.title", "spec.enabled")) == ["UpdatePullToPushTask", "StopPullToPushTask"]
    assert actions(update(on, stopped, "spec.title", "spec.enabled")) == ["UpdatePullToPushTask", "ContinuePullToPushTask"]
    assert actions(update(on, stopped, "spec.title")) == ["UpdatePullToPushTask"], "stopped until its time comes"


def test_delete_names_task_and_group():
    live = seen([row(desired(VOD))], desired(VOD))
    _, steps = drive(KIND.delete(live), [None])
    assert [(call.action, call.body) for call in calls(steps)] == [("DeletePullToPushTask", {"TaskId": "t1", "GroupName": "news"})]


LIVE_ROW = row(desired(LIVE))
AFTER_REFUSAL = [
    ("delete, and it is gone", KIND.delete, [], True),
    ("delete, and it is there", KIND.delete, [LIVE_ROW], False),
    ("stop, and it is gone", KIND.stop, [], True),
    ("stop, and it was stopped", KIND.stop, [{**LIVE_ROW, "Status": "停用"}], True),
    ("stop, and it had ended", KIND.stop, [{**LIVE_ROW, "Status": "已结束"}], True),
    ("stop, and it runs", KIND.stop, [{**LIVE_ROW, "Status": "生效中"}], False),
    ("continue, and it runs", lambda live: KIND.start(desired(LIVE), live), [{**LIVE_ROW, "Status": "生效中"}], True),
    ("continue, and it is stopped", lambda live: KIND.start(desired(LIVE), live), [{**LIVE_ROW, "Status": "停用"}], False),
    ("continue, and it is gone", lambda live: KIND.start(desired(LIVE), live), [], False),
]


@pytest.mark.parametrize(("verb", "rows", "fine"), [case[1:] for case in AFTER_REFUSAL], ids=[case[0] for case in AFTER_REFUSAL])
def test_after_a_refusal_the_list_decides(verb, rows, fine):
    live = seen([LIVE_ROW], desired(LIVE))
    if fine:
        drive(verb(live), [REFUSED, page(*rows)])
    else:
        with pytest.raises(Rejected) as refused:
            drive(verb(live), [REFUSED, page(*rows)])
        assert refused.value is REFUSED


def test_not_found_is_a_deletion_and_a_throttle_or_a_lost_answer_is_not():
    live = seen([LIVE_ROW], desired(LIVE))
    assert len(drive(KIND.delete(live), [NotFound("gone")])[1]) == 1
    assert len(drive(KIND.stop(live), [NotFound("gone")])[1]) == 1
    for failure in (Throttled("slow down"), OutcomeUnknown("no answer"), Denied("no")):
        with pytest.raises(type(failure)):
            drive(KIND.delete(live), [failure])


def test_continue_falls_back_to_restart():
    live = seen([row(desired(LIVE), status="停用")], desired(LIVE))
    _, steps = drive(KIND.start(desired(LIVE), live), [NOT_SERVED, None])
    assert actions(steps) == ["ContinuePullToPushTask", "RestartPullToPushTask"]
    assert calls(steps)[0].body == calls(steps)[1].body == {"TaskId": "t1", "GroupName": "default"}


def test_a_group_that_was_never_told_is_not_named():
    shown = row(desired(LIVE))
    del shown["GroupName"]
    _, steps = drive(KIND.delete(seen([shown], desired(LIVE))), [None])
    assert calls(steps)[0].body == {"TaskId": "t1"}


def test_the_pace_is_the_published_one():
    operations = {**vars(_relay_list), **vars(relay_task)}
    assert {name: op.pace for name, op in operations.items() if isinstance(op, Operation)} == {
        "CREATE": 10, "UPDATE": 10, "DELETE": 10, "STOP": 10, "CONTINUE": 10, "RESTART": 10, "LIST": 15, "LIST_V1": 15,
    }  # fmt: skip


# --- both meanings of an update, to the end ---------------------------------------------------------------------------


class Vendor:
    """Keeps tasks; `merge`: an update's absent fields keep their values, else they are cleared."""

    def __init__(self, *, merge: bool) -> None:
        self.merge, self.tasks = merge, dict[str, dict[str, Any]]()

    def __call__(self, call: Call) -> Any:
        body = call.body
        match call.action:
            case "CreatePullToPushTask":
                self.tasks["t1"] = {**body, "TaskId": "t1", "Status": "未开始"}
                return {"TaskId": "t1"}
            case "UpdatePullToPushTask":
                task = self.tasks[body["TaskId"]]
                self.tasks[body["TaskId"]] = {**(task if self.merge else {"Status": task["Status"]}), **body}
            case "StopPullToPushTask":
                self.tasks[body["TaskId"]]["Status"] = "停用"
            case "ContinuePullToPushTask":
                self.tasks[body["TaskId"]]["Status"] = "未开始"
            case "ListPullToPushTaskV2":
                return page(*(listed(task, task["Status"]) for task in self.tasks.values()))
        return None


STORIES = [
    ("a callback goes", {**LIVE, "callbackUrl": "https://o/1"}, LIVE),
    ("a title goes", {**LIVE, "title": "evening"}, LIVE),
    ("a title comes", LIVE, {**LIVE, "title": "evening"}),
    ("a url becomes a push point", LIVE, {**LIVE, "destination": {**VOD["destination"], "stream": "other"}}),
    ("a push point becomes a url", {**LIVE, "destination": {**VOD["destination"], "stream": "other"}}, LIVE),
    ("loops and order", {**LIVE, "source": VOD["source"]}, {**LIVE, "source": {"files": VOD["source"]["files"][::-1], "loop": "forever"}}),
    ("a watermark comes", LIVE, {**LIVE, "watermark": VOD["watermark"]}),
    ("switched off", LIVE, {**LIVE, "enabled": False}),
    ("switched on, and moved", {**LIVE, "enabled": False}, {**LIVE, "source": {"url": "http://p/2"}}),
]


@pytest.mark.parametrize("merge", [True, False], ids=["merge", "replace"])
@pytest.mark.parametrize(("before", "after"), [case[1:] for case in STORIES], ids=[case[0] for case in STORIES])
def test_after_an_update_nothing_differs_under_either_meaning(before, after, merge):
    vendor = Vendor(merge=merge)
    old, new = desired(before), desired(after)
    drive(KIND.create(old), vendor)
    known = entry(old, "t1")

    def look(want: Desired) -> Observed:
        return drive(KIND.observe([ask(want, entry=known)]), vendor)[0].answers[0]

    assert changes(old, look(old)) == []
    paths = changes(new, look(new))
    assert paths
    assert not any(KIND.replaces(path, new, look(new)) for path in paths)
    drive(KIND.update(new, look(new), paths), vendor)
    assert changes(new, look(new)) == []


# --- (4) there and back -----------------------------------------------------------------------------------------------

hosts = st.from_regex(r"[a-z][a-z0-9]{0,8}\.example\.com", fullmatch=True)
urls = st.builds(lambda host, path: Url(f"http://{host}/{path}"), hosts, st.from_regex(r"[a-z0-9/._-]{1,30}", fullmatch=True))
files = st.fixed_dictionaries({"url": urls, "startOffset": st.integers(0, 10**5), "endOffset": st.integers(0, 10**5)})
sources = st.one_of(
    st.fixed_dictionaries({"url": urls}),
    st.fixed_dictionaries(
        {
            "files": st.lists(files, min_size=1, max_size=4),
            "loop": st.one_of(st.integers(1, 1000), st.just("forever")),
            "resume": st.sampled_from(["breakPoint", "elapsed"]),
            "preload": st.booleans(),
        }
    ),
)
marks = st.fixed_dictionaries(
    {
        "image": st.just(data_url(PNG)),
        "x": st.floats(0, 0.99),
        "y": st.floats(0, 0.99),
        "width": st.integers(1, 100).map(lambda percent: percent / 100),
    }
)
specs = st.fixed_dictionaries(
    {"group": st.sampled_from(["default", "news", "新闻"]), "source": sources, "destination": st.fixed_dictionaries({"url": urls})},
    optional={"title": st.from_regex(r"[A-Za-z0-9一-龥]{1,20}", fullmatch=True), "callbackUrl": urls, "watermark": marks},
)


@given(specs)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_what_is_sent_reads_back_the_same(values):
    body = wire.encode(RelaySpec, values)
    back = Task.of({**body, "TaskId": "t", "Status": "未开始"}).values
    assert differences({**values, "enabled": True}, back, seal=seal) == []


@given(st.text(max_size=60))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_any_text_can_be_taken_for_a_destination(text):
    assert Ingest.of(text).key


def test_pauses_are_notes_for_people():
    assert not any(isinstance(step, Pause) for step in drive(KIND.observe([]), [page()])[1])


# --- what is just as it was sent needs no reading ---------------------------------------------------------------------

ODD = [None, "", 0, 1, [], {}, "x", -1, 2, "rtmp://elsewhere/live/x", [{"SrcAddr": "http://h/x.mp4"}], {"Picture": "x", "Ratio": 0.5}]
DECLARED = {"a live source": LIVE, "a play list": {**VOD, "destination": LIVE["destination"]}}


@pytest.mark.parametrize("name", DECLARED)
def test_the_short_way_reads_what_the_long_way_reads(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that is letter for letter what was sent is not taken apart. Every other row is, whatever is wrong with it."""
    want = desired(DECLARED[name])
    plain = row(want)
    rows = [plain, *({**plain, key: value} for key in sorted({*plain, *wire.names(RelaySpec)} - {"TaskId"}) for value in ODD)]
    rows += [{key: value for key, value in plain.items() if key != left_out} for left_out in plain if left_out != "TaskId"]
    rows += [{**plain, "Unheard": "of"}, {**plain, "Status": "停用"}, {**plain, "Status": "?"}]
    at_once = [Task.of(one).is_as_sent(want) for one in rows]
    assert at_once[0], "the plainest row goes the short way"
    short = [seen([one], want, entry=entry(want, "t1")) for one in rows]
    monkeypatch.setattr(Task, "is_as_sent", lambda self, want: False)
    for one, quick, answer in zip(rows, at_once, short, strict=True):
        thorough = seen([one], want, entry=entry(want, "t1"))
        assert answer == thorough, one
        assert not quick or changes(want, thorough) == [], one


@pytest.mark.parametrize("body", [[], "ok", 7, False], ids=str)
def test_an_answer_that_is_no_list_proves_no_absence(body):
    with pytest.raises(Unavailable, match="no list of relay tasks"):
        drive(KIND.observe([ask(desired(LIVE))]), lambda _: body)
