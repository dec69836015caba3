"""Sources that only a look into their repository tells of: cron and restic, without an agent of ours.

Called by ``looked`` for repositories that somebody watches. Every series that no configured source explains becomes a
source; each snapshot counts as a good run of it, for that is all the evidence there can be. The one rule: what a
series is known by stays the same, whatever changes around it: tags, ids after a tag edit, dates in its paths.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from lastgood.fleet.changes import Changes
from lastgood.fleet.expect import expect
from lastgood.fleet.fleet import Fleet
from lastgood.fleet.heirs import follow
from lastgood.fleet.rhythm import habit_of, joined, merged, usual_gap, with_lag, without
from lastgood.fleet.series import OURS, OWNER, is_ours_to_wake, name_of, series_key
from lastgood.fleet.survey import AHEAD, is_gone, same_snapshot, snapshot_run
from lastgood.fleet.weigh import GONE, newest, weigh
from lastgood.ids import stable_key
from lastgood.model.fact import SnapshotsListed
from lastgood.model.repository import Habit, SnapshotPoint, SnapshotSeries
from lastgood.model.source import NO_EVIDENCE, Evidence, Series, Source

MOST_FOUND = 1000
"""Sources found in one repository; those with the newest snapshots come first in a look."""

MOST_NEW = 100
"""Sources found by one fact, which is learned in one piece; the next look finds the others."""

SILENT_INTERVALS = 10
SILENT_FOR = timedelta(days=30)
SILENT = f"{OURS}silent when found)"
OWNERLESS = f"{OURS}no owner)"


@dataclass(slots=True)
class _Look:
    """One look, sorted by whom its series belong to."""

    told: SnapshotsListed
    misdated: frozenset[str]
    before_at: datetime | None
    of_source: dict[str, list[SnapshotSeries]] = field(default_factory=dict)
    new: dict[Series, list[SnapshotSeries]] = field(default_factory=dict)


def look(
    fleet: Fleet, told: SnapshotsListed, misdated: frozenset[str], before_at: datetime | None, changes: Changes
) -> None:
    """Bring the found sources of a watched repository in line with what a look saw."""
    ids = fleet.sources_of_repository.get(told.repository_id, ())
    seen = _sorted(fleet, ids, _Look(told=told, misdated=misdated, before_at=before_at))
    room = MOST_FOUND
    for source_id in ids:
        source = fleet.sources[source_id]
        if not source.is_found:
            continue
        room -= 1
        _known_one(fleet, source, seen, changes)
    for key, series in list(seen.new.items())[: max(min(room, MOST_NEW), 0)]:
        _new_one(fleet, key, series, seen, changes)
    follow(fleet, told, changes)


def drop_all(fleet: Fleet, repository_id: str, changes: Changes) -> None:
    """Nobody watches the repository any more: what was found in it ends, for nothing would tell of it again."""
    for source_id in fleet.sources_of_repository.get(repository_id, ()):
        if fleet.sources[source_id].is_found:
            drop(fleet, fleet.sources[source_id], changes)


def drop(fleet: Fleet, source: Source, changes: Changes) -> None:
    """A found source ends. The rules find that it is no more, and resolve what was open about it."""
    del fleet.sources[source.id]
    fleet.evidence.pop(source.id, None)
    indexes = [(fleet.sources_of_repository, source.repository_id)]
    if source.alias_host_id is not None:
        indexes.append((fleet.aliases_of_host, source.alias_host_id))
        changes.hosts.add(source.alias_host_id)
    for index, key in indexes:
        index[key] = tuple(other for other in index[key] if other != source.id)
        if not index[key]:
            del index[key]
    changes.sources.add(source.id)
    changes.found.add(source.id)


def _sorted(fleet: Fleet, ids: Iterable[str], seen: _Look) -> _Look:
    sources = [fleet.sources[source_id] for source_id in ids]
    configured = {source.tag for source in sources if not source.is_found}
    owners = {key: source.id for source in sources if source.is_found for key in source.series}
    owners.update((key, source.id) for source in sources if not source.is_found for key in source.series)
    for one in seen.told.series:
        if not configured.isdisjoint(one.tags):
            continue
        key = series_key(one)
        owner = owners.get(key)
        if owner is None:
            seen.new.setdefault(key, []).append(one)
        else:
            seen.of_source.setdefault(owner, []).append(one)
    return seen


def _known_one(fleet: Fleet, source: Source, seen: _Look, changes: Changes) -> None:
    series = seen.of_source.get(source.id, [])
    if not series:
        if seen.told.truncated:
            return  # it may be among what was left out
        if source.archived_by is not None:
            drop(fleet, source, changes)
            return
    before = fleet.evidence.get(source.id, NO_EVIDENCE)
    if _is_as_it_was(before, series, seen):
        if seen.told.truncated:
            fleet.evidence[source.id] = replace(before, observed_at=newest(before.observed_at, seen.told.listed_at))
            changes.sources.add(source.id)
        return
    after = _evidence(source, before, series, seen, changes)
    woken = before.habit is not None and after.habit is not None and after.habit.starts[:1] > before.habit.starts[:1]
    if woken and is_ours_to_wake(source):
        source = replace(source, archived_by=None)
        after = expect(source, after)
        fleet.sources[source.id] = source
        changes.found.add(source.id)
    fleet.evidence[source.id] = after
    changes.sources.add(source.id)


def _is_as_it_was(before: Evidence, series: Sequence[SnapshotSeries], seen: _Look) -> bool:
    """Whether the look shows nothing new of it, as most looks do."""
    held = before.last_full
    if held is None or len(series) != 1 or seen.misdated or before.finding is not None or not series[0].newest:
        return False
    newest_one = series[0].newest[0]
    return newest_one.id == held.snapshot_id and series[0].count == before.snapshots


def _new_one(fleet: Fleet, key: Series, series: Sequence[SnapshotSeries], seen: _Look, changes: Changes) -> None:
    told = seen.told
    repository = fleet.repositories[told.repository_id]
    identity = fleet.repository_evidence_of(repository.id).identity or repository.id
    source_id = stable_key("restic", identity, key.hostname, *key.paths, "", *key.tags)
    if source_id in fleet.sources:  # the same repository, known under two addresses
        source_id = stable_key("restic", repository.id, key.hostname, *key.paths, "", *key.tags)
    if source_id in fleet.sources:
        return
    made = Source(
        id=source_id,
        name=name_of(key),
        host_id=None,
        repository_id=repository.id,
        paths=series[0].paths,
        restic_host=series[0].hostname,
        created_at=told.at,
        revised_at=told.at,
        series=(key,),
    )
    evidence = _evidence(made, NO_EVIDENCE, series, seen, changes)
    if evidence.last_full is None:
        return  # not one snapshot of it can be believed
    if any(tag.startswith(OWNER) for tag in key.tags):
        made = replace(made, archived_by=OWNERLESS)
    elif _is_silent(evidence, told.listed_at):
        made = replace(made, archived_by=SILENT)
    fleet.sources[source_id] = made
    fleet.evidence[source_id] = evidence
    index = fleet.sources_of_repository
    index[repository.id] = tuple(sorted((*index.get(repository.id, ()), source_id)))
    changes.sources.add(source_id)
    changes.found.add(source_id)


def _is_silent(evidence: Evidence, now: datetime) -> bool:
    """Whether it had ended long before anybody looked: old snapshots that are kept, machines that are no more."""
    if evidence.last_full is None:
        return False
    usual = usual_gap(evidence.habit)
    patience = SILENT_FOR if usual is None else max(SILENT_FOR, SILENT_INTERVALS * usual)
    return now - evidence.last_full.ended_at > patience


def _evidence(
    source: Source, before: Evidence, series: Sequence[SnapshotSeries], seen: _Look, changes: Changes
) -> Evidence:
    """The evidence of a found source after a look."""
    told = seen.told
    points = sorted(
        (
            p
            for one in series
            for p in one.newest
            if p.id not in seen.misdated and p.started_at <= told.listed_at + AHEAD
        ),
        key=lambda p: (p.started_at, p.id),
        reverse=True,
    )
    after = replace(before, habit=_habit(before, points, series, seen))
    held = before.last_attempt
    later = [p for p in points if held is None or p.started_at > held.started_at]
    for point in reversed(later if held is not None else later[:1]):
        after, rows = weigh(source, after, snapshot_run(source, point, told.listed_at))
        changes.moments.extend(rows)
    after = _edited(after, points)
    if not told.truncated:
        after = _gone(source, after, points, series, told)
    if told.part or not told.truncated:
        after = replace(after, snapshots=sum(one.count for one in series))
    after = replace(after, observed_at=newest(before.observed_at, told.listed_at))
    return expect(source, after)


def _habit(
    before: Evidence, points: Sequence[SnapshotPoint], series: Sequence[SnapshotSeries], seen: _Look
) -> Habit | None:
    told = [one.habit for one in series if one.habit is not None]
    now = joined(told) if told else habit_of(point.started_at for point in points)
    now = without(
        now, {p.started_at for one in series for p in one.newest if p.id in seen.misdated}, seen.told.listed_at
    )
    after = merged(before.habit, now)
    if not after.starts:
        return before.habit
    newest_one = points[0] if points else None
    is_later = before.habit is not None and after.starts[0] > before.habit.starts[0]
    if newest_one is not None and newest_one.ended_at is None and is_later and seen.before_at is not None:
        after = with_lag(after, seen.told.listed_at - newest_one.started_at)
    return after


def _edited(evidence: Evidence, points: Sequence[SnapshotPoint]) -> Evidence:
    """A tag edit gives a snapshot another id and leaves its moment: it is the same one."""
    held = evidence.last_full
    if held is None or any(point.id == held.snapshot_id for point in points):
        return evidence
    for point in points:
        if point.started_at == held.started_at or same_snapshot(point, held.snapshot_id):
            edited = replace(held, snapshot_id=point.id)
            attempt = edited if evidence.last_attempt == held else evidence.last_attempt
            return replace(evidence, last_full=edited, last_attempt=attempt)
    return evidence


def _gone(
    source: Source,
    evidence: Evidence,
    points: Sequence[SnapshotPoint],
    series: Sequence[SnapshotSeries],
    told: SnapshotsListed,
) -> Evidence:
    """Take back what rests on a snapshot that is gone."""
    held = evidence.last_full
    if held is None or not is_gone(held, points, series):
        return evidence
    older = next((point for point in points if point.started_at < held.started_at), None)
    after = replace(evidence, finding=GONE)
    if older is not None:
        run = snapshot_run(source, older, told.listed_at)
        return replace(after, last_full=run, last_attempt=run)
    # Nothing is left of it: it is owed from now on.
    return replace(after, last_full=None, last_attempt=None, due_at=told.listed_at, deadline_at=told.listed_at)
