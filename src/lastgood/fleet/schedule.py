"""When the next run is due: cron in a time zone, and the grace that follows. Pure; moments are passed in.

Cron means what Debian's cron means, changes of summer time included (cronsim): a run at a skipped hour happens once
right after it, a run at a doubled hour happens once. All moments that come out are aware and in UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from lastgood.errors import ConfigError
from lastgood.model.job import Schedule
from lastgood.model.source import Source

LEAST_GRACE = timedelta(minutes=15)
MOST_GRACE = timedelta(hours=6)


def check(schedule: Schedule) -> None:
    """Raise ConfigError with the mend if the schedule cannot be followed."""
    if len(schedule.cron.split()) != 5:
        raise ConfigError(
            f"The schedule {schedule.cron!r} does not have five fields; write minute, hour, day of month, month and "
            'day of week, for example "0 2 * * *".'
        )
    try:
        next_after(schedule, datetime(2026, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        raise ConfigError(f"The schedule {schedule.cron!r} cannot be read: {error}.") from error
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ConfigError(
            f"The time zone {schedule.zone!r} is not known; write a name such as Europe/Berlin or UTC."
        ) from error
    except StopIteration as error:
        raise ConfigError(f"The schedule {schedule.cron!r} never comes due; mend its day and month.") from error


@lru_cache(maxsize=8192)  # fleets share schedules and nights: at 02:00 the same question comes for every source
def next_after(schedule: Schedule, moment: datetime) -> datetime:
    """The first moment the schedule asks for after ``moment``, itself excluded."""
    return next(CronSim(schedule.cron, moment.astimezone(ZoneInfo(schedule.zone)))).astimezone(UTC)


@lru_cache(maxsize=8192)
def latest_until(schedule: Schedule, moment: datetime) -> datetime:
    """The last moment the schedule asked for up to ``moment``, itself included."""
    just_after = (moment + timedelta(microseconds=1)).astimezone(ZoneInfo(schedule.zone))
    return next(CronSim(schedule.cron, just_after, reverse=True)).astimezone(UTC)


def interval_from(schedule: Schedule, due_at: datetime) -> timedelta:
    """How long it is from one due moment to the next."""
    return next_after(schedule, due_at) - due_at


def grace_for(source: Source, interval: timedelta) -> timedelta:
    """The source's own grace, else a quarter of the interval, at least 15 minutes and at most 6 hours."""
    if source.grace is not None:
        return source.grace
    return min(max(interval / 4, LEAST_GRACE), MOST_GRACE)
