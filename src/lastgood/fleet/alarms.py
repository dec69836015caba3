"""Alert facts -> fleet: what is open, with its counts. Called by ``learn`` alone.

The one rule: at most one open alert a key, and every count equals a recount.
"""

from __future__ import annotations

from dataclasses import replace

from lastgood.fleet.changes import Changes, Unlearnable, known
from lastgood.fleet.fleet import Fleet
from lastgood.model import fact
from lastgood.model.alert import Alert, AlertKey


def opened(fleet: Fleet, told: fact.AlertOpened, changes: Changes) -> None:
    alert = told.alert
    if alert.key in fleet.alerts:
        raise Unlearnable(f"Alert {alert.key} is open already.")
    things = {"host": fleet.hosts, "source": fleet.sources, "repository": fleet.repositories}
    if alert.key.entity_kind in things:
        known(things[alert.key.entity_kind], alert.key.entity_id, alert.key.entity_kind)  # type: ignore[arg-type]
    if alert.host_id is not None:
        known(fleet.hosts, alert.host_id, "host")
    fleet.alerts[alert.key] = alert
    fleet.alerts_of_entity.setdefault((alert.key.entity_kind, alert.key.entity_id), {})[alert.key] = None
    fleet.open_alerts[alert.severity] += 1
    fleet.counters[f"alerts_fired/{alert.severity}/{alert.key.rule}"] += 1
    if alert.host_id is not None:
        fleet.open_alerts_of_host[alert.host_id] += 1
        changes.hosts.add(alert.host_id)
    changes.alerts.add(alert.key)


def resolved(fleet: Fleet, told: fact.AlertResolved, changes: Changes) -> None:
    _forget(fleet, _open(fleet, told).key, changes)


def acknowledged(fleet: Fleet, told: fact.AlertAcknowledged, changes: Changes) -> None:
    _change(fleet, replace(_open(fleet, told), acknowledged_at=told.at, acknowledged_by=told.by), changes)


def snoozed(fleet: Fleet, told: fact.AlertSnoozed, changes: Changes) -> None:
    """Snooze an alert, or end that: then channels are told that it is open."""
    alert = _open(fleet, told)
    if told.until is None:
        _change(fleet, replace(alert, snoozed_until=None, snoozed_by=None, told=True), changes)
        return
    _change(fleet, replace(alert, snoozed_until=told.until, snoozed_by=told.by), changes)


def host_snoozed(fleet: Fleet, told: fact.HostSnoozed, changes: Changes) -> None:
    host = known(fleet.hosts, told.host_id, "host")
    by = told.by if told.until is not None else None
    fleet.hosts[host.id] = replace(host, snoozed_until=told.until, snoozed_by=by)
    changes.hosts.add(host.id)


def drop(fleet: Fleet, kind: str, entity_id: str, changes: Changes) -> None:
    """Forget what is open about a thing that is no more."""
    for key in list(fleet.alerts_of_entity.get((kind, entity_id), ())):
        _forget(fleet, key, changes)


def drop_of_host(fleet: Fleet, host_id: str, changes: Changes) -> None:
    """Forget all that is open on a host, whatever it is about."""
    drop(fleet, "host", host_id, changes)
    if host_id in fleet.open_alerts_of_host:
        for key in [key for key, alert in fleet.alerts.items() if alert.host_id == host_id]:
            _forget(fleet, key, changes)


def _open(fleet: Fleet, told: fact.AlertResolved | fact.AlertAcknowledged | fact.AlertSnoozed) -> Alert:
    alert = fleet.alerts.get(told.key)
    if alert is None or alert.id != told.alert_id:
        raise Unlearnable(f"Alert {told.alert_id} ({told.key}) is not open.")
    return alert


def _change(fleet: Fleet, alert: Alert, changes: Changes) -> None:
    fleet.alerts[alert.key] = alert
    changes.alerts.add(alert.key)


def _forget(fleet: Fleet, key: AlertKey, changes: Changes) -> None:
    alert = fleet.alerts.pop(key)
    of_entity = fleet.alerts_of_entity[key.entity_kind, key.entity_id]
    del of_entity[key]
    if not of_entity:
        del fleet.alerts_of_entity[key.entity_kind, key.entity_id]
    fleet.open_alerts[alert.severity] -= 1
    if alert.host_id is not None:
        fleet.open_alerts_of_host[alert.host_id] -= 1
        if not fleet.open_alerts_of_host[alert.host_id]:
            del fleet.open_alerts_of_host[alert.host_id]
        changes.hosts.add(alert.host_id)
    changes.alerts.add(key)
