"""The hub's own looks with real restic: what is found, what an unreachable repository does to others, and when."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lastgood.clock import now as wall_clock
from lastgood.errors import StoreError
from lastgood.fleet.fleet import Fleet
from lastgood.fleet.judge import repository_state, source_state
from lastgood.fleet.learn import learn
from lastgood.model.fact import Fact, RepositoryConfigured, RepositoryRemoved
from lastgood.model.repository import HUB, Probe, Repository, RepositoryState, Slot
from lastgood.model.source import State
from lastgood.service.lookout import ORIGIN, Lookout, Timetable
from lastgood.store.lease import AlwaysHeld
from lastgood.tools.restic.driver import Deadlines, Restic
from lastgood.wire.frames import Held
from tests.builders import NOW, an_id
from tests.tools.restic.store import Store
from tests.waiting import until

pytestmark = pytest.mark.skipif(shutil.which("restic") is None, reason="restic is not installed")
PASSWORD = "correct-horse-battery"


class Hub:
    """A fleet and its lookout; ``offset`` turns the clock."""

    def __init__(
        self, folder: Path, held: Held | None = None, probe_seconds: float = 10.0, binary: str = "restic"
    ) -> None:
        self.fleet = Fleet()
        self.told: list[Fact] = []
        self.offset = timedelta()
        self.broken = False
        self.refused = 0
        self.folder = folder
        deadlines = Deadlines(probe=probe_seconds, snapshots=20.0, stats=20.0, locks=20.0)
        restic = Restic(binary=binary, cache_dir=folder / "cache", clock=self.clock, deadlines=deadlines)
        self.lookout = Lookout(self.fleet, self.take, lambda _r, _s: held, self.clock, AlwaysHeld(), restic)

    def clock(self) -> datetime:
        return wall_clock() + self.offset

    async def take(self, facts: Sequence[Fact]) -> None:
        if self.broken:
            self.refused += 1
            raise StoreError("The disk is full.")
        for told in facts:
            learn(self.fleet, told)
            self.told.append(told)

    async def watch(self, name: str, url: str, **changes: object) -> Repository:
        password_file = self.folder / "password"
        password_file.write_text(PASSWORD)
        password_file.chmod(0o600)
        made = Repository(
            id=an_id(name),
            name=name,
            url=url,
            added_at=self.clock(),
            password_file=str(password_file),
            watched_by=HUB,
        )
        repository = replace(made, **changes)  # type: ignore[arg-type]
        await self.take([RepositoryConfigured(at=self.clock(), origin="test", repository=repository)])
        return repository

    def looks(self, repository: Repository) -> int:
        told = [fact for fact in self.told if getattr(fact, "repository_id", None) == repository.id]
        return sum(type(fact).__name__ == "RepositoryProbed" for fact in told)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.lookout.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository that plain restic filled: three nights of two series."""
    folder = tmp_path_factory.mktemp("plain")
    (folder / "data").mkdir()
    (folder / "data" / "file").write_text("words\n")
    restic(folder, "init")
    for night in range(3):
        at = (wall_clock() - timedelta(days=2 - night, hours=1)).strftime("%Y-%m-%d %H:%M:%S")
        restic(folder, "backup", "--host", "nas", "--time", at, str(folder / "data"))
    restic(folder, "backup", "--host", "laptop", str(folder / "data"))
    return folder


@pytest.fixture
def store() -> Iterator[Store]:
    far_side = Store()
    yield far_side
    far_side.close()


def restic(folder: Path, *arguments: str) -> None:
    env = {
        "PATH": os.environ["PATH"],
        "RESTIC_PASSWORD": PASSWORD,
        "RESTIC_CACHE_DIR": str(folder / "cache"),
        "TZ": "UTC",
    }
    argv = ["restic", "-q", "-r", str(folder / "repository"), *arguments]
    subprocess.run(argv, env=env, check=True, capture_output=True)


@pytest.fixture
def plain(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made / "repository", tmp_path / "repository")
    return tmp_path


async def _until(condition: Callable[[], object], what: str) -> None:
    async def holds() -> bool:
        return bool(condition())

    await until(holds, what)


async def test_a_repository_of_plain_restic_becomes_sources_with_their_states(plain: Path) -> None:
    hub = Hub(plain)
    repository = await hub.watch("vault", str(plain / "repository"))
    async with hub.running():
        await _until(lambda: len(hub.fleet.sources) == 2, "both series are found")
        await _until(lambda: hub.fleet.repository_evidence_of(repository.id).sized_at, "it was measured")
    states = {
        source.restic_host: source_state(hub.fleet, source, hub.clock())[0] for source in hub.fleet.sources.values()
    }
    assert states == {"nas": State.GOOD, "laptop": State.UNKNOWN}
    evidence = hub.fleet.repository_evidence_of(repository.id)
    assert (evidence.probe, evidence.snapshots, evidence.locks) == (Probe.READY, 4, ())
    assert evidence.identity is not None
    assert {fact.origin for fact in hub.told[1:]} == {ORIGIN}
    assert not list((plain / "repository" / "locks").iterdir()), "looks leave no lock"


async def test_credentials_that_the_hub_holds_open_it_as_well(plain: Path) -> None:
    hub = Hub(plain, held=Held(password=PASSWORD))
    await hub.watch("vault", str(plain / "repository"), password_file=None, held=(Slot.EVERYDAY,), held_revision="1")
    async with hub.running():
        await _until(lambda: len(hub.fleet.sources) == 2, "both series are found")


async def test_a_wrong_password_and_a_missing_repository_are_told_as_what_they_are(plain: Path) -> None:
    hub = Hub(plain)
    (plain / "wrong").write_text("nonsense")
    wrong = await hub.watch("wrong", str(plain / "repository"), password_file=str(plain / "wrong"))
    missing = await hub.watch("missing", str(plain / "nothing"))
    nowhere = await hub.watch("nowhere", str(plain / "repository"), password_file=None)

    def probes() -> list[Probe]:
        return [hub.fleet.repository_evidence_of(one.id).probe for one in (wrong, missing)]

    async with hub.running():
        await _until(lambda: probes() == [Probe.WRONG_PASSWORD, Probe.MISSING], "both answers")
        await _until(lambda: hub.fleet.repository_evidence_of(nowhere.id).message, "the third one's")
    assert "has no password here" in (hub.fleet.repository_evidence_of(nowhere.id).message or "")
    assert hub.fleet.sources == {}


async def test_a_hub_without_restic_says_so_on_the_repository(plain: Path) -> None:
    hub = Hub(plain, binary="no-such-restic")
    repository = await hub.watch("vault", str(plain / "repository"))
    async with hub.running():
        await _until(lambda: hub.fleet.repository_evidence_of(repository.id).message, "the reason")
    message = hub.fleet.repository_evidence_of(repository.id).message
    assert message == ("restic was not found as no-such-restic; install restic 0.14 or newer: apt-get install restic")


async def test_one_that_says_nothing_holds_up_no_other_and_keeps_what_was_known(plain: Path, store: Store) -> None:
    hub = Hub(plain, probe_seconds=3.0)
    silent = [await hub.watch(f"silent-{n}", f"rest:http://127.0.0.1:{store.port}/{n}") for n in range(3)]
    store.answer = None
    good = await hub.watch("vault", str(plain / "repository"))
    async with hub.running():
        await _until(lambda: len(hub.fleet.sources) == 2, "the one behind the silent ones is looked into")
        hub.lookout.look(good.id)
        looks = hub.looks(good)
        await _until(lambda: hub.looks(good) > looks, "and again")
        await _until(
            lambda: any(hub.fleet.repository_evidence_of(one.id).probe is Probe.UNREACHABLE for one in silent),
            "a silent one is told as unreachable",
        )


async def test_what_was_known_stays_with_its_age_when_the_repository_goes_away(plain: Path) -> None:
    hub = Hub(plain)
    repository = await hub.watch("vault", str(plain / "repository"))
    async with hub.running():
        await _until(lambda: len(hub.fleet.sources) == 2, "both series are found")
        await _until(lambda: not hub.lookout.looking, "the look is over")
        before = hub.fleet.repository_evidence_of(repository.id)
        (plain / "repository").rename(plain / "elsewhere")
        hub.lookout.look(repository.id)
        await _until(lambda: hub.fleet.repository_evidence_of(repository.id).probe is Probe.MISSING, "it is missing")
    after = hub.fleet.repository_evidence_of(repository.id)
    assert (after.snapshots, after.surveyed_at) == (4, before.surveyed_at)
    assert len(hub.fleet.sources) == 2
    assert repository_state(hub.fleet, repository.id, hub.clock())[0] is RepositoryState.DOWN


async def test_a_look_comes_when_it_is_due_and_not_before(plain: Path) -> None:
    hub = Hub(plain)
    repository = await hub.watch("vault", str(plain / "repository"), watch_seconds=3600)
    async with hub.running():
        await _until(lambda: hub.fleet.repository_evidence_of(repository.id).sized_at, "the first look")
        await _until(lambda: not hub.lookout.looking, "it is over")
    hub.offset = timedelta(minutes=59)
    assert hub.lookout.due() == []
    hub.offset = timedelta(minutes=61)
    assert [one.id for one in hub.lookout.due()] == [repository.id]


@pytest.mark.parametrize(
    ("timetable", "minutes", "due"),
    [
        ({}, 14, False),
        ({}, 15, True),
        ({}, -1, True),
        ({"looked_at": None}, 0, True),
        ({"wanted": True}, 0, True),
        ({"deadline_at": NOW + timedelta(minutes=5)}, 4, False),
        ({"deadline_at": NOW + timedelta(minutes=5)}, 6, True),
        ({"deadline_at": NOW + timedelta(seconds=5)}, 0.5, False),
        ({"failures": 1}, 15, True),
        ({"failures": 2}, 29, False),
        ({"failures": 2}, 30, True),
        ({"failures": 40}, 59, False),
        ({"failures": 40}, 60, True),
        ({"failures": 2, "deadline_at": NOW + timedelta(minutes=5)}, 6, False),
    ],
)
def test_the_timetable_of_a_repository(timetable: dict[str, Any], minutes: float, due: bool) -> None:
    made = Timetable(**{"looked_at": NOW, **timetable})
    assert made.is_due(timedelta(minutes=15), NOW + timedelta(minutes=minutes)) is due


async def test_a_full_disk_breaks_no_look_for_good(plain: Path) -> None:
    hub = Hub(plain)
    repository = await hub.watch("vault", str(plain / "repository"))
    hub.broken = True
    async with hub.running():
        await _until(lambda: hub.refused and not hub.lookout.looking, "it failed")
        hub.broken = False
        hub.lookout.look(repository.id)
        await _until(lambda: len(hub.fleet.sources) == 2, "both series are found")


async def test_a_repository_that_was_removed_is_not_looked_into_any_more(plain: Path) -> None:
    hub = Hub(plain)
    repository = await hub.watch("vault", str(plain / "repository"))
    async with hub.running():
        await _until(lambda: len(hub.fleet.sources) == 2, "both series are found")
    await hub.take([RepositoryRemoved(at=hub.clock(), origin="test", repository_id=repository.id)])
    hub.offset = timedelta(days=1)
    assert hub.lookout.due() == []
    assert hub.fleet.sources == {}
    told = len(hub.told)
    assert await hub.lookout.survey(repository) == 4, "restic was reading it when it was removed"
    assert len(hub.told) == told
