"""Whole answers that no recording holds."""

from __future__ import annotations

import json

import pytest

from lastgood.errors import BadPayload
from lastgood.tools.restic import documents

SNAPSHOT = {"time": "2026-11-20T09:35:08.63967708+01:00", "tree": "d3", "paths": ["/srv"], "id": "ab" * 32}


def as_list(**fields: object) -> bytes:
    return json.dumps([SNAPSHOT | fields]).encode()


def test_one_line_of_many_megabytes_is_read() -> None:
    many = [SNAPSHOT | {"id": f"{number:064x}", "tags": ["x" * 600]} for number in range(10_000)]
    payload = json.dumps(many).encode()
    assert len(payload) > 7_000_000
    assert len(documents.snapshots(payload)) == 10_000


@pytest.mark.parametrize("payload", [b"[]", b"[]\n", b"null\n", b"\x1b[2K[]\n"])
def test_an_empty_list_is_a_healthy_empty_repository(payload: bytes) -> None:
    assert documents.snapshots(payload) == []


@pytest.mark.parametrize(
    "payload",
    [b"", b"\n", b"no JSON", b"{}", b"[{}]", b'[{"id":5,"time":"x"}]', b"[1]", b'[{"time":"x"', b"\xff\xfe[]"],
)
def test_an_answer_that_cannot_be_read_is_never_an_empty_list(payload: bytes) -> None:
    with pytest.raises(BadPayload, match="restic's answer to snapshots cannot be read"):
        documents.snapshots(payload)


def test_a_progress_line_before_the_document_is_passed_over() -> None:
    payload = b"[0:00] 100.00%  3 / 3 index files loaded\n" + json.dumps({"total_size": 5}).encode() + b"\n"
    assert documents.raw_stats(payload).size_bytes == 5
    payload = b"[0:00] 0.00%\r\x1b[2K[0:00] 100.00%\r\n" + as_list()
    assert len(documents.snapshots(payload)) == 1


def test_the_error_names_the_wrong_field_and_not_the_line_before_it() -> None:
    with pytest.raises(BadPayload, match="total_size"):
        documents.raw_stats(b'[0:00] 100.00%\n{"total_size":"many"}\n')


def test_sizes_without_a_total_are_no_sizes() -> None:
    for payload in (b"{}", b'{"total_size":-1}'):
        with pytest.raises(BadPayload):
            documents.raw_stats(payload)


def test_a_snapshot_of_an_old_client_has_unknown_sizes_and_not_zero() -> None:
    (found,) = documents.snapshots(as_list())
    assert (found.size_bytes, found.files, found.ended_at, found.program_version) == (None, None, None, None)
    assert (found.tags, found.hostname, found.username) == ((), None, None)


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00Z", "1969-01-01T00:00:00Z", "nonsense", ""])
def test_a_snapshot_with_an_absurd_time_is_kept_without_it(time: str) -> None:
    (found,) = documents.snapshots(as_list(time=time))
    assert found.started_at is None


@pytest.mark.parametrize("end", ["0001-01-01T00:00:00Z", "2026-11-20T08:00:00+01:00", None])
def test_an_end_before_the_beginning_is_unknown(end: str | None) -> None:
    summary = {"backup_start": "2026-11-20T09:35:08+01:00", "backup_end": end, "total_bytes_processed": 9}
    (found,) = documents.snapshots(as_list(summary=summary))
    assert found.ended_at is None
    assert found.size_bytes == 9


def test_a_snapshot_of_a_future_time_keeps_its_true_end() -> None:
    summary = {"backup_start": "2026-11-20T09:35:08+01:00", "backup_end": "2026-11-20T09:36:08+01:00"}
    (found,) = documents.snapshots(as_list(time="2031-01-01T00:00:00+01:00", summary=summary))
    assert found.started_at is not None
    assert found.started_at.year == 2030
    assert found.ended_at is not None
    assert found.ended_at.year == 2026


def test_a_rewritten_snapshot_names_its_original() -> None:
    (found,) = documents.snapshots(as_list(original="cd" * 32))
    assert found.original == "cd" * 32


def test_a_short_id_names_a_snapshot_but_nothing_shorter_does() -> None:
    (found,) = documents.snapshots(as_list())
    assert found.short_id == "abababab"
    assert found.is_named("abababab")
    assert not found.is_named("ababab")
    assert not found.is_named("")
    assert not found.is_named("cd" * 32)


def test_lines_that_are_no_ids_are_no_locks() -> None:
    payload = b"repository 09c0def2 opened\n" + b"a" * 64 + b"\nshort\n" + b"G" * 64 + b"\n"
    assert documents.lock_ids(payload) == ["a" * 64]


def test_a_lock_with_an_absurd_time_is_still_a_lock() -> None:
    found = documents.lock("a" * 64, b'{"time":"0001-01-01T00:00:00Z","exclusive":false,"hostname":"web01"}')
    assert (found.created_at, found.exclusive, found.hostname) == (None, False, "web01")


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"restic 0.12.1 compiled with go1.18 on linux/amd64\n", (0, 12, 1)),
        (b"restic 0.17.0-dev (compiled manually) compiled with go1.22\n", (0, 17, 0)),
        (b"restic v0.16.4\n", (0, 16, 4)),
        (b"restic 1.0\n", (1, 0, 0)),
        (b'{"message_type":"version","version":"0.20.0-dev"}\n', (0, 20, 0)),
    ],
)
def test_versions_of_every_build_are_read(payload: bytes, expected: tuple[int, int, int]) -> None:
    assert documents.version(payload) == expected


@pytest.mark.parametrize("payload", [b"", b"borg 1.2.4\n", b'{"version":"new"}', b'{"message_type":"version"}'])
def test_another_program_is_not_taken_for_restic(payload: bytes) -> None:
    with pytest.raises(BadPayload):
        documents.version(payload)


def test_a_configuration_without_an_id_is_refused() -> None:
    for payload in (b"{}", b'{"version":2,"id":""}', b"null"):
        with pytest.raises(BadPayload):
            documents.repository_id(payload)


def test_a_flood_of_lines_that_begin_like_json_ends_soon() -> None:
    with pytest.raises(BadPayload):
        documents.snapshots(b"[0:00] 1%\n" * 100_000)
