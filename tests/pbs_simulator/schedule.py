"""When a calendar event comes next; the few shapes of PBS schedules that the simulated jobs use, in UTC."""

from __future__ import annotations

import re

from .model import DAY

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday


def next_run(schedule: str, now: int) -> int:
    """The first moment after ``now``; ValueError for a shape that no simulated job has."""
    today = now - now % DAY
    if schedule == "daily":
        return today + DAY
    if schedule == "monthly":
        return today + 30 * DAY
    if hourly := re.fullmatch(r"\*:(\d\d)", schedule):
        at = now - now % 3600 + int(hourly[1]) * 60
        return at if at > now else at + 3600
    found = re.fullmatch(r"(?:(?P<day>[a-z]{3}) |\*-\*-\* )?(?P<hour>\d\d):(?P<minute>\d\d)", schedule)
    if not found:
        raise ValueError(f"the simulator knows no schedule like {schedule!r}")
    at = today + int(found["hour"]) * 3600 + int(found["minute"]) * 60
    step = DAY
    if found["day"]:
        weekday = (today // DAY + _EPOCH_WEEKDAY) % 7
        at += (_WEEKDAYS.index(found["day"]) - weekday) % 7 * DAY
        step = 7 * DAY
    return at if at > now else at + step
