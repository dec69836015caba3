"""A collector of a simulated server, its probes run by hand; what it told is kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from lastgood.collect.pbs import PbsCollector
from lastgood.config.servers import PbsServer
from lastgood.errors import CollectError, NoRoom
from lastgood.model.collected import CollectedRepository, CollectedSource, Report, SourcesTold
from lastgood.model.pbs import Group, PbsPicture
from lastgood.secret import Secret
from tests.pbs_simulator import MONITOR, Simulator

ROUND = ("medium", "fast", "medium", "slow", "fast", "rare")
"""What a timetable comes to, in an order that leaves nothing to chance."""


class Kept:
    """A memory that outlives its collector."""

    def __init__(self) -> None:
        self.held: bytes | None = None
        self.saved = 0
        self.is_full = False

    async def load(self) -> bytes | None:
        return self.held

    async def save(self, held: bytes) -> None:
        if self.is_full:
            raise NoRoom("The disk under the memory is full; free some of it.")
        self.held, self.saved = held, self.saved + 1


class Turned:
    """The clock of simulator and collector: it stands still until it is turned."""

    def __init__(self, pbs: Simulator) -> None:
        self._pbs = pbs
        self.now = datetime.fromtimestamp(pbs.truth()["now"], UTC)

    def __call__(self) -> datetime:
        return self.now

    def turn(self, **by: float) -> None:
        self.now += timedelta(**by)
        self._pbs.clock(now=self.now.timestamp())


class Watch:
    """The collector, the simulator, and all that was told so far: the newest word on each repository and source."""

    def __init__(self, pbs: Simulator, collector: PbsCollector, clock: Turned) -> None:
        self.pbs = pbs
        self.clock = clock
        self.collector = collector
        self.reports: list[Report] = []
        self.repositories: dict[str, CollectedRepository] = {}
        self.sources: dict[str, CollectedSource] = {}
        self.whole: dict[str, datetime] = {}

    @property
    def picture(self) -> PbsPicture:
        assert self.collector.picture is not None
        return self.collector.picture

    async def run(self, *names: str) -> list[Report]:
        """Rounds of these probes, one after the other; raises what they raise."""
        told = []
        for name in names:
            probe = next(probe for probe in self.collector.probes if probe.name == name)
            async for report in probe.collect():
                told.append(report)
                self._take(report)
        self.reports += told
        return told

    async def all(self) -> list[Report]:
        return await self.run(*ROUND)

    async def tried(self, *names: str) -> list[CollectError]:
        """Rounds of which each may fail."""
        failed = []
        for name in names or ROUND:
            try:
                await self.run(name)
            except CollectError as error:
                failed.append(error)
        return failed

    def group(self, store: str, ns: str, kind: str, backup_id: str) -> Group:
        return next(
            group
            for group in self.picture.groups.values()
            if (group.store, group.namespace, group.type, group.backup_id) == (store, ns, kind, backup_id)
        )

    def of(self, key: dict[str, Any]) -> Group:
        return self.group(key["store"], key["ns"], key["type"], key["id"])

    def source(self, key: dict[str, Any]) -> CollectedSource:
        return self.sources[self.of(key).id]

    def repository(self, name: str) -> CollectedRepository:
        return next(each for each in self.repositories.values() if each.name == name)

    def _take(self, report: Report) -> None:
        if isinstance(report, SourcesTold):
            if report.whole:
                gone = self.whole.get(report.repository_id)
                assert gone is None or gone <= report.listed_at
                self.whole[report.repository_id] = report.listed_at
            self.sources.update((source.id, source) for source in report.sources)
        else:
            self.repositories[report.id] = report


def a_server(pbs: Simulator, **settings: Any) -> PbsServer:
    told: dict[str, Any] = {
        "name": "",
        "endpoint": pbs.url,
        "token_id": MONITOR,
        "token_secret": Secret(pbs.secret()),
        "fingerprint": pbs.pin,
    }
    return PbsServer(**(told | settings))


@asynccontextmanager
async def watching(pbs: Simulator, memory: Kept | None = None, **settings: Any) -> AsyncIterator[Watch]:
    """By the simulator's clock."""
    turned = Turned(pbs)
    collector = PbsCollector(a_server(pbs, **settings), memory or Kept(), clock=turned)
    await collector.begin()
    try:
        yield Watch(pbs, collector, turned)
    finally:
        await asyncio.wait_for(collector.end(), 10)


def readable(pbs: Simulator) -> Iterator[dict[str, Any]]:
    yield from (group for group in pbs.truth()["groups"] if group["readable"])
