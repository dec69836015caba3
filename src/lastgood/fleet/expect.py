"""What a source owes us: the moment its next good backup is due, its deadline, and the ledger of due moments.

Called by ``learn`` whenever a good run or a change of configuration moves the expectation, so that judging only
compares moments and never reads a cron expression. The one rule: a moment that is already owed stays owed; neither a
new schedule nor a pause may turn a missed backup green.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from lastgood.fleet.schedule import grace_for, interval_from, latest_until, next_after
from lastgood.model.job import Run
from lastgood.model.source import Evidence, Moment, Source, last_good


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """A due moment as the ledger has it now."""

    source_id: str
    due_at: datetime
    deadline_at: datetime
    result: Moment


LEDGER_MEMORY = 64
"""How many due moments of a source can still be corrected by a fact that comes late."""


def expectation(source: Source, good: Run | None) -> tuple[datetime, datetime, timedelta] | None:
    """(due, deadline, interval) that follow the good run, or the source's beginning; None without schedule or target.

    With both a schedule and a target, the one whose deadline comes first speaks.
    """
    begun = max(source.created_at, source.revised_at)
    if source.paused_until is not None:
        begun = max(begun, source.paused_until)
    answers = []
    if source.schedule is not None:
        anchor = begun if good is None else max(begun, good.due_at or good.ended_at)
        due_at = next_after(source.schedule, anchor)
        interval = interval_from(source.schedule, due_at)
        answers.append((due_at, due_at + grace_for(source, interval), interval))
    if source.target is not None:
        anchor = begun if good is None else max(good.ended_at, source.paused_until or good.ended_at)
        due_at = anchor + source.target
        answers.append((due_at, due_at + grace_for(source, source.target), source.target))
    return min(answers, key=lambda answer: answer[1], default=None)


def expect(source: Source, evidence: Evidence) -> Evidence:
    """The evidence with due moment, deadline and interval as its last good backup has them."""
    answer = expectation(source, last_good(source, evidence))
    if answer is None:
        return replace(evidence, due_at=None, deadline_at=None, interval=None)
    due_at, deadline_at, interval = answer
    return replace(evidence, due_at=due_at, deadline_at=deadline_at, interval=interval)


def revise(before: Source | None, source: Source, evidence: Evidence, at: datetime) -> Evidence:
    """The evidence after the source was made or changed at ``at``.

    A backup that was already due when its schedule changed stays due.
    """
    if before is not None and not _timing_changed(before, source):
        return evidence if before.accept_partial == source.accept_partial else expect(source, evidence)
    owed = evidence.due_at is not None and evidence.due_at <= at
    asked = source.schedule is not None or source.target is not None
    if not (owed and asked):
        evidence = expect(source, evidence)
    return _ledger_from(source, evidence, max(at, source.paused_until or at))


def _timing_changed(before: Source, source: Source) -> bool:
    return (before.schedule, before.target, before.grace, before.paused_until, before.archived_by) != (
        source.schedule,
        source.target,
        source.grace,
        source.paused_until,
        source.archived_by,
    )


def _ledger_from(source: Source, evidence: Evidence, moment: datetime) -> Evidence:
    """The evidence with the ledger's next open moment being the first after ``moment``."""
    if source.schedule is None or source.archived_by is not None:
        return replace(evidence, ledger_at=None, ledger_deadline_at=None, paid=())
    due_at = next_after(source.schedule, moment)
    deadline_at = due_at + grace_for(source, interval_from(source.schedule, due_at))
    paid = tuple(moment for moment in evidence.paid if moment >= due_at)
    return replace(evidence, ledger_at=due_at, ledger_deadline_at=deadline_at, paid=paid)


def moment_of(source: Source, run: Run) -> datetime | None:
    """The due moment that this run stands for, if any.

    A run that the schedule started stands for its moment however long it took; any other stands for the moment
    between which and its deadline it ended.
    """
    if run.due_at is not None or source.schedule is None:
        return run.due_at
    due_at = latest_until(source.schedule, run.ended_at)
    deadline_at = due_at + grace_for(source, interval_from(source.schedule, due_at))
    return due_at if run.ended_at <= deadline_at else None


def pay(evidence: Evidence, due_at: datetime) -> tuple[Evidence, datetime | None]:
    """Enter a good run for ``due_at``: before its moment closed it is paid, after it the ledger is corrected.

    Answers the evidence and, if a closed moment was corrected, its deadline.
    """
    if evidence.ledger_at is not None and due_at >= evidence.ledger_at:
        if due_at in evidence.paid:
            return evidence, None
        return replace(evidence, paid=(*evidence.paid, due_at)[-LEDGER_MEMORY:]), None
    for index, (owed_at, deadline_at, _) in enumerate(evidence.owed):
        if owed_at == due_at:
            owed = evidence.owed[:index] + evidence.owed[index + 1 :]
            return replace(evidence, owed=owed, good_runs=evidence.good_runs + 1), deadline_at
    return evidence, None


def blame(evidence: Evidence, due_at: datetime) -> tuple[Evidence, datetime | None]:
    """Enter a failed run for ``due_at``: a closed moment that was unknown is now known not to be good."""
    for index, (owed_at, deadline_at, moment) in enumerate(evidence.owed):
        if owed_at == due_at and moment is Moment.UNKNOWN:
            owed = list(evidence.owed)
            owed[index] = (owed_at, deadline_at, Moment.NOT_GOOD)
            return replace(evidence, owed=tuple(owed)), deadline_at
    return evidence, None


def close(source: Source, evidence: Evidence, *, looked: bool) -> tuple[Evidence, Moment]:
    """Close the ledger's open moment and open the next; ``looked`` says whether we know that no good run came.

    Only for evidence whose ``ledger_at`` is not None.
    """
    due_at, deadline_at = evidence.ledger_at, evidence.ledger_deadline_at
    if due_at is None or deadline_at is None:
        raise ValueError("the ledger of this source has no open moment")
    result = Moment.GOOD if due_at in evidence.paid else Moment.NOT_GOOD if looked else Moment.UNKNOWN
    owed = evidence.owed
    if result is not Moment.GOOD:
        owed = (*owed, (due_at, deadline_at, result))[-LEDGER_MEMORY:]
    closed = replace(
        evidence,
        expected_runs=evidence.expected_runs + 1,
        good_runs=evidence.good_runs + (result is Moment.GOOD),
        owed=owed,
    )
    return _ledger_from(source, closed, max(due_at, source.paused_until or due_at)), result
