"""The hub's sign of life to somebody else: a request that stops coming when the hub has stopped judging.

Comes in: an address with a secret in it, and when everything was last judged. Goes out: a GET every so often, for as
long as judging is current; a watchdog elsewhere alarms when it stays away. The one rule: the address is in no log
line, no message and no metric.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from lastgood.clock import Clock
from lastgood.secret import Secret

if TYPE_CHECKING:
    import httpx

ANSWER_SECONDS = 15.0
CURRENT_FOR = timedelta(seconds=60)
"""Judging that is older is no sign of life."""

log = structlog.get_logger("lastgood.heartbeat")


class Heartbeat:
    """``evaluated_at`` answers for which moment everything was last judged; ``held`` whether we are to tell it."""

    def __init__(
        self,
        url: Secret | None,
        every_seconds: float,
        evaluated_at: Callable[[], datetime | None],
        clock: Clock,
        held: Callable[[], bool] = lambda: True,
    ) -> None:
        self._url = url
        self._every_seconds = every_seconds
        self._evaluated_at = evaluated_at
        self._clock = clock
        self._held = held
        self._complaint = ""
        self.success_at: datetime | None = None
        self.sent = 0
        self.failures = 0

    @property
    def is_wanted(self) -> bool:
        """Whether anybody waits for it."""
        return self._url is not None

    async def run(self) -> None:
        """Until cancelled; without an address there is nothing to do, ever."""
        if self._url is None:
            await asyncio.Event().wait()
            return
        import httpx

        async with httpx.AsyncClient(timeout=ANSWER_SECONDS, follow_redirects=False) as client:
            while True:
                if self._held():
                    await self.beat(client)
                await asyncio.sleep(self._every_seconds)

    async def beat(self, client: httpx.AsyncClient) -> bool:
        """Whether a sign of life was given and taken."""
        now = self._clock()
        judged_at = self._evaluated_at()
        if judged_at is None or not now - CURRENT_FOR <= judged_at <= now + CURRENT_FOR:
            self._complain("judging is not current, so no sign of life is given")
            return False
        fault = await self._send(client)
        if fault is not None:
            self.failures += 1
            self._complain(fault)
            return False
        self.sent += 1
        self.success_at = self._clock()
        if self._complaint:
            log.info("heartbeats are taken again")
            self._complaint = ""
        return True

    async def _send(self, client: httpx.AsyncClient) -> str | None:
        """What went wrong, in words that tell nothing of the address."""
        import httpx

        if self._url is None:
            return "no address is set"
        try:
            async with (
                asyncio.timeout(ANSWER_SECONDS),
                client.stream("GET", self._url.reveal(), headers={"User-Agent": "lastgood"}) as answer,
            ):
                return None if answer.is_success else f"the answer was {answer.status_code}"
        except TimeoutError:
            return f"no answer within {ANSWER_SECONDS:g} s"
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            return f"no answer ({type(error).__name__})"

    def _complain(self, reason: str) -> None:
        """Log it once for each change of state, not once for each beat."""
        if reason != self._complaint:
            self._complaint = reason
            log.warning("the heartbeat failed; whoever watches this hub will alarm", reason=reason)
