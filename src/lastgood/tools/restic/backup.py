"""One backup run from its order to its result.

An order and a place come in; progress goes out while restic runs, a result at its end, whatever that end is. On
releases without ``--retry-lock`` a locked repository is tried again here. Every text in a result is scrubbed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from lastgood.tools.restic import command, process
from lastgood.tools.restic.causes import Cause
from lastgood.tools.restic.command import BackupOrder, Place
from lastgood.tools.restic.documents import Version
from lastgood.tools.restic.lines import LineSplitter
from lastgood.tools.restic.outcome import Ending, Judgement, Outcome, judge
from lastgood.tools.restic.output import BackupOutput, BackupSummary, ItemError, Progress
from lastgood.tools.restic.redact import Redactor

PROGRESS_SECONDS = 1.0
LOCK_RETRY_SECONDS = 5.0

ProgressSink = Callable[[Progress], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupResult:
    """What came of a backup. Times are the injected clock's, the duration is monotonic.

    ``exit_code`` is None if restic was never started, ``forced`` warns of a lock left behind, ``empty`` of a run
    that found no file, ``dry_run`` that nothing was meant to be saved. ``snapshot_id`` has 8 characters in 0.14.
    """

    outcome: Outcome
    reason: str
    cause: Cause
    exit_code: int | None
    snapshot_id: str | None
    summary: BackupSummary | None
    started_at: datetime
    ended_at: datetime
    duration_seconds: float
    item_errors: tuple[ItemError, ...]
    error_count: int
    skipped_sources: tuple[str, ...]
    log_head: tuple[str, ...]
    log_tail: tuple[str, ...]
    log_lines_left_out: int
    dry_run: bool
    empty: bool
    forced: bool
    restic_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What a driver knows beside the order: program, release, surroundings, clock, limits."""

    binary: str
    version: Version
    environment: dict[str, str]
    clock: Callable[[], datetime]
    deadline_after: float | None
    cancel: asyncio.Event
    grace_seconds: float
    lock_retry_seconds: float


async def run(place: Place, order: BackupOrder, launch: Launch, on_progress: ProgressSink | None) -> BackupResult:
    """Run ``order`` to its end; CancelledError only if the calling task itself is cancelled."""
    started_at, began = launch.clock(), time.monotonic()
    redactor = place.redactor()
    retries_itself = launch.version >= command.RETRY_LOCK_SINCE
    while True:
        attempt = await _attempt(place, order, launch, redactor, on_progress, began)
        waited_for = time.monotonic() - began
        may_retry = attempt.judgement.cause is Cause.LOCKED and not retries_itself
        pause = min(launch.lock_retry_seconds, order.retry_lock_for - waited_for, _left(launch, began))
        if not may_retry or pause <= 0:
            break
        await _pause(launch.cancel, pause)
    return _result(attempt, launch, started_at, began)


@dataclass(frozen=True, slots=True)
class _Attempt:
    output: BackupOutput
    judgement: Judgement
    exit_code: int | None
    forced: bool


async def _attempt(
    place: Place,
    order: BackupOrder,
    launch: Launch,
    redactor: Redactor,
    on_progress: ProgressSink | None,
    began: float,
) -> _Attempt:
    output = BackupOutput(redactor)
    if launch.cancel.is_set():
        ending = Ending(exit_code=0, where=place.label, cancelled=True, dry_run=order.dry_run)
        return _Attempt(output, judge(ending), None, forced=False)
    reader = _Reader(output, on_progress)
    ended = await process.run(
        [launch.binary, *command.backup(order, launch.version)],
        launch.environment,
        on_stdout=reader.stdout,
        on_stderr=reader.stderr,
        deadline_after=None if launch.deadline_after is None else max(0.0, _left(launch, began)),
        cancel=launch.cancel,
        grace_seconds=launch.grace_seconds,
    )
    reader.close()
    ending = Ending(
        exit_code=ended.exit_code,
        where=place.label,
        stderr=redactor(output.error_text()),
        summary=output.summary,
        skipped_sources=tuple(output.skipped_sources),
        error_count=output.error_count,
        unread_count=output.unread_count,
        cancelled=ended.stopped == "cancelled",
        deadline_hit=ended.stopped == "deadline",
        dry_run=order.dry_run,
    )
    return _Attempt(output, judge(ending), ended.exit_code, ended.forced)


def _left(launch: Launch, began: float) -> float:
    if launch.deadline_after is None:
        return float("inf")
    return launch.deadline_after - (time.monotonic() - began)


async def _pause(cancel: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await cancel.wait()
    except TimeoutError:
        return


class Throttle:
    """Passes progress on, the first at once and then one a second; the last at the end."""

    def __init__(self, on_progress: ProgressSink | None) -> None:
        self._on_progress = on_progress
        self._next_at = 0.0
        self._held_back: Progress | None = None

    def told(self, progress: Progress) -> None:
        if self._on_progress is None:
            return
        now = time.monotonic()
        if now < self._next_at:
            self._held_back = progress
        else:
            self._next_at, self._held_back = now + PROGRESS_SECONDS, None
            self._on_progress(progress)

    def close(self) -> None:
        if self._held_back is not None and self._on_progress is not None:
            self._on_progress(self._held_back)


class _Reader:
    """Feeds both streams to the output and passes progress on."""

    def __init__(self, output: BackupOutput, on_progress: ProgressSink | None) -> None:
        self._output = output
        self._throttle = Throttle(on_progress)
        self._out, self._err = LineSplitter(), LineSplitter()

    def stdout(self, piece: bytes) -> None:
        self._read(self._out.feed(piece))

    def stderr(self, piece: bytes) -> None:
        for line in self._err.feed(piece):
            self._output.stderr(line)

    def close(self) -> None:
        self._read(self._out.close())
        for line in self._err.close():
            self._output.stderr(line)
        self._throttle.close()

    def _read(self, lines: Iterator[str]) -> None:
        for line in lines:
            progress = self._output.stdout(line)
            if progress is not None:
                self._throttle.told(progress)


def _result(attempt: _Attempt, launch: Launch, started_at: datetime, began: float) -> BackupResult:
    output, judgement = attempt.output, attempt.judgement
    return BackupResult(
        outcome=judgement.outcome,
        reason=judgement.reason,
        cause=judgement.cause,
        exit_code=attempt.exit_code,
        snapshot_id=None if output.summary is None else output.summary.snapshot_id,
        summary=output.summary,
        started_at=started_at,
        ended_at=launch.clock(),
        duration_seconds=time.monotonic() - began,
        item_errors=output.item_errors,
        error_count=output.error_count,
        skipped_sources=tuple(output.skipped_sources),
        log_head=output.log.head,
        log_tail=output.log.tail,
        log_lines_left_out=output.log.left_out,
        dry_run=judgement.dry_run,
        empty=judgement.empty,
        forced=attempt.forced,
        restic_version=".".join(map(str, launch.version)),
    )
