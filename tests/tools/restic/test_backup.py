"""Backups with real restic: every way in which one can end."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lastgood.clock import now
from lastgood.errors import ConfigError
from lastgood.tools.restic.backup import BackupResult
from lastgood.tools.restic.causes import Cause
from lastgood.tools.restic.command import Place
from lastgood.tools.restic.driver import Restic
from lastgood.tools.restic.output import Progress
from tests.tools.restic.conftest import PASSWORD, Bench, ExclusiveLock
from tests.tools.restic.store import Store


async def snapshot_count(bench: Bench) -> int:
    return len(await bench.restic.snapshots(bench.place))


async def test_a_good_backup_is_a_success_with_numbers(bench: Bench) -> None:
    moments = iter([datetime(2026, 11, 20, 2, 0, tzinfo=UTC), datetime(2026, 11, 20, 2, 5, tzinfo=UTC)])
    restic = Restic(binary=bench.binary, cache_dir=bench.folder / "cache", clock=lambda: next(moments))
    done = await restic.backup(bench.place, bench.order(tags=["nightly"], excludes=["three"]))
    assert (done.outcome, done.cause, done.exit_code) == ("success", Cause.OK, 0)
    assert done.reason == "2 files saved."
    assert (done.started_at.minute, done.ended_at.minute) == (0, 5)
    assert 0 < done.duration_seconds < 60
    assert done.summary is not None
    assert (done.summary.files_new, done.summary.total_files, done.summary.total_bytes) == (2, 2, 800)
    assert done.summary.duration_seconds is not None
    assert done.snapshot_id
    assert (done.error_count, done.skipped_sources, done.empty, done.dry_run, done.forced) == (
        0,
        (),
        False,
        False,
        False,
    )


async def test_a_second_backup_without_changes_makes_a_snapshot_unless_asked_not_to(bench: Bench) -> None:
    # The folders above a source belong to its snapshot, and restic itself writes into /tmp.
    with tempfile.TemporaryDirectory(dir="/var/tmp") as quiet:
        source = Path(quiet) / "source"
        shutil.copytree(bench.source, source)
        await bench.restic.backup(bench.place, bench.order(source))
        plain = await bench.restic.backup(bench.place, bench.order(source))
        assert (plain.outcome, await snapshot_count(bench)) == ("success", 2)
        asked = await bench.restic.backup(bench.place, bench.order(source, skip_if_unchanged=True))
        if await bench.restic.version() < (0, 19, 0):
            # 0.18 knows the flag and then tells nonsense, so it is not given.
            assert (asked.outcome, await snapshot_count(bench)) == ("success", 3)
        else:
            assert (asked.outcome, asked.snapshot_id, await snapshot_count(bench)) == ("unchanged", None, 2)
            assert asked.summary is not None
            assert asked.summary.total_files == 3


async def test_unreadable_files_make_a_backup_partial_and_are_named(unprivileged: Bench) -> None:
    closed = unprivileged.source / "closed"
    closed.mkdir()
    for path in (unprivileged.source / "two", closed):
        path.chmod(0)
    done = await unprivileged.restic.backup(unprivileged.place, unprivileged.order())
    closed.chmod(0o700)
    assert (done.outcome, done.cause, done.exit_code) == ("partial", Cause.UNREADABLE_SOURCE, 3)
    assert {error.path for error in done.item_errors} == {str(unprivileged.source / "two"), str(closed)}
    assert done.error_count == 2
    assert "2 items could not be read" in done.reason
    assert done.snapshot_id
    assert await snapshot_count(unprivileged) == 1


async def test_a_path_that_does_not_exist_makes_a_backup_partial_in_every_release(bench: Bench) -> None:
    gone = bench.folder / "gone with spaces"
    done = await bench.restic.backup(bench.place, bench.order(bench.source, gone))
    assert (done.outcome, done.cause) == ("partial", Cause.MISSING_SOURCE)
    assert done.exit_code == (3 if await bench.restic.version() >= (0, 19, 0) else 0)
    assert done.skipped_sources == (str(gone),)
    assert str(gone) in done.reason


async def test_a_backup_of_nothing_that_exists_fails(bench: Bench) -> None:
    done = await bench.restic.backup(bench.place, bench.order(bench.folder / "gone", bench.folder / "too"))
    assert (done.outcome, done.cause, done.snapshot_id) == ("failed", Cause.MISSING_SOURCE, None)
    assert len(done.skipped_sources) == 2
    assert "check the paths and their mounts" in done.reason


async def test_an_empty_source_is_a_success_with_a_flag(bench: Bench) -> None:
    empty = bench.folder / "empty"
    empty.mkdir()
    done = await bench.restic.backup(bench.place, bench.order(empty))
    assert (done.outcome, done.empty) == ("success", True)
    assert "holds no file" in done.reason


async def test_a_dry_run_saves_nothing_and_names_no_snapshot(bench: Bench) -> None:
    done = await bench.restic.backup(bench.place, bench.order(dry_run=True))
    assert (done.outcome, done.dry_run, done.snapshot_id) == ("success", True, None)
    assert await snapshot_count(bench) == 0


async def test_a_wrong_password_fails_and_is_never_told(bench: Bench) -> None:
    place = replace(bench.place, password="wrong-pass-word")
    done = await bench.restic.backup(place, bench.order())
    assert (done.outcome, done.cause) == ("failed", Cause.WRONG_PASSWORD)
    assert done.exit_code == (12 if await bench.restic.version() >= (0, 17, 1) else 1)
    assert "wrong-pass-word" not in str(done)
    assert done.log_head


async def test_a_missing_password_file_fails_even_with_a_password_in_our_environment(bench: Bench) -> None:
    inherited = dict(os.environ) | {"RESTIC_PASSWORD": PASSWORD}
    restic = Restic(binary=bench.binary, cache_dir=bench.folder / "cache", clock=now, inherited=inherited)
    place = Place(url=str(bench.repository), password_file=bench.folder / "absent")
    done = await restic.backup(place, bench.order())
    assert (done.outcome, done.cause) == ("failed", Cause.PASSWORD_SOURCE)


async def test_a_repository_that_is_gone_fails_and_is_not_made_anew(bench: Bench) -> None:
    place = replace(bench.place, url=str(bench.folder / "nothing"))
    done = await bench.restic.backup(place, bench.order())
    assert (done.outcome, done.cause) == ("failed", Cause.NO_REPOSITORY)
    assert not (bench.folder / "nothing").exists()


async def test_an_unreachable_store_fails_with_its_password_hidden(bench: Bench, store: Store) -> None:
    place = Place(url=f"rest:http://alice:hunter2@127.0.0.1:{store.close()}/a/", password=PASSWORD)
    done = await bench.restic.backup(place, bench.order(), deadline_after=3.0)
    assert (done.outcome, done.cause) == ("failed", Cause.UNREACHABLE)
    assert "hunter2" not in str(done)
    assert "alice:***@" in done.reason


async def test_a_locked_repository_fails_as_locked_live_or_dead(
    bench: Bench, lock: Callable[[], ExclusiveLock]
) -> None:
    holder = lock()
    done = await bench.restic.backup(bench.place, bench.order())
    assert (done.outcome, done.cause) == ("failed", Cause.LOCKED)
    assert done.exit_code == (11 if await bench.restic.version() >= (0, 17, 0) else 1)
    assert f"PID {holder.process.pid}" in done.reason
    holder.die()
    assert (await bench.restic.backup(bench.place, bench.order())).cause is Cause.LOCKED
    await bench.restic.unlock(bench.place)
    assert (await bench.restic.backup(bench.place, bench.order())).outcome == "success"


async def test_a_backup_waits_for_a_lock_to_go_in_every_release(
    bench: Bench, lock: Callable[[], ExclusiveLock]
) -> None:
    holder = lock()
    journal = bench.folder / "journal"
    wrapper = bench.folder / "restic-wrapper"
    wrapper.write_text(f'#!/bin/sh\n{bench.binary} "$@"\ncode=$?\necho "$1 $code" >> {journal}\nexit $code\n')
    wrapper.chmod(0o755)
    restic = Restic(binary=wrapper, cache_dir=bench.folder / "cache", clock=now, lock_retry_seconds=0.2)
    retries_itself = await restic.version() >= (0, 16, 0)
    run = asyncio.create_task(restic.backup(bench.place, bench.order(retry_lock_for=60.0)))
    until = time.monotonic() + 30
    while not (retries_itself or "backup 1" in journal.read_text()):
        assert time.monotonic() < until, "the first try has not ended"
        await asyncio.sleep(0.02)
    holder.release()
    done = await run
    assert (done.outcome, done.cause) == ("success", Cause.OK)
    if not retries_itself:
        assert journal.read_text().count("backup") > 1


async def test_waiting_for_a_lock_ends_with_its_time(bench: Bench, lock: Callable[[], ExclusiveLock]) -> None:
    lock()
    restic = Restic(binary=bench.binary, cache_dir=bench.folder / "cache", clock=now, lock_retry_seconds=0.2)
    done = await restic.backup(bench.place, bench.order(retry_lock_for=1.0))
    assert (done.outcome, done.cause) == ("failed", Cause.LOCKED)
    assert 1.0 <= done.duration_seconds < 30


class Watcher:
    """Hears progress, and looks at the running restic the first time."""

    def __init__(self, cancel: asyncio.Event | None = None) -> None:
        self.told: list[Progress] = []
        self.command_lines: list[str] = []
        self._cancel = cancel

    def __call__(self, progress: Progress) -> None:
        if not self.told:
            self.command_lines = [line for line in map(_command_line, _children()) if "backup" in line]
        self.told.append(progress)
        if self._cancel is not None:
            self._cancel.set()


def _children() -> list[int]:
    me = f"\nPPid:\t{os.getpid()}\n"
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and me in (entry / "status").read_text():
                found.append(int(entry.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def _command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def slow(
    bench: Bench, watcher: Watcher, cancel: asyncio.Event | None, deadline: float | None = None
) -> asyncio.Task[BackupResult]:
    order = bench.order(bench.endless_source())
    return asyncio.create_task(
        bench.restic.backup(bench.place, order, on_progress=watcher, cancel=cancel, deadline_after=deadline)
    )


async def test_a_cancelled_backup_is_cancelled_whatever_its_exit_code_and_leaves_no_lock(bench: Bench) -> None:
    cancel = asyncio.Event()
    watcher = Watcher(cancel)
    done = await asyncio.wait_for(slow(bench, watcher, cancel), 60)
    assert (done.outcome, done.cause, done.forced) == ("cancelled", Cause.CANCELLED, False)
    assert done.exit_code in (1, 130)
    assert done.snapshot_id is None
    assert await bench.restic.locks(bench.place) == []
    assert await snapshot_count(bench) == 0


async def test_no_secret_and_no_address_stands_in_the_list_of_processes(bench: Bench) -> None:
    cancel = asyncio.Event()
    watcher = Watcher(cancel)
    await asyncio.wait_for(slow(bench, watcher, cancel), 60)
    (line,) = watcher.command_lines
    assert "--host=web-1" in line
    assert PASSWORD not in line
    assert str(bench.repository) not in line


async def test_a_backup_past_its_deadline_fails_as_timeout(bench: Bench) -> None:
    done = await asyncio.wait_for(slow(bench, Watcher(), None, deadline=2.0), 60)
    assert (done.outcome, done.cause) == ("failed", Cause.TIMEOUT)
    assert "did not finish in time" in done.reason
    assert not done.forced
    assert await bench.restic.locks(bench.place) == []


async def test_a_cancelled_task_ends_restic_before_it_ends(bench: Bench) -> None:
    started = asyncio.Event()
    watcher = Watcher(started)
    task = slow(bench, watcher, None)
    await asyncio.wait_for(started.wait(), 60)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 60)
    assert await bench.restic.locks(bench.place) == []


async def test_a_backup_that_is_cancelled_before_it_starts_never_starts(bench: Bench) -> None:
    cancel = asyncio.Event()
    cancel.set()
    done = await bench.restic.backup(bench.place, bench.order(), cancel=cancel)
    assert (done.outcome, done.exit_code) == ("cancelled", None)
    assert await snapshot_count(bench) == 0


async def test_waiting_for_a_lock_can_be_cancelled(bench: Bench, lock: Callable[[], ExclusiveLock]) -> None:
    lock()
    cancel = asyncio.Event()
    task = asyncio.create_task(bench.restic.backup(bench.place, bench.order(retry_lock_for=600.0), cancel=cancel))
    asyncio.get_running_loop().call_later(1.5, cancel.set)
    done = await asyncio.wait_for(task, 60)
    assert (done.outcome, done.cause) == ("cancelled", Cause.CANCELLED)


async def test_progress_comes_at_least_once_rises_and_is_throttled(bench: Bench) -> None:
    watcher = Watcher()
    source = bench.random_source(200)
    done = await bench.restic.backup(bench.place, bench.order(source), on_progress=watcher)
    assert done.outcome == "success"
    assert watcher.told
    fractions = [progress.fraction for progress in watcher.told]
    assert fractions == sorted(fractions)
    assert len(watcher.told) <= done.duration_seconds + 2


async def test_a_host_that_never_ran_restic_is_told_the_mend(bench: Bench) -> None:
    restic = Restic(binary="no-such-restic", cache_dir=bench.folder / "cache", clock=now)
    with pytest.raises(ConfigError, match="apt-get install restic"):
        await restic.backup(bench.place, bench.order())


async def test_the_clock_may_go_back_and_the_duration_does_not(bench: Bench) -> None:
    start = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
    moments = iter([start, start - timedelta(hours=1)])
    restic = Restic(binary=bench.binary, cache_dir=bench.folder / "cache", clock=lambda: next(moments))
    done = await restic.backup(bench.place, bench.order())
    assert done.ended_at < done.started_at
    assert done.duration_seconds > 0
