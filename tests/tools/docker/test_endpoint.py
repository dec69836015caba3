"""Where an engine is looked for: told, by DOCKER_HOST, by a context, or at the usual sockets."""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lastgood.tools.docker.endpoint import Endpoint, find, parse, sockets


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "run" / "docker.sock"
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        yield path


@pytest.mark.parametrize(
    ("url", "environment", "base", "local"),
    [
        ("tcp://engine:2375", {}, "http://engine:2375", False),
        ("tcp://engine", {}, "http://engine:2375", False),
        ("tcp://engine", {"DOCKER_TLS_VERIFY": "1"}, "https://engine:2376", False),
        ("tcp://[::1]:99", {}, "http://[::1]:99", True),
        ("tcp://127.0.0.1:2375", {}, "http://127.0.0.1:2375", True),
        ("https://engine", {}, "https://engine:2376", False),
    ],
)
def test_addresses_over_tcp(url: str, environment: dict[str, str], base: str, local: bool) -> None:
    told = parse(url, environment)
    assert (told.base, told.local, told.problem, told.socket) == (base, local, None, None)


@pytest.mark.parametrize("url", ["ssh://root@nas", "tcp://", "gopher://x", "unix://", "tcp://engine:port"])
def test_an_address_that_cannot_be_used_says_why(url: str) -> None:
    assert parse(url, {}).problem is not None


def test_a_password_in_an_address_is_shown_to_nobody() -> None:
    assert "hunter2" not in repr(parse("ssh://root:hunter2@nas", {}))


def test_what_the_policy_says_comes_before_the_environment(listening: Path) -> None:
    environment = {"DOCKER_HOST": "tcp://elsewhere", "HOME": "/nowhere"}
    assert find(environment, 0, str(listening)) == Endpoint(url=f"unix://{listening}", socket=str(listening))
    told = find(environment, 0)
    assert told is not None
    assert told.base == "http://elsewhere:2375"


def a_context(home: Path, name: str, **door: Any) -> None:
    folder = home / ".docker" / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest()
    folder.mkdir(parents=True)
    (folder / "meta.json").write_text(json.dumps({"Name": name, "Endpoints": {"docker": door}}))
    (home / ".docker" / "config.json").write_text(json.dumps({"currentContext": name, "auths": {"x": {}}}))


def test_the_current_context_of_the_command_line_is_followed(tmp_path: Path) -> None:
    a_context(tmp_path, "nas", Host="tcp://nas:2376", SkipTLSVerify=False)
    told = find({"HOME": str(tmp_path)}, 0)
    assert told is not None
    assert (told.base, told.local) == ("http://nas:2376", False)
    tls = tmp_path / ".docker" / "contexts" / "tls" / hashlib.sha256(b"nas").hexdigest() / "docker"
    tls.mkdir(parents=True)
    told = find({"HOME": str(tmp_path)}, 0)
    assert told is not None
    assert (told.base, told.certificates, told.verify) == ("https://nas:2376", str(tls), True)


def test_a_context_that_is_not_there_is_said_to_be_so(tmp_path: Path) -> None:
    told = find({"HOME": str(tmp_path), "DOCKER_CONTEXT": "lost"}, 0)
    assert told is not None
    assert told.problem == "The docker context 'lost' cannot be read; mend or leave it."


def test_a_rootless_engine_is_found_at_its_users_socket(listening: Path) -> None:
    told = find({"HOME": "/nowhere", "XDG_RUNTIME_DIR": str(listening.parent)}, 1000)
    assert told is not None
    assert told.socket in (str(listening), "/var/run/docker.sock")
    assert list(sockets({}, 1000)) == [
        "/var/run/docker.sock",
        "/run/user/1000/docker.sock",
        "/run/podman/podman.sock",
        "/run/user/1000/podman/podman.sock",
    ]


def test_a_file_that_is_no_socket_is_no_engine(tmp_path: Path) -> None:
    (tmp_path / "docker.sock").touch()
    told = find({"HOME": "/nowhere", "XDG_RUNTIME_DIR": str(tmp_path)}, 1000)
    assert told is None or told.socket != str(tmp_path / "docker.sock")
