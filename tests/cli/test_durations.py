"""Durations and moments as people write them."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
import typer

from lastgood.cli.durations import moment, span
from tests.builders import NOW


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("26h", timedelta(hours=26)),
        ("2d", timedelta(days=2)),
        ("1w", timedelta(weeks=1)),
        ("90m", timedelta(minutes=90)),
        ("90min", timedelta(minutes=90)),
        ("45s", timedelta(seconds=45)),
        ("1d12h", timedelta(hours=36)),
        ("1H 30M", timedelta(minutes=90)),
        ("1.5h", timedelta(minutes=90)),
    ],
)
def test_a_length_of_time_is_read(text: str, length: timedelta) -> None:
    assert span(text) == length


@pytest.mark.parametrize("text", ["", "26", "h", "2 days", "-1h", "1h-", "1y", "9999999d", "١h"])
def test_what_is_no_length_of_time_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        span(text)


def test_a_moment_is_a_length_from_now_or_a_date() -> None:
    assert moment("2d", NOW) == NOW + timedelta(days=2)
    assert moment("2026-05-01T08:00+02:00", NOW).isoformat() == "2026-05-01T06:00:00+00:00"
    local = datetime(2026, 5, 1).astimezone()
    assert moment("2026-05-01", NOW) == local
    for text in ("2026-01-01", "soon", "2026-13-01"):
        with pytest.raises(typer.BadParameter):
            moment(text, NOW)
