"""Backups with a restic that plays a part: endings and floods that the real one shows too seldom."""

from __future__ import annotations

from pathlib import Path

from lastgood.clock import now
from lastgood.tools.restic.causes import Cause
from lastgood.tools.restic.command import BackupOrder, Place
from lastgood.tools.restic.driver import Restic
from lastgood.tools.restic.output import Progress

SECRET = "correct-horse-battery"
PLACE = Place(url="/srv/r", password=SECRET)
ORDER = BackupOrder(host="web-1", paths=["/srv/data"])


def played(folder: Path, text: str) -> Restic:
    """A driver whose restic says what it is told to."""
    path = folder / "restic-script"
    path.write_text(f"#!/bin/sh\n[ $1 = version ] && exec echo restic 0.14.0\n{text}\n")
    path.chmod(0o755)
    return Restic(binary=path, cache_dir=folder / "cache", clock=now)


async def test_a_restic_that_ends_well_and_says_nothing_has_saved_nothing(tmp_path: Path) -> None:
    done = await played(tmp_path, "exit 0").backup(PLACE, ORDER)
    assert (done.outcome, done.cause, done.exit_code) == ("failed", Cause.OTHER, 0)
    assert "nothing proves a snapshot" in done.reason


async def test_the_last_progress_is_told_even_if_it_came_too_soon_and_without_a_line_end(tmp_path: Path) -> None:
    lines = "".join(f'{{"message_type":"status","percent_done":{part}}}\\n' for part in (0.1, 0.2, 0.3))
    told: list[Progress] = []
    restic = played(tmp_path, f"printf '{lines}'; printf 'no line end'; printf 'none here' >&2")
    done = await restic.backup(PLACE, ORDER, on_progress=told.append)
    assert [progress.fraction for progress in told] == [0.1, 0.3]
    assert sorted(done.log_head) == ["no line end", "none here"]


async def test_a_secret_in_any_line_of_a_run_does_not_leave_it(tmp_path: Path) -> None:
    place = Place(url="/srv/r", password=SECRET, environment={"AWS_SECRET_ACCESS_KEY": "hunter2000"})
    text = (
        'echo "$RESTIC_PASSWORD $AWS_SECRET_ACCESS_KEY"\n'
        'echo "/srv/$AWS_SECRET_ACCESS_KEY does not exist, skipping" >&2\n'
        'echo "Fatal: $RESTIC_PASSWORD $AWS_SECRET_ACCESS_KEY" >&2\n'
        'printf \'{"message_type":"error","error":{"message":"%s"},"during":"archival","item":"/x/%s"}\\n\''
        ' "$AWS_SECRET_ACCESS_KEY" "$RESTIC_PASSWORD" >&2\n'
        "exit 1"
    )
    done = await played(tmp_path, text).backup(place, ORDER)
    assert done.outcome == "failed"
    assert done.log_head[0] == "*** ***"
    assert "*** ***" in done.reason
    assert len(done.log_head) == 4
    for secret in (SECRET, "hunter2000"):
        assert secret not in str(done)


async def test_a_restic_killed_by_somebody_else_is_a_failure_and_no_cancel(tmp_path: Path) -> None:
    done = await played(tmp_path, "kill -KILL $$").backup(PLACE, ORDER)
    assert (done.outcome, done.cause, done.exit_code) == ("failed", Cause.CRASHED, 137)
    done = await played(tmp_path, "exit 130").backup(PLACE, ORDER)
    assert (done.outcome, done.cause) == ("failed", Cause.CRASHED)


async def test_a_flood_of_output_is_kept_within_bounds(tmp_path: Path) -> None:
    text = (
        "yes 'a warning that repeats' | head -n 200000; yes '{\"message_type\":\"status\"}' | head -n 50000; exit 1"
    )
    told: list[Progress] = []
    done = await played(tmp_path, text).backup(PLACE, ORDER, on_progress=told.append)
    assert (len(done.log_head), len(done.log_tail)) == (100, 200)
    assert done.log_lines_left_out == 199_700
    assert 1 <= len(told) < 60
