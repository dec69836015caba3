"""The only way knowledge enters: fact -> fleet, and what changed. One short function a fact.

Deterministic: reads no clock and no presence. A function works out everything that can fail before it changes
anything, so a fact that cannot be taken (``Unlearnable``) leaves the fleet as it was.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lastgood.errors import ConfigError
from lastgood.fleet import alarms, collected, docker, keys, looked, stacks, upkeep
from lastgood.fleet.adopt import adopted
from lastgood.fleet.changes import Changes, Unlearnable, known
from lastgood.fleet.expect import revise, revised
from lastgood.fleet.fleet import Fleet
from lastgood.fleet.ledger import close
from lastgood.fleet.removal import repository_removed
from lastgood.fleet.schedule import check
from lastgood.fleet.share import shared_info, shared_run, shared_source
from lastgood.fleet.weigh import is_lost, weigh, without_lost
from lastgood.model import fact
from lastgood.model.job import Run, RunKind, RunStart
from lastgood.model.source import NO_EVIDENCE, Evidence, Source

__all__ = ["Changes", "Unlearnable", "learn"]


def learn(fleet: Fleet, told: fact.Fact) -> Changes:
    """Take one committed fact into the fleet. Raises Unlearnable, and then nothing has changed."""
    changes = Changes()
    try:
        _LEARN[type(told)](fleet, told, changes)
    except OverflowError as error:
        raise Unlearnable(f"The {type(told).__name__} names a moment that no calendar holds ({error}).") from error
    return changes


def _host_enrolled(fleet: Fleet, told: fact.HostEnrolled, changes: Changes) -> None:
    host = told.host
    _name_is_free(fleet, host.name, host.id)
    before = fleet.hosts.get(host.id)
    if before is not None:
        del fleet.host_ids_by_name[before.name.casefold()]
    fleet.hosts[host.id] = host
    fleet.host_ids_by_name[host.name.casefold()] = host.id
    changes.hosts.add(host.id)
    changes.sources.update(fleet.sources_of_host.get(host.id, ()))
    changes.sources.update(fleet.aliases_of_host.get(host.id, ()))


def _host_renamed(fleet: Fleet, told: fact.HostRenamed, changes: Changes) -> None:
    host = known(fleet.hosts, told.host_id, "host")
    _name_is_free(fleet, told.name, host.id)
    del fleet.host_ids_by_name[host.name.casefold()]
    fleet.host_ids_by_name[told.name.casefold()] = host.id
    fleet.hosts[host.id] = replace(host, name=told.name)
    changes.hosts.add(host.id)
    changes.sources.update(fleet.sources_of_host.get(host.id, ()))
    changes.sources.update(fleet.aliases_of_host.get(host.id, ()))


def _host_removed(fleet: Fleet, told: fact.HostRemoved, changes: Changes) -> None:
    host = known(fleet.hosts, told.host_id, "host")
    gone = fleet.sources_of_host.pop(host.id, ())
    for source_id in gone:
        source = fleet.sources.pop(source_id)
        fleet.evidence.pop(source_id, None)
        fleet.running_of_source.pop(source_id, None)
        _leave(fleet.sources_of_repository, source.repository_id, source.id)
        changes.repositories.add(source.repository_id)
        alarms.drop(fleet, "source", source_id, changes)
    for run_id in [run.id for run in fleet.running.values() if run.host_id == host.id]:
        del fleet.running[run_id]
        changes.runs.add(run_id)
    for source_id in fleet.aliases_of_host.pop(host.id, ()):
        fleet.sources[source_id] = replace(fleet.sources[source_id], alias_host_id=None)
        changes.sources.add(source_id)
    for repository in [one for one in fleet.repositories.values() if one.watched_by == host.id]:
        fleet.repositories[repository.id] = replace(repository, watched_by=None)
        changes.repositories.add(repository.id)
    alarms.drop_of_host(fleet, host.id, changes)
    stacks.drop_of_host(fleet, host.id, changes)
    docker.drop_of_host(fleet, host.id, changes)
    del fleet.hosts[host.id]
    del fleet.host_ids_by_name[host.name.casefold()]
    fleet.last_backups.pop(host.id, None)
    changes.hosts.add(host.id)
    changes.sources.update(gone)


def _agent_reported(fleet: Fleet, told: fact.AgentReported, changes: Changes) -> None:
    host = known(fleet.hosts, told.host_id, "host")
    fleet.hosts[host.id] = replace(host, info=shared_info(told.info))
    changes.hosts.add(host.id)


def _source_configured(fleet: Fleet, told: fact.SourceConfigured, changes: Changes) -> None:
    before = fleet.sources.get(told.source.id)
    host = None if told.source.host_id is None else known(fleet.hosts, told.source.host_id, "host")
    repository = known(fleet.repositories, told.source.repository_id, "repository")
    if before is None and host is None:
        raise Unlearnable(f"Source {told.source.id} has no host; such a source is found, not configured.")
    if before is not None and before.host_id != told.source.host_id:
        raise Unlearnable(f"Source {before.id} belongs to another host and cannot move.")
    if before is not None and host is None and before.repository_id != repository.id:
        raise Unlearnable(f"Source {before.id} was found in another repository and cannot move.")
    if told.source.alias_host_id is not None:
        known(fleet.hosts, told.source.alias_host_id, "host")
    if told.source.schedule is not None:
        try:
            check(told.source.schedule)
        except ConfigError as error:
            raise Unlearnable(str(error)) from error
    source = shared_source(revised(before, told.source, told.at), host, repository)
    evidence, moments = revise(before, source, fleet.evidence.get(source.id, NO_EVIDENCE), told.at)

    if before is not None and before.repository_id != source.repository_id:
        _leave(fleet.sources_of_repository, before.repository_id, before.id)
        changes.repositories.add(before.repository_id)
    fleet.sources[source.id] = source
    fleet.evidence[source.id] = evidence
    if before is None and source.host_id is not None:
        _join(fleet.sources_of_host, source.host_id, source.id)
    if before is None or before.repository_id != source.repository_id:
        _join(fleet.sources_of_repository, source.repository_id, source.id)
    _alias(fleet, None if before is None else before.alias_host_id, source.alias_host_id, source.id)
    changes.moments.extend(moments)
    changes.sources.add(source.id)
    if before is not None and before.alias_host_id is not None:
        changes.hosts.add(before.alias_host_id)
    if source.host_id is not None:
        changes.hosts.add(source.host_id)
        changes.orders.add(source.host_id)
    changes.repositories.add(source.repository_id)


def _run_started(fleet: Fleet, told: fact.RunStarted, changes: Changes) -> None:
    run = told.run
    known(fleet.hosts, run.host_id, "host")
    source = _source_of(fleet, run)
    before = fleet.running.get(run.id)
    if before is not None and (before.host_id, before.source_id, before.kind) != (
        run.host_id,
        run.source_id,
        run.kind,
    ):
        raise Unlearnable(f"Run {run.id} is under way already, as something else.")
    if source is not None and run.kind is RunKind.BACKUP:
        attempt = fleet.evidence.get(source.id, NO_EVIDENCE).last_attempt
        if attempt is not None and attempt.id == run.id:
            raise Unlearnable(f"Run {run.id} has ended already.")
        other = fleet.running_of_source.get(source.id)
        if other is not None and other != run.id:
            # A source is backed up by one run at a time: the end of the earlier one was lost.
            _forget_start(fleet, fleet.running[other], changes)
        fleet.running_of_source[source.id] = run.id
        changes.sources.add(source.id)
    fleet.running[run.id] = run
    changes.runs.add(run.id)
    changes.hosts.add(run.host_id)


def _run_finished(fleet: Fleet, told: fact.RunFinished, changes: Changes) -> None:
    run = told.run
    known(fleet.hosts, run.host_id, "host")
    source = _source_of(fleet, run)
    if not math.isfinite(run.duration_seconds):
        raise Unlearnable(f"Run {run.id} took {run.duration_seconds} seconds.")
    evidence, told_lost = None, False
    if source is not None and run.kind is RunKind.BACKUP:
        before = fleet.evidence.get(source.id, NO_EVIDENCE)
        told_lost = is_lost(before, run)
        if told_lost:
            before = without_lost(before)
        elif any(held is not None and held.id == run.id for held in (before.last_attempt, before.last_full)):
            raise Unlearnable(f"The end of run {run.id} was told before.")
        run = shared_run(run, source)
        evidence, moments = weigh(source, before, run)
        changes.moments.extend(moments)
    start = fleet.running.get(run.id)
    if start is not None and start.host_id != run.host_id:
        raise Unlearnable(f"Host {run.host_id} reported the end of run {run.id}, which is another host's.")

    if start is not None:
        _forget_start(fleet, start, changes)
    if not run.dry_run and not told_lost:
        fleet.durations.observe(run.kind, run.outcome.status, run.duration_seconds)
    if source is not None and evidence is not None:
        fleet.evidence[source.id] = evidence
        changes.sources.add(source.id)
    if run.kind is RunKind.BACKUP:
        _note_last_backup(fleet, run, evidence)
    upkeep.noted(fleet, run, changes)
    changes.runs.add(run.id)
    changes.hosts.add(run.host_id)


def _forget_start(fleet: Fleet, start: RunStart, changes: Changes) -> None:
    del fleet.running[start.id]
    changes.runs.add(start.id)
    if start.source_id is not None and fleet.running_of_source.get(start.source_id) == start.id:
        del fleet.running_of_source[start.source_id]
        changes.sources.add(start.source_id)


def _note_last_backup(fleet: Fleet, run: Run, evidence: Evidence | None) -> None:
    """The newest counted attempt of the host; with its proof, where the source's evidence has that."""
    latest = fleet.last_backups.get(run.host_id)
    if latest is not None and latest.id == run.id:  # it was held for lost
        latest = _newest_attempt(fleet, run.host_id)
        if latest is None:
            del fleet.last_backups[run.host_id]
        else:
            fleet.last_backups[run.host_id] = latest
    if not run.is_attempt or (latest is not None and run.ended_at < latest.ended_at):
        return
    attempt = evidence.last_attempt if evidence is not None else None
    fleet.last_backups[run.host_id] = attempt if attempt is not None and attempt.id == run.id else run


def _newest_attempt(fleet: Fleet, host_id: str) -> Run | None:
    attempts = [fleet.evidence_of(source_id).last_attempt for source_id in fleet.sources_of_host.get(host_id, ())]
    return max((run for run in attempts if run is not None), key=lambda run: run.ended_at, default=None)


def _moments_passed(fleet: Fleet, told: fact.MomentsPassed, changes: Changes) -> None:
    closed: dict[str, Evidence] = {}
    for moment in told.moments:
        source = fleet.sources.get(moment.source_id)
        before = closed.get(moment.source_id) or fleet.evidence.get(moment.source_id, NO_EVIDENCE)
        if source is None or before.ledger_at != moment.due_at:
            continue  # removed or rescheduled between the question and the answer; nothing is owed twice
        closed[source.id], row = close(source, before, looked=moment.looked)
        changes.moments.append(row)
    fleet.evidence.update(closed)
    changes.sources.update(closed)


def _source_of(fleet: Fleet, run: Run | RunStart) -> Source | None:
    """The source that the run says it is of; None if it names none. A host speaks for its own sources only."""
    if run.source_id is None:
        return None
    source = known(fleet.sources, run.source_id, "source")
    if source.host_id != run.host_id:
        raise Unlearnable(f"Host {run.host_id} reported a run of source {source.id}, which is another host's.")
    return source


def _join(index: dict[str, tuple[str, ...]], key: str, member: str) -> None:
    """Keep each group in the order of ids, which is that of their making and the same after a restart."""
    index[key] = tuple(sorted((*index.get(key, ()), member)))


def _leave(index: dict[str, tuple[str, ...]], key: str, member: str) -> None:
    """Leave the index as a reindex would make it: without empty groups."""
    index[key] = tuple(other for other in index[key] if other != member)
    if not index[key]:
        del index[key]


def _alias(fleet: Fleet, before: str | None, after: str | None, source_id: str) -> None:
    if before == after:
        return
    if before is not None:
        _leave(fleet.aliases_of_host, before, source_id)
    if after is not None:
        _join(fleet.aliases_of_host, after, source_id)


def _name_is_free(fleet: Fleet, name: str, host_id: str) -> None:
    holder = fleet.host_ids_by_name.get(name.casefold())
    if holder is not None and holder != host_id:
        raise Unlearnable(f"The host name {name!r} is taken by host {holder}.")


_LEARN: dict[type[fact.Fact], Callable[[Fleet, Any, Changes], None]] = {
    fact.HostEnrolled: _host_enrolled,
    fact.HostRenamed: _host_renamed,
    fact.HostRemoved: _host_removed,
    fact.HostKeyOffered: keys.offered,
    fact.HostRekeyed: keys.used,
    fact.AgentReported: _agent_reported,
    fact.RepositoryConfigured: looked.configured,
    fact.RepositoryRemoved: repository_removed,
    fact.RepositoryProbed: looked.probed,
    fact.RepositorySized: looked.sized,
    fact.LocksListed: looked.locks_listed,
    fact.SnapshotsListed: looked.snapshots_listed,
    fact.RepositoryCollected: collected.repository_collected,
    fact.SourcesCollected: collected.sources_collected,
    fact.SourceConfigured: _source_configured,
    fact.SourceAdopted: adopted,
    fact.RunStarted: _run_started,
    fact.RunFinished: _run_finished,
    fact.MomentsPassed: _moments_passed,
    fact.AlertOpened: alarms.opened,
    fact.AlertResolved: alarms.resolved,
    fact.AlertAcknowledged: alarms.acknowledged,
    fact.AlertSnoozed: alarms.snoozed,
    fact.HostSnoozed: alarms.host_snoozed,
    fact.DeployStarted: stacks.deploy_started,
    fact.DeployFinished: stacks.deploy_finished,
    fact.StackForgotten: stacks.stack_forgotten,
    fact.InventoryListed: docker.inventory_listed,
    fact.EngineReported: docker.engine_reported,
    fact.SubjectExcluded: docker.subject_excluded,
}
