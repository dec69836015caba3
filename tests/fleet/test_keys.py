"""Keys of hosts in the fold: one is offered, one is used, and none changes without having been offered."""

from __future__ import annotations

import pytest

from lastgood.fleet.fleet import Fleet
from lastgood.fleet.learn import Unlearnable, learn
from lastgood.model.fact import HostEnrolled, HostKeyOffered, HostRekeyed
from lastgood.model.host import Host
from tests.builders import NOW, a_host

AT = {"at": NOW, "origin": "test"}


def a_fleet() -> tuple[Fleet, Host]:
    fleet, host = Fleet(), a_host(key="old")
    learn(fleet, HostEnrolled(**AT, host=host))
    return fleet, host


def test_an_offered_key_stands_beside_the_old_one_until_it_is_used() -> None:
    fleet, host = a_fleet()
    changes = learn(fleet, HostKeyOffered(**AT, host_id=host.id, key="new"))
    assert (fleet.hosts[host.id].key, fleet.hosts[host.id].next_key) == ("old", "new")
    assert changes.hosts == {host.id}
    learn(fleet, HostRekeyed(**AT, host_id=host.id, key="new"))
    assert (fleet.hosts[host.id].key, fleet.hosts[host.id].next_key) == ("new", None)


def test_the_key_in_force_offered_again_takes_an_offer_back() -> None:
    fleet, host = a_fleet()
    learn(fleet, HostKeyOffered(**AT, host_id=host.id, key="new"))
    learn(fleet, HostKeyOffered(**AT, host_id=host.id, key="old"))
    assert fleet.hosts[host.id] == host


def test_a_key_that_was_never_offered_changes_nothing() -> None:
    fleet, host = a_fleet()
    with pytest.raises(Unlearnable, match="never offered"):
        learn(fleet, HostRekeyed(**AT, host_id=host.id, key="other"))
    assert fleet.hosts[host.id] == host
