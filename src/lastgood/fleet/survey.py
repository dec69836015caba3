"""What a look into the repository says about each source: the witness beside the agents' own word.

Snapshots are known by the tag that carries the source's id. The last good backup may go back only here, and
only through a named finding: its snapshot is gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lastgood.fleet.expect import expect
from lastgood.fleet.weigh import newest
from lastgood.model.fact import SnapshotsListed
from lastgood.model.job import Outcome, Run, RunKind
from lastgood.model.repository import SnapshotPoint, SnapshotSeries
from lastgood.model.source import Evidence, Source

GONE = "gone"


def by_tag(told: SnapshotsListed) -> dict[str, list[SnapshotSeries]]:
    """The series of a survey under each ``lg:`` tag they carry; changed paths make several series of one source."""
    found: dict[str, list[SnapshotSeries]] = {}
    for series in told.series:
        for tag in series.tags:
            if tag.startswith("lg:"):
                found.setdefault(tag, []).append(series)
    return found


def witness(
    source: Source, evidence: Evidence, series: Sequence[SnapshotSeries] | None, told: SnapshotsListed
) -> Evidence:
    """The evidence after a look into the repository of this source."""
    if series is None and told.truncated:
        return evidence
    series = series or ()
    points = sorted((p for one in series for p in one.newest), key=lambda p: p.started_at, reverse=True)
    after = replace(
        evidence,
        snapshots=sum(one.count for one in series),
        observed_at=newest(evidence.observed_at, told.listed_at),
    )
    held = after.last_full
    if held is None or held.ended_at >= told.listed_at or not _is_gone(held, points, series):
        return after
    return expect(source, replace(after, last_full=_fallback(after, points, source), finding=GONE))


def _is_gone(held: Run, points: Sequence[SnapshotPoint], series: Sequence[SnapshotSeries]) -> bool:
    """Whether the snapshot we hold as last good is surely not there any more."""
    if held.snapshot_id is None or any(_same(point.id, held.snapshot_id) for point in points):
        return False
    listed_all = all(one.count <= len(one.newest) for one in series)
    return listed_all or all(
        one.count <= len(one.newest) or one.newest[-1].started_at < held.started_at for one in series
    )


def _fallback(evidence: Evidence, points: Sequence[SnapshotPoint], source: Source) -> Run | None:
    """The newest snapshot that is there, as a good run; not one that we know to be partial."""
    partial = evidence.last_partial
    for point in points:
        if partial is not None and partial.snapshot_id is not None and _same(point.id, partial.snapshot_id):
            continue
        ended_at = point.ended_at or point.started_at
        return Run(
            id=f"snapshot:{point.id}",
            kind=RunKind.BACKUP,
            outcome=Outcome.SUCCESS,
            host_id=source.host_id,
            source_id=source.id,
            repository_id=source.repository_id,
            started_at=point.started_at,
            ended_at=ended_at,
            duration_seconds=(ended_at - point.started_at).total_seconds(),
            snapshot_id=point.id,
            size_bytes=point.size_bytes,
        )
    return None


def _same(first: str, second: str) -> bool:
    """Whether two snapshot ids mean one snapshot; restic 0.14 reports the first eight characters only."""
    return first.startswith(second) or second.startswith(first)
