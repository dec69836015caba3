"""Answers become shapes, row by row, whatever stands in them (trap 6)."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastgood.errors import BadPayload
from lastgood.tools.pbs import job_shapes, shapes
from lastgood.tools.pbs.reading import ListReader, OneReader, any_row
from lastgood.tools.pbs.rows import Rows
from lastgood.tools.pbs.shapes import GroupRow, SnapshotRow, Usage

FOLDER = Path(__file__).parents[2] / "recordings" / "pbs"

ONE: dict[str, Any] = {
    "version.json": shapes.Version,
    "node-status.json": shapes.NodeStatus,
    "subscription.json": shapes.Subscription,
    "datastore-status-s3.json": shapes.StoreStatus,
}
LISTS: dict[str, Any] = {
    "datastore-usage.json": shapes.Usage,
    "datastore-usage-3.2.json": shapes.Usage,
    "datastore-list.json": shapes.DatastoreRow,
    "namespaces.json": shapes.Namespace,
    "groups.json": shapes.GroupRow,
    "snapshots.json": shapes.SnapshotRow,
    "gc.json": shapes.GcRow,
    "jobs-sync.json": job_shapes.SyncJob,
    "jobs-verify.json": job_shapes.VerifyJob,
    "jobs-prune.json": job_shapes.PruneJob,
    "tasks.json": job_shapes.TaskRow,
    "tape-drive.json": shapes.Drive,
    "tape-media.json": shapes.Media,
}
NOT_READ = {
    "certificates.json",  # asking for it takes a right to write; the handshake tells the same
    "metrics-pull.json",  # the same numbers as the node's status and the usage of datastores
    "errors.json",  # texts, not an answer: tests of refusals
}


def recorded(name: str) -> bytes:
    return (FOLDER / name).read_bytes()


def identity(row: Any) -> Any:
    return json.dumps(repr(row))


def reading(shape: Any, body: bytes, step: int = 1 << 16, key: Callable[[Any], Any] = identity) -> Rows[Any]:
    reader = ListReader(shape, "pbs-a: list", into=any_row, key=key)
    for start in range(0, len(body), step):
        reader.feed(body[start : start + step])
    return reader.end()


def one(shape: Any, body: bytes) -> Any:
    reader = OneReader(shape, "pbs-a: one")
    reader.feed(body)
    return reader.end()


def listed(*rows: dict[str, Any]) -> bytes:
    return json.dumps({"data": rows}, separators=(",", ":")).encode()


def snapshot(number: int, **other: Any) -> dict[str, Any]:
    told = {"backup-type": "vm", "backup-id": str(number % 7), "backup-time": 1_500_000_000 + number, "size": number}
    files = [{"filename": "a.fidx", "crypt-mode": "none"}, {"filename": "index.json.blob"}]
    return told | {"files": files, "protected": False, "owner": "pve@pbs!c"} | other


def test_every_recording_is_read_or_named_as_not_read() -> None:
    assert {path.name for path in FOLDER.glob("*.json")} == ONE.keys() | LISTS.keys() | NOT_READ


@pytest.mark.parametrize("name", sorted(LISTS))
def test_every_row_of_a_recorded_list_is_read(name: str) -> None:
    rows = reading(LISTS[name], recorded(name))
    told = json.loads(recorded(name))
    assert len(rows) == len(told["data"])
    assert rows.is_whole
    assert rows.total == told.get("total")


@pytest.mark.parametrize("name", sorted(ONE))
def test_every_recorded_object_is_read(name: str) -> None:
    assert one(ONE[name], recorded(name)) is not None


def test_a_datastore_without_capacity_is_read_and_its_capacity_unknown() -> None:
    rows = {row.store: row for row in reading(Usage, recorded("datastore-usage.json"))}
    assert rows["main"].total == 11995460239360
    for store in ("usb-rotate", "archive", "tenant-b"):
        assert (rows[store].total, rows[store].used, rows[store].avail) == (None, None, None)
    assert rows["archive"].error is not None
    assert rows["main"].gc_status is not None
    old = {row.store: row for row in reading(Usage, recorded("datastore-usage-3.2.json"))}
    assert (old["main"].mount_status, old["main"].backend_type) == (None, None)


def test_snapshots_tell_what_is_finished_and_encrypted() -> None:
    rows = list(reading(SnapshotRow, recorded("snapshots.json")))
    unfinished = [row for row in rows if not row.is_finished]
    assert [row.backup_time for row in unfinished] == [1763624700]
    encrypted = [row.backup_time for row in rows if row.is_encrypted]
    assert encrypted == [1763343600]
    assert not any(row.is_signed for row in rows)
    assert not any(row.is_encrypted or row.is_signed for row in unfinished)


def test_jobs_run_never_ran_or_have_run() -> None:
    rows = {row.id: row for row in reading(job_shapes.SyncJob, recorded("jobs-sync.json"))}
    assert [rows[name].is_running for name in ("s-0a1b2c3d", "s-push-off", "s-local")] == [True, False, False]
    verify = {row.id: row for row in reading(job_shapes.VerifyJob, recorded("jobs-verify.json"))}
    assert not verify["v-new"].is_running
    assert verify["v-new"].last_run_state is None


def test_the_key_of_a_subscription_is_not_even_read() -> None:
    told = json.loads(recorded("subscription.json"))["data"]
    read = repr(one(shapes.Subscription, recorded("subscription.json")))
    assert told["key"] not in read
    assert told["serverid"] not in read


@pytest.mark.parametrize(
    "bad",
    [
        {"backup-time": 1e30},
        {"backup-time": 1763602800.5},
        {"backup-time": 10**40},
        {"backup-time": -1},
        {"backup-time": "1763602800"},
        {"backup-time": None},
        {"backup-type": None},
        {"backup-type": ["vm"]},
        {"backup-id": 100},
        {"backup-id": "x" * 2_000},
        {"size": 1e30},
        {"size": -5},
        {"files": "index.json.blob"},
        {"protected": "no"},
        {"verification": {"state": "ok"}},
    ],
)
def test_one_bad_row_costs_one_row_and_the_list_is_not_whole(bad: dict[str, Any]) -> None:
    rows = reading(SnapshotRow, listed(snapshot(1), snapshot(2, **bad), snapshot(3)))
    assert [row.size for row in rows] == [1, 3]
    assert rows.unreadable == 1
    assert not rows.is_whole
    assert rows.complaint is not None
    assert rows.complaint.startswith("pbs-a: list: a row cannot be read (")


@pytest.mark.parametrize("odd", [None, 7, "row", [], [[]], True])
def test_what_is_no_row_costs_itself(odd: Any) -> None:
    body = json.dumps({"data": [snapshot(1), odd, snapshot(2)]}).encode()
    assert (len(reading(SnapshotRow, body)), reading(SnapshotRow, body).unreadable) == (2, 1)


def test_a_row_that_comes_twice_counts_once() -> None:
    rows = reading(SnapshotRow, listed(snapshot(1), snapshot(2), snapshot(1)), key=lambda row: row.backup_time)
    assert (len(rows), rows.repeated, rows.unreadable) == (2, 1, 0)


def test_unknown_fields_and_words_of_tomorrow_are_taken() -> None:
    row = {"backup-type": "qube", "backup-id": "x", "last-backup": 0, "backup-count": 0, "mood": {"a": [1]}}
    assert [each.backup_type for each in reading(GroupRow, listed(row))] == ["qube"]


def test_a_full_date_beyond_every_calendar_is_no_date_and_costs_nothing() -> None:
    rows = reading(Usage, listed({"store": "a", "estimated-full-date": 9 * 10**17}))
    assert [shapes.moment(row.estimated_full_date) for row in rows] == [None]
    assert shapes.moment(shapes.LATEST) is not None
    assert shapes.moment(-1) is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"null",
        b'{"data":null}',
        b'{"data":{}}',
        b'{"data":[}',
        b'{"data":[{"backup-type":"vm"}',
        b'{"data":[]}]',
        b'{"data":' + b"[" * 100_000,
        b'{"data":[{"a":' + b"[" * 100_000,
        b'{"data":[{"a":NaN}]}',
        b"\xff\xfe\x00",
        b"authentication failed",
    ],
)
def test_what_is_no_list_is_a_bad_payload(body: bytes) -> None:
    with pytest.raises(BadPayload, match=r"^pbs-a: list was answered with what cannot be read \(") as error:
        reading(SnapshotRow, body)
    assert error.value.cause == "bad_payload"
    assert len(str(error.value)) < 400


@pytest.mark.parametrize("body", [b"<!DOCTYPE html><html>", b"\n  <html>", b"<" + b"x" * 1_000_000])
def test_a_web_page_is_called_one(body: bytes) -> None:
    for read in (lambda: reading(SnapshotRow, body), lambda: one(shapes.Version, body)):
        with pytest.raises(BadPayload, match="was answered with a web page") as error:
            read()
        assert error.value.cause == "html"


def test_a_web_page_is_not_read_to_its_end() -> None:
    reader = ListReader(SnapshotRow, "pbs-a: list", into=any_row, key=identity)
    with pytest.raises(BadPayload):
        reader.feed(b"<html>")


TEXT = st.text(alphabet=st.sampled_from('ab"\\{}[],:\u2028é\n\x07'), max_size=12)


@given(
    comments=st.lists(st.one_of(st.none(), TEXT), min_size=1, max_size=30),
    step=st.integers(1, 400),
    spaced=st.booleans(),
)
def test_however_a_list_is_cut_on_its_way_the_same_rows_are_read(
    comments: list[str | None], step: int, spaced: bool
) -> None:
    rows = [snapshot(number, comment=comment) for number, comment in enumerate(comments)]
    body = json.dumps({"data": rows, "total": len(rows)}, separators=None if spaced else (",", ":")).encode()
    reader = ListReader(SnapshotRow, "x", into=any_row, key=identity)
    reader._cut_at = 1  # cut as soon as there is anything to cut
    for start in range(0, len(body), step):
        reader.feed(body[start : start + step])
        reader._cut_at = min(reader._cut_at, 1)
    read = reader.end()
    assert [row.comment for row in read] == comments
    assert read.total == len(rows)


def test_a_comment_that_looks_like_the_border_of_two_rows_stays_a_comment() -> None:
    comments = ['},{"backup-type":"vm"', '"},{"backup-type":', '\\"},{"backup-type"', '{"data":[', "}]}"]
    body = listed(*(snapshot(number, comment=comment) for number, comment in enumerate(comments * 1000)))
    read = reading(SnapshotRow, body, step=1000)
    assert [row.comment for row in read] == comments * 1000


def test_a_list_with_blanks_between_its_rows_is_read_all_the_same() -> None:
    rows = [snapshot(number) for number in range(3000)]
    read = reading(SnapshotRow, json.dumps({"data": rows}, indent=2).encode())
    assert [row.size for row in read] == list(range(3000))


def test_a_long_list_is_never_held_as_text() -> None:
    body = listed(*(snapshot(number, comment="x" * 2000) for number in range(4000)))
    reader = ListReader(SnapshotRow, "x", into=lambda row: row.backup_time, key=lambda row: row.backup_time)
    tracemalloc.start()
    try:
        for start in range(0, len(body), 1 << 16):
            reader.feed(body[start : start + (1 << 16)])
        rows = reader.end()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(rows) == 4000
    assert len(body) > 8_000_000
    assert peak < 3_000_000
