"""What is counted of requests: by route, bounded, whatever strangers ask."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from lastgood.web.app import create_app
from lastgood.web.health import health_routes
from lastgood.web.requests import Requests
from tests.web.server import serving
from tests.web.site import ORIGIN, Home


@asynccontextmanager
async def asking(home: Home, requests: Requests, **headers: str) -> AsyncIterator[httpx.AsyncClient]:
    mounts: Any = health_routes(lambda: None)
    transport = httpx.ASGITransport(create_app(home.site, mounts, requests=requests), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers=headers) as client:
        yield client


async def signed_in(home: Home) -> str:
    return f"lastgood={(await home.signed_in()).cookies['lastgood']}"


async def test_a_path_counts_as_the_template_of_its_route_whatever_stands_in_it(home: Home) -> None:
    requests, cookie = Requests(), await signed_in(home)
    source_id = next(iter(home.fleet.sources))
    async with asking(home, requests, cookie=cookie) as client:
        for path in (source_id, "nothing", "%F0%9F%92%A9", 'a"b'):
            await client.get(f"/api/v1/sources/{path}")
        await client.get("/api/v1/sources", params={"q": "x" * 500})
        await client.get("/static/lastgood.css")
    assert dict(requests.counts) == {
        "GET 200 /api/v1/sources/{source_id}": 1,
        "GET 404 /api/v1/sources/{source_id}": 3,
        "GET 200 /api/v1/sources": 1,
        "GET 200 /static/{file_name}": 1,
    }


async def test_paths_of_no_route_are_one_and_so_are_methods_that_nobody_knows(home: Home) -> None:
    requests, cookie = Requests(), await signed_in(home)
    async with asking(home, requests, cookie=cookie) as client:
        for number in range(30):
            await client.get(f"/wp-admin/{number}")
            await client.request(f"BREW{number}", "/healthz")
        await client.get("/healthz/more")
    assert dict(requests.counts) == {"GET 404 unmatched": 30, "GET 200 unmatched": 1, "other 405 /healthz": 30}


async def test_mounts_count_by_their_path_and_head_as_what_it_is(home: Home) -> None:
    requests = Requests()
    async with asking(home, requests) as client:
        assert (await client.get("/-/healthy")).status_code == 200
        assert (await client.head("/-/healthy")).status_code == 200
        assert (await client.head("/sign-in")).status_code == 303, "nobody has signed in yet"
    assert dict(requests.counts) == {
        "GET 200 /-/healthy": 1,
        "HEAD 200 /-/healthy": 1,
        "HEAD 303 /sign-in": 1,
    }


async def test_what_is_refused_counts_with_its_status(home: Home) -> None:
    requests = Requests()
    async with asking(home, requests) as client:
        assert (await client.get("/api/v1/hosts")).status_code == 401
        assert (await client.post("/api/v1/sources", json={})).status_code in (401, 403)
    assert {key.partition(" ")[0] for key in requests.counts} == {"GET", "POST"}
    assert requests.counts["GET 401 /api/v1/hosts"] == 1


async def test_a_websocket_counts_as_101_as_soon_as_it_is_taken_and_as_refused_if_not(empty_home: Home) -> None:
    requests = Requests()
    async with serving(create_app(empty_home.site, requests=requests)) as address:
        async with connect(f"ws://{address}/ws/agent", proxy=None) as socket:
            await socket.send("hello")
            await socket.recv()
            assert dict(requests.counts) == {"GET 101 /ws/agent": 1}
        with pytest.raises(InvalidStatus) as refused:
            async with connect(f"ws://{address}/ws/other", proxy=None):
                raise AssertionError("it was taken")
    status = refused.value.response.status_code
    assert dict(requests.counts) == {"GET 101 /ws/agent": 1, f"GET {status} unmatched": 1}


async def test_an_application_that_breaks_counts_as_the_500_that_its_caller_gets() -> None:
    requests = Requests()

    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("broken")

    async def send(message: Any) -> None:
        raise AssertionError("nothing is sent")

    with pytest.raises(RuntimeError):
        await requests.count(broken, {"type": "http"}, send, send, method="GET", path="/metrics")
    assert dict(requests.counts) == {"GET 500 /metrics": 1}
    before = requests.counts
    with pytest.raises(RuntimeError):
        await requests.count(broken, {"type": "http"}, send, send, method="GET", path="/metrics")
    assert before["GET 500 /metrics"] == 1, "a page that is being written does not change"
