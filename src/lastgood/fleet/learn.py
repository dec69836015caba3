"""The only way knowledge enters: fact -> fleet, and what changed. One short function a fact.

Deterministic: reads no clock and no presence. A function works out everything that can fail before it changes
anything, so a fact that cannot be taken (``Unlearnable``) leaves the fleet as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from lastgood.errors import LastgoodError
from lastgood.fleet import survey
from lastgood.fleet.expect import LedgerRow, close, revise
from lastgood.fleet.fleet import Fleet
from lastgood.fleet.weigh import newest, weigh
from lastgood.model import fact
from lastgood.model.alert import AlertKey
from lastgood.model.job import Outcome, RunKind
from lastgood.model.repository import NO_REPOSITORY_EVIDENCE, Probe
from lastgood.model.source import NO_EVIDENCE

_T = TypeVar("_T")


class Unlearnable(LastgoodError):
    """A fact that says something about nothing we know, or twice; it goes to quarantine and stops nothing."""


@dataclass(slots=True)
class Changes:
    """What a fact touched, by id; removed things are in it too. Runs are told by ``hosts`` and ``sources``."""

    hosts: set[str] = field(default_factory=set)
    repositories: set[str] = field(default_factory=set)
    sources: set[str] = field(default_factory=set)
    runs: set[str] = field(default_factory=set)
    alerts: set[AlertKey] = field(default_factory=set)
    moments: list[LedgerRow] = field(default_factory=list)
    orders: set[str] = field(default_factory=set)
    """Hosts whose agents may have to be told something new."""


def learn(fleet: Fleet, told: fact.Fact) -> Changes:
    """Take one committed fact into the fleet. Raises Unlearnable, and then nothing has changed."""
    changes = Changes()
    _LEARN[type(told)](fleet, told, changes)
    return changes


def _host_enrolled(fleet: Fleet, told: fact.HostEnrolled, changes: Changes) -> None:
    host = told.host
    _name_is_free(fleet, host.name, host.id)
    fleet.hosts[host.id] = host
    fleet.host_ids_by_name[host.name.casefold()] = host.id
    changes.hosts.add(host.id)


def _host_renamed(fleet: Fleet, told: fact.HostRenamed, changes: Changes) -> None:
    host = _known(fleet.hosts, told.host_id, "host")
    _name_is_free(fleet, told.name, host.id)
    fleet.host_ids_by_name.pop(host.name.casefold(), None)
    fleet.host_ids_by_name[told.name.casefold()] = host.id
    fleet.hosts[host.id] = replace(host, name=told.name)
    changes.hosts.add(host.id)
    changes.sources.update(fleet.sources_of_host.get(host.id, ()))


def _host_removed(fleet: Fleet, told: fact.HostRemoved, changes: Changes) -> None:
    host = _known(fleet.hosts, told.host_id, "host")
    gone = fleet.sources_of_host.pop(host.id, {})
    for source_id in gone:
        source = fleet.sources.pop(source_id)
        fleet.evidence.pop(source_id, None)
        fleet.running_of_source.pop(source_id, None)
        fleet.sources_of_repository[source.repository_id].pop(source_id, None)
        changes.repositories.add(source.repository_id)
        _drop_alerts(fleet, "source", source_id, changes)
    for run_id in [run.id for run in fleet.running.values() if run.host_id == host.id]:
        del fleet.running[run_id]
        changes.runs.add(run_id)
    _drop_alerts(fleet, "host", host.id, changes)
    del fleet.hosts[host.id]
    fleet.host_ids_by_name.pop(host.name.casefold(), None)
    fleet.last_backups.pop(host.id, None)
    changes.hosts.add(host.id)
    changes.sources.update(gone)


def _agent_reported(fleet: Fleet, told: fact.AgentReported, changes: Changes) -> None:
    host = _known(fleet.hosts, told.host_id, "host")
    fleet.hosts[host.id] = replace(host, info=told.info)
    changes.hosts.add(host.id)


def _repository_configured(fleet: Fleet, told: fact.RepositoryConfigured, changes: Changes) -> None:
    fleet.repositories[told.repository.id] = told.repository
    _touch_repository(fleet, told.repository.id, changes)
    changes.orders.update(changes.hosts)


def _repository_probed(fleet: Fleet, told: fact.RepositoryProbed, changes: Changes) -> None:
    _known(fleet.repositories, told.repository_id, "repository")
    before = fleet.repository_evidence.get(told.repository_id, NO_REPOSITORY_EVIDENCE)
    other = told.identity is not None and before.identity is not None and told.identity != before.identity
    init_failed = before.init_failed
    if told.probe is Probe.READY:
        init_failed = False
    elif told.probe in (Probe.MISSING, Probe.WRONG_PASSWORD):
        init_failed = True
    fleet.repository_evidence[told.repository_id] = replace(
        before,
        probe=told.probe,
        init_failed=init_failed,
        message=told.message,
        identity=told.identity or before.identity,
        identity_changed=other or before.identity_changed,
        observed_at=newest(before.observed_at, told.probed_at),
    )
    _touch_repository(fleet, told.repository_id, changes)
    if before.identity is None and told.identity is not None:
        changes.orders.update(changes.hosts)  # nobody may initialise it any more


def _repository_sized(fleet: Fleet, told: fact.RepositorySized, changes: Changes) -> None:
    _known(fleet.repositories, told.repository_id, "repository")
    before = fleet.repository_evidence.get(told.repository_id, NO_REPOSITORY_EVIDENCE)
    fleet.repository_evidence[told.repository_id] = replace(
        before,
        size_bytes=told.size_bytes,
        uncompressed_bytes=told.uncompressed_bytes,
        sized_at=told.sized_at,
        observed_at=newest(before.observed_at, told.sized_at),
    )
    _touch_repository(fleet, told.repository_id, changes)


def _locks_listed(fleet: Fleet, told: fact.LocksListed, changes: Changes) -> None:
    _known(fleet.repositories, told.repository_id, "repository")
    before = fleet.repository_evidence.get(told.repository_id, NO_REPOSITORY_EVIDENCE)
    fleet.repository_evidence[told.repository_id] = replace(before, locks=told.locks, locked_at=told.listed_at)
    changes.repositories.add(told.repository_id)


def _snapshots_listed(fleet: Fleet, told: fact.SnapshotsListed, changes: Changes) -> None:
    _known(fleet.repositories, told.repository_id, "repository")
    before = fleet.repository_evidence.get(told.repository_id, NO_REPOSITORY_EVIDENCE)
    found = survey.by_tag(told)
    for source_id in fleet.sources_of_repository.get(told.repository_id, ()):
        source = fleet.sources[source_id]
        evidence = fleet.evidence.get(source_id, NO_EVIDENCE)
        fleet.evidence[source_id] = survey.witness(source, evidence, found.get(source.tag), told)
    fleet.repository_evidence[told.repository_id] = replace(
        before,
        probe=Probe.READY,
        init_failed=False,
        message=None,
        snapshots=told.total,
        surveyed_at=told.listed_at,
        observed_at=newest(before.observed_at, told.listed_at),
    )
    _touch_repository(fleet, told.repository_id, changes)


def _source_configured(fleet: Fleet, told: fact.SourceConfigured, changes: Changes) -> None:
    source = told.source
    _known(fleet.hosts, source.host_id, "host")
    _known(fleet.repositories, source.repository_id, "repository")
    before = fleet.sources.get(source.id)
    if before is not None and before.host_id != source.host_id:
        raise Unlearnable(f"Source {source.id} belongs to another host and cannot move.")
    evidence = revise(before, source, fleet.evidence.get(source.id, NO_EVIDENCE), told.at)
    if before is not None:
        fleet.sources_of_repository[before.repository_id].pop(source.id, None)
        changes.repositories.add(before.repository_id)
    fleet.sources[source.id] = source
    fleet.evidence[source.id] = evidence
    fleet.sources_of_host.setdefault(source.host_id, {})[source.id] = None
    fleet.sources_of_repository.setdefault(source.repository_id, {})[source.id] = None
    changes.sources.add(source.id)
    changes.hosts.add(source.host_id)
    changes.orders.add(source.host_id)
    changes.repositories.add(source.repository_id)


def _run_started(fleet: Fleet, told: fact.RunStarted, changes: Changes) -> None:
    run = told.run
    _known(fleet.hosts, run.host_id, "host")
    fleet.running[run.id] = run
    if run.source_id is not None and run.source_id in fleet.sources and run.kind is RunKind.BACKUP:
        fleet.running_of_source[run.source_id] = run.id
        changes.sources.add(run.source_id)
    changes.runs.add(run.id)
    changes.hosts.add(run.host_id)


def _run_finished(fleet: Fleet, told: fact.RunFinished, changes: Changes) -> None:
    run = told.run
    _known(fleet.hosts, run.host_id, "host")
    source = fleet.sources.get(run.source_id) if run.source_id is not None else None
    if source is not None and source.host_id != run.host_id:
        raise Unlearnable(f"Host {run.host_id} reported a run of source {source.id}, which is another host's.")
    evidence = None
    if source is not None and run.kind is RunKind.BACKUP:
        evidence, moments = weigh(source, fleet.evidence.get(source.id, NO_EVIDENCE), run)
        changes.moments.extend(moments)

    fleet.running.pop(run.id, None)
    if run.source_id is not None and fleet.running_of_source.get(run.source_id) == run.id:
        del fleet.running_of_source[run.source_id]
        changes.sources.add(run.source_id)
    if not run.dry_run:
        fleet.durations.observe(run.kind, run.outcome.status, run.duration_seconds)
    if source is not None and evidence is not None:
        fleet.evidence[source.id] = evidence
        changes.sources.add(source.id)
    if run.kind is RunKind.BACKUP and run.is_attempt:
        latest = fleet.last_backups.get(run.host_id)
        if latest is None or run.ended_at >= latest.ended_at:
            fleet.last_backups[run.host_id] = run
    if run.kind is RunKind.INIT and run.repository_id in fleet.repositories:
        before = fleet.repository_evidence.get(run.repository_id, NO_REPOSITORY_EVIDENCE)
        failed = run.outcome in (Outcome.FAILED, Outcome.LOST)
        fleet.repository_evidence[run.repository_id] = replace(before, init_failed=failed)
        _touch_repository(fleet, run.repository_id, changes)
    changes.runs.add(run.id)
    changes.hosts.add(run.host_id)


def _moments_passed(fleet: Fleet, told: fact.MomentsPassed, changes: Changes) -> None:
    for moment in told.moments:
        source = fleet.sources.get(moment.source_id)
        before = fleet.evidence.get(moment.source_id, NO_EVIDENCE)
        if source is None or before.ledger_at != moment.due_at or before.ledger_deadline_at is None:
            continue  # removed or rescheduled between the question and the answer; nothing is owed twice
        deadline_at = before.ledger_deadline_at
        fleet.evidence[source.id], result = close(source, before, looked=moment.looked)
        changes.moments.append(LedgerRow(source.id, moment.due_at, deadline_at, result))
        changes.sources.add(source.id)


def _alert_opened(fleet: Fleet, told: fact.AlertOpened, changes: Changes) -> None:
    alert = told.alert
    if alert.key in fleet.alerts:
        raise Unlearnable(f"Alert {alert.key} is open already.")
    fleet.alerts[alert.key] = alert
    fleet.alerts_of_entity.setdefault((alert.key.entity_kind, alert.key.entity_id), {})[alert.key] = None
    fleet.open_alerts[alert.severity] += 1
    fleet.counters[f"alerts_fired/{alert.severity}/{alert.key.rule}"] += 1
    if alert.host_id is not None:
        fleet.open_alerts_of_host[alert.host_id] += 1
        changes.hosts.add(alert.host_id)
    changes.alerts.add(alert.key)


def _alert_resolved(fleet: Fleet, told: fact.AlertResolved, changes: Changes) -> None:
    if told.key not in fleet.alerts:
        raise Unlearnable(f"Alert {told.key} is not open.")
    _forget_alert(fleet, told.key, changes)


def _drop_alerts(fleet: Fleet, kind: str, entity_id: str, changes: Changes) -> None:
    for key in list(fleet.alerts_of_entity.get((kind, entity_id), ())):
        _forget_alert(fleet, key, changes)


def _forget_alert(fleet: Fleet, key: AlertKey, changes: Changes) -> None:
    alert = fleet.alerts.pop(key)
    of_entity = fleet.alerts_of_entity[key.entity_kind, key.entity_id]
    del of_entity[key]
    if not of_entity:
        del fleet.alerts_of_entity[key.entity_kind, key.entity_id]
    fleet.open_alerts[alert.severity] -= 1
    if alert.host_id is not None:
        fleet.open_alerts_of_host[alert.host_id] -= 1
        if not fleet.open_alerts_of_host[alert.host_id]:
            del fleet.open_alerts_of_host[alert.host_id]
        changes.hosts.add(alert.host_id)
    changes.alerts.add(key)


def _touch_repository(fleet: Fleet, repository_id: str, changes: Changes) -> None:
    """A repository's facts are told on its own lines and on those of its sources and their hosts."""
    changes.repositories.add(repository_id)
    for source_id in fleet.sources_of_repository.get(repository_id, ()):
        changes.sources.add(source_id)
        changes.hosts.add(fleet.sources[source_id].host_id)


def _known(things: dict[str, _T], thing_id: str, noun: str) -> _T:
    thing = things.get(thing_id)
    if thing is None:
        raise Unlearnable(f"There is no {noun} {thing_id}.")
    return thing


def _name_is_free(fleet: Fleet, name: str, host_id: str) -> None:
    holder = fleet.host_ids_by_name.get(name.casefold())
    if holder is not None and holder != host_id:
        raise Unlearnable(f"The host name {name!r} is taken by host {holder}.")


_LEARN: dict[type[fact.Fact], Callable[[Fleet, Any, Changes], None]] = {
    fact.HostEnrolled: _host_enrolled,
    fact.HostRenamed: _host_renamed,
    fact.HostRemoved: _host_removed,
    fact.AgentReported: _agent_reported,
    fact.RepositoryConfigured: _repository_configured,
    fact.RepositoryProbed: _repository_probed,
    fact.RepositorySized: _repository_sized,
    fact.LocksListed: _locks_listed,
    fact.SnapshotsListed: _snapshots_listed,
    fact.SourceConfigured: _source_configured,
    fact.RunStarted: _run_started,
    fact.RunFinished: _run_finished,
    fact.MomentsPassed: _moments_passed,
    fact.AlertOpened: _alert_opened,
    fact.AlertResolved: _alert_resolved,
}
