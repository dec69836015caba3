"""What the server has done lately: the task list a world begins with.

Comes from the groups' newest snapshots (each was made by a backup task with the same start), the stores and the jobs;
kept is what a size says, newest first. Holds every class of task the facts sheet knows, and its awkward ones.
"""

from __future__ import annotations

from .model import DAY, Group, Store
from .snapshots import Deriving, daily_number
from .tasks import Task, TaskLog

ODD_ERRORS = (
    "backup ended but finish flag is not set.",
    "client closed the connection unexpectedly",
    "unable to acquire lock on snapshot directory: EWOULDBLOCK: Operation would block",
    "connection error: Connection reset by peer (os error 104)",
)
LONG_ERROR = "unable to read chunk: " + "0123456789abcdef" * 254 + " gone"  # about 4 KB
ROOT = "root@pam"
HOUSEKEEPING = ("logrotate", "aptupdate", "srvreload", "realm-sync")


class Diary:
    """Gathers tasks in any order; `log` puts them into PBS's."""

    def __init__(self) -> None:
        self.tasks: list[Task] = []
        self._number = 0x1000

    def add(
        self,
        start: int,
        end: int | None,
        status: str | None,
        worker_type: str,
        worker_id: str | None,
        user: str = ROOT,
        ns: str = "",
    ) -> Task:
        number = self._number
        if worker_type in ("verificationjob", "garbage_collection"):
            number = daily_number(start)  # so that what names this task's UPID elsewhere names this one
        self._number += 1
        task = Task(number, start, worker_type, worker_id, user, end, status, ns)
        self.tasks.append(task)
        return task

    def log(self, kept: int) -> TaskLog:
        running = [task for task in self.tasks if task.end is None]
        finished = [task for task in self.tasks if task.end is not None]
        finished.sort(key=lambda task: (task.end or 0, task.number))
        return TaskLog(running, finished[len(running) - kept :], self._number)


def write_backups(
    diary: Diary, groups: list[Group], failing: list[Group], deriving: Deriving, kept: int, now: int
) -> None:
    """A task for each of the newest snapshots; failed ones after the last good of the groups drawn for it."""
    each = -(-kept // max(1, len(groups))) + 1
    for group in groups:
        for snap in deriving.snapshots(group, each):
            worker, user = f"{group.store}:{group.name}", group.owner or ROOT
            if not snap.finished:
                running = group.upload == "running"
                end, status = (None, None) if running else (snap.time + 30, "unknown")
                diary.add(snap.time, end, status, "backup", worker, user, group.ns)
            elif snap.time < now:
                end = min(now - 1, snap.time + 60 + group.number * 13 % 1700)
                status = "WARNINGS: 1" if (snap.time // 10) % 50 == 0 else "OK"
                diary.add(snap.time, end, status, "backup", worker, user, group.ns)
    for index, group in enumerate(failing):
        for attempt in range(1 + index % 3):
            start = group.newest + (now - group.newest) * (attempt + 1) // 5
            status = "unknown" if index % 4 == 3 else LONG_ERROR if index == 0 else ODD_ERRORS[(index + attempt) % 4]
            worker = f"{group.store}:{group.name}"
            diary.add(start, start + 95, status, "backup", worker, group.owner or ROOT, group.ns)


def write_upkeep(diary: Diary, stores: dict[str, Store], days: int, now: int) -> None:
    """Every day's garbage collections, prunes, verifications and housekeeping, and one task that died."""
    midnight = now - now % DAY
    for day in range(days):
        start = midnight - day * DAY
        for index, kind in enumerate(HOUSEKEEPING):
            _past(diary, start + 1200 + index * 60, 3, "OK", kind, "pve" if kind == "realm-sync" else None, now)
        _past(diary, start + 2400, 0, "unknown", "verify", f"main:vm/100/{start:08X}", now)
        for store in stores.values():
            if day:
                _past(diary, start + 7200, 5400, "OK", "garbage_collection", store.name, now)
                _past(diary, start + 18000, 4121, "OK", "verificationjob", f"{store.name}:{store.verify_job}", now)
                _past(diary, start + 14400, 40, "WARNINGS: 1" if day % 5 == 2 else "OK", "prunejob", store.name, now)
            elif store.collection.end is not None:
                gc = store.collection
                took = (gc.end or 0) - (start + 7200)
                _past(diary, start + 7200, took, gc.state or "OK", "garbage_collection", store.name, now)
    _once(diary, next(iter(stores)), now)


def _once(diary: Diary, store: str, now: int) -> None:
    """One of each remaining class, and the verify that has run for thirty hours."""
    diary.add(now - 30 * 3600, None, None, "verify", store)
    for index, (kind, worker, status) in enumerate(
        (
            ("reader", f"{store}:vm/101/{now - DAY:08X}", "OK"),
            ("reader", f"{store}:host/web-1/{now - 2 * DAY:08X}", "connection closed before message completed"),
            ("benchmark", f"{store}:host/benchmark", "OK"),
            ("verify_group", f"{store}:ns/prod/vm/102", "OK"),
            ("verify_group", f"{store}:/vm/103", "verification failed - please check the log for details"),
            ("verify_snapshot", f"{store}:/vm/103/{now - 3 * DAY:08X}", "OK"),
            ("verify", f"{store}:ns/prod/ns/cluster1", "WARNINGS: 1"),
            ("prune", f"{store}:prod:vm/102", "OK"),
            ("prune", f"{store}:", "WARNINGS: 3"),
            ("sync", store, "OK"),
            ("syncjob", f"dr-site:main:{store}:prod:s-0a1b2c3d", "WARNINGS: 4"),
            ("tape-backup", f"{store}:weekly:lto8-a", "OK"),
            ("create-datastore", store, "OK"),
            ("mount-device", "usb-rotate", "unable to mount: no such device"),
            ("unmount-device", "usb-rotate", "OK"),
            ("mount-sync-jobs", "usb-rotate", "OK"),
            ("termproxy", None, "command 'login' failed: exit code 1"),
        )
    ):
        _past(diary, now - 3 * 3600 - index * 1700, 45 + index, status, kind, worker, now)


def _past(diary: Diary, start: int, took: int, status: str, kind: str, worker: str | None, now: int) -> None:
    if start + took < now:
        diary.add(start, start + took, status, kind, worker)
