"""The simulated side of ``bench/docker.py``: hosts that tell surveys of their engines over real links, and an engine.

    python bench/docker_crowd.py hosts URL HUB_KEY --hosts 1000     commands on standard input, one JSON line each
    python bench/docker_crowd.py engine SOCKET --containers 60

Links, handshakes and frames are the agents' own; their spools are in memory. The one rule: a survey counts once the
hub acknowledged it, which it does after its commit.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import sys
import time
from collections import deque
from dataclasses import replace
from pathlib import Path

import uvloop
from agents import INFO, host_id, keys_of

from lastgood.agent.handshake import Pinned, from_text
from lastgood.agent.link import Described, Link, Order, Seams
from lastgood.agent.spool_file import Met
from lastgood.cli.running import raise_file_limit
from lastgood.clock import now
from lastgood.ids import ulid
from lastgood.logs import configure
from lastgood.model.docker import (
    Container,
    ContainerState,
    Engine,
    EngineState,
    Health,
    Inventory,
    Mount,
    MountKind,
    Volume,
)
from lastgood.wire.frames import Assignment, Docker, Report, encode

SERVICES = ("web", "db", "cache", "worker", "proxy")
UP = Engine(state=EngineState.UP, endpoint="unix:///var/run/docker.sock", version="26.1.5", api_version="1.45")
ROOT = "/var/lib/docker/volumes"


def container(host: int, number: int, revision: int) -> Container:
    """Five to a stack; the database has a volume, the web server a folder of the host."""
    stack, service = f"stack-{number // 5:02}", SERVICES[number % 5]
    mounts: tuple[Mount, ...] = ()
    if service == "db":
        name = f"{stack}_data"
        mounts = (Mount(kind=MountKind.VOLUME, destination="/data", source=f"{ROOT}/{name}/_data", name=name),)
    elif service == "web":
        mounts = (Mount(kind=MountKind.BIND, destination="/srv", source=f"/srv/{stack}/site", is_file=False),)
    stopped = number == revision % 60
    return Container(
        key=f"{stack}/{service}/1",
        id=hashlib.sha256(f"{host} {number}".encode()).hexdigest(),
        name=f"{stack}-{service}-1",
        image=f"registry.example.org/{stack}/{service}:1.{number}",
        state=ContainerState.EXITED if stopped else ContainerState.RUNNING,
        exit_code=0 if stopped else None,
        health=Health.HEALTHY if service == "web" and not stopped else Health.NONE,
        project=stack,
        service=service,
        restart_policy="unless-stopped",
        mounts=mounts,
    )


def survey(host: int, containers: int, revision: int) -> Docker:
    held = tuple(container(host, number, revision) for number in range(containers))
    names = sorted({one.name for told in held for one in told.mounts if one.kind is MountKind.VOLUME})
    volumes = tuple(Volume(name=name, mountpoint=f"{ROOT}/{name}/_data") for name in names)
    engine = replace(UP, name=f"srv-{host:05}")
    return Docker(listed_at=now(), engine=engine, inventory=Inventory(containers=held, volumes=volumes))


class Owing:
    """The spool of one host, in memory, as ``Link`` sees one."""

    def __init__(self, number: int, waits: list[float]) -> None:
        self.id = ulid(now(), hashlib.sha256(f"spool {number}".encode()).digest()[:10])
        self.acknowledged = self._sequence = 0
        self.changed, self.empty = asyncio.Event(), asyncio.Event()
        self._held: deque[tuple[Report, float]] = deque()
        self._waits = waits

    def add(self, said: Docker) -> None:
        self._sequence += 1
        self._held.append((Report(sequence=self._sequence, said=said), time.monotonic()))
        self.empty.clear()
        self.changed.set()

    async def owed(self) -> int:
        return self._sequence

    async def meet(self, acknowledged: int) -> Met:
        return Met.IN_STEP

    async def after(self, sequence: int, limit: int) -> list[Report]:
        return [report for report, _ in self._held if report.sequence > sequence][:limit]

    async def acknowledge(self, sequence: int) -> None:
        self.acknowledged = sequence
        while self._held and self._held[0][0].sequence <= sequence:
            self._waits.append(time.monotonic() - self._held.popleft()[1])
        if not self._held:
            self.empty.set()

    def part(self) -> None:
        return


class Crowd:
    def __init__(self, url: str, hub_key: str, hosts: int, containers: int) -> None:
        self.containers, self.waits = containers, list[float]()
        self.arrived = 0
        self.spools = [Owing(number, self.waits) for number in range(hosts)]
        described = Described(info=INFO, hostname="bench", assignment_version=None, running=())

        async def describe() -> Described:
            return described

        async def receive(order: Order) -> None:
            self.arrived += isinstance(order, Assignment)

        self.links = []
        for number, spool in enumerate(self.spools):
            pinned = Pinned(host_id=host_id(number), keys=keys_of(number), hub_key=from_text(hub_key))
            seams = Seams(describe=describe, receive=receive, survey_all=lambda: None)
            self.links.append(Link(url, pinned, spool, seams, now))  # type: ignore[arg-type]

    async def connect(self) -> None:
        self.tasks = [asyncio.create_task(link.run()) for link in self.links]
        while self.arrived < len(self.links):
            await asyncio.sleep(0.1)

    async def first(self) -> None:
        """All tell at once what they hold."""
        for number, spool in enumerate(self.spools):
            spool.add(survey(number, self.containers, 0))
        await self._settled()

    async def busy(self, seconds: float) -> None:
        """Each tells of a change every 15 seconds, as often as an agent does whose containers never rest."""
        end, revision = time.monotonic() + seconds, 0
        pause = 15.0 / len(self.spools)
        due = time.monotonic()
        while time.monotonic() < end:
            revision += 1
            number = revision % len(self.spools)
            self.spools[number].add(survey(number, self.containers, revision))
            due += pause
            await asyncio.sleep(max(due - time.monotonic(), 0.0))
        await self._settled()

    async def flood(self, seconds: float) -> None:
        """Each tells the next as soon as the last was acknowledged."""
        end = time.monotonic() + seconds

        async def tell(number: int, spool: Owing) -> None:
            revision = number
            while time.monotonic() < end:
                revision += 1
                spool.add(survey(number, self.containers, revision))
                await spool.empty.wait()

        await asyncio.gather(*(tell(*one) for one in list(enumerate(self.spools))[:200]))

    async def _settled(self) -> None:
        for spool in self.spools:
            await spool.empty.wait()

    async def serve(self) -> None:
        """Do what standard input says; after each word a line with what came of it."""
        while line := await asyncio.to_thread(sys.stdin.readline):
            word, *values = line.split()
            began, self.waits[:] = time.monotonic(), []
            await getattr(self, word)(*map(float, values))
            waits = sorted(self.waits)
            told = {"seconds": round(time.monotonic() - began, 2), "surveys": len(waits)}
            if waits:
                told |= {
                    "acknowledged_p50_ms": round(1000 * waits[len(waits) // 2], 1),
                    "acknowledged_p99_ms": round(1000 * waits[len(waits) * 99 // 100], 1),
                    "surveys_a_second": round(len(waits) / told["seconds"], 1),
                }
            broken = sum(task.done() for task in self.tasks)
            print(json.dumps({**told, "broken": broken}), flush=True)


async def engine(path: Path, containers: int) -> None:
    """An engine of so many containers in stacks of five, of which one is stopped or started every ten seconds."""
    sys.path.insert(0, str(Path(__file__).parent.parent))
    from tests.docker_engine import an_engine_on

    async with an_engine_on(path) as simulated:
        simulated.at(now().timestamp())
        boxes = [
            simulated.add(
                SERVICES[number % 5], f"stack-{number // 5:02}", health="healthy" if number % 5 == 0 else None
            )
            for number in range(containers)
        ]
        print(json.dumps({"containers": len(boxes)}), flush=True)
        revision = 0
        while True:
            await asyncio.sleep(10)
            box = boxes[revision // 2 % containers]
            simulated.at(now().timestamp())
            if revision % 2:
                simulated.start(box)
            else:
                simulated.stop(box)
            revision += 1


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("what", choices=["hosts", "engine"])
    arguments.add_argument("where", help="the hub's address, or the engine's socket")
    arguments.add_argument("hub_key", nargs="?", default="")
    arguments.add_argument("--hosts", type=int, default=1000)
    arguments.add_argument("--containers", type=int, default=60)
    chosen = arguments.parse_args()
    raise_file_limit()
    configure("error", "text")  # on standard error; the figures are on the other
    if chosen.what == "engine":
        uvloop.run(engine(Path(chosen.where), chosen.containers))
        return

    async def run() -> None:
        await Crowd(chosen.where, chosen.hub_key, chosen.hosts, chosen.containers).serve()

    uvloop.run(run())


def frame_bytes(containers: int) -> int:
    """How large one survey is on the wire."""
    return len(encode(Report(sequence=1, said=survey(1, containers, 1))))


if __name__ == "__main__":
    main()
