"""Promise 4 at the whole hub: ``kill -9`` between commit and delivery, again and again, and no notice is lost.

A real ``lastgood serve`` opens alerts of hosts that are silent and sends them to a real receiver that is slow, fails
and drops. Whatever was committed as open reaches the receiver; what comes twice comes with the same id and body.
"""

from __future__ import annotations

import asyncio
import random
import signal
import sqlite3
import sys
from collections import defaultdict
from contextlib import closing
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest

from lastgood.clock import now
from lastgood.config.settings import NoticeSettings, ServerSettings, Settings
from lastgood.model.alert import Severity
from lastgood.model.channel import ChannelKind
from lastgood.model.fact import HostEnrolled, HostRemoved
from lastgood.service.service import Service
from lastgood.store import history
from lastgood.store.database import DATABASE_NAME
from tests.builders import a_host
from tests.flow.hub import environment, free_port
from tests.notify.receiver import DROP, Receiver, receiving
from tests.waiting import until

KILLS = 15
HOSTS = 4
"""New ones in each life; those of a few lives together make a storm."""

pytestmark = pytest.mark.slow


def settings(folder: Path) -> Settings:
    loopback = NoticeSettings(allowed_networks=(ip_network("127.0.0.1"),))
    return Settings(server=ServerSettings(data_dir=folder), notices=loopback)


async def stir(folder: Path, life: int, receiver: Receiver | None = None) -> None:
    """Between two lives: hosts come that nobody ever heard of, and those of an earlier life go."""
    service = await Service.open(settings(folder), now)
    await service.ingest.start()
    if receiver is not None:
        await service.channels.add("ops", ChannelKind.WEBHOOK, receiver.url, Severity.INFO, "ann")
    at = now()
    facts = [
        HostEnrolled(
            at=at,
            origin="test",
            host=a_host(f"host-{life}-{number}", enrolled_at=at - timedelta(days=1)),
        )
        for number in range(HOSTS)
    ]
    gone = [host.id for host in service.fleet.hosts.values() if host.name.startswith(f"host-{life - 2}-")]
    await service.take([*facts, *(HostRemoved(at=at, origin="test", host_id=host_id) for host_id in gone)])
    await service.ingest.stop()
    await service.checkpoint.save()
    await service.database.close()


async def serve(folder: Path, log: Path) -> asyncio.subprocess.Process:
    words = ("serve", "--data-dir", str(folder), "--listen", f"127.0.0.1:{free_port()}")
    env = environment({"LASTGOOD_NOTICES__ALLOWED_NETWORKS": "127.0.0.1"})
    with log.open("ab") as lines:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "lastgood", *words, stdout=lines, stderr=lines, env=env
        )


async def test_whatever_opened_is_told_however_often_the_hub_is_killed(tmp_path: Path) -> None:
    chance = random.Random(4)
    async with receiving(200) as receiver:
        folder, log = tmp_path / "data", tmp_path / "hub.log"
        for life in range(KILLS):
            await stir(folder, life, receiver if life == 0 else None)
            receiver.answers[:] = [chance.choice([200, 200, 500, DROP]) for _ in range(6)] + [200]
            before = len(receiver.asked)
            process = await serve(folder, log)

            async def asked(before: int = before) -> bool:
                return len(receiver.asked) > before

            await until(asked, f"an attempt in life {life}", 60)
            await asyncio.sleep(chance.choice([0, 0.005, 0.02, 0.1, 0.5]))  # somewhere between commit and delivery
            assert process.returncode is None, log.read_text()[-3000:]
            process.send_signal(signal.SIGKILL)
            await process.wait()
        receiver.answers[:] = [200]
        alerts = await last_life(folder, log)
    said = {one.json["id"]: one.json for one in receiver.took}
    bodies = defaultdict(set)
    for one in receiver.asked:
        bodies[one.headers["x-lastgood-id"]].add(one.body)
    assert all(len(held) == 1 for held in bodies.values())
    assert said.keys() == bodies.keys()
    # Every change is told by its own notice or counted by a digest, and none by two.
    digests = [one["digest"] for one in said.values() if one["event"] == "digest"]
    for event, ended in (("opened", False), ("resolved", True)):
        each = [one["alert"]["id"] for one in said.values() if one["event"] == event]
        assert len(each) == len(set(each))
        happened = [alert.id for alert in alerts if alert.resolved_at is not None or not ended]
        assert set(each) <= set(happened)
        assert len(each) + sum(digest[event] for digest in digests) == len(happened), event
    # Whoever mirrors what came, in its order, holds what is open.
    assert mirrored(receiver) == {alert.id for alert in alerts if alert.resolved_at is None}
    assert len(alerts) >= KILLS * HOSTS * 0.9
    twice = len(receiver.took) - len(said)
    print(  # noqa: T201
        f"{KILLS} kills, {len(alerts)} alerts, {len(said)} notices ({len(digests)} digests) in {len(receiver.asked)} "
        f"attempts, {twice} taken twice, 0 lost"
    )


def mirrored(receiver: Receiver) -> set[str]:
    held: set[str] = set()
    seen: set[str] = set()
    for one in receiver.took:
        said = one.json
        if said["id"] in seen:
            continue
        seen.add(said["id"])
        if said["event"] == "digest":
            held = {alert["id"] for alert in said["digest"]["alerts"]}
        elif said["event"] == "opened":
            held.add(said["alert"]["id"])
        else:
            held.discard(said["alert"]["id"])
    return held


async def last_life(folder: Path, log: Path) -> list[history.PastAlert]:
    """One life without a kill, until nothing waits any more; answers every alert there was."""
    process = await serve(folder, log)

    async def empty() -> bool:
        with closing(sqlite3.connect(f"file:{folder / DATABASE_NAME}?mode=ro", uri=True)) as connection:
            (opened,) = connection.execute("SELECT count(*) FROM alerts WHERE resolved_at IS NULL").fetchone()
            (waiting,) = connection.execute("SELECT count(*) FROM notices WHERE next_at IS NOT NULL").fetchone()
        return bool(opened == 2 * HOSTS and waiting == 0)  # the hosts of the last two lives are still there

    await until(empty, "an alert for every host, and an empty outbox", 300)
    process.send_signal(signal.SIGTERM)
    await process.wait()
    service = await Service.open(settings(folder), now)
    alerts = (await service.database.read(lambda rows: history.list_alerts(rows, limit=1000))).alerts
    await service.database.close()
    return list(alerts)
