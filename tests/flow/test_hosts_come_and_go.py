"""A second machine's life with a real hub: enrolled, renamed, given a new key, removed, by the commands of people."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.flow.hub import Client, Up, command, environment, lastgood, until, up, value

NAME = "db-1"


def asked(hub: Up, *words: str) -> str:
    """A command to the hub of this data folder; it must succeed."""
    ended = lastgood(*words, "--data-dir", str(hub.data_dir))
    assert ended.returncode == 0, ended.stderr
    return str(ended.stdout)


def on_machine(config: Path, *words: str) -> Any:
    return lastgood("agent", *words, "--config", str(config))


def listed(hub: Up, name: str) -> dict[str, Any] | None:
    hosts = json.loads(asked(hub, "host", "list", "--json"))
    return next((host for host in hosts if host["name"] == name), None)


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
    again = on_machine(config, "enrol", *words[3:], "--data-dir", str(data_dir))
    assert again.returncode == 78
    assert "is enrolled at" in again.stderr
    with running(config) as agent, Client(hub.url) as client:
        host = until(lambda: (h := listed(hub, NAME)) and h["online"] and h, "the agent online")
        named(client, hub, NAME, host["id"])
        rename_it(client, hub, host["id"])
        rotate_it(hub, config, host["id"])
        asked(hub, "host", "remove", "db-2", "--yes")
        assert value_of(client, hub, "rm_host_online", host["id"]) is None
        assert agent.wait(timeout=30) == 78
        assert agent.stderr is not None
        assert "The host db-2 was removed from this hub" in agent.stderr.read()
    assert listed(hub, "db-2") is None


def value_of(client: Client, hub: Up, family: str, host_id: str) -> float | None:
    """The host's sample; None if no sample of any family speaks of the host any more."""
    samples = client.metrics(hub.data_dir)
    if not any(host_id in labels.values() for _, labels, _ in samples):
        return None
    return value(samples, family, host_id=host_id)


def named(client: Client, hub: Up, name: str, host_id: str) -> None:
    samples = client.metrics(hub.data_dir)
    names = {labels["host"] for _, labels, _ in samples if labels.get("host_id") == host_id}
    assert names == {name}


def rename_it(client: Client, hub: Up, host_id: str) -> None:
    """The id stays, and a taken name is refused whatever its case."""
    asked(hub, "host", "rename", NAME, "db-2")
    named(client, hub, "db-2", host_id)
    own = next(h["name"] for h in json.loads(asked(hub, "host", "list", "--json")) if h["id"] != host_id)
    refused = lastgood("host", "rename", "db-2", own.upper(), "--data-dir", str(hub.data_dir))
    assert refused.returncode == 1
    assert "is here already" in refused.stderr


def rotate_it(hub: Up, config: Path, host_id: str) -> None:
    """A running agent takes its new key up by itself."""
    before = until(
        lambda: (s := status(config)) and s["connected"] and s, "the agent's own word that it is connected"
    )
    assert before["running"]
    assert before["reports"] == 0
    rotated = on_machine(config, "rotate-key")
    assert rotated.returncode == 0, rotated.stderr
    after = until(lambda: (s := status(config)) and s["connected"] and s, "the agent connected again")
    assert after["fingerprint"] != before["fingerprint"]
    until(
        lambda: (h := listed(hub, "db-2")) and h["connected"] and h["fingerprint"] == after["fingerprint"],
        "the hub with the new key",
    )


def status(config: Path) -> dict[str, Any]:
    said = on_machine(config, "status", "--json")
    assert said.returncode == 0, said.stderr
    found: dict[str, Any] = json.loads(said.stdout)
    return found


def test_a_machine_asks_to_be_let_in_and_goes_on_waiting_until_somebody_approves(hub: Up, tmp_path: Path) -> None:
    config, data_dir = tmp_path / "agent.toml", tmp_path / "var"
    words = ("announce", hub.url, "--name", "nas", "--data-dir", str(data_dir))
    first = on_machine(config, *words, "--no-wait")
    assert first.returncode == 0, first.stderr
    (waiting,) = json.loads(asked(hub, "host", "list", "--pending", "--json"))
    assert waiting["fingerprint"] in first.stdout
    assert listed(hub, "nas") is None
    unsure = lastgood("host", "approve", "nas", "--data-dir", str(hub.data_dir))
    assert unsure.returncode == 78
    assert "--fingerprint" in unsure.stderr
    wrong = lastgood("host", "approve", "nas", "--fingerprint", "SHA256:x", "--data-dir", str(hub.data_dir))
    assert wrong.returncode == 1
    process = subprocess.Popen(
        command("agent", *words, "--config", str(config)), stdout=subprocess.PIPE, text=True, env=environment()
    )
    try:
        asked(hub, "host", "approve", waiting["id"], "--fingerprint", waiting["fingerprint"])
        said, _ = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert "This machine is nas now" in said
    assert listed(hub, "nas") is not None
    assert config.exists()
    assert not config.with_suffix(".announced").exists()
