"""A look into the repository: the witness that takes back what is gone, and is not fooled by half a list."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from lastgood.fleet.judge import verdict
from lastgood.model.job import Outcome
from lastgood.model.repository import SnapshotPoint, SnapshotSeries
from lastgood.model.source import State
from tests.fleet.scene import Scene, day

TEN = timedelta(minutes=10)
FIRST, SECOND, THIRD = day(2, 2) + TEN, day(3, 2) + TEN, day(4, 2) + TEN


def _backed_up(nights: int = 3, **changes: object) -> Scene:
    scene = Scene(**changes)
    scene.observe()
    for night in range(2, 2 + nights):
        scene.on_schedule(day(night, 2))
    return scene


def _held(scene: Scene) -> datetime | None:
    held = scene.evidence.last_full
    return held.ended_at if held is not None else None


def test_a_snapshot_that_is_there_changes_nothing_but_what_is_counted_and_seen() -> None:
    scene = _backed_up()
    before = scene.evidence
    scene.survey(day(4, 3), scene.series(scene.point(FIRST), scene.point(SECOND), scene.point(THIRD), count=3))
    assert scene.evidence.last_full is before.last_full
    assert scene.evidence.finding is None
    assert scene.evidence.snapshots == 3
    assert scene.evidence.observed_at == day(4, 3)
    assert scene.fleet.repository_evidence_of(scene.repository.id).snapshots == 3


def test_when_the_last_good_snapshot_is_gone_the_next_older_one_that_is_there_is_held() -> None:
    scene = _backed_up()
    scene.survey(day(4, 3), scene.series(scene.point(FIRST), scene.point(SECOND)))
    assert _held(scene) == SECOND
    assert scene.evidence.finding == "gone"
    assert scene.judged(day(4, 4)) == (State.LATE, day(4, 8))
    assert scene.state(day(4, 8)) is State.MISSED
    scene.run(day(4, 9))
    assert scene.evidence.finding is None


def test_when_every_snapshot_is_gone_nothing_is_held_and_the_reason_says_so() -> None:
    scene = _backed_up()
    scene.survey(day(4, 3))
    assert _held(scene) is None
    assert scene.evidence.snapshots == 0
    told = verdict(scene.fleet, scene.source_id, day(4, 4))
    assert told.state is State.NEVER
    assert told.reason == "Every good snapshot is gone from the repository."


def test_a_snapshot_gone_within_the_first_grace_leaves_the_source_new() -> None:
    scene = Scene()
    scene.run(day(1, 13))
    scene.survey(day(1, 14))
    assert scene.judged(day(1, 15)) == (State.NEW, day(2, 8))


def test_the_short_names_of_restic_0_14_mean_the_same_snapshot() -> None:
    scene = Scene()
    scene.on_schedule(day(2, 2), snapshot_id=scene.snapshot_id(FIRST)[:8])
    scene.survey(day(2, 3), scene.series(scene.point(FIRST)))
    assert (_held(scene), scene.evidence.finding) == (FIRST, None)
    scene.survey(day(2, 4), scene.series(scene.point(FIRST, id="0" * 64)))
    assert (_held(scene), scene.evidence.finding) == (None, "gone")


def test_a_name_shorter_than_any_of_restic_matches_nothing_but_itself() -> None:
    scene = Scene()
    scene.on_schedule(day(2, 2), snapshot_id=scene.snapshot_id(FIRST)[:3])
    scene.survey(day(2, 3), scene.series(scene.point(FIRST)))
    assert scene.evidence.finding == "gone"


def test_a_look_that_was_cut_short_takes_nothing_back_and_proves_no_absence() -> None:
    scene = _backed_up()
    before = scene.evidence
    scene.survey(day(4, 3), truncated=True)
    assert scene.evidence == before
    scene.survey(day(4, 4), scene.series(scene.point(FIRST)), truncated=True)
    assert scene.evidence == before


def test_a_snapshot_beyond_the_newest_few_that_are_listed_is_not_called_gone() -> None:
    scene = _backed_up(1)
    later = [scene.point(day(2, 3 + number)) for number in range(10)]
    scene.survey(day(2, 20), scene.series(*later, count=11))
    assert scene.evidence.finding is None
    assert scene.evidence.snapshots == 11


def test_a_snapshot_younger_than_some_that_are_listed_is_gone_although_the_list_is_not_whole() -> None:
    scene = _backed_up()
    scene.survey(day(4, 3), scene.series(scene.point(SECOND), scene.point(FIRST), count=40))
    assert (_held(scene), scene.evidence.finding) == (SECOND, "gone")


def test_a_series_that_is_counted_without_any_of_its_snapshots_proves_no_absence() -> None:
    scene = _backed_up()
    scene.survey(day(4, 3), scene.series(count=5))
    assert scene.evidence.finding is None


def test_after_changed_paths_the_snapshots_of_all_series_are_one_sources() -> None:
    scene = _backed_up()
    old = scene.series(scene.point(FIRST), scene.point(SECOND))
    new = scene.series(scene.point(THIRD), paths=("/home", "/etc"))
    scene.survey(day(4, 3), old, new)
    assert scene.evidence.finding is None
    assert scene.evidence.snapshots == 3
    scene.survey(day(4, 4), old)
    assert (_held(scene), scene.evidence.finding) == (SECOND, "gone")


def test_snapshots_of_other_sources_and_of_nobody_are_not_this_ones() -> None:
    scene = _backed_up()
    mine = scene.series(scene.point(THIRD))
    theirs = SnapshotSeries(hostname="db-1", tags=("lg:another",), paths=("/home",), count=7, newest=())
    nobodys = SnapshotSeries(hostname="web-1", tags=(), paths=("/home",), count=9, newest=(scene.point(FIRST),))
    scene.survey(day(4, 3), mine, theirs, nobodys)
    assert scene.evidence.snapshots == 1
    assert scene.fleet.repository_evidence_of(scene.repository.id).snapshots == 17


def test_a_look_before_the_run_ended_says_nothing_of_its_snapshot() -> None:
    scene = _backed_up()
    scene.survey(THIRD, scene.series(scene.point(SECOND)))
    scene.survey(THIRD - TEN, scene.series(scene.point(SECOND)), told_at=day(4, 3))
    assert (_held(scene), scene.evidence.finding) == (THIRD, None)


def test_a_look_that_is_told_late_does_not_replace_a_newer_one() -> None:
    scene = _backed_up()
    scene.survey(day(4, 5), scene.series(*(scene.point(moment) for moment in (FIRST, SECOND, THIRD))))
    scene.survey(day(4, 4), told_at=day(4, 6))
    assert scene.evidence.snapshots == 3
    assert scene.evidence.finding is None
    assert scene.fleet.repository_evidence_of(scene.repository.id).surveyed_at == day(4, 5)


def test_a_partial_snapshot_never_becomes_the_last_good_one() -> None:
    scene = Scene()
    partials = [day(2, 3), day(2, 4), day(2, 5)]
    for ended_at in partials:
        scene.run(ended_at, Outcome.PARTIAL)
    scene.run(day(2, 6))
    scene.survey(day(2, 7), scene.series(*(scene.point(ended_at) for ended_at in partials)))
    assert (_held(scene), scene.evidence.finding) == (None, "gone")


def test_the_snapshot_of_a_cancelled_run_never_becomes_the_last_good_one() -> None:
    scene = Scene()
    scene.run(day(2, 3), Outcome.CANCELLED, snapshot_id=scene.snapshot_id(day(2, 3)))
    scene.run(day(2, 6))
    scene.survey(day(2, 7), scene.series(scene.point(day(2, 3))))
    assert _held(scene) is None


def test_a_snapshot_younger_than_the_one_that_is_gone_does_not_take_its_place() -> None:
    scene = _backed_up()
    untold = scene.point(day(4, 5))
    scene.survey(day(4, 6), scene.series(untold, scene.point(FIRST)))
    assert (_held(scene), scene.evidence.finding) == (FIRST, "gone")


def test_a_snapshot_from_the_future_does_not_become_the_last_good_one() -> None:
    scene = Scene()
    scene.observe()
    scene.on_schedule(day(2, 2))
    ahead = SnapshotPoint(id="f" * 64, started_at=day(2, 2) + timedelta(days=400), ended_at=None)
    scene.survey(day(2, 3), scene.series(ahead))
    assert _held(scene) is None


def test_an_end_in_the_future_does_not_make_a_snapshot_younger_than_the_look() -> None:
    scene = _backed_up()
    scene.survey(day(4, 3), scene.series(scene.point(SECOND, ended_at=day(28))))
    assert _held(scene) == day(4, 3)


def test_an_end_before_the_beginning_is_not_believed() -> None:
    scene = _backed_up()
    scene.survey(day(4, 3), scene.series(scene.point(SECOND, ended_at=datetime(1, 1, 1, tzinfo=day(1).tzinfo))))
    assert _held(scene) == SECOND - TEN


def test_a_partial_snapshot_that_is_accepted_and_gone_is_taken_back() -> None:
    scene = Scene(accept_partial=True)
    scene.observe()
    scene.on_schedule(day(2, 2))
    scene.on_schedule(day(3, 2), Outcome.PARTIAL)
    assert scene.judged(day(3, 3)) == (State.GOOD, day(4, 2))
    scene.survey(day(3, 4), scene.series(scene.point(FIRST)))
    assert scene.evidence.last_partial is None
    assert scene.evidence.finding == "gone"
    assert scene.judged(day(3, 5)) == (State.LATE, day(3, 8))


def test_a_snapshot_that_was_missed_and_is_seen_again_is_held_again() -> None:
    scene = _backed_up()
    older = scene.series(scene.point(FIRST), scene.point(SECOND))
    scene.survey(day(4, 3), older)
    assert _held(scene) == SECOND
    scene.survey(day(4, 4), scene.series(*(scene.point(moment) for moment in (FIRST, SECOND, THIRD))))
    assert (_held(scene), scene.evidence.finding) == (THIRD, None)
    assert scene.judged(day(4, 5)) == (State.GOOD, day(5, 2))


def test_an_unchanged_run_whose_snapshot_is_gone_does_not_come_back_on_an_older_one() -> None:
    scene = _backed_up(2)
    scene.run(day(4, 2), Outcome.UNCHANGED)
    older = scene.series(scene.point(FIRST))
    scene.survey(day(4, 3), older)
    assert (_held(scene), scene.evidence.finding) == (FIRST, "gone")
    scene.survey(day(4, 4), older)
    assert (_held(scene), scene.evidence.finding) == (FIRST, "gone")


def test_an_unchanged_run_gets_its_proof_from_a_later_look() -> None:
    scene = Scene()
    scene.observe()
    scene.on_schedule(day(2, 2), Outcome.UNCHANGED)
    assert scene.state(day(2, 3)) is State.NEW
    assert scene.fleet.last_backups[scene.host.id].snapshot_id is None
    scene.survey(day(2, 4), scene.series(scene.point(day(1, 13))))
    assert scene.judged(day(2, 5)) == (State.GOOD, day(3, 2))
    assert scene.fleet.last_backups[scene.host.id].snapshot_id == scene.snapshot_id(day(1, 13))


def test_a_look_by_another_host_makes_a_silent_sources_missed_backup_known() -> None:
    scene = _backed_up(1)
    scene.fall_silent(day(2, 12))
    assert scene.state(day(3, 8)) is State.UNKNOWN
    scene.survey(day(3, 9), scene.series(scene.point(FIRST)))
    assert scene.state(day(3, 9)) is State.MISSED


def test_a_snapshot_whose_run_was_not_told_yet_is_neither_good_nor_missed() -> None:
    scene = _backed_up(1)
    scene.fall_silent(day(2, 12))
    both = scene.series(scene.point(FIRST), scene.point(SECOND))
    scene.survey(day(3, 9), both)
    assert _held(scene) == FIRST
    assert scene.state(day(3, 9)) is State.UNKNOWN
    scene.on_schedule(day(3, 2), told_at=day(3, 10))
    assert scene.judged(day(3, 10)) == (State.GOOD, day(4, 2))


def test_a_snapshot_from_the_future_is_no_run_that_we_have_not_heard_of() -> None:
    scene = _backed_up(1)
    scene.fall_silent(day(2, 12))
    ahead = SnapshotPoint(id="f" * 64, started_at=day(28), ended_at=None)
    scene.survey(day(3, 9), scene.series(ahead, scene.point(FIRST)))
    assert scene.state(day(3, 9)) is State.MISSED


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_survey_of_a_repository_without_sources_counts_its_snapshots(count: int) -> None:
    scene = _backed_up(1)
    nobodys = SnapshotSeries(hostname="db-1", tags=("lg:",), paths=("/",), count=count, newest=())
    scene.survey(day(2, 3), scene.series(scene.point(FIRST)), nobodys)
    assert scene.fleet.repository_evidence_of(scene.repository.id).snapshots == count + 1
