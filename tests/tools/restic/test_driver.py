"""The driver against real restic: probes, new repositories, queries, locks."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lastgood.clock import now
from lastgood.errors import BadPayload, CollectError, ConfigError, Refused, Unreachable
from lastgood.tools.restic.command import Place
from lastgood.tools.restic.driver import Deadlines, Restic
from tests.tools.restic.conftest import PASSWORD, Bench, ExclusiveLock
from tests.tools.restic.store import Store


def script(folder: Path, text: str) -> str:
    """A program that plays restic badly."""
    path = folder / "restic-script"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def driver(folder: Path, binary: str, **fields: object) -> Restic:
    return Restic(**({"binary": binary, "cache_dir": folder / "cache", "clock": now} | fields))  # type: ignore[arg-type]


async def test_the_release_is_told(bench: Bench) -> None:
    version = await bench.restic.version()
    assert (0, 14, 0) <= version < (1, 0, 0)


async def test_a_missing_program_is_told_with_the_mend(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"restic was not found as no-such-restic; install restic 0\.14 or newer: apt-get"
    ):
        await driver(tmp_path, "no-such-restic").version()


async def test_a_release_that_is_too_old_is_refused(tmp_path: Path) -> None:
    old = script(tmp_path, "echo restic 0.12.1 compiled with go1.18 on linux/amd64")
    with pytest.raises(ConfigError, match=r"is restic 0\.12\.1, too old"):
        await driver(tmp_path, old).probe(Place(url="/r", password="p"))


async def test_a_program_that_an_upgrade_has_replaced_is_asked_again(tmp_path: Path) -> None:
    restic = driver(tmp_path, script(tmp_path, "echo restic 0.14.0 compiled"))
    assert await restic.version() == (0, 14, 0)
    script(tmp_path, "echo restic 0.19.1 compiled with go1.26")
    assert await restic.version() == (0, 19, 1)


async def test_the_version_is_asked_once(tmp_path: Path) -> None:
    restic = driver(tmp_path, script(tmp_path, f"echo x >> {tmp_path}/asked; echo restic 0.14.0 compiled"))
    assert await restic.version() == await restic.version()
    assert (tmp_path / "asked").read_text() == "x\n"


async def test_another_program_is_not_run_as_restic(tmp_path: Path) -> None:
    with pytest.raises(BadPayload):
        await driver(tmp_path, script(tmp_path, "echo borg 1.2.4")).version()
    with pytest.raises(CollectError, match="cannot tell its version"):
        await driver(tmp_path, script(tmp_path, "exit 1")).version()


async def test_a_ready_repository_tells_its_id(bench: Bench) -> None:
    found = await bench.restic.probe(bench.place)
    assert (found.status, found.message) == ("ready", "")
    assert found.repository_id is not None
    assert len(found.repository_id) == 64


async def test_the_cache_is_private(bench: Bench) -> None:
    cache = bench.folder / "cache"
    cache.mkdir(mode=0o755)
    await bench.restic.probe(bench.place)
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    assert list(cache.iterdir())


async def test_a_cache_that_cannot_be_made_is_told_before_restic_runs(bench: Bench) -> None:
    restic = driver(Path("/proc"), bench.binary)
    with pytest.raises(ConfigError, match="cache folder /proc/cache cannot be made private"):
        await restic.probe(bench.place)


async def test_a_place_without_a_repository_is_missing(bench: Bench) -> None:
    found = await bench.restic.probe(replace(bench.place, url=str(bench.folder / "nothing")))
    assert (found.status, found.repository_id) == ("missing", None)
    assert "There is no restic repository at" in found.message


async def test_a_wrong_password_is_told_as_such(bench: Bench) -> None:
    found = await bench.restic.probe(replace(bench.place, password="wrong-pass-word"))
    assert found.status == "wrong_password"
    assert "wrong-pass-word" not in str(found)


async def test_a_password_source_that_fails_leaves_the_place_unknown(bench: Bench) -> None:
    for place in (
        Place(url=str(bench.repository), password_file=bench.folder / "absent"),
        Place(url=str(bench.repository), password_command="false"),
    ):
        found = await bench.restic.probe(place)
        assert found.status == "unknown"
        assert "check the password file or password command" in found.message


async def test_a_password_comes_from_a_file_or_a_command_too(bench: Bench) -> None:
    file = bench.folder / "password"
    file.write_text(f"{PASSWORD}\n")
    for place in (
        Place(url=str(bench.repository), password_file=file),
        Place(url=str(bench.repository), password_command=f"cat {file}"),
    ):
        assert (await bench.restic.probe(place)).status == "ready"


async def test_a_folder_that_may_not_be_read_is_refused_and_not_missing(unprivileged: Bench) -> None:
    unprivileged.repository.chmod(0)
    if os.geteuid() == 0:
        os.chown(unprivileged.repository, 0, 0)
    found = await unprivileged.restic.probe(unprivileged.place)
    unprivileged.repository.chmod(0o700)
    assert found.status == "refused"
    assert "is denied" in found.message


@pytest.mark.parametrize(("answer", "status"), [(404, "missing"), (401, "refused"), (403, "refused")])
async def test_what_a_rest_server_answers_decides(bench: Bench, store: Store, answer: int, status: str) -> None:
    store.answer = answer
    # From 0.17 on some answers are repeated for minutes; the deadline then speaks.
    restic = driver(bench.folder, bench.binary, deadlines=Deadlines(probe=5.0))
    place = Place(url=f"rest:http://alice:hunter2@127.0.0.1:{store.port}/alice/", password=PASSWORD)
    found = await restic.probe(place)
    assert found.status == status
    assert "hunter2" not in str(found)
    assert store.seen


async def test_a_server_error_is_never_taken_for_a_missing_repository(bench: Bench, store: Store) -> None:
    store.answer = 500
    restic = driver(bench.folder, bench.binary, deadlines=Deadlines(probe=3.0))
    found = await restic.probe(Place(url=f"rest:http://127.0.0.1:{store.port}/", password=PASSWORD))
    assert found.status in ("unknown", "unreachable")


async def test_the_user_of_a_rest_server_may_come_by_environment_in_every_release(bench: Bench, store: Store) -> None:
    store.answer = 404
    credentials = {"RESTIC_REST_USERNAME": "alice", "RESTIC_REST_PASSWORD": "p/w"}
    place = Place(url=f"rest:http://127.0.0.1:{store.port}/", password=PASSWORD, environment=credentials)
    assert (await bench.restic.probe(place)).status == "missing"
    assert store.seen[-1] == "Basic YWxpY2U6cC93"


async def test_a_refused_connection_is_unreachable_and_hides_the_password(bench: Bench, store: Store) -> None:
    port = store.close()
    restic = driver(bench.folder, bench.binary, deadlines=Deadlines(probe=3.0, snapshots=3.0))
    place = Place(url=f"rest:http://alice:hunter2@127.0.0.1:{port}/alice/", password=PASSWORD)
    found = await restic.probe(place)
    assert found.status == "unreachable"
    assert f"rest:http://alice:***@127.0.0.1:{port}/alice/" in found.message
    assert "hunter2" not in str(found)
    with pytest.raises(Unreachable) as raised:
        await restic.snapshots(place)
    assert raised.value.retry
    assert "hunter2" not in str(raised.value)
    with pytest.raises(Unreachable):
        await restic.init(place)


async def test_a_store_that_never_answers_ends_at_the_deadline(bench: Bench, store: Store) -> None:
    store.answer = None
    restic = driver(bench.folder, bench.binary, deadlines=Deadlines(probe=2.0), grace_seconds=2.0)
    found = await restic.probe(Place(url=f"rest:http://127.0.0.1:{store.port}/", password=PASSWORD))
    assert found.status == "unreachable"
    assert store.seen


async def test_a_new_repository_is_made_only_where_there_is_none(bench: Bench) -> None:
    place = replace(bench.place, url=str(bench.folder / "deep" / "new"))
    made = await bench.restic.init(place)
    assert made.created
    again = await bench.restic.init(place)
    assert (again.created, again.repository_id) == (False, made.repository_id)
    assert await bench.restic.snapshots(place) == []


async def test_no_repository_is_made_on_a_doubtful_probe(bench: Bench) -> None:
    before = sorted(path.name for path in (bench.repository / "keys").iterdir())
    with pytest.raises(Refused, match="password does not open") as raised:
        await bench.restic.init(replace(bench.place, password="wrong-pass-word"))
    assert not raised.value.retry
    assert sorted(path.name for path in (bench.repository / "keys").iterdir()) == before


async def test_two_wishes_for_one_new_repository_make_one(bench: Bench) -> None:
    # Two processes of restic init at once spoil the repository: each writes a key that the other's data refuse.
    place = replace(bench.place, url=str(bench.folder / "raced"))
    first, second = await asyncio.gather(bench.restic.init(place), bench.restic.init(place))
    assert first.repository_id == second.repository_id
    assert sorted((first.created, second.created)) == [False, True]
    assert len(list((bench.folder / "raced" / "keys").iterdir())) == 1


async def test_a_repository_that_somebody_else_made_in_between_is_taken_as_it_is(bench: Bench) -> None:
    faster = script(bench.folder, f'[ $1 = init ] && {bench.binary} "$@" > /dev/null; exec {bench.binary} "$@"')
    place = replace(bench.place, url=str(bench.folder / "raced"))
    made = await driver(bench.folder, faster).init(place)
    assert not made.created
    assert made.repository_id == (await bench.restic.probe(place)).repository_id


async def test_snapshots_and_sizes_are_told(bench: Bench) -> None:
    assert await bench.restic.snapshots(bench.place) == []
    assert (await bench.restic.raw_stats(bench.place)).size_bytes == 0
    before = now()
    done = await bench.restic.backup(bench.place, bench.order(tags=["lg:x", "nightly"]))
    (snapshot,) = await bench.restic.snapshots(bench.place)
    assert done.snapshot_id is not None
    assert snapshot.is_named(done.snapshot_id)
    assert (snapshot.hostname, snapshot.tags, snapshot.paths) == ("web-1", ("lg:x", "nightly"), (str(bench.source),))
    assert snapshot.started_at is not None
    assert before <= snapshot.started_at <= now()
    if await bench.restic.version() >= (0, 17, 0):
        assert (snapshot.files, snapshot.size_bytes) == (3, 1400)
        assert snapshot.ended_at is not None
    stats = await bench.restic.raw_stats(bench.place)
    assert stats.size_bytes > 0
    assert stats.snapshots == 1


async def test_a_host_in_our_environment_does_not_filter_the_snapshots(bench: Bench) -> None:
    await bench.restic.backup(bench.place, bench.order())
    inherited = dict(os.environ) | {"RESTIC_HOST": "another"}
    assert len(await driver(bench.folder, bench.binary, inherited=inherited).snapshots(bench.place)) == 1


async def test_a_query_on_a_missing_repository_raises_and_does_not_answer_empty(bench: Bench) -> None:
    place = replace(bench.place, url=str(bench.folder / "nothing"))
    for query in (bench.restic.snapshots, bench.restic.raw_stats, bench.restic.locks, bench.restic.unlock):
        with pytest.raises(Refused, match="There is no restic repository at"):
            await query(place)


async def test_an_unreadable_answer_raises_and_does_not_answer_empty(bench: Bench) -> None:
    fake = script(bench.folder, 'case $1 in version) echo restic 0.14.0;; *) echo "no snapshots";; esac')
    with pytest.raises(BadPayload):
        await driver(bench.folder, fake).snapshots(bench.place)
    assert (await driver(bench.folder, fake).probe(bench.place)).status == "unknown"


async def test_queries_read_through_an_exclusive_lock_and_tell_it(
    bench: Bench, lock: Callable[[], ExclusiveLock]
) -> None:
    assert await bench.restic.locks(bench.place) == []
    holder = lock()
    assert await bench.restic.snapshots(bench.place) == []
    (found,) = await bench.restic.locks(bench.place)
    assert (found.exclusive, found.pid) == (True, holder.process.pid)
    assert found.created_at is not None
    assert found.hostname


async def test_unlock_removes_the_lock_of_a_dead_process_and_keeps_a_live_one(
    bench: Bench, lock: Callable[[], ExclusiveLock]
) -> None:
    assert (await bench.restic.unlock(bench.place)).removed == ()
    holder = lock()
    (held,) = await bench.restic.lock_ids(bench.place)
    kept = await bench.restic.unlock(bench.place)
    assert (kept.removed, kept.remaining) == ((), (held,))
    holder.die()
    gone = await bench.restic.unlock(bench.place)
    assert (gone.removed, gone.remaining) == ((held,), ())


async def test_a_lock_that_vanishes_while_it_is_read_is_no_lock(bench: Bench) -> None:
    fake = script(
        bench.folder,
        f"case $1$2 in version*) echo restic 0.14.0;; listlocks) echo x >> {bench.folder}/listed;"
        f' [ $(wc -l < {bench.folder}/listed) = 1 ] && printf "%064d\\n%064d\\n" 1 2 || printf "%064d\\n" 2;;'
        " *) exit 1;; esac",
    )
    (found,) = await driver(bench.folder, fake).locks(bench.place)
    assert (found.id, found.exclusive) == (f"{2:064d}", None)


PLAYED = "case $1 in version) echo restic 0.19.1;; *) {};; esac"


async def test_an_answer_beyond_all_bounds_is_refused_and_its_process_ended(tmp_path: Path) -> None:
    restic = driver(tmp_path, script(tmp_path, PLAYED.format("exec yes")), document_bytes=100_000, grace_seconds=2.0)
    with pytest.raises(BadPayload, match="larger than 100,000 bytes"):
        await restic.snapshots(Place(url="/r", password="p"))


async def test_a_long_stack_trace_in_the_ending_is_cut_to_its_first_line(tmp_path: Path) -> None:
    message = "mkdir /x: no\n" + "main.go:5\n" * 1000
    (tmp_path / "ending").write_text(json.dumps({"message_type": "exit_error", "code": 1, "message": message}) + "\n")
    restic = driver(tmp_path, script(tmp_path, PLAYED.format(f"cat {tmp_path}/ending >&2; exit 1")))
    with pytest.raises(CollectError) as raised:
        await restic.snapshots(Place(url="/r", password="p"))
    assert str(raised.value).endswith("(restic: mkdir /x: no).")
    assert raised.value.retry


async def test_a_query_that_meets_a_lock_is_worth_another_try(tmp_path: Path) -> None:
    restic = driver(tmp_path, script(tmp_path, PLAYED.format("exit 11")))
    with pytest.raises(Refused, match="is locked by another restic") as raised:
        await restic.snapshots(Place(url="/r", password="p"))
    assert raised.value.retry


async def test_an_init_that_fails_or_that_leaves_no_repository_raises(tmp_path: Path) -> None:
    place = Place(url="/r", password="p")
    failing = driver(tmp_path, script(tmp_path, PLAYED.format("[ $1 = init ] && exit 1; exit 10")))
    with pytest.raises(CollectError, match="restic failed on /r"):
        await failing.init(place)
    idle = driver(tmp_path, script(tmp_path, PLAYED.format("[ $1 = init ] && exit 0; exit 10")))
    with pytest.raises(Refused, match="There is no restic repository at /r"):
        await idle.init(place)
