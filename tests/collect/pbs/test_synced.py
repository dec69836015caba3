"""When a datastore was last synchronised is told with it, as its server knows."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.collect.pbs.rig import watching
from tests.pbs_simulator import SIZES, Setting, Simulator


async def test_the_newest_sync_that_went_well_is_told_of_its_datastore() -> None:
    with Simulator(Setting(size=SIZES["medium"])) as pbs:
        ended: dict[str, datetime] = {}
        for job in pbs.truth()["jobs"]:
            if job["kind"] == "sync" and job["class"] == "ok" and job["last_end"] is not None:
                at = datetime.fromtimestamp(job["last_end"], UTC)
                ended[job["store"]] = max(ended.get(job["store"], at), at)
        assert ended
        async with watching(pbs) as watch:
            await watch.run("medium")
            assert {one.name: one.synced_at for one in watch.repositories.values() if one.synced_at} == ended
