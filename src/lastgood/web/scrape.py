"""The scrape endpoint, ``/metrics``: gate, negotiation, rendering in a worker thread, one whole answer.

Comes in: an HTTP request, a frozen view of the fleet, what the process knows of itself. Goes out: a body in the
format, compression and vocabularies that were asked for. The one rule: a scrape reads memory; it waits for no backup
system, no disk and no lock. Follows what Prometheus 2.42 to 3.14 send and take.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import structlog

from lastgood.auth.gate import Admission, FindToken, Gate, no_tokens
from lastgood.fleet.fleet import FleetView
from lastgood.metrics import VOCABULARIES
from lastgood.metrics.negotiate import asked_vocabularies, body_format, takes_gzip
from lastgood.metrics.own_facts import OwnFacts, ProcessFacts, ScrapeFacts
from lastgood.metrics.text import Format, chunks
from lastgood.metrics.vocabulary import Vocabulary, sections
from lastgood.web.asgi import READ_METHODS, Receive, Scope, Send, answer, header_lines, refuse_method, say
from lastgood.web.compress import gzip_body
from lastgood.web.process import read_process

PATH = "/metrics"

MOST_REQUESTS = 40
"""Scrapes answered at once; one more is sent away rather than queued without end."""

WORKERS = 2
RETRY_AFTER_SECONDS = 5

_REFUSALS = {
    401: "Not authorized.",
    403: "This token may not read metrics.",
    404: "There is no such page.",
}

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What makes two requests share one rendering."""

    format: Format
    gzip: bool
    names: tuple[str, ...]


class Scrape:
    """The endpoint as an ASGI app. ``view`` and ``own`` are asked on the event loop, once a rendering.

    ``tokens_exist`` and ``find_token`` look API tokens up in memory (``auth.gate``). Its own counters are added to
    ``own()``, and so is the process as the kernel sees it.
    """

    def __init__(
        self,
        *,
        view: Callable[[], FleetView],
        own: Callable[[], OwnFacts],
        gate: Gate,
        tokens_exist: Callable[[], bool] = lambda: False,
        find_token: FindToken = no_tokens,
        vocabularies: Sequence[Vocabulary] = VOCABULARIES,
        process: Callable[[], ProcessFacts] = read_process,
        path: str = PATH,
        most_requests: int = MOST_REQUESTS,
    ) -> None:
        self._view, self._own, self._process = view, own, process
        self._gate, self._tokens_exist, self._find_token = gate, tokens_exist, find_token
        self._vocabularies = {vocabulary.name: vocabulary for vocabulary in vocabularies}
        self._path, self._most_requests = path, most_requests
        self._answering = 0
        self._rendering: dict[_Wanted, asyncio.Task[bytes]] = {}
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="scrape")
        self.facts = ScrapeFacts()

    def close(self) -> None:
        """End the worker threads once their renderings are done; further requests fail."""
        self._workers.shutdown(wait=False, cancel_futures=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != self._path:  # a mount also gets what lies below its path
            await say(scope, send, 404, _REFUSALS[404])
            return
        self.facts = replace(self.facts, requests=self.facts.requests + 1)
        admission = self._admit(scope)
        if not admission.granted:
            self.facts = replace(self.facts, refused=self.facts.refused + 1)
            log.info("scrape refused", status=admission.status, reason=admission.reason)
            challenge = [("www-authenticate", "Bearer")] if admission.www_authenticate else []
            await say(scope, send, admission.status, _REFUSALS[admission.status], challenge)
        elif scope["method"] not in READ_METHODS:
            await refuse_method(scope, send)
        elif self._answering >= self._most_requests:
            self.facts = replace(self.facts, overloaded=self.facts.overloaded + 1)
            retry = ("retry-after", str(RETRY_AFTER_SECONDS))
            await say(scope, send, 503, "Too many scrapes at once; try again later.", [retry])
        else:
            self._answering += 1
            try:
                await self._answer(scope, send)
            finally:
                self._answering -= 1

    def _admit(self, scope: Scope) -> Admission:
        client = scope.get("client")
        return self._gate.admit(
            header_lines(scope, b"authorization"),
            client[0] if client else None,
            header_lines(scope, b"x-forwarded-for"),
            tokens_exist=self._tokens_exist(),
            find_token=self._find_token,
        )

    async def _answer(self, scope: Scope, send: Send) -> None:
        asked = asked_vocabularies(scope["query_string"].decode("latin-1"), tuple(self._vocabularies))
        if asked.fault is not None:
            await say(scope, send, 400, asked.fault)
            return
        wanted = _Wanted(
            body_format(",".join(header_lines(scope, b"accept"))),
            takes_gzip(",".join(header_lines(scope, b"accept-encoding"))),
            asked.names,
        )
        try:
            body = await self._body(wanted)
        except Exception:  # a request is one of the five places: it fails alone, counted and logged
            self.facts = replace(self.facts, failures=self.facts.failures + 1)
            log.exception("scrape failed", vocabularies=wanted.names)
            await say(scope, send, 500, "The page could not be made; lastgood's log says why.")
            return
        headers = [
            ("content-type", wanted.format.value),
            ("vary", "Accept, Accept-Encoding"),
            ("cache-control", "no-store"),
        ]
        if wanted.gzip:
            headers.append(("content-encoding", "gzip"))
        await answer(scope, send, 200, headers, body)

    async def _body(self, wanted: _Wanted) -> bytes:
        """The body of the rendering in progress, or of a new one; a scraper that leaves ends nobody else's."""
        task = self._rendering.get(wanted)
        if task is None:
            task = asyncio.create_task(self._render(wanted))
            self._rendering[wanted] = task
            task.add_done_callback(lambda done: self._forget(wanted, done))
        return await asyncio.shield(task)

    def _forget(self, wanted: _Wanted, done: asyncio.Task[bytes]) -> None:
        del self._rendering[wanted]
        if not done.cancelled():
            done.exception()  # seen, even if every scraper that waited has left

    async def _render(self, wanted: _Wanted) -> bytes:
        view, facts = self._view(), replace(self._own(), scrape=self.facts)
        loop = asyncio.get_running_loop()
        body, seconds = await loop.run_in_executor(self._workers, self._write, wanted, view, facts)
        self.facts = replace(self.facts, duration_seconds=seconds, size_bytes=len(body))
        return body

    def _write(self, wanted: _Wanted, view: FleetView, facts: OwnFacts) -> tuple[bytes, float]:
        """The body and how long it took; runs in a worker thread."""
        begun = time.perf_counter()
        chosen = [self._vocabularies[name] for name in wanted.names]
        pieces = chunks(sections(chosen, view, replace(facts, process=self._process())), wanted.format)
        body = gzip_body(pieces) if wanted.gzip else b"".join(pieces)
        return body, time.perf_counter() - begun
