"""The ordered window between a connection and the fact log: reports in, one coalesced acknowledgement out.

``session`` hands reports over as they come; each goes to ``take`` at once, and the highest sequence number up to
which all of them are committed is what may be acknowledged. The one rule: a number is never passed on before
everything below it is on disk, and nothing is taken any more once a take has failed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from lastgood.errors import WireError
from lastgood.wire.frames import DeployEnded, Finished, Report, Said

WINDOW = 256
WINDOW_BYTES = 2 * 1024 * 1024
"""How many reports of one connection, and how much of them, may wait for their commit; past that its socket is not
read."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a report stands in its stream. ``after`` is the position handed over before it, or the committed one.

    A store commits a report only if its stream stands at ``after``: with several under way, one that failed must
    keep all later ones out, or the mark would step over it. Positions rise but may leave numbers out.
    """

    stream: str
    position: int
    after: int


Take = Callable[[Said, str, Mark, str], Awaitable[object]]
"""``take(said, host_id, mark, log)``: done when committed; raises StoreError if it is not."""


class Intake:
    """The window of one connection. ``advanced`` is called when ``committed`` has grown."""

    def __init__(
        self,
        take: Take,
        host_id: str,
        stream: str,
        committed: int,
        advanced: Callable[[], None],
        window: int = WINDOW,
    ) -> None:
        self._take = take
        self._host_id = host_id
        self._stream = stream
        self._advanced = advanced
        self._handed = committed
        self._room = asyncio.Semaphore(window)
        self._pending: deque[tuple[int, asyncio.Future[object], int]] = deque()
        self._freed = asyncio.Event()
        self.held_bytes = 0
        self.committed = committed
        self.failed: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

    async def receive(self, report: Report, size: int = 0) -> None:
        """Hand over a report of ``size`` bytes, waiting while the window is full; WireError if it is out of order."""
        if report.sequence <= self._handed:
            raise WireError(
                f"Report {report.sequence} of spool {self._stream} came after report {self._handed}; "
                "the agent must connect again."
            )
        mark = Mark(self._stream, report.sequence, self._handed)
        self._handed = report.sequence
        await self._room.acquire()
        while self._pending and self.held_bytes + size > WINDOW_BYTES:
            self._freed.clear()
            await self._freed.wait()
        if self.failed.done():
            return
        log = report.said.log if isinstance(report.said, Finished | DeployEnded) else ""
        taking = asyncio.ensure_future(self._take(report.said, self._host_id, mark, log))
        self._pending.append((report.sequence, taking, size))
        self.held_bytes += size
        taking.add_done_callback(self._settled)

    async def settle(self, seconds: float) -> None:
        """Wait for what was handed over; what is not committed by then is given up, and will be sent again."""
        if self._pending:
            await asyncio.wait([taking for _, taking, _ in self._pending], timeout=seconds)
        for _, taking, _ in self._pending:
            taking.cancel()

    def _settled(self, taking: asyncio.Future[object]) -> None:
        if not taking.cancelled() and (error := taking.exception()) is not None and not self.failed.done():
            self.failed.set_result(error)
        before = self.committed
        while self._pending and _is_taken(self._pending[0][1]):
            self.committed, _, size = self._pending.popleft()
            self.held_bytes -= size
            self._freed.set()
            self._room.release()
        if self.committed > before:
            self._advanced()


def _is_taken(taking: asyncio.Future[object]) -> bool:
    return taking.done() and not taking.cancelled() and taking.exception() is None
