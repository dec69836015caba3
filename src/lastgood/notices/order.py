"""Which of a channel's waiting notices may be sent now.

Comes in: what waits, oldest first. Goes out: the one to send. The one rule: what tells of one alert goes in order,
and a digest, which tells of all of them, overtakes nothing and is overtaken by nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from lastgood.model.channel import Event


@dataclass(frozen=True, slots=True)
class Waiting:
    """As much of a notice as its turn depends on."""

    id: str
    alert_id: str | None
    event: Event
    next_at: datetime


def first_due(waiting: Iterable[Waiting], now: datetime) -> str | None:
    """The id of the oldest notice whose time has come and that has nothing ahead of it."""
    held: set[str | None] = set()
    for one in waiting:
        is_digest = one.event is Event.DIGEST
        behind = bool(held) if is_digest else one.alert_id in held
        if one.next_at <= now and not behind:
            return one.id
        if is_digest:
            return None
        held.add(one.alert_id)
    return None


def next_turn(waiting: Iterable[Waiting]) -> datetime | None:
    """When ``first_due`` will have an answer; None if nothing waits."""
    soonest: datetime | None = None
    held: set[str | None] = set()
    for one in waiting:
        is_digest = one.event is Event.DIGEST
        if not (held if is_digest else one.alert_id in held):
            soonest = one.next_at if soonest is None else min(soonest, one.next_at)
        if is_digest:
            break
        held.add(one.alert_id)
    return soonest
