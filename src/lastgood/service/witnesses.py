"""Sends the audit log's signed head to somebody else once a day, so that nobody here can cut rows off unseen.

Comes in: an address that may hold a secret, and the head. Goes out: a POST with the head as JSON, tried again every
quarter of an hour until it is taken. The one rule: the address is in no log line, no message and no metric.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import structlog

from lastgood.auth.chain import Head
from lastgood.clock import Clock
from lastgood.secret import Secret

if TYPE_CHECKING:
    import httpx

ANSWER_SECONDS = 15.0
LOOK_SECONDS = 60.0
EVERY = timedelta(days=1)
AGAIN_AFTER = timedelta(minutes=15)

_log = structlog.get_logger("lastgood.audit")


class Witnesses:
    """``sent_at`` is when a head was last taken, ``failures`` how often one was not, since this process began."""

    def __init__(
        self,
        url: Secret | None,
        head: Callable[[], Head | None],
        clock: Clock,
        held: Callable[[], bool] = lambda: True,
    ) -> None:
        self._url = url
        self._head = head
        self._clock = clock
        self._held = held
        self._next_at: datetime | None = None
        self._complaint = ""
        self.sent_at: datetime | None = None
        self.failures = 0

    async def run(self) -> None:
        """Until cancelled; without an address there is nothing to do, ever."""
        if self._url is None:
            await asyncio.Event().wait()
            return
        import httpx

        async with httpx.AsyncClient(timeout=ANSWER_SECONDS, follow_redirects=False) as client:
            while True:
                if self._held():
                    await self.send(client)
                await asyncio.sleep(LOOK_SECONDS)

    async def send(self, client: httpx.AsyncClient) -> bool:
        """Send a head if it is time; whether one was taken."""
        now, head = self._clock(), self._head()
        is_early = self._next_at is not None and now < self._next_at <= now + EVERY  # a clock set back delays nothing
        if head is None or is_early:
            return False
        fault = await self._post(client, head)
        if fault is not None:
            self.failures += 1
            self._next_at = now + AGAIN_AFTER
            if fault != self._complaint:
                self._complaint = fault
                _log.warning("the audit log's head could not be sent; it is tried again", reason=fault)
            return False
        self._complaint, self.sent_at, self._next_at = "", now, now + EVERY
        _log.info("the audit log's head was sent", seq=head.seq)
        return True

    async def _post(self, client: httpx.AsyncClient, head: Head) -> str | None:
        """What went wrong, in words that tell nothing of the address."""
        import httpx

        if self._url is None:
            return "no address is set"
        headers = {"User-Agent": "lastgood", "Content-Type": "application/json"}
        content = msgspec.json.encode(head)
        try:
            async with (
                asyncio.timeout(ANSWER_SECONDS),
                client.stream("POST", self._url.reveal(), content=content, headers=headers) as answer,
            ):
                return None if answer.is_success else f"the answer was {answer.status_code}"
        except TimeoutError:
            return f"no answer within {ANSWER_SECONDS:g} s"
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            return f"no answer ({type(error).__name__})"
