"""All probes at once, while things happen on the server: in the end everything is right."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from tests.collect.pbs.against_truth import differences
from tests.collect.pbs.rig import Watch, readable, watching
from tests.pbs_simulator import SIZES, Latency, Setting, Simulator, Version

KINDS = (
    "add-snapshot",
    "delete-snapshot",
    "verify",
    "fail-backup",
    "edit-group-comment",
    "start-upload",
    "delete-group",
)


async def busy(watch: Watch, draw: random.Random, rounds: int) -> None:
    for _ in range(rounds):
        watch.clock.turn(seconds=37)
        some = [watch.run(name) for name in ("fast", "medium", "slow", "rare") if draw.random() < 0.8]
        await asyncio.gather(*some, *(happening(watch.pbs, draw) for _ in range(3)))


async def happening(pbs: Simulator, draw: random.Random) -> None:
    """One event on a group that is not being written to, between any two answers."""
    await asyncio.sleep(draw.random() * 0.03)
    groups = [group for group in readable(pbs) if group["finished"] > 1 and not group["unfinished"]]
    chosen = draw.choice(groups)
    group: dict[str, Any] = {name: chosen[name] for name in ("store", "ns", "type", "id")}
    kind = draw.choice(KINDS[:-1]) if len(groups) < 60 else draw.choice(KINDS)
    more = {"verify": {"state": draw.choice(["ok", "failed"])}, "edit-group-comment": {"comment": f"{draw.random()}"}}
    taken = kind in ("add-snapshot", "start-upload") and chosen["last_complete"] >= pbs.truth()["now"]
    if not taken:
        pbs.happen(kind, **group, **more.get(kind, {}))


@pytest.mark.parametrize("version", ["3.2.4", "4.2.3"])
async def test_probes_that_run_at_once_on_a_busy_server_lose_nothing(version: str) -> None:
    setting = Setting(size=SIZES["states"], version=Version.parse(version))
    with Simulator(setting, latency=Latency(latency_ms=1, jitter_ms=3)) as pbs:
        async with watching(pbs) as watch:
            await busy(watch, random.Random(int(version[0])), 8)
            for names in (("fast", "medium", "slow"), ("fast", "medium", "slow", "fast")):
                watch.clock.turn(minutes=3)
                await watch.run(*names)
            assert differences(watch.picture, pbs.truth())[:5] == []
            up = {store.name for store in watch.picture.datastores.values() if store.up}
            for group in watch.picture.groups.values():
                if group.store in up and group.last_good is not None:
                    good = watch.sources[group.id].good
                    assert good is not None
                    assert good.started_at == group.last_good.backup_at
