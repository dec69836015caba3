"""What the snapshots of a group say."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from lastgood.model.pbs import Verification
from lastgood.tools.pbs.groups import cut, edge, is_moved, listed, new_group, read
from lastgood.tools.pbs.shapes import GroupRow
from tests.tools.pbs.rows_of import DAY, HOUR, NOW, a_group, a_line, epoch


def test_an_upload_without_an_end_is_no_backup() -> None:
    """Trap 1."""
    reading = read(a_group(), [a_line(NOW - DAY), a_line(NOW - HOUR, size=None)], NOW)
    group = reading.group
    assert group.last_good is not None
    assert group.last_good.backup_at == NOW - DAY
    assert (group.finished, group.unfinished, group.unfinished_at) == (1, 1, NOW - HOUR)
    assert reading.rows == 2


def test_an_empty_group_has_no_backup_and_no_age() -> None:
    """Trap 1: its ``last-backup`` of 0 is not the year 1970."""
    group = read(a_group(), [], NOW).group
    assert (group.finished, group.last_good, group.last_complete, group.oldest_at) == (0, None, None, None)


def test_a_failed_verification_of_the_newest_makes_the_last_good_one_older() -> None:
    """Trap 12."""
    rows = [a_line(NOW - 2 * DAY, state="ok"), a_line(NOW - DAY, state="failed"), a_line(NOW - 3 * DAY)]
    group = read(a_group(), rows, NOW).group
    assert group.last_complete is not None
    assert group.last_good is not None
    assert group.last_complete.verification is Verification.FAILED
    assert group.last_good.backup_at == NOW - 2 * DAY


def test_the_time_of_a_verification_is_the_start_of_its_task() -> None:
    """Trap 12."""
    group = read(a_group(), [a_line(NOW - 2 * DAY, state="ok"), a_line(NOW - DAY)], NOW).group
    assert group.last_verified is not None
    assert group.last_verified.verified_at == NOW - 2 * DAY + HOUR


def test_a_verification_whose_task_cannot_be_read_has_no_time() -> None:
    group = read(a_group(), [a_line(NOW - DAY, state="ok", upid="nonsense")], NOW).group
    assert group.last_verified is not None
    assert group.last_verified.verified_at is None


def test_a_copy_of_an_old_backup_is_old() -> None:
    """Trap 25: what a sync brings keeps the moment it was made at."""
    group = read(a_group(), [a_line(NOW - 40 * DAY)], NOW).group
    assert group.last_good is not None
    assert group.last_good.backup_at == NOW - 40 * DAY


def test_what_claims_to_be_of_the_future_does_not_count_even_when_that_time_has_come() -> None:
    rows = [a_line(NOW + DAY), a_line(NOW - DAY)]
    reading = read(a_group(), rows, NOW)
    assert reading.group.last_good is not None
    assert reading.group.last_good.backup_at == NOW - DAY
    assert reading.misdated == {epoch(NOW + DAY)}
    later = read(reading.group, rows, NOW + 2 * DAY, misdated=reading.misdated)
    assert later.group.last_good == reading.group.last_good
    assert later.misdated == reading.misdated


def test_rows_that_come_twice_count_once() -> None:
    assert read(a_group(), [a_line(NOW - DAY), a_line(NOW - DAY)], NOW).group.finished == 1


def test_the_last_good_one_is_known_although_only_newer_ones_are_kept() -> None:
    rows = [a_line(NOW - day * DAY, state="failed" if day < 5 else None) for day in range(1, 9)]
    group = read(a_group(), rows, NOW, most=2).group
    assert len(group.snapshots) == 2
    assert group.finished == 8
    assert group.last_good is not None
    assert group.last_good.backup_at == NOW - 5 * DAY
    short = cut(group, epoch(NOW - DAY) - 1)
    assert len(short.snapshots) == 1
    assert short.last_good == group.last_good


def test_the_usual_interval_is_the_median_of_the_newest_and_an_hour_at_least() -> None:
    assert read(a_group(), [a_line(NOW - n * DAY) for n in (1, 2, 3, 9)], NOW).group.expected_seconds == 86400
    assert read(a_group(), [a_line(NOW - n * HOUR / 6) for n in range(1, 9)], NOW).group.expected_seconds == 3600
    assert read(a_group(), [a_line(NOW - DAY)], NOW).group.expected_seconds is None


def test_a_year_beyond_every_calendar_is_passed_over() -> None:
    assert read(a_group(), [a_line(NOW - DAY), a_line(NOW, time=10**15)], NOW).group.finished == 1


def test_a_group_is_named_by_server_datastore_namespace_type_and_id() -> None:
    """Trap 7."""
    keys = [("main", "", "vm", "1"), ("main", "", "ct", "1"), ("main", "a", "vm", "1"), ("b", "", "vm", "1")]
    ids = {new_group(server, key).id for server in ("", "other") for key in keys}
    assert len(ids) == 8


def test_only_what_the_last_list_does_not_explain_has_moved() -> None:
    reading = read(a_group(), [a_line(NOW - DAY), a_line(NOW - HOUR, size=None)], NOW)
    rows, times = reading.rows, reading.times
    assert not is_moved(rows, times, None, (2, epoch(NOW - DAY)))  # 4.0.17: the newest that is finished
    assert not is_moved(rows, times, None, (2, epoch(NOW - HOUR)))  # before: the newest of all
    assert is_moved(rows, times, None, (3, epoch(NOW - HOUR)))
    assert is_moved(rows, times, None, (2, epoch(NOW)))
    assert not is_moved(rows, times, (9, 9), (9, 9))  # rows that cannot be read count there all the same


def test_owner_and_comment_of_a_group_come_with_the_list_of_groups() -> None:
    row = GroupRow(backup_type="vm", backup_id="100", last_backup=0, backup_count=0, owner="a@pbs", comment="kept")
    group = listed(a_group(), row)
    assert (group.owner, group.comment) == ("a@pbs", "kept")
    assert listed(group, row) is group
    assert listed(replace(group, owner=None), row) == group


def test_what_is_new_on_a_server_whose_clock_is_ahead_of_ours_is_not_of_the_future() -> None:
    reading = read(a_group(), [a_line(NOW + HOUR)], NOW, until=NOW + HOUR)
    assert reading.group.last_good is not None
    assert reading.misdated == frozenset()
    assert reading.group.listed_at == NOW


@given(st.lists(st.integers(0, 40_000), min_size=1), st.data())
def test_the_edge_of_what_is_kept_is_where_sorting_all_would_put_it(times: list[int], data: st.DataObject) -> None:
    most = data.draw(st.integers(0, len(times) - 1))
    assert edge(times, most) == sorted(times, reverse=True)[most]
