"""A socket in memory between a real session and a ``Caller``: for so many connections that real ones took too long.

``piped`` runs whatever serves a socket (``Service.serve_agent``) and raises what broke it, so a session that ends in
an error of its own fails the test.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from websockets.exceptions import ConnectionClosedError
from websockets.frames import Close

from lastgood.hub.socket import SocketClosed
from tests.hub.rig import Caller


class Pipe:
    """The hub's end is ``receive``, ``send`` and ``close``, the agent's ``recv`` and ``say``."""

    def __init__(self) -> None:
        self._to_hub: asyncio.Queue[str | bytes | None] = asyncio.Queue()
        self._to_agent: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._closed: Close | None = None
        self._hung_up = False

    async def receive(self) -> str | bytes:
        said = None if self._closed or (self._hung_up and self._to_hub.empty()) else await self._to_hub.get()
        if said is None:
            raise SocketClosed("The other side is gone.")
        return said

    async def send(self, data: bytes) -> None:
        if self._closed:
            raise SocketClosed("The other side is gone.")
        self._to_agent.put_nowait(data)

    async def close(self, code: int, reason: str) -> None:
        if self._closed is None:
            self._closed = Close(code, reason)
            self._to_agent.put_nowait(None)

    def over(self) -> None:
        """The session has ended, whether or not it closed the socket."""
        self._to_agent.put_nowait(None)

    async def recv(self) -> bytes:
        data = await self._to_agent.get()
        if data is None:
            self.over()
            raise ConnectionClosedError(self._closed, None, None)
        return data

    def say(self, data: str | bytes) -> None:
        self._to_hub.put_nowait(data)

    def hang_up(self) -> None:
        """What was said before is still heard, as bytes on their way are."""
        self._hung_up = True
        self._to_hub.put_nowait(None)


class End:
    """The agent's end, as ``Caller`` wants it."""

    def __init__(self, pipe: Pipe) -> None:
        self.pipe = pipe
        self.recv = pipe.recv

    async def send(self, data: str | bytes) -> None:
        self.pipe.say(data)


@contextlib.asynccontextmanager
async def piped(serve: Callable[[Any], Awaitable[None]]) -> AsyncIterator[Caller]:
    """A connection on which nothing was said yet; hung up behind the block, and the session heard out."""
    pipe = Pipe()
    serving = asyncio.ensure_future(serve(pipe))
    serving.add_done_callback(lambda _: pipe.over())
    try:
        yield Caller(End(pipe))  # type: ignore[arg-type]
        pipe.hang_up()
        async with asyncio.timeout(20):
            await serving
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
