"""npm `livepeer` 3.5.0, a second client that nobody here wrote, works with the emulated Livepeer Studio."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from reconciler.emulator.core import Clock, World
from reconciler.emulator.livepeer import seed
from reconciler.emulator.server import running

from .witness import HERE, Witness, in_the_stand, node_modules

pytestmark = pytest.mark.witness

NOW_MS = 1_772_366_400_000
STREAM = "d1f0985e-b0a9-4d65-8d34-9fb6aac12556"
SESSION = "de7818e7-610a-4057-8f6f-b785dc1e6f88"
WINDOW: dict[str, Any] = {
    "playbackId": "eaw4nk06ts2d0mzb",
    "sessionId": SESSION,
    "startTime": NOW_MS - 600_000,
    "endTime": NOW_MS - 570_000,
}


@pytest.fixture
def world() -> World:
    planted = World(clock=Clock.frozen_at(NOW_MS))
    seed(planted, "default")
    return planted


@pytest.fixture
def client(world: World) -> Iterator[Witness]:
    modules = node_modules()
    with running(world) as url:
        settings = {"url": f"{url}/api", "key": "lp-emulator-key"}
        with in_the_stand(["node", HERE / "livepeer_client.cjs"], settings, NODE_PATH=str(modules)) as witness:
            yield witness


def test_the_life_of_a_clip(world: World, client: Witness) -> None:
    made = client.ask("stream.createClip", {**WINDOW, "name": "My Clip"})
    assert made["status"] == 200, made
    asset, task = made["body"]["data"]["asset"], made["body"]["data"]["task"]
    assert (asset["name"], asset["source"]["type"], asset["status"]["phase"]) == ("My Clip", "clip", "waiting")

    strategy = client.ask("task.get", task["id"])["body"]["task"]["params"]["clip"]["clipStrategy"]
    assert (strategy["startTime"], strategy["endTime"]) == (WINDOW["startTime"], WINDOW["endTime"])

    world.clock.advance(60)
    ready = client.ask("asset.get", asset["id"])["body"]["asset"]
    assert (ready["status"]["phase"], ready["videoSpec"]["duration"]) == ("ready", 30)
    updated = client.ask("asset.update", {"name": "new", "creatorId": "owner"}, asset["id"])["body"]["asset"]
    assert (updated["name"], updated["creatorId"]["value"]) == ("new", "owner")

    lists: dict[str, list[Any]] = {"asset.getAll": [], "stream.getClips": [WINDOW["playbackId"]], "session.getClips": [SESSION]}
    for call, args in lists.items():
        assert [each["id"] for each in client.ask(call, *args)["body"]["data"]] == [asset["id"]], call
    assert [each["outputAssetId"] for each in client.ask("task.getAll")["body"]["data"]] == [asset["id"]]

    assert client.ask("asset.delete", asset["id"])["status"] == 204
    assert client.ask("asset.get", asset["id"])["status"] == 404
    assert client.ask("asset.getAll")["body"]["data"] == []


def test_streams_and_sessions(client: Witness) -> None:
    assert client.ask("stream.get", STREAM)["body"]["stream"]["playbackId"] == WINDOW["playbackId"]
    assert client.ask("session.get", SESSION)["body"]["session"]["parentId"] == STREAM


@pytest.mark.parametrize(
    ("changes", "status", "text"),
    [
        ({"playbackId": "nosuchplayback00"}, 404, "Content not found"),
        ({"sessionId": "nosuchsession"}, 404, "Session not found"),
        ({"endTime": WINDOW["startTime"]}, 422, "endTime must occur after startTime"),
    ],
    ids=["no stream", "no session", "an empty window"],
)
def test_a_clip_is_refused(client: Witness, changes: dict[str, Any], status: int, text: str) -> None:
    told = client.ask("stream.createClip", {**WINDOW, **changes})
    assert (told["status"], told["body"]) == (status, {"errors": [text]})


def test_one_call_is_one_post_even_when_the_server_fails(world: World, client: Witness) -> None:
    world.faults.add([{"action": "POST /clip", "when": "after", "fault": "500"}])
    assert client.ask("stream.createClip", WINDOW)["status"] == 500
    assert [call.action for call in world.log] == ["POST /clip"]
    assert len(client.ask("asset.getAll")["body"]["data"]) == 1
