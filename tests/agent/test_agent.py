"""The whole agent with the real restic, for a hub on a loopback socket."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from lastgood.agent.agent import Agent
from lastgood.agent.backoff import Backoff
from lastgood.agent.enrolment import write_config
from lastgood.agent.files import save_assignment, write_private
from lastgood.agent.handshake import HubRefused
from lastgood.agent.kept import Fired
from lastgood.agent.spool import Spool
from lastgood.clock import now
from lastgood.model.job import Outcome, RunKind, Schedule
from lastgood.model.repository import Probe
from lastgood.wire.frames import (
    Applied,
    Finished,
    Locks,
    LookNow,
    Probed,
    Sized,
    Snapshots,
    Started,
)
from tests.agent.working import NIGHTLY, REPOSITORY, SOURCE, Place, finish, run_now, said, working
from tests.builders import an_id
from tests.hub.rig import HOST, Rig, started
from tests.waiting import until

pytestmark = pytest.mark.skipif(
    shutil.which("restic") is None, reason="restic is not installed: apt-get install restic"
)


async def test_a_wish_makes_the_repository_backs_up_reports_and_looks_afterwards(bare_place: Place) -> None:
    place = bare_place
    rig = Rig(orders=place.orders)
    async with rig.serving(), working(place, rig.url):
        run_id = await run_now(rig)
        run = await finish(rig, run_id)
        listed = await said(rig, Snapshots)
        sized = await said(rig, Sized)
        assert (await said(rig, Locks)).locks == ()
    assert run.outcome is Outcome.SUCCESS
    assert run.repository_id == REPOSITORY
    assert run.files == 1
    assert run.size_bytes == 600
    assert run.snapshot_id is not None
    (series,) = listed.series
    assert series.newest[0].id.startswith(run.snapshot_id)
    assert series.hostname == "web-1"
    assert f"lg:{SOURCE}" in series.tags
    assert sized.size_bytes > 0
    words = [type(one).__name__ for one in rig.said]
    assert words[:5] == ["Started", "Started", "Probed", "Finished", "Finished"], "the init within the backup"
    making = rig.said[1]
    assert isinstance(making, Started)
    assert making.run.kind is RunKind.INIT
    assert words.index("Snapshots") > words.index("Finished")
    assert (place.folder / "data").stat().st_mode & 0o777 == 0o700
    assert (place.folder / "data" / "cache").stat().st_mode & 0o777 == 0o700


async def test_the_same_wish_sent_again_does_nothing(place: Place) -> None:
    rig = Rig(orders=place.orders)
    async with rig.serving(), working(place, rig.url):
        await finish(rig, await run_now(rig))
        await run_now(rig)
        await finish(rig, await run_now(rig, "another"))
    backups = [one.run.id for one in rig.said if isinstance(one, Started) and one.run.kind is RunKind.BACKUP]
    assert backups == [an_id("run", "wish"), an_id("run", "another")]


async def test_progress_reaches_the_hub_first_at_once_and_never_falls(place: Place) -> None:
    rig = Rig(orders=place.assignment(paths=(str(place.endless_source()),)))
    fractions: list[float] = []
    rig.roster.progress.subscribe(lambda _, progress: progress and fractions.append(progress.fraction))
    async with rig.serving(), working(place, rig.url):
        run_id = await run_now(rig)

        async def told_twice() -> bool:
            return len(fractions) >= 2

        await until(told_twice, "progress")
        assert await rig.roster.cancel(HOST.id, run_id)
        assert (await finish(rig, run_id)).outcome is Outcome.CANCELLED
    assert fractions == sorted(fractions)


async def test_a_stop_in_mid_run_reports_it_cancelled_within_four_seconds(place: Place) -> None:
    rig = Rig(orders=place.assignment(paths=(str(place.endless_source()),)))
    async with rig.serving():
        async with working(place, rig.url) as stop:
            run_id = await run_now(rig)

            async def moving() -> bool:
                return rig.roster.progress.of_run(HOST.id, run_id) is not None

            await until(moving, "restic is at work")
            began = time.monotonic()
            stop.set()
        assert time.monotonic() - began < 4
        run = await finish(rig, run_id)
    assert run.outcome is Outcome.CANCELLED
    assert list((place.folder / "repository" / "locks").iterdir()) == []


async def test_a_wrong_password_is_a_failure_with_its_cause(place: Place) -> None:
    rig = Rig(orders=place.orders)
    async with rig.serving(), working(place, rig.url):
        await said(rig, Probed)
        write_private(place.folder / "password", b"hunter-two\n")
        run = await finish(rig, await run_now(rig, "again"))
        await said(rig, Probed, lambda one: one.probe is Probe.WRONG_PASSWORD)
    assert "hunter-two" not in str(rig.said) + str(rig.logs)
    assert run.outcome is Outcome.FAILED
    assert run.cause == "wrong_password"


async def test_a_repository_that_is_gone_is_never_made_without_leave(bare_place: Place) -> None:
    place = bare_place
    rig = Rig(orders=place.assignment(initialise=False))
    async with rig.serving(), working(place, rig.url):
        run = await finish(rig, await run_now(rig))
        await said(rig, Probed, lambda one: one.probe is Probe.MISSING)
    assert run.outcome is Outcome.FAILED
    assert run.cause == "no_repository"
    assert not (place.folder / "repository").exists()


async def test_old_orders_do_not_make_a_repository_anew_that_was_seen_before(bare_place: Place) -> None:
    """Orders of the time before the first backup give leave to make it; its disk may be unmounted since."""
    place = bare_place
    rig = Rig(orders=place.orders)
    async with rig.serving():
        async with working(place, rig.url):
            assert (await finish(rig, await run_now(rig))).outcome is Outcome.SUCCESS
        shutil.move(place.folder / "repository", place.folder / "elsewhere")
        async with working(place, rig.url):
            run = await finish(rig, await run_now(rig, "again"))
            await said(rig, Probed, lambda one: one.probe is Probe.MISSING)
    assert run.outcome is Outcome.FAILED
    assert run.cause == "no_repository"
    assert not (place.folder / "repository").exists()


async def test_orders_that_the_disk_does_not_take_cost_the_connection_and_were_not_tried_again(place: Place) -> None:
    orders = place.folder / "data" / "assignment.json"
    (orders / "in the way").mkdir(parents=True)
    rig = Rig(orders=place.orders)
    with capture_logs() as lines:
        async with rig.serving(), working(place, rig.url):
            await said(rig, Probed)

            async def applied() -> bool:
                connection = rig.roster.connection(HOST.id)
                return connection is not None and connection.applied == place.orders.version

            await until(applied, "the orders are in force")
            shutil.rmtree(orders)
            assert await rig.roster.assign(HOST.id, place.orders)

            async def kept() -> bool:
                return orders.is_file()

            await until(kept, "the orders are on disk")
    assert [line["event"] for line in lines].count("hub connected") == 1


async def test_a_source_that_does_not_exist_is_a_failure(place: Place) -> None:
    rig = Rig(orders=place.assignment(paths=(str(place.folder / "nowhere"),)))
    async with rig.serving(), working(place, rig.url):
        run_id = await run_now(rig)
        finished = await said(rig, Finished, lambda one: one.run.id == run_id)
    assert finished.run.outcome is Outcome.FAILED
    assert finished.run.cause == "missing_source"
    assert "nowhere" in finished.log


async def test_what_an_agent_cannot_do_is_answered_with_a_failure(place: Place) -> None:
    rig = Rig(orders=place.orders)
    async with rig.serving(), working(place, rig.url):
        run = await finish(rig, await run_now(rig, kind=RunKind.UPDATE))
    assert run.outcome is Outcome.FAILED
    assert run.cause == "not_done_here"


async def test_a_missed_moment_runs_once_while_the_hub_is_away_and_is_told_when_it_is_back(place: Place) -> None:
    evening = datetime(2026, 3, 14, 20, tzinfo=UTC)
    turned = [evening]
    orders = place.assignment(schedule=NIGHTLY)
    rig = Rig(orders=orders)
    async with rig.serving():
        async with working(place, rig.url, lambda: turned[0]):

            async def applied() -> bool:
                connection = rig.roster.connection(HOST.id)
                return connection is not None and connection.applied == orders.version

            await until(applied, "the orders are in force")
        port = rig.port
    turned[0] = evening + timedelta(days=3)
    nowhere = f"ws://127.0.0.1:{port}/ws/agent"
    with capture_logs() as lines:
        async with working(place, nowhere, lambda: turned[0]):
            await until(lambda: _ran(lines), "the run ended")
    async with rig.serving(port), working(place, rig.url, lambda: turned[0]):
        run = (await said(rig, Finished, lambda one: one.run.kind is RunKind.BACKUP)).run
        await finish(rig, await run_now(rig))
    assert run.outcome is Outcome.SUCCESS
    assert run.due_at == evening + timedelta(days=2, hours=6)
    due = [one.run for one in rig.said if isinstance(one, Finished) and one.run.due_at is not None]
    assert len(due) == 1, "neither the nights slept through nor the restart run again"


async def _ran(lines: list[Any]) -> bool:
    return any(line["event"] == "run finished" and line["kind"] == "backup" for line in lines)


async def test_a_run_that_an_earlier_agent_left_open_is_reported_lost(place: Place) -> None:
    (place.folder / "data").mkdir()
    spool = await Spool.open(place.folder / "data" / "spool.db", now)
    await spool.add(started(1))
    await spool.wish(started(2).run)
    await spool.close()
    rig = Rig(orders=place.orders)
    async with rig.serving(), working(place, rig.url):
        assert (await finish(rig, an_id("run", 1))).outcome is Outcome.LOST
        assert (await finish(rig, an_id("run", 2))).outcome is Outcome.CANCELLED


async def test_a_look_that_is_asked_for_happens_soon(place: Place) -> None:
    rig = Rig(orders=place.orders)
    async with rig.serving(), working(place, rig.url):
        await finish(rig, await run_now(rig))
        first = await said(rig, Sized)
        listed = (await said(rig, Snapshots)).listed_at
        assert await rig.roster.send(HOST.id, LookNow(repository_id=REPOSITORY))
        await said(rig, Snapshots, lambda one: one.listed_at > listed)
        await said(rig, Locks, lambda one: one.listed_at > listed)
    assert [one for one in rig.said if isinstance(one, Sized)] == [first], "sizes are measured once a day"


async def test_orders_that_cannot_be_followed_are_named_to_the_hub(place: Place) -> None:
    rig = Rig(orders=place.assignment(version="9", schedule=Schedule(cron="0 2 * * *", zone="Mars/Olympus")))
    async with rig.serving(), working(place, rig.url):

        async def answered() -> Applied | None:
            connection = rig.roster.connection(HOST.id)
            if connection is None or connection.applied != "9":
                return None
            return Applied(version="9", refused=connection.refused)

        applied = await until(answered, "the agent's answer to its orders")
    assert "Mars/Olympus" in applied.refused[0]


async def test_an_agent_that_is_not_wanted_ends_with_the_reason(place: Place) -> None:
    rig = Rig(hosts={})
    async with rig.serving():
        with pytest.raises(HubRefused, match="enrol"):
            async with asyncio.timeout(10):
                await Agent(place.config(rig.url), now, Backoff(0.01, 0.05)).run(asyncio.Event())


def _start(place: Place, url: str) -> subprocess.Popen[str]:
    write_config(place.folder / "agent.toml", place.config(url))
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from lastgood.agent.run import run_agent\n"
        "sys.exit(run_agent(Path(sys.argv[1])))\n"
    )
    command = [sys.executable, "-c", program, str(place.folder / "agent.toml")]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


async def _ended(child: subprocess.Popen[str], seconds: float = 15) -> tuple[int, str]:
    _, words = await asyncio.to_thread(child.communicate, None, seconds)
    return child.returncode, words


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stop_signal_ends_the_process_with_zero(place: Place, number: signal.Signals) -> None:
    rig = Rig(orders=place.orders)
    async with rig.serving():
        child = _start(place, rig.url)
        await run_now(rig)
        await said(rig, Finished)
        child.send_signal(number)
        code, words = await _ended(child)
    assert code == 0, words
    assert "Traceback" not in words


async def test_a_refused_process_ends_with_78_and_one_reason(place: Place) -> None:
    rig = Rig(hosts={})
    async with rig.serving():
        code, words = await _ended(_start(place, rig.url))
    assert code == 78
    assert "enrol" in words
    assert "Traceback" not in words


async def test_a_process_without_its_key_ends_with_78(place: Place) -> None:
    (place.folder / "agent.key").unlink()
    code, words = await _ended(_start(place, "http://127.0.0.1:9"))
    assert code == 78
    assert "agent.key" in words


async def test_a_process_killed_in_mid_run_reports_it_lost_at_its_next_start(place: Place) -> None:
    rig = Rig(orders=place.assignment(paths=(str(place.endless_source()),)))
    async with rig.serving():
        child = _start(place, rig.url)
        run_id = await run_now(rig)
        await said(rig, Started, lambda one: one.run.id == run_id)
        child.kill()
        await _ended(child)
        for pid in _restics(place):
            os.kill(pid, signal.SIGINT)
        async with working(place, rig.url):
            run = await finish(rig, run_id)
    assert run.outcome is Outcome.LOST
    assert [one.run.id for one in rig.said if isinstance(one, Started) and one.run.kind is RunKind.BACKUP] == [run_id]


def _restics(place: Place) -> list[int]:
    """The restic processes that work on this place's repository."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                environment = (entry / "environ").read_bytes()
                if f"RESTIC_REPOSITORY={place.folder / 'repository'}".encode() in environment.split(b"\0"):
                    found.append(int(entry.name))
    return found


async def test_an_agent_that_shall_not_outlive_its_parent_does_not(place: Place) -> None:
    rig = Rig(orders=place.orders)
    async with rig.serving():
        write_config(place.folder / "agent.toml", place.config(rig.url))
        inner = (
            "import os, sys; from pathlib import Path; from lastgood.agent.run import run_agent;"
            "sys.exit(run_agent(Path(sys.argv[1]), parent=os.getppid()))"
        )
        outer = (
            "import subprocess, sys, time\n"
            "child = subprocess.Popen([sys.executable, '-c', sys.argv[1], sys.argv[2]])\n"
            "print(child.pid, flush=True)\n"
            "time.sleep(600)\n"
        )
        parent = subprocess.Popen(
            [sys.executable, "-c", outer, inner, str(place.folder / "agent.toml")],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert parent.stdout is not None
        pid = int(await asyncio.to_thread(parent.stdout.readline))

        async def connected() -> bool:
            return HOST.id in rig.roster

        await until(connected, "the agent is connected")
        parent.kill()
        await asyncio.to_thread(parent.wait)
        parent.stdout.close()

        async def gone() -> bool:
            return HOST.id not in rig.roster and not Path(f"/proc/{pid}/fd/0").exists()

        await until(gone, "the agent is gone")


async def test_the_last_orders_are_followed_without_ever_reaching_the_hub(place: Place) -> None:
    moment = datetime(2026, 3, 14, 12, tzinfo=UTC)
    data = place.folder / "data"
    data.mkdir()
    save_assignment(data / "assignment.json", place.assignment(schedule=NIGHTLY))
    spool = await Spool.open(data / "spool.db", now)
    await spool.follow(SOURCE, Fired(moment - timedelta(days=1), NIGHTLY))
    await spool.close()
    with capture_logs() as lines:
        async with working(place, "ws://127.0.0.1:9/ws/agent", lambda: moment):
            await until(lambda: _ran(lines), "the run ended")
    assert len(list((place.folder / "repository" / "snapshots").iterdir())) == 1
