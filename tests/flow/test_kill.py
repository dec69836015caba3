"""Promise 1 under the hardest stop there is: 50 times ``kill -9`` at random moments, under a stream of facts.

Nothing acknowledged is lost, nothing is counted twice, the database stays sound and histograms never fall.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

from lastgood.model.fact import RunFinished
from lastgood.service.checkpoint import restore
from lastgood.store.database import open_database
from tests.flow import teller

KILLS = 50
LONGEST_SECONDS = 0.4
ROOT = Path(__file__).parents[2]


class Life:
    """One process from its start to its kill, and what it said in between."""

    def __init__(self) -> None:
        self.counted = -1
        self.acknowledged: list[int] = []
        self.start_seconds = 0.0

    async def live(self, folder: Path, seconds: float) -> Life:
        began = time.monotonic()
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.flow.teller",
            str(folder),
            stdout=asyncio.subprocess.PIPE,
            env=environment,
            cwd=ROOT,
            limit=2**22,
        )
        assert process.stdout is not None
        first = await asyncio.wait_for(process.stdout.readline(), 30)
        word, _, number = first.decode().partition(" ")
        assert word == "ready", first
        self.counted = int(number)
        self.start_seconds = time.monotonic() - began
        asyncio.get_running_loop().call_later(seconds, process.send_signal, signal.SIGKILL)
        said = await process.stdout.read()
        assert await process.wait() == -signal.SIGKILL
        # the kill may cut the last line short
        self.acknowledged = [int(line.removeprefix(b"ack ")) for line in said.split(b"\n")[:-1]]
        return self


def soundness(folder: Path) -> str:
    with closing(sqlite3.connect(folder / "lastgood.db")) as connection:
        [(answer,)] = connection.execute("PRAGMA integrity_check").fetchall()
        return str(answer)


def runs_kept(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / "lastgood.db")) as connection:
        return [run_id for (run_id,) in connection.execute("SELECT id FROM runs ORDER BY id")]


async def test_fifty_kills_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    chance = random.Random(20260314)
    acknowledged: set[int] = set()
    counted = 0
    lives_with_news = 0
    starts: list[float] = []
    for _ in range(KILLS):
        life = await Life().live(tmp_path, chance.uniform(0, LONGEST_SECONDS))
        starts.append(life.start_seconds)
        # what a life counts at its start is what was acknowledged before it, or more: committed but not yet answered
        assert life.counted >= max(counted, len(acknowledged))
        counted = life.counted
        lives_with_news += not acknowledged.issuperset(life.acknowledged)
        acknowledged.update(life.acknowledged)
        assert soundness(tmp_path) == "ok"
    assert lives_with_news > KILLS // 2
    assert sorted(starts)[KILLS // 2] < 3
    assert acknowledged == set(range(1, len(acknowledged) + 1))

    kept = runs_kept(tmp_path)
    database = open_database(tmp_path)
    fleet, _ = await restore(database)
    await database.close()
    assert len(kept) >= len(acknowledged)
    assert kept == [f"run-{number:08}" for number in range(1, len(kept) + 1)]
    assert sum(map(sum, fleet.durations.buckets.values())) == len(kept)
    expected = [
        report.run for report in map(teller.report, range(1, len(kept) + 1)) if isinstance(report, RunFinished)
    ]
    assert sum(fleet.durations.sums.values()) == sum(run.duration_seconds for run in expected)
    assert fleet.evidence[teller.SOURCE.id].last_attempt == expected[-1]
