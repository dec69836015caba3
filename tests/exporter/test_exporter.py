"""A stand-alone exporter on a real socket: its paths, who may read them, and pages while pictures change."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from lastgood.auth.gate import Gate
from lastgood.clock import now
from lastgood.metrics.pbs.natrontech import PATH
from lastgood.model.pbs import Group, PbsPicture
from lastgood.secret import Secret
from tests.exporter.collecting import Drawn, exporting
from tests.metrics.checker import faults
from tests.metrics.pbs.pictures import NOW, a_group, a_picture, a_rich_picture, a_snapshot, rows_of, text_of
from tests.prometheus import prometheus
from tests.waiting import until


def ours(text: str) -> str:
    """The lines about PBS, without those of the process."""
    kept = [line for line in text.splitlines() if line.startswith(("pbs_", "# HELP pbs_", "# TYPE pbs_"))]
    return "".join(f"{line}\n" for line in kept)


@pytest.mark.parametrize("path", ["/metrics", "/health", "/", "/healthz", "/-/healthy", "/-/ready", PATH])
async def test_all_paths_answer_get_and_head_and_nothing_else(path: str) -> None:
    async with exporting(Drawn()) as client:
        got, head, post = await client.get(path), await client.head(path), await client.post(path)
        assert (got.status_code, head.status_code, post.status_code) == (200, 200, 405)
        assert got.content and not head.content
        assert got.headers["x-content-type-options"] == "nosniff"
        assert (await client.get(f"{path.rstrip('/')}/other")).status_code == 404


async def test_the_first_page_says_that_the_server_is_down_and_how_its_collector_fares() -> None:
    async with exporting(Drawn("pbs"), Drawn("pbs/second")) as client:
        text = (await client.get("/metrics")).text
        assert rows_of(text, "pbs_up") == [" 0", '{server="second"} 0']
        assert "lastgood_build_info{" in text
        assert "process_start_time_seconds " in text
        told = [row for row in text.splitlines() if row.startswith("lastgood_collector_failures_total")]
        assert told == [
            'lastgood_collector_failures_total{collector="pbs",probe="fast"} 0',
            'lastgood_collector_failures_total{collector="pbs/second",probe="fast"} 0',
        ]


async def test_the_page_at_the_root_is_escaped_and_names_the_paths() -> None:
    async with exporting(Drawn()) as client:
        answer = await client.get("/")
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "<h1>PBS &lt;exporter&gt;</h1>" in answer.text
        assert '<a href="/metrics">' in answer.text


async def test_health_says_how_old_the_picture_is() -> None:
    collector = Drawn()
    async with exporting(collector, clock=lambda: NOW) as client:
        assert (await client.get("/health")).text == "OK. No server has answered yet.\n"
        collector.draw(a_picture(at=NOW.replace(hour=11)))
        assert (await client.get("/health")).text == "OK. The picture is 3600 s old.\n"


@pytest.mark.parametrize(
    ("gate", "sent", "status"),
    [
        (Gate(auth=False, token=Secret("right")), None, 401),
        (Gate(auth=False, token=Secret("right")), "wrong", 401),
        (Gate(auth=False, token=Secret("right")), "right", 200),
        (Gate(auth=False, networks=(ip_network("203.0.113.0/24"),)), None, 401),
        (Gate(auth=False, networks=(ip_network("127.0.0.0/8"),)), None, 200),
    ],
)
async def test_only_the_pages_for_prometheus_ask_who_reads_them(gate: Gate, sent: str | None, status: int) -> None:
    headers = {} if sent is None else {"Authorization": f"Bearer {sent}"}
    async with exporting(Drawn(), gate=gate) as client:
        for path in ("/metrics", PATH):
            assert (await client.get(path, headers=headers)).status_code == status
        for path in ("/", "/health", "/-/ready"):
            assert (await client.get(path)).status_code == 200


async def test_a_picture_is_told_soon_after_it_was_drawn_under_both_sets_of_names() -> None:
    collector = Drawn()
    async with exporting(collector, clock=lambda: NOW) as client:
        collector.draw(a_rich_picture())

        async def told() -> bool:
            return "pbs_version{" in (await client.get("/metrics")).text

        await until(told, "the picture on the page")
        assert ours((await client.get("/metrics")).text) == text_of(a_rich_picture())

        async def told_there() -> bool:
            return "pbs_snapshot_vm_count{" in (await client.get(PATH)).text

        await until(told_there, "the picture under the other names")


def uniform(number: int, groups: int = 400) -> PbsPicture:
    """A picture in which every group has the same size, so that a page of two pictures shows."""
    made: list[Group] = [
        a_group(f"{i:05}", a_snapshot(4, size_bytes=number, comment=f"guest {i}")) for i in range(groups)
    ]
    return a_picture(*made)


async def test_scrapes_while_pictures_change_each_get_one_whole_picture() -> None:
    collector = Drawn()
    seen: set[str] = set()
    async with exporting(collector, clock=lambda: NOW) as client:
        over = asyncio.Event()

        async def drawing() -> None:
            for number in range(0, 12, 3):
                for one in range(number, number + 3):  # the first is written while the others come
                    collector.draw(uniform(one))
                    await asyncio.sleep(0)

                async def came(last: str = str(number + 2)) -> bool:
                    return last in seen

                await until(came, f"picture {number + 2}")
            over.set()

        async def scraping() -> None:
            while not over.is_set():
                text = (await client.get("/metrics")).text
                rows = rows_of(text, "pbs_snapshot_size_bytes")
                assert len(rows) in (0, 400), "nothing before the first picture, and then never a part of one"
                assert len(rows) or not seen, "never empty again"
                values = {row.rpartition(" ")[2] for row in rows}
                assert len(values) <= 1
                assert len(rows_of(text, "pbs_snapshot_info")) == len(rows)
                seen.update(values)

        await asyncio.gather(drawing(), *(scraping() for _ in range(4)))
        assert {"2", "5", "8", "11"} <= seen
        assert faults((await client.get("/metrics")).text) == []


async def test_a_scrape_does_not_wait_while_a_large_picture_is_written() -> None:
    """8,000 groups take a second to write the first time; the page before is told meanwhile."""
    collector = Drawn()
    large = uniform(7, groups=8_000)
    async with exporting(collector, clock=lambda: NOW) as client:
        collector.draw(uniform(1))

        async def told() -> bool:
            return len(rows_of((await client.get("/metrics")).text, "pbs_snapshot_count")) == 400

        await until(told, "the small picture")
        collector.draw(large)
        waits, counts = list[float](), list[int]()
        while not counts or counts[-1] == 400:
            begun = time.monotonic()
            async with client.stream("GET", "/metrics") as answer:
                waits.append(time.monotonic() - begun)
                body = (await answer.aread()).decode()
            counts.append(len(rows_of(body, "pbs_snapshot_count")))
            assert len(waits) < 5000
        assert set(counts) == {400, 8_000}
        assert max(waits) < 1.0, "the first byte of a scrape waits for nothing"


async def test_a_picture_that_cannot_be_written_leaves_the_page_before_and_the_next_one_is_told() -> None:
    collector = Drawn()
    async with exporting(collector, clock=lambda: NOW) as client:

        async def told(count: int) -> bool:
            return len(rows_of((await client.get("/metrics")).text, "pbs_snapshot_count")) == count

        collector.draw(uniform(1, groups=3))
        await until(lambda: told(3), "the first picture")
        broken = uniform(1, groups=4)
        with capture_logs() as lines:
            collector.draw(replace(broken, tasks=None))  # type: ignore[arg-type]

            async def complained() -> bool:
                return any(line["event"] == "pictures could not be written" for line in lines)

            await until(complained, "a line in the log")
        assert await told(3)
        collector.draw(broken)
        await until(lambda: told(4), "the picture after it")


async def test_two_servers_with_equal_groups_are_told_side_by_side() -> None:
    one, other = Drawn("pbs/one"), Drawn("pbs/other")
    async with exporting(one, other, clock=lambda: NOW) as client:
        one.draw(a_picture(a_group("100", a_snapshot(1, size_bytes=1)), server="one"))
        other.draw(a_picture(a_group("100", a_snapshot(1, size_bytes=2)), server="other"))

        async def told() -> bool:
            return len(rows_of((await client.get("/metrics")).text, "pbs_snapshot_size_bytes")) == 2

        await until(told, "both servers")
        group = 'datastore="main",backup_type="vm",backup_id="100"'
        text = (await client.get("/metrics")).text
        assert rows_of(text, "pbs_snapshot_size_bytes") == [
            f'{{{group},server="one"}} 1',
            f'{{{group},server="other"}} 2',
        ]
        assert faults(text) == []


async def test_a_real_prometheus_takes_every_sample_of_the_page(tmp_path: Path) -> None:
    collector = Drawn()
    async with exporting(collector) as client:
        moment = now()
        collector.draw(a_rich_picture(reached_at=moment))

        async def told() -> bool:
            return "pbs_version{" in (await client.get("/metrics")).text

        await until(told, "the picture on the page")
        job = {"job_name": "pbs", "static_configs": [{"targets": [client.base_url.netloc.decode()]}]}
        async with prometheus(tmp_path, job) as server:
            target = await server.scraped("pbs")
            assert (target["health"], target["lastError"]) == ("up", "")
            assert await server.value("pbs_up") == 1
            assert await server.value('count(pbs_snapshot_info{backup_type="vm"})') == 4
            assert await server.value('pbs_snapshot_count{namespace="prod/eu"}') == 1
            assert await server.value('pbs_snapshot_count{namespace="", backup_type="ct"}') == 1
            assert server.complaints() == []
