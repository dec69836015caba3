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
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lastgood.model.fact import RunFinished
from lastgood.service.checkpoint import restore
from lastgood.store.database import open_database
from tests.flow import teller

KILLS = 50
LONGEST_SECONDS = 0.4
ROOT = Path(__file__).parents[2]


@dataclass
class Life:
    """What one process said between its start and its kill."""

    counted: int = -1
    acknowledged: list[int] = field(default_factory=list)
    start_seconds: float = 0.0


async def live(tellers: Process, seconds: float, *, after: bytes) -> Life:
    """Begin a life, kill it so long after it was there (``pid``) or ready (``ready``), and hear it out."""
    assert tellers.stdin is not None
    assert tellers.stdout is not None
    life, pid, began = Life(), 0, time.monotonic()
    awaited = {b"pid", after}
    tellers.stdin.write(b"live\n")
    async with asyncio.timeout(30):
        async for line in tellers.stdout:
            word, number = line.split()
            if word == b"ack":
                life.acknowledged.append(int(number))
                continue
            if word == b"died":
                assert int(number) == signal.SIGKILL
                return life
            if word == b"pid":
                pid = int(number)
            else:
                life.counted = int(number)
                life.start_seconds = time.monotonic() - began
            awaited.discard(word)
            if not awaited:
                awaited.add(b"nothing more")
                asyncio.get_running_loop().call_later(seconds, os.kill, pid, signal.SIGKILL)
    raise AssertionError("the tellers have ended")


@pytest.fixture
async def tellers(tmp_path: Path) -> AsyncIterator[Process]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])}
    command = [sys.executable, "-m", "tests.flow.teller", str(tmp_path)]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, env=environment, cwd=ROOT)
    yield process
    assert process.stdin is not None
    process.stdin.close()
    await asyncio.wait_for(process.wait(), 30)


def soundness(folder: Path) -> str:
    with closing(sqlite3.connect(folder / "lastgood.db")) as connection:
        [(answer,)] = connection.execute("PRAGMA integrity_check").fetchall()
        return str(answer)


def runs_kept(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / "lastgood.db")) as connection:
        return [run_id for (run_id,) in connection.execute("SELECT id FROM runs ORDER BY id")]


async def test_fifty_kills_lose_nothing_and_double_nothing(tellers: Process, tmp_path: Path) -> None:
    chance = random.Random(20260314)
    acknowledged: set[int] = set()
    counted = 0
    lives_with_news = 0
    starts: list[float] = []
    for number in range(KILLS):
        if number % 5 == 0:  # in the middle of its start, the very first one included
            life = await live(tellers, chance.uniform(0, LONGEST_SECONDS / 4), after=b"pid")
        else:
            life = await live(tellers, chance.uniform(0, LONGEST_SECONDS), after=b"ready")
            starts.append(life.start_seconds)
            # what is counted at a start was acknowledged before, or was committed and not yet answered
            assert life.counted >= max(counted, *acknowledged, 0)
            counted = life.counted
        lives_with_news += not acknowledged.issuperset(life.acknowledged)
        acknowledged.update(life.acknowledged)
        assert soundness(tmp_path) == "ok"
    assert lives_with_news > KILLS // 2
    assert sorted(starts)[len(starts) // 2] < 3

    kept = runs_kept(tmp_path)
    assert max(acknowledged) <= len(kept)
    database = open_database(tmp_path)
    fleet, _ = await restore(database)
    await database.close()
    assert kept == [f"run-{number:08}" for number in range(1, len(kept) + 1)]
    assert sum(map(sum, fleet.durations.buckets.values())) == len(kept)
    expected = [
        report.run for report in map(teller.report, range(1, len(kept) + 1)) if isinstance(report, RunFinished)
    ]
    assert sum(fleet.durations.sums.values()) == sum(run.duration_seconds for run in expected)
    assert fleet.evidence[teller.SOURCE.id].last_attempt == expected[-1]
