"""The machine of the hub is lost: backed up while real agents tell it of runs, killed, and restored elsewhere.

Nobody enrols again. What came after the backup was acknowledged by a hub that is no more: the agents tell it again.
"""

from __future__ import annotations

import asyncio
import signal
from datetime import timedelta
from pathlib import Path

from lastgood.clock import now
from tests.flow.hub import lastgood
from tests.flow.test_kill_hub import Agent, Hub, enrol, quiet_port, runs_kept, soundness
from tests.waiting import until

MORE = 60


async def command(*words: str) -> str:
    ended = await asyncio.to_thread(lastgood, *words)
    assert ended.returncode == 0, ended.stderr
    return str(ended.stdout)


async def test_agents_return_to_a_hub_restored_on_another_machine_and_nothing_is_lost(tmp_path: Path) -> None:
    begin = now() - timedelta(days=1)
    agents = [Agent(number, begin) for number in range(2)]
    old = Hub(tmp_path / "old", quiet_port())
    new = Hub(tmp_path / "new", old.port)
    hub_key = await enrol(old.folder, agents, begin)
    url = f"ws://127.0.0.1:{old.port}/ws/agent"
    backup, kit = str(tmp_path / "hub.age"), tmp_path / "kit.txt"
    await old.begin()
    try:
        await old.serving()
        async with agents[0].running(url, hub_key, tmp_path), agents[1].running(url, hub_key, tmp_path):

            async def further(floor: list[int]) -> bool:
                pairs = zip(agents, floor, strict=True)
                return all(agent.spool.acknowledged > known + MORE for agent, known in pairs)

            await until(lambda: further([0, 0]), "the hub knows of some runs")
            kit.write_text(await command("recovery-kit", "--take", "--data-dir", str(old.folder)))
            said = await command("backup-hub", backup, "--data-dir", str(old.folder))
            assert "the recovery key opens it" in said
            backed_up = [agent.spool.acknowledged for agent in agents]
            await until(lambda: further(backed_up), "the hub knows of runs that its backup does not")
            await old.end(signal.SIGKILL)
            forgotten = [agent.spool.acknowledged for agent in agents]

            opens = ("--recovery-key-file", str(kit))
            said = await command("restore-hub", backup, "--data-dir", str(new.folder), *opens)
            assert "no new enrolment" in said
            assert soundness(new.folder) == "ok"
            assert len(runs_kept(new.folder)) < sum(forgotten)
            await new.begin()
            await new.serving()
        assert await new.end(signal.SIGTERM) == 0
    finally:
        for hub in (old, new):
            if hub.process is not None:
                await hub.end(signal.SIGKILL)
    told = [run.id for agent in agents for run in agent.told]
    assert sorted(runs_kept(new.folder)) == sorted(told)
    assert [agent.surveys_asked for agent in agents] == [1, 1], "the gap was noticed, and repositories looked into"
