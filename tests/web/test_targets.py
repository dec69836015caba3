"""Where Prometheus finds the shards, and that the shards together are the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from lastgood.auth.gate import Gate
from lastgood.config.values import Url
from lastgood.metrics.text import Format
from lastgood.secret import Secret
from lastgood.web.door import Door
from lastgood.web.exposition import Exposition
from lastgood.web.scrape import Scrape
from lastgood.web.targets import Targets, targets
from tests.builders import a_fleet
from tests.metrics.expectation import parsed
from tests.metrics.fleets import OWN
from tests.prometheus import prometheus
from tests.serving import serving
from tests.waiting import until

SHARDS = 3
OPEN = Door(Gate(auth=False))


def test_there_is_a_target_a_shard_that_differs_in_a_real_label() -> None:
    assert targets(Url("https://hub.example.com:8443"), 2) == [
        {
            "targets": ["hub.example.com:8443"],
            "labels": {
                "__scheme__": "https",
                "__metrics_path__": "/metrics",
                "__param_shard": str(shard),
                "shard": str(shard),
            },
        }
        for shard in range(2)
    ]


class Hub:
    """Scrape endpoint and targets; the public address is filled in once the port is known."""

    def __init__(self, door: Door = OPEN) -> None:
        self.door, self.told = door, Url("http://hub.example.com")
        pages = Exposition(moment=a_fleet(200).view, own=lambda: OWN, shards=SHARDS)
        self.scrape = Scrape(pages, door)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        app = self.scrape if scope["path"] == "/metrics" else Targets(self.door, self.told, SHARDS)
        await app(scope, receive, send)


async def test_addresses_come_from_the_settings_and_never_from_the_request() -> None:
    hub = Hub()
    async with serving(hub) as address, httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"http://{address}/sd/prometheus", headers={"Host": "evil.example.com"})
        assert answer.headers["content-type"] == "application/json"
        assert {one for group in answer.json() for one in group["targets"]} == {"hub.example.com"}
        assert (await client.post(f"http://{address}/sd/prometheus")).status_code == 405
        assert (await client.get(f"http://{address}/sd/prometheus/x")).status_code == 404
    hub.scrape.close()


async def test_targets_stand_behind_the_gate_of_the_page() -> None:
    hub = Hub(Door(Gate(token=Secret("correct horse"))))
    async with serving(hub) as address, httpx.AsyncClient(base_url=f"http://{address}", trust_env=False) as client:
        refused = await client.get("/sd/prometheus")
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        let_in = await client.get("/sd/prometheus", headers={"Authorization": "Bearer correct horse"})
        assert len(let_in.json()) == SHARDS
    hub.scrape.close()
    closed = Hub(Door(Gate()))
    async with serving(closed) as address, httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"http://{address}/sd/prometheus")).status_code == 404
    closed.scrape.close()


@pytest.mark.parametrize(
    "query", ["shard=3", "shard=-1", "shard=", "shard=a", "shard=0/2", "shard=0&shard=1", "shard=٣"]
)
async def test_a_shard_that_does_not_exist_is_refused(query: str) -> None:
    hub = Hub()
    async with serving(hub) as address, httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"http://{address}/metrics?{query}")
        assert answer.status_code == 400
        assert "metrics.shards is 3" in answer.text
        assert (await client.get(f"http://{address}/metrics?shard=1")).status_code == 200
        assert (await client.get(f"http://{address}/metrics?shard=1/3")).status_code == 200
    hub.scrape.close()


async def test_every_series_is_in_one_shard_and_those_of_the_server_in_the_first() -> None:
    hub = Hub()
    async with serving(hub) as address, httpx.AsyncClient(base_url=f"http://{address}", trust_env=False) as client:
        whole = parsed((await client.get("/metrics")).content, Format.TEXT)
        shards = [parsed((await client.get(f"/metrics?shard={k}")).content, Format.TEXT) for k in range(SHARDS)]
        assert sum(map(len, shards)) == len(whole)
        assert set().union(*shards) == set(whole)
        assert all(len(shard) > len(whole) / 6 for shard in shards)
        of_server = {
            series for series in whole if series[0].startswith(("rm_hosts", "rm_job", "lastgood_", "process_"))
        }
        assert of_server <= set(shards[0])
    hub.scrape.close()


async def test_prometheus_finds_every_shard_by_itself(tmp_path: Path) -> None:
    hub = Hub()
    async with serving(hub) as address:
        hub.told = Url(f"http://{address}")
        found = {"http_sd_configs": [{"url": f"http://{address}/sd/prometheus"}], "params": {"vocabulary": ["rm"]}}
        async with prometheus(tmp_path, {"job_name": "hub", **found}) as server:

            async def hosts() -> float | None:
                told = await server.value("count(rm_host_agent_online)")
                return told if told == 200 else None

            await until(hosts, "all shards were scraped")
            assert {row["metric"]["shard"] for row in await server.query("up == 1")} == {"0", "1", "2"}
            assert len(await server.query("rm_hosts_total")) == 1
            assert server.complaints() == []
    hub.scrape.close()
