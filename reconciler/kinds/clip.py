"""Clip: a piece cut out of a Livepeer stream's recording, between two instants that have passed.

A clip is an asset; its times stand only in the task that cut it, joined by `outputAssetId`. Nothing is idempotent and nothing carries
labels, so the name holds our fingerprint while the clip is being made. Vendor pages: Create clip, Retrieve assets, Update an asset.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from reconciler import scalars, wire
from reconciler.errors import Denied, NotFound, NotReady, OutcomeUnknown, Rejected, Throttled, Unavailable
from reconciler.kinds._calls import Operation, mapping, present
from reconciler.kinds._clip_list import (
    ASSETS,
    TASKS,
    VENDOR,
    Cut,
    Found,
    Search,
    Session,
    covering,
    cuts_of,
    doubt,
    finite,
    listing,
    remembered,
    same_cut,
    sessions_of,
    working_name,
)
from reconciler.kinds._clip_spec import RULES, ClipSpec
from reconciler.kinds._marks import fingerprint
from reconciler.model import (
    Created,
    Desired,
    Kind,
    Lookup,
    Observed,
    Pause,
    Presence,
    Reply,
    Scheduling,
    Stage,
    Steps,
    Stranger,
    Survey,
    Values,
)

__all__ = ["KIND", "RULES"]

CUT = Operation(VENDOR, "POST /clip", "POST", "/clip")  # three identical ones make three clips
ASSET = Operation(VENDOR, "GET /asset/{id}", "GET", "/asset/{id}", safe=True)
PATCH = Operation(VENDOR, "PATCH /asset/{id}", "PATCH", "/asset/{id}", repeatable=True)
DELETE = Operation(VENDOR, "DELETE /asset/{id}", "DELETE", "/asset/{id}", repeatable=True)
TASK = Operation(VENDOR, "GET /task/{id}", "GET", "/task/{id}", safe=True)
WAITS = (2.0, 3.0, 5.0, 8.0, 12.0, 15.0)  # seconds between looks at a clip in the making; the last one again and again
ORPHAN_LOOK = 3.0  # an asset's task is written right after it, and read from a replica
REPLICA_LOOKS = 5  # reads go to a replica: a new clip may be missing there for some seconds


class Clip(Kind):
    """A piece of a stream's recording, as an asset of its own. It stays when the recording goes."""

    name = "Clip"
    vendor = VENDOR
    spec = ClipSpec
    scheduling = Scheduling.RETROSPECTIVE
    schedule = "none"
    create_first = True  # what it is cut from may be gone by now
    naming = ("spec.start",)
    settle = timedelta(seconds=140)  # no signature ends these requests: 30 s of ours, 90 s in a proxy, 20 s until a replica shows it
    timeout = timedelta(minutes=15)  # the vendor never gives up on a stuck clip
    summary = "cut a piece out of a stream's recording (Livepeer Studio)"

    def canonical(self, spec: ClipSpec, *, name: str) -> Values:
        return {"name": name, **wire.canonical(spec)}

    def identity(self, want: Desired) -> str:
        """`playbackId/sessionId/start-end` in Unix milliseconds; `*` for a session that is still to be found."""
        return _identity(want.values, want.values.get("sessionId"))

    def replaces(self, path: str, want: Desired, live: Observed) -> bool:
        return wire.shape(ClipSpec).marked("replace", path)

    def interrupts(self, path: str) -> bool:
        return False  # a clip is never on air

    # what is done

    def observe(self, ask: Sequence[Lookup]) -> Steps[Survey]:
        streams = {lookup.want.values["playbackId"] if lookup.want else "" for lookup in ask}
        wanted = [{"id": "sourceType", "value": "clip"}]
        if len(streams) == 1 and "" not in streams:
            wanted.append({"id": "sourcePlaybackId", "value": streams.pop()})
        assets = yield from listing(ASSETS, wanted)
        listed = {str(asset.get("id")) for asset in assets}
        missing = [id for lookup in ask for id in remembered(lookup) if id not in listed]
        assets += [mapping(reply.body) for reply in (yield from present([ASSET(id=id) for id in missing]))]
        search = Search(ask, {})
        for look in range(2 if assets else 0):
            if look:
                yield Pause(ORPHAN_LOOK, note="a clip has no task yet")
            search = Search(ask, cuts_of(assets, (yield from listing(TASKS, [{"id": "type", "value": "clip"}]))))
            if not any(one.cut.orphaned for one in search.run().values()):
                break
        found = search.found
        answers = []
        known: dict[str, list[Session] | str] = {}
        for at, lookup in enumerate(ask):
            answers.append(_observed(lookup, found[at]) if at in found else (yield from _absent(lookup, known)))
        marks = frozenset(fingerprint(lookup.workspace, lookup.address, incarnation) for lookup in ask for incarnation in range(1, 9))
        return Survey(answers, [_stranger(cut, marks) for cut in search.free.values()])

    def create(self, want: Desired) -> Steps[str]:
        values = want.values
        session = values.get("sessionId") or covering((yield from sessions_of(values["playbackId"])), want)
        body = wire.encode(ClipSpec, {**values, "sessionId": session, "name": working_name(want)})
        body.pop("creatorId", None)  # not a parameter of this call
        reply: Reply = yield CUT(body)
        answer = mapping(reply.body)
        id, task = mapping(answer.get("asset")).get("id"), mapping(answer.get("task")).get("id")
        if not isinstance(id, str) or not id:
            raise OutcomeUnknown(
                f"{CUT.action} answered without an asset", action=CUT.action, request_id=reply.request_id,
                next_step=f"reconciler refresh {want.address}",
            )  # fmt: skip
        yield Created(id, identity=_identity(values, session))
        yield from _until_ready(id, str(task or ""))
        yield from _patched(id, _patch(want.values))
        return id

    def update(self, want: Desired, live: Observed, fields: Sequence[str]) -> Steps[None]:
        """Name and creator id, together. The vendor takes them from a ready clip only."""
        if live.stage is Stage.MAKING:
            yield from _until_ready(live.id, "")
        yield from _patched(live.id, {"creatorId": "", **_patch(want.values)} if "spec.creatorId" in fields else _patch(want.values))

    def delete(self, live: Observed) -> Steps[None]:
        try:
            yield DELETE(id=live.id)
        except NotFound:
            return
        except Throttled:
            raise
        except Rejected as refused:
            if "already deleted" not in refused.message:
                raise


def _identity(values: Values, session: str | None) -> str:
    return f"{values['playbackId']}/{session or '*'}/{scalars.milliseconds(values['start'])}-{scalars.milliseconds(values['end'])}"


def _patch(values: Values) -> dict[str, Any]:
    return {key: values[key] for key in ("name", "creatorId") if key in values}


def _patched(id: str, body: dict[str, Any]) -> Steps[None]:
    """Writes, and looks until that is to be seen: reads go to a replica. What stays unseen for long was written all the same."""
    yield PATCH(body, id=id)
    for _ in range(REPLICA_LOOKS):
        try:
            reply: Reply = yield ASSET(id=id)
        except (Rejected, Denied, Unavailable):
            return
        shown = Cut.read(mapping(reply.body), None).values
        if all(shown.get(key, "") == value for key, value in body.items()):
            return
        yield Pause(WAITS[0], note="what was written is not to be seen yet")


def _until_ready(id: str, task: str) -> Steps[None]:
    """Looks at a clip in the making until it is ready. Raises NotReady, with the vendor's reason, when its making failed."""
    missing = 0
    for look in range(10**6):
        try:
            reply: Reply = yield ASSET(id=id)
        except NotFound as gone:
            missing += 1
            if missing > REPLICA_LOOKS:
                raise NotReady(f"clip {id} was deleted while it was being made", code="Gone", action=ASSET.action) from gone
            yield Pause(WAITS[min(look, len(WAITS) - 1)], note="the clip is not to be seen yet")
            continue
        cut = Cut.read(mapping(reply.body), None)
        if cut.stage is Stage.READY:
            return
        if cut.stage is Stage.FAILED:
            raise (yield from _failure(cut, task))
        note = "the clip is being cut" if cut.stage is Stage.MAKING else f"the clip's phase {cut.phase!r} is not one we know"
        yield Pause(WAITS[min(look, len(WAITS) - 1)], progress=cut.progress, note=note)


def _failure(cut: Cut, task: str) -> Steps[NotReady]:
    """Why the making failed, in the vendor's words; its task tells how often it was tried."""
    tried, message = "", cut.message
    if task:
        try:
            reply: Reply = yield TASK(id=task)
        except (Rejected, Denied, Unavailable):
            pass  # the asset said enough
        else:
            status = mapping(mapping(reply.body).get("status"))
            message = message or str(status.get("errorMessage") or "")
            retries = int(finite(status.get("retries")) or 0)
            tried = f", tried {retries + 1} times" if retries else ""
    return NotReady(
        f"clip {cut.id} could not be cut{tried}: {message or 'the vendor does not say why'}", code="Failed", action=ASSET.action,
        next_step="reconciler apply",
    )  # fmt: skip


def _observed(lookup: Lookup, found: Found) -> Observed:
    cut, want = found.cut, lookup.want
    values, unread = dict(cut.values), set[str]()
    declared = want.values if want else lookup.entry.applied if lookup.entry else None
    if declared is not None and "sessionId" not in declared:
        values.pop("sessionId", None)  # whichever it was cut from is right
    for name in ("playbackId", "sessionId", "start", "end"):
        if name not in values and (declared is None or name in declared):
            unread.add(name)  # its task is gone or not to be seen yet, or was cut without an end
    stage = Stage.FAILED if cut.orphaned else cut.stage
    unnamed = cut.name.endswith(" " + fingerprint(lookup.workspace, lookup.address, lookup.incarnation))
    if stage is Stage.READY and unnamed:
        stage = Stage.MAKING  # our part of it is still to be done
    if stage is not Stage.READY:
        for name in ("name", "creatorId"):  # settled once it is ready: until then the name carries our mark
            values.pop(name, None)
            unread.add(name)
    tried = f" (tried {cut.retries + 1} times)" if cut.retries else ""
    why = "the vendor left it without a task" if cut.orphaned else cut.message or "the vendor does not say why"
    detail = {Stage.FAILED: why + tried, Stage.NONE: f"its phase {cut.phase!r} is not one we know"}
    if cut.stage is Stage.READY and unnamed:
        detail[Stage.MAKING] = "cut, and not named yet"
    return Observed(
        lookup.address,
        cut.presence,
        id=cut.id,
        values=values,
        unread=frozenset(unread),
        stage=stage,
        match=found.match,
        also=tuple(other.id for other in found.others),
        same_body=bool(found.others) and all(same_cut(cut.values, other) for other in found.others),
        progress=cut.progress if cut.stage is Stage.MAKING else None,
        detail=detail.get(stage, ""),
        warnings=(cut.short,) if cut.short else (),
        identity=_identity(cut.values, cut.values.get("sessionId")) if {"playbackId", "start", "end"} <= cut.values.keys() else "",
    )


def _absent(lookup: Lookup, known: dict[str, list[Session] | str]) -> Steps[Observed]:
    """Nothing is there; says early what is wrong with the sessions. `known` holds them by stream, or why not."""
    want = lookup.want
    if want is None:
        return Observed(lookup.address, Presence.ABSENT)
    stream = want.values["playbackId"]
    if stream not in known:
        try:
            known[stream] = yield from sessions_of(stream)
        except Rejected as refused:
            known[stream] = refused.message
        except (Denied, Unavailable):
            known[stream] = []  # a key that may only read clips, or a list that does not come: create will tell
    sessions = known[stream]
    warning = sessions if isinstance(sessions, str) else doubt(sessions, want)
    return Observed(lookup.address, Presence.ABSENT, warnings=(warning,) if warning else ())


def _stranger(cut: Cut, marks: frozenset[str]) -> Stranger:
    return Stranger(Clip.name, cut.id, cut.name, stage=cut.stage, ours=cut.name.rpartition(" ")[2] in marks, values=cut.values)


KIND = Clip()
