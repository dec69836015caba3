"""The real Prometheus scrapes a real hub by the very lines that ``lastgood up`` printed, and answers our queries."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.flow.hub import Up, up
from tests.metrics.test_promtool import KNOWN_EXCEPTIONS
from tests.prometheus import Prometheus, lint, prometheus
from tests.waiting import until

pytestmark = pytest.mark.xdist_group("scraped")

FORMATS = {
    "text": "text/plain;version=0.0.4",
    "OpenMetrics": "application/openmetrics-text;version=1.0.0",
}
SEED_QUERIES = {
    "rm_hosts_total": 1,
    "rm_hosts_online / rm_hosts_total": 1,
    "sum(rm_active_alerts)": 0,
    "count(rm_active_alerts)": 3,
    "sum(rm_job_duration_seconds_count{kind='backup',status='succeeded'})": 1,
    "count(rm_job_duration_seconds_count)": 27,
    "count(rm_job_duration_seconds_bucket)": 270,
    "sum(rm_host_agent_online)": 1,
    "rm_host_last_backup_success": 1,
    "time() - rm_host_last_backup_timestamp_seconds < bool 3600": 1,
    "rm_host_repo_size_bytes > bool 0": 1,
    "rm_host_snapshot_count": 1,
    "rm_host_open_alerts": 0,
    "rm_host_repo_status{status='ready'}": 1,
    "rm_build_info{go_version='none'}": 1,
    "backup_source_state{state='good'}": 1,
    "backup_snapshots": 1,
    "time() - backup_last_good_timestamp_seconds < bool 3600": 1,
}
"""What a dashboard asks about one host whose first backup has just been made, with the answer."""


@dataclass
class Hub:
    """A running hub, and what it said to put into prometheus.yml."""

    url: str
    data_dir: Path
    printed: str

    @property
    def scrape_configs(self) -> list[dict[str, Any]]:
        configs: list[dict[str, Any]] = yaml.safe_load(self.printed)["scrape_configs"]
        return configs

    async def body(self, accept: str = FORMATS["text"]) -> str:
        token = (self.data_dir / "metrics.token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}", "Accept": accept}
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(f"{self.url}/metrics", headers=headers)
        assert answer.status_code == 200
        return answer.text

    async def rows(self) -> int:
        return sum(1 for line in (await self.body()).split("\n") if line and not line.startswith("#"))


def snippet(running: Up) -> str:
    """The lines between "For prometheus.yml" and the empty line, as somebody would copy them."""
    running.said("For prometheus.yml:")
    begin = len(running.lines)
    running.said(r"^\s*$")
    return "".join(running.lines[begin:])


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    data_dir = tmp_path_factory.mktemp("scraped") / "it's a folder"
    with up(data_dir) as running:
        printed = snippet(running)
        running.said("Ctrl-C ends")
        yield Hub(running.url, data_dir, printed)


async def settled(hub: Hub, server: Prometheus) -> float:
    """How many samples the newest scrape took, once that equals the rows that are served.

    The survey and the measuring behind a first backup still add rows for a moment.
    """

    async def told() -> float | None:
        found = await server.value("scrape_samples_scraped")
        return found if found is not None and found == await hub.rows() else None

    return await until(told, "a scrape with every row that is served", seconds=40)


async def answered(server: Prometheus, query: str, wanted: float) -> float:
    async def told() -> list[float] | None:
        found = [float(row["value"][1]) for row in await server.query(query)]
        return found if found == [wanted] else None

    return (await until(told, f"{query} is {wanted}", seconds=40))[0]


async def test_prometheus_scrapes_the_hub_by_the_lines_that_up_printed(hub: Hub, tmp_path: Path) -> None:
    [config] = hub.scrape_configs
    assert config["authorization"]["credentials_file"] == str(hub.data_dir / "metrics.token")
    assert "honor_labels" not in config
    async with prometheus(tmp_path, config) as server:
        target = await server.scraped(config["job_name"])
        assert (target["health"], target["lastError"]) == ("up", "")
        assert await server.value("up") == 1
        assert await settled(hub, server) > 350
        assert await server.value("scrape_samples_post_metric_relabeling - scrape_samples_scraped") == 0
        assert {
            query: await answered(server, query, wanted) for query, wanted in SEED_QUERIES.items()
        } == SEED_QUERIES
        assert server.complaints() == []


async def test_without_its_token_prometheus_is_sent_away(hub: Hub, tmp_path: Path) -> None:
    [config] = hub.scrape_configs
    del config["authorization"]
    async with prometheus(tmp_path, config) as server:
        target = await server.scraped(config["job_name"])
        assert target["health"] == "down"
        assert "401" in target["lastError"]
        assert await server.value("up") == 0


async def test_promtool_finds_the_known_exceptions_in_the_served_page_and_nothing_else(hub: Hub) -> None:
    async def surveyed() -> str | None:
        body = await hub.body()
        return body if "rm_host_snapshot_count{" in body else None

    body = await until(surveyed, "the survey behind the first backup")
    code, findings = lint(body.encode())
    # A hub without containers has no rows of them, and promtool says nothing about a family without rows.
    told = {name for name in KNOWN_EXCEPTIONS if f"\n{name}{{" in body or f"\n{name} " in body}
    assert "rm_host_snapshot_count" in told
    assert sorted(findings) == sorted(f"{name} {KNOWN_EXCEPTIONS[name]}" for name in told)
    assert code == 3


async def test_both_formats_are_served_with_the_same_families(hub: Hub) -> None:
    def families(body: str) -> set[str]:
        return set(re.findall(r"^# TYPE (\S+) ", body, re.M))

    text, openmetrics = [families(await hub.body(accept)) for accept in FORMATS.values()]
    assert len(text) > 30
    assert {name.removesuffix("_total") for name in text} == {name.removesuffix("_total") for name in openmetrics}
