"""A stand-alone exporter: some collectors on their timetables, and one port to scrape; no hub, no database.

Comes in: collectors that are ready to begin, and a bound socket. Goes out: ``/metrics`` and the paths beside it. The
one rule: what a scrape gets was collected and written before; it never waits for a server, and what was told once
is told until there is something newer.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from lastgood.auth.gate import Gate
from lastgood.clock import Clock
from lastgood.collect.collector import Collector
from lastgood.collect.timetable import Timetable
from lastgood.exporter.pages import health, info
from lastgood.metrics import own
from lastgood.metrics.own_facts import CollectorFacts, OwnFacts, ScrapeFacts
from lastgood.metrics.vocabulary import Vocabulary
from lastgood.model.collected import Report
from lastgood.web.accepting import most_connections
from lastgood.web.asgi import App, Receive, Scope, Send, say
from lastgood.web.door import REFUSALS, Door
from lastgood.web.drawings import Drawings
from lastgood.web.exposition import Exposition
from lastgood.web.health import health_routes
from lastgood.web.patience import Patience
from lastgood.web.process import read_build
from lastgood.web.scrape import PATH, Scrape
from lastgood.web.server import HubServer

END_SECONDS = 3.5
"""Whoever supervises us waits ten seconds; what is not over by then is left to the kernel."""

log = structlog.get_logger("lastgood.exporter")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A vocabulary under a path of its own; ``words`` say what it is, for the page at ``/``."""

    path: str
    words: str
    vocabularies: tuple[Vocabulary, ...]


def main_page(vocabulary: Vocabulary) -> Page:
    """``/metrics``: the vocabulary, and how the exporter itself is doing."""
    return Page(path=PATH, words="for Prometheus", vocabularies=(vocabulary, own.VOCABULARY))


class Exporter:
    """``title`` stands on the page at ``/``."""

    def __init__(
        self, *, title: str, collectors: Sequence[Collector], pages: Sequence[Page], gate: Gate, clock: Clock
    ) -> None:
        self._collectors, self._gate, self._clock = collectors, gate, clock
        self._timetables = {one.name: Timetable(one, clock, _untold) for one in collectors}
        self._build = read_build()
        self._drawings: list[Drawings] = []
        self._scrapes: list[Scrape] = []
        self._ending: str | None = None
        self._tasks: list[asyncio.Task[None]] = []
        routes: dict[str, App] = {page.path: self._scrape(page) for page in pages}
        routes["/"] = info(title, [*((page.path, page.words) for page in pages), ("/health", "whether it lives")])
        routes["/health"] = health(clock, self._drawn_at)
        routes |= health_routes(lambda: self._ending)
        self.app: App = _Paths(routes)

    def _scrape(self, page: Page) -> Scrape:
        drawings = Drawings(page.vocabularies, self._pictures, self._clock)
        for collector in self._collectors:
            collector.hear(drawings.hear)
        exposition = Exposition(
            moment=lambda: None,  # nothing here is of a fleet
            own=lambda: self._own_facts(scrape.facts),
            vocabularies=page.vocabularies,
            drawings=drawings,
        )
        scrape = Scrape(exposition, Door(self._gate), path=page.path)
        self._drawings.append(drawings)
        self._scrapes.append(scrape)
        return scrape

    def _pictures(self) -> Mapping[str, object]:
        return {one.name: one.picture for one in self._collectors}

    def _drawn_at(self) -> list[datetime | None]:
        return [getattr(one.picture, "at", None) for one in self._collectors]

    def _own_facts(self, scrape: ScrapeFacts) -> OwnFacts:
        collectors = {
            f"{name}/{probe}": CollectorFacts(
                success=facts.success,
                duration_seconds=facts.took_seconds,
                last_success_at=facts.succeeded_at,
                failures=facts.failures,
            )
            for name, timetable in self._timetables.items()
            for probe, facts in timetable.facts.items()
        }
        public = self._gate.token is None and not self._gate.networks
        return OwnFacts(build=self._build, collectors=collectors, scrape=scrape, metrics_public=public)

    async def serve(self, bound: socket.socket, stop: asyncio.Event) -> int:
        """Collect and answer until ``stop`` is set; 0, or 1 if something else ended first."""
        server = HubServer(self.app, bound, patience=Patience(most=most_connections()))
        for drawings in self._drawings:
            drawings.begin()
        try:
            await server.start()
            self._tasks = [
                asyncio.create_task(timetable.run(), name=name) for name, timetable in self._timetables.items()
            ]
            told, ended = asyncio.create_task(stop.wait()), asyncio.create_task(server.ended())
            await asyncio.wait([told, ended, *self._tasks], return_when=asyncio.FIRST_COMPLETED)
            told.cancel()
            ended.cancel()
            for broken in [task for task in self._tasks if task.done()]:
                broken.result()
            return 0 if stop.is_set() else 1
        finally:
            self._ending = "The exporter is ending."
            await self._end(server)

    async def _end(self, server: HubServer) -> None:
        for task in self._tasks:
            task.cancel()
        ending = [asyncio.ensure_future(server.stop()), *self._tasks]
        _, late = await asyncio.wait(ending, timeout=END_SECONDS)
        if late:
            log.warning("not all ended in order", late=sorted(task.get_name() for task in late))
        for scrape in self._scrapes:
            scrape.close()


async def _untold(_reports: Sequence[Report]) -> None:
    """Reports are for the hub's judge; an exporter tells its pictures alone."""


class _Paths:
    """The paths that there are, exactly."""

    def __init__(self, routes: Mapping[str, App]) -> None:
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
            return
        app = self._routes.get(scope["path"])
        if app is None:
            await say(scope, send, 404, REFUSALS[404])
        else:
            await app(scope, receive, send)
