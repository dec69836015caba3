"""What a collector should find out, told from the inside: `/truth`.

Made from the world and never from an answer's body, so that a body that lies is found out. Rules are those of the
facts sheet, section 6. `readable` says whether the monitor's token can see it at all.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from .acl import Access
from .api_collection import counters_of
from .call import NS_PRIVILEGES, acl_path, is_absent, unavailable
from .jobs import row as job_row
from .model import Group, Job, Store
from .snapshots import file_rows
from .tasks import Task, task_class
from .world import MONITOR, World


def truth(world: World) -> dict[str, Any]:
    return {
        "now": world.now,
        "version": str(world.version),
        "pin": world.certificate().pin,
        "groups": list(groups(world)),
        "stores": [_store(world, store) for store in world.stores.values()],
        "jobs": [_job(world, job) for job in world.jobs],
        "tasks": _tasks(world),
        "special": {name: [_key(group) for group in drawn] for name, drawn in world.special.items()},
    }


def groups(world: World) -> Iterator[dict[str, Any]]:
    """Every group that the server's version lists."""
    backups = _backups(world)
    places = Counter((group.store, group.name) for group in world.groups())
    for store in world.stores.values():
        reads = {ns: _readable(world, store, ns) for ns in store.namespaces}
        for group in store.every_group():
            if world.count(group) or world.version.has("cheap-groups"):
                tasks = backups.get((group.store, group.ns, group.name), [])
                shared = places[group.store, group.name] > 1
                yield _group(world, group, tasks, readable=reads[group.ns], shared=shared)


def _group(world: World, group: Group, tasks: list[Task], *, readable: bool, shared: bool) -> dict[str, Any]:
    snaps = sorted(world.deriving.snapshots(group), reverse=True)
    finished = [snap for snap in snaps if snap.finished]
    good = next((snap for snap in finished if snap.verify != "failed"), None)
    newest = finished[0] if finished else None
    upload = next((snap for snap in snaps if not snap.finished), None)
    since = good.time if good else 0
    ends = {task.start: task.end for task in tasks if task.end is not None}
    verified = next((snap for snap in finished if snap.verify == "ok"), None)
    return _key(group) | {
        "readable": readable,
        "owner": group.owner,
        "comment": group.comment,
        "newest_comment": newest.comment if newest else None,
        "rows": len(snaps),
        "finished": len(finished),
        "oldest": finished[-1].time if finished else None,
        "last_complete": newest.time if newest else None,
        "last_good": good.time if good else None,
        "last_good_end": ends.get(good.time, good.time) if good else None,
        "last_verified": verified.time if verified else None,
        "last_verified_at": verified.verified_at if verified else None,
        "verify_state": (newest.verify or "none") if newest else None,
        "verify_at": newest.verified_at if newest else None,
        "failed_verifications": sum(snap.verify == "failed" for snap in finished),
        "protected": sum(snap.protected for snap in finished),
        "size": file_rows(group)[1] if newest else None,
        "encrypted": group.crypt == "encrypt" if newest else None,
        "unfinished": upload.time if upload else None,
        "in_progress": upload is not None and group.upload == "running",
        "failed_attempts": sum(task.kind in ("error", "unknown") and task.start > since for task in tasks),
        "shared_id": shared,
        "interval": _interval([snap.time for snap in finished]),
    }


def _interval(times: list[int]) -> int | None:
    """The median gap of the last eight finished snapshots, an hour at least."""
    gaps = sorted(newer - older for newer, older in pairwise(times[:8]))
    if not gaps:
        return None
    middle = len(gaps) // 2
    median = gaps[middle] if len(gaps) % 2 else (gaps[middle - 1] + gaps[middle]) // 2
    return max(3600, median)


def _backups(world: World) -> dict[tuple[str, str, str], list[Task]]:
    found: defaultdict[tuple[str, str, str], list[Task]] = defaultdict(list)
    for task in world.tasks.ordered():
        if task.worker_type == "backup" and task.worker_id:
            store, _, name = task.worker_id.partition(":")
            found[store, task.ns, name].append(task)
    return found


def _readable(world: World, store: Store, ns: str) -> bool:
    seen = world.access.allows(MONITOR, acl_path(store.name, ns), "Datastore.Audit")
    return seen and MONITOR in world.access.tokens and unavailable(world, store) is None


def _store(world: World, store: Store) -> dict[str, Any]:
    access, trouble = world.access, unavailable(world, store)
    audited = _allows(access, store.name)
    listed = audited or any(_allows(access, store.name, ns) for ns in store.namespaces)
    snapshots = sum(world.count(group) for group in store.every_group())
    gc = store.collection
    return {
        "store": store.name,
        "example_of": store.state,
        "listed": listed,
        "audited": audited,
        "available": trouble is None,
        "why_not": trouble,
        "absent": is_absent(world, store),
        "maintenance": store.maintenance[0] if store.maintenance else None,
        "removable": store.removable and world.version.has("removable"),
        "backend": store.backend,
        "total": store.total,
        "used": store.used,
        "avail": store.total - store.used,
        "estimated_full": store.full_at if audited and trouble is None else None,
        "capacity_known": audited and trouble is None,
        "namespaces": sorted(store.namespaces),
        "readable_namespaces": sorted(ns for ns in store.namespaces if _readable(world, store, ns)),
        "groups": len(store.every_group()),
        "snapshots": snapshots,
        "gc": {
            "running": gc.running,
            "last_start": gc.start,
            "last_end": gc.end,
            "class": task_class(gc.state) if gc.state is not None else None,
            "success_start": gc.success_start if gc.success else None,
            "counters": counters_of(store, world.version) if gc.success else None,
        },
    }


def _allows(access: Access, store: str, ns: str = "") -> bool:
    return access.allows(MONITOR, acl_path(store, ns), *NS_PRIVILEGES)


def _job(world: World, job: Job) -> dict[str, Any]:
    return {
        "kind": job.kind,
        "id": job.id,
        "store": job.store,
        "ns": job.ns,
        "direction": job.fields.get("sync-direction", "pull") if job.kind == "sync" else None,
        "remote": job.fields.get("remote"),
        "disabled": job.disabled,
        "running": job.running,
        "ran": job.upid is not None,
        "class": task_class(job.state) if job.end is not None else None,
        "last_end": job.end,
        "next_run": job_row(job, world.version, world.now).get("next-run"),
    }


def _tasks(world: World) -> dict[str, Any]:
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    ends: dict[str, int] = {}
    for task in world.tasks.finished:
        counts[task.worker_type][task.kind] += 1
        ends[task.worker_type] = max(ends.get(task.worker_type, 0), task.end or 0)
    running = Counter(task.worker_type for task in world.tasks.running)
    latest: dict[tuple[str, str], Task] = {}
    for task in world.tasks.finished:
        latest[task.worker_type, _without_time(task.worker_id)] = task
    last = [
        {"worker_type": kind, "worker_id": worker, "class": task.kind, "start": task.start, "end": task.end}
        for (kind, worker), task in latest.items()
    ]
    return {
        "latest": last,
        "finished": {kind: dict(by) for kind, by in counts.items()},
        "running": dict(running),
        "last_end": ends,
    }


def _without_time(worker_id: str | None) -> str:
    """What a reader or verify task worked on, without the snapshot's time."""
    return re.sub(r"/[0-9A-F]{8}$", "", worker_id or "")


def _key(group: Group) -> dict[str, str]:
    return {"store": group.store, "ns": group.ns, "type": group.kind, "id": group.id}
