"""Events that wait for their moment, and those on jobs, stores and the server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from . import FULL, SIZES, Setting, Simulator
from .asking import Answer, ask, connected, received, request, session
from .events import EVENTS, read_event
from .refusal import Mistake


def offline(store: str = "main") -> dict[str, Any]:
    return {"kind": "maintenance", "store": store, "mode": "offline", "message": "fsck"}


def test_an_event_waits_for_its_moment_of_the_simulated_clock() -> None:
    with Simulator() as pbs:
        pbs.plan({"do": offline(), "when": {"after_s": 3600}})
        assert ask(pbs, "admin/datastore/main/groups").status == 200
        pbs.clock(advance_s=3599)
        assert ask(pbs, "admin/datastore/main/groups").status == 200
        pbs.clock(advance_s=1)
        assert ask(pbs, "admin/datastore/main/groups").status == 400


def test_an_event_waits_for_a_number_of_requests() -> None:
    with Simulator() as pbs:
        ask(pbs, "version")
        pbs.plan({"do": offline(), "when": {"after_requests": 2}})
        assert [ask(pbs, "admin/datastore/main/groups").status for _ in range(4)] == [200, 200, 400, 400]


def test_an_event_comes_between_two_calls_of_one_cycle() -> None:
    with Simulator() as pbs:
        group = next(group for group in pbs.truth()["groups"] if group["store"] == "main" and group["ns"] == "prod")
        gone = {"kind": "delete-group"} | {key: group[key] for key in ("store", "ns", "type", "id")}
        pbs.plan({"do": gone, "when": {"between": ["**/groups", "**/snapshots"]}})
        with session(pbs) as get:
            get("admin/datastore/main/snapshots?ns=prod")  # the first call has not been seen yet
            listed = names(get("admin/datastore/main/groups?ns=prod"))
            still = names(get("admin/datastore/main/groups?ns=prod"))
            rows = names(get("admin/datastore/main/snapshots?ns=prod"))
        assert listed == still
        assert (group["type"], group["id"]) in listed
        assert rows == listed - {(group["type"], group["id"])}


def names(told: Answer) -> set[tuple[str, str]]:
    return {(row["backup-type"], row["backup-id"]) for row in told.data if row.get("backup-count") != 0}


def test_a_clock_that_runs_moves_on_and_one_that_stands_does_not() -> None:
    with Simulator() as still, Simulator(Setting(speed=100_000)) as running:
        assert still.truth()["now"] == still.truth()["now"] == still.setting.now
        first = running.truth()["now"]
        while running.truth()["now"] == first:
            ask(running, "ping", None)
        assert running.truth()["now"] > first


def test_cpu_is_told_since_the_previous_read_by_anyone() -> None:
    with Simulator() as pbs, session(pbs) as get, session(pbs, FULL) as other:
        first = get("nodes/localhost/status").data["cpu"]
        assert other("nodes/localhost/status").data["cpu"] == first
        pbs.clock(advance_s=5)
        second = get("nodes/localhost/status").data["cpu"]
        assert second != first


def gc(pbs: Simulator) -> dict[str, Any]:
    return next(row for row in ask(pbs, "admin/gc").data if row["store"] == "main")


def test_garbage_collection_loses_its_last_run_while_it_runs_and_lies_about_duration_after_a_failure() -> None:
    with Simulator() as pbs:
        before = gc(pbs)
        pbs.happen("gc-start", store="main")
        assert "last-run-endtime" not in gc(pbs)
        assert gc(pbs)["upid"] == before["upid"]
        pbs.clock(advance_s=600)
        pbs.happen("gc-fail", store="main", status="chunk store is locked")
        failed = gc(pbs)
        assert (failed["last-run-state"], failed["upid"]) == ("chunk store is locked", before["upid"])
        assert failed["duration"] > 600
        pbs.happen("gc-start", store="main")
        pbs.clock(advance_s=900)
        pbs.happen("gc-finish", store="main")
        good = gc(pbs)
        assert (good["last-run-state"], good["duration"]) == ("OK", 900)
        assert good["upid"] != before["upid"]


def sync(pbs: Simulator) -> dict[str, Any]:
    return next(row for row in ask(pbs, "admin/sync").data if row["id"] == "s-local")


def test_a_job_that_runs_tells_its_task_and_no_outcome() -> None:
    with Simulator(Setting(size=SIZES["states"])) as pbs:
        pbs.happen("job-start", job="sync", id="s-local")
        running = sync(pbs)
        assert "last-run-state" not in running
        tasks = {row["upid"] for row in ask(pbs, "nodes/localhost/tasks?running=1&limit=0").data}
        assert running["last-run-upid"] in tasks
        pbs.happen("job-finish", job="sync", id="s-local", status="WARNINGS: 3")
        assert sync(pbs)["last-run-state"] == "WARNINGS: 3"


def test_a_store_comes_and_goes() -> None:
    with Simulator() as pbs:
        pbs.happen("create-store", store="fresh")
        assert ask(pbs, "admin/datastore/fresh/groups").data == []
        pbs.happen("unmount", store="fresh")
        assert ask(pbs, "admin/datastore/fresh/groups").text == "datastore 'fresh' is not mounted"
        pbs.happen("mount", store="fresh")
        assert ask(pbs, "admin/datastore/fresh/groups").status == 200
        pbs.happen("remove-store", store="fresh")
        assert ask(pbs, "admin/datastore/fresh/groups").text == "no such datastore 'fresh'"


def test_a_verification_changes_no_count_but_leaves_its_task() -> None:
    with Simulator() as pbs:
        group = next(g for g in pbs.truth()["groups"] if g["verify_state"] == "ok" and g["store"] == "main")
        where = {key: group[key] for key in ("store", "ns", "type", "id")}
        path = f"admin/datastore/main/groups?ns={group['ns']}"
        before = ask(pbs, path).body
        pbs.clock(advance_s=60)
        pbs.happen("verify", **where, state="failed")
        assert ask(pbs, path).body == before
        changed = next(g for g in pbs.truth()["groups"] if where.items() <= g.items())
        assert changed["last_good"] < group["last_good"]
        upids = {row["upid"] for row in ask(pbs, "nodes/localhost/tasks?typefilter=verif").data}
        snapshots = ask(pbs, f"admin/datastore/main/snapshots?ns={group['ns']}&backup-id={group['id']}").data
        newest = next(row for row in snapshots if row["backup-time"] == group["last_complete"])
        assert newest["verification"]["state"] == "failed"
        assert newest["verification"]["upid"] in upids


def test_a_rotated_certificate_is_shown_to_the_next_connection() -> None:
    with Simulator() as pbs:
        with connected(pbs) as tls:
            pbs.happen("rotate-certificate")
            tls.sendall(request(pbs, "version", connection="close"))
            assert received(tls).startswith(b"HTTP/1.1 200")
        assert pbs.truth()["pin"] != pbs.pin
        with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
            ask(pbs, "version")


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ({"kind": "flood"}, "no event is called 'flood'"),
        ({"kind": "mount"}, "lacks store"),
        ({"kind": "mount", "store": "main", "at": 1}, "has no 'at'"),
    ],
)
def test_an_event_that_makes_no_sense_is_refused_in_one_sentence(event: dict[str, Any], said: str) -> None:
    with pytest.raises(Mistake, match=said):
        read_event(event)


def test_an_event_on_what_is_not_there_says_what_there_is() -> None:
    with Simulator() as pbs:
        with pytest.raises(Mistake, match="there is no store 'nope'; there are main, offsite"):
            pbs.happen("mount", store="nope")
        with pytest.raises(Mistake, match="there is no group vm/1 in main"):
            pbs.happen("delete-group", store="main", type="vm", id="1")
        with pytest.raises(Mistake, match="when says"):
            pbs.plan({"do": offline(), "when": {"at": "noon"}})


def test_every_event_has_a_test_of_its_effect() -> None:
    told = "".join(file.read_text() for file in Path(__file__).parent.glob("test_*.py"))
    assert [kind for kind in EVENTS if f'"{kind}"' not in told] == []


def test_a_crafted_task_and_a_clock_jump() -> None:
    with Simulator() as pbs:
        now = pbs.truth()["now"]
        task = {"worker_type": "tape-backup", "worker_id": "main:weekly:lto8-a", "start": now - 5, "end": now - 1}
        pbs.happen("task", **task, status="no media")
        newest: Answer = ask(pbs, "nodes/localhost/tasks?limit=1&statusfilter=error")
        assert newest.data[0]["status"] == "no media"
        pbs.happen("clock-jump", seconds=-7200)
        assert pbs.truth()["now"] == now - 7200


def test_a_jobs_run_is_seen_from_start_to_end() -> None:
    with Simulator() as pbs:
        pbs.clock(advance_s=30)
        pbs.happen("job-run", job="verify", id="v-daily", status="OK")
        row = ask(pbs, "admin/verify").data[0]
        assert (row["last-run-state"], row["last-run-endtime"]) == ("OK", pbs.truth()["now"])
