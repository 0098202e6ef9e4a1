"""The front door: sends each request to its vendor, through the fault script, and writes the call log."""

from __future__ import annotations

import importlib
import json
import re
from email.utils import formatdate
from types import ModuleType
from typing import Any

from reconciler.emulator import control, gateway
from reconciler.emulator.core import Call, Request, Response, World
from reconciler.emulator.faults import FaultRule

_MODULES = {"live": "live", "rtc": "rtc", "livepeer": "livepeer"}
_STATUS_FAULTS = {"500": 500, "502": 502, "504": 504, "429": 429, "403": 403, "invalidTimestamp": 403}
_SECRET_KEYS = re.compile(r"secret|token|password|accesskey|streamkey|authorization", re.IGNORECASE)


def vendor_module(name: str) -> ModuleType:
    """The module that plays this vendor."""
    return importlib.import_module(f"reconciler.emulator.{_MODULES[name]}")


class Emulator:
    """`handle` answers one request; calls may come from several threads, they are served one after the other."""

    def __init__(self, world: World) -> None:
        self.world = world

    def handle(self, request: Request) -> Response:
        with self.world.lock:
            self._land()
            self._tick()
            if request.path == "/_emulator" or request.path.startswith("/_emulator/"):
                response = control.handle(request, self.world)
            else:
                response = self._serve(request)
            self.world.settle()
            return response

    def collect(self, ticket: int) -> Response:
        """The answer to a request that a `late:N` fault held back; it runs now unless its time came before. One that
        nobody collects runs all the same, once the clock is there: the client gave up, the network did not."""
        with self.world.lock:
            if ticket in self.world.in_flight:
                _, request = self.world.in_flight.pop(ticket)
                self._tick()
                self.world.landed[ticket] = self._serve(request, late=True)
                self.world.settle()
            return self.world.landed.pop(ticket)

    def _land(self) -> None:
        """Run the held-back requests whose time has come."""
        now = self.world.clock.now_ms()
        for ticket, (due, request) in sorted(self.world.in_flight.items(), key=lambda each: each[1][0]):
            if due <= now:
                del self.world.in_flight[ticket]
                self._tick()
                self.world.landed[ticket] = self._serve(request, late=True)

    def close(self) -> None:
        """Write the data file a last time."""
        with self.world.lock:
            self.world.settle(force=True)

    def _tick(self) -> None:
        for name in _MODULES:
            if self.world.data.get(name):
                tick = getattr(vendor_module(name), "tick", None)
                if tick is not None:
                    tick(self.world)

    def _serve(self, request: Request, *, late: bool = False) -> Response:
        world = self.world
        vendor, action = route(request, world)
        if not vendor:
            return self._dated(Response.text(404, f"no emulated vendor serves {request.method} {request.path}"), "")
        call = Call(world.next_seq(), world.clock.now_ms(), vendor, action, request.method, body=_readable(request))
        rule = None if late else world.faults.strike(action)
        if rule is not None:
            call.fault = f"{rule.when} {rule.fault}"
        world.log.append(call)
        if rule is not None and rule.when == "before":
            response = self._before(rule, request, vendor, call)
        else:
            response = self._run(request, vendor, call)
            if rule is not None:
                response = self._after(rule, request, vendor, response)
        call.status, call.error = (0 if response.spoil else response.status), response.error
        return self._dated(response, vendor)

    def _run(self, request: Request, vendor: str, call: Call) -> Response:
        self.world.call = call
        try:
            response: Response = vendor_module(vendor).handle(request, self.world)
        finally:
            self.world.call = None
        if call.effect:
            self.world.changed()
        return response

    def _before(self, rule: FaultRule, request: Request, vendor: str, call: Call) -> Response:
        if rule.delay is not None:
            self.world.in_flight[call.seq] = (call.at + round(rule.delay * 1000), request)
            return Response(0, {}, b"", delay=rule.delay, ticket=call.seq)
        if rule.fault == "halfBody":
            whole = self._answer("500", request, vendor)
            whole.spoil = "halfBody"
            return whole
        return self._answer(rule.fault, request, vendor)

    def _after(self, rule: FaultRule, request: Request, vendor: str, real: Response) -> Response:
        if rule.delay is not None:
            real.delay = rule.delay
            return real
        if rule.fault == "halfBody":
            real.spoil = "halfBody"
            return real
        return self._answer(rule.fault, request, vendor)

    def _answer(self, fault: str, request: Request, vendor: str) -> Response:
        """The spoilt answer itself, in the vendor's own words where it has some."""
        if fault in ("reset", "timeout"):
            return Response(0, {}, b"", spoil=fault)
        if fault == "notJson":
            return Response.text(200, '{"ResponseMetadata": {"RequestId": oops', content_type="application/json")
        if fault == "html502":
            page = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
            return Response.text(502, page, content_type="text/html")
        own = getattr(vendor_module(vendor), "fault_answer", None)
        answer: Response | None = own(self.world, request, fault) if own is not None else None
        if answer is not None:
            return answer
        status = _STATUS_FAULTS.get(fault, 200)
        return Response.json(status, {"errors": [f"scripted fault {fault}"]}, error=fault)

    def _dated(self, response: Response, vendor: str) -> Response:
        """With a Date header by the vendor's clock, as clients correct their own by it."""
        offset = f"{vendor}.clock_offset"
        ahead = self.world.number(offset) if vendor and offset in self.world.spec(vendor).switches else 0.0
        response.headers.setdefault("date", formatdate(self.world.clock.now_ms() / 1000 + ahead, usegmt=True))
        return response


def route(request: Request, world: World) -> tuple[str, str]:
    """`(vendor, action)`; `("", "")` when nobody serves the path."""
    if request.path.startswith("/api/") or request.path == "/api":
        path = request.path.removeprefix("/api")
        return "livepeer", world.spec("livepeer").match(request.method, path) or f"{request.method} {path}"
    if request.path == "/":
        return gateway.service_of(request, world), request.param("Action")
    return "", ""


def _readable(request: Request) -> Any:
    """The request for the log: the body, or the query when there is none, with everything secret masked."""
    try:
        sent = json.loads(request.body) if request.body else dict(request.query)
    except ValueError:
        return f"<{len(request.body)} bytes, not JSON>"
    return _masked(sent)


def _masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: "***" if _SECRET_KEYS.search(str(key)) else _masked(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_masked(each) for each in value]
    return re.sub(r"(://[^?#\s]*)\?.*", r"\1?***", value) if isinstance(value, str) else value
