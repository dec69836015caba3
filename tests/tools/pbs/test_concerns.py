"""Which datastore, namespace and group a task works on, for every type of task that names one."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from lastgood.tools.pbs.concerns import Concern, changes_snapshots, concern, normal_id
from lastgood.tools.pbs.upid import upid
from tests.pbs_simulator import SIZES, Setting, Simulator

AT = datetime(2025, 11, 20, 1, 40, tzinfo=UTC)


@pytest.mark.parametrize(
    ("worker_type", "worker_id", "wanted"),
    [
        ("backup", "main:vm/100", Concern(store="main", type="vm", id="100")),
        ("backup", "main:vm/10000001", Concern(store="main", type="vm", id="10000001")),
        ("reader", "main:vm/100/691E7170", Concern(store="main", type="vm", id="100", backup_at=AT)),
        ("verify", "main", Concern(store="main")),
        ("verify", "main:ns/prod", Concern(store="main", namespace="prod")),
        ("verify", "main:ns/a/ns/b", Concern(store="main", namespace="a/b")),
        ("verify", "main:", Concern(store="main", namespace="")),
        ("verify", "main:vm/100/691E7170", Concern(store="main", type="vm", id="100", backup_at=AT)),
        ("verify_group", "main:/vm/103", Concern(store="main", namespace="", type="vm", id="103")),
        ("verify_group", "main:ns/a/ns/b/ct/7", Concern(store="main", namespace="a/b", type="ct", id="7")),
        (
            "verify_group",
            "main:ns/host/vm/10000001",
            Concern(store="main", namespace="host", type="vm", id="10000001"),
        ),
        (
            "verify_snapshot",
            "main:/vm/103/691E7170",
            Concern(store="main", namespace="", type="vm", id="103", backup_at=AT),
        ),
        (
            "verify_snapshot",
            "main:ns/a/host/nas.lan/691E7170",
            Concern(store="main", namespace="a", type="host", id="nas.lan", backup_at=AT),
        ),
        ("verificationjob", "main:v-daily", Concern(store="main", job="v-daily")),
        ("prune", "main:prod:vm/100", Concern(store="main", namespace="prod", type="vm", id="100")),
        ("prune", "main:", Concern(store="main", namespace="")),
        ("prune", "main:a/b", Concern(store="main", namespace="a/b")),
        ("prunejob", "main", Concern(store="main", namespace="")),
        ("prunejob", "main:prod", Concern(store="main", namespace="prod")),
        ("garbage_collection", "main", Concern(store="main")),
        (
            "syncjob",
            "dr-site:vault:main:prod:s-0a1b",
            Concern(store="main", namespace="prod", job="s-0a1b", remote="dr-site"),
        ),
        ("syncjob", "-:main:usb::s-local", Concern(store="usb", namespace="", job="s-local")),
        ("sync", "main", Concern(store="main")),
        ("tape-backup-job", "main:weekly:lto8-a:t-1", Concern(store="main", job="t-1")),
        ("tape-backup", "main:weekly:lto8-a", Concern(store="main")),
        ("logrotate", None, Concern()),
        ("termproxy", "anything:vm/1", Concern()),
        ("a-type-of-tomorrow", "x", Concern()),
        ("syncjob", "only:three:parts", Concern()),
        ("backup", "main:lxc/100", Concern(store="main")),
        ("verify_group", "main:vm", Concern(store="main")),
    ],
)
def test_what_a_task_works_on(worker_type: str, worker_id: str | None, wanted: Concern) -> None:
    assert concern(worker_type, worker_id) == wanted


def test_the_namespace_of_a_backup_is_unknown_and_not_the_root() -> None:
    assert concern("backup", "main:vm/100").namespace is None


@pytest.mark.parametrize(
    ("worker_type", "worker_id", "wanted"),
    [
        ("reader", "main:vm/100/691E7170", "main:vm/100"),
        ("verify", "main:vm/100/691E7170", "main:vm/100"),
        ("verify_snapshot", "main:ns/a/vm/103/691E7170", "main:ns/a/vm/103"),
        ("verify_group", "main:ns/host/vm/10000001", "main:ns/host/vm/10000001"),
        ("backup", "main:vm/10000001", "main:vm/10000001"),
        ("verify", "main:ns/prod", "main:ns/prod"),
        ("logrotate", None, ""),
    ],
)
def test_the_id_of_every_run_on_one_thing_is_the_same(worker_type: str, worker_id: str | None, wanted: str) -> None:
    assert normal_id(worker_type, worker_id) == wanted


def test_tasks_that_change_snapshots_unseen_are_known_by_their_type() -> None:
    changing = ("verify", "verify_snapshot", "verificationjob", "prunejob", "syncjob", "move-group", "s3-refresh")
    assert all(changes_snapshots(each) for each in changing)
    assert not any(changes_snapshots(each) for each in ("realm-sync", "mount-sync-jobs", "backup", "aptupdate"))


def test_every_task_of_a_server_is_understood_and_its_upid_agrees() -> None:
    with Simulator(Setting(size=SIZES["medium"])) as pbs:
        stores = {each["store"] for each in pbs.truth()["stores"]}
        tasks = list(pbs._site.world.tasks.finished)
    assert {task.worker_type for task in tasks} >= {"backup", "reader", "verify_snapshot", "prune", "syncjob"}
    for task in tasks:
        found = upid(task.upid)
        assert found is not None
        assert found.worker_id == (task.worker_id or "")
        about = concern(task.worker_type, task.worker_id)
        assert about.store is None or about.store in stores
        if task.worker_type == "backup":
            assert (about.type, about.id) != (None, None)
