"""The tasks of one server: what finished since first contact, what runs, what each kind and group did last.

Comes in: rows of the task list, again and again. Goes out: ``Tasks``, and the backup tasks by name for ``attempts``.
The one rule: each task that ends after first contact is counted once, over restarts too, whatever the order and
however often it is told. Outside format: the task list, whose ``since`` is about starts, never about ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import blake2b

from lastgood.model.pbs import LastTask, Tasks, TaskStatus
from lastgood.tools.pbs.attempts import BackupTask
from lastgood.tools.pbs.concerns import normal_id
from lastgood.tools.pbs.job_shapes import TaskRow
from lastgood.tools.pbs.shapes import moment
from lastgood.tools.pbs.status import task_status

LOOKBACK = timedelta(hours=48)
"""So far back may a task have begun and still be found when it ends; one that is known to run is found longer."""

OVERLAP = timedelta(minutes=10)
WHOLE_EVERY = timedelta(hours=1)
KEPT = timedelta(days=14)
MOST_COUNTED = 200_000
MOST_LAST = 50_000
MOST_KINDS = 20_000
"""Different (type, status, comment); beyond that comments are left out."""

MOST_FAILURES = 64
MOST_GOOD = 8
COMMENT = 50
"""Code points of a comment that become part of a label."""

TEXT = 500

Name = tuple[str, str]
"""Datastore and ``type/id``: all that a backup task names."""


@dataclass(slots=True, kw_only=True)
class Counted:
    """What must survive a restart for no task to be counted twice, or not at all.

    ``ended`` holds a digest of each finished UPID with its start, ``running`` of those that ran. Before ``horizon``
    only tasks that were seen running are new.
    """

    totals: dict[tuple[str, str, str], int] = field(default_factory=dict)
    ended: dict[int, int] = field(default_factory=dict)
    running: dict[int, int] = field(default_factory=dict)
    horizon: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A task that ended since the last look."""

    worker_type: str
    worker_id: str
    status: TaskStatus


@dataclass(slots=True)
class _Backups:
    """The tasks of one name: those that run, and the newest that ended well and badly."""

    running: dict[str, BackupTask] = field(default_factory=dict)
    good: dict[str, BackupTask] = field(default_factory=dict)
    failed: dict[str, BackupTask] = field(default_factory=dict)

    def end(self, upid: str, task: BackupTask) -> None:
        held, most = (self.failed, MOST_FAILURES) if task.is_failed else (self.good, MOST_GOOD)
        held[upid] = task
        if len(held) > most:
            del held[min(held, key=lambda each: held[each].started_at)]


class TaskBook:
    """Takes rows, answers ``Tasks``; ``comment_of`` says the comment of a name if only one group can be meant."""

    def __init__(self, counted: Counted, comment_of: Callable[[Name], str]) -> None:
        self.counted = counted
        self._comment_of = comment_of
        self._backups: dict[Name, _Backups] = {}
        self._seen: dict[int, int] = {}
        self._shown: dict[str, tuple[str, str, str]] = {}
        self.tasks = Tasks()
        self.read_at: datetime | None = None
        self._whole_at: datetime | None = None
        self._newest = 0
        self._newest_end = 0
        self.changed = False
        """Whether ``counted`` must be saved."""

    def server_now(self, now: datetime) -> datetime:
        """The least that the server's own clock can show, whose tasks have begun and ended; ``now`` is ours."""
        return max(now, datetime.fromtimestamp(max(self._newest, self._newest_end), now.tzinfo))

    def since(self, running: Iterable[TaskRow], now: datetime) -> datetime:
        """From which start on the list must be read for no end to be missed.

        What ended since the last look ran then, and runs no more, or began later than anything that was seen; now and
        then the whole lookback is read all the same, for servers' clocks jump.
        """
        if self._whole_at is None:
            return now - KEPT
        if now - self._whole_at >= WHOLE_EVERY:
            return now - LOOKBACK
        still = {_digest(row.upid) for row in running}
        gone = [start for digest, start in self.counted.running.items() if digest not in still]
        since = datetime.fromtimestamp(min([self._newest, *gone]), now.tzinfo)
        return max(min(since, now) - OVERLAP, now - KEPT)

    def take(
        self, running: Iterable[TaskRow], ended: Iterable[TaskRow], now: datetime
    ) -> tuple[list[Finished], set[Name]]:
        """What ended since the last look (nothing on the first), and the names whose backup tasks changed."""
        first, counted = self.read_at is None, self.counted
        horizon = counted.horizon
        if self._whole_at is None or now - self._whole_at >= WHOLE_EVERY:
            self._whole_at = now
        touched: set[Name] = set()
        news: list[Finished] = []
        totals, last = dict(counted.totals), dict(self.tasks.last)
        for row in sorted(ended, key=lambda row: row.endtime or 0):
            digest = _digest(row.upid)
            if row.is_running or digest in self._seen:
                continue
            self._seen[digest] = row.starttime
            self._newest_end = max(self._newest_end, row.endtime or 0)
            self._newest = max(self._newest, row.starttime)
            finished = self._finished(row, last, touched)
            if digest in counted.ended:
                continue
            is_new = horizon is not None and (row.starttime >= horizon or digest in counted.running)
            self._count(totals, row, finished.status, 1 if is_new else 0)
            counted.ended[digest] = row.starttime
            if is_new or not first:
                news.append(finished)
        now_running = self._take_running(running, touched)
        self._forget(last, now)
        counted.running = now_running
        counted.horizon = int((now - LOOKBACK).timestamp())
        self._settle(totals, last, now)
        return ([] if first else news), touched

    def backups(self, name: Name) -> list[BackupTask]:
        held = self._backups.get(name)
        return [] if held is None else [*held.running.values(), *held.good.values(), *held.failed.values()]

    def running_ids(self, worker_type: str) -> set[str]:
        """What tasks of this type work on now."""
        return {worker_id for kind, worker_id, _ in self._shown.values() if kind == worker_type}

    def forget(self, name: Name) -> None:
        """Its group is gone."""
        self._backups.pop(name, None)
        store, group = name
        gone = [key for key in self.tasks.last if key[1] == f"{store}:{group}"]
        if gone:
            last = {key: task for key, task in self.tasks.last.items() if key not in gone}
            self.tasks = replace(self.tasks, last=last)

    def _finished(self, row: TaskRow, last: dict[tuple[str, str], LastTask], touched: set[Name]) -> Finished:
        status = task_status(row.status) or TaskStatus.UNKNOWN
        worker_id = normal_id(row.worker_type, row.worker_id)
        started_at, ended_at = (
            moment(row.starttime),
            moment(row.endtime if row.endtime is not None else row.starttime),
        )
        assert started_at is not None  # a shape's epoch lies within the calendar
        assert ended_at is not None
        key = (row.worker_type, worker_id)
        text = (row.status or "")[:TEXT] or None
        if key not in last or last[key].ended_at <= ended_at:
            last[key] = LastTask(
                worker_type=row.worker_type,
                worker_id=worker_id,
                status=status,
                comment=self._comment(row),
                started_at=started_at,
                ended_at=ended_at,
                text=text,
            )
        name = backup_name(row)
        if name is not None:
            held = self._backups.setdefault(name, _Backups())
            held.running.pop(row.upid, None)
            task = BackupTask(started_at=started_at, user=row.user, status=status, ended_at=ended_at, text=text)
            held.end(row.upid, task)
            touched.add(name)
        return Finished(worker_type=row.worker_type, worker_id=row.worker_id or "", status=status)

    def _take_running(self, rows: Iterable[TaskRow], touched: set[Name]) -> dict[int, int]:
        shown: dict[str, tuple[str, str, str]] = {}
        starts: dict[int, int] = {}
        backups: dict[Name, dict[str, BackupTask]] = {}
        for row in rows:
            digest = _digest(row.upid)
            if not row.is_running or digest in self._seen:
                continue
            starts[digest] = row.starttime
            self._newest = max(self._newest, row.starttime)
            shown[row.upid] = (row.worker_type, row.worker_id or "", self._comment(row))
            name, started_at = backup_name(row), moment(row.starttime)
            if name is not None and started_at is not None:
                backups.setdefault(name, {})[row.upid] = BackupTask(started_at=started_at, user=row.user)
        for name in [name for name, held in self._backups.items() if held.running and name not in backups]:
            self._backups[name].running = {}
            touched.add(name)
        for name, running in backups.items():
            held = self._backups.setdefault(name, _Backups())
            if held.running.keys() != running.keys():
                held.running = running
                touched.add(name)
        self._shown = shown
        return starts

    def _count(self, totals: dict[tuple[str, str, str], int], row: TaskRow, status: TaskStatus, by: int) -> None:
        comment = self._comment(row)
        if comment and len(totals) >= MOST_KINDS:
            comment = ""
        key = (row.worker_type, status.value, comment)
        totals[key] = totals.get(key, 0) + by

    def _comment(self, row: TaskRow) -> str:
        name = backup_name(row)
        return "" if name is None else self._comment_of(name)[:COMMENT]

    def _forget(self, last: dict[tuple[str, str], LastTask], now: datetime) -> None:
        """What is too old to be shown or told again; each bound holds whatever a server tells."""
        old = now - KEPT
        for key in [key for key, task in last.items() if task.ended_at < old]:
            del last[key]
        if len(last) > MOST_LAST:
            for key in sorted(last, key=lambda key: last[key].ended_at)[: len(last) - MOST_LAST]:
                del last[key]
        _trim(self.counted.ended, now - LOOKBACK)
        _trim(self._seen, old)

    def _settle(
        self, totals: dict[tuple[str, str, str], int], last: dict[tuple[str, str], LastTask], now: datetime
    ) -> None:
        before, book = self.tasks, self.counted
        self.changed |= totals != book.totals or self.read_at is None
        book.totals = totals if totals != book.totals else book.totals
        running = dict.fromkeys([(kind, "") for kind, _, _ in totals] + list(before.running), 0)
        for kind, _, comment in self._shown.values():
            key = (kind, comment)
            running[key] = running.get(key, 0) + 1
        ends = dict(before.last_ended_at)
        for task in last.values():
            ends[task.worker_type] = max(ends.get(task.worker_type, task.ended_at), task.ended_at)
        self.tasks = replace(
            before,
            totals=before.totals if before.totals == totals else dict(totals),
            last=before.last if before.last == last else last,
            running=before.running if before.running == running else running,
            last_ended_at=before.last_ended_at if before.last_ended_at == ends else ends,
        )
        self.read_at = now


def _trim(starts: dict[int, int], before: datetime) -> None:
    edge = int(before.timestamp())
    for digest in [digest for digest, start in starts.items() if start < edge]:
        del starts[digest]
    if len(starts) > MOST_COUNTED:
        for digest in sorted(starts, key=lambda digest: starts[digest])[: len(starts) - MOST_COUNTED]:
            del starts[digest]


def backup_name(row: TaskRow) -> Name | None:
    """Which datastore and group a backup task is of; None for other tasks."""
    if row.worker_type != "backup" or not row.worker_id:
        return None
    store, colon, group = row.worker_id.partition(":")
    return (store, group) if colon else None


def _digest(upid: str) -> int:
    return int.from_bytes(blake2b(upid.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
