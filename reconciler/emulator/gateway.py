"""Volcengine's gateway: verifies signatures, knows actions and paces, and wraps results and errors in the envelope.

The signature is AWS SigV4 in Volcengine's variant: algorithm HMAC-SHA256, scope ending in `request`, bare key.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote

from reconciler.emulator.core import Request, Response, World
from reconciler.emulator.specs import Action

ALGORITHM = "HMAC-SHA256"
VALID_SECONDS = 900
_BEIJING = timezone(timedelta(hours=8))
_SERVICES = ("live", "rtc")
NO_RESULT = object()

# Errors of the gateway in front of every service: code -> (HTTP status, CodeN).
GATEWAY_ERRORS: dict[str, tuple[int, int | None]] = {
    "UndefinedError": (500, 100001),
    "MissingParameter": (400, 100002),
    "MissingAuthenticationToken": (401, 100003),
    "MissingRequestInfo": (400, 100004),
    "MissingSignature": (401, 100005),
    "InvalidTimestamp": (403, 100006),
    "ServiceNotFound": (404, 100007),
    "InvalidActionOrVersion": (404, 100008),
    "InvalidAccessKey": (401, 100009),
    "SignatureDoesNotMatch": (401, 100010),
    "LackPolicy": (403, 100012),
    "AccessDenied": (403, 100013),
    "InternalError": (500, 100014),
    "FailToConnect": (502, 100015),
    "InternalServiceTimeout": (504, 100016),
    "InvalidAuthorization": (400, None),
    "InvalidCredential": (400, None),
    "InvalidSecretToken": (401, None),
    "MethodNotAllowed": (405, None),
    "FlowLimitExceeded": (429, None),
    "ServiceUnavailableTemp": (503, None),
}


class Refusal(Exception):
    """A request that ends in an error envelope. `status` and `code_n` default to what the gateway's table says."""

    def __init__(self, code: str, message: str, *, status: int | None = None, code_n: int | None = None) -> None:
        super().__init__(message)
        known_status, known_number = GATEWAY_ERRORS.get(code, (400, None))
        self.code, self.message = code, message
        self.status = known_status if status is None else status
        self.code_n = known_number if code_n is None else code_n


@dataclass(frozen=True, slots=True)
class Caller:
    """Who signed the request. A `sub_account` must name the group it works in."""

    access_key: str
    account: str
    readonly: bool
    sub_account: bool


@dataclass(frozen=True, slots=True)
class Signed:
    """What a request says about its own signature, from the Authorization header or a pre-signed query."""

    access_key: str
    scope: tuple[str, str, str]  # short date, region, service
    headers: tuple[str, ...]
    signature: str
    date: str
    token: str
    presigned: bool


def service_of(request: Request, world: World) -> str:
    """`live` or `rtc`: from the credential scope, else from the action's name, else `live`."""
    credential = request.param("X-Credential")
    if found := re.search(r"Credential=([^,\s]*)", request.headers.get("authorization", "")):
        credential = found[1]
    parts = credential.split("/")
    if len(parts) == 5 and parts[3] in _SERVICES:
        return parts[3]
    action = request.param("Action")
    return next((each for each in _SERVICES if action in world.spec(each).actions), "live")


def admit(request: Request, world: World, service: str, *, hidden: Iterable[str] = ()) -> tuple[Action, Caller]:
    """Every check in front of the service: action and version, method, signature, access and pace. `hidden` actions are
    treated as unknown. Raises Refusal."""
    name, version = request.param("Action"), request.param("Version")
    for parameter, value in (("Action", name), ("Version", version)):
        if not value:
            raise Refusal("MissingParameter", f"The request is missing the required parameter {parameter}.")
    spec = world.spec(service)
    action = spec.actions.get(name)
    if action is None or version != spec.raw["version"] or name in set(hidden):
        raise Refusal("InvalidActionOrVersion", f"Could not find operation {name} for version {version}")
    if request.method != action.method:
        raise Refusal("MethodNotAllowed", f"{name} does not take {request.method}, send {action.method}.")
    caller = authenticate(request, world, service)
    if caller.readonly and not action.safe:
        raise Refusal("AccessDenied", f"User is not authorized to perform: {service}:{name}")
    if not world.allowed(service, caller.account, name):
        code = str(spec.raw.get("throttle_code", "FlowLimitExceeded"))
        raise Refusal(code, f"Request was rejected because the request speed of {name} is over the limit", status=429)
    return action, caller


def authenticate(request: Request, world: World, service: str) -> Caller:
    """The caller behind a valid signature. Raises Refusal with the gateway's code."""
    signed = _read_signature(request)
    _check_scope(signed, world, service)
    _check_time(signed, request, world, service)
    known = world.data["keys"]["volcengine"].get(signed.access_key)
    if known is None:
        raise Refusal("InvalidAccessKey", "The AccessKey provided does not exist in our records.")
    _check_token(signed, str(known.get("token", "")))
    if "x-content-sha256" in request.headers:
        claimed = request.headers["x-content-sha256"].strip()
        if not signed.presigned and claimed != hashlib.sha256(request.body).hexdigest():
            raise Refusal("SignatureDoesNotMatch", "X-Content-Sha256 is not the hash of the body.")
    if not signed.presigned and world.switch(f"{service}.signed_host") == "required" and "host" not in signed.headers:
        raise Refusal("InvalidAuthorization", "The signed headers must include host.")
    expected = signature(request, signed, str(known["secret"]))
    if not hmac.compare_digest(expected.encode(), signed.signature.encode()):
        raise Refusal(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. Check your Secret Access"
            " Key and signing method. Consult the service documentation for details.",
        )
    return Caller(signed.access_key, str(known["account"]), bool(known.get("readonly")), bool(known.get("sub_account")))


def _read_signature(request: Request) -> Signed:
    if request.param("X-Signature") or request.param("X-Credential"):
        return _read_presigned(request)
    header = request.headers.get("authorization", "")
    if not header:
        raise Refusal("MissingAuthenticationToken", "The request is missing the Authorization header.")
    if not header.startswith(ALGORITHM + " "):
        raise Refusal("InvalidAuthorization", f"Authorization must start with {ALGORITHM}.")
    named = (part.partition("=") for part in header[len(ALGORITHM) :].split(","))
    parts = {name.strip(): value.strip() for name, _, value in named}
    if not parts.get("Signature"):
        raise Refusal("MissingSignature", "The request is missing its signature.")
    if "Credential" not in parts or not parts.get("SignedHeaders"):
        raise Refusal("InvalidAuthorization", "Authorization needs Credential, SignedHeaders and Signature.")
    date = request.headers.get("x-date", "").strip()
    if not date:
        raise Refusal("MissingRequestInfo", "The request is missing the header X-Date.")
    headers = tuple(name.strip().lower() for name in parts["SignedHeaders"].split(";"))
    if "x-date" not in headers:
        raise Refusal("InvalidAuthorization", "The signed headers must include x-date.")
    key, scope = _credential(parts["Credential"])
    token = request.headers.get("x-security-token", "").strip()
    return Signed(key, scope, headers, parts["Signature"], date, token, presigned=False)


def _read_presigned(request: Request) -> Signed:
    if request.method != "GET":
        raise Refusal("InvalidAuthorization", f"{request.method} must carry its signature in headers.")
    if not request.param("X-Signature"):
        raise Refusal("MissingSignature", "The request is missing X-Signature.")
    if request.param("X-Algorithm") != ALGORITHM:
        raise Refusal("InvalidAuthorization", f"X-Algorithm must be {ALGORITHM}.")
    if not request.param("X-Date"):
        raise Refusal("MissingRequestInfo", "The request is missing X-Date.")
    key, scope = _credential(request.param("X-Credential"))
    headers = tuple(name for name in request.param("X-SignedHeaders").lower().split(";") if name)
    return Signed(
        key,
        scope,
        headers,
        request.param("X-Signature"),
        request.param("X-Date"),
        request.param("X-Security-Token"),
        presigned=True,
    )


def _credential(text: str) -> tuple[str, tuple[str, str, str]]:
    parts = text.split("/")
    if len(parts) != 5 or parts[4] != "request" or not all(parts):
        raise Refusal("InvalidCredential", "Credential must look like AK/date/region/service/request.")
    return parts[0], (parts[1], parts[2], parts[3])


def _check_scope(signed: Signed, world: World, service: str) -> None:
    short_date, region, named = signed.scope
    if named not in _SERVICES:
        raise Refusal("ServiceNotFound", f"Could not find service {named}.")
    if named != service or region not in world.spec(service).raw["regions"]:
        raise Refusal("InvalidCredential", f"The credential scope {region}/{named} does not fit this service.")
    if short_date != signed.date[:8]:
        raise Refusal("InvalidCredential", "The date of the credential scope is not the date of X-Date.")


def _check_time(signed: Signed, request: Request, world: World, service: str) -> None:
    try:
        moment = datetime.strptime(signed.date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise Refusal("InvalidTimestamp", "X-Date must look like 20260101T000000Z.") from None
    valid = VALID_SECONDS
    if request.param("X-Expires") and world.switch(f"{service}.x_expires") == "enforced":
        if not request.param("X-Expires").isdigit():
            raise Refusal("InvalidTimestamp", "X-Expires must be a number of seconds.")
        valid = int(request.param("X-Expires"))
    server_now = world.clock.now_ms() / 1000 + world.number(f"{service}.clock_offset")
    age = server_now - moment.timestamp()
    if age > valid or age < -VALID_SECONDS:
        raise Refusal("InvalidTimestamp", "The Signature of the request is expired or comes from the future.")


def _check_token(signed: Signed, expected: str) -> None:
    if not signed.token and not expected:
        return
    if not hmac.compare_digest(signed.token.encode(), expected.encode()):
        raise Refusal("InvalidSecretToken", "The security token is missing, wrong or expired.")
    if not signed.presigned and "x-security-token" not in signed.headers:
        raise Refusal("InvalidAuthorization", "The signed headers must include x-security-token.")


def canonical_request(request: Request, signed_headers: Iterable[str], *, presigned: bool = False) -> str:
    """The text whose hash is signed."""
    pairs = [(name, value) for name, value in request.query if not (presigned and name == "X-Signature")]
    encoded = sorted(((_encode(name), _encode(value)) for name, value in pairs), key=lambda pair: pair[0])
    query = "&".join(f"{name}={value}" for name, value in encoded)
    headers = sorted(signed_headers)
    lines = "".join(f"{name}:{_header(request, name)}\n" for name in headers) or ("\n" if presigned else "")
    body = b"" if presigned else request.body
    return "\n".join([request.method, request.path or "/", query, lines, ";".join(headers), hashlib.sha256(body).hexdigest()])


def signature(request: Request, signed: Signed, secret: str) -> str:
    """The signature this request should carry, as lower-case hex."""
    canonical = canonical_request(request, signed.headers, presigned=signed.presigned)
    scope = "/".join([*signed.scope, "request"])
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = "\n".join([ALGORITHM, signed.date, scope, digest])
    return hmac.new(signing_key(secret, signed.scope), to_sign.encode(), hashlib.sha256).hexdigest()


def signing_key(secret: str, scope: Iterable[str]) -> bytes:
    """The key of the day, region and service."""
    key = secret.encode()
    for part in (*scope, "request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def _encode(text: str) -> str:
    return quote(text, safe="-_.~")


def _header(request: Request, name: str) -> str:
    value = request.headers.get(name, "").strip()
    if name == "host":
        host, _, port = value.rpartition(":")
        return host if host and port in ("80", "443") else value
    return value


# -- the envelope ----------------------------------------------------------------------------------------------------


def request_id(world: World) -> str:
    """14 digits of Beijing time, then 20 hexadecimal characters; unique within a world."""
    moment = datetime.fromtimestamp(world.clock.now_ms() / 1000, _BEIJING)
    sequence = world.call.seq if world.call is not None else world.next_seq()
    return f"{moment:%Y%m%d%H%M%S}{sequence:020X}"


def metadata(request: Request, world: World, service: str) -> dict[str, Any]:
    """`ResponseMetadata` without an error."""
    version = request.param("Version")
    if service == "live" and world.switch("live.echo_version") != "request":
        version = world.switch("live.echo_version")
    return {
        "RequestId": request_id(world),
        "Action": request.param("Action"),
        "Version": version,
        "Service": service,
        "Region": _region(request),
    }


def _region(request: Request) -> str:
    found = re.search(r"Credential=[^/,]*/[^/,]*/([^/,]+)/", request.headers.get("authorization", ""))
    return found[1] if found else "cn-north-1"


def succeed(request: Request, world: World, service: str, result: object = NO_RESULT) -> Response:
    """HTTP 200, always exactly 200; NO_RESULT leaves the key out."""
    meta = metadata(request, world, service)
    body: dict[str, Any] = {"ResponseMetadata": meta}
    if result is not NO_RESULT:
        body["Result"] = result
    return Response.json(200, body, x_tt_logid=meta["RequestId"])


def refuse(
    request: Request,
    world: World,
    service: str,
    refusal: Refusal,
    *,
    result: object = NO_RESULT,
    status: int | None = None,
) -> Response:
    """The error envelope; `CodeN` only where the gateway has a number."""
    meta = metadata(request, world, service)
    error: dict[str, Any] = {"CodeN": refusal.code_n} if refusal.code_n is not None else {}
    meta["Error"] = {**error, "Code": refusal.code, "Message": refusal.message}
    body: dict[str, Any] = {"ResponseMetadata": meta}
    if result is not NO_RESULT:
        body["Result"] = result
    answered = refusal.status if status is None else status
    return Response.json(answered, body, error=refusal.code, x_tt_logid=meta["RequestId"])


def fault_answer(world: World, request: Request, fault: str) -> Response | None:
    """A scripted fault in the gateway's words."""
    words = {
        "500": ("InternalError", "Internal error, please try again later.", 500),
        "502": ("FailToConnect", "Gateway failed to connect the backend service.", 502),
        "504": ("InternalServiceTimeout", "The backend service timed out.", 504),
        "429": ("FlowLimitExceeded", "Request was rejected because the request speed is over the limit.", 429),
        "403": ("AccessDenied", "User is not authorized to perform this action.", 403),
        "invalidTimestamp": ("InvalidTimestamp", "The Signature of the request is expired.", 403),
        "commonErr": ("CommonErr", "common error, please retry", 200),
    }
    if fault not in words:
        return None
    code, message, status = words[fault]
    return refuse(request, world, service_of(request, world), Refusal(code, message, status=status))
