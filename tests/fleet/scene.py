"""A small fleet made of facts alone, with a schedule in UTC whose moments are easy to say.

One host ``web-1``, one repository, one source backed up daily at 02:00 with the default grace of six hours, made at
``MADE``; presence and further facts are what a test adds. ``day(3, 2)`` is the third day of the scene, two o'clock.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from lastgood.fleet.fleet import Fleet
from lastgood.fleet.judge import source_state
from lastgood.fleet.learn import Changes, learn
from lastgood.model import fact
from lastgood.model.host import Host, Presence
from lastgood.model.job import Outcome, Schedule
from lastgood.model.repository import Repository, SnapshotPoint, SnapshotSeries
from lastgood.model.source import Evidence, Source, State
from tests.builders import a_host, a_repository, a_run, a_source

MADE = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAILY = Schedule(cron="0 2 * * *")
HOURLY = Schedule(cron="0 * * * *")


def day(number: int, hour: float = 0) -> datetime:
    """The moment ``hour`` hours into that day; the source is made at noon of day 1, its first moment is on day 2."""
    return datetime(2026, 3, number, tzinfo=UTC) + timedelta(hours=hour)


class Scene:
    """Facts go in by short words; ``at`` is the moment at which the hub hears."""

    def __init__(self, **changes: Any) -> None:
        self.fleet = Fleet()
        self.host: Host = a_host(enrolled_at=MADE)
        self.repository: Repository = a_repository(added_at=MADE)
        made = {"created_at": MADE, "revised_at": MADE, "schedule": DAILY}
        source = a_source("home", self.host, self.repository, **{**made, **changes})
        self.source_id = source.id
        self.tell(fact.HostEnrolled(at=MADE, origin="test", host=self.host))
        self.tell(fact.RepositoryConfigured(at=MADE, origin="test", repository=self.repository))
        self.tell(fact.SourceConfigured(at=MADE, origin="test", source=source))

    @property
    def source(self) -> Source:
        return self.fleet.sources[self.source_id]

    @property
    def evidence(self) -> Evidence:
        return self.fleet.evidence_of(self.source_id)

    def tell(self, told: fact.Fact) -> Changes:
        return learn(self.fleet, told)

    def change(self, at: datetime, **changes: Any) -> Changes:
        """Configure the source anew, as the API does."""
        if {"schedule", "target", "grace"} & changes.keys():
            changes = {"revised_at": at, **changes}
        return self.tell(fact.SourceConfigured(at=at, origin="test", source=replace(self.source, **changes)))

    def run(
        self,
        ended_at: datetime,
        outcome: Outcome = Outcome.SUCCESS,
        *,
        told_at: datetime | None = None,
        **changes: Any,
    ) -> Changes:
        """A run that ended; a person's wish unless ``due_at`` says otherwise."""
        snapshot_id = self.snapshot_id(ended_at) if outcome in {Outcome.SUCCESS, Outcome.PARTIAL} else None
        made = {"snapshot_id": snapshot_id, "due_at": None, **changes}
        run = a_run(self.source, ended_at, outcome, **made)
        return self.tell(fact.RunFinished(at=told_at or ended_at, origin="test", run=run))

    def on_schedule(self, due_at: datetime, outcome: Outcome = Outcome.SUCCESS, **changes: Any) -> Changes:
        """A run of ten minutes that the schedule started at ``due_at``."""
        ended_at = due_at + timedelta(minutes=10)
        return self.run(ended_at, outcome, **{"started_at": due_at, "due_at": due_at, **changes})

    def snapshot_id(self, ended_at: datetime) -> str:
        return hashlib.sha256(str(ended_at).encode()).hexdigest()

    def point(self, ended_at: datetime, /, **changes: Any) -> SnapshotPoint:
        """The snapshot of the run that ended then."""
        started_at = ended_at - timedelta(minutes=10)
        return replace(
            SnapshotPoint(id=self.snapshot_id(ended_at), started_at=started_at, ended_at=ended_at), **changes
        )

    def series(
        self, *points: SnapshotPoint, count: int | None = None, paths: tuple[str, ...] = ("/home",)
    ) -> SnapshotSeries:
        newest_first = tuple(sorted(points, key=lambda point: point.started_at, reverse=True))
        count = len(points) if count is None else count
        return SnapshotSeries(
            hostname="web-1", tags=(self.source.tag, "home"), paths=paths, count=count, newest=newest_first
        )

    def survey(
        self, at: datetime, *series: SnapshotSeries, truncated: bool = False, told_at: datetime | None = None
    ) -> Changes:
        return self.tell(
            fact.SnapshotsListed(
                at=told_at or at,
                origin="test",
                repository_id=self.repository.id,
                listed_at=at,
                total=sum(one.count for one in series),
                series=series,
                truncated=truncated,
            )
        )

    def observe(self) -> None:
        """The agent is connected and in step."""
        self.fleet.judging.presence[self.host.id] = Presence(connected=True, synced=True)

    def fall_silent(self, observed_at: datetime | None) -> None:
        self.fleet.judging.presence[self.host.id] = Presence(seen_at=observed_at, observed_at=observed_at)

    def state(self, now: datetime) -> State:
        return self.judged(now)[0]

    def judged(self, now: datetime) -> tuple[State, datetime | None]:
        return source_state(self.fleet, self.source, now)
