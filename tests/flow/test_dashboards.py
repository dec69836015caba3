"""Every query of every panel, filled in and asked of a real Prometheus that holds eight days of lastgood's pages."""

from __future__ import annotations

import json
import math
import re
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lastgood.clock import now
from lastgood.metrics.text import Format
from tests.flow.past import ONLINE, PASTS, backfill, body
from tests.prometheus import Prometheus, program, prometheus
from tests.serving import serving

DASHBOARDS = Path(__file__).parents[2] / "deploy/grafana"
NAMES = ("lastgood-overview.json", "restic-manager-dashboard.json")
WEEK = 7 * 86_400
STEP = 600
ALL = {"tool": ".*", "host": ".*", "repository": ".*"}
# Grafana escapes what it puts into a regular expression, and a person may choose several values.
CHOSEN = {
    "tool": "(restic|kopia)",
    "host": "(db-1|mail-1|nas-1)",
    "repository": r"(vault|cold\\.example\\+storage|attic)",
}

BAD = {"failed": 1, "never": 1, "missed": 1, "unknown": 1, "partial": 1, "late": 1}


def load(name: str) -> dict[str, Any]:
    dashboard: dict[str, Any] = json.loads((DASHBOARDS / name).read_text())
    return dashboard


def panels(name: str) -> dict[str, dict[str, Any]]:
    return {panel["title"]: panel for panel in load(name)["panels"] if panel["type"] != "row"}


def filled(expression: str, values: Mapping[str, str]) -> str:
    """As Grafana fills in variables; what it does not know stays, and fails in Prometheus."""
    for variable, value in (*values.items(), ("__range", f"{WEEK}s")):
        expression = expression.replace(f"${variable}", value)
    # What label_replace matched is no variable.
    assert "$" not in expression.replace('"$1"', "")
    return expression


def moments(end: datetime) -> Iterator[datetime]:
    """Hourly for a week, then often enough for an instant query to find each."""
    moment = end - timedelta(days=8)
    while moment < end - timedelta(minutes=1):
        yield moment
        moment += timedelta(hours=1) if end - moment > timedelta(days=1) else timedelta(minutes=4)


@asynccontextmanager
async def with_a_past(folder: Path) -> AsyncIterator[Prometheus]:
    """A Prometheus whose blocks hold the past and which scrapes the present."""
    promtool = program("promtool")
    end = now()
    # In the format of the past: the bounds of buckets are spelled alike.
    page = b"".join(body(end, end, Format.OPENMETRICS))

    async def hub(scope: Any, receive: Any, send: Any) -> None:
        head = [(b"content-type", Format.OPENMETRICS.value.encode()), (b"content-length", str(len(page)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": page})

    async with serving(hub) as address:
        history = folder / "history.txt"
        with history.open("wb") as into:
            backfill(moments(end), end, f'job="lastgood",instance="{address}"', into)
        command = [promtool, "tsdb", "create-blocks-from", "--max-block-duration=486h", "openmetrics"]
        done = subprocess.run([*command, history, folder / "data"], capture_output=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        job = {"job_name": "lastgood", "static_configs": [{"targets": [address]}]}
        async with prometheus(folder, job) as server:
            target = await server.scraped("lastgood")
            assert (target["health"], target["lastError"]) == ("up", "")
            yield server


async def answered(server: Prometheus, panel: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, list[Any]]:
    """The result of each of a panel's targets, asked as Grafana asks it."""
    found: dict[str, list[Any]] = {}
    end = now().timestamp()
    for target in panel["targets"]:
        expression = filled(target["expr"], values)
        if target["instant"]:
            found[target["refId"]] = await server.query(expression)
        else:
            found[target["refId"]] = await server.over_time(expression, end - WEEK, end, STEP)
    return found


def last(series: Mapping[str, Any]) -> float:
    return float((series["value"] if "value" in series else series["values"][-1])[1])


def holds_its_shape(panel: Mapping[str, Any], found: Mapping[str, Sequence[Any]]) -> None:
    """What the kind of panel needs of every target."""
    title = panel["title"]
    for target in panel["targets"]:
        result = found[target["refId"]]
        assert result, f"{title} {target['refId']} has no data: {target['expr']}"
        assert all(math.isfinite(last(series)) for series in result), title
        named = re.findall(r"\{\{(\w+)\}\}", target.get("legendFormat", ""))
        for series in result:
            assert all(series["metric"].get(label) for label in named), (title, series["metric"])
        legends = [tuple(series["metric"].get(label) for label in named) for series in result]
        assert panel["type"] == "table" or len(set(legends)) == len(result), f"{title}: two lines bear one name"
        if panel["type"] == "timeseries":
            # Not one moment but a past, at least in the line that has most of it.
            assert max(len(series["values"]) for series in result) > 10, title
        if panel["type"] == "table":
            organize = next(one["options"] for one in panel["transformations"] if one["id"] == "organize")
            labels = {label for label in organize["renameByName"] if not label.startswith("Value")}
            everything = labels | {label for label, out in organize["excludeByName"].items() if out}
            for series in result:
                assert series["metric"].keys() <= everything, (title, series["metric"])


def merged(panel: Mapping[str, Any], found: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """The rows of a table as Grafana's merge makes them: joined on the labels that all frames have."""
    frames = [frame for frame in found.values() if frame]
    shared = set.intersection(*({label for series in frame for label in series["metric"]} for frame in frames))
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for reference, frame in found.items():
        seen: set[tuple[Any, ...]] = set()
        for series in frame:
            key = tuple(series["metric"].get(label) for label in sorted(shared))
            assert key not in seen, f"{panel['title']}: two rows of one query for {key}"
            seen.add(key)
            rows.setdefault(key, {}).update({**series["metric"], reference: last(series)})
    return list(rows.values())


async def test_every_panel_has_data_of_its_shape(tmp_path: Path) -> None:
    async with with_a_past(tmp_path) as server:
        await _variables_have_their_values(server)
        told = {
            name: {title: await answered(server, panel, ALL) for title, panel in panels(name).items()}
            for name in NAMES
        }
        for name in NAMES:
            for title, panel in panels(name).items():
                holds_its_shape(panel, told[name][title])
        _overview(told["lastgood-overview.json"])
        _restic_manager(told["restic-manager-dashboard.json"])
        await _chosen_values_narrow_it(server)
        assert server.complaints() == []


async def _variables_have_their_values(server: Prometheus) -> None:
    expected = {
        "tool": {past.tool for past in PASTS},
        "host": set(ONLINE),
        "repository": {past.repository for past in PASTS},
    }
    for variable in load("lastgood-overview.json")["templating"]["list"]:
        if variable["type"] == "query":
            asked = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"])
            assert asked is not None
            found = await server.label_values(asked[2], filled(asked[1], ALL))
            assert set(found) == expected[variable["name"]]


def _overview(told: Mapping[str, Mapping[str, Sequence[Any]]]) -> None:
    board = panels("lastgood-overview.json")
    counts = {
        target["legendFormat"]: last(told["Sources by state"][target["refId"]][0])
        for target in board["Sources by state"]["targets"]
    }
    states = [str(past.state) for past in PASTS]
    assert counts == {state: states.count(state) for state in counts}
    assert sum(counts.values()) == len(PASTS)

    bad = merged(board["Not good"], told["Not good"])
    assert {row["name"]: row["state"] for row in bad} == {p.name: p.state for p in PASTS if p.state in BAD}
    ranked = sorted(bad, key=lambda row: -row["A"])
    assert [row["state"] for row in ranked] == list(BAD)
    assert {row["name"] for row in bad if "B" not in row} == {"forgotten"}
    assert all(row["B"] < 0 for row in bad if "B" in row)

    due = merged(board["Due today"], told["Due today"])
    assert {row["name"] for row in due} == {p.name for p in PASTS if p.state not in ("paused", "archived")}
    assert min(row["A"] for row in due) < 0 < max(row["A"] for row in due)
    assert [row["name"] for row in due if row["B"] == 1] == ["etc"]

    oldest = last(told["Oldest last good backup"]["A"][0])
    assert -86_400 * 2 < oldest < 0
    past_target = {series["metric"]["name"]: last(series) for series in told["Furthest past their target"]["A"]}
    assert past_target.keys() == {p.name for p in PASTS if p.state not in ("paused", "archived", "new", "never")}
    assert past_target["music"] > 1 > past_target["etc"] > 0

    kept = last(told["Good of expected"]["A"][0])
    assert 0.5 < kept < 1
    least = [series["metric"]["name"] for series in told["Least kept"]["A"]]
    assert least[0] == "forgotten" or "forgotten" not in least
    assert "photos" in least[:3]

    filling = {row["repository"]: row for row in merged(board["Repositories filling"], told["Repositories filling"])}
    assert filling.keys() == {"vault", "cold.example+storage", "attic"}
    assert filling["vault"]["B"] == pytest.approx(2 << 30, rel=0.05)
    assert filling["attic"]["B"] == pytest.approx(0, abs=1)
    assert filling["vault"]["D"] == pytest.approx(filling["vault"]["A"] + 30 * filling["vault"]["B"], rel=0.05)
    assert {name: row["F"] for name, row in filling.items()} == {"vault": 1, "cold.example+storage": 1, "attic": 0}

    unseen = {
        title: last(told[title]["A"][0])
        for title in (
            "Sources nobody knows about",
            "Repositories that do not answer",
            "Repositories nobody looked into",
        )
    }
    assert list(unseen.values()) == [1, 1, 1]
    assert -300 < last(told["States are those of"]["A"][0]) <= 0
    silent = merged(board["Repositories without an answer"], told["Repositories without an answer"])
    assert {row["repository"]: (row["A"], row.get("B")) for row in silent} == {"attic": (2, 0), "unopened": (2, None)}
    longest = merged(board["Longest without news"], told["Longest without news"])
    assert len(longest) == len([p for p in PASTS if p.state not in ("paused", "archived")])
    assert {row["name"] for row in sorted(longest, key=lambda row: row["A"])[:2]} == {"music", "videos"}


def _restic_manager(told: Mapping[str, Mapping[str, Sequence[Any]]]) -> None:
    board = panels("restic-manager-dashboard.json")
    assert [last(told["Fleet status"][ref][0]) for ref in "ABC"] == [pytest.approx(0.8), 4, 5]
    alerts = {series["metric"]["severity"]: last(series) for series in told["Open alerts"]["A"]}
    assert alerts == {"critical": 2, "warning": 2, "info": 0}
    hosts = {row["host"]: row for row in merged(board["Hosts"], told["Hosts"])}
    assert hosts.keys() == ONLINE.keys()
    assert {name: row["A"] for name, row in hosts.items()} == {name: float(on) for name, on in ONLINE.items()}
    assert {name for name, row in hosts.items() if "B" not in row} == {"new-1"}
    assert all(row["B"] < 0 for row in hosts.values() if "B" in row)
    sizes = {series["metric"]["host"]: series["values"] for series in told["Repo size over time"]["A"]}
    assert sizes.keys() == ONLINE.keys() - {"new-1"}
    grown = [float(value) for _, value in sizes["web-1"]]
    assert grown == sorted(grown)
    assert grown[-1] > grown[0]
    failing = [float(value) for _, value in told["Backups failing"]["A"][0]["values"]]
    assert set(failing) >= {0, failing[-1]}
    assert failing[-1] > 0
    (backup,) = told["Job duration p95"]["A"]
    assert backup["metric"] == {"kind": "backup"}
    assert {value for _, value in backup["values"] if not 1 < float(value) <= 1800} == set()


async def _chosen_values_narrow_it(server: Prometheus) -> None:
    board = panels("lastgood-overview.json")
    chosen = {"db-1", "mail-1", "nas-1"}
    for title, panel in board.items():
        found = await answered(server, panel, CHOSEN)
        hosts = {
            series["metric"]["host"] for result in found.values() for series in result if "host" in series["metric"]
        }
        assert hosts <= chosen, title
        if title not in ("Repositories nobody looked into",):
            assert any(found.values()), title
    count = await answered(server, board["States over time"], CHOSEN)
    assert sum(last(series) for series in count["A"]) >= len([p for p in PASTS if p.host in chosen])


async def test_where_nothing_is_scraped_no_panel_shows_a_number(tmp_path: Path) -> None:
    async with prometheus(tmp_path) as server:
        for name in NAMES:
            for title, panel in panels(name).items():
                for result in (await answered(server, panel, ALL)).values():
                    assert [last(series) for series in result if not math.isnan(last(series))] == [], title
