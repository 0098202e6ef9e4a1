"""PyPI `livepeer` 0.3.0, a client that nobody here wrote, works with the emulated Livepeer Studio over plain HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from reconciler.emulator.core import Clock, World
from reconciler.emulator.livepeer import seed
from reconciler.emulator.server import running

from .witness import HERE, LIVEPEER_PYTHON, Witness, in_the_stand, python_with

pytestmark = pytest.mark.witness

NOW_MS = 1_772_366_400_000
STREAM = "d1f0985e-b0a9-4d65-8d34-9fb6aac12556"
SESSION = "de7818e7-610a-4057-8f6f-b785dc1e6f88"
WINDOW: dict[str, Any] = {
    "playback_id": "eaw4nk06ts2d0mzb",
    "session_id": SESSION,
    "start_time": NOW_MS - 600_000,
    "end_time": NOW_MS - 570_000,
}


@pytest.fixture
def world() -> World:
    planted = World(clock=Clock.frozen_at(NOW_MS))
    seed(planted, "default")
    return planted


@pytest.fixture
def client(world: World) -> Iterator[Witness]:
    yield from talking_to(world)


def talking_to(world: World, key: str = "lp-emulator-key", **params: str) -> Iterator[Witness]:
    python = python_with(LIVEPEER_PYTHON)
    with running(world) as url:
        settings = {"url": f"{url}/api", "key": key, "params": params}
        with in_the_stand([python, HERE / "livepeer_client.py"], settings) as witness:
            yield witness


def test_the_life_of_a_clip(world: World, client: Witness) -> None:
    made = client.ask("stream.create_clip", request={**WINDOW, "name": "via sdk"})
    assert made["status"] == 200
    asset, task = made["body"]["data"]["asset"], made["body"]["data"]["task"]
    assert (asset["name"], asset["source"]["type"], asset["source"]["sessionId"]) == ("via sdk", "clip", SESSION)
    assert (asset["status"]["phase"], asset["createdAt"]) == ("waiting", NOW_MS)

    found = client.ask("task.get", task_id=task["id"])["body"]["task"]
    strategy = found["params"]["clip"]["clipStrategy"]
    assert (strategy["startTime"], strategy["endTime"]) == (WINDOW["start_time"], WINDOW["end_time"])
    assert found["outputAssetId"] == asset["id"]

    early = client.ask("asset.update", asset_id=asset["id"], asset_patch_payload={"name": "early"})
    assert (early["raised"], early["status"]) == ("SDKError", 422)
    assert early["body"] == {"errors": ["asset is not ready"]}

    world.clock.advance(10)
    assert client.ask("asset.get", asset_id=asset["id"])["body"]["asset"]["status"]["phase"] == "processing"
    world.clock.advance(60)
    ready = client.ask("asset.get", asset_id=asset["id"])["body"]["asset"]
    assert (ready["status"]["phase"], ready["videoSpec"]["duration"]) == ("ready", 30.0)
    assert ready["playbackUrl"].endswith(".m3u8")

    patch = {"name": "new", "creator_id": "owner"}
    updated = client.ask("asset.update", asset_id=asset["id"], asset_patch_payload=patch)["body"]["asset"]
    assert (updated["name"], updated["creatorId"]["value"]) == ("new", "owner")

    playback = client.ask("playback.get", id=ready["playbackId"])["body"]["playback_info"]
    assert next(each["type"] for each in playback["meta"]["source"]) == "html5/video/mp4"

    assert client.ask("asset.delete", asset_id=asset["id"])["status"] == 204
    gone = client.ask("asset.get", asset_id=asset["id"])
    assert (gone["status"], gone["body"]) == (404, {"errors": ["Asset not found"]})
    again = client.ask("asset.delete", asset_id=asset["id"])
    assert (again["status"], again["body"]) == (400, {"errors": ["asset is already deleted"]})
    assert client.ask("task.get", task_id=task["id"])["body"]["task"]["outputAssetId"] == asset["id"]


def test_lists(world: World, client: Witness) -> None:
    ids = {client.ask("stream.create_clip", request=WINDOW)["body"]["data"]["asset"]["id"] for _ in range(3)}
    assert len(ids) == 3
    world.clock.advance(60)
    assert {each["id"] for each in client.ask("asset.get_all")["body"]["data"]} == ids
    assert {each["id"] for each in client.ask("stream.get_clips", id="eaw4nk06ts2d0mzb")["body"]["data"]} == ids
    assert {each["id"] for each in client.ask("session.get_clips", id=SESSION)["body"]["data"]} == ids
    tasks = client.ask("task.get_all")["body"]["data"]
    assert {each["outputAssetId"] for each in tasks} == ids


def test_streams_and_sessions(client: Witness) -> None:
    stream = client.ask("stream.get", id=STREAM)["body"]["stream"]
    assert stream["playbackId"] == WINDOW["playback_id"]
    assert stream["streamKey"]
    assert [each["id"] for each in client.ask("stream.get_all")["body"]["data"]] == [STREAM]
    session = client.ask("session.get", id=SESSION)["body"]["session"]
    assert (session["parentId"], session["lastSeen"]) == (STREAM, NOW_MS)
    assert next(each["id"] for each in client.ask("session.get_all")["body"]["data"]) == SESSION
    recorded = client.ask("session.get_recorded", parent_id=STREAM, record=True)["body"]["data"]
    assert next(each["id"] for each in recorded) == SESSION


@pytest.mark.parametrize(
    ("changes", "status", "text"),
    [
        ({"playback_id": "nosuchplayback00"}, 404, "Content not found"),
        ({"session_id": "nosuchsession"}, 404, "Session not found"),
        ({"end_time": WINDOW["start_time"]}, 422, "endTime must occur after startTime"),
    ],
    ids=["no stream", "no session", "an empty window"],
)
def test_a_clip_is_refused(client: Witness, changes: dict[str, Any], status: int, text: str) -> None:
    told = client.ask("stream.create_clip", request={**WINDOW, **changes})
    assert (told["raised"], told["status"], told["body"]) == ("SDKError", status, {"errors": [text]})


def test_the_sixth_clip_is_too_many(client: Witness) -> None:
    for _ in range(5):
        assert client.ask("stream.create_clip", request=WINDOW)["status"] == 200
    told = client.ask("stream.create_clip", request=WINDOW)
    assert (told["status"], told["body"]) == (403, {"errors": ["Too many clips are being processed."]})


def test_a_failed_clip_is_understood(world: World, client: Witness) -> None:
    seconds = {**WINDOW, "start_time": 1_772_366_400, "end_time": 1_772_366_430}
    made = client.ask("stream.create_clip", request=seconds)["body"]["data"]
    world.clock.advance(60)
    asset = client.ask("asset.get", asset_id=made["asset"]["id"])["body"]["asset"]
    assert asset["status"]["phase"] == "failed"
    assert "unix seconds" in asset["status"]["errorMessage"]


def test_an_unknown_key_is_repeated_in_the_refusal(world: World) -> None:
    for client in talking_to(world, key="s3cr3t"):
        told = client.ask("asset.get_all")
        assert (told["status"], told["body"]) == (401, {"errors": ["no token s3cr3t found"]})


def test_filters_smuggled_into_the_query(world: World) -> None:
    filters = '[{"id":"name","value":"wanted"}]'
    for client in talking_to(world, filters=filters, limit="1000"):
        for name in ("wanted", "other", "unwanted"):
            client.ask("stream.create_clip", request={**WINDOW, "name": name})
        found = client.ask("asset.get_all")["body"]["data"]
        assert sorted(each["name"] for each in found) == ["unwanted", "wanted"]
