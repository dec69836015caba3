"""A real hub and real agents with real restic, each a process of its own, for stories about what lies between them.

``a_field`` enrols so many machines in a fresh hub's folder by the hub's own way in; whoever has it starts, kills and
cuts off what it likes. At the end ``all_told`` compares what the hub holds with what lies in the repositories.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from lastgood.agent.enrolment import AgentConfig, make_key, write_config
from lastgood.agent.files import write_private
from lastgood.agent.handshake import to_text
from lastgood.cli.ask import Hub
from lastgood.clock import now
from lastgood.config.private import reachable_socket
from lastgood.config.settings import ServerSettings, Settings
from lastgood.errors import LastgoodError
from lastgood.model.fact import HostEnrolled, RepositoryConfigured, SourceConfigured
from lastgood.model.host import Host
from lastgood.model.job import Schedule
from lastgood.model.repository import Repository
from lastgood.model.source import Source
from lastgood.service.service import Service
from tests.builders import a_host, a_repository, a_source
from tests.flow.hub import command, environment, until

PASSWORD = "correct-horse"


@dataclass
class Machine:
    """A host with its agent's files, one source and one repository of its own."""

    name: str
    folder: Path
    began_at: datetime
    schedule: Schedule | None = None
    url: str | None = None
    within: tuple[str, ...] = ()
    """What stands before the command, such as ``ip netns exec``."""

    options: tuple[str, ...] = ()
    restic: str = "restic"
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        (self.folder / "files").mkdir(parents=True)
        (self.folder / "files" / "letter").write_text(f"dear reader of {self.name}\n" * 50)
        write_private(self.folder / "password", PASSWORD.encode() + b"\n")
        key = make_key(self.folder / "agent.key").public_key
        self.host: Host = a_host(self.name, key=to_text(key), enrolled_at=self.began_at)
        self.repository: Repository = a_repository(
            f"vault of {self.name}",
            url=self.url or str(self.folder / "repository"),
            password_file=str(self.folder / "password"),
        )
        self.source: Source = a_source(
            f"files of {self.name}",
            self.host,
            self.repository,
            paths=(str(self.folder / "files"),),
            schedule=self.schedule,
            created_at=self.began_at,
            revised_at=self.began_at,
        )

    @property
    def config(self) -> Path:
        return self.folder / "agent.toml"

    def configure(self, hub_url: str, hub_key: bytes) -> None:
        config = AgentConfig(
            hub_url=hub_url,
            hub_key=to_text(hub_key),
            host_id=self.host.id,
            key_file="agent.key",
            data_dir="data",
            restic=self.restic,
            insecure=True,
        )
        write_config(self.config, config)

    def start(self) -> None:
        words = [*self.within, *command("agent", "run", "--config", str(self.config), *self.options)]
        with (self.folder / "agent.log").open("ab") as log:
            self.process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment()
            )

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout=60)

    def restic_says(self, *arguments: str) -> Any:
        env = {**environment(), "RESTIC_PASSWORD": PASSWORD, "RESTIC_CACHE_DIR": str(self.folder / "reader")}
        words = [self.restic, "-r", self.repository.url, "--json", "--no-lock", *arguments]
        done = subprocess.run(words, env=env, capture_output=True, text=True, check=True, timeout=60)
        return json.loads(done.stdout or "[]")

    def locks(self) -> list[Path]:
        folder = Path(self.repository.url) / "locks"
        return list(folder.iterdir()) if folder.is_dir() else []


@dataclass
class Field:
    """The hub's folder and process, and the machines."""

    folder: Path
    listen: str
    machines: list[Machine]
    hub_key: bytes = b""
    process: subprocess.Popen[bytes] | None = None
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def port(self) -> int:
        return int(self.listen.rpartition(":")[2])

    def start_hub(self) -> None:
        words = command("serve", "--data-dir", str(self.folder), "--listen", self.listen)
        env = environment({"LASTGOOD_METRICS__AUTH": "false", **self.extra})
        with (self.folder.parent / "hub.log").open("ab") as log:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)

    def await_hub(self) -> None:
        ready_url = f"http://127.0.0.1:{self.port}/-/ready"

        def ready() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, self.log()[-3000:]
            try:
                return httpx.get(ready_url, trust_env=False, verify=False).status_code == 200
            except httpx.TransportError:
                return False

        until(ready, "the hub is serving")

    def end_hub(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout=30)

    def log(self) -> str:
        return (self.folder.parent / "hub.log").read_text()

    def is_listening(self) -> bool:
        """Whether anybody is at the local socket: httpx forgets to close its own when nobody is."""
        with socket.socket(socket.AF_UNIX) as probe, reachable_socket(self.folder / "hub.sock") as address:
            return probe.connect_ex(address) == 0

    @contextmanager
    def _asked(self) -> Iterator[Hub]:
        """As ``asked_hub``, without reading the certificates of the world each time that somebody polls."""
        with reachable_socket(self.folder / "hub.sock") as address:
            transport = httpx.HTTPTransport(uds=address, verify=False)
            client = httpx.Client(base_url="http://localhost", transport=transport, timeout=60, trust_env=False)
            with Hub(client, "the field's hub") as hub:
                yield hub

    def get(self, path: str, **query: Any) -> Any:
        with self._asked() as hub:
            return hub.get(path, **query)

    def post(self, path: str, body: Any = None) -> Any:
        with self._asked() as hub:
            return hub.post(path, body)

    def patch(self, path: str, body: Any) -> Any:
        with self._asked() as hub:
            return hub.patch(path, body)

    def runs(self) -> list[dict[str, Any]]:
        with self._asked() as hub:
            return [run for run in hub.every("/runs") if run["kind"] == "backup"]

    def host(self, machine: Machine) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"/hosts/{machine.host.id}")
        return found

    def back_up(self, machine: Machine) -> str | None:
        """Ask for a run; None if the agent or the hub is not there at present."""
        if not self.is_listening():
            return None
        try:
            return str(self.post("/runs", {"source_id": machine.source.id})["run_id"])
        except LastgoodError:
            return None

    def all_connected(self, seconds: float = 60) -> None:
        until(lambda: all(self.host(machine)["connected"] for machine in self.machines), "all are there", seconds)

    def end(self) -> None:
        for machine in self.machines:
            if machine.process is not None:
                machine.end(signal.SIGKILL)
        if self.process is not None:
            self.end_hub(signal.SIGKILL)


@contextmanager
def a_field(room: Path, listen: str, machines: list[Machine], **extra: str) -> Iterator[Field]:
    """Nothing runs yet; what runs at the end is ended."""
    made = Field(room / "hub", listen, machines, extra=dict(extra))
    made.hub_key = asyncio.run(_enrol(made.folder, machines))
    for machine in machines:
        machine.configure(f"http://127.0.0.1:{made.port}", made.hub_key)
    try:
        yield made
    finally:
        made.end()


async def _enrol(folder: Path, machines: list[Machine]) -> bytes:
    service = await Service.open(Settings(server=ServerSettings(data_dir=folder)), now)
    await service.ingest.start()
    for machine in machines:
        by = {"at": machine.began_at, "origin": "test"}
        await service.take(
            [
                HostEnrolled(**by, host=machine.host),
                RepositoryConfigured(**by, repository=machine.repository),
                SourceConfigured(**by, source=machine.source),
            ]
        )
    key = service.keys.public_key
    await service.stop()
    return key


def all_told(field: Field, among: set[str] | None = None) -> Counter[str]:
    """Hub and repositories agree: every snapshot is one run's, no moment and no id came twice, no run is stuck.

    Answers how many runs ended in which outcome. ``among`` are ids of runs that were accepted and must be there.
    """
    runs = field.runs()
    assert [run for run in runs if run["outcome"] is None] == [], "a run is stuck"
    ids = Counter(run["id"] for run in runs)
    assert [run_id for run_id, times in ids.items() if times > 1] == []
    assert (among or set()) <= ids.keys(), "a run that was accepted is lost"
    for machine in field.machines:
        own = [run for run in runs if run["source_id"] == machine.source.id]
        moments = Counter(run["due_at"] for run in own if run["due_at"] is not None)
        assert [moment for moment, times in moments.items() if times > 1] == [], "a moment ran twice"
        told = {run["snapshot_id"] for run in own if run["snapshot_id"] is not None}
        made = {snapshot["id"] for snapshot in machine.restic_says("snapshots")}
        assert all(any(full.startswith(known) for full in made) for known in told), "a snapshot was made up"
        unseen = {full for full in made if not any(full.startswith(known) for known in told)}
        lost = sum(run["outcome"] in ("lost", "failed", "cancelled") for run in own)
        assert len(unseen) <= lost, "a snapshot is there that no run speaks of"
    return Counter(str(run["outcome"]) for run in runs)


def minutes_ago(minutes: float) -> datetime:
    return now() - timedelta(minutes=minutes)


def parse(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def may_make_networks() -> str | None:
    """Why no network can be made here; None if one can."""
    if os.geteuid() != 0:
        return "only root makes network namespaces"
    try:
        made = subprocess.run(["ip", "netns", "add", "lastgood-probe"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "there is no ip: apt-get install iproute2"
    if made.returncode:
        return f"no network namespace can be made here: {made.stderr.strip()}"
    subprocess.run(["ip", "netns", "delete", "lastgood-probe"], check=True)
    return None
