"""Reports of runs that the hub has acknowledged, kept a while: a hub restored from its backup forgot the newest.

Functions over the spool's database connection, each called within a transaction of ``spool_file``. The one rule: a
report comes back under its own number, so that a hub which knows it after all takes it for what it is, a repetition.
Surveys are not kept, for a new look says more.
"""

from __future__ import annotations

import sqlite3

MOST_REPORTS = 2_000
MOST_BYTES = 8 * 1024 * 1024
SCHEMA_SINCE_3 = ("CREATE TABLE told (sequence INTEGER PRIMARY KEY, body BLOB NOT NULL)",)


def remember(db: sqlite3.Connection, sequence: int, most_bytes: int = MOST_BYTES) -> None:
    """Reports up to ``sequence`` are about to leave the spool; the oldest that were kept make room for them."""
    db.execute(
        "INSERT OR REPLACE INTO told SELECT sequence, body FROM reports WHERE sequence <= ? AND scope IS NULL",
        (sequence,),
    )
    db.execute(
        "DELETE FROM told WHERE sequence <= (SELECT sequence FROM told ORDER BY sequence DESC LIMIT 1 OFFSET ?)",
        (MOST_REPORTS,),
    )
    (held,) = db.execute("SELECT coalesce(sum(length(body)), 0) FROM told").fetchone()
    if held <= most_bytes:
        return
    for oldest, size in db.execute("SELECT sequence, length(body) FROM told ORDER BY sequence").fetchall():
        if held <= most_bytes:
            return
        db.execute("DELETE FROM told WHERE sequence = ?", (oldest,))
        held -= size


def bring_back(db: sqlite3.Connection, above: int) -> int:
    """The reports above ``above`` are owed again; answers how many bytes they have."""
    (size,) = db.execute("SELECT coalesce(sum(length(body)), 0) FROM told WHERE sequence > ?", (above,)).fetchone()
    db.execute("INSERT OR IGNORE INTO reports SELECT sequence, NULL, body FROM told WHERE sequence > ?", (above,))
    db.execute("DELETE FROM told WHERE sequence > ?", (above,))
    return int(size)


def forget(db: sqlite3.Connection) -> None:
    """The spool has a new id: old numbers mean nothing any more."""
    db.execute("DELETE FROM told")
