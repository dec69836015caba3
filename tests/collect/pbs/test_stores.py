"""What is told of a datastore that cannot be read."""

from __future__ import annotations

from lastgood.model.repository import Probe
from tests.collect.pbs.rig import watching
from tests.pbs_simulator import SIZES, Setting, Simulator


async def test_a_datastore_that_was_never_read_is_not_told_to_be_empty() -> None:
    with Simulator(Setting(size=SIZES["states"])) as pbs:
        async with watching(pbs) as watch:
            await watch.all()
            closed, read = watch.repository("archive"), watch.repository("main")
            assert (closed.probe, closed.snapshots) == (Probe.UNREACHABLE, None)
            assert read.snapshots
            watch.clock.turn(minutes=2)
            pbs.happen("maintenance", store="main", mode="offline")
            await watch.run("medium")
            assert watch.repository("main").snapshots == read.snapshots
