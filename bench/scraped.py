"""Servers under ``bench/scrape.py``: ours in a process of its own, and the scraper that times any of them.

python bench/scraped.py --hosts 1000        serves; /change?5 has five hosts make a backup
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import random
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TOKEN = "bench"
ASK = (
    "GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n"
    "Accept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5\r\n"
    "Accept-Encoding: gzip\r\n\r\n"
)


@dataclass(frozen=True)
class Server:
    address: str
    pid: int
    forgets_threads: bool = False
    """A thread a request, of which only the whole process remembers what it cost, in ticks of 10 ms."""

    def cpu_ms(self) -> float:
        """Of all its threads so far."""
        if self.forgets_threads:
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")
        tasks = Path(f"/proc/{self.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e6

    def get(self, path: str) -> tuple[float, int]:
        """Milliseconds until the last byte, and how many bytes came."""
        host, _, port = self.address.rpartition(":")
        began, size, buffer = time.perf_counter(), 0, bytearray(1 << 20)
        with socket.create_connection((host.strip("[]"), int(port))) as connection:
            connection.sendall(ASK.format(path=path, token=TOKEN).encode())
            first = connection.recv_into(buffer)
            if b" 200 " not in buffer[:first].split(b"\r\n", 1)[0]:
                raise SystemExit(f"{path}: {bytes(buffer[:200])!r}")
            size += first
            while got := connection.recv_into(buffer):
                size += got
        return (time.perf_counter() - began) * 1000, size


def timings(server: Server, scrapers: int, rounds: int, changed: int = 0, pause: float = 0.0) -> dict[str, float]:
    """Scrapes by so many at the same time, each round after so many hosts changed and a pause."""
    server.get("/metrics?vocabulary=rm")
    times: list[float] = []
    spent = 0.0
    for _ in range(rounds):
        before = server.cpu_ms()
        change = 0.0
        if changed:
            server.get(f"/change?{changed}")
            change = server.cpu_ms() - before
            time.sleep(pause)
        threads = [
            threading.Thread(target=lambda: times.append(server.get("/metrics?vocabulary=rm")[0]))
            for _ in range(scrapers)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        spent += server.cpu_ms() - before - change
    times.sort()
    return {
        "p50_ms": round(statistics.median(times), 2),
        "p99_ms": round(times[min(len(times) - 1, len(times) * 99 // 100)], 2),
        "cpu_ms": round(spent / len(times), 2),
    }


def ahead_pause(hosts: int) -> float:
    """Long enough for what is made ahead of the next scrape."""
    return 0.2 if hosts < 50_000 else 0.6


@contextlib.contextmanager
def served_by_us(hosts: int) -> Iterator[Server]:
    command = [sys.executable, __file__, "--hosts", str(hosts)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Server(process.stdout.readline().strip(), process.pid)
        finally:
            process.terminate()


async def serve(hosts: int) -> None:
    from crowd import backed_up, crowd

    from lastgood.auth.gate import Gate
    from lastgood.config.values import Listen
    from lastgood.metrics.own_facts import Build, OwnFacts
    from lastgood.secret import Secret
    from lastgood.web.asgi import Receive, Scope, Send, say
    from lastgood.web.door import Door
    from lastgood.web.exposition import Exposition
    from lastgood.web.scrape import Scrape
    from lastgood.web.server import HubServer, listen_on

    fleet, rng = crowd(hosts), random.Random(1)
    gc.collect()
    gc.freeze()
    gc.set_threshold(700, 10, 100_000)  # as the hub does
    pages = Exposition(moment=lambda: fleet, own=lambda: OwnFacts(build=Build(version="bench")))
    scrape = Scrape(pages, Door(Gate(token=Secret(TOKEN))))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != "/change":
            await scrape(scope, receive, send)
            return
        pages.changed(backed_up(fleet, rng, int(scope["query_string"])))
        await say(scope, send, 200, "Changed.")

    bound = listen_on(Listen("127.0.0.1", 0))
    server: Any = HubServer(app, bound)
    await server.start()
    print(f"127.0.0.1:{bound.getsockname()[1]}", flush=True)
    await server.ended()


if __name__ == "__main__":
    import uvloop

    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--hosts", type=int, default=1000)
    uvloop.run(serve(arguments.parse_args().hosts))
