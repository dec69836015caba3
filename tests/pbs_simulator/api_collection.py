"""Endpoints about garbage collection.

Counters and `upid` are of the last success, `last-run-*` of the last run of any outcome; `duration` is PBS's own sum,
wrong by days after a failed run, and while one runs all last-run keys are gone.
"""

from __future__ import annotations

from typing import Any

from .call import Call, Route, acl_path, store_named, unavailable
from .model import Store
from .schedule import next_run
from .versions import Version

_NEVER = {
    "upid": None,
    "index-file-count": 0,
    "index-data-bytes": 0,
    "disk-bytes": 0,
    "disk-chunks": 0,
    "removed-bytes": 0,
    "removed-chunks": 0,
    "pending-bytes": 0,
    "pending-chunks": 0,
    "removed-bad": 0,
    "still-bad": 0,
}


def counters_of(store: Store, version: Version) -> dict[str, Any]:
    success = store.collection.success
    if success is None:
        return dict(_NEVER)
    cached = {"cache-stats": {"hits": 182733410, "misses": 4120553}} if version.has("gc-cache-stats") else {}
    return success | cached


def collection_row(store: Store, version: Version, now: int) -> dict[str, Any]:
    gc = store.collection
    row: dict[str, Any] = {"store": store.name} | counters_of(store, version)
    if gc.schedule is not None:
        row |= {"schedule": gc.schedule, "next-run": next_run(gc.schedule, now)}
    if gc.end is not None and not gc.running:
        row |= {"last-run-endtime": gc.end, "last-run-state": gc.state}
        if gc.success is not None:
            row["duration"] = gc.end - gc.success_start
    return row


def _all(call: Call) -> Any:
    world = call.world
    return [
        collection_row(store, world.version, world.now)
        for store in world.stores.values()
        if call.allows(acl_path(store.name), "Datastore.Audit") and unavailable(world, store) is None
    ]


def _one(call: Call) -> Any:
    return collection_row(store_named(call), call.world.version, call.world.now)


ROUTES = (
    Route("admin/gc", _all, {"store": "text"}),
    Route("admin/datastore/{store}/gc", _one, needs=("/datastore/{store}", "Datastore.Audit")),
)
