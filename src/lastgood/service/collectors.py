"""The hub's collectors: their timetables run here, what they tell becomes facts, and how they fare is told.

Comes in: the collectors of the settings. Goes out: facts of the origin ``collector:NAME``; pictures, for metrics and
pages. The one rule: a source is told again only when something about it is new; that all others were looked at is one
mark, so that a round over many thousands of them costs next to nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import structlog

from lastgood.clock import Clock
from lastgood.collect.collector import Collector
from lastgood.collect.timetable import ProbeFacts, Timetable
from lastgood.config.settings import Settings
from lastgood.errors import StoreError
from lastgood.fleet.fleet import Fleet
from lastgood.model.collected import CollectedRepository, CollectorHealth, Report, SourcesTold
from lastgood.model.fact import Fact, RepositoryCollected, RepositoryRemoved, SourcesCollected
from lastgood.service.survey import Survey, parts
from lastgood.store import records
from lastgood.store.database import Database
from lastgood.store.lease import Lease

_log = structlog.get_logger("lastgood.collectors")

LEASE = "collectors"
CHECK_SECONDS = 1.0
AGAIN_SECONDS = 60.0
LEAST_WATCH_SECONDS = 300
"""A repository that was not told for three times so long is unknown; also how long a look may be on its way."""

FACTS_AT_ONCE = 8
MEMORY_BYTES = 16 * 1024 * 1024

Take = Callable[[Sequence[Fact]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Configured:
    """A collector of the settings; ``expected_off``: its server is switched off on purpose at times."""

    collector: Collector
    expected_off: bool = False


class Kept:
    """What a collector keeps over a restart, in the hub's database."""

    def __init__(self, database: Database, name: str) -> None:
        self._database = database
        self._name = name

    async def load(self) -> bytes | None:
        return await self._database.read(partial(records.get_memory, name=self._name))

    async def save(self, held: bytes) -> None:
        """Raises StoreError."""
        if len(held) > MEMORY_BYTES:
            raise StoreError(f"The collector {self._name} wants to keep {len(held):,} bytes, which is too much.")
        await self._database.write(partial(records.set_memory, name=self._name, held=held))


def configured(settings: Settings, database: Database, clock: Clock) -> list[Configured]:
    """The collectors of the settings."""
    if not settings.servers.pbs:
        return []
    # What nobody collects from costs no start: a tool's modules are many.
    from lastgood.collect.pbs import PbsCollector

    return [
        Configured(PbsCollector(server, Kept(database, _name("pbs", server.name)), clock=clock), server.expected_off)
        for server in settings.servers.pbs
    ]


def _name(tool: str, server: str) -> str:
    return f"{tool}/{server}" if server else tool


class Collectors:
    """``take`` commits and learns facts; ``judged`` is told the name of a collector that fares otherwise now."""

    def __init__(
        self,
        configured: Sequence[Configured],
        fleet: Fleet,
        take: Take,
        clock: Clock,
        lease: Lease,
        judged: Callable[[str], None],
    ) -> None:
        self._configured = {one.collector.name: one for one in configured}
        self._fleet = fleet
        self._take = take
        self._clock = clock
        self._lease = lease
        self._judged = judged
        self._surveys = {name: Survey(fleet) for name in self._configured}
        self._timetables = {
            name: Timetable(one.collector, clock, partial(self._tell, one.collector))
            for name, one in self._configured.items()
        }
        self._running: dict[str, asyncio.Task[None]] = {}
        self._hearers: list[Callable[[str], None]] = []
        for name, one in self._configured.items():
            one.collector.hear(partial(self._heard, name))

    # --- what is asked ----------------------------------------------------------------------------------------

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._configured)

    @property
    def pictures(self) -> Mapping[str, object]:
        """The newest picture of each collector that has one, by name."""
        found = {name: one.collector.picture for name, one in self._configured.items()}
        return {name: picture for name, picture in found.items() if picture is not None}

    @property
    def probes(self) -> Mapping[str, Mapping[str, ProbeFacts]]:
        """How the probes of each collector fare."""
        return {name: timetable.facts for name, timetable in self._timetables.items()}

    def want(self, name: str) -> None:
        """Ask this collector's server soon; one that fails goes on waiting for its turn."""
        one = self._configured.get(name)
        for probe in one.collector.probes if one is not None else ():
            probe.wanted.set()

    def is_expected_off(self, name: str) -> bool:
        return self._configured[name].expected_off

    def hear(self, told: Callable[[str], None]) -> None:
        """Have the name of each collector told whose picture was replaced."""
        self._hearers.append(told)

    def _heard(self, name: str) -> None:
        for told in self._hearers:
            told(name)

    # --- the rounds -------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until cancelled."""
        for name in self._configured:
            self._tell_health(name)
        tidy = False
        try:
            while True:
                held = self._lease.held(LEASE)
                tidy = tidy or (held and await self._tidied())
                for name in self._configured:
                    self._keep_running(name, held)
                    self._tell_health(name)
                await asyncio.sleep(CHECK_SECONDS)
        finally:
            running = list(self._running.values())
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    def _keep_running(self, name: str, held: bool) -> None:
        task = self._running.get(name)
        if task is not None and task.done() and not task.cancelled() and task.exception() is not None:
            _log.error("a collector has broken and begins anew", collector=name, exc_info=task.exception())
        if held and (task is None or task.done()):
            pause = 0.0 if task is None else AGAIN_SECONDS
            self._running[name] = asyncio.create_task(self._run_one(name, pause), name=f"collector {name}")
        elif not held and task is not None:
            task.cancel()
            del self._running[name]

    async def _run_one(self, name: str, pause: float) -> None:
        await asyncio.sleep(pause)
        await self._timetables[name].run()

    def _tell_health(self, name: str) -> None:
        """Bring what rules and pages read in line with how the probes fare; worst speaks."""
        now, off = self._clock(), self._configured[name].expected_off
        facts = self._timetables[name].facts
        failing = {probe: one for probe, one in facts.items() if one.is_failing_long(now)}
        first = min(failing, key=lambda probe: (failing[probe].failing_since or now, probe), default=None)
        health = CollectorHealth(
            heard=bool(failing)
            or all(one.succeeded_at is not None or (off and one.rounds) for one in facts.values()),
            failing_since=failing[first].failing_since if first is not None else None,
            message=failing[first].message if first is not None else None,
            expected_off=off,
        )
        if self._fleet.judging.collectors.get(name) != health:
            self._fleet.judging.collectors[name] = health
            self._judged(name)

    async def _tidied(self) -> bool:
        """What is left of servers that are not configured any more goes; False if that could not be written."""
        gone = [one for one in self._fleet.repositories.values() if one.collector not in (None, *self._configured)]
        try:
            for repository in gone:
                ids = self._fleet.sources_of_repository.get(repository.id, ())
                _log.warning(
                    "a repository is forgotten, for its server is not in the settings any more; there all stays",
                    repository=repository.name,
                    collector=repository.collector,
                    sources=len(ids),
                )
                now, origin = self._clock(), origin_of(repository.collector or "")
                for some in parts(ids):
                    await self._take(
                        [
                            SourcesCollected(
                                at=now, origin=origin, repository_id=repository.id, listed_at=now, dropped=some
                            )
                        ]
                    )
                await self._take([RepositoryRemoved(at=now, origin=origin, repository_id=repository.id)])
        except StoreError as error:
            _log.error("what is left of a server could not be removed yet", error=str(error))
            return False
        for key in [key for key in self._fleet.alerts if key.entity_kind == "collector"]:
            self._judged(key.entity_id)
        return True

    # --- what is told -----------------------------------------------------------------------------------------

    async def _tell(self, collector: Collector, reports: Sequence[Report]) -> None:
        """Reports as facts, committed and learned. Raises StoreError; what was not taken is told again."""
        for report in reports:
            if isinstance(report, CollectedRepository):
                await self._take([self._of_repository(collector, report)])
            else:
                await self._tell_sources(collector, report)

    def _of_repository(self, collector: Collector, report: CollectedRepository) -> Fact:
        least = min((probe.interval.total_seconds() for probe in collector.probes), default=0.0)
        return RepositoryCollected(
            at=self._clock(),
            origin=origin_of(collector.name),
            collector=collector.name,
            report=report,
            watch_seconds=max(LEAST_WATCH_SECONDS, int(least)),
        )

    async def _tell_sources(self, collector: Collector, report: SourcesTold) -> None:
        repository = self._fleet.repositories.get(report.repository_id)
        if repository is None or repository.collector != collector.name:
            _log.warning("sources came before their repository; they are told again", collector=collector.name)
            return
        survey = self._surveys[collector.name]
        news = await survey.news(report)
        facts = news.facts(self._clock(), origin_of(collector.name))
        for begin in range(0, len(facts), FACTS_AT_ONCE):
            await self._take(facts[begin : begin + FACTS_AT_ONCE])
        survey.told(news)


def origin_of(name: str) -> str:
    return f"collector:{name}"


def newest_success(facts: Mapping[str, ProbeFacts]) -> datetime | None:
    """When a probe of a collector last went well."""
    return max((one.succeeded_at for one in facts.values() if one.succeeded_at is not None), default=None)
