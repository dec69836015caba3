"""A hub that runs out of open files goes on with those it has, says so once, and heals when there are some again."""

from __future__ import annotations

import resource
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from lastgood.web.accepting import most_connections
from tests.flow.hub import command, environment, free_port, until

FILES = 128
COMPLAINT = "no room for more connections"


@dataclass
class Hub:
    process: subprocess.Popen[bytes]
    port: int
    folder: Path

    def answers(self, path: str = "/healthz") -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}{path}", trust_env=False, timeout=2).status_code == 200
        except httpx.TransportError:
            return False

    def answers_locally(self, path: str) -> bool:
        transport = httpx.HTTPTransport(uds=str(self.folder / "hub.sock"))
        with httpx.Client(transport=transport, base_url="http://localhost", timeout=10) as client:
            return client.get(path).status_code == 200

    def log(self) -> str:
        return (self.folder.parent / "hub.log").read_text()

    def open_files(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))


@contextmanager
def hub_with_few_files(room: Path) -> Iterator[Hub]:
    port = free_port()
    words = command("serve", "--data-dir", str(room / "hub"), "--listen", f"127.0.0.1:{port}")
    env = environment({"LASTGOOD_METRICS__AUTH": "false"})
    with (room / "hub.log").open("wb") as log:
        process = subprocess.Popen(["prlimit", f"--nofile={FILES}:{FILES}", *words], stdout=log, stderr=log, env=env)
    hub = Hub(process, port, room / "hub")
    try:
        until(hub.answers, "the hub answers")
        yield hub
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("files", "most"), [(64, 16), (128, 80), (1024, 960), (262_144, 261_632), (resource.RLIM_INFINITY, 1_000_000)]
)
def test_some_files_are_kept_for_the_hub_itself(files: int, most: int) -> None:
    assert most_connections(files) == most


def test_more_callers_than_open_files_leave_the_hub_working_and_it_heals(tmp_path: Path) -> None:
    with hub_with_few_files(tmp_path) as hub:
        callers = [socket.create_connection(("127.0.0.1", hub.port), timeout=10) for _ in range(2 * FILES)]
        until(lambda: COMPLAINT in hub.log(), "the hub says that there is no room")
        assert hub.open_files() <= FILES
        assert hub.answers_locally("/metrics")
        assert hub.answers_locally("/api/v1/fleet"), "the database still has the files it needs"
        for caller in callers:
            caller.close()
        until(hub.answers, "the hub takes callers again", seconds=15)
        until(lambda: hub.open_files() < most_connections(FILES), "what was closed is let go")
        assert hub.log().count(COMPLAINT) == 1
        assert "Traceback" not in hub.log()


def test_a_kernel_that_gives_no_descriptor_ends_nothing(tmp_path: Path) -> None:
    """Callers were cut off without a word anywhere; now they wait, and the log says why."""
    with hub_with_few_files(tmp_path) as hub:
        resource.prlimit(hub.process.pid, resource.RLIMIT_NOFILE, (hub.open_files(), FILES))
        with ExitStack() as callers:
            for _ in range(20):
                callers.enter_context(socket.create_connection(("127.0.0.1", hub.port), timeout=10))
            until(lambda: COMPLAINT in hub.log(), "the hub says that there is no room")
            assert not hub.answers()
            resource.prlimit(hub.process.pid, resource.RLIMIT_NOFILE, (FILES, FILES))
            until(hub.answers, "the hub takes callers again", seconds=60)
        assert hub.log().count(COMPLAINT) == 1
