"""The agent's SQLite file: reports not yet acknowledged, runs under way, and what must survive a restart beside them.

Called by ``spool`` on one thread. Every function is one transaction, on disk when it returns (WAL with
``synchronous=FULL``). The one rule: a sequence number is given out once for ever, and the hub's word decides what
leaves. ``offered`` is the highest number that may have been sent: a hub that acknowledges more knows a later state
of this file than the file itself, so it was rolled back. What was told of runs lately is kept a while (``told``), for
a hub that was itself restored from a backup.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from enum import Enum
from pathlib import Path

import msgspec
import structlog

from lastgood.agent import kept, kept_deploys, told
from lastgood.agent.spool_room import make_room
from lastgood.errors import ConfigError, StoreError, WireError
from lastgood.ids import ulid
from lastgood.wire.frames import FRAME_LIMIT, DeployBegun, DeployEnded, Docker, Finished, Report, Said, Started

log = structlog.get_logger(__name__)

FORMAT = 4
CAP_BYTES = 64 * 1024 * 1024
_ENVELOPE_BYTES = 1024
_BUSY_SECONDS = 3.0
_SCHEMA = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE reports (sequence INTEGER PRIMARY KEY AUTOINCREMENT, scope TEXT, body BLOB NOT NULL)",
    "CREATE INDEX reports_scope ON reports (scope) WHERE scope IS NOT NULL",
    *kept.SCHEMA,
)


class Met(Enum):
    """What the hub's first word said about the two sides' marks."""

    IN_STEP = "in step"
    HUB_FORGOT = "the hub lost reports that it had acknowledged"
    ROLLED_BACK = "this spool was rolled back and has a new id now"


class SpoolFile:
    """An open spool. Raises StoreError when the disk does not take something, and then nothing was kept."""

    def __init__(self, path: Path, at: datetime, cap_bytes: int = CAP_BYTES) -> None:
        self._path = path
        self._cap_bytes = cap_bytes
        _make_private(path)
        self._db = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        self._bytes = 0
        self.offering = False
        """Whether what is added is sent at once: set by ``meet``, taken back when the connection is over."""
        try:
            self._prepare(at)
        except BaseException:
            self._db.close()
            raise

    def _prepare(self, at: datetime) -> None:
        # Exclusive: two agents with one spool would give one number to two reports.
        self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > FORMAT:
            raise ConfigError(
                f"The spool {self._path} was written by a newer agent (format {version}, this one reads {FORMAT}); "
                "install that version again."
            )
        with self.transaction():
            if version == 0:
                for statement in _SCHEMA:
                    self._db.execute(statement)
                self._set("spool_id", ulid(at))
            for since, statements in (
                (2, kept.SCHEMA_SINCE_2),
                (3, told.SCHEMA_SINCE_3),
                (4, kept_deploys.SCHEMA_SINCE_4),
            ):
                for statement in statements if version < since else ():
                    self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version={FORMAT}")
        for (problem,) in self._db.execute("PRAGMA quick_check(1)"):
            if problem != "ok":
                raise sqlite3.DatabaseError(problem)
        self.spool_id = self._get("spool_id", "")
        self.acknowledged = int(self._get("acknowledged", "0"))
        (self._bytes,) = self._db.execute("SELECT coalesce(sum(length(body)), 0) FROM reports").fetchone()

    def close(self) -> None:
        self._db.close()

    # --- reports -------------------------------------------------------------------------------------------------

    def add(self, said: Said) -> int:
        """Keep a report and answer its number. A survey takes the place of an older one of the same scope."""
        body = msgspec.json.encode(said)
        if len(body) > FRAME_LIMIT - _ENVELOPE_BYTES:
            raise WireError(f"A report of {len(body)} bytes does not fit into a frame; it was not kept.")
        scope = _scope(said)
        dropped: dict[str, int] = {}
        with self.transaction() as db:
            if scope is not None:
                self._forget("scope=?", scope)
            row = db.execute("INSERT INTO reports (scope, body) VALUES (?, ?)", (scope, body))
            self._bytes += len(body)
            sequence = int(row.lastrowid or 0)
            kept.follow_report(db, said)
            kept_deploys.follow_report(db, said)
            if self.offering:
                self._set("offered", str(sequence))
            if self._bytes > self._cap_bytes:
                freed, dropped = make_room(db, self._bytes - self._cap_bytes)
                self._bytes -= freed
        for what, count in dropped.items():
            log.warning("spool full, oldest dropped", what=what, count=count, cap_bytes=self._cap_bytes)
        return sequence

    def after(self, sequence: int, limit: int) -> list[Report]:
        """The reports above ``sequence``, lowest first."""
        rows = self._db.execute(
            "SELECT sequence, body FROM reports WHERE sequence > ? ORDER BY sequence LIMIT ?", (sequence, limit)
        ).fetchall()
        return [report for row in rows if (report := self._report(*row)) is not None]

    def _report(self, sequence: int, body: bytes) -> Report | None:
        """The report in a row. One that a newer agent left and we cannot read must not hold up the others."""
        try:
            return Report(sequence=sequence, said=msgspec.json.decode(body, type=Said))
        except msgspec.DecodeError as error:
            with self.transaction():
                self._forget("sequence=?", sequence)
            log.error("report cannot be read, dropped", sequence=sequence, reason=str(error))
            return None

    def acknowledge(self, sequence: int) -> None:
        """The hub has everything up to ``sequence``."""
        if sequence <= self.acknowledged:
            return
        with self.transaction() as db:
            told.remember(db, sequence)
            self._forget("sequence <= ?", sequence)
            self._set("acknowledged", str(sequence))
        self.acknowledged = sequence

    def owed(self) -> int:
        """The highest number that the hub must come to; what was dropped or replaced is not owed."""
        (highest,) = self._db.execute("SELECT max(sequence) FROM reports").fetchone()
        return max(self.acknowledged, highest or 0)

    def depth(self) -> int:
        """How many reports wait."""
        (count,) = self._db.execute("SELECT count(*) FROM reports").fetchone()
        return int(count)

    def meet(self, acknowledged: int, at: datetime) -> Met:
        """Compare marks with a hub that has everything up to ``acknowledged``, and offer it the rest from now on."""
        if acknowledged > int(self._get("offered", "0")):
            self._begin_anew(at)
            return Met.ROLLED_BACK
        forgot = acknowledged < self.acknowledged
        with self.transaction() as db:
            if forgot:
                self._bytes += told.bring_back(db, acknowledged)
            self._forget("sequence <= ?", acknowledged)
            self._set("acknowledged", str(acknowledged))
            self._set("offered", str(self._last_given()))
        self.acknowledged = acknowledged
        self.offering = True
        return Met.HUB_FORGOT if forgot else Met.IN_STEP

    def _begin_anew(self, at: datetime) -> None:
        """What was offered in this file's past is with the hub; the rest goes on under a new id."""
        spool_id = ulid(at)
        with self.transaction() as db:
            told.forget(db)
            self._forget("sequence <= ?", int(self._get("offered", "0")))
            self._set("spool_id", spool_id)
            self._set("acknowledged", "0")
            self._set("offered", "0")
        self.spool_id, self.acknowledged, self.offering = spool_id, 0, False

    def _last_given(self) -> int:
        row = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name='reports'").fetchone()
        return int(row[0]) if row else 0

    def _forget(self, condition: str, value: str | int) -> None:
        """Delete reports, within a transaction."""
        (size,) = self._db.execute(
            f"SELECT coalesce(sum(length(body)), 0) FROM reports WHERE {condition}",  # noqa: S608 - our own words
            (value,),
        ).fetchone()
        self._db.execute(f"DELETE FROM reports WHERE {condition}", (value,))  # noqa: S608 - our own words
        self._bytes -= size

    def _get(self, key: str, default: str) -> str:
        row = self._db.execute("SELECT value FROM meta WHERE key=?", (key,)).fetchone()
        return str(row[0]) if row else default

    def _set(self, key: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All of it on disk at the end, or nothing and a StoreError."""
        held = self._bytes
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield self._db
            self._db.execute("COMMIT")
        except BaseException as error:
            self._bytes = held
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise StoreError(
                    f"The spool {self._path} did not take a change: {error}; see to its disk."
                ) from error
            raise


def _make_private(path: Path) -> None:
    """The file for its owner alone before SQLite opens it, which gives its companions the same mode."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return  # SQLite says what is wrong, with its own codes
    try:
        os.fchmod(handle, 0o600)
    except OSError:
        return
    finally:
        os.close(handle)


def _scope(said: Said) -> str | None:
    """What a survey is about: a newer one of the same scope says all that an older one did. None for a run."""
    match said:
        case Started() | Finished() | DeployBegun() | DeployEnded():
            return None
        case Docker(inventory=inventory):
            return "Docker:engine" if inventory is None else "Docker:inventory"
    return f"{type(said).__name__}:{said.repository_id}"
