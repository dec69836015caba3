"""What runs on this host, and in which order: one run at a time, each source at most once in the line.

Due moments and people's wishes come in; ``perform`` is called for one piece of work after the other. The one rule:
work that a person asked for always ends in a report, also when it never begins.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from lastgood.clock import Clock
from lastgood.ids import ulid
from lastgood.model.job import RunKind, RunStart
from lastgood.wire.frames import Order, RestoreWish, RunNow


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One run that is to be. ``wished`` is whether somebody asked for it by its id; then also by what is special."""

    run_id: str
    kind: RunKind
    source_id: str | None = None
    repository_id: str | None = None
    due_at: datetime | None = None
    wished: bool = False
    check_subset: str | None = None
    restore: RestoreWish | None = None
    cancel: asyncio.Event = field(default_factory=asyncio.Event, compare=False)

    def start(self, host_id: str, at: datetime) -> RunStart:
        """The run as it begins at ``at``."""
        return RunStart(
            id=self.run_id,
            kind=self.kind,
            host_id=host_id,
            started_at=at,
            source_id=self.source_id,
            repository_id=self.repository_id,
            due_at=self.due_at,
        )


Perform = Callable[[Work], Awaitable[None]]
"""Does the work and reports it; raises only when cancelled."""

Drop = Callable[[Work, str], Awaitable[None]]
"""Reports work that will not be done, with the reason."""


class Runner:
    """The line of work and the piece under way."""

    def __init__(self, perform: Perform, drop: Drop, clock: Clock) -> None:
        self._perform = perform
        self._drop = drop
        self._clock = clock
        self._line: list[Work] = []
        self._current: Work | None = None
        self._arrived = asyncio.Event()
        self._stopping = False

    @property
    def running(self) -> tuple[str, ...]:
        """The ids of what is under way or waits."""
        current = () if self._current is None else (self._current.run_id,)
        return (*current, *(work.run_id for work in self._line))

    def fire(self, order: Order, due_at: datetime) -> None:
        """A source is due. One that waits already runs for the newer moment too."""
        waiting = self._waiting(RunKind.BACKUP, order.source_id, order.repository_id)
        if waiting is not None:
            self._line[self._line.index(waiting)] = replace(waiting, due_at=due_at)
            return
        self._append(
            Work(
                run_id=ulid(self._clock()),
                kind=RunKind.BACKUP,
                source_id=order.source_id,
                repository_id=order.repository_id,
                due_at=due_at,
            )
        )

    async def wish(self, frame: RunNow) -> None:
        """Somebody wants a run. The same source in the line already: the wish's id takes over its place."""
        work = Work(
            run_id=frame.run_id,
            kind=frame.kind,
            source_id=frame.source_id,
            repository_id=frame.repository_id,
            wished=True,
            check_subset=frame.check_subset,
            restore=frame.restore,
        )
        waiting = self._waiting(frame.kind, frame.source_id, frame.repository_id)
        if waiting is not None and (waiting.check_subset, waiting.restore) != (work.check_subset, work.restore):
            waiting = None  # of the same kind, and not the same
        if waiting is None:
            self._append(work)
        elif not waiting.wished:
            self._line[self._line.index(waiting)] = replace(work, due_at=waiting.due_at)
        else:
            await self._drop(work, f"Run {waiting.run_id} of the same kind was waiting already.")

    async def cancel(self, run_id: str) -> None:
        """End a run that waits or is under way; one that is neither has ended."""
        if self._current is not None and self._current.run_id == run_id:
            self._current.cancel.set()
            return
        for work in self._line:
            if work.run_id == run_id:
                self._line.remove(work)
                await self._drop(work, "It was cancelled before it began.")
                return

    async def run(self) -> None:
        """Work until stopped."""
        while not self._stopping:
            self._arrived.clear()
            while self._line and not self._stopping:
                self._current = self._line.pop(0)
                try:
                    await self._perform(self._current)
                finally:
                    self._current = None
            if not self._stopping:
                await self._arrived.wait()

    async def stop(self) -> None:
        """Begin nothing more, interrupt what is under way, and report wishes that will not come true."""
        self._stopping = True
        self._arrived.set()
        if self._current is not None:
            self._current.cancel.set()
        while self._line:
            work = self._line.pop(0)
            if work.wished:
                await self._drop(work, "The agent was stopped before it began.")

    def _waiting(self, kind: RunKind, source_id: str | None, repository_id: str | None) -> Work | None:
        key = (kind, source_id, None if source_id is not None else repository_id)
        for work in self._line:
            if (work.kind, work.source_id, None if work.source_id is not None else work.repository_id) == key:
                return work
        return None

    def _append(self, work: Work) -> None:
        self._line.append(work)
        self._arrived.set()
