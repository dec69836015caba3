"""Snapshots: what is new is listed at once, everything once in six hours, one list at a time.

Comes in: the lists of snapshots. Goes out: the picture, and the sources that changed, whole datastores once nothing
of them is left to be looked at. The one rule: a list that does not come leaves what was known, and is not asked for
again at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta

import structlog

from lastgood.collect.pbs.plan import Ask, Plan
from lastgood.collect.pbs.watched import Watched, concerns_all, first_of, unread
from lastgood.errors import CollectError
from lastgood.model.collected import Report, SourcesTold
from lastgood.model.repository import Probe
from lastgood.tools.pbs.groups import Line, line
from lastgood.tools.pbs.place import Place
from lastgood.tools.pbs.refusals import FORBIDDEN, GONE, MAINTENANCE, NO_SUCH_STORE, NOT_MOUNTED
from lastgood.tools.pbs.report import repository_id
from lastgood.tools.pbs.rows import Rows

ENOUGH = 600.0
"""Seconds after which a round ends and the next one goes on, so that its deadline ends nothing half way."""

ONCE_MORE = 1.0
"""Seconds before a namespace is asked again of which something was deleted while it was listed."""

_log = structlog.get_logger("lastgood.collect")

_STATES = (FORBIDDEN, GONE, MAINTENANCE, NO_SUCH_STORE, NOT_MOUNTED)


class Slow:
    def __init__(self, watched: Watched) -> None:
        self._on = watched
        self._plan = Plan()
        self._is_whole = False

    async def round(self) -> AsyncIterator[Report]:
        on, failures, began = self._on, list[CollectError](), time.monotonic()
        await on.run(on.groups.failed)
        while (ask := await on.run(self._plan.next, on.groups, self._places(), on.clock())) is not None:
            try:
                for report in await self._listed(ask, failures):
                    yield report
            except CollectError as error:
                await on.run(on.groups.failed)
                if concerns_all(error):
                    raise
                self._plan.failed(ask, on.clock())
                on.check_rights(error)
                on.want("medium")
                if error.cause not in _STATES:
                    failures.append(error)
            if time.monotonic() - began > ENOUGH:
                on.want("slow")
                break
        on.show()
        self._tell_whole()
        if failures:
            raise first_of(failures)

    def _tell_whole(self) -> None:
        """Once, when no datastore is left that was not looked at, and no group that was not listed."""
        on = self._on
        looked = on.looks and all(look.probe is not Probe.UNKNOWN for look in on.looks.values())
        if looked and not self._is_whole and not on.groups.pending:
            self._is_whole = True
            _log.info("every group was listed", collector=on.name, groups=len(on.groups.shown))

    def _places(self) -> list[Place]:
        """Namespaces that could be read when last looked at."""
        on = self._on
        found = [
            (name, space) for name, look in on.looks.items() if look.probe is Probe.READY for space in look.namespaces
        ]
        self._plan.keep(found)
        return found

    async def _listed(self, ask: Ask, failures: list[CollectError]) -> list[Report]:
        on, (store, _) = self._on, ask.place
        now, began = on.clock(), time.monotonic()
        await on.run(on.groups.asking, ask.place, ask.group)
        rows = await self._asked(ask)
        changed = await on.run(on.groups.take_snapshots, ask.place, ask.group, rows, now)
        self._plan.done(ask, now, timedelta(seconds=time.monotonic() - began))
        if not rows.is_whole:
            failures.extend(unread(rows))
            self._plan.failed(ask, now)
        on.show()
        if not await on.run(on.groups.is_due, store):
            return [await on.report(store), await on.told(store)]
        sources = await on.run(on.groups.sources, changed, ask.place)
        if not sources:
            return []
        return [SourcesTold(repository_id=repository_id(on.server.name, store), listed_at=now, sources=sources)]

    async def _asked(self, ask: Ask) -> Rows[Line]:
        (store, space), group = ask.place, ask.group[2:] if ask.group is not None else None
        try:
            return await self._on.api.snapshots(store, space, group=group, into=line)
        except CollectError as error:
            if error.cause != GONE:
                raise
            await asyncio.sleep(ONCE_MORE)
            return await self._on.api.snapshots(store, space, group=group, into=line)
