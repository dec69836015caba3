"""A repository that is removed -> fleet: what goes with it. Called by ``learn`` alone.

The one rule: a repository into which a source is still to be backed up does not go; and what stays is as if the
repository had never been known, indexes and the hosts' newest backups included.
"""

from __future__ import annotations

from lastgood.fleet import alarms
from lastgood.fleet.changes import Changes, Unlearnable, known
from lastgood.fleet.fleet import Fleet
from lastgood.fleet.looked import move_watch, watcher
from lastgood.model import fact
from lastgood.model.source import Source


def repository_removed(fleet: Fleet, told: fact.RepositoryRemoved, changes: Changes) -> None:
    repository = known(fleet.repositories, told.repository_id, "repository")
    ids = fleet.sources_of_repository.get(repository.id, ())
    if any(needs_it(fleet.sources[source_id]) for source_id in ids):
        raise Unlearnable(f"Repository {repository.id} has sources that are still to be backed up into it.")

    for source_id in ids:
        _drop_source(fleet, fleet.sources[source_id], changes)
    fleet.sources_of_repository.pop(repository.id, None)
    for run_id in [run.id for run in fleet.running.values() if run.repository_id == repository.id]:
        del fleet.running[run_id]
        changes.runs.add(run_id)
    alarms.drop(fleet, "repository", repository.id, changes)
    fleet.repository_evidence.pop(repository.id, None)
    del fleet.repositories[repository.id]
    move_watch(fleet, repository.id, repository.watched_by, None)
    changes.repositories.add(repository.id)
    changes.orders.update(watcher(repository))


def needs_it(source: Source) -> bool:
    """Whether somebody wants it backed up: one that was only found in a repository is not worth keeping that."""
    return source.host_id is not None and source.archived_by is None


def _drop_source(fleet: Fleet, source: Source, changes: Changes) -> None:
    del fleet.sources[source.id]
    fleet.evidence.pop(source.id, None)
    run_id = fleet.running_of_source.pop(source.id, None)
    if run_id is not None:
        del fleet.running[run_id]
        changes.runs.add(run_id)
    for index, host_id in ((fleet.sources_of_host, source.host_id), (fleet.aliases_of_host, source.alias_host_id)):
        if host_id is not None:
            _leave(index, host_id, source.id)
            changes.hosts.add(host_id)
    if source.host_id is not None:
        _note_last_backup(fleet, source.host_id, source.id)
    alarms.drop(fleet, "source", source.id, changes)
    changes.sources.add(source.id)


def _note_last_backup(fleet: Fleet, host_id: str, gone: str) -> None:
    """If the host's newest backup was of the source that goes, the newest of those that stay takes its place."""
    told = fleet.last_backups.get(host_id)
    if told is None or told.source_id != gone:
        return
    attempts = (fleet.evidence_of(source_id).last_attempt for source_id in fleet.sources_of_host.get(host_id, ()))
    newest = max((run for run in attempts if run is not None), key=lambda run: (run.ended_at, run.id), default=None)
    if newest is None:
        del fleet.last_backups[host_id]
    else:
        fleet.last_backups[host_id] = newest


def _leave(index: dict[str, tuple[str, ...]], key: str, member: str) -> None:
    index[key] = tuple(other for other in index[key] if other != member)
    if not index[key]:
        del index[key]
