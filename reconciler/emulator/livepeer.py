"""Livepeer Studio as far as clips need it: keys, POST /clip, assets, tasks, sessions and streams, word for word.

A request goes the way of the vendor's server: key, JSON body, route, permission, then the endpoint with its checks in
the published order. Facts (schemas, filter fields, switches) come from specs/livepeer-studio.yaml.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from reconciler.emulator import livepeer_assets as assets
from reconciler.emulator import livepeer_streams as streams
from reconciler.emulator import livepeer_worker
from reconciler.emulator.core import Request, Response, World
from reconciler.emulator.livepeer_fixtures import SEEDS, default_user, plant, seed
from reconciler.emulator.livepeer_rows import DatabaseError, Store, syntax_error
from reconciler.emulator.livepeer_visit import Refusal, Visit, authenticate, authorize, parts_of, resource_fits

__all__ = ["ROUTES", "SEEDS", "fault_answer", "fixtures", "handle", "seed", "state", "tick"]

BODY_LIMIT = 100 * 1024


def handle(request: Request, world: World) -> Response:
    """One request below /api."""
    _prepare(world)
    livepeer_worker.work(world)
    headers = {"vary": "Authorization, Origin", "access-control-expose-headers": "*"}
    visit = Visit(world, Store(world), request, None, {}, request.path.removeprefix("/api") or "/", headers=headers)
    try:
        status, answer = _serve(visit)
        return _answer(visit, status, answer)
    except Refusal as refusal:
        return _answer(visit, refusal.status, {"errors": list(refusal.texts)}, error=refusal.code)
    except DatabaseError:
        text = "Internal server error: error"
        return _answer(visit, 500, {"errors": [text]}, error=text)


def tick(world: World) -> None:
    """Bring the clips up to the world's clock."""
    _prepare(world)
    livepeer_worker.work(world)


def state(world: World) -> dict[str, Any]:
    """All objects, by kind and id; members that begin with `_` steer the emulator."""
    _prepare(world)
    data = world.data["livepeer"]
    return {f"{name}s": data[name] for name in ("stream", "session", "asset", "task")}


def fixtures(world: World, patch: Mapping[str, Any]) -> None:
    """Plant rows: `{"streams": [...], "sessions": [...], "assets": [...], "tasks": [...], "users": [...]}`; a row
    with a known id is merged into the one that is there."""
    _prepare(world)
    plant(Store(world), patch)


def fault_answer(_world: World, _request: Request, fault: str) -> Response | None:
    """A scripted fault in the words of this vendor; 502 and 504 come from a proxy in front of it, as HTML."""
    if fault == "500":
        return Response.json(500, {"errors": ["Internal server error: Error"]}, error="Internal server error: Error")
    if fault == "403":
        text = "Too many clips are being processed."
        return Response.json(403, {"errors": [text]}, error=text)
    if fault in ("502", "504"):
        title = {"502": "502 Bad Gateway", "504": "504 Gateway Time-out"}[fault]
        return Response.text(int(fault), f"<html><body><h1>{title}</h1></body></html>", content_type="text/html")
    return None


def _prepare(world: World) -> None:
    world.data.setdefault("livepeer", {})
    store = Store(world)
    if not store.data["user"]:
        default_user(store)


def _serve(visit: Visit) -> tuple[int, Any]:
    visit.caller = authenticate(visit)
    visit.body = _json_body(visit.request)
    endpoint, visit.arg = _find(visit.request.method, visit.path)
    if endpoint.access != "open":
        authorize(visit, endpoint.access)
    names = dict.fromkeys(name for name, _ in visit.request.query)
    visit.query = {name: ",".join(v for n, v in visit.request.query if n == name) for name in names}
    return endpoint.serve(visit)


def _answer(visit: Visit, status: int, answer: Any, *, error: str = "") -> Response:
    """JSON as the vendor's server sends it, with a weak ETag; 304 when a GET asks for what it has."""
    if status == 204:
        return Response(204, visit.headers, b"")
    body = json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    digest = base64.b64encode(hashlib.sha1(body, usedforsecurity=False).digest()).decode()[:27]
    etag = f'W/"{len(body):x}-{digest}"'
    headers = {"content-type": "application/json; charset=utf-8", **visit.headers, "etag": etag}
    known = visit.request.headers.get("if-none-match", "")
    if visit.request.method in ("GET", "HEAD") and status == 200 and etag in re.split(r"\s*,\s*", known):
        return Response(304, headers, b"")
    return Response(status, headers, b"" if visit.request.method == "HEAD" else body, error)


# -- bodies ------------------------------------------------------------------------------------------------------------


def _json_body(request: Request) -> Any:
    """The body as the server's parser leaves it: {} when it is not declared as JSON, numbers as JavaScript has them."""
    if "json" not in request.headers.get("content-type", "") or not request.body:
        return {}
    if len(request.body) > BODY_LIMIT:
        raise Refusal(413, "request entity too large")
    try:
        text = request.body.decode("utf-8")
        if text.lstrip()[:1] not in ("{", "["):
            raise json.JSONDecodeError("", text, len(text) - len(text.lstrip()))
        return json.loads(text, parse_float=_js_number, parse_int=_js_integer, parse_constant=_no_constant)
    except json.JSONDecodeError as mistake:
        raise Refusal(400, syntax_error(mistake), code="<json parser>") from None
    except (UnicodeDecodeError, RecursionError, ValueError):
        raise Refusal(400, "Unexpected token in JSON", code="<json parser>") from None


def _js_number(text: str) -> float | int:
    number = float(text)
    return int(number) if number.is_integer() else number


def _js_integer(text: str) -> int:
    number = int(text)
    return number if abs(number) <= 2**53 else int(float(text))


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is not JSON")


# -- routes ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A handler, and who may call it: `key`, `open` (nobody asks), `dashboard` or `admin` (no API key may)."""

    serve: Callable[[Visit], tuple[int, Any]]
    access: str = "key"


def _nothing(_visit: Visit) -> tuple[int, Any]:
    raise AssertionError("the guard of this route refuses everybody")


ROUTES: dict[tuple[str, str], Endpoint] = {
    ("POST", "/clip"): Endpoint(assets.create_clip),
    ("GET", "/clip/:id"): Endpoint(assets.clips_of_anything),
    ("GET", "/asset"): Endpoint(assets.list_assets),
    ("GET", "/asset/:id"): Endpoint(assets.get_asset),
    ("PATCH", "/asset/:id"): Endpoint(assets.patch_asset),
    ("DELETE", "/asset/:id"): Endpoint(assets.delete_asset),
    ("POST", "/asset/:id/restore"): Endpoint(assets.restore_asset),
    ("POST", "/asset/:id/retry"): Endpoint(assets.retry_asset),
    ("GET", "/asset/:id/clips"): Endpoint(assets.clips_of_asset),
    ("GET", "/task"): Endpoint(assets.list_tasks),
    ("GET", "/task/:id"): Endpoint(assets.get_task),
    ("POST", "/task/:id/retry"): Endpoint(assets.retry_task),
    ("DELETE", "/task/:id"): Endpoint(_nothing, "admin"),
    ("GET", "/session"): Endpoint(streams.list_sessions),
    ("GET", "/session/:id"): Endpoint(streams.get_session),
    ("GET", "/session/:id/clips"): Endpoint(assets.clips_of_session),
    ("GET", "/stream"): Endpoint(streams.list_streams),
    ("GET", "/stream/:id"): Endpoint(streams.get_stream),
    ("GET", "/stream/:id/clips"): Endpoint(assets.clips_of_stream),
    ("GET", "/stream/:id/sessions"): Endpoint(streams.sessions_of_stream),
    ("GET", "/stream/playback/:id"): Endpoint(streams.get_stream_by_playback_id),
    ("GET", "/playback/:id"): Endpoint(streams.get_playback, "open"),
    ("GET", "/user/me"): Endpoint(streams.get_me),
    ("GET", "/project"): Endpoint(streams.list_projects),
    ("GET", "/api-token"): Endpoint(_nothing, "dashboard"),
}


def _find(method: str, path: str) -> tuple[Endpoint, str]:
    """The endpoint and the id in its path. Refusal 404 for everything unknown, a wrong method too."""
    given = parts_of(path)
    for (wanted_method, template), endpoint in ROUTES.items():
        if wanted_method == ("GET" if method == "HEAD" else method) and resource_fits(template, path):
            places = [index for index, part in enumerate(parts_of(template)) if part.startswith(":")]
            return endpoint, unquote(given[places[0]]) if places else ""
    raise Refusal(404, "not found")
