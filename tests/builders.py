"""Values for tests with sensible defaults; keywords override, names become stable ids.

``a_host()``, ``a_repository()``, ``a_source()``, ``a_run()``, ``an_alert()`` make model values. ``put_*`` place them
in a ``Fleet`` together with the indexes and the judge's answers a test wants to see told; ``a_fleet(12)`` is a fleet
of that many hosts with one backed-up source each. The one rule: no clock and no randomness, all from ``NOW``.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from lastgood.fleet.fleet import Fleet
from lastgood.ids import ulid
from lastgood.model.alert import Alert, AlertKey, Severity
from lastgood.model.host import Host, Presence
from lastgood.model.job import Outcome, Run, RunKind, RunStart, Schedule
from lastgood.model.repository import Probe, Repository, RepositoryEvidence, RepositoryState
from lastgood.model.source import Evidence, Source, State

NOW = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)
ENROLLED = datetime(2026, 1, 1, tzinfo=UTC)
DAILY = Schedule(cron="0 2 * * *", zone="Europe/Berlin")


def an_id(*parts: object) -> str:
    """The ULID that belongs to these words: the same words give the same id."""
    return ulid(ENROLLED, hashlib.sha256(repr(parts).encode("utf-8", "surrogatepass")).digest()[:10])


def a_host(name: str = "web-1", **changes: Any) -> Host:
    return replace(Host(id=an_id("host", name), name=name, key="a2V5", enrolled_at=ENROLLED), **changes)


def a_repository(name: str = "vault", **changes: Any) -> Repository:
    made = Repository(id=an_id("repository", name), name=name, url=f"/srv/{name}", added_at=ENROLLED)
    return replace(made, **changes)


def a_source(
    name: str = "home", host: Host | None = None, repository: Repository | None = None, **changes: Any
) -> Source:
    host = host or a_host()
    repository = repository or a_repository()
    made = Source(
        id=an_id("source", host.id, name),
        name=name,
        host_id=host.id,
        repository_id=repository.id,
        paths=("/home",),
        restic_host=host.name,
        created_at=ENROLLED,
        revised_at=ENROLLED,
        schedule=DAILY,
    )
    return replace(made, **changes)


def a_run(
    source: Source | None = None,
    ended_at: datetime = NOW - timedelta(hours=10),
    outcome: Outcome = Outcome.SUCCESS,
    **changes: Any,
) -> Run:
    """A backup of ten minutes that ended at ``ended_at``; one that made a snapshot names it."""
    source = source or a_source()
    made_one = outcome in {Outcome.SUCCESS, Outcome.UNCHANGED, Outcome.PARTIAL}
    made = Run(
        id=an_id("run", source.id, ended_at),
        kind=RunKind.BACKUP,
        outcome=outcome,
        host_id=source.host_id,
        started_at=ended_at - timedelta(minutes=10),
        ended_at=ended_at,
        duration_seconds=600.0,
        source_id=source.id,
        repository_id=source.repository_id,
        due_at=ended_at - timedelta(minutes=10),
        snapshot_id=hashlib.sha256(source.id.encode()).hexdigest() if made_one else None,
        size_bytes=5_000_000_000 if made_one else None,
        added_bytes=12_000_000 if made_one else None,
        files=4_321 if made_one else None,
        reason=None if outcome in {Outcome.SUCCESS, Outcome.UNCHANGED} else "the tool said so",
    )
    return replace(made, **changes)


def a_run_start(source: Source | None = None, started_at: datetime = NOW, **changes: Any) -> RunStart:
    source = source or a_source()
    made = RunStart(
        id=an_id("run", source.id, started_at),
        kind=RunKind.BACKUP,
        host_id=source.host_id,
        started_at=started_at,
        source_id=source.id,
        repository_id=source.repository_id,
        due_at=started_at,
    )
    return replace(made, **changes)


def some_evidence(run: Run | None = None, **changes: Any) -> Evidence:
    """What we hold of a source with a daily schedule after ``run``; of one never run without it."""
    made = Evidence(observed_at=NOW, interval=timedelta(days=1), due_at=NOW + timedelta(hours=13))
    made = replace(made, deadline_at=NOW + timedelta(hours=19))
    if run is not None:
        good = run.outcome in {Outcome.SUCCESS, Outcome.UNCHANGED}
        made = replace(
            made,
            last_attempt=run,
            last_full=run if good else None,
            last_partial=run if run.outcome is Outcome.PARTIAL else None,
            snapshots=7 if run.snapshot_id else None,
            expected_runs=30,
            good_runs=29,
        )
    return replace(made, **changes)


def some_repository_evidence(**changes: Any) -> RepositoryEvidence:
    made = RepositoryEvidence(
        probe=Probe.READY,
        identity="e" * 64,
        observed_at=NOW,
        snapshots=7,
        surveyed_at=NOW,
        size_bytes=2_000_000_000,
        sized_at=NOW,
        locks=(),
        locked_at=NOW,
    )
    return replace(made, **changes)


def an_alert(
    rule: str = "backup_failed",
    severity: Severity = Severity.CRITICAL,
    source: Source | None = None,
    **changes: Any,
) -> Alert:
    source = source or a_source()
    made = Alert(
        id=an_id("alert", rule, source.id),
        key=AlertKey(rule, "source", source.id),
        severity=severity,
        message=f"{rule} on {source.name}",
        host_id=source.host_id,
        opened_at=NOW - timedelta(hours=1),
    )
    return replace(made, **changes)


def put_host(fleet: Fleet, host: Host, *, online: bool = True) -> Host:
    fleet.hosts[host.id] = host
    fleet.host_ids_by_name[host.name.casefold()] = host.id
    fleet.judging.tell_online(host.id, online)
    fleet.judging.presence[host.id] = Presence(
        connected=online, synced=online, seen_at=NOW, observed_at=NOW if online else NOW - timedelta(hours=2)
    )
    return host


def put_repository(
    fleet: Fleet,
    repository: Repository,
    evidence: RepositoryEvidence | None = None,
    state: RepositoryState = RepositoryState.UP,
) -> Repository:
    fleet.repositories[repository.id] = repository
    fleet.repository_evidence[repository.id] = evidence or some_repository_evidence()
    fleet.judging.repository_states[repository.id] = state
    return repository


def put_source(fleet: Fleet, source: Source, evidence: Evidence | None = None, state: State = State.GOOD) -> Source:
    """Place a source; its newest attempt counts for its host, as ``learn`` would have it."""
    evidence = evidence or some_evidence()
    fleet.sources[source.id] = source
    fleet.evidence[source.id] = evidence
    for index, key in ((fleet.sources_of_host, source.host_id), (fleet.sources_of_repository, source.repository_id)):
        if key is None:
            continue  # a found source has no host
        index[key] = (*(held for held in index.get(key, ()) if held != source.id), source.id)
    fleet.judging.states[source.id] = state
    attempt = evidence.last_attempt
    held = fleet.last_backups.get(source.host_id or "")
    if attempt is not None and source.host_id is not None and (held is None or attempt.ended_at > held.ended_at):
        fleet.last_backups[source.host_id] = attempt
    return source


def put_running(fleet: Fleet, start: RunStart) -> RunStart:
    fleet.running[start.id] = start
    if start.source_id is not None:
        fleet.running_of_source[start.source_id] = start.id
    return start


def put_alert(fleet: Fleet, alert: Alert) -> Alert:
    fleet.alerts[alert.key] = alert
    fleet.alerts_of_entity.setdefault((alert.key.entity_kind, alert.key.entity_id), {})[alert.key] = None
    fleet.open_alerts[alert.severity] += 1
    if alert.host_id is not None:
        fleet.open_alerts_of_host[alert.host_id] += 1
    return alert


def a_fleet(hosts: int = 3, sources_per_host: int = 1, at: datetime = NOW) -> Fleet:
    """So many hosts, online, each with its own repository and good sources; judged at ``at``."""
    fleet = Fleet()
    fleet.judging.evaluated_at = at
    for number in range(1, hosts + 1):
        host = put_host(fleet, a_host(f"host-{number:05}"))
        repository = put_repository(fleet, a_repository(f"vault-{number:05}"))
        for which in range(1, sources_per_host + 1):
            source = a_source(f"data-{which}", host, repository)
            ended = at - timedelta(hours=10, seconds=number % 3600, minutes=which)
            put_source(fleet, source, some_evidence(a_run(source, ended)))
    return fleet
