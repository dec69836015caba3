"""Whatever happens on a server, the next rounds show it, and nothing else changes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from lastgood.model.pbs import TaskStatus
from lastgood.model.repository import Probe
from lastgood.tools.pbs.permissions import EVERYWHERE
from tests.collect.pbs.against_truth import differences
from tests.collect.pbs.rig import readable, watching
from tests.pbs_simulator import MONITOR, SIZES, Setting, Simulator, Version
from tests.pbs_simulator.asking import until_up

LOOKS = ("fast", "medium", "slow", "fast")


def key_of(group: dict[str, Any]) -> dict[str, Any]:
    return {name: group[name] for name in ("store", "ns", "type", "id")}


def a_group(pbs: Simulator, **wanted: Any) -> dict[str, Any]:
    plain = {"unfinished": None, "shared_id": False, "failed_attempts": 0} | wanted
    now = pbs.truth()["now"]
    return next(
        key_of(group)
        for group in readable(pbs)
        if all(group[name] == value for name, value in plain.items())
        and group["finished"] > 3
        and group["last_complete"] <= now
    )


def content(pbs: Simulator, one: dict[str, Any], other: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Events on two groups and around them that a task or a count gives away."""
    yield "verify", one | {"state": "failed"}
    yield "verify", one | {"state": "ok"}
    yield "edit-group-comment", other | {"comment": "whose is this?"}
    yield "add-snapshot", one
    yield "start-upload", other
    yield "finish-upload", other
    yield "start-upload", one
    yield "abort-upload", one | {"leave": True}
    yield "start-upload", other
    yield "abort-upload", other
    yield "fail-backup", one
    yield "delete-snapshot", one
    yield "create-namespace", {"store": "main", "ns": "new"}
    yield "add-snapshot", {"store": "main", "ns": "new", "type": "ct", "id": "77"}
    yield "delete-snapshot", {"store": "main", "ns": "new", "type": "ct", "id": "77", "keep_group": True}
    yield "delete-group", other
    yield "remove-namespace", {"store": "main", "ns": "new"}
    yield "create-store", {"store": "fresh"}
    yield "add-snapshot", {"store": "fresh", "type": "host", "id": "nas"}
    for state in ("gc-start", "gc-fail", "gc-start", "gc-finish"):
        yield state, {"store": "main"}
    yield "job-start", {"job": "verify", "id": "v-new"}
    yield "job-finish", {"job": "verify", "id": "v-new", "status": "WARNINGS: 1"}
    yield "job-run", {"job": "prune", "id": "p-prod", "status": "unable to lock"}
    yield "task", {"worker_type": "realm-sync", "start": pbs.truth()["now"] - 60, "end": pbs.truth()["now"]}
    yield "maintenance", {"store": "main", "mode": "read-only", "message": "moving"}
    yield "maintenance", {"store": "main", "mode": None}
    yield "rotate-certificate", {}


@pytest.mark.parametrize("version", ["3.2.4", "4.2.3"])
async def test_after_each_event_all_is_as_the_server_knows_it(version: str) -> None:
    with Simulator(Setting(size=SIZES["states"], version=Version.parse(version))) as pbs:
        async with watching(pbs, fingerprint=None, ca_file=None, verify_tls=False) as watch:
            await watch.all()
            groups = a_group(pbs, verify_state="ok"), a_group(pbs, verify_state="none")
            for kind, told in content(pbs, *groups):
                watch.clock.turn(minutes=2)
                pbs.happen(kind, **told)
                await watch.run(*LOOKS)
                assert differences(watch.picture, pbs.truth())[:5] == [], f"after {kind} {told}"


async def test_what_no_task_and_no_count_gives_away_is_found_by_the_next_sweep() -> None:
    """Trap 19."""
    with Simulator() as pbs:
        async with watching(pbs) as watch:
            await watch.all()
            group = a_group(pbs)
            pbs.happen("protect", **group, protected=True)
            pbs.happen("edit-comment", **group, comment="kept – für die Prüfer")
            watch.clock.turn(minutes=2)
            await watch.run(*LOOKS)
            assert watch.of(group).last_complete.protected is False  # type: ignore[union-attr]
            watch.clock.turn(hours=6)
            await watch.run(*LOOKS)
            newest = watch.of(group).last_complete
            assert newest is not None
            assert (newest.protected, newest.comment) == (True, "kept – für die Prüfer")
            assert differences(watch.picture, pbs.truth())[:5] == []


async def test_a_failed_verification_makes_the_last_good_one_older_although_no_count_moves() -> None:
    """Traps 12 and 19."""
    with Simulator() as pbs:
        async with watching(pbs) as watch:
            await watch.all()
            group = a_group(pbs, verify_state="ok")
            before = watch.of(group)
            watch.clock.turn(minutes=5)
            pbs.happen("verify", **group, state="failed")
            await watch.run(*LOOKS)
            after, source = watch.of(group), watch.source(group)
            assert before.last_good is not None
            assert after.last_complete is not None
            assert after.last_good is not None
            assert after.last_good.backup_at < before.last_good.backup_at == after.last_complete.backup_at
            assert after.last_complete.verified_at == watch.clock.now
            assert source.newest is not None
            assert (source.newest.outcome.value, source.newest.cause) == ("failed", "verification")
            assert source.good is not None
            assert source.good.started_at == after.last_good.backup_at


async def test_an_unfinished_upload_is_running_and_then_broken_off_and_never_a_backup() -> None:
    """Trap 1: before 4.0.17 the list of groups tells the upload as the last backup."""
    with Simulator(Setting(version=Version.parse("4.0.16"))) as pbs:
        async with watching(pbs) as watch:
            await watch.all()
            group = a_group(pbs)
            good = watch.of(group).last_good
            watch.clock.turn(minutes=1)
            pbs.happen("start-upload", **group)
            await watch.run(*LOOKS)
            running = watch.source(group)
            assert watch.of(group).uploading
            assert running.running_since == watch.clock.now
            assert running.newest == running.good
            watch.clock.turn(minutes=1)
            pbs.happen("abort-upload", **group, leave=True)
            await watch.run(*LOOKS)
            left, source = watch.of(group), watch.source(group)
            assert left.last_good == good
            assert (left.uploading, left.unfinished, left.failed_attempts) == (False, 1, 1)
            assert source.running_since is None
            assert source.newest is not None
            assert source.newest.outcome.value == "failed"
            assert source.good == running.good
            assert any("unfinished" in remark for remark in source.remarks)


async def test_an_upload_that_ends_is_good_at_once_even_where_no_count_moves() -> None:
    with Simulator(Setting(version=Version.parse("3.2.4"))) as pbs:
        async with watching(pbs) as watch:
            await watch.all()
            group = a_group(pbs)
            watch.clock.turn(minutes=1)
            pbs.happen("start-upload", **group)
            await watch.run(*LOOKS)
            began = watch.clock.now
            watch.clock.turn(minutes=9)
            pbs.happen("finish-upload", **group)
            await watch.run("fast")
            assert not any("broken off" in remark for remark in watch.source(group).remarks)
            await watch.run("slow", "fast")
            found = watch.of(group)
            assert found.last_good is not None
            assert found.last_good.backup_at == began
            assert found.last_good_end_at == watch.clock.now
            assert watch.source(group).good.ended_at == watch.clock.now  # type: ignore[union-attr]


async def test_a_running_collection_takes_nothing_away_and_a_failed_one_tells_its_own_time() -> None:
    """Trap 11."""
    with Simulator() as pbs:
        async with watching(pbs) as watch:
            await watch.all()
            before = watch.picture.datastores["main"].gc
            assert before is not None
            watch.clock.turn(minutes=1)
            pbs.happen("gc-start", store="main")
            await watch.run(*LOOKS, "medium")
            running = watch.picture.datastores["main"].gc
            assert running is not None
            assert running.running
            assert (running.ended_at, running.status) == (before.ended_at, before.status)
            watch.clock.turn(minutes=7)
            pbs.happen("gc-fail", store="main")
            await watch.run("fast", "medium")
            failed = watch.picture.datastores["main"].gc
            assert failed is not None
            assert (failed.status, failed.took_seconds) == (TaskStatus.ERROR, 420.0)
            assert (failed.succeeded_at, failed.removed_bytes) == (before.succeeded_at, before.removed_bytes)


async def test_a_datastore_under_maintenance_keeps_what_was_known_and_the_rest_goes_on() -> None:
    with Simulator() as pbs:
        async with watching(pbs) as watch:
            await watch.all()
            groups = {key: group for key, group in watch.picture.groups.items() if group.store == "offsite"}
            seen_at, told = watch.clock.now, len(watch.sources)
            watch.clock.turn(minutes=2)
            pbs.happen("maintenance", store="offsite", mode="offline", message="disk 3")
            await watch.run(*LOOKS)
            store = watch.picture.datastores["offsite"]
            assert (store.up, store.maintenance, store.total_bytes) == (False, "offline", None)
            assert watch.picture.up
            assert watch.picture.datastores["main"].up
            assert groups == {key: group for key, group in watch.picture.groups.items() if group.store == "offsite"}
            repository = watch.repository("offsite")
            assert repository.probe is Probe.UNREACHABLE
            assert "offline maintenance" in (repository.message or "")
            assert watch.whole[repository.id] == seen_at
            assert watch.whole[watch.repository("main").id] == watch.clock.now
            watch.clock.turn(minutes=2)
            pbs.happen("maintenance", store="offsite", mode=None)
            await watch.run(*LOOKS)
            assert watch.repository("offsite").probe is Probe.READY
            assert watch.whole[repository.id] == watch.clock.now
            assert len(watch.sources) == told


async def test_a_datastore_that_is_deleted_keeps_its_last_word_and_says_so() -> None:
    with Simulator() as pbs:
        async with watching(pbs) as watch:
            await watch.all()
            pbs.happen("remove-store", store="offsite")
            watch.clock.turn(minutes=2)
            await watch.run(*LOOKS)
            assert watch.repository("offsite").probe is Probe.MISSING
            assert watch.picture.datastores["offsite"].up is False
            assert differences(watch.picture, pbs.truth())[:5] == []
            watch.clock.turn(days=15)
            await watch.run(*LOOKS)
            assert set(watch.picture.datastores) == {"main"}
            assert {group.store for group in watch.picture.groups.values()} == {"main"}


async def test_a_right_that_is_taken_away_costs_one_datastore_and_is_named() -> None:
    with Simulator(Setting(size=SIZES["states"])) as pbs:
        async with watching(pbs) as watch:
            await watch.all()
            known = len(watch.picture.groups)
            watch.clock.turn(minutes=2)
            for who in ("monitor@pbs", MONITOR):
                pbs.happen("acl", path="/datastore/main", who=who, role="NoAccess")
            assert await watch.tried(*LOOKS, "rare", "medium") == []
            assert "Datastore.Audit on /datastore/main" in (watch.picture.missing or ())
            assert len(watch.picture.groups) == known
            assert watch.repository("main").probe is Probe.REFUSED
            assert watch.repository("offsite").probe is Probe.READY
            for who in ("monitor@pbs", MONITOR):
                pbs.happen("acl", path="/datastore/main", who=who, role="NoAccess", remove=True)
            watch.clock.turn(minutes=2)
            assert await watch.tried("medium", "rare") == []
            assert watch.repository("main").probe is Probe.READY
            assert "Datastore.Audit on /datastore/main" not in (watch.picture.missing or ())


async def test_a_revoked_token_is_tried_once_and_then_ever_more_seldom() -> None:
    """Trap 17."""
    with Simulator() as pbs:
        async with watching(pbs) as watch:
            await watch.all()
            pbs.happen("revoke-token", token=MONITOR)
            groups = watch.picture.groups
            waits: list[float] = []
            for _ in range(6):
                since = watch.clock.now
                tries = pbs.stats()["unauthorized"]
                while pbs.stats()["unauthorized"] == tries:
                    watch.clock.turn(seconds=30)
                    failed = await watch.tried("fast", "medium", "slow", "rare")
                    assert {error.cause for error in failed} == {"unauthorised"}
                assert pbs.stats()["unauthorized"] == tries + 1
                waits.append((watch.clock.now - since).total_seconds())
            assert waits == sorted(waits)
            assert waits[-1] <= 15 * 60 + 30
            assert not watch.picture.up
            assert watch.picture.groups is groups
            assert {each.probe for each in watch.repositories.values()} <= {Probe.REFUSED, Probe.READY}


async def test_an_upgrade_is_waited_out_and_then_asked_what_is_new() -> None:
    with Simulator(Setting(version=Version.parse("3.2.4"))) as pbs:
        async with watching(pbs) as watch:
            await watch.all()
            assert not any(job.direction == "push" for job in watch.picture.jobs or ())
            groups = watch.picture.groups
            pbs.happen("upgrade", version="4.2.3", down_s=0.3)
            watch.clock.turn(minutes=2)
            assert {error.cause for error in await watch.tried("fast", "medium")} == {"unreachable"}
            picture = watch.picture
            assert (picture.up, picture.version, picture.down_since) == (False, None, watch.clock.now)
            assert watch.picture.groups is groups
            assert watch.repository("main").probe is Probe.UNREACHABLE
            await asyncio.to_thread(until_up, pbs)
            asked = pbs.stats()["requests"]["access/permissions"]
            assert await watch.tried(*LOOKS, "rare") == []
            # One list, and the paths that a list may leave out.
            assert pbs.stats()["requests"]["access/permissions"] == asked + 1 + len(EVERYWHERE)
            assert watch.picture.version is not None
            assert (watch.picture.version.version, watch.picture.version.release) == ("4.2", "3")
            assert differences(watch.picture, pbs.truth())[:5] == []


async def test_a_server_whose_clock_is_ahead_of_ours_has_good_backups() -> None:
    with Simulator() as pbs:
        async with watching(pbs) as watch:
            pbs.happen("clock-jump", seconds=3600)
            group = a_group(pbs)
            pbs.happen("add-snapshot", **group)
            await watch.run("medium", "slow", "fast", "slow", "medium")
            found, source = watch.of(group), watch.source(group)
            assert found.last_good is not None
            assert found.last_good.backup_at == watch.clock.now + timedelta(hours=1)
            assert source.good is not None
            assert source.remarks == ()
            watch.clock.now += timedelta(minutes=2)
            pbs.happen("add-snapshot", **group | {"time": pbs.truth()["now"] + 120})
            await watch.run(*LOOKS)
            assert watch.of(group).last_complete != found.last_complete
