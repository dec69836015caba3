"""The real Prometheus scrapes the endpoint behind its token, takes every row, and answers the dashboards' queries."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from lastgood.auth.gate import Gate
from lastgood.fleet.fleet import FleetView
from lastgood.model.job import RunKind, Status
from lastgood.secret import Secret
from lastgood.web.door import Door
from lastgood.web.exposition import Exposition
from lastgood.web.scrape import Scrape
from tests.builders import an_id
from tests.metrics.fleets import OWN, awkward, twelve_hosts
from tests.prometheus import Prometheus, prometheus
from tests.serving import serving
from tests.waiting import until
from tests.web.site import at_home

TOKEN = "correct horse battery staple"

DASHBOARD = (
    ("rm_hosts_online / rm_hosts_total", 1),
    ("sum by (severity) (rm_active_alerts)", 3),
    ("rm_host_agent_online", 12),
    ("time() - rm_host_last_backup_timestamp_seconds", 8),
    ("rm_host_repo_size_bytes", 9),
    ("rm_host_snapshot_count", 10),
    ("rm_host_open_alerts", 12),
    ("count(rm_host_last_backup_success == 0)", 1),
    ("rm_host_repo_status == 1", 12),
    ("rm_hosts_total * on () group_left (version, commit) rm_build_info", 1),
)
"""Queries of the dashboard that restic-manager's papers describe, with the rows that the twelve hosts must give."""


def job(name: str, address: str, folder: Path, token: str = TOKEN, **options: Any) -> dict[str, Any]:
    secret = folder / f"{name}.token"
    secret.write_text(token)
    return {
        "job_name": name,
        "static_configs": [{"targets": [address]}],
        "authorization": {"type": "Bearer", "credentials_file": str(secret)},
        **options,
    }


@asynccontextmanager
async def hub(view: FleetView, door: Door | None = None) -> AsyncIterator[tuple[str, Scrape]]:
    pages = Exposition(moment=lambda: view, own=lambda: OWN)
    scrape = Scrape(pages, door or Door(Gate(token=Secret(TOKEN))))
    try:
        async with serving(scrape) as address:
            yield address, scrape
    finally:
        scrape.close()


async def rows(address: str, query: str = "") -> int:
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"http://{address}/metrics{query}", headers={"Authorization": f"Bearer {TOKEN}"})
    return len([line for line in answer.text.split("\n") if line and not line.startswith("#")])


async def samples(server: Prometheus, job_name: str, wanted: int) -> float:
    """How many samples the newest scrape had, once it is ``wanted``: the first one lacks rows about itself."""

    async def told() -> float | None:
        found = await server.value(f'scrape_samples_scraped{{job="{job_name}"}}')
        return found if found == wanted else None

    return await until(told, f"{wanted} samples in a scrape of {job_name}")


async def test_a_token_file_lets_prometheus_in_and_every_row_arrives(tmp_path: Path) -> None:
    async with hub(twelve_hosts()) as (address, scrape):
        limited = {"params": {"vocabulary": ["rm", "backup"]}}
        jobs = [
            job("all", address, tmp_path),
            job("limited", address, tmp_path, **limited),
            job("wrong", address, tmp_path, token="another"),
        ]
        async with prometheus(tmp_path, *jobs) as server:
            target = await server.scraped("all")
            assert (target["health"], target["lastError"]) == ("up", "")
            await server.scraped("limited")
            refused = await server.scraped("wrong")
            assert "401" in refused["lastError"]
            assert [await server.value(f'up{{job="{name}"}}') for name in ("all", "limited", "wrong")] == [1, 1, 0]
            await samples(server, "all", await rows(address))
            await samples(server, "limited", await rows(address, "?vocabulary=rm&vocabulary=backup"))
            assert scrape.facts.failures == 0
            assert server.complaints() == []


async def test_an_api_token_lets_prometheus_in_until_it_is_revoked(tmp_path: Path) -> None:
    async with at_home(tmp_path / "hub") as home:
        tokens = home.tokens
        door = Door(Gate(), tokens.scrapers_exist, tokens.view, used=tokens.used)
        scraper, runner = await home.token("scraper"), await home.token("viewer", hosts=[an_id("h")])
        async with hub(twelve_hosts(), door) as (address, _):
            jobs = job("scraper", address, tmp_path, scraper), job("forbidden", address, tmp_path, runner)
            async with prometheus(tmp_path, *jobs) as server:
                assert (await server.scraped("scraper"))["health"] == "up"
                assert "403" in (await server.scraped("forbidden"))["lastError"]
                token_id = next(token.id for token in tokens.every() if token.role == "scraper")
                await tokens.revoke(token_id, "ann")

                async def refused() -> bool:
                    return await server.value('up{job="scraper"}') == 0

                assert await until(refused, "the next scrape is refused")


async def test_the_dashboards_queries_are_answered(tmp_path: Path) -> None:
    view = twelve_hosts()
    async with hub(view) as (address, _), prometheus(tmp_path, job("hub", address, tmp_path)) as server:
        await server.scraped("hub")
        assert {query: len(await server.query(query)) for query, _ in DASHBOARD} == dict(DASHBOARD)
        assert await server.value("rm_hosts_online / rm_hosts_total") == pytest.approx(11 / 12)
        assert await server.value("count(rm_host_last_backup_success == 0)") == 3

        # A rate needs an increase between two scrapes.
        view.durations.observe(RunKind.BACKUP, Status.SUCCEEDED, 45.0)
        p95 = "histogram_quantile(0.95, sum by (kind, le) (rate(rm_job_duration_seconds_bucket[1h])))"

        async def quantile() -> float | None:
            found = [row for row in await server.query(p95) if row["metric"]["kind"] == "backup"]
            return float(found[0]["value"][1]) if found and found[0]["value"][1] != "NaN" else None

        assert 30 < await until(quantile, "a duration between two scrapes") <= 60


async def test_awkward_names_arrive_as_they_are(tmp_path: Path) -> None:
    view = awkward()
    async with hub(view) as (address, _), prometheus(tmp_path, job("hub", address, tmp_path)) as server:
        target = await server.scraped("hub")
        assert (target["health"], target["lastError"]) == ("up", "")
        found = await server.query("rm_host_agent_online")
        names = {host.id: host.name for host in view.hosts.values()}
        plain = {i: name for i, name in names.items() if name.isprintable() or name == "line\nend"}
        assert len(found) == len(names)
        assert len(plain) > 5
        told = {row["metric"]["host_id"]: row["metric"].get("host", "") for row in found}
        assert {i: told[i] for i in plain} == plain
        assert server.complaints() == []
