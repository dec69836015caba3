"""What a collector of 20,000 sources costs the hub: the first report, a round without news, one with some, a restart.

    python bench/collect.py --json
    python bench/collect.py --sources 5000 --repositories 5

A real hub with its database; only the server is made up. Measured while a ticker watches how long the event loop is
held: the number to reach is 20 ms. The last line of ``--json`` is one object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from lastgood.clock import now
from lastgood.collect.collector import Probe
from lastgood.config.settings import ServerSettings, Settings
from lastgood.fleet.rhythm import habit_of
from lastgood.ids import stable_key
from lastgood.logs import configure
from lastgood.model.collected import Attempt, CollectedRepository, CollectedSource, Report, SourcesTold
from lastgood.model.job import Outcome
from lastgood.model.repository import Probe as Answer
from lastgood.service.collectors import Configured
from lastgood.service.service import Service

TICK_SECONDS = 0.001
TARGET_HOLD_MS = 20.0
NEWS = 200
"""Sources of which a round tells something new: some hundred backups end in a busy minute."""


class Server:
    """Many groups in some datastores; ``turn`` lets some of them have a new backup."""

    name = "pbs/bench"
    picture = None

    def __init__(self, sources: int, repositories: int) -> None:
        self.stores = [stable_key("bench", str(number)) for number in range(repositories)]
        begun = now() - timedelta(hours=8)
        self.groups = [self._group(stable_key("bench", "group", str(n)), f"vm/{n}", begun) for n in range(sources)]
        probe = Probe(name="look", interval=timedelta(hours=1), deadline=timedelta(minutes=10), collect=self._collect)
        self.probes: Sequence[Probe] = (probe,)

    @staticmethod
    def _group(source_id: str, name: str, begun: datetime) -> CollectedSource:
        good = Attempt(
            id=f"{source_id}/{begun.timestamp():.0f}",
            outcome=Outcome.SUCCESS,
            started_at=begun,
            ended_at=begun + timedelta(minutes=9),
            snapshot_id=f"{name}/{begun:%Y-%m-%dT%H:%M:%SZ}",
            size_bytes=2**34,
        )
        habit = habit_of(begun - timedelta(days=day) for day in range(14))
        return CollectedSource(
            id=source_id, name=name, host="bench", newest=good, good=good, snapshots=14, habit=habit
        )

    def turn(self, news: int) -> None:
        later = now() - timedelta(hours=1)
        for place in range(news):
            group = self.groups[place]
            self.groups[place] = replace(self._group(group.id, group.name, later), habit=group.habit)

    async def _collect(self) -> AsyncIterator[Report]:
        each = -(-len(self.groups) // len(self.stores))
        for number, store in enumerate(self.stores):
            at = now()
            yield CollectedRepository(
                id=store,
                name=f"store-{number}",
                url=f"pbs://bench/{number}",
                tool="pbs",
                observed_at=at,
                probe=Answer.READY,
                used_bytes=2**40,
                available_bytes=2**40,
            )
            yield SourcesTold(
                repository_id=store,
                listed_at=at,
                sources=tuple(self.groups[number * each : (number + 1) * each]),
                whole=True,
            )

    def hear(self, heard: Callable[[], None]) -> None:
        """There is no picture."""

    async def begin(self) -> None:
        """There is nothing to read."""

    async def end(self) -> None:
        """There is nothing to keep."""


class Ticker:
    """How long the loop was held while it watched."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None
        self._gaps: list[float] = []
        self._worked: list[float] = []

    async def __aenter__(self) -> Ticker:
        self._gaps, self._worked = [], []
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        last, worked = time.perf_counter(), time.thread_time()
        while True:
            await asyncio.sleep(TICK_SECONDS)
            at, work = time.perf_counter(), time.thread_time()
            self._gaps.append(at - last - TICK_SECONDS)
            self._worked.append(work - worked)
            last, worked = at, work

    @property
    def held_ms(self) -> float:
        return round(max(self._gaps, default=0.0) * 1000, 1)

    @property
    def worked_ms(self) -> float:
        """The same without what other threads and programs took of it."""
        return round(max(self._worked, default=0.0) * 1000, 1)

    @property
    def p99_ms(self) -> float:
        ordered = sorted(self._gaps)
        return round(ordered[int(0.99 * (len(ordered) - 1))] * 1000, 1) if ordered else 0.0


async def measured(service: Service, what: str, act: Callable[[], Any]) -> dict[str, float]:
    """One round of the collector, waited for until it was learned."""
    facts = service.collectors.probes[Server.name]["look"]
    ticker, cpu, began = Ticker(), time.process_time(), time.perf_counter()
    async with ticker:
        act()
        while service.collectors.probes[Server.name]["look"].rounds == facts.rounds:
            await asyncio.sleep(0.01)
        took = time.perf_counter() - began
    found = {
        "seconds": round(took, 2),
        "cpu_seconds": round(time.process_time() - cpu, 2),
        "loop_held_ms": ticker.held_ms,
        "loop_worked_ms": ticker.worked_ms,
        "loop_held_p99_ms": ticker.p99_ms,
    }
    print(f"{what:28} " + "  ".join(f"{name} {value:g}" for name, value in found.items()), flush=True)
    return found


async def bench(sources: int, repositories: int, folder: Path) -> dict[str, Any]:
    settings = Settings(server=ServerSettings(data_dir=folder))
    server = Server(sources, repositories)
    found: dict[str, Any] = {"sources": sources, "repositories": repositories}
    service = await Service.open(settings, now, collected=lambda *_: [Configured(server)])
    await service.start()
    wanted = server.probes[0].wanted
    found["first"] = await measured(service, "first report", lambda: None)
    assert len(service.fleet.sources) == sources
    await asyncio.sleep(6)  # the checkpoint of the first report is no part of the next round
    found["steady"] = await measured(service, "round without news", wanted.set)
    server.turn(min(NEWS, sources))
    found["news"] = await measured(service, f"round with {min(NEWS, sources)} new backups", wanted.set)
    await service.stop()

    began = time.perf_counter()
    service = await Service.open(settings, now, collected=lambda *_: [Configured(server)])
    found["start_seconds"] = round(time.perf_counter() - began, 2)
    assert len(service.fleet.sources) == sources
    await service.start()
    found["again"] = await measured(service, "first round after a restart", lambda: None)
    await service.stop()
    found["peak_memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    found["target_loop_held_ms"] = TARGET_HOLD_MS
    print(f"{'start':28} seconds {found['start_seconds']:g}; peak memory {found['peak_memory_mb']} MB")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sources", type=int, default=20_000)
    parser.add_argument("--repositories", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print one object as the last line")
    chosen = parser.parse_args()
    configure("error", "text")
    with tempfile.TemporaryDirectory(prefix="lastgood-bench-") as folder:
        found = asyncio.run(bench(chosen.sources, chosen.repositories, Path(folder)))
    if chosen.json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
