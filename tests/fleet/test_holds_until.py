"""``holds_until`` is exact: judging only when told gives at every moment the states that judging always would give.

"Told" means: a fact touched the thing, presence of its host changed, or the moment came until which its state held.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from lastgood.fleet import presence
from lastgood.fleet.judge import host_online, repository_state, source_state
from lastgood.model.source import State
from tests.fleet.stories import Story

BEGIN = datetime(2026, 3, 26, 12, tzinfo=UTC)  # the week in which Berlin changes to summer time
WEEK = timedelta(days=7)
SECOND = timedelta(seconds=1)
TICK = timedelta(microseconds=1)
Entity = tuple[str, str]


class Week:
    """A story over a week in which agents come, fall silent and go, judged only when told."""

    def __init__(self, seed: int, steps: int) -> None:
        self.story = Story(seed, BEGIN)
        self.story.begin()
        self.rng = random.Random(seed)
        self.fleet = self.story.fleet
        self.told: dict[Entity, object] = {}
        self.agenda: list[tuple[datetime, Entity]] = []
        self.until: dict[Entity, datetime | None] = {}
        self.judgements = 0
        self.seen: set[State] = set()
        seconds = range(int(WEEK.total_seconds()))
        self.events = [BEGIN + timedelta(seconds=second) for second in sorted(self.rng.sample(seconds, steps))]
        self.judge(self.entities(), BEGIN)

    def entities(self) -> list[Entity]:
        fleet = self.fleet
        return [
            *(("source", i) for i in fleet.sources),
            *(("host", i) for i in fleet.hosts),
            *(("repository", i) for i in fleet.repositories),
        ]

    def answer(self, entity: Entity, now: datetime) -> tuple[object, datetime | None]:
        kind, entity_id = entity
        if kind == "source":
            return source_state(self.fleet, self.fleet.sources[entity_id], now)
        if kind == "host":
            return host_online(self.fleet, entity_id, now)
        return repository_state(self.fleet, entity_id, now)

    def judge(self, entities: Iterable[Entity], now: datetime) -> None:
        known = {"source": self.fleet.sources, "host": self.fleet.hosts, "repository": self.fleet.repositories}
        for entity in entities:
            if entity[1] not in known[entity[0]]:
                self.told.pop(entity, None)
                self.until.pop(entity, None)
                continue
            self.told[entity], until = self.answer(entity, now)
            self.judgements += 1
            self.until[entity] = until
            if until is not None:
                assert until > now, (entity, self.told[entity])
                heapq.heappush(self.agenda, (until, entity))

    def act(self, now: datetime) -> None:
        """Something happens: a fact, or a change of presence."""
        self.story.now = now
        if self.rng.random() < 0.5:
            changes_of = self.story.fact()
            before = set(self.fleet.sources)
            touched = self.story.tell(changes_of)
            if touched is not None:
                gone = before - set(self.fleet.sources)
                entities = [("source", i) for i in touched | gone]
                entities += [("host", i) for i in self.fleet.hosts] + [
                    ("repository", i) for i in self.fleet.repositories
                ]
                self.judge(entities, now)
            return
        host_id = self.rng.choice(self.story.hosts).id
        judging = self.fleet.judging
        acts: list[Callable[[], bool | None]] = [
            lambda: presence.connected(judging, host_id, now),
            lambda: presence.heard(judging, host_id, now),
            lambda: presence.synced(judging, host_id, now, True),
            lambda: presence.synced(judging, host_id, now, True),
            lambda: presence.synced(judging, host_id, now, False),
            lambda: presence.disconnected(judging, host_id),
        ]
        if self.rng.choice(acts)():
            sources = self.fleet.sources_of_host.get(host_id, ())
            self.judge([("host", host_id), *(("source", i) for i in sources)], now)

    def turn(self, now: datetime) -> None:
        """The clock reaches ``now``: judge again what holds no longer."""
        while self.agenda and self.agenda[0][0] <= now:
            until, entity = heapq.heappop(self.agenda)
            if self.until.get(entity) == until:
                self.judge([entity], now)

    def compare(self, now: datetime) -> None:
        for entity in self.entities():
            state, _ = self.answer(entity, now)
            assert self.told[entity] == state, (entity, now)
            if isinstance(state, State):
                self.seen.add(state)

    def live(self, moments: Iterator[datetime]) -> None:
        """Let the week pass and compare at each of these moments."""
        events = iter(self.events)
        next_at = next(events, None)
        for now in moments:
            while next_at is not None and next_at <= now:
                self.turn(next_at)
                self.act(next_at)
                next_at = next(events, None)
            self.turn(now)
            self.compare(now)


def test_at_every_second_of_a_week_the_told_states_are_the_judged_ones() -> None:
    week = Week(seed=2, steps=400)
    week.live(BEGIN + second * SECOND for second in range(int(WEEK.total_seconds()) + 1))
    assert week.judgements < 10_000  # of the five million that judging always takes
    assert len(week.seen) >= 8


@pytest.mark.parametrize("seed", range(40))
def test_around_every_event_and_limit_of_a_random_week_the_told_states_are_the_judged_ones(seed: int) -> None:
    week = Week(seed, steps=300)

    def moments() -> Iterator[datetime]:
        """Every limit as it comes up, and every quarter of an hour; each with the instants before and after."""
        now, end = BEGIN, BEGIN + WEEK
        while now < end:
            limits = [until for until in week.until.values() if until is not None and until > now + TICK]
            events = [at for at in week.events if at > now + TICK][:1]
            coming = min([*limits, *events, now + timedelta(minutes=15)])
            yield coming - TICK
            yield coming
            yield coming + TICK
            now = coming + TICK

    week.live(moments())
    assert week.seen


def test_the_random_weeks_show_every_state() -> None:
    seen: set[State] = set()
    for seed in range(12):
        week = Week(seed, steps=300)
        week.live(BEGIN + hour * timedelta(hours=1) for hour in range(7 * 24))
        seen |= week.seen
    assert seen == set(State)
