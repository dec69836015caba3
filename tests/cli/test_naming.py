"""Sources are named by name where that is enough, by host/name where it is not, and by id always."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from lastgood.cli.ask import NoSuch
from lastgood.cli.found import mute
from lastgood.cli.naming import find_source
from lastgood.model.fact import HostEnrolled, RepositoryConfigured, SourceConfigured
from tests.builders import NOW, a_host, a_repository, a_source
from tests.cli.test_ask import hub_in, told
from tests.web.site import Home

WEB, DB = a_host("web-1"), a_host("db-1")
SOURCES = [a_source("home", WEB), a_source("home", DB), a_source("/srv/data", DB), a_source("web-1/home", DB)]


async def a_home_with_sources(home: Home) -> None:
    facts = [
        *(HostEnrolled(at=NOW, origin="test", host=host) for host in (WEB, DB)),
        RepositoryConfigured(at=NOW, origin="test", repository=a_repository()),
        *(SourceConfigured(at=NOW, origin="test", source=source) for source in SOURCES),
    ]
    await home.take(facts, "sources")


async def test_a_source_is_found_by_what_people_call_it(tmp_path: Path) -> None:
    async with hub_in(tmp_path) as home:
        await a_home_with_sources(home)

        async def found(named: str) -> str:
            answer = await told(tmp_path, lambda hub: find_source(hub, named))
            return str(answer["id"])

        assert await found("/srv/data") == SOURCES[2].id
        assert await found("db-1//srv/data") == SOURCES[2].id
        assert await found("DB-1/Home") == SOURCES[1].id
        assert await found("web-1/home") == SOURCES[0].id
        assert await found(SOURCES[3].id) == SOURCES[3].id
        with pytest.raises(NoSuch, match=r"say which: db-1/home, web-1/home$"):
            await found("home")
        with pytest.raises(NoSuch, match="no source 'etc'"):
            await found("etc")


async def test_a_source_of_an_agent_is_not_muted_since_its_backups_would_end(tmp_path: Path) -> None:
    async with hub_in(tmp_path) as home:
        await a_home_with_sources(home)
        with pytest.raises(NoSuch, match="web-1/home is no found source"):
            await asyncio.to_thread(mute, "web-1/home", data_dir=tmp_path)
        assert home.fleet.sources[SOURCES[0].id].archived_by is None
