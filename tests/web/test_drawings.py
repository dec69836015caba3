"""The page of a hub tells what its collectors draw: beside all else, in one shard, and nothing where none is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from lastgood.clock import now
from lastgood.config.servers import PbsServer, Servers
from lastgood.config.settings import MetricsSettings, ServerSettings, Settings
from lastgood.secret import Secret
from lastgood.service.service import Service
from lastgood.web.wiring import faces_of
from tests.metrics.checker import faults
from tests.metrics.pbs.pictures import rows_of
from tests.pbs_simulator import MONITOR, Setting, Simulator
from tests.waiting import until


def a_server(name: str, pbs: Simulator) -> PbsServer:
    return PbsServer(
        name=name, endpoint=pbs.url, token_id=MONITOR, token_secret=Secret(pbs.secret()), fingerprint=pbs.pin
    )


@asynccontextmanager
async def a_hub(folder: Path, *servers: PbsServer, **metrics: Any) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings(
        server=ServerSettings(data_dir=folder),
        metrics=MetricsSettings(**{"auth": False, **metrics}),
        servers=Servers(pbs=servers),
    )
    service = await Service.open(settings, now)
    faces = faces_of(service)
    try:
        await service.start()
        transport = httpx.ASGITransport(faces.app, client=("127.0.0.1", 5000))
        async with httpx.AsyncClient(transport=transport, base_url="http://hub") as client:
            yield client
    finally:
        faces.close()
        await service.stop()


async def told(client: httpx.AsyncClient, servers: int, path: str = "/metrics") -> str:
    """The page once all groups of so many servers were listed."""
    names = "pbs_snapshot_vm_count" if "natrontech" in path else "pbs_group_last_good_timestamp_seconds"

    async def whole() -> str | None:
        text = (await client.get(path)).text
        pending = rows_of((await client.get("/metrics")).text, "pbs_pending_groups")
        listed = len(pending) == servers and all(row.endswith(" 0") for row in pending)
        return text if listed and rows_of(text, names) else None

    return await until(whole, "all groups on the page", seconds=60)


def series(text: str) -> dict[str, str]:
    """Each sample line without its value, of families that neither move nor are of the process."""
    lines = [line for line in text.splitlines() if line and not line.startswith(("#", "lastgood_", "process_"))]
    return dict(line.rpartition(" ")[::2] for line in lines)


async def test_two_servers_stand_beside_the_fleet_each_series_in_one_shard(tmp_path: Path) -> None:
    with Simulator(Setting(now=int(now().timestamp()))) as pbs:
        async with a_hub(tmp_path, a_server("one", pbs), a_server("two", pbs), shards=3) as client:
            text = await told(client, servers=2)
            assert faults(text) == []
            assert sorted(rows_of(text, "pbs_up")) == ['{server="one"} 1', '{server="two"} 1']
            assert len(rows_of(text, "pbs_snapshot_count")) == 2 * len(pbs.truth()["groups"])
            shards = [(await client.get(f"/metrics?shard={shard}")).text for shard in range(3)]
            parts = [series(shard) for shard in shards]
            assert sum(map(len, parts)) == len({name for part in parts for name in part})
            assert {name for part in parts for name in part} == set(series((await client.get("/metrics")).text))
            assert "pbs_up" not in shards[1] + shards[2]
            alone = (await client.get("/metrics?vocabulary=pbs")).text
            assert {line.split("_")[0] for line in series(alone)} == {"pbs"}
            assert not rows_of((await client.get("/metrics?vocabulary=backup")).text, "pbs_up")
            assert (await client.get("/metrics/natrontech")).status_code == 404


async def test_the_other_exporters_names_are_told_on_their_own_path_behind_the_same_gate(tmp_path: Path) -> None:
    with Simulator(Setting(now=int(now().timestamp()))) as pbs:
        metrics: Mapping[str, Any] = {"natrontech": True, "networks": (), "auth": False}
        async with a_hub(tmp_path, a_server("", pbs), **metrics) as client:
            text = await told(client, servers=1, path="/metrics/natrontech")
            assert faults(text) == []
            assert {line.split("_")[0] for line in series(text)} == {"pbs"}
            assert not rows_of(text, "pbs_group_last_good_timestamp_seconds")
            assert (await client.get("/metrics/natrontech/other")).status_code == 404
        shut = {"natrontech": True, "auth": True, "token": Secret("right")}
        async with a_hub(tmp_path / "shut", a_server("", pbs), **shut) as client:
            assert (await client.get("/metrics/natrontech")).status_code == 401
            right = {"Authorization": "Bearer right"}
            assert (await client.get("/metrics/natrontech", headers=right)).status_code == 200


async def test_a_hub_that_asks_no_server_tells_no_family_of_one(tmp_path: Path) -> None:
    async with a_hub(tmp_path) as client:
        text = (await client.get("/metrics")).text
        assert "lastgood_build_info" in text
        assert "pbs_" not in text
        assert (await client.get("/metrics?vocabulary=pbs")).text == ""
