"""The life of an alert: findings and open alerts of one entity -> what opens and what is resolved. Pure.

Level-triggered: asked again with the same inputs it answers nothing, so a lost answer is given again. The one rule:
at most one unresolved alert a key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from lastgood.model.alert import Alert, AlertKey, Finding
from lastgood.model.fact import AlertOpened, AlertResolved, AlertSnoozed, Fact
from lastgood.model.host import Host

ORIGIN = "hub:rules"


def reconcile(
    open_alerts: Iterable[Alert],
    found: Iterable[Finding],
    now: datetime,
    mint: Callable[[], str],
    hosts: Mapping[str, Host],
) -> list[Fact]:
    """The facts that bring the open alerts of an entity in line with what was found.

    What opens on a snoozed host is snoozed as long as that.
    """
    wanted: dict[AlertKey, Finding] = {finding.key: finding for finding in found}
    over = [alert for alert in open_alerts if wanted.pop(alert.key, None) is None]
    facts = ended(over, now, "The condition is over.")
    for finding in wanted.values():
        host = hosts.get(finding.host_id or "")
        until = host.snoozed_until if host is not None else None
        snoozed = until is not None and until > now
        alert = Alert(
            id=mint(),
            key=finding.key,
            severity=finding.severity,
            message=finding.message,
            host_id=finding.host_id,
            opened_at=now,
            snoozed_until=until if snoozed else None,
            snoozed_by=host.snoozed_by if host is not None and snoozed else None,
            told=not snoozed,
        )
        facts.append(AlertOpened(at=now, origin=ORIGIN, alert=alert))
    return facts


def ended(alerts: Iterable[Alert], now: datetime, reason: str) -> list[Fact]:
    """The facts that resolve these alerts."""
    return [
        AlertResolved(at=now, origin=ORIGIN, alert_id=alert.id, key=alert.key, reason=reason, told=alert.told)
        for alert in alerts
    ]


def woken(snoozed: Iterable[Alert], now: datetime) -> list[Fact]:
    """The facts that end the snoozes whose time is over."""
    return [
        AlertSnoozed(at=now, origin=ORIGIN, alert_id=alert.id, key=alert.key, until=None, by=ORIGIN)
        for alert in snoozed
        if alert.snoozed_until is not None and alert.snoozed_until <= now
    ]
