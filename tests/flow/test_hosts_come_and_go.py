"""A second machine's life with a real hub: enrolled, renamed, given a new key, removed, by the commands of people."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lastgood.agent.enrolment import read_config
from lastgood.agent.status import AgentStatus, look
from lastgood.cli.ask import asked_hub
from lastgood.clock import now
from tests.flow.hub import Client, Up, command, environment, lastgood, until, up

NAME = "db-1"


def asked(hub: Up, *words: str) -> str:
    """A command to the hub of this data folder; it must succeed."""
    ended = lastgood(*words, "--data-dir", str(hub.data_dir))
    assert ended.returncode == 0, ended.stderr
    return str(ended.stdout)


def on_machine(config: Path, *words: str) -> Any:
    return lastgood("agent", *words, "--config", str(config))


def listed(hub: Up, name: str) -> dict[str, Any] | None:
    with asked_hub(hub.data_dir) as api:
        return next((host for host in api.every("/hosts") if host["name"] == name), None)


@contextmanager
def running(config: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command("agent", "run", "--config", str(config)), stderr=subprocess.PIPE, text=True, env=environment()
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        if process.stderr is not None:
            process.stderr.close()


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with up(tmp_path_factory.mktemp("hub") / "data") as one:
        one.said(r"/welcome/\S+")
        yield one


def test_a_machine_is_enrolled_renamed_given_a_new_key_and_removed(hub: Up, tmp_path: Path) -> None:
    config, data_dir = tmp_path / "etc" / "agent.toml", tmp_path / "var"
    line = asked(hub, "enrol-code", "create", "--name", NAME).strip()
    words = line.split()
    assert words[:4] == ["lastgood", "agent", "enrol", hub.url]
    enrolled = on_machine(config, "enrol", *words[3:], "--data-dir", str(data_dir))
    assert enrolled.returncode == 0, enrolled.stderr
    assert f"This machine is {NAME} now" in enrolled.stdout
    with running(config) as agent, Client(hub.url) as client:
        host = until(lambda: (h := listed(hub, NAME)) and h["online"] and h, "the agent online")
        named(client, hub, NAME, host["id"])
        asked(hub, "host", "rename", NAME, "db-2")
        named(client, hub, "db-2", host["id"])
        rotate_it(hub, config, host["id"])
        assert "rm_host_agent_online" in spoken_of(client, hub, host["id"])
        asked(hub, "host", "remove", "db-2", "--yes")
        assert spoken_of(client, hub, host["id"]) == set()
        assert agent.wait(timeout=30) == 78
        assert agent.stderr is not None
        assert "The host db-2 was removed from this hub" in agent.stderr.read()
    assert listed(hub, "db-2") is None


def spoken_of(client: Client, hub: Up, host_id: str) -> set[str]:
    """The families on /metrics in which the host stands."""
    return {name for name, labels, _ in client.metrics(hub.data_dir) if host_id in labels.values()}


def named(client: Client, hub: Up, name: str, host_id: str) -> None:
    samples = client.metrics(hub.data_dir)
    names = {labels["host"] for _, labels, _ in samples if labels.get("host_id") == host_id}
    assert names == {name}


def rotate_it(hub: Up, config: Path, host_id: str) -> None:
    """A running agent takes its new key up by itself."""
    before = until(lambda: (s := status(config)).connected and s, "the agent's own word that it is connected")
    said = json.loads(on_machine(config, "status", "--json").stdout)
    assert (said["running"], said["host_id"], said["reports"]) == (True, host_id, 0)
    rotated = on_machine(config, "rotate-key")
    assert rotated.returncode == 0, rotated.stderr
    after = until(lambda: (s := status(config)).connected and s, "the agent connected again")
    assert after.fingerprint != before.fingerprint
    until(
        lambda: (h := listed(hub, "db-2")) and h["connected"] and h["fingerprint"] == after.fingerprint,
        "the hub with the new key",
    )


def status(config: Path) -> AgentStatus:
    return look(read_config(config), now())


def test_a_machine_asks_to_be_let_in_and_goes_on_waiting_until_somebody_approves(hub: Up, tmp_path: Path) -> None:
    config = tmp_path / "agent.toml"
    words = ("announce", hub.url, "--name", "nas", "--data-dir", str(tmp_path / "var"))
    assert on_machine(config, *words, "--no-wait").returncode == 0
    assert listed(hub, "nas") is None
    unsure = lastgood("host", "approve", "nas", "--data-dir", str(hub.data_dir))
    assert unsure.returncode == 78
    assert "--fingerprint" in unsure.stderr
    process = subprocess.Popen(
        command("agent", *words, "--config", str(config)), stdout=subprocess.PIPE, text=True, env=environment()
    )
    try:
        assert process.stdout is not None
        shown = next(line for line in process.stdout if "host approve" in line)
        asked(hub, *shown.split()[1:])  # the very line that the machine shows
        said, _ = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert "This machine is nas now" in said
    assert listed(hub, "nas") is not None
    assert config.exists()
    assert not config.with_suffix(".announced").exists()
