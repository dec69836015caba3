"""The backup_* vocabulary: one row a source, and what a row says when things are not plain."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from lastgood.fleet.fleet import Fleet
from lastgood.metrics import backup
from lastgood.model.job import Outcome
from lastgood.model.repository import RepositoryState
from lastgood.model.source import Source, State
from tests.builders import (
    NOW,
    a_host,
    a_repository,
    a_run,
    a_source,
    put_host,
    put_repository,
    put_source,
    some_evidence,
)

FAMILIES = {family.name: family for family in backup.FAMILIES}


def a_fleet_with(source: Source, **evidence: Any) -> Fleet:
    fleet = Fleet()
    fleet.judging.evaluated_at = NOW
    put_host(fleet, a_host())
    put_repository(fleet, a_repository())
    put_source(fleet, source, some_evidence(**evidence))
    return fleet


def value(fleet: Fleet, name: str, entity_id: str) -> Any:
    return FAMILIES[name].value(fleet.view(), entity_id)


def epoch(at: datetime) -> int:
    return int(at.timestamp())


def test_the_labels_are_id_tool_host_name_and_repository() -> None:
    source = a_source()
    fleet = a_fleet_with(source)
    labels = FAMILIES["backup_source_info"].labels
    assert labels is not None
    assert labels(fleet.view(), source.id) == (source.id, "restic", "web-1", "home", "vault")


def test_a_renamed_host_changes_the_label_and_a_removed_one_leaves_its_name_in_restic() -> None:
    source = a_source()
    fleet = a_fleet_with(source)
    labels = FAMILIES["backup_source_info"].labels
    assert labels is not None
    fleet.hosts[source.host_id] = replace(fleet.hosts[source.host_id], name="db-1")
    assert labels(fleet.view(), source.id)[2] == "db-1"
    del fleet.hosts[source.host_id]
    assert labels(fleet.view(), source.id)[2] == "web-1"


@pytest.mark.parametrize("state", State)
def test_only_the_current_state_has_a_row(state: State) -> None:
    source = a_source()
    fleet = a_fleet_with(source)
    fleet.judging.states[source.id] = state
    family = FAMILIES["backup_source_state"]
    assert family.labels is not None
    assert family.labels(fleet.view(), source.id)[-1] == str(state)
    assert value(fleet, "backup_source_state", source.id) == 1


def test_a_source_that_was_never_judged_has_no_state() -> None:
    source = a_source()
    fleet = a_fleet_with(source)
    del fleet.judging.states[source.id]
    assert value(fleet, "backup_source_state", source.id) is None


def test_a_failed_attempt_leaves_the_last_good_backup_standing() -> None:
    source = a_source()
    good, bad = a_run(source, NOW - timedelta(days=1)), a_run(source, NOW, Outcome.FAILED)
    fleet = a_fleet_with(source, run=bad, last_full=good)
    assert value(fleet, "backup_last_good_timestamp_seconds", source.id) == epoch(good.ended_at)
    assert value(fleet, "backup_last_good_start_timestamp_seconds", source.id) == epoch(good.started_at)
    assert value(fleet, "backup_last_size_bytes", source.id) == good.size_bytes
    assert value(fleet, "backup_last_attempt_timestamp_seconds", source.id) == epoch(bad.ended_at)
    assert value(fleet, "backup_last_attempt_success", source.id) == 0


def test_a_partial_attempt_is_good_only_where_the_source_accepts_it() -> None:
    for accepts in (False, True):
        source = a_source(accept_partial=accepts)
        fleet = a_fleet_with(source, run=a_run(source, outcome=Outcome.PARTIAL))
        assert value(fleet, "backup_last_attempt_success", source.id) == accepts
        assert (value(fleet, "backup_last_good_timestamp_seconds", source.id) is not None) is accepts


def test_a_source_that_never_ran_has_no_rows_about_backups() -> None:
    source = a_source()
    fleet = a_fleet_with(source)
    silent = [name for name in FAMILIES if name.startswith("backup_last_") and value(fleet, name, source.id) is None]
    assert len(silent) == 7
    assert value(fleet, "backup_source_running", source.id) == 0


def test_the_target_is_the_operators_word_before_the_schedules() -> None:
    told, scheduled = a_source(target=timedelta(hours=26)), a_source()
    assert value(a_fleet_with(told), "backup_target_seconds", told.id) == 26 * 3600
    assert value(a_fleet_with(scheduled), "backup_target_seconds", scheduled.id) == 24 * 3600
    assert value(a_fleet_with(scheduled, interval=None), "backup_target_seconds", scheduled.id) is None


def test_nothing_is_due_of_an_archived_source() -> None:
    source = a_source(archived_by="ann")
    assert value(a_fleet_with(source), "backup_due_timestamp_seconds", source.id) is None


def test_what_is_observed_follows_the_evaluation_while_the_agent_is_connected() -> None:
    source = a_source()
    fleet = a_fleet_with(source, observed_at=NOW - timedelta(hours=5))
    assert value(fleet, "backup_observed_timestamp_seconds", source.id) == epoch(NOW)
    put_host(fleet, a_host(), online=False)
    assert value(fleet, "backup_observed_timestamp_seconds", source.id) == epoch(NOW - timedelta(hours=2))
    fleet.judging.evaluated_at = None
    assert value(fleet, "backup_observed_timestamp_seconds", source.id) is None


@pytest.mark.parametrize(
    ("state", "told"), [(RepositoryState.UP, 1), (RepositoryState.DOWN, 0), (RepositoryState.UNKNOWN, None)]
)
def test_a_repository_nobody_looked_into_is_neither_up_nor_down(state: RepositoryState, told: int | None) -> None:
    fleet = Fleet()
    repository = put_repository(fleet, a_repository(), state=state)
    assert value(fleet, "backup_repository_up", repository.id) == told


def test_a_found_source_bears_the_name_that_restic_wrote_or_that_of_the_host_it_was_given() -> None:
    source = a_source(host_id=None, restic_host="nas", schedule=None)
    fleet = a_fleet_with(source)
    labels = FAMILIES["backup_source_info"].labels
    assert labels is not None
    assert labels(fleet.view(), source.id) == (source.id, "restic", "nas", "home", "vault")
    fleet.sources[source.id] = replace(source, alias_host_id=a_host().id)
    assert labels(fleet.view(), source.id) == (source.id, "restic", "web-1", "home", "vault")


def test_a_whole_look_says_up_to_when_a_found_source_is_known() -> None:
    source = a_source(host_id=None, restic_host="nas", schedule=None)
    fleet = a_fleet_with(source, observed_at=NOW - timedelta(hours=3))
    looked_at = NOW - timedelta(minutes=10)
    before = fleet.repository_evidence[source.repository_id]
    fleet.repository_evidence[source.repository_id] = replace(before, whole_at=looked_at)
    assert value(fleet, "backup_observed_timestamp_seconds", source.id) == epoch(looked_at)
