"""The watch over a host's engine: what it reports, when, and what it makes of engines that misbehave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lastgood import clock
from lastgood.agent.docker import DockerWatch, Pace
from lastgood.agent.policy import Policy, read_policy
from lastgood.agent.spool import Spool
from lastgood.model.docker import ContainerState, Ending, EngineState, Health, Inventory
from lastgood.wire.frames import FRAME_LIMIT, Docker, Report, encode
from tests.docker_engine import Engine, an_engine_on
from tests.waiting import until

FAST = Pace(
    search=0.05,
    ping=0.1,
    answer=0.5,
    listing=0.4,
    settle=0.02,
    spacing=0.02,
    burst=1000,
    refill=0.1,
    patience=0.3,
    again=0.05,
    slowest=0.1,
)


class Watched:
    """A watch at work, and everything that it reported."""

    def __init__(self, spool: Spool, watch: DockerWatch) -> None:
        self.spool, self.watch = spool, watch
        self.told: list[Docker] = []

    async def look(self) -> None:
        for report in await self.spool.after(0, 64):
            if isinstance(report.said, Docker):
                self.told.append(report.said)
            await self.spool.acknowledge(report.sequence)

    async def told_that(self, fits: Callable[[Docker], bool]) -> Docker:
        """The newest report, once it is such a one."""

        async def is_so() -> bool:
            await self.look()
            return bool(self.told) and fits(self.told[-1])

        await until(is_so, "the report")
        return self.told[-1]

    async def listed_that(self, fits: Callable[[Inventory], bool]) -> Inventory:
        told = await self.told_that(lambda one: one.inventory is not None and fits(one.inventory))
        assert told.inventory is not None
        return told.inventory


@asynccontextmanager
async def watching(
    folder: Path, socket: Path, pace: Pace = FAST, policy: Callable[[], Policy] | None = None
) -> AsyncIterator[Watched]:
    spool = await Spool.open(folder / "spool.db", clock.now)
    watch = DockerWatch(
        spool, clock.now, policy or (lambda: Policy(docker_socket=str(socket))), folder, {"HOME": "/nowhere"}, pace
    )
    task = asyncio.create_task(watch.run())
    try:
        yield Watched(spool, watch)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await spool.close()


@pytest.fixture(params=["1.41", "1.52"])
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Engine]:
    async with an_engine_on(tmp_path / "docker.sock", request.param) as made:
        yield made


@pytest.fixture
async def old(tmp_path: Path) -> AsyncIterator[Engine]:
    async with an_engine_on(tmp_path / "docker.sock") as made:
        made.at(clock.now().timestamp())
        yield made


def is_so(fits: Callable[[], bool]) -> Callable[[], Awaitable[bool]]:
    async def ask() -> bool:
        return fits()

    return ask


def streams(engine: Engine) -> int:
    return sum("/events" in one for one in engine.asked)


def states(inventory: Inventory) -> dict[str, ContainerState]:
    return {one.name: one.state for one in inventory.containers}


async def test_a_change_is_reported_when_it_happens(engine: Engine, tmp_path: Path) -> None:
    engine.at(clock.now().timestamp())
    web = engine.add("web", "shop", health="healthy")
    async with watching(tmp_path, engine.path, replace(FAST, listing=60.0)) as watched:
        told = await watched.told_that(lambda one: one.inventory is not None)
        assert (told.engine.state, told.engine.api_version) == (EngineState.UP, engine.api)
        assert told.inventory is not None
        (one,) = told.inventory.containers
        assert (one.key, one.health) == ("shop/web/1", Health.HEALTHY)
        web.health = "unhealthy"
        engine.happen(web, "health_status: unhealthy")
        await watched.listed_that(lambda it: it.containers[0].health is Health.UNHEALTHY)
        engine.stop(web)
        stopped = await watched.listed_that(lambda it: it.containers[0].state is ContainerState.EXITED)
        assert (stopped.containers[0].ending, stopped.containers[0].exit_code) == (Ending.ASKED, 143)


async def test_what_does_not_change_is_told_once(old: Engine, tmp_path: Path) -> None:
    old.add("web", "shop")
    async with watching(tmp_path, old.path, replace(FAST, listing=0.05)) as watched:
        await until(is_so(lambda: sum("/containers/json" in one for one in old.asked) > 5), "some lists")
        await watched.look()
        assert len(watched.told) == 1
        watched.watch.tell_again()
        await watched.told_that(lambda _: len(watched.told) == 2)


async def test_events_that_were_lost_heal_by_the_next_list(old: Engine, tmp_path: Path) -> None:
    web = old.add("web", "shop")
    async with watching(tmp_path, old.path) as watched:
        await watched.listed_that(lambda it: len(it.containers) == 1)
        old.lose_events = True
        old.crash(web, 3)
        old.add("db", "shop")
        healed = await watched.listed_that(lambda it: len(it.containers) == 2)
        assert states(healed) == {"web": ContainerState.EXITED, "db": ContainerState.RUNNING}
        assert next(one for one in healed.containers if one.name == "web").ending is None


async def test_a_stream_that_is_cut_is_asked_again_from_before_and_tells_each_event_once(
    old: Engine, tmp_path: Path
) -> None:
    web = old.add("web", "shop")
    async with watching(tmp_path, old.path) as watched:
        await watched.listed_that(lambda it: len(it.containers) == 1)
        old.crash(web, 3)
        old.start(web)
        await watched.listed_that(lambda it: it.containers[0].crashes == 1)
        for _ in range(3):
            asked = streams(old)
            old.end_streams()
            await until(is_so(lambda asked=asked: streams(old) > asked), "another stream")  # type: ignore[misc]
        old.crash(web, 3)
        old.start(web)
        await watched.listed_that(lambda it: it.containers[0].crashes == 2)
        assert all(one.engine.state is EngineState.UP for one in watched.told)
        assert watched.told[-1].engine.restarted_at is None


async def test_crashes_are_told_from_what_was_asked_for_and_a_loop_is_seen_between_its_moments(
    old: Engine, tmp_path: Path
) -> None:
    web = old.add("web", "shop", policy="always")
    async with watching(tmp_path, old.path) as watched:
        await watched.listed_that(lambda it: len(it.containers) == 1)
        for _ in range(3):
            old.crash(web, 3)
            old.start(web)
        looping = await watched.listed_that(lambda it: it.containers[0].is_looping)
        assert looping.containers[0].state is ContainerState.RUNNING
        assert looping.containers[0].restart_policy == "always"


async def test_an_engine_that_hangs_is_recognised_and_its_containers_are_kept(old: Engine, tmp_path: Path) -> None:
    old.add("web", "shop")
    async with watching(tmp_path, old.path) as watched:
        await watched.listed_that(lambda it: len(it.containers) == 1)
        old.hung.set()
        told = await watched.told_that(lambda one: one.engine.state is EngineState.SILENT)
        assert told.inventory is None
        assert told.engine.silent_since is not None
        assert told.engine.version == "20.10.24"
        assert "answers nothing" in (told.engine.message or "")
        old.hung.clear()
        back = await watched.told_that(lambda one: one.engine.state is EngineState.UP)
        assert back.inventory is not None


async def test_a_restart_of_the_engine_is_one_incident_and_no_crash(old: Engine, tmp_path: Path) -> None:
    boxes = [old.add(f"box{number}", "shop") for number in range(20)]
    async with watching(tmp_path, old.path) as watched:
        await watched.listed_that(lambda it: len(it.containers) == 20)
        for box in boxes[:10]:
            old.crash(box, 137)
        await old.end()
        for box in boxes[10:]:
            box.state, box.exit_code = "exited", 137
        await watched.told_that(lambda one: one.engine.state is EngineState.DOWN)
        await old.begin()
        back = await watched.told_that(lambda one: one.engine.state is EngineState.UP)
        assert back.engine.restarted_at is not None
        assert back.inventory is not None
        assert {one.ending for one in back.inventory.containers} == {Ending.ENGINE}
        assert {one.crashes for one in back.inventory.containers} == {0}
        assert [one.engine.state for one in watched.told].count(EngineState.DOWN) == 1


async def test_an_engine_that_is_back_soon_was_never_told_to_be_away(old: Engine, tmp_path: Path) -> None:
    old.add("web", "shop")
    asked: list[int] = []

    def policy() -> Policy:
        asked.append(1)
        return Policy(docker_socket=str(old.path))

    async with watching(tmp_path, old.path, replace(FAST, patience=30.0), policy) as watched:
        await watched.listed_that(lambda it: len(it.containers) == 1)
        await old.end()
        tries = len(asked) + 4
        await until(is_so(lambda: len(asked) > tries), "tries to find it again")
        await old.begin()
        await watched.told_that(lambda one: one.engine.restarted_at is not None)
        assert {one.engine.state for one in watched.told} == {EngineState.UP}


async def test_secrets_never_leave_the_host(old: Engine, tmp_path: Path) -> None:
    box = old.add("web", "shop", environment=["PASSWORD=hunter2", "BACKUP_SOURCES=/x"])
    box.labels["traefik.auth"] = "hunter2"
    tool = old.add("backup", image="offen/docker-volume-backup:v2")
    tool.environment = ["BACKUP_SOURCES=/data", "AWS_SECRET_ACCESS_KEY=hunter2"]
    async with watching(tmp_path, old.path) as watched:
        await watched.listed_that(lambda it: len(it.containers) == 2)
        old.happen(box, "exec_create: sh -c 'login hunter2'")
        old.stop(box)
        listed = await watched.listed_that(lambda it: ContainerState.EXITED in states(it).values())
        assert all(b"hunter2" not in msgspec.json.encode(one) for one in watched.told)
        labels = {one.name: dict(one.labels) for one in listed.containers}
        assert labels["backup"]["setting.BACKUP_SOURCES"] == "/data"
        assert "setting.BACKUP_SOURCES" not in labels["web"]
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert b"hunter2" not in files


async def test_sixty_containers_that_never_rest_do_not_flood_the_hub(old: Engine, tmp_path: Path) -> None:
    boxes = [old.add(f"box{number}", health="healthy") for number in range(60)]
    pace = replace(FAST, burst=3, refill=5.0)
    async with watching(tmp_path, old.path, pace) as watched:
        await watched.listed_that(lambda it: len(it.containers) == 60)
        for _ in range(40):
            for box in boxes:
                box.health = "healthy" if box.health == "unhealthy" else "unhealthy"
                old.happen(box, f"health_status: {box.health}")
            await asyncio.sleep(0.02)
        await watched.look()
        assert len(watched.told) <= 4
        assert max(len(msgspec.json.encode(one)) for one in watched.told) < 30_000


async def test_more_than_a_frame_holds_is_counted(old: Engine, tmp_path: Path) -> None:
    for number in range(2_100):
        old.add(f"box{number:04}", "shop", mounts=[bind(f"/srv/{number}/{'x' * 600}")])
    async with watching(tmp_path, old.path) as watched:
        told = await watched.told_that(lambda one: one.inventory is not None)
        assert told.inventory is not None
        assert len(told.inventory.containers) + told.inventory.more_containers == 2_100
        assert len(encode_report(told)) < FRAME_LIMIT


def bind(path: str) -> dict[str, Any]:
    return {"Type": "bind", "Source": path, "Destination": "/data", "RW": True}


def encode_report(told: Docker) -> bytes:
    return encode(Report(sequence=1, said=told))


async def test_a_proxy_that_forbids_events_is_made_up_for_by_lists(old: Engine, tmp_path: Path) -> None:
    web = old.add("web", "shop")
    old.forbid_events = True
    async with watching(tmp_path, old.path) as watched:
        await watched.listed_that(lambda it: len(it.containers) == 1)
        old.stop(web)
        await watched.listed_that(lambda it: it.containers[0].state is ContainerState.EXITED)


async def test_single_files_are_told_from_folders(old: Engine, tmp_path: Path) -> None:
    file, folder = tmp_path / "app.conf", tmp_path / "data"
    file.touch()
    folder.mkdir()
    old.add("web", mounts=[bind(str(file)), bind(str(folder)), bind(str(tmp_path / "gone"))])
    async with watching(tmp_path, old.path) as watched:
        listed = await watched.listed_that(lambda it: len(it.containers) == 1)
        assert {one.source: one.is_file for one in listed.containers[0].mounts} == {
            str(file): True,
            str(folder): False,
            str(tmp_path / "gone"): None,
        }


async def test_a_host_without_an_engine_says_nothing_and_one_that_lost_it_says_so(tmp_path: Path) -> None:
    socket = tmp_path / "docker.sock"

    asked: list[int] = []

    def policy() -> Policy:
        asked.append(1)
        return Policy() if not socket.exists() else Policy(docker_socket=str(socket))

    async with watching(tmp_path, socket, policy=policy) as watched:
        await until(is_so(lambda: len(asked) > 6), "looks for an engine")
        await watched.look()
        assert watched.told == []
        assert not (tmp_path / "docker.json").exists()
        async with an_engine_on(socket):
            await watched.told_that(lambda one: one.engine.state is EngineState.UP)
        gone = await watched.told_that(lambda one: one.engine.state is EngineState.DOWN)
        assert gone.inventory is None


async def test_a_policy_that_switches_the_look_off_ends_it_and_the_hub_forgets(old: Engine, tmp_path: Path) -> None:
    modes = ["auto"]
    old.add("web")

    def policy() -> Policy:
        return Policy(docker=modes[-1], docker_socket=str(old.path))

    async with watching(tmp_path, old.path, policy=policy) as watched:
        await watched.listed_that(lambda it: len(it.containers) == 1)
        modes.append("off")
        await watched.told_that(lambda one: one.engine.state is EngineState.OFF)
        assert not (tmp_path / "docker.json").exists()


async def test_an_agent_that_starts_anew_remembers_who_was_asked_to_stop(old: Engine, tmp_path: Path) -> None:
    web = old.add("web", "shop")
    async with watching(tmp_path, old.path) as watched:
        await watched.listed_that(lambda it: len(it.containers) == 1)
        old.stop(web, 1)
        await watched.listed_that(lambda it: it.containers[0].ending is Ending.ASKED)
    old.lose_events = True
    await old.end()
    await old.begin()
    async with watching(tmp_path, old.path) as watched:
        listed = await watched.listed_that(lambda it: len(it.containers) == 1)
        assert listed.containers[0].ending is Ending.ASKED


async def test_an_engine_whose_clock_is_off_says_by_how_much(old: Engine, tmp_path: Path) -> None:
    old.system_time = clock.now().replace(microsecond=0).isoformat().replace("+00:00", ".123456789Z")
    async with watching(tmp_path, old.path) as watched:
        told = await watched.told_that(lambda one: one.inventory is not None)
        assert told.engine.clock_offset_seconds == 0


@pytest.mark.parametrize(("url", "state"), [("ssh://root@nas", EngineState.UNSUPPORTED)])
async def test_an_endpoint_that_cannot_be_used_is_told_with_its_reason(
    tmp_path: Path, url: str, state: EngineState
) -> None:
    async with watching(tmp_path, tmp_path, policy=lambda: Policy(docker_socket=url)) as watched:
        told = await watched.told_that(lambda one: one.engine.state is state)
        assert "ssh" in (told.engine.message or "")


def test_the_policy_file_says_whether_and_where_to_look(tmp_path: Path) -> None:
    file = tmp_path / "agent-policy.toml"
    assert (read_policy(file).docker, read_policy(file).docker_socket) == ("auto", None)
    file.write_text('docker = "on"\ndocker_socket = "unix:///srv/docker.sock"\n')
    assert (read_policy(file).docker, read_policy(file).docker_socket) == ("on", "unix:///srv/docker.sock")
