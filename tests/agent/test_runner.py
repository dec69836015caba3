"""One run at a time, each source once in the line, and no wish without an answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta

from lastgood.agent.runner import Runner, Work
from lastgood.model.job import RunKind
from lastgood.wire.frames import RunNow
from tests.agent.test_schedule import NOON, an_order


class Bench:
    """A runner whose work is done when the test says so."""

    def __init__(self) -> None:
        self.begun: asyncio.Queue[Work] = asyncio.Queue()
        self.done: asyncio.Queue[None] = asyncio.Queue()
        self.dropped: list[tuple[str, str]] = []
        self.at_once = 0
        self.runner = Runner(self._perform, self._drop, lambda: NOON)

    async def _perform(self, work: Work) -> None:
        self.at_once += 1
        assert self.at_once == 1, "two runs at once"
        await self.begun.put(work)
        finished = asyncio.ensure_future(self.done.get())
        cancelled = asyncio.ensure_future(work.cancel.wait())
        await asyncio.wait((finished, cancelled), return_when=asyncio.FIRST_COMPLETED)
        finished.cancel()
        cancelled.cancel()
        self.at_once -= 1

    async def _drop(self, work: Work, reason: str) -> None:
        self.dropped.append((work.run_id, reason))

    async def next(self) -> Work:
        async with asyncio.timeout(5):
            return await self.begun.get()


@contextlib.asynccontextmanager
async def a_bench() -> AsyncIterator[Bench]:
    bench = Bench()
    running = asyncio.create_task(bench.runner.run())
    try:
        yield bench
    finally:
        async with asyncio.timeout(5):
            await bench.runner.stop()
            await running


def a_wish(run_id: str, source_id: str = "s") -> RunNow:
    return RunNow(run_id=run_id, kind=RunKind.BACKUP, source_id=source_id)


async def test_sources_run_one_after_the_other_in_the_order_they_came() -> None:
    async with a_bench() as bench:
        for name in ("a", "b", "c"):
            bench.runner.fire(an_order(name), NOON)
        order = []
        for _ in range(3):
            order.append((await bench.next()).source_id)
            bench.done.put_nowait(None)
    assert order == ["a", "b", "c"]


async def test_a_source_that_waits_already_runs_once_for_the_newer_moment() -> None:
    async with a_bench() as bench:
        bench.runner.fire(an_order("busy"), NOON)
        await bench.next()
        for hours in range(3):
            bench.runner.fire(an_order("s"), NOON + timedelta(hours=hours))
        bench.done.put_nowait(None)
        work = await bench.next()
        assert work.due_at == NOON + timedelta(hours=2)
        assert bench.runner.running == (work.run_id,)


async def test_a_source_due_again_while_it_runs_runs_once_more() -> None:
    async with a_bench() as bench:
        bench.runner.fire(an_order("s"), NOON)
        first = await bench.next()
        bench.runner.fire(an_order("s"), NOON + timedelta(hours=1))
        bench.done.put_nowait(None)
        second = await bench.next()
        assert second.run_id != first.run_id


async def test_a_wish_takes_the_place_of_a_due_run_and_its_moment() -> None:
    async with a_bench() as bench:
        bench.runner.fire(an_order("busy"), NOON)
        await bench.next()
        bench.runner.fire(an_order("s"), NOON)
        await bench.runner.wish(a_wish("mine"))
        bench.done.put_nowait(None)
        work = await bench.next()
        assert (work.run_id, work.due_at, work.wished) == ("mine", NOON, True)
        assert bench.runner.running == ("mine",)


async def test_a_second_wish_for_the_same_source_is_answered_at_once() -> None:
    async with a_bench() as bench:
        bench.runner.fire(an_order("busy"), NOON)
        await bench.next()
        await bench.runner.wish(a_wish("mine"))
        await bench.runner.wish(a_wish("yours"))
        assert [run_id for run_id, _ in bench.dropped] == ["yours"]
        assert "mine" in bench.dropped[0][1]


async def test_a_run_is_cancelled_where_it_is() -> None:
    async with a_bench() as bench:
        bench.runner.fire(an_order("busy"), NOON)
        current = await bench.next()
        await bench.runner.wish(a_wish("waiting"))
        await bench.runner.cancel("waiting")
        await bench.runner.cancel("unknown")
        assert [run_id for run_id, _ in bench.dropped] == ["waiting"]
        assert not current.cancel.is_set()
        await bench.runner.cancel(current.run_id)
        assert current.cancel.is_set()


async def test_a_stop_interrupts_what_runs_and_answers_the_wishes_that_wait() -> None:
    bench = Bench()
    running = asyncio.create_task(bench.runner.run())
    bench.runner.fire(an_order("busy"), NOON)
    current = await bench.next()
    bench.runner.fire(an_order("due"), NOON)
    await bench.runner.wish(a_wish("wished", "other"))
    async with asyncio.timeout(5):
        await bench.runner.stop()
        await running
    assert current.cancel.is_set()
    assert [run_id for run_id, _ in bench.dropped] == ["wished"]
    assert bench.begun.empty()
