"""Clocks that jump by hours, ours or an agent's: nothing is called missed that was not, and the skew is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from lastgood.fleet import presence
from lastgood.fleet.judge import observed_at
from lastgood.fleet.presence import OFFLINE_AFTER
from lastgood.model.job import Schedule
from lastgood.model.source import Source, State
from lastgood.web.reader import source_reading
from lastgood.web.render import since
from tests.builders import a_host, a_run
from tests.service.turned import Heart

HOUR = timedelta(hours=1)
EVENING = datetime(2026, 3, 3, 20, 0, tzinfo=UTC)
NIGHT = datetime(2026, 3, 4, 2, 0, tzinfo=UTC)
HOST = a_host().id
WRONG = ("backup_missed", "backup_never", "backup_failed")


@dataclass
class World:
    """The real time, and how far the hub's clock and the agent's are ahead of it.

    The agent lives: every half minute a heartbeat, and by its own clock a backup at two, five minutes long.
    """

    heart: Heart
    source: Source
    at: datetime = EVENING
    hub: timedelta = timedelta(0)
    agent: timedelta = timedelta(0)
    runs: int = 0
    states: set[State] = field(default_factory=set)
    fired_at: datetime = EVENING
    asleep: timedelta = timedelta(0)

    async def live(self, length: timedelta, *, runs: bool = True) -> None:
        end = self.at + length
        while self.at < end:
            self.at += timedelta(seconds=30)
            self.heart.now = self.at + self.hub
            await self.heart.watch.tick()
            self.note()
            self.heart.heartbeat(HOST, (self.agent - self.hub).total_seconds())
            self.note()
            if runs:
                await self._run_what_is_due()

    async def _run_what_is_due(self) -> None:
        """As the agent's timetable: once for the latest moment that passed."""
        local = self.at + self.agent
        due_at = local.replace(hour=2, minute=0, second=0, microsecond=0)
        due_at -= timedelta(days=0 if due_at <= local else 1)
        if due_at <= self.fired_at or local < due_at + timedelta(minutes=5):
            return
        self.fired_at = due_at
        self.runs += 1
        hub_now = self.at + self.hub
        ended_at = min(local, hub_now)  # as reports are translated
        run = a_run(
            self.source,
            ended_at,
            id=f"run-{self.runs}",
            started_at=ended_at - timedelta(minutes=5),
            due_at=due_at,
            snapshot_id=f"{self.runs:08}",
            clock_ahead_seconds=max((self.agent - self.hub).total_seconds(), 0.0),
        )
        await self.heart.finish(run)
        self.note()

    def note(self) -> None:
        self.states.add(self.heart.fleet.states[self.source.id])

    @property
    def state(self) -> State:
        return self.heart.fleet.states[self.source.id]

    def accused(self) -> list[str]:
        return [rule for rule in self.heart.opened() if rule in WRONG]


class Steady:
    """The clock of the hub's machine that nobody sets; it stands still while the machine sleeps."""

    of: World | None = None

    def __call__(self) -> float:
        return 0.0 if self.of is None else (self.of.at - self.of.asleep).timestamp()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    began = EVENING - timedelta(days=1)
    steady = Steady()
    heart = Heart(began, steady=steady)
    source = await heart.protect(schedule=Schedule(cron="0 2 * * *"), grace=timedelta(minutes=30))
    heart.now = EVENING - 17 * HOUR
    await heart.finish(a_run(source, NIGHT - 24 * HOUR + timedelta(minutes=5), due_at=NIGHT - 24 * HOUR))
    heart.now = EVENING
    heart.connect(HOST)
    made = World(heart, source)
    steady.of = made
    await made.live(timedelta(minutes=2))
    assert made.state is State.GOOD
    yield made


@pytest.mark.parametrize("hours", [3, 9, 30, -3, -9, -30])
async def test_the_hubs_clock_jumps_and_is_set_right_again(world: World, hours: int) -> None:
    world.hub = hours * HOUR
    await world.live(timedelta(minutes=40))
    assert "host_clock_skew" in world.heart.open_rules()
    world.hub = timedelta(0)
    await world.live(timedelta(minutes=5))
    assert world.heart.open_rules() == []
    assert world.state is State.GOOD
    await world.live(8 * HOUR)
    assert world.runs == 1
    assert world.state is State.GOOD
    assert world.accused() == []
    assert not world.states & {State.MISSED, State.NEVER, State.FAILED}


@pytest.mark.parametrize("hours", [3, 9, -3, -9])
async def test_an_agents_clock_jumps_and_stays_wrong_for_a_day(world: World, hours: int) -> None:
    world.agent = hours * HOUR
    await world.live(26 * HOUR)
    assert world.runs >= 1
    assert world.accused() == []
    assert not world.states & {State.MISSED, State.NEVER, State.FAILED}
    assert "host_clock_skew" in world.heart.open_rules()


@pytest.mark.parametrize("hours", [3, 9, -3])
async def test_an_agents_clock_that_was_wrong_for_a_night_is_set_right(world: World, hours: int) -> None:
    world.agent = hours * HOUR
    await world.live(14 * HOUR)
    world.agent = timedelta(0)
    await world.live(40 * HOUR)
    assert world.runs >= 2
    assert world.accused() == []
    assert not world.states & {State.MISSED, State.NEVER, State.FAILED}
    assert world.heart.open_rules() == []


async def test_a_backup_that_really_does_not_come_is_told_though_the_agents_clock_is_behind(world: World) -> None:
    world.agent = -3 * HOUR
    await world.live(NIGHT + 3 * HOUR - world.at, runs=False)
    assert world.accused() == [], "by the agent's clock it is two o'clock now"
    assert world.state is State.UNKNOWN
    await world.live(timedelta(minutes=32), runs=False)
    assert world.accused() == ["backup_missed"]


async def test_a_machine_that_slept_hears_its_agents_before_it_accuses_them(world: World) -> None:
    """The steady clock stands still in sleep; the agent ran meanwhile, and tells it when it is heard."""
    asleep = 9 * HOUR
    world.asleep = asleep
    world.at += asleep
    world.heart.now = world.at
    await world.heart.watch.tick()
    world.note()
    assert world.state is State.UNKNOWN
    await world._run_what_is_due()
    await world.live(timedelta(minutes=20))
    assert world.state is State.GOOD
    assert world.accused() == []
    assert world.heart.opened() == [], "nor was it told that nobody knows"


async def test_a_host_that_died_while_the_clock_was_ahead_is_offline_soon_after_it_was_set_back(world: World) -> None:
    world.hub = 9 * HOUR
    await world.live(timedelta(minutes=5))
    world.heart.disconnect(HOST)
    world.hub = timedelta(0)
    for _ in range(5):
        await world.heart.turn(world.at + timedelta(seconds=30) - world.heart.now)
        world.at += timedelta(seconds=30)
    assert world.heart.fleet.online[HOST] is False
    held = world.heart.fleet.presence_of(HOST)
    assert held.seen_at is not None
    assert held.seen_at <= world.heart.now


async def test_nobody_claims_to_have_looked_in_a_time_that_is_yet_to_come(world: World) -> None:
    world.hub = 9 * HOUR
    await world.live(timedelta(minutes=5))
    world.heart.disconnect(HOST)
    world.hub = timedelta(0)
    await world.heart.turn(world.at + timedelta(seconds=30) - world.heart.now)
    looked_at = observed_at(world.heart.fleet, world.source, world.heart.now)
    assert looked_at is not None
    assert looked_at <= world.heart.now


async def test_no_age_is_below_zero_after_a_backup_was_told_while_the_clock_was_ahead(world: World) -> None:
    world.hub = 9 * HOUR
    await world.live(timedelta(minutes=5))
    ended_at = world.heart.now
    await world.heart.finish(a_run(world.source, ended_at, id="ahead", snapshot_id="ab" * 4, due_at=None))
    world.hub = timedelta(0)
    await world.live(timedelta(minutes=1), runs=False)
    now = world.heart.now
    told = source_reading(world.heart.fleet.view(), world.source, now, {})
    assert told.last_good_at == ended_at > now, "all faces tell what was told"
    assert "now</time>" in since(told.last_good_at, now), "but none an age below zero"
    assert told.observed_at is not None
    assert told.observed_at <= now


async def test_a_skew_stays_told_while_the_agent_is_away_and_ends_when_its_clock_is_right(world: World) -> None:
    world.agent = timedelta(seconds=61)
    await world.live(timedelta(minutes=1), runs=False)
    assert world.heart.open_rules() == ["host_clock_skew"]
    [message] = [fact.alert.message for fact in world.heart.told if hasattr(fact, "alert")]
    assert "61 s ahead of the hub's" in message
    world.heart.disconnect(HOST)
    await world.heart.turn(timedelta(seconds=30))
    assert "host_clock_skew" in world.heart.open_rules()
    world.at += timedelta(seconds=30)
    world.heart.connect(HOST)
    world.agent = timedelta(seconds=59)
    await world.live(timedelta(minutes=1), runs=False)
    assert world.heart.open_rules() == []


def test_an_agent_that_is_far_behind_is_known_until_its_own_present() -> None:
    heart = Heart(EVENING)
    presence.connected(heart.fleet.judging, HOST, EVENING)
    presence.synced(heart.fleet.judging, HOST, EVENING, True)
    presence.heard(heart.fleet.judging, HOST, EVENING + 4 * HOUR, clock_offset_seconds=-3 * 3600.0)
    assert heart.fleet.presence_of(HOST).observed_at == EVENING + HOUR
    assert OFFLINE_AFTER < HOUR
