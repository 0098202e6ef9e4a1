"""What an emulated Livepeer account holds before anybody calls: seeds relative to the world's clock, and own rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.emulator.core import World
from reconciler.emulator.livepeer_rows import Row, Store

SEEDS = ("default", "demo", "many-sessions", "corners")

USER = "66e2161c-7670-4d05-b71d-da2d6979556f"
PROJECT = "aac12556-4d65-4d34-9fb6-d1f0985eb0a9"
STREAM = "d1f0985e-b0a9-4d65-8d34-9fb6aac12556"
PLAYBACK_ID = "eaw4nk06ts2d0mzb"
LIVE_SESSION = "de7818e7-610a-4057-8f6f-b785dc1e6f88"
ENDED_SESSION = "5f6fb785-dc1e-4f88-a057-de7818e7610a"
_DAY_MS = 86_400_000
_HOUR_MS = 3_600_000


def seed(world: World, name: str) -> None:
    """`default` (and `demo`): one stream, a session that runs since seven days, one that ended eight days ago.
    `many-sessions`: 25 ended sessions more. `corners`: whatever POST /clip and the keys refuse. ValueError otherwise."""
    planted = {"default": _default, "demo": _default, "many-sessions": _many_sessions, "corners": _corners}.get(name)
    if planted is None:
        raise ValueError(f"livepeer has no seed {name!r}; it has {', '.join(SEEDS)}")
    world.data.setdefault("livepeer", {})
    store = Store(world)
    default_user(store)
    planted(world, store)
    world.changed()


def default_user(store: Store) -> Row:
    """The owner of every key that names no user; made at the first call."""
    known: Row | None = store.data["user"].get(USER)
    if known is not None:
        return known
    project = {"id": PROJECT, "name": "default", "userId": USER, "createdAt": 0}
    store.put("project", project, at=0)
    user = {"id": USER, "email": "owner@example.com", "emailValid": True, "createdAt": 0, "defaultProjectId": PROJECT}
    return store.put("user", user, at=0)


def plant(store: Store, patch: Mapping[str, Any]) -> None:
    """Merge rows into the tables: `{"streams": [{"id": ...}], ...}`; new rows get what the emulator cannot do without.
    ValueError for an unknown kind or a row without an id."""
    kinds = {"users": "user", "projects": "project", "streams": "stream"}
    kinds |= {"sessions": "session", "assets": "asset", "tasks": "task"}
    for plural, rows in patch.items():
        if plural not in kinds:
            raise ValueError(f"livepeer fixtures: {plural!r} is not one of {', '.join(kinds)}")
        for row in rows.values() if isinstance(rows, dict) else rows:
            if not row.get("id"):
                raise ValueError(f"livepeer fixtures: a row of {plural} has no id")
            table = kinds[plural]
            known = store.get(table, row["id"], replica=False)
            store.put(table, {**(known or _skeleton(store, table, row)), **row}, at=0)


def _skeleton(store: Store, table: str, row: Mapping[str, Any]) -> Row:
    now = store.now
    if table == "stream":
        playback_id = str(row.get("playbackId") or row["id"].replace("-", "")[:16])
        return _stream(row["id"], playback_id, str(row.get("name") or row["id"]), now)
    if table == "session":
        parent = store.get("stream", str(row.get("parentId") or STREAM), replica=False)
        stream = parent or {"id": STREAM, "playbackId": PLAYBACK_ID}
        start = int(row.get("createdAt") or now - _HOUR_MS)
        return _session(row["id"], stream, start, int(row.get("lastSeen") or now))
    if table == "user":
        return {"email": f"{row['id']}@example.com", "emailValid": True, "createdAt": 0}
    if table == "project":
        return {"name": "project", "userId": USER, "createdAt": now}
    owned = {"userId": USER, "projectId": PROJECT, "createdAt": now}
    if table == "asset":
        return owned | {
            "playbackId": row["id"].replace("-", "")[:16],
            "status": {"phase": "ready", "updatedAt": now},
            "name": row["id"],
            "source": {"type": "url", "url": "https://example.com/video.mp4"},
            "objectStoreId": "vod-public-store",
        }
    return owned | {"type": "clip", "params": {}, "status": {"phase": "completed", "updatedAt": now}}


def _stream(stream_id: str, playback_id: str, name: str, created_at: int) -> Row:
    return {
        "id": stream_id,
        "name": name,
        "kind": "stream",
        "userId": USER,
        "projectId": PROJECT,
        "createdAt": created_at,
        "createdByTokenName": "reconciler",
        "streamKey": f"{stream_id[:4]}-key0-of00-{playback_id[:4]}",
        "playbackId": playback_id,
        "record": True,
    }


def _session(session_id: str, stream: Mapping[str, Any], start: int, last_seen: int) -> Row:
    seconds = max(0, last_seen - start) / 1000
    return {
        "id": session_id,
        "name": "session",
        "kind": "session",
        "userId": stream.get("userId", USER),
        "projectId": stream.get("projectId", PROJECT),
        "parentId": stream["id"],
        "playbackId": stream["playbackId"],
        "createdAt": start,
        "lastSeen": last_seen,
        "record": True,
        "recordObjectStoreId": "recordings-store",
        "sourceSegments": int(seconds / 2),
        "sourceSegmentsDuration": seconds,
        "sourceBytes": int(seconds * 250_000),
        "version": "v2",
        "deleted": False,
    }


def _default(world: World, store: Store) -> None:
    now = world.clock.now_ms()
    stream = {**_stream(STREAM, PLAYBACK_ID, "main stage", now - 30 * _DAY_MS), "isActive": True, "lastSeen": now}
    store.put("stream", stream, at=0)
    ended = _session(ENDED_SESSION, stream, now - 9 * _DAY_MS, now - 8 * _DAY_MS)
    store.put("session", ended, at=0)
    live = _session(LIVE_SESSION, stream, now - 7 * _DAY_MS, now)
    store.put("session", {**live, "_live": True}, at=0)


def _many_sessions(world: World, store: Store) -> None:
    """Sessions of one hour each, the latest ended yesterday; ids count from the oldest."""
    if store.get("stream", STREAM, replica=False) is None:
        _default(world, store)
    stream = store.get("stream", STREAM, replica=False)
    assert stream is not None
    now = world.clock.now_ms()
    for number in range(25):
        start = now - _DAY_MS - (25 - number) * 2 * _HOUR_MS
        session_id = f"{number:08d}-0000-4000-8000-00000000aaaa"
        store.put("session", _session(session_id, stream, start, start + _HOUR_MS), at=0)


def _corners(world: World, store: Store) -> None:
    """Streams and keys at the edges. Playback ids tell what each is for."""
    now = world.clock.now_ms()
    if store.get("stream", STREAM, replica=False) is None:
        _default(world, store)
    other = {"id": "other-user", "email": "other@example.com", "emailValid": True, "createdAt": 0}
    store.put("user", {**other, "defaultProjectId": "other-project"}, at=0)
    store.put("user", {**other, "id": "suspended-user", "suspended": True}, at=0)
    fresh = {"id": "new-user", "email": "new@example.com", "emailValid": False, "createdAt": now}
    store.put("user", {**other, **fresh}, at=0)
    store.put("project", {"id": "second-project", "name": "second", "userId": USER, "createdAt": now}, at=0)
    streams: dict[str, Row] = {
        "otheruserstream0": {"userId": "other-user", "projectId": "other-project"},
        "suspendedstream0": {"suspended": True},
        "deletedstream000": {"deleted": True},
        "neverlivestream0": {},
        "privatestream000": {"playbackPolicy": {"type": "jwt"}},
        "goneystream00000": {},
        "nodatestream0000": {},
    }
    for number, (playback_id, more) in enumerate(streams.items()):
        stream_id = f"0000000{number}-5555-4555-8555-00000000cccc"
        stream = {**_stream(stream_id, playback_id, playback_id.rstrip("0"), now - _DAY_MS), **more}
        store.put("stream", stream, at=0)
        if playback_id == "neverlivestream0":
            continue
        session = _session(f"0000000{number}-6666-4666-8666-00000000dddd", stream, now - _DAY_MS, now - _HOUR_MS)
        source = {"goneystream00000": {"_source": "gone"}, "nodatestream0000": {"_source": "no-date-time"}}
        store.put("session", {**session, **source.get(playback_id, {})}, at=0)
    world.data["keys"]["livepeer"] |= {
        "lp-nameless-key": {},
        "lp-second-project-key": {"name": "second", "project": "second-project"},
        "lp-other-user-key": {"name": "other", "user": "other-user"},
        "lp-suspended-key": {"name": "suspended", "user": "suspended-user"},
        "lp-unverified-key": {"name": "new", "user": "new-user"},
        "lp-cors-key": {"name": "web", "access": {"cors": {"allowedOrigins": ["https://app.example.com"]}}},
        "lp-assets-key": {
            "name": "assets",
            "access": {"rules": [{"resources": ["/asset", "/asset/:id"], "methods": ["get", "patch"]}]},
        },
    }
