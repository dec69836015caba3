"""Somebody else hears that the hub judges; when it cannot be told, that is known, and its address is not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from lastgood.clock import now
from lastgood.config.load import load, render_check
from lastgood.config.settings import HubSettings, MetricsSettings, ServerSettings, Settings
from lastgood.errors import ConfigError
from lastgood.secret import Secret
from lastgood.service.heartbeat import Heartbeat
from lastgood.service.service import Service
from lastgood.web.asgi import say
from lastgood.web.wiring import faces_of
from tests.builders import NOW
from tests.serving import serving
from tests.waiting import until

TOKEN = "s3cret-of-the-watchdog"


class Watchdog:
    """The far side: counts what it hears, and answers as it is told."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.status = 200

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.heard.append(f"{scope['method']} {scope['path']}")
        await say(scope, send, self.status, "noted")


@asynccontextmanager
async def watched(judged_at: list[datetime | None]) -> AsyncIterator[tuple[Watchdog, Heartbeat, httpx.AsyncClient]]:
    watchdog = Watchdog()
    async with serving(watchdog) as address, httpx.AsyncClient(trust_env=False) as client:
        url = Secret(f"http://{address}/ping/{TOKEN}")
        yield watchdog, Heartbeat(url, 60, lambda: judged_at[0], lambda: NOW), client


async def test_a_sign_of_life_is_given_only_while_judging_is_current() -> None:
    judged_at: list[datetime | None] = [NOW - timedelta(seconds=5)]
    async with watched(judged_at) as (watchdog, heartbeat, client):
        assert await heartbeat.beat(client)
        assert watchdog.heard == [f"GET /ping/{TOKEN}"]
        assert (heartbeat.success_at, heartbeat.sent, heartbeat.failures) == (NOW, 1, 0)
        for stale in (None, NOW - timedelta(minutes=2), NOW + timedelta(hours=1)):
            judged_at[0] = stale
            assert not await heartbeat.beat(client)
        assert len(watchdog.heard) == 1


async def test_a_failure_is_counted_each_time_logged_once_and_never_tells_the_address() -> None:
    async with watched([NOW]) as (watchdog, heartbeat, client):
        watchdog.status = 500
        with capture_logs() as lines:
            for _ in range(3):
                assert not await heartbeat.beat(client)
            watchdog.status = 200
            assert await heartbeat.beat(client)
            assert await heartbeat.beat(client)
        assert [line["log_level"] for line in lines] == ["warning", "info"]
        assert lines[0]["reason"] == "the answer was 500"
        assert (heartbeat.sent, heartbeat.failures) == (2, 3)
    with capture_logs() as lines:
        async with httpx.AsyncClient(trust_env=False) as client:
            assert not await heartbeat.beat(client)
    assert TOKEN not in repr(lines)
    assert "no answer" in lines[0]["reason"]


async def test_a_hub_that_runs_gives_signs_of_life_and_its_page_counts_them(tmp_path: Path) -> None:
    watchdog = Watchdog()
    async with serving(watchdog) as address:
        settings = Settings(
            server=ServerSettings(data_dir=tmp_path),
            metrics=MetricsSettings(auth=False),
            hub=HubSettings(heartbeat_url=Secret(f"http://{address}/ping/{TOKEN}")),
        )
        service = await Service.open(settings, now)
        faces = faces_of(service)
        try:
            await service.start()

            async def heard() -> bool:
                return service.heartbeat.sent == 1

            await until(heard, "the watchdog hears of the hub")
            transport = httpx.ASGITransport(faces.app, client=("127.0.0.1", 5000))
            async with httpx.AsyncClient(transport=transport, base_url="http://hub") as client:
                page = await client.get("/metrics")
            assert "lastgood_heartbeat_sent_total 1" in page.text
            assert TOKEN not in page.text
        finally:
            await service.stop()
            faces.scrape.close()
    assert watchdog.heard == [f"GET /ping/{TOKEN}"]


def test_the_address_is_a_secret_of_the_settings() -> None:
    loaded = load({"LASTGOOD_HUB__HEARTBEAT_URL": f"https://hc.example.org/{TOKEN}"}, _nothing)
    assert TOKEN not in repr(render_check(loaded))
    with pytest.raises(ConfigError, match="60 or more"):
        load({"LASTGOOD_HUB__HEARTBEAT_SECONDS": "59"}, _nothing)
    with pytest.raises(ConfigError, match="not an http or https address") as refused:
        load({"LASTGOOD_HUB__HEARTBEAT_URL": f"hc.example.org/{TOKEN}"}, _nothing)
    assert TOKEN not in str(refused.value)


def _nothing(path: Path) -> bytes:
    raise FileNotFoundError(path)
