"""The rm_* vocabulary: exactly what its reference promises, and the edges the reference leaves open."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from lastgood.fleet.fleet import Fleet
from lastgood.metrics import rm
from lastgood.metrics.family import Type
from lastgood.model.job import Outcome
from lastgood.model.repository import NO_REPOSITORY_EVIDENCE, Probe, RepositoryEvidence
from tests.builders import (
    NOW,
    a_fleet,
    a_host,
    a_repository,
    a_run,
    a_source,
    put_host,
    put_repository,
    put_source,
    some_evidence,
    some_repository_evidence,
)

PROMISED = {
    "rm_hosts_total": (Type.GAUGE, ()),
    "rm_hosts_online": (Type.GAUGE, ()),
    "rm_active_alerts": (Type.GAUGE, ("severity",)),
    "rm_build_info": (Type.GAUGE, ("version", "commit", "go_version")),
    "rm_host_agent_online": (Type.GAUGE, ("host_id", "host")),
    "rm_host_last_backup_timestamp_seconds": (Type.GAUGE, ("host_id", "host")),
    "rm_host_last_backup_success": (Type.GAUGE, ("host_id", "host")),
    "rm_host_repo_size_bytes": (Type.GAUGE, ("host_id", "host")),
    "rm_host_snapshot_count": (Type.GAUGE, ("host_id", "host")),
    "rm_host_open_alerts": (Type.GAUGE, ("host_id", "host")),
    "rm_host_repo_status": (Type.GAUGE, ("host_id", "host", "status")),
    "rm_job_duration_seconds": (Type.HISTOGRAM, ("kind", "status")),
}


def test_names_types_and_labels_are_those_of_the_reference() -> None:
    assert {f.name: (f.type, f.label_names) for f in rm.vocabulary().families} == PROMISED


def test_the_buckets_are_those_of_the_reference() -> None:
    histogram = next(f for f in rm.families() if f.name == "rm_job_duration_seconds")
    assert histogram.bounds == (1, 5, 30, 60, 300, 1800, 3600, 21600, 86400)


def value(fleet: Fleet, name: str, host_id: str, **settings: Any) -> Any:
    family = next(family for family in rm.families(**settings) if family.name == name)
    return family.value(fleet.view(), host_id)


@pytest.mark.parametrize(
    ("outcome", "accepts", "counts"),
    [
        (Outcome.SUCCESS, False, 1),
        (Outcome.UNCHANGED, False, 1),
        (Outcome.PARTIAL, False, 0),
        (Outcome.PARTIAL, True, 1),
        (Outcome.FAILED, False, 0),
        (Outcome.FAILED, True, 0),
        (Outcome.LOST, False, 0),
    ],
)
def test_success_is_one_for_a_good_backup_only(outcome: Outcome, accepts: bool, counts: int) -> None:
    fleet = Fleet()
    host, repository = put_host(fleet, a_host()), put_repository(fleet, a_repository())
    source = a_source("home", host, repository, accept_partial=accepts)
    put_source(fleet, source, some_evidence(a_run(source, outcome=outcome)))
    assert value(fleet, "rm_host_last_backup_success", host.id) == counts
    lenient = value(fleet, "rm_host_last_backup_success", host.id, partial_is_success=True)
    assert lenient == (1 if outcome is Outcome.PARTIAL else counts)
    assert value(fleet, "rm_host_last_backup_timestamp_seconds", host.id) == (NOW - timedelta(hours=10)).timestamp()


def test_a_success_that_names_no_snapshot_is_not_told_as_one() -> None:
    fleet = Fleet()
    host = put_host(fleet, a_host())
    source = a_source("home", host, put_repository(fleet, a_repository()))
    put_source(fleet, source, some_evidence(a_run(source, snapshot_id=None)))
    assert value(fleet, "rm_host_last_backup_success", host.id) == 0
    assert value(fleet, "rm_host_last_backup_success", host.id, partial_is_success=True) == 0


def test_a_host_that_never_backed_up_and_has_no_repository_has_no_rows_about_them() -> None:
    fleet = Fleet()
    host = put_host(fleet, a_host())
    for name in ("last_backup_success", "last_backup_timestamp_seconds", "repo_size_bytes", "snapshot_count"):
        assert value(fleet, f"rm_host_{name}", host.id) is None
    assert value(fleet, "rm_host_open_alerts", host.id) == 0
    assert value(fleet, "rm_host_agent_online", host.id) == 1
    assert rm.repo_status(fleet.view(), host.id) == "unknown"


def test_size_and_snapshots_add_up_over_the_repositories_of_a_host_each_once() -> None:
    fleet = Fleet()
    host = put_host(fleet, a_host())
    first = put_repository(fleet, a_repository("one"), some_repository_evidence(size_bytes=10, snapshots=0))
    second = put_repository(fleet, a_repository("two"), some_repository_evidence(size_bytes=32, snapshots=5))
    third = put_repository(fleet, a_repository("three"), some_repository_evidence(size_bytes=None, snapshots=None))
    for name, repository in (("a", first), ("b", first), ("c", second), ("d", third)):
        put_source(fleet, a_source(name, host, repository))
    assert value(fleet, "rm_host_repo_size_bytes", host.id) == 42
    assert value(fleet, "rm_host_snapshot_count", host.id) == 5


@pytest.mark.parametrize(
    ("evidences", "status"),
    [
        ([some_repository_evidence()], "ready"),
        ([NO_REPOSITORY_EVIDENCE], "unknown"),
        ([some_repository_evidence(), NO_REPOSITORY_EVIDENCE], "unknown"),
        ([RepositoryEvidence(probe=Probe.UNREACHABLE)], "unknown"),
        ([RepositoryEvidence(probe=Probe.REFUSED)], "unknown"),
        ([some_repository_evidence(probe=Probe.UNREACHABLE)], "ready"),
        ([some_repository_evidence(probe=Probe.MISSING)], "init_failed"),
        ([some_repository_evidence(probe=Probe.WRONG_PASSWORD), NO_REPOSITORY_EVIDENCE], "init_failed"),
        ([RepositoryEvidence(probe=Probe.UNREACHABLE, init_failed=True), some_repository_evidence()], "init_failed"),
        ([some_repository_evidence(init_failed=True)], "ready"),
    ],
)
def test_repo_status_is_the_worst_word_of_a_hosts_repositories(
    evidences: list[RepositoryEvidence], status: str
) -> None:
    fleet = Fleet()
    host = put_host(fleet, a_host())
    for number, evidence in enumerate(evidences):
        repository = put_repository(fleet, a_repository(f"vault-{number}"), evidence)
        put_source(fleet, a_source(f"data-{number}", host, repository))
    assert rm.repo_status(fleet.view(), host.id) == status


def test_hosts_online_counts_the_hosts_that_have_rows() -> None:
    fleet = a_fleet(3)
    gone = put_host(fleet, a_host("removed"))
    del fleet.hosts[gone.id]
    fleet.judging.forget_host(gone.id)
    put_host(fleet, a_host("asleep"), online=False)
    assert value(fleet, "rm_hosts_online", "") == 3
    assert value(fleet, "rm_hosts_total", "") == 4
