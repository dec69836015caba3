"""What a stand-alone exporter keeps over a restart: one file for each collector, in the folder of ``--state``.

Comes in: bytes of a collector. Goes out: the same bytes after a restart. The one rule: the file is the old one or the
new one, never a half; mode 0600, since it tells what is backed up.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from lastgood.errors import ConfigError, StoreError

SUFFIX = ".state"
LARGEST_STATE = 64 * 1024 * 1024


class FileMemory:
    """The memory of one collector; ``name`` is the collector's."""

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / f"{name.replace('/', '-')}{SUFFIX}"

    async def load(self) -> bytes | None:
        return await asyncio.to_thread(self._load)

    async def save(self, held: bytes) -> None:
        await asyncio.to_thread(self._save, held)

    def _load(self) -> bytes | None:
        try:
            with self.path.open("rb") as file:
                held = file.read(LARGEST_STATE + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"Cannot read {self.path} ({error.strerror}); check its permissions.") from error
        if len(held) > LARGEST_STATE:
            raise StoreError(f"{self.path} is larger than 64 MiB and no state of ours; remove it.")
        return held

    def _save(self, held: bytes) -> None:
        try:
            _replace(self.path, held)
        except OSError as error:
            raise StoreError(
                f"Cannot write {self.path} ({error.strerror}); check the folder and its disk."
            ) from error


class NoMemory:
    """Where no folder is given: counters begin anew with each start."""

    async def load(self) -> bytes | None:
        return None

    async def save(self, held: bytes) -> None:
        return None


def state_folder(folder: Path) -> Path:
    """The folder, made with mode 0700 if it is absent. Raises ConfigError if nothing can be kept there."""
    trial = folder / f".trial.{os.getpid()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        trial.touch(mode=0o600)
        trial.unlink()
    except OSError as error:
        raise ConfigError(
            f"Nothing can be kept in {folder} ({error.strerror}); give --state a folder that this user may write to."
        ) from error
    return folder


def _replace(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with open(handle, "wb") as file:  # noqa: PTH123 - the descriptor carries flags and mode
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
