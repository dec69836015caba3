"""The quick start's own host: what ``lastgood up`` enrols and configures, found again at the next start. Pure.

The one rule: asked twice with the same wish it answers no facts the second time, so an interrupted start is
finished by the next one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count
from pathlib import Path

from lastgood.errors import ConfigError
from lastgood.fleet.fleet import Fleet
from lastgood.model.fact import Fact, HostEnrolled, RepositoryConfigured, SourceConfigured
from lastgood.model.host import Host
from lastgood.model.job import Schedule
from lastgood.model.repository import Repository
from lastgood.model.source import Source

ORIGIN = "person:lastgood up"
LOCAL = "local"
"""The name of the repository in the data folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the person at the terminal asked for.

    ``repository`` is an address of restic's; ``own`` says that it is the one in the data folder. ``schedule`` None
    keeps what is there, else every night at two.
    """

    host_name: str
    agent_key: str
    repository: str
    password_file: Path
    source: Path
    schedule: Schedule | None
    zone: str
    own: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalPlan:
    """The facts still missing, and the things they speak of."""

    facts: tuple[Fact, ...]
    host_id: str
    repository_id: str
    source: Source


def plan(fleet: Fleet, wish: Wish, now: datetime, mint: Callable[[], str]) -> LocalPlan:
    """What is to be told so that the wish is fulfilled. Raises ConfigError where it cannot be."""
    facts: list[Fact] = []
    host = _host(fleet, wish, now, mint, facts)
    repository = _repository(fleet, wish, now, mint, facts)
    source = _source(fleet, wish, host, repository, now, mint, facts)
    return LocalPlan(facts=tuple(facts), host_id=host.id, repository_id=repository.id, source=source)


def _host(fleet: Fleet, wish: Wish, now: datetime, mint: Callable[[], str], facts: list[Fact]) -> Host:
    for host in fleet.hosts.values():
        if host.key == wish.agent_key:
            return host
    same_name = fleet.host_ids_by_name.get(wish.host_name.casefold())
    if same_name is not None:
        # The agent's folder was lost, the database was not: the same machine with a new key.
        host = replace(fleet.hosts[same_name], key=wish.agent_key)
    else:
        host = Host(id=mint(), name=wish.host_name, key=wish.agent_key, enrolled_at=now)
    facts.append(HostEnrolled(at=now, origin=ORIGIN, host=host))
    return host


def _repository(fleet: Fleet, wish: Wish, now: datetime, mint: Callable[[], str], facts: list[Fact]) -> Repository:
    password_file = str(wish.password_file)
    for repository in fleet.repositories.values():
        if repository.url == wish.repository:
            if repository.password_file == password_file:
                return repository
            moved = replace(repository, password_file=password_file)
            facts.append(RepositoryConfigured(at=now, origin=ORIGIN, repository=moved))
            return moved
        if wish.own and repository.name == LOCAL:
            raise ConfigError(
                f"This data folder knows its repository at {repository.url}, not at {wish.repository}; "
                "was the folder moved? Move it back, or start with a new --data-dir."
            )
    name = LOCAL if wish.own else _free_name(fleet, wish.repository)
    made = Repository(id=mint(), name=name, url=wish.repository, added_at=now, password_file=password_file)
    facts.append(RepositoryConfigured(at=now, origin=ORIGIN, repository=made))
    return made


def _free_name(fleet: Fleet, url: str) -> str:
    """A name that tells the address: its last part, with a number if another has it."""
    taken = {repository.name.casefold() for repository in fleet.repositories.values()} | {LOCAL}
    base = url.rstrip("/").replace(":", "/").rpartition("/")[2] or "repository"
    return next(name for n in count(1) if (name := base if n == 1 else f"{base} {n}").casefold() not in taken)


def _source(
    fleet: Fleet,
    wish: Wish,
    host: Host,
    repository: Repository,
    now: datetime,
    mint: Callable[[], str],
    facts: list[Fact],
) -> Source:
    paths = (str(wish.source),)
    for source_id in fleet.sources_of_host.get(host.id, ()):
        source = fleet.sources[source_id]
        if source.paths != paths or source.repository_id != repository.id:
            continue
        if wish.schedule is None or wish.schedule == source.schedule:
            return source
        changed = replace(source, schedule=wish.schedule, revised_at=now)
        facts.append(SourceConfigured(at=now, origin=ORIGIN, source=changed))
        return changed
    made = Source(
        id=mint(),
        name=str(wish.source),
        host_id=host.id,
        repository_id=repository.id,
        paths=paths,
        restic_host=host.name,
        created_at=now,
        revised_at=now,
        schedule=wish.schedule or Schedule(cron="0 2 * * *", zone=wish.zone),
    )
    facts.append(SourceConfigured(at=now, origin=ORIGIN, source=made))
    return made
