"""A Proxmox Backup Server in the settings of a real hub: its groups are sources, until it leaves the settings."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from lastgood.clock import now
from lastgood.ids import stable_key
from tests.flow.hub import Client, Up, until, up, value
from tests.pbs_simulator import MONITOR, Setting, Simulator


def settings_of(pbs: Simulator) -> Mapping[str, str]:
    return {
        "LASTGOOD_PBS__ENDPOINT": pbs.url,
        "LASTGOOD_PBS__TOKEN_ID": MONITOR,
        "LASTGOOD_PBS__TOKEN_SECRET": pbs.secret(),
        "LASTGOOD_PBS__FINGERPRINT": pbs.pin,
    }


def told_groups(pbs: Simulator) -> dict[str, dict[str, Any]]:
    """Source id -> what the server knows of that group."""
    return {
        stable_key("pbs", "", group["store"], group["ns"], group["type"], group["id"]): group
        for group in pbs.truth()["groups"]
        if group["readable"]
    }


def seconds(moment: str | None) -> int | None:
    return None if moment is None else int(datetime.fromisoformat(moment).timestamp())


def all_sources(client: Client) -> dict[str, dict[str, Any]]:
    """Those of the server; this machine has one of its own."""
    return {one["id"]: one for one in client.get("sources", limit=1000)["items"] if one["collector"] is not None}


def looked_at(client: Client, wanted: set[str]) -> dict[str, dict[str, Any]]:
    """The sources, once all are there and the collector has seen into each of them."""

    def ask() -> dict[str, dict[str, Any]] | None:
        (collector,) = client.get("collectors")["items"]
        found = all_sources(client)
        is_whole = not collector["pending"] and all(one["rounds"] for one in collector["probes"])
        return found if is_whole and wanted <= found.keys() else None

    return until(ask, "all groups as sources")


def check(pbs: Simulator, hub: Up, client: Client) -> None:
    """Every face says of every group what its server knows."""
    truth = told_groups(pbs)
    found = looked_at(client, set(truth))
    assert found.keys() == truth.keys()
    samples = client.metrics(hub.data_dir)
    for source_id, group in truth.items():
        one = found[source_id]
        assert (one["tool"], one["found"], one["host_id"]) == ("pbs", True, None)
        good_at = seconds(one["last_good_started_at"])
        assert value(samples, "backup_last_good_start_timestamp_seconds", source=source_id) == good_at
        if (group["last_complete"] or 0) <= now().timestamp():  # what claims to be of the future does not count
            assert good_at == group["last_good"], group
        assert value(samples, "backup_source_state", source=source_id, state=one["state"]) == 1
        assert value(samples, "backup_snapshots", source=source_id) == one["snapshots"]
    for probe in ("fast", "medium", "slow", "rare"):
        assert value(samples, "lastgood_collector_success", collector="pbs", probe=probe) == 1
    stores = {one["name"]: one for one in client.get("repositories")["items"]}
    for store in pbs.truth()["stores"]:
        if store["listed"] and store["capacity_known"]:
            assert stores[store["store"]]["available_bytes"] == store["avail"]


def test_its_groups_are_sources_on_every_face_and_survive_a_restart_until_it_leaves_the_settings(
    tmp_path: Path,
) -> None:
    with Simulator(Setting(now=int(now().timestamp()), speed=1.0)) as pbs:
        env = settings_of(pbs)
        with up(tmp_path, env=env) as hub, Client(hub.url) as client:
            client.welcome(hub.said(r"Sign in\s+(http\S+)")[1])
            check(pbs, hub, client)
            first = all_sources(client)
            chosen = next(iter(first))
            assert (
                client.send("PATCH", f"sources/{chosen}", {"name": "mine", "target_seconds": 180000}).status_code
                == 200
            )
            page = client.http.get("/collectors")
            assert page.status_code == 200
            assert pbs.secret() not in page.text
            cookies = client.http.cookies

        with up(tmp_path, env=env) as hub, Client(hub.url) as client:
            hub.said(r"http://127")
            client.http.cookies = cookies
            assert all_sources(client).keys() == first.keys()
            check(pbs, hub, client)
            assert all_sources(client)[chosen]["name"] == "mine"
            assert pbs.secret() not in (tmp_path / "lastgood.db").read_bytes().decode("latin-1")

    with up(tmp_path) as hub, Client(hub.url) as client:
        hub.said(r"http://127")
        client.http.cookies = cookies
        until(lambda: not all_sources(client), "the server's sources to go")
        assert [one for one in client.get("repositories")["items"] if one["collector"] is not None] == []
        assert client.get("collectors")["items"] == []
