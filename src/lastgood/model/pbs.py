"""One Proxmox Backup Server as its collector knows it: an immutable picture, replaced whole after each probe.

Comes in: ``tools/pbs``. Goes out: ``metrics/pbs.py`` and pages; what the judge needs of it travels as
``model/collected.py``. The one rule: what the server did not tell, or may not be asked, is None or absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class TaskStatus(StrEnum):
    """The class of a finished task, in the words of the exporter that this vocabulary replaces."""

    OK = "OK"
    WARNINGS = "WARNINGS"
    ERROR = "ERROR"
    UNKNOWN = "unknown"


class Verification(StrEnum):
    OK = "ok"
    FAILED = "failed"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    version: str
    release: str
    repoid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """Bytes. ``free`` is what the server calls free, or avail of a file system."""

    total: int
    used: int
    free: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    cpu: float
    io_wait: float
    load: tuple[float, float, float]
    memory: Space
    swap: Space
    rootfs: Space
    uptime_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    status: str
    productname: str | None = None
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gc:
    """Garbage collection. Byte counters are of the last successful run; ``ended_at`` and ``status`` of the last one,
    held while one runs. ``took_seconds`` is None where start and end of one run are not both known."""

    ended_at: datetime | None = None
    status: TaskStatus | None = None
    running: bool = False
    took_seconds: float | None = None
    removed_bytes: int | None = None
    pending_bytes: int | None = None
    index_bytes: int | None = None
    disk_bytes: int | None = None
    still_bad: int | None = None
    succeeded_at: datetime | None = None
    next_run_at: datetime | None = None
    schedule: str | None = None

    @property
    def dedup_factor(self) -> float | None:
        if self.index_bytes is None or self.disk_bytes is None:
            return None
        return self.index_bytes / self.disk_bytes if self.disk_bytes else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class S3:
    downloaded_bytes: int | None = None
    uploaded_bytes: int | None = None
    requests: Mapping[str, int] = field(default_factory=dict)
    """By method: get, post, put, head, delete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Datastore:
    """``up`` says whether it could be read: None before anybody tried; ``reason`` why not, one sentence.

    ``maintenance`` is the server's word (offline, read-only, delete, unmount, s3-refresh), ``mount`` its
    ``mount-status``. Capacity of an S3 store is that of its cache. ``full_at`` is None for never.
    """

    name: str
    up: bool | None = None
    reason: str | None = None
    comment: str | None = None
    backend: str = "filesystem"
    mount: str | None = None
    maintenance: str | None = None
    total_bytes: int | None = None
    used_bytes: int | None = None
    available_bytes: int | None = None
    full_at: datetime | None = None
    history_known: bool = False
    """Whether the server has enough history to estimate ``full_at``."""
    gc: Gc | None = None
    s3: S3 | None = None
    namespaces: tuple[str, ...] | None = None
    unreadable_namespaces: Mapping[str, str] = field(default_factory=dict)
    """Namespace -> why it could not be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A finished snapshot. ``backup_at`` is the client's start; ``comment`` its first line, whole."""

    backup_at: datetime
    size_bytes: int | None = None
    comment: str | None = None
    owner: str | None = None
    protected: bool = False
    verification: Verification = Verification.NONE
    verified_at: datetime | None = None
    """When the task that verified it began."""
    encrypted: bool = False
    signed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A backup group. ``id`` is ``stable_key("pbs", server, store, namespace, type, id)``.

    ``snapshots`` are its finished ones, newest first, as many as are kept; ``finished`` how many there are, None
    before they were listed. ``last_good`` is complete and did not fail its verification.
    ``failed_attempts`` counts those since the last good; ``ambiguous`` if they could belong to another namespace.
    """

    id: str
    store: str
    namespace: str
    type: str
    backup_id: str
    owner: str | None = None
    comment: str | None = None
    finished: int | None = None
    snapshots: tuple[Snapshot, ...] = ()
    last_good: Snapshot | None = None
    last_good_end_at: datetime | None = None
    last_complete: Snapshot | None = None
    last_verified: Snapshot | None = None
    oldest_at: datetime | None = None
    unfinished_at: datetime | None = None
    """Start of the newest upload that has no end; ``uploading`` if a task is at it."""
    unfinished: int = 0
    uploading: bool = False
    failed_attempts: int = 0
    failed_at: datetime | None = None
    failed_reason: str | None = None
    ambiguous: bool = False
    expected_seconds: float | None = None
    target_seconds: float | None = None
    """An operator's own ``never older than`` for it, from the configuration."""
    verify_stale_seconds: float | None = None
    """How old a verification may be: the job's ``outdated-after``, else 30 days."""
    archived: bool = False
    listed_at: datetime | None = None
    """When its snapshots were last listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LastTask:
    """The last finished task of one (worker_type, worker_id); the id without a time in it."""

    worker_type: str
    worker_id: str
    status: TaskStatus
    comment: str
    started_at: datetime
    ended_at: datetime
    text: str | None = None
    """The server's words, for pages only: never a label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tasks:
    """``totals`` counts finished tasks since first contact, by (worker_type, status, comment); they never fall.

    ``last`` is by (worker_type, worker_id), ``running`` by (worker_type, comment) with a zero for types seen before,
    ``last_ended_at`` by worker_type.
    """

    totals: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    last: Mapping[tuple[str, str], LastTask] = field(default_factory=dict)
    running: Mapping[tuple[str, str], int] = field(default_factory=dict)
    last_ended_at: Mapping[str, datetime] = field(default_factory=dict)
    own_only: bool = False
    """Whether the token sees nobody else's tasks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A configured job: ``kind`` is sync, verify, prune, tape or gc. ``status`` is None if it never ran."""

    kind: str
    id: str
    store: str
    namespace: str = ""
    remote: str | None = None
    direction: str | None = None
    schedule: str | None = None
    enabled: bool = True
    running: bool = False
    status: TaskStatus | None = None
    text: str | None = None
    ended_at: datetime | None = None
    next_run_at: datetime | None = None
    comment: str | None = None
    outdated_after_days: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TapeDrive:
    name: str
    vendor: str | None = None
    model: str | None = None
    serial: str | None = None
    in_use: bool = False

    @property
    def is_identified(self) -> bool:
        return self.vendor is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """Tapes of one pool by status and location."""

    pool: str
    status: str
    location: str
    tapes: int
    bytes_used: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeState:
    """How the rounds of one probe went; counted since the process began."""

    success: bool | None = None
    succeeded_at: datetime | None = None
    took_seconds: float | None = None
    failures: int = 0
    message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Requests to the server since the process began; ``errors`` by reason (timeout, unreachable, 401, 403 ...)."""

    requests: int = 0
    received_bytes: int = 0
    errors: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PbsPicture:
    """One server. ``server`` is its configured name, empty for the unnamed one.

    ``up``: version and usage of the newest cycle succeeded and are younger than three intervals. ``down_since`` and
    ``message`` say since when and why not. ``missing`` are grants that the token lacks, each as
    ``Privilege on /path``. ``jobs``, ``drives`` and ``media`` are None where they may not be read.
    ``truncated`` is how many snapshots the hard cap or the history limit of rows leaves out.
    ``expected_off``: its configuration says that it is switched off on purpose at times.
    """

    server: str
    at: datetime
    up: bool = False
    reached_at: datetime | None = None
    fresh_seconds: float = 90.0
    """For so long after ``reached_at`` the server counts as up, whatever comes of the collector."""
    down_since: datetime | None = None
    message: str | None = None
    expected_off: bool = False
    tls_verified: bool = True
    certificate_expires_at: datetime | None = None
    fingerprint: str | None = None
    version: Version | None = None
    node: Node | None = None
    subscription: Subscription | None = None
    missing: tuple[str, ...] | None = None
    datastores: Mapping[str, Datastore] = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)
    tasks: Tasks = Tasks()
    jobs: tuple[Job, ...] | None = None
    drives: tuple[TapeDrive, ...] | None = None
    media: tuple[Media, ...] | None = None
    truncated: int = 0
    probes: Mapping[str, ProbeState] = field(default_factory=dict)
    traffic: Traffic = Traffic()
    pending_groups: int = 0
    """Groups whose snapshots were not listed yet: the picture is not whole while there are any."""
