"""One run of restic from its order to its reports: look, make the repository if that is allowed, back up, report.

The runner calls ``perform``; reports go to the spool, progress to the link, and the surveyor is told to look
afterwards. The one rule: a run that was reported started is reported finished, whatever happens in between, and
that report is on disk before anything else is looked at.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from typing import TypeVar

import structlog

from lastgood.agent import places
from lastgood.agent.kept import OpenRun
from lastgood.agent.runner import Work
from lastgood.agent.spool import Spool
from lastgood.tools.restic.survey import probed
from lastgood.clock import Clock
from lastgood.errors import LastgoodError, StoreError
from lastgood.ids import ulid
from lastgood.model.job import Outcome, Run, RunKind, RunStart
from lastgood.model.repository import Probe
from lastgood.tools.restic.backup import BackupResult
from lastgood.tools.restic.causes import Cause
from lastgood.tools.restic.command import BackupOrder, Place
from lastgood.tools.restic.driver import Restic
from lastgood.tools.restic.output import Progress as ResticProgress
from lastgood.wire.frames import Assignment, Finished, Frame, Order, Probed, Progress, RepositoryAccess, Started

log = structlog.get_logger(__name__)

LOG_BYTES = 64 * 1024
_ALIVE_SECONDS = 60.0
_REASON_CHARACTERS = 2000

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seams:
    """What jobs ask of the agent around them. ``tell`` is for words that may be lost."""

    assignment: Callable[[], Assignment]
    tell: Callable[[Frame], None]
    survey: Callable[[str], None]


class Cannot(LastgoodError):
    """The run cannot go on; ``cause`` is one of restic's causes or a word of ours."""

    def __init__(self, message: str, cause: str, outcome: Outcome = Outcome.FAILED) -> None:
        super().__init__(message)
        self.cause = cause
        self.outcome = outcome


def place_of(access: RepositoryAccess, *, admin: bool = False) -> Place:
    """How restic reaches a repository, with ``admin`` by the credentials that may delete. Raises ConfigError."""
    return places.place(access, admin=admin)


class Jobs:
    """Performs runs on this host with one restic."""

    def __init__(self, restic: Restic, spool: Spool, host_id: str, seams: Seams, clock: Clock) -> None:
        self._restic = restic
        self._spool = spool
        self._host_id = host_id
        self._seams = seams
        self._clock = clock

    async def perform(self, work: Work) -> None:
        """Do a piece of work and report it. A due source that is not ours any more is passed over in silence."""
        order = self._order(work.source_id)
        if order is not None:
            work = replace(work, repository_id=order.repository_id)
        elif not work.wished:
            return
        await self._reported(work, self._do)
        if work.repository_id is not None:
            self._seams.survey(work.repository_id)

    async def drop(self, work: Work, reason: str) -> None:
        """Report work that will not be done."""
        run = _run(work.start(self._host_id, self._clock()), Outcome.CANCELLED, cause="cancelled", reason=reason)
        await self._spool.keep(Finished(run=run))

    async def _reported(self, work: Work, do: Callable[[Work, RunStart], Awaitable[tuple[Run, str]]]) -> Run:
        """Start, do and finish, with both reports on disk."""
        start, began = work.start(self._host_id, self._clock()), time.monotonic()
        await self._spool.keep(Started(run=start))
        alive = asyncio.create_task(self._stay_alive(work.run_id))
        try:
            run, text = await do(work, start)
        except LastgoodError as error:
            cause, outcome = (error.cause, error.outcome) if isinstance(error, Cannot) else ("other", Outcome.FAILED)
            run, text = _run(start, outcome, cause=cause, reason=str(error)), ""
        finally:
            alive.cancel()
        run = replace(run, ended_at=max(self._clock(), start.started_at), duration_seconds=time.monotonic() - began)
        await self._spool.keep(Finished(run=run, log=text))
        log.info("run finished", run=run.id, kind=run.kind.value, outcome=run.outcome.value, reason=run.reason)
        return run

    async def _do(self, work: Work, start: RunStart) -> tuple[Run, str]:
        match work.kind:
            case RunKind.BACKUP:
                return await self._back_up(work, start)
            case RunKind.INIT:
                return await self._initialise(work, start)
        raise Cannot(f"This agent does no {work.kind.value}; update it.", "not_done_here")

    async def _back_up(self, work: Work, start: RunStart) -> tuple[Run, str]:
        order = self._order(work.source_id)
        if order is None:
            raise Cannot(f"This agent has no order for source {work.source_id}; assign it first.", "not_assigned")
        access = self._access(order.repository_id)
        place = place_of(access)
        await self._ensure(access, place, work)
        tags = (order.tag, order.name) if order.name and "," not in order.name else (order.tag,)
        result = await self._restic.backup(
            place,
            BackupOrder(host=order.restic_host, paths=order.paths, tags=tags, excludes=order.excludes),
            on_progress=lambda progress: self._seams.tell(_progress(work.run_id, order.source_id, progress)),
            cancel=work.cancel,
        )
        return _backed_up(start, result), log_text(result)

    async def _initialise(self, work: Work, start: RunStart) -> tuple[Run, str]:
        """Made only where restic's probe says cleanly that nothing is there; the driver sees to that."""
        access = self._access(work.repository_id)
        made = await self._unless_cancelled(work, self._restic.init(place_of(access)))
        await self._spool.keep(
            Probed(repository_id=access.id, probe=Probe.READY, probed_at=self._clock(), identity=made.repository_id)
        )
        reason = "The repository was made." if made.created else "The repository was there already."
        return _run(start, Outcome.SUCCESS, reason=reason), ""

    async def _ensure(self, access: RepositoryAccess, place: Place, work: Work) -> None:
        """A repository that opens, made now if it is missing and may be made. Raises Cannot otherwise."""
        probe = await self._unless_cancelled(work, self._restic.probe(place))
        # The orders may be old, of a time when nobody had seen the repository: what we saw ourselves counts as well.
        if probe.status == "missing" and access.initialise and not await self._spool.has_opened(access.id):
            making = Work(run_id=ulid(self._clock()), kind=RunKind.INIT, repository_id=access.id, cancel=work.cancel)
            made = await self._reported(making, self._initialise)
            if made.outcome is not Outcome.SUCCESS:
                raise Cannot(made.reason or "The repository could not be made.", made.cause or "other", made.outcome)
            return
        await self._spool.keep(probed(access.id, probe, self._clock()))
        if probe.status not in ("ready", "unknown"):
            raise Cannot(probe.message, probe.cause.value)

    async def _unless_cancelled(self, work: Work, asking: Coroutine[None, None, _T]) -> _T:
        """The answer; Cannot if the run is cancelled first, which interrupts the question."""
        question = asyncio.ensure_future(asking)
        cancelled = asyncio.ensure_future(work.cancel.wait())
        try:
            await asyncio.wait((question, cancelled), return_when=asyncio.FIRST_COMPLETED)
            if question.done():
                return question.result()
            raise Cannot("The run was cancelled.", Cause.CANCELLED.value, Outcome.CANCELLED)
        finally:
            cancelled.cancel()
            question.cancel()
            await asyncio.gather(question, cancelled, return_exceptions=True)

    def _order(self, source_id: str | None) -> Order | None:
        return next((one for one in self._seams.assignment().orders if one.source_id == source_id), None)

    def _access(self, repository_id: str | None) -> RepositoryAccess:
        for access in self._seams.assignment().repositories:
            if access.id == repository_id:
                return access
        raise Cannot(f"This agent has no access to repository {repository_id}; assign it first.", "not_assigned")

    async def _stay_alive(self, run_id: str) -> None:
        """Note from time to time that the run goes on: if the agent dies, this is when it was last seen."""
        while True:
            await asyncio.sleep(_ALIVE_SECONDS)
            try:
                await self._spool.touch(run_id)
            except StoreError as error:
                log.warning("run not noted as alive", run=run_id, reason=str(error))


def lost(left: OpenRun) -> Run:
    """How a run ends that an agent left open: lost if it had begun, else it never came to be."""
    if not left.begun:
        reason = "The agent ended before the run began."
        return _run(left.start, Outcome.CANCELLED, cause="cancelled", reason=reason)
    ended_at = max(left.alive_at, left.start.started_at)
    reason = "The agent ended while the run was under way, and nobody saw how it went."
    return replace(
        _run(left.start, Outcome.LOST, cause="lost", reason=reason),
        ended_at=ended_at,
        duration_seconds=(ended_at - left.start.started_at).total_seconds(),
    )


def log_text(result: BackupResult) -> str:
    """Head and tail of what restic wrote, at most 64 KiB."""
    lines = [*result.log_head]
    if result.log_lines_left_out:
        lines.append(f"… {result.log_lines_left_out} lines left out …")
    raw = "\n".join([*lines, *result.log_tail]).encode("utf-8", "replace")
    if len(raw) > LOG_BYTES:
        half = LOG_BYTES // 2 - 8
        raw = raw[:half] + "\n…\n".encode() + raw[-half:]
    return raw.decode("utf-8", "ignore")


def _backed_up(start: RunStart, result: BackupResult) -> Run:
    summary = result.summary
    added = None if summary is None else summary.added_bytes if summary.stored_bytes is None else summary.stored_bytes
    return replace(
        _run(
            start,
            Outcome(result.outcome),
            cause=None if result.cause is Cause.OK else result.cause.value,
            reason=result.reason,
        ),
        snapshot_id=result.snapshot_id,
        size_bytes=None if summary is None else summary.total_bytes,
        added_bytes=added,
        files=None if summary is None else summary.total_files,
        error_count=result.error_count,
        dry_run=result.dry_run,
    )


def _run(start: RunStart, outcome: Outcome, *, cause: str | None = None, reason: str | None = None) -> Run:
    return Run(
        id=start.id,
        kind=start.kind,
        outcome=outcome,
        host_id=start.host_id,
        started_at=start.started_at,
        ended_at=start.started_at,
        duration_seconds=0.0,
        source_id=start.source_id,
        repository_id=start.repository_id,
        due_at=start.due_at,
        cause=cause,
        reason=reason[:_REASON_CHARACTERS] if reason else None,
    )


def _progress(run_id: str, source_id: str, progress: ResticProgress) -> Progress:
    return Progress(
        run_id=run_id,
        source_id=source_id,
        fraction=progress.fraction,
        files_done=progress.done_files,
        files_total=progress.total_files,
        bytes_done=progress.done_bytes,
        bytes_total=progress.total_bytes,
        seconds_remaining=progress.seconds_remaining,
        current=progress.current_files[0][:_REASON_CHARACTERS] if progress.current_files else None,
    )
