"""The truth the control port tells equals what the answers say, for every group, store and job."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from . import KNOWN, SIZES, Setting, Simulator, Version
from .asking import session
from .naive import Get, every_group

# Where a group's number exists twice in a store, PBS does not say whose task it was.
BY_TASKS = ("last_good_end", "in_progress", "failed_attempts")
ONLY_TOLD = ("store", "ns", "type", "id", "readable", "shared_id")


def assert_truth_of_groups(pbs: Simulator, get: Get) -> int:
    """AssertionError with the first groups that differ; gives how many were compared."""
    derived, wrong = every_group(get), []
    truth = [group for group in pbs.truth()["groups"] if group["readable"]]
    assert len(derived) == len(truth)
    for group in truth:
        ours = derived[group["store"], group["ns"], group["type"], group["id"]]
        left_out = (*ONLY_TOLD, *(BY_TASKS if group["shared_id"] else ()))
        for key, value in group.items():
            if key not in left_out and ours[key] != value:
                wrong.append((group["store"], group["ns"], group["type"], group["id"], key, value, ours[key]))
    assert wrong[:5] == []
    return len(truth)


@pytest.mark.parametrize("version", KNOWN)
def test_small_truth_is_what_the_answers_say(version: str) -> None:
    with Simulator(Setting(version=Version.parse(version))) as pbs, session(pbs, accept_encoding="deflate") as get:
        compared = assert_truth_of_groups(pbs, get)
        assert compared == (12 if Version.parse(version).has("cheap-groups") else 11)


def test_medium_truth_is_what_the_answers_say() -> None:
    with Simulator(Setting(size=SIZES["medium"])) as pbs, session(pbs) as get:
        assert assert_truth_of_groups(pbs, get) > 370


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3])
@pytest.mark.parametrize("version", KNOWN)
@pytest.mark.parametrize("size", ["medium", "states"])
def test_truth_is_what_the_answers_say_everywhere(size: str, version: str, seed: int) -> None:
    setting = Setting(size=SIZES[size], version=Version.parse(version), seed=seed)
    with Simulator(setting) as pbs, session(pbs) as get:
        assert assert_truth_of_groups(pbs, get) > 100


@pytest.mark.parametrize("version", ["3.2.4", "4.1.8"])
def test_truth_of_stores_jobs_and_tasks_is_what_the_answers_say(version: str) -> None:
    setting = Setting(size=SIZES["states"], version=Version.parse(version))
    with Simulator(setting) as pbs, session(pbs) as get:
        truth = pbs.truth()
        usage = {row["store"]: row for row in get("status/datastore-usage").data}
        assert usage.keys() == {store["store"] for store in truth["stores"] if store["listed"]}
        for store in truth["stores"]:
            row = usage.get(store["store"], {})
            assert ("total" in row) is store["capacity_known"]
            assert row.get("estimated-full-date") == store["estimated_full"]
            if store["capacity_known"]:
                assert [row[key] for key in ("total", "used", "avail")] == [
                    store[key] for key in ("total", "used", "avail")
                ]
        collected = {row["store"]: row for row in get("admin/gc").data}
        assert collected.keys() == {row["store"] for row in truth["stores"] if row["audited"] and row["available"]}
        upids = {row["upid"] for row in get("nodes/localhost/tasks?limit=0&typefilter=garbage").data}
        for store in truth["stores"]:
            row = collected.get(store["store"], {"last-run-endtime": store["gc"]["last_end"]})
            assert row.get("last-run-endtime") == store["gc"]["last_end"]
            assert row.get("upid") is None or row["upid"] in upids
        assert _classes(get) == truth["tasks"]["finished"]
        assert _latest(get) == {
            (row["worker_type"], row["worker_id"]): row["end"] for row in truth["tasks"]["latest"]
        }
        for kind, path in (("verify", "admin/verify"), ("prune", "admin/prune")):
            told = {row["id"]: row for row in get(path).data}
            for job in (job for job in truth["jobs"] if job["kind"] == kind and job["id"] in told):
                row = told[job["id"]]
                assert row.get("next-run") == job["next_run"]
                assert row.get("last-run-endtime") == job["last_end"]
                assert ("last-run-upid" in row and "last-run-state" not in row) is job["running"]


def _classes(get: Get) -> dict[str, dict[str, int]]:
    counts: dict[str, Counter[str]] = {}
    for task in get("nodes/localhost/tasks?limit=0").data:
        status = task.get("status")
        if status is not None:
            name = {"OK": "ok", "unknown": "unknown"}.get(status, "warning" if status[:9] == "WARNINGS:" else "error")
            counts.setdefault(task["worker_type"], Counter())[name] += 1
    return {kind: dict(by) for kind, by in counts.items()}


def _latest(get: Get) -> dict[tuple[str, str], int]:
    """The end of the last task by type and what it worked on; hex times of snapshots are cut off."""
    ends: dict[tuple[str, str], int] = {}
    for task in get("nodes/localhost/tasks?limit=0").data:
        worker, slash, last = (task["worker_id"] or "").rpartition("/")
        timed = slash and len(last) == 8 and set(last) <= set("0123456789ABCDEF")
        key = (task["worker_type"], worker if timed else task["worker_id"] or "")
        if "endtime" in task:
            ends[key] = max(ends.get(key, 0), task["endtime"])
    return ends


def _a_group(pbs: Simulator, **wanted: Any) -> dict[str, Any]:
    groups: list[dict[str, Any]] = pbs.truth()["groups"]
    return next(g for g in groups if g["readable"] and all(g[key] == value for key, value in wanted.items()))


def _key(group: dict[str, Any]) -> dict[str, Any]:
    return {key: group[key] for key in ("store", "ns", "type", "id")}


def test_truth_follows_every_event_on_content() -> None:
    with Simulator() as pbs, session(pbs) as get:
        plain: dict[str, Any] = {"unfinished": None, "shared_id": False, "failed_attempts": 0}
        group = _key(_a_group(pbs, verify_state="ok", **plain))
        other = _key(_a_group(pbs, verify_state="none", **plain))
        running = _key(_a_group(pbs, in_progress=True))
        steps: list[tuple[str, dict[str, Any]]] = [
            ("verify", group | {"state": "failed"}),
            ("edit-comment", group | {"comment": "kept – für die Prüfer"}),
            ("edit-group-comment", other | {"comment": "whose is this?"}),
            ("protect", other | {"protected": True}),
            ("finish-upload", running),
            ("add-snapshot", group),
            ("start-upload", other | {"time": 1763625500}),
            ("abort-upload", other | {"leave": True}),
            ("fail-backup", group),
            ("delete-snapshot", group),
            ("create-namespace", {"store": "main", "ns": "new"}),
            ("add-snapshot", {"store": "main", "ns": "new", "type": "ct", "id": "77"}),
            ("delete-snapshot", {"store": "main", "ns": "new", "type": "ct", "id": "77", "keep_group": True}),
            ("delete-group", other),
            ("remove-namespace", {"store": "main", "ns": "prod"}),
            ("create-store", {"store": "fresh"}),
            ("add-snapshot", {"store": "fresh", "type": "host", "id": "nas"}),
            ("maintenance", {"store": "main", "mode": "offline", "message": "fsck"}),
            ("maintenance", {"store": "main", "mode": None}),
            ("unmount", {"store": "offsite"}),
            ("remove-store", {"store": "fresh"}),
        ]
        before = pbs.truth()
        for kind, told in steps:
            pbs.happen(kind, **told)
            after = pbs.truth()
            assert after != before, f"{kind} changed nothing"
            before = after
            assert assert_truth_of_groups(pbs, get) > 0
