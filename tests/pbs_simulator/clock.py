"""The simulated clock: it stands still at the moment given, or runs at some speed from there.

Everything the server says about time comes from here; the machine's own clock is only ever asked how much has passed.
"""

from __future__ import annotations

import time

START = 1763625600  # 2025-11-20T08:00:00Z, the moment of the recordings


class Clock:
    def __init__(self, now: int = START, speed: float = 0.0) -> None:
        self._base = float(now)
        self._speed = speed
        self._since = time.monotonic()

    @property
    def speed(self) -> float:
        return self._speed

    def now(self) -> int:
        return int(self.exact())

    def exact(self) -> float:
        return self._base + (time.monotonic() - self._since) * self._speed

    def jump(self, now: float) -> None:
        self._base, self._since = float(now), time.monotonic()

    def run(self, speed: float) -> None:
        self.jump(self.exact())
        self._speed = speed
