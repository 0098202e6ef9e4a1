"""The world behind the vendors: clock, ids, switches, faults in process, saving, and the small schema checker."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest

from reconciler.emulator import control, specs
from reconciler.emulator.core import Clock, Request, World, instant_ms, parse_query
from reconciler.emulator.faults import FaultRule, FaultScript
from reconciler.emulator.front import Emulator, vendor_module
from reconciler.emulator.in_process import handler
from reconciler.emulator.schema import Schema
from reconciler.emulator.specs import UnknownSwitch
from tests.emulator.volc import IDENT, NOON, NOW, Volc, listed, relay, start, world_at_noon

VOLCENGINE = ("live", "rtc")


# -- clock -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2026-01-01T12:00:00Z", NOW * 1000),
        ("2026-01-01T20:00:00+08:00", NOW * 1000),
        ("2026-01-01T12:00:00", NOW * 1000),
        (NOW * 1000, NOW * 1000),
        (str(NOW * 1000), NOW * 1000),
    ],
)
def test_instants(text: str | int, ms: int) -> None:
    assert instant_ms(text) == ms


@pytest.mark.parametrize("text", ["", "noon", "2026-13-01T00:00:00Z"])
def test_no_instants(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        instant_ms(text)


def test_a_frozen_clock_stands_until_it_is_moved() -> None:
    clock = Clock.frozen_at(NOON)
    assert clock.now_ms() == clock.now_ms() == NOW * 1000
    clock.advance(1.5)
    assert clock.now_ms() == NOW * 1000 + 1500
    clock.thaw()
    assert not clock.frozen
    assert clock.now_ms() >= NOW * 1000 + 1500


def test_freezing_at_an_instant_lets_no_real_time_slip_in() -> None:
    ticking = iter(range(10_000, 1_000_000, 7))  # a machine on which 7 ms pass between any two looks
    clock = Clock(real_ms=lambda: next(ticking))
    clock.freeze()
    clock.set(NOW * 1000)
    assert clock.now_ms() == NOW * 1000
    assert {Clock.frozen_at(NOON).now_ms() for _ in range(20_000)} == {NOW * 1000}


def test_advancing_a_running_clock_moves_it_by_exactly_that() -> None:
    ticking = iter(range(10_000, 1_000_000, 7))
    clock = Clock(real_ms=lambda: next(ticking))
    before = clock.offset
    for _ in range(10):
        clock.advance(1.5)
    assert clock.offset - before == 15_000


def test_a_running_clock_starts_where_it_is_told() -> None:
    clock = Clock(start_ms=NOW * 1000)
    assert 0 <= clock.now_ms() - NOW * 1000 < 60_000
    assert clock.now_ms() <= clock.now_ms()


# -- ids and switches --------------------------------------------------------------------------------------------------------


def test_runs_repeat_their_ids() -> None:
    one, two = world_at_noon(), world_at_noon()
    assert [one.new_id("task"), one.new_uuid("asset")] == [two.new_id("task"), two.new_uuid("asset")]
    assert one.new_id("task") != one.new_id("task")
    assert World(id_seed="other").new_id("task") != World().new_id("task")


def test_switches_have_defaults_and_take_only_known_values() -> None:
    world = World()
    assert world.switch("live.update_semantics") == "replace"
    world.set_switches({"live.update_semantics": "merge"})
    assert world.switch("live.update_semantics") == "merge"
    for wrong in ({"live.update_semantics": "perhaps"}, {"live.nothing": "x"}, {"live.list_lag": "-1"}, {"live.list_lag": "soon"}):
        with pytest.raises(UnknownSwitch):
            world.set_switches(wrong)
    with pytest.raises(UnknownSwitch):
        world.set_switches({"live.null_style": "zero", "live.nothing": "x"})
    assert world.switch("live.null_style") == "null"  # all or nothing


def test_a_bare_name_sets_the_switch_of_every_vendor() -> None:
    world = World(switches={"rate_limits": "off"})
    assert world.switch("live.rate_limits") == world.switch("rtc.rate_limits") == "off"


def test_truth_values_mean_on_and_off_and_numbers_are_numbers() -> None:
    world = World()
    world.set_switches({"live.float32": False, "rtc.drain": 2.5, "live.clock_offset": -30})
    assert (world.switch("live.float32"), world.number("rtc.drain"), world.number("live.clock_offset")) == ("off", 2.5, -30)
    assert world.number("live.ended_retention") == float("inf")


# -- specs -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vendor", VOLCENGINE)
def test_spec_is_whole(vendor: str) -> None:
    spec = specs.load(vendor)
    assert spec.raw["version"]
    assert spec.raw["service"] == vendor
    for name, switch in spec.switches.items():
        assert switch.accept(switch.default) == switch.default, name
        assert switch.note
        assert spec.raw["switches"][name.partition(".")[2]]["mark"] in ("documented", "inferred", "unknown")
    for action in spec.actions.values():
        assert action.pace
        assert action.method in ("GET", "POST")
        assert action.path == "/"
        assert set(action.raw.get("errors", [])) <= set(spec.errors)
        schema = {**action.request.raw, "$defs": spec.defs}
        jsonschema.Draft202012Validator.check_schema(schema)
    for error in spec.errors.values():
        assert error.class_ in ("rejected", "throttled", "denied", "unknown", "not-found")
        assert 200 <= error.status < 600


@pytest.mark.parametrize("vendor", VOLCENGINE)
def test_every_switch_is_read_and_every_switch_read_is_in_the_spec(vendor: str) -> None:
    package = Path(specs.__file__).parent
    text = "".join(each.read_text(encoding="utf-8") for each in package.glob("*.py"))
    for name in specs.load(vendor).switches:
        shared = name.partition(".")[2]
        assert f'"{name}"' in text or f"}}.{shared}" in text, name


SCHEMA_CASES: list[Any] = [
    relay(), relay(Type=5), relay(Title="a b"), relay(StartTime="x"), {}, relay(SrcAddrS=["a"] * 31), relay(Watermark={}),
    relay(VodSrcAddrs=[{"SrcAddr": "http://a.example/1", "StartOffset": -1}]), relay(Title="t\n"), relay(CycleMode=-2), [],
    relay(StartTime=True), relay(Type=1.5), relay(DstAddr="ftp://x"), relay(OffsetS=["1"]),
]  # fmt: skip


@pytest.mark.parametrize("body", SCHEMA_CASES, ids=range(len(SCHEMA_CASES)))
def test_own_checker_agrees_with_the_library(body: Any) -> None:
    spec = specs.load("live")
    action = spec.actions["CreatePullToPushTask"]
    library = jsonschema.Draft202012Validator({**action.request.raw, "$defs": spec.defs})
    theirs = {(error.json_path.removeprefix("$").removeprefix("."), error.validator) for error in library.iter_errors(body)}
    found = action.request.check(body)
    ours = {(each.path.rpartition(".")[0] if each.keyword == "required" else each.path, each.keyword) for each in found.violations}
    mistyped = {path for path, keyword in theirs if keyword == "type"}
    theirs = {(path, keyword) for path, keyword in theirs if keyword == "type" or path not in mistyped}
    if body != relay(Title="t\n"):  # the library's pattern lets a last newline pass, which ECMA 262 does not
        assert ours == theirs


def test_checker_reports_unknown_keys_with_their_path() -> None:
    schema = Schema({"properties": {"a": {"type": "array", "items": {"properties": {"b": {}}}}}})
    assert schema.check({"a": [{"b": 1}, {"c": 1}], "d": 1}).unknown_keys == ["a[1].c", "d"]


# -- routing ------------------------------------------------------------------------------------------------------------------


def test_one_address_serves_every_vendor() -> None:
    world = world_at_noon()
    Volc(world).must("ListPullToPushTaskV2")
    Volc(world, "rtc").must("StartRecord", start())
    unsigned = Emulator(world).handle(Request.of("POST", "/?Action=StartRecord&Version=2023-11-01"))
    assert unsigned.decoded()["ResponseMetadata"]["Service"] == "rtc"
    assert Emulator(world).handle(Request.of("GET", "/nothing")).status == 404
    assert [call.vendor for call in world.log] == ["live", "rtc", "rtc"]


def test_query_decoding() -> None:
    assert parse_query("a=1+2&b=%2B&c=&d&a=3") == [("a", "1 2"), ("b", "+"), ("c", ""), ("d", ""), ("a", "3")]


def test_vendor_modules_offer_what_the_front_door_calls() -> None:
    for vendor in VOLCENGINE:
        module = vendor_module(vendor)
        assert callable(module.handle)
        assert "demo" in module.SEEDS


# -- faults, in process ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({}, "a fault is an object"),
        ({"fault": "explode"}, "is not one of"),
        ({"fault": "late:soon"}, "is not one of"),
        ({"fault": "reset", "when": "during"}, "before or after"),
        ({"fault": "reset", "nth": 0}, "counts from 1"),
        ({"fault": "reset", "often": 1}, "unknown key 'often'"),
    ],
)
def test_fault_mistakes(raw: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FaultRule.of(raw)


def test_which_call_is_hit() -> None:
    script = FaultScript()
    script.add(
        [
            {"action": "Create*", "nth": 2, "fault": "500"},
            {"action": "GET /task/*", "every": True, "fault": "429"},
            {"action": "*", "nth": 5, "fault": "reset"},
        ]
    )
    calls = ["Create1", "Create2", "Create3", "GET /task/a", "GET /task/b", "Other"]
    hits = [script.strike(each) for each in calls]
    assert [hit.fault if hit else "" for hit in hits] == ["", "500", "", "429", "429", ""]
    assert [rule.fault for rule in script.rules] == ["429"]  # the spent ones are gone


FAULTS = ["500", "502", "504", "429", "403", "commonErr", "invalidTimestamp", "reset", "timeout", "halfBody", "notJson", "html502"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("fault", FAULTS)
def test_before_has_no_effect_and_after_has(fault: str, when: str) -> None:
    volc = Volc(world_at_noon())
    volc.world.faults.add([{"action": "CreatePullToPushTask", "when": when, "fault": fault}])
    answer = volc.send("CreatePullToPushTask", relay())
    assert len(listed(volc)) == (1 if when == "after" else 0)
    assert volc.world.log[0].fault == f"{when} {fault}"
    if fault in ("reset", "timeout", "halfBody"):
        assert answer.spoil == fault
    elif fault in ("commonErr", "invalidTimestamp"):
        assert (answer.status, answer.error) == {
            "commonErr": (200, "CommonErr"),
            "invalidTimestamp": (403, "InvalidTimestamp"),
        }[fault]
    else:
        assert answer.status == {"notJson": 200, "html502": 502}.get(fault) or int(fault) == answer.status
    created = volc.world.log[0].effect.startswith("created")
    assert created is (when == "after")


def test_state_is_the_same_after_a_fault_as_without_it() -> None:
    spoilt, plain = Volc(world_at_noon()), Volc(world_at_noon())
    spoilt.world.faults.add([{"action": "*", "when": "after", "fault": "reset"}])
    for volc in (spoilt, plain):
        volc.send("CreatePullToPushTask", relay())
    assert listed(spoilt) == listed(plain)


def client(world: World, **options: Any) -> httpx.Client:
    return httpx.Client(transport=httpx.MockTransport(handler(Emulator(world))), base_url="https://live.volcengineapi.com", **options)


def post(world: World, action: str, body: Any, **options: Any) -> httpx.Response:
    request = Volc(world).request(action, body)
    with client(world, **options) as http:
        target = f"/?{request.raw_query}"
        return http.post(target, content=request.body, headers=request.headers)


@pytest.mark.parametrize(
    ("fault", "error"),
    [("reset", httpx.ReadError), ("timeout", httpx.ReadTimeout), ("halfBody", httpx.RemoteProtocolError), ("late:31", httpx.ReadTimeout)],
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_spoilt_answers_raise_in_process_as_on_a_socket(fault: str, error: type[Exception], when: str) -> None:
    world = world_at_noon()
    world.faults.add([{"action": "CreatePullToPushTask", "when": when, "fault": fault}])
    with pytest.raises(error):
        post(world, "CreatePullToPushTask", relay(), timeout=30)
    assert post(world, "CreatePullToPushTask", relay()).json()["Result"]["TaskId"]


def test_a_late_call_lands_after_its_client_gave_up() -> None:
    world = world_at_noon()
    world.faults.add([{"action": "CreatePullToPushTask", "when": "before", "fault": "late:45"}])
    with pytest.raises(httpx.ReadTimeout):
        post(world, "CreatePullToPushTask", relay(), timeout=30)
    assert world.clock.now_s() == NOW + 30
    assert listed(Volc(world)) == []
    world.clock.advance(14)
    assert listed(Volc(world)) == []
    world.clock.advance(1)
    assert len(listed(Volc(world))) == 1


def test_a_late_call_is_dead_when_its_signature_is() -> None:
    world = world_at_noon()
    volc = Volc(world)
    world.faults.add([{"action": "CreatePullToPushTask", "when": "before", "fault": "late:61"}])
    request = volc.request("CreatePullToPushTask", relay(), query={"X-Expires": "60"})
    ticket = volc.emulator.handle(request).ticket
    world.clock.advance(61)
    assert volc.emulator.collect(ticket).error == "InvalidTimestamp"
    assert listed(volc) == []


def test_a_late_answer_within_patience_is_an_answer() -> None:
    world = world_at_noon()
    world.faults.add([{"action": "CreatePullToPushTask", "when": "after", "fault": "late:10"}])
    answer = post(world, "CreatePullToPushTask", relay(), timeout=30)
    assert answer.status_code == 200
    assert world.clock.now_s() == NOW + 10


# -- saving ------------------------------------------------------------------------------------------------------------------------


def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "emulator.json"
    world = World(clock=Clock.frozen_at(NOON), data_file=file, switches={"live.list_order": "oldest", "rate_limits": "off"})
    live, rtc = Volc(world), Volc(world, "rtc")
    first = live.must("CreatePullToPushTask", relay())["TaskId"]
    rtc.must("StartSegment", start(Duration=30))
    assert not (tmp_path / "emulator.json.tmp").exists()

    again = World(data_file=file)
    assert again.clock.frozen
    assert again.clock.now_ms() == NOW * 1000
    assert again.switch("live.list_order") == "oldest"
    assert [each["TaskId"] for each in listed(Volc(again))] == [first]
    assert Volc(again, "rtc").must("GetSegmentTask", IDENT)["SegmentTask"]["Duration"] == 30
    second = Volc(again).must("CreatePullToPushTask", relay())["TaskId"]
    assert second != first
    assert again.ledger.events[-1]["live_count"] == 2


def test_a_running_clock_keeps_its_distance_to_real_time(tmp_path: Path) -> None:
    file = tmp_path / "emulator.json"
    World(data_file=file, clock=Clock(start_ms=NOW * 1000)).save()
    assert 0 <= World(data_file=file).clock.now_ms() - NOW * 1000 < 60_000
    assert World(data_file=file, clock=Clock.frozen_at(5)).clock.now_ms() == 5  # a clock that is given wins


def test_extra_keys_outlive_a_reset_and_a_restart(tmp_path: Path) -> None:
    keys = {"volcengine": {"AKX": {"secret": "x", "account": "1"}}}
    world = World(clock=Clock.frozen_at(NOON), extra_keys=keys, data_file=tmp_path / "d.json")
    Volc(world, key="AKX", secret="x").must("ListPullToPushTaskV2")
    world.reset()
    Volc(world, key="AKX", secret="x").must("ListPullToPushTaskV2")
    world.save()
    again = World(extra_keys={"volcengine": {"AKY": {"secret": "y", "account": "1"}}}, data_file=tmp_path / "d.json")
    Volc(again, key="AKY", secret="y").must("ListPullToPushTaskV2")


def test_switches_given_anew_win_over_saved_ones(tmp_path: Path) -> None:
    file = tmp_path / "emulator.json"
    World(data_file=file, switches={"live.null_style": "zero", "live.float32": "off"}).save()
    again = World(data_file=file, switches={"live.null_style": "absent"})
    assert (again.switch("live.null_style"), again.switch("live.float32")) == ("absent", "off")


@pytest.mark.parametrize("text", ["[]", "{}", '{"format": 2}'])
def test_a_foreign_file_is_refused_and_kept(tmp_path: Path, text: str) -> None:
    file = tmp_path / "precious.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"not a data file|not JSON"):
        World(data_file=file)
    assert file.read_text(encoding="utf-8") == text


def test_reads_do_not_write_the_file(tmp_path: Path) -> None:
    file = tmp_path / "emulator.json"
    volc = Volc(World(clock=Clock.frozen_at(NOON), data_file=file))
    volc.must("CreatePullToPushTask", relay())
    written = file.stat().st_mtime_ns
    listed(volc)
    assert file.stat().st_mtime_ns == written


def test_sessions_that_end_by_themselves_are_saved(tmp_path: Path) -> None:
    file = tmp_path / "emulator.json"
    world = World(clock=Clock.frozen_at(NOON), data_file=file)
    Volc(world, "rtc").must("StartRecord", start(Control={"MaxRecordTime": 5}))
    world.clock.advance(10)
    listed(Volc(world))
    saved = json.loads(file.read_text(encoding="utf-8"))
    assert [each["event"] for each in saved["ledger"]["events"]] == ["created", "ended"]


# -- seeds ---------------------------------------------------------------------------------------------------------------------------


def test_seeds() -> None:
    world = world_at_noon()
    control.sow(world, "demo")
    assert {each["Title"]: each["Status"] for each in listed(Volc(world))} == {
        "morningnews": "生效中", "eveningloop": "未开始", "madebyhand": "未开始",
    }  # fmt: skip
    control.sow(world, "tasks-30")
    assert len(listed(Volc(world))) == 33
    with pytest.raises(ValueError, match="seed 'x' is not known"):
        control.sow(world, "x")
