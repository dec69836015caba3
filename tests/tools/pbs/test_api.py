"""Every endpoint of every release gives its shape, and nothing is asked that costs the server more than it must."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from lastgood.errors import Refused, Unreachable
from lastgood.tools.pbs.api import Api
from lastgood.tools.pbs.rows import Rows
from lastgood.tools.pbs.shapes import moment
from lastgood.tools.pbs.versions import Gate
from tests.pbs_simulator import FULL, KNOWN, OWN, SIZES, Latency, Setting, Simulator, Version
from tests.tools.pbs.connected import api_of
from tests.waiting import until

STATES = SIZES["states"]

ASKS: tuple[Callable[[Api], Awaitable[Any]], ...] = (
    Api.version,
    Api.node_status,
    Api.subscription,
    Api.permissions,
    Api.usage,
    Api.datastores,
    Api.datastore_configs,
    Api.gc_jobs,
    Api.verify_jobs,
    Api.prune_jobs,
    Api.sync_jobs,
    Api.running_tasks,
    Api.tape_jobs,
    Api.drives,
    Api.media,
    lambda api: api.tasks_since(0),
    lambda api: api.store_status("offsite"),
    lambda api: api.gc("main"),
    lambda api: api.namespaces("main"),
    lambda api: api.groups("main", ""),
    lambda api: api.snapshots("main", ""),
)


@pytest.fixture(scope="module", params=KNOWN)
def release(request: pytest.FixtureRequest) -> Any:
    with Simulator(Setting(size=STATES, version=Version.parse(request.param))) as pbs:
        yield pbs


@pytest.fixture
def pbs(release: Simulator) -> Simulator:
    release.reset()
    return release


@pytest.fixture
async def api(pbs: Simulator) -> AsyncIterator[Api]:
    async with api_of(pbs, FULL) as api:
        yield api


async def test_every_endpoint_gives_its_shape_whole(pbs: Simulator, api: Api) -> None:
    for ask in ASKS:
        told = await ask(api)
        if isinstance(told, Rows):
            assert len(told) > 0, ask
            assert (told.unreadable, told.repeated) == (0, 0), (ask, told.complaint)
    assert str(api.build) == pbs.told["version"]
    assert api.traffic.errors == {}
    stats = pbs.stats()
    assert api.traffic.requests == sum(stats["requests"].values())
    assert stats["connections"] == 1


async def test_push_jobs_are_seen_where_the_release_has_them(pbs: Simulator, api: Api) -> None:
    jobs = {job.id: job for job in await api.sync_jobs()}
    assert ("s-push-off" in jobs) is (Version.parse(pbs.told["version"]) >= (3, 2, 13))
    assert "s-0a1b2c3d" in jobs
    assert jobs["s-0a1b2c3d"].is_running


async def test_what_a_release_does_not_tell_is_unknown(pbs: Simulator, api: Api) -> None:
    await api.version()
    assert api.build is not None
    usage = {row.store: row for row in await api.usage()}
    assert (usage["main"].mount_status is not None) is api.build.has(Gate.REMOVABLE_STORES)
    assert (usage["main"].backend_type is not None) is api.build.has(Gate.BACKEND_TYPE)
    assert ((await api.store_status("offsite")).s3_statistics is not None) is api.build.has(Gate.S3_STATISTICS)
    assert (await api.store_status("main")).s3_statistics is None


async def test_snapshots_are_those_of_the_truth(pbs: Simulator, api: Api) -> None:
    wanted = {
        (group["ns"], group["type"], group["id"]): (group["finished"], group["rows"])
        for group in pbs.truth()["groups"]
        if group["store"] == "main" and group["rows"]
    }
    found: dict[Any, Any] = {}
    for ns in await api.namespaces("main"):
        for row in await api.snapshots("main", ns.ns):
            key = (ns.ns, row.backup_type, row.backup_id)
            finished, rows = found.get(key, (0, 0))
            found[key] = (finished + row.is_finished, rows + 1)
    assert found == wanted


async def test_tasks_are_asked_for_without_a_limit_and_without_a_filter(pbs: Simulator, api: Api) -> None:
    tasks = await api.tasks_since(0)
    assert len(tasks) > 50
    assert tasks.total == len(tasks)
    running = await api.running_tasks()
    assert {task.upid for task in running} == {task.upid for task in tasks if task.is_running}
    assert all(task.is_running for task in running)
    asked = [call["target"] for call in pbs.stats()["calls"] if "/tasks" in call["target"]]
    assert asked == [
        "/api2/json/nodes/localhost/tasks?limit=0&since=0",
        "/api2/json/nodes/localhost/tasks?limit=0&running=1",
    ]


async def test_one_task_is_found_by_its_upid_with_all_that_has_to_be_escaped(api: Api) -> None:
    tasks = await api.tasks_since(0)
    task = next(task for task in tasks if "\\x" in task.upid and not task.is_running)
    told = await api.task(task.upid)
    assert (told.upid, told.status, told.exitstatus, told.type) == (
        task.upid,
        "stopped",
        task.status,
        task.worker_type,
    )
    with pytest.raises(Refused, match="no such task"):
        await api.task(task.upid[:-1])


async def test_no_robot_moves_and_no_drive_is_asked_what_it_does(pbs: Simulator, api: Api) -> None:
    await api.media()
    await api.drives()
    assert [call["target"] for call in pbs.stats()["calls"]] == [
        "/api2/json/tape/media/list?update-status=0",
        "/api2/json/tape/drive?query-activity=0",
    ]


async def test_nothing_expensive_or_writing_is_asked_by_any_function(pbs: Simulator, api: Api) -> None:
    for ask in ASKS:
        await ask(api)
    for call in pbs.stats()["calls"]:
        assert "disks" not in call["target"]  # SMART wakes them
        assert "verbose" not in call["target"]
        assert "certificates" not in call["target"]


@pytest.fixture(scope="module")
def newest() -> Any:
    with Simulator(Setting(size=STATES)) as pbs:
        yield pbs


async def test_a_list_that_lacks_rights_is_shorter_and_no_error(newest: Simulator) -> None:
    async with api_of(newest, OWN) as api:
        assert len(await api.sync_jobs()) == len(await api.drives()) == len(await api.media()) == 0
        assert len(await api.gc_jobs()) == 0
        tasks = await api.running_tasks()
        assert {task.user for task in tasks} <= {OWN}


async def test_capacity_that_may_not_be_known_is_unknown(newest: Simulator) -> None:
    async with api_of(newest) as api:
        usage = {row.store: row for row in await api.usage()}
        for store in ("archive", "tenant-b", "usb-rotate"):
            assert usage[store].total is None, store
        assert usage["archive"].error is not None
        assert usage["main"].total is not None
        full = moment(usage["migrated"].estimated_full_date)
        assert full is not None
        assert full.year == 1970


@pytest.mark.parametrize(
    ("store", "ns", "cause"),
    [
        ("nope", "", "no_such_store"),
        ("archive", "", "maintenance"),
        ("usb-rotate", "", "not_mounted"),
        ("main", "gone", "gone"),
        ("tenant-b", "a", "forbidden"),
        ("../../version", "", "no_such_store"),
        ("main?x=1", "", "no_such_store"),
    ],
)
async def test_what_cannot_be_listed_is_refused_by_its_cause(
    newest: Simulator, store: str, ns: str, cause: str
) -> None:
    newest.reset()
    async with api_of(newest) as api:
        for ask in (api.groups, api.snapshots):
            with pytest.raises(Refused) as error:
                await ask(store, ns)
            assert error.value.cause == cause, error.value
            assert str(error.value).startswith("pbs-a: admin/datastore/")
        assert (await api.version()).version == "4.1"


@pytest.mark.parametrize("mode", ["offline", "delete", "unmount", "s3-refresh"])
async def test_every_mode_of_maintenance_is_one(newest: Simulator, mode: str) -> None:
    newest.reset()
    async with api_of(newest) as api:
        newest.happen("maintenance", store="main", mode=mode)
        with pytest.raises(Refused) as error:
            await api.groups("main", "")
        assert error.value.cause == "maintenance"
        newest.happen("maintenance", store="main", mode="read-only")
        assert len(await api.groups("main", "")) > 0


async def test_a_group_that_is_gone_is_an_empty_list(newest: Simulator) -> None:
    async with api_of(newest) as api:
        rows = await api.snapshots("main", "", group=("vm", "424242"))
        assert (len(rows), rows.is_whole) == (0, True)


async def test_one_group_and_what_is_made_of_its_rows(newest: Simulator) -> None:
    async with api_of(newest) as api:
        group = next(row for row in await api.groups("main", "") if row.backup_count > 3)
        key = (group.backup_type, group.backup_id)
        rows = await api.snapshots("main", "", group=key)
        assert len(rows) == group.backup_count
        times = await api.snapshots("main", "", group=key, into=lambda row: row.backup_time)
        assert set(times) == {row.backup_time for row in rows}


async def test_lists_of_snapshots_are_asked_for_one_at_a_time_and_the_rest_by_four() -> None:
    with Simulator(Setting(size=STATES), latency=Latency(latency_ms=30)) as pbs:
        async with api_of(pbs) as api:
            await api.version()
            await asyncio.gather(*(api.snapshots("main", ns) for ns in ("", "prod") * 4))
            assert pbs.stats()["max_in_flight"] == 1
            await asyncio.gather(*(api.groups("main", ns) for ns in ("", "prod") * 10))
            assert pbs.stats()["max_in_flight"] == 4
            assert pbs.stats()["connections"] <= 4


async def test_what_travels_is_deflated_and_counted(newest: Simulator) -> None:
    newest.reset()
    async with api_of(newest) as api:
        await api.snapshots("main", "")
        stats = newest.stats()
        assert stats["bytes_deflated"] > 0
        assert api.traffic.received_bytes < stats["bytes_raw"] / 5


async def test_a_server_that_upgrades_is_unreachable_and_then_the_new_release() -> None:
    with Simulator(Setting(version=Version(3, 2, 4))) as pbs:
        async with api_of(pbs) as api:
            assert "s-push-off" not in {job.id for job in await api.sync_jobs()}
            pbs.happen("upgrade", version="4.2.3", down_s=1)
            told = await _until_told(api)
            assert f"{told.version}.{told.release}" == "4.2.3"
            assert api.build is not None
            assert api.build.has(Gate.SYNC_DIRECTION)


async def _until_told(api: Api) -> Any:
    async def ask() -> Any:
        try:
            return await api.version()
        except Unreachable:
            return None

    return await until(ask, "the server to be back")
