"""A real Kopia over a repository in a private folder, where ``KOPIA_BIN`` names its program.

Without it a test that asks for one is skipped with the reason. Nothing leaves the folder: own configuration, cache
and logs, no search for updates, no notifications.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PASSWORD = "sesame"
AT_MOST_SECONDS = 60
USER, HOST = "root", "web1"


def real_kopia() -> Path:
    """The program, or the test is skipped."""
    named = os.environ.get("KOPIA_BIN", "")
    found = shutil.which(named) if named else None
    if found is None:
        pytest.skip(f"KOPIA_BIN names no program ({named})" if named else "needs a real kopia; KOPIA_BIN names none")
    return Path(found).resolve()


class RealKopia:
    """A repository with a writing connection for the test and read-only ones for what is tested."""

    def __init__(self, folder: Path) -> None:
        self.path = real_kopia()
        self.folder = folder
        self.repository = folder / "repository"
        self.repository.mkdir()
        self.write(*("repository", "create", "filesystem", "--path", str(self.repository)), *_identity(USER, HOST))

    def connect(self, config: Path | None = None) -> Path:
        """The config file of a read-only connection of its own."""
        config = config or self.folder / "reader.config"
        where = ("repository", "connect", "filesystem", "--path", str(self.repository), "--readonly")
        self._done(self._call(config, *where, *_identity("lastgood", "monitor")))
        return config

    def write(self, *arguments: str, **environment: str) -> str:
        """What the owner's command printed; a failure is an AssertionError."""
        return self._done(self._call(self.folder / "owner.config", *arguments, **environment))

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
        """One call of a careful reader; an empty value takes a variable away."""
        config = self.folder / "reader.config"
        if not config.exists():
            self.connect(config)
        return self._call(config, *arguments, **environment)

    def source(self, name: str, **files: str) -> Path:
        """A folder with files to back up."""
        place = self.folder / "data" / name
        place.mkdir(parents=True, exist_ok=True)
        for file, text in files.items():
            (place / file).write_text(text)
        return place

    @contextmanager
    def server(self) -> Iterator[str]:
        """``kopia server start`` without TLS on loopback: its address. Users kopia/ui-secret, server-control/..."""
        command = ["server", "start", "--insecure", "--address=127.0.0.1:0", "--server-password=ui-secret"]
        command += ["--server-username=kopia", "--server-control-username=server-control"]
        command += ["--server-control-password=control-secret"]
        said = self.folder / "server.err"
        with (
            said.open("wb") as errors,
            subprocess.Popen(
                [self.path, *command],
                env=self._environment(self.folder / "owner.config"),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            ) as process,
        ):
            assert process.stderr is not None
            try:
                for line in process.stderr:
                    errors.write(line)
                    if found := re.search(rb"SERVER ADDRESS: (\S+)", line):
                        yield found[1].decode()
                        break
                else:
                    raise AssertionError("the server ended before it said its address")
            finally:
                process.terminate()
                with contextlib.suppress(OSError):
                    process.stderr.close()

    def _environment(self, config: Path, **more: str) -> dict[str, str]:
        given = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.folder),
            "TZ": "UTC",
            "KOPIA_CONFIG_PATH": str(config),
            "KOPIA_PASSWORD": PASSWORD,
            "KOPIA_LOG_DIR": str(self.folder / "log"),
            "KOPIA_CACHE_DIRECTORY": str(self.folder / f"cache-{config.stem}"),
            "KOPIA_CHECK_FOR_UPDATES": "false",
            "KOPIA_SEND_ERROR_NOTIFICATIONS": "never",
        } | more
        return {name: value for name, value in given.items() if value}

    def _call(self, config: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [self.path, *arguments],
            env=self._environment(config, **environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=AT_MOST_SECONDS,
            check=False,
        )

    @staticmethod
    def _done(process: subprocess.CompletedProcess[bytes]) -> str:
        assert process.returncode == 0, process.stderr.decode()
        return process.stdout.decode()


def _identity(user: str, host: str) -> tuple[str, ...]:
    quiet = ("--no-check-for-updates", "--no-persist-credentials")
    return (f"--override-username={user}", f"--override-hostname={host}", *quiet)
