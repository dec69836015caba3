"""A real container engine in private folders, where this machine can run one.

``LASTGOOD_TEST_DOCKER`` names folders with ``dockerd``, ``docker``, ``containerd``, ``runc`` and ``busybox``, as PATH
does; else PATH is asked. A test without them, or without the right to start an engine, is skipped with the reason.
The engine has its own socket, data and network of none; it ends with the block, and nothing of it stays.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

IMAGE = "lg-test/busybox:1"
NEEDED = ("dockerd", "docker", "containerd", "runc", "busybox")
START_SECONDS = 30.0
END_SECONDS = 60.0


def _path() -> str:
    return os.pathsep.join(filter(None, (os.environ.get("LASTGOOD_TEST_DOCKER"), os.environ.get("PATH"))))


class RealEngine:
    """A running dockerd, and its command line."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "docker.sock"
        self._process: asyncio.subprocess.Process | None = None

    async def docker(self, *arguments: str) -> str:
        """What ``docker`` printed; a failure is an AssertionError."""
        environment = {"PATH": _path(), "DOCKER_HOST": f"unix://{self.socket}", "HOME": str(self.folder)}
        done = await asyncio.to_thread(
            subprocess.run, ["docker", *arguments], env=environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    async def run(self, name: str, *arguments: str, options: tuple[str, ...] = ()) -> str:
        """A container in the background, without any network."""
        return await self.docker("run", "-d", "--name", name, "--network", "none", *options, IMAGE, *arguments)

    async def begin(self) -> None:
        log = (self.folder / "dockerd.log").open("ab")
        command = ["dockerd", "--storage-driver", "vfs", "--iptables=false", "--ip6tables=false", "--bridge=none"]
        command += ["--data-root", str(self.folder / "data"), "--exec-root", str(self.folder / "exec")]
        command += ["-H", f"unix://{self.socket}", "--pidfile", str(self.folder / "docker.pid")]
        dockerd = shutil.which("dockerd", path=_path())
        assert dockerd is not None
        with log:
            self._process = await asyncio.create_subprocess_exec(
                dockerd, *command[1:], stdout=log, stderr=log, env={"PATH": _path(), "HOME": str(self.folder)}
            )
        transport = httpx.AsyncHTTPTransport(uds=str(self.socket))
        async with httpx.AsyncClient(transport=transport, base_url="http://docker", trust_env=False) as client:
            for _ in range(int(START_SECONDS * 10)):
                with contextlib.suppress(httpx.HTTPError):
                    if (await client.get("/_ping")).status_code == 200:
                        return
                if self._process.returncode is not None:
                    break
                await asyncio.sleep(0.1)
        told = (self.folder / "dockerd.log").read_text().strip().splitlines()
        await self.end()
        pytest.skip(f"dockerd does not start here: {told[-1] if told else 'it says nothing'}")

    def freeze(self) -> None:
        """The engine takes connections and answers nothing any more."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    async def end(self) -> None:
        """Stop it as a service manager does: never by force, or its containers would live on."""
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal.SIGCONT)
        process.terminate()
        async with asyncio.timeout(END_SECONDS):
            await process.wait()

    async def import_image(self) -> None:
        """An image of one static busybox."""
        busybox = shutil.which("busybox", path=_path())
        assert busybox is not None
        listed = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
        image = self.folder / "image.tar"
        with tarfile.open(image, "w") as tar:
            tar.add(busybox, "bin/busybox")
            for name in listed:
                if name != "busybox":
                    link = tarfile.TarInfo(f"bin/{name}")
                    link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                    tar.addfile(link)
            for name in ("tmp", "etc"):
                folder = tarfile.TarInfo(name)
                folder.type, folder.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(folder)
        await self.docker("import", "--change", 'CMD ["/bin/sh"]', str(image), IMAGE)

    async def clear(self) -> None:
        """Containers first, then the engine, then what it left mounted."""
        if self._process is not None and self._process.returncode is None:
            self.thaw()
            ids = (await self.docker("ps", "-aq")).split()
            if ids:
                await self.docker("rm", "-f", "-v", *ids)
        await self.end()
        mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for path in sorted((one for one in mounted if one.startswith(str(self.folder))), reverse=True):
            subprocess.run(["umount", path], check=False, capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)


@asynccontextmanager
async def a_real_engine() -> AsyncIterator[RealEngine]:
    """A real engine for as long as the block lasts; skips the test where there can be none."""
    lacking = [name for name in NEEDED if shutil.which(name, path=_path()) is None]
    if lacking:
        pytest.skip(f"no {', '.join(lacking)} on this machine; scripts/test slow fetches them")
    if os.geteuid() != 0:
        pytest.skip("only root may start a container engine")
    # Names of sockets are short, those of test folders are not.
    engine = RealEngine(Path(tempfile.mkdtemp(prefix="lg-engine-")))
    try:
        await engine.begin()
        await engine.import_image()
        yield engine
    finally:
        await engine.clear()
