"""A fleet for ``bench/scrape.py`` whose ids are as random as ULIDs are, and what a backup changes on its lines.

All is learned from facts like any other; one repository and one source a host.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from lastgood.fleet.changes import Changes
from lastgood.fleet.fleet import Fleet
from lastgood.fleet.judge import repository_state, source_state
from lastgood.fleet.learn import learn
from lastgood.ids import ulid
from lastgood.model.fact import (
    Fact,
    HostEnrolled,
    RepositoryConfigured,
    RepositorySized,
    RunFinished,
    SnapshotsListed,
    SourceConfigured,
)
from lastgood.model.host import Host, Presence
from lastgood.model.job import Outcome, Run, RunKind, Schedule
from lastgood.model.repository import Repository
from lastgood.model.source import Source

NOW = datetime(2026, 3, 14, 12, tzinfo=UTC)
BEGAN = NOW - timedelta(days=60)
SCHEDULE = Schedule(cron="0 2 * * *", zone="UTC")


def _id(kind: str, number: int) -> str:
    return ulid(BEGAN, hashlib.sha256(f"{kind}{number}".encode()).digest()[:10])


def facts(number: int) -> Iterator[Fact]:
    told = {"at": BEGAN, "origin": "bench"}
    host = Host(id=_id("host", number), name=f"srv-{number:05}.dc1.example.net", key="a2V5", enrolled_at=BEGAN)
    repository = Repository(id=_id("vault", number), name=f"vault-{number}", url=f"/srv/{number}", added_at=BEGAN)
    source = Source(
        id=_id("source", number),
        name="home",
        host_id=host.id,
        repository_id=repository.id,
        paths=("/home",),
        restic_host=host.name,
        created_at=BEGAN,
        revised_at=BEGAN,
        schedule=SCHEDULE,
    )
    yield HostEnrolled(host=host, **told)
    yield RepositoryConfigured(repository=repository, **told)
    yield SourceConfigured(source=source, **told)
    if number % 50:  # two in a hundred have no backup yet
        ended_at = NOW - timedelta(hours=10, seconds=number % 7200)
        yield RunFinished(run=_run(number, source, ended_at), **told)
        size = 2_000_000_000 + number * 7919 % 7_000_000_000
        yield RepositorySized(repository_id=repository.id, sized_at=ended_at, size_bytes=size, **told)
        yield SnapshotsListed(repository_id=repository.id, listed_at=ended_at, total=number % 400, series=(), **told)


def _run(number: int, source: Source, ended_at: datetime) -> Run:
    return Run(
        id=_id("run", number),
        kind=RunKind.BACKUP,
        outcome=Outcome.SUCCESS,
        host_id=source.host_id,
        source_id=source.id,
        repository_id=source.repository_id,
        started_at=ended_at - timedelta(minutes=10),
        ended_at=ended_at,
        duration_seconds=600.0,
        due_at=None,
        snapshot_id=f"{number:064x}",
        size_bytes=5_000_000_000,
        added_bytes=12_000_000,
    )


def crowd(hosts: int) -> Fleet:
    """A fleet of so many hosts, judged, every agent connected."""
    fleet = Fleet()
    for number in range(hosts):
        for fact in facts(number):
            learn(fleet, fact)
    judging = fleet.judging
    judging.evaluated_at = NOW
    for host_id in fleet.hosts:
        judging.presence[host_id] = Presence(connected=True, synced=True, seen_at=NOW, observed_at=NOW)
        judging.tell_online(host_id, True)
    for source in fleet.sources.values():
        judging.states[source.id], _ = source_state(fleet, source, NOW)
    for repository_id in fleet.repositories:
        judging.repository_states[repository_id], _ = repository_state(fleet, repository_id, NOW)
    return fleet


def backed_up(fleet: Fleet, rng: random.Random, count: int) -> Changes:
    """So many hosts, drawn anywhere, have made a backup: time, size, number of snapshots, sometimes the success."""
    changes = Changes()
    hosts = list(fleet.hosts)
    for host_id in hosts if count >= len(hosts) else rng.sample(hosts, count):
        source = fleet.sources[fleet.sources_of_host[host_id][0]]
        ended_at = NOW - timedelta(seconds=rng.randrange(36_000))
        run = replace(_run(0, source, ended_at), outcome=Outcome.FAILED if rng.random() < 0.1 else Outcome.SUCCESS)
        fleet.last_backups[host_id] = run
        before = fleet.repository_evidence_of(source.repository_id)
        fleet.repository_evidence[source.repository_id] = replace(
            before, size_bytes=rng.randrange(2_000_000_000, 9_000_000_000), snapshots=(before.snapshots or 0) + 1
        )
        changes.hosts.add(host_id)
        changes.repositories.add(source.repository_id)
        evidence = fleet.evidence_of(source.id)
        fleet.evidence[source.id] = replace(evidence, last_attempt=run, snapshots=(evidence.snapshots or 0) + 1)
        changes.sources.add(source.id)
    return changes
