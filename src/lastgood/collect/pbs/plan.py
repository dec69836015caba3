"""What is swept next: namespaces never listed, those of which something moved, and each of them in its turn.

Comes in: what is stale, and moments. Goes out: one list to ask for at a time. The one rule: each namespace has its
own place in the window of six hours, so that a full sweep is spread over all of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from lastgood.tools.pbs.groups import GroupKey
from lastgood.tools.pbs.known import Groups
from lastgood.tools.pbs.place import Place

WINDOW = timedelta(hours=6)
MANY = 10
"""If more than one of so many groups moved, the whole namespace is listed at once."""

LONG = timedelta(seconds=5)
REST = 10
"""A namespace whose list takes long is not swept again before so many times as long."""

FIRST_PAUSE = timedelta(minutes=2)
LONGEST_PAUSE = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Ask:
    """The snapshots of one namespace, or of one group in it."""

    place: Place
    group: GroupKey | None = None


class Plan:
    def __init__(self) -> None:
        self._swept: dict[Place, datetime] = {}
        self._rests: dict[Place, datetime] = {}
        self._failed: dict[Place, int] = {}

    def next(self, groups: Groups, places: Sequence[Place], now: datetime) -> Ask | None:
        """The next list; None while there is nothing to ask for. ``places`` are those that can be read."""
        for place in places:
            stale, count = groups.stale(place)
            if not stale:
                continue
            if MANY * len(stale) > count:
                if not self._rests_until(place, now):
                    return Ask(place)
            elif place not in self._failed or not self._rests_until(place, now):
                return Ask(place, stale[0])
        return next((Ask(place) for place in self.due(places, now) if not self._rests_until(place, now)), None)

    def due(self, places: Iterable[Place], now: datetime) -> list[Place]:
        """Whose turn of the window has come since they were last swept, longest waiting first."""
        ordered = sorted(places)
        window, epoch = WINDOW.total_seconds(), now.timestamp()
        found = []
        for index, place in enumerate(ordered):
            own = index * window / len(ordered)
            turn = (epoch - own) // window * window + own
            swept = self._swept.get(place)
            if swept is None or swept.timestamp() < turn:
                found.append((swept.timestamp() if swept is not None else 0.0, place))
        return [place for _, place in sorted(found)]

    def done(self, ask: Ask, now: datetime, took: timedelta) -> None:
        self._failed.pop(ask.place, None)
        if ask.group is None:
            self._swept[ask.place] = now
            if took >= LONG:
                self._rests[ask.place] = now + REST * took

    def failed(self, ask: Ask, now: datetime) -> None:
        """Not again for a while, longer each time; others go first."""
        times = self._failed.get(ask.place, 0)
        self._failed[ask.place] = times + 1
        self._rests[ask.place] = now + min(FIRST_PAUSE * 2 ** min(times, 10), LONGEST_PAUSE)

    def keep(self, places: Iterable[Place]) -> None:
        """Only of these something is remembered."""
        kept = set(places)
        for held in (self._swept, self._rests, self._failed):
            for place in [place for place in held if place not in kept]:
                del held[place]

    def _rests_until(self, place: Place, now: datetime) -> bool:
        return place in self._rests and now < self._rests[place]
