"""Every kind of run by the whole agent with the real restic: what it does, what it proves, what it refuses."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import msgspec
import pytest

from lastgood.agent.files import write_private
from lastgood.agent.spool import Spool
from lastgood.agent.trying import Patience
from lastgood.clock import now
from lastgood.model.job import Outcome, Run, RunKind
from lastgood.model.retention import Retention
from lastgood.tools.restic.command import RETRY_LOCK_SINCE
from lastgood.tools.restic.driver import Restic
from lastgood.wire.frames import Assignment, Finished, Held, Locks, LookNow, RestoreWish, Snapshots, Started
from tests.agent.working import REPOSITORY, SOURCE, Place, finish, run_now, said, working
from tests.builders import a_run_start, a_source, an_id
from tests.hub.rig import Rig
from tests.waiting import until

pytestmark = pytest.mark.skipif(
    shutil.which("restic") is None, reason="restic is not installed: apt-get install restic"
)

QUICK = Patience(pauses=(0.05, 0.1), lock_seconds=1.0)


def log_of(rig: Rig, run_id: str) -> str:
    for one, log in zip(rig.said, rig.logs, strict=True):
        if isinstance(one, Finished) and one.run.id == run_id:
            return log
    raise AssertionError(f"no end of run {run_id}")


async def ran(rig: Rig, name: str, kind: RunKind, **wish: object) -> Run:
    run = await finish(rig, await run_now(rig, name, kind, **wish))
    assert run.kind is kind
    return run


def locks(place: Place) -> list[Path]:
    return list((place.folder / "repository" / "locks").iterdir())


def another_check(place: Place) -> subprocess.Popen[bytes]:
    """Somebody else's check that stands still while it holds its exclusive lock."""
    env = {"PATH": os.environ["PATH"], "RESTIC_PASSWORD": "correct-horse", "TMPDIR": str(place.folder)}
    env["RESTIC_CACHE_DIR"] = str(place.folder / "cache-of-another")
    argv = ["restic", "-r", str(place.folder / "repository"), "check"]
    process = subprocess.Popen(argv, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not [path for path in locks(place) if len(path.name) == 64]:
        assert process.poll() is None, "check ended before its lock was seen"
    process.send_signal(signal.SIGSTOP)
    return process


def dead_lock(place: Place) -> None:
    """An exclusive lock of this machine, whose process was killed."""
    process = another_check(place)
    process.kill()
    process.wait()
    assert locks(place)


def counting(place: Place) -> Path:
    """Have the agent's restic write down what it is asked to do."""
    script, told = place.folder / "restic", place.folder / "told"
    script.write_text(f'#!/bin/sh\necho "$1" >> {told}\nexec {shutil.which("restic")} "$@"\n')
    script.chmod(0o755)
    place.restic = str(script)
    return told


async def test_a_source_is_thinned_out_its_data_pruned_and_checked(place: Place) -> None:
    rig = Rig(orders=place.assignment(keep=Retention(last=1)))
    async with rig.serving(), working(place, rig.url):
        await ran(rig, "first", RunKind.BACKUP)
        (place.folder / "source" / "letter").write_text("dear reader, again\n" * 50)
        second = await ran(rig, "second", RunKind.BACKUP)
        forgotten = await ran(rig, "forget", RunKind.FORGET)
        pruned = await ran(rig, "prune", RunKind.PRUNE, source_id=None, repository_id=REPOSITORY)
        checked = await ran(rig, "check", RunKind.CHECK, check_subset="100%")
        assert second.snapshot_id is not None
        newest = second.snapshot_id
        told = await said(
            rig, Snapshots, lambda one: one.total == 1 and one.series[0].newest[0].id.startswith(newest)
        )
        assert "of 1 are gone" in log_of(rig, forgotten.id)
        assert "removes" in log_of(rig, pruned.id)
        assert "no errors" in log_of(rig, checked.id).lower() or "errors found: 0" in log_of(rig, checked.id)
    assert [run.outcome for run in (forgotten, pruned, checked)] == [Outcome.SUCCESS] * 3
    assert forgotten.reason == "1 snapshot forgotten, 1 snapshot kept; prune frees their space."
    assert (checked.check_subset, pruned.repository_id, checked.repository_id) == ("100%", REPOSITORY, REPOSITORY)
    assert told.series[0].count == 1


async def test_a_retention_that_is_missing_or_empty_forgets_nothing(place: Place) -> None:
    rig = Rig(orders=place.orders)
    async with rig.serving(), working(place, rig.url):
        assert (await ran(rig, "backup", RunKind.BACKUP)).outcome is Outcome.SUCCESS
        assert (await ran(rig, "none", RunKind.FORGET)).cause == "no_retention"
        await rig.roster.assign(place.config(rig.url).host_id, place.assignment("2", keep=Retention()))
        empty = await ran(rig, "empty", RunKind.FORGET)
    assert empty.outcome is Outcome.FAILED
    assert "keeps nothing" in (empty.reason or "")
    assert len(list((place.folder / "repository" / "snapshots").iterdir())) == 1


@pytest.mark.slow
async def test_credentials_that_may_delete_are_used_for_what_deletes(place: Place) -> None:
    rig = Rig(orders=with_admin(place, "not the password"))
    async with rig.serving(), working(place, rig.url):
        assert (await ran(rig, "backup", RunKind.BACKUP)).outcome is Outcome.SUCCESS
        for kind in (RunKind.FORGET, RunKind.PRUNE):
            run = await ran(rig, kind.value, kind)
            assert run.cause == "wrong_password"
            assert "not the password" not in f"{run}{log_of(rig, run.id)}"
        assert (await ran(rig, "check", RunKind.CHECK)).outcome is Outcome.SUCCESS


def with_admin(place: Place, password: str) -> Assignment:
    orders = place.assignment(keep=Retention(last=1))
    access = msgspec.structs.replace(orders.repositories[0], admin=Held(password=password))
    return msgspec.structs.replace(orders, repositories=(access,))


@pytest.mark.slow
async def test_unlock_takes_stale_locks_alone_and_tells_what_is_left(place: Place) -> None:
    dead_lock(place)
    rig = Rig(orders=place.orders)
    async with rig.serving(), working(place, rig.url):
        run = await ran(rig, "unlock", RunKind.UNLOCK)
        again = await ran(rig, "again", RunKind.UNLOCK)
        await said(rig, Locks, lambda one: one.locks == ())
    assert run.reason == "1 stale lock removed; none is left."
    assert again.reason == "There was no lock."
    assert f"of {socket.gethostname()}" in log_of(rig, run.id)


async def test_a_dead_lock_of_this_host_stops_nothing_and_is_named(place: Place) -> None:
    """Backups stay green for months while every check and prune fails on the lock of a dead process."""
    dead_lock(place)
    rig = Rig(orders=place.orders)
    async with rig.serving(), working(place, rig.url, patience=QUICK):
        run = await ran(rig, "check", RunKind.CHECK)
    assert run.outcome is Outcome.SUCCESS
    assert "removed 1 locks whose processes are gone" in log_of(rig, run.id)
    assert locks(place) == []


async def test_a_run_past_its_time_is_ended_and_reported_with_no_lock_left(place: Place) -> None:
    (place.folder / "agent-policy.toml").write_text('[deadlines]\nbackup = "3s"\n')
    rig = Rig(orders=place.assignment(paths=(str(place.endless_source()),)))
    async with rig.serving(), working(place, rig.url, patience=QUICK):
        run = await ran(rig, "late", RunKind.BACKUP)
    assert (run.outcome, run.cause) == (Outcome.FAILED, "timeout")
    assert run.duration_seconds < 15
    assert locks(place) == []


async def test_a_store_that_does_not_answer_is_tried_again_and_each_try_is_in_the_log(place: Place) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    orders = place.orders
    access = msgspec.structs.replace(orders.repositories[0], url=f"rest:http://127.0.0.1:{port}/")
    rig = Rig(orders=msgspec.structs.replace(orders, repositories=(access,)))
    (place.folder / "agent-policy.toml").write_text('[deadlines]\nbackup = "20s"\n')
    async with rig.serving(), working(place, rig.url, patience=QUICK):
        run = await ran(rig, "away", RunKind.BACKUP)
    assert run.cause in ("unreachable", "timeout")
    assert "lastgood: try 1 ended with unreachable" in log_of(rig, run.id)
    assert f"127.0.0.1:{port}" in log_of(rig, run.id)


async def test_a_restore_writes_into_an_allowed_folder_and_says_how_to_do_it_by_hand(place: Place) -> None:
    target = place.folder / "restored" / "here"
    (place.folder / "agent-policy.toml").write_text(f'allow_restore = ["{place.folder}/restored"]\n')
    rig = Rig(orders=place.orders)
    async with rig.serving(), working(place, rig.url):
        saved = await ran(rig, "backup", RunKind.BACKUP)
        wish = RestoreWish(snapshot="latest", target=str(target))
        run = await ran(rig, "restore", RunKind.RESTORE, restore=wish)
        full = await ran(rig, "full", RunKind.RESTORE, restore=wish)
        other = RestoreWish(snapshot="latest", target=str(place.folder / "restored" / "x"), include=("/nothing",))
        nothing = await ran(rig, "nothing", RunKind.RESTORE, restore=other)
        elsewhere = RestoreWish(snapshot="latest", target=str(place.folder / "elsewhere"))
        refused = await ran(rig, "elsewhere", RunKind.RESTORE, restore=elsewhere)
        gone = RestoreWish(snapshot="deadbeef", target=str(place.folder / "restored" / "y"))
        unknown = await ran(rig, "unknown", RunKind.RESTORE, restore=gone)
    assert (run.outcome, run.files, run.size_bytes) == (Outcome.SUCCESS, 1, 600)
    assert saved.snapshot_id is not None
    assert run.snapshot_id is not None
    assert run.snapshot_id.startswith(saved.snapshot_id)
    letter = target / (place.folder / "source" / "letter").relative_to("/")
    assert letter.read_text() == (place.folder / "source" / "letter").read_text()
    assert target.stat().st_mode & 0o777 == 0o700
    by_hand = f"restic -r {place.folder}/repository restore {run.snapshot_id} --target {target}"
    assert by_hand in log_of(rig, run.id)
    causes = [one.cause for one in (full, nothing, refused, unknown)]
    assert causes == ["target_not_empty", "nothing_restored", "refused_by_policy", "no_snapshot"]
    assert not (place.folder / "elsewhere").exists()


async def test_a_file_that_a_hub_may_have_had_restored_tells_restic_no_variables(place: Place) -> None:
    told = counting(place)
    (place.folder / "agent-policy.toml").write_text(f'allow_restore = ["{place.folder}/restored"]\n')
    (place.folder / "restored").mkdir()
    write_private(place.folder / "restored" / "env", b"RCLONE_CONFIG=/of/the/hub\n")
    orders = place.orders
    named = str(place.folder / "restored" / "env")
    access = msgspec.structs.replace(orders.repositories[0], environment_file=named)
    rig = Rig(orders=msgspec.structs.replace(orders, repositories=(access,)))
    async with rig.serving(), working(place, rig.url):
        run = await ran(rig, "backup", RunKind.BACKUP)
        assert await rig.roster.send(run.host_id, LookNow(repository_id=access.id, answer_to="ann", access=access))
        again = await ran(rig, "check", RunKind.CHECK)  # by then it has looked as well
    for one in (run, again):
        assert one.outcome is Outcome.FAILED
        assert "may not be the host's own" in (one.reason or "")
    assert not told.exists() or set(told.read_text().split()) <= {"version"}


async def test_without_a_policy_no_restore_happens_and_the_reason_names_the_file(place: Place) -> None:
    rig = Rig(orders=place.orders)
    async with rig.serving(), working(place, rig.url):
        wish = RestoreWish(snapshot="latest", target=str(place.folder / "restored"))
        run = await ran(rig, "restore", RunKind.RESTORE, restore=wish)
        (place.folder / "agent-policy.toml").write_text("allow_restore = what\n")
        broken = await ran(rig, "broken", RunKind.RESTORE, restore=wish)
        assert (await ran(rig, "backup", RunKind.BACKUP)).outcome is Outcome.SUCCESS, "backups go on"
    assert (run.outcome, run.cause) == (Outcome.FAILED, "refused_by_policy")
    assert "agent-policy.toml" in (run.reason or "")
    assert "not valid" in (broken.reason or "")
    assert not (place.folder / "restored").exists()


async def test_damage_is_found_and_told_as_such(place: Place) -> None:
    (place.folder / "source" / "big").write_bytes(os.urandom(200_000))
    rig = Rig(orders=place.orders)
    async with rig.serving(), working(place, rig.url):
        await ran(rig, "backup", RunKind.BACKUP)
        pack = max((place.folder / "repository" / "data").rglob("*/*"), key=lambda path: path.stat().st_size)
        pack.unlink()
        run = await ran(rig, "check", RunKind.CHECK)
        assert (await ran(rig, "green", RunKind.BACKUP)).outcome is Outcome.SUCCESS, "restic notices nothing"
    assert (run.outcome, run.cause) == (Outcome.FAILED, "damaged")
    assert pack.name in log_of(rig, run.id)
    assert run.source_id == SOURCE


async def test_the_lock_of_a_run_whose_agent_was_killed_is_gone_with_the_next_run(place: Place) -> None:
    dead_lock(place)
    (place.folder / "data").mkdir()
    spool = await Spool.open(place.folder / "data" / "spool.db", now)
    left = a_run_start(a_source(), now(), id=an_id("run", "killed"), source_id=SOURCE, repository_id=REPOSITORY)
    await spool.add(Started(run=left))
    await spool.close()
    rig = Rig(orders=place.orders)
    async with rig.serving(), working(place, rig.url, patience=QUICK):
        assert (await finish(rig, left.id)).outcome is Outcome.LOST
        run = await ran(rig, "next", RunKind.BACKUP)
        again = await ran(rig, "again", RunKind.BACKUP)
    assert (run.outcome, again.outcome) == (Outcome.SUCCESS, Outcome.SUCCESS)
    assert "whose processes are gone" in log_of(rig, run.id)
    assert "whose processes are gone" not in log_of(rig, again.id)
    assert locks(place) == []


async def test_a_check_cancelled_while_it_takes_its_lock_leaves_none(place: Place) -> None:
    """restic makes the lock, waits, and only then knows that it has one: an interrupt in between left it behind."""
    rig = Rig(orders=place.orders)
    async with rig.serving(), working(place, rig.url):
        run_id = await run_now(rig, "check", RunKind.CHECK)

        async def locked() -> bool:
            return bool([path for path in locks(place) if len(path.name) == 64])

        await until(locked, "the check has made its lock")
        assert await rig.roster.cancel(place.config(rig.url).host_id, run_id)
        run = await finish(rig, run_id)
        assert locks(place) == []
    assert run.outcome in (Outcome.CANCELLED, Outcome.SUCCESS)


async def test_a_check_waits_for_somebody_elses_lock_and_touches_no_live_one(place: Place) -> None:
    told = counting(place)
    other = another_check(place)
    rig = Rig(orders=place.orders)
    patient = Patience(pauses=(0.1,), lock_seconds=60.0)
    try:
        async with rig.serving(), working(place, rig.url, patience=patient):
            waits_itself = await Restic(cache_dir=place.folder, clock=now).version() >= RETRY_LOCK_SINCE
            run_id = await run_now(rig, "check", RunKind.CHECK)

            async def turned_away() -> bool:
                tries = told.read_text().split().count("check") if told.exists() else 0
                return tries >= (1 if waits_itself else 2)

            await until(turned_away, "the first try has met the lock")
            assert [path for path in locks(place) if len(path.name) == 64], "it is still there"
            other.send_signal(signal.SIGCONT)
            run = await finish(rig, run_id)
    finally:
        other.kill()
        other.wait()
    assert run.outcome is Outcome.SUCCESS
