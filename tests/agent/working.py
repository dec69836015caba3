"""An agent at work with the real restic: a host with its files, and what its hub hears of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import msgspec

from lastgood.agent.agent import Agent
from lastgood.agent.backoff import Backoff
from lastgood.agent.enrolment import AgentConfig
from lastgood.agent.files import write_private
from lastgood.agent.handshake import to_text
from lastgood.agent.trying import Patience
from lastgood.clock import Clock, now
from lastgood.model.job import Run, RunKind, Schedule
from lastgood.wire.frames import Assignment, Finished, Order, RepositoryAccess, RunNow, Said
from tests.builders import an_id
from tests.hub.rig import AGENT_KEYS, HOST, HUB_KEYS, Rig
from tests.waiting import until

REPOSITORY = an_id("repository")
SOURCE = an_id("source")
NIGHTLY = Schedule(cron="0 2 * * *")
T = TypeVar("T", bound=Said)


@dataclass
class Place:
    """A host: its agent's files, a source with something in it, and a repository that is not there yet."""

    folder: Path
    restic: str = "restic"
    orders: Assignment = field(init=False)

    def __post_init__(self) -> None:
        (self.folder / "source").mkdir()
        (self.folder / "source" / "letter").write_text("dear reader\n" * 50)
        write_private(self.folder / "password", b"correct-horse\n")
        write_private(self.folder / "agent.key", to_text(AGENT_KEYS.private_key).encode() + b"\n")
        self.orders = self.assignment()

    def assignment(self, version: str = "1", *, initialise: bool = True, **changes: object) -> Assignment:
        order = Order(
            source_id=SOURCE,
            name="home",
            repository_id=REPOSITORY,
            restic_host="web-1",
            tag=f"lg:{SOURCE}",
            paths=(str(self.folder / "source"),),
        )
        access = RepositoryAccess(
            id=REPOSITORY,
            name="vault",
            url=str(self.folder / "repository"),
            password_file=str(self.folder / "password"),
            initialise=initialise,
        )
        order = msgspec.structs.replace(order, **changes)
        return Assignment(version=version, repositories=(access,), orders=(order,))

    def config(self, url: str) -> AgentConfig:
        return AgentConfig(
            hub_url=url,
            hub_key=to_text(HUB_KEYS.public_key),
            host_id=HOST.id,
            key_file=str(self.folder / "agent.key"),
            data_dir=str(self.folder / "data"),
            restic=self.restic,
        )

    def endless_source(self) -> Path:
        """A folder whose backup takes minutes and no space: one file that is all hole."""
        folder = self.folder / "endless"
        folder.mkdir()
        with (folder / "hole").open("wb") as file:
            file.truncate(256 << 30)
        return folder


@contextlib.asynccontextmanager
async def working(
    place: Place, url: str, clock: Clock = now, patience: Patience | None = None
) -> AsyncIterator[asyncio.Event]:
    """An agent at work; gives the event that stops it, and waits for its end."""
    stop = asyncio.Event()
    policy_file = place.folder / "agent-policy.toml"
    agent = Agent(place.config(url), clock, Backoff(0.01, 0.05), policy_file=policy_file, patience=patience)
    running = asyncio.create_task(agent.run(stop))
    try:
        yield stop
    finally:
        stop.set()
        async with asyncio.timeout(20):
            await running


async def said(rig: Rig, kind: type[T], holds: Callable[[T], bool] = lambda _: True, seconds: float = 30) -> T:
    """The first report of a kind that fits, once the hub has it."""

    async def look() -> T | None:
        return next((one for one in rig.said if isinstance(one, kind) and holds(one)), None)

    return await until(look, f"a {kind.__name__}", seconds)


async def finish(rig: Rig, run_id: str) -> Run:
    return (await said(rig, Finished, lambda one: one.run.id == run_id)).run


async def run_now(rig: Rig, name: str = "wish", kind: RunKind = RunKind.BACKUP, **wish: object) -> str:
    """Have the agent run something; of the source, unless the wish names a repository alone."""
    run_id = an_id("run", name)
    frame = RunNow(run_id=run_id, kind=kind, **({"source_id": SOURCE} | wish))  # type: ignore[arg-type]

    async def reach() -> bool:
        return await rig.roster.send(HOST.id, frame)

    await until(reach, "the agent is connected")
    return run_id
