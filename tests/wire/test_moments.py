"""Moments in reports: one without its zone is found wherever it stands."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from lastgood.model.repository import Habit, SnapshotPoint, SnapshotSeries
from lastgood.wire.frames import Report, Snapshots
from lastgood.wire.moments import all_have_zones
from tests.builders import NOW

BARE = NOW.replace(tzinfo=None)
HABIT = Habit(starts=(NOW,), pauses=((NOW, NOW),), since=NOW)


def a_report(habit: Habit | None, started_at: datetime = NOW) -> Report:
    point = SnapshotPoint(id="a", started_at=started_at)
    series = SnapshotSeries(hostname="nas", tags=(), paths=("/",), count=1, newest=(point,), habit=habit)
    return Report(sequence=1, said=Snapshots(repository_id="r", listed_at=NOW, total=1, series=(series,)))


def test_a_survey_whose_moments_all_have_zones_is_taken() -> None:
    assert all_have_zones(a_report(HABIT))
    assert all_have_zones(a_report(None))


@pytest.mark.parametrize(
    "habit",
    [replace(HABIT, starts=(NOW, BARE)), replace(HABIT, pauses=((NOW, BARE),)), replace(HABIT, since=BARE)],
    ids=["a start", "a pause", "since"],
)
def test_a_moment_of_a_habit_without_its_zone_is_found(habit: Habit) -> None:
    assert not all_have_zones(a_report(habit))
    assert not all_have_zones(a_report(None, BARE))
