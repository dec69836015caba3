"""What lastgood knows of itself, as plain numbers that the composition root fills in.

Comes in: counters and moments of the running process. Goes out: what ``metrics/own.py`` and ``rm_build_info`` tell.
The one rule: None means that this process does not know or has no such part, and is told as absence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

UNKNOWN_COMMIT = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """Which program this is; ``python`` is the interpreter's version, ``compression`` the library that makes gzip."""

    version: str
    commit: str = UNKNOWN_COMMIT
    python: str = ""
    compression: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectorFacts:
    """How the newest round of a probe went; success None before the first has ended.

    ``failures`` are counted since this process began.
    """

    success: bool | None = None
    duration_seconds: float | None = None
    last_success_at: datetime | None = None
    failures: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelFacts:
    """How notices of one channel fared; all but ``undelivered`` since this process began."""

    undelivered: int
    delivered: int
    failures: int
    given_up: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerFacts:
    """What was counted of the pages in one format and encoding."""

    requests: int = 0
    bytes: int = 0
    wait_seconds: float = 0.0
    parts_rendered: int = 0
    parts_reused: int = 0


NO_ANSWERS = AnswerFacts()


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrapeFacts:
    """What the scrape endpoint counted; the last page is None before the first.

    ``answers`` are by format and encoding; ``parts_ahead`` were made before anybody asked for them.
    """

    answers: Mapping[tuple[str, str], AnswerFacts] = field(default_factory=dict)
    parts_ahead: int = 0
    refused: int = 0
    overloaded: int = 0
    failures: int = 0
    duration_seconds: float | None = None
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFacts:
    """The writer's work since this process began; ``queue_depth`` is what waits for it now."""

    commits: int
    commit_seconds: float
    failures: int
    queue_depth: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestFacts:
    """Facts taken since this process began, those recognised as seen already, and those set aside."""

    facts: int
    duplicates: int
    quarantined: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartbeatFacts:
    """Signs of life given to somebody else since this process began."""

    success_at: datetime | None
    sent: int
    failures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFacts:
    """How far the audit log has come. ``entries`` are by action since it began, ``failures`` of this process."""

    entries: Mapping[str, int]
    seq: int | None
    at: datetime | None
    failures: int
    sent_at: datetime | None = None
    send_failures: int | None = None
    """Of heads that were sent elsewhere; None where nobody is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessFacts:
    """What the kernel says of this process; what a platform does not tell is None."""

    cpu_seconds: float | None = None
    resident_bytes: int | None = None
    virtual_bytes: int | None = None
    open_files: int | None = None
    most_files: int | None = None
    started_seconds: float | None = None
    """Seconds since 1970 at which the process began."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnFacts:
    """One moment of the running process. ``quarantine_rows`` is how many facts lie in quarantine now.

    ``collectors`` are by collector and probe, as ``pbs/NAME/fast``. ``requests`` were answered since this process
    began, by ``METHOD STATUS PATH`` where the path is the route's; ``alerts_fired`` by ``severity/rule`` since ever.
    """

    build: Build
    agents_connected: int | None = None
    collectors: Mapping[str, CollectorFacts] = field(default_factory=dict)
    channels: Mapping[str, ChannelFacts] = field(default_factory=dict)
    scrape: ScrapeFacts | None = None
    ingest: IngestFacts | None = None
    store: StoreFacts | None = None
    quarantine_rows: int | None = None
    evaluated_at: datetime | None = None
    metrics_public: bool | None = None
    process: ProcessFacts | None = None
    heartbeat: HeartbeatFacts | None = None
    hub_backup_at: datetime | None = None
    audit: AuditFacts | None = None
    requests: Mapping[str, int] | None = None
    alerts_fired: Mapping[str, int] | None = None
