"""One run on this host from its order to its reports: whether it may be done, how often it is tried, what came of it.

The runner calls ``perform``; ``backing``, ``upkeep`` and ``restoring`` do the work; reports go to the spool, progress
to the link, and the surveyor is told to look afterwards. The one rule: a run that was reported started is reported
finished, whatever happens in between, and that report is on disk before anything else is looked at.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import structlog

from lastgood.agent import backing, places, restoring, upkeep
from lastgood.agent.bench import Bench
from lastgood.agent.ending import Cannot, Journal, Result, of_error, run_of
from lastgood.agent.policy import Policy
from lastgood.agent.runner import Work
from lastgood.agent.spool import Spool
from lastgood.agent.trying import PATIENCE, Patience, persist
from lastgood.clock import Clock
from lastgood.errors import ConfigError, LastgoodError, StoreError
from lastgood.ids import ulid
from lastgood.model.job import Outcome, Run, RunKind, RunStart
from lastgood.tools.restic.causes import Cause
from lastgood.tools.restic.command import Place
from lastgood.tools.restic.driver import Restic
from lastgood.tools.restic.output import Progress as ResticProgress
from lastgood.wire.frames import Assignment, Finished, Frame, Order, Progress, RepositoryAccess, Started

log = structlog.get_logger(__name__)

_ALIVE_SECONDS = 60.0
_CURRENT_CHARACTERS = 2000
_OF_A_SOURCE = frozenset({RunKind.BACKUP, RunKind.FORGET})
_BROKEN_OFF = frozenset({Cause.CRASHED.value, Cause.CANCELLED.value, Cause.TIMEOUT.value})
"""Between making a lock and remembering it restic needs a moment: an interrupt in that leaves the lock behind."""

_EXCLUSIVE = frozenset({RunKind.CHECK, RunKind.FORGET, RunKind.PRUNE})
"""They wait for every lock, so one that a dead process of ours has left is cleared away first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seams:
    """What jobs ask of the agent around them. ``tell`` is for words that may be lost; ``policy`` is asked anew for
    each run and raises ConfigError if it cannot be trusted."""

    assignment: Callable[[], Assignment]
    tell: Callable[[Frame], None]
    survey: Callable[[str], None]
    policy: Callable[[], Policy] = Policy
    patience: Patience = PATIENCE


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
        self._tidy: set[str] = set()
        """Repositories in which this process has looked for locks of killed ones. Who knows how many came before."""

    def left_open(self, start: RunStart) -> None:
        """An earlier agent ended during this run: before the next one, locks it may have left are cleared away."""
        if start.repository_id is not None:
            self._tidy.discard(start.repository_id)

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
        result = Result(outcome=Outcome.CANCELLED, cause=Cause.CANCELLED.value, reason=reason)
        await self._spool.keep(Finished(run=run_of(work.start(self._host_id, self._clock()), result)))

    async def _reported(self, work: Work, do: Callable[[Work, Journal], Awaitable[Result]]) -> Run:
        """Start, do and finish, with both reports on disk."""
        start, began, journal = work.start(self._host_id, self._clock()), time.monotonic(), Journal()
        await self._spool.keep(Started(run=start))
        alive = asyncio.create_task(self._stay_alive(work.run_id))
        try:
            result = await do(work, journal)
        except LastgoodError as error:
            result = of_error(error)
        finally:
            alive.cancel()
        ended_at = max(self._clock(), start.started_at)
        run = replace(run_of(start, result), ended_at=ended_at, duration_seconds=time.monotonic() - began)
        await self._spool.keep(Finished(run=run, log=journal.text(result.log)))
        log.info("run finished", run=run.id, kind=run.kind.value, outcome=run.outcome.value, reason=run.reason)
        return run

    async def _do(self, work: Work, journal: Journal) -> Result:
        bench = self._bench(work, self._policy_for(work.kind), journal)
        attempt = self._subject(bench)
        is_first = bench.access.id not in self._tidy and work.kind is not RunKind.UNLOCK
        if work.kind in _EXCLUSIVE or is_first:
            await bench.ask(bench.clear_own_locks())
            self._tidy.add(bench.access.id)

        async def tried() -> Result:
            try:
                return await attempt()
            except LastgoodError as error:
                return of_error(error)

        result = await persist(
            tried,
            patience=self._seams.patience,
            journal=journal,
            cancel=work.cancel,
            left=bench.left,
            worth=lambda _result: work.restore is None or restoring.may_try_again(work.restore),
            unlocked=lambda: bench.ask(bench.clear_own_locks()),
        )
        if result.forced or result.cause in _BROKEN_OFF:
            await bench.clear_own_locks()
        return result

    def _policy_for(self, kind: RunKind) -> Policy:
        """The policy, which allows this kind. Backups do not stop for a policy file that cannot be read."""
        try:
            policy = self._seams.policy()
        except ConfigError as error:
            if kind is not RunKind.BACKUP:
                raise
            log.warning("policy cannot be used; backups go on", reason=str(error))
            policy = Policy()
        policy.check_kind(kind)
        return policy

    def _bench(self, work: Work, policy: Policy, journal: Journal) -> Bench:
        order = self._order(work.source_id)
        if order is None and work.kind in _OF_A_SOURCE:
            raise Cannot(f"This agent has no order for source {work.source_id}; assign it first.", "not_assigned")
        return Bench(
            restic=self._restic,
            work=work,
            policy=policy,
            access=self._access(work.repository_id),
            order=order,
            report=self._spool.keep,
            tell=lambda progress: self._seams.tell(_progress(work, progress)),
            clock=self._clock,
            journal=journal,
            ends_at=time.monotonic() + policy.deadline(work.kind),
        )

    def _subject(self, bench: Bench) -> Callable[[], Awaitable[Result]]:
        match bench.work.kind:
            case RunKind.BACKUP:
                return lambda: backing.back_up(bench, lambda: self._make(bench), self._spool.has_opened)
            case RunKind.INIT:
                return lambda: backing.initialise(bench)
            case RunKind.CHECK:
                return lambda: upkeep.check(bench)
            case RunKind.UNLOCK:
                return lambda: upkeep.unlock(bench)
            case RunKind.FORGET:
                return lambda: upkeep.forget(bench)
            case RunKind.PRUNE:
                return lambda: upkeep.prune(bench)
            case RunKind.RESTORE:
                return lambda: restoring.restore(bench)
        raise Cannot(f"This agent does no {bench.work.kind.value}; update it.", "not_done_here")

    async def _make(self, bench: Bench) -> Run:
        """Make the repository that a backup needs, as a run of its own."""
        work = bench.work
        making = Work(
            run_id=ulid(self._clock()), kind=RunKind.INIT, repository_id=bench.access.id, cancel=work.cancel
        )

        async def make(making: Work, journal: Journal) -> Result:
            return await backing.initialise(replace(bench, work=making, journal=journal))

        return await self._reported(making, make)

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


def _progress(work: Work, progress: ResticProgress) -> Progress:
    return Progress(
        run_id=work.run_id,
        source_id=work.source_id or "",
        fraction=progress.fraction,
        files_done=progress.done_files,
        files_total=progress.total_files,
        bytes_done=progress.done_bytes,
        bytes_total=progress.total_bytes,
        seconds_remaining=progress.seconds_remaining,
        current=progress.current_files[0][:_CURRENT_CHARACTERS] if progress.current_files else None,
    )
