"""Channels as rows: what is shown of them, and their sealed addresses.

The one rule: an address arrives here sealed and leaves sealed; a change that makes a channel hear again also begins
the digest by which it learns what it missed, in the same transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, select, update

from lastgood.model.alert import Severity
from lastgood.model.channel import Channel, ChannelKind, Gathered
from lastgood.store import notices
from lastgood.store.schema import channels, insert

MOST = 40
"""Each channel may be busy at the same time, so there are not endlessly many."""

_SHOWN = [column for column in channels.columns if column.name not in ("folded_name", "sealed")]


def add(connection: Connection, channel: Channel, sealed: bytes) -> bool:
    """Add a channel and owe it a digest of what is open; False if the name is taken or there are too many."""
    if connection.execute(select(func.count()).select_from(channels)).scalar_one() >= MOST:
        return False
    row = {**_row(channel), "id": channel.id, "sealed": sealed}
    if not connection.execute(insert(connection, channels).values(row).on_conflict_do_nothing()).rowcount:
        return False
    if not channel.is_silent:
        notices.gather(connection, channel, Gathered.NEW_CHANNEL, channel.created_at)
    return True


def list_channels(connection: Connection) -> list[Channel]:
    """All channels, by name."""
    return [_channel(row) for row in connection.execute(select(*_SHOWN).order_by(channels.c.folded_name)).mappings()]


def find(connection: Connection, channel_id: str) -> Channel | None:
    row = connection.execute(select(*_SHOWN).where(channels.c.id == channel_id)).mappings().one_or_none()
    return None if row is None else _channel(row)


def sealed_of(connection: Connection, channel_id: str) -> bytes | None:
    return connection.execute(select(channels.c.sealed).where(channels.c.id == channel_id)).scalar_one_or_none()


def change(
    connection: Connection,
    channel_id: str,
    alter: Callable[[Channel], Channel],
    now: datetime,
    sealed: bytes | None = None,
) -> Channel | None:
    """The channel as it is now, ``sealed`` too if it is given; None if it is gone or the name is taken."""
    before = find(connection, channel_id)
    after = None if before is None else alter(before)
    if before is None or after is None or _taken(connection, after):
        return None
    values = _row(after) | ({} if sealed is None else {"sealed": sealed})
    connection.execute(update(channels).where(channels.c.id == after.id).values(values))
    if after.is_silent:
        return after
    if before.is_silent:
        notices.gather(connection, after, Gathered.RESUMED, now)
    elif before.severity is not after.severity or sealed is not None:
        notices.gather(connection, after, Gathered.CHANGED_CHANNEL, now)
    return after


def remove(connection: Connection, channel_id: str) -> bool:
    """Forget a channel and its outbox; False if there was none."""
    return connection.execute(delete(channels).where(channels.c.id == channel_id)).rowcount > 0


def end_pauses(connection: Connection, now: datetime) -> None:
    """Let channels hear again whose pause is over."""
    over = connection.execute(select(channels.c.id).where(channels.c.paused_until <= now)).scalars().all()
    for channel_id in over:
        change(connection, channel_id, lambda channel: replace(channel, paused_until=None), now)


def _taken(connection: Connection, channel: Channel) -> bool:
    query = select(channels.c.id).where(
        channels.c.folded_name == channel.name.casefold(), channels.c.id != channel.id
    )
    return connection.execute(query).first() is not None


def _row(channel: Channel) -> dict[str, Any]:
    return {
        "name": channel.name,
        "folded_name": channel.name.casefold(),
        "kind": str(channel.kind),
        "severity": str(channel.severity),
        "enabled": channel.enabled,
        "paused_until": channel.paused_until,
        "shown": channel.shown,
        "created_at": channel.created_at,
        "created_by": channel.created_by,
    }


def _channel(row: Any) -> Channel:
    return Channel(**{**row, "kind": ChannelKind(row["kind"]), "severity": Severity(row["severity"])})
