"""Small records are overwritten in place and come back as they were."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from lastgood.store import records
from lastgood.store.database import Database
from tests.builders import NOW


async def test_only_the_latest_word_about_a_host_is_kept(database: Database) -> None:
    await database.write(partial(records.save_presence, seen={"a": (NOW, None), "b": (NOW, NOW)}))
    later = NOW + timedelta(seconds=30, microseconds=1)
    await database.write(partial(records.save_presence, seen={"a": (later, NOW)}))
    assert await database.read(records.load_presence) == {"a": (later, NOW), "b": (NOW, NOW)}
    await database.write(partial(records.forget_presence, host_id="b"))
    assert await database.read(records.load_presence) == {"a": (later, NOW)}


async def test_nothing_seen_writes_nothing(database: Database) -> None:
    await database.write(partial(records.save_presence, seen={}))
    assert await database.read(records.load_presence) == {}


async def test_sealed_bytes_come_back_unchanged(database: Database) -> None:
    sealed = bytes(range(256))
    await database.write(partial(records.put_secret, secret_id="hub.key", sealed=b"before"))
    await database.write(partial(records.put_secret, secret_id="hub.key", sealed=sealed))
    assert await database.read(partial(records.get_secret, secret_id="hub.key")) == sealed
    assert await database.read(partial(records.get_secret, secret_id="other")) is None
    assert await database.read(records.list_secrets) == {"hub.key": sealed}
    assert await database.write(partial(records.delete_secret, secret_id="hub.key"))
    assert not await database.write(partial(records.delete_secret, secret_id="hub.key"))


async def test_the_last_sign_of_life_is_remembered_to_the_microsecond(database: Database) -> None:
    assert await database.read(records.alive_at) is None
    at = NOW + timedelta(microseconds=1)
    await database.write(partial(records.save_alive, at=at))
    assert await database.read(records.alive_at) == at
