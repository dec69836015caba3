"""Hosts: machines with an agent, known by a ULID that survives renames."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentInfo:
    """What an agent said about itself and its machine when it connected."""

    agent_version: str
    restic_version: str | None
    os: str
    arch: str
    protocol: int
    boot_at: datetime | None = None


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """What heartbeats say; held in memory, never a fact.

    ``observed_at`` is the last moment at which the agent was connected and owed us nothing: until then we
    would have known of any run. ``connected`` and ``synced`` together mean that we know this very moment.
    """

    connected: bool = False
    synced: bool = False
    seen_at: datetime | None = None
    observed_at: datetime | None = None
    clock_offset_seconds: float | None = None
    round_trip_seconds: float | None = None

    @property
    def is_observing(self) -> bool:
        return self.connected and self.synced


ABSENT = Presence()
