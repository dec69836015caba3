"""How long the server works on each list page: everything but the network, with a real store behind it.

    python bench/pages.py --json             5,000 sources on 1,000 hosts
    python bench/pages.py --sources 300000 --hosts 100000 --rounds 5

One request at a time through the whole application: sign-in, frozen view, judging of what is shown, template, gzip.
The view is made anew for each request, which is the worst case. The number to reach is in the design: 300 ms for any
list page at 5,000 sources. The last line of ``--json`` is one object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.builders import a_fleet
from tests.web.site import at_home

TARGET_MS = 300.0
PATHS = (
    "/",
    "/?page=25",
    "/?state=good&q=host-00",
    "/hosts",
    "/repositories",
    "/runs",
    "/alerts",
    "/api/v1/sources?limit=1000",
    "/api/v1/hosts?limit=1000",
    "/api/v1/fleet",
)


async def measure(client: httpx.AsyncClient, path: str, rounds: int) -> dict[str, float | int]:
    """Milliseconds of each round, after one that fills caches."""
    await client.get(path)
    spent = []
    for _ in range(rounds):
        began = time.perf_counter()
        answer = await client.get(path)
        spent.append((time.perf_counter() - began) * 1000)
        answer.raise_for_status()
    return {
        "median_ms": round(statistics.median(spent), 1),
        "worst_ms": round(max(spent), 1),
        "bytes": len(answer.content),
    }


async def run(hosts: int, sources: int, rounds: int) -> dict[str, dict[str, float | int]]:
    with tempfile.TemporaryDirectory() as folder:
        async with at_home(Path(folder), a_fleet(hosts, sources // hosts)) as home:
            client = await home.signed_in()
            return {path: await measure(client, path, rounds) for path in PATHS}


def main() -> None:
    parser = argparse.ArgumentParser(description="Server time of the list pages.")
    parser.add_argument("--hosts", type=int, default=1_000)
    parser.add_argument("--sources", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", action="store_true", help="one object as the last line")
    options = parser.parse_args()
    found = asyncio.run(run(options.hosts, options.sources, options.rounds))
    for path, figures in found.items():
        print(f"{path:32} median {figures['median_ms']:8.1f} ms  worst {figures['worst_ms']:8.1f} ms")
    worst = max(figures["median_ms"] for figures in found.values())
    print(f"slowest page: {worst:.1f} ms of {TARGET_MS:.0f} ms at {options.sources} sources")
    if options.json:
        told = {"bench": "pages", "hosts": options.hosts, "sources": options.sources, "target_ms": TARGET_MS}
        print(json.dumps(told | {"slowest_median_ms": worst, "pages": found}))


if __name__ == "__main__":
    main()
