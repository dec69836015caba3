"""The whole fleet in one sentence, worst first, and the counts beside it.

Comes in: a frozen view. Goes out: a ``FleetReading``. The one rule: the sentence says "good" only if every source
that counts is good; paused and archived sources are not counted, and unknown is never good.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from lastgood import __version__
from lastgood.fleet.fleet import FleetView
from lastgood.model.source import WORST_FIRST, State, last_good
from lastgood.web.reader import state_of, worst
from lastgood.web.readings import FleetReading
from lastgood.web.words import plural, span

ASIDE = frozenset({State.PAUSED, State.ARCHIVED})
"""States that say nothing about health."""

NEEDS_ATTENTION = (State.FAILED, State.NEVER, State.MISSED, State.UNKNOWN, State.PARTIAL)

_ONE = {
    State.FAILED: "The last backup of {these} failed.",
    State.NEVER: "{These} {has} never had a good backup.",
    State.MISSED: "{These} missed {its} backup.",
    State.UNKNOWN: "lastgood cannot tell whether {these} {has} a good backup.",
    State.PARTIAL: "The last backup of {these} is incomplete.",
    State.LATE: "{These} {is_} late, and still within grace.",
    State.NEW: "{These} {waits} for the first backup.",
}
_WORDS = {
    State.FAILED: "failed",
    State.NEVER: "never backed up",
    State.MISSED: "missed",
    State.UNKNOWN: "unknown",
    State.PARTIAL: "partial",
}


def fleet_reading(view: FleetView, now: datetime, fingerprint: str) -> FleetReading:
    counts = Counter(state_of(view, source_id) for source_id in view.sources)
    counted = sum(count for state, count in counts.items() if state not in ASIDE)
    oldest_at = _oldest_good_at(view)
    blind = view.blind_until if view.blind_until is not None and view.blind_until > now else None
    return FleetReading(
        state=worst(counts),
        sentence=sentence(counts, oldest_at, now),
        states={state.value: counts[state] for state in WORST_FIRST},
        sources=counted,
        hosts=len(view.hosts),
        hosts_offline=sum(not view.online.get(host_id, True) for host_id in view.hosts),
        repositories=len(view.repositories),
        running=len(view.running),
        open_alerts={severity.value: count for severity, count in view.open_alerts.items() if count},
        oldest_good_at=oldest_at,
        evaluated_at=view.evaluated_at,
        blind_until=blind,
        version=__version__,
        fingerprint=fingerprint,
    )


def sentence(counts: Mapping[State, int], oldest_at: datetime | None, now: datetime) -> str:
    """What a person should know first; the worst state speaks."""
    counted = sum(count for state, count in counts.items() if state not in ASIDE)
    if not counted:
        return "Every source is paused or archived." if any(counts.values()) else "Nothing is protected yet."
    trouble = [state for state in NEEDS_ATTENTION if counts.get(state)]
    if len(trouble) > 1:
        total = sum(counts[state] for state in trouble)
        listed = ", ".join(f"{counts[state]} {_WORDS[state]}" for state in trouble)
        needs = "needs" if total == 1 else "need"
        return f"{_these(total, counted)} {needs} attention: {listed}."
    said = next((state for state in WORST_FIRST if counts.get(state) and state not in ASIDE), State.GOOD)
    if said is State.GOOD:
        return _all_good(counted, oldest_at, now)
    return _one(said, counts[said], counted)


def _all_good(counted: int, oldest_at: datetime | None, now: datetime) -> str:
    age = "" if oldest_at is None else span(now - oldest_at, long=True)
    if counted == 1:
        return f"What you run has a good backup, {age} old." if age else "What you run has a good backup."
    oldest = f" The oldest is {age} old." if age else ""
    return f"Everything you run has a good backup.{oldest}"


def _one(state: State, count: int, counted: int) -> str:
    these, alone = _these(count, counted), count == 1
    return _ONE[state].format(
        these=these[:1].lower() + these[1:],
        These=these,
        has="has" if alone else "have",
        its="its" if alone else "their",
        is_="is" if alone else "are",
        waits="waits" if alone else "wait",
    )


def _these(count: int, counted: int) -> str:
    if count == counted:
        return "The only source" if count == 1 else f"All {plural(count, 'source')}"
    return f"{count} of {plural(counted, 'source')}"


def _oldest_good_at(view: FleetView) -> datetime | None:
    """The oldest of the last good backups of all sources that count."""
    ended = (
        good.ended_at
        for source in view.sources.values()
        if state_of(view, source.id) not in ASIDE and (good := last_good(source, view.evidence_of(source.id)))
    )
    return min(ended, default=None)
