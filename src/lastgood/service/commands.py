"""What people ask of agents: run this now, cancel that, look there. Each wish goes down the host's open connection.

The one rule: a wish that cannot reach its agent is refused with a sentence; nothing is queued behind anybody's back.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from lastgood.errors import Refused
from lastgood.fleet.fleet import Fleet
from lastgood.hub.roster import Roster
from lastgood.model.job import RunKind
from lastgood.model.repository import HUB

_log = structlog.get_logger("lastgood.commands")


class Commands:
    """``mint`` makes run ids: a run that a person asked for is started here. ``look`` has the hub itself look."""

    def __init__(
        self,
        fleet: Fleet,
        roster: Roster,
        mint: Callable[[], str],
        look: Callable[[str], None] = lambda _repository_id: None,
    ) -> None:
        self._fleet = fleet
        self._roster = roster
        self._mint = mint
        self._look = look

    async def run_now(self, source_id: str, by: str) -> str:
        """Have the source backed up once; answers the run's id. Raises Refused."""
        source = self._fleet.sources.get(source_id)
        if source is None:
            raise Refused(f"There is no source {source_id}; list them to find the right id.", retry=False)
        if source.archived_by is not None:
            raise Refused(f"{source.name} is archived; take it out of the archive first.", retry=False)
        if source.host_id is None:
            raise Refused(
                f"{source.name} was found in its repository and no agent of ours makes it; start it where it runs, "
                "or adopt it into a source of an agent.",
                retry=False,
            )
        run_id = self._mint()
        if not await self._roster.run_now(source.host_id, run_id, RunKind.BACKUP, source_id=source_id):
            raise Refused(f"{self._away(source.host_id)} Nothing was started.")
        _log.info("backup asked for", source=source_id, run=run_id, by=by)
        return run_id

    async def cancel(self, run_id: str, by: str) -> None:
        """Have a run ended. Raises Refused if it is not under way or its agent is away."""
        run = self._fleet.running.get(run_id)
        if run is None:
            raise Refused(f"Run {run_id} is not under way; it may have ended already.", retry=False)
        if not await self._roster.cancel(run.host_id, run_id):
            raise Refused(f"{self._away(run.host_id)} The run goes on there.")
        _log.info("cancel asked for", run=run_id, by=by)

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
