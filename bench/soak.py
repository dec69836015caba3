"""The whole hub under scrapes: real database, gate, heartbeats and 1,000 facts a second, for some minutes.

    python bench/soak.py --json --minutes 10           100,000 hosts with three sources each
    python bench/soak.py --hosts 10000 --minutes 1 --why

A scraper of our own asks for ``?vocabulary=rm`` once a second and is timed; a real Prometheus, if there is one
(``LASTGOOD_TEST_PROMETHEUS`` or on PATH), asks every 15 s. ``--folder`` with a database of an earlier run is used
again. The last line of ``--json`` is one object; ``TARGETS`` are those of the design.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from datetime import timedelta
from pathlib import Path
from typing import Any

import night
from holds import Holds
from ingest import cpu_seconds
from judge import resident
from scraped import TOKEN, Server

from lastgood.config.settings import MetricsSettings, ServerSettings, Settings
from lastgood.config.values import Listen
from lastgood.logs import configure
from lastgood.secret import Secret
from lastgood.service.service import Service

TARGETS = {"p99_ms": 60.0, "longest_ours_ms": 20.0, "up_min": 1.0}
PACE = 1_000.0
PAGE = "/metrics?vocabulary=rm"


async def hub(folder: Path, why: bool) -> None:
    """Serves until SIGTERM, then prints its figures."""
    from lastgood.web.server import HubServer, listen_on
    from lastgood.web.wiring import faces_of

    configure("warning", "text")  # on standard error; the figures are on the other
    bound = listen_on(Listen("127.0.0.1", 0))
    clock = night.TurnedClock(night.EVENING + timedelta(minutes=20))
    settings = Settings(
        server=ServerSettings(data_dir=folder, listen=Listen("127.0.0.1", bound.getsockname()[1])),
        metrics=MetricsSettings(token=Secret(TOKEN)),
    )
    service = await Service.open(settings, clock)
    faces = faces_of(service)
    server = HubServer(faces.app, bound)
    await service.start()
    await server.start()
    tasks = [asyncio.create_task(act) for act in (turn(clock), night.heartbeats(service))]
    await night.all_come(service)
    before = resident()
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    first = Server(f"127.0.0.1:{bound.getsockname()[1]}", os.getpid())
    first_ms, size = await asyncio.to_thread(first.get, PAGE)
    figures: dict[str, Any] = {
        "hosts": len(service.fleet.hosts),
        "sources": len(service.fleet.sources),
        "first_scrape_ms": round(first_ms),
        "gzip_bytes": size,
        "bytes_a_host": round((resident() - before) / len(service.fleet.hosts)),
    }
    runs, paces = night.every_report(service), []
    print(first.address, flush=True)
    cpu, began = cpu_seconds(), time.monotonic()
    async with Holds(why) as holds:
        while not over.is_set():
            paces.append((await night.ingest(service, runs, PACE))["facts_per_second"])
    spent = (cpu_seconds() - cpu) / (time.monotonic() - began)
    figures |= holds.figures | {
        "facts_per_second": round(statistics.mean(paces)),
        "cpu_share": round(spent, 2),
        "rss_mb": resident() // 2**20,
        "parts_ahead": faces.scrape.facts.parts_ahead,
    }
    if why:
        holds.tell()
    print(json.dumps(figures), flush=True)
    for task in tasks:
        task.cancel()
    await service.roster.close_all(seconds=1)
    await server.stop()
    faces.scrape.close()
    await service.stop()


async def turn(clock: night.TurnedClock) -> None:
    """The clock goes on as it does."""
    began, at = time.monotonic(), clock.moment
    while True:
        clock.moment = at + timedelta(seconds=time.monotonic() - began)
        await asyncio.sleep(0.1)


class Watched:
    """A real Prometheus that scrapes the hub; without one nothing is said."""

    def __init__(self, folder: Path, address: str) -> None:
        program = os.environ.get("LASTGOOD_TEST_PROMETHEUS") or shutil.which("prometheus")
        self._process: subprocess.Popen[bytes] | None = None
        if program is None:
            return
        job = {
            "job_name": "hub",
            "scrape_interval": "15s",
            "params": {"vocabulary": ["rm"]},
            "authorization": {"credentials": TOKEN},
            "static_configs": [{"targets": [address]}],
        }
        (folder / "prometheus.json").write_text(json.dumps({"scrape_configs": [job]}))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self._process = subprocess.Popen(
            [
                program,
                f"--config.file={folder / 'prometheus.json'}",
                f"--storage.tsdb.path={folder / 'tsdb'}",
                f"--web.listen-address=127.0.0.1:{self._port}",
            ],
            stderr=subprocess.DEVNULL,
        )

    def told(self, minutes: float) -> dict[str, Any]:
        """What it says of the time it watched."""
        if self._process is None:
            return {}
        span, found = f"[{int(minutes * 60)}s]", {}
        for name, query in (
            ("up_min", f"min_over_time(up{span})"),
            ("scrapes", f"count_over_time(up{span})"),
            ("scrape_seconds_median", f"quantile_over_time(0.5, scrape_duration_seconds{span})"),
            ("scrape_seconds_max", f"max_over_time(scrape_duration_seconds{span})"),
            ("samples", "scrape_samples_scraped"),
        ):
            asked = urllib.parse.urlencode({"query": query})
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/api/v1/query?{asked}", timeout=60) as answer:
                result = json.load(answer)["data"]["result"]
            found[f"prometheus_{name}"] = float(result[0]["value"][1]) if result else None
        return found

    def end(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()


def scraped(server: Server, minutes: float) -> dict[str, Any]:
    """One scrape a second."""
    times, until = [], time.monotonic() + minutes * 60
    while time.monotonic() < until:
        taken, _ = server.get(PAGE)
        times.append(taken)
        time.sleep(max(0.0, 1 - taken / 1000))
    times.sort()
    return {
        "scrapes": len(times),
        "p50_ms": round(statistics.median(times), 1),
        "p90_ms": round(times[len(times) * 9 // 10], 1),
        "p99_ms": round(times[len(times) * 99 // 100], 1),
        "max_ms": round(times[-1], 1),
    }


def soak(folder: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    if not (folder / "built").exists():
        subprocess.run(
            [sys.executable, __file__, "--build", "--folder", folder, "--hosts", str(chosen.hosts)], check=True
        )
        (folder / "built").touch()
    command = [sys.executable, __file__, "--hub", "--folder", str(folder), *(["--why"] if chosen.why else [])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        server = Server(process.stdout.readline().strip(), process.pid)
        watched = Watched(folder, server.address)
        try:
            figures = scraped(server, chosen.minutes) | watched.told(chosen.minutes)
        finally:
            watched.end()
            process.terminate()
        figures |= json.loads(process.stdout.readline())
    return figures


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--hosts", type=int, default=100_000)
    arguments.add_argument("--minutes", type=float, default=10.0)
    arguments.add_argument("--folder", type=Path)
    arguments.add_argument("--why", action="store_true")
    arguments.add_argument("--json", action="store_true")
    arguments.add_argument("--hub", action="store_true", help=argparse.SUPPRESS)
    arguments.add_argument("--build", action="store_true", help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    if chosen.build or chosen.hub:
        import uvloop

        uvloop.run(night.build(chosen.folder, chosen.hosts) if chosen.build else hub(chosen.folder, chosen.why))
        return
    folder = chosen.folder or Path(tempfile.mkdtemp(prefix="bench-soak-"))
    folder.mkdir(exist_ok=True)
    figures = {"load_average": round(os.getloadavg()[0], 2)} | soak(folder, chosen)
    if chosen.folder is None:
        shutil.rmtree(folder)
    for name, figure in figures.items():
        print(f"{name:32} {figure}")
    if chosen.json:
        print(json.dumps({"bench": "soak", "targets": TARGETS} | figures))


if __name__ == "__main__":
    main()
