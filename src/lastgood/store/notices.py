"""The outbox: notices written with the changes that cause them, and what became of each.

``store/telling.py`` calls ``tell`` in the transaction that keeps the facts; ``service/notices.py`` takes what is due
and notes how it went. The one rule: a notice leaves the waiting ones only as delivered or given up, and of one alert
(or behind a digest) none is taken before the one ahead of it has left.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, delete, func, or_, select, update
from sqlalchemy.sql.expression import ColumnElement

from lastgood.ids import ulid
from lastgood.model.channel import Channel, Event, Gathered, Notice
from lastgood.notices import body
from lastgood.notices.change import STORM_FOR, Change, Told, fold
from lastgood.notices.order import Waiting
from lastgood.store import digests
from lastgood.store.records import PUBLIC_URL, get_meta
from lastgood.store.schema import notices, storable

PAGE = 100
MOST_WAITING = 500
"""So many waiting notices of a channel are looked at; those behind them have to wait for these anyway."""

_EACH = (str(Event.OPENED), str(Event.RESOLVED))


def tell(connection: Connection, hearers: Sequence[Channel], changes: Sequence[Change]) -> None:
    """Put these changes into the outbox of every channel that hears of them."""
    for channel in hearers:
        heard = [change for change in changes if channel.hears(change.severity)]
        if not heard or channel.is_silent:
            continue
        now = heard[-1].at
        gathering = _gathering(connection, channel.id)
        match fold(len(heard), _lately(connection, channel.id, now), gathering is not None):
            case Told.EACH:
                _add_each(connection, channel, heard)
            case Told.DIGEST:
                gather(connection, channel, Gathered.STORM, now, STORM_FOR)
                _count(connection, channel.id, heard)
            case Told.JOINED:
                _count(connection, channel.id, heard)


def gather(
    connection: Connection, channel: Channel, reason: Gathered, now: datetime, wait: timedelta = timedelta()
) -> None:
    """Owe the channel a digest; one that gathers already will do, and a new one with nothing open is owed none."""
    if reason is Gathered.NEW_CHANNEL and not sum(digests.open_counts(connection, channel, now).values()):
        return
    if _gathering(connection, channel.id) is None:
        _insert(connection, [_row(channel, Event.DIGEST, now, reason=str(reason), next_at=now + wait)])


def compose(connection: Connection, notice: Notice, channel: Channel, now: datetime) -> Notice | None:
    """End the gathering of a digest: from now on its body stays. None if there is nothing to be told."""
    held = get(connection, notice.id)
    if held is None or held.body is not None:
        return held
    text = digests.body_of(connection, held, channel, now)
    if text is None:
        connection.execute(delete(notices).where(notices.c.id == notice.id))
        return None
    connection.execute(update(notices).where(notices.c.id == notice.id).values(body=text))
    return get(connection, notice.id)


def add_test(connection: Connection, channel: Channel, now: datetime, by: str) -> Notice:
    """A test; it waits for nobody, so it is no part of what is due."""
    row = _row(channel, Event.TEST, now, next_at=None)
    row["body"] = body.of_test(row["id"], channel, now, get_meta(connection, PUBLIC_URL), by)
    _insert(connection, [row])
    found = get(connection, row["id"])
    assert found is not None
    return found


# --- sending ------------------------------------------------------------------------------------------------------


def waiting(connection: Connection, channel_id: str, most: int = MOST_WAITING) -> list[Waiting]:
    """What waits for its turn in a channel, oldest first."""
    columns = (notices.c.id, notices.c.alert_id, notices.c.event, notices.c.next_at)
    query = select(*columns).where(notices.c.channel_id == channel_id, notices.c.next_at.is_not(None))
    rows = connection.execute(query.order_by(notices.c.number).limit(most))
    return [Waiting(row.id, row.alert_id, Event(row.event), row.next_at) for row in rows]


def delivered(connection: Connection, notice_id: str, at: datetime, receipt: str, *, back: bool) -> None:
    """It was taken. With ``back`` the channel had failed before: what waits for another attempt is tried at once."""
    done = update(notices).where(notices.c.id == notice_id)
    connection.execute(
        done.values(
            next_at=None,
            delivered_at=at,
            attempted_at=at,
            attempts=notices.c.attempts + 1,
            receipt=storable(receipt),
            error=None,
        )
    )
    if back:
        channel = select(notices.c.channel_id).where(notices.c.id == notice_id).scalar_subquery()
        waiting = and_(notices.c.channel_id == channel, notices.c.next_at > at, notices.c.attempts > 0)
        connection.execute(update(notices).where(waiting).values(next_at=at))


def hurry(connection: Connection, now: datetime) -> None:
    """Let nothing wait any longer; for a clock that was put back."""
    connection.execute(update(notices).where(notices.c.next_at > now).values(next_at=now))


def failed(
    connection: Connection, notice_id: str, at: datetime, error: str, receipt: str | None, next_at: datetime | None
) -> None:
    """It was not taken; without ``next_at`` it is given up."""
    values: dict[str, Any] = {
        "next_at": next_at,
        "attempted_at": at,
        "attempts": notices.c.attempts + 1,
        "error": storable(error),
        "receipt": None if receipt is None else storable(receipt),
    }
    if next_at is None:
        values["given_up_at"] = at
    connection.execute(update(notices).where(notices.c.id == notice_id).values(values))


# --- looking ------------------------------------------------------------------------------------------------------


def get(connection: Connection, notice_id: str) -> Notice | None:
    row = connection.execute(select(notices).where(notices.c.id == notice_id)).mappings().one_or_none()
    return None if row is None else _notice(row)


def list_notices(
    connection: Connection,
    *,
    channel_id: str | None = None,
    undelivered_since: datetime | None = None,
    before: int | None = None,
    limit: int = PAGE,
) -> tuple[list[Notice], int | None]:
    """Newest first, and the number from which the next page goes on.

    With ``undelivered_since``: those that failed and wait, and those given up since then.
    """
    query = select(notices)
    if channel_id is not None:
        query = query.where(notices.c.channel_id == channel_id)
    if undelivered_since is not None:
        query = query.where(_undelivered(undelivered_since))
    if before is not None:
        query = query.where(notices.c.number < before)
    rows = connection.execute(query.order_by(notices.c.number.desc()).limit(limit + 1)).mappings().all()
    found = [_notice(row) for row in rows[:limit]]
    return found, found[-1].number if len(rows) > limit else None


def count_undelivered(connection: Connection, since: datetime) -> dict[str, int]:
    """Channel id -> how many of its notices failed and wait, or were given up since then."""
    query = (
        select(notices.c.channel_id, func.count())
        .where(_undelivered(since), notices.c.event != str(Event.TEST))
        .group_by(notices.c.channel_id)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def trim(connection: Connection, before: datetime, limit: int = 1_000) -> int:
    """Remove old notices that wait no more, at most ``limit``; answers how many."""
    old = select(notices.c.id).where(notices.c.created_at < before, notices.c.next_at.is_(None)).limit(limit)
    return connection.execute(delete(notices).where(notices.c.id.in_(old.scalar_subquery()))).rowcount


def forget_alert(connection: Connection, alert_id: str) -> None:
    """Take back what was to be told of an alert that could not be learned."""
    mine = and_(notices.c.alert_id == storable(alert_id), notices.c.next_at.is_not(None), notices.c.attempts == 0)
    connection.execute(delete(notices).where(mine))


# --- inside -------------------------------------------------------------------------------------------------------


def _undelivered(since: datetime) -> ColumnElement[bool]:
    return or_(notices.c.given_up_at >= since, and_(notices.c.next_at.is_not(None), notices.c.attempts > 0))


def _add_each(connection: Connection, channel: Channel, changes: Sequence[Change]) -> None:
    hub = get_meta(connection, PUBLIC_URL)
    rows = []
    for change in changes:
        row = _row(channel, change.event, change.at, alert_id=storable(change.alert_id), next_at=change.at)
        row["body"] = storable(body.of_change(row["id"], channel, change, hub))
        rows.append(row)
    _insert(connection, rows)


def _count(connection: Connection, channel_id: str, changes: Sequence[Change]) -> None:
    opened = sum(change.event is Event.OPENED for change in changes)
    counted = {"opened": notices.c.opened + opened, "resolved": notices.c.resolved + len(changes) - opened}
    gathering = and_(notices.c.channel_id == channel_id, notices.c.next_at.is_not(None), notices.c.body.is_(None))
    connection.execute(update(notices).where(gathering).values(counted))


def _gathering(connection: Connection, channel_id: str) -> str | None:
    query = select(notices.c.id).where(
        notices.c.channel_id == channel_id, notices.c.next_at.is_not(None), notices.c.body.is_(None)
    )
    return connection.execute(query).scalars().first()


def _lately(connection: Connection, channel_id: str, now: datetime) -> int:
    query = select(func.count()).where(
        notices.c.channel_id == channel_id, notices.c.created_at > now - STORM_FOR, notices.c.event.in_(_EACH)
    )
    return connection.execute(query).scalar_one()


def _insert(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    number = connection.execute(select(func.max(notices.c.number))).scalar_one() or 0
    connection.execute(notices.insert(), [{**row, "number": number + one} for one, row in enumerate(rows, 1)])


def _row(
    channel: Channel,
    event: Event,
    at: datetime,
    *,
    next_at: datetime | None,
    alert_id: str | None = None,
    reason: str | None = None,
) -> dict[str, Any]:
    return {
        "id": ulid(at),
        "channel_id": channel.id,
        "alert_id": alert_id,
        "event": str(event),
        "body": None,
        "reason": reason,
        "opened": 0,
        "resolved": 0,
        "created_at": at,
        "next_at": next_at,
        "attempts": 0,
    }


def _notice(row: Any) -> Notice:
    reason = None if row["reason"] is None else Gathered(row["reason"])
    return Notice(**{**row, "event": Event(row["event"]), "reason": reason})
