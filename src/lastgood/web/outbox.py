"""What pages and API say of channels and notices, and what programs may write of them.

Made from rows of the outbox; no address of a channel stands here but the one without secrets. The one rule: a field
added here is shown to programs under its name for ever; None means that we do not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec
from msgspec import UNSET, UnsetType

from lastgood.model.alert import Severity
from lastgood.model.channel import Channel, ChannelKind, Event, Notice
from lastgood.notices.body import title_of


class ChannelReading(msgspec.Struct, frozen=True, kw_only=True):
    """Where notices go. ``severity`` is the least it hears of; ``address`` leaves out what may be secret."""

    id: str
    name: str
    kind: ChannelKind
    severity: Severity
    address: str
    enabled: bool
    paused_until: datetime | None
    undelivered: int
    created_at: datetime
    created_by: str


class NoticeReading(msgspec.Struct, frozen=True, kw_only=True):
    """One message to one channel. ``status`` is waiting, delivered or given_up; ``error`` is of the last attempt."""

    id: str
    channel_id: str
    channel: str
    event: Event
    status: str
    alert_id: str | None
    title: str | None
    created_at: datetime
    next_attempt_at: datetime | None
    attempts: int
    attempted_at: datetime | None
    delivered_at: datetime | None
    given_up_at: datetime | None
    receipt: str | None
    error: str | None


class ChannelList(msgspec.Struct, frozen=True, kw_only=True):
    """All of them, by name; there are never more than a few."""

    items: list[ChannelReading]
    total: int
    next_cursor: str | None = None


class NoticeList(msgspec.Struct, frozen=True, kw_only=True):
    """Newest first. ``next_cursor`` goes into ``cursor`` of the next request; None on the last page."""

    items: list[NoticeReading]
    next_cursor: str | None


class ChannelAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """``secret`` signs what a webhook gets; it is told once, here."""

    channel: ChannelReading
    secret: str | None


class NewChannel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A channel to be made. ``url`` is a webhook's address or one of Apprise's; it is never told again."""

    name: str
    kind: ChannelKind
    url: str
    severity: Severity = Severity.INFO


class ChannelChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change; what is left out stays. ``paused_until`` null ends a pause."""

    name: str | UnsetType = UNSET
    severity: Severity | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    paused_until: datetime | UnsetType | None = UNSET
    url: str | UnsetType = UNSET
    new_secret: bool = False


class Snooze(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Until when nobody is told; either of the two."""

    until: datetime | None = None
    seconds: float | None = None


def channel_reading(channel: Channel, undelivered: int) -> ChannelReading:
    return ChannelReading(
        id=channel.id,
        name=channel.name,
        kind=channel.kind,
        severity=channel.severity,
        address=channel.shown,
        enabled=channel.enabled,
        paused_until=channel.paused_until,
        undelivered=undelivered,
        created_at=channel.created_at,
        created_by=channel.created_by,
    )


def notice_reading(notice: Notice, names: Mapping[str, str]) -> NoticeReading:
    waiting = notice.next_at is not None
    return NoticeReading(
        id=notice.id,
        channel_id=notice.channel_id,
        channel=names.get(notice.channel_id, notice.channel_id),
        event=notice.event,
        status="waiting" if waiting else "delivered" if notice.delivered_at is not None else "given_up",
        alert_id=notice.alert_id,
        title=None if notice.body is None else title_of(notice.body),
        created_at=notice.created_at,
        next_attempt_at=notice.next_at,
        attempts=notice.attempts,
        attempted_at=notice.attempted_at,
        delivered_at=notice.delivered_at,
        given_up_at=notice.given_up_at,
        receipt=notice.receipt,
        error=notice.error,
    )
