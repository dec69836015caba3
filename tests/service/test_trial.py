"""An agent looks into a repository for somebody who waits, over a real connection; and what it says of its orders."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from lastgood.agent import tester
from lastgood.agent.tester import AT_ONCE, tried
from lastgood.clock import now
from lastgood.errors import Refused, Unreachable
from lastgood.fleet.fleet import Fleet
from lastgood.ids import ulid
from lastgood.model.repository import Probe
from lastgood.service.assignment import nothing_held
from lastgood.service.orders import Orders, OrdersTold
from lastgood.service.trial import Trials
from lastgood.tools.restic.driver import Restic
from lastgood.wire import frames
from lastgood.wire.frames import Applied, Frame, LookNow, RepositoryAccess
from tests.agent.linked import linked
from tests.builders import a_repository, a_source, put_host, put_repository, put_source
from tests.hub.rig import HOST, Rig
from tests.waiting import until


def a_fleet() -> Fleet:
    fleet = Fleet()
    put_host(fleet, HOST)
    put_source(fleet, a_source("home", HOST, put_repository(fleet, a_repository())))
    return fleet


async def nobody(_access: RepositoryAccess) -> frames.Tested:
    raise AssertionError("the hub does not look here")


def the_trials(fleet: Fleet, hub: Rig, seconds: float = 10.0) -> Trials:
    return Trials(fleet, hub.roster, nothing_held, lambda: ulid(now()), nobody, seconds)


async def test_the_answer_of_the_agent_that_was_asked_comes_back(tmp_path: Path) -> None:
    fleet = a_fleet()
    async with Rig().serving() as hub, linked(hub.url, tmp_path) as agent:
        await agent.orders.get()
        asking = asyncio.create_task(the_trials(fleet, hub).look(a_repository().id))
        asked = await agent.orders.get()
        assert isinstance(asked, LookNow)
        assert asked.access is not None
        assert asked.access.url == a_repository().url
        assert asked.answer_to is not None
        agent.link.tell(frames.Tested(answer_to="another question", probe=Probe.MISSING))
        agent.link.tell(frames.Tested(answer_to=asked.answer_to, probe=Probe.READY, snapshots=3, locks=()))
        trial = await asking
        assert (trial.host_id, trial.seen.probe, trial.seen.snapshots) == (HOST.id, Probe.READY, 3)
        # What is said once more, or unasked, changes nothing and ends no connection.
        agent.link.tell(frames.Tested(answer_to=asked.answer_to, probe=Probe.MISSING))
        agent.link.tell(Applied(version="1", refused=("home: the schedule cannot be read",)))
        orders = Orders(fleet, hub.roster, nothing_held)

        async def refused() -> bool:
            return bool(orders.told(HOST.id).refused)

        await until(refused, "what the agent refuses")
        assert orders.told(HOST.id).refusal_of("home") == "the schedule cannot be read"
        assert orders.told(HOST.id).refusal_of("etc") is None


async def test_an_agent_that_does_not_answer_is_told_as_that(tmp_path: Path) -> None:
    async with Rig().serving() as hub, linked(hub.url, tmp_path) as agent:
        await agent.orders.get()
        with pytest.raises(Unreachable, match=r"did not answer within 0\.05 s"):
            await the_trials(a_fleet(), hub, 0.05).look(a_repository().id)


async def test_nobody_is_asked_who_is_not_there(tmp_path: Path) -> None:
    async with Rig().serving() as hub:
        with pytest.raises(Refused, match="No agent that uses this repository"):
            await the_trials(a_fleet(), hub).look(a_repository().id)
        with pytest.raises(Refused, match="not connected"):
            await the_trials(a_fleet(), hub).look(a_repository().id, HOST.id)
        with pytest.raises(Refused, match="no repository none"):
            await the_trials(a_fleet(), hub).look("none")
        assert Orders(a_fleet(), hub.roster, nothing_held).told(HOST.id) == OrdersTold(taken=None)


async def test_an_agent_has_taken_its_orders_once_it_says_so_of_the_newest(tmp_path: Path) -> None:
    fleet = a_fleet()
    async with Rig().serving() as hub, linked(hub.url, tmp_path) as agent:
        await agent.orders.get()
        orders = Orders(fleet, hub.roster, nothing_held)
        version = orders.give(HOST.id).version
        assert orders.told(HOST.id).taken is False
        agent.link.tell(Applied(version=version))

        async def taken() -> bool:
            return orders.told(HOST.id).taken is True

        await until(taken, "the agent's word")
        assert list(orders.changed([HOST.id, "elsewhere"])) == []
        put_source(fleet, a_source("etc", HOST))
        ((host_id, given),) = orders.changed([HOST.id])
        assert (host_id, len(given.orders)) == (HOST.id, 2)
        assert orders.told(HOST.id).taken is False


def an_access(folder: Path, url: str) -> RepositoryAccess:
    password = folder / "password"
    password.write_text("secret\n")
    return RepositoryAccess(id="r", name="vault", url=url, password_file=str(password))


async def test_what_restic_sees_is_told_and_nothing_is_made(tmp_path: Path) -> None:
    restic = Restic(cache_dir=tmp_path / "cache", clock=now)
    missing = await tried(restic, an_access(tmp_path, str(tmp_path / "vault")), "q", now)
    assert (missing.answer_to, missing.probe) == ("q", Probe.MISSING)
    assert "no restic repository" in (missing.message or "")
    assert not (tmp_path / "vault").exists()
    wrong = await tried(restic, an_access(tmp_path, "relative"), "q", now)
    assert wrong.probe is Probe.UNKNOWN
    assert "relative path" in (wrong.message or "")


async def test_a_store_that_hangs_is_given_up_in_time(tmp_path: Path) -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        told: list[Frame] = []
        restic = Restic(cache_dir=tmp_path / "cache", clock=now, grace_seconds=0.1)
        looking = tester.Tester(restic, told.append, now, seconds=0.5)
        access = an_access(tmp_path, f"rest:http://127.0.0.1:{port}/")
        for number in range(AT_ONCE + 1):
            looking.begin(str(number), access)

        async def all_told() -> bool:
            return len(told) == AT_ONCE + 1

        await until(all_told, "every answer")
        await looking.stop()
    finally:
        server.close()
        await server.wait_closed()
    busy, *late = [one for one in told if isinstance(one, frames.Tested)]
    assert (busy.answer_to, busy.probe) == (str(AT_ONCE), Probe.UNKNOWN)
    assert {one.probe for one in late} == {Probe.UNREACHABLE}


async def test_new_orders_of_very_many_hosts_do_not_hold_the_event_loop(tmp_path: Path) -> None:
    fleet = a_fleet()
    async with Rig().serving() as hub, linked(hub.url, tmp_path) as agent:
        await agent.orders.get()
        orders = Orders(fleet, hub.roster, nothing_held)
        sent: list[str] = []
        pushing = asyncio.create_task(
            orders.push([*(str(n) for n in range(100_000)), HOST.id], lambda host_id, _: sent.append(host_id))
        )
        turns = 0
        while not pushing.done():
            await asyncio.sleep(0)
            turns += 1
        assert sent == [HOST.id]
        assert turns > 2
