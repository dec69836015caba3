"""The table of what "good" means: every state, every tie between two, and every limit to the microsecond."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from lastgood.fleet.judge import host_online, observed_at, repository_state, verdict
from lastgood.fleet.presence import remembered
from lastgood.model.host import Presence
from lastgood.model.job import Outcome
from lastgood.model.repository import Probe, RepositoryEvidence, RepositoryState
from lastgood.model.source import State
from tests.builders import a_run_start, put_running
from tests.fleet.scene import HOURLY, MADE, Scene, day

DUE = day(2, 2)
DEADLINE = day(2, 8)
NEXT_DUE = day(3, 2)
NEXT_DEADLINE = day(3, 8)
TICK = timedelta(microseconds=1)
Setup = Callable[[Scene], Any]


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is learned, then the state at ``now`` and until when it holds. The source is made at noon of day 1."""

    name: str
    given: tuple[Setup, ...] = ()
    changes: tuple[tuple[str, Any], ...] = ()
    now: datetime
    state: State
    until: datetime | None


def good_at(due_at: datetime) -> Setup:
    return lambda scene: scene.on_schedule(due_at)


def ended(ended_at: datetime, outcome: Outcome, **changes: Any) -> Setup:
    return lambda scene: scene.run(ended_at, outcome, **changes)


def silent_since(moment: datetime | None) -> Setup:
    return lambda scene: scene.fall_silent(moment)


def observing(scene: Scene) -> None:
    scene.observe()


def damaged(scene: Scene) -> None:
    scene.fleet.evidence[scene.source_id] = replace(scene.evidence, finding="damaged")


def paused(until: datetime, at: datetime = MADE) -> Setup:
    return lambda scene: scene.change(at, paused_until=until, paused_by="alice")


def archived(at: datetime) -> Setup:
    return lambda scene: scene.change(at, archived_by="alice")


GOOD_ONCE = (observing, good_at(DUE))
FAILED_TODAY = ended(day(2, 3), Outcome.FAILED)
PARTIAL_TODAY = ended(day(2, 3), Outcome.PARTIAL)
BARE = (("schedule", None),)
TARGET = (("schedule", None), ("target", timedelta(hours=26)))
BOTH = (("target", timedelta(hours=10)),)

CASES = [
    # archived and paused: somebody said so
    Case(name="archived", given=(archived(MADE),), now=day(9), state=State.ARCHIVED, until=None),
    Case(
        name="archived before paused",
        given=(paused(day(9)), archived(MADE)),
        now=day(2),
        state=State.ARCHIVED,
        until=None,
    ),
    Case(
        name="archived before failed",
        given=(observing, FAILED_TODAY, archived(day(2, 4))),
        now=day(2, 4),
        state=State.ARCHIVED,
        until=None,
    ),
    Case(name="paused", given=(paused(day(5, 1)),), now=day(2), state=State.PAUSED, until=day(5, 1)),
    Case(
        name="paused to the last instant",
        given=(paused(day(5, 1)),),
        now=day(5, 1) - TICK,
        state=State.PAUSED,
        until=day(5, 1),
    ),
    Case(
        name="at its end a pause is over", given=(paused(day(5, 1)),), now=day(5, 1), state=State.NEW, until=day(5, 8)
    ),
    Case(
        name="paused before failed",
        given=(observing, FAILED_TODAY, paused(day(5), at=day(2, 4))),
        now=day(2, 4),
        state=State.PAUSED,
        until=day(5),
    ),
    Case(
        name="paused before missed",
        given=(observing, paused(day(5), at=day(2, 9))),
        now=day(2, 9),
        state=State.PAUSED,
        until=day(5),
    ),
    # failed
    Case(name="failed", given=(*GOOD_ONCE, FAILED_TODAY), now=day(2, 4), state=State.FAILED, until=None),
    Case(name="lost", given=(ended(day(2, 3), Outcome.LOST),), now=day(2, 4), state=State.FAILED, until=None),
    Case(name="damaged", given=(*GOOD_ONCE, damaged), now=day(2, 4), state=State.FAILED, until=None),
    Case(
        name="failed before new",
        given=(ended(day(1, 13), Outcome.FAILED),),
        now=day(1, 14),
        state=State.FAILED,
        until=None,
    ),
    Case(name="failed before never", given=(observing, FAILED_TODAY), now=DEADLINE, state=State.FAILED, until=None),
    Case(
        name="failed before missed",
        given=(*GOOD_ONCE, FAILED_TODAY),
        now=NEXT_DEADLINE,
        state=State.FAILED,
        until=None,
    ),
    Case(name="failed before unknown", given=(FAILED_TODAY,), now=day(20), state=State.FAILED, until=None),
    Case(
        name="failed before unknown for want of a schedule",
        given=(FAILED_TODAY,),
        changes=BARE,
        now=day(2, 4),
        state=State.FAILED,
        until=None,
    ),
    Case(
        name="a partial after a failure ends it",
        given=(observing, good_at(DUE), FAILED_TODAY, ended(day(2, 4), Outcome.PARTIAL)),
        now=day(2, 5),
        state=State.PARTIAL,
        until=NEXT_DEADLINE,
    ),
    Case(
        name="a cancelled run after a failure says nothing",
        given=(*GOOD_ONCE, FAILED_TODAY, ended(day(2, 4), Outcome.CANCELLED)),
        now=day(2, 5),
        state=State.FAILED,
        until=None,
    ),
    Case(
        name="a dry run after a failure says nothing",
        given=(*GOOD_ONCE, FAILED_TODAY, ended(day(2, 4), Outcome.SUCCESS, dry_run=True)),
        now=day(2, 5),
        state=State.FAILED,
        until=None,
    ),
    Case(
        name="a dry run that failed says nothing",
        given=(*GOOD_ONCE, ended(day(2, 4), Outcome.FAILED, dry_run=True)),
        now=day(2, 5),
        state=State.GOOD,
        until=NEXT_DUE,
    ),
    Case(
        name="a cancelled run says nothing",
        given=(*GOOD_ONCE, ended(day(2, 4), Outcome.CANCELLED)),
        now=day(2, 5),
        state=State.GOOD,
        until=NEXT_DUE,
    ),
    # new, never
    Case(name="new", now=MADE, state=State.NEW, until=DEADLINE),
    Case(name="new while due", given=(observing,), now=DUE, state=State.NEW, until=DEADLINE),
    Case(name="new to the last instant", given=(observing,), now=DEADLINE - TICK, state=State.NEW, until=DEADLINE),
    Case(
        name="new before partial",
        given=(observing, PARTIAL_TODAY),
        now=day(2, 4),
        state=State.NEW,
        until=DEADLINE,
    ),
    Case(
        name="a cancelled first run leaves it new",
        given=(observing, ended(day(1, 13), Outcome.CANCELLED)),
        now=day(1, 14),
        state=State.NEW,
        until=DEADLINE,
    ),
    Case(
        name="success without a snapshot is no evidence",
        given=(observing, ended(day(2, 3), Outcome.SUCCESS, snapshot_id=None)),
        now=day(2, 4),
        state=State.NEW,
        until=DEADLINE,
    ),
    Case(
        name="success with an empty name for its snapshot is no evidence",
        given=(observing, ended(day(2, 3), Outcome.SUCCESS, snapshot_id="")),
        now=day(2, 4),
        state=State.NEW,
        until=DEADLINE,
    ),
    Case(
        name="unchanged since nothing is no evidence",
        given=(observing, ended(day(2, 3), Outcome.UNCHANGED)),
        now=DEADLINE,
        state=State.NEVER,
        until=None,
    ),
    Case(name="never", given=(observing,), now=DEADLINE, state=State.NEVER, until=None),
    Case(
        name="never, looked at the deadline",
        given=(silent_since(DEADLINE),),
        now=day(2, 9),
        state=State.NEVER,
        until=None,
    ),
    Case(name="never before partial", given=(observing, PARTIAL_TODAY), now=DEADLINE, state=State.NEVER, until=None),
    Case(
        name="not looked since the first deadline",
        given=(silent_since(DEADLINE - TICK),),
        now=DEADLINE,
        state=State.UNKNOWN,
        until=None,
    ),
    Case(name="never heard of", given=(silent_since(None),), now=DEADLINE, state=State.UNKNOWN, until=None),
    # missed, unknown
    Case(name="missed", given=GOOD_ONCE, now=NEXT_DEADLINE, state=State.MISSED, until=None),
    Case(
        name="missed, looked at the deadline",
        given=(good_at(DUE), silent_since(NEXT_DEADLINE)),
        now=day(9),
        state=State.MISSED,
        until=None,
    ),
    Case(
        name="missed before partial",
        given=(*GOOD_ONCE, ended(day(3, 3), Outcome.PARTIAL)),
        now=NEXT_DEADLINE,
        state=State.MISSED,
        until=None,
    ),
    Case(
        name="unknown: not looked since the deadline",
        given=(good_at(DUE), silent_since(NEXT_DEADLINE - TICK)),
        now=NEXT_DEADLINE,
        state=State.UNKNOWN,
        until=None,
    ),
    Case(
        name="unknown before partial",
        given=(good_at(DUE), PARTIAL_TODAY),
        now=NEXT_DEADLINE,
        state=State.UNKNOWN,
        until=None,
    ),
    Case(
        name="unknown: neither schedule nor target",
        given=(observing,),
        changes=BARE,
        now=MADE,
        state=State.UNKNOWN,
        until=None,
    ),
    Case(
        name="unknown for want of a schedule before partial",
        given=(observing, PARTIAL_TODAY),
        changes=BARE,
        now=day(2, 4),
        state=State.UNKNOWN,
        until=None,
    ),
    Case(
        name="unknown for want of a schedule although its run was good",
        given=(observing, ended(day(2, 3), Outcome.SUCCESS)),
        changes=BARE,
        now=day(2, 4),
        state=State.UNKNOWN,
        until=None,
    ),
    Case(
        name="unknown: what we know is older than three intervals",
        given=(good_at(DUE), paused(day(9), at=day(2, 3))),
        now=day(9, 0),
        state=State.UNKNOWN,
        until=None,
    ),
    # partial, late, good
    Case(name="partial", given=(*GOOD_ONCE, PARTIAL_TODAY), now=day(2, 4), state=State.PARTIAL, until=NEXT_DEADLINE),
    Case(
        name="partial before late",
        given=(*GOOD_ONCE, ended(day(3, 3), Outcome.PARTIAL)),
        now=day(3, 4),
        state=State.PARTIAL,
        until=NEXT_DEADLINE,
    ),
    Case(
        name="partial is good where it is accepted",
        given=(*GOOD_ONCE, ended(day(3, 3), Outcome.PARTIAL)),
        changes=(("accept_partial", True),),
        now=day(3, 4),
        state=State.GOOD,
        until=day(4, 2),
    ),
    Case(
        name="partial without a snapshot is accepted nowhere",
        given=(*GOOD_ONCE, ended(day(2, 3), Outcome.PARTIAL, snapshot_id=None)),
        changes=(("accept_partial", True),),
        now=day(2, 4),
        state=State.PARTIAL,
        until=NEXT_DEADLINE,
    ),
    Case(name="good to the last instant", given=GOOD_ONCE, now=NEXT_DUE - TICK, state=State.GOOD, until=NEXT_DUE),
    Case(name="late at the due moment", given=GOOD_ONCE, now=NEXT_DUE, state=State.LATE, until=NEXT_DEADLINE),
    Case(
        name="late to the last instant",
        given=GOOD_ONCE,
        now=NEXT_DEADLINE - TICK,
        state=State.LATE,
        until=NEXT_DEADLINE,
    ),
    Case(
        name="unchanged with the snapshot it rests on is good",
        given=(*GOOD_ONCE, ended(day(3, 2.5), Outcome.UNCHANGED)),
        now=day(3, 3),
        state=State.GOOD,
        until=day(4, 2),
    ),
    Case(
        name="without grace late never shows",
        given=GOOD_ONCE,
        changes=(("grace", timedelta(0)),),
        now=NEXT_DUE,
        state=State.MISSED,
        until=None,
    ),
    # targets
    Case(name="a target alone: new", changes=TARGET, now=MADE, state=State.NEW, until=day(2, 20)),
    Case(
        name="a target alone: good",
        given=(observing, ended(day(2), Outcome.SUCCESS)),
        changes=TARGET,
        now=day(2, 1),
        state=State.GOOD,
        until=day(3, 2),
    ),
    Case(
        name="a target alone: late",
        given=(observing, ended(day(2), Outcome.SUCCESS)),
        changes=TARGET,
        now=day(3, 2),
        state=State.LATE,
        until=day(3, 8),
    ),
    Case(
        name="a target alone: missed",
        given=(observing, ended(day(2), Outcome.SUCCESS)),
        changes=TARGET,
        now=day(3, 8),
        state=State.MISSED,
        until=None,
    ),
    Case(
        name="of schedule and target the earlier deadline speaks: target",
        given=GOOD_ONCE,
        changes=BOTH,
        now=day(2, 12) + timedelta(minutes=10),
        state=State.LATE,
        until=day(2, 14) + timedelta(minutes=40),
    ),
    Case(
        name="of schedule and target the earlier deadline speaks: schedule",
        given=GOOD_ONCE,
        changes=(("target", timedelta(days=3)),),
        now=NEXT_DUE,
        state=State.LATE,
        until=NEXT_DEADLINE,
    ),
    Case(
        name="the default grace is at least 15 minutes",
        given=GOOD_ONCE,
        changes=(("schedule", HOURLY),),
        now=day(2, 3),
        state=State.LATE,
        until=day(2, 3.25),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_table_of_states(case: Case) -> None:
    scene = Scene(**dict(case.changes))
    for setup in case.given:
        setup(scene)
    assert scene.judged(case.now) == (case.state, case.until)


def test_every_state_is_in_the_table() -> None:
    assert {case.state for case in CASES} == set(State)


def test_what_we_know_is_too_old_at_three_intervals_to_the_instant() -> None:
    scene = Scene(target=timedelta(hours=4), schedule=None)
    scene.run(day(2, 0))
    scene.change(day(2, 1), paused_until=day(2, 11), paused_by="alice")
    # After the pause four hours begin anew; but the silence since midnight reaches three times four at noon.
    assert scene.judged(day(2, 11)) == (State.GOOD, day(2, 12))
    assert scene.judged(day(2, 12) - TICK) == (State.GOOD, day(2, 12))
    assert scene.judged(day(2, 12)) == (State.UNKNOWN, None)
    scene.observe()
    assert scene.judged(day(2, 12)) == (State.GOOD, day(2, 15))


def test_what_is_too_old_is_unknown_before_it_is_partial() -> None:
    scene = Scene(target=timedelta(hours=4), schedule=None)
    scene.run(day(2, 0) - timedelta(hours=1))
    scene.run(day(2, 0), Outcome.PARTIAL)
    scene.change(day(2, 1), paused_until=day(2, 11), paused_by="alice")
    assert scene.judged(day(2, 11)) == (State.PARTIAL, day(2, 12))
    assert scene.state(day(2, 12)) is State.UNKNOWN


def test_a_missed_backup_is_unknown_after_a_restart_until_its_agent_is_back() -> None:
    scene = Scene()
    scene.observe()
    scene.on_schedule(DUE)
    assert scene.state(NEXT_DEADLINE) is State.MISSED
    scene.fleet.judging.presence.clear()
    assert scene.judged(NEXT_DEADLINE) == (State.UNKNOWN, None)
    scene.observe()
    assert scene.state(NEXT_DEADLINE) is State.MISSED


def test_what_was_observed_before_a_restart_still_counts_after_it() -> None:
    scene = Scene()
    scene.on_schedule(DUE)
    judging, host_id = scene.fleet.judging, scene.host.id
    remembered(judging, host_id, seen_at=day(3, 9), observed_at=day(3, 9), stopped_at=day(3, 9), at=day(3, 10))
    assert scene.state(day(3, 10)) is State.MISSED


def test_an_agent_that_still_owes_results_is_not_observing() -> None:
    scene = Scene()
    scene.on_schedule(DUE)
    scene.fleet.judging.presence[scene.host.id] = Presence(connected=True, synced=False, seen_at=NEXT_DEADLINE)
    assert scene.state(NEXT_DEADLINE) is State.UNKNOWN


def test_we_know_of_the_last_moment_that_anybody_told() -> None:
    scene = Scene()
    assert observed_at(scene.fleet, scene.source, day(5)) is None
    scene.on_schedule(DUE)
    assert observed_at(scene.fleet, scene.source, day(5)) == DUE + timedelta(minutes=10)
    scene.fall_silent(day(2, 1))
    assert observed_at(scene.fleet, scene.source, day(5)) == DUE + timedelta(minutes=10)
    scene.fall_silent(day(4, 1))
    assert observed_at(scene.fleet, scene.source, day(5)) == day(4, 1)
    scene.observe()
    assert observed_at(scene.fleet, scene.source, day(5)) == day(5)


def test_a_host_is_offline_90_seconds_after_it_was_last_heard() -> None:
    scene, heard = Scene(), day(2)
    limit = heard + timedelta(seconds=90)
    assert host_online(scene.fleet, scene.host.id, heard) == (False, None)
    scene.fall_silent(heard)
    assert host_online(scene.fleet, scene.host.id, limit - TICK) == (True, limit)
    assert host_online(scene.fleet, scene.host.id, limit) == (False, None)
    scene.observe()
    assert host_online(scene.fleet, scene.host.id, day(9)) == (True, None)


@pytest.mark.parametrize(
    ("probe", "state"),
    [
        (Probe.READY, RepositoryState.UP),
        (Probe.MISSING, RepositoryState.DOWN),
        (Probe.WRONG_PASSWORD, RepositoryState.DOWN),
        (Probe.REFUSED, RepositoryState.DOWN),
        (Probe.UNREACHABLE, RepositoryState.DOWN),
    ],
)
def test_a_repository_is_what_its_newest_look_said_for_three_survey_intervals(
    probe: Probe, state: RepositoryState
) -> None:
    scene, limit = Scene(), day(2) + timedelta(minutes=45)
    scene.fleet.repository_evidence[scene.repository.id] = RepositoryEvidence(probe=probe, observed_at=day(2))
    assert repository_state(scene.fleet, scene.repository.id, limit - TICK) == (state, limit)
    assert repository_state(scene.fleet, scene.repository.id, limit) == (RepositoryState.UNKNOWN, None)


def test_a_repository_nobody_looked_into_is_unknown() -> None:
    scene = Scene()
    assert repository_state(scene.fleet, scene.repository.id, day(2)) == (RepositoryState.UNKNOWN, None)


def test_the_verdict_says_the_state_its_reason_and_what_it_rests_on_and_runs_beside_it() -> None:
    scene = Scene()
    scene.on_schedule(DUE)
    scene.run(day(2, 3), Outcome.FAILED, reason="the disk is full.")
    put_running(scene.fleet, a_run_start(scene.source, day(2, 4)))
    for known in (scene.fleet, scene.fleet.view()):
        told = verdict(known, scene.source_id, day(2, 5))
        assert told.state is State.FAILED
        assert told.reason == "The last backup failed: the disk is full."
        assert told.running
        assert told.last_good is not None
        assert told.last_good.ended_at == DUE + timedelta(minutes=10)
        assert (told.due_at, told.deadline_at) == (NEXT_DUE, NEXT_DEADLINE)
        assert told.observed_at == day(2, 3)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_verdict_has_one_sentence_of_reason(case: Case) -> None:
    scene = Scene(**dict(case.changes))
    for setup in case.given:
        setup(scene)
    told = verdict(scene.fleet, scene.source_id, case.now)
    assert told.state is case.state
    assert told.reason.endswith(".")
    assert "None" not in told.reason
    assert not told.running
