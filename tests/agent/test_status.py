"""What the agent on this machine says of itself without its hub, whether it runs or not."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from lastgood.agent.agent import Agent
from lastgood.agent.enrolment import AgentConfig, make_key
from lastgood.agent.files import save_assignment
from lastgood.agent.handshake import to_text
from lastgood.agent.spool import Spool
from lastgood.agent.status import NAME, AgentStatus, look
from lastgood.clock import now
from lastgood.model.job import Schedule
from lastgood.wire.frames import Assignment, Order
from tests.hub.rig import HOST, HUB_KEYS, started
from tests.waiting import until

NIGHT = datetime(2026, 3, 4, 12, tzinfo=UTC)


@pytest.fixture
def config(tmp_path: Path) -> AgentConfig:
    make_key(tmp_path / "agent.key")
    (tmp_path / "data").mkdir(mode=0o700)
    return AgentConfig(
        hub_url="http://127.0.0.1:9",
        hub_key=to_text(HUB_KEYS.public_key),
        host_id=HOST.id,
        key_file=str(tmp_path / "agent.key"),
        data_dir=str(tmp_path / "data"),
    )


def ordered(folder: Path) -> None:
    order = Order(
        source_id="s",
        name="etc",
        repository_id="r",
        restic_host="web-1",
        tag="lg:s",
        paths=("/etc",),
        schedule=Schedule(cron="0 2 * * *", zone="UTC"),
    )
    broken = msgspec.structs.replace(order, name="odd", schedule=Schedule(cron="never", zone="UTC"))
    save_assignment(folder / "assignment.json", Assignment(version="7", repositories=(), orders=(order, broken)))


async def test_of_an_agent_that_does_not_run_the_spool_is_read(config: AgentConfig) -> None:
    folder = Path(config.data_dir)
    assert look(config, NIGHT).reports is None
    ordered(folder)
    spool = await Spool.open(folder / "spool.db", now)
    for number in range(3):
        await spool.add(started(number))
    await spool.close()
    before = sorted(path.name for path in folder.iterdir())
    said = look(config, NIGHT)
    assert (said.running, said.connected, said.reports, said.orders_version) == (False, False, 3, "7")
    assert [order.next_at for order in said.orders] == [datetime(2026, 3, 5, 2, tzinfo=UTC), None]
    assert said.hub == HUB_KEYS.fingerprint
    assert sorted(path.name for path in folder.iterdir()) == before


async def test_a_running_agent_notes_how_it_stands(config: AgentConfig) -> None:
    folder, stop = Path(config.data_dir), asyncio.Event()
    spool = await Spool.open(folder / "spool.db", now)
    await spool.add(started(1))
    await spool.close()
    running = asyncio.create_task(Agent(config).run(stop))

    async def noted() -> AgentStatus | None:
        said = await asyncio.to_thread(look, config, now())
        return said if said.running and said.away else None

    try:
        said = await until(noted, "the agent's note of why its hub is away")
    finally:
        stop.set()
        await running
    # Two: it reports the run that nobody finished as lost.
    assert (said.connected, said.reports) == (False, 2)
    assert (folder / NAME).stat().st_mode & 0o777 == 0o600
    after = look(config, now())
    assert (after.running, after.away) == (False, "")


def test_a_note_or_spool_that_cannot_be_read_is_no_traceback(config: AgentConfig) -> None:
    folder = Path(config.data_dir)
    (folder / NAME).write_text("{")
    (folder / "spool.db").write_text("my holiday photographs" * 100)
    Path(config.key_file).unlink()
    said = look(config, NIGHT)
    assert (said.running, said.reports, said.fingerprint) == (False, None, None)
