"""How long runs took: the 27 histograms of ``rm_job_duration_seconds``.

Counted in ``learn``, so they survive a restart.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import product

from lastgood.model.job import RunKind, Status

BOUNDS = (1, 5, 30, 60, 300, 1800, 3600, 21600, 86400)
"""Upper bounds in seconds, inclusive, as the vocabulary fixes them; +Inf follows."""

ENDED = (Status.SUCCEEDED, Status.FAILED, Status.CANCELLED)
LABELS = tuple(product(RunKind, ENDED))


class Durations:
    """Counts per kind and status; all label sets exist from the start, or ``rate()`` misses the first run."""

    __slots__ = ("buckets", "sums")

    def __init__(self) -> None:
        self.buckets: dict[tuple[RunKind, Status], list[int]] = {key: [0] * (len(BOUNDS) + 1) for key in LABELS}
        """Not cumulative: the count of each bucket alone, the last for +Inf."""
        self.sums: dict[tuple[RunKind, Status], float] = dict.fromkeys(LABELS, 0.0)

    def observe(self, kind: RunKind, status: Status, seconds: float) -> None:
        """Count one run; a negative duration (a clock set back) counts as zero."""
        value = max(seconds, 0.0)
        self.buckets[kind, status][bisect_left(BOUNDS, value)] += 1
        self.sums[kind, status] += value

    def copy(self) -> Durations:
        twin = Durations.__new__(Durations)
        twin.buckets = {key: counts.copy() for key, counts in self.buckets.items()}
        twin.sums = self.sums.copy()
        return twin

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Durations) and (self.buckets, self.sums) == (other.buckets, other.sums)

    __hash__ = None  # type: ignore[assignment]  # changes in place
