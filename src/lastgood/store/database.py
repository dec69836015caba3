"""The open database: one writer thread, a few readers, one transaction for everything that waits.

Functions are sent to the connection, never the connection to functions: ``write(fn)`` queues ``fn``; whatever is
queued runs in order in one transaction, and nobody is answered before that commit is on disk. Reads see a snapshot of
their own and wait for nobody. The one rule: an answer to a write means that it is durable, an error that nothing of
it was kept.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from lastgood.errors import ConfigError, StoreError
from lastgood.store.engine import WRITTEN, explain, is_the_disks, reading_engine, writing_engine
from lastgood.store.folder import FolderLock
from lastgood.store.migrate import inspect, migrate

DATABASE_NAME = "lastgood.db"
READERS = 2
GROUP_WEIGHT = 2_000
GROUP_BYTES = 4 * 1024 * 1024
QUEUE_LIMIT = 4_096

_T = TypeVar("_T")


@dataclass(slots=True)
class _Write:
    fn: Callable[[Connection], Any]
    done: asyncio.Future[Any]
    weight: int
    size: int


class Database:
    """One SQLite file in a locked folder, made by ``open_database`` and used from one event loop."""

    def __init__(self, lock: FolderLock, path: Path, writer: Engine, reader: Engine) -> None:
        self.path = path
        self._lock = lock
        self._engine = writer
        self._reading_engine = reader
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="store-write")
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="store-read")
        self._queue: deque[_Write] = deque()
        self._slots = asyncio.Semaphore(QUEUE_LIMIT)
        self._pump: asyncio.Task[None] | None = None
        self._closing = False
        self.commits = 0
        self.commit_seconds = 0.0
        self.failures = 0

    @property
    def queued(self) -> int:
        """Writes that wait for their transaction."""
        return len(self._queue)

    async def write(self, fn: Callable[[Connection], _T], *, weight: int = 1, size: int = 0) -> _T:
        """What ``fn`` returned, once its transaction is on disk. Raises StoreError if the database refused.

        ``fn`` runs in the writer thread and may run twice (its group is tried again one by one if another's fault
        spoilt it), so it changes nothing but the database. ``weight`` and ``size`` (rows, bytes) bound a group.
        """
        async with self._slots:  # first come, first served, so waiting changes no order
            if self._closing:
                raise StoreError(f"The database {self.path} is being closed.")
            done: asyncio.Future[_T] = asyncio.get_running_loop().create_future()
            self._queue.append(_Write(fn, done, weight, size))
            if self._pump is None:
                self._pump = asyncio.create_task(self._drain(), name="store-pump")
            return await done

    async def read(self, fn: Callable[[Connection], _T]) -> _T:
        """What ``fn`` returned of one consistent snapshot. Raises StoreError if the database cannot be read."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, fn)

    async def close(self) -> None:
        """Finish what is queued, refuse what comes later, close the file and let the folder go."""
        self._closing = True
        if self._pump is not None:
            await asyncio.wait([self._pump])
        self._writer.shutdown()
        self._readers.shutdown()
        self._reading_engine.dispose()
        self._engine.dispose()
        self._lock.release()

    # --- on the event loop ------------------------------------------------------------------------------------

    async def _drain(self) -> None:
        """Commit group after group until nothing waits."""
        while self._queue:
            group = self._next_group()
            error = await self._commit(group)
            if error is None:
                continue
            if len(group) == 1 or is_the_disks(error):
                self._fail(group, error)
                continue
            for write in group:
                alone = await self._commit([write])
                if alone is not None:
                    self._fail([write], alone)
        self._pump = None

    def _next_group(self) -> list[_Write]:
        group = [self._queue.popleft()]
        weight, size = group[0].weight, group[0].size
        while self._queue:
            weight += self._queue[0].weight
            size += self._queue[0].size
            if weight > GROUP_WEIGHT or size > GROUP_BYTES:
                break
            group.append(self._queue.popleft())
        return group

    async def _commit(self, group: Sequence[_Write]) -> BaseException | None:
        """Run a group in one transaction and answer its callers; the error instead if it was rolled back."""
        began = time.monotonic()
        committing = asyncio.get_running_loop().run_in_executor(self._writer, self._run, [w.fn for w in group])
        await asyncio.wait([committing])
        error = committing.exception()
        if error is not None:
            return error
        self.commits += 1
        self.commit_seconds += time.monotonic() - began
        for write, result in zip(group, committing.result(), strict=True):
            if not write.done.done():
                write.done.set_result(result)
        return None

    def _fail(self, group: Sequence[_Write], error: BaseException) -> None:
        self.failures += 1
        for write in group:
            if not write.done.done():
                write.done.set_exception(explain(error, self.path, WRITTEN))

    # --- in the threads ---------------------------------------------------------------------------------------

    def _run(self, functions: Sequence[Callable[[Connection], Any]]) -> list[Any]:
        with self._engine.begin() as connection:
            return [fn(connection) for fn in functions]

    def _read(self, fn: Callable[[Connection], _T]) -> _T:
        try:
            with self._reading_engine.begin() as connection:
                return fn(connection)
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise explain(error, self.path, "read") from error


def open_database(folder: Path) -> Database:
    """The database of this data folder, made or migrated as needed.

    Blocks, so it belongs before the event loop's work. Raises ConfigError if the folder cannot be used, another
    process holds it, or the file is damaged, foreign or of a newer program.
    """
    lock = FolderLock(folder)
    path = folder / DATABASE_NAME
    try:
        inspect(path)
        writer = writing_engine(path)
        migrate(writer, path)
    except (SQLAlchemyError, sqlite3.Error) as error:
        lock.release()
        raise ConfigError(str(explain(error, path, "opened"))) from error
    except ConfigError:
        lock.release()
        raise
    return Database(lock, path, writer, reading_engine(path))
