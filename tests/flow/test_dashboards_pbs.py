"""Every query of the dashboard on Proxmox Backup Servers, asked of a real Prometheus that scrapes a real exporter.

The exporter asks a simulated server with datastores in every state, one that is off on purpose, and one that is down.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.dashboards.pbs.groups import STANDINGS
from scripts.dashboards.pbs.named import ROOT

from lastgood.clock import now
from tests.exporter.test_process import running
from tests.flow.hub import free_port
from tests.flow.test_dashboards import filled, holds_its_shape, last, load, merged, panels
from tests.pbs_simulator import MONITOR, SIZES, Setting, Simulator
from tests.prometheus import Prometheus, program, prometheus
from tests.waiting import until

BOARD = "pbs.json"
ALL = {"server": ".*", "datastore": ".*", "namespace": ".*", "backup_type": ".*"}
CHOSEN = {"server": "(vault|attic)", "datastore": "main", "namespace": ".*", "backup_type": "(vm|ct)"}
TARGET = 3600
MOMENTS = 12
"""So many points of a line are enough for its shape."""

Told = Mapping[str, Mapping[str, Sequence[Any]]]


def settings(pbs: Simulator, archived: str) -> str:
    """``vault`` answers, ``attic`` is off on purpose, ``lost`` is not."""
    access = f'token_id = "{MONITOR}"\ntoken_secret = "{pbs.secret()}"\nverify_tls = false\n'
    silent = f'endpoint = "https://{{host}}:{free_port()}"\n{access}'
    return f"""
[pbs.servers.vault]
endpoint = "{pbs.url}"
{access}archived = ["{archived}"]
targets = {{"vm/*" = "1h"}}

[pbs.servers.attic]
{silent.format(host="127.0.0.2")}expected_off = true

[pbs.servers.lost]
{silent.format(host="127.0.0.3")}"""


async def answered(
    server: Prometheus, panel: Mapping[str, Any], values: Mapping[str, str], begun: float
) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for target in panel["targets"]:
        expression = filled(target["expr"], values)
        if target["instant"]:
            found[target["refId"]] = await server.query(expression)
        else:
            found[target["refId"]] = await server.over_time(expression, begun, now().timestamp(), 1)
    return found


async def test_every_panel_has_data_of_its_shape_and_tells_what_the_server_holds(tmp_path: Path) -> None:
    program("prometheus")
    with Simulator(Setting(size=SIZES["states"], now=int(now().timestamp()))) as pbs:
        truth = pbs.truth()
        archived = next(group for group in truth["groups"] if group["finished"] and group["ns"] == "")
        file = tmp_path / "exporter.toml"
        file.write_text(settings(pbs, f"{archived['store']}/{archived['type']}/{archived['id']}"))
        with running(tmp_path, {}, "--config", str(file)) as exporter:
            job = {"job_name": "pbs", "static_configs": [{"targets": [exporter.url.removeprefix("http://")]}]}
            async with prometheus(tmp_path, job) as server:
                begun = await _scraped(server)
                board = panels(BOARD)
                told = {title: await answered(server, panel, ALL, begun) for title, panel in board.items()}
                for title, panel in board.items():
                    holds_its_shape(panel, told[title])
                _groups(board, told, truth, archived)
                _stores_and_jobs(board, told, truth)
                _servers(board, told)
                await _variables_have_their_values(server, truth)
                await _chosen_values_narrow_it(server, begun)
                assert server.complaints() == []


async def _scraped(server: Prometheus) -> float:
    """When the first of enough scrapes of a whole picture was."""

    async def whole() -> bool:
        probes = await server.value('count(pbs_collector_success{server="vault"} == 1)')
        return probes == 4 and await server.value('pbs_pending_groups{server="vault"}') == 0

    async def enough() -> bool:
        window = f"{MOMENTS + 3}s"
        return (await server.value(f'count_over_time(pbs_up{{server="vault"}}[{window}])') or 0) > MOMENTS

    await until(whole, "a whole picture in Prometheus", seconds=60)
    begun = now().timestamp()
    await until(enough, "enough scrapes of it", seconds=60)
    return begun


def _standing(group: Mapping[str, Any], at: float, archived: Mapping[str, Any]) -> str:
    if group is archived:
        return "archived"
    if group["failed_attempts"]:
        return "failed"
    if group["verify_state"] == "failed":
        return "damaged"
    if group["last_good"] is None:
        return "never"
    age = at - group["last_good_end"]
    if group["type"] == "vm":
        return "past target" if age > TARGET else "in time"
    return "past rhythm" if group["interval"] and age > 2 * group["interval"] else "in time"


def _groups(board: Mapping[str, Any], told: Told, truth: Mapping[str, Any], archived: Mapping[str, Any]) -> None:
    seen = [group for group in truth["groups"] if group["readable"]]
    # What claims to be of the future is no good backup, and the truth does not tell of the one before it.
    future = {_key(group) for group in truth["special"]["future"]}
    standings = {_key(group): _standing(group, truth["now"], archived) for group in seen}
    every = {_of_row(row): row for row in _rows(board, told, "All groups, the oldest first")}
    words = {key: STANDINGS[row["B"]][0] for key, row in every.items()}
    assert words.keys() == standings.keys()
    assert {key for key in words if words[key] != standings[key]} <= future
    counts = {series["metric"]["standing"]: last(series) for series in told["Groups"]["A"]}
    assert counts == Counter(words.values())
    assert counts.keys() >= {"archived", "failed", "damaged", "never", "past target", "in time"}

    assert {key: row["D"] for key, row in every.items()} == {_key(group): group["finished"] for group in seen}
    assert {key for key, row in every.items() if "C" not in row} == {
        _key(group) for group in seen if group["last_good"] is None
    }
    bad = _rows(board, told, "Groups that need a look")
    assert {_of_row(row): STANDINGS[row["A"]][0] for row in bad} == {
        key: word for key, word in words.items() if word not in ("in time", "archived", "off on purpose")
    }
    blamed = {_of_row(series["metric"]) for series in told["Furthest past their target"]["A"]}
    assert len(blamed) == 12
    assert _key(archived) not in blamed
    damaged = {_of_row(row) for row in _rows(board, told, "Failed verifications")}
    assert damaged >= {key for key, word in words.items() if word == "damaged"}


def _stores_and_jobs(board: Mapping[str, Any], told: Told, truth: Mapping[str, Any]) -> None:
    stores = {row["datastore"]: row for row in _rows(board, told, "Datastores")}
    assert {name: row["maintenance"] for name, row in stores.items() if "maintenance" in row} == {
        "archive": "offline",
        "migrated": "read-only",
    }
    assert {name for name, row in stores.items() if row["mount_status"] == "notmounted"} == {"usb-rotate"}
    assert {name for name, row in stores.items() if row["backend_type"] == "s3"} == {"offsite"}
    assert {name for name, row in stores.items() if "C" not in row} == {"archive", "usb-rotate", "tenant-b"}
    assert {name for name, row in stores.items() if row.get("F", 0) > 0} == {"main", "usb-dock", "offsite"} & {
        name for name, row in stores.items() if "F" in row
    }
    collected = {row["datastore"]: row for row in _rows(board, told, "Garbage collection")}
    assert collected["offsite"]["B"] == 0
    assert {name for name, row in collected.items() if row["H"] > 0} == {"migrated"}

    jobs = _rows(board, told, "Jobs")
    assert {(row["job_type"], row["job_id"]) for row in jobs} <= {
        *((job["kind"], job["id"]) for job in truth["jobs"]),
        *(("gc", name) for name in stores),
    }
    assert {row["job_type"] for row in jobs} == {"sync", "verify", "prune", "tape", "gc"}
    assert {row["A"] for row in jobs if "A" in row} >= {1, 4}
    assert all(row["C"] <= 0 for row in jobs if "C" in row)
    assert {row["name"] for row in _rows(board, told, "Tape drives") if "vendor" not in row} == {"lto8-b"}
    unwell = _rows(board, told, "Last tasks that did not end well")
    assert {row["status"] for row in unwell} >= {"ERROR", "WARNINGS"}


def _servers(board: Mapping[str, Any], told: Told) -> None:
    counts = {
        target["legendFormat"]: last(told["Servers"][target["refId"]][0]) for target in board["Servers"]["targets"]
    }
    assert counts == {"up": 1, "down": 1, "off on purpose": 1}
    asked = {row["server"]: row for row in _rows(board, told, "Servers, as they are asked")}
    assert {name: row["A"] for name, row in asked.items()} == {"vault": 1, "lost": 0, "attic": 2}
    assert {name for name, row in asked.items() if "B" in row} == {"vault"}
    assert asked["vault"]["D"] > 900 * 365 * 86_400
    probes = _rows(board, told, "Probes")
    fast = {row["server"]: row["A"] for row in probes if row["probe"] == "fast"}
    assert fast == {"vault": 1, "attic": 0, "lost": 0}
    assert {row["probe"] for row in probes if row["server"] == "vault"} == {"fast", "medium", "slow", "rare"}
    grants = {(row["privilege"], row["path"]) for row in _rows(board, told, "Missing grants")}
    assert grants == {("Datastore.Audit", "/datastore/tenant-b")}
    failing = {series["metric"]["server"] for series in told["Requests that failed"]["A"]}
    assert failing == {"attic", "lost"}


async def _variables_have_their_values(server: Prometheus, truth: Mapping[str, Any]) -> None:
    seen = [group for group in truth["groups"] if group["readable"]]
    expected = {
        "server": {"vault", "attic", "lost"},
        "datastore": {"main", "offsite", "usb-dock", "usb-rotate", "archive", "migrated", "tenant-b"},
        "namespace": {group["ns"] for group in seen} - {""},
        "backup_type": {"vm", "ct", "host"},
    }
    asked = [one for one in load(BOARD)["templating"]["list"] if one["type"] == "query"]
    assert [one["name"] for one in asked] == list(expected)
    for variable in asked:
        found = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"])
        assert found is not None
        assert set(await server.label_values(found[2], filled(found[1], ALL))) == expected[variable["name"]]


async def _chosen_values_narrow_it(server: Prometheus, begun: float) -> None:
    for title, panel in panels(BOARD).items():
        found = await answered(server, panel, CHOSEN, begun)
        labels = [series["metric"] for result in found.values() for series in result]
        assert {one["server"] for one in labels if "server" in one} <= {"vault", "attic"}, title
        assert {one["datastore"] for one in labels if "datastore" in one} <= {"main"}, title
        assert {one["backup_type"] for one in labels if "backup_type" in one} <= {"vm", "ct"}, title


def _rows(board: Mapping[str, Any], told: Told, title: str) -> list[dict[str, Any]]:
    return merged(board[title], told[title])


def _key(group: Mapping[str, Any]) -> tuple[str, ...]:
    return group["store"], group["ns"] or ROOT, group["type"], group["id"]


def _of_row(row: Mapping[str, Any]) -> tuple[str, ...]:
    return row["datastore"], row["namespace"], row["backup_type"], row["backup_id"]


async def test_where_nothing_is_scraped_no_panel_shows_a_number(tmp_path: Path) -> None:
    async with prometheus(tmp_path) as server:
        for title, panel in panels(BOARD).items():
            for result in (await answered(server, panel, ALL, now().timestamp() - 60)).values():
                assert [last(series) for series in result if not math.isnan(last(series))] == [], title
