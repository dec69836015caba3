"""The data folder: made private, proven writable, and locked, so that two hubs cannot share one.

``Database`` opens nothing before it holds this. The one rule: the lock lives as long as the process, however that
ends, so it is the kernel's (``flock``) and never a mere file that is there or not.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from lastgood.errors import ConfigError

LOCK_NAME = "lastgood.lock"


class FolderLock:
    """Holds the data folder for this process from construction until ``release``. Raises ConfigError if it cannot."""

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._descriptor = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise ConfigError(
                f"The data folder {folder} cannot be used ({error.strerror}); make it writable for this user"
                " or choose another with --data-dir."
            ) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(self._descriptor)
            raise ConfigError(
                f"Another lastgood (process {holder or 'unknown'}) uses the data folder {folder};"
                " stop it first, or choose another folder with --data-dir."
            ) from error
        self._note_holder(folder)

    def _note_holder(self, folder: Path) -> None:
        try:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            self.release()
            raise ConfigError(
                f"The data folder {folder} takes no more data ({error.strerror}); make room on that disk."
            ) from error

    def release(self) -> None:
        """Let the folder go; the file stays, since removing it would let two processes lock two files."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
