"""What container engines cost: a hub of many hosts with containers, and one agent beside an engine.

    python bench/docker.py --json                              both parts, the engine simulated
    python bench/docker.py --parts agent --engine real         beside a real dockerd with 60 containers
    python bench/docker.py --parts hub --hosts 1000 --containers 60

``hub``: a real ``lastgood serve``; hosts connect, tell their first survey at once, then each tells a change every 15
seconds, then 200 of them as fast as they are acknowledged; memory, processor, frames and scrapes of it. ``agent``:
two real agents for some minutes, one on a host without an engine, one beside an engine of which a container is
stopped or started every ten seconds; ``TARGETS`` are for the latter. For a real engine see tests/docker_real.py. The
last line of ``--json`` is one object.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import functools
import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvloop
from agents import COOKIE, await_hub, begin_hub, build, cpu_seconds, keys_of, memory_mb
from docker_crowd import frame_bytes

from lastgood.agent.enrolment import AgentConfig, write_config
from lastgood.agent.files import write_private
from lastgood.agent.handshake import to_text
from lastgood.cli.running import raise_file_limit
from lastgood.clock import now
from lastgood.config.settings import ServerSettings, Settings
from lastgood.ids import ulid
from lastgood.model.fact import HostEnrolled
from lastgood.model.host import Host
from lastgood.service.service import Service

TARGETS = {"cpu_percent": 1.0, "resident_mb": 60.0}
CROWD = Path(__file__).with_name("docker_crowd.py")
SETTLE_SECONDS = 30.0
HEARTBEAT_SECONDS = 30.0


class Scraper(threading.Thread):
    """Scrapes the whole page every two seconds."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.url = f"http://127.0.0.1:{port}/metrics"
        self.waits: list[float] = []
        self.stopping = threading.Event()

    def run(self) -> None:
        with httpx.Client(trust_env=False, timeout=30, headers={"Accept-Encoding": "gzip"}) as client:
            while not self.stopping.wait(2):
                began = time.monotonic()
                client.get(self.url).raise_for_status()
                self.waits.append(time.monotonic() - began)

    def figures(self) -> dict[str, Any]:
        self.stopping.set()
        self.join()
        waits = sorted(self.waits)
        if not waits:
            return {"scrapes": 0}
        return {
            "scrapes": len(waits),
            "scrape_p50_ms": round(1000 * waits[len(waits) // 2], 1),
            "scrape_longest_ms": round(1000 * waits[-1], 1),
        }


def waited_seconds(pid: int) -> float:
    """How long its first thread, which is the event loop, stood ready while other programs had the processor."""
    return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[1]) / 1e9


def pages(port: int) -> dict[str, Any]:
    """How large a page is, by vocabulary."""
    told: dict[str, Any] = {}
    with httpx.Client(trust_env=False, timeout=60, base_url=f"http://127.0.0.1:{port}") as client:
        for name in ("dockmesh", "backup", "rm"):
            client.get("/metrics", params={"vocabulary": name})  # the first one compiles it
            began = time.monotonic()
            text = client.get("/metrics", params={"vocabulary": name}).text
            took = time.monotonic() - began
            samples = sum(1 for line in text.splitlines() if line and not line.startswith("#"))
            told[name] = {"ms": round(1000 * took, 1), "kb": round(len(text) / 1e3), "samples": samples}
    return told


class Hosts:
    """The process with the links."""

    def __init__(self, port: int, hub_key: str, hosts: int, containers: int) -> None:
        words = [sys.executable, str(CROWD), "hosts", f"ws://127.0.0.1:{port}/ws/agent", hub_key]
        words += ["--hosts", str(hosts), "--containers", str(containers)]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def do(self, word: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        told: dict[str, Any] = json.loads(self.process.stdout.readline())
        return told


@contextlib.contextmanager
def a_hub(
    folder: Path, hosts: int, minted: Sequence[Host] = ()
) -> Iterator[tuple[subprocess.Popen[bytes], int, str]]:
    """A hub that knows so many hosts; its process, port and public key."""
    hub_key = uvloop.run(build(folder / "hub", hosts))
    if minted:
        uvloop.run(enrol(folder / "hub", minted))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    hub = begin_hub(folder / "hub", port, folder / "hub.log")
    try:
        await_hub(port)
        yield hub, port, hub_key
    finally:
        hub.kill()
        hub.wait()


def hub_part(folder: Path, hosts: int, containers: int, seconds: float) -> dict[str, Any]:
    figures: dict[str, Any] = {"hosts": hosts, "containers": containers, "frame_bytes": frame_bytes(containers)}
    with a_hub(folder, hosts) as (hub, port, hub_key):
        crowd = Hosts(port, hub_key, hosts, containers)
        try:
            figures["connect"] = crowd.do("connect")
            connected = memory_mb(hub.pid)["VmRSS"]
            for name, word in (("first", "first"), ("busy", f"busy {seconds}"), ("flood", f"flood {seconds / 2}")):
                scraper = Scraper(port)
                scraper.start()
                waited = waited_seconds(hub.pid)
                spent, crowd_spent = cpu_seconds(hub.pid), cpu_seconds(crowd.process.pid)
                told = crowd.do(word)
                hub_seconds = cpu_seconds(hub.pid) - spent
                told["hub_cpu_ms_a_survey"] = round(1000 * hub_seconds / told["surveys"], 2)
                told["hub_cpu_percent"] = round(100 * hub_seconds / told["seconds"], 1)
                waited = waited_seconds(hub.pid) - waited
                told["hub_kept_waiting_percent"] = round(100 * waited / told["seconds"], 1)
                crowd_seconds = cpu_seconds(crowd.process.pid) - crowd_spent
                told["hosts_cpu_percent"] = round(100 * crowd_seconds / told["seconds"], 1)
                beats = hosts / HEARTBEAT_SECONDS
                told["frames_a_second"] = round(told["surveys"] / told["seconds"] + beats, 1)
                figures[name] = told | scraper.figures()
                if name == "first":
                    resident = memory_mb(hub.pid)["VmRSS"]
                    figures["connected_mb"], figures["told_mb"] = connected, resident
                    figures["kb_a_container"] = round(1024 * (resident - connected) / hosts / containers, 2)
            figures["memory_mb"] = memory_mb(hub.pid)
            figures["pages"] = pages(port)
        finally:
            crowd.process.kill()
            crowd.process.wait()
    return figures


# --- one agent ---------------------------------------------------------------------------------------------------


@functools.cache
def mint(number: int) -> Host:
    """A host of one of the two agents; a real agent minds what an id looks like."""
    began = now() - timedelta(hours=1)
    id_ = ulid(began, bytes([number] * 10))
    return Host(id=id_, name=f"docker-{number}", key=to_text(keys_of(number).public_key), enrolled_at=began)


async def enrol(folder: Path, hosts: Iterable[Host]) -> None:
    service = await Service.open(Settings(server=ServerSettings(data_dir=folder)), now)
    await service.ingest.start()
    await service.take([HostEnrolled(at=host.enrolled_at, origin="bench", host=host) for host in hosts])
    await service.stop()


def configure_agent(folder: Path, number: int, port: int, hub_key: str, socket_path: Path) -> None:
    folder.mkdir()
    write_private(folder / "agent.key", base64.b64encode(keys_of(number).private_key) + b"\n")
    write_private(folder / "agent-policy.toml", f"docker_socket = {json.dumps(str(socket_path))}\n".encode())
    config = AgentConfig(
        hub_url=f"http://127.0.0.1:{port}",
        hub_key=hub_key,
        host_id=mint(number).id,
        key_file="agent.key",
        data_dir="data",
    )
    write_config(folder / "agent.toml", config)


@contextlib.contextmanager
def simulated_engine(path: Path, containers: int) -> Iterator[None]:
    words = [sys.executable, str(CROWD), "engine", str(path), "--containers", str(containers)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            yield
        finally:
            process.kill()


@contextlib.contextmanager
def real_engine(path: Path, containers: int) -> Iterator[None]:
    """A dockerd of its own in a thread with a loop of its own; ``path`` becomes a link to its socket."""
    sys.path.insert(0, str(Path(__file__).parent.parent))
    from tests.docker_real import RealEngine, a_real_engine

    ready, over = threading.Event(), threading.Event()
    broken: list[BaseException] = []

    async def churn(engine: RealEngine, ids: list[str]) -> None:
        for number in itertools.count():
            await asyncio.sleep(10)
            await engine.docker("stop" if number % 2 == 0 else "start", ids[number // 2 % len(ids)])

    async def run() -> None:
        async with a_real_engine() as engine:
            ids = []
            for number in range(containers):
                project = ("--label", f"com.docker.compose.project=stack-{number // 5:02}")
                service = ("--label", f"com.docker.compose.service=service-{number % 5}")
                check = ("--health-cmd", "true", "--health-interval", "10s") if number % 5 == 0 else ()
                options = (*project, *service, *check, "--stop-timeout", "1")
                ids.append(await engine.run(f"box-{number:02}", "sleep", "100000", options=options))
            path.symlink_to(engine.socket)
            ready.set()
            churning = asyncio.create_task(churn(engine, ids))
            await asyncio.to_thread(over.wait)
            churning.cancel()
            await asyncio.gather(churning, return_exceptions=True)

    def work() -> None:
        try:
            asyncio.run(run())
        except (Exception, pytest.skip.Exception) as error:  # noqa: BLE001 - told by the first thread
            broken.append(error)
        ready.set()

    thread = threading.Thread(target=work)
    thread.start()
    ready.wait()
    try:
        if broken:
            raise SystemExit(f"No real engine: {broken[0]}")
        yield
    finally:
        over.set()
        thread.join()


def agent_part(folder: Path, containers: int, seconds: float, kind: str, python: str) -> dict[str, Any]:
    made = {"simulated": simulated_engine, "real": real_engine}[kind]
    minted = [mint(0), mint(1)]
    with a_hub(folder, 0, minted) as (_, port, hub_key), made(folder / "docker.sock", containers):
        names = {"beside": folder / "docker.sock", "without": folder / "none.sock"}
        agents: dict[str, subprocess.Popen[bytes]] = {}
        try:
            for number, (name, path) in enumerate(names.items()):
                configure_agent(folder / name, number, port, hub_key, path)
                words = [
                    python,
                    "-m",
                    "lastgood",
                    "agent",
                    "run",
                    "--config",
                    str(folder / name / "agent.toml"),
                ]
                with (folder / f"{name}.log").open("ab") as log:
                    agents[name] = subprocess.Popen(words, stdout=log, stderr=log)
            time.sleep(SETTLE_SECONDS)
            seen = _containers(port)
            before = {name: cpu_seconds(one.pid) for name, one in agents.items()}
            began = time.monotonic()
            time.sleep(seconds)
            took = time.monotonic() - began
            told: dict[str, Any] = {"engine": kind, "containers": seen, "seconds": round(took)}
            for name, one in agents.items():
                memory = memory_mb(one.pid)
                told[name] = {
                    "cpu_percent": round(100 * (cpu_seconds(one.pid) - before[name]) / took, 2),
                    "resident_mb": memory["VmRSS"],
                    "peak_mb": memory["VmHWM"],
                }
            told["containers_after"] = _containers(port)
            return told
        except BaseException:
            for name in names:
                log_file = folder / f"{name}.log"
                sys.stderr.write(log_file.read_text()[-2000:] if log_file.exists() else "")
            raise
        finally:
            for one in agents.values():
                one.terminate()
                one.wait()


def _containers(port: int) -> int:
    """How many the hub knows of the first host, as a person who is signed in sees them."""
    with httpx.Client(
        base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30, cookies={"lastgood": COOKIE}
    ) as client:
        answer = client.get(f"/api/v1/hosts/{mint(0).id}/containers", params={"limit": 100})
        answer.raise_for_status()
        return len(answer.json()["items"])


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--parts", default="hub,agent")
    arguments.add_argument("--hosts", type=int, default=1000)
    arguments.add_argument("--containers", type=int, default=60)
    arguments.add_argument("--seconds", type=float, default=60, help="of the hub under changes")
    arguments.add_argument("--agent-seconds", type=float, default=300)
    arguments.add_argument("--engine", choices=["simulated", "real"], default="simulated")
    arguments.add_argument(
        "--python", default=sys.executable, help="of the agents; one without the hub's extra is lighter"
    )
    arguments.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    arguments.add_argument("--json", action="store_true")
    chosen = arguments.parse_args()
    raise_file_limit()
    told: dict[str, Any] = {"bench": "docker", "targets": TARGETS, "load": os.getloadavg()}
    for part in chosen.parts.split(","):
        folder = Path(tempfile.mkdtemp(prefix="bench-docker-", dir=chosen.folder))
        try:
            if part == "hub":
                told["hub"] = hub_part(folder, chosen.hosts, chosen.containers, chosen.seconds)
            else:
                told["agent"] = agent_part(
                    folder, chosen.containers, chosen.agent_seconds, chosen.engine, chosen.python
                )
                told["reached"] = all(told["agent"]["beside"][name] <= most for name, most in TARGETS.items())
        except BaseException:
            sys.stderr.write((folder / "hub.log").read_text()[-3000:] if (folder / "hub.log").exists() else "")
            raise
        finally:
            shutil.rmtree(folder)
    if chosen.json:
        print(json.dumps(told))
        return
    for name, figure in told.items():
        print(f"{name:10} {figure}")
    sys.exit(0 if told.get("reached", True) else 1)


if __name__ == "__main__":
    main()
