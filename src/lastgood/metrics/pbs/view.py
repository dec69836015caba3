"""All PBS servers at one moment, as the ``pbs_*`` families read them: things by ids that sort as people would.

Comes in: the pictures of the collectors named ``pbs`` and ``pbs/NAME``. Goes out: a ``PbsView`` and the entities that
rows stand on. The one rule: an id begins with its server, so that servers with equal stores and groups stay apart;
what is the same in two pictures is the same object in two views.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from lastgood.config.servers import SNAPSHOT_ROWS
from lastgood.metrics.family import Entity
from lastgood.model.pbs import Datastore, Group, Job, LastTask, PbsPicture, Snapshot

COLLECTOR = "pbs"
BETWEEN = "\0"
"""Stands between the parts of an id; no name of a PBS holds it, and it sorts before all that they hold."""

MOST_MISSING = 100
"""Missing grants that are told one by one; their number is told whole."""

COMMENT_CHARACTERS = 50
_UNREADABLE = re.compile("[\x00-\x08\x0b-\x1f\ud800-\udfff]")

T = TypeVar("T")


def key(*parts: str) -> str:
    return BETWEEN.join(parts)


def server_of(thing_id: str) -> str:
    return thing_id.partition(BETWEEN)[0]


def short(text: str | None) -> str:
    """The beginning of a comment: code points, never bytes; it is escaped where it is written."""
    return "" if text is None else text[:COMMENT_CHARACTERS]


def _summed(counts: Mapping[Any, int]) -> Mapping[tuple[str, ...], int]:
    """Counts by what is told of their comments: two comments that begin alike, or read alike, are one series."""
    summed: dict[tuple[str, ...], int] = {}
    for (*parts, comment), count in counts.items():
        told = (*parts, _UNREADABLE.sub("\ufffd", short(comment)))
        summed[told] = summed.get(told, 0) + count
    return summed


class Exposed(NamedTuple):
    """The snapshots of one server that have rows, and how many the hard cap left out."""

    rows: Mapping[str, Snapshot]
    cut: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PbsView:
    """``servers`` by configured name, None for one without a picture; everything else by id."""

    servers: Mapping[str, PbsPicture | None]
    groups: Mapping[str, Group]
    snapshots: Mapping[str, Snapshot]
    lasts: Mapping[str, LastTask]
    cut: Mapping[str, int]
    by_server: Mapping[str, _OfServer]

    def picture(self, thing_id: str) -> PbsPicture | None:
        return self.servers[server_of(thing_id)]


@dataclass(frozen=True, slots=True)
class _OfServer:
    """What was made of one picture, to be used again while the picture's own part is the same object."""

    picture: PbsPicture
    groups: Mapping[str, Group]
    exposed: Exposed
    lasts: Mapping[str, LastTask]
    totals: Mapping[tuple[str, ...], int]
    running: Mapping[tuple[str, ...], int]


def gather(pictures: Mapping[str, object], before: PbsView | None) -> PbsView | None:
    """The view of these pictures; None if no collector is one of a PBS."""
    servers = {
        name.partition("/")[2]: picture if isinstance(picture, PbsPicture) else None
        for name, picture in pictures.items()
        if name.partition("/")[0] == COLLECTOR
    }
    if not servers:
        return None
    drawn = [(name, picture) for name, picture in sorted(servers.items()) if picture is not None]
    held = {} if before is None else before.by_server
    by_server = {name: _of_server(name, picture, held.get(name)) for name, picture in drawn}
    parts = by_server.values()
    return PbsView(
        servers=dict(sorted(servers.items())),
        groups=_joined([part.groups for part in parts]),
        snapshots=_joined([part.exposed.rows for part in parts]),
        lasts=_joined([part.lasts for part in parts]),
        cut={name: part.exposed.cut for name, part in by_server.items()},
        by_server=by_server,
    )


def _joined(parts: list[Mapping[str, T]]) -> Mapping[str, T]:
    """All of them; the very same mapping if there is but one, so that what did not change shows as such."""
    if len(parts) == 1:
        return parts[0]
    return {thing_id: thing for part in parts for thing_id, thing in part.items()}


def _of_server(server: str, picture: PbsPicture, before: _OfServer | None) -> _OfServer:
    held = None if before is None else before.picture
    if before is not None and held is not None and held.groups is picture.groups:
        groups, exposed = before.groups, before.exposed
    else:
        groups = {group_key(server, group): group for group in picture.groups.values()}
        exposed = expose(groups)
    tasks = picture.tasks
    if before is not None and held is not None and held.tasks.last is tasks.last:
        lasts = before.lasts
    else:
        lasts = {key(server, *name): task for name, task in tasks.last.items()}
    return _OfServer(picture, groups, exposed, lasts, _summed(tasks.totals), _summed(tasks.running))


def group_key(server: str, group: Group) -> str:
    return key(server, group.store, group.namespace, group.type, group.backup_id)


def expose(groups: Mapping[str, Group], most: int = SNAPSHOT_ROWS) -> Exposed:
    """A row for each snapshot that a picture holds, the newest ones under a hard cap."""
    total = sum(len(group.snapshots) for group in groups.values())
    every = _snapshots(groups)
    if total <= most:
        return Exposed(dict(every), 0)
    newest = sorted(every, key=lambda row: row[1].backup_at, reverse=True)
    return Exposed(dict(islice(newest, most)), total - most)


def _snapshots(groups: Mapping[str, Group]) -> Iterator[tuple[str, Snapshot]]:
    for group_id, group in groups.items():
        for snapshot in group.snapshots:
            # Ten digits hold until 2286, and sort as numbers.
            yield f"{group_id}{BETWEEN}{int(snapshot.backup_at.timestamp()):010d}", snapshot


# --- what rows stand on ---------------------------------------------------------------------------------------------

Rows = Callable[[PbsPicture], Iterable[Iterable[str]]]


def _few(kind: str, rows: Rows) -> Entity[PbsView]:
    """A kind of which a server has few: ``rows`` gives the parts of their ids that follow the server's name."""

    def ids(view: PbsView) -> list[str]:
        return [
            key(server, *parts)
            for server, picture in view.servers.items()
            if picture is not None
            for parts in sorted(set(map(tuple, rows(picture))))
        ]

    return Entity(kind, ids)


def job_of(view: PbsView, thing_id: str) -> Job:
    _, kind, job_id = thing_id.split(BETWEEN, 2)
    picture = view.picture(thing_id)
    assert picture is not None
    return next(job for job in picture.jobs or () if job.kind == kind and job.id == job_id)


def store_of(view: PbsView, thing_id: str) -> Datastore:
    picture = view.picture(thing_id)
    assert picture is not None
    return picture.datastores[thing_id.partition(BETWEEN)[2]]


def missing_of(picture: PbsPicture) -> list[tuple[str, str]]:
    """The first missing grants as privilege and path."""
    parted = (missing.partition(" on ") for missing in (picture.missing or ())[:MOST_MISSING])
    return [(privilege, path) for privilege, _, path in parted]


SERVER: Entity[PbsView] = Entity("server", lambda view: list(view.servers))
STORE = _few("datastore", lambda picture: ((name,) for name in picture.datastores))
S3_REQUESTS = _few(
    "datastore and method",
    lambda picture: (
        (name, method) for name, store in picture.datastores.items() if store.s3 for method in store.s3.requests
    ),
)
JOB = _few("job", lambda picture: ((job.kind, job.id) for job in picture.jobs or ()))
DRIVE = _few("tape drive", lambda picture: ((drive.name,) for drive in picture.drives or ()))
MEDIA = _few(
    "pool, status and location", lambda picture: ((m.pool, m.status, m.location) for m in picture.media or ())
)
PROBE = _few("probe", lambda picture: ((name,) for name in picture.probes))
ERROR = _few("reason", lambda picture: ((reason,) for reason in picture.traffic.errors))
MISSING = _few("missing grant", lambda picture: set(missing_of(picture)))
TOTAL: Entity[PbsView] = Entity(
    "task class", lambda view: [key(s, *told) for s, held in view.by_server.items() for told in sorted(held.totals)]
)
RUNNING: Entity[PbsView] = Entity(
    "running task class",
    lambda view: [key(s, *told) for s, held in view.by_server.items() for told in sorted(held.running)],
)
ENDED = _few("task type", lambda picture: ((name,) for name in picture.tasks.last_ended_at))

GROUP: Entity[PbsView] = Entity("group", lambda view: sorted(view.groups), lambda view: view.groups)
SNAPSHOT: Entity[PbsView] = Entity("snapshot", lambda view: sorted(view.snapshots), lambda view: view.snapshots)
LAST: Entity[PbsView] = Entity("last task", lambda view: sorted(view.lasts), lambda view: view.lasts)
