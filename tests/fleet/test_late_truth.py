"""A run that was called lost, and what its agent tells of it later."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from lastgood.fleet.fleet import Fleet
from lastgood.fleet.learn import Unlearnable
from lastgood.model import fact
from lastgood.model.job import Outcome, Run, RunKind, Status
from lastgood.model.source import DueMoment, Moment, State
from tests.builders import a_run
from tests.fleet.scene import Scene, day


def the_run(scene: Scene, outcome: Outcome, ended_at: datetime, **changes: object) -> Run:
    made = a_run(scene.source, ended_at, outcome, started_at=day(3, 2), due_at=day(3, 2), **changes)
    return made if "id" in changes else Run(**{**fields(made), "id": "the-run"})


def fields(run: Run) -> dict[str, object]:
    return {name: getattr(run, name) for name in Run.__slots__}


def tell(scene: Scene, run: Run, at: datetime) -> None:
    scene.tell(fact.RunFinished(at=at, origin="test", run=run))


def lost(scene: Scene) -> None:
    tell(scene, the_run(scene, Outcome.LOST, day(3, 2.5)), day(3, 3))


def counted(fleet: Fleet) -> int:
    return sum(sum(fleet.durations.buckets[RunKind.BACKUP, status]) for status in (Status.FAILED, Status.SUCCEEDED))


def test_the_true_end_of_a_run_that_was_called_lost_replaces_it_everywhere() -> None:
    scene = Scene()
    scene.observe()
    scene.on_schedule(day(2, 2))
    lost(scene)
    assert scene.state(day(3, 4)) is State.FAILED
    before = counted(scene.fleet)
    good = the_run(scene, Outcome.SUCCESS, day(3, 2.25))
    tell(scene, good, day(3, 5))
    assert scene.state(day(3, 5)) is State.GOOD
    assert scene.evidence.last_attempt == good
    assert scene.evidence.last_full == good
    assert scene.fleet.last_backups[scene.host.id] == good
    assert counted(scene.fleet) == before, "a run is counted once"
    with pytest.raises(Unlearnable, match="told before"):
        tell(scene, good, day(3, 6))


def test_the_ledger_follows_the_truth_also_after_the_moment_was_closed() -> None:
    scene = Scene()
    scene.observe()
    scene.on_schedule(day(2, 2))
    lost(scene)
    moments = []
    while (evidence := scene.evidence).ledger_at is not None and evidence.ledger_at <= day(3, 2):
        assert evidence.ledger_deadline_at is not None
        due_at, deadline_at = evidence.ledger_at, evidence.ledger_deadline_at
        one = DueMoment(source_id=scene.source_id, due_at=due_at, deadline_at=deadline_at, looked=True)
        changes = scene.tell(fact.MomentsPassed(at=day(3, 9), origin="test", moments=(one,)))
        moments += changes.moments
    assert moments[-1].result is Moment.NOT_GOOD
    told = fact.RunFinished(at=day(4), origin="test", run=the_run(scene, Outcome.SUCCESS, day(3, 2.25)))
    (corrected,) = scene.tell(told).moments
    assert (corrected.due_at, corrected.result) == (day(3, 2), Moment.GOOD)
    assert scene.evidence.good_runs == scene.evidence.expected_runs


def test_a_run_that_was_cancelled_and_not_lost_gives_the_attempt_before_it_back() -> None:
    scene = Scene()
    scene.observe()
    scene.on_schedule(day(2, 2), Outcome.FAILED)
    failed = scene.evidence.last_attempt
    lost(scene)
    tell(scene, the_run(scene, Outcome.CANCELLED, day(3, 2.25)), day(3, 5))
    assert scene.evidence.last_attempt == failed
    assert scene.fleet.last_backups[scene.host.id] == failed
    assert scene.evidence.displaced is None


def test_a_first_run_that_was_cancelled_and_not_lost_leaves_no_attempt() -> None:
    scene = Scene()
    scene.observe()
    lost(scene)
    tell(scene, the_run(scene, Outcome.CANCELLED, day(3, 2.25)), day(3, 5))
    assert scene.evidence.last_attempt is None
    assert scene.fleet.last_backups == {}


def test_lost_twice_is_told_once_and_a_newer_attempt_stands() -> None:
    scene = Scene()
    scene.observe()
    lost(scene)
    with pytest.raises(Unlearnable, match="told before"):
        lost(scene)
    scene.on_schedule(day(4, 2))
    newest = scene.evidence.last_attempt
    tell(scene, the_run(scene, Outcome.SUCCESS, day(3, 2.25)), day(4, 5))
    assert scene.evidence.last_attempt == newest
    assert scene.state(day(4, 5)) is State.GOOD


def test_two_lost_runs_in_a_row_keep_what_was_before_both() -> None:
    scene = Scene()
    scene.observe()
    scene.on_schedule(day(2, 2))
    good = scene.evidence.last_attempt
    lost(scene)
    second = a_run(scene.source, day(4, 3), Outcome.LOST, started_at=day(4, 2), due_at=None)
    tell(scene, second, day(4, 4))
    assert scene.evidence.displaced == good
    ended = a_run(scene.source, day(4, 3), Outcome.CANCELLED, started_at=day(4, 2), due_at=None)
    tell(scene, ended, day(4, 4) + timedelta(minutes=1))
    assert scene.evidence.last_attempt == good
