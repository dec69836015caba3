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
            # Once a repository was seen, one that is missing is a fault to be told, never to be papered over.
            initialise=fleet.repository_evidence_of(repository.id).identity is None,
        )
        for repository in (fleet.repositories[i] for i in sorted({order.repository_id for order in orders}))
    )
    content = msgspec.json.encode((repositories, orders))
    return Assignment(version=hashlib.sha256(content).hexdigest()[:16], repositories=repositories, orders=orders)
