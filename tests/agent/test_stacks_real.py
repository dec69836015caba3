"""Stacks on a real engine with a real compose, where this machine can have them."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator

import pytest

from lastgood.model.job import Outcome
from lastgood.model.stack import Deploy, StackAction
from lastgood.wire.frames import DeployEnded
from tests.agent.composing import allow, deploy_now
from tests.agent.working import Place, said, working
from tests.docker_real import IMAGE, RealEngine, a_real_engine
from tests.hub.rig import Rig

pytestmark = pytest.mark.slow

TEXT = f"""
services:
  web:
    image: "{IMAGE}"
    command: [sh, -c, "echo ready; exec sleep 1000"]
    network_mode: none
    stop_grace_period: 1s
    environment: ["GREETING=${{GREETING:-none}}"]
    healthcheck: {{test: [CMD, "true"], interval: 1s, timeout: 2s, retries: 2}}
"""
SICK = TEXT.replace('"true"', '"false"')


@pytest.fixture
async def engine(bare_place: Place, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RealEngine]:
    path = os.pathsep.join(filter(None, (os.environ.get("LASTGOOD_TEST_DOCKER"), os.environ["PATH"])))
    if shutil.which("docker-compose", path=path) is None:
        pytest.skip("no docker-compose on this machine; scripts/test slow fetches it")
    async with a_real_engine() as engine:
        monkeypatch.setenv("PATH", path)
        monkeypatch.setenv("HOME", str(engine.folder))
        monkeypatch.setenv("DOCKER_HOST", f"unix://{engine.socket}")
        allow(bare_place)
        yield engine


async def ended(rig: Rig, deploy_id: str) -> tuple[Deploy, str]:
    deploy = (await said(rig, DeployEnded, lambda one: one.deploy.id == deploy_id, seconds=90)).deploy
    log = next(one.log for one in rig.said if isinstance(one, DeployEnded) and one.deploy.id == deploy_id)
    return deploy, log


async def test_a_stack_is_deployed_found_sick_refused_stopped_restarted_and_changed(
    bare_place: Place, engine: RealEngine
) -> None:
    rig = Rig()
    async with rig.serving(), working(bare_place, rig.url):
        up, log = await ended(rig, await deploy_now(rig, text=TEXT, env="GREETING=hello-of-env\n", seconds=60.0))
        assert (up.outcome, up.exit_code) == (Outcome.SUCCESS, 0), (up, log)
        (name,) = (await engine.docker("ps", "--format", "{{.Names}}")).split()
        environment = await engine.docker("inspect", "--format", "{{.Config.Env}}", name)
        assert "GREETING=hello-of-env" in environment
        assert "hello-of-env" not in log

        refused, log = await ended(rig, await deploy_now(rig, "refused", text=TEXT + "    imagee: x\n", seconds=60.0))
        assert (refused.cause, refused.touched) == ("refused_text", False), (refused, log)
        kept = (bare_place.folder / "data" / "stacks" / "shop" / "compose.yaml").read_text()
        assert kept == TEXT

        sick, log = await ended(rig, await deploy_now(rig, "sick", text=SICK, seconds=60.0))
        assert (sick.outcome, sick.touched) == (Outcome.FAILED, True), (sick, log)

        stopped, log = await ended(rig, await deploy_now(rig, "stop", action=StackAction.STOP, text=None))
        assert stopped.outcome is Outcome.SUCCESS, (stopped, log)
        assert await engine.docker("ps", "-q") == ""
        again, log = await ended(rig, await deploy_now(rig, "restart", action=StackAction.RESTART, text=None))
        assert again.outcome is Outcome.SUCCESS, (again, log)
        assert await engine.docker("ps", "-q") != ""


async def test_a_project_of_another_folder_is_left_alone(bare_place: Place, engine: RealEngine) -> None:
    labels = ("com.docker.compose.project=shop", "com.docker.compose.oneoff=False")
    where = "com.docker.compose.project.working_dir=/srv/shop"
    options = tuple(word for label in (*labels, where) for word in ("--label", label))
    await engine.run("shop_web_1", "sleep", "1000", options=options)
    rig = Rig()
    async with rig.serving(), working(bare_place, rig.url):
        refused, _ = await ended(rig, await deploy_now(rig, text=TEXT))
    assert (refused.cause, refused.touched) == ("runs_from_elsewhere", False)
