"""What has misled others who ask a PBS, seen through the whole collector."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import pytest

from lastgood.metrics.family import refuse_clashes
from lastgood.metrics.pbs import VOCABULARY, natrontech
from lastgood.model.job import Outcome
from lastgood.model.pbs import Space, TaskStatus
from tests.collect.pbs.rig import Watch, watching
from tests.collect.pbs.test_events import LOOKS, a_group
from tests.pbs_simulator import KNOWN, MONITOR, SIZES, Setting, Simulator, Version
from tests.pbs_simulator.asking import ask


def deny(pbs: Simulator, path: str, role: str | None = None) -> None:
    """Take this role away from the token and its user there; without one give them none at all."""
    for who in ("monitor@pbs", MONITOR):
        pbs.happen("acl", path=path, who=who, role=role or "NoAccess", remove=role is not None)


async def test_lists_that_are_short_for_want_of_a_right_are_unknown_and_the_right_is_named() -> None:
    """Trap 3."""
    with Simulator(Setting(size=SIZES["states"])) as pbs:
        async with watching(pbs) as watch:
            await watch.all()
            drives, syncs = watch.picture.drives, [job for job in watch.picture.jobs or () if job.kind == "sync"]
            assert drives
            assert any(job.remote for job in syncs)
            assert not watch.picture.tasks.own_only
            assert not [need for need in watch.picture.missing or () if "/datastore/" not in need]
            deny(pbs, "/tape", "TapeAudit")
            deny(pbs, "/remote", "RemoteAudit")
            deny(pbs, "/system/tasks")
            watch.clock.turn(hours=25)
            await watch.tried(*LOOKS, "rare", *LOOKS)
            lacking = set(watch.picture.missing or ())
            assert {"Tape.Audit on /tape", "Remote.Audit on /remote", "Sys.Audit on /system/tasks"} <= lacking
            assert (watch.picture.drives, watch.picture.media) == (None, None)
            assert watch.picture.tasks.own_only


async def test_a_warning_is_a_good_backup_and_no_whole_sync() -> None:
    """Trap 13."""
    with Simulator(Setting(size=SIZES["states"])) as pbs:
        async with watching(pbs) as watch:
            await watch.all()
            group, synced = a_group(pbs), {one.id: one.synced_at for one in watch.repositories.values()}
            watch.clock.turn(minutes=2)
            pbs.happen("add-snapshot", **group, status="WARNINGS: 2")
            job = next(job for job in pbs.truth()["jobs"] if job["kind"] == "sync" and not job["running"])
            pbs.happen("job-run", job="sync", id=job["id"], status="WARNINGS: 1")
            await watch.run(*LOOKS)
            good = watch.source(group).good
            assert good is not None
            assert (good.started_at, good.outcome) == (watch.clock.now, Outcome.SUCCESS)
            assert watch.source(group).newest == good
            assert watch.of(group).failed_attempts == 0
            told = next(each for each in watch.picture.jobs or () if (each.kind, each.id) == ("sync", job["id"]))
            assert (told.status, told.ended_at) == (TaskStatus.WARNINGS, watch.clock.now)
            assert {one.id: one.synced_at for one in watch.repositories.values()} == synced


@pytest.mark.parametrize("version", [version for version in KNOWN if Version.parse(version) >= (4, 0, 4)])
async def test_an_s3_datastore_is_known_as_one_in_every_release_that_has_them(version: str) -> None:
    """Trap 16: its capacity is that of a cache, and the first releases say what it is in the configuration alone."""
    with Simulator(Setting(version=Version.parse(version))) as pbs:
        async with watching(pbs) as watch:
            await watch.all()
            backends = {store.name: store.backend for store in watch.picture.datastores.values()}
            assert backends == {store["store"]: store["backend"] for store in pbs.truth()["stores"]}
            assert backends["offsite"] == "s3"


async def test_memory_is_told_as_the_server_counts_it_and_asked_for_once_a_round() -> None:
    """Trap 20: from 3.4 on used and free are not the whole, and everybody who asks shortens the others' window."""
    with Simulator(Setting(version=Version.parse("3.4.2"))) as pbs:
        async with watching(pbs) as watch:
            await watch.all()
            asked = _asked_of_node(pbs)
            await watch.run(*LOOKS)
            assert _asked_of_node(pbs) - asked == LOOKS.count("fast") > 0
            told = ask(pbs, "nodes/localhost/status").data["memory"]
            assert watch.picture.node is not None
            assert watch.picture.node.memory == Space(total=told["total"], used=told["used"], free=told["free"])
            assert told["used"] + told["free"] != told["total"]


def _asked_of_node(pbs: Simulator) -> int:
    counts: dict[str, Any] = pbs.stats()["requests"]
    return sum(count for path, count in counts.items() if re.search("nodes/[^/]+/status$", path))


async def test_a_certificate_of_a_thousand_years_ends_when_it_says() -> None:
    """Trap 21."""
    with Simulator() as pbs:
        async with watching(pbs) as watch:
            await watch.run("fast")
            ends_at = watch.picture.certificate_expires_at
            assert ends_at is not None
            assert ends_at.year > 2900
            assert watch.picture.up


def test_what_two_exporters_call_by_one_name_never_stands_on_one_page() -> None:
    """Trap 23."""
    ours, theirs = (
        {family.name: family.label_names for family in one.families} for one in (VOCABULARY, natrontech.VOCABULARY)
    )
    assert ours["pbs_snapshot_count"] != theirs["pbs_snapshot_count"]
    with pytest.raises(ValueError, match="both publish"):
        refuse_clashes([*VOCABULARY.families, *natrontech.VOCABULARY.families])
    assert natrontech.PATH != "/metrics"


async def test_a_copy_that_comes_today_is_as_old_as_what_was_copied() -> None:
    """Trap 25: a sync keeps the moment of the backup, and one that runs each hour makes nothing fresh."""
    with Simulator() as pbs:
        async with watching(pbs) as watch:
            await watch.all()
            old = pbs.truth()["now"] - 40 * 86400
            pbs.happen("create-namespace", store="main", ns="copies")
            pbs.happen("add-snapshot", store="main", ns="copies", type="vm", id="771", time=old)
            watch.clock.turn(minutes=2)
            await watch.run(*LOOKS)
            key = {"store": "main", "ns": "copies", "type": "vm", "id": "771"}
            assert _good_at(watch, key).timestamp() == old


def _good_at(watch: Watch, key: dict[str, Any]) -> datetime:
    good = watch.source(key).good
    assert good is not None
    return good.started_at
