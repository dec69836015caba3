"""How a server is treated: few questions, in turn, and none that is not needed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import pytest

from lastgood.errors import NoRoom
from lastgood.model.pbs import PbsPicture
from tests.collect.pbs.against_truth import differences
from tests.collect.pbs.rig import Kept, readable, watching
from tests.collect.pbs.test_events import LOOKS, a_group
from tests.pbs_simulator import SIZES, Latency, Setting, Simulator


@pytest.fixture
def pbs() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


async def test_a_medium_server_is_asked_little_once_it_is_known() -> None:
    """Less than 1 MB a minute; four questions at once, and one list of snapshots."""
    with Simulator(Setting(size=SIZES["medium"]), latency=Latency(latency_ms=5)) as pbs:
        async with watching(pbs) as watch:
            await watch.all()
            before, requests = watch.picture.traffic.received_bytes, pbs.stats()["requests_total"]
            for _ in range(2):
                watch.clock.turn(minutes=2)
                await watch.run("fast", "fast", "medium", "slow", "fast", "fast")
            stats = pbs.stats()
            assert (watch.picture.traffic.received_bytes - before) / 4 < 100_000
            assert (stats["requests_total"] - requests) / 4 < 60
            assert 1 < stats["max_in_flight"] <= 4
            lists = [n for path, n in stats["max_in_flight_by_path"].items() if path.endswith("/snapshots")]
            assert lists == [1]


async def test_nothing_is_asked_that_is_expensive_or_not_needed(pbs: Simulator) -> None:
    """Trap 14: the metrics of a server nest their data, and tell nothing that is not told elsewhere."""
    async with watching(pbs) as watch:
        await watch.all()
        asked = " ".join(pbs.stats()["requests"])
        for path in ("status/metrics", "disks", "services", "apt", "rrd", "certificates"):
            assert path not in asked
        assert "snapshots" in asked


async def test_with_a_bad_token_four_probes_at_once_make_one_try(pbs: Simulator) -> None:
    """Trap 17."""
    async with watching(pbs, token_id="monitor@pbs!disabled") as watch:
        failed = await asyncio.gather(*(watch.tried(name) for name in ("fast", "medium", "slow", "rare")))
        assert pbs.stats()["unauthorized"] == 1
        assert {error.cause for some in failed for error in some} == {"unauthorised"}
        await watch.tried("fast", "medium", "slow", "rare")
        assert pbs.stats()["unauthorized"] == 1
        assert "token_id" in (watch.picture.message or "")


async def test_what_was_counted_survives_a_restart(pbs: Simulator) -> None:
    memory = Kept()
    async with watching(pbs, memory) as watch:
        await watch.all()
        group = a_group(pbs)
        watch.clock.turn(minutes=2)
        pbs.happen("fail-backup", **group)
        await watch.run(*LOOKS)
        counted = sum(watch.picture.tasks.totals.values())
        assert counted == 1
    watch.clock.turn(hours=5)
    pbs.happen("add-snapshot", **group)
    async with watching(pbs, memory) as watch:
        await watch.all()
        totals = watch.picture.tasks.totals
        assert sum(totals.values()) == 2
        assert {status for (_, status, _), count in totals.items() if count} == {"ERROR", "OK"}


async def test_counters_are_saved_once_a_minute_at_most(pbs: Simulator) -> None:
    memory = Kept()
    async with watching(pbs, memory) as watch:
        await watch.all()
        saved = memory.saved
        group = a_group(pbs)
        for second in range(1, 9):
            watch.clock.turn(seconds=10)
            pbs.happen("fail-backup", **group)
            await watch.run("fast")
            assert memory.saved - saved <= (second * 10) // 60
    assert memory.saved - saved == 2


async def test_counters_that_could_not_be_saved_are_saved_when_there_is_room_again(pbs: Simulator) -> None:
    memory = Kept()
    async with watching(pbs, memory) as watch:
        await watch.all()
        watch.clock.turn(minutes=2)
        pbs.happen("fail-backup", **a_group(pbs))
        memory.is_full, before = True, memory.held
        with pytest.raises(NoRoom):
            await watch.run("fast")
        assert sum(watch.picture.tasks.totals.values()) == 1
        memory.is_full = False
        await watch.run("fast")
        assert memory.held != before


async def test_memory_that_cannot_be_read_costs_the_counters_and_nothing_else(pbs: Simulator) -> None:
    memory = Kept()
    memory.held = b"\xff\xfe"
    async with watching(pbs, memory) as watch:
        await watch.all()
        assert differences(watch.picture, pbs.truth())[:5] == []


async def test_a_picture_that_was_given_away_never_changes(pbs: Simulator) -> None:
    """Trap 24."""
    async with watching(pbs) as watch:
        shown: list[PbsPicture] = []
        watch.collector.hear(lambda: shown.append(watch.picture))
        await watch.all()
        before = watch.picture
        copies = (dict(before.groups), dict(before.datastores), dict(before.tasks.last), before.jobs)
        group = a_group(pbs)
        watch.clock.turn(minutes=2)
        pbs.happen("add-snapshot", **group)
        pbs.happen("maintenance", store="offsite", mode="offline")
        await watch.run(*LOOKS)
        assert (before.groups, before.datastores, before.tasks.last, before.jobs) == copies
        assert watch.picture.groups != before.groups
        assert len({id(picture) for picture in shown}) == len(shown)
        assert shown[-1] is watch.picture


async def test_what_did_not_change_stays_the_same_object(pbs: Simulator) -> None:
    async with watching(pbs) as watch:
        await watch.all()
        before, sources = watch.picture, dict(watch.sources)
        watch.clock.turn(minutes=2)
        await watch.run(*LOOKS)
        after = watch.picture
        assert after.groups is before.groups
        assert after.datastores is before.datastores
        assert after.jobs is before.jobs
        assert after.tasks.totals is before.tasks.totals
        assert after.tasks.last is before.tasks.last
        assert all(watch.sources[key] is source for key, source in sources.items())


async def test_a_server_that_is_off_on_purpose_keeps_what_is_known_of_it_and_since_when_it_is_away() -> None:
    """Trap 22."""
    with Simulator() as pbs:
        async with watching(pbs, expected_off=True) as watch:
            await watch.all()
            groups, seen_at = watch.picture.groups, watch.clock.now
            pbs.happen("upgrade", version="4.2.3", down_s=600)
            watch.clock.now += timedelta(hours=2)
            assert {error.cause for error in await watch.tried("fast", "medium", "slow")} <= {"unreachable"}
            picture = watch.picture
            assert (picture.up, picture.expected_off, picture.reached_at) == (False, True, seen_at)
            assert picture.down_since == watch.clock.now
            assert picture.groups is groups
            assert all(whole == seen_at for whole in watch.whole.values())


async def test_a_limit_of_history_keeps_the_newest_and_says_what_it_leaves_out(pbs: Simulator) -> None:
    async with watching(pbs, snapshot_history_limit=2) as watch:
        await watch.all()
        groups = watch.picture.groups.values()
        assert max(len(group.snapshots) for group in groups) == 2
        assert watch.picture.truncated == sum(max(0, (group.finished or 0) - 2) for group in groups)
        told = {(g["store"], g["ns"], g["type"], g["id"]): g for g in readable(pbs)}
        for group in groups:
            right = told[group.store, group.namespace, group.type, group.backup_id]
            if right["last_good"] is not None and right["last_good"] <= pbs.truth()["now"]:
                assert group.last_good is not None
                assert group.last_good.backup_at.timestamp() == right["last_good"]
            assert not any("not told" in remark for remark in watch.sources[group.id].remarks)


async def test_two_servers_with_equal_groups_are_kept_apart(pbs: Simulator) -> None:
    async with watching(pbs, name="one") as one, watching(pbs, name="two") as two:
        await one.all()
        await two.all()
        assert one.collector.name == "pbs/one"
        assert not one.picture.groups.keys() & two.picture.groups.keys()
        assert not one.repositories.keys() & two.repositories.keys()
        assert {source.host for source in two.sources.values()} == {"two"}
