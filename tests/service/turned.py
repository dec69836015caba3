"""A hub's heart without a disk: a fleet, the watch, and a clock that the test turns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lastgood.alerts.rules import RULES, Rule
from lastgood.errors import StoreError
from lastgood.fleet import presence
from lastgood.fleet.fleet import START_GRACE, Fleet
from lastgood.fleet.learn import learn
from lastgood.model.fact import (
    AlertOpened,
    AlertResolved,
    Fact,
    HostEnrolled,
    RepositoryConfigured,
    RunFinished,
    SourceConfigured,
)
from lastgood.model.job import Run
from lastgood.model.source import Source
from lastgood.service.watch import Watch
from tests.builders import a_host, a_repository, a_source


@dataclass
class Heart:
    """``take`` learns at once what a real hub would commit first; ``broken`` makes it refuse like a full disk."""

    now: datetime
    fleet: Fleet = field(default_factory=Fleet)
    told: list[Fact] = field(default_factory=list)
    broken: bool = False
    ruled_by: Sequence[Rule] = RULES
    steady: Callable[[], float] | None = None

    def __post_init__(self) -> None:
        self.watch = Watch(self.fleet, self.take, lambda: self.now, ruled_by=self.ruled_by, steady=self.steady)

    async def take(self, facts: Sequence[Fact]) -> None:
        if self.broken:
            raise StoreError("The disk is full.")
        for fact in facts:
            self.told.append(fact)
            self.watch.changed(learn(self.fleet, fact))

    async def turn(self, to: datetime | timedelta) -> None:
        """Move the clock and let the watch have its round."""
        self.now = self.now + to if isinstance(to, timedelta) else to
        await self.watch.tick()

    async def protect(self, **changes: object) -> Source:
        """One host, one repository, one source with a nightly schedule."""
        host, repository = a_host(enrolled_at=self.now), a_repository()
        source = a_source(created_at=self.now, revised_at=self.now, **changes)
        await self.take(
            [
                HostEnrolled(at=self.now, origin="test", host=host),
                RepositoryConfigured(at=self.now, origin="test", repository=repository),
                SourceConfigured(at=self.now, origin="test", source=source),
            ]
        )
        return source

    async def finish(self, run: Run) -> None:
        await self.take([RunFinished(at=self.now, origin="test", run=run)])

    def connect(self, host_id: str) -> None:
        presence.connected(self.fleet.judging, host_id, self.now)
        presence.synced(self.fleet.judging, host_id, self.now, True)
        self.watch.presence_changed(host_id)

    def heartbeat(self, host_id: str, clock_offset_seconds: float | None = None) -> None:
        """As a session does: the agent names its time, and owes nothing."""
        changed = presence.heard(self.fleet.judging, host_id, self.now, clock_offset_seconds=clock_offset_seconds)
        if presence.synced(self.fleet.judging, host_id, self.now, True) or changed:
            self.watch.presence_changed(host_id)

    def disconnect(self, host_id: str) -> None:
        presence.disconnected(self.fleet.judging, host_id)
        self.watch.presence_changed(host_id)

    def restart(self) -> None:
        """As after a start of the hub: nobody is connected, and for a while silence is no evidence."""
        for host_id in self.fleet.hosts:
            held = self.fleet.presence_of(host_id)
            presence.remembered(
                self.fleet.judging,
                host_id,
                seen_at=held.seen_at,
                observed_at=held.observed_at,
                stopped_at=self.now,
                at=self.now,
            )
        self.fleet.judging.blind_until = self.now + START_GRACE
        self.watch = Watch(self.fleet, self.take, lambda: self.now, ruled_by=self.ruled_by)

    def opened(self) -> list[str]:
        return [fact.alert.key.rule for fact in self.told if isinstance(fact, AlertOpened)]

    def resolved(self) -> list[str]:
        return [fact.key.rule for fact in self.told if isinstance(fact, AlertResolved)]

    def open_rules(self) -> list[str]:
        return sorted(key.rule for key in self.fleet.alerts)
