"""The hub's own looks: restic run here, into repositories that the hub itself watches.

Comes in: which repositories, and their credentials; asked for or on their own timetable, and at once when a snapshot
is overdue. Goes out: the facts that an agent's look would state, from ``hub:lookout``. The one rule: no repository
waits for another that does not answer; such a one is asked less and less often, and what was known keeps its age.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import msgspec
import structlog

from lastgood.agent.places import place
from lastgood.clock import Clock
from lastgood.errors import LastgoodError, StoreError
from lastgood.fleet.fleet import Fleet
from lastgood.model.fact import Fact
from lastgood.model.repository import HUB, Probe, Repository, Slot
from lastgood.service.assignment import FindHeld
from lastgood.store.lease import Lease
from lastgood.tools.restic import survey
from lastgood.tools.restic.command import Place
from lastgood.tools.restic.driver import Restic
from lastgood.wire.frames import Probed, RepositoryAccess, Said, Snapshots
from lastgood.wire.translate import translate

_log = structlog.get_logger("lastgood.lookout")

ORIGIN = "hub:lookout"
LEAST_INTERVAL = timedelta(seconds=60)
LONGEST_PAUSE = timedelta(hours=1)
MEASURE_INTERVAL = timedelta(days=1)
AFTER_DEADLINE = timedelta(seconds=1)
MOST_DOUBLINGS = 16
HEALTHY_AT_ONCE = 2
FAILING_AT_ONCE = 1
MEASURED_AT_ONCE = 1
CHECK_SECONDS = 1.0
SERIES_AT_ONCE = 50
BODY_BYTES = 16 * 1024 * 1024
"""Nothing travels as a frame here."""

Take = Callable[[Sequence[Fact]], Awaitable[None]]


@dataclass(slots=True)
class Timetable:
    """What is remembered of one repository: when it was looked into, how often that failed since, what comes next."""

    looked_at: datetime | None = None
    measured_at: datetime | None = None
    deadline_at: datetime | None = None
    failures: int = 0
    wanted: bool = False

    def is_due(self, interval: timedelta, now: datetime) -> bool:
        """Whether to look now; ``deadline_at`` is when the time of the next snapshot has run out."""
        last = self.looked_at
        if last is None or self.wanted or now < last:  # a clock that was set back would put it off for long
            return True
        interval = max(interval, LEAST_INTERVAL)
        if self.failures:
            longer: timedelta = interval * 2 ** min(self.failures - 1, MOST_DOUBLINGS)
            return now - last >= min(longer, max(LONGEST_PAUSE, interval))
        if now - last < LEAST_INTERVAL:
            return False
        return now - last >= interval or (self.deadline_at is not None and now >= self.deadline_at + AFTER_DEADLINE)


class Lookout:
    """``take`` commits and learns facts; ``held`` finds the credentials that the hub holds."""

    def __init__(self, fleet: Fleet, take: Take, held: FindHeld, clock: Clock, lease: Lease, restic: Restic) -> None:
        self._fleet = fleet
        self._take = take
        self._held = held
        self._clock = clock
        self._lease = lease
        self._restic = restic
        self._watched: dict[str, Timetable] = {}
        self._looking: dict[str, asyncio.Task[None]] = {}
        self._healthy = asyncio.Semaphore(HEALTHY_AT_ONCE)
        self._failing = asyncio.Semaphore(FAILING_AT_ONCE)
        self._measuring = asyncio.Semaphore(MEASURED_AT_ONCE)
        self._wake = asyncio.Event()

    def look(self, repository_id: str) -> None:
        """Look into this repository as soon as may be."""
        self._watched.setdefault(repository_id, Timetable()).wanted = True
        self._wake.set()

    @property
    def looking(self) -> int:
        """How many repositories are being looked into."""
        return len(self._looking)

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                self._wake.clear()
                if self._lease.held("collectors"):
                    for repository in self.due():
                        self._looking[repository.id] = asyncio.create_task(self._look_into(repository))
                await self._pause()
        finally:
            looking = list(self._looking.values())
            for task in looking:
                task.cancel()
            await asyncio.gather(*looking, return_exceptions=True)

    def due(self) -> list[Repository]:
        """The repositories whose moment has come."""
        ids = self._fleet.watched_by_host.get(HUB, ())
        for gone in self._watched.keys() - set(ids):
            del self._watched[gone]
        now = self._clock()
        found = []
        for repository_id in ids:
            repository = self._fleet.repositories[repository_id]
            watched = self._watched.setdefault(repository_id, Timetable())
            if repository_id not in self._looking and watched.is_due(
                timedelta(seconds=repository.watch_seconds), now
            ):
                found.append(repository)
        return found

    def _next_deadline(self, repository_id: str) -> datetime | None:
        """When the time of the next snapshot will have run out: from then on somebody waits for our word."""
        now = self._clock()
        ids = self._fleet.sources_of_repository.get(repository_id, ())
        deadlines = (self._fleet.evidence_of(i).deadline_at for i in ids if self._fleet.sources[i].is_found)
        return min((moment for moment in deadlines if moment is not None and moment > now), default=None)

    async def _look_into(self, repository: Repository) -> None:
        watched = self._watched[repository.id]
        watched.wanted = False
        watched.looked_at = self._clock()
        try:
            async with self._failing if watched.failures else self._healthy:
                watched.looked_at = self._clock()
                snapshots = await self.survey(repository)
                watched.failures = 0 if snapshots is not None else watched.failures + 1
                watched.deadline_at = self._next_deadline(repository.id)
            if snapshots and self._is_measuring_due(repository.id, watched):
                async with self._measuring:
                    await self._measure(repository, watched)
        except StoreError as error:
            _log.error("a look could not be kept; it is taken again", repository=repository.name, error=str(error))
            watched.failures += 1
        finally:
            del self._looking[repository.id]
            self._wake.set()

    async def survey(self, repository: Repository) -> int | None:
        """Look into a repository and have its facts taken; how many snapshots there are, None if nobody knows."""
        try:
            there = self._place(repository)
            probe = await self._restic.probe(there)
            await self._tell([survey.probed(repository.id, probe, self._clock())])
            if probe.status != "ready":
                return None
            # What is made while restic reads may be missing in its answer: a listing speaks for its beginning.
            listing_at = self._clock()
            found = await self._restic.snapshots(there)
            told = await asyncio.to_thread(
                survey.snapshots, repository.id, found, listing_at, watched=True, body_bytes=BODY_BYTES
            )
            await self._tell_snapshots(told)
            listing_at = self._clock()
            await self._tell([survey.locks(repository.id, await self._restic.locks(there), listing_at)])
        except StoreError:
            raise
        except LastgoodError as error:
            _log.warning("a look was broken off", repository=repository.name, reason=str(error))
            failed = Probed(
                repository_id=repository.id, probe=Probe.UNKNOWN, probed_at=self._clock(), message=str(error)
            )
            await self._tell([failed])
            return None
        return len(found)

    async def _tell_snapshots(self, told: Snapshots) -> None:
        """A fact is learned in one piece, so that of many series is told in parts first; then it holds little new."""
        is_told_whole = len(told.series) <= SERIES_AT_ONCE or not self._is_known(told)
        for begin in () if is_told_whole else range(0, len(told.series), SERIES_AT_ONCE):
            some = told.series[begin : begin + SERIES_AT_ONCE]
            part = self._fact(msgspec.structs.replace(told, series=some, truncated=True))
            await self._take([replace(part, part=True)])  # type: ignore[call-arg]
        await self._tell([told])

    async def _measure(self, repository: Repository, watched: Timetable) -> None:
        try:
            stats = await self._restic.raw_stats(self._place(repository))
            await self._tell([survey.sized(repository.id, stats, self._clock())])
        except StoreError:
            raise
        except LastgoodError as error:
            _log.warning("a repository could not be measured", repository=repository.name, reason=str(error))
        watched.measured_at = self._clock()

    def _is_measuring_due(self, repository_id: str, watched: Timetable) -> bool:
        last = watched.measured_at or self._fleet.repository_evidence_of(repository_id).sized_at
        now = self._clock()
        return last is None or not now - MEASURE_INTERVAL < last <= now

    def _place(self, repository: Repository) -> Place:
        return place(
            RepositoryAccess(
                id=repository.id,
                name=repository.name,
                url=repository.url,
                password_file=repository.password_file,
                environment_file=repository.environment_file,
                held=self._held(repository, Slot.EVERYDAY) if repository.held else None,
            )
        )

    async def _tell(self, said: Sequence[Said]) -> None:
        known = [self._fact(one) for one in said if self._is_known(one)]
        if known:
            await self._take(known)

    def _is_known(self, said: Said) -> bool:
        """Whether the repository is there still; it may have been removed while restic read it."""
        return getattr(said, "repository_id", None) in self._fleet.repositories

    def _fact(self, said: Said) -> Fact:
        return replace(translate(said, "", self._clock()), origin=ORIGIN)

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await self._wake.wait()
        except TimeoutError:
            return
