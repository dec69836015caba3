"""All we know now: plain values in dictionaries, their indexes, and the frozen moment that faces read.

Facts come in through ``fleet/learn.py`` and nowhere else; presence (heartbeats) and what was last told (states) are
kept beside them, in memory only. Owned by the event loop, so there are no locks. The one rule: the same facts in the
same order give the same fleet; nothing of presence or the clock may leak into what is learned.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lastgood.fleet.durations import Durations
from lastgood.fleet.standing import Counts, counts
from lastgood.fleet.subjects import subjects_of
from lastgood.model.alert import Alert, AlertKey, Severity
from lastgood.model.collected import CollectorHealth
from lastgood.model.docker import DockerHost, Subject
from lastgood.model.host import ABSENT, Host, Presence
from lastgood.model.job import Run, RunKind, RunStart
from lastgood.model.repository import NO_REPOSITORY_EVIDENCE, Repository, RepositoryEvidence, RepositoryState
from lastgood.model.source import NO_EVIDENCE, Evidence, Source, State
from lastgood.model.stack import DeployStart, StackDeploys, StackKey

START_GRACE = timedelta(minutes=15)
"""How long after a start of our own, silence is no evidence against anybody."""


@dataclass(slots=True)
class Judging:
    """Inputs and latest answers of the judge that are no facts.

    ``blind_until`` ends the window after a start of ours in which unknown is not alerted. ``evaluated_at`` is the
    moment for which ``states``, ``online`` and ``repository_states`` hold; scrape, pages, API and rules all speak
    from them.
    """

    presence: dict[str, Presence] = field(default_factory=dict)
    blind_until: datetime | None = None
    evaluated_at: datetime | None = None
    states: dict[str, State] = field(default_factory=dict)
    online: dict[str, bool] = field(default_factory=dict)
    repository_states: dict[str, RepositoryState] = field(default_factory=dict)
    collectors: dict[str, CollectorHealth] = field(default_factory=dict)
    """How each configured collector fares, by name; its timetable tells."""
    hosts_online: int = 0
    """How many of ``online`` are; kept by the functions below, so that nobody has to count."""
    degraded: set[str] = field(default_factory=set)
    """Those of the hosts that are online which are not well."""

    def tell_online(self, host_id: str, online: bool) -> None:
        self.hosts_online += online - self.online.get(host_id, False)
        self.online[host_id] = online
        if not online:
            self.degraded.discard(host_id)

    def tell_degraded(self, host_id: str, degraded: bool) -> None:
        if degraded and self.online.get(host_id):
            self.degraded.add(host_id)
        else:
            self.degraded.discard(host_id)

    def forget_host(self, host_id: str) -> None:
        self.hosts_online -= self.online.pop(host_id, False)
        self.degraded.discard(host_id)
        self.presence.pop(host_id, None)


class Fleet:
    """Everything learned, keyed by id, with the indexes that carry a change to what reads it."""

    def __init__(self) -> None:
        self.hosts: dict[str, Host] = {}
        self.repositories: dict[str, Repository] = {}
        self.sources: dict[str, Source] = {}
        self.evidence: dict[str, Evidence] = {}
        self.repository_evidence: dict[str, RepositoryEvidence] = {}
        self.last_backups: dict[str, Run] = {}
        """Host id -> the newest counted backup attempt of any of its sources."""
        self.running: dict[str, RunStart] = {}
        self.alerts: dict[AlertKey, Alert] = {}
        self.durations = Durations()
        self.deploying: dict[str, DeployStart] = {}
        self.deploys: dict[StackKey, StackDeploys] = {}
        self.docker: dict[str, DockerHost] = {}
        """Host id -> what is known of its container engine."""
        self.counters: Counter[str] = Counter()
        """Totals that survive a restart, by the names of ``fleet/learn.py``."""

        self.sources_of_host: dict[str, tuple[str, ...]] = {}
        self.sources_of_repository: dict[str, tuple[str, ...]] = {}
        self.aliases_of_host: dict[str, tuple[str, ...]] = {}
        """Host id -> the found sources that are shown under its name; they are none of its own."""
        self.watched_by_host: dict[str, tuple[str, ...]] = {}
        """Host id -> the repositories into which its agent looks, whatever it backs up; ``HUB`` looks as well."""
        self.running_of_source: dict[str, str] = {}
        self.alerts_of_entity: dict[tuple[str, str], dict[AlertKey, None]] = {}
        self.open_alerts_of_host: Counter[str] = Counter()
        self.open_alerts: Counter[Severity] = Counter()
        self.host_ids_by_name: dict[str, str] = {}
        self.deployed_on_host: dict[str, tuple[str, ...]] = {}
        self.deployed_hosts: dict[str, tuple[str, ...]] = {}
        """Project -> the hosts on which a stack of that name was deployed."""
        self.subjects_of_host: dict[str, tuple[Subject, ...]] = {}
        """Host id -> the volumes and bind mounts of its containers."""
        self.docker_counts: dict[str, Counts] = {}
        """Host id -> how many of its containers and stacks are in which state; of hosts that have any to tell of."""

        self.judging = Judging()

    def reindex(self) -> None:
        """Make every index anew from the values; after rows were loaded."""
        self.sources_of_host = _grouped(
            (source.host_id, source.id) for source in self.sources.values() if source.host_id is not None
        )
        self.sources_of_repository = _grouped((source.repository_id, source.id) for source in self.sources.values())
        self.aliases_of_host = _grouped(
            (source.alias_host_id, source.id) for source in self.sources.values() if source.alias_host_id is not None
        )
        self.watched_by_host = _grouped(
            (repository.watched_by, repository.id)
            for repository in self.repositories.values()
            if repository.watched_by is not None
        )
        self.alerts_of_entity = {}
        for key in self.alerts:
            self.alerts_of_entity.setdefault((key.entity_kind, key.entity_id), {})[key] = None
        self.running_of_source = {
            run.source_id: run.id
            for run in self.running.values()
            if run.source_id is not None and run.kind is RunKind.BACKUP
        }
        self.open_alerts_of_host = Counter(a.host_id for a in self.alerts.values() if a.host_id is not None)
        self.open_alerts = Counter(alert.severity for alert in self.alerts.values())
        self.host_ids_by_name = {host.name.casefold(): host.id for host in self.hosts.values()}
        self.deployed_on_host = _grouped(self.deploys)
        self.deployed_hosts = _grouped((project, host_id) for host_id, project in self.deploys)
        self.subjects_of_host = {
            host_id: subjects_of(one.inventory, one.engine)
            for host_id, one in self.docker.items()
            if one.listed_at is not None
        }
        self.docker_counts = {}
        for host_id in {*self.docker, *self.deployed_on_host}:
            self.count_docker(host_id)

    def count_docker(self, host_id: str) -> None:
        """Count the containers and stacks of one host anew."""
        held, failed = self.docker.get(host_id), self.failed_deploys(host_id)
        listed = held is not None and held.listed_at is not None
        if listed or failed:
            self.docker_counts[host_id] = counts(held.inventory.containers if listed and held else None, failed)
        else:
            self.docker_counts.pop(host_id, None)

    # What faces, rules and the judge ask; FleetView answers the same.

    @property
    def states(self) -> Mapping[str, State]:
        return self.judging.states

    @property
    def online(self) -> Mapping[str, bool]:
        return self.judging.online

    @property
    def hosts_online(self) -> int:
        return self.judging.hosts_online

    @property
    def degraded(self) -> Set[str]:
        return self.judging.degraded

    @property
    def repository_states(self) -> Mapping[str, RepositoryState]:
        return self.judging.repository_states

    @property
    def presence(self) -> Mapping[str, Presence]:
        return self.judging.presence

    @property
    def collectors(self) -> Mapping[str, CollectorHealth]:
        return self.judging.collectors

    @property
    def evaluated_at(self) -> datetime | None:
        return self.judging.evaluated_at

    @property
    def blind_until(self) -> datetime | None:
        return self.judging.blind_until

    def evidence_of(self, source_id: str) -> Evidence:
        return self.evidence.get(source_id, NO_EVIDENCE)

    def repository_evidence_of(self, repository_id: str) -> RepositoryEvidence:
        return self.repository_evidence.get(repository_id, NO_REPOSITORY_EVIDENCE)

    def presence_of(self, host_id: str | None) -> Presence:
        return self.judging.presence.get(host_id or "", ABSENT)

    def failed_deploys(self, host_id: str) -> list[str]:
        """The projects on a host whose last deploy failed."""
        return [one for one in self.deployed_on_host.get(host_id, ()) if self.deploys[host_id, one].failed]

    def repositories_of_host(self, host_id: str) -> list[str]:
        """The repositories into which this host's sources go, each once, that of the oldest source first."""
        sources = self.sources
        return list(dict.fromkeys(sources[i].repository_id for i in self.sources_of_host.get(host_id, ())))

    def view(self) -> FleetView:
        """A moment that stays as it is while the fleet goes on: shallow copies of immutable values."""
        judging = self.judging
        return FleetView(
            hosts=self.hosts.copy(),
            repositories=self.repositories.copy(),
            sources=self.sources.copy(),
            evidence=self.evidence.copy(),
            repository_evidence=self.repository_evidence.copy(),
            last_backups=self.last_backups.copy(),
            running=self.running.copy(),
            running_of_source=self.running_of_source.copy(),
            alerts=self.alerts.copy(),
            durations=self.durations.copy(),
            deploying=self.deploying.copy(),
            deploys=self.deploys.copy(),
            deployed_on_host=self.deployed_on_host.copy(),
            deployed_hosts=self.deployed_hosts.copy(),
            docker=self.docker.copy(),
            subjects_of_host=self.subjects_of_host.copy(),
            docker_counts=self.docker_counts.copy(),
            counters=self.counters.copy(),
            sources_of_host=self.sources_of_host.copy(),
            sources_of_repository=self.sources_of_repository.copy(),
            aliases_of_host=self.aliases_of_host.copy(),
            watched_by_host=self.watched_by_host.copy(),
            open_alerts_of_host=self.open_alerts_of_host.copy(),
            open_alerts=self.open_alerts.copy(),
            presence=judging.presence.copy(),
            states=judging.states.copy(),
            online=judging.online.copy(),
            hosts_online=judging.hosts_online,
            degraded=frozenset(judging.degraded),
            repository_states=judging.repository_states.copy(),
            collectors=judging.collectors.copy(),
            blind_until=judging.blind_until,
            evaluated_at=judging.evaluated_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetView:
    """One frozen moment of a fleet; safe to read from another thread."""

    hosts: Mapping[str, Host]
    repositories: Mapping[str, Repository]
    sources: Mapping[str, Source]
    evidence: Mapping[str, Evidence]
    repository_evidence: Mapping[str, RepositoryEvidence]
    last_backups: Mapping[str, Run]
    running: Mapping[str, RunStart]
    running_of_source: Mapping[str, str]
    alerts: Mapping[AlertKey, Alert]
    durations: Durations
    deploying: Mapping[str, DeployStart]
    deploys: Mapping[StackKey, StackDeploys]
    deployed_on_host: Mapping[str, tuple[str, ...]]
    deployed_hosts: Mapping[str, tuple[str, ...]]
    docker: Mapping[str, DockerHost]
    subjects_of_host: Mapping[str, tuple[Subject, ...]]
    docker_counts: Mapping[str, Counts]
    counters: Mapping[str, int]
    sources_of_host: Mapping[str, tuple[str, ...]]
    sources_of_repository: Mapping[str, tuple[str, ...]]
    aliases_of_host: Mapping[str, tuple[str, ...]]
    watched_by_host: Mapping[str, tuple[str, ...]]
    open_alerts_of_host: Mapping[str, int]
    open_alerts: Mapping[Severity, int]
    presence: Mapping[str, Presence]
    states: Mapping[str, State]
    online: Mapping[str, bool]
    hosts_online: int
    degraded: Set[str]
    repository_states: Mapping[str, RepositoryState]
    collectors: Mapping[str, CollectorHealth]
    blind_until: datetime | None
    evaluated_at: datetime | None

    def evidence_of(self, source_id: str) -> Evidence:
        return self.evidence.get(source_id, NO_EVIDENCE)

    def repository_evidence_of(self, repository_id: str) -> RepositoryEvidence:
        return self.repository_evidence.get(repository_id, NO_REPOSITORY_EVIDENCE)

    def presence_of(self, host_id: str | None) -> Presence:
        return self.presence.get(host_id or "", ABSENT)

    def failed_deploys(self, host_id: str) -> list[str]:
        """The projects on a host whose last deploy failed."""
        return [one for one in self.deployed_on_host.get(host_id, ()) if self.deploys[host_id, one].failed]

    def repositories_of_host(self, host_id: str) -> list[str]:
        """The repositories into which this host's sources go, each once, that of the oldest source first."""
        sources = self.sources
        return list(dict.fromkeys(sources[i].repository_id for i in self.sources_of_host.get(host_id, ())))


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    groups: dict[str, list[str]] = {}
    for key, member in pairs:
        groups.setdefault(key, []).append(member)
    return {key: tuple(sorted(members)) for key, members in groups.items()}
