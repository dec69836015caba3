"""A night of a large fleet: the database it begins with, what its agents and its clock do; for ``bench/fleet.py``.

Every source is due at one moment and misses one deadline, the worst that a clock can do to a hub.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from ingest import LOG
from judge import facts_of

from lastgood.fleet import presence
from lastgood.fleet.changes import Changes
from lastgood.fleet.fleet import Fleet
from lastgood.fleet.learn import learn
from lastgood.ids import stable_key
from lastgood.model.fact import Fact, RunFinished, RunStarted, SourceConfigured
from lastgood.model.job import Outcome, Run, RunKind, RunStart, Schedule
from lastgood.model.source import Source, State
from lastgood.service.checkpoint import Checkpoint
from lastgood.service.service import Service
from lastgood.store import records
from lastgood.store.codec import decoder, encode
from lastgood.store.database import open_database
from lastgood.store.log import Append, Mark

SOURCES = 3
NIGHTLY = Schedule(cron="0 2 * * *", zone="UTC")
LAST_NIGHT = datetime(2026, 3, 2, 2, tzinfo=UTC)
"""When every source was due and well backed up; a day later it is due again."""

DUE = LAST_NIGHT + timedelta(days=1)
DEADLINE, EVENING = DUE + timedelta(hours=6), DUE - timedelta(hours=1)
INGEST_SECONDS = 10.0
WINDOW = 8_000
BURST = 50
AT_ONCE = 100


# --- the database ---------------------------------------------------------------------------------------------


def nightly(fact: Fact) -> Fact:
    """The fact with the schedule and the night that all sources of this fleet have in common."""
    if isinstance(fact, SourceConfigured):
        return replace(fact, source=replace(fact.source, schedule=NIGHTLY))
    if isinstance(fact, RunFinished):
        took = timedelta(seconds=fact.run.duration_seconds)
        return replace(
            fact, run=replace(fact.run, due_at=LAST_NIGHT, started_at=LAST_NIGHT, ended_at=LAST_NIGHT + took)
        )
    return fact


async def build(folder: Path, hosts: int) -> None:
    """Every fact learned and noted as ingest does, saved by the real checkpoint in parts."""
    database = open_database(folder)
    fleet = Fleet()
    checkpoint, seq = Checkpoint(database, fleet), 0
    for number in range(hosts):
        for fact in map(nightly, facts_of(number, SOURCES)):
            seq += 1
            checkpoint.note(seq, fact, learn(fleet, decoder(type(fact))(encode(fact))))
        if number % 5_000 == 4_999:
            await checkpoint.save()
    await checkpoint.save()
    seen: dict[str, records.Seen] = dict.fromkeys(fleet.hosts, (EVENING, EVENING))
    await database.write(lambda connection: records.save_presence(connection, seen))
    await database.write(lambda connection: records.save_alive(connection, EVENING))
    await database.close()


# --- the hub --------------------------------------------------------------------------------------------------


class TurnedClock:
    """Stands still until it is turned."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def __call__(self) -> datetime:
        return self.moment


async def settled(holds: Callable[[], bool], seconds: float = 600.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit("The fleet did not come to where it should; look at the log lines above.")
        await asyncio.sleep(0.01)


async def in_parts(things: Iterable[str], act: Callable[[str], object]) -> None:
    """As connections do: a few, and then whoever else wants the loop."""
    for number, thing in enumerate(things):
        act(thing)
        if number % 10 == 9:
            await asyncio.sleep(0)


async def heartbeats(service: Service) -> None:
    """Every agent says every half minute that it is there."""
    judging = service.fleet.judging
    while True:
        began = time.monotonic()
        for number, host_id in enumerate(list(service.fleet.hosts)):
            presence.heard(judging, host_id, service.clock())
            if number % 30 == 29:
                behind = 30.0 * number / len(service.fleet.hosts) - (time.monotonic() - began)
                await asyncio.sleep(max(behind, 0))


async def all_come(service: Service) -> None:
    """Every agent connects and is in step."""

    def come(host_id: str) -> None:
        presence.connected(service.fleet.judging, host_id, service.clock())
        presence.synced(service.fleet.judging, host_id, service.clock(), True)
        service.watch.presence_changed(host_id)

    await in_parts(list(service.fleet.hosts), come)


def told(service: Service, state: State) -> bool:
    judging = service.fleet.judging
    if judging.evaluated_at != service.clock():
        return False
    return all(said is state for said in judging.states.values())


async def due(service: Service, clock: TurnedClock) -> None:
    clock.moment = DUE
    await settled(lambda: service.fleet.judging.evaluated_at == DUE)


async def deadline(service: Service, clock: TurnedClock) -> dict[str, Any]:
    """Every source misses its backup at once: states, ledger and alerts, all of it on disk."""
    began = time.monotonic()
    clock.moment = DEADLINE
    sources = len(service.fleet.sources)
    await settled(lambda: service.fleet.open_alerts.total() >= sources)
    return {"alerted_seconds": round(time.monotonic() - began, 1)}


async def whole_checkpoint(service: Service) -> None:
    """Every row of the fleet in one checkpoint, as after a night in which everything changed."""
    fleet, checkpoint = service.fleet, service.checkpoint
    host_told = facts_of(0, 0)[0]
    ids = list(fleet.hosts)
    for start in range(0, len(ids), AT_ONCE):
        touched = Changes(hosts=set(ids[start : start + AT_ONCE]))
        for host_id in touched.hosts:
            touched.sources.update(fleet.sources_of_host[host_id])
            touched.repositories.update(fleet.repositories_of_host(host_id))
        checkpoint.note(checkpoint.learned_upto, host_told, touched)
        await asyncio.sleep(0)
    await checkpoint.save()


# --- facts ----------------------------------------------------------------------------------------------------


def reports(source: Source, run_number: int, at: datetime) -> tuple[Append, Append]:
    """The start of a run, and its end with what the tool wrote."""
    run_id = stable_key(source.id, str(run_number))
    ids = {"id": run_id, "host_id": source.host_id, "source_id": source.id, "repository_id": source.repository_id}
    origin, stream = f"agent:{source.host_id}", f"agent:{source.host_id}:{source.id}"
    first = 2 * run_number + 1
    start = RunStart(kind=RunKind.BACKUP, started_at=at, due_at=DUE, **ids)
    run = Run(
        kind=RunKind.BACKUP,
        outcome=Outcome.SUCCESS,
        started_at=at,
        ended_at=at,
        duration_seconds=600.0,
        due_at=DUE,
        snapshot_id=(run_id * 3)[:64],
        size_bytes=5_000_000_000,
        added_bytes=12_000_000,
        files=4_321,
        **ids,
    )
    return (
        Append((RunStarted(at=at, origin=origin, run=start),), Mark(stream, first, first - 1)),
        Append((RunFinished(at=at, origin=origin, run=run),), Mark(stream, first + 1, first), LOG),
    )


def every_report(service: Service) -> Iterator[tuple[Append, Append]]:
    """A run of each source, and then of each another one."""
    for run_number in count():
        for source in list(service.fleet.sources.values()):
            yield reports(source, run_number, service.clock())


async def ingest(service: Service, runs: Iterator[tuple[Append, Append]], pace: float | None) -> dict[str, Any]:
    """Reports of agents for some seconds: at ``pace`` facts a second, or as many as are taken."""
    began = time.monotonic()
    until, acknowledged, sent = began + INGEST_SECONDS, 0, 0
    waits: list[float] = []
    room = asyncio.Semaphore(WINDOW)
    tasks: set[asyncio.Task[None]] = set()

    async def tell(run: tuple[Append, Append]) -> None:
        nonlocal acknowledged
        for report in run:
            asked = time.monotonic()
            await service.ingest.take(report)
            waits.append(time.monotonic() - asked)
            acknowledged += time.monotonic() < until
        room.release()

    while time.monotonic() < until:
        await room.acquire()
        task = asyncio.create_task(tell(next(runs)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        sent += 2
        if sent % BURST == 0:
            behind = 0.0 if pace is None else sent / pace - (time.monotonic() - began)
            await asyncio.sleep(max(behind, 0))
    await asyncio.gather(*tasks)
    waits.sort()
    return {
        "facts_per_second": round(acknowledged / INGEST_SECONDS),
        "ack_ms_median": round(1000 * waits[len(waits) // 2], 1),
        "ack_ms_p99": round(1000 * waits[len(waits) * 99 // 100], 1),
    }
