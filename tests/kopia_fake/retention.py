"""Why each snapshot of a source is kept, as Kopia computes it at listing time: seen from the newest complete one."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from .moments import DAY, HOUR, SECOND

DEFAULTS = {
    "keepLatest": 10,
    "keepHourly": 48,
    "keepDaily": 7,
    "keepWeekly": 4,
    "keepMonthly": 24,
    "keepAnnual": 3,
}
ORDER = ("latest", "hourly", "daily", "weekly", "monthly", "annual")
_names: dict[int, tuple[str, str, str]] = {}


def _calendar(day: int) -> tuple[str, str, str]:
    """Year, month and ISO week of a day since 1970."""
    found = _names.get(day)
    if found is None:
        moment = time.gmtime(day * 86_400)
        found = _names[day] = (
            time.strftime("%Y", moment),
            time.strftime("%Y-%m", moment),
            time.strftime("%G-W%V", moment),
        )
    return found


def _back(moment: int, years: int, months: int) -> int:
    """So many calendar months before, as Go's AddDate (a day that does not exist runs over)."""
    seconds, fraction = divmod(moment, SECOND)
    then = time.gmtime(seconds)
    count = then.tm_year * 12 + then.tm_mon - 1 - years * 12 - months
    import calendar

    first = calendar.timegm((count // 12, count % 12 + 1, 1, then.tm_hour, then.tm_min, then.tm_sec))
    return (first + (then.tm_mday - 1) * 86_400) * SECOND + fraction


def reasons(manifests: Sequence[tuple[int, bool]], keep: Mapping[str, int]) -> list[list[str]]:
    """For (start, complete), oldest first, the reasons of each in the order Kopia prints them."""
    found: list[list[str]] = [[] for _ in manifests]
    newest = max((start for start, complete in manifests if complete), default=None)
    if newest is not None:
        _complete(manifests, keep, newest, found)
    latest = max((start for start, _ in manifests), default=0)
    for position in range(len(manifests) - 1, -1, -1):
        start, complete = manifests[position]
        if complete or not (latest - start < 4 * HOUR or len(manifests) - 1 - position < 3):
            break
        found[position].append("incomplete")
    return found


def _complete(
    manifests: Sequence[tuple[int, bool]], keep: Mapping[str, int], newest: int, found: list[list[str]]
) -> None:
    most = {name: keep.get(f"keep{name.title()}", 0) for name in ORDER}
    if not sum(most.values()):
        most["latest"] = 1 << 60
    cut = {
        "latest": -(1 << 62),
        "annual": _back(newest, most["annual"], 0),
        "monthly": _back(newest, 0, most["monthly"]),
        "weekly": newest - most["weekly"] * 7 * DAY,
        "daily": newest - most["daily"] * DAY,
        "hourly": newest - most["hourly"] * HOUR,
    }
    used = dict.fromkeys(ORDER, 0)
    seen: dict[str, object] = {}
    for position in range(len(manifests) - 1, -1, -1):
        start, complete = manifests[position]
        if not complete:
            continue
        day = start // DAY
        year, month, week = _calendar(day)
        keys = {"latest": position, "hourly": start // HOUR, "daily": day, "weekly": week}
        keys |= {"monthly": month, "annual": year}
        for name in ORDER:
            if used[name] < most[name] and start >= cut[name] and seen.get(name) != keys[name]:
                seen[name] = keys[name]
                used[name] += 1
                found[position].append(f"{name}-{used[name]}")
