"""What the collector derives from answers equals what the simulated server knows from the inside."""

from __future__ import annotations

import pytest

from tests.collect.pbs.against_truth import differences
from tests.collect.pbs.rig import watching
from tests.pbs_simulator import KNOWN, SIZES, Setting, Simulator, Version


@pytest.mark.parametrize("version", KNOWN)
async def test_at_every_release_groups_datastores_jobs_and_tasks_are_as_the_server_knows_them(version: str) -> None:
    with Simulator(Setting(version=Version.parse(version))) as pbs:
        async with watching(pbs) as watch:
            await watch.all()
            assert differences(watch.picture, pbs.truth())[:5] == []
            assert watch.picture.pending_groups == 0
            assert watch.picture.up


@pytest.mark.parametrize("version", ["3.2.4", "4.2.3"])
async def test_datastores_in_every_state_are_as_the_server_knows_them(version: str) -> None:
    with Simulator(Setting(size=SIZES["states"], version=Version.parse(version))) as pbs:
        async with watching(pbs) as watch:
            await watch.all()
            assert differences(watch.picture, pbs.truth())[:5] == []
            assert watch.picture.pending_groups == 0


async def test_a_medium_server_is_whole_after_one_round_of_everything() -> None:
    with Simulator(Setting(size=SIZES["medium"])) as pbs:
        async with watching(pbs) as watch:
            await watch.all()
            assert differences(watch.picture, pbs.truth())[:5] == []
            assert len(watch.picture.groups) > 370
            assert watch.picture.truncated == 0
