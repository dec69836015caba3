"""Alerts: a finding is a rule's remark now, an alert a finding that lasts and has a life."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Severity(StrEnum):
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True, order=True)
class AlertKey:
    """What an alert is about: at most one unresolved alert a key."""

    rule: str
    entity_kind: str
    entity_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a rule says of one entity at this moment."""

    key: AlertKey
    severity: Severity
    message: str
    host_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A finding that was opened and is not resolved.

    While it is snoozed it stays open and is shown, and channels hear nothing of it. ``told`` is False until they
    heard that it is open: one that opened on a snoozed host.
    """

    id: str
    key: AlertKey
    severity: Severity
    message: str
    host_id: str | None
    opened_at: datetime
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    snoozed_until: datetime | None = None
    snoozed_by: str | None = None
    told: bool = True
