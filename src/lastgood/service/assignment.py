"""What each agent is to do, made from what the fleet knows. Pure.

The version is a digest of the content, so the same orders never look new to an agent.
"""

from __future__ import annotations

import hashlib

import msgspec

from lastgood.fleet.fleet import Fleet
from lastgood.wire.frames import Assignment, Order, RepositoryAccess


def assignment(fleet: Fleet, host_id: str) -> Assignment:
    """The orders and repositories of one host; archived sources are not ordered any more."""
    sources = [fleet.sources[i] for i in fleet.sources_of_host.get(host_id, ())]
    live = sorted((source for source in sources if source.archived_by is None), key=lambda source: source.id)
    orders = tuple(
        Order(
            source_id=source.id,
            name=source.name,
            repository_id=source.repository_id,
            restic_host=source.restic_host,
            tag=source.tag,
            paths=source.paths,
            excludes=source.excludes,
            schedule=source.schedule,
            paused_until=source.paused_until,
        )
        for source in live
    )
    repositories = tuple(
        RepositoryAccess(
            id=repository.id,
            name=repository.name,
            url=repository.url,
            password_file=repository.password_file,
            initialise=_may_initialise(fleet, host_id, repository.id),
        )
        for repository in (fleet.repositories[i] for i in sorted({order.repository_id for order in orders}))
    )
    content = msgspec.json.encode((repositories, orders))
    return Assignment(version=hashlib.sha256(content).hexdigest()[:16], repositories=repositories, orders=orders)


def _may_initialise(fleet: Fleet, host_id: str, repository_id: str) -> bool:
    """Whether this host makes the repository if it is missing.

    Once it was seen, one that is missing is a fault to be told, never to be papered over. Before that one host alone
    may, that of the oldest source: two that begin at the same minute would spoil it for each other.
    """
    if fleet.repository_evidence_of(repository_id).identity is not None:
        return False
    sources = (fleet.sources[i] for i in fleet.sources_of_repository.get(repository_id, ()))
    oldest = next((source for source in sources if source.archived_by is None), None)
    return oldest is not None and oldest.host_id == host_id
