"""The real Prometheus and its promtool, where this machine has them.

``LASTGOOD_TEST_PROMETHEUS`` and ``LASTGOOD_TEST_PROMTOOL`` name them, else PATH is asked; a test without is skipped
with the reason. Prometheus runs on a free port of loopback with its data in a folder of its own, and ends with the
block.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.waiting import until

QUICK = {"scrape_interval": "1s", "scrape_timeout": "1s"}


def program(name: str) -> str:
    """The path of ``prometheus`` or ``promtool``; skips the test if there is none."""
    variable = f"LASTGOOD_TEST_{name.upper()}"
    found = os.environ.get(variable) or shutil.which(name)
    if found is None:
        pytest.skip(f"no {name} on this machine; scripts/test fetches it, or set {variable}")
    return found


def lint(text: bytes) -> tuple[int, list[str]]:
    """What ``promtool check metrics`` says of a body: its exit code (0 clean, 3 lint) and its findings."""
    command = [program("promtool"), "check", "metrics"]
    done = subprocess.run(command, input=text, capture_output=True, timeout=60, check=False)
    return done.returncode, [line for line in done.stderr.decode().splitlines() if line]


class Prometheus:
    """A running Prometheus, by its HTTP API."""

    def __init__(self, client: httpx.AsyncClient, log: Path, address: str = "") -> None:
        self._client, self._log, self.address = client, log, address

    def complaints(self) -> list[str]:
        """Its log lines about anything that is not well, such as samples it had to drop."""
        return [line for line in self._log.read_text().splitlines() if "level=warn" in line or "level=error" in line]

    async def query(self, expression: str) -> list[dict[str, Any]]:
        """The instant vector of an expression; an error of Prometheus is an AssertionError."""
        answer = (await self._client.get("/api/v1/query", params={"query": expression})).json()
        assert answer["status"] == "success", answer
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    async def over_time(self, expression: str, start: float, end: float, step: float) -> list[dict[str, Any]]:
        """The range vector of an expression between two Unix times."""
        asked = {"query": expression, "start": start, "end": end, "step": step}
        answer = (await self._client.post("/api/v1/query_range", data=asked)).json()
        assert answer["status"] == "success", answer
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    async def label_values(self, label: str, selector: str) -> list[str]:
        """The values that a label has in the series of a selector, as Grafana's variables ask for them."""
        answer = (await self._client.get(f"/api/v1/label/{label}/values", params={"match[]": selector})).json()
        assert answer["status"] == "success", answer
        found: list[str] = answer["data"]
        return found

    async def value(self, expression: str) -> float | None:
        """The one value of an expression; None if it has no result."""
        found = await self.query(expression)
        assert len(found) < 2, found
        return float(found[0]["value"][1]) if found else None

    async def target(self, job: str) -> dict[str, Any] | None:
        """The job's only target once it was scraped."""
        answer = (await self._client.get("/api/v1/targets")).json()
        targets = [t for t in answer["data"]["activeTargets"] if t["labels"]["job"] == job]
        return next((t for t in targets if t["health"] != "unknown"), None)

    async def scraped(self, job: str) -> dict[str, Any]:
        """The target after its first scrape, when that can be queried."""
        target = await until(lambda: self.target(job), f"the first scrape of {job}")

        async def told() -> list[dict[str, Any]]:
            return await self.query(f'up{{job="{job}"}}')

        await until(told, f"up of {job}")
        return target


@asynccontextmanager
async def prometheus(folder: Path, *scrape_configs: Mapping[str, Any]) -> AsyncIterator[Prometheus]:
    """A Prometheus with these scrape configs; every one is scraped once a second unless it says otherwise."""
    executable = program("prometheus")
    # JSON is YAML.
    config = folder / "prometheus.yml"
    config.write_text(json.dumps({"global": QUICK, "scrape_configs": list(scrape_configs)}))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    log = folder / "prometheus.log"
    with log.open("wb") as lines:
        process = await asyncio.create_subprocess_exec(
            executable,
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={address}",
            stdout=lines,
            stderr=lines,
        )
    try:
        async with httpx.AsyncClient(base_url=f"http://{address}", trust_env=False) as client:

            async def is_ready() -> bool:
                assert process.returncode is None, f"Prometheus ended: {log.read_text()[-2000:]}"
                try:
                    return (await client.get("/-/ready")).status_code == 200
                except httpx.TransportError:
                    return False

            await until(is_ready, "Prometheus is ready", seconds=30)
            yield Prometheus(client, log, address)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
