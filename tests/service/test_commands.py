"""Wishes for runs on a real connection: none is lost without a word, and none is done twice."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from lastgood.errors import Refused
from lastgood.fleet.changes import Changes
from lastgood.fleet.fleet import Fleet
from lastgood.fleet.learn import learn
from lastgood.hub.wishes import GIVEN_UP_AFTER, MOST_OF_A_HOST, Wish
from lastgood.ids import ulid
from lastgood.model.fact import Fact, HostEnrolled, HostRemoved, RepositoryConfigured, RunStarted, SourceConfigured
from lastgood.model.job import Outcome, RunKind
from lastgood.service.commands import Commands
from lastgood.wire.frames import CancelRun, RunNow
from tests.builders import NOW, a_repository, a_run_start, a_source
from tests.hub.rig import HOST, Caller, Rig, welcomed
from tests.waiting import until

HOME = a_source("home", HOST)
BACKUP = Wish(kind=RunKind.BACKUP, source_id=HOME.id)


@dataclass
class Desk:
    """The commands of a hub whose fleet learns at once what they tell."""

    rig: Rig = field(default_factory=Rig)
    fleet: Fleet = field(default_factory=Fleet)
    now: datetime = NOW

    def __post_init__(self) -> None:
        self.told: list[Fact] = []
        self.commands = Commands(
            self.fleet, self.rig.roster, lambda: ulid(self.now), lambda _: None, self.take, lambda: self.now
        )
        for fact in (
            HostEnrolled(at=NOW, origin="test", host=HOST),
            RepositoryConfigured(at=NOW, origin="test", repository=a_repository()),
            SourceConfigured(at=NOW, origin="test", source=HOME),
        ):
            learn(self.fleet, fact)

    async def take(self, facts: Sequence[Fact]) -> None:
        for fact in facts:
            self.told.append(fact)
            self.commands.learned(learn(self.fleet, fact))

    async def begun(self, run_id: str) -> None:
        start = a_run_start(HOME, self.now, id=run_id, host_id=HOST.id)
        await self.take([RunStarted(at=self.now, origin="test", run=start)])

    async def gone(self) -> None:
        async def away() -> bool:
            return HOST.id not in self.rig.roster

        await until(away, "the connection is over")

    async def back(self) -> None:
        """The agent is connected and in step, as the service notices."""
        await self.commands.send_again(self.commands.in_step(HOST.id))


async def test_a_wish_reaches_its_agent_and_waits_until_its_run_is_heard_of() -> None:
    desk = Desk()
    async with desk.rig.serving(), welcomed(desk.rig) as agent:
        run_id = await desk.commands.start(BACKUP, "ann")
        frame = await agent.next(RunNow)
        assert (frame.run_id, frame.kind, frame.source_id, frame.repository_id) == (
            run_id,
            RunKind.BACKUP,
            HOME.id,
            None,
        )
        assert desk.commands.queued()[run_id].repository_id == HOME.repository_id
        await desk.begun(run_id)
        assert desk.commands.queued() == {}


async def test_a_wish_whose_connection_broke_is_sent_again_until_its_run_is_heard_of() -> None:
    desk = Desk()
    async with desk.rig.serving():
        async with welcomed(desk.rig):
            run_id = await desk.commands.start(BACKUP, "ann")
        await desk.gone()
        for _ in range(2):
            async with welcomed(desk.rig) as agent:
                await desk.back()
                await desk.back()
                assert (await agent.next(RunNow)).run_id == run_id
                await nothing_more(desk, agent)
            await desk.gone()
        async with welcomed(desk.rig) as agent:
            await desk.begun(run_id)
            await desk.back()
            await nothing_more(desk, agent)


async def nothing_more(desk: Desk, agent: Caller) -> None:
    """Whatever was sent before this frame would have come first."""
    await desk.rig.roster.send(HOST.id, CancelRun(run_id="the end"))
    while not isinstance(frame := await agent.next(), CancelRun):
        assert not isinstance(frame, RunNow), frame


async def test_a_wish_that_the_agent_has_in_its_line_is_not_sent_again() -> None:
    desk = Desk()
    async with desk.rig.serving():
        async with welcomed(desk.rig):
            run_id = await desk.commands.start(BACKUP, "ann")
        await desk.gone()
        async with welcomed(desk.rig, running=(run_id,)) as agent:
            await desk.back()
            await nothing_more(desk, agent)
        assert run_id in desk.commands.queued()


async def test_a_wish_whose_agent_stays_away_ends_with_the_reason() -> None:
    desk = Desk()
    async with desk.rig.serving():
        async with welcomed(desk.rig):
            run_id = await desk.commands.start(BACKUP, "ann")
            desk.now = NOW + 2 * GIVEN_UP_AFTER
            await desk.commands.round()
            assert run_id in desk.commands.queued(), "it may wait long in the line of an agent that is there"
        await desk.gone()
        await desk.commands.round()
    assert desk.commands.queued() == {}
    (ended,) = desk.told
    assert (ended.run.id, ended.run.outcome, ended.run.cause) == (run_id, Outcome.CANCELLED, "never_arrived")  # type: ignore[attr-defined]
    assert desk.fleet.evidence_of(HOME.id).last_attempt is None, "it says nothing of the source"


async def test_an_agent_that_is_away_is_told_at_once_and_nothing_waits() -> None:
    desk = Desk()
    with pytest.raises(Refused, match="not connected"):
        await desk.commands.start(BACKUP, "ann", "key")
    assert desk.commands.queued() == {}
    async with desk.rig.serving(), welcomed(desk.rig):
        assert await desk.commands.start(BACKUP, "ann", "key"), "the key of a refused request is free again"


async def test_a_request_that_is_told_again_starts_nothing_new() -> None:
    desk = Desk()
    async with desk.rig.serving(), welcomed(desk.rig) as agent:
        both = await asyncio.gather(*(desk.commands.start(BACKUP, "ann", "key") for _ in range(2)))
        assert both[0] == both[1]
        await agent.next(RunNow)
        await desk.begun(both[0])
        assert await desk.commands.start(BACKUP, "ann", "key") == both[0]
        assert await desk.commands.start(BACKUP, "ann", "another") != both[0]
        assert (await agent.next(RunNow)).run_id != both[0]


async def test_a_wish_that_is_cancelled_before_it_begins_is_over_on_both_sides() -> None:
    desk = Desk()
    async with desk.rig.serving(), welcomed(desk.rig) as agent:
        run_id = await desk.commands.start(BACKUP, "ann")
        await agent.next(RunNow)
        await desk.commands.cancel(run_id, "ben")
        assert (await agent.next(CancelRun)).run_id == run_id
        with pytest.raises(Refused, match="may have ended"):
            await desk.commands.cancel(run_id, "ben")
    (ended,) = desk.told
    assert ended.run.reason == "It was cancelled by ben before it began."  # type: ignore[attr-defined]


async def test_what_waits_for_a_host_that_is_removed_is_gone_with_it() -> None:
    desk = Desk()
    async with desk.rig.serving(), welcomed(desk.rig):
        await desk.commands.start(BACKUP, "ann")
        await desk.take([HostRemoved(at=NOW, origin="test", host_id=HOST.id)])
    assert desk.commands.queued() == {}


async def test_a_repository_is_pruned_by_one_host_at_a_time_and_a_host_has_so_many_wishes() -> None:
    desk = Desk()
    prune = Wish(kind=RunKind.PRUNE, repository_id=HOME.repository_id)
    async with desk.rig.serving(), welcomed(desk.rig):
        run_id = await desk.commands.start(prune, "ann")
        with pytest.raises(Refused, match=run_id):
            await desk.commands.start(prune, "ben")
        for number in range(MOST_OF_A_HOST - 1):
            desk.now = NOW + timedelta(seconds=number)
            await desk.commands.start(BACKUP, "ann")
        with pytest.raises(Refused, match="More than enough"):
            await desk.commands.start(BACKUP, "ann")


def test_changes_of_others_leave_wishes_alone() -> None:
    desk = Desk()
    desk.commands.learned(Changes(hosts={HOST.id}, runs={"another"}))
    assert desk.commands.queued() == {}
