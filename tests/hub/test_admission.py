"""A fleet that comes back at once is let in one after the other, and nobody waits for who has gone again."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from lastgood.hub.admission import Admission
from lastgood.hub.session import serve as serve_session
from lastgood.wire.frames import Assignment, Challenge, Refuse
from tests.hub.pipe import piped
from tests.hub.rig import Rig
from tests.waiting import until


@pytest.fixture
def rig() -> Rig:
    made = Rig()
    made.roster.admission = Admission(at_once=2, wait_seconds=0.3)
    return made


def connection(rig: Rig):
    return piped(lambda socket: serve_session(socket, rig.seams()))


async def test_who_is_not_yet_greeted_waits_and_hears_nothing(rig: Rig) -> None:
    rig.roster.admission = Admission(at_once=2, wait_seconds=20)
    async with connection(rig) as first, connection(rig) as second, connection(rig) as third:
        await first.next(Challenge)
        await second.next(Challenge)

        async def waits() -> bool:
            return rig.roster.admission.waiting == 1

        await until(waits, "the third waits")
        first.socket.pipe.hang_up()  # type: ignore[attr-defined]
        await third.hello()
        await third.next(Assignment)


async def test_who_was_greeted_makes_room_although_it_stays(rig: Rig) -> None:
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(5):
            caller = await stack.enter_async_context(connection(rig))
            await caller.hello()
            await caller.next(Assignment)


async def test_who_waited_too_long_is_told_to_come_again(rig: Rig) -> None:
    async with connection(rig) as first, connection(rig) as second, connection(rig) as third:
        await first.next(Challenge)
        await second.next(Challenge)
        refusal = await third.next(Refuse)
        assert "try again: many agents come at once" in refusal.reason
        assert not refusal.final
    assert rig.roster.admission.waiting == 0
    async with asyncio.timeout(1):
        turn = await rig.roster.admission.turn()
        other = await rig.roster.admission.turn()
    turn.over()
    turn.over()
    other.over()
