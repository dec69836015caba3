"""Sources that only a look tells of: found, judged by their rhythm or a target, kept through edits, ended."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from lastgood.errors import LastgoodError
from lastgood.fleet.fleet import Fleet
from lastgood.fleet.found import MOST_FOUND, MOST_NEW, OWNERLESS, SILENT
from lastgood.fleet.judge import source_state, verdict
from lastgood.model import fact
from lastgood.model.job import Outcome, Schedule
from lastgood.model.repository import HUB
from lastgood.model.source import Source, State
from tests.builders import a_host, a_run, a_source, an_id
from tests.fleet.scene import MADE, day
from tests.fleet.vault import DAY, HOUR, Vault, a_snapshot

FIRST = day(2, 2)
LOOKED = day(12, 3)


def a_vault(nights: int = 11, *paths: str, hostname: str = "nas", **changes: object) -> Vault:
    """A nightly series from the second on, looked into on the morning after its last."""
    vault = Vault()
    vault.nightly(FIRST, nights, hostname, *paths, **changes)
    vault.look(FIRST + (nights - 1) * DAY + HOUR)
    return vault


def test_each_series_of_host_and_paths_becomes_a_source_with_its_last_good_and_its_rhythm() -> None:
    vault = a_vault()
    vault.nightly(FIRST, 11, "nas", "/etc")
    vault.nightly(FIRST, 11, "web-1")
    vault.look(LOOKED)
    assert [(one.restic_host, one.name) for one in vault.found] == [
        ("nas", "/data"),
        ("nas", "/etc"),
        ("web-1", "/data"),
    ]
    evidence = vault.evidence(vault.called("/etc"))
    assert evidence.last_full is not None
    assert evidence.last_full.ended_at == day(12, 2)
    assert evidence.interval == DAY
    assert evidence.snapshots == 11
    assert vault.state(LOOKED, vault.called("/etc")) is State.GOOD


def test_nothing_is_found_in_a_repository_that_nobody_watches_so() -> None:
    vault = Vault(watched_by=None)
    vault.nightly(FIRST, 11)
    vault.look(LOOKED)
    assert vault.found == []


def test_a_found_source_has_the_same_id_on_every_hub_that_looks() -> None:
    assert a_vault().one.id == a_vault().one.id
    assert a_vault().one.id != a_vault(11, "/other").one.id


def test_it_is_late_and_then_missed_once_a_look_after_its_deadline_does_not_see_it() -> None:
    vault = a_vault()
    due_at, deadline_at = day(13, 2), day(13, 8)
    assert vault.evidence().deadline_at == deadline_at
    vault.look(due_at)
    assert vault.state(due_at) is State.LATE
    vault.look(deadline_at - timedelta(minutes=10))
    assert vault.state(deadline_at) is State.LATE, "only the next look can say"
    vault.look(deadline_at + timedelta(seconds=2))
    assert vault.state(deadline_at + timedelta(seconds=3)) is State.MISSED
    assert vault.reason(deadline_at + timedelta(seconds=3)) == (
        "No snapshot came for the one due at 2026-03-13 02:00 UTC by its rhythm."
    )
    vault.listed.append(a_snapshot(day(13, 9)))
    vault.look(day(13, 10))
    assert vault.state(day(13, 10)) is State.GOOD


def test_when_nobody_looks_it_is_unknown_and_not_missed() -> None:
    vault = a_vault()
    vault.look(day(13, 7))
    state, until = source_state(vault.fleet, vault.one, day(13, 8))
    assert (state, until) == (State.UNKNOWN, None), "the last look is too old to wait for the next"
    assert vault.reason(day(13, 8)) == (
        "Nobody could look into its repository since 2026-03-13 07:00 UTC, so we cannot say."
    )


def test_the_wait_for_the_look_at_the_deadline_has_an_end() -> None:
    vault = a_vault()
    vault.look(day(13, 8) - timedelta(minutes=1))
    state, until = source_state(vault.fleet, vault.one, day(13, 8))
    assert state is State.LATE
    assert until is not None
    assert vault.state(until) is State.UNKNOWN


def test_a_few_snapshots_are_unknown_in_words_and_promise_nothing() -> None:
    vault = a_vault(2)
    assert vault.state(day(4, 0)) is State.UNKNOWN
    assert vault.reason(day(4, 0)).startswith("No rhythm yet")
    assert vault.evidence().due_at is None


def test_an_operators_target_speaks_instead_of_the_rhythm() -> None:
    vault = a_vault(2)
    source = replace(vault.one, target=timedelta(hours=26), revised_at=day(3, 3))
    vault.tell(fact.SourceConfigured(at=day(3, 3), origin="person:ann", source=source))
    assert vault.evidence().due_at == day(4, 4)
    vault.look(day(4, 10.6))
    assert vault.state(day(4, 10.6)) is State.MISSED


def test_a_schedule_that_an_operator_gave_keeps_a_ledger() -> None:
    vault = a_vault()
    source = replace(vault.one, schedule=Schedule(cron="0 2 * * *"), revised_at=LOOKED)
    vault.tell(fact.SourceConfigured(at=LOOKED, origin="person:ann", source=source))
    vault.listed.append(a_snapshot(day(13, 2)))
    vault.look(day(13, 3))
    assert vault.evidence().paid == (day(13, 2),)
    assert vault.state(day(13, 3)) is State.GOOD


def test_freshness_is_the_end_where_the_snapshot_tells_it_and_a_long_backup_is_not_called_missed() -> None:
    vault = Vault()
    vault.listed = [a_snapshot(day(n, 2), ended_at=day(n, 22)) for n in range(2, 13)]
    vault.look(day(12, 23))
    good = vault.evidence().last_full
    assert good is not None
    assert (good.started_at, good.ended_at) == (day(12, 2), day(12, 22))
    assert vault.evidence().due_at == day(13, 22)


def test_the_end_of_an_old_clients_long_backup_is_learned_from_when_it_came_to_be_seen() -> None:
    vault = a_vault()
    vault.look(day(13, 1))
    vault.listed.append(a_snapshot(day(12, 14)))  # began before that look, and was seen only after it
    vault.look(day(13, 2))
    habit = vault.evidence().habit
    assert habit is not None
    assert habit.lag == 12 * HOUR


# --- what moves --------------------------------------------------------------------------------------------------


def test_a_tag_edit_makes_no_other_source_and_takes_nothing_back() -> None:
    vault = a_vault()
    vault.listed = [
        replace(one, id=f"{n:064x}", short_id=f"{n:08x}", tags=("keep",), original=one.id)
        for n, one in enumerate(vault.listed)
    ]
    before = vault.one.id
    vault.look(LOOKED + HOUR)
    assert vault.one.id == before
    evidence = vault.evidence()
    assert evidence.finding is None
    assert evidence.last_full is not None
    assert evidence.last_full.ended_at == day(12, 2)
    assert evidence.last_full.snapshot_id == vault.listed[-1].id
    assert evidence.snapshots == 11
    assert vault.kinds == []


def test_a_rewritten_snapshot_without_a_word_of_its_original_is_known_by_its_moment() -> None:
    vault = a_vault()
    vault.listed[-1] = replace(vault.listed[-1], id="f" * 64)
    vault.look(LOOKED + HOUR)
    evidence = vault.evidence()
    assert evidence.finding is None
    assert evidence.last_full is not None
    assert evidence.last_full.snapshot_id == "f" * 64


@pytest.mark.parametrize(
    "paths",
    [
        ["/mnt/snap-2026-03-{:02}"],
        ["/mnt/2026-03-{:02}T02:00:00"],
        ["/mnt/202603{:02}-020000/home"],
        ["/tmp/tmp.Ax0z{:02}Qw"],
        ["/mnt/17000000{:02}"],
    ],
)
def test_dates_and_the_like_in_paths_leave_it_one_source(paths: list[str]) -> None:
    vault = Vault()
    vault.listed = [a_snapshot(day(n, 2), "nas", *(path.format(n) for path in paths)) for n in range(2, 13)]
    vault.look(LOOKED)
    assert vault.state(LOOKED) is State.GOOD
    assert "*" in vault.one.name


@pytest.mark.parametrize("path", ["/srv/disk{:02}", "/srv/customer-1000{:04}", "/var/lib/volumes/{:064x}/_data"])
def test_numbers_that_name_a_thing_keep_sources_apart(path: str) -> None:
    vault = Vault()
    for number in range(3):
        vault.nightly(FIRST, 4, "nas", path.format(number))
    vault.look(LOOKED)
    assert len(vault.found) == 3


def test_containers_that_have_another_name_each_time_are_one_source() -> None:
    vault = Vault()
    vault.listed = [a_snapshot(day(n, 2), f"{n:012x}") for n in range(2, 13)]
    vault.look(LOOKED)
    assert vault.state(LOOKED) is State.GOOD


def test_what_came_from_standard_input_is_told_apart_by_its_tags() -> None:
    vault = Vault()
    vault.nightly(FIRST, 11, "db-1", "/stdin", tags=("shop",))
    vault.nightly(FIRST, 11, "db-1", "/stdin", tags=("blog",))
    vault.nightly(FIRST, 11, "db-1", "/data", tags=("nightly",))
    vault.nightly(FIRST + HOUR, 11, "db-1", "/data", tags=("also",))
    vault.look(LOOKED)
    assert [one.name for one in vault.found] == ["/data", "/stdin (blog)", "/stdin (shop)"]


def test_after_changed_paths_the_old_series_is_archived_with_the_new_ones_name_and_its_rhythm_goes_on() -> None:
    vault = a_vault(12, "/home", "/etc")
    old = vault.one
    vault.listed.append(a_snapshot(day(14, 2), "nas", "/etc", "/home", "/srv"))
    vault.look(day(14, 3))
    vault.look(day(14, 8.1))
    assert vault.fleet.sources[old.id].archived_by == "lastgood (continued as /etc, /home, /srv)"
    heir = vault.called("/etc, /home, /srv")
    assert vault.state(day(14, 8.1), heir) is State.GOOD
    assert vault.evidence(heir).due_at == day(15, 2)
    vault.look(day(15, 9))
    assert vault.state(day(15, 9), heir) is State.MISSED


def test_a_second_series_that_began_before_the_first_one_stopped_does_not_cover_for_it() -> None:
    vault = a_vault(11, "/home")
    vault.listed.append(a_snapshot(day(12, 1), "nas", "/home", "/srv"))
    vault.look(LOOKED + HOUR)
    vault.look(day(13, 9))
    assert vault.state(day(13, 9), vault.called("/home")) is State.MISSED


def test_a_renamed_host_is_doubt_and_not_a_miss_and_adoption_settles_it() -> None:
    vault = a_vault(11)
    old = vault.one
    vault.nightly(day(13, 2), 1, "nas-new")
    vault.look(day(13, 8.1))
    vault.nightly(day(14, 2), 2, "nas-new")
    vault.look(day(15, 3))
    assert vault.state(day(15, 3), vault.fleet.sources[old.id]) is State.UNKNOWN
    assert "nas-new" in vault.reason(day(15, 3), old)
    heir = next(one for one in vault.found if one.id != old.id)
    vault.tell(fact.SourceAdopted(at=day(15, 4), origin="person:ann", source_id=old.id, into_id=heir.id))
    assert vault.one.id == heir.id
    assert vault.evidence().snapshots == 14
    vault.look(day(15, 5))
    assert vault.evidence().snapshots == 14
    assert vault.state(day(15, 5)) is State.GOOD


def test_a_host_that_comes_back_under_its_own_name_needs_no_heir() -> None:
    vault = a_vault(11)
    old = vault.one
    vault.nightly(day(13, 2), 1, "nas-new")
    vault.look(day(13, 3))
    vault.look(day(13, 8.1))
    assert vault.evidence(old).habit.successor == "nas-new"
    vault.listed.append(a_snapshot(day(14, 2)))
    vault.look(day(14, 3))
    assert vault.evidence(old).habit.successor is None
    assert vault.state(day(14, 3), vault.fleet.sources[old.id]) is State.GOOD


# --- what is old, orphaned, or ends ------------------------------------------------------------------------------


def test_a_series_that_was_silent_for_long_when_it_was_found_is_archived_and_wakes_with_a_new_snapshot() -> None:
    vault = a_vault()
    vault.nightly(FIRST - 90 * DAY, 20, "dead")
    vault.listed.append(a_snapshot(FIRST - 60 * DAY, "once"))
    vault.look(LOOKED + HOUR)
    silent = {one.restic_host: one for one in vault.found if one.archived_by is not None}
    assert {name: one.archived_by for name, one in silent.items()} == {"dead": SILENT, "once": SILENT}
    assert vault.state(LOOKED + HOUR, silent["dead"]) is State.ARCHIVED
    vault.listed.append(a_snapshot(day(12, 12), "dead"))
    vault.look(day(12, 13))
    assert vault.fleet.sources[silent["dead"].id].archived_by is None


def test_one_that_stopped_lately_is_not_archived_but_missed() -> None:
    vault = Vault()
    vault.nightly(FIRST, 11)
    vault.look(day(12, 2) + 20 * DAY)
    assert vault.one.archived_by is None
    assert vault.state(day(12, 2) + 20 * DAY) is State.MISSED


def test_what_a_person_muted_stays_muted() -> None:
    vault = a_vault()
    muted = replace(vault.one, archived_by="ann")
    vault.tell(fact.SourceConfigured(at=LOOKED, origin="person:ann", source=muted))
    vault.listed.append(a_snapshot(day(13, 2)))
    vault.look(day(13, 3))
    assert vault.one.archived_by == "ann"
    assert vault.state(day(13, 3)) is State.ARCHIVED


def test_snapshots_of_a_source_that_is_no_more_have_no_owner_and_raise_no_age_alarm() -> None:
    vault = a_vault(11, tags=("lg:01ARZ3NDEKTSV4RRFFQ69G5FAV", "home"))
    assert vault.one.archived_by == OWNERLESS
    vault.look(day(20, 2))
    assert vault.state(day(20, 2)) is State.ARCHIVED
    assert [doubt.kind.value for doubt in vault.doubts] == ["orphaned"]
    muted = replace(vault.one, archived_by="ann")
    vault.tell(fact.SourceConfigured(at=day(20, 3), origin="person:ann", source=muted))
    vault.look(day(20, 4))
    assert vault.doubts == []


def test_a_series_of_another_hubs_agent_is_judged_like_any_other_once_it_is_seen_to_go_on() -> None:
    vault = a_vault(11, tags=("lg:01ARZ3NDEKTSV4RRFFQ69G5FAV",))
    vault.nightly(day(13, 2), 1, tags=("lg:01ARZ3NDEKTSV4RRFFQ69G5FAV",))
    vault.look(day(13, 3))
    assert vault.one.archived_by is None
    assert vault.state(day(13, 3)) is State.GOOD
    assert vault.doubts == []


def test_the_snapshots_of_a_host_that_was_removed_stay_and_are_never_called_missed() -> None:
    vault = Vault()
    source = with_agent(vault)
    vault.nightly(FIRST, 11, "web-1", "/home", tags=(source.tag, "home"))
    vault.look(LOOKED)
    assert vault.found == []
    vault.tell(fact.HostRemoved(at=LOOKED, origin="person:ann", host_id=source.host_id or ""))
    vault.look(LOOKED + HOUR)
    vault.look(day(20))
    assert vault.one.archived_by == OWNERLESS
    assert vault.state(day(20)) is State.ARCHIVED


def test_when_all_its_snapshots_are_gone_it_has_never_been_backed_up_and_a_muted_one_ends() -> None:
    vault = a_vault()
    vault.listed.clear()
    vault.look(LOOKED + HOUR)
    assert vault.state(LOOKED + HOUR) is State.NEVER
    assert vault.reason(LOOKED + HOUR) == "Every good snapshot is gone from the repository."
    assert [doubt.kind.value for doubt in vault.doubts] == ["missing"]
    vault.tell(
        fact.SourceConfigured(at=day(13, 0), origin="person:ann", source=replace(vault.one, archived_by="ann"))
    )
    vault.look(day(13, 1))
    assert vault.found == []
    assert vault.doubts == []


def test_after_everything_was_gone_a_new_snapshot_is_a_good_one_again() -> None:
    vault = a_vault()
    vault.listed.clear()
    vault.look(LOOKED + HOUR)
    vault.listed.append(a_snapshot(day(13, 2)))
    vault.look(day(13, 3))
    assert vault.state(day(13, 3)) is State.GOOD
    assert vault.evidence().finding is None


def test_when_the_newest_snapshots_are_removed_the_older_one_that_is_there_is_held() -> None:
    vault = a_vault()
    del vault.listed[-2:]
    vault.look(LOOKED + HOUR)
    evidence = vault.evidence()
    assert evidence.last_full is not None
    assert evidence.last_full.ended_at == day(10, 2)
    assert evidence.finding == "gone"


def test_retention_that_thins_out_old_snapshots_takes_nothing_back() -> None:
    vault = a_vault()
    vault.listed = vault.listed[::5] + vault.listed[-1:]
    vault.look(LOOKED + HOUR)
    assert vault.evidence().finding is None
    assert vault.state(LOOKED + HOUR) is State.GOOD
    assert vault.evidence().interval == DAY


def test_a_look_that_was_cut_short_takes_nothing_back_and_ends_nothing() -> None:
    vault = a_vault()
    vault.listed.clear()
    vault.look(LOOKED + HOUR, truncated=True)
    assert vault.evidence().finding is None
    assert vault.state(LOOKED + HOUR) is State.GOOD


def test_a_misdated_snapshot_hides_no_miss_neither_now_nor_when_its_moment_has_come() -> None:
    vault = a_vault()
    vault.listed.append(a_snapshot(day(13, 5)))
    vault.look(LOOKED + HOUR)
    assert vault.evidence().last_full is not None
    assert vault.evidence().last_full.ended_at == day(12, 2)
    assert vault.kinds == ["future"]
    vault.look(day(13, 8.1))
    assert vault.state(day(13, 8.1)) is State.MISSED
    assert vault.kinds == ["future"]


def test_a_repository_of_very_many_series_is_found_in_bounded_pieces_and_up_to_a_bound() -> None:
    vault = Vault()
    for number in range(MOST_FOUND + 20):
        vault.listed.append(a_snapshot(FIRST + timedelta(seconds=number), f"host-{number}"))
    changes = vault.look(LOOKED)
    assert len(changes.found) == MOST_NEW
    for _ in range(MOST_FOUND // MOST_NEW + 1):
        vault.look(LOOKED)
    assert len(vault.found) == MOST_FOUND
    assert vault.kinds == ["cut"]


# --- beside configured ones --------------------------------------------------------------------------------------


def with_agent(vault: Vault, **changes: object) -> Source:
    """A configured source of an agent in the same repository, beside what cron makes there."""
    host = a_host("web-1")
    source = a_source("home", host, vault.repository, created_at=MADE, revised_at=MADE, **changes)
    vault.tell(fact.HostEnrolled(at=MADE, origin="test", host=host))
    vault.tell(fact.SourceConfigured(at=MADE, origin="test", source=source))
    return source


def test_what_an_agent_made_is_not_found_a_second_time() -> None:
    vault = Vault()
    source = with_agent(vault)
    vault.nightly(FIRST, 3, "web-1", "/home", tags=(source.tag, "home"))
    vault.nightly(FIRST, 3, "web-1", "/home")
    vault.look(LOOKED)
    assert vault.one.restic_host == "web-1"
    assert vault.fleet.evidence_of(source.id).snapshots == 3
    assert vault.evidence().snapshots == 3


def test_a_configured_source_that_adopts_a_found_one_has_its_history_and_its_own_future() -> None:
    vault = a_vault(11, "/home", hostname="web-1")
    source = with_agent(vault)
    vault.tell(fact.SourceAdopted(at=LOOKED, origin="person:ann", source_id=vault.one.id, into_id=source.id))
    assert vault.found == []
    evidence = vault.fleet.evidence_of(source.id)
    assert evidence.last_full is not None
    assert (evidence.last_full.ended_at, evidence.last_full.source_id) == (day(12, 2), source.id)
    assert evidence.snapshots == 11
    run = a_run(source, day(13, 2.2), Outcome.SUCCESS, snapshot_id="a" * 64)
    vault.tell(fact.RunFinished(at=day(13, 2.2), origin="test", run=run))
    vault.listed.append(
        a_snapshot(day(13, 2), "web-1", "/home", id="a" * 64, short_id="a" * 8, tags=(source.tag, "home"))
    )
    vault.look(day(13, 3))
    evidence = vault.fleet.evidence_of(source.id)
    assert vault.found == []
    assert evidence.snapshots == 12
    assert evidence.finding is None
    assert evidence.last_full is not None
    assert evidence.last_full.id == run.id


def test_history_that_was_adopted_and_then_forgotten_is_taken_back() -> None:
    vault = a_vault(11, "/home", hostname="web-1")
    source = with_agent(vault)
    vault.tell(fact.SourceAdopted(at=LOOKED, origin="person:ann", source_id=vault.one.id, into_id=source.id))
    vault.listed.clear()
    vault.look(LOOKED + HOUR)
    evidence = vault.fleet.evidence_of(source.id)
    assert (evidence.last_full, evidence.finding, evidence.snapshots) == (None, "gone", 0)


def test_only_a_found_source_is_adopted_and_only_within_its_repository() -> None:
    vault = a_vault()
    source = with_agent(vault)
    elsewhere = replace(vault.repository, id=an_id("other"), name="other")
    vault.tell(fact.RepositoryConfigured(at=MADE, origin="test", repository=elsewhere))
    far = a_source("far", a_host("web-1"), elsewhere, created_at=MADE, revised_at=MADE)
    vault.tell(fact.SourceConfigured(at=MADE, origin="test", source=far))
    for child, owner in ((source.id, vault.one.id), (vault.one.id, vault.one.id), (vault.one.id, far.id)):
        with pytest.raises(LastgoodError):
            vault.tell(fact.SourceAdopted(at=LOOKED, origin="person:ann", source_id=child, into_id=owner))


def test_when_the_watch_ends_so_do_the_found_sources_and_no_others() -> None:
    vault = a_vault()
    source = with_agent(vault)
    unwatched = replace(vault.repository, watched_by=None)
    changes = vault.tell(fact.RepositoryConfigured(at=LOOKED, origin="test", repository=unwatched))
    assert vault.found == []
    assert set(vault.fleet.sources) == {source.id}
    assert changes.found
    assert vault.fleet.watched_by_host == {}


def test_a_source_without_a_host_cannot_be_configured_out_of_nothing_or_moved() -> None:
    vault = a_vault()
    source = vault.one
    for told in (replace(source, id=an_id("new")), replace(source, repository_id=an_id("nowhere"))):
        with pytest.raises(LastgoodError):
            vault.tell(fact.SourceConfigured(at=LOOKED, origin="test", source=told))


def test_a_found_source_is_shown_under_the_name_of_its_host_until_that_is_removed() -> None:
    vault = a_vault()
    host = a_host("storage")
    vault.tell(fact.HostEnrolled(at=MADE, origin="test", host=host))
    aliased = replace(vault.one, alias_host_id=host.id)
    vault.tell(fact.SourceConfigured(at=LOOKED, origin="person:ann", source=aliased))
    assert vault.fleet.aliases_of_host == {host.id: (aliased.id,)}
    changes = vault.tell(fact.HostRenamed(at=LOOKED, origin="person:ann", host_id=host.id, name="depot"))
    assert aliased.id in changes.sources
    vault.tell(fact.HostRemoved(at=LOOKED, origin="person:ann", host_id=host.id))
    assert vault.one.alias_host_id is None
    assert vault.fleet.aliases_of_host == {}


def test_an_agent_that_watches_is_believed_and_another_is_not() -> None:
    host = a_host("watcher")
    vault = Vault(watched_by=host.id)
    vault.tell(fact.HostEnrolled(at=MADE, origin="test", host=host))
    vault.nightly(FIRST, 11)
    vault.look(LOOKED, origin=fact.agent_origin(host.id))
    assert vault.state(LOOKED) is State.GOOD
    with pytest.raises(LastgoodError):
        vault.look(LOOKED + HOUR, origin=fact.agent_origin(an_id("stranger")))


def test_the_indexes_are_what_a_restart_would_make_of_the_values() -> None:
    vault = a_vault()
    with_agent(vault)
    again = Fleet()
    again.__dict__.update({**vault.fleet.__dict__, "judging": again.judging})
    before = (dict(vault.fleet.sources_of_repository), dict(vault.fleet.watched_by_host))
    again.reindex()
    assert (again.sources_of_repository, again.watched_by_host) == before
    assert HUB in again.watched_by_host


def test_a_found_source_never_waits_for_an_agents_presence() -> None:
    vault = a_vault()
    assert vault.fleet.presence_of(vault.one.host_id).connected is False
    assert isinstance(vault.evidence().observed_at, datetime)


def test_a_part_of_a_look_says_nothing_of_what_is_not_in_it() -> None:
    vault = a_vault(11, "/a")
    vault.nightly(FIRST, 11, "nas", "/b")
    everything = vault.listed.copy()
    vault.listed = [one for one in everything if one.paths == ("/b",)]
    vault.look(LOOKED + HOUR, part=True, truncated=True)
    assert [one.name for one in vault.found] == ["/a", "/b"]
    assert vault.evidence(vault.called("/b")).snapshots == 11
    assert vault.evidence(vault.called("/a")).finding is None
    evidence = vault.fleet.repository_evidence_of(vault.repository.id)
    assert (evidence.surveyed_at, evidence.whole_at, vault.kinds) == (LOOKED, LOOKED, [])
    vault.listed = everything
    changes = vault.look(LOOKED + HOUR)
    assert changes.found == set()
    assert vault.state(LOOKED + 2 * HOUR, vault.called("/b")) is State.GOOD


def test_a_whole_look_that_shows_nothing_new_is_a_look_all_the_same() -> None:
    vault = a_vault()
    before = vault.evidence()
    vault.look(LOOKED + 4 * HOUR)
    assert vault.evidence() is before
    assert verdict(vault.fleet, vault.one.id, LOOKED + 5 * HOUR).observed_at == LOOKED + 4 * HOUR
