"""The rhythm of a series that only its snapshots tell of: when the next one is to come. Pure.

Comes in: the starts of snapshots. Goes out: a ``Habit``, and what it expects. The one rule: doubt is generous; a
pause that happened at the same place of the week before, and each weekend before a whole week was seen, is no miss.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

from lastgood.model.repository import Habit

LEAST_STARTS = 3
"""So many snapshots make a rhythm; before that nobody knows when the next one is due."""

NEWEST_STARTS = 13
MOST_PAUSES = 16
MEMORY = timedelta(days=15)
WEEK = timedelta(days=7)
WHOLE_WEEK = timedelta(days=8)
WEEKEND = timedelta(days=3)
"""From Friday to Monday."""

SUMMER_TIME = timedelta(minutes=65)
"""So far may a moment stand from where it stood a week before: the clocks were changed, and cron is a little late."""


def habit_of(starts: Iterable[datetime]) -> Habit:
    """What all known starts of a series say."""
    ordered = sorted(set(starts), reverse=True)
    if not ordered:
        return Habit(starts=())
    newest = tuple(ordered[:NEWEST_STARTS])
    horizon = ordered[0] - MEMORY
    recent = [start for start in ordered if start >= horizon]
    recent += ordered[len(recent) : len(recent) + 1]  # a pause may reach beyond
    usual = _usual(newest)
    pauses = [(a, b) for b, a in pairwise(recent) if usual is not None and b - a > 2 * usual]
    return Habit(starts=newest, pauses=_longest(pauses), since=max(ordered[-1], horizon))


def merged(held: Habit | None, seen: Habit) -> Habit:
    """What was known, and what a later look adds to it.

    Of the time that was known before, what was known then speaks: thinning out old snapshots makes no pauses.
    """
    if held is None or not held.starts:
        return seen
    if not seen.starts:
        return held
    known_to = held.starts[0]
    later = [start for start in seen.starts if start > known_to]
    starts = tuple(sorted({*later, *held.starts}, reverse=True)[:NEWEST_STARTS])
    pauses = [*held.pauses, *(pause for pause in seen.pauses if pause[0] >= known_to)]
    horizon = starts[0] - MEMORY
    pauses = [pause for pause in pauses if pause[1] > horizon]
    since = min((moment for moment in (held.since, seen.since) if moment is not None), default=None)
    if since is not None:
        since = max(since, horizon)
    successor = None if later else held.successor
    return Habit(starts=starts, pauses=_longest(pauses), since=since, lag=held.lag, successor=successor)


def joined(habits: Sequence[Habit]) -> Habit:
    """Several series as one: a pause of one in which another has a snapshot is none."""
    habits = [habit for habit in habits if habit.starts]
    if not habits:
        return Habit(starts=())
    if len(habits) == 1:
        return _bounded(habits[0])
    starts = sorted({start for habit in habits for start in habit.starts}, reverse=True)
    pauses = {pause for habit in habits for pause in habit.pauses}
    quiet = [pause for pause in pauses if not any(pause[0] < start < pause[1] for start in starts)]
    since = min((habit.since for habit in habits if habit.since is not None), default=None)
    return Habit(starts=tuple(starts[:NEWEST_STARTS]), pauses=_longest(quiet), since=since)


def without(habit: Habit, misdated: Collection[datetime], until: datetime) -> Habit:
    """The habit without moments that are known to be wrong, and without those that are yet to come."""
    starts = tuple(start for start in habit.starts if start <= until and start not in misdated)
    if starts == habit.starts:
        return habit
    pauses = tuple(pause for pause in habit.pauses if pause[1] <= until and pause[1] not in misdated)
    return replace(habit, starts=starts, pauses=pauses)


def usual_gap(habit: Habit | None) -> timedelta | None:
    """How long it is from one snapshot to the next as a rule; None while too few are known."""
    return None if habit is None or len(habit.starts) < LEAST_STARTS else _usual(habit.starts)


def next_start(habit: Habit | None) -> datetime | None:
    """By when the next snapshot begins at the latest, if all goes on as it did; None without a rhythm."""
    usual = usual_gap(habit)
    if habit is None or usual is None:
        return None
    last = habit.starts[0]
    expected = last + max(gap for gap in _gaps(habit.starts) if gap <= 2 * usual)
    if usual >= WEEK:
        return expected
    if habit.since is None or last - habit.since < WHOLE_WEEK:
        return max(expected, last + WEEKEND)
    a_week_before = last - WEEK
    for begin, end in habit.pauses:
        same_place = begin - max(usual / 2, SUMMER_TIME) <= a_week_before < end
        if same_place and 2 * usual < end - begin < WEEK:
            expected = max(expected, end + WEEK)
    return expected


def with_lag(habit: Habit, lag: timedelta) -> Habit:
    """The habit of a series whose snapshots do not tell when they ended."""
    usual = usual_gap(habit)
    return replace(habit, lag=lag if usual is None else min(lag, usual))


def _gaps(starts: Sequence[datetime]) -> list[timedelta]:
    return [later - earlier for later, earlier in pairwise(starts)]


def _usual(starts: Sequence[datetime]) -> timedelta | None:
    """The median gap."""
    seconds = [gap.total_seconds() for gap in _gaps(starts)]
    return timedelta(seconds=median(seconds)) if seconds else None


def _bounded(habit: Habit) -> Habit:
    """As ``habit_of`` would have it, whoever told it."""
    if len(habit.starts) <= NEWEST_STARTS and len(habit.pauses) <= MOST_PAUSES:
        return replace(habit, starts=tuple(sorted(set(habit.starts), reverse=True)))
    starts = tuple(sorted(set(habit.starts), reverse=True)[:NEWEST_STARTS])
    return replace(habit, starts=starts, pauses=_longest(habit.pauses))


def _longest(pauses: Iterable[tuple[datetime, datetime]]) -> tuple[tuple[datetime, datetime], ...]:
    longest = sorted(set(pauses), key=lambda pause: (pause[0] - pause[1], pause))[:MOST_PAUSES]
    return tuple(sorted(longest, reverse=True))
