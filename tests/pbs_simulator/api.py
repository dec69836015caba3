"""From a request line to an answer: finds the route, checks who asks and what with, asks the endpoint.

Order as in PBS: who are you (401), is there such a path (404), may you (403), are the parameters right (400).
Outside format: PBS API, GET only, below /api2/json.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, unquote

from . import api_collection, api_jobs, api_server, api_stores, api_tasks, refusal
from .call import Call, Route
from .upid import NODE
from .world import World

ROOT = "/api2/json/"
ROUTES = (*api_server.ROUTES, *api_stores.ROUTES, *api_collection.ROUTES, *api_jobs.ROUTES, *api_tasks.ROUTES)

_BOOLEANS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
_CHOICES = {
    "type": ("vm", "ct", "host"),
    "direction": ("all", "push", "pull"),
    "statuses": ("ok", "warning", "error", "unknown"),
}


@lru_cache(maxsize=4096)
def find(path: str) -> tuple[Route, dict[str, str]] | None:
    """The route of a path and what its placeholders hold; a literal step goes before a placeholder."""
    if not path.startswith(ROOT):
        return None
    steps = [unquote(step) for step in path[len(ROOT) :].rstrip("/").split("/")]
    for route in ROUTES:
        wanted = route.path.split("/")
        if len(wanted) != len(steps):
            continue
        place: dict[str, str] = {}
        for want, step in zip(wanted, steps, strict=True):
            if want.startswith("{"):
                place[want[1:-1]] = step
            elif want != step:
                break
        else:
            if place.get("node", NODE) in (NODE, "localhost"):
                return route, place
    return None


def answer(world: World, method: str, path: str, query: str, credentials: str | None) -> Any:
    """What the endpoint gives; Refusal for everything else."""
    found = find(path)
    public = found is not None and found[0].public
    who = world.access.who(credentials, world.now)
    if who is None and not public:
        raise refusal.unauthenticated()
    if found is None or (found[0].gate is not None and not world.version.has(found[0].gate)):
        raise refusal.no_such_path(path)
    route, place = found
    if method != "GET":
        raise refusal.Refusal(405 if method not in ("POST", "PUT", "DELETE") else 400, f"method {method} not allowed")
    if route.needs:
        on, *any_of = route.needs
        if who is None or not world.access.allows(who, on.format(**place), *any_of):
            raise refusal.forbidden()
    return route.answer(Call(world, who or "", place, _parameters(world, route, query)))


def _parameters(world: World, route: Route, query: str) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for name, text in parse_qsl(query, keep_blank_values=True):
        if name == "_dc":
            continue
        kind, _, gate = route.params.get(name, "").partition("@")
        if not kind or (gate and not world.version.has(gate)):
            raise refusal.bad_parameter(name, "schema does not allow additional properties.")
        value = _value(name, kind, text)
        if kind == "statuses":
            given.setdefault(name, []).append(value)
        elif name in given:
            raise refusal.bad_parameter(name, "duplicate parameter.")
        else:
            given[name] = value
    return given


def _value(name: str, kind: str, text: str) -> Any:
    if kind == "int":
        if not text.isascii() or not text.removeprefix("-").isdigit():
            raise refusal.bad_parameter(name, "invalid digit found in string")
        return int(text)
    if kind == "bool":
        if text.lower() not in _BOOLEANS:
            raise refusal.bad_parameter(name, "Expected boolean value.")
        return _BOOLEANS[text.lower()]
    if kind in _CHOICES and text not in _CHOICES[kind]:
        raise refusal.bad_parameter(name, f"value '{text}' is not defined in the enumeration.")
    return text
