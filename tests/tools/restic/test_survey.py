"""What a look into a repository becomes on the wire."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import msgspec

from lastgood.tools.restic.documents import Lock, Snapshot
from lastgood.tools.restic.survey import MOST_POINTS, MOST_SERIES, locks, snapshots
from lastgood.wire.frames import FRAME_LIMIT, Report, encode
from tests.builders import NOW, an_id

REPOSITORY = an_id("repository")


def a_snapshot(number: int = 0, **changes: object) -> Snapshot:
    made = Snapshot(
        id=f"{number:064x}",
        short_id=f"{number:08x}",
        started_at=NOW + timedelta(minutes=number),
        ended_at=None,
        hostname="web-1",
        username="root",
        tags=("lg:x", "home"),
        paths=("/home",),
        tree="t",
        original=None,
        size_bytes=5,
        files=1,
        added_bytes=None,
        stored_bytes=None,
        program_version=None,
    )
    return replace(made, **changes)


def test_snapshots_are_grouped_by_host_tags_and_paths_with_the_newest_first() -> None:
    found = [a_snapshot(n) for n in range(15)]
    found += [a_snapshot(50, hostname="db-1"), a_snapshot(60, paths=("/etc",))]
    found += [a_snapshot(1, tags=("home", "lg:x"), tree="u")]
    told = snapshots(REPOSITORY, found, NOW)
    assert told.total == 18
    assert not told.truncated
    assert [(one.hostname, one.paths, one.count) for one in told.series] == [
        ("web-1", ("/etc",), 1),
        ("db-1", ("/home",), 1),
        ("web-1", ("/home",), 16),
    ]
    newest = told.series[2].newest
    assert [point.id for point in newest] == [f"{n:064x}" for n in range(14, 14 - MOST_POINTS, -1)]


def test_an_empty_repository_is_told_as_empty() -> None:
    told = snapshots(REPOSITORY, [], NOW)
    assert (told.total, told.series, told.truncated) == (0, (), False)


def test_a_snapshot_whose_time_cannot_be_believed_is_counted_only() -> None:
    told = snapshots(REPOSITORY, [a_snapshot(1, started_at=None), a_snapshot(2)], NOW)
    assert told.series[0].count == 2
    assert len(told.series[0].newest) == 1


def test_the_series_with_the_newest_snapshots_stay_when_there_are_too_many() -> None:
    found = [a_snapshot(n, hostname=f"host-{n}") for n in range(MOST_SERIES + 5)]
    told = snapshots(REPOSITORY, found, NOW)
    assert told.total == MOST_SERIES + 5
    assert told.truncated
    assert len(told.series) == MOST_SERIES
    assert told.series[0].hostname == f"host-{MOST_SERIES + 4}"


def test_a_survey_fits_into_a_frame_whatever_the_repository_holds() -> None:
    long = "/srv/" + "ä" * 1500
    found = [
        a_snapshot(n * 20 + m, hostname=f"host-{n}", paths=(f"{long}/{n}",)) for n in range(900) for m in range(12)
    ]
    told = snapshots(REPOSITORY, found, NOW)
    assert len(encode(Report(sequence=1 << 40, said=told))) < FRAME_LIMIT
    assert told.truncated
    assert told.total == 10_800
    assert told.series
    assert len(msgspec.json.encode(told)) > FRAME_LIMIT // 4, "no more was left out than had to be"


def test_locks_are_told_as_far_as_they_could_be_read() -> None:
    told = locks(
        REPOSITORY,
        [Lock(id="a" * 64, created_at=NOW, exclusive=True, hostname="web-1", pid=7), Lock(id="b" * 64)],
        NOW,
    )
    assert told.locks[0].exclusive
    assert told.locks[0].pid == 7
    assert (told.locks[1].hostname, told.locks[1].created_at, told.locks[1].exclusive) == ("", None, False)
