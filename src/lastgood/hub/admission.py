"""How many agents are greeted at one moment: a fleet that comes back at once is let in one after the other.

Sessions take a ``Turn`` before they say anything, and give it back once their agent has proved itself; the others
wait in the order in which they came, at the cost of a socket. The one rule: a turn comes to its end whatever becomes
of its connection, and nobody is made to wait longer than an agent is willing to.
"""

from __future__ import annotations

import asyncio

AT_ONCE = 16
"""Enough to keep the hub busy while some of them are far away; few enough for a page to be served in between."""

WAIT_SECONDS = 40.0
"""Somewhat less than an agent waits for its connection to open."""


class Turn:
    """Leave to be greeted; ``over`` may be called more than once."""

    def __init__(self, room: asyncio.Semaphore) -> None:
        self._room: asyncio.Semaphore | None = room

    def over(self) -> None:
        """Somebody else may be greeted."""
        room, self._room = self._room, None
        if room is not None:
            room.release()


class Admission:
    """``waiting`` is how many connections have not had their turn yet."""

    def __init__(self, at_once: int = AT_ONCE, wait_seconds: float = WAIT_SECONDS) -> None:
        self._room = asyncio.Semaphore(at_once)
        self._wait_seconds = wait_seconds
        self.waiting = 0

    async def turn(self) -> Turn:
        """Wait for a turn. Raises TimeoutError if too many are before us."""
        self.waiting += 1
        try:
            async with asyncio.timeout(self._wait_seconds):
                await self._room.acquire()
        finally:
            self.waiting -= 1
        return Turn(self._room)
