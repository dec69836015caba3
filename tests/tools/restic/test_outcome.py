"""The outcome table: every row, and what holds before what."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lastgood.tools.restic.causes import Cause
from lastgood.tools.restic.outcome import Ending, judge
from lastgood.tools.restic.output import BackupSummary

SUMMARY = BackupSummary(
    files_new=1,
    files_changed=0,
    files_unmodified=0,
    dirs_new=1,
    dirs_changed=0,
    dirs_unmodified=0,
    total_files=1234,
    total_bytes=10,
    added_bytes=10,
    stored_bytes=8,
    duration_seconds=1.0,
    started_at=None,
    ended_at=None,
    snapshot_id="951341e1",
    dry_run=False,
)
SKIPPED = replace(SUMMARY, snapshot_id=None)
EMPTY = replace(SUMMARY, total_files=0, total_bytes=0)
DRY = replace(SUMMARY, snapshot_id=None, dry_run=True)


def ending(exit_code: int, summary: BackupSummary | None = None, **fields: object) -> Ending:
    return replace(Ending(exit_code=exit_code, where="/srv/r", summary=summary), **fields)  # type: ignore[arg-type]


ROWS = [
    (ending(0, SUMMARY), "success", Cause.OK),
    (ending(0, SUMMARY, error_count=1), "success", Cause.OK),  # only the scan stumbled
    (ending(0, SUMMARY, error_count=1, unread_count=1), "partial", Cause.UNREADABLE_SOURCE),
    (ending(0, EMPTY), "success", Cause.OK),
    (ending(0, DRY, dry_run=True), "success", Cause.OK),
    (ending(0, SKIPPED), "unchanged", Cause.OK),
    (ending(0, SKIPPED, skipped_sources=["/a"]), "partial", Cause.MISSING_SOURCE),
    (ending(0, SUMMARY, skipped_sources=["/a"]), "partial", Cause.MISSING_SOURCE),
    (ending(3, SUMMARY, skipped_sources=["/a"]), "partial", Cause.MISSING_SOURCE),
    (ending(3, SUMMARY, error_count=2, unread_count=2), "partial", Cause.UNREADABLE_SOURCE),
    (ending(3, SUMMARY), "partial", Cause.UNREADABLE_SOURCE),
    (ending(3, SKIPPED), "partial", Cause.UNREADABLE_SOURCE),
    (ending(3), "failed", Cause.UNREADABLE_SOURCE),
    (ending(0), "failed", Cause.OTHER),  # nothing proves a snapshot
    (ending(1), "failed", Cause.OTHER),
    (ending(1, SUMMARY), "failed", Cause.OTHER),
    (ending(2), "failed", Cause.OTHER),
    (ending(10), "failed", Cause.NO_REPOSITORY),
    (ending(11), "failed", Cause.LOCKED),
    (ending(12), "failed", Cause.WRONG_PASSWORD),
    (ending(77), "failed", Cause.OTHER),
    (ending(137), "failed", Cause.CRASHED),
    (ending(1, stderr="repository is already locked by PID 5"), "failed", Cause.LOCKED),
    (ending(1, stderr="Fatal: all target directories/files do not exist"), "failed", Cause.MISSING_SOURCE),
    (ending(1, stderr="connection refused"), "failed", Cause.UNREACHABLE),
    (ending(130, deadline_hit=True), "failed", Cause.TIMEOUT),
    (ending(130, deadline_hit=True, stderr="connection refused"), "failed", Cause.UNREACHABLE),
    (ending(0, deadline_hit=True), "failed", Cause.TIMEOUT),
    (ending(0, SUMMARY, deadline_hit=True), "success", Cause.OK),
    (ending(3, SUMMARY, deadline_hit=True), "failed", Cause.TIMEOUT),
    *((ending(code, cancelled=True), "cancelled", Cause.CANCELLED) for code in (0, 1, 3, 10, 11, 130, 137, 143)),
    (ending(0, SUMMARY, cancelled=True), "cancelled", Cause.CANCELLED),
    (ending(130, cancelled=True, deadline_hit=True), "cancelled", Cause.CANCELLED),
]


@pytest.mark.parametrize(("ended", "outcome", "cause"), ROWS)
def test_every_row_of_the_outcome_table(ended: Ending, outcome: str, cause: Cause) -> None:
    found = judge(ended)
    assert (found.outcome, found.cause) == (outcome, cause)
    assert found.reason.endswith(".")


@pytest.mark.parametrize(("ended", "outcome", "cause"), ROWS)
def test_no_run_is_good_without_a_summary_and_exit_code_0(ended: Ending, outcome: str, cause: Cause) -> None:
    if judge(ended).outcome in ("success", "unchanged"):
        assert ended.summary is not None
        assert ended.exit_code == 0
    else:
        assert cause is not Cause.OK


def test_a_run_that_found_no_file_is_flagged_empty() -> None:
    found = judge(ending(0, EMPTY))
    assert found.empty
    assert "holds no file" in found.reason
    assert not judge(ending(0, SUMMARY)).empty
    assert not judge(ending(1, EMPTY)).empty
    assert not judge(ending(1)).empty


def test_a_dry_run_is_flagged_whoever_says_so() -> None:
    assert judge(ending(0, DRY)).dry_run
    assert judge(ending(1, dry_run=True)).dry_run
    assert judge(ending(0, DRY, dry_run=True)).reason == "Dry run: 1,234 files would be saved and nothing was."
    assert not judge(ending(0, SUMMARY)).dry_run


def test_the_reason_of_a_partial_run_tells_what_is_missing() -> None:
    found = judge(ending(3, SUMMARY, skipped_sources=["/a", "/b", "/c", "/d"], error_count=1, unread_count=1))
    assert found.reason == (
        "The snapshot lacks files: 4 paths to save did not exist: /a, /b, /c, …; 1 item could not be read;"
        " check paths, mounts and permissions."
    )


def test_a_cancelled_run_that_had_saved_its_snapshot_says_so() -> None:
    assert "951341e1" in judge(ending(0, SUMMARY, cancelled=True)).reason
