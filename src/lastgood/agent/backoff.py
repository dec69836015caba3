"""How long to wait before trying again: full jitter under a ceiling that doubles to a cap.

The jitter is drawn below the cap too, so that a fleet which lost its hub at one moment does not come back at one
moment, however long the hub was away.
"""

from __future__ import annotations

import random
from collections.abc import Callable

FIRST_SECONDS = 1.0
CAP_SECONDS = 40.0
"""An agent is back within a minute of its network: a try under way notices within 16 s, or ends and waits so long."""


class Backoff:
    """Delays for one series of failures; ``draw`` answers a number from 0 to 1."""

    def __init__(
        self, first: float = FIRST_SECONDS, cap: float = CAP_SECONDS, draw: Callable[[], float] = random.random
    ) -> None:
        self._first = first
        self._cap = cap
        self._draw = draw
        self._ceiling = first

    def delay(self) -> float:
        """The seconds to wait now; the next answer comes from twice the range."""
        ceiling, self._ceiling = self._ceiling, min(self._cap, self._ceiling * 2)
        return ceiling * self._draw()

    def reset(self) -> None:
        """Something worked: begin anew."""
        self._ceiling = self._first
