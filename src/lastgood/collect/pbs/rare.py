"""Every hour and every day: rights, subscription, tapes, and what only the configuration tells.

Comes in: permissions, subscription, drives and media. Goes out: the picture. The one rule: a list that is short for
want of a right is told as not known, so rights are read again whenever something was refused.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import structlog

from lastgood.collect.pbs.watched import Watched, first_of
from lastgood.errors import CollectError
from lastgood.model.collected import Report
from lastgood.model.pbs import Subscription
from lastgood.model.repository import Probe
from lastgood.tools.pbs import shapes
from lastgood.tools.pbs.jobs import drives_of, media_of
from lastgood.tools.pbs.permissions import EVERYWHERE, TAPE, TASKS, Need, datastore, may, missing
from lastgood.tools.pbs.properties import backend
from lastgood.tools.pbs.versions import Gate

DAILY = timedelta(days=1)
MOST_NAMED = 10

_log = structlog.get_logger("lastgood.collect")


class Rare:
    def __init__(self, watched: Watched) -> None:
        self._on = watched
        self._subscribed_at: datetime | None = None

    async def round(self) -> AsyncIterator[Report]:
        on, failures, now = self._on, list[CollectError](), self._on.clock()
        if on.checked_at is None or now - on.checked_at >= DAILY:
            await self._rights(failures, now)
        if self._subscribed_at is None or now - self._subscribed_at >= DAILY:
            told = await on.guarded("subscription", on.api.subscription, failures)
            if told is not None:
                self._subscribed_at = now
                on.show(subscription=_subscription(told))
        await self._tapes(failures)
        await self._backends(failures)
        if failures:
            raise first_of(failures)
        for report in tuple[Report, ...]():
            yield report

    async def _rights(self, failures: list[CollectError], now: datetime) -> None:
        on = self._on
        held = await on.guarded(
            "permissions", lambda: on.api.permissions(*(need.path for need in EVERYWHERE)), failures
        )
        if held is None:
            return
        lacking = [*missing(held, on.stores), *await self._closed(failures)]
        on.closed.clear()
        if not may(held, TAPE):
            on.closed.add("tapes")
        on.groups.own_only = not may(held, TASKS)
        on.checked_at, on.checked_for = now, frozenset(on.stores)
        self._show(tuple(dict.fromkeys(str(need) for need in lacking)))

    def _show(self, lacking: tuple[str, ...]) -> None:
        before = self._on.picture.missing if self._on.picture is not None else None
        self._on.show(missing=lacking)
        if lacking and lacking != before:
            more = f" and {len(lacking) - MOST_NAMED} more" if len(lacking) > MOST_NAMED else ""
            _log.warning(
                "the token lacks grants, and what they open is unknown; give them to the token and to its user",
                collector=self._on.name,
                missing=", ".join(lacking[:MOST_NAMED]) + more,
            )
        elif before and not lacking:
            _log.info("the token lacks no grant any more", collector=self._on.name)

    async def _closed(self, failures: list[CollectError]) -> list[Need]:
        """Rights to datastores that are not told any more: only their own path shows NoAccess."""
        on, lacking = self._on, list[Need]()
        for name, look in on.looks.items():
            if look.probe not in (Probe.REFUSED, Probe.MISSING):
                look.is_forbidden = False
                continue
            need = datastore(name)
            held = await on.guarded("permissions", lambda path=need.path: on.api.permissions(path), failures)  # type: ignore[misc]
            look.is_forbidden = held is not None and not may(held, need)
            if look.is_forbidden:
                lacking.append(need)
        return lacking

    async def _tapes(self, failures: list[CollectError]) -> None:
        on = self._on
        drives = await on.guarded("tapes", on.api.drives, failures)
        media = await on.guarded("tapes", on.api.media, failures)
        if drives is not None:
            on.show(drives=drives_of(drives))
        if media is not None:
            on.show(media=media_of(media))
        if "tapes" in on.closed:
            on.show(drives=None, media=None)

    async def _backends(self, failures: list[CollectError]) -> None:
        """Early releases with S3 datastores tell which they are in the configuration alone."""
        on = self._on
        if on.api.build is None or not on.api.build.has(Gate.S3_STORES) or on.api.build.has(Gate.BACKEND_TYPE):
            return
        for row in await on.guarded("config", on.api.datastore_configs, failures) or ():
            if row.name in on.stores:
                on.put(replace(on.stores[row.name], backend=backend(row.backend)))
        on.show()


def _subscription(told: shapes.Subscription) -> Subscription:
    due_at = None
    if told.nextduedate is not None:
        try:
            due_at = datetime.strptime(told.nextduedate, "%Y-%m-%d").replace(tzinfo=UTC)
        except ValueError:
            due_at = None
    return Subscription(status=told.status, productname=told.productname, due_at=due_at)
