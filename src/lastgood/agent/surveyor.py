"""Looks into every assigned repository: after each run, every 15 minutes, when asked, and when marks do not meet.

Restic's answers become reports in the spool. The one rule: an answer that is missing is not an empty one; what could
not be asked is logged, and the hub keeps what it knew, with its age. A survey never fails a run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from lastgood.agent.jobs import place_of
from lastgood.agent.spool import Spool
from lastgood.clock import Clock
from lastgood.errors import LastgoodError
from lastgood.fleet.judge import SURVEY_INTERVAL
from lastgood.tools.restic import survey
from lastgood.tools.restic.driver import Restic
from lastgood.wire.frames import RepositoryAccess

log = structlog.get_logger(__name__)

MEASURE_INTERVAL = timedelta(days=1)
AT_ONCE = 4
CHECK_SECONDS = 30.0
"""The clock is asked again after so long: timers sleep with the machine and know nothing of a clock that is set."""


class Surveyor:
    """Surveys repositories, a few at once, each by one look at a time; ``check`` raises for one that must not be."""

    def __init__(
        self,
        restic: Restic,
        spool: Spool,
        accesses: Callable[[], tuple[RepositoryAccess, ...]],
        clock: Clock,
        check: Callable[[RepositoryAccess], object] = lambda access: None,
    ) -> None:
        self._restic = restic
        self._spool = spool
        self._accesses = accesses
        self._check = check
        self._clock = clock
        self._next_at: dict[str, datetime] = {}
        self._measured: dict[str, datetime] | None = None
        self._looking: dict[str, asyncio.Task[None]] = {}
        self._room = asyncio.Semaphore(AT_ONCE)
        self._wanted = asyncio.Event()

    def look(self, repository_id: str) -> None:
        """Survey this repository soon."""
        self._next_at[repository_id] = self._clock()
        self._wanted.set()

    def look_everywhere(self) -> None:
        """Survey every assigned repository soon."""
        self._next_at.clear()
        self._wanted.set()

    def assigned(self) -> None:
        """Other repositories may be ours now."""
        self._wanted.set()

    async def run(self) -> None:
        """Survey what is due, for ever; one repository that does not answer holds up no other."""
        try:
            while True:
                self._wanted.clear()
                for access in self.due():
                    self._next_at[access.id] = self._clock() + SURVEY_INTERVAL
                    self._looking[access.id] = asyncio.create_task(self._look_into(access))
                await self._pause()
        finally:
            looking = list(self._looking.values())
            for task in looking:
                task.cancel()
            await asyncio.gather(*looking, return_exceptions=True)

    async def _look_into(self, access: RepositoryAccess) -> None:
        try:
            async with self._room:
                await self.survey(access)
        finally:
            del self._looking[access.id]
            self._wanted.set()

    def due(self) -> list[RepositoryAccess]:
        """The repositories whose moment has come; one never looked into is due at once."""
        now = self._clock()
        found = []
        for access in self._accesses():
            if access.id in self._looking:
                continue
            next_at = self._next_at.get(access.id)
            # A clock that was set back would leave the next look far away.
            if next_at is None or next_at <= now or next_at > now + SURVEY_INTERVAL:
                found.append(access)
        return found

    async def survey(self, access: RepositoryAccess) -> None:
        """Look into a repository and report what was seen."""
        try:
            self._check(access)
            place = place_of(access)
            probe = await self._restic.probe(place)
            may_be_made = access.initialise and not await self._spool.has_opened(access.id)
            if probe.status == "missing" and may_be_made:
                return  # its first run will make it; until then there is nothing to say
            await self._spool.add(survey.probed(access.id, probe, self._clock()))
            if probe.status != "ready":
                return
            # What is made while restic reads may be missing in its answer: a listing speaks for its beginning.
            listing_at = self._clock()
            found = await self._restic.snapshots(place)
            # Sorting tens of thousands of snapshots takes a while; heartbeats go on meanwhile.
            told = await asyncio.to_thread(survey.snapshots, access.id, found, listing_at, watched=access.watch)
            await self._spool.add(told)
            listing_at = self._clock()
            locks = await self._restic.locks(place)
            await self._spool.add(survey.locks(access.id, locks, listing_at))
            if found and await self._is_measuring_due(access.id):
                await self._measure(access)
        except LastgoodError as error:
            log.warning("survey broken off", repository=access.name, reason=str(error))

    async def _measure(self, access: RepositoryAccess) -> None:
        stats = await self._restic.raw_stats(place_of(access))
        at = self._clock()
        await self._spool.add(survey.sized(access.id, stats, at))
        await self._spool.measured(access.id, at)
        assert self._measured is not None
        self._measured[access.id] = at

    async def _is_measuring_due(self, repository_id: str) -> bool:
        if self._measured is None:
            self._measured = {} if self._spool.fresh else await self._spool.last_measured()
        last = self._measured.get(repository_id)
        now = self._clock()
        return last is None or not now - MEASURE_INTERVAL < last <= now

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await self._wanted.wait()
        except TimeoutError:
            return
