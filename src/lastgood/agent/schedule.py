"""When which source is due on this host: orders and the moments up to which their schedules have been followed.

Orders and a moment come in, due runs come out; nothing here waits or reads a clock. The one rule: of all moments that
passed while nobody looked (sleep, a stopped agent, a clock that jumped) a source runs for the latest one, once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from lastgood.agent.kept import Fired
from lastgood.errors import ConfigError
from lastgood.fleet.schedule import check, latest_until, next_after
from lastgood.wire.frames import Order

CLOCK_WAS_WRONG = timedelta(days=1)
"""A schedule followed this far into the future was followed by a wrong clock, and begins again now."""


@dataclass(frozen=True, slots=True)
class Due:
    """An order whose moment has come."""

    order: Order
    due_at: datetime


@dataclass(slots=True)
class _Line:
    order: Order
    fired: Fired
    next_at: datetime


class Timetable:
    """The orders that run by themselves."""

    def __init__(self, fired: Mapping[str, Fired]) -> None:
        self._fired = dict(fired)
        self._lines: dict[str, _Line] = {}

    def assign(self, orders: Iterable[Order], now: datetime) -> tuple[dict[str, Fired], list[str]]:
        """Follow these orders and no others.

        Answers from where schedules that are new or changed are followed (to be kept on disk), and one sentence for
        each order whose schedule cannot be followed. What a schedule asked for before it was given is not owed.
        """
        begun: dict[str, Fired] = {}
        refused: list[str] = []
        self._lines = {}
        for order in orders:
            if order.schedule is None:
                continue
            try:
                check(order.schedule)
            except ConfigError as error:
                refused.append(f"{order.name}: {error}")
                continue
            fired = self._fired.get(order.source_id)
            if fired is None or fired.schedule != order.schedule or fired.moment > now + CLOCK_WAS_WRONG:
                fired = begun[order.source_id] = Fired(now, order.schedule)
            self._follow(order, fired)
        return begun, refused

    def due(self, now: datetime) -> list[Due]:
        """What is due at ``now``, each source once; it is not told again."""
        found = []
        for line in list(self._lines.values()):
            if line.fired.moment > now + CLOCK_WAS_WRONG:
                self._follow(line.order, replace(line.fired, moment=now))
            elif line.next_at <= now:
                due_at = latest_until(line.fired.schedule, now)
                self._follow(line.order, replace(line.fired, moment=due_at))
                found.append(Due(line.order, due_at))
        return found

    def next_at(self) -> datetime | None:
        """The next moment at which something is due."""
        return min((line.next_at for line in self._lines.values()), default=None)

    def _follow(self, order: Order, fired: Fired) -> None:
        """A pause forgives what fell into it."""
        self._fired[order.source_id] = fired
        since = fired.moment if order.paused_until is None else max(fired.moment, order.paused_until)
        self._lines[order.source_id] = _Line(order, fired, next_after(fired.schedule, since))
