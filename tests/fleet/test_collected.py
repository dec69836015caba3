"""What a server tells of its own sources: made, judged, kept apart from what people set, gone or back by a name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from lastgood.fleet.attempted import ARCHIVED
from lastgood.fleet.changes import Changes, Unlearnable
from lastgood.fleet.collected import MOST_SOURCES, NOT_LISTED
from lastgood.fleet.fleet import Fleet
from lastgood.fleet.judge import repository_state, source_state, verdict
from lastgood.fleet.learn import learn
from lastgood.fleet.rhythm import habit_of
from lastgood.fleet.weigh import DAMAGED, GONE
from lastgood.model import fact
from lastgood.model.collected import Attempt, CollectedRepository, CollectedSource
from lastgood.model.job import Outcome, RunKind, Schedule
from lastgood.model.repository import Probe, RepositoryState
from lastgood.model.source import Evidence, Source, State
from tests.builders import a_repository, a_source
from tests.fleet.scene import Scene, day

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
STORE = "store"
LAST = day(11, 2)


def an_attempt(ended_at: datetime, outcome: Outcome = Outcome.SUCCESS, **changes: Any) -> Attempt:
    """A backup of ten minutes; one that made a snapshot names it."""
    made_one = outcome in (Outcome.SUCCESS, Outcome.UNCHANGED, Outcome.PARTIAL)
    made = Attempt(
        id=f"{outcome}/{ended_at:%dT%H%M}",
        outcome=outcome,
        started_at=ended_at - timedelta(minutes=10),
        ended_at=ended_at,
        snapshot_id=f"{ended_at:%dT%H%M}" if made_one else None,
    )
    return replace(made, **changes)


def nightly(last: datetime, nights: int = 10) -> Any:
    return habit_of(last - timedelta(minutes=10) - n * DAY for n in range(nights))


def a_group(ended_at: datetime | None, source_id: str = "vm/100", **changes: Any) -> CollectedSource:
    """A group with a nightly rhythm whose newest attempt was good."""
    good = None if ended_at is None else an_attempt(ended_at)
    made = CollectedSource(
        id=source_id,
        name=source_id,
        host="pbs-1",
        newest=good,
        good=good,
        snapshots=10,
        habit=None if ended_at is None else nightly(ended_at),
    )
    return replace(made, **changes)


class Server:
    """A fleet that hears of one datastore only."""

    def __init__(self) -> None:
        self.fleet = Fleet()
        self.store(day(11, 3))

    def learn(self, told: fact.Fact) -> Changes:
        return learn(self.fleet, told)

    def store(self, at: datetime, **changes: Any) -> Changes:
        report = CollectedRepository(id=STORE, name="main", url="pbs://pbs-1:8007/main", tool="pbs", observed_at=at)
        told = fact.RepositoryCollected(
            at=at, origin="collector:pbs", collector="pbs", report=replace(report, **changes), watch_seconds=300
        )
        return self.learn(told)

    def tell(self, at: datetime, *groups: CollectedSource, **changes: Any) -> Changes:
        told = fact.SourcesCollected(
            at=at,
            origin="collector:pbs",
            repository_id=STORE,
            listed_at=at,
            sources=groups,
            **{"whole": True, **changes},
        )
        return self.learn(told)

    def configure(self, at: datetime, **changes: Any) -> None:
        self.learn(fact.SourceConfigured(at=at, origin="test", source=replace(self.source(), **changes)))

    def source(self, source_id: str = "vm/100") -> Source:
        return self.fleet.sources[source_id]

    def evidence(self, source_id: str = "vm/100") -> Evidence:
        return self.fleet.evidence[source_id]

    def state(self, at: datetime, source_id: str = "vm/100") -> State:
        return source_state(self.fleet, self.source(source_id), at)[0]

    def reason(self, at: datetime, source_id: str = "vm/100") -> str:
        return verdict(self.fleet, source_id, at).reason


def a_server(ended_at: datetime = LAST, **changes: Any) -> Server:
    server = Server()
    server.tell(day(11, 3), a_group(ended_at, **changes))
    return server


def test_what_is_told_becomes_a_source_without_a_host_under_the_servers_name() -> None:
    server = a_server(verified_at=day(10, 5), running_since=day(11, 2.9), remarks=("A remark.",), oldest_at=day(2, 2))
    source, evidence = server.source(), server.evidence()
    assert (source.host_id, source.restic_host, source.tool, source.repository_id) == (None, "pbs-1", "pbs", STORE)
    assert server.fleet.sources_of_repository[STORE] == ("vm/100",)
    assert evidence.last_full is not None
    assert (evidence.last_full.ended_at, evidence.last_attempt) == (day(11, 2), evidence.last_full)
    assert (evidence.snapshots, evidence.verified_at, evidence.remarks) == (10, day(10, 5), ("A remark.",))
    assert verdict(server.fleet, "vm/100", day(11, 3)).running
    assert server.state(day(11, 3)) is State.GOOD


def test_a_nightly_group_is_late_and_then_missed_once_a_look_has_shown_that_nothing_came() -> None:
    server = a_server()
    due_at, deadline_at = server.evidence().due_at, server.evidence().deadline_at
    assert due_at is not None
    assert deadline_at is not None
    assert due_at == day(12, 2)
    server.tell(due_at + MINUTE)
    assert server.state(due_at + MINUTE) is State.LATE
    server.tell(deadline_at + MINUTE)
    assert server.state(deadline_at + MINUTE) is State.MISSED


def test_nobody_is_called_missed_while_the_server_tells_nothing() -> None:
    server = a_server()
    deadline_at = server.evidence().deadline_at
    assert deadline_at is not None
    server.store(deadline_at + MINUTE, probe=Probe.UNREACHABLE, message="It does not answer.")
    assert server.state(deadline_at + MINUTE) is State.UNKNOWN
    assert "Its server has told nothing of it since 2026-03-11 03:00 UTC" in server.reason(deadline_at + MINUTE)


def test_a_look_that_may_still_be_on_its_way_is_waited_for() -> None:
    server = a_server()
    deadline_at = server.evidence().deadline_at
    assert deadline_at is not None
    server.tell(deadline_at - MINUTE)
    state, until = source_state(server.fleet, server.source(), deadline_at)
    assert (state, until) == (State.LATE, deadline_at + timedelta(minutes=9))
    assert server.state(deadline_at + timedelta(minutes=9)) is State.UNKNOWN


def test_a_mark_speaks_for_all_without_touching_any() -> None:
    server = Server()
    server.tell(day(11, 3), a_group(day(11, 2)), a_group(day(11, 2), "vm/101"))
    changes = server.tell(day(20, 3))
    assert (changes.sources, changes.repositories, changes.marked) == (set(), {STORE}, {STORE})
    assert server.state(day(20, 3)) is State.MISSED
    assert server.tell(day(19, 3)).marked == set()


def test_an_old_look_says_nothing_of_what_was_seen_since() -> None:
    server = a_server()
    server.tell(day(12, 3), a_group(day(12, 2)))
    server.tell(day(11, 4), a_group(day(11, 2)), whole=False)
    server.tell(day(11, 5), gone=("vm/100",))
    evidence = server.evidence()
    assert evidence.last_full is not None
    assert evidence.last_full.ended_at == day(12, 2)
    assert server.fleet.repository_evidence[STORE].whole_at == day(12, 3)


def test_a_failed_attempt_speaks_until_a_good_one_comes() -> None:
    server = a_server()
    failed = an_attempt(day(12, 2), Outcome.FAILED, reason="The server lost sight of it.", cause="lost")
    server.tell(day(12, 3), a_group(day(11, 2), newest=failed))
    assert server.state(day(12, 3)) is State.FAILED
    assert server.reason(day(12, 3)) == "The last backup failed: The server lost sight of it."
    server.tell(day(13, 3), a_group(day(13, 2)))
    assert server.state(day(13, 3)) is State.GOOD


def test_a_cancelled_attempt_says_nothing() -> None:
    server = a_server(newest=an_attempt(day(11, 2.5), Outcome.CANCELLED))
    attempt = server.evidence().last_attempt
    assert attempt is not None
    assert attempt.outcome is Outcome.SUCCESS


def test_a_success_without_a_snapshot_proves_nothing() -> None:
    bare = an_attempt(day(11, 2), snapshot_id=None)
    server = a_server(newest=bare, good=bare, target=26 * timedelta(hours=1))
    assert server.evidence().last_full is None
    server.tell(day(13, 2))
    assert server.state(day(13, 2)) is State.NEVER


def test_what_claims_to_be_of_the_future_never_counts() -> None:
    future = an_attempt(day(15, 2))
    server = a_server(newest=future, good=future)
    assert server.evidence().last_full is None


def test_partial_is_not_good_unless_somebody_accepts_it() -> None:
    partial = an_attempt(day(12, 2), Outcome.PARTIAL, reason="3 files could not be read.")
    server = a_server(day(11, 2))
    server.tell(day(12, 3), a_group(day(11, 2), newest=partial, partial=partial, habit=nightly(day(12, 2))))
    assert server.state(day(12, 3)) is State.PARTIAL
    server.configure(day(12, 3), accept_partial=True)
    assert server.state(day(12, 3)) is State.GOOD


# --- the last good one goes back only by a name --------------------------------------------------------------------


def test_a_snapshot_that_was_removed_takes_the_last_good_back_and_says_so() -> None:
    weekly = {"target": timedelta(days=7)}
    server = a_server(**weekly)
    server.tell(day(11, 4), a_group(day(10, 2), snapshots=9, **weekly))
    evidence = server.evidence()
    assert evidence.last_full is not None
    assert (evidence.last_full.ended_at, evidence.finding) == (day(10, 2), GONE)
    assert "A newer snapshot is gone" in server.reason(day(11, 4))
    server.tell(day(12, 3), a_group(day(12, 2)))
    assert server.evidence().finding is None


def test_a_snapshot_that_failed_its_verification_is_failed_and_damaged_by_name() -> None:
    server = a_server()
    damaged = an_attempt(day(11, 2), Outcome.FAILED, cause="verification", reason="Chunks are missing.")
    older = an_attempt(day(10, 2))
    server.tell(day(11, 5), a_group(day(11, 2), newest=damaged, good=older))
    evidence = server.evidence()
    assert evidence.last_full is not None
    assert (evidence.last_full.ended_at, evidence.finding) == (day(10, 2), DAMAGED)
    assert server.state(day(11, 5)) is State.FAILED
    server.tell(day(11, 6), a_group(day(10, 2)))
    assert server.evidence().finding == GONE
    server.tell(day(12, 3), a_group(day(12, 2)))
    assert (server.evidence().finding, server.state(day(12, 3))) == (None, State.GOOD)


def test_told_more_exactly_is_not_taken_back() -> None:
    server = a_server()
    exact = replace(an_attempt(day(11, 2)), ended_at=day(11, 1.99))
    server.tell(day(11, 4), a_group(day(11, 2), newest=exact, good=exact))
    assert server.evidence().finding is None


def test_a_group_that_is_not_listed_any_more_is_never_until_somebody_sets_it_aside() -> None:
    server = a_server()
    server.tell(day(11, 4), gone=("vm/100",))
    assert server.state(day(11, 4)) is State.NEVER
    assert server.reason(day(11, 4)) == "Every good snapshot is gone from the repository."
    assert server.evidence().remarks == (NOT_LISTED,)
    server.configure(day(11, 5), archived_by="ann")
    changes = server.tell(day(11, 6), gone=("vm/100",))
    assert server.fleet.sources == {}
    assert (changes.found, server.fleet.sources_of_repository) == ({"vm/100"}, {})


def test_a_group_that_comes_back_is_what_it_was() -> None:
    server = a_server()
    server.tell(day(11, 4), gone=("vm/100",))
    server.tell(day(11, 5), a_group(day(11, 2)))
    assert (server.state(day(11, 5)), server.evidence().finding, server.evidence().remarks) == (State.GOOD, None, ())


def test_a_group_of_which_nothing_was_ever_known_goes_without_a_word() -> None:
    server = Server()
    server.tell(day(11, 3), a_group(None))
    server.tell(day(11, 4), gone=("vm/100",))
    assert server.fleet.sources == {}


def test_a_failed_group_does_not_lose_its_failure_by_not_being_listed() -> None:
    server = Server()
    server.tell(day(11, 3), a_group(None, newest=an_attempt(day(11, 2), Outcome.FAILED, reason="No room.")))
    server.tell(day(11, 4), gone=("vm/100",))
    assert server.state(day(11, 4)) is State.FAILED


# --- what people set outlives what is told -------------------------------------------------------------------------


def test_what_a_person_has_set_outlives_the_next_report() -> None:
    server = a_server(target=timedelta(hours=26))
    mine = {
        "name": "mail server",
        "target": timedelta(hours=50),
        "grace": timedelta(hours=1),
        "accept_partial": True,
        "paused_until": day(12),
        "paused_by": "ann",
    }
    server.configure(day(11, 4), **mine)
    server.tell(day(11, 5), a_group(day(11, 2), name="renamed", target=timedelta(hours=30)))
    source = server.source()
    assert {key: getattr(source, key) for key in mine} == mine


def test_what_nobody_has_set_follows_the_server() -> None:
    server = a_server(target=timedelta(hours=26))
    server.tell(day(11, 5), a_group(day(11, 2), name="renamed", target=timedelta(hours=30)))
    assert (server.source().name, server.source().target) == ("renamed", timedelta(hours=30))


def test_the_archive_of_the_configuration_opens_again_with_it_and_that_of_a_person_does_not() -> None:
    server = a_server(archived=True)
    assert (server.source().archived_by, server.state(day(30))) == (ARCHIVED, State.ARCHIVED)
    assert server.reason(day(30)) == "Archived by its configuration."
    server.tell(day(11, 4), a_group(day(11, 2)))
    assert server.source().archived_by is None
    server.configure(day(11, 5), archived_by="ann")
    server.tell(day(11, 6), a_group(day(11, 2), archived=True))
    server.tell(day(11, 7), a_group(day(11, 2)))
    assert server.source().archived_by == "ann"


# --- when the next one is due --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "due_at"),
    [
        ({"habit": None}, None),
        ({}, day(12, 2)),
        ({"target": timedelta(hours=26)}, day(12, 4)),
        ({"interval": timedelta(hours=6), "habit": None}, day(11, 8)),
        ({"target": timedelta(hours=30), "interval": timedelta(hours=6)}, day(12, 8)),
        ({"schedule": Schedule(cron="0 4 * * *")}, day(11, 4)),
        ({"schedule": Schedule(cron="every day")}, day(12, 2)),
    ],
)
def test_the_next_one_is_due_by_target_schedule_interval_or_rhythm(changes: Any, due_at: datetime | None) -> None:
    assert a_server(**changes).evidence().due_at == due_at


def test_a_group_whose_last_good_one_is_old_is_missed_from_the_first_look_on() -> None:
    server = a_server(day(2, 2), schedule=Schedule(cron="0 2 * * *"))
    assert server.state(day(11, 3)) is State.MISSED


def test_without_a_rhythm_or_a_target_nobody_knows() -> None:
    server = a_server(habit=None)
    assert server.state(day(11, 3)) is State.UNKNOWN
    assert "set a target" in server.reason(day(11, 3))


def test_a_schedule_has_its_ledger() -> None:
    server = a_server(day(11, 2), schedule=Schedule(cron="0 2 * * *"))
    evidence = server.evidence()
    assert (evidence.ledger_at, evidence.expected_runs) == (day(12, 2), 0)
    server.tell(day(12, 3), a_group(day(12, 2.5), schedule=Schedule(cron="0 2 * * *")))
    assert server.evidence().paid == (day(12, 2),)


# --- repositories --------------------------------------------------------------------------------------------------


def test_a_repository_tells_its_room_and_upkeep_and_keeps_what_was_known_of_it() -> None:
    server = Server()
    server.store(
        day(11, 4),
        used_bytes=10,
        available_bytes=90,
        total_bytes=100,
        full_at=day(30),
        snapshots=7,
        upkeep=((RunKind.CHECK, day(10)), (RunKind.PRUNE, day(9))),
        synced_at=day(8),
    )
    server.store(
        day(11, 5), probe=Probe.UNREACHABLE, message="It does not answer.", upkeep=((RunKind.CHECK, day(3)),)
    )
    evidence = server.fleet.repository_evidence[STORE]
    assert (evidence.size_bytes, evidence.sized_at, evidence.available_bytes) == (10, day(11, 4), 90)
    assert (evidence.full_at, evidence.synced_at, evidence.snapshots) == (day(30), day(8), 7)
    assert (evidence.upkeep_at(RunKind.CHECK), evidence.upkeep_at(RunKind.PRUNE)) == (day(10), day(9))
    assert repository_state(server.fleet, STORE, day(11, 5))[0] is RepositoryState.DOWN


def test_a_repository_of_which_nobody_tells_is_unknown_after_three_rounds() -> None:
    server = Server()
    server.store(day(11, 4), probe=Probe.READY)
    state, until = repository_state(server.fleet, STORE, day(11, 4))
    assert (state, until) == (RepositoryState.UP, day(11, 4) + timedelta(minutes=15))
    assert repository_state(server.fleet, STORE, day(11, 4.25))[0] is RepositoryState.UNKNOWN


def test_a_told_repository_touches_its_sources_only_by_a_new_name() -> None:
    server = a_server()
    assert server.store(day(11, 4)).sources == set()
    assert server.store(day(11, 5), name="other").sources == {"vm/100"}


def test_a_collector_speaks_for_its_own_repositories_and_sources_only() -> None:
    scene = Scene()
    report = CollectedRepository(id=scene.repository.id, name="x", url="x", tool="pbs", observed_at=day(3))
    with pytest.raises(Unlearnable):
        learn(
            scene.fleet,
            fact.RepositoryCollected(at=day(3), origin="c", collector="pbs", report=report, watch_seconds=300),
        )
    server = a_server()
    learn(server.fleet, fact.HostEnrolled(at=day(3), origin="t", host=scene.host))
    learn(server.fleet, fact.RepositoryConfigured(at=day(3), origin="t", repository=a_repository()))
    learn(server.fleet, fact.SourceConfigured(at=day(3), origin="t", source=a_source("home", scene.host)))
    with pytest.raises(Unlearnable):
        server.tell(day(12), a_group(day(11), scene.source_id))
    with pytest.raises(Unlearnable):
        server.tell(day(12), dropped=(scene.source_id,))
    assert scene.source_id in server.fleet.sources


def test_a_collected_source_is_not_adopted() -> None:
    server = Server()
    server.tell(day(11, 3), a_group(day(11, 2)), a_group(day(11, 2), "vm/101"))
    with pytest.raises(Unlearnable):
        server.learn(fact.SourceAdopted(at=day(12), origin="test", source_id="vm/100", into_id="vm/101"))


def test_a_removed_repository_takes_its_sources_along() -> None:
    server = a_server()
    server.learn(fact.RepositoryRemoved(at=day(12), origin="collector:pbs", repository_id=STORE))
    assert (server.fleet.sources, server.fleet.evidence, server.fleet.repositories) == ({}, {}, {})


def test_dropped_sources_leave_nothing_behind() -> None:
    server = a_server()
    server.tell(day(12), dropped=("vm/100",))
    assert (server.fleet.sources, server.fleet.evidence, server.fleet.sources_of_repository) == ({}, {}, {})


def test_told_again_without_news_nothing_changes_but_when_it_was_seen() -> None:
    server = a_server()
    source, evidence = server.source(), server.evidence()
    changes = server.tell(day(11, 4), a_group(day(11, 2)))
    assert server.source() == source
    assert replace(server.evidence(), observed_at=None) == replace(evidence, observed_at=None)
    assert changes.found == set()


def test_seen_sources_are_known_up_to_that_look() -> None:
    server = a_server()
    assert server.tell(day(11, 5), seen=("vm/100", "vm/999"), whole=False).sources == {"vm/100"}
    assert server.evidence().observed_at == day(11, 5)


def test_one_fact_of_as_many_sources_as_may_be_is_learned_within_a_slice_of_the_loop() -> None:
    import time

    server = Server()
    groups = [a_group(day(11, 2), f"vm/{n}") for n in range(20 * MOST_SOURCES)]
    took = []
    for begin in range(0, len(groups), MOST_SOURCES):
        began = time.perf_counter()
        server.tell(day(11, 3), *groups[begin : begin + MOST_SOURCES], whole=False)
        took.append(time.perf_counter() - began)
    assert sorted(took)[len(took) // 2] < 0.02


def _ids(things: Iterable[Source]) -> set[str]:
    return {one.id for one in things}


def test_all_sources_of_a_large_report_are_there() -> None:
    server = Server()
    server.tell(day(11, 3), *(a_group(day(11, 2), f"vm/{n}") for n in range(50)))
    assert _ids(server.fleet.sources.values()) == set(server.fleet.sources_of_repository[STORE])
