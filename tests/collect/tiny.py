"""A collector for tests: one probe that tells what it is given, once for every wish."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from lastgood.collect.collector import Probe
from lastgood.errors import CollectError
from lastgood.model.collected import Attempt, CollectedRepository, CollectedSource, Report, SourcesTold
from lastgood.model.job import Outcome
from lastgood.model.repository import Probe as Answer

STORE = "store"


@dataclass(frozen=True)
class Picture:
    missing: tuple[str, ...] | None = None
    truncated: int = 0
    pending_groups: int = 0
    message: str | None = None
    up: bool = True


def a_group(source_id: str, ended_at: datetime, **changes: object) -> CollectedSource:
    """A source that is to be backed up every 26 hours, and was."""
    good = Attempt(
        id=f"{source_id}/{ended_at:%dT%H%M}",
        outcome=Outcome.SUCCESS,
        started_at=ended_at - timedelta(minutes=10),
        ended_at=ended_at,
        snapshot_id=f"{source_id}/{ended_at:%dT%H%M}",
        size_bytes=2**30,
    )
    made = CollectedSource(
        id=source_id, name=source_id, host="pbs-1", newest=good, good=good, snapshots=3, target=timedelta(hours=26)
    )
    return replace(made, **changes)  # type: ignore[arg-type]


@dataclass
class Tiny:
    """``sources`` are told as all that the store holds, unless not ``whole``; ``fault`` ends the round instead."""

    clock: Callable[[], datetime]
    name: str = "pbs/box"
    sources: list[CollectedSource] = field(default_factory=list)
    whole: bool = True
    fault: CollectError | None = None
    picture: Picture | None = None
    interval: timedelta = timedelta(seconds=60)
    used_bytes: int | None = 40
    ended: int = 0

    def __post_init__(self) -> None:
        probe = Probe(name="look", interval=self.interval, deadline=timedelta(seconds=60), collect=self.collect)
        self.probes: Sequence[Probe] = (probe,)
        self._heard: list[Callable[[], None]] = []

    async def collect(self) -> AsyncIterator[Report]:
        if self.fault is not None:
            raise self.fault
        now = self.clock()
        yield CollectedRepository(
            id=STORE,
            name="box/main",
            url="pbs://pbs-1:8007/main",
            tool="pbs",
            observed_at=now,
            probe=Answer.READY,
            used_bytes=self.used_bytes,
            available_bytes=60,
            total_bytes=100,
        )
        yield SourcesTold(repository_id=STORE, listed_at=now, sources=tuple(self.sources), whole=self.whole)

    def hear(self, heard: Callable[[], None]) -> None:
        self._heard.append(heard)

    def show(self, picture: Picture) -> None:
        self.picture = picture
        for heard in self._heard:
            heard()

    async def begin(self) -> None:
        """There is nothing to read."""

    async def end(self) -> None:
        self.ended += 1
