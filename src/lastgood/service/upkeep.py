"""Small chores on a timetable: note that we are alive and whom we heard, and let old history go.

Presence is coalesced here: whatever heartbeats came, each host is one row every half minute. The one rule: nothing
here is needed for a fact to be safe, so a failure is logged and tried again at the next round.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlalchemy import Connection

from lastgood.clock import Clock
from lastgood.config.settings import RetentionSettings
from lastgood.errors import StoreError
from lastgood.fleet.fleet import Fleet
from lastgood.service.slices import Slice
from lastgood.store import accounts, enrolment, history, records
from lastgood.store.database import Database
from lastgood.store.lease import Lease
from lastgood.store.log import count_quarantined

NOTE_SECONDS = 30.0
TRIM_EVERY = timedelta(hours=1)
ROWS_A_NOTE = 1_000
REQUESTS_FOR = timedelta(days=7)
"""How long a request id is remembered, so that a retry of it changes nothing."""

_log = structlog.get_logger("lastgood.upkeep")


class Upkeep:
    """``quarantined`` is how many facts lay in quarantine at the last look. ``trimmed`` is told how many old rows
    went."""

    def __init__(
        self,
        database: Database,
        fleet: Fleet,
        retention: RetentionSettings,
        clock: Clock,
        lease: Lease,
        trimmed: Callable[[int], Awaitable[None]] | None = None,
    ) -> None:
        self._database = database
        self._fleet = fleet
        self._retention = retention
        self._clock = clock
        self._lease = lease
        self._trimmed = trimmed
        self._noted: dict[str, records.Seen] = {}
        self._trim_at: datetime | None = None
        self.quarantined = 0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.note()
                await self._trim()
            except StoreError as error:
                _log.error("chores put off", error=str(error))
            await asyncio.sleep(NOTE_SECONDS)

    async def note(self) -> None:
        """Write down who was heard since the last note, and that we are running."""
        now = self._clock()
        moved: dict[str, records.Seen] = {}
        piece = Slice()
        for host_id in list(self._fleet.judging.presence):
            if host_id not in self._fleet.hosts:  # removed while its agent was being greeted
                self._fleet.judging.forget_host(host_id)
                continue
            held = self._fleet.presence_of(host_id)
            seen = (held.seen_at, held.observed_at)
            if held.seen_at is not None and self._noted.get(host_id) != seen:
                moved[host_id] = seen
            if len(moved) >= ROWS_A_NOTE:
                await self._keep(moved)
                moved = {}
            if piece.is_over:
                await piece.rest()
        await self._keep(moved)
        for host_id in list(self._noted):
            if host_id not in self._fleet.hosts:
                del self._noted[host_id]
                await self._database.write(partial(records.forget_presence, host_id=host_id))
            if piece.is_over:
                await piece.rest()
        await self._database.write(lambda connection: records.save_alive(connection, now))
        self.quarantined = await self._database.read(count_quarantined)

    async def _keep(self, moved: dict[str, records.Seen]) -> None:
        if moved:
            await self._database.write(partial(records.save_presence, seen=moved))
            self._noted.update(moved)

    async def _trim(self) -> None:
        now = self._clock()
        if not self._lease.held("history") or (self._trim_at is not None and now < self._trim_at):
            return
        self._trim_at = now + TRIM_EVERY
        keep = history.KeepFrom(
            runs=now - timedelta(days=self._retention.runs_days),
            ledger=now - timedelta(days=self._retention.ledger_days),
            alerts=now - timedelta(days=self._retention.alerts_days),
            requests=now - REQUESTS_FOR,
        )

        def trim(connection: Connection) -> int:
            return history.trim(connection, keep)

        gone, total = 1, 0
        while gone:
            gone = await self._database.write(trim)
            total += gone
        if total and self._trimmed is not None:
            await self._trimmed(total)
        await self._database.write(lambda connection: accounts.trim_accounts(connection, now))
        await self._database.write(lambda connection: enrolment.trim_enrolment(connection, now))
