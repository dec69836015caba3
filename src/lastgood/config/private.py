"""Files that only their owner may read, made once and whole; and sockets that lie beside them.

The one rule: the file at its final name is either absent or complete, and what is there is never overwritten.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LONGEST_SOCKET_NAME = 104


def write_once(path: Path, content: bytes) -> None:
    """Make the file with mode 0600; if it is there already, change nothing. Raises OSError.

    Written under another name, then linked: a crash leaves no half file, and whoever comes second changes nothing.
    """
    draft = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(handle, "wb") as file:  # noqa: PTH123 - the descriptor carries flags and mode
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(draft)
        except FileExistsError:
            return
    finally:
        draft.unlink()
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def reachable_socket(path: Path) -> Iterator[str]:
    """The name of a Unix socket for bind or connect, however deep its folder lies: the kernel takes 107 bytes."""
    if len(os.fsencode(path)) < _LONGEST_SOCKET_NAME:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
