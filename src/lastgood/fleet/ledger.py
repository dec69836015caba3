"""The ledger of due moments: each moment of a source's schedule ends good, not good, or unknown.

Runs enter it through ``weigh``, passed deadlines through ``learn``; rows go out to the history. The one rule: a
moment is counted once, when it closes; afterwards a fact that comes late may only correct its result, so that
``expected_runs >= good_runs`` and neither ever falls.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from lastgood.fleet.schedule import begun_at, claimed, latest_until, next_after, window
from lastgood.model.job import Run
from lastgood.model.source import Evidence, Moment, Source


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """A due moment as the ledger has it now."""

    source_id: str
    due_at: datetime
    deadline_at: datetime
    result: Moment


LEDGER_MEMORY = 128
"""How many closed moments of a source can still be corrected, and how many may be paid before their turn."""


def moment_of(source: Source, run: Run) -> datetime | None:
    """The due moment that this run stands for, if any.

    A run that the schedule started in time stands for its moment however long it took; any other stands for the
    moment between which and its deadline it ended. A run begun after the deadline makes nothing good that was missed.
    """
    due_at = claimed(source, run)
    if source.schedule is None:
        return due_at
    if due_at is not None and run.started_at < _deadline(source, due_at):
        return due_at
    due_at = latest_until(source.schedule, run.ended_at)
    return due_at if run.ended_at <= _deadline(source, due_at) else None


def enter(source: Source, evidence: Evidence, run: Run, *, good: bool) -> tuple[Evidence, list[LedgerRow]]:
    """Enter a run that counts, and answer the moments that it closed or corrected."""
    due_at = moment_of(source, run)
    if due_at is None:
        return evidence, []
    if evidence.ledger_at is None or due_at < evidence.ledger_at:
        return _correct(source, evidence, due_at, good=good)
    if not good or due_at in evidence.paid or not _is_asked_for(source, evidence, due_at):
        return evidence, []
    evidence = replace(evidence, paid=(*evidence.paid, due_at))
    rows: list[LedgerRow] = []
    while len(evidence.paid) > LEDGER_MEMORY and evidence.ledger_at is not None:
        evidence, row = close(source, evidence, looked=_has_looked(evidence))
        rows.append(row)
    return evidence, rows


def close(source: Source, evidence: Evidence, *, looked: bool) -> tuple[Evidence, LedgerRow]:
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
    return _open(source, closed, due_at), LedgerRow(source.id, due_at, deadline_at, result)


def settle(source: Source, evidence: Evidence, at: datetime) -> tuple[Evidence, list[LedgerRow]]:
    """Close what is due at ``at`` before the source changes; only the newest moment may stay open to its deadline."""
    rows: list[LedgerRow] = []
    while evidence.ledger_at is not None and evidence.ledger_deadline_at is not None and evidence.ledger_at <= at:
        is_over = evidence.ledger_deadline_at <= at
        if not is_over and (source.schedule is None or next_after(source.schedule, evidence.ledger_at) > at):
            break
        evidence, row = close(source, evidence, looked=_has_looked(evidence))
        rows.append(row)
    return evidence, rows


def open_after(source: Source, evidence: Evidence, at: datetime) -> Evidence:
    """The evidence with the first moment after ``at`` open, or an older one that still is."""
    if evidence.ledger_at is not None and evidence.ledger_at <= at:
        return evidence
    return _open(source, evidence, at)


def _open(source: Source, evidence: Evidence, after: datetime) -> Evidence:
    if source.schedule is None or source.archived_by is not None:
        return replace(evidence, ledger_at=None, ledger_deadline_at=None, paid=())
    due_at = next_after(source.schedule, max(after, begun_at(source, evidence.resumed_at)))
    paid = tuple(moment for moment in evidence.paid if moment >= due_at)
    return replace(evidence, ledger_at=due_at, ledger_deadline_at=_deadline(source, due_at), paid=paid)


def _correct(source: Source, evidence: Evidence, due_at: datetime, *, good: bool) -> tuple[Evidence, list[LedgerRow]]:
    """A closed moment turns good, or from unknown to not good."""
    for index, (owed_at, deadline_at, moment) in enumerate(evidence.owed):
        if owed_at != due_at:
            continue
        before, after = evidence.owed[:index], evidence.owed[index + 1 :]
        if good:
            corrected = replace(evidence, owed=before + after, good_runs=evidence.good_runs + 1)
            return corrected, [LedgerRow(source.id, due_at, deadline_at, Moment.GOOD)]
        if moment is Moment.UNKNOWN:
            row = LedgerRow(source.id, due_at, deadline_at, Moment.NOT_GOOD)
            return replace(evidence, owed=(*before, (due_at, deadline_at, Moment.NOT_GOOD), *after)), [row]
    return evidence, []


def _is_asked_for(source: Source, evidence: Evidence, due_at: datetime) -> bool:
    """Whether the schedule has this moment; an agent may still follow an older one."""
    return due_at == evidence.ledger_at or (
        source.schedule is not None and latest_until(source.schedule, due_at) == due_at
    )


def _deadline(source: Source, due_at: datetime) -> datetime:
    if source.schedule is None:
        raise ValueError("without a schedule no moment has a deadline")
    return window(source.schedule, source.grace, due_at)[0]


def _has_looked(evidence: Evidence) -> bool:
    deadline_at, observed_at = evidence.ledger_deadline_at, evidence.observed_at
    return deadline_at is not None and observed_at is not None and observed_at >= deadline_at
