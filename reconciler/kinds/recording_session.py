"""RecordingSession: a cloud recording of an RTC room (Volcengine RTC StartRecord, UpdateRecord, StopRecord, GetRecordTask).

GetRecordTask tells whether it runs and nothing of how it was configured, so every comparison rests on the ledger.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from reconciler import wire
from reconciler.kinds._calls import Operation
from reconciler.kinds._recording_doubts import doubts
from reconciler.kinds._recording_spec import RULES, Canvas, RecordingSpec
from reconciler.kinds._rtc import VENDOR, Identity, Session
from reconciler.kinds._rtc_spec import name_region, plain_stream, stream_set
from reconciler.model import EVERYTHING, Desired, Diagnostic, Lookup, Observed, Steps, Values

__all__ = ["KIND", "RULES"]

START = Operation(VENDOR, "StartRecord", pace=60)
UPDATE = Operation(VENDOR, "UpdateRecord", pace=60)  # a late first sending could undo a later update, and no read would tell
STOP = Operation(VENDOR, "StopRecord", pace=60, repeatable=True)
GET = Operation(VENDOR, "GetRecordTask", method="GET", pace=60, safe=True)

_FORMATS = ("mp4", "hls", "flv", "mp3", "aac", "m4a")  # a set, in the order of the vendor's page
_ADJUSTABLE = ("streams", "layout.canvas.background", "layout.canvas.backgroundImage", "layout.regions")


class RecordingSession(Session):
    name = "RecordingSession"
    spec: ClassVar[type[RecordingSpec]] = RecordingSpec
    summary = "a cloud recording of an RTC room"

    begin, change, end, look = START, UPDATE, STOP, GET
    task_key = "RecordTask"

    def canonical(self, spec: RecordingSpec, *, name: str) -> Values:
        values = wire.canonical(spec)
        values.setdefault("taskId", name)
        if values["mode"] == "mixed":
            values["layout"] = _canonical_layout(values.get("layout", {"mode": "adaptive"}))
        custom = values.get("layout", {}).get("mode") == "custom"
        if values["mode"] == "mixed" and not custom:
            values["encode"]["video"] = {"width": 640, "height": 480} | values["encode"]["video"]
        if "streams" in values:
            by_index = sorted(({"index": 0} | stream for stream in values["streams"]), key=lambda stream: int(stream["index"]))
            values["streams"] = by_index if custom else stream_set(values["streams"])
        if "excludeStreams" in values:
            values["excludeStreams"] = stream_set(values["excludeStreams"])
        if "files" in values:
            values["files"] = {key: value for key, value in values["files"].items() if value}
            if "formats" in values["files"]:
                values["files"]["formats"] = sorted(values["files"]["formats"], key=_FORMATS.index)
        for key in ("streams", "excludeStreams", "files"):
            if not values.get(key, True):
                del values[key]  # an empty list says what none says
        name_region(values)
        return values

    def vet(self, want: Desired) -> Iterator[Diagnostic]:
        return doubts(want)

    def body(self, want: Desired) -> dict[str, Any]:
        body = super().body(want)
        if want.values["mode"] != "single":
            body["Control"].pop("MaxSilenceSeconds", None)  # without effect, says one page; for single mode only, says the other
        return body

    def replaces(self, path: str, want: Desired, live: Observed) -> bool:
        """UpdateRecord takes streams, backgrounds and regions, and only of a mixed recording in a custom layout, before and after."""
        if path.startswith("schedule.") or _without_effect(path, want, live):
            return False
        adjustable = any(f"{path.removeprefix('spec.')}.".startswith(f"{one}.") for one in _ADJUSTABLE)
        return not (adjustable and _adjustable(want.values) and _adjustable(live.values))

    def update(self, want: Desired, live: Observed, fields: Sequence[str]) -> Steps[None]:
        """Sends all that UpdateRecord takes, whichever part differs: whether it resets what is left out is not documented."""
        if fields and all(path.startswith("schedule.") or _without_effect(path, want, live) for path in fields):
            return
        identity = Identity.parse(live.id) or self._wanted(want)
        body = self.body(want)
        layout = body["Layout"]
        layout["CustomLayout"]["Canvas"].setdefault("BackgroundImage", "")
        sent = {key: body[key] for key in ("BusinessId", "TargetStreams") if key in body}
        yield self.change({**identity.names, **sent, "Layout": layout})

    def _configuration(self, task: Mapping[str, Any], identity: Identity, base: str, lookup: Lookup) -> tuple[Values, frozenset[str]]:
        return {}, EVERYTHING


def _canonical_layout(layout: dict[str, Any]) -> dict[str, Any]:
    if layout["mode"] == "custom":
        return {"mode": "custom", "canvas": layout.get("canvas") or wire.canonical(Canvas.model_construct()), "regions": layout["regions"]}
    if "mainStream" in layout:
        layout["mainStream"] = plain_stream(layout["mainStream"])
    return layout


def _without_effect(path: str, want: Desired, live: Observed) -> bool:
    """Whether nothing comes of the field: a mix knows no maxSilence, a custom layout takes its size from the canvas."""
    if path == "spec.control.maxSilence":
        return want.values.get("mode") == live.values.get("mode") == "mixed"
    return path in ("spec.encode.video.width", "spec.encode.video.height") and _adjustable(want.values) and _adjustable(live.values)


def _adjustable(values: Values) -> bool:
    return values.get("mode") == "mixed" and values.get("layout", {}).get("mode") == "custom"


KIND = RecordingSession()
