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
from lastgood.model.job import Run, Schedule
from lastgood.model.source import Source

LEAST_GRACE = timedelta(minutes=15)
MOST_GRACE = timedelta(hours=6)


@lru_cache(maxsize=1024)
def check(schedule: Schedule) -> None:
    """Raise ConfigError with the mend if the schedule cannot be followed."""
    if len(schedule.cron.split()) != 5:
        raise ConfigError(
            f"The schedule {schedule.cron!r} does not have five fields; write minute, hour, day of month, month and "
            'day of week, for example "0 2 * * *".'
        )
    try:
        ZoneInfo(schedule.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigError(
            f"The time zone {schedule.zone!r} is not known; write a name such as Europe/Berlin or UTC."
        ) from error
    try:
        next_after(schedule, datetime(2026, 1, 1, tzinfo=UTC))
    except (CronSimError, ValueError) as error:
        raise ConfigError(f"The schedule {schedule.cron!r} cannot be read: {error}.") from error
    except StopIteration as error:
        raise ConfigError(f"The schedule {schedule.cron!r} never comes due; mend its day and month.") from error


@lru_cache(maxsize=8192)  # fleets share schedules and nights: at 02:00 the same question comes for every source
def next_after(schedule: Schedule, moment: datetime) -> datetime:
    """The first moment the schedule asks for after ``moment``, itself excluded."""
    moments = CronSim(schedule.cron, moment.astimezone(ZoneInfo(schedule.zone)))
    due_at = next(moments).astimezone(UTC)
    while due_at <= moment:  # in the hour that summer time repeats, the first turn of the hour comes up again
        due_at = next(moments).astimezone(UTC)
    return due_at


@lru_cache(maxsize=8192)
def latest_until(schedule: Schedule, moment: datetime) -> datetime:
    """The last moment the schedule asked for up to ``moment``, itself included."""
    just_after = (moment + timedelta(microseconds=1)).astimezone(ZoneInfo(schedule.zone))
    due_at = next(CronSim(schedule.cron, just_after, reverse=True)).astimezone(UTC)
    while (later := next_after(schedule, due_at)) <= moment:  # the repeated hour again
        due_at = later
    return due_at


def interval_from(schedule: Schedule, due_at: datetime) -> timedelta:
    """How long it is from one due moment to the next."""
    return next_after(schedule, due_at) - due_at


@lru_cache(maxsize=8192)  # sources of one schedule share these very objects
def window(schedule: Schedule, grace: timedelta | None, due_at: datetime) -> tuple[datetime, timedelta]:
    """(deadline, interval) of a due moment; ``grace`` is the source's own, if it has one."""
    interval = interval_from(schedule, due_at)
    return due_at + _grace(grace, interval), interval


def grace_for(source: Source, interval: timedelta) -> timedelta:
    """The source's own grace, else a quarter of the interval, at least 15 minutes and at most 6 hours."""
    return _grace(source.grace, interval)


def _grace(own: timedelta | None, interval: timedelta) -> timedelta:
    return own if own is not None else min(max(interval / 4, LEAST_GRACE), MOST_GRACE)


def begun_at(source: Source, resumed_at: datetime | None) -> datetime:
    """Before this moment the source, as it is now, asked for nothing; ``resumed_at`` is the end of its last pause."""
    begun = max(source.created_at, source.revised_at)
    if source.paused_until is not None:
        begun = max(begun, source.paused_until)
    return begun if resumed_at is None else max(begun, resumed_at)


def claimed(source: Source, run: Run) -> datetime | None:
    """The due moment that the run says it was started for.

    An agent whose clock is ahead runs before the moment; by more than the grace, and what we know its clock to be
    ahead, nobody is believed, or a word about the future would hide missing backups until then.
    """
    due_at = run.due_at
    if due_at is None or due_at <= run.ended_at:
        return due_at
    early = due_at - run.ended_at - timedelta(seconds=run.clock_ahead_seconds)
    if early > MOST_GRACE:
        return None
    interval = timedelta() if source.schedule is None else interval_from(source.schedule, due_at)
    return due_at if early <= grace_for(source, interval) else None


def answers_up_to(source: Source, run: Run) -> datetime:
    """The last moment for which a good run makes another one needless.

    A run of the schedule answers for its moment, and for any that passed before it began; any other run for all that
    passed before it ended.
    """
    due_at = claimed(source, run)
    return run.ended_at if due_at is None else max(due_at, run.started_at)
