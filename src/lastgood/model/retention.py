"""Retention: which snapshots of a source stay when old ones are forgotten."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How many of the newest, and of the newest in each hour, day, week, month and year; restic's ``--keep-*``.

    ``within`` keeps all that are younger, as restic writes spans (``14d``, ``2y5m7d3h``).
    """

    last: int = 0
    hourly: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0
    within: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it would keep nothing; such a policy is refused everywhere."""
        counts = (self.last, self.hourly, self.daily, self.weekly, self.monthly, self.yearly)
        return not any(counts) and not self.within
