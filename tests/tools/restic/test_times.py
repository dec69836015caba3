"""Which of restic's times can be believed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from lastgood.tools.restic.times import believable_duration, believable_time


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-20T09:35:08.63967708+01:00", datetime(2026, 11, 20, 8, 35, 8, 639677, UTC)),
        ("2026-11-20T09:35:08.123456789Z", datetime(2026, 11, 20, 9, 35, 8, 123456, UTC)),
        ("2026-11-20T09:35:08Z", datetime(2026, 11, 20, 9, 35, 8, 0, UTC)),
        ("2026-11-20T09:35:08.5-09:30", datetime(2026, 11, 20, 19, 5, 8, 500000, UTC)),
        ("2026-11-20T00:10:00+14:00", datetime(2026, 11, 19, 10, 10, 0, 0, UTC)),
        ("1970-01-01T00:00:00Z", datetime(1970, 1, 1, tzinfo=UTC)),
        ("2031-01-01T00:00:00+01:00", datetime(2030, 12, 31, 23, tzinfo=UTC)),
    ],
)
def test_a_moment_is_read_with_its_own_offset(text: str, expected: datetime) -> None:
    assert believable_time(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "1969-12-31T23:59:59Z",
        "2026-11-20 09:37:03",
        "2026-11-20T09:37:03",
        "2026-13-01T00:00:00Z",
        "yesterday",
    ],
)
def test_a_moment_that_cannot_be_believed_is_unknown(text: str | None) -> None:
    assert believable_time(text) is None


@pytest.mark.parametrize("seconds", [None, -0.001, -9223372036.854776, float("nan"), float("inf")])
def test_a_duration_that_cannot_be_believed_is_unknown(seconds: float | None) -> None:
    assert believable_duration(seconds) is None


def test_no_time_at_all_is_a_duration() -> None:
    assert believable_duration(0.0) == 0.0
