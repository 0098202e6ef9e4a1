"""Both RTC kinds against the emulator, over every value of every behaviour that the vendor leaves undocumented.

The real client and the real courier send what the kinds ask for; the emulator was written from the contract alone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler import diff
from reconciler.errors import NotReady, Rejected
from reconciler.kinds import recording_session, segment_session
from reconciler.model import Address, Desired, Entry, Lookup, Observed, Place, Presence, Secret, Stage, Values
from tests.kinds import scene
from tests.kinds import test_recording_session as record
from tests.kinds import test_segment_session as segment

RECORD, SEGMENT = recording_session.KIND, segment_session.KIND
CUSTOM_STORE = {
    "custom": {"vendor": "aliyunOss", "region": "us-east-1", "bucket": "b", "accessKey": Secret("AK"), "secretKey": Secret("SK")}
}
RECORDS = [*(case.values[0] for case in record.BODIES), record.custom(), record.spec(storage=CUSTOM_STORE)]
SEGMENTS = [segment.spec(), segment.FULL, segment.spec(storage=CUSTOM_STORE)]
CASES = [*((RECORD, manifest) for manifest in RECORDS), *((SEGMENT, manifest) for manifest in SEGMENTS)]

SWITCHES: dict[str, list[str]] = {
    "already_started": ["result", "error_code", "error_message"],
    "update_semantics": ["patch", "reset"],
    "illegal_values": ["reject", "default"],
    "segment_secrets": ["plain", "masked", "absent"],
    "get_not_found": ["error", "null", "zero", "absent"],
    "failure_result": ["absent", "null", "empty", "object"],
    "error_status": ["http", "200"],
    "status_before_stream": ["1", "2"],
    "unlisted_room": ["publishing", "silent"],
    "start_delay": ["5"],
    "drain": ["7"],
    "get_lag": ["3"],
    "clock_offset": ["50", "-50"],
    "signed_host": ["required"],
}


class Scene(scene.Scene):
    """With one address, asked for by its names."""

    deadline = 60.0

    def __init__(self, kind: Any, **switches: str) -> None:
        super().__init__(kind, "rtc", "2026-01-01T12:00:00Z", **switches)
        self.address = Address(kind.name, "town-hall")

    def want(self, manifest: dict[str, Any], incarnation: int = 1) -> Desired:
        values = self.kind.canonical(self.kind.spec.model_validate(manifest), name="town-hall")
        return Desired(self.address, values, Place("a.yaml"), incarnation=incarnation)

    def see(self, want: Desired | None, entry: Entry | None = None) -> Observed:
        survey = self.courier.run(self.kind.observe([Lookup(self.address, "ws", want, entry)]))
        return survey.answers[0]

    def owned(self, want: Desired, id: str) -> Entry:
        applied = diff.sealed(want.values, segment.seal)
        return Entry(self.address, "default", id, id, want.incarnation, applied, started=self.clock.now())


def differences(want: Desired, seen: Observed, applied: Values | None) -> list[str]:
    found = diff.differences(want.values, seen.values, seal=segment.seal, unread=seen.unread, applied=applied)
    return [one.path for one in found]


@pytest.mark.parametrize(("switch", "value"), [(switch, value) for switch, values in SWITCHES.items() for value in values])
def test_a_life_however_the_vendor_behaves(switch, value):
    for kind, manifest in CASES:
        at = Scene(kind, **{switch: value})
        want = at.want(manifest)
        assert at.see(want).presence is Presence.ABSENT

        id = at.do(kind.create(want))
        assert at.notes.ids == [id]
        entry = at.owned(want, id)
        seen = at.see(want, entry)
        assert seen.presence is Presence.LIVE
        assert differences(want, seen, entry.applied) == []

        with pytest.raises(Rejected, match="is running already"):
            at.do(kind.create(want))

        _change_in_place(at, manifest, seen, id)

        at.do(kind.stop(seen))
        assert at.see(want, entry).stage is Stage.ENDED
        at.do(kind.delete(seen))  # again: absent is success
        assert at.do(kind.create(at.want(manifest, 2))) == f"{id}.2"

        at.clock.sleep(73 * 3600)
        hidden = at.see(want, entry)
        assert (hidden.presence, hidden.started) == (Presence.ABSENT, entry.started)


def _change_in_place(at: Scene, manifest: dict[str, Any], seen: Observed, id: str) -> None:
    """A change that Update takes, where the manifest leaves one possible; afterwards nothing differs."""
    layout = manifest.get("layout", {})
    if at.kind is SEGMENT:
        changed, path = at.want({**manifest, "sliceDuration": 99}), "spec.sliceDuration"
    elif layout.get("mode") == "custom":
        canvas = {**layout.get("canvas", {}), "background": "#123456"}
        changed, path = at.want({**manifest, "layout": {**layout, "canvas": canvas}}), "spec.layout.canvas.background"
    else:
        return
    known = replace(seen, values=diff.filled(seen.values, unread=seen.unread, applied=at.want(manifest).values))
    assert differences(changed, seen, at.owned(at.want(manifest), id).applied) == [path]
    assert not at.kind.replaces(path, changed, known)
    at.do(at.kind.update(changed, seen, [path]))
    entry = at.owned(changed, id)
    assert differences(changed, at.see(changed, entry), entry.applied) == []


@pytest.mark.parametrize("kind", [RECORD, SEGMENT], ids=["record", "segment"])
def test_a_start_that_fails_later_is_not_ready(kind):
    at = Scene(kind, start_failure="on")
    manifest = record.spec() if kind is RECORD else segment.spec()
    with pytest.raises(NotReady, match="StartTaskFailed"):
        at.do(kind.create(at.want(manifest)))
    assert len(at.notes.ids) == 1


@pytest.mark.parametrize("kind", [RECORD, SEGMENT], ids=["record", "segment"])
def test_a_task_that_never_drains_is_not_ready_in_time(kind):
    at = Scene(kind, drain="3600")
    manifest = record.spec() if kind is RECORD else segment.spec()
    want = at.want(manifest)
    id = at.do(kind.create(want))
    with pytest.raises(NotReady, match="waiting for the task to end"):
        at.do(kind.stop(at.see(want, at.owned(want, id))))
