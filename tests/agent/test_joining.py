"""The machine's own side of enrolment: whatever interrupts it, the same command finishes it, with the same key."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from lastgood.agent import joining
from lastgood.agent.enrol import Place, WrongHub
from lastgood.agent.enrolment import read_config, read_key
from lastgood.agent.joining import Join, Rejected
from lastgood.auth.identity import mint_key_pair
from lastgood.errors import AccessError, ConfigError
from lastgood.wire.enrolment import Announced, text_of
from tests.serving import serving
from tests.web.site import HUB_KEYS, Home, at_home


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[tuple[Home, str]]:
    async with at_home(tmp_path / "hub") as home, serving(home.app) as address:
        yield home, f"http://{address}"


def a_join(folder: Path, url: str, **changes: object) -> Join:
    made = Join(place=Place(hub_url=url), config=folder / "etc" / "agent.toml", data_dir=folder / "var", name="web-1")
    return replace(made, **changes)  # type: ignore[arg-type]


async def announced(join: Join) -> Announced:
    return await asyncio.to_thread(joining.announced, join, joining.prepare(join))


async def test_a_code_makes_a_configuration_that_the_agent_can_use(hub: tuple[Home, str], tmp_path: Path) -> None:
    home, url = hub
    join, code = a_join(tmp_path, url), (await home.enrolment.make_code("ann")).text.reveal()
    keys = joining.prepare(join)
    assert joining.prepare(join) == keys, "an interrupted enrolment goes on with the same key"
    made = await asyncio.to_thread(joining.with_code, join, code, keys)
    join.config.unlink()  # as if the machine had lost its power before the file was written
    again = await asyncio.to_thread(joining.with_code, join, code, joining.prepare(join))
    assert again.host_id == made.host_id
    config = read_config(join.config)
    assert (config.host_id, config.hub_url, config.hub_key) == (made.host_id, url, text_of(HUB_KEYS.public_key))
    assert read_key(Path(config.key_file)) == keys
    assert home.fleet.hosts[made.host_id].key == text_of(keys.public_key)
    assert len(home.fleet.hosts) == 1
    assert join.config.stat().st_mode & 0o777 == join.key_file.stat().st_mode & 0o777 == 0o600
    assert join.data_dir.stat().st_mode & 0o777 == 0o700
    with pytest.raises(ConfigError, match="is enrolled at"):
        joining.prepare(join)


async def test_a_rejected_machine_is_told_so_and_forgets_what_it_asked(hub: tuple[Home, str], tmp_path: Path) -> None:
    home, url = hub
    join = a_join(tmp_path, url)
    waiting = await announced(join)
    assert (waiting.state, join.seen_file.exists()) == ("waiting", True)
    await home.enrolment.reject(waiting.pending_id, "ann")
    with pytest.raises(Rejected, match="turned this machine away"):
        await announced(join)
    assert not join.seen_file.exists()
    assert not join.config.exists()


async def test_a_machine_that_waits_believes_only_the_hub_that_it_asked_first(
    hub: tuple[Home, str], tmp_path: Path
) -> None:
    join = a_join(tmp_path, hub[1])
    await announced(join)
    seen = join.seen_file.read_text()
    join.seen_file.write_text(seen.replace(text_of(HUB_KEYS.public_key), text_of(mint_key_pair().public_key)))
    with pytest.raises(WrongHub, match="find out who answers"):
        await announced(join)
    join.seen_file.write_text("nonsense")
    assert (await announced(join)).state == "waiting"


async def test_a_refused_code_leaves_nothing_that_looks_enrolled(hub: tuple[Home, str], tmp_path: Path) -> None:
    home, url = hub
    join, code = a_join(tmp_path, url, name="-x"), (await home.enrolment.make_code("ann")).text.reveal()
    with pytest.raises(AccessError, match="begins with a dash"):
        await asyncio.to_thread(joining.with_code, join, code, joining.prepare(join))
    with pytest.raises(ConfigError, match="no enrolment code"):
        await asyncio.to_thread(joining.with_code, join, code[:-1], joining.prepare(join))
    assert not join.config.exists()


def test_nothing_is_made_for_an_address_that_must_not_be_used(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not encrypted"):
        joining.prepare(a_join(tmp_path, "http://hub.example"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("hostname", "doubtful"), [("web-1", False), ("3f9c0a1b2d4e", True), ("3f9c0a1b2d4", False), ("facade", False)]
)
def test_a_containers_name_is_doubted_unless_another_was_given(tmp_path: Path, hostname: str, doubtful: bool) -> None:
    join = a_join(tmp_path, "https://hub.example", hostname=hostname)
    assert join.doubtful_name is None
    assert (replace(join, name=None).doubtful_name is not None) == doubtful
