"""All that is known of one server's groups and tasks, and what of it is to be looked at again. Does no I/O.

Comes in: rows of groups, snapshots and tasks, as they arrive. Goes out: the mappings of the picture and reports. The
one rule: a mapping that was given out never changes; what did not change stays the same object.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from lastgood.config.servers import SNAPSHOT_ROWS, PbsServer
from lastgood.errors import BadPayload
from lastgood.model.collected import CollectedSource, SourcesTold
from lastgood.model.pbs import Group, Job
from lastgood.tools.pbs.attempts import attributed
from lastgood.tools.pbs.groups import GroupKey, Line, cut, edge, is_moved, listed, new_group, read
from lastgood.tools.pbs.job_shapes import TaskRow
from lastgood.tools.pbs.jobs import stale_after
from lastgood.tools.pbs.place import Known, Place, is_within, name_of
from lastgood.tools.pbs.report import Seen, host_of, is_archived, repository_id, source, target_of
from lastgood.tools.pbs.rows import Rows
from lastgood.tools.pbs.shapes import GroupRow
from lastgood.tools.pbs.tasks import Counted, Finished, Name, TaskBook

MOST_GROUPS = 100_000
"""Of one server: far more than any has, and no more than a hub can hold."""


class Groups:
    """Changed by one thread at a time; ``shown`` and ``tasks`` may be given away at any moment."""

    def __init__(self, server: PbsServer, counted: Counted, misdated: Mapping[str, frozenset[int]]) -> None:
        self._server = server
        self._host = host_of(server)
        self._places: dict[Place, dict[GroupKey, Known]] = {}
        self._names: dict[Name, list[Known]] = {}
        self._misdated = dict(misdated)
        self._after = 0
        self._jobs: tuple[Job, ...] = ()
        self._hidden: frozenset[str] = frozenset()
        self.shown: Mapping[str, Group] = {}
        self.book = TaskBook(counted, self._comment_of)
        self.own_only = False
        self.awaits_tasks = True
        """Tasks were never asked for: what failed is not known, and nothing is told yet."""
        self.truncated = 0
        self.pending = 0

    @property
    def misdated(self) -> Mapping[str, frozenset[int]]:
        return self._misdated

    def places(self, store: str) -> list[Place]:
        return [place for place in self._places if place[0] == store]

    def stale(self, place: Place) -> tuple[list[GroupKey], int]:
        """Groups there whose snapshots must be listed again, and how many groups there are."""
        there = self._places.get(place, {})
        return [key for key, known in there.items() if known.is_stale], len(there)

    def take_groups(self, place: Place, rows: Rows[GroupRow], now: datetime) -> None:
        """What the list of a namespace's groups tells; groups that a whole list lacks are gone. Raises BadPayload."""
        self._check_room(place, rows)
        there, shown = self._places.setdefault(place, {}), dict(self.shown)
        here = set()
        for row in rows:
            key = (*place, row.backup_type, row.backup_id)
            here.add(key)
            known = there.get(key)
            mark = (row.backup_count, row.last_backup)
            if known is None:
                known = there[key] = self._begun(key, mark)
                shown[known.group.id] = known.group
            known.told = mark
            self._put(known, listed(known.group, row), shown)
            if known.asked is not None:
                known.is_stale |= known.asked != mark
            elif row.backup_count == 0 and known.told != known.mark:
                self._read(known, (), now, shown)
            elif known.rows is None or is_moved(known.rows, known.times, known.mark, mark):
                known.is_stale = True
        if rows.is_whole:
            for key in [key for key in there if key not in here]:
                self._drop(there.pop(key), shown)
        self._settle(shown)

    def _check_room(self, place: Place, rows: Rows[GroupRow]) -> None:
        elsewhere = sum(len(there) for other, there in self._places.items() if other != place)
        if elsewhere + len(rows) > MOST_GROUPS:
            raise BadPayload(
                f"{self._server.name or 'The server'} tells of more than {MOST_GROUPS:,} groups, which is more than "
                f"we take; those of {'/'.join(filter(None, place))} are left as they were.",
                retry=False,
                cause="too_large",
            )

    def asking(self, place: Place, only: GroupKey | None) -> None:
        """Their snapshots are about to be listed; what is told meanwhile is not in that list."""
        for key, known in self._places.get(place, {}).items():
            if only is None or key == only:
                known.asked, known.is_stale = known.told, False

    def failed(self) -> None:
        """A list did not come."""
        for there in self._places.values():
            for known in there.values():
                if known.asked is not None:
                    known.asked, known.is_stale = None, True

    def take_snapshots(self, place: Place, only: GroupKey | None, rows: Rows[Line], now: datetime) -> list[str]:
        """The snapshots of a namespace, or of one group of it; gives the ids of groups that changed."""
        there, shown = self._places.get(place, {}), dict(self.shown)
        by_group: dict[GroupKey, list[Line]] = {}
        for row in rows:
            by_group.setdefault((*place, row.type, row.id), []).append(row)
        before = self.shown
        keys = [only] if only is not None else list(there)
        for key in keys:
            known = there.get(key)
            found = by_group.get(key, ())
            if known is not None and known.asked is not None:
                told = rows.is_whole or len(found) >= known.asked[0] or known.rows is None
                if told and (found or known.asked[0] == 0):
                    self._read(known, found, now, shown)
                elif not rows.is_whole:
                    known.is_stale = True  # the row that cannot be read may be its newest
                known.asked = None  # without a row it is gone, and the next list of groups says so
        self._bound(shown)
        self._settle(shown)
        changed = (there[key].group for key in keys if key in there)
        return [group.id for group in changed if before.get(group.id) is not group]

    def take_tasks(
        self, running: Iterable[TaskRow], ended: Iterable[TaskRow], now: datetime
    ) -> tuple[list[Finished], dict[str, list[CollectedSource]]]:
        """What ended since the last look, and by datastore the sources of which tasks tell something new."""
        if self.book.read_at is None:
            # Only now it is known what time it is on the server: what seemed to be of the future is looked at again.
            for name in self._names:
                for known in self._names[name]:
                    known.is_stale |= bool(known.misdated)
                    known.misdated = self._misdated.get(known.group.id, frozenset())
        finished, touched = self.book.take(running, ended, now)
        shown = dict(self.shown)
        open_names = {name for name, all_of in self._names.items() if any(k.group.unfinished_at for k in all_of)}
        told: dict[str, list[CollectedSource]] = {}
        for name in touched | open_names:
            for known in self._attribute(name, shown):
                if known.is_read:
                    before, known.source = known.source, None
                    now_told = self._source(known)
                    if now_told == before:
                        known.source = before
                    else:
                        told.setdefault(name[0], []).append(now_told)
        self._settle(shown)
        return finished, told

    def take_jobs(self, jobs: tuple[Job, ...]) -> None:
        """How old a verification may be, as verify jobs say."""
        if jobs == self._jobs:
            return
        self._jobs = jobs
        shown = dict(self.shown)
        for place, there in self._places.items():
            seconds = stale_after(jobs, *place)
            for known in there.values():
                if known.group.verify_stale_seconds != seconds:
                    self._put(known, replace(known.group, verify_stale_seconds=seconds), shown)
        self._settle(shown)

    def hide(self, stores: frozenset[str]) -> None:
        """Datastores with namespaces that may not be read: a name in them may be another group's as well."""
        self._hidden = stores

    def touch(self, store: str, namespace: str | None, kind: str | None, backup_id: str | None) -> None:
        """List these again, although neither count nor last backup moved. A namespace means those below it, too."""
        if kind is not None:
            for known in self._names.get((store, f"{kind}/{backup_id}"), ()):
                if namespace is None or known.group.namespace == namespace:
                    known.is_stale = True
            return
        for place in self.places(store):
            if namespace is None or is_within(place[1], namespace):
                for known in self._places[place].values():
                    known.is_stale = True

    def drop(self, places: Iterable[Place]) -> None:
        """Namespaces that are gone."""
        shown = dict(self.shown)
        for place in list(places):
            for known in self._places.pop(place, {}).values():
                self._drop(known, shown)
        self._settle(shown)

    def told(self, store: str, namespaces: Collection[str], listed_at: datetime, *, whole: bool) -> SourcesTold:
        """All sources in these namespaces; it is not whole if others are known, or some are to be looked at again."""
        sources = []
        whole = whole and not self.awaits_tasks
        for place in self.places(store):
            if place[1] not in namespaces:
                whole = whole and not self._places[place]
                continue
            for known in self._places[place].values():
                if known.is_read and not self.awaits_tasks:
                    sources.append(self._source(known))
                else:
                    whole = False
        return SourcesTold(
            repository_id=repository_id(self._server.name, store),
            listed_at=listed_at,
            sources=tuple(sources),
            whole=whole,
        )

    def is_due(self, store: str) -> bool:
        """Whether groups of the datastore are still to be listed."""
        return any(not known.is_read for place in self.places(store) for known in self._places[place].values())

    def sources(self, ids: Iterable[str], place: Place) -> tuple[CollectedSource, ...]:
        wanted, there = set(ids), self._places.get(place, {}).values() if not self.awaits_tasks else ()
        return tuple(self._source(known) for known in there if known.group.id in wanted and known.is_read)

    def snapshots(self, store: str) -> int | None:
        """How many finished snapshots a datastore holds; None before all were listed."""
        counts = [known.group.finished for place in self.places(store) for known in self._places[place].values()]
        return None if None in counts else sum(count or 0 for count in counts)

    def _begun(self, key: GroupKey, mark: tuple[int, int]) -> Known:
        group = new_group(self._server.name, key)
        group = replace(
            group,
            archived=is_archived(self._server, group),
            target_seconds=target_of(self._server, group),
            verify_stale_seconds=stale_after(self._jobs, key[0], key[1]),
        )
        known = Known(group, mark, misdated=self._misdated.get(group.id, frozenset()))
        self._names.setdefault(name_of(key), []).append(known)
        return known

    def _read(self, known: Known, rows: Iterable[Line], now: datetime, shown: dict[str, Group]) -> None:
        most, until = self._server.snapshot_history_limit, self.book.server_now(now)
        reading = read(known.group, rows, now, until=until, most=most, after=self._after, misdated=known.misdated)
        known.rows, known.times, known.habit = reading.rows, reading.times, reading.habit
        if known.asked is None:
            known.is_stale = False
        known.mark, known.source = known.asked or known.told, None
        known.misdated = reading.misdated
        if self.book.read_at is not None and self._misdated.get(known.group.id, frozenset()) != reading.misdated:
            self._misdated[known.group.id] = reading.misdated
            self.book.changed = True
        self._put(known, reading.group, shown)
        self._attribute(known.name, shown)

    def _attribute(self, name: Name, shown: dict[str, Group]) -> list[Known]:
        """Give each group of the name what the tasks of the name say."""
        knowns = self._names.get(name, [])
        for known, group in zip(knowns, attributed([k.group for k in knowns], self.book.backups(name)), strict=True):
            self._put(known, group, shown)
        return knowns

    def _put(self, known: Known, group: Group, shown: dict[str, Group]) -> None:
        if group is not known.group:
            known.group, known.source = group, None
            shown[group.id] = group

    def _drop(self, known: Known, shown: dict[str, Group]) -> None:
        name = known.name
        shown.pop(known.group.id, None)
        self._misdated.pop(known.group.id, None)
        left = [other for other in self._names.get(name, []) if other is not known]
        self._names[name] = left
        if not left:
            del self._names[name]
            self.book.forget(name)

    def _bound(self, shown: dict[str, Group]) -> None:
        """Keep the newest snapshots of all groups together, as many as are allowed."""
        if sum(len(group.snapshots) for group in shown.values()) <= SNAPSHOT_ROWS:
            return
        times = [int(s.backup_at.timestamp()) for g in shown.values() for s in g.snapshots]
        self._after = edge(times, SNAPSHOT_ROWS)
        for there in self._places.values():
            for known in there.values():
                self._put(known, cut(known.group, self._after), shown)

    def _settle(self, shown: dict[str, Group]) -> None:
        if shown != self.shown:
            self.shown = shown
            self.pending = sum(known.rows is None for there in self._places.values() for known in there.values())
            self.truncated = sum((group.finished or 0) - len(group.snapshots) for group in shown.values())

    def _source(self, known: Known) -> CollectedSource:
        if known.source is None:
            group, limit, name = known.group, self._server.snapshot_history_limit, known.name
            wanted = min(group.finished or 0, limit) if limit else group.finished or 0
            seen = Seen(
                habit=known.habit,
                tasks=tuple(self.book.backups(name)),
                tasks_at=self.book.read_at,
                own_only=self.own_only,
                alone=len(self._names[name]) == 1,
                misdated=known.misdated,
                left_out=wanted - len(group.snapshots),
            )
            known.source = source(group, self._host, seen)
        return known.source

    def _comment_of(self, name: Name) -> str:
        knowns = self._names.get(name, ())
        if len(knowns) != 1 or name[0] in self._hidden:
            return ""
        return knowns[0].group.comment or ""
