"""What people ask of agents: run this now, cancel that, look there. Each wish goes down the host's open connection.

The one rule: a wish that cannot reach its agent is refused with a sentence; nothing is queued behind anybody's back.
One that left us and was not heard of is sent again when its agent is back, and ends with a reason if it never is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from lastgood.clock import Clock
from lastgood.errors import Refused, StoreError
from lastgood.fleet.changes import Changes
from lastgood.fleet.fleet import Fleet
from lastgood.hub.roster import Roster
from lastgood.hub.wishes import MOST_OF_A_HOST, Waiting, Wish, Wishes
from lastgood.model.fact import Fact, RunFinished
from lastgood.model.job import Outcome, Run, RunKind, RunStart
from lastgood.model.repository import HUB
from lastgood.service.aims import Aim, aim
from lastgood.wire.frames import CancelRun, RunNow

ROUND_SECONDS = 5.0
_ALONE = frozenset({RunKind.CHECK, RunKind.PRUNE, RunKind.INIT})
"""They lock a repository for themselves, so a second one would only wait for the first."""

_log = structlog.get_logger("lastgood.commands")


class Commands:
    """``mint`` makes run ids: a run that a person asked for is started here. ``look`` has the hub itself look;
    ``take`` commits what the hub itself has to tell of a run."""

    def __init__(
        self,
        fleet: Fleet,
        roster: Roster,
        mint: Callable[[], str],
        look: Callable[[str], None],
        take: Callable[[list[Fact]], Awaitable[None]],
        clock: Clock,
    ) -> None:
        self._fleet = fleet
        self._roster = roster
        self._mint = mint
        self._look = look
        self._take = take
        self._clock = clock
        self.wishes = Wishes()

    # --- runs ---------------------------------------------------------------------------------------------------

    async def run_now(self, source_id: str, by: str) -> str:
        """Have the source backed up once; answers the run's id. Raises Refused."""
        return await self.start(Wish(kind=RunKind.BACKUP, source_id=source_id), by)

    async def start(self, wish: Wish, by: str, key: str | None = None) -> str:
        """Have something run once; answers the run's id. Raises Refused.

        A second request with the same ``key`` gets the first one's run, and starts nothing.
        """
        before = None if key is None else self.wishes.by_key(key)
        if before is not None:
            return before
        found = aim(self._fleet, wish, lambda host_id: host_id in self._roster)
        self._check_room(wish, found)
        run_id = self._mint()
        frame = RunNow(
            run_id=run_id,
            kind=wish.kind,
            source_id=wish.source_id,
            repository_id=None if wish.source_id is not None else found.repository_id,
            check_subset=wish.check_subset,
            restore=wish.restore,
        )
        waiting = Waiting(
            host_id=found.host_id,
            frame=frame,
            repository_id=found.repository_id,
            asked_at=self._clock(),
            by=by,
        )
        self.wishes.add(waiting)
        if key is not None:
            self.wishes.remember(key, run_id)
        if not await self._send(waiting):
            self.wishes.pop(run_id)
            if key is not None:
                self.wishes.forget(key)
            raise Refused(f"{self._away(found.host_id)} Nothing was started.")
        _log.info("run asked for", kind=wish.kind.value, source=wish.source_id, run=run_id, by=by)
        return run_id

    def queued(self) -> Mapping[str, RunStart]:
        """The runs that were asked for and have not begun, by id."""
        return {one.frame.run_id: one.start() for one in self.wishes}

    async def cancel(self, run_id: str, by: str) -> None:
        """Have a run ended. Raises Refused if it is not under way or its agent is away."""
        run = self._fleet.running.get(run_id)
        waiting = None if run is not None else self.wishes.pop(run_id)
        if waiting is not None:
            await self._roster.send(waiting.host_id, CancelRun(run_id=run_id))
            await self._end(waiting, "cancelled", f"It was cancelled by {by} before it began.")
        elif run is None:
            raise Refused(f"Run {run_id} is not under way; it may have ended already.", retry=False)
        elif not await self._roster.cancel(run.host_id, run_id):
            raise Refused(f"{self._away(run.host_id)} The run goes on there.")
        _log.info("cancel asked for", run=run_id, by=by)

    # --- wishes on their way --------------------------------------------------------------------------------------

    def learned(self, changes: Changes) -> None:
        """Runs that were heard of wait no more; what waited for a host that is removed is gone with it."""
        self.wishes.heard_of(changes.runs)
        for host_id in changes.hosts:
            if host_id not in self._fleet.hosts:
                self.wishes.forget_host(host_id)

    def in_step(self, host_id: str) -> list[Waiting]:
        """The wishes to send again: the agent is here, has told all it had to tell, and does not know them."""
        connection = self._roster.connection(host_id)
        if connection is None:
            return []
        again = []
        for one in self.wishes.of_host(host_id):
            if one.sent_over == connection.greeted_at:
                continue
            if one.frame.run_id in connection.hello.running:
                one.sent_over = connection.greeted_at
            else:
                again.append(one)
        return again

    async def send_again(self, wishes: list[Waiting]) -> None:
        for one in wishes:
            if one.frame.run_id in self.wishes:
                _log.info("run asked for again", run=one.frame.run_id)
                await self._send(one)

    async def run(self) -> None:
        """Until cancelled: give up wishes whose agent stays away."""
        while True:
            await asyncio.sleep(ROUND_SECONDS)
            try:
                await self.round()
            except StoreError as error:
                _log.error("a wish could not be given up; tried again", error=str(error))

    async def round(self) -> None:
        """End what was sent to agents that did not come back."""
        for one in self.wishes.overdue(self._clock(), lambda host_id: host_id in self._roster):
            host = self._fleet.hosts.get(one.host_id)
            name = host.name if host else one.host_id
            await self._end(
                one, "never_arrived", f"The agent of {name} went away before it heard of this; ask again."
            )
            self.wishes.pop(one.frame.run_id)

    async def _end(self, waiting: Waiting, cause: str, reason: str) -> None:
        now, start = self._clock(), waiting.start()
        if waiting.host_id not in self._fleet.hosts:
            return
        run = Run(
            id=start.id,
            kind=start.kind,
            outcome=Outcome.CANCELLED,
            host_id=start.host_id,
            started_at=min(start.started_at, now),
            ended_at=now,
            duration_seconds=0.0,
            source_id=start.source_id,
            repository_id=start.repository_id,
            cause=cause,
            reason=reason,
        )
        await self._take([RunFinished(at=now, origin="hub:commands", run=run)])

    async def _send(self, waiting: Waiting) -> bool:
        connection = self._roster.connection(waiting.host_id)
        if connection is None or not await self._roster.send(waiting.host_id, waiting.frame):
            return False
        waiting.sent_over = connection.greeted_at
        return True

    def _check_room(self, wish: Wish, found: Aim) -> None:
        if len(self.wishes.of_host(found.host_id)) >= MOST_OF_A_HOST:
            raise Refused("More than enough waits for this host already; wait until some of it is done.")
        if wish.kind not in _ALONE:
            return
        under_way = [
            run.id
            for run in self._fleet.running.values()
            if run.kind is wish.kind and run.repository_id == found.repository_id
        ]
        waiting = self.wishes.like(wish.kind, found.repository_id)
        other = under_way[0] if under_way else waiting.frame.run_id if waiting is not None else None
        if other is not None:
            raise Refused(f"A {wish.kind.value} of this repository is under way already (run {other}).")

    # --- looks ----------------------------------------------------------------------------------------------------

    async def look_now(self, repository_id: str) -> None:
        """Have the hub look that watches the repository, or a connected agent that uses it. Raises Refused."""
        repository = self._fleet.repositories.get(repository_id)
        if repository is None:
            raise Refused(f"There is no repository {repository_id}; list them to find the right id.", retry=False)
        if repository.watched_by == HUB:
            self._look(repository_id)
            return
        users = (self._fleet.sources[i].host_id for i in self._fleet.sources_of_repository.get(repository_id, ()))
        hosts = dict.fromkeys((repository.watched_by, *users))
        for host_id in hosts:
            if host_id is not None and await self._roster.look_now(host_id, repository_id):
                return
        raise Refused("No agent that uses this repository is connected; start one and ask again.")

    def _away(self, host_id: str) -> str:
        host = self._fleet.hosts.get(host_id)
        return f"The agent of {host.name if host else host_id} is not connected; see that it runs and ask again."
