"""The life of an alert: findings and open alerts of one entity -> what opens and what is resolved. Pure.

Level-triggered: asked again with the same inputs it answers nothing, so a lost answer is given again. The one rule:
at most one unresolved alert a key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from lastgood.model.alert import Alert, AlertKey, Finding
from lastgood.model.fact import AlertOpened, AlertResolved, Fact

ORIGIN = "hub:rules"


def reconcile(
    open_alerts: Iterable[Alert], found: Iterable[Finding], now: datetime, mint: Callable[[], str]
) -> list[Fact]:
    """The facts that bring the open alerts of an entity in line with what was found."""
    wanted: dict[AlertKey, Finding] = {finding.key: finding for finding in found}
    facts: list[Fact] = [
        AlertResolved(at=now, origin=ORIGIN, alert_id=alert.id, key=alert.key, reason="The condition is over.")
        for alert in open_alerts
        if wanted.pop(alert.key, None) is None
    ]
    for finding in wanted.values():
        alert = Alert(
            id=mint(),
            key=finding.key,
            severity=finding.severity,
            message=finding.message,
            host_id=finding.host_id,
            opened_at=now,
        )
        facts.append(AlertOpened(at=now, origin=ORIGIN, alert=alert))
    return facts
