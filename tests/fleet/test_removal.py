"""A repository that is removed: what goes with it, what holds it back, and what stays."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from lastgood.fleet.fleet import Fleet
from lastgood.fleet.learn import Unlearnable, learn
from lastgood.model import fact
from lastgood.model.job import Outcome, RunKind
from lastgood.model.repository import Probe
from tests.builders import NOW, a_host, a_repository, a_run, a_run_start, a_source, an_alert
from tests.facts import knowledge

AT = {"at": NOW, "origin": "test"}
HOST = a_host()
VAULT, ATTIC = a_repository("vault"), a_repository("attic")
STAYS, GOES = a_source("stays", HOST, VAULT), a_source("goes", HOST, ATTIC)


def a_story() -> Fleet:
    """One host with a source in each of two repositories, both backed up; that of the attic is newer."""
    fleet = Fleet()
    for told in (
        fact.HostEnrolled(**AT, host=HOST),
        fact.RepositoryConfigured(**AT, repository=VAULT),
        fact.RepositoryConfigured(**AT, repository=ATTIC),
        fact.SourceConfigured(**AT, source=STAYS),
        fact.SourceConfigured(**AT, source=GOES),
        fact.RunFinished(**AT, run=a_run(STAYS, NOW - timedelta(hours=9))),
        fact.RunFinished(**AT, run=a_run(GOES, NOW - timedelta(hours=8))),
        fact.RepositoryProbed(**AT, repository_id=ATTIC.id, probe=Probe.READY, probed_at=NOW, identity="a"),
        fact.RunStarted(**AT, run=a_run_start(GOES)),
        fact.RunStarted(**AT, run=a_run_start(GOES, kind=RunKind.CHECK, id="check", source_id=None)),
        fact.AlertOpened(**AT, alert=an_alert(source=GOES)),
        fact.AlertOpened(**AT, alert=an_alert("backup_partial", source=STAYS)),
    ):
        learn(fleet, told)
    return fleet


def remove(fleet: Fleet) -> None:
    learn(fleet, fact.RepositoryRemoved(**AT, repository_id=ATTIC.id))


def archive(fleet: Fleet) -> None:
    learn(fleet, fact.SourceConfigured(**AT, source=replace(GOES, archived_by="ann")))


def test_a_repository_that_a_source_needs_stays_and_nothing_changes() -> None:
    fleet, before = a_story(), knowledge(a_story())
    with pytest.raises(Unlearnable, match="still to be backed up"):
        remove(fleet)
    assert knowledge(fleet) == before
    with pytest.raises(Unlearnable, match="no repository"):
        learn(fleet, fact.RepositoryRemoved(**AT, repository_id="none"))


def test_its_archived_sources_runs_alerts_and_evidence_go_with_it() -> None:
    fleet = a_story()
    archive(fleet)
    changes = learn(fleet, fact.RepositoryRemoved(**AT, repository_id=ATTIC.id))
    assert (set(fleet.repositories), set(fleet.sources)) == ({VAULT.id}, {STAYS.id})
    assert set(fleet.evidence) == {STAYS.id}
    assert fleet.running == {}
    assert ATTIC.id not in fleet.repository_evidence
    assert {key.entity_id for key in fleet.alerts} == {STAYS.id}
    assert changes.repositories >= {ATTIC.id}
    assert changes.sources == {GOES.id}
    assert changes.hosts == {HOST.id}
    assert {"check"} < changes.runs


def test_the_newest_backup_of_the_host_is_then_one_that_stays() -> None:
    fleet = a_story()
    assert fleet.last_backups[HOST.id].source_id == GOES.id
    archive(fleet)
    remove(fleet)
    assert fleet.last_backups[HOST.id].source_id == STAYS.id


def test_every_index_is_as_if_it_had_been_made_anew() -> None:
    fleet = a_story()
    archive(fleet)
    remove(fleet)
    told = knowledge(fleet)
    fleet.reindex()
    assert knowledge(fleet) == told


def test_a_run_that_ends_later_in_a_repository_that_is_gone_is_told_apart() -> None:
    fleet = a_story()
    archive(fleet)
    remove(fleet)
    late = a_run(GOES, NOW, Outcome.FAILED, kind=RunKind.CHECK, id="check", source_id=None)
    learn(fleet, fact.RunFinished(**AT, run=late))
    assert ATTIC.id not in fleet.repository_evidence
