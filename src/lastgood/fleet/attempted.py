"""One source as its server tells it: what it is called and asked for, and what its attempts prove. Pure.

Comes in: the source and its evidence so far, and a report. Goes out: both as they are now. Called by ``collected``.
The one rule: what a person has set outlives whatever is told later, and the last good backup goes back only through
a named finding.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from lastgood.errors import ConfigError
from lastgood.fleet.expect import expect
from lastgood.fleet.ledger import LedgerRow, enter
from lastgood.fleet.schedule import check
from lastgood.fleet.survey import AHEAD
from lastgood.fleet.weigh import DAMAGED, GONE, is_accepted, is_proven_good, newest
from lastgood.model.collected import Attempt, CollectedSource
from lastgood.model.fact import SourcesCollected
from lastgood.model.job import Run, RunKind, Schedule
from lastgood.model.repository import Repository
from lastgood.model.source import Collected, Evidence, Source

ARCHIVED = "its configuration"
"""``archived_by`` where the settings, or the server's own, say that nothing more is to come."""

VERIFICATION = "verification"
"""The cause of an attempt whose snapshot is there and was found damaged."""

_T = TypeVar("_T")


def made(before: Source | None, repository: Repository, report: CollectedSource, told: SourcesCollected) -> Source:
    """The source as it is told; of what a person has set since, that stays."""
    now = Collected(
        name=report.name, schedule=_followable(report.schedule), target=_positive(report.target or report.interval)
    )
    if before is None or before.collected is None:
        begun = min(at for at in (told.at, report.oldest_at, _first(report)) if at is not None)
        return Source(
            id=report.id,
            name=now.name,
            host_id=None,
            repository_id=repository.id,
            paths=report.paths,
            restic_host=report.host,
            created_at=begun,
            revised_at=begun,
            tool=repository.tool,
            schedule=now.schedule,
            target=now.target,
            archived_by=ARCHIVED if report.archived else None,
            collected=now,
        )
    then = before.collected
    archived_by = before.archived_by
    if report.archived:
        archived_by = archived_by or ARCHIVED
    elif archived_by == ARCHIVED:
        archived_by = None
    return replace(
        before,
        name=_kept(before.name, then.name, now.name),
        schedule=_kept(before.schedule, then.schedule, now.schedule),
        target=_kept(before.target, then.target, now.target),
        paths=report.paths,
        restic_host=report.host,
        tool=repository.tool,
        archived_by=archived_by,
        collected=now,
    )


def _kept(held: _T, told_before: _T, told_now: _T) -> _T:
    return told_now if held == told_before else held


def _first(report: CollectedSource) -> datetime | None:
    attempts = (attempt for attempt in (report.newest, report.good, report.partial) if attempt is not None)
    return min((attempt.started_at for attempt in attempts), default=None)


def _followable(schedule: Schedule | None) -> Schedule | None:
    """A tool may have schedules that are no cron of ours; its habit speaks then."""
    if schedule is None:
        return None
    try:
        check(schedule)
    except ConfigError:
        return None
    return schedule


def _positive(span: timedelta | None) -> timedelta | None:
    return span if span is not None and span > timedelta() else None


def weighed(
    source: Source, before: Evidence, report: CollectedSource, listed_at: datetime
) -> tuple[Evidence, list[LedgerRow]]:
    """The evidence after what was told; the ledger's moments that this closed or corrected."""
    last = _run(source, report.newest, listed_at)
    full = _run(source, report.good, listed_at)
    partial = _run(source, report.partial, listed_at)
    full = full if full is not None and is_proven_good(full) else None
    runs = [run for run in (full, partial, last) if run is not None and run.is_attempt]
    attempt = last if last in runs else max(runs, key=lambda run: run.ended_at, default=None)
    finding = _finding(before, full, attempt)
    after = replace(
        before,
        observed_at=newest(before.observed_at, listed_at),
        last_attempt=full if full is not None and attempt is not None and attempt.id == full.id else attempt,
        last_full=full,
        last_partial=partial,
        finding=finding,
        snapshots=report.snapshots,
        habit=report.habit,
        verified_at=report.verified_at,
        oldest_at=report.oldest_at,
        running_since=report.running_since,
        remarks=report.remarks,
    )
    if finding is not None and full is None:  # nothing good is left: it is owed since it was found out
        since = listed_at if before.last_full is not None else before.deadline_at or listed_at
        after = replace(after, due_at=since, deadline_at=since)
    after = expect(source, after)
    known_ids = {run.id for run in (before.last_attempt, before.last_full, before.last_partial) if run is not None}
    rows: list[LedgerRow] = []
    for run in sorted({run.id: run for run in runs}.values(), key=lambda run: run.ended_at):
        if run.id not in known_ids:
            after, closed = enter(source, after, run, good=is_accepted(source, run))
            rows.extend(closed)
    return after, rows


def _finding(before: Evidence, full: Run | None, attempt: Run | None) -> str | None:
    """Why the last good backup is not what it was; None if nothing was taken back."""
    held = before.last_full
    if full is not None and (held is None or (full.id != held.id and full.ended_at >= held.ended_at)):
        return None
    is_back = held is not None and (full is None or full.id != held.id)
    if not is_back and before.finding is None:
        return None
    return DAMAGED if attempt is not None and attempt.cause == VERIFICATION else GONE


def _run(source: Source, attempt: Attempt | None, listed_at: datetime) -> Run | None:
    """The run that an attempt stands for; None for one of the future, which never counts."""
    if attempt is None or attempt.started_at > listed_at + AHEAD:
        return None
    started_at = min(attempt.started_at, listed_at)
    ended_at = min(max(attempt.ended_at, started_at), listed_at)
    return Run(
        id=attempt.id,
        kind=RunKind.BACKUP,
        outcome=attempt.outcome,
        host_id="",
        source_id=source.id,
        repository_id=source.repository_id,
        started_at=started_at,
        ended_at=ended_at,
        duration_seconds=(ended_at - started_at).total_seconds(),
        snapshot_id=attempt.snapshot_id,
        size_bytes=attempt.size_bytes,
        added_bytes=attempt.added_bytes,
        files=attempt.files,
        error_count=attempt.error_count,
        cause=attempt.cause,
        reason=attempt.reason,
    )
