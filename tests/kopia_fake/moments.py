"""Moments as Kopia prints them: nanoseconds since 1970 in, RFC 3339 with up to nine fraction digits out."""

from __future__ import annotations

import time

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
NEVER = "0001-01-01T00:00:00Z"

_days: dict[int, str] = {}


def day_of(days: int) -> str:
    """``2026-08-21`` for a number of days since 1970; one calendar computation for each day there is."""
    text = _days.get(days)
    if text is None:
        text = _days[days] = time.strftime("%Y-%m-%d", time.gmtime(days * 86_400))
    return text


def rfc3339(moment: int, zone_minutes: int = 0) -> str:
    """As Go marshals a time: trailing zeros of the fraction cut, ``Z`` or an offset."""
    seconds, fraction = divmod(moment, SECOND)
    days, rest = divmod(seconds + zone_minutes * 60, 86_400)
    hour, rest = divmod(rest, 3600)
    minute, second = divmod(rest, 60)
    tail = f".{fraction:09d}".rstrip("0") if fraction else ""
    if zone_minutes:
        sign = "-" if zone_minutes < 0 else "+"
        zone = f"{sign}{abs(zone_minutes) // 60:02d}:{abs(zone_minutes) % 60:02d}"
    else:
        zone = "Z"
    return f"{day_of(days)}T{hour:02d}:{minute:02d}:{second:02d}{tail}{zone}"


def parsed(text: str) -> int:
    """What ``rfc3339`` printed in UTC, as nanoseconds again."""
    import calendar

    whole, _, fraction = text.rstrip("Z").partition(".")
    return calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) * SECOND + int((fraction or "0").ljust(9, "0"))
