"""When the next good backup of a source is due: the moment, its deadline, and the interval.

Called by ``learn`` whenever a good run or a change of configuration moves the expectation, so that judging only
compares moments and never reads a cron expression. The one rule: a moment that is already owed stays owed; neither a
new schedule nor a pause, its end, or a look into the repository may turn a missed backup green, only a good run.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from lastgood.fleet.ledger import LedgerRow, open_after, settle
from lastgood.fleet.rhythm import next_start
from lastgood.fleet.schedule import answers_up_to, begun_at, grace_for, next_after, window
from lastgood.model.job import Run
from lastgood.model.source import Evidence, Source, last_good

__all__ = ["Expectation", "LedgerRow", "expect", "expectation", "revise", "revised"]

Expectation = tuple[datetime, datetime, timedelta]
"""(due, deadline, interval)."""


def expectation(source: Source, good: Run | None, resumed_at: datetime | None = None) -> Expectation | None:
    """What follows from the good run, or from the source's beginning; None without schedule or target.

    With both a schedule and a target, the one whose deadline comes first speaks.
    """
    begun = begun_at(source, resumed_at)
    answers = []
    if source.schedule is not None:
        anchor = begun if good is None else max(begun, answers_up_to(source, good))
        due_at = next_after(source.schedule, anchor)
        answers.append((due_at, *window(source.schedule, source.grace, due_at)))
    if source.target is not None:
        pauses = [moment for moment in (source.paused_until, resumed_at) if moment is not None]
        anchor = begun if good is None else max([good.ended_at, *pauses])
        due_at = anchor + source.target
        answers.append((due_at, due_at + grace_for(source, source.target), source.target))
    return min(answers, key=lambda answer: answer[1], default=None)


def expect(source: Source, evidence: Evidence) -> Evidence:
    """The evidence with due moment, deadline and interval as its last good backup has them."""
    good = last_good(source, evidence)
    if good is None and source.is_found and (source.collected is None or evidence.finding is not None):
        return evidence  # all of it is gone; what was owed stays owed
    answer = expectation(source, good, evidence.resumed_at)
    if answer is None and source.is_found:
        answer = _by_rhythm(source, evidence, good)
    arrears = evidence.arrears
    if arrears is not None and (good is None or answers_up_to(source, good) < arrears[0]):
        answer = arrears if answer is None else (arrears[0], min(arrears[1], answer[1]), answer[2])
    if answer is None:
        return replace(evidence, due_at=None, deadline_at=None, interval=None)
    return replace(evidence, due_at=answer[0], deadline_at=answer[1], interval=answer[2])


def _by_rhythm(source: Source, evidence: Evidence, good: Run | None) -> Expectation | None:
    """What follows from when its snapshots came so far; None while too few are known."""
    start_at = next_start(evidence.habit)
    if start_at is None or evidence.habit is None or good is None:
        return None
    interval = start_at - evidence.habit.starts[0]
    took = good.ended_at - good.started_at or evidence.habit.lag or timedelta()
    due_at = start_at + took
    for resumed_at in (source.paused_until, evidence.resumed_at):
        if resumed_at is not None:
            due_at = max(due_at, resumed_at + interval)
    return due_at, due_at + grace_for(source, interval), interval


def revised(before: Source | None, source: Source, at: datetime) -> Source:
    """The source as told at ``at``, with ``revised_at`` as that field means it, whoever filled it in."""
    if before is None:
        return source
    if _asks(before) == _asks(source):
        return replace(source, revised_at=before.revised_at)
    return replace(source, revised_at=max(before.revised_at, at))


def revise(
    before: Source | None, source: Source, evidence: Evidence, at: datetime
) -> tuple[Evidence, list[LedgerRow]]:
    """The evidence after the source was made or changed at ``at``, and the due moments that this closed."""
    if before is None:
        return open_after(source, expect(source, evidence), at), []
    if (_asks(before), before.paused_until, before.archived_by) == (
        _asks(source),
        source.paused_until,
        source.archived_by,
    ):
        return evidence if before.accept_partial == source.accept_partial else expect(source, evidence), []
    evidence, rows = settle(before, evidence, at)
    evidence = replace(
        evidence, resumed_at=_resumed_at(before, source, evidence, at), arrears=_arrears(before, evidence, at)
    )
    return open_after(source, expect(source, evidence), at), rows


def _asks(source: Source) -> tuple[object, ...]:
    return source.schedule, source.target, source.grace


def _arrears(before: Source, evidence: Evidence, at: datetime) -> Expectation | None:
    """What is owed at ``at``; what came due in a pause or an archive never was."""
    due_at, deadline_at, interval = evidence.due_at, evidence.deadline_at, evidence.interval
    if due_at is None or deadline_at is None or interval is None or due_at > at:
        return None
    owed_since = evidence.arrears[0] if evidence.arrears is not None else None
    if before.archived_by is not None and due_at != owed_since:
        return None
    return due_at, deadline_at, interval


def _resumed_at(before: Source, source: Source, evidence: Evidence, at: datetime) -> datetime | None:
    """When the last pause or archiving ended, if this change ends one or shows that one has ended."""
    ends = [evidence.resumed_at]
    if before.archived_by is not None and source.archived_by is None:
        ends.append(at)
    if before.paused_until is not None and before.paused_until != source.paused_until:
        ends.append(min(before.paused_until, at))
    return max((end for end in ends if end is not None), default=None)
