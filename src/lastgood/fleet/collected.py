"""What collectors tell -> fleet: repositories and sources as their own server shows them. Called by ``learn`` alone.

A source that is told has no host and no agent of ours; its tool decides what an attempt was. The one rule: what a
person has set (name, schedule, target, grace, pause, archive, alias) outlives whatever is told later, and the last
good backup goes back only through a named finding.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from lastgood.fleet import found
from lastgood.fleet.attempted import made, weighed
from lastgood.fleet.changes import Changes, Unlearnable, known
from lastgood.fleet.expect import revise, revised
from lastgood.fleet.fleet import Fleet
from lastgood.fleet.share import shared_source
from lastgood.fleet.weigh import GONE, newest
from lastgood.model.collected import CollectedRepository, CollectedSource
from lastgood.model.fact import RepositoryCollected, SourcesCollected
from lastgood.model.job import RunKind
from lastgood.model.repository import Repository
from lastgood.model.source import NO_EVIDENCE

NOT_LISTED = "Its server does not list it any more."
MOST_SOURCES = 25
"""So many are told by one fact, which is learned in one piece."""


def repository_collected(fleet: Fleet, told: RepositoryCollected, changes: Changes) -> None:
    report = told.report
    before = fleet.repositories.get(report.id)
    if before is not None and before.collector is None:
        raise Unlearnable(f"Repository {report.id} is one of the hub's own; no collector tells of it.")
    repository = Repository(
        id=report.id,
        name=report.name,
        url=report.url,
        tool=report.tool,
        added_at=told.at if before is None else before.added_at,
        collector=told.collector,
        watch_seconds=told.watch_seconds,
    )
    if repository != before:
        fleet.repositories[report.id] = repository
        if before is not None and before.name != repository.name:
            changes.sources.update(fleet.sources_of_repository.get(report.id, ()))
    _weigh_repository(fleet, report)
    changes.repositories.add(report.id)


def _weigh_repository(fleet: Fleet, report: CollectedRepository) -> None:
    """Last known numbers stay where the newest look told none."""
    before = fleet.repository_evidence_of(report.id)
    if before.observed_at is not None and report.observed_at < before.observed_at:
        return
    after = replace(before, probe=report.probe, message=report.message, observed_at=report.observed_at)
    if report.used_bytes is not None:
        after = replace(
            after,
            size_bytes=report.used_bytes,
            sized_at=report.observed_at,
            available_bytes=report.available_bytes,
            total_bytes=report.total_bytes,
            full_at=report.full_at,
        )
    upkeep: dict[RunKind, datetime] = dict(before.upkeep)
    for kind, at in report.upkeep:
        upkeep[kind] = newest(upkeep.get(kind), at)
    fleet.repository_evidence[report.id] = replace(
        after,
        snapshots=before.snapshots if report.snapshots is None else report.snapshots,
        upkeep=tuple(sorted(upkeep.items())),
        synced_at=before.synced_at if report.synced_at is None else newest(before.synced_at, report.synced_at),
    )


def sources_collected(fleet: Fleet, told: SourcesCollected, changes: Changes) -> None:
    repository = known(fleet.repositories, told.repository_id, "repository")
    if repository.collector is None:
        raise Unlearnable(f"Repository {repository.id} is one of the hub's own; no collector tells of its sources.")
    for source_id in (*(one.id for one in told.sources), *told.seen, *told.gone, *told.dropped):
        held = fleet.sources.get(source_id)
        if held is not None and (held.collected is None or held.repository_id != repository.id):
            raise Unlearnable(f"Source {source_id} is not one that is told of repository {repository.id}.")

    new = [_take(fleet, repository, one, told, changes) for one in told.sources]
    _join(fleet, repository.id, {source_id for source_id in new if source_id is not None})
    for source_id in told.seen:
        _seen(fleet, source_id, told.listed_at, changes)
    for source_id in told.gone:
        _gone(fleet, source_id, told.listed_at, changes)
    for source_id in told.dropped:
        _drop(fleet, source_id, changes)
    if told.whole:
        _mark(fleet, repository.id, told.listed_at, changes)


# --- one source --------------------------------------------------------------------------------------------------


def _take(
    fleet: Fleet, repository: Repository, report: CollectedSource, told: SourcesCollected, changes: Changes
) -> str | None:
    """Learn one source; its id if it was not known before."""
    before = fleet.sources.get(report.id)
    held = fleet.evidence.get(report.id, NO_EVIDENCE)
    if held.observed_at is not None and told.listed_at < held.observed_at:
        return None  # told late
    now = made(before, repository, report, told)
    source = shared_source(revised(before, now, told.at), None, repository)
    evidence, rows = revise(before, source, held, told.at)
    evidence, more = weighed(source, evidence, report, told.listed_at)
    fleet.sources[source.id] = source
    fleet.evidence[source.id] = evidence
    changes.moments.extend((*rows, *more))
    changes.sources.add(source.id)
    if source != before:
        changes.found.add(source.id)
    return source.id if before is None else None


# --- sources that are as they were, or are not there any more ------------------------------------------------------


def _seen(fleet: Fleet, source_id: str, listed_at: datetime, changes: Changes) -> None:
    held = fleet.evidence.get(source_id)
    if held is not None and (held.observed_at is None or held.observed_at < listed_at):
        fleet.evidence[source_id] = replace(held, observed_at=listed_at)
        changes.sources.add(source_id)


def _gone(fleet: Fleet, source_id: str, listed_at: datetime, changes: Changes) -> None:
    """Its server does not list it any more: nobody is told so of one in the archive, of any other everybody is."""
    source = fleet.sources.get(source_id)
    before = fleet.evidence.get(source_id, NO_EVIDENCE)
    if source is None or (before.observed_at is not None and listed_at < before.observed_at):
        return
    if source.archived_by is not None or (before.last_attempt is None and before.finding is None):
        _drop(fleet, source_id, changes)
        return
    after = replace(
        before,
        observed_at=listed_at,
        snapshots=0,
        running_since=None,
        oldest_at=None,
        verified_at=None,
        remarks=(NOT_LISTED,),
    )
    if before.last_full is not None or before.last_partial is not None:
        # Nothing is left of it: it is owed from now on.
        after = replace(
            after,
            last_full=None,
            last_partial=None,
            last_attempt=None,
            finding=GONE,
            due_at=listed_at,
            deadline_at=listed_at,
        )
    fleet.evidence[source_id] = after
    changes.sources.add(source_id)


def _drop(fleet: Fleet, source_id: str, changes: Changes) -> None:
    source = fleet.sources.get(source_id)
    if source is not None:
        found.drop(fleet, source, changes)


def _mark(fleet: Fleet, repository_id: str, listed_at: datetime, changes: Changes) -> None:
    """The look spoke for all sources, of which there may be very many: what that changes is found out in slices."""
    before = fleet.repository_evidence_of(repository_id)
    if before.whole_at is not None and listed_at < before.whole_at:
        return
    fleet.repository_evidence[repository_id] = replace(before, whole_at=listed_at, surveyed_at=listed_at)
    changes.repositories.add(repository_id)
    changes.marked.add(repository_id)


def _join(fleet: Fleet, repository_id: str, new: Collection[str]) -> None:
    if new:
        index = fleet.sources_of_repository
        index[repository_id] = tuple(sorted((*index.get(repository_id, ()), *new)))
