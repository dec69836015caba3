"""Clients that people scrape with fetch the compressed page of several thousand hosts, and get all of it."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import httpx
import pytest
import urllib3

from lastgood.auth.gate import Gate
from lastgood.fleet.fleet import FleetView
from lastgood.metrics.pack import LARGE, PACKER
from lastgood.metrics.page import Wanted
from lastgood.metrics.text import Format
from lastgood.web.door import Door
from lastgood.web.exposition import Exposition
from lastgood.web.scrape import Scrape
from tests.browser.chromium import browser, where
from tests.builders import a_fleet
from tests.metrics.fleets import OWN
from tests.metrics.steady import from_nothing
from tests.prometheus import prometheus
from tests.serving import serving

HOSTS = 6000
NAMES = ("rm", "backup", "dockmesh")
PATH = "/metrics?vocabulary=rm&vocabulary=backup&vocabulary=dockmesh"


@pytest.fixture(scope="module")
def view() -> FleetView:
    return a_fleet(HOSTS).view()


@pytest.fixture(scope="module")
def page(view: FleetView) -> bytes:
    return from_nothing(view, Format.TEXT, NAMES, own=OWN)


@pytest.fixture
async def url(view: FleetView) -> AsyncIterator[str]:
    pages = Exposition(moment=lambda: view, own=lambda: OWN)
    scrape = Scrape(pages, Door(Gate(auth=False)))
    made = await pages.page(Wanted(NAMES, Format.TEXT))
    assert sum(len(buffer) > LARGE for buffer in made.body.buffers) > 0, "a page of one buffer proves little"
    assert sum(map(len, PACKER.clear(made.body))) == made.body.clear_size
    try:
        async with serving(scrape) as address:
            yield f"http://{address}{PATH}"
        answers = scrape.facts.answers
        assert [key for key in answers if key[1] == "identity"] == [], "it was fetched without compression"
    finally:
        scrape.close()


async def told(*command: str) -> bytes:
    if shutil.which(command[0]) is None:
        pytest.skip(f"no {command[0]} on this machine")
    done: subprocess.CompletedProcess[bytes] = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, check=True, timeout=60
    )
    return done.stdout


async def test_curl(url: str, page: bytes) -> None:
    assert await told("curl", "--silent", "--show-error", "--compressed", "--noproxy", "*", url) == page


async def test_wget(url: str, page: bytes) -> None:
    assert await told("wget", "--quiet", "--no-proxy", "--compression=gzip", "--output-document=-", url) == page


async def test_node(url: str, page: bytes) -> None:
    script = (
        "fetch(process.argv[1]).then(r => r.arrayBuffer()).then(b => process.stdout.write("
        "require('crypto').createHash('sha256').update(Buffer.from(b)).digest('hex')))"
    )
    assert (await told("node", "-e", script, url)).decode() == hashlib.sha256(page).hexdigest()


async def test_urllib3(url: str, page: bytes) -> None:
    def fetch() -> bytes:
        with urllib3.PoolManager() as pool:
            answer = pool.request("GET", url, headers={"Accept-Encoding": "gzip"}, decode_content=True)
            assert answer.headers["content-encoding"] == "gzip"
            return answer.data

    assert await asyncio.to_thread(fetch) == page


async def test_httpx(url: str, page: bytes) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(url)
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.content == page


async def test_aiohttp(url: str, page: bytes) -> None:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        assert answer.headers["content-encoding"] == "gzip"
        assert await answer.read() == page


async def test_gzip(url: str, page: bytes) -> None:
    fetched = await told("curl", "--silent", "--noproxy", "*", "--header", "Accept-Encoding: gzip", url)
    unpacked = await asyncio.to_thread(
        subprocess.run, ["gzip", "-dc"], input=fetched, capture_output=True, check=True
    )
    assert unpacked.stdout == page


@pytest.mark.browser
@pytest.mark.skipif(where() is None, reason="no chromium on this machine; set LASTGOOD_TEST_CHROMIUM")
async def test_chromium(url: str, page: bytes, tmp_path: Path) -> None:
    async with browser(tmp_path / "profile") as tab:
        # From a small page of the same origin: to draw the large one takes a busy machine half a minute.
        await tab.open(f"{url.partition('?')[0]}?vocabulary=none")
        # By length: a page over plain http has no digests but on loopback, which not every release counts as secure.
        size = await tab.ask(f"fetch({url!r}).then(r => r.arrayBuffer()).then(b => b.byteLength)")
    assert size == len(page)


async def test_prometheus(url: str, page: bytes, tmp_path: Path) -> None:
    address = url.removeprefix("http://").partition("/")[0]
    job = {
        "job_name": "hub",
        "static_configs": [{"targets": [address]}],
        "params": {"vocabulary": list(NAMES)},
        "scrape_interval": "5s",
        "scrape_timeout": "5s",
    }
    lines: Callable[[bytes], int] = lambda text: sum(not line.startswith(b"#") for line in text.splitlines())  # noqa: E731
    async with prometheus(tmp_path, job) as server:
        target = await server.scraped("hub")
        assert (target["health"], target["lastError"]) == ("up", "")
        assert await server.value('scrape_samples_scraped{job="hub"}') == lines(page)
        assert server.complaints() == []
