"""When a notice that was not taken is sent again, and when it is given up.

Comes in: how often it was tried and what the other side said. Goes out: a moment, or None to give up. The one rule:
only a receiver that says no for good, or ``give_up_after`` without any luck, ends the attempts.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

FIRST = timedelta(seconds=5)
LONGEST = timedelta(minutes=15)
LONGEST_ASKED = timedelta(hours=24)
AGAIN = frozenset({408, 425, 429})
"""Answers of the 4xx kind that do not mean no for good."""

_MOST_DOUBLINGS = 12


def is_permanent(status: int) -> bool:
    """Whether this answer will be the same next time. A redirect is one: it is not followed."""
    return 300 <= status < 500 and status not in AGAIN


def next_attempt(
    attempts: int,
    created_at: datetime,
    now: datetime,
    give_up_after: timedelta,
    chance: float,
    asked: timedelta | None = None,
) -> datetime | None:
    """When to try again after ``attempts`` that failed; None to give up.

    ``chance`` from 0 to 1 spreads the attempts over the second half of the wait. ``asked`` is what the receiver said.
    """
    wait: timedelta = min(FIRST * 2 ** min(attempts - 1, _MOST_DOUBLINGS), LONGEST) * (0.5 + chance / 2)
    if asked is not None:
        wait = max(wait, min(asked, LONGEST_ASKED))
    at = now + wait
    # One more attempt at the very end, so that a long wait does not make the patience shorter.
    last = created_at + give_up_after
    if now >= last:
        return None
    return at if asked is not None else min(at, max(last, now + FIRST))


def retry_after(said: str | None, now: datetime) -> timedelta | None:
    """What a Retry-After header asks for, in seconds or as a date; None for none and for one that cannot be read."""
    if said is None:
        return None
    text = said.strip()
    if text.isascii() and text.isdecimal() and len(text) < 10:
        return timedelta(seconds=int(text))
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return None
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return max(at - now, timedelta())
