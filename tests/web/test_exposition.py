"""Pages kept ready: made ahead of the next request, never of half a change, and anew after a failure."""

from __future__ import annotations

import asyncio
import gzip
import threading
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from lastgood.auth.gate import Gate
from lastgood.fleet.changes import Changes
from lastgood.fleet.fleet import Fleet
from lastgood.fleet.learn import learn
from lastgood.metrics import VOCABULARIES
from lastgood.metrics.entities import HUB
from lastgood.metrics.family import Family
from lastgood.metrics.own_facts import OwnFacts
from lastgood.metrics.page import Made, Wanted
from lastgood.metrics.text import Format
from lastgood.metrics.vocabulary import Vocabulary
from lastgood.model.alert import AlertKey
from lastgood.model.fact import AlertOpened
from lastgood.web.door import Door
from lastgood.web.exposition import Exposition
from lastgood.web.scrape import LARGE_BYTES, Scrape
from tests.builders import NOW, a_fleet, an_alert
from tests.metrics.fleets import OWN
from tests.metrics.steady import from_nothing
from tests.serving import serving
from tests.waiting import until

RM = Wanted(("rm",), Format.TEXT)


def text(made: Made) -> bytes:
    return gzip.decompress(b"".join(made.body.buffers))


@pytest.fixture
async def fleet() -> Fleet:
    return a_fleet(300)


@pytest.fixture
async def pages(fleet: Fleet) -> AsyncIterator[Exposition]:
    pages = Exposition(moment=lambda: fleet, own=lambda: OWN)
    yield pages
    pages.close()


async def test_a_page_that_was_asked_for_is_ready_soon_after_a_change(fleet: Fleet, pages: Exposition) -> None:
    first = await pages.page(RM)
    assert (await pages.page(RM)).body is first.body, "nothing changed"
    host_id = next(iter(fleet.hosts))
    fleet.judging.tell_online(host_id, False)
    pages.changed(Changes(hosts={host_id}))

    async def ahead() -> bool:
        return pages.parts_ahead > 0

    await until(ahead, "parts made ahead")
    made = await pages.page(RM)
    assert made.rendered == 0
    assert text(made) == from_nothing(fleet, Format.TEXT, ("rm",), own=OWN) != text(first)


async def test_pages_that_nobody_asked_for_are_not_made(fleet: Fleet, pages: Exposition) -> None:
    pages.changed(Changes(hosts=set(fleet.hosts)))
    await asyncio.sleep(0.3)  # longer than the pause before work ahead; there is nothing to wait for
    assert pages.parts_ahead == 0


async def test_a_request_after_a_change_never_gets_the_page_of_before(fleet: Fleet, pages: Exposition) -> None:
    for host_id in list(fleet.hosts)[:40]:
        fleet.judging.tell_online(host_id, not fleet.online[host_id])
        pages.changed(Changes(hosts={host_id}))
        assert text(await pages.page(RM)) == from_nothing(fleet, Format.TEXT, ("rm",), own=OWN)


async def test_an_alert_about_no_host_is_told_at_once(fleet: Fleet, pages: Exposition) -> None:
    await pages.page(RM)
    repository_id = next(iter(fleet.repositories))
    alert = an_alert("repository_down", key=AlertKey("repository_down", "repository", repository_id), host_id=None)
    pages.changed(learn(fleet, AlertOpened(at=NOW, origin="test", alert=alert)))
    assert text(await pages.page(RM)) == from_nothing(fleet, Format.TEXT, ("rm",), own=OWN)


async def test_after_its_end_nothing_is_made_ahead(fleet: Fleet) -> None:
    pages = Exposition(moment=lambda: fleet, own=lambda: OWN)
    await pages.page(RM)
    pages.changed(Changes(hosts=set(fleet.hosts)))
    pages.close()
    pages.changed(Changes(hosts=set(fleet.hosts)))
    with pytest.raises(RuntimeError, match="shutdown"):
        await pages.page(RM)
    assert pages.parts_ahead == 0


async def test_a_request_after_a_change_does_not_share_what_was_read_before_it(fleet: Fleet) -> None:
    entered, opened = threading.Event(), threading.Event()

    def wait(_facts: OwnFacts, _id: str) -> int:
        entered.set()
        assert opened.wait(timeout=20)
        return 1

    door: Family[OwnFacts] = Family(name="door", help="A help.", entity=HUB, value=wait)
    slow = Vocabulary(name="slow", purpose="", fleet=VOCABULARIES[0].fleet, own=(door,))
    pages = Exposition(moment=lambda: fleet, own=lambda: OWN, vocabularies=[slow])
    wanted = Wanted(("slow",), Format.TEXT)
    first = asyncio.create_task(pages.page(wanted))
    await asyncio.to_thread(entered.wait, 20)
    sharing = asyncio.create_task(pages.page(wanted))
    await asyncio.sleep(0)
    host_id = next(iter(fleet.hosts))
    fleet.judging.tell_online(host_id, False)
    pages.changed(Changes(hosts={host_id}))
    second = asyncio.create_task(pages.page(wanted))
    await asyncio.sleep(0)
    opened.set()
    assert (await first) is (await sharing)
    assert b"rm_hosts_online 300\n" in text(await first)
    assert b"rm_hosts_online 299\n" in text(await second)
    pages.close()


async def test_requests_among_a_storm_of_changes_each_get_one_moment(fleet: Fleet, pages: Exposition) -> None:
    """Every change moves all hosts alike, so a page that mixes two moments has both kinds."""
    over = asyncio.Event()

    async def storm() -> None:
        online = False
        while not over.is_set():
            for host_id in fleet.hosts:
                fleet.judging.tell_online(host_id, online)
            pages.changed(Changes(hosts=set(fleet.hosts)))
            online = not online
            await asyncio.sleep(0)

    storming = asyncio.create_task(storm())
    for _ in range(20):
        lines = [
            line for line in text(await pages.page(RM)).splitlines() if line.startswith(b"rm_host_agent_online{")
        ]
        assert len(lines) == 300
        assert len({line.rsplit(b" ", 1)[1] for line in lines}) == 1
    over.set()
    await storming


async def test_a_change_that_cannot_be_written_fails_its_request_and_costs_nothing_later(fleet: Fleet) -> None:
    broken = False

    def name(moment: Any, host_id: str) -> tuple[str, ...]:
        if broken:
            raise RuntimeError("injected")
        return (moment.hosts[host_id].name,)

    from lastgood.metrics.entities import HOST

    family: Family[Any] = Family(
        name="x", help="A help.", entity=HOST, label_names=("host",), labels=name, value=_one
    )
    pages = Exposition(
        moment=lambda: fleet, own=lambda: OWN, vocabularies=[Vocabulary(name="x", purpose="", fleet=(family,))]
    )
    wanted = Wanted(("x",), Format.TEXT)
    before = text(await pages.page(wanted))
    broken = True
    pages.changed(Changes(hosts=set(fleet.hosts)))
    with pytest.raises(RuntimeError, match="injected"):
        await pages.page(wanted)
    broken = False
    assert text(await pages.page(wanted)) == before
    pages.close()


def _one(_moment: Any, _id: str) -> int:
    return 1


async def test_the_first_pages_of_a_large_fleet_are_read_in_slices() -> None:
    fleet = a_fleet(9000)  # more than are read before the worker gets them
    pages = Exposition(moment=lambda: fleet, own=lambda: OWN)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    others_go_on = asyncio.create_task(others())
    made = await pages.page(RM)
    others_go_on.cancel()
    assert turns > 10
    assert text(made) == from_nothing(fleet, Format.TEXT, ("rm",), own=OWN)
    pages.close()


# --- without compression ------------------------------------------------------------------------------------------


class Large:
    """A vocabulary whose text is so large that it is sent in pieces."""

    def __init__(self) -> None:
        family: Family[Any] = Family(
            name="large",
            help="A help.",
            entity=HUB,
            label_names=("text",),
            labels=lambda _moment, _id: ("".join(str(n) for n in range(LARGE_BYTES)),),
            value=_one,
        )
        self.vocabulary = Vocabulary(name="large", purpose="", fleet=(family,))


async def test_a_large_page_without_compression_is_whole_and_one_too_many_comes_later() -> None:
    pages = Exposition(moment=Fleet, own=lambda: OWN, vocabularies=[Large().vocabulary])
    scrape = Scrape(pages, Door(Gate(auth=False)), uncompressed_at_once=1)
    plain = {"Accept-Encoding": "identity"}
    async with serving(scrape) as address, httpx.AsyncClient(base_url=f"http://{address}", trust_env=False) as client:
        packed = await client.get("/metrics")
        async with client.stream("GET", "/metrics", headers=plain) as slow:
            pieces = slow.aiter_raw(1000)
            first = await anext(pieces)  # and then nothing: the page is larger than what the sockets hold
            refused = await client.get("/metrics", headers=plain)
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
            assert (await client.get("/metrics")).content == packed.content, "compressed pages are sent all the same"
            rest = b"".join([piece async for piece in pieces])
        assert first + rest == packed.content
        assert slow.headers["content-length"] == str(len(packed.content))
        assert (await client.get("/metrics", headers=plain)).content == packed.content
        assert scrape.facts.overloaded == 1
        head = await client.head("/metrics", headers=plain)
        assert (head.content, head.headers["content-length"]) == (b"", str(len(packed.content)))
    scrape.close()


async def test_small_pages_without_compression_are_not_limited(fleet: Fleet, pages: Exposition) -> None:
    scrape = Scrape(pages, Door(Gate(auth=False)), uncompressed_at_once=1)
    async with serving(scrape) as address, httpx.AsyncClient(base_url=f"http://{address}", trust_env=False) as client:
        asked = [client.get("/metrics?vocabulary=rm", headers={"Accept-Encoding": "identity"}) for _ in range(20)]
        answers = await asyncio.gather(*asked)
        assert {answer.status_code for answer in answers} == {200}
        assert {answer.content for answer in answers} == {from_nothing(fleet, Format.TEXT, ("rm",), own=OWN)}
    scrape.close()


async def test_threads_end_with_the_pages(fleet: Fleet) -> None:
    pages = Exposition(moment=lambda: fleet, own=lambda: OWN)
    await pages.page(RM)
    pages.close()

    async def gone() -> bool:
        return not any(thread.name.startswith("exposition") for thread in threading.enumerate())

    await until(gone, "the worker has ended")
