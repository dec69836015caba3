"""Deploys under way, as they survive a restart of the agent.

Functions over the spool's database connection, each called within a transaction of ``spool_file``. The one rule: a
deploy that was accepted stays open here until its end is in the same file; texts of stacks are never kept here.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

import msgspec

from lastgood.model.stack import DeployStart
from lastgood.wire.frames import DeployBegun, DeployEnded, Said

_WISHES_REMEMBERED = 1000
SCHEMA_SINCE_4 = (
    "CREATE TABLE open_deploys (id TEXT PRIMARY KEY, begun INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID",
    "CREATE TABLE deploy_wishes (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE)",
)


@dataclass(frozen=True, slots=True)
class OpenDeploy:
    """A deploy without an end; ``begun`` is False for one that still waited."""

    start: DeployStart
    begun: bool


def follow_report(db: sqlite3.Connection, said: Said) -> None:
    """A report opens or closes its deploy."""
    match said:
        case DeployBegun(deploy=start):
            _open(db, start, begun=True)
        case DeployEnded(deploy=deploy):
            db.execute("DELETE FROM open_deploys WHERE id=?", (deploy.id,))


def wish(db: sqlite3.Connection, start: DeployStart) -> bool:
    """Remember a deploy that somebody asked for; False if its id was seen before."""
    if db.execute("INSERT OR IGNORE INTO deploy_wishes (id) VALUES (?)", (start.id,)).rowcount == 0:
        return False
    _open(db, start, begun=False)
    newest = "SELECT max(number) FROM deploy_wishes"
    db.execute(f"DELETE FROM deploy_wishes WHERE number <= ({newest}) - ?", (_WISHES_REMEMBERED,))  # noqa: S608
    return True


def open_deploys(db: sqlite3.Connection) -> list[OpenDeploy]:
    """The deploys that were accepted or begun and have no end."""
    rows = db.execute("SELECT body, begun FROM open_deploys ORDER BY id")
    return [OpenDeploy(msgspec.json.decode(body, type=DeployStart), bool(begun)) for body, begun in rows]


def _open(db: sqlite3.Connection, start: DeployStart, *, begun: bool) -> None:
    db.execute("INSERT OR REPLACE INTO open_deploys VALUES (?, ?, ?)", (start.id, begun, msgspec.json.encode(start)))
