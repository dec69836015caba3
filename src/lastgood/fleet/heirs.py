"""Series that go on under another name: paths of a job that were changed, a host that was renamed.

Called by ``found`` after a look. The one rule: only a series that began after the other had ended can be its heir; of
one host it takes over, of another host it only casts doubt, for a second machine may have come as the first one died.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from lastgood.fleet.changes import Changes
from lastgood.fleet.expect import expect
from lastgood.fleet.fleet import Fleet
from lastgood.fleet.rhythm import merged, next_start
from lastgood.fleet.series import OURS
from lastgood.model.fact import SnapshotsListed
from lastgood.model.source import Evidence, Source

CONTINUED = f"{OURS}continued as "


def follow(fleet: Fleet, told: SnapshotsListed, changes: Changes) -> None:
    """Where a series that is overdue seems to go on as another one that began since, it is not called missed."""
    ids = fleet.sources_of_repository.get(told.repository_id, ())
    live = [s for i in ids if (s := fleet.sources[i]).is_found and s.archived_by is None]
    overdue = [s for s in live if _is_overdue(fleet.evidence[s.id], told.listed_at)]
    if not overdue:
        return
    by_host: dict[str, list[Source]] = {}
    by_paths: dict[tuple[str, ...], list[Source]] = {}
    for source in live:
        by_host.setdefault(source.series[0].hostname, []).append(source)
        by_paths.setdefault(source.series[0].paths, []).append(source)
    for source in overdue:
        heir = _one_that_began_since(fleet, source, by_host.get(source.series[0].hostname, ()), share_paths=True)
        if heir is not None:
            _hand_on(fleet, source, heir)
            changes.sources.update((source.id, heir.id))
            changes.found.add(source.id)
            continue
        heir = _one_that_began_since(fleet, source, by_paths.get(source.series[0].paths, ()), share_paths=False)
        evidence = fleet.evidence[source.id]
        if heir is not None and evidence.habit is not None:
            habit = replace(evidence.habit, successor=heir.restic_host)
            fleet.evidence[source.id] = replace(evidence, habit=habit)


def _is_overdue(evidence: Evidence, now: datetime) -> bool:
    return (
        evidence.last_full is not None
        and evidence.deadline_at is not None
        and evidence.deadline_at <= now
        and (evidence.habit is None or evidence.habit.successor is None)
    )


def _one_that_began_since(
    fleet: Fleet, source: Source, others: Iterable[Source], *, share_paths: bool
) -> Source | None:
    """The one series whose first snapshot came after this one's last; None if there is none, or no saying which."""
    ended = fleet.evidence[source.id].last_full
    heirs = []
    for other in others:
        habit = fleet.evidence[other.id].habit
        if other.id == source.id or ended is None or habit is None or other.created_at <= source.created_at:
            continue
        begun = min((habit.since or habit.starts[-1], habit.starts[-1]))
        if begun > ended.started_at and (not share_paths or _share(source, other)):
            heirs.append(other)
    return heirs[0] if len(heirs) == 1 else None


def _share(first: Source, second: Source) -> bool:
    """Whether one saves at least half of what the other does."""
    mine, theirs = set(first.series[0].paths), set(second.series[0].paths)
    return 2 * len(mine & theirs) >= min(len(mine), len(theirs)) and bool(mine & theirs)


def _hand_on(fleet: Fleet, source: Source, heir: Source) -> None:
    """The older series ends in the archive; the younger one keeps its rhythm until it has shown one of its own."""
    fleet.sources[source.id] = replace(source, archived_by=f"{CONTINUED}{heir.name})")
    old, new = fleet.evidence[source.id], fleet.evidence[heir.id]
    if old.habit is not None and new.habit is not None and next_start(new.habit) is None:
        fleet.evidence[heir.id] = expect(heir, replace(new, habit=merged(old.habit, new.habit)))
