"""The collector of one Proxmox Backup Server: four probes, each with its own interval, and one picture.

Comes in: a server's settings, a memory, a clock. Goes out: reports, and ``PbsPicture``. The one rule: after a refused
token nothing at all is asked for a while, by any probe.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from datetime import timedelta

from lastgood import clock as clocks
from lastgood.clock import Clock
from lastgood.collect.collector import Memory, Probe
from lastgood.collect.pbs.fast import Fast
from lastgood.collect.pbs.medium import Medium
from lastgood.collect.pbs.rare import Rare
from lastgood.collect.pbs.slow import Slow
from lastgood.collect.pbs.watched import Watched
from lastgood.config.servers import PbsServer
from lastgood.errors import CollectError, Refused
from lastgood.model.collected import Report
from lastgood.model.pbs import PbsPicture
from lastgood.tools.pbs.refusals import UNAUTHORISED

Round = Callable[[], AsyncIterator[Report]]


class PbsCollector:
    """Raises ConfigError for settings that cannot be those of a server."""

    def __init__(self, server: PbsServer, memory: Memory, clock: Clock = clocks.now) -> None:
        self._watched = Watched(server, memory, clock)
        self._probes = (
            self._probe("fast", Fast(self._watched).round, seconds=30, deadline=timedelta(minutes=5)),
            self._probe("medium", Medium(self._watched).round, seconds=120, deadline=timedelta(minutes=15)),
            self._probe("slow", Slow(self._watched).round, seconds=60, deadline=timedelta(minutes=30)),
            self._probe("rare", Rare(self._watched).round, seconds=3600, deadline=timedelta(minutes=10)),
        )
        self._watched.wants.update({probe.name: probe.wanted for probe in self._probes})

    @property
    def name(self) -> str:
        return self._watched.name

    @property
    def probes(self) -> Sequence[Probe]:
        return self._probes

    @property
    def picture(self) -> PbsPicture | None:
        return self._watched.picture

    def hear(self, heard: Callable[[], None]) -> None:
        self._watched.hear(heard)

    async def begin(self) -> None:
        await self._watched.begin()

    async def end(self) -> None:
        try:
            await self._watched.save()
        finally:
            await self._watched.api.close()

    def _probe(self, name: str, round_of: Round, *, seconds: float, deadline: timedelta) -> Probe:
        async def collect() -> AsyncIterator[Report]:
            watched, began = self._watched, time.monotonic()
            error: CollectError | None = CollectError("It was broken off before its end.")
            try:
                watched.admit()
                async with aclosing(round_of()) as reports:  # type: ignore[type-var]
                    async for report in reports:
                        yield report
                error = None
            except CollectError as caught:
                error = caught
                if caught.cause != UNAUTHORISED:
                    raise
                watched.refused(caught)
                raise Refused(str(caught), cause=UNAUTHORISED) from caught  # we know ourselves when to ask again
            finally:
                watched.noted(name, time.monotonic() - began, error)

        return Probe(name=name, interval=timedelta(seconds=seconds), deadline=deadline, collect=collect)
