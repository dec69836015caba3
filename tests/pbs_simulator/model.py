"""What a server holds: stores, groups, snapshots, upkeep. Plain values; the world changes them, endpoints tell them.

A group's snapshots are derived when asked for (snapshots.py) until an event touches the group; from then on they are
listed in `Group.listed`. All instants are epoch seconds of the simulated clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

DAY = 86400

GroupKey = tuple[str, str, str]  # namespace, type, id


class Snap(NamedTuple):
    """One snapshot; an unfinished one is an upload that runs or was left behind."""

    time: int
    finished: bool
    verify: str | None  # ok, failed
    verified_at: int | None  # start of the verify task
    protected: bool
    comment: str | None


@dataclass(slots=True, eq=False)
class Group:
    store: str
    ns: str
    kind: str
    id: str
    number: int
    newest: int
    interval: int
    rows: int
    owner: str | None
    comment: str | None = None
    guest: str | None = None
    crypt: str = "none"
    upload: str | None = None  # running, aborted
    upload_at: int = 0
    newest_failed: bool = False
    listed: list[Snap] | None = None

    @property
    def key(self) -> GroupKey:
        return self.ns, self.kind, self.id

    @property
    def name(self) -> str:
        return f"{self.kind}/{self.id}"

    @property
    def path(self) -> str:
        return "/".join(part for part in (self.store, self.ns, self.name) if part)


@dataclass(slots=True)
class Collection:
    """Garbage collection of one store: the last success, the last run of any outcome, the one that runs."""

    schedule: str | None
    success: dict[str, Any] | None = None  # upid, counters
    success_start: int = 0
    start: int | None = None
    end: int | None = None
    state: str | None = None
    running: bool = False


@dataclass(slots=True)
class Job:
    """A standing order of one kind: verify, prune, sync or tape. ``fields`` are its own keys, in PBS's order."""

    kind: str
    id: str
    store: str
    ns: str
    fields: dict[str, Any]
    schedule: str | None
    upid: str | None = None
    state: str | None = None
    end: int | None = None
    disabled: bool = False

    @property
    def running(self) -> bool:
        return self.upid is not None and self.end is None


@dataclass
class Store:
    name: str
    state: str  # of sizes.STATES: what the store is an example of
    comment: str | None
    total: int
    used: int
    collection: Collection
    backend: str = "filesystem"
    removable: bool = False
    mounted: bool = True
    maintenance: tuple[str, str] | None = None  # type, message
    namespaces: dict[str, str | None] = field(default_factory=dict)
    groups: dict[str, dict[tuple[str, str], Group]] = field(default_factory=dict)
    verify_job: str = "v-daily"
    full_at: int | None = None  # as estimated; 0 or past: it does not grow, None: nobody can tell

    def every_group(self) -> list[Group]:
        return [group for ns in self.namespaces for group in self.groups.get(ns, {}).values()]
