"""The texts of notices: the JSON that webhooks get, and the words that people read.

Comes in: what happened. Goes out: the body that is stored with the notice and sent unchanged however often. The one
rule: version 1 of the JSON only grows; a field is never renamed, removed or given another meaning. Documented in
``docs/notices.md``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, Literal

import msgspec

from lastgood.model.alert import Severity
from lastgood.model.channel import Channel, Event, Gathered
from lastgood.notices.change import Change

VERSION: Final = 1
LISTED = 100
"""So many open alerts stand in a digest; ``omitted`` counts the rest."""

READ = 10
"""So many of them stand in the words for people."""

_ROOMS = {"source": "/sources/", "host": "/hosts/", "repository": "/repositories/"}
_WHY = {
    Gathered.NEW_CHANNEL: "This channel is new",
    Gathered.CHANGED_CHANNEL: "This channel was changed",
    Gathered.RESUMED: "This channel is on again",
    Gathered.STORM: "Much happened at once",
}


class AlertBody(msgspec.Struct, frozen=True, kw_only=True):
    """One alert; ``resolved_at`` and ``reason`` are null while it is open."""

    id: str
    rule: str
    severity: str
    message: str
    entity_kind: str
    entity_id: str
    host_id: str | None
    opened_at: datetime
    resolved_at: datetime | None
    reason: str | None
    url: str | None


class DigestBody(msgspec.Struct, frozen=True, kw_only=True):
    """All that is open and not snoozed; ``opened`` and ``resolved`` count the changes that it stands for."""

    reason: Gathered
    opened: int
    resolved: int
    open: int
    severities: dict[str, int]
    alerts: list[AlertBody]
    omitted: int


class ChannelBody(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str


class NoticeBody(msgspec.Struct, frozen=True, kw_only=True):
    """What a webhook gets. ``id`` stays the same however often it is sent; ``text`` is for people."""

    version: Literal[1]
    id: str
    event: Event
    created_at: datetime
    channel: ChannelBody
    hub: str | None
    title: str
    text: str
    alert: AlertBody | None = None
    digest: DigestBody | None = None


def of_change(notice_id: str, channel: Channel, change: Change, hub: str | None) -> str:
    """The body that tells of one alert."""
    word = "resolved" if change.event is Event.RESOLVED else "still open" if change.snooze_over else "open"
    title = f"lastgood: {change.severity} alert {word}"
    alert = of_alert(change, hub)
    lines = [alert.message]
    if change.event is Event.RESOLVED and change.reason:
        lines.append(f"Resolved: {alert.reason}")
    if change.snooze_over:
        lines.append("Its snooze is over.")
    if alert.url:
        lines.append(alert.url)
    return _encode(notice_id, channel, change.event, change.at, hub, title, lines, alert=alert)


def of_digest(
    notice_id: str,
    channel: Channel,
    now: datetime,
    hub: str | None,
    *,
    reason: Gathered,
    opened: int,
    resolved: int,
    severities: Mapping[Severity, int],
    worst: Sequence[Change],
) -> str:
    """The body that tells all that is open; ``worst`` are the alerts to be listed, worst first."""
    total = sum(severities.values())
    title = f"lastgood: {total} open {'alert' if total == 1 else 'alerts'}" if total else "lastgood: nothing is open"
    counts = ", ".join(f"{count} {severity}" for severity, count in severities.items() if count)
    lines = [f"{_WHY[reason]}: {opened} opened and {resolved} were resolved." if opened or resolved else ""]
    lines.append(f"Open now: {counts}." if total else "Nothing is open now.")
    listed = [of_alert(change, hub) for change in worst[:LISTED]]
    lines += [f"- {alert.severity}: {alert.message}" for alert in listed[:READ]]
    if total > READ:
        lines.append(f"and {total - min(READ, len(listed))} more")
    if hub:
        lines.append(f"{hub}/alerts")
    digest = DigestBody(
        reason=reason,
        opened=opened,
        resolved=resolved,
        open=total,
        severities={str(severity): count for severity, count in severities.items()},
        alerts=listed,
        omitted=total - len(listed),
    )
    return _encode(notice_id, channel, Event.DIGEST, now, hub, title, [line for line in lines if line], digest=digest)


def of_test(notice_id: str, channel: Channel, now: datetime, hub: str | None, by: str) -> str:
    """The body of a test."""
    lines = [f"This is a test of the channel {_clean(channel.name)}, asked for by {_clean(by)}. Nothing is wrong."]
    return _encode(notice_id, channel, Event.TEST, now, hub, "lastgood: test", lines)


def read(body: str) -> NoticeBody:
    """A stored body, for whoever sends its words."""
    return msgspec.json.decode(body, type=NoticeBody)


class _Title(msgspec.Struct, frozen=True):
    title: str


def title_of(body: str) -> str:
    """The one line of a stored body, for lists; cheaper than reading all of it."""
    return msgspec.json.decode(body, type=_Title).title


def of_alert(change: Change, hub: str | None) -> AlertBody:
    room = _ROOMS.get(change.entity_kind)
    resolved = change.event is Event.RESOLVED
    return AlertBody(
        id=change.alert_id,
        rule=_clean(change.rule),
        severity=str(change.severity),
        message=_clean(change.message),
        entity_kind=change.entity_kind,
        entity_id=_clean(change.entity_id),
        host_id=change.host_id,
        opened_at=change.opened_at,
        resolved_at=change.at if resolved else None,
        reason=_clean(change.reason) if resolved and change.reason else None,
        url=f"{hub}{room}{_clean(change.entity_id)}" if hub and room else None,
    )


def _encode(
    notice_id: str,
    channel: Channel,
    event: Event,
    at: datetime,
    hub: str | None,
    title: str,
    lines: Sequence[str],
    *,
    alert: AlertBody | None = None,
    digest: DigestBody | None = None,
) -> str:
    body = NoticeBody(
        version=VERSION,
        id=notice_id,
        event=event,
        created_at=at.astimezone(UTC),
        channel=ChannelBody(id=channel.id, name=_clean(channel.name)),
        hub=hub,
        title=title,
        text="\n".join(lines),
        alert=alert,
        digest=digest,
    )
    return msgspec.json.encode(body).decode()


def _clean(text: str) -> str:
    """Text as any receiver can take it: nothing that moves a cursor or splits a line, no lone surrogates."""
    return "".join(one if one.isprintable() else "\ufffd" for one in text)
