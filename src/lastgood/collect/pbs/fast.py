"""Every half minute: whether the server answers, how full it is, and what its tasks do.

Comes in: version, usage, node, tasks. Goes out: the picture, and the sources of which tasks tell something new. The
one rule: version and usage decide whether it is up; nothing else that fails takes that away.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime

from lastgood.collect.pbs.watched import Watched, concerns_all, first_of
from lastgood.errors import CollectError
from lastgood.model.collected import Report, SourcesTold
from lastgood.model.pbs import Node, Space, Version
from lastgood.tools.pbs import shapes
from lastgood.tools.pbs.concerns import changes_snapshots, concern
from lastgood.tools.pbs.report import repository_id
from lastgood.tools.pbs.rows import Rows
from lastgood.tools.pbs.stores import used
from lastgood.tools.pbs.tasks import Finished

PATIENT_ROUNDS = 3
"""So many rounds wait for the groups to be known, whose comments the counters of tasks carry."""


class Fast:
    def __init__(self, watched: Watched) -> None:
        self._on = watched
        self._rounds = 0
        self._version: Version | None = None

    async def round(self) -> AsyncIterator[Report]:
        on, failures = self._on, list[CollectError]()
        await self._reach(failures)
        for report in await self._tasks(failures):
            yield report
        on.show()
        await on.save(now=on.clock())
        if failures:
            raise first_of(failures)

    async def _reach(self, failures: list[CollectError]) -> None:
        on = self._on
        try:
            version = await on.api.version()
            usage = await on.api.usage()
        except CollectError as error:
            on.lost(error)
            if concerns_all(error):
                raise
            failures.append(error)
            return
        self._versioned(version)
        self._used(usage, on.clock())
        node = await on.guarded("node", on.api.node_status, failures)
        on.reached(version=_version(version), node=_node(node) if node is not None else None)

    def _versioned(self, version: shapes.Version) -> None:
        """Another release has other endpoints, and may have other rights."""
        before, self._version = self._version, _version(version)
        if before is not None and before != self._version:
            self._on.closed.clear()
            self._on.rights_changed()
            self._on.want("medium")

    def _used(self, rows: Rows[shapes.Usage], now: datetime) -> None:
        """Capacity; a datastore that usage leaves out says nothing of its own any more."""
        told = {row.store: row for row in rows}
        for row in told.values():
            self._on.put(used(self._on.stores.get(row.store), row, now))
        if rows.is_whole:
            for name in self._on.stores.keys() - told.keys():
                self._on.put(used(self._on.stores[name], shapes.Usage(store=name), now))

    async def _tasks(self, failures: list[CollectError]) -> list[Report]:
        on = self._on
        self._rounds += 1
        if on.groups.book.read_at is None and not on.looks and self._rounds <= PATIENT_ROUNDS:
            return []
        now, ended = on.clock(), None
        running = await on.guarded("tasks", on.api.running_tasks, failures)
        if running is not None:
            since = int(on.groups.book.since(running, now).timestamp())
            ended = await on.guarded("tasks", lambda: on.api.tasks_since(since), failures)
        if running is None or ended is None:
            self._asked()
            return []
        finished, told = await on.run(on.groups.take_tasks, running, ended, now)
        self._asked()
        await on.run(self._touch, finished)
        if finished:
            on.want("slow")
        return [
            SourcesTold(
                repository_id=repository_id(on.server.name, store),
                listed_at=on.looks[store].listed_at or now,
                sources=tuple(sources),
            )
            for store, sources in told.items()
            if store in on.looks
        ]

    def _asked(self) -> None:
        """Tasks were asked for: from now on groups may be told."""
        if self._on.groups.awaits_tasks:
            self._on.groups.awaits_tasks = False
            self._on.want("medium")

    def _touch(self, finished: list[Finished]) -> None:
        """Look again at what these tasks may have changed without moving a count."""
        groups = self._on.groups
        namespaces = {job.id: job.namespace for job in self._on.jobs.get("verify") or ()}
        for task in finished:
            about = concern(task.worker_type, task.worker_id)
            if about.store is None:
                continue
            if task.worker_type == "backup":
                if about.id is not None:
                    groups.touch(about.store, None, about.type, about.id)
            elif changes_snapshots(task.worker_type):
                namespace = about.namespace
                if namespace is None and about.job is not None:
                    namespace = namespaces.get(about.job)
                groups.touch(about.store, namespace, about.type, about.id)


def _version(told: shapes.Version) -> Version:
    return Version(version=told.version, release=told.release, repoid=told.repoid)


def _node(told: shapes.NodeStatus) -> Node:
    return Node(
        cpu=told.cpu,
        io_wait=told.wait,
        load=told.loadavg,
        memory=_space(told.memory),
        swap=_space(told.swap),
        rootfs=_space(told.root),
        uptime_seconds=told.uptime,
    )


def _space(told: shapes.Space) -> Space:
    free = told.free if told.free is not None else told.avail
    return Space(total=told.total, used=told.used, free=free if free is not None else max(0, told.total - told.used))
