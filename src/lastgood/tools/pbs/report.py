"""A backup group and a datastore in the words of every tool: what goes from the picture to the judge. Pure.

Comes in: ``Group`` and ``Datastore``. Goes out: ``CollectedSource`` and ``CollectedRepository``. The one rule: what
is unfinished, failed its verification or claims to be of the future is never told as good.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from lastgood.config.servers import PbsServer
from lastgood.ids import stable_key
from lastgood.model.collected import Attempt, CollectedRepository, CollectedSource
from lastgood.model.job import Outcome, RunKind
from lastgood.model.pbs import Datastore, Group, Snapshot, TaskStatus, Verification
from lastgood.model.repository import Habit, Probe
from lastgood.tools.pbs.attempts import BackupTask, is_near, task_of

NAME = 120
"""Code points of a source's name."""

REASON = 300
TOOL = "pbs"
PORT = 8007

ABANDONED = timedelta(hours=24)
"""An upload of that age is taken for broken off where other users' tasks may not be seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a group's report needs beside the group. ``tasks`` are those of its name, ``tasks_at`` when they were last
    read (None: never); ``own_only``: nobody else's tasks are visible."""

    habit: Habit | None = None
    tasks: tuple[BackupTask, ...] = ()
    tasks_at: datetime | None = None
    own_only: bool = False
    alone: bool = True
    misdated: Collection[int] = ()
    left_out: int = 0


def repository_id(server: str, store: str) -> str:
    return stable_key("pbs", server, store)


def host_of(server: PbsServer) -> str:
    return server.name or urlsplit(server.endpoint).hostname or server.endpoint


def is_archived(server: PbsServer, group: Group) -> bool:
    return any(_is_meant(group, pattern) for pattern in server.archived)


def target_of(server: PbsServer, group: Group) -> float | None:
    """The first target that means this group, so that exceptions stand before the rule."""
    return next((seconds for pattern, seconds in server.targets.items() if _is_meant(group, pattern)), None)


def source(group: Group, host: str, seen: Seen) -> CollectedSource:
    good = _good(group, seen)
    attempts = [
        attempt for attempt in (good, _damaged(group), _failed(group, seen), _broken_off(group, seen)) if attempt
    ]
    verified = group.last_verified
    return CollectedSource(
        id=group.id,
        name=_name(group),
        host=host,
        newest=max(
            attempts, key=lambda attempt: (attempt.started_at, attempt.outcome is Outcome.FAILED), default=None
        ),
        good=good,
        snapshots=group.finished,
        oldest_at=group.oldest_at,
        verified_at=verified.verified_at if verified is not None else None,
        running_since=group.unfinished_at if group.uploading else None,
        habit=seen.habit,
        target=timedelta(seconds=group.target_seconds) if group.target_seconds else None,
        remarks=_remarks(group, seen),
        archived=group.archived,
    )


def repository(
    server: PbsServer,
    store: Datastore,
    observed_at: datetime,
    *,
    probe: Probe,
    snapshots: int | None,
    upkeep: Mapping[RunKind, datetime],
    synced_at: datetime | None = None,
) -> CollectedRepository:
    """``probe`` says what the newest look answered; capacity that is not known stays absent."""
    parts = urlsplit(server.endpoint)
    return CollectedRepository(
        id=repository_id(server.name, store.name),
        name=f"{server.name}/{store.name}" if server.name else store.name,
        url=f"pbs://{parts.hostname or ''}:{parts.port or PORT}/{store.name}",
        tool=TOOL,
        observed_at=observed_at,
        probe=probe,
        message=f"The datastore {store.name} cannot be read: {store.reason}." if store.reason else None,
        used_bytes=store.used_bytes,
        available_bytes=store.available_bytes,
        total_bytes=store.total_bytes,
        full_at=store.full_at,
        snapshots=snapshots,
        upkeep=tuple(sorted(upkeep.items())),
        synced_at=synced_at,
    )


def is_broken_off(group: Group, seen: Seen) -> bool:
    """Whether the newest upload has no end and nobody is at it any more.

    Tasks must have been read after the snapshots were, or an upload that has just begun or ended is taken for one.
    """
    begun = group.unfinished_at
    if begun is None or group.uploading or group.listed_at is None:
        return False
    if group.last_good is not None and begun <= group.last_good.backup_at:
        return False
    if any(task.is_good and is_near(task.started_at, begun) for task in seen.tasks):
        return False
    if seen.own_only or seen.tasks_at is None:
        return group.listed_at - begun > ABANDONED
    return seen.tasks_at >= group.listed_at


def _good(group: Group, seen: Seen) -> Attempt | None:
    snapshot = group.last_good
    if snapshot is None:
        return None
    task = task_of(group, snapshot, (task for task in seen.tasks if task.is_good), alone=seen.alone)
    warned = task is not None and task.status is TaskStatus.WARNINGS
    return Attempt(
        id=_attempt_id(group, "snapshot", snapshot.backup_at),
        outcome=Outcome.SUCCESS,
        started_at=snapshot.backup_at,
        ended_at=max(group.last_good_end_at or snapshot.backup_at, snapshot.backup_at),
        snapshot_id=_snapshot_id(group, snapshot),
        size_bytes=snapshot.size_bytes,
        reason=f"It ended with {task.text}: the log of its task says which." if warned and task else None,
    )


def _damaged(group: Group) -> Attempt | None:
    """The newest finished snapshot, if its verification failed."""
    snapshot = group.last_complete
    if snapshot is None or snapshot.verification is not Verification.FAILED:
        return None
    return Attempt(
        id=_attempt_id(group, "verification", snapshot.backup_at),
        outcome=Outcome.FAILED,
        started_at=snapshot.backup_at,
        ended_at=snapshot.backup_at,
        snapshot_id=_snapshot_id(group, snapshot),
        size_bytes=snapshot.size_bytes,
        cause="verification",
        reason="The newest snapshot failed its verification: chunks of it are damaged or missing.",
    )


def _failed(group: Group, seen: Seen) -> Attempt | None:
    if group.failed_at is None:
        return None
    task = next((each for each in seen.tasks if each.is_failed and each.started_at == group.failed_at), None)
    ended_at = task.ended_at if task is not None and task.ended_at is not None else group.failed_at
    lost = task is not None and task.status is TaskStatus.UNKNOWN
    reason = "The server lost sight of it." if lost else (group.failed_reason or "")[:REASON] or None
    return Attempt(
        id=_attempt_id(group, "task", group.failed_at),
        outcome=Outcome.FAILED,
        started_at=group.failed_at,
        ended_at=max(ended_at, group.failed_at),
        error_count=1,
        cause="lost" if lost else "task",
        reason=reason,
    )


def _broken_off(group: Group, seen: Seen) -> Attempt | None:
    if group.unfinished_at is None or not is_broken_off(group, seen):
        return None
    return Attempt(
        id=_attempt_id(group, "unfinished", group.unfinished_at),
        outcome=Outcome.FAILED,
        started_at=group.unfinished_at,
        ended_at=group.unfinished_at,
        cause="unfinished",
        reason="The upload was broken off; what it left behind is no backup.",
    )


def _remarks(group: Group, seen: Seen) -> tuple[str, ...]:
    remarks = []
    if is_broken_off(group, seen) and group.unfinished_at is not None:
        remarks.append(
            f"An upload that began at {_utc(group.unfinished_at)} was broken off and lies there unfinished."
        )
    if group.ambiguous:
        remarks.append(
            f"A backup of {group.type}/{group.backup_id} has failed, and several namespaces of {group.store} "
            "have one; the server does not say which it was."
        )
    if seen.misdated:
        newest = _utc(datetime.fromtimestamp(max(seen.misdated), group.listed_at.tzinfo if group.listed_at else None))
        remarks.append(f"A snapshot claims to be of {newest}, which was still to come; it does not count as good.")
    if seen.left_out:
        remarks.append(f"{seen.left_out} of its older snapshots are not told, for the server has too many of them.")
    return tuple(remarks)


def _name(group: Group) -> str:
    name = f"{group.type}/{group.backup_id}"
    if group.namespace:
        name = f"{group.namespace}/{name}"
    comment = group.comment or (group.last_complete.comment if group.last_complete is not None else None)
    return f"{name} ({comment})"[:NAME] if comment else name[:NAME]


def _is_meant(group: Group, pattern: str) -> bool:
    path = "/".join(part for part in (group.store, group.namespace, group.type, group.backup_id) if part)
    return fnmatchcase(path, pattern) or fnmatchcase(path, f"*/{pattern}")


def _attempt_id(group: Group, what: str, at: datetime) -> str:
    return stable_key("pbs", group.id, what, str(int(at.timestamp())))


def _snapshot_id(group: Group, snapshot: Snapshot) -> str:
    return f"{group.type}/{group.backup_id}/{_utc(snapshot.backup_at)}"


def _utc(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
