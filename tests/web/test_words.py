from __future__ import annotations

from datetime import timedelta

import pytest

from lastgood.model.job import Schedule
from lastgood.model.retention import Retention
from lastgood.web import words
from tests.builders import NOW


@pytest.mark.parametrize(
    ("seconds", "short", "long"),
    [
        (0, "0 s", "0 seconds"),
        (1, "1 s", "1 second"),
        (59, "59 s", "59 seconds"),
        (60, "1 min", "60 seconds"),
        (119, "1 min", "119 seconds"),
        (120, "2 min", "2 minutes"),
        (7199, "119 min", "119 minutes"),
        (7200, "2 h", "2 hours"),
        (4 * 3600 + 1800, "4 h", "4 hours"),
        (47 * 3600, "47 h", "47 hours"),
        (48 * 3600, "2 d", "2 days"),
        (1234 * 86400, "1\u202f234 d", "1\u202f234 days"),
        (-5, "0 s", "0 seconds"),
    ],
)
def test_a_span_is_said_in_the_unit_that_tells_most(seconds: float, short: str, long: str) -> None:
    assert words.span(timedelta(seconds=seconds)) == words.span(seconds) == short
    assert words.span(seconds, long=True) == long


@pytest.mark.parametrize(
    ("seconds", "said"), [(-3, "now"), (4, "now"), (90, "1 min ago"), (14_400, "4 h ago"), (-14_400, "in 4 h")]
)
def test_a_moment_is_said_from_now(seconds: float, said: str) -> None:
    assert words.ago(NOW - timedelta(seconds=seconds), NOW) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (41.4, "41 s"),
        (59.6, "1 min 0 s"),
        (725, "12 min 5 s"),
        (11_520, "3 h 12 min"),
    ],
)
def test_a_duration_keeps_what_matters_at_its_size(seconds: float, said: str) -> None:
    assert words.lasted(seconds) == said


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 KiB"),
        (1024, "1.0 KiB"),
        (84_700_000_000, "78.9 GiB"),
        (1024**3 * 100, "100 GiB"),
        (1024**3 * 999, "999 GiB"),
        (1024**3 * 1000, "1.0 TiB"),
        (1024**7, "1024 EiB"),
    ],
)
def test_a_size_has_three_figures_at_most_until_the_units_end(count: int, said: str) -> None:
    assert words.size(count) == said


@pytest.mark.parametrize(
    ("cron", "often", "whole"),
    [
        ("0 2 * * *", "daily", "daily at 02:00 (UTC)"),
        ("15 * * * *", "hourly", "hourly at :15 (UTC)"),
        ("*/10 * * * *", "every 10 min", "every 10 min (UTC)"),
        ("* * * * *", "every minute", "every minute (UTC)"),
        ("0 */6 * * *", "every 6 h", "every 6 h (UTC)"),
        ("30 1,13 * * *", "2 times a day", "2 times a day at 01:30, 13:30 (UTC)"),
        ("30 3 * * sun", "weekly", "weekly on Sunday at 03:30 (UTC)"),
        ("30 3 * * 7", "weekly", "weekly on Sunday at 03:30 (UTC)"),
        ("0 4 * * 1-5", "on weekdays", "on weekdays at 04:00 (UTC)"),
        ("0 4 1 * *", "monthly", "monthly on day 1 at 04:00 (UTC)"),
        ("0 4 1 1 *", "0 4 1 1 *", "0 4 1 1 * (UTC)"),
        ("5-10 4 * * *", "5-10 4 * * *", "5-10 4 * * * (UTC)"),
        ("1,31 * * * *", "1,31 * * * *", "1,31 * * * * (UTC)"),
        ("0 4 1 * 1", "0 4 1 * 1", "0 4 1 * 1 (UTC)"),
        ("nonsense", "nonsense", "nonsense (UTC)"),
    ],
)
def test_a_schedule_is_said_as_a_person_would_or_as_it_is_written(cron: str, often: str, whole: str) -> None:
    schedule = Schedule(cron=cron, zone="UTC")
    assert words.cadence(schedule, None) == often
    assert words.timetable(schedule) == whole


def test_a_target_says_how_old_is_too_old() -> None:
    assert words.cadence(None, timedelta(hours=26)) == "within 26 h"


def test_the_unknown_is_a_dash() -> None:
    said = (words.span(None), words.ago(None, NOW), words.lasted(None), words.absolute(None), words.size(None))
    assert {*said, words.number(None), words.cadence(None, None), words.timetable(None)} == {words.DASH}


def test_no_lone_surrogate_is_left() -> None:
    assert words.printable("a\ud800b\udfff\U0001f600") == "a\ufffdb\ufffd\U0001f600"


def test_a_number_stays_with_what_it_counts() -> None:
    assert words.bound("2 of 7 sources need 1 look.") == "2\u00a0of 7\u00a0sources need 1\u00a0look."


@pytest.mark.parametrize(
    ("keep", "said"),
    [
        (Retention(last=3), "the newest 3"),
        (Retention(daily=7, monthly=12), "7 daily and 12 monthly"),
        (
            Retention(last=1, hourly=24, weekly=4, yearly=2, within="14d"),
            "the newest 1, 24 hourly, 4 weekly, 2 yearly and all younger than 14d",
        ),
        (Retention(), "none"),
    ],
)
def test_a_retention_is_said_in_one_breath(keep: Retention, said: str) -> None:
    assert words.kept(keep) == said
