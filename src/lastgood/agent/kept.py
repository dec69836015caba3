"""What must survive a restart of the agent beside its reports: runs under way, wishes seen, schedules followed, and
which repositories have opened.

Functions over the spool's database connection, each called within a transaction of ``spool_file``. The one rule: a
run that was accepted stays open here until its finish is in the same file, so none can vanish without a word.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import datetime

import msgspec

from lastgood.model.job import RunStart, Schedule
from lastgood.model.repository import Probe
from lastgood.wire.frames import Finished, Probed, Said, Started

_WISHES_REMEMBERED = 1000
SCHEMA = (
    "CREATE TABLE open_runs (run_id TEXT PRIMARY KEY, begun INTEGER NOT NULL, alive_at TEXT NOT NULL,"
    " body BLOB NOT NULL) WITHOUT ROWID",
    "CREATE TABLE wishes (number INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL UNIQUE)",
    "CREATE TABLE fired (source_id TEXT PRIMARY KEY, moment TEXT NOT NULL, schedule BLOB NOT NULL) WITHOUT ROWID",
    "CREATE TABLE sized (repository_id TEXT PRIMARY KEY, moment TEXT NOT NULL) WITHOUT ROWID",
)
SCHEMA_SINCE_2 = ("CREATE TABLE opened (repository_id TEXT PRIMARY KEY) WITHOUT ROWID",)


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run that was not finished. ``begun`` is False for one that still waited; ``alive_at`` is its last sign."""

    start: RunStart
    begun: bool
    alive_at: datetime


@dataclass(frozen=True, slots=True)
class Fired:
    """Up to which moment a schedule has been followed; nothing of it that was due earlier is owed."""

    moment: datetime
    schedule: Schedule


def follow_report(db: sqlite3.Connection, said: Said) -> None:
    """A report opens or closes its run, whose due moment is owed no more; a repository that opened stays known."""
    match said:
        case Started(run=run):
            _open_run(db, run, begun=True)
        case Finished(run=run):
            db.execute("DELETE FROM open_runs WHERE run_id=?", (run.id,))
        case Probed(repository_id=repository_id, probe=Probe.READY):
            db.execute("INSERT OR IGNORE INTO opened VALUES (?)", (repository_id,))
            return
        case _:
            return
    if run.due_at is not None and run.source_id is not None:
        moment = run.due_at.isoformat()
        db.execute("UPDATE fired SET moment=? WHERE source_id=? AND moment<?", (moment, run.source_id, moment))


def wish(db: sqlite3.Connection, start: RunStart) -> bool:
    """Remember a run that somebody asked for; False if its id was seen before."""
    if db.execute("INSERT OR IGNORE INTO wishes (run_id) VALUES (?)", (start.id,)).rowcount == 0:
        return False
    _open_run(db, start, begun=False)
    db.execute("DELETE FROM wishes WHERE number <= (SELECT max(number) FROM wishes) - ?", (_WISHES_REMEMBERED,))
    return True


def touch(db: sqlite3.Connection, run_id: str, at: datetime) -> None:
    """The run is still alive."""
    db.execute("UPDATE open_runs SET alive_at=? WHERE run_id=?", (at.isoformat(), run_id))


def open_runs(db: sqlite3.Connection) -> list[OpenRun]:
    """The runs that were accepted or started and have no finish."""
    return [
        OpenRun(msgspec.json.decode(body, type=RunStart), bool(begun), datetime.fromisoformat(alive_at))
        for body, begun, alive_at in db.execute("SELECT body, begun, alive_at FROM open_runs ORDER BY run_id")
    ]


def follow(db: sqlite3.Connection, source_id: str, fired: Fired) -> None:
    """A source's schedule is followed from here on."""
    schedule = msgspec.json.encode(fired.schedule)
    db.execute("INSERT OR REPLACE INTO fired VALUES (?, ?, ?)", (source_id, fired.moment.isoformat(), schedule))


def all_fired(db: sqlite3.Connection) -> dict[str, Fired]:
    """Up to where each source's schedule has been followed."""
    return {
        source_id: Fired(datetime.fromisoformat(moment), msgspec.json.decode(schedule, type=Schedule))
        for source_id, moment, schedule in db.execute("SELECT source_id, moment, schedule FROM fired")
    }


def measured(db: sqlite3.Connection, repository_id: str, at: datetime) -> None:
    """A repository was measured."""
    db.execute("INSERT OR REPLACE INTO sized VALUES (?, ?)", (repository_id, at.isoformat()))


def all_measured(db: sqlite3.Connection) -> dict[str, datetime]:
    """When each repository was last measured."""
    rows = db.execute("SELECT repository_id, moment FROM sized")
    return {repository_id: datetime.fromisoformat(moment) for repository_id, moment in rows}


def has_opened(db: sqlite3.Connection, repository_id: str) -> bool:
    """Whether a repository was ever found ready from here."""
    return db.execute("SELECT 1 FROM opened WHERE repository_id=?", (repository_id,)).fetchone() is not None


def _open_run(db: sqlite3.Connection, start: RunStart, *, begun: bool) -> None:
    db.execute(
        "INSERT OR REPLACE INTO open_runs VALUES (?, ?, ?, ?)",
        (start.id, begun, start.started_at.isoformat(), msgspec.json.encode(start)),
    )
