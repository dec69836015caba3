"""What a server says of its datastores: capacity, state, garbage collection. Pure.

Comes in: rows of usage, of the list of datastores, of garbage collection, and what was known before. Goes out:
``Datastore``. The one rule: what a row leaves out is unknown, and what vanishes while something runs is held.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from lastgood.model.pbs import S3, Datastore, Gc, LastTask, TaskStatus
from lastgood.tools.pbs.properties import maintenance
from lastgood.tools.pbs.shapes import DatastoreRow, GcRow, S3Statistics, Usage, moment
from lastgood.tools.pbs.status import task_status
from lastgood.tools.pbs.upid import started_at

SAME_RUN = timedelta(seconds=10)
"""So far apart may a task and the job that it is of say that it ended."""

NOT_MOUNTED = "notmounted"
CLOSED = {
    "offline": "it is in offline maintenance",
    "delete": "it is being deleted",
    "unmount": "it is being unmounted",
    "s3-refresh": "its S3 contents are being refreshed",
}
"""Maintenance in which a datastore cannot be read; in any other it can."""


def used(known: Datastore | None, row: Usage, now: datetime) -> Datastore:
    """The datastore with its capacity; what it cannot say of it (unreadable, or no right) becomes unknown."""
    store = known or Datastore(name=row.store)
    whole = row.total is not None and row.used is not None and row.avail is not None
    full_at, history_known = _full(row, now)
    return replace(
        store,
        total_bytes=row.total if whole else None,
        used_bytes=row.used if whole else None,
        available_bytes=row.avail if whole else None,
        full_at=full_at,
        history_known=history_known,
        mount=row.mount_status or store.mount,
        backend=row.backend_type or store.backend,
    )


def told(known: Datastore | None, row: DatastoreRow) -> Datastore:
    """The datastore with its state; ``up`` becomes False where the state alone says that it cannot be read."""
    store = known or Datastore(name=row.store)
    mode = maintenance(row.maintenance)
    word = mode[0] if mode is not None else None
    reason = closed(word, row.mount_status)
    return replace(
        store,
        comment=row.comment,
        maintenance=word,
        mount=row.mount_status or store.mount,
        backend=row.backend_type or store.backend,
        up=False if reason is not None else store.up,
        reason=reason if reason is not None else store.reason,
    )


def closed(mode: str | None, mount: str | None) -> str | None:
    """Why a datastore in this state cannot be read; None if it can."""
    if mode in CLOSED:
        return CLOSED[mode]
    return "it is not mounted" if mount == NOT_MOUNTED else None


def collected(known: Gc | None, row: GcRow, last: LastTask | None, *, running: bool) -> Gc:
    """Garbage collection of one datastore. ``last`` is its last finished task, ``running`` whether one runs now.

    The server leaves all out that it said of the last run while the next one runs, so that is held; its own
    ``duration`` mixes two runs after a failure, so only one task's start and end make one. Where nobody tells any
    more when the last success ended, its start is the next best.
    """
    gc = replace(known or Gc(), running=running, schedule=row.schedule, next_run_at=moment(row.next_run))
    if row.upid is not None:
        gc = replace(
            gc,
            removed_bytes=row.removed_bytes,
            pending_bytes=row.pending_bytes,
            index_bytes=row.index_data_bytes,
            disk_bytes=row.disk_bytes,
            still_bad=row.still_bad,
        )
    ended_at, status = moment(row.last_run_endtime), task_status(row.last_run_state)
    if (ended_at is None or status is None) and running and last is not None:
        if gc.ended_at is None or last.ended_at > gc.ended_at:
            ended_at, status = last.ended_at, last.status
        else:
            ended_at, status = gc.ended_at, gc.status
    if ended_at is not None and status is not None:
        took = _took(last, ended_at)
        if took is None and ended_at == gc.ended_at:
            took = gc.took_seconds
        gc = replace(gc, ended_at=ended_at, status=status, took_seconds=took)
        if status in (TaskStatus.OK, TaskStatus.WARNINGS):
            return replace(gc, succeeded_at=ended_at)
    return gc if gc.succeeded_at or row.upid is None else replace(gc, succeeded_at=started_at(row.upid))


def is_running(row: GcRow) -> bool:
    """Whether the row itself says so: it tells of a success and yet of no last run."""
    return row.upid is not None and row.last_run_endtime is None


def s3_of(told: S3Statistics | None) -> S3 | None:
    if told is None:
        return None
    counts = {name: getattr(told, name) for name in ("get", "post", "put", "head", "delete")}
    requests: Mapping[str, int] = {name: count for name, count in counts.items() if count is not None}
    return S3(downloaded_bytes=told.downloaded, uploaded_bytes=told.uploaded, requests=requests)


def _full(row: Usage, now: datetime) -> tuple[datetime | None, bool]:
    """When it will be full, None for never; and whether that is known. A date of 0 or of the past means never."""
    date = row.estimated_full_date
    if date is None:
        return None, False
    full_at = moment(date) if date > 0 else None
    return (full_at if full_at is not None and full_at > now else None), True


def _took(last: LastTask | None, ended_at: datetime) -> float | None:
    if last is None or abs(last.ended_at - ended_at) > SAME_RUN:
        return None
    return max(0.0, (last.ended_at - last.started_at).total_seconds())
