"""Facts about the keys of hosts -> fleet. Called by ``learn`` alone.

The one rule: the key in force changes only to one that was offered under it, and from then on the old one is gone.
"""

from __future__ import annotations

from dataclasses import replace

from lastgood.fleet.changes import Changes, Unlearnable, known
from lastgood.fleet.fleet import Fleet
from lastgood.model import fact


def offered(fleet: Fleet, told: fact.HostKeyOffered, changes: Changes) -> None:
    host = known(fleet.hosts, told.host_id, "host")
    fleet.hosts[host.id] = replace(host, next_key=told.key if told.key != host.key else None)
    changes.hosts.add(host.id)


def used(fleet: Fleet, told: fact.HostRekeyed, changes: Changes) -> None:
    host = known(fleet.hosts, told.host_id, "host")
    if told.key not in (host.key, host.next_key):
        raise Unlearnable(f"Host {host.id} used a key that it had never offered.")
    fleet.hosts[host.id] = replace(host, key=told.key, next_key=None)
    changes.hosts.add(host.id)
