"""Datastores, garbage collection, jobs and tapes as a server tells them."""

from __future__ import annotations

import pytest

from lastgood.model.pbs import LastTask, Media, TaskStatus
from lastgood.tools.pbs import shapes
from lastgood.tools.pbs.job_shapes import PruneJob, SyncJob, VerifyJob
from lastgood.tools.pbs.jobs import DAY as DAY_SECONDS
from lastgood.tools.pbs.jobs import drives_of, jobs_of, media_of, stale_after
from lastgood.tools.pbs.shapes import DatastoreRow, GcRow, S3Statistics, Usage
from lastgood.tools.pbs.stores import collected, s3_of, told, used
from tests.tools.pbs.rows_of import DAY, HOUR, NOW, UPID, epoch

GC = UPID.format(number=1, start=epoch(NOW - DAY), kind="garbage_collection")


def a_gc(**more: object) -> GcRow:
    told: dict[str, object] = {
        "store": "main",
        "upid": GC,
        "removed_bytes": 7,
        "disk_bytes": 100,
        "index_data_bytes": 900,
    }
    return GcRow(**(told | more))  # type: ignore[arg-type]


def a_run(end: int = 0, status: TaskStatus = TaskStatus.OK, minutes: int = 60) -> LastTask:
    ended_at = NOW - end * HOUR
    return LastTask(
        worker_type="garbage_collection",
        worker_id="main",
        status=status,
        comment="",
        started_at=ended_at - minutes * HOUR / 60,
        ended_at=ended_at,
    )


def test_usage_without_capacity_is_unknown_and_not_zero() -> None:
    """Trap 6."""
    known = used(None, Usage(store="main", total=10, used=4, avail=6, mount_status="nonremovable"), NOW)
    assert (known.total_bytes, known.used_bytes, known.available_bytes) == (10, 4, 6)
    store = used(known, Usage(store="main", error="unable to stat"), NOW)
    assert (store.total_bytes, store.used_bytes, store.available_bytes) == (None, None, None)
    half = used(None, Usage(store="main", total=10), NOW)
    assert half.total_bytes is None


@pytest.mark.parametrize("date", [0, -5, epoch(NOW - DAY)])
def test_an_estimate_of_zero_or_of_the_past_means_never(date: int) -> None:
    """Trap 16."""
    store = used(None, Usage(store="main", estimated_full_date=date), NOW)
    assert (store.full_at, store.history_known) == (None, True)


def test_an_estimate_is_told_and_its_absence_is_too_little_history() -> None:
    assert used(None, Usage(store="main", estimated_full_date=epoch(NOW + DAY)), NOW).full_at == NOW + DAY
    assert used(None, Usage(store="main"), NOW).history_known is False
    assert used(None, Usage(store="main", estimated_full_date=10**17), NOW).full_at is None


def test_the_capacity_of_an_s3_store_is_marked_as_its_cache() -> None:
    """Trap 16."""
    assert used(None, Usage(store="s", total=5, used=1, avail=4, backend_type="s3"), NOW).backend == "s3"
    s3 = s3_of(S3Statistics(downloaded=5, get=3, put=0))
    assert s3 is not None
    assert (s3.downloaded_bytes, s3.uploaded_bytes, dict(s3.requests)) == (5, None, {"get": 3, "put": 0})


@pytest.mark.parametrize(
    ("mode", "mount", "reason"),
    [
        ('type=offline,message="disk 3"', None, "offline"),
        ("delete", None, "deleted"),
        ("unmount", None, "unmounted"),
        ("s3-refresh", None, "S3"),
        (None, "notmounted", "not mounted"),
        ("read-only", "mounted", None),
        ("a-newer-one", None, None),
    ],
)
def test_the_state_of_a_datastore_says_whether_it_can_be_read(
    mode: str | None, mount: str | None, reason: str | None
) -> None:
    store = told(None, DatastoreRow(store="main", maintenance=mode, mount_status=mount))
    assert store.up is (False if reason else None)
    assert (reason or "") in (store.reason or "")


def test_a_collection_that_never_ran_says_nothing() -> None:
    gc = collected(None, GcRow(store="main", schedule="daily"), None, running=False)
    assert (gc.ended_at, gc.status, gc.removed_bytes, gc.succeeded_at) == (None, None, None, None)
    assert gc.dedup_factor is None


def test_while_it_runs_what_it_did_last_is_held() -> None:
    """Trap 11."""
    last = a_gc(last_run_endtime=epoch(NOW - 5 * HOUR), last_run_state="WARNINGS: 2")
    before = collected(None, last, a_run(5), running=False)
    assert (before.status, before.took_seconds) == (TaskStatus.WARNINGS, 3600.0)
    during = collected(before, a_gc(), a_run(5), running=True)
    assert (during.running, during.ended_at, during.status) == (True, before.ended_at, before.status)
    fresh = collected(None, a_gc(), a_run(5), running=True)
    assert (fresh.ended_at, fresh.status) == (NOW - 5 * HOUR, TaskStatus.OK)


def test_the_counters_are_of_the_last_success_and_the_duration_of_one_run() -> None:
    """Trap 11: the server's own duration would be a day."""
    row = a_gc(last_run_endtime=epoch(NOW), last_run_state="unable to open chunk store")
    gc = collected(None, row, a_run(0, TaskStatus.ERROR, minutes=2), running=False)
    assert (gc.status, gc.ended_at, gc.took_seconds) == (TaskStatus.ERROR, NOW, 120.0)
    assert (gc.removed_bytes, gc.succeeded_at) == (7, NOW - DAY)
    assert gc.dedup_factor == 9.0
    other = collected(None, row, a_run(3), running=False)
    assert other.took_seconds is None


def test_a_job_that_runs_keeps_its_last_end_and_one_that_never_ran_has_none() -> None:
    ended = VerifyJob(id="v", store="main", last_run_upid=GC, last_run_state="OK", last_run_endtime=epoch(NOW))
    [job] = jobs_of([ended], None, {})
    assert (job.status, job.ended_at, job.running) == (TaskStatus.OK, NOW, False)
    [again] = jobs_of([VerifyJob(id="v", store="main", last_run_upid=GC)], [job], {})
    assert (again.status, again.ended_at, again.running) == (TaskStatus.OK, NOW, True)
    [never] = jobs_of([VerifyJob(id="v", store="main")], [job], {})
    assert (never.status, never.ended_at, never.running) == (None, None, False)


def test_sync_jobs_pull_unless_they_say_otherwise_and_disabled_jobs_are_told() -> None:
    push = SyncJob(id="p", store="main", sync_direction="push", last_run_upid=GC, last_run_state="WARNINGS: 1")
    jobs = jobs_of([SyncJob(id="s", store="main", remote="dr"), push], None, {})
    assert [(job.direction, job.remote, job.status) for job in jobs] == [
        ("pull", "dr", None),
        ("push", None, TaskStatus.WARNINGS),
    ]
    [prune] = jobs_of([PruneJob(id="p", store="main", disable=True)], None, {})
    assert not prune.enabled


def test_a_verification_is_old_when_the_strictest_job_that_reaches_it_says_so() -> None:
    jobs = jobs_of(
        [
            VerifyJob(id="a", store="main", outdated_after=20),
            VerifyJob(id="b", store="main", ns="prod", outdated_after=7),
            VerifyJob(id="c", store="other", outdated_after=1),
        ],
        None,
        {},
    )
    days = [stale_after(jobs, *place) / DAY_SECONDS for place in (("main", ""), ("main", "prod/a"), ("third", ""))]
    assert days == [20, 7, 30]


def test_tapes_are_counted_by_pool_status_and_place() -> None:
    rows = [
        shapes.Media(label_text="A", status="full", location="vault-bank", pool="weekly", bytes_used=5),
        shapes.Media(label_text="B", status="full", location="vault-bank", pool="weekly"),
        shapes.Media(label_text="C", status="damaged", location="offline"),
    ]
    assert media_of(rows) == (
        Media(pool="", status="damaged", location="offline", tapes=1, bytes_used=0),
        Media(pool="weekly", status="full", location="vault-bank", tapes=2, bytes_used=5),
    )
    [seen, unseen] = drives_of([shapes.Drive(name="a", vendor="IBM", state="UPID"), shapes.Drive(name="b")])
    assert (seen.is_identified, seen.in_use, unseen.is_identified, unseen.in_use) == (True, True, False, False)
