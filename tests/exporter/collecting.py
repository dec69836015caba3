"""A collector for tests whose picture is set by hand, and an exporter of it on a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import httpx

from lastgood.auth.gate import Gate
from lastgood.clock import now
from lastgood.collect.collector import Probe
from lastgood.config.values import Listen
from lastgood.exporter.exporter import Exporter, Page, main_page
from lastgood.metrics import pbs
from lastgood.metrics.pbs import natrontech
from lastgood.model.collected import Report
from lastgood.web.server import listen_on

PAGES = (
    main_page(pbs.VOCABULARY),
    Page(path=natrontech.PATH, words="other names", vocabularies=(natrontech.VOCABULARY,)),
)


class Drawn:
    """A collector that asks nobody: somebody hands it pictures."""

    def __init__(self, name: str = "pbs") -> None:
        self.name = name
        self.picture: Any = None
        self.ended = False
        self._hearers: list[Callable[[], None]] = []
        self.probes: Sequence[Probe] = (
            Probe(
                name="fast",
                interval=timedelta(seconds=30),
                deadline=timedelta(seconds=5),
                collect=self._nothing,
            ),
        )

    async def _nothing(self) -> AsyncIterator[Report]:
        if self.ended:  # a generator that yields nothing
            yield None  # type: ignore[misc]

    def hear(self, heard: Callable[[], None]) -> None:
        self._hearers.append(heard)

    def draw(self, picture: Any) -> None:
        self.picture = picture
        for heard in self._hearers:
            heard()

    async def begin(self) -> None:
        return

    async def end(self) -> None:
        self.ended = True


@asynccontextmanager
async def exporting(
    *collectors: Drawn, gate: Gate | None = None, clock: Callable[[], datetime] = now
) -> AsyncIterator[httpx.AsyncClient]:
    """An exporter that serves while the block runs."""
    exporter = Exporter(
        title="PBS <exporter>",
        collectors=collectors,
        pages=PAGES,
        gate=gate or Gate(auth=False),
        clock=clock,
    )
    bound, stop = listen_on(Listen("127.0.0.1", 0)), asyncio.Event()
    port = bound.getsockname()[1]
    serving = asyncio.create_task(exporter.serve(bound, stop))
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=20) as client:
            while not await _answers(client):
                assert not serving.done(), serving.result()
            yield client
    finally:
        stop.set()
        assert await serving == 0


async def _answers(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/health")).status_code == 200
    except httpx.TransportError:
        await asyncio.sleep(0.01)
        return False
