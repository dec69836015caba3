"""How values are said to people: ages, sizes, schedules, counts. Pure text; None is a dash.

Comes in: values of the model and the present moment. Goes out: words for pages. The one rule: a word here never
decides what counts as good, it only says what the judge said.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from lastgood.model.job import Schedule
from lastgood.model.retention import Retention
from lastgood.model.source import State

DASH = "–"

_SHORT = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
_LONG = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))
_SIZES = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_WEEKDAYS = {"0": "Sunday", "1": "Monday", "2": "Tuesday", "3": "Wednesday", "4": "Thursday", "5": "Friday"}
_WEEKDAYS |= {"6": "Saturday", "7": "Sunday"}
_WEEKDAYS |= {name[:3].lower(): name for name in tuple(_WEEKDAYS.values())}
_SURROGATE = re.compile("[\ud800-\udfff]")

_COUNTED = re.compile(r"(?<=[0-9]) ")

STATE_MEANINGS = {
    State.FAILED: "the newest backup failed",
    State.NEVER: "no good backup so far, and it was due",
    State.MISSED: "the backup that was due did not come",
    State.UNKNOWN: "nobody could look, so nothing is claimed",
    State.PARTIAL: "the newest backup left something out",
    State.LATE: "due, and still within its grace",
    State.NEW: "waiting for the first backup",
    State.GOOD: "the last backup is good and in time",
    State.PAUSED: "paused by somebody",
    State.ARCHIVED: "kept for its history only",
}


def printable(text: str) -> str:
    """The text without lone surrogates, which no encoding can carry."""
    return _SURROGATE.sub("\ufffd", text)


def span(length: timedelta | float | None, *, long: bool = False) -> str:
    """``4 h`` or ``4 hours``: the largest unit that fits at least twice over, so that it is never far off."""
    if length is None:
        return DASH
    seconds = length.total_seconds() if isinstance(length, timedelta) else length
    seconds = max(round(seconds), 0)
    units = _LONG if long else _SHORT
    unit, size = next(((name, size) for name, size in units if seconds >= 2 * size), units[-1])
    if not long and unit == "s" and seconds >= 60:
        unit, size = "min", 60
    count = seconds // size
    plural = "s" if long and count != 1 else ""
    return f"{count:,} {unit}{plural}".replace(",", "\u202f")


def ago(moment: datetime | None, now: datetime) -> str:
    """``4 h ago``, or ``in 4 h`` for what is yet to come."""
    if moment is None:
        return DASH
    seconds = (now - moment).total_seconds()
    if abs(seconds) < 5:
        return "now"
    return f"{span(seconds)} ago" if seconds > 0 else f"in {span(-seconds)}"


def lasted(seconds: float | None) -> str:
    """How long a run took, with what matters at its size: ``0.8 s``, ``41 s``, ``12 min 5 s``, ``3 h 12 min``."""
    if seconds is None:
        return DASH
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def absolute(moment: datetime | None) -> str:
    """``2026-01-05 02:00:07 UTC``."""
    return DASH if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def size(count: int | None) -> str:
    """``12.4 GiB``: three figures are enough for a person."""
    if count is None:
        return DASH
    value, unit = float(count), 0
    while value >= 999.5 and unit < len(_SIZES) - 1:
        value, unit = value / 1024, unit + 1
    if unit == 0:
        return f"{count} B"
    return f"{value:.{1 if value < 99.95 else 0}f} {_SIZES[unit]}"


def number(count: int | None) -> str:
    """Thousands apart by a thin space."""
    return DASH if count is None else f"{count:,}".replace(",", "\u202f")


def plural(count: int, noun: str, many: str | None = None) -> str:
    """``1 source``, ``2 sources``."""
    return f"{number(count)} {noun if count == 1 else many or noun + 's'}"


def cadence(schedule: Schedule | None, target: timedelta | None) -> str:
    """How often, in a word or two: ``daily``, ``every 6 h``, ``within 26 h``."""
    if schedule is not None:
        return _rhythm(schedule.cron)[0]
    return DASH if target is None else f"within {span(target)}"


def timetable(schedule: Schedule | None) -> str:
    """The whole schedule: ``daily at 02:00 (Europe/Berlin)``; an unusual one as cron writes it."""
    if schedule is None:
        return DASH
    rhythm, detail = _rhythm(schedule.cron)
    return f"{rhythm}{detail} ({printable(schedule.zone)})"


def kept(keep: Retention) -> str:
    """``the newest 3, 7 daily and 12 monthly``: what a retention leaves."""
    counts = (("hourly", keep.hourly), ("daily", keep.daily), ("weekly", keep.weekly), ("monthly", keep.monthly))
    said = [f"the newest {number(keep.last)}"] if keep.last else []
    said += [f"{number(count)} {word}" for word, count in (*counts, ("yearly", keep.yearly)) if count]
    said += [f"all younger than {keep.within}"] if keep.within else []
    return said[0] if len(said) == 1 else f"{', '.join(said[:-1])} and {said[-1]}" if said else "none"


def _rhythm(cron: str) -> tuple[str, str]:
    fields = cron.lower().split()
    if len(fields) != 5:
        return printable(cron), ""
    minute, hour, day, month, weekday = fields
    if month != "*":
        return printable(cron), ""
    if (day, weekday) == ("*", "*"):
        if hour == "*":
            return _hourly(minute, cron)
        if hour.startswith("*/") and minute.isdigit():
            return f"every {hour[2:]} h", ""
        if "," in hour and hour.replace(",", "").isdigit() and minute.isdigit():
            hours = hour.split(",")
            return f"{len(hours)} times a day", " at " + ", ".join(f"{int(h):02}:{int(minute):02}" for h in hours)
    if not (minute.isdigit() and hour.isdigit()):
        return printable(cron), ""
    clock = f"{int(hour):02}:{int(minute):02}"
    if day == "*" and weekday == "*":
        return "daily", f" at {clock}"
    if day == "*" and weekday in _WEEKDAYS:
        return "weekly", f" on {_WEEKDAYS[weekday]} at {clock}"
    if day == "*" and weekday in ("1-5", "mon-fri"):
        return "on weekdays", f" at {clock}"
    if weekday == "*" and day.isdigit():
        return "monthly", f" on day {day} at {clock}"
    return printable(cron), ""


def _hourly(minute: str, cron: str) -> tuple[str, str]:
    if minute == "*":
        return "every minute", ""
    if minute.startswith("*/"):
        return f"every {minute[2:]} min", ""
    return ("hourly", f" at :{int(minute):02}") if minute.isdigit() else (printable(cron), "")


def bound(sentence: str) -> str:
    """The sentence with each number kept on one line with what it counts."""
    return _COUNTED.sub("\u00a0", sentence)
