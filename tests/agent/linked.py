"""An agent's link with a real spool, for a hub on the other end of a loopback socket."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

from lastgood.agent.backoff import Backoff
from lastgood.agent.handshake import HubRefused, Pinned
from lastgood.agent.link import Described, Link, Order, Seams
from lastgood.agent.spool import Spool
from lastgood.auth.identity import KeyPair
from lastgood.clock import now
from tests.hub.rig import AGENT_KEYS, HOST, HUB_KEYS, INFO


class Linked:
    """A link that runs in the background, and what came over it."""

    def __init__(
        self, url: str, spool: Spool, hub_key: bytes, keys: KeyPair, trust: ssl.SSLContext | None = None
    ) -> None:
        self.spool = spool
        self.orders: asyncio.Queue[Order] = asyncio.Queue()
        self.surveys_asked = 0
        pinned = Pinned(host_id=HOST.id, keys=keys, hub_key=hub_key)
        seams = Seams(describe=self._describe, receive=self.orders.put, survey_all=self._survey_all)
        self.link = Link(url, pinned, spool, seams, now, Backoff(0.005, 0.05), trust)
        self.running: asyncio.Task[None] | None = None

    def start(self) -> None:
        self.running = asyncio.create_task(self.link.run())

    async def refused(self) -> str:
        """The reason for which the link ended by itself."""
        assert self.running is not None
        try:
            async with asyncio.timeout(10):
                await self.running
        except HubRefused as refused:
            return str(refused)
        raise AssertionError("the link ended without a reason")

    async def stop(self) -> None:
        if self.running is not None:
            self.running.cancel()
            await asyncio.gather(self.running, return_exceptions=True)

    async def _describe(self) -> Described:
        return Described(info=INFO, hostname="web-1", assignment_version=None, running=())

    def _survey_all(self) -> None:
        self.surveys_asked += 1


@contextlib.asynccontextmanager
async def linked(
    url: str,
    folder: Path,
    *,
    hub_key: bytes = HUB_KEYS.public_key,
    keys: KeyPair = AGENT_KEYS,
    start: bool = True,
    trust: ssl.SSLContext | None = None,
) -> AsyncIterator[Linked]:
    """A link to the hub at ``url`` with the spool in ``folder``, ended with the block."""
    spool = await Spool.open(folder / "spool.db", now)
    one = Linked(url, spool, hub_key, keys, trust)
    if start:
        one.start()
    try:
        yield one
    finally:
        await one.stop()
        await spool.close()
