"""Families about datastores, their garbage collection, and configured jobs.

Takes a ``PbsView``. The one rule: capacity that cannot be read is absent (an unmounted store is not a full one), and
byte counters of garbage collection are of the last run that went well, as the server keeps them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from lastgood.metrics.entities import epoch
from lastgood.metrics.family import Family, Type, Value
from lastgood.metrics.pbs.rows import SERVER_LABEL
from lastgood.metrics.pbs.view import BETWEEN, JOB, S3_REQUESTS, STORE, PbsView, job_of, server_of, store_of
from lastgood.model.pbs import S3, Datastore, Gc, Job, TaskStatus

_GOOD = (TaskStatus.OK, TaskStatus.WARNINGS)
SAME_RUN = timedelta(seconds=5)
"""A run and its task end that close together."""


def _store(
    name: str,
    help_: str,
    value: Callable[[Datastore], Value],
    label_names: tuple[str, ...] = (),
    labels: Callable[[Datastore], tuple[str, ...]] = lambda _store: (),
) -> Family[PbsView]:
    def texts(view: PbsView, thing_id: str) -> tuple[str, ...]:
        store = store_of(view, thing_id)
        return store.name, *labels(store), server_of(thing_id)

    return Family(
        name=name,
        help=help_,
        type=Type.COUNTER if name.endswith("_total") else Type.GAUGE,
        entity=STORE,
        label_names=("datastore", *label_names, *SERVER_LABEL),
        labels=texts,
        optional=SERVER_LABEL,
        value=lambda view, thing_id: value(store_of(view, thing_id)),
    )


def _gc(name: str, help_: str, value: Callable[[Gc], Value]) -> Family[PbsView]:
    return _store(name, help_, lambda store: None if store.gc is None else value(store.gc))


def _s3(name: str, help_: str, value: Callable[[S3], Value]) -> Family[PbsView]:
    return _store(name, help_, lambda store: None if store.s3 is None else value(store.s3))


def _gc_took(view: PbsView, thing_id: str) -> Value:
    """What is known of the run, else of the task that ended with it: tasks are often seen a round later."""
    gc, picture = store_of(view, thing_id).gc, view.picture(thing_id)
    if gc is None or gc.took_seconds is not None or gc.ended_at is None or picture is None:
        return None if gc is None else gc.took_seconds
    task = picture.tasks.last.get(("garbage_collection", store_of(view, thing_id).name))
    if task is None or abs(task.ended_at - gc.ended_at) > SAME_RUN:
        return None
    return (task.ended_at - task.started_at).total_seconds()


_MOUNTED = {"mounted": 1, "notmounted": 0}

STORES: tuple[Family[PbsView], ...] = (
    _store(
        "pbs_datastore_total_bytes",
        "Size of the datastore; of an S3 store that of its local cache.",
        lambda store: store.total_bytes,
    ),
    _store("pbs_datastore_used_bytes", "Used space.", lambda store: store.used_bytes),
    _store("pbs_datastore_available_bytes", "Available space.", lambda store: store.available_bytes),
    _store(
        "pbs_datastore_up",
        "1 if the datastore could be read, 0 if not; no row before anybody tried.",
        lambda store: store.up,
    ),
    _store(
        "pbs_datastore_info",
        "Always 1; the labels say how it is stored, whether it is mounted, and its maintenance mode.",
        lambda _store: 1,
        ("backend_type", "mount_status", "maintenance"),
        lambda store: (store.backend, store.mount or "", store.maintenance or ""),
    ),
    _store("pbs_datastore_maintenance", "1 while a maintenance mode is set.", lambda store: bool(store.maintenance)),
    _store(
        "pbs_datastore_mounted",
        "1 if a removable datastore is mounted, 0 if not; no row for one that is not removable.",
        lambda store: _MOUNTED.get(store.mount or ""),
    ),
    _store(
        "pbs_datastore_full_timestamp_seconds",
        "Unix time at which it is estimated to be full; no row where it never will be, or nobody can tell.",
        lambda store: epoch(store.full_at),
    ),
    _store(
        "pbs_datastore_full_known",
        "1 if there is enough history to say when it is full: then no such time means never.",
        lambda store: store.history_known,
    ),
    _store(
        "pbs_datastore_namespaces",
        "Namespaces that the token sees, the root one too.",
        lambda store: None if store.namespaces is None else len(store.namespaces),
    ),
    _store(
        "pbs_datastore_unreadable_namespaces",
        "Namespaces that could not be read.",
        lambda store: None if store.namespaces is None else len(store.unreadable_namespaces),
    ),
    _gc(
        "pbs_dedup_factor",
        "How many times the stored bytes would be needed without deduplication, at the last garbage collection.",
        lambda gc: gc.dedup_factor,
    ),
    _s3(
        "pbs_datastore_s3_downloaded_bytes_total",
        "Bytes downloaded from the S3 endpoint; begins anew when the server resets it.",
        lambda s3: s3.downloaded_bytes,
    ),
    _s3(
        "pbs_datastore_s3_uploaded_bytes_total",
        "Bytes uploaded to the S3 endpoint; begins anew when the server resets it.",
        lambda s3: s3.uploaded_bytes,
    ),
)


def _s3_requests(view: PbsView, thing_id: str) -> Value:
    store_id, _, method = thing_id.rpartition(BETWEEN)
    s3 = store_of(view, store_id).s3
    return None if s3 is None else s3.requests.get(method)


def _s3_labels(view: PbsView, thing_id: str) -> tuple[str, ...]:
    store_id, _, method = thing_id.rpartition(BETWEEN)
    return store_of(view, store_id).name, method, server_of(thing_id)


S3_FAMILY: Family[PbsView] = Family(
    name="pbs_datastore_s3_requests_total",
    help="Requests to the S3 endpoint by method; begins anew when the server resets it.",
    type=Type.COUNTER,
    entity=S3_REQUESTS,
    label_names=("datastore", "method", *SERVER_LABEL),
    labels=_s3_labels,
    optional=SERVER_LABEL,
    value=_s3_requests,
)

GC: tuple[Family[PbsView], ...] = (
    _gc(
        "pbs_gc_last_run_timestamp",
        "Unix time at which the last garbage collection ended, well or not; held while one runs.",
        lambda gc: epoch(gc.ended_at),
    ),
    Family(
        name="pbs_gc_duration_seconds",
        help="How long the last garbage collection took; no row where start and end of one run are not both known.",
        entity=STORE,
        label_names=("datastore", *SERVER_LABEL),
        labels=lambda view, thing_id: (store_of(view, thing_id).name, server_of(thing_id)),
        optional=SERVER_LABEL,
        value=_gc_took,
    ),
    _gc(
        "pbs_gc_removed_bytes",
        "Bytes that the last successful garbage collection removed.",
        lambda gc: gc.removed_bytes,
    ),
    _gc(
        "pbs_gc_pending_bytes",
        "Bytes that the last successful garbage collection left for the safety window of about a day.",
        lambda gc: gc.pending_bytes,
    ),
    _gc(
        "pbs_gc_status",
        "1 if the last garbage collection went well, with warnings too, 0 if not; no row if none ever ran.",
        lambda gc: None if gc.status is None else gc.status in _GOOD,
    ),
    _gc("pbs_gc_running", "1 while garbage collection runs.", lambda gc: gc.running),
    _gc(
        "pbs_gc_last_success_timestamp_seconds",
        "Unix time of the last successful garbage collection, that of the byte counters.",
        lambda gc: epoch(gc.succeeded_at),
    ),
    _gc(
        "pbs_gc_still_bad_chunks",
        "Corrupt chunks that the last successful garbage collection still found.",
        lambda gc: gc.still_bad,
    ),
)

# --- jobs ---------------------------------------------------------------------------------------------------------

_JOB_LABELS = ("job_type", "job_id", "datastore")
_JOB_OPTIONAL = ("namespace", *SERVER_LABEL)


def _job(
    name: str,
    help_: str,
    value: Callable[[Job], Value],
    label_names: tuple[str, ...] = (),
    labels: Callable[[Job], tuple[str, ...]] = lambda _job: (),
) -> Family[PbsView]:
    def texts(view: PbsView, thing_id: str) -> tuple[str, ...]:
        job = job_of(view, thing_id)
        return job.kind, job.id, job.store, *labels(job), job.namespace, server_of(thing_id)

    return Family(
        name=name,
        help=help_,
        entity=JOB,
        label_names=(*_JOB_LABELS, *label_names, *_JOB_OPTIONAL),
        labels=texts,
        optional=_JOB_OPTIONAL,
        value=lambda view, thing_id: value(job_of(view, thing_id)),
    )


JOBS: tuple[Family[PbsView], ...] = (
    _job(
        "pbs_job_info",
        "Always 1, for each configured sync, verify, prune, tape and garbage collection job.",
        lambda _job: 1,
        ("remote", "direction", "schedule"),
        lambda job: (job.remote or "", job.direction or "", job.schedule or ""),
    ),
    _job("pbs_job_enabled", "0 if the job is disabled, else 1.", lambda job: job.enabled),
    _job("pbs_job_running", "1 while the job runs.", lambda job: job.running),
    _job(
        "pbs_job_last_status",
        "Always 1; the label is how the last run ended: OK, WARNINGS (a sync left something out), ERROR or unknown. "
        "No row if it never ran.",
        lambda job: None if job.status is None else 1,
        ("status",),
        lambda job: (job.status or "",),
    ),
    _job(
        "pbs_job_last_run_timestamp_seconds",
        "Unix time at which the last run ended, well or not.",
        lambda job: epoch(job.ended_at),
    ),
    _job(
        "pbs_job_next_run_timestamp_seconds",
        "Unix time of the next run by its schedule; no row without one.",
        lambda job: epoch(job.next_run_at),
    ),
)

FAMILIES = (*STORES, S3_FAMILY, *GC, *JOBS)
