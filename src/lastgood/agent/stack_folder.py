"""The folder of one stack on its host: the compose file and ``.env`` as they were deployed last, for root alone.

A text comes in by ``put`` and stays, or is taken back by ``undo``. The one rule: a text that is not kept leaves the
folder as it was, also when the agent dies in between; what else stands in the folder is the host's own.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from lastgood.agent.files import make_private_folder, write_private
from lastgood.errors import ConfigError
from lastgood.tools.docker.compose import ENV, FILE
from lastgood.tools.docker.text import MOST_ENV, MOST_TEXT

STACKS = "stacks"
_BEFORE = ".before"
_MAKING = ".before.new"


class StackFolder:
    """The folder of a project below ``root``. Methods raise ConfigError if the disk does not take something."""

    def __init__(self, root: Path, project: str) -> None:
        self._root = root
        self.path = root / project

    @property
    def is_ours(self) -> bool:
        """Whether a text was deployed from here."""
        return (self.path / FILE).is_file()

    def held(self) -> tuple[str, str | None]:
        """The text and ``.env`` that stand there."""
        return _read(self.path / FILE, MOST_TEXT) or "", _read(self.path / ENV, MOST_ENV)

    def put(self, text: str, env: str | None) -> None:
        """Put a text in place of the one that stands there, which is held until ``keep`` or ``undo``."""
        make_private_folder(self._root)
        make_private_folder(self.path)
        self.mend()
        making = self.path / _MAKING
        try:
            shutil.rmtree(making, ignore_errors=True)
            making.mkdir(mode=0o700)
            for name in (FILE, ENV):
                if (self.path / name).is_file():
                    write_private(making / name, (self.path / name).read_bytes())
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
        if before.is_dir():
            before.rename(self.path / _MAKING)
        shutil.rmtree(self.path / _MAKING, ignore_errors=True)

    def mend(self) -> None:
        """Take a text back that was not kept, for instance because the agent was killed."""
        before = self.path / _BEFORE
        if not before.is_dir():
            return
        text, env = ((before / name).read_bytes() if (before / name).is_file() else None for name in (FILE, ENV))
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


def _read(path: Path, most: int) -> str | None:
    try:
        with path.open("rb") as file:
            return file.read(most).decode("utf-8", "replace")
    except OSError:
        return None
