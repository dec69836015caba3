"""When a notice is sent again: later and later, never before it was asked for, and once more at the very end."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastgood.notices.patience import LONGEST, is_permanent, next_attempt, retry_after
from tests.builders import NOW

DAY = timedelta(hours=24)


@pytest.mark.parametrize("status", [300, 302, 307, 400, 401, 403, 404, 410, 422])
def test_a_no_for_good_is_permanent(status: int) -> None:
    assert is_permanent(status)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_what_may_pass_is_tried_again(status: int) -> None:
    assert not is_permanent(status)


@given(attempts=st.integers(1, 500), age=st.timedeltas(timedelta(), DAY * 3), chance=st.floats(0, 1))
def test_every_wait_ends_and_none_is_longer_than_a_quarter_of_an_hour(
    attempts: int, age: timedelta, chance: float
) -> None:
    at = next_attempt(attempts, NOW - age, NOW, DAY, chance)
    assert (at is None) == (age >= DAY)
    if at is not None:
        assert timedelta(seconds=2.5) <= at - NOW <= LONGEST
        assert at <= NOW - age + DAY + timedelta(seconds=5)


def test_waits_double_and_half_of_each_is_left_to_chance() -> None:
    waits = [[next_attempt(n, NOW, NOW, DAY, c) for c in (0.0, 1.0)] for n in (1, 2, 3, 9)]
    seconds = [[(at - NOW).total_seconds() for at in pair if at is not None] for pair in waits]
    assert seconds == [[2.5, 5], [5, 10], [10, 20], [450, 900]]


def test_what_the_receiver_asks_for_is_kept_within_a_day() -> None:
    hour = timedelta(hours=1)
    assert next_attempt(1, NOW, NOW, DAY, 0.5, hour) == NOW + hour
    assert next_attempt(1, NOW, NOW, DAY, 0.5, timedelta(days=400)) == NOW + DAY
    asked_late = next_attempt(1, NOW - DAY + hour, NOW, DAY, 0.5, 2 * hour)
    assert asked_late == NOW + 2 * hour  # beyond the end, since the receiver said so


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("Sat, 14 Mar 2026 12:05:00 GMT", 300),
        ("Sat, 14 Mar 2026 11:00:00 GMT", 0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1" * 30, None),
        ("٣", None),
        (None, None),
    ],
)
def test_retry_after_is_read_in_both_forms(said: str | None, seconds: int | None) -> None:
    assert retry_after(said, NOW) == (None if seconds is None else timedelta(seconds=seconds))


@given(st.text(max_size=40))
def test_no_retry_after_breaks_anything(said: str) -> None:
    found = retry_after(said, NOW)
    assert found is None or found >= timedelta()
