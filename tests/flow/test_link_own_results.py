"""One agent's key writes only its own results: what it says of another host's source, run or repository counts for
nothing, is kept where a person sees it, and holds up nothing that it may say.

Real sessions and a real store; only the connection is in memory.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from lastgood.agent.handshake import to_text
from lastgood.auth.identity import KeyPair, mint_key_pair
from lastgood.clock import now
from lastgood.config.settings import ServerSettings, Settings
from lastgood.model.fact import HostEnrolled, RepositoryConfigured, SourceConfigured
from lastgood.model.host import Host
from lastgood.model.job import Outcome
from lastgood.model.repository import Probe, Repository, SnapshotPoint, SnapshotSeries
from lastgood.model.source import Source
from lastgood.service.service import Service
from lastgood.store.history import find_run
from lastgood.wire.frames import Ack, Assignment, Finished, Probed, Refuse, Report, Said, Sized, Snapshots, Started
from tests.builders import a_host, a_repository, a_run, a_run_start, a_source, an_id
from tests.hub.pipe import piped
from tests.hub.rig import Caller

BEGAN = now() - timedelta(hours=2)


@dataclass(frozen=True)
class Party:
    """A host with its own key, source and repository."""

    keys: KeyPair
    host: Host
    repository: Repository
    source: Source


def a_party(name: str, seed: bytes) -> Party:
    keys = mint_key_pair(seed * 32)
    host = a_host(name, key=to_text(keys.public_key), enrolled_at=BEGAN)
    repository = a_repository(f"vault of {name}")
    return Party(keys, host, repository, a_source(f"home of {name}", host, repository, created_at=BEGAN))


GOOD, EVIL = a_party("good", b"g"), a_party("evil", b"e")
FINISHED_AT = BEGAN + timedelta(hours=1)
TOLD = a_run(GOOD.source, FINISHED_AT)


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    service = await Service.open(Settings(server=ServerSettings(data_dir=tmp_path)), now)
    await service.ingest.start()
    by = {"at": BEGAN, "origin": "test"}
    for party in (GOOD, EVIL):
        await service.take(
            [
                HostEnrolled(**by, host=party.host),
                RepositoryConfigured(**by, repository=party.repository),
                SourceConfigured(**by, source=party.source),
            ]
        )
    yield service
    await service.stop()


@asynccontextmanager
async def at_the_hub(service: Service, party: Party) -> AsyncIterator[Caller]:
    async with piped(service.serve_agent) as caller:
        await caller.hello(keys=party.keys, host_id=party.host.id, spool_id=an_id("spool", party.host.name))
        await caller.next(Assignment)
        yield caller


async def tell(caller: Caller, *said: Said) -> None:
    """Report in order, and wait until the hub needs no repetition."""
    await caller.send(*(Report(sequence=number, said=one) for number, one in enumerate(said, 1)))
    while (await caller.next(Ack)).sequence < len(said):
        continue


def lies() -> list[Said]:
    """All that the evil host could say to make the good one look better or worse, or its runs vanish."""
    failed = {"host_id": GOOD.host.id, "ended_at": now(), "outcome": Outcome.FAILED}
    series = SnapshotSeries(
        hostname="good",
        tags=(GOOD.source.tag,),
        paths=("/home",),
        count=1,
        newest=(SnapshotPoint(id="f" * 64, started_at=now()),),
    )
    return [
        Finished(run=a_run(GOOD.source, id=an_id("run", "lie 1"), **failed)),
        Finished(run=a_run(GOOD.source, now(), id=an_id("run", "lie 2"))),
        Finished(run=a_run(GOOD.source, id=an_id("run", "of good"), **failed)),
        Started(run=a_run_start(GOOD.source, now(), id=an_id("run", "lie 3"))),
        Finished(run=replace(a_run(EVIL.source, id=an_id("run", "of good"), **failed), source_id=None)),
        Probed(repository_id=GOOD.repository.id, probe=Probe.WRONG_PASSWORD, probed_at=now()),
        Sized(repository_id=GOOD.repository.id, sized_at=now(), size_bytes=0),
        Snapshots(repository_id=GOOD.repository.id, listed_at=now(), total=0, series=()),
        Snapshots(repository_id=GOOD.repository.id, listed_at=now(), total=1, series=(series,)),
    ]


async def test_what_a_host_says_of_another_counts_for_nothing_and_is_kept_to_be_seen(service: Service) -> None:
    async with at_the_hub(service, GOOD) as good:
        await tell(
            good,
            Finished(run=TOLD),
            Probed(repository_id=GOOD.repository.id, probe=Probe.READY, probed_at=FINISHED_AT, identity="a" * 64),
            Started(run=a_run_start(GOOD.source, FINISHED_AT, id=an_id("run", "of good"))),
        )
    fleet = service.fleet
    before = fleet.evidence_of(GOOD.source.id), fleet.repository_evidence_of(GOOD.repository.id)
    running = dict(fleet.running)

    # An id of another's run for a run of its own hurts nobody: the other's row stands, and its own fails.
    borrowed = Finished(run=a_run(EVIL.source, BEGAN + timedelta(minutes=30), Outcome.FAILED, id=TOLD.id))
    own = Finished(run=a_run(EVIL.source, FINISHED_AT, id=an_id("run", "own"), host_id=GOOD.host.id))
    async with at_the_hub(service, EVIL) as evil:
        await tell(evil, *lies(), borrowed, own)

    assert (fleet.evidence_of(GOOD.source.id), fleet.repository_evidence_of(GOOD.repository.id)) == before
    assert fleet.running == running
    assert service.ingest.counts.quarantined == len(lies())
    await service.checkpoint.save()
    assert await service.database.read(lambda rows: find_run(rows, an_id("run", "lie 2"))) is None
    kept = await service.database.read(lambda rows: find_run(rows, TOLD.id))
    assert kept is not None
    assert kept[0] == TOLD
    attempt = fleet.evidence_of(EVIL.source.id).last_attempt
    assert attempt is not None
    assert (attempt.id, attempt.host_id) == (own.run.id, EVIL.host.id), "its own result is taken, as its own"
    assert fleet.last_backups[GOOD.host.id].ended_at == FINISHED_AT


async def test_a_key_opens_no_other_hosts_session(service: Service) -> None:
    async with piped(service.serve_agent) as caller:
        await caller.hello(keys=EVIL.keys, host_id=GOOD.host.id)
        refusal = await caller.next(Refuse)
    assert "enrol this agent again" in refusal.reason
    assert not service.fleet.presence_of(GOOD.host.id).connected
