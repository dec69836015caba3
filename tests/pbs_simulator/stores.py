"""Builds the stores of a server with their namespaces and groups: `build_stores` is where a world's content begins.

Takes a size, a seed and the first moment; the same three give the same stores. Groups are spread so that the stores
that can be read hold nearly all of them.
"""

from __future__ import annotations

import random

from .mix import Mix
from .model import DAY, Collection, Group, Store
from .sizes import SPARSE, Size, store_names
from .snapshots import daily_number
from .upid import upid

DEEP = "a/b/c/d/e/f/g"  # as deep as PBS allows
OWNERS = ("pve@pbs!cluster1", "pve@pbs!cluster2")
NODES = ("node1", "node2", "node3")
NAMESPACES = ("", "prod", "prod/cluster1", "lab", "prod/cluster2")


def build_stores(size: Size, seed: int, now: int) -> tuple[dict[str, Store], dict[str, list[Group]]]:
    """The stores by name, and the groups that something was drawn for."""
    rng = random.Random(seed)
    stores = {
        name: _store(name, state, size.namespaces, index, now)
        for index, (name, state) in enumerate(store_names(size))
    }
    groups = _groups(size, stores, rng, now)
    mix = Mix(rng, groups, {store.name: store.state for store in stores.values()}, now)
    mix.draw()
    _spread_rows(groups, size.snapshots, {name for name in stores if stores[name].state in SPARSE})
    for group in groups:
        stores[group.store].groups.setdefault(group.ns, {})[group.kind, group.id] = group
    return stores, mix.special


def _store(name: str, state: str, namespaces: int, index: int, now: int) -> Store:
    total = 11995460239360 + index * (1 << 40)
    store = Store(
        name, state, _COMMENTS.get(state), total, int(total * (0.35 + index * 7 % 50 / 100)), Collection("02:00")
    )
    if state.startswith("s3"):
        store.backend, store.total, store.used = "s3", 536870912000, 212600881152
        store.collection.schedule = "daily"
    store.removable = state in ("removable", "absent")
    store.mounted = state != "absent"
    if state == "offline":
        store.maintenance = ("offline", "replacing disk 3")
    if state in ("read-only", "s3-read-only"):
        store.maintenance = ("read-only", "bucket migration")
    names = list(NAMESPACES[:namespaces]) + [f"tenant-{number}" for number in range(len(NAMESPACES), namespaces)]
    if state == "one-namespace":
        names = ["/".join(DEEP.split("/")[:depth]) for depth in range(8)]
    store.namespaces = {ns: ("virtual machines of production" if ns == "prod" else None) for ns in names}
    if store.backend != "s3" and not store.removable:
        grows = now + 300 * DAY + index * 7 * DAY
        store.full_at = 0 if state == "read-only" else now - 30 * DAY if index % 9 == 8 else grows
    _collected(store, index, now)
    return store


_COMMENTS = {
    "ordinary": "primary pool, ZFS raidz2",
    "s3": "bucket eu-central, 500G cache",
    "s3-read-only": "bucket eu-central, 500G cache",
    "offline": "yearly",
}


def _collected(store: Store, index: int, now: int) -> None:
    """Past garbage collections: most were good, S3's last one failed, two stores never saw one."""
    if store.state in ("absent", "one-namespace"):
        store.collection.schedule = "sat 18:15"
        return
    gc = store.collection
    start = now - now % DAY + 2 * 3600
    if store.backend == "s3":
        gc.start, gc.end, gc.state = (
            start,
            start + 72,
            "failed to list objects - client error (Connect): operation timed out",
        )
        start -= DAY
    else:
        gc.start, gc.end, gc.state = start, start + 5400, "OK"
    gc.success_start = start
    gc.success = counters(store, start, index)


def counters(store: Store, start: int, turn: int) -> dict[str, int | str]:
    """What a successful garbage collection leaves behind."""
    disk = store.used if store.backend == "filesystem" else 1979120929996
    removed = 0 if store.backend == "s3" else 48318382080 + turn * 4096
    return {
        "upid": upid(daily_number(start), start, "garbage_collection", store.name, "root@pam"),
        "index-file-count": 2114 + turn,
        "index-data-bytes": disk * 13,
        "disk-bytes": disk,
        "disk-chunks": disk // 1_900_000,
        "removed-bytes": removed,
        "removed-chunks": removed // 1_600_000,
        "pending-bytes": 9663676416,
        "pending-chunks": 5120,
        "removed-bad": 0,
        "still-bad": 3 if turn % 10 == 5 else 0,
    }


def _groups(size: Size, stores: dict[str, Store], rng: random.Random, now: int) -> list[Group]:
    kinds = ["vm"] * round(size.groups * 0.6) + ["ct"] * round(size.groups * 0.3)
    kinds += ["host"] * (size.groups - len(kinds))
    rng.shuffle(kinds)
    places = _places(size.groups, stores)
    groups = []
    for number, (kind, (store, ns)) in enumerate(zip(kinds, places, strict=True), 100):
        chance = rng.random()
        interval = DAY if chance < 0.8 else DAY // 2 if chance < 0.9 else 7 * DAY
        # Enough guests are saved in the first hour of the night for two of five tasks to begin there.
        slot = rng.randrange(3600) if number % 25 < 12 else rng.randrange(3600, DAY)
        newest = now - now % DAY + slot
        if newest > now - 3600:
            newest -= DAY
        group = Group(store, ns, kind, str(number), number, newest, interval, 1, _owner(kind, number))
        if kind == "host":
            group.id, group.comment = f"web-{number}.example.lan", "file server"
        elif number % 10:
            group.guest = f"guest{number}.example.lan, {NODES[number % 3]}, {number}"
            group.comment = "kept for the auditors" if number % 7 == 0 else None
        groups.append(group)
    return groups


def _owner(kind: str, number: int) -> str:
    return "nas@pbs" if kind == "host" else OWNERS[number % 5 == 0]


def _places(groups: int, stores: dict[str, Store]) -> list[tuple[str, str]]:
    """A store and namespace for each group; every namespace gets its turn."""
    weights = {store.name: 1 if store.state in SPARSE else 20 for store in stores.values()}
    whole, seen, passed = sum(weights.values()), 0, 0
    places = []
    for store in stores.values():
        passed += weights[store.name]
        share = groups * passed // whole - seen
        seen += share
        names = list(store.namespaces)
        # The deep store keeps what it has at the bottom, where its one right is.
        if store.state == "one-namespace":
            names = [DEEP, DEEP, "", "a"]
        places += [(store.name, names[index % len(names)]) for index in range(share)]
    return places


def _spread_rows(groups: list[Group], snapshots: int, sparse: set[str]) -> None:
    """Give each group its number of snapshots; together exactly as many as asked for."""
    filled = [group for group in groups if group.rows]
    for group in filled:
        group.rows = 2
    only = next((g for g in filled if g.upload == "aborted"), None) if len(groups) >= 100 else None
    if only is not None:
        only.rows = 1  # nothing but an upload that broke off
    shared = [group for group in filled if group is not only]
    left = snapshots - sum(group.rows for group in filled)
    weights = [(1 if group.store in sparse else 50) + group.number * 37 % 50 for group in shared]
    whole, given, passed = sum(weights), 0, 0
    for group, weight in zip(shared, weights, strict=True):
        passed += weight
        share = left * passed // whole - given
        given += share
        group.rows += share
