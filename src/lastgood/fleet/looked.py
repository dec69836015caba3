"""Facts about repositories -> fleet: probes, sizes, locks, and surveys with what they witness of each source.

Called by ``learn`` alone. The one rule: what was seen earlier and is told later never replaces what was seen since;
an agent that comes back tells its old looks as well.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from lastgood.fleet import doubts, found, survey
from lastgood.fleet.changes import Changes, Unlearnable, known
from lastgood.fleet.fleet import Fleet
from lastgood.fleet.series import series_key
from lastgood.fleet.weigh import newest
from lastgood.model import fact
from lastgood.model.repository import HUB, Probe, Repository, RepositoryEvidence, SnapshotSeries
from lastgood.model.source import NO_EVIDENCE, Series

Look = fact.RepositoryProbed | fact.RepositorySized | fact.LocksListed | fact.SnapshotsListed


def configured(fleet: Fleet, told: fact.RepositoryConfigured, changes: Changes) -> None:
    before = fleet.repositories.get(told.repository.id)
    fleet.repositories[told.repository.id] = told.repository
    move_watch(fleet, told.repository.id, None if before is None else before.watched_by, told.repository.watched_by)
    if before is not None and before.watched_by is not None and told.repository.watched_by is None:
        found.drop_all(fleet, told.repository.id, changes)
    touch(fleet, told.repository.id, changes)
    changes.orders.update(changes.hosts, watcher(told.repository), watcher(before))


def probed(fleet: Fleet, told: fact.RepositoryProbed, changes: Changes) -> None:
    before = _evidence(fleet, told)
    other = told.identity is not None and before.identity is not None and told.identity != before.identity
    is_old = _is_old(told.probed_at, before.observed_at)
    identity = (before.identity or told.identity) if is_old else (told.identity or before.identity)
    after = replace(before, identity=identity, identity_changed=other or before.identity_changed)
    if after.identity_changed:
        after = replace(after, doubts=doubts.of_identity(after, told.probed_at))
    if not is_old:
        init_failed = before.init_failed
        if told.probe is Probe.READY:
            init_failed = False
        elif told.probe in (Probe.MISSING, Probe.WRONG_PASSWORD):
            init_failed = True
        after = replace(
            after, probe=told.probe, init_failed=init_failed, message=told.message, observed_at=told.probed_at
        )
    fleet.repository_evidence[told.repository_id] = after
    touch(fleet, told.repository_id, changes)
    if before.identity is None and told.identity is not None:
        changes.orders.update(changes.hosts)  # nobody may initialise it any more


def sized(fleet: Fleet, told: fact.RepositorySized, changes: Changes) -> None:
    before = _evidence(fleet, told)
    if _is_old(told.sized_at, before.sized_at):
        return
    fleet.repository_evidence[told.repository_id] = replace(
        before,
        size_bytes=told.size_bytes,
        uncompressed_bytes=told.uncompressed_bytes,
        sized_at=told.sized_at,
        observed_at=newest(before.observed_at, told.sized_at),
    )
    touch(fleet, told.repository_id, changes)


def locks_listed(fleet: Fleet, told: fact.LocksListed, changes: Changes) -> None:
    before = _evidence(fleet, told)
    if _is_old(told.listed_at, before.locked_at):
        return
    fleet.repository_evidence[told.repository_id] = replace(before, locks=told.locks, locked_at=told.listed_at)
    changes.repositories.add(told.repository_id)


def snapshots_listed(fleet: Fleet, told: fact.SnapshotsListed, changes: Changes) -> None:
    before = _evidence(fleet, told)
    if _is_old(told.listed_at, before.surveyed_at):
        return
    tagged = survey.by_tag(told)
    misdated = doubts.misdated(before, told)
    adopted = _adopted(fleet, told)
    seen = {}
    for source_id in fleet.sources_of_repository.get(told.repository_id, ()):
        source = fleet.sources[source_id]
        if source.is_found:
            continue
        evidence = fleet.evidence.get(source_id, NO_EVIDENCE)
        seen[source_id] = survey.witness(source, evidence, tagged.get(source.tag), told, adopted.get(source_id, ()))

    for source_id, evidence in seen.items():
        fleet.evidence[source_id] = evidence
        _prove_last_backup(fleet, source_id)
    if fleet.repositories[told.repository_id].watched_by is not None:
        found.look(fleet, told, frozenset(misdated), before.surveyed_at, changes)
    changed: dict[str, Any] = {"snapshots": told.total, "misdated": misdated}
    if not told.part:
        changed |= {"surveyed_at": told.listed_at, "doubts": doubts.of_look(fleet, before, misdated, told)}
        if not told.truncated:
            changed["whole_at"] = told.listed_at
    if not _is_old(told.listed_at, before.observed_at):
        changed |= {"probe": Probe.READY, "init_failed": False, "message": None, "observed_at": told.listed_at}
    after = replace(before, **changed)
    fleet.repository_evidence[told.repository_id] = after
    touch(fleet, told.repository_id, changes)


def watcher(repository: Repository | None) -> tuple[str, ...]:
    """The host whose agent watches the repository, as one or none: the hub itself is no host."""
    watched_by = None if repository is None else repository.watched_by
    return () if watched_by in (None, HUB) else (watched_by,)


def move_watch(fleet: Fleet, repository_id: str, before: str | None, after: str | None) -> None:
    """Keep the index of who watches what."""
    if before == after:
        return
    index = fleet.watched_by_host
    if before is not None:
        index[before] = tuple(other for other in index[before] if other != repository_id)
        if not index[before]:
            del index[before]
    if after is not None:
        index[after] = tuple(sorted((*index.get(after, ()), repository_id)))


def touch(fleet: Fleet, repository_id: str, changes: Changes) -> None:
    """A repository's facts are told on its own lines and on those of its sources and their hosts."""
    changes.repositories.add(repository_id)
    for source_id in fleet.sources_of_repository.get(repository_id, ()):
        changes.sources.add(source_id)
        host_id = fleet.sources[source_id].host_id
        if host_id is not None:
            changes.hosts.add(host_id)


def _adopted(fleet: Fleet, told: fact.SnapshotsListed) -> dict[str, list[SnapshotSeries]]:
    """The series that configured sources of the repository took over."""
    ids = fleet.sources_of_repository.get(told.repository_id, ())
    owners: dict[Series, str] = {}
    for source_id in ids:
        source = fleet.sources[source_id]
        if source.series and not source.is_found:
            owners.update(dict.fromkeys(source.series, source_id))
    adopted: dict[str, list[SnapshotSeries]] = {}
    for one in told.series if owners else ():
        owner = owners.get(series_key(one))
        if owner is not None and fleet.sources[owner].tag not in one.tags:
            adopted.setdefault(owner, []).append(one)
    return adopted


def _prove_last_backup(fleet: Fleet, source_id: str) -> None:
    """A survey may have given the newest attempt its proof."""
    attempt = fleet.evidence[source_id].last_attempt
    if attempt is not None:
        told = fleet.last_backups.get(attempt.host_id)
        if told is not None and told.id == attempt.id:
            fleet.last_backups[attempt.host_id] = attempt


def uses(fleet: Fleet, host_id: str, repository_id: str) -> bool:
    """Whether any source of the host is backed up into the repository, or its agent watches it."""
    repository = fleet.repositories.get(repository_id)
    if repository is not None and repository.watched_by == host_id:
        return True
    return any(fleet.sources[i].repository_id == repository_id for i in fleet.sources_of_host.get(host_id, ()))


def _evidence(fleet: Fleet, told: Look) -> RepositoryEvidence:
    """What is held of the repository that was looked into. An agent speaks only for those that it uses itself."""
    known(fleet.repositories, told.repository_id, "repository")
    host_id = fact.agent_of(told)
    if host_id is not None and not uses(fleet, host_id, told.repository_id):
        raise Unlearnable(f"Host {host_id} told of repository {told.repository_id}, which none of its sources uses.")
    return fleet.repository_evidence_of(told.repository_id)


def _is_old(at: datetime, held: datetime | None) -> bool:
    return held is not None and at < held
