"""Promise 1 at the whole hub: ``kill -9`` of a real ``lastgood serve`` while real agents' links tell it of runs.

Agents keep their spools through every kill, as they would on other machines. What a spool saw acknowledged is there
after each restart, nothing is counted twice, the database is sound, histograms never fall, and it serves again in
time. ``test_kill.py`` does the same, more often, to the heart alone.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import socket
import sqlite3
import sys
import tempfile
import time
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest

from lastgood.agent.backoff import Backoff
from lastgood.agent.handshake import Pinned, to_text
from lastgood.agent.link import Described, Link, Order, Seams
from lastgood.agent.spool import Spool
from lastgood.auth.identity import mint_key_pair
from lastgood.clock import now
from lastgood.config.settings import ServerSettings, Settings
from lastgood.metrics.text import Format
from lastgood.model.fact import HostEnrolled, RepositoryConfigured, SourceConfigured
from lastgood.model.host import Host
from lastgood.model.job import Outcome, Run
from lastgood.service.service import Service
from lastgood.wire.frames import Finished
from tests.builders import a_host, a_repository, a_run, a_source, an_id
from tests.flow.hub import command, environment
from tests.hub.rig import INFO
from tests.metrics.expectation import parsed
from tests.waiting import until

AGENTS = 4
UNDER_WAY = 30
"""So many runs an agent's spool holds that the hub has not acknowledged; then it waits."""

LONGEST_SECONDS = 0.8
START_CPU_SECONDS = 3.0
TICKS = os.sysconf("SC_CLK_TCK")
REPOSITORY = a_repository()
OUTCOMES = (Outcome.SUCCESS, Outcome.FAILED, Outcome.SUCCESS, Outcome.CANCELLED)
Counted = dict[tuple[str, str], float]


class Agent:
    """A real link and spool; in place of restic, runs that end as fast as the hub takes them."""

    def __init__(self, number: int, begin: datetime) -> None:
        self.keys = mint_key_pair(bytes([number + 1]) * 32)
        self.host: Host = a_host(f"web-{number}", key=to_text(self.keys.public_key), enrolled_at=begin)
        self.source = a_source("home", self.host, REPOSITORY, created_at=begin, revised_at=begin)
        self.told: list[Run] = []
        self.surveys_asked = 0
        self.enough = False
        self._begin = begin

    @asynccontextmanager
    async def running(self, url: str, hub_key: bytes, folder: Path) -> AsyncIterator[None]:
        self.spool = await Spool.open(folder / f"{self.host.name}.spool", now)
        pinned = Pinned(host_id=self.host.id, keys=self.keys, hub_key=hub_key)
        seams = Seams(describe=self._describe, receive=self._receive, survey_all=self._survey_all)
        link = Link(url, pinned, self.spool, seams, now, Backoff(0.05, 0.4))
        tasks = [asyncio.create_task(link.run()), asyncio.create_task(self._tell())]
        try:
            yield
            self.enough = True
            await tasks[1]
            async with asyncio.timeout(30):
                await link.delivered()
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            await self.spool.close()
        assert [type(result) for result in results] == [asyncio.CancelledError, type(None)], results

    async def _tell(self) -> None:
        while not self.enough:
            if len(self.told) - self.spool.acknowledged >= UNDER_WAY:
                await asyncio.sleep(0.002)
                continue
            number = len(self.told) + 1
            run = a_run(
                self.source,
                self._begin + timedelta(seconds=number),
                OUTCOMES[number % len(OUTCOMES)],
                id=an_id(self.host.name, number),
                duration_seconds=float(number % 90),
                due_at=None,
            )
            self.told.append(run)
            assert await self.spool.add(Finished(run=run, log="x" * 200)) == number

    async def _describe(self) -> Described:
        return Described(info=INFO, hostname=self.host.name, assignment_version=None, running=())

    async def _receive(self, _order: Order) -> None:
        return None

    def _survey_all(self) -> None:
        self.surveys_asked += 1


@dataclass
class Hub:
    """``lastgood serve`` on one port, started again and again."""

    folder: Path
    port: int
    process: Process | None = None
    wall_seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def begin(self) -> None:
        words = command("serve", "--data-dir", str(self.folder), "--listen", f"127.0.0.1:{self.port}")
        with (self.folder.parent / "hub.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *words, stdout=log, stderr=log, env=environment({"LASTGOOD_METRICS__AUTH": "false"})
            )
        self._began = time.monotonic()

    async def serving(self) -> None:
        """Wait for ``/-/ready``, and note how long it took since the start, by the clock and by its CPU time."""
        async with httpx.AsyncClient(base_url=self.url, trust_env=False) as client:

            async def ready() -> bool:
                assert self.process is not None
                assert self.process.returncode is None, (self.folder.parent / "hub.log").read_text()[-3000:]
                try:
                    return (await client.get("/-/ready")).status_code == 200
                except httpx.TransportError:
                    return False

            await until(ready, "the hub is serving", seconds=60)
        self.wall_seconds.append(time.monotonic() - self._began)
        self.cpu_seconds.append(self._cpu_seconds())

    def _cpu_seconds(self) -> float:
        assert self.process is not None
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    async def end(self, number: signal.Signals) -> int:
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(number)
        async with asyncio.timeout(20):
            return await self.process.wait()

    async def counted(self) -> Counted:
        """How many runs each histogram has counted, and the seconds they took, by sample and status."""
        async with httpx.AsyncClient(base_url=self.url, trust_env=False) as client:
            body = (await client.get("/metrics?vocabulary=rm")).content
        found = {}
        for (name, labels), value in parsed(body, Format.TEXT).items():
            if (
                name in ("rm_job_duration_seconds_count", "rm_job_duration_seconds_sum")
                and ("kind", "backup") in labels
            ):
                found[name, dict(labels)["status"]] = value
        assert len(found) == 6
        return found


def quiet_port() -> int:
    """A free port that the kernel gives to nobody by itself, also not while the hub is dead."""
    while True:
        port = random.SystemRandom().randrange(12_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def soundness(folder: Path) -> str:
    """Of a copy, so that it is the hub itself that mends what the kill left behind."""
    with tempfile.TemporaryDirectory() as room:
        for part in folder.glob("lastgood.db*"):
            shutil.copy(part, room)
        with closing(sqlite3.connect(Path(room) / "lastgood.db")) as connection:
            [(answer,)] = connection.execute("PRAGMA integrity_check").fetchall()
            return str(answer)


def runs_kept(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / "lastgood.db")) as connection:
        return [run_id for (run_id,) in connection.execute("SELECT id FROM runs WHERE outcome IS NOT NULL")]


async def enrol(folder: Path, agents: list[Agent], begin: datetime) -> bytes:
    """Put the hosts into a fresh hub's database by the hub's own way in; answers the hub's public key."""
    service = await Service.open(Settings(server=ServerSettings(data_dir=folder)), now)
    await service.ingest.start()
    by = {"at": begin, "origin": "test"}
    await service.take([RepositoryConfigured(**by, repository=REPOSITORY)])
    for agent in agents:
        await service.take([HostEnrolled(**by, host=agent.host), SourceConfigured(**by, source=agent.source)])
    key = service.keys.public_key
    await service.stop()
    return key


async def kill(hub: Hub, agents: list[Agent], kills: int) -> None:
    """The lives of the hub, each ended by ``kill -9`` at a moment of chance, some before it was serving."""
    chance = random.Random(20260314)
    before: Counted = {}
    lives_with_news = 0
    for number in range(kills):
        await hub.begin()
        if number % 4 == 2:  # in the middle of its start
            await asyncio.sleep(chance.uniform(0, 2.0))
        else:
            await hub.serving()
            acknowledged = sum(agent.spool.acknowledged for agent in agents)
            counted = await hub.counted()
            assert all(counted[key] >= value for key, value in before.items()), "a histogram fell"
            assert runs_of(counted) >= acknowledged, "something acknowledged is lost"
            before = counted
            await asyncio.sleep(chance.uniform(0, LONGEST_SECONDS))
            lives_with_news += sum(agent.spool.acknowledged for agent in agents) > acknowledged
        assert await hub.end(signal.SIGKILL) == -signal.SIGKILL
        assert soundness(hub.folder) == "ok"
    assert lives_with_news > kills // 3


def runs_of(counted: Counted) -> float:
    return sum(value for (name, _), value in counted.items() if name.endswith("_count"))


async def survive(room: Path, kills: int) -> Hub:
    begin = now() - timedelta(days=1)
    agents = [Agent(number, begin) for number in range(AGENTS)]
    hub = Hub(room / "hub", quiet_port())
    hub_key = await enrol(hub.folder, agents, begin)
    url = f"ws://127.0.0.1:{hub.port}/ws/agent"
    try:
        async with (
            agents[0].running(url, hub_key, room),
            agents[1].running(url, hub_key, room),
            agents[2].running(url, hub_key, room),
            agents[3].running(url, hub_key, room),
        ):
            await kill(hub, agents, kills)
            await hub.begin()
            await hub.serving()
            for agent in agents:
                agent.enough = True
        counted = await hub.counted()
    finally:
        code = await hub.end(signal.SIGTERM)
    assert code == 0

    told = [run for agent in agents for run in agent.told]
    assert sorted(runs_kept(hub.folder)) == sorted(run.id for run in told)
    statuses = Counter(str(run.outcome.status) for run in told)
    seconds = Counter[str]()
    for run in told:
        seconds[str(run.outcome.status)] += run.duration_seconds  # type: ignore[assignment]
    for status in statuses:
        assert counted["rm_job_duration_seconds_count", status] == statuses[status]
        assert counted["rm_job_duration_seconds_sum", status] == seconds[status]
    assert [agent.surveys_asked for agent in agents] == [0] * AGENTS, "marks did not meet"
    return hub


def served_in_time(hub: Hub) -> None:
    """The starts in CPU time: what the clock says depends on who else works on this machine, so it is only told."""
    wall, cpu = sorted(hub.wall_seconds), sorted(hub.cpu_seconds)
    sys.stdout.write(
        f"{len(wall)} starts until ready: {wall[len(wall) // 2]:.2f} s in the middle, {wall[-1]:.2f} s at most; "
        f"CPU {cpu[len(cpu) // 2]:.2f} s in the middle, {cpu[-1]:.2f} s at most\n"
    )
    assert cpu[len(cpu) // 2] < START_CPU_SECONDS


async def test_eight_kills_of_the_whole_hub_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    served_in_time(await survive(tmp_path, 8))


@pytest.mark.slow
async def test_fifty_kills_of_the_whole_hub_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    served_in_time(await survive(tmp_path, 50))
