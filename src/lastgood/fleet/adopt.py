"""A found source becomes the history of another one. Called by ``learn`` alone.

The one rule: what was found stays found; its series name their new owner, so no later look makes a source of them.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from lastgood.fleet import found
from lastgood.fleet.changes import Changes, Unlearnable, known
from lastgood.fleet.expect import expect
from lastgood.fleet.fleet import Fleet
from lastgood.fleet.rhythm import merged
from lastgood.model.fact import SourceAdopted
from lastgood.model.repository import Habit
from lastgood.model.source import NO_EVIDENCE, Evidence, Source

MOST_SERIES = 100


def adopted(fleet: Fleet, told: SourceAdopted, changes: Changes) -> None:
    child, owner = known(fleet.sources, told.source_id, "source"), known(fleet.sources, told.into_id, "source")
    if not child.is_found:
        raise Unlearnable(f"Source {child.id} is backed up by an agent; only a found one can be adopted.")
    if child.collected is not None or owner.collected is not None:
        raise Unlearnable(
            f"Source {child.id} cannot be adopted: its server, or that of {owner.id}, tells of it alone."
        )
    if child.id == owner.id or child.repository_id != owner.repository_id:
        raise Unlearnable(f"Source {owner.id} is not another source of the same repository.")
    series = tuple(dict.fromkeys((*owner.series, *child.series)))
    if len(series) > MOST_SERIES:
        raise Unlearnable(f"Source {owner.id} has adopted {MOST_SERIES} series already.")

    owner = replace(owner, series=series)
    history = fleet.evidence.get(child.id, NO_EVIDENCE)
    found.drop(fleet, child, changes)
    fleet.sources[owner.id] = owner
    fleet.evidence[owner.id] = _with_history(owner, fleet.evidence.get(owner.id, NO_EVIDENCE), history)
    changes.sources.add(owner.id)
    changes.found.add(owner.id)
    changes.repositories.add(owner.repository_id)
    if owner.host_id is not None:
        changes.hosts.add(owner.host_id)


def _with_history(owner: Source, evidence: Evidence, history: Evidence) -> Evidence:
    """The evidence with what was known of the adopted one; a newer good backup of its own stays what is held."""
    if evidence.snapshots is not None or history.snapshots is not None:
        evidence = replace(evidence, snapshots=(evidence.snapshots or 0) + (history.snapshots or 0))
    if owner.is_found:
        evidence = replace(evidence, habit=_in_turn(history.habit, evidence.habit))
    good = history.last_full
    if good is not None and (evidence.last_full is None or evidence.last_full.ended_at < good.ended_at):
        good = replace(good, source_id=owner.id, host_id=owner.host_id or "")
        evidence = replace(evidence, last_full=good, finding=None)
        if evidence.last_attempt is None or (owner.is_found and evidence.last_attempt.ended_at < good.ended_at):
            evidence = replace(evidence, last_attempt=good)
    return expect(owner, evidence)


def _in_turn(first: Habit | None, second: Habit | None) -> Habit | None:
    if first is None or second is None:
        return first or second
    earlier, later = sorted((first, second), key=_newest_start)
    return merged(earlier, later)


def _newest_start(habit: Habit) -> tuple[datetime, ...]:
    return habit.starts[:1]
