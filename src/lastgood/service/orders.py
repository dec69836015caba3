"""The orders of every host: given to its agent when it connects and whenever they change, and whether it took them.

Comes in: the fleet, what the hub holds, who is connected. Goes out: assignments. The one rule: what is said of an
agent's orders is what the agent itself said on its present connection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from lastgood.fleet.fleet import Fleet
from lastgood.hub.roster import Roster
from lastgood.service.assignment import FindHeld, assignment
from lastgood.service.slices import Slice
from lastgood.wire.frames import Assignment

AT_ONCE = 50
"""Orders of so many hosts are made anew in one go; of more in pieces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrdersTold:
    """Whether an agent has taken its newest orders, None while it is away; and what of them it refuses, in words."""

    taken: bool | None = None
    refused: tuple[str, ...] = ()

    def refusal_of(self, source_name: str) -> str | None:
        """Why the agent does not follow its order for the source of this name; None if it does."""
        head = f"{source_name}: "
        return next((words.removeprefix(head) for words in self.refused if words.startswith(head)), None)


AWAY = OrdersTold()


class Orders:
    """What was last given to each host."""

    def __init__(self, fleet: Fleet, roster: Roster, held: FindHeld) -> None:
        self._fleet = fleet
        self._roster = roster
        self._held = held
        self._given: dict[str, str] = {}

    def give(self, host_id: str) -> Assignment:
        """The orders of a host as they are now; noted as given."""
        orders = assignment(self._fleet, host_id, self._held)
        self._given[host_id] = orders.version
        return orders

    async def push(self, host_ids: Iterable[str], send: Callable[[str, Assignment], None]) -> None:
        """Give very many hosts their new orders without holding the event loop, each as they are by then."""
        piece = Slice()
        for host_id in host_ids:
            for given in self.changed((host_id,)):
                send(*given)
            if piece.is_over:
                await piece.rest()

    def changed(self, host_ids: Iterable[str]) -> Iterator[tuple[str, Assignment]]:
        """New orders for those of the connected hosts whose orders are not what they were given."""
        for host_id in host_ids:
            if host_id in self._roster:
                before = self._given.get(host_id)
                orders = self.give(host_id)
                if orders.version != before:
                    yield host_id, orders

    def told(self, host_id: str) -> OrdersTold:
        """What the host's agent says of its orders."""
        connection = self._roster.connection(host_id)
        if connection is None:
            return AWAY
        return OrdersTold(taken=connection.applied == self._given.get(host_id), refused=connection.refused)
