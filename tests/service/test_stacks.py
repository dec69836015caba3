"""Wishes for stacks on a real connection and over a real database: none is lost without a word, and none is told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from lastgood.errors import ConfigError, Refused, StoreError
from lastgood.fleet.fleet import Fleet
from lastgood.fleet.learn import learn
from lastgood.hub.wishes import GIVEN_UP_AFTER
from lastgood.ids import ulid
from lastgood.model.fact import DeployFinished, DeployStarted, Fact, HostEnrolled, HostRemoved
from lastgood.model.job import Outcome
from lastgood.model.stack import Deploy, DeployStart, StackAction
from lastgood.service.stacks import MOST_OF_A_HOST, TRIM_EVERY, Stacks, StackWish, Written
from lastgood.store import stacks as rows
from lastgood.store.database import Database, open_database
from lastgood.store.telling import Told, forget
from lastgood.wire.frames import CancelRun, DeployNow, DeployWords
from tests.builders import NOW
from tests.hub.rig import HOST, INFO, Caller, Rig, welcomed
from tests.waiting import until

KEY = (HOST.id, "shop")
WRITTEN = Written(text="services:\n  web:\n    image: lg/web\n", env="DB_PASSWORD=hunter-two\n")
ABLE = replace(INFO, abilities=("stacks",))
WISH = StackWish(action=StackAction.DEPLOY, host_id=HOST.id, project="shop", written=WRITTEN)


class Desk:
    """The stacks of a hub whose fleet learns at once what they tell."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.rig = Rig()
        self.fleet = Fleet()
        self.now = NOW
        self.told: list[Fact] = []
        self._seq = 0
        learn(self.fleet, HostEnrolled(at=NOW, origin="test", host=HOST))
        self.stacks = self.made(b"s" * 32)

    def made(self, secret: bytes) -> Stacks:
        minted = iter(range(1000))
        mint = lambda: ulid(self.now, next(minted).to_bytes(10, "big"))  # noqa: E731 - ids in the order of asking
        keep_for = timedelta(days=400)
        return Stacks(self.database, self.fleet, self.rig.roster, secret, self.take, mint, lambda: self.now, keep_for)

    async def take(self, facts: Sequence[Fact], log: str = "") -> None:
        told = Told()
        for fact in facts:
            self._seq += 1
            told.add(self._seq, fact, log)
        await self.database.write(told.save)
        for fact in facts:
            self.told.append(fact)
            self.stacks.learned(learn(self.fleet, fact))

    def start(self, deploy_id: str) -> DeployStart:
        return DeployStart(
            id=deploy_id, action=StackAction.DEPLOY, host_id=HOST.id, project="shop", started_at=self.now
        )

    async def begun(self, deploy_id: str) -> None:
        await self.take([DeployStarted(at=self.now, origin="test", deploy=self.start(deploy_id))])

    async def ended(self, deploy_id: str, outcome: Outcome = Outcome.SUCCESS, log: str = "") -> None:
        start = self.start(deploy_id)
        deploy = Deploy(
            id=deploy_id,
            action=start.action,
            outcome=outcome,
            host_id=start.host_id,
            project=start.project,
            started_at=start.started_at,
            ended_at=self.now,
            duration_seconds=2.0,
            touched=True,
        )
        await self.take([DeployFinished(at=self.now, origin="test", deploy=deploy)], log)

    async def past(self, deploy_id: str) -> tuple[rows.PastDeploy, str]:
        found = await self.database.read(partial(rows.find_deploy, deploy_id=deploy_id))
        assert found is not None
        return found

    async def back(self) -> None:
        """The agent is connected and in step, as the service notices."""
        connection = self.rig.roster.connection(HOST.id)
        assert connection is not None
        if self.stacks.is_behind(HOST.id, connection):
            await self.stacks.back(HOST.id, connection)

    async def gone(self) -> None:
        async def away() -> bool:
            return HOST.id not in self.rig.roster

        await until(away, "the connection is over")


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    database = open_database(tmp_path)
    try:
        yield Desk(database)
    finally:
        await database.close()


async def nothing_more(desk: Desk, agent: Caller) -> None:
    """Whatever was sent before this frame would have come first."""
    await desk.rig.roster.send(HOST.id, CancelRun(run_id="the end"))
    while not isinstance(frame := await agent.next(), CancelRun):
        assert not isinstance(frame, DeployNow), frame


async def test_a_text_travels_to_its_agent_and_is_sealed_everywhere_else(desk: Desk, tmp_path: Path) -> None:
    async with desk.rig.serving(), welcomed(desk.rig, info=ABLE) as agent:
        deploy_id = await desk.stacks.start(WISH, "ann")
        frame = await agent.next(DeployNow)
    assert (frame.id, frame.text, frame.env, frame.text_number) == (deploy_id, WRITTEN.text, WRITTEN.env, 1)
    assert await desk.stacks.text(KEY) == (1, WRITTEN)
    past, _ = await desk.past(deploy_id)
    assert (past.by, past.text_number, past.outcome, past.started_at) == ("ann", 1, None, None)
    assert not [path for path in tmp_path.glob("lastgood.db*") if b"hunter-two" in path.read_bytes()]
    assert "hunter" not in repr(WRITTEN)
    with pytest.raises(ConfigError, match="does not open"):
        await desk.made(b"other" * 8).text(KEY)


async def test_the_same_text_keeps_its_number_and_an_earlier_one_is_deployed_again(desk: Desk) -> None:
    other = replace(WISH, written=Written(text=WRITTEN.text))
    async with desk.rig.serving(), welcomed(desk.rig, info=ABLE) as agent:
        for wish, number in ((WISH, 1), (WISH, 1), (other, 2), (WISH, 3)):
            await desk.stacks.start(wish, "ann")
            assert (await agent.next(DeployNow)).text_number == number
        again = replace(WISH, written=None, text_number=2)
        await desk.stacks.start(again, "bob")
        frame = await agent.next(DeployNow)
        assert (frame.text, frame.env, frame.text_number) == (WRITTEN.text, None, 2)
        with pytest.raises(Refused, match="Text 9 of shop is not kept"):
            await desk.stacks.start(replace(again, text_number=9), "bob")


async def test_no_more_texts_are_kept_of_a_stack_than_fifty(desk: Desk) -> None:
    for number in range(1, 61):
        key = partial(rows.add_text, key=KEY, at=NOW, by="ann", seal=lambda _: b"sealed", same=None)
        assert await desk.database.write(key) == number
    kept = await desk.database.read(partial(rows.list_texts, key=KEY))
    assert [number for number, _, _ in kept] == list(range(60, 10, -1))


async def test_a_wish_whose_agent_is_away_or_too_old_is_refused_and_leaves_nothing(desk: Desk) -> None:
    async with desk.rig.serving():
        with pytest.raises(Refused, match="not connected"):
            await desk.stacks.start(WISH, "ann")
        async with welcomed(desk.rig):
            with pytest.raises(Refused, match="too old to deploy stacks; update it"):
                await desk.stacks.start(WISH, "ann")
        with pytest.raises(Refused, match="There is no host"):
            await desk.stacks.start(replace(WISH, host_id="nobody"), "ann")
    deploys, _ = await desk.database.read(partial(rows.list_deploys, key=KEY))
    assert deploys == []


async def test_a_request_that_is_told_again_deploys_once(desk: Desk) -> None:
    async with desk.rig.serving(), welcomed(desk.rig, info=ABLE) as agent:
        first = await desk.stacks.start(WISH, "ann", "a key")
        assert await desk.stacks.start(WISH, "ann", "a key") == first
        await agent.next(DeployNow)
        await nothing_more(desk, agent)


async def test_no_more_waits_for_a_host_than_it_can_do(desk: Desk) -> None:
    async with desk.rig.serving(), welcomed(desk.rig, info=ABLE):
        for _ in range(MOST_OF_A_HOST):
            await desk.stacks.start(WISH, "ann")
        with pytest.raises(Refused, match="More than enough waits"):
            await desk.stacks.start(WISH, "ann")


async def test_a_wish_whose_connection_broke_is_sent_again_until_it_is_heard_of(desk: Desk) -> None:
    async with desk.rig.serving():
        async with welcomed(desk.rig, info=ABLE):
            deploy_id = await desk.stacks.start(WISH, "ann")
        await desk.gone()
        async with welcomed(desk.rig, info=ABLE) as agent:
            await desk.back()
            await desk.back()
            assert (await agent.next(DeployNow)).id == deploy_id
            await nothing_more(desk, agent)
        await desk.gone()
        async with welcomed(desk.rig, info=ABLE, running=(deploy_id,)) as agent:
            await desk.back()
            await nothing_more(desk, agent)
            await desk.begun(deploy_id)
        await desk.gone()
        async with welcomed(desk.rig, info=ABLE, running=(deploy_id,)) as agent:
            await desk.back()
            await nothing_more(desk, agent)
    assert [type(fact).__name__ for fact in desk.told] == ["DeployStarted"]


async def test_a_wish_that_never_arrived_is_given_up_with_a_reason_and_corrected_by_who_knows_better(
    desk: Desk,
) -> None:
    async with desk.rig.serving():
        async with welcomed(desk.rig, info=ABLE):
            deploy_id = await desk.stacks.start(WISH, "ann")
        await desk.gone()
        await desk.stacks.round()
        assert (await desk.past(deploy_id))[0].outcome is None
        desk.now += GIVEN_UP_AFTER
        await desk.stacks.round()
        past, reason = await desk.past(deploy_id)
    assert past.outcome is Outcome.CANCELLED
    assert "went away before it heard of this" in reason
    await desk.begun(deploy_id)
    await desk.ended(deploy_id, log="it came up")
    past, log = await desk.past(deploy_id)
    assert (past.outcome, past.by, past.asked_at, log) == (Outcome.SUCCESS, "ann", NOW, "it came up")


async def test_what_a_hub_that_was_killed_had_asked_for_is_given_up_by_the_next_one(desk: Desk) -> None:
    asked = partial(rows.add_asked, deploy_id="old", key=KEY, action=StackAction.STOP, at=NOW, by="ann")
    await desk.database.write(partial(asked, text_number=None))
    await desk.stacks.round()
    assert (await desk.past("old"))[0].outcome is None
    desk.now += GIVEN_UP_AFTER + 2 * TRIM_EVERY
    await desk.stacks.round()
    assert (await desk.past("old"))[0].outcome is Outcome.CANCELLED


async def test_a_deploy_that_its_agent_knows_nothing_of_any_more_is_told_as_lost_once(desk: Desk) -> None:
    async with desk.rig.serving():
        async with welcomed(desk.rig, info=ABLE):
            deploy_id = await desk.stacks.start(WISH, "ann")
            await desk.begun(deploy_id)
        await desk.gone()
        for _ in range(2):
            async with welcomed(desk.rig, info=ABLE):
                await desk.back()
            await desk.gone()
    lost = [fact for fact in desk.told if isinstance(fact, DeployFinished)]
    assert [(one.deploy.id, one.deploy.outcome, one.deploy.touched) for one in lost] == [
        (deploy_id, Outcome.LOST, True)
    ]
    assert desk.fleet.deploys[KEY].failed
    await desk.ended(deploy_id)
    assert (await desk.past(deploy_id))[0].outcome is Outcome.SUCCESS
    assert not desk.fleet.deploys[KEY].failed


async def test_live_lines_are_kept_of_deploys_that_were_asked_for_and_of_their_host_alone(desk: Desk) -> None:
    words = desk.rig.roster.words
    async with desk.rig.serving(), welcomed(desk.rig, info=ABLE) as agent:
        deploy_id = await desk.stacks.start(WISH, "ann")
        await agent.send(DeployWords(id="nobody's", first=0, lines=("lost",)))
        await agent.send(DeployWords(id=deploy_id, first=0, lines=("one", "two")))
        await agent.send(DeployWords(id=deploy_id, first=1, lines=("two", "three")))

        async def heard() -> bool:
            return words.since(deploy_id)[1] == 3

        await until(heard, "three lines")
        words.told("another host", DeployWords(id=deploy_id, first=3, lines=("foreign",)))
        assert words.since(deploy_id) == (["one", "two", "three"], 3)
        assert words.since(deploy_id, 2) == (["three"], 3)
        assert words.since("nobody's") == ([], 0)
        await desk.ended(deploy_id)
        assert words.since(deploy_id) == ([], 0)


async def test_a_cancel_reaches_the_agent_of_what_is_under_way_on_that_host(desk: Desk) -> None:
    async with desk.rig.serving():
        async with welcomed(desk.rig, info=ABLE) as agent:
            deploy_id = await desk.stacks.start(WISH, "ann")
            await desk.stacks.cancel(HOST.id, deploy_id, "ann")
            assert (await agent.next(CancelRun)).run_id == deploy_id
            with pytest.raises(Refused, match="not under way"):
                await desk.stacks.cancel("another host", deploy_id, "ann")
        await desk.gone()
        with pytest.raises(Refused, match="not connected"):
            await desk.stacks.cancel(HOST.id, deploy_id, "ann")


async def test_a_stack_that_is_forgotten_leaves_neither_text_nor_history_nor_times(desk: Desk) -> None:
    async with desk.rig.serving(), welcomed(desk.rig, info=ABLE):
        deploy_id = await desk.stacks.start(WISH, "ann")
        await desk.begun(deploy_id)
        with pytest.raises(Refused, match="under way"):
            await desk.stacks.forget(KEY, "person:ann")
        await desk.ended(deploy_id)
        await desk.stacks.forget(KEY, "person:ann")
    assert desk.fleet.deploys == {}
    assert await desk.stacks.text(KEY) is None
    assert await desk.database.read(partial(rows.list_projects, host_id=HOST.id)) == []


async def test_texts_of_a_removed_host_are_removed_and_old_history_with_old_texts_goes(desk: Desk) -> None:
    async with desk.rig.serving(), welcomed(desk.rig, info=ABLE):
        first = await desk.stacks.start(WISH, "ann")
        await desk.stacks.start(replace(WISH, written=Written(text=WRITTEN.text)), "ann")
    desk.now += timedelta(days=401)
    await desk.stacks.round()
    assert [number for number, _, _ in await desk.database.read(partial(rows.list_texts, key=KEY))] == [2]
    assert await desk.database.read(partial(rows.find_deploy, deploy_id=first)) is None
    await desk.take([HostRemoved(at=desk.now, origin="test", host_id=HOST.id)])
    await desk.stacks.round()
    assert await desk.stacks.text(KEY) is None


async def test_history_is_told_in_pages_and_another_host_changes_none_of_it(desk: Desk) -> None:
    for number in range(5):
        asked = partial(rows.add_asked, deploy_id=f"d{number}", key=KEY, action=StackAction.DEPLOY, by="ann")
        await desk.database.write(partial(asked, at=NOW + timedelta(minutes=number // 2), text_number=None))
    found: list[str] = []
    after: tuple[datetime, str] | None = None
    while True:
        page, after = await desk.database.read(partial(rows.list_deploys, key=KEY, after=after, limit=2))
        found += [one.id for one in page]
        if after is None:
            break
    assert found == ["d4", "d3", "d2", "d1", "d0"]
    foreign = replace(desk.start("d4"), host_id="other")
    told = Told()
    told.add(900, DeployStarted(at=NOW, origin="test", deploy=foreign), "")
    await desk.database.write(told.save)
    assert (await desk.past("d4"))[0].started_at is None
    unlearnable = DeployStarted(at=NOW, origin="test", deploy=desk.start("unknown"))
    told = Told()
    told.add(901, unlearnable, "")
    await desk.database.write(told.save)
    await desk.database.write(partial(forget, seq=901, fact=unlearnable))
    assert await desk.database.read(partial(rows.find_deploy, deploy_id="unknown")) is None


async def test_a_database_that_takes_nothing_lets_nothing_be_sent(desk: Desk) -> None:
    async with desk.rig.serving(), welcomed(desk.rig, info=ABLE) as agent:
        trigger = "CREATE TRIGGER full BEFORE INSERT ON deploys BEGIN SELECT RAISE(ABORT, 'full'); END"
        await desk.database.write(lambda connection: connection.exec_driver_sql(trigger).close())
        with pytest.raises(StoreError):
            await desk.stacks.start(WISH, "ann", "a key")
        await nothing_more(desk, agent)
        assert await desk.stacks.text(KEY) is None
        await desk.database.write(lambda connection: connection.exec_driver_sql("DROP TRIGGER full").close())
        deploy_id = await desk.stacks.start(WISH, "ann", "a key")
        assert (await agent.next(DeployNow)).id == deploy_id
