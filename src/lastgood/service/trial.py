"""Tries a repository out: an agent looks into it now, and somebody waits for what it saw.

Comes in: a repository and perhaps a host. Goes out: the agent's word, or ``Refused`` with a sentence. The one rule:
a trial changes nothing of what is known; it is no survey, and what it finds missing is no fault yet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from lastgood.errors import Refused, Unreachable
from lastgood.fleet.fleet import Fleet
from lastgood.fleet.looked import watcher
from lastgood.hub.roster import Roster
from lastgood.model.repository import HUB, Repository, Slot
from lastgood.service.assignment import FindHeld
from lastgood.wire.frames import LookNow, RepositoryAccess, Tested

ANSWER_SECONDS = 50.0
"""More than an agent takes for it, and less than a command or browser waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Who looked (None: the hub itself), and what was seen."""

    host_id: str | None
    seen: Tested


class Trials:
    """``mint`` makes the ids of questions; ``look_here`` is how the hub itself looks, where it watches."""

    def __init__(
        self,
        fleet: Fleet,
        roster: Roster,
        held: FindHeld,
        mint: Callable[[], str],
        look_here: Callable[[RepositoryAccess], Awaitable[Tested]],
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._fleet = fleet
        self._roster = roster
        self._held = held
        self._mint = mint
        self._look_here = look_here
        self._answer_seconds = answer_seconds

    async def look(self, repository_id: str, host_id: str | None = None) -> Trial:
        """What an agent sees there now: that of ``host_id``, else one that uses it. Raises Refused or Unreachable."""
        repository = self._fleet.repositories.get(repository_id)
        if repository is None:
            raise Refused(f"There is no repository {repository_id}; list them to find the right id.", retry=False)
        if host_id is not None and host_id not in self._fleet.hosts:
            raise Refused(f"There is no host {host_id}; list them to find the right id.", retry=False)
        chosen = next((one for one in self._candidates(repository, host_id) if one in self._roster), None)
        if chosen is None and host_id is None and repository.watched_by == HUB:
            return Trial(host_id=None, seen=await self._look_here(self._access(repository)))
        if chosen is None:
            raise Refused(self._nobody(host_id))
        question = self._mint()
        frame = LookNow(repository_id=repository.id, answer_to=question, access=self._access(repository))
        name = self._fleet.hosts[chosen].name
        with self._roster.answers.expected(question, chosen) as answer:
            if not await self._roster.send(chosen, frame):
                raise Refused(f"The agent of {name} has just gone away; ask again.")
            try:
                async with asyncio.timeout(self._answer_seconds):
                    return Trial(host_id=chosen, seen=await answer)
            except TimeoutError:
                raise Unreachable(
                    f"The agent of {name} did not answer within {self._answer_seconds:g} s; ask again, and update it "
                    "if that happens each time."
                ) from None

    def _candidates(self, repository: Repository, host_id: str | None) -> Iterator[str]:
        if host_id is not None:
            yield host_id
            return
        sources = (self._fleet.sources[i] for i in self._fleet.sources_of_repository.get(repository.id, ()))
        for source in sources:
            if source.host_id is not None and source.archived_by is None:
                yield source.host_id
        yield from watcher(repository)

    def _nobody(self, host_id: str | None) -> str:
        if host_id is not None:
            return f"The agent of {self._fleet.hosts[host_id].name} is not connected; see that it runs and ask again."
        return "No agent that uses this repository is connected; name a host whose agent is, or start one."

    def _access(self, repository: Repository) -> RepositoryAccess:
        return RepositoryAccess(
            id=repository.id,
            name=repository.name,
            url=repository.url,
            password_file=repository.password_file,
            environment_file=repository.environment_file,
            held=self._held(repository, Slot.EVERYDAY),
        )
