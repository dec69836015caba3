"""What agents are given to do."""

from __future__ import annotations

from datetime import timedelta

from lastgood.fleet.fleet import Fleet
from lastgood.fleet.learn import learn
from lastgood.model.fact import HostEnrolled, RepositoryConfigured, RepositoryProbed, SourceConfigured
from lastgood.model.repository import Probe
from lastgood.service.assignment import assignment
from tests.builders import NOW, a_host, a_repository, a_source


def a_shared_repository() -> tuple[Fleet, list[str]]:
    """Two hosts whose sources go into one repository, and their ids in the order of the sources."""
    fleet = Fleet()
    learn(fleet, RepositoryConfigured(at=NOW, origin="test", repository=a_repository()))
    for host in (a_host("web-1"), a_host("db-1")):
        learn(fleet, HostEnrolled(at=NOW, origin="test", host=host))
        learn(fleet, SourceConfigured(at=NOW, origin="test", source=a_source(host.name, host)))
    order = [fleet.sources[i].host_id for i in fleet.sources_of_repository[a_repository().id]]
    return fleet, order


def may_make(fleet: Fleet, host_id: str) -> bool:
    (access,) = assignment(fleet, host_id).repositories
    return access.initialise


def test_two_hosts_that_begin_at_the_same_minute_both_made_their_repository() -> None:
    fleet, (first, second) = a_shared_repository()
    assert may_make(fleet, first)
    assert not may_make(fleet, second)


def test_nobody_makes_a_repository_that_was_seen() -> None:
    fleet, hosts = a_shared_repository()
    seen = RepositoryProbed(
        at=NOW,
        origin="test",
        repository_id=a_repository().id,
        probe=Probe.READY,
        probed_at=NOW - timedelta(seconds=1),
        identity="a",
    )
    learn(fleet, seen)
    assert not any(may_make(fleet, host_id) for host_id in hosts)
