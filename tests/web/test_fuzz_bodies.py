"""Bodies that nobody should send, at every route that takes one: refused with a sentence, and never an answer 500.

The routes, and what each wants, are taken from the application itself, so that a new one is tried as well.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from typing import Any, get_type_hints
from urllib.parse import urlencode

import httpx
import msgspec
import pytest
from litestar.routes import HTTPRoute
from msgspec import inspect
from structlog.testing import capture_logs

from lastgood.web.app import create_pages
from lastgood.web.session import make_form_token, session_digest
from tests.hub.mangled import replaced
from tests.web.site import ORIGIN, Home

SEED = 20260314
UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})
KINDS = (
    "application/json",
    "application/json; charset=utf-16",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "multipart/form-data",
    "text/plain",
    "application/x-msgpack",
    "",
)
STRANGE = ("none", "%00", "..%2f..", "%F0%9F%92%BE", "x" * 300, "%ED%A0%80", "01ARZ3NDEKTSV4RRFFQ69G5FAV")
TEXTS = ("home", "/home", "/srv/x", "0 2 * * *", "Europe/Berlin", "*/0 * * * *", "30d", "daily", "https://a.test/")


def unsafe_routes(home: Home) -> list[tuple[str, str, Any]]:
    """Method, path and the type of the body; None where a form is read by hand, or nothing."""
    found = []
    for route in create_pages(home.site, home.limits).routes:
        if isinstance(route, HTTPRoute):
            for handler in route.route_handlers:
                methods = [str(method) for method in handler.http_methods if str(method) in UNSAFE]
                wanted = get_type_hints(handler.fn).get("data") if methods else None
                found += [(method, route.path, wanted) for method in methods]
    return sorted(found, key=lambda one: one[:2])


class Bodies:
    """Draws bodies that fit a type, and spoils most of them."""

    def __init__(self, dice: random.Random, home: Home) -> None:
        self._dice = dice
        self._ids = {
            "host": list(home.fleet.hosts),
            "source": list(home.fleet.sources),
            "repository": list(home.fleet.repositories),
            "run": list(home.fleet.running),
        }

    def an_id(self, name: str) -> str:
        return self._dice.choice(self._ids.get(name.removesuffix("_id"), ["lg_link_none"]))

    def path(self, template: str) -> str:
        def fill(match: re.Match[str]) -> str:
            return self.an_id(match[1]) if self._dice.random() < 0.8 else self._dice.choice(STRANGE)

        return re.sub(r"\{(\w+)(:\w+)?\}", fill, template)

    def body(self, wanted: Any) -> tuple[bytes, str]:
        """What is sent and as which kind."""
        dice = self._dice
        fitting = self._value("", inspect.type_info(wanted)) if wanted is not None else {"name": "ann", "again": "x"}
        way = dice.random()
        kind = KINDS[0] if dice.random() < 0.7 else dice.choice(KINDS)
        if way < 0.2:
            return json.dumps(fitting).encode(), kind
        if way < 0.7:
            return replaced(dice, fitting), kind
        if way < 0.85:
            flat = {name: str(value) for name, value in fitting.items()} if isinstance(fitting, dict) else {}
            return urlencode(flat).encode() + dice.choice((b"", b"&%ff=%zz", b"&a=\xff")), KINDS[2]
        if way < 0.95:
            return dice.randbytes(dice.randint(0, 300)), kind
        return dice.choice((b"[", b'{"a":')) * 20_000, kind

    def _value(self, name: str, wanted: Any) -> Any:
        dice = self._dice
        match wanted:
            case inspect.StructType(fields=fields):
                required = [one for one in fields if one.required or dice.random() < 0.6]
                return {one.encode_name: self._value(one.encode_name, one.type) for one in required}
            case inspect.UnionType(types=types):
                return self._value(
                    name, dice.choice([t for t in types if getattr(t, "cls", None) is not msgspec.UnsetType])
                )
            case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item):
                return [self._value(name, item) for _ in range(dice.randint(0, 3))]
            case inspect.DictType(value_type=inner):
                return {dice.choice(("A", "AWS_SECRET_ACCESS_KEY", "")): self._value(name, inner)}
            case inspect.IntType() | inspect.FloatType():
                return dice.choice((0, 1, 7, 3600, -1, 10**12))
            case inspect.BoolType():
                return dice.random() < 0.5
            case inspect.DateTimeType():
                return dice.choice(("2026-03-15T12:00:00Z", "2026-03-15T12:00:00", "9999-12-31T23:59:59-23:59"))
            case inspect.EnumType(cls=members):
                return dice.choice([member.value for member in members])
            case inspect.LiteralType(values=values):
                return dice.choice(values)
            case inspect.NoneType():
                return None
        return self.an_id(name) if name.endswith("_id") else f"{dice.choice(TEXTS)}{dice.choice(('', dice.random()))}"


async def callers(home: Home) -> Iterator[httpx.AsyncClient]:
    """A program, and a browser with its form token in a header."""
    browser = await home.signed_in(f"ann-{random.random()}")
    [cookie] = [c.value for c in browser.cookies.jar]
    holder = "session " + session_digest(home.site, str(cookie))
    browser.headers.update({"origin": ORIGIN, "x-csrf-token": make_form_token(home.site.secret_key, holder)})
    return iter((home.program(), browser))


async def shower(home: Home, each: int) -> int:
    """So many bodies at each route; answers how many were sent."""
    dice = random.Random(SEED)
    sent = refused = 0
    routes = unsafe_routes(home)
    assert len(routes) >= 11
    bodies = Bodies(dice, home)
    for method, template, wanted in routes:
        clients = list(await callers(home))
        for _ in range(each):
            path, (body, kind) = bodies.path(template), bodies.body(wanted)
            with capture_logs() as logs:
                answer = await dice.choice(clients).request(
                    method, path, content=body, headers={"content-type": kind} if kind else {}
                )
            assert answer.status_code < 500, (method, path, kind, body[:500], logs)
            sent += 1
            refused += answer.status_code >= 400
            if answer.status_code >= 400 and path.startswith("/api/"):
                assert answer.json()["error"]["message"].endswith("."), answer.text
    assert refused > sent // 2
    return sent


async def test_a_thousand_malformed_bodies_are_refused_and_none_is_answered_with_500(home: Home) -> None:
    assert await shower(home, each=30) >= 300


@pytest.mark.slow
async def test_ten_thousand_malformed_bodies_are_refused_and_none_is_answered_with_500(home: Home) -> None:
    assert await shower(home, each=1 + 10_000 // len(unsafe_routes(home))) >= 10_000
