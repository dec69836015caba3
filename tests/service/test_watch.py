"""The watch: judging in time, the ledger, and alerts that open, hold and resolve."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from lastgood.alerts import rules
from lastgood.fleet.judge import source_state
from lastgood.model.alert import Severity
from lastgood.model.collected import CollectedRepository, CollectedSource
from lastgood.model.fact import MomentsPassed, RepositoryCollected, SourceConfigured, SourcesCollected
from lastgood.model.job import Outcome, Schedule
from lastgood.model.source import State
from lastgood.service.findings import MOMENTS_A_FACT
from tests.builders import a_run, an_id
from tests.collect.tiny import STORE, a_group
from tests.service.turned import Heart

NOON = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)
NIGHTLY = Schedule(cron="0 2 * * *")
DUE = datetime(2026, 3, 15, 2, 0, tzinfo=UTC)
DEADLINE = DUE + timedelta(hours=6)


@pytest.fixture
async def heart() -> Heart:
    heart = Heart(NOON)
    await heart.watch.start()
    return heart


async def test_a_missed_backup_is_alerted_at_its_deadline_and_not_a_second_before(heart: Heart) -> None:
    source = await heart.protect(schedule=NIGHTLY)
    heart.connect(source.host_id)
    await heart.finish(a_run(source, ended_at=NOON, due_at=None))
    await heart.turn(DEADLINE - timedelta(seconds=1))
    assert heart.fleet.states[source.id] is State.LATE
    assert heart.open_rules() == []
    await heart.turn(DEADLINE)
    assert heart.fleet.states[source.id] is State.MISSED
    assert heart.open_rules() == ["backup_missed"]


async def test_an_alert_opens_once_however_many_rounds_pass(heart: Heart) -> None:
    source = await heart.protect(schedule=NIGHTLY)
    heart.connect(source.host_id)
    for hour in range(48):
        await heart.turn(NOON + timedelta(hours=hour))
    assert heart.opened() == ["backup_never"]


async def test_a_good_run_resolves_the_alert_at_once(heart: Heart) -> None:
    source = await heart.protect(schedule=NIGHTLY)
    heart.connect(source.host_id)
    await heart.turn(DEADLINE)
    assert heart.open_rules() == ["backup_never"]
    await heart.finish(a_run(source, ended_at=DEADLINE, due_at=DUE))
    await heart.turn(timedelta(0))
    assert heart.open_rules() == []
    assert heart.fleet.open_alerts.total() == 0


async def test_a_silent_agent_makes_the_backup_unknown_and_never_missed(heart: Heart) -> None:
    source = await heart.protect(schedule=NIGHTLY)
    heart.connect(source.host_id)
    await heart.finish(a_run(source, ended_at=NOON, due_at=None))
    heart.disconnect(source.host_id)
    await heart.turn(NOON + timedelta(seconds=90))
    assert heart.open_rules() == ["host_offline"]
    await heart.turn(DEADLINE)
    assert heart.fleet.states[source.id] is State.UNKNOWN
    assert heart.open_rules() == ["backup_unknown", "host_offline"]


async def test_unknown_becomes_missed_when_the_agent_is_back_and_in_step(heart: Heart) -> None:
    source = await heart.protect(schedule=NIGHTLY)
    heart.connect(source.host_id)
    await heart.finish(a_run(source, ended_at=NOON, due_at=None))
    heart.disconnect(source.host_id)
    await heart.turn(DEADLINE)
    heart.connect(source.host_id)
    await heart.turn(timedelta(seconds=1))
    assert heart.open_rules() == ["backup_missed"]


async def test_after_a_start_of_ours_unknown_waits_fifteen_minutes(heart: Heart) -> None:
    source = await heart.protect(schedule=NIGHTLY)
    heart.connect(source.host_id)
    await heart.finish(a_run(source, ended_at=NOON, due_at=None))
    heart.now = DEADLINE + timedelta(hours=1)
    heart.restart()
    await heart.watch.start()
    await heart.turn(timedelta(minutes=14, seconds=59))
    assert heart.fleet.states[source.id] is State.UNKNOWN
    assert "backup_unknown" not in heart.open_rules()
    await heart.turn(timedelta(seconds=1))
    assert "backup_unknown" in heart.open_rules()


async def test_an_open_alert_neither_resolves_nor_reopens_because_we_restarted(heart: Heart) -> None:
    source = await heart.protect(schedule=NIGHTLY)
    heart.connect(source.host_id)
    await heart.finish(a_run(source, ended_at=NOON, due_at=None))
    await heart.turn(DEADLINE)
    heart.heartbeat(source.host_id)
    heart.restart()
    await heart.watch.start()
    await heart.turn(timedelta(seconds=5))
    heart.connect(source.host_id)
    await heart.turn(timedelta(seconds=5))
    assert heart.opened() == ["backup_missed"]
    assert heart.resolved() == []


async def test_a_host_that_was_never_heard_is_alerted_a_quarter_of_an_hour_after_its_enrolment(heart: Heart) -> None:
    await heart.protect(schedule=NIGHTLY)
    await heart.turn(timedelta(minutes=14, seconds=59))
    assert heart.open_rules() == []
    await heart.turn(timedelta(seconds=1))
    assert heart.open_rules() == ["host_offline"]


@pytest.mark.parametrize(
    ("outcome", "rule"),
    [(Outcome.FAILED, "backup_failed"), (Outcome.LOST, "backup_failed"), (Outcome.PARTIAL, "backup_partial")],
)
async def test_a_run_that_is_not_good_is_alerted_when_it_is_learned(
    heart: Heart, outcome: Outcome, rule: str
) -> None:
    source = await heart.protect(schedule=NIGHTLY)
    heart.connect(source.host_id)
    await heart.finish(a_run(source, ended_at=NOON, due_at=None))
    await heart.turn(timedelta(hours=1))
    await heart.finish(a_run(source, ended_at=heart.now, outcome=outcome, due_at=None))
    await heart.turn(timedelta(0))
    assert heart.open_rules() == [rule]


async def test_a_cancelled_run_changes_nothing(heart: Heart) -> None:
    source = await heart.protect(schedule=NIGHTLY)
    heart.connect(source.host_id)
    await heart.finish(a_run(source, ended_at=NOON, outcome=Outcome.FAILED, due_at=None))
    await heart.turn(timedelta(hours=1))
    await heart.finish(a_run(source, ended_at=heart.now, outcome=Outcome.CANCELLED, due_at=None))
    await heart.turn(timedelta(0))
    assert heart.fleet.states[source.id] is State.FAILED
    assert heart.open_rules() == ["backup_failed"]


async def test_what_could_not_be_written_is_opened_once_the_disk_has_room_again(heart: Heart) -> None:
    source = await heart.protect(schedule=NIGHTLY)
    heart.connect(source.host_id)
    heart.broken = True
    await heart.turn(DEADLINE)
    assert heart.opened() == []
    heart.broken = False
    await heart.turn(timedelta(seconds=10))
    assert heart.opened() == ["backup_never"]
    assert heart.fleet.evidence_of(source.id).expected_runs == 1


async def test_the_ledger_closes_a_due_moment_at_its_deadline(heart: Heart) -> None:
    source = await heart.protect(schedule=NIGHTLY)
    heart.connect(source.host_id)
    await heart.finish(a_run(source, ended_at=DUE + timedelta(minutes=5), due_at=DUE))
    await heart.turn(DEADLINE - timedelta(seconds=1))
    assert heart.fleet.evidence_of(source.id).expected_runs == 0
    await heart.turn(DEADLINE)
    evidence = heart.fleet.evidence_of(source.id)
    assert (evidence.expected_runs, evidence.good_runs) == (1, 1)


async def test_after_days_of_silence_the_ledger_closes_every_moment_in_between(heart: Heart) -> None:
    source = await heart.protect(schedule=NIGHTLY)
    await heart.turn(DEADLINE + timedelta(days=4))
    for _ in range(6):
        await heart.turn(timedelta(seconds=1))
    evidence = heart.fleet.evidence_of(source.id)
    assert (evidence.expected_runs, evidence.good_runs) == (5, 0)
    closed = [moment for fact in heart.told if isinstance(fact, MomentsPassed) for moment in fact.moments]
    assert [moment.looked for moment in closed] == [False] * 5


async def test_while_we_are_blind_the_ledger_waits_for_the_agents_word(heart: Heart) -> None:
    source = await heart.protect(schedule=NIGHTLY)
    heart.now = DEADLINE + timedelta(minutes=1)
    heart.restart()
    await heart.watch.start()
    await heart.turn(timedelta(seconds=1))
    assert heart.fleet.evidence_of(source.id).expected_runs == 0
    await heart.finish(a_run(source, ended_at=DUE + timedelta(minutes=5), due_at=DUE))
    heart.connect(source.host_id)
    await heart.turn(timedelta(minutes=15))
    evidence = heart.fleet.evidence_of(source.id)
    assert (evidence.expected_runs, evidence.good_runs) == (1, 1)


async def test_what_is_told_equals_what_the_judge_says_at_every_round_of_a_week(heart: Heart) -> None:
    source = await heart.protect(schedule=NIGHTLY)
    differences = []
    for minute in range(0, 7 * 24 * 60, 7):
        at = NOON + timedelta(minutes=minute)
        if minute % 2870 == 0:
            heart.connect(source.host_id)
        if minute % 4130 == 0:
            heart.disconnect(source.host_id)
        if minute % 1470 == 0:
            await heart.finish(a_run(source, ended_at=at, due_at=None))
        await heart.turn(at)
        if heart.fleet.states[source.id] is not source_state(heart.fleet, source, at)[0]:
            differences.append(at)
    assert differences == []
    await heart.watch.audit()
    assert heart.watch.audit_differences == 0


async def test_a_clock_that_was_put_back_takes_back_what_the_wrong_hours_had_told(heart: Heart) -> None:
    """A machine that woke up with a wrong date once stayed missed until its next backup or the audit."""
    source = await heart.protect(schedule=NIGHTLY)
    heart.connect(source.host_id)
    await heart.finish(a_run(source, ended_at=NOON, due_at=None))
    await heart.turn(timedelta(days=400))
    assert heart.fleet.states[source.id] is State.MISSED
    assert heart.open_rules() == ["backup_missed"]
    await heart.turn(NOON + timedelta(minutes=5))
    assert heart.fleet.states[source.id] is State.GOOD
    assert heart.open_rules() == []
    assert heart.fleet.judging.evaluated_at == NOON + timedelta(minutes=5)


async def test_what_is_told_before_the_round_after_a_clock_was_put_back_keeps_the_moment_of_the_others(
    heart: Heart,
) -> None:
    """A fact in that second must not pass the others' later states off as those of now."""
    source = await heart.protect(schedule=NIGHTLY)
    heart.connect(source.host_id)
    await heart.turn(timedelta(days=400))
    heart.now = NOON + timedelta(minutes=5)
    await heart.finish(a_run(source, ended_at=NOON, due_at=None))
    assert heart.fleet.judging.evaluated_at == NOON + timedelta(days=400)
    await heart.turn(timedelta(0))
    assert heart.fleet.judging.evaluated_at == heart.now


async def test_the_audit_finds_and_mends_a_state_that_was_told_wrong(heart: Heart) -> None:
    source = await heart.protect(schedule=NIGHTLY)
    heart.fleet.judging.states[source.id] = State.GOOD
    await heart.watch.audit()
    assert heart.watch.audit_differences == 1
    assert heart.fleet.states[source.id] is State.NEW


async def test_a_rule_that_breaks_hid_all_others_of_its_entity() -> None:
    def breaks(_told: rules.Told, _source_id: str, _now: datetime) -> str | None:
        raise ZeroDivisionError

    rule = rules.Rule(id="broken", entity_kind="source", severity=Severity.INFO, meaning="Always breaks.", say=breaks)
    heart = Heart(NOON, ruled_by=(rule, *rules.RULES))
    await heart.watch.start()
    source = await heart.protect(schedule=NIGHTLY)
    heart.connect(source.host_id)
    await heart.turn(DEADLINE)
    assert heart.open_rules() == ["backup_never"]
    await heart.finish(a_run(source, ended_at=DEADLINE, due_at=DUE))
    await heart.turn(timedelta(0))
    assert heart.open_rules() == []
    assert heart.watch.rule_failures > 0


async def many_sources(heart: Heart, count: int) -> list[str]:
    """So many nightly sources of one host that is in step, each with a good backup at noon."""
    first = await heart.protect(schedule=NIGHTLY)
    others = [replace(first, id=an_id("source", number), name=f"data-{number}") for number in range(1, count)]
    await heart.take([SourceConfigured(at=heart.now, origin="test", source=source) for source in others])
    heart.connect(first.host_id)
    for source in (first, *others):
        await heart.finish(a_run(source, ended_at=NOON, due_at=None))
    return [first.id, *(source.id for source in others)]


async def test_however_many_miss_one_deadline_each_is_closed_and_alerted_once(heart: Heart) -> None:
    ids = await many_sources(heart, 3 * MOMENTS_A_FACT + 1)
    await heart.turn(DEADLINE)
    assert {heart.fleet.states[source_id] for source_id in ids} == {State.MISSED}
    assert [heart.fleet.evidence_of(source_id).expected_runs for source_id in ids] == [1] * len(ids)
    assert heart.opened() == ["backup_missed"] * len(ids)
    closings = [fact.moments for fact in heart.told if isinstance(fact, MomentsPassed)]
    assert max(map(len, closings)) == MOMENTS_A_FACT, "a fact is learned in one piece"
    await heart.turn(timedelta(seconds=1))
    assert len(heart.opened()) == len(ids)


async def test_what_could_not_be_written_of_many_is_all_found_again(heart: Heart) -> None:
    ids = await many_sources(heart, 2 * MOMENTS_A_FACT)
    heart.broken = True
    await heart.turn(DEADLINE)
    await heart.turn(timedelta(seconds=1))
    heart.broken = False
    await heart.turn(timedelta(seconds=10))
    assert sorted(key.entity_id for key in heart.fleet.alerts) == sorted(ids)
    assert {heart.fleet.evidence_of(source_id).expected_runs for source_id in ids} == {1}


async def test_a_look_that_spoke_for_all_sources_settles_those_that_waited_for_it() -> None:
    heart = Heart(NOON)
    report = CollectedRepository(id=STORE, name="main", url="pbs://x/main", tool="pbs", observed_at=NOON)

    async def look(*sources: CollectedSource) -> None:
        about = {"at": heart.now, "origin": "test"}
        told = replace(report, observed_at=heart.now)
        await heart.take(
            [
                RepositoryCollected(**about, collector="pbs", report=told, watch_seconds=300),  # type: ignore[arg-type]
                SourcesCollected(  # type: ignore[arg-type]
                    **about, repository_id=STORE, listed_at=heart.now, sources=sources, whole=True
                ),
            ]
        )
        await heart.turn(heart.now)

    states = heart.fleet.states
    await look(a_group("vm/1", NOON), a_group("vm/2", NOON), a_group("vm/3", NOON, target=None))
    assert (states["vm/1"], states["vm/3"]) == (State.GOOD, State.UNKNOWN)
    await heart.turn(timedelta(hours=50))
    assert states["vm/1"] is State.UNKNOWN
    await look(a_group("vm/2", heart.now))
    assert (states["vm/1"], states["vm/2"], states["vm/3"]) == (State.MISSED, State.GOOD, State.UNKNOWN)
    await heart.watch.audit()
    assert heart.watch.audit_differences == 0
