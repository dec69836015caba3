"""Stacks deployed, stopped and restarted by an agent, with a compose that does as the test says."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from lastgood.agent.enrolment import write_config
from lastgood.model.job import Outcome
from lastgood.model.stack import Compose, Deploy, StackAction
from lastgood.wire.frames import CancelRun, DeployBegun, DeployEnded, DeployNow
from tests.agent.composing import (
    ENV,
    LEGACY,
    NO_PLUGIN,
    PLUGIN,
    STANDALONE,
    TEXT,
    Engine,
    allow,
    deploy_now,
    is_alive,
    words_of,
)
from tests.agent.working import Place, said, working
from tests.builders import an_id
from tests.hub.rig import HOST, Rig
from tests.waiting import until

UP = ["up", "-d", "--remove-orphans"]


@pytest.fixture
def host(bare_place: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A host that allows deploys and finds its programs in a folder of the test's."""
    bare_place.restic = shutil.which("restic") or "/nowhere/restic"
    monkeypatch.setenv("PATH", str(bare_place.folder / "bin"))
    monkeypatch.setenv("AGENT_SECRET", "of the agent alone")
    allow(bare_place)
    return bare_place


@pytest.fixture
def engine(host: Place) -> Iterator[Engine]:
    engine = Engine(host.folder / "bin")
    engine.has("docker")
    engine.says(PLUGIN)
    yield engine
    if engine.hanging is not None:
        assert not is_alive(engine.hanging), "a compose was left behind"


async def ended(rig: Rig, deploy_id: str) -> Deploy:
    return (await said(rig, DeployEnded, lambda one: one.deploy.id == deploy_id)).deploy


def log_of(rig: Rig, deploy_id: str) -> str:
    return next(one.log for one in rig.said if isinstance(one, DeployEnded) and one.deploy.id == deploy_id)


async def hangs(engine: Engine) -> int:
    async def look() -> int | None:
        return engine.hanging

    return await until(look, "compose is at work")


async def test_a_deploy_looks_at_the_text_brings_the_stack_up_and_tells_how_long_it_took(
    host: Place, engine: Engine
) -> None:
    engine.says(PLUGIN, {"when": ["up"], "err": ["Container shop-web-1  Started"]})
    rig = Rig()
    async with rig.serving(), working(host, rig.url):
        deploy_id = await deploy_now(rig, env=ENV, text_number=3)
        deploy = await ended(rig, deploy_id)
    assert (deploy.outcome, deploy.exit_code, deploy.touched) == (Outcome.SUCCESS, 0, True)
    assert (deploy.compose, deploy.compose_version) == (Compose.PLUGIN, "2.26.1")
    assert (deploy.host_id, deploy.project, deploy.text_number) == (HOST.id, "shop", 3)
    assert 0 < deploy.duration_seconds < 20
    folder = host.folder / "data" / "stacks" / "shop"
    begins = ["compose", "--project-directory", str(folder), "-f", str(folder / "compose.yaml"), "-p", "shop"]
    assert engine.argvs("config") == [[*begins, "config", "-q"]]
    (up,) = engine.argvs("up")
    assert up[:-1] == [*begins, *UP, "--wait", "--wait-timeout"]
    call = next(one for one in engine.calls if "up" in one["argv"])
    assert (call["text"], call["env_file"], call["modes"]) == (TEXT, ENV, [0o700, 0o600])
    assert "AGENT_SECRET" not in call["env"], "a text could read it"
    assert log_of(rig, deploy_id) == "Container shop-web-1  Started"
    assert [type(one).__name__ for one in rig.said if "Deploy" in type(one).__name__] == [
        "DeployBegun",
        "DeployEnded",
    ]


@pytest.mark.parametrize(
    ("policy", "project", "sentence"),
    [
        ("false", "shop", "allows no deploys; write allow_deploy = true"),
        ('["blog", "wiki-*"]', "shop", "does not allow deploys of shop; add it to allow_deploy"),
    ],
)
@pytest.mark.parametrize("action", list(StackAction))
async def test_what_the_host_does_not_allow_is_refused_with_file_and_key_and_compose_is_not_even_asked(
    host: Place, engine: Engine, policy: str, project: str, sentence: str, action: StackAction
) -> None:
    allow(host, policy)
    rig = Rig()
    async with rig.serving(), working(host, rig.url):
        deploy = await ended(rig, await deploy_now(rig, project=project, action=action))
    assert (deploy.outcome, deploy.cause, deploy.touched) == (Outcome.FAILED, "refused_by_policy", False)
    assert deploy.reason is not None
    assert sentence in deploy.reason
    assert str(host.folder / "agent-policy.toml") in deploy.reason
    assert engine.calls == []
    assert not (host.folder / "data" / "stacks").exists()


async def test_a_pattern_of_the_policy_allows_the_projects_that_fit_it(host: Place, engine: Engine) -> None:
    allow(host, '["blog", "sho?"]')
    rig = Rig()
    async with rig.serving(), working(host, rig.url):
        assert (await ended(rig, await deploy_now(rig))).outcome is Outcome.SUCCESS


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        ({"text": "services: {}\n"}, "names no services"),
        ({"text": "- a\n- list\n"}, "names no services"),
        ({"text": "services:\n  web: [\n"}, "not valid YAML"),
        ({"text": "services:\n" + "".join(f"{' ' * n}a:\n" for n in range(1, 60))}, "nested deeper"),
        ({"text": TEXT, "env": "NO EQUALS\n"}, "Line 1 of the .env file"),
        ({"project": "../etc"}, "no name of a stack"),
        ({"project": "-f"}, "no name of a stack"),
    ],
)
async def test_a_text_or_name_that_is_wrong_never_reaches_compose(
    host: Place, engine: Engine, wish: dict[str, Any], sentence: str
) -> None:
    rig = Rig()
    async with rig.serving(), working(host, rig.url):
        deploy = await ended(rig, await deploy_now(rig, **wish))
    assert (deploy.outcome, deploy.touched) == (Outcome.FAILED, False)
    assert deploy.reason is not None
    assert sentence in deploy.reason
    assert engine.argvs("up") == engine.argvs("config") == []


async def test_a_text_that_compose_refuses_leaves_the_one_before_in_its_place(host: Place, engine: Engine) -> None:
    rig = Rig()
    folder = host.folder / "data" / "stacks" / "shop"
    async with rig.serving(), working(host, rig.url):
        await ended(rig, await deploy_now(rig, env=ENV))
        engine.says(PLUGIN, {"when": ["config"], "err": ["services.web Additional property imagee"], "exit": 15})
        deploy = await ended(rig, await deploy_now(rig, "second", text=TEXT + "# other\n"))
    assert (deploy.cause, deploy.exit_code, deploy.touched) == ("refused_text", 15, False)
    assert deploy.reason is not None
    assert "imagee" in deploy.reason
    assert (folder / "compose.yaml").read_text() == TEXT
    assert (folder / ".env").read_text() == ENV
    assert sorted(path.name for path in folder.iterdir()) == [".env", "compose.yaml"]
    assert len(engine.argvs("up")) == 1


async def test_a_deploy_that_fails_tells_the_exit_code_and_composes_own_words(host: Place, engine: Engine) -> None:
    engine.says(PLUGIN, {"when": ["up"], "err": ["Error: manifest for lg-test/web:1 not found"], "exit": 1})
    rig = Rig()
    async with rig.serving(), working(host, rig.url):
        deploy = await ended(rig, await deploy_now(rig))
    assert (deploy.outcome, deploy.exit_code, deploy.touched) == (Outcome.FAILED, 1, True)
    assert deploy.reason is not None
    assert "manifest for lg-test/web:1 not found" in deploy.reason


async def test_the_limit_ends_compose_with_all_that_it_began(host: Place, engine: Engine) -> None:
    engine.says(PLUGIN, {"when": ["up"], "hang": 600})
    rig = Rig()
    async with rig.serving(), working(host, rig.url):
        deploy_id = await deploy_now(rig, seconds=3.0)
        pid = await hangs(engine)
        deploy = await ended(rig, deploy_id)
    assert (deploy.outcome, deploy.cause) == (Outcome.FAILED, "timeout")
    assert not is_alive(pid)


async def test_a_deploy_can_be_cancelled_while_it_runs_and_while_it_waits(host: Place, engine: Engine) -> None:
    engine.says(PLUGIN, {"when": ["up"], "hang": 600})
    rig = Rig()
    async with rig.serving(), working(host, rig.url):
        first = await deploy_now(rig)
        await hangs(engine)
        second = await deploy_now(rig, "second")
        await rig.roster.send(HOST.id, CancelRun(run_id=second))
        await rig.roster.send(HOST.id, CancelRun(run_id=first))
        assert (await ended(rig, first)).outcome is Outcome.CANCELLED
        waited = await ended(rig, second)
    assert (waited.outcome, waited.touched) == (Outcome.CANCELLED, False)
    assert len(engine.argvs("up")) == 1


async def test_output_comes_live_and_no_value_of_env_is_ever_shown(host: Place, engine: Engine) -> None:
    words = ["pulling with correct horse battery", "token 8443 of hunter-two-of-web", "done"]
    engine.says(PLUGIN, {"when": ["up"], "out": words, "hang": 600})
    rig = Rig()
    async with rig.serving(), working(host, rig.url):
        rig.roster.words.expect(an_id("deploy", "deploy"), HOST.id)
        deploy_id = await deploy_now(rig, env=ENV)

        async def heard() -> list[str]:
            return words_of(rig, deploy_id)

        live = await until(heard, "live lines")
        await rig.roster.send(HOST.id, CancelRun(run_id=deploy_id))
        await ended(rig, deploy_id)
    assert live == ["pulling with ***", "token *** of ***", "done"]
    assert log_of(rig, deploy_id).splitlines()[:3] == live


async def test_a_flood_is_told_in_bounds_and_later_lines_of_the_same_stack_still_come(
    host: Place, engine: Engine
) -> None:
    engine.says(PLUGIN, {"when": ["up"], "flood": 200_000})
    rig = Rig()
    async with rig.serving(), working(host, rig.url):
        deploy = await ended(rig, await deploy_now(rig))
        log = log_of(rig, deploy.id)
    assert deploy.outcome is Outcome.SUCCESS
    assert len(log.encode()) <= 64 * 1024
    assert log.splitlines()[0] == "line 0 of a flood that nobody reads"
    assert log.splitlines()[-1] == "line 199999 of a flood that nobody reads"
    assert "199600 lines left out" in log


async def test_a_host_without_compose_says_what_to_install(host: Place, engine: Engine) -> None:
    engine.has("docker")
    engine.says(NO_PLUGIN)
    rig = Rig()
    async with rig.serving(), working(host, rig.url):
        deploy = await ended(rig, await deploy_now(rig))
    assert deploy.outcome is Outcome.FAILED
    assert deploy.reason is not None
    assert "install the compose plugin" in deploy.reason
    assert not (host.folder / "data" / "stacks" / "shop" / "compose.yaml").exists()


async def test_a_compose_program_of_its_own_is_taken_where_there_is_no_plugin(host: Place, engine: Engine) -> None:
    engine.has("docker", "docker-compose")
    engine.says({**NO_PLUGIN, "when": ["docker", "compose", "version"]}, STANDALONE)
    rig = Rig()
    async with rig.serving(), working(host, rig.url):
        deploy = await ended(rig, await deploy_now(rig))
    assert (deploy.compose, deploy.compose_version) == (Compose.STANDALONE, "v2.20.3")
    assert "--wait" in engine.argvs("up")[0]


async def test_compose_1_29_says_created_so_the_health_is_looked_at_afterwards(host: Place, engine: Engine) -> None:
    engine.has("docker", "docker-compose")
    old = ({**NO_PLUGIN, "when": ["docker", "compose", "version"]}, LEGACY)
    engine.says(*old, {"when": ["ps"], "out": ["shop_web_1\tUp 2 seconds (health: starting)"]})
    rig = Rig()
    async with rig.serving(), working(host, rig.url):
        deploy_id = await deploy_now(rig, take_over=True)

        async def looked() -> bool:
            return len(engine.argvs("ps")) > 2

        await until(looked, "the health is looked at again")
        engine.says(*old, {"when": ["ps"], "out": ["shop_web_1\tUp 5 seconds (unhealthy)", "shop_job_1\tExited (0)"]})
        sick = await ended(rig, deploy_id)
        engine.says(*old, {"when": ["ps"], "out": ["shop_web_1\tUp 5 seconds (healthy)", "shop_job_1\tExited (0)"]})
        well = await ended(rig, await deploy_now(rig, "again", take_over=True))
    assert (sick.compose, sick.cause, sick.exit_code) == (Compose.LEGACY, "unhealthy", 0)
    assert sick.reason is not None
    assert "shop_web_1 is Up 5 seconds (unhealthy)" in sick.reason
    assert well.outcome is Outcome.SUCCESS
    assert not any("--wait" in argv for argv in engine.argvs("up"))


async def test_a_project_that_runs_from_another_folder_is_not_taken_over_unasked(host: Place, engine: Engine) -> None:
    engine.says(PLUGIN, {"when": ["docker", "ps"], "out": ["/srv/shop"]})
    rig = Rig()
    async with rig.serving(), working(host, rig.url):
        refused = await ended(rig, await deploy_now(rig))
        taken = await ended(rig, await deploy_now(rig, "second", take_over=True))
    assert (refused.outcome, refused.cause, refused.touched) == (Outcome.FAILED, "runs_from_elsewhere", False)
    assert refused.reason is not None
    assert "/srv/shop" in refused.reason
    assert taken.outcome is Outcome.SUCCESS


async def test_a_stack_is_stopped_and_restarted_by_its_text_or_by_what_the_engine_knows_of_it(
    host: Place, engine: Engine
) -> None:
    rig = Rig()
    async with rig.serving(), working(host, rig.url):
        await ended(rig, await deploy_now(rig))
        stopped = await ended(rig, await deploy_now(rig, "stop", action=StackAction.STOP, text=None))
        foreign = await ended(
            rig, await deploy_now(rig, "restart", action=StackAction.RESTART, text=None, project="blog")
        )
    assert (stopped.outcome, stopped.touched, foreign.outcome) == (Outcome.SUCCESS, True, Outcome.SUCCESS)
    folder = host.folder / "data" / "stacks" / "shop"
    assert engine.argvs("stop")[0] == [
        *("compose", "--project-directory", str(folder), "-f", str(folder / "compose.yaml"), "-p", "shop", "stop")
    ]
    assert engine.argvs("restart")[0] == ["compose", "-p", "blog", "restart"]


async def test_the_same_wish_sent_again_deploys_once(host: Place, engine: Engine) -> None:
    rig = Rig()
    async with rig.serving(), working(host, rig.url):
        await ended(rig, await deploy_now(rig))
        await deploy_now(rig)
        await ended(rig, await deploy_now(rig, "another"))
    begun = [one.deploy.id for one in rig.said if isinstance(one, DeployBegun)]
    assert begun == [an_id("deploy", "deploy"), an_id("deploy", "another")]


async def test_a_deploy_goes_on_without_the_hub_and_is_told_once_when_it_is_back(host: Place, engine: Engine) -> None:
    engine.says(PLUGIN, {"when": ["up"], "hang": 1})
    rig = Rig()
    async with rig.serving() as serving, working(host, rig.url):
        port = serving.port
        deploy_id = await deploy_now(rig)
        await said(rig, DeployBegun)
        await rig.roster.close_all(2.0)

        async def away() -> bool:
            return HOST.id not in rig.roster

        await until(away, "the link is down")
        rig.roster.draining = False
        assert (await ended(rig, deploy_id)).outcome is Outcome.SUCCESS
        assert port == serving.port
    assert [type(one).__name__ for one in rig.said if "Deploy" in type(one).__name__] == [
        "DeployBegun",
        "DeployEnded",
    ]


async def test_an_agent_that_is_killed_in_mid_deploy_tells_it_as_lost_at_its_next_start(
    host: Place, engine: Engine
) -> None:
    engine.says(PLUGIN, {"when": ["config"], "hang": 600})
    folder = host.folder / "data" / "stacks" / "shop"
    rig = Rig()
    async with rig.serving():
        write_config(host.folder / "agent.toml", host.config(rig.url))
        command = [sys.executable, "-m", "lastgood", "agent", "run", "--config", str(host.folder / "agent.toml")]
        process = await asyncio.to_thread(subprocess.Popen, command, env={**os.environ})
        try:
            deploy_id = await deploy_now(rig)
            pid = await hangs(engine)
            assert (folder / "compose.yaml").exists()
        finally:
            process.send_signal(signal.SIGKILL)
            await asyncio.to_thread(process.wait)
        os.kill(pid, signal.SIGKILL)
        async with working(host, rig.url):
            deploy = await ended(rig, deploy_id)
            await said(rig, DeployEnded)
    assert (deploy.outcome, deploy.cause) == (Outcome.LOST, "lost")
    assert not (folder / "compose.yaml").exists(), "compose had not found it good"


async def test_a_stop_of_the_agent_ends_compose_and_is_told(host: Place, engine: Engine) -> None:
    engine.says(PLUGIN, {"when": ["up"], "hang": 600})
    rig = Rig()
    async with rig.serving():
        async with working(host, rig.url) as stop:
            first = await deploy_now(rig)
            pid = await hangs(engine)
            stop.set()
        assert not is_alive(pid)
        deploy = await ended(rig, first)
    assert (deploy.outcome, deploy.touched) == (Outcome.CANCELLED, True)


def test_a_wish_shows_no_text_where_it_is_printed() -> None:
    wish = DeployNow(id="1", action=StackAction.DEPLOY, project="shop", text=TEXT, env=ENV)
    assert "hunter" not in repr(wish) + str(wish)
