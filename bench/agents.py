"""10,000 agents that all want in at once: at their first start, and after the hub was killed under them.

    python bench/agents.py --json            10,000 real links in one process, a real ``lastgood serve`` in another
    python bench/agents.py --agents 1000 --no-kill

Links, handshakes and waits are the agents' own; only their spools are in memory, since 10,000 files on one disk
would measure that disk. Meanwhile a person reads pages. The numbers to reach are in the design: all back within
120 s, pages p99 under 1 s, and no second with more than three times the mean of connects. The last line of
``--json`` is one object.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import uvloop

from lastgood.agent.handshake import Pinned, from_text, to_text
from lastgood.agent.link import Described, Link, Order, Seams
from lastgood.agent.spool_file import Met
from lastgood.auth.identity import KeyPair, mint_key_pair
from lastgood.auth.secrets import keyed_digest
from lastgood.cli.running import raise_file_limit
from lastgood.clock import now
from lastgood.config.settings import ServerSettings, Settings
from lastgood.ids import stable_key, ulid
from lastgood.logs import configure
from lastgood.model.fact import Fact, HostEnrolled, RepositoryConfigured, SourceConfigured
from lastgood.model.host import AgentInfo, Host
from lastgood.model.job import Schedule
from lastgood.model.repository import Repository
from lastgood.model.source import Source
from lastgood.service.service import Service
from lastgood.store import accounts
from lastgood.web.wiring import web_key
from lastgood.wire.frames import Assignment, Report

TARGETS = {"back_seconds": 120.0, "pages_p99_ms": 1000.0, "peak_over_mean": 3.0}
PATHS = ("/", "/hosts", "/runs", "/api/v1/fleet", "/api/v1/hosts?limit=100", "/alerts")
INFO = AgentInfo(agent_version="1.0", restic_version="0.18.0", os="linux", arch="amd64", protocol=1)
COOKIE = "a session of the bench"
PATIENCE = 400.0


def keys_of(number: int) -> KeyPair:
    return mint_key_pair(hashlib.sha256(f"agent {number}".encode()).digest())


def host_id(number: int) -> str:
    return stable_key("host", str(number))


# --- the hub's folder --------------------------------------------------------------------------------------------


def facts_of(number: int, began: Any) -> tuple[Fact, ...]:
    by = {"at": began, "origin": "bench"}
    host = Host(
        id=host_id(number),
        name=f"srv-{number:05}",
        key=to_text(keys_of(number).public_key),
        enrolled_at=began,
        info=INFO,
    )
    repository = Repository(id=stable_key("vault", str(number)), name=f"vault-{number}", url="/r", added_at=began)
    source = Source(
        id=stable_key("source", str(number)),
        name="home",
        host_id=host.id,
        repository_id=repository.id,
        paths=("/home",),
        restic_host=host.name,
        created_at=began,
        revised_at=began,
        schedule=Schedule(cron="0 2 * * *"),
    )
    return (
        HostEnrolled(**by, host=host),
        RepositoryConfigured(**by, repository=repository),
        SourceConfigured(**by, source=source),
    )


async def build(folder: Path, agents: int) -> str:
    """Enrol them all and sign a person in; answers the hub's public key."""
    began = now() - timedelta(hours=1)
    service = await Service.open(Settings(server=ServerSettings(data_dir=folder)), now)
    await service.ingest.start()
    for start in range(0, agents, 500):
        await service.take([f for n in range(start, min(agents, start + 500)) for f in facts_of(n, began)])
    digest = keyed_digest(web_key(service.secret_key), "session", COOKIE).hex()
    user = accounts.User(id=ulid(began), name="ann", role="admin", created_at=began, password_hash="none")
    session = accounts.Session(
        digest=digest,
        user_id=user.id,
        created_at=began,
        seen_at=began,
        expires_at=began + timedelta(hours=24),
        address="127.0.0.1",
        agent="bench",
    )
    await service.database.write(lambda rows: accounts.add_user(rows, user))
    await service.database.write(lambda rows: accounts.add_session(rows, session))
    key = to_text(service.keys.public_key)
    await service.stop()
    return key


# --- the agents --------------------------------------------------------------------------------------------------


class MemorySpool:
    """An empty spool as ``Link`` sees one."""

    def __init__(self, number: int) -> None:
        self.id = ulid(now(), hashlib.sha256(f"spool {number}".encode()).digest()[:10])
        self.acknowledged = 0
        self.changed = asyncio.Event()

    async def owed(self) -> int:
        return 0

    async def meet(self, acknowledged: int) -> Met:
        return Met.IN_STEP

    async def after(self, sequence: int, limit: int) -> list[Report]:
        return []

    async def acknowledge(self, sequence: int) -> None:
        self.acknowledged = sequence

    def part(self) -> None:
        return


async def crowd(url: str, hub_key: str, agents: int) -> None:
    """Every agent begins at once; each arrival is one line with its moment, by a clock that all processes share."""
    described = Described(info=INFO, hostname="bench", assignment_version=None, running=())
    arrivals: list[float] = []

    async def describe() -> Described:
        return described

    async def receive(order: Order) -> None:
        if isinstance(order, Assignment):
            arrivals.append(time.monotonic())

    links = []
    for number in range(agents):
        pinned = Pinned(host_id=host_id(number), keys=keys_of(number), hub_key=from_text(hub_key))
        seams = Seams(describe=describe, receive=receive, survey_all=lambda: None)
        links.append(Link(url, pinned, MemorySpool(number), seams, now))  # type: ignore[arg-type]
    await asyncio.to_thread(sys.stdin.readline)
    tasks = [asyncio.create_task(link.run()) for link in links]
    print(json.dumps({"began": time.monotonic()}), flush=True)
    while True:
        await asyncio.sleep(0.25)
        told, arrivals[:] = list(arrivals), []
        broken = [task for task in tasks if task.done()]
        print(json.dumps({"arrivals": told, "broken": len(broken)}), flush=True)


# --- who reads pages meanwhile -----------------------------------------------------------------------------------


class Reader(threading.Thread):
    """Reads one page after another and notes how long each took; what does not answer counts as long as it took."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.url = url
        self.waits: list[float] = []
        self.failures = 0
        self.stopping = threading.Event()

    def run(self) -> None:
        for path in itertools.cycle(PATHS):
            if self.stopping.wait(0.1):
                return
            began = time.monotonic()
            try:
                with httpx.Client(base_url=self.url, trust_env=False, timeout=30, cookies={"lastgood": COOKIE}) as c:
                    c.get(path).raise_for_status()
            except httpx.HTTPError:
                self.failures += 1
            self.waits.append(time.monotonic() - began)


# --- the bench ---------------------------------------------------------------------------------------------------


def begin_hub(folder: Path, port: int, log: Path) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "lastgood", "serve", "--data-dir", str(folder), "--listen", f"127.0.0.1:{port}"]
    env = {**os.environ, "LASTGOOD_METRICS__AUTH": "false", "LASTGOOD_LOG__LEVEL": "warning"}
    with log.open("ab") as out:
        return subprocess.Popen(words, stdout=out, stderr=out, env=env)


def await_hub(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/-/ready", trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise SystemExit("The hub does not serve; look at its log.")


def memory_mb(pid: int) -> dict[str, float]:
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {name: round(int(lines[name].split()[0]) / 1024, 1) for name in ("VmRSS", "VmHWM")}


def cpu_seconds(pid: int) -> float:
    """Of the process so far: what does not depend on who else works on this machine."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def storm(process: subprocess.Popen[str], url: str, agents: int, began: float) -> dict[str, Any]:
    """Wait until all have arrived since ``began``, while pages are read."""
    reader = Reader(url)
    reader.start()
    arrived: list[float] = []
    assert process.stdout is not None
    while len(arrived) < agents and time.monotonic() < began + PATIENCE:
        told = json.loads(process.stdout.readline())
        arrived += [at for at in told.get("arrivals", ()) if at >= began]
        if told.get("broken"):
            raise SystemExit(f"{told['broken']} links ended by themselves.")
    reader.stopping.set()
    reader.join()
    arrived.sort()
    waits = sorted(reader.waits)
    seconds = Counter(int(at - arrived[0]) for at in arrived)
    mean = len(arrived) / max(arrived[-1] - arrived[0], 1.0)
    return {
        "arrived": len(arrived),
        "back_seconds": round(arrived[-1] - began, 1),
        "first_seconds": round(arrived[0] - began, 1),
        "p99_back_seconds": round(arrived[len(arrived) * 99 // 100] - began, 1),
        "mean_connects": round(mean, 1),
        "peak_connects": max(seconds.values()),
        "peak_over_mean": round(max(seconds.values()) / mean, 2),
        "pages": len(waits),
        "page_failures": reader.failures,
        "pages_p50_ms": round(1000 * waits[len(waits) // 2], 1),
        "pages_p99_ms": round(1000 * waits[min(len(waits) - 1, len(waits) * 99 // 100)], 1),
        "pages_worst_ms": round(1000 * waits[-1], 1),
    }


def bench(folder: Path, agents: int, kill: bool) -> dict[str, Any]:
    hub_key = uvloop.run(build(folder / "hub", agents))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url, log = f"http://127.0.0.1:{port}", folder / "hub.log"
    hub = begin_hub(folder / "hub", port, log)
    crowd_of = None
    try:
        await_hub(port)
        empty, spent = memory_mb(hub.pid), cpu_seconds(hub.pid)
        words = [sys.executable, __file__, "--crowd", f"ws://127.0.0.1:{port}/ws/agent", hub_key]
        crowd_of = subprocess.Popen(
            [*words, "--agents", str(agents)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert crowd_of.stdin is not None
        assert crowd_of.stdout is not None
        crowd_of.stdin.write("go\n")
        crowd_of.stdin.flush()
        began = json.loads(crowd_of.stdout.readline())["began"]
        figures: dict[str, Any] = {"first": storm(crowd_of, url, agents, began)}
        figures["memory_mb"] = memory_mb(hub.pid)
        figures["cpu_ms_a_connect"] = round(1000 * (cpu_seconds(hub.pid) - spent) / agents, 2)
        figures["kb_an_agent"] = round(1024 * (figures["memory_mb"]["VmRSS"] - empty["VmRSS"]) / agents, 1)
        if kill:
            hub.send_signal(signal.SIGKILL)
            hub.wait()
            killed = time.monotonic()
            hub = begin_hub(folder / "hub", port, log)
            await_hub(port)
            figures["down_seconds"] = round(time.monotonic() - killed, 1)
            figures["after_kill"] = storm(crowd_of, url, agents, time.monotonic() - 2)
            figures["memory_after_kill_mb"] = memory_mb(hub.pid)
        figures["hub_log_lines"] = len(log.read_text().splitlines())
        return figures
    finally:
        for process in (crowd_of, hub):
            if process is not None:
                process.kill()
                process.wait()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--agents", type=int, default=10_000)
    arguments.add_argument("--no-kill", action="store_true", help="only their first start")
    arguments.add_argument("--folder", type=Path, default=Path())
    arguments.add_argument("--json", action="store_true")
    arguments.add_argument("--crowd", nargs=2, help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    raise_file_limit()
    if chosen.crowd:
        configure("error", "text")  # on standard error; the figures are on the other
        uvloop.run(crowd(*chosen.crowd, chosen.agents))
        return
    folder = Path(tempfile.mkdtemp(prefix="bench-agents-", dir=chosen.folder))
    try:
        figures = bench(folder, chosen.agents, not chosen.no_kill)
    except BaseException:
        sys.stderr.write((folder / "hub.log").read_text()[-3000:] if (folder / "hub.log").exists() else "")
        raise
    finally:
        shutil.rmtree(folder)
    storms = [figures[name] for name in ("first", "after_kill") if name in figures]
    reached = all(one["arrived"] == chosen.agents and one[k] <= v for one in storms for k, v in TARGETS.items())
    if chosen.json:
        told = {"bench": "agents", "agents": chosen.agents, "targets": TARGETS, "reached": reached}
        print(json.dumps(told | figures))
        return
    for name, figure in figures.items():
        print(f"{name:22} {figure}")
    sys.exit(0 if reached else 1)


if __name__ == "__main__":
    main()
