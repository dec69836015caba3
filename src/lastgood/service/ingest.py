"""The way facts come in: append and commit, learn, tell what changed, and only then answer whoever told them.

Sessions, collectors and people call ``take``; waiting appends share one transaction, and facts are learned strictly in
the order of the log. The one rule: nobody is answered before the commit, and no position of a stream is kept after
an earlier one was refused, for its mark would hide the earlier for ever.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import structlog
from sqlalchemy import Connection

from lastgood.errors import StoreError
from lastgood.fleet.fleet import Fleet
from lastgood.fleet.learn import Changes, learn
from lastgood.model.fact import SnapshotsListed
from lastgood.service.checkpoint import Checkpoint
from lastgood.store import log
from lastgood.store.database import GROUP_BYTES, GROUP_WEIGHT, Database
from lastgood.store.log import Append, Committed, Mark

SLICE_SECONDS = 0.005
QUEUE_LIMIT = 20_000
FACT_BYTES = 1_024
POINT_BYTES = 256
"""Rough sizes of a fact and of one snapshot in a survey, for bounding a transaction without encoding twice."""

_log = structlog.get_logger("lastgood.ingest")


@dataclass(slots=True)
class _Taking:
    appends: tuple[Append, ...]
    done: asyncio.Future[tuple[bool, ...]]
    weight: int
    size: int


_Batch = list[_Taking]
_Learnable = tuple[_Taking, list[Committed | None]]


@dataclass(slots=True)
class Counts:
    """What ``lastgood_*`` tells of ingest; since this process began."""

    facts: int = 0
    duplicates: int = 0
    quarantined: int = 0
    refused: int = 0
    commits: int = 0
    commit_seconds: float = 0.0


class Ingest:
    """Takes facts into one fleet. ``on_changes`` is called on the event loop, once a fact, with the fact's moment."""

    def __init__(
        self,
        database: Database,
        fleet: Fleet,
        checkpoint: Checkpoint,
        on_changes: Callable[[Changes, datetime], None],
    ) -> None:
        self._database = database
        self._fleet = fleet
        self._checkpoint = checkpoint
        self._on_changes = on_changes
        self._queue: deque[_Taking] = deque()
        self._waiting = asyncio.Event()
        self._turn = asyncio.Lock()
        self._room = asyncio.Event()
        self._learnable: asyncio.Queue[list[_Learnable] | None] = asyncio.Queue(2)
        self._refused: dict[str, int] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False
        self.counts = Counts()
        self.queued = 0
        """Facts that wait for their transaction."""

    async def start(self) -> None:
        """Begin to take facts."""
        self._tasks = [
            asyncio.create_task(self._commit_all(), name="ingest-commit"),
            asyncio.create_task(self._learn_all(), name="ingest-learn"),
        ]

    async def stop(self) -> None:
        """Take no more, finish what was begun. Raises what broke ingest, if anything did."""
        self._stopping = True
        self._waiting.set()
        await asyncio.gather(*self._tasks)

    async def take(self, *appends: Append) -> tuple[bool, ...]:
        """Whether each append was new, once all are on disk and learned; appends of one call share a transaction.

        Raises StoreError if they were not kept; then the same position of the stream must be told again first.
        """
        weight = sum(len(one.facts) for one in appends)
        async with self._turn:  # first come, first served, also while there is no room
            while self.queued >= QUEUE_LIMIT:
                self._room.clear()
                await self._room.wait()
            self._refuse_if_stopped()
            done: asyncio.Future[tuple[bool, ...]] = asyncio.get_running_loop().create_future()
            self._queue.append(_Taking(appends, done, weight, sum(map(_size, appends))))
            self.queued += weight
            self._waiting.set()
        return await done

    def _refuse_if_stopped(self) -> None:
        if self._stopping or not self._tasks or any(task.done() for task in self._tasks):
            raise StoreError("The hub takes no facts at this moment, it is starting or stopping; tell them again.")

    # --- committing -------------------------------------------------------------------------------------------

    async def _commit_all(self) -> None:
        while batch := await self._next_batch():
            appends = [one for taking in batch for one in taking.appends]
            began = time.monotonic()
            outcome = await self._write(partial(log.append, appends=appends), batch)
            if isinstance(outcome, list):
                self.counts.commits += 1
                self.counts.commit_seconds += time.monotonic() - began
                await self._hand_over(batch, outcome)
            elif len(batch) == 1 or (isinstance(outcome, StoreError) and outcome.retry):
                self._refuse(batch, outcome)
            else:
                for taking in batch:
                    await self._commit_alone(taking)
        await self._learnable.put(None)

    async def _commit_alone(self, taking: _Taking) -> None:
        """One of a batch that somebody's own fault spoilt; whoever's fault it is goes to quarantine."""
        if self._is_out_of_turn(taking):
            return
        outcome = await self._write(partial(log.append, appends=taking.appends), [taking])
        if isinstance(outcome, StoreError) and not outcome.retry:
            reason = str(outcome)
            outcome = await self._write(partial(_set_aside, appends=taking.appends, reason=reason), [taking])
            self.counts.quarantined += taking.weight
        if isinstance(outcome, list):
            await self._hand_over([taking], outcome)
        else:
            self._refuse([taking], outcome)

    async def _write(
        self, fn: Callable[[Connection], list[Committed | None]], batch: _Batch
    ) -> list[Committed | None] | BaseException:
        """What ``fn`` answered, or the error: whatever it is, it belongs to those who wait for this batch."""
        weight, size = sum(taking.weight for taking in batch), sum(taking.size for taking in batch)
        writing = asyncio.ensure_future(self._database.write(fn, weight=weight, size=size))
        await asyncio.wait([writing])
        return writing.exception() or writing.result()

    async def _next_batch(self) -> _Batch:
        """What waits, up to the bounds of one transaction; empty when all is done and no more will come."""
        while True:
            while not self._queue:
                if self._stopping:
                    return []
                self._waiting.clear()
                await self._waiting.wait()
            batch: _Batch = []
            weight = size = 0
            while self._queue:
                head = self._queue[0]
                weight += head.weight
                size += head.size
                if batch and (weight > GROUP_WEIGHT or size > GROUP_BYTES):
                    break
                self._queue.popleft()
                self.queued -= head.weight
                if not self._is_out_of_turn(head):
                    batch.append(head)
            if self.queued < QUEUE_LIMIT:
                self._room.set()
            if batch:
                return batch

    def _is_out_of_turn(self, taking: _Taking) -> bool:
        """Whether an earlier position of its stream was refused; then it is refused as well."""
        for one in taking.appends:
            lowest = self._refused.get(one.mark.stream) if one.mark is not None else None
            if one.mark is not None and lowest is not None and one.mark.position > lowest:
                _fail(taking, StoreError(f"Number {lowest} of {one.mark.stream} was not kept; tell it first."))
                return True
            if lowest is not None and one.mark is not None and one.mark.position == lowest:
                del self._refused[one.mark.stream]  # told again: if it is refused again, it is noted again
        return False

    def _refuse(self, batch: _Batch, error: BaseException) -> None:
        _log.error("facts were not kept", appends=sum(len(t.appends) for t in batch), error=str(error))
        for taking in batch:
            self.counts.refused += taking.weight
            for one in taking.appends:
                if one.mark is not None:
                    lowest = self._refused.get(one.mark.stream, one.mark.position)
                    self._refused[one.mark.stream] = min(lowest, one.mark.position)
            _fail(taking, error)

    async def _hand_over(self, batch: _Batch, outcome: Sequence[Committed | None]) -> None:
        """Give a committed batch to the learner, each answer beside who waits for it."""
        answers = iter(outcome)
        await self._learnable.put([(taking, [next(answers) for _ in taking.appends]) for taking in batch])

    # --- learning ---------------------------------------------------------------------------------------------

    async def _learn_all(self) -> None:
        while (batch := await self._learnable.get()) is not None:
            slice_ends = time.monotonic() + SLICE_SECONDS
            for taking, answers in batch:
                for committed in answers:
                    if committed is None:
                        self.counts.duplicates += 1
                        continue
                    for seq, told in committed.facts:
                        self._learn(seq, told)
                        if time.monotonic() >= slice_ends:
                            await asyncio.sleep(0)
                            slice_ends = time.monotonic() + SLICE_SECONDS
                if not taking.done.done():
                    taking.done.set_result(tuple(committed is not None for committed in answers))

    def _learn(self, seq: int, told: log.Fact) -> None:
        self.counts.facts += 1
        try:
            changes = learn(self._fleet, told)
        except Exception as error:  # noqa: BLE001 - whatever one fact does, the next must be learned
            self.counts.quarantined += 1
            _log.warning("a fact went to quarantine", seq=seq, kind=type(told).__name__, reason=str(error))
            self._checkpoint.set_aside(log.Quarantined(seq, told, f"{type(error).__name__}: {error}"))
            return
        self._checkpoint.note(seq, told, changes)
        self._on_changes(changes, told.at)


def _set_aside(connection: Connection, appends: Sequence[Append], reason: str) -> list[Committed | None]:
    for one in appends:
        log.set_aside(connection, one.facts, reason, one.mark)
    return [None for _ in appends]


def _fail(taking: _Taking, error: BaseException) -> None:
    if not taking.done.done():
        taking.done.set_exception(error)


def _size(one: Append) -> int:
    size = len(one.log)
    for told in one.facts:
        size += FACT_BYTES
        if isinstance(told, SnapshotsListed):
            size += POINT_BYTES * sum(1 + len(series.newest) for series in told.series)
    return size


__all__ = ["Append", "Counts", "Ingest", "Mark"]
