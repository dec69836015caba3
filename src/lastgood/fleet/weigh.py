"""What one more backup run does to the evidence of its source. Pure.

The one rule: a run counts as good only with proof, and an older run that is told late never replaces a newer one.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from lastgood.fleet.expect import expect
from lastgood.fleet.ledger import LedgerRow, enter
from lastgood.model.job import Outcome, Run
from lastgood.model.source import Evidence, Source, last_good

DAMAGED = "damaged"
GONE = "gone"
"""Findings: what we held as the last good backup is known to be damaged, or is not there any more."""
_GOOD = frozenset({Outcome.SUCCESS, Outcome.UNCHANGED})
POOR_KEPT = 32
"""How many snapshots of runs that were not good are remembered, so that none of them is taken for a good one."""


def weigh(source: Source, before: Evidence, run: Run) -> tuple[Evidence, list[LedgerRow]]:
    """The evidence after the run, and the due moments that it closed or corrected.

    Cancelled and dry runs say nothing.
    """
    proven = with_proof(run, before)
    evidence = before
    if run.snapshot_id and proven is None and not run.dry_run and run.snapshot_id not in before.poor_snapshots:
        evidence = replace(evidence, poor_snapshots=(*before.poor_snapshots, run.snapshot_id)[-POOR_KEPT:])
    if not run.is_attempt:
        return evidence, []
    run = proven or run
    changed: dict[str, Any] = {"observed_at": newest(before.observed_at, run.ended_at)}
    if is_newer(run, evidence.last_attempt):
        changed |= {"last_attempt": run, "displaced": _displaced(evidence, run)}
    if proven is not None and is_newer(run, evidence.last_full):
        changed["last_full"] = run
    elif run.outcome is Outcome.PARTIAL and run.snapshot_id and is_newer(run, evidence.last_partial):
        changed["last_partial"] = run
    evidence = replace(evidence, **changed)  # once: each copy of so many fields takes its time
    held, good = last_good(source, before), last_good(source, evidence)
    if good is not held:
        if good is not None and not (before.finding == DAMAGED and held is not None and _rests_on(good, held)):
            evidence = replace(evidence, finding=None)
        evidence = expect(source, evidence)
    return enter(source, evidence, run, good=is_accepted(source, run))


def is_lost(evidence: Evidence, run: Run) -> bool:
    """Whether this is the end of a run whose end we held for lost: the truth that comes late replaces that."""
    held = evidence.last_attempt
    return held is not None and held.id == run.id and held.outcome is Outcome.LOST and run.outcome is not Outcome.LOST


def without_lost(evidence: Evidence) -> Evidence:
    """The evidence as it was before its newest attempt was called lost."""
    return replace(evidence, last_attempt=evidence.displaced, displaced=None)


def _displaced(evidence: Evidence, run: Run) -> Run | None:
    """The attempt that a lost one takes the place of, for as long as the truth about that may still come."""
    held = evidence.last_attempt
    if run.outcome is not Outcome.LOST:
        return None
    return evidence.displaced if held is not None and held.outcome is Outcome.LOST else held


def is_proven_good(run: Run) -> bool:
    """Success or unchanged, and a snapshot that was named: exit code 0 alone is no evidence."""
    return run.outcome in _GOOD and bool(run.snapshot_id)


def is_accepted(source: Source, run: Run) -> bool:
    """Whether the run is as good as this source asks for."""
    return is_proven_good(run) or (source.accept_partial and run.outcome is Outcome.PARTIAL and bool(run.snapshot_id))


def newest(first: datetime | None, second: datetime) -> datetime:
    """The later of two moments, the first of which may be unknown."""
    return second if first is None else max(first, second)


def is_newer(run: Run, held: Run | None) -> bool:
    return held is None or run.ended_at >= held.ended_at


def with_proof(run: Run, evidence: Evidence) -> Run | None:
    """The run with the snapshot that proves it good; None without one.

    An unchanged run made no snapshot: its proof is the one that was the newest when it ran, and that it found true.
    """
    if run.outcome not in _GOOD or run.dry_run:
        return None
    if run.snapshot_id:
        return run
    if run.outcome is Outcome.SUCCESS:
        return None
    earlier = [
        held
        for held in (evidence.last_full, evidence.last_partial)
        if held is not None and held.snapshot_id and held.ended_at <= run.ended_at
    ]
    if not earlier:
        return None
    held = max(earlier, key=lambda held: held.ended_at)
    return replace(run, snapshot_id=held.snapshot_id, size_bytes=run.size_bytes or held.size_bytes)


def _rests_on(run: Run, held: Run) -> bool:
    return run.outcome is Outcome.UNCHANGED and run.snapshot_id == held.snapshot_id
