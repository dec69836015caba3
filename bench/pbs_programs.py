"""The programs under ``bench/pbs.py``: the simulated server, and exporters of it, ours and others.

Each runs in a process of its own, so that what it costs is seen from outside: ``/proc`` for processor and memory, the
simulator's own counts for requests and bytes.
"""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lastgood import clock

ROOT = Path(__file__).parent.parent
PATIENCE_SECONDS = 600.0
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Pbs:
    """A simulated server: what it told of itself at the start, and what it knows now."""

    told: Mapping[str, Any]
    pid: int

    @property
    def secret(self) -> str:
        return str(self.told["token"]).partition(":")[2]

    def ask(self, path: str, body: Any = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.told["control_port"], timeout=PATIENCE_SECONDS)
        with contextlib.closing(connection):
            connection.request("GET" if body is None else "POST", path, None if body is None else json.dumps(body))
            answer = connection.getresponse()
            told = answer.read()
            if answer.status != 200:
                raise SystemExit(f"{path}: {told[:300]!r}")
            return json.loads(told)

    def readable_groups(self) -> int:
        return sum(group["readable"] for group in self.ask("/truth")["groups"])

    def ascii_only(self) -> None:
        """Take out the guests whose comments hold more than ASCII."""
        odd = self.ask("/truth")["special"]["multibyte-comment"]
        self.ask("/events", [{"do": {"kind": "delete-group", **group}} for group in odd])

    def back_up(self, number: int) -> None:
        """One more snapshot, of one of five guests of its first datastore."""
        guest = {"store": "main", "type": "vm", "id": str(900_000 + number % 5)}
        self.ask("/events", [{"do": {"kind": "add-snapshot", **guest}}])


def waits(pid: int) -> dict[str, float]:
    """For how many seconds each thread of the process stood ready while other programs ran."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):  # it has ended
            found[task.name] = int((task / "schedstat").read_text().split()[1]) / 1e9
    return found


def waited_seconds(pid: int) -> float:
    """All of its threads together."""
    return sum(waits(pid).values())


@dataclass
class Program:
    pid: int
    port: int

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory_mb(self) -> tuple[float, float]:
        """Resident now, and at most so far."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        now, most = (re.search(rf"{name}:\s+(\d+)", status) for name in ("VmRSS", "VmHWM"))
        assert now is not None
        assert most is not None
        return int(now[1]) / 1024, int(most[1]) / 1024

    def get(self) -> tuple[float, bytes, bytes]:
        """Milliseconds until the last byte of ``/metrics``, that body, and its text. OSError or HTTPException."""
        began = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)
        with contextlib.closing(connection):
            headers = {"Accept": "application/openmetrics-text;version=1.0.0", "Accept-Encoding": "gzip"}
            connection.request("GET", "/metrics", headers=headers)
            answer = connection.getresponse()
            body = answer.read()
            took = (time.perf_counter() - began) * 1000
            if answer.status != 200:
                raise http.client.HTTPException(f"{answer.status} {body[:200]!r}")
            packed = answer.getheader("Content-Encoding") == "gzip"
        return took, body, gzip.decompress(body) if packed else body


@contextlib.contextmanager
def simulated(size: str, latency_ms: float, *, plain: bool = False) -> Iterator[Pbs]:
    """A server whose clock runs; ``plain``: all its datastores are ordinary ones, which every exporter can read."""
    with tempfile.TemporaryDirectory(prefix="bench-pbs-") as folder:
        name = str(_plain(size, Path(folder))) if plain else size
        now = int(clock.now().timestamp())
        options = ["--size", name, "--latency-ms", str(latency_ms), "--now", str(now), "--speed", "1"]
        command = [sys.executable, "-m", "tests.pbs_simulator", *options]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                yield Pbs(json.loads(process.stdout.readline()), process.pid)
            finally:
                process.send_signal(signal.SIGTERM)


def _plain(size: str, folder: Path) -> Path:
    sys.path.insert(0, str(ROOT))
    from dataclasses import asdict

    from tests.pbs_simulator import SIZES

    told = asdict(SIZES[size])
    path = folder / "plain.json"
    path.write_text(json.dumps({**told, "states": ["ordinary"] * len(told["states"])}))
    return path


@contextlib.contextmanager
def exporter(pbs: Pbs) -> Iterator[Program]:
    """Ours, as its user starts it; the certificate is pinned."""
    port = _free_port()
    with tempfile.TemporaryDirectory(prefix="bench-pbs-") as folder:
        config = Path(folder, "exporter.toml")
        told = {
            "endpoint": pbs.told["url"],
            "token_id": pbs.told["token_id"],
            "token_secret": pbs.secret,
            "fingerprint": pbs.told["pin"],
        }
        lines = "\n".join(f"{name} = {json.dumps(value)}" for name, value in told.items())
        config.write_text(f'[pbs]\n{lines}\n[exporter]\nlog_level = "warn"\n')
        config.chmod(0o600)
        ours = ["-m", "lastgood", "exporter", "pbs", "--config", str(config), "--listen", f"127.0.0.1:{port}"]
        with _running([sys.executable, *ours], {}, port) as program:
            until(lambda: _is_well(port), "the exporter answers")
            yield program


@contextlib.contextmanager
def rival(command: str, pbs: Pbs) -> Iterator[Program]:
    """Another exporter, told by the environment what both of the known ones read there; else as it comes."""
    port = _free_port()
    user, _, name = str(pbs.told["token_id"]).partition("!")
    told = {
        "PBS_ENDPOINT": pbs.told["url"],
        "PBS_USERNAME": user,
        "PBS_API_TOKEN_NAME": name,
        "PBS_API_TOKEN": pbs.secret,
        "PBS_INSECURE": "true",
        "PBS_LISTEN_ADDRESS": f"127.0.0.1:{port}",
        "PBS_EXPORTER__PBS__ENDPOINT": pbs.told["url"],
        "PBS_EXPORTER__PBS__TOKEN_ID": pbs.told["token_id"],
        "PBS_EXPORTER__PBS__TOKEN_SECRET": pbs.secret,
        "PBS_EXPORTER__PBS__VERIFY_TLS": "false",
        "PBS_EXPORTER__EXPORTER__LISTEN_ADDRESS": f"127.0.0.1:{port}",
        "RUST_LOG": "error",
    }
    with _running(shlex.split(command), told, port) as program:
        yield program


@contextlib.contextmanager
def _running(command: list[str], told: Mapping[str, str], port: int) -> Iterator[Program]:
    """The process once it listens."""
    with subprocess.Popen(command, env={**os.environ, **told}, stdout=subprocess.DEVNULL) as process:
        try:
            until(lambda: _listens(process, port), f"{command[0]} listens")
            yield Program(process.pid, port)
        finally:
            process.kill()


def until(holds: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS) -> None:
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise SystemExit(f"not within {seconds:g} s: {what}")
        time.sleep(0.02)


def _listens(process: subprocess.Popen[bytes], port: int) -> bool:
    if process.poll() is not None:
        raise SystemExit(f"{process.args!r} ended with {process.returncode}")
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _is_well(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    with contextlib.closing(connection):
        connection.request("GET", "/health")
        return connection.getresponse().status == 200


def _free_port() -> int:
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        return int(tried.getsockname()[1])
