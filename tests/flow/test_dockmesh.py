"""All eleven families of dockmesh in real scrapes of a real hub with its agent, after each thing that happens.

Once on a simulated engine, whose every move is ours, and once on a real one. Compose is a program that does as it is
told; what a real one does is held in ``tests/agent/test_stacks_real.py``.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from lastgood import clock
from tests.agent.composing import PLUGIN, TEXT
from tests.agent.composing import Engine as Programs
from tests.docker_engine import an_engine_on
from tests.docker_real import RealEngine, a_real_engine
from tests.flow.hub import Client, Sample, Up, lastgood, until, up, value

pytestmark = [
    pytest.mark.skipif(shutil.which("restic") is None, reason="restic is not installed: apt-get install restic"),
    pytest.mark.slow,
]

ELEVEN = {
    "dockmesh_hosts_total",
    "dockmesh_stacks_total",
    "dockmesh_containers_total",
    "dockmesh_agent_last_seen_seconds",
    "dockmesh_deploy_duration_seconds_bucket",
    "dockmesh_backup_last_run_timestamp",
    "dockmesh_backup_last_duration_seconds",
    "dockmesh_api_requests_total",
    "dockmesh_audit_log_entries_total",
    "dockmesh_alerts_fired_total",
    "dockmesh_agent_rtt_seconds_bucket",
}


class Fleet:
    """A hub with the one host of ``up``, and a shell beside it."""

    def __init__(self, running: Up, client: Client, programs: Programs, papers: Path) -> None:
        self._running, self._client, self._programs = running, client, programs
        self._file = papers / "compose.yaml"
        self._file.write_text(TEXT)
        (host,) = client.get("hosts")["items"]
        self.host_id, self.host = host["id"], host["name"]
        policy = running.data_dir / "agent" / "agent-policy.toml"
        policy.write_text("allow_deploy = true\n")
        policy.chmod(0o644)
        self.page: list[Sample] = []

    def look(self) -> None:
        self.page = self._client.metrics(self._running.data_dir)

    def value(self, name: str, **labels: str) -> float | None:
        return value(self.page, f"dockmesh_{name}", **labels)

    def states(self, name: str) -> dict[str, float]:
        """Of the host's containers or stacks, those of which there are any."""
        told = [(labels, known) for had, labels, known in self.page if had == f"dockmesh_{name}" and known]
        assert {labels["host"] for labels, _ in told} <= {self.host}
        return {labels["state"]: known for labels, known in told}

    async def comes(self, holds: Callable[[], bool], what: str) -> None:
        """Wait for a scrape of which this holds."""

        def ask() -> bool:
            self.look()
            return holds()

        try:
            await asyncio.to_thread(until, ask, what)
        except AssertionError as fault:
            told = [sample for sample in self.page if sample[0].startswith(("dockmesh_st", "dockmesh_co"))]
            raise AssertionError(f"{fault}: {told}") from fault

    async def deploy(self, fails: bool) -> None:
        """Once with the command line; compose ends well, or not."""
        self._programs.says(PLUGIN, *([{"when": ["up"], "err": ["no space left"], "exit": 1}] if fails else []))
        words = ("stack", "deploy", "shop", "--file", str(self._file), "--follow", "--host", self.host)
        done = await asyncio.to_thread(lastgood, *words, "--data-dir", str(self._running.data_dir))
        assert done.returncode == fails, done.stdout + done.stderr

    async def back_up(self, folder: Path) -> None:
        """A source that has a good backup, and one that has none."""
        client = self._client
        folder.mkdir()
        (folder / "file").write_text("worth keeping")
        (vault, *_) = client.get("repositories")["items"]
        about = {"host_id": self.host_id, "repository_id": vault["id"], "target_seconds": 93_600}
        good = client.source(**about, name="site", paths=[str(folder)])
        assert (await asyncio.to_thread(client.back_up, good))["outcome"] in ("success", "unchanged")
        bad = client.source(**about, name="absent", paths=[str(folder / "absent")])
        assert (await asyncio.to_thread(client.back_up, bad))["outcome"] == "failed"

    def archive(self, name: str) -> None:
        (source,) = [one for one in self._client.get("sources")["items"] if one["name"] == name]
        answer = self._client.send("PATCH", f"sources/{source['id']}", {"archived": True})
        assert answer.status_code == 200, answer.text


@asynccontextmanager
async def a_fleet(folder: Path, socket: Path) -> AsyncIterator[Fleet]:
    programs = Programs(folder / "bin")
    programs.has("docker")
    programs.says(PLUGIN)
    settings = {"DOCKER_HOST": f"unix://{socket}", "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
    with up(folder / "hub", env=settings) as running, Client(running.url) as client:
        client.welcome(running.said(r"(http://\S+/welcome/\S+)")[1])
        await asyncio.to_thread(until, lambda: client.get("hosts")["items"], "the host")
        running.said("Ctrl-C ends")
        yield Fleet(running, client, programs, folder)


async def test_all_eleven_families_say_what_happens_on_a_simulated_engine(tmp_path: Path) -> None:
    async with an_engine_on(tmp_path / "docker.sock") as engine:
        engine.at(clock.now().timestamp())
        web, db = engine.add("web", "shop"), engine.add("db", "shop")
        async with a_fleet(tmp_path, engine.path) as fleet:
            await fleet.comes(lambda: fleet.states("stacks_total") == {"running": 1}, "the stack runs")
            assert fleet.states("containers_total") == {"running": 2}
            hosts = {
                status: fleet.value("hosts_total", status=status) for status in ("online", "offline", "degraded")
            }
            assert hosts == {"online": 1, "offline": 0, "degraded": 0}

            engine.stop(db)
            await fleet.comes(lambda: fleet.states("stacks_total") == {"partial": 1}, "a part is stopped")
            assert fleet.states("containers_total") == {"running": 1, "exited": 1}
            engine.crash(web, 3)
            await fleet.comes(lambda: fleet.states("stacks_total") == {"error": 1}, "a container crashed")
            engine.start(web)
            engine.start(db)
            await fleet.comes(lambda: fleet.states("stacks_total") == {"running": 1}, "all runs again")

            await fleet.deploy(fails=False)
            await fleet.deploy(fails=True)
            await fleet.comes(lambda: fleet.states("stacks_total") == {"error": 1}, "the deploy failed")
            for result in ("ok", "error"):
                assert fleet.value("deploy_duration_seconds_count", stack="shop", result=result) == 1
                edge = fleet.value("deploy_duration_seconds_bucket", stack="shop", result=result, le="600")
                assert edge == 1
            assert fleet.value("audit_log_entries_total", action="stack.deploy") == 2
            await fleet.back_up(tmp_path / "site")
            await fleet.comes(lambda: bool(fired(fleet)), "the failed backup is an alert")
            _everything(fleet)

            engine.hung.set()
            await fleet.comes(lambda: fleet.value("hosts_total", status="degraded") == 1, "the engine hangs")
            assert value(fleet.page, "rm_hosts_online") == 1
            assert fleet.states("stacks_total") == {"unknown": 1}
            assert fleet.states("containers_total") == {"running": 2}, "as last seen"
            engine.hung.clear()
            await fleet.comes(lambda: fleet.value("hosts_total", status="online") == 1, "it answers again")

            fleet.archive("absent")
            fleet.look()
            jobs = {labels["job"] for name, labels, _ in fleet.page if name == "dockmesh_backup_last_run_timestamp"}
            assert f"{fleet.host}/site" in jobs
            assert f"{fleet.host}/absent" not in jobs


def fired(fleet: Fleet) -> float | None:
    return fleet.value("alerts_fired_total", severity="critical", rule="backup_failed")


def _everything(fleet: Fleet) -> None:
    """All eleven, and the values that no engine has a say in."""
    assert {name for name, _, _ in fleet.page} >= ELEVEN
    now = clock.now().timestamp()
    heard = fleet.value("agent_last_seen_seconds", host=fleet.host)
    assert heard is not None
    assert 0 <= heard < 90
    ended = fleet.value("backup_last_run_timestamp", job=f"{fleet.host}/site")
    assert ended is not None
    assert now - 600 < ended <= now
    took = fleet.value("backup_last_duration_seconds", job=f"{fleet.host}/site")
    assert took is not None
    assert 0 < took < 60
    assert fleet.value("backup_last_run_timestamp", job=f"{fleet.host}/absent") == 0
    assert fleet.value("backup_last_duration_seconds", job=f"{fleet.host}/absent") is None
    assert fired(fleet) == 1
    assert fleet.value("alerts_fired_total", severity="critical", rule="backup_missed") == 0
    trips = fleet.value("agent_rtt_seconds_count", host=fleet.host)
    assert trips is not None
    assert trips >= 1
    assert fleet.value("agent_rtt_seconds_bucket", host=fleet.host, le="10") == trips
    scrapes = fleet.value("api_requests_total", method="GET", path="/metrics", status="200")
    assert scrapes is not None
    assert scrapes >= 1
    assert fleet.value("api_requests_total", method="GET", path="/ws/agent", status="101") == 1
    assert fleet.value("api_requests_total", method="POST", path="/api/v1/sources", status="201") == 2


@pytest.fixture
async def real() -> AsyncIterator[RealEngine]:
    async with a_real_engine() as engine:
        yield engine


def of_stack(project: str, service: str) -> tuple[str, ...]:
    labels = {"project": project, "service": service, "container-number": "1", "oneoff": "False"}
    return tuple(part for key, one in labels.items() for part in ("--label", f"com.docker.compose.{key}={one}"))


async def test_stacks_and_containers_of_a_real_engine_are_told_as_they_are(real: RealEngine, tmp_path: Path) -> None:
    healthy = ("--health-cmd", "test ! -e /sick", "--health-interval", "1s", "--health-retries", "1")
    await real.run("shop_web_1", "sleep", "1000", options=(*of_stack("shop", "web"), *healthy))
    await real.run("shop_db_1", "sleep", "1000", options=(*of_stack("shop", "db"), "-v", "dbdata:/data"))
    await real.run("frozen", "sleep", "1000")
    await real.docker("pause", "frozen")
    async with a_fleet(tmp_path, real.socket) as fleet:
        running: dict[str, float] = {"running": 2, "paused": 1}
        await fleet.comes(lambda: fleet.states("stacks_total") == {"running": 1}, "the stack runs")
        assert fleet.states("containers_total") == running
        uncovered = {"host": fleet.host}
        assert value(fleet.page, "backup_uncovered_sources", **uncovered) == 1

        await real.docker("stop", "-t", "0", "shop_db_1")
        await fleet.comes(lambda: fleet.states("stacks_total") == {"partial": 1}, "a service was stopped")
        await real.docker("start", "shop_db_1")
        await fleet.comes(lambda: fleet.states("stacks_total") == {"running": 1}, "it runs again")
        await real.docker("exec", "shop_web_1", "touch", "/sick")
        await fleet.comes(lambda: fleet.states("stacks_total") == {"error": 1}, "it is unhealthy")
        await real.docker("exec", "shop_web_1", "rm", "/sick")
        await fleet.comes(lambda: fleet.states("stacks_total") == {"running": 1}, "it is healthy again")

        await real.run(
            "loop_a_1", "sh", "-c", "sleep 0.2; exit 3", options=(*of_stack("loop", "a"), "--restart", "always")
        )
        await fleet.comes(lambda: fleet.states("stacks_total") == {"running": 1, "error": 1}, "a crash loop")
        await real.docker("rm", "-f", "loop_a_1")
        await fleet.comes(lambda: fleet.states("stacks_total") == {"running": 1}, "the loop's stack is gone")

        await fleet.deploy(fails=True)
        await fleet.comes(lambda: fleet.states("stacks_total") == {"error": 1}, "a deploy failed")
        await fleet.deploy(fails=False)
        await fleet.comes(lambda: fleet.states("stacks_total") == {"running": 1}, "the next one did not")

        await real.docker("rm", "-f", "-v", "shop_db_1")
        await real.docker("volume", "rm", "dbdata")

        def volume_gone() -> bool:
            return value(fleet.page, "backup_uncovered_sources", **uncovered) == 0

        await fleet.comes(volume_gone, "the volume was removed")
        await _hung_and_restarted(real, fleet)


async def _hung_and_restarted(real: RealEngine, fleet: Fleet) -> None:
    seen: dict[str, Any] = fleet.states("containers_total")
    assert seen == {"running": 1, "paused": 1}
    real.freeze()
    await fleet.comes(lambda: fleet.value("hosts_total", status="degraded") == 1, "the engine hangs")
    assert fleet.states("containers_total") == seen
    assert fleet.states("stacks_total") == {"unknown": 1}
    real.thaw()
    await fleet.comes(lambda: fleet.states("stacks_total") == {"running": 1}, "it goes on")
    await real.end()
    await fleet.comes(lambda: fleet.value("hosts_total", status="degraded") == 1, "the engine is down")
    await real.begin()
    # Containers without a restart policy stay down.
    await fleet.comes(lambda: fleet.states("containers_total") == {"exited": 2}, "it came back")
    assert fleet.value("hosts_total", status="degraded") == 0
