"""Events on groups, snapshots and namespaces.

From its first event on a group keeps its snapshots as a list. An event that in reality is a task also leaves that
task in the task list, for that is what a watcher has to go by.
"""

from __future__ import annotations

from typing import Any

from .model import Group, Snap, Store
from .refusal import Mistake
from .snapshots import daily_number
from .tasks import Task
from .world import World

Told = dict[str, Any]


def delete_group(world: World, told: Told) -> None:
    group = _group(world, told)
    del world.stores[group.store].groups[group.ns][group.kind, group.id]


def delete_snapshot(world: World, told: Told) -> None:
    """The newest, or that of ``time``, or ``"all"``; an empty group goes too unless it is kept."""
    group = _group(world, told)
    snaps = world.listed(group)
    if told.get("time") == "all":
        snaps.clear()
    elif snaps:
        snaps.remove(_snap(snaps, told))
    _settle(group)
    if not snaps and not told.get("keep_group"):
        delete_group(world, told)


def add_snapshot(world: World, told: Told) -> None:
    group = _group(world, told, create=True)
    time = int(told.get("time", world.now))
    _put(world, group, Snap(time, True, None, None, False, told.get("comment", group.guest)))
    _finished_task(world, group, time, told.get("status", "OK"))


def start_upload(world: World, told: Told) -> None:
    group = _group(world, told, create=True)
    time = int(told.get("time", world.now))
    _put(world, group, Snap(time, False, None, None, False, None))
    group.upload, group.upload_at = "running", time
    world.tasks.start(time, "backup", _worker(group), group.owner or "root@pam", group.ns)


def finish_upload(world: World, told: Told) -> None:
    group = _group(world, told)
    snaps = world.listed(group)
    old = _unfinished(snaps, group)
    snaps[snaps.index(old)] = old._replace(finished=True, comment=told.get("comment", group.guest))
    _end_running(world, group, old.time, "OK")
    _settle(group)


def abort_upload(world: World, told: Told) -> None:
    """With ``leave`` what was uploaded stays behind, as after a crash."""
    group = _group(world, told)
    snaps = world.listed(group)
    old = _unfinished(snaps, group)
    if not told.get("leave"):
        snaps.remove(old)
    _end_running(world, group, old.time, told.get("status", "backup ended but finish flag is not set."))
    _settle(group)


def fail_backup(world: World, told: Told) -> None:
    _finished_task(world, _group(world, told), world.now, told.get("status", "connection closed by peer"))


def verify(world: World, told: Told) -> None:
    """The newest finished snapshot, or that of ``time``, is found ok or failed; no count changes."""
    if told["state"] not in ("ok", "failed"):
        raise Mistake(f"a verification is ok or failed, not {told['state']!r}")
    group = _group(world, told)
    snaps = world.listed(group)
    old = _finished(snaps, told)
    snaps[snaps.index(old)] = old._replace(verify=told["state"], verified_at=world.now)
    store = world.stores[group.store]
    status = "OK" if told["state"] == "ok" else "verification failed - please check the log for details"
    task = Task(daily_number(world.now), world.now, "verificationjob", f"{store.name}:{store.verify_job}", "root@pam")
    world.tasks.running.append(task)
    world.tasks.finish(task, world.now, status)


def edit_comment(world: World, told: Told) -> None:
    _change(world, told, comment=told["comment"])


def protect(world: World, told: Told) -> None:
    _change(world, told, protected=bool(told["protected"]))


def edit_group_comment(world: World, told: Told) -> None:
    _group(world, told).comment = told["comment"]


def create_namespace(world: World, told: Told) -> None:
    store = store_of(world, told)
    parent = told["ns"].rpartition("/")[0]
    if told["ns"] in store.namespaces or parent not in store.namespaces:
        raise Mistake(f"{told['ns']!r} is there already, or its parent is not; create parents first")
    store.namespaces[told["ns"]] = None


def remove_namespace(world: World, told: Told) -> None:
    """With everything in and below it."""
    store = store_of(world, told)
    for ns in [ns for ns in store.namespaces if ns == told["ns"] or ns.startswith(told["ns"] + "/")]:
        del store.namespaces[ns]
        store.groups.pop(ns, None)


def store_of(world: World, told: Told) -> Store:
    store = world.stores.get(told["store"])
    if store is None:
        raise Mistake(f"there is no store {told['store']!r}; there are {', '.join(world.stores)}")
    return store


def _group(world: World, told: Told, *, create: bool = False) -> Group:
    store, ns = store_of(world, told), told.get("ns", "")
    key = (str(told["type"]), str(told["id"]))
    group = world.group(store.name, ns, *key)
    if group is None and create and ns in store.namespaces:
        number = 1_000_000 + len(world.groups())
        owner = told.get("owner", "pve@pbs!cluster1")
        group = Group(store.name, ns, *key, number, world.now, 86400, 0, owner, listed=[])
        store.groups.setdefault(ns, {})[key] = group
    if group is None:
        where = f"{store.name}/{ns}" if ns else store.name
        raise Mistake(f"there is no group {key[0]}/{key[1]} in {where}; /truth lists all groups")
    return group


def _snap(snaps: list[Snap], told: Told) -> Snap:
    time = told.get("time")
    found = max(snaps, default=None) if time is None else next((snap for snap in snaps if snap.time == time), None)
    if found is None:
        raise Mistake(f"the group has no snapshot of {time}; leave time out for the newest")
    return found


def _finished(snaps: list[Snap], told: Told) -> Snap:
    return _snap([snap for snap in snaps if snap.finished], told)


def _unfinished(snaps: list[Snap], group: Group) -> Snap:
    found = max((snap for snap in snaps if not snap.finished), default=None)
    if found is None:
        raise Mistake(f"nothing is being uploaded to {group.path}; start it with start-upload")
    return found


def _change(world: World, told: Told, **values: Any) -> None:
    snaps = world.listed(_group(world, told))
    old = _finished(snaps, told)
    snaps[snaps.index(old)] = old._replace(**values)


def _put(world: World, group: Group, snap: Snap) -> None:
    snaps = world.listed(group)
    if any(other.time == snap.time for other in snaps):
        raise Mistake(f"{group.path} has a snapshot of {snap.time} already; say another time")
    snaps.append(snap)
    snaps.sort(reverse=True)


def _settle(group: Group) -> None:
    if not any(not snap.finished for snap in group.listed or ()):
        group.upload = None
    elif group.upload == "running":
        group.upload = "aborted"


def _worker(group: Group) -> str:
    return f"{group.store}:{group.name}"


def _finished_task(world: World, group: Group, start: int, status: str) -> None:
    task = world.tasks.start(start, "backup", _worker(group), group.owner or "root@pam", group.ns)
    world.tasks.finish(task, max(start, world.now), status)


def _end_running(world: World, group: Group, start: int, status: str) -> None:
    for task in world.tasks.running:
        if (task.worker_type, task.worker_id, task.start) == ("backup", _worker(group), start):
            world.tasks.finish(task, world.now, status)
            return
