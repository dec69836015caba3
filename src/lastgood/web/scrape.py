"""The scrape endpoint, ``/metrics``: gate, negotiation, and the page that is kept ready, in one answer.

Comes in: an HTTP request and the pages of ``web/exposition.py``. Goes out: a body in the format, encoding and
vocabularies that were asked for. The one rule: a scrape reads memory; it waits for no backup system, no disk and no
lock. What wants no gzip gets the same body inflated on its way. Follows what Prometheus 2.42 to 3.14 send and take.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import structlog

from lastgood.metrics.negotiate import asked_page, body_format, takes_gzip
from lastgood.metrics.own_facts import NO_ANSWERS, ScrapeFacts
from lastgood.metrics.pack import PACKER, Body
from lastgood.metrics.page import Made, Wanted
from lastgood.metrics.text import Format
from lastgood.web.asgi import READ_METHODS, Receive, Scope, Send, answer_in_pieces, header_lines, refuse_method, say
from lastgood.web.door import REFUSALS, Door
from lastgood.web.exposition import Exposition

PATH = "/metrics"

MOST_REQUESTS = 40
"""Scrapes answered at once; one more is sent away rather than queued without end."""

LARGE_BYTES = 1024 * 1024
"""Uncompressed pages from this size on are counted and limited."""

SEND_SECONDS = 300.0
"""Who takes a page so slowly has given it up; what it holds is needed by others."""

RETRY_AFTER_SECONDS = 5
WORKERS = 2

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a request wants, read from its query and headers."""

    page: Wanted
    gzip: bool

    @property
    def key(self) -> tuple[str, str]:
        """Under which its answer is counted."""
        return self.page.format.name.lower(), "gzip" if self.gzip else "identity"


class Scrape:
    """The endpoint as an ASGI app. ``facts`` are its own counters, for the pages to tell."""

    def __init__(
        self,
        pages: Exposition,
        door: Door,
        *,
        path: str = PATH,
        most_requests: int = MOST_REQUESTS,
        uncompressed_at_once: int = 2,
    ) -> None:
        self._pages, self._door, self._path = pages, door, path
        self._most_requests, self._answering = most_requests, 0
        self._most_large, self._large = uncompressed_at_once, 0
        self._inflaters = ThreadPoolExecutor(WORKERS, thread_name_prefix="inflate")
        self._facts = ScrapeFacts()

    @property
    def facts(self) -> ScrapeFacts:
        return replace(self._facts, parts_ahead=self._pages.parts_ahead)

    def close(self) -> None:
        """End the worker threads once their work is done; further requests fail."""
        self._pages.close()
        self._inflaters.shutdown(wait=False, cancel_futures=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != self._path:  # a mount also gets what lies below its path
            await say(scope, send, 404, REFUSALS[404])
            return
        admission = self._door.admit(scope)
        if not admission.granted:
            self._facts = replace(self._facts, refused=self._facts.refused + 1)
            await self._door.turn_away(scope, send, admission)
        elif scope["method"] not in READ_METHODS:
            await refuse_method(scope, send)
        elif self._answering >= self._most_requests:
            await self._send_away(scope, send, "Too many scrapes at once; try again later.")
        else:
            self._answering += 1
            try:
                await self._answer(scope, send)
            finally:
                self._answering -= 1

    async def _answer(self, scope: Scope, send: Send) -> None:
        query = asked_page(scope["query_string"].decode("latin-1"), self._pages.names, self._pages.shards)
        if query.fault is not None:
            await say(scope, send, 400, query.fault)
            return
        format_ = body_format(",".join(header_lines(scope, b"accept")))
        gzip = takes_gzip(",".join(header_lines(scope, b"accept-encoding")))
        asked = _Asked(Wanted(query.names, format_, query.shard), gzip)
        self._count(asked, requests=1)
        begun = time.monotonic()
        try:
            made = await self._pages.page(asked.page)
        except Exception:  # a request is one of the five places: it fails alone, counted and logged
            self._facts = replace(self._facts, failures=self._facts.failures + 1)
            log.exception("scrape failed", vocabularies=query.names)
            await say(scope, send, 500, "The page could not be made; lastgood's log says why.")
            return
        if gzip:
            self._note(asked, made, made.body.size, time.monotonic() - begun)
            await self._send(scope, send, format_, made.body.size, _each(made.body.buffers), encoding="gzip")
            return
        if made.body.clear_size < LARGE_BYTES:
            self._note(asked, made, made.body.clear_size, time.monotonic() - begun)
            await self._send(scope, send, format_, made.body.clear_size, self._inflated(made.body))
            return
        if self._large >= self._most_large:
            await self._send_away(scope, send, "Too many large pages are sent uncompressed; take gzip, or try later.")
            return
        self._large += 1
        try:
            self._note(asked, made, made.body.clear_size, time.monotonic() - begun)
            await self._send(scope, send, format_, made.body.clear_size, self._inflated(made.body))
        finally:
            self._large -= 1

    async def _send_away(self, scope: Scope, send: Send, sentence: str) -> None:
        self._facts = replace(self._facts, overloaded=self._facts.overloaded + 1)
        await say(scope, send, 503, sentence, [("retry-after", str(RETRY_AFTER_SECONDS))])

    async def _send(
        self,
        scope: Scope,
        send: Send,
        format_: Format,
        size: int,
        pieces: AsyncIterator[bytes],
        encoding: str | None = None,
    ) -> None:
        headers = [
            ("content-type", format_.value),
            ("vary", "Accept, Accept-Encoding"),
            ("cache-control", "no-store"),
        ]
        if encoding is not None:
            headers.append(("content-encoding", encoding))
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await answer_in_pieces(scope, send, 200, headers, size, pieces)
        except TimeoutError:
            log.warning("a scraper took its page too slowly and was cut off", seconds=SEND_SECONDS)

    async def _inflated(self, body: Body) -> AsyncIterator[bytes]:
        """The text of a body, made in a worker as fast as it is taken."""
        loop = asyncio.get_running_loop()
        texts = PACKER.clear(body)
        while (text := await loop.run_in_executor(self._inflaters, _next, texts)) is not None:
            yield text

    # --- counted --------------------------------------------------------------------------------------------------

    def _note(self, asked: _Asked, made: Made, size: int, seconds: float) -> None:
        self._count(asked, bytes=size, wait_seconds=seconds, parts_rendered=made.rendered, parts_reused=made.reused)
        self._facts = replace(self._facts, duration_seconds=seconds, size_bytes=size)

    def _count(self, asked: _Asked, **more: float) -> None:
        held = self._facts.answers.get(asked.key, NO_ANSWERS)
        counted = replace(held, **{name: getattr(held, name) + count for name, count in more.items()})
        self._facts = replace(self._facts, answers={**self._facts.answers, asked.key: counted})


async def _each(buffers: tuple[bytes, ...]) -> AsyncIterator[bytes]:
    for buffer in buffers:
        yield buffer


def _next(texts: Iterator[bytes]) -> bytes | None:
    return next(texts, None)
