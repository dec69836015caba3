"""One Kopia repository as its collector knows it: an immutable picture, replaced whole after each probe.

Comes in: ``tools/kopia``. Goes out: ``metrics/kopia.py`` and pages; what the judge needs of it travels as
``model/collected.py``. The one rule: what the chosen route cannot see is None or absent, never zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from lastgood.model.pbs import ProbeState


class Route(StrEnum):
    """How the repository is asked: its storage by the command line, or a server of Kopia's."""

    DIRECT = "direct"
    SERVER = "server"
    CONTROL = "control"
    UI = "ui"


class Ending(StrEnum):
    """How an attempt ended; good are success and warning."""

    SUCCESS = "success"
    WARNING = "warning"
    FAILED = "failed"
    INCOMPLETE = "incomplete"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceKey:
    """What a source is known by, byte for byte; never the path alone."""

    host: str
    user: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KopiaAttempt:
    """All manifests with one start are one attempt. Sizes are those of the tree, from its summary."""

    ending: Ending
    started_at: datetime
    ended_at: datetime
    manifest_id: str | None = None
    size_bytes: int | None = None
    files: int | None = None
    directories: int | None = None
    excluded_bytes: int | None = None
    failed_entries: int = 0
    ignored_errors: int = 0
    reason: str | None = None
    told_by: str = "manifest"
    """manifest, webhook or task: a failed run leaves no manifest, a skipped identical one neither."""

    @property
    def is_good(self) -> bool:
        return self.ending in (Ending.SUCCESS, Ending.WARNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class KopiaSource:
    """``newest`` is the newest attempt that ended, ``good`` the newest good one.

    ``snapshots`` counts by type (complete, with_errors, incomplete), ``retained`` by class of retention (latest,
    hourly, ...). ``expected_seconds`` is the longest pause its schedule allows, or an operator's value, or twice the
    median gap. ``unverifiable``: identical runs are skipped and no route tells of them.
    """

    id: str
    key: SourceKey
    newest: KopiaAttempt | None = None
    good: KopiaAttempt | None = None
    oldest_at: datetime | None = None
    snapshots: Mapping[str, int] = field(default_factory=dict)
    retained: Mapping[str, int] = field(default_factory=dict)
    pinned: int = 0
    unretained: int = 0
    consecutive_failures: int = 0
    running: bool = False
    running_since: datetime | None = None
    progress_ratio: float | None = None
    next_run_at: datetime | None = None
    expected_seconds: float | None = None
    manual: bool | None = None
    never_snapshotted: bool = False
    unverifiable: bool = False
    new_bytes: int | None = None
    retired: bool = False
    """Its configuration says that it ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle:
    """Quick or full maintenance."""

    enabled: bool
    interval_seconds: float
    succeeded_at: datetime | None = None
    next_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintenance:
    """``task_success`` says of each task whether its newest run went well; ``owner_seen`` whether the owner is a
    source that backed up lately."""

    owner: str
    cycles: Mapping[str, Cycle] = field(default_factory=dict)
    task_success: Mapping[str, bool] = field(default_factory=dict)
    owner_seen: bool | None = None
    extend_object_locks: bool | None = None
    extended_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Blobs:
    """What a listing of the storage says; ``by_class`` is class -> (count, bytes)."""

    at: datetime
    total_bytes: int
    by_class: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    index_blobs: int | None = None
    open_sessions: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verify:
    succeeded_at: datetime | None = None
    errors: int | None = None
    read_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KopiaPicture:
    """One repository. ``repository`` is its configured name, empty for the unnamed one.

    ``up``: the newest round of every probe that the route has was answered. ``unique_id`` is None through a server.
    """

    repository: str
    at: datetime
    route: Route
    up: bool = False
    down_since: datetime | None = None
    message: str | None = None
    unique_id: str | None = None
    version: str | None = None
    storage: str | None = None
    format_version: str | None = None
    hash: str | None = None
    encryption: str | None = None
    splitter: str | None = None
    capacity_bytes: int | None = None
    available_bytes: int | None = None
    lock_mode: str | None = None
    lock_seconds: float | None = None
    sources: Mapping[str, KopiaSource] = field(default_factory=dict)
    maintenance: Maintenance | None = None
    blobs: Blobs | None = None
    verify: Verify | None = None
    tasks: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """(kind, status) -> count, from a server's list of tasks."""
    partial: int = 0
    """Manifests that could not be read in the newest listing."""
    failures: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """(probe, reason) -> failed rounds since the process began."""
    probes: Mapping[str, ProbeState] = field(default_factory=dict)
