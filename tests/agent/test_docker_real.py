"""The watch over a real engine: real containers that crash, sicken, freeze and run out of what they need."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from lastgood import clock
from lastgood.fleet.coverage import coverage
from lastgood.fleet.docker import stacks_of, trouble
from lastgood.fleet.fleet import Fleet
from lastgood.fleet.learn import learn
from lastgood.model.docker import (
    Answer,
    Container,
    ContainerState,
    Ending,
    EngineState,
    Health,
    Inventory,
    StackState,
)
from lastgood.wire.translate import translate
from tests.agent.test_docker import FAST, Watched, watching
from tests.builders import a_host, put_host
from tests.docker_real import IMAGE, RealEngine, a_real_engine

pytestmark = pytest.mark.slow
PACE = replace(FAST, ping=0.5, answer=1.0, listing=1.0, patience=1.0)


@pytest.fixture
async def real() -> AsyncIterator[RealEngine]:
    async with a_real_engine() as engine:
        yield engine


def of_stack(project: str, service: str) -> tuple[str, ...]:
    labels = {"project": project, "service": service, "container-number": "1", "oneoff": "False"}
    return tuple(part for key, value in labels.items() for part in ("--label", f"com.docker.compose.{key}={value}"))


def named(inventory: Inventory) -> dict[str, Container]:
    return {one.name: one for one in inventory.containers}


def health_check(command: str) -> tuple[str, ...]:
    return ("--health-cmd", command, "--health-interval", "1s", "--health-retries", "2", "--health-timeout", "1s")


async def test_what_really_happens_to_containers_is_told_as_it_is(real: RealEngine, tmp_path: Path) -> None:
    data = tmp_path / "site"
    data.mkdir()
    await real.run(
        "shop_web_1",
        *("sleep", "1000"),
        options=(*of_stack("shop", "web"), *health_check("test -f /data/ok"), "-v", "webdata:/data"),
    )
    await real.run("shop_db_1", "sleep", "1000", options=(*of_stack("shop", "db"), "-v", f"{data}:/srv"))
    await real.run("sick", "sleep", "1000", options=health_check("exit 1"))
    await real.run("crasher", "sh", "-c", "sleep 0.2; exit 3", options=("--restart", "always"))
    await real.run("frozen", "sleep", "1000", options=("-v", "/anonymous"))
    await real.docker("pause", "frozen")
    await real.docker("exec", "shop_web_1", "touch", "/data/ok")
    await real.docker("run", "--name", "done", "--network", "none", IMAGE, "true")
    async with watching(tmp_path, real.socket, PACE) as watched:
        settled = await watched.listed_that(
            lambda it: (
                (told := named(it))["sick"].health is Health.UNHEALTHY
                and told["shop_web_1"].health is Health.HEALTHY
                and told["crasher"].is_looping
            )
        )
        told = named(settled)
        assert told["frozen"].state is ContainerState.PAUSED
        assert (told["done"].state, told["done"].exit_code) == (ContainerState.EXITED, 0)
        assert told["crasher"].restart_policy == "always"
        assert told["shop_web_1"].key == "shop/web/1"
        assert {one.name: one.is_anonymous for one in settled.volumes}["webdata"] is False
        await _stacks_and_coverage(real, watched, data)
        await _stops_and_removals(real, watched)


async def _stacks_and_coverage(real: RealEngine, watched: Watched, data: Path) -> None:
    fleet, host = Fleet(), a_host()
    put_host(fleet, host)
    fleet.judging.tell_online(host.id, True)
    for report in watched.told:
        learn(fleet, translate(report, host.id, clock.now()))
    assert [(one.project, one.state) for one in stacks_of(fleet, host.id)] == [("shop", StackState.RUNNING)]
    answers = {one.subject.key: one.answer for one in coverage(fleet, host.id)}
    assert answers == {
        "volume:webdata": Answer.NEVER,
        f"bind:{data}": Answer.NEVER,
        "anonymous:frozen:/anonymous": Answer.NEVER,
    }
    assert trouble(fleet.docker[host.id].engine) is None


async def _stops_and_removals(real: RealEngine, watched: Watched) -> None:
    await real.docker("stop", "-t", "1", "shop_db_1")
    stopped = await watched.listed_that(lambda it: named(it)["shop_db_1"].state is ContainerState.EXITED)
    assert (named(stopped)["shop_db_1"].ending, named(stopped)["shop_db_1"].exit_code) == (Ending.ASKED, 137)
    await real.docker("unpause", "frozen")
    await watched.listed_that(lambda it: named(it)["frozen"].state is ContainerState.RUNNING)
    await real.docker("rm", "-f", "-v", "frozen")
    gone = await watched.listed_that(lambda it: "frozen" not in named(it))
    assert not any(one.is_anonymous for one in gone.volumes)


async def test_an_engine_that_stops_answering_or_is_restarted_is_one_incident(
    real: RealEngine, tmp_path: Path
) -> None:
    for number in range(3):
        await real.run(f"box{number}", "sleep", "1000")
    await real.run("again", "sleep", "1000", options=("--restart", "always"))
    async with watching(tmp_path, real.socket, PACE) as watched:
        await watched.listed_that(lambda it: len(it.containers) == 4)
        real.freeze()
        silent = await watched.told_that(lambda one: one.engine.state is EngineState.SILENT)
        assert silent.inventory is None
        real.thaw()
        await watched.told_that(lambda one: one.engine.state is EngineState.UP)
        ending = asyncio.create_task(real.end())
        await watched.told_that(lambda one: one.engine.state is EngineState.DOWN)
        await ending
        await real.begin()
        back = await watched.listed_that(lambda it: named(it)["again"].state is ContainerState.RUNNING)
        told = named(back)
        assert {told[f"box{number}"].ending for number in range(3)} == {Ending.ENGINE}
        assert {one.crashes for one in told.values()} == {0}
        assert watched.told[-1].engine.restarted_at is not None
