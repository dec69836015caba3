"""The server's tasks: in memory only, newest first, fifty finished ones kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.kopia_fake.moments import rfc3339

KEPT = 50
RUNNING = ("RUNNING", "CANCELING")


@dataclass
class Task:
    number: int
    kind: str
    description: str
    start: int
    end: int | None = None
    status: str = "RUNNING"
    progress: str = ""
    error: str = ""
    counters: dict[str, Any] | None = None

    def told(self, zone_minutes: int) -> dict[str, Any]:
        found: dict[str, Any] = {"id": f"{self.number:x}", "startTime": rfc3339(self.start, zone_minutes)}
        if self.end is not None:
            found["endTime"] = rfc3339(self.end, zone_minutes)
        found |= {"kind": self.kind, "description": self.description, "status": self.status}
        found["progressInfo"] = self.progress
        if self.error:
            found["errorMessage"] = self.error
        return found | {"counters": self.counters}


@dataclass
class Tasks:
    all: list[Task] = field(default_factory=list)  # newest first
    next: int = 1

    def begin(self, kind: str, description: str, start: int) -> Task:
        task = Task(self.next, kind, description, start)
        self.next += 1
        self.all.insert(0, task)
        return task

    def finish(self, task: Task, status: str, end: int, error: str = "") -> None:
        task.status, task.end, task.error = status, end, error
        finished = [one for one in self.all if one.status not in RUNNING]
        for old in finished[KEPT:]:
            self.all.remove(old)

    def named(self, name: str) -> Task | None:
        return next((task for task in self.all if f"{task.number:x}" == name), None)

    def summary(self) -> dict[str, int]:
        counted = {"RUNNING": 0}
        for task in self.all:
            counted[task.status] = counted.get(task.status, 0) + 1
        return counted


def counters(size: int, files: int, errors: int) -> dict[str, Any]:
    """Of a snapshot task, in the order of their names."""
    told = {
        "Cached Bytes": (size * 9 // 10, "bytes", ""),
        "Cached Files": (files * 9 // 10, "", ""),
        "Errors": (errors, "", "error"),
        "Excluded Directories": (0, "", ""),
        "Excluded Files": (1, "", ""),
        "Hashed Bytes": (size // 10, "bytes", ""),
        "Hashed Files": (files // 10, "", ""),
        "Processed Bytes": (size, "bytes", ""),
        "Processed Files": (files, "", ""),
        "Uploaded Bytes": (size // 20, "bytes", ""),
    }
    return {
        name: {"value": value} | ({"units": units} if units else {}) | {"level": level}
        for name, (value, units, level) in told.items()
    }
