"""The fold of facts: deterministic, all or nothing, and every index and count as a recount would have it."""

from __future__ import annotations

import copy
import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lastgood.fleet.durations import BOUNDS
from lastgood.fleet.fleet import Fleet
from lastgood.fleet.learn import _LEARN, Unlearnable, learn
from lastgood.fleet.schedule import next_after
from lastgood.model import fact
from lastgood.model.alert import AlertKey, Severity
from lastgood.model.job import Outcome, Run, RunKind, Schedule, Status
from lastgood.model.repository import Probe
from lastgood.model.source import NO_EVIDENCE
from tests.builders import a_host, a_repository, a_run, a_run_start, a_source, an_alert, an_id
from tests.fleet.scene import HOURLY, MADE, Scene, day
from tests.fleet.stories import Story

BEGIN = datetime(2026, 3, 26, 12, tzinfo=UTC)
VALUES = ("hosts", "repositories", "sources", "evidence", "repository_evidence", "last_backups", "running", "alerts")
INDEXES = ("sources_of_host", "sources_of_repository", "running_of_source", "alerts_of_entity", "host_ids_by_name")
COUNTS = ("open_alerts", "open_alerts_of_host")
LEARNED = (*VALUES, *INDEXES, *COUNTS, "counters", "durations")


def _snapshot(fleet: Fleet) -> dict[str, Any]:
    """Everything learned, apart from the fleet; inner dictionaries and counts are copied too."""
    return {name: copy.deepcopy(getattr(fleet, name)) for name in (*INDEXES, *COUNTS, "counters", "durations")} | {
        name: dict(getattr(fleet, name)) for name in VALUES
    }


def _tell_story(seed: int, turns: int = 250) -> tuple[Story, list[fact.Fact]]:
    story = Story(seed, BEGIN)
    story.begin()
    told = []
    for _ in range(turns):
        story.later(90)
        told.append(story.fact())
        story.tell(told[-1])
    return story, told


def test_every_fact_can_be_learned() -> None:
    assert set(_LEARN) == set(fact.FACTS)


@pytest.mark.parametrize("seed", range(12))
def test_the_same_facts_in_the_same_order_give_the_same_fleet(seed: int) -> None:
    story, told = _tell_story(seed)
    next_after.cache_clear()
    twin = Story(seed, BEGIN)
    twin.begin()
    for one in told:
        twin.tell(one)
    assert _snapshot(twin.fleet) == _snapshot(story.fleet)
    assert list(twin.fleet.sources) == list(story.fleet.sources)


@pytest.mark.parametrize("seed", range(12))
def test_whatever_is_told_indexes_and_counts_are_those_of_a_recount(seed: int) -> None:
    story = Story(seed, BEGIN)
    story.begin()
    for turn in range(300):
        story.later(60)
        story.tell(story.fact())
        if turn % 10 == 0:
            assert_indexed(story.fleet)
    assert_indexed(story.fleet)
    assert 0 < story.refused < 250


def assert_indexed(fleet: Fleet) -> None:
    twin = Fleet()
    for name in VALUES:
        setattr(twin, name, dict(getattr(fleet, name)))
    twin.reindex()
    for name in (*INDEXES, *COUNTS):
        assert getattr(fleet, name) == getattr(twin, name), name
    assert all(fleet.open_alerts[severity] >= 0 for severity in Severity)
    assert all(count > 0 for count in fleet.open_alerts_of_host.values())
    assert set(fleet.evidence) == set(fleet.sources)


@pytest.mark.parametrize("seed", range(12))
def test_a_fact_that_cannot_be_learned_leaves_the_fleet_as_it_was(seed: int) -> None:
    story = Story(seed, BEGIN)
    story.begin()
    refused = 0
    for _ in range(150):
        story.later(60)
        told, before = story.fact(), _snapshot(story.fleet)
        if story.tell(told) is None:
            refused += 1
            assert _snapshot(story.fleet) == before
    assert refused > 5


@pytest.mark.parametrize("seed", range(12))
def test_what_a_fact_changes_is_what_it_says_it_touched(seed: int) -> None:
    story = Story(seed, BEGIN)
    story.begin()
    for _ in range(200):
        story.later(60)
        told = story.fact()
        before = {name: dict(getattr(story.fleet, name)) for name in VALUES}
        try:
            changes = learn(story.fleet, told)
        except Unlearnable:
            continue
        touched = {
            "hosts": changes.hosts,
            "repositories": changes.repositories,
            "sources": changes.sources,
            "evidence": changes.sources,
            "repository_evidence": changes.repositories,
            "last_backups": changes.hosts,
            "running": changes.runs,
            "alerts": changes.alerts,
        }
        for name, ids in touched.items():
            now = getattr(story.fleet, name)
            changed = {key for key in before[name].keys() | now.keys() if before[name].get(key) != now.get(key)}
            assert changed <= ids, (name, told)


@pytest.mark.parametrize("seed", range(6))
def test_the_totals_of_the_ledger_never_fall_and_good_never_exceeds_expected(seed: int) -> None:
    story = Story(seed, BEGIN)
    story.begin()
    for _ in range(300):
        story.later(120)
        before = dict(story.fleet.evidence)
        story.tell(story.fact())
        for source_id, evidence in story.fleet.evidence.items():
            held = before.get(source_id, NO_EVIDENCE)
            assert held.good_runs <= evidence.good_runs <= evidence.expected_runs
            assert held.expected_runs <= evidence.expected_runs


@pytest.mark.parametrize("seed", range(10))
def test_runs_in_any_order_give_the_same_last_good_and_the_same_expectation(seed: int) -> None:
    rng = random.Random(seed)
    reference = Scene(schedule=HOURLY)
    runs = []
    for number in range(40):
        due_at = day(2) + timedelta(hours=number)
        outcome = rng.choice([Outcome.SUCCESS, Outcome.FAILED, Outcome.PARTIAL, Outcome.CANCELLED])
        ended_at = due_at + timedelta(minutes=rng.randrange(1, 59))
        snapshot_id = reference.snapshot_id(ended_at) if outcome in {Outcome.SUCCESS, Outcome.PARTIAL} else None
        runs.append(
            a_run(reference.source, ended_at, outcome, started_at=due_at, due_at=due_at, snapshot_id=snapshot_id)
        )
    shuffled = rng.sample(runs, len(runs))
    scene = Scene(schedule=HOURLY)
    for one, order in ((reference, runs), (scene, shuffled)):
        for run in order:
            one.tell(fact.RunFinished(at=day(9), origin="test", run=run))
    held, other = reference.evidence, scene.evidence
    for name in ("last_attempt", "last_full", "last_partial", "due_at", "deadline_at", "observed_at", "good_runs"):
        assert getattr(held, name) == getattr(other, name), name
    assert set(held.paid) == set(other.paid)
    assert reference.fleet.last_backups == scene.fleet.last_backups


def test_a_removed_host_leaves_nothing_behind() -> None:
    scene = Scene()
    other, beside = a_host("db-1"), a_repository("beside")
    scene.tell(fact.HostEnrolled(at=MADE, origin="test", host=other))
    scene.tell(fact.RepositoryConfigured(at=MADE, origin="test", repository=beside))
    kept = a_source("etc", other, beside, created_at=MADE, revised_at=MADE)
    scene.tell(fact.SourceConfigured(at=MADE, origin="test", source=kept))
    before = _snapshot(scene.fleet)

    host = a_host("short-lived")
    scene.tell(fact.HostEnrolled(at=MADE, origin="test", host=host))
    for name, repository in (("a", scene.repository), ("b", beside)):
        source = a_source(name, host, repository)
        scene.tell(fact.SourceConfigured(at=MADE, origin="test", source=source))
        scene.tell(fact.RunFinished(at=MADE, origin="test", run=a_run(source, dry_run=False)))
        scene.tell(fact.RunStarted(at=MADE, origin="test", run=a_run_start(source)))
        scene.tell(fact.AlertOpened(at=MADE, origin="test", alert=an_alert(source=source)))
    loose = replace(a_run_start(), id="loose", host_id=host.id, source_id=None, kind=RunKind.PRUNE)
    scene.tell(fact.RunStarted(at=MADE, origin="test", run=loose))
    for kind, entity_id in (("host", host.id), ("repository", beside.id)):
        key = AlertKey("some_rule", kind, entity_id)
        alert = replace(an_alert(), key=key, host_id=host.id)
        scene.tell(fact.AlertOpened(at=MADE, origin="test", alert=alert))
    changes = scene.tell(fact.HostRemoved(at=MADE, origin="test", host_id=host.id))

    after = _snapshot(scene.fleet)
    for name in (*VALUES, *INDEXES):
        assert after[name] == before[name], name
    assert not +after["open_alerts"]
    assert not after["open_alerts_of_host"]
    assert len(changes.sources) == 2
    assert len(changes.runs) == 3
    assert len(changes.alerts) == 4
    with pytest.raises(Unlearnable):
        scene.tell(fact.RunFinished(at=MADE, origin="test", run=a_run(a_source("a", host, scene.repository))))


def _refused(scene: Scene, told: fact.Fact, words: str) -> None:
    before = _snapshot(scene.fleet)
    with pytest.raises(Unlearnable, match=words):
        scene.tell(told)
    assert _snapshot(scene.fleet) == before


def _with_foreign_host() -> tuple[Scene, str]:
    scene, foreign = Scene(), a_host("foreign")
    scene.tell(fact.HostEnrolled(at=MADE, origin="test", host=foreign))
    return scene, foreign.id


def test_a_host_speaks_for_its_own_sources_and_runs_only() -> None:
    scene, foreign_id = _with_foreign_host()
    run = replace(a_run(scene.source, day(2)), host_id=foreign_id)
    _refused(scene, fact.RunFinished(at=day(2), origin="test", run=run), "another host's")
    start = a_run_start(scene.source, day(2))
    told = fact.RunStarted(at=day(2), origin="test", run=replace(start, host_id=foreign_id))
    _refused(scene, told, "another host's")
    scene.tell(fact.RunStarted(at=day(2), origin="test", run=start))
    stolen = replace(run, id=start.id, source_id=None)
    _refused(scene, fact.RunFinished(at=day(2), origin="test", run=stolen), "another host's")
    changed = replace(start, host_id=foreign_id, source_id=None)
    _refused(scene, fact.RunStarted(at=day(2), origin="test", run=changed), "something else")


def test_a_source_cannot_move_to_another_host() -> None:
    scene, foreign_id = _with_foreign_host()
    moved = replace(scene.source, host_id=foreign_id)
    _refused(scene, fact.SourceConfigured(at=day(2), origin="test", source=moved), "cannot move")


def test_a_source_with_a_schedule_that_cannot_be_followed_is_refused() -> None:
    scene = Scene()
    for schedule in (
        Schedule(cron="0 0 */40 * MON#5"),
        Schedule(cron="61 * * * *"),
        Schedule(cron="0 2 * * *", zone="X"),
    ):
        bad = replace(scene.source, schedule=schedule)
        _refused(scene, fact.SourceConfigured(at=day(2), origin="test", source=bad), "schedule|zone")


@pytest.mark.parametrize("field", ["started_at", "ended_at", "due_at"])
@pytest.mark.parametrize("year", [1, 9999])
def test_a_moment_at_the_edge_of_the_calendar_does_not_break_the_fold(field: str, year: int) -> None:
    scene = Scene(schedule=Schedule(cron="0 2 * * *", zone="Europe/Berlin"))
    edge = datetime(1, 1, 1, tzinfo=UTC) if year == 1 else datetime(9999, 12, 31, 23, 59, tzinfo=UTC)
    run = replace(a_run(scene.source, day(2)), **{field: edge})
    before = _snapshot(scene.fleet)
    try:
        scene.tell(fact.RunFinished(at=day(2), origin="test", run=run))
    except Unlearnable:
        assert _snapshot(scene.fleet) == before
    else:
        assert scene.evidence.last_attempt is not None


def test_the_end_of_a_run_is_counted_once() -> None:
    scene = Scene()
    told = fact.RunFinished(at=day(2), origin="test", run=a_run(scene.source, day(2)))
    scene.tell(told)
    _refused(scene, told, "told before")
    assert sum(scene.fleet.durations.buckets[RunKind.BACKUP, Status.SUCCEEDED]) == 1


@pytest.mark.parametrize("seconds", [float("nan"), float("inf")])
def test_a_duration_that_is_no_number_does_not_poison_the_sums(seconds: float) -> None:
    scene = Scene()
    run = a_run(scene.source, day(2), duration_seconds=seconds)
    _refused(scene, fact.RunFinished(at=day(2), origin="test", run=run), "seconds")


def test_every_run_that_was_not_dry_is_observed_in_its_histogram_once() -> None:
    scene, expected = Scene(), Counter[tuple[RunKind, Status]]()
    for number, kind in enumerate(RunKind):
        for outcome in Outcome:
            for dry_run in (False, True):
                run = a_run(scene.source, day(2) + timedelta(minutes=number), outcome, kind=kind, dry_run=dry_run)
                run = replace(run, id=f"{kind}-{outcome}-{dry_run}", duration_seconds=float(BOUNDS[3]))
                scene.tell(fact.RunFinished(at=day(3), origin="test", run=run))
                expected[kind, outcome.status] += not dry_run
    durations = scene.fleet.durations
    assert {key: counts[3] for key, counts in durations.buckets.items()} == expected
    assert {key: sum(counts) for key, counts in durations.buckets.items()} == expected
    assert durations.sums == {key: count * 60.0 for key, count in expected.items()}


def test_running_is_told_from_start_to_end_and_a_lost_end_does_not_last() -> None:
    scene = Scene()
    first, second = a_run_start(scene.source, day(2)), a_run_start(scene.source, day(3))
    scene.tell(fact.RunStarted(at=day(2), origin="test", run=first))
    changes = scene.tell(fact.RunStarted(at=day(3), origin="test", run=second))
    assert changes.runs == {first.id, second.id}
    assert list(scene.fleet.running) == [second.id]
    scene.tell(fact.RunFinished(at=day(3, 1), origin="test", run=a_run(scene.source, day(3, 1), id=first.id)))
    assert scene.fleet.running_of_source == {scene.source_id: second.id}
    scene.tell(fact.RunFinished(at=day(3, 2), origin="test", run=a_run(scene.source, day(3, 2), id=second.id)))
    assert scene.fleet.running == {}
    assert scene.fleet.running_of_source == {}
    _refused(scene, fact.RunStarted(at=day(3, 3), origin="test", run=second), "ended already")


def test_a_check_of_a_source_is_not_its_backup_running() -> None:
    scene = Scene()
    start = a_run_start(scene.source, day(2), kind=RunKind.CHECK)
    scene.tell(fact.RunStarted(at=day(2), origin="test", run=start))
    assert scene.fleet.running_of_source == {}
    assert_indexed(scene.fleet)


def test_the_last_backup_of_a_host_is_the_newest_counted_attempt_of_any_of_its_sources() -> None:
    scene = Scene()
    other = a_source("etc", scene.host, scene.repository, created_at=MADE, revised_at=MADE)
    scene.tell(fact.SourceConfigured(at=MADE, origin="test", source=other))
    newest = a_run(other, day(3), Outcome.FAILED)
    for run in (
        a_run(scene.source, day(2)),
        newest,
        a_run(scene.source, day(2, 5)),
        a_run(scene.source, day(4), Outcome.CANCELLED),
        a_run(scene.source, day(5), dry_run=True),
        a_run(scene.source, day(6), kind=RunKind.CHECK),
    ):
        scene.tell(fact.RunFinished(at=day(7), origin="test", run=run))
    assert scene.fleet.last_backups == {scene.host.id: newest}


def test_host_names_are_unique_without_regard_to_case_and_free_again_after_a_rename() -> None:
    scene = Scene()
    _refused(scene, fact.HostEnrolled(at=MADE, origin="test", host=a_host("WEB-1", id="other")), "taken")
    other = a_host("db-1")
    scene.tell(fact.HostEnrolled(at=MADE, origin="test", host=other))
    _refused(scene, fact.HostRenamed(at=MADE, origin="test", host_id=other.id, name="Web-1"), "taken")
    scene.tell(fact.HostRenamed(at=MADE, origin="test", host_id=scene.host.id, name="WEB-1"))
    scene.tell(fact.HostRenamed(at=MADE, origin="test", host_id=scene.host.id, name="www"))
    scene.tell(fact.HostRenamed(at=MADE, origin="test", host_id=other.id, name="web-1"))
    scene.tell(fact.HostEnrolled(at=MADE, origin="test", host=replace(other, name="db-2")))
    assert scene.fleet.host_ids_by_name == {"www": scene.host.id, "db-2": other.id}


def test_a_host_with_another_name_touches_its_sources_which_tell_it() -> None:
    scene = Scene()
    changes = scene.tell(fact.HostRenamed(at=MADE, origin="test", host_id=scene.host.id, name="www"))
    assert changes.sources == {scene.source_id}
    changes = scene.tell(fact.HostEnrolled(at=MADE, origin="test", host=replace(scene.host, name="web-2")))
    assert changes.sources == {scene.source_id}


def test_of_two_runs_that_ended_at_one_instant_the_one_told_later_is_the_newest() -> None:
    scene = Scene()
    for number, outcome in enumerate((Outcome.FAILED, Outcome.SUCCESS, Outcome.FAILED, Outcome.SUCCESS)):
        run = a_run(scene.source, day(2), outcome, id=f"run-{number}")
        scene.tell(fact.RunFinished(at=day(2), origin="test", run=run))
        assert scene.evidence.last_attempt == run
    assert scene.evidence.last_full == run


def test_an_alert_is_open_once_and_only_its_own_resolve_closes_it() -> None:
    scene = Scene()
    alert = an_alert(source=scene.source)
    scene.tell(fact.AlertOpened(at=MADE, origin="hub", alert=alert))
    _refused(scene, fact.AlertOpened(at=MADE, origin="hub", alert=replace(alert, id="second")), "open already")
    assert scene.fleet.counters == {"alerts_fired/critical/backup_failed": 1}
    over = fact.AlertResolved(at=MADE, origin="hub", alert_id="first", key=alert.key, reason="over")
    _refused(scene, over, "not open")
    scene.tell(replace(over, alert_id=alert.id))
    _refused(scene, replace(over, alert_id=alert.id), "not open")
    assert not +scene.fleet.open_alerts
    assert scene.fleet.counters == {"alerts_fired/critical/backup_failed": 1}


def test_an_alert_about_nothing_we_know_is_refused() -> None:
    scene = Scene()
    for kind in ("source", "host", "repository"):
        alert = replace(an_alert(source=scene.source), key=AlertKey("some_rule", kind, "nowhere"))
        _refused(scene, fact.AlertOpened(at=MADE, origin="hub", alert=alert), "There is no")
    alert = replace(an_alert(source=scene.source), host_id="nowhere")
    _refused(scene, fact.AlertOpened(at=MADE, origin="hub", alert=alert), "There is no host")


def test_what_was_seen_of_a_repository_earlier_and_told_later_replaces_nothing() -> None:
    scene, repository_id = Scene(), a_repository().id
    told = fact.RepositoryProbed(
        at=day(3),
        origin="test",
        repository_id=repository_id,
        probe=Probe.UNREACHABLE,
        probed_at=day(3),
        identity="new",
    )
    scene.tell(told)
    scene.tell(replace(told, probe=Probe.READY, probed_at=day(2), identity=None))
    size = fact.RepositorySized(at=day(3), origin="test", repository_id=repository_id, sized_at=day(3), size_bytes=9)
    scene.tell(size)
    scene.tell(replace(size, sized_at=day(2), size_bytes=5))
    locks = fact.LocksListed(at=day(3), origin="test", repository_id=repository_id, listed_at=day(3), locks=())
    scene.tell(locks)
    scene.tell(replace(locks, listed_at=day(2), locks=(None,)))  # type: ignore[arg-type]
    evidence = scene.fleet.repository_evidence_of(repository_id)
    assert (evidence.probe, evidence.observed_at, evidence.identity) == (Probe.UNREACHABLE, day(3), "new")
    assert not evidence.identity_changed
    assert (evidence.size_bytes, evidence.locks) == (9, ())


def test_a_repository_that_answers_with_another_identity_is_marked() -> None:
    scene = Scene()
    told = fact.RepositoryProbed(
        at=day(2),
        origin="test",
        repository_id=scene.repository.id,
        probe=Probe.READY,
        probed_at=day(2),
        identity="a",
    )
    scene.tell(told)
    assert not scene.fleet.repository_evidence_of(scene.repository.id).identity_changed
    scene.tell(replace(told, probed_at=day(3), identity="b"))
    evidence = scene.fleet.repository_evidence_of(scene.repository.id)
    assert (evidence.identity, evidence.identity_changed) == ("b", True)


@pytest.mark.parametrize(
    ("outcome", "init_failed"),
    [(Outcome.SUCCESS, False), (Outcome.FAILED, True), (Outcome.LOST, True), (Outcome.CANCELLED, True)],
)
def test_a_failed_init_is_remembered_until_one_succeeds(outcome: Outcome, init_failed: bool) -> None:
    scene = Scene()
    for number, how in enumerate((Outcome.FAILED, outcome)):
        run = a_run(scene.source, day(2), how, id=f"init-{number}", kind=RunKind.INIT, source_id=None)
        scene.tell(fact.RunFinished(at=day(2), origin="test", run=run))
    assert scene.fleet.repository_evidence_of(scene.repository.id).init_failed is init_failed


def test_a_view_stays_as_it_was_while_the_fleet_goes_on() -> None:
    story, _ = _tell_story(3, 100)
    view = story.fleet.view()
    before = copy.deepcopy({name: getattr(view, name) for name in view.__slots__})
    for _ in range(200):
        story.later(60)
        story.tell(story.fact())
    assert {name: getattr(view, name) for name in view.__slots__} == before


def test_an_agent_spoke_for_repositories_that_its_host_does_not_use() -> None:
    """One stolen agent could have told that every other host's snapshots are there, or gone."""
    scene, stranger = Scene(), a_host("stranger")
    scene.tell(fact.HostEnrolled(at=MADE, origin="test", host=stranger))
    repository_id, foreign = scene.repository.id, fact.agent_origin(stranger.id)
    _refused(
        scene,
        fact.SnapshotsListed(
            at=day(2), origin=foreign, repository_id=repository_id, listed_at=day(2), total=0, series=()
        ),
        "none of its sources uses",
    )
    probed = fact.RepositoryProbed(
        at=day(2), origin=foreign, repository_id=repository_id, probe=Probe.MISSING, probed_at=day(2)
    )
    _refused(scene, probed, "none of its sources uses")
    made = Run(
        id=an_id("run", "init"),
        kind=RunKind.INIT,
        outcome=Outcome.FAILED,
        host_id=stranger.id,
        started_at=day(2),
        ended_at=day(2),
        duration_seconds=1.0,
        repository_id=repository_id,
    )
    scene.tell(fact.RunFinished(at=day(2), origin=foreign, run=made))
    assert not scene.fleet.repository_evidence_of(repository_id).init_failed
    scene.tell(replace(probed, origin=fact.agent_origin(scene.source.host_id)))
    assert scene.fleet.repository_evidence_of(repository_id).probe is Probe.MISSING
