"""What a finished backup run is worth.

How restic ended comes in; an outcome, one sentence and a cause go out. Exit code 0 alone is no evidence: without
a summary nothing is called a success. The words are those of the model: success, unchanged, partial, failed,
cancelled; "lost" is decided by whoever misses the end of a run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lastgood.tools.restic.causes import Cause, diagnose
from lastgood.tools.restic.output import BackupSummary

Outcome = Literal["success", "unchanged", "partial", "failed", "cancelled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """All that is known when a backup has ended; ``stderr`` and ``where`` are already free of secrets."""

    exit_code: int
    where: str
    stderr: str = ""
    summary: BackupSummary | None = None
    skipped_sources: Sequence[str] = ()
    error_count: int = 0
    unread_count: int = 0
    cancelled: bool = False
    deadline_hit: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The outcome and why; ``empty`` flags a run that found no file, ``dry_run`` one that was to save nothing."""

    outcome: Outcome
    reason: str
    cause: Cause
    dry_run: bool
    empty: bool


def judge(ending: Ending) -> Judgement:
    """Every row of the outcome table, in the order in which they hold."""
    summary = ending.summary
    complete = ending.exit_code == 0 and summary is not None
    if ending.cancelled:
        return _judged(ending, "cancelled", _cancelled(ending), Cause.CANCELLED)
    # A run that completed in the moment of its deadline has completed.
    if ending.deadline_hit and not complete:
        return _failed(ending, deadline_hit=True)
    if ending.exit_code not in (0, 3):
        return _failed(ending)
    if summary is None:
        if ending.exit_code == 3:
            return _failed(ending)
        reason = (
            f"restic ended well on {ending.where} but told no summary, so nothing proves a snapshot; run it again."
        )
        return _judged(ending, "failed", reason, Cause.OTHER)
    if ending.exit_code == 3 or ending.skipped_sources or ending.unread_count:
        return _partial(ending)
    if summary.snapshot_id is None and not _is_dry_run(ending):
        return _judged(
            ending, "unchanged", "Nothing has changed since the last snapshot, so none was added.", Cause.OK
        )
    return _judged(ending, "success", _good(ending, summary), Cause.OK)


def _is_dry_run(ending: Ending) -> bool:
    return ending.dry_run or (ending.summary is not None and ending.summary.dry_run)


def _judged(ending: Ending, outcome: Outcome, reason: str, cause: Cause) -> Judgement:
    found_nothing = ending.summary is not None and ending.summary.total_files == 0
    return Judgement(
        outcome=outcome,
        reason=reason,
        cause=cause,
        dry_run=_is_dry_run(ending),
        empty=found_nothing and outcome in ("success", "unchanged", "partial"),
    )


def _failed(ending: Ending, *, deadline_hit: bool = False) -> Judgement:
    found = diagnose(ending.exit_code, ending.stderr, ending.where, deadline_hit=deadline_hit)
    return _judged(ending, "failed", found.sentence, found.cause)


def _cancelled(ending: Ending) -> str:
    saved = None if ending.summary is None else ending.summary.snapshot_id
    if saved is not None:
        return f"The run was cancelled, though restic had just saved snapshot {saved[:8]}."
    return "The run was cancelled before a snapshot was saved."


def _partial(ending: Ending) -> Judgement:
    parts = []
    if ending.skipped_sources:
        paths = ", ".join(ending.skipped_sources[:3]) + (", …" if len(ending.skipped_sources) > 3 else "")
        parts.append(f"{_counted(len(ending.skipped_sources), 'path')} to save did not exist: {paths}")
    if ending.error_count:
        parts.append(f"{_counted(ending.error_count, 'item')} could not be read")
    what = "; ".join(parts) or "some files could not be read"
    cause = Cause.MISSING_SOURCE if ending.skipped_sources else Cause.UNREADABLE_SOURCE
    saved = "The snapshot lacks files" if not _is_dry_run(ending) else "A snapshot would lack files"
    return _judged(ending, "partial", f"{saved}: {what}; check paths, mounts and permissions.", cause)


def _good(ending: Ending, summary: BackupSummary) -> str:
    files = _counted(summary.total_files, "file")
    if _is_dry_run(ending):
        return f"Dry run: {files} would be saved and nothing was."
    if summary.total_files == 0:
        return "A snapshot was saved, but it holds no file; check that the source is mounted and not empty."
    return f"{files} saved."


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
