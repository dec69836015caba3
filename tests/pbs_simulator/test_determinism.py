"""One seed is one world: bodies are equal byte for byte, counts agree with lists, mixes have their shares."""

from __future__ import annotations

import pytest

from . import FULL, KNOWN, SIZES, Setting, Simulator, Version
from .asking import ask, session, store_path
from .model import DAY
from .world import World

PATHS = (
    "version",
    "nodes/localhost/status",
    "nodes/localhost/certificates/info",
    "status/datastore-usage",
    "admin/datastore",
    "config/datastore",
    "admin/gc",
    "admin/sync",
    "admin/verify",
    "admin/prune",
    "nodes/localhost/tasks?limit=0",
    "access/permissions",
    "status/metrics",
    "admin/datastore/main/groups",
    "admin/datastore/main/snapshots",
    "admin/datastore/main/snapshots?ns=prod",
)


def test_two_starts_with_one_seed_give_equal_bodies() -> None:
    with Simulator(Setting(seed=7)) as one, Simulator(Setting(seed=7)) as other:
        with session(one, FULL) as get, session(other, FULL) as get_other:
            for path in PATHS:
                first = get(path).body
                assert first
                assert get_other(path).body == first
        assert one.truth() == other.truth()


def test_another_seed_gives_other_snapshots() -> None:
    with Simulator(Setting(seed=7)) as one, Simulator(Setting(seed=8)) as other:
        path = "admin/datastore/main/snapshots"
        assert ask(one, path, FULL).body != ask(other, path, FULL).body


def test_a_reset_brings_back_what_was_there_at_the_start() -> None:
    with Simulator() as pbs:
        before, body = pbs.truth(), ask(pbs, "admin/datastore/main/groups").body
        group = pbs.truth()["groups"][0]
        pbs.happen("delete-group", **{key: group[key] for key in ("store", "ns", "type", "id")})
        assert pbs.truth() != before
        pbs.reset()
        assert pbs.truth() == before
        assert ask(pbs, "admin/datastore/main/groups").body == body


@pytest.mark.parametrize("version", KNOWN)
def test_backup_counts_of_a_namespace_sum_up_to_its_snapshot_rows(version: str) -> None:
    with Simulator(Setting(version=Version.parse(version))) as pbs, session(pbs) as get:
        seen = 0
        for store in ("main", "offsite"):
            for row in get(store_path(store, "namespace")).data:
                groups = get(store_path(store, "groups", ns=row["ns"])).data
                snapshots = get(store_path(store, "snapshots", ns=row["ns"])).data
                assert sum(group["backup-count"] for group in groups) == len(snapshots)
                seen += len(snapshots)
        assert seen == SIZES["small"].snapshots


@pytest.mark.parametrize("name", ["small", "medium", "states"])
def test_a_size_holds_what_it_promises(name: str) -> None:
    size = SIZES[name]
    world = World(Setting(size=size))
    groups = world.groups()
    assert len(world.stores) == len(size.states)
    assert all(
        len(store.namespaces) == size.namespaces for store in world.stores.values() if store.state != "one-namespace"
    )
    assert len(groups) == size.groups
    assert sum(world.count(group) for group in groups) == size.snapshots
    assert len(world.tasks.running) + len(world.tasks.finished) == size.tasks
    kinds = [job.kind for job in world.jobs]
    assert [kinds.count(kind) for kind in ("sync", "verify", "prune")] == [size.sync, size.verify, size.prune]


def test_the_medium_mix_has_the_shares_it_should_have() -> None:
    world = World(Setting(size=SIZES["medium"]))
    groups, special = world.groups(), {name: len(drawn) for name, drawn in world.special.items()}
    snaps = [snap for group in groups for snap in world.deriving.snapshots(group)]

    assert [sum(group.kind == kind for group in groups) for kind in ("vm", "ct", "host")] == [240, 120, 40]
    assert (special["unfinished"], special["empty"], special["future"]) == (4, 2, 3)
    assert [group.upload for group in world.special["unfinished"]].count("running") == 2
    assert (special["encrypted"], special["sign-only"], special["no-owner"]) == (100, 4, 4)
    for pairs in ("same-number-vm-ct", "same-group-two-namespaces", "same-group-two-stores"):
        assert special[pairs] == 10
    assert 0.003 < sum(snap.verify == "failed" for snap in snaps) / len(snaps) < 0.008
    assert 0.18 < sum(snap.verify is None for snap in snaps) / len(snaps) < 0.24
    assert 0.015 < sum(snap.protected for snap in snaps) / len(snaps) < 0.025
    assert sum(snap.time > world.now for snap in snaps) >= 3
    assert any(ns.count("/") == 6 for store in world.stores.values() for ns in store.namespaces)
    assert max(len(group.id) for group in groups) == 60


def test_multibyte_comments_cross_bytes_47_and_50() -> None:
    world = World(Setting(size=SIZES["medium"]))
    comments = [(group.guest or "").encode() for group in world.special["multibyte-comment"]]

    def splits(comment: bytes, at: int) -> bool:
        return comment[at] & 0xC0 == 0x80

    assert any(splits(comment, 47) for comment in comments)
    assert any(splits(comment, 50) for comment in comments)


@pytest.mark.parametrize("name", ["small", "medium"])
def test_the_task_list_holds_every_awkward_task(name: str) -> None:
    world = World(Setting(size=SIZES[name]))
    finished = world.tasks.finished
    at_night = sum(task.start % DAY < 3600 for task in finished) / len(finished)
    assert 0.35 < at_night < 0.5
    assert {task.kind for task in finished} == {"ok", "warning", "error", "unknown"}
    assert any(world.now - task.start == 30 * 3600 for task in world.tasks.running if task.worker_type == "verify")
    errors = [task.status or "" for task in finished if task.kind == "error"]
    assert any(len(status) > 4000 for status in errors)
    assert any("error" not in status.lower() for status in errors)
    ends = [task.end for task in finished]
    assert all(end is not None and end <= world.now for end in ends)
