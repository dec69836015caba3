"""Alive and ready, as supervisors and proxies ask."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from lastgood.web.health import health_routes
from tests.serving import serving


@asynccontextmanager
async def asked(path: str, reasons: list[str]) -> AsyncIterator[httpx.AsyncClient]:
    app = health_routes(lambda: reasons[0] if reasons else None)[path]
    async with (
        serving(app) as address,
        httpx.AsyncClient(base_url=f"http://{address}", trust_env=False) as client,
    ):
        yield client


@pytest.mark.parametrize("path", ["/healthz", "/-/healthy"])
async def test_a_process_that_answers_is_alive_even_while_it_is_not_ready(path: str) -> None:
    async with asked(path, ["Loading."]) as client:
        answer, head = await client.get(path), await client.head(path)
    assert (answer.status_code, answer.text) == (200, "lastgood is alive.\n")
    assert (head.status_code, head.content) == (200, b"")


async def test_ready_says_what_stands_in_the_way_until_nothing_does() -> None:
    reasons = ["The database is being loaded."]
    async with asked("/-/ready", reasons) as client:
        answer = await client.get("/-/ready")
        assert (answer.status_code, answer.text) == (503, "The database is being loaded.\n")
        assert (await client.head("/-/ready")).status_code == 503
        reasons.clear()
        answer = await client.get("/-/ready")
        assert (answer.status_code, answer.text) == (200, "lastgood is ready.\n")


@pytest.mark.parametrize("path", ["/healthz", "/-/healthy", "/-/ready"])
async def test_nothing_can_be_sent_there(path: str) -> None:
    async with asked(path, []) as client:
        answer = await client.post(path)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
