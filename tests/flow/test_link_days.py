"""A thousand agents cut off for a day and a week, and a hub that is away for 26 hours, on a clock that is turned.

Real service, real store, real sessions; the agents are simulated and keep what they have to say, as their spools do.
Each night some hosts really miss their backup: just those may be called missed, within 15 minutes of our being back.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from lastgood.agent.handshake import to_text
from lastgood.auth.identity import mint_key_pair
from lastgood.config.settings import ServerSettings, Settings
from lastgood.fleet.fleet import START_GRACE
from lastgood.model.fact import HostEnrolled, RepositoryConfigured, SourceConfigured
from lastgood.model.job import Run, RunStart, Schedule
from lastgood.model.source import State
from lastgood.service.service import Service
from lastgood.store import schema
from lastgood.wire.frames import Ack, Assignment, Finished, Report, Started, Welcome
from tests.builders import a_host, a_repository, a_run, a_run_start, a_source, an_id
from tests.hub.pipe import piped
from tests.hub.rig import INFO

NOON = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)
NIGHTLY = Schedule(cron="0 2 * * *")
DAY = timedelta(days=1)
AT_ONCE = 200


class Turned:
    """A clock that stands still until it is turned."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


class Far:
    """An agent: what it has to say is kept until it was acknowledged."""

    def __init__(self, number: int, clock: Turned) -> None:
        self._clock = clock
        self.keys = mint_key_pair(hashlib.sha256(f"far {number}".encode()).digest())
        key = to_text(self.keys.public_key)
        self.host = a_host(f"far-{number:04}", key=key, enrolled_at=clock.now, info=INFO)
        self.repository = a_repository(f"vault-{number:04}")
        self.source = a_source(
            "home", self.host, self.repository, schedule=NIGHTLY, created_at=clock.now, revised_at=clock.now
        )
        self.spool: list[Report] = []
        self.told: list[str] = []
        self._sequence = 0
        self._stack: AsyncExitStack | None = None

    def back_up(self, due_at: datetime) -> None:
        """A good run, begun when it was due; on disk at the agent, wherever the hub is."""
        run = a_run(self.source, due_at + timedelta(minutes=5), id=an_id(self.host.name, due_at), due_at=due_at)
        start = a_run_start(self.source, due_at, id=run.id, due_at=due_at)
        self._add(start)
        self._add(run)
        self.told.append(run.id)

    def _add(self, run: Run | RunStart) -> None:
        self._sequence += 1
        said = Finished(run=run) if isinstance(run, Run) else Started(run=run)
        self.spool.append(Report(sequence=self._sequence, said=said))

    async def come(self, service: Service) -> None:
        """Connect, and tell all that the hub does not have."""
        self._stack = AsyncExitStack()
        self._caller = caller = await self._stack.enter_async_context(piped(service.serve_agent))
        await caller.hello(
            keys=self.keys,
            host_id=self.host.id,
            spool_id=an_id("spool", self.host.name),
            last_sequence=self._sequence,
            sent_at=self._clock.now,
        )
        welcome = await caller.next(Welcome, seconds=60)
        await caller.next(Assignment)
        self.spool = [report for report in self.spool if report.sequence > welcome.acknowledged]
        await self.tell()

    async def tell(self) -> None:
        await self._caller.send(*self.spool)
        while self.spool:
            done = (await self._caller.next(Ack, seconds=60)).sequence
            self.spool = [report for report in self.spool if report.sequence > done]

    async def go(self) -> None:
        if self._stack is not None:
            await self._stack.aclose()
            self._stack = None


@dataclass
class World:
    """The hub, when it is there, and its agents."""

    folder: Path
    clock: Turned
    agents: list[Far]
    service: Service | None = None
    missed: set[str] = field(default_factory=set)
    """The sources that really missed a night and may be called so."""

    @property
    def hub(self) -> Service:
        assert self.service is not None
        return self.service

    async def open(self) -> None:
        self.service = await Service.open(Settings(server=ServerSettings(data_dir=self.folder)), self.clock)
        await self.service.ingest.start()

    async def close(self) -> None:
        await each(self.agents, Far.go)
        await self.hub.stop()
        self.service = None

    async def turn(self, to: datetime) -> None:
        """Turn the clock and let the watch have its rounds until it has nothing left to tell."""
        self.clock.now = to
        if self.service is not None:
            for _ in range(3):
                await self.service.watch.tick()

    async def night(self, due_at: datetime, missing: Collection[Far], here: Iterable[Far]) -> None:
        """Everybody backs up but those who miss it; who is here tells it. Then the deadline passes."""
        await self.turn(due_at + timedelta(minutes=10))
        for agent in self.agents:
            if agent not in missing:
                agent.back_up(due_at)
                self.missed.discard(agent.source.id)
            else:
                self.missed.add(agent.source.id)
        await each(here, Far.tell)
        await self.turn(due_at + timedelta(hours=6, seconds=1))

    async def called(self, rule: str) -> Counter[str]:
        """How often an alert of this rule was ever opened, by source."""
        query = select(schema.alerts.c.entity_id).where(schema.alerts.c.rule == rule)
        rows = await self.hub.database.read(lambda connection: connection.execute(query).fetchall())
        return Counter(entity_id for (entity_id,) in rows)

    def states(self, agents: Iterable[Far]) -> Counter[State]:
        return Counter(self.hub.fleet.states[agent.source.id] for agent in agents)


async def each(agents: Iterable[Far], act: object, *arguments: object) -> None:
    waiting = list(agents)
    for start in range(0, len(waiting), AT_ONCE):
        await asyncio.gather(*(act(agent, *arguments) for agent in waiting[start : start + AT_ONCE]))  # type: ignore[operator]


async def begin(folder: Path, count: int) -> World:
    clock = Turned(NOON)
    world = World(folder, clock, [Far(number, clock) for number in range(count)])
    await world.open()
    by = {"at": NOON, "origin": "test"}
    for agent in world.agents:
        agent.back_up(NOON - timedelta(hours=1))
    await world.hub.take([HostEnrolled(**by, host=agent.host) for agent in world.agents])
    await world.hub.take([RepositoryConfigured(**by, repository=agent.repository) for agent in world.agents])
    await world.hub.take([SourceConfigured(**by, source=agent.source) for agent in world.agents])
    await each(world.agents, Far.come, world.hub)
    return world


def every_tenth(agents: Sequence[Far]) -> list[Far]:
    return list(agents[::10])


@pytest.mark.parametrize("count", [100, pytest.param(1_000, marks=pytest.mark.slow)])
async def test_a_day_and_a_week_without_the_link_and_26_hours_without_the_hub(tmp_path: Path, count: int) -> None:
    world = await begin(tmp_path, count)
    agents = world.agents
    tenth = count // 10
    a_day, a_week, here = agents[: 3 * tenth], agents[3 * tenth : 4 * tenth], agents[4 * tenth :]
    first_due = NOON.replace(hour=2) + DAY
    await each([*a_day, *a_week], Far.go)

    # One night: who is here is told of at once, nothing is claimed of who is cut off.
    missing = [*every_tenth(a_day), *every_tenth(here)]
    await world.night(first_due, missing, here)
    assert set(await world.called("backup_missed")) == {agent.source.id for agent in every_tenth(here)}
    assert world.states([*a_day, *a_week]) == {State.UNKNOWN: 4 * tenth}

    # A day later they are back.
    await world.turn(NOON + DAY)
    await each(a_day, Far.come, world.hub)
    await world.turn(NOON + DAY + timedelta(seconds=5))
    assert set(await world.called("backup_missed")) == {agent.source.id for agent in missing}
    assert world.states(a_day) == {State.GOOD: 27 * tenth // 10, State.MISSED: 3 * tenth // 10}

    # The rest of the week; the last night is missed by some of those who are still away.
    for number in range(1, 7):
        late = every_tenth(a_week) if number == 6 else []
        await world.night(first_due + number * DAY, late, [*a_day, *here])
    expected = {agent.source.id for agent in missing}
    assert set(await world.called("backup_missed")) == expected
    await world.turn(NOON + 7 * DAY)
    await each(a_week, Far.come, world.hub)
    await world.turn(NOON + 7 * DAY + timedelta(seconds=5))
    expected |= {agent.source.id for agent in every_tenth(a_week)}
    assert set(await world.called("backup_missed")) == expected
    assert world.states(a_week) == {State.GOOD: 9 * tenth // 10, State.MISSED: tenth // 10}

    # The hub goes away for 26 hours, a night and its deadline among them.
    gone = agents[5::10]
    await world.close()
    await world.night(first_due + 7 * DAY, gone, ())
    back_at = NOON + 8 * DAY + timedelta(hours=2)
    world.clock.now = back_at
    await world.open()
    await world.turn(back_at + timedelta(seconds=1))
    assert set(await world.called("backup_missed")) == expected, "before anybody was heard"
    for minute, start in enumerate(range(0, count, count // 4), 1):
        await each(agents[start : start + count // 4], Far.come, world.hub)
        await world.turn(back_at + timedelta(minutes=minute))
    await world.turn(back_at + START_GRACE)
    called = await world.called("backup_missed")
    assert set(called) == expected | {agent.source.id for agent in gone}
    assert world.states(agents) == {State.GOOD: count - len(gone), State.MISSED: len(gone)}
    assert set(called.values()) == {1}, "nobody missed more than one night"

    # Exactly once, and in the order in which it happened.
    query = select(schema.runs.c.host_id, schema.runs.c.id).order_by(schema.runs.c.seq)
    kept: dict[str, list[str]] = {}
    for host_id, run_id in await world.hub.database.read(lambda rows: rows.execute(query).fetchall()):
        kept.setdefault(host_id, []).append(run_id)
    assert kept == {agent.host.id: agent.told for agent in agents}
    evidence = world.hub.fleet.evidence_of(gone[0].source.id)
    assert (evidence.expected_runs, evidence.good_runs) == (8, 7)
    await world.close()
