"""Pages for scrapers, kept ready: changes are noted at once, read in slices, and written by a worker ahead of time.

Comes in: what changed, by id (``Service.hear``), and requests for pages. Goes out: finished bodies that nobody
changes any more. The one rule: the event loop reads, a few milliseconds at a time, and the worker thread writes; a
page is made only of a moment at which every change told before was read.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeVar

import structlog

from lastgood.fleet.learn import Changes
from lastgood.metrics import VOCABULARIES
from lastgood.metrics.entities import instant, rows_touched
from lastgood.metrics.family import Instant
from lastgood.metrics.own_facts import OwnFacts, ProcessFacts
from lastgood.metrics.pack import PACKER, Packer
from lastgood.metrics.page import Drawn, Made, Page, Wanted
from lastgood.metrics.reading import Batch, Reading, columns_of
from lastgood.metrics.vocabulary import Vocabulary
from lastgood.web.drawings import Drawings
from lastgood.web.process import read_process

SLICE_SECONDS = 0.003
ROWS_A_STEP = 16
ROWS_A_BATCH = 4096
"""Rows read at most before the worker gets them: a whole fleet is never held twice."""

AHEAD_FOR_SECONDS = 300.0
"""Pages that nobody asked for in so long are not kept ready."""

AHEAD_PAUSE_SECONDS = 0.1
AHEAD_SHARE = 9
"""After work ahead there is a pause so many times as long: at most a tenth of a core goes into it."""

MOST_AHEAD = 8

_T = TypeVar("_T")
_log = structlog.get_logger("lastgood.web.exposition")


class Exposition:
    """``moment`` gives the living fleet, or a frozen view; ``own`` what the process knows of itself, on the loop.

    ``drawings`` hold what collectors told, written already: nobody waits for that to be made. They end with this.
    """

    def __init__(
        self,
        *,
        moment: Callable[[], Any],
        own: Callable[[], OwnFacts],
        vocabularies: Sequence[Vocabulary] = VOCABULARIES,
        process: Callable[[], ProcessFacts] = read_process,
        drawings: Drawings | None = None,
        shards: int = 1,
        packer: Packer = PACKER,
    ) -> None:
        self.names = tuple(vocabulary.name for vocabulary in vocabularies)
        self.shards, self.parts_ahead = shards, 0
        self._moment, self._own, self._process, self._drawings = moment, own, process, drawings
        self._vocabularies, self._packer = vocabularies, packer
        self._aged = {v.name for v in vocabularies if any(family.aged is not None for family in v.fleet)}
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="exposition")
        self._turn = asyncio.Lock()
        self._making: dict[Wanted, asyncio.Task[Made]] = {}
        self._taken: asyncio.Task[Any] | None = None
        """Who read last what it writes: later changes are not in its page."""
        self._asked: dict[Wanted, float] = {}
        self._ahead: asyncio.TimerHandle | asyncio.Task[None] | None = None
        self._pause = AHEAD_PAUSE_SECONDS
        self._closed = False
        self._begin()

    def _begin(self) -> None:
        """Everything from nothing."""
        columns = columns_of(self._vocabularies)
        self._reading = Reading(self._vocabularies, columns)
        self._page = Page(self._vocabularies, columns, self.shards, self._packer)

    def close(self) -> None:
        """End the worker once what it does is done; further requests fail."""
        self._closed = True
        if self._ahead is not None:
            self._ahead.cancel()
        if self._drawings is not None:
            self._drawings.close()
        self._worker.shutdown(wait=False, cancel_futures=True)

    def changed(self, changes: Changes) -> None:
        """These may be told otherwise now."""
        things = changes.hosts or changes.sources or changes.repositories
        if self._closed or not (things or changes.alerts or changes.docker or changes.stacks):
            return
        self._reading.stir()
        for kind, ids in rows_touched(self._moment(), changes):
            self._reading.changed(kind, ids)
        self._plan_ahead()

    # --- asked for ------------------------------------------------------------------------------------------------

    async def page(self, wanted: Wanted) -> Made:
        """The page as of now, shared with all who ask before anything changes; who leaves ends nobody else's."""
        self._asked[wanted] = time.monotonic()
        if self._reading.is_current and not self._turn.locked():
            made = self._page.finished(wanted)
            if made is not None:
                return made
        task = self._making.get(wanted)
        if task is None or (task is self._taken and not self._reading.is_current):
            task = asyncio.create_task(self._make(wanted))
            self._making[wanted] = task
            task.add_done_callback(lambda done: self._forget(wanted, done))
        return await asyncio.shield(task)

    def _forget(self, wanted: Wanted, done: asyncio.Task[Made]) -> None:
        if self._making.get(wanted) is done:
            del self._making[wanted]
        if not done.cancelled():
            done.exception()  # seen, even if every scraper that waited has left

    async def _make(self, wanted: Wanted) -> Made:
        async with self._turn:
            drawn = None if self._drawings is None else self._drawings.drawn()
            return await self._work(
                wanted.names, lambda rendered, now, own: self._made(wanted, rendered, now, own, drawn)
            )

    def _made(
        self, wanted: Wanted, rendered: int, now: Instant | None, own: Callable[[], OwnFacts], drawn: Drawn | None
    ) -> Made:
        made = self._page.make(wanted, now, own, drawn)
        return Made(made.body, made.rendered + rendered, max(made.reused - rendered, 0))

    # --- ahead ----------------------------------------------------------------------------------------------------

    def _plan_ahead(self) -> None:
        if self._ahead is None and not self._reading.is_current and self._wanted_again():
            self._ahead = asyncio.get_running_loop().call_later(self._pause, self._begin_ahead)

    def _wanted_again(self) -> list[Wanted]:
        """The pages that are likely to be asked for again, newest first; forgets the others."""
        until = time.monotonic() - AHEAD_FOR_SECONDS
        newest = sorted(self._asked.items(), key=lambda pair: -pair[1])[:MOST_AHEAD]
        self._asked = {wanted: at for wanted, at in newest if at >= until}
        return list(self._asked)

    def _begin_ahead(self) -> None:
        self._ahead = asyncio.create_task(self._go_ahead(), name="exposition")
        self._ahead.add_done_callback(self._ahead_ended)

    async def _go_ahead(self) -> None:
        wanted = self._wanted_again()

        def prepare(rendered: int, now: Instant | None, own: Callable[[], OwnFacts]) -> None:
            self.parts_ahead += rendered
            for page in wanted:
                self._page.prepare(page, now, own)

        async with self._turn:
            begun = time.monotonic()
            await self._work((), prepare)
            self._pause = max(AHEAD_PAUSE_SECONDS, AHEAD_SHARE * (time.monotonic() - begun))

    def _ahead_ended(self, task: asyncio.Task[None]) -> None:
        self._ahead = None
        if task.cancelled() or self._closed:
            return
        if task.exception() is not None:  # the next request makes everything anew, and fails itself if it must
            _log.error("pages could not be kept ready", exc_info=task.exception())
        self._plan_ahead()

    # --- reading and writing --------------------------------------------------------------------------------------

    async def _work(
        self, names: Iterable[str], act: Callable[[int, Instant | None, Callable[[], OwnFacts]], _T]
    ) -> _T:
        """Read what changed, have it written, and act on the pages in the worker; in its turn only."""
        loop = asyncio.get_running_loop()
        try:
            moment = self._moment()
            self._reading.begin(names, moment)
            rendered = await self._catch_up(moment)
            # From here to the worker nothing is awaited: all that it gets is of one moment.
            self._taken = asyncio.current_task()
            batch, now, facts = self._reading.take(moment), self._instant(moment, names), self._own()

            def own() -> OwnFacts:
                return replace(facts, process=self._process())

            def write() -> _T:
                return act(rendered + self._page.apply(batch), now, own)

            return await loop.run_in_executor(self._worker, write)
        except BaseException:
            self._begin()  # what was read may not be written: what is kept cannot be trusted
            raise

    def _instant(self, moment: Any, names: Iterable[str]) -> Instant | None:
        """The clock and all presence, held still, for pages that tell of it; else nothing is copied."""
        now = instant(moment) if self._aged.intersection(names) else None
        return (
            None
            if now is None
            else replace(now, presence=dict(now.presence), repository_evidence=dict(now.repository_evidence))
        )

    async def _catch_up(self, moment: Any) -> int:
        """Read until nothing is behind; the parts that were written on the way."""
        rendered, slice_ends = 0, time.monotonic() + SLICE_SECONDS
        while self._reading.behind:
            self._reading.read(moment, ROWS_A_STEP)
            if time.monotonic() < slice_ends:
                continue
            if self._reading.held >= ROWS_A_BATCH:
                rendered += await self._write(self._reading.take_some())
            else:
                await asyncio.sleep(0)
            slice_ends = time.monotonic() + SLICE_SECONDS
        return rendered

    async def _write(self, batch: Batch) -> int:
        return await asyncio.get_running_loop().run_in_executor(self._worker, self._page.apply, batch)
