"""RelayTask and Clip against the emulator, over every value of every behaviour that the vendors leave undocumented.

The real clients and the real courier send what the kinds ask for; the emulator was written from the contracts alone.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from reconciler import diff
from reconciler.emulator.livepeer_fixtures import LIVE_SESSION, PLAYBACK_ID
from reconciler.errors import NotReady, OutcomeUnknown, Rejected
from reconciler.kinds import clip, relay_task
from reconciler.model import (
    Address,
    Call,
    Desired,
    Entry,
    Intent,
    Lookup,
    Match,
    Observed,
    Place,
    Presence,
    Stage,
    Survey,
    Verb,
)

from . import scene
from . import test_relay_task as relay

RELAY, CLIP = relay_task.KIND, clip.KIND
NOW = "2026-11-30T23:00:00Z"  # an hour before relay.START


class Scene(scene.Scene):
    """With what is asked of objects that a list tells of."""

    def survey(self, want: Desired | None, **more: Any) -> Survey:
        survey: Survey = self.courier.run(self.kind.observe([Lookup(want.address if want else Address("X", "x"), "default", want, **more)]))
        return survey

    def see(self, want: Desired, **more: Any) -> Observed:
        return self.survey(want, **more).answers[0]

    def owned(self, want: Desired, id: str) -> Entry:
        applied = diff.sealed(want.values, relay.seal)
        return Entry(want.address, "default", id, self.kind.identity(want), want.incarnation, applied, want.window)

    def differences(self, want: Desired, entry: Entry | None = None) -> list[str]:
        seen = self.see(want, entry=entry)
        assert seen.presence is Presence.LIVE
        found = diff.differences(want.values, seen.values, seal=relay.seal, unread=seen.unread, applied=entry.applied if entry else None)
        return [one.path for one in found]


# --- relay tasks ------------------------------------------------------------------------------------------------------

LIVE_SWITCHES = {
    "update_semantics": ["replace", "merge"], "null_style": ["null", "absent", "zero", "omitted"], "list_empty": ["array", "null", "absent"],
    "result_style": ["absent", "null", "empty", "object"], "time_style": ["+08:00", "Z", "untold"], "echo_watermark": ["full", "absent", "hosted"],
    "float32": ["on", "off"], "vod_echo": ["sent", "vod", "legacy", "both"], "cycle_echo": ["sent", "cycle", "play"],
    "dst_echo": ["plain", "query"], "dst_query": ["kept", "masked", "quoted"], "v2_present": ["no"], "restart_present": ["no"],
    "continue_present": ["no"], "delete_running": ["refuse"], "not_found": ["400"], "wrong_state": ["400", "ok"], "stopped_after_end": ["stopped", "ended"],
    "list_order": ["newest", "oldest", "title", "start"], "extra_fields": ["on"], "echo_version": ["2020-08-01"],
    "signed_host": ["required"], "clock_offset": ["50", "-50"],
}  # fmt: skip
MANIFESTS = [
    relay.LIVE,
    relay.VOD,
    {**relay.LIVE, "source": {"files": [{"url": "https://v.example.com/a.mp4", "startOffset": 30}], "loop": "forever"}},
    {**relay.LIVE, "destination": {"url": "rtmps://push.example.com/live/s?key=K1"}, "watermark": {**relay.VOD["watermark"], "x": 0.1}},
]


def live(**switches: str) -> Scene:
    return Scene(RELAY, "live", NOW, **switches)


@pytest.mark.parametrize(("switch", "value"), [(switch, value) for switch, values in LIVE_SWITCHES.items() for value in values])
@pytest.mark.parametrize("manifest", MANIFESTS, ids=["live source", "everything", "for ever", "rtmps"])
def test_the_life_of_a_relay_however_the_vendor_behaves(manifest, switch, value):
    at, want = live(**{switch: value}), relay.desired(manifest)
    assert at.see(want).presence is Presence.ABSENT

    id = at.do(RELAY.create(want))
    assert at.notes.ids == [id]
    entry = at.owned(want, id)
    assert at.differences(want, entry) == []
    seen = at.see(want, entry=entry)
    told = None if value == "untold" else want.window
    assert (seen.stage, seen.match, seen.window) == (Stage.WAITING, Match.LEDGER, told)
    assert at.see(want).match is (Match.TWIN if "title" in manifest else Match.MARK), "the ledger was lost"

    changed = relay.desired({**manifest, "callbackUrl": "https://ops.example.com/other", "destination": relay.LIVE["destination"]})
    at.do(RELAY.update(changed, seen, ["spec.callbackUrl", "spec.destination"]))
    entry = at.owned(changed, id)
    assert at.differences(changed, entry) == []

    cleared = relay.desired({key: part for key, part in manifest.items() if key != "callbackUrl"})
    at.do(RELAY.update(cleared, at.see(cleared, entry=entry), ["spec.callbackUrl"]))
    entry = at.owned(cleared, id)
    assert at.differences(cleared, entry) == []

    at.do(RELAY.stop(at.see(cleared, entry=entry)))
    assert at.see(cleared, entry=entry).stage is Stage.STOPPED
    assert at.differences(cleared, entry) == ["spec.enabled"]
    at.do(RELAY.stop(at.see(cleared, entry=entry)))  # once more does no harm
    at.do(RELAY.start(cleared, at.see(cleared, entry=entry)))
    at.clock.sleep(2 * 3600)
    seen = at.see(cleared, entry=entry)
    assert (seen.presence, seen.stage, seen.started) == (Presence.LIVE, Stage.ON_AIR, told and told.start)
    at.do(RELAY.delete(seen))
    assert at.see(cleared, entry=entry).presence is Presence.ABSENT
    at.do(RELAY.delete(seen))


def test_neither_continue_nor_restart_is_said_so():
    at, want = live(continue_present="no", restart_present="no"), relay.desired(relay.LIVE)
    at.do(RELAY.create(want))
    at.do(RELAY.stop(at.see(want)))
    with pytest.raises(Rejected) as refused:
        at.do(RELAY.start(want, at.see(want)))
    assert refused.value.code == "InvalidActionOrVersion"


def test_what_the_vendor_will_not_clear_is_said_and_not_tried_for_ever():
    at, want = live(update_semantics="merge", empty_clears="no"), relay.desired({**relay.LIVE, "callbackUrl": "https://o.example.com/"})
    at.do(RELAY.create(want))
    cleared = relay.desired(relay.LIVE)
    with pytest.raises(Rejected, match="callbackUrl"):
        at.do(RELAY.update(cleared, at.see(cleared), ["spec.callbackUrl"]))


def test_a_relay_that_is_off_is_never_left_running():
    at, want = live(), relay.desired({**relay.LIVE, "enabled": False})
    at.do(RELAY.create(want))
    assert at.differences(want) == []
    at.clock.sleep(3601)
    assert at.see(want).stage is Stage.STOPPED


def test_a_relay_ends_by_itself():
    at, want = live(), relay.desired(relay.LIVE)
    at.do(RELAY.create(want))
    at.clock.sleep(4 * 3600)
    assert at.see(want).presence is Presence.ENDED


def test_a_play_list_joined_late_is_updated_without_starting_over():
    at, want = live(), relay.desired(relay.VOD)
    at.clock.sleep(3600 + 600)
    late = RELAY.joined(want, relay.START + timedelta(seconds=600))
    id = at.do(RELAY.create(late))
    entry = at.owned(want, id)
    assert at.differences(late, entry) == []
    changed = relay.desired({**relay.VOD, "callbackUrl": "https://ops.example.com/other"})
    at.do(RELAY.update(changed, at.see(changed, entry=entry), ["spec.callbackUrl"]))
    assert at.differences(RELAY.joined(changed, relay.START + timedelta(seconds=600)), entry) == []
    assert at.see(changed, entry=entry).window == late.window


def test_a_lost_answer_is_found_again_by_its_mark():
    at, want = live(), relay.desired(relay.LIVE)
    fault(at, "CreatePullToPushTask", "after", "reset")
    with pytest.raises(OutcomeUnknown):
        at.do(RELAY.create(want))
    seen = at.see(want, intent=relay.intent(want))
    assert (seen.match, seen.also) == (Match.MARK, ())
    titled = relay.desired({**relay.LIVE, "title": "evening"}, name="evening")
    fault(at, "CreatePullToPushTask", "after", "500")
    with pytest.raises(OutcomeUnknown):
        at.do(RELAY.create(titled))
    assert at.see(titled, intent=relay.intent(titled)).match is Match.MARK
    assert at.see(titled).match is Match.TWIN


def fault(at: Scene, action: str, when: str, kind: str) -> None:
    at.world.faults.add([{"action": action, "when": when, "fault": kind}])


@pytest.mark.parametrize("count", [0, 499, 500, 501, 1203])
@pytest.mark.parametrize("v2", ["yes", "no"])
def test_lists_of_every_size_are_read_whole(count, v2):
    at = live(v2_present=v2, rate_limits="off")
    for number in range(count):
        at.do(RELAY.create(relay.desired(relay.LIVE, name=f"n-{number}")))
    assert len(at.survey(None).strangers) == count


# --- clips ------------------------------------------------------------------------------------------------------------

CUT_AT = "2026-11-20T14:00:00Z"
CLIP_SWITCHES = {
    "queue_seconds": ["0", "60"], "clip_seconds": ["1", "300"], "replica_lag_seconds": ["0", "4"], "source_playback": ["on", "off"],
    "ready_hash": ["null", "absent", "present"], "link_scheme": ["http", "https"], "playback_cache": ["off"],
}  # fmt: skip


def studio(**switches: str) -> Scene:
    return Scene(CLIP, "livepeer", CUT_AT, **switches)


def piece(**more: Any) -> Desired:
    spec = {"playbackId": PLAYBACK_ID, "start": "2026-11-20T21:14:05+08:00", "end": "2026-11-20T21:14:35+08:00", "name": "Goal 78", **more}
    return Desired(Address("Clip", "goal-78"), CLIP.canonical(clip.ClipSpec.model_validate(spec), name="goal-78"), Place("a.yaml"))


@pytest.mark.parametrize(("switch", "value"), [(switch, value) for switch, values in CLIP_SWITCHES.items() for value in values])
@pytest.mark.parametrize("pinned", [True, False])
def test_the_life_of_a_clip_however_the_vendor_behaves(pinned, switch, value):
    at = studio(**{switch: value})
    more = {"sessionId": LIVE_SESSION} if pinned else {}
    want = piece(creatorId="sports-desk", **more)
    assert at.see(want) == Observed(want.address, Presence.ABSENT)

    id = at.do(CLIP.create(want))
    assert at.notes.ids == [id]
    at.clock.sleep(10)  # past the replica's lag
    entry = at.owned(want, id)
    seen = at.see(want, entry=entry)
    assert (seen.stage, seen.match, seen.warnings) == (Stage.READY, Match.LEDGER, ())
    assert at.differences(want, entry) == []

    renamed = piece(name="Goal 78, again", **more)
    assert at.differences(renamed, entry) == ["spec.name", "spec.creatorId"]
    at.do(CLIP.update(renamed, seen, ["spec.name", "spec.creatorId"]))
    at.clock.sleep(10)
    assert at.differences(renamed, entry) == []
    at.do(CLIP.delete(seen))
    at.clock.sleep(10)
    assert at.see(renamed, entry=entry).presence is Presence.ABSENT
    at.do(CLIP.delete(seen))


def test_a_failed_clip_says_why_and_stays_to_be_replaced():
    at, want = studio(clip_outcome="failed"), piece()
    with pytest.raises(NotReady, match="could not be cut"):
        at.do(CLIP.create(want))
    (id,) = at.notes.ids
    seen = at.see(want, entry=at.owned(want, id))
    assert (seen.presence, seen.stage) == (Presence.LIVE, Stage.FAILED)
    assert seen.detail


def test_a_clip_that_is_stuck_runs_into_the_deadline():
    at, want = studio(clip_outcome="stuck-processing"), piece()
    with pytest.raises(NotReady, match="not ready in time"):
        at.do(CLIP.create(want))
    assert at.see(want, entry=at.owned(want, at.notes.ids[0])).stage is Stage.MAKING


def test_a_lost_clip_is_found_again_by_its_mark_even_when_its_task_is_missing():
    at, want = studio(create_crash="before-task"), piece()
    with pytest.raises(OutcomeUnknown):
        at.do(CLIP.create(want))
    intent = Intent(
        "i", want.address, "default", Verb.CREATE, "POST /clip", CLIP.identity(want), 1, at.clock.now(), at.clock.now(), desired=want.values
    )
    seen = at.see(want, intent=intent)
    assert (seen.match, seen.stage) == (Match.MARK, Stage.FAILED), "nobody will ever make it: it is to be replaced"
    at.do(CLIP.delete(seen))
    assert at.see(want, intent=intent).presence is Presence.ABSENT


def test_a_clip_past_its_recording_is_a_warning():
    at = Scene(CLIP, "livepeer", "2026-11-20T13:14:20Z")  # before its end: nobody should ask yet
    want = piece(sessionId=LIVE_SESSION)
    id = at.do(CLIP.create(want))
    seen = at.see(want, entry=at.owned(want, id))
    assert "its window leaves the recording" in seen.warnings[0]
    assert at.differences(want, at.owned(want, id)) == []


def test_the_sixth_clip_waits_until_the_vendor_has_time():
    at = studio(clip_seconds="30")
    started = at.clock.monotonic()
    for number in range(6):
        body = {"playbackId": PLAYBACK_ID, "sessionId": LIVE_SESSION, "startTime": 1795180445000 + number, "endTime": 1795180475000}
        at.courier.run(_sent(clip.CUT(body)), journal=at.notes)  # type: ignore[arg-type]
    assert at.clock.monotonic() > started


def _sent(call: Call) -> Any:
    yield call
