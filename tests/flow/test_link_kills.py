"""``kill -9`` of hub and agents at moments of chance, while real restic works for them: the whole of promise 1.

What a hub once told as ended stays as it was told; every snapshot belongs to one run; no run is stuck; every process
comes back by itself; and no repository keeps a lock of a killed run for longer than a job takes.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest

from lastgood.errors import LastgoodError
from tests.flow.field import Field, Machine, a_field, all_told, minutes_ago
from tests.flow.hub import until
from tests.flow.test_kill_hub import quiet_port, soundness

LONGEST_SECONDS = 0.5
WORK_SECONDS = 2.0
HUBS_SHARE = 1 / 6
"""A hub takes seconds to begin anew, an agent a moment; the hub alone is killed in ``test_kill_hub.py``."""

A_JOB_SECONDS = 60.0


class Told:
    """What the hub has ever told as ended; it may correct only what it had called lost."""

    def __init__(self) -> None:
        self.outcomes: dict[str, str] = {}

    def look(self, field: Field) -> None:
        for run in field.runs():
            if run["outcome"] is not None:
                self.outcomes[run["id"]] = run["outcome"]

    def stands(self, field: Field) -> None:
        now = {run["id"]: run["outcome"] for run in field.runs()}
        changed = {
            run_id: (outcome, now.get(run_id))
            for run_id, outcome in self.outcomes.items()
            if outcome != "lost" and now.get(run_id) != outcome
        }
        assert changed == {}, "what was told as ended is lost or was changed"


def at_work(field: Field, chance: random.Random) -> None:
    """Wait until somebody does something, if the hub is there to tell of it: kills shall hit work and not starts."""
    deadline = time.monotonic() + WORK_SECONDS
    while field.is_listening() and time.monotonic() < deadline:
        try:
            if any(run["outcome"] is None for run in field.get("/runs")["items"]):
                return
        except (LastgoodError, httpx.HTTPError):
            return
        field.back_up(chance.choice(field.machines))
        time.sleep(0.1)


def one_kill(field: Field, chance: random.Random, told: Told) -> str:
    """Ask everybody for a backup, kill somebody at a moment of chance, and have it begin anew."""
    for machine in field.machines:
        field.back_up(machine)
    at_work(field, chance)
    time.sleep(chance.uniform(0, LONGEST_SECONDS))
    victim = None if chance.random() < HUBS_SHARE else chance.choice(field.machines)
    if victim is not None:
        assert victim.end(signal.SIGKILL) == -signal.SIGKILL, (victim.folder / "agent.log").read_text()[-2000:]
        victim.start()
        return "agent"
    assert field.end_hub(signal.SIGKILL) == -signal.SIGKILL, field.log()[-2000:]
    assert soundness(field.folder) == "ok"
    field.start_hub()
    if chance.random() < 0.8:  # else it is asked, and perhaps killed, in the middle of its start
        field.await_hub()
        told.stands(field)
        told.look(field)
    return "hub"


def settle(field: Field) -> float:
    """Everybody comes back, what was under way ends, and one more backup of each is good; seconds it took."""
    began = time.monotonic()
    field.await_hub()
    field.all_connected()
    until(lambda: all(run["outcome"] is not None for run in field.runs()), "nothing is under way", A_JOB_SECONDS * 2)
    for machine in field.machines:

        def good(machine: Machine = machine) -> bool:
            run_id = field.back_up(machine)
            return run_id is not None and ended(field, run_id) == "success"

        until(good, f"a good backup of {machine.name}", A_JOB_SECONDS * 2)
    return time.monotonic() - began


def ended(field: Field, run_id: str) -> str:
    def ask() -> str | None:
        return next((run["outcome"] for run in field.runs() if run["id"] == run_id), None)

    return until(ask, f"the end of run {run_id}", A_JOB_SECONDS)


def stale_locks(field: Field) -> list[tuple[str, float]]:
    """The locks that are older than a job may be, with their age."""
    ages = [(str(lock), time.time() - lock.stat().st_mtime) for m in field.machines for lock in m.locks()]  # noqa: TID251
    return [(path, age) for path, age in ages if age > A_JOB_SECONDS]


def survive(room: Path, kills: int) -> None:
    chance = random.Random(20260314)
    machines = [Machine(f"web-{number}", room / f"web-{number}", minutes_ago(60)) for number in range(3)]
    with a_field(room, f"127.0.0.1:{quiet_port()}", machines) as field:
        field.start_hub()
        field.await_hub()
        for machine in machines:
            machine.start()
        field.all_connected()
        told, killed = Told(), Counter[str]()
        began = time.monotonic()
        for _ in range(kills):
            killed[one_kill(field, chance, told)] += 1
        took = time.monotonic() - began
        settled = settle(field)
        told.stands(field)
        outcomes = all_told(field)
        locks = stale_locks(field)
        sys.stdout.write(
            f"{dict(killed)} killed in {took:.0f} s, settled in {settled:.0f} s; {dict(outcomes)}; locks {locks}\n"
        )
        assert outcomes["success"] >= len(machines)
        assert len(told.outcomes) > kills // 10
        assert locks == []
        for machine in machines:
            assert machine.end() == 0
        assert field.end_hub() == 0
        assert "Traceback" not in field.log()


@pytest.mark.slow
def test_three_hundred_kills_across_hub_and_agents_lose_nothing_and_leave_nothing_behind(tmp_path: Path) -> None:
    survive(tmp_path, int(os.environ.get("LASTGOOD_TEST_KILLS", "300")))
