"""The task list: what runs, and what ran, newest end first.

`select` answers as `GET /nodes/localhost/tasks` does, with its traps: `since` looks at the start and stops at the
first task that ended before it, the limit is 50 unless said, status filters drop running tasks.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain

from .upid import PID, PSTART, upid


@dataclass(slots=True, eq=False)
class Task:
    number: int
    start: int
    worker_type: str
    worker_id: str | None
    user: str
    end: int | None = None
    status: str | None = None
    ns: str = ""  # what PBS does not tell, but the truth needs

    @property
    def upid(self) -> str:
        return upid(self.number, self.start, self.worker_type, self.worker_id, self.user)

    @property
    def kind(self) -> str:
        return task_class(self.status)

    def row(self) -> dict[str, object]:
        row: dict[str, object] = {
            "upid": self.upid,
            "node": "localhost",
            "pid": PID,
            "pstart": PSTART,
            "starttime": self.start,
            "worker_type": self.worker_type,
            "worker_id": self.worker_id,
            "user": self.user,
        }
        if self.end is not None:
            row |= {"endtime": self.end, "status": self.status}
        return row


def task_class(status: str | None) -> str:
    if status is None:
        return "running"
    if status == "OK":
        return "ok"
    if status.startswith("WARNINGS: "):
        return "warning"
    return "unknown" if status == "unknown" else "error"


def store_of(worker_id: str | None) -> str | None:
    return worker_id.partition(":")[0] if worker_id else None


@dataclass(frozen=True)
class Query:
    start: int = 0
    limit: int = 50
    running: bool = False
    errors: bool = False
    since: int | None = None
    until: int | None = None
    store: str | None = None
    typefilter: str | None = None
    userfilter: str | None = None
    statusfilter: tuple[str, ...] = ()
    only_user: str | None = None  # the asker may see no more than this one's


@dataclass
class TaskLog:
    running: list[Task] = field(default_factory=list)
    finished: list[Task] = field(default_factory=list)  # oldest end first
    next_number: int = 0x1000

    def start(self, at: int, worker_type: str, worker_id: str | None, user: str, ns: str = "") -> Task:
        task = Task(self.next_number, at, worker_type, worker_id, user, ns=ns)
        self.next_number += 1
        self.running.append(task)
        return task

    def finish(self, task: Task, at: int, status: str) -> None:
        self.running.remove(task)
        task.end, task.status = at, status
        insort(self.finished, task, key=_by_end)

    def find(self, wanted: str) -> Task | None:
        return next((task for task in chain(self.running, self.finished) if task.upid == wanted), None)

    def ordered(self) -> Iterator[Task]:
        running = sorted(self.running, key=lambda task: (task.start, task.number), reverse=True)
        return chain(running, reversed(self.finished))

    def select(self, query: Query) -> tuple[list[Task], int]:
        """One page, and the ``total`` PBS tells with it: one more than told where there is more."""
        page: list[Task] = []
        skipped = 0
        for task in self._matching(query):
            if skipped < query.start:
                skipped += 1
            elif query.limit and len(page) >= query.limit:
                return page, query.start + len(page) + 1
            else:
                page.append(task)
        return page, query.start + len(page)

    def _matching(self, query: Query) -> Iterator[Task]:
        for task in self.ordered():
            if query.since is not None:
                if task.end is not None and task.end < query.since:
                    return
                if task.start < query.since:
                    continue
            if query.until is not None and task.start > query.until:
                continue
            if _wanted(task, query):
                yield task


def _wanted(task: Task, query: Query) -> bool:
    kind = task.kind
    if query.running and kind != "running":
        return False
    if query.errors and kind == "ok":
        return False
    if query.statusfilter and kind not in query.statusfilter:
        return False
    if query.only_user is not None and task.user != query.only_user:
        return False
    if query.typefilter is not None and query.typefilter not in task.worker_type:
        return False
    if query.userfilter is not None and query.userfilter not in task.user:
        return False
    return query.store is None or query.store in _stores(task)


def _stores(task: Task) -> tuple[str, ...]:
    if task.worker_type == "syncjob" and task.worker_id:
        parts = task.worker_id.split(":")
        return tuple(parts[1:3])
    store = store_of(task.worker_id)
    return (store,) if store else ()


def _by_end(task: Task) -> tuple[int, int]:
    return task.end or 0, task.number
