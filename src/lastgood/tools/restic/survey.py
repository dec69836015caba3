"""What a look into a repository is told as: series of snapshots, locks, a probe's answer, sizes. Pure; restic's
results in, reports out; for agents and for the hub's own looks.

The one rule: a report fits into a frame. What is left out is counted, and ``truncated`` says so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

import msgspec

from lastgood.fleet.rhythm import habit_of
from lastgood.model.repository import Lock, Probe, SnapshotPoint, SnapshotSeries
from lastgood.tools.restic.documents import Lock as ResticLock
from lastgood.tools.restic.documents import RawStats, Snapshot
from lastgood.tools.restic.driver import ProbeResult
from lastgood.wire.frames import FRAME_LIMIT, Locks, Probed, Sized, Snapshots

MOST_SERIES = 1000
MOST_POINTS = 10
MOST_LOCKS = 1000
BODY_BYTES = FRAME_LIMIT - 64 * 1024

_Key = tuple[str, tuple[str, ...], tuple[str, ...]]
"""Host, tags and paths of a series."""


def probed(repository_id: str, result: ProbeResult, at: datetime) -> Probed:
    """A probe's answer as a report."""
    return Probed(
        repository_id=repository_id,
        probe=Probe(result.status),
        probed_at=at,
        identity=result.repository_id,
        message=result.message or None,
    )


def locks(repository_id: str, found: Sequence[ResticLock], at: datetime) -> Locks:
    """The locks in a repository as a report; a lock that could not be read is taken for a shared one of nobody."""
    told = tuple(
        Lock(
            id=lock.id,
            created_at=lock.created_at,
            exclusive=bool(lock.exclusive),
            hostname=lock.hostname or "",
            pid=lock.pid,
        )
        for lock in found[:MOST_LOCKS]
    )
    return Locks(repository_id=repository_id, listed_at=at, locks=told)


def sized(repository_id: str, stats: RawStats, at: datetime) -> Sized:
    """What the repository stores as a report."""
    return Sized(
        repository_id=repository_id,
        sized_at=at,
        size_bytes=stats.size_bytes,
        uncompressed_bytes=stats.uncompressed_bytes,
        snapshots=stats.snapshots,
    )


def snapshots(
    repository_id: str,
    found: Iterable[Snapshot],
    at: datetime,
    *,
    watched: bool = False,
    body_bytes: int = BODY_BYTES,
) -> Snapshots:
    """All snapshots of a repository as a report: series by host, tags and paths, those with the newest first.

    Of a ``watched`` repository each series tells its habit too.
    """
    groups: dict[_Key, list[Snapshot]] = defaultdict(list)
    listed = list(found)
    told_once = _without_duplicates(listed)
    for snapshot in told_once:
        groups[snapshot.hostname or "", tuple(sorted(snapshot.tags)), snapshot.paths].append(snapshot)
    series = [_series(key, members, watched=watched) for key, members in groups.items()]
    series.sort(key=lambda one: (-_newest_at(one), one.hostname, one.tags, one.paths))
    told = Snapshots(
        repository_id=repository_id,
        listed_at=at,
        total=len(listed),
        duplicates=len(listed) - len(told_once),
        series=tuple(series[:MOST_SERIES]),
        truncated=len(series) > MOST_SERIES,
    )
    return _fitting(told, body_bytes)


def _without_duplicates(listed: Sequence[Snapshot]) -> list[Snapshot]:
    """Each snapshot once. A tag edit makes a copy and removes the original; where it may not, both are there."""
    kept: dict[object, Snapshot] = {}
    for snapshot in listed:
        same = (snapshot.hostname, snapshot.tree, snapshot.started_at)
        key = same if snapshot.tree and snapshot.started_at else snapshot.id
        if key not in kept or snapshot.original:
            kept[key] = snapshot
    return list(kept.values())


def _series(key: _Key, members: list[Snapshot], *, watched: bool) -> SnapshotSeries:
    hostname, tags, paths = key
    dated = [(member.started_at, member) for member in members if member.started_at is not None]
    dated.sort(key=lambda pair: (pair[0], pair[1].id), reverse=True)
    newest = tuple(
        SnapshotPoint(
            id=member.id,
            started_at=started_at,
            ended_at=member.ended_at,
            size_bytes=member.size_bytes,
            files=member.files,
            original=member.original,
        )
        for started_at, member in dated[:MOST_POINTS]
    )
    habit = habit_of(started_at for started_at, _ in dated) if watched else None
    return SnapshotSeries(hostname=hostname, tags=tags, paths=paths, count=len(members), newest=newest, habit=habit)


def _newest_at(series: SnapshotSeries) -> float:
    return series.newest[0].started_at.timestamp() if series.newest else 0.0


def _fitting(told: Snapshots, body_bytes: int) -> Snapshots:
    """Within ``body_bytes``: first fewer points a series, then fewer series."""
    points = MOST_POINTS
    while len(msgspec.json.encode(told)) > body_bytes and points > 1:
        points //= 2
        thinner = tuple(replace(one, newest=one.newest[:points]) for one in told.series)
        told = msgspec.structs.replace(told, series=thinner, truncated=True)
    while len(msgspec.json.encode(told)) > body_bytes:
        told = msgspec.structs.replace(told, series=told.series[: len(told.series) // 2])
    return told
