"""The door of scrapers with real API tokens behind it: who comes in by section, in the order of the rules."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import httpx
import pytest

from lastgood.auth.gate import Gate
from lastgood.secret import Secret
from lastgood.web.asgi import PLAIN, answer
from lastgood.web.door import Door
from lastgood.web.limits import Attempts, Guesses
from tests.builders import an_id
from tests.web.site import ORIGIN, Home

INSIDE = (ip_network("192.0.2.0/24"),)
OUTSIDE = (ip_network("10.0.0.0/8"),)
STATIC = Secret("the static token")


def door(home: Home, gate: Gate | None = None) -> Any:
    """What a mount of scrapers does, with the hub's own tokens."""
    made = Door(
        gate or Gate(),
        home.tokens.scrapers_exist,
        home.tokens.view,
        used=home.tokens.used,
        guessing=home.limits.tokens,
        clock=lambda: home.moment,
    )

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        admission = made.admit(scope)
        if admission.granted:
            await answer(scope, send, 200, [PLAIN], b"up 1\n")
        else:
            await made.turn_away(scope, send, admission)

    return app


async def ask(app: Any, token: str | None = None, address: str = "192.0.2.7") -> httpx.Response:
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    transport = httpx.ASGITransport(app, client=(address, 5000))
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
        return await client.get("/metrics", headers=headers)


async def test_the_page_is_there_once_a_token_to_scrape_with_is_and_gone_with_the_last(home: Home) -> None:
    app = door(home)
    assert (await ask(app)).status_code == 404
    admin = await home.token("admin")
    assert (await ask(app, admin)).status_code == 404
    scraper = await home.token("scraper")
    statuses = [(await ask(app, token)).status_code for token in (None, "wrong", scraper, admin)]
    assert statuses == [401, 401, 200, 200]
    token_id = next(one.id for one in home.tokens.every() if one.role == "scraper")
    await home.tokens.revoke(token_id, "ann")
    assert [(await ask(app, token)).status_code for token in (scraper, admin)] == [404, 404]


async def test_an_expired_token_keeps_the_page_mounted_and_is_turned_away_as_nobody(home: Home) -> None:
    app, scraper = door(home), await home.token("scraper", expires_at=home.moment + timedelta(days=1))
    assert (await ask(app, scraper)).status_code == 200
    home.turn(days=1)
    refused = await ask(app, scraper)
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")


async def test_a_live_token_without_the_permission_or_for_single_hosts_is_forbidden(home: Home) -> None:
    await home.roles.put("runner", ["backup.run"], "ann", frozenset({"backup.run"}))
    app, _ = door(home), await home.token("scraper")
    lacking = await ask(app, await home.token("runner"))
    assert (lacking.status_code, lacking.text) == (403, "This token may not read metrics.\n")
    of_hosts = await ask(app, await home.token("viewer", hosts=[an_id("h")]))
    assert of_hosts.status_code == 403
    assert "the whole fleet" in of_hosts.text


@pytest.mark.parametrize(
    ("gate", "nothing", "wrong", "scraper", "static"),
    [
        (Gate(), 401, 401, 200, 401),
        (Gate(token=STATIC), 401, 401, 200, 200),
        (Gate(networks=INSIDE), 200, 200, 200, 200),
        (Gate(networks=OUTSIDE), 401, 401, 401, 401),
        (Gate(token=STATIC, networks=INSIDE), 401, 401, 200, 200),
        (Gate(token=STATIC, networks=OUTSIDE), 401, 401, 401, 401),
        (Gate(auth=False), 200, 200, 200, 200),
        (Gate(auth=False, networks=OUTSIDE), 401, 401, 401, 401),
    ],
)
async def test_networks_are_asked_first_and_any_token_that_is_right_opens(
    home: Home, gate: Gate, nothing: int, wrong: int, scraper: int, static: int
) -> None:
    app, text = door(home, gate), await home.token("scraper")
    presented = (None, "lg_wrong", text, STATIC.reveal())
    assert [(await ask(app, token)).status_code for token in presented] == [nothing, wrong, scraper, static]


async def test_guessing_at_the_door_of_scrapers_counts_at_the_other_too(home: Home) -> None:
    home.limits.tokens = Guesses(Attempts(4, timedelta(minutes=5)))
    app, known, fresh = door(home, Gate(token=STATIC)), await home.token("scraper"), await home.token("viewer")
    assert [(await ask(app, token)).status_code for token in (known, STATIC.reveal())] == [200, 200]
    statuses = [(await ask(app, f"guess {number}")).status_code for number in range(6)]
    assert statuses == [401] * 4 + [429] * 2
    # Those who were here before go on; the address is told nothing about any other, by neither door.
    assert [(await ask(app, token)).status_code for token in (known, STATIC.reveal(), fresh)] == [200, 200, 429]
    assert (await home.bearing(fresh).get("/api/v1/me")).status_code == 429
    assert (await ask(app, fresh, "198.51.100.1")).status_code == 200


async def test_a_scrape_is_a_use_of_its_token(home: Home) -> None:
    app, text = door(home), await home.token("scraper")
    home.turn(minutes=1)
    await ask(app, text)
    used = next(token for token in home.tokens.every() if token.role == "scraper")
    assert (used.used_at, used.used_from) == (home.moment, "192.0.2.7")
