"""Endpoints about datastores: usage, lists, configuration, state, namespaces, groups, snapshots.

Outside format: sheet of PBS facts, section 4.2, with what 3.2, 3.3 and 4.0.17 changed.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator
from typing import Any

from . import refusal
from .api_collection import counters_of
from .call import (
    Call,
    Listing,
    Route,
    Told,
    acl_path,
    backend_type,
    is_absent,
    mount_status,
    store_named,
    unavailable,
)
from .compact import compact
from .model import Group, Store
from .snapshots import file_names


def _usage(call: Call) -> Any:
    rows = []
    for store in call.world.stores.values():
        if call.allows_store(store.name):
            rows.append(_full_usage(call, store))
        elif call.sees_any_namespace(store):
            rows.append({"store": store.name} | mount_status(call.world, store) | backend_type(call.world, store))
    return rows


def _full_usage(call: Call, store: Store) -> dict[str, Any]:
    world = call.world
    row: dict[str, Any] = {"store": store.name}
    trouble = unavailable(world, store)
    if trouble is not None:
        row |= mount_status(world, store)
        if not is_absent(world, store) or store.maintenance is not None:
            row["error"] = trouble
        return row | backend_type(world, store)
    row |= {"total": store.total, "used": store.used, "avail": store.total - store.used}
    row |= mount_status(world, store)
    if store.backend != "s3":
        row |= _history(call, store)
    row["gc-status"] = counters_of(store, world.version)
    return row | backend_type(world, store)


def _history(call: Call, store: Store) -> dict[str, Any]:
    now = call.world.now
    rng = random.Random(f"{call.world.seed} {store.name}")
    share = store.used / store.total
    points: list[float | None] = [round(share - (13 - index) * 0.0011 * rng.random(), 4) for index in range(14)]
    points[2] = None
    if store.removable:
        # Seldom there, so there are too few points to look ahead from.
        return {"history": points[:5], "history-start": now - now % 1800 - 4 * 1800, "history-delta": 1800}
    row: dict[str, Any] = {"history": points, "history-start": now - now % 1800 - 13 * 1800, "history-delta": 1800}
    if store.full_at is not None:
        row["estimated-full-date"] = store.full_at
    return row


def _list(call: Call) -> Any:
    world = call.world
    rows = []
    for store in world.stores.values():
        if not (call.allows_store(store.name) or call.sees_any_namespace(store)):
            continue
        row: dict[str, Any] = {"store": store.name, "comment": store.comment} | mount_status(world, store)
        if store.maintenance is not None:
            row["maintenance"] = _maintenance(store.maintenance)
        rows.append(row | backend_type(world, store))
    return rows


def _maintenance(mode: tuple[str, str]) -> str:
    kind, message = mode
    return f'type={kind},message="{message}"' if message else kind


def _config(call: Call) -> Any:
    world = call.world
    rows = []
    for store in world.stores.values():
        if not call.allows(acl_path(store.name), "Datastore.Audit"):
            continue
        row: dict[str, Any] = {"name": store.name, "path": f"/mnt/datastore/{store.name}"}
        row |= {"comment": store.comment} if store.comment else {}
        row |= {"gc-schedule": store.collection.schedule} if store.collection.schedule else {}
        row |= {"verify-new": store.name == "main", "notification-mode": "notification-system"}
        if store.maintenance is not None:
            row["maintenance-mode"] = _maintenance(store.maintenance)
        if store.removable and world.version.has("removable"):
            row["backing-device"] = "b2c4d6e8-1357-4a5b-8c9d-0e1f2a3b4c5d"
        if store.backend == "s3" and world.version.has("s3"):
            row["backend"] = f"type=s3,client=eu,bucket=pbs-{store.name}"
        rows.append(row)
    digest = hashlib.sha256(json.dumps(rows).encode()).hexdigest()
    return Told(rows, {"digest": digest})


def _status(call: Call) -> Any:
    name, world = call.place["store"], call.world
    known = world.stores.get(name)
    full = call.allows_store(name)
    if not full and (known is None or not call.sees_any_namespace(known)):
        raise refusal.invisible()
    store = store_named(call)
    if not full:
        return {"total": 0, "used": 0, "avail": 0} | backend_type(world, store)
    row: dict[str, Any] = {"total": store.total, "used": store.used, "avail": store.total - store.used}
    if call.params.get("verbose"):
        row |= {"gc-status": counters_of(store, world.version), "counts": _counts(call, store)}
    row |= backend_type(world, store)
    if store.backend == "s3" and world.version.has("s3-statistics"):
        row["s3-statistics"] = {
            "downloaded": 98412307456,
            "uploaded": 1834072113152,
            "get": 231904,
            "post": 118,
            "put": 1290441,
            "head": 40217,
            "delete": 8811,
        }
    return row


def _counts(call: Call, store: Store) -> dict[str, Any]:
    counts: dict[str, Any] = {kind: {"groups": 0, "snapshots": 0} for kind in ("ct", "host", "vm")}
    for group in store.every_group():
        counts[group.kind]["groups"] += 1
        counts[group.kind]["snapshots"] += call.world.count(group)
    return counts | {"other": None}


def _namespaces(call: Call) -> Any:
    store = store_named(call)
    parent, depth = call.params.get("parent", ""), call.params.get("max-depth", 7)
    if parent not in store.namespaces:
        raise refusal.bad_request("ENOENT: No such file or directory")
    rows = []
    for ns, comment in store.namespaces.items():
        below = ns if not parent else ns.removeprefix(parent).lstrip("/")
        inside = not parent or ns == parent or ns.startswith(parent + "/")
        if not inside or (below.count("/") + 1 if below else 0) > depth:
            continue
        if call.allows_store(store.name, ns):
            rows.append({"ns": ns} | ({"comment": comment} if comment else {}))
    if not rows:
        raise refusal.invisible()
    return rows


def _wanted_groups(call: Call) -> tuple[Store, list[Group]]:
    """The groups of the namespace that was named, or what PBS says instead."""
    name, ns = call.place["store"], call.params.get("ns", "")
    path = acl_path(name, ns)
    if not call.allows_store(name, ns):
        raise refusal.missing("Datastore.Audit|Datastore.Backup", path)
    store = store_named(call)
    if ns not in store.namespaces:
        raise refusal.bad_request("ENOENT: No such file or directory")
    groups = list(store.groups.get(ns, {}).values())
    if not call.allows(path, "Datastore.Audit"):
        groups = [group for group in groups if call.owns(group.owner)]
    return store, groups


def _groups(call: Call) -> Any:
    _, groups = _wanted_groups(call)
    cheap = call.world.version.has("cheap-groups")
    if not cheap:
        groups = [group for group in groups if call.world.count(group)]
    opened = 0 if cheap else sum(call.world.count(group) for group in groups)
    return Listing(_group_rows(call, groups), groups=len(groups), snapshots=opened)


def _group_rows(call: Call, groups: list[Group]) -> Iterator[str]:
    world = call.world
    cheap = world.version.has("cheap-groups")
    for group in groups:
        snaps = world.deriving.ends(group)
        finished = [snap.time for snap in snaps if snap.finished]
        # Older servers take an unfinished upload for the last backup, in most orders of the directory.
        decided = finished if finished and (cheap or group.number % 4 == 3) else [snap.time for snap in snaps]
        row: dict[str, Any] = {
            "backup-type": group.kind,
            "backup-id": group.id,
            "last-backup": max(decided, default=0),
            "backup-count": world.count(group),
            "files": file_names(group, snaps),
        }
        row |= {"owner": group.owner} if group.owner is not None else {}
        row |= {"comment": group.comment} if group.comment is not None else {}
        yield compact(row)


def _snapshots(call: Call) -> Any:
    store, groups = _wanted_groups(call)
    kind, name = call.params.get("backup-type"), call.params.get("backup-id")
    groups = [group for group in groups if kind in (None, group.kind) and name in (None, group.id)]
    rows = (row for group in groups for row in call.world.deriving.rows(group, store.verify_job))
    return Listing(rows, groups=len(groups), snapshots=sum(call.world.count(group) for group in groups))


def _operations(call: Call) -> Any:
    store = store_named(call)
    running = [task for task in call.world.tasks.running if (task.worker_id or "").split(":")[0] == store.name]
    return {"read": len(running), "write": sum(task.worker_type == "backup" for task in running)}


def _rrd(call: Call) -> Any:
    store = store_named(call)
    now = call.world.now - call.world.now % 60
    return [{"time": now - step * 60, "total": store.total, "used": store.used} for step in range(70)]


_AUDIT = ("/datastore/{store}", "Datastore.Audit")
_NS_PARAMS = {"ns": "text"}
_GROUP_PARAMS = {"ns": "text", "backup-type": "type", "backup-id": "text"}

ROUTES = (
    Route("status/datastore-usage", _usage),
    Route("admin/datastore", _list),
    Route("config/datastore", _config),
    Route("admin/datastore/{store}/status", _status, {"verbose": "bool"}),
    Route("admin/datastore/{store}/namespace", _namespaces, {"parent": "text", "max-depth": "int"}),
    Route("admin/datastore/{store}/groups", _groups, _NS_PARAMS),
    Route("admin/datastore/{store}/snapshots", _snapshots, _GROUP_PARAMS),
    Route("admin/datastore/{store}/active-operations", _operations, needs=_AUDIT),
    Route("admin/datastore/{store}/rrd", _rrd, {"timeframe": "text", "cf": "text"}, (*_AUDIT, "Datastore.Backup")),
)
