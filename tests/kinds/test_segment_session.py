"""SegmentSession: manifests to request bodies, echoes to values that compare equal, updates that reset nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from reconciler import diff, wire
from reconciler.errors import NotFound
from reconciler.kinds._rtc_spec import CUSTOM_REGIONS, TOS_REGIONS, VENDORS, number_region
from reconciler.kinds.segment_session import KIND, SegmentSpec
from reconciler.model import Address, Desired, Entry, Lookup, Observed, Place, Presence, Sealed, Secret, Stage, Values
from tests.kinds.drive import calls, drive

APP = "661e0000000000000000543c"
ID = f"{APP}/Room1/moderation"
IDS = {"AppId": APP, "RoomId": "Room1", "TaskId": "moderation"}
TOS = {"tos": {"accountId": "2100000990", "region": "cn-beijing", "bucket": "my-bucket"}}
ADDRESS = Address("SegmentSession", "moderation")


def seal(secret: Secret) -> Sealed:
    return Sealed(f"digest of {secret.reveal()}", "***")


def spec(**more: Any) -> dict[str, Any]:
    return {"appId": APP, "roomId": "Room1", "storage": TOS, **more}


def other(**store: Any) -> dict[str, Any]:
    return spec(storage={"custom": {"bucket": "b", "accessKey": Secret("AK"), "secretKey": Secret("SK"), **store}})


def canonical(manifest: dict[str, Any]) -> Values:
    return KIND.canonical(SegmentSpec.model_validate(manifest), name="moderation")


def wanted(manifest: dict[str, Any], *, occurrence: str = "", incarnation: int = 1) -> Desired:
    return Desired(Address(*ADDRESS[:2], occurrence), canonical(manifest), Place("a.yaml"), incarnation=incarnation)


def started(manifest: dict[str, Any]) -> dict[str, Any]:
    """The body of the StartSegment that `manifest` leads to."""
    call = KIND.create(wanted(manifest)).send(None)
    assert call.action == "StartSegment"
    return call.body


# --- bodies -----------------------------------------------------------------------------------------------------------

FULL = spec(
    taskId="Task@1",
    businessId="B1",
    streams=[{"user": "host", "type": "screen"}, {"user": "host"}, {"user": "guest", "index": 7}],
    sliceDuration="30s",
    maxIdle="5m",
    identifier="audit-2026w49",
    active=False,
    align=True,
    mixed=True,
    ignoreSilence=True,
    redundantDuration=2,
)


@pytest.mark.parametrize(
    ("manifest", "body"),
    [
        pytest.param(
            spec(),
            {
                **IDS,
                "MaxIdleTime": 180,
                "Duration": 20,
                "Handle": True,
                "Control": {"Align": False, "Mixed": False, "IgnoreSilence": False},
                "StorageConfig": {"Type": 0, "TosConfig": {"AccountId": "2100000990", "Region": 0, "Bucket": "my-bucket"}},
            },
            id="least",
        ),
        pytest.param(
            FULL,
            {
                **IDS,
                "TaskId": "Task@1",
                "BusinessId": "B1",
                "MaxIdleTime": 300,
                "TargetStreams": {
                    "StreamList": [
                        {"UserId": "guest", "StreamType": 0, "Index": 7},
                        {"UserId": "host", "StreamType": 0},
                        {"UserId": "host", "StreamType": 1},
                    ]
                },
                "Duration": 30,
                "Identifier": "audit-2026w49",
                "Handle": False,
                "Control": {"Align": True, "Mixed": True, "IgnoreSilence": True, "RedundantDuration": 2},
                "StorageConfig": {"Type": 0, "TosConfig": {"AccountId": "2100000990", "Region": 0, "Bucket": "my-bucket"}},
            },
            id="everything; Control stands at the top",
        ),
        pytest.param(
            other(vendor="aliyunOss", region="cn-beijing"),
            {
                **IDS,
                "MaxIdleTime": 180,
                "Duration": 20,
                "Handle": True,
                "Control": {"Align": False, "Mixed": False, "IgnoreSilence": False},
                "StorageConfig": {
                    "Type": 2,
                    "CustomConfig": {"Vendor": 1, "Region": 3, "Bucket": "b", "AccessKey": "AK", "SecretKey": "SK"},
                },
            },
            id="third-party store",
        ),
    ],
)
def test_bodies(manifest, body):
    assert started(manifest) == body


# --- mistakes ---------------------------------------------------------------------------------------------------------


def mistakes(manifest: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(ValidationError) as wrong:
        SegmentSpec.model_validate(manifest)
    found = []
    for error in wrong.value.errors():
        context = error.get("ctx", {})
        above = [str(part) for part in error["loc"]]
        for one in [context, *context.get("more", [])] if "rule" in context else [{"rule": error["type"], "at": ""}]:
            found.append((one["rule"], ".".join([*above, *([one["at"]] if one["at"] else [])])))
    return found


MISTAKES = [
    (spec(identifier="audit 1"), [("RC301", "identifier")], "space in the identifier"),
    (spec(taskId="a/b", roomId=""), [("RC301", "roomId"), ("RC301", "taskId")], "two ids"),
    (spec(streams=[{"user": "a b"}]), [("RC301", "streams.0.user")], "user id"),
    (spec(streams=[{"user": f"u{n}"} for n in range(18)]), [("RC302", "streams")], "18 streams"),
    (spec(streams=[{"user": "a", "index": 1}, {"user": "b", "index": 1}]), [("RC303", "streams.1.index")], "one index twice"),
    (spec(streams=[{"user": "a"}, {"user": "a"}]), [("RC304", "streams.1")], "one stream twice"),
    (spec(storage={}), [("RC305", "storage")], "no store"),
    (spec(storage={"vod": {"accountId": "1", "space": "s"}}), [("extra_forbidden", "storage.vod")], "video on demand"),
    (other(region="us-gov-east-1"), [("RC306", "storage.custom.region")], "unsupported region"),
    (other(securityToken={"fromEnv": "T"}), [("extra_forbidden", "storage.custom.securityToken")], "no security token here"),
    (spec(storage={"tos": {"accountId": "1", "bucket": ""}}), [("RC307", "storage.tos.bucket")], "empty bucket"),
    (spec(sliceDuration=0), [("RC310", "sliceDuration")], "no length"),
    (spec(sliceDuration="601s"), [("RC310", "sliceDuration")], "slice too long"),
    (spec(maxIdle=0), [("RC311", "maxIdle")], "no idle time"),
    (spec(maxIdle=86401), [("RC311", "maxIdle")], "idle too long"),
    (spec(redundantDuration=-1), [("RC312", "redundantDuration")], "negative redundancy"),
    (spec(redundantDuration="2s"), [("int_type", "redundantDuration")], "redundancy has no unit"),
    (spec(mixed=True, streams=[{"user": "mixed"}]), [("RC313", "streams.0.user")], "the mix's own name"),
    (spec(active="no"), [("bool_type", "active")], "YAML 1.1 boolean"),
    (spec(streams=[{"user": "a"}] * 2 + [{"user": "mixed"}], mixed=True), [("RC304", "streams.1"), ("RC313", "streams.2.user")], "several"),
]


@pytest.mark.parametrize(("manifest", "expected"), [pytest.param(*case[:2], id=case[2]) for case in MISTAKES])
def test_mistakes(manifest, expected):
    assert mistakes(manifest) == expected


@pytest.mark.parametrize(
    "manifest",
    [
        spec(sliceDuration=1, maxIdle=1),
        spec(sliceDuration="10m", maxIdle="24h"),
        spec(streams=[{"user": "mixed"}]),
        spec(redundantDuration=0),
    ],
    ids=["least", "most", "a user called mixed", "no redundancy"],
)
def test_limits_themselves_are_accepted(manifest):
    SegmentSpec.model_validate(manifest)


# --- reading ----------------------------------------------------------------------------------------------------------


def echo(manifest: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """What GetSegmentTask says of a session started from `manifest`; a change of None stands for null, of ... for absent."""
    body = {key: value for key, value in started(manifest).items() if key not in (*IDS, "BusinessId")}
    body["Identifier"] = body.get("Identifier", "8b0e5a52-8f3a-4f43-b6a5-3f9a7d9f8f11")
    body["Control"] = {"RedundantDuration": 0, **body["Control"]}
    task = {"StartTime": 1698800000000, "EndTime": 0, "Status": 2, "StopReason": "", **body, **changed}
    return {"SegmentTask": {key: value for key, value in task.items() if value is not ...}}


def seen(reply: Any, manifest: dict[str, Any], *, applied: Values | None = None, incarnation: int = 1, id: str = ID) -> Observed:
    want = wanted(manifest, incarnation=incarnation)
    entry = Entry(ADDRESS, "default", id, id, incarnation, applied if applied is not None else diff.sealed(want.values, seal))
    survey, _ = drive(KIND.observe([Lookup(ADDRESS, "ws", want, entry)]), [reply])
    return survey.answers[0]


def changes(manifest: dict[str, Any], live: Observed, applied: Values | None = None) -> list[str]:
    """The manifest paths that the planner would find different."""
    record = applied if applied is not None else diff.sealed(canonical(manifest), seal)
    return [one.path for one in diff.differences(canonical(manifest), live.values, seal=seal, unread=live.unread, applied=record)]


def store(**custom: Any) -> dict[str, Any]:
    """An echo's StorageConfig of type 2; the vendor fills what is not used with zeros."""
    unused = {"TosConfig": {"AccountId": "", "Region": 0, "Bucket": ""}, "VodConfig": None}
    return {"Type": 2, **unused, "CustomConfig": {"Vendor": 0, "Region": 0, "Bucket": "b", **custom}}


STREAMS = [{"user": "host"}, {"user": "host", "type": "screen"}]
ECHOES = [
    (spec(), {}, "least"),
    ({**FULL, "taskId": "moderation"}, {}, "everything"),
    (spec(), {"TargetStreams": None}, "null streams"),
    (spec(), {"TargetStreams": ...}, "absent streams"),
    (spec(), {"TargetStreams": {"StreamList": []}}, "empty streams"),
    (spec(), {"TargetStreams": {"StreamList": None}}, "null stream list"),
    (spec(streams=STREAMS), {"TargetStreams": None}, "our streams not told"),
    (spec(streams=STREAMS), {"TargetStreams": {"StreamList": None}}, "our stream list not told"),
    (spec(streams=STREAMS), {"TargetStreams": {"StreamList": [{"Index": 0, "UserId": "host", "StreamType": 1}, {"UserId": "host"}]}},
     "other order"),
    (spec(streams=STREAMS[:1]), {"TargetStreams": {"StreamList": [{"Index": 0, "UserId": "host", "StreamType": None}]}}, "null type"),
    (spec(active=False), {"Handle": ...}, "Handle left out because it is false"),
    (spec(align=True), {"Control": ...}, "no Control"),
    (spec(), {"Control": None}, "null Control"),
    (spec(mixed=True), {"Control": {"Mixed": True}}, "false left out of Control"),
    (spec(sliceDuration=45), {"Duration": 0}, "Duration not told"),
    (spec(sliceDuration=45, maxIdle=60), {"Duration": ..., "MaxIdleTime": None}, "numbers absent and null"),
    (spec(), {"Identifier": ""}, "empty identifier"),
    (spec(), {"Identifier": ...}, "absent identifier"),
    (spec(identifier="mine"), {"Identifier": ...}, "our identifier not told"),
    (spec(redundantDuration=0), {"Control": {"Align": False, "Mixed": False, "IgnoreSilence": False}}, "our redundancy of 0 left out"),
    (spec(streams=STREAMS), {"Duration": "20", "MaxIdleTime": "180", "Handle": "true", "Status": "2", "StartTime": "1698800000000", "EndTime": "0",
     "Control": {"Align": "false", "Mixed": "0", "IgnoreSilence": "False", "RedundantDuration": "0"},
     "TargetStreams": {"StreamList": [{"Index": "0", "UserId": "host", "StreamType": "0"}, {"UserId": "host", "StreamType": "1"}]},
     "StorageConfig": {"Type": "0", "TosConfig": {"AccountId": "2100000990", "Region": "0", "Bucket": "my-bucket"}}}, "numbers as text"),
    (spec(streams=STREAMS), {"Duration": 20.0, "MaxIdleTime": 180.0, "Handle": 1, "Status": 2.0, "StartTime": 1698800000000.0, "EndTime": 0.0,
     "Control": {"Align": 0, "Mixed": 0.0, "IgnoreSilence": 0, "RedundantDuration": 0.0},
     "TargetStreams": {"StreamList": [{"Index": 0.0, "UserId": "host", "StreamType": 0.0}, {"UserId": "host", "StreamType": 1.0}]},
     "StorageConfig": {"Type": 0.0, "TosConfig": {"AccountId": 2100000990, "Region": 0.0, "Bucket": "my-bucket"}}}, "numbers as floats"),
    (spec(), {"Extra": 1, "Control": {"Align": False, "Mixed": False, "IgnoreSilence": False, "Extra": {}},
     "StorageConfig": {"Type": 0, "Extra": [], "TosConfig": {"AccountId": "2100000990", "Region": 0, "Bucket": "my-bucket", "EndPoint": "x"}}},
     "members of tomorrow"),
    (spec(redundantDuration=3), {"Control": {"Align": False, "Mixed": False, "IgnoreSilence": False, "RedundantDuration": 3}},
     "redundancy"),
    (spec(), {"Control": {"Align": False, "Mixed": False, "IgnoreSilence": False, "RedundantDuration": 500}},
     "the vendor's own redundancy"),
    (spec(), {"StorageConfig": {"TosConfig": {"AccountId": 2100000990, "Bucket": "my-bucket"}}}, "zeros left out of storage"),
    (spec(), {"StorageConfig": {"Type": 0, "TosConfig": {"AccountId": "2100000990", "Region": 0, "Bucket": "my-bucket"},
     "CustomConfig": {}}},
     "unused store empty"),
    (spec(), {"StorageConfig": None}, "storage not told"),
    (spec(), {"StorageConfig": {}}, "storage told empty"),
    (other(), {"StorageConfig": store(AccessKey="AK", SecretKey="SK")}, "secrets plain"),
    (other(), {"StorageConfig": store(AccessKey="AK", SecretKey="other")}, "secrets of somebody else: not told apart from masked ones"),
    (other(), {"StorageConfig": store(AccessKey="A****", SecretKey="******")}, "secrets masked"),
    (other(), {"StorageConfig": store()}, "secrets absent"),
    (other(vendor="tencentCos", region=7), {"StorageConfig": store(Vendor=3, Region=7)}, "region without a name"),
    (other(vendor="aliyunOss", region="us-east-1"), {"StorageConfig": store(Vendor="1", Region="13")}, "region as text"),
    (other(vendor="aliyunOss", region="us-east-1"), {"StorageConfig": store(Vendor=1, Region=13)}, "region with a name"),
]  # fmt: skip


@pytest.mark.parametrize(("manifest", "changed"), [pytest.param(*case[:2], id=case[2]) for case in ECHOES])
def test_after_create_nothing_differs_however_the_vendor_echoes(manifest, changed):
    live = seen(echo(manifest, **changed), manifest)
    assert (live.presence, live.stage) == (Presence.LIVE, Stage.ON_AIR)
    assert changes(manifest, live) == []


@pytest.mark.parametrize(
    ("changed", "paths"),
    [
        ({"Duration": 21}, ["spec.sliceDuration"]),
        ({"MaxIdleTime": 181}, ["spec.maxIdle"]),
        ({"Handle": False}, ["spec.active"]),
        ({"Control": {"Align": True, "Mixed": True, "IgnoreSilence": True}}, ["spec.align", "spec.mixed", "spec.ignoreSilence"]),
        ({"TargetStreams": {"StreamList": [{"UserId": "x"}]}}, ["spec.streams"]),
        (
            {"StorageConfig": {"Type": 0, "TosConfig": {"AccountId": "2100000990", "Region": 1, "Bucket": "my-bucket"}}},
            ["spec.storage.tos.region"],
        ),
        (
            {"StorageConfig": {"Type": 0, "TosConfig": {"AccountId": "2100000990", "Region": 99, "Bucket": "my-bucket"}}},
            ["spec.storage.tos.region"],
        ),
        ({"StorageConfig": store()}, ["spec.storage.tos", "spec.storage.custom"]),
    ],
    ids=["duration", "idle", "handle", "control", "streams", "region", "region of tomorrow", "another store"],
)
def test_what_moved_away_is_seen(changed, paths):
    assert changes(spec(), seen(echo(spec(), **changed), spec())) == paths


def test_an_empty_list_of_streams_is_told_and_a_missing_one_is_not():
    ours = spec(streams=STREAMS)
    assert changes(ours, seen(echo(ours, TargetStreams={"StreamList": []}), ours)) == ["spec.streams"]
    assert changes(ours, seen(echo(ours, TargetStreams=...), ours), diff.sealed(canonical(spec()), seal)) == ["spec.streams"]


def test_a_stream_index_that_the_vendor_counts_anew_is_left_to_the_ledger():
    host, screen, guest = {"user": "host"}, {"user": "host", "type": "screen"}, {"user": "guest", "index": 7}
    ours, edited = spec(streams=[host, screen, guest]), spec(streams=[host, screen, {**guest, "index": 8}])
    counted = [{"UserId": "host", "StreamType": 1, "Index": 0}, {"UserId": "host", "Index": 1}, {"UserId": "guest", "Index": 2}]
    told = {"TargetStreams": {"StreamList": counted}}
    assert changes(ours, seen(echo(ours, **told), ours)) == []
    record = diff.sealed(canonical(ours), seal)
    assert changes(edited, seen(echo(ours, **told), edited, applied=record), record) == ["spec.streams"]
    assert changes(ours, seen(echo(ours, TargetStreams={"StreamList": counted[:2]}), ours)) == ["spec.streams"]


def test_a_given_identifier_is_compared_and_a_generated_one_is_not():
    given_ = spec(identifier="mine")
    assert changes(given_, seen(echo(given_, Identifier="theirs"), given_)) == ["spec.identifier"]
    assert "identifier" not in seen(echo(spec()), spec()).values


def test_what_the_manifest_no_longer_says_and_the_vendor_can_hold_is_a_change():
    before = diff.sealed(canonical(spec(identifier="mine", redundantDuration=2, businessId="B1")), seal)
    reply = echo(spec(), Identifier="mine", Control={"Align": False, "Mixed": False, "IgnoreSilence": False, "RedundantDuration": 2})
    live = seen(reply, spec(), applied=before)
    assert sorted(changes(spec(), live, before)) == ["spec.businessId", "spec.identifier", "spec.redundantDuration"]


def test_changed_secrets_and_business_are_seen_by_the_ledger():
    old, new = {**other(), "businessId": "B1"}, {**other(secretKey=Secret("SK2")), "businessId": "B2"}
    before = diff.sealed(canonical(old), seal)
    live = seen(echo(old, StorageConfig=store(AccessKey="A*", SecretKey="S*")), new, applied=before)
    assert sorted(changes(new, live, before)) == ["spec.businessId", "spec.storage.custom.secretKey"]


def test_no_secret_is_ever_among_the_values():
    live = seen(echo(other(), StorageConfig=store(AccessKey="AKPLAIN", SecretKey="SKPLAIN")), other())
    assert "PLAIN" not in repr(live)
    assert {"businessId", "storage.custom.accessKey", "storage.custom.secretKey"} <= live.unread


@pytest.mark.parametrize(
    ("task_id", "occurrence", "incarnation", "expected"),
    [
        ("moderation", "", 1, "moderation"),
        ("moderation.2", "", 2, "moderation"),
        ("moderation-2026-12-01T0800.3", "2026-12-01T08:00", 3, "moderation"),
        ("elsewhere.2", "", 2, "elsewhere"),
        ("moderation.2", "", 1, "moderation.2"),
    ],
    ids=["first", "second", "of a series", "under an older id", "a name that looks like a second"],
)
def test_the_task_id_is_compared_as_it_is_written(task_id, occurrence, incarnation, expected):
    address = Address(*ADDRESS[:2], occurrence)
    id = f"{APP}/Room1/{task_id}"
    asked = Lookup(address, "ws", wanted(spec(), occurrence=occurrence), Entry(address, "default", id, id, incarnation))
    survey, _ = drive(KIND.observe([asked]), [echo(spec())])
    values = survey.answers[0].values
    assert (values["appId"], values["roomId"], values["taskId"]) == (APP, "Room1", expected)


def test_adopting_reads_the_whole_configuration():
    survey, _ = drive(KIND.observe([Lookup(ADDRESS, "ws", entry=Entry(ADDRESS, "default", ID, ID))]), [echo(FULL)])
    [found] = survey.answers
    assert found.values == {key: value for key, value in canonical({**FULL, "taskId": "moderation"}).items() if key != "businessId"}
    assert found.started == datetime(2023, 11, 1, 0, 53, 20, tzinfo=UTC)


ids = st.from_regex(r"[a-zA-Z0-9_@\-.]{1,128}", fullmatch=True)
names = st.text(min_size=1, max_size=20).filter(str.strip)
stores = st.one_of(
    st.fixed_dictionaries(
        {"tos": st.fixed_dictionaries({"accountId": names, "region": st.sampled_from(list(TOS_REGIONS)), "bucket": names})}
    ),
    st.sampled_from(list(VENDORS)).flatmap(
        lambda vendor: st.fixed_dictionaries(
            {
                "custom": st.fixed_dictionaries(
                    {
                        "vendor": st.just(vendor),
                        "region": st.sampled_from(CUSTOM_REGIONS[vendor]) if vendor in CUSTOM_REGIONS else st.integers(0, 99),
                        "bucket": names,
                    }
                )
            }
        )
    ),
)
streams = st.lists(st.tuples(ids, st.sampled_from(["camera", "screen"])), min_size=1, max_size=17, unique=True)
observable = st.fixed_dictionaries(
    {
        "sliceDuration": st.integers(1, 600),
        "maxIdle": st.integers(1, 86400),
        "active": st.booleans(),
        "align": st.booleans(),
        "mixed": st.booleans(),
        "ignoreSilence": st.booleans(),
        "storage": stores,
    },
    optional={
        "identifier": ids,
        "redundantDuration": st.integers(0, 10000),
        "streams": streams.map(lambda pairs: [{"user": user, "type": type} for user, type in sorted(pairs)]),
    },
)


@given(observable)
def test_what_is_sent_is_read_back_as_it_was(values):
    body = wire.encode(SegmentSpec, values)
    number_region(body)
    reply = {"SegmentTask": {"StartTime": 1698800000000, "EndTime": 0, "Status": 2, **body}}
    survey, _ = drive(KIND.observe([Lookup(ADDRESS, "ws", entry=Entry(ADDRESS, "default", ID, ID))]), [reply])
    [found] = survey.answers
    assert found.values == {**values, "appId": APP, "roomId": "Room1", "taskId": "moderation"}


# --- changing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "anew"),
    [
        ("spec.identifier", False),
        ("spec.sliceDuration", False),
        ("spec.active", False),
        ("schedule.end", False),
        ("spec.streams", True),
        ("spec.maxIdle", True),
        ("spec.align", True),
        ("spec.businessId", True),
        ("spec.storage.custom.secretKey", True),
        ("spec.taskId", True),
    ],
)
def test_what_replaces(path, anew):
    live = seen(echo(spec()), spec())
    assert KIND.replaces(path, wanted(spec()), live) is anew
    assert not KIND.interrupts(path)


def test_update_sends_all_three_fields_whichever_differs():
    want = spec(identifier="mine", sliceDuration=45, active=False, businessId="B1")
    _, steps = drive(KIND.update(wanted(want), seen(echo(spec()), want), ["spec.active"]), ["ok"])
    [call] = calls(steps)
    assert (call.action, call.body) == ("UpdateSegment", {**IDS, "BusinessId": "B1", "Identifier": "mine", "Handle": False, "Duration": 45})


@pytest.mark.parametrize(
    ("reply", "sent"),
    [
        (echo(spec(), Identifier="generated-1"), {"Identifier": "generated-1"}),
        (echo(spec(), Identifier=...), {}),
        ({"SegmentTask": None}, {}),
    ],
    ids=["carried forward", "not told", "gone meanwhile"],
)
def test_update_keeps_a_generated_identifier(reply, sent):
    want = spec(sliceDuration=45)
    _, steps = drive(KIND.update(wanted(want), seen(echo(spec()), want), ["spec.sliceDuration"]), [reply, "ok"])
    look, change = calls(steps)
    assert (look.action, look.query) == ("GetSegmentTask", IDS)
    assert change.body == {**IDS, **sent, "Handle": True, "Duration": 45}


def test_update_goes_to_the_incarnation_that_runs():
    want = spec(identifier="mine")
    live = seen(echo(want), want, incarnation=2, id=f"{ID}.2")
    _, steps = drive(KIND.update(wanted(want, incarnation=2), live, ["spec.active"]), ["ok"])
    assert calls(steps)[0].body["TaskId"] == "moderation.2"


def test_update_of_a_task_that_is_gone_is_a_failure():
    want = spec(identifier="mine")
    with pytest.raises(NotFound):
        drive(KIND.update(wanted(want), seen(echo(want), want), ["spec.active"]), [NotFound("gone")])


def test_update_of_the_schedule_alone_sends_nothing():
    _, steps = drive(KIND.update(wanted(spec()), seen(echo(spec()), spec()), ["schedule.end"]), [])
    assert steps == []


def test_every_field_is_described():
    assert [path for path, field in wire.shape(SegmentSpec).by_path.items() if not field.doc] == []
