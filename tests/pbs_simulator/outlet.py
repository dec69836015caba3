"""One answer's way out over one connection: headers, body, deflate, chunks, bandwidth, byte counts.

One is made for each request. A list travels in chunks as it is made; everything else has its length declared.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct

from .latency import Pace
from .reply import LAST_CHUNK, PIECE, Deflater, Reply, chunk, deflated, head
from .stats import Stats
from .versions import Version

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Outlet:
    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        deflates: bool,
        version: Version,
        pace: Pace,
        stats: Stats,
    ) -> None:
        self._reader, self._writer = reader, writer
        self.deflates, self.version = deflates, version
        self._pace, self._stats = pace, stats

    async def send(self, reply: Reply) -> bool:
        """The answer as it should be; True: the connection can go on."""
        if reply.pieces is not None:
            await self._stream(reply)
            return True
        body = reply.body
        self._stats.bytes_raw += len(body)
        if self.deflates and body:
            body = deflated(self.version, body)
            self._stats.bytes_deflated += len(body)
        await self.write(head(reply.status, self.headers(reply, len(body))) + body)
        return True

    async def _stream(self, reply: Reply) -> None:
        assert reply.pieces is not None
        waiting = head(reply.status, self.headers(reply, None))
        deflater = Deflater(self.version) if self.deflates else None
        for piece in reply.pieces:
            self._stats.bytes_raw += len(piece)
            waiting += self._chunk(deflater.piece(piece) if deflater else piece)
            if len(waiting) >= PIECE:
                await self.write(waiting)
                waiting = b""
            await asyncio.sleep(0)
        if deflater:
            waiting += self._chunk(deflater.rest())
        await self.write(waiting + LAST_CHUNK)

    def _chunk(self, data: bytes) -> bytes:
        if self.deflates:
            self._stats.bytes_deflated += len(data)
        return chunk(data) if data else b""

    def headers(self, reply: Reply, length: int | None) -> dict[str, str]:
        told = {} if reply.content_type is None else {"content-type": reply.content_type}
        if self.deflates and length != 0:
            told["content-encoding"] = "deflate"
        if length is None:
            told["transfer-encoding"] = "chunked"
        else:
            told["content-length"] = str(length)
        return told

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()
        await self._pace.sent(len(data))

    async def gone(self, seconds: float) -> None:
        """Say nothing until the client leaves, for so many seconds at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while await self._reader.read(4096):
                    pass

    def reset(self) -> None:
        """End the connection with a TCP reset."""
        below = self._writer.get_extra_info("socket")
        below.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._writer.transport.abort()
