"""Hosts: machines with an agent, known by a ULID that survives renames."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentInfo:
    """What an agent said about itself and its machine when it connected."""

    agent_version: str
    restic_version: str | None
    os: str
    arch: str
    protocol: int
    boot_at: datetime | None = None
    abilities: tuple[str, ...] = ()
    """What it can do that earlier agents could not; ``stacks``: deploy, stop and restart compose projects."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One enrolled machine. ``key`` is the agent's Ed25519 public key, base64; ``next_key`` one that it proved to
    hold as well and has not used yet."""

    id: str
    name: str
    key: str
    enrolled_at: datetime
    info: AgentInfo | None = None
    next_key: str | None = None
    snoozed_until: datetime | None = None
    snoozed_by: str | None = None
    """Alerts that open on it before then are snoozed: a laptop on holiday."""


TRIP_BOUNDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10)
"""Upper bounds in seconds, inclusive, as the vocabulary of dockmesh fixes them; +Inf follows."""


class RoundTrips(NamedTuple):
    """How long questions to an agent were under way: the count of each bucket alone, the last for +Inf."""

    buckets: tuple[int, ...] = (0,) * (len(TRIP_BOUNDS) + 1)
    seconds: float = 0.0

    def with_one(self, seconds: float) -> RoundTrips:
        place = bisect_left(TRIP_BOUNDS, seconds)
        buckets = (*self.buckets[:place], self.buckets[place] + 1, *self.buckets[place + 1 :])
        return RoundTrips(buckets, self.seconds + seconds)


NO_TRIPS = RoundTrips()


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """What heartbeats say; held in memory, never a fact.

    ``observed_at`` is the last moment at which the agent was connected and owed us nothing: until then we
    would have known of any run. ``connected`` and ``synced`` together mean that we know this very moment.
    ``round_trips`` are all since this process began. ``refuses_orders``: it said that it cannot follow all of them.
    """

    connected: bool = False
    synced: bool = False
    seen_at: datetime | None = None
    observed_at: datetime | None = None
    clock_offset_seconds: float | None = None
    round_trip_seconds: float | None = None
    round_trips: RoundTrips = NO_TRIPS
    refuses_orders: bool = False

    @property
    def is_observing(self) -> bool:
        return self.connected and self.synced

    @property
    def is_skewed(self) -> bool:
        """Whether its clock and ours differ by more than their ways to each other explain."""
        return self.clock_offset_seconds is not None and abs(self.clock_offset_seconds) > MOST_SKEW_SECONDS

    @property
    def behind(self) -> timedelta:
        """How far its clock is behind ours: it follows its schedule by its own, so all it does comes later for us."""
        offset = self.clock_offset_seconds
        if offset is None or offset >= -MOST_SKEW_SECONDS:
            return timedelta(0)
        return timedelta(seconds=min(-offset, MOST_BEHIND_SECONDS))


MOST_SKEW_SECONDS = 60.0
MOST_BEHIND_SECONDS = 400 * 86_400.0
"""A clock that says 1970 is not set at all; what it was asked to do meanwhile is long over."""

ABSENT = Presence()
