"""When a server that knows our token no longer may be asked again.

Comes in: moments of refusals. Goes out: the moment before which nothing is to be asked. The one rule: every try
with a bad token stands in the server's log and may trip a ban, so that pauses grow, to an hour at most, and one try
at a time is made; any answer to the token ends them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

FIRST = timedelta(minutes=1)
LONGEST = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Backoff:
    """``until`` None: ask."""

    until: datetime | None = None
    refusals: int = 0

    def refused(self, at: datetime) -> Backoff:
        pause = min(FIRST * 2 ** min(self.refusals, 10), LONGEST)
        return replace(self, until=at + pause, refusals=self.refusals + 1)

    def accepted(self) -> Backoff:
        return Backoff()

    def holds(self, now: datetime) -> bool:
        return self.until is not None and now < self.until
