"""Promise 1 at its root: what was answered is on disk, what failed is not, and the next write finds a sound store."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import traceback
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, select, text
from sqlalchemy.exc import IntegrityError

from lastgood.errors import NoRoom, StoreError
from lastgood.store.database import GROUP_WEIGHT, QUEUE_LIMIT, Database, open_database
from lastgood.store.records import get_meta, set_meta
from lastgood.store.schema import meta

BIG = "x" * 100_000


def put(connection: Connection, key: str, value: str = "") -> str:
    """Not an upsert: a second one of the same key is that caller's own fault."""
    connection.execute(meta.insert(), {"key": key, "value": value})
    return key


def keys(connection: Connection) -> list[str]:
    return [key for (key,) in connection.execute(select(meta.c.key).order_by(meta.c.key))]


def on_disk(path: Path) -> list[str]:
    """What a stranger's connection sees: the committed rows and nothing else."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return [key for (key,) in connection.execute("SELECT key FROM meta ORDER BY key")]


async def fill(database: Database) -> None:
    """Let the disk seem full: no page more than there are now."""

    def limit(connection: Connection) -> None:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    await database.write(limit)


async def make_room(database: Database) -> None:
    await database.write(lambda connection: connection.exec_driver_sql("PRAGMA max_page_count = 1073741823").close())


class Busy:
    """A writer that is held in the middle of a transaction until ``release``."""

    def __init__(self, database: Database, key: str | None = None) -> None:
        self._running, self._held = threading.Event(), threading.Event()
        self._key = key
        self._writing = asyncio.create_task(database.write(self._hold))

    def _hold(self, connection: Connection) -> None:
        if self._key is not None:
            put(connection, self._key)
        self._running.set()
        assert self._held.wait(20)

    async def begun(self) -> Busy:
        assert await asyncio.to_thread(self._running.wait, 20)
        return self

    async def release(self) -> None:
        self._held.set()
        await self._writing


async def test_an_answered_write_is_on_disk(database: Database) -> None:
    for number in range(5):
        answer = await database.write(partial(put, key=f"key-{number}"))
        assert answer == f"key-{number}"
        assert on_disk(database.path)[-1] == f"key-{number}"


async def test_writes_that_wait_together_share_a_commit_and_keep_their_order(database: Database) -> None:
    order: list[int] = []
    answered: list[int] = []

    def note(connection: Connection, number: int) -> None:
        order.append(number)
        put(connection, f"{number:04}")

    async def one(number: int) -> None:
        await database.write(partial(note, number=number))
        answered.append(number)

    await asyncio.gather(*(one(number) for number in range(500)))
    assert order == answered == list(range(500))
    assert len(on_disk(database.path)) == 500
    assert database.commits <= 3


async def test_a_group_is_bounded_by_weight_and_by_size(database: Database) -> None:
    await asyncio.gather(*(database.write(partial(put, key=f"w{n}"), weight=GROUP_WEIGHT // 2) for n in range(8)))
    assert database.commits >= 4
    before = database.commits
    await asyncio.gather(*(database.write(partial(put, key=f"s{n}"), size=3_000_000) for n in range(4)))
    assert database.commits - before == 4


async def test_nobody_suffers_from_anothers_fault(database: Database) -> None:
    await database.write(partial(put, key="taken"))
    names = ["a", "taken", "b", "c"]
    outcomes = await asyncio.gather(*(database.write(partial(put, key=n)) for n in names), return_exceptions=True)
    assert [outcomes[0], outcomes[2], outcomes[3]] == ["a", "b", "c"]
    error = outcomes[1]
    assert isinstance(error, StoreError)
    assert isinstance(error.__cause__, IntegrityError)
    assert not error.retry
    assert on_disk(database.path) == ["a", "b", "c", "taken"]


async def test_an_error_of_the_callers_own_comes_back_as_it_is(database: Database) -> None:
    def fail(connection: Connection) -> None:
        put(connection, "half")
        raise KeyError("mine")

    outcomes = await asyncio.gather(
        database.write(fail), database.write(partial(put, key="other")), return_exceptions=True
    )
    assert isinstance(outcomes[0], KeyError)
    assert outcomes[1] == "other"
    assert on_disk(database.path) == ["other"]


async def test_a_full_disk_keeps_nothing_of_the_group_and_heals(database: Database) -> None:
    await fill(database)
    outcomes = await asyncio.gather(
        *(database.write(partial(put, key=f"lost-{n}", value=BIG)) for n in range(10)), return_exceptions=True
    )
    assert all(isinstance(outcome, NoRoom) and outcome.retry for outcome in outcomes)
    assert "full" in str(outcomes[0])
    assert str(database.path) in str(outcomes[0])
    assert on_disk(database.path) == []
    assert database.failures == 1
    await make_room(database)
    assert await database.write(partial(put, key="after", value=BIG)) == "after"
    assert on_disk(database.path) == ["after"]


async def test_a_cancelled_caller_takes_nobody_with_it(database: Database) -> None:
    busy = await Busy(database).begun()
    gone = asyncio.create_task(database.write(partial(put, key="gone")))
    kept = asyncio.create_task(database.write(partial(put, key="kept")))
    while database.queued < 2:
        await asyncio.sleep(0)
    gone.cancel()
    await busy.release()
    assert await kept == "kept"
    with pytest.raises(asyncio.CancelledError):
        await gone


async def test_the_queue_is_bounded_and_whoever_waits_for_room_gets_it_in_turn(database: Database) -> None:
    busy = await Busy(database).begun()
    order: list[int] = []
    many = QUEUE_LIMIT + 50
    writes = [asyncio.create_task(database.write(lambda _, n=n: order.append(n))) for n in range(many)]
    for _ in range(5):
        await asyncio.sleep(0)
    assert database.queued == QUEUE_LIMIT - 1
    await busy.release()
    await asyncio.gather(*writes)
    assert order == list(range(many))


async def test_a_read_never_waits_for_a_writer_nor_sees_its_half(database: Database) -> None:
    await database.write(partial(put, key="first"))
    busy = await Busy(database, key="second").begun()
    assert await database.read(keys) == ["first"]
    await busy.release()
    assert await database.read(keys) == ["first", "second"]


async def test_two_looks_of_one_read_agree_whatever_is_written_between(database: Database) -> None:
    await database.write(partial(put, key="first"))
    looked, written = threading.Event(), threading.Event()

    def look_twice(connection: Connection) -> tuple[list[str], list[str]]:
        first = keys(connection)
        looked.set()
        assert written.wait(10)
        return first, keys(connection)

    reading = asyncio.create_task(database.read(look_twice))
    await asyncio.to_thread(looked.wait, 10)
    await database.write(partial(put, key="second"))
    written.set()
    first, second = await reading
    assert first == second == ["first"]


async def test_a_reader_cannot_write(database: Database) -> None:
    with pytest.raises(StoreError, match="could not be read"):
        await database.read(partial(put, key="sneaked"))
    assert on_disk(database.path) == []


async def test_closing_finishes_what_waits_and_refuses_what_comes_later(tmp_path: Path) -> None:
    database = open_database(tmp_path)
    writes = [asyncio.create_task(database.write(partial(put, key=f"{n:03}"))) for n in range(100)]
    while not database.queued:
        await asyncio.sleep(0)
    await database.close()
    assert len(await asyncio.gather(*writes)) == len(on_disk(database.path)) == 100
    with pytest.raises(StoreError, match="closed"):
        await database.write(partial(put, key="late"))


async def test_what_was_written_is_there_after_a_new_opening(tmp_path: Path) -> None:
    database = open_database(tmp_path)
    await database.write(lambda connection: set_meta(connection, "colour", "green"))
    await database.write(lambda connection: set_meta(connection, "colour", "blue"))
    await database.close()
    again = open_database(tmp_path)
    assert await again.read(lambda connection: get_meta(connection, "colour")) == "blue"
    await again.close()


async def test_a_database_damaged_inside_is_told_with_its_mend(tmp_path: Path) -> None:
    database = open_database(tmp_path)
    await asyncio.gather(*(database.write(partial(put, key=f"{n:03}", value=BIG)) for n in range(30)))
    await database.close()
    content = bytearray(database.path.read_bytes())
    for start in range(4096 * 100, len(content) - 4096, 4096):
        content[start : start + 4096] = b"\xff" * 4096
    database.path.write_bytes(content)
    damaged = open_database(tmp_path)
    with pytest.raises(StoreError, match=r"malformed.*put back a copy") as caught:
        await damaged.read(lambda connection: connection.execute(select(func.sum(func.length(meta.c.value)))).all())
    assert not caught.value.retry
    await damaged.close()


def test_the_database_is_for_its_owner_alone(tmp_path: Path) -> None:
    database = open_database(tmp_path / "data")
    assert (tmp_path / "data").stat().st_mode & 0o077 == 0
    assert database.path.stat().st_mode & 0o077 == 0
    asyncio.run(database.close())


async def test_what_an_error_is_logged_with_held_the_values_of_the_statement(database: Database) -> None:
    values = {"hash": f"$argon2id${42:08}"}

    def insert(connection: Connection) -> None:
        connection.execute(text("INSERT INTO nowhere VALUES (:hash)"), values)

    with pytest.raises(StoreError) as caught:
        await database.write(insert)
    logged = "".join(traceback.format_exception(caught.value))
    assert "no such table" in logged
    assert values["hash"] not in logged
