"""Durations and moments as people write them: ``26h``, ``1h30m``, ``2d``, ``2026-05-01``, ``2026-05-01 08:00``.

Comes in: a word of the command line. Goes out: a timedelta or an aware moment. The one rule: a word that can be read
in two ways is refused; ``typer.BadParameter`` says how to write it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import typer

_UNITS = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_PART = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)\s*(s|min|m|h|d|w)", re.ASCII)
_WHOLE = re.compile(rf"(?:{_PART.pattern}\s*)+", re.ASCII)
MOST = timedelta(days=3660)


def span(text: str) -> timedelta:
    """``26h`` or ``2d12h``: weeks, days, hours, minutes (``m`` or ``min``) and seconds."""
    said = text.strip().lower()
    if not _WHOLE.fullmatch(said):
        raise typer.BadParameter(f"{text!r} is no length of time; write for example 90min, 26h, 2d or 1w.")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(said))
    if seconds > MOST.total_seconds():
        raise typer.BadParameter(f"{text!r} is longer than {MOST.days} days; write a shorter time.")
    return timedelta(seconds=seconds)


def moment(text: str, now: datetime) -> datetime:
    """A moment to come: a length from ``now`` on, or a date, with a time or without, in this machine's zone."""
    said = text.strip()
    if _WHOLE.fullmatch(said.lower()):
        return now + span(said)
    try:
        at = datetime.fromisoformat(said)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is neither a length of time nor a date; write for example 2d, 2026-05-01 or 2026-05-01 08:00."
        ) from None
    at = at.astimezone(UTC)  # a date without a zone is one of this machine's
    if at <= now:
        raise typer.BadParameter(f"{text!r} is past; name a moment to come.")
    return at
