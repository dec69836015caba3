"""What a large fleet costs the hub: memory, start, and how long the event loop is held while everything changes.

    python bench/fleet.py --json             100,000 hosts with three sources each
    python bench/fleet.py --hosts 10000 --why

One process builds the database with the real store; a second starts the real hub from it, with a clock that is
turned, and measures; a third counts memory. Each figure stands beside the number of the design. ``--why`` tells what
held the loop. The last line of ``--json`` is one object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import night
import uvloop
from holds import TARGET_MS, Holds
from ingest import cpu_seconds, fsync_seconds
from judge import resident

from lastgood.config.settings import ServerSettings, Settings
from lastgood.model.source import State
from lastgood.service.service import Service

TARGETS = {
    "start_seconds": 10.0,
    "rss_mb": 600.0,
    "longest_hold_ms": TARGET_MS,
    "longest_ours_ms": TARGET_MS,
    "facts_per_second": 5_000.0,
    "alerted_seconds": 60.0,
}
PACE = 5_000.0


async def started(folder: Path, clock: night.TurnedClock) -> tuple[Service, dict[str, Any]]:
    cpu, began = cpu_seconds(), time.perf_counter()
    service = await Service.open(Settings(server=ServerSettings(data_dir=folder)), clock)
    await service.start()
    figures = {
        "start_seconds": round(time.perf_counter() - began, 2),
        "start_cpu_seconds": round(cpu_seconds() - cpu, 2),
    }
    return service, figures


async def measure(folder: Path, why: bool) -> dict[str, Any]:
    before = resident()
    clock = night.TurnedClock(night.EVENING + timedelta(minutes=20))
    service, figures = await started(folder, clock)
    hosts, sources = len(service.fleet.hosts), len(service.fleet.sources)
    after = resident()
    figures |= {
        "rss_mb": after // 2**20,
        "rss_bytes_a_host": (after - before) // hosts,
        "rss_bytes_a_source": (after - before) // sources,
    }
    runs = night.every_report(service)
    beating = asyncio.create_task(night.heartbeats(service))

    async def phase(name: str, act: Callable[[], Awaitable[dict[str, Any] | None]]) -> None:
        async with Holds(why) as holds:
            more = await act()
        figures[name] = holds.figures | (more or {})
        print(f"{name}: {figures[name]}", file=sys.stderr)
        if why:
            holds.tell()

    await phase("agents_come", lambda: night.all_come(service))
    clock.moment = night.EVENING + timedelta(minutes=40)
    await night.settled(lambda: night.told(service, State.GOOD))
    await phase("due", lambda: night.due(service, clock))
    await night.settled(lambda: night.told(service, State.LATE))
    await phase("deadline", lambda: night.deadline(service, clock))
    await night.settled(lambda: night.told(service, State.MISSED))
    await phase("audit", service.watch.audit)
    await phase("paced_facts", lambda: night.ingest(service, runs, PACE))
    await phase("most_facts", lambda: night.ingest(service, runs, None))
    await phase("whole_checkpoint", lambda: night.whole_checkpoint(service))
    await phase("half_a_minute", lambda: asyncio.sleep(35))
    began = time.perf_counter()
    service.fleet.view()
    figures["view_ms"] = round(1000 * (time.perf_counter() - began), 1)
    figures["audit_differences"] = service.watch.audit_differences
    figures["most_rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    figures["fsync_ms"] = round(1000 * fsync_seconds(folder), 3)
    beating.cancel()
    await service.stop()
    return {"hosts": hosts, "sources": sources} | figures


async def weigh(folder: Path) -> dict[str, Any]:
    """What the values weigh by the allocator's own count, which knows no waste of the system's."""
    tracemalloc.start()
    service, _ = await started(folder, night.TurnedClock(night.EVENING + timedelta(minutes=20)))
    weight = tracemalloc.get_traced_memory()[0]
    hosts, sources = len(service.fleet.hosts), len(service.fleet.sources)
    await service.stop()
    return {
        "traced_mb": weight // 2**20,
        "traced_bytes_a_host": weight // hosts,
        "traced_bytes_a_source": weight // sources,
    }


def child(step: str, folder: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    """One step in a process of its own, so that none inherits another's memory."""
    command = [sys.executable, __file__, "--step", step, "--folder", str(folder), "--hosts", str(chosen.hosts)]
    done = subprocess.run(
        [*command, *(["--why"] if chosen.why else [])], check=True, stdout=subprocess.PIPE, text=True
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def all_steps(chosen: argparse.Namespace) -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp(prefix="bench-fleet-", dir=chosen.folder))
    try:
        child("build", folder, chosen)
        size = (folder / "lastgood.db").stat().st_size
        copy = folder / "again"
        copy.mkdir()
        for name in ("lastgood.db",):
            shutil.copy(folder / name, copy / name)
        figures = {"load_average": round(os.getloadavg()[0], 2)} | child("measure", folder, chosen)
        return figures | child("weigh", copy, chosen) | {"database_mb": size // 2**20}
    finally:
        shutil.rmtree(folder)


def show(figures: dict[str, Any]) -> None:
    for name, figure in figures.items():
        parts = figure.items() if isinstance(figure, dict) else ((name, figure),)
        for part, value in parts:
            label = name if part == name else f"{name}.{part}"
            target = f"   (target {TARGETS[part]:,.0f})" if part in TARGETS else ""
            print(f"{label:36} {value:>14,}{target}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, default=Path(), help="where the database is made, and removed")
    parser.add_argument("--why", action="store_true", help="tell what held the loop")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--step", choices=("build", "measure", "weigh"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.step is None:
        figures = all_steps(chosen)
        print(json.dumps(figures)) if chosen.json else show(figures)
        return
    steps = {
        "build": lambda: night.build(chosen.folder, chosen.hosts),
        "measure": lambda: measure(chosen.folder, chosen.why),
        "weigh": lambda: weigh(chosen.folder),
    }
    print(json.dumps(uvloop.run(steps[chosen.step]()) or {}))


if __name__ == "__main__":
    main()
