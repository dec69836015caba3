"""The task list's filters, with their traps, on a crafted list."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from . import FULL, OWN, Setting, Simulator, Version
from .asking import ask
from .history import Diary
from .tasks import Query, TaskLog
from .upid import escaped


@pytest.fixture
def log() -> TaskLog:
    diary = Diary()
    diary.add(100, 900, "OK", "backup", "main:vm/1", "a@pbs!x")  # long: started first, ended last
    diary.add(200, 300, "OK", "syncjob", "dr:far:main::s-1")
    diary.add(400, 500, "WARNINGS: 2", "prunejob", "main:prod")
    diary.add(600, 700, "sync failed with some errors.", "sync", "offsite")
    diary.add(650, 660, "unknown", "verify", "main")
    diary.add(50, None, None, "verify", "main")
    diary.add(800, None, None, "backup", "main:vm/2", "a@pbs!x")
    diary.add(300, 310, "OK", "realm-sync", "ad")
    return diary.log(100)


def starts(log: TaskLog, **asked: object) -> list[int]:
    return [task.start for task in log.select(Query(**asked))[0]]  # type: ignore[arg-type]


def test_running_tasks_lead_and_the_newest_end_follows(log: TaskLog) -> None:
    assert starts(log) == [800, 50, 100, 600, 650, 400, 300, 200]


def test_since_looks_at_the_start_and_stops_at_the_first_earlier_end(log: TaskLog) -> None:
    # The long backup ended at 900 and is dropped all the same; so is the verify that still runs.
    assert starts(log, since=600) == [800, 600, 650]
    assert starts(log, since=310) == [800, 600, 650, 400]


def test_until_looks_at_the_start(log: TaskLog) -> None:
    assert starts(log, until=200) == [50, 100, 200]


def test_limit_is_fifty_unless_said_and_none_when_zero() -> None:
    diary = Diary()
    for start in range(120):
        diary.add(start, start + 1, "OK", "backup", "main:vm/1")
    log = diary.log(1000)
    assert len(starts(log)) == 50
    assert len(starts(log, limit=0)) == 120
    assert starts(log, start=118) == [1, 0]


def test_total_is_one_more_than_told_where_there_is_more(log: TaskLog) -> None:
    assert log.select(Query(limit=3))[1] == 4
    assert log.select(Query(start=2, limit=3))[1] == 6
    assert log.select(Query(limit=8))[1] == 8
    assert log.select(Query(limit=0))[1] == 8


def test_running_leaves_only_what_has_no_end(log: TaskLog) -> None:
    assert starts(log, running=True) == [800, 50]


def test_errors_drops_only_what_is_ok_and_keeps_what_runs(log: TaskLog) -> None:
    assert starts(log, errors=True) == [800, 50, 600, 650, 400]


def test_a_status_filter_drops_running_tasks(log: TaskLog) -> None:
    assert starts(log, statusfilter=("error", "warning")) == [600, 400]
    assert starts(log, statusfilter=("unknown",)) == [650]
    assert starts(log, statusfilter=("ok",)) == [100, 300, 200]


def test_a_type_filter_hits_every_type_that_contains_it(log: TaskLog) -> None:
    assert starts(log, typefilter="sync") == [600, 300, 200]


def test_user_and_store_filters(log: TaskLog) -> None:
    assert starts(log, userfilter="a@pbs") == [800, 100]
    assert starts(log, store="offsite") == [600]
    assert starts(log, store="far") == [200]


def test_the_filters_arrive_over_the_wire() -> None:
    with Simulator() as pbs:
        path = "nodes/localhost/tasks"
        told = ask(pbs, f"{path}?statusfilter=error&statusfilter=warning&limit=0").data
        assert {row["status"] for row in told} > {"WARNINGS: 1"}
        assert all(row["status"] not in ("OK", "unknown") for row in told)
        page = ask(pbs, f"{path}?start=2&limit=5").told
        assert (len(page["data"]), page["total"]) == (5, 8)
        assert all("endtime" not in row for row in ask(pbs, f"{path}?running=1&limit=0").data)
        since = pbs.truth()["now"] - 3600
        assert all(row["starttime"] >= since for row in ask(pbs, f"{path}?since={since}").data)
        assert {row["worker_type"] for row in ask(pbs, f"{path}?typefilter=verif&limit=0").data} >= {"verify"}


def test_who_may_not_audit_tasks_sees_a_healthy_list_of_their_own() -> None:
    with Simulator() as pbs:
        rows = ask(pbs, "nodes/localhost/tasks?limit=0", OWN).data
        assert rows
        assert {row["user"] for row in rows} == {OWN}


@pytest.mark.parametrize(("version", "told"), [(Version(4, 1, 8), False), (Version(4, 2, 3), True)])
def test_one_tasks_state_and_log_are_found_by_its_escaped_name(version: Version, told: bool) -> None:
    with Simulator(Setting(version=version)) as pbs:
        rows = ask(pbs, "nodes/localhost/tasks?typefilter=prunejob").data
        row = next(row for row in rows if "\\x3a" in row["upid"])
        path = f"nodes/localhost/tasks/{quote(row['upid'], safe='')}"
        state = ask(pbs, f"{path}/status", FULL).data
        assert (state["status"], state["exitstatus"], state["type"]) == ("stopped", row["status"], "prunejob")
        assert ("endtime" in state) is told
        log = ask(pbs, f"{path}/log", FULL).told
        assert log["total"] == len(log["data"]) == 3


def test_worker_ids_are_escaped_like_unit_names() -> None:
    assert escaped("main:vm/100") == "main\\x3avm-100"
    assert escaped("dr-site:main") == "dr\\x2dsite\\x3amain"
