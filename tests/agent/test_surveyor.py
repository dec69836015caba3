"""Who is looked into, and when; with the real restic, and a clock that is turned."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from lastgood.agent.spool import Spool
from lastgood.agent.surveyor import Surveyor
from lastgood.clock import now
from lastgood.fleet.judge import SURVEY_INTERVAL
from lastgood.model.repository import Probe
from lastgood.tools.restic.driver import Restic
from lastgood.wire.frames import Probed, RepositoryAccess, Said, Sized, Snapshots
from tests.builders import NOW, an_id
from tests.waiting import until

needs_restic = pytest.mark.skipif(
    shutil.which("restic") is None, reason="restic is not installed: apt-get install restic"
)


class Outlook:
    """A surveyor with a spool of its own, and the clock it goes by."""

    def __init__(self, folder: Path, spool: Spool, binary: str) -> None:
        self.now = NOW
        self.spool = spool
        self.accesses: tuple[RepositoryAccess, ...] = ()
        restic = Restic(binary=binary, cache_dir=folder / "cache", clock=lambda: self.now, grace_seconds=1)
        self.surveyor = Surveyor(restic, spool, lambda: self.accesses, lambda: self.now)

    def due(self) -> list[str]:
        return [access.name for access in self.surveyor.due()]

    async def said(self) -> list[Said]:
        return [report.said for report in await self.spool.after(0, 100)]


@contextlib.asynccontextmanager
async def an_outlook(folder: Path, binary: str = "restic") -> AsyncIterator[Outlook]:
    spool = await Spool.open(folder / "spool.db", now)
    try:
        yield Outlook(folder, spool, binary)
    finally:
        await spool.close()


def an_access(folder: Path, name: str, *, initialise: bool = False) -> RepositoryAccess:
    (folder / "password").write_text("correct-horse\n")
    return RepositoryAccess(
        id=an_id("repository", name),
        name=name,
        url=str(folder / name),
        password_file=str(folder / "password"),
        initialise=initialise,
    )


def make_repository(folder: Path, name: str, *, filled: bool = True) -> None:
    env = {"PATH": os.environ["PATH"], "RESTIC_PASSWORD": "correct-horse", "RESTIC_CACHE_DIR": str(folder / "made")}
    commands = [["init"], ["backup", str(folder / "password")]] if filled else [["init"]]
    for command in commands:
        subprocess.run(["restic", "-r", str(folder / name), *command], env=env, check=True, capture_output=True)


async def test_each_repository_is_due_at_once_then_every_quarter_of_an_hour_and_when_asked(tmp_path: Path) -> None:
    async with an_outlook(tmp_path) as outlook:
        outlook.accesses = (an_access(tmp_path, "a"), an_access(tmp_path, "b"))
        assert outlook.due() == ["a", "b"]
        looking = asyncio.create_task(outlook.surveyor.run())
        await until(lambda: _both_looked(outlook), "both were looked into")
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        assert outlook.due() == []
        outlook.now += SURVEY_INTERVAL - timedelta(seconds=1)
        assert outlook.due() == []
        outlook.surveyor.look(outlook.accesses[1].id)
        assert outlook.due() == ["b"]
        outlook.now += timedelta(seconds=1)
        assert outlook.due() == ["a", "b"]
        outlook.surveyor.look_everywhere()
        assert outlook.due() == ["a", "b"]


async def _both_looked(outlook: Outlook) -> bool:
    return len([one for one in await outlook.said() if isinstance(one, Probed)]) == 2


async def test_a_clock_that_was_set_back_does_not_put_off_the_next_look(tmp_path: Path) -> None:
    async with an_outlook(tmp_path) as outlook:
        outlook.accesses = (an_access(tmp_path, "a"),)
        outlook.surveyor.look(outlook.accesses[0].id)
        outlook.now -= timedelta(days=400)
        assert outlook.due() == ["a"]


@needs_restic
async def test_sizes_are_measured_once_a_day_and_not_again_after_a_restart(tmp_path: Path) -> None:
    access = an_access(tmp_path, "vault")
    make_repository(tmp_path, "vault")
    async with an_outlook(tmp_path) as outlook:
        await outlook.surveyor.survey(access)
        (first,) = [one for one in await outlook.said() if isinstance(one, Sized)]
        assert first.snapshots == 1
    async with an_outlook(tmp_path) as outlook:
        outlook.now += timedelta(hours=23)
        await outlook.surveyor.survey(access)
        assert [one for one in await outlook.said() if isinstance(one, Sized)] == [first]
        outlook.now += timedelta(hours=1)
        await outlook.surveyor.survey(access)
        (second,) = [one for one in await outlook.said() if isinstance(one, Sized)]
        assert second.sized_at == NOW + timedelta(days=1)


@needs_restic
async def test_an_empty_repository_is_listed_as_empty_and_not_measured(tmp_path: Path) -> None:
    access = an_access(tmp_path, "vault")
    make_repository(tmp_path, "vault", filled=False)
    async with an_outlook(tmp_path) as outlook:
        await outlook.surveyor.survey(access)
        said = await outlook.said()
    (listed,) = [one for one in said if isinstance(one, Snapshots)]
    assert (listed.total, listed.series) == (0, ())
    assert not [one for one in said if isinstance(one, Sized)]


@needs_restic
async def test_a_repository_that_is_gone_is_told_and_nothing_is_made_up(tmp_path: Path) -> None:
    async with an_outlook(tmp_path) as outlook:
        await outlook.surveyor.survey(an_access(tmp_path, "gone"))
        (probed,) = await outlook.said()
        assert isinstance(probed, Probed)
        assert probed.probe is Probe.MISSING
        await outlook.surveyor.survey(an_access(tmp_path, "new", initialise=True))
        assert len(await outlook.said()) == 1, "one that is still to be made is no fault"


@needs_restic
async def test_a_repository_that_does_not_answer_holds_up_no_other(tmp_path: Path) -> None:
    binary = tmp_path / "restic"
    binary.write_text('#!/bin/sh\ncase "$RESTIC_REPOSITORY" in *stuck) sleep 600;; esac\nexec restic "$@"\n')
    binary.chmod(0o755)
    async with an_outlook(tmp_path, str(binary)) as outlook:
        outlook.accesses = (an_access(tmp_path, "stuck"), an_access(tmp_path, "vault"))
        make_repository(tmp_path, "vault")
        looking = asyncio.create_task(outlook.surveyor.run())

        async def sized() -> bool:
            return any(isinstance(one, Sized) for one in await outlook.said())

        await until(sized, "the other one is measured")
        assert outlook.due() == [], "the stuck one is still being looked into, and only once"
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)


@needs_restic
async def test_of_a_repository_that_it_watches_an_agent_tells_when_each_series_comes(tmp_path: Path) -> None:
    access = an_access(tmp_path, "vault")
    make_repository(tmp_path, "vault")
    async with an_outlook(tmp_path) as outlook:
        await outlook.surveyor.survey(access)
        (used,) = [one for one in await outlook.said() if isinstance(one, Snapshots)]
        await outlook.surveyor.survey(msgspec.structs.replace(access, watch=True))
        (watched,) = [one for one in await outlook.said() if isinstance(one, Snapshots)]
    assert used.series[0].habit is None
    habit = watched.series[0].habit
    assert habit is not None
    assert habit.starts == (watched.series[0].newest[0].started_at,)
