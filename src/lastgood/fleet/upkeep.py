"""Runs that look after a repository -> fleet: when it was made, checked, thinned out, pruned, unlocked; and damage.

Called by ``learn`` alone. The one rule: damage that a check has found stands until a later check that looked at least
as deep was clean; no backup takes it back, for restic trusts its index and goes on saving on a broken repository.
"""

from __future__ import annotations

from dataclasses import replace

from lastgood.fleet import doubts, looked
from lastgood.fleet.changes import Changes
from lastgood.fleet.fleet import Fleet
from lastgood.model.job import Outcome, Run, RunKind
from lastgood.model.repository import RepositoryEvidence

TASKS = (RunKind.CHECK, RunKind.FORGET, RunKind.PRUNE, RunKind.UNLOCK)
DAMAGE = "damaged"
"""The cause of a check that found some."""

_WHOLE = frozenset({"1/1", "100%"})


def noted(fleet: Fleet, run: Run, changes: Changes) -> None:
    """Take what an ended run says of its repository. A host speaks only for those that it uses: of another's
    repository the run itself is told, what it says is not."""
    repository_id = run.repository_id
    if run.kind not in (*TASKS, RunKind.INIT) or not run.is_attempt or repository_id is None:
        return
    if repository_id not in fleet.repositories or not looked.uses(fleet, run.host_id, repository_id):
        return
    before = fleet.repository_evidence_of(repository_id)
    if run.kind is RunKind.INIT:
        after = replace(before, init_failed=run.outcome in (Outcome.FAILED, Outcome.LOST))
    else:
        after = doubts.of_forget(fleet, _weighed(before, run), run)
    if after is not before:
        fleet.repository_evidence[repository_id] = after
        looked.touch(fleet, repository_id, changes)


def _weighed(before: RepositoryEvidence, run: Run) -> RepositoryEvidence:
    last_at = before.upkeep_at(run.kind)
    if run.outcome is Outcome.SUCCESS:
        others = tuple(pair for pair in before.upkeep if pair[0] is not run.kind)
        newest = run.ended_at if last_at is None else max(last_at, run.ended_at)
        after = replace(before, upkeep=tuple(sorted((*others, (run.kind, newest)))))
        return replace(after, damaged_at=None, damaged_subset=None) if _clears(before, run) else after
    if run.kind is not RunKind.CHECK or run.cause != DAMAGE or run.outcome is not Outcome.FAILED:
        return before
    if last_at is not None and run.ended_at < last_at and before.damaged_at is None:
        return before  # told late; it has been clean since
    if before.damaged_at is not None and run.ended_at < before.damaged_at:
        return before
    return replace(before, damaged_at=run.ended_at, damaged_subset=run.check_subset)


def _clears(before: RepositoryEvidence, run: Run) -> bool:
    """Whether a clean check takes back the damage that is held: a plain one says nothing of the data itself."""
    if run.kind is not RunKind.CHECK or before.damaged_at is None or run.ended_at < before.damaged_at:
        return False
    subset = before.damaged_subset
    return subset is None or run.check_subset == subset or run.check_subset in _WHOLE
