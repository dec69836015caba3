"""What a look into the repository says about each source: the witness beside the agents' own word.

Snapshots are known by the tag that carries the source's id. The last good backup may go back only here, and only
through a named finding: its snapshot is gone. A snapshot of which no agent told proves nothing good, for it may lack
files; it only shows that there is something we have not heard.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from lastgood.fleet.expect import expect
from lastgood.fleet.weigh import GONE, is_proven_good, newest
from lastgood.model.fact import SnapshotsListed
from lastgood.model.job import Outcome, Run, RunKind
from lastgood.model.repository import SnapshotPoint, SnapshotSeries
from lastgood.model.source import Evidence, Source, last_good

AHEAD = timedelta(minutes=5)
"""So far may another machine's clock be ahead before its snapshots are called misdated."""

SHORTEST_ID = 8
"""Restic 0.14 names the first eight characters only."""


def by_tag(told: SnapshotsListed) -> dict[str, list[SnapshotSeries]]:
    """The series of a survey under each ``lg:`` tag they carry; changed paths make several series of one source."""
    found: dict[str, list[SnapshotSeries]] = {}
    for series in told.series:
        for tag in dict.fromkeys(series.tags):
            if tag.startswith("lg:"):
                found.setdefault(tag, []).append(series)
    return found


def witness(
    source: Source,
    evidence: Evidence,
    series: Sequence[SnapshotSeries] | None,
    told: SnapshotsListed,
    adopted: Sequence[SnapshotSeries] = (),
) -> Evidence:
    """The evidence after a look into the repository of this source; a truncated look shows only what is there.

    ``adopted`` are series that were found before they became this source's: they count, and prove what was held.
    """
    series = series or ()
    points = sorted((p for one in series for p in one.newest), key=lambda p: p.started_at, reverse=True)
    after = _found(source, evidence, points)
    if told.truncated:
        return after
    is_more = _is_more_than_told(after, points, told)
    after = replace(
        after,
        snapshots=sum(one.count for one in (*series, *adopted)),
        observed_at=after.observed_at if is_more else newest(after.observed_at, told.listed_at),
    )
    if adopted:
        series = (*series, *adopted)
        points = sorted((p for one in series for p in one.newest), key=lambda p: p.started_at, reverse=True)
    return _lost(source, after, series, points, told)


def _found(source: Source, evidence: Evidence, points: Sequence[SnapshotPoint]) -> Evidence:
    """An attempt that was good but for its proof, or whose snapshot was missed, is good once the snapshot is seen."""
    attempt, held = evidence.last_attempt, evidence.last_full
    if attempt is None or (held is not None and (held.id == attempt.id or held.ended_at > attempt.ended_at)):
        return evidence
    if attempt.outcome is Outcome.UNCHANGED and not attempt.snapshot_id:
        made = [point for point in points if point.started_at <= attempt.ended_at]
        attempt = replace(attempt, snapshot_id=made[0].id) if made else attempt
    if not is_proven_good(attempt) or not _is_among(attempt.snapshot_id, points):
        return evidence
    return expect(source, replace(evidence, last_attempt=attempt, last_full=attempt, finding=None))


def _lost(
    source: Source,
    evidence: Evidence,
    series: Sequence[SnapshotSeries],
    points: Sequence[SnapshotPoint],
    told: SnapshotsListed,
) -> Evidence:
    """Take back what rests on a snapshot that is gone."""

    def is_lost(held: Run | None) -> bool:
        return held is not None and held.ended_at < told.listed_at and is_gone(held, points, series)

    held = last_good(source, evidence)
    full, partial = evidence.last_full, evidence.last_partial
    if full is not None and is_lost(full):
        evidence = replace(evidence, last_full=_fallback(full, evidence, points, source, told))
    if is_lost(partial):
        evidence = replace(evidence, last_partial=None)
    if last_good(source, evidence) is held:
        return evidence
    return expect(source, replace(evidence, finding=GONE))


def is_gone(held: Run, points: Sequence[SnapshotPoint], series: Sequence[SnapshotSeries]) -> bool:
    """Whether this snapshot is surely not there any more: lists hold the newest few, an older one may lie beyond."""
    if not held.snapshot_id or _is_among(held.snapshot_id, points):
        return False
    return all(
        one.count <= len(one.newest) or (one.newest and min(p.started_at for p in one.newest) < held.started_at)
        for one in series
    )


def _is_more_than_told(evidence: Evidence, points: Sequence[SnapshotPoint], told: SnapshotsListed) -> bool:
    """Whether there is a snapshot younger than all we were told: its run was not heard of yet, so we cannot say."""
    attempt = evidence.last_attempt
    known = [run.snapshot_id for run in (attempt, evidence.last_full) if run is not None]
    for point in points:
        if point.started_at > told.listed_at:
            continue  # a clock that was wrong
        if attempt is not None and point.started_at <= attempt.ended_at:
            return False
        if not any(same_snapshot(point, known_id) for known_id in (*known, *evidence.poor_snapshots)):
            return True
    return False


def _fallback(
    gone: Run, evidence: Evidence, points: Sequence[SnapshotPoint], source: Source, told: SnapshotsListed
) -> Run | None:
    """The newest older snapshot that is there, as a good run.

    Not one that we know to lack files; and none that is younger than the one that is gone, for had it been good, we
    would have held it.
    """
    for point in points:
        if point.started_at >= gone.started_at:
            continue
        if any(same_snapshot(point, poor_id) for poor_id in evidence.poor_snapshots):
            continue
        return snapshot_run(source, point, told.listed_at)
    return None


def snapshot_run(source: Source, point: SnapshotPoint, listed_at: datetime) -> Run:
    """The good run that a snapshot in the list stands for; where its end is not told, its start is all we know."""
    started_at = min(point.started_at, listed_at)
    ended_at = min(max(point.ended_at or started_at, started_at), listed_at)
    return Run(
        id=f"snapshot:{point.id}",
        kind=RunKind.BACKUP,
        outcome=Outcome.SUCCESS,
        host_id=source.host_id or "",
        source_id=source.id,
        repository_id=source.repository_id,
        started_at=started_at,
        ended_at=ended_at,
        duration_seconds=(ended_at - started_at).total_seconds(),
        snapshot_id=point.id,
        size_bytes=point.size_bytes,
        files=point.files,
    )


def _is_among(snapshot_id: str | None, points: Sequence[SnapshotPoint]) -> bool:
    return any(same_snapshot(point, snapshot_id) for point in points)


def same_snapshot(point: SnapshotPoint, snapshot_id: str | None) -> bool:
    """Whether the id means this snapshot; an edit of its tags gave it another one."""
    if not snapshot_id:
        return False
    return _same(point.id, snapshot_id) or (point.original is not None and _same(point.original, snapshot_id))


def _same(first: str, second: str) -> bool:
    """Whether two snapshot ids mean one snapshot; a short one has at least eight characters."""
    if min(len(first), len(second)) < SHORTEST_ID:
        return first == second
    return first.startswith(second) or second.startswith(first)
