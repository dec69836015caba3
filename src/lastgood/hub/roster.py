"""Who is connected, and the way to tell them something.

Sessions join and leave; pages, jobs and ``up`` send. The one rule: one connection a host, and the newest wins: an
older one is ended and settled before the newer hears what is committed, so that no report is under way twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from lastgood.hub.admission import Admission
from lastgood.hub.answers import Answers
from lastgood.hub.connection import Connection, Ending
from lastgood.hub.progress import ProgressStore
from lastgood.hub.socket import REFUSED, REPLACED, RESTARTING
from lastgood.hub.words import Words
from lastgood.model.job import RunKind
from lastgood.wire.frames import Assignment, CancelRun, Frame, LookNow, RunNow

TAKEOVER_SECONDS = 10.0
_GOING_DOWN = Ending(code=RESTARTING, reason="the hub is going down; connect again")


class Roster:
    """The connected agents of this process."""

    def __init__(self) -> None:
        self._connections: dict[str, Connection] = {}
        self._leaving: set[Connection] = set()
        self.progress = ProgressStore()
        self.answers = Answers()
        self.words = Words()
        self.admission = Admission()
        self.draining = False

    def __len__(self) -> int:
        """How many agents are connected."""
        return len(self._connections)

    def __contains__(self, host_id: str) -> bool:
        return host_id in self._connections

    def connection(self, host_id: str) -> Connection | None:
        """The connection of a host, for what its agent said about itself (``applied``, ``refused``, ``hello``)."""
        return self._connections.get(host_id)

    async def send(self, host_id: str, frame: Frame) -> bool:
        """Send a frame; False if the host is not connected. True says it left us, not that it arrived.

        While a connection is still being greeted this waits, so that nothing comes before the welcome.
        """
        connection = self._connections.get(host_id)
        return connection is not None and await asyncio.shield(connection.welcomed) and await connection.send(frame)

    async def assign(self, host_id: str, assignment: Assignment) -> bool:
        """Give an agent its orders anew. One that is away gets them when it connects."""
        return await self.send(host_id, assignment)

    async def run_now(
        self,
        host_id: str,
        run_id: str,
        kind: RunKind,
        *,
        source_id: str | None = None,
        repository_id: str | None = None,
    ) -> bool:
        """Have an agent run something once; sending the same ``run_id`` again is harmless."""
        frame = RunNow(run_id=run_id, kind=kind, source_id=source_id, repository_id=repository_id)
        return await self.send(host_id, frame)

    async def cancel(self, host_id: str, run_id: str) -> bool:
        """Have an agent end a run that waits or is under way."""
        return await self.send(host_id, CancelRun(run_id=run_id))

    async def look_now(self, host_id: str, repository_id: str) -> bool:
        """Have an agent look into a repository soon."""
        return await self.send(host_id, LookNow(repository_id=repository_id))

    def dismiss(self, host_id: str, reason: str) -> bool:
        """Send an agent away for good, for instance when its host was removed: it stops, and does not come back."""
        connection = self._connections.get(host_id)
        if connection is not None:
            connection.end(Ending(code=REFUSED, reason=reason, told=connection.signing.refuse(reason, final=True)))
        return connection is not None

    def renew(self, host_id: str, reason: str) -> bool:
        """Have an agent connect again."""
        connection = self._connections.get(host_id)
        if connection is not None:
            connection.end(Ending(code=RESTARTING, reason=reason))
        return connection is not None

    async def close_all(self, seconds: float = 5.0) -> None:
        """Take no new connections, and end all in an orderly way: what they sent is committed and acknowledged."""
        self.draining = True
        leaving = {*self._connections.values(), *self._leaving}
        for connection in leaving:
            connection.end(_GOING_DOWN)
        await _are_over(leaving, seconds)

    async def join(self, connection: Connection) -> None:
        """For sessions: the newest connection of its host, once the older one has settled."""
        older = self._connections.get(connection.host_id)
        self._connections[connection.host_id] = connection
        if self.draining:
            connection.end(_GOING_DOWN)
        if older is not None:
            self._leaving.add(older)
            older.end(Ending(code=REPLACED, reason="a newer connection of this host took over"))
            await _are_over((older,), TAKEOVER_SECONDS)

    def leave(self, connection: Connection) -> bool:
        """For sessions: this connection is over; False if a newer one of its host is there."""
        self._leaving.discard(connection)
        if self._connections.get(connection.host_id) is not connection:
            return False
        del self._connections[connection.host_id]
        self.progress.ended(connection.host_id)
        return True


async def _are_over(connections: Iterable[Connection], seconds: float) -> None:
    waiting = [asyncio.ensure_future(connection.over.wait()) for connection in connections]
    if waiting:
        _, late = await asyncio.wait(waiting, timeout=seconds)
        for waiter in late:
            waiter.cancel()
