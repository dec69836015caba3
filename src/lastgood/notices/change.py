"""What happens to an alert that channels hear of, and how much of it goes into a digest instead.

Comes in: changes of alerts and what a channel was sent lately. Goes out: whether each gets a notice of its own. The
one rule: nothing is dropped; what gets no notice of its own is counted in a digest, which tells all that is open.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from lastgood.model.alert import Severity
from lastgood.model.channel import Event

STORM = 20
"""More changes than this for one channel within a minute become one digest."""

STORM_FOR = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """An alert that opened (or whose snooze is over) or was resolved, as far as channels are told of it."""

    event: Event
    alert_id: str
    rule: str
    entity_kind: str
    entity_id: str
    severity: Severity
    message: str
    host_id: str | None
    opened_at: datetime
    at: datetime
    reason: str | None = None
    snooze_over: bool = False


class Told(Enum):
    """How a channel hears of some changes."""

    EACH = "a notice each"
    JOINED = "by the digest that gathers already"
    DIGEST = "by a digest that begins to gather"


def fold(changes: int, lately: int, gathers: bool) -> Told:
    """How a channel hears of so many changes, of which it had ``lately`` within ``STORM_FOR``."""
    if gathers:
        return Told.JOINED
    return Told.DIGEST if lately + changes > STORM else Told.EACH
