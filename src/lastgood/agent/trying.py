"""Trying again what is worth it: a store that does not answer, a lock that somebody holds.

An attempt comes in as a callable, its last result goes out; each further try is noted in the run's log. The one rule:
what a second try cannot change (a wrong password, a missing repository, damage) is never tried twice, and no pause
outlives the run's deadline or its cancelling.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from lastgood.agent.ending import Journal, Result
from lastgood.model.job import Outcome
from lastgood.tools.restic.causes import Cause

WORTH_IT = frozenset({Cause.UNREACHABLE.value, Cause.LOCKED.value, Cause.TIMEOUT.value})


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Pauses between tries, the last for all further ones; a lock is waited for so long in all."""

    pauses: tuple[float, ...] = (5.0, 20.0, 60.0)
    lock_seconds: float = 600.0


PATIENCE = Patience()


async def persist(
    attempt: Callable[[], Awaitable[Result]],
    *,
    patience: Patience,
    journal: Journal,
    cancel: asyncio.Event,
    left: Callable[[], float],
    worth: Callable[[Result], bool] = lambda _result: True,
    unlocked: Callable[[], Awaitable[bool]],
) -> Result:
    """The result of the last attempt. ``unlocked`` clears away locks of ours and says whether it found any."""
    began, tries = time.monotonic(), 0
    while True:
        result = await attempt()
        tries += 1
        if result.outcome is not Outcome.FAILED or result.cause not in WORTH_IT or not worth(result):
            return result
        locked = result.cause == Cause.LOCKED.value
        if locked and await unlocked():
            continue
        pause = patience.pauses[min(tries, len(patience.pauses)) - 1]
        spent = time.monotonic() - began + pause
        is_over = spent > patience.lock_seconds if locked else tries > len(patience.pauses)
        if is_over or left() <= pause:
            return result
        journal.note(f"try {tries} ended with {result.cause}: {result.reason} Again in {pause:g} s.")
        if await _cancelled_within(pause, cancel):
            return Result(
                outcome=Outcome.CANCELLED,
                cause=Cause.CANCELLED.value,
                reason="The run was cancelled while it waited.",
            )


async def _cancelled_within(seconds: float, cancel: asyncio.Event) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await cancel.wait()
    except TimeoutError:
        return False
    return True
