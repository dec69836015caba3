"""What one more backup run does to the evidence of its source. Pure.

The one rule: a run counts as good only with proof, and an older run that is told late never replaces a newer one.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from lastgood.fleet.expect import LedgerRow, blame, expect, moment_of, pay
from lastgood.model.job import Outcome, Run
from lastgood.model.source import Evidence, Moment, Source

_GOOD = frozenset({Outcome.SUCCESS, Outcome.UNCHANGED})


def weigh(source: Source, before: Evidence, run: Run) -> tuple[Evidence, list[LedgerRow]]:
    """The evidence after the run, and the closed due moments that it corrects. Cancelled and dry runs say nothing."""
    if not run.is_attempt:
        return before, []
    evidence = replace(before, observed_at=newest(before.observed_at, run.ended_at))
    if _is_newer(run, evidence.last_attempt):
        evidence = replace(evidence, last_attempt=run)
    if is_proven_good(run) and _is_newer(run, evidence.last_full):
        evidence = replace(evidence, last_full=_with_proof(run, evidence.last_full), finding=None)
    elif run.outcome is Outcome.PARTIAL and run.snapshot_id is not None and _is_newer(run, evidence.last_partial):
        evidence = replace(evidence, last_partial=run)
    if evidence.last_full is not before.last_full or (
        source.accept_partial and evidence.last_partial is not before.last_partial
    ):
        evidence = expect(source, evidence)
    return _enter(source, evidence, run)


def is_proven_good(run: Run) -> bool:
    """Success needs a snapshot that the tool named; unchanged is the tool's word that the newest one is still true."""
    return run.outcome is Outcome.UNCHANGED or (run.outcome is Outcome.SUCCESS and run.snapshot_id is not None)


def newest(first: datetime | None, second: datetime) -> datetime:
    """The later of two moments, the first of which may be unknown."""
    return second if first is None else max(first, second)


def _is_newer(run: Run, held: Run | None) -> bool:
    return held is None or run.ended_at >= held.ended_at


def _with_proof(run: Run, held: Run | None) -> Run:
    """An unchanged run made no snapshot: its proof is the one that is still the newest."""
    if run.snapshot_id is not None or held is None:
        return run
    return replace(run, snapshot_id=held.snapshot_id, size_bytes=run.size_bytes or held.size_bytes)


def _enter(source: Source, evidence: Evidence, run: Run) -> tuple[Evidence, list[LedgerRow]]:
    """Enter the run into the ledger of due moments."""
    due_at = moment_of(source, run)
    if due_at is None:
        return evidence, []
    good = is_proven_good(run) or (run.outcome is Outcome.PARTIAL and source.accept_partial)
    evidence, deadline_at = pay(evidence, due_at) if good else blame(evidence, due_at)
    if deadline_at is None:
        return evidence, []
    return evidence, [LedgerRow(source.id, due_at, deadline_at, Moment.GOOD if good else Moment.NOT_GOOD)]
