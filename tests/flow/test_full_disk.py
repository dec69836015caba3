"""A full disk under a real hub: it says so, acknowledges nothing, tells what it knows, and heals by itself."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from lastgood.clock import now
from lastgood.wire.frames import Finished
from tests.builders import a_run, an_id
from tests.flow.test_kill_hub import Agent, Hub, enrol, quiet_port, runs_kept
from tests.waiting import until

MIB = 1024 * 1024
HEALS_SECONDS = 30.0
WISH = {"name": "cellar", "url": "/srv/cellar", "password_file": "/etc/cellar.password"}


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """A file system of a few MiB; skipped where nothing may be mounted."""
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", str(folder)]
    mounted = subprocess.run(words, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(path: Path) -> None:
    """Take every byte that is left."""
    with path.open("ab", buffering=0) as file:
        for size in (MIB, 4096):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue


class Owner:
    """Who asks the hub by its local socket and by its port."""

    def __init__(self, hub: Hub) -> None:
        transport = httpx.AsyncHTTPTransport(uds=str(hub.folder / "hub.sock"))
        self.local = httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=30)
        self.remote = httpx.AsyncClient(base_url=hub.url, trust_env=False, timeout=30)
        self._wishes = 0

    async def wish(self) -> httpx.Response:
        """Something that must be written."""
        self._wishes += 1
        body = {**WISH, "name": f"cellar {self._wishes}", "url": f"/srv/cellar-{self._wishes}"}
        return await self.local.post("/api/v1/repositories", json=body)

    async def faces(self) -> list[int]:
        """What is answered by scrape, pages, API and health, none of which needs the disk."""
        paths = ("/metrics", "/healthz", "/-/ready")
        there = [(await self.remote.get(path)).status_code for path in paths]
        return there + [(await self.local.get(path)).status_code for path in ("/", "/hosts", "/api/v1/hosts")]

    async def close(self) -> None:
        await self.local.aclose()
        await self.remote.aclose()


async def is_refused(owner: Owner) -> bool:
    answer = await owner.wish()
    if answer.is_success:
        return False
    assert answer.status_code == 507, answer.text
    assert int(answer.headers["Retry-After"]) <= HEALS_SECONDS
    assert answer.json()["error"]["code"] == "no_room"
    return True


async def live_through_it(hub: Hub, agent: Agent, room: Path, hub_key: bytes, *, full: object, free: object) -> float:
    """A disk that fills and is emptied; answers how long the hub took to heal."""
    agent.enough = True  # it tells nothing by itself
    async with agent.running(f"ws://127.0.0.1:{hub.port}/ws/agent", hub_key, room):
        owner = Owner(hub)
        try:

            async def tell(number: int) -> int:
                run = a_run(agent.source, now() - timedelta(minutes=1), id=an_id("run", number), due_at=None)
                agent.told.append(run)
                return await agent.spool.add(Finished(run=run, log="x" * 30_000))

            async def acknowledged(number: int) -> bool:
                return agent.spool.acknowledged >= number

            first = await tell(1)
            await until(lambda: acknowledged(first), "the hub takes runs")
            assert await owner.faces() == [200] * 6
            full()  # type: ignore[operator]
            await until(lambda: is_refused(owner), "the disk is full")
            latest = 0
            for number in range(2, 12):
                latest = await tell(number)
            for _ in range(5):
                assert await is_refused(owner)
                assert await owner.faces() == [200] * 6
            assert agent.spool.acknowledged < latest
            assert await agent.spool.after(0, 100), "the agent keeps what was not acknowledged"
            free()  # type: ignore[operator]
            began = time.monotonic()

            async def healed() -> bool:
                return (await owner.wish()).is_success and agent.spool.acknowledged >= latest

            await until(healed, "the hub takes facts again", seconds=HEALS_SECONDS)
            healed_in = time.monotonic() - began
            assert hub.process is not None
            assert hub.process.returncode is None
        finally:
            await owner.close()
    assert await hub.end(signal.SIGTERM) == 0
    assert sorted(runs_kept(hub.folder)) == sorted(run.id for run in agent.told)
    return healed_in


async def test_a_hub_on_a_full_disk_refuses_keeps_nothing_half_and_heals_by_itself(tmp_path: Path) -> None:
    begin = now() - timedelta(days=1)
    agent = Agent(0, begin)
    with small_disk(tmp_path / "disk", 24 * MIB) as disk:
        hub = Hub(disk / "hub", quiet_port())
        hub_key = await enrol(hub.folder, [agent], begin)
        hub.folder.parent.chmod(0o700)
        ballast = disk / "ballast"
        await hub.begin()
        try:
            await hub.serving()
            healed_in = await live_through_it(
                hub, agent, tmp_path, hub_key, full=lambda: fill(ballast), free=ballast.unlink
            )
        finally:
            await hub.end(signal.SIGKILL)
    sys.stdout.write(f"a full disk: the hub took facts again {healed_in:.1f} s after there was room\n")


async def test_a_disk_that_takes_no_writes_at_all_is_lived_through_like_a_full_one(tmp_path: Path) -> None:
    """As when the kernel makes a file system read-only: open files refuse to be written, with another error."""
    begin = now() - timedelta(days=1)
    agent = Agent(0, begin)
    hub = Hub(tmp_path / "hub", quiet_port())
    hub_key = await enrol(hub.folder, [agent], begin)
    await hub.begin()
    try:
        await hub.serving()
        assert hub.process is not None
        pid, (_, hard) = hub.process.pid, resource.getrlimit(resource.RLIMIT_FSIZE)
        await live_through_it(
            hub,
            agent,
            tmp_path,
            hub_key,
            full=lambda: resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard)),
            free=lambda: resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard)),
        )
    finally:
        await hub.end(signal.SIGKILL)
    assert (tmp_path / "hub.log").stat().st_size < 256 * 1024, "the log is not flooded"
