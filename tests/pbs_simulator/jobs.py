"""The standing orders of a server and their last runs: sync, verify, prune, tape.

The first jobs of each kind are those of the recordings; the rest repeat every outcome a job can have.
Outside format: rows of `admin/sync`, `admin/verify`, `admin/prune` and `tape/backup`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .history import Diary
from .model import DAY, Job, Store
from .schedule import next_run
from .sizes import Size
from .versions import Version

# What a job's own keys need of the server's version.
GATED = {
    "sync-direction": "sync-direction",
    "encrypted-only": "sync-filters",
    "verified-only": "sync-filters",
    "run-on-mount": "removable",
    "unmount-on-done": "unmount-on-done",
    "worker-threads": "sync-workers",
    "active-encryption-key": "sync-encryption",
    "associated-key": "sync-encryption",
    "read-threads": "verify-threads",
    "verify-threads": "verify-threads",
}

_SYNC_FAILED = "sync failed with some errors."
_VERIFY_FAILED = "verification failed - please check the log for details"


@dataclass(frozen=True)
class Last:
    """When a run began before now, how long it took (None: it still runs) and how it ended."""

    ago: int
    took: int | None
    status: str | None


# In turn: good, warned, failed in words without "error", died, never ran.
_OUTCOMES = ("OK", "WARNINGS: 2", "connection closed before message completed", "unknown", None)


def build_jobs(size: Size, stores: dict[str, Store], diary: Diary, now: int) -> list[Job]:
    jobs = [*_syncs(size.sync, stores, diary, now), *_verifies(size.verify, stores, diary, now)]
    jobs += _prunes(size.prune, stores, diary, now)
    tape = Job("tape", "t-weekly", "main", "", {"pool": "weekly", "drive": "lto8-a"}, "sat 20:00")
    _ran(tape, Last(4 * DAY, 7200, "OK"), "tape-backup-job", "main:weekly:lto8-a:t-weekly", diary, now)
    return [*jobs, tape]


def row(job: Job, version: Version, now: int) -> dict[str, Any]:
    """As the lists tell it: never ran tells no last-run key at all, running now the UPID alone."""
    told: dict[str, Any] = {"id": job.id, "store": job.store}
    for key, value in job.fields.items():
        if key not in GATED or version.has(GATED[key]):
            told[key] = value
    if job.schedule is not None:
        told["schedule"] = job.schedule
    if job.schedule is not None and not job.disabled:
        told["next-run"] = next_run(job.schedule, now)
    if job.upid is not None:
        told["last-run-upid"] = job.upid
    if job.end is not None:
        told |= {"last-run-state": job.state, "last-run-endtime": job.end}
    return told


def worker_id(job: Job) -> str:
    """What PBS puts into the task of this job's run."""
    if job.kind == "sync":
        return f"{job.fields.get('remote', '-')}:{job.fields['remote-store']}:{job.store}:{job.ns}:{job.id}"
    if job.kind == "verify":
        return f"{job.store}:{job.id}"
    if job.kind == "prune":
        return f"{job.store}:{job.ns}" if job.ns else job.store
    return f"{job.store}:{job.fields['pool']}:{job.fields['drive']}:{job.id}"


WORKERS = {"sync": "syncjob", "verify": "verificationjob", "prune": "prunejob", "tape": "tape-backup-job"}


def _ran(job: Job, last: Last, worker_type: str, wid: str, diary: Diary, now: int) -> None:
    start = now - last.ago
    end = start + last.took if last.took is not None else None
    task = diary.add(start, end, last.status, worker_type, wid)
    job.upid, job.end, job.state = task.upid, end, last.status


def _syncs(count: int, stores: dict[str, Store], diary: Diary, now: int) -> Iterator[Job]:
    known: list[tuple[str, str, str, dict[str, Any], str | None, Last | None]] = [
        ("s-0a1b2c3d", "main", "prod", _PULL, "*:20", Last(2400, None, None)),
        ("s-push-off", "main", "", _PUSH, "*-*-* 04:30", Last(11100, 90 * 60, _SYNC_FAILED)),
        ("s-local", "usb-rotate", "", _LOCAL, None, Last(6 * DAY, 600, "OK")),
    ]
    names = list(stores)
    for index in range(count - len(known)):
        fields: dict[str, Any] = {"remote": "dr-site", "remote-store": f"copy-{index}"}
        if index % 4 == 1:
            fields |= {"sync-direction": "push", "verified-only": True}
        status = _OUTCOMES[index % 5]
        last = Last(5 * 3600 + index * 60, 1200, status) if status else None
        known.append((f"s-{index:04}", names[index % len(names)], "", fields, "03:00", last))
    for name, store, ns, fields, schedule, last in known[:count]:
        own = ({"ns": ns} if ns else {}) | fields
        job = Job("sync", name, store if store in stores else "main", ns, own, schedule)
        if last is not None:
            _ran(job, last, "syncjob", worker_id(job), diary, now)
        yield job


_PULL: dict[str, Any] = {
    "owner": "sync@pbs",
    "remote": "dr-site",
    "remote-store": "main",
    "remote-ns": "prod",
    "remove-vanished": False,
    "comment": "pull from DR",
    "rate-in": "50 MiB",
}
_PUSH: dict[str, Any] = {
    "remote": "cloud",
    "remote-store": "vault",
    "sync-direction": "push",
    "encrypted-only": True,
    "transfer-last": 7,
    "worker-threads": 4,
}
_LOCAL: dict[str, Any] = {
    "remote-store": "main",
    "group-filter": ["type:vm", "exclude:group:vm/999"],
    "run-on-mount": True,
    "unmount-on-done": True,
}


def _verifies(count: int, stores: dict[str, Store], diary: Diary, now: int) -> Iterator[Job]:
    names = list(stores)
    for index in range(count):
        store = names[index % len(names)]
        fields: dict[str, Any] = {"ignore-verified": True, "outdated-after": 30, "comment": "nightly", "max-depth": 7}
        fields |= {"read-threads": 2, "verify-threads": 4}
        if index % len(names) == 1:
            # Twice a size at most: a job that never ran, for the root alone.
            yield Job("verify", f"v-new-{index}" if index > 1 else "v-new", store, "", {"ns": ""}, "sat 03:00")
            continue
        name = "v-daily" if index < len(names) else f"v-daily-{index}"
        job = Job("verify", name, store, "", fields, "05:00")
        status = _VERIFY_FAILED if index % 5 == 0 else "OK"
        # The newest 05:00 that is two hours past, so that the run is over.
        _ran(job, Last((now - 7 * 3600) % DAY + 2 * 3600, 4121, status), *_task(job), diary, now)
        yield job


def _prunes(count: int, stores: dict[str, Store], diary: Diary, now: int) -> Iterator[Job]:
    names = list(stores)
    for index in range(count):
        if index == 1:
            store = "archive" if "archive" in stores else "main"
            job = Job("prune", "p-archive", store, "", {"disable": True, "keep-yearly": 10}, "monthly", disabled=True)
            _ran(job, Last(20 * DAY, 0, "unknown"), *_task(job), diary, now)
            yield job
            continue
        fields: dict[str, Any] = {"comment": "prod retention", "keep-last": 3, "keep-daily": 14, "keep-weekly": 8}
        fields["keep-monthly"] = 12
        if index:
            job = Job("prune", f"p-{index:04}", names[index % len(names)], "", {"keep-last": 3 + index}, "04:00")
        else:
            job = Job("prune", "p-prod", "main", "prod", fields | {"ns": "prod", "max-depth": 7}, "04:00")
        status = "WARNINGS: 2" if index == 0 else _OUTCOMES[index % 5]
        if status:
            _ran(job, Last(4 * 3600, 38, status), *_task(job), diary, now)
        yield job


def _task(job: Job) -> tuple[str, str]:
    return WORKERS[job.kind], worker_id(job)
