"""Small private files that are whole or absent: the configuration of an agent, its key, and its last orders.

The one rule: what is written here is readable by its owner alone, and a crash leaves the old file or the new one.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import structlog

from lastgood.errors import ConfigError
from lastgood.wire import frames
from lastgood.wire.frames import Assignment

log = structlog.get_logger(__name__)

NO_ASSIGNMENT = Assignment(version="", repositories=(), orders=())


def write_private(path: Path, data: bytes) -> None:
    """Replace the file at ``path``, mode 0600; on disk when it returns."""
    draft = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(handle, "wb") as file:  # noqa: PTH123 - the descriptor carries flags and mode
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def make_private_folder(path: Path) -> None:
    """A folder for its owner alone; raises ConfigError if it cannot be made or is somebody else's."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.stat().st_mode & 0o077:
            path.chmod(0o700)
    except OSError as error:
        raise ConfigError(
            f"The agent's folder {path} cannot be used: {error.strerror}; choose another data_dir or its owner."
        ) from error


def save_assignment(path: Path, assignment: Assignment) -> None:
    """Keep the last orders for the next start without a hub."""
    write_private(path, frames.encode(assignment))


def load_assignment(path: Path) -> Assignment:
    """The orders last kept, none if there are none or they cannot be read; the hub sends them again."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Assignment)
    except FileNotFoundError:
        return NO_ASSIGNMENT
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        log.warning("last orders cannot be read, waiting for the hub", path=str(path), reason=str(error))
        return NO_ASSIGNMENT
