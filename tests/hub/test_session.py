"""A connection in mid-life: acknowledgement, presence, replacement, silence and the end."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from websockets.exceptions import ConnectionClosed

from lastgood.clock import now
from lastgood.errors import StoreError
from lastgood.hub.intake import Intake, Mark
from lastgood.hub.session import Limits
from lastgood.hub.socket import REPLACED, RESTARTING, SILENT, TRY_AGAIN
from lastgood.model.job import RunKind
from lastgood.wire.frames import (
    Ack,
    Applied,
    CancelRun,
    Heartbeat,
    LookNow,
    Ping,
    Pong,
    Progress,
    Refuse,
    Report,
    RunNow,
    Said,
    Welcome,
)
from tests.builders import an_id
from tests.hub.rig import HOST, SPOOL, Rig, calling, finished, started, welcomed
from tests.waiting import until


async def test_reports_are_acknowledged_once_they_are_committed() -> None:
    rig = Rig()
    async with rig.serving(), welcomed(rig) as caller:
        await caller.report(1, 2, 3)
        last = Ack(sequence=0)
        while last.sequence < 3:
            last = await caller.next(Ack)
            assert last.sequence <= len(rig.kept)
    assert rig.said == [started(1), started(2), started(3)]


async def test_acknowledgements_are_coalesced() -> None:
    rig = Rig(limits=Limits(window=500))
    async with rig.serving(), welcomed(rig) as caller:
        rig.gate.clear()
        await caller.report(*range(1, 301))
        await until(lambda: _true(rig.taking == 300), "every report is under way")
        rig.gate.set()
        acks = [await caller.next(Ack)]
        while acks[-1].sequence < 300:
            acks.append(await caller.next(Ack))
    assert len(acks) < 30


async def test_no_more_than_the_window_is_under_way() -> None:
    rig = Rig(limits=Limits(window=8))
    async with rig.serving(), welcomed(rig) as caller:
        rig.gate.clear()
        await caller.report(*range(1, 41))
        await until(lambda: _true(rig.taking == 8), "the window is full")
        await caller.send(Heartbeat(sent_at=now(), last_sequence=40))
        assert rig.taking == 8
        rig.gate.set()
        await rig.until_kept(40)
    assert [position for _, position, _ in rig.kept] == list(range(1, 41))


async def test_a_number_is_not_acknowledged_before_those_below_it() -> None:
    waiting: dict[int, asyncio.Future[None]] = {}

    async def take(said: Said, host_id: str, mark: Mark, log: str) -> None:
        waiting[mark.position] = asyncio.get_running_loop().create_future()
        await waiting[mark.position]

    heights: list[int] = []
    intake = Intake(take, "host", SPOOL, 10, lambda: heights.append(intake.committed))
    for number in (11, 12, 14):
        await intake.receive(Report(sequence=number, said=started(number)))
    await until(lambda: _true(len(waiting) == 3), "all three are under way")
    for number in (14, 12, 11):
        waiting[number].set_result(None)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    await until(lambda: _true(intake.committed == 14), "all three are committed")
    assert heights == [14]


async def test_a_mark_names_what_must_stand_before_it() -> None:
    marks: list[Mark] = []

    async def take(said: Said, host_id: str, mark: Mark, log: str) -> None:
        marks.append(mark)

    intake = Intake(take, "host", SPOOL, 7, lambda: None)
    for number in (8, 11, 12):
        await intake.receive(Report(sequence=number, said=started(number)))
    await intake.settle(5)
    assert [(mark.position, mark.after) for mark in marks] == [(8, 7), (11, 8), (12, 11)]


async def test_a_report_that_cannot_be_stored_ends_the_connection_unacknowledged() -> None:
    rig = Rig(failures=1)
    async with rig.serving(), welcomed(rig) as caller:
        await caller.report(1, 2, 3)
        found, code, reason = await caller.rest()
    assert not [frame for frame in found if isinstance(frame, Ack)]
    assert code == TRY_AGAIN
    assert reason.startswith("try again")
    refuse = next(frame for frame in found if isinstance(frame, Refuse))
    assert not refuse.final
    assert rig.kept == [], "what came behind the failed one was not kept either"


async def test_a_mark_that_cannot_be_looked_up_ends_the_connection() -> None:
    rig = Rig()

    async def broken(host_id: str, spool_id: str) -> int:
        raise StoreError("The database is away.")

    rig.committed = broken  # type: ignore[method-assign]
    async with rig.serving(), calling(rig) as caller:
        await caller.hello()
        _, code, _ = await caller.rest()
    assert code == TRY_AGAIN
    assert len(rig.roster) == 0


async def test_reports_out_of_order_are_refused() -> None:
    rig = Rig()
    async with rig.serving(), welcomed(rig) as caller:
        await caller.report(2, 1)
        found, _, _ = await caller.rest()
    assert isinstance(found[-1], Refuse)
    assert rig.said == [started(2)]


async def test_the_log_of_a_finished_run_is_handed_over() -> None:
    rig = Rig()
    async with rig.serving(), welcomed(rig) as caller:
        await caller.send(Report(sequence=1, said=finished(1, log="restic said this")))
        await caller.next(Ack)
    assert rig.logs == ["restic said this"]


async def test_the_newest_connection_of_a_host_wins() -> None:
    rig = Rig()
    async with rig.serving(), welcomed(rig) as older, welcomed(rig) as newer:
        _, code, _ = await older.rest()
        assert code == REPLACED
        assert len(rig.roster) == 1
        assert rig.judging.presence[HOST.id].connected
        await newer.report(1)
        assert await newer.next(Ack) == Ack(sequence=1)


async def test_the_newer_connection_hears_of_what_the_older_had_under_way() -> None:
    rig = Rig()
    async with rig.serving(), welcomed(rig) as older:
        rig.gate.clear()
        await older.report(1, 2)
        await until(lambda: _true(rig.taking == 2), "both are under way")
        async with calling(rig) as newer:
            await newer.hello()
            await until(lambda: _true(rig.roster.connection(HOST.id) is not None), "the newer one joined")
            rig.gate.set()
            welcome = await newer.next()
            assert welcome.acknowledged == 2
    assert rig.said == [started(1), started(2)]


async def test_a_silent_connection_is_closed() -> None:
    rig = Rig(limits=Limits(silent_seconds=0.1, ping_seconds=60))
    async with rig.serving(), welcomed(rig) as caller:
        _, code, _ = await caller.rest()
    assert code == SILENT
    assert not rig.judging.presence[HOST.id].connected


async def test_any_frame_counts_as_life() -> None:
    rig = Rig(limits=Limits(silent_seconds=0.3, ping_seconds=0.05))
    async with rig.serving(), welcomed(rig) as caller:
        for _ in range(20):
            ping = await caller.next(Ping)
            await caller.send(Pong(nonce=ping.nonce))
        assert HOST.id in rig.roster


async def test_the_round_trip_is_measured_by_the_newest_nonce_only() -> None:
    rig = Rig(limits=Limits(ping_seconds=60))
    async with rig.serving(), welcomed(rig) as caller:
        ping = await caller.next(Ping)
        await caller.send(Pong(nonce="another"), Heartbeat(sent_at=now(), last_sequence=0))
        assert rig.judging.presence[HOST.id].round_trip_seconds is None
        await caller.send(Pong(nonce=ping.nonce))
        trip = await until(lambda: _value(rig.judging.presence[HOST.id].round_trip_seconds), "a round trip")
    assert 0 < trip < 5
    trips = rig.judging.presence[HOST.id].round_trips
    assert (sum(trips.buckets), trips.seconds) == (1, trip)


async def test_the_agents_clock_is_compared_with_ours() -> None:
    rig = Rig()
    async with rig.serving(), welcomed(rig) as caller:
        await caller.send(Heartbeat(sent_at=now() + timedelta(hours=1), last_sequence=0))
        await until(
            lambda: _true((rig.judging.presence[HOST.id].clock_offset_seconds or 0) > 60), "the offset is known"
        )
    offset = rig.judging.presence[HOST.id].clock_offset_seconds
    assert offset == pytest.approx(3600, abs=5)


async def test_an_agent_is_in_step_once_all_it_named_is_committed() -> None:
    rig = Rig()
    async with rig.serving(), welcomed(rig, last_sequence=2) as caller:
        presence = await until(lambda: _value(rig.judging.presence.get(HOST.id)), "it is there")
        assert presence.connected
        assert not presence.synced
        await caller.report(1, 2)
        await until(lambda: _true(rig.judging.presence[HOST.id].synced), "it is in step")
        assert rig.changed == [HOST.id, HOST.id]
        seen_at = rig.judging.presence[HOST.id].seen_at
        assert seen_at is not None
        await caller.send(Heartbeat(sent_at=now(), last_sequence=2))
        await until(
            lambda: _true((rig.judging.presence[HOST.id].observed_at or seen_at) > seen_at), "the heartbeat is seen"
        )
        assert rig.changed == [HOST.id, HOST.id], "a plain heartbeat judges nobody"
        await caller.send(Heartbeat(sent_at=now(), last_sequence=3))
        await until(lambda: _true(not rig.judging.presence[HOST.id].synced), "a report is owed")
    await until(lambda: _true(not rig.judging.presence[HOST.id].connected), "it is gone")
    assert len(rig.changed) == 4


async def test_a_hub_that_goes_down_acknowledges_what_it_has_first() -> None:
    rig = Rig()
    async with rig.serving(), welcomed(rig) as caller:
        rig.gate.clear()
        await caller.report(1, 2, 3)
        await until(lambda: _true(rig.taking == 3), "all are under way")
        closing = asyncio.create_task(rig.roster.close_all(5))
        await asyncio.sleep(0)
        rig.gate.set()
        found, code, _ = await caller.rest()
        await closing
        assert Ack(sequence=3) in found
        assert code == RESTARTING
        assert len(rig.roster) == 0
        async with calling(rig) as late:
            with pytest.raises(ConnectionClosed):
                await late.next()


async def test_the_roster_reaches_an_agent_and_knows_who_is_away() -> None:
    rig = Rig()
    async with rig.serving():
        assert not await rig.roster.cancel(HOST.id, "r")
        async with welcomed(rig) as caller:
            assert await rig.roster.run_now(HOST.id, "r", RunKind.BACKUP, source_id="s")
            assert await caller.next(RunNow) == RunNow(run_id="r", kind=RunKind.BACKUP, source_id="s")
            assert await rig.roster.cancel(HOST.id, "r")
            assert await caller.next(CancelRun) == CancelRun(run_id="r")
            assert await rig.roster.look_now(HOST.id, "p")
            assert await caller.next(LookNow) == LookNow(repository_id="p")
            await caller.send(Applied(version="1", refused=("home: no such zone",)))
            connection = rig.roster.connection(HOST.id)
            assert connection is not None
            await until(lambda: _true(connection.applied == "1"), "the agent's word on its orders")
            assert connection.refused == ("home: no such zone",)
            assert rig.judging.presence[HOST.id].refuses_orders
            await caller.send(Applied(version="2"))
            await until(lambda: _true(not rig.judging.presence[HOST.id].refuses_orders), "it takes the next ones")
        await until(lambda: _true(HOST.id not in rig.roster), "it left")


async def test_nothing_is_sent_before_the_welcome_and_nothing_meant_for_then_is_lost() -> None:
    rig = Rig()
    asked, answer = asyncio.Event(), asyncio.Event()

    async def slowly(host_id: str, spool_id: str) -> int:
        asked.set()
        await answer.wait()
        return 0

    rig.committed = slowly  # type: ignore[method-assign]
    async with rig.serving(), calling(rig) as caller:
        await caller.hello()
        await asked.wait()
        sending = asyncio.create_task(rig.roster.cancel(HOST.id, "r"))
        await asyncio.sleep(0)
        answer.set()
        assert isinstance(await caller.next(), Welcome)
        assert await caller.next() == rig.orders
        assert await caller.next(CancelRun) == CancelRun(run_id="r")
        assert await sending


async def test_a_word_for_an_agent_that_goes_away_in_the_greeting_is_not_waited_for() -> None:
    rig = Rig()
    asked = asyncio.Event()

    async def broken(host_id: str, spool_id: str) -> int:
        asked.set()
        await asyncio.sleep(0)
        raise StoreError("The database is away.")

    rig.committed = broken  # type: ignore[method-assign]
    async with rig.serving(), calling(rig) as caller:
        await caller.hello()
        await asked.wait()
        async with asyncio.timeout(5):
            assert not await rig.roster.cancel(HOST.id, "r")


async def test_progress_is_told_until_the_run_ends() -> None:
    rig = Rig()
    heard: list[float | None] = []
    cancel = rig.roster.progress.subscribe(
        lambda host_id, progress: heard.append(None if progress is None else progress.fraction)
    )
    word = Progress(
        run_id=an_id("run", 1), source_id="s", fraction=0.5, files_done=1, files_total=2, bytes_done=3, bytes_total=4
    )
    async with rig.serving(), welcomed(rig) as caller:
        await caller.send(word)
        await until(lambda: _true(rig.roster.progress.of_run(HOST.id, an_id("run", 1)) == word), "the progress")
        await caller.send(Report(sequence=1, said=finished(1)))
        await caller.next(Ack)
        assert rig.roster.progress.of_host(HOST.id) is None
        cancel()
        await caller.send(word)
        await until(lambda: _true(rig.roster.progress.of_host(HOST.id) == word), "the progress again")
    assert heard == [0.5, None]


async def _true(holds: bool) -> bool:
    return holds


async def _value(value: object) -> object:
    return value
