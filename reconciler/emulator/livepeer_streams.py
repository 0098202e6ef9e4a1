"""Streams, sessions, playback and account of Livepeer Studio: what a client reads around its clips."""

from __future__ import annotations

from typing import Any

from reconciler.emulator.livepeer_rows import (
    Row,
    Store,
    page,
    sort,
)
from reconciler.emulator.livepeer_views import (
    asset_by_playback_id,
    hls,
    public,
    recording,
    recording_url,
    session_now,
    session_shown,
    sources,
    stream_by_playback_id,
    stream_shown,
    with_project,
)
from reconciler.emulator.livepeer_visit import Refusal, Visit, page_of

# -- sessions ----------------------------------------------------------------------------------------------------------


def list_sessions(visit: Visit) -> tuple[int, Any]:
    parent = visit.query.get("parentId")
    rows = (
        session_now(visit, row)
        for row in visit.store.all("session")
        if visit.me.sees(row) and row.get("deleted") is False and (not parent or row["parentId"] == parent)
    )
    found = page_of(visit, rows, "session", joined=True)
    shown = []
    for row in found.rows:
        stream = visit.store.get("stream", row["parentId"])
        embedded = {} if stream is None else {"parentStream": public(stream)}
        shown.append(with_project(visit, session_shown(visit, row) | embedded))
    return 200, shown


def get_session(visit: Visit) -> tuple[int, Any]:
    session = visit.store.get("session", visit.arg)
    if session is None or session.get("deleted") or not visit.me.sees(session):
        raise Refusal(404, "not found")
    shown = session_shown(visit, session)
    if visit.query.get("sourceRecording") == "true":
        shown["sourceRecordingUrl"] = recording_url(session)
    return 200, with_project(visit, shown)


def sessions_of_stream(visit: Visit) -> tuple[int, Any]:
    """No Link header, only sessions that carried media; shows `version` and `deleted`, unlike the other routes."""
    stream = _own_stream(visit, visit.store.get("stream", visit.arg))
    record = visit.query.get("record")
    wanted = {"true": True, "1": True, "false": False, "0": False}.get(record or "")
    rows = [
        row
        for row in (session_now(visit, each) for each in visit.store.all("session"))
        if row["parentId"] == stream["id"]
        and row["lastSeen"] > 0
        and row["sourceSegmentsDuration"] >= 1
        and (wanted is None or bool(row["record"]) is wanted)
    ]
    fields = visit.world.spec("livepeer").raw["lists"]["session"]["fields"]
    narrowed = {name: visit.query.get(name, "") for name in ("limit", "cursor")}
    found = page(sort(rows, "lastSeen-true", fields), narrowed, fields=fields, order="lastSeen-true")
    hidden = {"recordObjectStoreId"}
    shown = [stream_shown({**row, **recording(visit, row)}) for row in found.rows]
    return 200, [with_project(visit, {name: value for name, value in row.items() if name not in hidden}) for row in shown]


# -- streams -----------------------------------------------------------------------------------------------------------


def list_streams(visit: Visit) -> tuple[int, Any]:
    active = visit.query.get("active", "false") != "false"
    rows = (row for row in visit.store.all("stream") if visit.me.sees(row) and "deleted" not in row and (not active or row.get("isActive")))
    found = page_of(visit, rows, "stream", joined=True)
    return 200, [with_project(visit, stream_shown(row)) for row in found.rows]


def get_stream(visit: Visit) -> tuple[int, Any]:
    return 200, with_project(visit, stream_shown(_own_stream(visit, visit.store.get("stream", visit.arg))))


def get_stream_by_playback_id(visit: Visit) -> tuple[int, Any]:
    stream = _own_stream(visit, stream_by_playback_id(visit.store, visit.arg))
    return 200, with_project(visit, stream_shown(stream))


def _own_stream(visit: Visit, stream: Row | None) -> Row:
    if stream is None or stream.get("deleted") or not visit.me.sees(stream):
        raise Refusal(404, "not found")
    return stream


# -- playback and account ----------------------------------------------------------------------------------------------


def get_playback(visit: Visit) -> tuple[int, Any]:
    """The one route without a key; what it found is remembered, for 5 s while an asset is not ready, else for 120 s."""
    kind, row = _playable(visit)
    if kind == "asset":
        if row["status"]["phase"] != "ready" and not row.get("sourcePlaybackReady"):
            raise Refusal(422, "asset is not ready for playback")
        return 200, {"type": "vod", "meta": {"playbackPolicy": row.get("playbackPolicy"), "source": sources(row)}}
    if kind == "stream":
        url = f"https://playback.emulator.invalid/hls/{row['playbackId']}/index.m3u8"
        policy = {"playbackPolicy": row["playbackPolicy"]} if "playbackPolicy" in row else {}
        return 200, {"type": "live", "meta": {"live": int(bool(row.get("isActive"))), **policy, "source": [hls(url)]}}
    recorded = recording(visit, row) if kind == "session" else {}
    if "recordingUrl" in recorded:
        return 200, {"type": "recording", "meta": {"source": [hls(recorded["recordingUrl"])]}}
    raise Refusal(404, f"No playback URL found for {visit.arg}", code="No playback URL found for <id>")


def _playable(visit: Visit) -> tuple[str, Row]:
    cache = visit.store.data["playback"]
    slot = f"{visit.arg}/{visit.caller.user['id'] if visit.caller else ''}"
    remembered = cache.get(slot)
    if remembered and remembered["until"] > visit.now and visit.world.switch("livepeer.playback_cache") == "on":
        return remembered["kind"], remembered["row"]
    kind, row = _resource(visit.store, visit.arg)
    seconds = 5 if kind == "asset" and row["status"]["phase"] != "ready" else 120
    cache[slot] = {"until": visit.now + seconds * 1000, "kind": kind, "row": row}
    return kind, row


def _resource(store: Store, wanted: str) -> tuple[str, Row]:
    stream = stream_by_playback_id(store, wanted)
    if stream is not None and not stream.get("deleted") and not stream.get("suspended"):
        return "stream", stream
    asset = asset_by_playback_id(store, wanted)
    if asset is not None and not asset.get("deleted"):
        return "asset", asset
    session = store.get("session", wanted)
    if session is not None and not session.get("deleted"):
        return "session", session
    return "", {}


def get_me(visit: Visit) -> tuple[int, Any]:
    names = ("id", "email", "createdAt", "emailValid", "defaultProjectId")
    return 200, {name: visit.user[name] for name in names if name in visit.user}


def list_projects(visit: Visit) -> tuple[int, Any]:
    return 200, [row for row in visit.store.all("project") if row["userId"] == visit.user["id"]]
