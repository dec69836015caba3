"""Waiting for what another thread or program does, with a deadline and a name for what did not come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

EVERY_SECONDS = 0.02


async def until(ask: Callable[[], Awaitable[T | None]], what: str, seconds: float = 20.0) -> T:
    """The first answer of ``ask`` that is true; AssertionError once the deadline is past."""
    deadline = time.monotonic() + seconds
    while True:
        answer = await ask()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        await asyncio.sleep(EVERY_SECONDS)
