"""Which task belongs to which group: a backup's task names no namespace."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from lastgood.model.pbs import Group, TaskStatus
from lastgood.tools.pbs.attempts import BackupTask, attributed
from lastgood.tools.pbs.groups import read
from tests.tools.pbs.rows_of import DAY, HOUR, NOW, a_group, a_line


def good_at(at: datetime, namespace: str = "", owner: str = "pve@pbs", upload: datetime | None = None) -> Group:
    rows = [a_line(at)] + ([a_line(upload, size=None)] if upload is not None else [])
    return replace(read(a_group(namespace), rows, NOW).group, owner=owner)


def failed(at: datetime, user: str = "pve@pbs", text: str = "connection lost") -> BackupTask:
    return BackupTask(started_at=at, user=user, status=TaskStatus.ERROR, ended_at=at + HOUR / 2, text=text)


def done(at: datetime, user: str = "pve@pbs", status: TaskStatus = TaskStatus.OK) -> BackupTask:
    return BackupTask(started_at=at, user=user, status=status, ended_at=at + HOUR, text="OK")


def test_failures_count_from_the_last_good_one_on() -> None:
    [group] = attributed([good_at(NOW - DAY)], [failed(NOW - 2 * DAY), failed(NOW - HOUR), failed(NOW - 2 * HOUR)])
    assert (group.failed_attempts, group.failed_at, group.failed_reason) == (2, NOW - HOUR, "connection lost")


def test_a_backup_with_warnings_is_no_failure() -> None:
    """Trap 13."""
    [group] = attributed([good_at(NOW - DAY)], [done(NOW - HOUR, status=TaskStatus.WARNINGS)])
    assert group.failed_attempts == 0


def test_a_backup_ends_when_its_task_does_and_else_when_it_began() -> None:
    [group] = attributed([good_at(NOW - DAY)], [done(NOW - DAY), done(NOW - 2 * DAY)])
    assert group.last_good_end_at == NOW - DAY + HOUR
    [group] = attributed([good_at(NOW - DAY)], [])
    assert group.last_good_end_at == NOW - DAY


def test_of_two_namespaces_the_owner_tells_whose_failure_it_is() -> None:
    """Trap 7."""
    one, other = attributed(
        [good_at(NOW - DAY, "a", "a@pbs"), good_at(NOW - DAY, "b", "b@pbs")], [failed(NOW, "b@pbs")]
    )
    assert (one.failed_attempts, other.failed_attempts) == (0, 1)
    assert not one.ambiguous


def test_else_what_it_left_behind_tells_it() -> None:
    """Trap 7."""
    groups = [good_at(NOW - DAY, "a"), good_at(NOW - DAY, "b", upload=NOW - HOUR)]
    one, other = attributed(groups, [failed(NOW - HOUR)])
    assert (one.failed_attempts, other.failed_attempts) == (0, 1)


def test_and_else_nobody_can_tell_and_nothing_is_counted() -> None:
    """Trap 7."""
    one, other = attributed([good_at(NOW - DAY, "a"), good_at(NOW - 2 * DAY, "b")], [failed(NOW - HOUR)])
    assert (one.failed_attempts, one.ambiguous, other.failed_attempts, other.ambiguous) == (0, True, 0, True)


def test_what_could_be_of_a_group_that_has_recovered_is_not_put_on_the_other() -> None:
    one, other = attributed([good_at(NOW - HOUR, "a"), good_at(NOW - 3 * DAY, "b")], [failed(NOW - DAY)])
    assert (one.ambiguous, other.ambiguous) == (False, True)
    assert other.failed_attempts == 0


def test_a_running_task_belongs_to_the_group_with_the_upload() -> None:
    running = BackupTask(started_at=NOW - HOUR, user="pve@pbs")
    groups = [good_at(NOW - DAY, "a"), good_at(NOW - DAY, "b", upload=NOW - HOUR)]
    one, other = attributed(groups, [running])
    assert (one.uploading, other.uploading) == (False, True)
    one, other = attributed([one, other], [])
    assert (one.uploading, other.uploading) == (False, False)


def test_a_group_of_which_nothing_new_is_told_stays_the_same_object() -> None:
    [group] = attributed([good_at(NOW - DAY)], [done(NOW - DAY)])
    assert attributed([group], [done(NOW - DAY)])[0] is group
