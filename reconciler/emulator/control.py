"""The control API under /_emulator: state, log, clock, switches, faults, fixtures, seeds and the oracle's ledger."""

from __future__ import annotations

import importlib
from typing import Any

from reconciler.emulator.core import VENDORS, Request, Response, World, instant_ms
from reconciler.emulator.specs import UnknownSwitch


def handle(request: Request, world: World) -> Response:
    """One control request; mistakes are answered with 400 and `{"error": "..."}`."""
    name = request.path.removeprefix("/_emulator").strip("/")
    route = _ROUTES.get((request.method, name))
    if route is None:
        known = sorted({each for _, each in _ROUTES})
        return Response.json(404, {"error": f"{request.method} /_emulator/{name} is not there", "known": known})
    try:
        body = request.json()
        return Response.json(200, route(world, body))
    except (ValueError, UnknownSwitch, KeyError, TypeError, AttributeError) as mistake:
        return Response.json(400, {"error": str(mistake) or type(mistake).__name__})


def _health(world: World, _: Any) -> Any:
    return {"ok": True, "now": world.clock.now_ms(), "calls": world.seq, "vendors": list(VENDORS)}


def _state(world: World, _: Any) -> Any:
    return {vendor: _hook(world, vendor, "state", world.data.get(vendor, {})) for vendor in VENDORS}


def _log(world: World, _: Any) -> Any:
    return [call.as_dict() for call in world.log]


def _clear_log(world: World, _: Any) -> Any:
    world.log.clear()
    return {"ok": True}


def _clock(world: World, _: Any) -> Any:
    return {"now": world.clock.now_ms(), "frozen": world.clock.frozen}


def _set_clock(world: World, body: Any) -> Any:
    """Freezes first, moves then, thaws last, so that one request can do it all without a gap."""
    if not isinstance(body, dict) or set(body) - {"now", "advance", "frozen"}:
        raise ValueError('send {"now": RFC 3339 or ms, "advance": seconds, "frozen": true or false}')
    if body.get("frozen") is True:
        world.clock.freeze()
    if "now" in body:
        world.clock.set(instant_ms(body["now"]))
    if "advance" in body:
        world.clock.advance(float(body["advance"]))
    if body.get("frozen") is False and world.clock.frozen:
        world.clock.thaw()
    world.changed()
    return _clock(world, None)


def _switches(world: World, _: Any) -> Any:
    return {
        name: {
            "value": world.switch(name),
            "default": switch.default,
            "values": list(switch.values),
            "number": switch.number,
            "note": switch.note,
        }
        for name, switch in world.known_switches().items()
    }


def _set_switches(world: World, body: Any) -> Any:
    if not isinstance(body, dict):
        raise ValueError('send {"live.update_semantics": "merge"}')
    world.set_switches(body)
    return {name: world.switch(name) for name in world.known_switches()}


def _faults(world: World, _: Any) -> Any:
    return [rule.as_dict() for rule in world.faults.rules]


def _add_faults(world: World, body: Any) -> Any:
    world.faults.add(body if isinstance(body, list) else [body])
    return _faults(world, None)


def _clear_faults(world: World, _: Any) -> Any:
    world.faults.clear()
    return []


def _reset(world: World, _: Any) -> Any:
    world.reset()
    return {"ok": True}


def _seed(world: World, body: Any) -> Any:
    sow(world, str(body["name"]))
    return {"ok": True}


def _fixtures(world: World, body: Any) -> Any:
    if not isinstance(body, dict) or set(body) - {*VENDORS, "keys"}:
        raise ValueError(f"send an object with some of {', '.join(VENDORS)}, keys")
    for vendor, patch in body.items():
        target = world.data.setdefault(vendor, {})
        if vendor == "keys" or _hook(world, vendor, "fixtures", None, patch) is None:
            merge(target, patch)
    world.cache.clear()
    world.changed()
    return {"ok": True}


def _ledger(world: World, _: Any) -> Any:
    return world.ledger.events


_ROUTES = {
    ("GET", "health"): _health,
    ("GET", "state"): _state,
    ("GET", "log"): _log,
    ("DELETE", "log"): _clear_log,
    ("GET", "clock"): _clock,
    ("PUT", "clock"): _set_clock,
    ("GET", "switches"): _switches,
    ("PUT", "switches"): _set_switches,
    ("GET", "faults"): _faults,
    ("POST", "faults"): _add_faults,
    ("DELETE", "faults"): _clear_faults,
    ("POST", "reset"): _reset,
    ("POST", "seed"): _seed,
    ("PUT", "fixtures"): _fixtures,
    ("GET", "ledger"): _ledger,
}


def sow(world: World, name: str) -> None:
    """Plant the fixture `name` of every vendor that has it. ValueError when nobody does."""
    known = False
    for vendor in VENDORS:
        module = _module(vendor)
        if name in getattr(module, "SEEDS", ()) or _is_bulk(vendor, name):
            module.seed(world, name)
            known = True
    if not known:
        raise ValueError(f"seed {name!r} is not known; try {', '.join(seeds())} or tasks-<number>")
    world.changed()


def seeds() -> list[str]:
    """The names of all seeds."""
    return sorted({each for vendor in VENDORS for each in getattr(_module(vendor), "SEEDS", ())})


def _is_bulk(vendor: str, name: str) -> bool:
    head, _, count = name.partition("-")
    return vendor == "live" and head == "tasks" and count.isdigit()


def merge(target: dict[str, Any], patch: dict[str, Any]) -> None:
    """Merge objects deeply; null removes a member; everything else replaces."""
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, dict) and isinstance(target.get(key), dict):
            merge(target[key], value)
        else:
            target[key] = value


def _module(vendor: str) -> Any:
    try:
        return importlib.import_module(f"reconciler.emulator.{vendor}")
    except ModuleNotFoundError:
        return None


def _hook(world: World, vendor: str, name: str, otherwise: Any, *arguments: Any) -> Any:
    """Call the vendor module's optional function; `fixtures` returns True when it took the patch itself."""
    function = getattr(_module(vendor), name, None)
    if function is None:
        return otherwise
    result = function(world, *arguments)
    return True if result is None else result
