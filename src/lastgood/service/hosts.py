"""The life of a host in the hub: enrolled, renamed, given a new key, removed.

Whoever decided that (a code, a person, the agent itself) has been checked before; facts come out. The one rule: names
are unique whatever their case, so everything that gives a host a name takes its turn here, and what was learned is
looked at before anybody is told that it was done.
"""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

import structlog

from lastgood.clock import Clock
from lastgood.errors import AccessError
from lastgood.fleet.fleet import Fleet
from lastgood.hub.roster import Roster
from lastgood.ids import ulid
from lastgood.model.fact import Fact, HostEnrolled, HostKeyOffered, HostRekeyed, HostRemoved, HostRenamed
from lastgood.model.host import Host
from lastgood.store import records
from lastgood.store.database import Database

LONGEST_NAME = 100
_UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")

_log = structlog.get_logger("lastgood.hosts")


class Take(Protocol):
    async def __call__(self, facts: Sequence[Fact], request_id: str) -> None:
        """Return when the facts are committed and learned; facts of a ``request_id`` seen before change nothing."""


class NameTaken(AccessError):
    """Another host has this name."""

    def __init__(self, name: str, mend: str) -> None:
        super().__init__(f"A host called {name} is here already; {mend}.", status=409)


class Gone(AccessError):
    """The host was there and is not any more."""

    def __init__(self, message: str) -> None:
        super().__init__(message, status=404)


class Hosts:
    """What may be done with hosts; every method answers once it is committed and learned."""

    def __init__(self, fleet: Fleet, take: Take, clock: Clock, database: Database, roster: Roster) -> None:
        self._fleet = fleet
        self._take = take
        self._clock = clock
        self._database = database
        self._roster = roster
        self._naming = asyncio.Lock()

    def get(self, host_id: str) -> Host:
        host = self._fleet.hosts.get(host_id)
        if host is None:
            raise Gone("No host has this id; it may have been removed.")
        return host

    def check_free(self, name: str, own_id: str | None = None, mend: str = "choose another name") -> None:
        """Raises NameTaken if a host other than ``own_id`` is called so."""
        holder = self._fleet.host_ids_by_name.get(name.casefold())
        if holder is not None and holder != own_id:
            raise NameTaken(name, mend)

    async def enrol(self, host: Host, by: str, mend: str) -> Host:
        """Make it a host; asked again with the same id it changes nothing. Raises NameTaken, or Gone if it was
        removed or got another agent meanwhile."""
        async with self._naming:
            held = self._fleet.hosts.get(host.id)
            if held is not None:
                return _of_key(held, host.key)
            self.check_free(host.name, host.id, mend)
            told = HostEnrolled(at=self._clock(), origin=f"person:{by}", host=host)
            await self._take([told], f"enrol:{host.id}")
        held = self._fleet.hosts.get(host.id)
        if held is None:
            self.check_free(host.name, host.id, mend)  # taken through another process of this hub
            raise Gone(f"The host {host.name} was removed meanwhile; enrol this machine with a new code.")
        _log.info("host enrolled", host=host.name, host_id=host.id, by=by)
        return held

    async def enrol_anew(self, host_id: str, key: str, by: str, request_id: str) -> Host:
        """Give an existing host another agent: a new key, the same id, name and sources."""
        async with self._naming:  # the fact carries the whole host, name included
            host = self.get(host_id)
            if host.key == key:
                return host
            anew = replace(host, key=key, next_key=None)
            await self._take([HostEnrolled(at=self._clock(), origin=f"person:{by}", host=anew)], request_id)
        _of_key(self.get(host_id), key)
        self._roster.dismiss(host_id, f"The host {host.name} has another agent by now; enrol this one again.")
        _log.info("host enrolled anew", host=host.name, host_id=host.id, by=by)
        return self.get(host_id)

    async def rename(self, host_id: str, name: str, by: str) -> Host:
        """Call it something else; its id, and what stands in its snapshots, stay."""
        async with self._naming:
            host = self.get(host_id)
            name = checked_name(name)
            if name == host.name:
                return host
            self.check_free(name, host_id)
            now = self._clock()
            told = HostRenamed(at=now, origin=f"person:{by}", host_id=host_id, name=name)
            await self._take([told], f"rename:{ulid(now)}")
        if self.get(host_id).name != name:
            raise NameTaken(name, "choose another name")
        _log.info("host renamed", host=name, before=host.name, host_id=host_id, by=by)
        return self.get(host_id)

    async def remove(self, host_id: str, by: str) -> Host:
        """Forget the host and its sources, and send its agent away for good. No backup is touched."""
        host = self.get(host_id)
        now = self._clock()
        await self._take([HostRemoved(at=now, origin=f"person:{by}", host_id=host_id)], f"remove:{ulid(now)}")
        self._roster.dismiss(
            host_id, f"The host {host.name} was removed from this hub; enrol this machine again to have it back."
        )
        await self._database.write(partial(records.forget_presence, host_id=host_id))
        _log.info("host removed", host=host.name, host_id=host_id, by=by)
        return host

    async def offer_key(self, host_id: str, key: str, held: str) -> None:
        """The agent proved this key with ``held``, the one in force; both let it in from now on. Raises Gone if
        another agent was enrolled meanwhile."""
        async with self._naming:  # an enrolment anew that is under way ends what was proved with the key before
            host = _of_key(self.get(host_id), held)
            if key not in (host.key, host.next_key):
                now = self._clock()
                told = HostKeyOffered(at=now, origin=f"agent:{host_id}", host_id=host_id, key=key)
                await self._take([told], f"key:{ulid(now)}")

    async def use_key(self, host_id: str, key: str) -> None:
        """The agent proved to hold the key that it had offered: the one before it ends, and so does a connection
        that was made with it."""
        host = self.get(host_id)
        if key == host.next_key:
            await self.rekeyed(host_id, key)
            self._roster.renew(host_id, "the agent has a new key; connect again")

    async def rekeyed(self, host_id: str, key: str) -> None:
        now = self._clock()
        told = HostRekeyed(at=now, origin=f"agent:{host_id}", host_id=host_id, key=key)
        await self._take([told], f"rekey:{ulid(now)}")
        _log.info("host has a new key", host=self.get(host_id).name, host_id=host_id)


def _of_key(host: Host, key: str) -> Host:
    """The host, if its agent is the one with this key; raises Gone if another came since."""
    if host.key != key:
        raise Gone(f"Another agent was enrolled for {host.name} since; make a new code.")
    return host


def checked_name(text: str) -> str:
    """A name that a host may have. Raises AccessError (status 422)."""
    name = text.strip()
    if not name:
        raise AccessError("The host's name is empty; write one.", status=422)
    if len(name) > LONGEST_NAME:
        raise AccessError(f"The host's name is longer than {LONGEST_NAME} characters; shorten it.", status=422)
    if name.startswith("-") or any(unicodedata.category(character) in _UNSEEN for character in name):
        raise AccessError(
            "The host's name begins with a dash or holds characters that nobody can see; choose another.", status=422
        )
    return name
