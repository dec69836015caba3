"""What agents are given to do."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from lastgood.fleet.fleet import Fleet
from lastgood.fleet.learn import learn
from lastgood.model.fact import HostEnrolled, RepositoryConfigured, RepositoryProbed, SourceConfigured
from lastgood.model.repository import Probe, Repository, Slot
from lastgood.model.retention import Retention
from lastgood.service.assignment import (
    assignment,
    nothing_held,
    size,
    too_large,
    with_repository,
    with_source,
)
from lastgood.wire.frames import Held
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


def a_held_repository(*slots: Slot) -> tuple[Fleet, list[str]]:
    fleet, hosts = a_shared_repository()
    held = replace(a_repository(), held=slots, held_revision="r1")
    learn(fleet, RepositoryConfigured(at=NOW, origin="test", repository=held))
    return fleet, hosts


def held(repository: Repository, slot: Slot) -> Held:
    return Held(password=f"canary {slot.value} of {repository.name}")


def test_what_the_hub_holds_goes_to_the_hosts_that_use_it() -> None:
    fleet, (first, second) = a_held_repository(Slot.EVERYDAY)
    for host_id in (first, second):
        (access,) = assignment(fleet, host_id, held).repositories
        assert access.held == Held(password="canary everyday of vault")
        assert access.admin is None


def test_the_credentials_that_may_delete_go_only_where_old_snapshots_are_forgotten() -> None:
    fleet, (first, second) = a_held_repository(Slot.EVERYDAY, Slot.ADMIN)
    source = fleet.sources[fleet.sources_of_host[second][0]]
    learn(fleet, SourceConfigured(at=NOW, origin="test", source=replace(source, keep=Retention(daily=7))))
    assert assignment(fleet, first, held).repositories[0].admin is None
    given = assignment(fleet, second, held)
    assert given.repositories[0].admin == Held(password="canary admin of vault")
    assert given.orders[0].keep == Retention(daily=7)


def test_the_version_follows_the_revision_and_tells_nothing_of_what_is_held() -> None:
    fleet, (first, _) = a_held_repository(Slot.EVERYDAY)
    one = assignment(fleet, first, held)
    other = assignment(fleet, first, lambda repository, slot: Held(password="something else"))
    assert one.version == other.version
    changed = replace(fleet.repositories[a_repository().id], held_revision="r2")
    learn(fleet, RepositoryConfigured(at=NOW, origin="test", repository=changed))
    assert assignment(fleet, first, held).version != one.version


def test_orders_that_would_not_fit_into_a_message_are_seen_before_they_are_given() -> None:
    fleet, (first, second) = a_shared_repository()
    source = fleet.sources[fleet.sources_of_host[first][0]]
    view = fleet.view()
    small = replace(source, paths=("/data",))
    large = replace(source, paths=tuple(f"/data/{number:0500}" for number in range(2_000)))
    assert too_large(with_source(view, small), first, nothing_held) is None
    told = too_large(with_source(view, large), first, nothing_held)
    assert told is not None
    assert "960 KiB" in told
    assert too_large(with_source(view, large), second, nothing_held) is None
    assert view.sources[source.id] == source
    long = replace(a_repository(), url="/" + "x" * 4000)
    assert size(assignment(with_repository(view, long), first)) > size(assignment(view, first)) + 3900


def test_a_host_that_watches_a_repository_is_given_access_to_it_without_an_order() -> None:
    fleet, (first, _) = a_shared_repository()
    watcher = a_host("watcher")
    learn(fleet, HostEnrolled(at=NOW, origin="test", host=watcher))
    changes = learn(
        fleet,
        RepositoryConfigured(at=NOW, origin="test", repository=replace(a_repository(), watched_by=watcher.id)),
    )
    assert watcher.id in changes.orders
    given = assignment(fleet, watcher.id)
    (access,) = given.repositories
    assert (access.id, access.watch, access.initialise, given.orders) == (a_repository().id, True, False, ())
    (others,) = assignment(fleet, first).repositories
    assert not others.watch
    learn(fleet, RepositoryConfigured(at=NOW, origin="test", repository=a_repository()))
    assert assignment(fleet, watcher.id).repositories == ()
