"""All that one simulated server knows: the world, what it saw of it at its last refresh, states, tasks, its clock.

Events change the world; the server notices most of them at the next refresh, as the real one does.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from tests.kopia_fake.moments import MINUTE, SECOND
from tests.kopia_fake.plan import CANCELED, DIED, FATAL, SKIPPED, SUCCESS, WARNING, Attempt, Source
from tests.kopia_fake.truth import source_truth
from tests.kopia_fake.world import by_hand, visible

from .faults import Faults
from .settings import Settings
from .tasks import Task, Tasks, counters
from .webhook import Webhook

RUNS_FOR = 10 * 60


class Mistake(ValueError):
    """A request to the control port that makes no sense."""


@dataclass
class Run:
    """An upload under way."""

    source: Source
    task: Task
    until: int
    ended: str
    told: dict[str, Any]


@dataclass
class Stats:
    requests: dict[str, int] = field(default_factory=dict)
    password_checks: int = 0
    refused: int = 0
    violations: list[str] = field(default_factory=list)

    def count(self, what: str) -> None:
        self.requests[what] = self.requests.get(what, 0) + 1


class Site:
    def __init__(self, settings: Settings) -> None:
        self.settings, self.scenario = settings, settings.scenario
        self.now = self.scenario.now
        self.stats, self.faults, self.webhook = Stats(), Faults(), Webhook()
        self.sources = {source.name: source for source in visible(self.scenario)}
        self.connected, self.opening = True, False
        self.starts = 0
        self._start()

    def _start(self) -> None:
        """What a restart makes anew."""
        self.starts += 1
        self.key = hashlib.sha256(f"{self.scenario.seed}/{self.starts}".encode()).digest()
        self.tasks = Tasks()
        self.states: dict[str, str] = {}
        self.runs: dict[str, Run] = {}
        self.ran: set[str] = set()  # whose next time was cleared by a run since the last refresh
        self.tasks.finish(self.tasks.begin("Repository", "Open", self.now - SECOND), "SUCCESS", self.now)
        self.refresh()

    def refresh(self) -> None:
        """Read sources and last snapshots anew."""
        self.refreshed = self.now
        self.ran = set()
        self.seen = {name: source.attempts[-1:] for name, source in self.sources.items()}
        for name, attempts in list(self.seen.items()):
            source = self.sources[name]
            saved = [one for one in source.attempts if one.ended not in (SKIPPED, DIED)]
            self.seen[name] = saved[-1:] if attempts else []
            if self.states.get(name) == "PAUSING":
                self.states[name] = "PAUSED"

    def is_local(self, source: Source) -> bool:
        return not self.settings.read_only and f"{source.user}@{source.host}" == self.settings.local

    def state(self, source: Source) -> str:
        if source.name in self.runs:
            return "UPLOADING"
        said = self.states.get(source.name)
        if said and said != "PAUSING":
            return said
        return "IDLE" if self.is_local(source) else "REMOTE"

    def advance(self, seconds: float) -> None:
        """Let time pass: runs end when they are over, refreshes happen when they are due."""
        target = self.now + int(seconds * SECOND)
        interval = self.settings.refresh_seconds * SECOND
        while True:
            due = min([run.until for run in self.runs.values()], default=target + 1)
            following = min(due, self.refreshed + interval)
            if following > target:
                break
            self.now = max(self.now, following)
            for name, run in list(self.runs.items()):
                if run.until <= self.now:
                    self.finish(name)
            if self.refreshed + interval <= self.now:
                self.refresh()
        self.now = target

    # Events, by kind.

    def event(self, told: dict[str, Any]) -> None:
        told = dict(told)
        kind = told.pop("kind", None)
        does = getattr(self, f"on_{kind}", None)
        if does is None:
            known = ", ".join(sorted(name[3:] for name in dir(self) if name.startswith("on_")))
            raise Mistake(f"there is no event {kind!r}; there is {known}")
        try:
            does(**told)
        except TypeError as error:
            raise Mistake(f"event {kind!r}: {error}") from error

    def on_begin(self, source: str, seconds: float = RUNS_FOR, ended: str = SUCCESS, **told: Any) -> None:
        """A local run starts; it ends by itself after so many seconds, or at ``finish``."""
        found = self._source(source)
        task = self.tasks.begin("Snapshot", f"{source} at start", self.now)
        task.counters = counters(told.get("size", 10**9) // 2, told.get("files", 1000) // 2, 0)
        task.progress = "sub/folder"
        self.runs[source] = Run(found, task, self.now + int(seconds * SECOND), ended, told)
        self.states.pop(source, None)

    def on_finish(self, source: str, **told: Any) -> None:
        if source not in self.runs:
            raise Mistake(f"{source} is not running")
        self.runs[source].told |= told
        self.runs[source].ended = told.pop("ended", self.runs[source].ended)
        self.finish(source)

    def finish(self, name: str) -> None:
        """The run is over: its manifest, its task, and no next time before the next refresh if it left none."""
        run = self.runs.pop(name)
        told = {key: value for key, value in run.told.items() if key in Attempt.__slots__ and key != "ended"}
        attempt = Attempt(run.task.start, self.now, run.ended, **({"size": 10**9, "files": 1000, "dirs": 80} | told))
        attempt.root = attempt.root or self.now // SECOND
        if run.ended == FATAL:
            attempt.failed = attempt.failed or 1
        if run.ended == WARNING:
            attempt.ignored = attempt.ignored or 1
        run.source.attempts.append(attempt)
        run.task.counters, run.task.progress = counters(attempt.size, attempt.files, attempt.failed), ""
        if run.ended == DIED:
            self.tasks.finish(run.task, "FAILED", self.now, attempt.error or "unable to create local filesystem")
            self.ran.add(name)
            return
        self.tasks.finish(run.task, "CANCELED" if run.ended == CANCELED else "SUCCESS", self.now)
        if run.ended != SKIPPED:
            self.seen[name] = [attempt]

    def on_backup(self, source: str, ended: str = SUCCESS, minutes: float = 5, **told: Any) -> None:
        """A source somewhere else backed up; this server sees it at the next refresh."""
        start = self.now - int(minutes * MINUTE)
        fields = {"size": 10**9, "files": 1000, "dirs": 80, "root": start // SECOND} | told
        self._source(source).attempts.append(Attempt(start, self.now, ended, **fields))

    def on_source(self, **told: Any) -> None:
        """A new source, as the scenario writes one."""
        made = by_hand(told, self.now)
        self.sources[made.name] = made

    def on_gone(self, source: str) -> None:
        del self.sources[self._source(source).name]

    def on_state(self, source: str, state: str | None) -> None:
        """PENDING, PAUSED, FAILED, INITIALIZING, UNKNOWN, STOPPED; none: what follows from the rest."""
        self._source(source)
        if state is None:
            self.states.pop(source, None)
        else:
            self.states[source] = "PAUSING" if state == "PAUSED" else state

    def on_maintenance(self, status: str = "SUCCESS", error: str = "") -> None:
        task = self.tasks.begin("Maintenance", "Periodic maintenance", self.now - 3 * SECOND)
        self.tasks.finish(task, status, self.now, error)

    def on_refresh(self) -> None:
        self.refresh()

    def on_restart(self) -> None:
        """New secrets, no tasks, no pauses."""
        self.stats.count("restart")
        self._start()

    def on_connected(self, connected: bool = True, opening: bool = False) -> None:
        self.connected, self.opening = connected, opening

    def _source(self, name: str) -> Source:
        if name not in self.sources:
            raise Mistake(f"there is no source {name!r}")
        return self.sources[name]

    def truth(self) -> dict[str, Any]:
        """Of the world as it is now, whatever the server has noticed."""
        self.scenario.now = self.now
        told = [source_truth(self.scenario, source) for source in self.sources.values()]
        return {
            "sources": [one for one in told if one is not None],
            "states": {name: self.state(source) for name, source in self.sources.items()},
            "refreshed": self.refreshed,
            "now": self.now,
        }

    def upload(self, run: Run) -> dict[str, Any]:
        """The counters of a run as ``sources`` shows them: three of them are always 0."""
        size, files = run.told.get("size", 10**9), run.told.get("files", 1000)
        return {
            "cachedBytes": size // 3,
            "hashedBytes": size // 6,
            "uploadedBytes": 0,
            "estimatedBytes": size,
            "cachedFiles": files // 3,
            "hashedFiles": files // 6,
            "excludedFiles": 0,
            "excludedDirs": 0,
            "errors": run.told.get("failed", 0),
            "ignoredErrors": run.told.get("ignored", 0),
            "estimatedFiles": files,
            "directory": "sub/folder",
            "lastErrorPath": "",
            "lastError": "",
        }
