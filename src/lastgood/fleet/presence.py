"""What connections and heartbeats say about hosts: who is there, and until when we would have known of any run.

``hub/session.py`` tells, the judge reads. Held in memory beside the facts, never one of them. Each function answers
whether ``connected``, ``synced``, its obedience or the clock's being wrong changed: then the host is judged again;
plain life signs only move instants. The one rule: no instant ever goes back by itself, whatever the wall clock does;
``put_back`` is for whoever knows that the clock was wrong.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from lastgood.fleet.fleet import Judging
from lastgood.fleet.judge import OFFLINE_AFTER
from lastgood.model.host import ABSENT, Presence

__all__ = [
    "OFFLINE_AFTER",
    "connected",
    "disconnected",
    "doubted",
    "heard",
    "ordered",
    "put_back",
    "remembered",
    "synced",
]


def connected(judging: Judging, host_id: str, at: datetime) -> bool:
    """The agent proved who it is. A newer connection that takes over starts unsynced: its spool may hold more."""
    before = judging.presence.get(host_id, ABSENT)
    judging.presence[host_id] = replace(
        before, connected=True, synced=False, seen_at=_later(before.seen_at, at), round_trip_seconds=None
    )
    return not before.connected or before.synced


def heard(
    judging: Judging,
    host_id: str,
    at: datetime,
    *,
    clock_offset_seconds: float | None = None,
    round_trip_seconds: float | None = None,
) -> bool:
    """A frame came. ``clock_offset_seconds`` is the agent's clock minus ours; None leaves what was known."""
    before = judging.presence.get(host_id, ABSENT)
    if not before.connected:
        return False
    offset, trip, trips = before.clock_offset_seconds, before.round_trip_seconds, before.round_trips
    after = Presence(
        connected=True,
        synced=before.synced,
        seen_at=_later(before.seen_at, at),
        observed_at=before.observed_at,
        clock_offset_seconds=offset if clock_offset_seconds is None else clock_offset_seconds,
        round_trip_seconds=trip if round_trip_seconds is None else round_trip_seconds,
        round_trips=trips if round_trip_seconds is None else trips.with_one(round_trip_seconds),
        refuses_orders=before.refuses_orders,
    )
    if after.synced:
        after = replace(after, observed_at=_later(before.observed_at, at - after.behind))
    judging.presence[host_id] = after
    return before.is_skewed != after.is_skewed


def synced(judging: Judging, host_id: str, at: datetime, in_step: bool) -> bool:
    """Whether all that the agent said it has is committed, as of ``at``."""
    before = judging.presence.get(host_id, ABSENT)
    if not before.connected or before.synced == in_step:
        return False
    observed_at = _later(before.observed_at, at - before.behind) if in_step else before.observed_at
    judging.presence[host_id] = replace(before, synced=in_step, observed_at=observed_at)
    return True


def ordered(judging: Judging, host_id: str, *, refuses: bool) -> bool:
    """The agent said whether it can follow all of its newest orders."""
    before = judging.presence.get(host_id, ABSENT)
    if before.refuses_orders == refuses:
        return False
    judging.presence[host_id] = replace(before, refuses_orders=refuses)
    return True


def doubted(judging: Judging, host_id: str) -> bool:
    """Our own clock has moved: until the agent is heard again, nobody knows what was due meanwhile by its clock."""
    before = judging.presence.get(host_id, ABSENT)
    if not before.is_observing:
        return False
    judging.presence[host_id] = replace(before, synced=False)
    return True


def put_back(judging: Judging, host_id: str, at: datetime) -> None:
    """Our own clock was ahead and is right again: nobody was heard in times that are yet to come."""
    before = judging.presence.get(host_id, ABSENT)
    judging.presence[host_id] = replace(
        before, seen_at=_earlier(before.seen_at, at), observed_at=_earlier(before.observed_at, at)
    )


def disconnected(judging: Judging, host_id: str) -> bool:
    """The connection is over. What was last seen and observed stays: we knew until then, and no longer."""
    before = judging.presence.get(host_id, ABSENT)
    if not before.connected:
        return False
    judging.presence[host_id] = replace(before, connected=False, synced=False)
    return True


def remembered(
    judging: Judging,
    host_id: str,
    *,
    seen_at: datetime | None,
    observed_at: datetime | None,
    stopped_at: datetime | None,
    at: datetime,
) -> None:
    """At a start of the hub: what was known of a host when we stopped.

    Who was online then is given the time to come back: nobody is offline before 90 s of listening.
    """
    was_online = seen_at is not None and stopped_at is not None and stopped_at - seen_at < OFFLINE_AFTER
    # Notes of a clock that was ahead would keep a dead host online, and its sources known, until then.
    judging.presence[host_id] = Presence(
        seen_at=at if was_online else _earlier(seen_at, at), observed_at=_earlier(observed_at, at)
    )


def _later(known: datetime | None, at: datetime) -> datetime:
    return at if known is None or at > known else known


def _earlier(known: datetime | None, at: datetime) -> datetime | None:
    return at if known is not None and known > at else known
