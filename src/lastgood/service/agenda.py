"""Which entity is to be looked at next: a heap of moments, one a thing, the newest word counts.

Level-triggered: nothing sweeps the fleet, and nothing is lost when a moment is moved, since an entry that does not
match the latest word is skipped when it comes up. The one rule: no call does more than a bounded piece of work,
however many entries were moved or come up at once.
"""

from __future__ import annotations

from collections.abc import Hashable
from datetime import datetime
from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar

_Entry = TypeVar("_Entry", bound=Hashable)
_A_LOOK = 50
_PARTS = 64
"""The moments lie in many small dictionaries: one that grows, or sheds what was deleted, pauses for all it holds."""


class Agenda(Generic[_Entry]):
    """Moments at which entries come up; entries are compared by identity of value only."""

    __slots__ = ("_count", "_heap", "_moments", "_order")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, _Entry]] = []
        self._moments: tuple[dict[_Entry, float], ...] = tuple({} for _ in range(_PARTS))
        self._count = 0
        self._order = 0

    def __len__(self) -> int:
        return self._count

    def put(self, entry: _Entry, moment: datetime | None) -> None:
        """Set when the entry comes up; None takes it off."""
        moments = self._moments[hash(entry) % _PARTS]
        if moment is None:
            self._count -= moments.pop(entry, None) is not None
            return
        at, before = moment.timestamp(), moments.get(entry)
        if before == at:
            return
        moments[entry] = at
        self._count += before is None
        self._order += 1  # ties come up in the order they were put, and entries are never compared
        heappush(self._heap, (at, self._order, entry))
        if len(self._heap) > 64 + 4 * self._count:
            self._compact()

    def moment_of(self, entry: _Entry) -> float | None:
        """When the entry comes up, in epoch seconds; None if it is not on the agenda."""
        return self._moments[hash(entry) % _PARTS].get(entry)

    def take(self, now: datetime, most: int = _A_LOOK) -> list[_Entry] | None:
        """Take off some of what has come up by ``now``, earliest first; None when nothing has.

        An empty list says that only entries that were moved meanwhile came up; there may be more behind them.
        """
        limit = now.timestamp()
        if not self._heap or self._heap[0][0] > limit:
            return None
        taken: list[_Entry] = []
        for _ in range(most):
            if not self._heap or self._heap[0][0] > limit:
                break
            at, _, entry = heappop(self._heap)
            if self.moment_of(entry) == at:
                del self._moments[hash(entry) % _PARTS][entry]
                self._count -= 1
                taken.append(entry)
        return taken

    def may_be_due(self, now: datetime) -> bool:
        """Whether something has come up by ``now``; also where more was moved than can be skipped in one look."""
        limit = now.timestamp()
        for _ in range(_A_LOOK):
            if not self._heap or self._heap[0][0] > limit:
                return False
            if self.moment_of(self._heap[0][2]) == self._heap[0][0]:
                return True
            heappop(self._heap)
        return True

    def _compact(self) -> None:
        self._heap = [item for item in self._heap if self.moment_of(item[2]) == item[0]]
        heapify(self._heap)
