"""The reference's own scrape job, its five queries and its federation, on two real Prometheus processes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from lastgood.fleet.fleet import FleetView
from tests.builders import NOW
from tests.metrics.fleets import twelve_hosts
from tests.prometheus import Prometheus, prometheus
from tests.waiting import until
from tests.web.test_scrape_by_prometheus import hub, job

SILENT = "dockmesh_agent_last_seen_seconds > 120"
ERRORS = 'dockmesh_stacks_total{state="error"}'
LATE = "time() - dockmesh_backup_last_run_timestamp > 26 * 3600"
DEPLOYS = "histogram_quantile(0.95, rate(dockmesh_deploy_duration_seconds_bucket[5m]))"
FIRED = "sum by (severity) (rate(dockmesh_alerts_fired_total[5m]))"
"""As the reference has them, to the letter."""

JOB = {"metrics_path": "/metrics", "scheme": "http"}
FEDERATE = {
    "job_name": "federate",
    "honor_labels": True,
    "metrics_path": "/federate",
    "params": {"match[]": ['{job="dockmesh"}']},
}
"""As the reference has it, but for the names of the servers."""


def one_silent() -> FleetView:
    """The twelve hosts; one of them was not heard for two minutes and a second."""
    view = twelve_hosts()
    (host_id,) = [host.id for host in view.hosts.values() if host.name == "host-11-silent"]
    heard = replace(view.presence[host_id], seen_at=NOW - timedelta(seconds=121))
    return replace(view, presence={**view.presence, host_id: heard})


async def answer(server: Prometheus, expression: str, wanted: int) -> list[dict[str, Any]]:
    """The rows of a query once it has so many."""

    async def told() -> list[dict[str, Any]] | None:
        found = await server.query(expression)
        return found if len(found) == wanted else None

    return await until(told, f"{wanted} rows of {expression}")


async def test_the_five_documented_queries_answer_and_the_federation_keeps_every_job(tmp_path: Path) -> None:
    regional, central = tmp_path / "regional", tmp_path / "central"
    regional.mkdir()
    central.mkdir()
    async with (
        hub(one_silent()) as (address, _),
        prometheus(regional, job("dockmesh", address, regional, **JOB)) as near,
        prometheus(central, FEDERATE | {"static_configs": [{"targets": [near.address]}]}) as far,
    ):
        await near.scraped("dockmesh")
        (silent,) = await answer(near, SILENT, 1)
        assert (silent["metric"]["host"], silent["value"][1]) == ("host-11-silent", "121")
        (errors,) = await answer(near, ERRORS, 1)
        assert (errors["metric"]["host"], errors["value"][1]) == ("host-12-bare", "2")
        late = await answer(near, LATE, 14)
        # Two labels of one name: Prometheus keeps the scrape's and stores ours as exported_job.
        assert {row["metric"]["job"] for row in late} == {"dockmesh"}
        assert {"host-01-success/data", "host-06-repository/data"} <= {r["metric"]["exported_job"] for r in late}
        quantiles = await answer(near, DEPLOYS, 3)
        asked = {(row["metric"]["stack"], row["metric"]["result"]) for row in quantiles}
        assert asked == {("shop", "ok"), ("shop", "error"), ("lost", "error")}
        rates = await answer(near, FIRED, 2)
        assert {row["metric"]["severity"] for row in rates} == {"critical", "warning"}
        asked_for = await answer(near, "dockmesh_api_requests_total", 3)
        told = {(row["metric"]["method"], row["metric"]["path"], row["metric"]["status"]) for row in asked_for}
        assert ("GET", "/ws/agent", "101") in told

        await far.scraped("federate")
        moved = await answer(far, "dockmesh_backup_last_run_timestamp", 14)
        assert {row["metric"]["job"] for row in moved} == {"dockmesh"}
        assert len({row["metric"]["exported_job"] for row in moved}) == 14
        here = await near.value('count({__name__=~"dockmesh_.+"})')
        assert here is not None
        assert here > 150
        await answer(far, '{__name__=~"dockmesh_.+", job="dockmesh"}', int(here))
        assert near.complaints() == far.complaints() == []


async def test_with_honor_labels_on_the_scrape_itself_the_federation_loses_the_backup_jobs(tmp_path: Path) -> None:
    """Why the documents leave it off there: our own label then stands in the place of the scrape's."""
    async with (
        hub(twelve_hosts()) as (address, _),
        prometheus(tmp_path, job("dockmesh", address, tmp_path, honor_labels=True)) as server,
    ):
        await server.scraped("dockmesh")
        named = await answer(server, "dockmesh_backup_last_run_timestamp", 14)
        assert "host-01-success/data" in {row["metric"]["job"] for row in named}
        assert await server.query('dockmesh_backup_last_run_timestamp{job="dockmesh"}') == []
        await answer(server, 'dockmesh_agent_rtt_seconds_count{job="dockmesh"}', 2)
