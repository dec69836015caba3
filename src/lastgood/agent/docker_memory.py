"""What an agent remembers of its container engine: that there is one, and how containers that do not run ended.

A small file in the agent's data folder. The one rule: it only explains; without it containers are listed all the
same, and an agent that cannot write it goes on.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import structlog

from lastgood.model.docker import Ending

log = structlog.get_logger(__name__)

NAME = "docker.json"
_LARGEST = 4 * 1024 * 1024


class _Kept(msgspec.Struct, frozen=True):
    endings: dict[str, Ending] = {}


def load(path: Path) -> dict[str, Ending]:
    """Container id -> how it ended, as far as that was seen."""
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(_LARGEST), type=_Kept).endings
    except (OSError, msgspec.DecodeError):
        return {}


def save(path: Path, endings: dict[str, Ending]) -> None:
    """Keep it, if it is anything new."""
    if path.exists() and load(path) == endings:
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.touch(mode=0o600)
        draft.write_bytes(msgspec.json.encode(_Kept(endings)))
        draft.replace(path)
    except OSError as error:
        log.warning("what is known of containers is not on disk", path=str(path), reason=error.strerror)


def forget(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        log.warning("a file cannot be removed", path=str(path), reason=error.strerror)
