"""Check, prune, forget and restore against real restic, and what they say of a store that is not as it should be."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lastgood.clock import now
from lastgood.model.retention import Retention
from lastgood.tools.restic import upkeep
from lastgood.tools.restic.causes import Cause
from lastgood.tools.restic.command import Place
from lastgood.tools.restic.driver import Restic
from lastgood.tools.restic.orders import ForgetOrder, RestoreOrder
from lastgood.tools.restic.upkeep import Limits
from tests.tools.restic.conftest import Bench, ExclusiveLock
from tests.tools.restic.recordings import recording


def limits(seconds: float = 60.0) -> Limits:
    return Limits(cancel=asyncio.Event(), deadline_after=seconds)


def an_order(**keep: int) -> ForgetOrder:
    return ForgetOrder(host="web-1", tag="lg:mine", keep=Retention(**keep))


async def save(bench: Bench, *tags: str) -> str:
    done = await bench.restic.backup(bench.place, bench.order(tags=tags))
    assert done.snapshot_id is not None
    return done.snapshot_id


def largest_pack(bench: Bench) -> Path:
    """One that holds data; for a lost pack of trees restic 0.14 looks again and again."""
    return max((bench.repository / "data").rglob("*/*"), key=lambda path: path.stat().st_size)


def spoil_a_pack(bench: Bench) -> None:
    """One flipped byte."""
    pack = largest_pack(bench)
    pack.chmod(0o600)
    spoilt = bytearray(pack.read_bytes())
    spoilt[20] ^= 1
    pack.write_bytes(bytes(spoilt))


async def test_a_check_finds_a_flipped_byte_only_if_it_reads_the_data_and_a_lost_pack_always(bench: Bench) -> None:
    (bench.source / "big").write_bytes(os.urandom(200_000))
    await save(bench)
    clean = await upkeep.check(bench.restic, bench.place, limits(), "1/1")
    assert clean.found.cause is Cause.OK
    assert clean.log.head
    spoil_a_pack(bench)
    assert (await upkeep.check(bench.restic, bench.place, limits())).found.cause is Cause.OK
    read = await upkeep.check(bench.restic, bench.place, limits(), "100%")
    assert read.found.cause is Cause.DAMAGED
    assert "found damage in" in read.found.sentence
    largest_pack(bench).unlink()
    assert (await upkeep.check(bench.restic, bench.place, limits())).found.cause is Cause.DAMAGED


@pytest.mark.parametrize(
    "name", ["0.14.0/check_lost_pack", "0.14.0/check_bad_pack", "0.18.0/check_damaged", "0.19.1/check_missingpack"]
)
async def test_damage_is_told_as_every_release_says_it(tmp_path: Path, name: str) -> None:
    played = recording(name)
    done = await upkeep.check(play(tmp_path, name, played.stdout, played.stderr, 1), PLACE, limits())
    assert done.found.cause is Cause.DAMAGED
    assert any("pack" in line.lower() for line in (*done.log.head, *done.log.tail))


async def test_a_store_that_broke_off_while_it_was_checked_is_not_called_damaged(tmp_path: Path) -> None:
    errors = (
        "Load(<data/7e1>, 0, 0) returned error, retrying after 1s: dial tcp 127.0.0.1:8000: connect: connection "
        "refused\npack 7e1: not found\nFatal: repository contains errors\n"
    )
    done = await upkeep.check(play(tmp_path, "0.14.0/x", "", errors, 1), PLACE, limits())
    assert done.found.cause is Cause.UNREACHABLE


async def test_a_suggested_prune_is_no_damage(tmp_path: Path) -> None:
    summary = '{"message_type":"summary","num_errors":0,"broken_packs":null,"suggest_prune":true}\n'
    done = await upkeep.check(play(tmp_path, "0.19.1/x", summary, "", 0), PLACE, limits())
    assert done.found.cause is Cause.OK
    assert any("waste" in line for line in done.log.head)


async def test_forget_thins_out_one_source_and_prune_frees_its_data(bench: Bench) -> None:
    (bench.source / "big").write_bytes(b"\x01\x02" * 500_000)
    first = await save(bench, "lg:mine", "old name")
    (bench.source / "big").unlink()
    second = await save(bench, "lg:mine", "new name")
    other = await save(bench, "lg:other")
    done = await upkeep.forget(bench.restic, bench.place, an_order(last=1), limits())
    assert done.found.cause is Cause.OK
    assert [one[:8] for one in done.removed] == [first[:8]], "a renamed source is one source still"
    assert done.remaining == 1
    left = {snapshot.id[:8] for snapshot in await bench.restic.snapshots(bench.place)}
    assert left == {second[:8], other[:8]}
    again = await upkeep.forget(bench.restic, bench.place, an_order(last=1), limits())
    assert (again.found.cause, again.removed, again.remaining) == (Cause.OK, (), 1)
    pruned = await upkeep.prune(bench.restic, bench.place, limits())
    assert pruned.found.cause is Cause.OK
    assert any("this removes" in line for line in (*pruned.log.head, *pruned.log.tail))


@pytest.mark.parametrize("release", ["0.14.0", "0.18.0", "0.19.1"])
async def test_a_store_that_removes_nothing_makes_forget_fail_whatever_restic_says(
    tmp_path: Path, release: str
) -> None:
    """0.18 ends well on an append-only store, with the full list of what it did not remove."""
    played = recording(f"{release}/rest_forget_append_only")
    plan = recording("0.18.0/rest_forget_append_only").stdout
    exits = {"0.14.0": 1, "0.18.0": 0, "0.19.1": 3}[release]
    restic = forgetful(tmp_path, release, plan, played.stdout, played.stderr, exits)
    done = await upkeep.forget(restic, PLACE, an_order(last=1), limits())
    assert done.found.cause is Cause.NOT_REMOVED
    assert done.removed == ()
    assert "append-only" in done.found.sentence


async def test_a_policy_that_would_leave_no_snapshot_is_stopped_by_the_dry_run(tmp_path: Path) -> None:
    plan = '[{"keep":null,"remove":[{"id":"' + "ab" * 32 + '","time":"2026-01-01T00:00:00Z"}]}]'
    restic = forgetful(tmp_path, "0.14.0", plan, "", "", 0)
    done = await upkeep.forget(restic, PLACE, an_order(last=1), limits())
    assert done.found.cause is Cause.NOTHING_LEFT
    assert not (tmp_path / "done for real").exists()


async def test_a_listing_that_cannot_be_had_afterwards_is_no_success(tmp_path: Path) -> None:
    plan = recording("0.18.0/rest_forget_append_only").stdout
    restic = forgetful(tmp_path, "0.18.0", plan, plan, "", 0, listing="exit 1")
    done = await upkeep.forget(restic, PLACE, an_order(last=1), limits())
    assert done.found.cause is not Cause.OK


async def test_a_locked_repository_is_told_as_locked(bench: Bench, lock: Callable[[], ExclusiveLock]) -> None:
    await save(bench, "lg:mine")
    lock()
    done = await upkeep.prune(bench.restic, bench.place, limits(8.0))
    assert done.found.cause in (Cause.LOCKED, Cause.TIMEOUT)


async def test_a_restore_writes_what_was_saved_and_only_what_was_asked_for(bench: Bench) -> None:
    await save(bench)
    (snapshot,) = await bench.restic.snapshots(bench.place)
    target = bench.folder / "restored"
    order = RestoreOrder(snapshot_id=snapshot.id, target=str(target), include=[str(bench.source / "one")])
    done = await upkeep.restore(bench.restic, bench.place, order, limits())
    assert done.found.cause is Cause.OK
    written = [path for path in target.rglob("*") if path.is_file()]
    assert [path.read_text() for path in written] == ["one\n" * 100]
    if await bench.restic.version() >= (0, 16, 0):
        assert done.restored is not None
        assert done.restored.files_restored >= 1


async def test_an_unknown_snapshot_is_a_failure(bench: Bench) -> None:
    order = RestoreOrder(snapshot_id="deadbeef", target=str(bench.folder / "restored"))
    done = await upkeep.restore(bench.restic, bench.place, order, limits())
    assert done.found.cause is Cause.OTHER
    assert "no matching ID" in done.found.sentence


async def test_a_check_that_is_cancelled_before_it_began_is_not_begun(bench: Bench) -> None:
    told = limits()
    told.cancel.set()
    done = await upkeep.check(bench.restic, bench.place, told)
    assert (done.found.cause, done.exit_code) == (Cause.CANCELLED, None)


# --- restic played badly -----------------------------------------------------------------------------------------

PLACE = Place(url="/srv/r", password="p")


def script(folder: Path, release: str, text: str) -> Restic:
    path = folder / "restic-script"
    path.write_text(f"#!/bin/sh\ncase $1 in version) echo restic {release};; *) {text};; esac\n")
    path.chmod(0o755)
    return Restic(binary=str(path), cache_dir=folder / "cache", clock=now)


def play(folder: Path, name: str, stdout: str, stderr: str, exit_code: int) -> Restic:
    (folder / "out").write_text(stdout)
    (folder / "err").write_text(stderr)
    return script(folder, name.split("/")[0], f"cat {folder}/out; cat {folder}/err >&2; exit {exit_code}")


def forgetful(
    folder: Path, release: str, plan: str, stdout: str, stderr: str, exit_code: int, listing: str = ""
) -> Restic:
    """A store whose snapshots stay: the dry run tells the plan, and a listing has all that was to be removed."""
    from lastgood.tools.restic.documents import forget_plan

    keep, remove = forget_plan(plan.encode())
    there = ",".join(f'{{"id":"{one}","time":"2026-01-01T00:00:00Z"}}' for one in (*keep, *remove))
    for name, text in (("plan", plan), ("out", stdout), ("err", stderr), ("there", f"[{there}]")):
        (folder / name).write_text(text)
    real = f"touch '{folder}/done for real'; cat {folder}/out; cat {folder}/err >&2; exit {exit_code}"
    return script(
        folder,
        release,
        f'case "$*" in snapshots*) {listing or f"cat {folder}/there"};;'
        f" *--dry-run*) cat {folder}/plan;; *) {real};; esac",
    )
