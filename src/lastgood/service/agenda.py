"""Which entity is to be looked at next: a heap of moments, one a thing, the newest word counts.

Level-triggered: nothing sweeps the fleet, and nothing is lost when a moment is moved, since an entry that does not
match the latest word is skipped when it comes up.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from datetime import datetime
from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar

_Entry = TypeVar("_Entry", bound=Hashable)


class Agenda(Generic[_Entry]):
    """Moments at which entries come up; entries are compared by identity of value only."""

    __slots__ = ("_heap", "_moments", "_order")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, _Entry]] = []
        self._moments: dict[_Entry, float] = {}
        self._order = 0

    def __len__(self) -> int:
        return len(self._moments)

    def put(self, entry: _Entry, moment: datetime | None) -> None:
        """Set when the entry comes up; None takes it off."""
        if moment is None:
            self._moments.pop(entry, None)
            return
        at = moment.timestamp()
        if self._moments.get(entry) == at:
            return
        self._moments[entry] = at
        self._order += 1  # ties come up in the order they were put, and entries are never compared
        heappush(self._heap, (at, self._order, entry))
        if len(self._heap) > 64 + 4 * len(self._moments):
            self._compact()

    def moment_of(self, entry: _Entry) -> float | None:
        """When the entry comes up, in epoch seconds; None if it is not on the agenda."""
        return self._moments.get(entry)

    def due(self, now: datetime) -> Iterator[_Entry]:
        """Take off and give what has come up by ``now``, earliest first."""
        limit = now.timestamp()
        while self._heap and self._heap[0][0] <= limit:
            at, _, entry = heappop(self._heap)
            if self._moments.get(entry) == at:
                del self._moments[entry]
                yield entry

    def next_at(self) -> float | None:
        """The moment, in epoch seconds, at which something comes up; None for an empty agenda."""
        while self._heap and self._moments.get(self._heap[0][2]) != self._heap[0][0]:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def _compact(self) -> None:
        self._heap = [item for item in self._heap if self._moments.get(item[2]) == item[0]]
        heapify(self._heap)
