"""Link and session together: whatever happens to the connection, the hub has each report once."""

from __future__ import annotations

import asyncio
import random
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from lastgood.agent.handshake import to_text
from lastgood.auth.identity import mint_key_pair, sign
from lastgood.clock import now
from lastgood.hub.session import Limits
from lastgood.wire import frames
from lastgood.wire.frames import Assignment, Challenge, Progress, Refuse, RunNow, Welcome
from tests.agent.linked import linked
from tests.builders import an_id
from tests.hub.rig import HOST, HUB_KEYS, Rig, a_survey, started
from tests.waiting import until


async def test_reports_reach_the_hub_and_leave_the_spool(tmp_path: Path) -> None:
    rig = Rig()
    async with rig.serving(), linked(rig.url, tmp_path) as agent:
        for number in range(1, 21):
            await agent.spool.add(started(number))
        async with asyncio.timeout(10):
            await agent.link.delivered()
        assert await agent.spool.after(0, 100) == []
        assert agent.orders.get_nowait() == rig.orders
    assert rig.said == [started(number) for number in range(1, 21)]


@pytest.mark.parametrize("seed", range(4))
async def test_nothing_is_lost_or_doubled_when_the_connection_is_cut_anywhere(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    rig = Rig(cut_after=[dice.randint(1, 12) for _ in range(15)])
    async with rig.serving(), linked(rig.url, tmp_path) as agent:
        for number in range(1, 101):
            await agent.spool.add(started(number))
            if dice.random() < 0.3:
                await asyncio.sleep(0)
        await rig.until_kept(100)
        async with asyncio.timeout(10):
            await agent.link.delivered()
    assert rig.said == [started(number) for number in range(1, 101)]
    assert len(rig.cut_after) < 15


async def test_nothing_is_lost_or_doubled_when_the_hub_cannot_store(tmp_path: Path) -> None:
    rig = Rig()
    async with rig.serving(), linked(rig.url, tmp_path) as agent:
        for number in range(1, 51):
            await agent.spool.add(started(number))
            if number % 10 == 0:
                rig.failures = 2
        await rig.until_kept(50)
        async with asyncio.timeout(10):
            await agent.link.delivered()
    assert rig.said == [started(number) for number in range(1, 51)]


async def test_nothing_is_lost_or_doubled_when_the_agent_is_killed(tmp_path: Path) -> None:
    rig = Rig()
    program = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from tests.agent.linked import linked\n"
        "from tests.hub.rig import started\n"
        "async def main():\n"
        "    async with linked(sys.argv[1], Path(sys.argv[2])) as agent:\n"
        "        for number in range(int(sys.argv[3]), 10000):\n"
        "            await agent.spool.add(started(number))\n"
        "            await asyncio.to_thread(print, number, flush=True)\n"
        "asyncio.run(main())\n"
    )
    answered = 0
    async with rig.serving():
        for _ in range(4):
            command = [sys.executable, "-c", program, rig.url, str(tmp_path), str(answered + 1000)]
            child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            assert child.stdout is not None
            before = len(rig.kept)
            # The link's log goes the same way; only lines of digits are ours.
            first = int(await asyncio.to_thread(next, filter(str.isdigit, map(str.strip, child.stdout))))
            await rig.until_kept(before + 5)
            child.send_signal(signal.SIGKILL)
            rest = [line for line in (await asyncio.to_thread(child.stdout.read)).splitlines() if line.isdigit()]
            await asyncio.to_thread(child.wait)
            child.stdout.close()
            answered = int(rest[-1]) if rest else first
        async with linked(rig.url, tmp_path) as agent, asyncio.timeout(10):
            await agent.link.delivered()
            last = agent.spool.acknowledged
    assert [position for _, position, _ in rig.kept] == list(range(1, last + 1))
    assert started(answered) in rig.said
    ids = [said.run.id for said in rig.said]  # type: ignore[union-attr]
    assert len(set(ids)) == len(ids)


async def test_a_rolled_back_spool_is_noticed_and_nothing_new_is_lost(tmp_path: Path) -> None:
    rig = Rig()
    async with rig.serving():
        async with linked(rig.url, tmp_path) as agent:
            await agent.spool.add(started(1))
            await rig.until_kept(1)
            spool_id = agent.spool.id
        shutil.copytree(tmp_path, tmp_path / "snapshot")
        async with linked(rig.url, tmp_path) as agent:
            for number in range(2, 8):
                await agent.spool.add(started(number))
            await rig.until_kept(7)
        for part in (tmp_path / "snapshot").iterdir():
            shutil.copy(part, tmp_path / part.name)
        async with linked(rig.url, tmp_path, start=False) as agent:
            for number in range(11, 14):
                await agent.spool.add(started(number))
            agent.start()
            await rig.until_kept(10)
            async with asyncio.timeout(10):
                await agent.link.delivered()
            assert agent.spool.id != spool_id
            assert agent.surveys_asked == 1
    assert rig.said == [started(number) for number in (*range(1, 8), *range(11, 14))]


async def test_a_hub_restored_from_an_old_backup_is_noticed_and_told_again_what_it_forgot(tmp_path: Path) -> None:
    rig = Rig()
    async with rig.serving(), linked(rig.url, tmp_path) as agent:
        for number in range(1, 6):
            await agent.spool.add(started(number))
        async with asyncio.timeout(10):
            await agent.link.delivered()
        rig.marks[agent.spool.id] = 2
        await rig.roster.close_all(2)
        rig.roster.draining = False
        await until(lambda: _true(agent.surveys_asked == 1), "the gap is noticed")
        await agent.spool.add(started(6))
        await rig.until_kept(9)
    assert [sequence for _, sequence, _ in rig.kept[5:]] == [3, 4, 5, 6]


async def test_a_hub_with_another_key_hears_nothing_at_all(tmp_path: Path) -> None:
    rig = Rig(keys=mint_key_pair(b"x" * 32))
    with capture_logs() as lines:
        async with rig.serving(), linked(rig.url, tmp_path) as agent:
            await agent.spool.add(started(1))
            await until(lambda: _true("belongs to" in str(lines)), "the agent complains")
            assert not agent.link.is_up
    assert rig._frames == 0
    assert rig.kept == []


class Impostor:
    """Shows the hub's public key, which is no secret, and answers with whatever the test wants."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.heard: list[str | bytes] = []
        self.calls = 0

    async def __call__(self, connection: ServerConnection) -> None:
        self.calls += 1
        challenge = Challenge(
            protocol=1, oldest_protocol=1, hub_key=to_text(HUB_KEYS.public_key), nonce=to_text(b"n" * 32)
        )
        try:
            await connection.send(frames.encode(challenge).decode())
            self.heard.append(await connection.recv())
            await connection.send(frames.encode(self.answer).decode())
            while True:
                self.heard.append(await connection.recv())
        except ConnectionClosed:
            return


@pytest.mark.parametrize(
    "answer",
    [
        Welcome(
            protocol=1,
            hub_version="1",
            signature=to_text(sign(b"x" * 32, frames.WELCOME_CONTEXT, b"anything")),
            acknowledged=0,
            heartbeat_seconds=30,
            sent_at=now(),
        ),
        Refuse(reason="Go away.", final=True),
        Refuse(reason="Go away.", final=True, signature=to_text(b"\0" * 64)),
        Assignment(version="evil", repositories=(), orders=()),
    ],
)
async def test_an_impostor_gets_a_hello_and_stops_nobody(tmp_path: Path, answer: Any) -> None:
    impostor = Impostor(answer)
    async with serve(impostor, "127.0.0.1", 0, compression=None, close_timeout=1) as server:
        port = server.sockets[0].getsockname()[1]
        with capture_logs():
            async with linked(f"ws://127.0.0.1:{port}/ws/agent", tmp_path) as agent:
                await agent.spool.add(started(1))
                await until(lambda: _true(impostor.calls >= 3), "the agent tries again")
                assert agent.running is not None
                assert not agent.running.done()
                assert agent.orders.empty()
                assert [report.said for report in await agent.spool.after(0, 10)] == [started(1)]
    assert all('"type":"hello"' in str(data) for data in impostor.heard)


async def test_a_hub_that_refuses_for_good_ends_the_link_with_its_reason(tmp_path: Path) -> None:
    rig = Rig(hosts={HOST.id: replace(HOST, key=to_text(mint_key_pair(b"z" * 32).public_key))})
    async with rig.serving(), linked(rig.url, tmp_path) as agent:
        await agent.spool.add(started(1))
        assert "enrol" in await agent.refused()
        assert len(await agent.spool.after(0, 10)) == 1


async def test_a_dismissed_agent_stops(tmp_path: Path) -> None:
    rig = Rig()
    async with rig.serving(), linked(rig.url, tmp_path) as agent:
        await until(lambda: _true(agent.link.is_up), "the link is up")
        assert rig.roster.dismiss(HOST.id, "This host was removed.")
        assert await agent.refused() == "This host was removed."
        assert not rig.roster.dismiss(an_id("stranger"), "Nobody.")


async def test_orders_come_through_and_progress_goes_out(tmp_path: Path) -> None:
    rig = Rig(limits=Limits(heartbeat_seconds=0.05))
    async with rig.serving(), linked(rig.url, tmp_path) as agent:
        word = Progress(
            run_id=an_id("run"), source_id="s", fraction=0.5, files_done=1, files_total=2, bytes_done=3, bytes_total=4
        )
        agent.link.tell(word)
        await until(lambda: _true(agent.link.is_up), "the link is up")
        agent.link.tell(word)
        await until(lambda: _true(rig.roster.progress.of_host(HOST.id) == word), "the progress")
        wish = RunNow(run_id=an_id("run"), kind=started(1).run.kind)
        assert await rig.roster.send(HOST.id, wish)
        async with asyncio.timeout(5):
            while await agent.orders.get() != wish:
                continue
        before = rig.judging.presence[HOST.id].observed_at
        assert before is not None
        await until(lambda: _true((rig.judging.presence[HOST.id].observed_at or before) > before), "a heartbeat")


async def test_a_dropped_survey_leaves_the_agent_in_step(tmp_path: Path) -> None:
    rig = Rig(limits=Limits(heartbeat_seconds=0.05))
    async with rig.serving(), linked(rig.url, tmp_path, start=False) as agent:
        await agent.spool.add(a_survey(1))
        await agent.spool.add(started(1))
        await agent.spool.add(a_survey(2))
        agent.start()
        await rig.until_kept(2)
        await until(lambda: _true(rig.judging.presence[HOST.id].synced), "the agent is in step")
    assert [position for _, position, _ in rig.kept] == [2, 3]


async def test_the_link_comes_back_when_the_hub_does(tmp_path: Path) -> None:
    rig = Rig()
    async with rig.serving(), linked(rig.url, tmp_path) as agent:
        await agent.spool.add(started(1))
        await rig.until_kept(1)
        with capture_logs() as lines:
            await rig.roster.close_all(2)
            await until(lambda: _true(not agent.link.is_up), "the link is down")
            await agent.spool.add(started(2))
            rig.roster.draining = False
            await rig.until_kept(2)
    complaints = [line for line in lines if "hub is away" in line["event"]]
    assert len([line for line in complaints if line["log_level"] == "warning"]) == 1, "one reason, one line"


async def _true(holds: bool) -> bool:
    return holds
