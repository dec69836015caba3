"""Everything that may be learned, in the past tense.

An event adds (a run finished), a survey replaces all of its scope (snapshots of a repository were listed). Each
fact carries ``at``, the moment the hub took it, and ``origin``, who said it. Facts are immutable and are stored with
``VERSION``; a field may be added with a default, never renamed or removed without raising the version.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from lastgood.model.alert import Alert, AlertKey
from lastgood.model.collected import CollectedRepository, CollectedSource
from lastgood.model.docker import Engine, Inventory
from lastgood.model.host import AgentInfo, Host
from lastgood.model.job import Run, RunStart
from lastgood.model.repository import Lock, Probe, Repository, SnapshotSeries
from lastgood.model.source import DueMoment, Source
from lastgood.model.stack import Deploy, DeployStart

VERSION = 1
_AGENT = "agent:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    at: datetime
    origin: str


def agent_origin(host_id: str) -> str:
    """The ``origin`` of what a host's agent told."""
    return _AGENT + host_id


def agent_of(told: Fact) -> str | None:
    """The host whose agent told this; None for anybody else's word."""
    return told.origin.removeprefix(_AGENT) if told.origin.startswith(_AGENT) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class HostEnrolled(Fact):
    host: Host


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRenamed(Fact):
    host_id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRemoved(Fact):
    host_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HostKeyOffered(Fact):
    """The agent made itself a new key and proved it with the one in force, which holds until the new one is used."""

    host_id: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRekeyed(Fact):
    """The agent used the key that it had offered; the one before it is worth nothing any more."""

    host_id: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentReported(Fact):
    host_id: str
    info: AgentInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryConfigured(Fact):
    repository: Repository


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryRemoved(Fact):
    """The repository is known no more, nor are its archived and found sources; what it stores is not touched."""

    repository_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryProbed(Fact):
    """``probed_at`` is when the look ended, by the looker's clock."""

    repository_id: str
    probe: Probe
    probed_at: datetime
    identity: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositorySized(Fact):
    repository_id: str
    sized_at: datetime
    size_bytes: int
    uncompressed_bytes: int | None = None
    snapshots: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LocksListed(Fact):
    repository_id: str
    listed_at: datetime
    locks: tuple[Lock, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotsListed(Fact):
    """A survey of a whole repository: ``total`` snapshots; series beyond the sender's bound are counted only.

    A ``part`` shows some series of a survey that is told in pieces, and says nothing of the others.
    """

    repository_id: str
    listed_at: datetime
    total: int
    series: tuple[SnapshotSeries, ...]
    truncated: bool = False
    duplicates: int = 0
    part: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryCollected(Fact):
    """A collector asked a server for one of its repositories; ``watch_seconds`` is how often it does."""

    collector: str
    report: CollectedRepository
    watch_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcesCollected(Fact):
    """Sources of a repository as its server shows them at ``listed_at``, told in parts.

    ``sources`` are those of which something else is told than before, ``seen`` others that were looked at as well.
    ``gone`` are not there any more, ``dropped`` are no longer asked for. After a ``whole`` one, all others of the
    repository are as they were told last.
    """

    repository_id: str
    listed_at: datetime
    sources: tuple[CollectedSource, ...] = ()
    seen: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    whole: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceConfigured(Fact):
    """The whole source as it stands now: made, changed, paused or archived."""

    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceAdopted(Fact):
    """A found source ends; its snapshots are from now on the history of another source of the same repository."""

    source_id: str
    into_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(Fact):
    run: RunStart


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished(Fact):
    run: Run


@dataclass(frozen=True, slots=True, kw_only=True)
class MomentsPassed(Fact):
    """Due moments whose deadline is past; the ledger closes them."""

    moments: tuple[DueMoment, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertOpened(Fact):
    alert: Alert


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertResolved(Fact):
    """``told`` is the alert's own: channels that never heard of it need not hear that it is over."""

    alert_id: str
    key: AlertKey
    reason: str
    told: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertAcknowledged(Fact):
    """Somebody takes care of it; it stays open."""

    alert_id: str
    key: AlertKey
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSnoozed(Fact):
    """Channels hear nothing of it before ``until``; None ends a snooze, and then they are told."""

    alert_id: str
    key: AlertKey
    until: datetime | None
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSnoozed(Fact):
    """Alerts that open on the host before ``until`` are snoozed until then; None ends that."""

    host_id: str
    until: datetime | None
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployStarted(Fact):
    deploy: DeployStart


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployFinished(Fact):
    deploy: Deploy


@dataclass(frozen=True, slots=True, kw_only=True)
class StackForgotten(Fact):
    """Somebody took a stack out of what is told of deploys; the host's containers are not touched."""

    host_id: str
    project: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InventoryListed(Fact):
    """A survey of a host's engine: everything that it holds now. ``listed_at`` is by the agent's clock."""

    host_id: str
    listed_at: datetime
    engine: Engine
    inventory: Inventory


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineReported(Fact):
    """How a host's engine stands, while there is nothing new of what it holds."""

    host_id: str
    seen_at: datetime
    engine: Engine


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectExcluded(Fact):
    """A person says that a volume or bind mount of a host needs no backup; ``reason`` None takes that back."""

    host_id: str
    subject: str
    reason: str | None
    by: str


FACTS: tuple[type[Fact], ...] = (
    HostEnrolled,
    HostRenamed,
    HostRemoved,
    HostKeyOffered,
    HostRekeyed,
    AgentReported,
    RepositoryConfigured,
    RepositoryRemoved,
    RepositoryProbed,
    RepositorySized,
    LocksListed,
    SnapshotsListed,
    RepositoryCollected,
    SourcesCollected,
    SourceConfigured,
    SourceAdopted,
    RunStarted,
    RunFinished,
    MomentsPassed,
    AlertOpened,
    AlertResolved,
    AlertAcknowledged,
    AlertSnoozed,
    HostSnoozed,
    InventoryListed,
    EngineReported,
    SubjectExcluded,
    DeployStarted,
    DeployFinished,
    StackForgotten,
)
