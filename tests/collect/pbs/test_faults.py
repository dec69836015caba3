"""Whatever goes wrong on the way to a server: what people see of it, and that the rest is unharmed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from lastgood.model.repository import Probe
from tests.collect.pbs.against_truth import differences
from tests.collect.pbs.rig import Watch, readable, watching
from tests.pbs_simulator import Setting, Simulator, Version

LOOKS = ("fast", "medium", "slow", "fast")
HTML = "<html><h1>502 Bad Gateway</h1></html>"
SNAPSHOTS = "/api2/json/admin/datastore/offsite/snapshots"
GROUPS = "/api2/json/admin/datastore/offsite/groups"

BROKEN: list[tuple[dict[str, Any], str]] = [
    ({"status": 500, "body": "internal error"}, "server_error"),
    ({"status": 502, "body": HTML}, "html"),
    ({"status": 200, "body": HTML}, "html"),
    ({"truncate": 0.5}, "cut_off"),
    ({"truncate": 0.5, "chunked": True}, "cut_off"),
    ({"reset": 200}, "cut_off"),
    ({"corrupt": "json"}, "bad_payload"),
]


@pytest.fixture(scope="module")
def server() -> Iterator[Simulator]:
    with Simulator(Setting(version=Version.parse("4.2.3"))) as pbs:
        yield pbs


@pytest.fixture
def pbs(server: Simulator) -> Simulator:
    server.reset()
    return server


def spoil(pbs: Simulator, do: dict[str, Any], path: str, **when: Any) -> None:
    pbs.faults({"match": {"path": path}, "when": when, "do": do})


def one_in(pbs: Simulator, store: str) -> dict[str, Any]:
    now = pbs.truth()["now"]
    group = next(
        group
        for group in readable(pbs)
        if group["store"] == store and group["finished"] and group["last_complete"] <= now and not group["shared_id"]
    )
    return {name: group[name] for name in ("store", "ns", "type", "id")}


async def backed_up(watch: Watch) -> tuple[dict[str, Any], dict[str, Any]]:
    """A new backup in each of the two datastores, two minutes later."""
    here, there = one_in(watch.pbs, "main"), one_in(watch.pbs, "offsite")
    watch.clock.turn(minutes=2)
    watch.pbs.happen("add-snapshot", **here)
    watch.pbs.happen("add-snapshot", **there)
    return here, there


async def heals(watch: Watch) -> None:
    """All is right once the fault is over."""
    watch.pbs.faults()
    watch.clock.turn(minutes=20)
    await watch.run(*LOOKS, "rare")
    assert differences(watch.picture, watch.pbs.truth())[:5] == []


@pytest.mark.parametrize(("do", "cause"), BROKEN)
async def test_snapshots_that_cannot_be_read_cost_one_datastore_its_news(
    pbs: Simulator, do: dict[str, Any], cause: str
) -> None:
    async with watching(pbs) as watch:
        await watch.all()
        before = watch.clock.now
        here, there = await backed_up(watch)
        known = watch.of(there)
        spoil(pbs, do, SNAPSHOTS)
        failed = await watch.tried(*LOOKS)
        assert [error.cause for error in failed][:1] == [cause]
        assert all("offsite" in str(error) for error in failed)
        assert watch.picture.probes["slow"].message == str(failed[0])
        assert watch.of(here).last_good.backup_at == watch.clock.now  # type: ignore[union-attr]
        assert watch.of(there) == known
        assert watch.whole[watch.repository("offsite").id] == before
        assert watch.picture.up
        await heals(watch)


@pytest.mark.parametrize(
    ("do", "cause"), [*BROKEN, ({"corrupt": "type"}, "bad_payload"), ({"oversize": 20}, "cut_off")]
)
async def test_groups_that_cannot_be_read_cost_one_datastore_its_news(
    pbs: Simulator, do: dict[str, Any], cause: str
) -> None:
    async with watching(pbs) as watch:
        await watch.all()
        before, known = watch.clock.now, len(watch.picture.groups)
        here, _ = await backed_up(watch)
        spoil(pbs, do, GROUPS)
        failed = await watch.tried(*LOOKS)
        assert [error.cause for error in failed] == [cause]
        assert watch.of(here).last_good.backup_at == watch.clock.now  # type: ignore[union-attr]
        assert len(watch.picture.groups) == known
        assert watch.whole[watch.repository("offsite").id] == before
        assert watch.picture.up
        await heals(watch)


@pytest.mark.parametrize("corruption", ["null", "type", "huge", "duplicate"])
async def test_rows_that_lie_are_never_a_good_backup(pbs: Simulator, corruption: str) -> None:
    async with watching(pbs) as watch:
        await watch.all()
        here, there = await backed_up(watch)
        good = watch.of(there).last_good
        spoil(pbs, {"corrupt": corruption}, SNAPSHOTS)
        await watch.tried(*LOOKS)
        now = watch.of(there).last_good
        assert good is not None
        assert now is not None
        assert now.backup_at in (good.backup_at, watch.clock.now)
        assert watch.of(here).last_good.backup_at == watch.clock.now  # type: ignore[union-attr]
        assert all(
            source.good is None or source.good.started_at <= watch.clock.now for source in watch.sources.values()
        )
        await heals(watch)


@pytest.mark.parametrize(
    ("do", "cause"),
    [
        ({"hang": 30}, "timeout"),
        ({"hang": 30, "where": "body"}, "timeout"),
        ({"drip": 3}, "timeout"),
        ({"status": 500, "body": "x"}, "server_error"),
    ],
)
async def test_a_node_that_does_not_tell_its_state_leaves_the_server_up(
    pbs: Simulator, do: dict[str, Any], cause: str
) -> None:
    async with watching(pbs, timeout_seconds=2) as watch:
        await watch.all()
        here, _ = await backed_up(watch)
        spoil(pbs, do, "/api2/json/nodes/localhost/status")
        failed = await watch.tried("fast", "medium", "slow")
        assert [error.cause for error in failed] == [cause]
        assert (watch.picture.up, watch.picture.node) == (True, None)
        assert watch.of(here).last_good.backup_at == watch.clock.now  # type: ignore[union-attr]


@pytest.mark.parametrize("path", ["version", "status/datastore-usage"])
async def test_without_version_or_usage_a_server_is_down_and_what_is_known_of_it_stays(
    pbs: Simulator, path: str
) -> None:
    async with watching(pbs) as watch:
        await watch.all()
        groups, since = watch.picture.groups, watch.clock.now
        watch.clock.turn(minutes=2)
        spoil(pbs, {"status": 500, "body": "no"}, f"/api2/json/{path}")
        [error] = await watch.tried("fast")
        picture = watch.picture
        assert (picture.up, picture.message) == (False, str(error))
        assert (picture.reached_at, picture.down_since) == (since, watch.clock.now)
        assert picture.groups is groups
        pbs.faults()
        await watch.run("fast")
        assert (watch.picture.up, watch.picture.down_since, watch.picture.message) == (True, None, None)


async def test_a_refusal_marks_one_namespace_and_its_groups_keep_their_age(pbs: Simulator) -> None:
    async with watching(pbs) as watch:
        await watch.all()
        before = watch.clock.now
        watch.clock.turn(minutes=2)
        said = "permission check failed - missing Datastore.Audit|Datastore.Backup on /datastore/main/prod"
        rule = {"match": {"path": "/api2/json/admin/datastore/main/groups", "query": {"ns": "prod"}}}
        pbs.faults(rule | {"do": {"status": 403, "body": said}})
        assert await watch.tried(*LOOKS) == []
        assert list(watch.picture.datastores["main"].unreadable_namespaces) == ["prod"]
        assert said in watch.picture.datastores["main"].unreadable_namespaces["prod"]
        assert any(group.namespace == "prod" for group in watch.picture.groups.values())
        assert watch.whole[watch.repository("main").id] == before
        assert watch.repository("main").probe is Probe.READY
        await heals(watch)


async def test_connections_that_the_server_drops_between_questions_are_no_fault(pbs: Simulator) -> None:
    async with watching(pbs) as watch:
        pbs.faults({"do": {"close_idle": True}})
        await watch.all()
        assert differences(watch.picture, pbs.truth())[:5] == []


async def test_one_slow_answer_costs_time_and_nothing_else(pbs: Simulator) -> None:
    async with watching(pbs) as watch:
        spoil(pbs, {"delay": 300}, GROUPS, times=1)
        await watch.all()
        assert differences(watch.picture, pbs.truth())[:5] == []


async def test_a_group_deleted_while_its_namespace_is_listed_is_asked_for_once_more(pbs: Simulator) -> None:
    async with watching(pbs) as watch:
        body = "EMFILE: ENOENT: No such file or directory"
        spoil(pbs, {"status": 400, "body": body}, SNAPSHOTS, times=1)
        await watch.all()
        assert differences(watch.picture, pbs.truth())[:5] == []


async def test_a_certificate_that_changes_is_not_trusted_and_says_so(pbs: Simulator) -> None:
    async with watching(pbs) as watch:
        await watch.all()
        pbs.happen("rotate-certificate")
        pbs.faults({"do": {"close_idle": True}})
        await watch.tried("fast")
        pbs.faults()
        requests = pbs.stats()["requests_total"]
        failed = await watch.tried("fast", "medium", "slow")
        assert {error.cause for error in failed} == {"certificate"}
        assert pbs.stats()["requests_total"] == requests
        assert not watch.picture.up
        assert "certificate" in (watch.picture.message or "")
