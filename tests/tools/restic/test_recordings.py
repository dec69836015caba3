"""Every recorded run of every release can be read, and means what it is known to mean."""

from __future__ import annotations

import pytest

from lastgood.tools.restic import documents, shapes
from lastgood.tools.restic.causes import Cause, diagnose
from lastgood.tools.restic.outcome import Ending, Judgement, judge
from lastgood.tools.restic.output import BackupOutput, classify
from tests.tools.restic.recordings import NAMES, Recording, recording

BACKUPS = [name for name in NAMES if "restic backup" in recording(name).command and "text" not in name]


def test_all_three_releases_are_recorded() -> None:
    assert {name.split("/")[0] for name in NAMES} == {"0.14.0", "0.18.0", "0.19.1"}
    assert len(NAMES) > 190


@pytest.mark.parametrize("name", NAMES)
def test_no_line_of_any_release_is_too_strange_to_be_classified(name: str) -> None:
    run = recording(name)
    for line in (run.stdout + run.stderr).split("\n"):
        found = classify(line)
        if '"message_type":"status"' in line and "scan_finished" not in line:
            assert isinstance(found, shapes.Status)
        elif '"message_type":"summary"' in line:
            assert isinstance(found, shapes.Summary)
        elif '"message_type":"error"' in line:
            assert isinstance(found, shapes.ItemError)
        elif '"message_type":"exit_error"' in line:
            assert isinstance(found, shapes.ExitError)
        elif line.startswith("{"):
            assert found is None or isinstance(found, str)
        else:
            assert isinstance(found, str)
            assert "\x1b" not in found


def judged(run: Recording, *, cancelled: bool = False) -> tuple[Judgement, BackupOutput]:
    output = BackupOutput()
    for line in run.stdout.split("\n"):
        output.stdout(line)
    for line in run.stderr.split("\n"):
        output.stderr(line)
    ending = Ending(
        exit_code=run.exit_code,
        where="/srv/demo-repo",
        stderr=output.error_text(),
        summary=output.summary,
        skipped_sources=tuple(output.skipped_sources),
        error_count=output.error_count,
        unread_count=output.unread_count,
        cancelled=cancelled,
    )
    return judge(ending), output


EXPECTED = {
    "backup1": ("success", Cause.OK),
    "backup3_unchanged": ("success", Cause.OK),
    "backup4_verbose": ("success", Cause.OK),
    "backup_after_killed_backup": ("success", Cause.OK),
    "backup_after_pack_lost": ("success", Cause.OK),  # restic trusts its index: a check tells, not the backup
    "backup_bad_flag": ("failed", Cause.OTHER),
    "backup_big_progress": ("success", Cause.OK),
    "backup_dry_run": ("success", Cause.OK),
    "backup_dryrun": ("success", Cause.OK),
    "backup_empty_source": ("success", Cause.OK),
    "backup_first": ("success", Cause.OK),
    "backup_future_time": ("success", Cause.OK),
    "backup_host_renamed": ("success", Cause.OK),
    "backup_locked": ("failed", Cause.LOCKED),
    "backup_missing_all": ("failed", Cause.MISSING_SOURCE),
    "backup_missing_all_sources": ("failed", Cause.MISSING_SOURCE),
    "backup_missing_one": ("partial", Cause.MISSING_SOURCE),
    "backup_missing_one_source": ("partial", Cause.MISSING_SOURCE),
    "backup_no_source": ("failed", Cause.MISSING_SOURCE),
    "backup_partial": ("partial", Cause.UNREADABLE_SOURCE),
    "backup_progress_fps1": ("success", Cause.OK),
    "backup_quiet": ("success", Cause.OK),
    "backup_second": ("success", Cause.OK),
    "backup_sigint": ("failed", Cause.CRASHED),  # a signal that was not ours
    "backup_sigterm": ("failed", Cause.CRASHED),
    "backup_skipifunchanged": ("unchanged", Cause.OK),
    "backup_stale_lock": ("failed", Cause.LOCKED),
    "backup_stdin": ("success", Cause.OK),
    "backup_unchanged": ("success", Cause.OK),
    "backup_verbose": ("success", Cause.OK),
    "future_backup": ("success", Cause.OK),
    "locked_backup": ("failed", Cause.LOCKED),
    "locked_retrylock": ("failed", Cause.LOCKED),
    "sigint_backup": ("failed", Cause.CRASHED),
    "sigterm_backup": ("failed", Cause.CRASHED),
}


@pytest.mark.parametrize("name", BACKUPS)
def test_every_recorded_backup_has_the_outcome_that_it_deserves(name: str) -> None:
    judgement, output = judged(recording(name))
    assert (judgement.outcome, judgement.cause) == EXPECTED[name.split("/")[1]]
    assert judgement.dry_run == ("dry" in name)
    assert judgement.empty == ("empty" in name)
    assert judgement.reason.endswith(".")
    assert "\n" not in judgement.reason
    assert (output.summary is not None) == (judgement.outcome != "failed")


@pytest.mark.parametrize("name", [name for name in BACKUPS if "sigint" in name or "sigterm" in name])
def test_exit_codes_1_130_and_143_are_all_cancelled_if_we_sent_the_signal(name: str) -> None:
    judgement, _ = judged(recording(name), cancelled=True)
    assert (judgement.outcome, judgement.cause) == ("cancelled", Cause.CANCELLED)


@pytest.mark.parametrize("release", ["0.14.0", "0.18.0", "0.19.1"])
def test_an_item_that_scan_and_archival_both_report_counts_once(release: str) -> None:
    _, output = judged(recording(f"{release}/backup_partial"))
    assert output.error_count == 2
    assert [error.path for error in output.item_errors] == [
        "/srv/demo-data/secret/closed",
        "/srv/demo-data/secret/private.key",
    ]
    assert output.item_errors[1].message is not None
    assert "permission denied" in output.item_errors[1].message


@pytest.mark.parametrize("name", [name for name in BACKUPS if "missing_one" in name])
def test_a_skipped_source_is_named_whatever_the_exit_code(name: str) -> None:
    judgement, output = judged(recording(name))
    assert output.skipped_sources == ["/srv/demo-data/nosuchdir"]
    assert "/srv/demo-data/nosuchdir" in judgement.reason


def test_the_nonsense_times_of_a_skipped_run_in_0_18_become_unknown() -> None:
    _, output = judged(recording("0.18.0/backup_skipifunchanged"))
    assert output.summary is not None
    assert output.summary.duration_seconds is None
    assert output.summary.ended_at is None
    assert output.summary.started_at is not None
    assert output.summary.snapshot_id is None


def test_the_id_that_a_dry_run_prints_is_not_taken_for_a_snapshot() -> None:
    for name in ("0.14.0/backup_dry_run", "0.18.0/backup_dryrun", "0.19.1/backup_dryrun"):
        _, output = judged(recording(name))
        assert output.summary is not None
        assert output.summary.snapshot_id is None


def test_progress_never_falls_and_stays_between_0_and_1() -> None:
    for name in ("0.14.0/backup_big_progress", "0.14.0/backup_sigint", "0.18.0/sigint_backup"):
        output = BackupOutput()
        told = [output.stdout(line) for line in recording(name).stdout.split("\n")]
        fractions = [progress.fraction for progress in told if progress is not None]
        assert len(fractions) > 3
        assert fractions == sorted(fractions)
        assert fractions[0] >= 0
        assert fractions[-1] <= 1


FAILURES = {
    "0.14.0/cat_config_no_repo": Cause.NO_REPOSITORY,
    "0.14.0/snapshots_no_repo": Cause.NO_REPOSITORY,
    "0.14.0/rest_no_repo": Cause.NO_REPOSITORY,
    "0.18.0/snapshots_norepo": Cause.NO_REPOSITORY,
    "0.19.1/snapshots_norepo": Cause.NO_REPOSITORY,
    "0.14.0/rest_refused": Cause.UNREACHABLE,
    "0.14.0/rest_unknown_host": Cause.UNREACHABLE,
    "0.14.0/rest_no_auth": Cause.STORE_CREDENTIALS,
    "0.14.0/rest_bad_auth": Cause.STORE_CREDENTIALS,
    "0.18.0/rest_badauth": Cause.STORE_CREDENTIALS,
    "0.19.1/rest_badauth": Cause.STORE_CREDENTIALS,
    "0.14.0/rest_forget_append_only": Cause.STORE_CREDENTIALS,
    "0.14.0/snapshots_wrong_password": Cause.WRONG_PASSWORD,
    "0.18.0/wrongpass": Cause.WRONG_PASSWORD,
    "0.19.1/wrongpass": Cause.WRONG_PASSWORD,
    "0.14.0/password_file_missing": Cause.PASSWORD_SOURCE,
    "0.14.0/password_command_failed": Cause.PASSWORD_SOURCE,
    "0.14.0/snapshots_no_password": Cause.PASSWORD_SOURCE,
    "0.14.0/snapshots_locked": Cause.LOCKED,
    "0.14.0/prune_after_killed_backup": Cause.LOCKED,
    "0.14.0/repo_permission_denied": Cause.PERMISSION_DENIED,
    "0.18.0/repo_unreadable": Cause.PERMISSION_DENIED,
    "0.19.1/repo_unreadable": Cause.PERMISSION_DENIED,
    "0.19.1/ro_cache": Cause.OTHER,
    "0.14.0/init_exists": Cause.OTHER,
    "0.18.0/init_again": Cause.OTHER,
    "0.19.1/init_again": Cause.OTHER,
}


@pytest.mark.parametrize("name", sorted(FAILURES))
def test_every_recorded_failure_is_put_down_to_its_cause(name: str) -> None:
    run = recording(name)
    found = diagnose(run.exit_code, run.stderr, "/srv/demo-repo")
    assert found.cause is FAILURES[name]
    assert found.message
    assert "\n" not in found.message
    assert "github.com" not in found.message
    assert not found.message.lower().startswith("fatal")
    assert "Is there a repository" not in found.sentence


@pytest.mark.parametrize("name", ["0.18.0/rest_refused", "0.19.1/rest_refused"])
def test_a_query_that_hung_on_a_refused_connection_is_unreachable_not_missing(name: str) -> None:
    run = recording(name)
    assert diagnose(run.exit_code, run.stderr, "x", deadline_hit=True).cause is Cause.UNREACHABLE
    assert diagnose(1, run.stderr, "x").cause is not Cause.NO_REPOSITORY


@pytest.mark.parametrize("name", [name for name in NAMES if recording(name).exit_code == 0])
def test_a_command_that_ended_well_has_no_cause(name: str) -> None:
    assert diagnose(0, recording(name).stderr, "x").cause is Cause.OK


SNAPSHOTS = {
    "0.14.0/snapshots": 10,
    "0.14.0/snapshots_empty_repo": 0,
    "0.14.0/snapshots_no_match": 0,
    "0.14.0/snapshots_bad_id": 0,
    "0.14.0/snapshots_latest_with_future": 1,
    "0.14.0/snapshots_locked_no_lock": 3,
    "0.14.0/snapshots_cache_unwritable": 3,
    "0.18.0/snapshots": 10,
    "0.18.0/snapshots_empty": 0,
    "0.19.1/snapshots": 10,
    "0.19.1/snapshots_empty": 0,
}


@pytest.mark.parametrize("name", sorted(SNAPSHOTS))
def test_every_recorded_list_of_snapshots_is_read(name: str) -> None:
    found = documents.snapshots(recording(name).stdout.encode())
    assert len(found) == SNAPSHOTS[name]
    for snapshot in found:
        assert snapshot.started_at is not None
        assert snapshot.started_at.utcoffset() is not None
        assert snapshot.started_at.utcoffset().total_seconds() == 0  # type: ignore[union-attr]
        assert snapshot.id.startswith(snapshot.short_id)
        assert snapshot.is_named(snapshot.short_id)
        assert (snapshot.size_bytes is None) == name.startswith("0.14")
        assert (snapshot.ended_at is None) == name.startswith("0.14")
        assert snapshot.paths


@pytest.mark.parametrize("release", ["0.14.0", "0.18.0", "0.19.1"])
def test_every_recorded_size_is_read(release: str) -> None:
    full = documents.raw_stats(recording(f"{release}/stats_raw_data").stdout.encode())
    assert full.size_bytes > 3_000_000
    assert full.snapshots == 10
    assert full.blobs in (32, 33)
    assert (full.uncompressed_bytes is None) == (release == "0.14.0")
    name = "stats_empty_repo" if release == "0.14.0" else "stats_empty"
    empty = documents.raw_stats(recording(f"{release}/{name}").stdout.encode())
    assert (empty.size_bytes, empty.snapshots, empty.blobs) == (0, 0, 0)


def test_a_repository_of_format_1_has_no_compression() -> None:
    for release in ("0.18.0", "0.19.1"):
        found = documents.raw_stats(recording(f"{release}/v1_stats").stdout.encode())
        assert found.compression_ratio is None
        assert found.uncompressed_bytes is None


def test_versions_are_read_as_text_and_as_json() -> None:
    assert documents.version(recording("0.14.0/version").stdout.encode()) == (0, 14, 0)
    assert documents.version(recording("0.14.0/version_json_flag").stdout.encode()) == (0, 14, 0)
    assert documents.version(recording("0.18.0/version").stdout.encode()) == (0, 18, 0)
    assert documents.version(recording("0.19.1/version").stdout.encode()) == (0, 19, 1)


def test_locks_and_the_repository_id_are_read() -> None:
    (lock_id,) = documents.lock_ids(recording("0.14.0/list_locks_one").stdout.encode())
    assert documents.lock_ids(recording("0.14.0/list_locks_none").stdout.encode()) == []
    lock = documents.lock(lock_id, recording("0.14.0/cat_lock").stdout.encode())
    assert (lock.exclusive, lock.hostname, lock.username, lock.pid) == (True, "web01", "root", 21052)
    assert lock.created_at is not None
    assert lock.created_at.isoformat() == "2026-11-20T08:36:23.423155+00:00"
    assert documents.repository_id(recording("0.14.0/cat_config").stdout.encode()).startswith("09c0def2d7")
