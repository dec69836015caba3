"""Whether an agent is still there, and how far away: pings with a nonce, and the end of silent connections.

One a session. Times are those of one monotonic clock, so a wall clock that is set has no say. The one rule: any frame
counts as life, and only the pong of our newest nonce as a round trip.
"""

from __future__ import annotations

import asyncio
import os
import time

from lastgood.hub.connection import Connection, Ending
from lastgood.hub.socket import SILENT
from lastgood.wire.frames import Ping


class Keeper:
    """Sends pings, measures their way, and ends a connection over which nothing came."""

    def __init__(self, connection: Connection, *, ping_seconds: float, silent_seconds: float) -> None:
        self._connection = connection
        self._ping_seconds = ping_seconds
        self._silent_seconds = silent_seconds
        self._heard_at = time.monotonic()
        self._nonce = ""
        self._sent_at = 0.0

    def heard(self) -> None:
        """A frame came."""
        self._heard_at = time.monotonic()

    def pong(self, nonce: str) -> float | None:
        """The seconds since the ping with this nonce; None if it is not the newest one, or was answered already."""
        if not self._nonce or nonce != self._nonce:
            return None
        self._nonce = ""
        return time.monotonic() - self._sent_at

    async def run(self) -> None:
        """Until the connection was silent for too long, which ends it."""
        ping_at = time.monotonic()
        while (now := time.monotonic()) < (silent_at := self._heard_at + self._silent_seconds):
            if now >= ping_at:
                ping_at = now + self._ping_seconds
                self._nonce, self._sent_at = os.urandom(12).hex(), now
                await self._connection.send(Ping(nonce=self._nonce))
            else:
                await asyncio.sleep(min(ping_at, silent_at) - now)
        reason = f"nothing came for {self._silent_seconds:g} s; connect again"
        self._connection.end(Ending(code=SILENT, reason=reason))
