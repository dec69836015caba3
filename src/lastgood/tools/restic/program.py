"""The restic binary on this host: where it is, which release, with which cache; and its whole answers.

Arguments and an environment come in, the collected output of a finished command goes out. A binary that an upgrade
has replaced is asked for its release again. A document has a greatest size, not a greatest line. Outside program:
restic 0.14 or newer.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lastgood.errors import BadPayload, CollectError, ConfigError
from lastgood.tools.restic import command, documents, process
from lastgood.tools.restic.command import Place
from lastgood.tools.restic.documents import Version
from lastgood.tools.restic.lines import LineSplitter
from lastgood.tools.restic.output import BackupOutput

DOCUMENT_BYTES = 256 * 1024 * 1024
_VERSION_SECONDS = 20.0
_MEND = "install restic 0.14 or newer: apt-get install restic"


@dataclass(frozen=True, slots=True)
class Answer:
    """How a command ended and all that it said; ``stderr`` may hold secrets."""

    ended: process.Ended
    stdout: bytes
    stderr: str


@dataclass(frozen=True, slots=True)
class _Binary:
    path: str
    modified_ns: int
    size_bytes: int


class Program:
    """One binary, its cache folder, and the environment that its runs may inherit from."""

    def __init__(
        self,
        *,
        binary: str,
        cache_dir: Path,
        inherited: Mapping[str, str],
        grace_seconds: float,
        document_bytes: int = DOCUMENT_BYTES,
    ) -> None:
        self._name = binary
        self._cache_dir = cache_dir
        self._inherited = inherited
        self._grace_seconds = grace_seconds
        self._document_bytes = document_bytes
        self._known: tuple[_Binary, Version] | None = None

    def path(self) -> str:
        """The binary's full path; ConfigError if there is none."""
        return self._binary().path

    async def version(self) -> Version:
        """The release; ConfigError if there is no binary or it is older than 0.14."""
        binary = self._binary()
        if self._known is not None and self._known[0] == binary:
            return self._known[1]
        env = command.clean_environment(self._cache_dir, self._inherited)
        answer = await self.collect(command.version(), env, _VERSION_SECONDS)
        if answer.ended.exit_code != 0:
            raise CollectError(f"{binary.path} cannot tell its version; {_MEND}", retry=False)
        found = documents.version(answer.stdout)
        if found < command.OLDEST:
            raise ConfigError(f"{binary.path} is restic {'.'.join(map(str, found))}, too old for us; {_MEND}")
        self._known = (binary, found)
        return found

    def environment(self, place: Place, version: Version) -> dict[str, str]:
        """The environment of a run on ``place``, its cache folder made ready."""
        _prepare_cache(self._cache_dir)
        return command.environment(place, self._cache_dir, self._inherited, version)

    async def collect(
        self,
        arguments: Sequence[str],
        env: Mapping[str, str],
        deadline_after: float,
        cancel: asyncio.Event | None = None,
    ) -> Answer:
        """Run one command to its end and keep all that it says."""
        collected = _Collected(" ".join(arguments[:2]), self._document_bytes)
        ended = await process.run(
            [self.path(), *arguments],
            env,
            on_stdout=collected.stdout,
            on_stderr=collected.stderr,
            deadline_after=deadline_after,
            cancel=cancel,
            grace_seconds=self._grace_seconds,
        )
        return Answer(ended, bytes(collected.document), collected.error_text())

    def _binary(self) -> _Binary:
        path = shutil.which(self._name, path=self._inherited.get("PATH"))
        if path is None:
            raise ConfigError(f"restic was not found as {self._name}; {_MEND}")
        status = Path(path).stat()
        return _Binary(path, status.st_mtime_ns, status.st_size)


class _Collected:
    """A whole document from standard output, and what matters of standard error."""

    def __init__(self, what: str, limit: int) -> None:
        self._what = what
        self._limit = limit
        self._lines = LineSplitter()
        self._errors = BackupOutput()
        self.document = bytearray()

    def stdout(self, piece: bytes) -> None:
        self.document += piece
        if len(self.document) > self._limit:
            raise BadPayload(
                f"restic's answer to {self._what} is larger than {self._limit:,} bytes; thin out the snapshots"
            )

    def stderr(self, piece: bytes) -> None:
        for line in self._lines.feed(piece):
            self._errors.stderr(line)

    def error_text(self) -> str:
        for line in self._lines.close():
            self._errors.stderr(line)
        return self._errors.error_text()


def _prepare_cache(cache_dir: Path) -> None:
    """Make the cache private and see that it can be written: 0.19 fails without one, older ones read all again."""
    try:
        cache_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if cache_dir.stat().st_mode & 0o077:
            cache_dir.chmod(0o700)
    except OSError as error:
        raise ConfigError(
            f"restic's cache folder {cache_dir} cannot be made private: {error.strerror}; choose another folder"
        ) from error
    if not os.access(cache_dir, os.W_OK | os.X_OK):
        raise ConfigError(f"restic's cache folder {cache_dir} cannot be written; choose another folder")
