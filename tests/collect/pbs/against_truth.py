"""What a collector derived, compared with what the simulator knows from the inside."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from lastgood.model.pbs import Datastore, Group, Job, PbsPicture, Snapshot, Verification
from lastgood.tools.pbs.tasks import KEPT

CLASSES = {"ok": "OK", "warning": "WARNINGS", "error": "ERROR", "unknown": "unknown"}


def differences(picture: PbsPicture, truth: dict[str, Any]) -> list[str]:
    """One line for each thing that is not so."""
    return [*_groups(picture, truth), *_stores(picture, truth), *_jobs(picture, truth), *_tasks(picture, truth)]


def _groups(picture: PbsPicture, truth: dict[str, Any]) -> list[str]:
    up = {name for name, store in picture.datastores.items() if store.up}
    ours = {_key(group): group for group in picture.groups.values() if group.store in up}
    told = {(g["store"], g["ns"], g["type"], g["id"]): g for g in truth["groups"] if g["readable"]}
    wrong = [f"{key} is there, and should not be" for key in ours.keys() - told.keys()]
    wrong += [f"{key} is missing" for key in told.keys() - ours.keys()]
    for key in ours.keys() & told.keys():
        wrong += _group(ours[key], told[key], truth["now"])
    return wrong


def _group(group: Group, told: dict[str, Any], now: int) -> list[str]:
    newest = group.last_complete
    is_future = (told["last_complete"] or 0) > now
    expected: dict[str, Any] = {
        "owner": (group.owner, told["owner"]),
        "comment": (group.comment, told["comment"]),
        "finished": (group.finished, told["finished"]),
        "oldest": (_epoch(group.oldest_at), told["oldest"]),
        "unfinished": (_epoch(group.unfinished_at), told["unfinished"]),
    }
    if len(group.snapshots) == group.finished:
        expected |= {
            "protected": (sum(snapshot.protected for snapshot in group.snapshots), told["protected"]),
            "failed verifications": (
                sum(snapshot.verification is Verification.FAILED for snapshot in group.snapshots),
                told["failed_verifications"],
            ),
        }
    if is_future:
        # It does not count, whatever it says: only that nothing of the future does is to be seen.
        assert newest is None or newest.backup_at.timestamp() <= now
    else:
        expected |= {
            "last complete": (_at(newest), told["last_complete"]),
            "newest comment": (newest.comment if newest else None, told["newest_comment"]),
            "size": (newest.size_bytes if newest else None, told["size"]),
            "encrypted": (newest.encrypted if newest else None, told["encrypted"]),
            "verify state": (newest.verification.value if newest else None, told["verify_state"]),
            "verify at": (_epoch(newest.verified_at) if newest else None, told["verify_at"]),
            "last good": (_at(group.last_good), told["last_good"]),
            "last verified": (_at(group.last_verified), told["last_verified"]),
            "interval": (group.expected_seconds, told["interval"]),
        }
        if not told["shared_id"]:
            expected["uploading"] = (group.uploading, told["in_progress"])
            expected["failed attempts"] = (group.failed_attempts, told["failed_attempts"])
            if told["last_good"] is not None and now - told["last_good"] < KEPT.total_seconds():
                expected["last good end"] = (_epoch(group.last_good_end_at), told["last_good_end"])
    return [
        f"{_key(group)}: {name} is {ours}, not {right}" for name, (ours, right) in expected.items() if ours != right
    ]


def _stores(picture: PbsPicture, truth: dict[str, Any]) -> list[str]:
    wrong = []
    for told in truth["stores"]:
        store = picture.datastores.get(told["store"])
        if store is None:
            if told["listed"]:
                wrong.append(f"the datastore {told['store']} is missing")
            continue
        wrong += [f"{store.name}: {line}" for line in _store(store, told, truth["now"])]
    return wrong


def _store(store: Datastore, told: dict[str, Any], now: int) -> list[str]:
    known = told["capacity_known"]
    full = told["estimated_full"]
    expected: dict[str, Any] = {
        "total": (store.total_bytes, told["total"] if known else None),
        "used": (store.used_bytes, told["used"] if known else None),
        "available": (store.available_bytes, told["avail"] if known else None),
        "maintenance": (store.maintenance, told["maintenance"]),
        "full": (_epoch(store.full_at), full if full is not None and full > now else None),
        "history": (store.history_known, full is not None),
    }
    if told["available"] and told["listed"]:
        expected["up"] = (store.up, True)
        unreadable = set(told["namespaces"]) - set(told["readable_namespaces"])
        expected["readable"] = (
            sorted(set(store.namespaces or ()) - set(store.unreadable_namespaces)),
            told["readable_namespaces"],
        )
        assert set(store.unreadable_namespaces) <= unreadable
    else:
        expected["up"] = (store.up, False)
    if told["audited"] and told["available"]:
        gc, right = store.gc, told["gc"]
        counters = right["counters"] or {}
        expected |= {
            "gc running": (gc.running if gc else False, right["running"]),
            "gc end": (_epoch(gc.ended_at) if gc else None, right["last_end"]),
            "gc status": (gc.status if gc else None, CLASSES.get(right["class"] or "")),
            "gc removed": (gc.removed_bytes if gc else None, counters.get("removed-bytes")),
            "gc pending": (gc.pending_bytes if gc else None, counters.get("pending-bytes")),
            "gc still bad": (gc.still_bad if gc else None, counters.get("still-bad")),
            "gc disk": (gc.disk_bytes if gc else None, counters.get("disk-bytes")),
        }
        if right["last_end"] is not None:
            took = right["last_end"] - right["last_start"]
            expected["gc took"] = (gc.took_seconds if gc else None, took)
    return [f"{name} is {ours}, not {right}" for name, (ours, right) in expected.items() if ours != right]


def _jobs(picture: PbsPicture, truth: dict[str, Any]) -> list[str]:
    ours = {(job.kind, job.id): job for job in picture.jobs or () if job.kind != "gc"}
    listed = {store["store"] for store in truth["stores"] if store["audited"]}
    named = Counter((job["kind"], job["id"]) for job in truth["jobs"])
    told = {(job["kind"], job["id"]): job for job in truth["jobs"] if job["store"] in listed}
    # Where the simulator has one id twice, which a server never has, only one of them is read.
    told = {key: job for key, job in told.items() if named[key] == 1}
    if truth["version"] == "3.2.4":
        told = {key: job for key, job in told.items() if job["direction"] != "push"}  # not before 3.2.13
    ours = {key: job for key, job in ours.items() if named[key] <= 1}
    wrong = [f"the job {key} is missing" for key in told.keys() - ours.keys()]
    wrong += [f"the job {key} is there, and should not be" for key in ours.keys() - told.keys()]
    for key in ours.keys() & told.keys():
        wrong += _job(ours[key], told[key])
    return wrong


def _job(job: Job, told: dict[str, Any]) -> list[str]:
    expected: dict[str, Any] = {
        "running": (job.running, told["running"]),
        "enabled": (job.enabled, not told["disabled"]),
        "direction": (job.direction, told["direction"]),
        "remote": (job.remote, told["remote"]),
        "next run": (_epoch(job.next_run_at), told["next_run"]),
    }
    if not job.running:  # the server forgets, while it runs, how it ended before; we do not
        expected["status"] = (job.status, CLASSES.get(told["class"] or ""))
        expected["end"] = (_epoch(job.ended_at), told["last_end"])
    return [f"{job.kind} {job.id}: {name} is {ours}, not {r}" for name, (ours, r) in expected.items() if ours != r]


def _tasks(picture: PbsPicture, truth: dict[str, Any]) -> list[str]:
    told, edge = truth["tasks"], truth["now"] - KEPT.total_seconds()
    recent = {(row["worker_type"], row["worker_id"]): row for row in told["latest"] if row["start"] >= edge}
    there = {("backup", f"{group['store']}:{group['type']}/{group['id']}") for group in truth["groups"]}
    # What is told of a group that is gone goes with it.
    recent = {key: row for key, row in recent.items() if key[0] != "backup" or key in there}
    ours = {
        key: (CLASSES_BACK[task.status.value], _epoch(task.started_at), _epoch(task.ended_at))
        for key, task in picture.tasks.last.items()
        if key[0] != "backup" or key in there
    }
    right = {key: (row["class"], row["start"], row["end"]) for key, row in recent.items()}
    wrong = [
        f"the task {key} is {ours.get(key)}, not {right.get(key)}"
        for key in ours.keys() | right.keys()
        if ours.get(key) != right.get(key)
    ]
    running: dict[str, int] = {}
    for (kind, _), count in picture.tasks.running.items():
        running[kind] = running.get(kind, 0) + count
    running = {kind: count for kind, count in running.items() if count}
    if running != told["running"]:
        wrong.append(f"running is {running}, not {told['running']}")
    for kind in {key[0] for key in recent}:
        if _epoch(picture.tasks.last_ended_at.get(kind)) != told["last_end"][kind]:
            wrong.append(
                f"the last end of {kind} is {picture.tasks.last_ended_at.get(kind)}, not {told['last_end'][kind]}"
            )
    return wrong


CLASSES_BACK = {ours: theirs for theirs, ours in CLASSES.items()}


def _key(group: Group) -> tuple[str, str, str, str]:
    return group.store, group.namespace, group.type, group.backup_id


def _at(snapshot: Snapshot | None) -> int | None:
    return _epoch(snapshot.backup_at) if snapshot is not None else None


def _epoch(at: datetime | None) -> int | None:
    return int(at.timestamp()) if at is not None else None
