"""What pages and API say of a host, a source, a repository, a run or an alert: one struct a noun, for both.

Made by ``reader.py``; templates read the fields, the API gives them as JSON. The one rule: a field added here is
shown to programs under its name for ever; None means that we do not know.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from lastgood.model.job import RunKind, Schedule, Status
from lastgood.model.repository import DoubtKind, Lock, Probe, RepositoryState, Slot
from lastgood.model.retention import Retention
from lastgood.model.source import Moment, State


class ProgressReading(msgspec.Struct, frozen=True, kw_only=True):
    """How far a run is; ``fraction`` goes from 0 to 1."""

    fraction: float
    files_done: int
    files_total: int
    bytes_done: int
    bytes_total: int
    seconds_remaining: float | None


class SourceReading(msgspec.Struct, frozen=True, kw_only=True):
    """A source as it stands: what it is, and what is known of its backups."""

    id: str
    name: str
    host_id: str | None
    host: str
    repository_id: str
    repository: str
    tool: str
    state: State
    reason: str
    holds_until: datetime | None
    running: bool
    run_id: str | None
    progress: ProgressReading | None
    last_good_at: datetime | None
    last_good_started_at: datetime | None
    last_attempt_at: datetime | None
    last_attempt_outcome: str | None
    due_at: datetime | None
    deadline_at: datetime | None
    next_run_at: datetime | None
    observed_at: datetime | None
    duration_seconds: float | None
    size_bytes: int | None
    added_bytes: int | None
    snapshots: int | None
    verified_at: datetime | None
    expected_runs: int
    good_runs: int
    paths: tuple[str, ...]
    excludes: tuple[str, ...]
    schedule: Schedule | None
    target_seconds: float | None
    grace_seconds: float | None
    accept_partial: bool
    paused_until: datetime | None
    paused_by: str | None
    archived: bool
    archived_by: str | None
    found: bool
    rhythm_seconds: float | None
    alias_host_id: str | None
    keep: Retention | None
    orders_taken: bool | None = None
    orders_refused: str | None = None
    collector: str | None = None
    remarks: tuple[str, ...] = ()
    oldest_at: datetime | None = None
    running_since: datetime | None = None


class HostReading(msgspec.Struct, frozen=True, kw_only=True):
    """A machine with an agent. ``state`` is that of its worst source, None without sources.

    ``orders_taken`` is whether its agent follows its newest orders, None while it is away. ``fingerprint`` is that of
    the agent's key.
    """

    id: str
    name: str
    online: bool | None
    connected: bool
    seen_at: datetime | None
    observed_at: datetime | None
    enrolled_at: datetime
    fingerprint: str
    state: State | None
    sources: int
    open_alerts: int
    agent_version: str | None
    restic_version: str | None
    restic_advice: str | None
    os: str | None
    arch: str | None
    clock_offset_seconds: float | None
    round_trip_seconds: float | None
    snoozed_until: datetime | None
    orders_taken: bool | None = None
    orders_refused: tuple[str, ...] = ()


class DoubtReading(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a look into a repository found and that somebody should know."""

    kind: DoubtKind
    about: str
    sentence: str
    since: datetime


class RepositoryReading(msgspec.Struct, frozen=True, kw_only=True):
    """Where snapshots live, and what the newest look at it said.

    ``upkeep`` is when check, forget, prune and unlock last went well; a check found damage at ``damaged_at``, and
    none was clean since. One with a ``collector`` is told by its server, which alone knows the room that is left.
    """

    id: str
    name: str
    url: str
    tool: str
    state: RepositoryState
    probe: Probe
    reason: str | None
    observed_at: datetime | None
    snapshots: int | None
    size_bytes: int | None
    uncompressed_bytes: int | None
    sized_at: datetime | None
    locks: tuple[Lock, ...] | None
    locked_at: datetime | None
    upkeep: dict[str, datetime]
    damaged_at: datetime | None
    sources: int
    added_at: datetime
    password_file: str | None
    environment_file: str | None
    held: tuple[Slot, ...]
    watched_by: str | None
    watch_seconds: int
    surveyed_at: datetime | None
    findings: tuple[DoubtReading, ...]
    collector: str | None = None
    available_bytes: int | None = None
    total_bytes: int | None = None
    full_at: datetime | None = None
    synced_at: datetime | None = None


class ProbeReading(msgspec.Struct, frozen=True, kw_only=True):
    """One question that a collector asks on its own timetable; counted since the hub began."""

    name: str
    interval_seconds: float
    success: bool | None
    took_seconds: float | None
    ended_at: datetime | None
    succeeded_at: datetime | None
    failing_since: datetime | None
    message: str | None
    rounds: int
    failures: int


class CollectorReading(msgspec.Struct, frozen=True, kw_only=True):
    """A server that the hub asks, from the settings. ``state`` is up, failing, or unknown before anything came of it.

    ``failing_since`` is set once that has lasted; ``missing`` are grants that its token lacks, None where nobody
    knows. ``truncated`` is how many snapshots are not told one by one, ``pending`` how many sources were not looked
    at yet.
    """

    name: str
    state: str
    message: str | None
    failing_since: datetime | None
    succeeded_at: datetime | None
    expected_off: bool
    missing: tuple[str, ...] | None
    truncated: int
    pending: int
    repositories: int
    sources: int
    probes: tuple[ProbeReading, ...]


class HeldReading(msgspec.Struct, frozen=True, kw_only=True):
    """Credentials that the hub holds: who gave them when, and which variables there are. They are never told."""

    slot: Slot
    variables: tuple[str, ...]
    set_at: datetime
    set_by: str


class TrialReading(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen by a look into a repository just now; ``reason`` is one sentence, None if all is well.

    ``host_id`` is None if the hub itself looked.
    """

    host_id: str | None
    host: str
    probe: Probe
    reason: str | None
    identity: str | None
    snapshots: int | None
    locks: tuple[Lock, ...] | None


class RunReading(msgspec.Struct, frozen=True, kw_only=True):
    """One execution, under way or ended."""

    id: str
    kind: RunKind
    status: Status
    outcome: str | None
    host_id: str
    host: str
    source_id: str | None
    source: str | None
    repository_id: str | None
    repository: str | None
    started_at: datetime
    ended_at: datetime | None
    due_at: datetime | None
    duration_seconds: float | None
    snapshot_id: str | None
    size_bytes: int | None
    added_bytes: int | None
    files: int | None
    error_count: int
    dry_run: bool
    cause: str | None
    reason: str | None
    check_subset: str | None
    progress: ProgressReading | None


class AlertReading(msgspec.Struct, frozen=True, kw_only=True):
    """Something that lasts and that somebody should know; open while ``resolved_at`` is unset."""

    id: str
    rule: str
    severity: str
    message: str
    entity_kind: str
    entity_id: str
    host_id: str | None
    host: str | None
    opened_at: datetime
    resolved_at: datetime | None
    resolved_reason: str | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    snoozed_until: datetime | None
    snoozed_by: str | None


class MomentReading(msgspec.Struct, frozen=True, kw_only=True):
    """One expected run: when it was due, by when it had to be good, and how it ended."""

    due_at: datetime
    deadline_at: datetime
    result: Moment


class FleetReading(msgspec.Struct, frozen=True, kw_only=True):
    """Everything in one sentence and a few counts; ``state`` is that of the worst source, None without any."""

    state: State | None
    sentence: str
    states: dict[str, int]
    sources: int
    hosts: int
    hosts_offline: int
    repositories: int
    running: int
    open_alerts: dict[str, int]
    oldest_good_at: datetime | None
    evaluated_at: datetime | None
    blind_until: datetime | None
    version: str
    fingerprint: str
