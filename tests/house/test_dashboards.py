"""The committed dashboards: equal to their generator, whole as Grafana wants them, and about metrics that exist."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from scripts.dashboards.made import DASHBOARDS, DEPLOYED, PACKAGED, text
from scripts.dashboards.parts import COLUMNS, STATE_COLOURS

from lastgood.metrics import VOCABULARIES
from lastgood.model.source import State
from tests.house.promql import metrics

TOLD = {name for vocabulary in VOCABULARIES for family in vocabulary.families for name in family.sample_names}
UIDS = {
    "restic-manager-dashboard.json": "restic-manager",
    "lastgood-overview.json": "lastgood-overview",
    "pbs.json": "lastgood-pbs",
    "docker-fleet.json": "lastgood-docker",
}
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
KINDS = {"stat", "table", "timeseries", "bargauge"}

each = pytest.mark.parametrize("name", sorted(DASHBOARDS))


def committed(name: str) -> dict[str, Any]:
    dashboard: dict[str, Any] = json.loads((DEPLOYED / name).read_text())
    return dashboard


def panels(name: str) -> list[dict[str, Any]]:
    """All but headings."""
    return [panel for panel in committed(name)["panels"] if panel["type"] != "row"]


@each
@pytest.mark.parametrize("folder", [DEPLOYED, PACKAGED / "grafana"], ids=["deployed", "packaged"])
def test_the_json_is_that_of_its_generator(name: str, folder: Path) -> None:
    assert (folder / name).read_text() == text(DASHBOARDS[name]()), "run scripts/docs"


def test_no_other_dashboard_lies_about() -> None:
    for folder in (DEPLOYED, PACKAGED / "grafana"):
        assert {path.name for path in folder.iterdir()} == DASHBOARDS.keys()


@each
def test_grafana_takes_it_as_a_dashboard_of_schema_39_over_one_data_source(name: str) -> None:
    dashboard = committed(name)
    assert dashboard["schemaVersion"] == 39
    assert dashboard["uid"] == UIDS[name]
    assert "id" not in dashboard
    assert "__inputs" not in dashboard
    assert dashboard["annotations"] == {"list": []}
    sources = [one for one in dashboard["templating"]["list"] if one["type"] == "datasource"]
    assert [(one["name"], one["query"]) for one in sources] == [("datasource", "prometheus")]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            assert variable["datasource"] == DATASOURCE
            # A series that lacks the label belongs to All.
            assert (variable["includeAll"], variable["multi"], variable["allValue"]) == (True, True, ".*")
            assert re.fullmatch(r"label_values\([a-z_]+(\{.*\})?, [a-z_]+\)", variable["query"])
    for panel in panels(name):
        assert panel["datasource"] == DATASOURCE
        assert all(target["datasource"] == DATASOURCE for target in panel["targets"])


@each
def test_panels_are_numbered_and_lie_side_by_side_without_a_gap_or_an_overlap(name: str) -> None:
    every = committed(name)["panels"]
    assert [panel["id"] for panel in every] == list(range(1, len(every) + 1))
    for panel in every:
        at = panel["gridPos"]
        assert at["x"] >= 0
        assert at["w"] > 0
        assert at["h"] > 0
        assert at["x"] + at["w"] <= COLUMNS
    for one, other in combinations((panel["gridPos"] for panel in every), 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below, (one, other)
    covered = sum(panel["gridPos"]["w"] * panel["gridPos"]["h"] for panel in every)
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in every)
    assert covered == COLUMNS * height


@each
def test_each_panel_says_what_it_shows_and_what_it_means_when_it_is_empty(name: str) -> None:
    titles = [panel["title"] for panel in panels(name)]
    assert len(set(titles)) == len(titles)
    for panel in panels(name):
        assert panel["type"] in KINDS
        assert panel["title"]
        assert panel["description"].endswith((".", "%."))
        assert panel["fieldConfig"]["defaults"]["noValue"]
        references = [target["refId"] for target in panel["targets"]]
        assert references == sorted(set(references))
        for target in panel["targets"]:
            assert target["instant"] is not target["range"]
            assert target["format"] == ("table" if panel["type"] == "table" else "time_series")


@each
def test_overrides_and_transformations_name_columns_that_are_there(name: str) -> None:
    for panel in (panel for panel in panels(name) if panel["type"] == "table"):
        organize = next(one["options"] for one in panel["transformations"] if one["id"] == "organize")
        shown = set(organize["renameByName"].values())
        assert {one["matcher"]["options"] for one in panel["fieldConfig"]["overrides"]} == shown
        values = {f"Value #{target['refId']}" for target in panel["targets"]}
        assert values == {field for field in organize["renameByName"] if field.startswith("Value #")}
        assert organize["indexByName"].keys() == organize["renameByName"].keys()
        (order,) = next(one["options"]["sort"] for one in panel["transformations"] if one["id"] == "sortBy")
        assert order["field"] in shown
        for override in panel["fieldConfig"]["overrides"]:
            assert {"id": "noValue", "value": "–"} in override["properties"]


@each
def test_thresholds_begin_below_everything_and_rise(name: str) -> None:
    told = [
        steps
        for panel in panels(name)
        for steps in (
            panel["fieldConfig"]["defaults"].get("thresholds"),
            *(
                one["value"]
                for override in panel["fieldConfig"]["overrides"]
                for one in override["properties"]
                if one["id"] == "thresholds"
            ),
        )
        if steps
    ]
    assert told
    for steps in told:
        first, *rest = [step["value"] for step in steps["steps"]]
        assert first is None
        assert rest == sorted(set(rest))


@each
def test_queries_name_only_metrics_that_exist(name: str) -> None:
    read = {metric for panel in panels(name) for target in panel["targets"] for metric in metrics(target["expr"])}
    assert len(read) > 5
    assert read - TOLD == set()


def test_every_state_has_its_colour() -> None:
    assert STATE_COLOURS.keys() == {str(state) for state in State}


def test_the_dashboard_of_restic_manager_asks_what_its_papers_say() -> None:
    told = {
        panel["title"]: [target["expr"] for target in panel["targets"]]
        for panel in panels("restic-manager-dashboard.json")
    }
    papers = {
        "Fleet status": ["rm_hosts_online / rm_hosts_total"],
        "Open alerts": ["sum by (severity) (rm_active_alerts)"],
        "Hosts": [
            "rm_host_agent_online",
            "time() - rm_host_last_backup_timestamp_seconds",
            "rm_host_repo_size_bytes",
            "rm_host_snapshot_count",
            "rm_host_open_alerts",
        ],
        "Repo size over time": ["rm_host_repo_size_bytes"],
        "Backups failing": ["rm_host_last_backup_success == bool 0"],
        "Job duration p95": [
            "histogram_quantile(0.95, sum by (kind, le) (rate(rm_job_duration_seconds_bucket[1h])))"
        ],
    }
    assert list(told) == list(papers)
    missing = [
        query
        for title, queries in papers.items()
        for query in queries
        if not any(query in asked for asked in told[title])
    ]
    assert missing == []
