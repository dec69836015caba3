"""What the hub does by itself that people would want to know who did: told to the audit log.

Comes in: changes as they were learned, and how many old rows went. Goes out: entries of the actor ``system``. The one
rule: nothing waits for it; a log that cannot be written stops no fact from being learned.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from lastgood.fleet.changes import Changes
from lastgood.fleet.fleet import Fleet
from lastgood.fleet.series import is_ours_to_wake
from lastgood.model.audit import THE_HUB, ActorKind, Entry, Target, Who
from lastgood.model.fact import Fact, HostEnrolled, RepositoryConfigured, SourceConfigured
from lastgood.service.audit import Audit

HERE = Who(kind=ActorKind.LOCAL, name="local")
MOST_NAMED = 20
"""Sources of one change that are named; a look at a large repository may archive hundreds."""


class Deeds:
    """Watches for sources that the hub archives, or takes out of the archive, without being asked."""

    def __init__(self, audit: Audit, fleet: Fleet) -> None:
        self._audit = audit
        self._fleet = fleet
        self._archived = {source.id for source in fleet.sources.values() if is_ours_to_wake(source)}
        self._writing: set[asyncio.Task[None]] = set()

    async def trimmed(self, count: int) -> None:
        """Old history went."""
        await self._audit.note(Entry(action="hub.trim", who=THE_HUB, details={"rows": count}))

    async def ordered_here(self, facts: Sequence[Fact]) -> None:
        """What ``lastgood up`` made for whoever started it on this machine."""
        for fact in facts:
            match fact:
                case HostEnrolled(host=host):
                    action, target = "host.enrol", Target(kind="host", id=host.id, name=host.name)
                case RepositoryConfigured(repository=made):
                    action, target = "repository.write", Target(kind="repository", id=made.id, name=made.name)
                case SourceConfigured(source=source):
                    action, target = "source.write", Target(kind="source", id=source.id, name=source.name)
                case _:
                    continue
            await self._audit.note(Entry(action=action, who=HERE, target=target))

    def telling(self, rekeyed: Callable[[str, str], Awaitable[object]]) -> Callable[[str, str], Awaitable[None]]:
        """``rekeyed`` of an agent that comes with its next key, told to the log."""

        async def told(host_id: str, key: str) -> None:
            await rekeyed(host_id, key)
            host = self._fleet.hosts.get(host_id)
            name = "" if host is None else host.name
            who = Who(kind=ActorKind.AGENT, id=host_id, name=name)
            target = Target(kind="host", id=host_id, name=name)
            await self._audit.note(Entry(action="host.rekey", who=who, target=target, details={"step": "connected"}))

        return told

    def changed(self, changes: Changes) -> None:
        """Sources were touched."""
        put, taken = [], []
        for source_id in changes.sources:
            source = self._fleet.sources.get(source_id)
            is_archived = source is not None and is_ours_to_wake(source)
            if is_archived and source_id not in self._archived:
                put.append(source_id)
            elif not is_archived and source_id in self._archived:
                self._archived.discard(source_id)
                if source is not None and source.archived_by is None:
                    taken.append(source_id)
        self._archived.update(put)
        for ids, archived in ((put, True), (taken, False)):
            if ids:
                task = asyncio.create_task(self._audit.note(self._entry(ids, archived)))
                self._writing.add(task)
                task.add_done_callback(self._writing.discard)

    async def settle(self) -> None:
        """Return once all that was begun is written."""
        while self._writing:
            await asyncio.wait(set(self._writing))

    def _entry(self, ids: list[str], archived: bool) -> Entry:
        sources = [self._fleet.sources[source_id] for source_id in sorted(ids)]
        target = Target(kind="source", id=sources[0].id, name=sources[0].name) if len(ids) == 1 else Target()
        details: dict[str, object] = {"archived": archived, "sources": len(ids)}
        if len(ids) > 1:
            details["named"] = [source.name for source in sources[:MOST_NAMED]]
        return Entry(action="source.archive", who=THE_HUB, target=target, details=details)
