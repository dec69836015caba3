"""Repositories: where snapshots live, and what looks into them said."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from lastgood.model.job import RunKind


class Probe(StrEnum):
    """What the newest clean look at a repository said."""

    READY = "ready"
    MISSING = "missing"
    WRONG_PASSWORD = "wrong_password"  # noqa: S105 - a word for a state
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    UNKNOWN = "unknown"


class RepositoryState(StrEnum):
    UP = "up"
    DOWN = "down"
    UNKNOWN = "unknown"


class Slot(StrEnum):
    """Which credentials: those of every day, and those that may delete (forget, prune)."""

    EVERYDAY = "everyday"
    ADMIN = "admin"


HUB = "hub"
"""``Repository.watched_by`` if the hub itself looks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A configured repository. ``url`` never holds a password.

    Credentials are local (``password_file`` and ``environment_file`` are paths on the agents' hosts, mode 0600) or
    held by the hub: ``held`` names the slots it has, ``held_revision`` changes whenever one of them does.
    ``watched_by`` is who looks into it although no source of ours need be there: a host's id, or ``HUB``.
    ``collector`` is who tells of it in place of all these: its server is asked, and it stands in the settings.
    """

    id: str
    name: str
    url: str
    added_at: datetime
    tool: str = "restic"
    password_file: str | None = None
    environment_file: str | None = None
    held: tuple[Slot, ...] = ()
    held_revision: str | None = None
    watched_by: str | None = None
    watch_seconds: int = 900
    collector: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """A lock that a tool left in a repository."""

    id: str
    created_at: datetime | None
    exclusive: bool
    hostname: str
    pid: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotPoint:
    """One restorable point as a survey saw it. ``started_at`` is the recovery point, ``ended_at`` may be unknown.

    ``original`` is the id it had before its tags were edited.
    """

    id: str
    started_at: datetime
    ended_at: datetime | None = None
    size_bytes: int | None = None
    files: int | None = None
    original: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Habit:
    """When a series gets its snapshots: the newest starts, newest first, and the longer pauses of the last two weeks.

    ``pauses`` are (last start before, first start after). ``since`` is how far back these are all of them. ``lag`` is
    how long after its start a snapshot came to be seen, where its end is not told; ``successor`` the host name under
    which an overdue series seems to go on.
    """

    starts: tuple[datetime, ...]
    pauses: tuple[tuple[datetime, datetime], ...] = ()
    since: datetime | None = None
    lag: timedelta | None = None
    successor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotSeries:
    """All snapshots of one (host, tags, paths) in a repository; ``newest`` holds the newest few, newest first.

    ``habit`` is told where nobody but the snapshots themselves says when the next one is due.
    """

    hostname: str
    tags: tuple[str, ...]
    paths: tuple[str, ...]
    count: int
    newest: tuple[SnapshotPoint, ...]
    habit: Habit | None = None


class DoubtKind(StrEnum):
    """What a look into a repository may find that somebody should know."""

    MISSING = "missing"
    ORPHANED = "orphaned"
    DUPLICATED = "duplicated"
    FUTURE = "future"
    SHRUNK = "shrunk"
    KEPT = "kept"
    IDENTITY = "identity"
    CUT = "cut"


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """One remark of the witness about a repository; ``about`` is the id of the source it speaks of, if of one."""

    kind: DoubtKind
    about: str
    sentence: str
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryEvidence:
    """All we hold about one repository. ``identity`` is the id in restic's own config; addresses may change.

    ``upkeep`` is when each kind of upkeep last went well. A check found damage at ``damaged_at`` (reading
    ``damaged_subset`` of the data), and none that looked as deep was clean since.
    ``misdated`` are snapshots that were seen before the moment they claim; they never count. ``whole_at`` is the
    moment of the last look that showed every series: it speaks for those as well of which it showed nothing new.
    The room that is left and when it will be used up (``full_at``) are told by servers alone, as is ``synced_at``,
    when a copy of it, or into it, last went well.
    """

    probe: Probe = Probe.UNKNOWN
    init_failed: bool = False
    message: str | None = None
    identity: str | None = None
    identity_changed: bool = False
    observed_at: datetime | None = None
    snapshots: int | None = None
    surveyed_at: datetime | None = None
    size_bytes: int | None = None
    uncompressed_bytes: int | None = None
    sized_at: datetime | None = None
    locks: tuple[Lock, ...] | None = None
    locked_at: datetime | None = None
    upkeep: tuple[tuple[RunKind, datetime], ...] = ()
    damaged_at: datetime | None = None
    damaged_subset: str | None = None
    doubts: tuple[Doubt, ...] = ()
    misdated: tuple[str, ...] = ()
    whole_at: datetime | None = None
    available_bytes: int | None = None
    total_bytes: int | None = None
    full_at: datetime | None = None
    synced_at: datetime | None = None

    def upkeep_at(self, kind: RunKind) -> datetime | None:
        """When upkeep of this kind last went well."""
        return next((at for done, at in self.upkeep if done is kind), None)


NO_REPOSITORY_EVIDENCE = RepositoryEvidence()
