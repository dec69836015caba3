"""What a digest tells: the alerts that are open, as the history has them at the moment it is composed.

Comes in: a notice that gathered, and its channel. Goes out: the body that is sent from then on. The one rule: counts
are of everything that the channel hears of; only the list has an end.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, func, or_, select
from sqlalchemy.sql.expression import ColumnElement

from lastgood.model.alert import Severity
from lastgood.model.channel import Channel, Event, Gathered, Notice
from lastgood.notices import body
from lastgood.notices.change import Change
from lastgood.store.records import PUBLIC_URL, get_meta
from lastgood.store.schema import alerts

_WORST_FIRST = (Severity.CRITICAL, Severity.WARNING, Severity.INFO)


def body_of(connection: Connection, notice: Notice, channel: Channel, now: datetime) -> str | None:
    """The body of a digest; None for a new channel to which there is nothing to tell any more."""
    severities = open_counts(connection, channel, now)
    reason = notice.reason or Gathered.STORM
    if reason is Gathered.NEW_CHANNEL and not sum(severities.values()) and not notice.resolved:
        return None
    return body.of_digest(
        notice.id,
        channel,
        now,
        get_meta(connection, PUBLIC_URL),
        reason=reason,
        opened=notice.opened,
        resolved=notice.resolved,
        severities=severities,
        worst=_worst(connection, channel, now),
    )


def open_counts(connection: Connection, channel: Channel, now: datetime) -> dict[Severity, int]:
    """How many alerts are open that the channel hears of, by severity."""
    query = select(alerts.c.severity, func.count()).where(_tellable(channel, now)).group_by(alerts.c.severity)
    counts = {Severity(severity): count for severity, count in connection.execute(query)}
    return {severity: counts.get(severity, 0) for severity in _WORST_FIRST if channel.hears(severity)}


def change_of(
    row: Any, event: Event, at: datetime, reason: str | None = None, *, snooze_over: bool = False
) -> Change:
    """What happened to an alert, from its row in the history."""
    return Change(
        event=event,
        alert_id=row.id,
        rule=row.rule,
        entity_kind=row.entity_kind,
        entity_id=row.entity_id,
        severity=Severity(row.severity),
        message=row.message,
        host_id=row.host_id,
        opened_at=row.opened_at,
        at=at,
        reason=reason,
        snooze_over=snooze_over,
    )


def _tellable(channel: Channel, now: datetime) -> ColumnElement[bool]:
    heard = [str(severity) for severity in _WORST_FIRST if channel.hears(severity)]
    awake = or_(alerts.c.snoozed_until.is_(None), alerts.c.snoozed_until <= now)
    return and_(alerts.c.resolved_at.is_(None), alerts.c.severity.in_(heard), awake)


def _worst(connection: Connection, channel: Channel, now: datetime) -> list[Change]:
    """The open alerts that are listed: worst first, then the newest."""
    found: list[Change] = []
    for severity in _WORST_FIRST:
        query = select(alerts).where(_tellable(channel, now), alerts.c.severity == str(severity))
        query = query.order_by(alerts.c.opened_at.desc()).limit(body.LISTED - len(found))
        found += [change_of(row, Event.OPENED, row.opened_at) for row in connection.execute(query)]
    return found
