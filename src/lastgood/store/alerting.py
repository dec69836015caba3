"""Facts about alerts -> their rows in the history, and the notices that channels get of them.

A part of ``store/telling.py``: everything here happens in the transaction that keeps the facts. The one rule: a
notice is written exactly when an alert's row really opens, ends or wakes, so a fact told twice tells nobody twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select, update
from sqlalchemy.sql.expression import ColumnElement

from lastgood.model.channel import Event
from lastgood.model.fact import AlertAcknowledged, AlertOpened, AlertResolved, AlertSnoozed, HostRemoved
from lastgood.notices.change import Change
from lastgood.store import notices
from lastgood.store.channels import list_channels
from lastgood.store.digests import change_of
from lastgood.store.schema import alerts, in_some, insert, storable

AlertFact = AlertOpened | AlertResolved | AlertAcknowledged | AlertSnoozed | HostRemoved


class AlertFacts:
    """What one batch of facts says of alerts, in its order."""

    def __init__(self) -> None:
        self._facts: list[AlertFact] = []
        self._opened: list[dict[str, Any]] = []

    def add(self, seq: int, fact: AlertFact) -> None:
        self._facts.append(fact)
        if isinstance(fact, AlertOpened):
            self._opened.append(_alert_row(seq, fact))

    def save(self, connection: Connection) -> None:
        """Write the rows, and tell the channels."""
        if not self._facts:
            return
        hearers = [channel for channel in list_channels(connection) if not channel.is_silent]
        new = self._new(connection) if hearers else set()
        if self._opened:
            connection.execute(insert(connection, alerts).on_conflict_do_nothing(), self._opened)
        rows = self._rows(connection) if hearers else {}
        changes: list[Change] = []
        for fact in self._facts:
            if isinstance(fact, AlertOpened):
                if fact.alert.told and storable(fact.alert.id) in new:
                    new.discard(storable(fact.alert.id))
                    changes.append(_opened(fact))
            elif isinstance(fact, HostRemoved):
                changes += _end_host(connection, fact, bool(hearers))
            else:
                changes += _apply(connection, fact, rows.get(storable(fact.alert_id)))
        if hearers and changes:
            notices.tell(connection, hearers, changes)

    def _new(self, connection: Connection) -> set[str]:
        """The alerts of this batch that have no row yet."""
        ids = [row["id"] for row in self._opened]
        known: set[str] = set()
        for some in in_some(ids):
            known.update(connection.execute(select(alerts.c.id).where(alerts.c.id.in_(some))).scalars())
        return set(ids) - known

    def _rows(self, connection: Connection) -> dict[str, Any]:
        """The rows of all alerts that end or wake here."""
        ids = {
            storable(fact.alert_id)
            for fact in self._facts
            if isinstance(fact, AlertResolved) or (isinstance(fact, AlertSnoozed) and fact.until is None)
        }
        found: dict[str, Any] = {}
        for some in in_some(sorted(ids)):
            found.update({row.id: row for row in connection.execute(select(alerts).where(alerts.c.id.in_(some)))})
        return found


def _apply(
    connection: Connection, fact: AlertResolved | AlertAcknowledged | AlertSnoozed, row: Any
) -> Sequence[Change]:
    """Bring the alert's row in line; answers what channels hear of it. ``row`` is as it was, if anybody hears."""
    values: dict[str, Any]
    which = alerts.c.id == storable(fact.alert_id)
    match fact:
        case AlertResolved():
            if not _end(connection, fact, which, fact.reason) or row is None or not fact.told:
                return ()
            return (change_of(row, Event.RESOLVED, fact.at, storable(fact.reason)),)
        case AlertAcknowledged():
            values = {"acknowledged_at": fact.at, "acknowledged_by": storable(fact.by)}
        case AlertSnoozed(until=None):
            values = {"snoozed_until": None, "snoozed_by": None, "silent": None}
            which = which & alerts.c.snoozed_until.is_not(None)
        case AlertSnoozed():
            values = {"snoozed_until": fact.until, "snoozed_by": storable(fact.by)}
    done = connection.execute(update(alerts).where(which, alerts.c.resolved_at.is_(None)).values(values)).rowcount
    if not done or row is None or not isinstance(fact, AlertSnoozed) or fact.until is not None:
        return ()
    return (change_of(row, Event.OPENED, fact.at, snooze_over=True),)


def _end_host(connection: Connection, fact: HostRemoved, heard: bool) -> list[Change]:
    """Resolve all that is open on a host that is gone, and with it its sources."""
    reason = "the host was removed"
    which = alerts.c.host_id == storable(fact.host_id)
    rows: Sequence[Any] = ()
    if heard:
        rows = connection.execute(select(alerts).where(which, alerts.c.resolved_at.is_(None))).all()
    _end(connection, fact, which, reason)
    return [change_of(row, Event.RESOLVED, fact.at, reason) for row in rows if not row.silent]


def _end(connection: Connection, fact: AlertFact, which: ColumnElement[bool], reason: str) -> int:
    query = update(alerts).where(which, alerts.c.resolved_at.is_(None))
    return connection.execute(query.values(resolved_at=fact.at, reason=storable(reason))).rowcount


def _opened(fact: AlertOpened) -> Change:
    alert = fact.alert
    return Change(
        event=Event.OPENED,
        alert_id=storable(alert.id),
        rule=storable(alert.key.rule),
        entity_kind=storable(alert.key.entity_kind),
        entity_id=storable(alert.key.entity_id),
        severity=alert.severity,
        message=storable(alert.message),
        host_id=_maybe(alert.host_id),
        opened_at=alert.opened_at,
        at=fact.at,
    )


def _alert_row(seq: int, fact: AlertOpened) -> dict[str, Any]:
    alert = fact.alert
    return {
        "id": storable(alert.id),
        "seq": seq,
        "rule": storable(alert.key.rule),
        "entity_kind": storable(alert.key.entity_kind),
        "entity_id": storable(alert.key.entity_id),
        "severity": str(alert.severity),
        "message": storable(alert.message),
        "host_id": _maybe(alert.host_id),
        "opened_at": alert.opened_at,
        "resolved_at": None,
        "reason": None,
        "acknowledged_at": alert.acknowledged_at,
        "acknowledged_by": _maybe(alert.acknowledged_by),
        "snoozed_until": alert.snoozed_until,
        "snoozed_by": _maybe(alert.snoozed_by),
        "silent": None if alert.told else True,
    }


def _maybe(text: str | None) -> str | None:
    return None if text is None else storable(text)
