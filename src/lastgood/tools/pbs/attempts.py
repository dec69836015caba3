"""Which backup task belongs to which group, and what that says of the group. Pure.

Comes in: the groups of one datastore with the same type and id, and the backup tasks of that name. Goes out: the same
groups with running uploads, ends and failures. The one rule: a task names no namespace in any version, so what could
be another group's failure is told as ambiguous and never counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from lastgood.model.pbs import Group, Snapshot, TaskStatus

EARLY = timedelta(minutes=1)
LATE = timedelta(minutes=10)
"""So much earlier or later than the client said may the server have begun the task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupTask:
    """One backup task; ``status`` is None while it runs."""

    started_at: datetime
    user: str
    status: TaskStatus | None = None
    ended_at: datetime | None = None
    text: str | None = None

    @property
    def is_failed(self) -> bool:
        return self.status in (TaskStatus.ERROR, TaskStatus.UNKNOWN)

    @property
    def is_good(self) -> bool:
        return self.status in (TaskStatus.OK, TaskStatus.WARNINGS)


def attributed(groups: Sequence[Group], tasks: Iterable[BackupTask]) -> list[Group]:
    """The groups, in their order, with what the tasks add; an equal group is the same object."""
    told = sorted(tasks, key=lambda task: task.started_at)
    running = {owner.id for task in told if task.status is None for owner in _uploads(groups, task)}
    failures: dict[str, list[BackupTask]] = {}
    ambiguous: set[str] = set()
    for task in told:
        if not task.is_failed:
            continue
        owners = _owners(groups, task)
        later = [group.id for group in owners if _is_later(group.last_good, task)]
        if len(owners) > 1:
            ambiguous |= set(later)
            continue
        for group_id in later:
            failures.setdefault(group_id, []).append(task)
    return [
        _with(group, told, failures.get(group.id, []), group.id in running, group.id in ambiguous, len(groups) == 1)
        for group in groups
    ]


def task_of(group: Group, snapshot: Snapshot, tasks: Iterable[BackupTask], *, alone: bool) -> BackupTask | None:
    """The task that made this snapshot: the nearest start, of the same owner where others have the same name."""
    near = [task for task in tasks if is_near(task.started_at, snapshot.backup_at) and not task.is_failed]
    if not alone:
        near = [task for task in near if group.owner is None or task.user == group.owner]
    return min(near, key=lambda task: abs(task.started_at - snapshot.backup_at), default=None)


def is_near(started_at: datetime, backup_at: datetime) -> bool:
    """Whether a task of this start can have made the snapshot of this moment."""
    return -EARLY <= started_at - backup_at <= LATE


def _with(
    group: Group, tasks: list[BackupTask], failures: list[BackupTask], uploading: bool, ambiguous: bool, alone: bool
) -> Group:
    end = None
    if group.last_good is not None:
        task = task_of(group, group.last_good, (task for task in tasks if task.is_good), alone=alone)
        end = task.ended_at if task is not None and task.ended_at is not None else group.last_good.backup_at
    newest = failures[-1] if failures else None
    changes = {
        "last_good_end_at": end,
        "uploading": uploading,
        "failed_attempts": len(failures),
        "failed_at": newest.started_at if newest is not None else None,
        "failed_reason": newest.text if newest is not None else None,
        "ambiguous": ambiguous,
    }
    if all(getattr(group, name) == value for name, value in changes.items()):
        return group
    return replace(group, **changes)  # type: ignore[arg-type]


def _is_later(good: Snapshot | None, task: BackupTask) -> bool:
    return good is None or task.started_at > good.backup_at


def _uploads(groups: Sequence[Group], task: BackupTask) -> list[Group]:
    """Whose unfinished snapshot this running task writes."""
    found = [group for group in groups if group.unfinished_at is not None]
    if len(found) > 1:
        found = [group for group in found if group.owner == task.user] or found
    if len(found) > 1:
        found = [group for group in found if group.unfinished_at and is_near(task.started_at, group.unfinished_at)]
    return found


def _owners(groups: Sequence[Group], task: BackupTask) -> Sequence[Group]:
    """Whose failure it is: one group, or several if nobody can tell."""
    if len(groups) == 1:
        return groups
    owned = [group for group in groups if group.owner == task.user]
    if len(owned) == 1:
        return owned
    among = owned or groups
    begun = [group for group in among if group.unfinished_at and is_near(task.started_at, group.unfinished_at)]
    return begun if len(begun) == 1 else among
