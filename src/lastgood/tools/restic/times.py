"""restic's moments and durations, turned into ones that can be believed.

Text and numbers of a payload come in; aware UTC datetimes and seconds come out, or None where restic printed
nonsense: 0.18's ``--skip-if-unchanged`` ends in the year 1 after minus nine thousand million seconds. A moment
without an offset is never guessed. Outside format: RFC 3339 with up to nine fractional digits.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime

_FIRST_BELIEVABLE_YEAR = 1970


def believable_time(text: str | None) -> datetime | None:
    """The moment in UTC, cut to microseconds; None if absent, without offset, malformed or before 1970."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            return None
        moment = moment.astimezone(UTC)
    except (ValueError, OverflowError):  # year 1 with a positive offset lies before the first moment there is
        return None
    return moment if moment.year >= _FIRST_BELIEVABLE_YEAR else None


def believable_duration(seconds: float | None) -> float | None:
    """The seconds, or None if absent, negative or not a number."""
    if seconds is None or not math.isfinite(seconds) or seconds < 0:
        return None
    return seconds
