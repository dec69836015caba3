"""Channels, where notices go, and notices: one message each to one channel."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from lastgood.model.alert import Severity

RANKS = {Severity.INFO: 0, Severity.WARNING: 1, Severity.CRITICAL: 2}


class ChannelKind(StrEnum):
    """A way out; a webhook of our own making, or any service of Apprise."""

    WEBHOOK = "webhook"
    APPRISE = "apprise"


class Event(StrEnum):
    """What a notice tells; a digest stands for many changes, or for all that was open before the channel was."""

    OPENED = "opened"
    RESOLVED = "resolved"
    DIGEST = "digest"
    TEST = "test"


class Gathered(StrEnum):
    """Why a digest is sent in place of a notice for each alert."""

    NEW_CHANNEL = "new_channel"
    CHANGED_CHANNEL = "changed_channel"
    RESUMED = "resumed"
    STORM = "storm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A configured way out. ``severity`` is the least that it hears of; ``shown`` its address without secrets."""

    id: str
    name: str
    kind: ChannelKind
    severity: Severity
    shown: str
    created_at: datetime
    created_by: str
    enabled: bool = True
    paused_until: datetime | None = None

    def hears(self, severity: Severity) -> bool:
        return RANKS[severity] >= RANKS[self.severity]

    @property
    def is_silent(self) -> bool:
        """Switched off, or paused: a pause ends by a row's change, never by the clock alone."""
        return not self.enabled or self.paused_until is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A row of the outbox. ``next_at`` is set while it waits; ``body`` is unset while a digest still gathers."""

    id: str
    number: int
    channel_id: str
    alert_id: str | None
    event: Event
    body: str | None
    reason: Gathered | None
    opened: int
    resolved: int
    created_at: datetime
    next_at: datetime | None
    attempts: int
    attempted_at: datetime | None
    delivered_at: datetime | None
    given_up_at: datetime | None
    receipt: str | None
    error: str | None
