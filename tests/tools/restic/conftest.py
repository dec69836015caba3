"""Real restic: the installed one in every run, other releases in the slow lane.

``LASTGOOD_TEST_RESTIC_RELEASES`` names the other binaries, separated by colons.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lastgood.clock import now
from lastgood.tools.restic.command import BackupOrder, Place
from lastgood.tools.restic.driver import Restic
from tests.tools.restic.store import Store

RELEASES = "LASTGOOD_TEST_RESTIC_RELEASES"
PASSWORD = "correct-horse-battery"
NOBODY = 65534


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "binary" not in metafunc.fixturenames:
        return
    installed = shutil.which("restic")
    missing = pytest.mark.skipif(installed is None, reason="restic is not installed: apt-get install restic")
    others = [path for path in os.environ.get(RELEASES, "").split(":") if path]
    parameters = [pytest.param(installed, id="installed", marks=missing)]
    parameters += [pytest.param(path, id=f"release{n}", marks=pytest.mark.slow) for n, path in enumerate(others)]
    if not others:
        marks = [pytest.mark.slow, pytest.mark.skip(reason=f"{RELEASES} names no other restic binaries")]
        parameters.append(pytest.param("", id="releases", marks=marks))
    metafunc.parametrize("binary", parameters, scope="session")


@pytest.fixture(scope="session")
def template(binary: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty repository, made once for each release and copied for each test."""
    folder = tmp_path_factory.mktemp("template")
    env = {"PATH": os.environ["PATH"], "RESTIC_PASSWORD": PASSWORD, "RESTIC_CACHE_DIR": str(folder / "cache")}
    subprocess.run([binary, "-r", str(folder / "repository"), "init"], env=env, check=True, capture_output=True)
    return folder / "repository"


@dataclass(frozen=True)
class Bench:
    """A repository of its own, a source folder with three files, and the driver under test."""

    folder: Path
    binary: str
    restic: Restic
    place: Place
    repository: Path
    source: Path

    def order(self, *paths: Path, **fields: object) -> BackupOrder:
        told = [str(path) for path in paths] or [str(self.source)]
        return BackupOrder(**({"host": "web-1", "paths": told, "retry_lock_for": 0.0} | fields))  # type: ignore[arg-type]

    def random_source(self, mebibytes: int) -> Path:
        """A folder whose backup takes a moment."""
        folder = self.folder / "random"
        folder.mkdir()
        (folder / "random.bin").write_bytes(os.urandom(mebibytes << 20))
        return folder

    def endless_source(self) -> Path:
        """A folder whose backup takes minutes and no space: one file that is all hole."""
        folder = self.folder / "endless"
        folder.mkdir()
        with (folder / "hole.bin").open("wb") as file:
            file.truncate(256 << 30)
        return folder


def make_bench(folder: Path, binary: str, template: Path) -> Bench:
    repository, source = folder / "repository", folder / "source"
    shutil.copytree(template, repository)
    source.mkdir()
    for name in ("one", "two", "three"):
        (source / name).write_text(f"{name}\n" * 100)
    return Bench(
        folder=folder,
        binary=binary,
        restic=Restic(binary=binary, cache_dir=folder / "cache", clock=now),
        place=Place(url=str(repository), password=PASSWORD),
        repository=repository,
        source=source,
    )


@pytest.fixture
def bench(binary: str, template: Path, tmp_path: Path) -> Bench:
    return make_bench(tmp_path, binary, template)


@pytest.fixture
def unprivileged(binary: str, template: Path) -> Iterator[Bench]:
    """The same for a user who may not read everything; as root, restic is started as nobody."""
    with tempfile.TemporaryDirectory(prefix="lastgood-restic-") as made:
        folder = Path(made)
        folder.chmod(0o755)
        if os.geteuid() != 0:
            yield make_bench(folder, binary, template)
            return
        reader = folder / "restic"
        drop = f"setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups"
        reader.write_text(f'#!/bin/sh\nexec {drop} {binary} "$@"\n')
        reader.chmod(0o755)
        bench = make_bench(folder, str(reader), template)
        (folder / "cache").mkdir(mode=0o700)
        for path in (folder / "cache", *bench.repository.rglob("*"), bench.repository):
            os.chown(path, NOBODY, NOBODY)
        yield bench


@dataclass(frozen=True)
class ExclusiveLock:
    """A live restic check that stands still while it holds its lock."""

    process: subprocess.Popen[bytes]

    def release(self) -> None:
        self.process.send_signal(signal.SIGCONT)  # it goes on, ends, and removes its lock

    def die(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def lock(bench: Bench) -> Iterator[Callable[[], ExclusiveLock]]:
    """Takes an exclusive lock on the repository of ``bench``."""
    held: list[ExclusiveLock] = []

    def take() -> ExclusiveLock:
        env = {"PATH": os.environ["PATH"], "RESTIC_PASSWORD": PASSWORD, "TMPDIR": str(bench.folder)}
        env["RESTIC_CACHE_DIR"] = str(bench.folder / "cache-of-check")
        argv = [bench.binary, "-r", str(bench.repository), "check"]
        process = subprocess.Popen(argv, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        held.append(ExclusiveLock(process))
        # The lock is written under a longer name first; restic then waits 0.2 s before it goes on.
        while not [path for path in (bench.repository / "locks").iterdir() if len(path.name) == 64]:
            assert process.poll() is None, "check ended before its lock was seen"
            time.sleep(0.002)
        process.send_signal(signal.SIGSTOP)
        return held[-1]

    yield take
    for holder in held:
        holder.die()


@pytest.fixture
def store() -> Iterator[Store]:
    far_side = Store()
    yield far_side
    far_side.close()
