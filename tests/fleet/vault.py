"""A watched repository for tests: snapshots that somebody's cron makes, and looks at them as the clock is turned."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from lastgood.fleet.changes import Changes
from lastgood.fleet.fleet import Fleet
from lastgood.fleet.judge import source_state, verdict
from lastgood.fleet.learn import learn
from lastgood.model import fact
from lastgood.model.repository import HUB, Doubt, DoubtKind
from lastgood.model.source import Evidence, Source, State
from lastgood.tools.restic import survey
from lastgood.tools.restic.documents import Snapshot
from lastgood.wire.translate import translate
from tests.builders import a_repository
from tests.fleet.scene import MADE

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def a_snapshot(started_at: datetime, hostname: str = "nas", *paths: str, **changes: Any) -> Snapshot:
    """A snapshot of plain restic; its id follows from when and what it is."""
    paths = paths or ("/data",)
    name = hashlib.sha256(repr((started_at, hostname, paths, changes.get("tags"))).encode()).hexdigest()
    made = Snapshot(
        id=name,
        short_id=name[:8],
        started_at=started_at,
        ended_at=None,
        hostname=hostname,
        username="root",
        tags=(),
        paths=paths,
        tree=name,
        original=None,
        size_bytes=None,
        files=None,
        added_bytes=None,
        stored_bytes=None,
        program_version=None,
    )
    return replace(made, **changes)


@dataclass
class Vault:
    """``listed`` is what the repository holds; ``look`` tells it as the hub's own look does."""

    fleet: Fleet = field(default_factory=Fleet)
    listed: list[Snapshot] = field(default_factory=list)
    watched_by: str | None = HUB

    def __post_init__(self) -> None:
        self.repository = a_repository("vault", watched_by=self.watched_by)
        self.tell(fact.RepositoryConfigured(at=MADE, origin="test", repository=self.repository))

    def tell(self, told: fact.Fact) -> Changes:
        return learn(self.fleet, told)

    def nightly(self, first: datetime, nights: int, hostname: str = "nas", *paths: str, **changes: Any) -> None:
        """A snapshot each night at the same moment."""
        self.listed += [a_snapshot(first + night * DAY, hostname, *paths, **changes) for night in range(nights)]

    def look(self, at: datetime, **changes: Any) -> Changes:
        said = survey.snapshots(self.repository.id, self.listed, at, watched=True)
        told = translate(said, "", at)
        assert isinstance(told, fact.SnapshotsListed)
        return self.tell(replace(told, **{"origin": "hub:lookout", **changes}))

    @property
    def found(self) -> list[Source]:
        ids = self.fleet.sources_of_repository.get(self.repository.id, ())
        return sorted(
            (s for i in ids if (s := self.fleet.sources[i]).is_found), key=lambda s: (s.restic_host, s.name)
        )

    @property
    def one(self) -> Source:
        (source,) = self.found
        return source

    def called(self, name: str) -> Source:
        (source,) = [one for one in self.found if one.name == name]
        return source

    def evidence(self, source: Source | None = None) -> Evidence:
        return self.fleet.evidence_of((source or self.one).id)

    def state(self, now: datetime, source: Source | None = None) -> State:
        return source_state(self.fleet, source or self.one, now)[0]

    def reason(self, now: datetime, source: Source | None = None) -> str:
        return verdict(self.fleet, (source or self.one).id, now).reason

    @property
    def doubts(self) -> list[Doubt]:
        return list(self.fleet.repository_evidence_of(self.repository.id).doubts)

    @property
    def kinds(self) -> list[DoubtKind]:
        return [doubt.kind for doubt in self.doubts]
