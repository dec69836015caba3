"""How many durable facts a second the hub takes: each acknowledged after its fsync, learned and checkpointed.

    python bench/ingest.py --json            on the disk of the current folder, 10 s
    python bench/ingest.py --agents 500 --window 32 --folder /srv/scratch

Agents tell runs (started, finished with a log of 1 kB) one report at a time, ``--window`` of them under way, as a
connection does; they share the process and the cores with the hub. The last line of ``--json`` is one object. The
number to reach is in the design: 5,000 a second on two cores with SQLite.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import resource
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import uvloop

from lastgood.ids import stable_key
from lastgood.model.fact import Fact, HostEnrolled, RepositoryConfigured, RunFinished, RunStarted, SourceConfigured
from lastgood.model.host import Host
from lastgood.model.job import Outcome, Run, RunKind, RunStart, Schedule
from lastgood.model.repository import Repository
from lastgood.model.source import Source
from lastgood.service.checkpoint import restore
from lastgood.service.ingest import Ingest
from lastgood.store.database import open_database
from lastgood.store.log import Append, Mark

TARGET = 5_000
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
LOG = "processed 4321 files, 4.657 GiB in 10:00\n" * 24
HELD_EVERY = 0.001


@dataclass
class Told:
    """What the agents have seen acknowledged, and how long each had to wait."""

    until: float
    facts: int = 0
    waits: list[float] = field(default_factory=list)


async def tell(ingest: Ingest, number: int, window: int, told: Told) -> None:
    """One agent: tells runs one after the other, as many under way as its window allows."""
    source = a_source(number)
    room = asyncio.Semaphore(window)
    tasks: set[asyncio.Task[None]] = set()
    sequence = 0
    while time.monotonic() < told.until:
        await room.acquire()
        sequence += 1
        mark = Mark(f"agent:{source.host_id}:spool", sequence, sequence - 1)
        append = Append((report(source, sequence),), mark, LOG if sequence % 2 == 0 else "")
        task = asyncio.create_task(one(ingest, append, room, told))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    if tasks:
        await asyncio.wait(tasks)


async def one(ingest: Ingest, append: Append, room: asyncio.Semaphore, told: Told) -> None:
    began = time.monotonic()
    await ingest.take(append)
    told.waits.append(time.monotonic() - began)
    told.facts += 1
    room.release()


async def watch_loop(until: float) -> float:
    """The longest time for which the loop did not come back to us."""
    longest = 0.0
    await asyncio.sleep(1)  # until the agents are under way
    while (began := time.monotonic()) < until:
        await asyncio.sleep(HELD_EVERY)
        longest = max(longest, time.monotonic() - began - HELD_EVERY)
    return longest


async def bench(folder: Path, agents: int, window: int, seconds: float) -> dict[str, object]:
    database = open_database(folder)
    fleet, checkpoint = await restore(database)
    ingest = Ingest(database, fleet, checkpoint, lambda changes, at: None)
    await ingest.start()
    await ingest.take(Append(tuple(nouns(agents))))
    rounds = asyncio.create_task(checkpoint.run())
    gc.collect()
    gc.freeze()
    gc.set_threshold(700, 10, 100_000)  # as the hub does: a full collection would walk the whole fleet
    commits, commit_seconds = database.commits, database.commit_seconds
    cpu, began = cpu_seconds(), time.monotonic()
    told = Told(until=began + seconds)
    longest, *_ = await asyncio.gather(
        watch_loop(told.until), *(tell(ingest, number, window, told) for number in range(agents))
    )
    elapsed = time.monotonic() - began
    cpu = cpu_seconds() - cpu
    rounds.cancel()
    commits, commit_seconds = database.commits - commits, database.commit_seconds - commit_seconds
    await ingest.stop()
    await checkpoint.save()
    await database.close()
    told.waits.sort()
    return {
        "facts_per_second": round(told.facts / elapsed),
        "target": TARGET,
        "reached": told.facts / elapsed >= TARGET,
        "agents": agents,
        "window": window,
        "facts": told.facts,
        "commits": commits,
        "commit_ms": round(1000 * commit_seconds / max(commits, 1), 2),
        "ack_ms_median": round(1000 * told.waits[len(told.waits) // 2], 1),
        "ack_ms_p99": round(1000 * told.waits[len(told.waits) * 99 // 100], 1),
        "longest_hold_ms": round(1000 * longest, 1),
        "cpu_us_per_fact": round(1e6 * cpu / told.facts, 1),
        "checkpoints": checkpoint.saves,
        "checkpoint_ms": round(1000 * checkpoint.save_seconds / max(checkpoint.saves, 1)),
        "fsync_ms": round(1000 * fsync_seconds(folder), 3),
        "database_bytes": (folder / "lastgood.db").stat().st_size,
    }


async def start(folder: Path) -> float:
    """How long a start from this database takes until the fleet is there."""
    began = time.monotonic()
    database = open_database(folder)
    await restore(database)
    took = time.monotonic() - began
    await database.close()
    return took


def nouns(agents: int) -> list[Fact]:
    facts: list[Fact] = []
    for number in range(agents):
        source = a_source(number)
        host = Host(id=source.host_id, name=source.restic_host, key="a2V5", enrolled_at=BEGAN)
        repository = Repository(id=source.repository_id, name=f"vault-{number}", url=f"/srv/{number}", added_at=BEGAN)
        facts.append(HostEnrolled(at=BEGAN, origin="bench", host=host))
        facts.append(RepositoryConfigured(at=BEGAN, origin="bench", repository=repository))
        facts.append(SourceConfigured(at=BEGAN, origin="bench", source=source))
    return facts


def a_source(number: int) -> Source:
    return Source(
        id=stable_key("source", str(number)),
        name="home",
        host_id=stable_key("host", str(number)),
        repository_id=stable_key("repository", str(number)),
        paths=("/home",),
        restic_host=f"host-{number:05}",
        created_at=BEGAN,
        revised_at=BEGAN,
        schedule=Schedule(cron="0 2 * * *", zone="UTC"),
    )


def report(source: Source, sequence: int) -> Fact:
    """Odd numbers start a run, even ones finish it, a day apart."""
    day, ends = divmod(sequence + 1, 2)
    started_at = BEGAN + timedelta(days=day, hours=2)
    run_id = stable_key(source.id, str(day))
    ids = {"host_id": source.host_id, "source_id": source.id, "repository_id": source.repository_id}
    if not ends:
        start = RunStart(id=run_id, kind=RunKind.BACKUP, started_at=started_at, due_at=started_at, **ids)
        return RunStarted(at=started_at, origin=f"agent:{source.host_id}", run=start)
    ended_at = started_at + timedelta(minutes=10)
    run = Run(
        id=run_id,
        kind=RunKind.BACKUP,
        outcome=Outcome.SUCCESS,
        started_at=started_at,
        ended_at=ended_at,
        duration_seconds=600.0,
        due_at=started_at,
        snapshot_id=(run_id * 3)[:64],
        size_bytes=5_000_000_000,
        added_bytes=12_000_000,
        files=4_321,
        **ids,
    )
    return RunFinished(at=ended_at, origin=f"agent:{source.host_id}", run=run)


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def fsync_seconds(folder: Path) -> float:
    """What one fsync of a small write costs on this disk: the peer against which commits are to be read."""
    path = folder / "fsync"
    times = []
    with path.open("wb", buffering=0) as file:
        for _ in range(50):
            file.write(b"x" * 4096)
            began = time.monotonic()
            os.fdatasync(file.fileno())
            times.append(time.monotonic() - began)
    path.unlink()
    return sorted(times)[len(times) // 2]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--agents", type=int, default=500)
    arguments.add_argument("--window", type=int, default=16)
    arguments.add_argument("--seconds", type=float, default=10.0)
    arguments.add_argument("--folder", type=Path, default=Path())
    arguments.add_argument("--json", action="store_true")
    chosen = arguments.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench-ingest-", dir=chosen.folder))
    try:
        figures = uvloop.run(bench(folder, chosen.agents, chosen.window, chosen.seconds))
        figures["start_seconds"] = round(uvloop.run(start(folder)), 2)
    finally:
        shutil.rmtree(folder)
    if chosen.json:
        print(json.dumps(figures))
        return
    for name, figure in figures.items():
        print(f"{name:20} {figure}")
    sys.exit(0 if figures["reached"] else 1)


if __name__ == "__main__":
    main()
