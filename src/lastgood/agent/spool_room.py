"""How a full spool gets room again: surveys go first, since they come again; then logs; runs only at the very last.

Functions over the spool's database connection, called within the transaction that adds a report.
"""

from __future__ import annotations

import sqlite3

import msgspec

from lastgood.wire.frames import DeployEnded, Finished, Said

_SURVEYS = "SELECT sequence, length(body) FROM reports WHERE scope IS NOT NULL ORDER BY sequence"
_RUNS = "SELECT sequence, length(body) FROM reports WHERE scope IS NULL ORDER BY sequence"


def make_room(db: sqlite3.Connection, over: int) -> tuple[int, dict[str, int]]:
    """Free at least ``over`` bytes, oldest first; answers the bytes freed, and how many of what went."""
    freed = 0
    dropped: dict[str, int] = {}
    for what, step in (("surveys", _drop_surveys), ("logs of runs", _drop_logs), ("runs", _drop_runs)):
        if freed >= over:
            break
        bytes_freed, count = step(db, over - freed)
        freed += bytes_freed
        if count:
            dropped[what] = count
    return freed, dropped


def _drop_surveys(db: sqlite3.Connection, over: int) -> tuple[int, int]:
    return _drop(db, _SURVEYS, over)


def _drop_runs(db: sqlite3.Connection, over: int) -> tuple[int, int]:
    return _drop(db, _RUNS, over)


def _drop(db: sqlite3.Connection, candidates: str, over: int) -> tuple[int, int]:
    freed = count = 0
    for sequence, size in db.execute(candidates).fetchall():
        if freed >= over:
            break
        db.execute("DELETE FROM reports WHERE sequence=?", (sequence,))
        freed, count = freed + size, count + 1
    return freed, count


def _drop_logs(db: sqlite3.Connection, over: int) -> tuple[int, int]:
    freed = count = 0
    for sequence, size in db.execute(_RUNS).fetchall():
        if freed >= over:
            break
        (body,) = db.execute("SELECT body FROM reports WHERE sequence=?", (sequence,)).fetchone()
        said = _read(body)
        if isinstance(said, Finished | DeployEnded) and said.log:
            shorter = msgspec.json.encode(msgspec.structs.replace(said, log=""))
            db.execute("UPDATE reports SET body=? WHERE sequence=?", (shorter, sequence))
            freed, count = freed + size - len(shorter), count + 1
    return freed, count


def _read(body: bytes) -> Said | None:
    try:
        said: Said = msgspec.json.decode(body, type=Said)
    except msgspec.DecodeError:
        return None
    return said
