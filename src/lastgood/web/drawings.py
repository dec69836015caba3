"""What collectors drew, kept written: one rendition after the other, by a worker of its own.

Comes in: the word that a picture was replaced. Goes out: the newest rendition, whole, at once. The one rule: a scrape
never waits for one; it gets the one before, until the next is there in all its parts.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

import structlog

from lastgood.clock import Clock
from lastgood.metrics.family import Instant
from lastgood.metrics.pack import PACKER, Packer
from lastgood.metrics.page import Drawn
from lastgood.metrics.rendition import EMPTY, Rendition, Writer
from lastgood.metrics.vocabulary import Vocabulary

LEAST_PAUSE_SECONDS = 0.05
PAUSE_SHARE = 3
"""After a rendition there is a pause so many times as long: at most a quarter of a core goes into them."""

MOST_PAUSE_SECONDS = 5.0

_log = structlog.get_logger("lastgood.web.drawings")


class Drawings:
    """``pictures`` gives the newest picture of every collector by its name, None for one without; on the loop."""

    def __init__(
        self,
        vocabularies: Iterable[Vocabulary],
        pictures: Callable[[], Mapping[str, object]],
        clock: Clock,
        packer: Packer = PACKER,
    ) -> None:
        self._vocabularies, self._packer = tuple(vocabularies), packer
        self._writer = Writer(self._vocabularies, packer)
        self._pictures, self._clock = pictures, clock
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="drawings")
        self._rendition: Rendition = EMPTY
        self._writing: asyncio.Task[None] | None = None
        self._heard = self._closed = False

    def begin(self) -> None:
        """Write the first one before anybody asks: of servers whose pictures are still to come."""
        self._rendition = self._writer.write(dict(self._pictures()))

    def hear(self) -> None:
        """A picture was replaced."""
        self._heard = True
        if self._writing is None and not self._closed:
            self._writing = asyncio.create_task(self._write(), name="drawings")
            self._writing.add_done_callback(self._ended)

    def drawn(self) -> Drawn:
        """What is told now."""
        now = self._clock()
        return Drawn(self._rendition, Instant(now, int(now.timestamp()), {}))

    def close(self) -> None:
        """Write no more."""
        self._closed = True
        if self._writing is not None:
            self._writing.cancel()
        self._worker.shutdown(wait=False, cancel_futures=True)

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        while self._heard:
            self._heard = False
            begun = time.monotonic()
            pictures = dict(self._pictures())
            self._rendition = await loop.run_in_executor(self._worker, self._writer.write, pictures)
            took = time.monotonic() - begun
            await asyncio.sleep(min(max(LEAST_PAUSE_SECONDS, PAUSE_SHARE * took), MOST_PAUSE_SECONDS))

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._writing = None
        error = None if task.cancelled() else task.exception()
        if error is not None:
            # What was half written is thrown away; the rendition before is told until the next picture comes.
            self._writer = Writer(self._vocabularies, self._packer)
            _log.error("pictures could not be written", exc_info=error)
