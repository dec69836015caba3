"""What runs of upkeep say of a repository, and damage that no backup takes back."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from lastgood.fleet.judge import verdict
from lastgood.model import fact
from lastgood.model.job import Outcome, Run, RunKind
from lastgood.model.repository import RepositoryEvidence
from lastgood.model.source import State
from tests.builders import a_host, a_run, an_id
from tests.fleet.scene import Scene, day


class Kept(Scene):
    """A source with a good backup on day 2, and runs of upkeep on its repository."""

    def __init__(self) -> None:
        super().__init__()
        self.observe()
        self.on_schedule(day(2, 2))

    def upkeep(self, kind: RunKind, ended_at: datetime, outcome: Outcome = Outcome.SUCCESS, **changes: Any) -> None:
        run = a_run(self.source, ended_at, outcome, kind=kind, source_id=None, due_at=None, snapshot_id=None)
        self.tell(fact.RunFinished(at=ended_at, origin="test", run=replaced(run, **changes)))

    def check(self, ended_at: datetime, *, clean: bool = True, subset: str | None = None, **changes: Any) -> None:
        told = {"check_subset": subset, **({} if clean else {"cause": "damaged"}), **changes}
        self.upkeep(RunKind.CHECK, ended_at, Outcome.SUCCESS if clean else Outcome.FAILED, **told)

    @property
    def held(self) -> RepositoryEvidence:
        return self.fleet.repository_evidence_of(self.repository.id)


def replaced(run: Run, **changes: Any) -> Run:
    return replace(run, id=an_id("run", run.kind, run.ended_at, sorted(changes.items())), **changes)


def test_each_kind_of_upkeep_keeps_when_it_last_went_well() -> None:
    scene = Kept()
    for hour, kind in enumerate((RunKind.CHECK, RunKind.FORGET, RunKind.PRUNE, RunKind.UNLOCK), 3):
        scene.upkeep(kind, day(2, hour))
        assert scene.held.upkeep_at(kind) == day(2, hour)
        scene.upkeep(kind, day(2, hour) - timedelta(hours=12))
        scene.upkeep(kind, day(3), Outcome.FAILED)
        scene.upkeep(kind, day(3), Outcome.CANCELLED)
        assert scene.held.upkeep_at(kind) == day(2, hour), "neither an old end told late nor a failure counts"
    assert len(scene.held.upkeep) == 4
    assert scene.held.damaged_at is None


def test_damage_makes_every_source_of_the_repository_fail_whatever_is_backed_up_afterwards() -> None:
    scene = Kept()
    scene.check(day(2, 4), clean=False)
    assert scene.state(day(2, 5)) is State.FAILED
    assert verdict(scene.fleet, scene.source_id, day(2, 5)).reason == "The newest good backup is known to be damaged."
    scene.on_schedule(day(3, 2))
    assert scene.state(day(3, 3)) is State.FAILED, "restic trusts its index and notices nothing"
    scene.check(day(3, 4))
    assert scene.state(day(3, 5)) is State.GOOD


@pytest.mark.parametrize(
    ("found_by", "clean", "is_over"),
    [
        (None, None, True),
        (None, "2/5", True),
        ("1/5", None, False),
        ("1/5", "2/5", False),
        ("1/5", "1/5", True),
        ("1/5", "100%", True),
        ("10%", "1/1", True),
    ],
)
def test_damage_is_over_when_a_check_that_looks_as_deep_is_clean(
    found_by: str | None, clean: str | None, is_over: bool
) -> None:
    scene = Kept()
    scene.check(day(2, 4), clean=False, subset=found_by)
    scene.check(day(2, 6), subset=clean)
    assert (scene.held.damaged_at is None) is is_over
    assert scene.held.upkeep_at(RunKind.CHECK) == day(2, 6)


def test_a_check_that_is_told_late_changes_nothing_that_was_seen_since() -> None:
    scene = Kept()
    scene.check(day(2, 6))
    scene.check(day(2, 4), clean=False)
    assert scene.held.damaged_at is None
    scene.check(day(2, 8), clean=False)
    scene.check(day(2, 7))
    assert scene.held.damaged_at == day(2, 8)


def test_a_check_that_could_not_look_says_nothing_of_damage() -> None:
    scene = Kept()
    scene.upkeep(RunKind.CHECK, day(2, 4), Outcome.FAILED, cause="unreachable")
    scene.upkeep(RunKind.CHECK, day(2, 4), Outcome.CANCELLED, cause="damaged")
    assert scene.held.damaged_at is None
    scene.check(day(2, 5), clean=False)
    scene.upkeep(RunKind.CHECK, day(2, 6), Outcome.FAILED, cause="locked")
    assert scene.held.damaged_at == day(2, 5)


def test_a_source_that_has_nothing_yet_is_not_called_damaged() -> None:
    scene = Scene()
    scene.observe()
    run = a_run(scene.source, day(1, 13), Outcome.FAILED, kind=RunKind.CHECK, cause="damaged", source_id=None)
    scene.tell(fact.RunFinished(at=day(1, 13), origin="test", run=run))
    assert scene.state(day(1, 14)) is State.NEW


def test_a_host_speaks_for_its_own_repositories_alone() -> None:
    scene = Kept()
    other = a_host("db-1")
    scene.tell(fact.HostEnrolled(at=day(2), origin="test", host=other))
    scene.check(day(2, 4), clean=False, host_id=other.id)
    assert scene.held.damaged_at is None
    assert scene.held.upkeep == ()
