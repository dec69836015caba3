"""What the snapshots of one backup group say: what is good, what is verified, what was left unfinished. Pure.

Comes in: a group as known so far, and all rows of its list. Goes out: the group anew, with what the timetable of
changes must remember (``Reading``). The one rule: only a finished snapshot counts, and never one that claims to be
later than the moment it was first seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median
from sys import intern

from msgspec import Struct

from lastgood.fleet.rhythm import habit_of
from lastgood.ids import stable_key
from lastgood.model.pbs import Group, Snapshot, Verification
from lastgood.model.repository import Habit
from lastgood.tools.pbs.shapes import LATEST, GroupRow, SnapshotRow, moment
from lastgood.tools.pbs.upid import started_at

GAPS = 8
HOUR = 3600
LEAST_INTERVAL = float(HOUR)
"""Seconds; no group is expected more often, however closely its snapshots lie."""

HABIT_STARTS = 400
"""So many starts are looked at for a rhythm; hourly backups of the two weeks that it remembers fit in."""

CLOCKS_DIFFER = timedelta(minutes=2)
"""So far may a moment lie in the future without its clock being wrong."""

MOST_MISDATED = 16


class Line(Struct, frozen=True, gc=False):
    """What is kept of a snapshot's row while its list comes in: a tenth of the row."""

    type: str
    id: str
    time: int
    size: int | None
    state: str | None
    upid: str | None
    comment: str | None
    owner: str | None
    protected: bool
    encrypted: bool
    signed: bool


GroupKey = tuple[str, str, str, str]
"""Datastore, namespace, type, id: only all four together name a group."""


Mark = tuple[int, int]
"""How many snapshots the list of groups tells of, and of when the last one is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A group after its snapshots were listed. ``times`` are all moments its newest snapshot may be told by.

    ``rows`` counts what the server counts, uploads without an end included; ``misdated`` are the moments of those
    snapshots that were seen before they claim to be made.
    """

    group: Group
    rows: int
    times: frozenset[int]
    habit: Habit
    misdated: frozenset[int] = frozenset()


def line(row: SnapshotRow) -> Line:
    verification = row.verification
    return Line(
        intern(row.backup_type),
        intern(row.backup_id),
        row.backup_time,
        row.size,
        intern(verification.state) if verification is not None else None,
        intern(verification.upid) if verification is not None else None,
        intern(row.comment) if row.comment is not None else None,
        intern(row.owner) if row.owner is not None else None,
        row.protected,
        row.is_encrypted,
        row.is_signed,
    )


def group_id(server: str, key: GroupKey) -> str:
    return stable_key("pbs", server, *key)


def new_group(server: str, key: GroupKey) -> Group:
    store, namespace, kind, backup_id = key
    return Group(id=group_id(server, key), store=store, namespace=namespace, type=kind, backup_id=backup_id)


def listed(group: Group, row: GroupRow) -> Group:
    """The group with what the list of groups tells of it, which is not when it was backed up."""
    if (group.owner, group.comment) == (row.owner, row.comment):
        return group
    return replace(group, owner=row.owner, comment=row.comment)


def read(
    group: Group,
    lines: Iterable[Line],
    now: datetime,
    *,
    until: datetime | None = None,
    most: int = 0,
    after: int = 0,
    misdated: Collection[int] = (),
) -> Reading:
    """The group as these lines show it at ``now``; ``most`` snapshots are kept (0: all) of those after ``after``.

    ``until`` is what the server's own clock shows at least, ``misdated`` are moments that were in the future when a
    look saw them.
    """
    by_time = {row.time: row for row in lines if row.time <= LATEST}
    ordered = sorted(by_time.values(), key=lambda row: row.time, reverse=True)
    finished = [row for row in ordered if row.size is not None]
    open_rows = [row for row in ordered if row.size is None]
    horizon = ((until or now) + CLOCKS_DIFFER).timestamp()
    wrong = frozenset(row.time for row in finished if row.time > horizon or row.time in misdated)
    counted = [row for row in finished if row.time not in wrong] if wrong else finished
    made: dict[int, Snapshot] = {}
    good = next((row for row in counted if not _is_failed(row)), None)
    verified = next((row for row in finished if row.state == "ok"), None)
    kept = [row for row in (finished[:most] if most else finished) if row.time > after]
    snapshots = tuple(_snapshot(row, made) for row in kept)
    group = replace(
        group,
        finished=len(finished),
        snapshots=snapshots,
        last_good=_snapshot(good, made) if good else None,
        last_complete=_snapshot(counted[0], made) if counted else None,
        last_verified=_snapshot(verified, made) if verified else None,
        oldest_at=moment(finished[-1].time) if finished else None,
        unfinished=len(open_rows),
        unfinished_at=moment(open_rows[0].time) if open_rows else None,
        uploading=group.uploading and bool(open_rows),
        expected_seconds=interval(counted),
        listed_at=now,
    )
    starts = [at for row in counted[:HABIT_STARTS] if (at := moment(row.time)) is not None]
    times = {rows[0].time for rows in (ordered, finished) if rows} or {0}
    return Reading(
        group=group,
        rows=len(by_time),
        times=frozenset(times),
        habit=habit_of(starts),
        misdated=frozenset(sorted(wrong, reverse=True)[:MOST_MISDATED]),
    )


def interval(rows: Sequence[Line]) -> float | None:
    """The usual seconds from one snapshot to the next; None while there is only one."""
    gaps = [newer.time - older.time for newer, older in pairwise(rows[:GAPS])]
    return max(LEAST_INTERVAL, float(median(gaps))) if gaps else None


def is_moved(rows: int, times: Collection[int], mark: Mark | None, told: Mark) -> bool:
    """Whether the list of groups tells something that ``rows`` and ``times`` of the last ``Reading`` do not explain.

    ``mark`` is what it told before that: some rows cannot be read, and count all the same.
    """
    return told != mark and (told[0] != rows or told[1] not in times)


def edge(times: Sequence[int], most: int) -> int:
    """The newest moment that is one too many: ``most`` of the ``times`` stand before it, newest first."""
    # To sort them all would hold every other thread for as long as it takes.
    hours = Counter(time // HOUR for time in times)
    for hour in sorted(hours, reverse=True):
        if hours[hour] > most:
            return sorted((time for time in times if time // HOUR == hour), reverse=True)[most]
        most -= hours[hour]
    raise ValueError("there are not so many")


def cut(group: Group, after: int) -> Group:
    """The group without the snapshots until ``after``; what it says of the last good one stays."""
    kept = tuple(snapshot for snapshot in group.snapshots if snapshot.backup_at.timestamp() > after)
    return group if len(kept) == len(group.snapshots) else replace(group, snapshots=kept)


def _is_failed(row: Line) -> bool:
    return row.state == "failed"


def _snapshot(row: Line, made: dict[int, Snapshot]) -> Snapshot:
    snapshot = made.get(row.time)
    if snapshot is None:
        snapshot = made[row.time] = _made(row)
    return snapshot


def _made(row: Line) -> Snapshot:
    at = moment(row.time)
    assert at is not None  # ``read`` left out what is beyond the calendar
    verification, verified_at = Verification.NONE, None
    if row.state in ("ok", "failed"):
        verification, verified_at = Verification(row.state), started_at(row.upid)
    return Snapshot(
        backup_at=at,
        size_bytes=row.size,
        comment=row.comment,
        owner=row.owner,
        protected=row.protected,
        verification=verification,
        verified_at=verified_at,
        encrypted=row.encrypted,
        signed=row.signed,
    )
