"""The emulated Livepeer Studio answers as the vendor's server does: keys, POST /clip, assets, tasks, streams, playback."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from reconciler.emulator.core import Clock, Request, World
from reconciler.emulator.front import Emulator

from .studio import NOW_MS, PLAYBACK_ID, SESSION, START, STREAM, WINDOW, Studio

USER = "66e2161c-7670-4d05-b71d-da2d6979556f"
PROJECT = "aac12556-4d65-4d34-9fb6-d1f0985eb0a9"
BASIC = base64.b64encode(f"{USER}:lp-emulator-key".encode()).decode()
STRANGER = base64.b64encode(b"somebody:lp-emulator-key").decode()


def one(text: str) -> dict[str, list[str]]:
    return {"errors": [text]}


# -- keys --------------------------------------------------------------------------------------------------------------

KEY_CASES: dict[str, tuple[dict[str, str], str, int, str]] = {
    "no header": ({"authorization": ""}, "/asset", 401, "request is not authenticated"),
    "a bare scheme": ({"authorization": "Bearer"}, "/asset", 401, "request is not authenticated"),
    "an unknown key is repeated in the answer": ({"authorization": "Bearer s3cr3t"}, "/asset", 401, "no token s3cr3t found"),
    "an unknown key counts before an unknown route": ({"authorization": "Bearer x"}, "/nowhere", 401, "no token x found"),
    "another scheme": (
        {"authorization": "Token lp-emulator-key"},
        "/asset",
        401,
        "unsupported authorization header scheme: Token",
    ),
    "basic with another user": ({"authorization": f"Basic {STRANGER}"}, "/asset", 401, "no token lp-emulator-key found"),
    "a project id with a key": ({}, "/asset?projectId=p", 400, "projectId as query param not supported"),
    "a suspended user": ({"authorization": "Bearer lp-suspended-key"}, "/asset", 403, "user is suspended"),
    "an unverified address": (
        {"authorization": "Bearer lp-unverified-key"},
        "/asset",
        403,
        "user new@example.com has not been verified. please check your inbox for verification email.",
    ),
    "a foreign origin": (
        {"origin": "http://evil"},
        "/asset",
        403,
        "credential disallows CORS access from origin http://evil",
    ),
    "a web key lists assets": (
        {"authorization": "Bearer lp-cors-key"},
        "/asset",
        403,
        "access forbidden for CORS-enabled API key with restricted access",
    ),
    "rules that do not cover the route": (
        {"authorization": "Bearer lp-assets-key"},
        "/task",
        403,
        "credential has insufficent privileges",
    ),
    "keys manage no keys": ({}, "/api-token", 403, "access forbidden for API keys"),
    "an unknown route": ({}, "/nowhere", 404, "not found"),
    "an unknown route needs no key": ({"authorization": ""}, "/nowhere", 404, "not found"),
}


@pytest.mark.parametrize(("headers", "path", "status", "text"), KEY_CASES.values(), ids=KEY_CASES.keys())
def test_a_key_is_refused(headers: dict[str, str], path: str, status: int, text: str) -> None:
    assert Studio("corners").get(path, **headers) == (status, one(text))


ACCEPTED: dict[str, tuple[dict[str, str], str]] = {
    "the scheme may be written in any case": ({"authorization": "bEaReR lp-emulator-key"}, "/asset"),
    "basic with the owner": ({"authorization": f"Basic {BASIC}"}, "/asset"),
    "a web key reads one asset's task": ({"authorization": "Bearer lp-cors-key"}, "/stream/" + STREAM),
    "a web key with its own origin": (
        {"authorization": "Bearer lp-cors-key", "origin": "https://app.example.com"},
        "/stream/" + STREAM,
    ),
    "rules that cover the route": ({"authorization": "Bearer lp-assets-key"}, "/asset"),
    "the read-only key reads": ({"authorization": "Bearer lp-readonly-key"}, "/task"),
}


@pytest.mark.parametrize(("headers", "path"), ACCEPTED.values(), ids=ACCEPTED.keys())
def test_a_key_is_accepted(headers: dict[str, str], path: str) -> None:
    assert Studio("corners").get(path, **headers)[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("POST", "/clip", WINDOW), ("PATCH", "/asset/x", {}), ("DELETE", "/asset/x", None)],
)
def test_the_read_only_key_writes_nothing(method: str, path: str, body: Any) -> None:
    studio = Studio(key="lp-readonly-key")
    assert studio.send(method, path, body) == (403, one("credential has insufficent privileges"))
    assert studio.world.ledger.events == []


def test_the_call_log_never_holds_the_key_that_was_refused() -> None:
    studio = Studio()
    studio.get("/asset", authorization="Bearer s3cr3t")
    assert studio.world.log[-1].error == "no token <key> found"
    assert "s3cr3t" not in json.dumps(studio.world.log[-1].as_dict())


def test_who_am_i() -> None:
    status, body = Studio().get("/user/me")
    assert status == 200
    assert (body["id"], body["email"], body["defaultProjectId"]) == (USER, "owner@example.com", PROJECT)


# -- what every answer has ---------------------------------------------------------------------------------------------


def test_headers_and_etag() -> None:
    studio = Studio()
    studio.get("/asset")
    first = studio.last
    assert first.headers["content-type"] == "application/json; charset=utf-8"
    assert first.headers["vary"] == "Authorization, Origin"
    assert first.headers["access-control-expose-headers"] == "*"
    assert first.headers["etag"] == 'W/"2-l9Fw4VUO7kr8CvBlt4zaMCqXZ0w"'  # express, for the body []
    assert studio.get("/asset", if_none_match=first.headers["etag"]) == (304, None)


BODIES: dict[str, tuple[bytes, int, str]] = {
    "cut off": (b'{"playbackId":', 400, "Unexpected end of JSON input"),
    "not JSON": (b"{oops}", 400, "Unexpected token o in JSON at position 1"),
    "a bare number": (b"5", 400, "Unexpected token 5 in JSON at position 0"),
    "too large": (b'{"name":"' + b"x" * 102_400 + b'"}', 413, "request entity too large"),
}


@pytest.mark.parametrize(("body", "status", "text"), BODIES.values(), ids=BODIES.keys())
def test_a_body_cannot_be_read(body: bytes, status: int, text: str) -> None:
    assert Studio().send("POST", "/clip", body) == (status, one(text))


def test_a_body_that_is_not_declared_as_json_is_empty() -> None:
    status, body = Studio().send("POST", "/clip", WINDOW, content_type="text/plain")
    assert status == 422
    assert json.loads(body["errors"][0])["params"] == {"missingProperty": "playbackId"}


# -- POST /clip --------------------------------------------------------------------------------------------------------


def test_a_clip_is_created() -> None:
    studio = Studio()
    status, body = studio.send("POST", "/clip", {**WINDOW, "name": "same name"})
    assert status == 200
    asset = body["asset"]
    assert asset == {
        "id": asset["id"],
        "playbackId": asset["playbackId"],
        "userId": USER,
        "createdAt": NOW_MS,
        "createdByTokenName": "reconciler",
        "status": {"phase": "waiting", "updatedAt": NOW_MS},
        "name": "same name",
        "source": {"type": "clip", "playbackId": PLAYBACK_ID, "sessionId": SESSION},
        "projectId": PROJECT,
    }
    assert list(asset) == [*list(asset)[:8], "projectId"]
    assert len(asset["playbackId"]) == 16
    assert asset["playbackId"][:4] == asset["id"][:4]
    assert body == {"task": {"id": body["task"]["id"]}, "asset": asset}


def test_the_task_carries_the_window_and_the_asset_does_not() -> None:
    studio = Studio()
    asset_id, task_id = studio.clip(startTime=float(START), endTime=START + 30_000.0)
    task = studio.task(task_id)
    assert task == {
        "id": task_id,
        "type": "clip",
        "createdAt": NOW_MS,
        "scheduledAt": NOW_MS,
        "outputAssetId": asset_id,
        "projectId": PROJECT,
        "userId": USER,
        "requesterId": f"UNKNOWN-{PLAYBACK_ID}",
        "params": {
            "clip": {
                "url": f"https://recordings.emulator.invalid/{PLAYBACK_ID}/{SESSION}/output.m3u8",
                "inputId": STREAM,
                "sessionId": SESSION,
                "sourceObjectStoreId": "recordings-store",
                "clipStrategy": {"startTime": START, "endTime": START + 30_000, "playbackId": PLAYBACK_ID},
            }
        },
        "status": {"phase": "waiting", "retries": 0, "updatedAt": NOW_MS},
    }
    assert b"000.0" not in studio.last.body  # floats come back as integers
    assert "startTime" not in json.dumps(studio.asset(asset_id))


def ajv(path: str, schema: str, keyword: str, params: dict[str, Any], message: str) -> dict[str, Any]:
    return {"instancePath": path, "schemaPath": schema, "keyword": keyword, "params": params, "message": message}


def missing(name: str) -> dict[str, Any]:
    return ajv("", "#/required", "required", {"missingProperty": name}, f"must have required property '{name}'")


def must_be(name: str, kind: str) -> dict[str, Any]:
    return ajv(f"/{name}", f"#/properties/{name}/type", "type", {"type": kind}, f"must be {kind}")


EXTRA = "must NOT have additional properties"
# the answers of ajv 8.16.0 itself to the published schemas
CLIP_SCHEMA: dict[str, tuple[Any, dict[str, Any]]] = {
    "nothing": ({}, missing("playbackId")),
    "no start": ({"playbackId": "a"}, missing("startTime")),
    "required counts before unknown": ({"foo": 1}, missing("playbackId")),
    "unknown counts before types": (
        {"playbackId": "a", "startTime": "1", "foo": 1},
        ajv("", "#/additionalProperties", "additionalProperties", {"additionalProperty": "foo"}, EXTRA),
    ),
    "creatorId cannot be set here": (
        {"playbackId": "a", "startTime": 1, "creatorId": "me"},
        ajv("", "#/additionalProperties", "additionalProperties", {"additionalProperty": "creatorId"}, EXTRA),
    ),
    "the first wrong type only": ({"playbackId": 1, "startTime": "1"}, must_be("playbackId", "string")),
    "text as time": ({"playbackId": "a", "startTime": "1"}, must_be("startTime", "number")),
    "null as name": ({"playbackId": "a", "startTime": 1, "name": None}, must_be("name", "string")),
    "null as end": ({"playbackId": "a", "startTime": 1, "endTime": None}, must_be("endTime", "number")),
    "true is no number": ({"playbackId": "a", "startTime": True}, must_be("startTime", "number")),
    "an array": ([], ajv("", "#/type", "type", {"type": "object"}, "must be object")),
}


@pytest.mark.parametrize(("body", "error"), CLIP_SCHEMA.values(), ids=CLIP_SCHEMA.keys())
def test_a_clip_breaks_the_schema(body: Any, error: dict[str, Any]) -> None:
    text = json.dumps(error, separators=(",", ":"))
    assert Studio().send("POST", "/clip", body) == (422, one(text))


def gone(**changes: Any) -> dict[str, Any]:
    return {name: value for name, value in {**WINDOW, **changes}.items() if value is not None}


WRONG_END = {"startTime": START, "endTime": START}
CLIP_REFUSALS: dict[str, tuple[dict[str, Any], int, str]] = {
    "no such stream": (gone(playbackId="nosuchplayback00"), 404, "Content not found"),
    "a stream id is no playback id": (gone(playbackId=STREAM), 404, "Content not found"),
    "a session id is no playback id": (gone(playbackId=SESSION), 404, "Content not found"),
    "somebody else's stream": (gone(playbackId="otheruserstream0"), 403, "You do not have permission to clip this stream"),
    "a suspended stream": (gone(playbackId="suspendedstream0"), 404, "Content not found"),
    "an unknown session": (gone(sessionId="nosuchsession"), 404, "Session not found"),
    "the session of another stream": (
        gone(sessionId="00000004-6666-4666-8666-00000000dddd"),
        404,
        "The provided session id does not belong to this stream",
    ),
    "a stream that never was live": (
        gone(playbackId="neverlivestream0", sessionId=None),
        500,
        "Internal server error: Error",
    ),
    "an end at the start": (gone(**WRONG_END), 422, "endTime must occur after startTime"),
    "an end before the start": (gone(endTime=START - 1), 422, "endTime must occur after startTime"),
    "the session counts before the window": (gone(sessionId="nosuchsession", **WRONG_END), 404, "Session not found"),
    "the stream counts before the session": (
        gone(playbackId="nosuchplayback00", sessionId="nosuchsession"),
        404,
        "Content not found",
    ),
    "a NUL in the name": (gone(name="a\x00b"), 500, "Internal server error: error"),
}


@pytest.mark.parametrize(("body", "status", "text"), CLIP_REFUSALS.values(), ids=CLIP_REFUSALS.keys())
def test_a_clip_is_refused_and_nothing_is_made(body: Any, status: int, text: str) -> None:
    studio = Studio("corners")
    assert studio.send("POST", "/clip", body) == (status, one(text))
    assert studio.get("/asset") == (200, [])
    assert studio.world.ledger.events == []


CLIP_ACCEPTED: dict[str, dict[str, Any]] = {
    "a deleted stream": gone(playbackId="deletedstream000", sessionId=None),
    "a private stream": gone(playbackId="privatestream000", sessionId=None),
    "times in seconds": gone(startTime=1_772_366_400, endTime=1_772_366_430),
    "negative times": gone(startTime=-5, endTime=-1),
    "fractions": gone(startTime=START + 0.5),
    "a window far in the future": gone(startTime=NOW_MS + 10**9, endTime=NOW_MS + 10**9 + 1),
    "no end": gone(endTime=None),
    "a long name": gone(name="x" * 5000),
}


@pytest.mark.parametrize("body", CLIP_ACCEPTED.values(), ids=CLIP_ACCEPTED.keys())
def test_a_clip_is_accepted_whatever_becomes_of_it(body: Any) -> None:
    assert Studio("corners").send("POST", "/clip", body)[0] == 200


@pytest.mark.parametrize("name", ["", None], ids=["empty", "missing"])
def test_the_default_name(name: str | None) -> None:
    studio = Studio()
    status, body = studio.send("POST", "/clip", gone(name=name))
    assert (status, body["asset"]["name"]) == (200, f"clip-{body['asset']['playbackId']}")


@pytest.mark.parametrize("session_id", ["", None], ids=["empty", "missing"])
def test_without_a_session_the_latest_one_is_taken(session_id: str | None) -> None:
    studio = Studio("default", "many-sessions")
    status, body = studio.send("POST", "/clip", gone(sessionId=session_id))
    assert (status, body["asset"]["source"]["sessionId"]) == (200, "00000024-0000-4000-8000-00000000aaaa")


def test_a_key_without_a_name_and_a_key_of_another_project() -> None:
    studio = Studio("corners")
    assert "createdByTokenName" not in studio.send("POST", "/clip", WINDOW, key="lp-nameless-key")[1]["asset"]
    assert studio.send("POST", "/clip", WINDOW, key="lp-second-project-key")[1]["asset"]["projectId"] == "second-project"


def test_a_clip_of_a_private_stream_is_public() -> None:
    studio = Studio("corners")
    asset_id, _ = studio.clip(playbackId="privatestream000", sessionId="")
    studio.wait(60)
    assert "playbackPolicy" not in studio.asset(asset_id)


def test_nothing_is_idempotent_and_the_oracle_sees_it() -> None:
    studio = Studio()
    ids = {studio.clip()[0] for _ in range(3)}
    assert len(ids) == 3
    assert [call.duplicate for call in studio.world.log] == [False, True, True]
    assert list(studio.living()) == [f"clip/{PLAYBACK_ID}/{SESSION}/{START}/{START + 30_000}"]
    assert studio.world.ledger.most("clip/") == 3


# -- the throttle ------------------------------------------------------------------------------------------------------

TOO_MANY = (403, one("Too many clips are being processed."))


def test_five_clips_in_flight_are_enough() -> None:
    studio = Studio()
    for _ in range(5):
        studio.clip()
    assert studio.send("POST", "/clip", WINDOW) == TOO_MANY
    assert "retry-after" not in studio.last.headers
    studio.wait(21.9)
    assert studio.send("POST", "/clip", WINDOW) == TOO_MANY
    studio.wait(0.1)
    studio.clip()


def test_the_throttle_forgets_after_five_minutes() -> None:
    studio = Studio(clip_outcome="stuck-waiting")
    for _ in range(5):
        studio.clip()
    studio.wait(299.999)
    assert studio.send("POST", "/clip", WINDOW) == TOO_MANY
    studio.wait(0.001)
    studio.clip()


def test_the_throttle_counts_per_caller_and_stream() -> None:
    studio = Studio("corners", clip_outcome="stuck-waiting")
    for _ in range(5):
        assert studio.send("POST", "/clip", WINDOW, x_forwarded_for="192.0.2.1")[0] == 200
    assert studio.send("POST", "/clip", WINDOW, x_forwarded_for="192.0.2.1") == TOO_MANY
    assert studio.send("POST", "/clip", WINDOW, cf_connecting_ip="192.0.2.2", x_forwarded_for="192.0.2.1")[0] == 200
    other = gone(playbackId="privatestream000", sessionId=None)
    assert studio.send("POST", "/clip", other, x_forwarded_for="192.0.2.1")[0] == 200


def test_the_throttle_counts_before_the_session_is_looked_up() -> None:
    studio = Studio(throttle_in_flight="0")
    assert studio.send("POST", "/clip", gone(sessionId="nosuchsession")) == TOO_MANY
    assert studio.send("POST", "/clip", gone(playbackId="nosuchplayback00")) == (404, one("Content not found"))


# -- assets ------------------------------------------------------------------------------------------------------------


def ready(studio: Studio, **changes: Any) -> str:
    asset_id, _ = studio.clip(**changes)
    studio.wait(60)
    return asset_id


def test_a_ready_asset() -> None:
    studio = Studio()
    asset = studio.asset(ready(studio))
    base = f"https://videos.emulator.invalid/{asset['playbackId']}"
    assert asset["status"] == {"phase": "ready", "updatedAt": NOW_MS + 22_000}
    assert asset["videoSpec"] == {"format": "hls", "duration": 30.0, "bitrate": 2_000_000}
    assert (asset["playbackUrl"], asset["downloadUrl"]) == (f"{base}/output.m3u8", f"{base}/720p0.mp4")
    assert (asset["size"], asset["hash"]) == (7_500_000, None)
    assert not {"objectStoreId", "files", "sourcePlaybackReady"} & set(asset)
    _, detailed = studio.get(f"/asset/{asset['id']}?details=1")
    assert [track["type"] for track in detailed["videoSpec"]["tracks"]] == ["video", "audio"]


def test_an_asset_is_not_found() -> None:
    studio = Studio("corners")
    asset_id = ready(studio)
    assert studio.get("/asset/nosuchasset") == (404, one("Asset not found"))
    assert studio.send("GET", f"/asset/{asset_id}", key="lp-other-user-key") == (404, one("not found"))
    assert studio.send("GET", f"/asset/{asset_id}", key="lp-second-project-key") == (404, one("not found"))


def tried(*errors: dict[str, Any]) -> list[str]:
    return [json.dumps(each, separators=(",", ":")) for each in errors]


ONE_OF = ajv("/creatorId", "#/properties/creatorId/oneOf", "oneOf", {"passingSchemas": None}, "must match exactly one schema in oneOf")
NOT_TEXT = ajv("/creatorId", "#/properties/creatorId/oneOf/1/type", "type", {"type": "string"}, "must be string")
ALLOWED = "must be equal to one of the allowed values"
PATCH_REFUSALS: dict[str, tuple[dict[str, Any], int, list[str]]] = {
    "no name": ({"name": None}, 422, tried(must_be("name", "string"))),
    "an unknown member": (
        {"status": 1},
        422,
        tried(ajv("", "#/additionalProperties", "additionalProperties", {"additionalProperty": "status"}, EXTRA)),
    ),
    "a creator cannot be removed": (
        {"creatorId": None},
        422,
        tried(
            ajv("/creatorId", "#/properties/creatorId/oneOf/0/type", "type", {"type": "object"}, "must be object"),
            NOT_TEXT,
            ONE_OF,
        ),
    ),
    "a creator of another type": (
        {"creatorId": {"type": "wallet", "value": "x"}},
        422,
        tried(
            ajv(
                "/creatorId/type",
                "#/properties/creatorId/oneOf/0/properties/type/enum",
                "enum",
                {"allowedValues": ["unverified"]},
                ALLOWED,
            ),
            NOT_TEXT,
            ONE_OF,
        ),
    ),
    "an unknown policy": (
        {"playbackPolicy": {"type": "foo"}},
        422,
        tried(
            ajv(
                "/playbackPolicy/type",
                "#/properties/playbackPolicy/properties/type/enum",
                "enum",
                {"allowedValues": ["public", "jwt", "webhook", "lit_signing_condition"]},
                ALLOWED,
            )
        ),
    ),
    "a policy of two possible types": (
        {"playbackPolicy": 3},
        422,
        tried(ajv("/playbackPolicy", "#/properties/playbackPolicy/type", "type", {"type": ["object", "null"]}, "must be object,null")),
    ),
    "private": (
        {"playbackPolicy": {"type": "jwt"}},
        422,
        ["cannot update playback policy from private to public or vice versa"],
    ),
    "off IPFS again": ({"storage": {"ipfs": False}}, 400, ["Cannot remove asset from IPFS"]),
}


@pytest.mark.parametrize(("body", "status", "texts"), PATCH_REFUSALS.values(), ids=PATCH_REFUSALS.keys())
def test_a_patch_is_refused(body: Any, status: int, texts: list[str]) -> None:
    studio = Studio()
    asset_id = ready(studio)
    if "storage" in body:
        studio.send("PATCH", f"/asset/{asset_id}", {"storage": {"ipfs": True}})
    before = studio.asset(asset_id)
    assert studio.send("PATCH", f"/asset/{asset_id}", body) == (status, {"errors": texts})
    assert studio.asset(asset_id) == before


PATCHES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nothing": ({}, {}),
    "a name": ({"name": "new"}, {"name": "new"}),
    "an empty name": ({"name": ""}, {"name": ""}),
    "a creator as text": ({"creatorId": "own"}, {"creatorId": {"type": "unverified", "value": "own"}}),
    "a creator as object": (
        {"creatorId": {"type": "unverified", "value": "own"}},
        {"creatorId": {"type": "unverified", "value": "own"}},
    ),
    "a blank creator": ({"creatorId": ""}, {"creatorId": {"type": "unverified", "value": ""}}),
    "public": ({"playbackPolicy": {"type": "public"}}, {"playbackPolicy": {"type": "public"}}),
    "no policy": ({"playbackPolicy": None}, {"playbackPolicy": None}),
}


@pytest.mark.parametrize(("body", "changed"), PATCHES.values(), ids=PATCHES.keys())
def test_a_patch_changes_what_it_names_and_the_time(body: Any, changed: dict[str, Any]) -> None:
    studio = Studio()
    asset_id = ready(studio)
    before = studio.asset(asset_id)
    studio.wait(1)
    status, after = studio.send("PATCH", f"/asset/{asset_id}", body)
    assert status == 200
    assert after == {**before, **changed, "status": {"phase": "ready", "updatedAt": NOW_MS + 61_000}}
    assert studio.asset(asset_id) == after


def test_a_patch_stores_on_ipfs_by_a_task() -> None:
    studio = Studio()
    asset_id = ready(studio)
    _, asset = studio.send("PATCH", f"/asset/{asset_id}", {"storage": {"ipfs": True}})
    task_id = asset["storage"]["status"]["tasks"]["pending"]
    assert asset["storage"] == {
        "ipfs": {"spec": {}},
        "status": {"phase": "waiting", "tasks": {"pending": task_id}},
    }
    task = studio.task(task_id)
    assert (task["type"], task["inputAssetId"]) == ("export", asset_id)


@pytest.mark.parametrize("seconds", [0, 5], ids=["waiting", "processing"])
def test_a_patch_needs_a_ready_asset(seconds: float) -> None:
    studio = Studio()
    asset_id, _ = studio.clip()
    studio.wait(seconds)
    assert studio.send("PATCH", f"/asset/{asset_id}", {"name": "new"}) == (422, one("asset is not ready"))


def test_a_patch_is_bound_to_the_user_and_not_to_the_project() -> None:
    studio = Studio("corners")
    asset_id = ready(studio)
    assert studio.send("PATCH", "/asset/nosuchasset", {}) == (404, one("asset not found"))
    assert studio.send("PATCH", f"/asset/{asset_id}", {}, key="lp-other-user-key") == (404, one("asset not found"))
    assert studio.send("PATCH", f"/asset/{asset_id}", {}, key="lp-second-project-key")[0] == 200


@pytest.mark.parametrize("seconds", [0, 5, 60], ids=["waiting", "processing", "ready"])
def test_a_delete_works_in_every_phase_and_once(seconds: float) -> None:
    studio = Studio()
    asset_id, task_id = studio.clip()
    studio.wait(seconds)
    assert studio.send("DELETE", f"/asset/{asset_id}") == (204, None)
    assert studio.send("DELETE", f"/asset/{asset_id}") == (400, one("asset is already deleted"))
    assert studio.get(f"/asset/{asset_id}") == (404, one("Asset not found"))
    assert studio.get("/asset") == (200, [])
    assert studio.get(f"/session/{SESSION}/clips") == (200, [])
    assert studio.task(task_id)["outputAssetId"] == asset_id  # the tombstone
    assert studio.living() == {}
    studio.wait(600)
    assert studio.get("/asset") == (200, [])
    assert studio.living() == {}


def test_a_delete_is_refused() -> None:
    studio = Studio("corners")
    asset_id = ready(studio)
    assert studio.send("DELETE", "/asset/nosuchasset") == (404, one("Asset not found"))
    refused = studio.send("DELETE", f"/asset/{asset_id}", key="lp-other-user-key")
    assert refused == (403, one("users may only delete their own assets"))
    assert studio.send("DELETE", f"/asset/{asset_id}", key="lp-second-project-key")[0] == 204


def test_a_deleted_clip_is_not_cut_any_more() -> None:
    studio = Studio()
    asset_id, task_id = studio.clip()
    studio.send("DELETE", f"/asset/{asset_id}")
    studio.wait(60)
    assert studio.task(task_id)["status"] == {
        "phase": "failed",
        "updatedAt": NOW_MS + 2_000,
        "errorMessage": "task cancelled, asset has been deleted",
        "retries": 0,
    }


def test_a_restored_asset_is_read_by_id_and_never_listed() -> None:
    studio = Studio()
    asset_id = ready(studio)
    studio.send("DELETE", f"/asset/{asset_id}")
    assert studio.send("POST", f"/asset/{asset_id}/restore") == (204, None)
    asset = studio.asset(asset_id)
    assert (asset["deleted"], asset["deletedAt"], asset["status"]["phase"]) == (False, None, "ready")
    assert studio.get("/asset") == (200, [])
    assert sum(len(ids) for ids in studio.living().values()) == 1
    assert studio.send("POST", f"/asset/{asset_id}/restore") == (400, one("asset is not deleted"))


def test_a_restore_is_refused() -> None:
    studio = Studio("corners")
    asset_id = ready(studio)
    assert studio.send("POST", "/asset/nosuchasset/restore") == (404, one("asset not found"))
    refused = studio.send("POST", f"/asset/{asset_id}/restore", key="lp-other-user-key")
    assert refused == (403, one("users may only restore their own assets"))
    studio.send("DELETE", f"/asset/{asset_id}")
    studio.wait(7 * 86_400)
    refused = studio.send("POST", f"/asset/{asset_id}/restore")
    assert refused == (400, one("asset is not in a restorable state"))


# -- tasks -------------------------------------------------------------------------------------------------------------


def test_a_task_is_bound_to_the_user_and_not_to_the_project() -> None:
    studio = Studio("corners")
    _, task_id = studio.clip()
    assert studio.get("/task/nosuchtask") == (404, one("not found"))
    refused = studio.send("GET", f"/task/{task_id}", key="lp-other-user-key")
    assert refused == (403, one("user can only request information on their own tasks"))
    assert studio.send("GET", f"/task/{task_id}", key="lp-second-project-key")[0] == 200
    assert studio.send("GET", "/task", key="lp-second-project-key") == (200, [])
    assert studio.send("DELETE", f"/task/{task_id}") == (403, one("user does not have admin priviledges"))


def failed(studio: Studio) -> tuple[str, str]:
    asset_id, task_id = studio.clip(startTime=1_772_366_400, endTime=1_772_366_430)
    studio.wait(60)
    return asset_id, task_id


@pytest.mark.parametrize("by", ["asset", "task"])
def test_a_retry_keeps_the_asset_failed_until_the_run_is_done(by: str) -> None:
    studio = Studio(clip_outcome="failed", failure_seconds="1")
    asset_id, task_id = studio.clip()
    studio.wait(600)
    assert studio.asset(asset_id)["status"]["phase"] == "failed"
    studio.world.set_switches({"livepeer.clip_outcome": "ready"})
    answer = studio.send("POST", f"/{by}/{asset_id if by == 'asset' else task_id}/retry")
    assert answer == ((204, None) if by == "asset" else (200, {"id": task_id}))
    studio.wait(10)
    assert studio.task(task_id)["status"]["phase"] == "running"
    assert studio.asset(asset_id)["status"]["phase"] == "failed"
    assert studio.living() == {}
    studio.wait(12)
    assert studio.asset(asset_id)["status"] == {"phase": "ready", "updatedAt": NOW_MS + 622_000}
    assert sum(len(ids) for ids in studio.living().values()) == 1


def test_a_retry_is_refused() -> None:
    studio = Studio("corners")
    asset_id, task_id = studio.clip()
    assert studio.send("POST", f"/asset/{asset_id}/retry") == (400, one("Asset is not failed"))
    assert studio.send("POST", f"/task/{task_id}/retry") == (400, one("task is not in a retryable state"))
    assert studio.send("POST", "/asset/nosuchasset/retry") == (500, one("Internal server error: TypeError"))
    assert studio.send("POST", "/task/nosuchtask/retry") == (404, one("task not found"))
    asset_id, task_id = failed(studio)
    refused = studio.send("POST", f"/asset/{asset_id}/retry", key="lp-other-user-key")
    assert refused == (403, one("users may only retry their own assets"))
    refused = studio.send("POST", f"/task/{task_id}/retry", key="lp-other-user-key")
    assert refused == (403, one("users may only retry their own tasks"))


# -- streams, sessions, playback ---------------------------------------------------------------------------------------


def test_a_stream_holds_its_key() -> None:
    studio = Studio("corners")
    status, stream = studio.get(f"/stream/{STREAM}")
    assert (status, stream["playbackId"], stream["suspended"]) == (200, PLAYBACK_ID, False)
    assert stream["streamKey"]
    assert studio.get(f"/stream/{PLAYBACK_ID}") == (404, one("not found"))
    assert studio.get(f"/stream/playback/{PLAYBACK_ID}") == (200, stream)
    assert studio.send("GET", f"/stream/{STREAM}", key="lp-second-project-key") == (404, one("not found"))
    narrow = json.dumps([{"id": "playbackId", "value": PLAYBACK_ID}])
    assert studio.get(f"/stream?streamsonly=1&filters={narrow}") == (200, [stream])


def test_a_session_that_runs_was_seen_just_now() -> None:
    studio = Studio()
    studio.wait(100)
    status, session = studio.get(f"/session/{SESSION}")
    assert status == 200
    assert (session["parentId"], session["playbackId"]) == (STREAM, PLAYBACK_ID)
    assert (session["createdAt"], session["lastSeen"]) == (NOW_MS - 7 * 86_400_000, NOW_MS + 100_000)
    assert session["recordingStatus"] == "waiting"
    assert not {"deleted", "version", "_live", "sourceRecordingUrl"} & set(session)
    _, probed = studio.get(f"/session/{SESSION}?sourceRecording=true")
    assert probed["sourceRecordingUrl"].endswith(f"/{PLAYBACK_ID}/{SESSION}/output.m3u8")


def test_sessions_in_a_list_embed_the_stream_with_its_key() -> None:
    studio = Studio("default", "many-sessions")
    status, sessions = studio.get(f"/session?parentId={STREAM}&limit=3&count=1")
    assert status == 200
    assert [each["id"][:8] for each in sessions] == ["de7818e7", "00000024", "00000023"]
    assert studio.last.headers["x-total-count"] == "27"
    assert sessions[0]["parentStream"]["streamKey"]
    assert studio.get("/session?parentId=other") == (200, [])


def test_sessions_of_a_stream() -> None:
    studio = Studio("default", "many-sessions")
    status, sessions = studio.get(f"/stream/{STREAM}/sessions?record=true&limit=25")
    assert (status, len(sessions)) == (200, 25)
    assert "link" not in studio.last.headers
    assert (sessions[0]["version"], sessions[0]["deleted"]) == ("v2", False)
    assert studio.get(f"/stream/{STREAM}/sessions?record=0") == (200, [])
    assert studio.get("/stream/nosuchstream/sessions") == (404, one("not found"))


def test_playback_needs_no_key_and_answers_from_a_cache() -> None:
    studio = Studio()
    asset_id, _ = studio.clip()
    playback_id = studio.asset(asset_id)["playbackId"]
    nobody = {"authorization": ""}
    path = f"/playback/{playback_id}"
    assert studio.get(path, **nobody) == (422, one("asset is not ready for playback"))
    studio.wait(60)
    status, found = studio.get(path, **nobody)
    assert (status, found["type"], found["meta"]["playbackPolicy"]) == (200, "vod", None)
    assert [each["hrn"] for each in found["meta"]["source"]] == ["MP4", "HLS (TS)", "Thumbnails"]
    studio.send("DELETE", f"/asset/{asset_id}")
    assert studio.get(path, **nobody)[0] == 200
    studio.wait(120)
    assert studio.get(path, **nobody) == (404, one(f"No playback URL found for {playback_id}"))
    assert studio.get(f"/playback/{PLAYBACK_ID}", **nobody)[1]["type"] == "live"


# -- the world around it -----------------------------------------------------------------------------------------------


def test_fixtures_plant_and_merge_rows() -> None:
    studio = Studio()
    patch = {
        "livepeer": {
            "streams": [{"id": "s1", "playbackId": "planted000000000"}],
            "sessions": [{"id": "se1", "parentId": "s1", "createdAt": NOW_MS - 60_000}, {"id": SESSION, "_live": False}],
            "assets": [{"id": "a1", "name": "foreign"}],
        },
        "keys": {"livepeer": {"mine": {"name": "mine"}}},
    }
    body = json.dumps(patch).encode()
    answer = studio.emulator.handle(Request.of("PUT", "/_emulator/fixtures", body=body))
    assert answer.status == 200, answer.body
    assert studio.send("GET", "/session/se1", key="mine")[1]["playbackId"] == "planted000000000"
    assert studio.asset("a1")["name"] == "foreign"
    studio.wait(100)
    assert studio.get(f"/session/{SESSION}")[1]["lastSeen"] == NOW_MS


def test_a_world_comes_back_from_its_file(tmp_path: Any) -> None:
    from reconciler.emulator.livepeer import seed

    file = tmp_path / "world.json"
    first = World(clock=Clock.frozen_at(NOW_MS), data_file=file)
    seed(first, "default")
    headers = {"authorization": "Bearer lp-emulator-key", "content-type": "application/json"}
    emulator = Emulator(first)
    made = emulator.handle(Request.of("POST", "/api/clip", headers=headers, body=json.dumps(WINDOW).encode()))
    emulator.close()
    again = World(clock=Clock.frozen_at(NOW_MS + 60_000), data_file=file)
    again.clock.set(NOW_MS + 60_000)
    asset = Emulator(again).handle(Request.of("GET", f"/api/asset/{made.decoded()['asset']['id']}", headers=headers))
    assert asset.decoded()["status"] == {"phase": "ready", "updatedAt": NOW_MS + 22_000}


def test_the_same_calls_make_the_same_ids() -> None:
    assert Studio().clip() == Studio().clip()


def test_the_throttle_is_classed_as_one() -> None:
    errors = World().spec("livepeer").errors
    assert errors["Too many clips are being processed."].class_ == "throttled"
    assert errors["credential has insufficent privileges"].class_ == "denied"


def test_a_recording_is_an_asset_with_the_id_of_its_session() -> None:
    studio = Studio()
    ended = "5f6fb785-dc1e-4f88-a057-de7818e7610a"
    assert studio.get(f"/session/{ended}")[1]["recordingStatus"] == "none"
    files = [{"type": "catalyst_hls_manifest", "path": "output.m3u8"}]
    recording = {"id": ended, "source": {"type": "recording", "sessionId": ended}, "files": files}
    body = json.dumps({"livepeer": {"assets": [recording]}}).encode()
    assert studio.emulator.handle(Request.of("PUT", "/_emulator/fixtures", body=body)).status == 200
    session = studio.get(f"/session/{ended}")[1]
    assert session["recordingStatus"] == "ready"
    assert session["recordingUrl"].endswith("/output.m3u8")
    assert studio.get(f"/playback/{ended}")[1]["type"] == "recording"
    assert studio.get(f"/session/{ended}/clips") == (200, [])  # a recording is no clip


def test_a_head_request_has_no_body() -> None:
    studio = Studio()
    assert studio.send("HEAD", "/asset") == (200, None)


BAD_FIXTURES = {"an unknown kind": {"clips": []}, "a row without an id": {"streams": [{"name": "x"}]}}


@pytest.mark.parametrize("patch", BAD_FIXTURES.values(), ids=BAD_FIXTURES.keys())
def test_a_bad_fixture_is_refused(patch: dict[str, Any]) -> None:
    body = json.dumps({"livepeer": patch}).encode()
    answer = Studio().emulator.handle(Request.of("PUT", "/_emulator/fixtures", body=body))
    assert answer.status == 400
    assert "livepeer fixtures" in answer.decoded()["error"]


# -- the spec and the emulator agree -----------------------------------------------------------------------------------


def shapes() -> dict[str, str]:
    """A path to try for each action that has a response schema; {asset}, {task} are those of a ready clip."""
    return {
        "GET /asset": "/asset",
        "GET /asset/{id}": "/asset/{asset}?details=1",
        "GET /asset/{id}/clips": "/asset/{asset}/clips",
        "GET /task": "/task",
        "GET /task/{id}": "/task/{task}",
        "GET /clip/{id}": f"/clip/{SESSION}",
        "GET /stream/{id}/clips": f"/stream/{STREAM}/clips",
        "GET /session/{id}/clips": f"/session/{SESSION}/clips",
        "GET /session": "/session",
        "GET /session/{id}": f"/session/{SESSION}?sourceRecording=true",
        "GET /stream": "/stream",
        "GET /stream/{id}": f"/stream/{STREAM}",
        "GET /stream/playback/{playbackId}": f"/stream/playback/{PLAYBACK_ID}",
        "GET /stream/{parentId}/sessions": f"/stream/{STREAM}/sessions",
        "GET /playback/{id}": f"/playback/{PLAYBACK_ID}",
        "GET /user/me": "/user/me",
        "GET /project": "/project",
    }


def strict(schema: Any) -> Any:
    """The same schema, refusing members that it does not name."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    turned = {key: strict(each) for key, each in schema.items()}
    return {**turned, "additionalProperties": False} if "playbackId" in schema.get("properties", {}) else turned


@pytest.mark.parametrize("action", shapes())
def test_answers_have_the_shape_that_the_spec_tells(action: str) -> None:
    import jsonschema

    studio = Studio()
    asset_id, task_id = studio.clip()
    studio.wait(60)
    spec = studio.world.spec("livepeer")
    status, body = studio.get(shapes()[action].format(asset=asset_id, task=task_id))
    assert status == spec.actions[action].raw["status"]
    definitions = dict(spec.defs)
    if action.startswith(("GET /asset", "GET /clip", "GET /session/{id}/clips", "GET /stream/{id}/clips", "GET /task")):
        definitions = strict(definitions)
    jsonschema.validate(body, {**spec.actions[action].raw["response"], "$defs": definitions})
    if isinstance(body, list) and action != "GET /asset/{id}/clips":
        assert body


def test_every_action_of_the_spec_is_served_and_no_other() -> None:
    from reconciler.emulator.livepeer import ROUTES

    def plain(method: str, path: str) -> tuple[str, str]:
        return method, "/".join(":" if part[:1] in (":", "{") else part for part in path.split("/"))

    actions = World().spec("livepeer").actions.values()
    assert {plain(method, path) for method, path in ROUTES} == {plain(each.method, each.path) for each in actions}


def test_every_refusal_is_listed_in_the_spec() -> None:
    """The call log holds the code of each refusal, so a story full of them tells which codes exist."""
    studio = Studio("corners")
    errors = studio.world.spec("livepeer").errors
    for headers, path, _, _ in KEY_CASES.values():
        studio.get(path, **headers)
    for body, _, _ in CLIP_REFUSALS.values():
        studio.send("POST", "/clip", body)
    for data, _, _ in BODIES.values():
        studio.send("POST", "/clip", data)
    asset_id = ready(studio)
    for patch, _, _ in PATCH_REFUSALS.values():
        studio.send("PATCH", f"/asset/{asset_id}", patch)
    seen = {(call.error, call.status) for call in studio.world.log if call.error}
    assert len(seen) > 20
    assert seen <= {(fault.code, fault.status) for fault in errors.values()}
