"""What one run works with: restic, the access it may use, its deadline, its way to be cancelled, and its notes.

Made by ``jobs`` for each run; ``backing``, ``upkeep`` and ``restoring`` take it. The one rule: whatever waits here
ends when the run is cancelled or its time is over.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from lastgood.agent import places
from lastgood.agent.ending import Cannot, Journal
from lastgood.agent.policy import Policy
from lastgood.agent.runner import Work
from lastgood.clock import Clock
from lastgood.errors import LastgoodError
from lastgood.model.job import Outcome
from lastgood.tools.restic.causes import Cause
from lastgood.tools.restic.command import Place
from lastgood.tools.restic.documents import Lock
from lastgood.tools.restic.driver import Restic
from lastgood.tools.restic.output import Progress
from lastgood.tools.restic.upkeep import Limits
from lastgood.wire.frames import Order, RepositoryAccess, Said

_T = TypeVar("_T")

CLEARING_SECONDS = 15.0
"""How long a look for locks of ours may hold up a run that begins, or an agent that stops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """``report`` keeps a report on disk; ``tell`` passes progress on, which may be lost."""

    restic: Restic
    work: Work
    policy: Policy
    access: RepositoryAccess
    order: Order | None
    report: Callable[[Said], Awaitable[object]]
    tell: Callable[[Progress], None]
    clock: Clock
    journal: Journal = field(default_factory=Journal)
    ends_at: float = 0.0

    @property
    def place(self) -> Place:
        """The repository by its everyday credentials, read anew. Raises ConfigError."""
        return self._place(admin=False)

    @property
    def admin_place(self) -> Place:
        """The repository by the credentials that may delete, where there are such."""
        return self._place(admin=True)

    def _place(self, *, admin: bool) -> Place:
        self.policy.check_environment_file(self.access.environment_file)
        return places.place(self.access, admin=admin)

    def now(self) -> datetime:
        return self.clock()

    def left(self) -> float:
        """Seconds until the run's time is over."""
        return self.ends_at - time.monotonic()

    def limits(self) -> Limits:
        """For one command."""
        return Limits(cancel=self.work.cancel, deadline_after=max(0.1, self.left()))

    def ordered(self) -> Order:
        """The order of the source that the run is of."""
        if self.order is None:
            raise Cannot(
                f"This agent has no order for source {self.work.source_id}; assign it first.", "not_assigned"
            )
        return self.order

    async def ask(self, asking: Coroutine[None, None, _T]) -> _T:
        """The answer; Cannot if the run is cancelled or its time is over first, which interrupts the question."""
        question = asyncio.ensure_future(asking)
        cancelled = asyncio.ensure_future(self.work.cancel.wait())
        try:
            await asyncio.wait(
                (question, cancelled), timeout=max(0.1, self.left()), return_when=asyncio.FIRST_COMPLETED
            )
            if question.done():
                return question.result()
            if cancelled.done():
                raise Cannot("The run was cancelled.", Cause.CANCELLED.value, Outcome.CANCELLED)
            raise Cannot("The run's time was over before it began its work; allow it more time.", Cause.TIMEOUT.value)
        finally:
            cancelled.cancel()
            question.cancel()
            await asyncio.gather(question, cancelled, return_exceptions=True)

    async def clear_own_locks(self) -> bool:
        """Remove what restic processes of this host that are gone have left locked; whether there was any.

        By ``restic unlock``, which takes stale locks alone; only while no run of ours is under way, as now.
        """
        here = socket.gethostname()
        try:
            async with asyncio.timeout(CLEARING_SECONDS):
                if not any(_is_orphan(lock, here) for lock in await self.restic.locks(self.place)):
                    return False
                done = await self.restic.unlock(self.place)
        except LastgoodError as error:
            self.journal.note(f"locks could not be looked at: {error}")
            return False
        except TimeoutError:
            self.journal.note(f"locks could not be looked at within {CLEARING_SECONDS:g} s")
            return False
        if done.removed:
            gone = ", ".join(lock_id[:8] for lock_id in done.removed)
            self.journal.note(f"removed {len(done.removed)} locks whose processes are gone: {gone}")
        return bool(done.removed)


def _is_orphan(lock: Lock, here: str) -> bool:
    """Whether the lock is of this host and its process is gone."""
    return lock.hostname == here and lock.pid is not None and not Path(f"/proc/{lock.pid}").exists()
