"""What the simulated server says has the shape of the recordings and follows its world, clock and tasks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from .asking import Session, ask
from .settings import Settings
from .simulator import KopiaServer

RECORDINGS = Path(__file__).parent.parent / "recordings" / "kopia"
SOURCES = "/api/v1/control/sources"
LOCAL = "root@host0000:/data/00000"
FAR = "alice@host0000:/data/00002"


def keys(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield path, key
            if key not in ("tags", "schedule", "counters"):
                yield from keys(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for inner in value:
            yield from keys(inner, f"{path}[]")


def one(server: KopiaServer, name: str) -> dict[str, Any]:
    found = [
        told
        for told in ask(server, SOURCES).told["sources"]
        if f"{told['source']['userName']}@{told['source']['host']}:{told['source']['path']}" == name
    ]
    assert len(found) == 1
    return dict(found[0])


def test_status_sources_snapshots_and_tasks_have_the_recorded_keys() -> None:
    with KopiaServer(size="M", seed=3, oddities=["file", "pinned_only"]) as server:
        local = next(name for name, state in server.truth()["states"].items() if state == "IDLE")
        server.happen("begin", source=local)
        server.happen("maintenance", status="FAILED", error="clock skew")
        session = Session(server)
        user, _, rest = local.partition("@")
        host, _, path = rest.partition(":")
        query = urlencode({"host": host, "userName": user, "path": path})
        said = {
            "server-status": ask(server, "/api/v1/control/status").told,
            "server-sources": ask(server, SOURCES).told,
            "server-tasks": session.ask("/api/v1/tasks").told,
            "server-snapshots-all": session.ask(f"/api/v1/snapshots?{query}&all=1").told,
            "server-snapshots-unique": session.ask(f"/api/v1/snapshots?{query}").told,
        }
    for name, told in said.items():
        recorded = set(keys(json.loads((RECORDINGS / f"{name}.json").read_text())))
        absent = {key for _, key in recorded - set(keys(told))}
        assert absent <= {"ecc", "eccOverheadPercent", "tags", "pins", "incomplete", "uid"}, name


def test_bodies_are_indented_by_two_and_long_ones_come_in_chunks() -> None:
    with KopiaServer() as server:
        short, long = ask(server, "/api/v1/control/status"), ask(server, SOURCES)
    assert short.text.startswith('{\n  "connected": true,\n') and short.text.endswith("}\n")
    assert ("content-length" in short.headers, long.headers.get("transfer-encoding")) == (True, "chunked")


def test_the_last_snapshot_lags_the_world_until_the_next_refresh() -> None:
    with KopiaServer(Settings(refresh_seconds=3600), size="S") as server:
        before = one(server, FAR)["lastSnapshot"]["id"]
        server.happen("backup", source=FAR)
        assert one(server, FAR)["lastSnapshot"]["id"] == before
        server.advance(3601)
        assert one(server, FAR)["lastSnapshot"]["id"] != before
        newest = next(told for told in server.truth()["sources"] if told["path"] == "/data/00002")
        assert one(server, FAR)["lastSnapshot"]["endTime"] == newest["last_good"]["end"]


def test_a_run_uploads_with_counters_and_ends_by_the_clock() -> None:
    with KopiaServer(size="S") as server:
        server.happen("begin", source=LOCAL, seconds=600)
        during, task = one(server, LOCAL), Session(server).ask("/api/v1/tasks").told["tasks"][0]
        assert (during["status"], during["currentTask"]) == ("UPLOADING", task["id"])
        assert during["upload"]["uploadedBytes"] == 0 and during["upload"]["hashedBytes"] > 0
        assert "nextSnapshotTime" not in during and task["status"] == "RUNNING"
        server.advance(601)
        assert one(server, LOCAL)["status"] == "IDLE"
        assert Session(server).ask("/api/v1/tasks-summary").told == {"RUNNING": 0, "SUCCESS": 2}


def test_a_run_with_failed_files_is_a_success_and_one_that_died_leaves_no_manifest_and_no_next_time() -> None:
    scenario = {"source": LOCAL, "attempts": [{"hours_ago": 1}], "gap": 3600}
    scenario |= {"policy": {"scheduling": {"intervalSeconds": 3600}}}
    with KopiaServer(size="none", sources=[scenario]) as server:
        assert "nextSnapshotTime" in one(server, LOCAL)
        server.happen("begin", source=LOCAL, seconds=60, ended="fatal", failed=4)
        server.advance(60)
        last = one(server, LOCAL)["lastSnapshot"]
        task = Session(server).ask("/api/v1/tasks").told["tasks"][0]
        assert (last["rootEntry"]["summ"]["numFailed"], task["status"]) == (4, "SUCCESS")
        assert task["counters"]["Errors"]["value"] == 4
        server.happen("begin", source=LOCAL, seconds=60, ended="died", error="lstat: no such file")
        server.advance(60)
        task = Session(server).ask("/api/v1/tasks").told["tasks"][0]
        assert (task["status"], task["errorMessage"]) == ("FAILED", "lstat: no such file")
        after = one(server, LOCAL)
        assert (after["status"], after["lastSnapshot"]["id"]) == ("IDLE", last["id"])
        assert "nextSnapshotTime" not in after
        server.advance(4 * 3600)
        assert "nextSnapshotTime" in one(server, LOCAL)


def test_fifty_finished_tasks_are_kept_and_none_over_a_restart() -> None:
    with KopiaServer() as server:
        for _ in range(60):
            server.happen("maintenance")
        assert len(Session(server).ask("/api/v1/tasks").told["tasks"]) == 50
        server.happen("restart")
        assert [task["kind"] for task in Session(server).ask("/api/v1/tasks").told["tasks"]] == ["Repository"]


def test_equal_roots_are_one_row_the_oldest_unless_all_is_asked_for() -> None:
    attempts = [{"hours_ago": hours, "root": 7} for hours in (5, 3, 1)]
    with KopiaServer(size="none", sources=[{"source": LOCAL, "attempts": attempts}]) as server:
        session = Session(server)
        query = "host=host0000&userName=root&path=/data/00000"
        merged, every = (session.ask(f"/api/v1/snapshots?{query}{more}").told for more in ("", "&all=1"))
    assert [len(told["snapshots"]) for told in (merged, every)] == [1, 3]
    assert (merged["unfilteredCount"], merged["uniqueCount"]) == (3, 1)
    assert merged["snapshots"][0]["id"] == every["snapshots"][0]["id"]
    assert merged["snapshots"][0]["retention"][:2] == ["latest-1..3", "hourly-1..3"]


def test_a_pause_is_seen_at_the_next_refresh_and_lost_at_a_restart() -> None:
    with KopiaServer() as server:
        server.happen("state", source=LOCAL, state="PAUSED")
        states = [one(server, LOCAL)["status"]]
        server.happen("refresh")
        states.append(one(server, LOCAL)["status"])
        server.happen("restart")
        states.append(one(server, LOCAL)["status"])
    assert states == ["IDLE", "PAUSED", "IDLE"]


def test_unconnected_it_says_so_and_while_opening_it_names_the_task() -> None:
    with KopiaServer() as server:
        server.happen("connected", connected=False)
        status, refused = ask(server, "/api/v1/control/status"), ask(server, SOURCES)
        server.happen("connected", connected=False, opening=True)
        opening = ask(server, "/api/v1/control/status").told
    assert (status.status, status.told["connected"], "initTaskID" in status.told) == (200, False, False)
    assert (refused.status, refused.told) == (400, {"code": "NOT_CONNECTED", "error": "not connected"})
    assert opening["initTaskID"]


def test_policies_are_nested_and_sources_can_be_filtered() -> None:
    with KopiaServer(size="M") as server:
        session = Session(server)
        policies = session.ask("/api/v1/policies").told["policies"]
        few = ask(server, f"{SOURCES}?host=host0003").told["sources"]
        assert session.ask("/api/v1/policy/resolve?host=host0003", "POST").told["effective"]["scheduling"]
    assert all(set(told) == {"id", "target", "policy"} for told in policies)
    assert few and {told["source"]["host"] for told in few} == {"host0003"}


@pytest.mark.slow
def test_ten_thousand_sources_are_one_answer() -> None:
    with KopiaServer(size="L") as server:
        answer = ask(server, SOURCES)
    assert len(answer.told["sources"]) > 9_500
    assert len(answer.text) > 10_000_000
