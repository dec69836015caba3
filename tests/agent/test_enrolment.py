"""The files that make an agent this host's agent, and the addresses it goes to."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from lastgood.agent.address import socket_address
from lastgood.agent.backoff import Backoff
from lastgood.agent.enrolment import AgentConfig, make_key, read_config, read_key, write_config
from lastgood.agent.files import NO_ASSIGNMENT, load_assignment, save_assignment
from lastgood.agent.handshake import to_text
from lastgood.errors import ConfigError
from lastgood.wire.frames import Assignment
from tests.builders import an_id
from tests.hub.rig import HUB_KEYS


def a_config(**changes: object) -> AgentConfig:
    made = AgentConfig(
        hub_url="https://hub.example",
        hub_key=to_text(HUB_KEYS.public_key),
        host_id=an_id("host"),
        key_file="/etc/lastgood/agent.key",
        data_dir="/var/lib/lastgood-agent",
    )
    return msgspec.structs.replace(made, **changes)


def test_a_configuration_is_read_as_it_was_written(tmp_path: Path) -> None:
    for config in (a_config(), a_config(insecure=True, restic='/opt/"odd" \\ nämé\t😀/restic')):
        write_config(tmp_path / "agent.toml", config)
        assert read_config(tmp_path / "agent.toml") == config
        assert (tmp_path / "agent.toml").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["agent.toml"]


def test_paths_may_be_relative_to_the_configuration(tmp_path: Path) -> None:
    write_config(tmp_path / "agent.toml", a_config(key_file="agent.key", data_dir="data"))
    config = read_config(tmp_path / "agent.toml")
    assert config.key_file == str(tmp_path / "agent.key")
    assert config.data_dir == str(tmp_path / "data")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"host_id": "web-1"}, "host_id"),
        ({"hub_key": "short"}, "hub_key"),
        ({"hub_url": "http://hub.example"}, "not encrypted"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused_in_words(
    tmp_path: Path, change: dict[str, object], words: str
) -> None:
    write_config(tmp_path / "agent.toml", a_config(**change))
    with pytest.raises(ConfigError, match=words):
        read_config(tmp_path / "agent.toml")


@pytest.mark.parametrize("text", ["= nonsense", "hub_url = 5", 'colour = "red"', ""])
def test_a_configuration_that_is_none_is_refused_with_its_path(tmp_path: Path, text: str) -> None:
    (tmp_path / "agent.toml").write_text(text)
    with pytest.raises(ConfigError, match=r"agent\.toml"):
        read_config(tmp_path / "agent.toml")


def test_an_absent_configuration_says_to_enrol(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="enrol"):
        read_config(tmp_path / "agent.toml")


def test_a_key_is_made_once_and_then_read(tmp_path: Path) -> None:
    made = make_key(tmp_path / "agent.key")
    assert make_key(tmp_path / "agent.key") == made
    assert read_key(tmp_path / "agent.key") == made


def test_a_key_that_is_gone_is_never_made_anew_by_reading(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="enrol"):
        read_key(tmp_path / "agent.key")
    assert list(tmp_path.iterdir()) == []


def test_a_key_open_to_others_is_refused_with_the_mend(tmp_path: Path) -> None:
    make_key(tmp_path / "agent.key")
    (tmp_path / "agent.key").chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        read_key(tmp_path / "agent.key")


def test_orders_are_kept_privately_and_unreadable_ones_are_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "assignment.json"
    assert load_assignment(path) == NO_ASSIGNMENT
    orders = Assignment(version="7", repositories=(), orders=())
    save_assignment(path, orders)
    assert load_assignment(path) == orders
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_bytes(os.urandom(50))
    assert load_assignment(path) == NO_ASSIGNMENT


@pytest.mark.parametrize(
    ("url", "insecure", "address"),
    [
        ("https://hub.example", False, "wss://hub.example/ws/agent"),
        ("https://hub.example:8443/backup/", False, "wss://hub.example:8443/backup/ws/agent"),
        ("wss://hub.example/ws/agent", False, "wss://hub.example/ws/agent"),
        ("http://127.0.0.1:8080", False, "ws://127.0.0.1:8080/ws/agent"),
        ("http://[::1]:8080", False, "ws://[::1]:8080/ws/agent"),
        ("http://localhost:8080", False, "ws://localhost:8080/ws/agent"),
        ("http://hub.example", True, "ws://hub.example/ws/agent"),
    ],
)
def test_the_address_follows_from_the_hubs(url: str, insecure: bool, address: str) -> None:
    assert socket_address(url, insecure=insecure) == address


@pytest.mark.parametrize(
    "url",
    [
        "http://hub.example",
        "ws://192.0.2.7",
        "http://localhost.example",
        "hub.example",
        "ftp://hub.example",
        "https://",
        "https://user:word@hub.example",
        "https://hub.example:port",
        "https://[::1",
    ],
)
def test_an_address_that_must_not_be_used_is_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        socket_address(url, insecure=False)


def test_the_wait_doubles_to_the_cap_and_is_drawn_from_the_whole_range_there_too() -> None:
    longest = Backoff(1, 60, draw=lambda: 1.0)
    assert [longest.delay() for _ in range(9)] == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    longest.reset()
    assert longest.delay() == 1
    draws = iter([1.0] * 8 + [0.25, 0.5])
    jittered = Backoff(1, 60, draw=lambda: next(draws))
    assert [jittered.delay() for _ in range(10)][-2:] == [15, 30]
