"""Things that happen between two questions of one round."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.collect.pbs.against_truth import differences
from tests.collect.pbs.rig import watching
from tests.collect.pbs.test_events import LOOKS, a_group
from tests.pbs_simulator import Setting, Simulator, Version

API = "/api2/json"
GROUPS, SNAPSHOTS = f"{API}/admin/datastore/*/groups", f"{API}/admin/datastore/*/snapshots"
SPACES, STORES = f"{API}/admin/datastore/*/namespace", f"{API}/admin/datastore"
TASKS = f"{API}/nodes/localhost/tasks"
PROD: dict[str, Any] = {"store": "main", "ns": "prod/cluster1"}
CASES: list[tuple[str, dict[str, Any], list[str]]] = [
    ("delete-group", {}, [GROUPS, SNAPSHOTS]),
    ("delete-snapshot", {}, [GROUPS, SNAPSHOTS]),
    ("add-snapshot", {}, [GROUPS, SNAPSHOTS]),
    ("start-upload", {}, [GROUPS, SNAPSHOTS]),
    ("remove-namespace", PROD, [SPACES, GROUPS]),
    ("remove-namespace", PROD, [GROUPS, SNAPSHOTS]),
    ("maintenance", {"store": "offsite", "mode": "offline"}, [STORES, SPACES]),
    ("maintenance", {"store": "offsite", "mode": "unmount"}, [GROUPS, SNAPSHOTS]),
    ("remove-store", {"store": "offsite"}, [STORES, SPACES]),
    ("create-store", {"store": "fresh"}, [STORES, SPACES]),
    ("gc-start", {"store": "main"}, [TASKS, STORES]),
    ("fail-backup", {}, [TASKS, STORES]),
    ("upgrade", {"version": "4.2.3", "down_s": 0.05}, [STORES, SPACES]),
]


@pytest.mark.parametrize(("kind", "told", "between"), CASES)
async def test_what_happens_within_a_round_is_right_after_the_next(
    kind: str, told: dict[str, Any], between: list[str]
) -> None:
    with Simulator(Setting(version=Version.parse("4.1.8"))) as pbs:
        async with watching(pbs) as watch:
            about = told or a_group(pbs)
            pbs.plan({"do": {"kind": kind} | about, "when": {"between": between}})
            await watch.tried("fast", "medium", "fast", "slow", "rare")
            assert all(
                source.good is None or source.good.started_at <= watch.clock.now for source in watch.sources.values()
            )
            watch.clock.turn(minutes=21)
            await watch.tried("fast", "medium", "slow")
            async with asyncio.timeout(30):
                while await watch.tried(*LOOKS):  # an upgrade takes as long as it takes
                    watch.clock.turn(minutes=21)
                    await asyncio.sleep(0.05)
            assert differences(watch.picture, pbs.truth())[:5] == []
            closed = [name for name, store in watch.picture.datastores.items() if not store.up]
            assert watch.picture.pending_groups == 0 or closed
