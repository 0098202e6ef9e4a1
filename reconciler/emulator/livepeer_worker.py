"""The worker that turns a clip task into a video: its whole course is written down as steps when the task is scheduled,
and `work` takes the steps whose time has come. Only the world's clock moves it."""

from __future__ import annotations

import json
from typing import Any

from reconciler.emulator.core import World
from reconciler.emulator.livepeer_rows import Row, Store

Step = tuple[int, str, dict[str, Any]]

ATTEMPTS = 3
RETRY_WAITS_MS = (30_000, 180_000)
CUT_TRIES, CUT_EVERY_MS = 10, 5_000  # the clip stage tries to read the manifest ten times
SEGMENT_MS = 2_000
BROKEN = "internal error processing file"
GONE = "file could not be imported from URL because it was not accessible"
_DAY_MS = 86_400_000


def schedule(world: World, store: Store, task: Row, at: int) -> None:
    """Write down the course of a task that starts to wait at `at` (ms)."""
    steps = course(world, store, task, at)
    if steps:
        store.data["run"][task["id"]] = [list(step) for step in steps]
    else:
        store.data["run"].pop(task["id"], None)


def course(world: World, store: Store, task: Row, at: int) -> list[Step]:
    """The steps to come: running, progress, playable, retry-wait, requeue, completed, failed. Empty for a task that
    nobody will ever take."""
    clip = task["params"].get("clip")
    outcome = world.switch("livepeer.clip_outcome")
    if clip is None or outcome == "stuck-waiting":
        return []
    start, end = clip["clipStrategy"]["startTime"], clip["clipStrategy"].get("endTime", 0)
    begun = at + _ms(world, "queue_seconds")
    if isinstance(start, float) or isinstance(end, float):
        return [] if world.switch("livepeer.fractional_ms") == "stuck" else _failing(world, begun, BROKEN, attempts=1)
    refusal = input_error(start, end)
    if refusal:
        body = json.dumps({"error": "Invalid Clipping Request", "error_detail": refusal}, separators=(",", ":")) + "\n"
        message = f"input error on catalyst request: http status 400 Bad Request: {json.dumps(body)}"
        return _failing(world, begun, message, attempts=1)
    session = store.get("session", clip["sessionId"], replica=False) or {}
    if clip["url"] is None or session.get("_source") == "gone":
        return _failing(world, begun, GONE, attempts=1)
    if session.get("_source") == "no-date-time" or outcome == "failed":
        return _failing(world, begun, BROKEN)
    if end <= session["createdAt"] and world.switch("livepeer.window_before_session") == "failed":
        return _failing(world, begun, BROKEN)
    return _cutting(world, session, start, end, begun)


def input_error(start: int, end: int) -> str:
    """Why the transcoder refuses the window at once; empty when it takes it. A missing end counts as 0."""
    for name, value in (("start", start), ("end", end)):
        if value < 0:
            return f"clip {name} time {value} cannot be less than 0"
    for name, value in (("start", start), ("end", end)):
        if 1_000_000_000 <= value <= 9_999_999_999:
            return f"clip {name} time {value} is in unix seconds, but should be milliseconds"
    if start == end:
        return f"clip start time and end time were both {start} but should be different"
    if start > end:
        return f"clip start time {start} should be after end time {end}"  # the vendor's own wording
    return ""


def _ms(world: World, switch: str) -> int:
    return round(world.number(f"livepeer.{switch}") * 1000)


def _failing(world: World, begun: int, message: str, *, attempts: int = ATTEMPTS) -> list[Step]:
    steps: list[Step] = []
    for attempt in range(attempts):
        steps.append((begun, "running", {"progress": 0}))
        ended = begun + _ms(world, "failure_seconds")
        if attempt == attempts - 1:
            return [*steps, (ended, "failed", {"message": message})]
        requeued = ended + RETRY_WAITS_MS[attempt]
        steps.append((ended, "retry-wait", {"retries": attempt + 1, "message": message}))
        steps.append((requeued, "requeue", {"retries": attempt + 1}))
        begun = requeued + _ms(world, "queue_seconds")
    return steps


def _cutting(world: World, session: Row, start: int, end: int, begun: int) -> list[Step]:
    """Try until the recording has reached the start of the window; then cut what is there."""
    steps: list[Step] = []
    for attempt in range(ATTEMPTS):
        steps.append((begun, "running", {"progress": 0}))
        tries = [begun + n * CUT_EVERY_MS for n in range(CUT_TRIES)]
        cut = next((at for at in tries if start <= _recorded_until(world, session, at)), None)
        if cut is not None:
            window = cut_window(session, start, end, recorded_until=_recorded_until(world, session, cut))
            return steps + _finishing(world, cut, window)
        ended = begun + CUT_TRIES * CUT_EVERY_MS
        if attempt == ATTEMPTS - 1:
            steps.append((ended, "failed", {"message": BROKEN}))
            break
        requeued = ended + RETRY_WAITS_MS[attempt]
        steps.append((ended, "retry-wait", {"retries": attempt + 1, "message": BROKEN}))
        steps.append((requeued, "requeue", {"retries": attempt + 1}))
        begun = requeued + _ms(world, "queue_seconds")
    return steps


def _recorded_until(world: World, session: Row, at: int) -> int:
    if session.get("_live"):
        return at - _ms(world, "live_latency_seconds")
    return int(session["lastSeen"])


def cut_window(session: Row, start: int, end: int, *, recorded_until: int) -> tuple[int, int]:
    """What is really cut (ms): both ends are clamped to the recording, silently; never less than a segment."""
    first = max(start, session["createdAt"])
    return first, max(min(end, recorded_until), first + (SEGMENT_MS if end <= session["createdAt"] else 0))


def _finishing(world: World, begun: int, window: tuple[int, int]) -> list[Step]:
    duration = round((window[1] - window[0]) / 1000, 3)
    quarter = _ms(world, "clip_seconds") / 4
    buckets = enumerate((0.225, 0.45, 0.675), start=1)
    steps: list[Step] = [(begun + round(n * quarter), "progress", {"progress": share}) for n, share in buckets]
    if world.switch("livepeer.clip_outcome") == "stuck-processing":
        return [*steps, (begun + round(3.5 * quarter), "progress", {"progress": 0.85})]
    if world.switch("livepeer.source_playback") == "on":
        steps.insert(2, (begun + round(2 * quarter), "playable", {}))
    steps.append((begun + round(4 * quarter), "completed", {"duration": duration}))
    return steps


# -- taking the steps --------------------------------------------------------------------------------------------------


def work(world: World) -> None:
    """Take every step whose time has come, over all tasks in the order of time; purge what is due."""
    store = Store(world)
    runs = store.data["run"]
    now = world.clock.now_ms()
    due = [(step[0], task_id, step) for task_id, steps in runs.items() for step in steps if step[0] <= now]
    for at, task_id, step in sorted(due, key=lambda each: each[0]):
        if task_id in runs:
            runs[task_id].remove(step)
            _take(world, store, task_id, at, step[1], step[2])
            if not runs.get(task_id):
                runs.pop(task_id, None)
    _purge(world, store, now)


def _take(world: World, store: Store, task_id: str, at: int, kind: str, what: dict[str, Any]) -> None:
    task = store.get("task", task_id, replica=False)
    if task is None:
        return
    asset = store.get("asset", task["outputAssetId"], replica=False)
    retries = task["status"].get("retries", 0)
    if kind == "running" and asset is not None and asset.get("deleted"):
        fail(world, store, task, "task cancelled, asset has been deleted", at)
    elif kind == "running" and (store.get("user", task["userId"], replica=False) or {}).get("disabled"):
        fail(world, store, task, "task execution forbidden: task user is disabled", at)
    elif kind in ("running", "progress"):
        progress = {"phase": "running", "retries": retries, "progress": what["progress"], "updatedAt": at}
        store.put("task", {**task, "status": progress}, at=at)
        if asset is not None and asset["status"]["phase"] in ("waiting", "processing"):
            best = max(what["progress"], asset["status"].get("progress", 0))
            _move(store, asset, {"phase": "processing", "progress": best, "updatedAt": at})
    elif kind == "playable" and asset is not None:
        shown = {**asset, "sourcePlaybackReady": True, "files": [_manifest()]}
        _move(store, shown, {**asset["status"], "updatedAt": at})
    elif kind == "retry-wait":
        waiting = {"phase": "waiting", "retries": what["retries"], "errorMessage": what["message"], "updatedAt": at}
        store.put("task", {**task, "status": waiting}, at=at)
    elif kind == "requeue":
        again = {"phase": "waiting", "retries": what["retries"], "updatedAt": at}
        store.put("task", {**task, "status": again}, at=at)
    elif kind == "completed":
        _complete(world, store, task, asset, what["duration"], at)
    elif kind == "failed":
        fail(world, store, task, what["message"], at)


def _move(store: Store, asset: Row, status: Row) -> None:
    store.put("asset", {**asset, "status": status}, at=status["updatedAt"])


def _complete(world: World, store: Store, task: Row, asset: Row | None, duration: float, at: int) -> None:
    spec = _asset_spec(world, task, duration)
    done = {"phase": "completed", "updatedAt": at}
    store.put("task", {**task, "status": done, "output": {"clip": {"assetSpec": spec}}}, at=at)
    if asset is None:
        return
    phase = "deleting" if asset["status"]["phase"] == "deleting" else "ready"
    revived = asset["status"]["phase"] == "failed" and not asset.get("deleted")
    made: Row = {name: spec[name] for name in ("size", "hash", "videoSpec", "files") if name in spec}
    _move(store, {**asset, **made}, {"phase": phase, "updatedAt": at})
    identity = store.data["identity"].get(asset["id"], "")
    if revived:
        world.ledger.born(identity, asset["id"], at=at, event="retried")
    else:
        world.ledger.touched(identity, asset["id"], at=at, event=phase)


def fail(world: World, store: Store, task: Row, message: str, at: int) -> None:
    """The end of a task; its asset fails with it, a deleted one too."""
    status = {"phase": "failed", "updatedAt": at, "errorMessage": message}
    ended = {**status, "retries": task["status"]["retries"]} if "retries" in task["status"] else status
    store.put("task", {**task, "status": ended}, at=at)
    store.data["run"].pop(task["id"], None)
    asset = store.get("asset", task["outputAssetId"], replica=False)
    if asset is None:
        return
    was_living = asset["status"]["phase"] in ("waiting", "processing", "ready") and not asset.get("deleted")
    _move(store, asset, status)
    if was_living:
        world.ledger.died(store.data["identity"].get(asset["id"], ""), asset["id"], at=at, event="failed")


def _manifest() -> Row:
    return {"type": "catalyst_hls_manifest", "path": "output.m3u8"}


def _asset_spec(world: World, task: Row, duration: float) -> Row:
    """What the transcoder reports; bit rates of a 720p source, sizes follow from them."""
    bitrate = 2_000_000
    size = round(duration * bitrate / 8)
    mp4 = {"size": size, "height": 720, "width": 1280, "bitrate": bitrate}
    video = {"type": "video", "codec": "h264", "bitrate": bitrate, "width": 1280, "height": 720, "fps": 30}
    audio = {"type": "audio", "codec": "aac", "bitrate": 128_000, "channels": 2, "sampleRate": 48_000}
    tracks = [{**each, "duration": duration} for each in (video, audio)]
    spec: Row = {
        "name": task["id"],
        "size": size,
        "videoSpec": {"format": "hls", "duration": duration, "bitrate": bitrate, "tracks": tracks},
        "files": [
            _manifest(),
            {"type": "static_transcoded_mp4", "path": "720p0.mp4", "spec": mp4},
            {"type": "thumbnails_vtt", "path": "thumbnails/thumbnails.vtt"},
        ],
    }
    hashed = world.switch("livepeer.ready_hash")
    if hashed != "absent":
        digest = {"hash": task["id"].replace("-", "") * 2, "algorithm": "sha256"}
        spec["hash"] = [digest] if hashed == "present" else None
    return spec


def _purge(world: World, store: Store, now: int) -> None:
    """Deleted assets lose their files after a week; tasks go only when the switch says so."""
    wait = world.number("livepeer.purge_days") * _DAY_MS
    for asset_id, deleted_at in list(store.data["purge"].items()):
        asset = store.get("asset", asset_id, replica=False)
        if asset is None or not asset.get("deleted"):
            del store.data["purge"][asset_id]
        elif deleted_at + wait <= now:
            del store.data["purge"][asset_id]
            _move(store, asset, {"phase": "deleted", "updatedAt": round(deleted_at + wait)})
    if world.switch("livepeer.task_retention_days") != "forever":
        oldest = now - world.number("livepeer.task_retention_days") * _DAY_MS
        for task_id, task in list(store.data["task"].items()):
            if task["createdAt"] < oldest and task["status"]["phase"] in ("completed", "failed"):
                store.drop("task", task_id)
