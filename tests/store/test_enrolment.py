"""Rows of machines on their way in: each thing that may happen once happens once, and what is over is removed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from sqlalchemy import Connection

from lastgood.store import enrolment as rows
from lastgood.store.database import Database
from lastgood.store.enrolment import EnrolCode, Full, PendingHost
from tests.builders import NOW, an_id

HOUR = timedelta(hours=1)
CODE = EnrolCode(id=an_id("code"), digest="d", created_by="ann", created_at=NOW, expires_at=NOW + HOUR)


def a_pending(number: int, address: str = "192.0.2.1") -> PendingHost:
    return PendingHost(
        id=an_id("pending", number),
        key=f"key {number}",
        name="web",
        hostname="web \ud800",
        address=address,
        agent_version="1",
        system="linux",
        announced_at=NOW,
        expires_at=NOW + 24 * HOUR,
    )


async def test_a_code_is_used_by_one_key_and_answers_that_key_again(database: Database) -> None:
    def use(connection: Connection, key: str) -> EnrolCode | None:
        return rows.use_code(connection, "d", key=key, host_id=an_id(key), host_name=key, now=NOW)

    await database.write(lambda connection: rows.add_code(connection, CODE))
    first = await database.write(lambda connection: use(connection, "a"))
    assert first is not None
    assert (first.host_id, first.host_name) == (an_id("a"), "a")
    assert await database.write(lambda connection: use(connection, "b")) is None
    assert await database.write(lambda connection: use(connection, "a")) == first
    assert not await database.write(lambda connection: rows.release_code(connection, CODE.id, an_id("b")))
    assert await database.write(lambda connection: rows.release_code(connection, CODE.id, an_id("a")))
    second = await database.write(lambda connection: use(connection, "b"))
    assert second is not None
    assert second.key == "b"


async def test_a_code_that_nobody_made_or_whose_time_is_over_is_none(database: Database) -> None:
    await database.write(lambda connection: rows.add_code(connection, CODE))
    for digest, at in (("other", NOW), ("d", NOW + HOUR)):
        assert await database.read(lambda connection, d=digest, t=at: rows.find_code(connection, d, t)) is None  # type: ignore[misc]


async def test_announcements_are_bounded_in_all_and_an_address(database: Database) -> None:
    def announce(connection: Connection, host: PendingHost) -> PendingHost | Full:
        return rows.announce(connection, host, most=3, most_of_address=2)

    def said(connection: Connection) -> list[PendingHost | Full]:
        elsewhere = (a_pending(4, "192.0.2.2"), a_pending(5, "192.0.2.3"))
        return [announce(connection, host) for host in (*map(a_pending, (1, 2, 3)), *elsewhere, a_pending(1))]

    first, _, full_of_address, other, full, again = await database.write(said)
    assert full_of_address == Full(of_address=True)
    assert isinstance(other, PendingHost)
    assert full == Full(of_address=False)
    assert isinstance(first, PendingHost)
    assert isinstance(again, PendingHost)
    assert (again.id, again.hostname) == (first.id, "web ?")
    later = replace(a_pending(6), announced_at=NOW + 24 * HOUR, expires_at=NOW + 48 * HOUR)
    assert await database.write(lambda connection: announce(connection, later)) == later


async def test_an_announcement_is_decided_once(database: Database) -> None:
    def decided(connection: Connection, state: str) -> bool:
        return rows.decide(connection, a_pending(1).id, state=state, host_id="h", name="x", by="ann", now=NOW)

    host = a_pending(1)
    await database.write(lambda connection: rows.announce(connection, host, most=9, most_of_address=9))
    assert await database.write(lambda connection: decided(connection, rows.APPROVED))
    assert not await database.write(lambda connection: decided(connection, rows.REJECTED))
    assert await database.read(lambda connection: rows.list_pending(connection, NOW, None, 9)) == []
    assert await database.write(lambda connection: rows.undecide(connection, host.id, "h"))
    assert await database.read(lambda connection: rows.count_pending(connection, NOW)) == 1


async def test_what_is_over_is_removed(database: Database) -> None:
    await database.write(lambda connection: rows.add_code(connection, CODE))
    await database.write(lambda connection: rows.announce(connection, a_pending(1), most=9, most_of_address=9))
    trimmed = [
        await database.write(lambda connection, t=at: rows.trim_enrolment(connection, t))  # type: ignore[misc]
        for at in (NOW, NOW + HOUR, NOW + 24 * HOUR)
    ]
    assert trimmed == [0, 1, 1]
