"""Clip: what is cut, how it is found again without an id, and what becomes of it while the vendor makes it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from reconciler import wire
from reconciler.diff import differences
from reconciler.errors import Denied, NotFound, NotReady, OutcomeUnknown, Rejected, Throttled, Unavailable
from reconciler.kinds import _clip_list, _clip_spec
from reconciler.kinds._clip_list import Cut
from reconciler.kinds._clip_spec import ClipSpec
from reconciler.kinds._marks import fingerprint
from reconciler.kinds.clip import KIND, RULES
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
    Verb,
)

from .drive import actions, calls, drive

START = datetime(2026, 11, 20, 13, 14, 5, tzinfo=UTC)
END = START + timedelta(seconds=30)
MS = 1795180445000
STREAM, SESSION = "eaw4nk06ts2d0mzb", "de7818e7-610a-4057-8f6f-b785dc1e6f88"
SPEC = {
    "playbackId": STREAM, "sessionId": SESSION, "start": "2026-11-20T21:14:05+08:00", "end": MS + 30_000, "name": "Goal 78",
    "creatorId": "sports-desk",
}  # fmt: skip
UNPINNED = {key: value for key, value in SPEC.items() if key != "sessionId"}


def seal(secret: Secret) -> Sealed:
    return Sealed(secret.reveal(), "***")


def desired(spec: dict[str, Any] = SPEC, name: str = "goal-78", **more: Any) -> Desired:
    return Desired(Address("Clip", name), KIND.canonical(ClipSpec.model_validate(spec), name=name), Place("a.yaml"), **more)


def ask(want: Desired | None, **more: Any) -> Lookup:
    return Lookup(more.pop("address", None) or (want.address if want else Address("Clip", "goal-78")), "default", want, **more)


def entry(want: Desired, id: str, **more: Any) -> Entry:
    return Entry(want.address, "default", id, KIND.identity(want), **more)


def intent(want: Desired, sent: datetime = END, **more: Any) -> Intent:
    known: dict[str, Any] = {
        "id": "i", "address": want.address, "account": "default", "verb": Verb.CREATE, "action": "POST /clip", "sent": sent,
        "identity": KIND.identity(want), "incarnation": want.incarnation, "horizon": sent, "desired": want.values,
    }  # fmt: skip
    return Intent(**{**known, **more})


class Studio:
    """A small vendor: assets, tasks, streams and sessions; every look at an asset brings it one phase further."""

    def __init__(self) -> None:
        self.assets: dict[str, dict[str, Any]] = {}
        self.tasks: dict[str, dict[str, Any]] = {}
        self.streams = [{"id": "stream-1", "playbackId": STREAM, "name": "s", "streamKey": "TOPSECRET"}]
        self.sessions = [self.session(SESSION, -3600, 3600)]
        self.phases = ["ready"]
        self.answers: dict[str, Any] = {}
        self.next = 0

    def session(self, id: str, first: int, last: int) -> dict[str, Any]:
        return {
            "id": id, "parentId": "stream-1", "createdAt": MS + first * 1000, "lastSeen": MS + last * 1000,
            "parentStream": {"streamKey": "TOPSECRET"},
        }  # fmt: skip

    def add(self, body: dict[str, Any], phase: str = "waiting", **more: Any) -> str:
        self.next += 1
        id, task = f"a{self.next}", f"k{self.next}"
        self.assets[id] = {
            "id": id, "playbackId": f"p{self.next}", "createdAt": MS + 60_000 + self.next, "name": body.get("name") or f"clip-p{self.next}",
            "source": {"type": "clip", "playbackId": body["playbackId"], "sessionId": body["sessionId"]},
            "status": {"phase": phase, "updatedAt": MS}, "videoSpec": {"duration": 30.02}, **more,
        }  # fmt: skip
        strategy = {key: body[key] for key in ("startTime", "endTime", "playbackId") if key in body}
        self.tasks[task] = {
            "id": task, "type": "clip", "outputAssetId": id, "status": {"phase": "waiting", "retries": 0},
            "params": {"clip": {"sessionId": body["sessionId"], "clipStrategy": strategy}},
        }  # fmt: skip
        return id

    def made(self, want: Desired, phase: str = "ready", *, marked: bool = False, **more: Any) -> str:
        """A clip like `want`, as it stands once everything is done (or still with our mark)."""
        body = wire.encode(ClipSpec, {"sessionId": SESSION, **want.values})
        creator = {"type": "unverified", "value": body["creatorId"]} if "creatorId" in body and not marked else None
        return self.add(
            {**body, "name": _clip_list.working_name(want) if marked else body["name"]}, phase, **{"creatorId": creator, **more}
        )

    def __call__(self, call: Call) -> Any:
        assert call.vendor == "livepeer"
        assert call.safe is (call.method == "GET")
        if call.action in self.answers:
            return self.answers[call.action]
        match call.action:
            case "POST /clip":
                id = self.add(call.body)
                task = next(key for key, task in self.tasks.items() if task["outputAssetId"] == id)
                return {"task": {"id": task}, "asset": self.assets[id]}
            case "GET /asset":
                return self.page([one for one in self.assets.values() if self.fits(one, call.query)], call)
            case "GET /task":
                assert json.loads(str(call.query["filters"])) == [{"id": "type", "value": "clip"}]
                return self.page(list(self.tasks.values()), call)
            case "GET /task/{id}":
                return self.tasks[call.path.removeprefix("/task/")]
            case "GET /stream":
                assert call.query["streamsonly"] == 1
                (wanted,) = json.loads(str(call.query["filters"]))
                return [stream for stream in self.streams if stream["playbackId"] == wanted["value"]]
            case "GET /stream/playback/{id}":
                return NotFound("not found", status=404)
            case "GET /session":
                assert call.query["parentId"] == "stream-1"
                return self.page(self.sessions, call)
        asset = self.assets.get(call.path.removeprefix("/asset/"))
        if asset is None:
            return NotFound("Asset not found", status=404)
        match call.method:
            case "GET" if asset["status"]["phase"] not in ("ready", "failed"):
                asset["status"] = {"phase": self.phases.pop(0), "progress": 0.45}
            case "PATCH":
                if asset["status"]["phase"] != "ready":
                    return Rejected("asset is not ready", status=422)
                asset |= {key: {"type": "unverified", "value": value} if key == "creatorId" else value for key, value in call.body.items()}
            case "DELETE":
                del self.assets[asset["id"]]
                return Reply(None, status=204)
        return asset

    def fits(self, asset: dict[str, Any], query: Any) -> bool:
        wanted = {one["id"]: one["value"] for one in json.loads(str(query["filters"]))}
        assert wanted.pop("sourceType") == "clip"
        stream = wanted.pop("sourcePlaybackId", None)
        assert not wanted
        return stream in (None, asset["source"].get("playbackId"))

    def page(self, rows: list[dict[str, Any]], call: Call) -> Reply:
        query = call.query
        assert query["order"] == "createdAt-false,id-false"
        skip, limit = int(str(query.get("cursor", "skip0")).removeprefix("skip")), int(query["limit"])
        shown = rows[skip : skip + limit]
        headers = {"X-Total-Count": str(len(rows))} if shown else {}
        if len(shown) == limit:
            headers["Link"] = f'<http://node.internal/api/x?limit={limit}&cursor=skip{skip + limit}>; rel="next"'
        elif shown and call.action == "GET /task":
            headers["Link"] = '<http://node.internal/api/task?cursor=undefined>; rel="next"'
        return Reply(shown, headers=headers)


def seen(studio: Studio, want: Desired, **more: Any) -> Observed:
    return drive(KIND.observe([ask(want, **more)]), studio)[0].answers[0]


def changes(want: Desired, live: Observed, applied: Any = None) -> list[str]:
    return [one.path for one in differences(want.values, live.values, seal=seal, unread=live.unread, applied=applied)]


# --- what is declared -------------------------------------------------------------------------------------------------


def mistakes(spec: dict[str, Any]) -> list[tuple[str, str]]:
    try:
        ClipSpec.model_validate(spec)
    except ValidationError as wrong:
        found = []
        for one in wrong.errors():
            context = one.get("ctx", {})
            for each in (context, *context.get("more", ())):
                path = [str(part) for part in one["loc"]] + ([each["at"]] if each.get("at") else [])
                found.append((each.get("rule", one["type"]), ".".join(path)))
        return found
    return []


MISTAKES = [
    ("nothing but an id", {"playbackId": "x"}, [("missing", "start"), ("missing", "end")]),
    ("no end: the vendor takes it and fails it", {**SPEC, "end": ...}, [("missing", "end")]),
    ("no playbackId", {**SPEC, "playbackId": ...}, [("missing", "playbackId")]),
    ("a URL for an id", {**SPEC, "playbackId": "https://lvpr.tv/?v=x"}, [("RC400", "playbackId")]),
    ("a session that is no id", {**SPEC, "sessionId": ""}, [("RC401", "sessionId")]),
    ("seconds instead of milliseconds", {**SPEC, "start": 1795180445}, [("RC022", "start")]),
    ("a time without an offset", {**SPEC, "end": "2026-11-20T21:14:35"}, [("RC022", "end")]),
    ("a float", {**SPEC, "start": 1795180445000.5}, [("RC022", "start")]),
    ("equal times, as in the vendor's own sample", {**SPEC, "end": MS}, [("RC402", "end")]),
    ("microseconds", {**SPEC, "end": "2026-11-20T21:14:35.123456+08:00"}, [("RC404", "end")]),
    ("two mistakes of the whole at once", {**SPEC, "start": "2026-11-20T21:14:36.0001+08:00"}, [("RC402", "end"), ("RC404", "start")]),
    ("a percent sign breaks the vendor's filters", {**SPEC, "name": "100 %"}, [("RC403", "name")]),
    ("a NUL is an error 500", {**SPEC, "name": "a\0b"}, [("RC403", "name")]),
    ("an empty name", {**SPEC, "name": ""}, [("RC403", "name")]),
    ("a name too long", {**SPEC, "name": "n" * 2001}, [("RC403", "name")]),
    ("an empty creator", {**SPEC, "creatorId": ""}, [("RC405", "creatorId")]),
    ("a field of another call", {**SPEC, "playbackPolicy": {"type": "jwt"}}, [("extra_forbidden", "playbackPolicy")]),
    ("a creator with a percent sign is fine", {**SPEC, "creatorId": "100%"}, []),
]


@pytest.mark.parametrize(("spec", "expected"), [case[1:] for case in MISTAKES], ids=[case[0] for case in MISTAKES])
def test_mistakes_name_their_rule_and_path(spec, expected):
    assert mistakes({key: value for key, value in spec.items() if value is not ...}) == expected


def test_every_rule_that_is_used_is_explained():
    source = Path(_clip_spec.__file__).read_text(encoding="utf-8")
    used = set(re.findall(r'"(RC4\d\d)"', source.split("# --- what is declared")[1]))
    assert used == set(RULES)
    assert all(title and text.endswith(".") for title, text in RULES.values())


def test_the_name_defaults_to_the_manifests():
    assert desired({key: value for key, value in SPEC.items() if key != "name"}).values["name"] == "goal-78"


def test_the_identity_is_the_natural_key():
    assert KIND.identity(desired()) == f"{STREAM}/{SESSION}/{MS}-{MS + 30_000}"
    assert KIND.identity(desired(UNPINNED)) == f"{STREAM}/*/{MS}-{MS + 30_000}"


def test_name_and_creator_change_in_place_and_nothing_else_does():
    live = Observed(Address("Clip", "x"), Presence.LIVE)
    replaced = {path: KIND.replaces(f"spec.{path}", desired(), live) for path in SPEC}
    assert replaced == {"playbackId": True, "sessionId": True, "start": True, "end": True, "name": False, "creatorId": False}
    assert not KIND.interrupts("spec.name")
    assert list(KIND.vet(desired())) == []


# --- making one -------------------------------------------------------------------------------------------------------


def test_a_clip_is_cut_under_our_mark_and_named_when_it_is_ready():
    studio, want = Studio(), desired()
    studio.phases = ["waiting", "processing", "ready"]
    id, steps = drive(KIND.create(want), studio)
    mark = fingerprint("default", want.address, 1)
    made = calls(steps)
    assert actions(steps) == [
        "POST /clip", "Created", "GET /asset/{id}", "Pause", "GET /asset/{id}", "Pause", "GET /asset/{id}", "PATCH /asset/{id}",
        "GET /asset/{id}",
    ]  # fmt: skip
    assert (made[0].method, made[0].path, made[0].repeatable) == ("POST", "/clip", False)
    assert made[0].body == {
        "playbackId": STREAM, "sessionId": SESSION, "startTime": MS, "endTime": MS + 30_000, "name": f"Goal 78 {mark}",
    }  # fmt: skip
    assert steps[1] == Created(id, identity=KIND.identity(want))
    assert [(step.seconds, step.progress) for step in steps if isinstance(step, Pause)] == [(2, 0.45), (3, 0.45)]
    assert (made[-2].method, made[-2].path, made[-2].body) == ("PATCH", f"/asset/{id}", {"name": "Goal 78", "creatorId": "sports-desk"})
    live = seen(studio, want, entry=entry(want, id))
    assert (live.match, live.stage, changes(want, live), live.warnings) == (Match.LEDGER, Stage.READY, [], ())


def test_pauses_grow_from_2_to_15_seconds():
    studio = Studio()
    studio.phases = ["processing"] * 9 + ["ready"]
    _, steps = drive(KIND.create(desired()), studio)
    assert [step.seconds for step in steps if isinstance(step, Pause)] == [2, 3, 5, 8, 12, 15, 15, 15, 15]


def test_a_new_clip_may_be_missing_on_the_replica_for_a_while():
    lagging = [NotFound("Asset not found")] * 3
    answers = [
        {"task": {"id": "k"}, "asset": {"id": "a"}},
        *lagging,
        {"id": "a", "status": {"phase": "ready"}},
        {},
        NotFound("Asset not found"),
    ]
    id, steps = drive(KIND.create(desired()), answers)
    assert (id, actions(steps).count("Pause")) == ("a", 3)


def test_a_clip_that_stays_missing_was_deleted():
    answers = [{"task": {"id": "k"}, "asset": {"id": "a"}}, *[NotFound("Asset not found")] * 6]
    with pytest.raises(NotReady, match="deleted while it was being made"):
        drive(KIND.create(desired()), answers)


def test_a_failure_carries_the_vendors_words():
    studio = Studio()
    studio.phases = ["failed"]
    studio.answers["GET /task/{id}"] = {"status": {"phase": "failed", "retries": 2, "errorMessage": "internal error processing file"}}
    with pytest.raises(NotReady, match=r"could not be cut, tried 3 times: internal error processing file") as failed:
        drive(KIND.create(desired()), studio)
    assert actions(failed.value.steps)[:2] == ["POST /clip", "Created"], "its id is known all the same"


def test_a_failure_is_told_even_when_the_task_cannot_be_read():
    studio = Studio()
    studio.phases = ["failed"]
    studio.answers["GET /task/{id}"] = Denied("no")
    with pytest.raises(NotReady, match="could not be cut: the vendor does not say why"):
        drive(KIND.create(desired()), studio)


def test_an_answer_without_an_asset_is_of_unknown_outcome():
    with pytest.raises(OutcomeUnknown):
        drive(KIND.create(desired()), [{"task": {}}])


def test_a_lost_answer_or_a_throttle_is_left_to_others():
    for failure in (OutcomeUnknown("no answer"), Throttled("Too many clips are being processed.", status=403)):
        with pytest.raises(type(failure)) as failed:
            drive(KIND.create(desired()), [failure])
        assert len(failed.value.steps) == 1


# --- the session ------------------------------------------------------------------------------------------------------

SESSIONS = [
    ("the one there is", [("only", -60, 90)], "only"),
    ("of several the one that covers", [("before", -900, -600), ("right", -60, 90), ("after", 600, 900)], "right"),
    ("a little late, within tolerance", [("close", 20, 90)], "close"),
    ("a little short, within tolerance", [("close", -60, 10)], "close"),
    ("exact before tolerant", [("exact", -1, 31), ("close", 20, 90)], "exact"),
    ("none at all", [], None),
    ("none that covers", [("before", -900, -600)], None),
    ("two that cover", [("one", -60, 90), ("two", -50, 80)], None),
    ("too late, beyond tolerance", [("late", 31, 90)], None),
]


@pytest.mark.parametrize(("sessions", "chosen"), [case[1:] for case in SESSIONS], ids=[case[0] for case in SESSIONS])
def test_the_session_that_covers_the_window_is_pinned(sessions, chosen):
    studio, want = Studio(), desired(UNPINNED)
    studio.sessions = [studio.session(*one) for one in sessions]
    if chosen:
        id, steps = drive(KIND.create(want), studio)
        assert actions(steps)[:3] == ["GET /stream", "GET /session", "POST /clip"]
        assert calls(steps)[2].body["sessionId"] == chosen
        studio.sessions.append(studio.session("another", -60, 90))
        assert changes(want, seen(studio, want, entry=entry(want, id))) == [], "pinned for good"
    else:
        with pytest.raises(Rejected) as refused:
            drive(KIND.create(want), studio)
        assert all(id in refused.value.message for id, *_ in sessions)
        assert "POST /clip" not in actions(refused.value.steps)
        assert "TOPSECRET" not in refused.value.message


def test_a_stream_that_no_list_shows_is_asked_for_by_its_playback_id():
    studio = Studio()
    studio.streams = []
    studio.answers["GET /stream/playback/{id}"] = {"id": "stream-1", "playbackId": STREAM}
    _, steps = drive(KIND.create(desired(UNPINNED)), studio)
    assert actions(steps)[:4] == ["GET /stream", "GET /stream/playback/{id}", "GET /session", "POST /clip"]


def test_no_stream_is_said_plainly():
    studio = Studio()
    studio.streams = []
    with pytest.raises(Rejected, match="no stream has the playbackId eaw4nk06ts2d0mzb"):
        drive(KIND.create(desired(UNPINNED)), studio)


def test_a_plan_tells_early_what_create_would_find_wrong():
    studio, want = Studio(), desired(UNPINNED)
    studio.sessions = [studio.session("one", -60, 90), studio.session("two", -50, 80)]
    assert "2 sessions cover" in seen(studio, want).warnings[0]
    studio.sessions = [studio.session("on-air", -60, 5)]
    assert seen(studio, want).warnings == (), "it may still be on air"
    studio.streams = []
    assert "no stream" in seen(studio, want).warnings[0]
    for failure in (Denied("credential has insufficent privileges"), Unavailable("down")):
        studio.answers["GET /stream"] = failure
        assert seen(studio, want) == Observed(want.address, Presence.ABSENT)


@pytest.mark.parametrize(
    ("sessions", "told"),
    [
        pytest.param([(SESSION, -60, 90)], "", id="within"),
        pytest.param([(SESSION, 20, 50)], "", id="a little early: a session is seen later than it begins"),
        pytest.param(
            [(SESSION, 31, 90)], f"leaves session {SESSION} (2026-11-20T13:14:36Z to 2026-11-20T13:15:35Z)", id="before it begins"
        ),
        pytest.param([(SESSION, -60, -10)], "", id="after its end: it may still be on air"),
        pytest.param([(SESSION, -60, -10), ("next", 5, 10)], f"leaves session {SESSION}", id="after its end: the next has begun"),
        pytest.param([(SESSION, -60, -60), ("other", -90, -70)], "", id="just begun"),
        pytest.param([("other", -60, 90)], f"has no session {SESSION}: other (2026-11-20T13:13:05Z to 2026-11-20T13:15:35Z)", id="no such"),
        pytest.param([], "", id="none is known"),
    ],
)
def test_a_plan_tells_early_what_a_named_session_does_not_have(sessions: list[tuple[str, int, int]], told: str):
    """The vendor cuts silently what is there, and takes the start of the recording for any instant before it."""
    studio, want = Studio(), desired()
    studio.sessions = [studio.session(*one) for one in sessions]
    warnings = seen(studio, want).warnings
    assert len(warnings) == bool(told)
    assert told in "".join(warnings)


def test_the_sessions_of_a_stream_are_read_once():
    wants = [
        desired(name="one"),
        desired({**UNPINNED, "end": MS + 40_000}, name="two"),
        desired({**SPEC, "end": MS + 50_000}, name="three"),
    ]
    steps = drive(KIND.observe([ask(want) for want in wants]), Studio())[1]
    assert actions(steps) == ["GET /asset", "GET /stream", "GET /session"]


# --- finding it again -------------------------------------------------------------------------------------------------


def test_nothing_there_is_absent():
    live = seen(Studio(), desired())
    assert (live.presence, live.id, live.match) == (Presence.ABSENT, "", Match.NONE)


def test_found_by_the_ledgers_id_outside_every_list():
    studio, want = Studio(), desired()
    id = studio.made(desired({**SPEC, "playbackId": "anotherstream"}))
    survey, steps = drive(KIND.observe([ask(want, entry=entry(want, id))]), studio)
    assert actions(steps) == ["GET /asset", "GET /asset/{id}", "GET /task"]
    assert survey.answers[0].match is Match.LEDGER
    assert changes(want, survey.answers[0]) == ["spec.playbackId"]


def test_an_id_that_is_gone_is_absent_and_any_other_failure_is_none():
    studio, want = Studio(), desired()
    assert seen(studio, want, entry=entry(want, "gone")).presence is Presence.ABSENT
    studio.answers["GET /asset/{id}"] = Unavailable("down")
    with pytest.raises(Unavailable):
        seen(studio, want, entry=entry(want, "gone"))


def test_known_ids_are_looked_up_side_by_side():
    one, two = desired(), desired(name="two")
    steps = KIND.observe([ask(one, entry=entry(one, "x")), ask(two, entry=entry(two, "y"))])
    next(steps)
    batch = steps.send(Reply([]))
    assert isinstance(batch, Batch)
    assert [call.path for call in batch.calls] == ["/asset/x", "/asset/y"]


def test_killed_after_the_post_it_is_found_by_the_mark_in_its_name():
    studio, want = Studio(), desired()
    id = studio.made(want, "processing", marked=True)
    live = seen(studio, want, intent=intent(want))
    assert (live.id, live.match, live.stage, live.presence) == (id, Match.MARK, Stage.MAKING, Presence.LIVE)
    assert live.unread == {"name", "creatorId"}
    assert changes(want, live) == []


def test_killed_before_the_patch_it_is_still_being_made():
    studio, want = Studio(), desired()
    id = studio.made(want, marked=True)
    live = seen(studio, want)
    assert (live.match, live.stage, live.detail) == (Match.MARK, Stage.MAKING, "cut, and not named yet")
    assert (changes(want, live), live.unread) == ([], {"name", "creatorId"}), "its working name is nobody's change"
    drive(KIND.update(want, live, ()), studio)
    done = seen(studio, want, entry=entry(want, id))
    assert (done.stage, changes(want, done)) == (Stage.READY, [])


@pytest.mark.parametrize(
    ("there", "found"),
    [(("old", "new"), "new"), (("old",), "old"), (("new",), "new"), ((), "")],
    ids=["both", "only the old one", "only the new one", "neither"],
)
def test_a_clip_that_is_to_replace_another_is_found_before_it(there: tuple[str, ...], found: str):
    studio, want = Studio(), desired()
    before = desired({**SPEC, "end": MS + 20_000})
    ids = {"old": studio.made(before), "new": studio.made(want)}
    for name in {"old", "new"} - {*there}:
        del studio.assets[ids[name]]
    known = replace(entry(want, ids["new"]), former=entry(before, ids["old"]))
    survey, _ = drive(KIND.observe([ask(want, entry=known)]), studio)
    assert survey.answers[0].id == ids.get(found, "")
    assert survey.strangers == [], "nobody else's, whichever of them it is"


def test_the_same_piece_without_a_mark_is_a_twin():
    studio, want = Studio(), desired()
    studio.made(want)
    assert seen(studio, want).match is Match.TWIN
    assert seen(studio, desired(UNPINNED)).match is Match.TWIN, "whichever session it came from"
    assert seen(studio, desired({**SPEC, "sessionId": "another"})).presence is Presence.ABSENT
    assert seen(studio, desired({**SPEC, "end": MS + 29_999})).presence is Presence.ABSENT


def test_an_open_intent_makes_the_same_piece_ours_unless_it_is_older():
    studio, want = Studio(), desired()
    studio.made(want)
    assert seen(studio, want, intent=intent(want)).match is Match.MARK
    assert seen(studio, want, intent=intent(want, END + timedelta(hours=1))).match is Match.TWIN


def test_a_failed_twin_is_nobodys_business():
    studio, want = Studio(), desired()
    studio.made(want, "failed")
    assert seen(studio, want).presence is Presence.ABSENT


def test_a_deleted_clip_leaves_only_its_task():
    studio, want = Studio(), desired()
    studio.assets.pop(studio.made(want, marked=True))
    studio.made(want, "deleting", marked=True)
    assert seen(studio, want).presence is Presence.ABSENT


def test_duplicates_are_told_the_oldest_ready_one_first():
    studio, want = Studio(), desired()
    first, second, third = (studio.made(want, phase, marked=True) for phase in ("processing", "ready", "ready"))
    live = seen(studio, want)
    assert (live.id, set(live.also), live.same_body) == (second, {first, third}, True)


def test_a_copy_with_our_mark_is_told_beside_the_known_one_and_a_foreign_twin_is_not():
    studio, want = Studio(), desired()
    known, foreign, copy = studio.made(want), studio.made(want), studio.made(want, marked=True)
    survey = drive(KIND.observe([ask(want, entry=entry(want, known))]), studio)[0]
    assert survey.answers[0].also == (copy,)
    assert [(stranger.id, stranger.ours) for stranger in survey.strangers] == [(foreign, False)]


def test_a_replacement_in_flight_is_found_before_what_it_replaces():
    studio, old = Studio(), desired()
    new = replace(desired({**SPEC, "end": MS + 40_000}), incarnation=2)
    before, after = studio.made(old), studio.made(new, "processing", marked=True)
    assert seen(studio, new, entry=entry(old, before), intent=intent(new)).id == after
    studio.assets.pop(after)
    assert seen(studio, new, entry=entry(old, before), intent=intent(new)).id == before


def test_the_ledger_may_be_lost_at_any_incarnation():
    studio, want = Studio(), desired()
    studio.made(replace(want, incarnation=4), marked=True)
    assert seen(studio, want).match is Match.MARK


def test_one_clip_answers_one_lookup_and_the_rest_are_strangers():
    studio, want = Studio(), desired()
    studio.made(want)
    other = studio.made(desired({**SPEC, "name": "Else", "end": MS + 40_000}))
    survey = drive(KIND.observe([ask(want), ask(desired(name="twin"))]), studio)[0]
    assert [answer.presence for answer in survey.answers] == [Presence.LIVE, Presence.ABSENT]
    (stranger,) = survey.strangers
    assert (stranger.kind, stranger.id, stranger.title, stranger.stage, stranger.ours) == ("Clip", other, "Else", Stage.READY, False)
    assert stranger.values["start"] == START


def test_only_one_stream_is_listed_when_only_one_is_asked_about():
    studio = Studio()
    studio.made(desired({**SPEC, "playbackId": "anotherstream"}))
    assert drive(KIND.observe([ask(desired())]), studio)[0].strangers == []
    assert len(drive(KIND.observe([]), studio)[0].strangers) == 1
    both = [ask(desired()), ask(None, entry=entry(desired(name="x"), "gone"), address=Address("Clip", "x"))]
    assert len(drive(KIND.observe(both), studio)[0].strangers) == 1


# --- what is read -----------------------------------------------------------------------------------------------------

PHASES = [
    ("waiting", Presence.LIVE, Stage.MAKING),
    ("processing", Presence.LIVE, Stage.MAKING),
    ("uploading", Presence.LIVE, Stage.MAKING),
    ("ready", Presence.LIVE, Stage.READY),
    ("failed", Presence.LIVE, Stage.FAILED),
    ("Ready", Presence.LIVE, Stage.READY),
    ("hovering", Presence.UNKNOWN, Stage.NONE),
]


@pytest.mark.parametrize(("phase", "presence", "stage"), PHASES)
def test_phase_becomes_presence_and_stage(phase, presence, stage):
    studio, want = Studio(), desired()
    live = seen(studio, want, entry=entry(want, studio.made(want, phase)))
    assert (live.presence, live.stage) == (presence, stage)
    assert changes(want, live) == []
    assert bool(live.detail) == (stage in (Stage.FAILED, Stage.NONE))


VARIANTS = [
    ("a creator as plain text", {"creatorId": "sports-desk"}),
    ("a null policy and hash", {"playbackPolicy": None, "hash": None}),
    ("a public policy", {"playbackPolicy": {"type": "public"}}),
    ("no playbackId in the source, as in 2023", {"source": {"type": "clip", "sessionId": SESSION}}),
    ("a length within 2 s", {"videoSpec": {"duration": 28.1}}),
]


@pytest.mark.parametrize("more", [case[1] for case in VARIANTS], ids=[case[0] for case in VARIANTS])
def test_other_spellings_are_no_difference(more):
    studio, want = Studio(), desired()
    id = studio.made(want, **more)
    assert changes(want, seen(studio, want, entry=entry(want, id))) == []


@pytest.mark.parametrize("creator", [None, "", {"type": "unverified", "value": ""}, {}], ids=["null", "blank", "blanked", "empty"])
def test_a_blank_creator_is_none(creator):
    studio = Studio()
    want = desired({key: value for key, value in SPEC.items() if key != "creatorId"})
    id = studio.made(want, creatorId=creator)
    assert changes(want, seen(studio, want, entry=entry(want, id))) == []


@pytest.mark.parametrize("spelt", [float, str], ids=["sent by a float client", "as text"])
def test_times_in_another_spelling_are_the_same_times(spelt):
    studio, want = Studio(), desired()
    id = studio.made(want)
    (task,) = studio.tasks.values()
    task["params"]["clip"]["clipStrategy"] |= {"startTime": spelt(MS), "endTime": spelt(MS + 30_000)}
    live = seen(studio, want, entry=entry(want, id))
    assert (live.unread, changes(want, live)) == (frozenset(), [])
    assert seen(studio, want).match is not Match.NONE, "the ledger was lost"


def test_without_its_task_the_times_are_left_to_the_ledger():
    studio, want = Studio(), desired()
    id = studio.made(want)
    studio.tasks.clear()
    live = seen(studio, want, entry=entry(want, id))
    assert live.unread == {"start", "end"}
    assert changes(want, live, want.values) == []
    assert changes(desired({**SPEC, "end": MS + 31_000}), live, want.values) == ["spec.end"]


@pytest.mark.parametrize("name", ["playbackId", "sessionId"])
def test_a_source_that_is_told_in_part_replaces_no_clip(name):
    studio, want = Studio(), desired()
    id = studio.made(want)
    studio.tasks.clear()  # not to be seen yet: it would tell the rest
    del studio.assets[id]["source"][name]
    live = seen(studio, want, entry=entry(want, id))
    assert live.unread == {name, "start", "end"}
    assert changes(want, live, want.values) == []
    other = desired({**SPEC, name: "another"})
    assert changes(other, live, want.values) == [f"spec.{name}"]


def test_a_clip_without_a_task_is_never_made():
    studio, want = Studio(), desired()
    id = studio.made(want, "waiting", marked=True)
    task = studio.tasks.popitem()
    survey, steps = drive(KIND.observe([ask(want)]), studio)
    assert (survey.answers[0].id, survey.answers[0].stage) == (id, Stage.FAILED)
    assert survey.answers[0].detail == "the vendor left it without a task"
    assert actions(steps) == ["GET /asset", "GET /task", "Pause", "GET /task"], "it may only be late on the replica"
    late = iter([Reply([]), Reply([task[1]])])
    survey, _ = drive(KIND.observe([ask(want)]), lambda call: next(late) if call.action == "GET /task" else studio(call))
    assert survey.answers[0].stage is Stage.MAKING


def test_a_clamped_clip_is_a_warning_and_never_a_difference():
    studio, want = Studio(), desired()
    id = studio.made(want, videoSpec={"duration": 12.0})
    live = seen(studio, want, entry=entry(want, id))
    assert changes(want, live) == []
    assert live.warnings == ("the clip lasts 12.0 s, asked for were 30.0 s: its window leaves the recording",)


def test_a_failed_clip_tells_why():
    studio, want = Studio(), desired()
    id = studio.made(want, status={"phase": "failed", "errorMessage": "file could not be imported"})
    studio.tasks["k1"]["status"]["retries"] = 2
    assert seen(studio, want, entry=entry(want, id)).detail == "file could not be imported (tried 3 times)"


def test_rows_that_make_no_sense_are_never_an_exception():
    odd = [
        {"id": "a"},
        {"id": "b", "status": [], "source": 5, "createdAt": "x", "creatorId": [1], "videoSpec": None, "name": None},
        {"id": "c", "status": {"phase": 7, "progress": float("inf")}, "creatorId": {"value": 9}},
        {"id": ["d"]},
    ]
    strategy = {"startTime": 1e300, "endTime": True}
    tasks = [
        {"outputAssetId": "b", "params": {"clip": {"clipStrategy": strategy}}, "status": {"retries": float("inf")}},
        {"outputAssetId": {}},
    ]
    survey, _ = drive(KIND.observe([]), [odd, tasks])
    assert {stranger.id for stranger in survey.strangers} == {"a", "b", "c", "['d']"}


# --- lists ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 999, 1000, 1001, 2000, 2500])
def test_every_size_of_list_is_read_whole(count):
    studio, want = Studio(), desired()
    for _ in range(count):
        studio.made(want)
    survey, steps = drive(KIND.observe([]), studio)
    assert len(survey.strangers) == count
    assert all(call.query["limit"] == 1000 and call.query["count"] == "true" for call in calls(steps))
    cursors = [call.query.get("cursor") for call in calls(steps) if call.action == "GET /asset"]
    assert cursors == [None, *(f"skip{skip}" for skip in range(1000, count + 1, 1000))]


def test_the_address_of_a_link_is_never_followed():
    studio = Studio()
    for _ in range(1000):
        studio.made(desired())
    _, steps = drive(KIND.observe([]), studio)
    assert {call.path for call in calls(steps)} == {"/asset", "/task"}


def test_a_list_that_changes_while_it_is_read_is_read_again_and_then_given_up():
    short = Reply([{"id": "a"}], headers={"x-total-count": "2"})
    whole = Reply([{"id": "a"}, {"id": "b"}], headers={"x-total-count": "2"})
    survey, steps = drive(KIND.observe([]), [short, whole, []])
    assert (len(survey.strangers), actions(steps)) == (2, ["GET /asset", "Pause", "GET /asset", "GET /task"])
    with pytest.raises(Unavailable):
        drive(KIND.observe([]), [short] * 5)


def test_a_failed_read_is_never_absence():
    for failure in (Unavailable("down"), Denied("no"), Throttled("slow down"), NotFound("not found")):
        with pytest.raises(type(failure)):
            drive(KIND.observe([ask(desired())]), [failure])
        with pytest.raises(type(failure)):
            drive(KIND.observe([ask(desired())]), [[{"id": "a"}], failure])


# --- changing and deleting --------------------------------------------------------------------------------------------


def test_an_update_sends_name_and_creator_together():
    studio, want = Studio(), desired()
    id = studio.made(want)
    new = desired({**SPEC, "name": "Goal 78, again"})
    _, steps = drive(KIND.update(new, seen(studio, new, entry=entry(want, id)), ["spec.name"]), studio)
    named = {"name": "Goal 78, again", "creatorId": "sports-desk"}
    assert [(call.path, call.body) for call in calls(steps)] == [(f"/asset/{id}", named), (f"/asset/{id}", None)]


@pytest.mark.parametrize(
    ("reads", "pauses"),
    [
        (["Goal 78"], 0),
        (["old", "old", "Goal 78"], 2),
        (["old"] * 5, 5),
        ([Unavailable("no answer")], 0),
        (["old", NotFound("Asset not found")], 1),
    ],
    ids=["at once", "a replica that lags", "one that lags for long", "no answer", "gone"],
)
def test_an_update_is_over_when_a_read_shows_it_and_fails_for_no_read(reads, pauses):
    want = desired({key: value for key, value in SPEC.items() if key != "creatorId"})
    live = Observed(want.address, Presence.LIVE, "a", want.values, stage=Stage.READY)
    shown = [{"id": "a", "name": read, "status": {"phase": "ready"}} if isinstance(read, str) else read for read in reads]
    _, steps = drive(KIND.update(want, live, ["spec.name"]), [{}, *shown])
    assert actions(steps).count("Pause") == pauses


def test_a_removed_creator_is_blanked():
    studio, want = Studio(), desired()
    id = studio.made(want)
    new = desired({key: value for key, value in SPEC.items() if key != "creatorId"})
    live = seen(studio, new, entry=entry(want, id))
    assert changes(new, live) == ["spec.creatorId"]
    _, steps = drive(KIND.update(new, live, ["spec.creatorId"]), studio)
    assert calls(steps)[0].body == {"name": "Goal 78", "creatorId": ""}
    assert changes(new, seen(studio, new, entry=entry(want, id))) == []


def test_an_update_waits_until_the_clip_is_ready():
    studio, want = Studio(), desired()
    id = studio.made(want, "waiting", marked=True)
    studio.phases = ["processing", "ready"]
    live = seen(studio, want, entry=entry(want, id))
    _, steps = drive(KIND.update(want, live, ["spec.name"]), studio)
    assert actions(steps) == ["GET /asset/{id}", "Pause", "GET /asset/{id}", "PATCH /asset/{id}", "GET /asset/{id}"]


DELETED = [
    ("done", Reply(None, status=204), True),
    ("not found", NotFound("Asset not found", status=404), True),
    ("already", Rejected("asset is already deleted", status=400), True),
    ("not ours", Rejected("users may only delete their own assets", status=403), False),
    ("a throttle", Throttled("slow down"), False),
    ("a lost answer", OutcomeUnknown("no answer"), False),
]


@pytest.mark.parametrize(("answer", "fine"), [case[1:] for case in DELETED], ids=[case[0] for case in DELETED])
def test_absent_is_deleted(answer, fine):
    live = Observed(Address("Clip", "x"), Presence.LIVE, id="a/b")
    if fine:
        _, steps = drive(KIND.delete(live), [answer])
        assert [(call.method, call.path, call.repeatable) for call in calls(steps)] == [("DELETE", "/asset/a%2Fb", True)]
    else:
        with pytest.raises(type(answer)):
            drive(KIND.delete(live), [answer])


# --- there and back ---------------------------------------------------------------------------------------------------

names = st.text(st.characters(blacklist_characters="%", blacklist_categories=("Cc", "Cs")), min_size=1, max_size=40)
ids = st.from_regex(r"[0-9a-z]{16}", fullmatch=True)
moments = st.integers(10**12, 4 * 10**12).map(lambda ms: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms))
specs = st.fixed_dictionaries(
    {"playbackId": ids, "start": moments, "end": moments, "name": names}, optional={"sessionId": ids, "creatorId": names}
)


@given(specs)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_what_is_sent_reads_back_the_same(values):
    body = wire.encode(ClipSpec, values)
    asset = {
        "id": "a", "name": body["name"], "status": {"phase": "ready"},
        "creatorId": {"type": "unverified", "value": body.get("creatorId", "")},
        "source": {"playbackId": body["playbackId"], "sessionId": body.get("sessionId")},
    }  # fmt: skip
    strategy = {"startTime": float(body["startTime"]), "endTime": body["endTime"]}
    assert Cut.read(asset, {"params": {"clip": {"clipStrategy": strategy}}}).values == values


@pytest.mark.parametrize("body", [None, {}, {"errors": []}, "ok", 7], ids=str)
def test_an_answer_that_is_no_list_proves_no_absence(body: Any) -> None:
    with pytest.raises(Unavailable, match="GET /asset is no list"):
        drive(KIND.observe([ask(desired())]), lambda _: Reply(body))
