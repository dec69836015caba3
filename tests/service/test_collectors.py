"""Collectors in the hub: what is told once and what again, what fails, what goes, and what outlives a restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from lastgood.clock import now as wall_clock
from lastgood.config.settings import ServerSettings, Settings
from lastgood.errors import Refused, StoreError, Unreachable
from lastgood.fleet.fleet import Fleet
from lastgood.fleet.learn import learn
from lastgood.model.alert import AlertKey
from lastgood.model.collected import CollectorHealth
from lastgood.model.fact import Fact, RepositoryConfigured, RepositoryRemoved, SourceConfigured, SourcesCollected
from lastgood.model.source import State
from lastgood.service.collectors import Collectors, Configured, Kept
from lastgood.service.service import Service
from lastgood.store.database import open_database
from lastgood.store.lease import AlwaysHeld
from tests.builders import a_repository
from tests.collect.tiny import STORE, Picture, Tiny, a_group
from tests.waiting import until

HOUR = timedelta(hours=1)


class Hub:
    """A fleet and its collectors; ``offset`` turns the clock."""

    def __init__(self, *, expected_off: bool = False) -> None:
        self.fleet = Fleet()
        self.told: list[Fact] = []
        self.judged: list[str] = []
        self.broken = False
        self.offset = timedelta()
        self.tiny = Tiny(self.clock)
        self.expected_off = expected_off
        self.collectors = self.made()

    def made(self) -> Collectors:
        """As a hub that has just begun has them."""
        return Collectors(
            [Configured(self.tiny, self.expected_off)],
            self.fleet,
            self.take,
            self.clock,
            AlwaysHeld(),
            self.judged.append,
        )

    def clock(self) -> datetime:
        return wall_clock() + self.offset

    async def take(self, facts: Sequence[Fact]) -> None:
        if self.broken:
            raise StoreError("The disk is full.")
        for told in facts:
            learn(self.fleet, told)
            self.told.append(told)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.collectors.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def round(self) -> list[Fact]:
        """One round of all that the collector tells; the facts that it made."""
        before = len(self.told)
        await self.collectors._tell(self.tiny, [report async for report in self.tiny.collect()])
        return self.told[before:]

    def groups(self, *ids: str, **changes: object) -> None:
        self.tiny.sources = [a_group(one, wall_clock() - HOUR, **changes) for one in ids]


def of_sources(facts: Sequence[Fact]) -> list[SourcesCollected]:
    return [told for told in facts if isinstance(told, SourcesCollected)]


def told_ids(facts: Sequence[Fact]) -> list[str]:
    return [one.id for told in of_sources(facts) for one in told.sources]


async def test_a_source_is_told_again_only_when_something_about_it_is_new() -> None:
    hub = Hub()
    hub.groups("a", "b")
    first = await hub.round()
    assert told_ids(first) == ["a", "b"]
    assert {told.origin for told in first} == {"collector:pbs/box"}
    quiet = of_sources(await hub.round())
    assert [(told.sources, told.whole) for told in quiet] == [((), True)]
    hub.tiny.sources[1] = a_group("b", wall_clock())
    assert told_ids(await hub.round()) == ["b"]


async def test_a_hub_that_begins_anew_tells_all_once_and_changes_nothing() -> None:
    hub = Hub()
    hub.groups("a")
    await hub.round()
    before = hub.fleet.sources["a"]
    hub.collectors = hub.made()
    assert told_ids(await hub.round()) == ["a"]
    assert hub.fleet.sources["a"] == before


async def test_many_sources_are_told_in_parts_and_the_mark_comes_last() -> None:
    hub = Hub()
    hub.groups(*(f"vm/{number}" for number in range(120)))
    facts = of_sources(await hub.round())
    assert [(len(told.sources), told.whole) for told in facts] == [(25, False)] * 4 + [(20, False), (0, True)]


async def test_what_could_not_be_kept_is_told_again() -> None:
    hub = Hub()
    hub.groups("a")
    await hub.round()
    hub.groups("a", "b")
    hub.broken = True
    try:
        await hub.round()
    except StoreError:
        hub.broken = False
    assert "b" in told_ids(await hub.round())


async def test_after_a_long_silence_every_source_is_told() -> None:
    hub = Hub()
    hub.groups("a", "b")
    await hub.round()
    hub.offset = 3 * HOUR
    assert told_ids(await hub.round()) == ["a", "b"]


async def test_a_source_that_is_not_listed_any_more_is_told_once_and_goes_once_it_is_archived() -> None:
    hub = Hub()
    hub.groups("a", "b")
    await hub.round()
    hub.groups("a")
    gone = of_sources(await hub.round())
    assert [told.gone for told in gone if told.gone] == [("b",)]
    assert not [told for told in of_sources(await hub.round()) if told.gone]
    archived = replace(hub.fleet.sources["b"], archived_by="ann")
    await hub.take([SourceConfigured(at=hub.clock(), origin="t", source=archived)])
    await hub.round()
    assert set(hub.fleet.sources) == {"a"}


async def test_of_a_part_of_a_repository_only_what_matters_is_marked() -> None:
    hub = Hub()
    hub.groups("a", "b")
    await hub.round()
    hub.tiny.whole = False
    assert of_sources(await hub.round()) == []
    hub.offset = timedelta(minutes=20)
    facts = of_sources(await hub.round())
    assert [(told.seen, told.whole) for told in facts] == [(("a", "b"), False)]
    assert set(hub.fleet.sources) == {"a", "b"}


async def test_sources_of_a_repository_that_is_not_known_yet_wait_for_it() -> None:
    hub = Hub()
    hub.groups("a")
    reports = [report async for report in hub.tiny.collect()]
    await hub.collectors._tell(hub.tiny, reports[1:])
    assert hub.told == []
    await hub.collectors._tell(hub.tiny, reports)
    assert set(hub.fleet.sources) == {"a"}


async def test_a_server_that_left_the_settings_takes_its_sources_and_nothing_else_along() -> None:
    hub = Hub()
    hub.groups(*(f"vm/{number}" for number in range(70)))
    await hub.round()
    await hub.take([RepositoryConfigured(at=hub.clock(), origin="t", repository=a_repository("vault"))])
    key = AlertKey("collector_failing", "collector", "pbs/box")
    hub.tiny.name, hub.tiny.fault = "pbs/other", Unreachable("It does not answer.")
    hub.collectors = hub.made()
    async with hub.running():

        async def gone() -> bool:
            return STORE not in hub.fleet.repositories

        await until(gone, "the repository to go")
    assert not hub.fleet.sources.keys() & {f"vm/{number}" for number in range(70)}
    assert [one.name for one in hub.fleet.repositories.values() if one.collector is None] == ["vault"]
    assert any(isinstance(told, RepositoryRemoved) for told in hub.told)
    assert key not in hub.fleet.alerts


async def test_the_health_of_a_collector_is_told_when_it_changes() -> None:
    hub = Hub()
    hub.tiny.fault = Unreachable("It does not answer.")
    async with hub.running():

        async def failed() -> bool:
            return bool(hub.collectors.probes["pbs/box"]["look"].failures)

        await until(failed, "the first round")
        assert not (hub.fleet.collectors.get("pbs/box") or CollectorHealth()).heard, "nobody can say yet"
        hub.offset = timedelta(minutes=4)

        async def failing() -> bool:
            return hub.fleet.collectors["pbs/box"].failing_since is not None

        await until(failing, "failing for long")
    health = hub.fleet.collectors["pbs/box"]
    assert (health.heard, health.message) == (True, "It does not answer.")
    assert hub.judged.count("pbs/box") >= 2
    assert hub.tiny.ended == 1


async def test_pictures_are_handed_on_and_whoever_listens_is_told() -> None:
    hub = Hub()
    heard: list[str] = []
    hub.collectors.hear(heard.append)
    assert hub.collectors.pictures == {}
    hub.tiny.show(Picture(truncated=3))
    assert heard == ["pbs/box"]
    assert hub.collectors.pictures == {"pbs/box": Picture(truncated=3)}


async def test_what_a_collector_keeps_outlives_the_hub(tmp_path: Path) -> None:
    database = open_database(tmp_path)
    kept = Kept(database, "pbs/box")
    assert await kept.load() is None
    await kept.save(b"\x00counted\xff")
    await database.close()
    database = open_database(tmp_path)
    assert await Kept(database, "pbs/box").load() == b"\x00counted\xff"
    assert await Kept(database, "pbs").load() is None
    await database.close()


async def test_a_real_hub_opens_an_alert_for_a_server_that_fails_and_closes_it(tmp_path: Path) -> None:
    offset = timedelta()

    def clock() -> datetime:
        return wall_clock() + offset

    tiny = Tiny(clock, interval=timedelta(seconds=1))
    tiny.sources = [a_group("vm/100", clock() - HOUR)]
    settings = Settings(server=ServerSettings(data_dir=tmp_path))
    service = await Service.open(settings, clock, collected=lambda *_: [Configured(tiny)])
    await service.start()
    try:

        async def good() -> bool:
            return service.fleet.states.get("vm/100") is State.GOOD

        await until(good, "the source")
        tiny.fault = Refused("The token is wrong.", retry=False)
        tiny.probes[0].wanted.set()

        async def failing() -> bool:
            return service.collectors.probes["pbs/box"]["look"].success is False

        await until(failing, "a failed round")
        offset = timedelta(minutes=5)
        key = AlertKey("collector_failing", "collector", "pbs/box")

        async def opened() -> bool:
            return key in service.fleet.alerts

        await until(opened, "the alert")
        assert service.fleet.alerts[key].message.endswith("The token is wrong.")
        assert service.fleet.states["vm/100"] is State.GOOD
        opened_as = service.fleet.alerts[key].id
    finally:
        await service.stop()

    failing_still = Tiny(clock, interval=timedelta(seconds=1), fault=tiny.fault)
    service = await Service.open(settings, clock, collected=lambda *_: [Configured(failing_still)])
    await service.start()
    try:
        await until(failing, "a failed round after the start")
        offset = timedelta(minutes=10)

        async def failing_long() -> bool:
            return service.fleet.judging.collectors["pbs/box"].failing_since is not None

        await until(failing_long, "failing for long anew")
        assert service.fleet.alerts[key].id == opened_as, "it was never over"
    finally:
        await service.stop()

    healthy = Tiny(clock, interval=timedelta(seconds=1))
    healthy.sources = tiny.sources
    service = await Service.open(settings, clock, collected=lambda *_: [Configured(healthy)])
    assert set(service.fleet.sources) == {"vm/100"}
    assert service.fleet.alerts[key].id == opened_as
    await service.start()
    try:

        async def over() -> bool:
            return key not in service.fleet.alerts

        await until(over, "the end of the alert")
    finally:
        await service.stop()

    service = await Service.open(settings, clock, collected=lambda *_: [])
    await service.start()
    try:

        async def empty() -> bool:
            return not service.fleet.sources and not service.fleet.repositories

        await until(empty, "the server's things to go")
    finally:
        await service.stop()


async def test_a_server_that_is_expected_to_be_off_raises_no_alert() -> None:
    from lastgood.alerts.rules import findings

    hub = Hub(expected_off=True)
    hub.tiny.fault = Unreachable("It does not answer.")
    async with hub.running():

        async def heard() -> bool:
            health = hub.fleet.collectors.get("pbs/box")
            return health is not None and health.heard

        await until(heard, "the first round")
        hub.offset = HOUR

        async def failing() -> bool:
            return hub.fleet.collectors["pbs/box"].failing_since is not None

        await until(failing, "failing for long")
    assert list(findings(hub.fleet, "collector", "pbs/box", hub.clock())) == []
