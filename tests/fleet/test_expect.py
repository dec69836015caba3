"""A moment that is already owed stays owed: only a good run turns a missed backup green."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from lastgood.model.job import Outcome, Schedule
from lastgood.model.source import State
from tests.fleet.scene import HOURLY, Scene, day

TICK = timedelta(microseconds=1)


def _missed() -> Scene:
    """Good on day 2; nothing came on day 3, and we have looked."""
    scene = Scene()
    scene.observe()
    scene.on_schedule(day(2, 2))
    assert scene.state(day(3, 9)) is State.MISSED
    return scene


CHANGES: dict[str, dict[str, Any]] = {
    "another hour": {"schedule": Schedule(cron="0 4 * * *")},
    "a rarer schedule": {"schedule": Schedule(cron="0 2 1 * *")},
    "a target beside it": {"target": timedelta(days=30)},
    "a target instead": {"schedule": None, "target": timedelta(days=30)},
    "a longer grace": {"grace": timedelta(days=10)},
    "no schedule at all": {"schedule": None},
    "a pause": {"paused_until": day(4, 1), "paused_by": "alice"},
    "another name": {"name": "etc"},
}


@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES.keys())
def test_a_missed_backup_stays_missed_whatever_is_configured(changes: dict[str, Any]) -> None:
    scene = _missed()
    scene.change(day(3, 9), **changes)
    if "paused_until" in changes:
        assert scene.state(day(3, 9)) is State.PAUSED
        scene.change(day(3, 10), paused_until=None, paused_by=None)
    assert scene.state(day(3, 10)) is State.MISSED
    assert scene.state(day(4, 1)) is State.MISSED


@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES.keys())
def test_after_such_a_change_a_good_run_makes_it_good_again(changes: dict[str, Any]) -> None:
    scene = _missed()
    scene.change(day(3, 9), **changes)
    scene.run(day(3, 10))
    expected = State.UNKNOWN if changes == {"schedule": None} else State.GOOD
    assert scene.state(day(4, 1)) is expected


def test_a_late_backup_stays_late_and_keeps_its_deadline_when_its_schedule_changes() -> None:
    scene = Scene()
    scene.observe()
    scene.on_schedule(day(2, 2))
    scene.change(day(3, 3), schedule=Schedule(cron="0 22 * * *"))
    assert scene.judged(day(3, 3)) == (State.LATE, day(3, 8))
    assert scene.state(day(3, 8)) is State.MISSED


def test_the_deadline_of_a_stricter_new_schedule_comes_first() -> None:
    scene = Scene()
    scene.observe()
    scene.on_schedule(day(2, 2))
    scene.change(day(3, 3.5), schedule=HOURLY)
    assert scene.judged(day(3, 3.5)) == (State.LATE, day(3, 4.25))


def test_a_pause_that_is_let_run_out_forgives_nothing_that_was_owed_before_it() -> None:
    scene = _missed()
    scene.change(day(3, 9), paused_until=day(5, 1), paused_by="alice")
    assert scene.state(day(5, 1) - TICK) is State.PAUSED
    assert scene.state(day(5, 1)) is State.MISSED


def test_unpausing_early_does_not_blame_the_moments_of_the_pause() -> None:
    scene = Scene()
    scene.observe()
    scene.on_schedule(day(2, 2))
    scene.change(day(2, 12), paused_until=day(20), paused_by="alice")
    scene.change(day(6, 12), paused_until=None, paused_by=None)
    assert scene.judged(day(6, 12)) == (State.GOOD, day(7, 2))
    assert scene.state(day(7, 8)) is State.MISSED


def test_a_run_out_pause_that_is_taken_away_later_blames_nothing_of_it() -> None:
    scene = Scene()
    scene.observe()
    scene.on_schedule(day(2, 2))
    scene.change(day(2, 12), paused_until=day(4), paused_by="alice")
    scene.on_schedule(day(4, 2))
    scene.change(day(4, 12), paused_until=None, paused_by=None)
    scene.run(day(4, 13), Outcome.PARTIAL)
    assert scene.state(day(4, 14)) is State.PARTIAL
    scene.run(day(4, 15))
    assert scene.judged(day(4, 16)) == (State.GOOD, day(5, 2))


def test_a_run_of_the_schedule_for_the_very_moment_that_was_owed_settles_it() -> None:
    scene = Scene()
    scene.observe()
    scene.on_schedule(day(2, 2))
    scene.change(day(3, 3), schedule=Schedule(cron="0 22 * * *"))
    scene.run(day(3, 4), started_at=day(3, 2), due_at=day(3, 2))
    assert scene.judged(day(3, 5)) == (State.GOOD, day(3, 22))


def test_a_new_name_is_no_new_schedule_whatever_moment_comes_with_it() -> None:
    scene = _missed()
    scene.change(day(3, 9), name="etc", revised_at=day(3, 9))
    scene.run(day(2, 20), told_at=day(3, 10))
    assert scene.state(day(3, 12)) is State.MISSED


def test_a_target_counts_from_the_end_of_a_pause_not_from_when_it_was_tidied_away() -> None:
    scene = Scene(schedule=None, target=timedelta(hours=26))
    scene.observe()
    scene.run(day(2))
    scene.change(day(2, 12), paused_until=day(4), paused_by="alice")
    scene.change(day(4, 12), paused_until=None, paused_by=None)
    assert scene.judged(day(4, 12)) == (State.GOOD, day(5, 2))


def test_a_target_begins_anew_after_a_pause() -> None:
    scene = Scene(schedule=None, target=timedelta(hours=26))
    scene.observe()
    scene.run(day(2))
    scene.change(day(2, 12), paused_until=day(9), paused_by="alice")
    assert scene.judged(day(9)) == (State.GOOD, day(10, 2))
    scene.change(day(8), paused_until=None, paused_by=None)
    assert scene.judged(day(8)) == (State.GOOD, day(9, 2))


def test_what_came_due_in_the_archive_was_never_owed() -> None:
    scene = Scene()
    scene.observe()
    scene.on_schedule(day(2, 2))
    scene.change(day(2, 12), archived_by="alice")
    scene.change(day(9, 12), archived_by=None)
    assert scene.judged(day(9, 12)) == (State.GOOD, day(10, 2))


def test_what_was_missed_before_the_archive_is_missed_after_it() -> None:
    scene = _missed()
    scene.change(day(3, 12), archived_by="alice")
    scene.change(day(5), archived_by="alice", name="etc", paused_until=day(6))
    scene.change(day(9, 12), archived_by=None, paused_until=None)
    assert scene.state(day(9, 12)) is State.MISSED


def test_a_new_schedule_asks_for_nothing_before_it_was_given() -> None:
    scene = Scene(schedule=Schedule(cron="0 2 * * 1"))  # 2 March 2026 is a Monday
    scene.observe()
    scene.on_schedule(day(2, 2))
    scene.change(day(6, 12), schedule=Schedule(cron="0 2 * * *"))
    assert scene.judged(day(6, 12)) == (State.GOOD, day(7, 2))


def test_a_new_schedule_asks_for_nothing_before_it_even_if_nobody_says_when_it_was_revised() -> None:
    scene = Scene(schedule=Schedule(cron="0 2 * * 1"))
    scene.observe()
    scene.on_schedule(day(2, 2))
    scene.change(day(6, 12), schedule=Schedule(cron="0 2 * * *"), revised_at=scene.source.revised_at)
    assert scene.judged(day(6, 12)) == (State.GOOD, day(7, 2))


def test_a_tightened_target_is_missed_at_once_when_the_last_good_is_older() -> None:
    scene = Scene(schedule=None, target=timedelta(days=7), grace=timedelta(0))
    scene.observe()
    scene.run(day(2))
    scene.change(day(4), target=timedelta(days=1))
    assert scene.state(day(4)) is State.MISSED


def _older_run_told_late(scene: Scene) -> None:
    scene.run(day(2, 20), told_at=day(3, 10))


def _partial_accepted(scene: Scene) -> None:
    scene.change(day(3, 10), accept_partial=True)


def _partial_accepted_and_back(scene: Scene) -> None:
    scene.change(day(3, 10), accept_partial=True)
    scene.change(day(3, 11), accept_partial=False)


def _snapshot_gone(scene: Scene) -> None:
    older = scene.point(day(2, 1))
    scene.survey(day(3, 10), scene.series(older))


@pytest.mark.parametrize("act", [_older_run_told_late, _partial_accepted, _partial_accepted_and_back, _snapshot_gone])
def test_what_was_owed_when_the_schedule_changed_is_not_forgotten_by_what_comes_after(
    act: Callable[[Scene], None],
) -> None:
    scene = _missed()
    scene.change(day(3, 9), schedule=Schedule(cron="0 4 * * *"))
    act(scene)
    assert scene.state(day(3, 12)) is State.MISSED


def test_a_run_that_settled_an_old_debt_and_whose_snapshot_goes_leaves_the_debt() -> None:
    scene = _missed()
    scene.change(day(3, 9), schedule=Schedule(cron="0 4 * * *"))
    scene.run(day(3, 10))
    assert scene.state(day(3, 11)) is State.GOOD
    scene.survey(day(3, 12), scene.series(scene.point(day(2, 2) + timedelta(minutes=10))))
    assert scene.state(day(3, 12)) is State.MISSED


def test_a_run_of_the_schedule_answers_for_its_moment_however_long_it_took() -> None:
    scene = Scene()
    scene.observe()
    scene.on_schedule(day(2, 2))
    scene.run(day(3, 9), started_at=day(3, 2), due_at=day(3, 2))
    assert scene.judged(day(3, 9)) == (State.GOOD, day(4, 2))


def test_a_catch_up_run_for_an_old_moment_answers_for_all_that_passed_before_it_began() -> None:
    scene = Scene()
    scene.observe()
    scene.on_schedule(day(2, 2))
    scene.run(day(5, 10.5), started_at=day(5, 10), due_at=day(3, 2))
    assert scene.judged(day(5, 11)) == (State.GOOD, day(6, 2))


def test_a_run_that_took_longer_than_its_interval_does_not_answer_for_the_moment_it_ran_over() -> None:
    scene = Scene()
    scene.observe()
    scene.on_schedule(day(2, 2))
    scene.run(day(4, 9), started_at=day(3, 2), due_at=day(3, 2))
    assert scene.state(day(4, 9)) is State.MISSED


def test_a_run_that_claims_a_moment_in_the_future_does_not_hide_missing_backups_until_then() -> None:
    scene = Scene()
    scene.observe()
    scene.run(day(2, 2.5), due_at=datetime(2036, 1, 1, 2, tzinfo=day(1).tzinfo))
    assert scene.judged(day(2, 3)) == (State.GOOD, day(3, 2))


def test_an_agent_whose_clock_is_an_hour_ahead_is_good_every_night() -> None:
    scene = Scene()
    scene.observe()
    for night in range(2, 9):
        scene.run(day(night, 1.2), started_at=day(night, 1), due_at=day(night, 2))
        assert scene.judged(day(night, 23)) == (State.GOOD, day(night + 1, 2))


def test_an_unproven_run_moves_nothing() -> None:
    scene = _missed()
    scene.run(day(3, 10), Outcome.SUCCESS, snapshot_id=None)
    assert scene.state(day(3, 11)) is State.MISSED


def test_an_unchanged_run_on_a_damaged_snapshot_stays_failed() -> None:
    scene = Scene()
    scene.observe()
    scene.on_schedule(day(2, 2))
    scene.fleet.evidence[scene.source_id] = replace(scene.evidence, finding="damaged")
    scene.run(day(3, 2), Outcome.UNCHANGED)
    assert scene.state(day(3, 3)) is State.FAILED
    scene.run(day(3, 4))
    assert scene.state(day(3, 5)) is State.GOOD


def test_an_unchanged_run_rests_on_the_newest_snapshot_before_it_also_a_partial_one() -> None:
    scene = Scene()
    scene.on_schedule(day(2, 2))
    scene.run(day(2, 5), Outcome.PARTIAL)
    scene.run(day(2, 7), Outcome.UNCHANGED)
    assert scene.evidence.last_full is not None
    assert scene.evidence.last_full.snapshot_id == scene.snapshot_id(day(2, 5))
    assert scene.evidence.last_attempt == scene.evidence.last_full
