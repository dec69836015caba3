"""When the hub itself was last backed up: a note that ``backup-hub`` leaves in the data folder, and who reads it.

Comes in: a backup that was written whole. Goes out: its moment, for pages and the metric. The one rule: the note is a
courtesy; no backup fails, and nothing waits, for its sake.
"""

from __future__ import annotations

import asyncio
import os
from datetime import datetime
from pathlib import Path

import msgspec

NOTE = "last-backup.json"
LOOK_SECONDS = 60.0


class LastBackup(msgspec.Struct, frozen=True, kw_only=True):
    """The newest backup that was written whole."""

    made_at: datetime
    to: str


def note_backup(data_dir: Path, made_at: datetime, to: str) -> None:
    """Have the hub know of a backup. Raises OSError."""
    draft = data_dir / f".{NOTE}.{os.getpid()}"
    draft.write_bytes(msgspec.json.encode(LastBackup(made_at=made_at, to=to)))
    draft.chmod(0o644)  # no secret, and root may have written it for a hub that is another user
    draft.rename(data_dir / NOTE)


def last_backup(data_dir: Path) -> LastBackup | None:
    """The newest backup that anybody noted; None if there was none, or the note cannot be read."""
    try:
        return msgspec.json.decode((data_dir / NOTE).read_bytes(), type=LastBackup)
    except (OSError, msgspec.DecodeError):
        return None


class BackupWatch:
    """``made_at`` is in memory, since a scrape reads no disk."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self.made_at: datetime | None = None

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            found = await asyncio.to_thread(last_backup, self._data_dir)
            self.made_at = None if found is None else found.made_at
            await asyncio.sleep(LOOK_SECONDS)
