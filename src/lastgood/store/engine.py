"""SQLAlchemy engines for one SQLite file, and what its errors mean.

The writer commits with ``synchronous=FULL`` over a write-ahead log: a commit that returned is on disk. Transactions
are begun by us (``BEGIN IMMEDIATE``, plain ``BEGIN`` for readers), since the driver would begin none for reads and
end them around changes of tables. The one rule: ``explain`` gives every database error its sentence for people.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from lastgood.errors import ConfigError, NoRoom, StoreError

BUSY_SECONDS = 5.0
WRITTEN = "written"
_WRITER = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA cache_size = -16384",
    "PRAGMA wal_autocheckpoint = 4000",
    "PRAGMA journal_size_limit = 67108864",
)
_READER = ("PRAGMA query_only = ON", "PRAGMA foreign_keys = ON")
_DISK = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM,
}
_NO_ROOM = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,  # what a disk says that became read-only under an open file, or that fails
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def writing_engine(path: Path) -> Engine:
    """The engine of the one writer; makes the file, for this user alone, if it is not there."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise ConfigError(
            f"The database {path} cannot be opened for writing ({error.strerror}); mend its owner or mode."
        ) from error
    return _engine(path, _WRITER, "BEGIN IMMEDIATE", 1)


def reading_engine(path: Path, connections: int = 2) -> Engine:
    """The engine of the readers: it cannot write, and each transaction sees one moment."""
    return _engine(path, _READER, "BEGIN", connections)


def _engine(path: Path, pragmas: tuple[str, ...], begin: str, connections: int) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(path.absolute())),
        pool_size=connections,
        max_overflow=0,
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
        hide_parameters=True,  # errors are logged, and parameters are hashes, digests and people's names
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver begins and ends no transactions behind our back
        for pragma in pragmas:
            connection.execute(pragma)

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def explain(error: BaseException, path: Path, done: str) -> BaseException:
    """The error as our own, with its sentence; errors that are no database's come back as they are."""
    if not isinstance(error, SQLAlchemyError | sqlite3.Error):
        return error
    if _code(error) in _DAMAGED:
        mend = "put back a copy of it, or move it away to begin anew"
    elif is_the_disks(error):
        mend = "look at the disk's free room and its health"
    else:
        mend = "this is a defect of lastgood, please report it"
    sentence = f"The database {path} could not be {done} ({_original(error)}); {mend}."
    if done == WRITTEN and is_the_disks(error) and _code(error) in _NO_ROOM:
        explained: StoreError = NoRoom(sentence)
    else:
        explained = StoreError(sentence, retry=is_the_disks(error))
    explained.__cause__ = error
    return explained


def is_the_disks(error: BaseException) -> bool:
    """Whether the fault is the database's or its disk's, so that anything else would have failed as well."""
    return isinstance(error, OperationalError | sqlite3.Error) and _code(error) in _DISK


def _code(error: BaseException) -> int | None:
    """SQLite's primary result code, None where there is none."""
    code = getattr(_original(error), "sqlite_errorcode", None)
    return None if code is None else int(code) & 0xFF


def _original(error: BaseException) -> BaseException:
    return error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
