"""Commands about hosts and codes, against a hub in this process: what they print, and how they end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner, Result

from lastgood.agent import enrol
from lastgood.agent.enrol import Place
from lastgood.agent.enrolment import AgentConfig, make_key, write_config
from lastgood.agent.unit import UNIT_PATH
from lastgood.auth.identity import mint_key_pair
from lastgood.cli.app import app
from lastgood.errors import ConfigError, LastgoodError
from lastgood.model.fact import HostEnrolled
from lastgood.wire.enrolment import text_of
from tests.builders import NOW, a_host
from tests.cli.test_ask import hub_in
from tests.serving import serving
from tests.web.site import Home


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The hub of these tests is in this process, and its log would stand among what commands print."""
    with capture_logs():
        yield


async def said(folder: Path, *words: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, app, [*words, "--data-dir", str(folder)])


async def printed(folder: Path, *words: str) -> str:
    result = await said(folder, *words)
    assert result.exit_code == 0, (result.output, result.exception)
    return str(result.stdout)


async def error(folder: Path, *words: str) -> Any:
    return (await said(folder, *words)).exception


async def enrolled(home: Home, *names: str) -> None:
    facts = [HostEnrolled(at=NOW, origin="test", host=a_host(name)) for name in names]
    await home.take(facts, "enrolled " + " ".join(names))


async def test_hosts_are_listed_renamed_and_removed(tmp_path: Path) -> None:
    async with hub_in(tmp_path) as home:
        assert "enrol-code create" in (await said(tmp_path, "host", "list")).output
        await enrolled(home, "web-1", "[db-1]")
        table = await printed(tmp_path, "host", "list")
        assert "web-1" in table
        assert "[db-1]" in table, "a name is text, whatever it looks like"
        assert "called web-2 now" in await printed(tmp_path, "host", "rename", "WEB-1", "web-2")
        assert isinstance(await error(tmp_path, "host", "remove", "web-2"), ConfigError), "it asks before it removes"
        assert "web-2 was removed" in await printed(tmp_path, "host", "remove", "web-2", "--yes")
        (left,) = json.loads(await printed(tmp_path, "host", "list", "--json"))
        assert left["name"] == "[db-1]"
        assert "There is no host" in str(await error(tmp_path, "host", "rename", "web-2", "x"))


async def test_a_code_is_printed_once_with_its_line(tmp_path: Path) -> None:
    async with hub_in(tmp_path) as home:
        await enrolled(home, "web-1")
        made = json.loads(await printed(tmp_path, "enrol-code", "create", "--name", "db-1", "--json"))
        assert made["command"].endswith(made["code"])
        line = await printed(tmp_path, "enrol-code", "create", "--host", "web-1")
        assert line.startswith("lastgood agent enrol http")
        listed = await printed(tmp_path, "enrol-code", "list", "--json")
        assert sorted(code["name"] for code in json.loads(listed)) == ["db-1", "web-1"]
        assert made["code"] not in listed
        assert "Revoked" in await printed(tmp_path, "enrol-code", "revoke", made["id"])
        assert isinstance(await error(tmp_path, "enrol-code", "revoke", made["id"]), LastgoodError)
        assert "is here already" in str(await error(tmp_path, "enrol-code", "create", "--name", "WEB-1"))
        both = await error(tmp_path, "enrol-code", "create", "--name", "x", "--host", "web-1")
        assert "not for both" in str(both)


async def test_waiting_machines_are_told_apart_and_decided_about(tmp_path: Path) -> None:
    async with hub_in(tmp_path) as home, serving(home.app) as address:
        place = Place(hub_url=f"http://{address}")
        keys = [mint_key_pair() for _ in range(3)]
        for one, name in zip(keys, ("nas", "nas", "odd"), strict=True):
            await asyncio.to_thread(enrol.announce, place, one, hostname="x", name=name)
        waiting = json.loads(await printed(tmp_path, "host", "list", "--pending", "--json"))
        assert {one["fingerprint"] for one in waiting} == {one.fingerprint for one in keys}
        assert "say which one by its id" in str(await error(tmp_path, "host", "approve", "nas"))
        assert "was turned away" in await printed(tmp_path, "host", "reject", "ODD")
        assert "waits for approval" in str(await error(tmp_path, "host", "reject", "odd"))
        first = next(one for one in waiting if one["name"] == "nas")
        approve = ("host", "approve", first["id"], "--fingerprint")
        assert isinstance(await error(tmp_path, *approve, "SHA256:other"), LastgoodError)
        assert "nas-1 is a host now" in await printed(tmp_path, *approve, first["fingerprint"], "--name", "nas-1")
        assert list(home.fleet.host_ids_by_name) == ["nas-1"]


@pytest.mark.parametrize(
    "words",
    [
        ("host", "list"),
        ("host", "approve"),
        ("host", "reject"),
        ("host", "rename"),
        ("host", "remove"),
        ("enrol-code", "create"),
        ("enrol-code", "list"),
        ("enrol-code", "revoke"),
        ("agent", "enrol"),
        ("agent", "announce"),
        ("agent", "status"),
        ("agent", "install"),
        ("agent", "rotate-key"),
    ],
)
def test_every_command_shows_an_example(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, [*words, "--help"])
    assert result.exit_code == 0
    assert f"Example: lastgood {' '.join(words)}" in " ".join(result.stdout.split())


def an_agent(folder: Path) -> Path:
    keys = make_key(folder / "agent.key")
    config = AgentConfig(
        hub_url="https://hub.example",
        hub_key=text_of(keys.public_key),
        host_id=a_host().id,
        key_file="agent.key",
        data_dir="/var/lib/lastgood-agent",
    )
    write_config(folder / "agent.toml", config)
    return folder / "agent.toml"


def test_an_agent_that_does_not_run_is_said_to_be_so(tmp_path: Path) -> None:
    config = an_agent(tmp_path)
    text = config.read_text().replace("/var/lib/lastgood-agent", str(tmp_path / "none"))
    config.write_text(text)
    result = CliRunner().invoke(app, ["agent", "status", "--config", str(config)])
    assert result.exit_code == 0, result.exception
    assert "not running" in result.stdout
    assert a_host().id in result.stdout
    assert "https://hub.example" in result.stdout
    missing = CliRunner().invoke(app, ["agent", "status", "--config", str(tmp_path / "no.toml")])
    assert "enrol this host first" in str(missing.exception)


def test_the_unit_is_printed_without_being_written(tmp_path: Path) -> None:
    before = UNIT_PATH.exists()
    config = an_agent(tmp_path)
    result = CliRunner().invoke(app, ["agent", "install", "--print", "--user", "backup", "--config", str(config)])
    assert result.exit_code == 0, result.exception
    assert f"agent run --config {config}\n" in result.stdout
    assert "User=backup\n" in result.stdout
    assert UNIT_PATH.exists() == before


@pytest.mark.parametrize(
    ("words", "mend"),
    [
        (("enrol", "http://hub.example", "lg_enrol_x"), "write https://"),
        (("enrol", "https://hub.example", "lg_enrol_x"), "from lg_enrol_ to its end"),
        (("announce", "ftp://hub.example"), "write https://HOST"),
        (("announce", "https://hub.example", "--ca-file", "none.pem", "--no-wait"), "name a PEM file"),
        (("rotate-key",), "enrol this host first"),
    ],
)
def test_what_cannot_work_is_one_sentence_with_its_mend(tmp_path: Path, words: tuple[str, ...], mend: str) -> None:
    places = ["--config", str(tmp_path / "agent.toml")]
    places += ["--data-dir", str(tmp_path / "var")] if words[0] != "rotate-key" else []
    result = CliRunner().invoke(app, ["agent", *words, *places])
    assert isinstance(result.exception, ConfigError)
    assert mend in str(result.exception)
    assert not (tmp_path / "agent.toml").exists()
