"""Long work on the event loop, cut into pieces so short that nobody who waits for the loop notices.

    piece = Slice()
    for thing in things:
        act(thing)
        if piece.is_over:
            await piece.rest()

The one rule: what is done between two looks at ``is_over`` takes well under a millisecond.
"""

from __future__ import annotations

import asyncio
import time

SLICE_SECONDS = 0.003
"""Several rounds may each have a slice in one turn of the loop; all of them together stay under 20 ms."""


class Slice:
    """One worker's pieces."""

    __slots__ = ("_ends",)

    def __init__(self) -> None:
        self._ends = time.monotonic() + SLICE_SECONDS

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self._ends

    async def rest(self) -> None:
        """Let everybody else have a turn, then begin the next piece."""
        await asyncio.sleep(0)
        self._ends = time.monotonic() + SLICE_SECONDS
