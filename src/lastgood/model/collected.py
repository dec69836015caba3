"""What a collector tells: sources and repositories as their tool's own server shows them, whole, again and again.

Comes in: what ``tools/<tool>`` derived from payloads. Goes out: facts (``service``), nothing that knows the tool. The
one rule: unknown is None, never zero, and never good; what is damaged or incomplete is no ``good`` attempt.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from lastgood.model.job import Outcome, RunKind, Schedule
from lastgood.model.repository import Habit, Probe


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try to back a source up. ``id`` is the same whenever it is told again; ``reason`` one sentence for people.

    A snapshot that failed its verification is a failed attempt with the cause ``verification``.
    """

    id: str
    outcome: Outcome
    started_at: datetime
    ended_at: datetime
    snapshot_id: str | None = None
    size_bytes: int | None = None
    added_bytes: int | None = None
    files: int | None = None
    error_count: int = 0
    cause: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectedSource:
    """One source. ``id`` is ``ids.stable_key`` of its natural key, ``host`` the tool's host, else its server's name.

    ``newest`` is the newest attempt that ended, ``good`` the newest success or unchanged one that is not known to be
    damaged, ``partial`` the newest partial one. When the next is due follows from the tool's own ``schedule`` or
    ``interval`` where it tells one, else from ``habit``. ``remarks`` are sentences for people.
    """

    id: str
    name: str
    host: str
    paths: tuple[str, ...] = ()
    newest: Attempt | None = None
    good: Attempt | None = None
    partial: Attempt | None = None
    snapshots: int | None = None
    oldest_at: datetime | None = None
    verified_at: datetime | None = None
    running_since: datetime | None = None
    schedule: Schedule | None = None
    interval: timedelta | None = None
    habit: Habit | None = None
    target: timedelta | None = None
    """Never older than this, as its configuration says."""
    remarks: tuple[str, ...] = ()
    archived: bool = False
    """Its configuration says that nothing more is to come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectedRepository:
    """One repository of a server. ``url`` names it without credentials; ``upkeep`` is when each kind last went well.

    ``observed_at`` is when it was last asked, whether it answered or not; ``probe`` says what it answered.
    """

    id: str
    name: str
    url: str
    tool: str
    observed_at: datetime
    probe: Probe = Probe.READY
    message: str | None = None
    used_bytes: int | None = None
    available_bytes: int | None = None
    total_bytes: int | None = None
    full_at: datetime | None = None
    snapshots: int | None = None
    upkeep: tuple[tuple[RunKind, datetime], ...] = ()
    synced_at: datetime | None = None
    """When a copy of it, or into it, last went well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcesTold:
    """Sources of one repository, looked at at ``listed_at``; if ``whole``, others that it had are gone."""

    repository_id: str
    listed_at: datetime
    sources: tuple[CollectedSource, ...]
    whole: bool = False


Report = CollectedRepository | SourcesTold


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectorHealth:
    """How a collector fares at this moment; memory, and no fact. ``failing_since`` is set once that lasts.

    ``heard``: since the hub began each of its probes has gone well, or one of them has failed for long; before that
    nobody can say whether it fails still. ``expected_off``: its server is switched off on purpose at times.
    """

    heard: bool = False
    failing_since: datetime | None = None
    message: str | None = None
    expected_off: bool = False
