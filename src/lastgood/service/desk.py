"""What this process remembers of one channel while it sends: counts, a rest after a failure, and unnoted deliveries.

The one rule: losing all of it costs at most one notice that is sent twice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from lastgood.errors import DeliveryError


@dataclass(slots=True)
class Counts:
    """What ``lastgood_notices_*`` tells of one channel; all but the last since this process began."""

    delivered: int = 0
    failures: int = 0
    given_up: int = 0
    undelivered: int = 0


@dataclass(slots=True)
class Tried:
    """How a delivery went; ``error`` None means that it was taken."""

    at: datetime
    receipt: str | None
    error: DeliveryError | None = None


@dataclass(slots=True)
class Desk:
    """``taken`` are notices that were taken and could not be noted as such; they are not sent again, only noted."""

    name: str = ""
    counts: Counts = field(default_factory=Counts)
    rests_until: datetime | None = None
    failing: bool = False
    taken: dict[str, Tried] = field(default_factory=dict)
