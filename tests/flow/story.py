"""A real hub whose clock a test turns, and all that can happen to it: two hosts, two repositories, four sources.

SQLite, ingest, ``learn``, watch and application are the real ones (``Service``, ``faces_of``); only its rounds are
called by the test, one at a time, so that each moment can be looked at. The one rule: each step is a method that does
what an agent, a person or the clock would do, and decides nothing.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from lastgood.config.settings import MetricsSettings, ServerSettings, Settings
from lastgood.fleet import presence
from lastgood.model import fact
from lastgood.model.job import Outcome, Run, RunKind, Schedule
from lastgood.model.repository import Lock, Probe, SnapshotPoint, SnapshotSeries
from lastgood.service.service import Service
from lastgood.store import accounts
from lastgood.web.session import session_digest
from lastgood.web.wiring import Faces, faces_of, site_of
from tests.builders import NOW, a_host, a_repository, a_run, a_run_start, a_source, an_id

HOSTS = [a_host(name, enrolled_at=NOW) for name in ("web-1", 'db "2"')]
REPOSITORIES = [a_repository(name, added_at=NOW) for name in ("vault", "attic")]
_MADE: dict[str, Any] = {"created_at": NOW, "revised_at": NOW}
SOURCES = [
    a_source("home", HOSTS[0], REPOSITORIES[0], **_MADE),
    a_source("etc & <co>", HOSTS[0], REPOSITORIES[1], schedule=None, target=timedelta(hours=26), **_MADE),
    a_source("srv", HOSTS[1], REPOSITORIES[0], schedule=Schedule(cron="0 * * * *"), accept_partial=True, **_MADE),
    a_source("attic", HOSTS[1], REPOSITORIES[1], schedule=None, **_MADE),
]
BEGINNING = (
    *(fact.HostEnrolled(at=NOW, origin="test", host=host) for host in HOSTS),
    *(fact.RepositoryConfigured(at=NOW, origin="test", repository=repository) for repository in REPOSITORIES),
    *(fact.SourceConfigured(at=NOW, origin="test", source=source) for source in SOURCES),
)
COOKIE = "a session that outlives the story"


@dataclass
class Story:
    """A real hub in a folder, at a moment that the test turns; each step is a method of its name."""

    folder: Path
    now: datetime = NOW
    runs: list[Run] = field(default_factory=list)
    """Backups that were told and could be learned, in that order."""

    async def open(self) -> None:
        server = ServerSettings(data_dir=self.folder)
        self.service = await Service.open(
            Settings(server=server, metrics=MetricsSettings(auth=False)), lambda: self.now
        )
        await self.service.ingest.start()
        self.faces: Faces = faces_of(self.service)
        transport = httpx.ASGITransport(self.faces.app)  # type: ignore[arg-type]
        self.scraper = httpx.AsyncClient(transport=transport, base_url="http://hub.test")
        self.browser = httpx.AsyncClient(
            transport=transport, base_url="http://hub.test", cookies={"lastgood": COOKIE}
        )
        if not await self.service.database.read(accounts.count_users):
            await self.service.take(BEGINNING)
            await self._sign_in()
        await self.service.watch.tick()

    async def _sign_in(self) -> None:
        user = accounts.User(id=an_id("ann"), name="ann", role="admin", created_at=NOW, password_hash=None)
        session = accounts.Session(
            digest=session_digest(site_of(self.service), COOKIE),
            user_id=user.id,
            created_at=NOW,
            seen_at=NOW,
            expires_at=NOW + timedelta(days=10_000),
            address="",
            agent="tests",
        )
        await self.service.database.write(lambda rows: accounts.add_user(rows, user))
        await self.service.database.write(lambda rows: accounts.add_session(rows, session))

    async def close(self) -> None:
        await self.scraper.aclose()
        await self.browser.aclose()
        self.faces.scrape.close()
        await self.service.stop()
        gc.unfreeze()  # a hub holds what it loaded for the life of its process; here many hubs live in one

    # --- steps ------------------------------------------------------------------------------------------------

    async def tick(self) -> None:
        await self.service.watch.tick()

    async def turn(self, **length: float) -> None:
        self.now += timedelta(**length)
        await self.tick()

    async def jump(self, **length: float) -> None:
        """The clock moves, and something is told before the watch has had its round."""
        self.now += timedelta(**length)

    async def restart(self, **length: float) -> None:
        await self.close()
        self.now += timedelta(**length)
        await self.open()

    async def run(self, which: int, outcome: Outcome, minutes: int, proof: bool, kind: RunKind, dry: bool) -> None:
        source = SOURCES[which]
        number = len(self.runs) + 1
        ended_at = self.now - timedelta(minutes=minutes)
        run = a_run(source, ended_at, outcome, id=an_id("run", number, ended_at), kind=kind, dry_run=dry, due_at=None)
        snapshot_id = f"{number:064x}" if proof and run.snapshot_id else None
        run = replace(run, snapshot_id=snapshot_id)
        if source.id in self.service.fleet.sources and kind is RunKind.BACKUP:
            self.runs.append(run)
        await self._tell(fact.RunFinished(**self._by, run=run))

    async def begin(self, which: int) -> None:
        await self._tell(fact.RunStarted(**self._by, run=a_run_start(SOURCES[which], self.now)))

    async def survey(self, which: int, minutes: int, gone: Sequence[bool], strangers: int) -> None:
        """What is in the repository: the snapshots that runs told of, but for some, and others beside them."""
        repository, listed_at = REPOSITORIES[which], self.now - timedelta(minutes=minutes)
        series = []
        for source in SOURCES:
            if source.repository_id != repository.id:
                continue
            told = [run for run in self.runs if run.source_id == source.id and run.snapshot_id]
            points = [
                SnapshotPoint(id=run.snapshot_id or "", started_at=run.started_at)
                for number, run in enumerate(reversed(told))
                if not gone[number % len(gone)]
            ]
            points += [
                SnapshotPoint(id=f"{n + 1:x}" * 64, started_at=listed_at - timedelta(hours=n))
                for n in range(strangers)
            ]
            points.sort(key=lambda point: point.started_at, reverse=True)
            series.append(
                SnapshotSeries(
                    hostname=source.restic_host,
                    tags=(source.tag,),
                    paths=source.paths,
                    count=len(points),
                    newest=tuple(points[:8]),
                )
            )
        total = sum(one.count for one in series)
        told_of = fact.SnapshotsListed(
            **self._by, repository_id=repository.id, listed_at=listed_at, total=total, series=tuple(series)
        )
        await self._tell(told_of)

    async def probe(self, which: int, probe: Probe, minutes: int) -> None:
        at = self.now - timedelta(minutes=minutes)
        identity = "e" * 64 if probe is Probe.READY else None
        await self._tell(
            fact.RepositoryProbed(
                **self._by, repository_id=REPOSITORIES[which].id, probe=probe, probed_at=at, identity=identity
            )
        )

    async def size(self, which: int, size: int) -> None:
        await self._tell(
            fact.RepositorySized(**self._by, repository_id=REPOSITORIES[which].id, sized_at=self.now, size_bytes=size)
        )

    async def locks(self, which: int, count: int) -> None:
        locks = tuple(
            Lock(id=str(n), created_at=None, exclusive=False, hostname="web-1", pid=n) for n in range(count)
        )
        await self._tell(
            fact.LocksListed(**self._by, repository_id=REPOSITORIES[which].id, listed_at=self.now, locks=locks)
        )

    async def change(self, which: int, changes: dict[str, Any]) -> None:
        held = self.service.fleet.sources.get(SOURCES[which].id, SOURCES[which])
        if "paused_hours" in changes:
            until = self.now + timedelta(hours=changes["paused_hours"])
            changes = {"paused_until": until, "paused_by": "ann"}
        await self._tell(fact.SourceConfigured(**self._by, source=replace(held, **changes)))

    async def host(self, which: int, what: str) -> None:
        host_id = HOSTS[which].id
        match what:
            case "rename":
                await self._tell(fact.HostRenamed(**self._by, host_id=host_id, name=f"renamed at {self.now}"))
            case "remove":
                known = host_id in self.service.fleet.hosts
                await self._tell(fact.HostRemoved(**self._by, host_id=host_id))
                if known:
                    self.runs = [run for run in self.runs if run.host_id != host_id]
            case "enrol":
                await self._tell(fact.HostEnrolled(**self._by, host=HOSTS[which]))

    async def agent(self, which: int, what: str) -> None:
        """What a session does when an agent comes, is in step or not, is heard, goes."""
        judging, host_id = self.service.fleet.judging, HOSTS[which].id
        if host_id not in self.service.fleet.hosts:
            return
        match what:
            case "come":
                moved = presence.connected(judging, host_id, self.now)
            case "arrive":
                presence.connected(judging, host_id, self.now)
                moved = presence.synced(judging, host_id, self.now, True)
            case "in step":
                moved = presence.synced(judging, host_id, self.now, True)
            case "behind":
                moved = presence.synced(judging, host_id, self.now, False)
            case "go":
                moved = presence.disconnected(judging, host_id)
            case _:
                presence.heard(judging, host_id, self.now)
                moved = False
        if moved:
            self.service.watch.presence_changed(host_id)

    @property
    def _by(self) -> dict[str, Any]:
        return {"at": self.now, "origin": "test"}

    async def _tell(self, told: fact.Fact) -> None:
        await self.service.take([told])
