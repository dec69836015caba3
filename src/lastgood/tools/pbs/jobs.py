"""Configured jobs and tapes as a server tells them. Pure.

Comes in: rows of job and tape lists, the jobs known before, and the last finished tasks. Goes out: ``Job``,
``TapeDrive``, ``Media``. The one rule: a job that never ran has no status, one that runs that of its last end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from lastgood.model.pbs import Gc, Job, LastTask, Media, TapeDrive
from lastgood.tools.pbs import shapes
from lastgood.tools.pbs.job_shapes import JobRow, PruneJob, SyncJob, TapeJob, VerifyJob
from lastgood.tools.pbs.shapes import moment
from lastgood.tools.pbs.status import task_status

TEXT = 500
KINDS: Mapping[type[JobRow], str] = {SyncJob: "sync", VerifyJob: "verify", PruneJob: "prune", TapeJob: "tape"}
WORKERS = {"sync": "syncjob", "verify": "verificationjob", "tape": "tape-backup-job"}
"""Tasks whose worker id ends with the id of their job; that of a prune job has none."""

STALE_DAYS = 30
"""After so many days a verification is old where no job says otherwise."""

DAY = 86400.0


def jobs_of(
    rows: Iterable[JobRow], known: Iterable[Job] | None, last: Mapping[tuple[str, str], LastTask]
) -> tuple[Job, ...]:
    """The jobs of these rows; what a running one did before comes from ``known``, else from its last task."""
    before = {(job.store, job.id): job for job in known or ()}
    ends = {(task.worker_type, _job_id(task)): task for task in last.values() if task.worker_type in WORKERS.values()}
    jobs = []
    for row in rows:
        kind = KINDS[type(row)]
        task = ends.get((WORKERS.get(kind, ""), row.id))
        jobs.append(_held(_job(kind, row), before.get((row.store, row.id)), task))
    return tuple(jobs)


def gc_jobs(collections: Mapping[str, Gc]) -> tuple[Job, ...]:
    """Garbage collection as a job of each datastore, under the datastore's name."""
    return tuple(
        Job(
            kind="gc",
            id=store,
            store=store,
            schedule=gc.schedule,
            running=gc.running,
            status=gc.status,
            ended_at=gc.ended_at,
            next_run_at=gc.next_run_at,
        )
        for store, gc in collections.items()
    )


def stale_after(jobs: Iterable[Job], store: str, namespace: str) -> float:
    """Seconds after which a verification there is old: as the strictest verify job that reaches it says."""
    days = [
        job.outdated_after_days
        for job in jobs
        if job.kind == "verify" and job.store == store and job.outdated_after_days and _reaches(job, namespace)
    ]
    return min(days, default=STALE_DAYS) * DAY


def drives_of(rows: Iterable[shapes.Drive]) -> tuple[TapeDrive, ...]:
    return tuple(
        TapeDrive(name=row.name, vendor=row.vendor, model=row.model, serial=row.serial, in_use=row.state is not None)
        for row in rows
    )


def media_of(rows: Iterable[shapes.Media]) -> tuple[Media, ...]:
    """Tapes counted by pool, status and kind of place."""
    tapes: Counter[tuple[str, str, str]] = Counter()
    sizes: Counter[tuple[str, str, str]] = Counter()
    for row in rows:
        key = (row.pool or "", row.status, row.location)
        tapes[key] += 1
        sizes[key] += row.bytes_used or 0
    return tuple(
        Media(pool=pool, status=status, location=location, tapes=tapes[pool, status, location], bytes_used=size)
        for (pool, status, location), size in sorted(sizes.items())
    )


def _reaches(job: Job, namespace: str) -> bool:
    return not job.namespace or namespace == job.namespace or namespace.startswith(f"{job.namespace}/")


def _job(kind: str, row: JobRow) -> Job:
    sync = row if isinstance(row, SyncJob) else None
    return Job(
        kind=kind,
        id=row.id,
        store=row.store,
        namespace=getattr(row, "ns", None) or "",
        remote=sync.remote if sync is not None else None,
        direction=(sync.sync_direction or "pull") if sync is not None else None,
        schedule=row.schedule,
        enabled=not (isinstance(row, PruneJob) and row.disable),
        running=row.is_running,
        status=task_status(row.last_run_state),
        text=(row.last_run_state or "")[:TEXT] or None,
        ended_at=moment(row.last_run_endtime),
        next_run_at=moment(row.next_run),
        comment=row.comment,
        outdated_after_days=row.outdated_after if isinstance(row, VerifyJob) else None,
    )


def _held(job: Job, before: Job | None, task: LastTask | None) -> Job:
    """A running job with what it did last, for the server leaves that out until it ends."""
    if not job.running:
        return job
    if before is not None and before.ended_at is not None:
        return replace(job, status=before.status, text=before.text, ended_at=before.ended_at)
    if task is None:
        return job
    return replace(job, status=task.status, text=task.text, ended_at=task.ended_at)


def _job_id(task: LastTask) -> str:
    return task.worker_id.rpartition(":")[2]
