"""A wish for a run through a whole hub, over connections that break, to an end that was first told wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from websockets.asyncio.client import connect

from lastgood.clock import now
from lastgood.config.settings import ServerSettings, Settings
from lastgood.hub.wishes import Wish
from lastgood.model.fact import HostEnrolled, RepositoryConfigured, SourceConfigured
from lastgood.model.job import Outcome, Run, RunKind
from lastgood.service.service import Service
from lastgood.store import history
from lastgood.web.wiring import faces_of
from lastgood.wire.frames import Ack, Assignment, Finished, Report, RunNow, Started, Welcome
from tests.builders import a_repository, a_run, a_run_start, a_source
from tests.hub.rig import HOST, Caller
from tests.serving import serving
from tests.waiting import until

HOME = a_source("home", HOST)


@asynccontextmanager
async def a_hub(folder: Path) -> AsyncIterator[tuple[Service, str]]:
    service = await Service.open(Settings(server=ServerSettings(data_dir=folder)), now)
    await service.start()
    faces = faces_of(service)
    await service.take(
        [
            HostEnrolled(at=now(), origin="test", host=HOST),
            RepositoryConfigured(at=now(), origin="test", repository=a_repository()),
            SourceConfigured(at=now(), origin="test", source=HOME),
        ]
    )
    try:
        async with serving(faces.app) as address:
            yield service, f"ws://{address}/ws/agent"
    finally:
        faces.scrape.close()
        await service.stop()


@asynccontextmanager
async def an_agent(service: Service, url: str, **hello: Any) -> AsyncIterator[Caller]:
    async with connect(url, compression=None, proxy=None, close_timeout=1) as socket:
        agent = Caller(socket)
        await agent.hello(sent_at=now(), **hello)
        await agent.next(Welcome)
        await agent.next(Assignment)
        yield agent

    async def gone() -> bool:
        return HOST.id not in service.roster

    await until(gone, "the connection is over")


async def test_a_wish_survives_broken_connections_and_a_lost_run_is_corrected_by_its_agent(tmp_path: Path) -> None:
    async with a_hub(tmp_path) as (service, url):
        async with an_agent(service, url) as agent:
            run_id = await service.commands.start(Wish(kind=RunKind.BACKUP, source_id=HOME.id), "ann")
        async with an_agent(service, url) as agent:
            assert (await agent.next(RunNow)).run_id == run_id
            start = a_run_start(HOME, now(), id=run_id, host_id=HOST.id, due_at=None)
            await agent.send(Report(sequence=1, said=Started(run=start)))
            await agent.next(Ack)
            assert service.commands.queued() == {}
            assert run_id in service.fleet.running

        async with an_agent(service, url, last_sequence=1) as agent:

            async def called_lost() -> bool:
                attempt = service.fleet.evidence_of(HOME.id).last_attempt
                return attempt is not None and attempt.outcome is Outcome.LOST

            await until(called_lost, "nobody knows of the run")
            ended = a_run(HOME, now(), id=run_id, host_id=HOST.id, started_at=start.started_at, due_at=None)
            await agent.send(Report(sequence=2, said=Finished(run=ended, log="every file was saved")))
            await agent.next(Ack)
        attempt = service.fleet.evidence_of(HOME.id).last_attempt
        assert attempt is not None
        assert (attempt.id, attempt.outcome) == (run_id, Outcome.SUCCESS)
        found = await service.read_in_step(partial(history.find_run, run_id=run_id))
        assert found is not None
        assert isinstance(found[0], Run)
        assert (found[0].outcome, found[1]) == (Outcome.SUCCESS, "every file was saved")
        assert service.ingest.counts.quarantined == 0
