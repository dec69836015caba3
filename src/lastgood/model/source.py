"""Sources: one thing that should be backed up, and the evidence we hold about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from lastgood.model.job import Run, Schedule
from lastgood.model.repository import Habit
from lastgood.model.retention import Retention


class State(StrEnum):
    """What the judge says of a source; the conditions stand in ``fleet/judge.py``."""

    ARCHIVED = "archived"
    PAUSED = "paused"
    FAILED = "failed"
    NEW = "new"
    NEVER = "never"
    MISSED = "missed"
    UNKNOWN = "unknown"
    PARTIAL = "partial"
    LATE = "late"
    GOOD = "good"


WORST_FIRST = (
    State.FAILED,
    State.NEVER,
    State.MISSED,
    State.UNKNOWN,
    State.PARTIAL,
    State.LATE,
    State.NEW,
    State.GOOD,
    State.PAUSED,
    State.ARCHIVED,
)
"""The order in which a group speaks and a page lists; paused and archived say nothing about health."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """What restic wrote into a line of snapshots, by which they are known again.

    ``tags`` are empty where the paths tell it apart; where paths change from one snapshot to the next, the tags do
    and ``paths`` are empty.
    """

    hostname: str
    paths: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What its server or the settings said of a source when it was last told.

    Where the source still says the same it follows what is told next; where it does not, somebody has decided.
    """

    name: str
    schedule: Schedule | None = None
    target: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What should be backed up: configured, from which host, into which repository, how often; or found.

    A found source was seen by a look into its repository, and no agent of ours makes it: it has no ``host_id``.
    ``series`` are the snapshots it was found by; of a configured source those of found ones that it took over.
    ``alias_host_id`` is the host of ours whose name a found source is shown under.

    One with ``collected`` is told by its server: it is found too, and everything of it comes from there.

    ``restic_host`` is the host's name at enrolment, frozen, since it is written into snapshots for ever; of a source
    that was found or collected, the host that its tool names.
    ``target`` is an operator's "never older than"; ``grace`` None means the default of ``fleet/schedule.py``.
    ``revised_at`` is when schedule, target or grace last changed. ``keep`` is what ``forget`` leaves.
    """

    id: str
    name: str
    host_id: str | None
    repository_id: str
    paths: tuple[str, ...]
    restic_host: str
    created_at: datetime
    revised_at: datetime
    tool: str = "restic"
    excludes: tuple[str, ...] = ()
    schedule: Schedule | None = None
    target: timedelta | None = None
    grace: timedelta | None = None
    accept_partial: bool = False
    paused_until: datetime | None = None
    paused_by: str | None = None
    archived_by: str | None = None
    keep: Retention | None = None
    series: tuple[Series, ...] = ()
    alias_host_id: str | None = None
    collected: Collected | None = None

    @property
    def is_found(self) -> bool:
        """Whether only its snapshots tell of it: nothing of ours runs it, asks its agent, or knows of a failure."""
        return self.host_id is None

    @property
    def tag(self) -> str:
        """The tag by which its snapshots are known, whatever its name becomes."""
        return f"lg:{self.id}"


class Moment(StrEnum):
    """How a due moment of the ledger ended."""

    GOOD = "good"
    NOT_GOOD = "not_good"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class DueMoment:
    """One expected run: the moment it was due and the moment by which it had to be good."""

    source_id: str
    due_at: datetime
    deadline_at: datetime
    looked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All we hold about one source; changed by ``learn`` alone.

    ``last_attempt`` is the newest run that is neither cancelled nor dry; ``last_full`` the newest success or
    unchanged with proof; ``last_partial`` the newest partial one. ``finding`` names why the last good went back or is
    not trusted ("gone", "damaged"). ``due_at``, ``deadline_at`` and ``interval`` follow from the last good and the
    schedule. ``ledger_at`` is the next due moment the ledger has not closed; ``paid`` are due moments known to be
    good before the ledger closed them, ``owed`` closed ones that were not good and may still be corrected.
    ``resumed_at`` is when the last pause or archiving ended, ``arrears`` what was owed when schedule or pause last
    changed (due, deadline, interval). ``poor_snapshots`` are snapshots that no good run made, newest last.
    ``displaced`` is the attempt before one that is held for lost, until the truth about that may come. ``habit``
    is when a found source gets its snapshots. The last four are told by servers alone: when it was last verified, its
    oldest snapshot, since when a backup runs, and sentences for people.
    """

    observed_at: datetime | None = None
    last_attempt: Run | None = None
    last_full: Run | None = None
    last_partial: Run | None = None
    finding: str | None = None
    snapshots: int | None = None
    due_at: datetime | None = None
    deadline_at: datetime | None = None
    interval: timedelta | None = None
    ledger_at: datetime | None = None
    ledger_deadline_at: datetime | None = None
    expected_runs: int = 0
    good_runs: int = 0
    paid: tuple[datetime, ...] = ()
    owed: tuple[tuple[datetime, datetime, Moment], ...] = ()
    resumed_at: datetime | None = None
    arrears: tuple[datetime, datetime, timedelta] | None = None
    poor_snapshots: tuple[str, ...] = ()
    displaced: Run | None = None
    habit: Habit | None = None
    verified_at: datetime | None = None
    oldest_at: datetime | None = None
    running_since: datetime | None = None
    remarks: tuple[str, ...] = ()


NO_EVIDENCE = Evidence()


def last_good(source: Source, evidence: Evidence) -> Run | None:
    """The run we hold as the last good backup: partial ones count only where the source accepts them."""
    partial = evidence.last_partial
    full = evidence.last_full
    if partial is None or not source.accept_partial:
        return full
    return partial if full is None or partial.ended_at > full.ended_at else full
