"""A copy of the hub's database that is whole while the hub goes on writing, and what a restored copy is told.

Called by ``service/safekeeping.py`` on files, beside the running hub. The one rule: the copy is one moment of the
database, read in one transaction that holds up no write. Uses SQLite's online backup.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

import msgspec
from sqlalchemy import Connection

from lastgood.errors import ConfigError, StoreError
from lastgood.store.migrate import inspect
from lastgood.store.records import get_meta

PAGES_AT_ONCE = 2_000
RESTORED = "restored"
"""The note of a database that it was restored, and from when."""


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What happened between these moments, this database does not know by itself. ``proof`` is the secret key's
    (``auth/chain.py``): whoever can write into the database alone has none."""

    made_at: datetime
    restored_at: datetime
    proof: str = ""


def copy_database(path: Path, to: Path) -> None:
    """One moment of the database in ``path``, as the new file ``to`` of mode 0600. Raises StoreError."""
    os.close(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    uri = f"{path.absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=30, isolation_level=None)) as held:
            held.execute("BEGIN")
            held.execute("SELECT 1 FROM sqlite_master").fetchone()  # now the moment is ours, whatever is written
            with closing(sqlite3.connect(to)) as copy:
                held.backup(copy, pages=PAGES_AT_ONCE)
                copy.execute("PRAGMA journal_mode = DELETE")  # one file, with nothing beside it
    except sqlite3.Error as error:
        raise StoreError(
            f"The database {path} could not be copied to {to.parent} ({error}); look at the disk's free room."
        ) from error


def check_copy(path: Path) -> str:
    """The schema of a copy that is sound. Raises ConfigError for one that is damaged, foreign or too new."""
    revision = inspect(path)
    with _plain(path) as copy:
        found = [row[0] for row in copy.execute("PRAGMA quick_check(1)")]
    problem = "it is empty" if revision is None else found[0]
    if problem != "ok" or revision is None:
        raise ConfigError(f"The database {path} is not sound ({problem}); take another copy of it.")
    return revision


def read_note(path: Path, key: str) -> str | None:
    """A note (``records.get_meta``) of a database that nobody has open."""
    with _plain(path) as copy:
        row = copy.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])


def read_sealed(path: Path, secret_id: str) -> bytes | None:
    """A sealed secret (``records.get_secret``) of a database that nobody has open."""
    with _plain(path) as copy:
        row = copy.execute("SELECT sealed FROM secrets WHERE id = ?", (secret_id,)).fetchone()
    return None if row is None else bytes(row[0])


def note_restored(path: Path, note: Restored) -> None:
    """Have the database say from when it is."""
    with _plain(path) as copy:
        copy.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (RESTORED, msgspec.json.encode(note).decode()))
        copy.commit()


def was_restored(connection: Connection) -> Restored | None:
    """From when and until when this database does not know by itself what happened; None if it was never away."""
    noted = get_meta(connection, RESTORED)
    return None if noted is None else msgspec.json.decode(noted, type=Restored)


@contextmanager
def _plain(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        with closing(sqlite3.connect(path, timeout=5)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise ConfigError(f"The database {path} cannot be read ({error}); take another copy of it.") from error
