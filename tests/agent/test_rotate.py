"""An agent's key is changed in place, and killed after any step it still gets in with the key in its file."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from lastgood.agent.enrol import Place, use_key
from lastgood.agent.enrolment import AgentConfig, make_key, read_config, read_key, write_config
from lastgood.agent.handshake import to_text
from lastgood.agent.rotate import STEPS, rotate
from lastgood.auth.identity import KeyPair, mint_key_pair
from lastgood.errors import AccessError
from lastgood.hub.session import serve
from lastgood.hub.socket import Socket
from lastgood.model.fact import HostEnrolled
from tests.agent.linked import linked
from tests.builders import NOW, a_host
from tests.hub.rig import Rig
from tests.serving import serving
from tests.web.site import HUB_KEYS, Home, at_home

HOST_ID = a_host().id


@dataclass
class Machine:
    """An enrolled machine and the hub it belongs to."""

    hub: Home
    config_file: Path

    @property
    def config(self) -> AgentConfig:
        return read_config(self.config_file)

    @property
    def key(self) -> KeyPair:
        return read_key(Path(self.config.key_file))

    async def gets_in(self, keys: KeyPair) -> bool:
        """Whether an agent with this key is welcomed by the hub."""
        url = self.config.hub_url.replace("http:", "ws:") + "/ws/agent"
        folder = self.config_file.parent / keys.fingerprint[7:15].replace("/", "_")
        folder.mkdir(exist_ok=True)
        async with linked(url, folder, hub_key=HUB_KEYS.public_key, keys=keys) as agent:
            assert agent.running is not None
            arrived = asyncio.create_task(agent.orders.get())
            try:
                done, _ = await asyncio.wait(
                    {arrived, agent.running}, timeout=20, return_when=asyncio.FIRST_COMPLETED
                )
            finally:
                arrived.cancel()
            assert done, "neither welcomed nor refused"
            return arrived in done


def a_session(hub: Home) -> Callable[[Socket], Awaitable[None]]:
    """The hub's real end of the link, over the hosts of this hub."""
    rig = Rig(keys=HUB_KEYS, hosts=hub.fleet.hosts)
    return lambda socket: serve(socket, replace(rig.seams(), rekeyed=hub.hosts.rekeyed))


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    async with at_home(tmp_path / "hub") as hub, serving(hub.app) as address:
        hub.serve = a_session(hub)
        keys = make_key(tmp_path / "agent.key")
        host = a_host(key=to_text(keys.public_key))
        await hub.take([HostEnrolled(at=NOW, origin="test", host=host)], "enrolled")
        config = AgentConfig(
            hub_url=f"http://{address}",
            hub_key=to_text(HUB_KEYS.public_key),
            host_id=HOST_ID,
            key_file="agent.key",
            data_dir="data",
        )
        write_config(tmp_path / "agent.toml", config)
        yield Machine(hub, tmp_path / "agent.toml")


async def test_a_changed_key_gets_in_and_the_old_one_does_not(machine: Machine) -> None:
    old = machine.key
    new = await asyncio.to_thread(rotate, machine.config)
    assert machine.key == new != old
    assert await machine.gets_in(new)
    assert not await machine.gets_in(old)
    assert Path(machine.config.key_file).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in machine.config_file.parent.glob("agent.key*")] == ["agent.key"]


async def test_killed_after_any_step_the_agent_gets_in_and_another_try_finishes_the_change(machine: Machine) -> None:
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from lastgood.agent.enrolment import read_config\n"
        "from lastgood.agent.rotate import rotate\n"
        "def done(step):\n"
        "    if step == sys.argv[2]:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "rotate(read_config(Path(sys.argv[1])), done)\n"
    )
    for step in STEPS:
        old = machine.key
        command = [sys.executable, "-c", program, str(machine.config_file), step]
        ended = await asyncio.to_thread(subprocess.run, command, capture_output=True, timeout=60)
        assert ended.returncode == -signal.SIGKILL, (step, ended.stderr)
        assert await machine.gets_in(machine.key), step
        new = await asyncio.to_thread(rotate, machine.config)
        assert machine.key == new != old, step
        assert await machine.gets_in(new), step
        assert not await machine.gets_in(old), step


async def test_a_key_is_changed_by_nobody_who_does_not_hold_it(machine: Machine) -> None:
    before = machine.hub.fleet.hosts[HOST_ID]
    place = Place(hub_url=machine.config.hub_url)
    with pytest.raises(AccessError, match="not offered"):
        await asyncio.to_thread(use_key, place, HOST_ID, mint_key_pair(), HUB_KEYS.public_key)
    Path(machine.config.key_file).unlink()
    make_key(Path(machine.config.key_file))
    with pytest.raises(AccessError, match="signature"):
        await asyncio.to_thread(rotate, machine.config)
    assert machine.hub.fleet.hosts[HOST_ID] == before
