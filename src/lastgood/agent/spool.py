"""The agent's spool: reports are on disk before they are sent, and leave it when the hub has them.

The asynchronous face of ``spool_file``, whose SQLite connection lives on one thread. Runner and surveyor put reports
in, the link takes them out. The one rule: what ``add`` answered is on disk, whatever happens next. A spool that
cannot be read is moved aside and a new one begun, under a new id, so that the hub takes its numbers for new ones.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import structlog

from lastgood.agent import kept, kept_deploys
from lastgood.agent.kept import Fired, OpenRun
from lastgood.agent.kept_deploys import OpenDeploy
from lastgood.agent.spool_file import CAP_BYTES, Met, SpoolFile
from lastgood.clock import Clock
from lastgood.errors import ConfigError, StoreError
from lastgood.ids import ulid
from lastgood.model.job import RunStart
from lastgood.model.stack import DeployStart
from lastgood.wire.frames import Report, Said

log = structlog.get_logger(__name__)

RETRY_SECONDS = 5.0
_T = TypeVar("_T")


class Spool:
    """An open spool. Made by ``Spool.open``; every method may raise StoreError and then has changed nothing."""

    def __init__(
        self, file: SpoolFile, thread: ThreadPoolExecutor, clock: Clock, *, fresh: bool, retry_seconds: float
    ) -> None:
        self._file = file
        self._thread = thread
        self._clock = clock
        self._retry_seconds = retry_seconds
        self.fresh = fresh
        """Whether it was begun just now: the hub knows nothing of this spool, so everything is surveyed anew."""
        self.changed = asyncio.Event()
        """Set when something was added, for the link to send."""

    @classmethod
    async def open(
        cls, path: Path, clock: Clock, *, cap_bytes: int = CAP_BYTES, retry_seconds: float = RETRY_SECONDS
    ) -> Spool:
        """Open the spool at ``path``, or begin one. ConfigError if it is another agent's, or a newer one's."""
        thread = ThreadPoolExecutor(1, thread_name_prefix="spool")
        loop = asyncio.get_running_loop()
        try:
            file, fresh = await loop.run_in_executor(thread, _open, path, clock(), cap_bytes)
        except BaseException:
            thread.shutdown(wait=False)
            raise
        return cls(file, thread, clock, fresh=fresh, retry_seconds=retry_seconds)

    @property
    def id(self) -> str:
        """The ULID under which the hub counts this spool's reports."""
        return self._file.spool_id

    @property
    def acknowledged(self) -> int:
        """Up to which report the hub has everything."""
        return self._file.acknowledged

    async def add(self, said: Said) -> int:
        """Keep a report; its sequence number once it is on disk. WireError if it is too large for a frame."""
        sequence = await self._do(self._file.add, said)
        self.changed.set()
        return sequence

    async def keep(self, said: Said) -> int:
        """As ``add``, and while the disk does not take it, again and again: a finished run must not be lost."""
        complained = False
        while True:
            try:
                return await self.add(said)
            except StoreError as error:
                if not complained:
                    log.error(
                        "report not on disk yet, trying again", reason=str(error), every_seconds=self._retry_seconds
                    )
                complained = True
                await asyncio.sleep(self._retry_seconds)

    async def after(self, sequence: int, limit: int) -> list[Report]:
        """The reports above ``sequence``, lowest first, at most ``limit``."""
        return await self._do(self._file.after, sequence, limit)

    async def acknowledge(self, sequence: int) -> None:
        """The hub has everything up to ``sequence``."""
        await self._do(self._file.acknowledge, sequence)

    async def owed(self) -> int:
        """The highest number that the hub must come to before it knows all that we know."""
        return await self._do(self._file.owed)

    async def depth(self) -> int:
        """How many reports wait for the hub."""
        return await self._do(self._file.depth)

    async def meet(self, acknowledged: int) -> Met:
        """Compare marks with the hub's first word, and offer it everything above from now on."""
        return await self._do(self._file.meet, acknowledged, self._clock())

    def part(self) -> None:
        """The connection is over: what is added from now on has not been offered to anybody."""
        self._file.offering = False

    async def wish(self, start: RunStart) -> bool:
        """Remember a run that somebody asked for; False if its id was seen before."""
        return await self._change(lambda db: kept.wish(db, start))

    async def touch(self, run_id: str) -> None:
        """The run is still alive."""
        at = self._clock()
        await self._change(lambda db: kept.touch(db, run_id, at))

    async def open_runs(self) -> list[OpenRun]:
        """The runs that were accepted or started and have no finish."""
        return await self._change(kept.open_runs)

    async def wish_deploy(self, start: DeployStart) -> bool:
        """Remember a deploy that somebody asked for; False if its id was seen before."""
        return await self._change(lambda db: kept_deploys.wish(db, start))

    async def open_deploys(self) -> list[OpenDeploy]:
        """The deploys that were accepted or begun and have no end."""
        return await self._change(kept_deploys.open_deploys)

    async def follow(self, source_id: str, fired: Fired) -> None:
        """A source's schedule is followed from here on."""
        await self._change(lambda db: kept.follow(db, source_id, fired))

    async def fired(self) -> dict[str, Fired]:
        """Up to where each source's schedule has been followed."""
        return await self._change(kept.all_fired)

    async def has_opened(self, repository_id: str) -> bool:
        """Whether a repository was ever reported ready from here; one that was is never made anew."""
        return await self._change(lambda db: kept.has_opened(db, repository_id))

    async def measured(self, repository_id: str, at: datetime) -> None:
        """A repository was measured."""
        await self._change(lambda db: kept.measured(db, repository_id, at))

    async def last_measured(self) -> dict[str, datetime]:
        """When each repository was last measured."""
        return await self._change(kept.all_measured)

    async def close(self) -> None:
        """Close the file; nothing may be asked any more."""
        await self._do(self._file.close)
        self._thread.shutdown()

    async def _change(self, change: Callable[[sqlite3.Connection], _T]) -> _T:
        def within() -> _T:
            with self._file.transaction() as db:
                return change(db)

        return await self._do(within)

    async def _do(self, work: Callable[..., _T], *arguments: object) -> _T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)
        except sqlite3.Error as error:
            raise StoreError(f"The spool cannot be read: {error}; see to its disk.") from error


def _open(path: Path, at: datetime, cap_bytes: int) -> tuple[SpoolFile, bool]:
    """The spool, and whether it was begun just now, perhaps because a broken one had to make way."""
    fresh = not path.exists()
    try:
        return SpoolFile(path, at, cap_bytes), fresh
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise ConfigError(f"Another agent is running with the spool {path}; stop it first.") from error
        if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
            raise StoreError(f"The spool {path} cannot be opened: {error}; see to its disk.") from error
        raise ConfigError(f"The spool {path} cannot be opened: {error}; see to its folder and disk.") from error
    except sqlite3.DatabaseError as error:
        aside = path.with_name(f"{path.name}.broken-{ulid(at)}")
        for suffix in ("", "-wal", "-shm"):
            part = path.with_name(path.name + suffix)
            if part.exists():
                part.rename(f"{aside}{suffix}")
        log.error(
            "spool broken, moved aside; reports not yet acknowledged are in it", reason=str(error), to=str(aside)
        )
        return SpoolFile(path, at, cap_bytes), True
