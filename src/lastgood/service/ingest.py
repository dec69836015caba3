"""The way facts come in: append and commit, learn, tell what changed, and only then answer whoever told them.

Sessions, collectors and people call ``take``; waiting appends share one transaction, and facts are learned strictly
in the order of the log. The one rule: nobody is answered before the commit, and nothing is learned that is not
committed.
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

from lastgood.errors import LastgoodError, StoreError
from lastgood.fleet.fleet import Fleet
from lastgood.fleet.learn import Changes, learn
from lastgood.model.fact import Fact, InventoryListed, SnapshotsListed, SourcesCollected
from lastgood.service.checkpoint import Checkpoint
from lastgood.service.slices import Slice
from lastgood.store import log
from lastgood.store.database import GROUP_BYTES, GROUP_WEIGHT, Database
from lastgood.store.log import Append, Committed, Quarantined, Skipped

QUEUE_LIMIT = 20_000
QUEUE_BYTES = 64 * 1024 * 1024
FACT_BYTES = 1_024
POINT_BYTES = 256
"""Rough sizes of a fact and of one snapshot in a survey, for bounding a transaction without encoding twice."""

_log = structlog.get_logger("lastgood.ingest")
_Answers = list[Committed | Skipped]


@dataclass(slots=True, eq=False)
class _Taking:
    """One call of ``take`` that waits for its answer."""

    appends: tuple[Append, ...]
    done: asyncio.Future[tuple[bool, ...]]
    weight: int
    size: int


@dataclass(slots=True)
class Counts:
    """What ``lastgood_*`` tells of ingest, since this process began. ``refused`` are facts that were not kept."""

    facts: int = 0
    duplicates: int = 0
    quarantined: int = 0
    refused: int = 0
    commits: int = 0
    commit_seconds: float = 0.0


class Ingest:
    """Takes facts into one fleet; ``on_changes`` is called on the event loop after each fact, with its moment."""

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
        self._unanswered: set[_Taking] = set()
        self._turn = asyncio.Lock()
        self._waiting = asyncio.Event()
        self._room = asyncio.Event()
        self._learnable: asyncio.Queue[list[tuple[_Taking, _Answers]] | None] = asyncio.Queue(2)
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False
        self.counts = Counts()
        self.queued = 0
        """Facts that wait for their transaction."""
        self.queued_bytes = 0
        """About how large they are."""

    async def start(self) -> Sequence[asyncio.Task[None]]:
        """Begin to take facts; answers the rounds, which end with ``stop`` or because they broke."""
        rounds = (("ingest-commit", self._commit_all()), ("ingest-learn", self._learn_all()))
        self._tasks = [asyncio.create_task(run, name=name) for name, run in rounds]
        for task in self._tasks:
            task.add_done_callback(self._ended)
        return self._tasks

    async def take(self, *appends: Append) -> tuple[bool, ...]:
        """Whether each append was new, once all are on disk and learned; appends of one call share a transaction.

        Raises StoreError if they were not kept, or if one was out of turn in its stream (those before it were kept).
        """
        weight = sum(len(one.facts) for one in appends)
        async with self._turn:  # first come, first served, also while there is no room
            while not self._has_room:
                self._room.clear()
                await self._room.wait()
            self._refuse_if_stopped()
            done: asyncio.Future[tuple[bool, ...]] = asyncio.get_running_loop().create_future()
            taking = _Taking(appends, done, weight, sum(map(_size, appends)))
            self._queue.append(taking)
            self._unanswered.add(taking)
            self.queued += weight
            self.queued_bytes += taking.size
            self._waiting.set()
        try:
            return await done
        finally:
            self._unanswered.discard(taking)

    async def stop(self) -> None:
        """Take no more, finish what was begun. Raises what broke ingest, if anything did."""
        self._stopping = True
        self._waiting.set()
        if self._tasks:
            await asyncio.wait(self._tasks)
        for task in self._tasks:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    @property
    def _has_room(self) -> bool:
        return self.queued < QUEUE_LIMIT and self.queued_bytes < QUEUE_BYTES

    def _refuse_if_stopped(self) -> None:
        if self._stopping or not self._tasks:
            raise StoreError("The hub is starting or stopping and takes no facts at this moment; tell them again.")

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A round that broke would leave everybody waiting for ever: refuse them, loudly."""
        if task.cancelled() or task.exception() is None:
            return
        _log.error("ingest has broken, the hub must be restarted", exc_info=task.exception())
        self._stopping = True
        for other in self._tasks:
            other.cancel()
        self.queued = self.queued_bytes = 0
        self._room.set()
        for taking in self._unanswered:
            _fail(taking, StoreError("The hub cannot take facts any more and must be restarted; its log says why."))

    # --- committing -------------------------------------------------------------------------------------------

    async def _commit_all(self) -> None:
        while batch := await self._next_batch():
            began = time.monotonic()
            answers = await self._append(batch)
            if isinstance(answers, list):
                self.counts.commits += 1
                self.counts.commit_seconds += time.monotonic() - began
                await self._hand_over(batch, answers)
            elif len(batch) == 1 or (isinstance(answers, StoreError) and answers.retry):
                self._refuse(batch, answers)
            else:
                for taking in batch:
                    await self._commit_alone(taking)
        await self._learnable.put(None)

    async def _commit_alone(self, taking: _Taking) -> None:
        """One of a batch that some fault of its own content spoilt."""
        answers = await self._append([taking])
        if isinstance(answers, list):
            await self._hand_over([taking], answers)
        else:
            self._refuse([taking], answers)

    async def _append(self, batch: Sequence[_Taking]) -> _Answers | BaseException:
        """The log's answers, or the error: whatever it is, it belongs to those who wait for this batch."""
        appends = [one for taking in batch for one in taking.appends]
        weight, size = sum(taking.weight for taking in batch), sum(taking.size for taking in batch)
        writing = asyncio.ensure_future(
            self._database.write(partial(log.append, appends=appends), weight=weight, size=size)
        )
        await asyncio.wait([writing])
        return writing.exception() or writing.result()

    async def _next_batch(self) -> list[_Taking]:
        """What waits, up to the bounds of one transaction; empty when all is done and no more will come."""
        while not self._queue:
            if self._stopping:
                return []
            self._waiting.clear()
            await self._waiting.wait()
        batch: list[_Taking] = []
        weight = size = 0
        while self._queue:
            head = self._queue[0]
            weight += head.weight
            size += head.size
            if batch and (weight > GROUP_WEIGHT or size > GROUP_BYTES):
                break
            batch.append(self._queue.popleft())
            self.queued -= head.weight
            self.queued_bytes -= head.size
        if self._has_room:
            self._room.set()
        return batch

    def _refuse(self, batch: Sequence[_Taking], error: BaseException) -> None:
        facts = sum(taking.weight for taking in batch)
        _log.error("facts were not kept", facts=facts, error=str(error))
        self.counts.refused += facts
        if not isinstance(error, LastgoodError):
            error = StoreError(f"The database cannot hold this ({error}); it is not kept.", retry=False)
        for taking in batch:
            _fail(taking, error)

    async def _hand_over(self, batch: Sequence[_Taking], answers: _Answers) -> None:
        """Give a committed batch to the learner, each answer beside who waits for it."""
        each = iter(answers)
        await self._learnable.put([(taking, [next(each) for _ in taking.appends]) for taking in batch])

    # --- learning ---------------------------------------------------------------------------------------------

    async def _learn_all(self) -> None:
        while (batch := await self._learnable.get()) is not None:
            piece = Slice()
            for taking, answers in batch:
                for committed in answers:
                    if isinstance(committed, Skipped):
                        self._count_skipped(committed)
                        continue
                    for seq, told in committed.facts:
                        self._learn(seq, told)
                        if piece.is_over:
                            await piece.rest()
                _answer(taking, answers)

    def _learn(self, seq: int, told: Fact) -> None:
        self.counts.facts += 1
        try:
            changes = learn(self._fleet, told)
        except Exception as error:  # noqa: BLE001 - whatever one fact does, the next must be learned
            self.counts.quarantined += 1
            _log.warning("a fact went to quarantine", seq=seq, kind=type(told).__name__, reason=str(error))
            self._checkpoint.set_aside(Quarantined.by(error, seq, told))
            return
        self._checkpoint.note(seq, told, changes)
        self._on_changes(changes, told.at)

    def _count_skipped(self, why: Skipped) -> None:
        if why is Skipped.SEEN:
            self.counts.duplicates += 1
        elif why is Skipped.SET_ASIDE:
            self.counts.quarantined += 1
        else:
            self.counts.refused += 1


def _answer(taking: _Taking, answers: _Answers) -> None:
    if Skipped.OUT_OF_TURN in answers:
        _fail(taking, StoreError("What came before in its stream was not kept; tell everything from there again."))
    elif not taking.done.done():
        taking.done.set_result(tuple(isinstance(answer, Committed) for answer in answers))


def _fail(taking: _Taking, error: BaseException) -> None:
    if not taking.done.done():
        taking.done.set_exception(error)


def _size(one: Append) -> int:
    size = len(one.log)
    for told in one.facts:
        size += FACT_BYTES
        if isinstance(told, SnapshotsListed):
            size += POINT_BYTES * sum(1 + len(series.newest) for series in told.series)
        elif isinstance(told, SourcesCollected):
            size += FACT_BYTES * len(told.sources)
        elif isinstance(told, InventoryListed):
            size += FACT_BYTES * (len(told.inventory.containers) + len(told.inventory.volumes))
    return size
