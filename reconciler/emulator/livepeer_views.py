"""How Livepeer Studio shows its rows: assets clean or raw, sessions with their recording, streams with defaults."""

from __future__ import annotations

from reconciler.emulator.livepeer_rows import (
    Row,
    Store,
)
from reconciler.emulator.livepeer_visit import Visit

SESSION_TIMEOUT_MS = 5 * 60 * 1000
RECORDINGS = "https://recordings.emulator.invalid"
VIDEOS = "https://videos.emulator.invalid"
_WRITE_ONLY = frozenset({"objectStoreId", "files", "sourcePlaybackReady", "playbackRecordingId"})
_SESSION_PRIVATE = frozenset({"recordObjectStoreId", "version", "deleted", "broadcasterHost"})


# -- assets ------------------------------------------------------------------------------------------------------------


def clean(asset: Row, *, details: bool = False) -> Row:
    """An asset as clients see it: without the database's own members, with the addresses to play it at."""
    shown = {name: value for name, value in asset.items() if name not in _WRITE_ONLY}
    if not asset.get("deleted"):
        if asset["status"]["phase"] == "ready":
            shown["downloadUrl"] = _download_url(asset)
        if any(each["type"] == "catalyst_hls_manifest" for each in asset.get("files", ())):
            shown["playbackUrl"] = f"{VIDEOS}/{asset['playbackId']}/output.m3u8"
    if not details and "videoSpec" in shown:
        shown["videoSpec"] = {name: value for name, value in shown["videoSpec"].items() if name != "tracks"}
    return shown


def _download_url(asset: Row) -> str:
    static = [each for each in asset.get("files", ()) if each["type"] == "static_transcoded_mp4"]
    best = max(static, key=lambda each: int(each["spec"]["bitrate"]), default={"path": "video"})
    return f"{VIDEOS}/{asset['playbackId']}/{best['path']}"


def with_project(visit: Visit, row: Row) -> Row:
    fallback = visit.user.get("defaultProjectId")
    return row if row.get("projectId") or not fallback else {**row, "projectId": fallback}


def sources(asset: Row) -> list[Row]:
    base = f"{VIDEOS}/{asset['playbackId']}"
    files = asset.get("files", ())
    static = [each for each in files if each["type"] == "static_transcoded_mp4"]
    films = [{"hrn": "MP4", "type": "html5/video/mp4", "url": f"{base}/{each['path']}", **each["spec"]} for each in static]
    thumbnails = [
        {"hrn": "Thumbnails", "type": "text/vtt", "url": f"{base}/{each['path']}"} for each in files if each["type"] == "thumbnails_vtt"
    ]
    return [*films, hls(f"{base}/output.m3u8"), *thumbnails]


def hls(url: str) -> Row:
    return {"hrn": "HLS (TS)", "type": "html5/application/vnd.apple.mpegurl", "url": url}


# -- sessions and streams ----------------------------------------------------------------------------------------------


def session_now(visit: Visit, session: Row) -> Row:
    """A running session was seen just now, and its recording grows."""
    if not session.get("_live"):
        return session
    seconds = max(0, visit.now - session["createdAt"]) / 1000
    return {**session, "lastSeen": visit.now, "sourceSegments": int(seconds / 2), "sourceSegmentsDuration": seconds}


def session_shown(visit: Visit, session: Row) -> Row:
    shown = {**session_now(visit, session), **recording(visit, session)}
    return {name: value for name, value in shown.items() if name not in _SESSION_PRIVATE and not name.startswith("_")}


def recording(visit: Visit, session: Row) -> Row:
    """The recording of a session is an asset with the session's id."""
    if not session["record"]:
        return {}
    asset = visit.store.get("asset", session["id"])
    if asset is None:
        stale = session_now(visit, session)["lastSeen"] < visit.now - SESSION_TIMEOUT_MS
        return {"recordingStatus": "none" if stale else "waiting"}
    phase = {"ready": "ready", "failed": "failed", "deleting": "deleted", "deleted": "deleted"}
    shown = clean(asset)
    urls = {"recordingUrl": shown.get("playbackUrl"), "mp4Url": shown.get("downloadUrl")}
    return {
        "recordingStatus": phase.get(asset["status"]["phase"], "waiting"),
        **{name: url for name, url in urls.items() if url},
    }


def recording_url(session: Row) -> str | None:
    if session.get("_source") == "gone":
        return None
    return f"{RECORDINGS}/{session['playbackId']}/{session['id']}/output.m3u8"


def public(row: Row) -> Row:
    return {name: value for name, value in row.items() if not name.startswith("_")}


def stream_shown(stream: Row) -> Row:
    defaults = {
        "lastSeen": 0,
        "isActive": False,
        "record": False,
        "suspended": False,
        "sourceSegments": 0,
        "transcodedSegments": 0,
        "sourceSegmentsDuration": 0,
        "transcodedSegmentsDuration": 0,
        "sourceBytes": 0,
        "transcodedBytes": 0,
    }
    return {**defaults, **public(stream)}


# -- by whatever id ----------------------------------------------------------------------------------------------------


def stream_by_playback_id(store: Store, playback_id: str) -> Row | None:
    return next((row for row in store.all("stream") if row["playbackId"] == playback_id), None)


def stream_by_any_id(store: Store, wanted: str) -> Row | None:
    return store.get("stream", wanted) or stream_by_playback_id(store, wanted)


def asset_by_any_id(store: Store, wanted: str) -> Row | None:
    return asset_by_playback_id(store, wanted) or store.get("asset", wanted)


def asset_by_playback_id(store: Store, playback_id: str) -> Row | None:
    return next((row for row in store.all("asset") if row["playbackId"] == playback_id), None)
