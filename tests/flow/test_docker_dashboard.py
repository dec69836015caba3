"""The dashboard of container hosts, every query asked of a real Prometheus that scrapes a real hub, agent and engine.

The engine is the simulated one, compose a script; hub, agent, backups, deploys and scrapes are real.
"""

from __future__ import annotations

import asyncio
import math
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from lastgood import clock
from tests.agent.composing import PLUGIN, TEXT
from tests.agent.composing import Engine as Programs
from tests.docker_engine import Engine, an_engine_on
from tests.flow.hub import Client, Up, lastgood, until, up
from tests.flow.test_dashboards import filled, holds_its_shape, last, load, merged, panels
from tests.prometheus import Prometheus, prometheus
from tests.waiting import until as soon

NAME = "docker-fleet.json"
SHOWN = 60
EMPTY = "(nobody|nowhere)"

pytestmark = pytest.mark.xdist_group("docker dashboard")


async def answered(server: Prometheus, panel: Mapping[str, Any], host: str) -> dict[str, Sequence[Any]]:
    found: dict[str, Sequence[Any]] = {}
    end = clock.now().timestamp()
    for target in panel["targets"]:
        expression = filled(target["expr"], {"host": host})
        if target["instant"]:
            found[target["refId"]] = await server.query(expression)
        else:
            found[target["refId"]] = await server.over_time(expression, end - SHOWN, end, 1)
    return found


def world(engine: Engine, site: Path) -> None:
    """Two stacks, of which one is in error, and a container of its own that restarts."""
    engine.at(clock.now().timestamp())
    mounts = [{"Type": "bind", "Source": str(site), "Destination": "/srv", "RW": True}]
    engine.add("web", "shop", health="healthy", mounts=mounts)
    engine.add("db", "shop", state="exited", exit_code=3)
    engine.add("wiki", "wiki")
    engine.add("loop", state="restarting", exit_code=1)


class Desk:
    def __init__(self, hub: Up, client: Client, programs: Programs, papers: Path) -> None:
        self.hub, self.client, self.programs = hub, client, programs
        self.file = papers / "compose.yaml"
        self.file.write_text(TEXT)
        host = until(lambda: client.get("hosts")["items"], "the host")[0]
        self.host_id, self.host = host["id"], host["name"]
        path = hub.data_dir / "agent" / "agent-policy.toml"
        path.write_text("allow_deploy = true\n")
        path.chmod(0o644)

    def deploy(self, *, well: bool) -> None:
        fails = {"when": ["up"], "err": ["Error: no space left on device"], "exit": 1}
        self.programs.says(PLUGIN, *(() if well else (fails,)))
        where = ("--host", self.host, "--data-dir", str(self.hub.data_dir))
        done = lastgood("stack", "deploy", "blog", "--file", str(self.file), "--follow", *where)
        assert done.returncode == (0 if well else 1), done.stderr

    def failing_backup(self, name: str) -> None:
        """A new job whose first backup opens an alert."""
        (repository,) = self.client.get("repositories")["items"]
        made = {"name": name, "host_id": self.host_id, "repository_id": repository["id"]}
        source_id = self.client.source(**made, paths=[str(self.hub.data_dir / "absent" / name)])
        assert self.client.back_up(source_id)["outcome"] == "failed"

    def containers(self) -> int:
        answer = self.client.http.get(f"/api/v1/hosts/{self.host_id}/containers")
        return len(answer.json()["items"]) if answer.status_code == 200 else 0


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    made = Programs(tmp_path / "bin")
    made.has("docker")
    made.says(PLUGIN)
    yield made


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("restic") is None, reason="restic is not installed: apt-get install restic")
async def test_every_panel_has_data_of_its_shape_from_a_real_hub(tmp_path: Path, programs: Programs) -> None:
    site = tmp_path / "site"
    site.mkdir()
    async with an_engine_on(tmp_path / "docker.sock") as engine:
        world(engine, site)
        settings = {"DOCKER_HOST": f"unix://{engine.path}", "PATH": f"{programs.folder}:{os.environ['PATH']}"}
        with up(tmp_path / "hub", env=settings) as hub, Client(hub.url) as client:
            desk = await asyncio.to_thread(_begin, hub, client, programs, tmp_path)
            job = {
                "job_name": "lastgood",
                "static_configs": [{"targets": [hub.url.removeprefix("http://")]}],
                "authorization": {"credentials_file": str(hub.data_dir / "metrics.token")},
            }
            async with prometheus(tmp_path, job) as server:
                await _with_a_past(server, desk)
                told = await _told(server)
                await asyncio.to_thread(_as_it_is, desk, told, site)
                await _nobody_is_chosen(server)
                assert server.complaints() == []


def _begin(hub: Up, client: Client, programs: Programs, papers: Path) -> Desk:
    client.welcome(hub.said(r"(http://\S+/welcome/\S+)")[1])
    hub.said("Ctrl-C ends")
    desk = Desk(hub, client, programs, papers)
    until(lambda: desk.containers() == 4, "the containers")
    return desk


async def _with_a_past(server: Prometheus, desk: Desk) -> None:
    """What is counted has risen under the eyes of Prometheus."""
    for well in (True, False):
        await asyncio.to_thread(desk.deploy, well=well)
    await asyncio.to_thread(desk.failing_backup, "first")
    await _holds(server, "sum(dockmesh_deploy_duration_seconds_count) == 2")
    await _holds(server, 'sum(dockmesh_alerts_fired_total{rule="backup_failed"}) == 1')
    for well in (False, True):
        await asyncio.to_thread(desk.deploy, well=well)
    await asyncio.to_thread(desk.failing_backup, "second")
    await _holds(server, 'sum(dockmesh_alerts_fired_total{rule="backup_failed"}) == 2')
    await _holds(server, "sum(dockmesh_deploy_duration_seconds_count) == 4")
    # Every half a minute there is one more answer of the agent.
    await _holds(server, "rate(dockmesh_agent_rtt_seconds_count[15m]) > 0", seconds=90)
    moment = clock.now().timestamp()
    await _holds(server, f"count_over_time(up[1m]) > 15 and timestamp(up) > {moment + 12}")


async def _holds(server: Prometheus, expression: str, seconds: float = 60) -> None:
    await soon(lambda: server.query(expression), expression, seconds=seconds)


async def _told(server: Prometheus) -> dict[str, dict[str, Sequence[Any]]]:
    found = {title: await answered(server, panel, ".*") for title, panel in panels(NAME).items()}
    for title, panel in panels(NAME).items():
        holds_its_shape(panel, found[title])
    return found


def _as_it_is(desk: Desk, told: Mapping[str, Mapping[str, Sequence[Any]]], site: Path) -> None:
    board = panels(NAME)

    def counted(title: str) -> dict[str, float]:
        targets = board[title]["targets"]
        return {target["legendFormat"]: last(told[title][target["refId"]][0]) for target in targets}

    assert counted("Hosts by status") == {"offline": 0, "degraded": 0, "online": 1}
    others = {"unknown": 0, "partial": 0, "paused": 0, "stopped": 0}
    assert counted("Stacks by state") == {"error": 1, "running": 1} | others
    assert last(told["Data without a backup"]["A"][0]) == 1
    (host,) = merged(board["Hosts"], told["Hosts"])
    assert host.pop("host") == desk.host
    assert -60 < host.pop("A") <= 0
    assert host == {"B": 2, "C": 1, "D": 4, "E": 2, "F": 1, "G": 1}
    now = {series["metric"]["state"]: last(series) for series in told["Containers over time"]["A"]}
    assert now == {"running": 2, "exited": 1, "restarting": 1} | dict.fromkeys(
        ("created", "paused", "removing", "dead"), 0
    )

    jobs = {row["exported_job"]: row for row in merged(board["Last good backups"], told["Last good backups"])}
    sample = next(name for name in jobs if name.rpartition("/")[2] not in ("first", "second"))
    assert jobs.keys() == {sample, f"{desk.host}/first", f"{desk.host}/second"}
    assert {name: row["B"] for name, row in jobs.items()} == {n: float(n == sample) for n in jobs}
    assert -600 < jobs[sample]["C"] <= 0
    assert all("C" not in row and "D" not in row for name, row in jobs.items() if name != sample)
    assert min(jobs, key=lambda name: jobs[name]["A"]) != sample

    assert {series["metric"]["result"] for series in told["Deploys"]["A"]} == {"ok", "error"}
    assert {tuple(series["metric"].values()) for series in told["Deploy time p95"]["A"]} == {
        ("error", "blog"),
        ("ok", "blog"),
    }
    assert [series["metric"]["host"] for series in told["Agents' answers p95"]["A"]] == [desk.host]
    assert "critical" in {series["metric"]["severity"] for series in told["Alerts opened"]["A"]}
    actions = {series["metric"]["action"]: last(series) for series in told["Audited actions"]["A"]}
    assert actions["stack.deploy"] == 4


async def _nobody_is_chosen(server: Prometheus) -> None:
    """Panels of hosts are narrowed by the variable, which has the names of the hosts."""
    (variable,) = [one for one in load(NAME)["templating"]["list"] if one["type"] == "query"]
    asked = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"])
    assert asked is not None
    assert len(await server.label_values(asked[2], asked[1])) == 1
    for title in ("Stacks by state", "Hosts", "Containers over time", "Last good backups", "Agents' answers p95"):
        found = await answered(server, panels(NAME)[title], EMPTY)
        assert not any(found.values()), title


async def test_where_nothing_is_scraped_no_panel_of_container_hosts_shows_a_number(tmp_path: Path) -> None:
    async with prometheus(tmp_path) as server:
        for title, panel in panels(NAME).items():
            for result in (await answered(server, panel, ".*")).values():
                assert [last(series) for series in result if not math.isnan(last(series))] == [], title
