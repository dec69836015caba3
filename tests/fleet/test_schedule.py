"""When runs are due: cron in zones, summer time, and the default grace."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lastgood.errors import ConfigError
from lastgood.fleet.schedule import check, claimed, grace_for, interval_from, latest_until, next_after
from lastgood.model.job import Schedule
from tests.builders import a_run, a_source

BERLIN = ZoneInfo("Europe/Berlin")
NIGHTLY = Schedule(cron="30 2 * * *", zone="Europe/Berlin")


def _moments(schedule: Schedule, start: datetime, days: int) -> list[datetime]:
    found = [next_after(schedule, start)]
    while found[-1] < start + timedelta(days=days):
        found.append(next_after(schedule, found[-1]))
    return found


def test_the_next_moment_excludes_and_the_latest_includes_the_moment_asked_for() -> None:
    daily, due = Schedule(cron="0 2 * * *"), datetime(2026, 3, 2, 2, tzinfo=UTC)
    assert next_after(daily, due - timedelta(microseconds=1)) == due
    assert next_after(daily, due) == due + timedelta(days=1)
    assert latest_until(daily, due) == due
    assert latest_until(daily, due - timedelta(microseconds=1)) == due - timedelta(days=1)


def test_a_skipped_hour_runs_once_right_after_it() -> None:
    # 29 March 2026: 02:00 to 03:00 does not exist in Berlin.
    before = datetime(2026, 3, 28, 12, tzinfo=BERLIN)
    first, second = _moments(NIGHTLY, before, 1)[:2]
    assert first.astimezone(BERLIN).strftime("%d %H:%M") == "29 03:00"
    assert second.astimezone(BERLIN).strftime("%d %H:%M") == "30 02:30"


def test_a_doubled_hour_runs_once() -> None:
    # 25 October 2026: 02:00 to 03:00 comes twice in Berlin.
    nights = _moments(NIGHTLY, datetime(2026, 10, 24, 12, tzinfo=UTC), 2)
    assert [night.strftime("%d %H:%M") for night in nights[:2]] == ["25 00:30", "26 01:30"]


def test_in_the_second_turn_of_a_doubled_hour_the_next_moment_is_not_one_that_passed() -> None:
    second_turn = datetime(2026, 10, 25, 1, 10, tzinfo=UTC)  # 02:10 for the second time
    assert next_after(NIGHTLY, second_turn) == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)
    assert latest_until(NIGHTLY, second_turn) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


CRONS = ("30 2 * * *", "0,30 2 * * *", "*/20 * * * *", "0 * * * *", "5 1-3 * * *", "15 2 * * 0", "30 */2 * * *")
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Africa/Cairo", "America/Santiago", "Atlantic/Azores")
CHANGES_OF_TIME = (datetime(2026, 3, 7), datetime(2026, 3, 28), datetime(2026, 4, 4), datetime(2026, 10, 24))  # noqa: DTZ001


@settings(max_examples=80, deadline=None)
@given(
    cron=st.sampled_from(CRONS),
    zone=st.sampled_from(ZONES),
    start=st.sampled_from(CHANGES_OF_TIME),
    seconds=st.integers(0, 3 * 86400),
    micros=st.sampled_from((0, 1)),
)
def test_next_and_latest_agree_around_every_change_of_time(
    cron: str, zone: str, start: datetime, seconds: int, micros: int
) -> None:
    schedule, begun = Schedule(cron=cron, zone=zone), start.replace(tzinfo=UTC)
    moment = begun + timedelta(seconds=seconds, microseconds=micros)
    moments = _moments(schedule, begun, 11)
    assert moments == sorted(set(moments))
    assert next_after(schedule, moment) == min(due for due in moments if due > moment)
    passed = [due for due in moments if due <= moment]
    assert latest_until(schedule, moment) <= moment
    assert not passed or latest_until(schedule, moment) == passed[-1]


@pytest.mark.parametrize(
    ("cron", "zone", "named"),
    [
        ("@daily", "UTC", "five fields"),
        ("0 0 2 * * *", "UTC", "five fields"),
        ("61 2 * * *", "UTC", "cannot be read"),
        ("0 0 31 2 *", "UTC", "cannot be read"),
        ("0 0 */40 * MON#5", "UTC", "never comes due"),
        ("0 2 * * *", "Mars/Olympus", "time zone"),
        ("0 2 * * *", "Europe", "time zone"),
        ("0 2 * * *", "../etc/passwd", "time zone"),
        ("0 2 * * *", "", "time zone"),
    ],
)
def test_a_schedule_that_cannot_be_followed_is_refused_with_its_cause(cron: str, zone: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        check(Schedule(cron=cron, zone=zone))


@pytest.mark.parametrize("cron", ["0 2 * * *", "*/5 * * * *", "0 0 29 2 *", "0 3 L * *", "30 22 * * MON-FRI"])
def test_a_schedule_that_can_be_followed_is_taken(cron: str) -> None:
    check(Schedule(cron=cron, zone="Europe/Berlin"))
    assert next_after(Schedule(cron=cron), datetime(2026, 3, 1, tzinfo=UTC)) > datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("interval", "grace"),
    [
        (timedelta(minutes=5), timedelta(minutes=15)),
        (timedelta(hours=1), timedelta(minutes=15)),
        (timedelta(hours=1, minutes=4), timedelta(minutes=16)),
        (timedelta(hours=8), timedelta(hours=2)),
        (timedelta(days=1), timedelta(hours=6)),
        (timedelta(days=7), timedelta(hours=6)),
    ],
)
def test_the_default_grace_is_a_quarter_of_the_interval_between_15_minutes_and_6_hours(
    interval: timedelta, grace: timedelta
) -> None:
    assert grace_for(a_source(grace=None), interval) == grace


def test_a_grace_of_its_own_is_taken_as_it_is() -> None:
    assert grace_for(a_source(grace=timedelta(0)), timedelta(days=1)) == timedelta(0)
    assert grace_for(a_source(grace=timedelta(days=3)), timedelta(hours=1)) == timedelta(days=3)


def test_the_interval_of_a_weekday_schedule_spans_its_weekend() -> None:
    weekdays = Schedule(cron="0 22 * * MON-FRI")
    friday = datetime(2026, 3, 6, 22, tzinfo=UTC)
    assert interval_from(weekdays, friday) == timedelta(days=3)


@pytest.mark.parametrize(
    ("early", "is_believed"),
    [
        (timedelta(hours=-30), True),
        (timedelta(0), True),
        (timedelta(hours=6), True),
        (timedelta(hours=6, seconds=1), False),
    ],
)
def test_a_run_is_believed_to_stand_for_a_moment_no_further_ahead_than_the_grace(
    early: timedelta, is_believed: bool
) -> None:
    source = a_source(schedule=Schedule(cron="0 2 * * *"))
    due_at = datetime(2026, 3, 2, 2, tzinfo=UTC)
    run = a_run(source, due_at - early, due_at=due_at)
    assert claimed(source, run) == (due_at if is_believed else None)


def test_however_long_the_grace_nobody_is_believed_further_ahead_than_six_hours() -> None:
    source = a_source(schedule=Schedule(cron="0 2 * * *"), grace=timedelta(days=10))
    due_at = datetime(2026, 3, 2, 2, tzinfo=UTC)
    assert claimed(source, a_run(source, due_at - timedelta(hours=6), due_at=due_at)) == due_at
    assert claimed(source, a_run(source, due_at - timedelta(hours=7), due_at=due_at)) is None
    assert claimed(source, a_run(source, due_at, due_at=datetime(9999, 12, 31, tzinfo=UTC))) is None
