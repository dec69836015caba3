"""Every two minutes: datastores and their state, garbage collection, jobs, and which groups there are.

Comes in: the lists of datastores, jobs, namespaces and groups. Goes out: the picture, a report of each datastore, and
of its sources where nothing is left to be looked at. The one rule: one datastore or namespace that cannot be read
costs itself alone, and keeps what was known of it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from lastgood.collect.pbs.watched import Look, Watched, concerns_all, first_of, unread
from lastgood.errors import CollectError, Refused
from lastgood.model.collected import Report, SourcesTold
from lastgood.model.job import RunKind
from lastgood.model.pbs import Gc, Job, LastTask, TaskStatus
from lastgood.model.repository import Probe
from lastgood.tools.pbs.job_shapes import JobRow
from lastgood.tools.pbs.jobs import gc_jobs, jobs_of
from lastgood.tools.pbs.refusals import FORBIDDEN, GONE, MAINTENANCE, NO_SUCH_STORE, NOT_MOUNTED
from lastgood.tools.pbs.report import repository_id
from lastgood.tools.pbs.rows import Rows
from lastgood.tools.pbs.shapes import DatastoreRow, GcRow
from lastgood.tools.pbs.stores import closed, collected, is_running, s3_of, told

MISSED_FOR = timedelta(days=14)
"""So long a datastore that the server names no more is remembered."""

LONG = 5.0
REST = 10
"""A datastore whose lists take long is left alone for so many times as long."""

AT_ONCE = 4
_PROBES = {FORBIDDEN: Probe.REFUSED, NO_SUCH_STORE: Probe.MISSING}
_STATES = (FORBIDDEN, NO_SUCH_STORE, MAINTENANCE, NOT_MOUNTED)
"""Causes that say what a datastore is in, and not that asking failed."""

_UPKEEP = {"prune": RunKind.FORGET, "verify": RunKind.CHECK}
_WELL = {
    "prune": (TaskStatus.OK, TaskStatus.WARNINGS),
    "verify": (TaskStatus.OK,),
    "sync": (TaskStatus.OK,),
}
"""A sync with warnings left something out; a prune with warnings kept something."""


class Medium:
    def __init__(self, watched: Watched) -> None:
        self._on = watched

    async def round(self) -> AsyncIterator[Report]:
        on, failures = self._on, list[CollectError]()
        first = on.groups.book.read_at is None
        try:
            rows = await on.api.datastores()
        except CollectError as error:
            if concerns_all(error):
                for name in list(on.stores):
                    yield await self._unanswered(name, error)
            raise
        for report in await self._listed(rows, on.clock()):
            yield report
        await self._jobs(failures)
        on.show()
        names = {row.store for row in rows} if rows.is_whole else {*on.stores}
        async for report in self._stores(names, failures):
            yield report
        on.groups.hide(frozenset(name for name, store in on.stores.items() if store.unreadable_namespaces))
        on.show()
        if first:
            on.want("fast")
        if on.checked_for != frozenset(on.stores):
            on.rights_changed()
        on.want("slow")
        if failures:
            raise first_of(failures)

    # Datastores

    async def _unanswered(self, name: str, error: CollectError) -> Report:
        on = self._on
        look = on.looks.setdefault(name, Look(on.clock()))
        look.at, look.probe = on.clock(), Probe.REFUSED if isinstance(error, Refused) else Probe.UNREACHABLE
        return replace(await on.report(name), message=str(error))

    async def _listed(self, rows: Rows[DatastoreRow], now: datetime) -> list[Report]:
        on, reports = self._on, list[Report]()
        for row in rows:
            on.put(told(on.stores.get(row.store), row))
            on.looks.setdefault(row.store, Look(now)).seen_at = now
        if not rows.is_whole:
            return reports
        named = {row.store for row in rows}
        for name in [name for name in on.stores if name not in named]:
            look = on.looks.setdefault(name, Look(now))
            if look.probe not in (Probe.MISSING, Probe.REFUSED):
                on.rights_changed()  # is it gone, or may it not be seen any more?
            look.at, look.probe = now, Probe.REFUSED if look.is_forbidden else Probe.MISSING
            reason = (
                "the token lacks the right to see it" if look.is_forbidden else "the server does not name it any more"
            )
            on.put(replace(on.stores[name], up=False, reason=reason))
            if now - look.seen_at <= MISSED_FOR:
                reports.append(await on.report(name))
                continue
            reports.append(
                SourcesTold(repository_id=repository_id(on.server.name, name), listed_at=now, sources=(), whole=True)
            )
            await on.run(on.groups.drop, on.groups.places(name))
            on.stores = {other: store for other, store in on.stores.items() if other != name}
            del on.looks[name]
        return reports

    async def _stores(self, names: Iterable[str], failures: list[CollectError]) -> AsyncIterator[Report]:
        """A report of each datastore as soon as it was looked at; what ends one for all ends this."""
        slots = asyncio.Semaphore(AT_ONCE)

        async def one(name: str) -> list[Report]:
            async with slots:
                return await self._store(name, failures)

        looks = [asyncio.create_task(one(name)) for name in sorted(names)]
        try:
            for done in asyncio.as_completed(looks):
                for report in await done:
                    yield report
        finally:
            for task in looks:
                task.cancel()
            await asyncio.gather(*looks, return_exceptions=True)

    async def _store(self, name: str, failures: list[CollectError]) -> list[Report]:
        on, look = self._on, self._on.looks[name]
        store, now = on.stores[name], on.clock()
        look.at = now
        reason = closed(store.maintenance, store.mount)
        if reason is not None:
            look.probe = Probe.UNREACHABLE
            return [await on.report(name)]
        if look.rest_until is not None and now < look.rest_until:
            return [await on.report(name)]
        began = time.monotonic()
        try:
            if store.backend == "s3":
                await self._s3(name, failures)
            await self._groups(name, look, failures)
        except CollectError as error:
            if concerns_all(error):
                raise
            self._unread(name, look, error, failures)
            return [await on.report(name)]
        if (took := time.monotonic() - began) > LONG:
            look.rest_until = now + timedelta(seconds=REST * took)
        if look.probe is Probe.REFUSED:
            on.rights_changed()
        look.probe = Probe.READY
        on.put(replace(on.stores[name], up=True, reason=None))
        on.show()
        report = await on.report(name)
        return [report, await on.told(name)]

    def _unread(self, name: str, look: Look, error: CollectError, failures: list[CollectError]) -> None:
        look.probe = _PROBES.get(error.cause or "", Probe.UNREACHABLE)
        self._on.put(replace(self._on.stores[name], up=False, reason=_reason(error)))
        self._on.check_rights(error)
        if error.cause not in _STATES:
            failures.append(error)

    async def _s3(self, name: str, failures: list[CollectError]) -> None:
        status = await self._on.guarded(f"status {name}", lambda: self._on.api.store_status(name), failures)
        if status is not None:
            self._on.put(replace(self._on.stores[name], s3=s3_of(status.s3_statistics)))

    async def _groups(self, name: str, look: Look, failures: list[CollectError]) -> None:
        on = self._on
        spaces = await on.api.namespaces(name)
        readable, unreadable = [], {}
        whole = spaces.is_whole and len(spaces) > 0  # a list that is empty for want of rights proves nothing
        for space in (row.ns for row in spaces):
            now = on.clock()
            try:
                rows = await on.api.groups(name, space)
                await on.run(on.groups.take_groups, (name, space), rows, now)
            except CollectError as error:
                if concerns_all(error) or error.cause in (NO_SUCH_STORE, MAINTENANCE, NOT_MOUNTED):
                    raise
                if error.cause == GONE:
                    whole = False  # the next list of namespaces says whether it is
                    continue
                unreadable[space] = _reason(error)
                on.check_rights(error)
                if error.cause != FORBIDDEN:
                    whole = False
                    failures.append(error)
                continue
            readable.append(space)
            whole = whole and rows.is_whole
            failures.extend(unread(rows))
        look.listed_at = look.at
        look.namespaces, look.is_whole = tuple(readable), whole
        if spaces.is_whole and "" in readable:
            # Who may read the root sees every namespace, so that what is not there is gone.
            named = {row.ns for row in spaces}
            await on.run(on.groups.drop, [place for place in on.groups.places(name) if place[1] not in named])
        on.put(
            replace(
                on.stores[name], namespaces=tuple(sorted(row.ns for row in spaces)), unreadable_namespaces=unreadable
            )
        )

    # Jobs

    async def _jobs(self, failures: list[CollectError]) -> None:
        on, api = self._on, self._on.api
        last = on.groups.book.tasks.last
        collections = await on.guarded("gc", api.gc_jobs, failures)
        if collections is not None:
            self._collected(collections)
        for kind, asked in (
            ("verify", api.verify_jobs),
            ("prune", api.prune_jobs),
            ("sync", api.sync_jobs),
            ("tape", api.tape_jobs),
        ):
            rows: Rows[JobRow] | None = await on.guarded(kind, asked, failures)  # type: ignore[arg-type]
            if rows is not None:
                on.jobs[kind] = await on.run(jobs_of, rows, on.jobs.get(kind), last)
            elif kind in on.closed:
                on.jobs[kind] = None
        jobs = [job for some in on.jobs.values() for job in some or ()]
        await on.run(self._upkeep, jobs)
        await on.run(on.groups.take_jobs, tuple(job for job in jobs if job.kind == "verify"))

    def _collected(self, rows: Rows[GcRow]) -> None:
        on, tasks = self._on, self._on.groups.book.tasks
        running = on.groups.book.running_ids("garbage_collection")
        shown: dict[str, Gc] = {}
        for row in rows:
            store = on.stores.get(row.store)
            if store is None:
                continue
            last = tasks.last.get(("garbage_collection", row.store))
            gc = collected(store.gc, row, last, running=row.store in running or is_running(row))
            on.put(replace(store, gc=gc))
        for name, store in on.stores.items():
            if store.gc is not None:
                shown[name] = store.gc
        on.jobs["gc"] = gc_jobs(shown)

    def _upkeep(self, jobs: Sequence[Job]) -> None:
        """When each kind of upkeep last went well; a job that runs, fails or is gone takes nothing away."""
        on = self._on
        for name, look in on.looks.items():
            gc = on.stores[name].gc if name in on.stores else None
            if gc is not None and gc.succeeded_at is not None:
                _note(look, RunKind.PRUNE, gc.succeeded_at)
        for job in jobs:
            if job.store not in on.looks or job.ended_at is None or job.status not in _WELL.get(job.kind, ()):
                continue
            look, kind = on.looks[job.store], _UPKEEP.get(job.kind)
            if kind is not None:
                _note(look, kind, job.ended_at)
            elif job.kind == "sync":
                look.synced_at = max(look.synced_at or job.ended_at, job.ended_at)
        for task in on.groups.book.tasks.last.values():
            _by_hand(on.looks, task)


def _by_hand(looks: dict[str, Look], task: LastTask) -> None:
    """Upkeep that no job asked for."""
    kind = {"prune": RunKind.FORGET, "prunejob": RunKind.FORGET, "garbage_collection": RunKind.PRUNE}.get(
        task.worker_type
    )
    look = looks.get(task.worker_id.partition(":")[0])
    if kind is not None and look is not None and task.status in (TaskStatus.OK, TaskStatus.WARNINGS):
        _note(look, kind, task.ended_at)


def _note(look: Look, kind: RunKind, at: datetime) -> None:
    look.upkeep[kind] = max(look.upkeep.get(kind, at), at)


def _reason(error: CollectError) -> str:
    return str(error).rstrip(".")
