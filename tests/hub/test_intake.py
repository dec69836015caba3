"""How much of one connection may wait for its commit: so many reports, and so many bytes of them."""

from __future__ import annotations

import asyncio
from typing import Any

from lastgood.hub.intake import WINDOW, WINDOW_BYTES, Intake
from lastgood.wire.frames import Report
from tests.hub.rig import SPOOL, started
from tests.waiting import until

LARGE = WINDOW_BYTES // 2


class Store:
    """Takes what it is given once the test lets it."""

    def __init__(self) -> None:
        self.taking = 0
        self.open = asyncio.Event()

    async def take(self, *_: Any) -> None:
        self.taking += 1
        await self.open.wait()


async def tell(intake: Intake, count: int, size: int) -> None:
    for number in range(1, count + 1):
        await intake.receive(Report(sequence=number, said=started(number)), size)


async def _is(condition: bool) -> bool:
    return condition


async def held_up_at(count: int, size: int) -> int:
    """How many reports are under way while nothing is committed; all are once it is."""
    store = Store()
    intake = Intake(store.take, "host", SPOOL, 0, lambda: None)
    telling = asyncio.create_task(tell(intake, count, size))
    held = -1
    while held != store.taking:  # until nothing moves any more
        held = store.taking
        for _ in range(count + 10):
            await asyncio.sleep(0)
    assert not telling.done()
    store.open.set()
    await until(lambda: _is(intake.committed == count), "all are committed")
    await telling
    assert intake.held_bytes == 0
    return held


async def test_large_reports_fill_the_window_by_their_bytes() -> None:
    assert await held_up_at(10, LARGE) == 2


async def test_small_reports_fill_it_by_their_number() -> None:
    assert await held_up_at(WINDOW + 10, 100) == WINDOW


async def test_a_report_larger_than_the_window_passes_alone() -> None:
    assert await held_up_at(3, 2 * WINDOW_BYTES) == 1
