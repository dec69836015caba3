"""What a group is in the words of every tool."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from lastgood.config.servers import PbsServer
from lastgood.model.job import Outcome, RunKind
from lastgood.model.pbs import Datastore, TaskStatus
from lastgood.model.repository import Probe
from lastgood.secret import Secret
from lastgood.tools.pbs.attempts import BackupTask, attributed
from lastgood.tools.pbs.groups import read
from lastgood.tools.pbs.report import NAME, Seen, host_of, is_archived, repository, source, target_of
from tests.tools.pbs.rows_of import DAY, HOUR, NOW, a_group, a_line


def a_server(**more: object) -> PbsServer:
    told: dict[str, object] = {"name": "", "endpoint": "https://pbs.example:8007", "token_id": "a@pbs!b"}
    return PbsServer(token_secret=Secret("x"), **(told | more))  # type: ignore[arg-type]


def test_a_newest_snapshot_that_failed_its_verification_is_a_failed_attempt() -> None:
    group = read(a_group(), [a_line(NOW - DAY, state="failed"), a_line(NOW - 2 * DAY, state="ok")], NOW).group
    told = source(group, "pbs", Seen())
    assert told.newest is not None
    assert told.good is not None
    assert (told.newest.outcome, told.newest.cause, told.newest.started_at) == (
        Outcome.FAILED,
        "verification",
        NOW - DAY,
    )
    assert told.good.started_at == NOW - 2 * DAY
    assert told.verified_at == NOW - 2 * DAY + HOUR


def test_a_backup_with_warnings_is_good_and_says_so() -> None:
    """Trap 13."""
    task = BackupTask(
        started_at=NOW - DAY,
        user="pve@pbs",
        status=TaskStatus.WARNINGS,
        ended_at=NOW - DAY + HOUR,
        text="WARNINGS: 2",
    )
    [group] = attributed([read(a_group(), [a_line(NOW - DAY)], NOW).group], [task])
    told = source(group, "pbs", Seen(tasks=(task,), tasks_at=NOW))
    assert told.newest is told.good is not None
    assert told.good.outcome is Outcome.SUCCESS
    assert "WARNINGS: 2" in (told.good.reason or "")
    assert told.good.ended_at == NOW - DAY + HOUR


def test_a_failed_task_after_the_last_good_one_is_the_newest_attempt() -> None:
    task = BackupTask(started_at=NOW - HOUR, user="pve@pbs", status=TaskStatus.ERROR, ended_at=NOW, text="x" * 4096)
    [group] = attributed([read(a_group(), [a_line(NOW - DAY)], NOW).group], [task])
    told = source(group, "pbs", Seen(tasks=(task,), tasks_at=NOW))
    assert told.newest is not None
    assert (told.newest.outcome, told.newest.started_at, told.newest.ended_at) == (Outcome.FAILED, NOW - HOUR, NOW)
    assert len(told.newest.reason or "") == 300
    assert told.good is not None


def test_an_upload_that_nobody_is_at_is_broken_off_only_once_tasks_were_read_after_it() -> None:
    rows = [a_line(NOW - DAY), a_line(NOW - HOUR, size=None)]
    group = read(a_group(), rows, NOW).group
    for tasks_at in (None, NOW - HOUR):
        told = source(group, "pbs", Seen(tasks_at=tasks_at))
        assert told.newest is told.good
        assert told.remarks == ()
    told = source(group, "pbs", Seen(tasks_at=NOW))
    assert told.newest is not None
    assert told.newest.cause == "unfinished"
    assert len(told.remarks) == 1


def test_an_upload_of_others_whose_tasks_nobody_may_see_is_broken_off_after_a_day() -> None:
    for age, cause in ((HOUR, None), (2 * DAY, "unfinished")):
        rows = [a_line(NOW - 5 * DAY), a_line(NOW - age, size=None)]
        told = source(read(a_group(), rows, NOW).group, "pbs", Seen(tasks_at=NOW, own_only=True))
        assert told.newest is not None
        assert told.newest.cause == cause


def test_an_upload_that_has_just_ended_is_not_taken_for_one_that_broke_off() -> None:
    rows = [a_line(NOW - DAY), a_line(NOW - HOUR, size=None)]
    done = BackupTask(started_at=NOW - HOUR, user="pve@pbs", status=TaskStatus.OK, ended_at=NOW)
    told = source(read(a_group(), rows, NOW).group, "pbs", Seen(tasks=(done,), tasks_at=NOW))
    assert told.newest is told.good


def test_a_name_shows_namespace_and_comment_and_is_cut_by_what_people_read() -> None:
    """Trap 10."""
    group = replace(a_group("prod/a"), comment="ü" * 200)
    told = source(group, "pbs", Seen())
    assert told.name.startswith("prod/a/vm/100 (üü")
    assert len(told.name) == NAME
    assert source(a_group(), "pbs", Seen()).name == "vm/100"


def test_a_snapshot_of_the_future_is_a_remark_and_never_good() -> None:
    reading = read(a_group(), [a_line(NOW + DAY), a_line(NOW - DAY)], NOW)
    told = source(reading.group, "pbs", Seen(misdated=reading.misdated, habit=reading.habit))
    assert told.newest is told.good is not None
    assert told.good.started_at == NOW - DAY
    assert "2025-11-21T08:00:00Z" in told.remarks[0]
    assert told.habit is not None
    assert NOW + DAY not in told.habit.starts


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ("vm/100", True),
        ("prod/vm/100", True),
        ("main/prod/vm/100", True),
        ("main/*", True),
        ("vm/*", True),
        ("ct/100", False),
        ("0", False),
        ("other/prod/vm/100", False),
    ],
)
def test_patterns_read_a_group_from_the_right(pattern: str, fits: bool) -> None:
    group = a_group("prod")
    assert is_archived(a_server(archived=(pattern,)), group) is fits
    assert target_of(a_server(targets={pattern: 3600.0}), group) == (3600.0 if fits else None)


def test_the_first_target_that_fits_counts_so_that_an_exception_may_be_looser() -> None:
    exception, rule = {"vm/100": 8 * 86400.0}, {"vm/*": 93600.0}
    assert target_of(a_server(targets=exception | rule), a_group()) == 8 * 86400.0
    assert target_of(a_server(targets=rule | exception), a_group()) == 93600.0


def test_targets_and_archived_groups_are_told() -> None:
    group = replace(a_group(), archived=True, target_seconds=60.0)
    told = source(group, "pbs", Seen())
    assert (told.archived, told.target) == (True, timedelta(minutes=1))


def test_a_repository_names_the_server_without_a_secret() -> None:
    told = repository(
        a_server(name="dr"),
        Datastore(name="main", used_bytes=5),
        NOW,
        probe=Probe.READY,
        snapshots=3,
        upkeep={RunKind.PRUNE: NOW},
    )
    assert (told.name, told.url, told.tool) == ("dr/main", "pbs://pbs.example:8007/main", "pbs")
    assert told.upkeep == ((RunKind.PRUNE, NOW),)
    assert told.total_bytes is None
    assert host_of(a_server()) == "pbs.example"
    assert host_of(a_server(name="dr")) == "dr"


def test_ids_are_those_of_server_and_datastore_whatever_the_address() -> None:
    def told(server: PbsServer) -> str:
        return repository(server, Datastore(name="main"), NOW, probe=Probe.READY, snapshots=None, upkeep={}).id

    assert told(a_server()) == told(a_server(endpoint="https://10.0.0.1:8007"))
    assert told(a_server()) != told(a_server(name="dr"))
