"""The scrape endpoint over real HTTP: gate, negotiation, shared renderings, overload and failure."""

from __future__ import annotations

import asyncio
import gzip
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import httpx
import pytest

from lastgood.auth.gate import METRICS_READ, Gate, TokenView
from lastgood.fleet.fleet import FleetView
from lastgood.metrics.entities import HUB
from lastgood.metrics.family import Family
from lastgood.metrics.own_facts import OwnFacts, ProcessFacts
from lastgood.metrics.text import Format
from lastgood.metrics.vocabulary import Vocabulary
from lastgood.secret import Secret
from lastgood.web.door import Door
from lastgood.web.exposition import Exposition
from lastgood.web.scrape import Scrape
from tests.metrics.expectation import expected, key, parsed
from tests.metrics.fleets import NEWBORN, OWN, twelve_hosts
from tests.serving import serving
from tests.waiting import until

OPEN = Gate(auth=False)
TOKEN = "correct horse"
STILL = ProcessFacts(cpu_seconds=1.0)

VIEW = twelve_hosts()
PLAIN = {"format": "text", "encoding": "identity"}


@asynccontextmanager
async def scraping(
    gate: Gate = OPEN, view: Callable[[], FleetView] = lambda: VIEW, **options: Any
) -> AsyncIterator[tuple[httpx.AsyncClient, Scrape]]:
    own: Callable[[], OwnFacts] = options.pop("own", lambda: OWN)
    door = Door(gate, **{name: options.pop(name) for name in ("tokens_exist", "find_token") if name in options})
    kept = {name: options.pop(name) for name in ("vocabularies", "shards") if name in options}
    pages = Exposition(moment=view, own=lambda: replace(own(), scrape=scrape.facts), process=lambda: STILL, **kept)
    scrape = Scrape(pages, door, **options)
    try:
        async with serving(scrape) as address:
            limits = httpx.Limits(max_connections=100)
            async with httpx.AsyncClient(base_url=f"http://{address}", limits=limits, trust_env=False) as client:
                yield client, scrape
    finally:
        scrape.close()


def asked(scrape: Scrape) -> int:
    return sum(answer.requests for answer in scrape.facts.answers.values())


async def test_the_body_is_the_page_of_this_moment_and_counts_its_own_scrape() -> None:
    async with scraping() as (client, scrape):
        answer = await client.get("/metrics", headers={"Accept-Encoding": "identity"})
        facts = replace(OWN, process=STILL)
        first = parsed(answer.content, Format.TEXT)
        assert first[key("lastgood_scrape_requests_total", PLAIN)] == 1
        assert ("lastgood_scrape_duration_seconds", frozenset()) not in first
        told = {series: value for series, value in first.items() if not series[0].startswith("lastgood_scrape_")}
        assert told == expected(VIEW, replace(facts, scrape=None))
        second = parsed((await client.get("/metrics", headers={"Accept-Encoding": "identity"})).content, Format.TEXT)
        assert second[key("lastgood_scrape_requests_total", PLAIN)] == 2
        assert second[key("lastgood_scrape_bytes_total", PLAIN)] == len(answer.content)
        assert second[key("lastgood_scrape_parts_rendered_total", PLAIN)] > 30
        assert second["lastgood_scrape_size_bytes", frozenset()] == len(answer.content)
        assert second["lastgood_scrape_duration_seconds", frozenset()] > 0
        assert asked(scrape) == 2


@pytest.mark.parametrize(
    ("accept", "format_"),
    [("application/openmetrics-text;version=1.0.0", Format.OPENMETRICS), ("text/plain", Format.TEXT)],
)
async def test_headers_tell_format_compression_and_length_and_allow_no_cache(accept: str, format_: Format) -> None:
    async with scraping() as (client, _):
        async with client.stream("GET", "/metrics", headers={"Accept": accept}) as answer:
            sent = b"".join([piece async for piece in answer.aiter_raw()])
        assert answer.headers["content-type"] == format_.value
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers["content-length"] == str(len(sent))
        assert answer.headers["vary"] == "Accept, Accept-Encoding"
        assert answer.headers["cache-control"] == "no-store"
        assert parsed(gzip.decompress(sent), format_)
        plain = await client.get("/metrics", headers={"Accept": accept, "Accept-Encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert plain.headers["content-length"] == str(len(plain.content))


async def test_several_accept_lines_count_as_one() -> None:
    async with scraping() as (client, _):
        headers = [("Accept", "text/plain;q=0.4"), ("Accept", "application/openmetrics-text")]
        answer = await client.get("/metrics", headers=headers)
        assert answer.headers["content-type"] == Format.OPENMETRICS.value


async def test_head_answers_with_headers_alone() -> None:
    async with scraping(own=lambda: NEWBORN) as (client, _):
        head = await client.head("/metrics", headers={"Accept-Encoding": "identity"})
        assert head.status_code == 200
        assert head.content == b""
        assert int(head.headers["content-length"]) > 10_000


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
async def test_other_methods_are_refused_with_those_allowed(method: str) -> None:
    async with scraping() as (client, _):
        answer = await client.request(method, "/metrics")
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


async def test_only_the_vocabularies_that_were_asked_for_are_told() -> None:
    async with scraping() as (client, _):
        answer = await client.get("/metrics?vocabulary=rm&vocabulary=backup")
        names = {name for name, _ in parsed(answer.content, Format.TEXT)}
        assert {name.split("_")[0] for name in names} == {"rm", "backup"}
        refused = await client.get("/metrics?vocabulary=kopia")
        assert refused.status_code == 400
        assert refused.text == "There is no vocabulary 'kopia'; known are rm, backup, dockmesh, pbs, own.\n"


async def test_what_lies_below_the_path_does_not_exist() -> None:
    async with scraping() as (client, _):
        assert (await client.get("/metrics/other")).status_code == 404


async def test_without_any_gate_configured_the_page_does_not_exist() -> None:
    async with scraping(Gate()) as (client, scrape):
        for method in ("GET", "HEAD", "POST"):
            assert (await client.request(method, "/metrics")).status_code == 404
        assert scrape.facts.refused == 3


@pytest.mark.parametrize(
    ("authorization", "status"),
    [(None, 401), ("Bearer wrong", 401), (f"Basic {TOKEN}", 401), (f"Bearer {TOKEN}", 200), (f"bearer {TOKEN}", 200)],
)
async def test_a_token_opens_the_page_and_its_lack_is_challenged(authorization: str | None, status: int) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    async with scraping(Gate(token=Secret(TOKEN))) as (client, _):
        answer = await client.get("/metrics", headers=headers)
        assert answer.status_code == status
        assert answer.headers.get("www-authenticate") == (None if status == 200 else "Bearer")
        assert "rm_hosts_total" in answer.text or status == 401


async def test_a_caller_outside_the_networks_is_refused_whatever_it_knows() -> None:
    gate = Gate(token=Secret(TOKEN), networks=(ip_network("10.0.0.0/8"),))
    async with scraping(gate) as (client, _):
        headers = {"Authorization": f"Bearer {TOKEN}", "X-Forwarded-For": "10.1.2.3"}
        assert (await client.get("/metrics", headers=headers)).status_code == 401
    trusting = replace(gate, trusted_proxies=(ip_network("127.0.0.0/8"),))
    async with scraping(trusting) as (client, _):
        assert (await client.get("/metrics", headers=headers)).status_code == 200


async def test_api_tokens_are_looked_up_at_each_request() -> None:
    tokens: dict[str, TokenView] = {}
    options = {"tokens_exist": lambda: bool(tokens), "find_token": tokens.get}
    async with scraping(Gate(), **options) as (client, _):
        headers = {"Authorization": "Bearer lg"}
        assert (await client.get("/metrics", headers=headers)).status_code == 404
        tokens["lg"] = TokenView(id="1", live=True, permissions=frozenset())
        assert (await client.get("/metrics", headers=headers)).status_code == 403
        tokens["lg"] = TokenView(id="1", live=True, permissions=frozenset({METRICS_READ}))
        assert (await client.get("/metrics", headers=headers)).status_code == 200


class Doors:
    """A vocabulary whose only value waits until the test lets it go on."""

    def __init__(self) -> None:
        self.entered = 0
        self.opened = threading.Event()
        family: Family[OwnFacts] = Family(name="door", help="A help.", entity=HUB, value=self._value)
        self.vocabulary = Vocabulary(name="door", purpose="", own=(family,))

    def _value(self, _facts: OwnFacts, _id: str) -> int:
        self.entered += 1
        assert self.opened.wait(timeout=20)
        return self.entered


async def test_scrapers_that_come_during_a_rendering_share_it() -> None:
    doors = Doors()
    views = []

    def view() -> FleetView:
        views.append(VIEW)
        return VIEW

    async with scraping(view=view, vocabularies=[doors.vocabulary]) as (client, scrape):
        requests = [asyncio.create_task(client.get("/metrics")) for _ in range(10)]
        await until(lambda: _true(asked(scrape) == 10), "ten requests inside")
        doors.opened.set()
        answers = await asyncio.gather(*requests)
    assert {answer.content for answer in answers} == {b"# HELP door A help.\n# TYPE door gauge\ndoor 1\n"}
    assert (doors.entered, len(views)) == (1, 1)


async def _true(condition: bool) -> bool:
    return condition


async def test_one_scrape_too_many_is_sent_away_and_the_others_are_served() -> None:
    doors = Doors()
    async with scraping(vocabularies=[doors.vocabulary], most_requests=3) as (client, scrape):
        requests = [asyncio.create_task(client.get("/metrics")) for _ in range(3)]
        await until(lambda: _true(asked(scrape) == 3), "three requests inside")
        sent_away = await client.get("/metrics")
        assert (sent_away.status_code, sent_away.headers["retry-after"]) == (503, "5")
        doors.opened.set()
        assert [answer.status_code for answer in await asyncio.gather(*requests)] == [200] * 3
        assert (await client.get("/metrics")).status_code == 200
        assert scrape.facts.overloaded == 1


async def test_the_loop_goes_on_while_a_page_is_made() -> None:
    doors = Doors()
    async with scraping(vocabularies=[doors.vocabulary]) as (client, _):
        request = asyncio.create_task(client.get("/metrics"))
        await until(lambda: _true(doors.entered == 1), "the rendering has begun")
        assert (await client.get("/metrics?vocabulary=none")).status_code == 400
        doors.opened.set()
        assert (await request).status_code == 200


async def test_a_scraper_that_leaves_ends_nobody_elses_rendering() -> None:
    doors = Doors()
    async with scraping(vocabularies=[doors.vocabulary]) as (client, scrape):
        first = asyncio.create_task(client.get("/metrics"))
        await until(lambda: _true(doors.entered == 1), "the rendering has begun")
        second = asyncio.create_task(client.get("/metrics"))
        await until(lambda: _true(asked(scrape) == 2), "the second request inside")
        first.cancel()
        doors.opened.set()
        assert (await second).status_code == 200


async def test_a_page_that_cannot_be_made_is_an_error_that_is_counted_and_does_not_last() -> None:
    broken = True

    def view() -> FleetView:
        if broken:
            raise RuntimeError("injected")
        return VIEW

    async with scraping(view=view) as (client, scrape):
        answer = await client.get("/metrics")
        assert answer.status_code == 500
        assert "injected" not in answer.text
        assert scrape.facts.failures == 1
        broken = False
        assert (await client.get("/metrics")).status_code == 200
