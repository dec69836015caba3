"""State rows <-> fleet: what a checkpoint writes and a start loads.

``rows_of`` captures on the event loop, in the moment of a change, the immutable values that it touched;
``encode_rows`` and ``save_rows`` turn them into rows in other threads; ``load`` makes a fleet of all rows. The one
rule: rows and ``folded_upto`` are written in one transaction and tell one moment of the fleet.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, bindparam, delete, select

from lastgood.errors import StoreError
from lastgood.fleet.durations import Durations
from lastgood.fleet.fleet import Fleet
from lastgood.fleet.learn import Changes
from lastgood.model.alert import Alert, AlertKey
from lastgood.model.docker import DockerHost
from lastgood.model.fact import (
    AlertAcknowledged,
    AlertOpened,
    AlertResolved,
    AlertSnoozed,
    DeployFinished,
    DeployStarted,
    EngineReported,
    Fact,
    InventoryListed,
    LocksListed,
    MomentsPassed,
    RepositoryProbed,
    RepositorySized,
    RunFinished,
    RunStarted,
    SnapshotsListed,
    SourcesCollected,
    SubjectExcluded,
)
from lastgood.model.host import Host
from lastgood.model.job import Run, RunKind, RunStart, Status
from lastgood.model.repository import Repository, RepositoryEvidence
from lastgood.model.source import Evidence, Source
from lastgood.model.stack import DeployStart, StackDeploys
from lastgood.store.codec import decoder, encode
from lastgood.store.log import FOLDED_UPTO
from lastgood.store.records import get_meta, set_meta
from lastgood.store.schema import state_rows, storable, upsert

VERSION = 1
Key = tuple[str, str]
"""(kind, id) of a state row."""

TOTALS: Final = (("durations", ""), ("counters", ""))
_TELLING = frozenset(
    {
        RunStarted,
        RunFinished,
        RepositoryProbed,
        RepositorySized,
        LocksListed,
        SnapshotsListed,
        SourcesCollected,
        MomentsPassed,
        AlertOpened,
        AlertResolved,
        AlertAcknowledged,
        AlertSnoozed,
        DeployStarted,
        DeployFinished,
        InventoryListed,
        EngineReported,
        SubjectExcluded,
    }
)
"""Facts that tell about hosts, repositories and sources but never change those nouns themselves."""


_Held = tuple[Evidence, bool, bool]
"""A source's evidence, and whether its last full and its last partial run is the last attempt, which is kept once."""


@dataclass(frozen=True, slots=True)
class _Duration:
    kind: RunKind
    status: Status
    buckets: tuple[int, ...]
    sum: float


def rows_of(fleet: Fleet, changes: Changes, told: type[Fact] | None = None) -> dict[Key, Any]:
    """The values that a fact touched, as they are now; None for what is gone. ``told`` is the kind of that fact."""
    rows: dict[Key, Any] = {}
    for host_id in changes.hosts:
        rows["last_backup", host_id] = fleet.last_backups.get(host_id)
    for repository_id in changes.repositories:
        rows["repository_evidence", repository_id] = fleet.repository_evidence.get(repository_id)
    for source_id in changes.sources:
        rows["evidence", source_id] = fleet.evidence.get(source_id)
    for run_id in changes.runs:
        rows["running", run_id] = fleet.running.get(run_id)
    for key in changes.alerts:
        rows["alert", encode(key)] = fleet.alerts.get(key)
    for deploy_id in changes.deploys:
        rows["deploying", deploy_id] = fleet.deploying.get(deploy_id)
    for stack in changes.stacks:
        rows["stack_deploys", encode(stack)] = fleet.deploys.get(stack)
    for host_id in changes.docker:
        rows["docker", host_id] = fleet.docker.get(host_id)
    for source_id in changes.found:
        rows["source", source_id] = fleet.sources.get(source_id)
    if told not in _TELLING:
        for host_id in changes.hosts:
            rows["host", host_id] = fleet.hosts.get(host_id)
        for repository_id in changes.repositories:
            rows["repository", repository_id] = fleet.repositories.get(repository_id)
        for source_id in changes.sources:
            rows["source", source_id] = fleet.sources.get(source_id)
    return rows


def totals_of(fleet: Fleet) -> dict[Key, Any]:
    """Histograms and counters: few, and touched by nearly every fact, so each checkpoint writes them."""
    return {TOTALS[0]: fleet.durations.copy(), TOTALS[1]: dict(fleet.counters)}


def encode_rows(values: Mapping[Key, Any]) -> tuple[list[dict[str, Any]], list[Key]]:
    """(rows to keep, rows to remove); pure, for any thread."""
    keep: list[dict[str, Any]] = []
    gone: list[Key] = []
    for (kind, its_id), value in values.items():
        row_id = storable(its_id)
        if value is None:
            gone.append((kind, row_id))
            continue
        if kind == "evidence":
            value = _held(value)
        elif kind == "durations":
            value = tuple(_durations(value))
        keep.append({"kind": kind, "id": row_id, "version": VERSION, "body": encode(value)})
    return keep, gone


def save_rows(connection: Connection, keep: Sequence[dict[str, Any]], gone: Sequence[Key], folded_upto: int) -> None:
    """Write what ``encode_rows`` made, and up to where the log is folded into it."""
    upsert(connection, state_rows, keep)
    if gone:
        one = delete(state_rows).where(
            state_rows.c.kind == bindparam("its_kind"), state_rows.c.id == bindparam("its_id")
        )
        connection.execute(one, [{"its_kind": kind, "its_id": row_id} for kind, row_id in gone])
    set_meta(connection, FOLDED_UPTO, str(folded_upto))


def load(connection: Connection) -> tuple[Fleet, int]:
    """The fleet as the last checkpoint left it, indexed, and the place in the log up to which it is folded."""
    fleet = Fleet()
    with _no_collection():
        _load_nouns(connection, fleet)
        _load_evidence(connection, fleet)
        _load_rest(connection, fleet)
    fleet.reindex()
    return fleet, int(get_meta(connection, FOLDED_UPTO) or 0)


def _load_nouns(connection: Connection, fleet: Fleet) -> None:
    """Hosts, repositories, sources; equal texts become one object, for there are hundreds of thousands."""
    known: dict[Any, Any] = {}
    same = known.setdefault
    for host_id, host in _rows(connection, "host", Host):
        fleet.hosts[host_id] = host
        known[host_id], known[host.name] = host_id, host.name
        _set(host, "id", host_id)
        if host.info is not None:
            for name in ("agent_version", "restic_version", "os", "arch"):
                word = getattr(host.info, name)
                _set(host.info, name, same(word, word))
    for repository_id, repository in _rows(connection, "repository", Repository):
        fleet.repositories[repository_id] = repository
        known[repository_id] = repository_id
        _set(repository, "id", repository_id)
    for source_id, source in _rows(connection, "source", Source):
        fleet.sources[source_id] = source
        _set(source, "id", source_id)
        _set(source, "host_id", same(source.host_id, source.host_id))
        _set(source, "repository_id", same(source.repository_id, source.repository_id))
        _set(source, "restic_host", same(source.restic_host, source.restic_host))
        _set(source, "name", same(source.name, source.name))
        _set(source, "paths", same(source.paths, source.paths))
        schedule = source.schedule
        if schedule is not None:
            _set(source, "schedule", same((schedule.cron, schedule.zone), schedule))
        if source.revised_at == source.created_at:
            _set(source, "revised_at", source.created_at)


def _load_evidence(connection: Connection, fleet: Fleet) -> None:
    """Evidence; moments that many sources have in common, since they share schedules, become one object."""
    known: dict[Any, Any] = {}
    same = known.setdefault
    for source_id, held in _rows(connection, "evidence", _Held):
        evidence, full_is_attempt, partial_is_attempt = held
        source = fleet.sources.get(source_id)
        if source is not None:
            source_id = source.id
            for run in (evidence.last_attempt, evidence.last_full, evidence.last_partial):
                if run is not None:
                    _share(run, source)
        for name in _IN_COMMON:
            moment = getattr(evidence, name)
            if moment is not None:
                _set(evidence, name, same(moment, moment))
        if full_is_attempt:
            _set(evidence, "last_full", evidence.last_attempt)
        if partial_is_attempt:
            _set(evidence, "last_partial", evidence.last_attempt)
        fleet.evidence[source_id] = evidence
    for repository_id, of_repository in _rows(connection, "repository_evidence", RepositoryEvidence):
        repository = fleet.repositories.get(repository_id)
        fleet.repository_evidence[repository.id if repository else repository_id] = of_repository


def _load_rest(connection: Connection, fleet: Fleet) -> None:
    for host_id, run in _rows(connection, "last_backup", Run):
        evidence = fleet.evidence.get(run.source_id or "")
        attempt = evidence.last_attempt if evidence is not None else None
        host = fleet.hosts.get(host_id)
        fleet.last_backups[host.id if host else host_id] = attempt if attempt is not None and attempt == run else run
    for run_id, start in _rows(connection, "running", RunStart):
        fleet.running[run_id] = start
    for deploy_id, deploy in _rows(connection, "deploying", DeployStart):
        fleet.deploying[deploy_id] = deploy
    for _, stack in _rows(connection, "stack_deploys", StackDeploys):
        fleet.deploys[stack.host_id, stack.project] = stack
    for host_id, docker in _rows(connection, "docker", DockerHost):
        fleet.docker[host_id] = docker
    for key, alert in _rows(connection, "alert", Alert):
        fleet.alerts[decoder(AlertKey)(key)] = alert
    for _, durations in _rows(connection, "durations", tuple[_Duration, ...]):
        _restore(fleet.durations, durations)
    for _, counters in _rows(connection, "counters", dict[str, int]):
        fleet.counters.update(counters)


_IN_COMMON = ("observed_at", "due_at", "deadline_at", "interval", "ledger_at", "ledger_deadline_at")


def _restore(into: Durations, durations: Sequence[_Duration]) -> None:
    for one in durations:
        into.buckets[one.kind, one.status] = list(one.buckets)
        into.sums[one.kind, one.status] = one.sum


def _rows(connection: Connection, kind: str, value: Any) -> Iterator[tuple[str, Any]]:
    """(id, value) of every row of a kind, in the order of ids, which for ULIDs is the order of their making."""
    read = decoder(value)
    query = select(state_rows.c.id, state_rows.c.version, state_rows.c.body)
    query = query.where(state_rows.c.kind == kind).order_by(state_rows.c.id)
    rows = connection.execution_options(yield_per=2_000).execute(query)
    for row_id, version, body in rows:
        if not 1 <= version <= VERSION:
            raise StoreError(f"The state row {kind} {row_id} has version {version}, which this program cannot read.")
        try:
            yield row_id, read(body)
        except msgspec.DecodeError as error:
            raise StoreError(f"The state row {kind} {row_id} cannot be read ({error}).", retry=False) from error


def _durations(durations: Durations) -> Iterator[_Duration]:
    for (kind, status), counts in durations.buckets.items():
        yield _Duration(kind, status, tuple(counts), durations.sums[kind, status])


def _held(evidence: Evidence) -> _Held:
    attempt = evidence.last_attempt
    if attempt is None:
        return evidence, False, False
    full, partial = evidence.last_full == attempt, evidence.last_partial == attempt
    if full:
        evidence = replace(evidence, last_full=None)
    if partial:
        evidence = replace(evidence, last_partial=None)
    return evidence, full, partial


def _share(run: Run, source: Source) -> None:
    if run.host_id == source.host_id:
        _set(run, "host_id", source.host_id)
    if run.source_id == source.id:
        _set(run, "source_id", source.id)
    if run.repository_id == source.repository_id:
        _set(run, "repository_id", source.repository_id)
    if run.started_at == run.due_at:
        _set(run, "due_at", run.started_at)


_set = object.__setattr__
"""Replaces a part of a frozen value that nobody else has seen yet by an equal one, to have it in memory once."""


@contextmanager
def _no_collection() -> Iterator[None]:
    """Without the cyclic collector, which would walk a million new values again and again and find nothing."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
