"""The truth once more, the slow and simple way, from nothing but answers: what a correct collector derives.

Written from the facts sheet, section 6, and from no line of the simulator; `test_truth.py` compares the two.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from .asking import Answer, store_path

Get = Callable[[str], Answer]

NOT_ENCRYPTED = ("index.json.blob", "client.log.blob")


def every_group(get: Get) -> dict[tuple[str, str, str, str], dict[str, Any]]:
    """What is known of each group that can be read."""
    tasks = get("nodes/localhost/tasks?limit=0").data
    backups = [task for task in tasks if task["worker_type"] == "backup"]
    found: dict[tuple[str, str, str, str], dict[str, Any]] = {}
    for store in get("admin/datastore").data:
        name = store["store"]
        namespaces = get(store_path(name, "namespace"))
        if namespaces.status != 200:
            continue
        for row in namespaces.data:
            ns = row["ns"]
            groups = get(store_path(name, "groups", ns=ns))
            snapshots = get(store_path(name, "snapshots", ns=ns)).data
            for group in groups.data:
                kind, ident = group["backup-type"], group["backup-id"]
                own = [snap for snap in snapshots if (snap["backup-type"], snap["backup-id"]) == (kind, ident)]
                ran = [task for task in backups if task["worker_id"] == f"{name}:{kind}/{ident}"]
                found[name, ns, kind, ident] = facts(group, own, ran)
    return found


def facts(group: dict[str, Any], snaps: list[dict[str, Any]], tasks: list[dict[str, Any]]) -> dict[str, Any]:
    snaps = sorted(snaps, key=lambda snap: int(snap["backup-time"]), reverse=True)
    finished = [snap for snap in snaps if "size" in snap]
    unfinished = [snap for snap in snaps if "size" not in snap]
    good = next((snap for snap in finished if _state(snap) != "failed"), None)
    verified = next((snap for snap in finished if _state(snap) == "ok"), None)
    newest = finished[0] if finished else None
    since = good["backup-time"] if good else 0
    ends = {task["starttime"]: task["endtime"] for task in tasks if "endtime" in task}
    return {
        "owner": group.get("owner"),
        "comment": group.get("comment"),
        "newest_comment": newest.get("comment") if newest else None,
        "rows": len(snaps),
        "finished": len(finished),
        "oldest": finished[-1]["backup-time"] if finished else None,
        "last_complete": _time(newest),
        "last_good": _time(good),
        "last_good_end": ends.get(good["backup-time"], good["backup-time"]) if good else None,
        "last_verified": _time(verified),
        "last_verified_at": _verified_at(verified) if verified else None,
        "verify_state": _state(newest) if newest else None,
        "verify_at": _verified_at(newest) if newest else None,
        "failed_verifications": sum(_state(snap) == "failed" for snap in finished),
        "protected": sum(snap["protected"] for snap in finished),
        "size": newest["size"] if newest else None,
        "encrypted": _encrypted(newest) if newest else None,
        "unfinished": _time(unfinished[0]) if unfinished else None,
        "in_progress": bool(unfinished) and any("endtime" not in task for task in tasks),
        "failed_attempts": sum(_failed(task) and task["starttime"] > since for task in tasks),
        "interval": _interval([snap["backup-time"] for snap in finished[:8]]),
    }


def _time(snap: dict[str, Any] | None) -> int | None:
    return int(snap["backup-time"]) if snap else None


def _state(snap: dict[str, Any]) -> str:
    return str(snap["verification"]["state"]) if "verification" in snap else "none"


def _verified_at(snap: dict[str, Any]) -> int | None:
    return int(snap["verification"]["upid"].split(":")[5], 16) if "verification" in snap else None


def _encrypted(snap: dict[str, Any]) -> bool:
    return all(file["crypt-mode"] == "encrypt" for file in snap["files"] if file["filename"] not in NOT_ENCRYPTED)


def _failed(task: dict[str, Any]) -> bool:
    status = task.get("status", "OK")
    return status != "OK" and not status.startswith("WARNINGS: ")


def _interval(times: list[int]) -> int | None:
    gaps = [newer - older for newer, older in pairwise(times)]
    return max(3600, int(statistics.median(gaps))) if gaps else None
