"""The agent: spool, link, timetable, runner and surveyor tied together, from start to stop.

Orders come from the hub and stay on disk; runs come from schedules and wishes; reports go to the spool and by the
link to the hub. The one rule: the hub being away changes nothing but when it hears of things.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import structlog

from lastgood import clock
from lastgood.agent import machine, status, tls
from lastgood.agent.address import socket_address
from lastgood.agent.backoff import Backoff
from lastgood.agent.docker import DockerWatch
from lastgood.agent.ending import lost
from lastgood.agent.enrolment import AgentConfig, read_key
from lastgood.agent.files import load_assignment, make_private_folder, save_assignment
from lastgood.agent.handshake import Pinned, from_text
from lastgood.agent.jobs import Jobs
from lastgood.agent.jobs import Seams as JobSeams
from lastgood.agent.link import Described, Link
from lastgood.agent.link import Order as FromHub
from lastgood.agent.link import Seams as LinkSeams
from lastgood.agent.policy import Policy, read_policy
from lastgood.agent.runner import Runner, Work
from lastgood.agent.schedule import Timetable
from lastgood.agent.spool import Spool
from lastgood.agent.stacks import Stacks
from lastgood.agent.status import Noted, keep_noted
from lastgood.agent.surveyor import CHECK_SECONDS, Surveyor
from lastgood.agent.tester import Tester
from lastgood.agent.trying import PATIENCE, Patience
from lastgood.clock import Clock
from lastgood.errors import ConfigError
from lastgood.tools.restic.driver import Restic
from lastgood.wire.frames import (
    Applied,
    Assignment,
    CancelRun,
    DeployNow,
    Finished,
    Frame,
    LookNow,
    RepositoryAccess,
    RunNow,
)

log = structlog.get_logger(__name__)

STOP_SECONDS = 30.0
"""How long a stopping agent waits for restic: interrupted, asked to terminate, killed. The rest is reported lost."""
DELIVER_SECONDS = 2.0
"""How long a stopping agent tries to tell the hub its last reports; they are on disk anyway."""


class Agent:
    """One agent process. ``run`` returns when it was stopped, and raises when it cannot or may not go on."""

    def __init__(
        self,
        config: AgentConfig,
        at: Clock = clock.now,
        backoff: Backoff | None = None,
        *,
        policy_file: Path | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._config = config
        self._clock = at
        self._backoff = backoff
        self._policy = partial(read_policy, policy_file)
        self._patience = patience or PATIENCE

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set. Raises ConfigError, or HubRefused when the hub wants this agent no more."""
        config = self._config
        self._policy()  # whoever starts an agent hears of a policy that it cannot use
        address = socket_address(config.hub_url, insecure=config.insecure)
        trust = tls.context(config.ca_file) if address.startswith("wss:") else None
        keys = read_key(Path(config.key_file))
        pinned = Pinned(host_id=config.host_id, keys=keys, hub_key=from_text(config.hub_key))
        folder = Path(config.data_dir)
        make_private_folder(folder)
        spool = await Spool.open(folder / "spool.db", self._clock)
        try:
            restic = Restic(binary=config.restic, cache_dir=folder / "cache", clock=self._clock)
            desk = _Desk(folder, pinned, restic, spool, self._clock, self._policy, self._patience)
            seams = replace(desk.link_seams(), keys=partial(read_key, Path(config.key_file)))
            link = Link(address, pinned, spool, seams, self._clock, self._backoff, trust)
            noting = asyncio.create_task(keep_noted(folder / status.NAME, partial(desk.noted, link)))
            try:
                await desk.work(link, stop)
            finally:
                noting.cancel()
                await asyncio.gather(noting, return_exceptions=True)
        finally:
            await spool.close()


class _Desk:
    """The parts of a working agent, wired to each other around one open spool."""

    def __init__(
        self,
        folder: Path,
        pinned: Pinned,
        restic: Restic,
        spool: Spool,
        at: Clock,
        policy: Callable[[], Policy],
        patience: Patience,
    ) -> None:
        self._assignment_path = folder / "assignment.json"
        self._assignment = self._saved = load_assignment(self._assignment_path)
        self._refused: tuple[str, ...] = ()
        self._host_id = pinned.host_id
        self._restic = restic
        self._spool = spool
        self._clock = at
        self._link: Link | None = None
        self._timetable = Timetable({})
        self._assigned = asyncio.Event()
        self._policy = policy
        self._surveyor = Surveyor(restic, spool, self._accesses, at, self._check)
        self._tester = Tester(restic, self._tell, at, check=self._check)
        self._docker = DockerWatch(spool, at, policy, folder)
        seams = JobSeams(
            assignment=lambda: self._assignment,
            tell=self._tell,
            survey=self._surveyor.look,
            policy=policy,
            patience=patience,
        )
        self._jobs = Jobs(restic, spool, pinned.host_id, seams, at)
        self._runner = Runner(self._jobs.perform, self._jobs.drop, at)
        self._stacks = Stacks(folder, spool, pinned.host_id, self._tell, policy, at)

    def link_seams(self) -> LinkSeams:
        """What the link asks of us."""
        return LinkSeams(describe=self._describe, receive=self._receive, survey_all=self._survey_all)

    async def noted(self, link: Link) -> Noted:
        """What this machine may be told of us."""
        return Noted(
            noted_at=self._clock(),
            pid=os.getpid(),
            connected=link.is_up,
            connected_at=link.connected_at,
            away=link.complaint,
            reports=await self._spool.depth(),
            runs=self._runner.running,
        )

    async def work(self, link: Link, stop: asyncio.Event) -> None:
        """Until stopped or refused; whatever runs then is interrupted, reported, and told if the hub is there."""
        self._link = link
        await self._report_lost()
        await self._stacks.begin()
        self._timetable = Timetable(await self._spool.fired())
        await self._follow(self._assignment)
        running = asyncio.create_task(self._runner.run())
        looking = asyncio.create_task(self._surveyor.run())
        linking = asyncio.create_task(link.run())
        parts = [running, looking, linking, asyncio.create_task(self._keep_time())]
        watching = asyncio.create_task(self._docker.run())
        watching.add_done_callback(_watched)
        stopped = asyncio.create_task(stop.wait())
        try:
            done, _ = await asyncio.wait([*parts, stopped], return_when=asyncio.FIRST_COMPLETED)
            looking.cancel()
            watching.cancel()
            await self._tester.stop()
            parts[-1].cancel()
            await self._runner.stop()
            await _within(STOP_SECONDS, self._stacks.stop())
            await asyncio.wait([running, looking], timeout=STOP_SECONDS)
            if link.is_up and not linking.done():
                await _within(DELIVER_SECONDS, link.delivered())
            for part in done & {*parts}:
                part.result()
        finally:
            for part in (*parts, watching, stopped):
                part.cancel()
            await asyncio.gather(*parts, watching, stopped, return_exceptions=True)

    async def _keep_time(self) -> None:
        """Start what is due. The clock is asked again at least every 30 s, whatever it or the machine did."""
        while True:
            self._assigned.clear()
            now = self._clock()
            for due in self._timetable.due(now):
                self._runner.fire(due.order, due.due_at)
            next_at = self._timetable.next_at()
            ahead = CHECK_SECONDS if next_at is None else (next_at - now).total_seconds()
            await _within(min(max(ahead, 0.0), CHECK_SECONDS), self._assigned.wait())

    async def _report_lost(self) -> None:
        """Runs that an earlier agent left open: nobody saw how they ended."""
        for left in await self._spool.open_runs():
            log.warning("run lost", run=left.start.id, begun=left.begun)
            self._jobs.left_open(left.start)
            await self._spool.keep(Finished(run=lost(left)))

    def _check(self, access: RepositoryAccess) -> None:
        """Raises ConfigError for an access that this host's policy does not allow."""
        try:
            policy = self._policy()
        except ConfigError:
            return  # looks go on, as backups do
        policy.check_environment_file(access.environment_file)

    async def _receive(self, order: FromHub) -> None:
        match order:
            case Assignment():
                await self._assign(order)
            case RunNow():
                await self._wish(order)
            case CancelRun(run_id=run_id):
                await self._runner.cancel(run_id)
                await self._stacks.cancel(run_id)
            case DeployNow():
                await self._stacks.wish(order)
            case LookNow(answer_to=str(answer_to), access=RepositoryAccess() as access):
                self._tester.begin(answer_to, access)
            case LookNow(repository_id=repository_id):
                self._surveyor.look(repository_id)

    async def _assign(self, assignment: Assignment) -> None:
        if assignment != self._assignment:
            await self._follow(assignment)
            log.info("orders taken", version=assignment.version, orders=len(assignment.orders), refused=self._refused)
        await self._save(assignment)
        self._tell(Applied(version=assignment.version, refused=self._refused))

    async def _save(self, assignment: Assignment) -> None:
        """Keep the orders for a start without the hub. A disk that does not take them costs no connection."""
        if assignment == self._saved:
            return
        try:
            await asyncio.to_thread(save_assignment, self._assignment_path, assignment)
        except OSError as error:
            log.error("orders not on disk, tried again when the hub sends them again", reason=error.strerror)
        else:
            self._saved = assignment

    async def _follow(self, assignment: Assignment) -> None:
        begun, refused = self._timetable.assign(assignment.orders, self._clock())
        for source_id, fired in begun.items():
            await self._spool.follow(source_id, fired)
        self._assignment, self._refused = assignment, tuple(refused)
        self._assigned.set()
        self._surveyor.assigned()

    async def _wish(self, frame: RunNow) -> None:
        work = Work(
            run_id=frame.run_id, kind=frame.kind, source_id=frame.source_id, repository_id=frame.repository_id
        )
        if await self._spool.wish(work.start(self._host_id, self._clock())):
            await self._runner.wish(frame)

    async def _describe(self) -> Described:
        return Described(
            info=await machine.info(self._restic),
            hostname=socket.gethostname(),
            assignment_version=self._assignment.version or None,
            running=(*self._runner.running, *self._stacks.running),
        )

    def _survey_all(self) -> None:
        self._surveyor.look_everywhere()
        self._docker.tell_again()

    def _accesses(self) -> tuple[RepositoryAccess, ...]:
        return self._assignment.repositories

    def _tell(self, frame: Frame) -> None:
        if self._link is not None:
            self._link.tell(frame)


def _watched(task: asyncio.Task[None]) -> None:
    """Backups go on whatever becomes of the look at containers."""
    if not task.cancelled() and task.exception() is not None:
        log.error("container engine is not watched any more, restart the agent", exc_info=task.exception())


async def _within(seconds: float, waiting: Awaitable[object]) -> None:
    try:
        async with asyncio.timeout(seconds):
            await waiting
    except TimeoutError:
        return
