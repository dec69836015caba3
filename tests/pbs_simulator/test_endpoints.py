"""Endpoints without a recording, and the parameters of those with one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from . import FULL, OWN, SIZES, Setting, Simulator
from .asking import ask, session
from .model import DAY
from .schedule import next_run

NOW = 1763625600  # Thursday, 08:00


@pytest.fixture(scope="module")
def pbs() -> Iterator[Simulator]:
    with Simulator(Setting(size=SIZES["states"])) as pbs:
        yield pbs


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("nodes/localhost/disks/list?skipsmart=1&include-partitions=0", {"name", "status", "wearout", "size", "rpm"}),
        ("nodes/localhost/disks/zfs", {"name", "health", "size", "alloc", "free", "frag", "dedup"}),
        ("nodes/localhost/apt/update", {"Package", "Version", "OldVersion"}),
        ("nodes/localhost/services", {"service", "name", "desc", "state", "unit-state"}),
        ("config/datastore", {"name", "path", "verify-new"}),
        ("tape/changer", {"name", "path"}),
        ("tape/changer/lib1/status?cache=1", {"entry-kind", "entry-id"}),
        ("tape/backup", {"id", "pool", "drive", "schedule", "next-run", "last-run-state", "next-media-label"}),
        ("admin/datastore/main/rrd?timeframe=hour&cf=AVERAGE", {"time", "total", "used"}),
    ],
)
def test_lists_have_the_keys_pbs_documents(pbs: Simulator, path: str, keys: set[str]) -> None:
    rows = ask(pbs, path, FULL).data
    assert rows
    assert all(keys <= row.keys() for row in rows)


def test_disks_are_only_asked_for_their_health_where_that_is_wanted(pbs: Simulator) -> None:
    path = "nodes/localhost/disks/list"
    assert {row["status"] for row in ask(pbs, path).data} == {"passed", "failed"}
    assert {row["status"] for row in ask(pbs, f"{path}?skipsmart=1").data} == {"unknown"}


def test_push_targets_are_empty_lists(pbs: Simulator) -> None:
    for path in ("config/metrics/influxdb-udp", "config/metrics/influxdb-http", "admin/metrics"):
        assert ask(pbs, path).data == []


def test_metrics_of_half_an_hour_come_with_history(pbs: Simulator) -> None:
    latest = ask(pbs, "status/metrics").data["data"]
    history = ask(pbs, f"status/metrics?history=1&start-time={NOW - 600}").data["data"]
    assert len({point["timestamp"] for point in latest}) == 1
    assert len({point["timestamp"] for point in history}) == 60
    assert {point["id"] for point in ask(pbs, "status/metrics", OWN).data["data"]} == set()


def test_a_subscription_keeps_its_key_from_who_may_not_audit(pbs: Simulator) -> None:
    assert "key" in ask(pbs, "nodes/localhost/subscription").data
    assert ask(pbs, "nodes/localhost/subscription", OWN).data.keys() == {"status", "message", "url"}


def test_running_operations_are_counted(pbs: Simulator) -> None:
    told = ask(pbs, "admin/datastore/main/active-operations").data
    assert told["read"] >= 1


def test_a_node_is_known_by_its_name_and_as_localhost(pbs: Simulator) -> None:
    assert ask(pbs, "nodes/pbs-a/status").status == 200
    assert ask(pbs, "nodes/pbs-b/status").status == 404


def test_namespaces_below_a_parent_as_deep_as_asked(pbs: Simulator) -> None:
    with session(pbs, FULL) as get:

        def seen(query: str) -> list[str]:
            return [row["ns"] for row in get(f"admin/datastore/tenant-b/namespace?{query}").data]

        assert len(seen("")) == 8
        assert seen("max-depth=1") == ["", "a"]
        assert seen("parent=a/b&max-depth=1") == ["a/b", "a/b/c"]
        assert seen("parent=a/b&max-depth=0") == ["a/b"]
        assert get("admin/datastore/tenant-b/namespace?parent=z").status == 400


@pytest.mark.parametrize(
    "path",
    [
        "nodes/localhost/tasks?limit=many",
        "nodes/localhost/tasks?running=perhaps",
        "nodes/localhost/tasks?statusfilter=bad",
        "nodes/localhost/tasks?limit=1&limit=2",
        "admin/datastore/main/snapshots?backup-type=lxc",
        "admin/sync?sync-direction=both",
    ],
)
def test_wrong_parameters_are_named(pbs: Simulator, path: str) -> None:
    told = ask(pbs, path)
    assert told.status == 400
    assert told.text.startswith("parameter verification failed - '")


def test_one_groups_snapshots_can_be_asked_for(pbs: Simulator) -> None:
    group = next(g for g in pbs.truth()["groups"] if g["store"] == "main" and g["ns"] == "" and g["rows"] > 3)
    path = f"admin/datastore/main/snapshots?ns=&backup-type={group['type']}&backup-id={group['id']}&_dc=1"
    assert len(ask(pbs, path).data) == group["rows"]


def test_rows_of_a_group_come_in_no_order(pbs: Simulator) -> None:
    group = next(g for g in pbs.truth()["groups"] if g["store"] == "main" and g["ns"] == "" and g["rows"] > 8)
    path = f"admin/datastore/main/snapshots?backup-type={group['type']}&backup-id={group['id']}"
    times = [row["backup-time"] for row in ask(pbs, path).data]
    assert times not in (sorted(times), sorted(times, reverse=True))


@pytest.mark.parametrize(
    ("schedule", "after"),
    [
        ("daily", 16 * 3600),
        ("*:20", 1200),
        ("*:00", 3600),
        ("09:30", 5400),
        ("08:00", DAY),
        ("*-*-* 04:30", DAY - 12600),
        ("sat 18:15", 2 * DAY + 36900),
        ("thu 07:00", 7 * DAY - 3600),
    ],
)
def test_the_next_run_follows_the_schedule(schedule: str, after: int) -> None:
    assert next_run(schedule, NOW) == NOW + after


def test_a_schedule_nobody_has_is_refused() -> None:
    with pytest.raises(ValueError, match="knows no schedule"):
        next_run("every other blue moon", NOW)
