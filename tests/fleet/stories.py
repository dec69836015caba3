"""Random stories of a fleet: facts as agents, people and the hub itself tell them, in an order that could happen.

Deterministic by seed. Half of what is told is nonsense on purpose (foreign hosts, unknown ids, resends): what cannot
be learned must leave the fleet as it was.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from lastgood.fleet.fleet import Fleet
from lastgood.fleet.learn import Unlearnable, learn
from lastgood.model import fact
from lastgood.model.alert import AlertKey, Severity
from lastgood.model.host import AgentInfo
from lastgood.model.job import Outcome, Run, RunKind, RunStart, Schedule
from lastgood.model.repository import HUB, Lock, Probe, SnapshotPoint, SnapshotSeries
from lastgood.model.source import DueMoment, Source
from tests.builders import a_host, a_repository, a_run, a_source, an_alert, an_id

SCHEDULES = (
    None,
    Schedule(cron="0 2 * * *"),
    Schedule(cron="0 * * * *"),
    Schedule(cron="30 2 * * *", zone="Europe/Berlin"),
    Schedule(cron="15 */6 * * MON-FRI", zone="America/New_York"),
)
TARGETS = (None, None, timedelta(hours=5), timedelta(hours=26))
GRACES = (None, None, timedelta(0), timedelta(minutes=40), timedelta(days=2))


class Story:
    """``turn`` moves the clock and answers the next fact; ``fleet`` has learned all that was learnable."""

    def __init__(self, seed: int, begin: datetime) -> None:
        self.rng = random.Random(seed)
        self.now = begin
        self.fleet = Fleet()
        self.hosts = [a_host(f"host-{number}", enrolled_at=begin) for number in range(3)]
        self.repositories = [
            a_repository("vault-0", added_at=begin),
            a_repository("vault-1", added_at=begin, watched_by=HUB),
        ]
        self.sources = [self._source(number) for number in range(5)]
        self.number = 0
        self.refused = 0

    def _source(self, number: int) -> Source:
        made = a_source(
            f"data-{number}",
            self.hosts[number % 3],
            self.repositories[number % 2],
            created_at=self.now,
            revised_at=self.now,
        )
        return replace(made, **self._timing())

    def _timing(self) -> dict[str, Any]:
        pick = self.rng.choice
        return {
            "schedule": pick(SCHEDULES),
            "target": pick(TARGETS),
            "grace": pick(GRACES),
            "accept_partial": pick([True, False]),
        }

    def opening(self) -> Iterator[fact.Fact]:
        for host in self.hosts:
            yield fact.HostEnrolled(at=self.now, origin="story", host=host)
        for repository in self.repositories:
            yield fact.RepositoryConfigured(at=self.now, origin="story", repository=repository)
        for source in self.sources:
            yield fact.SourceConfigured(at=self.now, origin="story", source=source)

    def begin(self) -> None:
        for told in self.opening():
            learn(self.fleet, told)

    def tell(self, told: fact.Fact) -> set[str] | None:
        """The sources it touched; None if it was refused."""
        try:
            return learn(self.fleet, told).sources
        except Unlearnable:
            self.refused += 1
            return None

    def later(self, most_minutes: int) -> None:
        self.now += timedelta(seconds=self.rng.randrange(most_minutes * 60))

    def fact(self) -> fact.Fact:
        """Anything that could be told now."""
        self.number += 1
        kinds = (
            (36, self.run_finished),
            (15, self.run_started),
            (15, self.moments_passed),
            (10, self.snapshots_listed),
            (8, self.watched_look),
            (3, self.found_changed),
            (8, self.source_changed),
            (8, self.alert),
            (8, self.looked),
            (3, self.host_changed),
            (1, self.host_removed),
        )
        weights, makers = zip(*kinds, strict=True)
        return self.rng.choices(makers, weights)[0]()

    def run_started(self) -> fact.Fact:
        source, host = self.rng.choice(self.sources), self.rng.choice(self.hosts)
        start = RunStart(
            id=self._run_id(),
            kind=self.rng.choice([RunKind.BACKUP, RunKind.BACKUP, RunKind.CHECK]),
            host_id=source.host_id if self.rng.random() < 0.8 else host.id,
            started_at=self.now,
            source_id=self.rng.choice([source.id, source.id, source.id, None, "nowhere"]),
        )
        return fact.RunStarted(at=self.now, origin="story", run=start)

    def run_finished(self) -> fact.Fact:
        return fact.RunFinished(at=self.now, origin="story", run=self.run())

    def run(self) -> Run:
        source = self.rng.choice(self.sources)
        ended_at = self.now - timedelta(minutes=self.rng.choice([0, 0, 1, 90, 2000]))
        started_at = ended_at - timedelta(minutes=self.rng.randrange(0, 100))
        outcome = self.rng.choice([Outcome.SUCCESS, Outcome.SUCCESS, *Outcome])
        due_at = started_at.replace(minute=0, second=0, microsecond=0)
        run = a_run(
            source,
            ended_at,
            outcome,
            id=self._run_id(),
            started_at=started_at,
            kind=self.rng.choice([RunKind.BACKUP, RunKind.BACKUP, RunKind.BACKUP, *RunKind]),
            due_at=self.rng.choice([None, due_at, due_at, self.now + timedelta(days=300)]),
            snapshot_id=self.rng.choice([None, self._snapshot_id(), self._snapshot_id()[:8], ""]),
            dry_run=self.rng.random() < 0.1,
            duration_seconds=self.rng.choice([0.5, 60.0, 7000.0, -1.0]),
        )
        if self.rng.random() < 0.1:
            run = replace(run, host_id=self.rng.choice(self.hosts).id)
        return run

    def _run_id(self) -> str:
        return an_id("story", self.rng.randrange(self.number + 2))

    def _snapshot_id(self) -> str:
        return f"{self.rng.randrange(40):08x}" * 8

    def moments_passed(self) -> fact.Fact:
        moments = []
        for source_id, evidence in self.fleet.evidence.items():
            if (
                evidence.ledger_at is not None
                and evidence.ledger_deadline_at is not None
                and evidence.ledger_deadline_at <= self.now
            ):
                moments.append(
                    DueMoment(
                        source_id=source_id,
                        due_at=evidence.ledger_at,
                        deadline_at=evidence.ledger_deadline_at,
                        looked=self.rng.random() < 0.5,
                    )
                )
        return fact.MomentsPassed(at=self.now, origin="hub", moments=tuple(moments))

    def snapshots_listed(self) -> fact.Fact:
        listed_at = self.now - timedelta(minutes=self.rng.choice([0, 0, 300]))
        series = []
        for source in self.sources:
            points = [
                SnapshotPoint(
                    id=self._snapshot_id(), started_at=listed_at - timedelta(minutes=self.rng.randrange(-60, 5000))
                )
                for _ in range(self.rng.randrange(4))
            ]
            points.sort(key=lambda point: point.started_at, reverse=True)
            series.append(
                SnapshotSeries(
                    hostname=source.restic_host,
                    tags=(source.tag,),
                    paths=source.paths,
                    count=len(points) + self.rng.choice([0, 0, 5]),
                    newest=tuple(points),
                )
            )
        return fact.SnapshotsListed(
            at=self.now,
            origin="story",
            repository_id=self.rng.choice(self.repositories).id,
            listed_at=listed_at,
            total=sum(one.count for one in series),
            series=tuple(series),
            truncated=self.rng.random() < 0.1,
        )

    def watched_look(self) -> fact.Fact:
        """What nobody of ours made: series that go on, stop, begin, are thinned out or gone."""
        listed_at = self.now - timedelta(minutes=self.rng.choice([0, 0, 0, 300]))
        every = (timedelta(minutes=20), timedelta(hours=3), timedelta(hours=12), timedelta(days=1), timedelta(days=3))
        series = []
        for number, gap in enumerate(every):
            if self.rng.random() < 0.15:
                continue
            last = listed_at - self.rng.choice([timedelta(0), gap / 2, gap, 2 * gap, 60 * gap])
            points = tuple(
                SnapshotPoint(id=f"{self.rng.randrange(2**64):064x}", started_at=last - n * gap)
                for n in range(self.rng.randrange(1, 9))
            )
            tags = ("lg:01ARZ3NDEKTSV4RRFFQ69G5FAV",) if number == 4 else ()
            series.append(
                SnapshotSeries(
                    hostname=f"cron-{number}", tags=tags, paths=("/data",), count=len(points), newest=points
                )
            )
        return fact.SnapshotsListed(
            at=self.now,
            origin="hub:lookout",
            repository_id=self.repositories[1].id,
            listed_at=listed_at,
            total=sum(one.count for one in series),
            series=tuple(series),
            truncated=self.rng.random() < 0.1,
        )

    def found_changed(self) -> fact.Fact:
        """A person puts a found source in order."""
        found = [source for source in self.fleet.sources.values() if source.is_found]
        if not found:
            return self.watched_look()
        source = self.rng.choice(found)
        which = self.rng.randrange(4)
        if which == 0:
            source = replace(source, revised_at=self.now, **self._timing())
        elif which == 1:
            until = self.now + timedelta(minutes=self.rng.randrange(3000))
            source = replace(source, paused_until=self.rng.choice([None, until]), paused_by="alice")
        elif which == 2:
            source = replace(source, archived_by=self.rng.choice([None, None, "alice"]))
        else:
            owner = self.rng.choice([*found, *self.sources])
            return fact.SourceAdopted(at=self.now, origin="story", source_id=source.id, into_id=owner.id)
        return fact.SourceConfigured(at=self.now, origin="story", source=source)

    def source_changed(self) -> fact.Fact:
        source = self.rng.choice(self.sources)
        source = self.fleet.sources.get(source.id, source)
        change = self.rng.randrange(5)
        if change == 0:
            source = replace(source, revised_at=self.now, **self._timing())
        elif change == 1:
            until = self.now + timedelta(minutes=self.rng.randrange(3000))
            source = replace(source, paused_until=self.rng.choice([None, until]), paused_by="alice")
        elif change == 2:
            source = replace(source, archived_by=self.rng.choice([None, None, "alice"]))
        elif change == 3:
            source = replace(source, repository_id=self.rng.choice([*(r.id for r in self.repositories), "nowhere"]))
        else:
            source = replace(source, host_id=self.rng.choice(self.hosts).id)
        return fact.SourceConfigured(at=self.now, origin="story", source=source)

    def alert(self) -> fact.Fact:
        source = self.rng.choice(self.sources)
        alert = an_alert(self.rng.choice(["backup_failed", "backup_missed"]), self.rng.choice(list(Severity)), source)
        if self.rng.random() < 0.3:
            host_id = self.rng.choice([*(h.id for h in self.hosts), "nowhere"])
            alert = replace(alert, host_id=host_id, key=AlertKey("host_offline", "host", host_id))
        if self.rng.random() < 0.4:
            alert_id = self.rng.choice([alert.id, alert.id, "another"])
            return fact.AlertResolved(at=self.now, origin="hub", alert_id=alert_id, key=alert.key, reason="over")
        return fact.AlertOpened(at=self.now, origin="hub", alert=alert)

    def looked(self) -> fact.Fact:
        repository_id = self.rng.choice([*(r.id for r in self.repositories), "nowhere"])
        seen_at = self.now - timedelta(minutes=self.rng.choice([0, 0, 200]))
        which = self.rng.randrange(3)
        if which == 0:
            return fact.RepositoryProbed(
                at=self.now,
                origin="story",
                repository_id=repository_id,
                probe=self.rng.choice(list(Probe)),
                probed_at=seen_at,
                identity=self.rng.choice([None, "a" * 64, "b" * 64]),
            )
        if which == 1:
            return fact.RepositorySized(
                at=self.now, origin="story", repository_id=repository_id, sized_at=seen_at, size_bytes=self.number
            )
        lock = Lock(id="c" * 64, created_at=seen_at, exclusive=True, hostname="web-1", pid=7)
        return fact.LocksListed(
            at=self.now, origin="story", repository_id=repository_id, listed_at=seen_at, locks=(lock,)
        )

    def host_changed(self) -> fact.Fact:
        host = self.rng.choice(self.hosts)
        which = self.rng.randrange(3)
        if which == 0:
            name = self.rng.choice(["HOST-0", "host-1", "web", "Web", "db"])
            return fact.HostRenamed(at=self.now, origin="story", host_id=host.id, name=name)
        if which == 1:
            return fact.HostEnrolled(at=self.now, origin="story", host=replace(host, key=f"key-{self.number}"))
        info = AgentInfo(agent_version="1", restic_version="0.14.0", os="linux", arch="amd64", protocol=1)
        return fact.AgentReported(at=self.now, origin="story", host_id=host.id, info=info)

    def host_removed(self) -> fact.Fact:
        return fact.HostRemoved(at=self.now, origin="story", host_id=self.rng.choice(self.hosts).id)
