"""When the next snapshot of a series is due, learned from those that came: no false alarm, and no long silence."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim

from lastgood.fleet.rhythm import (
    LEAST_STARTS,
    MOST_PAUSES,
    NEWEST_STARTS,
    habit_of,
    joined,
    merged,
    next_start,
    usual_gap,
    with_lag,
    without,
)
from lastgood.model.repository import Habit

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)  # Berlin changes to summer time within the month
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
LEAST_GRACE, MOST_GRACE = timedelta(minutes=15), timedelta(hours=6)

CRONS = {
    "nightly": "0 2 * * *",
    "on weekdays": "0 1 * * 1-5",
    "hourly": "5 * * * *",
    "in office hours": "0 8-18 * * 1-5",
    "twice a day": "0 8,20 * * *",
    "twice on weekdays": "0 8,20 * * 1-5",
    "every quarter of an hour": "*/15 * * * *",
    "on three days": "0 3 * * 1,3,5",
    "weekly": "0 4 * * 0",
    "twice a month": "0 4 1,15 * *",
    "monthly": "0 5 1 * *",
}


def moments(cron: str, begin: datetime = BEGIN, *, jitter: int = 120) -> Iterator[datetime]:
    """The starts of a cron job in Berlin, each up to two minutes late."""
    dice = random.Random(cron)
    for due_at in CronSim(cron, begin.astimezone(ZoneInfo("Europe/Berlin"))):
        yield due_at.astimezone(UTC) + timedelta(seconds=dice.randrange(jitter))


def deadline(habit: Habit) -> datetime | None:
    start_at = next_start(habit)
    if start_at is None:
        return None
    return start_at + min(max((start_at - habit.starts[0]) / 4, LEAST_GRACE), MOST_GRACE)


@pytest.mark.parametrize("cron", CRONS.values(), ids=CRONS)
def test_a_series_that_goes_on_as_it_did_is_never_called_missed(cron: str) -> None:
    """Looked at after each snapshot for a good while, with all the old ones there, from the third one on."""
    starts: list[datetime] = []
    for start in moments(cron):
        if len(starts) >= LEAST_STARTS:
            until = deadline(habit_of(starts))
            assert until is not None
            assert start <= until, f"{start} was called missed at {until}"
        starts.append(start)
        if len(starts) > 600 or start > BEGIN + 400 * DAY:
            break
    assert len(starts) > 12


@pytest.mark.parametrize("cron", CRONS.values(), ids=CRONS)
def test_the_same_holds_when_old_snapshots_are_thinned_out_as_they_come(cron: str) -> None:
    """Only the newest four stay, as ``forget --keep-last 4`` would have it; what was known is remembered."""
    held: Habit | None = None
    starts: list[datetime] = []
    for number, start in enumerate(moments(cron)):
        if held is not None and len(held.starts) >= LEAST_STARTS:
            until = deadline(held)
            assert until is not None
            assert start <= until
        starts = [*starts, start][-4:]
        held = merged(held, habit_of(starts))
        if number > 600 or start > BEGIN + 400 * DAY:
            break


@pytest.mark.parametrize(
    ("name", "stops_at", "most"),
    [
        ("nightly", "2026-03-24 12:00", 1.5 * DAY),
        ("on weekdays", "2026-03-24 12:00", 1.5 * DAY),  # a Tuesday
        ("on weekdays", "2026-03-20 12:00", 3.5 * DAY),  # a Friday
        ("hourly", "2026-03-24 12:30", 2 * HOUR),
        ("in office hours", "2026-03-24 12:30", 2 * HOUR),
        ("in office hours", "2026-03-24 18:30", 24 * HOUR),
        ("every quarter of an hour", "2026-03-24 12:10", HOUR),
        ("weekly", "2026-05-04 12:00", 8 * DAY),
        ("monthly", "2026-06-02 12:00", 32 * DAY),
    ],
)
def test_a_series_that_stops_is_soon_known_to_have_stopped(name: str, stops_at: str, most: timedelta) -> None:
    end = datetime.fromisoformat(stops_at).replace(tzinfo=UTC)
    starts = list(_until(CRONS[name], end))
    until = deadline(habit_of(starts))
    assert until is not None
    assert until - starts[-1] <= most


def _until(cron: str, end: datetime) -> Iterator[datetime]:
    for start in moments(cron):
        if start > end:
            return
        yield start


def test_before_a_whole_week_was_seen_a_weekend_is_allowed_for() -> None:
    starts = [BEGIN + number * DAY for number in range(4)]
    assert next_start(habit_of(starts)) == starts[-1] + 3 * DAY
    more = [BEGIN + number * DAY for number in range(10)]
    assert next_start(habit_of(more)) == more[-1] + DAY


def test_two_snapshots_make_no_rhythm_and_one_moment_counts_once() -> None:
    assert next_start(habit_of([BEGIN, BEGIN + DAY])) is None
    assert next_start(habit_of([BEGIN, BEGIN, BEGIN + DAY])) is None
    assert next_start(habit_of([])) is None
    assert next_start(None) is None
    assert usual_gap(habit_of([BEGIN, BEGIN + DAY, BEGIN + 2 * DAY])) == DAY


def test_one_outage_in_the_past_does_not_blunt_the_rhythm() -> None:
    starts = [BEGIN + number * DAY for number in range(30) if not 14 <= number <= 24]
    assert next_start(habit_of(starts)) == starts[-1] + DAY


def test_backups_that_ran_now_and_then_are_expected_within_their_longest_usual_gap() -> None:
    days = [0, 2, 3, 6, 8, 10, 13, 14, 17, 19]
    habit = habit_of(BEGIN + day * DAY for day in days)
    start_at = next_start(habit)
    assert start_at is not None
    assert timedelta(days=3) <= start_at - habit.starts[0] <= timedelta(days=4)


def test_what_is_remembered_has_a_bound_however_many_snapshots_there_are() -> None:
    dice = random.Random(7)
    starts = [BEGIN + timedelta(minutes=dice.randrange(60 * 24 * 60)) for _ in range(20_000)]
    habit = merged(habit_of(starts[:10_000]), habit_of(starts[10_000:]))
    assert len(habit.starts) <= NEWEST_STARTS
    assert len(habit.pauses) <= MOST_PAUSES


def test_what_an_agent_tells_of_a_habit_is_kept_within_the_same_bounds() -> None:
    starts = tuple(BEGIN + number * DAY for number in range(500))
    pauses = tuple((start, start + HOUR) for start in starts)
    habit = joined([Habit(starts=starts, pauses=pauses, since=BEGIN)])
    assert habit.starts == tuple(reversed(starts))[:NEWEST_STARTS]
    assert len(habit.pauses) == MOST_PAUSES


@pytest.mark.parametrize("shuffled", [False, True])
def test_the_order_in_which_starts_are_listed_does_not_matter(shuffled: bool) -> None:
    starts = list(_until(CRONS["on weekdays"], BEGIN + 30 * DAY))
    again = starts.copy()
    if shuffled:
        random.Random(1).shuffle(again)
    assert habit_of(again) == habit_of(starts)


def test_thinning_out_makes_no_pauses_in_what_was_known_before() -> None:
    hourly = list(_until(CRONS["hourly"], BEGIN + 10 * DAY))
    held = habit_of(hourly)
    assert held.pauses == ()
    thinned = [start for start in hourly if start.hour == 1] + hourly[-2:]
    assert habit_of(thinned).pauses != () or usual_gap(habit_of(thinned)) != usual_gap(held)
    assert merged(held, habit_of(thinned)) == held


def test_a_pause_of_one_series_is_none_where_another_of_the_same_source_goes_on() -> None:
    weekdays = list(_until("0 1 * * 1-5", BEGIN + 21 * DAY))
    weekends = list(_until("0 1 * * 0,6", BEGIN + 21 * DAY))
    both = joined([habit_of(weekdays), habit_of(weekends)])
    assert both.pauses == ()
    assert usual_gap(both) is not None
    assert joined([]).starts == ()
    assert joined([habit_of(weekdays), Habit(starts=())]) == habit_of(weekdays)


def test_moments_that_are_known_to_be_wrong_or_yet_to_come_make_no_habit() -> None:
    starts = [BEGIN + number * DAY for number in range(10)]
    wrong, later = BEGIN + 40 * DAY, BEGIN + 60 * DAY
    habit = habit_of([*starts, wrong, later])
    cleaned = without(habit, {wrong}, BEGIN + 50 * DAY)
    assert cleaned.starts == tuple(reversed(starts))
    assert all(pause[1] < wrong for pause in cleaned.pauses)
    clean = habit_of(starts)
    assert without(clean, set(), BEGIN + 50 * DAY) is clean


def test_the_lag_of_a_series_is_at_most_its_usual_gap() -> None:
    habit = habit_of(BEGIN + number * DAY for number in range(5))
    assert with_lag(habit, 3 * HOUR).lag == 3 * HOUR
    assert with_lag(habit, 9 * DAY).lag == DAY
    assert with_lag(habit_of([BEGIN]), 9 * DAY).lag == 9 * DAY
