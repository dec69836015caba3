"""Families about tasks of a PBS server.

Takes a ``PbsView``. The one rule: labels are bounded: never a status text, a UPID, or an id with a time in it.
"""

from __future__ import annotations

from lastgood.metrics.entities import epoch
from lastgood.metrics.family import Family, Type, Value
from lastgood.metrics.pbs.rows import SERVER_LABEL, of_part
from lastgood.metrics.pbs.view import BETWEEN, ENDED, LAST, RUNNING, TOTAL, PbsView, server_of, short


def _total(view: PbsView, thing_id: str) -> Value:
    server, *told = thing_id.split(BETWEEN, 3)
    return view.by_server[server].totals.get(tuple(told))


def _running(view: PbsView, thing_id: str) -> Value:
    server, *told = thing_id.split(BETWEEN, 2)
    return view.by_server[server].running.get(tuple(told))


def _total_labels(_view: PbsView, thing_id: str) -> tuple[str, ...]:
    return (*thing_id.split(BETWEEN, 3)[1:], server_of(thing_id))


def _running_labels(_view: PbsView, thing_id: str) -> tuple[str, ...]:
    return (*thing_id.split(BETWEEN, 2)[1:], server_of(thing_id))


def _last_labels(view: PbsView, thing_id: str) -> tuple[str, ...]:
    task = view.lasts[thing_id]
    return task.worker_type, task.status, task.worker_id, short(task.comment), server_of(thing_id)


def _took(view: PbsView, thing_id: str) -> Value:
    task = view.lasts[thing_id]
    return (task.ended_at - task.started_at).total_seconds()


FAMILIES: tuple[Family[PbsView], ...] = (
    Family(
        name="pbs_task_total",
        help="Tasks that ended since this server was first asked, by how they ended: OK, WARNINGS, ERROR or unknown. "
        "The comment is that of the group of a backup, where there is but one such group.",
        type=Type.COUNTER,
        entity=TOTAL,
        label_names=("worker_type", "status", "comment", *SERVER_LABEL),
        labels=_total_labels,
        optional=SERVER_LABEL,
        value=_total,
    ),
    Family(
        name="pbs_task_duration_seconds",
        help="How long the last task of this type and id took; no row 14 days after it ended.",
        entity=LAST,
        label_names=("worker_type", "status", "worker_id", "comment", *SERVER_LABEL),
        labels=_last_labels,
        optional=SERVER_LABEL,
        value=_took,
    ),
    Family(
        name="pbs_task_running",
        help="Tasks that run now; 0 is kept for types that were seen before.",
        entity=RUNNING,
        label_names=("worker_type", "comment", *SERVER_LABEL),
        labels=_running_labels,
        optional=SERVER_LABEL,
        value=_running,
    ),
    of_part(
        "pbs_task_last_run_timestamp",
        "Unix time at which a task of this type last ended.",
        ENDED,
        ("worker_type",),
        lambda picture, parts: epoch(picture.tasks.last_ended_at.get(parts[0])),
    ),
)
