"""Runs: one execution of a standing order, its kind, its outcome, and the schedule that asks for it.

A run's *status* is the word of the job protocol (and of ``rm_job_duration_seconds``); its *outcome* says what
the backup is worth. Only the judge turns outcomes into "good".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class RunKind(StrEnum):
    BACKUP = "backup"
    FORGET = "forget"
    PRUNE = "prune"
    CHECK = "check"
    UNLOCK = "unlock"
    RESTORE = "restore"
    DIFF = "diff"
    INIT = "init"
    UPDATE = "update"


class Status(StrEnum):
    """Where a run stands; the last three end it."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Outcome(StrEnum):
    SUCCESS = "success"
    UNCHANGED = "unchanged"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"

    @property
    def status(self) -> Status:
        """The protocol's word. A partial backup made a snapshot, so it succeeded there; it is not good."""
        return _STATUS[self]


_STATUS = {
    Outcome.SUCCESS: Status.SUCCEEDED,
    Outcome.UNCHANGED: Status.SUCCEEDED,
    Outcome.PARTIAL: Status.SUCCEEDED,
    Outcome.FAILED: Status.FAILED,
    Outcome.LOST: Status.FAILED,
    Outcome.CANCELLED: Status.CANCELLED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A cron expression (five fields, as Debian's cron) in an IANA time zone."""

    cron: str
    zone: str = "UTC"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStart:
    """A run under way. ``due_at`` is the schedule's moment that asked for it, None for a person's wish."""

    id: str
    kind: RunKind
    host_id: str
    started_at: datetime
    source_id: str | None = None
    repository_id: str | None = None
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run that ended. Instants are those of the agent's clock, never later than when the hub heard of them.

    ``size_bytes`` is what the tool processed, ``added_bytes`` what the repository grew by (packed where the
    tool says so). ``reason`` is one sentence for people. ``duration_seconds`` comes from one monotonic clock.
    ``check_subset`` is how much of the data a check has read, None if it read none.
    """

    id: str
    kind: RunKind
    outcome: Outcome
    host_id: str
    started_at: datetime
    ended_at: datetime
    duration_seconds: float
    source_id: str | None = None
    repository_id: str | None = None
    due_at: datetime | None = None
    snapshot_id: str | None = None
    size_bytes: int | None = None
    added_bytes: int | None = None
    files: int | None = None
    error_count: int = 0
    dry_run: bool = False
    cause: str | None = None
    reason: str | None = None
    check_subset: str | None = None
    clock_ahead_seconds: float = 0.0
    """How far the agent's clock was ahead of the hub's when it told of this; the hub's word, not the agent's."""

    @property
    def is_attempt(self) -> bool:
        """Whether it says anything about the source: cancelled and dry runs do not."""
        return self.outcome is not Outcome.CANCELLED and not self.dry_run
