"""Reads the fleet for people and programs: from a frozen view and a moment to the structs of ``readings.py``.

The one rule: a state comes from what was last told (``view.states``), its reason from the judge; nothing here
decides what is good.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

import msgspec

from lastgood.auth.identity import fingerprint
from lastgood.fleet.expect import LedgerRow
from lastgood.fleet.fleet import FleetView
from lastgood.fleet.judge import verdict
from lastgood.fleet.rhythm import usual_gap
from lastgood.fleet.schedule import next_after
from lastgood.model.alert import Alert
from lastgood.model.job import Outcome, Run, RunKind, RunStart, Status
from lastgood.model.repository import RepositoryState
from lastgood.model.source import WORST_FIRST, Source, State
from lastgood.service.orders import OrdersTold
from lastgood.service.trial import Trial
from lastgood.store.history import PastAlert
from lastgood.tools.restic.releases import advice
from lastgood.web.readings import (
    AlertReading,
    DoubtReading,
    HostReading,
    MomentReading,
    ProgressReading,
    RepositoryReading,
    RunReading,
    SourceReading,
    TrialReading,
)
from lastgood.wire.enrolment import bytes_of
from lastgood.wire.frames import Progress

RANK = {state: rank for rank, state in enumerate(WORST_FIRST)}


def state_of(view: FleetView, source_id: str) -> State:
    """What was last told; what was never judged is unknown, for unknown is never green."""
    return view.states.get(source_id, State.UNKNOWN)


def source_reading(view: FleetView, source: Source, now: datetime, progress: Mapping[str, Progress]) -> SourceReading:
    run_id = view.running_of_source.get(source.id)
    told = verdict(view, source.id, view.evaluated_at or now, state_of(view, source.id))
    evidence = view.evidence_of(source.id)
    attempt, good = evidence.last_attempt, told.last_good
    return SourceReading(
        id=source.id,
        name=source.name,
        host_id=source.host_id,
        host=host_of(view, source),
        repository_id=source.repository_id,
        repository=repository_name(view, source.repository_id),
        tool=source.tool,
        state=told.state,
        reason=told.reason,
        holds_until=told.holds_until,
        running=told.running,
        run_id=run_id,
        progress=progress_reading(progress.get(run_id) if run_id else None),
        last_good_at=good.ended_at if good else None,
        last_good_started_at=good.started_at if good else None,
        last_attempt_at=attempt.ended_at if attempt else None,
        last_attempt_outcome=attempt.outcome.value if attempt else None,
        due_at=told.due_at,
        deadline_at=told.deadline_at,
        next_run_at=next_run_at(source, now),
        observed_at=told.observed_at,
        duration_seconds=attempt.duration_seconds if attempt else None,
        size_bytes=good.size_bytes if good else None,
        added_bytes=good.added_bytes if good else None,
        snapshots=evidence.snapshots,
        verified_at=_verified_at(view, source) if good else None,
        expected_runs=evidence.expected_runs,
        good_runs=evidence.good_runs,
        paths=source.paths,
        excludes=source.excludes,
        schedule=source.schedule,
        target_seconds=_seconds(source.target),
        grace_seconds=_seconds(source.grace),
        accept_partial=source.accept_partial,
        paused_until=source.paused_until if source.paused_until and source.paused_until > now else None,
        paused_by=source.paused_by,
        archived=source.archived_by is not None,
        archived_by=source.archived_by,
        found=source.is_found,
        rhythm_seconds=_seconds(usual_gap(evidence.habit)),
        alias_host_id=source.alias_host_id,
        keep=source.keep,
        collector=_collector_of(view, source),
        remarks=evidence.remarks,
        oldest_at=evidence.oldest_at,
        running_since=evidence.running_since,
    )


def _verified_at(view: FleetView, source: Source) -> datetime | None:
    if source.collected is not None:
        return view.evidence_of(source.id).verified_at
    return view.repository_evidence_of(source.repository_id).upkeep_at(RunKind.CHECK)


def _collector_of(view: FleetView, source: Source) -> str | None:
    repository = view.repositories.get(source.repository_id)
    return None if repository is None else repository.collector


def next_run_at(source: Source, now: datetime) -> datetime | None:
    """When its schedule starts it next; None without a schedule and for an archived one."""
    if source.schedule is None or source.archived_by is not None:
        return None
    return next_after(source.schedule, max(now, source.paused_until or now))


def host_reading(view: FleetView, host_id: str) -> HostReading:
    host, presence = view.hosts[host_id], view.presence_of(host_id)
    info = host.info
    ids = view.sources_of_host.get(host_id, ())
    return HostReading(
        id=host.id,
        name=host.name,
        online=view.online.get(host_id),
        connected=presence.connected,
        seen_at=presence.seen_at,
        observed_at=presence.observed_at,
        enrolled_at=host.enrolled_at,
        fingerprint=fingerprint(bytes_of(host.key)),
        state=worst(state_of(view, source_id) for source_id in ids),
        sources=len(ids),
        open_alerts=view.open_alerts_of_host.get(host_id, 0),
        agent_version=info.agent_version if info else None,
        restic_version=info.restic_version if info else None,
        restic_advice=advice(info.restic_version) if info else None,
        os=info.os if info else None,
        arch=info.arch if info else None,
        clock_offset_seconds=presence.clock_offset_seconds,
        round_trip_seconds=presence.round_trip_seconds,
        snoozed_until=host.snoozed_until,
    )


def with_orders(reading: HostReading, told: OrdersTold) -> HostReading:
    """The host with what its agent says of its orders."""
    return msgspec.structs.replace(reading, orders_taken=told.taken, orders_refused=told.refused)


def repository_reading(view: FleetView, repository_id: str) -> RepositoryReading:
    repository, evidence = view.repositories[repository_id], view.repository_evidence_of(repository_id)
    return RepositoryReading(
        id=repository.id,
        name=repository.name,
        url=repository.url,
        tool=repository.tool,
        state=view.repository_states.get(repository_id, RepositoryState.UNKNOWN),
        probe=evidence.probe,
        reason=evidence.message,
        observed_at=evidence.observed_at,
        snapshots=evidence.snapshots,
        size_bytes=evidence.size_bytes,
        uncompressed_bytes=evidence.uncompressed_bytes,
        sized_at=evidence.sized_at,
        locks=evidence.locks,
        locked_at=evidence.locked_at,
        upkeep={str(kind): at for kind, at in evidence.upkeep},
        damaged_at=evidence.damaged_at,
        sources=len(view.sources_of_repository.get(repository_id, ())),
        added_at=repository.added_at,
        password_file=repository.password_file,
        environment_file=repository.environment_file,
        held=repository.held,
        watched_by=repository.watched_by,
        watch_seconds=repository.watch_seconds,
        surveyed_at=evidence.surveyed_at,
        findings=tuple(
            DoubtReading(kind=one.kind, about=one.about, sentence=one.sentence, since=one.since)
            for one in evidence.doubts
        ),
        collector=repository.collector,
        available_bytes=evidence.available_bytes,
        total_bytes=evidence.total_bytes,
        full_at=evidence.full_at,
        synced_at=evidence.synced_at,
    )


def trial_reading(view: FleetView, trial: Trial) -> TrialReading:
    seen = trial.seen
    return TrialReading(
        host_id=trial.host_id,
        host="hub" if trial.host_id is None else host_name(view, trial.host_id),
        probe=seen.probe,
        reason=seen.message,
        identity=seen.identity,
        snapshots=seen.snapshots,
        locks=seen.locks,
    )


def ended_reading(view: FleetView, run: Run) -> RunReading:
    return RunReading(
        id=run.id,
        kind=run.kind,
        status=run.outcome.status,
        outcome=run.outcome.value,
        host_id=run.host_id,
        host=host_name(view, run.host_id),
        source_id=run.source_id,
        source=source_name(view, run.source_id),
        repository_id=run.repository_id,
        repository=None if run.repository_id is None else repository_name(view, run.repository_id),
        started_at=run.started_at,
        ended_at=run.ended_at,
        due_at=run.due_at,
        duration_seconds=run.duration_seconds,
        snapshot_id=run.snapshot_id,
        size_bytes=run.size_bytes,
        added_bytes=run.added_bytes,
        files=run.files,
        error_count=run.error_count,
        dry_run=run.dry_run,
        cause=run.cause,
        reason=run.reason,
        check_subset=run.check_subset,
        progress=None,
    )


def running_reading(view: FleetView, run: RunStart, progress: Mapping[str, Progress]) -> RunReading:
    return RunReading(
        id=run.id,
        kind=run.kind,
        status=Status.RUNNING,
        outcome=None,
        host_id=run.host_id,
        host=host_name(view, run.host_id),
        source_id=run.source_id,
        source=source_name(view, run.source_id),
        repository_id=run.repository_id,
        repository=None if run.repository_id is None else repository_name(view, run.repository_id),
        started_at=run.started_at,
        ended_at=None,
        due_at=run.due_at,
        duration_seconds=None,
        snapshot_id=None,
        size_bytes=None,
        added_bytes=None,
        files=None,
        error_count=0,
        dry_run=False,
        cause=None,
        reason=None,
        check_subset=None,
        progress=progress_reading(progress.get(run.id)),
    )


def queued_reading(view: FleetView, run: RunStart) -> RunReading:
    """A run that was asked for and has not begun; ``started_at`` is when it was asked for."""
    return msgspec.structs.replace(running_reading(view, run, {}), status=Status.QUEUED)


def begun_reading(view: FleetView, run: RunStart) -> RunReading:
    """A run of which we heard the beginning and not the end, and which is not under way either."""
    return msgspec.structs.replace(running_reading(view, run, {}), status=Status.FAILED, outcome=Outcome.LOST.value)


def alert_reading(view: FleetView, alert: Alert) -> AlertReading:
    return AlertReading(
        id=alert.id,
        rule=alert.key.rule,
        severity=alert.severity.value,
        message=alert.message,
        entity_kind=alert.key.entity_kind,
        entity_id=alert.key.entity_id,
        host_id=alert.host_id,
        host=host_name(view, alert.host_id) if alert.host_id else None,
        opened_at=alert.opened_at,
        resolved_at=None,
        resolved_reason=None,
        acknowledged_at=alert.acknowledged_at,
        acknowledged_by=alert.acknowledged_by,
        snoozed_until=alert.snoozed_until,
        snoozed_by=alert.snoozed_by,
    )


def past_alert_reading(view: FleetView, row: PastAlert) -> AlertReading:
    return AlertReading(
        id=row.id,
        rule=row.rule,
        severity=row.severity.value,
        message=row.message,
        entity_kind=row.entity_kind,
        entity_id=row.entity_id,
        host_id=row.host_id,
        host=host_name(view, row.host_id) if row.host_id else None,
        opened_at=row.opened_at,
        resolved_at=row.resolved_at,
        resolved_reason=row.reason,
        acknowledged_at=row.acknowledged_at,
        acknowledged_by=row.acknowledged_by,
        snoozed_until=row.snoozed_until,
        snoozed_by=row.snoozed_by,
    )


def moment_reading(row: LedgerRow) -> MomentReading:
    return MomentReading(due_at=row.due_at, deadline_at=row.deadline_at, result=row.result)


def progress_reading(progress: Progress | None) -> ProgressReading | None:
    if progress is None:
        return None
    return ProgressReading(
        fraction=min(max(progress.fraction, 0.0), 1.0),
        files_done=progress.files_done,
        files_total=progress.files_total,
        bytes_done=progress.bytes_done,
        bytes_total=progress.bytes_total,
        seconds_remaining=progress.seconds_remaining,
    )


def worst(states: Iterable[State]) -> State | None:
    """The state in which a group speaks; None for an empty one."""
    return min(states, key=RANK.__getitem__, default=None)


def host_of(view: FleetView, source: Source) -> str:
    """The name of the host that a source is shown under; that which restic wrote where no host of ours is meant."""
    host_id = source.host_id or source.alias_host_id
    host = None if host_id is None else view.hosts.get(host_id)
    return host.name if host is not None else source.host_id or source.restic_host


def host_name(view: FleetView, host_id: str) -> str:
    """The name, or the id of a host that is no longer there."""
    host = view.hosts.get(host_id)
    return host_id if host is None else host.name


def repository_name(view: FleetView, repository_id: str) -> str:
    repository = view.repositories.get(repository_id)
    return repository_id if repository is None else repository.name


def source_name(view: FleetView, source_id: str | None) -> str | None:
    source = None if source_id is None else view.sources.get(source_id)
    return source_id if source is None else source.name


def _seconds(length: timedelta | None) -> float | None:
    return None if length is None else length.total_seconds()
