"""One request to Livepeer Studio on its way: whose key it carries, what that key may do, and how lists are paged."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from reconciler.emulator import ajv
from reconciler.emulator.core import Request, World, parse_query
from reconciler.emulator.livepeer_fixtures import default_user
from reconciler.emulator.livepeer_rows import (
    DatabaseError,
    FilterError,
    Page,
    Row,
    Store,
    page,
)

EMAIL_VERIFICATION_CUTOFF = 1_695_765_600_000
_CORS_RULES: list[Row] = [
    {"methods": ["get"], "resources": ["/stream/:id/sessions", "/session/:id", "/task/:id"]},
    {"methods": ["get", "patch"], "resources": ["/stream/:id", "/asset/:id"]},
    {"methods": ["post"], "resources": ["/stream", "/asset/upload/url", "/asset/request-upload", "/asset/:id/export"]},
]
_READ_RULES: list[Row] = [{"methods": ["get"], "resources": ["*"]}]


class Refusal(Exception):
    """An answer other than success; `code` is the text as the spec lists it, with <...> for what varies."""

    def __init__(self, status: int, *texts: str, code: str = "") -> None:
        super().__init__(*texts)
        self.status = status
        self.texts = texts
        self.code = code or texts[0]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: the user's row, the project of the key, and the key's own record."""

    user: Row
    project_id: str
    key: Row

    def sees(self, row: Row) -> bool:
        """Reads by id and lists are bound to the user and to the project of the key."""
        mine = bool(row["userId"] == self.user["id"])
        return mine and (row.get("projectId") or self.user.get("defaultProjectId", "")) == self.project_id


@dataclass(slots=True)
class Visit:
    """One request on its way to an endpoint. `query` has one text a name, as the vendor's handlers see it; `headers`
    go into the answer."""

    world: World
    store: Store
    request: Request
    caller: Caller | None
    body: Any
    path: str
    arg: str = ""
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def user(self) -> Row:
        return self.me.user

    @property
    def me(self) -> Caller:
        assert self.caller is not None  # guarded by `authorize`
        return self.caller

    @property
    def now(self) -> int:
        return self.world.clock.now_ms()


# -- the key -----------------------------------------------------------------------------------------------------------


def authenticate(visit: Visit) -> Caller | None:
    """Who sends this; None when the request carries no credentials at all. Refusal 400, 401, 403."""
    header = visit.request.headers.get("authorization", "")
    match = re.match(r"\s*(\w+)\s+(.+)$", header)
    if match is None:
        return None
    scheme, secret = match[1].lower(), match[2].strip()
    owner = ""
    if scheme == "basic":
        owner, secret = _basic(secret)
    elif scheme == "jwt":
        raise Refusal(401, "jwt malformed")
    elif scheme != "bearer":
        text = f"unsupported authorization header scheme: {match[1]}"
        raise Refusal(401, text, code="unsupported authorization header scheme: <scheme>")
    key = visit.world.data["keys"]["livepeer"].get(secret)
    user_id = (key or {}).get("user") or default_user(visit.store)["id"]
    if key is None or (scheme == "basic" and owner != user_id):
        raise Refusal(401, f"no token {secret} found", code="no token <key> found")
    if any(name == "projectId" and value for name, value in visit.request.query):
        raise Refusal(400, "projectId as query param not supported")
    user = visit.store.get("user", user_id)
    if user is None:
        raise Refusal(401, f"no user found from authorization header: {header}", code="no user found")
    if user.get("suspended"):
        raise Refusal(403, "user is suspended")
    return Caller(user, key.get("project") or user.get("defaultProjectId", ""), key)


def _basic(secret: str) -> tuple[str, str]:
    try:
        owner, _, key = base64.b64decode(secret, validate=True).decode().partition(":")
    except ValueError:
        owner, key = "", ""
    if not key:
        raise Refusal(401, "no authorization token provided")
    return owner, key


def authorize(visit: Visit, access: str) -> None:
    """Whether the caller may use this route. `access` is key, dashboard (no API keys) or admin. Refusal 401, 403."""
    caller = visit.caller
    if caller is None:
        raise Refusal(401, "request is not authenticated")
    if access == "dashboard":
        raise Refusal(403, "access forbidden for API keys")
    rights = caller.key.get("access") or {}
    origins = (rights.get("cors") or {}).get("allowedOrigins") or []
    origin = visit.request.headers.get("origin")
    if origin and not {origin, "*"} & set(origins):
        text = f"credential disallows CORS access from origin {origin}"
        raise Refusal(403, text, code="credential disallows CORS access from origin <origin>")
    if origin:
        visit.headers |= {"access-control-allow-origin": origin, "access-control-allow-credentials": "true"}
    user = caller.user
    if not user.get("emailValid", True) and user["createdAt"] > EMAIL_VERIFICATION_CUTOFF:
        wanted = "has not been verified. please check your inbox for verification email."
        raise Refusal(403, f"user {user['email']} {wanted}", code=f"user <email> {wanted}")
    if access == "admin":
        raise Refusal(403, "user does not have admin priviledges")
    rules = rights.get("rules") or (_READ_RULES if caller.key.get("readonly") else None)
    restricted = rules is None and bool(origins) and not (rights.get("cors") or {}).get("fullAccess")
    if restricted and not _covered(_CORS_RULES, visit):
        raise Refusal(403, "access forbidden for CORS-enabled API key with restricted access")
    if rules is not None and not _covered(rules, visit):
        raise Refusal(403, "credential has insufficent privileges")


def _covered(rules: Iterable[Mapping[str, Any]], visit: Visit) -> bool:
    method = visit.request.method.lower()
    return any(
        resource_fits(resource, visit.path) and ({method, "*"} & set(rule.get("methods") or ["*"]))
        for rule in rules
        for resource in rule["resources"]
    )


def resource_fits(resource: str, path: str) -> bool:
    wanted, given = parts_of(resource), parts_of(path)
    if wanted and wanted[-1] == "*":
        wanted, given = wanted[:-1], given[: len(wanted) - 1]
    return len(wanted) == len(given) and all(w.startswith(":") or w == g for w, g in zip(wanted, given, strict=True))


def parts_of(path: str) -> list[str]:
    return [part for part in path.split("/") if part]


# -- lists and bodies --------------------------------------------------------------------------------------------------


def page_of(visit: Visit, rows: Iterable[Row], name: str, *, always_next: bool = False, joined: bool = False) -> Page:
    """One page by the query, with X-Total-Count and Link as the vendor sets them."""
    listing = visit.world.spec("livepeer").raw["lists"][name]
    columns = {"@email": str(visit.user["email"])} if joined else None
    try:
        found = page(rows, visit.query, fields=listing["fields"], order=listing["order"], joined=columns)
    except FilterError as mistake:
        text = f"error parsing filters: {mistake}"
        raise Refusal(400, text, code="error parsing filters: <why>") from None
    if visit.query.get("count") and found.rows:
        visit.headers["x-total-count"] = str(found.total)
    if found.rows and (found.cursor or always_next):
        visit.headers["link"] = f'<{_next_url(visit, found.cursor or "undefined")}>; rel="next"'
    return found


def _next_url(visit: Visit, cursor: str) -> str:
    """This request with another cursor, by the scheme that the inner server saw."""
    pairs = [pair for pair in parse_query(visit.request.raw_query) if pair[0] != "cursor"]
    query = urlencode([*pairs, ("cursor", cursor)], safe="*")
    scheme = visit.world.switch("livepeer.link_scheme")
    return f"{scheme}://{visit.request.headers.get('host', 'livepeer.studio')}{visit.request.path}?{query}"


def validate(visit: Visit, action: str) -> None:
    broken = ajv.errors(visit.world.spec("livepeer").actions[action].request, visit.body)
    if broken:
        raise Refusal(422, *broken, code="<ajv>")


def storable(text: str) -> str:
    """The database takes no NUL and no half of a surrogate pair."""
    if "\x00" in text or any("\ud800" <= each <= "\udfff" for each in text):
        raise DatabaseError("unsupported Unicode escape sequence")
    return text
