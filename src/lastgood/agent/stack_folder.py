"""The folder of one stack on its host: the compose file and ``.env`` as they were deployed last, for root alone.

A text comes in by ``put`` and stays, or is taken back by ``undo``. The one rule: a text that is not kept leaves the
folder as it was, also when the agent dies in between; what else stands in the folder is the host's own, and no link
in it is followed, for a container that has the folder mounted may have put it there.
"""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from lastgood.agent.files import make_private_folder, write_private
from lastgood.errors import ConfigError
from lastgood.tools.docker.compose import ENV, FILE
from lastgood.tools.docker.text import MOST_ENV, MOST_TEXT

STACKS = "stacks"
_BEFORE = ".before"
_MAKING = ".before.new"
_MOST = {FILE: MOST_TEXT, ENV: MOST_ENV}


class StackFolder:
    """The folder of a project below ``root``. Methods raise ConfigError if the disk does not take something."""

    def __init__(self, root: Path, project: str) -> None:
        self._root = root
        self.path = root / project

    @property
    def is_ours(self) -> bool:
        """Whether a text was deployed from here."""
        return _is_plain(self.path / FILE)

    def held(self) -> tuple[str, str | None]:
        """The text and ``.env`` that stand there."""
        text, env = (_read(self.path / name, most) for name, most in _MOST.items())
        return (text or b"").decode("utf-8", "replace"), None if env is None else env.decode("utf-8", "replace")

    def put(self, text: str, env: str | None) -> None:
        """Put a text in place of the one that stands there, which is held until ``keep`` or ``undo``."""
        make_private_folder(self._root)
        make_private_folder(self.path)
        self.mend()
        making = self.path / _MAKING
        try:
            shutil.rmtree(making, ignore_errors=True)
            making.mkdir(mode=0o700)
            for name, most in _MOST.items():
                if (held := _read(self.path / name, most)) is not None:
                    write_private(making / name, held)
            making.rename(self.path / _BEFORE)
            self._write(text.encode(), None if env is None else env.encode())
        except OSError as error:
            self.mend()
            raise ConfigError(
                f"The stack's folder {self.path} cannot be written: {error.strerror}; see to its disk."
            ) from error

    def keep(self) -> None:
        """The new text stays."""
        before = self.path / _BEFORE
        if _is_folder(before):
            before.rename(self.path / _MAKING)
        shutil.rmtree(self.path / _MAKING, ignore_errors=True)

    def mend(self) -> None:
        """Take a text back that was not kept, for instance because the agent was killed."""
        before = self.path / _BEFORE
        if not _is_folder(before):
            return
        text, env = (_read(before / name, most) for name, most in _MOST.items())
        self._write(text, env)
        self.keep()

    def _write(self, text: bytes | None, env: bytes | None) -> None:
        for name, data in ((FILE, text), (ENV, env)):
            if data is None:
                (self.path / name).unlink(missing_ok=True)
            else:
                write_private(self.path / name, data)


def mend_all(root: Path) -> None:
    """Once at a start."""
    if root.is_dir():
        for folder in root.iterdir():
            StackFolder(root, folder.name).mend()


def _is_plain(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _read(path: Path, most: int) -> bytes | None:
    """What stands in a plain file, so much of it; None for anything else."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(handle, "rb") as file:  # noqa: PTH123 - the descriptor carries flags
            return file.read(most) if stat.S_ISREG(os.fstat(handle).st_mode) else None
    except OSError:
        return None
