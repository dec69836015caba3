"""Reports are on disk before anybody hears of them, and no number is ever given out twice."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from lastgood.agent.kept import Fired
from lastgood.agent.spool import Spool
from lastgood.agent.spool_file import Met
from lastgood.clock import now
from lastgood.errors import ConfigError, StoreError, WireError
from lastgood.model.job import Schedule
from lastgood.model.repository import Probe
from lastgood.wire.frames import Finished, Probed, Report, Started
from tests.builders import NOW, a_run_start, an_id
from tests.hub.rig import a_survey, finished, started
from tests.waiting import until


@contextlib.asynccontextmanager
async def opened(folder: Path, cap_bytes: int = 1 << 20) -> AsyncIterator[Spool]:
    spool = await Spool.open(folder / "spool.db", now, cap_bytes=cap_bytes)
    try:
        yield spool
    finally:
        await spool.close()


async def all_of(spool: Spool) -> list[Report]:
    return await spool.after(0, 10_000)


async def test_reports_come_back_in_order_with_rising_numbers(tmp_path: Path) -> None:
    async with opened(tmp_path) as spool:
        assert [await spool.add(started(n)) for n in range(3)] == [1, 2, 3]
        assert [report.said for report in await spool.after(1, 10)] == [started(1), started(2)]
        assert len(await spool.after(0, 2)) == 2


async def test_a_number_is_not_given_again_after_everything_was_acknowledged(tmp_path: Path) -> None:
    async with opened(tmp_path) as spool:
        await spool.add(started(1))
        await spool.add(started(2))
        await spool.meet(0)
        await spool.acknowledge(2)
        spool_id = spool.id
        assert await all_of(spool) == []
    async with opened(tmp_path) as spool:
        assert spool.id == spool_id
        assert not spool.fresh
        assert spool.acknowledged == 2
        assert await spool.owed() == 2
        assert await spool.add(started(3)) == 3


async def test_what_add_answered_survives_the_death_of_the_process(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from lastgood.agent.spool import Spool\n"
        "from lastgood.clock import now\n"
        "from tests.hub.rig import started\n"
        "async def main():\n"
        "    spool = await Spool.open(Path(sys.argv[1]) / 'spool.db', now)\n"
        "    for n in range(1, 100000):\n"
        "        print(await spool.add(started(n)), flush=True)\n"
        "asyncio.run(main())\n"
    )
    child = subprocess.Popen([sys.executable, "-c", program, tmp_path], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    answered = 0
    while answered < 20:
        answered = int(child.stdout.readline())
    child.send_signal(signal.SIGKILL)
    rest = child.stdout.read().split()
    answered = int(rest[-1]) if rest else answered
    child.wait()
    child.stdout.close()
    async with opened(tmp_path) as spool:
        found = await all_of(spool)
        assert len(found) >= answered
        assert [report.sequence for report in found] == list(range(1, len(found) + 1))
        assert found[answered - 1].said == started(answered)
        assert await spool.add(started(0)) == len(found) + 1


async def test_a_newer_survey_takes_the_place_of_an_older_one_of_its_repository(tmp_path: Path) -> None:
    async with opened(tmp_path) as spool:
        await spool.add(a_survey(1))
        await spool.add(started(1))
        other = a_survey(1, "cellar")
        await spool.add(other)
        newest = a_survey(2)
        await spool.add(newest)
        assert [report.said for report in await all_of(spool)] == [started(1), other, newest]


async def test_a_full_spool_drops_surveys_then_logs_then_runs_and_says_so(tmp_path: Path) -> None:
    async with opened(tmp_path, cap_bytes=6_000) as spool:
        with capture_logs() as lines:
            await spool.add(a_survey(1))
            await spool.add(finished(1, log="x" * 5_000))
            await spool.add(finished(2, log="y" * 4_000))
        assert [line["what"] for line in lines] == ["surveys", "logs of runs"]
        kept = [report.said for report in await all_of(spool)]
        assert [said.log for said in kept if isinstance(said, Finished)] == ["", "y" * 4_000]
        with capture_logs() as lines:
            for number in range(3, 30):
                await spool.add(started(number))
        assert {line["what"] for line in lines} == {"logs of runs", "runs"}
        assert [report.said for report in await all_of(spool)][-1] == started(29)
        assert await spool.owed() == 30


async def test_the_newest_report_is_not_owed_where_it_was_dropped(tmp_path: Path) -> None:
    async with opened(tmp_path, cap_bytes=10) as spool:
        await spool.add(a_survey(1))
        assert await all_of(spool) == []
        assert await spool.owed() == 0


async def test_a_report_that_fits_no_frame_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path) as spool:
        with pytest.raises(WireError, match="does not fit"):
            await spool.add(finished(1, log="x" * (1 << 20)))
        assert await all_of(spool) == []


async def test_a_disk_that_takes_nothing_keeps_nothing_and_heals(tmp_path: Path) -> None:
    spool = await Spool.open(tmp_path / "spool.db", now, retry_seconds=0.02)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        await spool.add(started(1))
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
        with pytest.raises(StoreError, match="see to its disk"):
            await spool.add(finished(2, log="x" * 50_000))
        assert [report.said for report in await all_of(spool)] == [started(1)]
        with capture_logs() as lines:
            keeping = asyncio.create_task(spool.keep(finished(3, log="x" * 50_000)))
            await until(lambda: _complained(lines), "the spool complains")
            assert not keeping.done()
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            async with asyncio.timeout(10):
                assert await keeping == 2
        assert len(lines) == 1, "one trouble, one line"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        await spool.close()
    async with opened(tmp_path) as spool:
        assert [report.sequence for report in await all_of(spool)] == [1, 2]


async def _complained(lines: list[Any]) -> bool:
    return bool(lines)


async def test_a_report_that_only_a_newer_agent_understands_holds_up_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as spool:
        await spool.add(started(1))
        await spool.add(started(2))
    db = sqlite3.connect(tmp_path / "spool.db")
    db.execute("""UPDATE reports SET body='{"kind":"dreamt"}' WHERE sequence=1""")
    db.commit()
    db.close()
    async with opened(tmp_path) as spool:
        with capture_logs() as lines:
            assert [report.said for report in await all_of(spool)] == [started(2)]
        assert lines[0]["sequence"] == 1
        assert len(await all_of(spool)) == 1


async def test_a_run_is_open_from_its_start_to_its_finish(tmp_path: Path) -> None:
    async with opened(tmp_path) as spool:
        await spool.add(started(1))
        await spool.add(started(2))
        await spool.touch(an_id("run", 2))
        await spool.add(finished(1))
    async with opened(tmp_path) as spool:
        (left,) = await spool.open_runs()
        assert left.start == started(2).run
        assert left.begun
        assert left.alive_at > left.start.started_at


async def test_a_wish_is_taken_once(tmp_path: Path) -> None:
    wish = a_run_start()
    async with opened(tmp_path) as spool:
        assert await spool.wish(wish)
    async with opened(tmp_path) as spool:
        assert not await spool.wish(wish)
        (left,) = await spool.open_runs()
        assert not left.begun


async def test_a_run_that_began_is_not_owed_by_its_schedule_any_more(tmp_path: Path) -> None:
    schedule = Schedule(cron="0 2 * * *")
    run = a_run_start(due_at=NOW)
    assert run.source_id is not None
    async with opened(tmp_path) as spool:
        await spool.follow(run.source_id, Fired(NOW - timedelta(days=1), schedule))
        await spool.add(Started(run=run))
        assert await spool.fired() == {run.source_id: Fired(NOW, schedule)}
        await spool.add(Started(run=replace(run, id=an_id("older"), due_at=NOW - timedelta(hours=1))))
        assert await spool.fired() == {run.source_id: Fired(NOW, schedule)}


async def test_a_broken_spool_is_moved_aside_and_a_new_one_begun(tmp_path: Path) -> None:
    async with opened(tmp_path) as spool:
        await spool.add(started(1))
        spool_id = spool.id
    raw = bytearray((tmp_path / "spool.db").read_bytes())
    raw[:100] = b"\0" * 100
    (tmp_path / "spool.db").write_bytes(raw)
    with capture_logs() as lines:
        async with opened(tmp_path) as spool:
            assert spool.fresh
            assert spool.id != spool_id
            assert await all_of(spool) == []
            await spool.add(started(2))
    assert "moved aside" in lines[0]["event"]
    assert len(list(tmp_path.glob("spool.db.broken-*"))) == 1


async def test_a_damaged_page_is_noticed_at_the_start(tmp_path: Path) -> None:
    async with opened(tmp_path) as spool:
        for number in range(200):
            await spool.add(finished(number, log="z" * 500))
    raw = bytearray((tmp_path / "spool.db").read_bytes())
    raw[8192 : 8192 + 4096 * 4] = b"\xa5" * 4096 * 4
    (tmp_path / "spool.db").write_bytes(raw)
    with capture_logs():
        async with opened(tmp_path) as spool:
            assert spool.fresh


async def test_two_agents_do_not_share_a_spool(tmp_path: Path) -> None:
    holder = sqlite3.connect(tmp_path / "spool.db", isolation_level=None)
    holder.execute("PRAGMA locking_mode=EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(ConfigError, match="Another agent"):
            async with opened(tmp_path):
                raise AssertionError("it was opened twice")
    finally:
        holder.close()


async def test_a_newer_agents_spool_is_left_alone(tmp_path: Path) -> None:
    async with opened(tmp_path) as spool:
        await spool.add(started(1))
    db = sqlite3.connect(tmp_path / "spool.db")
    db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(ConfigError, match="newer agent"):
        async with opened(tmp_path):
            raise AssertionError("it was opened")
    assert list(tmp_path.glob("*.broken-*")) == []


async def test_a_rolled_back_spool_begins_anew_and_keeps_what_nobody_was_offered(tmp_path: Path) -> None:
    async with opened(tmp_path) as spool:
        await spool.add(started(1))
        assert await spool.meet(0) is Met.IN_STEP
        await spool.add(started(2))
        spool_id = spool.id
    shutil.copy(tmp_path / "spool.db", tmp_path / "copy")
    # The real one goes on to number 9; then the machine is restored from the copy.
    shutil.copy(tmp_path / "copy", tmp_path / "spool.db")
    async with opened(tmp_path) as spool:
        for number in range(11, 21):
            await spool.add(started(number))
        assert await spool.owed() > 9, "by its numbers alone it looks ahead of the hub"
        assert await spool.meet(9) is Met.ROLLED_BACK
        assert spool.id != spool_id
        assert [report.said for report in await all_of(spool)] == [started(n) for n in range(11, 21)]
        assert await spool.meet(0) is Met.IN_STEP


async def test_a_hub_that_forgot_is_noticed(tmp_path: Path) -> None:
    async with opened(tmp_path) as spool:
        for number in range(5):
            await spool.add(started(number))
        await spool.meet(0)
        await spool.acknowledge(4)
        spool.part()
        assert await spool.meet(2) is Met.HUB_FORGOT
        assert [report.sequence for report in await all_of(spool)] == [3, 4, 5]
        assert await spool.meet(2) is Met.IN_STEP


async def test_a_spool_of_the_first_format_is_kept_and_learns_which_repositories_have_opened(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    async with opened(tmp_path) as spool:
        spool_id = spool.id
    db = sqlite3.connect(path)
    later = ("opened", "told", "open_deploys", "deploy_wishes")
    db.executescript("".join(f"DROP TABLE {table}; " for table in later) + "PRAGMA user_version=1")
    db.close()
    async with opened(tmp_path) as spool:
        assert spool.id == spool_id
        assert not await spool.has_opened("vault")
        await spool.add(Probed(repository_id="vault", probe=Probe.READY, probed_at=now()))
    async with opened(tmp_path) as spool:
        assert await spool.has_opened("vault")


async def test_the_spool_and_its_companions_were_readable_by_others(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    path.touch(mode=0o644)
    path.chmod(0o644)
    async with opened(tmp_path):
        modes = {part.name: part.stat().st_mode & 0o777 for part in tmp_path.iterdir()}
    assert modes == dict.fromkeys(("spool.db", "spool.db-wal"), 0o600)


async def test_a_hub_restored_from_yesterdays_backup_is_told_again_what_runs_it_forgot(tmp_path: Path) -> None:
    async with opened(tmp_path) as spool:
        await spool.add(started(1))
        await spool.add(finished(1))
        await spool.add(a_survey(1))
        await spool.meet(0)
        await spool.acknowledge(3)
        await spool.add(started(2))
        await spool.acknowledge(4)
        spool.part()
        spool_id = spool.id
    async with opened(tmp_path) as spool:
        assert await spool.owed() == 4
        assert await spool.meet(1) is Met.HUB_FORGOT
        assert [(report.sequence, report.said) for report in await spool.after(1, 10)] == [
            (2, finished(1)),
            (4, started(2)),
        ]
        assert await spool.owed() == 4
        assert await spool.add(started(3)) == 5
        await spool.acknowledge(5)
        assert await all_of(spool) == []
        assert spool.id == spool_id


async def test_what_was_told_is_kept_within_bounds_the_newest_longest(tmp_path: Path) -> None:
    async with opened(tmp_path, cap_bytes=1 << 26) as spool:
        await spool.meet(0)
        for number in range(1, 25):
            await spool.acknowledge(await spool.add(finished(number, log="x" * 500_000)))
        await spool.meet(0)
        back = [report.sequence for report in await spool.after(0, 100)]
        assert back == list(range(back[0], 25))
        assert 10 < len(back) < 20


async def test_a_spool_with_a_new_id_tells_nothing_of_its_old_numbers(tmp_path: Path) -> None:
    async with opened(tmp_path) as spool:
        await spool.add(started(1))
        await spool.meet(0)
        await spool.acknowledge(1)
        assert await spool.meet(7) is Met.ROLLED_BACK
        assert await spool.meet(0) is Met.IN_STEP
        assert await all_of(spool) == []
